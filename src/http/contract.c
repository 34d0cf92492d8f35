#include "http/contract.h"

#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"

#include <errno.h>
#include <stdio.h>

#define DOCUMENT "openapi"
#define POINTER_BYTES 512

struct contract {
    struct schema_set *schemas;
    struct operation *operations;
    size_t count;
    struct blob *json;
};

/* A value of the document and the JSON Pointer that leads to it: schemas are compiled by their place. */
struct place {
    json_t *value;
    char pointer[POINTER_BYTES];
};

struct loading {
    struct contract *c;
    json_t *root;
    struct operation *op;
    struct error *e;
};

static int fault(struct loading *l, const char *what, const char *where)
{
    return error_set(l->e, ERR_VALIDATION, "The contract is not usable: %s (at %s)", what, where);
}

/* A pointer in a URI fragment: "~" and "/" are escaped for the pointer, the rest percent-encoded for the URI. */
static void append_step(char *pointer, const char *key)
{
    size_t used = strlen(pointer);
    used += (size_t)snprintf(pointer + used, POINTER_BYTES - used, "/");
    for (; *key && used + 4 < POINTER_BYTES; key++) {
        unsigned char c = (unsigned char)*key;
        if (c == '~' || c == '/')
            used += (size_t)snprintf(pointer + used, POINTER_BYTES - used, c == '~' ? "~0" : "~1");
        else if (c <= ' ' || c > '~' || strchr("%{}\"<>\\^`|#[]", c))
            used += (size_t)snprintf(pointer + used, POINTER_BYTES - used, "%%%02X", c);
        else
            pointer[used++] = (char)c, pointer[used] = '\0';
    }
}

/* Follows `{"$ref": "#/a/b"}` to its end; a circle or a dangling one is a fault. */
static int follow(struct loading *l, struct place *p)
{
    for (int hops = 0; json_object_get(p->value, "$ref"); hops++) {
        const char *ref = json_string_value(json_object_get(p->value, "$ref"));
        if (!ref || !str_starts(ref, "#/") || hops > 8 || strlen(ref) >= POINTER_BYTES)
            return fault(l, "a $ref that is not \"#/…\", or goes in a circle", p->pointer);
        char path[POINTER_BYTES], *save = NULL;
        str_copy(path, sizeof path, ref + 2);
        json_t *at = l->root;
        for (char *key = strtok_r(path, "/", &save); key && at; key = strtok_r(NULL, "/", &save))
            at = json_object_get(at, key);
        if (!at)
            return fault(l, "a $ref that leads nowhere", ref);
        p->value = at;
        str_copy(p->pointer, sizeof p->pointer, ref + 1);
    }
    return 0;
}

/* The member of an object, its reference followed; value NULL when absent. */
static int enter(struct loading *l, const struct place *from, const char *key, struct place *ret)
{
    str_copy(ret->pointer, sizeof ret->pointer, from->pointer);
    append_step(ret->pointer, key);
    ret->value = json_object_get(from->value, key);
    return ret->value ? follow(l, ret) : 0;
}

static int enter_index(struct loading *l, const struct place *from, size_t i, struct place *ret)
{
    char key[24];
    (void)snprintf(key, sizeof key, "%zu", i);
    str_copy(ret->pointer, sizeof ret->pointer, from->pointer);
    append_step(ret->pointer, key);
    ret->value = json_array_get(from->value, i);
    return follow(l, ret);
}

static int compile(struct loading *l, const struct place *at, const struct schema **ret)
{
    char uri[POINTER_BYTES + 16], reason[256] = "";
    (void)snprintf(uri, sizeof uri, DOCUMENT "#%s", at->pointer);
    *ret = schema_compile(l->c->schemas, uri, reason, sizeof reason);
    return *ret ? 0 : fault(l, reason, at->pointer);
}

/* Appends a zeroed element to an array that grows by doubling; NULL: no memory. */
static void *grow(void *array, size_t *count, size_t size)
{
    void *items;
    memcpy(&items, array, sizeof items);
    if ((*count & (*count - 1)) == 0) {
        items = realloc(items, (*count ? *count * 2 : 1) * size);
        if (!items)
            return NULL;
        memcpy(array, &items, sizeof items);
    }
    char *element = (char *)items + *count * size;
    memset(element, 0, size);
    *count += 1;
    return element;
}

