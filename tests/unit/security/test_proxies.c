/* Whose address counts: the peer's, or what trusted proxies say, read from the right (O43). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <stdio.h>

static struct fixture f;

static int start_direct(void **state)
{
    fixture_start(&f, &(struct fixture_options){ .server = true, .anonymous_per_minute = 100, .known_per_minute = 50 });
    return 0;
}

static int start_behind_proxy(void **state)
{
    fixture_start(&f, &(struct fixture_options){
                          .server = true, .anonymous_per_minute = 100, .trusted_proxies = "127.0.0.0/8, 10.1.0.0/16" });
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

static void the_first_that_is_no_proxy_of_ours_is_the_client(void **state)
{
    static const struct {
        const char *peer, *forwarded, *client;
    } cases[] = {
        { "203.0.113.9", "198.51.100.1", "203.0.113.9" },           /* a stranger says what it likes */
        { "10.0.0.1", NULL, "10.0.0.1" },
        { "10.0.0.1", "", "10.0.0.1" },
        { "10.0.0.1", "198.51.100.1", "198.51.100.1" },
        { "10.0.0.1", " 198.51.100.1 ", "198.51.100.1" },
        { "10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1" },    /* the left one was made up by the client */
        { "10.0.0.1", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1" },
        { "10.0.0.1", "10.0.0.2", "10.0.0.2" },                     /* all are proxies: the farthest */
        { "10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1" },            /* what cannot be read ends the trust */
        { "10.0.0.1", "1.2.3.4,", "10.0.0.1" },
        { "10.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1" },
        { "::1", "2001:db8::7", "2001:db8::7" },
        { "::2", "2001:db8::7", "::2" },
        { "fd00:1::5", "192.0.2.1", "192.0.2.1" },
        { "fd00:2::5", "192.0.2.1", "fd00:2::5" },
        { "::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1" },            /* IPv4 on an IPv6 socket */
        { "11.0.0.1", "192.0.2.1", "11.0.0.1" },
        { "192.168.4.129", "192.0.2.1", "192.168.4.129" },
        { "192.168.4.127", "192.0.2.1", "192.0.2.1" },
    };
    struct proxies *p = NULL;
    char client[64];
    assert_int_equal(proxies_parse("10.0.0.0/8, ::1,fd00:1::/32,, 192.168.4.0/25", &p, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        proxies_client(p, cases[i].peer, cases[i].forwarded, client);
        assert_string_equal(client, cases[i].client);
    }
    proxies_free(p);
}

static void a_list_that_cannot_be_read_is_refused_by_name(void **state)
{
    static const char *const lists[] = { "10.0.0.0/33", "::1/129",     "10.0.0/8",    "host.example",
                                         "10.0.0.1/",   "10.0.0.1/-1", "10.0.0.1/8x", "1.2.3.4 5.6.7.8" };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct error e = ERROR_INIT;
        struct proxies *p = NULL;
        assert_int_equal(proxies_parse(lists[i], &p, &e), -ERR_VALIDATION);
        assert_null(p);
        assert_non_null(strstr(e.message, "trusted_proxies"));
    }
    struct proxies *none = NULL;
    char client[64];
    assert_int_equal(proxies_parse(NULL, &none, NULL), 0);
    proxies_client(none, "127.0.0.1", "1.2.3.4", client);
    assert_string_equal(client, "127.0.0.1");
    proxies_free(none);
}

static void a_bucket_is_an_address_or_a_64(void **state)
{
    static const struct {
        const char *address, *bucket;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
        { "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64" },
        { "2001:db8:1:3::1", "2001:db8:1:3::/64" },
        { "unknown", "unknown" },
    };
    char bucket[64];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        address_bucket(cases[i].address, bucket);
        assert_string_equal(bucket, cases[i].bucket);
    }
}

/* ---- through the server ---- */

static int log_in_with(const char *headers, const char *key)
{
    _cleanup_answer_ struct answer a = { 0 };
    char body[128];
    (void)snprintf(body, sizeof body, "{\"apiKey\":\"%s\"}", key);
    fixture_ask(&f, "POST", "/v1/sessions", headers, body, &a);
    return a.status;
}

struct tally {
    int refused, limited, other;
};

static struct tally thousand_logins(const char *format_v6_host)
{
    struct tally t = { 0 };
    for (int i = 0; i < 1000; i++) {
        char headers[160], guess[64];
        if (format_v6_host)
            (void)snprintf(headers, sizeof headers, "X-Forwarded-For: 9.9.%d.%d, %s%x\r\n", i >> 8, i & 255,
                           format_v6_host, i + 1);
        else
            (void)snprintf(headers, sizeof headers, "X-Forwarded-For: %d.%d.7.8\r\n", 1 + i / 250, i % 250);
        (void)snprintf(guess, sizeof guess, "hbc_%08x_%043d", i, i);
        int status = log_in_with(headers, guess);
        t.refused += status == 401;
        t.limited += status == 429;
        t.other += status != 401 && status != 429;
    }
    return t;
}

