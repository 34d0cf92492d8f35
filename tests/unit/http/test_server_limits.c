/* The listener under abuse: slow, greedy, silent and countless clients. */
#include "server_fixture.h"

#include "base/str.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void expect_status(struct client *c, int status)
{
    assert_true(client_hear(c, false));
    assert_int_equal(c->status, status);
}

static struct http_stats stats(void)
{
    struct http_stats s;
    http_server_stats(fixture_server, &s);
    return s;
}

/* ---- time ---- */

/* Says `piece` every few ms until the server answers; returns how long that took. */
static int64_t drip(struct client *c, const char *piece, int status)
{
    int64_t began = now_ms();
    while (!client_wait(c, 1, 5) && now_ms() - began < 8000)
        (void)client_say_n(c, piece, strlen(piece));
    int64_t took = now_ms() - began;
    expect_status(c, status);
    assert_true(client_ended(c, 5000));
    return took;
}

static void O46_a_slow_header_gets_408_in_time(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.header_ms = 300;
    o.limits.header_bytes = 65536;
    o.limits.header_count = 10000;
    fixture_start(&o);
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "GET / HTTP/1.1\r\nHost: a\r\n");
    assert_in_range(drip(&c, "A:\r\n", 408), 250, 2000);
    client_close(&c);
    client_open(&c, NULL);
    client_say(&c, "GET /");
    assert_in_range(drip(&c, "x", 408), 250, 2000);
    client_close(&c);
    assert_int_equal(stats().timeouts, 2);
}

static void a_slow_body_gets_408_in_time(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.body_ms = 300;
    fixture_start(&o);
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    assert_in_range(drip(&c, "xxxxxxxxxx", 408), 250, 2000);
    client_close(&c);
    client_open(&c, NULL);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_in_range(drip(&c, "1\r\nx\r\n", 408), 250, 2000);
    client_close(&c);
    assert_int_equal(fixture_handled(), 0);
}

/* A body keeps a rate: a byte now and then is too slow long before the total time is over. */
static void a_body_below_its_rate_gets_408(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.body_grace_ms = 300;
    o.limits.body_rate = 100000;
    fixture_start(&o);
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    assert_in_range(drip(&c, "x", 408), 250, 2000);
    client_close(&c);
}

static void silence_is_closed_without_a_word(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.idle_ms = 200;
    fixture_start(&o);
    struct client fresh, used;
    client_open(&fresh, NULL);
    client_open(&used, NULL);
    client_say(&used, GET("/hello"));
    expect_status(&used, 200);
    assert_true(client_ended(&fresh, 3000));
    assert_true(client_ended(&used, 3000));
    client_close(&fresh);
    client_close(&used);
    WAIT_FOR(stats().open == 0);
}

static void a_client_that_never_reads_is_closed(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.write_ms = 200;
    fixture_start(&o);
    static const char *const big[] = { GET("/big"), GET("/filed") };
    for (unsigned i = 0; i < 2; i++) {
        struct client c;
        assert_true(client_try(&c, NULL, 4096));
        client_say(&c, big[i]);
        WAIT_FOR(stats().requests == i + 1);
        WAIT_FOR(stats().open == 0);
        assert_int_equal(stats().timeouts, i + 1);
        client_close(&c);
    }
}

/* Reading slowly is not forbidden, as long as it goes on. */
static void a_client_that_reads_slowly_is_served(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.write_ms = 300;
    fixture_start(&o);
    struct client c;
    assert_true(client_try(&c, NULL, 65536));
    client_say(&c, GET("/big"));
    int64_t began = now_ms();
    size_t seen = 0, pause_at = 0;
    while (seen < FIXTURE_BIG) {
        if (seen >= pause_at && now_ms() - began < 900) { /* longer in all than write_ms */
            assert_false(client_ended(&c, 0));
            for (int i = 0; i < 20; i++)
                fixture_pause();
            pause_at = seen + 400000;
        }
        assert_true(client_wait(&c, 1, 3000));
        seen += c.in.len;
        buf_clear(&c.in);
    }
    assert_true(now_ms() - began > 300);
    client_close(&c);
}

