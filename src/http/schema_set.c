/* The documents of a set: their memory, their index of resources and anchors,
 * and the resolution of references between them. */
#include "http/schema_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int schema_fail(struct reason reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (reason.size > 0)
        vsnprintf(reason.text, reason.size, format, arguments);
    va_end(arguments);
    return -1;
}

void *schema_alloc(struct schema_set *set, size_t count, size_t size)
{
    struct block *block;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - sizeof *block)
        return NULL;
    block = calloc(1, sizeof *block + bytes);
    if (!block)
        return NULL;
    block->next = set->blocks;
    set->blocks = block;
    return block->data;
}

char *schema_text(struct schema_set *set, const char *text, size_t length)
{
    char *copy = schema_alloc(set, length + 1, 1);

    if (copy)
        memcpy(copy, text, length);
    return copy;
}

/* ---- locations: which resource and node a schema object belongs to ---- */

static size_t location_slot(const struct location *table, size_t size, const json_t *at)
{
    size_t slot = (size_t)(((uintptr_t)at >> 4) * 0x9e3779b97f4a7c15u) & (size - 1);

    while (table[slot].at && table[slot].at != at)
        slot = (slot + 1) & (size - 1);
    return slot;
}

struct location *schema_location(struct schema_set *set, const json_t *at)
{
    struct location *found;

    if (set->location_size == 0)
        return NULL;
    found = &set->locations[location_slot(set->locations, set->location_size, at)];
    return found->at ? found : NULL;
}

static int locations_grow(struct schema_set *set)
{
    size_t size = set->location_size ? set->location_size * 2 : 256;
    struct location *table = calloc(size, sizeof *table);

    if (!table)
        return -1;
    for (size_t i = 0; i < set->location_size; i++)
        if (set->locations[i].at)
            table[location_slot(table, size, set->locations[i].at)] = set->locations[i];
    free(set->locations);
    set->locations = table;
    set->location_size = size;
    return 0;
}

static int location_add(struct schema_set *set, const json_t *at, struct resource *resource)
{
    if (set->location_count * 2 >= set->location_size && locations_grow(set) < 0)
        return -1;
    set->locations[location_slot(set->locations, set->location_size, at)] = (struct location){ at, resource, NULL };
    set->location_count++;
    return 0;
}

/* ---- resources and anchors ---- */

static struct resource *resource_find(struct schema_set *set, const char *uri)
{
    for (struct resource *r = set->resources; r; r = r->next)
        if (strcmp(r->uri, uri) == 0 || (r->alias && strcmp(r->alias, uri) == 0))
            return r;
    return NULL;
}

static struct resource *resource_add(struct schema_set *set, const char *uri, const json_t *root)
{
    struct resource *resource = schema_alloc(set, 1, sizeof *resource);

    if (!resource)
        return NULL;
    resource->uri = schema_text(set, uri, strcspn(uri, "#"));
    resource->root = root;
    resource->dialect = set->dialect;
    resource->dialect_known = true;
    if (!resource->uri)
        return NULL;
    resource->next = set->resources;
    set->resources = resource;
    return resource;
}

