#include "base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ---- lines ---- */

/* One value; the items of a list have no name and stand in order. */
struct place {
    char *name;
    unsigned line;
    struct place *first, *next;
};

enum { PLACES_IN_BLOCK = 128 };

struct block {
    struct block *next;
    size_t used;
    struct place places[PLACES_IN_BLOCK];
};

struct yaml_lines {
    struct place root;
    struct block *blocks; /* an alias shares its anchor's places, so they are freed as a whole */
};

static struct place *place_new(struct yaml_lines *lines, const char *name, unsigned line)
{
    struct block *block = lines->blocks;
    struct place *place;

    if (!block || block->used == PLACES_IN_BLOCK) {
        block = calloc(1, sizeof *block);
        if (!block)
            return NULL;
        block->next = lines->blocks;
        lines->blocks = block;
    }
    place = &block->places[block->used];
    place->line = line;
    if (name && !(place->name = strdup(name)))
        return NULL;
    block->used++;
    return place;
}

void yaml_lines_free(struct yaml_lines *lines)
{
    if (!lines)
        return;
    for (struct block *block = lines->blocks, *next; block; block = next) {
        next = block->next;
        for (size_t i = 0; i < block->used; i++)
            free(block->places[i].name);
        free(block);
    }
    free(lines);
}

/* Whether a name is what an escaped token of a JSON Pointer stands for. */
static bool token_is(const char *token, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++, name++) {
        char c = token[i];
        if (c == '~' && i + 1 < length && (token[i + 1] == '0' || token[i + 1] == '1'))
            c = token[++i] == '0' ? '~' : '/';
        if (*name != c)
            return false;
    }
    return *name == 0;
}

static const struct place *place_child(const struct place *parent, const char *token, size_t length)
{
    const struct place *child = parent->first;
    size_t index;

    if (child && child->name) {
        while (child && !token_is(token, length, child->name))
            child = child->next;
        return child;
    }
    if (length == 0 || length > 9 || strspn(token, "0123456789") < length)
        return NULL;
    for (index = strtoul(token, NULL, 10); child && index > 0; index--)
        child = child->next;
    return child;
}

unsigned yaml_line_of(const struct yaml_lines *lines, const char *pointer)
{
    const struct place *place = &lines->root, *child;

    while (*pointer == '/') {
        size_t length = strcspn(++pointer, "/");
        child = place_child(place, pointer, length);
        if (!child)
            break;
        place = child;
        pointer += length;
    }
    return place->line;
}

/* ---- loading ---- */

struct anchor {
    struct anchor *next;
    char *name;
    json_t *value; /* NULL while its node is being read */
    size_t values; /* how many the value holds, itself included */
    struct place *places; /* of its members or items */
};

struct loader {
    yaml_parser_t parser;
    const char *text;
    size_t size;
    size_t left; /* values that may still be made */
    bool octal_zero;
    unsigned depth;
    struct anchor *anchors;
    struct yaml_lines *lines; /* NULL: nobody asks */
    struct error *e;
    int failure; /* what the failure, once told, returned; on the way up it is just negative */
};

