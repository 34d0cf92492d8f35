/* A service of a Swarm: its request and its answers; and with a real one (HB_TEST_SWARM_HOST a manager, HB_TEST_SWARM_GOOD
 * and _NEXT images that run, HB_TEST_SWARM_BAD one that ends at once) an update, a rollback by itself and one asked for. */
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "integrations/swarm/swarm.h"
#include "integrations/swarm/swarm_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static json_t *read_json(const char *text)
{
    json_t *value = NULL;
    struct error e = ERROR_INIT;
    if (json_parse(text, strlen(text), &value, &e) < 0)
        fail_msg("%s", e.message);
    return value;
}

static void a_spec_becomes_the_clusters_request(void **state)
{
    const char *command[] = { "serve", NULL };
    struct engine_port port = { .container = 80, .host = 8080 };
    _cleanup_json_ json_t *environment = read_json("{\"A\":\"b\"}"),
                          *where = read_json("[\"node.labels.room==cellar\"]");
    struct engine_spec c = { .name = "web",
                             .image = "web:1",
                             .command = command,
                             .environment = environment,
                             .ports = &port,
                             .port_count = 1,
                             .cpu_limit = 0.5,
                             .memory_limit = 64 << 20,
                             .stop_grace_s = 10 };
    struct scheduler_spec s = { .container = &c, .replicas = 2, .constraints = where };
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(swarm_spec_check(&s, NULL), 0);
    swarm_spec_write(&s, &out);
    _cleanup_json_ json_t *got = read_json(buf_str(&out));
    _cleanup_json_ json_t *want = read_json(
        "{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"web:1\",\"Args\":[\"serve\"],\"Env\":[\"A=b\"],"
        "\"StopGracePeriod\":10000000000,\"Mounts\":[]},\"Resources\":{\"Limits\":{\"NanoCPUs\":500000000,\"MemoryBytes\":"
        "67108864}},\"RestartPolicy\":{\"Condition\":\"any\"},\"Placement\":{\"Constraints\":[\"node.labels.room==cellar\"]},"
        "\"Networks\":[]},\"Mode\":{\"Replicated\":{\"Replicas\":2}},\"UpdateConfig\":{\"Parallelism\":1,\"Monitor\":5000000000,"
        "\"FailureAction\":\"rollback\",\"Order\":\"start-first\"},\"RollbackConfig\":{\"Parallelism\":1,\"Monitor\":5000000000,"
        "\"FailureAction\":\"pause\",\"Order\":\"start-first\"},\"EndpointSpec\":{\"Ports\":[{\"Protocol\":\"tcp\","
        "\"TargetPort\":80,\"PublishedPort\":8080,\"PublishMode\":\"ingress\"}]}}");
    if (!json_equal(got, want))
        fail_msg("%s", buf_str(&out));
    buf_done(&out);
}

static void what_a_cluster_cannot_do_is_refused(void **state)
{
    struct engine_port loopback = { .container = 80, .host_ip = "127.0.0.1" };
    _cleanup_json_ json_t *where = read_json("[\"room\"]");
    const struct engine_spec good = { .name = "web", .image = "web" },
                             privileged = { .name = "web", .image = "web", .privileged = true },
                             host = { .name = "web", .image = "web", .network_mode = "host" },
                             dropped = { .name = "web", .image = "web", .capabilities_dropped = where },
                             limited = { .name = "web", .image = "web", .pids_limit = 50 },
                             port = { .name = "web", .image = "web", .ports = &loopback, .port_count = 1 };
    const struct scheduler_spec bad[] = { { .container = &privileged },
                                          { .container = &host },
                                          { .container = &dropped },
                                          { .container = &limited },
                                          { .container = &port },
                                          { .container = &good, .constraints = where },
                                          { .container = &good, .replicas = 5000 },
                                          { .container = &good, .monitor_ms = -1 } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (swarm_spec_check(&bad[i], NULL) != -(int)ERR_VALIDATION)
            fail_msg("%zu was taken", i);
}

static void answers_that_are_nonsense_are_refused(void **state)
{
    static const char *const bad[] = {
        "{}", "[]", "{\"Spec\":{\"Mode\":{\"Global\":{}},\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"}}}}",
        "{\"Spec\":{\"Mode\":{\"Replicated\":{\"Replicas\":-5}}}}"
    };
    _cleanup_json_ json_t *tasks = read_json("[{}, 7, {\"Status\":{\"Err\":5}}]");
    struct scheduler_status s;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_json_ json_t *service = read_json(bad[i]);
        assert_int_equal(swarm_status_read(service, tasks, &s, NULL), -(int)ERR_UPSTREAM);
    }
}

