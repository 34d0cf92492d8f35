/*
 * A value against a node. The first pass is quiet and stops at the first
 * failure; only a refused value is walked again to collect problems, so a good
 * value costs no text. `struct run` carries the bounds of both passes.
 */
#include "http/schema_run.h"

#include <stdlib.h>
#include <string.h>

static bool eval(struct run *run, const struct node *node, const struct frame *outer);

/* ---- what was evaluated ---- */

static bool seen_init(struct seen *seen, size_t count)
{
    *seen = (struct seen){ .count = count };
    if (count > 64)
        seen->big = calloc((count + 63) / 64, sizeof *seen->big);
    return count <= 64 || seen->big;
}

static void seen_mark(struct seen *seen, size_t index)
{
    if (!seen)
        return;
    if (seen->big)
        seen->big[index / 64] |= (uint64_t)1 << index % 64;
    else
        seen->small |= (uint64_t)1 << index;
}

static bool seen_has(const struct seen *seen, size_t index)
{
    return (seen->big ? seen->big[index / 64] >> index % 64 : seen->small >> index) & 1;
}

static void seen_mark_all(struct seen *seen)
{
    if (!seen)
        return;
    seen->small = ~(uint64_t)0;
    if (seen->big)
        memset(seen->big, 0xff, (seen->count + 63) / 64 * sizeof *seen->big);
}

static void seen_merge(struct seen *to, const struct seen *from)
{
    to->small |= from->small;
    for (size_t i = 0; to->big && i < (to->count + 63) / 64; i++)
        to->big[i] |= from->big[i];
}

/* ---- children ---- */

static bool eval_child(struct run *run, const struct node *node, const struct frame *f, const json_t *value,
                       const char *key, size_t index)
{
    struct path path = { f->path, key, index };
    struct frame child = { value, &path, f->scope, NULL };

    return eval(run, node, &child);
}

/* Whether a node accepts the value of a frame, without a word. */
static bool test(struct run *run, const struct node *node, const struct frame *f)
{
    struct schema_result *result = run->result;
    bool accepted;

    run->result = NULL;
    accepted = eval(run, node, f);
    run->result = result;
    return accepted;
}

/* ---- applicators to members and items ---- */

static const struct node *property_node(const struct members_rule *members, const char *name)
{
    size_t low = 0, high = members->property_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, members->properties[middle].name);
        if (order == 0)
            return members->properties[middle].node;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool eval_unknown(struct run *run, const struct node *node, const struct frame *f, const char *keyword,
                         const json_t *value, const char *key)
{
    struct path path = { f->path, key, 0 };

    if (node->kind == NODE_FALSE)
        return COMPLAIN(run, &path, keyword, "is not a known field");
    return eval_child(run, node, f, value, key, 0);
}

static bool check_member(struct run *run, const struct rule *rule, const struct frame *f, const json_t *value,
                         const char *key, size_t index)
{
    const struct members_rule *members = rule->members;
    const struct node *node = property_node(members, key);
    struct path path = { f->path, key, 0 };
    bool known = node != NULL, valid = !node || eval_child(run, node, f, value, key, 0);

    for (size_t i = 0; i < members->pattern_count && !(enough(run) && !valid); i++) {
        enum pattern_outcome outcome =
            schema_match(run, members->patterns[i].pattern, &path, "patternProperties", key, strlen(key));
        if (outcome == PATTERN_LIMIT)
            return false;
        if (outcome == PATTERN_DIFFERS)
            continue;
        known = true;
        valid &= eval_child(run, members->patterns[i].node, f, value, key, 0);
    }
    if (!known && members->additional)
        valid = eval_unknown(run, members->additional, f, "additionalProperties", value, key);
    if (known || members->additional)
        seen_mark(f->seen, index);
    return valid;
}

static bool check_members(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    json_t *object = (json_t *)f->value; /* jansson's iterators take no const; nothing is written */
    bool valid = true;
    size_t index = 0;

    if (!json_is_object(f->value))
        return true;
    for (void *i = json_object_iter(object); i && !(enough(run) && !valid); i = json_object_iter_next(object, i))
        valid &= check_member(run, rule, f, json_object_iter_value(i), json_object_iter_key(i), index++);
    return valid;
}

