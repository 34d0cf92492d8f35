#define LOG_ROOM "http"
#include "http/api_internal.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>

void reply_init(struct reply *rp)
{
    memset(rp, 0, sizeof *rp);
    buf_init(&rp->out, API_REPLY_LIMIT);
}

void reply_drop_fields(struct reply *rp, size_t keep)
{
    while (rp->field_count > keep) {
        struct field *f = &rp->fields[--rp->field_count];
        free(f->name);
        free(f->value);
    }
}

void reply_done(struct reply *rp)
{
    reply_drop_fields(rp, 0);
    blob_unref(rp->body);
    buf_done(&rp->out);
}

static void drop_content(struct reply *rp)
{
    blob_unref(TAKE(rp->body));
    buf_clear(&rp->out);
    rp->has_json = rp->body_shared = rp->free_style = rp->final = false;
    rp->content_type[0] = rp->etag[0] = rp->nonce[0] = '\0';
    rp->encoding = NULL;
}

struct jw *reply_json(struct reply *rp, int status)
{
    drop_content(rp);
    rp->status = status;
    rp->has_json = true;
    str_copy(rp->content_type, sizeof rp->content_type, "application/json");
    jw_init(&rp->json, &rp->out);
    return &rp->json;
}

void reply_blob(struct reply *rp, int status, const char *content_type, struct blob *body, const char *etag)
{
    drop_content(rp);
    rp->status = status;
    rp->body = body ? blob_ref(body) : NULL;
    rp->body_shared = body && etag;
    str_copy(rp->content_type, sizeof rp->content_type, content_type ? content_type : "");
    if (etag)
        reply_etag(rp, etag);
}

void reply_empty(struct reply *rp, int status)
{
    drop_content(rp);
    rp->status = status;
}

static bool field_ok(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' && *text != '\t')
            return false;
    return true;
}

void reply_header(struct reply *rp, const char *name, const char *value)
{
    if (!value || !field_ok(value))
        return;
    for (size_t i = 0; i < rp->field_count && !str_ieq(name, "Set-Cookie"); i++) {
        if (!str_ieq(rp->fields[i].name, name))
            continue;
        char *copy = strdup(value);
        if (copy) {
            free(rp->fields[i].value);
            rp->fields[i].value = copy;
        }
        return;
    }
    if (rp->field_count == REPLY_FIELDS) {
        log_error("a reply has more than %d headers; %s is left out", REPLY_FIELDS, name);
        return;
    }
    struct field f = { strdup(name), strdup(value) };
    if (f.name && f.value) {
        rp->fields[rp->field_count++] = f;
        return;
    }
    free(f.name);
    free(f.value);
}

void reply_etag(struct reply *rp, const char *etag)
{
    if (strlen(etag) < sizeof rp->etag) /* a cut tag would be none; without one the body's is made */
        str_copy(rp->etag, sizeof rp->etag, etag);
}

void reply_streams(struct reply *rp)
{
    rp->streams = true;
}

const char *reply_nonce(struct reply *rp)
{
    uint8_t bytes[16];
    random_bytes(bytes, sizeof bytes);
    (void)base64url_encode(bytes, sizeof bytes, rp->nonce, sizeof rp->nonce);
    return rp->nonce;
}

/* ---- errors */

/* Ids under which other tools know this request; the client's tracing library sent them. */
static void write_monitoring(struct jw *w, const struct request *rq)
{
    static const struct {
        const char *header, *member;
    } traces[] = { { "x-datadog-trace-id", "datadogTraceId" }, { "x-newrelic-trace-id", "newrelicTraceId" } };
    jw_key(w, "monitoring");
    jw_object(w);
    for (size_t i = 0; rq && i < ARRAY_LEN(traces); i++) {
        const char *value = http_header(rq->x, traces[i].header);
        if (!value || !*value || strlen(value) > 255)
            continue;
        jw_key(w, traces[i].member);
        jw_string(w, value);
    }
    jw_end(w);
}

