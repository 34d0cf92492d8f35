/* The job engine: a job is run, again after a growing pause, by one engine at a time, whatever dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/jobs.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000
#define DAY_MS ((int64_t)86400 * 1000)

/* ---- a clock that tests move ---- */

static _Atomic int64_t passed_ms;

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + passed_ms;
}

static int64_t wall(void *ctx)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t mono(void *ctx)
{
    return read_clock(CLOCK_MONOTONIC);
}

static const struct clock moved = { wall, mono, NULL };

/* ---- the kind under test ---- */

struct fixture {
    char dir[64], path[96];
    struct store *store;
    struct jobs *jobs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int runs, running, most_at_once, gates; /* gates: runs that may end; -1 all */
    int64_t began_ms[64];
    int last_attempt, answer; /* answer: what the kind returns */
    int again;                /* so many runs first answer JOB_AGAIN */
    bool saw_stopping, saw_cancelled;
    const char *says; /* with JOB_AGAIN: why */
    int64_t last_fence;
    char argument[64];
    int seen[512]; /* how often each number was run */
    struct job_schedule schedule; /* registered with the kinds when it has a name */
};
static struct fixture *current;

static int note_begin(struct fixture *f, struct job *job)
{
    int turn = f->runs++;
    if (turn < (int)ARRAY_LEN(f->began_ms))
        f->began_ms[turn] = clock_now_ms();
    f->last_attempt = job->attempt;
    f->last_fence = job->fence;
    f->running++;
    f->most_at_once = f->running > f->most_at_once ? f->running : f->most_at_once;
    int64_t n = json_int(job->arguments, "n", -1);
    if (n >= 0 && n < (int64_t)ARRAY_LEN(f->seen))
        f->seen[n]++;
    str_copy(f->argument, sizeof f->argument, json_str(job->arguments, "text") ? json_str(job->arguments, "text") : "");
    return turn;
}

/* Waits for its gate or for the end of the engine. */
static void wait_for_gate(struct fixture *f, const struct job *job)
{
    while (f->gates == 0 && !*job->stopping && !*job->cancelled) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 10000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&f->changed, &f->lock, &until);
    }
    if (f->gates > 0)
        f->gates--;
    f->saw_stopping |= *job->stopping;
    f->saw_cancelled |= *job->cancelled;
}

static int run(void *ctx, struct job *job, struct error *e)
{
    struct fixture *f = ctx;
    (void)pthread_mutex_lock(&f->lock);
    int turn = note_begin(f, job);
    (void)pthread_cond_broadcast(&f->changed);
    wait_for_gate(f, job);
    f->running--;
    int answer = turn < f->again || (f->saw_stopping && *job->stopping) || *job->cancelled ? JOB_AGAIN : f->answer;
    if (answer == JOB_AGAIN && f->says)
        (void)error_set(e, ERR_UPSTREAM, "%s", f->says);
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
    return answer < 0 ? error_set(e, ERR_UPSTREAM, "The engine said no.") : answer;
}

/* ---- fixture ---- */

static struct store *open_store(const char *path)
{
    struct store *s = NULL;
    struct error e = ERROR_INIT;
    if (store_open(&(struct store_options){ .path = path }, &s, &e) < 0)
        fail_msg("%s", e.message);
    return s;
}

static struct jobs *open_jobs(struct fixture *f, struct store *s, unsigned workers, bool sole)
{
    const struct job_kind kinds[] = {
        { .name = "test", .run = run, .ctx = f },
        { .name = "bounded", .run = run, .ctx = f, .max_attempts = 3 },
        { .name = "single", .run = run, .ctx = f, .max_parallel = 1 },
        { .name = "special", .run = run, .ctx = f, .instead = "Use the special way." },
    };
    struct error e = ERROR_INIT;
    struct jobs *j = NULL;
    int r = jobs_open(s, workers, sole, &j, &e);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(kinds); i++)
        r = jobs_register(j, &kinds[i], &e);
    if (r == 0 && f->schedule.name)
        r = jobs_schedule(j, &f->schedule, &e);
    if (r == 0)
        r = jobs_start(j, &e);
    if (r < 0)
        fail_msg("%s", e.message);
    return j;
}

static int start_with(void **state, unsigned workers)
{
    struct fixture *f = calloc(1, sizeof *f);
    passed_ms = 0;
    clock_set(&moved);
    log_init(LOG_ERROR + 1, LOG_JSON, STDERR_FILENO); /* failures are what is tested */
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->changed, NULL);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-jobs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/hub.db", f->dir);
    f->gates = -1;
    f->store = open_store(f->path);
    f->jobs = workers ? open_jobs(f, f->store, workers, true) : NULL;
    current = f;
    *state = f;
    return 0;
}