/* A name is refused in the words of its own problem. */
static bool check_name(struct run *run, const struct rule *rule, const struct frame *f, const char *name)
{
    struct path path = { f->path, name, 0 };
    json_t *value = json_string_nocheck(name);
    struct frame child = { value, &path, f->scope, NULL };
    struct schema_result *outer = run->result, *own = outer ? calloc(1, sizeof *own) : NULL;
    bool valid;

    if (!value || (outer && !own)) {
        json_decref(value);
        free(own);
        return schema_stop(run, f->path, rule->keyword, "could not be checked: out of memory");
    }
    run->result = own;
    valid = eval(run, rule->node, &child);
    run->result = outer;
    if (!valid)
        COMPLAIN(run, &path, rule->keyword, "has a name that %s",
                 own->count > 0 ? own->problems[0].reason : "is not allowed");
    schema_result_done(own);
    free(own);
    json_decref(value);
    return valid;
}

static bool check_names(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    json_t *object = (json_t *)f->value;
    bool valid = true;

    if (!json_is_object(f->value))
        return true;
    for (void *i = json_object_iter(object); i && !(enough(run) && !valid); i = json_object_iter_next(object, i))
        valid &= check_name(run, rule, f, json_object_iter_key(i));
    return valid;
}

static bool check_items(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    bool valid = true;

    for (size_t i = 0; i < json_array_size(f->value) && !(enough(run) && !valid); i++) {
        const struct node *item = i < rule->items.count ? rule->items.prefix[i] : rule->items.rest;
        if (!item)
            break;
        struct path path = { f->path, NULL, i };
        if (item->kind == NODE_FALSE && i >= rule->items.count)
            valid = COMPLAIN(run, &path, rule->keyword, "is one item too many: at most %zu may be given",
                             rule->items.count);
        else
            valid &= eval_child(run, item, f, json_array_get(f->value, i), NULL, i);
        seen_mark(f->seen, i);
    }
    return valid;
}

static bool check_contains(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    size_t found = 0;

    if (!json_is_array(f->value))
        return true;
    for (size_t i = 0; i < json_array_size(f->value) && !run->stopped; i++) {
        struct path path = { f->path, NULL, i };
        struct frame child = { json_array_get(f->value, i), &path, f->scope, NULL };
        if (!test(run, rule->contains.node, &child))
            continue;
        found++;
        seen_mark(f->seen, i);
        if (found >= rule->contains.min && rule->contains.max == SIZE_MAX && !f->seen)
            break;
    }
    if (found < rule->contains.min)
        return COMPLAIN(run, f->path, rule->contains.min == 1 ? rule->keyword : "minContains",
                        "must hold at least %zu item%s of the kind asked for", rule->contains.min,
                        rule->contains.min == 1 ? "" : "s");
    return found <= rule->contains.max ||
           COMPLAIN(run, f->path, "maxContains", "must hold at most %zu item%s of the kind asked for",
                    rule->contains.max, rule->contains.max == 1 ? "" : "s");
}

/* ---- applicators in place ---- */

static bool check_ref(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    return eval(run, rule->node, f);
}

static const struct node *dynamic_target(const struct rule *rule, const struct scope *scope)
{
    const struct node *target = rule->dynamic.target;

    if (!rule->dynamic.name)
        return target;
    for (; scope; scope = scope->up) /* the outermost match wins */
        for (const struct anchor *a = scope->resource->anchors; a; a = a->next)
            if (a->dynamic && strcmp(a->name, rule->dynamic.name) == 0)
                target = a->node;
    return target;
}

static bool check_dynamic_ref(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    return eval(run, dynamic_target(rule, f->scope), f);
}

static bool check_all_of(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    bool valid = true;

    for (size_t i = 0; i < rule->branches.count && !(enough(run) && !valid); i++)
        valid &= eval(run, rule->branches.nodes[i], f);
    return valid;
}

/* How many branches accept; stops where the answer and the annotations are known. */
static size_t count_branches(struct run *run, const struct rule *rule, const struct frame *f)
{
    size_t wanted = rule->kind == RULE_ANY_OF ? 1 : 2, accepted = 0;

    for (size_t i = 0; i < rule->branches.count && !run->stopped; i++) {
        accepted += test(run, rule->branches.nodes[i], f);
        if (accepted == wanted && (wanted == 2 || !f->seen))
            break;
    }
    return accepted;
}

