/* Caddy as a router, with an admin API that fails on purpose: what is the owner's stays, a refused route costs only its own
 * service, lost answers and strangers' changes are found out by reading, a refusal is said plainly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_caddy.h"
#include "integrations/caddy/caddy.h"

#include "base/str.h"

#define OWNER "{'match':[{'host':['mine.example.net']}],'handle':[{'handler':'static_response','body':'mine'}]}"
#define CONFIG \
    "{'apps':{'http':{'servers':{'own':{'listen':[':443'],'routes':[" OWNER "]},'old':{'listen':[':8080']}}}}}"
#define ROUTES "/apps/http/servers/own/routes"
#define MANY 9

struct fixture {
    struct fake_caddy *caddy;
    struct router *router;
    json_t *domains[MANY];
    struct router_route routes[MANY];
    struct router_verdict verdicts[MANY];
    unsigned reloads;
    struct error e;
};

static const char *const slots[] = { "/slots/x.1", "/slots/x.2" };
static const char *const names[MANY] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };

static void open_router(struct fixture *f, struct caddy_options o)
{
    if (f->router)
        f->router->ops->free(f->router);
    o.admin_url = f->caddy->url;
    assert_int_equal(caddy_router_new(&o, &f->router, &f->e), 0);
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->caddy = fake_caddy_new(CONFIG);
    open_router(f, (struct caddy_options){ .domain = NULL });
    for (size_t i = 0; i < MANY; i++) {
        char domain[64];
        (void)snprintf(domain, sizeof domain, "%s.example.org", names[i]);
        f->domains[i] = json_pack("[s]", domain);
        f->routes[i] = (struct router_route){ names[i], names[i], f->domains[i], slots, ARRAY_LEN(slots), NULL };
    }
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    f->router->ops->free(f->router);
    fake_caddy_free(f->caddy);
    for (size_t i = 0; i < MANY; i++)
        json_decref(f->domains[i]);
    error_done(&f->e);
    free(f);
    return 0;
}

static int apply(struct fixture *f, size_t n)
{
    error_done(&f->e);
    f->e = ERROR_INIT;
    return f->router->ops->apply(f->router, f->routes, n, f->verdicts, &f->reloads, &f->e);
}

static void apply_all(struct fixture *f, size_t n, unsigned wanted_reloads)
{
    if (apply(f, n) < 0)
        fail_msg("%s", f->e.message);
    assert_int_equal(f->reloads, wanted_reloads);
    assert_int_equal(f->router->ops->intact(f->router, (char[512]){ "" }, 512, NULL), 1);
}

/* How many services' routes there are, and that the owner's own is as it was, behind ours. */
static size_t count(struct fixture *f)
{
    _cleanup_json_ json_t *routes = fake_caddy_at(f->caddy, ROUTES), *own = NULL;
    size_t n = json_array_size(routes);
    own = json_loads(
        "{\"match\":[{\"host\":[\"mine.example.net\"]}],\"handle\":[{\"handler\":\"static_response\",\"body\":\"mine\"}]}",
        0, NULL);
    assert_true(json_equal(json_array_get(routes, n - 1), own));
    return n < 2 ? 0
                 : json_array_size(json_object_get(
                       json_array_get(json_object_get(json_array_get(routes, 0), "handle"), 0), "routes"));
}

static void what_is_so_already_costs_nothing(void **state)
{
    struct fixture *f = *state;
    apply_all(f, 3, 1);
    assert_int_equal(count(f), 3);
    apply_all(f, 3, 0);
    open_router(f, (struct caddy_options){ .domain = NULL }); /* a hub that was restarted knows nothing yet */
    apply_all(f, 3, 0);
    apply_all(f, 0, 1);
    assert_int_equal(count(f), 0);
    assert_int_equal(f->caddy->changes, 2);
}

static void a_refused_route_costs_only_its_own_service(void **state)
{
    struct fixture *f = *state;
    f->caddy->refuses = "d.example.org";
    apply_all(f, MANY, 3); /* a and b, c, and the other half */
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(f->verdicts[i].accepted, i != 3);
    assert_non_null(strstr(f->verdicts[3].reason, "it is refused"));
    assert_int_equal(count(f), MANY - 1);
}

