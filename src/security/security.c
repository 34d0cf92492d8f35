#define LOG_ROOM "security"
#include "security/internal.h"

#include "base/buf.h"
#include "base/log.h"
#include "http/server.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#define BUCKETS_MAX 10000
#define FAILED_PER_MINUTE 20
#define LOGIN_TOKEN_MS ((int64_t)3600 * 1000)

static int load_all(struct security *s, const struct security_options *o, struct error *e)
{
    s->keys_by_prefix = map_new(free);
    s->keys_by_id = map_new(NULL);
    s->sessions = map_new(free);
    s->sessions_by_id = map_new(NULL);
    s->anonymous = limiter_new(o->anonymous_per_minute, BUCKETS_MAX);
    s->known = limiter_new(o->known_per_minute, BUCKETS_MAX);
    s->failed_keys = limiter_new(FAILED_PER_MINUTE, BUCKETS_MAX);
    if (!s->keys_by_prefix || !s->keys_by_id || !s->sessions || !s->sessions_by_id || !s->anonymous || !s->known ||
        !s->failed_keys)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = proxies_parse(o->trusted_proxies, &s->proxies, e);
    if (r == 0)
        r = keys_load(s, e);
    if (r == 0)
        r = sessions_load(s, e);
    if (r == 0)
        r = tokens_load(s, e);
    return r == 0 ? idempotency_forget_claims(s, e) : r;
}