static void write_error(struct jw *w, const struct request *rq, const char *id, const struct error *e)
{
    /* What went wrong inside is for the log; the request id leads there. */
    bool inside = e->code == ERR_NONE || e->code == ERR_INTERNAL;
    jw_object(w);
    jw_key(w, "error");
    jw_object(w);
    jw_key(w, "code");
    jw_string(w, error_code_name(inside ? ERR_INTERNAL : e->code));
    jw_key(w, "message");
    jw_string(w, inside || !*e->message ? error_code_meaning(inside ? ERR_INTERNAL : e->code) : e->message);
    if (e->details && (!inside || (rq && rq->api->validate_replies))) {
        jw_key(w, "details");
        jw_json(w, e->details);
    }
    jw_key(w, "timestamp");
    jw_time(w, clock_now_ms());
    jw_key(w, "requestId");
    jw_string(w, id);
    write_monitoring(w, rq);
    jw_end(w);
    jw_end(w);
}

struct blob *reply_error_body(const struct request *rq, const struct error *e)
{
    char made[ID_LEN + 1];
    struct buf b;
    struct jw w;
    buf_init(&b, 0);
    jw_init(&w, &b);
    write_error(&w, rq, rq ? rq->id : id_new(made), e);
    struct blob *body = blob_from_buf(&b);
    buf_done(&b);
    return body;
}

void reply_error(struct reply *rp, const struct request *rq, const struct error *e)
{
    enum error_code code = e->code ? e->code : ERR_INTERNAL;
    write_error(reply_json(rp, error_code_status(code)), rq, rq->id, e);
    if (code == ERR_METHOD && *e->allow)
        reply_header(rp, "Allow", e->allow);
    if (code == ERR_UNAUTHENTICATED)
        reply_header(rp, "WWW-Authenticate",
                     http_header(rq->x, "Authorization") ? "Bearer realm=\"hbcloud\", error=\"invalid_token\""
                                                         : "Bearer realm=\"hbcloud\"");
    if (e->retry_after_s > 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%d", e->retry_after_s);
        reply_header(rp, "Retry-After", seconds);
    }
}

/* ---- checking a reply by the contract (in tests) */

static int breach(struct error *e, const char *pointer, const char *reason)
{
    if (!e->details)
        (void)error_set(e, ERR_INTERNAL, "The reply breaks the contract: %s %s", pointer, reason);
    error_detail(e, pointer, "%s", reason);
    return -(int)ERR_INTERNAL;
}

static int check_document(const struct schema *schema, const struct blob *body, struct error *e)
{
    _cleanup_json_ json_t *value = NULL;
    struct error bad = ERROR_INIT;
    if (json_parse(body->data, body->len, &value, &bad) < 0)
        return breach(e, "", bad.message);
    struct schema_result result = { 0 };
    int r = 0;
    if (!schema_validate(schema, value, SCHEMA_FORMATS, &result))
        for (size_t i = 0; i < result.count; i++)
            r = breach(e, result.problems[i].pointer, result.problems[i].reason);
    schema_result_done(&result);
    return r;
}

static int check_form(const struct reply *rp, const struct operation *op, struct error *e)
{
    const struct reply_form *form = contract_reply(op, rp->status);
    char status[24];
    (void)snprintf(status, sizeof status, "status %d", rp->status);
    if (!form)
        return breach(e, "", status);
    if (!rp->body)
        return form->media_count ? breach(e, "", "has no body where the contract has one") : 0;
    size_t n = strcspn(rp->content_type, "; ");
    for (size_t i = 0; i < form->media_count; i++) {
        const struct media *m = &form->media[i];
        if (strlen(m->type) == n && memcmp(m->type, rp->content_type, n) == 0)
            return m->schema ? check_document(m->schema, rp->body, e) : 0;
    }
    return breach(e, "", "has a media type that the contract does not give for this status");
}

