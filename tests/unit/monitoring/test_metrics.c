/* The engine on a real store: what queries answer, what survives, what is refused. */
#include "metrics_fixture.h"

#include "base/clock.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP 10000
#define SEED 0x2545f4914f6cdd1dull

/* ---- answers ---- */

struct naive {
    int64_t at[8192];
    double value[8192];
    size_t n;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The definition, written plainly: samples in (t - step, t]. */
static double naive_answer(const struct naive *s, enum metric_fn fn, int64_t t, int64_t step)
{
    static double in[8192];
    size_t n = 0;
    double sum = 0, increase = 0, seconds = 0, last = NAN;
    for (size_t i = 0; i < s->n; i++) {
        if (s->at[i] <= t - step || s->at[i] > t)
            continue;
        in[n++] = last = s->value[i];
        sum += s->value[i];
        int64_t gap = i ? s->at[i] - s->at[i - 1] : 0;
        if (i == 0 || gap > (step > 600000 ? step : 600000))
            continue;
        increase += s->value[i] < s->value[i - 1] ? s->value[i] : s->value[i] - s->value[i - 1];
        seconds += (double)gap / 1000;
    }
    if (fn == FN_RATE)
        return seconds > 0 ? increase / seconds : NAN;
    if (!n)
        return NAN;
    if (fn == FN_LAST)
        return last;
    qsort(in, n, sizeof *in, by_value);
    double rank = 0.95 * (double)(n - 1);
    size_t low = (size_t)rank;
    switch (fn) {
    case FN_MIN: return in[0];
    case FN_MAX: return in[n - 1];
    case FN_SUM: return sum;
    case FN_COUNT: return (double)n;
    case FN_AVG: return sum / (double)n;
    default: return low + 1 < n ? in[low] + (in[low + 1] - in[low]) * (rank - (double)low) : in[low];
    }
}

static void compare(struct fixture *f, const struct naive *s, int64_t from, int64_t to, int64_t step)
{
    for (enum metric_fn fn = FN_AVG; fn <= FN_RATE; fn++) {
        struct metric_result r = fixture_ask(f, "m", from, to, step, fn);
        assert_int_equal(r.count, 1);
        for (size_t i = 0; i < r.points; i++) {
            int64_t t = r.first_ms + (int64_t)i * step;
            double want = naive_answer(s, fn, t, step), got = r.series[0].values[i];
            if (isnan(want) ? !isnan(got) : fabs(got - want) > 1e-9 * (1 + fabs(want)))
                fail_msg("%s at %+lld by %lld: %.17g instead of %.17g", metric_fn_name(fn), (long long)(t - T0),
                         (long long)step, got, want);
        }
        metric_result_done(&r);
    }
}

/* 2,000 samples with gaps and counter falls: over four chunks, three of them sealed. */
static void fill(struct fixture *f, struct naive *s)
{
    uint64_t random = SEED;
    double counter = 0;
    int64_t at = T0;
    for (s->n = 0; s->n < 2000; s->n++) {
        at += fixture_random(&random) % 300 == 0 ? 900000 : STEP;
        counter = fixture_random(&random) % 150 == 0 ? (double)(fixture_random(&random) % 3)
                                                     : counter + (double)(fixture_random(&random) % 50) / 8;
        s->at[s->n] = at;
        s->value[s->n] = counter;
        fixture_put(f, "m", at, counter);
    }
}

static void functions_agree_with_their_definition(void **state)
{
    struct fixture *f = *state;
    static struct naive s;
    fill(f, &s);
    int64_t end = s.at[s.n - 1];
    compare(f, &s, T0 - 60000, end + 60000, 60000);
    compare(f, &s, T0, end, 10000);
    compare(f, &s, T0 + 3600000, T0 + 7200000, 300000);
    compare(f, &s, T0, end, 3600000);
    struct metrics_stats stats;
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.samples, 2000);
    assert_int_equal(stats.sealed_blocks, 4); /* 2000 = 4 * 480 + 80 */
}

