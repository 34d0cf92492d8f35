/* The state machine of a deployment: its steps, what each means for the seed's `state` and `progress`, and
 * the one function that moves it.
 *
 *   validate -> resolve -> preflight -> pull -> create -> start -> check -> register -> switch -> verify -> retire -> done
 *       |          |           |         |        |         |        |          |          |         |
 *       +----------+-----------+---------+--------+---------+--------+----------+----------+---------+--> undo -> undone
 *
 * A failed step before `switch` is done ends `failed`: the old container never stopped serving (or serves
 * again). After it, `undo` switches back first and the deployment ends `rolled_back`. `retire` does not
 * fail a deployment: the new release serves by then. */
#ifndef HB_MACHINE_H
#define HB_MACHINE_H

#include "base/base.h"

/* X(enumerator, name, state of the seed, progress when it begins, deadline in seconds) */
#define DEPLOYMENT_STEPS(X)                            \
    X(STEP_VALIDATE, "validate", "initiated", 0, 10)   \
    X(STEP_RESOLVE, "resolve", "initiated", 2, 30)     \
    X(STEP_PREFLIGHT, "preflight", "initiated", 4, 30) \
    X(STEP_PULL, "pull", "building", 8, 1800)          \
    X(STEP_CREATE, "create", "deploying", 50, 60)      \
    X(STEP_START, "start", "deploying", 58, 90)        \
    X(STEP_CHECK, "check", "testing", 65, 3700)        \
    X(STEP_REGISTER, "register", "testing", 85, 30)    \
    X(STEP_SWITCH, "switch", "deploying", 88, 30)      \
    X(STEP_VERIFY, "verify", "testing", 92, 60)        \
    X(STEP_RETIRE, "retire", "deploying", 96, 120)

enum step {
#define X(name, text, state, progress, deadline) name,
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
/* The only way from one state to the next. False: the table does not allow it, and nothing moved. */
bool machine_move(enum step *state, enum step to);

#endif
