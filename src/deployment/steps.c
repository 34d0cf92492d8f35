#include "deployment/steps.h"

#include <stdio.h>
#include <time.h>

/* What each step does is in steps_prepare.c, steps_container.c and steps_serve.c. Every step may find its own
 * half-done work: names and labels are made from the deployment's id, so a container that a killed hub left is
 * found again and used. */

bool run_interrupted(const struct run *r)
{
    return *r->job->stopping;
}

bool run_cancelled(const struct run *r)
{
    return deployment_cancelled(r->deployments, r->id);
}

bool step_late(const struct run *r)
{
    return clock_mono_ms() > r->step_deadline_ms;
}

void step_pause_ms(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&ts, NULL);
}

void container_name(const struct run *r, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s-%s", r->name, r->id + ID_LEN - 8);
}

const char *old_container(const struct run *r)
{
    return json_str(r->facts, "oldContainer");
}

const char *new_container(const struct run *r)
{
    return json_str(r->facts, "container");
}

int (*const step_run[STEP_COUNT])(struct run *r, struct error *e) = {
    [STEP_VALIDATE] = step_validate,   [STEP_RESOLVE] = step_resolve,
    [STEP_PREFLIGHT] = step_preflight, [STEP_PULL] = step_pull,
    [STEP_CREATE] = step_create,       [STEP_START] = step_start,
    [STEP_CHECK] = step_check,         [STEP_REGISTER] = step_register,
    [STEP_SWITCH] = step_switch,  [STEP_VERIFY] = step_verify,
    [STEP_RETIRE] = step_retire,
};
/* ---- compensation ---- */

static int restore_document(json_t *d, void *ctx)
{
    const struct run *r = ctx;
    const char *keep[] = { "container",   "networking", "monitoring", "labels",
                           "environment", "type",       "managed",    "metadata" };
    const json_t *before = json_at(r->facts, "before");
    for (size_t i = 0; i < ARRAY_LEN(keep); i++)
        if (json_object_get(before, keep[i]))
            (void)json_object_set_new(d, keep[i], json_deep_copy(json_object_get(before, keep[i])));
    return 0;
}

static int start_old_again(struct run *r, struct error *e)
{
    if (!old_container(r) || !json_flag(r->facts, "stopOldFirst", false))
        return 0;
    int res = r->engine->ops->start(r->engine, old_container(r), e);
    if (res == 0)
        record_log(&r->record, "the old container runs again");
    return res;
}

int steps_undo(struct run *r, struct error *e)
{
    char own[65] = "";
    int res = 0;
    if (r->engine)
        res = find_own(r, own, e);
    /* A stranger that has our name is not ours to remove. */
    if (res == -ERR_CONFLICT)
        res = 0, error_done(e);
    if (res == 0 && json_flag(r->facts, "switched", false))
        res = runtime_service_change(r->deployments->runtime, r->service_id, restore_document, r, NULL, e);
    if (res == 0 && own[0]) {
        res = take_away(r, own, e);
        if (res == 0)
            record_log(&r->record, "the new container was removed");
    }
    return res == 0 && r->engine ? start_old_again(r, e) : res;
}
