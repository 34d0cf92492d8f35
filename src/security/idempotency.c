#include "security/internal.h"

#include "http/server.h"

#include <sodium.h>
#include <stdio.h>

/* A POST with an Idempotency-Key is done once: the row is claimed before the handler runs and holds the
 * sealed reply afterwards. Kept for 24 hours; claims left by a hub that died are dropped at start. */
#define BODY_KEPT (256 << 10)

static void hash_key(const struct request *rq, const struct actor *actor, char ret[65])
{
    const char *parts[] = { actor->kind, actor->id, request_operation(rq), request_header(rq, "Idempotency-Key") };
    crypto_hash_sha256_state s;
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        (void)crypto_hash_sha256_update(&s, (const uint8_t *)parts[i], strlen(parts[i]) + 1);
    (void)crypto_hash_sha256_final(&s, hash);
    hex_encode(hash, sizeof hash, ret);
}

/* What was asked: path, query and the exact body. */
static void hash_request(struct request *rq, char ret[65])
{
    size_t n = 0;
    const struct http_exchange *x = request_exchange(rq);
    const char *body = request_raw_body(rq, &n);
    crypto_hash_sha256_state s;
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_init(&s);
    (void)crypto_hash_sha256_update(&s, (const uint8_t *)http_path(x), strlen(http_path(x)) + 1);
    (void)crypto_hash_sha256_update(&s, (const uint8_t *)http_query(x), strlen(http_query(x)) + 1);
    if (body)
        (void)crypto_hash_sha256_update(&s, (const uint8_t *)body, n);
    (void)crypto_hash_sha256_final(&s, hash);
    hex_encode(hash, sizeof hash, ret);
}

static int replay(struct security *s, const char *key, int status, const void *sealed, size_t len, struct reply *rp,
                  struct error *e)
{
    _cleanup_secret_ struct secret *body = NULL;
    int r = vault_unseal(s->vault, key, sealed, len, &body, e);
    if (r < 0)
        return r;
    size_t n = 0;
    const char *text = secret_reveal(body, &n);
    if (!n) {
        reply_empty(rp, status);
        return 1;
    }
    _cleanup_blob_ struct blob *b = blob_new(text, n);
    if (!b)
        return error_set(e, ERR_INTERNAL, "No memory.");
    reply_blob(rp, status, "application/json", b, NULL);
    return 1;
}

static int look_up(struct security *s, struct store_conn *c, const char *key, const char *request, struct reply *rp,
                   struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows,
                        "SELECT request_hash, status, body_sealed FROM idempotency_keys WHERE key_hash = $1", "t", key);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    if (!str_eq(rows_text(rows, 0), request))
        return error_set(e, ERR_IDEMPOTENCY, "This Idempotency-Key was used with another request.");
    if (rows_null(rows, 1))
        return error_set(e, ERR_CONFLICT, "The request with this Idempotency-Key is still being worked on.");
    size_t n = 0;
    const void *sealed = rows_blob(rows, 2, &n);
    return replay(s, key, (int)rows_int(rows, 1), sealed, n, rp, e);
}

int idempotency_claim(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp, struct error *e)
{
    struct security *s = ctx;
    char key[65], request[65];
    hash_key(rq, actor, key);
    hash_request(rq, request);
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = look_up(s, c, key, request, rp, e);
    if (r != 0)
        return r;
    r = store_exec(c, e, "INSERT INTO idempotency_keys (key_hash, request_hash, created_at) VALUES ($1, $2, $3)", "tti",
                   key, request, clock_now_ms());
    return r == 0 ? store_commit(c, e) : r;
}

static int keep(struct security *s, const char *key, int status, struct blob *body, struct error *e)
{
    _cleanup_free_ uint8_t *sealed = NULL;
    size_t len = 0;
    int r = vault_seal(s->vault, key, body ? body->data : "", body ? body->len : 0, &sealed, &len, e);
    _cleanup_conn_ struct store_conn *c = NULL;
    if (r == 0)
        r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "UPDATE idempotency_keys SET status = $1, body_sealed = $2 WHERE key_hash = $3", "ibt",
                       (int64_t)status, sealed, len, key);
    return r == 0 ? store_commit(c, e) : r;
}

static void drop(struct security *s, const char *key)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    if (store_acquire(s->store, STORE_WRITE, &c, NULL) == 0 &&
        store_exec(c, NULL, "DELETE FROM idempotency_keys WHERE key_hash = $1", "t", key) == 0)
        (void)store_commit(c, NULL);
}

/* A refused or failed request did nothing and may be tried again with the same key. */
void idempotency_store(void *ctx, struct request *rq, const struct actor *actor, int status, struct blob *body)
{
    struct security *s = ctx;
    char key[65];
    hash_key(rq, actor, key);
    bool done = status < 400 && (!body || body->len <= BODY_KEPT);
    if (!done || keep(s, key, status, body, NULL) < 0)
        drop(s, key);
}

int idempotency_forget_claims(struct security *s, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM idempotency_keys WHERE status IS NULL OR created_at < $1", "i",
                       clock_now_ms() - IDEMPOTENCY_KEPT_MS);
    return r == 0 ? store_commit(c, e) : r;
}