static void O24_a_counter_that_falls_counts_from_zero(void **state)
{
    struct fixture *f = *state;
    static const double VALUES[] = { 0, 1, 2, 3, 2, 3, 4 };
    for (size_t i = 0; i < ARRAY_LEN(VALUES); i++)
        fixture_put(f, "m", T0 + (int64_t)i * 300000, VALUES[i]);
    /* Six steps of five minutes: 1 1 1 2 1 1 = 7. */
    struct metric_result r = fixture_ask(f, "m", T0 + 1800000, T0 + 1800000, 1800000, FN_RATE);
    assert_int_equal(r.points, 1);
    assert_true(fabs(r.series[0].values[0] - 7.0 / 1800) < 1e-12);
    metric_result_done(&r);
    r = fixture_ask(f, "m", T0, T0 + 1800000, 300000, FN_RATE);
    static const double STEPS[] = { NAN, 1, 1, 1, 2, 1, 1 };
    assert_int_equal(r.points, ARRAY_LEN(STEPS));
    assert_true(isnan(r.series[0].values[0])); /* one sample gives no result */
    for (size_t i = 1; i < ARRAY_LEN(STEPS); i++)
        assert_true(fabs(r.series[0].values[i] - STEPS[i] / 300) < 1e-12);
    metric_result_done(&r);
}

static void O24_one_sample_has_no_rate(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "m", T0, 1e12);
    struct metric_result r = fixture_ask(f, "m", T0 - 60000, T0 + 60000, 60000, FN_RATE);
    for (size_t i = 0; i < r.points; i++)
        assert_true(isnan(r.series[0].values[i]));
    metric_result_done(&r);
}

static void O42_a_container_restarting_never_gives_a_spike(void **state)
{
    struct fixture *f = *state;
    double counter = 1e13; /* of a long life before */
    for (unsigned i = 0; i < 300; i++) {
        counter = i % 10 == 9 ? 500 : counter + 1000; /* restarted each tenth time */
        fixture_put(f, "m", T0 + i * 1000, counter);
    }
    struct metric_result r = fixture_ask(f, "m", T0, T0 + 300000, 10000, FN_RATE);
    for (size_t i = 0; i < r.points; i++)
        assert_false(r.series[0].values[i] < 0 || r.series[0].values[i] > 1000);
    metric_result_done(&r);
}

/* ---- what lasts ---- */

static void all_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    static struct naive s;
    fill(f, &s);
    fixture_reopen(f);
    compare(f, &s, T0, s.at[s.n - 1], 60000);
    fixture_put(f, "m", s.at[s.n - 1] + STEP, 5);
    s.at[s.n] = s.at[s.n - 1] + STEP;
    s.value[s.n++] = 5;
    fixture_reopen(f);
    compare(f, &s, T0, s.at[s.n - 1], 60000);
}

static void latest_values_are_there_after_sealing_and_a_restart(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct metric_latest_list l;
    fixture_put(f, "m", T0, 1.25);
    fixture_put(f, "m", T0 + STEP, 2.5);
    assert_int_equal(metrics_seal(f->metrics, &e), 0);
    fixture_reopen(f);
    assert_int_equal(metrics_latest(f->metrics, &(struct metric_filter){ 0 }, T0 + 3 * STEP, 10, &l, &e), 0);
    assert_int_equal(l.count, 1);
    assert_true(l.items[0].value == 2.5);
    assert_int_equal(l.items[0].at_ms, T0 + STEP);
    assert_int_equal(l.items[0].first_ms, T0);
    assert_int_equal(l.items[0].interval_ms, STEP);
    assert_int_equal(l.fresh, 1);
    metric_latest_done(&l);
    assert_int_equal(metrics_latest(f->metrics, &(struct metric_filter){ 0 }, T0 + 5 * STEP, 10, &l, &e), 0);
    assert_int_equal(l.fresh, 0);
    metric_latest_done(&l);
}

