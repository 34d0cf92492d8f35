#include "security/internal.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>

/* A key's secret: hbc_<8 letters to find it by>_<43 letters, 256 random bits>. */
#define PREFIX_LEN 12
#define SECRET_LEN (PREFIX_LEN + 1 + 43)
#define KEYS_MAX 10000
#define USE_WRITTEN_MS 60000 /* the last use goes to the database at most this often */

struct kept_key {
    struct key key; /* changed under the write lock only */
    _Atomic int64_t last_used_ms, last_written_ms;
};

static void copy_key(const struct kept_key *k, struct key *ret)
{
    *ret = k->key;
    ret->last_used_ms = atomic_load_explicit(&k->last_used_ms, memory_order_relaxed);
}

static bool usable(const struct key *k, int64_t now)
{
    return !k->revoked_ms && (!k->expires_ms || now < k->expires_ms);
}

/* ---- memory ---- */

/* Under the write lock (or before threads start). Takes over `k` when it succeeds. */
static int remember(struct security *s, struct kept_key *k, struct error *e)
{
    if (map_size(s->keys_by_id) >= KEYS_MAX)
        return error_set(e, ERR_CONFLICT, "There are %d API keys already.", KEYS_MAX);
    if (map_set(s->keys_by_id, k->key.id, k) < 0)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (map_set(s->keys_by_prefix, k->key.prefix, k) == 0)
        return 0;
    (void)map_remove(s->keys_by_id, k->key.id);
    return error_set(e, ERR_INTERNAL, "No memory.");
}

static void forget(struct security *s, struct kept_key *k)
{
    char prefix[sizeof k->key.prefix];
    memcpy(prefix, k->key.prefix, sizeof prefix);
    (void)pthread_rwlock_wrlock(&s->lock);
    (void)map_remove(s->keys_by_id, k->key.id);
    (void)map_remove(s->keys_by_prefix, prefix);
    (void)pthread_rwlock_unlock(&s->lock);
}

static struct kept_key *key_from_row(struct store_rows *r)
{
    size_t n = 0;
    const void *hash = rows_blob(r, 4, &n);
    struct kept_key *kept = calloc(1, sizeof *kept);
    if (!kept || n != VAULT_HASH_LEN || role_parse(rows_text(r, 3), &kept->key.role) < 0) {
        free(kept);
        return NULL;
    }
    struct key *k = &kept->key;
    str_copy(k->id, sizeof k->id, rows_text(r, 0));
    str_copy(k->name, sizeof k->name, rows_text(r, 1));
    str_copy(k->prefix, sizeof k->prefix, rows_text(r, 2));
    memcpy(k->hash, hash, n);
    str_copy(k->created_by, sizeof k->created_by, rows_text(r, 5));
    k->created_ms = rows_int(r, 6);
    k->expires_ms = rows_int(r, 7);
    atomic_init(&kept->last_used_ms, rows_int(r, 8));
    k->revoked_ms = rows_int(r, 9);
    return kept;
}

int keys_load(struct security *s, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT id, name, prefix, role, hash, created_by, created_at, expires_at, "
                        "last_used_at, revoked_at FROM api_keys",
                        "");
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct kept_key *k = key_from_row(rows);
        r = k ? remember(s, k, e) : error_set(e, ERR_INTERNAL, "An API key in the database cannot be read.");
        if (r < 0)
            free(k);
    }
    return r;
}

/* ---- making ---- */

static void make_secret(char ret[SECRET_LEN + 1], char ret_prefix[PREFIX_LEN + 1])
{
    uint8_t random[32];
    char letters[44], id[9];
    random_bytes(random, 4);
    hex_encode(random, 4, id);
    (void)snprintf(ret_prefix, PREFIX_LEN + 1, "hbc_%s", id);
    random_bytes(random, sizeof random);
    (void)base64url_encode(random, sizeof random, letters, sizeof letters);
    (void)snprintf(ret, SECRET_LEN + 1, "%.12s_%.43s", ret_prefix, letters);
    secret_wipe(random, sizeof random);
    secret_wipe(letters, sizeof letters);
}

static int insert(struct security *s, const struct key *k, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e,
                       "INSERT INTO api_keys (id, name, prefix, hash, role, created_by, created_at, expires_at) "
                       "VALUES ($1, $2, $3, $4, $5, $6, $7, NULLIF($8, 0))",
                       "tttbttii", k->id, k->name, k->prefix, k->hash, sizeof k->hash, role_name(k->role),
                       k->created_by, k->created_ms, k->expires_ms);
    return r == 0 ? store_commit(c, e) : r;
}

