/* A Compose project as one model: its files read, variables put in, included, extended, laid over each other, made
 * one form. What comes out is what `docker compose config` would say.
 * Ownership: the caller's struct; `compose_done` frees. Threads: one. */
#ifndef HB_COMPOSE_MODEL_H
#define HB_COMPOSE_MODEL_H

#include "base/error.h"

#include <jansson.h>

#define COMPOSE_FILES_MAX 32

struct compose_options {
    const char *files[COMPOSE_FILES_MAX]; /* the later over the earlier */
    size_t n_files;
    const char *env_files[COMPOSE_FILES_MAX]; /* in place of .env beside the first file */
    size_t n_env_files;
    const char *profiles[COMPOSE_FILES_MAX];
    size_t n_profiles;
    const char *project;                      /* NULL: the files' name, else the directory's */
};

struct compose {
    char *directory; /* of the first file, absolute */
    json_t *model;   /* name, services, networks, volumes, secrets, configs; only active services */
    json_t *unset;   /* object: variables without a value */
    json_t *inactive; /* array: services whose profile is not asked for */
};

int compose_load(const struct compose_options *o, struct compose *ret, struct error *e);
void compose_done(struct compose *c);

#endif
