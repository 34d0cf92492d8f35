#include "deployment/steps.h"

#include <stdio.h>
#include <time.h>

/* What each step does is in steps_*.c and preflight.c; how each is undone, in undo.c. Every step may find its own
 * half-done work: names and labels are made from the deployment's id and the instance's ordinal, so a container that a
 * killed hub left is found again and used. */

bool run_interrupted(const struct run *r)
{
    return *r->job->stopping;
}

bool step_late(const struct run *r)
{
    return clock_mono_ms() > r->step_deadline_ms;
}

int run_may_go_on(struct run *r, struct error *e)
{
    if (run_interrupted(r))
        return RUN_INTERRUPTED;
    return deployment_cancelled(r->deployments, r->id) ? error_set(e, ERR_CONFLICT, "It was cancelled.") : 0;
}

void step_allow_ms(struct run *r, int64_t more_ms)
{
    r->step_deadline_ms += more_ms;
}

void step_pause_ms(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&ts, NULL);
}

void container_name(const struct run *r, int64_t ordinal, char *ret, size_t size)
{
    const char *short_id = r->id + ID_LEN - 8;
    if (ordinal == 1)
        (void)snprintf(ret, size, "%s-%s", r->name, short_id);
    else
        (void)snprintf(ret, size, "%s-%s-%lld", r->name, short_id, (long long)ordinal);
}

enum strategy run_strategy(const struct run *r)
{
    enum strategy s = STRATEGY_BLUE_GREEN;
    (void)strategy_parse(json_str(r->facts, "strategy"), &s);
    return s;
}

int (*const step_run[STEP_COUNT])(struct run *r, struct error *e) = {
    [STEP_VALIDATE] = step_validate, [STEP_RESOLVE] = step_resolve,   [STEP_PREFLIGHT] = step_preflight,
    [STEP_PULL] = step_pull,         [STEP_CREATE] = step_create,     [STEP_START] = step_start,
    [STEP_CHECK] = step_check,       [STEP_REGISTER] = step_register, [STEP_SWITCH] = step_switch,
    [STEP_VERIFY] = step_verify,     [STEP_RETIRE] = step_retire,
};
