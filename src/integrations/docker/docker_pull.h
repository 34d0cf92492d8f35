/* Progress of a pull over all its layers, from the engine's stream of status lines.
 * Ownership: `docker_pull_free` frees. Not thread-safe. */
#ifndef HB_DOCKER_PULL_H
#define HB_DOCKER_PULL_H

#include "runtime/engine.h"

#define DOCKER_PULL_LAYERS_MAX 1024 /* further ones are pulled and not counted */

struct docker_pull;
struct docker_pull *docker_pull_new(engine_progress_fn fn, void *ctx); /* NULL: no memory; fn may be NULL */
void docker_pull_free(struct docker_pull *p);
/* A docker_line_fn: takes one line, calls `fn`. An error in the stream is kept for docker_pull_end. */
int docker_pull_line(void *pull, const json_t *line);
int docker_pull_tick(void *pull); /* calls `fn` with the last progress again */
/* ERR_UPSTREAM with the engine's words when the stream held an error; a stream without a word is one, too. */
int docker_pull_end(struct docker_pull *p, struct error *e);

#endif
