#include "deployment/steps.h"

#include <stdio.h>

/* register, switch, verify: in this order a new container becomes known, gets the traffic, and is believed. */

bool run_routed(const struct run *r)
{
    struct gateway *g = r->deployments->gateway;
    return g && !strategy_is_job(r->release.specification) && gateway_wants_route(g, r->release.specification);
}

static bool was_routed(const struct run *r)
{
    return json_flag(r->facts, "routedBefore", false);
}

int run_upstreams(struct run *r, const char *const *list, size_t n, struct error *e)
{
    return gateway_upstreams_set(r->deployments->gateway, r->service_id, list, n, e);
}

/* ---- register ---- */

static int note_address(struct run *r, json_t *x, struct error *e)
{
    char address[128];
    struct engine_container c = { 0 };
    struct container_engine *g = NULL;
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res == 0)
        res = g->ops->inspect(g, json_str(x, "container"), &c, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = document_with(r, x, &c);
    if (d && runtime_instance_address(d, address, sizeof address))
        (void)json_put(x, "address", json_string(address));
    else if (run_routed(r))
        res = error_set(e, ERR_CONFLICT, "The route has nowhere to go: the port on which %s serves is not published.",
                        json_str(x, "name"));
    engine_container_done(&c);
    return res;
}

static int announce(struct run *r, const json_t *x, struct error *e)
{
    const json_t *spec = r->release.specification, *check = json_at(spec, "networking.healthCheck");
    char host[128];
    str_copy(host, sizeof host, json_str(x, "address"));
    char *colon = strrchr(host, ':');
    if (!colon)
        return 0;
    *colon = '\0';
    _cleanup_entity_ struct entity *node = NULL;
    (void)runtime_node(r->deployments->runtime, json_str(x, "node"), &node, NULL);
    _cleanup_json_ json_t *meta = json_pack("{s:s, s:s, s:s}", "deployment", r->id, "instance", json_str(x, "id"),
                                            "version", json_str(spec, "metadata.version") ?: r->image.tag);
    struct discovery_instance one = {
        .id = json_str(x, "name"),
        .service = r->name,
        .address = host,
        .port = (uint16_t)strtoul(colon + 1, NULL, 10),
        .node = node ? node->name : NULL,
        .meta = meta,
        .check_path = json_str(check, "path"),
        .check_interval_ms = json_int(check, "interval", 10) * 1000,
        .check_timeout_ms = json_int(check, "timeout", 5) * 1000,
    };
    return gateway_register(r->deployments->gateway, &one, e);
}

int step_register(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = 0;
    struct gateway *g = r->deployments->gateway;
    if (!g || strategy_is_job(r->release.specification))
        return STEP_SKIPPED;
    while (res == 0 && (x = instance_next_new(r, &i))) {
        res = note_address(r, x, e);
        if (res == 0 && json_str(x, "address") && gateway_discovers(g)) {
            res = announce(r, x, e);
            if (res == 0)
                record_log(&r->record, "registered %s at %s", json_str(x, "name"), json_str(x, "address"));
        }
    }
    /* Measured long enough before the switch, so that the switch itself waits for nothing. */
    return res == 0 && run_routed(r) ? receipt_await_before(r, e) : res;
}

int run_deregister(struct run *r, const char *registration, struct error *e)
{
    struct gateway *g = r->deployments->gateway;
    return g && registration && gateway_discovers(g) ? gateway_deregister(g, registration, e) : 0;
}

/* ---- switch ---- */

static json_t *text_array(const char *const *list, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, json_string(list[i]));
    return array;
}

int switch_plan(struct run *r, struct error *e UNUSED)
{
    const char *list[GATEWAY_SLOTS_MAX];
    size_t n = instances_addresses(r, list, GATEWAY_SLOTS_MAX);
    (void)json_put(r->facts, "upstreams.new", text_array(list, n));
    n = instances_old_addresses(r, list, GATEWAY_SLOTS_MAX);
    (void)json_put(r->facts, "upstreams.old", text_array(list, n));
    return json_put(r->facts, "switched", json_true());
}

struct switching {
    struct run *run;
    const json_t *instance;
    const struct engine_container *container;
};

static void put_route(json_t *d, const struct run *r)
{
    struct gateway *g = r->deployments->gateway;
    char url[512];
    char *rendered = run_routed(r) ? gateway_route_rendered(g, r->service_id) : NULL;
    bool known = rendered && gateway_url(g, r->service_id, url, sizeof url);
    (void)json_put(d, "networking.caddyConfig", rendered ? json_string(rendered) : json_null());
    (void)json_put(d, "networking.routeUrl", known ? json_string(url) : json_null());
    free(rendered);
}

