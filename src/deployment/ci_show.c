#include "deployment/ci_internal.h"

#include <stdio.h>

/* A run that a rule maps to a service, as a deployment event: what happens outside is seen beside what happens here. Such
 * an event has no release and no job; only news of the run change it. */

#define PHASES_MAX 64

struct run_row {
    char service[256], environment[21], deployment_id[ID_LEN + 1], pipeline[CI_PIPELINE_SIZE], author[256];
    enum ci_state state;
    char conclusion[24];
    int64_t attempt, began_ms, started_ms, ended_ms;
    json_t *git;
    char commit[65], url[2049];
};

static void copy(char *to, size_t size, const char *text)
{
    str_copy(to, size, text ? text : "");
}

/* 1: to be shown, 0: no rule maps it. */
static int load(struct store_conn *conn, const char *source, const char *id, struct run_row *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(conn, e, &rows,
                    "SELECT service, environment, deployment_id, name, number, author, state, conclusion, attempt, "
                    "began_at, started_at, ended_at, repository, branch, commit_sha, message, url FROM ci_runs WHERE "
                    "source = $1 AND id = $2 AND service IS NOT NULL",
                    "tt", source, id);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    copy(ret->service, sizeof ret->service, rows_text(rows, 0));
    copy(ret->environment, sizeof ret->environment, rows_text(rows, 1));
    copy(ret->deployment_id, sizeof ret->deployment_id, rows_text(rows, 2));
    ci_pipeline(rows_text(rows, 3), rows_int(rows, 4), ret->pipeline);
    copy(ret->author, sizeof ret->author, rows_text(rows, 5));
    ret->state = (enum ci_state)rows_int(rows, 6);
    copy(ret->conclusion, sizeof ret->conclusion, rows_text(rows, 7));
    ret->attempt = rows_int(rows, 8);
    ret->began_ms = rows_int(rows, 9);
    ret->started_ms = rows_int(rows, 10);
    ret->ended_ms = rows_int(rows, 11);
    copy(ret->commit, sizeof ret->commit, rows_text(rows, 14));
    copy(ret->url, sizeof ret->url, rows_text(rows, 16));
    ret->git = json_pack("{s:s, s:s, s:s, s:s, s:s}", "repository", rows_text(rows, 12), "branch",
                         rows_text(rows, 13) ? rows_text(rows, 13) : "", "commit", ret->commit, "commitMessage",
                         rows_text(rows, 15) ? rows_text(rows, 15) : "", "author", ret->author);
    return ret->git ? 1 : error_set(e, ERR_INTERNAL, "No memory.");
}

static const char *phase_status(const char *conclusion)
{
    return str_eq(conclusion, "success")                                    ? "success"
           : str_eq(conclusion, "skipped") || str_eq(conclusion, "neutral") ? "skipped"
                                                                            : "failed";
}

/* The run's jobs that have ended, in order; how many there are in all. */
static int read_phases(struct store_conn *conn, const char *source, const char *id, int64_t attempt, json_t *ret,
                       size_t *ret_all, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    size_t all = 0;
    int r =
        store_query(conn, e, &rows,
                    "SELECT name, conclusion, started_at, ended_at FROM ci_jobs WHERE source = $1 AND run_id = $2 AND "
                    "attempt = $3 ORDER BY ended_at, id",
                    "tti", source, id, attempt);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        char name[65];
        int64_t took = rows_int(rows, 3) - rows_int(rows, 2);
        all++;
        r = 0;
        if (rows_null(rows, 1) || json_array_size(ret) >= PHASES_MAX)
            continue;
        (void)json_array_append_new(
            ret, json_pack("{s:s, s:I, s:s}", "name",
                           ci_cut(rows_text(rows, 0) ? rows_text(rows, 0) : "job", name, sizeof name), "duration",
                           (json_int_t)(took > 0 && rows_int(rows, 2) ? took : 0), "status",
                           phase_status(rows_text(rows, 1))));
    }
    *ret_all = all;
    return r;
}

static const char *state_of(const struct run_row *x)
{
    if (x->state != CI_ENDED)
        return x->state == CI_RUNNING ? "building" : "initiated";
    if (str_eq(x->conclusion, "success") || str_eq(x->conclusion, "neutral"))
        return "completed";
    return str_eq(x->conclusion, "cancelled") || str_eq(x->conclusion, "skipped") ? "cancelled" : "failed";
}

