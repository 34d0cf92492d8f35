#include "integrations/consul/consul.h"

#include "base/json.h"
#include "base/str.h"
#include "http/client.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define CALL_MS 5000
#define CONNECT_MS 2000
#define LIST_LIMIT (32u << 20)
#define META "hbcloud"
/* Should the hub never come back: Consul forgets what has failed for a day. While the hub lives it registers it again. */
#define FORGET_AFTER "24h"

struct consul {
    struct discovery discovery;
    char *base, *socket, *owner;
    const struct secret *token;
};

/* ---- calls ---- */

/* Consul's errors are plain text of one line. */
static void words_of(struct http_client_response *rs, char *ret, size_t size)
{
    str_copy(ret, size, buf_str(&rs->body));
    for (char *p = ret; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = ' ';
    char *trimmed = str_trim(ret);
    memmove(ret, trimmed, strlen(trimmed) + 1);
    if (!ret[0] || !str_is_utf8(ret, strlen(ret)))
        (void)snprintf(ret, size, "no reason given");
}

static int judge(struct http_client_response *rs, struct error *e)
{
    char words[300];
    if (rs->status >= 200 && rs->status < 300)
        return 0;
    words_of(rs, words, sizeof words);
    if (rs->status == 403)
        return error_set(
            e, ERR_UPSTREAM,
            "Consul refuses (403: %s). The token (consul.token) needs service:write, node:read and agent:read.", words);
    if (rs->status == 429 || rs->status >= 500)
        return error_set(e, ERR_UNAVAILABLE, "Consul cannot do it now (%d: %s).", rs->status, words);
    return error_set(e, ERR_UPSTREAM, "Consul refuses (%d: %s).", rs->status, words);
}

static int call(struct consul *c, const char *method, const char *path, const json_t *body,
                struct http_client_response *ret, struct error *e)
{
    _cleanup_free_ char *url = str_printf("%s%s", c->base, path), *text = body ? json_text(body, NULL) : NULL;
    struct http_client_header type = { "Content-Type", "application/json" };
    memset(ret, 0, sizeof *ret);
    if (!url || (body && !text))
        return error_set(e, ERR_INTERNAL, "No memory.");
    struct http_client_request rq = { .method = method,
                                      .url = url,
                                      .unix_socket = c->socket,
                                      .headers = &type,
                                      .header_count = body ? 1 : 0,
                                      .secret_header = c->token ? "X-Consul-Token" : NULL,
                                      .secret = c->token,
                                      .body = text,
                                      .body_len = text ? strlen(text) : 0,
                                      .connect_ms = CONNECT_MS,
                                      .total_ms = CALL_MS,
                                      .body_limit = LIST_LIMIT,
                                      .attempts = 1,
                                      .own_pace = true };
    return http_client_send(&rq, ret, e);
}

/* Ids are the names of containers: letters, digits, "-", "_" and "."; anything else is encoded. */
static char *path_with(const char *before, const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    (void)buf_puts(&b, before);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        (void)(isalnum(*p) || strchr("-_.~", *p) ? buf_putc(&b, (char)*p) : buf_printf(&b, "%%%02X", *p));
    return buf_steal(&b);
}

/* ---- registering ---- */

static json_t *check_of(const struct discovery_instance *x)
{
    char interval[32], timeout[32];
    int64_t every = x->check_interval_ms < 1000 ? 1000 : x->check_interval_ms;
    bool v6 = strchr(x->address, ':') && x->address[0] != '[';
    (void)snprintf(interval, sizeof interval, "%lldms", (long long)every);
    (void)snprintf(timeout, sizeof timeout, "%lldms",
                   (long long)(x->check_timeout_ms < 100 ? 5000 : x->check_timeout_ms));
    _cleanup_free_ char *target =
        str_printf("%s%s%s%s:%u%s%s", x->check_path ? "http://" : "", v6 ? "[" : "", x->address, v6 ? "]" : "", x->port,
                   x->check_path && x->check_path[0] != '/' ? "/" : "", x->check_path ? x->check_path : "");
    if (!target)
        return NULL;
    /* It is healthy when it is registered: the deployment has just looked. Consul looks for itself within the interval. */
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Name", x->check_path ? "hbcloud: HTTP" : "hbcloud: connection",
                     x->check_path ? "HTTP" : "TCP", target, "Interval", interval, "Timeout", timeout, "Status",
                     "passing", "DeregisterCriticalServiceAfter", FORGET_AFTER);
}

static json_t *meta_of(const struct consul *c, const struct discovery_instance *x)
{
    json_t *meta = x->meta ? json_deep_copy(x->meta) : json_object();
    (void)json_object_set_new(meta, META, json_string(c->owner));
    if (x->node)
        (void)json_object_set_new(meta, "node", json_string(x->node));
    return meta;
}

static json_t *tags_of(const struct discovery_instance *x)
{
    json_t *tags = x->tags ? json_deep_copy(x->tags) : json_array();
    (void)json_array_append_new(tags, json_string(META));
    return tags;
}

