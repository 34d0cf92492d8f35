/* Any bytes as YAML: refused with a reason, or a value that has a line everywhere. */
#include "base/yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_options options = { .max_size = 65536, .max_values = 2000 };
    struct yaml_lines *lines = NULL;
    struct error e = ERROR_INIT;
    json_t *value = NULL;
    const char *key;
    json_t *member;
    char pointer[64];

    if (yaml_load_lines((const char *)data, size, options, &value, &lines, &e) < 0) {
        check(!value && !lines && e.message[0]);
        error_done(&e);
        return 0;
    }
    check(yaml_line_of(lines, "") >= 1);
    json_object_foreach (value, key, member) {
        if (strlen(key) >= sizeof pointer - 1 || strpbrk(key, "/~"))
            continue;
        pointer[0] = '/';
        strcpy(pointer + 1, key);
        check(yaml_line_of(lines, pointer) >= 1);
    }
    yaml_lines_free(lines);
    json_decref(value);
    return 0;
}