static int start(void **state)
{
    return start_with(state, 2);
}

static int start_without_engine(void **state)
{
    return start_with(state, 0);
}

static int end(void **state)
{
    struct fixture *f = *state;
    jobs_close(f->jobs);
    store_close(f->store);
    DIR *d = opendir(f->dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    (void)rmdir(f->dir);
    free(f);
    clock_set(NULL);
    return 0;
}

static void add_to(struct jobs *j, const char *kind, const char *text, int64_t n, int64_t deadline_ms, char ret_id[37])
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *arguments = json_pack("{s:s, s:I}", "text", text, "n", (json_int_t)n);
    if (jobs_add(j, kind, arguments, deadline_ms, ret_id, &e) < 0)
        fail_msg("%s", e.message);
}

static void add(struct fixture *f, char ret_id[37])
{
    add_to(f->jobs, "test", "hello", 0, clock_now_ms() + DAY_MS, ret_id);
}

/* Text of one column of a job's row. */
static void column(struct fixture *f, const char *id, const char *name, char *ret, size_t size)
{
    char sql[200];
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *r = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT COALESCE(CAST(%s AS TEXT), '') FROM jobs WHERE id = $1", name);
    assert_int_equal(store_acquire(f->store, STORE_READ, &c, NULL), 0);
    assert_int_equal(store_query(c, NULL, &r, sql, "t", id), 0);
    ret[0] = '\0';
    if (rows_next(r, NULL) == 1)
        str_copy(ret, size, rows_text(r, 0));
}

static void sql(struct fixture *f, const char *text)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(store_exec(c, NULL, text, ""), 0);
    assert_int_equal(store_commit(c, NULL), 0);
}

static void pause_shortly(void)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static void wait_for_state(struct fixture *f, const char *id, const char *wanted)
{
    char state[20] = "";
    int64_t until = read_clock(CLOCK_MONOTONIC) + WAIT_MS;
    do {
        column(f, id, "state", state, sizeof state);
        if (str_eq(state, wanted))
            return;
        pause_shortly();
    } while (read_clock(CLOCK_MONOTONIC) < until);
    fail_msg("the job is %s, not %s", state, wanted);
}

static bool reached(struct fixture *f, const int *what, int least)
{
    (void)pthread_mutex_lock(&f->lock);
    bool yes = *what >= least;
    (void)pthread_mutex_unlock(&f->lock);
    return yes;
}

static void wait_for_at_least(struct fixture *f, const int *what, int least)
{
    for (int i = 0; i < WAIT_MS / 5; i++, pause_shortly())
        if (reached(f, what, least))
            return;
    fail_msg("never came to %d", least);
}

static void set(struct fixture *f, int *what, int value)
{
    (void)pthread_mutex_lock(&f->lock);
    *what = value;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- one engine ---- */

static void a_job_is_run_once_with_its_arguments(void **state)
{
    struct fixture *f = *state;
    char id[37], text[64];
    add(f, id);
    wait_for_state(f, id, "done");
    assert_int_equal(f->runs, 1);
    assert_string_equal(f->argument, "hello");
    assert_int_equal(f->last_attempt, 1);
    column(f, id, "lease_owner", text, sizeof text);
    assert_string_equal(text, "");
}

/* A call that comes just before a worker waits is not lost: no job waits for the next look round. */
static void a_new_job_is_taken_at_once(void **state)
{
    struct fixture *f = *state;
    int64_t began = read_clock(CLOCK_MONOTONIC);
    for (int i = 0; i < 20; i++) {
        char id[37];
        add(f, id);
        wait_for_at_least(f, &f->runs, i + 1);
    }
    assert_true(read_clock(CLOCK_MONOTONIC) - began <
                15000); /* 20 s if each were found by looking round once a second */
}

static void again_comes_after_a_pause_that_grows(void **state)
{
    struct fixture *f = *state;
    char id[37], next[32];
    int64_t pauses[8];
    f->again = 7;
    add(f, id);
    for (int i = 0; i < 7; i++) {
        wait_for_at_least(f, &f->runs, i + 1);
        wait_for_state(f, id, "waiting");
        column(f, id, "next_run_at", next, sizeof next);
        pauses[i] = atoll(next) - f->began_ms[i];
        passed_ms += atoll(next) - clock_now_ms() > 0 ? atoll(next) - clock_now_ms() : 0;
    }
    wait_for_state(f, id, "done");
    assert_int_equal(f->last_attempt, 8);
    assert_in_range(pauses[0], 300, 2000);
    for (int i = 1; i < 7; i++) /* doubled, with a jitter of a quarter either way */
        assert_true(pauses[i] > pauses[i - 1]);
    assert_in_range(pauses[6], 22000, 42000);
}

static void a_failure_is_final_and_says_why(void **state)
{
    struct fixture *f = *state;
    char id[37], reason[100];
    f->answer = -ERR_UPSTREAM;
    add(f, id);
    wait_for_state(f, id, "failed");
    column(f, id, "reason", reason, sizeof reason);
    assert_string_equal(reason, "The engine said no.");
    passed_ms += DAY_MS;
    char other[37];
    f->answer = JOB_DONE;
    add_to(f->jobs, "test", "", 0, clock_now_ms() + DAY_MS, other);
    wait_for_state(f, other, "done");
    assert_int_equal(f->runs, 2);
}

static void after_its_deadline_it_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    char id[37], reason[100];
    f->again = 1000;
    add_to(f->jobs, "test", "", 0, clock_now_ms() + 30000, id);
    wait_for_at_least(f, &f->runs, 1);
    passed_ms += 31000;
    wait_for_state(f, id, "failed");
    column(f, id, "reason", reason, sizeof reason);
    assert_non_null(strstr(reason, "deadline"));
}

