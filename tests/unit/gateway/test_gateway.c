/* Routes and slots with a router that obeys the test: a switch is whole in the files, all or nothing in the rows; what a
 * killed hub left behind does no harm; changes that come together are one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct base base;
    _Atomic int told[4]; /* route.unavailable, route.refused, router.lost, router.restored */
};

static void on_event(void *ctx, const char *type, const char *id UNUSED, const char *data UNUSED, size_t len UNUSED)
{
    static const char *const types[] = { "route.unavailable", "route.refused", "router.lost", "router.restored" };
    struct fixture *f = ctx;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        f->told[i] += str_eq(type, types[i]);
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    base_open(&f->base, on_event, f);
    base_gateway(&f->base, NULL);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    gateway_close(f->base.gateway);
    base_close(&f->base);
    free(f);
    return 0;
}

static json_t *service(const char *name, const char *domain, int instances)
{
    return json_pack("{s:s, s:i, s:{s:[s]}}", "name", name, "instances", instances, "networking", "domains", domain);
}

static int put(struct fixture *f, const char *name, const char *domain, int instances, bool *ret_changed)
{
    bool changed = false;
    _cleanup_json_ json_t *s = service(name, domain, instances);
    error_done(&f->base.e);
    f->base.e = ERROR_INIT;
    int r = gateway_route_put(f->base.gateway, name, s, &changed, &f->base.e);
    if (ret_changed)
        *ret_changed = changed;
    return r;
}

static int slot(struct fixture *f, const char *service, unsigned n, char ret[64])
{
    _cleanup_free_ char *path = str_printf("%s/%s.%u", f->base.slots, service, n), *text = NULL;
    if (file_read(path, 64, &text, NULL) < 0)
        return -1;
    str_copy(ret, 64, text);
    return 0;
}

static size_t files(struct fixture *f)
{
    size_t n = 0;
    DIR *d = opendir(f->base.slots);
    for (struct dirent *x; d && (x = readdir(d));)
        n += !str_eq(x->d_name, ".") && !str_eq(x->d_name, "..");
    (void)closedir(d);
    return n;
}

static void addresses_are_one_host_and_one_port(void **state UNUSED)
{
    static const char *const good[] = { "127.0.0.1:1", "web-1.example.org:65535", "[::1]:80", "[fd7a:115c::1]:8080" };
    static const char *const bad[] = { "",       ":80",    "a:",         "a:0",    "a:65536", "a:1-9",       "a:80:90",
                                       "::1:80", "a b:80", "a:80\nb:80", "{x}:80", "unix//x", "http://a:80", "a:080000",
                                       "[]:80",  "a/b:80" };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(address_good(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(address_good(bad[i]));
    assert_false(address_good(NULL));
}

static void a_switch_fills_all_slots_by_repeating(void **state)
{
    struct fixture *f = *state;
    char text[64];
    int each[3] = { 0 };
    OK(put(f, "web", "web.example.org", 1, NULL));
    assert_int_equal(slot(f, "web", 1, text), 0);
    assert_false(address_good(text)); /* nobody yet, and no file is missing */
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80" }, 3,
                             &f->base.e));
    for (unsigned i = 1; i <= 12; i++) {
        assert_int_equal(slot(f, "web", i, text), 0);
        each[text[7] - '1']++;
    }
    assert_true(each[0] == 4 && each[1] == 4 && each[2] == 4);
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.2:80" }, 1, &f->base.e));
    _cleanup_json_ json_t *now = NULL;
    OK(gateway_upstreams_get(f->base.gateway, "web", &now, &f->base.e));
    assert_int_equal(json_array_size(now), 1);
    assert_int_equal(files(f), 12); /* nothing half-done is left beside them */
}

static void what_is_no_address_switches_nothing(void **state)
{
    struct fixture *f = *state;
    char text[64];
    OK(put(f, "web", "web.example.org", 1, NULL));
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.1:80" }, 1, &f->base.e));
    assert_int_equal(
        gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.2:80", "10.0.0.3:1-9" }, 2, &f->base.e),
        -ERR_VALIDATION);
    for (unsigned i = 1; i <= 12; i++) {
        assert_int_equal(slot(f, "web", i, text), 0);
        assert_string_equal(text, "10.0.0.1:80");
    }
    assert_int_equal(gateway_upstreams_set(f->base.gateway, "none", (const char *[]){ "10.0.0.2:80" }, 1, &f->base.e),
                     -ERR_NOT_FOUND);
}

