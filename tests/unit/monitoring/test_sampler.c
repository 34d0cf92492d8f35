/* The sampler's rhythm, on a clock of the test's own. */
#include "metrics_fixture.h"

#include "base/clock.h"
#include "base/json.h"
#include "monitoring/sampler.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic int64_t now_ms;

static int64_t read_now(void *ctx UNUSED)
{
    return atomic_load(&now_ms);
}

static const struct clock TEST_CLOCK = { read_now, read_now, NULL };

/* What the callbacks see and steer. */
struct stage {
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool ended;
    unsigned waits, stop_after;
    unsigned slow_at;    /* this round takes 25 s */
    unsigned early_by;   /* ms that each wait ends too soon */
    int64_t at[64];
    unsigned rounds;
    unsigned told;
    double told_memory;
};

static bool stage_wait(void *ctx, int64_t ms)
{
    struct stage *s = ctx;
    if (s->waits++ == s->stop_after) {
        pthread_mutex_lock(&s->lock);
        s->ended = true;
        pthread_cond_signal(&s->over);
        pthread_mutex_unlock(&s->lock);
        return false;
    }
    atomic_fetch_add(&now_ms, ms - s->early_by);
    return true;
}

static void stage_sampled(void *ctx, int64_t at_ms)
{
    struct stage *s = ctx;
    s->at[s->rounds++] = at_ms;
    atomic_fetch_add(&now_ms, s->rounds == s->slow_at ? 25000 : 137);
}

static void stage_event(void *ctx, const char *type, const char *entity_id, const char *data, size_t len)
{
    struct stage *s = ctx;
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *doc = NULL;
    assert_string_equal(type, "metric.sampled");
    assert_string_equal(entity_id, "n1");
    assert_int_equal(json_parse(data, len, &doc, &e), 0);
    s->told_memory = json_number_value(json_object_get(json_at(doc, "values"), "memory.total.bytes"));
    s->told++;
}

static void run(struct fixture *f, struct stage *s, struct events *events)
{
    struct error e = ERROR_INIT;
    struct sampler *sampler;
    struct sampler_options o = { .metrics = f->metrics,
                                 .events = events,
                                 .host = { .source = "host", .node_id = "n1" },
                                 .ctx = s,
                                 .sampled = stage_sampled,
                                 .wait = stage_wait };
    assert_int_equal(sampler_start(&o, &sampler, &e), 0);
    pthread_mutex_lock(&s->lock);
    while (!s->ended)
        pthread_cond_wait(&s->over, &s->lock);
    pthread_mutex_unlock(&s->lock);
    struct sampler_stats stats;
    sampler_get_stats(sampler, &stats);
    sampler_stop(sampler);
    assert_int_equal(stats.rounds, s->rounds);
    assert_int_equal(stats.failed, 0);
    assert_int_equal(stats.skipped, s->slow_at ? 2 : 0);
}

static struct stage new_stage(unsigned rounds)
{
    return (struct stage){ .lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER, .stop_after = rounds };
}

static void samples_stand_at_multiples_of_the_interval(void **state)
{
    struct fixture *f = *state;
    struct stage s = new_stage(20);
    struct events *events = events_new();
    assert_non_null(events);
    assert_int_equal(events_listen(events, stage_event, &s), 0);
    atomic_store(&now_ms, T0 + 3210);
    run(f, &s, events);
    assert_int_equal(s.rounds, 20);
    for (unsigned i = 0; i < s.rounds; i++) /* whatever a round costs, there is no drift */
        assert_int_equal(s.at[i], T0 + (i + 1) * 10000);
    assert_int_equal(s.told, 20);
    assert_true(s.told_memory > 1e6);
    struct metric_result r = fixture_ask(f, "memory.total.bytes", T0 + 10000, T0 + 200000, 10000, FN_LAST);
    assert_int_equal(r.points, 20);
    for (size_t i = 0; i < r.points; i++)
        assert_true(r.series[0].values[i] == s.told_memory);
    metric_result_done(&r);
    events_free(events);
}

