/*
 * The meta-schemas of the two drafts, in a compact form of our own that accepts
 * and refuses the same documents, and the names dialects and vocabularies go by.
 */
#include "http/schema_internal.h"

#include <string.h>

#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define NAMES "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true}"
#define TYPES "[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\",\"string\"]"
#define TEXT "{\"type\":\"string\"}"
#define NUMBER "{\"type\":\"number\"}"
#define FLAG "{\"type\":\"boolean\"}"
#define MAP_OF(schema) "{\"type\":\"object\",\"additionalProperties\":" schema "}"
#define LIST_OF(schema) "{\"type\":\"array\",\"minItems\":1,\"items\":" schema "}"
#define BY_PATTERN(schema) \
    "{\"type\":\"object\",\"additionalProperties\":" schema ",\"propertyNames\":{\"format\":\"regex\"}}"

/* Both drafts' assertions and the applicators they share; `self` is a reference
 * to the meta-schema that works in its draft. */
#define SHARED(self)                                                                                                 \
    "\"$ref\":" REFERENCE ",\"$comment\":" TEXT ",\"title\":" TEXT ",\"description\":" TEXT ",\"default\":true,"     \
    "\"readOnly\":" FLAG ",\"writeOnly\":" FLAG ",\"examples\":{\"type\":\"array\"},"                                \
    "\"multipleOf\":{\"type\":\"number\",\"exclusiveMinimum\":0},"                                                   \
    "\"maximum\":" NUMBER ",\"exclusiveMaximum\":" NUMBER ",\"minimum\":" NUMBER ",\"exclusiveMinimum\":" NUMBER "," \
    "\"maxLength\":" COUNT ",\"minLength\":" COUNT ",\"pattern\":{\"type\":\"string\",\"format\":\"regex\"},"        \
    "\"maxItems\":" COUNT ",\"minItems\":" COUNT ",\"uniqueItems\":" FLAG ","                                        \
    "\"maxProperties\":" COUNT ",\"minProperties\":" COUNT ",\"required\":" NAMES ","                                \
    "\"const\":true,\"enum\":{\"type\":\"array\",\"items\":true},\"format\":" TEXT ","                               \
    "\"contentMediaType\":" TEXT ",\"contentEncoding\":" TEXT ","                                                    \
    "\"type\":{\"anyOf\":[{\"enum\":" TYPES "},"                                                                     \
    "{\"type\":\"array\",\"items\":{\"enum\":" TYPES "},\"minItems\":1,\"uniqueItems\":true}]},"                     \
    "\"definitions\":" MAP_OF(self) ",\"properties\":" MAP_OF(self) ",\"patternProperties\":" BY_PATTERN(            \
        self) ","                                                                                                    \
              "\"additionalProperties\":" self ",\"propertyNames\":" self ",\"contains\":" self ","                  \
              "\"dependencies\":" MAP_OF(                                                                            \
                  "{\"anyOf\":[" self "," NAMES                                                                      \
                  "]}") ","                                                                                          \
                        "\"if\":" self ",\"then\":" self ",\"else\":" self ",\"not\":" self ","                      \
                        "\"allOf\":" LIST_OF(self) ",\"anyOf\":" LIST_OF(self) ",\"oneOf\":" LIST_OF(self)

#define REFERENCE "{\"type\":\"string\",\"format\":\"uri-reference\"}"
#define SELF_7 "{\"$ref\":\"#\"}"
#define SELF_2020 "{\"$dynamicRef\":\"#meta\"}"
#define ANCHOR "{\"type\":\"string\",\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"}"

static const char draft7[] =
    "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"$id\":\"http://json-schema.org/draft-07/schema#\","
    "\"type\":[\"object\",\"boolean\"],\"default\":true,\"properties\":{"
    "\"$id\":" REFERENCE ",\"$schema\":{\"type\":\"string\",\"format\":\"uri\"},"
    "\"items\":{\"anyOf\":[" SELF_7 "," LIST_OF(SELF_7) "]},\"additionalItems\":" SELF_7 "," SHARED(SELF_7) "}}";

