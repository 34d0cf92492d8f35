#define LOG_ROOM "deployment"
#include "deployment/steps.h"

#include "base/log.h"

#include <stdio.h>

/* Runs one deployment from where its journal says: a mark before each step and after it. */

#define LATER_LOOK_MS 1000
#define LATER_LOOK_LONG_MS 5000 /* what took a minute is not over in the next second */
#define AWAY_MS ((int64_t)60 * 1000) /* an engine or a router that is away before anything was touched */
#define UNDO_TRIES_MS ((int64_t)120 * 1000)  /* an engine that answers, but not as wanted */
#define UNDO_AWAY_MS ((int64_t)600 * 1000)   /* one that is not there at all */

static void run_done(struct run *r)
{
    receipt_end(r);
    record_done(&r->record);
    release_done(&r->release);
    json_decref(r->facts);
    json_decref(r->service);
    json_decref(r->points);
}

static int load(struct run *r, struct journal_state *journal, struct error *e)
{
    struct deployments *d = r->deployments;
    _cleanup_entity_ struct entity *x = NULL;
    int res = record_load(d, r->id, &r->record, e);
    if (res < 0)
        return res;
    r->service_id = json_str(r->record.document, "serviceInstanceId");
    r->name = r->record.service_name;
    res = journal_read(d, r->id, journal, e);
    if (res < 0)
        return res;
    r->facts = journal->facts;
    r->begun = journal->begun;
    res = release_load(d, r->record.release_id, &r->release, e);
    if (res == 0)
        res = runtime_service(d->runtime, r->service_id, &x, e);
    if (res == 0)
        res = image_name_parse(json_str(r->release.specification, "container.image"),
                               json_str(r->release.specification, "container.tag"), &r->image, e);
    if (res == 0)
        r->service = entity_document(x);
    _cleanup_error_ struct error gone = ERROR_INIT;
    if (res == 0 &&
        run_secrets(r, &gone) < 0) /* so that what is to be masked is known; steps that need them say it aloud */
        log_warn("Deployment %s: %s", r->id, gone.message);
    return res == 0 && !r->service ? error_set(e, ERR_INTERNAL, "No memory.") : res;
}

int run_journal(struct run *r, enum step step, const char *mark, struct error *e)
{
    return journal_write(r->deployments, r->job, r->id, step_name(step), mark, r->facts, e);
}

/* A rolling deployment goes through some steps once a batch: its progress rises all the same. */
static double progress(const struct run *r, enum step s)
{
    double from = step_progress(STEP_CREATE), own = step_progress(s), batches = (double)instances_batches(r);
    if (s < STEP_CREATE || batches <= 1)
        return own;
    return from + (100 - from) * ((double)instances_batch(r) + (own - from) / (100 - from)) / batches;
}

static void begin_phase(struct run *r, enum step s)
{
    json_t *doc = r->record.document;
    (void)json_put(doc, "status.state", json_string(step_state(s)));
    (void)json_put(doc, "status.step", json_string(step_name(s)));
    (void)json_put(doc, "status.progress", json_real(progress(r, s)));
    (void)json_object_del(json_at(doc, "status"), "message");
}

#define PHASES_MAX 64 /* of the contract */

static void end_phase(struct run *r, enum step s, int64_t began, const char *status)
{
    json_t *phases = json_at(r->record.document, "timing.phases");
    json_t *phase = json_pack("{s:s, s:I, s:s}", "name", step_name(s), "duration",
                              (json_int_t)(clock_mono_ms() - began), "status", status);
    if (json_array_size(phases) < PHASES_MAX)
        (void)json_array_append_new(phases, phase);
    else
        json_decref(phase);
}

/* ---- waiting ---- */

static int begin_waiting(struct run *r, enum step s, const char *until, const char *why, struct error *e)
{
    char text[1000];
    (void)snprintf(text, sizeof text, "until %s%s%s", until, why ? ": " : ".", why ? why : "");
    release_mask(&r->release, text);
    record_log(&r->record, "waits %s", text);
    int64_t now = clock_now_ms(), began = now - (clock_mono_ms() - r->step_began_ms);
    (void)json_put(r->facts, "waiting",
                   json_pack("{s:s, s:I, s:I}", "until", until, "since", (json_int_t)now, "began", (json_int_t)began));
    (void)json_put(r->record.document, "status.message", json_sprintf("Waits %s", text));
    (void)record_save(r->deployments, &r->record, NULL);
    return run_journal(r, s, "begin", e);
}

