/* The keywords that look at one value only: its type, size, shape. */
#include "http/schema_run.h"

#include <stdlib.h>
#include <string.h>

bool schema_stop(struct run *run, const struct path *path, const char *keyword, const char *reason)
{
    if (!run->stopped) {
        run->stopped = true;
        run->why = (struct schema_problem){ schema_path_print(path), strdup(reason), keyword };
    }
    return false;
}

bool schema_out_of_steps(struct run *run, const struct frame *f, const char *keyword)
{
    return run->steps <= 0 && !schema_stop(run, f->path, keyword, "takes too many steps to check");
}

enum pattern_outcome schema_match(struct run *run, const struct pattern *pattern, const struct path *path,
                                  const char *keyword, const char *text, size_t length)
{
    enum pattern_outcome outcome = schema_pattern_match(pattern, text, length, &run->match);

    if (outcome == PATTERN_LIMIT)
        schema_stop(run, path, keyword, "takes too many steps to match against its pattern");
    return outcome;
}

static bool check_type(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    char types[120];

    if (schema_type_of(f->value) & rule->types)
        return true;
    if (run->result)
        schema_types_print(rule->types, types, sizeof types);
    return COMPLAIN(run, f->path, rule->keyword, "must be %s", types);
}

static bool check_enum(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    char values[1024];

    for (size_t i = 0; i < json_array_size(rule->value); i++)
        if (schema_equal(f->value, json_array_get(rule->value, i), &run->steps))
            return true;
    if (schema_out_of_steps(run, f, rule->keyword))
        return false;
    if (run->result)
        schema_values_print(rule->value, values, sizeof values);
    return COMPLAIN(run, f->path, rule->keyword, "must be %s%s", json_array_size(rule->value) == 1 ? "" : "one of ",
                    values);
}

static bool check_const(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    char value[200];

    if (schema_equal(f->value, rule->value, &run->steps))
        return true;
    if (schema_out_of_steps(run, f, rule->keyword))
        return false;
    if (run->result)
        schema_value_print(rule->value, value, sizeof value);
    return COMPLAIN(run, f->path, rule->keyword, "must be %s", value);
}

static bool check_number(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    static const char *const words[] = {
        [RULE_MULTIPLE_OF] = "a multiple of",   [RULE_MAXIMUM] = "at most",
        [RULE_EXCLUSIVE_MAXIMUM] = "less than", [RULE_MINIMUM] = "at least",
        [RULE_EXCLUSIVE_MINIMUM] = "more than",
    };
    char limit[40];
    bool good;

    if (!json_is_number(f->value))
        return true;
    if (rule->kind == RULE_MULTIPLE_OF) {
        good = schema_number_is_multiple(f->value, rule->value);
    } else {
        int order = schema_number_compare(f->value, rule->value);
        good = rule->kind == RULE_MAXIMUM             ? order <= 0
               : rule->kind == RULE_EXCLUSIVE_MAXIMUM ? order < 0
               : rule->kind == RULE_MINIMUM           ? order >= 0
                                                      : order > 0;
    }
    if (good)
        return true;
    if (run->result)
        schema_number_print(rule->value, limit, sizeof limit);
    return COMPLAIN(run, f->path, rule->keyword, "must be %s %s", words[rule->kind], limit);
}

/* Code points of a string. */
static size_t string_length(const json_t *string)
{
    const char *text = json_string_value(string);
    size_t length = 0;

    for (size_t i = json_string_length(string); i > 0; i--, text++)
        length += ((unsigned char)*text & 0xc0) != 0x80;
    return length;
}

static bool check_count(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    static const struct {
        json_type type;
        bool max;
        const char *one, *many;
    } kinds[] = {
        [RULE_MAX_LENGTH] = { JSON_STRING, true, "character", "characters" },
        [RULE_MIN_LENGTH] = { JSON_STRING, false, "character", "characters" },
        [RULE_MAX_ITEMS] = { JSON_ARRAY, true, "item", "items" },
        [RULE_MIN_ITEMS] = { JSON_ARRAY, false, "item", "items" },
        [RULE_MAX_PROPERTIES] = { JSON_OBJECT, true, "field", "fields" },
        [RULE_MIN_PROPERTIES] = { JSON_OBJECT, false, "field", "fields" },
    };
    json_type type = kinds[rule->kind].type;
    bool max = kinds[rule->kind].max;
    size_t count;

    if (json_typeof(f->value) != type)
        return true;
    count = type == JSON_STRING  ? string_length(f->value)
            : type == JSON_ARRAY ? json_array_size(f->value)
                                 : json_object_size(f->value);
    if (max ? count <= rule->limit : count >= rule->limit)
        return true;
    return COMPLAIN(run, f->path, rule->keyword, "must %s %s %zu %s", type == JSON_STRING ? "be" : "have",
                    max ? "at most" : "at least", rule->limit,
                    rule->limit == 1 ? kinds[rule->kind].one : kinds[rule->kind].many);
}

