/* Lists of nodes and services by the API, over 10,000 rows: order, pages by cursor, filters, counts, tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/internal.h"

#include "../http/fake_exchange.h"
#include "base/yaml.h"
#include "http/embedded.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define SERVICES 10000
#define NODES 400

static char dir[64], path[96];
static struct store *store;
static struct events *bus;
static struct runtime *runtime;
static struct api *api;
static struct api_operation *others;
static json_t *contract;
static struct fake_reply reply;

/* ---- a database with many rows ---- */

static void run_sql(const char *sql)
{
    struct error e = ERROR_INIT;
    _cleanup_conn_ struct store_conn *c = NULL;
    if (store_acquire(store, STORE_WRITE, &c, &e) < 0 || store_exec(c, &e, sql, "") < 0 || store_commit(c, &e) < 0)
        fail_msg("%s", e.message);
}

static void open_runtime(void)
{
    struct error e = ERROR_INIT;
    struct runtime_options o = { .store = store, .events = bus, .version = "test", .data_directory = dir };
    if (runtime_open(&o, &runtime, &e) < 0)
        fail_msg("%s", e.message);
}

/* One good service made by the room itself, then copied row by row with what the tests filter by. */
static void fill(void)
{
    struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *x = NULL;
    struct engine_container c = { .name = (char *)"web",
                                  .image = (char *)"example.org/Shop:1",
                                  .image_id = (char *)"",
                                  .command = (char *)"run",
                                  .state = (char *)"running",
                                  .created_ms = 1,
                                  .restart_count = 0 };
    memset(c.id, 'a', 64);
    c.labels = json_object();
    _cleanup_json_ json_t *labels = c.labels, *d = service_document_new(runtime_hub_node(runtime), c.name, &c);
    if (!d || runtime_service_save(runtime, d, -1, &x, &e) < 0)
        fail_msg("%s", e.message);
    run_sql(
        "INSERT INTO infrastructure_nodes (id, name, type, provider, region, resources, networking, status, monitoring, metadata, labels, "
        "version, created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 399) "
        "SELECT printf('018f0000-0000-7000-8000-%012d', i), printf('node-%04d', (i * 7) % 400), CASE i % 2 WHEN 0 THEN 'spoke' ELSE 'experimentation' END, "
        "CASE i % 4 WHEN 0 THEN 'hetzner' ELSE 'other' END, region, resources, networking, "
        "CASE i % 5 WHEN 0 THEN 'active' WHEN 1 THEN 'maintenance' ELSE 'offline' END, monitoring, metadata, "
        "json_object('room', printf('r%d', i % 10), 'rack', printf('k%d', i % 3)), 1, created_at, updated_at FROM n, "
        "(SELECT * FROM infrastructure_nodes LIMIT 1) WHERE 1");
    run_sql(
        "INSERT INTO service_instances (id, service_id, name, type, node_id, managed, environment, container_config, networking_config, "
        "monitoring_config, status, metadata, labels, version, created_at, updated_at) "
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9998) "
        "SELECT printf('018f0000-0000-7000-9000-%012d', i), printf('svc-%05d', i), printf('svc-%05d', (i * 7) % 9999), "
        "CASE i % 3 WHEN 0 THEN 'api' WHEN 1 THEN 'database' ELSE 'cache' END, "
        "CASE i % 10 WHEN 0 THEN '018f0000-0000-7000-8000-000000000007' ELSE node_id END, i % 4 = 0, environment, container_config, networking_config, "
        "monitoring_config, json_set(status, '$.health', CASE i % 5 WHEN 0 THEN 'unhealthy' ELSE 'healthy' END), metadata, labels, 1, created_at, "
        "updated_at FROM n, (SELECT * FROM service_instances LIMIT 1) WHERE 1");
    runtime_close(runtime);
    open_runtime();
}

/* ---- the API ---- */

static int be_admin(void *ctx, struct request *rq, struct actor *ret, struct error *e)
{
    *ret = (struct actor){ .role = ROLE_ADMIN, .kind = "key", .id = "k", .name = "admin" };
    return 0;
}

static int not_here(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return error_set(e, ERR_UNAVAILABLE, "Another room's.");
}

static bool is_ours(const char *id)
{
    for (size_t i = 0; i < runtime_operation_count; i++)
        if (str_eq(runtime_operations[i].id, id))
            return true;
    return false;
}

static void open_api(void)
{
    const char *name, *method;
    json_t *item, *operation;
    struct error e = ERROR_INIT;
    size_t n = 0;
    struct api_options o = { .contract_yaml = embedded_contract,
                             .contract_len = embedded_contract_len,
                             .validate_replies = true };
    o.hooks.authenticate = be_admin;
    assert_int_equal(yaml_load(embedded_contract, embedded_contract_len, &contract, &e), 0);
    others = calloc(256, sizeof *others);
    json_object_foreach (json_object_get(contract, "paths"), name, item)
        json_object_foreach (item, method, operation) {
            const char *id = json_str(operation, "operationId");
            if (id && !is_ours(id) && n < 256)
                others[n++] = (struct api_operation){ .id = id, .handle = not_here };
        }
    if (api_new(&o, &api, &e) < 0 || api_add(api, runtime_operations, runtime_operation_count, runtime, &e) < 0 ||
        api_add(api, others, n, NULL, &e) < 0 || api_seal(api, &e) < 0)
        fail_msg("%s", e.message);
}