int run_later(struct run *r, enum step s, const char *until, const char *why, int64_t most_ms, struct error *e)
{
    int64_t now = clock_now_ms();
    if (!str_eq(json_str(r->facts, "waiting.until"), until)) {
        int res = begin_waiting(r, s, until, why, e);
        if (res < 0)
            return res;
    }
    int64_t waited = now - json_int(r->facts, "waiting.since", now);
    if (waited > most_ms || now > r->job->deadline_ms)
        return 0;
    r->job->again_after_ms = waited < (int64_t)60 * 1000 ? LATER_LOOK_MS : LATER_LOOK_LONG_MS;
    return RUN_LATER;
}

bool run_waits(const struct run *r)
{
    return json_at(r->facts, "waiting") != NULL;
}

/* Whoever never answered since the hub's start is not waited for: perhaps there is none. */
static bool engines_seen(const struct run *r)
{
    struct runtime_engine_state state = { .seen = true };
    for (size_t i = 0; state.seen && i < instances_count(r); i++)
        if (instance_is_new(instance_at(r, i)) &&
            runtime_node_engine_state(r->deployments->runtime, json_str(instance_at(r, i), "node"), &state, NULL) < 0)
            return false;
    return state.seen;
}

/* Before `create` nothing was touched: who is away for a moment, as in a restart, fails nothing. */
static int later_if_away(struct run *r, enum step s, int failed, struct error *failure)
{
    struct error e = ERROR_INIT;
    if (failed != -ERR_UNAVAILABLE || s >= STEP_CREATE || !engines_seen(r))
        return failed;
    int res = run_later(r, s, "it answers again", failure->message, AWAY_MS, &e);
    if (res < 0 && res != RUN_LATER) {
        error_done(failure);
        *failure = e;
        return res;
    }
    if (res == 0)
        record_log(&r->record, "it did not answer again within %lld s", (long long)AWAY_MS / 1000);
    return res == 0 ? failed : res;
}

/* ---- the end ---- */

struct ending {
    const struct run *run;
    const char *message;
};

/* After a failure: with a container that still serves the service runs on, else it has failed. */
static int settle_failed(json_t *d, void *ctx)
{
    const struct ending *x = ctx;
    bool serves = json_str(d, "container.id") && json_str(d, "container.state");
    if (!serves || !str_eq(json_str(d, "container.state"), "running")) {
        (void)json_put(d, "status.deployment", json_string("failed"));
        (void)json_put(d, "status.message", json_string(x->message));
    } else {
        (void)json_put(d, "status.deployment", json_string("running"));
        (void)json_put(d, "status.message", json_null());
    }
    return 0;
}

