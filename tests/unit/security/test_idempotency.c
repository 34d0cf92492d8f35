/* Idempotency-Key: a POST is done once; its first answer is given again for a day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <pthread.h>
#include <stdio.h>

static struct fixture f;
static char with_key[300]; /* the owner's, with Idempotency-Key: one */

static int start(void **state)
{
    char admin[128];
    fixture_start(&f, &(struct fixture_options){ .server = true, .other_rooms = true });
    (void)snprintf(with_key, sizeof with_key, "%sIdempotency-Key: one\r\n", key_header(f.owner, admin));
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

#define NODE(name) "{\"name\":\"" name "\",\"type\":\"spoke\",\"provider\":\"other\"}"

static int add_node(const char *headers, const char *body, int64_t *ret_calls, bool *ret_replayed)
{
    char replayed[16];
    _cleanup_answer_ struct answer a = { 0 };
    fixture_ask(&f, "POST", "/v1/infrastructure/nodes", headers, body, &a);
    if (a.status == 400 || a.status == 404)
        fail_msg("%s", a.text);
    answer_header(&a, "Idempotency-Replayed", replayed, sizeof replayed);
    *ret_replayed = str_eq(replayed, "true");
    *ret_calls = json_int(a.body, "calls", -1);
    return a.status;
}

static void expect(const char *headers, const char *body, int status, int64_t call, bool replay)
{
    int64_t calls = 0;
    bool replayed = false;
    assert_int_equal(add_node(headers, body, &calls, &replayed), status);
    assert_int_equal(calls, call);
    assert_true(replayed == replay);
}

static void the_first_answer_is_given_again(void **state)
{
    expect(with_key, NODE("a"), 201, 1, false);
    expect(with_key, NODE("a"), 201, 1, true);
    expect(with_key, NODE("a"), 201, 1, true);
    assert_int_equal(fixture_calls(), 1);
    fixture_reopen(&f);
    expect(with_key, NODE("a"), 201, 1, true);
    assert_int_equal(fixture_calls(), 1);
}

static void without_a_key_it_is_done_again(void **state)
{
    char admin[128];
    expect(key_header(f.owner, admin), NODE("a"), 201, 1, false);
    expect(admin, NODE("a"), 201, 2, false);
}

static void another_body_under_the_same_key_is_refused(void **state)
{
    expect(with_key, NODE("a"), 201, 1, false);
    expect(with_key, NODE("b"), 422, -1, false);
    expect(with_key, NODE("a") " ", 422, -1, false); /* the exact bytes count */
    expect(with_key, NODE("a"), 201, 1, true);
}

static void keys_of_others_and_of_other_operations_are_others(void **state)
{
    char id[ID_LEN + 1], secret[64], other[300], header[128];
    fixture_make_key(&f, "other", ROLE_OPERATOR, 0, id, secret);
    (void)snprintf(other, sizeof other, "%sIdempotency-Key: one\r\n", key_header(secret, header));
    expect(with_key, NODE("a"), 201, 1, false);
    expect(other, NODE("a"), 201, 2, false);
    _cleanup_answer_ struct answer a = { 0 }, again = { 0 };
    fixture_ask(&f, "POST", "/v1/tokens/rotate", with_key, NULL, &a);
    fixture_ask(&f, "POST", "/v1/tokens/rotate", with_key, NULL, &again);
    assert_int_equal(a.status, 200);
    assert_string_equal(json_str(a.body, "kid"), json_str(again.body, "kid"));
    assert_string_equal(a.text, again.text);
}

/* The path is part of what was asked. */
static void the_same_key_for_another_service_is_refused(void **state)
{
    _cleanup_answer_ struct answer a = { 0 }, other = { 0 };
    fixture_ask(&f, "POST", "/v1/services/018f0000-0000-7000-8000-000000000001/restart", with_key, NULL, &a);
    fixture_ask(&f, "POST", "/v1/services/018f0000-0000-7000-8000-000000000002/restart", with_key, NULL, &other);
    if (a.status >= 400)
        fail_msg("%s", a.text);
    assert_int_equal(other.status, 422);
    assert_int_equal(fixture_calls(), 1);
}

static void a_refused_request_may_be_tried_again(void **state)
{
    _cleanup_answer_ struct answer a = { 0 };
    char id[ID_LEN + 1], secret[64], viewer[300], header[128];
    fixture_make_key(&f, "viewer", ROLE_VIEWER, 0, id, secret);
    (void)snprintf(viewer, sizeof viewer, "%sIdempotency-Key: one\r\n", key_header(secret, header));
    fixture_ask(&f, "POST", "/v1/infrastructure/nodes", viewer, NODE("a"), &a);
    assert_int_equal(a.status, 403);
    answer_done(&a);
    fixture_ask(&f, "POST", "/v1/infrastructure/nodes", with_key, "{}", &a);
    assert_int_equal(a.status, 400);
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM idempotency_keys"), 0);
    expect(with_key, NODE("a"), 201, 1, false);
}

/* While the first is still being worked on, a second one is told so; a hub that died with it lets it be tried again. */
static void a_claim_of_a_dead_hub_is_dropped_at_start(void **state)
{
    expect(with_key, NODE("a"), 201, 1, false);
    fixture_sql(&f, "UPDATE idempotency_keys SET status = NULL, body_sealed = NULL");
    expect(with_key, NODE("a"), 409, -1, false);
    assert_int_equal(fixture_calls(), 1);
    fixture_reopen(&f);
    expect(with_key, NODE("a"), 201, 2, false);
}

static void it_is_kept_for_a_day(void **state)
{
    expect(with_key, NODE("a"), 201, 1, false);
    fixture_pass(IDEMPOTENCY_KEPT_MS - 60000);
    security_tidy(f.security);
    expect(with_key, NODE("a"), 201, 1, true);
    fixture_pass(120000);
    security_tidy(f.security);
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM idempotency_keys"), 0);
    expect(with_key, NODE("a"), 201, 2, false);
}

static void *add(void *arg)
{
    int64_t calls;
    bool replayed;
    long status = add_node(with_key, NODE("a"), &calls, &replayed);
    return (void *)status;
}

static void of_many_at_once_one_is_done(void **state)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *status = NULL;
        (void)pthread_join(threads[i], &status);
        assert_true((long)status == 201 || (long)status == 409);
    }
    assert_int_equal(fixture_calls(), 1);
}

static void only_one_entry_of_the_audit_comes_of_it(void **state)
{
    expect(with_key, NODE("a"), 201, 1, false);
    expect(with_key, NODE("a"), 201, 1, true);
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM audit_log"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(the_first_answer_is_given_again),
        T(without_a_key_it_is_done_again),
        T(another_body_under_the_same_key_is_refused),
        T(keys_of_others_and_of_other_operations_are_others),
        T(the_same_key_for_another_service_is_refused),
        T(a_refused_request_may_be_tried_again),
        T(a_claim_of_a_dead_hub_is_dropped_at_start),
        T(it_is_kept_for_a_day),
        T(of_many_at_once_one_is_done),
        T(only_one_entry_of_the_audit_comes_of_it),
    };
    return cmocka_run_group_tests_name("security_idempotency", tests, NULL, NULL);
}
