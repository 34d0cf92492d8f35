#define LOG_ROOM "jobs"
#include "jobs/internal.h"

#include "base/log.h"

#include <errno.h>
#include <time.h>

#define POLL_MS 1000
#define PAUSE_MAX_MS 60000
#define FORGET_KIND "forget-ended-jobs"

static unsigned calls_so_far(struct jobs *j)
{
    (void)pthread_mutex_lock(&j->lock);
    unsigned n = j->calls;
    (void)pthread_mutex_unlock(&j->lock);
    return n;
}

/* Until the time is over, or there was a call since `seen`: one that came before the wait is not lost. The wait itself
 * is by the system's clock; what is due is decided by ours, at each turn. */
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

void jobs_wake(struct jobs *j)
{
    (void)pthread_mutex_lock(&j->lock);
    j->calls++;
    (void)pthread_cond_broadcast(&j->wake);
    (void)pthread_mutex_unlock(&j->lock);
}

const struct job_kind *job_kind_of(const struct jobs *j, const char *name)
{
    for (size_t i = 0; i < j->kind_count; i++)
        if (str_eq(j->kinds[i].name, name))
            return &j->kinds[i];
    return NULL;
}

bool job_is_here(struct jobs *j, const char *id)
{
    bool here = false;
    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->worker_count; i++)
        here = here || str_eq(j->workers[i].job_id, id);
    (void)pthread_mutex_unlock(&j->lock);
    return here;
}

bool job_kind_enter(struct jobs *j, const char *name)
{
    const struct job_kind *k = job_kind_of(j, name);
    if (!k)
        return true;
    (void)pthread_mutex_lock(&j->lock);
    int *running = &j->kinds_running[k - j->kinds];
    bool place = !k->max_parallel || *running < k->max_parallel;
    *running += place;
    (void)pthread_mutex_unlock(&j->lock);
    return place;
}

void job_kind_leave(struct jobs *j, const char *name)
{
    const struct job_kind *k = job_kind_of(j, name);
    (void)pthread_mutex_lock(&j->lock);
    if (k)
        j->kinds_running[k - j->kinds]--;
    (void)pthread_mutex_unlock(&j->lock);
}

void jobs_flag(struct jobs *j, const char *id, int64_t fence, bool cancelled)
{
    (void)pthread_mutex_lock(&j->lock);
    for (unsigned i = 0; i < j->worker_count; i++) {
        struct worker *w = &j->workers[i];
        if (!str_eq(w->job_id, id) || (fence && w->fence != fence))
            continue;
        *(cancelled ? &w->cancelled : &w->stopping) = true;
        if (!cancelled)
            log_warn("Job %s was taken over by another hub.", id);
    }
    (void)pthread_mutex_unlock(&j->lock);
}

/* ---- running a job ---- */

