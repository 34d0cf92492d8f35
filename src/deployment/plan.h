/* From a request to what is to be deployed: what POST, PATCH, a rollback and other rooms' changes share, and the plan
 * that only tells. Internal to the room. Ownership: `plan_done`. One thread. */
#ifndef HB_DEPLOYMENT_PLAN_H
#define HB_DEPLOYMENT_PLAN_H

#include "deployment/internal.h"

struct plan {
    struct deployments *deployments;
    json_t *request;             /* the whole wanted service, with secrets */
    struct image_name image;
    struct release release, old; /* old: what runs when its turn has come, as far as is known */
    bool has_old;
    struct entity *service;      /* NULL: to be made */
    char node[ID_LEN + 1];
    const char *trigger, *initiated_by, *pipeline; /* borrowed of the request */
    const json_t *git;
    bool admin;                  /* fields that need the role are allowed */
    const char *reason;          /* borrowed; NULL: none is told */
    bool only_missing;
    int rollback_to;             /* the earlier release's number; 0: no rollback */
    char deployment_id[ID_LEN + 1];
};
void plan_done(struct plan *p);

/* plan.c */
/* The first instance of the service that an id or a name means: it stands for all of them. */
int deployment_service(struct deployments *d, const char *service, struct entity **ret, struct error *e);
/* Each leaves in `p` what is to be deployed, and has changed nothing. The plan begins zeroed but for deployments, admin
 * and the origin. */
int plan_create(struct plan *p, const json_t *body, struct error *e);
/* `whole`: the patch is all of the service. */
int plan_change(struct plan *p, const char *service, const json_t *patch, bool whole, struct error *e);
/* `number` 0: the one that served before the current one. */
int plan_rollback(struct plan *p, const char *service, int number, struct error *e);
/* Release, record, queue, job: in this order, so that a hub that dies between leaves nothing that works on its own. */
int plan_begin(struct plan *p, struct error *e);

/* rules.c: what a schema cannot say. ERR_VALIDATION, or ERR_FORBIDDEN where the role admin is needed, each with the
 * field. `old` is the specification that the service has (NULL none): what it has already may stay. */
int rules_check(struct deployments *d, const json_t *request, const json_t *old, bool admin, struct error *e);

/* plan_answer.c */
void plan_answer(struct plan *p, struct reply *rp);
/* For stop, start and delete: `action` of the contract. */
int plan_answer_action(struct deployments *d, const char *action, const struct entity *service, struct reply *rp,
                       struct error *e);

/* strategy.c: how the release takes the old one's place, and why. `old` may be NULL. Static texts and `ret_reason`. */
const char *strategy_of(const json_t *specification, const json_t *old, char *ret_reason, size_t size);
/* The first port with a host port of the owner's own choice: one container of a node can have it. NULL none. */
const json_t *strategy_fixed_port(const json_t *specification);

/* rollback.c: whether a release can be deployed again; 0, ERR_CONFLICT with the reason, or ERR_UNAVAILABLE. With
 * `engine` the image is asked for there and, unless it is there, in its registry; `ret_image` gets the reference. */
int release_possible(struct deployments *d, const struct release *r, const char *digest, bool served,
                     struct container_engine *engine, char *ret_image, size_t size, struct error *e);
/* release.c: whether each secret's version that it names is still there; ERR_NOT_FOUND names the one that is not. */
int release_secrets_there(struct deployments *d, const struct release *r, struct error *e);
/* registry_ask.c: 1 the registry has the manifest, 0 it has not, negative: it is not known. */
int registry_has(struct deployments *d, const struct image_name *image, struct error *e);

#endif
