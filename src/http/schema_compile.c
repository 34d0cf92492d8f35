/*
 * From schema objects to nodes. Each object becomes one node, made when first
 * referred to and filled from a queue, so neither cycles nor depth matter here.
 */
#include "http/schema_internal.h"

#include <stdlib.h>
#include <string.h>

enum { D7 = 1u << SCHEMA_DRAFT_7, D2020 = 1u << SCHEMA_DRAFT_2020_12, BOTH = D7 | D2020, MAX_RULES = 48 };

struct compiler {
    struct schema_set *set;
    struct reason reason;
    struct node *node;
    const json_t *at;
    struct rule rules[MAX_RULES];
    size_t count;
};

static const struct node node_true = { .kind = NODE_TRUE };
static const struct node node_false = { .kind = NODE_FALSE };

static int no_memory(struct compiler *c)
{
    return schema_fail(c->reason, "out of memory");
}

static int wrong_shape(struct compiler *c, const char *keyword, const char *wanted)
{
    return schema_fail(c->reason, "in %s: \"%s\" must be %s", c->node->resource->uri, keyword, wanted);
}

static struct rule *add_rule(struct compiler *c, enum rule_kind kind, const char *keyword)
{
    struct rule *rule = &c->rules[c->count++];

    *rule = (struct rule){ .kind = kind, .keyword = keyword };
    return rule;
}

/* The node of a schema in `resource`; queued for compilation when it is new. */
static const struct node *node_of(struct compiler *c, const json_t *at, struct resource *resource)
{
    struct location *place;
    struct node *node;

    if (json_is_boolean(at))
        return json_is_true(at) ? &node_true : &node_false;
    place = schema_location(c->set, at);
    if (!place)
        return NULL;
    if (place->node)
        return place->node;
    node = schema_alloc(c->set, 1, sizeof(struct schema));
    if (!node)
        return NULL;
    node->at = at;
    node->resource = place->resource ? place->resource : resource;
    node->made = c->set->compilation;
    node->next = c->set->waiting;
    c->set->waiting = node;
    place->node = node;
    return node;
}

static int subschema(struct compiler *c, const char *keyword, const json_t *value, const struct node **ret)
{
    if (!json_is_object(value) && !json_is_boolean(value))
        return wrong_shape(c, keyword, "a schema");
    *ret = node_of(c, value, c->node->resource);
    return *ret ? 0 : no_memory(c);
}

static int subschema_list(struct compiler *c, const char *keyword, const json_t *value, const struct node ***ret,
                          size_t *count)
{
    size_t size = json_array_size(value);
    const struct node **nodes;

    if (!json_is_array(value))
        return wrong_shape(c, keyword, "a list of schemas");
    nodes = schema_alloc(c->set, size, sizeof *nodes);
    if (!nodes)
        return no_memory(c);
    for (size_t i = 0; i < size; i++)
        if (subschema(c, keyword, json_array_get(value, i), &nodes[i]) < 0)
            return -1;
    *ret = nodes;
    *count = size;
    return 0;
}

/* ---- one function for each shape of keyword ---- */

static int compile_ref(struct compiler *c, const char *keyword, const json_t *value)
{
    bool dynamic = keyword[1] == 'd';
    struct resource *resource;
    const struct node *target;
    const char *name;
    struct rule *rule;
    const json_t *at;

    if (!json_is_string(value))
        return wrong_shape(c, keyword, "a reference");
    if (schema_resolve(c->set, c->node->resource, json_string_value(value), &at, &resource, &name, c->reason) < 0)
        return -1;
    target = node_of(c, at, resource);
    if (!target)
        return no_memory(c);
    rule = add_rule(c, dynamic ? RULE_DYNAMIC_REF : RULE_REF, keyword);
    if (dynamic) {
        rule->dynamic.target = target;
        rule->dynamic.name = name;
    } else {
        rule->node = target;
    }
    return 0;
}

