/* The many forms of a Compose file's fields, each made one: lists and maps, short and long ports, volumes,
 * durations, sizes. What comes out is as `docker compose config` says it. Values have had their variables put in.
 * Ownership: services are changed in place. Thread-safe: no state. */
#ifndef HB_COMPOSE_FORM_H
#define HB_COMPOSE_FORM_H

#include "base/error.h"

#include <jansson.h>

/* One service into canonical form; relative paths are made absolute from `directory`. ERR_VALIDATION with the
 * field's path and why ("services.web.ports[0]: …"). A key that Compose does not know is one, too. */
int compose_form_service(json_t *service, const char *name, const char *directory, struct error *e);

/* Lays `over` onto `base` (canonical services or whole models), as Compose merges files; in place. */
int compose_merge(json_t *base, const json_t *over, const char *path);

int compose_duration_ms(const char *text, int64_t *ret); /* "1m30s" "500ms"; -EINVAL */
void compose_duration_text(int64_t ms, char *ret, size_t size); /* as Go writes it: "1m30s" */
int compose_bytes(const char *text, int64_t *ret); /* "512m" "1gb" "1024"; -EINVAL */
char *compose_path(const char *directory, const char *path); /* absolute; "~" is HOME; caller frees */

#endif