static void a_refused_change_leaves_the_route_as_it_was(void **state)
{
    struct fixture *f = *state;
    apply_all(f, 3, 1);
    json_decref(f->domains[1]);
    f->routes[1].domains = f->domains[1] = json_pack("[s]", "bad.example.org");
    f->caddy->refuses = "bad.example.org";
    apply_all(f, 3, 0);
    assert_false(f->verdicts[1].accepted);
    _cleanup_json_ json_t *routes = fake_caddy_at(f->caddy, ROUTES);
    _cleanup_free_ char *text = json_dumps(routes, 0);
    assert_non_null(strstr(text, "b.example.org"));
    assert_int_equal(count(f), 3);
}

static void a_lost_answer_is_found_out_by_reading(void **state)
{
    struct fixture *f = *state;
    f->caddy->lost_answers = 1;
    apply_all(f, 2, 1);
    f->caddy->lost_answers = 1;
    apply_all(f, 3, 1);
    assert_int_equal(f->caddy->changes, 2);
    assert_int_equal(count(f), 3);
}

static void reads_are_repeated_while_the_admin_api_restarts(void **state)
{
    struct fixture *f = *state;
    f->caddy->broken_calls = 2;
    apply_all(f, 2, 1);
}

static void somebody_elses_change_meanwhile_is_read_first(void **state)
{
    struct fixture *f = *state;
    apply_all(f, 1, 1);
    f->caddy->stale = 2;
    apply_all(f, 2, 1);
    assert_int_equal(count(f), 2);
}

static void O07_an_enforced_origin_is_sent(void **state)
{
    struct fixture *f = *state;
    f->caddy->wants_origin = f->caddy->url;
    apply_all(f, 1, 1);
}

static void O07_a_refused_origin_is_said_plainly(void **state)
{
    struct fixture *f = *state;
    f->caddy->wants_origin = "https://elsewhere.example.org";
    assert_int_equal(apply(f, 1), -ERR_UPSTREAM);
    assert_non_null(strstr(f->e.message, "admin.origins"));
    assert_non_null(strstr(f->e.message, "not allowed to access from origin"));
    assert_int_equal(f->caddy->changes, 0);
}

static void O08_a_lost_configuration_is_noticed_and_brought_back(void **state)
{
    struct fixture *f = *state;
    char why[512] = "";
    apply_all(f, 2, 1);
    fake_caddy_load(f->caddy, "{'admin':{}}");
    assert_int_equal(f->router->ops->intact(f->router, why, sizeof why, NULL), 0);
    assert_non_null(strstr(why, "lacks hbcloud's routes"));
    apply_all(f, 2, 1);
    _cleanup_json_ json_t *own = fake_caddy_at(f->caddy, "/apps/http/servers/hbcloud");
    assert_string_equal(json_string_value(json_array_get(json_object_get(own, "listen"), 0)), ":443");
    fake_caddy_load(f->caddy, CONFIG);
    apply_all(f, 2, 1);
    assert_int_equal(count(f), 2);
}

static void an_admin_api_that_is_away_is_unavailable(void **state)
{
    struct fixture *f = *state;
    f->caddy->broken_calls = 1000;
    int r = apply(f, 1);
    assert_true(r == -ERR_UNAVAILABLE || r == -ERR_UPSTREAM);
    assert_true(f->e.message[0]);
}

static void a_server_that_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    open_router(f, (struct caddy_options){ .server = "other" });
    assert_int_equal(apply(f, 1), -ERR_UPSTREAM);
    assert_non_null(strstr(f->e.message, "no server \"other\""));
}

static void a_name_that_the_owner_serves_himself_is_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *taken = json_pack("[s, s]", "free.example.org", "mine.example.net");
    apply_all(f, 1, 1);
    assert_int_equal(f->router->ops->check(f->router, f->domains[0], &f->e), 0); /* ours */
    assert_int_equal(f->router->ops->check(f->router, taken, &f->e), -ERR_CONFLICT);
    assert_non_null(strstr(f->e.message, "mine.example.net"));
}

