/* Service Runtime: the nodes, the service instances on them, their container engines and health.
 * Nodes and services are held in memory with their serialized JSON; every write goes through to the store
 * and is an event. Ownership: one a hub; borrows store, events and engine. Thread-safe.
 * Entities are documents of the contract's schemas; `struct entity` is one immutable version of one. */
#ifndef HB_RUNTIME_H
#define HB_RUNTIME_H

#include "base/blob.h"
#include "http/api.h"
#include "http/events.h"
#include "runtime/engine.h"
#include "store/store.h"

struct runtime;
/* Makes the engine that a node's document (`engine`) names; may connect. The runtime frees it. */
typedef int (*runtime_connect_fn)(void *ctx, const json_t *node, struct container_engine **ret, struct error *e);
struct runtime_options {
    struct store *store;
    struct events *events;
    struct container_engine *engine; /* of the hub's own node; may be unreachable for now */
    const char *version;             /* hbcloud's */
    const char *data_directory;
    int64_t reconcile_ms;            /* full comparison with the engine; 0: 60 s */
    runtime_connect_fn connect;      /* engines of other nodes; NULL: none can be reached */
    void *connect_ctx;
    int64_t lost_after_ms;           /* a node that is silent for so long is lost; 0: 60 s */
};
int runtime_open(const struct runtime_options *o, struct runtime **ret, struct error *e);
int runtime_start(struct runtime *r, struct error *e); /* begins to follow the engine and to check health */
void runtime_close(struct runtime *r);                 /* stops threads */

extern const struct api_operation runtime_operations[];
extern const size_t runtime_operation_count;
#define RUNTIME_SHORTCUTS 2
extern const struct api_shortcut runtime_shortcuts[RUNTIME_SHORTCUTS];

/* One version of a node or service. Borrow by reference; never changed. */
struct entity {
    _Atomic unsigned refs;
    char id[37];
    char *name;
    int64_t version;
    struct blob *json; /* as the API answers it */
    char etag[32];
};
void entity_unref(struct entity *x); /* NULL is fine */
static inline void entity_unref_ptr(struct entity **x)
{
    entity_unref(*x);
}
#define _cleanup_entity_ _cleanup_(entity_unref_ptr)
/* A document of its own to read or change; new reference. */
json_t *entity_document(const struct entity *x);

/* By id or name; ERR_NOT_FOUND. The caller unrefs. A service's name is its first instance. */
int runtime_node(struct runtime *r, const char *id_or_name, struct entity **ret, struct error *e);
int runtime_service(struct runtime *r, const char *id_or_name, struct entity **ret, struct error *e);
const char *runtime_hub_node(const struct runtime *r);
size_t runtime_node_count(struct runtime *r);
size_t runtime_service_count(struct runtime *r);

/* Engine of a node: ERR_UNAVAILABLE with how to get one. Borrowed, good until the runtime closes: what it does when its
 * node is gone is to refuse. An operation that the node's own engine lacks is ERR_CONFLICT. */
int runtime_engine(struct runtime *r, const char *node_id, struct container_engine **ret, struct error *e);
struct runtime_engine_state {
    bool available, asked; /* asked: at least once since the start */
    bool seen; /* it has answered since the start */
    char reason[512];
    struct engine_info info;
};
void runtime_engine_state(struct runtime *r, struct runtime_engine_state *ret); /* of the hub's own node */
int runtime_node_engine_state(struct runtime *r, const char *node_id, struct runtime_engine_state *ret,
                              struct error *e);

/* ---- placement: {nodes: [names], labels: {k: v}}, both may be absent ---- */
/* The nodes of `n` instances: among the active ones that are named and carry the labels, spread, the least loaded
 * first. Without a placement the hub's own node. ERR_CONFLICT says why there is none; ERR_VALIDATION: a name is none. */
int runtime_place(struct runtime *r, const json_t *placement, size_t n, char (*ret_node_ids)[37], struct error *e);
/* The same for a service that has instances: they stay where they are as far as the placement allows. */
int runtime_place_again(struct runtime *r, const char *service, const json_t *placement, size_t n,
                        char (*ret_node_ids)[37], struct error *e);
/* The address to publish a port on: `wanted` is "loopback" (NULL), "mesh" or "any". On the hub's node loopback is just
 * that; on another it is the node's mesh or private address, since the gateway must reach it. ERR_CONFLICT: it has none. */
int runtime_publish_address(struct runtime *r, const char *node_id, const char *wanted, char ret[46], struct error *e);

/* A lost node's services that may live elsewhere: their instances there were given another node (their documents say
 * which) and have no container; the callback deploys the service there. `service_id` is its first instance's id. */
typedef int (*runtime_relocate_fn)(void *ctx, const char *service_id, const char *reason, struct error *e);
void runtime_set_relocate(struct runtime *r, runtime_relocate_fn fn, void *ctx);

