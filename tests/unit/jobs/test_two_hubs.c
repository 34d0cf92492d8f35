/* Two hubs, each a process of its own, on one database: every job runs once; one that is killed, or that stood still for
 * longer than its lease, is taken over from, and what it still writes afterwards is not taken. */
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
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS 120
#define WAIT_MS 20000

/* What the processes share. */
static struct shared {
    _Atomic int64_t passed_ms;
    _Atomic int ran[JOBS], by[JOBS]; /* how often, and by which process last */
    _Atomic int holder, takings; /* of the slow job */
    _Atomic bool go;
    _Atomic int open; /* hubs; each waits for the other before it takes a job */
    _Atomic int written, refused;
} *shared;

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + shared->passed_ms;
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

static void pause_shortly(void)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* ---- what the hubs run ---- */

static struct store *hub_store;

static int count(void *ctx, struct job *job, struct error *e)
{
    int64_t n = json_int(job->arguments, "n", 0);
    shared->ran[n]++;
    shared->by[n] = getpid();
    pause_shortly();
    return JOB_DONE;
}

/* Writes one row of its journal, as a deployment does. */
static int write_journal(struct job *job, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(hub_store, STORE_WRITE, &c, e);
    if (r == 0)
        r = jobs_fence_check(c, job, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO deployment_journal (deployment_id, seq, step, mark, facts, at) VALUES ($1, $2, 'pull', "
            "'begin', '{}', 0)",
            "ti", job->id, job->fence);
    return r == 0 ? store_commit(c, e) : r;
}

/* The first process that takes it waits in it; it goes on when the test says so. */
static int slow(void *ctx, struct job *job, struct error *e)
{
    if (shared->takings++ == 0) {
        shared->holder = getpid();
        while (!shared->go)
            pause_shortly();
    }
    int r = write_journal(job, e);
    *(r < 0 ? &shared->refused : &shared->written) += 1;
    return r < 0 ? JOB_AGAIN : JOB_DONE;
}

static int open_hub(const char *path, unsigned workers, struct jobs **ret, struct error *e)
{
    const struct job_kind kinds[] = { { .name = "count", .run = count }, { .name = "slow", .run = slow } };
    int r = store_open(&(struct store_options){ .path = path }, &hub_store, e);
    if (r == 0)
        r = jobs_open(hub_store, workers, false, ret, e);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(kinds); i++)
        r = jobs_register(*ret, &kinds[i], e);
    return r;
}

static pid_t start_hub(const char *path, unsigned workers)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    struct error e = ERROR_INIT;
    struct jobs *j = NULL;
    int r = open_hub(path, workers, &j, &e);
    for (shared->open++; r == 0 && shared->open < 2;)
        pause_shortly();
    if (r < 0 || jobs_start(j, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.message);
        _exit(1);
    }
    for (;;)
        (void)pause();
}

static void kill_hub(pid_t hub)
{
    (void)kill(hub, SIGKILL);
    assert_int_equal(waitpid(hub, NULL, 0), hub);
}

/* ---- fixture ---- */

struct fixture {
    char dir[64], path[96];
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    clock_set(&moved);
    log_init(LOG_ERROR + 1, LOG_JSON, STDERR_FILENO);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-two-hubs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/hub.db", f->dir);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    DIR *d = opendir(f->dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    (void)rmdir(f->dir);
    free(f);
    clock_set(NULL);
    (void)munmap(shared, sizeof *shared);
    return 0;
}

/* By a hub that never starts, and closes the database before the others are forked. */
static void add_jobs(struct fixture *f, const char *kind, int n)
{
    struct error e = ERROR_INIT;
    struct jobs *j = NULL;
    char id[37];
    if (open_hub(f->path, 1, &j, &e) < 0)
        fail_msg("%s", e.message);
    for (int i = 0; i < n; i++) {
        _cleanup_json_ json_t *arguments = json_pack("{s:i}", "n", i);
        assert_int_equal(jobs_add(j, kind, arguments, clock_now_ms() + 86400000, id, NULL), 0);
    }
    jobs_close(j);
    store_close(TAKE(hub_store));
}