PRINTF_LIKE(4, 5)
static int fail_as(struct loader *l, enum error_code code, yaml_mark_t mark, const char *format, ...)
{
    char message[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return l->failure = error_set(l->e, code, "line %zu, column %zu: %s", mark.line + 1, mark.column + 1, message);
}

#define fail(l, mark, ...) fail_as(l, ERR_MALFORMED, mark, __VA_ARGS__)

static int no_memory(struct loader *l)
{
    return l->failure = error_errno(l->e, -ENOMEM, "Reading YAML");
}

/* libyaml gives a reader's error an offset only. */
static yaml_mark_t mark_of_offset(const struct loader *l)
{
    yaml_mark_t mark = { 0, 0, 0 };

    for (size_t i = 0; i < l->parser.problem_offset && i < l->size; i++) {
        mark.column++;
        if (l->text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static int next_event(struct loader *l, yaml_event_t *event)
{
    const yaml_parser_t *p = &l->parser;

    if (yaml_parser_parse(&l->parser, event))
        return 0;
    if (p->error == YAML_READER_ERROR)
        return fail(l, mark_of_offset(l), "%s", p->problem);
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(l);
    return fail(l, p->problem_mark, "%s%s%s", p->problem ? p->problem : "not YAML", p->context ? ", " : "",
                p->context ? p->context : "");
}

/* One value costs one of those left. */
static int spend(struct loader *l, yaml_mark_t mark, size_t values)
{
    if (values > l->left)
        return fail_as(l, ERR_TOO_LARGE, mark, "the document holds too many values once its aliases are expanded");
    l->left -= values;
    return 0;
}

/* ---- scalars ---- */

static size_t skip_digits(const char *text, size_t at)
{
    while (isdigit((unsigned char)text[at]))
        at++;
    return at;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
    size_t at = *text == '-' || *text == '+', whole = at, start;

    at = skip_digits(text, at);
    whole = at - whole;
    if (text[at] == '.') {
        start = ++at;
        at = skip_digits(text, at);
        if (whole == 0 && at == start)
            return false;
    } else if (whole == 0) {
        return false;
    }
    if (text[at] == 'e' || text[at] == 'E') {
        at++;
        at += text[at] == '-' || text[at] == '+';
        start = at;
        at = skip_digits(text, at);
        if (at == start)
            return false;
    }
    return text[at] == 0;
}

/* 10 for a decimal integer, 8 and 16 for 0o and 0x, 0 for none. */
static int integer_base(const char *text, bool octal_zero)
{
    size_t sign = *text == '-' || *text == '+';
    const char *digits = text + sign;

    if (text[0] == '0' && text[1] == 'o' && text[2])
        return text[2 + strspn(text + 2, "01234567")] ? 0 : 8;
    if (text[0] == '0' && text[1] == 'x' && text[2])
        return text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] ? 0 : 16;
    if (octal_zero && digits[0] == '0' && digits[1] && !digits[strspn(digits, "01234567")])
        return 8;
    return isdigit((unsigned char)*digits) && !text[skip_digits(text, sign)] ? 10 : 0;
}

static bool is_one_of(const char *text, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(text, *names) == 0)
            return true;
    return false;
}

static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const trues[] = { "true", "True", "TRUE", NULL };
static const char *const falses[] = { "false", "False", "FALSE", NULL };
static const char *const not_finite[] = { ".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                          "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL };

/* The value a plain scalar means; NULL in `ret` leaves it text. */
static int resolve_plain(struct loader *l, yaml_mark_t mark, const char *text, json_t **ret)
{
    int base = integer_base(text, l->octal_zero);
    bool prefixed = base && text[0] == '0' && (text[1] == 'o' || text[1] == 'x');

    *ret = NULL;
    if (is_one_of(text, nulls)) {
        *ret = json_null();
    } else if (is_one_of(text, trues)) {
        *ret = json_true();
    } else if (is_one_of(text, falses)) {
        *ret = json_false();
    } else if (base) {
        errno = 0;
        long long number = strtoll(prefixed ? text + 2 : text, NULL, base);
        if (errno == ERANGE)
            return fail(l, mark, "%.40s does not fit 64 bits; quote it if it is text", text);
        *ret = json_integer(number);
    } else if (is_float(text)) {
        double real = strtod(text, NULL);
        if (!isfinite(real))
            return fail(l, mark, "%.40s is too large for a number", text);
        *ret = json_real(real);
    } else if (is_one_of(text, not_finite)) {
        return fail(l, mark, "%s is not a number JSON knows; quote it if it is text", text);
    }
    return 0;
}

enum { TAG_PREFIX = sizeof "tag:yaml.org,2002:" - 1 };

/* "int" of tag:yaml.org,2002:int; "str" for "!"; NULL for none, or another's. */
static const char *core_tag(const char *tag)
{
    if (!tag)
        return NULL;
    if (strcmp(tag, "!") == 0)
        return "str";
    return strncmp(tag, "tag:yaml.org,2002:", TAG_PREFIX) == 0 ? tag + TAG_PREFIX : NULL;
}

static int check_tag(struct loader *l, const yaml_event_t *event, const char *tag, const char *const *allowed)
{
    const char *core = core_tag(tag);

    if (!tag || (core && is_one_of(core, allowed)))
        return 0;
    return fail(l, event->start_mark, "the tag %.60s is not known here", tag);
}

static bool tag_fits(const char *tag, const json_t *value)
{
    if (strcmp(tag, "null") == 0)
        return json_is_null(value);
    if (strcmp(tag, "bool") == 0)
        return json_is_boolean(value);
    if (strcmp(tag, "int") == 0)
        return json_is_integer(value);
    return json_is_number(value);
}

static int load_scalar(struct loader *l, const yaml_event_t *event, json_t **ret)
{
    static const char *const tags[] = { "str", "null", "bool", "int", "float", NULL };
    const char *tag = (const char *)event->data.scalar.tag, *core = core_tag(tag);
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    bool typed = core && strcmp(core, "str") != 0;
    json_t *value = NULL;

    if (check_tag(l, event, tag, tags) < 0)
        return -1;
    if (typed || (!core && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)) {
        if (strlen(text) == length && resolve_plain(l, event->start_mark, text, &value) < 0)
            return -1;
        if (typed && (!value || !tag_fits(core, value))) {
            json_decref(value);
            return fail(l, event->start_mark, "%.40s is not of the type !!%s", text, core);
        }
    }
    if (!value)
        value = json_stringn(text, length);
    if (!value)
        return fail(l, event->start_mark, "this text is not UTF-8");
    *ret = value;
    return 0;
}

/* ---- anchors ---- */

static struct anchor *anchor_find(const struct loader *l, const char *name)
{
    for (struct anchor *a = l->anchors; a; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

/* The newest definition comes first, so it is the one later aliases mean. */
static struct anchor *anchor_new(struct loader *l, const yaml_event_t *event, const char *name)
{
    struct anchor *anchor = calloc(1, sizeof *anchor);

    if (anchor)
        anchor->name = strdup(name);
    if (!anchor || !anchor->name) {
        free(anchor);
        no_memory(l);
        return NULL;
    }
    anchor->next = l->anchors;
    l->anchors = anchor;
    return anchor;
}

static void anchors_free(struct anchor *anchor)
{
    for (struct anchor *next; anchor; anchor = next) {
        next = anchor->next;
        json_decref(anchor->value);
        free(anchor->name);
        free(anchor);
    }
}

static int load_alias(struct loader *l, const yaml_event_t *event, struct place *place, json_t **ret)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = anchor_find(l, name);

    if (!anchor)
        return fail(l, event->start_mark, "the alias *%.60s has no anchor", name);
    if (!anchor->value)
        return fail(l, event->start_mark, "the alias *%.60s stands inside what it refers to", name);
    if (spend(l, event->start_mark, anchor->values) < 0)
        return -1;
    if (place)
        place->first = anchor->places;
    *ret = json_deep_copy(anchor->value);
    return *ret ? 0 : no_memory(l);
}

/* ---- collections ---- */

static int load_node(struct loader *l, const yaml_event_t *event, struct place *place, json_t **ret);

/* A new place after *tail, which moves to it; NULL when nobody asks for lines. */
static int add_place(struct loader *l, struct place *parent, struct place **tail, const char *name, yaml_mark_t mark)
{
    struct place *place;

    if (!l->lines)
        return 0;
    place = place_new(l->lines, name, (unsigned)mark.line + 1);
    if (!place)
        return no_memory(l);
    if (*tail)
        (*tail)->next = place;
    else
        parent->first = place;
    *tail = place;
    return 0;
}

static int load_item(struct loader *l, const yaml_event_t *event, struct place *parent, struct place **tail,
                     json_t *list)
{
    json_t *item = NULL;

    if (add_place(l, parent, tail, NULL, event->start_mark) < 0 || load_node(l, event, *tail, &item) < 0)
        return -1;
    return json_array_append_new(list, item) < 0 ? no_memory(l) : 0;
}

static int load_sequence(struct loader *l, const yaml_event_t *start, struct place *place, json_t **ret)
{
    static const char *const tags[] = { "seq", NULL };
    json_t *list = json_array();
    struct place *tail = NULL;
    yaml_event_t event;
    bool end = false;
    int status = list ? check_tag(l, start, (const char *)start->data.sequence_start.tag, tags) : no_memory(l);

    while (status == 0 && !end) {
        status = next_event(l, &event);
        if (status < 0)
            break;
        end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end)
            status = load_item(l, &event, place, &tail, list);
        yaml_event_delete(&event);
    }
    if (status < 0) {
        json_decref(list);
        return -1;
    }
    *ret = list;
    return 0;
}

struct mapping {
    json_t *object;
    json_t *merges; /* the mapping or mappings of <<; NULL: none */
    struct place *place, *tail;
    struct place merged; /* where those stand */
};

static int load_merge(struct loader *l, struct mapping *m, yaml_mark_t mark)
{
    yaml_event_t event;
    int status;

    if (m->merges)
        return fail(l, mark, "the key << is given twice");
    if (next_event(l, &event) < 0)
        return -1;
    m->merged.line = (unsigned)mark.line + 1;
    status = load_node(l, &event, l->lines ? &m->merged : NULL, &m->merges);
    yaml_event_delete(&event);
    if (status < 0)
        return -1;
    bool good = json_is_object(m->merges) || json_is_array(m->merges);
    for (size_t i = 0; i < json_array_size(m->merges); i++)
        good &= json_is_object(json_array_get(m->merges, i));
    return good ? 0 : fail(l, mark, "<< takes a mapping or a list of mappings");
}

static int load_pair(struct loader *l, struct mapping *m, const yaml_event_t *key)
{
    const char *name = (const char *)key->data.scalar.value;
    yaml_event_t event;
    json_t *value = NULL;
    int status;

    if (key->type != YAML_SCALAR_EVENT)
        return fail(l, key->start_mark, "a key must be text");
    if (strlen(name) != key->data.scalar.length)
        return fail(l, key->start_mark, "a key must not hold a zero character");
    if (strcmp(name, "<<") == 0 && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return load_merge(l, m, key->start_mark);
    if (json_object_get(m->object, name))
        return fail(l, key->start_mark, "the key \"%.60s\" is given twice", name);
    if (add_place(l, m->place, &m->tail, name, key->start_mark) < 0 || next_event(l, &event) < 0)
        return -1;
    status = load_node(l, &event, m->tail, &value);
    yaml_event_delete(&event);
    if (status < 0)
        return -1;
    return json_object_set_new(m->object, name, value) < 0 ? no_memory(l) : 0;
}

/* Adds what the mapping does not say itself; of several, an earlier one wins. */
static int merge_object(struct loader *l, struct mapping *m, json_t *from, const struct place *places)
{
    const struct place *place = places ? places->first : NULL;
    const char *key;
    json_t *value;

    json_object_foreach (from, key, value) {
        if (json_object_get(m->object, key))
            continue;
        if (json_object_set(m->object, key, value) < 0)
            return no_memory(l);
        if (!l->lines)
            continue;
        for (place = places->first; place && strcmp(place->name, key) != 0;)
            place = place->next;
        yaml_mark_t mark = { .line = (place ? place->line : m->merged.line) - 1 };
        if (add_place(l, m->place, &m->tail, key, mark) < 0)
            return -1;
        m->tail->first = place ? place->first : NULL;
    }
    return 0;
}

static int merge_all(struct loader *l, struct mapping *m)
{
    const struct place *place = m->merged.first;

    if (json_is_object(m->merges))
        return merge_object(l, m, m->merges, &m->merged);
    for (size_t i = 0; i < json_array_size(m->merges); i++) {
        if (merge_object(l, m, json_array_get(m->merges, i), place) < 0)
            return -1;
        place = place ? place->next : NULL;
    }
    return 0;
}

static int load_mapping(struct loader *l, const yaml_event_t *start, struct place *place, json_t **ret)
{
    static const char *const tags[] = { "map", NULL };
    struct mapping m = { .object = json_object(), .place = place };
    yaml_event_t event;
    bool end = false;
    int status = m.object ? check_tag(l, start, (const char *)start->data.mapping_start.tag, tags) : no_memory(l);

    while (status == 0 && !end) {
        status = next_event(l, &event);
        if (status < 0)
            break;
        end = event.type == YAML_MAPPING_END_EVENT;
        if (!end)
            status = load_pair(l, &m, &event);
        yaml_event_delete(&event);
    }
    if (status == 0)
        status = merge_all(l, &m);
    json_decref(m.merges);
    if (status < 0) {
        json_decref(m.object);
        return -1;
    }
    *ret = m.object;
    return 0;
}

static const char *anchor_name(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return (const char *)event->data.mapping_start.anchor;
    default: return NULL;
    }
}

static int load_content(struct loader *l, const yaml_event_t *event, struct place *place, json_t **ret)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return load_scalar(l, event, ret);
    case YAML_SEQUENCE_START_EVENT: return load_sequence(l, event, place, ret);
    case YAML_MAPPING_START_EVENT: return load_mapping(l, event, place, ret);
    default: return fail(l, event->start_mark, "a value is missing here");
    }
}

