#define LOG_ROOM "deployment"
#include "deployment/internal.h"

#include "base/log.h"

#include <stdio.h>

/* One deployment of a service runs at a time and one waits: a newer one takes the waiting one's place, which ends
 * `superseded`. Rows alone say what is in the queue; the maps are made from them at start. */

#define JOB_TIME_MS ((int64_t)3 * 3600 * 1000)
#define RESTORED_MAX 4096

static char *get_copy(struct deployments *d, const struct map *m, const char *key)
{
    (void)pthread_mutex_lock(&d->lock);
    const char *found = map_get(m, key);
    char *copy = found ? strdup(found) : NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return copy;
}

/* NULL removes. */
static int put(struct deployments *d, struct map *m, const char *key, const char *value, struct error *e)
{
    char *copy = value ? strdup(value) : NULL;
    int r = value && !copy ? -1 : 0;
    (void)pthread_mutex_lock(&d->lock);
    if (copy)
        r = map_set(m, key, copy);
    else if (!value)
        (void)map_remove(m, key);
    (void)pthread_mutex_unlock(&d->lock);
    if (r < 0)
        free(copy);
    return r < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : 0;
}

static const char *service_of(const struct record *r)
{
    return json_str(r->document, "serviceInstanceId");
}

/* ---- a deployment that ends without having begun ---- */

static int end_waiting(struct deployments *d, const char *id, const char *state, const char *message, struct error *e)
{
    struct record r = { 0 };
    int res = record_load(d, id, &r, e);
    if (res == 0 && !record_final(r.document)) {
        record_end(&r, state, message);
        res = record_save(d, &r, e);
        record_forget_live(d, id);
    }
    record_done(&r);
    return res;
}

static void supersede(struct deployments *d, const char *id, const char *by)
{
    char message[128];
    struct error e = ERROR_INIT;
    (void)snprintf(message, sizeof message, "Deployment %s is newer and took its place.", by);
    if (end_waiting(d, id, "superseded", message, &e) < 0)
        log_warn("Deployment %s was not recorded as superseded: %s", id, e.message);
    error_done(&e);
}

/* ---- beginning ---- */

static int mark_updating(json_t *x, void *ctx UNUSED)
{
    bool first = !json_str(x, "container.id");
    (void)json_put(x, "status.deployment", json_string(first ? "deploying" : "updating"));
    (void)json_put(x, "status.message", json_string("A deployment is under way."));
    return 0;
}

/* Its turn: the service says so, and the job does the rest. */
static int begin(struct deployments *d, const char *service_id, const char *id, struct error *e)
{
    char job[ID_LEN + 1];
    _cleanup_json_ json_t *arguments = json_pack("{s:s}", "deploymentId", id);
    int r = put(d, d->active, service_id, id, e);
    if (r == 0)
        r = runtime_service_change(d->runtime, service_id, mark_updating, NULL, NULL, e);
    if (r == 0)
        r = jobs_add(d->jobs, "deployment", arguments, clock_now_ms() + JOB_TIME_MS, job, e);
    if (r < 0)
        (void)put(d, d->active, service_id, NULL, NULL);
    return r;
}

static int wait_for_turn(struct deployments *d, struct record *r, const char *running, struct error *e)
{
    const char *service_id = service_of(r), *id = json_str(r->document, "id");
    char message[128];
    _cleanup_free_ char *older = get_copy(d, d->waiting, service_id);
    (void)snprintf(message, sizeof message, "Waits for the end of deployment %s.", running);
    (void)json_put(r->document, "status.message", json_string(message));
    int res = record_insert(d, r, e);
    if (res == 0)
        res = put(d, d->waiting, service_id, id, e);
    if (res == 0 && older)
        supersede(d, older, id);
    return res;
}

int queue_enter(struct deployments *d, struct record *r, struct error *e)
{
    const char *service_id = service_of(r), *id = json_str(r->document, "id");
    (void)pthread_mutex_lock(&d->queue_lock);
    _cleanup_free_ char *running = get_copy(d, d->active, service_id);
    int res;
    if (running) {
        res = wait_for_turn(d, r, running, e);
    } else {
        res = record_insert(d, r, e);
        if (res == 0 && (res = begin(d, service_id, id, e)) < 0)
            (void)end_waiting(d, id, "failed", e ? e->message : "It could not begin.", NULL);
    }
    (void)pthread_mutex_unlock(&d->queue_lock);
    return res;
}

