/* List cursors: there and back, and everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/api.h"

#include "base/str.h"

static void comes_back_as_it_went(void **state)
{
    const char *fields[] = { "2026-11-25T14:00:00.000Z", "", "caf\xc3\xa9" }, *back[3];
    char text[256], storage[256];
    assert_int_equal(cursor_encode(fields, 3, text, sizeof text), 0);
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
    assert_int_equal(cursor_decode(text, storage, sizeof storage, back, 3, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(back[i], fields[i]);
}

static void assert_refused(const char *text, size_t n)
{
    const char *back[8] = { "untouched" };
    char storage[256];
    struct error e = ERROR_INIT;
    assert_int_equal(cursor_decode(text, storage, sizeof storage, back, n, &e), -ERR_VALIDATION);
    assert_non_null(json_object_get(e.details, "/cursor"));
    assert_string_equal(back[0], "untouched");
    error_done(&e);
}

static void refuses_cut_and_changed_ones(void **state)
{
    const char *fields[] = { "one", "two" };
    char text[256], changed[256];
    assert_int_equal(cursor_encode(fields, 2, text, sizeof text), 0);
    for (size_t len = 0; len < strlen(text); len++) {
        str_copy(changed, len + 1, text);
        assert_refused(changed, 2);
    }
    for (size_t i = 0; i < strlen(text); i++) {
        str_copy(changed, sizeof changed, text);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_refused(changed, 2);
    }
    assert_refused(text, 1);
    assert_refused(text, 3);
    assert_refused("not base64!", 2);
}

static void says_when_there_is_no_room(void **state)
{
    const char *fields[] = { "one", "two" }, *back[2];
    char text[256], storage[8];
    assert_true(cursor_encode(fields, 2, text, 10) < 0);
    assert_int_equal(cursor_encode(fields, 2, text, sizeof text), 0);
    assert_int_equal(cursor_decode(text, storage, 7, back, 2, NULL), -ERR_VALIDATION);
    assert_int_equal(cursor_decode(text, storage, 8, back, 2, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(comes_back_as_it_went),
                                        cmocka_unit_test(refuses_cut_and_changed_ones),
                                        cmocka_unit_test(says_when_there_is_no_room) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