static void a_job_of_an_unknown_kind_fails_by_name(void **state)
{
    struct fixture *f = *state;
    char id[37], reason[100];
    add_to(f->jobs, "future", "", 0, clock_now_ms() + DAY_MS, id);
    wait_for_state(f, id, "failed");
    column(f, id, "reason", reason, sizeof reason);
    assert_non_null(strstr(reason, "future"));
}

static void workers_work_side_by_side_but_no_more_of_them(void **state)
{
    struct fixture *f = *state;
    char ids[6][37];
    f->gates = 0;
    for (int i = 0; i < 6; i++)
        add(f, ids[i]);
    wait_for_at_least(f, &f->running, 2);
    set(f, &f->gates, -1);
    for (int i = 0; i < 6; i++)
        wait_for_state(f, ids[i], "done");
    assert_int_equal(f->most_at_once, 2);
    assert_int_equal(f->runs, 6);
}

static void a_kind_that_takes_long_leaves_workers_to_others(void **state)
{
    struct fixture *f = *state;
    char ids[3][37], other[37];
    f->gates = 0;
    for (int i = 0; i < 3; i++)
        add_to(f->jobs, "single", "", i, clock_now_ms() + DAY_MS, ids[i]);
    wait_for_at_least(f, &f->running, 1);
    add(f, other);
    wait_for_at_least(f, &f->running, 2); /* the other: it need not wait for the three */
    wait_for_state(f, other, "running");
    assert_int_equal(f->seen[1] + f->seen[2], 0);
    set(f, &f->gates, -1);
    for (int i = 0; i < 3; i++)
        wait_for_state(f, ids[i], "done");
    wait_for_state(f, other, "done");
}

/* Closing tells the running job, waits for it, and leaves it to be run at once by the next hub. */
static void closing_waits_and_the_next_hub_goes_on(void **state)
{
    struct fixture *f = *state;
    char id[37], attempt[8];
    f->gates = 0;
    add(f, id);
    wait_for_at_least(f, &f->running, 1);
    jobs_close(f->jobs);
    assert_int_equal(f->running, 0);
    assert_true(f->saw_stopping);
    wait_for_state(f, id, "waiting");
    f->gates = -1;
    f->saw_stopping = false;
    f->jobs = open_jobs(f, f->store, 1, true);
    wait_for_state(f, id, "done");
    column(f, id, "attempt", attempt, sizeof attempt);
    assert_string_equal(attempt, "2");
}

static void ended_jobs_are_forgotten_after_a_month(void **state)
{
    struct fixture *f = *state;
    char old[37], new[37], text[20];
    add(f, old);
    wait_for_state(f, old, "done");
    jobs_close(f->jobs);
    passed_ms += 31 * DAY_MS;
    f->jobs = open_jobs(f, f->store, 1, true);
    add(f, new);
    wait_for_state(f, new, "done");
    column(f, old, "state", text, sizeof text);
    assert_string_equal(text, "");
}

/* ---- more than one engine ---- */

static void *add_many(void *arg)
{
    struct jobs *j = arg;
    for (int i = 0; i < 100; i++) {
        char id[37];
        add_to(j, "test", "", i, clock_now_ms() + DAY_MS, id);
    }
    return NULL;
}

