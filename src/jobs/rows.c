#define LOG_ROOM "jobs"
#include "jobs/internal.h"

#include "base/log.h"

#define DUE_MAX 1000 /* rows looked at for one whose kind has a place */

static void read_due(struct store_rows *rows, struct taken *ret)
{
    str_copy(ret->job.id, sizeof ret->job.id, rows_text(rows, 0));
    str_copy(ret->kind, sizeof ret->kind, rows_text(rows, 1));
    ret->job.arguments = rows_json(rows, 2);
    ret->job.attempt = (int)rows_int(rows, 3) + 1;
    ret->job.deadline_ms = rows_int(rows, 4);
    ret->job.fence = rows_int(rows, 5) + 1;
    ret->tries = ret->job.attempt - (int)rows_int(rows, 6);
    ret->cancel_requested = !rows_null(rows, 7);
}

/* The job that has been due for longest, of those whose kind has a place; with that place. */
static int find_due(struct jobs *j, struct store_conn *c, int64_t now, struct taken *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(
        c, e, &rows,
        "SELECT id, kind, arguments, attempt, deadline_at, fence, interrupted, cancel_requested_at, state FROM jobs "
        "WHERE (state = 'waiting' AND next_run_at <= $1) OR (state = 'running' AND lease_expires_at < $2) "
        "ORDER BY next_run_at LIMIT $3",
        "iii", now, now, (int64_t)DUE_MAX);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        /* After the machine slept our own leases have ended, too, and are renewed in a moment. */
        bool ours = str_eq(rows_text(rows, 8), "running") && job_is_here(j, rows_text(rows, 0));
        if (!ours && job_kind_enter(j, rows_text(rows, 1))) {
            read_due(rows, ret);
            return 1;
        }
        r = 0;
    }
    return r;
}

static void let_go(struct jobs *j, struct taken *t)
{
    job_kind_leave(j, t->kind);
    json_decref(t->job.arguments);
    t->job.arguments = NULL;
}

static bool any_due(struct jobs *j, int64_t now)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    struct taken t = { 0 };
    bool any = store_acquire(j->store, STORE_READ, &c, NULL) == 0 && find_due(j, c, now, &t, NULL) == 1;
    if (any)
        let_go(j, &t);
    return any;
}

/* The look by a reader first keeps an idle hub from writing. */
int row_take(struct jobs *j, struct taken *ret, struct error *e)
{
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *c = NULL;
    if (!any_due(j, now))
        return 0;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = find_due(j, c, now, ret, e);
    if (r != 1)
        return r;
    r = store_exec(c, e,
                   "UPDATE jobs SET state = 'running', lease_owner = $1, lease_expires_at = $2, attempt = attempt + 1, "
                   "fence = $3, started_at = COALESCE(started_at, $4), updated_at = $4 WHERE id = $5 AND fence = $6",
                   "tiiiti", j->owner, now + LEASE_MS, ret->job.fence, now, ret->job.id, ret->job.fence - 1);
    bool lost = r == 0 && store_changed(c) == 0;
    if (r == 0 && !lost)
        r = store_commit(c, e);
    if (r < 0 || lost)
        let_go(j, ret);
    return r < 0 ? r : !lost;
}

int row_finish(struct jobs *j, const struct job *job, const struct row_end *end, struct error *e)
{
    int64_t now = clock_now_ms();
    bool over = !str_eq(end->state, "waiting");
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "UPDATE jobs SET state = $1, next_run_at = $2, reason = $3, interrupted = interrupted + $4, "
            "lease_owner = NULL, lease_expires_at = NULL, updated_at = $5, "
            "ended_at = CASE WHEN $6 = 1 THEN $5 END WHERE id = $7 AND fence = $8 AND lease_owner = $9 AND state = "
            "'running'",
            "titiiitit", end->state, end->next_run_ms, end->reason, (int64_t)end->interrupted, now, (int64_t)over,
            job->id, job->fence, j->owner);
    if (r == 0 && store_changed(c) == 0)
        return error_set(e, ERR_CONFLICT, "Another hub has taken the job over.");
    return r == 0 ? store_commit(c, e) : r;
}

