/* The hub's wiring. Internal to the room. */
#ifndef HB_HUB_INTERNAL_H
#define HB_HUB_INTERNAL_H

#include "configuration/secrets.h"
#include "deployment/ci.h"
#include "deployment/deployments.h"
#include "gateway/gateway.h"
#include "http/events.h"
#include "http/server.h"
#include "http/static.h"
#include "hub/settings.h"
#include "jobs/jobs.h"
#include "monitoring/metrics.h"
#include "monitoring/sampler.h"
#include "runtime/runtime.h"
#include "runtime/volumes.h"
#include "security/security.h"
#include "store/store.h"

#define HUB_VERSION "0.1.0"

struct hub {
    struct settings *settings;
    char *data;          /* directory */
    int lock_fd;
    int64_t started_ms;
    struct store *store;
    struct vault *vault;
    struct security *security;
    struct events *events;
    struct secrets *secrets;
    struct volumes *volumes;
    struct container_engine *engine;
    struct runtime *runtime;
    struct jobs *jobs;
    struct deployments *deployments;
    struct router *router;       /* NULL: none is configured */
    struct discovery *discovery; /* NULL: none is configured */
    struct gateway *gateway;
    struct ci *ci;
    struct metrics *metrics;
    struct sampler *sampler;
    struct api *api;
    struct static_site *site;
    struct http_server *server;
    _Atomic bool stopping;
};

extern const struct api_operation hub_operations[];
extern const size_t hub_operation_count;
/* problems.c: what is wrong right now, as the contract's Problem list */
void hub_write_problems(struct hub *h, struct jw *w);
/* hub_ci.c: the CI services that the settings know */
int hub_open_ci(struct hub *h, struct error *e);
/* node_connect.c: the driver for a node's `engine`; runtime_connect_fn, `ctx` is the hub */
int hub_connect_node(void *ctx, const json_t *node, struct container_engine **ret, struct error *e);
/* The same: runtime_relocate_fn */
int hub_relocate(void *ctx, const char *service_id, const char *reason, struct error *e);
/* hub_gateway.c */
int hub_open_gateway(struct hub *h, struct error *e);
void hub_close_gateway(struct hub *h);
/* data_directory.c: makes it, takes the lock. ERR_CONFLICT: another hub has it. */
int data_directory_open(const char *path, int *ret_lock_fd, struct error *e);

#endif
