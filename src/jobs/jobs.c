#define LOG_ROOM "jobs"
#include "jobs/jobs.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define WORKERS_MAX 32
#define LEASE_MS 30000
#define RENEW_MS 10000
#define POLL_MS 1000
#define PAUSE_MAX_MS 60000
#define TIDY_MS ((int64_t)3600 * 1000)
#define KEPT_MS ((int64_t)30 * 86400 * 1000) /* ended jobs */

struct worker {
    struct jobs *jobs;
    pthread_t thread;
    char job_id[ID_LEN + 1]; /* "" idle; under jobs->lock */
    _Atomic bool stopping;   /* what its job sees */
};

struct jobs {
    struct store *store;
    struct job_kind kinds[JOB_KINDS_MAX];
    size_t kind_count;
    struct worker workers[WORKERS_MAX];
    unsigned worker_count, started;
    pthread_t keeper;
    bool keeping;
    char owner[ID_LEN + 1];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned calls; /* how often workers were woken; under lock */
    _Atomic bool stop;
};

static unsigned calls_so_far(struct jobs *j)
{
    (void)pthread_mutex_lock(&j->lock);
    unsigned n = j->calls;
    (void)pthread_mutex_unlock(&j->lock);
    return n;
}

/* Until the time is over, or there was a call since `seen`: one that came before the wait is not lost. */
static void wait_ms(struct jobs *j, int64_t ms, unsigned seen)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&j->lock);
    while (!j->stop && j->calls == seen)
        if (pthread_cond_timedwait(&j->wake, &j->lock, &until) == ETIMEDOUT)
            break;
    (void)pthread_mutex_unlock(&j->lock);
}

static void wake_all(struct jobs *j)
{
    (void)pthread_mutex_lock(&j->lock);
    j->calls++;
    (void)pthread_cond_broadcast(&j->wake);
    (void)pthread_mutex_unlock(&j->lock);
}

/* ---- taking a job ---- */

struct taken {
    struct job job;
    char kind[51];
};

static int find_due(struct store_conn *c, int64_t now, struct taken *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(c, e, &rows,
                    "SELECT id, kind, arguments, attempt, deadline_at FROM jobs "
                    "WHERE (state = 'waiting' AND next_run_at <= $1) OR (state = 'running' AND lease_expires_at < $2) "
                    "ORDER BY next_run_at LIMIT 1",
                    "ii", now, now);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    str_copy(ret->job.id, sizeof ret->job.id, rows_text(rows, 0));
    str_copy(ret->kind, sizeof ret->kind, rows_text(rows, 1));
    ret->job.arguments = rows_json(rows, 2);
    ret->job.attempt = (int)rows_int(rows, 3) + 1;
    ret->job.deadline_ms = rows_int(rows, 4);
    return 1;
}

static bool any_due(struct jobs *j, int64_t now)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    struct taken t = { 0 };
    bool any = store_acquire(j->store, STORE_READ, &c, NULL) == 0 && find_due(c, now, &t, NULL) == 1;
    json_decref(t.job.arguments);
    return any;
}

/* 1 taken, 0 nothing is due. The look by a reader first keeps an idle hub from writing. */
static int take(struct jobs *j, struct taken *ret, struct error *e)
{
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *c = NULL;
    if (!any_due(j, now))
        return 0;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = find_due(c, now, ret, e);
    if (r != 1)
        return r;
    r = store_exec(c, e,
                   "UPDATE jobs SET state = 'running', lease_owner = $1, lease_expires_at = $2, attempt = attempt + 1, "
                   "updated_at = $3 WHERE id = $4",
                   "tiit", j->owner, now + LEASE_MS, now, ret->job.id);
    if (r == 0)
        r = store_commit(c, e);
    if (r < 0) {
        json_decref(ret->job.arguments);
        ret->job.arguments = NULL;
    }
    return r == 0 ? 1 : r;
}

static int finish(struct jobs *j, const char *id, const char *state, int64_t next_run, const char *reason,
                  struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "UPDATE jobs SET state = $1, next_run_at = $2, reason = $3, lease_owner = NULL, lease_expires_at = NULL, "
            "updated_at = $4 WHERE id = $5 AND lease_owner = $6",
            "tititt", state, next_run, reason, clock_now_ms(), id, j->owner);
    return r == 0 ? store_commit(c, e) : r;
}