static int add(struct discovery *d, const struct discovery_instance *x, struct error *e)
{
    struct consul *c = (struct consul *)d;
    json_t *check = check_of(x);
    if (!check)
        return error_set(e, ERR_INTERNAL, "No memory.");
    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "ID", x->id, "Name", x->service, "Address", x->address, "Port",
                  (int)x->port, "Tags", tags_of(x), "Meta", meta_of(c, x), "Check", check);
    if (!body)
        return error_set(e, ERR_INTERNAL, "No memory.");
    _cleanup_response_ struct http_client_response rs;
    int r = call(c, "PUT", "/v1/agent/service/register?replace-existing-checks=true", body, &rs, e);
    return r == 0 ? judge(&rs, e) : r;
}

static int remove_one(struct discovery *d, const char *id, struct error *e)
{
    _cleanup_free_ char *path = path_with("/v1/agent/service/deregister/", id);
    _cleanup_response_ struct http_client_response rs = { 0 };
    if (!path)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = call((struct consul *)d, "PUT", path, NULL, &rs, e);
    return r < 0 ? r : rs.status == 404 ? 0 : judge(&rs, e);
}

/* ---- listing ---- */

static int read_object(struct consul *c, const char *path, json_t **ret, struct error *e)
{
    _cleanup_response_ struct http_client_response rs;
    json_t *d = NULL;
    int r = call(c, "GET", path, NULL, &rs, e);
    if (r == 0)
        r = judge(&rs, e);
    if (r == 0 && json_parse(buf_str(&rs.body), rs.body.len, &d, e) < 0)
        r = error_set(e, ERR_UPSTREAM, "Consul answered what is no JSON.");
    if (r == 0 && !json_is_object(d)) {
        json_decref(d);
        r = error_set(e, ERR_UPSTREAM, "Consul answered no object.");
    }
    if (r == 0)
        *ret = d;
    return r;
}

/* The worst of an instance's checks. */
static const char *health_of(const json_t *checks, const char *id)
{
    static const char *const words[] = { "passing", "warning", "critical" };
    const char *key;
    json_t *x;
    size_t worst = 0, seen = 0;
    json_object_foreach ((json_t *)(uintptr_t)checks, key, x)
        for (size_t i = 0; str_eq(json_str(x, "ServiceID"), id) && i < ARRAY_LEN(words); i++)
            if (str_eq(json_str(x, "Status"), words[i])) {
                worst = i > worst ? i : worst;
                seen++;
            }
    return seen ? words[worst] : "passing";
}

static int list(struct discovery *d, json_t **ret, struct error *e)
{
    struct consul *c = (struct consul *)d;
    _cleanup_json_ json_t *services = NULL, *checks = NULL;
    _cleanup_free_ char *filter = str_printf("Meta[\"%s\"] == \"%s\"", META, c->owner);
    _cleanup_free_ char *path = filter ? path_with("/v1/agent/services?filter=", filter) : NULL;
    const char *id;
    json_t *x;
    int r = path ? read_object(c, path, &services, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = read_object(c, "/v1/agent/checks?filter=ServiceTags%20contains%20%22" META "%22", &checks, e);
    if (r < 0)
        return r;
    json_t *all = json_array();
    json_object_foreach (services, id, x)
        if (str_eq(json_str(json_object_get(x, "Meta"), META), c->owner))
            (void)json_array_append_new(all,
                                        json_pack("{s:s, s:s?, s:s?, s:I, s:s}", "id", id, "service",
                                                  json_str(x, "Service"), "address", json_str(x, "Address"), "port",
                                                  (json_int_t)json_int(x, "Port", 0), "health", health_of(checks, id)));
    *ret = all;
    return all ? 0 : error_set(e, ERR_INTERNAL, "No memory.");
}

/* ---- making ---- */

static void consul_free(struct discovery *d)
{
    struct consul *c = (struct consul *)d;
    free(c->base);
    free(c->socket);
    free(c->owner);
    free(c);
}

static const struct discovery_ops ops = { .add = add, .remove = remove_one, .list = list, .free = consul_free };

static int read_address(struct consul *c, const char *address, struct error *e)
{
    size_t n = strlen(address);
    while (n && address[n - 1] == '/')
        n--;
    if (str_starts(address, "unix://")) {
        c->socket = strdup(address + strlen("unix://"));
        c->base = strdup("http://consul");
    } else if (str_starts(address, "http://") || str_starts(address, "https://")) {
        c->base = str_printf("%.*s", (int)n, address);
    } else {
        c->base = str_printf("http://%.*s", (int)n, address);
    }
    if (n == 0 || strpbrk(address, " \t?#@"))
        return error_set(e, ERR_VALIDATION, "consul.address is host:port or a URL without a path.");
    return c->base && (c->socket || !str_starts(address, "unix://")) ? 0 : error_set(e, ERR_INTERNAL, "No memory.");
}

int consul_discovery_new(const struct consul_options *o, struct discovery **ret, struct error *e)
{
    struct consul *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(e, ERR_INTERNAL, "No memory.");
    c->discovery.ops = &ops;
    c->token = o->token;
    c->owner = strdup(o->owner);
    int r = c->owner ? read_address(c, o->address, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0) {
        consul_free(&c->discovery);
        return r;
    }
    *ret = &c->discovery;
    return 0;
}
