/* What the files of deployment share. Internal to the room. */
#ifndef HB_DEPLOYMENT_INTERNAL_H
#define HB_DEPLOYMENT_INTERNAL_H

#include "base/blob.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "configuration/secrets.h"
#include "deployment/deployments.h"
#include "deployment/machine.h"
#include "gateway/gateway.h"
#include "runtime/image_name.h"

#include <pthread.h>

#define ENVIRONMENT_MASK "********"
#define LOG_LINES_MAX 500
#define REQUEST_LOCKS 64

struct deployments {
    struct store *store;
    struct events *events;
    struct runtime *runtime;
    struct jobs *jobs;
    struct vault *vault;
    struct secrets *secrets; /* NULL: there are none */
    struct gateway *gateway; /* NULL: there is none */
    int releases_kept;
    struct drift *drift;
    int64_t pull_stall_ms;
    deployment_gate gate; /* NULL: none */
    void *gate_ctx;
    pthread_mutex_t lock;
    struct map *active; /* service instance id -> deployment id (owned text): one at a time a service */
    struct map *live;   /* deployment id -> struct blob: the newest document of those under way */
    struct map *waiting; /* service instance id -> deployment id that is the next one (owned text) */
    struct map *cancels; /* deployment id -> who wants it cancelled (owned text) */
    struct map *committed; /* deployment id -> anything: it cannot be cancelled any more */
    /* One request of a service is planned at a time, by its name; taken before queue_lock. Planning asks engines and
     * registries, so one service must not wait for another. */
    pthread_mutex_t request_locks[REQUEST_LOCKS];
    pthread_mutex_t queue_lock; /* one moves the queues at a time; taken before lock */
};

/* A release: what to run, whole. Specification without the environment's values; those are secrets. */
struct release {
    char id[ID_LEN + 1];
    int number;
    json_t *specification; /* as ServiceDeploymentRequest; environment values masked */
    json_t *environment; /* object key -> text (a secret), or {secret, version} */
    json_t *hidden; /* in a run: object name -> text of secrets that are files; for release_mask alone. NULL none */
};
void release_done(struct release *r);
/* release.c */
/* Splits a full request into a release. */
int release_from_request(const json_t *request, struct release *ret, struct error *e);
/* Stars in place of the environment's values (their lines of 6 bytes or more) in what a container or an engine said. */
void release_mask(const struct release *r, char *text);
json_t *release_request(const struct release *r); /* whole again, with secrets; new reference */
/* Gives it its id and number; the secrets' versions that it names are held. */
int release_store(struct deployments *d, const char *service_id, const char *by, struct release *r, struct error *e);
int release_load(struct deployments *d, const char *release_id, struct release *ret, struct error *e);
/* The one that serves, else the newest; ERR_NOT_FOUND when there is none. */
int release_current(struct deployments *d, const char *service_id, struct release *ret, struct error *e);
/* The one that serves; ERR_NOT_FOUND when none ever did. */
int release_serving(struct deployments *d, const char *service_id, struct release *ret, struct error *e);
int release_mark_serving(struct deployments *d, const char *release_id, const char *digest, struct error *e);
/* The one that is to serve after all that is under way: what a change changes. As `release_current`. */
int release_wanted(struct deployments *d, const char *service_id, struct release *ret, struct error *e);
/* The one that will serve when what runs now has ended: of the deployment that runs, else as `release_current`. */
int release_before(struct deployments *d, const char *service_id, struct release *ret, struct error *e);
/* An earlier one by its number; 0: the one that served before the current one. `ret_digest` is what it ran, "" unknown. */
int release_earlier(struct deployments *d, const char *service_id, int number, struct release *ret, char *ret_digest,
                    size_t size, bool *ret_served, struct error *e);
/* The values that name a secret instead of a text get the version that they mean now; files too. ERR_VALIDATION names
 * the field. */
int release_pin_secrets(struct deployments *d, json_t *request, struct error *e);

/* rollback.c: after a switch: the images of the releases that are kept get a tag of our own on the node, those of
 * others lose it. A failure is logged, and tried again after the next. */
void releases_keep(struct deployments *d, const char *service_id, const char *service, struct container_engine *engine);
/* The service is no more; engine NULL: it is away. */
void releases_forget(struct deployments *d, const char *service_id, const char *service,
                     struct container_engine *engine);

/* removal.c: what deployment adds to the operations that runtime has. */
void removal_hooks(struct deployments *d);

/* diff.c: the seed's `changes` between two specifications (old may be NULL). */
json_t *changes_between(const json_t *old, const json_t *new_, const json_t *old_environment,
                        const json_t *new_environment);

