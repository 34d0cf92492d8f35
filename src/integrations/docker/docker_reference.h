/* Names of images and containers, checked before they become part of a path.
 * Ownership: the caller owns the struct; no allocation. Pure functions, thread-safe. */
#ifndef HB_DOCKER_REFERENCE_H
#define HB_DOCKER_REFERENCE_H

#include "base/error.h"

struct docker_reference {
    char repository[256]; /* with the registry's host, as written */
    char tag[160];        /* tag, or digest "sha256:…" when there is one; "latest" when nothing was written */
};

/* "name", "host:5000/name:tag", "name@sha256:…", "name:tag@sha256:…" (the digest counts). ERR_VALIDATION. */
int docker_reference_parse(const char *text, struct docker_reference *ret, struct error *e);
bool docker_image_name_valid(const char *text); /* a reference or an image's id */
bool docker_name_valid(const char *text);       /* of a container or volume, or a container's id */

#endif
