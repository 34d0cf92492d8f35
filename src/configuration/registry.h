/* One question to an image registry by the Distribution API, with a login where it wants one.
 * Ownership: all is borrowed. Thread-safe; blocks, at most 10 s a request.
 * Source: https://distribution.github.io/distribution/spec/auth/token/ */
#ifndef HB_REGISTRY_H
#define HB_REGISTRY_H

#include "configuration/secrets.h"

struct registry_call {
    const char *host;                   /* as in an image's name; "docker.io" is asked at its own address */
    const struct registry_login *login; /* NULL: nobody's */
    const char *method, *path;          /* "/v2/…" */
    const char *repository;             /* what a token is asked for; NULL: a token for nothing, and having got one
                                         * answers the question: the status is 200 */
    const char *accept;                 /* NULL: anything */
};
/* Asks without the login first: a registry with a token service needs it there alone. 0 with the last status, which is
 * the token service's where that refused (401, 403); ERR_UPSTREAM for what no registry does. */
int registry_ask(const struct registry_call *call, int *ret_status, struct error *e);

#endif
