/* The limiter, on a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <pthread.h>
#include <stdio.h>

static int64_t now_ms;

static int64_t read_now(void *ctx)
{
    return now_ms;
}

static const struct clock moved = { read_now, read_now, NULL };

static int start(void **state)
{
    now_ms = 1000000;
    clock_set(&moved);
    return 0;
}

static int end(void **state)
{
    clock_set(NULL);
    return 0;
}

static unsigned take(struct limiter *l, const char *who)
{
    return limiter_take(l, who, NULL);
}

static void gives_as_many_as_it_says_and_refills_evenly(void **state)
{
    struct limiter *l = limiter_new(60, 100);
    unsigned left = 0;
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(limiter_take(l, "a", &left), 0);
        assert_int_equal(left, 59 - i);
    }
    assert_in_range(limiter_take(l, "a", &left), 1, 2);
    assert_int_equal(left, 0);
    assert_int_equal(take(l, "b"), 0); /* another has its own */
    now_ms += 999;
    assert_true(take(l, "a") > 0);
    now_ms += 1;
    assert_int_equal(take(l, "a"), 0);
    assert_true(take(l, "a") > 0);
    now_ms += (int64_t)3600 * 1000;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(take(l, "a"), 0);
    assert_true(take(l, "a") > 0);
    limiter_free(l);
}

/* Who waits as long as it was told gets in. */
static void the_wait_it_names_is_enough(void **state)
{
    static const unsigned rates[] = { 1, 7, 20, 100, 3000 };
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct limiter *l = limiter_new(rates[i], 10);
        unsigned wait;
        while (!(wait = take(l, "a")))
            ;
        assert_in_range(wait, 1, 61);
        now_ms += (int64_t)wait * 1000;
        assert_int_equal(take(l, "a"), 0);
        limiter_free(l);
    }
}

static void zero_means_no_limit(void **state)
{
    struct limiter *l = limiter_new(0, 10);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(take(l, "a"), 0);
    assert_int_equal(limiter_size(l), 0);
    limiter_free(l);
}

static void the_table_is_bounded(void **state)
{
    struct limiter *l = limiter_new(10, 1000);
    char who[32];
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(who, sizeof who, "10.%d.%d.1", i >> 8, i & 255);
        assert_int_equal(take(l, who), 0);
        now_ms += i % 100 == 0;
        assert_true(limiter_size(l) <= 1000);
    }
    limiter_free(l);
}

/* Buckets that are full again go first: whoever is being limited stays so beside many that come once. */
static void full_buckets_go_before_a_limited_one(void **state)
{
    struct limiter *l = limiter_new(10, 1000);
    char who[32];
    int through = 0;
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(who, sizeof who, "10.%d.%d.1", i >> 8, i & 255);
        assert_int_equal(take(l, who), 0);
        now_ms += 60; /* a bucket of one use is full again after 6 s, which 100 others come in */
        through += take(l, "hammer") == 0;
    }
    assert_in_range(through, 50, 10 + 5000 * 60 / 6000 + 1);
    limiter_free(l);
}

static void *hammer(void *arg)
{
    unsigned long got = 0;
    for (int i = 0; i < 1000; i++)
        got += take(arg, "a") == 0;
    return (void *)got;
}

static void many_threads_get_no_more_than_one(void **state)
{
    struct limiter *l = limiter_new(100, 10);
    pthread_t threads[4];
    unsigned long all = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, l), 0);
    for (int i = 0; i < 4; i++) {
        void *got = NULL;
        (void)pthread_join(threads[i], &got);
        all += (unsigned long)got;
    }
    assert_int_equal(all, 100);
    limiter_free(l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(gives_as_many_as_it_says_and_refills_evenly),
        T(the_wait_it_names_is_enough),
        T(zero_means_no_limit),
        T(the_table_is_bounded),
        T(full_buckets_go_before_a_limited_one),
        T(many_threads_get_no_more_than_one),
    };
    return cmocka_run_group_tests_name("security_rate_limit", tests, NULL, NULL);
}