static int load_node(struct loader *l, const yaml_event_t *event, struct place *place, json_t **ret)
{
    const char *name = anchor_name(event);
    struct anchor *anchor = NULL;
    size_t before = l->left;
    int status;

    if (event->type == YAML_ALIAS_EVENT)
        return load_alias(l, event, place, ret);
    if (l->depth >= YAML_MAX_DEPTH)
        return fail_as(l, ERR_TOO_LARGE, event->start_mark, "the document nests deeper than %d levels", YAML_MAX_DEPTH);
    if (spend(l, event->start_mark, 1) < 0)
        return -1;
    if (name && !(anchor = anchor_new(l, event, name)))
        return -1;
    l->depth++;
    status = load_content(l, event, place, ret);
    l->depth--;
    if (status == 0 && anchor) {
        anchor->value = json_incref(*ret);
        anchor->values = before - l->left;
        anchor->places = place ? place->first : NULL;
    }
    return status;
}

/* ---- the document ---- */

static int expect(struct loader *l, yaml_event_type_t type, const char *otherwise)
{
    yaml_event_t event;
    yaml_event_type_t got;
    yaml_mark_t mark;

    if (next_event(l, &event) < 0)
        return -1;
    got = event.type;
    mark = event.start_mark;
    yaml_event_delete(&event);
    return got == type ? 0 : fail(l, mark, "%s", otherwise);
}

