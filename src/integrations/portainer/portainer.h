/* A container engine that is reached through a Portainer: an endpoint of it, by an access token (X-API-Key).
 * Ownership and threads: as integrations/docker/docker.h. A registry's login is the one that Portainer keeps for the
 * registry's address; what the caller gives decides that one is wanted, its password is never sent.
 * Errors beyond engine.h: ERR_UPSTREAM when Portainer refuses the token or knows no such endpoint or registry. */
#ifndef HB_PORTAINER_H
#define HB_PORTAINER_H

#include "integrations/docker/docker.h"

struct portainer_options {
    const char *url; /* https://host:9443, maybe with a path; http:// in a network that nobody else is in */
    struct docker_material token; /* access token of a user */
    struct docker_material authority; /* PEM that signed its certificate; none: the system's */
    int64_t endpoint; /* its number; 0: found by its name */
    const char *endpoint_name;
};

/* With a number it never connects; by a name it asks once, now. */
int portainer_engine_open(const struct portainer_options *o, struct container_engine **ret, struct error *e);

#endif
