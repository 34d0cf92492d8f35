#include "security/internal.h"

#include <sodium.h>
#include <stdio.h>

/* ---- sessions ---- */

static void write_session(struct reply *rp, int status, const struct session *x)
{
    struct jw *w = reply_json(rp, status);
    jw_object(w);
    jw_key(w, "session"), jw_object(w);
    jw_key(w, "id"), jw_string(w, x->id);
    jw_key(w, "role"), jw_string(w, role_name(x->role));
    jw_key(w, "name"), jw_string(w, x->name);
    jw_key(w, "expiresAt"), jw_time(w, x->expires_ms);
    jw_key(w, "csrfToken"), jw_string(w, x->csrf);
    jw_end(w);
    jw_end(w);
    reply_header(rp, "Cache-Control", "no-store");
}

static bool served_by_tls(const struct security *s, const struct request *rq)
{
    return request_is_tls(rq) || (s->behind_proxy && str_ieq(request_header(rq, "X-Forwarded-Proto"), "https"));
}

static void set_cookie(struct security *s, struct request *rq, struct reply *rp, const char *value, int64_t max_age_s)
{
    char text[256];
    (void)snprintf(text, sizeof text, "hbcloud_session=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s", value,
                   (long long)max_age_s, served_by_tls(s, rq) ? "; Secure" : "");
    reply_header(rp, "Set-Cookie", text);
    secret_wipe(text, sizeof text);
}

/* The login token works once: whoever comes first takes it. */
static int take_login_token(struct security *s, const char *token, struct key *ret, struct error *e)
{
    uint8_t hash[VAULT_HASH_LEN];
    vault_hash(s->vault, "login", token, strlen(token), hash);
    (void)pthread_rwlock_wrlock(&s->lock);
    bool good = clock_now_ms() < s->login_expires_ms && sodium_memcmp(hash, s->login_hash, sizeof hash) == 0;
    if (good)
        s->login_expires_ms = 0;
    (void)pthread_rwlock_unlock(&s->lock);
    if (good && keys_owner(s, ret))
        return 0;
    return error_set(e, ERR_UNAUTHENTICATED,
                     "The login link was used or is too old. Log in with an API key "
                     "(the owner's is in the data directory's owner.key).");
}

static int create_session(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct security *s = room;
    const char *secret = json_str(request_body(rq), "apiKey"), *token = json_str(request_body(rq), "loginToken");
    struct key k;
    struct session x;
    _cleanup_secret_ struct secret *cookie = NULL;
    int r = secret ? keys_check(s, secret, &k, e) : take_login_token(s, token, &k, e);
    if (r == 0)
        r = sessions_open(s, &k, &x, &cookie, e);
    if (r < 0)
        return r;
    /* Nobody was known when the request came; the entry says who it turned out to be. */
    _cleanup_json_ json_t *who = json_pack("{s:s, s:s}", "name", x.name, "role", role_name(x.role));
    request_audit(rq, "session", x.id, NULL, who);
    set_cookie(s, rq, rp, secret_reveal(cookie, NULL), SESSION_MS / 1000);
    write_session(rp, 201, &x);
    return 0;
}

static int current_session(struct security *s, struct request *rq, struct session *ret, struct error *e)
{
    char token[128];
    if (!str_eq(request_actor(rq)->kind, "session") || !request_cookie(rq, "hbcloud_session", token, sizeof token))
        return error_set(e, ERR_NOT_FOUND, "These credentials are no session.");
    return sessions_check(s, token, ret, e);
}

static int get_session(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct session x;
    int r = current_session(room, rq, &x, e);
    if (r == 0)
        write_session(rp, 200, &x);
    return r;
}

static int delete_session(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct session x;
    int r = current_session(room, rq, &x, e);
    if (r == 0)
        r = sessions_end(room, x.id, e);
    if (r < 0)
        return r;
    request_audit(rq, "session", x.id, NULL, NULL);
    set_cookie(room, rq, rp, "", 0);
    reply_empty(rp, 204);
    return 0;
}

/* ---- tokens ---- */

static int create_token(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    const struct actor *who = request_actor(rq);
    const json_t *body = request_body(rq);
    enum role role = who->role;
    const char *wanted = json_str(body, "role");
    int64_t ttl = json_int(body, "expiresIn", 900) * 1000, expires = 0;
    char token[4096];
    if (wanted && role_parse(wanted, &role) < 0)
        return error_set(e, ERR_VALIDATION, "There is no role \"%s\".", wanted);
    if (role > who->role)
        return error_set(e, ERR_FORBIDDEN, "A token cannot have a higher role (%s) than you (%s).", role_name(role),
                         role_name(who->role));
    if (str_eq(who->kind, "token"))
        return error_set(e, ERR_FORBIDDEN, "A token cannot make tokens. Use an API key or a session.");
    int r = tokens_issue(room, who, role, ttl, token, sizeof token, &expires, e);
    if (r < 0)
        return r;
    request_audit(rq, "token", who->id, NULL, NULL);
    struct jw *w = reply_json(rp, 201);
    jw_object(w);
    jw_key(w, "token"), jw_string(w, token);
    jw_key(w, "tokenType"), jw_string(w, "Bearer");
    jw_key(w, "expiresAt"), jw_time(w, expires);
    jw_key(w, "role"), jw_string(w, role_name(role));
    jw_end(w);
    reply_header(rp, "Cache-Control", "no-store");
    secret_wipe(token, sizeof token);
    return 0;
}

