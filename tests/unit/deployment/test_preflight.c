/* O15: what would make a deployment fail half-way is said before anything is touched: no container is made, none stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy_fixture.h"

#include "deployment/steps.h"

static int open_one(void **state)
{
    fixture_open();
    fixture_service("web");
    _cleanup_json_ json_t *x = fixture_deploy("{}");
    assert_string_equal(json_str(x, "status.state"), "completed");
    trace_clear();
    return 0;
}

static int close_one(void **state)
{
    fixture_close();
    return 0;
}

static void expect_refused(const char *specification, const char *why)
{
    _cleanup_json_ json_t *x = fixture_deploy(specification);
    if (!str_eq(json_str(x, "status.state"), "failed") || !strstr(json_str(x, "status.message"), why))
        fail_msg("%s: %s\n%s", json_str(x, "status.state"), json_str(x, "status.message"), trace_text());
    assert_null(strstr(trace_text(), "create "));
    assert_null(strstr(trace_text(), "stop "));
    assert_true(fake_engine.containers[0].running);
}

static void o15_what_the_node_has_not(void **state)
{
    expect_refused("{\"container\":{\"resources\":{\"memory\":4096}}}", "more than the node has: 1024 MB");
    expect_refused("{\"container\":{\"volumes\":[{\"source\":\"/nowhere/at/all\",\"target\":\"/data\"}]}}",
                   "does not exist on the node");
    expect_refused("{\"container\":{\"gpus\":\"all\"}}", "the node has none");
}

static void an_engine_that_is_too_old(void **state)
{
    fake_engine.api_version = "1.24";
    expect_refused("{}", "too old: its API is 1.24");
}

static void an_image_for_another_machine(void **state)
{
    fake_engine.architecture = "x86_64";
    fake_engine.image_architecture = "arm64";
    expect_refused("{}", "made for arm64, and the node is amd64");
}

static void what_can_be_there_once_is_not_made_twice(void **state)
{
    expect_refused("{\"instances\":2,\"container\":{\"ports\":[{\"container\":8080,\"host\":9999}]}}",
                   "cannot be on one node");
}

static void names_and_ports_that_others_have(void **state)
{
    fixture_stranger("theirs", 9998);
    expect_refused("{\"container\":{\"name\":\"theirs\"}}", "name theirs is taken");
    expect_refused("{\"container\":{\"ports\":[{\"container\":8080,\"host\":9998}]}}",
                   "Host port 9998 is taken by container theirs");
}

static void a_volume_of_another_service(void **state)
{
    fake_engine.volume_owner = "database";
    expect_refused("{\"container\":{\"volumes\":[{\"source\":\"data\",\"target\":\"/data\"}]}}",
                   "belongs to the service database");
    _cleanup_json_ json_t *x =
        fixture_deploy("{\"container\":{\"volumes\":[{\"source\":\"data\",\"target\":\"/data\",\"readonly\":true}]}}");
    assert_string_equal(json_str(x, "status.state"), "completed"); /* reading is nobody's loss */
}

/* Waiting keeps no worker: the job is run again, from the same step. */
static void a_dependency_is_waited_for_and_not_for_ever(void **state)
{
    const char *id = fixture_begin("{\"dependsOn\":[{\"service\":\"absent\",\"condition\":\"healthy\"}]}");
    int runs = 0;
    while (fixture_run() == JOB_AGAIN && runs < 3000) {
        runs++;
        step_pause_ms(20);
    }
    assert_true(runs > 3);
    _cleanup_json_ json_t *x = fixture_document(id);
    assert_string_equal(json_str(x, "status.state"), "failed");
    assert_non_null(
        strstr(json_str(x, "status.message"), "absent, on which this one depends, was not healthy within 600 s"));
}

static json_t *run_out(const char *id, int *ret_runs)
{
    for (*ret_runs = 1; fixture_run() == JOB_AGAIN && *ret_runs < 3000; (*ret_runs)++)
        step_pause_ms(20);
    return fixture_document(id);
}

static int64_t took_ms(const json_t *document)
{
    return json_int(document, "timing.duration", -1);
}

static void an_engine_that_goes_away_is_waited_for_and_not_for_ever(void **state)
{
    int runs = 0;
    fake_engine.away = true;
    _cleanup_json_ json_t *x = run_out(fixture_begin("{}"), &runs);
    assert_string_equal(json_str(x, "status.state"), "failed");
    assert_string_equal(json_str(x, "status.message"), "The engine cannot be reached.");
    assert_true(runs > 3);
    assert_true(took_ms(x) >= 60000);
    assert_true(took_ms(x) < 120000);
    assert_true(fake_engine.containers[0].running);
}

static void an_engine_that_was_never_seen_is_not_waited_for(void **state)
{
    int runs = 0;
    fixture_close();
    fixture_open();
    fixture_service("web");
    fake_engine.away = true;
    _cleanup_json_ json_t *x = run_out(fixture_begin("{}"), &runs);
    assert_string_equal(json_str(x, "status.state"), "failed");
    assert_int_equal(runs, 1);
}