static struct anchor *anchor_find(const struct resource *resource, const char *name)
{
    for (struct anchor *a = resource->anchors; a; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static int anchor_add(struct schema_set *set, struct resource *resource, const char *name, const json_t *at,
                      bool dynamic, struct reason reason)
{
    struct anchor *anchor = anchor_find(resource, name);

    if (anchor && anchor->at != at)
        return schema_fail(reason, "the anchor \"%s\" is used twice in %s", name, resource->uri);
    if (!anchor) {
        anchor = schema_alloc(set, 1, sizeof *anchor);
        if (!anchor)
            return schema_fail(reason, "out of memory");
        *anchor = (struct anchor){ .next = resource->anchors, .name = name, .at = at };
        resource->anchors = anchor;
    }
    anchor->dynamic |= dynamic;
    return 0;
}

int schema_dialect(struct schema_set *set, struct resource *resource, struct reason reason)
{
    const char *uri = json_string_value(json_object_get(resource->root, "$schema"));
    struct resource *meta;
    const char *name;
    json_t *used;

    if (resource->dialect_known)
        return 0;
    meta = uri ? resource_find(set, uri) : NULL;
    if (!meta || meta == resource)
        return schema_fail(reason, "%s follows an unknown meta-schema: %s", resource->uri, uri ? uri : "");
    resource->dialect_known = true; /* before recursion: meta-schemas may name each other */
    if (schema_dialect(set, meta, reason) < 0)
        return -1;
    resource->dialect = meta->dialect;
    used = json_object_get(meta->root, "$vocabulary");
    if (!json_is_object(used))
        return 0;
    resource->dialect.vocabularies = 0;
    for (void *i = json_object_iter(used); i; i = json_object_iter_next(used, i)) {
        name = json_object_iter_key(i);
        unsigned vocabulary = schema_meta_vocabulary(name);
        if (!vocabulary && json_is_true(json_object_iter_value(i)))
            return schema_fail(reason, "%s requires an unknown vocabulary: %s", uri, name);
        resource->dialect.vocabularies |= vocabulary;
    }
    return 0;
}

/* Notes the dialect a resource's root asks for; one whose meta-schema is not
 * built in is settled when the resource is compiled. */
static void dialect_note(struct resource *resource)
{
    const char *uri = json_string_value(json_object_get(resource->root, "$schema"));

    if (uri && !schema_meta_dialect(uri, &resource->dialect))
        resource->dialect_known = false;
}

/* ---- indexing ---- */

struct walk {
    struct schema_set *set;
    struct reason reason;
    unsigned depth;
};

static int index_schema(struct walk *walk, const json_t *at, struct resource *in);

static int index_children(struct walk *walk, const json_t *value, enum subschemas shape, struct resource *in)
{
    if (json_is_object(value) && shape == SUBSCHEMAS_MAP) {
        for (void *i = json_object_iter((json_t *)value); i; i = json_object_iter_next((json_t *)value, i))
            if (index_schema(walk, json_object_iter_value(i), in) < 0)
                return -1;
        return 0;
    }
    if (json_is_array(value) && (shape == SUBSCHEMAS_LIST || shape == SUBSCHEMAS_ANY)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            if (index_schema(walk, json_array_get(value, i), in) < 0)
                return -1;
        return 0;
    }
    return shape == SUBSCHEMAS_ONE || shape == SUBSCHEMAS_ANY ? index_schema(walk, value, in) : 0;
}

/* An `$id` that opens a new resource; the root of a document already has one. */
static int index_id(struct walk *walk, const json_t *at, const char *id, struct resource **in)
{
    struct resource *resource;
    char *uri = schema_uri_resolve((*in)->uri, id);

    if (!uri)
        return schema_fail(walk->reason, "out of memory");
    uri[strcspn(uri, "#")] = 0;
    resource = resource_find(walk->set, uri);
    if (resource && resource->root != at) {
        schema_fail(walk->reason, "two schemas have the id %s", uri);
        free(uri);
        return -1;
    }
    if ((*in)->root == at && !resource) {
        resource = *in;
        resource->alias = resource->uri;
        resource->uri = schema_text(walk->set, uri, strlen(uri));
    } else if (!resource) {
        resource = resource_add(walk->set, uri, at);
        if (resource) {
            resource->dialect = (*in)->dialect;
            resource->dialect_known = (*in)->dialect_known;
            dialect_note(resource);
        }
    }
    free(uri);
    if (!resource || !resource->uri)
        return schema_fail(walk->reason, "out of memory");
    *in = resource;
    return 0;
}

static bool is_draft7(const json_t *at, const struct resource *in)
{
    const char *uri = json_string_value(json_object_get(at, "$schema"));
    struct dialect dialect = in->dialect;

    if (uri)
        schema_meta_dialect(uri, &dialect);
    return dialect.draft == SCHEMA_DRAFT_7;
}

/* `$id`, `$anchor` and `$dynamicAnchor` of one schema object. */
static int index_names(struct walk *walk, const json_t *at, struct resource **in)
{
    const char *id = json_string_value(json_object_get(at, "$id"));
    const char *anchor = json_string_value(json_object_get(at, "$anchor"));
    const char *dynamic = json_string_value(json_object_get(at, "$dynamicAnchor"));
    bool draft7 = is_draft7(at, *in);

    if (draft7 && json_object_get(at, "$ref"))
        return 0; /* a `$ref` hides what stands beside it, the `$id` too */
    if (id && id[0] != '#' && index_id(walk, at, id, in) < 0)
        return -1;
    if (id && draft7) {
        const char *fragment = strchr(id, '#');
        return fragment && fragment[1] ? anchor_add(walk->set, *in, fragment + 1, at, false, walk->reason) : 0;
    }
    if (anchor && anchor_add(walk->set, *in, anchor, at, false, walk->reason) < 0)
        return -1;
    return dynamic ? anchor_add(walk->set, *in, dynamic, at, true, walk->reason) : 0;
}

static int index_schema(struct walk *walk, const json_t *at, struct resource *in)
{
    const char *keyword;
    enum subschemas shape;
    int result = 0;

    if (!json_is_object(at) || schema_location(walk->set, at))
        return 0;
    if (++walk->depth > SCHEMA_MAX_DEPTH)
        return schema_fail(walk->reason, "the schema nests deeper than %d levels", SCHEMA_MAX_DEPTH);
    if (index_names(walk, at, &in) < 0)
        return -1;
    if (location_add(walk->set, at, in) < 0)
        return schema_fail(walk->reason, "out of memory");
    for (size_t i = 0; result == 0 && (keyword = schema_subschemas(i, &shape)); i++) {
        const json_t *value = shape != SUBSCHEMAS_NONE ? json_object_get(at, keyword) : NULL;
        if (value)
            result = index_children(walk, value, shape, in);
    }
    walk->depth--;
    return result;
}

int schema_set_add(struct schema_set *set, const char *uri, const json_t *document, char *text, size_t size)
{
    struct reason reason = { text, size };
    struct walk walk = { set, reason, 0 };
    struct resource *resource;
    json_t *copy;

    copy = json_deep_copy(document); /* also parts what the caller's value shares: places are told by address */
    if (!copy || json_array_append_new(set->documents, copy) < 0)
        return schema_fail(reason, "out of memory");
    char *name = schema_text(set, uri, strcspn(uri, "#"));
    if (!name)
        return schema_fail(reason, "out of memory");
    if (resource_find(set, name))
        return schema_fail(reason, "there is already a document named %s", name);
    resource = resource_add(set, name, copy);
    if (!resource)
        return schema_fail(reason, "out of memory");
    dialect_note(resource);
    return index_schema(&walk, copy, resource);
}

/* ---- references ---- */

/* One step of a JSON Pointer from `at`; `token` is still escaped. */
static const json_t *pointer_step(const json_t *at, const char *token, size_t length)
{
    char *name, *out, *end;
    const json_t *next = NULL;
    unsigned long index;

    if (json_is_array(at)) {
        if (length == 0 || length > 9 || strspn(token, "0123456789") != length || (token[0] == '0' && length > 1))
            return NULL;
        index = strtoul(token, &end, 10);
        return json_array_get(at, index);
    }
    name = out = malloc(length + 1);
    if (!name)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (token[i] == '~' && i + 1 < length && (token[i + 1] == '0' || token[i + 1] == '1'))
            *out++ = token[++i] == '0' ? '~' : '/';
        else
            *out++ = token[i];
    }
    *out = 0;
    next = json_object_get(at, name);
    free(name);
    return next;
}

/* Follows a pointer, changing resource where it passes through another's root. */
static const json_t *pointer_follow(struct schema_set *set, const char *pointer, const json_t *at,
                                    struct resource **resource)
{
    while (at && *pointer == '/') {
        size_t length = strcspn(++pointer, "/");
        at = pointer_step(at, pointer, length);
        pointer += length;
        const struct location *known = at ? schema_location(set, at) : NULL;
        if (known)
            *resource = known->resource;
    }
    return *pointer ? NULL : at;
}

static const json_t *resolve_fragment(struct schema_set *set, const char *fragment, struct resource **resource,
                                      const char **dynamic)
{
    const struct anchor *anchor;

    if (*fragment == 0 || *fragment == '/')
        return pointer_follow(set, fragment, (*resource)->root, resource);
    anchor = anchor_find(*resource, fragment);
    if (!anchor)
        return NULL;
    if (anchor->dynamic)
        *dynamic = anchor->name;
    return anchor->at;
}

int schema_resolve(struct schema_set *set, struct resource *from, const char *ref, const json_t **ret_at,
                   struct resource **ret_resource, const char **ret_dynamic, struct reason reason)
{
    struct walk walk = { set, reason, 0 };
    char *uri = schema_uri_resolve(from ? from->uri : "", ref), *fragment = NULL;
    const char *dynamic = NULL;
    struct resource *resource;
    const json_t *at = NULL;

