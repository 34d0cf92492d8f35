/* Slots follow the instances between deployments, and never while one is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"
#include "runtime/internal.h"

struct fixture {
    struct base base;
    char ids[3][37];
    struct runtime *runtime;
    bool busy;
    _Atomic int unavailable;
};

static void on_event(void *ctx, const char *type, const char *id UNUSED, const char *data UNUSED, size_t len UNUSED)
{
    ((struct fixture *)ctx)->unavailable += str_eq(type, "route.unavailable");
}

static bool is_busy(void *ctx, const char *service_id UNUSED, char *ret_reason UNUSED, size_t size UNUSED)
{
    return ((struct fixture *)ctx)->busy;
}

static void add_instance(struct fixture *f, int i)
{
    char address[32];
    struct entity *x = NULL;
    struct engine_container c = { .name = (char *)"web",
                                  .image = (char *)"web:1",
                                  .image_id = (char *)"",
                                  .command = (char *)"run",
                                  .state = (char *)"running",
                                  .created_ms = 1 };
    memset(c.id, 'a' + i, 64);
    c.labels = json_object();
    _cleanup_json_ json_t *labels = c.labels, *d = service_document_new(runtime_hub_node(f->runtime), "web", &c);
    (void)snprintf(address, sizeof address, "10.0.0.%d:80", i + 1);
    (void)json_put(d, "ordinal", json_integer(i + 1));
    (void)json_put(d, "managed", json_true());
    (void)json_put(d, "networking.address", json_string(address));
    (void)json_put(d, "status.deployment", json_string("running"));
    (void)json_put(d, "status.health", json_string("healthy"));
    OK(runtime_service_save(f->runtime, d, -1, &x, &f->base.e));
    str_copy(f->ids[i], sizeof f->ids[i], x->id);
    entity_unref(x);
}

static int start(void **state)
{
    bool changed = false;
    struct fixture *f = calloc(1, sizeof *f);
    base_open(&f->base, on_event, f);
    OK(runtime_open(
        &(struct runtime_options){
            .store = f->base.store, .events = f->base.events, .version = "test", .data_directory = f->base.dir },
        &f->runtime, &f->base.e));
    runtime_set_busy(f->runtime, is_busy, f);
    for (int i = 0; i < 3; i++)
        add_instance(f, i);
    base_gateway(&f->base, f->runtime);
    _cleanup_json_ json_t *s =
        json_pack("{s:s, s:i, s:{s:[s]}}", "name", "web", "instances", 3, "networking", "domains", "web.example.org");
    OK(gateway_route_put(f->base.gateway, f->ids[0], s, &changed, &f->base.e));
    gateway_keep(f->base.gateway, f->ids[0]);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    gateway_close(f->base.gateway);
    runtime_close(f->runtime);
    base_close(&f->base);
    free(f);
    return 0;
}

struct wanted {
    const char *path, *text;
};

static int put_text(json_t *document, void *ctx)
{
    const struct wanted *w = ctx;
    return json_put(document, w->path, w->text ? json_string(w->text) : json_null());
}

static void set(struct fixture *f, int i, const char *path, const char *text)
{
    struct wanted w = { path, text };
    OK(runtime_service_change(f->runtime, f->ids[i], put_text, &w, NULL, &f->base.e));
}

/* "1 3": the instances that the slots name, after the keeper has looked because of instance `i`. */
static void expect(struct fixture *f, int i, const char *numbers)
{
    char got[64] = "";
    size_t k;
    json_t *x;
    _cleanup_json_ json_t *now = NULL;
    gateway_keep(f->base.gateway, f->ids[i]);
    OK(gateway_upstreams_get(f->base.gateway, f->ids[0], &now, &f->base.e));
    json_array_foreach (now, k, x)
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", k ? " " : "", json_string_value(x));
    assert_string_equal(got, numbers);
}

#define A "10.0.0.1:80"
#define B "10.0.0.2:80"
#define C "10.0.0.3:80"

static void one_that_fails_leaves_and_returns(void **state)
{
    struct fixture *f = *state;
    expect(f, 0, A " " B " " C);
    set(f, 1, "status.health", "unhealthy");
    expect(f, 1, A " " C);
    set(f, 1, "status.health", "unknown"); /* it started anew; nobody has asked it yet */
    expect(f, 1, A " " C);
    set(f, 1, "status.health", "healthy");
    expect(f, 1, A " " B " " C);
    set(f, 0, "status.health", "unknown"); /* of one that is in, that is no failure */
    expect(f, 0, A " " B " " C);
    set(f, 2, "status.deployment", "stopped");
    expect(f, 2, A " " B);
    assert_int_equal(f->unavailable, 0);
    assert_int_equal(f->base.router.applied, 1); /* none of it is a change of the router's configuration */
}

static void nobody_is_told_once_and_a_start_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char text[64];
    _cleanup_free_ char *first = str_printf("%s/%s.1", f->base.slots, f->ids[0]), *slot = NULL;
    for (int i = 0; i < 3; i++)
        set(f, i, "status.health", "unhealthy");
    expect(f, 0, "");
    expect(f, 0, "");
    assert_int_equal(f->unavailable, 1);
    set(f, 2, "networking.address", "10.0.0.9:80");
    set(f, 2, "status.health", "unknown");
    expect(f, 2, "");
    assert_int_equal(file_read(first, 64, &slot, NULL), 0);
    str_copy(text, sizeof text, slot);
    assert_string_equal(text, ""); /* requests wait */
    set(f, 2, "status.health", "healthy");
    expect(f, 2, "10.0.0.9:80");
}

static void a_deployment_decides_alone(void **state)
{
    struct fixture *f = *state;
    f->busy = true;
    set(f, 1, "status.health", "unhealthy");
    expect(f, 1, A " " B " " C);
    f->busy = false;
    expect(f, 1, A " " C);
}

static void of_a_node_that_is_silent_the_last_is_kept(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        set(f, i, "container.state", "unreachable");
        set(f, i, "status.deployment", "failed");
    }
    expect(f, 0, C);
    set(f, 2, "container.state", "unreachable");
    set(f, 2, "status.deployment", "failed");
    expect(f, 2, C);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        CASE(one_that_fails_leaves_and_returns),
        CASE(nobody_is_told_once_and_a_start_is_waited_for),
        CASE(a_deployment_decides_alone),
        CASE(of_a_node_that_is_silent_the_last_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
