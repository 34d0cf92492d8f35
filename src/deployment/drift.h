/* Drift: whether what runs is what the serving release says. Each minute, and soon after a service's document changed,
 * containers, routes and registrations are compared with it; the differences are in the document's status.drift, field
 * by field. They are repaired when someone asks, or by themselves when the policy says so. What an undo or a retirement
 * had to leave behind is removed here, too.
 * Ownership: one a `struct deployments`. Its thread works from drift_start to drift_stop. Internal to the room. */
#ifndef HB_DEPLOYMENT_DRIFT_H
#define HB_DEPLOYMENT_DRIFT_H

#include "deployment/internal.h"

struct drift;
int drift_new(struct deployments *d, bool repair, struct drift **ret, struct error *e);
int drift_start(struct drift *x, struct error *e);
void drift_stop(struct drift *x); /* NULL is fine; again: nothing */
void drift_free(struct drift *x);

/* Compares one service now: an array of {field, wanted, actual}, texts or null. ERR_NOT_FOUND without a release. */
int drift_compare(struct deployments *d, const char *service_id, json_t **ret, struct error *e);
/* Mends routes and registrations at once; what containers need is a deployment of the serving release, whose id is put
 * into `ret_id` ("": none was needed). */
int drift_repair(struct deployments *d, const char *service_id, const char *by, const json_t *differences,
                 char ret_id[ID_LEN + 1], struct error *e);
/* aftermath.c: whether a release that has just begun to serve has ended by itself; then the one before is deployed again. */
bool aftermath_look(struct deployments *d, const char *service_id);
/* Containers of ended deployments that no service refers to any more are stopped and removed. */
int drift_clear_leftovers(struct deployments *d, struct error *e);

#endif