int reply_check(struct reply *rp, struct request *rq, struct error *e)
{
    if (rp->has_json && !rp->body) {
        rp->body = blob_from_buf(&rp->out);
        if (!rp->body)
            return error_set(e, ERR_INTERNAL, "The reply is too large, or memory is short.");
    }
    if (!rp->status && !rp->streams)
        return error_set(e, ERR_INTERNAL, "The handler gave no reply.");
    bool check = rq->api->validate_replies && rq->op && !rp->streams && rq->method != HTTP_HEAD;
    return check ? check_form(rp, rq->op, e) : 0;
}

/* ---- sending */

struct headers {
    struct http_field list[REPLY_ALL_FIELDS];
    size_t count;
    char policy[1024], encoded_etag[ETAG_SIZE];
};

static void put(struct headers *h, const char *name, const char *value)
{
    if (value && *value && h->count < REPLY_ALL_FIELDS)
        h->list[h->count++] = (struct http_field){ name, value };
}

static bool has_field(const struct reply *rp, const char *name)
{
    for (size_t i = 0; i < rp->field_count; i++)
        if (str_ieq(rp->fields[i].name, name))
            return true;
    return false;
}

/* Any host below the domain and the domain itself, by TLS, where the dashboard may live; and a developer's own machine. */
bool api_origin_allowed(const struct api *a, const char *origin)
{
    if (str_eq(origin, "http://localhost:3000"))
        return true;
    if (!a->cors_suffix || !str_starts(origin, "https://"))
        return false;
    const char *host = origin + strlen("https://");
    if (str_eq(host, a->cors_suffix + 1))
        return true;
    size_t n = strlen(host);
    return n < 254 && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n && *host != '.' &&
           n > strlen(a->cors_suffix) && str_ends(host, a->cors_suffix);
}

static void put_cors(struct headers *h, const struct request *rq)
{
    const char *origin = http_header(rq->x, "Origin");
    if (!origin || !api_origin_allowed(rq->api, origin))
        return;
    put(h, "Access-Control-Allow-Origin", origin);
    put(h, "Access-Control-Allow-Credentials", "true");
    put(h, "Access-Control-Expose-Headers",
        "ETag, Location, Retry-After, X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
        "Idempotency-Replayed");
}