/* The problems of the branch that came closest, in a result of its own. */
static struct schema_result *closest_branch(struct run *run, const struct rule *rule, const struct frame *f,
                                            bool *ret_types)
{
    struct schema_result *outer = run->result, *best = NULL, *own;
    struct frame frame = *f;
    unsigned nearest = 0, distance;

    frame.seen = NULL;
    *ret_types = true;
    for (size_t i = 0; i < rule->branches.count && !run->stopped; i++) {
        own = calloc(1, sizeof *own);
        if (!own)
            break;
        run->result = own;
        eval(run, rule->branches.nodes[i], &frame);
        distance = schema_result_distance(own, f->path);
        *ret_types = *ret_types && distance >= 10000;
        if (!best || distance < nearest) {
            struct schema_result *swap = best;
            best = own;
            own = swap;
            nearest = distance;
        }
        schema_result_done(own);
        free(own);
    }
    run->result = outer;
    return best;
}

static bool explain_branches(struct run *run, const struct rule *rule, const struct frame *f)
{
    bool wrong_type;
    struct schema_result *best = closest_branch(run, rule, f, &wrong_type);
    unsigned types = 0;
    char text[120];

    for (size_t i = 0; i < rule->branches.count; i++)
        types |= schema_node_types(rule->branches.nodes[i]);
    if (wrong_type && best && !(types & schema_type_of(f->value))) {
        schema_types_print(types, text, sizeof text);
        COMPLAIN(run, f->path, rule->keyword, "must be %s", text);
    } else if (best && best->count > 0) {
        schema_result_move(run->result, best);
    } else {
        COMPLAIN(run, f->path, rule->keyword, "matches none of the allowed forms");
    }
    schema_result_done(best);
    free(best);
    seen_mark_all(f->seen); /* what the meant branch knows cannot be told: no "unknown field" on top */
    return false;
}

static bool check_branches(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    size_t accepted = count_branches(run, rule, f);

    if (run->stopped)
        return false;
    if (accepted == 0)
        return run->result ? explain_branches(run, rule, f) : false;
    return accepted == 1 || rule->kind == RULE_ANY_OF ||
           COMPLAIN(run, f->path, rule->keyword, "matches more than one of the allowed forms");
}

static bool check_not(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    struct frame frame = *f;

    frame.seen = NULL;
    return !test(run, rule->node, &frame) || COMPLAIN(run, f->path, rule->keyword, "has a form that is not allowed");
}

static bool check_if(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    bool met = test(run, rule->condition.test, f);
    const struct node *next = met ? rule->condition.then : rule->condition.otherwise;

    return run->stopped ? false : !next || eval(run, next, f);
}

static bool check_dependent_schemas(struct run *run, const struct node *node, const struct rule *rule,
                                    const struct frame *f)
{
    bool valid = true;

    for (size_t i = 0; json_is_object(f->value) && i < rule->dependent_schemas.count; i++) {
        const struct named_node *named = &rule->dependent_schemas.nodes[i];
        if (json_object_get(f->value, named->name))
            valid &= eval(run, named->node, f);
    }
    return valid;
}

static bool check_unevaluated_items(struct run *run, const struct node *node, const struct rule *rule,
                                    const struct frame *f)
{
    bool valid = true;

    for (size_t i = 0; i < json_array_size(f->value) && !(enough(run) && !valid); i++)
        if (!seen_has(f->seen, i))
            valid &= eval_child(run, rule->node, f, json_array_get(f->value, i), NULL, i);
    if (json_is_array(f->value))
        seen_mark_all(f->seen);
    return valid;
}

static bool check_unevaluated_properties(struct run *run, const struct node *node, const struct rule *rule,
                                         const struct frame *f)
{
    json_t *object = (json_t *)f->value;
    bool valid = true;
    size_t index = 0;

    if (!json_is_object(f->value))
        return true;
    for (void *i = json_object_iter(object); i && !(enough(run) && !valid); i = json_object_iter_next(object, i))
        if (!seen_has(f->seen, index++))
            valid &=
                eval_unknown(run, rule->node, f, rule->keyword, json_object_iter_value(i), json_object_iter_key(i));
    seen_mark_all(f->seen);
    return valid;
}

/* ---- the walk ---- */