/* Two engines, each with a connection of its own as two hubs have, on one database. */
static void two_engines_never_run_one_job_at_once(void **state)
{
    struct fixture *f = *state;
    struct store *other = open_store(f->path);
    struct jobs *first = open_jobs(f, f->store, 3, false), *second = open_jobs(f, other, 3, false);
    pthread_t adders[2];
    assert_int_equal(pthread_create(&adders[0], NULL, add_many, first), 0);
    assert_int_equal(pthread_create(&adders[1], NULL, add_many, second), 0);
    (void)pthread_join(adders[0], NULL);
    (void)pthread_join(adders[1], NULL);
    wait_for_at_least(f, &f->runs, 200);
    jobs_close(first);
    jobs_close(second);
    store_close(other);
    assert_int_equal(f->runs, 200);
    for (int i = 0; i < 100; i++)
        assert_int_equal(f->seen[i], 2); /* each number was added twice */
}

/* An engine that is not alone leaves the leases of others alone. */
static void a_second_engine_does_not_take_what_the_first_works_on(void **state)
{
    struct fixture *f = *state;
    char id[37], next[37];
    struct store *other = open_store(f->path);
    struct jobs *first = open_jobs(f, f->store, 1, false);
    f->gates = 0;
    add_to(first, "test", "", 1, clock_now_ms() + DAY_MS, id);
    wait_for_at_least(f, &f->running, 1);
    struct jobs *second = open_jobs(f, other, 1, false);
    add_to(second, "test", "", 2, clock_now_ms() + DAY_MS, next);
    wait_for_at_least(f, &f->runs, 2); /* the second looks for work, and finds only the new job */
    assert_int_equal(f->seen[1], 1);
    set(f, &f->gates, -1);
    wait_for_state(f, id, "done");
    wait_for_state(f, next, "done");
    assert_int_equal(f->seen[1], 1);
    jobs_close(first);
    jobs_close(second);
    store_close(other);
}

static void row_of_a_dead_hub(struct fixture *f, const char *id, int64_t lease_until)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(
        store_exec(
            c, NULL,
            "INSERT INTO jobs (id, kind, arguments, state, lease_owner, lease_expires_at, attempt, next_run_at, "
            "deadline_at, created_at, updated_at) VALUES ($1, 'test', '{}', 'running', 'dead', $2, 1, 0, $3, 0, 0)",
            "tii", id, lease_until, clock_now_ms() + DAY_MS),
        0);
    assert_int_equal(store_commit(c, NULL), 0);
}

static void a_lease_is_taken_over_when_it_has_ended(void **state)
{
    struct fixture *f = *state;
    char marker[37];
    row_of_a_dead_hub(f, "left-behind", clock_now_ms() + 20000);
    f->jobs = open_jobs(f, f->store, 1, false);
    add(f, marker);
    wait_for_state(f, marker, "done");
    assert_int_equal(f->runs, 1); /* the marker; the lease still holds */
    passed_ms += 20001;
    wait_for_state(f, "left-behind", "done");
    assert_int_equal(f->last_attempt, 2);
}

static void the_only_engine_does_not_wait_for_leases(void **state)
{
    struct fixture *f = *state;
    row_of_a_dead_hub(f, "left-behind", clock_now_ms() + DAY_MS);
    f->jobs = open_jobs(f, f->store, 1, true);
    wait_for_state(f, "left-behind", "done");
    assert_int_equal(f->last_attempt, 2);
}

/* A long job keeps its lease, as it is renewed. */
static void a_lease_is_renewed_while_the_job_is_worked_on(void **state)
{
    struct fixture *f = *state;
    char id[37], before[32], after[32];
    f->gates = 0;
    add(f, id);
    wait_for_at_least(f, &f->running, 1);
    column(f, id, "lease_expires_at", before, sizeof before);
    passed_ms += 11000;
    int64_t until = read_clock(CLOCK_MONOTONIC) + WAIT_MS;
    do {
        column(f, id, "lease_expires_at", after, sizeof after);
        pause_shortly();
    } while (atoll(after) <= atoll(before) && read_clock(CLOCK_MONOTONIC) < until);
    assert_true(atoll(after) >= atoll(before) + 11000);
    set(f, &f->gates, -1);
    wait_for_state(f, id, "done");
}

/* A laptop that slept: by the clock the lease is long over, but nobody else has the job. */
static void a_clock_that_jumps_does_not_run_a_job_twice(void **state)
{
    struct fixture *f = *state;
    char id[37], other[37], expires[32];
    f->gates = 0;
    add_to(f->jobs, "test", "", 1, clock_now_ms() + DAY_MS, id);
    wait_for_at_least(f, &f->running, 1);
    passed_ms += 3600000;
    add_to(f->jobs, "test", "", 2, clock_now_ms() + DAY_MS, other); /* the free worker looks at once */
    wait_for_at_least(f, &f->running, 2);
    int64_t until = read_clock(CLOCK_MONOTONIC) + WAIT_MS;
    do
        column(f, id, "lease_expires_at", expires, sizeof expires), pause_shortly();
    while (atoll(expires) < clock_now_ms() && read_clock(CLOCK_MONOTONIC) < until);
    assert_true(atoll(expires) > clock_now_ms());
    set(f, &f->gates, -1);
    wait_for_state(f, id, "done");
    wait_for_state(f, other, "done");
    assert_int_equal(f->seen[1], 1);
    assert_int_equal(f->seen[2], 1);
}