static void nobody_and_waiting_differ_and_nobody_is_an_event(void **state)
{
    struct fixture *f = *state;
    char text[64];
    OK(put(f, "web", "web.example.org", 1, NULL));
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.1:80" }, 1, &f->base.e));
    OK(gateway_upstreams_hold(f->base.gateway, "web", &f->base.e));
    assert_int_equal(slot(f, "web", 7, text), 0);
    assert_string_equal(text, "");
    assert_int_equal(f->told[0], 0);
    OK(gateway_upstreams_set(f->base.gateway, "web", NULL, 0, &f->base.e));
    assert_int_equal(slot(f, "web", 7, text), 0);
    assert_string_not_equal(text, "");
    assert_int_equal(f->told[0], 1);
    OK(gateway_upstreams_set(f->base.gateway, "web", NULL, 0, &f->base.e));
    assert_int_equal(f->told[0], 1);
}

/* A hub that was killed between its steps left a staged file that is one more name of live slots. */
static void what_a_killed_hub_left_does_no_harm(void **state)
{
    struct fixture *f = *state;
    char text[64];
    _cleanup_free_ char *live = str_printf("%s/web.3", f->base.slots),
                        *staged = str_printf("%s/.web.new0", f->base.slots),
                        *half = str_printf("%s/.web.1.link", f->base.slots);
    OK(put(f, "web", "web.example.org", 1, NULL));
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.1:80" }, 1, &f->base.e));
    assert_int_equal(link(live, staged), 0);
    assert_int_equal(link(live, half), 0);
    OK(put(f, "web-2", "web-2.example.org", 1, NULL));
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.2:80", "10.0.0.1:80" }, 2, &f->base.e));
    for (unsigned i = 1; i <= 12; i++) {
        assert_int_equal(slot(f, "web", i, text), 0);
        assert_string_equal(text, i % 2 ? "10.0.0.2:80" : "10.0.0.1:80");
    }
    OK(gateway_route_forget(f->base.gateway, "web", &f->base.e));
    assert_int_equal(files(f), 12); /* those of web-2 are not web's */
}

static void the_same_again_costs_nothing_and_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    bool changed = false;
    char url[128];
    OK(put(f, "web", "Web.Example.org", 1, &changed));
    assert_true(changed);
    int applied = f->base.router.applied;
    OK(put(f, "web", "web.example.org", 3, &changed)); /* scaled: no other configuration */
    assert_false(changed);
    gateway_close(f->base.gateway);
    base_gateway(&f->base, NULL);
    gateway_turn(f->base.gateway);
    assert_int_equal(f->base.router.routes, 1);
    OK(put(f, "web", "web.example.org", 1, &changed));
    assert_false(changed);
    assert_int_equal(f->base.router.applied, applied + 1); /* the first comparison of the new run */
    assert_true(gateway_url(f->base.gateway, "web", url, sizeof url));
    assert_string_equal(url, "http://web.example.org:8080");
}

static void more_instances_than_slots_get_more_and_keep_them(void **state)
{
    struct fixture *f = *state;
    bool changed = false;
    char text[64];
    OK(put(f, "web", "web.example.org", 1, NULL));
    OK(gateway_upstreams_set(f->base.gateway, "web", (const char *[]){ "10.0.0.1:80" }, 1, &f->base.e));
    OK(put(f, "web", "web.example.org", 20, &changed));
    assert_true(changed);
    assert_int_equal(slot(f, "web", 32, text), 0);
    assert_string_equal(text, "10.0.0.1:80"); /* those that are new serve at once */
    OK(put(f, "web", "web.example.org", 1, &changed));
    assert_false(changed);
}