int security_new(const struct security_options *o, struct security **ret, struct error *e)
{
    struct security *s = calloc(1, sizeof *s);
    if (!s || sodium_init() < 0) {
        free(s);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    s->store = o->store;
    s->vault = o->vault;
    s->events = o->events;
    s->behind_proxy = o->behind_proxy;
    (void)pthread_rwlock_init(&s->lock, NULL);
    int r = load_all(s, o, e);
    if (r < 0) {
        security_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void security_free(struct security *s)
{
    if (!s)
        return;
    map_free(s->keys_by_id);
    map_free(s->keys_by_prefix);
    map_free(s->sessions_by_id);
    map_free(s->sessions);
    map_free(s->signing);
    limiter_free(s->anonymous);
    limiter_free(s->known);
    limiter_free(s->failed_keys);
    proxies_free(s->proxies);
    (void)pthread_rwlock_destroy(&s->lock);
    free(s);
}

/* ---- hooks ---- */

int security_refuse(struct error *e)
{
    return error_set(e, ERR_UNAUTHENTICATED, "These credentials are not valid (any more).");
}

static void set_actor(struct actor *a, const char *kind, const char *id, const char *name, enum role role,
                      int64_t expires_ms)
{
    *a = (struct actor){ .role = role, .expires_ms = expires_ms };
    str_copy(a->kind, sizeof a->kind, kind);
    str_copy(a->id, sizeof a->id, id);
    str_copy(a->name, sizeof a->name, name);
}

static int by_key(struct security *s, const char *secret, struct actor *ret, struct error *e)
{
    struct key k;
    int r = keys_check(s, secret, &k, e);
    if (r == 0)
        set_actor(ret, "key", k.id, k.name, k.role, k.expires_ms);
    return r;
}

static int by_cookie(struct security *s, struct request *rq, const char *token, struct actor *ret, struct error *e)
{
    struct session x;
    int r = sessions_check(s, token, &x, e);
    if (r < 0)
        return r;
    const char *csrf = request_header(rq, "X-CSRF-Token");
    if (request_is_write(rq) &&
        (!csrf || strlen(csrf) != strlen(x.csrf) || sodium_memcmp(csrf, x.csrf, strlen(x.csrf)) != 0))
        return error_set(e, ERR_CSRF, "A session's writing request needs its csrfToken in X-CSRF-Token.");
    set_actor(ret, "session", x.id, x.name, x.role, x.expires_ms);
    str_copy(ret->csrf, sizeof ret->csrf, x.csrf);
    return 0;
}

/* One credential counts: X-API-Key, then Authorization, then the cookie. */
static int identify(struct security *s, struct request *rq, struct actor *ret, struct error *e)
{
    char cookie[128];
    const char *key = request_header(rq, "X-API-Key"), *authorization = request_header(rq, "Authorization");
    if (key)
        return by_key(s, key, ret, e);
    if (authorization) {
        if (strncasecmp(authorization, "Bearer ", 7) != 0)
            return error_set(e, ERR_UNAUTHENTICATED, "Authorization must be \"Bearer <token>\".");
        const char *token = authorization + 7;
        return str_starts(token, "hbc_") ? by_key(s, token, ret, e) : tokens_check(s, token, ret, e);
    }
    if (request_cookie(rq, "hbcloud_session", cookie, sizeof cookie))
        return by_cookie(s, rq, cookie, ret, e);
    set_actor(ret, "anonymous", "", "", ROLE_PUBLIC, 0);
    return 0;
}

/* A header that comes more than once is one list (RFC 9110, 5.3): the line a client sent itself must not hide the
 * one that the proxy added after it. */
static void forwarded_for(struct request *rq, struct buf *ret)
{
    const char *name, *value;
    size_t cursor = 0;
    while (http_header_next(request_exchange(rq), &cursor, &name, &value))
        if (str_ieq(name, "X-Forwarded-For"))
            (void)buf_printf(ret, "%s%s", ret->len ? "," : "", value);
}

static void find_client(struct security *s, struct request *rq)
{
    char client[64];
    _cleanup_buf_ struct buf forwarded;
    buf_init(&forwarded, 64 << 10);
    forwarded_for(rq, &forwarded);
    proxies_client(s->proxies, request_address(rq), buf_str(&forwarded), client);
    request_set_address(rq, client);
}

/* The limits are taken by `rate_limit`, which follows also when this refuses: guessing counts. */
static int authenticate(void *ctx, struct request *rq, struct actor *ret, struct error *e)
{
    find_client(ctx, rq);
    return identify(ctx, rq, ret, e);
}

/* Keys alone: a session's or a token's request is a person's, who does not ask thousands of times a second. */
static int authenticate_at_once(void *ctx, struct request *rq, struct actor *ret)
{
    struct security *s = ctx;
    struct key k;
    const char *secret = request_header(rq, "X-API-Key");
    if (!secret || !keys_check_at_once(s, secret, &k))
        return -EAGAIN;
    find_client(s, rq);
    set_actor(ret, "key", k.id, k.name, k.role, k.expires_ms);
    return 0;
}

static int too_many(struct error *e, unsigned wait, unsigned limit)
{
    int r = error_set(e, ERR_RATE_LIMITED, "Over %u requests a minute. Try again in %u s.", limit, wait);
    if (e)
        e->retry_after_s = (int)wait;
    return r;
}

static void limit_headers(struct reply *rp, unsigned limit, unsigned left, unsigned wait)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%u", limit);
    reply_header(rp, "RateLimit-Limit", text);
    (void)snprintf(text, sizeof text, "%u", left);
    reply_header(rp, "RateLimit-Remaining", text);
    (void)snprintf(text, sizeof text, "%u", wait ? wait : limit ? (60 * (limit - left) + limit - 1) / limit : 0);
    reply_header(rp, "RateLimit-Reset", text);
}

static int rate_limit(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp, struct error *e)
{
    struct security *s = ctx;
    bool anonymous = actor->role == ROLE_PUBLIC;
    /* Who signs its bodies (CI) sends a burst from few addresses, and what is refused is lost: the wider limit. */
    struct limiter *l = anonymous && !request_is_signed(rq) ? s->anonymous : s->known;
    char bucket[64];
    unsigned left = 0, limit = limiter_limit(l);
    if (!limit)
        return 0;
    if (anonymous)
        address_bucket(request_address(rq), bucket);
    else
        str_copy(bucket, sizeof bucket, actor->id);
    unsigned wait = limiter_take(l, bucket, &left);
    limit_headers(rp, limit, left, wait);
    return wait ? too_many(e, wait, limit) : 0;
}

static void audit(void *ctx, struct request *rq, const struct actor *actor, int status, const struct error *e UNUSED)
{
    audit_write(ctx, rq, actor, status);
}

void security_hooks(struct security *s, struct api_hooks *ret)
{
    *ret = (struct api_hooks){
        .ctx = s,
        .authenticate = authenticate,
        .authenticate_at_once = authenticate_at_once,
        .rate_limit = rate_limit,
        .audit = audit,
        .idempotency_claim = idempotency_claim,
        .idempotency_store = idempotency_store,
    };
}

/* ---- the owner ---- */

int security_make_owner(struct security *s, struct secret **ret_secret, struct error *e)
{
    char id[ID_LEN + 1];
    if (keys_count(s) > 0)
        return 0;
    int r = keys_make(s, "owner", ROLE_ADMIN, 0, "first start", id, ret_secret, e);
    return r < 0 ? r : 1;
}

int security_login_token(struct security *s, struct secret **ret, struct error *e)
{
    uint8_t random[32];
    char token[44];
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, token, sizeof token);
    struct secret *secret = secret_new(token, strlen(token));
    if (!secret)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)pthread_rwlock_wrlock(&s->lock);
    vault_hash(s->vault, "login", token, strlen(token), s->login_hash);
    s->login_expires_ms = clock_now_ms() + LOGIN_TOKEN_MS;
    (void)pthread_rwlock_unlock(&s->lock);
    secret_wipe(random, sizeof random);
    secret_wipe(token, sizeof token);
    *ret = secret;
    return 0;
}

/* Sessions are forgotten when they end; the audit is not. */
bool security_ever_logged_in(struct security *s)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    return store_acquire(s->store, STORE_READ, &c, NULL) == 0 &&
           store_query(c, NULL, &rows,
                       "SELECT 1 FROM audit_log WHERE operation = 'createSession' AND outcome = 'success' LIMIT 1",
                       "") == 0 &&
           rows_next(rows, NULL) == 1;
}

static int delete_old(struct security *s, struct error *e)
{
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM sessions WHERE expires_at <= $1", "i", now);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM idempotency_keys WHERE created_at < $1", "i", now - IDEMPOTENCY_KEPT_MS);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM signing_keys WHERE retired_at < $1", "i", now - TOKEN_MAX_MS);
    return r == 0 ? store_commit(c, e) : r;
}

void security_tidy(struct security *s)
{
    struct error e = ERROR_INIT;
    sessions_tidy(s);
    tokens_tidy(s);
    if (delete_old(s, &e) < 0)
        log_warn("Old sessions and keys were not deleted: %s", e.message);
    error_done(&e);
}