static void o43_a_thousand_rotating_headers_do_not_escape(void **state)
{
    struct tally t = thousand_logins(NULL);
    assert_int_equal(t.other, 0);
    assert_int_equal(t.refused + t.limited, 1000);
    assert_in_range(t.refused, 100, 200); /* 100, and what refills while the test runs */
}

static void o43_many_addresses_of_one_64_are_one(void **state)
{
    struct tally t = thousand_logins("2001:db8:5:6::");
    assert_int_equal(t.other, 0);
    assert_in_range(t.refused, 100, 200);
    /* Another network is not locked out by it. */
    assert_int_equal(log_in_with("X-Forwarded-For: 2001:db8:5:7::1\r\n", f.owner), 201);
}

/* Each client behind the proxy has its own bucket, whatever it puts to the left; a second header line is no way round. */
static void o43_behind_a_proxy_the_rightmost_counts(void **state)
{
    int limited = 0;
    for (int i = 0; i < 300; i++) {
        char headers[160], guess[64];
        (void)snprintf(guess, sizeof guess, "hbc_%08x_%043d", i, i);
        (void)snprintf(headers, sizeof headers, "X-Forwarded-For: 8.8.%d.%d\r\nX-Forwarded-For: 198.51.100.7\r\n",
                       i >> 8, i & 255);
        limited += log_in_with(headers, guess) == 429;
    }
    assert_in_range(limited, 100, 280);
    assert_int_equal(log_in_with("X-Forwarded-For: 198.51.100.8\r\n", f.owner), 201);
    /* The victim whose address was named on the left is not locked out. */
    assert_int_equal(log_in_with("X-Forwarded-For: 8.8.0.1\r\n", f.owner), 201);
}

static void the_limit_is_said_in_the_headers(void **state)
{
    char headers[128], limit[32], left[32], reset[32], retry[32];
    int limited = 0;
    (void)key_header(f.owner, headers);
    for (int i = 0; i < 60; i++) {
        _cleanup_answer_ struct answer a = { 0 };
        fixture_ask(&f, "GET", "/v1/keys", headers, NULL, &a);
        answer_header(&a, "RateLimit-Limit", limit, sizeof limit);
        answer_header(&a, "RateLimit-Remaining", left, sizeof left);
        answer_header(&a, "RateLimit-Reset", reset, sizeof reset);
        answer_header(&a, "Retry-After", retry, sizeof retry);
        assert_string_equal(limit, "50"); /* per key, however many addresses */
        if (i == 0)
            assert_string_equal(left, "49");
        limited += a.status == 429;
        assert_true((a.status == 429) == (retry[0] != '\0'));
        assert_true(a.status == 200 || (a.status == 429 && atoi(retry) >= 1));
    }
    assert_in_range(limited, 1, 10);
    assert_int_equal(log_in_with("", f.owner), 201); /* the address has its own */
}

/* A refusal of bad credentials costs the address one token, not two. */
static void a_bad_key_costs_one(void **state)
{
    char left[32];
    for (int i = 1; i <= 3; i++) {
        _cleanup_answer_ struct answer a = { 0 };
        fixture_ask(&f, "GET", "/v1/keys", "X-API-Key: hbc_wrong\r\n", NULL, &a);
        assert_int_equal(a.status, 401);
        answer_header(&a, "RateLimit-Remaining", left, sizeof left);
        assert_in_range(atoi(left), 100 - i, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_no_proxy_of_ours_is_the_client),
        cmocka_unit_test(a_list_that_cannot_be_read_is_refused_by_name),
        cmocka_unit_test(a_bucket_is_an_address_or_a_64),
        cmocka_unit_test_setup_teardown(o43_a_thousand_rotating_headers_do_not_escape, start_direct, end),
        cmocka_unit_test_setup_teardown(o43_many_addresses_of_one_64_are_one, start_behind_proxy, end),
        cmocka_unit_test_setup_teardown(o43_behind_a_proxy_the_rightmost_counts, start_behind_proxy, end),
        cmocka_unit_test_setup_teardown(the_limit_is_said_in_the_headers, start_direct, end),
        cmocka_unit_test_setup_teardown(a_bad_key_costs_one, start_direct, end),
    };
    return cmocka_run_group_tests_name("security_proxies", tests, NULL, NULL);
}