static int no_memory(struct loading *l)
{
    return error_errno(l->e, -ENOMEM, "Loading the contract");
}

static int load_content(struct loading *l, const struct place *holder, struct media **ret, size_t *ret_count)
{
    struct place content, entry, schema;
    int r = enter(l, holder, "content", &content);
    if (r < 0 || !content.value)
        return r;
    const char *type;
    json_t *ignored;
    json_object_foreach (content.value, type, ignored) {
        struct media *m = grow(ret, ret_count, sizeof *m);
        if (!m || !(m->type = strndup(type, strcspn(type, "; "))))
            return no_memory(l);
        r = enter(l, &content, type, &entry);
        if (r < 0)
            return r;
        /* The schema's own place, its $ref unfollowed: the compiler follows it. */
        str_copy(schema.pointer, sizeof schema.pointer, entry.pointer);
        append_step(schema.pointer, "schema");
        bool is_json = str_eq(m->type, "application/json") || str_ends(m->type, "+json");
        if (json_object_get(entry.value, "schema") && is_json && (r = compile(l, &schema, &m->schema)) < 0)
            return r;
    }
    return 0;
}

static int load_body(struct loading *l, const struct place *op)
{
    struct place body;
    int r = enter(l, op, "requestBody", &body);
    if (r < 0)
        return r;
    l->op->body_limit = (size_t)json_int(op->value, "x-body-limit", CONTRACT_BODY_LIMIT);
    if (!body.value)
        return 0;
    l->op->body_required = json_flag(body.value, "required", false);
    return load_content(l, &body, &l->op->body, &l->op->body_count);
}

static int parse_status(const char *text, unsigned *ret)
{
    if (str_eq(text, "default")) {
        *ret = 0;
        return 0;
    }
    if (strlen(text) != 3 || text[0] < '1' || text[0] > '5')
        return -EINVAL;
    if (str_ieq(text + 1, "xx"))
        *ret = (unsigned)(text[0] - '0');
    else
        *ret = (unsigned)strtoul(text, NULL, 10);
    return *ret < 6 || *ret >= 100 ? 0 : -EINVAL;
}

static int load_replies(struct loading *l, const struct place *op)
{
    struct place all, one;
    int r = enter(l, op, "responses", &all);
    if (r < 0)
        return r;
    if (!json_object_size(all.value))
        return fault(l, "an operation without responses", op->pointer);
    const char *status;
    json_t *ignored;
    json_object_foreach (all.value, status, ignored) {
        struct reply_form *form = grow(&l->op->replies, &l->op->reply_count, sizeof *form);
        if (!form)
            return no_memory(l);
        if (parse_status(status, &form->status) < 0)
            return fault(l, "a response key that is no status", all.pointer);
        r = enter(l, &all, status, &one);
        if (r == 0)
            r = load_content(l, &one, &form->media, &form->media_count);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < l->op->reply_count && !l->op->success_count; i++) {
        const struct reply_form *form = &l->op->replies[i];
        if (form->status == 2 || form->status / 100 == 2) {
            l->op->success = form->media;
            l->op->success_count = form->media_count;
        }
    }
    return 0;
}

static int find_segment(const char *path, const char *name, unsigned *ret)
{
    char wanted[128];
    (void)snprintf(wanted, sizeof wanted, "{%s}", name);
    size_t n = strlen(wanted);
    *ret = 0;
    for (const char *p = path; *p == '/'; p += strcspn(p, "/"), ++*ret) {
        p++;
        if (strncmp(p, wanted, n) == 0 && (p[n] == '/' || !p[n]))
            return 0;
    }
    return -ENOENT;
}

static bool schema_is_list(struct loading *l, const struct place *param, json_t **ret_default)
{
    struct place schema;
    if (enter(l, param, "schema", &schema) < 0)
        return false;
    *ret_default = json_object_get(schema.value, "default");
    return str_eq(json_str(schema.value, "type"), "array");
}

static struct param *same_param(struct operation *op, const char *name, enum param_in in)
{
    for (size_t i = 0; i < op->param_count; i++)
        if (op->params[i].in == in && str_eq(op->params[i].name, name))
            return &op->params[i];
    return NULL;
}