static int64_t number(struct fixture *f, const char *sql)
{
    struct store *s = NULL;
    struct store_conn *c = NULL;
    struct store_rows *rows = NULL;
    assert_int_equal(store_open(&(struct store_options){ .path = f->path }, &s, NULL), 0);
    assert_int_equal(store_acquire(s, STORE_READ, &c, NULL), 0);
    assert_int_equal(store_query(c, NULL, &rows, sql, ""), 0);
    int64_t n = rows_next(rows, NULL) == 1 ? rows_int(rows, 0) : -1;
    rows_done(rows);
    store_release(c);
    store_close(s);
    return n;
}

static void wait_for_at_least(const _Atomic int *what, int least)
{
    int64_t until = read_clock(CLOCK_MONOTONIC) - shared->passed_ms + WAIT_MS;
    while (*what < least && read_clock(CLOCK_MONOTONIC) - shared->passed_ms < until)
        pause_shortly();
    assert_true(*what >= least);
}

/* ---- tests ---- */

static void every_job_runs_once_and_both_hubs_work(void **state)
{
    struct fixture *f = *state;
    add_jobs(f, "count", JOBS);
    pid_t hubs[] = { start_hub(f->path, 2), start_hub(f->path, 2) };
    int64_t left = 1;
    for (int i = 0; i < WAIT_MS / 20 && left; i++) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
        left = number(f, "SELECT COUNT(*) FROM jobs WHERE state <> 'done'");
    }
    kill_hub(hubs[0]);
    kill_hub(hubs[1]);
    assert_int_equal(left, 0);
    int by_first = 0;
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(shared->ran[i], 1);
        by_first += shared->by[i] == hubs[0];
    }
    assert_in_range(by_first, 1, JOBS - 1);
}

static void the_other_hub_takes_over_from_one_that_was_killed_after_its_lease(void **state)
{
    struct fixture *f = *state;
    add_jobs(f, "slow", 1);
    pid_t hubs[] = { start_hub(f->path, 1), start_hub(f->path, 1) };
    wait_for_at_least(&shared->takings, 1);
    pid_t dead = shared->holder, alive = hubs[shared->holder == hubs[0]];
    kill_hub(dead);
    shared->passed_ms += 25000; /* the lease still holds: the other looks each second, and leaves it */
    (void)nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
    assert_int_equal(shared->takings, 1);
    shared->passed_ms += 6000;
    wait_for_at_least(&shared->written, 1);
    for (int i = 0; i < WAIT_MS / 5 && number(f, "SELECT COUNT(*) FROM jobs WHERE state = 'done' AND attempt = 2") == 0;
         i++)
        pause_shortly();
    kill_hub(alive);
    assert_int_equal(number(f, "SELECT COUNT(*) FROM jobs WHERE state = 'done' AND attempt = 2 AND fence = 2"), 1);
    assert_int_equal(shared->takings, 2);
}

/* A hub that stood still (its machine slept, its disk hung) does not know that its lease has ended. */
static void what_a_hub_writes_after_it_lost_its_lease_is_refused(void **state)
{
    struct fixture *f = *state;
    add_jobs(f, "slow", 1);
    pid_t hubs[] = { start_hub(f->path, 1), start_hub(f->path, 1) };
    wait_for_at_least(&shared->takings, 1);
    pid_t asleep = shared->holder;
    assert_int_equal(kill(asleep, SIGSTOP), 0);
    shared->passed_ms += 31000;
    wait_for_at_least(&shared->written, 1);
    shared->go = true;
    assert_int_equal(kill(asleep, SIGCONT), 0);
    wait_for_at_least(&shared->refused, 1);
    kill_hub(hubs[0]);
    kill_hub(hubs[1]);
    assert_int_equal(shared->written, 1);
    assert_int_equal(number(f, "SELECT COUNT(*) FROM deployment_journal"), 1);
    assert_int_equal(number(f, "SELECT seq FROM deployment_journal"), 2);
    assert_int_equal(number(f, "SELECT COUNT(*) FROM jobs WHERE state = 'done' AND fence = 2"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(every_job_runs_once_and_both_hubs_work),
        T(the_other_hub_takes_over_from_one_that_was_killed_after_its_lease),
        T(what_a_hub_writes_after_it_lost_its_lease_is_refused),
    };
    return cmocka_run_group_tests_name("two hubs", tests, NULL, NULL);
}
