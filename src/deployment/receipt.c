#define LOG_ROOM "deployment"
#include "deployment/receipt.h"

#include "base/log.h"
#include "deployment/steps.h"

#include <stdio.h>

#define PROBE_TIMEOUT_MS 5000
#define LOOK_MS 50
#define LOOKS_EACH_ALIVE 4 /* between two looks at the containers themselves */

static const char *const phase_names[PROBE_PHASES] = { "before", "during", "after" };

/* ---- figures ---- */

static json_t *figures_json(const struct gateway_figures *f)
{
    json_t *x =
        json_pack("{s:I, s:I, s:n, s:n}", "sent", (json_int_t)f->sent, "failed", (json_int_t)f->failed, "p50", "p99");
    if (x && f->sent > f->failed) {
        (void)json_object_set_new(x, "p50", json_real(f->p50_ms));
        (void)json_object_set_new(x, "p99", json_real(f->p99_ms));
    }
    return x;
}

/* Of a hub that died at the switch only "before" is known, by the journal. */
static void read_figures(struct run *r)
{
    const json_t *before = json_at(r->facts, "probesBefore");
    struct gateway_figures *f = r->figures;
    if (r->probe)
        gateway_probe_read(r->probe, f);
    if (!f[PROBE_BEFORE].sent && before) {
        f[PROBE_BEFORE].sent = json_int(before, "sent", 0);
        f[PROBE_BEFORE].failed = json_int(before, "failed", 0);
        f[PROBE_BEFORE].p50_ms = json_num(before, "p50", 0);
        f[PROBE_BEFORE].p99_ms = json_num(before, "p99", 0);
    }
}

/* ---- probes ---- */

static const char *probe_path(const json_t *spec)
{
    const char *path = json_str(spec, "probe.path"), *check = json_str(spec, "networking.healthCheck.path");
    return path ? path : check ? check : "/";
}

static void begin_probing(struct run *r, enum probe_phase phase)
{
    struct error e = ERROR_INIT;
    struct gateway *g = r->deployments->gateway;
    struct gateway_probe_options o = { .per_second = json_num(r->release.specification, "probe.rate", 20),
                                       .path = probe_path(r->release.specification),
                                       .timeout_ms = PROBE_TIMEOUT_MS };
    if (r->probe || !g)
        return;
    if (gateway_probe_start(g, r->service_id, &o, &r->probe, &e) < 0) {
        r->probe = NULL;
        record_log(&r->record, "the switch is not measured: %s", e.message);
    } else {
        gateway_probe_phase(r->probe, phase);
        r->probe_phase = phase;
        r->phase_began_ms = clock_mono_ms();
    }
    error_done(&e);
}

static void enter(struct run *r, enum probe_phase phase)
{
    if (!r->probe || r->probe_phase == phase)
        return;
    gateway_probe_phase(r->probe, phase);
    r->probe_phase = phase;
    r->phase_began_ms = clock_mono_ms();
}

static int64_t phase_age_ms(const struct run *r)
{
    return clock_mono_ms() - r->phase_began_ms;
}

void receipt_before(struct run *r)
{
    bool serves = json_flag(r->facts, "routedBefore", false) && run_strategy(r) != STRATEGY_RECREATE;
    if (serves && !json_flag(r->facts, "switched", false))
        begin_probing(r, PROBE_BEFORE);
}

int receipt_await_before(struct run *r, struct error *e)
{
    while (r->probe && r->probe_phase == PROBE_BEFORE && phase_age_ms(r) < RECEIPT_WINDOW_MS) {
        int res = run_may_go_on(r, e);
        if (res < 0)
            return res;
        step_pause_ms(LOOK_MS);
    }
    read_figures(r);
    if (r->probe)
        (void)json_put(r->facts, "probesBefore", figures_json(&r->figures[PROBE_BEFORE]));
    return 0;
}

void receipt_switching(struct run *r)
{
    enter(r, PROBE_DURING);
}

void receipt_switched(struct run *r)
{
    if (run_routed(r))
        begin_probing(r, json_flag(r->facts, "routedBefore", false) ? PROBE_DURING : PROBE_AFTER);
}

/* ---- the bound ---- */

struct bound {
    int64_t max_failed;
    double max_ratio;
};

static struct bound bound_of(const struct run *r)
{
    return (struct bound){ json_int(r->release.specification, "probe.maxFailed", 0),
                           json_num(r->release.specification, "probe.maxLatencyRatio", 3) };
}

