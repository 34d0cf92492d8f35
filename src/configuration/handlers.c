#include "configuration/internal.h"

#include <openssl/evp.h>
#include <string.h>

#define DOCUMENT_LIMIT (256 << 10)

static const char *caller(struct request *rq)
{
    const struct actor *a = request_actor(rq);
    return a->name[0] ? a->name : a->kind;
}

/* ---- telling ---- */

typedef int (*write_fn)(struct secrets *s, const char *name, struct jw *w, struct error *e);

/* The entity as it is now, as an event; one that cannot be written (it is gone already) is told as gone. */
static void tell(struct secrets *s, const char *type, const char *entity, const char *name, write_fn write)
{
    struct jw w;
    _cleanup_buf_ struct buf b;
    buf_init(&b, DOCUMENT_LIMIT);
    jw_init(&w, &b);
    if (!s->events)
        return;
    if (!write || write(s, name, &w, NULL) < 0 || !buf_ok(&b)) {
        buf_clear(&b);
        (void)buf_puts(&b, "null");
    }
    events_publish(s->events, type, entity, name, buf_str(&b), b.len);
}

static int answer(struct secrets *s, struct reply *rp, int status, const char *key, const char *name, write_fn write,
                  struct error *e)
{
    struct jw w;
    _cleanup_buf_ struct buf b;
    buf_init(&b, DOCUMENT_LIMIT);
    jw_init(&w, &b);
    int r = write(s, name, &w, e);
    if (r < 0)
        return r;
    if (!buf_ok(&b))
        return error_set(e, ERR_INTERNAL, "No memory.");
    struct jw *out = reply_json(rp, status);
    jw_object(out);
    jw_key(out, key), jw_raw(out, buf_str(&b), b.len);
    jw_end(out);
    return 0;
}

/* ---- secrets ---- */

static int list_secrets(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    char storage[256], next[512] = "";
    const char *after[1] = { NULL };
    size_t n = 0, limit = (size_t)request_int(rq, "limit", 100);
    int r = 0;
    if (request_str(rq, "cursor"))
        r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, after, 1, e);
    _cleanup_free_ secret_name *names = calloc(limit + 1, sizeof *names);
    if (r == 0 && !names)
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = secrets_names(room, after[0], limit, names, &n, e);
    if (r < 0)
        return r;
    _cleanup_buf_ struct buf b;
    struct jw w;
    buf_init(&b, 0);
    jw_init(&w, &b);
    jw_array(&w);
    for (size_t i = 0; r == 0 && i < n && i < limit; i++) {
        r = secrets_write(room, names[i], &w, e);
        if (r == -ERR_NOT_FOUND) /* removed while the list was read */
            r = 0;
    }
    jw_end(&w);
    if (r < 0)
        return r;
    if (n > limit)
        (void)cursor_encode((const char *[]){ names[limit - 1] }, 1, next, sizeof next);
    struct jw *out = reply_json(rp, 200);
    jw_object(out);
    jw_key(out, "secrets"), jw_raw(out, buf_str(&b), b.len);
    if (next[0])
        jw_key(out, "next"), jw_string(out, next);
    jw_end(out);
    return 0;
}

/* Strict: only whole groups, no blanks. */
static int from_base64(const char *text, size_t len, struct secret **ret)
{
    size_t padding = len >= 1 && text[len - 1] == '=' ? (len >= 2 && text[len - 2] == '=' ? 2 : 1) : 0;
    if (len % 4 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") != len - padding)
        return -1;
    unsigned char *bytes = malloc(len / 4 * 3 + 1);
    int n = bytes ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) : -1;
    if (n >= 0)
        *ret = secret_new(bytes, (size_t)n - padding);
    if (bytes)
        secret_wipe(bytes, len / 4 * 3);
    free(bytes);
    return n >= 0 && *ret ? 0 : -1;
}