static unsigned type_named(const char *name)
{
    static const char *const names[] = { "null", "boolean", "integer", "number", "string", "array", "object" };

    for (unsigned i = 0; name && i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return 1u << i;
    return 0;
}

static int compile_type(struct compiler *c, const char *keyword, const json_t *value)
{
    unsigned types = type_named(json_string_value(value)), one;

    for (size_t i = 0; i < json_array_size(value); i++) {
        one = type_named(json_string_value(json_array_get(value, i)));
        if (!one)
            return wrong_shape(c, keyword, "the name of a type, or a list of those");
        types |= one;
    }
    if (!types)
        return wrong_shape(c, keyword, "the name of a type, or a list of those");
    add_rule(c, RULE_TYPE, keyword)->types = types;
    return 0;
}

static int compile_enum(struct compiler *c, const char *keyword, const json_t *value)
{
    if (!json_is_array(value))
        return wrong_shape(c, keyword, "a list of values");
    add_rule(c, RULE_ENUM, keyword)->value = value;
    return 0;
}

static int compile_const(struct compiler *c, const char *keyword, const json_t *value)
{
    add_rule(c, RULE_CONST, keyword)->value = value;
    return 0;
}

struct kind_of {
    const char *keyword;
    enum rule_kind kind;
};

static enum rule_kind kind_of(const struct kind_of *table, const char *keyword)
{
    while (strcmp(table->keyword, keyword) != 0)
        table++;
    return table->kind;
}

static int compile_number(struct compiler *c, const char *keyword, const json_t *value)
{
    static const struct kind_of kinds[] = {
        { "multipleOf", RULE_MULTIPLE_OF },
        { "maximum", RULE_MAXIMUM },
        { "exclusiveMaximum", RULE_EXCLUSIVE_MAXIMUM },
        { "minimum", RULE_MINIMUM },
        { "exclusiveMinimum", RULE_EXCLUSIVE_MINIMUM },
    };
    enum rule_kind kind = kind_of(kinds, keyword);

    if (!json_is_number(value))
        return wrong_shape(c, keyword, "a number");
    if (kind == RULE_MULTIPLE_OF && json_number_value(value) <= 0)
        return wrong_shape(c, keyword, "a number above 0");
    add_rule(c, kind, keyword)->value = value;
    return 0;
}

static int count_value(struct compiler *c, const char *keyword, const json_t *value, size_t *ret)
{
    double number = json_number_value(value);

    if (!json_is_number(value) || !schema_number_is_integer(value) || number < 0)
        return wrong_shape(c, keyword, "a whole number of at least 0");
    *ret = number >= 9e15 ? SIZE_MAX : json_is_integer(value) ? (size_t)json_integer_value(value) : (size_t)number;
    return 0;
}

static int compile_count(struct compiler *c, const char *keyword, const json_t *value)
{
    static const struct kind_of kinds[] = {
        { "maxLength", RULE_MAX_LENGTH },         { "minLength", RULE_MIN_LENGTH },
        { "maxItems", RULE_MAX_ITEMS },           { "minItems", RULE_MIN_ITEMS },
        { "maxProperties", RULE_MAX_PROPERTIES }, { "minProperties", RULE_MIN_PROPERTIES },
    };
    size_t limit = 0;

    if (count_value(c, keyword, value, &limit) < 0)
        return -1;
    add_rule(c, kind_of(kinds, keyword), keyword)->limit = limit;
    return 0;
}

static int new_pattern(struct compiler *c, const char *source, size_t length, const struct pattern **ret)
{
    struct pattern *pattern = schema_pattern_new(source, length, c->reason);

    if (!pattern)
        return -1;
    *schema_pattern_next(pattern) = c->set->patterns;
    c->set->patterns = pattern;
    *ret = pattern;
    return 0;
}

static int compile_pattern(struct compiler *c, const char *keyword, const json_t *value)
{
    const struct pattern *pattern;

    if (!json_is_string(value))
        return wrong_shape(c, keyword, "a regular expression");
    if (new_pattern(c, json_string_value(value), json_string_length(value), &pattern) < 0)
        return -1;
    add_rule(c, RULE_PATTERN, keyword)->pattern = pattern;
    return 0;
}

static int compile_format(struct compiler *c, const char *keyword, const json_t *value)
{
    const struct format *format;

    if (!json_is_string(value))
        return wrong_shape(c, keyword, "the name of a format");
    format = schema_format_find(json_string_value(value));
    if (format)
        add_rule(c, RULE_FORMAT, keyword)->format = format;
    return 0;
}

static int compile_unique(struct compiler *c, const char *keyword, const json_t *value)
{
    if (!json_is_boolean(value))
        return wrong_shape(c, keyword, "true or false");
    if (json_is_true(value))
        add_rule(c, RULE_UNIQUE_ITEMS, keyword);
    return 0;
}

static int name_list(struct compiler *c, const char *keyword, const json_t *value, struct name_list *list)
{
    list->count = json_array_size(value);
    list->names = schema_alloc(c->set, list->count, sizeof *list->names);
    if (!json_is_array(value))
        return wrong_shape(c, keyword, "a list of names");
    if (!list->names)
        return no_memory(c);
    for (size_t i = 0; i < list->count; i++) {
        list->names[i] = json_string_value(json_array_get(value, i));
        if (!list->names[i])
            return wrong_shape(c, keyword, "a list of names");
    }
    return 0;
}

static int compile_required(struct compiler *c, const char *keyword, const json_t *value)
{
    struct name_list list = { 0 };

    if (name_list(c, keyword, value, &list) < 0)
        return -1;
    add_rule(c, RULE_REQUIRED, keyword)->required = list;
    return 0;
}

/* `dependentRequired`, `dependentSchemas`, and `dependencies` that is both. */
static int compile_dependent(struct compiler *c, const char *keyword, const json_t *value)
{
    size_t size = json_object_size(value), lists = 0, nodes = 0;
    struct name_list *list = schema_alloc(c->set, size, sizeof *list);
    struct named_node *node = schema_alloc(c->set, size, sizeof *node);
    struct rule *rule;

    if (!json_is_object(value))
        return wrong_shape(c, keyword, "an object");
    if (!list || !node)
        return no_memory(c);
    for (void *i = json_object_iter((json_t *)value); i; i = json_object_iter_next((json_t *)value, i)) {
        const json_t *wanted = json_object_iter_value(i);
        const char *name = json_object_iter_key(i);
        bool names = json_is_array(wanted);
        if (strcmp(keyword, names ? "dependentSchemas" : "dependentRequired") == 0)
            return wrong_shape(c, keyword, names ? "schemas by name" : "lists of names by name");
        if (names ? name_list(c, keyword, wanted, &list[lists]) < 0
                  : subschema(c, keyword, wanted, &node[nodes].node) < 0)
            return -1;
        if (names)
            list[lists++].name = name;
        else
            node[nodes++].name = name;
    }
    rule = add_rule(c, RULE_DEPENDENT_REQUIRED, keyword);
    rule->dependent.lists = list;
    rule->dependent.count = lists;
    rule = add_rule(c, RULE_DEPENDENT_SCHEMAS, keyword);
    rule->dependent_schemas.nodes = node;
    rule->dependent_schemas.count = nodes;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named_node *)a)->name, ((const struct named_node *)b)->name);
}

