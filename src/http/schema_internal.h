/*
 * What the files of the schema module share: the compiled form, and the calls
 * between its parts. Nothing outside src/http/schema*.c includes this.
 *
 * A document is indexed into resources (an `$id`, or the document itself) and
 * anchors; each schema object reached becomes a node holding an array of rules;
 * evaluation walks nodes and values and writes nothing but its own `struct run`.
 */
#ifndef HB_SCHEMA_INTERNAL_H
#define HB_SCHEMA_INTERNAL_H

#include "base/base.h"
#include "http/schema.h"

#include <stdint.h>

enum {
    SCHEMA_MAX_DEPTH = 512,     /* nested evaluations, and nesting of a schema document */
    SCHEMA_MAX_STEPS = 2000000, /* evaluations and comparisons for one value */
    SCHEMA_MAX_PATTERN = 8192,  /* bytes of one regular expression */
    SCHEMA_MAX_DEFAULTS = 4096, /* fields filled into one value */
};

enum {
    TYPE_NULL = 1u << 0,
    TYPE_BOOLEAN = 1u << 1,
    TYPE_INTEGER = 1u << 2,
    TYPE_NUMBER = 1u << 3,
    TYPE_STRING = 1u << 4,
    TYPE_ARRAY = 1u << 5,
    TYPE_OBJECT = 1u << 6,
    TYPE_ANY = 0x7f,
};

enum {
    VOCABULARY_CORE = 1u << 0,
    VOCABULARY_APPLICATOR = 1u << 1,
    VOCABULARY_UNEVALUATED = 1u << 2,
    VOCABULARY_VALIDATION = 1u << 3,
    VOCABULARY_FORMAT = 1u << 4,
    VOCABULARY_ALL = 0x1f,
    VOCABULARY_FORMAT_ASSERTION = 1u << 5,
    VOCABULARY_OTHER = 1u << 6, /* known, asserts nothing */
};

enum rule_kind {
    RULE_REF,
    RULE_DYNAMIC_REF,
    RULE_TYPE,
    RULE_ENUM,
    RULE_CONST,
    RULE_MULTIPLE_OF,
    RULE_MAXIMUM,
    RULE_EXCLUSIVE_MAXIMUM,
    RULE_MINIMUM,
    RULE_EXCLUSIVE_MINIMUM,
    RULE_MAX_LENGTH,
    RULE_MIN_LENGTH,
    RULE_PATTERN,
    RULE_FORMAT,
    RULE_MAX_ITEMS,
    RULE_MIN_ITEMS,
    RULE_UNIQUE_ITEMS,
    RULE_MAX_PROPERTIES,
    RULE_MIN_PROPERTIES,
    RULE_REQUIRED,
    RULE_DEPENDENT_REQUIRED,
    RULE_MEMBERS,
    RULE_PROPERTY_NAMES,
    RULE_DEPENDENT_SCHEMAS,
    RULE_ITEMS,
    RULE_CONTAINS,
    RULE_ALL_OF,
    RULE_ANY_OF,
    RULE_ONE_OF,
    RULE_NOT,
    RULE_IF,
    RULE_UNEVALUATED_ITEMS,
    RULE_UNEVALUATED_PROPERTIES,
    RULE_KINDS,
};

struct pattern;
struct node;

struct dialect {
    enum schema_draft draft;
    unsigned vocabularies;
};

struct anchor {
    struct anchor *next;
    const char *name;
    const json_t *at;
    const struct node *node; /* only of dynamic ones, once their resource is compiled */
    bool dynamic;
};

struct resource {
    struct resource *next;
    const char *uri;
    const char *alias; /* the name a document was added by, when its `$id` differs */
    const json_t *root;
    struct anchor *anchors;
    struct dialect dialect;
    bool dialect_known;
    unsigned reached; /* the compilation that reached it first; 0: none */
};

struct named_node {
    const char *name;
    const struct node *node;
};

struct pattern_node {
    const struct pattern *pattern;
    const struct node *node;
};

struct name_list {
    const char *name; /* of the property that asks for the others */
    const char **names;
    size_t count;
};

/* properties, patternProperties and additionalProperties in one pass. */
struct members_rule {
    struct named_node *properties; /* sorted by name */
    size_t property_count;
    struct pattern_node *patterns;
    size_t pattern_count;
    const struct node *additional;
};

struct rule {
    enum rule_kind kind;
    const char *keyword;
    union {
        unsigned types;
        size_t limit;
        const json_t *value;
        const struct pattern *pattern;
        const struct format *format;
        const struct node *node;
        const struct members_rule *members;
        struct {
            const struct node *target;
            const char *name; /* NULL: behaves as `$ref` */
        } dynamic;
        struct {
            const struct node **nodes;
            size_t count;
        } branches;
        struct {
            const struct node **prefix;
            size_t count;
            const struct node *rest;
        } items;
        struct {
            const struct node *node;
            size_t min, max;
        } contains;
        struct {
            const struct node *test, *then, *otherwise;
        } condition;
        struct name_list required;
        struct {
            struct name_list *lists;
            size_t count;
        } dependent;
        struct {
            struct named_node *nodes;
            size_t count;
        } dependent_schemas;
    };
};

