/* Outbound calls against the real server: limits, retries, the circuit, what is logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/client.h"
#include "http/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static struct http_server *server;
static atomic_int calls;
static char base[64];
static unsigned waited, waits;
static atomic_llong now;

static int64_t fake_now(void *ctx)
{
    return atomic_load(&now);
}

static void reply(struct http_exchange *x, int status, const char *retry_after, const char *text, size_t len)
{
    const struct http_field fields[] = { { "Content-Type", "text/plain" }, { "Retry-After", retry_after } };
    struct blob *b = blob_new(text, len);
    http_reply(x, status, fields, retry_after ? 2 : 1, b);
    blob_unref(b);
}

static void handle(void *ctx, struct http_exchange *x)
{
    static const char big[10000];
    int n = atomic_fetch_add(&calls, 1);
    const char *path = http_path(x);
    const char *key = http_header(x, "X-API-Key");
    if (str_eq(path, "/flaky") && n < 2)
        reply(x, 503, "2", "busy", 4);
    else if (str_eq(path, "/later"))
        reply(x, 429, "3600", "later", 5);
    else if (str_eq(path, "/broken"))
        reply(x, 500, NULL, "broken", 6);
    else if (str_eq(path, "/busy"))
        reply(x, 503, NULL, "busy", 4);
    else if (str_eq(path, "/big"))
        reply(x, 200, NULL, big, sizeof big);
    else if (str_eq(path, "/key"))
        reply(x, 200, NULL, key ? key : "none", key ? strlen(key) : 4);
    else
        reply(x, 200, NULL, http_method_name(x), strlen(http_method_name(x)));
}

static int start(void **state)
{
    struct error e = ERROR_INIT;
    struct http_server_options o = { .listen = "127.0.0.1:0", .workers = 2, .handle = handle };
    if (http_server_start(&o, &server, &e) < 0)
        return -1;
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u", http_server_port(server));
    atomic_store(&calls, 0);
    waited = waits = 0;
    return 0;
}

/* The clock stands still unless the test moves it. */
static int start_clock(void **state)
{
    static const struct clock clock = { fake_now, fake_now, NULL };
    atomic_store(&now, 1000000);
    clock_set(&clock);
    return start(state);
}

static int end(void **state)
{
    http_client_cleanup();
    http_server_stop(server, 1000);
    clock_set(NULL);
    return 0;
}

static void wait_for(void *ctx, unsigned ms)
{
    waited += ms;
    waits++;
}

static int call(const char *method, const char *path, struct http_client_request *rq, struct http_client_response *ret,
                struct error *e)
{
    char url[160];
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    rq->method = method;
    rq->url = url;
    rq->wait = wait_for;
    return http_client_send(rq, ret, e);
}

static void gets_an_answer(void **state)
{
    struct http_client_request rq = { 0 };
    _cleanup_response_ struct http_client_response r;
    char type[64];
    assert_int_equal(call(NULL, "/", &rq, &r, NULL), 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(buf_str(&r.body), "GET");
    assert_string_equal(http_client_header(&r, "content-type", type, sizeof type), "text/plain");
    assert_null(http_client_header(&r, "content", type, sizeof type));
}

static void retries_what_may_be_repeated(void **state)
{
    struct http_client_request rq = { 0 };
    struct http_client_response r;
    assert_int_equal(call("GET", "/flaky", &rq, &r, NULL), 0);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.attempts, 3);
    assert_int_equal(waits, 2);
    assert_int_equal(waited, 4000); /* what Retry-After asked for */
    http_client_response_done(&r);
    atomic_store(&calls, 0);
    rq = (struct http_client_request){ .body = "x", .body_len = 1 };
    assert_int_equal(call("POST", "/flaky", &rq, &r, NULL), 0);
    assert_int_equal(r.status, 503);
    assert_int_equal(r.attempts, 1);
    http_client_response_done(&r);
    assert_int_equal(call("GET", "/later", &rq, &r, NULL), 0);
    assert_int_equal(r.status, 429);
    assert_int_equal(r.attempts, 1); /* an hour is not waited for */
    http_client_response_done(&r);
}