static int members_properties(struct compiler *c, struct members_rule *members, const json_t *map)
{
    members->properties = schema_alloc(c->set, json_object_size(map), sizeof *members->properties);
    if (!members->properties)
        return no_memory(c);
    for (void *i = json_object_iter((json_t *)map); i; i = json_object_iter_next((json_t *)map, i)) {
        struct named_node *named = &members->properties[members->property_count];
        named->name = json_object_iter_key(i);
        if (subschema(c, "properties", json_object_iter_value(i), &named->node) < 0)
            return -1;
        members->property_count++;
    }
    qsort(members->properties, members->property_count, sizeof *members->properties, by_name);
    return 0;
}

static int members_patterns(struct compiler *c, struct members_rule *members, const json_t *map)
{
    members->patterns = schema_alloc(c->set, json_object_size(map), sizeof *members->patterns);
    if (!members->patterns)
        return no_memory(c);
    for (void *i = json_object_iter((json_t *)map); i; i = json_object_iter_next((json_t *)map, i)) {
        struct pattern_node *entry = &members->patterns[members->pattern_count];
        const char *source = json_object_iter_key(i);
        if (new_pattern(c, source, strlen(source), &entry->pattern) < 0 ||
            subschema(c, "patternProperties", json_object_iter_value(i), &entry->node) < 0)
            return -1;
        members->pattern_count++;
    }
    return 0;
}

