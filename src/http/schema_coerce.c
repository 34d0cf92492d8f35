/* From a parameter's text to the value its schema means, and the filling in of
 * defaults: both look through `$ref` and `allOf` but validate nothing. */
#include "http/schema_internal.h"

#include <stdlib.h>
#include <string.h>

/* Schemas may refer to themselves, and branches multiply: a look is bounded both ways. */
struct look {
    unsigned depth;
    unsigned steps;
};

enum { LOOK_DEPTH = 32, LOOK_STEPS = 2000, FILL_STEPS = 200000 };

static bool look_in(struct look *look)
{
    if (look->depth >= LOOK_DEPTH || look->steps == 0)
        return false;
    look->depth++;
    look->steps--;
    return true;
}

static unsigned types_within(struct look *look, const struct node *node);

static unsigned rule_types(struct look *look, const struct rule *rule)
{
    unsigned types = 0;

    switch (rule->kind) {
    case RULE_TYPE: return rule->types & TYPE_NUMBER ? rule->types | TYPE_INTEGER : rule->types;
    case RULE_CONST: return schema_type_of(rule->value);
    case RULE_ENUM:
        for (size_t i = 0; i < json_array_size(rule->value); i++)
            types |= schema_type_of(json_array_get(rule->value, i));
        return types;
    case RULE_REF: return types_within(look, rule->node);
    case RULE_ALL_OF:
        types = TYPE_ANY;
        for (size_t i = 0; i < rule->branches.count; i++)
            types &= types_within(look, rule->branches.nodes[i]);
        return types;
    case RULE_ANY_OF:
    case RULE_ONE_OF:
        for (size_t i = 0; i < rule->branches.count; i++)
            types |= types_within(look, rule->branches.nodes[i]);
        return types;
    default: return TYPE_ANY;
    }
}

static unsigned types_within(struct look *look, const struct node *node)
{
    unsigned types = TYPE_ANY;

    if (node->kind != NODE_RULES)
        return node->kind == NODE_TRUE ? TYPE_ANY : 0;
    if (!look_in(look))
        return TYPE_ANY;
    for (size_t i = 0; i < node->rule_count; i++)
        types &= rule_types(look, &node->rules[i]);
    look->depth--;
    return types;
}

unsigned schema_node_types(const struct node *node)
{
    return types_within(&(struct look){ 0, LOOK_STEPS }, node);
}

/* The node that comes first, among a node and those it refers to, for which `accepts` holds. */
static const struct node *find_node(struct look *look, const struct node *node, bool (*accepts)(const struct node *))
{
    const struct node *found = accepts(node) ? node : NULL;

    if (found || !look_in(look))
        return found;
    for (size_t i = 0; !found && i < node->rule_count; i++) {
        const struct rule *rule = &node->rules[i];
        if (rule->kind == RULE_REF)
            found = find_node(look, rule->node, accepts);
        for (size_t j = 0; rule->kind == RULE_ALL_OF && !found && j < rule->branches.count; j++)
            found = find_node(look, rule->branches.nodes[j], accepts);
    }
    look->depth--;
    return found;
}

static const struct rule *items_rule(const struct node *node)
{
    for (size_t i = 0; i < node->rule_count; i++)
        if (node->rules[i].kind == RULE_ITEMS)
            return &node->rules[i];
    return NULL;
}

static bool has_items(const struct node *node)
{
    return items_rule(node) != NULL;
}

static bool has_default(const struct node *node)
{
    return node->fallback != NULL;
}

/* A literal of JSON whose type is among `types`. */
static json_t *literal(const char *text, size_t length, unsigned types)
{
    json_t *value = NULL;
    double real;

    if (length > 0 && length < 64 && strchr("-0123456789tfn", text[0]) && strchr("0123456789el", text[length - 1]))
        value = json_loadb(text, length, JSON_DECODE_ANY, NULL);
    if (value && !(schema_type_of(value) & types)) {
        json_decref(value);
        return NULL;
    }
    if (json_is_real(value) && !(types & TYPE_NUMBER)) { /* 5.0 for a whole number */
        real = json_real_value(value);
        json_decref(value);
        return real >= -9e15 && real <= 9e15 ? json_integer((json_int_t)real) : NULL;
    }
    return value;
}

static int coerce_scalar(unsigned types, const char *text, size_t length, json_t **ret, struct reason reason)
{
    unsigned scalars = types & (TYPE_BOOLEAN | TYPE_INTEGER | TYPE_NUMBER | TYPE_NULL | TYPE_STRING);
    unsigned literals = scalars & TYPE_STRING ? scalars & ~(unsigned)(TYPE_NULL | TYPE_STRING) : scalars;
    char names[120];
    json_t *value = NULL;

    if (types != TYPE_ANY)
        value = literal(text, length, literals);
    if (!value && scalars & TYPE_STRING) {
        value = json_stringn(text, length);
        if (!value)
            return schema_fail(reason, "must be UTF-8 text");
    }
    if (!value) {
        schema_types_print(scalars ? scalars : types, names, sizeof names);
        return schema_fail(reason, "must be %s", names);
    }
    *ret = value;
    return 0;
}