/* Rows are settled and read anew: what serves after a failure may have another port than before. */
static int settle_rows(struct run *r, const char *message, struct error *e)
{
    struct runtime *runtime = r->deployments->runtime;
    struct ending ending = { r, message };
    struct entity **list = NULL;
    size_t n = 0;
    struct error ignored = ERROR_INIT;
    int res = runtime_service_instances(runtime, r->service_id, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++) {
        if (runtime_refresh_service(runtime, list[i]->id, &ignored) < 0)
            log_debug("After the deployment instance %s was not read again: %s", list[i]->id, ignored.message);
        error_done(&ignored);
        ignored = ERROR_INIT;
        res = runtime_service_change(runtime, list[i]->id, settle_failed, &ending, NULL, e);
        res = res == -ERR_NOT_FOUND ? 0 : res;
    }
    runtime_instances_free(list, n);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

/* A row whose container stayed (scaling, repair) was marked when the deployment began, and no switch of its own unmarks it. */
static int settle_kept(json_t *d, void *ctx UNUSED)
{
    if (!str_eq(json_str(d, "status.deployment"), "updating"))
        return -ERR_NOT_FOUND; /* nothing to write */
    (void)json_put(d, "status.deployment", json_string("running"));
    (void)json_put(d, "status.message", json_null());
    return 0;
}

/* The images of the last releases are pinned where the first instance is. */
static void keep_releases(struct run *r)
{
    struct container_engine *g = NULL;
    if (instance_engine(r, json_str(instance_at(r, 0), "node"), &g, NULL) == 0)
        releases_keep(r->deployments, r->service_id, r->name, g);
}

static int finish(struct run *r, const char *state, const char *message, struct error *e)
{
    struct deployments *d = r->deployments;
    int res = str_eq(state, "completed") ? runtime_service_change(d->runtime, r->service_id, settle_kept, NULL, NULL, e)
                                         : settle_rows(r, message, e);
    if (res == -ERR_NOT_FOUND)
        res = 0;
    if (run_routed(r) || json_at(r->facts, "receipt") || str_eq(state, "completed"))
        receipt_write(r);
    receipt_end(r);
    /* Before anybody is told of the end: who then removes the service must not be told that it is busy. */
    if (str_eq(state, "completed"))
        keep_releases(r);
    record_end(&r->record, state, message);
    /* A failed one stays at the step that it came to. */
    if (str_eq(state, "completed"))
        (void)json_put(r->record.document, "status.progress", json_integer(100));
    if (res == 0)
        queue_ending(d, r->id);
    if (res == 0)
        res = record_save(d, &r->record, e);
    if (res < 0)
        return res;
    record_forget_live(d, r->id);
    queue_leave(d, r->service_id, r->id);
    return 0;
}

/* ---- forward ---- */

/* The end of a batch says in its own mark that there is another. */
static void turn_batch(struct run *r, enum step s)
{
    bool more = s == STEP_RETIRE && !instances_last_batch(r);
    (void)json_put(r->facts, "nextBatch", json_boolean(more));
    if (more)
        (void)json_put(r->facts, "batch", json_integer(instances_batch(r) + 1));
}

static int run_step(struct run *r, enum step s, struct error *e)
{
    struct deployments *d = r->deployments;
    int64_t now = clock_now_ms();
    /* What must be undone is on record before it is done. */
    int res = s == STEP_SWITCH ? switch_plan(r, e) : 0;
    /* A step that is waited in is begun again and again: its mark is there, and its facts have not changed. */
    bool waits = r->begun && run_waits(r);
    r->begun = false;
    r->step_began_ms = clock_mono_ms() - (now - (waits ? json_int(r->facts, "waiting.began", now) : now));
    if (res == 0 && !waits) {
        res = run_journal(r, s, "begin", e);
        begin_phase(r, s);
    }
    if (res == 0 && !waits)
        res = record_save(d, &r->record, e);
    if (res < 0)
        return res;
    r->step_deadline_ms = clock_mono_ms() + step_deadline_ms(s);
    res = later_if_away(r, s, step_run[s](r, e), e);
    if (res == RUN_INTERRUPTED || res == RUN_LATER)
        return res;
    end_phase(r, s, r->step_began_ms, res == STEP_SKIPPED ? "skipped" : res < 0 ? "failed" : "success");
    if (res < 0)
        return res;
    (void)json_object_del(r->facts, "waiting");
    turn_batch(r, s);
    return run_journal(r, s, "done", e);
}

/* The place between two steps where a wish to cancel is heard; from the switch on it is too late. */
static int may_begin(struct run *r, enum step s, struct error *e)
{
    if (run_interrupted(r))
        return RUN_INTERRUPTED;
    bool go = s < STEP_SWITCH ? !deployment_cancelled(r->deployments, r->id)
                              : s > STEP_SWITCH || deployment_commit(r->deployments, r->id);
    return go ? 0 : error_set(e, ERR_CONFLICT, "It was cancelled.");
}

static enum step step_after(const struct run *r, enum step s)
{
    return s == STEP_RETIRE && json_flag(r->facts, "nextBatch", false) ? STEP_CREATE : s + 1;
}

static int go_forward(struct run *r, enum step *state, struct error *e)
{
    while (*state < STEP_COUNT) {
        enum step s = *state;
        int res = may_begin(r, s, e);
        if (res == 0)
            res = run_step(r, s, e);
        if (res < 0)
            return res;
        bool moved = machine_move(state, step_after(r, s));
        assert(moved);
        (void)moved;
    }
    return 0;
}

/* ---- undo ---- */

static const char *end_of(const struct run *r)
{
    bool touched = json_flag(r->facts, "touched", false);
    if (json_flag(r->facts, "cancelled", false))
        return "cancelled";
    return touched && instances_had_old(r) ? "rolled_back" : "failed";
}

/* Tried again, but not for ever: an engine that refuses to remove what is to go must not keep a service deploying. */
static bool undo_is_over(struct run *r, const struct error *failure)
{
    int64_t now = clock_now_ms(), since = json_int(r->facts, "undoSince", now);
    bool away = failure->code == ERR_UNAVAILABLE;
    (void)json_put(r->facts, "undoSince", json_integer(since));
    return now - since >= (away ? UNDO_AWAY_MS : UNDO_TRIES_MS) || now > r->job->deadline_ms;
}

static int undo(struct run *r, struct error *e)
{
    const char *cause = json_str(r->facts, "cause");
    struct error failure = ERROR_INIT;
    (void)json_put(r->record.document, "status.message", json_string(cause));
    r->step_deadline_ms = clock_mono_ms() + step_deadline_ms(STEP_UNDO);
    int res = steps_undo(r, &failure);
    if (res == RUN_INTERRUPTED) {
        error_done(&failure);
        return res;
    }
    if (res < 0) {
        bool over = undo_is_over(r, &failure);
        release_mask(&r->release, failure.message);
        record_log(&r->record, "not cleaned up%s: %s", over ? ", it is left to the next comparison" : " yet",
                   failure.message);
        error_done(&failure);
        res = over ? 0 : run_journal(r, STEP_UNDO, "begin", e);
        if (!over) {
            (void)record_save(r->deployments, &r->record, NULL);
            r->job->again_after_ms = 2000;
            return res < 0 ? res : JOB_AGAIN;
        }
    }
    res = run_journal(r, STEP_UNDO, "undone", e);
    return res == 0 ? finish(r, end_of(r), cause, e) : res;
}

static int fail(struct run *r, enum step *state, struct error *cause, struct error *e)
{
    char by[256];
    bool cancelled = *state <= STEP_SWITCH && deployment_cancelled_by(r->deployments, r->id, by, sizeof by);
    if (cancelled)
        (void)error_set(cause, ERR_CONFLICT, "Cancelled by %s.", by);
    release_mask(&r->release, cause->message); /* it may say what the container said */
    record_log(&r->record, "%s at %s: %s", cancelled ? "cancelled" : "failed", step_name(*state), cause->message);
    (void)json_put(r->facts, "cause", json_string(cause->message));
    (void)json_put(r->facts, "cancelled", json_boolean(cancelled));
    (void)json_put(r->facts, "touched", json_boolean(*state >= STEP_CREATE));
    receipt_end(r);
    int res = run_journal(r, *state, "failed", e);
    if (res < 0)
        return res;
    bool moved = machine_move(state, STEP_UNDO);
    assert(moved);
    (void)moved;
    return undo(r, e);
}

static int run_from(struct run *r, const struct journal_state *journal, struct error *e)
{
    enum step state = journal->next;
    struct error cause = ERROR_INIT;
    int res = journal->undoing ? undo(r, e) : go_forward(r, &state, &cause);
    if (!journal->undoing && res == 0)
        res = finish(
            r, "completed",
            strategy_is_job(r->release.specification) ? "The job ended with status 0." : "The new release serves.", e);
    else if (!journal->undoing && res < 0 && res != RUN_INTERRUPTED && res != RUN_LATER)
        res = fail(r, &state, &cause, e);
    error_done(&cause);
    return res == RUN_INTERRUPTED || res == RUN_LATER ? JOB_AGAIN : res;
}

/* A deployment that cannot be worked on any more ends here, so that it blocks no later one. */
static void give_up(struct run *r, const char *cause)
{
    struct error e = ERROR_INIT;
    if (r->record.document && r->service_id && finish(r, "failed", cause, &e) < 0)
        log_error("The end of deployment %s was not recorded: %s", r->id, e.message);
    error_done(&e);
}

/* What failed below is the record itself (a full disk, a locked database): the journal has all that is needed to
 * try again, until the deadline. What is gone does not come back; whose job was taken over leaves it alone. */
static int later_or_never(struct run *r, int res, const struct error *e)
{
    if (run_interrupted(r) || (res != -ERR_NOT_FOUND && clock_now_ms() < r->job->deadline_ms)) {
        log_warn("Deployment %s goes on later: %s", r->id, e->message);
        return JOB_AGAIN;
    }
    give_up(r, e->message);
    return res;
}

int deployment_run(void *ctx, struct job *job, struct error *e)
{
    struct journal_state journal = { 0 };
    _cleanup_(
        run_done) struct run r = { .deployments = ctx, .job = job, .id = json_str(job->arguments, "deploymentId") };
    int res = load(&r, &journal, e);
    if (res == 0 && record_final(r.record.document)) {
        queue_leave(r.deployments, r.service_id, r.id);
        return JOB_DONE;
    }
    if (res == 0)
        res = run_from(&r, &journal, e);
    return res < 0 ? later_or_never(&r, res, e) : res;
}