static bool check_pattern(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    if (!json_is_string(f->value))
        return true;
    switch (schema_match(run, rule->pattern, f->path, rule->keyword, json_string_value(f->value),
                         json_string_length(f->value))) {
    case PATTERN_MATCHES: return true;
    case PATTERN_LIMIT: return false;
    default:
        return COMPLAIN(run, f->path, rule->keyword, "must match the pattern %s", schema_pattern_source(rule->pattern));
    }
}

static bool check_format(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    if (!json_is_string(f->value) || !(run->flags & SCHEMA_FORMATS || node->always_formats))
        return true;
    if (rule->format->accepts(json_string_value(f->value), json_string_length(f->value)))
        return true;
    return COMPLAIN(run, f->path, rule->keyword, "%s", rule->format->reason);
}

struct hashed {
    uint64_t hash;
    const json_t *value;
};

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct hashed *)a)->hash, y = ((const struct hashed *)b)->hash;

    return (x > y) - (x < y);
}

static bool holds_twins(struct run *run, const struct hashed *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count && items[j].hash == items[i].hash && run->steps > 0; j++)
            if (schema_equal(items[i].value, items[j].value, &run->steps))
                return true;
    return false;
}

static bool check_unique(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    size_t count = json_array_size(f->value);
    struct hashed *items;
    bool twins;

    if (count < 2)
        return true;
    items = calloc(count, sizeof *items);
    if (!items)
        return schema_stop(run, f->path, rule->keyword, "could not be checked: out of memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(f->value, i);
        items[i] = (struct hashed){ schema_hash(item), item };
    }
    qsort(items, count, sizeof *items, by_hash);
    twins = holds_twins(run, items, count);
    free(items);
    if (schema_out_of_steps(run, f, rule->keyword))
        return false;
    return !twins || COMPLAIN(run, f->path, rule->keyword, "must not hold the same item twice");
}

static bool check_required(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    bool valid = true;

    if (!json_is_object(f->value))
        return true;
    for (size_t i = 0; i < rule->required.count; i++) {
        struct path missing = { f->path, rule->required.names[i], 0 };
        if (json_object_get(f->value, missing.key))
            continue;
        valid = COMPLAIN(run, &missing, rule->keyword, "is required");
        if (enough(run))
            break;
    }
    return valid;
}

static bool check_dependent(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    bool valid = true;

    for (size_t i = 0; json_is_object(f->value) && i < rule->dependent.count; i++) {
        const struct name_list *list = &rule->dependent.lists[i];
        if (!json_object_get(f->value, list->name))
            continue;
        for (size_t j = 0; j < list->count; j++) {
            struct path missing = { f->path, list->names[j], 0 };
            if (!json_object_get(f->value, missing.key))
                valid = COMPLAIN(run, &missing, rule->keyword, "is required beside \"%s\"", list->name);
        }
    }
    return valid;
}

static bool (*const checks[RULE_KINDS])(struct run *, const struct node *, const struct rule *,
                                        const struct frame *) = {
    [RULE_TYPE] = check_type,
    [RULE_ENUM] = check_enum,
    [RULE_CONST] = check_const,
    [RULE_MULTIPLE_OF] = check_number,
    [RULE_MAXIMUM] = check_number,
    [RULE_EXCLUSIVE_MAXIMUM] = check_number,
    [RULE_MINIMUM] = check_number,
    [RULE_EXCLUSIVE_MINIMUM] = check_number,
    [RULE_MAX_LENGTH] = check_count,
    [RULE_MIN_LENGTH] = check_count,
    [RULE_PATTERN] = check_pattern,
    [RULE_FORMAT] = check_format,
    [RULE_MAX_ITEMS] = check_count,
    [RULE_MIN_ITEMS] = check_count,
    [RULE_UNIQUE_ITEMS] = check_unique,
    [RULE_MAX_PROPERTIES] = check_count,
    [RULE_MIN_PROPERTIES] = check_count,
    [RULE_REQUIRED] = check_required,
    [RULE_DEPENDENT_REQUIRED] = check_dependent,
};

bool schema_assert(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f)
{
    return checks[rule->kind](run, node, rule, f);
}
