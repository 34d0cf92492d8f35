/* What the files of the steps share: each step of a deployment, and what several of them use. Internal to the room. */
#ifndef HB_DEPLOYMENT_STEPS_H
#define HB_DEPLOYMENT_STEPS_H

#include "deployment/instances.h"
#include "deployment/internal.h"
#include "deployment/receipt.h"
#include "deployment/replacement.h"
#include "gateway/gateway.h"

#define CHECK_PAUSE_MS 500

/* runner.c */
int run_journal(struct run *r, enum step step, const char *mark, struct error *e);

/* steps.c */
bool step_late(const struct run *r);
void step_pause_ms(long ms);
enum strategy run_strategy(const struct run *r);
/* A longer deadline than the table's, for what the owner may choose himself. */
void step_allow_ms(struct run *r, int64_t more_ms);

/* What may take long is waited for without keeping a worker: RUN_LATER, and the job runs again from this step. 0 when this
 * was waited for long enough; negative with `e`. `until` says what, always in the same words; `why` (NULL: none) is told
 * with it the first time. */
int run_later(struct run *r, enum step s, const char *until, const char *why, int64_t most_ms, struct error *e);
bool run_waits(const struct run *r); /* this step was waited in before */

/* Between two looks of whatever waits: 0, RUN_INTERRUPTED, or negative with `e` when someone cancelled. */
int run_may_go_on(struct run *r, struct error *e);

/* run_extras.c */
int run_secrets(struct run *r, struct error *e); /* environment values that name a secret become its text, in memory */
int run_put_secret_files(struct run *r, const char *node, const char *container, struct error *e);
json_t *run_networks(const struct run *r); /* array of {name, aliases, internal}; new reference */
int run_ensure_networks(struct run *r, const char *node, struct error *e);
int run_ensure_volumes(struct run *r, const char *node, struct error *e);

/* steps_prepare.c, preflight.c */
int step_validate(struct run *r, struct error *e);
int step_resolve(struct run *r, struct error *e);
int step_preflight(struct run *r, struct error *e);
int step_pull(struct run *r, struct error *e);
/* Whether an image that is on the node now can run there. */
int preflight_image(struct run *r, const char *node, const struct engine_image *image, struct error *e);
/* steps_container.c */
int step_create(struct run *r, struct error *e);
int step_start(struct run *r, struct error *e);
/* The container that an earlier try of this very deployment made; "" none. ERR_CONFLICT: the name is a stranger's. */
int find_own(struct run *r, const json_t *x, char ret_id[65], struct error *e);
/* steps_check.c */
int step_check(struct run *r, struct error *e);
/* One look: 1 good, 0 not yet (why in reason), negative: it will never be. */
int step_look(struct run *r, const json_t *x, char *reason, size_t size, struct error *e);
int step_alive(struct run *r, struct error *e); /* 0, or negative when a new container has ended */
/* The service's document as it would be with this container; new reference. */
json_t *document_with(const struct run *r, const json_t *x, const struct engine_container *c);
int64_t check_time_ms(const struct run *r);
/* steps_serve.c */
int step_register(struct run *r, struct error *e);
/* What the switch will touch, into the facts: it is on record before anything is done. */
int switch_plan(struct run *r, struct error *e);
int step_switch(struct run *r, struct error *e);
int step_verify(struct run *r, struct error *e);
/* Whether the service is behind a router now or will be after this deployment. */
bool run_routed(const struct run *r);
int run_upstreams(struct run *r, const char *const *list, size_t n, struct error *e);
int run_deregister(struct run *r, const char *registration, struct error *e);
/* steps_retire.c */
int step_retire(struct run *r, struct error *e);
/* Waits until nothing is in flight to these addresses, or the deadline: said in the log and the receipt. */
int run_drain(struct run *r, const char *const *addresses, size_t n, struct error *e);
/* Old ones that must not run beside the new: out of the route, drained, stopped. Journalled before. */
int stop_old_first(struct run *r, struct error *e);
/* Stops and removes; a container that is gone already is fine. */
int take_away(struct run *r, const char *node_id, const char *id, struct error *e);

#endif
