/* One sample of a container's counters, from the engine's statistics answer, for cgroup v1 and v2 (O03).
 * Pure function, thread-safe. */
#ifndef HB_DOCKER_STATS_H
#define HB_DOCKER_STATS_H

#include "runtime/engine.h"

/* ERR_UPSTREAM when the answer is not understood, ERR_CONFLICT when the container does not run. */
int docker_stats_parse(const char *text, size_t len, struct engine_stats *ret, struct error *e);

#endif