/* A write, not a look: the row stays locked until the caller's transaction ends, whatever the database. */
int jobs_fence_check(struct store_conn *c, const struct job *job, struct error *e)
{
    int r = store_exec(c, e, "UPDATE jobs SET updated_at = $1 WHERE id = $2 AND fence = $3 AND state = 'running'",
                       "iti", clock_now_ms(), job->id, job->fence);
    if (r == 0 && store_changed(c) == 0)
        r = error_set(e, ERR_CONFLICT, "Another hub has taken the job %s over; nothing was written.", job->id);
    return r;
}

/* ---- leases ---- */

struct held {
    char id[ID_LEN + 1];
    int64_t fence;
    bool lost, cancelled;
};

static size_t busy_jobs(struct jobs *j, struct held *ret)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->worker_count; i++)
        if (j->workers[i].job_id[0]) {
            ret[n] = (struct held){ .fence = j->workers[i].fence };
            memcpy(ret[n++].id, j->workers[i].job_id, ID_LEN + 1);
        }
    (void)pthread_mutex_unlock(&j->lock);
    return n;
}

/* A cancel that another hub was asked for is seen here. */
static int read_cancelled(struct store_conn *c, struct held *h, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(c, e, &rows, "SELECT 1 FROM jobs WHERE id = $1 AND cancel_requested_at IS NOT NULL", "t", h->id);
    if (r == 0 && (r = rows_next(rows, e)) == 1)
        h->cancelled = true;
    return r < 0 ? r : 0;
}

static int renew_one(struct jobs *j, struct store_conn *c, struct held *h, struct error *e)
{
    int r = store_exec(
        c, e,
        "UPDATE jobs SET lease_expires_at = $1 WHERE id = $2 AND lease_owner = $3 AND fence = $4 AND state = 'running'",
        "itti", clock_now_ms() + LEASE_MS, h->id, j->owner, h->fence);
    h->lost = r == 0 && store_changed(c) == 0;
    return r == 0 && !h->lost ? read_cancelled(c, h, e) : r;
}

int rows_renew(struct jobs *j, struct error *e)
{
    struct held held[WORKERS_MAX];
    size_t n = busy_jobs(j, held);
    if (!n)
        return 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = renew_one(j, c, &held[i], e);
    if (r == 0)
        r = store_commit(c, e);
    /* A job that ended meanwhile has lost its lease as well; no worker has that taking of it any more. */
    for (size_t i = 0; r == 0 && i < n; i++)
        if (held[i].lost || held[i].cancelled)
            jobs_flag(j, held[i].id, held[i].fence, !held[i].lost);
    return r;
}

int rows_free_leases(struct jobs *j, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "UPDATE jobs SET state = 'waiting', lease_owner = NULL, lease_expires_at = NULL WHERE state = 'running'",
            "");
    return r == 0 ? store_commit(c, e) : r;
}

int rows_forget_ended(struct jobs *j, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND updated_at < $1", "i",
                       clock_now_ms() - KEPT_MS);
    if (r == 0)
        r = store_exec(
            c, e,
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state IN ('done', 'failed', 'cancelled') "
            "ORDER BY updated_at DESC LIMIT 100000 OFFSET $1)",
            "i", (int64_t)JOBS_ENDED_MAX);
    return r == 0 ? store_commit(c, e) : r;
}

/* ---- making ---- */

int row_insert(struct store_conn *c, const char *kind, const json_t *arguments, int64_t run_at_ms, int64_t deadline_ms,
               const char *schedule, char ret_id[ID_LEN + 1], struct error *e)
{
    char id[ID_LEN + 1];
    int64_t now = clock_now_ms();
    int r = store_exec(c, e,
                       "INSERT INTO jobs (id, kind, arguments, state, next_run_at, deadline_at, schedule, created_at, "
                       "updated_at) VALUES ($1, $2, $3, 'waiting', $4, $5, $6, $7, $8)",
                       "ttjiitii", id_new(id), kind, arguments, run_at_ms ? run_at_ms : now, deadline_ms, schedule, now,
                       now);
    if (r == 0)
        memcpy(ret_id, id, sizeof id);
    return r;
}

static int64_t deadline_of(const struct jobs *j, const char *kind, int64_t given)
{
    const struct job_kind *k = job_kind_of(j, kind);
    return given ? given : clock_now_ms() + (k && k->deadline_ms ? k->deadline_ms : DEADLINE_MS);
}

int jobs_add_in(struct jobs *j, struct store_conn *c, const char *kind, const json_t *arguments, int64_t deadline_ms,
                int64_t run_at_ms, char ret_id[37], struct error *e)
{
    return row_insert(c, kind, arguments, run_at_ms, deadline_of(j, kind, deadline_ms), NULL, ret_id, e);
}

