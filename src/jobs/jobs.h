/* The job engine: work that outlives a request, as rows. A job is taken by a lease, which is renewed while it
 * works; when a hub dies, the lease ends and the job is run again, from any point: a kind's function must
 * find its own half-done work normal. Kinds are registered by their rooms.
 * Ownership: one a hub; borrows the store. Thread-safe. Functions run on the engine's own threads. */
#ifndef HB_JOBS_H
#define HB_JOBS_H

#include "base/error.h"
#include "store/store.h"

struct jobs;
struct job {
    char id[37];
    json_t *arguments; /* borrowed by the function */
    int attempt;       /* 1 the first time */
    int64_t deadline_ms;
    const _Atomic bool *stopping; /* the hub ends, or the lease was lost to another: return JOB_AGAIN soon */
};
enum { JOB_DONE = 0, JOB_AGAIN = 1 }; /* AGAIN: wanted again after a pause that grows with the attempts */

struct job_kind {
    const char *name;
    /* JOB_DONE, JOB_AGAIN, or negative with `e`: failed for good. */
    int (*run)(void *ctx, struct job *job, struct error *e);
    void *ctx;
};

#define JOB_KINDS_MAX 32
/* `sole_owner`: no other engine works on this database (the hub's lock on its data says so), so whoever holds a lease
 * is dead, and its jobs run again at once. Otherwise they do when their leases have ended, after 30 s. */
int jobs_open(struct store *store, unsigned workers, bool sole_owner, struct jobs **ret, struct error *e);
int jobs_register(struct jobs *j, const struct job_kind *kind, struct error *e); /* before jobs_start */
int jobs_start(struct jobs *j, struct error *e);
void jobs_close(struct jobs *j); /* tells running jobs to stop, waits for them */
/* ERR_* of the store; the kind is looked up when the job is run. Wakes a worker. */
int jobs_add(struct jobs *j, const char *kind, json_t *arguments, int64_t deadline_ms, char ret_id[37],
             struct error *e);

#endif