static int rotate_token_key(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    char kid[ID_LEN + 1];
    int r = tokens_rotate(room, kid, e);
    if (r < 0)
        return r;
    request_audit(rq, "signing-key", kid, NULL, NULL);
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "kid"), jw_string(w, kid);
    jw_key(w, "rotatedAt"), jw_time(w, clock_now_ms());
    jw_end(w);
    return 0;
}

/* ---- keys ---- */

static void write_time_if(struct jw *w, const char *key, int64_t ms)
{
    if (ms)
        jw_key(w, key), jw_time(w, ms);
}

static void write_key(struct jw *w, const struct key *k)
{
    jw_object(w);
    jw_key(w, "id"), jw_string(w, k->id);
    jw_key(w, "name"), jw_string(w, k->name);
    jw_key(w, "prefix"), jw_string(w, k->prefix);
    jw_key(w, "role"), jw_string(w, role_name(k->role));
    jw_key(w, "createdAt"), jw_time(w, k->created_ms);
    jw_key(w, "createdBy"), jw_string(w, k->created_by);
    write_time_if(w, "expiresAt", k->expires_ms);
    write_time_if(w, "lastUsedAt", k->last_used_ms);
    write_time_if(w, "revokedAt", k->revoked_ms);
    jw_end(w);
}

/* Admins alone get these; the bus sees to it by the entity's type. */
static void tell(struct security *s, const char *type, const struct key *k)
{
    if (!s->events)
        return;
    struct jw w;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 4096);
    jw_init(&w, &b);
    write_key(&w, k);
    if (buf_ok(&b))
        events_publish(s->events, type, "key", k->id, buf_str(&b), b.len);
}

static json_t *key_document(const struct key *k)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "name", k->name, "prefix", k->prefix, "role", role_name(k->role),
                     "revoked", k->revoked_ms != 0);
}

static int list_keys(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    char storage[128], next[256] = "";
    const char *after[1] = { NULL };
    if (request_str(rq, "cursor")) {
        int r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, after, 1, e);
        if (r < 0)
            return r;
    }
    size_t n = 0, limit = (size_t)request_int(rq, "limit", 100), sent = 0;
    _cleanup_free_ struct key *list = keys_list(room, &n);
    if (!list)
        return error_set(e, ERR_INTERNAL, "No memory.");
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "keys"), jw_array(w);
    for (size_t i = 0; i < n; i++) {
        if (after[0] && strcmp(list[i].id, after[0]) >= 0)
            continue;
        if (sent++ == limit) {
            const char *fields[] = { list[i - 1].id };
            (void)cursor_encode(fields, 1, next, sizeof next);
            break;
        }
        write_key(w, &list[i]);
    }
    jw_end(w);
    if (next[0])
        jw_key(w, "next"), jw_string(w, next);
    jw_end(w);
    return 0;
}

static int create_key(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct security *s = room;
    const json_t *body = request_body(rq);
    enum role role;
    int64_t expires = 0;
    char id[ID_LEN + 1], location[64];
    struct key k;
    _cleanup_secret_ struct secret *secret = NULL;
    if (role_parse(json_str(body, "role"), &role) < 0)
        return error_set(e, ERR_VALIDATION, "There is no such role.");
    if (json_str(body, "expiresAt") &&
        (time_parse(json_str(body, "expiresAt"), &expires) < 0 || expires <= clock_now_ms())) {
        (void)error_set(e, ERR_VALIDATION, "The key would be expired from the start.");
        error_detail(e, "/expiresAt", "must be in the future");
        return -ERR_VALIDATION;
    }
    int r = keys_make(s, json_str(body, "name"), role, expires, request_actor(rq)->name, id, &secret, e);
    if (r == 0)
        r = keys_find(s, id, &k, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *document = key_document(&k);
    request_audit(rq, "key", id, NULL, document);
    tell(s, "key.created", &k);
    (void)snprintf(location, sizeof location, "/v1/keys/%s", id);
    reply_header(rp, "Location", location);
    reply_header(rp, "Cache-Control", "no-store");
    struct jw *w = reply_json(rp, 201);
    jw_object(w);
    jw_key(w, "key"), write_key(w, &k);
    jw_key(w, "secret"), jw_string(w, secret_reveal(secret, NULL));
    jw_end(w);
    return 0;
}

static int get_key(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct key k;
    int r = keys_find(room, request_str(rq, "keyId"), &k, e);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "key"), write_key(w, &k);
    jw_end(w);
    return 0;
}

static int revoke_key(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct security *s = room;
    const char *id = request_str(rq, "keyId");
    struct key before, after;
    int r = keys_find(s, id, &before, e);
    if (r == 0)
        r = keys_revoke(s, id, e);
    if (r == 0)
        r = keys_find(s, id, &after, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *was = key_document(&before), *is = key_document(&after);
    request_audit(rq, "key", id, was, is);
    tell(s, "key.revoked", &after);
    if (s->events)
        events_end(s->events, id);
    reply_empty(rp, 204);
    return 0;
}

const struct api_operation security_operations[] = {
    { "createSession", create_session },
    { "getSession", get_session },
    { "deleteSession", delete_session },
    { "createToken", create_token },
    { "rotateTokenKey", rotate_token_key },
    { "listKeys", list_keys },
    { "createKey", create_key },
    { "getKey", get_key },
    { "revokeKey", revoke_key },
    { "listAudit", security_list_audit },
    { "verifyAudit", security_verify_audit },
};
const size_t security_operation_count = ARRAY_LEN(security_operations);
