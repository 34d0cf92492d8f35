/* The registrar with a registry that obeys the test: away is later, refused is an error, forgotten comes back, left over goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"
#include "gateway/registrar.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct registry {
    struct discovery discovery;
    json_t *there; /* id -> {id, service, address, port, health} */
    int fails; /* 0, or the error of every call */
};

struct fixture {
    char path[64];
    struct store *store;
    struct registry registry;
    struct registrar *registrar;
    struct error e;
};

static int add(struct discovery *d, const struct discovery_instance *x, struct error *e)
{
    struct registry *r = (struct registry *)d;
    if (r->fails)
        return error_set(e, (enum error_code)r->fails, "the test says no");
    return json_object_set_new(r->there, x->id,
                               json_pack("{s:s, s:s, s:s, s:i, s:s}", "id", x->id, "service", x->service, "address",
                                         x->address, "port", (int)x->port, "health", "passing"));
}

static int take_out(struct discovery *d, const char *id, struct error *e)
{
    struct registry *r = (struct registry *)d;
    if (r->fails)
        return error_set(e, (enum error_code)r->fails, "the test says no");
    (void)json_object_del(r->there, id);
    return 0;
}

static int list(struct discovery *d, json_t **ret, struct error *e)
{
    struct registry *r = (struct registry *)d;
    const char *id;
    json_t *x;
    if (r->fails)
        return error_set(e, (enum error_code)r->fails, "the test says no");
    *ret = json_array();
    json_object_foreach (r->there, id, x)
        (void)json_array_append(*ret, x);
    return 0;
}

static const struct discovery_ops ops = { .add = add, .remove = take_out, .list = list };

static void open_registrar(struct fixture *f)
{
    if (registrar_open(f->store, NULL, &f->registry.discovery, &f->registrar, &f->e) < 0)
        fail_msg("%s", f->e.message);
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    str_copy(f->path, sizeof f->path, "/tmp/hb-registrar-XXXXXX");
    (void)close(mkstemp(f->path));
    f->registry = (struct registry){ .discovery.ops = &ops, .there = json_object() };
    assert_int_equal(store_open(&(struct store_options){ .path = f->path }, &f->store, &f->e), 0);
    open_registrar(f);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    registrar_free(f->registrar);
    store_close(f->store);
    json_decref(f->registry.there);
    error_done(&f->e);
    (void)unlink(f->path);
    free(f);
    return 0;
}

static int announce(struct fixture *f, const char *id, uint16_t port)
{
    struct discovery_instance x = {
        .id = id, .service = "web", .address = "127.0.0.1", .port = port, .check_interval_ms = 1000
    };
    return registrar_add(f->registrar, &x, &f->e);
}

static bool knows(struct fixture *f, const char *id)
{
    return json_object_get(f->registry.there, id) != NULL;
}

static void test_a_registry_that_is_away_is_told_later(void **state)
{
    struct fixture *f = *state;
    f->registry.fails = ERR_UNAVAILABLE;
    assert_int_equal(announce(f, "web-1", 80), 0);
    assert_false(registrar_has(f->registrar, "web-1"));
    f->registry.fails = 0;
    assert_int_equal(registrar_compare(f->registrar, &f->e), 0);
    assert_true(registrar_has(f->registrar, "web-1") && knows(f, "web-1"));
}

static void test_a_refusal_is_an_error_and_nothing_is_wanted(void **state)
{
    struct fixture *f = *state;
    f->registry.fails = ERR_UPSTREAM;
    assert_int_equal(announce(f, "web-1", 80), -ERR_UPSTREAM);
    assert_non_null(strstr(f->e.message, "the test says no"));
    f->registry.fails = 0;
    assert_int_equal(registrar_compare(f->registrar, &f->e), 0);
    assert_false(knows(f, "web-1"));
}

static void test_what_was_forgotten_or_moved_comes_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(announce(f, "web-1", 80), 0);
    assert_int_equal(announce(f, "web-2", 81), 0);
    (void)json_object_del(f->registry.there, "web-1");
    (void)json_put(f->registry.there, "web-2.port", json_integer(9));
    assert_int_equal(registrar_compare(f->registrar, &f->e), 0);
    assert_true(knows(f, "web-1"));
    assert_int_equal(json_int(f->registry.there, "web-2.port", 0), 81);
}

static void test_a_deregistration_that_could_not_be_told_happens_later(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(announce(f, "web-1", 80), 0);
    f->registry.fails = ERR_UPSTREAM_TIMEOUT;
    assert_int_equal(registrar_remove(f->registrar, "web-1", &f->e), 0);
    assert_true(knows(f, "web-1"));
    f->registry.fails = 0;
    assert_int_equal(registrar_compare(f->registrar, &f->e), 0);
    assert_false(knows(f, "web-1"));
    assert_int_equal(registrar_remove(f->registrar, "web-1", &f->e), 0);
}

static void test_what_is_wanted_outlives_the_hub(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(announce(f, "web-1", 80), 0);
    registrar_free(f->registrar);
    json_object_clear(f->registry.there);
    open_registrar(f);
    assert_false(registrar_has(f->registrar, "web-1"));
    assert_int_equal(registrar_compare(f->registrar, &f->e), 0);
    assert_true(knows(f, "web-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_registry_that_is_away_is_told_later, start, end),
        cmocka_unit_test_setup_teardown(test_a_refusal_is_an_error_and_nothing_is_wanted, start, end),
        cmocka_unit_test_setup_teardown(test_what_was_forgotten_or_moved_comes_back, start, end),
        cmocka_unit_test_setup_teardown(test_a_deregistration_that_could_not_be_told_happens_later, start, end),
        cmocka_unit_test_setup_teardown(test_what_is_wanted_outlives_the_hub, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
