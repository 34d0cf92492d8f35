/* Where our part belongs in somebody's configuration, and how it gets there without touching the rest. */
#include "integrations/caddy/caddy_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SERVERS "/config/apps/http/servers"

static bool listens_on(const json_t *server, const char *port)
{
    size_t i;
    json_t *x;
    json_array_foreach (json_object_get(server, "listen"), i, x)
        if (json_string_value(x) && str_ends(json_string_value(x), port))
            return true;
    return false;
}

static const char *listener(json_t *servers, const char *port)
{
    const char *name;
    json_t *server;
    json_object_foreach (servers, name, server)
        if (listens_on(server, port))
            return name;
    return NULL;
}

/* The server that is meant, by its name; NULL: our own is to be made. */
static const char *choose(const struct caddy *c, json_t *servers)
{
    if (c->server)
        return json_object_get(servers, c->server) ? c->server : NULL;
    if (json_object_get(servers, OWN_SERVER))
        return OWN_SERVER;
    const char *name = listener(servers, ":443");
    return name ? name : listener(servers, ":80");
}

static int call(struct caddy *c, const char *method, const char *path, const json_t *body, struct error *e)
{
    _cleanup_response_ struct http_client_response rs;
    return caddy_call(c, method, path, body, NULL, &rs, e);
}

/* ---- a server of our own ---- */

static json_t *listen_list(const struct caddy *c)
{
    json_t *list = json_array();
    _cleanup_free_ char *copy = strdup(c->listen);
    char *rest = NULL;
    for (char *x = copy ? strtok_r(copy, ", ", &rest) : NULL; x; x = strtok_r(NULL, ", ", &rest))
        (void)json_array_append_new(list, json_string(x));
    return list;
}

static json_t *own_server(const struct caddy *c, const json_t *part)
{
    json_t *routes = json_pack("[O]", part), *unknown = caddy_unknown(c);
    if (unknown)
        (void)json_array_append_new(routes, unknown);
    json_t *server = json_pack("{s:s, s:o, s:o}", "@id", ID_SERVER, "listen", listen_list(c), "routes", routes);
    if (str_eq(c->issuer, "none"))
        (void)json_object_set_new(server, "automatic_https", json_pack("{s:b}", "disable", 1));
    return server;
}

/* Figures are counted where the whole application is ours; of another's nothing is switched on. */
static int make_server(struct caddy *c, const json_t *part, bool alone, struct error *e)
{
    json_t *server = own_server(c, part);
    if (alone) {
        _cleanup_json_ json_t *app =
            json_pack("{s:{s:o}, s:{s:b}}", "servers", OWN_SERVER, server, "metrics", "per_host", 1);
        return app ? call(c, "PUT", "/config/apps/http", app, e) : error_set(e, ERR_INTERNAL, "No memory.");
    }
    _cleanup_json_ json_t *own = server;
    return own ? call(c, "PUT", SERVERS "/" OWN_SERVER, own, e) : error_set(e, ERR_INTERNAL, "No memory.");
}

/* ---- into a server that is there ---- */

static int add_route(struct caddy *c, const char *server, const json_t *config, const json_t *route, bool first,
                     struct error *e)
{
    const json_t *routes = json_object_get(config, "routes");
    _cleanup_free_ char *path =
        str_printf(SERVERS "/%s/routes%s", server, first && json_array_size(routes) ? "/0" : "");
    if (!path)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (json_is_array(routes)) /* PUT before the first, POST after the last */
        return call(c, first && json_array_size(routes) ? "PUT" : "POST", path, route, e);
    _cleanup_json_ json_t *list = json_pack("[O]", route);
    return call(c, "PUT", path, list, e);
}

static int missing_server(const struct caddy *c, struct error *e)
{
    return error_set(e, ERR_UPSTREAM, "Caddy's configuration has no server \"%s\" (caddy.server).", c->server);
}

int caddy_insert(struct caddy *c, const json_t *part, struct error *e)
{
    _cleanup_json_ json_t *http = NULL;
    int r = caddy_read(c, "/config/apps/http", &http, NULL, 0, e);
    if (r < 0)
        return r;
    json_t *servers = json_object_get(http, "servers");
    const char *name = choose(c, servers);
    if (!name && c->server)
        return missing_server(c, e);
    return name ? add_route(c, name, json_object_get(servers, name), part, true, e) : make_server(c, part, !http, e);
}

/* At the end of the server that has our part, so that the owner's own routes come before it. */
int caddy_insert_unknown(struct caddy *c, const json_t *object, struct error *e)
{
    _cleanup_json_ json_t *servers = NULL;
    int r = caddy_read(c, SERVERS, &servers, NULL, 0, e);
    if (r < 0)
        return r;
    const char *name = choose(c, servers);
    return name ? add_route(c, name, json_object_get(servers, name), object, false, e) : 0;
}

