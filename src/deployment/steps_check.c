#include "deployment/steps.h"

#include <stdio.h>

#define GOOD_CHECKS_WANTED 2
#define HOLD_MS ((int64_t)20 * 1000) /* what takes longer is waited for without a worker */
#define JOB_HOLD_MS 5000
#define JOB_MAX_MS ((int64_t)3600 * 1000)
#define CHECK_PAUSE_FIRST_MS 40

struct last_lines {
    char text[400];
};

static int keep_last(void *ctx, enum engine_stream stream UNUSED, const char *bytes, size_t len)
{
    struct last_lines *l = ctx;
    size_t room = sizeof l->text - 1, have = strlen(l->text);
    if (len > room) {
        bytes += len - room;
        len = room;
    }
    if (have + len > room) {
        size_t drop = have + len - room;
        memmove(l->text, l->text + drop, have - drop + 1);
        have -= drop;
    }
    memcpy(l->text + have, bytes, len);
    l->text[have + len] = '\0';
    return 0;
}

/* ---- a container that ended ---- */

static int died(struct run *r, struct container_engine *g, const struct engine_container *c, struct error *e)
{
    struct last_lines said = { "" };
    struct engine_log_request ask = { .tail = 3, .want_stdout = true, .want_stderr = true };
    (void)g->ops->logs(g, c->id, &ask, keep_last, &said, NULL);
    char *line = str_trim(said.text), *last = strrchr(line, '\n');
    line = last ? last + 1 : line;
    if (c->oom_killed)
        return error_set(e, ERR_CONFLICT,
                         "The new container was killed: it needs more memory than its limit of %lld MB.",
                         (long long)(c->memory_limit >> 20));
    /* The engine forgets that it was the memory when the container starts again. */
    if (c->exit_code == 137 && c->memory_limit)
        return error_set(
            e, ERR_CONFLICT,
            "The new container was killed (status 137): it may need more memory than its limit of %lld MB.",
            (long long)(c->memory_limit >> 20));
    if (strategy_is_job(r->release.specification))
        return error_set(e, ERR_CONFLICT, "The job ended with status %d%s%s", c->exit_code, *line ? "; it said: " : ".",
                         line);
    if (str_eq(c->state, "running")) /* and the engine forgets its status, too */
        return error_set(e, ERR_CONFLICT,
                         "The new container ended right after it got the traffic, and the engine started it again.");
    return error_set(e, ERR_CONFLICT, "The new container ended with status %d right after its start%s%s", c->exit_code,
                     *line ? "; it said: " : ".", line);
}

/* ---- one look ---- */

json_t *document_with(const struct run *r, const json_t *x, const struct engine_container *c)
{
    const json_t *before = json_at(x, "before");
    json_t *d = json_deep_copy(json_is_object(before) ? before : r->service);
    if (d) {
        apply_release(d, r->release.specification, &r->image);
        (void)json_put(d, "managed", json_true());
        (void)json_put(d, "nodeId", json_string(json_str(x, "node")));
        (void)json_put(d, "networking.routeUrl", json_null());
        runtime_instance_fill(r->deployments->runtime, d, c);
    }
    return d;
}

int64_t check_time_ms(const struct run *r)
{
    const json_t *check = json_at(r->release.specification, "networking.healthCheck");
    return 1000 * (json_int(check, "startPeriod", 30) +
                   json_int(check, "retries", 3) * (json_int(check, "interval", 10) + json_int(check, "timeout", 5)));
}

static void note_output(struct run *r, const struct engine_container *c)
{
    _cleanup_free_ char *said = c->health_output && c->health_output[0] ? strdup(c->health_output) : NULL;
    if (!said)
        return;
    release_mask(&r->release, said); /* facts are journalled */
    (void)json_put(r->facts, "checkOutput", json_string(said));
}

int step_look(struct run *r, const json_t *x, char *reason, size_t size, struct error *e)
{
    struct engine_container c = { 0 };
    struct container_engine *g = NULL;
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res == 0)
        res = g->ops->inspect(g, json_str(x, "container"), &c, e);
    if (res < 0)
        return res == -ERR_UNAVAILABLE ? 0 : res;
    if (str_eq(c.state, "running")) {
        _cleanup_json_ json_t *d = document_with(r, x, &c);
        res = d ? runtime_check_health(d, &c, r->job->stopping, reason, size) : 0;
        res = res == 1;
        note_output(r, &c);
    } else {
        res = died(r, g, &c, e);
    }
    engine_container_done(&c);
    return res;
}

/* Which restarts there were when it was looked at first: a start that took two tries is no fault. */
static bool runs_on(json_t *x, const struct engine_container *c)
{
    int64_t before = json_int(x, "restarts", -1);
    if (before < 0)
        (void)json_put(x, "restarts", json_integer(c->restart_count));
    return str_eq(c->state, "running") && (before < 0 || c->restart_count <= before);
}