    if (!uri)
        return schema_fail(reason, "out of memory");
    fragment = uri + strcspn(uri, "#");
    if (*fragment)
        *fragment++ = 0;
    schema_uri_decode(fragment);
    resource = resource_find(set, uri);
    free(resource ? NULL : uri);
    if (!resource)
        return schema_fail(reason, "the reference %s leads to no known document", ref);
    at = resolve_fragment(set, fragment, &resource, &dynamic);
    free(uri);
    if (!at)
        return schema_fail(reason, "the reference %s leads nowhere", ref);
    if (!json_is_object(at) && !json_is_boolean(at))
        return schema_fail(reason, "the reference %s does not lead to a schema", ref);
    if (index_schema(&walk, at, resource) < 0) /* a place no keyword announced as a schema */
        return -1;
    *ret_at = at;
    *ret_resource = json_is_object(at) ? schema_location(set, at)->resource : resource;
    *ret_dynamic = dynamic;
    return 0;
}

struct schema_set *schema_set_new(enum schema_draft draft)
{
    struct schema_set *set = calloc(1, sizeof *set);
    struct reason reason = { NULL, 0 };

    if (!set)
        return NULL;
    set->dialect = (struct dialect){ draft, VOCABULARY_ALL };
    set->documents = json_array();
    if (!set->documents || schema_meta_add(set, reason) < 0) {
        schema_set_free(set);
        return NULL;
    }
    return set;
}

void schema_set_free(struct schema_set *set)
{
    if (!set)
        return;
    for (struct pattern *p = set->patterns, *next; p; p = next) {
        next = *schema_pattern_next(p);
        schema_pattern_free(p);
    }
    for (struct block *b = set->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    json_decref(set->documents);
    free(set->locations);
    free(set);
}