static int64_t pause_after(int tries)
{
    int64_t pause = 500;
    uint8_t jitter;
    for (int i = 1; i < tries && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    random_bytes(&jitter, 1);
    return (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS) * (192 + jitter / 2) / 256;
}

static int run(struct worker *w, struct taken *t, const struct job_kind *kind, struct error *e)
{
    if (!kind)
        return error_set(e, ERR_INTERNAL, "This hbcloud knows no jobs of kind %s.", t->kind);
    if (kind->max_attempts && t->tries > kind->max_attempts)
        return error_set(e, ERR_INTERNAL, "The hub ended in the middle of each of %d tries.", kind->max_attempts);
    t->job.stopping = &w->stopping;
    t->job.cancelled = &w->cancelled;
    return kind->run(kind->ctx, &t->job, e);
}

/* Is a job that wants to be run again? Not after its deadline, nor more often than its kind allows; unless it is the hub
 * that ended its try. */
static int bound(const struct worker *w, const struct taken *t, const struct job_kind *kind, struct error *e)
{
    char last[400];
    if (w->stopping)
        return JOB_AGAIN;
    str_copy(last, sizeof last, e->message[0] ? e->message : "It did not come to its end.");
    if (clock_now_ms() > t->job.deadline_ms)
        return error_set(e, ERR_TIMEOUT, "The job's deadline has passed. %s", last);
    if (kind->max_attempts && t->tries >= kind->max_attempts)
        return error_set(e, ERR_INTERNAL, "It was tried %d times. %s", t->tries, last);
    return JOB_AGAIN;
}

static struct row_end end_of(const struct worker *w, const struct taken *t, int r, const struct error *e)
{
    int64_t now = clock_now_ms(), pause = t->job.again_after_ms ? t->job.again_after_ms : pause_after(t->tries);
    const char *reason = e->message[0] ? e->message : NULL;
    if (r != JOB_DONE && w->cancelled && !w->stopping)
        return (struct row_end){ .state = "cancelled", .reason = reason ? reason : "Cancelled.", .next_run_ms = now };
    if (r == JOB_AGAIN) /* at once in the next hub when this one ends */
        return (struct row_end){ .state = "waiting",
                                 .reason = reason,
                                 .next_run_ms = now + (w->stopping ? 0 : pause),
                                 .interrupted = w->stopping };
    return (struct row_end){ .state = r == JOB_DONE ? "done" : "failed",
                             .reason = r < 0 ? reason : NULL,
                             .next_run_ms = now };
}

static void work_on(struct worker *w, struct taken *t)
{
    struct error e = ERROR_INIT, write = ERROR_INIT;
    const struct job_kind *kind = job_kind_of(w->jobs, t->kind);
    job_tell(w->jobs, "job.updated", t->job.id);
    int r = run(w, t, kind, &e);
    if (r == JOB_AGAIN)
        r = bound(w, t, kind, &e);
    struct row_end end = end_of(w, t, r, &e);
    if (r < 0 && !str_eq(end.state, "cancelled"))
        log_error("Job %s of kind %s failed: %s", t->job.id, t->kind, e.message);
    if (row_finish(w->jobs, &t->job, &end, &write) < 0)
        log_error("The end of job %s was not recorded: %s", t->job.id, write.message);
    else
        job_tell(w->jobs, "job.updated", t->job.id);
    error_done(&e);
    error_done(&write);
}

/* ---- threads ---- */

static void set_busy(struct worker *w, const struct taken *t)
{
    (void)pthread_mutex_lock(&w->jobs->lock);
    str_copy(w->job_id, sizeof w->job_id, t ? t->job.id : "");
    w->fence = t ? t->job.fence : 0;
    w->stopping = w->jobs->stop;
    w->cancelled = t && t->cancel_requested;
    (void)pthread_mutex_unlock(&w->jobs->lock);
}

/* True when there was one. */
static bool work_once(struct worker *w)
{
    struct taken t = { 0 };
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = row_take(w->jobs, &t, &e);
    if (r < 0)
        log_warn("No job was taken: %s", e.message);
    if (r != 1)
        return false;
    log_context(t.job.id);
    set_busy(w, &t);
    work_on(w, &t);
    set_busy(w, NULL);
    job_kind_leave(w->jobs, t.kind);
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

/* Renews leases and makes the jobs of schedules. */
static void *keep_up(void *arg)
{
    struct jobs *j = arg;
    int64_t renewed = clock_mono_ms();
    while (!j->stop) {
        _cleanup_error_ struct error e = ERROR_INIT;
        int64_t now = clock_mono_ms();
        if (now - renewed >= RENEW_MS) {
            renewed = now;
            if (rows_renew(j, &e) < 0)
                log_warn("Leases were not renewed: %s", e.message);
        }
        if (schedules_tick(j, &e) < 0)
            log_warn("Schedules were not looked at: %s", e.message);
        wait_ms(j, POLL_MS, calls_so_far(j));
    }
    return NULL;
}

/* ---- the engine ---- */

static void wake_init(pthread_cond_t *c)
{
    pthread_condattr_t a;
    (void)pthread_condattr_init(&a);
    (void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &a);
    (void)pthread_condattr_destroy(&a);
}

static int run_forget(void *ctx, struct job *job UNUSED, struct error *e)
{
    return rows_forget_ended(ctx, e) < 0 ? JOB_AGAIN : JOB_DONE;
}

/* The engine's own housekeeping is a job as any other. */
static int schedule_forgetting(struct jobs *j, struct error *e)
{
    struct job_kind kind = {
        .name = FORGET_KIND, .run = run_forget, .ctx = j, .title = "Forget jobs that ended long ago", .max_attempts = 5
    };
    int r = jobs_register(j, &kind, e);
    return r < 0 ? r
                 : jobs_schedule(
                       j, &(struct job_schedule){ .name = FORGET_KIND, .kind = FORGET_KIND, .cron = "23 * * * *" }, e);
}

int jobs_open(struct store *store, unsigned workers, bool sole_owner, struct jobs **ret, struct error *e)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (!j)
        return error_set(e, ERR_INTERNAL, "No memory.");
    j->store = store;
    j->sole_owner = sole_owner;
    j->worker_count = workers < 1 ? 1 : workers > WORKERS_MAX ? WORKERS_MAX : workers;
    (void)id_new(j->owner);
    (void)pthread_mutex_init(&j->lock, NULL);
    wake_init(&j->wake);
    int r = sole_owner ? rows_free_leases(j, e) : 0;
    if (r == 0)
        r = rows_forget_ended(j, e);
    if (r == 0)
        r = schedule_forgetting(j, e);
    if (r < 0) {
        jobs_close(j);
        return r;
    }
    *ret = j;
    return 0;
}

void jobs_set_events(struct jobs *j, struct events *events)
{
    j->events = events;
}

int jobs_register(struct jobs *j, const struct job_kind *kind, struct error *e)
{
    if (j->kind_count == JOB_KINDS_MAX)
        return error_set(e, ERR_INTERNAL, "Too many kinds of jobs.");
    if (job_kind_of(j, kind->name))
        return error_set(e, ERR_INTERNAL, "Jobs of kind %s are registered twice.", kind->name);
    j->kinds[j->kind_count++] = *kind;
    return 0;
}

int jobs_start(struct jobs *j, struct error *e)
{
    int r = schedules_start(j, e);
    if (r < 0)
        return r;
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

void jobs_stop(struct jobs *j)
{
    if (!j)
        return;
    (void)pthread_mutex_lock(&j->lock);
    j->stop = true;
    for (unsigned i = 0; i < j->worker_count; i++)
        j->workers[i].stopping = true;
    (void)pthread_mutex_unlock(&j->lock);
    jobs_wake(j);
    for (unsigned i = 0; i < j->started; i++)
        (void)pthread_join(j->workers[i].thread, NULL);
    if (j->keeping)
        (void)pthread_join(j->keeper, NULL);
    j->started = 0;
    j->keeping = false;
}

void jobs_close(struct jobs *j)
{
    if (!j)
        return;
    jobs_stop(j);
    (void)pthread_cond_destroy(&j->wake);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}