/* Deployment's writes. A document without "id" is made; `expected_version` -1 takes any, else ERR_PRECONDITION.
 * ERR_CONFLICT when there is a service of that serviceId and ordinal (1 unless said). */
int runtime_service_save(struct runtime *r, json_t *document, int64_t expected_version, struct entity **ret,
                         struct error *e);
/* Changes one service under the lock: `change` edits the document; negative leaves it as it was. */
int runtime_service_change(struct runtime *r, const char *id, int (*change)(json_t *document, void *ctx), void *ctx,
                           struct entity **ret, struct error *e);
int runtime_service_forget(struct runtime *r, const char *id, struct error *e); /* one instance, by its id */

/* A service's instances, one at least, by ordinal; `service` is its name, or an id of any of them. Free the list by
 * runtime_instances_free. */
int runtime_service_instances(struct runtime *r, const char *service, struct entity ***ret, size_t *ret_n,
                              struct error *e);
void runtime_instances_free(struct entity **list, size_t n);
/* One more instance of a service that has one, made from the first's document, without a container yet. One that
 * is there is answered as it is (its nodeId may be another). `*ret` must be NULL before. How many are wanted is
 * `instances.wanted` of the first instance's document: set it by runtime_service_change. */
int runtime_instance_make(struct runtime *r, const char *service, unsigned ordinal, const char *node_id,
                          struct entity **ret, struct error *e);
/* "host:port" where the hub and the gateway reach an instance, from its document; false: nowhere (yet). */
bool runtime_instance_address(const json_t *document, char *ret, size_t size);
/* Reads the container's facts (state, health, ports, …) into the document, whose nodeId says where it is. */
void runtime_instance_fill(struct runtime *r, json_t *document, const struct engine_container *c);
void runtime_fill_container(json_t *document, const struct engine_container *c); /* the same, on the hub's node */
/* The newest facts of a service's container now, without waiting for the follower. */
int runtime_refresh_service(struct runtime *r, const char *id, struct error *e);

/* One health check now, of a service document's own kind (HTTP path, TCP, engine's). 1 healthy, 0 not (why in
 * `ret_reason`), -1 undecided yet. Blocks for at most the check's timeout, or until `*stop`. */
int runtime_check_health(const json_t *document, const struct engine_container *c, const _Atomic bool *stop,
                         char *ret_reason, size_t size);

/* Managed services that failed and any that is unhealthy, at most `max`; how many there are in the list. */
struct runtime_trouble {
    char id[37], name[256], reason[512];
    bool failed;
    int64_t since_ms;
};
size_t runtime_troubles(struct runtime *r, struct runtime_trouble *ret, size_t max);
/* Other nodes whose engine does not answer; `failed`: for so long that the node is lost. */
size_t runtime_node_troubles(struct runtime *r, struct runtime_trouble *ret, size_t max);

/* For the metrics sampler. */
struct runtime_container {
    char service_id[37], container_id[65];
    struct container_engine *engine;
    int restart_count;
};
int runtime_running_containers(struct runtime *r, struct runtime_container **ret, size_t *ret_n); /* caller frees */
/* The hub's own heartbeat with each sample: last seen, uptime. */
void runtime_hub_seen(struct runtime *r, int64_t at_ms);

/* Who else keeps a service busy (a deployment under way): set by the hub's wiring; NULL none.
 * Returns true and a sentence when `service_id` must not be touched. */
typedef bool (*runtime_busy_fn)(void *ctx, const char *service_id, char *ret_reason, size_t size);
void runtime_set_busy(struct runtime *r, runtime_busy_fn fn, void *ctx);
bool runtime_service_busy(struct runtime *r, const char *service_id); /* the id of its first instance */
/* What deployment adds to the operations on services; set by its opening. A member may be NULL. */
struct runtime_hooks {
    void *ctx;
    /* Answers what `action` ("start", "stop", "delete") would do, where only that was asked for. */
    int (*plan)(void *ctx, const char *action, const struct entity *service, struct reply *rp, struct error *e);
    /* Before the containers of a service go: what leads to them goes first. */
    int (*removing)(void *ctx, struct entity *const *instances, size_t n, struct error *e);
    void (*removed)(void *ctx, const struct entity *service, const char *by);
};
void runtime_set_hooks(struct runtime *r, const struct runtime_hooks *hooks);

/* Labels on containers that hbcloud makes, and those that an owner may set on others. */
#define LABEL_INSTANCE "hbcloud.instance"
#define LABEL_SERVICE "hbcloud.service"
#define LABEL_PROJECT "hbcloud.project" /* services of one project share volumes */
#define LABEL_DEPLOYMENT "hbcloud.deployment"
#define LABEL_DOMAIN "hbcloud.domain"
#define LABEL_TYPE "hbcloud.type"
#define LABEL_HEALTH_PATH "hbcloud.health.path"

#endif
