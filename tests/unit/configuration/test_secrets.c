/* Secrets: byte-exact, immutable, sealed, never deleted from under a release; registry logins by any name of the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "configuration/internal.h"

#include "support/canary.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct fixture {
    char dir[64], path[96];
    struct store *store;
    struct vault *vault;
    struct secrets *secrets;
};

static void open_parts(struct fixture *f)
{
    struct error e = ERROR_INIT;
    if (vault_open(f->dir, &f->vault, &e) < 0 ||
        store_open(&(struct store_options){ .path = f->path }, &f->store, &e) < 0 ||
        secrets_open(f->store, f->vault, &f->secrets, &e) < 0)
        fail_msg("%s", e.message);
}

static void close_parts(struct fixture *f)
{
    secrets_close(f->secrets);
    store_close(f->store);
    vault_close(f->vault);
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-secrets-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/hub.db", f->dir);
    open_parts(f);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    close_parts(f);
    DIR *d = opendir(f->dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static int64_t set(struct fixture *f, const char *name, const void *bytes, size_t len)
{
    struct error e = ERROR_INIT;
    int64_t version = 0;
    _cleanup_secret_ struct secret *value = secret_new(bytes, len);
    if (secrets_set(f->secrets, name, value, "tester", &version, &e) < 0)
        fail_msg("%s", e.message);
    return version;
}

static void expect(struct fixture *f, const char *name, int64_t version, const void *bytes, size_t len)
{
    struct error e = ERROR_INIT;
    size_t n = 0;
    _cleanup_secret_ struct secret *value = NULL;
    if (secrets_get(f->secrets, name, version, &value, NULL, &e) < 0)
        fail_msg("%s", e.message);
    const char *got = secret_reveal(value, &n);
    assert_int_equal(n, len);
    assert_memory_equal(got, bytes, len);
}

static void values_come_back_byte_for_byte_O33(void **state)
{
    static const char *const values[] = { "-----BEGIN KEY-----\nab\ncd\n-----END KEY-----\n",
                                          "a\r\nb\r\n",
                                          " leading",
                                          "",
                                          "\"'$$x%s=a=b\\n`",
                                          "\xf0\x9f\x94\x91 é",
                                          "\xff\xfe not text" };
    struct fixture *f = *state;
    char *large = malloc(SECRET_VALUE_MAX);
    for (size_t i = 0; i < SECRET_VALUE_MAX; i++)
        large[i] = (char)(i * 7 % 256);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_int_equal(set(f, "value", values[i], strlen(values[i])), (int64_t)i + 1);
    (void)set(f, "value", large, SECRET_VALUE_MAX);
    close_parts(f);
    open_parts(f);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        expect(f, "value", (int64_t)i + 1, values[i], strlen(values[i]));
    expect(f, "value", 0, large, SECRET_VALUE_MAX);
    free(large);
}

static void what_is_too_long_or_badly_named_is_refused(void **state)
{
    struct fixture *f = *state;
    int64_t version = 0;
    char long_name[SECRET_NAME_MAX + 2];
    char *large = calloc(1, SECRET_VALUE_MAX + 1);
    _cleanup_secret_ struct secret *value = secret_new("x", 1), *too_long = secret_new(large, SECRET_VALUE_MAX + 1);
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const char *const bad[] = { "", "-a", "a b", "a/b", ".a", "é", long_name };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(secrets_set(f->secrets, bad[i], value, "x", &version, NULL), -ERR_VALIDATION);
    assert_int_equal(secrets_set(f->secrets, "a", too_long, "x", &version, NULL), -ERR_VALIDATION);
    free(large);
}

static void use(struct fixture *f, const char *release, const char *name, int64_t version, int wanted)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(secrets_use(c, release, name, version, NULL), wanted);
    if (wanted == 0)
        assert_int_equal(store_commit(c, NULL), 0);
}

static void forget(struct fixture *f, const char *release)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(secrets_release_forgotten(c, release, NULL), 0);
    assert_int_equal(store_commit(c, NULL), 0);
}

static void a_version_that_a_kept_release_uses_stays(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    (void)set(f, "token", "one", 3);
    (void)set(f, "token", "two", 3);
    use(f, "release-a", "token", 1, 0);
    use(f, "release-a", "token", 1, 0); /* may be repeated */
    assert_int_equal(secrets_delete(f->secrets, "token", 1, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "release-a"));
    assert_int_equal(secrets_delete(f->secrets, "token", 0, NULL), -ERR_CONFLICT);
    assert_int_equal(secrets_delete(f->secrets, "token", 2, NULL), 0);
    expect(f, "token", 1, "one", 3);
    forget(f, "release-a");
    assert_int_equal(secrets_delete(f->secrets, "token", 0, NULL), 0);
    assert_int_equal(secrets_delete(f->secrets, "token", 0, NULL), -ERR_NOT_FOUND);
    use(f, "release-b", "token", 1, -ERR_NOT_FOUND);
}