/* Before the owner's policies: the first that matches a name counts, and ours names only what is ours. */
int caddy_insert_policy(struct caddy *c, const json_t *object, struct error *e)
{
    _cleanup_json_ json_t *policies = NULL;
    int r = caddy_read(c, "/config/apps/tls/automation/policies", &policies, NULL, 0, e);
    if (r < 0)
        return r;
    if (json_array_size(policies))
        return call(c, "PUT", "/config/apps/tls/automation/policies/0", object, e);
    _cleanup_json_ json_t *list = json_pack("[O]", object);
    return call(c, "PUT", "/config/apps/tls/automation/policies", list, e);
}

int caddy_ensure(struct caddy *c, const char *id, const json_t *wanted,
                 int (*insert)(struct caddy *c, const json_t *object, struct error *e), struct error *e)
{
    char path[80], tag[256];
    _cleanup_json_ json_t *now = NULL;
    (void)snprintf(path, sizeof path, "/id/%s", id);
    int r = caddy_read(c, path, &now, tag, sizeof tag, e);
    if (r < 0 || (!now && !wanted) || (now && wanted && json_equal(now, wanted)))
        return r;
    if (!now)
        r = insert(c, wanted, e);
    else {
        _cleanup_response_ struct http_client_response rs;
        r = caddy_call(c, wanted ? "PATCH" : "DELETE", path, wanted, tag[0] ? tag : NULL, &rs, e);
    }
    return r < 0 ? r : 1;
}

/* ---- what the owner serves himself ---- */

static bool holds(const json_t *array, const json_t *text)
{
    size_t i;
    json_t *x;
    json_array_foreach (array, i, x)
        if (json_string_value(x) && str_ieq(json_string_value(x), json_string_value(text)))
            return true;
    return false;
}

static const char *owners_host(const json_t *route, const json_t *domains)
{
    size_t i, k;
    json_t *set, *host;
    const char *id = json_str(route, "@id");
    if (id && (str_eq(id, ID_PART) || str_eq(id, ID_UNKNOWN)))
        return NULL;
    json_array_foreach (json_object_get(route, "match"), i, set)
        json_array_foreach (json_object_get(set, "host"), k, host)
            if (holds(domains, host))
                return json_string_value(host);
    return NULL;
}

int caddy_check(struct router *router, const json_t *domains, struct error *e)
{
    struct caddy *c = (struct caddy *)router;
    size_t i;
    json_t *route;
    _cleanup_json_ json_t *servers = NULL;
    int r = caddy_read(c, SERVERS, &servers, NULL, 0, e);
    if (r < 0)
        return r;
    const char *name = choose(c, servers), *host;
    if (!name)
        return c->server ? missing_server(c, e) : 0;
    json_array_foreach (json_object_get(json_object_get(servers, name), "routes"), i, route)
        if ((host = owners_host(route, domains)))
            return error_set(e, ERR_CONFLICT,
                             "Caddy's own configuration has a route for %s (server %s); remove it there first.", host,
                             name);
    return 0;
}

/* ---- where clients reach it ---- */

static uint16_t port_of(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    return port > 0 && port <= 65535 ? (uint16_t)port : 0;
}

/* Of several listeners the one that clients would take. */
static uint16_t best_port(const json_t *server)
{
    size_t i;
    json_t *x;
    uint16_t best = 0;
    json_array_foreach (json_object_get(server, "listen"), i, x) {
        uint16_t port = json_string_value(x) ? port_of(json_string_value(x)) : 0;
        if (port && (!best || port == 443))
            best = port;
    }
    return best;
}

int caddy_front(struct caddy *c, struct router_info *ret, struct error *e)
{
    _cleanup_json_ json_t *http = NULL;
    int r = caddy_read(c, "/config/apps/http", &http, NULL, 0, e);
    if (r < 0)
        return r;
    json_t *servers = json_object_get(http, "servers");
    const char *name = choose(c, servers);
    const json_t *server = name ? json_object_get(servers, name) : NULL;
    str_copy(ret->host, sizeof ret->host, c->host);
    if (!name && c->server)
        return missing_server(c, e);
    ret->port = server ? best_port(server) : port_of(c->listen);
    bool plain = server ? json_flag(server, "automatic_https.disable", false) &&
                              !json_object_get(server, "tls_connection_policies")
                        : str_eq(c->issuer, "none");
    ret->tls = !plain && ret->port != (uint16_t)json_int(http, "http_port", 80);
    return 0;
}
