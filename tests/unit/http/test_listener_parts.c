/* The listener's parts that need no socket: who may connect, timers, the queue of bytes to send. */
#include "http/admission.h"
#include "http/outq.h"
#include "http/wheel.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- admission ---- */

static union address from(const char *text)
{
    union address a = { .v4 = { .sin_family = AF_INET } };
    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
        return a;
    a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
    assert_int_equal(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
    return a;
}

static enum admission_verdict enter(struct admission *a, const char *who)
{
    union address address = from(who);
    return admission_enter(a, &address, false, 1000);
}

static void leave(struct admission *a, const char *who)
{
    union address address = from(who);
    admission_leave(a, &address);
}

static void an_ipv6_customer_is_one_address(void **state)
{
    (void)state;
    struct admission *a = admission_new(&(struct admission_limits){ .connections = 10, .per_address = 2 });
    assert_int_equal(enter(a, "2001:db8:0:1::1"), ADMISSION_IN);
    assert_int_equal(enter(a, "2001:db8:0:1:ffff::2"), ADMISSION_IN);
    assert_int_equal(enter(a, "2001:db8:0:1::3"), ADMISSION_ADDRESS);
    assert_int_equal(enter(a, "2001:db8:0:2::1"), ADMISSION_IN);
    assert_int_equal(enter(a, "192.0.2.1"), ADMISSION_IN);
    assert_int_equal(enter(a, "::ffff:192.0.2.1"), ADMISSION_IN);
    assert_int_equal(enter(a, "192.0.2.1"), ADMISSION_ADDRESS);
    union address proxy = from("192.0.2.1");
    assert_int_equal(admission_enter(a, &proxy, true, 1000), ADMISSION_IN);
    assert_int_equal(admission_open(a), 6);
    leave(a, "2001:db8:0:1::9");
    assert_int_equal(enter(a, "2001:db8:0:1::3"), ADMISSION_IN);
    admission_free(a);
}

static void loopback_has_no_cap_and_the_reserve(void **state)
{
    (void)state;
    static const char *const loopback[] = { "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1" };
    struct admission *a =
        admission_new(&(struct admission_limits){ .connections = 8, .per_address = 1, .reserved = 4 });
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
        assert_int_equal(enter(a, loopback[i]), ADMISSION_IN);
    assert_int_equal(enter(a, "198.51.100.1"), ADMISSION_FULL);
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
        assert_int_equal(enter(a, loopback[i]), ADMISSION_IN);
    assert_int_equal(enter(a, "127.0.0.1"), ADMISSION_FULL);
    admission_free(a);
}

static void a_known_address_is_forgotten_in_time(void **state)
{
    (void)state;
    struct admission *a =
        admission_new(&(struct admission_limits){ .connections = 2, .per_address = 9, .reserved = 1 });
    union address who = from("198.51.100.1");
    assert_int_equal(enter(a, "198.51.100.2"), ADMISSION_IN);
    assert_false(admission_privileged(a, &who, 1000));
    admission_know(a, &who, 1000);
    assert_true(admission_privileged(a, &who, 1000 + ADMISSION_KNOWN_MS - 1));
    assert_false(admission_privileged(a, &who, 1000 + ADMISSION_KNOWN_MS));
    assert_int_equal(admission_enter(a, &who, false, 1000 + ADMISSION_KNOWN_MS), ADMISSION_FULL);
    assert_int_equal(admission_enter(a, &who, false, 1001), ADMISSION_IN);
    admission_free(a);
}

/* However many authenticate, the table stays as it is and the latest are in it. */
static void the_table_of_the_known_is_bounded(void **state)
{
    (void)state;
    struct admission *a = admission_new(&(struct admission_limits){ .connections = 2, .per_address = 9 });
    unsigned known = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        union address who = { .v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336400u + i) } };
        admission_know(a, &who, 1000 + i);
        assert_true(admission_privileged(a, &who, 1000 + i));
    }
    for (uint32_t i = 0; i < 10000; i++) {
        union address who = { .v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336400u + i) } };
        known += admission_privileged(a, &who, 11000);
    }
    assert_in_range(known, ADMISSION_KNOWN_MAX / 2, ADMISSION_KNOWN_MAX);
    admission_free(a);
}

/* ---- the wheel ---- */

struct timed {
    struct wheel_timer timer;
    int64_t fired;
};
static int64_t wheel_now;

static void on_fire(void *ctx, struct wheel_timer *t)
{
    unsigned *fired = ctx;
    ((struct timed *)t)->fired = wheel_now;
    (*fired)++;
}

static unsigned run_to(struct wheel *w, int64_t to)
{
    unsigned fired = 0;
    while (wheel_now < to) {
        int wait = wheel_timeout(w, wheel_now);
        wheel_now += wait < 0 || wait > to - wheel_now ? to - wheel_now : wait > 0 ? wait : 1;
        wheel_run(w, wheel_now, on_fire, &fired);
    }
    return fired;
}

static void timers_fire_once_and_not_early(void **state)
{
    (void)state;
    static struct wheel w;
    static struct timed timers[2000];
    memset(timers, 0, sizeof timers);
    wheel_now = 123457;
    wheel_init(&w, wheel_now);
    assert_int_equal(wheel_timeout(&w, wheel_now), -1);
    for (int i = 0; i < 2000; i++)
        wheel_set(&w, &timers[i].timer, wheel_now + i * 37);
    assert_int_equal(run_to(&w, wheel_now + 100000), 2000);
    for (int i = 0; i < 2000; i++)
        assert_in_range(timers[i].fired - (123457 + i * 37), 0, 2 * WHEEL_TICK_MS);
    assert_int_equal(wheel_timeout(&w, wheel_now), -1);
}