/* Gives the key a secret whose prefix no other has, and remembers it. */
static int remember_new(struct security *s, struct kept_key *k, struct secret **ret_secret, struct error *e)
{
    char text[SECRET_LEN + 1];
    (void)pthread_rwlock_wrlock(&s->lock);
    do
        make_secret(text, k->key.prefix);
    while (map_get(s->keys_by_prefix, k->key.prefix));
    vault_hash(s->vault, "api-key", text, SECRET_LEN, k->key.hash);
    struct secret *secret = secret_new(text, SECRET_LEN);
    int r = secret ? remember(s, k, e) : error_set(e, ERR_INTERNAL, "No memory.");
    (void)pthread_rwlock_unlock(&s->lock);
    secret_wipe(text, sizeof text);
    if (r < 0)
        secret_free(secret);
    else
        *ret_secret = secret;
    return r;
}

int keys_make(struct security *s, const char *name, enum role role, int64_t expires_ms, const char *created_by,
              char ret_id[ID_LEN + 1], struct secret **ret_secret, struct error *e)
{
    struct secret *secret = NULL;
    struct kept_key *k = calloc(1, sizeof *k);
    if (!k)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)id_new(k->key.id);
    str_copy(k->key.name, sizeof k->key.name, name);
    str_copy(k->key.created_by, sizeof k->key.created_by, created_by);
    k->key.role = role;
    k->key.created_ms = clock_now_ms();
    k->key.expires_ms = expires_ms;
    int r = remember_new(s, k, &secret, e);
    if (r < 0) {
        free(k);
        return r;
    }
    /* Nobody knows the secret yet, so a key in memory alone opens nothing. */
    r = insert(s, &k->key, e);
    if (r < 0) {
        secret_free(secret);
        forget(s, k);
        return r;
    }
    memcpy(ret_id, k->key.id, ID_LEN + 1);
    *ret_secret = secret;
    return 0;
}

/* ---- checking ---- */

static void write_last_used(struct security *s, const struct key *k)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    if (store_acquire(s->store, STORE_WRITE, &c, NULL) < 0)
        return;
    if (store_exec(c, NULL, "UPDATE api_keys SET last_used_at = $1 WHERE id = $2", "it", k->last_used_ms, k->id) == 0)
        (void)store_commit(c, NULL);
}

static bool must_write(int64_t written, int64_t now)
{
    return now - written > USE_WRITTEN_MS;
}

/* One thread of many wins the right to write the use. */
static bool note_use(struct kept_key *k, int64_t now)
{
    int64_t written = atomic_load_explicit(&k->last_written_ms, memory_order_relaxed);
    atomic_store_explicit(&k->last_used_ms, now, memory_order_relaxed);
    return must_write(written, now) && atomic_compare_exchange_strong(&k->last_written_ms, &written, now);
}

static bool has_form(const char *secret)
{
    return strnlen(secret, SECRET_LEN + 1) == SECRET_LEN && str_starts(secret, "hbc_");
}

/* `ret_write` NULL: a key whose use is to be written does not count as good, and no use is noted. */
static bool copy_if_good(struct security *s, const char *secret, struct key *ret, bool *ret_write)
{
    char prefix[PREFIX_LEN + 1];
    uint8_t hash[VAULT_HASH_LEN];
    int64_t now = clock_now_ms();
    str_copy(prefix, sizeof prefix, secret);
    vault_hash(s->vault, "api-key", secret, strlen(secret), hash);
    (void)pthread_rwlock_rdlock(&s->lock);
    struct kept_key *k = map_get(s->keys_by_prefix, prefix);
    bool good = k && sodium_memcmp(k->key.hash, hash, sizeof hash) == 0 && usable(&k->key, now);
    if (good && !ret_write)
        good = !must_write(atomic_load_explicit(&k->last_written_ms, memory_order_relaxed), now);
    if (good) {
        bool write = note_use(k, now);
        if (ret_write)
            *ret_write = write;
        copy_key(k, ret);
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return good;
}

/* Guessing at one key from many addresses is slowed by the key, too (O43). */
static int refuse(struct security *s, const char *secret, struct error *e)
{
    char prefix[PREFIX_LEN + 1];
    str_copy(prefix, sizeof prefix, secret);
    unsigned wait = limiter_take(s->failed_keys, prefix, NULL);
    if (!wait)
        return security_refuse(e);
    int r = error_set(e, ERR_RATE_LIMITED, "Too many failed attempts with this key.");
    if (e)
        e->retry_after_s = (int)wait;
    return r;
}

int keys_check(struct security *s, const char *secret, struct key *ret, struct error *e)
{
    bool write = false;
    if (!has_form(secret) || !copy_if_good(s, secret, ret, &write))
        return refuse(s, secret, e);
    if (write)
        write_last_used(s, ret);
    return 0;
}

bool keys_check_at_once(struct security *s, const char *secret, struct key *ret)
{
    return has_form(secret) && copy_if_good(s, secret, ret, NULL);
}

bool keys_usable(struct security *s, const char *key_id)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    const struct kept_key *k = map_get(s->keys_by_id, key_id);
    bool good = k && usable(&k->key, clock_now_ms());
    (void)pthread_rwlock_unlock(&s->lock);
    return good;
}

