/* The state machine of a deployment: its steps, what each means for the seed's `state` and `progress`, how each is
 * undone, and the one function that moves it.
 *
 *   validate -> resolve -> preflight -> pull -> create -> start -> check -> register -> switch -> verify -> retire -> done
 *       |          |           |         |        ^ |       |        |          |          |         |        |
 *       |          |           |         |        | |       |        |          |          |         |        |
 *       |          |           |         |        +-|-------|--------|----------|----------|---------|--------+
 *       |          |           |         |          |       |        |          |          |         |   (rolling: next batch)
 *       +----------+-----------+---------+----------+-------+--------+----------+----------+---------+--> undo -> undone
 *
 * A deployment that fails at `create` or later ends `rolled_back`: the old release serves. One that fails before, or
 * with nothing that served before, ends `failed`; a cancelled one `cancelled`. An engine or a router that goes away
 * before `create` is waited for, a minute. The compensations run in reverse, the
 * traffic first. `retire` does not fail a deployment: the new release serves by then. */
#ifndef HB_MACHINE_H
#define HB_MACHINE_H

#include "base/base.h"

/* X(enumerator, name, state of the seed, progress when it begins, deadline in seconds, compensation) */
#define DEPLOYMENT_STEPS(X)                                                                                   \
    X(STEP_VALIDATE, "validate", "initiated", 0, 10, "rows of new instances are forgotten")                   \
    X(STEP_RESOLVE, "resolve", "initiated", 2, 30, "nothing to undo")                                         \
    X(STEP_PREFLIGHT, "preflight", "initiated", 4, 30, "nothing to undo")                                     \
    X(STEP_PULL, "pull", "building", 8, 1800, "nothing to undo: an image that is not used is pruned")         \
    X(STEP_CREATE, "create", "deploying", 50, 60, "new containers are stopped and removed")                   \
    X(STEP_START, "start", "deploying", 58, 90, "old containers that made room start again, with their name") \
    X(STEP_CHECK, "check", "testing", 65, 3700, "nothing to undo")                                            \
    X(STEP_REGISTER, "register", "testing", 85, 30, "new instances are deregistered")                         \
    X(STEP_SWITCH, "switch", "deploying", 88, 30,                                                             \
      "upstreams, document and route go back to the old release; the new one is drained")                     \
    X(STEP_VERIFY, "verify", "testing", 92, 60, "nothing to undo")                                            \
    X(STEP_RETIRE, "retire", "deploying", 96, 120, "never undone in its last batch; before it, as start")

enum step {
#define X(name, text, state, progress, deadline, compensation) name,
    DEPLOYMENT_STEPS(X)
#undef X
        STEP_COUNT,
    STEP_DONE = STEP_COUNT,
    STEP_UNDO,
    STEP_UNDONE,
    MACHINE_STATES
};

const char *step_name(enum step s);
int step_parse(const char *name, enum step *ret); /* steps that have a journal; -1 */
const char *step_state(enum step s);
double step_progress(enum step s);       /* 0..100 when it begins; 100 for done */
int64_t step_deadline_ms(enum step s);
const char *step_compensation(enum step s); /* in words; "" of what is no step */
/* The only way from one state to the next. False: the table does not allow it, and nothing moved. */
bool machine_move(enum step *state, enum step to);

#endif
