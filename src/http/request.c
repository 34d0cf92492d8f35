#include "http/api_internal.h"

#include "base/id.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

static bool request_id_ok(const char *id)
{
    size_t n = id ? strlen(id) : 0;
    return n && n < REQUEST_ID_SIZE &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static void address_text(const struct sockaddr *sa, char *ret, size_t size)
{
    str_copy(ret, size, "local");
    if (sa && sa->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, ret, (socklen_t)size);
    if (!sa || sa->sa_family != AF_INET6)
        return;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(six))
        (void)inet_ntop(AF_INET, &six->s6_addr[12], ret, (socklen_t)size);
    else
        (void)inet_ntop(AF_INET6, six, ret, (socklen_t)size);
}

struct request *request_new(struct api *a, struct http_exchange *x)
{
    struct request *rq = malloc(sizeof *rq);
    if (!rq)
        return NULL;
    memset(rq, 0, offsetof(struct request, path)); /* the path's storage is big and written before it is read */
    rq->path.count = 0;
    rq->api = a;
    rq->x = x;
    rq->method = http_method(x);
    rq->began_us = api_now_us();
    str_copy(rq->actor.kind, sizeof rq->actor.kind, "anonymous");
    const char *given = http_header(x, "X-Request-Id");
    if (request_id_ok(given))
        str_copy(rq->id, sizeof rq->id, given);
    else
        (void)id_new(rq->id);
    address_text(http_peer(x), rq->address, sizeof rq->address);
    return rq;
}

void request_free(void *user)
{
    struct request *rq = user;
    if (!rq)
        return;
    for (size_t i = 0; i < CONTRACT_PARAMS; i++)
        json_decref(rq->params[i]);
    json_decref(rq->body);
    json_decref(rq->audit.before);
    json_decref(rq->audit.after);
    error_done(&rq->early);
    free(rq);
}

/* ---- checking by the contract: every finding becomes a detail, the first one also the message */

static void found(struct error *e, const char *pointer, const char *reason)
{
    if (e->code != ERR_VALIDATION) {
        e->code = ERR_VALIDATION;
        (void)snprintf(e->message, sizeof e->message, "%.200s %.280s.", *pointer ? pointer : "The body", reason);
    }
    error_detail(e, pointer, "%s", reason);
}

static void found_all(struct error *e, const char *prefix, const struct schema_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        char pointer[512];
        (void)snprintf(pointer, sizeof pointer, "%s%s", prefix, result->problems[i].pointer);
        found(e, pointer, result->problems[i].reason);
    }
}

static void check_value(const struct schema *schema, const json_t *value, const char *prefix, struct error *e)
{
    struct schema_result result = { 0 };
    if (!schema_validate(schema, value, SCHEMA_FORMATS, &result))
        found_all(e, prefix, &result);
    schema_result_done(&result);
}

/* "/" and the parameter's name, escaped as a JSON Pointer's token and cut to a sensible length. */
static const char *param_pointer(const char *name, char ret[160])
{
    size_t used = 0;
    ret[used++] = '/';
    for (; *name && used < 128; name++) {
        if (*name == '~' || *name == '/') {
            ret[used++] = '~';
            ret[used++] = *name == '~' ? '0' : '1';
        } else {
            ret[used++] = *name;
        }
    }
    /* A cut must not leave half a UTF-8 character. */
    while (*name && used && !str_is_utf8(ret, used))
        used--;
    ret[used] = '\0';
    return ret;
}

/* ---- parameters */

struct pairs {
    char *text;
    const char *name[QUERY_PAIRS], *value[QUERY_PAIRS];
    size_t count;
};

static int split_query(const char *query, struct pairs *ret, struct error *e)
{
    ret->text = strdup(query);
    if (!ret->text)
        return error_errno(e, -ENOMEM, "Reading the query string");
    char *save = NULL;
    for (char *pair = strtok_r(ret->text, "&", &save); pair; pair = strtok_r(NULL, "&", &save)) {
        if (ret->count == QUERY_PAIRS)
            return error_set(e, ERR_VALIDATION, "The query string has more than %d parameters.", QUERY_PAIRS);
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        else
            value = pair + strlen(pair);
        if (percent_decode(pair, true) < 0 || percent_decode(value, true) < 0)
            return error_set(e, ERR_MALFORMED, "The query string is not well percent-encoded UTF-8 text.");
        ret->name[ret->count] = pair;
        ret->value[ret->count++] = value;
    }
    return 0;
}