static void a_refused_route_is_as_it_was(void **state)
{
    struct fixture *f = *state;
    OK(put(f, "web", "web.example.org", 1, NULL));
    f->base.router.refuses = "web";
    assert_int_equal(put(f, "web", "other.example.org", 1, NULL), -ERR_UPSTREAM);
    assert_non_null(strstr(f->base.e.message, "no taste"));
    assert_int_equal(f->told[1], 1);
    f->base.router.refuses = "new";
    assert_int_equal(put(f, "new", "new.example.org", 1, NULL), -ERR_UPSTREAM);
    gateway_turn(f->base.gateway);
    gateway_close(f->base.gateway);
    base_gateway(&f->base, NULL);
    assert_int_equal(map_size(f->base.gateway->routes), 1);
    const struct route *x = map_get(f->base.gateway->routes, "web");
    assert_string_equal(json_string_value(json_array_get(x->domains, 0)), "web.example.org");
}

static void a_router_that_is_away_leaves_all_as_it_was(void **state)
{
    struct fixture *f = *state;
    OK(put(f, "web", "web.example.org", 1, NULL));
    f->base.router.away = true;
    _cleanup_json_ json_t *s = service("new", "new.example.org", 1);
    assert_int_equal(gateway_route_check(f->base.gateway, "new", s, &f->base.e), -ERR_UNAVAILABLE);
    assert_int_equal(put(f, "new", "new.example.org", 1, NULL), -ERR_UNAVAILABLE);
    assert_int_equal(map_size(f->base.gateway->routes), 1);
    f->base.router.away = false;
    gateway_turn(f->base.gateway);
    assert_int_equal(f->base.router.routes, 1);
}

static void a_domain_belongs_to_one_service(void **state)
{
    struct fixture *f = *state;
    OK(put(f, "web", "web.example.org", 1, NULL));
    _cleanup_json_ json_t *thief = service("thief", "WEB.example.org", 1), *bad = service("bad", "a..example.org", 1);
    assert_int_equal(gateway_route_check(f->base.gateway, "thief", thief, &f->base.e), -ERR_CONFLICT);
    assert_int_equal(put(f, "thief", "WEB.example.org", 1, NULL), -ERR_CONFLICT);
    assert_int_equal(gateway_route_check(f->base.gateway, "bad", bad, &f->base.e), -ERR_VALIDATION);
    assert_int_equal(put(f, "../etc", "x.example.org", 1, NULL), -ERR_VALIDATION);
}

static void O08_what_is_lost_is_brought_back(void **state)
{
    struct fixture *f = *state;
    OK(put(f, "web", "web.example.org", 1, NULL));
    int applied = f->base.router.applied;
    gateway_turn(f->base.gateway);
    assert_int_equal(f->base.router.applied, applied);
    f->base.router.lost = true;
    gateway_turn(f->base.gateway);
    assert_int_equal(f->base.router.applied, applied + 1);
    assert_true(f->told[2] == 1 && f->told[3] == 1);
}

struct putter {
    struct fixture *f;
    char name[16];
    const char *domain; /* NULL: one of its own */
    int result;
};

static void *put_one(void *arg)
{
    struct putter *p = arg;
    bool changed = false;
    char domain[64];
    struct error e = ERROR_INIT;
    (void)snprintf(domain, sizeof domain, "%s.example.org", p->name);
    _cleanup_json_ json_t *s = service(p->name, p->domain ? p->domain : domain, 1);
    p->result = gateway_route_put(p->f->base.gateway, p->name, s, &changed, &e);
    error_done(&e);
    return NULL;
}