static int read_value(struct request *rq, struct secret **ret, struct error *e)
{
    const json_t *value = json_object_get(request_body(rq), "value");
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (str_eq(json_str(request_body(rq), "encoding"), "base64")) {
        if (from_base64(text, len, ret) == 0)
            return 0;
        (void)error_set(e, ERR_VALIDATION, "The value is no base64.");
        error_detail(e, "/value", "is no base64 (RFC 4648, section 4, with padding)");
        return -ERR_VALIDATION;
    }
    *ret = secret_new(text, len);
    return *ret ? 0 : error_set(e, ERR_INTERNAL, "No memory.");
}

static json_t *version_document(const char *name, int64_t version)
{
    return json_pack("{s:s, s:I}", "name", name, "version", (json_int_t)version);
}

static int set_secret(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    const char *name = request_str(rq, "secretName");
    int64_t version = 0;
    _cleanup_secret_ struct secret *value = NULL;
    int r = read_value(rq, &value, e);
    if (r == 0)
        r = secrets_set(room, name, value, caller(rq), &version, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *after = version_document(name, version);
    request_audit(rq, "secret", name, NULL, after);
    tell(room, version == 1 ? "secret.created" : "secret.updated", "secret", name, secrets_write);
    return answer(room, rp, 200, "secret", name, secrets_write, e);
}

static int get_secret(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return answer(room, rp, 200, "secret", request_str(rq, "secretName"), secrets_write, e);
}

static int delete_secret(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    const char *name = request_str(rq, "secretName");
    int64_t version = request_int(rq, "version", 0);
    int r = secrets_delete(room, name, version, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *before = version ? version_document(name, version) : json_pack("{s:s}", "name", name);
    request_audit(rq, "secret", name, before, NULL);
    tell(room, version ? "secret.updated" : "secret.deleted", "secret", name, version ? secrets_write : NULL);
    reply_empty(rp, 204);
    return 0;
}

/* ---- registries ---- */

static int list_registries(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    _cleanup_buf_ struct buf b;
    struct jw w;
    buf_init(&b, 0);
    jw_init(&w, &b);
    int r = registries_write(room, &w, e);
    if (r < 0)
        return r;
    struct jw *out = reply_json(rp, 200);
    jw_object(out);
    jw_key(out, "registries"), jw_raw(out, buf_str(&b), b.len);
    jw_end(out);
    return 0;
}

static int get_registry(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    char host[256];
    int r = registry_host(request_str(rq, "registryHost"), host, e);
    return r < 0 ? r : answer(room, rp, 200, "registry", host, registry_write, e);
}

static int set_registry(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct registry_login l = { .password = NULL };
    const json_t *password = json_object_get(request_body(rq), "password");
    int r = registry_host(request_str(rq, "registryHost"), l.host, e);
    if (r < 0)
        return r;
    str_copy(l.username, sizeof l.username, json_str(request_body(rq), "username"));
    l.password = secret_new(json_string_value(password), json_string_length(password));
    if (!l.password)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (request_flag(rq, "check", false))
        r = registry_check(&l, e);
    if (r == 0)
        r = registry_set(room, l.host, l.username, l.password, caller(rq), e);
    registry_login_done(&l);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *after = json_pack("{s:s, s:s}", "host", l.host, "username", l.username);
    request_audit(rq, "registry", l.host, NULL, after);
    tell(room, "registry.updated", "registry", l.host, registry_write);
    return answer(room, rp, 200, "registry", l.host, registry_write, e);
}

static int delete_registry(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    char host[256];
    int r = registry_host(request_str(rq, "registryHost"), host, e);
    if (r == 0)
        r = registry_forget(room, host, e);
    if (r < 0)
        return r;
    request_audit(rq, "registry", host, NULL, NULL);
    tell(room, "registry.deleted", "registry", host, NULL);
    reply_empty(rp, 204);
    return 0;
}

const struct api_operation configuration_operations[] = {
    { "listSecrets", list_secrets },   { "setSecret", set_secret },           { "getSecret", get_secret },
    { "deleteSecret", delete_secret }, { "listRegistries", list_registries }, { "getRegistry", get_registry },
    { "setRegistry", set_registry },   { "deleteRegistry", delete_registry },
};
const size_t configuration_operation_count = ARRAY_LEN(configuration_operations);