/* Failures during the switch are held against it only where the old release failed none. */
static bool too_many_failed(const struct gateway_figures f[PROBE_PHASES], struct bound b, char *ret, size_t size)
{
    int64_t during = f[PROBE_BEFORE].failed ? 0 : f[PROBE_DURING].failed;
    int64_t failed = during + f[PROBE_AFTER].failed, sent = f[PROBE_DURING].sent + f[PROBE_AFTER].sent;
    const char *first = during ? f[PROBE_DURING].first_failure : f[PROBE_AFTER].first_failure;
    if (failed <= b.max_failed)
        return false;
    (void)snprintf(ret, size, "%lld of %lld probes failed since the switch, %lld are allowed; the first: %.180s",
                   (long long)failed, (long long)sent, (long long)b.max_failed, first);
    return true;
}

static bool too_slow(const struct gateway_figures f[PROBE_PHASES], struct bound b, char *ret, size_t size)
{
    double before = f[PROBE_BEFORE].p99_ms, after = f[PROBE_AFTER].p99_ms;
    if (f[PROBE_BEFORE].sent == f[PROBE_BEFORE].failed || after <= before * b.max_ratio ||
        after <= before + RECEIPT_LATENCY_FLOOR_MS)
        return false;
    (void)snprintf(ret, size,
                   "the slowest probes (p99) took %.0f ms after the switch and %.0f ms before, more than %.1f times",
                   after, before, b.max_ratio);
    return true;
}

static bool nothing_answers(const struct gateway_figures f[PROBE_PHASES], char *ret, size_t size)
{
    const struct gateway_figures *after = &f[PROBE_AFTER];
    if (after->sent > after->failed)
        return false;
    (void)snprintf(ret, size, "nothing answered through the route since the switch; the first: %.180s",
                   after->first_failure);
    return true;
}

static void note_bound(struct run *r, const char *broken)
{
    struct bound b = bound_of(r);
    json_t *bound = json_pack("{s:I, s:f, s:b, s:s?}", "maxFailed", (json_int_t)b.max_failed, "maxLatencyRatio",
                              b.max_ratio, "held", broken == NULL, "reason", broken);
    (void)json_put(r->facts, "receipt.bound", bound);
}

/* One look: 1 held, 0 not to be said yet, negative broken. */
static int look(struct run *r, char *why, size_t size)
{
    const struct gateway_figures *f = r->figures;
    struct bound b = bound_of(r);
    int64_t age = phase_age_ms(r);
    read_figures(r);
    if (too_many_failed(f, b, why, size))
        return -1;
    if (age < RECEIPT_WINDOW_MS)
        return 0;
    bool slow = too_slow(f, b, why, size), silent = !slow && nothing_answers(f, why, size);
    bool hangs = f[PROBE_DURING].waiting_ms > RECEIPT_HANGS_MS || f[PROBE_AFTER].waiting_ms > RECEIPT_HANGS_MS;
    if (age < RECEIPT_LONGER_MS && (slow || silent || hangs)) /* what hangs has failed, or is answered, by then */
        return 0;
    return slow || silent ? -1 : 1;
}

/* Between two looks. Whoever asks a container that has ended is kept waiting by the router: it is found out at once. */
static int go_on(struct run *r, int *looks, struct error *e)
{
    int res = run_may_go_on(r, e);
    if (res == 0 && (*looks)++ % LOOKS_EACH_ALIVE == 0)
        res = step_alive(r, e);
    return res;
}

/* A rename takes a millisecond; what it does to the next requests shows in the moment after it. */
static int await_during(struct run *r, struct error *e)
{
    int looks = 0;
    while (r->probe_phase == PROBE_DURING && phase_age_ms(r) < RECEIPT_SWITCH_MS) {
        int res = go_on(r, &looks, e);
        if (res < 0)
            return res;
        step_pause_ms(LOOK_MS);
    }
    return 0;
}

/* Through a router that is away every probe fails, whatever the release is like. */
static bool router_away(struct run *r, char *why, size_t size)
{
    _cleanup_error_ struct error said = ERROR_INIT;
    int res = gateway_route_check(r->deployments->gateway, r->service_id, r->release.specification, &said);
    bool away = res == -ERR_UNAVAILABLE || res == -ERR_UPSTREAM_TIMEOUT;
    if (away)
        (void)snprintf(why, size, "the router itself does not answer, so the new release cannot be judged: %.280s",
                       said.message);
    return away;
}

int receipt_judge(struct run *r, struct error *e)
{
    char why[400] = "";
    int seen = 0, looks = 0;
    if (!r->probe)
        receipt_switched(r);
    if (!r->probe)
        return 0;
    int res = await_during(r, e);
    if (res < 0)
        return res;
    enter(r, PROBE_AFTER);
    while (seen == 0) {
        res = go_on(r, &looks, e);
        if (res < 0)
            return res;
        seen = look(r, why, sizeof why);
        if (seen == 0)
            step_pause_ms(LOOK_MS);
    }
    bool away = seen < 0 && router_away(r, why, sizeof why);
    note_bound(r, seen < 0 ? why : NULL);
    receipt_write(r);
    if (away)
        return error_set(e, ERR_UNAVAILABLE, "After the switch %s", why);
    return seen < 0 ? error_set(e, ERR_CONFLICT, "The bound of the switch was broken: %s.", why) : 0;
}

