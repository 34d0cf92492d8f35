/* A spec of engine.h into the engine's request for a new container.
 * Ownership: the caller owns the buffer; it holds the environment's values, so wipe it after use.
 * Pure functions, thread-safe. */
#ifndef HB_DOCKER_SPEC_H
#define HB_DOCKER_SPEC_H

#include "base/buf.h"
#include "runtime/engine.h"

#define DOCKER_SPEC_PORTS_MAX 256
#define DOCKER_SPEC_MOUNTS_MAX 256
#define DOCKER_SPEC_BODY_MAX ((size_t)4 << 20) /* bytes */

/* ERR_VALIDATION naming the field, never a value of the environment. */
int docker_spec_check(const struct engine_spec *s, struct error *e);
/* Of a checked spec. Ports without an address are published on 127.0.0.1. Look at `buf_ok` afterwards. */
void docker_spec_write(const struct engine_spec *s, struct buf *out);

#endif
