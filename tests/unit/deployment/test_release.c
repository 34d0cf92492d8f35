/* Releases: the environment's values are sealed, and in clear nowhere but in what a container is made with (O32). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deployment/internal.h"

#include "support/canary.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct fixture {
    char dir[64], path[96];
    struct store *store;
    struct vault *vault;
    struct deployments deployments; /* what release.c uses of it */
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error e = ERROR_INIT;
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-release-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/hub.db", f->dir);
    if (vault_open(f->dir, &f->vault, &e) < 0 ||
        store_open(&(struct store_options){ .path = f->path }, &f->store, &e) < 0)
        fail_msg("%s", e.message);
    f->deployments.store = f->store;
    f->deployments.vault = f->vault;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    vault_close(f->vault);
    DIR *d = opendir(f->dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

#define MULTILINE "-----BEGIN KEY-----\ncanary-line-two\n-----END KEY-----"
#define URL "postgres://app:canary-of-a-url@db/app"

static json_t *request(void)
{
    json_t *j = json_pack("{s:s, s:{s:s, s:{s:s, s:s, s:s, s:s}}}", "name", "web", "container", "image", "nginx:1",
                          "environment", "PASSWORD", "canary-password", "DATABASE_URL", URL, "KEY", MULTILINE, "JSON",
                          "{\"token\":\"canary-in-json\"}");
    assert_non_null(j);
    return j;
}

static const struct canary canaries[] = {
    { "a password", "canary-password", 15 },
    { "a URL's password", "canary-of-a-url", 15 },
    { "a line of a key", "canary-line-two", 15 },
    { "a token in JSON", "canary-in-json", 14 },
};

static void o32_a_specification_holds_no_value(void **state)
{
    struct release r = { 0 };
    _cleanup_json_ json_t *asked = request();
    assert_int_equal(release_from_request(asked, &r, NULL), 0);
    _cleanup_free_ char *text = json_text(r.specification, NULL);
    canary_expect_none(canaries, ARRAY_LEN(canaries), "the specification", text, strlen(text));
    assert_string_equal(json_str(r.specification, "container.environment.PASSWORD"), ENVIRONMENT_MASK);
    assert_int_equal(json_object_size(json_at(r.specification, "container.environment")), 4);
    assert_string_equal(json_str(r.environment, "KEY"), MULTILINE);
    _cleanup_json_ json_t *whole = release_request(&r);
    assert_true(json_equal(whole, asked));
    release_done(&r);
}

static void o32_the_database_holds_no_value_in_clear(void **state)
{
    struct fixture *f = *state;
    struct release r = { 0 }, back = { 0 };
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *asked = request();
    assert_int_equal(release_from_request(asked, &r, &e), 0);
    assert_int_equal(release_store(&f->deployments, "service", "tester", &r, &e), 0);
    size_t files =
        canary_expect_none_in_files(canaries, ARRAY_LEN(canaries), f->dir, (const char *const[]){ "hub.secret", NULL });
    assert_true(files >= 2);
    assert_int_equal(release_load(&f->deployments, r.id, &back, &e), 0);
    _cleanup_json_ json_t *whole = release_request(&back);
    assert_true(json_equal(whole, asked));
    release_done(&r);
    release_done(&back);
}

static void only_text_is_a_value_and_null_removes_one(void **state)
{
    struct release r = { 0 };
    _cleanup_json_ json_t *asked = json_pack("{s:{s:{s:s, s:n}}}", "container", "environment", "A", "1", "B");
    assert_int_equal(release_from_request(asked, &r, NULL), 0);
    assert_int_equal(json_object_size(r.environment), 1);
    assert_null(json_at(r.specification, "container.environment.B"));
    release_done(&r);
    _cleanup_json_ json_t *none = json_pack("{s:{s:s}}", "container", "image", "n");
    assert_int_equal(release_from_request(none, &r, NULL), 0);
    assert_int_equal(json_object_size(r.environment), 0);
    _cleanup_json_ json_t *whole = release_request(&r);
    assert_true(json_equal(whole, none));
    release_done(&r);
}

/* O32: what a container says before it dies may hold what it was given. */
static void o32_what_a_container_said_is_masked(void **state)
{
    struct release r = { 0 };
    static const struct {
        const char *said, *masked;
    } cases[] = {
        { "cannot reach " URL "!", "cannot reach ********!" },
        { "PASSWORD=canary-password", "PASSWORD=********" },
        { "canary-passwordcanary-password", "****************" },
        { "key: canary-line-two", "key: ********" },
        { "canary-passwor", "canary-passwor" },
        { "port 8080 is taken", "port 8080 is taken" }, /* too short to be told from anything else */
        { "abcdefghij", "********" },                    /* the longest of those that fit */
        { "abcdefg", "******g" },
        { "", "" },
    };
    _cleanup_json_ json_t *asked = request();
    (void)json_put(asked, "container.environment.PORT", json_string("8080"));
    (void)json_put(asked, "container.environment.SHORT", json_string("abcdef"));
    (void)json_put(asked, "container.environment.LONG", json_string("abcdefghij"));
    assert_int_equal(release_from_request(asked, &r, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200];
        str_copy(text, sizeof text, cases[i].said);
        release_mask(&r, text);
        assert_string_equal(text, cases[i].masked);
    }
    release_done(&r);
}

/* The service that is shown names its variables, and no value. */
static void o34_the_service_shows_names_only(void **state)
{
    struct image_name image;
    _cleanup_json_ json_t *asked = request();
    assert_int_equal(image_name_parse("nginx:1", NULL, &image, NULL), 0);
    _cleanup_json_ json_t *service = planned_service(asked, "node", &image);
    _cleanup_free_ char *text = json_text(service, NULL);
    canary_expect_none(canaries, ARRAY_LEN(canaries), "the service", text, strlen(text));
    assert_int_equal(json_array_size(json_at(service, "container.environment")), 4);
}

/* The sealed values of one release do not open as another's, whoever swaps them in the database. */
static void values_belong_to_their_release(void **state)
{
    struct fixture *f = *state;
    struct release a = { 0 }, b = { 0 }, back = { 0 };
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *asked = request();
    assert_int_equal(release_from_request(asked, &a, &e), 0);
    assert_int_equal(release_from_request(asked, &b, &e), 0);
    assert_int_equal(release_store(&f->deployments, "service", "tester", &a, &e), 0);
    assert_int_equal(release_store(&f->deployments, "service", "tester", &b, &e), 0);
    struct store_conn *c = NULL;
    assert_int_equal(store_acquire(f->store, STORE_WRITE, &c, &e), 0);
    assert_int_equal(
        store_exec(c, &e,
                   "UPDATE service_releases SET environment_sealed = (SELECT environment_sealed FROM service_releases "
                   "WHERE id = $1) WHERE id = $2",
                   "tt", a.id, b.id),
        0);
    assert_int_equal(store_commit(c, &e), 0);
    store_release(c);
    assert_int_equal(release_load(&f->deployments, a.id, &back, &e), 0);
    release_done(&back);
    assert_int_equal(release_load(&f->deployments, b.id, &back, &e), -ERR_INTERNAL);
    canary_expect_none(canaries, ARRAY_LEN(canaries), "the error", e.message, strlen(e.message));
    release_done(&a);
    release_done(&b);
}

static void the_current_one_serves_or_is_the_newest(void **state)
{
    struct fixture *f = *state;
    struct release made[3] = { 0 }, current = { 0 };
    struct error e = ERROR_INIT;
    assert_int_equal(release_current(&f->deployments, "service", &current, &e), -ERR_NOT_FOUND);
    for (int i = 0; i < 3; i++) {
        _cleanup_json_ json_t *asked = request();
        assert_int_equal(release_from_request(asked, &made[i], &e), 0);
        assert_int_equal(release_store(&f->deployments, "service", "tester", &made[i], &e), 0);
    }
    assert_int_equal(release_current(&f->deployments, "service", &current, &e), 0);
    assert_string_equal(current.id, made[2].id);
    assert_int_equal(current.number, 3);
    release_done(&current);
    assert_int_equal(release_mark_serving(&f->deployments, made[1].id, "sha256:x", &e), 0);
    assert_int_equal(release_current(&f->deployments, "service", &current, &e), 0);
    assert_string_equal(current.id, made[1].id);
    assert_int_equal(current.number, 2);
    release_done(&current);
    assert_int_equal(release_current(&f->deployments, "other", &current, &e), -ERR_NOT_FOUND);
    for (int i = 0; i < 3; i++)
        release_done(&made[i]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(o32_a_specification_holds_no_value),        T(o32_the_database_holds_no_value_in_clear),
        T(o32_what_a_container_said_is_masked),       T(o34_the_service_shows_names_only),
        T(only_text_is_a_value_and_null_removes_one), T(values_belong_to_their_release),
        T(the_current_one_serves_or_is_the_newest),
    };
    return cmocka_run_group_tests_name("deployment_release", tests, NULL, NULL);
}