/* ---- finding ---- */

size_t keys_count(struct security *s)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    size_t n = map_size(s->keys_by_id);
    (void)pthread_rwlock_unlock(&s->lock);
    return n;
}

int keys_find(struct security *s, const char *id, struct key *ret, struct error *e)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    const struct kept_key *k = map_get(s->keys_by_id, id);
    if (k)
        copy_key(k, ret);
    (void)pthread_rwlock_unlock(&s->lock);
    return k ? 0 : error_set(e, ERR_NOT_FOUND, "There is no API key %s.", id);
}

static int newest_first(const void *a, const void *b)
{
    return strcmp(((const struct key *)b)->id, ((const struct key *)a)->id);
}

struct key *keys_list(struct security *s, size_t *ret_n)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    size_t n = 0, cursor = 0;
    struct key *list = calloc(map_size(s->keys_by_id) + 1, sizeof *list);
    void *value;
    while (list && map_next(s->keys_by_id, &cursor, NULL, &value))
        copy_key(value, &list[n++]);
    (void)pthread_rwlock_unlock(&s->lock);
    if (list)
        qsort(list, n, sizeof *list, newest_first);
    *ret_n = n;
    return list;
}

bool keys_owner(struct security *s, struct key *ret)
{
    const struct kept_key *owner = NULL;
    int64_t now = clock_now_ms();
    size_t cursor = 0;
    void *value;
    (void)pthread_rwlock_rdlock(&s->lock);
    while (map_next(s->keys_by_id, &cursor, NULL, &value)) {
        const struct kept_key *k = value;
        if (k->key.role == ROLE_ADMIN && usable(&k->key, now) && (!owner || strcmp(k->key.id, owner->key.id) < 0))
            owner = k;
    }
    if (owner)
        copy_key(owner, ret);
    (void)pthread_rwlock_unlock(&s->lock);
    return owner != NULL;
}

/* ---- revoking ---- */

/* Under the write lock, so that two revocations cannot both believe that the other key stays. */
static bool is_last_admin(struct security *s, const struct kept_key *k, int64_t now)
{
    size_t cursor = 0;
    void *value;
    if (k->key.role != ROLE_ADMIN || !usable(&k->key, now))
        return false;
    while (map_next(s->keys_by_id, &cursor, NULL, &value)) {
        const struct kept_key *other = value;
        if (other != k && other->key.role == ROLE_ADMIN && usable(&other->key, now))
            return false;
    }
    return true;
}

static int mark_revoked(struct security *s, const char *id, int64_t now, struct error *e)
{
    (void)pthread_rwlock_wrlock(&s->lock);
    struct kept_key *k = map_get(s->keys_by_id, id);
    bool last = k && is_last_admin(s, k, now);
    if (k && !last && !k->key.revoked_ms)
        k->key.revoked_ms = now;
    (void)pthread_rwlock_unlock(&s->lock);
    if (!k)
        return error_set(e, ERR_NOT_FOUND, "There is no API key %s.", id);
    return last ? error_set(e, ERR_CONFLICT, "This is the last admin key that works. Make another one first.") : 0;
}

static int write_revoked(struct security *s, const char *id, int64_t now, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2", "it", now, id);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM sessions WHERE key_id = $1", "t", id);
    return r == 0 ? store_commit(c, e) : r;
}

/* Memory first: when the database fails, the key opens nothing more here, and asking again writes it. */
int keys_revoke(struct security *s, const char *id, struct error *e)
{
    int64_t now = clock_now_ms();
    int r = mark_revoked(s, id, now, e);
    if (r < 0)
        return r;
    sessions_end_of_key(s, id);
    return write_revoked(s, id, now, e);
}
