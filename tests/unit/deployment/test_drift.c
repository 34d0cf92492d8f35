/* What runs is compared with what was deployed: each difference by its field, mended when asked, leftovers removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy_fixture.h"

#include "deployment/drift.h"

#define ROUTED "\"networking\":{\"domains\":[\"web.example.org\"]}"

static int open_one(void **state)
{
    fixture_open();
    fixture_service("web");
    fake_gateway.routes = fake_gateway.discovers = true;
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED "}");
    assert_string_equal(json_str(x, "status.state"), "completed");
    return 0;
}

static int close_one(void **state)
{
    fixture_close();
    return 0;
}

static json_t *compared(void)
{
    struct error e = ERROR_INIT;
    json_t *list = NULL;
    (void)runtime_refresh_service(fixture_deployments()->runtime, fixture_service_id(), NULL);
    if (drift_compare(fixture_deployments(), fixture_service_id(), &list, &e) < 0)
        fail_msg("%s", e.message);
    return list;
}

static void expect(const json_t *list, const char *field, const char *wanted, const char *actual)
{
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x)
        if (str_eq(json_str(x, "field"), field)) {
            assert_true(str_eq(json_str(x, "wanted"), wanted));
            assert_true(str_eq(json_str(x, "actual"), actual));
            return;
        }
    fail_msg("%s is not said to differ", field);
}

static void what_is_as_deployed_differs_in_nothing(void **state)
{
    _cleanup_json_ json_t *list = compared();
    assert_int_equal(json_array_size(list), 0);
}

static void a_container_that_ended_and_one_that_is_gone_are_told(void **state)
{
    fake_engine.containers[0].running = false;
    _cleanup_json_ json_t *ended = compared();
    expect(ended, "instances[1].container.state", "running", "exited");
    fake_engine.containers[0].gone = true;
    _cleanup_json_ json_t *gone = compared();
    expect(gone, "instances[1].container", "present", NULL);
}

static void a_route_that_leads_elsewhere_is_told_and_mended_without_a_deployment(void **state)
{
    char id[ID_LEN + 1];
    struct error e = ERROR_INIT;
    char before[256];
    str_copy(before, sizeof before, fake_gateway.upstreams);
    str_copy(fake_gateway.upstreams, sizeof fake_gateway.upstreams, "127.0.0.1:9");
    _cleanup_json_ json_t *list = compared();
    expect(list, "route.upstreams", before, "127.0.0.1:9");
    assert_int_equal(drift_repair(fixture_deployments(), fixture_service_id(), "owner", list, id, &e), 0);
    assert_string_equal(id, "");
    assert_string_equal(fake_gateway.upstreams, before);
    _cleanup_json_ json_t *after = compared();
    assert_int_equal(json_array_size(after), 0);
}

static void a_registration_that_was_lost_is_told_and_needs_no_deployment(void **state)
{
    char id[ID_LEN + 1];
    struct error e = ERROR_INIT;
    fake_gateway.registry_lost = true;
    _cleanup_json_ json_t *list = compared();
    expect(list, "instances[1].registration", fake_engine.containers[0].name, NULL);
    assert_int_equal(drift_repair(fixture_deployments(), fixture_service_id(), "owner", list, id, &e), 0);
    assert_string_equal(id, "");
}

static void a_lost_container_is_mended_by_a_deployment_of_what_serves(void **state)
{
    char id[ID_LEN + 1];
    struct error e = ERROR_INIT;
    fake_engine.containers[0].gone = true;
    _cleanup_json_ json_t *list = compared();
    if (drift_repair(fixture_deployments(), fixture_service_id(), "owner", list, id, &e) < 0)
        fail_msg("%s", e.message);
    _cleanup_json_ json_t *x = fixture_document(id);
    assert_string_equal(json_str(x, "deployment.initiatedBy"), "owner");
    assert_false(record_final(x));
}

static void what_an_undo_left_behind_is_removed_and_nothing_else(void **state)
{
    struct error e = ERROR_INIT;
    fake_gateway.figures[PROBE_AFTER].failed = 1;
    fake_engine.refuses_removal = 1000;
    _cleanup_json_ json_t *x = fixture_deploy("{" ROUTED "}");
    assert_string_equal(json_str(x, "status.state"), "rolled_back");
    assert_false(fake_engine.containers[1].gone);
    fake_engine.refuses_removal = 0;
    assert_int_equal(drift_clear_leftovers(fixture_deployments(), &e), 1);
    assert_true(fake_engine.containers[1].gone);
    assert_false(fake_engine.containers[0].gone);
    assert_true(fake_engine.containers[0].running);
    assert_int_equal(drift_clear_leftovers(fixture_deployments(), &e), 0);
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ONE(what_is_as_deployed_differs_in_nothing),
        ONE(a_container_that_ended_and_one_that_is_gone_are_told),
        ONE(a_route_that_leads_elsewhere_is_told_and_mended_without_a_deployment),
        ONE(a_registration_that_was_lost_is_told_and_needs_no_deployment),
        ONE(a_lost_container_is_mended_by_a_deployment_of_what_serves),
        ONE(what_an_undo_left_behind_is_removed_and_nothing_else),
    };
    return cmocka_run_group_tests_name("deployment_drift", tests, NULL, NULL);
}
