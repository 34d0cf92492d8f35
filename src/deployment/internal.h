/* What the files of deployment share. Internal to the room. */
#ifndef HB_DEPLOYMENT_INTERNAL_H
#define HB_DEPLOYMENT_INTERNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "deployment/deployments.h"
#include "deployment/machine.h"
#include "runtime/image_name.h"

#include <pthread.h>

#define ENVIRONMENT_MASK "********"
#define LOG_LINES_MAX 500

struct deployments {
    struct store *store;
    struct events *events;
    struct runtime *runtime;
    struct jobs *jobs;
    struct vault *vault;
    pthread_mutex_t lock;
    struct map *active; /* service instance id -> deployment id (owned text): one at a time a service */
    struct map *live;   /* deployment id -> struct blob: the newest document of those under way */
    pthread_mutex_t request_lock; /* one POST or PATCH is planned at a time */
};

/* A release: what to run, whole. Specification without the environment's values; those are secrets. */
struct release {
    char id[ID_LEN + 1];
    int number;
    json_t *specification; /* as ServiceDeploymentRequest; environment values masked */
    json_t *environment;   /* object key -> value: secrets */
};
void release_done(struct release *r);
/* release.c */
/* Splits a full request into a release. */
int release_from_request(const json_t *request, struct release *ret, struct error *e);
/* Stars in place of the environment's values (their lines of 6 bytes or more) in what a container or an engine said. */
void release_mask(const struct release *r, char *text);
json_t *release_request(const struct release *r); /* whole again, with secrets; new reference */
int release_store(struct deployments *d, const char *service_id, struct release *r, struct error *e);
int release_load(struct deployments *d, const char *release_id, struct release *ret, struct error *e);
/* The one that serves, else the newest; ERR_NOT_FOUND when there is none. */
int release_current(struct deployments *d, const char *service_id, struct release *ret, struct error *e);
int release_mark_serving(struct deployments *d, const char *release_id, const char *digest, struct error *e);

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
void record_publish(struct deployments *d, struct record *r); /* memory and event only */
void record_log(struct record *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
void record_forget_live(struct deployments *d, const char *id);
bool record_final(const json_t *document);
/* journal.c */
int journal_write(struct deployments *d, const char *deployment_id, const char *step, const char *mark,
                  const json_t *facts, struct error *e);
struct journal_state {
    enum step next; /* the step to run (again) */
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
    json_t *service; /* the service's document when the run began */
    const char *id, *service_id, *name;
    struct container_engine *engine;
    struct image_name image;
    int64_t step_deadline_ms; /* monotonic */
};
/* steps.c: each 0, negative with `e`, or STEP_SKIPPED */
#define STEP_SKIPPED 1
#define RUN_INTERRUPTED (-1000) /* the hub is stopping: the job is run again */
extern int (*const step_run[STEP_COUNT])(struct run *r, struct error *e);
int steps_undo(struct run *r, struct error *e); /* all compensations, in reverse; each may be run again */
bool run_interrupted(const struct run *r);
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

#endif
