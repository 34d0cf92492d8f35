#define LOG_ROOM "http"
#include "http/api_internal.h"

#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>

static const char *const role_names[] = {
    [ROLE_PUBLIC] = "public", [ROLE_VIEWER] = "viewer", [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin"
};

const char *role_name(enum role r)
{
    return r < ARRAY_LEN(role_names) ? role_names[r] : "none";
}

int role_parse(const char *name, enum role *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(role_names); i++) {
        if (!str_eq(name, role_names[i]))
            continue;
        *ret = (enum role)i;
        return 0;
    }
    return -EINVAL;
}

/* ---- building */

static int build_router(struct api *a, struct error *e)
{
    size_t n = 0;
    struct operation *ops = contract_operations(a->contract, &n);
    a->router = router_new();
    if (!a->router)
        return error_errno(e, -ENOMEM, "Building the router");
    for (size_t i = 0; i < n; i++) {
        int r = router_add(a->router, ops[i].method, ops[i].path, &ops[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_options(struct api *a, const struct api_options *o, struct error *e)
{
    a->hooks = o->hooks;
    a->validate_replies = o->validate_replies;
    a->hsts = o->hsts;
    a->compressed = compress_cache_new();
    bool ok = a->compressed != NULL;
    if (o->cors_domain && *o->cors_domain)
        ok = ok && (a->cors_suffix = str_printf(".%s", o->cors_domain));
    if (o->csp_extra_script && *o->csp_extra_script)
        ok = ok && (a->csp_script = strdup(o->csp_extra_script));
    if (o->csp_extra_connect && *o->csp_extra_connect)
        ok = ok && (a->csp_connect = strdup(o->csp_extra_connect));
    return ok ? 0 : error_errno(e, -ENOMEM, "Starting the API");
}

int api_new(const struct api_options *o, struct api **ret, struct error *e)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a)
        return error_errno(e, -ENOMEM, "Starting the API");
    a->magic = API_MAGIC;
    int r = copy_options(a, o, e);
    if (r == 0)
        r = contract_load(o->contract_yaml, o->contract_len, &a->contract, e);
    if (r == 0)
        r = build_router(a, e);
    if (r < 0) {
        api_free(a);
        return r;
    }
    struct blob *json = contract_json(a->contract);
    etag_of(json->data, json->len, a->contract_etag);
    *ret = a;
    return 0;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    router_free(a->router);
    contract_free(a->contract);
    compress_cache_free(a->compressed);
    free(a->cors_suffix);
    free(a->csp_script);
    free(a->csp_connect);
    error_done(&a->mismatches);
    a->magic = 0;
    free(a);
}

static void mismatch(struct api *a, const char *operation, const char *what)
{
    char pointer[160];
    (void)snprintf(pointer, sizeof pointer, "/%s", operation);
    error_detail(&a->mismatches, pointer, "%s", what);
}

/* Mismatches are gathered here and told by api_seal, all at once. */
int api_add(struct api *a, const struct api_operation *table, size_t n, void *room, struct error *e)
{
    MAGIC_CHECK(a, API_MAGIC);
    if (a->sealed)
        return error_set(e, ERR_INTERNAL, "Rows are added before api_seal, not after it.");
    for (size_t i = 0; i < n; i++) {
        struct operation *op = contract_operation(a->contract, table[i].id);
        if (!op) {
            mismatch(a, table[i].id, "is not in the contract");
        } else if (op->handle) {
            mismatch(a, table[i].id, "has two rows");
        } else {
            op->handle = table[i].handle;
            op->room = room;
        }
    }
    return 0;
}

void api_add_shortcuts(struct api *a, const struct api_shortcut *table, size_t n)
{
    MAGIC_CHECK(a, API_MAGIC);
    assert(!a->sealed);
    for (size_t i = 0; i < n; i++) {
        struct operation *op = contract_operation(a->contract, table[i].id);
        assert(op && op->method == HTTP_GET && op->handle);
        op->at_once = table[i].at_once;
    }
}

int api_seal(struct api *a, struct error *e)
{
    size_t n = 0;
    MAGIC_CHECK(a, API_MAGIC);
    struct operation *ops = contract_operations(a->contract, &n);
    for (size_t i = 0; i < n; i++)
        if (!ops[i].handle)
            mismatch(a, ops[i].id, "has no handler");
    a->sealed = true;
    if (!a->mismatches.details)
        return 0;
    struct buf list;
    buf_init(&list, 0);
    const char *pointer;
    json_t *what;
    json_object_foreach (a->mismatches.details, pointer, what)
        (void)buf_printf(&list, "%s%s %s", list.len ? ", " : "", pointer + 1, json_string_value(what));
    int r = error_set(e, ERR_INTERNAL, "The contract and the program do not match: %s.", buf_str(&list));
    e->details = json_incref(a->mismatches.details);
    buf_done(&list);
    return r;
}

/* ---- head: on a loop thread, without blocking */

static int route(struct api *a, struct request *rq, struct error *e)
{
    int r = path_decode(http_path(rq->x), &rq->path, e);
    if (r < 0)
        return r;
    rq->targets = router_find(a->router, &rq->path);
    bool reads = rq->method == HTTP_GET || rq->method == HTTP_HEAD;
    if (!rq->targets) {
        bool is_api = rq->path.count && str_eq(rq->path.segment[0], "v1");
        rq->wants_fallback = a->fallback && reads && !is_api;
        return rq->wants_fallback ? 0 : error_set(e, ERR_NOT_FOUND, "There is no such path.");
    }
    if (rq->method == HTTP_OPTIONS)
        return 0;
    rq->op = rq->method < ROUTER_METHODS ? rq->targets[rq->method == HTTP_HEAD ? HTTP_GET : rq->method] : NULL;
    if (rq->op)
        return 0;
    r = error_set(e, ERR_METHOD, "This path does not answer to %.16s.", http_method_name(rq->x));
    router_allow(rq->targets, e->allow, sizeof e->allow);
    return r;
}

static int64_t announced_length(const struct request *rq)
{
    const char *text = http_header(rq->x, "Content-Length");
    int64_t n = 0;
    if (http_header(rq->x, "Transfer-Encoding"))
        return INT64_MAX;
    return text && str_to_int64(text, &n) == 0 ? n : 0;
}

static int check_head(struct request *rq, int64_t length, struct error *e)
{
    int r = route(rq->api, rq, e);
    if (r < 0 || !rq->op)
        return r;
    r = negotiate_accept(http_header(rq->x, "Accept"), rq->op->success, rq->op->success_count, &rq->accepts, e);
    if (r == 0 && length > 0 && rq->op->body_count)
        r = negotiate_body(http_header(rq->x, "Content-Type"), http_header(rq->x, "Content-Encoding"), rq->op,
                           &rq->body_media, e);
    return r;
}

/* A refusal waits for `handle`, which says it with all headers and keeps the connection; only when a big body would
 * have to be read first is it said at once. */
static int on_head(void *ctx, struct http_exchange *x, size_t *ret_body_limit, struct error *e)
{
    struct api *a = ctx;
    MAGIC_CHECK(a, API_MAGIC);
    struct request *rq = request_new(a, x);
    if (!rq)
        return error_errno(e, -ENOMEM, "Taking a request");
    http_set_user(x, rq, request_free);
    int64_t length = announced_length(rq);
    int r = check_head(rq, length, &rq->early);
    if (r < 0) {
        *ret_body_limit = API_ERROR_BODY_LIMIT;
        bool big = length > API_ERROR_BODY_LIMIT && length != INT64_MAX;
        if (big)
            *e = TAKE_ERROR(rq->early);
        return big ? r : 0;
    }
    *ret_body_limit = rq->op && rq->op->body_count ? rq->op->body_limit : API_BODYLESS_LIMIT;
    return 0;
}

/* ---- the steps before a handler, on a worker */

static void know_address(const struct request *rq)
{
    struct http_server *server = atomic_load(&rq->api->server);
    if (server && rq->actor.role > ROLE_PUBLIC)
        http_server_know_address(server, rq->x);
}

static int authenticate(struct request *rq, struct reply *rp, struct error *e)
{
    const struct api_hooks *h = &rq->api->hooks;
    struct error bad = ERROR_INIT;
    int r = h->authenticate ? h->authenticate(h->ctx, rq, &rq->actor, &bad) : 0;
    /* Who sends stale credentials to a public operation (a login) is anonymous there. */
    bool pass = r == 0 || !rq->op || rq->op->role == ROLE_PUBLIC;
    if (r < 0) {
        rq->actor = (struct actor){ .role = ROLE_PUBLIC };
        str_copy(rq->actor.kind, sizeof rq->actor.kind, "anonymous");
    }
    if (r == 0)
        know_address(rq);
    /* Limited before the refusal is said, so that guessing credentials is limited as well. */
    int limited = h->rate_limit ? h->rate_limit(h->ctx, rq, &rq->actor, rp, e) : 0;
    if (limited == 0 && !pass) {
        *e = bad;
        return r;
    }
    error_done(&bad);
    return limited;
}

static int check_role(const struct request *rq, struct error *e)
{
    if (rq->actor.role >= rq->op->role)
        return 0;
    if (rq->actor.role == ROLE_PUBLIC)
        return error_set(e, ERR_UNAUTHENTICATED,
                         "This operation needs credentials: a bearer token, an API key or a session.");
    return error_set(e, ERR_FORBIDDEN, "This operation needs the role %s; these credentials have %s.",
                     role_name(rq->op->role), role_name(rq->actor.role));
}

static int preflight(struct request *rq, struct reply *rp)
{
    char allow[64];
    reply_empty(rp, 204);
    router_allow(rq->targets, allow, sizeof allow);
    reply_header(rp, "Allow", allow);
    const char *origin = http_header(rq->x, "Origin");
    if (!origin || !http_header(rq->x, "Access-Control-Request-Method") || !api_origin_allowed(rq->api, origin))
        return 0;
    reply_header(rp, "Access-Control-Allow-Methods", allow);
    reply_header(rp, "Access-Control-Allow-Headers",
                 "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-API-Key, "
                 "X-CSRF-Token, X-Request-Id, X-Datadog-Trace-Id, X-NewRelic-Trace-Id, Traceparent");
    reply_header(rp, "Access-Control-Max-Age", "600");
    reply_header(rp, "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    return 0;
}

static int read_request(struct request *rq, struct error *e)
{
    size_t len = 0;
    (void)http_body(rq->x, &len);
    if (len && rq->op->body_count && !rq->body_media) {
        int r = negotiate_body(http_header(rq->x, "Content-Type"), http_header(rq->x, "Content-Encoding"), rq->op,
                               &rq->body_media, e);
        if (r < 0)
            return r;
    }
    /* Both, so that one answer names every fault. */
    int params = request_read_params(rq, e);
    if (params < 0 && e->code != ERR_VALIDATION)
        return params;
    int body = request_read_body(rq, e);
    return body < 0 ? body : params;
}

/* What has happened to a write, for the steps after its handler. */
struct course {
    bool claimed, replayed;
};

static int claim(struct request *rq, struct reply *rp, struct course *c, struct error *e)
{
    const struct api_hooks *h = &rq->api->hooks;
    bool repeatable = rq->method == HTTP_POST || rq->method == HTTP_PATCH;
    if (!repeatable || !h->idempotency_claim || !request_str(rq, "Idempotency-Key"))
        return 0;
    int r = h->idempotency_claim(h->ctx, rq, &rq->actor, rp, e);
    c->claimed = r == 0;
    c->replayed = r > 0;
    if (c->replayed)
        reply_header(rp, "Idempotency-Replayed", "true");
    return r;
}

static int run_operation(struct request *rq, struct reply *rp, struct course *c, struct error *e)
{
    const struct operation *op = rq->op;
    int r = read_request(rq, e);
    if (r == 0)
        r = claim(rq, rp, c, e);
    if (r != 0)
        return r < 0 ? r : 0;
    if (op->streams && rq->method == HTTP_HEAD) {
        reply_blob(rp, 200, op->success_count ? op->success[0].type : "", NULL, NULL);
        return 0;
    }
    size_t before = rp->field_count;
    r = op->handle(op->room, rq, rp, e);
    if (r < 0)
        reply_drop_fields(rp, before);
    return r < 0 ? r : reply_check(rp, rq, e);
}

static int run_fallback(struct request *rq, struct reply *rp, struct error *e)
{
    int r = rq->api->fallback(rq->api->fallback_ctx, rq, rp, e);
    return r != 0 ? (r < 0 ? r : 0) : error_set(e, ERR_NOT_FOUND, "There is no such path.");
}

static int serve(struct request *rq, struct reply *rp, struct course *c, struct error *e)
{
    if (!rq->early.code && rq->method == HTTP_OPTIONS)
        return preflight(rq, rp);
    if (!rq->early.code && rq->wants_fallback)
        return run_fallback(rq, rp, e);
    int r = authenticate(rq, rp, e);
    if (r == 0 && rq->op)
        r = check_role(rq, e);
    if (r < 0)
        return r;
    if (rq->early.code) {
        *e = TAKE_ERROR(rq->early);
        return -(int)e->code;
    }
    return run_operation(rq, rp, c, e);
}

/* ---- after it */

static void record(struct request *rq, struct reply *rp, const struct course *c, const struct error *e)
{
    const struct api_hooks *h = &rq->api->hooks;
    if (c->claimed && h->idempotency_store)
        h->idempotency_store(h->ctx, rq, &rq->actor, rp->status, rp->body);
    if (!h->audit || !rq->op || !request_is_write(rq) || c->replayed || e->code == ERR_RATE_LIMITED)
        return;
    if (request_is_signed(rq)) /* nobody's act: its room keeps what came, and what was done by it */
        return;
    if (rq->actor.role > ROLE_PUBLIC || rp->status < 400)
        h->audit(h->ctx, rq, &rq->actor, rp->status, e->code ? e : NULL);
}

/* One line a request. Said before sending, as the exchange is gone after it. */
static void log_request(const struct request *rq, const struct reply *rp, const char *path, const struct error *e)
{
    const char *method = http_method_name(rq->x);
    long long ms = (long long)(api_now_us() - rq->began_us) / 1000;
    if (rp->status >= 500)
        log_write(rp->status == 500 ? LOG_ERROR : LOG_WARN, LOG_ROOM, "%.16s %.200s %d in %lld ms: %s", method, path,
                  rp->status, ms, *e->message ? e->message : "failed without saying why");
    else if (log_enabled(LOG_DEBUG))
        log_debug("%.16s %.200s %d in %lld ms", method, path, rp->status, ms);
}

static void refuse(struct request *rq, struct reply *rp, const struct error *e)
{
    struct error again = ERROR_INIT;
    reply_error(rp, rq, e);
    if (reply_check(rp, rq, &again) < 0)
        log_error("an error's reply breaks the contract: %s", again.message);
    error_done(&again);
}

static void answer(struct request *rq, struct reply *rp)
{
    struct error e = ERROR_INIT;
    struct course c = { false, false };
    char path[256];
    str_copy(path, sizeof path, http_path(rq->x));
    int r = serve(rq, rp, &c, &e);
    if (rp->streams) {
        api_count(rq, rp);
        log_debug("%.16s %.200s streams", http_method_name(rq->x), path);
        error_done(&e);
        return;
    }
    if (r < 0)
        refuse(rq, rp, &e);
    record(rq, rp, &c, &e);
    api_count(rq, rp);
    log_request(rq, rp, path, &e);
    reply_send(rp, rq);
    error_done(&e);
}

static void handle(void *ctx, struct http_exchange *x)
{
    MAGIC_CHECK((struct api *)ctx, API_MAGIC);
    struct request *rq = http_user(x);
    struct reply rp;
    log_context(rq->id);
    reply_init(&rp);
    answer(rq, &rp);
    reply_done(&rp);
    log_context(NULL);
}

/* ---- at once, on a loop thread: what is at hand, for who is known without waiting */

/* Everything that can still say no without a trace comes before the rate limit, which counts the request. */
static bool can_answer(struct request *rq, struct reply *rp)
{
    const struct api_hooks *h = &rq->api->hooks;
    if (h->authenticate && (!h->authenticate_at_once || h->authenticate_at_once(h->ctx, rq, &rq->actor) < 0))
        return false;
    return rq->actor.role >= rq->op->role && rq->op->at_once(rq->op->room, http_query(rq->x), rp) &&
           reply_is_cheap(rp, rq);
}

static void answer_at_once(struct request *rq, struct reply *rp)
{
    const struct api_hooks *h = &rq->api->hooks;
    struct error e = ERROR_INIT;
    know_address(rq);
    int r = h->rate_limit ? h->rate_limit(h->ctx, rq, &rq->actor, rp, &e) : 0;
    if (r == 0)
        r = reply_check(rp, rq, &e);
    if (r < 0)
        refuse(rq, rp, &e);
    api_count(rq, rp);
    log_request(rq, rp, http_path(rq->x), &e);
    reply_send(rp, rq);
    error_done(&e);
}

static bool try_inline(void *ctx, struct http_exchange *x)
{
    struct reply rp;
    MAGIC_CHECK((struct api *)ctx, API_MAGIC);
    struct request *rq = http_user(x);
    if (!rq || !rq->op || !rq->op->at_once || rq->early.code)
        return false;
    struct actor nobody = rq->actor;
    char peer[sizeof rq->address];
    memcpy(peer, rq->address, sizeof peer);
    reply_init(&rp);
    bool can = can_answer(rq, &rp);
    log_context(rq->id);
    if (can) {
        answer_at_once(rq, &rp);
    } else { /* as if nobody had looked */
        rq->actor = nobody;
        memcpy(rq->address, peer, sizeof peer);
    }
    log_context(NULL);
    reply_done(&rp);
    return can;
}

/* A request that never reaches `handle` is answered here, in full if so much of it is known. */
static struct blob *fail(void *ctx, struct http_exchange *x, const struct error *e)
{
    struct api *a = ctx;
    MAGIC_CHECK(a, API_MAGIC);
    struct request *rq = x ? http_user(x) : NULL;
    if (x && !rq && (rq = request_new(a, x)))
        http_set_user(x, rq, request_free);
    if (!rq)
        return reply_error_body(NULL, e);
    struct reply rp;
    log_context(rq->id);
    reply_init(&rp);
    reply_error(&rp, rq, e);
    rp.body = blob_from_buf(&rp.out);
    log_request(rq, &rp, http_path(x), e);
    if (rp.body)
        reply_send(&rp, rq);
    reply_done(&rp);
    log_context(NULL);
    return NULL;
}

void api_bind(struct api *a, struct http_server_options *o)
{
    MAGIC_CHECK(a, API_MAGIC);
    o->on_head = on_head;
    o->try_inline = try_inline;
    o->handle = handle;
    o->fail = fail;
    o->ctx = a;
}

void api_set_server(struct api *a, struct http_server *s)
{
    MAGIC_CHECK(a, API_MAGIC);
    atomic_store(&a->server, s);
}
