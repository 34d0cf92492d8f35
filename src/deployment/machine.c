#include "deployment/machine.h"

#include "base/str.h"

static const struct {
    const char *name, *state;
    double progress;
    int64_t deadline_s;
    const char *compensation;
} steps[MACHINE_STATES] = {
#define X(name, text, state, progress, deadline, compensation) \
    [name] = { text, state, progress, deadline, compensation },
    DEPLOYMENT_STEPS(X)
#undef X
        [STEP_DONE] = { "done", "completed", 100, 0, "" },
    [STEP_UNDO] = { "undo", "deploying", 100, 300, "" },
    [STEP_UNDONE] = { "undone", "failed", 100, 0, "" },
};

const char *step_name(enum step s)
{
    return s < MACHINE_STATES ? steps[s].name : "?";
}

int step_parse(const char *name, enum step *ret)
{
    for (enum step s = 0; s < STEP_COUNT; s++)
        if (str_eq(steps[s].name, name)) {
            *ret = s;
            return 0;
        }
    return -1;
}

const char *step_state(enum step s)
{
    return steps[s].state;
}

double step_progress(enum step s)
{
    return steps[s].progress;
}

int64_t step_deadline_ms(enum step s)
{
    return steps[s].deadline_s * 1000;
}

const char *step_compensation(enum step s)
{
    return steps[s].compensation;
}

bool machine_move(enum step *state, enum step to)
{
    enum step from = *state;
    bool forward = from < STEP_COUNT && to == from + 1;
    bool fails = from < STEP_RETIRE && to == STEP_UNDO;
    bool ends = from == STEP_UNDO && to == STEP_UNDONE;
    bool next_batch = from == STEP_RETIRE && to == STEP_CREATE;
    if (!forward && !fails && !ends && !next_batch)
        return false;
    *state = to;
    return true;
}
