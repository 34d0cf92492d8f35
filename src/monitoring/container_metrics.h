/* Measures running containers through their engines: CPU, memory, network, I/O, processes, restarts.
 * Ownership: opaque; keeps each container's last CPU counter. One thread at a time; it asks engines by a few
 * threads of its own, so an engine's stats call must be thread-safe (engine.h). */
#ifndef HB_CONTAINER_METRICS_H
#define HB_CONTAINER_METRICS_H

#include "monitoring/metric_kinds.h"
#include "runtime/engine.h"

#define CONTAINER_THREADS 4

struct sampled_container {
    char service_id[37];   /* the entity */
    char container_id[65];
    struct container_engine *engine; /* borrowed for the call */
    int restart_count;     /* -1: not known */
};

struct container_metrics;
struct container_metrics *container_metrics_new(const char *source); /* copied; NULL: no memory */
void container_metrics_free(struct container_metrics *c);
/* Adds a round's samples. A container that gives none is left out and counted in `ret_failed` (may be NULL); an
 * engine that is away or silent is not asked for the rest of the round, so a round waits for one deadline at
 * most. `stop` (may be NULL): no further container is asked once it is set. */
void container_metrics_sample(struct container_metrics *c, const struct sampled_container *list, size_t n,
                              const _Atomic bool *stop, struct metric_batch *b, size_t *ret_failed);

#endif
