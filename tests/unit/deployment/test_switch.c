/* O05: how one deployment goes, in the order of its acts: what is registered, routed, drained and stopped when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy_fixture.h"

#define ROUTED "\"networking\":{\"domains\":[\"web.example.org\"]}"

static int open_one(void **state)
{
    fixture_open();
    fixture_service("web");
    fake_gateway.routes = fake_gateway.discovers = true;
    return 0;
}

static int close_one(void **state)
{
    fixture_close();
    return 0;
}

static void expect_end(const char *specification, const char *state_wanted)
{
    _cleanup_json_ json_t *x = fixture_deploy(specification);
    if (!str_eq(json_str(x, "status.state"), state_wanted))
        fail_msg("%s instead of %s: %s\n%s", json_str(x, "status.state"), state_wanted, json_str(x, "status.message"),
                 trace_text());
}

static const char *name_of(int n)
{
    static char names[4][128];
    static int turn;
    char *name = names[turn++ % 4];
    str_copy(name, sizeof names[0], fake_engine.containers[n].name);
    return name;
}

static const char *line(const char *verb, const char *what)
{
    static char lines[16][200];
    static int turn;
    char *to = lines[turn++ % 16];
    (void)snprintf(to, sizeof lines[0], "%s %s", verb, what);
    return to;
}

static const char *address_of(int n)
{
    static char addresses[8][64];
    static int turn;
    char *to = addresses[turn++ % 8];
    (void)snprintf(to, sizeof addresses[0], "127.0.0.1:%d", fake_engine.containers[n].port);
    return to;
}

static void o05_new_is_registered_before_traffic_and_old_drained_before_its_end(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    trace_expect(line("create", name_of(0)), line("start", name_of(0)), "route changed",
                 line("upstreams", address_of(0)), NULL);
    const char *old_address = address_of(0);
    trace_clear();
    fake_gateway.undrained = 2;
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED "}");
    assert_string_equal(json_str(x, "status.state"), "completed");
    char registered[300];
    (void)snprintf(registered, sizeof registered, "register %s %s", name_of(1), address_of(1));
    trace_expect("probes 0", registered, "route", "probes 1", line("upstreams", address_of(1)), "probes 2",
                 line("deregister", name_of(0)), line("look", old_address), line("look", old_address),
                 line("look", old_address), line("look", old_address), line("look", old_address),
                 line("stop", name_of(0)), line("remove", name_of(0)), NULL);
    trace_expect_none("route changed"); /* a switch costs the router nothing */
    _cleanup_json_ json_t *row = fixture_row(1);
    assert_string_equal(json_str(row, "networking.url"), "https://web.example.org");
    assert_string_equal(json_str(row, "monitoring.consulServiceId"), name_of(1));
    assert_int_equal(json_int(x, "receipt.reloads", -1), 0);
    assert_int_equal(json_int(x, "receipt.probes.after.sent", 0), 40);
    assert_false(json_flag(x, "receipt.drain.forced", true));
    assert_true(json_flag(x, "receipt.bound.held", false));
    assert_int_equal(json_array_size(json_at(x, "receipt.points")), 1);
    assert_true(json_num(x, "receipt.steps.verify", 0) >= 2000);
    assert_true(json_num(x, "monitoring.preDeploy.performanceBaseline.latency_p99_ms", 0) == 5);
}

static void a_drain_that_does_not_end_is_forced_at_its_limit_and_said(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    fake_gateway.undrained = -1;
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED ",\"strategy\":{\"drainTimeout\":2}}");
    assert_string_equal(json_str(x, "status.state"), "completed");
    assert_true(json_flag(x, "receipt.drain.forced", false));
    assert_true(json_num(x, "receipt.drain.durationMs", 0) >= 2000);
    assert_true(fake_engine.containers[0].gone);
}

static void a_broken_bound_switches_back_and_drains_the_new(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    const char *old_address = address_of(0);
    trace_clear();
    fake_gateway.figures[PROBE_AFTER].failed = 3;
    str_copy(fake_gateway.figures[PROBE_AFTER].first_failure, 100, "it answered 502");
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED "}");
    assert_string_equal(json_str(x, "status.state"), "rolled_back");
    assert_non_null(strstr(json_str(x, "status.message"), "3 of 80 probes failed"));
    assert_non_null(strstr(json_str(x, "status.message"), "it answered 502"));
    assert_false(json_flag(x, "receipt.bound.held", true));
    trace_expect(line("upstreams", address_of(1)), line("upstreams", old_address), line("look", address_of(1)),
                 line("deregister", name_of(1)), line("stop", name_of(1)), line("remove", name_of(1)), NULL);
    trace_expect_none(line("stop", name_of(0)));
    _cleanup_json_ json_t *row = fixture_row(1);
    assert_string_equal(json_str(row, "container.id"), fake_engine.containers[0].id);
    struct release serving = { 0 };
    assert_int_equal(release_serving(fixture_deployments(), fixture_service_id(), &serving, NULL), 0);
    assert_int_equal(serving.number, 1); /* the one that was gone back to */
    release_done(&serving);
}

static void a_router_that_is_away_at_the_verdict_is_no_fault_of_the_release(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    fake_gateway.figures[PROBE_AFTER].failed = 40;
    fake_gateway.leaves_at_switch = true;
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED "}");
    assert_string_equal(json_str(x, "status.state"), "rolled_back");
    assert_non_null(strstr(json_str(x, "status.message"), "the router itself does not answer"));
    assert_null(strstr(json_str(x, "status.message"), "probes failed"));
    assert_string_equal(fake_gateway.upstreams, address_of(0));
}