/* record.c: the DeploymentEvent and its row */
struct record {
    json_t *document; /* as the API answers it */
    char service_name[256], release_id[ID_LEN + 1];
    int64_t started_ms, published_ms;
};
void record_done(struct record *r);
int record_insert(struct deployments *d, struct record *r, struct error *e);
int record_load(struct deployments *d, const char *id, struct record *ret, struct error *e);
int record_save(struct deployments *d, struct record *r, struct error *e); /* row, memory, event */
/* Writes how and when it ended into the document; record_save is still to be called. */
void record_end(struct record *r, const char *state, const char *message);
void record_publish(struct deployments *d, struct record *r); /* memory and event only */
void record_log(struct record *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
void record_forget_live(struct deployments *d, const char *id);
bool record_final(const json_t *document);
json_t *record_row_document(struct store_rows *rows); /* of RECORD_COLUMNS */
#define RECORD_COLUMNS \
    "id, service_instance_id, service_name, node_id, deployment_config, changes, status, timing, monitoring_impact, git_metadata, release_id, created_at, receipt"
struct blob *record_live(struct deployments *d, const char *id); /* the newest document; NULL: not under way */

/* queue.c: one deployment of a service at a time; one waits, and a newer one takes its place. */
/* Writes the record; the deployment begins at once, or waits. */
int queue_enter(struct deployments *d, struct record *r, struct error *e);
/* It has ended: the one that waits begins. */
void queue_leave(struct deployments *d, const char *service_id, const char *id);
/* Its work is done and its end is about to be told: who hears of it may touch the service at once. */
void queue_ending(struct deployments *d, const char *id);
bool queue_busy(struct deployments *d, const char *service_id); /* one is under way */
bool queue_runs(struct deployments *d, const char *service_id); /* the same until its very end is on record */
int queue_restore(struct deployments *d, struct error *e); /* at start: what an earlier hub left */
/* ERR_CONFLICT with the reason when it is too late. */
int queue_cancel(struct deployments *d, const char *id, const char *by, struct error *e);
/* For the runner. Whether someone wants it cancelled, asked wherever a step waits; and by whom. */
bool deployment_cancelled(struct deployments *d, const char *id);
bool deployment_cancelled_by(struct deployments *d, const char *id, char *ret_by, size_t size);
/* Asked once before the switch: true, and from now on a wish to cancel is refused; false: cancelled. */
bool deployment_commit(struct deployments *d, const char *id);

/* journal.c */
/* Refused with ERR_CONFLICT when another hub has taken the job over since. */
int journal_write(struct deployments *d, const struct job *job, const char *deployment_id, const char *step,
                  const char *mark, const json_t *facts, struct error *e);
struct journal_state {
    enum step next; /* the step to run (again) */
    bool begun; /* its begin is on record */
    bool undoing; /* a step failed: go on undoing */
    json_t *facts; /* newest; an object */
};
int journal_read(struct deployments *d, const char *deployment_id, struct journal_state *ret, struct error *e);

/* What a step works on. */
struct run {
    struct deployments *deployments;
    struct job *job;
    struct record record;
    struct release release;
    json_t *facts; /* journalled; no secrets */
    json_t *service; /* the first instance's document when the run began */
    const char *id, *service_id, *name;
    struct image_name image;
    bool begun; /* the step to run first has its begin on record: one that waits for something begins only once */
    int64_t step_began_ms, step_deadline_ms; /* monotonic; a step that was waited in began before this run */
    int64_t pull_moved, pull_moved_ms; /* the last progress of a pull, and when (monotonic) */
    bool pull_stalled;
    /* receipt.c */
    struct gateway_probe *probe; /* NULL: nothing is measured now */
    enum probe_phase probe_phase;
    int64_t phase_began_ms; /* monotonic */
    struct gateway_figures figures[PROBE_PHASES];
    json_t *points;
};
/* steps.c: each 0, negative with `e`, STEP_SKIPPED or RUN_LATER */
#define STEP_SKIPPED 1
#define RUN_INTERRUPTED (-1000) /* the hub is stopping: the job is run again */
#define RUN_LATER (-1001) /* something is waited for: the job is run again soon, from this step */
extern int (*const step_run[STEP_COUNT])(struct run *r, struct error *e);
bool run_interrupted(const struct run *r);
/* "web-1a2b3c4d", of the second instance "web-1a2b3c4d-2": found again by whoever goes on. */
void container_name(const struct run *r, int64_t ordinal, char *ret, size_t size);
/* undo.c: all compensations, in reverse; each may be run again */
int steps_undo(struct run *r, struct error *e);
/* runner.c */
int deployment_run(void *ctx, struct job *job, struct error *e);
/* service_document.c */
json_t *planned_service(const json_t *request, const char *node_id, const struct image_name *image);
void apply_release(json_t *service, const json_t *specification, const struct image_name *image);
/* handlers */
int deploy_service(void *room, struct request *rq, struct reply *rp, struct error *e);
int update_service(void *room, struct request *rq, struct reply *rp, struct error *e);
int list_deployments(void *room, struct request *rq, struct reply *rp, struct error *e);
int get_deployment(void *room, struct request *rq, struct reply *rp, struct error *e);
int cancel_deployment(void *room, struct request *rq, struct reply *rp, struct error *e);
int list_releases(void *room, struct request *rq, struct reply *rp, struct error *e);
int repair_service(void *room, struct request *rq, struct reply *rp, struct error *e);
int rollback_service(void *room, struct request *rq, struct reply *rp, struct error *e);

#endif