static const struct job_kind *kind_of(const struct jobs *j, const char *name)
{
    for (size_t i = 0; i < j->kind_count; i++)
        if (str_eq(j->kinds[i].name, name))
            return &j->kinds[i];
    return NULL;
}

static int64_t pause_after(int attempt)
{
    int64_t pause = 500;
    uint8_t jitter;
    for (int i = 1; i < attempt && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    random_bytes(&jitter, 1);
    return (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS) * (192 + jitter / 2) / 256;
}

static int run(struct worker *w, struct taken *t, struct error *e)
{
    const struct job_kind *kind = kind_of(w->jobs, t->kind);
    if (!kind)
        return error_set(e, ERR_INTERNAL, "This hbcloud knows no jobs of kind %s.", t->kind);
    t->job.stopping = &w->stopping;
    int r = kind->run(kind->ctx, &t->job, e);
    if (r == JOB_AGAIN && clock_now_ms() > t->job.deadline_ms && !w->stopping)
        return error_set(e, ERR_TIMEOUT, "The job's deadline has passed.");
    return r;
}

/* When to run a job that wants to be again: at once in the next hub when this one ends. */
static int64_t next_run(const struct worker *w, const struct taken *t)
{
    return clock_now_ms() + (w->stopping ? 0 : pause_after(t->job.attempt));
}

static void work_on(struct worker *w, struct taken *t)
{
    struct error e = ERROR_INIT, write = ERROR_INIT;
    int r = run(w, t, &e);
    if (r < 0)
        log_error("Job %s of kind %s failed: %s", t->job.id, t->kind, e.message);
    const char *state = r == JOB_DONE ? "done" : r == JOB_AGAIN ? "waiting" : "failed";
    int64_t at = r == JOB_AGAIN ? next_run(w, t) : clock_now_ms();
    if (finish(w->jobs, t->job.id, state, at, r < 0 ? e.message : NULL, &write) < 0)
        log_error("The end of job %s was not recorded: %s", t->job.id, write.message);
    error_done(&e);
    error_done(&write);
}

/* ---- threads ---- */

static void set_busy(struct worker *w, const char *id)
{
    (void)pthread_mutex_lock(&w->jobs->lock);
    str_copy(w->job_id, sizeof w->job_id, id);
    w->stopping = w->jobs->stop;
    (void)pthread_mutex_unlock(&w->jobs->lock);
}

/* True when there was one. */
static bool work_once(struct worker *w)
{
    struct taken t = { 0 };
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = take(w->jobs, &t, &e);
    if (r < 0)
        log_warn("No job was taken: %s", e.message);
    if (r != 1)
        return false;
    log_context(t.job.id);
    set_busy(w, t.job.id);
    work_on(w, &t);
    set_busy(w, "");
    log_context(NULL);
    json_decref(t.job.arguments);
    return true;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    while (!w->jobs->stop) {
        unsigned seen = calls_so_far(w->jobs);
        if (!work_once(w))
            wait_ms(w->jobs, POLL_MS, seen);
    }
    return NULL;
}

/* The lease is another's now: the job must not go on here. */
static void tell_lost(struct jobs *j, const char *id)
{
    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->worker_count; i++)
        if (str_eq(j->workers[i].job_id, id)) {
            j->workers[i].stopping = true;
            log_warn("Job %s was taken over by another hub.", id);
        }
    (void)pthread_mutex_unlock(&j->lock);
}

static size_t busy_ids(struct jobs *j, char ids[][ID_LEN + 1])
{
    size_t n = 0;
    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->worker_count; i++)
        if (j->workers[i].job_id[0])
            memcpy(ids[n++], j->workers[i].job_id, ID_LEN + 1);
    (void)pthread_mutex_unlock(&j->lock);
    return n;
}

static int renew(struct jobs *j, struct error *e)
{
    char ids[WORKERS_MAX][ID_LEN + 1];
    bool lost[WORKERS_MAX] = { false };
    size_t n = busy_ids(j, ids);
    if (!n)
        return 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = store_exec(c, e, "UPDATE jobs SET lease_expires_at = $1 WHERE id = $2 AND lease_owner = $3", "itt",
                       clock_now_ms() + LEASE_MS, ids[i], j->owner);
        lost[i] = r == 0 && store_changed(c) == 0;
    }
    if (r == 0)
        r = store_commit(c, e);
    /* A job that ended meanwhile has lost its lease as well; no worker has its id any more. */
    for (size_t i = 0; r == 0 && i < n; i++)
        if (lost[i])
            tell_lost(j, ids[i]);
    return r;
}

