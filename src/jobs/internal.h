/* What the files of jobs share. Internal to the room. */
#ifndef HB_JOBS_INTERNAL_H
#define HB_JOBS_INTERNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/str.h"
#include "jobs/jobs.h"

#include <pthread.h>

#define WORKERS_MAX 32
#define LEASE_MS 30000
#define RENEW_MS 10000
#define DEADLINE_MS ((int64_t)3600 * 1000)
#define KEPT_MS ((int64_t)30 * 86400 * 1000) /* ended jobs */

struct worker {
    struct jobs *jobs;
    pthread_t thread;
    char job_id[ID_LEN + 1]; /* "" idle; under jobs->lock */
    int64_t fence;           /* of that job; under jobs->lock */
    _Atomic bool stopping, cancelled; /* what its job sees */
};

struct jobs {
    struct store *store;
    struct events *events; /* may be NULL */
    struct job_kind kinds[JOB_KINDS_MAX];
    int kinds_running[JOB_KINDS_MAX]; /* of each kind; under lock */
    size_t kind_count;
    char schedules[JOB_SCHEDULES_MAX][101]; /* names that were registered */
    size_t schedule_count;
    struct worker workers[WORKERS_MAX];
    unsigned worker_count, started;
    pthread_t keeper;
    bool keeping, sole_owner;
    char owner[ID_LEN + 1];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned calls; /* how often workers were woken; under lock */
    _Atomic bool stop;
};

/* jobs.c */
const struct job_kind *job_kind_of(const struct jobs *j, const char *name); /* NULL: none */
/* A place for one more job of the kind, as its max_parallel has it. A kind that is not known has one. */
bool job_kind_enter(struct jobs *j, const char *name);
void job_kind_leave(struct jobs *j, const char *name);
bool job_is_here(struct jobs *j, const char *id); /* a worker of ours has it */
void jobs_wake(struct jobs *j);
/* Sets the flag of the worker that has this job (and, unless fence is 0, this taking of it). */
void jobs_flag(struct jobs *j, const char *id, int64_t fence, bool cancelled);

/* rows.c: what the database is told and asked */
struct taken {
    struct job job;
    char kind[51];
    int tries; /* that count against max_attempts, this one included */
    bool cancel_requested;
};
/* 1 taken, with a place of its kind (job_kind_leave at its end), 0 nothing is due. */
int row_take(struct jobs *j, struct taken *ret, struct error *e);
struct row_end {
    const char *state, *reason; /* NULL: none */
    int64_t next_run_ms;
    bool interrupted; /* the hub's doing: the try does not count */
};
/* ERR_CONFLICT: another has it now. */
int row_finish(struct jobs *j, const struct job *job, const struct row_end *end, struct error *e);
int rows_renew(struct jobs *j, struct error *e);
int rows_forget_ended(struct jobs *j, struct error *e);
int rows_free_leases(struct jobs *j, struct error *e);
int row_insert(struct store_conn *c, const char *kind, const json_t *arguments, int64_t run_at_ms, int64_t deadline_ms,
               const char *schedule, char ret_id[ID_LEN + 1], struct error *e);

/* documents.c */
#define JOB_COLUMNS                                                                                               \
    "id, kind, arguments, state, attempt, interrupted, next_run_at, deadline_at, cancel_requested_at, schedule, " \
    "reason, created_at, started_at, ended_at, lease_owner, lease_expires_at"
void job_write(struct jobs *j, struct jw *w, struct store_rows *rows); /* of a row of JOB_COLUMNS */
void job_tell(struct jobs *j, const char *type, const char *id);       /* the row as it is now, as an event */

/* schedules.c */
int schedules_start(struct jobs *j, struct error *e); /* forgets those that nobody registers any more */
int schedules_tick(struct jobs *j, struct error *e);  /* makes the jobs that are due */
int list_schedules(void *room, struct request *rq, struct reply *rp, struct error *e);

#endif