static void write_status(json_t *d, const struct run_row *x, size_t ended, size_t all)
{
    char message[400], at[TIME_TEXT_LEN + 1];
    double progress = x->state == CI_ENDED ? 100 : all ? (double)(ended * 90 / all) : x->state == CI_RUNNING ? 10 : 0;
    (void)snprintf(message, sizeof message, "%s is %s.", x->pipeline,
                   x->state == CI_ENDED     ? x->conclusion
                   : x->state == CI_RUNNING ? "under way"
                                            : "queued");
    (void)json_put(d, "status.state", json_string(state_of(x)));
    (void)json_put(d, "status.progress", json_real(progress));
    (void)json_put(d, "status.message", json_string(message));
    if (x->state == CI_ENDED && x->ended_ms) {
        int64_t began = x->started_ms ? x->started_ms : x->began_ms;
        (void)json_put(d, "timing.completedAt", json_string(time_format(x->ended_ms, at)));
        (void)json_put(d, "timing.duration", json_integer(x->ended_ms > began ? x->ended_ms - began : 0));
    } else { /* also of a run that is run again */
        (void)json_object_del(json_object_get(d, "timing"), "completedAt");
        (void)json_object_del(json_object_get(d, "timing"), "duration");
    }
}

static json_t *new_document(const struct run_row *x, const struct entity *service, const char *trigger)
{
    char at[TIME_TEXT_LEN + 1];
    _cleanup_json_ json_t *document = entity_document(service);
    json_t *d = json_pack(
        "{s:s, s:s, s:s, s:s?, s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:[]}, s:{s:s, s:i, s:[], s:n}, s:{s:s, s:[]}, "
        "s:{s:{s:b, s:{}}, s:{s:b, s:{}, s:[]}}, s:O}",
        "id", x->deployment_id, "serviceInstanceId", service->id, "serviceName", service->name, "nodeId",
        json_str(document, "nodeId"), "deployment", "trigger", trigger, "pipeline", x->pipeline, "initiatedBy",
        *x->author ? x->author : trigger, "environment", x->environment, "changes", "type", "update", "toVersion",
        x->commit, "configChanges", "status", "state", "initiated", "progress", 0, "logs", "step", "timing",
        "startedAt", time_format(x->started_ms ? x->started_ms : x->began_ms, at), "phases", "monitoring", "preDeploy",
        "healthChecks", 0, "performanceBaseline", "postDeploy", "healthVerification", 0, "performanceComparison",
        "alertsTriggered", "git", x->git);
    return d;
}

static int save(struct ci *c, const struct run_row *x, const char *trigger, json_t *phases, size_t all, struct error *e)
{
    struct record record = { 0 };
    _cleanup_entity_ struct entity *service = NULL;
    int r = record_load(c->deployments, x->deployment_id, &record, NULL);
    bool fresh = r == -(int)ERR_NOT_FOUND;
    if (fresh && runtime_service(c->runtime, x->service, &service, NULL) < 0)
        return 0; /* the rule names a service that is not there: the list of runs has it */
    if (fresh) {
        record.document = new_document(x, service, trigger);
        record.started_ms = x->started_ms ? x->started_ms : x->began_ms;
        str_copy(record.service_name, sizeof record.service_name, service->name);
        if (*x->url && record.document)
            record_log(&record, "%s", x->url);
    }
    if (!record.document)
        return error_set(e, ERR_INTERNAL, "The deployment event of %s cannot be made.", x->pipeline);
    write_status(record.document, x, json_array_size(phases), all);
    (void)json_put(record.document, "timing.phases", json_incref(phases));
    r = fresh ? record_insert(c->deployments, &record, e) : record_save(c->deployments, &record, e);
    if (record_final(record.document))
        record_forget_live(c->deployments, x->deployment_id);
    record_done(&record);
    return r;
}

static int show(struct ci *c, const char *source, const char *run_id, struct error *e)
{
    struct run_row x = { .git = NULL };
    const struct ci_source *s = ci_source_named(c, source);
    size_t all = 0;
    _cleanup_json_ json_t *phases = json_array();
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = phases && s ? store_acquire(c->store, STORE_READ, &conn, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = load(conn, source, run_id, &x, e);
    if (r == 1)
        r = read_phases(conn, source, run_id, x.attempt, phases, &all, e);
    store_release(TAKE(conn));
    if (r == 0 && x.git)
        r = save(c, &x, s->ops->trigger, phases, all, e);
    json_decref(x.git);
    return r;
}

int ci_show(struct ci *c, const char *source, const char *run_id, struct error *e)
{
    (void)pthread_mutex_lock(&c->show_lock);
    int r = show(c, source, run_id, e);
    (void)pthread_mutex_unlock(&c->show_lock);
    return r;
}
