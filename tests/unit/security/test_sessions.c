/* Sessions of the dashboard, through the real server: the cookie, CSRF, and every way they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <stdio.h>

static struct fixture f;

static int start(void **state)
{
    fixture_start(&f, &(struct fixture_options){ .server = true });
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

struct login {
    char cookie[160]; /* "Cookie: …\r\n" */
    char csrf[128];   /* "X-CSRF-Token: …\r\n" */
    char both[300];
};

static void read_login(const struct answer *a, struct login *ret)
{
    char set[256];
    answer_header(a, "Set-Cookie", set, sizeof set);
    (void)snprintf(ret->cookie, sizeof ret->cookie, "Cookie: other=1; %.*s\r\n", (int)strcspn(set, ";"), set);
    (void)snprintf(ret->csrf, sizeof ret->csrf, "X-CSRF-Token: %s\r\n", json_str(a->body, "session.csrfToken"));
    (void)snprintf(ret->both, sizeof ret->both, "%s%s", ret->cookie, ret->csrf);
}

static int log_in(const char *field, const char *proof, struct login *ret)
{
    _cleanup_answer_ struct answer a = { 0 };
    _cleanup_free_ char *body = str_printf("{\"%s\":\"%s\"}", field, proof);
    fixture_ask(&f, "POST", "/v1/sessions", "", body, &a);
    if (a.status == 201)
        read_login(&a, ret);
    return a.status;
}

static int status_of(const char *method, const char *target, const char *headers)
{
    _cleanup_answer_ struct answer a = { 0 };
    fixture_ask(&f, method, target, headers, NULL, &a);
    return a.status;
}

static bool alive(const struct login *l)
{
    return status_of("GET", "/v1/sessions/current", l->cookie) == 200;
}

static void the_cookie_is_closed_to_scripts_and_other_sites(void **state)
{
    _cleanup_answer_ struct answer a = { 0 };
    char set[256], cache[64], body[128];
    (void)snprintf(body, sizeof body, "{\"apiKey\":\"%s\"}", f.owner);
    fixture_ask(&f, "POST", "/v1/sessions", "", body, &a);
    assert_int_equal(a.status, 201);
    answer_header(&a, "Set-Cookie", set, sizeof set);
    answer_header(&a, "Cache-Control", cache, sizeof cache);
    assert_non_null(strstr(set, "; HttpOnly"));
    assert_non_null(strstr(set, "; SameSite=Strict"));
    assert_non_null(strstr(set, "; Max-Age=86400"));
    assert_null(strstr(set, "Secure")); /* plain loopback */
    assert_string_equal(cache, "no-store");
    assert_string_equal(json_str(a.body, "session.role"), "admin");
    char token[64];
    (void)snprintf(token, sizeof token, "%.43s", strchr(set, '=') + 1);
    assert_null(strstr(a.text, token)); /* only in the cookie */
}

static void wrong_proofs_open_nothing(void **state)
{
    struct login l;
    assert_int_equal(log_in("apiKey", "hbc_wrong", &l), 401);
    assert_int_equal(log_in("loginToken", "wrong", &l), 401);
    assert_int_equal(log_in("loginToken", "", &l), 400);
    assert_int_equal(status_of("GET", "/v1/sessions/current", "Cookie: hbcloud_session=\r\n"), 401);
    assert_int_equal(status_of("GET", "/v1/sessions/current",
                               "Cookie: hbcloud_session=0000000000000000000000000000000000000000000\r\n"),
                     401);
    assert_int_equal(status_of("GET", "/v1/sessions/current", ""), 401);
}

static void a_login_token_works_once_and_for_an_hour(void **state)
{
    struct login l;
    _cleanup_secret_ struct secret *first = NULL, *second = NULL;
    assert_false(security_ever_logged_in(f.security));
    assert_int_equal(security_login_token(f.security, &first, NULL), 0);
    assert_int_equal(log_in("loginToken", secret_reveal(first, NULL), &l), 201);
    assert_true(alive(&l));
    assert_true(security_ever_logged_in(f.security));
    assert_int_equal(log_in("loginToken", secret_reveal(first, NULL), &l), 401);
    assert_int_equal(security_login_token(f.security, &second, NULL), 0);
    fixture_pass((int64_t)3600 * 1000 + 1);
    assert_int_equal(log_in("loginToken", secret_reveal(second, NULL), &l), 401);
}

