#define LOG_ROOM "deployment"
#include "deployment/internal.h"

#include "base/log.h"

/* Runs one deployment from where its journal says: a mark before each step and after it. */

static void run_done(struct run *r)
{
    record_done(&r->record);
    release_done(&r->release);
    json_decref(r->facts);
    json_decref(r->service);
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
    res = release_load(d, r->record.release_id, &r->release, e);
    if (res == 0)
        res = runtime_service(d->runtime, r->service_id, &x, e);
    if (res == 0)
        res = image_name_parse(json_str(r->release.specification, "container.image"),
                               json_str(r->release.specification, "container.tag"), &r->image, e);
    if (res == 0)
        r->service = entity_document(x);
    return res == 0 && !r->service ? error_set(e, ERR_INTERNAL, "No memory.") : res;
}

static void begin_phase(struct run *r, enum step s)
{
    json_t *doc = r->record.document;
    (void)json_put(doc, "status.state", json_string(step_state(s)));
    (void)json_put(doc, "status.step", json_string(step_name(s)));
    (void)json_put(doc, "status.progress", json_real(step_progress(s)));
    (void)json_object_del(json_at(doc, "status"), "message");
}

static void end_phase(struct run *r, enum step s, int64_t began, const char *status)
{
    json_t *phase = json_pack("{s:s, s:I, s:s}", "name", step_name(s), "duration",
                              (json_int_t)(clock_mono_ms() - began), "status", status);
    (void)json_array_append_new(json_at(r->record.document, "timing.phases"), phase);
}

static void end_record(struct run *r, const char *state, const char *message)
{
    char at[TIME_TEXT_LEN + 1];
    json_t *doc = r->record.document;
    int64_t now = clock_now_ms();
    (void)json_put(doc, "status.state", json_string(state));
    (void)json_put(doc, "status.step", json_null());
    /* A failed one stays at the step that it came to. */
    if (str_eq(state, "completed"))
        (void)json_put(doc, "status.progress", json_integer(100));
    (void)json_put(doc, "status.message", json_string(message));
    (void)json_put(doc, "timing.completedAt", json_string(time_format(now, at)));
    (void)json_put(doc, "timing.duration", json_integer(now - r->record.started_ms));
}

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

static int finish(struct run *r, const char *state, const char *message, struct error *e)
{
    struct deployments *d = r->deployments;
    struct ending ending = { r, message };
    struct error refresh = ERROR_INIT;
    int res = 0;
    if (!str_eq(state, "completed")) {
        res = runtime_service_change(d->runtime, r->service_id, settle_failed, &ending, NULL, e);
        if (res == -ERR_NOT_FOUND)
            res = 0;
        else if (runtime_refresh_service(d->runtime, r->service_id, &refresh) < 0)
            log_debug("After the deployment the service was not read again: %s", refresh.message);
        error_done(&refresh);
    }
    if (str_eq(state, "completed") && r->engine)
        releases_keep(d, r->service_id, r->name, r->engine);
    end_record(r, state, message);
    if (res == 0)
        res = record_save(d, &r->record, e);
    if (res < 0)
        return res;
    record_forget_live(d, r->id);
    queue_leave(d, r->service_id, r->id);
    return 0;
}

/* ---- forward ---- */

static int run_step(struct run *r, enum step s, struct error *e)
{
    struct deployments *d = r->deployments;
    int64_t began = clock_mono_ms();
    int res = journal_write(d, r->id, step_name(s), "begin", r->facts, e);
    begin_phase(r, s);
    if (res == 0)
        res = record_save(d, &r->record, e);
    if (res < 0)
        return res;
    r->step_deadline_ms = began + step_deadline_ms(s);
    if (s == STEP_SWITCH && !json_at(r->facts, "before"))
        (void)json_put(r->facts, "before", json_deep_copy(r->service));
    if (s == STEP_SWITCH)
        (void)json_put(r->facts, "switched", json_true());
    /* What must be undone is on record before it is done. */
    if (s == STEP_SWITCH)
        res = journal_write(d, r->id, step_name(s), "begin", r->facts, e);
    if (res == 0)
        res = step_run[s](r, e);
    if (res == RUN_INTERRUPTED)
        return res;
    end_phase(r, s, began, res == STEP_SKIPPED ? "skipped" : res < 0 ? "failed" : "success");
    return res < 0 ? res : journal_write(d, r->id, step_name(s), "done", r->facts, e);
}

