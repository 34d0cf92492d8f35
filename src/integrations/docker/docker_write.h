/* Parts of requests that a container's and a cluster service's have alike.
 * Ownership: borrows all. What is written may be a secret: the caller wipes its buffer. Pure functions, thread-safe. */
#ifndef HB_DOCKER_WRITE_H
#define HB_DOCKER_WRITE_H

#include "base/jsonw.h"
#include "runtime/engine.h"

void docker_write_text(struct jw *w, const char *key, const char *text); /* NULL: nothing */
void docker_write_flag(struct jw *w, const char *key, bool value);       /* false: nothing */
/* `texts` ends with NULL and is NULL for nothing; `first` stands before it, when given. */
void docker_write_list(struct jw *w, const char *key, const char **texts, const char *first);
void docker_write_environment(struct jw *w, const json_t *environment);      /* "Env" */
void docker_write_mounts(struct jw *w, const struct engine_spec *s);         /* "Mounts" */
void docker_write_health(struct jw *w, const struct engine_spec *s);         /* "Healthcheck", if there is any */

#endif
