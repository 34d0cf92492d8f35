#include "runtime/internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

/* ---- where the hub reaches a node ---- */

/* The host in "scheme://user@host:port/…"; a socket is on this very machine. */
static bool url_host(const char *url, char *ret, size_t size)
{
    const char *from = url ? strstr(url, "://") : NULL, *at;
    if (str_starts(url ? url : "", "unix:")) {
        str_copy(ret, size, "127.0.0.1");
        return true;
    }
    if (!from)
        return false;
    from += 3;
    size_t n = strcspn(from, "/?#");
    if ((at = memchr(from, '@', n))) {
        n -= (size_t)(at + 1 - from);
        from = at + 1;
    }
    bool bracket = n && from[0] == '[';
    const char *end = bracket ? memchr(from, ']', n) : memchr(from, ':', n);
    from += bracket;
    n = end ? (size_t)(end - from) : n;
    if (!n || n >= size)
        return false;
    memcpy(ret, from, n);
    ret[n] = '\0';
    return true;
}

bool node_address(const json_t *d, char *ret, size_t size)
{
    const char *mesh = json_str(d, "networking.tailscaleIP"), *kind = json_str(d, "engine.kind");
    const char *first = json_string_value(json_array_get(json_at(d, "networking.addresses"), 0));
    const char *name = json_str(d, "networking.hostname");
    if (mesh) {
        str_copy(ret, size, mesh);
        return true;
    }
    /* The engine's own host is known to be reachable; a manager of engines stands elsewhere. */
    if (!str_eq(kind, "portainer") && url_host(json_str(d, "engine.url"), ret, size))
        return true;
    if (!first && !name)
        return false;
    str_copy(ret, size, first ? first : name);
    return true;
}

/* Numbers, since an engine publishes on nothing else. */
static bool resolve(const char *host, char ret[46])
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    bool good = getnameinfo(found->ai_addr, found->ai_addrlen, ret, 46, NULL, 0, NI_NUMERICHOST) == 0;
    freeaddrinfo(found);
    return good;
}

/* Addresses that the internet does not route: RFC 1918, shared (RFC 6598, which meshes use), loopback, unique local. */
static bool is_private(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1) {
        uint32_t a = ntohl(v4.s_addr);
        return a >> 24 == 10 || a >> 24 == 127 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x191;
    }
    return inet_pton(AF_INET6, address, &v6) == 1 && ((v6.s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LOOPBACK(&v6));
}

int runtime_publish_address(struct runtime *r, const char *node_id, const char *wanted, char ret[46], struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    char host[256], address[46] = "";
    bool hub = str_eq(node_id, r->hub_id), mesh = str_eq(wanted, "mesh");
    if (str_eq(wanted, "any") || (hub && !mesh)) {
        str_copy(ret, 46, hub && !str_eq(wanted, "any") ? "127.0.0.1" : "0.0.0.0");
        return 0;
    }
    int res = runtime_node(r, node_id, &x, e);
    _cleanup_json_ json_t *d = res == 0 ? entity_document(x) : NULL;
    if (res < 0)
        return res;
    const char *in_mesh = json_str(d, "networking.tailscaleIP");
    if (in_mesh)
        str_copy(address, sizeof address, in_mesh);
    else if (hub || !node_address(d, host, sizeof host) || !resolve(host, address) || !is_private(address))
        return error_set(e, ERR_CONFLICT,
                         "Node %s has no address in a mesh or private network to publish a port on: say it in its "
                         "`networking.tailscaleIP`, or publish the port with the address `any`.",
                         x->name);
    str_copy(ret, 46, address);
    return 0;
}

/* ---- where an instance is reached ---- */

/* What is published on a node's loopback is reached by nobody else; on all addresses, by the node's own. */
static void place_url(json_t *d, const json_t *node)
{
    char host[256], text[320];
    const char *url = json_str(d, "networking.url"), *port = url ? strrchr(url, ':') : NULL;
    if (!port || !str_starts(url, "http://127.0.0.1:"))
        return;
    size_t i;
    json_t *p;
    bool any = false, known = node_address(node, host, sizeof host);
    if (known && (str_eq(host, "127.0.0.1") || str_eq(host, "localhost")))
        return;
    json_array_foreach (json_at(d, "networking.ports"), i, p) {
        const char *at = json_str(p, "address");
        any = any || (json_int(p, "host", 0) == strtol(port + 1, NULL, 10) &&
                      (!at || str_eq(at, "0.0.0.0") || str_eq(at, "::")));
    }
    if (!any || !known) {
        (void)json_put(d, "networking.url", json_null());
        return;
    }
    (void)snprintf(text, sizeof text, strchr(host, ':') ? "http://[%s]%s" : "http://%s%s", host, port);
    (void)json_put(d, "networking.url", json_string(text));
}

/* The instance's own address, for checks and upstreams; people are told the route's, where there is one. */
static void tell_route(json_t *d)
{
    const char *own = json_str(d, "networking.url"), *host = own ? strstr(own, "://") : NULL;
    const char *route = json_str(d, "networking.routeUrl");
    (void)json_put(d, "networking.address", host ? json_string(host + 3) : json_null());
    if (host && route)
        (void)json_put(d, "networking.url", json_string(route));
}

void runtime_instance_fill(struct runtime *r, json_t *d, const struct engine_container *c)
{
    runtime_fill_container(d, c);
    if (!str_eq(json_str(d, "nodeId"), r->hub_id)) {
        _cleanup_entity_ struct entity *x = table_get(r->nodes, json_str(d, "nodeId"));
        _cleanup_json_ json_t *node = x ? entity_document(x) : NULL;
        place_url(d, node);
    }
    tell_route(d);
}

bool runtime_instance_address(const json_t *d, char *ret, size_t size)
{
    const char *address = json_str(d, "networking.address");
    if (address) {
        str_copy(ret, size, address);
        return strlen(address) < size;
    }
    /* Of a document that was written before there were routes. */
    const char *url = json_str(d, "networking.routeUrl") ? NULL : json_str(d, "networking.url");
    const char *host = url ? strstr(url, "://") : NULL;
    if (!host || strlen(host + 3) >= size)
        return false;
    str_copy(ret, size, host + 3);
    ret[strcspn(ret, "/")] = '\0';
    return ret[0] != '\0';
}
