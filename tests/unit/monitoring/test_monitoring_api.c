/* The room's operations against the contract itself: replies are validated by it. */
#include "metrics_fixture.h"

#include "../http/fake_exchange.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "monitoring/monitoring_api.h"

#include <math.h>
#include <stdio.h>

static const char *contract_path;
static struct api *api;
static struct fake_reply reply;

static int64_t read_now(void *ctx UNUSED)
{
    return T0 + 600000;
}
static const struct clock TEST_CLOCK = { read_now, read_now, NULL };

static int be_viewer(void *ctx UNUSED, struct request *rq UNUSED, struct actor *ret, struct error *e UNUSED)
{
    ret->role = ROLE_VIEWER;
    str_copy(ret->kind, sizeof ret->kind, "key");
    return 0;
}

/* The contract with the room's paths alone, so that no other operation needs a row. */
static char *own_contract(void)
{
    struct error e = ERROR_INIT;
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *doc = NULL;
    size_t len;
    if (file_read(contract_path, 8 << 20, &text, &len) < 0 || yaml_load(text, len, &doc, &e) < 0)
        fail_msg("%s: %s", contract_path, e.message);
    json_t *paths = json_object_get(doc, "paths"), *value;
    const char *key;
    void *next;
    json_object_foreach_safe (paths, next, key, value)
        if (!str_starts(key, "/monitoring/"))
            json_object_del(paths, key);
    return json_text(doc, NULL);
}

static int setup(void **state)
{
    struct error e = ERROR_INIT;
    fixture_setup(state);
    struct fixture *f = *state;
    _cleanup_free_ char *contract = own_contract();
    struct api_options o = { .contract_yaml = contract,
                             .contract_len = strlen(contract),
                             .validate_replies = true,
                             .hooks.authenticate = be_viewer };
    if (api_new(&o, &api, &e) < 0 || api_add(api, monitoring_operations, MONITORING_OPERATIONS, f->metrics, &e) < 0 ||
        api_seal(api, &e) < 0)
        fail_msg("%s", e.message);
    return 0;
}

static int teardown(void **state)
{
    fake_reply_done(&reply);
    api_free(api);
    return fixture_teardown(state);
}

/* GET, wanting that status; the parsed reply is the caller's. */
static json_t *ask(const char *path, int status)
{
    char line[512];
    snprintf(line, sizeof line, "GET /v1/monitoring/%s", path);
    fake_reply_done(&reply);
    fake_send(api, line, NULL, NULL, &reply);
    json_t *doc = fake_json(&reply);
    if (reply.status != status)
        fail_msg("%s: %d %s", path, reply.status, reply.body ? reply.body->data : "");
    return doc;
}

/* Ten minutes of a gauge with a tag, and of a counter of another source. */
static void fill(struct fixture *f)
{
    for (int64_t i = 0; i <= 60; i++) {
        struct error e = ERROR_INIT;
        struct metric_sample s[] = {
            { fixture_def("cpu.usage.percent", "n1", "{}"), (double)(i % 7) },
            { fixture_def("cpu.state.percent", "n1", "{\"state\":\"idle\"}"), 90 },
            { fixture_def("cpu.state.percent", "n1", "{\"state\":\"user\"}"), 10 },
            { fixture_def("container.cpu.seconds", "s1", "{}"), (double)i * 5 },
        };
        s[3].def.source = "docker";
        s[3].def.entity_type = "service";
        s[3].def.unit = "seconds";
        assert_int_equal(metrics_append(f->metrics, "g", 10000, T0 + i * 10000, s, i < 20 ? 4 : 3, &e), 0);
    }
}

static void listMetrics_gives_the_latest_of_each_series(void **state)
{
    fill(*state);
    _cleanup_json_ json_t *all = ask("metrics", 200);
    assert_int_equal(json_array_size(json_at(all, "metrics")), 4);
    json_t *first = json_array_get(json_at(all, "metrics"), 0);
    assert_string_equal(json_str(first, "entityId"), "n1");
    assert_true(json_num(json_at(first, "metric"), "value", -1) == 60 % 7);
    assert_true(json_num(json_at(first, "dimensions"), "interval", -1) == 10);
    assert_true(json_is_null(json_at(all, "correlation_analysis.cross_tool_consistency")));
    /* The container stopped 400 s ago: three of four are fresh. */
    assert_true(json_num(json_at(all, "correlation_analysis"), "data_quality_score", -1) == 75);
    _cleanup_json_ json_t *docker = ask("metrics?source=docker,consul&time_range=24h", 200);
    assert_int_equal(json_array_size(json_at(docker, "metrics")), 1);
    _cleanup_json_ json_t *one = ask("metrics?entity_id=n1&name=cpu.state.percent&category=cpu&entity_type=node", 200);
    assert_int_equal(json_array_size(json_at(one, "metrics")), 2);
    _cleanup_json_ json_t *refused = ask("metrics?time_range=2h", 400);
    assert_string_equal(json_str(refused, "error.code"), "VALIDATION_ERROR");
}