int jobs_add(struct jobs *j, const char *kind, json_t *arguments, int64_t deadline_ms, char ret_id[37], struct error *e)
{
    char id[ID_LEN + 1];
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = jobs_add_in(j, c, kind, arguments, deadline_ms, 0, id, e);
    if (r == 0)
        r = store_commit(c, e);
    if (r < 0)
        return r;
    memcpy(ret_id, id, sizeof id);
    store_release(TAKE(c));
    jobs_added(j, id);
    return 0;
}

void jobs_added(struct jobs *j, const char *id)
{
    jobs_wake(j);
    job_tell(j, "job.created", id);
}

/* ---- cancel, and again ---- */

struct found {
    char kind[51], state[20];
    int64_t created_ms, deadline_ms;
};

static int find(struct store_conn *c, const char *id, struct found *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, "SELECT kind, state, created_at, deadline_at FROM jobs WHERE id = $1", "t", id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no job %.64s (any more).", id);
    if (r < 0)
        return r;
    str_copy(ret->kind, sizeof ret->kind, rows_text(rows, 0));
    str_copy(ret->state, sizeof ret->state, rows_text(rows, 1));
    ret->created_ms = rows_int(rows, 2);
    ret->deadline_ms = rows_int(rows, 3);
    return 0;
}

static int check_kind(const struct jobs *j, const struct found *f, struct error *e)
{
    const struct job_kind *k = job_kind_of(j, f->kind);
    return k && k->instead ? error_set(e, ERR_CONFLICT, "%s", k->instead) : 0;
}

/* A job that has never run, or waits to run again, ends here; a running one when its function returns. A waiting job of
 * an earlier try may have left something half done: it is run once more, as cancelled, to put that in order. */
static int request_cancel(struct store_conn *c, const char *id, int64_t now, struct error *e)
{
    int r = store_exec(c, e,
                       "UPDATE jobs SET state = 'cancelled', cancel_requested_at = $1, ended_at = $1, updated_at = $1, "
                       "reason = 'Cancelled before it ran.' WHERE id = $2 AND state = 'waiting' AND attempt = 0",
                       "it", now, id);
    if (r < 0 || store_changed(c) > 0)
        return r;
    return store_exec(c, e,
                      "UPDATE jobs SET cancel_requested_at = COALESCE(cancel_requested_at, $1), updated_at = $1, "
                      "next_run_at = CASE WHEN state = 'waiting' THEN $1 ELSE next_run_at END WHERE id = $2",
                      "it", now, id);
}

int jobs_cancel(struct jobs *j, const char *id, struct error *e)
{
    struct found f;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = find(c, id, &f, e);
    if (r == 0)
        r = check_kind(j, &f, e);
    if (r == 0 && !str_eq(f.state, "waiting") && !str_eq(f.state, "running"))
        r = error_set(e, ERR_CONFLICT, "The job has ended already: it is %s.", f.state);
    if (r == 0)
        r = request_cancel(c, id, clock_now_ms(), e);
    if (r == 0)
        r = store_commit(c, e);
    if (r < 0)
        return r;
    store_release(TAKE(c));
    jobs_flag(j, id, 0, true);
    jobs_wake(j);
    job_tell(j, "job.updated", id);
    return 0;
}

int jobs_retry(struct jobs *j, const char *id, struct error *e)
{
    struct found f;
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = find(c, id, &f, e);
    if (r == 0)
        r = check_kind(j, &f, e);
    if (r == 0 && !str_eq(f.state, "failed") && !str_eq(f.state, "cancelled"))
        r = error_set(e, ERR_CONFLICT, "Only a job that failed or was cancelled is tried again; this one is %s.",
                      f.state);
    if (r == 0)
        r = store_exec(c, e,
                       "UPDATE jobs SET state = 'waiting', next_run_at = $1, deadline_at = $2, interrupted = attempt, "
                       "cancel_requested_at = NULL, ended_at = NULL, reason = NULL, updated_at = $1 WHERE id = $3",
                       "iit", now, now + (f.deadline_ms - f.created_ms), id);
    if (r == 0)
        r = store_commit(c, e);
    if (r < 0)
        return r;
    store_release(TAKE(c));
    jobs_wake(j);
    job_tell(j, "job.updated", id);
    return 0;
}