static void sql(struct fixture *f, const char *text, int64_t at)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(store_exec(c, NULL, text, "i", at), 0);
    assert_int_equal(store_commit(c, NULL), 0);
}

/* What a removed service's releases used is free; what was made a moment ago may have its service written in a moment. */
static void releases_of_a_removed_service_hold_nothing(void **state)
{
    struct fixture *f = *state;
    (void)set(f, "token", "one", 3);
    sql(f,
        "INSERT INTO service_releases (id, service_id, number, specification, created_at) VALUES ('r', 'gone', 1, '{}', $1)",
        clock_now_ms());
    use(f, "r", "token", 1, 0);
    assert_int_equal(secrets_delete(f->secrets, "token", 0, NULL), -ERR_CONFLICT);
    sql(f, "UPDATE service_releases SET created_at = $1", clock_now_ms() - 3600000);
    assert_int_equal(secrets_delete(f->secrets, "token", 0, NULL), 0);
}

/* Without its key a node could not be reached any more; older versions than the one that is taken may go. */
static void what_reaches_a_node_s_engine_stays(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    (void)set(f, "attic-key", "one", 3);
    (void)set(f, "attic-key", "two", 3);
    sql(f,
        "INSERT INTO infrastructure_nodes (id, name, type, provider, resources, networking, status, monitoring, metadata, "
        "labels, engine, created_at, updated_at) VALUES ('n', 'attic', 'spoke', 'other', '{}', '{}', 'active', '{}', "
        "'{}', '{}', '{\"kind\":\"ssh\",\"key\":{\"secret\":\"attic-key\"}}', $1, $1)",
        clock_now_ms());
    assert_int_equal(secrets_delete(f->secrets, "attic-key", 0, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "node attic"));
    error_done(&e);
    assert_int_equal(secrets_delete(f->secrets, "attic-key", 2, NULL), -ERR_CONFLICT);
    assert_int_equal(secrets_delete(f->secrets, "attic-key", 1, NULL), 0);
    sql(f, "UPDATE infrastructure_nodes SET engine = NULL, updated_at = $1", clock_now_ms());
    assert_int_equal(secrets_delete(f->secrets, "attic-key", 0, NULL), 0);
}

/* A release that names version 2 never gets another value than the one it was made with. */
static void a_number_is_never_used_again(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    _cleanup_secret_ struct secret *value = NULL;
    (void)set(f, "token", "one", 3);
    (void)set(f, "token", "two", 3);
    assert_int_equal(secrets_delete(f->secrets, "token", 0, NULL), 0);
    assert_int_equal(set(f, "token", "three", 5), 3);
    assert_int_equal(secrets_get(f->secrets, "token", 2, &value, NULL, &e), -ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "version 2"));
}

static void old_versions_make_room_but_not_those_in_use(void **state)
{
    struct fixture *f = *state;
    _cleanup_secret_ struct secret *gone = NULL;
    (void)set(f, "token", "first", 5);
    use(f, "release-a", "token", 1, 0);
    for (int i = 0; i < SECRET_VERSIONS_MAX + 3; i++)
        (void)set(f, "token", "later", 5);
    expect(f, "token", 1, "first", 5);
    expect(f, "token", SECRET_VERSIONS_MAX + 4, "later", 5);
    assert_int_equal(secrets_get(f->secrets, "token", 2, &gone, NULL, NULL), -ERR_NOT_FOUND);
}