static void changes_that_come_together_are_one(void **state)
{
    struct fixture *f = *state;
    enum { N = 12 };
    pthread_t threads[N];
    struct putter putters[N];
    OK(gateway_start(f->base.gateway, &f->base.e));
    OK(put(f, "first", "first.example.org", 1, NULL));
    int before = f->base.router.applied;
    for (int i = 0; i < N; i++) {
        putters[i] = (struct putter){ .f = f };
        (void)snprintf(putters[i].name, sizeof putters[i].name, "s%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, put_one, &putters[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(putters[i].result, 0);
    }
    assert_int_equal(f->base.router.routes, N + 1);
    assert_true(f->base.router.applied - before <= N / 2);
}

static void of_two_who_ask_for_a_domain_at_once_one_gets_it(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[2];
    struct putter putters[2];
    OK(gateway_start(f->base.gateway, &f->base.e));
    for (int i = 0; i < 2; i++) {
        putters[i] = (struct putter){ .f = f, .name = { (char)('a' + i) }, .domain = "same.example.org" };
        assert_int_equal(pthread_create(&threads[i], NULL, put_one, &putters[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(putters[0].result + putters[1].result, -ERR_CONFLICT);
}

static void what_was_counted_is_added_up_over_changes(void **state)
{
    struct fixture *f = *state;
    static const double counted[] = { 5, 9, 2, 3 }; /* it began anew before the third */
    double sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
        json_decref(f->base.router.hosts);
        f->base.router.hosts = json_pack("{s:{s:f}}", "a.b", "2xx", counted[i]);
        _cleanup_json_ json_t *all = gateway_figures(f->base.gateway);
        sum = json_num(json_object_get(json_object_get(all, "hosts"), "a.b"), "2xx", 0);
    }
    assert_true(sum == 9 + 3);
    json_decref(f->base.router.hosts);
    f->base.router.hosts = json_object(); /* it does not know the host any more */
    json_decref(gateway_figures(f->base.gateway));
    _cleanup_json_ json_t *all = gateway_figures(f->base.gateway);
    assert_true(json_num(json_object_get(json_object_get(all, "hosts"), "a.b"), "2xx", 0) == 12);
}

/* The own connections of this process do not count: here a child holds one. */
static void drained_is_nothing_in_flight_and_no_connection(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    char address[64], byte;
    int up[2], down[2], listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 4) == 0 &&
                getsockname(listener, (struct sockaddr *)&a, &size) == 0);
    assert_true(pipe(up) == 0 && pipe(down) == 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(a.sin_port));
    f->base.router.in_flight = 1;
    assert_int_equal(gateway_drained(f->base.gateway, address, &f->base.e), 0);
    f->base.router.in_flight = 0;
    assert_int_equal(gateway_drained(f->base.gateway, address, &f->base.e), 1);
    pid_t child = fork();
    if (child == 0) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool good = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && write(up[1], "x", 1) == 1 &&
                    read(down[0], &byte, 1) == 1;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(gateway_drained(f->base.gateway, address, &f->base.e), 0);
    assert_int_equal(write(down[1], "x", 1), 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(gateway_drained(f->base.gateway, address, &f->base.e), 1);
    assert_int_equal(gateway_drained(f->base.gateway, "nonsense", &f->base.e), -ERR_VALIDATION);
    for (int i = 0; i < 2; i++)
        (void)close(up[i]), (void)close(down[i]);
    (void)close(listener);
}

static void without_a_router_nothing_is_routed(void **state)
{
    struct fixture *f = *state;
    bool changed = true;
    char url[64];
    struct gateway *g = NULL;
    _cleanup_json_ json_t *s = service("web", "web.example.org", 1);
    OK(gateway_open(&(struct gateway_options){ .store = f->base.store, .slot_directory = "/nowhere/at/all" }, &g,
                    &f->base.e));
    OK(gateway_start(g, &f->base.e));
    assert_false(gateway_wants_route(g, s));
    OK(gateway_route_check(g, "web", s, &f->base.e));
    OK(gateway_route_put(g, "web", s, &changed, &f->base.e));
    assert_false(changed);
    OK(gateway_route_forget(g, "web", &f->base.e));
    assert_false(gateway_url(g, "web", url, sizeof url));
    assert_null(gateway_route_rendered(g, "web"));
    gateway_close(g);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_one_host_and_one_port),
        CASE(a_switch_fills_all_slots_by_repeating),
        CASE(what_is_no_address_switches_nothing),
        CASE(nobody_and_waiting_differ_and_nobody_is_an_event),
        CASE(what_a_killed_hub_left_does_no_harm),
        CASE(the_same_again_costs_nothing_and_survives_a_restart),
        CASE(more_instances_than_slots_get_more_and_keep_them),
        CASE(a_refused_route_is_as_it_was),
        CASE(a_router_that_is_away_leaves_all_as_it_was),
        CASE(a_domain_belongs_to_one_service),
        CASE(O08_what_is_lost_is_brought_back),
        CASE(changes_that_come_together_are_one),
        CASE(of_two_who_ask_for_a_domain_at_once_one_gets_it),
        CASE(what_was_counted_is_added_up_over_changes),
        CASE(drained_is_nothing_in_flight_and_no_connection),
        CASE(without_a_router_nothing_is_routed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