static void writes_need_the_csrf_token(void **state)
{
    struct login l, other;
    _cleanup_answer_ struct answer a = { 0 };
    char wrong[400];
    assert_int_equal(log_in("apiKey", f.owner, &l), 201);
    assert_int_equal(log_in("apiKey", f.owner, &other), 201);
    (void)snprintf(wrong, sizeof wrong, "%s%s", l.cookie, other.csrf);
    assert_int_equal(status_of("GET", "/v1/keys", l.cookie), 200);
    fixture_ask(&f, "POST", "/v1/tokens/rotate", l.cookie, NULL, &a);
    assert_int_equal(a.status, 403);
    assert_string_equal(json_str(a.body, "error.code") ? json_str(a.body, "error.code") : json_str(a.body, "code"),
                        "CSRF_TOKEN_REQUIRED");
    assert_int_equal(status_of("POST", "/v1/tokens/rotate", wrong), 403);
    assert_int_equal(status_of("DELETE", "/v1/sessions/current", l.cookie), 403);
    assert_int_equal(status_of("POST", "/v1/tokens/rotate", l.both), 200);
}

static void logging_out_ends_it_for_good(void **state)
{
    struct login l, other;
    char key[128];
    assert_int_equal(log_in("apiKey", f.owner, &l), 201);
    assert_int_equal(log_in("apiKey", f.owner, &other), 201);
    assert_int_equal(status_of("DELETE", "/v1/sessions/current", l.both), 204);
    assert_false(alive(&l));
    assert_true(alive(&other));
    fixture_reopen(&f);
    assert_false(alive(&l));
    assert_true(alive(&other));
    assert_int_equal(status_of("GET", "/v1/sessions/current", key_header(f.owner, key)), 404);
}

static void it_ends_after_a_day_and_leaves_memory_and_database(void **state)
{
    struct login l;
    assert_int_equal(log_in("apiKey", f.owner, &l), 201);
    fixture_pass(SESSION_MS - 60000);
    assert_true(alive(&l));
    fixture_pass(60001);
    assert_false(alive(&l));
    assert_int_equal(log_in("apiKey", f.owner, &l), 201);
    assert_int_equal(map_size(f.security->sessions), 2);
    security_tidy(f.security);
    assert_int_equal(map_size(f.security->sessions), 1);
    assert_int_equal(map_size(f.security->sessions_by_id), 1);
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM sessions"), 1);
    assert_true(alive(&l));
}

static void it_ends_with_its_key(void **state)
{
    char id[ID_LEN + 1], secret[64], short_id[ID_LEN + 1], short_secret[64], target[64], headers[128];
    struct login revoked, expired, owner;
    fixture_make_key(&f, "a", ROLE_OPERATOR, 0, id, secret);
    fixture_make_key(&f, "b", ROLE_OPERATOR, clock_now_ms() + 60000, short_id, short_secret);
    assert_int_equal(log_in("apiKey", secret, &revoked), 201);
    assert_int_equal(log_in("apiKey", short_secret, &expired), 201);
    assert_int_equal(log_in("apiKey", f.owner, &owner), 201);
    assert_true(alive(&revoked) && alive(&expired));
    (void)snprintf(target, sizeof target, "/v1/keys/%s", id);
    assert_int_equal(status_of("DELETE", target, key_header(f.owner, headers)), 204);
    fixture_pass(60001);
    assert_false(alive(&revoked));
    assert_false(alive(&expired));
    assert_true(alive(&owner));
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM sessions"), 2);
}

/* Who comes back with an old cookie must be able to log in. */
static void an_old_cookie_does_not_keep_anyone_out(void **state)
{
    struct login l;
    _cleanup_answer_ struct answer a = { 0 };
    char body[128];
    assert_int_equal(log_in("apiKey", f.owner, &l), 201);
    (void)snprintf(body, sizeof body, "{\"apiKey\":\"%s\"}", f.owner);
    fixture_ask(&f, "POST", "/v1/sessions", l.cookie, body, &a); /* no CSRF token either */
    assert_int_equal(a.status, 201);
    answer_done(&a);
    fixture_pass(SESSION_MS + 1);
    fixture_ask(&f, "POST", "/v1/sessions", l.cookie, body, &a);
    assert_int_equal(a.status, 201);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(the_cookie_is_closed_to_scripts_and_other_sites),
        T(wrong_proofs_open_nothing),
        T(a_login_token_works_once_and_for_an_hour),
        T(writes_need_the_csrf_token),
        T(logging_out_ends_it_for_good),
        T(it_ends_after_a_day_and_leaves_memory_and_database),
        T(it_ends_with_its_key),
        T(an_old_cookie_does_not_keep_anyone_out),
    };
    return cmocka_run_group_tests_name("security_sessions", tests, NULL, NULL);
}
