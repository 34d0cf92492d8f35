/* One line of the engine's event stream into an event of engine.h. Pure function, thread-safe. */
#ifndef HB_DOCKER_EVENTS_H
#define HB_DOCKER_EVENTS_H

#include "runtime/engine.h"

/* False for lines that are about no object. Commands that were run inside a container are left out of `action`. */
bool docker_event_parse(const json_t *line, struct engine_event *ret);

#endif