static int load_document(struct loader *l, json_t **ret)
{
    struct place *root = l->lines ? &l->lines->root : NULL;
    yaml_event_t event;
    json_t *value = NULL;
    int status;

    if (expect(l, YAML_STREAM_START_EVENT, "not YAML") < 0 || next_event(l, &event) < 0)
        return -1;
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (empty) {
        *ret = json_null();
        return 0;
    }
    if (next_event(l, &event) < 0)
        return -1;
    if (root)
        root->line = (unsigned)event.start_mark.line + 1;
    status = load_node(l, &event, root, &value);
    yaml_event_delete(&event);
    if (status == 0)
        status = expect(l, YAML_DOCUMENT_END_EVENT, "the document does not end here");
    if (status == 0)
        status = expect(l, YAML_STREAM_END_EVENT, "a second document begins here; one is allowed");
    if (status < 0)
        json_decref(value);
    else
        *ret = value;
    return status;
}

int yaml_load_lines(const char *text, size_t size, struct yaml_options options, json_t **ret,
                    struct yaml_lines **ret_lines, struct error *e)
{
    size_t max_size = options.max_size ? options.max_size : YAML_DEFAULT_SIZE;
    size_t max_values = options.max_values ? options.max_values : YAML_DEFAULT_VALUES;
    struct loader l = { .text = text, .size = size, .left = max_values, .octal_zero = options.octal_zero, .e = e };
    int status;

    if (size > max_size)
        return error_set(e, ERR_TOO_LARGE, "the text is %zu bytes long; at most %zu are read", size, max_size);
    if (ret_lines && !(l.lines = calloc(1, sizeof *l.lines)))
        return no_memory(&l);
    if (l.lines)
        l.lines->root.line = 1;
    if (yaml_parser_initialize(&l.parser)) {
        yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, size);
        status = load_document(&l, ret);
        yaml_parser_delete(&l.parser);
    } else {
        status = no_memory(&l);
    }
    anchors_free(l.anchors);
    if (status < 0)
        yaml_lines_free(l.lines);
    else if (ret_lines)
        *ret_lines = l.lines;
    return status < 0 ? l.failure : 0;
}

int yaml_load(const char *text, size_t size, json_t **ret, struct error *e)
{
    return yaml_load_lines(text, size, (struct yaml_options){ 0 }, ret, NULL, e);
}