static size_t texts_of(struct request *rq, const struct param *p, const struct pairs *query, const char **texts)
{
    size_t n = 0;
    if (p->in == PARAM_PATH) {
        texts[n++] = rq->path.segment[p->segment];
    } else if (p->in == PARAM_HEADER) {
        const char *value = http_header(rq->x, p->name);
        if (value)
            texts[n++] = value;
    } else {
        for (size_t i = 0; i < query->count; i++)
            if (str_eq(query->name[i], p->name))
                texts[n++] = query->value[i];
    }
    return n;
}

/* A list that is not comma-separated takes a single text whole; the coercion would split it, two it takes as they are. */
static int coerce(const struct param *p, const char **texts, size_t n, json_t **ret, char *reason, size_t size)
{
    bool whole = p->list && !p->commas && n == 1;
    if (whole)
        texts[n++] = texts[0];
    int r = schema_coerce_all(p->schema, texts, n, ret, reason, size);
    if (r == 0 && whole)
        (void)json_array_remove(*ret, 1);
    return r;
}

/* `?types=a,b&types=c` means one list of three. */
static char *join(const char **texts, size_t n)
{
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&b, "%s%s", i ? "," : "", texts[i]);
    char *text = buf_steal(&b);
    buf_done(&b);
    return text;
}

static void read_param(struct request *rq, size_t i, const struct pairs *query, struct error *e)
{
    const struct param *p = &rq->op->params[i];
    const char *texts[QUERY_PAIRS + 1];
    char pointer[160], reason[256] = "";
    size_t n = texts_of(rq, p, query, texts);
    (void)param_pointer(p->name, pointer);
    if (!n && p->required)
        found(e, pointer, "is required");
    if (!n)
        rq->params[i] = json_incref(p->fallback);
    if (!n)
        return;
    if (n > 1 && !p->list) {
        found(e, pointer, "is given more than once");
        return;
    }
    _cleanup_free_ char *joined = p->commas && n > 1 ? join(texts, n) : NULL;
    if (joined) {
        texts[0] = joined;
        n = 1;
    }
    if (coerce(p, texts, n, &rq->params[i], reason, sizeof reason) < 0)
        found(e, pointer, reason);
    else
        check_value(p->schema, rq->params[i], pointer, e);
}

static bool query_knows(const struct operation *op, const char *name)
{
    for (size_t i = 0; i < op->param_count; i++)
        if (op->params[i].in == PARAM_QUERY && str_eq(op->params[i].name, name))
            return true;
    return false;
}

int request_read_params(struct request *rq, struct error *e)
{
    struct pairs query = { .count = 0 };
    int r = split_query(http_query(rq->x), &query, e);
    for (size_t i = 0; r == 0 && i < rq->op->param_count; i++)
        read_param(rq, i, &query, e);
    for (size_t i = 0; r == 0 && i < query.count; i++) {
        char pointer[160];
        if (!query_knows(rq->op, query.name[i]))
            found(e, param_pointer(query.name[i], pointer), "is not a parameter of this operation");
    }
    free(query.text);
    return r < 0 ? r : -(int)e->code;
}

/* ---- body */