static void a_bound_that_the_owner_widened_holds(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    fake_gateway.figures[PROBE_AFTER].failed = 3;
    expect_end("{" ROUTED ",\"probe\":{\"maxFailed\":3}}", "completed");
    fake_gateway.figures[PROBE_AFTER].failed = 0;
    fake_gateway.figures[PROBE_AFTER].p99_ms = 200; /* forty times as slow, and still noise */
    expect_end("{" ROUTED "}", "completed");
    fake_gateway.figures[PROBE_AFTER].p99_ms = 400;
    expect_end("{" ROUTED "}", "rolled_back");
    expect_end("{" ROUTED ",\"probe\":{\"maxLatencyRatio\":100}}", "completed");
}

/* One instance of several takes connections and never answers: the others' good answers are not yet the verdict. */
static void a_probe_that_hangs_is_awaited(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    fake_gateway.hangs_ms = 5000;
    expect_end("{" ROUTED "}", "rolled_back");
}

static void a_router_that_refuses_the_first_route_leaves_nothing(void **state)
{
    fake_gateway.broken = true;
    expect_end("{" ROUTED "}", "failed");
    assert_true(fake_engine.containers[0].gone);
    assert_string_equal(fake_gateway.upstreams, "");
}

static void without_a_route_nothing_is_measured_and_all_is_as_before(void **state)
{
    expect_end("{}", "completed");
    const char *old = name_of(0);
    trace_clear();
    _cleanup_json_ json_t *x = fixture_deploy("{}");
    trace_expect(line("create", name_of(1)), line("start", name_of(1)), line("stop", old), line("remove", old), NULL);
    trace_expect_none("probes 0");
    assert_null(json_at(x, "receipt.probes"));
    _cleanup_json_ json_t *row = fixture_row(1);
    assert_string_equal(json_str(row, "networking.url") + 7, address_of(1));
}

static void an_update_that_fails_before_create_is_failed_and_later_rolled_back(void **state)
{
    expect_end("{}", "completed");
    expect_end("{\"container\":{\"resources\":{\"memory\":4096}}}", "failed"); /* the node has 1 GiB */
    fake_engine.refuse_create = "no room";
    expect_end("{}", "rolled_back");
    fake_engine.refuse_create = NULL;
    fake_engine.dies = true;
    expect_end("{}", "rolled_back");
}

static void a_first_deployment_that_fails_is_failed(void **state)
{
    fake_engine.dies = true;
    expect_end("{" ROUTED "}", "failed");
    assert_true(fake_engine.containers[0].gone);
}

static void a_volume_with_one_writer_is_recreated_the_route_held(void **state)
{
    static const char with_volume[] =
        "{" ROUTED ",\"container\":{\"volumes\":[{\"source\":\"data\",\"target\":\"/data\"}]}}";
    expect_end(with_volume, "completed");
    const char *old_address = address_of(0);
    trace_clear();
    _cleanup_json_ json_t *x = fixture_deploy(with_volume);
    assert_string_equal(json_str(x, "receipt.strategy"), "recreate");
    trace_expect(line("create", name_of(1)), "hold", line("look", old_address), line("stop", name_of(0)),
                 line("start", name_of(1)), line("upstreams", address_of(1)), line("remove", name_of(0)), NULL);
    trace_clear();
    fake_engine.dies = true;
    _cleanup_json_ json_t *failed = fixture_deploy(with_volume);
    assert_string_equal(json_str(failed, "status.state"), "rolled_back");
    assert_string_equal(fake_gateway.upstreams, address_of(1));
    assert_true(fake_engine.containers[1].running);
    assert_true(fake_engine.containers[2].gone);
}

static void a_removal_that_is_never_answered_ends_with_its_cause(void **state)
{
    expect_end("{" ROUTED "}", "completed");
    fake_gateway.figures[PROBE_AFTER].failed = 1;
    fake_engine.refuses_removal = 1000;
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED "}");
    assert_string_equal(json_str(x, "status.state"), "rolled_back");
    assert_string_equal(fake_gateway.upstreams, address_of(0));
    bool said = false;
    size_t i;
    json_t *logged;
    json_array_foreach (json_at(x, "status.logs"), i, logged)
        said = said || strstr(json_string_value(logged), "The engine did not answer");
    assert_true(said);
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ONE(o05_new_is_registered_before_traffic_and_old_drained_before_its_end),
        ONE(a_drain_that_does_not_end_is_forced_at_its_limit_and_said),
        ONE(a_broken_bound_switches_back_and_drains_the_new),
        ONE(a_router_that_is_away_at_the_verdict_is_no_fault_of_the_release),
        ONE(a_bound_that_the_owner_widened_holds),
        ONE(a_probe_that_hangs_is_awaited),
        ONE(a_router_that_refuses_the_first_route_leaves_nothing),
        ONE(without_a_route_nothing_is_measured_and_all_is_as_before),
        ONE(an_update_that_fails_before_create_is_failed_and_later_rolled_back),
        ONE(a_first_deployment_that_fails_is_failed),
        ONE(a_volume_with_one_writer_is_recreated_the_route_held),
        ONE(a_removal_that_is_never_answered_ends_with_its_cause),
    };
    return cmocka_run_group_tests_name("deployment_switch", tests, NULL, NULL);
}
