#include "deployment/steps.h"

#include <stdio.h>

int step_register(struct run *r UNUSED, struct error *e UNUSED)
{
    return STEP_SKIPPED; /* the registry is built in: the service's own record */
}

/* ---- switch, verify, retire ---- */

struct switching {
    struct run *run;
    const struct engine_container *container;
};

static int switch_document(json_t *d, void *ctx)
{
    struct switching *s = ctx;
    struct run *r = s->run;
    char at[TIME_TEXT_LEN + 1];
    apply_release(d, r->release.specification, &r->image);
    (void)json_put(d, "managed", json_true());
    (void)json_put(d, "container.digest", json_string(json_str(r->facts, "digest")));
    runtime_fill_container(d, s->container);
    (void)time_format(clock_now_ms(), at);
    (void)json_put(d, "status.deployment", json_string("running"));
    (void)json_put(d, "status.health", json_string("healthy"));
    (void)json_put(d, "status.lastHealthCheck", json_string(at));
    (void)json_put(d, "status.message", json_null());
    (void)json_put(d, "metadata.deployedAt", json_string(at));
    (void)json_put(d, "metadata.deployedBy", json_string(json_str(r->record.document, "deployment.initiatedBy")));
    return 0;
}

int step_switch(struct run *r, struct error *e)
{
    struct engine_container c = { 0 };
    struct switching s = { r, &c };
    int res = r->engine->ops->inspect(r->engine, new_container(r), &c, e);
    if (res < 0)
        return res;
    res = runtime_service_change(r->deployments->runtime, r->service_id, switch_document, &s, NULL, e);
    if (res == 0)
        res = release_mark_serving(r->deployments, r->release.id, json_str(r->facts, "digest"), e);
    if (res == 0)
        record_log(&r->record, "switched to container %.12s", c.id);
    engine_container_done(&c);
    return res;
}

int step_verify(struct run *r, struct error *e)
{
    char reason[512] = "";
    for (int tries = 0; tries < 5; tries++) {
        int res = step_look(r, reason, sizeof reason, e);
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        if (res < 0)
            return res;
        if (res == 1) {
            (void)json_put(r->record.document, "monitoring.postDeploy.healthVerification", json_true());
            return 0;
        }
        step_pause_ms(CHECK_PAUSE_MS);
    }
    return error_set(e, ERR_CONFLICT, "After the switch the service does not answer: %.400s.", reason);
}

int take_away(struct run *r, const char *id, struct error *e)
{
    int res = r->engine->ops->stop(r->engine, id, STOP_GRACE_S, e);
    if (res == 0 || res == -ERR_NOT_FOUND)
        res = r->engine->ops->remove(r->engine, id, true, e);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

int step_retire(struct run *r, struct error *e)
{
    if (!old_container(r) || str_eq(old_container(r), new_container(r)))
        return STEP_SKIPPED;
    int res = take_away(r, old_container(r), e);
    if (res < 0) {
        release_mask(&r->release, e->message);
        record_log(&r->record, "the old container %.12s stays behind: %s", old_container(r), e->message);
        error_done(e);
        return 0;
    }
    record_log(&r->record, "the old container is gone");
    return 0;
}
