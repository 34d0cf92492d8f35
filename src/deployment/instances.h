/* The instances that a deployment works on, as its journal has them: facts.instances, an array by ordinal of
 *   {ordinal, id (the row), node, name, container?, address?, imageId?, keep, going, before,
 *    old: {container, node, address?, registration?}?}
 * `keep`: it runs this release already (a change of the number alone). `going`: there are fewer wanted. `before`: its
 * document as it was, null when the row was made for this deployment. Borrowed from the run's facts, never secret.
 * Internal to the room; used by the one thread of a run. */
#ifndef HB_DEPLOYMENT_INSTANCES_H
#define HB_DEPLOYMENT_INSTANCES_H

#include "deployment/internal.h"

/* Which there are and which there will be, and where. Once a deployment: an earlier try's plan stands. */
int instances_plan(struct run *r, struct error *e);
size_t instances_count(const struct run *r);
json_t *instance_at(const struct run *r, size_t i);
/* Walks those that this batch makes anew; rolling has a batch an instance, others have one. Begin with *i = 0. */
json_t *instance_next_new(const struct run *r, size_t *i);
json_t *instance_next_old(const struct run *r, size_t *i); /* of this batch, those with an old container to retire */
bool instance_is_new(const json_t *x); /* it gets a container of this deployment */
int64_t instances_batch(const struct run *r);
int64_t instances_batches(const struct run *r);
bool instances_last_batch(const struct run *r);

int instance_engine(struct run *r, const char *node_id, struct container_engine **ret, struct error *e);
/* Address lists for the route; at most 32, borrowed. */
size_t instances_addresses(const struct run *r, const char **ret, size_t max); /* what serves after this batch */
size_t instances_old_addresses(const struct run *r, const char **ret, size_t max);
bool instances_had_old(const struct run *r); /* something served before */

#endif