/* Appends for ever and tells the parent, through the pipe, what a query has shown. */
static void run_child(struct fixture *f, int pipe_fd, uint64_t random)
{
    fixture_open(f);
    for (int64_t tick = 1;; tick++) {
        struct error e = ERROR_INIT;
        struct metric_sample s[8];
        char names[8][16];
        for (unsigned i = 0; i < 8; i++) {
            snprintf(names[i], sizeof names[i], "crash.%u", i);
            s[i] = (struct metric_sample){ fixture_def(names[i], "node-1", "{}"),
                                           i ? (double)(fixture_random(&random) % 1000) / 8 : (double)tick };
        }
        if (metrics_append(f->metrics, "g", STEP, T0 + tick * STEP, s, 8, &e) < 0)
            _exit(1);
        struct metric_result r;
        struct metric_query q = { .filter.name = "crash.0",
                                  .from_ms = T0,
                                  .to_ms = T0 + tick * STEP,
                                  .step_ms = T0 + tick * STEP,
                                  .fn = FN_LAST };
        if (metrics_query(f->metrics, &q, &r, &e) < 0 || r.points != 1)
            _exit(1);
        int64_t shown = (int64_t)r.series[0].values[0];
        metric_result_done(&r);
        if (write(pipe_fd, &shown, sizeof shown) != sizeof shown)
            _exit(1);
    }
}

/* Reads what was shown until `enough`, kills the child, drains the pipe. */
static int64_t kill_after(pid_t child, int fd, int64_t enough)
{
    int64_t shown = 0, at;
    bool killed = false;
    while (read(fd, &at, sizeof at) == sizeof at) {
        shown = at;
        if (!killed && shown >= enough) {
            assert_int_equal(kill(child, SIGKILL), 0);
            killed = true;
        }
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return shown;
}

static void what_a_query_has_shown_survives_kill_9(void **state)
{
    struct fixture *f = *state;
    static const int64_t WHEN[] = { 3, 40, 479, 480, 481, 700 };
    for (size_t i = 0; i < ARRAY_LEN(WHEN); i++) {
        fixture_close(f);
        unlink(f->path);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        if (child == 0) {
            close(fds[0]);
            run_child(f, fds[1], SEED + i);
        }
        close(fds[1]);
        int64_t shown = kill_after(child, fds[0], WHEN[i]);
        close(fds[0]);
        assert_true(shown >= WHEN[i]);
        fixture_open(f);
        struct metric_result r = fixture_ask(f, "crash.0", T0 + STEP, T0 + shown * STEP, STEP, FN_LAST);
        assert_int_equal(r.points, shown);
        for (size_t t = 0; t < r.points; t++)
            if (r.series[0].values[t] != (double)(t + 1))
                fail_msg("tick %zu of %lld is %g", t + 1, (long long)shown, r.series[0].values[t]);
        metric_result_done(&r);
        uint64_t random = SEED + i; /* the other series, bit for bit */
        r = fixture_ask(f, "crash.7", T0 + STEP, T0 + shown * STEP, STEP, FN_LAST);
        for (size_t t = 0; t < r.points; t++) {
            double want = 0;
            for (unsigned k = 1; k < 8; k++)
                want = (double)(fixture_random(&random) % 1000) / 8;
            assert_true(r.series[0].values[t] == want);
        }
        metric_result_done(&r);
    }
}

static void a_damaged_log_costs_its_tail_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    for (unsigned i = 1; i <= 100; i++)
        fixture_put(f, "m", T0 + i * STEP, i);
    struct store_conn *c;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, &e), 0);
    assert_true(store_exec(c, &e, "UPDATE metric_log SET bytes = $1 WHERE id = 60", "b", "\xff\xff", (size_t)2) >= 0);
    assert_int_equal(store_commit(c, &e), 0);
    store_release(c);
    fixture_reopen(f);
    fixture_put(f, "m", T0 + 200 * STEP, 200);
    fixture_reopen(f);
    struct metric_result r = fixture_ask(f, "m", T0, T0 + 200 * STEP, STEP, FN_LAST);
    assert_true(r.series[0].values[59] == 59);
    assert_true(isnan(r.series[0].values[60]));
    assert_true(r.series[0].values[200] == 200);
    metric_result_done(&r);
}