enum node_kind { NODE_RULES, NODE_TRUE, NODE_FALSE };

struct node {
    enum node_kind kind;
    bool unevaluated; /* holds an unevaluated* rule, so must track what was evaluated */
    bool always_formats;
    size_t rule_count;
    struct rule *rules;
    const json_t *fallback; /* `default` */
    const json_t *at;
    struct resource *resource;
    struct node *next; /* waiting to be compiled */
    unsigned made;     /* the compilation it was made in */
};

struct schema {
    struct node node; /* a schema is the node it starts at */
};

struct location {
    const json_t *at;
    struct resource *resource;
    struct node *node;
};

struct block {
    struct block *next;
    max_align_t data[];
};

struct schema_set {
    struct dialect dialect;
    struct resource *resources;
    struct location *locations; /* open addressing, keyed by `at` */
    size_t location_count, location_size;
    json_t *documents;
    struct block *blocks;
    struct pattern *patterns;
    struct node *waiting;
    unsigned compilation;
};

/* Where a failure on the way to a compiled schema is put into words. */
struct reason {
    char *text;
    size_t size;
};

/* Always -1, so that `return schema_fail(...)` reads well. */
int schema_fail(struct reason reason, const char *format, ...) PRINTF_LIKE(2, 3);

/* schema_set.c: zeroed memory that lives as long as the set; the index. */
void *schema_alloc(struct schema_set *set, size_t count, size_t size);
char *schema_text(struct schema_set *set, const char *text, size_t length);
struct location *schema_location(struct schema_set *set, const json_t *at);
int schema_resolve(struct schema_set *set, struct resource *from, const char *ref, const json_t **ret_at,
                   struct resource **ret_resource, const char **ret_dynamic, struct reason reason);
int schema_dialect(struct schema_set *set, struct resource *resource, struct reason reason);

/* schema_compile.c: the keywords that hold subschemas, for the index. */
enum subschemas { SUBSCHEMAS_NONE, SUBSCHEMAS_ONE, SUBSCHEMAS_LIST, SUBSCHEMAS_MAP, SUBSCHEMAS_ANY };
const char *schema_subschemas(size_t index, enum subschemas *ret_shape);

/* schema_uri.c: RFC 3986 section 5; NULL when memory is short. */
char *schema_uri_resolve(const char *base, const char *reference);
/* Percent decoding in place. */
void schema_uri_decode(char *text);

/* schema_meta.c */
int schema_meta_add(struct schema_set *set, struct reason reason);
bool schema_meta_dialect(const char *uri, struct dialect *ret_dialect);
unsigned schema_meta_vocabulary(const char *uri);

/* schema_number.c */
int schema_number_compare(const json_t *a, const json_t *b);
bool schema_number_is_integer(const json_t *number);
bool schema_number_is_multiple(const json_t *number, const json_t *divisor);
void schema_number_print(const json_t *number, char *text, size_t size);
/* Deep equality in the model of JSON Schema (1 equals 1.0); each comparison
 * takes a step, and at none left the answer is false. */
bool schema_equal(const json_t *a, const json_t *b, long *steps);
uint64_t schema_hash(const json_t *value);

/* schema_pattern.c */
enum pattern_outcome { PATTERN_MATCHES, PATTERN_DIFFERS, PATTERN_LIMIT };
struct pattern *schema_pattern_new(const char *source, size_t length, struct reason reason);
void schema_pattern_free(struct pattern *pattern);
const char *schema_pattern_source(const struct pattern *pattern);
struct pattern **schema_pattern_next(struct pattern *pattern);
/* `match` keeps scratch memory between calls; free it when done. */
enum pattern_outcome schema_pattern_match(const struct pattern *pattern, const char *text, size_t length, void **match);
void schema_pattern_match_free(void *match);

/* schema_format.c */
struct format {
    const char *name;
    bool (*accepts)(const char *text, size_t length);
    const char *reason;
};
const struct format *schema_format_find(const char *name);

/* schema_report.c: problems in words. */
struct path {
    const struct path *up;
    const char *key; /* NULL: an item of a list */
    size_t index;
};
char *schema_path_print(const struct path *path);
void schema_problem_add(struct schema_result *result, const struct path *path, const char *keyword, const char *format,
                        ...) PRINTF_LIKE(4, 5);
void schema_types_print(unsigned types, char *text, size_t size);
void schema_value_print(const json_t *value, char *text, size_t size);
void schema_values_print(const json_t *values, char *text, size_t size);
unsigned schema_type_of(const json_t *value);
/* The types a value may have as far as `type`, `enum`, `$ref` and the like tell. */
unsigned schema_node_types(const struct node *node);
/* Moves the problems of `from` to the end of `to`. */
void schema_result_move(struct schema_result *to, struct schema_result *from);
/* How far a branch is from accepting the value at `path`; less is closer. */
unsigned schema_result_distance(const struct schema_result *result, const struct path *path);

#endif