static int start(void **state)
{
    struct error e = ERROR_INIT;
    str_copy(dir, sizeof dir, "/tmp/hb-lists-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/hub.db", dir);
    bus = events_new();
    if (store_open(&(struct store_options){ .path = path }, &store, &e) < 0)
        fail_msg("%s", e.message);
    open_runtime();
    fill();
    open_api();
    return 0;
}

static int end(void **state)
{
    fake_reply_done(&reply);
    api_free(api);
    json_decref(contract);
    free(others);
    runtime_close(runtime);
    events_free(bus);
    store_close(store);
    DIR *d = opendir(dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    return rmdir(dir);
}

static json_t *ask(const char *query)
{
    char line[700];
    (void)snprintf(line, sizeof line, "GET /v1/%s", query);
    fake_reply_done(&reply);
    fake_send(api, line, NULL, NULL, &reply);
    json_t *body = fake_json(&reply);
    if (reply.status != 200)
        fail_msg("%s: %d %s", query, reply.status, reply.body ? reply.body->data : "");
    return body;
}

/* Walks all pages; returns how many entities there were. `check` sees each; names must rise. */
static size_t walk(const char *list, const char *query, bool (*check)(const json_t *entity))
{
    char target[700], last[300] = "";
    size_t n = 0, i;
    json_t *one;
    (void)snprintf(target, sizeof target, "%s", query);
    while (target[0]) {
        _cleanup_json_ json_t *body = ask(target);
        json_t *entities = json_at(body, list);
        const char *next = json_str(body, "next");
        assert_true(!next || json_array_size(entities) > 0);
        json_array_foreach (entities, i, one) {
            if (strcmp(json_str(one, "name"), last) <= 0)
                fail_msg("%s comes after %s", json_str(one, "name"), last);
            str_copy(last, sizeof last, json_str(one, "name"));
            if (check && !check(one))
                fail_msg("%s does not match %s", last, query);
            n++;
        }
        target[0] = '\0';
        if (next)
            (void)snprintf(target, sizeof target, "%s%ccursor=%s", query, strchr(query, '?') ? '&' : '?', next);
    }
    return n;
}

/* ---- services ---- */

static void ten_thousand_are_walked_once_each_in_order(void **state)
{
    assert_int_equal(walk("services", "services?limit=777", NULL), SERVICES);
    assert_int_equal(walk("services", "services?limit=1000", NULL), SERVICES);
}

static void a_page_holds_what_was_asked_for(void **state)
{
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {
        { "services", 100 }, { "services?limit=1", 1 }, { "services?limit=1000", 1000 }, { "services?q=svc-0123", 10 }
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ json_t *body = ask(cases[i].query);
        assert_int_equal(json_array_size(json_at(body, "services")), cases[i].count);
        assert_true((json_str(body, "next") != NULL) == (i < 3));
    }
}

static bool is_api(const json_t *x)
{
    return str_eq(json_str(x, "type"), "api");
}

static bool is_unhealthy_and_managed(const json_t *x)
{
    return str_eq(json_str(x, "status.health"), "unhealthy") && json_flag(x, "managed", false);
}

static bool is_on_seven(const json_t *x)
{
    return str_eq(json_str(x, "nodeId"), "018f0000-0000-7000-8000-000000000007");
}

static void filters_choose_and_count(void **state)
{
    assert_int_equal(walk("services", "services?limit=1000&type=api", is_api), 3333);
    assert_int_equal(walk("services", "services?limit=1000&health=unhealthy&managed=true", is_unhealthy_and_managed),
                     500);
    assert_int_equal(walk("services", "services?limit=1000&nodeId=018f0000-0000-7000-8000-000000000007", is_on_seven),
                     1000);
    assert_int_equal(walk("services", "services?limit=1000&nodeId=node-0049", is_on_seven), 1000); /* its name: 7 * 7 */
    assert_int_equal(walk("services", "services?nodeId=no-such-node", NULL), 0);
    assert_int_equal(walk("services", "services?limit=1000&q=SVC-09", NULL), 999);
    assert_int_equal(walk("services", "services?limit=1000&q=shop", NULL),
                     SERVICES); /* the image's name, in any case */
    assert_int_equal(walk("services", "services?q=nowhere", NULL), 0);
    _cleanup_json_ json_t *page = ask("services?limit=1&type=api");
    assert_int_equal(json_int(page, "aggregated_health.healthy", 0) + json_int(page, "aggregated_health.unhealthy", 0),
                     3333);
    assert_int_equal(json_int(page, "aggregated_health.unhealthy", 0), 667); /* 0, 15, 30 … */
}

/* A walk goes on behind its cursor whatever comes and goes meanwhile. */
static void a_cursor_outlives_its_row(void **state)
{
    _cleanup_json_ json_t *first = ask("services?limit=10");
    const json_t *list = json_at(first, "services");
    struct error e = ERROR_INIT;
    char query[700];
    assert_int_equal(runtime_service_forget(runtime, json_str(json_array_get(list, 9), "id"), &e), 0);
    assert_int_equal(runtime_service_forget(runtime, json_str(json_array_get(list, 3), "id"), &e), 0);
    (void)snprintf(query, sizeof query, "services?limit=10&cursor=%s", json_str(first, "next"));
    _cleanup_json_ json_t *second = ask(query);
    assert_string_equal(json_str(json_array_get(json_at(second, "services"), 0), "name"), "svc-00010");
    assert_string_equal(json_str(json_array_get(list, 9), "name"), "svc-00009");
    assert_int_equal(runtime_service_count(runtime), SERVICES - 2);
    /* And come back, so that other tests find what they expect. */
    for (int i = 0; i < 2; i++) {
        _cleanup_json_ json_t *d = json_deep_copy(json_array_get(list, i ? 3 : 9));
        assert_int_equal(runtime_service_save(runtime, d, -1, NULL, &e), 0);
    }
    assert_int_equal(walk("services", "services?limit=1000", NULL), SERVICES);
}

static void a_bad_cursor_is_refused(void **state)
{
    static const char *const bad[] = { "x", "AAAA", "____", "MTIz" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char line[200];
        (void)snprintf(line, sizeof line, "GET /v1/services?cursor=%s", bad[i]);
        fake_reply_done(&reply);
        fake_send(api, line, NULL, NULL, &reply);
        assert_int_equal(reply.status, 400);
    }
}

/* The list is answered from memory until something changes; then its tag changes, too. */
static void a_lists_tag_follows_its_content(void **state)
{
    char tag[64], headers[128], renamed[16] = "svc-00000-new";
    struct error e = ERROR_INIT;
    json_decref(ask("services?limit=2"));
    str_copy(tag, sizeof tag, fake_header(&reply, "ETag"));
    (void)snprintf(headers, sizeof headers, "If-None-Match: %s\n", tag);
    fake_reply_done(&reply);
    fake_send(api, "GET /v1/services?limit=2", headers, NULL, &reply);
    assert_int_equal(reply.status, 304);
    _cleanup_entity_ struct entity *x = NULL;
    assert_int_equal(runtime_service(runtime, "svc-00000", &x, &e), 0);
    _cleanup_json_ json_t *d = entity_document(x), *was = entity_document(x);
    (void)json_object_set_new(d, "name", json_string(renamed));
    assert_int_equal(runtime_service_save(runtime, d, x->version, NULL, &e), 0);
    assert_int_equal(runtime_service_save(runtime, d, x->version, NULL, &e), -ERR_PRECONDITION);
    fake_reply_done(&reply);
    fake_send(api, "GET /v1/services?limit=2", headers, NULL, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_not_equal(fake_header(&reply, "ETag"), tag);
    _cleanup_json_ json_t *body = fake_json(&reply);
    assert_string_equal(json_str(json_array_get(json_at(body, "services"), 0), "name"), renamed);
    assert_int_equal(runtime_service_save(runtime, was, -1, NULL, &e), 0);
}

/* ---- nodes ---- */

static bool has_labels(const json_t *x)
{
    return str_eq(json_str(x, "labels.room"), "r3") && str_eq(json_str(x, "labels.rack"), "k1");
}

static bool is_hetzner(const json_t *x)
{
    return str_eq(json_str(x, "provider"), "hetzner");
}

static void nodes_filter_and_count(void **state)
{
    assert_int_equal(walk("nodes", "infrastructure/nodes?limit=33", NULL), NODES + 1); /* and the hub's own */
    assert_int_equal(walk("nodes", "infrastructure/nodes?provider=hetzner", is_hetzner), 100);
    assert_int_equal(walk("nodes", "infrastructure/nodes?type=spoke&status=active", NULL), 40);
    assert_int_equal(walk("nodes", "infrastructure/nodes?type=hub", NULL), 1);
    assert_int_equal(walk("nodes", "infrastructure/nodes?label=room%3Dr3", NULL), 40);
    assert_int_equal(walk("nodes", "infrastructure/nodes?label=room%3Dr3&label=rack%3Dk1", has_labels), 13);
    assert_int_equal(walk("nodes", "infrastructure/nodes?label=room%3Dnone", NULL), 0);
    _cleanup_json_ json_t *page = ask("infrastructure/nodes?limit=5&type=spoke");
    assert_int_equal(json_array_size(json_at(page, "nodes")), 5);
    assert_int_equal(json_int(page, "metadata.total", 0), 200);
    assert_int_equal(json_int(page, "metadata.active", 0), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_are_walked_once_each_in_order),
        cmocka_unit_test(a_page_holds_what_was_asked_for),
        cmocka_unit_test(filters_choose_and_count),
        cmocka_unit_test(a_cursor_outlives_its_row),
        cmocka_unit_test(a_bad_cursor_is_refused),
        cmocka_unit_test(a_lists_tag_follows_its_content),
        cmocka_unit_test(nodes_filter_and_count),
    };
    return cmocka_run_group_tests_name("runtime_lists", tests, start, end);
}