/* ---- a real one ---- */

static struct error e;

static bool settles(struct container_scheduler *s, const char *image, enum scheduler_state state, bool *ret_failure)
{
    int64_t until = clock_mono_ms() + 90000;
    struct scheduler_status now = { 0 };
    bool met = false;
    while (!met && clock_mono_ms() < until) {
        scheduler_status_done(&now);
        if (s->ops->status(s, "web", &now, &e) < 0)
            fail_msg("%s", e.message);
        met = now.state == state && now.running == 2 && now.wanted == 2 && str_starts(now.image, image);
        if (!met)
            (void)usleep(100000);
    }
    print_message("[ cluster  ] state %d, %u of %u run %s: %s; %s\n", now.state, now.running, now.wanted, now.image,
                  now.message ? now.message : "", now.failure ? now.failure : "");
    *ret_failure = now.failure != NULL;
    scheduler_status_done(&now);
    return met;
}

static void deploy(struct container_scheduler *s, const char *image)
{
    const struct engine_spec c = { .name = "web", .image = image, .stop_grace_s = 1, .memory_limit = 64 << 20 };
    const struct scheduler_spec spec = { .container = &c, .replicas = 2, .parallelism = 2, .monitor_ms = 2000 };
    if (s->ops->deploy(s, &spec, NULL, &e) < 0)
        fail_msg("%s", e.message);
}

static void a_service_is_updated_rolled_back_and_removed(void **state)
{
    const char *good = getenv("HB_TEST_SWARM_GOOD"), *next = getenv("HB_TEST_SWARM_NEXT");
    struct container_scheduler *s = NULL;
    struct scheduler_status status;
    bool failure;
    assert_int_equal(
        swarm_scheduler_open(&(struct docker_engine_options){ .host = getenv("HB_TEST_SWARM_HOST") }, &s, &e), 0);
    assert_int_equal(s->ops->status(s, "web", &status, &e), -(int)ERR_NOT_FOUND);
    deploy(s, good);
    assert_true(settles(s, good, SCHEDULER_SETTLED, &failure));
    assert_int_equal(s->ops->rollback(s, "web", &e), -(int)ERR_CONFLICT); /* nothing before */
    deploy(s, next);
    assert_true(settles(s, next, SCHEDULER_SETTLED, &failure));
    deploy(s, getenv("HB_TEST_SWARM_BAD")); /* never stays up: the cluster goes back by itself */
    assert_true(settles(s, next, SCHEDULER_ROLLED_BACK, &failure));
    assert_true(failure); /* and says what failed */
    deploy(s, good);
    assert_true(settles(s, good, SCHEDULER_SETTLED, &failure));
    assert_int_equal(s->ops->rollback(s, "web", &e), 0);
    assert_true(settles(s, next, SCHEDULER_ROLLED_BACK, &failure));
    for (int i = 0; i < 2; i++)
        assert_int_equal(s->ops->remove(s, "web", &e), 0);
    assert_int_equal(s->ops->status(s, "web", &status, &e), -(int)ERR_NOT_FOUND);
    s->ops->free(s);
}

static void an_engine_that_is_no_manager_says_so(void **state)
{
    struct container_scheduler *s = NULL;
    struct scheduler_status status;
    assert_int_equal(
        swarm_scheduler_open(&(struct docker_engine_options){ .host = getenv("HB_TEST_SWARM_NONE") }, &s, &e), 0);
    assert_int_equal(s->ops->status(s, "web", &status, &e), -(int)ERR_CONFLICT);
    assert_non_null(strstr(e.message, "no manager"));
    s->ops->free(s);
}

int main(void)
{
    const struct CMUnitTest pure[] = { cmocka_unit_test(a_spec_becomes_the_clusters_request),
                                       cmocka_unit_test(what_a_cluster_cannot_do_is_refused),
                                       cmocka_unit_test(answers_that_are_nonsense_are_refused) };
    const struct CMUnitTest real[] = { cmocka_unit_test(a_service_is_updated_rolled_back_and_removed) };
    const struct CMUnitTest none[] = { cmocka_unit_test(an_engine_that_is_no_manager_says_so) };
    int failed = cmocka_run_group_tests_name("swarm", pure, NULL, NULL);
    if (getenv("HB_TEST_SWARM_NONE"))
        failed += cmocka_run_group_tests_name("swarm-none", none, NULL, NULL);
    return getenv("HB_TEST_SWARM_HOST") ? failed + cmocka_run_group_tests_name("swarm-live", real, NULL, NULL) : failed;
}
