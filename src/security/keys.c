#include "security/internal.h"

#include <sodium.h>
#include <stdio.h>

/* A key's secret: hbc_<8 letters to find it by>_<43 letters, 256 random bits>. */
#define PREFIX_LEN 12
#define SECRET_LEN (PREFIX_LEN + 1 + 43)

static int refuse(struct error *e)
{
    return error_set(e, ERR_UNAUTHENTICATED, "These credentials are not valid (any more).");
}

static int remember(struct security *s, struct key *k)
{
    if (map_set(s->keys_by_prefix, k->prefix, k) < 0)
        return -1;
    return map_set(s->keys_by_id, k->id, k);
}

static struct key *key_from_row(struct store_rows *r)
{
    size_t n = 0;
    const void *hash = rows_blob(r, 4, &n);
    struct key *k = calloc(1, sizeof *k);
    if (!k || n != VAULT_HASH_LEN || role_parse(rows_text(r, 3), &k->role) < 0) {
        free(k);
        return NULL;
    }
    str_copy(k->id, sizeof k->id, rows_text(r, 0));
    str_copy(k->name, sizeof k->name, rows_text(r, 1));
    str_copy(k->prefix, sizeof k->prefix, rows_text(r, 2));
    memcpy(k->hash, hash, n);
    str_copy(k->created_by, sizeof k->created_by, rows_text(r, 5));
    k->created_ms = rows_int(r, 6);
    k->expires_ms = rows_int(r, 7);
    k->last_used_ms = rows_int(r, 8);
    k->revoked_ms = rows_int(r, 9);
    return k;
}

int keys_load(struct security *s, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT id, name, prefix, role, hash, created_by, created_at, expires_at, "
                                     "last_used_at, revoked_at FROM api_keys", "");
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct key *k = key_from_row(rows);
        r = k && remember(s, k) == 0 ? 0 : error_set(e, ERR_INTERNAL, "An API key in the database cannot be read.");
    }
    return r;
}

static void make_secret(char ret[SECRET_LEN + 1], char ret_prefix[PREFIX_LEN + 1])
{
    uint8_t random[32];
    char letters[44], id[9];
    random_bytes(random, 4);
    hex_encode(random, 4, id);
    (void)snprintf(ret_prefix, PREFIX_LEN + 1, "hbc_%s", id);
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, letters, sizeof letters);
    (void)snprintf(ret, SECRET_LEN + 1, "%s_%s", ret_prefix, letters);
    secret_wipe(random, sizeof random);
    secret_wipe(letters, sizeof letters);
}

static int insert(struct security *s, const struct key *k, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "INSERT INTO api_keys (id, name, prefix, hash, role, created_by, created_at, expires_at) "
                             "VALUES ($1, $2, $3, $4, $5, $6, $7, NULLIF($8, 0))",
                       "tttbttii", k->id, k->name, k->prefix, k->hash, sizeof k->hash, role_name(k->role),
                       k->created_by, k->created_ms, k->expires_ms);
    return r == 0 ? store_commit(c, e) : r;
}

int keys_make(struct security *s, const char *name, enum role role, int64_t expires_ms, const char *created_by,
              char ret_id[ID_LEN + 1], struct secret **ret_secret, struct error *e)
{
    char text[SECRET_LEN + 1];
    struct key *k = calloc(1, sizeof *k);
    if (!k)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)id_new(k->id);
    str_copy(k->name, sizeof k->name, name);
    str_copy(k->created_by, sizeof k->created_by, created_by);
    k->role = role;
    k->created_ms = clock_now_ms();
    k->expires_ms = expires_ms;
    make_secret(text, k->prefix);
    vault_hash(s->vault, "api-key", text, SECRET_LEN, k->hash);
    struct secret *secret = secret_new(text, SECRET_LEN);
    secret_wipe(text, sizeof text);
    int r = secret ? insert(s, k, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0) {
        secret_free(secret);
        free(k);
        return r;
    }
    memcpy(ret_id, k->id, sizeof k->id);
    (void)pthread_rwlock_wrlock(&s->lock);
    r = remember(s, k);
    (void)pthread_rwlock_unlock(&s->lock);
    *ret_secret = secret;
    return r < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : 0;
}

static bool usable(const struct key *k, int64_t now)
{
    return !k->revoked_ms && (!k->expires_ms || now < k->expires_ms);
}

static void write_last_used(struct security *s, const struct key *k)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    if (store_acquire(s->store, STORE_WRITE, &c, NULL) < 0)
        return;
    if (store_exec(c, NULL, "UPDATE api_keys SET last_used_at = $1 WHERE id = $2", "it", k->last_used_ms, k->id) == 0)
        (void)store_commit(c, NULL);
}

static bool copy_if_good(struct security *s, const char *secret, int64_t now, struct key *ret, bool *ret_write)
{
    char prefix[PREFIX_LEN + 1];
    uint8_t hash[VAULT_HASH_LEN];
    str_copy(prefix, sizeof prefix, secret);
    vault_hash(s->vault, "api-key", secret, strlen(secret), hash);
    (void)pthread_rwlock_rdlock(&s->lock);
    struct key *k = map_get(s->keys_by_prefix, prefix);
    bool good = k && sodium_memcmp(k->hash, hash, sizeof hash) == 0 && usable(k, now);
    if (good) {
        __atomic_store_n(&k->last_used_ms, now, __ATOMIC_RELAXED);
        int64_t written = __atomic_load_n(&k->last_written_ms, __ATOMIC_RELAXED);
        /* One thread of many wins the right to write it. */
        *ret_write = now - written > 60000 &&
                     __atomic_compare_exchange_n(&k->last_written_ms, &written, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        memcpy(ret, k, sizeof *ret);
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return good;
}

int keys_check(struct security *s, const char *secret, struct key *ret, struct error *e)
{
    bool write = false;
    if (strnlen(secret, SECRET_LEN + 1) != SECRET_LEN || !str_starts(secret, "hbc_"))
        return refuse(e);
    if (!copy_if_good(s, secret, clock_now_ms(), ret, &write))
        return refuse(e);
    if (write)
        write_last_used(s, ret);
    return 0;
}

bool keys_usable(struct security *s, const char *key_id)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    const struct key *k = map_get(s->keys_by_id, key_id);
    bool good = k && usable(k, clock_now_ms());
    (void)pthread_rwlock_unlock(&s->lock);
    return good;
}
