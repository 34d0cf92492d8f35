/* The store on a real SQLite file: rows, transactions, migrations, a bounded WAL. */
#include "store/store.h"

#include "base/str.h"

#include <dirent.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64], path[96];
    struct store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/hub.db", f->dir);
    struct error e = ERROR_INIT;
    struct store_options o = { .path = f->path, .wal_limit_bytes = 256 << 10 };
    if (store_open(&o, &f->store, &e) < 0)
        fail_msg("%s", e.message);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    DIR *d = opendir(f->dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static struct store_conn *acquire(struct fixture *f, enum store_use use)
{
    struct store_conn *c = NULL;
    struct error e = ERROR_INIT;
    if (store_acquire(f->store, use, &c, &e) < 0)
        fail_msg("%s", e.message);
    return c;
}

static void add_milestone(struct store_conn *c, const char *id, const char *text, int64_t level)
{
    struct error e = ERROR_INIT;
    if (store_exec(c, &e,
                   "INSERT INTO learning_milestones (id, category, milestone, difficulty_level, created_at) "
                   "VALUES ($1, 'x', $2, $3, 1)",
                   "tti", id, text, level) < 0)
        fail_msg("%s", e.message);
}

static int64_t count_milestones(struct fixture *f)
{
    _cleanup_conn_ struct store_conn *c = acquire(f, STORE_READ);
    _cleanup_rows_ struct store_rows *r = NULL;
    assert_int_equal(store_query(c, NULL, &r, "SELECT COUNT(*) FROM learning_milestones", ""), 0);
    assert_int_equal(rows_next(r, NULL), 1);
    return rows_int(r, 0);
}

static void rows_come_back_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    struct store_conn *w = acquire(f, STORE_WRITE);
    add_milestone(w, "a", "quote ' and \xc3\xbc", 3);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    _cleanup_conn_ struct store_conn *c = acquire(f, STORE_READ);
    _cleanup_rows_ struct store_rows *r = NULL;
    assert_int_equal(store_query(c, NULL, &r,
                                 "SELECT milestone, difficulty_level, evidence FROM learning_milestones WHERE id = $1",
                                 "t", "a"),
                     0);
    assert_int_equal(rows_next(r, NULL), 1);
    assert_string_equal(rows_text(r, 0), "quote ' and \xc3\xbc");
    assert_int_equal(rows_int(r, 1), 3);
    assert_true(rows_null(r, 2));
    assert_int_equal(rows_next(r, NULL), 0);
}

static void release_without_commit_undoes(void **state)
{
    struct fixture *f = *state;
    struct store_conn *w = acquire(f, STORE_WRITE);
    add_milestone(w, "a", "gone", 1);
    store_release(w);
    assert_int_equal(count_milestones(f), 0);
}

static void a_broken_check_is_a_conflict_and_names_it(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    _cleanup_conn_ struct store_conn *w = acquire(f, STORE_WRITE);
    int r = store_exec(w, &e,
                       "INSERT INTO learning_milestones (id, category, milestone, difficulty_level, created_at) "
                       "VALUES ('b', 'x', 'y', $1, 1)",
                       "i", (int64_t)9);
    assert_int_equal(r, -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "difficulty_level"));
}

static void a_newer_schema_is_refused_in_a_clear_sentence(void **state)
{
    struct fixture *f = *state;
    struct store_conn *w = acquire(f, STORE_WRITE);
    assert_int_equal(store_exec(w, NULL, "INSERT INTO schema_migrations VALUES (99, 'future', 'x', 1)", ""), 0);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    struct error e = ERROR_INIT;
    struct store *second = NULL;
    assert_int_equal(store_open(&(struct store_options){ .path = f->path }, &second, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "schema 99"));
}

static void a_changed_migration_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_conn *w = acquire(f, STORE_WRITE);
    assert_int_equal(store_exec(w, NULL, "UPDATE schema_migrations SET checksum = 'other' WHERE version = 1", ""), 0);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    struct error e = ERROR_INIT;
    struct store *second = NULL;
    assert_true(store_open(&(struct store_options){ .path = f->path }, &second, &e) < 0);
    assert_non_null(strstr(e.message, "Migration 1"));
}

static void a_damaged_file_is_named(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 4096 * 3, SEEK_SET), 0);
    for (int i = 0; i < 4096 * 2; i++)
        (void)fputc(0x5a, file);
    (void)fclose(file);
    struct error e = ERROR_INIT;
    struct store *second = NULL;
    assert_true(store_open(&(struct store_options){ .path = f->path }, &second, &e) < 0);
    assert_non_null(strstr(e.message, "damaged"));
}

