/* A scheduler's spec as the Swarm's request for a service, and its answers read.
 * Ownership: the caller's buffer holds the environment's values: wipe it. Pure functions, thread-safe. */
#ifndef HB_SWARM_SPEC_H
#define HB_SWARM_SPEC_H

#include "base/buf.h"
#include "runtime/scheduler.h"

#define SWARM_REPLICAS_MAX 1000

/* ERR_VALIDATION naming the field that cannot be. */
int swarm_spec_check(const struct scheduler_spec *s, struct error *e);
void swarm_spec_write(const struct scheduler_spec *s, struct buf *out); /* of a checked one */
/* Of GET /services/{id} and GET /tasks; ERR_UPSTREAM. */
int swarm_status_read(const json_t *service, const json_t *tasks, struct scheduler_status *ret, struct error *e);

#endif