/* ---- merging, retention, forgetting ---- */

static int64_t count_rows(struct fixture *f, const char *sql)
{
    struct error e = ERROR_INIT;
    struct store_conn *c;
    struct store_rows *rows;
    assert_int_equal(store_acquire(f->store, STORE_READ, &c, &e), 0);
    assert_true(store_query(c, &e, &rows, sql, "") >= 0);
    assert_int_equal(rows_next(rows, &e), 1);
    int64_t n = rows_int(rows, 0);
    rows_done(rows);
    store_release(c);
    return n;
}

static void a_days_chunks_merge_into_one_with_the_same_answers(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    static struct naive s;
    fill(f, &s);
    fixture_put(f, "now.and.then", s.at[s.n - 1] + STEP, 3);
    assert_int_equal(metrics_seal(f->metrics, &e), 0);
    assert_true(count_rows(f, "SELECT COUNT(*) FROM metric_times") >= 5);
    if (metrics_housekeep(f->metrics, s.at[s.n - 1] + 86400000, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(count_rows(f, "SELECT COUNT(*) FROM metric_times"),
                     1 + (s.at[s.n - 1] / 86400000 - T0 / 86400000));
    assert_int_equal(count_rows(f, "SELECT SUM(count) FROM metric_blocks"), 2001);
    assert_int_equal(count_rows(f, "SELECT COUNT(*) FROM metric_blocks WHERE sums IS NULL"), 0);
    compare(f, &s, T0, s.at[s.n - 1], 60000);
    fixture_reopen(f);
    compare(f, &s, T0, s.at[s.n - 1], 3600000);
    compare(f, &s, T0 + 7 * STEP, s.at[s.n - 1] - 900000, 300000); /* by the sums beside the day's blocks */
    for (unsigned i = 0; i < 20; i++)
        fixture_put(f, "m", s.at[s.n - 1] - 100 * STEP + (i + 1) * 1000 + 1, 1e6); /* overlaps the day: no sums */
    struct metric_result r = fixture_ask(f, "m", T0, s.at[s.n - 1] + 86400000, 86400000, FN_COUNT);
    assert_true(r.series[0].values[0] + (r.points > 1 ? fmax(r.series[0].values[1], 0) : 0) == 2020);
    metric_result_done(&r);
}

static void sums_and_samples_of_one_slot_add_up(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    const int64_t day = 86400000, start = T0 / day * day;
    /* Three days of a sample each 50 s: each chunk's ends lie within slots, the last day stays unmerged. */
    for (int64_t i = 0; i < 3 * 1728; i++)
        fixture_put(f, "m", start + i * 50000, (double)(i % 11));
    assert_int_equal(metrics_seal(f->metrics, &e), 0);
    assert_int_equal(metrics_housekeep(f->metrics, start + 2 * day + 3600000, &e), 0);
    assert_true(count_rows(f, "SELECT COUNT(*) FROM metric_blocks WHERE sums IS NULL") > 0);
    assert_true(count_rows(f, "SELECT COUNT(*) FROM metric_blocks WHERE sums IS NOT NULL") > 0);
    struct metric_result r = fixture_ask(f, "m", start + 300000, start + 3 * day - 300000, 300000, FN_SUM);
    for (size_t k = 0; k < r.points; k++) {
        int64_t t = r.first_ms + (int64_t)k * r.step_ms;
        double want = 0;
        for (int64_t i = (t - 300000 - start) / 50000 + 1; i <= (t - start) / 50000; i++)
            want += (double)(i % 11);
        if (r.series[0].values[k] != want)
            fail_msg("slot %zu: %g instead of %g", k, r.series[0].values[k], want);
    }
    metric_result_done(&r);
}

static void what_is_past_retention_goes_with_its_series(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct metrics_stats stats;
    const int64_t day = 86400000;
    fixture_put(f, "old", T0, 1);
    for (int d = 0; d < 5; d++) {
        fixture_put(f, "m", T0 + d * day, d);
        assert_int_equal(metrics_seal(f->metrics, &e), 0);
    }
    f->options.retention_ms = 3 * day;
    fixture_reopen(f);
    assert_int_equal(metrics_housekeep(f->metrics, T0 + 5 * day - 1, &e), 0);
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.series, 1);
    assert_int_equal(count_rows(f, "SELECT COUNT(*) FROM metric_blocks"), 3);
    assert_int_equal(count_rows(f, "SELECT COUNT(*) FROM metric_series"), 1);
    struct metric_latest_list l;
    assert_int_equal(metrics_latest(f->metrics, &(struct metric_filter){ 0 }, T0, 10, &l, &e), 0);
    assert_int_equal(l.items[0].first_ms, T0 + 2 * day);
    metric_latest_done(&l);
}

static void a_forgotten_entity_leaves_nothing_and_others_all(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    for (unsigned i = 1; i <= 500; i++) {
        struct metric_sample s[] = { { fixture_def("m", "node-1", "{}"), i },
                                     { fixture_def("m", "node-2", "{}"), i * 2 },
                                     { fixture_def("m", "node-3", "{}"), i * 3 } };
        assert_int_equal(metrics_append(f->metrics, "g", STEP, T0 + i * STEP, s, 3, &e), 0);
        if (i == 490)
            assert_int_equal(metrics_forget_entity(f->metrics, "node-2", &e), 0);
    }
    assert_int_equal(metrics_forget_entity(f->metrics, "node-2", &e), 0);
    fixture_reopen(f);
    struct metric_result r = fixture_ask(f, "m", T0 + STEP, T0 + 500 * STEP, STEP, FN_LAST);
    assert_int_equal(r.count, 2);
    for (size_t i = 0; i < 500; i++) {
        assert_true(r.series[0].values[i] == (double)(i + 1));
        assert_true(r.series[1].values[i] == (double)(i + 1) * 3);
    }
    metric_result_done(&r);
    assert_int_equal(count_rows(f, "SELECT COUNT(*) FROM metric_series WHERE entity_id = 'node-2'"), 0);
    assert_int_equal(count_rows(f, "SELECT COUNT(*) FROM monitoring_metrics WHERE entity_id = 'node-2'"), 0);
}

/* ---- limits and odd senders ---- */

static void the_first_sample_of_a_time_stays(void **state)
{
    struct fixture *f = *state;
    struct metrics_stats stats;
    fixture_put(f, "m", T0, 1);
    fixture_put(f, "m", T0, 2);
    fixture_put(f, "other", T0, 3); /* joins the time */
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.duplicates, 1);
    assert_int_equal(stats.samples, 2);
    for (unsigned again = 0; again < 2; again++) {
        struct metric_result r = fixture_ask(f, "m", T0, T0, 1000, FN_LAST);
        assert_true(r.series[0].values[0] == 1);
        metric_result_done(&r);
        r = fixture_ask(f, "other", T0, T0, 1000, FN_COUNT);
        assert_true(r.series[0].values[0] == 1);
        metric_result_done(&r);
        fixture_reopen(f);
    }
}