/* An engine that started it again has given it another port, so that does not count as running on. */
int step_alive(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = 0;
    while (res == 0 && (x = instance_next_new(r, &i))) {
        struct engine_container c = { 0 };
        struct container_engine *g = NULL;
        if (instance_engine(r, json_str(x, "node"), &g, NULL) < 0 ||
            g->ops->inspect(g, json_str(x, "container"), &c, NULL) < 0)
            continue; /* an engine that is away says nothing about its containers */
        if (!runs_on(x, &c))
            res = died(r, g, &c, e);
        engine_container_done(&c);
    }
    return res;
}

/* What the container's own check said last is worth a line: the reason alone is short. */
static void log_check_output(struct run *r)
{
    char text[800];
    const char *said = json_str(r->facts, "checkOutput");
    if (!said)
        return;
    str_copy(text, sizeof text, said);
    release_mask(&r->release, text);
    for (char *p = text; *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    record_log(&r->record, "the check said: %s", str_trim(text));
}

/* It was looked at for so long without an end: the rest of its time is waited for without a worker. */
static int check_later(struct run *r, const json_t *x, int64_t held_ms, const char *reason, struct error *e)
{
    char until[300];
    (void)snprintf(until, sizeof until, "%s is healthy", json_str(x, "name"));
    int res = held_ms < check_time_ms(r) ? run_later(r, STEP_CHECK, until, reason, check_time_ms(r) - held_ms, e) : 0;
    if (res < 0)
        return res;
    log_check_output(r);
    return error_set(e, ERR_TIMEOUT, "The new container did not become healthy within %lld s: %.380s.",
                     (long long)check_time_ms(r) / 1000, reason);
}

static int check_one(struct run *r, const json_t *x, struct error *e)
{
    char reason[512] = "it does not answer";
    int good = 0;
    int64_t held = check_time_ms(r) < HOLD_MS ? check_time_ms(r) : HOLD_MS;
    int64_t until = clock_mono_ms() + (run_waits(r) ? 0 : held);
    long pause = CHECK_PAUSE_FIRST_MS;
    while (good < GOOD_CHECKS_WANTED) {
        int res = run_may_go_on(r, e);
        if (res == 0)
            res = step_look(r, x, reason, sizeof reason, e);
        if (res < 0)
            return res;
        good = res ? good + 1 : 0;
        if (!good && clock_mono_ms() >= until)
            return check_later(r, x, held, reason, e);
        if (good < GOOD_CHECKS_WANTED)
            step_pause_ms(pause);
        /* Most are up in a moment; who takes long is asked less often. */
        pause = good ? CHECK_PAUSE_FIRST_MS * 2 : pause * 2 < CHECK_PAUSE_MS ? pause * 2 : CHECK_PAUSE_MS;
    }
    return 0;
}

/* ---- a job: it runs to its end ---- */

static int log_line(void *ctx, enum engine_stream stream UNUSED, const char *bytes, size_t len)
{
    struct run *r = ctx;
    char text[900];
    str_copy(text, len + 1 < sizeof text ? len + 1 : sizeof text, bytes);
    release_mask(&r->release, text);
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        if (*str_trim(line))
            record_log(&r->record, "job: %s", line);
    return 0;
}

/* One look: 1 it ended well, 0 it runs, or its engine is away; negative: it failed. */
static int look_at_job(struct run *r, const json_t *x, struct error *e)
{
    struct container_engine *g = NULL;
    struct engine_container c = { 0 };
    struct engine_log_request ask = { .tail = 100, .want_stdout = true, .want_stderr = true };
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res == 0)
        res = g->ops->inspect(g, json_str(x, "container"), &c, e);
    if (res < 0)
        return res == -ERR_UNAVAILABLE ? 0 : res;
    if (str_eq(c.state, "exited") || str_eq(c.state, "dead")) {
        (void)g->ops->logs(g, c.id, &ask, log_line, r, NULL);
        res = c.exit_code == 0 ? 1 : died(r, g, &c, e);
    }
    engine_container_done(&c);
    return res;
}

static int await_end(struct run *r, const json_t *x, struct error *e)
{
    int64_t until = clock_mono_ms() + (run_waits(r) ? 0 : JOB_HOLD_MS);
    for (;;) {
        int res = run_may_go_on(r, e);
        if (res == 0)
            res = look_at_job(r, x, e);
        if (res != 0)
            return res < 0 ? res : 0;
        if (clock_mono_ms() >= until)
            break;
        step_pause_ms(CHECK_PAUSE_MS);
    }
    int res = run_later(r, STEP_CHECK, "the job has ended", NULL, JOB_MAX_MS, e);
    return res < 0 ? res : error_set(e, ERR_TIMEOUT, "The job did not end within an hour.");
}

int step_check(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = 0;
    bool job = strategy_is_job(r->release.specification);
    if (!job && !run_waits(r))
        receipt_before(r);
    while (res == 0 && (x = instance_next_new(r, &i)))
        res = job ? await_end(r, x, e) : check_one(r, x, e);
    if (res == 0 && !job)
        receipt_before(r);
    if (res == 0)
        record_log(&r->record, job ? "the job ended with status 0" : "healthy");
    return res;
}