/* Whoever lost its lease is told, and does not write the end of a job that is another's. */
static void a_lost_lease_stops_the_job_and_its_end_is_not_written(void **state)
{
    struct fixture *f = *state;
    char id[37], owner[40];
    f->gates = 0;
    add(f, id);
    wait_for_at_least(f, &f->running, 1);
    struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(store_exec(c, NULL, "UPDATE jobs SET lease_owner = 'other', lease_expires_at = $1", "i",
                                clock_now_ms() + DAY_MS),
                     0);
    assert_int_equal(store_commit(c, NULL), 0);
    store_release(c);
    passed_ms += 11000; /* the next renewal finds it out */
    for (int i = 0; i < WAIT_MS / 5 && reached(f, &f->running, 1); i++)
        pause_shortly();
    assert_int_equal(f->running, 0);
    assert_true(f->saw_stopping);
    jobs_close(f->jobs);
    f->jobs = NULL;
    wait_for_state(f, id, "running");
    column(f, id, "lease_owner", owner, sizeof owner);
    assert_string_equal(owner, "other");
}

/* ---- bounds, cancel, again ---- */

static void a_bounded_kind_is_tried_so_often_and_says_why_it_ended(void **state)
{
    struct fixture *f = *state;
    char id[37], reason[200];
    f->again = 1000;
    f->says = "The registry sleeps.";
    add_to(f->jobs, "bounded", "", 0, clock_now_ms() + DAY_MS, id);
    for (int i = 1; i < 3; i++) {
        wait_for_at_least(f, &f->runs, i);
        wait_for_state(f, id, "waiting");
        column(f, id, "reason", reason, sizeof reason);
        assert_string_equal(reason, "The registry sleeps.");
        passed_ms += 10000;
    }
    wait_for_state(f, id, "failed");
    column(f, id, "reason", reason, sizeof reason);
    assert_string_equal(reason, "It was tried 3 times. The registry sleeps.");
    passed_ms += DAY_MS / 2;
    assert_int_equal(f->runs, 3);
}

/* What the hub itself ends is not held against the job; hubs that die in the middle of it are. */
static void hubs_that_end_in_order_do_not_count_but_crashes_do(void **state)
{
    struct fixture *f = *state;
    char id[37], reason[200];
    f->gates = 0;
    add_to(f->jobs, "bounded", "", 0, clock_now_ms() + DAY_MS, id);
    for (int i = 1; i <= 4; i++) {
        wait_for_at_least(f, &f->running, 1);
        jobs_close(f->jobs);
        f->jobs = open_jobs(f, f->store, 1, true);
    }
    wait_for_at_least(f, &f->running, 1);
    assert_int_equal(f->last_attempt, 5);
    jobs_close(f->jobs);
    f->jobs = NULL;
    sql(f, "UPDATE jobs SET state = 'running', lease_owner = 'dead', attempt = attempt + 3");
    f->jobs = open_jobs(f, f->store, 1, true);
    wait_for_state(f, id, "failed");
    column(f, id, "reason", reason, sizeof reason);
    assert_non_null(strstr(reason, "in the middle of each of 3 tries"));
}

static void cancelling_ends_what_waits_and_tells_what_runs(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    char running[2][37], waiting[37];
    f->gates = 0;
    add(f, running[0]);
    add(f, running[1]);
    wait_for_at_least(f, &f->running, 2);
    add(f, waiting);
    assert_int_equal(jobs_cancel(f->jobs, waiting, &e), 0);
    wait_for_state(f, waiting, "cancelled");
    assert_int_equal(jobs_cancel(f->jobs, running[0], &e), 0);
    wait_for_state(f, running[0], "cancelled");
    assert_true(f->saw_cancelled);
    assert_int_equal(jobs_cancel(f->jobs, running[0], &e), -ERR_CONFLICT);
    set(f, &f->gates, -1);
    wait_for_state(f, running[1], "done");
    assert_int_equal(jobs_cancel(f->jobs, running[1], &e), -ERR_CONFLICT);
    assert_int_equal(jobs_cancel(f->jobs, "nobody", &e), -ERR_NOT_FOUND);
    assert_int_equal(f->runs, 2);
}