static void lists_come_in_pages(void **state)
{
    fill(*state);
    static const char *const LISTS[] = { "metrics", "series" };
    for (unsigned k = 0; k < 2; k++) {
        char path[256], cursor[128] = "";
        unsigned seen = 0, pages = 0;
        do {
            snprintf(path, sizeof path, "%s?limit=3%s%s", LISTS[k], *cursor ? "&cursor=" : "", cursor);
            _cleanup_json_ json_t *page = ask(path, 200);
            seen += (unsigned)json_array_size(json_at(page, LISTS[k]));
            str_copy(cursor, sizeof cursor, json_str(page, "next") ? json_str(page, "next") : "");
            pages++;
        } while (*cursor && pages < 9);
        assert_int_equal(seen, 4);
        assert_int_equal(pages, 2);
        snprintf(path, sizeof path, "%s?cursor=AAAA", LISTS[k]);
        _cleanup_json_ json_t *refused = ask(path, 400);
        assert_non_null(json_object_get(json_at(refused, "error.details"), "/cursor"));
    }
}

static void listSeries_tells_first_and_last(void **state)
{
    fill(*state);
    _cleanup_json_ json_t *doc = ask("series?entity_id=s1", 200);
    json_t *only = json_array_get(json_at(doc, "series"), 0);
    assert_int_equal(json_array_size(json_at(doc, "series")), 1);
    assert_int_equal(json_int(only, "first", 0), T0);
    assert_int_equal(json_int(only, "last", 0), T0 + 190000);
    assert_true(json_num(only, "value", -1) == 95);
}

static void queryMetrics_answers_points(void **state)
{
    char path[256];
    fill(*state);
    snprintf(path, sizeof path, "query?name=container.cpu.seconds&fn=rate&step=1m&from=%lld&to=2026-11-25T12:10:00Z",
             (long long)T0);
    _cleanup_json_ json_t *rate = ask(path, 200);
    assert_string_equal(json_str(rate, "unit"), "seconds/s");
    assert_int_equal(json_int(rate, "step", 0), 60);
    json_t *points = json_at(json_array_get(json_at(rate, "series"), 0), "points");
    assert_int_equal(json_array_size(points), 11);
    assert_true(json_is_null(json_array_get(json_array_get(points, 0), 1)));
    assert_true(json_number_value(json_array_get(json_array_get(points, 2), 1)) == 0.5);
    assert_true(json_is_null(json_array_get(json_array_get(points, 10), 1)));
    assert_int_equal(json_integer_value(json_array_get(json_array_get(points, 10), 0)), T0 + 600000);
    _cleanup_json_ json_t *tagged = ask("query?name=cpu.state.percent&tag=state%3Duser&entity_id=n1", 200);
    assert_int_equal(json_array_size(json_at(tagged, "series")), 1);
    assert_string_equal(json_str(json_array_get(json_at(tagged, "series"), 0), "tags.state"), "user");
    _cleanup_json_ json_t *none = ask("query?name=not.there", 200);
    assert_int_equal(json_array_size(json_at(none, "series")), 0);
    assert_true(json_is_null(json_at(none, "unit")));
}

static void queryMetrics_refuses_by_name(void **state)
{
    static const struct {
        const char *path, *pointer;
    } BAD[] = {
        { "query", "/name" },
        { "query?name=m&fn=median", "/fn" },
        { "query?name=m&step=0s", "/step" },
        { "query?name=m&step=1s&from=2026-11-20T00:00:00Z", "/step" },
        { "query?name=m&from=2026-11-25T13:00:00Z", "/from" },
        { "query?name=m&to=2026-13-45T00:00:00Z", "/to" },
        { "query?name=m&tag=nothing", "/tag" },
    };
    fill(*state);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        _cleanup_json_ json_t *doc = ask(BAD[i].path, 400);
        const char *pointer;
        json_t *reason;
        bool found = false;
        json_object_foreach (json_at(doc, "error.details"), pointer, reason)
            found |= str_starts(pointer, BAD[i].pointer);
        if (!found)
            fail_msg("%s: no detail at %s in %s", BAD[i].path, BAD[i].pointer, reply.body->data);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(listMetrics_gives_the_latest_of_each_series),
        CASE(lists_come_in_pages),
        CASE(listSeries_tells_first_and_last),
        CASE(queryMetrics_answers_points),
        CASE(queryMetrics_refuses_by_name),
    };
    contract_path = argc > 1 ? argv[1] : "docs/api/openapi.yaml";
    clock_set(&TEST_CLOCK);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
