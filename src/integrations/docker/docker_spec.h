/* A spec of engine.h into the engine's request for a new container.
 * Ownership: the caller owns the buffer; it holds the environment's values, so wipe it after use.
 * Pure functions, thread-safe. */
#ifndef HB_DOCKER_SPEC_H
#define HB_DOCKER_SPEC_H

#include "base/buf.h"
#include "runtime/engine.h"

#define DOCKER_SPEC_PORTS_MAX 256
#define DOCKER_SPEC_MOUNTS_MAX 256
#define DOCKER_SPEC_LIST_MAX 256
#define DOCKER_SPEC_TEXT_MAX 4096
#define DOCKER_SPEC_BODY_MAX ((size_t)4 << 20) /* bytes */

/* ERR_VALIDATION naming the field, never a value of the environment. */
int docker_spec_check(const struct engine_spec *s, struct error *e);
/* Of a checked spec. Ports without an address are published on 127.0.0.1. Look at `buf_ok` afterwards. */
void docker_spec_write(const struct engine_spec *s, struct buf *out);
/* The network that a container is made in; NULL: the engine's default. */
const char *docker_spec_network(const struct engine_spec *s);
/* The request that joins a container to one more network ({name, aliases}). */
void docker_spec_write_join(const char *container, const json_t *network, struct buf *out);

#endif
