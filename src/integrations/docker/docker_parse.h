/* The engine's JSON answers into the structs of engine.h, for every API version that this code speaks.
 * Ownership: answers are borrowed, results own their members. Pure functions, thread-safe.
 * Errors: ERR_UPSTREAM when something that must be there is missing; results change only on success. */
#ifndef HB_DOCKER_PARSE_H
#define HB_DOCKER_PARSE_H

#include "runtime/engine.h"

#define DOCKER_HEALTH_OUTPUT_MAX 4096 /* bytes */

int docker_parse_list(const json_t *answer, struct engine_container **ret, size_t *ret_n, struct error *e);
int docker_parse_container(const json_t *answer, struct engine_container *ret, struct error *e);
/* The environment of an inspected container as an object; its values are secrets. New reference. */
int docker_parse_environment(const json_t *answer, json_t **ret, struct error *e);
int docker_parse_volumes(const json_t *answer, struct engine_volume **ret, size_t *ret_n, struct error *e);
int docker_parse_networks(const json_t *answer, struct engine_network **ret, size_t *ret_n, struct error *e);
int docker_parse_image(const json_t *answer, struct engine_image *ret, struct error *e);
/* Fills kind, version, OS, architecture, cgroups, size and place of its host from both answers; the API versions are the caller's. */
void docker_parse_info(const json_t *info, const json_t *version, struct engine_info *ret);
/* Milliseconds since 1970; 0 for the engine's "never" and for what is no time. */
int64_t docker_parse_time(const char *text);

#endif
