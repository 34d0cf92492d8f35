/* The deployment's state machine: every move there is, by table, and that there is no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deployment/machine.h"

#include "base/str.h"

/* As the diagram in machine.h draws it: rows from, columns to. */
/* clang-format off */
static const char allowed[MACHINE_STATES][MACHINE_STATES + 1] = {
    /*                  vrppcscrsvrDUX */
    [STEP_VALIDATE] =  " x          x ",
    [STEP_RESOLVE] =   "  x         x ",
    [STEP_PREFLIGHT] = "   x        x ",
    [STEP_PULL] =      "    x       x ",
    [STEP_CREATE] =    "     x      x ",
    [STEP_START] =     "      x     x ",
    [STEP_CHECK] =     "       x    x ",
    [STEP_REGISTER] =  "        x   x ",
    [STEP_SWITCH] =    "         x  x ",
    [STEP_VERIFY] =    "          x x ",
    [STEP_RETIRE] =    "    x      x  ", /* another batch; or the new release serves, and nothing is undone any more */
    [STEP_DONE] =      "              ",
    [STEP_UNDO] =      "             x",
    [STEP_UNDONE] =    "              ",
};
/* clang-format on */

static void each_move_is_allowed_or_moves_nothing(void **state)
{
    for (enum step from = 0; from < MACHINE_STATES; from++)
        for (enum step to = 0; to < MACHINE_STATES; to++) {
            enum step at = from;
            bool moved = machine_move(&at, to);
            if (moved != (allowed[from][to] == 'x'))
                fail_msg("%s -> %s: %s", step_name(from), step_name(to), moved ? "allowed" : "refused");
            assert_int_equal(at, moved ? to : from);
        }
}

static void the_way_forward_passes_every_step_and_its_progress_rises(void **state)
{
    enum step at = STEP_VALIDATE;
    double progress = step_progress(at);
    int steps = 1;
    while (at != STEP_DONE) {
        assert_true(step_compensation(at)[0] != '\0');
        assert_true(step_deadline_ms(at) > 0); /* nothing stays under way for ever */
        assert_true(machine_move(&at, at + 1));
        assert_true(step_progress(at) > progress);
        progress = step_progress(at);
        steps++;
    }
    assert_int_equal(steps, STEP_COUNT + 1);
    assert_true(progress == 100);
    assert_true(step_deadline_ms(STEP_UNDO) > 0);
}

static void names_are_read_back_and_states_are_the_contracts(void **state)
{
    static const char *const states[] = { "initiated", "building", "deploying",  "testing",
                                          "completed", "failed",   "rolled_back" };
    for (enum step s = 0; s < MACHINE_STATES; s++) {
        enum step back = MACHINE_STATES;
        bool known = false;
        assert_int_equal(step_parse(step_name(s), &back), s < STEP_COUNT ? 0 : -1);
        assert_int_equal(back, s < STEP_COUNT ? s : MACHINE_STATES);
        for (size_t i = 0; i < ARRAY_LEN(states); i++)
            known |= str_eq(step_state(s), states[i]);
        assert_true(known);
    }
    enum step none = STEP_PULL;
    assert_int_equal(step_parse("other", &none), -1);
    assert_int_equal(step_parse("", &none), -1);
    assert_int_equal(none, STEP_PULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_move_is_allowed_or_moves_nothing),
        cmocka_unit_test(the_way_forward_passes_every_step_and_its_progress_rises),
        cmocka_unit_test(names_are_read_back_and_states_are_the_contracts),
    };
    return cmocka_run_group_tests_name("deployment_machine", tests, NULL, NULL);
}
