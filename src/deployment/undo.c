#include "deployment/steps.h"

#include <stdio.h>

/* Compensation, in reverse: the traffic goes back first, then what was made is taken away. Each part may be run again. */

#define OLD_HEALTHY_MAX_MS 60000

static bool flag(const struct run *r, const char *name)
{
    return json_flag(r->facts, name, false);
}

/* ---- back to the old release ---- */

static int restore_document(json_t *d, void *ctx)
{
    const json_t *before = ctx;
    const char *keep[] = { "container", "networking", "monitoring", "labels", "environment",
                           "type",      "managed",    "metadata",   "nodeId", "instances" };
    for (size_t i = 0; i < ARRAY_LEN(keep); i++)
        if (json_object_get(before, keep[i]))
            (void)json_object_set_new(d, keep[i], json_deep_copy(json_object_get(before, keep[i])));
    return 0;
}

static int restore_documents(struct run *r, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++) {
        json_t *x = instance_at(r, i), *before = json_at(x, "before");
        if (!json_is_object(before))
            continue;
        res = runtime_service_change(r->deployments->runtime, json_str(x, "id"), restore_document, before, NULL, e);
        if (res == -ERR_NOT_FOUND)
            res = 0;
    }
    return res;
}

static int restore_route(struct run *r, struct error *e)
{
    struct release old = { 0 };
    struct gateway *g = r->deployments->gateway;
    const char *id = json_str(r->facts, "oldRelease");
    bool changed = false;
    int res = id ? release_load(r->deployments, id, &old, e) : -ERR_NOT_FOUND;
    if (res == 0 && gateway_wants_route(g, old.specification))
        res = gateway_route_put(g, r->service_id, old.specification, &changed, e);
    else if (res == 0 || res == -ERR_NOT_FOUND)
        res = gateway_route_forget(g, r->service_id, e);
    if (changed) {
        receipt_note_reload(r);
        record_log(&r->record, "the route is the old release's again, which cost the router a reload");
    }
    release_done(&old);
    return res;
}

/* The old ones were taken out of the registry only when they were stopped. */
static int register_old_again(struct run *r, struct error *e)
{
    struct gateway *g = r->deployments->gateway;
    int res = 0;
    if (!g || !gateway_discovers(g) || !flag(r, "stoppedOld"))
        return 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++) {
        const json_t *x = instance_at(r, i), *check = json_at(x, "before.networking.healthCheck");
        const char *address = json_str(x, "old.address");
        char host[128];
        if (!json_str(x, "old.registration") || !address)
            continue;
        str_copy(host, sizeof host, address);
        char *colon = strrchr(host, ':');
        if (!colon)
            continue;
        *colon = '\0';
        struct discovery_instance one = { .id = json_str(x, "old.registration"),
                                          .service = r->name,
                                          .address = host,
                                          .port = (uint16_t)strtoul(colon + 1, NULL, 10),
                                          .check_path = json_str(check, "path"),
                                          .check_interval_ms = json_int(check, "interval", 10) * 1000,
                                          .check_timeout_ms = json_int(check, "timeout", 5) * 1000 };
        res = gateway_register(g, &one, e);
    }
    return res;
}

/* The slots are files: going back does not need the router. */
static int give_back(struct run *r, struct error *e)
{
    const char *list[GATEWAY_SLOTS_MAX];
    size_t n = instances_old_addresses(r, list, GATEWAY_SLOTS_MAX);
    struct gateway *g = r->deployments->gateway;
    int res = 0;
    if (g && flag(r, "routedBefore")) {
        res = run_upstreams(r, list, n, e);
        if (res == 0) {
            (void)json_put(r->facts, "switchedAt", json_integer(clock_now_ms()));
            record_log(&r->record, "the route leads to the old container again");
        }
    }
    if (res == 0)
        res = restore_documents(r, e);
    if (res == 0 && g && (run_routed(r) || flag(r, "routedBefore")))
        res = restore_route(r, e);
    return res == 0 ? register_old_again(r, e) : res;
}

/* ---- old ones that were stopped start again ---- */

static int restore_name(struct run *r, const json_t *x, struct container_engine *g, struct error *e)
{
    const char *name = json_str(x, "old.name");
    return name && g->ops->rename ? g->ops->rename(g, json_str(x, "old.container"), name, e) : 0;
}

/* It may have another port than before; it is waited for as long as its check takes, then routed in any case. */
static int await_old(struct run *r, json_t *x, struct container_engine *g, struct error *e)
{
    int64_t most = check_time_ms(r) < OLD_HEALTHY_MAX_MS ? check_time_ms(r) : OLD_HEALTHY_MAX_MS;
    int64_t until = clock_mono_ms() + most;
    char reason[512] = "", address[128];
    for (;;) {
        struct engine_container c = { 0 };
        int res = g->ops->inspect(g, json_str(x, "old.container"), &c, e);
        if (res < 0)
            return res;
        _cleanup_json_ json_t *d = json_deep_copy(json_at(x, "before"));
        runtime_instance_fill(r->deployments->runtime, d, &c);
        bool good = runtime_check_health(d, &c, r->job->stopping, reason, sizeof reason) == 1;
        if (runtime_instance_address(d, address, sizeof address))
            (void)json_put(x, "old.address", json_string(address));
        engine_container_done(&c);
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        if (good || clock_mono_ms() > until)
            return 0;
        step_pause_ms(CHECK_PAUSE_MS);
    }
}