/* Half-done work of an earlier try is put in order before the job ends. */
static void a_cancelled_job_between_two_tries_is_run_to_clean_up(void **state)
{
    struct fixture *f = *state;
    char id[37];
    f->again = 1;
    add(f, id);
    wait_for_state(f, id, "waiting");
    wait_for_at_least(f, &f->runs, 1);
    f->saw_cancelled = false;
    assert_int_equal(jobs_cancel(f->jobs, id, NULL), 0);
    wait_for_state(f, id, "cancelled");
    assert_int_equal(f->runs, 2);
    assert_true(f->saw_cancelled);
}

static void a_failed_job_is_run_again_with_all_its_tries(void **state)
{
    struct fixture *f = *state;
    char id[37];
    f->answer = -ERR_UPSTREAM;
    add_to(f->jobs, "bounded", "", 0, clock_now_ms() + DAY_MS, id);
    wait_for_state(f, id, "failed");
    f->answer = JOB_DONE;
    f->again = f->runs + 2;
    assert_int_equal(jobs_retry(f->jobs, id, NULL), 0);
    for (int i = 2; i <= 3; i++) {
        wait_for_at_least(f, &f->runs, i);
        wait_for_state(f, id, "waiting");
        passed_ms += 10000;
    }
    wait_for_state(f, id, "done");
    assert_int_equal(jobs_retry(f->jobs, id, NULL), -ERR_CONFLICT);
}

static void a_kind_may_have_ways_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    char id[37];
    f->gates = 0;
    add_to(f->jobs, "special", "", 0, clock_now_ms() + DAY_MS, id);
    wait_for_at_least(f, &f->running, 1);
    assert_int_equal(jobs_cancel(f->jobs, id, &e), -ERR_CONFLICT);
    assert_string_equal(e.message, "Use the special way.");
    set(f, &f->gates, -1);
    wait_for_state(f, id, "done");
}

/* ---- the fencing token ---- */

static int fenced_write(struct fixture *f, const char *id, int64_t fence, struct error *e)
{
    struct job job = { .fence = fence };
    str_copy(job.id, sizeof job.id, id);
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, e), 0);
    int r = jobs_fence_check(c, &job, e);
    return r == 0 ? store_commit(c, e) : r;
}

static void the_token_rises_with_each_taking_and_an_old_one_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    char id[37];
    f->gates = 0;
    add(f, id);
    wait_for_at_least(f, &f->running, 1);
    int64_t first = f->last_fence;
    assert_int_equal(fenced_write(f, id, first, &e), 0);
    struct store *other = open_store(f->path);
    struct jobs *second = open_jobs(f, other, 1, true); /* believes that the first is dead */
    wait_for_at_least(f, &f->running, 2);
    assert_int_equal(f->last_fence, first + 1);
    assert_int_equal(fenced_write(f, id, first, &e), -ERR_CONFLICT);
    assert_int_equal(fenced_write(f, id, first + 1, &e), 0);
    set(f, &f->gates, -1);
    wait_for_state(f, id, "done");
    assert_int_equal(fenced_write(f, id, first + 1, &e), -ERR_CONFLICT); /* it has ended */
    jobs_close(second);
    store_close(other);
}

/* ---- schedules ---- */

static int64_t ms_of(const char *rfc3339)
{
    int64_t ms = 0;
    assert_int_equal(time_parse(rfc3339, &ms), 0);
    return ms;
}

static void set_clock(const char *rfc3339)
{
    passed_ms += ms_of(rfc3339) - clock_now_ms();
}

static int jobs_made(struct fixture *f)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *r = NULL;
    assert_int_equal(store_acquire(f->store, STORE_READ, &c, NULL), 0);
    assert_int_equal(store_query(c, NULL, &r, "SELECT COUNT(*) FROM jobs WHERE schedule = 'nightly'", ""), 0);
    return rows_next(r, NULL) == 1 ? (int)rows_int(r, 0) : -1;
}

static int64_t next_at(struct fixture *f)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *r = NULL;
    assert_int_equal(store_acquire(f->store, STORE_READ, &c, NULL), 0);
    assert_int_equal(store_query(c, NULL, &r, "SELECT next_at FROM job_schedules WHERE name = 'nightly'", ""), 0);
    return rows_next(r, NULL) == 1 ? rows_int(r, 0) : -1;
}

static void wait_until_next_is(struct fixture *f, const char *rfc3339)
{
    for (int i = 0; i < WAIT_MS / 5 && next_at(f) != ms_of(rfc3339); i++)
        pause_shortly();
    char text[TIME_TEXT_LEN + 1];
    if (next_at(f) != ms_of(rfc3339))
        fail_msg("the next time is %s, not %s", time_format(next_at(f), text), rfc3339);
}

