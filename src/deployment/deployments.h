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
};
/* Registers its job kind and settles what an earlier run left; call before jobs_start. */
int deployments_open(const struct deployments_options *o, struct deployments **ret, struct error *e);
void deployments_close(struct deployments *d);

extern const struct api_operation deployment_operations[];
extern const size_t deployment_operation_count;

#endif
