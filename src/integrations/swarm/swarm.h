/* A Docker Swarm, spoken to at one of its managers, as a scheduler.
 * Ownership: the caller frees it by `ops->free` when no call is running. Threads: as runtime/scheduler.h. */
#ifndef HB_SWARM_H
#define HB_SWARM_H

#include "integrations/docker/docker.h"
#include "runtime/scheduler.h"

/* Never connects. */
int swarm_scheduler_open(const struct docker_engine_options *manager, struct container_scheduler **ret,
                         struct error *e);

#endif
