/* What the files of gateway share. Internal to the room. */
#ifndef HB_GATEWAY_INTERNAL_H
#define HB_GATEWAY_INTERNAL_H

#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "gateway/gateway.h"

#include <pthread.h>

#define GATEWAY_COMPARE_MS 2000 /* the router is compared with what is wanted so often */
#define GATEWAY_WINDOW_MS 100   /* changes within it become one change of the router's configuration */
#define GATEWAY_KEEP_MS 30000    /* each service's instances are looked at so often, and whenever one changes */
#define GATEWAY_TOUCHED_MAX 1000
#define GATEWAY_FIGURES_MS 15000 /* what it counted is read so often, and before it is changed */
#define GATEWAY_ROUTES_MAX 10000

/* One service's route as it is wanted, and what the router said to it. */
struct route {
    char *service_id, *name;
    json_t *domains;    /* array of lower-case texts */
    json_t *networking; /* all of the request's that shapes a route */
    unsigned slots;     /* fixed at its making; grows by steps, never shrinks: each step is a reload */
    bool judged, accepted;
    char reason[512];   /* the router's words when it refused */
    bool serving;       /* its slots name an address */
    int64_t updated_ms;
};

struct gateway {
    struct store *store;
    struct events *events;
    struct runtime *runtime;
    struct router *router;
    struct certificates *certificates; /* NULL: no router is configured */
    struct registrar *registrar; /* NULL: no service registry is configured */
    char *slot_directory;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct map *routes;   /* service id -> struct route, owned */
    json_t *touched;      /* ids of instances that changed: the thread looks whether they serve */
    int64_t compare_ms, keep_ms; /* when the thread compares next, and looks at all of them (monotonic) */
    json_t *gone;         /* ids of services that were deleted: the thread takes their routes away */
    uint64_t wanted, applied; /* counts changes; equal: the router has them all */
    int apply_result;     /* of the last try: 0, or negative with `apply_error` */
    char apply_error[512];
    bool reached;         /* the router answered last time */
    int64_t reached_ms;   /* since when that is so; 0: since the start */
    char unreached[512];  /* why not */
    bool stop, running;
    pthread_t thread;
    int64_t reloads;      /* changes of the router's configuration since the start */
    struct router_info info; /* as last asked; port 0: not yet */

    pthread_mutex_t slot_lock; /* one switch at a time */
    pthread_mutex_t figures_lock; /* one reading at a time */
    json_t *totals;            /* host -> counter -> {base, last}; under figures_lock */
    int64_t figures_ms;        /* the thread read them last (monotonic) */
};

/* route_rows.c: the table */
int route_rows_load(struct gateway *g, struct error *e);
int route_row_write(struct gateway *g, const struct route *x, struct error *e);
int route_row_remove(struct gateway *g, const char *service_id, struct error *e);

/* routes.c */
void route_free(struct route *x);
static inline void route_free_ptr(struct route **x)
{
    route_free(*x);
}
struct route *route_copy(const struct route *x); /* NULL: no memory */
/* What the router is told of one; `ret_slots` has room for GATEWAY_SLOTS_MAX and its texts are to be freed. */
int route_for_router(struct gateway *g, const struct route *x, struct router_route *ret, char **ret_slots);
/* "https://first.domain", with the port where it is not the usual one; false: only wildcards. Under the lock. */
bool route_url(const struct gateway *g, const struct route *x, char *ret, size_t size);
/* How the hub asks a service through its route, as clients do but without their DNS. */
struct gateway_target {
    char url[400];        /* "https://first.domain:port", without a path; of a wildcard some name of it */
    char connect_to[300]; /* curl's CURLOPT_CONNECT_TO: every connection goes to where the router listens */
    char host[256], address[270]; /* the domain alone; the router's host */
    uint16_t port;
    bool tls;
};
/* ERR_NOT_FOUND: no route; ERR_UNAVAILABLE: where the router listens is not known yet. */
int target_for(const struct router_info *i, const char *domain, struct gateway_target *ret, struct error *e);
int gateway_probe_target(struct gateway *g, const char *service_id, struct gateway_target *ret, struct error *e);
/* gateway.c: one turn: applies what is wanted, or compares. Called by the thread, and by tests. */
void gateway_turn(struct gateway *g);
/* Tells of a route as an event; `type` such as "route.updated". Call it under the lock. */
void gateway_tell(struct gateway *g, const char *type, const struct route *x);
/* Waits until all that was wanted when it was called has been tried. */
int gateway_settle_locked(struct gateway *g, uint64_t generation, struct error *e);
/* handlers.c: the route's document for events, a part of the API's; under the lock. New reference. */
json_t *route_document(struct gateway *g, const struct route *x);

/* handshake.c: waits, 20 s at most, until the names of `x` that `before` (NULL: none) lacks can be asked for by TLS.
 * ERR_UPSTREAM with the cause. */
int gateway_await_certificates(struct gateway *g, const struct route *x, const struct route *before, struct error *e);
/* keeper.c: brings the slots of an instance's service to those of its instances that serve. */
void gateway_keep(struct gateway *g, const char *instance_id);
/* figures.c: what the router counted, over changes of its configuration; NULL: it does not answer. New reference. */
json_t *gateway_figures(struct gateway *g);

/* discovery.c */
int gateway_list_registrations(void *room, struct request *rq, struct reply *rp, struct error *e);

/* slots.c */
unsigned slots_for(unsigned instances); /* how many a service gets that has so many instances */
char *slot_path(const struct gateway *g, const char *service_id, unsigned n); /* n from 1; the caller frees */
bool slot_name_good(const char *service_id); /* may be part of a file's name and of an id of the router */
int slots_make(struct gateway *g, const char *service_id, unsigned count, struct error *e); /* those that lack */
int slots_remove(struct gateway *g, const char *service_id, struct error *e);
bool address_good(const char *address); /* one host:port */

#endif
