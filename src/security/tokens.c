#include "security/internal.h"

#include "base/jsonw.h"

#include <sodium.h>
#include <stdio.h>

/* Bearer tokens: JWT, HS256 only. The algorithm belongs to the key, never to the token's header (O44). */
#define SIGNING_KEY_LEN crypto_auth_hmacsha256_KEYBYTES
#define ISSUER "hbcloud"
#define TOKEN_LIMIT 4096

struct signing_key {
    struct secret *key;
    int64_t retired_ms; /* 0: in use */
};

static void signing_key_free(void *p)
{
    struct signing_key *k = p;
    secret_free(k->key);
    free(k);
}

static int remember(struct security *s, const char *kid, struct secret *key, int64_t retired_ms)
{
    struct signing_key *k = calloc(1, sizeof *k);
    if (!k || map_set(s->signing, kid, k) < 0) {
        free(k);
        return -1;
    }
    k->key = key;
    k->retired_ms = retired_ms;
    if (!retired_ms)
        str_copy(s->current_kid, sizeof s->current_kid, kid);
    return 0;
}

static int load_row(struct security *s, struct store_rows *rows, struct error *e)
{
    char context[64];
    size_t n = 0;
    struct secret *key = NULL;
    const void *sealed = rows_blob(rows, 1, &n);
    (void)snprintf(context, sizeof context, "signing:%s", rows_text(rows, 0));
    int r = vault_unseal(s->vault, context, sealed, n, &key, e);
    if (r == 0 && remember(s, rows_text(rows, 0), key, rows_int(rows, 2)) < 0) {
        secret_free(key);
        r = error_set(e, ERR_INTERNAL, "No memory.");
    }
    return r;
}

int tokens_load(struct security *s, struct error *e)
{
    s->signing = map_new(signing_key_free);
    if (!s->signing)
        return error_set(e, ERR_INTERNAL, "No memory.");
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT kid, key_sealed, retired_at FROM signing_keys", "");
    while (r == 0 && (r = rows_next(rows, e)) == 1)
        r = load_row(s, rows, e);
    char kid[ID_LEN + 1];
    return r < 0 || s->current_kid[0] ? r : tokens_rotate(s, kid, e);
}

static int store_new_key(struct security *s, const char *kid, const uint8_t *sealed, size_t len, int64_t now,
                         struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL", "i", now);
    if (r == 0)
        r = store_exec(c, e,
                       "INSERT INTO signing_keys (kid, algorithm, key_sealed, created_at) VALUES ($1, 'HS256', $2, $3)",
                       "tbi", kid, sealed, len, now);
    return r == 0 ? store_commit(c, e) : r;
}

int tokens_rotate(struct security *s, char ret_kid[ID_LEN + 1], struct error *e)
{
    char kid[ID_LEN + 1], context[64];
    struct secret *key = secret_new_random(SIGNING_KEY_LEN);
    _cleanup_free_ uint8_t *sealed = NULL;
    size_t len = 0, key_len = 0;
    int64_t now = clock_now_ms();
    if (!key)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)snprintf(context, sizeof context, "signing:%s", id_new(kid));
    const char *bytes = secret_reveal(key, &key_len);
    int r = vault_seal(s->vault, context, bytes, key_len, &sealed, &len, e);
    if (r == 0)
        r = store_new_key(s, kid, sealed, len, now, e);
    if (r < 0) {
        secret_free(key);
        return r;
    }
    (void)pthread_rwlock_wrlock(&s->lock);
    struct signing_key *old = map_get(s->signing, s->current_kid);
    if (old)
        old->retired_ms = now;
    r = remember(s, kid, key, 0);
    (void)pthread_rwlock_unlock(&s->lock);
    if (r < 0) {
        secret_free(key);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    memcpy(ret_kid, kid, sizeof kid);
    return 0;
}

static void sign(const struct secret *key, const char *text, size_t len, uint8_t mac[crypto_auth_hmacsha256_BYTES])
{
    (void)crypto_auth_hmacsha256(mac, (const uint8_t *)text, len, (const uint8_t *)secret_reveal(key, NULL));
}

static int put_part(struct buf *out, const char *json, size_t len)
{
    char *text = malloc(len * 2 + 8);
    if (!text)
        return -1;
    size_t n = base64url_encode((const uint8_t *)json, len, text, len * 2 + 8);
    int r = buf_append(out, text, n);
    free(text);
    return r;
}

static void write_claims(struct buf *out, const struct actor *who, enum role role, int64_t now, int64_t expires)
{
    struct jw w;
    char jti[ID_LEN + 1];
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "iss"), jw_string(&w, ISSUER);
    jw_key(&w, "sub"), jw_string(&w, who->id);
    jw_key(&w, "via"), jw_string(&w, who->kind);
    jw_key(&w, "name"), jw_string(&w, who->name);
    jw_key(&w, "role"), jw_string(&w, role_name(role));
    jw_key(&w, "iat"), jw_int(&w, now / 1000);
    jw_key(&w, "exp"), jw_int(&w, expires / 1000);
    jw_key(&w, "jti"), jw_string(&w, id_new(jti));
    jw_end(&w);
}