static void put_policy(struct headers *h, const struct reply *rp, const struct api *a)
{
    if (!*rp->nonce) {
        put(h, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
        return;
    }
    char style[48] = "'unsafe-inline'";
    if (!rp->free_style)
        (void)snprintf(style, sizeof style, "'nonce-%s'", rp->nonce);
    (void)snprintf(h->policy, sizeof h->policy,
                   "default-src 'self'; script-src 'self' 'nonce-%s'%s%s; style-src 'self' %s; img-src 'self' data:; "
                   "font-src 'self' data:; connect-src 'self'%s%s; worker-src 'self' blob:; object-src 'none'; "
                   "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
                   rp->nonce, a->csp_script ? " " : "", a->csp_script ? a->csp_script : "", style,
                   a->csp_connect ? " " : "", a->csp_connect ? a->csp_connect : "");
    put(h, "Content-Security-Policy", h->policy);
}

static void put_security(struct headers *h, const struct reply *rp, const struct request *rq)
{
    /* A 304 refreshes stored headers: a policy with another nonce would not fit the stored page. */
    if (rp->status != 304)
        put_policy(h, rp, rq->api);
    put(h, "X-Content-Type-Options", "nosniff");
    put(h, "X-Frame-Options", "DENY");
    put(h, "Referrer-Policy", "no-referrer");
    put(h, "Cross-Origin-Opener-Policy", "same-origin");
    put(h, "Cross-Origin-Resource-Policy", "same-origin");
    put(h, "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if (rq->api->hsts)
        put(h, "Strict-Transport-Security", "max-age=63072000; includeSubDomains");
}

static void put_caching(struct headers *h, const struct reply *rp, const struct request *rq)
{
    bool tagged = *rp->etag && (rp->status == 200 || rp->status == 304);
    if (!has_field(rp, "Cache-Control"))
        put(h, "Cache-Control", tagged && !request_is_write(rq) ? "private, no-cache" : "no-store");
    if (!has_field(rp, "Vary"))
        put(h, "Vary",
            rq->op && rq->op->success_count > 1 ? "Origin, Accept-Encoding, Accept" : "Origin, Accept-Encoding");
    if (*h->encoded_etag)
        put(h, "ETag", h->encoded_etag);
}

static void put_all(struct headers *h, const struct reply *rp, const struct request *rq)
{
    for (size_t i = 0; i < rp->field_count; i++)
        put(h, rp->fields[i].name, rp->fields[i].value);
    if (rp->status != 304)
        put(h, "Content-Type", rp->content_type);
    put(h, "Content-Encoding", rp->encoding);
    put(h, "X-Request-Id", rq->id);
    put_caching(h, rp, rq);
    put_security(h, rp, rq);
    put_cors(h, rq);
}

static bool not_modified(const struct reply *rp, const struct request *rq)
{
    const char *list = http_header(rq->x, "If-None-Match");
    return list && rp->status == 200 && *rp->etag && etag_matches_weak(list, rp->etag);
}

/* Puts the compressed form in place of the body; returns the encoding the reply would have, for its tag. */
static const char *encode(struct reply *rp, const struct request *rq, bool only_name)
{
    if (rp->final || !rp->body || !compress_worth(rp->content_type, rp->body->len))
        return rp->encoding;
    const char *encoding = negotiate_encoding(http_header(rq->x, "Accept-Encoding"));
    if (!encoding || only_name)
        return encoding;
    struct blob *small =
        rp->body_shared ? compress_cached(rq->api->compressed, rp->body, encoding) : compress_blob(rp->body, encoding);
    if (!small)
        return NULL;
    blob_unref(rp->body);
    rp->body = small;
    rp->encoding = encoding;
    return encoding;
}

bool reply_is_cheap(const struct reply *rp, const struct request *rq)
{
    if (rp->final || !rp->body || !compress_worth(rp->content_type, rp->body->len) || not_modified(rp, rq))
        return true;
    const char *encoding = negotiate_encoding(http_header(rq->x, "Accept-Encoding"));
    return !encoding || (rp->body_shared && compress_is_cached(rq->api->compressed, rp->body, encoding));
}

void reply_send(struct reply *rp, struct request *rq)
{
    struct headers h = { .count = 0 };
    if (rp->streams)
        return;
    bool reads = rq->method == HTTP_GET || rq->method == HTTP_HEAD;
    if (reads && rp->status == 200 && rp->body && !*rp->etag)
        etag_of(rp->body->data, rp->body->len, rp->etag);
    bool unchanged = reads && not_modified(rp, rq);
    const char *encoding = encode(rp, rq, unchanged);
    str_copy(h.encoded_etag, sizeof h.encoded_etag, rp->etag);
    if (encoding && *rp->etag)
        etag_add_suffix(h.encoded_etag, encoding);
    if (unchanged) {
        blob_unref(TAKE(rp->body));
        rp->encoding = NULL;
        rp->status = 304;
    }
    put_all(&h, rp, rq);
    http_reply(rq->x, rp->status, h.list, h.count, rp->body);
}

struct http_stream *reply_stream(struct reply *rp, struct request *rq, const char *content_type,
                                 void (*on_close)(void *user), void *user)
{
    struct headers h = { .count = 0 };
    drop_content(rp);
    rp->status = 200;
    rp->streams = true;
    str_copy(rp->content_type, sizeof rp->content_type, content_type);
    put_all(&h, rp, rq);
    struct http_stream *s = http_stream_begin(rq->x, rp->status, h.list, h.count, on_close, user);
    rp->streams = s != NULL;
    return s;
}
