/* A schema and a value, divided by a zero byte: compiles, validates, coerces, fills in. */
#include "http/schema.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void use(const struct schema *schema, json_t *value, const char *text)
{
    struct schema_result result;
    bool valid = schema_validate(schema, value, SCHEMA_FORMATS, &result);
    json_t *meant = NULL;
    char reason[100];

    check(valid == (result.count == 0));
    check(valid == schema_validate(schema, value, SCHEMA_FORMATS, NULL));
    for (size_t i = 0; i < result.count; i++)
        check(result.problems[i].pointer[0] == 0 || result.problems[i].pointer[0] == '/');
    schema_result_done(&result);
    check(schema_apply_defaults(schema, value) == 0);
    if (schema_coerce(schema, text, &meant, reason, sizeof reason) == 0)
        json_decref(meant);
}

/* The first byte chooses the draft. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *middle = size > 2 ? memchr(data + 1, 0, size - 1) : NULL;
    const struct schema *schema = NULL;
    json_t *document, *value = NULL;
    struct schema_set *set;
    char reason[200];

    if (!middle)
        return 0;
    document = json_loadb((const char *)data + 1, (size_t)(middle - data - 1), JSON_DECODE_ANY, NULL);
    if (document)
        value = json_loadb((const char *)middle + 1, size - (size_t)(middle - data) - 1, JSON_DECODE_ANY, NULL);
    set = value ? schema_set_new(data[0] & 1 ? SCHEMA_DRAFT_7 : SCHEMA_DRAFT_2020_12) : NULL;
    if (set && schema_set_add(set, "fuzz", document, reason, sizeof reason) == 0)
        schema = schema_compile(set, "fuzz", reason, sizeof reason);
    if (schema)
        use(schema, value, (const char *)data + 1);
    schema_set_free(set);
    json_decref(value);
    json_decref(document);
    return 0;
}