/* "\u0000" is legal JSON that no text in this program can hold. */
static bool has_nul(const char *text, size_t len)
{
    static const char nul[] = "\\u0000";
    for (const char *at = text; (at = memmem(at, len - (size_t)(at - text), nul, 6)); at += 6) {
        size_t slashes = 0;
        while (at - slashes > text && at[-1 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return true;
    }
    return false;
}

static bool is_json(const char *type)
{
    return str_eq(type, "application/json") || str_ends(type, "+json");
}

/* Clients that always send a body say "{}" where none is taken. */
static int check_no_body(const char *body, size_t len, struct error *e)
{
    size_t start = strspn(body, " \t\r\n");
    while (len > start && strchr(" \t\r\n", body[len - 1]))
        len--;
    if (len == start || (len - start == 2 && memcmp(body + start, "{}", 2) == 0))
        return 0;
    found(e, "", "is not taken by this operation");
    return -(int)e->code;
}

int request_read_body(struct request *rq, struct error *e)
{
    size_t len = 0;
    const char *text = http_body(rq->x, &len);
    if (!rq->op->body_count)
        return len ? check_no_body(text, len, e) : 0;
    if (!len) {
        if (rq->op->body_required)
            found(e, "", "is required");
        return -(int)e->code;
    }
    if (rq->op->raw_body || !is_json(rq->body_media->type))
        return -(int)e->code;
    struct error bad = ERROR_INIT;
    int r = has_nul(text, len) ? error_set(&bad, ERR_MALFORMED, "The JSON has a NUL character in a text.")
                               : json_parse(text, len, &rq->body, &bad);
    if (r < 0) {
        error_done(e);
        *e = bad;
        return r;
    }
    if (!rq->body_media->schema)
        return -(int)e->code;
    check_value(rq->body_media->schema, rq->body, "", e);
    if (e->code)
        return -(int)e->code;
    /* A merge patch says what to change: what it leaves out stays as it is. */
    if (str_eq(rq->body_media->type, "application/merge-patch+json") || !json_is_object(rq->body))
        return 0;
    return schema_apply_defaults(rq->body_media->schema, rq->body) < 0
               ? error_errno(e, -ENOMEM, "Filling in the defaults of a body")
               : 0;
}

/* ---- what handlers and hooks ask */

const char *request_id(const struct request *rq)
{
    return rq->id;
}

const char *request_operation(const struct request *rq)
{
    return rq->op ? rq->op->id : "";
}

const struct actor *request_actor(const struct request *rq)
{
    return &rq->actor;
}

const char *request_address(const struct request *rq)
{
    return rq->address;
}

void request_set_address(struct request *rq, const char *a)
{
    str_copy(rq->address, sizeof rq->address, a);
}

const char *request_header(const struct request *rq, const char *name)
{
    return http_header(rq->x, name);
}

size_t request_header_count(const struct request *rq, const char *name)
{
    const char *field, *value;
    size_t cursor = 0, n = 0;
    while (http_header_next(rq->x, &cursor, &field, &value))
        n += str_ieq(field, name);
    return n;
}

bool request_is_signed(const struct request *rq)
{
    return rq->op && rq->op->raw_body;
}

const char *request_cookie(const struct request *rq, const char *name, char *ret, size_t size)
{
    size_t n = strlen(name);
    const char *p = http_header(rq->x, "Cookie");
    while (p && *(p += strspn(p, "; \t"))) {
        size_t len = strcspn(p, ";");
        if (len > n && p[n] == '=' && memcmp(p, name, n) == 0) {
            if (len - n > size)
                return NULL;
            memcpy(ret, p + n + 1, len - n - 1);
            ret[len - n - 1] = '\0';
            return ret;
        }
        p += len;
    }
    return NULL;
}

bool request_is_write(const struct request *rq)
{
    return rq->method != HTTP_GET && rq->method != HTTP_HEAD && rq->method != HTTP_OPTIONS;
}

bool request_is_tls(const struct request *rq)
{
    return http_is_tls(rq->x);
}

struct http_exchange *request_exchange(struct request *rq)
{
    return rq->x;
}

json_t *request_param(const struct request *rq, const char *name)
{
    for (size_t i = 0; rq->op && i < rq->op->param_count; i++)
        if (str_eq(rq->op->params[i].name, name))
            return rq->params[i];
    return NULL;
}

const char *request_str(const struct request *rq, const char *name)
{
    return json_string_value(request_param(rq, name));
}

int64_t request_int(const struct request *rq, const char *name, int64_t fallback)
{
    const json_t *v = request_param(rq, name);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool request_flag(const struct request *rq, const char *name, bool fallback)
{
    const json_t *v = request_param(rq, name);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

json_t *request_body(const struct request *rq)
{
    return rq->body;
}

const char *request_raw_body(const struct request *rq, size_t *ret_len)
{
    return http_body(rq->x, ret_len);
}

const char *request_accepts(const struct request *rq)
{
    return rq->accepts ? rq->accepts->type : "application/json";
}

int request_if_match(const struct request *rq, const char *etag, struct error *e)
{
    const char *list = http_header(rq->x, "If-Match");
    if (!list || etag_matches_strong(list, etag))
        return 0;
    return error_set(e, ERR_PRECONDITION,
                     "The entity has changed since it was read: its tag is now %s. Read it again, then write.", etag);
}

void request_audit(struct request *rq, const char *entity_type, const char *entity_id, json_t *before, json_t *after)
{
    json_decref(rq->audit.before);
    json_decref(rq->audit.after);
    str_copy(rq->audit.entity_type, sizeof rq->audit.entity_type, entity_type ? entity_type : "");
    str_copy(rq->audit.entity_id, sizeof rq->audit.entity_id, entity_id ? entity_id : "");
    rq->audit.before = before ? json_deep_copy(before) : NULL;
    rq->audit.after = after ? json_deep_copy(after) : NULL;
}

const struct request_audit_info *request_audit_info(const struct request *rq)
{
    return &rq->audit;
}