static const struct job_schedule nightly = {
    .name = "nightly", .kind = "test", .cron = "30 2 * * *", .time_zone = "Europe/Berlin"
};

/* The engine itself, with a clock that is moved over the night in which summer time begins. */
static void a_night_with_a_gap_has_its_run_O37(void **state)
{
    struct fixture *f = *state;
    f->schedule = nightly;
    set_clock("2026-03-28T12:00:00Z");
    f->jobs = open_jobs(f, f->store, 1, true);
    assert_int_equal(next_at(f), ms_of("2026-03-29T01:00:00Z"));
    set_clock("2026-03-29T00:59:00Z");
    set_clock("2026-03-29T01:00:01Z");
    wait_until_next_is(f, "2026-03-30T00:30:00Z");
    set_clock("2026-03-30T00:30:01Z");
    wait_until_next_is(f, "2026-03-31T00:30:00Z");
    assert_int_equal(jobs_made(f), 2);
    wait_for_at_least(f, &f->runs, 2);
}

static void what_an_outage_missed_is_caught_up_by_one_run(void **state)
{
    struct fixture *f = *state;
    f->schedule = nightly;
    set_clock("2026-06-01T12:00:00Z");
    f->jobs = open_jobs(f, f->store, 1, true);
    jobs_close(f->jobs);
    set_clock("2026-06-09T12:00:00Z");
    f->jobs = open_jobs(f, f->store, 1, true);
    wait_until_next_is(f, "2026-06-10T00:30:00Z");
    wait_for_at_least(f, &f->runs, 1);
    assert_int_equal(jobs_made(f), 1);
}

static void a_time_that_comes_while_the_job_before_runs_is_skipped(void **state)
{
    struct fixture *f = *state;
    f->schedule = nightly;
    f->gates = 0;
    set_clock("2026-06-01T12:00:00Z");
    f->jobs = open_jobs(f, f->store, 2, true);
    set_clock("2026-06-02T00:30:01Z");
    wait_for_at_least(f, &f->running, 1);
    set_clock("2026-06-03T00:30:01Z");
    wait_until_next_is(f, "2026-06-04T00:30:00Z");
    assert_int_equal(jobs_made(f), 1);
    set(f, &f->gates, -1);
    set_clock("2026-06-04T00:30:01Z");
    wait_for_at_least(f, &f->runs, 2);
}

static void two_engines_make_one_job_of_one_time(void **state)
{
    struct fixture *f = *state;
    f->schedule = nightly;
    f->schedule.cron = NULL;
    f->schedule.every_ms = 60000;
    set_clock("2026-06-01T12:00:00Z");
    struct store *other = open_store(f->path);
    struct jobs *first = open_jobs(f, f->store, 1, false), *second = open_jobs(f, other, 1, false);
    for (int i = 1; i <= 5; i++) {
        int64_t before = next_at(f);
        passed_ms += 60000;
        for (int k = 0; k < WAIT_MS / 5 && (next_at(f) == before || !reached(f, &f->runs, i)); k++)
            pause_shortly();
        wait_for_at_least(f, &f->runs, i);
    }
    jobs_close(first);
    jobs_close(second);
    store_close(other);
    assert_int_equal(jobs_made(f), 5);
    assert_int_equal(f->runs, 5);
}

static void a_schedule_that_nobody_registers_any_more_is_forgotten(void **state)
{
    struct fixture *f = *state;
    f->schedule = nightly;
    f->jobs = open_jobs(f, f->store, 1, true);
    jobs_close(f->jobs);
    assert_true(next_at(f) > 0);
    f->schedule.name = NULL;
    f->jobs = open_jobs(f, f->store, 1, true);
    assert_int_equal(next_at(f), -1);
}

static void a_changed_schedule_counts_from_now(void **state)
{
    struct fixture *f = *state;
    f->schedule = nightly;
    set_clock("2026-06-01T12:00:00Z");
    f->jobs = open_jobs(f, f->store, 1, true);
    jobs_close(f->jobs);
    set_clock("2026-06-05T12:00:00Z");
    f->schedule.cron = "0 4 * * *";
    f->jobs = open_jobs(f, f->store, 1, true);
    assert_int_equal(next_at(f), ms_of("2026-06-06T02:00:00Z"));
    struct error e = ERROR_INIT;
    struct job_schedule bad = nightly;
    bad.cron = "0 25 * * *";
    assert_int_equal(jobs_schedule(f->jobs, &bad, &e), -ERR_VALIDATION);
    bad.cron = NULL;
    assert_int_equal(jobs_schedule(f->jobs, &bad, &e), -ERR_VALIDATION);
    bad.cron = "0 2 * * *";
    bad.time_zone = "Europe/Atlantis";
    assert_int_equal(jobs_schedule(f->jobs, &bad, &e), -ERR_VALIDATION);
}

