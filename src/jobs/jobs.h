/* The job engine: work that outlives a request, as rows. A job is taken by a lease, which is renewed while it
 * works; when a hub dies, the lease ends and the job is run again, from any point: a kind's function must
 * find its own half-done work normal. Each taking has a fencing token; what a job writes of its progress goes through
 * jobs_fence_check, so that a hub which lost its lease cannot write any more. Kinds are registered by their rooms.
 * Ownership: one a hub; borrows the store. Thread-safe. Functions run on the engine's own threads. Times are wall ms. */
#ifndef HB_JOBS_H
#define HB_JOBS_H

#include "base/error.h"
#include "http/api.h"
#include "http/events.h"
#include "store/store.h"

struct jobs;
struct job {
    char id[37];
    json_t *arguments; /* borrowed by the function; never a secret: they are shown */
    int attempt;       /* 1 the first time */
    int64_t deadline_ms;
    const _Atomic bool *stopping; /* the hub ends, or the lease was lost to another: return JOB_AGAIN soon */
    int64_t fence;     /* rises with each taking */
    const _Atomic bool *cancelled; /* somebody wants it ended: undo what is half done, return anything but DONE */
    int64_t again_after_ms; /* out, with JOB_AGAIN: this pause instead of the growing one; 0: the growing one */
};
/* AGAIN: wanted again after a pause that grows with the attempts, until kind's max_attempts or the job's deadline; an
 * error in `e` is then kept as the reason. */
enum { JOB_DONE = 0, JOB_AGAIN = 1 };

struct job_kind {
    const char *name;
    /* JOB_DONE, JOB_AGAIN, or negative with `e`: failed for good. */
    int (*run)(void *ctx, struct job *job, struct error *e);
    void *ctx;
    const char *title;   /* for people: "Deploy a service"; NULL: the name */
    int max_attempts;    /* tries that ended by themselves or with their hub; 0: as many as the deadline allows */
    int64_t deadline_ms; /* from its making, for jobs made without one; 0: 1 h */
    int max_parallel;    /* at once in one hub, so that long work leaves workers to others; 0: as many as there are */
    const char
        *instead; /* a sentence: how such a job is cancelled and tried again, when not as a job; NULL: as a job */
};

#define JOB_KINDS_MAX 32
#define JOB_SCHEDULES_MAX 64
#define JOBS_ENDED_MAX 20000 /* ended jobs that are kept, for at most 30 days */
/* `sole_owner`: no other engine works on this database (the hub's lock on its data says so), so whoever holds a lease
 * is dead, and its jobs run again at once. Otherwise they do when their leases have ended, after 30 s. */
int jobs_open(struct store *store, unsigned workers, bool sole_owner, struct jobs **ret, struct error *e);
void jobs_set_events(struct jobs *j, struct events *events); /* job.created, job.updated; before jobs_start */
int jobs_register(struct jobs *j, const struct job_kind *kind, struct error *e); /* before jobs_start */
int jobs_start(struct jobs *j, struct error *e);
void jobs_stop(
    struct jobs *j);  /* tells running jobs to stop, waits for them; what is added then waits for the next hub */
void jobs_close(struct jobs *j); /* when nobody adds any more */

/* ERR_* of the store; the kind is looked up when the job is run. Wakes a worker. deadline_ms 0: the kind's. */
int jobs_add(struct jobs *j, const char *kind, json_t *arguments, int64_t deadline_ms, char ret_id[37],
             struct error *e);
/* The same within the caller's write transaction, to be run at `run_at_ms` (0: now); jobs_added after its commit. */
int jobs_add_in(struct jobs *j, struct store_conn *c, const char *kind, const json_t *arguments, int64_t deadline_ms,
                int64_t run_at_ms, char ret_id[37], struct error *e);
void jobs_added(struct jobs *j, const char *id);

/* Within the caller's write transaction: ERR_CONFLICT when this taking of the job is not the last one. */
int jobs_fence_check(struct store_conn *c, const struct job *job, struct error *e);
/* A waiting job ends now; a running one is told. ERR_NOT_FOUND; ERR_CONFLICT when it has ended, or by its kind. */
int jobs_cancel(struct jobs *j, const char *id, struct error *e);
/* A failed or cancelled job runs again, now, with as long a deadline as it had. ERR_NOT_FOUND, ERR_CONFLICT. */
int jobs_retry(struct jobs *j, const char *id, struct error *e);

/* The contract's Job, as it is now. ERR_NOT_FOUND. */
int jobs_document(struct jobs *j, const char *id, struct jw *w, struct error *e);

/* A schedule makes a job of its kind at each of its times: once, whatever number of hubs there is; one at a time (a
 * time that comes while the job before it is under way is skipped); once for all the times that were missed. */
struct job_schedule {
    const char *name, *kind;
    const char *cron;      /* five fields; NULL: `every_ms` */
    int64_t every_ms;      /* at least 1 s */
    const char *time_zone; /* IANA; NULL: UTC */
    const json_t *arguments; /* NULL: {} */
};
/* Before jobs_start; a definition that changed counts from now. ERR_VALIDATION. */
int jobs_schedule(struct jobs *j, const struct job_schedule *s, struct error *e);

extern const struct api_operation job_operations[];
extern const size_t job_operation_count;

#endif
