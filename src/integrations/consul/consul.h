/* Consul as the service registry of the gateway: registers with one agent, whose checks Consul runs.
 * Ownership: `ops->free` frees it; the token is borrowed. Thread-safe; each call ends within 5 s.
 * Errors: ERR_UPSTREAM (refused, with Consul's words), ERR_UNAVAILABLE and ERR_UPSTREAM_TIMEOUT (away, or a fault of its
 * own such as no leader: the same may work later), ERR_VALIDATION (the address). */
#ifndef HB_CONSUL_H
#define HB_CONSUL_H

#include "base/secret.h"
#include "gateway/discovery.h"

struct consul_options {
    const char *address;        /* host:port, http://…, https://… or unix://path, as CONSUL_HTTP_ADDR */
    const struct secret *token; /* ACL token; NULL none */
    const char *owner;          /* the hub's identity: what carries it is ours */
};
int consul_discovery_new(const struct consul_options *o, struct discovery **ret, struct error *e);

#endif