/* Someone with the database cannot put one secret's bytes in another's place. */
static void a_sealed_value_is_bound_to_its_place(void **state)
{
    struct fixture *f = *state;
    _cleanup_secret_ struct secret *value = NULL;
    (void)set(f, "mine", "aaaa", 4);
    (void)set(f, "theirs", "bbbb", 4);
    struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, NULL), 0);
    assert_int_equal(
        store_exec(c, NULL,
                   "UPDATE secret_versions SET value_sealed = (SELECT v.value_sealed FROM secret_versions v "
                   "WHERE v.name = 'theirs') WHERE name = 'mine'",
                   ""),
        0);
    assert_int_equal(store_commit(c, NULL), 0);
    store_release(c);
    assert_int_equal(secrets_get(f->secrets, "mine", 0, &value, NULL, NULL), -ERR_INTERNAL);
    assert_null(value);
}

static void hosts_have_one_name(void **state)
{
    static const char *const pairs[][2] = {
        { "GHCR.io", "ghcr.io" },
        { "https://ghcr.io/v2/", "ghcr.io" },
        { "ghcr.io:443", "ghcr.io" },
        { "index.docker.io", "docker.io" },
        { "https://index.docker.io/v1/", "docker.io" },
        { "registry-1.docker.io", "docker.io" },
        { "registry.example.org:5000", "registry.example.org:5000" },
    };
    char host[256];
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_int_equal(registry_host(pairs[i][0], host, NULL), 0);
        assert_string_equal(host, pairs[i][1]);
    }
    for (const char *const *bad = (const char *const[]){ "", "https://", "a b", "-x", "a@b", ":443", NULL }; *bad;
         bad++)
        assert_int_equal(registry_host(*bad, host, NULL), -ERR_VALIDATION);
}

static void logins_are_kept_by_host(void **state)
{
    struct fixture *f = *state;
    struct registry_login l = { .password = NULL };
    _cleanup_secret_ struct secret *first = secret_new("old", 3), *second = secret_new("new \xc3\xa9", 6);
    assert_int_equal(secrets_registry(f->secrets, "docker.io", &l, NULL), 0);
    assert_int_equal(registry_set(f->secrets, "docker.io", "a", first, "x", NULL), 0);
    assert_int_equal(registry_set(f->secrets, "docker.io", "b", second, "x", NULL), 0);
    assert_int_equal(secrets_registry(f->secrets, "https://index.docker.io/v1/", &l, NULL), 1);
    assert_string_equal(l.username, "b");
    assert_true(secret_equals(l.password, "new \xc3\xa9", 6));
    registry_login_done(&l);
    assert_int_equal(registry_forget(f->secrets, "docker.io", NULL), 0);
    assert_int_equal(registry_forget(f->secrets, "docker.io", NULL), -ERR_NOT_FOUND);
}

static void nothing_of_a_value_is_in_the_files_or_the_documents(void **state)
{
    static const char value[] = "c4n4ry-value-4711", password[] = "c4n4ry-password-0815";
    static const struct canary list[] = { { "value", value, sizeof value - 1 },
                                          { "password", password, sizeof password - 1 } };
    struct fixture *f = *state;
    struct jw w;
    _cleanup_buf_ struct buf b;
    _cleanup_secret_ struct secret *p = secret_new(password, sizeof password - 1);
    (void)set(f, "token", value, sizeof value - 1);
    assert_int_equal(registry_set(f->secrets, "ghcr.io", "me", p, "x", NULL), 0);
    buf_init(&b, 0);
    jw_init(&w, &b);
    jw_array(&w);
    assert_int_equal(secrets_write(f->secrets, "token", &w, NULL), 0);
    assert_int_equal(registry_write(f->secrets, "ghcr.io", &w, NULL), 0);
    assert_int_equal(registries_write(f->secrets, &w, NULL), 0);
    jw_end(&w);
    assert_non_null(strstr(buf_str(&b), "token"));
    canary_expect_none(list, ARRAY_LEN(list), "documents", b.data, b.len);
    assert_true(canary_expect_none_in_files(list, ARRAY_LEN(list), f->dir, NULL) >= 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        CASE(values_come_back_byte_for_byte_O33),
        CASE(what_is_too_long_or_badly_named_is_refused),
        CASE(a_version_that_a_kept_release_uses_stays),
        CASE(releases_of_a_removed_service_hold_nothing),
        CASE(what_reaches_a_node_s_engine_stays),
        CASE(a_number_is_never_used_again),
        CASE(old_versions_make_room_but_not_those_in_use),
        CASE(a_sealed_value_is_bound_to_its_place),
        CASE(hosts_have_one_name),
        CASE(logins_are_kept_by_host),
        CASE(nothing_of_a_value_is_in_the_files_or_the_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