static void another_server_is_moved_to(void **state)
{
    struct fixture *f = *state;
    apply_all(f, 2, 1);
    open_router(f, (struct caddy_options){ .server = "old" });
    apply_all(f, 2, 2);
    assert_int_equal(count(f), 0);
    _cleanup_json_ json_t *moved = fake_caddy_at(f->caddy, "/apps/http/servers/old/routes/0");
    assert_string_equal(json_str(moved, "@id"), "hbcloud");
}

static void rates_are_limited_only_where_a_module_does_it(void **state)
{
    struct fixture *f = *state;
    _cleanup_json_ json_t *networking = json_pack("{s:{s:i, s:i}}", "rateLimit", "requests", 100, "window", 60);
    f->routes[0].networking = networking;
    for (int knows = 0; knows < 2; knows++) {
        f->caddy->knows_rates = knows;
        open_router(f, (struct caddy_options){ .domain = NULL });
        apply_all(f, 1, 1);
        _cleanup_json_ json_t *routes = fake_caddy_at(f->caddy, ROUTES);
        _cleanup_free_ char *text = json_dumps(routes, 0), *told = f->router->ops->render(f->router, &f->routes[0]);
        struct router_info info;
        assert_int_equal(f->router->ops->info(f->router, &info, NULL), 0);
        assert_int_equal(info.rate_limits, knows);
        assert_int_equal(strstr(text, "max_events") != NULL, knows);
        assert_int_equal(strstr(told, "max_events") != NULL, knows);
    }
    f->caddy->knows_rates = false; /* another program was started in its place */
    fake_caddy_load(f->caddy, CONFIG);
    apply_all(f, 1, 1);
    _cleanup_json_ json_t *route = fake_caddy_at(f->caddy, ROUTES "/0");
    _cleanup_free_ char *text = json_dumps(route, 0);
    assert_null(strstr(text, "max_events"));
}

static void a_header_s_braces_are_no_placeholders(void **state)
{
    static const char *const set[][2] = { { "{file./etc/shadow}", "\\{file./etc/shadow\\}" }, { "a}\\b", "a}\\b" } };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(set); i++) {
        _cleanup_json_ json_t *networking = json_pack("{s:{s:s}}", "headers", "X-It", set[i][0]),
                              *wanted = json_string(set[i][1]);
        f->routes[0].networking = networking;
        _cleanup_free_ char *told = f->router->ops->render(f->router, &f->routes[0]),
                            *value = json_dumps(wanted, JSON_ENCODE_ANY);
        assert_non_null(strstr(told, value));
    }
}

static void unknown_names_are_answered_behind_the_owners_routes(void **state)
{
    struct fixture *f = *state;
    open_router(f, (struct caddy_options){ .domain = "example.org" });
    apply_all(f, 1, 2);
    _cleanup_json_ json_t *routes = fake_caddy_at(f->caddy, ROUTES);
    assert_int_equal(json_array_size(routes), 3);
    assert_string_equal(json_str(json_array_get(routes, 0), "@id"), "hbcloud");
    assert_string_equal(json_str(json_array_get(routes, 2), "@id"), "hbcloud-unknown");
}

static void names_come_before_wildcards(void **state)
{
    struct fixture *f = *state;
    json_decref(f->domains[0]);
    f->routes[0].domains = f->domains[0] = json_pack("[s]", "*.example.org");
    apply_all(f, 2, 1);
    _cleanup_json_ json_t *first = fake_caddy_at(f->caddy, ROUTES "/0/handle/0/routes/0");
    assert_string_equal(json_str(first, "@id"), "hbcloud-route-b");
}