static void a_clock_that_goes_back_keeps_old_and_new(void **state)
{
    struct fixture *f = *state;
    struct metrics_stats stats;
    for (unsigned i = 0; i < 20; i++)
        fixture_put(f, "m", T0 + i * STEP, i);
    for (unsigned i = 0; i < 30; i++)
        fixture_put(f, "m", T0 + 5 * STEP + 5000 + i * STEP, 100 + i); /* an hour of overlap */
    fixture_put(f, "m", T0 + 6 * STEP, 7777);                          /* a time that is there already */
    fixture_reopen(f);
    struct metric_result r = fixture_ask(f, "m", T0, T0 + 40 * STEP, 5000, FN_LAST);
    assert_true(r.series[0].values[2 * 4] == 4);
    assert_true(r.series[0].values[2 * 6] == 6);
    assert_true(r.series[0].values[2 * 6 + 1] == 101);
    metric_result_done(&r);
    fixture_put(f, "m", T0, 1); /* twice in a row: left out */
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.late, 1);
}

static void a_clock_that_was_far_ahead_is_left_behind(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    const int64_t year = 365 * (int64_t)86400000;
    int64_t now = clock_now_ms() / (20 * STEP) * (20 * STEP);
    for (unsigned i = 0; i < 3; i++)
        fixture_put(f, "m", now + year + i * STEP, -1);
    for (unsigned i = 0; i < 20; i++)
        fixture_put(f, "m", now + i * STEP, i);
    for (unsigned again = 0; again < 2; again++) {
        struct metric_latest_list l;
        assert_int_equal(metrics_latest(f->metrics, &(struct metric_filter){ 0 }, now, 10, &l, &e), 0);
        assert_true(l.items[0].value == 19);
        metric_latest_done(&l);
        struct metric_result r = fixture_ask(f, "m", now, now + 20 * STEP, 20 * STEP, FN_MAX);
        assert_true(r.series[0].values[1] == 19);
        metric_result_done(&r);
        fixture_reopen(f);
    }
    struct metrics_stats stats;
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.late, 0);
}