/* The first of the three keywords present makes the rule for them all. */
static int compile_members(struct compiler *c, const char *keyword, const json_t *value)
{
    const json_t *properties = json_object_get(c->at, "properties");
    const json_t *patterns = json_object_get(c->at, "patternProperties");
    const json_t *additional = json_object_get(c->at, "additionalProperties");
    struct members_rule *members;

    for (size_t i = 0; i < c->count; i++)
        if (c->rules[i].kind == RULE_MEMBERS)
            return 0;
    members = schema_alloc(c->set, 1, sizeof *members);
    if (!members)
        return no_memory(c);
    if (properties && !json_is_object(properties))
        return wrong_shape(c, "properties", "schemas by name");
    if (patterns && !json_is_object(patterns))
        return wrong_shape(c, "patternProperties", "schemas by pattern");
    if (members_properties(c, members, properties) < 0 || members_patterns(c, members, patterns) < 0)
        return -1;
    if (additional && subschema(c, "additionalProperties", additional, &members->additional) < 0)
        return -1;
    add_rule(c, RULE_MEMBERS, keyword)->members = members;
    return 0;
}

static int compile_one(struct compiler *c, const char *keyword, const json_t *value)
{
    static const struct kind_of kinds[] = {
        { "propertyNames", RULE_PROPERTY_NAMES },
        { "not", RULE_NOT },
        { "unevaluatedItems", RULE_UNEVALUATED_ITEMS },
        { "unevaluatedProperties", RULE_UNEVALUATED_PROPERTIES },
    };
    enum rule_kind kind = kind_of(kinds, keyword);
    const struct node *node;

    if (subschema(c, keyword, value, &node) < 0)
        return -1;
    add_rule(c, kind, keyword)->node = node;
    if (kind == RULE_UNEVALUATED_ITEMS || kind == RULE_UNEVALUATED_PROPERTIES)
        c->node->unevaluated = true;
    return 0;
}

static int compile_branches(struct compiler *c, const char *keyword, const json_t *value)
{
    static const struct kind_of kinds[] = { { "allOf", RULE_ALL_OF },
                                            { "anyOf", RULE_ANY_OF },
                                            { "oneOf", RULE_ONE_OF } };
    const struct node **nodes;
    struct rule *rule;
    size_t count;

    if (subschema_list(c, keyword, value, &nodes, &count) < 0)
        return -1;
    if (count == 0)
        return wrong_shape(c, keyword, "a list of at least one schema");
    rule = add_rule(c, kind_of(kinds, keyword), keyword);
    rule->branches.nodes = nodes;
    rule->branches.count = count;
    return 0;
}

/* A list for the first items, and a schema for the rest; the drafts differ in
 * what the two are called. */
static int compile_items(struct compiler *c, const char *keyword, const json_t *value)
{
    bool draft7 = c->node->resource->dialect.draft == SCHEMA_DRAFT_7;
    const json_t *items = json_object_get(c->at, "items");
    const json_t *prefix = draft7 ? (json_is_array(items) ? items : NULL) : json_object_get(c->at, "prefixItems");
    const json_t *rest = !draft7 || !prefix ? items : json_object_get(c->at, "additionalItems");
    struct rule rule = { .kind = RULE_ITEMS, .keyword = draft7 && prefix ? "additionalItems" : "items" };

    for (size_t i = 0; i < c->count; i++)
        if (c->rules[i].kind == RULE_ITEMS)
            return 0;
    if (prefix && subschema_list(c, "prefixItems", prefix, &rule.items.prefix, &rule.items.count) < 0)
        return -1;
    if (rest && subschema(c, rule.keyword, rest, &rule.items.rest) < 0)
        return -1;
    c->rules[c->count++] = rule;
    return 0;
}