static int forget_ended(struct jobs *j, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM jobs WHERE state IN ('done', 'failed') AND updated_at < $1", "i",
                       clock_now_ms() - KEPT_MS);
    return r == 0 ? store_commit(c, e) : r;
}

/* Renews leases, and now and then forgets jobs that ended long ago. */
static void *keep_up(void *arg)
{
    struct jobs *j = arg;
    int64_t renewed = clock_mono_ms(), tidied = renewed;
    while (!j->stop) {
        _cleanup_error_ struct error e = ERROR_INIT;
        wait_ms(j, RENEW_MS / 10, calls_so_far(j));
        int64_t now = clock_mono_ms();
        if (now - renewed >= RENEW_MS) {
            renewed = now;
            if (renew(j, &e) < 0)
                log_warn("Leases were not renewed: %s", e.message);
        }
        if (now - tidied >= TIDY_MS) {
            tidied = now;
            if (forget_ended(j, &e) < 0)
                log_warn("Ended jobs were not deleted: %s", e.message);
        }
    }
    return NULL;
}

/* ---- the engine ---- */

static int free_leases(struct jobs *j, struct error *e)
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

static void wake_init(pthread_cond_t *c)
{
    pthread_condattr_t a;
    (void)pthread_condattr_init(&a);
    (void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &a);
    (void)pthread_condattr_destroy(&a);
}

int jobs_open(struct store *store, unsigned workers, bool sole_owner, struct jobs **ret, struct error *e)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (!j)
        return error_set(e, ERR_INTERNAL, "No memory.");
    j->store = store;
    j->worker_count = workers < 1 ? 1 : workers > WORKERS_MAX ? WORKERS_MAX : workers;
    (void)id_new(j->owner);
    (void)pthread_mutex_init(&j->lock, NULL);
    wake_init(&j->wake);
    int r = sole_owner ? free_leases(j, e) : 0;
    if (r == 0)
        r = forget_ended(j, e);
    if (r < 0) {
        jobs_close(j);
        return r;
    }
    *ret = j;
    return 0;
}

int jobs_register(struct jobs *j, const struct job_kind *kind, struct error *e)
{
    if (j->kind_count == JOB_KINDS_MAX)
        return error_set(e, ERR_INTERNAL, "Too many kinds of jobs.");
    j->kinds[j->kind_count++] = *kind;
    return 0;
}

int jobs_start(struct jobs *j, struct error *e)
{
    for (; j->started < j->worker_count; j->started++) {
        struct worker *w = &j->workers[j->started];
        w->jobs = j;
        if (pthread_create(&w->thread, NULL, work, w) != 0)
            return error_set(e, ERR_INTERNAL, "Cannot start a thread.");
    }
    if (pthread_create(&j->keeper, NULL, keep_up, j) != 0)
        return error_set(e, ERR_INTERNAL, "Cannot start a thread.");
    j->keeping = true;
    return 0;
}

void jobs_close(struct jobs *j)
{
    if (!j)
        return;
    (void)pthread_mutex_lock(&j->lock);
    j->stop = true;
    for (unsigned i = 0; i < j->worker_count; i++)
        j->workers[i].stopping = true;
    (void)pthread_mutex_unlock(&j->lock);
    wake_all(j);
    for (unsigned i = 0; i < j->started; i++)
        (void)pthread_join(j->workers[i].thread, NULL);
    if (j->keeping)
        (void)pthread_join(j->keeper, NULL);
    (void)pthread_cond_destroy(&j->wake);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}

int jobs_add(struct jobs *j, const char *kind, json_t *arguments, int64_t deadline_ms, char ret_id[37], struct error *e)
{
    char id[ID_LEN + 1];
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO jobs (id, kind, arguments, state, next_run_at, deadline_at, created_at, updated_at) "
            "VALUES ($1, $2, $3, 'waiting', $4, $5, $6, $7)",
            "ttjiiii", id_new(id), kind, arguments, now, deadline_ms, now, now);
    if (r == 0)
        r = store_commit(c, e);
    if (r < 0)
        return r;
    memcpy(ret_id, id, sizeof id);
    wake_all(j);
    return 0;
}
