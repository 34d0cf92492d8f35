/* Infrastructure Gateway: the routes from domains to a service's instances, the switch of their upstreams, probes
 * through the real route, service discovery, certificates. A route's upstreams are files (slots): a switch is a
 * rename, never a change of the router's configuration, because that drops requests of every service.
 * Ownership: one a hub; borrows all that the options name. Thread-safe; calls block, each with its own deadline.
 * Addresses are "host:port" texts. Errors: ERR_UPSTREAM (refused, with the vendor's words; nothing changed),
 * ERR_UNAVAILABLE, ERR_UPSTREAM_TIMEOUT, ERR_VALIDATION, ERR_CONFLICT (a domain is another service's). */
#ifndef HB_GATEWAY_H
#define HB_GATEWAY_H

#include "gateway/discovery.h"
#include "gateway/router.h"
#include "http/api.h"
#include "http/events.h"
#include "runtime/runtime.h"
#include "store/store.h"

struct gateway;
struct gateway_options {
    struct store *store;
    struct events *events;
    struct runtime *runtime;
    struct router *router;       /* NULL: none is configured; services are reached at their published ports */
    struct discovery *discovery; /* NULL: none is configured */
    const char *slot_directory;  /* where the slots are; the router reads them there */
};
int gateway_open(const struct gateway_options *o, struct gateway **ret, struct error *e);
int gateway_start(struct gateway *g, struct error *e); /* begins to compare the router with what is wanted */
void gateway_stop(struct gateway *g); /* ends its threads; later calls are ERR_UNAVAILABLE. NULL is fine */
void gateway_close(struct gateway *g);

extern const struct api_operation gateway_operations[];
extern const size_t gateway_operation_count;

/* ---- routes; `specification` is a service's request (names, `networking`) ---- */

/* Whether the service is to be routed: it has domains and there is a router. */
bool gateway_wants_route(struct gateway *g, const json_t *specification);
/* Refuses beforehand what the router or another service's route would refuse. */
int gateway_route_check(struct gateway *g, const char *service_id, const json_t *specification, struct error *e);
/* Makes the route as wanted. One that is so already is left alone (`*ret_changed` false: no reload). New slots
 * are empty (503 with Retry-After). Without domains it is removed. May be repeated. */
int gateway_route_put(struct gateway *g, const char *service_id, const json_t *specification, bool *ret_changed,
                      struct error *e);
int gateway_route_forget(struct gateway *g, const char *service_id, struct error *e); /* with its slots; gone: 0 */
/* What the route looks like in the router's own words; NULL none. The caller frees. */
char *gateway_route_rendered(struct gateway *g, const char *service_id);
/* "https://first.domain" or with the router's port; false: no route. */
bool gateway_url(struct gateway *g, const char *service_id, char *ret, size_t size);

/* What is wrong now: a router that does not answer (service_id ""), routes that it refused. How many there are in the list. */
struct gateway_trouble {
    char service_id[201], name[256], reason[512];
    int64_t since_ms;
};
size_t gateway_troubles(struct gateway *g, struct gateway_trouble *ret, size_t max);

/* Whether the router has a module for `networking.rateLimit`, as it said when it was last asked; else that has no effect. */
bool gateway_limits_rates(struct gateway *g);

/* ---- upstreams ---- */
#define GATEWAY_SLOTS_MAX 32
/* Switches: all slots to these addresses (repeated to fill them), 0 addresses: 503. Durable when it returns.
 * Each address is checked to be one host:port. */
int gateway_upstreams_set(struct gateway *g, const char *service_id, const char *const *addresses, size_t n,
                          struct error *e);
/* Requests wait for an address, 5 s at most, then 503: while one instance ends before the next begins. */
int gateway_upstreams_hold(struct gateway *g, const char *service_id, struct error *e);
/* What the slots say: an array of distinct addresses. New reference. */
int gateway_upstreams_get(struct gateway *g, const char *service_id, json_t **ret, struct error *e);
/* One look: 1 no request is in flight to the address and no connection established, 0 not yet. The caller wants
 * three in a row, 100 ms apart, from 1 s after the switch on. */
int gateway_drained(struct gateway *g, const char *address, struct error *e);
/* The same without the connections: idle ones that the router keeps for 2 s count for nothing. Where every second is a
 * pause. */
int gateway_quiet(struct gateway *g, const char *address, struct error *e);

/* ---- probes: measured requests through the real route while a switch happens ---- */
struct gateway_probe;
enum probe_phase { PROBE_BEFORE, PROBE_DURING, PROBE_AFTER, PROBE_PHASES };
struct gateway_probe_options {
    double per_second; /* 0.1 to 100 */
    const char *path; /* NULL: "/" */
    int64_t timeout_ms; /* of one probe */
};
struct gateway_figures {
    int64_t sent, failed; /* of those that ended */
    double p50_ms, p99_ms; /* of those answered; 0 none; exact up to 60,000 of a phase */
    int64_t waiting_ms; /* since when the oldest that has no answer yet waits; 0 none */
    char first_failure[200]; /* in words */
};
int gateway_probe_start(struct gateway *g, const char *service_id, const struct gateway_probe_options *o,
                        struct gateway_probe **ret, struct error *e);
void gateway_probe_phase(struct gateway_probe *p, enum probe_phase phase); /* those sent from now on */
void gateway_probe_read(struct gateway_probe *p, struct gateway_figures ret[PROBE_PHASES]);
/* Points of a chart: an array of [ms since the start, latency ms, failed 0/1, phase as its number], at most 600. */
json_t *gateway_probe_points(struct gateway_probe *p);
void gateway_probe_stop(struct gateway_probe *p); /* NULL is fine */

/* ---- discovery ---- */
bool gateway_discovers(struct gateway *g);
/* Wanted from now on, over restarts of the hub and of the registry. ERR_UPSTREAM: the registry refused, it is not wanted.
 * A registry that does not answer is told when it does: 0. Again: 0. */
int gateway_register(struct gateway *g, const struct discovery_instance *instance, struct error *e);
int gateway_deregister(struct gateway *g, const char *instance_id, struct error *e); /* gone, or gone later: 0 */
bool gateway_registered(struct gateway *g,
                        const char *instance_id); /* the registry has it, by what is known; NULL id: no */
bool gateway_registry_answers(struct gateway *g); /* the last time that it was asked; without one: no */
/* Who this hub is to a registry: a UUID, made once a database. */
#define GATEWAY_IDENTITY_LEN 36
int gateway_identity(struct store *store, char ret[GATEWAY_IDENTITY_LEN + 1], struct error *e);

#endif