static void new_series_over_the_limit_are_refused_and_counted(void **state)
{
    struct fixture *f = *state;
    struct metrics_stats stats;
    f->options.max_series = 3;
    fixture_reopen(f);
    static const char *const NAMES[] = { "a", "b", "c", "d", "e" };
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 5; i++)
            fixture_put(f, NAMES[i], T0 + round * STEP, i);
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.series, 3);
    assert_int_equal(stats.refused_series, 4);
    assert_int_equal(stats.samples, 6);
}

static void a_head_over_its_limit_is_sealed_early(void **state)
{
    struct fixture *f = *state;
    struct metrics_stats stats;
    f->options.head_bytes = 1;
    fixture_reopen(f);
    for (unsigned i = 0; i < 200; i++)
        fixture_put(f, "m", T0 + i * STEP, i);
    metrics_get_stats(f->metrics, &stats);
    assert_true(stats.early_seals > 0);
    struct metric_result r = fixture_ask(f, "m", T0, T0 + 199 * STEP, STEP, FN_COUNT);
    for (size_t i = 0; i < r.points; i++)
        assert_true(r.series[0].values[i] == 1);
    metric_result_done(&r);
}

static void malformed_series_and_ranges_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    uint64_t id;
    struct metric_def d = fixture_def("m", "node-1", "{}");
    d.source = "somebody";
    assert_int_equal(metrics_series(f->metrics, &d, &id, &e), -ERR_VALIDATION);
    d = fixture_def("", "node-1", "{}");
    assert_int_equal(metrics_series(f->metrics, &d, &id, &e), -ERR_VALIDATION);
    fixture_put(f, "m", T0, 1);
    struct metric_result r;
    struct metric_query q = { .filter.name = "m", .from_ms = T0, .to_ms = T0 + METRIC_POINTS_MAX, .step_ms = 1 };
    assert_int_equal(metrics_query(f->metrics, &q, &r, &e), -ERR_VALIDATION);
    assert_non_null(json_object_get(e.details, "/step"));
    q.to_ms--;
    assert_int_equal(metrics_query(f->metrics, &q, &r, &e), 0);
    assert_int_equal(r.points, METRIC_POINTS_MAX);
    metric_result_done(&r);
    q.to_ms = T0 - 1;
    assert_int_equal(metrics_query(f->metrics, &q, &r, &e), -ERR_VALIDATION);
    assert_non_null(json_object_get(e.details, "/to"));
    error_done(&e);
}