/* The one that waits; one that cannot begin has failed and blocks nobody. */
static void begin_next(struct deployments *d, const char *service_id)
{
    _cleanup_free_ char *next = get_copy(d, d->waiting, service_id);
    struct error e = ERROR_INIT;
    (void)put(d, d->waiting, service_id, NULL, NULL);
    if (next && begin(d, service_id, next, &e) < 0) {
        log_error("Deployment %s cannot begin: %s", next, e.message);
        (void)end_waiting(d, next, "failed", e.message, NULL);
    }
    error_done(&e);
}

/* What `committed` says of a deployment that has done all its work. */
#define ENDED "ended"

void queue_ending(struct deployments *d, const char *id)
{
    (void)put(d, d->committed, id, ENDED, NULL);
}

bool queue_busy(struct deployments *d, const char *service_id)
{
    (void)pthread_mutex_lock(&d->lock);
    const char *running = map_get(d->active, service_id);
    bool ended = running && str_eq(map_get(d->committed, running), ENDED) && !map_get(d->waiting, service_id);
    (void)pthread_mutex_unlock(&d->lock);
    return running && !ended;
}

bool queue_runs(struct deployments *d, const char *service_id)
{
    (void)pthread_mutex_lock(&d->lock);
    bool runs = map_get(d->active, service_id) != NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return runs;
}

void queue_leave(struct deployments *d, const char *service_id, const char *id)
{
    (void)pthread_mutex_lock(&d->queue_lock);
    _cleanup_free_ char *running = get_copy(d, d->active, service_id);
    _cleanup_free_ char *next = get_copy(d, d->waiting, service_id);
    /* With one behind it the service stays busy: there is no moment in which it may be removed. */
    if (str_eq(running, id) && !next)
        (void)put(d, d->active, service_id, NULL, NULL);
    if (str_eq(running, id) && next)
        begin_next(d, service_id);
    (void)put(d, d->cancels, id, NULL, NULL);
    (void)put(d, d->committed, id, NULL, NULL);
    (void)pthread_mutex_unlock(&d->queue_lock);
}

/* ---- cancelling ---- */

bool deployment_cancelled_by(struct deployments *d, const char *id, char *ret_by, size_t size)
{
    (void)pthread_mutex_lock(&d->lock);
    const char *by = map_get(d->committed, id) ? NULL : map_get(d->cancels, id);
    if (by)
        str_copy(ret_by, size, by);
    (void)pthread_mutex_unlock(&d->lock);
    return by != NULL;
}

bool deployment_cancelled(struct deployments *d, const char *id)
{
    char by[256];
    return deployment_cancelled_by(d, id, by, sizeof by);
}

bool deployment_commit(struct deployments *d, const char *id)
{
    char *mark = strdup("");
    (void)pthread_mutex_lock(&d->lock);
    bool cancelled = map_get(d->cancels, id) != NULL;
    bool kept = !cancelled && mark && map_set(d->committed, id, mark) == 0;
    (void)pthread_mutex_unlock(&d->lock);
    if (!kept)
        free(mark);
    return !cancelled;
}

/* Why it cannot be cancelled any more, from its journal: it may have come to the switch in an earlier hub. */
static int check_not_late(struct deployments *d, const char *id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT SUM(CASE WHEN step IN ('switch', 'verify', 'retire') THEN 1 ELSE 0 END), "
                        "SUM(CASE WHEN mark IN ('failed', 'undone') THEN 1 ELSE 0 END) FROM deployment_journal WHERE "
                        "deployment_id = $1",
                        "t", id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r < 0)
        return r;
    if (rows_int(rows, 1))
        return error_set(e, ERR_CONFLICT, "The deployment has failed already and is being undone.");
    return rows_int(rows, 0) ? error_set(e, ERR_CONFLICT,
                                         "The switch to the new release has begun: it is past cancelling. Roll back "
                                         "when it has ended.")
                             : 0;
}

static int remember_cancel(struct deployments *d, const char *id, const char *by, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(d->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "UPDATE deployment_events SET cancelled_by = $1 WHERE id = $2", "tt", by, id);
    return r == 0 ? store_commit(c, e) : r;
}

static int cancel_running(struct deployments *d, const char *id, const char *by, struct error *e)
{
    char *who = strdup(by);
    int r = who ? check_not_late(d, id, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0) {
        free(who);
        return r;
    }
    (void)pthread_mutex_lock(&d->lock);
    bool late = map_get(d->committed, id) != NULL;
    r = late ? 0 : map_set(d->cancels, id, who);
    (void)pthread_mutex_unlock(&d->lock);
    if (late || r < 0)
        free(who);
    if (late)
        return error_set(
            e, ERR_CONFLICT,
            "The switch to the new release has begun: it is past cancelling. Roll back when it has ended.");
    /* Only what was not refused is remembered: a hub that starts again obeys it. */
    return r < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : remember_cancel(d, id, by, e);
}