static int load_param(struct loading *l, const struct place *at)
{
    static const char *const places[] = { [PARAM_PATH] = "path", [PARAM_QUERY] = "query", [PARAM_HEADER] = "header" };
    const char *name = json_str(at->value, "name"), *in = json_str(at->value, "in");
    enum param_in place = PARAM_PATH;
    while (place < ARRAY_LEN(places) && !str_eq(in, places[place]))
        place++;
    if (!name || place == ARRAY_LEN(places) || !json_object_get(at->value, "schema"))
        return fault(l, "a parameter needs a name, a schema and in: path, query or header", at->pointer);
    /* The operation's own parameters come first and win over its path's. */
    if (same_param(l->op, name, place))
        return 0;
    if (l->op->param_count == CONTRACT_PARAMS)
        return fault(l, "too many parameters", at->pointer);
    struct param *p = grow(&l->op->params, &l->op->param_count, sizeof *p);
    if (!p || !(p->name = strdup(name)))
        return no_memory(l);
    p->in = place;
    p->required = json_flag(at->value, "required", false);
    json_t *fallback = NULL;
    p->commas = json_flag(at->value, "x-comma-separated", false);
    p->list = schema_is_list(l, at, &fallback);
    p->fallback = fallback ? json_deep_copy(fallback) : NULL;
    if (place == PARAM_PATH && find_segment(l->op->path, name, &p->segment) < 0)
        return fault(l, "a path parameter that its path does not have", at->pointer);
    struct place schema;
    str_copy(schema.pointer, sizeof schema.pointer, at->pointer);
    append_step(schema.pointer, "schema");
    return compile(l, &schema, &p->schema);
}

static int load_params(struct loading *l, const struct place *holder)
{
    struct place list, one;
    int r = enter(l, holder, "parameters", &list);
    for (size_t i = 0; r == 0 && i < json_array_size(list.value); i++) {
        r = enter_index(l, &list, i, &one);
        if (r == 0)
            r = load_param(l, &one);
    }
    return r;
}

static int check_path_params(struct loading *l, const char *where)
{
    unsigned templates = 0, declared = 0;
    for (const char *p = l->op->path; *p; p++)
        templates += *p == '{';
    for (size_t i = 0; i < l->op->param_count; i++)
        declared += l->op->params[i].in == PARAM_PATH;
    return templates == declared ? 0 : fault(l, "a path whose parameters are not all declared", where);
}

/* "https://host/v1/" and "/v1" both mean the base "/v1"; "/" means none. */
static char *base_of(json_t *root, json_t *item, json_t *op)
{
    const char *url = NULL;
    json_t *holders[] = { op, item, root };
    for (size_t i = 0; i < ARRAY_LEN(holders) && !url; i++)
        url = json_string_value(json_object_get(json_array_get(json_object_get(holders[i], "servers"), 0), "url"));
    if (!url)
        url = "/";
    const char *host = strstr(url, "://");
    if (host) {
        url = strchr(host + 3, '/');
        if (!url)
            url = "";
    }
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    return strndup(url, n);
}

static int load_operation(struct loading *l, const struct place *item, const char *path, const char *method,
                          enum http_method m)
{
    struct place at;
    int r = enter(l, item, method, &at);
    if (r < 0)
        return r;
    _cleanup_free_ char *base = base_of(l->root, item->value, at.value);
    const char *id = json_str(at.value, "operationId"), *role = json_str(at.value, "x-role");
    if (!id || contract_operation(l->c, id))
        return fault(l, id ? "two operations of one operationId" : "an operation without operationId", at.pointer);
    struct operation *op = l->op = grow(&l->c->operations, &l->c->count, sizeof *op);
    if (!op || !base || !(op->id = strdup(id)) || !(op->path = str_printf("%s%s", base, path)))
        return no_memory(l);
    op->counts = calloc(1, sizeof *op->counts);
    if (!op->counts)
        return no_memory(l);
    op->method = m;
    const char *summary = json_str(at.value, "summary");
    op->summary = summary ? strdup(summary) : NULL;
    op->streams = json_flag(at.value, "x-stream", false);
    op->raw_body = json_flag(at.value, "x-raw-body", false);
    if (!role || role_parse(role, &op->role) < 0)
        return fault(l, "an operation without x-role (public, viewer, operator, admin)", at.pointer);
    if ((r = load_params(l, &at)) < 0 || (r = load_params(l, item)) < 0 || (r = check_path_params(l, at.pointer)) < 0 ||
        (r = load_body(l, &at)) < 0)
        return r;
    return load_replies(l, &at);
}