static void tags_choose_series(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct metric_sample s[] = { { fixture_def("m", "n", "{\"device\":\"sda\",\"mount\":\"/\"}"), 1 },
                                 { fixture_def("m", "n", "{\"device\":\"sda1\",\"mount\":\"/a\"}"), 2 },
                                 { fixture_def("m", "n", "{\"x\":\"\\\"device\\\":\\\"sda\\\"\"}"), 3 } };
    assert_int_equal(metrics_append(f->metrics, "g", STEP, T0, s, 3, &e), 0);
    struct metric_pair tag = { "device", "sda" };
    struct metric_latest_list l;
    struct metric_filter filter = { .tags = &tag, .n_tags = 1 };
    assert_int_equal(metrics_latest(f->metrics, &filter, T0, 10, &l, &e), 0);
    assert_int_equal(l.count, 1);
    assert_true(l.items[0].value == 1);
    metric_latest_done(&l);
}

static void a_series_that_comes_and_goes_keeps_its_gaps(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    for (unsigned i = 0; i < 1000; i++) {
        struct metric_sample s[] = { { fixture_def("always", "n", "{}"), i }, { fixture_def("m", "n", "{}"), i % 90 } };
        bool there = i % 7 < 4 || (i > 300 && i < 500);
        assert_int_equal(metrics_append(f->metrics, "g", STEP, T0 + i * STEP, s, there ? 2 : 1, &e), 0);
        if (i == 700)
            fixture_reopen(f);
    }
    struct metric_result r = fixture_ask(f, "m", T0, T0 + 999 * STEP, STEP, FN_LAST);
    for (unsigned i = 0; i < 1000; i++) {
        bool there = i % 7 < 4 || (i > 300 && i < 500);
        if (there ? r.series[0].values[i] != i % 90 : !isnan(r.series[0].values[i]))
            fail_msg("tick %u is %g", i, r.series[0].values[i]);
    }
    metric_result_done(&r);
}

static void a_thousand_series_need_less_than_3_mb(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    uint64_t group, ids[1000], random = SEED;
    double values[1000];
    assert_int_equal(metrics_group(f->metrics, "big", STEP, &group, &e), 0);
    for (unsigned i = 0; i < 1000; i++) {
        char tags[64];
        snprintf(tags, sizeof tags, "{\"device\":\"d%u\"}", i);
        struct metric_def d = fixture_def("disk.read.bytes", "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", tags);
        assert_int_equal(metrics_series(f->metrics, &d, &ids[i], &e), 0);
        values[i] = 0;
    }
    for (unsigned tick = 0; tick < 479; tick++) {
        for (unsigned i = 0; i < 1000; i++)
            values[i] += i % 3 ? 0 : (double)(fixture_random(&random) % 100000); /* two thirds stand still */
        assert_int_equal(metrics_commit(f->metrics, group, T0 + tick * STEP, ids, values, 1000, &e), 0);
    }
    struct metrics_stats stats;
    metrics_get_stats(f->metrics, &stats);
    assert_int_equal(stats.samples, 479000);
    print_message("# head of 1,000 series: %zu bytes\n", stats.head_bytes);
    assert_in_range(stats.head_bytes, 1, 3000000);
}

/* Two senders, two readers, a sealer at once: what is read is always a whole prefix. For the thread sanitizer, too. */
struct crowd {
    struct fixture *f;
    _Atomic unsigned senders;
    _Atomic bool wrong;
};

static void *send_many(void *arg)
{
    struct crowd *c = arg;
    struct error e = ERROR_INIT;
    unsigned me = atomic_fetch_add(&c->senders, 1);
    char group[16], entity[16];
    snprintf(group, sizeof group, "g%u", me);
    snprintf(entity, sizeof entity, "node-%u", me);
    for (unsigned i = 1; i <= 1200; i++) {
        struct metric_sample s[] = { { fixture_def("m", entity, "{}"), i }, { fixture_def("still", entity, "{}"), 1 } };
        if (metrics_append(c->f->metrics, group, STEP, T0 + i * STEP, s, 2, &e) < 0)
            atomic_store(&c->wrong, true);
    }
    atomic_fetch_add(&c->senders, 100);
    return NULL;
}