static void an_engine_or_a_router_that_comes_back_fails_nothing(void **state)
{
    static const char routed[] = "{\"networking\":{\"domains\":[\"web.example.org\"]}}";
    static const char *const at[] = { "validate", "preflight", "pull" };
    fake_gateway.routes = true;
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        int runs = 0;
        fake_gateway.away = i == 0;
        fake_engine.away = i == 1;
        fake_engine.leaves_in_pull = i == 2;
        const char *id = fixture_begin(routed);
        for (int k = 0; k < 3; k++)
            assert_int_equal(fixture_run(), JOB_AGAIN);
        _cleanup_json_ json_t *waiting = fixture_document(id);
        assert_string_equal(json_str(waiting, "status.step"), at[i]);
        assert_non_null(strstr(json_str(waiting, "status.message"), "Waits until it answers again: The "));
        fake_gateway.away = fake_engine.away = false;
        _cleanup_json_ json_t *x = run_out(id, &runs);
        assert_string_equal(json_str(x, "status.state"), "completed");
    }
}

static void what_waits_for_an_engine_can_be_cancelled(void **state)
{
    int runs = 0;
    fake_engine.away = true;
    const char *id = fixture_begin("{}");
    assert_int_equal(fixture_run(), JOB_AGAIN);
    assert_int_equal(queue_cancel(fixture_deployments(), id, "owner", NULL), 0);
    _cleanup_json_ json_t *x = run_out(id, &runs);
    assert_string_equal(json_str(x, "status.state"), "cancelled");
    assert_int_equal(runs, 1);
}

/* Neither a job nor a slow start keeps a worker. */
static void a_job_is_waited_for_while_its_engine_goes_and_comes(void **state)
{
    int runs = 0;
    const char *id = fixture_begin("{\"lifecycle\":\"job\"}");
    assert_int_equal(fixture_run(), JOB_AGAIN);
    fake_engine.away = true;
    assert_int_equal(fixture_run(), JOB_AGAIN);
    fake_engine.away = false;
    _cleanup_json_ json_t *waiting = fixture_document(id);
    assert_string_equal(json_str(waiting, "status.message"), "Waits until the job has ended.");
    fake_engine.containers[fake_engine.count - 1].running = false;
    fake_engine.ends_well = true;
    _cleanup_json_ json_t *x = run_out(id, &runs);
    assert_string_equal(json_str(x, "status.state"), "completed");
    assert_int_equal(runs, 1);
    const json_t *check = json_array_get(json_at(x, "timing.phases"), STEP_CHECK);
    assert_string_equal(json_str(check, "name"), "check");
    assert_true(json_int(check, "duration", 0) >= 5000); /* from its beginning on, not from the last look */
}

static void a_slow_start_is_waited_for_as_long_as_its_check_says(void **state)
{
    static const char slow[] = "{\"networking\":{\"healthCheck\":{\"command\":[\"true\"],\"startPeriod\":60,"
                               "\"interval\":1,\"timeout\":1,\"retries\":1}}}";
    int runs = 0;
    fake_engine.unhealthy = true;
    const char *id = fixture_begin(slow);
    assert_int_equal(fixture_run(), JOB_AGAIN);
    fake_engine.unhealthy = false;
    _cleanup_json_ json_t *x = run_out(id, &runs);
    assert_string_equal(json_str(x, "status.state"), "completed");
    fake_engine.unhealthy = true;
    _cleanup_json_ json_t *failed = run_out(fixture_begin(slow), &runs);
    assert_string_equal(json_str(failed, "status.state"), "rolled_back");
    assert_non_null(strstr(json_str(failed, "status.message"), "did not become healthy within 62 s"));
    assert_true(runs > 3);
    assert_true(took_ms(failed) >= 62000);
    assert_true(took_ms(failed) < 150000);
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ONE(o15_what_the_node_has_not),
        ONE(an_engine_that_is_too_old),
        ONE(an_image_for_another_machine),
        ONE(what_can_be_there_once_is_not_made_twice),
        ONE(names_and_ports_that_others_have),
        ONE(a_volume_of_another_service),
        ONE(a_dependency_is_waited_for_and_not_for_ever),
        ONE(an_engine_that_goes_away_is_waited_for_and_not_for_ever),
        ONE(an_engine_that_was_never_seen_is_not_waited_for),
        ONE(an_engine_or_a_router_that_comes_back_fails_nothing),
        ONE(what_waits_for_an_engine_can_be_cancelled),
        ONE(a_job_is_waited_for_while_its_engine_goes_and_comes),
        ONE(a_slow_start_is_waited_for_as_long_as_its_check_says),
    };
    return cmocka_run_group_tests_name("deployment_preflight", tests, NULL, NULL);
}