static void certificates_have_a_policy_of_their_own(void **state)
{
    struct fixture *f = *state;
    open_router(f, (struct caddy_options){
                       .issuer = "acme", .acme_directory = "https://acme.test/dir", .domain = "example.org" });
    apply_all(f, 2, 3);
    apply_all(f, 3, 1); /* one more name below the domain: the policy is as it was */
    _cleanup_json_ json_t *policy = fake_caddy_at(f->caddy, "/apps/tls/automation/policies/0");
    assert_string_equal(json_string_value(json_array_get(json_object_get(policy, "subjects"), 0)), "*.example.org");
    assert_string_equal(json_str(json_array_get(json_object_get(policy, "issuers"), 0), "ca"), "https://acme.test/dir");
}

static void figures_are_read_by_service_and_host(void **state)
{
    struct fixture *f = *state;
    int64_t n = 0;
    _cleanup_json_ json_t *all = NULL;
    f->caddy->upstreams =
        "[{\"address\":\"{file./slots/x.1}\",\"num_requests\":2},{\"address\":\"{file./slots/x.2}\",\"num_requests\":1},"
        "{\"address\":\"127.0.0.1:80\",\"num_requests\":3}]";
    f->caddy->metrics =
        "# TYPE x counter\n"
        "caddy_http_request_duration_seconds_count{code=\"200\",handler=\"subroute\",host=\"a.b\",method=\"GET\",server=\"s\"} 7\n"
        "caddy_http_request_duration_seconds_count{code=\"503\",handler=\"subroute\",host=\"a.b\",method=\"GET\",server=\"s\"} 2\n"
        "caddy_http_request_duration_seconds_count{code=\"200\",handler=\"file_server\",host=\"a.b\",method=\"GET\",server=\"s\"} 9\n";
    assert_int_equal(f->router->ops->in_flight(f->router, "127.0.0.1:80", &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(f->router->ops->in_flight(f->router, "127.0.0.1:81", &n, NULL), 0);
    assert_int_equal(n, 0);
    fake_caddy_load(f->caddy, "{'apps':{'http':{'metrics':{'per_host':true}}}}");
    assert_int_equal(f->router->ops->figures(f->router, &all, NULL), 0);
    assert_int_equal(json_int(all, "inFlight.x", 0), 3);
    const json_t *host = json_object_get(json_object_get(all, "hosts"), "a.b");
    assert_true(json_num(host, "2xx", 0) == 7 && json_num(host, "5xx", 0) == 2);
    f->caddy->metrics = NULL;
    _cleanup_json_ json_t *silent = NULL;
    assert_int_equal(f->router->ops->figures(f->router, &silent, NULL), 0);
    assert_true(json_is_null(json_object_get(silent, "hosts"))); /* not an empty count: that began anew */
}

static void only_urls_of_an_admin_api_are_taken(void **state)
{
    struct fixture *f = *state;
    struct router *r = NULL;
    static const char *const bad[] = {
        "", "caddy:2019", "ftp://x", "http://", "http://user@host:2019", "unix://relative"
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(caddy_router_new(&(struct caddy_options){ .admin_url = bad[i] }, &r, &f->e), -ERR_VALIDATION);
    assert_null(r);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        CASE(what_is_so_already_costs_nothing),
        CASE(a_refused_route_costs_only_its_own_service),
        CASE(a_refused_change_leaves_the_route_as_it_was),
        CASE(a_lost_answer_is_found_out_by_reading),
        CASE(reads_are_repeated_while_the_admin_api_restarts),
        CASE(somebody_elses_change_meanwhile_is_read_first),
        CASE(O07_an_enforced_origin_is_sent),
        CASE(O07_a_refused_origin_is_said_plainly),
        CASE(O08_a_lost_configuration_is_noticed_and_brought_back),
        CASE(an_admin_api_that_is_away_is_unavailable),
        CASE(a_server_that_is_not_there_is_named),
        CASE(a_name_that_the_owner_serves_himself_is_refused),
        CASE(another_server_is_moved_to),
        CASE(rates_are_limited_only_where_a_module_does_it),
        CASE(unknown_names_are_answered_behind_the_owners_routes),
        CASE(names_come_before_wildcards),
        CASE(certificates_have_a_policy_of_their_own),
        CASE(a_header_s_braces_are_no_placeholders),
        CASE(figures_are_read_by_service_and_host),
        CASE(only_urls_of_an_admin_api_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
