/* Deployment Orchestration: releases, the deployments' state machine and journal, their record.
 * A deployment is a job: it outlives the request, and a hub that was killed goes on from its journal.
 * Ownership: one a hub; borrows all that the options name. Thread-safe. */
#ifndef HB_DEPLOYMENTS_H
#define HB_DEPLOYMENTS_H

#include "http/events.h"
#include "jobs/jobs.h"
#include "runtime/runtime.h"
#include "security/vault.h"
#include "store/store.h"

struct deployments;
struct deployments_options {
    struct store *store;
    struct events *events;
    struct runtime *runtime;
    struct jobs *jobs;
    struct vault *vault;
    struct secrets *secrets; /* configuration's; NULL: no request may name one */
    struct gateway *gateway; /* NULL: services have no routes */
    int64_t pull_stall_ms;   /* a pull in which nothing moves for so long ends; 0: 180 s */
    bool repair_drift;       /* what is not as deployed is mended by itself */
    int releases_kept;       /* releases of a service that can be deployed again; 0: 5 */
};
/* Registers its job kind and settles what an earlier run left; call before jobs_start. */
int deployments_open(const struct deployments_options *o, struct deployments **ret, struct error *e);
/* Begins to compare what runs with what was deployed; after runtime_start. */
int deployments_start(struct deployments *d, struct error *e);
void deployments_stop(struct deployments *d); /* ends that; before runtime_close. NULL is fine */
void deployments_close(struct deployments *d);

/* Other rooms' deployments: a merge patch of the service's request, as PATCH /services/{service} takes it. What needs
 * the role admin is refused unless `admin`. Errors as the operation's. */
struct deployment_origin {
    const char *trigger; /* "manual" "github_actions" "travis_ci" "rollback" */
    const char *initiated_by, *pipeline; /* pipeline NULL: none */
    const json_t *git;   /* as GitRequest; NULL: none */
    bool admin;
    const char *reason;  /* why, for its log; NULL: nobody asked */
    bool only_missing;   /* instances that run this very release already stay as they are */
};
int deployments_change(struct deployments *d, const char *service, const json_t *patch,
                       const struct deployment_origin *origin, char ret_id[37], struct error *e);
/* Deploys the release before the one that serves, as the API's rollback does. */
int deployments_roll_back(struct deployments *d, const char *service, const struct deployment_origin *origin,
                          char ret_id[37], struct error *e);
/* Asked before a deployment by the API begins (not by deployments_change): negative with `e` holds it back. Set before
 * the API serves. */
typedef int (*deployment_gate)(void *ctx, const char *service, const char *environment,
                               const struct deployment_origin *origin, struct error *e);
void deployments_set_gate(struct deployments *d, deployment_gate gate, void *ctx);
extern const struct api_operation deployment_operations[];
extern const size_t deployment_operation_count;

#endif