static int compile_contains(struct compiler *c, const char *keyword, const json_t *value)
{
    bool counted = c->node->resource->dialect.draft != SCHEMA_DRAFT_7;
    const json_t *min = counted ? json_object_get(c->at, "minContains") : NULL;
    const json_t *max = counted ? json_object_get(c->at, "maxContains") : NULL;
    struct rule *rule;
    struct rule made = { .kind = RULE_CONTAINS, .keyword = keyword, .contains = { .min = 1, .max = SIZE_MAX } };

    if (subschema(c, keyword, value, &made.contains.node) < 0)
        return -1;
    if (min && count_value(c, "minContains", min, &made.contains.min) < 0)
        return -1;
    if (max && count_value(c, "maxContains", max, &made.contains.max) < 0)
        return -1;
    rule = add_rule(c, RULE_CONTAINS, keyword);
    *rule = made;
    return 0;
}

static int compile_if(struct compiler *c, const char *keyword, const json_t *value)
{
    const json_t *then = json_object_get(c->at, "then"), *otherwise = json_object_get(c->at, "else");
    struct rule made = { .kind = RULE_IF, .keyword = keyword };

    if (subschema(c, keyword, value, &made.condition.test) < 0)
        return -1;
    if (then && subschema(c, "then", then, &made.condition.then) < 0)
        return -1;
    if (otherwise && subschema(c, "else", otherwise, &made.condition.otherwise) < 0)
        return -1;
    c->rules[c->count++] = made;
    return 0;
}

/* In the order of evaluation: cheap assertions first, unevaluated* last. */
static const struct keyword {
    const char *name;
    unsigned drafts;
    unsigned vocabularies; /* any of them brings it */
    enum subschemas shape;
    int (*compile)(struct compiler *c, const char *keyword, const json_t *value);
} keywords[] = {
    { "$ref", BOTH, VOCABULARY_CORE, SUBSCHEMAS_NONE, compile_ref },
    { "$dynamicRef", D2020, VOCABULARY_CORE, SUBSCHEMAS_NONE, compile_ref },
    { "$defs", BOTH, VOCABULARY_CORE, SUBSCHEMAS_MAP, NULL },
    { "definitions", BOTH, VOCABULARY_CORE, SUBSCHEMAS_MAP, NULL },
    { "type", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_type },
    { "enum", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_enum },
    { "const", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_const },
    { "multipleOf", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_number },
    { "maximum", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_number },
    { "exclusiveMaximum", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_number },
    { "minimum", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_number },
    { "exclusiveMinimum", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_number },
    { "maxLength", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_count },
    { "minLength", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_count },
    { "maxItems", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_count },
    { "minItems", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_count },
    { "maxProperties", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_count },
    { "minProperties", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_count },
    { "required", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_required },
    { "pattern", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_pattern },
    { "format", BOTH, VOCABULARY_FORMAT | VOCABULARY_FORMAT_ASSERTION, SUBSCHEMAS_NONE, compile_format },
    { "uniqueItems", BOTH, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_unique },
    { "properties", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_MAP, compile_members },
    { "patternProperties", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_MAP, compile_members },
    { "additionalProperties", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, compile_members },
    { "propertyNames", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, compile_one },
    { "dependentRequired", D2020, VOCABULARY_VALIDATION, SUBSCHEMAS_NONE, compile_dependent },
    { "dependentSchemas", D2020, VOCABULARY_APPLICATOR, SUBSCHEMAS_MAP, compile_dependent },
    { "dependencies", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_MAP, compile_dependent },
    { "prefixItems", D2020, VOCABULARY_APPLICATOR, SUBSCHEMAS_LIST, compile_items },
    { "items", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ANY, compile_items },
    { "additionalItems", D7, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, NULL },
    { "contains", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, compile_contains },
    { "allOf", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_LIST, compile_branches },
    { "anyOf", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_LIST, compile_branches },
    { "oneOf", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_LIST, compile_branches },
    { "not", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, compile_one },
    { "if", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, compile_if },
    { "then", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, NULL },
    { "else", BOTH, VOCABULARY_APPLICATOR, SUBSCHEMAS_ONE, NULL },
    { "unevaluatedItems", D2020, VOCABULARY_UNEVALUATED, SUBSCHEMAS_ONE, compile_one },
    { "unevaluatedProperties", D2020, VOCABULARY_UNEVALUATED, SUBSCHEMAS_ONE, compile_one },
};

