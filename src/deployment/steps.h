/* What the files of the steps share: each step of a deployment, and what several of them use. Internal to the room. */
#ifndef HB_DEPLOYMENT_STEPS_H
#define HB_DEPLOYMENT_STEPS_H

#include "deployment/internal.h"

#define STOP_GRACE_S 10
#define CHECK_PAUSE_MS 500

/* steps.c */
bool step_late(const struct run *r);
void step_pause_ms(long ms);
void container_name(const struct run *r, char *ret, size_t size);
const char *old_container(const struct run *r); /* NULL: none */
const char *new_container(const struct run *r);

/* steps_prepare.c */
int step_validate(struct run *r, struct error *e);
int step_resolve(struct run *r, struct error *e);
int step_preflight(struct run *r, struct error *e);
int step_pull(struct run *r, struct error *e);
/* steps_container.c */
int step_create(struct run *r, struct error *e);
int step_start(struct run *r, struct error *e);
int step_check(struct run *r, struct error *e);
/* The container that an earlier try of this very deployment made; "" none. ERR_CONFLICT: the name is a stranger's. */
int find_own(struct run *r, char ret_id[65], struct error *e);
/* One look: 1 good, 0 not yet (why in reason), negative: it will never be. */
int step_look(struct run *r, char *reason, size_t size, struct error *e);
/* steps_serve.c */
int step_register(struct run *r, struct error *e);
int step_switch(struct run *r, struct error *e);
int step_verify(struct run *r, struct error *e);
int step_retire(struct run *r, struct error *e);
/* Stops and removes; a container that is gone already is fine. */
int take_away(struct run *r, const char *id, struct error *e);

#endif
