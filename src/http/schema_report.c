/* Problems in words a person reads after the field's name, and where they are. */
#include "http/schema_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SHOWN = 60, VALUES_SHOWN = 12 };

static size_t token_length(const struct path *path)
{
    size_t length = 1;

    if (!path->key)
        return 1 + 20;
    for (const char *p = path->key; *p; p++)
        length += *p == '~' || *p == '/' ? 2 : 1;
    return length;
}

/* Writes the tokens from the root down; returns the end. */
static char *print_tokens(const struct path *path, char *out)
{
    if (!path)
        return out;
    out = print_tokens(path->up, out);
    *out++ = '/';
    if (!path->key)
        return out + sprintf(out, "%zu", path->index);
    for (const char *p = path->key; *p; p++) {
        if (*p == '~' || *p == '/')
            *out++ = '~';
        *out++ = *p == '~' ? '0' : *p == '/' ? '1' : *p;
    }
    return out;
}

char *schema_path_print(const struct path *path)
{
    size_t length = 1;
    char *text;

    for (const struct path *p = path; p; p = p->up)
        length += token_length(p);
    text = malloc(length);
    if (text)
        *print_tokens(path, text) = 0;
    return text;
}

void schema_problem_add(struct schema_result *result, const struct path *path, const char *keyword, const char *format,
                        ...)
{
    struct schema_problem problem = { .keyword = keyword };
    va_list arguments;

    if (result->count == SCHEMA_MAX_PROBLEMS) {
        result->truncated = true;
        return;
    }
    va_start(arguments, format);
    if (vasprintf(&problem.reason, format, arguments) < 0)
        problem.reason = NULL;
    va_end(arguments);
    problem.pointer = schema_path_print(path);
    if (problem.reason && problem.pointer) {
        result->problems[result->count++] = problem;
        return;
    }
    free(problem.reason);
    free(problem.pointer);
    result->truncated = true;
}

void schema_result_done(struct schema_result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < result->count; i++) {
        free(result->problems[i].pointer);
        free(result->problems[i].reason);
    }
    memset(result, 0, sizeof *result);
}

void schema_result_move(struct schema_result *to, struct schema_result *from)
{
    size_t moved = 0;

    to->truncated |= from->truncated;
    while (moved < from->count && to->count < SCHEMA_MAX_PROBLEMS)
        to->problems[to->count++] = from->problems[moved++];
    to->truncated |= moved < from->count;
    memmove(from->problems, from->problems + moved, (from->count - moved) * sizeof *from->problems);
    from->count -= moved;
    schema_result_done(from);
}

/* A wrong type of the value itself tells most that another form was meant, then
 * a wrong fixed value (a discriminator), then the number of problems. */
unsigned schema_result_distance(const struct schema_result *result, const struct path *path)
{
    unsigned distance = (unsigned)result->count;
    char *here = schema_path_print(path);
    size_t length = here ? strlen(here) : 0;

    for (size_t i = 0; here && i < result->count; i++) {
        const struct schema_problem *problem = &result->problems[i];
        const char *below = problem->pointer + length;
        bool fixed = strcmp(problem->keyword, "const") == 0 || strcmp(problem->keyword, "enum") == 0;
        if (*below == 0 && strcmp(problem->keyword, "type") == 0)
            distance += 10000;
        else if (fixed && !strchr(*below ? below + 1 : below, '/'))
            distance += 100;
    }
    free(here);
    return distance;
}

unsigned schema_type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return TYPE_OBJECT;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_STRING: return TYPE_STRING;
    case JSON_INTEGER: return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_REAL: return TYPE_NUMBER | (schema_number_is_integer(value) ? TYPE_INTEGER : 0);
    case JSON_TRUE:
    case JSON_FALSE: return TYPE_BOOLEAN;
    default: return TYPE_NULL;
    }
}

void schema_types_print(unsigned types, char *text, size_t size)
{
    static const char *const names[] = {
        "null", "true or false", "a whole number", "a number", "a string", "a list", "an object",
    };
    static const unsigned order[] = { 4, 2, 3, 1, 5, 6, 0 };
    const char *shown[7];
    size_t count = 0, used = 0;

    if (types & TYPE_NUMBER)
        types &= ~(unsigned)TYPE_INTEGER;
    for (size_t i = 0; i < 7; i++)
        if (types & 1u << order[i])
            shown[count++] = names[order[i]];
    text[0] = 0;
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 i == 0           ? ""
                                 : i + 1 == count ? " or "
                                                  : ", ",
                                 shown[i]);
}

/* Cuts what does not fit between characters, so the text stays UTF-8. */
static void cut(char *text, size_t size, const char *whole)
{
    size_t length = strlen(whole);

    if (length < size) {
        memcpy(text, whole, length + 1);
        return;
    }
    length = size - 4;
    while (length > 0 && ((unsigned char)whole[length] & 0xc0) == 0x80)
        length--;
    memcpy(text, whole, length);
    memcpy(text + length, "...", 4);
}

void schema_value_print(const json_t *value, char *text, size_t size)
{
    char *dump;

    if (json_is_number(value)) {
        schema_number_print(value, text, size);
        return;
    }
    dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    cut(text, size, dump ? dump : "another value");
    free(dump);
}

void schema_values_print(const json_t *values, char *text, size_t size)
{
    size_t count = json_array_size(values), used = 0;
    char one[VALUE_SHOWN];

    text[0] = 0;
    for (size_t i = 0; i < count && i < VALUES_SHOWN && used + VALUE_SHOWN + 8 < size; i++) {
        schema_value_print(json_array_get(values, i), one, sizeof one);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", one);
        if (i + 1 == VALUES_SHOWN && count > VALUES_SHOWN)
            snprintf(text + used, size - used, " or %zu others", count - VALUES_SHOWN);
    }
}