static void a_subscriber_that_never_reads_is_closed(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.write_ms = 200;
    o.limits.stream_bytes = 64u << 20;
    fixture_start(&o);
    struct client c;
    assert_true(client_try(&c, NULL, 4096));
    client_say(&c, GET("/stream"));
    WAIT_FOR(fixture_streams() == 1);
    char frame[65536];
    memset(frame, 'x', sizeof frame - 1);
    frame[sizeof frame - 1] = '\0';
    for (int i = 0; i < 32; i++)
        (void)fixture_publish(frame);
    WAIT_FOR(fixture_closed_streams() == 1);
    assert_int_equal(stats().streams, 0);
    client_close(&c);
}

/* ---- sizes ---- */

static void sizes_have_their_statuses(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.header_bytes = 2048;
    o.limits.header_count = 10;
    o.limits.bodies_bytes = 100000;
    fixture_start(&o);
    char text[4096];
    memset(text, 'x', sizeof text);
    static const struct {
        const char *begin;
        int status;
    } cases[] = { { "GET /", 414 }, { "GET / HTTP/1.1\r\nA: ", 431 } };
    struct client c;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        client_open(&c, NULL);
        client_say(&c, cases[i].begin);
        assert_true(client_say_n(&c, text, sizeof text));
        expect_status(&c, cases[i].status);
        assert_true(client_ended(&c, 3000));
        client_close(&c);
    }
    client_open(&c, NULL);
    client_say(&c, "GET / HTTP/1.1\r\nHost: a\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n9:\r\n10:\r\n\r\n");
    expect_status(&c, 431);
    client_close(&c);
    client_open(&c, NULL); /* within its own limit, but all bodies together are over theirs */
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    for (int i = 0; i < 40; i++)
        (void)client_say_n(&c, text, sizeof text);
    expect_status(&c, 503);
    client_close(&c);
}

static void a_full_queue_answers_503_and_recovers(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.workers = 1;
    o.limits.queue = 2;
    fixture_start(&o);
    struct client busy, waiting[2], refused;
    client_open(&busy, NULL);
    client_say(&busy, GET("/gate"));
    WAIT_FOR(fixture_waiting() == 1);
    for (int i = 0; i < 2; i++) {
        client_open(&waiting[i], NULL);
        client_say(&waiting[i], GET("/hello"));
    }
    WAIT_FOR(stats().queued == 2);
    client_open(&refused, NULL);
    client_say(&refused, GET("/hello"));
    expect_status(&refused, 503);
    assert_non_null(strstr(refused.head.data, "Retry-After: 1\r\n"));
    client_say(&refused, GET("/inline")); /* what needs no worker goes on */
    expect_status(&refused, 200);
    fixture_open_gate();
    expect_status(&busy, 200);
    for (int i = 0; i < 2; i++) {
        expect_status(&waiting[i], 200);
        client_close(&waiting[i]);
    }
    client_say(&refused, GET("/hello"));
    expect_status(&refused, 200);
    client_close(&busy);
    client_close(&refused);
}

/* ---- numbers ---- */

/* A request begun and not finished: not idle, so nobody's place. */
static void begin_request(struct client *c, const char *from)
{
    client_open(c, from);
    client_say(c, "GET / HTTP/1.1\r\n");
}

static void an_address_has_its_share(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.loopback_plain = true;
    o.limits.per_address = 3;
    fixture_start(&o);
    struct client c[3], more, other;
    for (int i = 0; i < 3; i++)
        begin_request(&c[i], "127.0.0.2");
    WAIT_FOR(stats().open == 3);
    client_open(&more, "127.0.0.2");
    assert_true(client_ended(&more, 3000));
    assert_int_equal(stats().refused, 1);
    client_open(&other, "127.0.0.3");
    client_say(&other, GET("/hello"));
    expect_status(&other, 200);
    client_close(&c[0]);
    WAIT_FOR(stats().open == 3);
    client_close(&more);
    client_open(&more, "127.0.0.2");
    client_say(&more, GET("/hello"));
    expect_status(&more, 200);
    client_close(&more);
    client_close(&other);
    client_close(&c[1]);
    client_close(&c[2]);
}

