/* From a Compose project's model to services in hbcloud's own words. What has no meaning here is named, not ignored.
 * Ownership: the caller's struct; `compose_import_done` frees. Threads: one. */
#ifndef HB_COMPOSE_REQUEST_H
#define HB_COMPOSE_REQUEST_H

#include "cli/compose/compose_model.h"

struct compose_import {
    json_t *services; /* array of ServiceDeploymentRequest, each behind what it depends on */
    json_t *secrets; /* array of {name, file | environment | content, external}: what the services' files come from */
    json_t *remarks; /* array of {service, field, text}: what is different here, or has no meaning */
};

/* What a project's service is named here; the caller frees. NULL: no memory. */
char *compose_service_name(const char *prefix, const char *name);

/* `prefix`: what service names begin with ("" none). ERR_VALIDATION names service and field. */
int compose_to_requests(const struct compose *c, const char *prefix, struct compose_import *ret, struct error *e);
void compose_import_done(struct compose_import *i);

#endif
