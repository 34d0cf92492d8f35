#include "deployment/steps.h"

#include <stdio.h>

/* Taking old containers out of service: out of the route and the registry first, then nothing in flight, then SIGTERM
 * with the service's grace, then gone. */

#define SETTLE_MS 1000
#define LOOK_MS 100
#define ZEROS_WANTED 3

int take_away(struct run *r, const char *node_id, const char *id, struct error *e)
{
    struct container_engine *g = NULL;
    int res = instance_engine(r, node_id, &g, e);
    if (res < 0)
        return res;
    res = g->ops->stop(g, id, strategy_stop_grace_s(r->release.specification), e);
    if (res == 0 || res == -ERR_NOT_FOUND)
        res = g->ops->remove(g, id, true, e);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

/* ---- drain ---- */

/* Three zeros in a row: the router's counter may show one too early. */
static bool drained(struct run *r, const char *address, int64_t until, struct error *e)
{
    bool pause = run_strategy(r) == STRATEGY_RECREATE; /* nobody serves meanwhile */
    for (int zeros = 0; zeros < ZEROS_WANTED;) {
        if (clock_mono_ms() >= until || run_interrupted(r))
            return false;
        int res = pause ? gateway_quiet(r->deployments->gateway, address, e)
                        : gateway_drained(r->deployments->gateway, address, e);
        zeros = res == 1 ? zeros + 1 : 0;
        if (zeros < ZEROS_WANTED)
            step_pause_ms(LOOK_MS);
    }
    return true;
}

static void settle(struct run *r, int64_t switched_at)
{
    while (clock_now_ms() < switched_at + SETTLE_MS && clock_now_ms() >= switched_at && !run_interrupted(r))
        step_pause_ms(LOOK_MS / 2);
}

int run_drain(struct run *r, const char *const *addresses, size_t n, struct error *e)
{
    int64_t began = clock_mono_ms(), switched_at = json_int(r->facts, "switchedAt", 0);
    int64_t limit = (int64_t)strategy_drain_s(r->release.specification) * 1000;
    struct error why = ERROR_INIT;
    bool all = true;
    if (!n)
        return 0;
    step_allow_ms(r, limit);
    settle(r, switched_at);
    for (size_t i = 0; i < n; i++)
        all = drained(r, addresses[i], began + limit, &why) && all;
    if (run_interrupted(r)) {
        error_done(&why);
        return RUN_INTERRUPTED;
    }
    int64_t took = clock_now_ms() - switched_at;
    took = switched_at && took > 0 ? took : clock_mono_ms() - began;
    receipt_note_drain(r, took, !all);
    if (all)
        record_log(&r->record, "drained: nothing is in flight to it any more after %.1f s", (double)took / 1000);
    else
        record_log(&r->record, "not drained within %d s%s%s: what is still open gets the stop signal",
                   strategy_drain_s(r->release.specification), why.message[0] ? " (" : "",
                   why.message[0] ? why.message : "");
    error_done(&why);
    (void)e;
    return 0;
}

/* Addresses of this batch's old ones that are not in the route any more. */
static size_t left_addresses(const struct run *r, const char **ret, size_t max)
{
    size_t i = 0, n = 0;
    const json_t *x;
    while ((x = instance_next_old(r, &i)) && n < max)
        if (json_str(x, "old.address") && !json_flag(x, "retired", false))
            ret[n++] = json_str(x, "old.address");
    return n;
}

static bool had_route(const struct run *r)
{
    return r->deployments->gateway && json_flag(r->facts, "routedBefore", false);
}

/* ---- recreate: before the new ones start ---- */

static int stop_one(struct run *r, const json_t *x, struct error *e)
{
    struct container_engine *g = NULL;
    int res = instance_engine(r, json_str(x, "old.node"), &g, e);
    if (res == 0)
        res = g->ops->stop(g, json_str(x, "old.container"), strategy_stop_grace_s(r->release.specification), e);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

/* A fixed name is given on; an undo gives it back. */
static int note_name(struct run *r, json_t *x, struct error *e)
{
    struct container_engine *g = NULL;
    struct engine_container c = { 0 };
    if (!json_str(r->release.specification, "container.name") || json_str(x, "old.name"))
        return 0;
    int res = instance_engine(r, json_str(x, "old.node"), &g, e);
    if (res == 0)
        res = g->ops->inspect(g, json_str(x, "old.container"), &c, e);
    if (res == 0)
        (void)json_put(x, "old.name", json_string(c.name));
    engine_container_done(&c);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

static int journal_stop(struct run *r, enum step step, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = 0;
    while (res == 0 && (x = instance_next_old(r, &i)))
        res = note_name(r, x, e);
    (void)json_put(r->facts, "stoppedOld", json_true());
    return res == 0 ? run_journal(r, step, "begin", e) : res;
}

int stop_old_first(struct run *r, struct error *e)
{
    const char *list[GATEWAY_SLOTS_MAX];
    size_t i = 0, n = left_addresses(r, list, GATEWAY_SLOTS_MAX);
    json_t *x;
    int res = 0;
    if (!instances_had_old(r))
        return 0;
    res = journal_stop(r, STEP_START, e);
    if (res == 0 && had_route(r)) {
        record_log(&r->record, "the route is held while the old container makes room");
        (void)json_put(r->facts, "switchedAt", json_integer(clock_now_ms()));
        res = gateway_upstreams_hold(r->deployments->gateway, r->service_id, e);
        if (res == 0)
            res = run_drain(r, list, n, e);
    }
    while (res == 0 && (x = instance_next_old(r, &i))) {
        res = run_deregister(r, json_str(x, "old.registration"), e);
        if (res == 0)
            res = stop_one(r, x, e);
        if (res == 0)
            record_log(&r->record, "the old container has stopped");
    }
    return res;
}

/* ---- retire ---- */

/* The new release serves: what cannot be cleared away is said, and fails nothing. */
static void complain(struct run *r, const char *container, struct error *e)
{
    release_mask(&r->release, e->message);
    record_log(&r->record, "the old container %.12s stays behind: %s", container, e->message);
    error_done(e);
    *e = ERROR_INIT;
}

static void retire_one(struct run *r, json_t *x, bool for_good, struct error *e)
{
    const char *old = json_str(x, "old.container");
    int res = for_good ? take_away(r, json_str(x, "old.node"), old, e) : stop_one(r, x, e);
    (void)json_put(x, "retired", json_true());
    if (res < 0)
        complain(r, old, e);
    else
        record_log(&r->record, for_good ? "the old container is gone" : "the old container has stopped");
    if (res == 0 && json_flag(x, "going", false) && for_good)
        res = runtime_service_forget(r->deployments->runtime, json_str(x, "id"), e);
    if (res < 0 && e->code)
        complain(r, old, e);
}

static void deregister_old(struct run *r, struct error *e)
{
    size_t i = 0;
    const json_t *x;
    while ((x = instance_next_old(r, &i)))
        if (run_deregister(r, json_str(x, "old.registration"), e) < 0) {
            record_log(&r->record, "%s stays registered for now: %s", json_str(x, "old.registration"), e->message);
            error_done(e);
            *e = ERROR_INIT;
        }
}

/* Rolling: the stopped ones of earlier batches were kept for an undo. */
static void remove_kept(struct run *r, struct error *e)
{
    for (size_t i = 0; i < instances_count(r); i++) {
        json_t *x = instance_at(r, i);
        if (json_flag(x, "retired", false) && json_str(x, "old.container") &&
            take_away(r, json_str(x, "old.node"), json_str(x, "old.container"), e) < 0)
            complain(r, json_str(x, "old.container"), e);
    }
}

int step_retire(struct run *r, struct error *e)
{
    const char *list[GATEWAY_SLOTS_MAX];
    size_t i = 0, n = left_addresses(r, list, GATEWAY_SLOTS_MAX);
    json_t *x;
    bool any = false;
    if (!instances_last_batch(r)) {
        int res = journal_stop(r, STEP_RETIRE, e);
        if (res < 0)
            return res;
    }
    deregister_old(r, e);
    if (had_route(r) && run_strategy(r) != STRATEGY_RECREATE) {
        int res = run_drain(r, list, n, e);
        if (res < 0)
            return res;
    }
    while ((x = instance_next_old(r, &i))) {
        any = true;
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        step_allow_ms(r, (int64_t)strategy_stop_grace_s(r->release.specification) * 1000);
        retire_one(r, x, instances_last_batch(r), e);
    }
    if (instances_last_batch(r) && instances_batches(r) > 1)
        remove_kept(r, e);
    return any ? 0 : STEP_SKIPPED;
}