static void *read_many(void *arg)
{
    struct crowd *c = arg;
    struct error e = ERROR_INIT;
    while (atomic_load(&c->senders) < 200) {
        struct metric_query q = {
            .filter.name = "m", .from_ms = T0 + STEP, .to_ms = T0 + 1200 * STEP, .step_ms = STEP, .fn = FN_LAST
        };
        struct metric_result r;
        struct metric_latest_list l;
        if (metrics_query(c->f->metrics, &q, &r, &e) < 0 ||
            metrics_latest(c->f->metrics, &q.filter, T0, 10, &l, &e) < 0) {
            atomic_store(&c->wrong, true);
            return NULL;
        }
        for (size_t k = 0; k < r.count; k++) {
            size_t n = 0;
            while (n < r.points && r.series[k].values[n] == (double)(n + 1))
                n++;
            for (; n < r.points; n++)
                if (!isnan(r.series[k].values[n]))
                    atomic_store(&c->wrong, true); /* a gap before a value: something was missed */
        }
        metric_result_done(&r);
        metric_latest_done(&l);
    }
    return NULL;
}

static void *seal_many(void *arg)
{
    struct crowd *c = arg;
    struct error e = ERROR_INIT;
    while (atomic_load(&c->senders) < 200)
        if (metrics_seal(c->f->metrics, &e) < 0 || metrics_housekeep(c->f->metrics, T0, &e) < 0)
            atomic_store(&c->wrong, true);
    return NULL;
}

static void senders_readers_and_sealing_at_once_miss_nothing(void **state)
{
    struct crowd c = { .f = *state };
    static void *(*const WORK[])(void *) = { send_many, send_many, read_many, read_many, seal_many };
    pthread_t threads[ARRAY_LEN(WORK)];
    for (size_t i = 0; i < ARRAY_LEN(WORK); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, WORK[i], &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(WORK); i++)
        pthread_join(threads[i], NULL);
    assert_false(c.wrong);
    struct metric_result r = fixture_ask(c.f, "m", T0 + STEP, T0 + 1200 * STEP, STEP, FN_LAST);
    assert_int_equal(r.count, 2);
    for (size_t i = 0; i < r.points; i++)
        assert_true(r.series[0].values[i] == (double)(i + 1) && r.series[1].values[i] == (double)(i + 1));
    metric_result_done(&r);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(functions_agree_with_their_definition),
        CASE(O24_a_counter_that_falls_counts_from_zero),
        CASE(O24_one_sample_has_no_rate),
        CASE(O42_a_container_restarting_never_gives_a_spike),
        CASE(all_is_there_after_a_restart),
        CASE(latest_values_are_there_after_sealing_and_a_restart),
        CASE(what_a_query_has_shown_survives_kill_9),
        CASE(a_damaged_log_costs_its_tail_and_nothing_else),
        CASE(a_days_chunks_merge_into_one_with_the_same_answers),
        CASE(sums_and_samples_of_one_slot_add_up),
        CASE(what_is_past_retention_goes_with_its_series),
        CASE(a_forgotten_entity_leaves_nothing_and_others_all),
        CASE(the_first_sample_of_a_time_stays),
        CASE(a_clock_that_goes_back_keeps_old_and_new),
        CASE(a_clock_that_was_far_ahead_is_left_behind),
        CASE(new_series_over_the_limit_are_refused_and_counted),
        CASE(a_head_over_its_limit_is_sealed_early),
        CASE(malformed_series_and_ranges_are_refused),
        CASE(tags_choose_series),
        CASE(a_series_that_comes_and_goes_keeps_its_gaps),
        CASE(a_thousand_series_need_less_than_3_mb),
        CASE(senders_readers_and_sealing_at_once_miss_nothing),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