static void bounds_the_body(void **state)
{
    struct http_client_request rq = { .body_limit = 5000, .attempts = 1 };
    _cleanup_response_ struct http_client_response r;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(call("GET", "/big", &rq, &r, &e), -ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "larger than 5000"));
}

static int take(void *ctx, const char *bytes, size_t n)
{
    *(size_t *)ctx += n;
    return *(size_t *)ctx > 20000 ? -77 : 0;
}

static int refuse(void *ctx, const char *bytes, size_t n)
{
    return -77;
}

static void streams_the_body(void **state)
{
    size_t got = 0;
    struct http_client_request rq = { .on_bytes = take, .ctx = &got };
    struct http_client_response r;
    assert_int_equal(call("GET", "/big", &rq, &r, NULL), 0);
    assert_int_equal(got, 10000);
    assert_int_equal(r.body.len, 0);
    http_client_response_done(&r);
    rq.on_bytes = refuse;
    assert_int_equal(call("GET", "/big", &rq, &r, NULL), -77);
    assert_int_equal(r.attempts, 1);
    http_client_response_done(&r);
    rq.on_bytes = take;
    got = 0;
    assert_int_equal(call("GET", "/broken", &rq, &r, NULL), 0); /* an error's body is not the stream's */
    assert_int_equal(got, 0);
    assert_string_equal(buf_str(&r.body), "broken");
    http_client_response_done(&r);
}

static void a_failing_host_is_left_alone(void **state)
{
    struct http_client_request rq = { .attempts = 1 };
    struct http_client_response r;
    struct error e = ERROR_INIT;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call("GET", "/busy", &rq, &r, &e), 0);
        http_client_response_done(&r);
    }
    assert_int_equal(call("GET", "/", &rq, &r, &e), -ERR_UNAVAILABLE);
    assert_int_equal(e.retry_after_s, 30);
    assert_int_equal(atomic_load(&calls), 5);
    http_client_response_done(&r);
    error_done(&e);
    atomic_fetch_add(&now, 30000);
    assert_int_equal(call("GET", "/", &rq, &r, &e), 0); /* the one that tries closes it */
    http_client_response_done(&r);
    assert_int_equal(call("GET", "/", &rq, &r, &e), 0);
    http_client_response_done(&r);
}

static void says_why_a_host_is_not_reached(void **state)
{
    struct http_client_request rq = { .url = "http://127.0.0.1:1/", .wait = wait_for };
    _cleanup_error_ struct error e = ERROR_INIT;
    struct http_client_response r;
    assert_int_equal(http_client_send(&rq, &r, &e), -ERR_UNAVAILABLE);
    assert_non_null(strstr(e.message, "127.0.0.1:1"));
    assert_int_equal(r.attempts, 3);
    http_client_response_done(&r);
    rq.url = "file:///etc/passwd";
    assert_int_equal(http_client_send(&rq, &r, &e), -ERR_INTERNAL);
    http_client_response_done(&r);
    const struct http_client_header split[] = { { "X-A", "b\r\nX-C: d" } };
    rq = (struct http_client_request){ .headers = split, .header_count = 1 };
    assert_int_equal(call("GET", "/", &rq, &r, &e), -ERR_INTERNAL);
    http_client_response_done(&r);
}

static void secrets_are_sent_and_not_logged(void **state)
{
    char text[4096] = "";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_init(LOG_DEBUG, LOG_JSON, ends[1]);
    struct secret *key = secret_new("hunter2", 7);
    struct http_client_request rq = { .secret = key, .secret_header = "X-API-Key" };
    _cleanup_response_ struct http_client_response r;
    assert_int_equal(call("GET", "/key?token=hunter2#hunter2", &rq, &r, NULL), 0);
    assert_string_equal(buf_str(&r.body), "hunter2");
    log_init(LOG_WARN, LOG_JSON, 2);
    (void)close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "/key: 200"));
    assert_null(strstr(text, "hunter2"));
    (void)close(ends[0]);
    secret_free(key);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        T(gets_an_answer),
        T(retries_what_may_be_repeated),
        T(bounds_the_body),
        T(streams_the_body),
        cmocka_unit_test_setup_teardown(a_failing_host_is_left_alone, start_clock, end),
        T(says_why_a_host_is_not_reached),
        T(secrets_are_sent_and_not_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