/* ---- the record ---- */

void receipt_note_drain(struct run *r, int64_t duration_ms, bool forced)
{
    int64_t longest = json_int(r->facts, "receipt.drain.durationMs", 0);
    bool before = json_flag(r->facts, "receipt.drain.forced", false);
    (void)json_put(r->facts, "receipt.drain.durationMs", json_integer(duration_ms > longest ? duration_ms : longest));
    (void)json_put(r->facts, "receipt.drain.forced", json_boolean(forced || before));
}

void receipt_note_reload(struct run *r)
{
    (void)json_put(r->facts, "receipt.reloads", json_integer(json_int(r->facts, "receipt.reloads", 0) + 1));
}

static json_t *step_times(const struct run *r)
{
    size_t i;
    json_t *phase, *times = json_object();
    json_array_foreach (json_at(r->record.document, "timing.phases"), i, phase) {
        const char *name = json_str(phase, "name");
        (void)json_object_set_new(times, name, json_real(json_num(times, name, 0) + json_num(phase, "duration", 0)));
    }
    return times;
}

static void write_comparison(struct run *r, const struct gateway_figures f[PROBE_PHASES])
{
    const struct gateway_figures *before = &f[PROBE_BEFORE], *after = &f[PROBE_AFTER];
    json_t *doc = r->record.document;
    if (before->sent)
        (void)json_put(doc, "monitoring.preDeploy.performanceBaseline",
                       json_pack("{s:I, s:I, s:f, s:f}", "probes_sent", (json_int_t)before->sent, "probes_failed",
                                 (json_int_t)before->failed, "latency_p50_ms", before->p50_ms, "latency_p99_ms",
                                 before->p99_ms));
    if (!after->sent)
        return;
    json_t *figures =
        json_pack("{s:I, s:I, s:f, s:f}", "probes_sent", (json_int_t)after->sent, "probes_failed",
                  (json_int_t)after->failed, "latency_p50_ms", after->p50_ms, "latency_p99_ms", after->p99_ms);
    if (before->p99_ms > 0)
        (void)json_object_set_new(figures, "latency_p99_ratio", json_real(after->p99_ms / before->p99_ms));
    (void)json_put(doc, "monitoring.postDeploy.performanceComparison", figures);
}

/* Services that came to trouble while this went on. */
static void write_alerts(struct run *r)
{
    struct runtime_trouble list[32];
    json_t *alerts = json_array();
    size_t n = runtime_troubles(r->deployments->runtime, list, ARRAY_LEN(list));
    for (size_t i = 0; i < n; i++)
        if (list[i].since_ms >= r->record.started_ms) {
            char text[256];
            (void)snprintf(text, sizeof text, "%.60s: %.180s", list[i].name, list[i].reason);
            (void)json_array_append_new(alerts, json_string(text));
        }
    (void)json_put(r->record.document, "monitoring.postDeploy.alertsTriggered", alerts);
}

void receipt_write(struct run *r)
{
    const struct gateway_figures *f = r->figures;
    const json_t *noted = json_at(r->facts, "receipt");
    json_t *x = json_pack("{s:s?}", "strategy", json_str(r->facts, "strategy"));
    read_figures(r);
    if (!x)
        return;
    if (noted)
        (void)json_object_update(x, (json_t *)noted);
    if (f[0].sent + f[1].sent + f[2].sent)
        (void)json_object_set_new(x, "probes",
                                  json_pack("{s:o, s:o, s:o}", phase_names[0], figures_json(&f[0]), phase_names[1],
                                            figures_json(&f[1]), phase_names[2], figures_json(&f[2])));
    if (r->probe) {
        json_decref(r->points);
        r->points = gateway_probe_points(r->probe);
    }
    if (r->points)
        (void)json_object_set(x, "points", r->points);
    (void)json_object_set_new(x, "steps", step_times(r));
    if (run_routed(r) && !json_at(x, "reloads"))
        (void)json_object_set_new(x, "reloads", json_integer(0));
    (void)json_object_set_new(r->record.document, "receipt", x);
    write_comparison(r, f);
    write_alerts(r);
}

void receipt_end(struct run *r)
{
    if (!r->probe)
        return;
    receipt_write(r);
    gateway_probe_stop(r->probe);
    r->probe = NULL;
}
