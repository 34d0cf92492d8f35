#include "security/internal.h"

#include <stdio.h>

#define TOKEN_BYTES 32
#define TOKEN_LEN 43
#define SESSIONS_MAX 10000

static void hash_text(struct security *s, const char *token, uint8_t hash[VAULT_HASH_LEN], char hex[2 * VAULT_HASH_LEN + 1])
{
    vault_hash(s->vault, "session", token, strlen(token), hash);
    hex_encode(hash, VAULT_HASH_LEN, hex);
}

int sessions_load(struct security *s, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT id, key_id, name, role, csrf, expires_at, token_hash FROM sessions WHERE expires_at > $1",
                        "i", clock_now_ms());
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct session *x = calloc(1, sizeof *x);
        size_t n = 0;
        const void *hash = rows_blob(rows, 6, &n);
        char hex[2 * VAULT_HASH_LEN + 1];
        if (!x || n != VAULT_HASH_LEN || role_parse(rows_text(rows, 3), &x->role) < 0) {
            free(x);
            return error_set(e, ERR_INTERNAL, "A session in the database cannot be read.");
        }
        str_copy(x->id, sizeof x->id, rows_text(rows, 0));
        str_copy(x->key_id, sizeof x->key_id, rows_text(rows, 1));
        str_copy(x->name, sizeof x->name, rows_text(rows, 2));
        str_copy(x->csrf, sizeof x->csrf, rows_text(rows, 4));
        x->expires_ms = rows_int(rows, 5);
        hex_encode(hash, n, hex);
        r = map_set(s->sessions, hex, x) < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : 0;
    }
    return r;
}

static int insert(struct security *s, const struct session *x, const uint8_t hash[VAULT_HASH_LEN], struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "INSERT INTO sessions (id, token_hash, key_id, name, role, csrf, created_at, expires_at) "
                             "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                       "tbttttii", x->id, hash, (size_t)VAULT_HASH_LEN, x->key_id, x->name, role_name(x->role), x->csrf,
                       x->expires_ms - SESSION_MS, x->expires_ms);
    return r == 0 ? store_commit(c, e) : r;
}

static int remember(struct security *s, const char *hex, const struct session *x, struct error *e)
{
    struct session *copy = malloc(sizeof *copy);
    if (copy)
        *copy = *x;
    (void)pthread_rwlock_wrlock(&s->lock);
    bool full = map_size(s->sessions) >= SESSIONS_MAX;
    int r = copy && !full ? map_set(s->sessions, hex, copy) : -1;
    (void)pthread_rwlock_unlock(&s->lock);
    if (r == 0)
        return 0;
    free(copy);
    return error_set(e, ERR_UNAVAILABLE, "There are %d sessions already; log out elsewhere or wait for some to end.", SESSIONS_MAX);
}

int sessions_open(struct security *s, const struct key *key, struct session *ret, struct secret **ret_token, struct error *e)
{
    uint8_t random[TOKEN_BYTES], hash[VAULT_HASH_LEN];
    char token[TOKEN_LEN + 1], hex[2 * VAULT_HASH_LEN + 1];
    struct session x = { .role = key->role, .expires_ms = clock_now_ms() + SESSION_MS };
    (void)id_new(x.id);
    memcpy(x.key_id, key->id, sizeof x.key_id);
    memcpy(x.name, key->name, sizeof x.name);
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, x.csrf, sizeof x.csrf);
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, token, sizeof token);
    hash_text(s, token, hash, hex);
    struct secret *secret = secret_new(token, TOKEN_LEN);
    secret_wipe(random, sizeof random);
    secret_wipe(token, sizeof token);
    int r = secret ? insert(s, &x, hash, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = remember(s, hex, &x, e);
    if (r < 0) {
        secret_free(secret);
        return r;
    }
    *ret = x;
    *ret_token = secret;
    return 0;
}

int sessions_check(struct security *s, const char *token, struct session *ret, struct error *e)
{
    uint8_t hash[VAULT_HASH_LEN];
    char hex[2 * VAULT_HASH_LEN + 1];
    bool good = false;
    if (strnlen(token, TOKEN_LEN + 1) == TOKEN_LEN) {
        hash_text(s, token, hash, hex);
        (void)pthread_rwlock_rdlock(&s->lock);
        const struct session *x = map_get(s->sessions, hex);
        good = x && clock_now_ms() < x->expires_ms;
        if (good)
            *ret = *x;
        (void)pthread_rwlock_unlock(&s->lock);
    }
    if (!good || !keys_usable(s, ret->key_id))
        return error_set(e, ERR_UNAUTHENTICATED, "The session has ended. Log in again.");
    return 0;
}

/* Walks the sessions; `match` decides by id or key. Returns how many there were; removes them if asked. */
static size_t each_session(struct security *s, bool by_key, const char *id, bool remove)
{
    char *found[64];
    size_t n = 0, cursor = 0;
    const char *hex;
    void *value;
    (void)pthread_rwlock_wrlock(&s->lock);
    while (n < ARRAY_LEN(found) && map_next(s->sessions, &cursor, &hex, &value)) {
        const struct session *x = value;
        if (str_eq(by_key ? x->key_id : x->id, id) && x->expires_ms > clock_now_ms() && (found[n] = strdup(hex)))
            n++;
    }
    for (size_t i = 0; i < n; i++) {
        if (remove)
            (void)map_remove(s->sessions, found[i]);
        free(found[i]);
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return n;
}

bool sessions_alive(struct security *s, const char *session_id)
{
    return each_session(s, false, session_id, false) > 0;
}

static int delete_rows(struct security *s, const char *sql, const char *id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, sql, "t", id);
    return r == 0 ? store_commit(c, e) : r;
}

int sessions_end(struct security *s, const char *session_id, struct error *e)
{
    (void)each_session(s, false, session_id, true);
    return delete_rows(s, "DELETE FROM sessions WHERE id = $1", session_id, e);
}

void sessions_end_of_key(struct security *s, const char *key_id)
{
    while (each_session(s, true, key_id, true) > 0)
        ;
    (void)delete_rows(s, "DELETE FROM sessions WHERE key_id = $1", key_id, NULL);
}