static bool (*const checks[RULE_KINDS])(struct run *, const struct node *, const struct rule *,
                                        const struct frame *) = {
    [RULE_REF] = check_ref,
    [RULE_DYNAMIC_REF] = check_dynamic_ref,
    [RULE_TYPE] = schema_assert,
    [RULE_ENUM] = schema_assert,
    [RULE_CONST] = schema_assert,
    [RULE_MULTIPLE_OF] = schema_assert,
    [RULE_MAXIMUM] = schema_assert,
    [RULE_EXCLUSIVE_MAXIMUM] = schema_assert,
    [RULE_MINIMUM] = schema_assert,
    [RULE_EXCLUSIVE_MINIMUM] = schema_assert,
    [RULE_MAX_LENGTH] = schema_assert,
    [RULE_MIN_LENGTH] = schema_assert,
    [RULE_PATTERN] = schema_assert,
    [RULE_FORMAT] = schema_assert,
    [RULE_MAX_ITEMS] = schema_assert,
    [RULE_MIN_ITEMS] = schema_assert,
    [RULE_UNIQUE_ITEMS] = schema_assert,
    [RULE_MAX_PROPERTIES] = schema_assert,
    [RULE_MIN_PROPERTIES] = schema_assert,
    [RULE_REQUIRED] = schema_assert,
    [RULE_DEPENDENT_REQUIRED] = schema_assert,
    [RULE_MEMBERS] = check_members,
    [RULE_PROPERTY_NAMES] = check_names,
    [RULE_DEPENDENT_SCHEMAS] = check_dependent_schemas,
    [RULE_ITEMS] = check_items,
    [RULE_CONTAINS] = check_contains,
    [RULE_ALL_OF] = check_all_of,
    [RULE_ANY_OF] = check_branches,
    [RULE_ONE_OF] = check_branches,
    [RULE_NOT] = check_not,
    [RULE_IF] = check_if,
    [RULE_UNEVALUATED_ITEMS] = check_unevaluated_items,
    [RULE_UNEVALUATED_PROPERTIES] = check_unevaluated_properties,
};

static bool eval_rules(struct run *run, const struct node *node, const struct frame *f)
{
    bool valid = true;

    for (size_t i = 0; i < node->rule_count && !(enough(run) && !valid); i++)
        valid &= checks[node->rules[i].kind](run, node, &node->rules[i], f);
    return valid && !run->stopped;
}

/* The rules with a record of their own of what they evaluate: a subschema sees
 * nothing of its siblings, and passes its record up only when it accepts (or
 * when problems are told, where the value is lost anyway). */
static bool eval_tracked(struct run *run, const struct node *node, struct frame *f)
{
    size_t count = json_is_object(f->value) ? json_object_size(f->value) : json_array_size(f->value);
    struct seen own, *outer = f->seen;
    bool valid;

    if (!seen_init(&own, count))
        return schema_stop(run, f->path, "unevaluated", "could not be checked: out of memory");
    f->seen = &own;
    valid = eval_rules(run, node, f);
    if (outer && (valid || run->result))
        seen_merge(outer, &own);
    free(own.big);
    return valid;
}

static bool eval(struct run *run, const struct node *node, const struct frame *outer)
{
    struct scope scope = { node->resource, outer->scope };
    struct frame frame = *outer;
    bool valid;

    if (node->kind != NODE_RULES)
        return node->kind == NODE_TRUE || COMPLAIN(run, outer->path, "false", "is not allowed");
    if (run->depth >= SCHEMA_MAX_DEPTH)
        return schema_stop(run, outer->path, "$ref", "is nested too deeply to check");
    run->steps--;
    if (run->stopped || schema_out_of_steps(run, outer, "$ref"))
        return false;
    run->depth++;
    if (!outer->scope || outer->scope->resource != node->resource)
        frame.scope = &scope;
    valid = frame.seen || node->unevaluated ? eval_tracked(run, node, &frame) : eval_rules(run, node, &frame);
    run->depth--;
    return valid;
}

/* The bound a pass ran into is its last problem. */
static void keep_why(struct run *run)
{
    struct schema_result *result = run->result;

    if (result && result->count < SCHEMA_MAX_PROBLEMS && run->why.pointer && run->why.reason) {
        result->problems[result->count++] = run->why;
        return;
    }
    if (result && run->stopped)
        result->truncated = true;
    free(run->why.pointer);
    free(run->why.reason);
}

/* One pass; false when the value is refused, `result` NULL for the quiet one. */
static bool pass(const struct schema *schema, const json_t *value, unsigned flags, struct schema_result *result)
{
    struct run run = { .flags = flags, .result = result, .steps = SCHEMA_MAX_STEPS };
    struct frame frame = { .value = value };
    bool valid = eval(&run, &schema->node, &frame) && !run.stopped;

    schema_pattern_match_free(run.match);
    keep_why(&run);
    return valid;
}

bool schema_validate(const struct schema *schema, const json_t *value, unsigned flags, struct schema_result *result)
{
    if (result)
        memset(result, 0, sizeof *result);
    if (pass(schema, value, flags, NULL))
        return true;
    if (result)
        pass(schema, value, flags, result);
    return false;
}
