/* Several instances: all at once, one after the other, more, fewer; and a hub that dies after any act of a deployment,
 * which the next one takes to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy_fixture.h"

#include <stdio.h>

#define ROUTED "\"networking\":{\"domains\":[\"web.example.org\"]}"
#define THREE "\"instances\":3"

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

static json_t *expect_end(const char *specification, const char *wanted)
{
    json_t *x = fixture_deploy(specification);
    if (!str_eq(json_str(x, "status.state"), wanted))
        fail_msg("%s instead of %s: %s\n%s", json_str(x, "status.state"), wanted, json_str(x, "status.message"),
                 trace_text());
    return x;
}

static void end_as(const char *specification, const char *wanted)
{
    json_decref(expect_end(specification, wanted));
}

static size_t running(void)
{
    size_t n = 0;
    for (size_t i = 0; i < fake_engine.count; i++)
        n += fake_engine.containers[i].running && !fake_engine.containers[i].gone;
    return n;
}

static size_t existing(void)
{
    size_t n = 0;
    for (size_t i = 0; i < fake_engine.count; i++)
        n += !fake_engine.containers[i].gone;
    return n;
}

static size_t upstream_count(void)
{
    size_t n = fake_gateway.upstreams[0] != '\0';
    for (const char *p = fake_gateway.upstreams; *p; p++)
        n += *p == ',';
    return n;
}

/* Every address in the route is one of a running container. */
static void expect_upstreams_alive(size_t wanted)
{
    assert_int_equal(upstream_count(), wanted);
    size_t found = 0;
    for (size_t i = 0; i < fake_engine.count; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "127.0.0.1:%d", fake_engine.containers[i].port);
        found += fake_engine.containers[i].running && strstr(fake_gateway.upstreams, address);
    }
    assert_int_equal(found, wanted);
}

static void all_new_ones_stand_beside_the_old_and_one_switch_takes_them(void **state)
{
    end_as("{" ROUTED "," THREE "}", "completed");
    expect_upstreams_alive(3);
    trace_clear();
    end_as("{" ROUTED "," THREE "}", "completed");
    expect_upstreams_alive(3);
    assert_int_equal(existing(), 3);
    const char *first = strstr(trace_text(), "upstreams ");
    assert_non_null(first);
    assert_null(strstr(first + 1, "upstreams "));
    for (unsigned ordinal = 1; ordinal <= 3; ordinal++) {
        _cleanup_json_ json_t *row = fixture_row(ordinal);
        assert_string_equal(json_str(row, "container.state"), "running");
        assert_int_equal(json_int(row, "instances.wanted", 0), ordinal == 1 ? 3 : json_int(row, "instances.wanted", 0));
    }
}

static void rolling_replaces_one_after_the_other(void **state)
{
    end_as("{" ROUTED "," THREE "}", "completed");
    trace_clear();
    _cleanup_json_ json_t *x = expect_end("{" ROUTED "," THREE ",\"strategy\":{\"type\":\"rolling\"}}", "completed");
    expect_upstreams_alive(3);
    assert_int_equal(existing(), 3);
    size_t switches = 0;
    for (const char *p = trace_text(); (p = strstr(p, "upstreams ")); p++)
        switches++;
    assert_int_equal(switches, 3);
    assert_string_equal(json_str(x, "receipt.strategy"), "rolling");
    assert_true(json_num(x, "status.progress", 0) == 100);
}