static int cancel_locked(struct deployments *d, const char *id, const char *by, struct error *e)
{
    struct record r = { 0 };
    char message[320];
    int res = record_load(d, id, &r, e);
    if (res < 0)
        return res;
    _cleanup_free_ char *waiting = get_copy(d, d->waiting, service_of(&r));
    (void)snprintf(message, sizeof message, "Cancelled by %s before it began.", by);
    if (record_final(r.document))
        res = error_set(e, ERR_CONFLICT, "The deployment has ended: it is %s.", json_str(r.document, "status.state"));
    else if (!*r.release_id) /* ci_show.c: a run of CI, not ours to end */
        res = error_set(e, ERR_CONFLICT, "This event shows a run of CI. Cancel the run where it is run.");
    else if (!str_eq(waiting, id))
        res = cancel_running(d, id, by, e);
    else if ((res = end_waiting(d, id, "cancelled", message, e)) == 0)
        res = put(d, d->waiting, service_of(&r), NULL, e);
    record_done(&r);
    return res;
}

int queue_cancel(struct deployments *d, const char *id, const char *by, struct error *e)
{
    (void)pthread_mutex_lock(&d->queue_lock);
    int r = cancel_locked(d, id, by, e);
    (void)pthread_mutex_unlock(&d->queue_lock);
    return r;
}

/* ---- what an earlier hub left ---- */

struct left {
    char id[ID_LEN + 1], service_id[256], cancelled_by[256];
    bool begun; /* it has a journal or a job */
    bool has_job;
};

static int read_left(struct deployments *d, struct left *list, size_t *n, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT e.id, e.service_instance_id, e.cancelled_by, "
            "(SELECT COUNT(*) FROM deployment_journal j WHERE j.deployment_id = e.id), "
            "(SELECT COUNT(*) FROM jobs j WHERE j.kind = 'deployment' AND j.state IN ('waiting', 'running') "
            "AND j.arguments LIKE '%' || e.id || '%') FROM deployment_events e WHERE e.state IN "
            "('initiated', 'building', 'deploying', 'testing') AND e.release_id <> '' ORDER BY e.id",
            "");
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        r = 0;
        if (*n == RESTORED_MAX)
            break;
        struct left *x = &list[(*n)++];
        str_copy(x->id, sizeof x->id, rows_text(rows, 0));
        str_copy(x->service_id, sizeof x->service_id, rows_text(rows, 1));
        str_copy(x->cancelled_by, sizeof x->cancelled_by, rows_text(rows, 2) ? rows_text(rows, 2) : "");
        x->has_job = rows_int(rows, 4) > 0;
        x->begun = x->has_job || rows_int(rows, 3) > 0;
    }
    return r;
}

/* One that had begun goes on from its journal. */
static int restore_begun(struct deployments *d, const struct left *x, struct error *e)
{
    char job[ID_LEN + 1];
    _cleanup_json_ json_t *arguments = json_pack("{s:s}", "deploymentId", x->id);
    int r = put(d, d->active, x->service_id, x->id, e);
    if (r == 0 && x->cancelled_by[0])
        r = put(d, d->cancels, x->id, x->cancelled_by, e);
    if (r == 0 && !x->has_job)
        r = jobs_add(d->jobs, "deployment", arguments, clock_now_ms() + JOB_TIME_MS, job, e);
    if (r == 0)
        log_info("Deployment %s was left unfinished and goes on.", x->id);
    return r;
}

static int restore_waiting(struct deployments *d, const struct left *x, struct error *e)
{
    _cleanup_free_ char *older = get_copy(d, d->waiting, x->service_id);
    int r = put(d, d->waiting, x->service_id, x->id, e);
    if (r == 0 && older)
        supersede(d, older, x->id);
    return r;
}

static int restore(struct deployments *d, struct left *list, struct error *e)
{
    size_t n = 0;
    int r = read_left(d, list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (list[i].begun)
            r = restore_begun(d, &list[i], e);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (!list[i].begun)
            r = restore_waiting(d, &list[i], e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_free_ char *running = get_copy(d, d->active, list[i].service_id);
        if (!running)
            begin_next(d, list[i].service_id);
    }
    return r;
}

int queue_restore(struct deployments *d, struct error *e)
{
    struct left *list = calloc(RESTORED_MAX, sizeof *list);
    if (!list)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)pthread_mutex_lock(&d->queue_lock);
    int r = restore(d, list, e);
    (void)pthread_mutex_unlock(&d->queue_lock);
    free(list);
    return r;
}
