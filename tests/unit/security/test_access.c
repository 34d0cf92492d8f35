/* Each role at each operation: generated from the contract, so a new operation is tested by being there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <ctype.h>
#include <stdio.h>

static struct fixture f;
static char headers[ROLE_ADMIN + 1][128]; /* by role; public: none */

static int start(void **state)
{
    fixture_start(&f, &(struct fixture_options){ .server = true, .other_rooms = true });
    for (enum role r = ROLE_VIEWER; r <= ROLE_ADMIN; r++) {
        char id[ID_LEN + 1], secret[64];
        fixture_make_key(&f, role_name(r), r, 0, id, secret);
        (void)key_header(secret, headers[r]);
    }
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

/* The path with each {parameter} filled in by an id that nothing has. */
static void fill_path(const char *path, const json_t *item, char *ret, size_t size)
{
    size_t n = json_object_get(item, "servers") ? 0 : (size_t)snprintf(ret, size, "/v1");
    while (*path && n + 40 < size) {
        if (*path == '{') {
            n += (size_t)snprintf(ret + n, size - n, "018f0000-0000-7000-8000-0000000000ff");
            path = strchr(path, '}') + 1;
        } else {
            ret[n++] = *path++;
        }
    }
    ret[n] = '\0';
}

static int ask_as(enum role who, const char *method, const char *target)
{
    _cleanup_answer_ struct answer a = { 0 };
    char upper[16] = "";
    for (size_t i = 0; method[i] && i + 1 < sizeof upper; i++)
        upper[i] = (char)toupper((unsigned char)method[i]), upper[i + 1] = '\0';
    fixture_ask(&f, upper, target, headers[who], NULL, &a);
    return a.status;
}

static void check(const char *method, const char *target, enum role needed)
{
    for (enum role who = ROLE_PUBLIC; who <= ROLE_ADMIN; who++) {
        int status = ask_as(who, method, target);
        bool refused = status == 401 || status == 403;
        if (status == 404 && who < needed)
            fail_msg("%s %s tells a %s that something is not there", method, target, role_name(who));
        if (who >= needed ? refused : status != (who == ROLE_PUBLIC ? 401 : 403))
            fail_msg("%s %s as %s: %d", method, target, who ? role_name(who) : "nobody", status);
    }
}

static void each_role_at_each_operation(void **state)
{
    const char *path, *method;
    json_t *item, *operation;
    char target[512];
    int operations = 0;
    json_object_foreach (json_object_get(f.contract, "paths"), path, item)
        json_object_foreach (item, method, operation) {
            const char *id = json_str(operation, "operationId"), *word = json_str(operation, "x-role");
            enum role needed = ROLE_PUBLIC;
            if (!id)
                continue;
            assert_non_null(word);
            if (!str_eq(word, "public"))
                assert_int_equal(role_parse(word, &needed), 0);
            if (str_eq(id, "createSession")) /* answers 401 itself to bad proofs; see test_sessions.c */
                continue;
            fill_path(path, item, target, sizeof target);
            check(method, target, needed);
            operations++;
        }
    assert_true(operations > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(each_role_at_each_operation, start, end) };
    return cmocka_run_group_tests_name("security_access", tests, NULL, NULL);
}
