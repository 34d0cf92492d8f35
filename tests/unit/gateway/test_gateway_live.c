/* The gateway with a real Caddy, whose admin API HB_TEST_CADDY_ADMIN names; its server "owner" has routes of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/internal.h"
#include "integrations/caddy/caddy.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct store *store;
    struct router *router;
    struct gateway *gateway;
    struct error e;
};

#define OK(expression)                                 \
    do {                                               \
        if ((expression) < 0)                          \
            fail_msg(#expression ": %s", f->e.message); \
    } while (0)

static void open_parts(struct fixture *f)
{
    char path[96], slots[96];
    (void)snprintf(path, sizeof path, "%s/hub.db", f->dir);
    (void)snprintf(slots, sizeof slots, "%s/upstreams", f->dir);
    OK(store_open(&(struct store_options){ .path = path }, &f->store, &f->e));
    OK(caddy_router_new(&(struct caddy_options){ .admin_url = getenv("HB_TEST_CADDY_ADMIN"), .server = "owner", .domain = "example.org" },
                        &f->router, &f->e));
    OK(gateway_open(&(struct gateway_options){ .store = f->store, .router = f->router, .slot_directory = slots, .domain = "example.org" },
                    &f->gateway, &f->e));
    OK(gateway_start(f->gateway, &f->e));
}

static void close_parts(struct fixture *f)
{
    gateway_close(f->gateway);
    f->router->ops->free(f->router);
    store_close(f->store);
}

static int start(void **state)
{
    if (!getenv("HB_TEST_CADDY_ADMIN"))
        skip();
    struct fixture *f = calloc(1, sizeof *f);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-gateway-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_parts(f);
    *state = f;
    return 0;
}

static void remove_all(const char *path)
{
    char inner[512];
    DIR *d = opendir(path);
    for (struct dirent *x; d && (x = readdir(d));) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, x->d_name);
        if (!str_eq(x->d_name, ".") && !str_eq(x->d_name, "..") && unlink(inner) < 0)
            remove_all(inner);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(path);
}

static int end(void **state)
{
    struct fixture *f = *state;
    if (!f)
        return 0;
    close_parts(f);
    remove_all(f->dir);
    error_done(&f->e);
    free(f);
    return 0;
}

static json_t *service(const char *name, const char *domain)
{
    return json_pack("{s:s, s:{s:i, s:[s], s:{s:s}}}", "name", name, "networking", "internalPort", 80, "domains", domain, "headers", "X-Test", "yes");
}

static void put(struct fixture *f, const char *name, const char *domain, bool wanted_change)
{
    bool changed = !wanted_change;
    _cleanup_json_ json_t *s = service(name, domain);
    OK(gateway_route_put(f->gateway, name, s, &changed, &f->e));
    assert_int_equal(changed, wanted_change);
}

static void a_route_is_made_once_and_removed(void **state)
{
    struct fixture *f = *state;
    char url[300], why[512];
    put(f, "web", "web.example.org", true);
    int64_t reloads = f->gateway->reloads;
    put(f, "web", "web.example.org", false);
    assert_int_equal(f->gateway->reloads, reloads);
    OK(f->router->ops->intact(f->router, why, sizeof why, &f->e));
    assert_true(gateway_url(f->gateway, "web", url, sizeof url));
    char *text = gateway_route_rendered(f->gateway, "web");
    print_message("[          ] %s\n%s\n", url, text);
    assert_non_null(strstr(text, "hbcloud-route-web"));
    free(text);
    OK(gateway_upstreams_set(f->gateway, "web", (const char *[]){ "127.0.0.1:1" }, 1, &f->e));
    assert_int_equal(gateway_drained(f->gateway, "127.0.0.1:1", &f->e), 1);
    OK(gateway_route_forget(f->gateway, "web", &f->e));
    OK(gateway_route_forget(f->gateway, "web", &f->e));
    close_parts(f);
    open_parts(f);
    assert_false(gateway_url(f->gateway, "web", url, sizeof url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_route_is_made_once_and_removed, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