/* ---- kill -9 ---- */

static int tell_and_hang(void *ctx, struct job *job, struct error *e)
{
    ssize_t n = write(*(int *)ctx, "x", 1);
    for (;;)
        (void)pause();
    return (int)n;
}

/* A hub in a process of its own: it takes the job, says so, and hangs in it. */
static pid_t hub_that_hangs(const char *path, int *ret_pipe)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *s = NULL;
        struct jobs *j = NULL;
        struct job_kind kind = { .name = "test", .run = tell_and_hang, .ctx = &ends[1] };
        (void)close(ends[0]);
        if (store_open(&(struct store_options){ .path = path }, &s, NULL) < 0 || jobs_open(s, 1, true, &j, NULL) < 0 ||
            jobs_register(j, &kind, NULL) < 0 || jobs_start(j, NULL) < 0)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    *ret_pipe = ends[0];
    return child;
}

static void after_kill_9_another_engine_runs_the_job_again(void **state)
{
    struct fixture *f = *state;
    char said = 0, owner[40];
    int pipe_end = -1;
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(
        store_exec(c, NULL,
                   "INSERT INTO jobs (id, kind, arguments, state, next_run_at, deadline_at, created_at, updated_at) "
                   "VALUES ('job', 'test', '{\"text\":\"hello\"}', 'waiting', 0, $1, 0, 0)",
                   "i", clock_now_ms() + DAY_MS),
        0);
    assert_int_equal(store_commit(c, NULL), 0);
    store_release(TAKE(c));
    store_close(TAKE(f->store)); /* SQLite's connections are not carried over a fork */
    pid_t child = hub_that_hangs(f->path, &pipe_end);
    assert_int_equal(read(pipe_end, &said, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(pipe_end);
    f->store = open_store(f->path);
    wait_for_state(f, "job", "running");
    column(f, "job", "lease_owner", owner, sizeof owner);
    assert_true(owner[0]);
    f->jobs = open_jobs(f, f->store, 1, false);
    passed_ms += 30001;
    wait_for_state(f, "job", "done");
    assert_int_equal(f->runs, 1);
    assert_int_equal(f->last_attempt, 2);
    assert_string_equal(f->argument, "hello");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
#define ALONE(name) cmocka_unit_test_setup_teardown(name, start_without_engine, end)
    const struct CMUnitTest tests[] = {
        ALONE(after_kill_9_another_engine_runs_the_job_again), /* first: it forks, before other tests' threads */
        T(a_job_is_run_once_with_its_arguments),
        T(a_new_job_is_taken_at_once),
        T(again_comes_after_a_pause_that_grows),
        T(a_failure_is_final_and_says_why),
        T(after_its_deadline_it_is_not_tried_again),
        T(a_job_of_an_unknown_kind_fails_by_name),
        T(workers_work_side_by_side_but_no_more_of_them),
        T(a_kind_that_takes_long_leaves_workers_to_others),
        T(closing_waits_and_the_next_hub_goes_on),
        T(ended_jobs_are_forgotten_after_a_month),
        ALONE(two_engines_never_run_one_job_at_once),
        ALONE(a_second_engine_does_not_take_what_the_first_works_on),
        ALONE(a_lease_is_taken_over_when_it_has_ended),
        ALONE(the_only_engine_does_not_wait_for_leases),
        T(a_lease_is_renewed_while_the_job_is_worked_on),
        T(a_clock_that_jumps_does_not_run_a_job_twice),
        T(a_lost_lease_stops_the_job_and_its_end_is_not_written),
        T(a_bounded_kind_is_tried_so_often_and_says_why_it_ended),
        T(hubs_that_end_in_order_do_not_count_but_crashes_do),
        T(cancelling_ends_what_waits_and_tells_what_runs),
        T(a_cancelled_job_between_two_tries_is_run_to_clean_up),
        T(a_failed_job_is_run_again_with_all_its_tries),
        T(a_kind_may_have_ways_of_its_own),
        T(the_token_rises_with_each_taking_and_an_old_one_writes_nothing),
        ALONE(a_night_with_a_gap_has_its_run_O37),
        ALONE(what_an_outage_missed_is_caught_up_by_one_run),
        ALONE(a_time_that_comes_while_the_job_before_runs_is_skipped),
        ALONE(two_engines_make_one_job_of_one_time),
        ALONE(a_schedule_that_nobody_registers_any_more_is_forgotten),
        ALONE(a_changed_schedule_counts_from_now),
    };
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