static void a_slow_round_skips_what_it_missed(void **state)
{
    struct fixture *f = *state;
    struct stage s = new_stage(6);
    s.slow_at = 3;
    atomic_store(&now_ms, T0);
    run(f, &s, NULL);
    static const int64_t WANT[] = { 10000, 20000, 30000, 60000, 70000, 80000 };
    for (unsigned i = 0; i < ARRAY_LEN(WANT); i++)
        assert_int_equal(s.at[i], T0 + WANT[i]);
}

static void a_wait_that_ends_early_gives_no_sample_twice(void **state)
{
    struct fixture *f = *state;
    struct stage s = new_stage(6);
    s.early_by = 140; /* more than a round takes: the clock still stands before the multiple */
    atomic_store(&now_ms, T0);
    run(f, &s, NULL);
    for (unsigned i = 0; i < s.rounds; i++)
        assert_int_equal(s.at[i], T0 + (i + 1) * 10000);
}

/* An engine whose stats call hangs until it is let go. */
struct hanging_engine {
    struct container_engine base;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool asked, let_go;
};

static int hanging_stats(struct container_engine *g, const char *id UNUSED, struct engine_stats *ret UNUSED,
                         struct error *e)
{
    struct hanging_engine *h = (struct hanging_engine *)g;
    pthread_mutex_lock(&h->lock);
    h->asked = true;
    pthread_cond_broadcast(&h->moved);
    while (!h->let_go)
        pthread_cond_wait(&h->moved, &h->lock);
    pthread_mutex_unlock(&h->lock);
    return error_set(e, ERR_UPSTREAM_TIMEOUT, "no answer");
}

static const struct engine_ops HANGING_OPS = { .stats = hanging_stats };

struct hanging_stage {
    struct hanging_engine engine;
    _Atomic unsigned host_rounds_while_hanging;
};

static int hanging_containers(void *ctx, struct sampled_container **ret, size_t *ret_n)
{
    struct hanging_stage *s = ctx;
    *ret = calloc(8, sizeof **ret);
    for (size_t i = 0; *ret && i < 8; i++)
        (*ret)[i] = (struct sampled_container){ "service", "container", &s->engine.base, 0 };
    *ret_n = *ret ? 8 : 0;
    return 0;
}

static void count_host_round(void *ctx, int64_t at_ms UNUSED)
{
    struct hanging_stage *s = ctx;
    pthread_mutex_lock(&s->engine.lock);
    if (s->engine.asked && ++s->host_rounds_while_hanging == 3) {
        s->engine.let_go = true;
        pthread_cond_broadcast(&s->engine.moved);
    }
    pthread_mutex_unlock(&s->engine.lock);
}

static void a_hanging_engine_costs_the_host_nothing(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct sampler *sampler;
    struct hanging_stage s = {
        .engine = { .base.ops = &HANGING_OPS, .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER }
    };
    struct sampler_options o = { .metrics = f->metrics,
                                 .interval_ms = 20,
                                 .host = { .source = "host", .node_id = "n1" },
                                 .container_source = "docker",
                                 .containers = hanging_containers,
                                 .sampled = count_host_round,
                                 .ctx = &s };
    clock_set(NULL);
    assert_int_equal(sampler_start(&o, &sampler, &e), 0);
    pthread_mutex_lock(&s.engine.lock);
    while (!s.engine.let_go)
        pthread_cond_wait(&s.engine.moved, &s.engine.lock);
    pthread_mutex_unlock(&s.engine.lock);
    sampler_stop(sampler);
    assert_true(s.host_rounds_while_hanging >= 3);
    clock_set(&TEST_CLOCK);
}

static void stopping_does_not_wait_for_the_interval(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct sampler *sampler;
    struct sampler_options o = { .metrics = f->metrics,
                                 .interval_ms = 3600000,
                                 .host = { .source = "host", .node_id = "n1" } };
    clock_set(NULL);
    int64_t began = clock_mono_ms();
    assert_int_equal(sampler_start(&o, &sampler, &e), 0);
    sampler_stop(sampler);
    assert_true(clock_mono_ms() - began < 60000);
    clock_set(&TEST_CLOCK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(samples_stand_at_multiples_of_the_interval),   CASE(a_slow_round_skips_what_it_missed),
        CASE(a_wait_that_ends_early_gives_no_sample_twice), CASE(a_hanging_engine_costs_the_host_nothing),
        CASE(stopping_does_not_wait_for_the_interval),
    };
    clock_set(&TEST_CLOCK);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