static int64_t wal_size(struct fixture *f)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s-wal", f->path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* O29: writers with readers beside them must not grow the WAL without end. */
static void o29_wal_stays_bounded_beside_readers(void **state)
{
    struct fixture *f = *state;
    int64_t highest = 0;
    for (int i = 0; i < 600; i++) {
        char id[16], text[2001];
        memset(text, 'x', 2000);
        text[2000] = '\0';
        (void)snprintf(id, sizeof id, "m%d", i);
        struct store_conn *w = acquire(f, STORE_WRITE);
        add_milestone(w, id, text, 1);
        assert_int_equal(store_commit(w, NULL), 0);
        store_release(w);
        assert_int_equal(count_milestones(f), i + 1);
        highest = wal_size(f) > highest ? wal_size(f) : highest;
    }
    assert_true(highest > 0);
    assert_true(highest < (256 << 10) + (64 << 10));
}

/* ---- other processes */

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A child that runs `sql` on the file, says so, and holds what it has until the pipe it reads is closed. */
static pid_t process_that_holds(const char *path, const char *sql, int *ret_hold)
{
    int said[2], hold[2];
    char c;
    assert_int_equal(pipe(said), 0);
    assert_int_equal(pipe(hold), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *db = NULL;
        (void)close(hold[1]);
        bool fine = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
        if (!fine || write(said[1], "x", 1) != 1)
            _exit(1);
        (void)!read(hold[0], &c, 1);
        _exit(0);
    }
    (void)close(said[1]);
    (void)close(hold[0]);
    assert_int_equal(read(said[0], &c, 1), 1);
    (void)close(said[0]);
    *ret_hold = hold[1];
    return child;
}

static void let_go(pid_t child, int hold)
{
    (void)close(hold);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* O31: another program's lock gives a clear error within the timeout, readers go on, and afterwards all is well. */
static void o31_a_lock_of_another_process_is_named_in_time(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct store_conn *w = NULL;
    store_close(TAKE(f->store));
    int hold = -1;
    pid_t child = process_that_holds(f->path, "BEGIN IMMEDIATE", &hold);
    assert_int_equal(store_open(&(struct store_options){ .path = f->path, .busy_timeout_ms = 300 }, &f->store, &e), 0);
    int64_t began = now_ms();
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &w, &e), -ERR_UNAVAILABLE);
    assert_in_range(now_ms() - began, 250, 3000);
    assert_non_null(strstr(e.message, "locked by another program"));
    assert_int_equal(count_milestones(f), 0);
    let_go(child, hold);
    w = acquire(f, STORE_WRITE);
    add_milestone(w, "a", "x", 1);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    assert_int_equal(count_milestones(f), 1);
}

/* The store's database begins anew, as an older program left it. */
static void as_of_version(struct fixture *f, int version)
{
    char path[160];
    static const char *const ends[] = { "", "-wal", "-shm" };
    store_close(TAKE(f->store));
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)snprintf(path, sizeof path, "%s%s", f->path, ends[i]);
        (void)unlink(path);
    }
    assert_int_equal(store_open(&(struct store_options){ .path = f->path, .up_to_version = version }, &f->store, NULL),
                     0);
    assert_int_equal(store_schema_version(f->store), version);
}

/* O31: nor does a start hang: the program says why it does not come up (that readers go on is shown above). */
static void o31_a_start_behind_a_lock_says_why(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    struct error e = ERROR_INIT;
    int hold = -1;
    as_of_version(f, 1); /* something to migrate */
    store_close(TAKE(f->store));
    pid_t child =
        process_that_holds(f->path,
                           "BEGIN IMMEDIATE; INSERT INTO learning_milestones (id, category, milestone, created_at) "
                           "VALUES ('x', 'x', 'x', 1)",
                           &hold);
    int64_t began = now_ms();
    assert_int_equal(store_open(&(struct store_options){ .path = f->path, .busy_timeout_ms = 300 }, &second, &e),
                     -ERR_UNAVAILABLE);
    assert_in_range(now_ms() - began, 250, 5000);
    assert_null(second);
    assert_non_null(strstr(e.message, "locked by another program"));
    let_go(child, hold);
}

/* O31: a reader that idles in its transaction keeps no writer and no migration waiting. */
static void o31_an_idle_reader_blocks_nobody(void **state)
{
    struct fixture *f = *state;
    int hold = -1;
    store_close(TAKE(f->store));
    pid_t child = process_that_holds(f->path, "BEGIN; SELECT COUNT(*) FROM learning_milestones", &hold);
    assert_int_equal(store_open(&(struct store_options){ .path = f->path, .busy_timeout_ms = 300 }, &f->store, NULL),
                     0);
    struct store_conn *w = acquire(f, STORE_WRITE);
    assert_int_equal(store_exec(w, NULL, "ALTER TABLE learning_milestones ADD COLUMN more TEXT", ""), 0);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    assert_int_equal(count_milestones(f), 0);
    let_go(child, hold);
}

