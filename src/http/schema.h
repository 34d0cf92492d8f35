/*
 * JSON Schema (draft 7 and 2020-12): documents are added to a set, schemas are
 * compiled out of it once, values are validated against them many times.
 *
 * Ownership: the set owns the documents (it copies them) and every compiled
 * schema; a `struct schema` is borrowed until schema_set_free().
 * Threads: one thread adds and compiles; after that any number of threads may
 * validate, coerce and fill defaults at once, as nothing is written any more.
 */
#ifndef HB_SCHEMA_H
#define HB_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum schema_draft { SCHEMA_DRAFT_7, SCHEMA_DRAFT_2020_12 };

enum {
    SCHEMA_FORMATS = 1u << 0, /* `format` refuses values; else it only annotates */
};

enum { SCHEMA_MAX_PROBLEMS = 32 };

struct schema_set;
struct schema;

/* One reason why a value was refused: where (JSON Pointer; "" is the whole
 * value), why in words that follow the field's name, and the keyword. */
struct schema_problem {
    char *pointer;
    char *reason;
    const char *keyword;
};

struct schema_result {
    struct schema_problem problems[SCHEMA_MAX_PROBLEMS];
    size_t count;
    bool truncated; /* more problems were found than kept */
};

/* A set whose documents follow `draft` unless their `$schema` says otherwise.
 * The meta-schemas of both drafts are in it. NULL when memory is short. */
struct schema_set *schema_set_new(enum schema_draft draft);
void schema_set_free(struct schema_set *set);

/* Adds a document under `uri` (any name will do: "openapi"); it need not be a
 * schema itself. 0, or -1 with the reason: the URI is taken, it nests too deep. */
int schema_set_add(struct schema_set *set, const char *uri, const json_t *document, char *reason, size_t reason_size);

/* Compiles the schema at a URI with its fragment ("openapi#/components/schemas/X")
 * and all it refers to. NULL with the reason: a `$ref` that leads nowhere, a
 * keyword of the wrong shape, a pattern that is no ECMA 262 expression. */
const struct schema *schema_compile(struct schema_set *set, const char *uri, char *reason, size_t reason_size);

/* Whether `value` satisfies the schema; if not, `result` (may be NULL) gets up
 * to SCHEMA_MAX_PROBLEMS problems. A value whose check runs past the bounds on
 * depth, steps or pattern matching is refused with a problem that says so. */
bool schema_validate(const struct schema *schema, const json_t *value, unsigned flags, struct schema_result *result);
void schema_result_done(struct schema_result *result);

/* The value a parameter's text means under its schema: an integer, number,
 * boolean, null, string, or a list of those split at commas. Only the type is
 * looked at; validate the result. 0 with a new reference in `ret`, or -1. */
int schema_coerce(const struct schema *schema, const char *text, json_t **ret, char *reason, size_t reason_size);

/* The same for a parameter that may be repeated (`?tag=a&tag=b`): a list takes
 * each text as an item (a single one is split at commas), else one is allowed. */
int schema_coerce_all(const struct schema *schema, const char *const *texts, size_t count, json_t **ret, char *reason,
                      size_t reason_size);

/* Adds the `default` of each absent property, in nested objects and lists too,
 * through `$ref` and `allOf`. 0, or -1 when memory is short. */
int schema_apply_defaults(const struct schema *schema, json_t *object);

#endif
