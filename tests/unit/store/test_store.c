/* The store on a real SQLite file: rows, transactions, migrations, a bounded WAL. */
#include "store/store.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sqlite3.h>
#include <sys/stat.h>
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
    static const char *const names[] = { "", "-wal", "-shm", ".before-2", ".before-3" };
    store_close(f->store);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", f->path, names[i]);
        (void)unlink(path);
    }
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
    if (store_exec(c, &e, "INSERT INTO learning_milestones (id, category, milestone, difficulty_level, created_at) "
                          "VALUES ($1, 'x', $2, $3, 1)", "tti", id, text, level) < 0)
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
    assert_int_equal(store_query(c, NULL, &r, "SELECT milestone, difficulty_level, evidence FROM learning_milestones WHERE id = $1", "t", "a"), 0);
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
    int r = store_exec(w, &e, "INSERT INTO learning_milestones (id, category, milestone, difficulty_level, created_at) "
                              "VALUES ('b', 'x', 'y', $1, 1)", "i", (int64_t)9);
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
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
