/* A container as the engine shall make it, from a release and one instance's facts. Internal to the room. */
#ifndef HB_DEPLOYMENT_SPEC_H
#define HB_DEPLOYMENT_SPEC_H

#include "deployment/internal.h"

struct container_spec;
/* Borrows the run's release and the instance; NULL with `e`. */
struct container_spec *container_spec_new(const struct run *r, const json_t *instance, struct error *e);
const struct engine_spec *container_spec_view(const struct container_spec *s);
void container_spec_free(struct container_spec *s);

#endif
