#define LOG_ROOM "deployment"
#include "deployment/drift.h"

#include "base/log.h"

#include <stdio.h>

#define RELEASES_KEPT 5
#define PULL_STALL_MS 180000
#define AT_ONCE 10 /* of the hub's 12 workers: a pull or a drain may hold one for long */

static void unref_blob(void *p)
{
    blob_unref(p);
}

static bool busy(void *ctx, const char *service_id, char *ret_reason, size_t size)
{
    struct deployments *d = ctx;
    bool under_way = queue_busy(d, service_id);
    if (under_way)
        (void)snprintf(ret_reason, size, "A deployment of this service is under way. Wait for its end.");
    return under_way;
}

struct stuck {
    char ids[256][ID_LEN + 1];
    size_t n;
};

/* Services that say "deploying" without a deployment: the hub died between the two. */
static int find_stuck(struct deployments *d, struct stuck *s, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT id FROM service_instances WHERE status LIKE '%\"deploying\"%' OR status LIKE '%\"updating\"%'", "");
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        if (s->n < ARRAY_LEN(s->ids) && !map_get(d->active, rows_text(rows, 0)))
            str_copy(s->ids[s->n++], sizeof s->ids[0], rows_text(rows, 0));
        r = 0;
    }
    return r;
}

static int unstick(json_t *x, void *ctx UNUSED)
{
    bool runs = str_eq(json_str(x, "container.state"), "running");
    (void)json_put(x, "status.deployment", json_string(runs ? "running" : "failed"));
    (void)json_put(x, "status.message",
                   runs ? json_null() : json_string("The hub stopped before the deployment began. Deploy it again."));
    return 0;
}

static int settle_stuck(struct deployments *d, struct error *e)
{
    struct stuck *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = find_stuck(d, s, e);
    for (size_t i = 0; r == 0 && i < s->n; i++)
        r = runtime_service_change(d->runtime, s->ids[i], unstick, NULL, NULL, e);
    free(s);
    return r;
}

int deployments_open(const struct deployments_options *o, struct deployments **ret, struct error *e)
{
    struct deployments *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    d->store = o->store;
    d->events = o->events;
    d->runtime = o->runtime;
    d->jobs = o->jobs;
    d->vault = o->vault;
    d->secrets = o->secrets;
    d->gateway = o->gateway;
    d->pull_stall_ms = o->pull_stall_ms ? o->pull_stall_ms : PULL_STALL_MS;
    d->releases_kept = o->releases_kept ? o->releases_kept : RELEASES_KEPT;
    (void)pthread_mutex_init(&d->lock, NULL);
    for (size_t i = 0; i < REQUEST_LOCKS; i++)
        (void)pthread_mutex_init(&d->request_locks[i], NULL);
    (void)pthread_mutex_init(&d->queue_lock, NULL);
    d->live = map_new(unref_blob);
    bool good = d->live != NULL;
    struct map **texts[] = { &d->active, &d->waiting, &d->cancels, &d->committed };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        good = (*texts[i] = map_new(free)) && good;
    int r = good ? 0 : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = jobs_register(d->jobs,
                          &(struct job_kind){ .name = "deployment",
                                              .run = deployment_run,
                                              .ctx = d,
                                              .title = "Deploy a service",
                                              .max_parallel = AT_ONCE,
                                              .instead =
                                                  "Cancel the deployment itself (POST /v1/deployments/{id}/cancel); "
                                                  "what failed is deployed again by a new deployment." },
                          e);
    if (r == 0)
        r = queue_restore(d, e);
    if (r == 0)
        r = settle_stuck(d, e);
    if (r == 0)
        r = drift_new(d, o->repair_drift, &d->drift, e);
    if (r < 0) {
        deployments_close(d);
        return r;
    }
    runtime_set_busy(d->runtime, busy, d);
    removal_hooks(d);
    *ret = d;
    return 0;
}

int deployments_start(struct deployments *d, struct error *e)
{
    return drift_start(d->drift, e);
}

void deployments_stop(struct deployments *d)
{
    if (d)
        drift_stop(d->drift);
}

void deployments_close(struct deployments *d)
{
    if (!d)
        return;
    drift_free(d->drift);
    map_free(d->active);
    map_free(d->waiting);
    map_free(d->cancels);
    map_free(d->committed);
    map_free(d->live);
    (void)pthread_mutex_destroy(&d->queue_lock);
    for (size_t i = 0; i < REQUEST_LOCKS; i++)
        (void)pthread_mutex_destroy(&d->request_locks[i]);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

void deployments_set_gate(struct deployments *d, deployment_gate gate, void *ctx)
{
    d->gate = gate;
    d->gate_ctx = ctx;
}

const struct api_operation deployment_operations[] = {
    { "deployService", deploy_service },       { "updateService", update_service },
    { "listDeployments", list_deployments },   { "getDeployment", get_deployment },
    { "cancelDeployment", cancel_deployment }, { "listReleases", list_releases },
    { "rollbackService", rollback_service },   { "repairService", repair_service },
};
const size_t deployment_operation_count = ARRAY_LEN(deployment_operations);