static const char draft2020[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"https://json-schema.org/draft/2020-12/"
    "schema\","
    "\"$dynamicAnchor\":\"meta\",\"type\":[\"object\",\"boolean\"],\"properties\":{"
    "\"$id\":{\"type\":\"string\",\"format\":\"uri-reference\",\"pattern\":\"^[^#]*#?$\"},"
    "\"$schema\":{\"type\":\"string\",\"format\":\"uri\"},\"$anchor\":" ANCHOR ",\"$dynamicAnchor\":" ANCHOR ","
    "\"$dynamicRef\":" REFERENCE ",\"$vocabulary\":" MAP_OF(FLAG) ",\"$defs\":" MAP_OF(
        SELF_2020) ","
                   "\"deprecated\":" FLAG ",\"contentSchema\":" SELF_2020 ",\"minContains\":" COUNT
                   ",\"maxContains\":" COUNT ","
                   "\"dependentRequired\":" MAP_OF(NAMES) ",\"dependentSchemas\":" MAP_OF(
                       SELF_2020) ","
                                  "\"prefixItems\":" LIST_OF(SELF_2020) ",\"items\":" SELF_2020 ","
                                                                        "\"unevaluatedItems\":" SELF_2020
                                                                        ",\"unevaluatedProperties\":" SELF_2020
                                                                        "," SHARED(SELF_2020) "}}";

int schema_meta_add(struct schema_set *set, struct reason reason)
{
    static const struct {
        const char *uri, *text;
    } documents[] = {
        { "http://json-schema.org/draft-07/schema", draft7 },
        { "https://json-schema.org/draft/2020-12/schema", draft2020 },
    };

    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        json_t *document = json_loads(documents[i].text, 0, NULL);
        int status = document ? schema_set_add(set, documents[i].uri, document, reason.text, reason.size) : -1;
        json_decref(document);
        if (status < 0)
            return -1;
    }
    return 0;
}

bool schema_meta_dialect(const char *uri, struct dialect *ret_dialect)
{
    static const struct {
        const char *uri;
        enum schema_draft draft;
    } known[] = {
        { "http://json-schema.org/draft-07/schema", SCHEMA_DRAFT_7 },
        { "https://json-schema.org/draft-07/schema", SCHEMA_DRAFT_7 },
        { "https://json-schema.org/draft/2020-12/schema", SCHEMA_DRAFT_2020_12 },
        { "https://spec.openapis.org/oas/3.1/dialect/base", SCHEMA_DRAFT_2020_12 },
    };
    size_t length = strlen(uri);

    if (length > 0 && uri[length - 1] == '#')
        length--;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strlen(known[i].uri) != length || memcmp(known[i].uri, uri, length) != 0)
            continue;
        *ret_dialect = (struct dialect){ known[i].draft, VOCABULARY_ALL };
        return true;
    }
    return false;
}

unsigned schema_meta_vocabulary(const char *uri)
{
    static const char prefix[] = "https://json-schema.org/draft/2020-12/vocab/";
    static const struct {
        const char *name;
        unsigned vocabulary;
    } known[] = {
        { "core", VOCABULARY_CORE },
        { "applicator", VOCABULARY_APPLICATOR },
        { "unevaluated", VOCABULARY_UNEVALUATED },
        { "validation", VOCABULARY_VALIDATION },
        { "format-annotation", VOCABULARY_FORMAT },
        { "format-assertion", VOCABULARY_FORMAT_ASSERTION },
        { "meta-data", VOCABULARY_OTHER },
        { "content", VOCABULARY_OTHER },
    };

    if (strncmp(uri, prefix, sizeof prefix - 1) != 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i].name, uri + sizeof prefix - 1) == 0)
            return known[i].vocabulary;
    return 0;
}
