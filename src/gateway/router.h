/* What the gateway needs of a router (reverse proxy), whoever makes it. Implementations live in integrations/.
 * A router owns one part of the proxy's configuration and never touches the rest.
 * Ownership: shared; calls are thread-safe and blocking, each with its own deadline. */
#ifndef HB_ROUTER_H
#define HB_ROUTER_H

#include "base/error.h"

#include <jansson.h>

struct router_route {
    const char *service_id, *name;
    const json_t *domains;        /* array of strings; "*.example.org" is a wildcard */
    const char *const *slots;     /* paths of files that hold one host:port each; the switch renames them */
    size_t slot_count;
    const json_t *networking;     /* the request's: headers, rate limit, what else shapes a route */
};
struct router_verdict {           /* of one route after apply */
    bool accepted;
    char reason[512];             /* the proxy's words when not */
};
struct router_info {
    bool rate_limits;             /* has a module for it: asked, not assumed */
    /* Where the hub reaches what it routes, as clients do: of the server that holds the routes. Port 0: not known yet. */
    char host[256];
    uint16_t port;
    bool tls;
};
struct router;
struct router_ops {
    int (*info)(struct router *r, struct router_info *ret, struct error *e);
    /* Whether names are free: ERR_CONFLICT when the owner's own part of the configuration serves one, which ours would hide. */
    int (*check)(struct router *r, const json_t *domains, struct error *e);
    /* Makes the owned part exactly these routes; unchanged ones cost nothing. A refused route is left out as it was and
     * says so in its verdict; the others stand. `*ret_reloads`: changes of configuration that were needed. */
    int (*apply)(struct router *r, const struct router_route *routes, size_t n, struct router_verdict *ret_verdicts,
                 unsigned *ret_reloads, struct error *e);
    /* Whether the owned part is as last applied: 1 yes, 0 no (lost, changed by a stranger; why in words). */
    int (*intact)(struct router *r, char *ret_why, size_t size, struct error *e);
    char *(*render)(struct router *r, const struct router_route *route); /* for people; the caller frees */
    int (*in_flight)(struct router *r, const char *address, int64_t *ret, struct error *e);
    /* {"hosts": {domain: {"1xx" to "5xx", "bytes", "seconds"}}, "inFlight": {service id: n}}, counted since the proxy's
     * start; hosts null: it does not count, or did not say. New reference. */
    int (*figures)(struct router *r, json_t **ret, struct error *e);
    void (*free)(struct router *r);
};
struct router { /* embedded first in the implementation's struct */
    const struct router_ops *ops;
};

#endif