static int start_old_again(struct run *r, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++) {
        json_t *x = instance_at(r, i);
        struct container_engine *g = NULL;
        if (!json_str(x, "old.container") || !json_flag(x, "old.running", true) || json_flag(x, "keep", false))
            continue;
        res = instance_engine(r, json_str(x, "old.node"), &g, e);
        if (res == 0)
            res = restore_name(r, x, g, e);
        if (res == 0 || res == -ERR_CONFLICT)
            res = g->ops->start(g, json_str(x, "old.container"), e);
        if (res == 0)
            res = await_old(r, x, g, e);
        if (res == 0)
            record_log(&r->record, "the old container runs again");
        if (res == -ERR_NOT_FOUND) {
            record_log(&r->record, "the old container is gone: nothing to go back to");
            error_done(e);
            *e = ERROR_INIT;
            res = 0;
        }
    }
    return res;
}

/* ---- new ones go ---- */

/* Their containers, also those that a killed hub made without noting it. A stranger's name is not ours to remove. */
static int find_new(struct run *r, struct error *e)
{
    for (size_t i = 0; i < instances_count(r); i++) {
        json_t *x = instance_at(r, i);
        char id[65] = "";
        if (!instance_is_new(x))
            continue;
        int res = find_own(r, x, id, e);
        if (res == -ERR_CONFLICT) {
            error_done(e);
            *e = ERROR_INIT;
        } else if (res < 0) {
            return res;
        }
        (void)json_put(x, "made", id[0] ? json_string(id) : json_null());
    }
    return 0;
}

static int drain_new(struct run *r, struct error *e)
{
    const char *list[GATEWAY_SLOTS_MAX];
    size_t n = 0;
    if (!flag(r, "switched") || !flag(r, "routedBefore") || !r->deployments->gateway)
        return 0;
    for (size_t i = 0; i < instances_count(r) && n < GATEWAY_SLOTS_MAX; i++)
        if (json_str(instance_at(r, i), "made") && json_str(instance_at(r, i), "address"))
            list[n++] = json_str(instance_at(r, i), "address");
    return run_drain(r, list, n, e);
}

static int remove_new(struct run *r, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++) {
        json_t *x = instance_at(r, i);
        if (!instance_is_new(x))
            continue;
        res = run_deregister(r, json_str(x, "name"), e);
        if (res == 0 && json_str(x, "made"))
            res = take_away(r, json_str(x, "node"), json_str(x, "made"), e);
        if (res == 0 && json_str(x, "made"))
            record_log(&r->record, "the new container was removed");
    }
    return res;
}

/* Rows that were made for this deployment; the first one is the service itself. */
static int forget_rows(struct run *r, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++) {
        const json_t *x = instance_at(r, i);
        bool had = json_str(x, "old.container") || json_int(x, "ordinal", 1) == 1;
        if (!had)
            res = runtime_service_forget(r->deployments->runtime, json_str(x, "id"), e);
        if (res == -ERR_NOT_FOUND)
            res = 0;
    }
    return res;
}

/* Where the old could not run beside the new, the new goes first. */
static int undo_stopped(struct run *r, struct error *e)
{
    int res = 0;
    bool first = run_strategy(r) == STRATEGY_RECREATE;
    if (first && flag(r, "switched") && flag(r, "routedBefore") && r->deployments->gateway)
        res = gateway_upstreams_hold(r->deployments->gateway, r->service_id, e);
    if (res == 0)
        res = find_new(r, e);
    if (res == 0 && first)
        res = remove_new(r, e);
    if (res == 0)
        res = start_old_again(r, e);
    if (res == 0)
        res = give_back(r, e);
    if (res == 0 && !first)
        res = drain_new(r, e);
    return res == 0 && !first ? remove_new(r, e) : res;
}

int steps_undo(struct run *r, struct error *e)
{
    int res = 0;
    if (!flag(r, "touched"))
        return forget_rows(r, e); /* no container was made: no engine is asked, it may be what is away */
    if (flag(r, "stoppedOld")) {
        res = undo_stopped(r, e);
    } else {
        if (flag(r, "switched"))
            res = give_back(r, e);
        if (res == 0)
            res = find_new(r, e);
        if (res == 0)
            res = drain_new(r, e);
        if (res == 0)
            res = remove_new(r, e);
    }
    return res == 0 ? forget_rows(r, e) : res;
}