static void the_known_find_a_reserved_place(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.loopback_plain = true;
    o.limits.connections = 8;
    o.limits.reserved = 3;
    fixture_start(&o);
    struct client owner, strangers[5], stranger;
    client_open(&owner, "127.0.0.9");
    client_say(&owner, GET("/know"));
    expect_status(&owner, 200);
    client_close(&owner);
    WAIT_FOR(stats().open == 0);
    for (int i = 0; i < 5; i++)
        begin_request(&strangers[i], "127.0.0.2");
    WAIT_FOR(stats().open == 5);
    client_open(&stranger, "127.0.0.3");
    assert_true(client_ended(&stranger, 3000));
    client_close(&stranger);
    client_open(&owner, "127.0.0.9");
    client_say(&owner, GET("/hello"));
    expect_status(&owner, 200);
    client_close(&owner);
    for (int i = 0; i < 5; i++)
        client_close(&strangers[i]);
}

static void an_idle_stranger_makes_room(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.loopback_plain = true;
    o.limits.connections = 4;
    o.limits.reserved = 1;
    fixture_start(&o);
    struct client c[3], more;
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], "127.0.0.2");
        client_say(&c[i], GET("/hello"));
        expect_status(&c[i], 200);
    }
    client_open(&more, "127.0.0.3");
    client_say(&more, GET("/hello"));
    expect_status(&more, 200);
    assert_true(client_ended(&c[0], 3000)); /* the oldest */
    client_say(&c[1], GET("/hello"));
    expect_status(&c[1], 200);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    client_close(&more);
}

static double cpu_seconds(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* With no descriptor left the loop neither spins nor dies, and goes on when there are some again. */
static void running_out_of_descriptors_is_survived(void **state)
{
    (void)state;
    enum { N = 20 };
    struct http_server_options o = fixture_options();
    fixture_start(&o);
    struct client busy, c[N];
    begin_request(&busy, NULL);
    WAIT_FOR(stats().open == 1);
    int lowest = fcntl(busy.fd, F_DUPFD_CLOEXEC, 0);
    assert_true(lowest >= 0);
    (void)close(lowest);
    struct rlimit was, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = (rlim_t)lowest; /* every new descriptor would be at or above it */
    /* sockets are made before: only accepting needs new descriptors */
    int fds[N];
    for (int i = 0; i < N; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    double before = cpu_seconds();
    for (int i = 0; i < N; i++)
        assert_true(client_connect_fd(&c[i], fds[i]));
    int64_t until = now_ms() + 600;
    while (now_ms() < until)
        fixture_pause();
    double used = cpu_seconds() - before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(used < 0.1);
    assert_true(stats().refused > 0);
    client_say(&busy, "Host: a\r\n\r\n");
    expect_status(&busy, 200);
    client_close(&busy);
    for (int i = 0; i < N; i++)
        client_close(&c[i]);
    client_open(&busy, NULL);
    client_say(&busy, GET("/hello"));
    expect_status(&busy, 200);
    client_close(&busy);
}

static size_t resident_bytes(void)
{
    _cleanup_free_ char *text = NULL;
    size_t len, pages;
    assert_int_equal(file_read("/proc/self/statm", 4096, &text, &len), 0);
    assert_int_equal(sscanf(text, "%*s %zu", &pages), 1);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

enum { SLOW = 5000 };
static struct client slow[SLOW];

/* Address by number, so that no address is over its share. */
static void slow_client(int i, const char *text)
{
    char from[32];
    (void)snprintf(from, sizeof from, "127.0.%d.2", 1 + i / 100);
    client_open(&slow[i], from);
    client_say(&slow[i], text);
}

static void raise_descriptor_limit(void)
{
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 2 * SLOW + 100)
        skip();
}

/* Under 100 ms, save for what a busy machine may do to a few of twenty. */
static void expect_health(const char *from)
{
    unsigned quick = 0;
    for (int i = 0; i < 20; i++) {
        int64_t began = now_ms();
        struct client c;
        client_open(&c, from);
        client_say(&c, GET("/hello"));
        expect_status(&c, 200);
        client_close(&c);
        quick += now_ms() - began < 100;
    }
    assert_in_range(quick, 16, 20);
}

static void O46_health_answers_beside_5000_slow_clients(void **state)
{
    (void)state;
    raise_descriptor_limit();
    struct http_server_options o = fixture_options();
    o.loopback_plain = true;
    o.limits.connections = SLOW + 64;
    o.limits.header_ms = o.limits.body_ms = o.limits.body_grace_ms = 30000;
    fixture_start(&o);
    size_t before = resident_bytes();
    for (int i = 0; i < SLOW; i++)
        slow_client(i, i % 3 == 0   ? "GET / HTTP/1.1\r\nHost: a\r\nX"
                       : i % 3 == 1 ? "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"
                                    : GET("/stream"));
    WAIT_FOR(stats().open == SLOW && fixture_streams() == SLOW / 3);
    expect_health("127.0.0.9");
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < SLOW; i++)
            if (i % 3 == 0)
                (void)client_say_n(&slow[i], "y", 1);
        (void)fixture_publish(": never read by two thousand\n\n");
    }
    expect_health("127.0.0.9");
#ifndef __SANITIZE_THREAD__ /* its shadow memory would be measured */
    assert_true(resident_bytes() - before < (size_t)SLOW * 4096);
#else
    (void)before;
#endif
    for (int i = 0; i < SLOW; i++)
        client_close(&slow[i]);
    WAIT_FOR(stats().open == 0);
}

