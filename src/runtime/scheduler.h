/* What the rooms need of something that schedules containers over several machines by itself: services with an update
 * order, placement and rollback of its own. Checks, routes, receipt and record stay ours.
 * Ownership: a scheduler is shared; calls are thread-safe and blocking, each with its own deadline; status_done frees.
 * Errors: as engine.h; ERR_CONFLICT when the engine is no manager of a cluster or the service changed meanwhile. */
#ifndef HB_SCHEDULER_H
#define HB_SCHEDULER_H

#include "runtime/engine.h"

struct scheduler_spec {
    /* Name, image, command, environment, labels, ports, mounts, limits, health, grace, user, working directory, host
     * name, networks, init, read-only root. What a scheduler has no field for is ERR_VALIDATION. A port is published on
     * every machine and address of the cluster: host_ip must be "" or "0.0.0.0". */
    const struct engine_spec *container;
    unsigned replicas;
    const json_t *constraints; /* array of strings, "node.labels.room==cellar" */
    unsigned parallelism; /* instances changed at once; 0: 1 */
    int64_t monitor_ms; /* how long a new instance is looked at before the next; 0: 5000 */
    bool stop_first; /* else the new one starts first */
};

enum scheduler_state {
    SCHEDULER_SETTLED, /* as asked for, or never updated */
    SCHEDULER_UPDATING,
    SCHEDULER_PAUSED, /* gave up and waits for someone */
    SCHEDULER_ROLLING_BACK,
    SCHEDULER_ROLLED_BACK, /* by itself or when asked: the previous spec is in force */
};

struct scheduler_status {
    enum scheduler_state state;
    unsigned wanted, running; /* instances; running ones of the spec in force only */
    char *image;
    char *message; /* about the update, in the scheduler's words; NULL none */
    char *failure; /* of the instance that failed last; NULL none */
};
void scheduler_status_done(struct scheduler_status *s);

struct container_scheduler;
struct scheduler_ops {
    /* Makes the service or changes it; returns when that is accepted, not when it is done. */
    int (*deploy)(struct container_scheduler *s, const struct scheduler_spec *spec, const struct engine_credentials *c,
                  struct error *e);
    int (*status)(struct container_scheduler *s, const char *name, struct scheduler_status *ret, struct error *e);
    int (*rollback)(struct container_scheduler *s, const char *name, struct error *e); /* to the spec before */
    int (*remove)(struct container_scheduler *s, const char *name, struct error *e); /* volumes stay; gone: 0 */
    void (*free)(struct container_scheduler *s);
};
struct container_scheduler { /* embedded first in the implementation's struct */
    const struct scheduler_ops *ops;
};

#endif