static int switch_document(json_t *d, void *ctx)
{
    struct switching *s = ctx;
    struct run *r = s->run;
    char at[TIME_TEXT_LEN + 1];
    bool registered = r->deployments->gateway && gateway_discovers(r->deployments->gateway);
    bool job = strategy_is_job(r->release.specification);
    apply_release(d, r->release.specification, &r->image);
    (void)json_put(d, "managed", json_true());
    (void)json_put(d, "nodeId", json_string(json_str(s->instance, "node")));
    (void)json_put(d, "instances.wanted", json_integer(strategy_instances(r->release.specification)));
    (void)json_put(d, "container.digest", json_string(json_str(r->facts, "digest")));
    put_route(d, r);
    runtime_instance_fill(r->deployments->runtime, d, s->container);
    (void)time_format(clock_now_ms(), at);
    if (!job) {
        (void)json_put(d, "status.deployment", json_string("running"));
        (void)json_put(d, "status.health", json_string("healthy"));
        (void)json_put(d, "status.lastHealthCheck", json_string(at));
    }
    (void)json_put(d, "status.message", json_null());
    (void)json_put(d, "monitoring.consulServiceId",
                   registered && json_str(s->instance, "address") ? json_string(json_str(s->instance, "name"))
                                                                  : json_null());
    (void)json_put(d, "metadata.deployedAt", json_string(at));
    (void)json_put(d, "metadata.deployedBy", json_string(json_str(r->record.document, "deployment.initiatedBy")));
    return 0;
}

static int switch_row(struct run *r, const json_t *x, struct error *e)
{
    struct engine_container c = { 0 };
    struct switching s = { r, x, &c };
    struct container_engine *g = NULL;
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res == 0)
        res = g->ops->inspect(g, json_str(x, "container"), &c, e);
    if (res < 0)
        return res;
    res = runtime_service_change(r->deployments->runtime, json_str(x, "id"), switch_document, &s, NULL, e);
    if (res == 0)
        record_log(&r->record, "switched to container %.12s", c.id);
    engine_container_done(&c);
    return res;
}

/* Only how many are wanted is new; the container stays. */
static int keep_document(json_t *d, void *ctx)
{
    const struct run *r = ctx;
    return json_put(d, "instances.wanted", json_integer(strategy_instances(r->release.specification)));
}

static int keep_rows(struct run *r, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++)
        if (json_flag(instance_at(r, i), "keep", false))
            res = runtime_service_change(r->deployments->runtime, json_str(instance_at(r, i), "id"), keep_document, r,
                                         NULL, e);
    return res;
}

/* Adding, changing or removing a route is a change of the router's configuration, the only thing that costs one. */
static int make_route(struct run *r, struct error *e)
{
    struct gateway *g = r->deployments->gateway;
    bool changed = false;
    if (!run_routed(r) && !was_routed(r))
        return 0;
    int res = gateway_route_put(g, r->service_id, r->release.specification, &changed, e);
    if (res == 0 && changed) {
        receipt_note_reload(r);
        record_log(&r->record, "the route changed: the router took a new configuration, which costs it a reload");
    }
    if (res == 0 && json_is_object(json_at(r->release.specification, "networking.rateLimit")) &&
        !gateway_limits_rates(g))
        record_log(&r->record, "networking.rateLimit has no effect: the router has no module that limits rates");
    return res;
}

static int switch_route(struct run *r, struct error *e)
{
    const char *list[GATEWAY_SLOTS_MAX];
    size_t n = instances_addresses(r, list, GATEWAY_SLOTS_MAX);
    if (!r->deployments->gateway)
        return 0;
    int res = make_route(r, e);
    if (res < 0 || !run_routed(r))
        return res;
    res = receipt_await_before(r, e);
    if (res < 0)
        return res;
    receipt_switching(r);
    res = run_upstreams(r, list, n, e);
    if (res == 0) {
        (void)json_put(r->facts, "switchedAt", json_integer(clock_now_ms()));
        receipt_switched(r);
        record_log(&r->record, "the route leads to %s%s", n ? list[0] : "nothing", n > 1 ? " and others" : "");
    }
    return res;
}

int step_switch(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = switch_route(r, e);
    while (res == 0 && (x = instance_next_new(r, &i)))
        res = switch_row(r, x, e);
    return res == 0 ? keep_rows(r, e) : res;
}

/* ---- verify ---- */

static int verify_one(struct run *r, const json_t *x, struct error *e)
{
    char reason[512] = "";
    for (int tries = 0; tries < 5; tries++) {
        int res = step_look(r, x, reason, sizeof reason, e);
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        if (res != 0)
            return res < 0 ? res : 0;
        step_pause_ms(CHECK_PAUSE_MS);
    }
    return error_set(e, ERR_CONFLICT, "After the switch the service does not answer: %.400s.", reason);
}

int step_verify(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = 0;
    if (!strategy_is_job(r->release.specification))
        while (res == 0 && (x = instance_next_new(r, &i)))
            res = verify_one(r, x, e);
    if (res == 0 && run_routed(r))
        res = receipt_judge(r, e);
    if (res < 0)
        return res;
    (void)json_put(r->record.document, "monitoring.postDeploy.healthVerification", json_true());
    return instances_last_batch(r)
               ? release_mark_serving(r->deployments, r->release.id, json_str(r->facts, "digest"), e)
               : 0;
}