static void a_deadline_moves_both_ways(void **state)
{
    (void)state;
    static struct wheel w;
    struct timed later = { 0 }, sooner = { 0 }, gone = { 0 }, never = { 0 };
    wheel_now = 5000;
    wheel_init(&w, wheel_now);
    wheel_set(&w, &later.timer, 5100);
    wheel_set(&w, &later.timer, 9000);
    wheel_set(&w, &sooner.timer, 90000);
    wheel_set(&w, &sooner.timer, 5200);
    wheel_set(&w, &gone.timer, 5300);
    wheel_cancel(&gone.timer);
    wheel_set(&w, &never.timer, 5300);
    wheel_set(&w, &never.timer, WHEEL_NEVER);
    assert_int_equal(run_to(&w, 200000), 2);
    assert_in_range(later.fired, 9000, 9000 + 2 * WHEEL_TICK_MS);
    assert_in_range(sooner.fired, 5200, 5200 + 2 * WHEEL_TICK_MS);
    assert_int_equal(gone.fired + never.fired, 0);
}

/* The process stood still (suspend): everything due fires at once. */
static void a_jump_of_the_clock_fires_what_is_due(void **state)
{
    (void)state;
    static struct wheel w;
    struct timed due = { 0 }, later = { 0 };
    unsigned fired = 0;
    wheel_init(&w, 1000);
    wheel_set(&w, &due.timer, 2000);
    wheel_set(&w, &later.timer, 10000000);
    wheel_now = 5000000;
    wheel_run(&w, wheel_now, on_fire, &fired);
    assert_int_equal(fired, 1);
    assert_int_equal(due.fired, 5000000);
    assert_int_equal(run_to(&w, 10001000), 1);
}

/* ---- the queue of bytes ---- */

/* Sends everything in writes of `step` bytes. */
static void drain(struct outq *q, size_t step, struct buf *ret)
{
    struct outq_gather g;
    int n;
    while ((n = outq_gather(q, &g)) > 0) {
        size_t left = step;
        for (int i = 0; i < n && left; i++) {
            size_t take = g.iov[i].iov_len < left ? g.iov[i].iov_len : left;
            (void)buf_append(ret, g.iov[i].iov_base, take);
            left -= take;
        }
        outq_sent(q, step - left);
    }
}

static void any_short_write_keeps_the_bytes(void **state)
{
    (void)state;
    struct blob *a = blob_new("head\r\n", 6), *b = blob_new("seventeen bytes!!", 17), *none = blob_new("", 0);
    for (size_t step = 1; step < 80; step++) {
        struct outq q = { 0 };
        _cleanup_buf_ struct buf sent;
        buf_init(&sent, 0);
        assert_int_equal(outq_push(&q, a, false), 0);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(outq_push(&q, b, true), 0);
            assert_int_equal(outq_push(&q, none, true), 0); /* an empty chunk would end the body */
        }
        assert_int_equal(q.bytes, 6 + 40 * (4 + 17 + 2));
        drain(&q, step, &sent);
        assert_int_equal(q.bytes, 0);
        assert_int_equal(sent.len, 6 + 40 * 23);
        assert_memory_equal(sent.data, "head\r\n11\r\nseventeen bytes!!\r\n11\r\n", 33);
        outq_done(&q);
    }
    assert_int_equal(a->refs, 1);
    assert_int_equal(b->refs, 1);
    blob_unref(a);
    blob_unref(b);
    blob_unref(none);
}

/* A blob with a file leaves by itself, from where the last write ended; what follows it is told before. */
static void a_file_is_sent_after_its_head(void **state)
{
    (void)state;
    struct outq q = { .files = true };
    struct outq_gather g;
    struct blob *head = blob_new("head", 4), *body = blob_new("0123456789", 10);
    char piece[10];
    blob_make_file(body);
    assert_true(blob_file(body) >= 0);
    assert_int_equal(outq_push(&q, head, false), 0);
    assert_int_equal(outq_push(&q, body, false), 0);
    assert_int_equal(outq_push(&q, head, false), 0);
    assert_int_equal(outq_gather(&q, &g), 1);
    assert_true(g.file < 0 && g.more);
    outq_sent(&q, 4);
    assert_int_equal(outq_gather(&q, &g), 1);
    assert_true(g.file_from == 0 && g.file_len == 10 && !g.more);
    outq_sent(&q, 3);
    assert_int_equal(outq_gather(&q, &g), 1);
    assert_int_equal(g.file_len, 7);
    assert_int_equal(pread(g.file, piece, sizeof piece, (off_t)g.file_from), 7);
    assert_memory_equal(piece, "3456789", 7);
    outq_sent(&q, 7);
    assert_int_equal(outq_gather(&q, &g), 1);
    assert_true(g.file < 0 && !g.more);
    outq_done(&q);
    assert_int_equal(outq_push(&q, body, false), 0); /* now nobody said that files can be sent */
    assert_int_equal(outq_gather(&q, &g), 1);
    assert_true(g.file < 0);
    outq_done(&q);
    blob_unref(head);
    blob_unref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_sent_after_its_head),       cmocka_unit_test(an_ipv6_customer_is_one_address),
        cmocka_unit_test(loopback_has_no_cap_and_the_reserve), cmocka_unit_test(a_known_address_is_forgotten_in_time),
        cmocka_unit_test(the_table_of_the_known_is_bounded),   cmocka_unit_test(timers_fire_once_and_not_early),
        cmocka_unit_test(a_deadline_moves_both_ways),          cmocka_unit_test(a_jump_of_the_clock_fires_what_is_due),
        cmocka_unit_test(any_short_write_keeps_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
