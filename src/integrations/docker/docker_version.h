/* Which version of the API to speak: the newest that the engine and this code both know (O01).
 * Pure functions, thread-safe. Versions are "1.41" outside and 1041 inside. */
#ifndef HB_DOCKER_VERSION_H
#define HB_DOCKER_VERSION_H

#include "base/error.h"

#define DOCKER_API_OLDEST 1040 /* what this code is written and tested for */
#define DOCKER_API_NEWEST 1052

int docker_version_parse(const char *text, int *ret); /* -EINVAL */
char *docker_version_format(int version, char ret[16]); /* returns ret */
/* `min` 0: the engine does not say. No overlap: ERR_UPSTREAM naming both ranges. */
int docker_version_agree(int min, int max, int *ret, struct error *e);
/* True for an engine's 400 that refuses the version of a call. */
bool docker_version_refused(long status, const char *body);

#endif