static bool is_list(const struct node *node)
{
    unsigned types = schema_node_types(node);

    return types & TYPE_ARRAY && types != TYPE_ANY;
}

static int add_item(const struct node *node, const char *text, size_t length, json_t *list, struct reason reason)
{
    const struct node *holder = find_node(&(struct look){ 0, LOOK_STEPS }, node, has_items), *item = NULL;
    const struct rule *items = holder ? items_rule(holder) : NULL;
    size_t index = json_array_size(list);
    json_t *value;

    if (items)
        item = index < items->items.count ? items->items.prefix[index] : items->items.rest;
    if (coerce_scalar(item ? schema_node_types(item) : TYPE_STRING, text, length, &value, reason) < 0)
        return -1;
    return json_array_append_new(list, value) < 0 ? schema_fail(reason, "out of memory") : 0;
}

static int split_items(const struct node *node, const char *text, json_t *list, struct reason reason)
{
    if (!*text)
        return 0;
    for (;; text++) {
        size_t length = strcspn(text, ",");
        if (add_item(node, text, length, list, reason) < 0)
            return -1;
        text += length;
        if (!*text)
            return 0;
    }
}

int schema_coerce_all(const struct schema *schema, const char *const *texts, size_t count, json_t **ret, char *text,
                      size_t size)
{
    const struct node *node = &schema->node;
    struct reason reason = { text, size };
    json_t *list;
    int status = 0;

    if (!is_list(node)) {
        if (count != 1)
            return schema_fail(reason, count == 0 ? "is required" : "was given more than once");
        return coerce_scalar(schema_node_types(node), texts[0], strlen(texts[0]), ret, reason);
    }
    list = json_array();
    if (!list)
        return schema_fail(reason, "out of memory");
    for (size_t i = 0; status == 0 && i < count; i++)
        status = count == 1 ? split_items(node, texts[i], list, reason)
                            : add_item(node, texts[i], strlen(texts[i]), list, reason);
    if (status < 0)
        json_decref(list);
    else
        *ret = list;
    return status;
}

int schema_coerce(const struct schema *schema, const char *text, json_t **ret, char *reason, size_t reason_size)
{
    return schema_coerce_all(schema, &text, 1, ret, reason, reason_size);
}

/* ---- defaults ---- */

struct filling {
    struct look look;
    unsigned left; /* a `default` may hold objects that have defaults in turn */
    bool failed;
};

static void fill(struct filling *filling, const struct node *node, json_t *value);

static const json_t *default_of(const struct node *node)
{
    const struct node *holder = find_node(&(struct look){ 0, LOOK_STEPS }, node, has_default);

    return holder ? holder->fallback : NULL;
}

static void fill_members(struct filling *filling, const struct members_rule *members, json_t *object)
{
    for (size_t i = 0; i < members->property_count && !filling->failed; i++) {
        const struct named_node *named = &members->properties[i];
        json_t *present = json_object_get(object, named->name);
        const json_t *given = present ? NULL : default_of(named->node);
        if (given && filling->left > 0) {
            filling->left--;
            present = json_deep_copy(given);
            filling->failed = !present || json_object_set_new(object, named->name, present) < 0;
        }
        if (present && !filling->failed)
            fill(filling, named->node, present);
    }
}

static void fill_rule(struct filling *filling, const struct rule *rule, json_t *value)
{
    if (rule->kind == RULE_REF)
        fill(filling, rule->node, value);
    for (size_t i = 0; rule->kind == RULE_ALL_OF && i < rule->branches.count; i++)
        fill(filling, rule->branches.nodes[i], value);
    if (rule->kind == RULE_MEMBERS && json_is_object(value))
        fill_members(filling, rule->members, value);
    for (size_t i = 0; rule->kind == RULE_ITEMS && i < json_array_size(value); i++) {
        const struct node *item = i < rule->items.count ? rule->items.prefix[i] : rule->items.rest;
        if (item)
            fill(filling, item, json_array_get(value, i));
    }
}

static void fill(struct filling *filling, const struct node *node, json_t *value)
{
    if (filling->failed || !(json_is_object(value) || json_is_array(value)) || !look_in(&filling->look))
        return;
    for (size_t i = 0; i < node->rule_count; i++)
        fill_rule(filling, &node->rules[i], value);
    filling->look.depth--;
}

int schema_apply_defaults(const struct schema *schema, json_t *object)
{
    struct filling filling = { .look = { 0, FILL_STEPS }, .left = SCHEMA_MAX_DEFAULTS };

    fill(&filling, &schema->node, object);
    return filling.failed ? -1 : 0;
}