int tokens_issue(struct security *s, const struct actor *who, enum role role, int64_t ttl_ms, char *ret, size_t size,
                 int64_t *ret_expires_ms, struct error *e)
{
    _cleanup_buf_ struct buf claims, text;
    char header[128];
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    int64_t now = clock_now_ms(), expires = (now + ttl_ms) / 1000 * 1000;
    buf_init(&claims, TOKEN_LIMIT);
    buf_init(&text, TOKEN_LIMIT);
    write_claims(&claims, who, role, now, expires);
    (void)pthread_rwlock_rdlock(&s->lock);
    int n = snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", s->current_kid);
    (void)put_part(&text, header, (size_t)n);
    (void)buf_putc(&text, '.');
    (void)put_part(&text, buf_str(&claims), claims.len);
    const struct signing_key *k = map_get(s->signing, s->current_kid);
    sign(k->key, buf_str(&text), text.len, mac);
    (void)pthread_rwlock_unlock(&s->lock);
    (void)buf_putc(&text, '.');
    (void)put_part(&text, (const char *)mac, sizeof mac);
    if (!buf_ok(&text) || text.len >= size)
        return error_set(e, ERR_INTERNAL, "The token does not fit.");
    memcpy(ret, buf_str(&text), text.len + 1);
    *ret_expires_ms = expires;
    return 0;
}

/* Header or claims, as a JSON object; NULL: not one. */
static json_t *decode_part(const char *text, size_t len)
{
    uint8_t bytes[TOKEN_LIMIT];
    size_t n = 0;
    json_t *j = NULL;
    if (base64url_decode(text, len, bytes, sizeof bytes, &n) < 0 || json_parse((char *)bytes, n, &j, NULL) < 0)
        return NULL;
    if (!json_is_object(j)) {
        json_decref(j);
        return NULL;
    }
    return j;
}

static bool signature_good(struct security *s, const json_t *header, const char *token, const char *dot, int64_t now)
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES], given[sizeof mac];
    size_t n = 0;
    const json_t *name = json_at(header, "kid");
    const char *kid = json_string_value(name);
    /* The length, too: JSON text may go on behind a NUL. */
    if (!str_eq(json_str(header, "alg"), "HS256") || !kid || json_string_length(name) != ID_LEN ||
        json_at(header, "crit"))
        return false;
    if (base64url_decode(dot + 1, strlen(dot + 1), given, sizeof given, &n) < 0 || n != sizeof mac)
        return false;
    (void)pthread_rwlock_rdlock(&s->lock);
    const struct signing_key *k = map_get(s->signing, kid);
    bool known = k && (!k->retired_ms || now < k->retired_ms + TOKEN_MAX_MS);
    if (known)
        sign(k->key, token, (size_t)(dot - token), mac);
    (void)pthread_rwlock_unlock(&s->lock);
    return known && sodium_memcmp(mac, given, sizeof mac) == 0;
}

/* Between now and the longest life a token may have, as a whole number of seconds. */
static bool expiry_good(const json_t *exp, int64_t now)
{
    return json_is_integer(exp) && json_integer_value(exp) > now / 1000 &&
           json_integer_value(exp) <= (now + TOKEN_MAX_MS) / 1000 + 1;
}

static bool claims_good(struct security *s, const json_t *claims, int64_t now, struct actor *ret)
{
    const char *sub = json_str(claims, "sub"), *via = json_str(claims, "via"), *name = json_str(claims, "name");
    const char *role_text = json_str(claims, "role");
    const json_t *exp = json_at(claims, "exp");
    enum role role;
    if (!sub || !via || !name || !expiry_good(exp, now) || !str_eq(json_str(claims, "iss"), ISSUER))
        return false;
    if (!role_text || role_parse(role_text, &role) < 0 || role == ROLE_PUBLIC)
        return false;
    if (!(str_eq(via, "session") ? sessions_alive(s, sub) : keys_usable(s, sub)))
        return false;
    *ret = (struct actor){ .role = role, .expires_ms = json_integer_value(exp) * 1000 };
    str_copy(ret->kind, sizeof ret->kind, "token");
    str_copy(ret->id, sizeof ret->id, sub);
    str_copy(ret->name, sizeof ret->name, name);
    return true;
}

int tokens_check(struct security *s, const char *token, struct actor *ret, struct error *e)
{
    const char *first = strchr(token, '.'), *last = strrchr(token, '.');
    if (strnlen(token, TOKEN_LIMIT) >= TOKEN_LIMIT || !first || first == last ||
        memchr(first + 1, '.', (size_t)(last - first - 1)))
        return security_refuse(e);
    int64_t now = clock_now_ms();
    _cleanup_json_ json_t *header = decode_part(token, (size_t)(first - token));
    if (!header || !signature_good(s, header, token, last, now))
        return security_refuse(e);
    _cleanup_json_ json_t *claims = decode_part(first + 1, (size_t)(last - first - 1));
    return claims && claims_good(s, claims, now, ret) ? 0 : security_refuse(e);
}

static bool forget_one_retired(struct security *s, int64_t before)
{
    size_t cursor = 0;
    const char *kid;
    void *value;
    while (map_next(s->signing, &cursor, &kid, &value)) {
        const struct signing_key *k = value;
        if (k->retired_ms && k->retired_ms < before) {
            char copy[ID_LEN + 1];
            str_copy(copy, sizeof copy, kid);
            return map_remove(s->signing, copy);
        }
    }
    return false;
}

void tokens_tidy(struct security *s)
{
    int64_t before = clock_now_ms() - TOKEN_MAX_MS;
    (void)pthread_rwlock_wrlock(&s->lock);
    while (forget_one_retired(s, before))
        ;
    (void)pthread_rwlock_unlock(&s->lock);
}