static void a_rolling_deployment_that_breaks_in_its_second_turn_gives_all_back(void **state)
{
    end_as("{" ROUTED "," THREE "}", "completed");
    const char *id = fixture_begin("{" ROUTED "," THREE ",\"strategy\":{\"type\":\"rolling\"}}");
    fake_engine.die_at = "stop "; /* the first old one has stopped: its successor serves */
    while (fixture_run() == JOB_AGAIN && fake_engine.die_at)
        ;
    fake_engine.dies = true;
    while (fixture_run() == JOB_AGAIN)
        ;
    _cleanup_json_ json_t *x = fixture_document(id);
    assert_string_equal(json_str(x, "status.state"), "rolled_back");
    expect_upstreams_alive(3);
    assert_int_equal(existing(), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(fake_engine.containers[i].running); /* the very ones from before */
}

static json_t *scaled(const char *specification)
{
    fixture_type("scale");
    json_t *x = expect_end(specification, "completed");
    fixture_type("update");
    return x;
}

static void more_and_fewer_touch_no_container_that_stays(void **state)
{
    end_as("{" ROUTED "}", "completed");
    trace_clear();
    _cleanup_json_ json_t *more = scaled("{" ROUTED "," THREE "}");
    expect_upstreams_alive(3);
    assert_null(strstr(trace_text(), "stop "));
    assert_true(fake_engine.containers[0].running);
    trace_clear();
    _cleanup_json_ json_t *fewer = scaled("{" ROUTED ",\"instances\":1}");
    assert_null(strstr(trace_text(), "create "));
    expect_upstreams_alive(1);
    assert_true(fake_engine.containers[0].running);
    assert_int_equal(existing(), 1);
    assert_null(fixture_row(2));
}

static void rows_of_instances_that_never_served_are_forgotten(void **state)
{
    end_as("{" ROUTED "}", "completed");
    fake_engine.dies = true;
    end_as("{" ROUTED "," THREE "}", "rolled_back");
    assert_null(fixture_row(2));
    assert_int_equal(running(), 1);
}

/* ---- the hub dies after each act ---- */

static void dies_at_each_act_of(const char *before, const char *specification, const char *wanted)
{
    static char acts[16384];
    char line[300];
    end_as(before, "completed");
    trace_clear();
    json_decref(fixture_deploy(specification));
    str_copy(acts, sizeof acts, trace_text());
    /* The act's verb and how often it came so far say where. */
    size_t n = 0;
    for (char *rest = acts, *act; (act = strsep(&rest, "\n"));)
        n += *act != '\0';
    for (size_t at = 0; at < n; at++) {
        fixture_close();
        (void)open_one(NULL);
        end_as(before, "completed");
        trace_clear();
        const char *id = fixture_begin(specification);
        fake_engine.die_after = at + 1;
        int runs = 0;
        while (fixture_run() == JOB_AGAIN && runs++ < 100)
            ;
        _cleanup_json_ json_t *x = fixture_document(id);
        (void)snprintf(line, sizeof line, "after act %zu of %zu: %s\n", at + 1, n, json_str(x, "status.message"));
        if (!str_eq(json_str(x, "status.state"), wanted) || upstream_count() != 1 || existing() != 1 || running() != 1)
            fail_msg("%s %zu upstreams, %zu containers, %s\n%s", line, upstream_count(), existing(),
                     json_str(x, "status.state"), trace_text());
        expect_upstreams_alive(1);
    }
}

static void o09_a_hub_that_dies_anywhere_ends_it_all_the_same(void **state)
{
    dies_at_each_act_of("{" ROUTED "}", "{" ROUTED "}", "completed");
}

static void o09_recreate_as_well(void **state)
{
    static const char writer[] =
        "{" ROUTED ",\"container\":{\"volumes\":[{\"source\":\"data\",\"target\":\"/data\"}]}}";
    dies_at_each_act_of(writer, writer, "completed");
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ONE(all_new_ones_stand_beside_the_old_and_one_switch_takes_them),
        ONE(rolling_replaces_one_after_the_other),
        ONE(a_rolling_deployment_that_breaks_in_its_second_turn_gives_all_back),
        ONE(more_and_fewer_touch_no_container_that_stays),
        ONE(rows_of_instances_that_never_served_are_forgotten),
        ONE(o09_a_hub_that_dies_anywhere_ends_it_all_the_same),
        ONE(o09_recreate_as_well),
    };
    return cmocka_run_group_tests_name("deployment_instances", tests, NULL, NULL);
}