/* More than there is room for: strangers are turned away, the owner's place is kept. */
static void O46_the_owner_gets_in_when_strangers_fill_the_rest(void **state)
{
    (void)state;
    raise_descriptor_limit();
    struct http_server_options o = fixture_options();
    o.loopback_plain = true;
    o.limits.connections = 1000;
    o.limits.header_ms = 30000;
    fixture_start(&o);
    struct client owner;
    client_open(&owner, "127.0.0.9");
    client_say(&owner, GET("/know"));
    expect_status(&owner, 200);
    client_close(&owner);
    WAIT_FOR(stats().open == 0);
    for (int i = 0; i < SLOW; i++) {
        char from[32];
        (void)snprintf(from, sizeof from, "127.0.%d.2", 1 + i / 100);
        assert_true(client_try(&slow[i], from, 0));
        (void)client_say_n(&slow[i], "GET / HTTP/1.1\r\n", 16); /* may be refused already */
    }
    WAIT_FOR(stats().accepted + stats().refused == SLOW + 1);
    assert_in_range(stats().open, 900, 1000 - 32);
    expect_health("127.0.0.9");
    for (int i = 0; i < SLOW; i++)
        client_close(&slow[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(O46_a_slow_header_gets_408_in_time),
        TEST(a_slow_body_gets_408_in_time),
        TEST(a_body_below_its_rate_gets_408),
        TEST(silence_is_closed_without_a_word),
        TEST(a_client_that_never_reads_is_closed),
        TEST(a_client_that_reads_slowly_is_served),
        TEST(a_subscriber_that_never_reads_is_closed),
        TEST(sizes_have_their_statuses),
        TEST(a_full_queue_answers_503_and_recovers),
        TEST(an_address_has_its_share),
        TEST(the_known_find_a_reserved_place),
        TEST(an_idle_stranger_makes_room),
        TEST(running_out_of_descriptors_is_survived),
        TEST(O46_health_answers_beside_5000_slow_clients),
        TEST(O46_the_owner_gets_in_when_strangers_fill_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
