#include "integrations/portainer/portainer.h"

#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define ASK_MS 15000
#define NAME_MAX_BYTES 255

/* ---- Portainer's own API ---- */

static int ask(struct docker_http *http, const char *path, const char *what, json_t **ret, struct error *e)
{
    struct docker_call call = { .method = "GET", .path = path, .deadline_ms = ASK_MS };
    _cleanup_(docker_reply_done) struct docker_reply reply;
    int r = docker_http_call(http, &call, &reply, e);
    if (r < 0)
        return r;
    if (reply.status != 200) {
        (void)docker_refused(reply.status, buf_str(&reply.body), reply.body.len, what, NULL, e);
        if (reply.status == 401 || reply.status == 403)
            return error_set(e, ERR_UPSTREAM, "Portainer refused the access token (%ld).", reply.status);
        return e ? -(int)e->code : -(int)ERR_UPSTREAM;
    }
    if (json_parse(buf_str(&reply.body), reply.body.len, ret, NULL) < 0 || !json_is_array(*ret))
        return error_set(e, ERR_UPSTREAM, "Portainer's answer about %.60s cannot be read.", what);
    return 0;
}

/* What both ways to it share. */
static struct docker_target_options target_of(const struct portainer_options *o, const char *prefix,
                                              const struct secret *token, const struct secret *authority)
{
    return (struct docker_target_options){
        .host = o->url, .authority = authority, .prefix = prefix, .header = "X-API-Key", .header_value = token
    };
}

/* Its filter takes a part of a name, too: the whole one is looked for here. */
static int find_endpoint(const json_t *all, const char *name, int64_t *ret, struct error *e)
{
    size_t i;
    json_t *one;
    json_array_foreach (all, i, one)
        if (str_eq(json_str(one, "Name"), name) && json_int(one, "Id", 0) > 0) {
            *ret = json_int(one, "Id", 0);
            return 0;
        }
    return error_set(e, ERR_UPSTREAM, "Portainer has no endpoint named %.100s, or the token's user may not use it.",
                     name);
}

static int endpoint_by_name(struct docker_http *http, const char *name, int64_t *ret, struct error *e)
{
    _cleanup_json_ json_t *all = NULL;
    _cleanup_free_ char *encoded = docker_ops_encode(name);
    _cleanup_free_ char *path = encoded ? str_printf("/endpoints?excludeSnapshots=true&name=%s", encoded) : NULL;
    if (!path)
        return error_errno(e, -ENOMEM, "Asking Portainer");
    int r = ask(http, path, "its endpoints", &all, e);
    return r < 0 ? r : find_endpoint(all, name, ret, e);
}

/* ---- a registry's login ---- */

/* "https://host/" and "host" are the same registry. */
static bool same_registry(const char *a, const char *b)
{
    const char *both[2] = { a, b };
    size_t len[2];
    for (int i = 0; i < 2; i++) {
        if (!both[i])
            return false;
        const char *scheme = strstr(both[i], "://");
        both[i] = scheme ? scheme + 3 : both[i];
        for (len[i] = strlen(both[i]); len[i] && both[i][len[i] - 1] == '/';)
            len[i]--;
    }
    return len[0] && len[0] == len[1] && strncasecmp(both[0], both[1], len[0]) == 0;
}

static int64_t find_registry(const json_t *all, const char *address)
{
    size_t i;
    json_t *one;
    json_array_foreach (all, i, one)
        if (json_flag(one, "Authentication", false) && same_registry(json_str(one, "URL"), address))
            return json_int(one, "Id", 0);
    return 0;
}

/* Portainer reads the number of a registry of its own where an engine reads a login. */
static int login(void *ctx, const struct engine_credentials *c, char **ret, struct error *e)
{
    _cleanup_json_ json_t *all = NULL;
    char text[64], coded[96];
    int r = ask(ctx, "/registries", "its registries", &all, e);
    if (r < 0)
        return r;
    int64_t id = find_registry(all, c->registry);
    if (!id)
        return error_set(
            e, ERR_UPSTREAM,
            "Portainer passes no login on but those of its own registries: add %.100s with its login there.",
            c->registry ? c->registry : "the registry");
    int n = snprintf(text, sizeof(text), "{\"registryId\":%" PRId64 "}", id);
    size_t len =
        base64url_encode((const uint8_t *)text, (size_t)n, coded, sizeof(coded)); /* no "-" nor "_" in such text */
    for (; len % 4; len++)
        coded[len] = '=';
    coded[len] = '\0';
    *ret = strdup(coded);
    return *ret ? 0 : error_errno(e, -ENOMEM, "Asking Portainer");
}

static void login_done(void *ctx)
{
    docker_http_free(ctx);
}

/* ---- opening ---- */

/* A token in a file ends with a line's end. */
static int token_read(const struct docker_material *m, struct secret **ret, struct error *e)
{
    _cleanup_secret_ struct secret *raw = NULL;
    size_t len;
    int r = docker_material_read(NULL, NULL, m, &raw, e);
    if (r < 0)
        return r;
    const char *bytes = raw ? secret_reveal(raw, &len) : NULL;
    while (bytes && len && strchr(" \t\r\n", bytes[len - 1]))
        len--;
    if (!bytes || !len)
        return error_set(e, ERR_VALIDATION, "Portainer's access token is missing.");
    *ret = secret_new(bytes, len);
    return *ret ? 0 : error_errno(e, -ENOMEM, "Preparing the container engine");
}

static int open_with(const struct portainer_options *o, const struct secret *token, const struct secret *authority,
                     struct container_engine **ret, struct error *e)
{
    struct docker_http *http = NULL;
    char prefix[64];
    int64_t endpoint = o->endpoint;
    const struct docker_target_options own = target_of(o, "/api", token, authority);
    int r = docker_http_new(&own, &http, e);
    if (r == 0 && endpoint <= 0)
        r = endpoint_by_name(http, o->endpoint_name, &endpoint, e);
    if (r < 0) {
        docker_http_free(http);
        return r;
    }
    (void)snprintf(prefix, sizeof(prefix), "/api/endpoints/%" PRId64 "/docker", endpoint);
    const struct docker_target_options to = target_of(o, prefix, token, authority);
    const struct docker_login how = { .encode = login, .free = login_done, .ctx = http };
    return docker_engine_make(&to, &how, ret, e); /* takes `how.ctx` in any case */
}

int portainer_engine_open(const struct portainer_options *o, struct container_engine **ret, struct error *e)
{
    const char *name = o->endpoint_name;
    _cleanup_secret_ struct secret *token = NULL, *authority = NULL;
    if (!o->url || (o->endpoint <= 0 && (!name || !*name || strlen(name) > NAME_MAX_BYTES)))
        return error_set(e, ERR_VALIDATION, "Portainer's address and the endpoint's number or name are needed.");
    int r = token_read(&o->token, &token, e);
    if (r == 0)
        r = docker_material_read(NULL, NULL, &o->authority, &authority, e);
    return r < 0 ? r : open_with(o, token, authority, ret, e);
}
