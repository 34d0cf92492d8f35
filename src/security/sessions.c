#include "security/internal.h"

#include <stdio.h>

#define TOKEN_BYTES 32
#define TOKEN_LEN 43
#define SESSIONS_MAX 10000

static void hash_token(struct security *s, const char *token, uint8_t hash[VAULT_HASH_LEN],
                       char hex[2 * VAULT_HASH_LEN + 1])
{
    vault_hash(s->vault, "session", token, strlen(token), hash);
    hex_encode(hash, VAULT_HASH_LEN, hex);
}

/* ---- memory ---- */

/* Under the write lock (or before threads start). */
static int remember(struct security *s, const struct session *x, struct error *e)
{
    if (map_size(s->sessions) >= SESSIONS_MAX)
        return error_set(e, ERR_UNAVAILABLE,
                         "There are %d sessions already; log out elsewhere or wait for some to end.", SESSIONS_MAX);
    struct session *copy = malloc(sizeof *copy);
    if (!copy || map_set(s->sessions, x->hash, copy) < 0) {
        free(copy);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    *copy = *x;
    if (map_set(s->sessions_by_id, copy->id, copy) == 0)
        return 0;
    (void)map_remove(s->sessions, x->hash);
    return error_set(e, ERR_INTERNAL, "No memory.");
}

/* Under the write lock. */
static void forget(struct security *s, const struct session *x)
{
    char hash[sizeof x->hash];
    memcpy(hash, x->hash, sizeof hash);
    if (s->events)
        events_end(s->events, x->id);
    (void)map_remove(s->sessions_by_id, x->id);
    (void)map_remove(s->sessions, hash);
}

/* Forgets those of one key, or (NULL) those that have expired. A few at a time, as a map must not change while walked. */
static void forget_where(struct security *s, const char *key_id)
{
    const struct session *found[64];
    int64_t now = clock_now_ms();
    size_t n;
    do {
        size_t cursor = 0;
        void *value;
        n = 0;
        (void)pthread_rwlock_wrlock(&s->lock);
        while (n < ARRAY_LEN(found) && map_next(s->sessions, &cursor, NULL, &value)) {
            const struct session *x = value;
            if (key_id ? str_eq(x->key_id, key_id) : x->expires_ms <= now)
                found[n++] = x;
        }
        for (size_t i = 0; i < n; i++)
            forget(s, found[i]);
        (void)pthread_rwlock_unlock(&s->lock);
    } while (n == ARRAY_LEN(found));
}

static int session_from_row(struct store_rows *rows, struct session *ret)
{
    size_t n = 0;
    const void *hash = rows_blob(rows, 6, &n);
    if (n != VAULT_HASH_LEN || role_parse(rows_text(rows, 3), &ret->role) < 0)
        return -1;
    str_copy(ret->id, sizeof ret->id, rows_text(rows, 0));
    str_copy(ret->key_id, sizeof ret->key_id, rows_text(rows, 1));
    str_copy(ret->name, sizeof ret->name, rows_text(rows, 2));
    str_copy(ret->csrf, sizeof ret->csrf, rows_text(rows, 4));
    ret->expires_ms = rows_int(rows, 5);
    hex_encode(hash, n, ret->hash);
    return 0;
}

int sessions_load(struct security *s, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT id, key_id, name, role, csrf, expires_at, token_hash FROM sessions WHERE expires_at > $1", "i",
            clock_now_ms());
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct session x = { 0 };
        r = session_from_row(rows, &x) < 0 ? error_set(e, ERR_INTERNAL, "A session in the database cannot be read.")
                                           : remember(s, &x, e);
    }
    return r;
}

/* ---- opening ---- */

static int insert(struct security *s, const struct session *x, const uint8_t hash[VAULT_HASH_LEN], struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e,
                       "INSERT INTO sessions (id, token_hash, key_id, name, role, csrf, created_at, expires_at) "
                       "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                       "tbttttii", x->id, hash, (size_t)VAULT_HASH_LEN, x->key_id, x->name, role_name(x->role), x->csrf,
                       x->expires_ms - SESSION_MS, x->expires_ms);
    return r == 0 ? store_commit(c, e) : r;
}

static int keep(struct security *s, const struct session *x, const uint8_t hash[VAULT_HASH_LEN], struct error *e)
{
    (void)pthread_rwlock_wrlock(&s->lock);
    int r = remember(s, x, e);
    (void)pthread_rwlock_unlock(&s->lock);
    if (r < 0)
        return r;
    r = insert(s, x, hash, e);
    if (r == 0)
        return 0;
    (void)pthread_rwlock_wrlock(&s->lock);
    forget(s, x);
    (void)pthread_rwlock_unlock(&s->lock);
    return r;
}

int sessions_open(struct security *s, const struct key *key, struct session *ret, struct secret **ret_token,
                  struct error *e)
{
    uint8_t random[TOKEN_BYTES], hash[VAULT_HASH_LEN];
    char token[TOKEN_LEN + 1];
    struct session x = { .role = key->role, .expires_ms = clock_now_ms() + SESSION_MS };
    (void)id_new(x.id);
    memcpy(x.key_id, key->id, sizeof x.key_id);
    memcpy(x.name, key->name, sizeof x.name);
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, x.csrf, sizeof x.csrf);
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, token, sizeof token);
    hash_token(s, token, hash, x.hash);
    struct secret *secret = secret_new(token, TOKEN_LEN);
    secret_wipe(random, sizeof random);
    secret_wipe(token, sizeof token);
    int r = secret ? keep(s, &x, hash, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0) {
        secret_free(secret);
        return r;
    }
    *ret = x;
    *ret_token = secret;
    return 0;
}

/* ---- checking, ending ---- */

/* A copy of the session in `map` under `name`, if it and its key still count. */
static bool find(struct security *s, const struct map *map, const char *name, struct session *ret)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    const struct session *x = map_get(map, name);
    bool good = x && clock_now_ms() < x->expires_ms;
    if (good)
        *ret = *x;
    (void)pthread_rwlock_unlock(&s->lock);
    return good && keys_usable(s, ret->key_id);
}

int sessions_check(struct security *s, const char *token, struct session *ret, struct error *e)
{
    uint8_t hash[VAULT_HASH_LEN];
    char hex[2 * VAULT_HASH_LEN + 1];
    struct session x;
    if (strnlen(token, TOKEN_LEN + 1) == TOKEN_LEN) {
        hash_token(s, token, hash, hex);
        if (find(s, s->sessions, hex, &x)) {
            *ret = x;
            return 0;
        }
    }
    return error_set(e, ERR_UNAUTHENTICATED, "The session has ended. Log in again.");
}

bool sessions_alive(struct security *s, const char *session_id)
{
    struct session x;
    return find(s, s->sessions_by_id, session_id, &x);
}

int sessions_end(struct security *s, const char *session_id, struct error *e)
{
    (void)pthread_rwlock_wrlock(&s->lock);
    const struct session *x = map_get(s->sessions_by_id, session_id);
    if (x)
        forget(s, x);
    (void)pthread_rwlock_unlock(&s->lock);
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM sessions WHERE id = $1", "t", session_id);
    return r == 0 ? store_commit(c, e) : r;
}

void sessions_end_of_key(struct security *s, const char *key_id)
{
    forget_where(s, key_id);
}

void sessions_tidy(struct security *s)
{
    forget_where(s, NULL);
}