static void an_exhausted_pool_says_so_in_time(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct store_conn *readers[2], *more = NULL;
    store_close(TAKE(f->store));
    assert_int_equal(
        store_open(&(struct store_options){ .path = f->path, .readers = 2, .acquire_ms = 200 }, &f->store, &e), 0);
    for (size_t i = 0; i < 2; i++)
        readers[i] = acquire(f, STORE_READ);
    int64_t began = now_ms();
    assert_int_equal(store_acquire(f->store, STORE_READ, &more, &e), -ERR_UNAVAILABLE);
    assert_in_range(now_ms() - began, 190, 3000);
    assert_string_equal(e.message, "The database is busy: no reading connection came free in 200 ms.");
    assert_null(more);
    struct store_conn *w = acquire(f, STORE_WRITE); /* the writer is not one of them */
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &more, &e), -ERR_UNAVAILABLE);
    assert_non_null(strstr(e.message, "writing"));
    store_release(w);
    store_release(readers[0]);
    assert_int_equal(store_acquire(f->store, STORE_READ, &more, &e), 0);
    store_release(more);
    store_release(readers[1]);
}

/* ---- migrations */

static int64_t number_in(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return n;
}

static void write_past(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    (void)sqlite3_close(db);
}

#define METRIC_TABLES "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'metric~_%' ESCAPE '~'"

/* As a database of the version before: it is brought up, and what it was is kept, whole and openable. */
static void a_copy_is_kept_before_a_migration(void **state)
{
    struct fixture *f = *state;
    char copy[128];
    struct stat st;
    int newest = store_schema_version(f->store);
    as_of_version(f, 1);
    struct store_conn *w = acquire(f, STORE_WRITE);
    add_milestone(w, "a", "kept", 1);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    store_close(TAKE(f->store));
    (void)snprintf(copy, sizeof copy, "%s.before-2", f->path);
    assert_int_equal(access(copy, F_OK), -1); /* a new database has nothing to keep */
    assert_int_equal(store_open(&(struct store_options){ .path = f->path }, &f->store, NULL), 0);
    assert_int_equal(store_schema_version(f->store), newest);
    assert_int_equal(count_milestones(f), 1);
    assert_int_equal(number_in(copy, "SELECT MAX(version) FROM schema_migrations"), 1);
    assert_int_equal(number_in(copy, "SELECT COUNT(*) FROM learning_milestones WHERE milestone = 'kept'"), 1);
    assert_int_equal(number_in(copy, METRIC_TABLES), 0);
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* The last statement of migration 2 fails: none of the ones before it is left. */
static void a_migration_that_fails_is_undone_whole(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    as_of_version(f, 1);
    store_close(TAKE(f->store));
    write_past(f->path, "CREATE INDEX idx_metric_blocks_times ON learning_milestones(id)");
    assert_true(store_open(&(struct store_options){ .path = f->path }, &f->store, &e) < 0);
    assert_non_null(strstr(e.message, "Migration 2"));
    assert_non_null(strstr(e.message, "undone"));
    assert_int_equal(number_in(f->path, METRIC_TABLES), 0);
    assert_int_equal(number_in(f->path, "SELECT MAX(version) FROM schema_migrations"), 1);
    write_past(f->path, "DROP INDEX idx_metric_blocks_times");
    assert_int_equal(store_open(&(struct store_options){ .path = f->path }, &f->store, &e), 0);
}

static void its_files_are_the_owners_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "", "-wal", "-shm" };
    struct store_conn *w = acquire(f, STORE_WRITE);
    add_milestone(w, "a", "x", 1);
    assert_int_equal(store_commit(w, NULL), 0);
    store_release(w);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[128];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s%s", f->path, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 077, 0);
    }
}

/* More statements than a connection keeps: the least used go, and all still work. */
static void many_statements_share_few_places(void **state)
{
    struct fixture *f = *state;
    _cleanup_conn_ struct store_conn *c = acquire(f, STORE_READ);
    for (int64_t round = 0; round < 2; round++)
        for (int i = 0; i < 100; i++) {
            char sql[64];
            _cleanup_rows_ struct store_rows *r = NULL;
            (void)snprintf(sql, sizeof sql, "SELECT $1 + %d", i);
            assert_int_equal(store_query(c, NULL, &r, sql, "i", round), 0);
            assert_int_equal(rows_next(r, NULL), 1);
            assert_int_equal(rows_int(r, 0), i + round);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(rows_come_back_as_they_went_in),
        T(release_without_commit_undoes),
        T(a_broken_check_is_a_conflict_and_names_it),
        T(a_newer_schema_is_refused_in_a_clear_sentence),
        T(a_changed_migration_is_refused),
        T(a_damaged_file_is_named),
        T(o29_wal_stays_bounded_beside_readers),
        T(o31_a_lock_of_another_process_is_named_in_time),
        T(o31_a_start_behind_a_lock_says_why),
        T(o31_an_idle_reader_blocks_nobody),
        T(an_exhausted_pool_says_so_in_time),
        T(a_copy_is_kept_before_a_migration),
        T(a_migration_that_fails_is_undone_whole),
        T(its_files_are_the_owners_alone),
        T(many_statements_share_few_places),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
