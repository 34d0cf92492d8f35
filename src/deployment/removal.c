#define LOG_ROOM "deployment"
#include "deployment/plan.h"

#include "base/log.h"

/* A service's end: what leads to it goes before its containers; afterwards its releases, and the removal is on record
 * as a deployment. */

static int plan_action(void *ctx, const char *action, const struct entity *service, struct reply *rp, struct error *e)
{
    return plan_answer_action(ctx, action, service, rp, e);
}

static int leave_discovery(struct deployments *d, const struct entity *instance, struct error *e)
{
    _cleanup_json_ json_t *x = entity_document(instance);
    const char *registration = json_str(x, "monitoring.consulServiceId");
    return registration && gateway_discovers(d->gateway) ? gateway_deregister(d->gateway, registration, e) : 0;
}

static int removing(void *ctx, struct entity *const *instances, size_t n, struct error *e)
{
    struct deployments *d = ctx;
    struct error away = ERROR_INIT;
    if (!d->gateway || !n)
        return 0;
    int r = gateway_route_forget(d->gateway, instances[0]->id, e);
    /* A registry that is away forgets the instance by its own checks. */
    for (size_t i = 0; r == 0 && i < n; i++)
        if (leave_discovery(d, instances[i], &away) < 0)
            log_warn("%s stays registered: %s", instances[i]->name, away.message);
    error_done(&away);
    return r;
}

static json_t *record_of_removal(const struct entity *service, const char *by)
{
    char id[ID_LEN + 1], at[TIME_TEXT_LEN + 1];
    _cleanup_json_ json_t *x = entity_document(service);
    const char *version = json_str(x, "metadata.version"), *environment = json_str(x, "environment");
    return json_pack(
        "{s:s, s:s, s:s, s:s?, s:{s:s, s:n, s:s, s:s}, s:{s:s, s:s, s:n, s:[]}, s:{s:s, s:i, s:s, s:[], s:n},"
        " s:{s:s, s:[]}, s:{s:{s:b, s:{}}, s:{s:b, s:{}, s:[]}}}",
        "id", id_new(id), "serviceInstanceId", service->id, "serviceName", service->name, "nodeId",
        json_str(x, "nodeId"), "deployment", "trigger", "manual", "pipeline", "initiatedBy", by[0] ? by : "owner",
        "environment", environment ? environment : "production", "changes", "type", "delete", "fromVersion",
        version ? version : "", "toVersion", "configChanges", "status", "state", "completed", "progress", 100,
        "message", "The service was removed.", "logs", "step", "timing", "startedAt", time_format(clock_now_ms(), at),
        "phases", "monitoring", "preDeploy", "healthChecks", str_eq(json_str(x, "status.health"), "healthy"),
        "performanceBaseline", "postDeploy", "healthVerification", 0, "performanceComparison", "alertsTriggered");
}

static void removed(void *ctx, const struct entity *service, const char *by)
{
    struct deployments *d = ctx;
    struct container_engine *engine = NULL;
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *x = entity_document(service);
    if (!x || !json_flag(x, "managed", false))
        return;
    struct record r = { .started_ms = clock_now_ms(), .document = record_of_removal(service, by) };
    str_copy(r.service_name, sizeof r.service_name, service->name);
    if (r.document) {
        record_end(&r, "completed", "The service was removed.");
        if (record_insert(d, &r, &e) < 0)
            log_warn("The removal of %s is not on record: %s", service->name, e.message);
    }
    error_done(&e);
    record_done(&r);
    (void)runtime_engine(d->runtime, json_str(x, "nodeId"), &engine, NULL);
    releases_forget(d, service->id, service->name, engine);
}

void removal_hooks(struct deployments *d)
{
    runtime_set_hooks(
        d->runtime, &(struct runtime_hooks){ .ctx = d, .plan = plan_action, .removing = removing, .removed = removed });
}