/* dependencies and the two dependent* keywords make two rules each. */
_Static_assert(ARRAY_LEN(keywords) + 3 <= MAX_RULES, "every keyword's rules fit a compiler");

const char *schema_subschemas(size_t index, enum subschemas *ret_shape)
{
    if (index >= ARRAY_LEN(keywords))
        return NULL;
    *ret_shape = keywords[index].shape;
    return keywords[index].name;
}

static int compile_keywords(struct compiler *c, const struct dialect *dialect)
{
    bool only_ref = dialect->draft == SCHEMA_DRAFT_7 && json_object_get(c->at, "$ref");
    const json_t *value;

    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        const struct keyword *keyword = &keywords[i];
        if (!keyword->compile || !(keyword->drafts & 1u << dialect->draft) ||
            !(keyword->vocabularies & dialect->vocabularies))
            continue;
        value = json_object_get(c->at, keyword->name);
        if (value && keyword->compile(c, keyword->name, value) < 0)
            return -1;
        if (only_ref)
            return 0;
    }
    return 0;
}

/* A resource reached by any path may be the target of a `$dynamicRef`. */
static int compile_dynamic_anchors(struct compiler *c, struct resource *resource)
{
    if (resource->reached)
        return 0;
    resource->reached = c->set->compilation;
    for (struct anchor *a = resource->anchors; a; a = a->next)
        if (a->dynamic && !(a->node = node_of(c, a->at, resource)))
            return no_memory(c);
    return 0;
}

static int compile_node(struct compiler *c, struct node *node)
{
    c->node = node;
    c->at = node->at;
    c->count = 0;
    if (schema_dialect(c->set, node->resource, c->reason) < 0)
        return -1;
    if (compile_dynamic_anchors(c, node->resource) < 0 || compile_keywords(c, &node->resource->dialect) < 0)
        return -1;
    node->fallback = json_object_get(node->at, "default");
    node->always_formats = node->resource->dialect.vocabularies & VOCABULARY_FORMAT_ASSERTION;
    node->rules = schema_alloc(c->set, c->count, sizeof *node->rules);
    if (!node->rules)
        return no_memory(c);
    memcpy(node->rules, c->rules, c->count * sizeof *node->rules);
    node->rule_count = c->count;
    return 0;
}

/* Forgets all nodes of a compilation that failed: some were never filled. */
static void forget_compilation(struct schema_set *set)
{
    for (size_t i = 0; i < set->location_size; i++)
        if (set->locations[i].node && set->locations[i].node->made == set->compilation)
            set->locations[i].node = NULL;
    for (struct resource *r = set->resources; r; r = r->next) {
        if (r->reached != set->compilation)
            continue;
        r->reached = 0;
        for (struct anchor *a = r->anchors; a; a = a->next)
            a->node = NULL;
    }
    set->waiting = NULL;
}

const struct schema *schema_compile(struct schema_set *set, const char *uri, char *text, size_t size)
{
    struct compiler *c = calloc(1, sizeof *c);
    const struct node *start = NULL;
    struct resource *resource;
    const char *dynamic;
    const json_t *at;

    if (!c)
        return NULL;
    set->compilation++;
    c->set = set;
    c->reason = (struct reason){ text, size };
    if (schema_resolve(set, NULL, uri, &at, &resource, &dynamic, c->reason) == 0)
        start = node_of(c, at, resource);
    for (struct node *node; start && (node = set->waiting);) {
        set->waiting = node->next;
        if (compile_node(c, node) < 0) {
            forget_compilation(set);
            start = NULL;
        }
    }
    free(c);
    return (const struct schema *)start;
}