/* From the switch on it is too late: then the new release serves. */
static int check_cancelled(struct run *r, enum step s, struct error *e)
{
    struct deployments *d = r->deployments;
    bool cancelled = s == STEP_SWITCH ? !deployment_commit(d, r->id) : s < STEP_SWITCH && run_cancelled(r);
    return cancelled ? error_set(e, ERR_CONFLICT, "The deployment was cancelled.") : 0;
}

static int go_forward(struct run *r, enum step *state, struct error *e)
{
    while (*state < STEP_COUNT) {
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        enum step s = *state;
        int res = check_cancelled(r, s, e);
        if (res == 0)
            res = run_step(r, s, e);
        if (res < 0)
            return res;
        bool moved = machine_move(state, s + 1);
        assert(moved);
        (void)moved;
    }
    return 0;
}

/* ---- undo ---- */

static int undo(struct run *r, struct error *e)
{
    const char *cause = json_str(r->facts, "cause");
    bool switched = json_flag(r->facts, "switched", false);
    struct error failure = ERROR_INIT;
    (void)json_put(r->record.document, "status.message", json_string(cause));
    if (steps_undo(r, &failure) < 0) {
        /* The engine may be away: tried again, until the job's deadline. */
        bool for_good = clock_now_ms() > r->job->deadline_ms;
        release_mask(&r->release, failure.message);
        record_log(&r->record, "not cleaned up%s: %s", for_good ? "" : " yet", failure.message);
        error_done(&failure);
        if (!for_good)
            return record_save(r->deployments, &r->record, e) < 0 ? -1 : JOB_AGAIN;
    }
    error_done(&failure);
    int res = journal_write(r->deployments, r->id, "undo", "undone", r->facts, e);
    bool cancelled = json_flag(r->facts, "cancelled", false);
    return res == 0 ? finish(r, cancelled ? "cancelled" : switched ? "rolled_back" : "failed", cause, e) : res;
}

static int fail(struct run *r, enum step *state, struct error *cause, struct error *e)
{
    release_mask(&r->release, cause->message); /* it may say what the container said */
    char by[256];
    if (deployment_cancelled_by(r->deployments, r->id, by, sizeof by)) {
        (void)error_set(cause, ERR_CONFLICT, "Cancelled by %s.", by);
        (void)json_put(r->facts, "cancelled", json_true());
    }
    record_log(&r->record, "failed at %s: %s", step_name(*state), cause->message);
    (void)json_put(r->facts, "cause", json_string(cause->message));
    int res = journal_write(r->deployments, r->id, step_name(*state), "failed", r->facts, e);
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
    int res = runtime_engine(r->deployments->runtime, json_str(r->service, "nodeId"), &r->engine, &cause);
    if (journal->undoing)
        res = undo(r, e);
    else if (res == 0)
        res = go_forward(r, &state, &cause);
    if (!journal->undoing && res == 0)
        res = finish(r, "completed", "The new release serves.", e);
    else if (!journal->undoing && res < 0 && res != RUN_INTERRUPTED)
        res = fail(r, &state, &cause, e);
    error_done(&cause);
    return res == RUN_INTERRUPTED ? JOB_AGAIN : res;
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
 * try again, until the deadline. What is gone does not come back. */
static int later_or_never(struct run *r, int res, const struct error *e)
{
    if (res != -ERR_NOT_FOUND && clock_now_ms() < r->job->deadline_ms) {
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
    if (res == 0 && record_final(r.record.document))
        return JOB_DONE;
    if (res == 0)
        res = run_from(&r, &journal, e);
    return res < 0 ? later_or_never(&r, res, e) : res;
}