static int load_paths(struct loading *l)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = { { "get", HTTP_GET },
                    { "post", HTTP_POST },
                    { "put", HTTP_PUT },
                    { "patch", HTTP_PATCH },
                    { "delete", HTTP_DELETE } };
    struct place root = { l->root, "" }, paths, item;
    int r = enter(l, &root, "paths", &paths);
    if (r < 0)
        return r;
    if (!json_object_size(paths.value))
        return fault(l, "no paths", "/");
    const char *path;
    json_t *ignored;
    json_object_foreach (paths.value, path, ignored) {
        r = enter(l, &paths, path, &item);
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(methods); i++)
            if (json_object_get(item.value, methods[i].name))
                r = load_operation(l, &item, path, methods[i].name, methods[i].method);
        if (r < 0)
            return r;
    }
    return 0;
}

static int keep_json(struct loading *l)
{
    size_t len = 0;
    _cleanup_free_ char *text = json_text(l->root, &len);
    l->c->json = text ? blob_new(text, len) : NULL;
    return l->c->json ? 0 : no_memory(l);
}

static int load_all(struct loading *l)
{
    char reason[256] = "";
    l->c->schemas = schema_set_new(SCHEMA_DRAFT_2020_12);
    if (!l->c->schemas)
        return no_memory(l);
    if (schema_set_add(l->c->schemas, DOCUMENT, l->root, reason, sizeof reason) < 0)
        return fault(l, reason, "/");
    int r = load_paths(l);
    return r < 0 ? r : keep_json(l);
}

int contract_load(const char *yaml, size_t len, struct contract **ret, struct error *e)
{
    _cleanup_json_ json_t *root = NULL;
    int r = yaml_load(yaml, len, &root, e);
    if (r < 0) {
        error_prefix(e, "The contract cannot be read");
        return r;
    }
    struct contract *c = calloc(1, sizeof *c);
    if (!c)
        return error_errno(e, -ENOMEM, "Loading the contract");
    struct loading l = { .c = c, .root = root, .e = e };
    r = load_all(&l);
    if (r < 0) {
        contract_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static void media_free(struct media *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(m[i].type);
    free(m);
}

static void operation_done(struct operation *op)
{
    for (size_t i = 0; i < op->param_count; i++) {
        free(op->params[i].name);
        json_decref(op->params[i].fallback);
    }
    for (size_t i = 0; i < op->reply_count; i++)
        media_free(op->replies[i].media, op->replies[i].media_count);
    media_free(op->body, op->body_count);
    free(op->params);
    free(op->replies);
    free(op->path);
    free(op->counts);
    free(op->summary);
    free(op->id);
}

void contract_free(struct contract *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        operation_done(&c->operations[i]);
    free(c->operations);
    schema_set_free(c->schemas);
    blob_unref(c->json);
    free(c);
}

struct operation *contract_operations(struct contract *c, size_t *ret_count)
{
    *ret_count = c->count;
    return c->operations;
}

struct operation *contract_operation(struct contract *c, const char *id)
{
    for (size_t i = 0; i < c->count; i++)
        if (str_eq(c->operations[i].id, id))
            return &c->operations[i];
    return NULL;
}

struct blob *contract_json(const struct contract *c)
{
    return c->json;
}

const struct reply_form *contract_reply(const struct operation *op, int status)
{
    const struct reply_form *range = NULL, *fallback = NULL;
    for (size_t i = 0; i < op->reply_count; i++) {
        const struct reply_form *form = &op->replies[i];
        if (form->status == (unsigned)status)
            return form;
        if (form->status == (unsigned)status / 100)
            range = form;
        if (!form->status)
            fallback = form;
    }
    return range ? range : fallback;
}
