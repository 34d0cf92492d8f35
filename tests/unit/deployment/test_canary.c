/* O32, O34: a service is deployed, updated and fails, all through the API with an engine of our own; its environment's values
 * reach the container and are in no reply, event, log line, audit entry, job or database file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deployment/internal.h"

#include "../http/fake_exchange.h"
#include "base/log.h"
#include "base/yaml.h"
#include "http/embedded.h"
#include "security/security.h"
#include "support/canary.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define URL "postgres://app:canary-of-a-url@db/app"
#define WAIT_MS 20000

static const struct canary canaries[] = {
    { "a password", "canary-password", 15 },      { "a URL's password", "canary-of-a-url", 15 },
    { "a line of a key", "canary-line-two", 15 }, { "a token in JSON", "canary-in-json", 14 },
    { "a new value", "canary-changed", 14 },
};
#define EXPECT_NONE(where, text, len) canary_expect_none(canaries, ARRAY_LEN(canaries), where, text, len)

/* ---- an engine of our own ---- */

#define CONTAINERS 8
struct own_container {
    char id[65], name[128];
    json_t *labels;
    bool running;
};
static struct {
    struct container_engine base;
    pthread_mutex_t lock;
    struct own_container containers[CONTAINERS];
    size_t count;
    bool dies; /* a new container ends at once and says what it was given */
    char password[64]; /* what the last one was made with */
} engine;

static int engine_info(struct container_engine *g, struct engine_info *ret, struct error *e)
{
    *ret = (struct engine_info){ .kind = "own", .version = "1", .api_version = "1", .api_used = "1" };
    return 0;
}

static void describe(const struct own_container *c, struct engine_container *ret)
{
    *ret = (struct engine_container){ .name = strdup(c->name),
                                      .image = strdup("web:1"),
                                      .image_id = strdup("sha256:x"),
                                      .command = strdup("run"),
                                      .state = strdup(c->running ? "running" : "exited"),
                                      .health = HEALTH_HEALTHY,
                                      .exit_code = c->running ? 0 : 3,
                                      .created_ms = 1,
                                      .started_ms = 1 };
    memcpy(ret->id, c->id, sizeof ret->id);
    ret->labels = json_deep_copy(c->labels);
    ret->environment_keys = json_array();
}

static int engine_list(struct container_engine *g, struct engine_container **ret, size_t *ret_n, struct error *e)
{
    (void)pthread_mutex_lock(&engine.lock);
    *ret = calloc(CONTAINERS, sizeof **ret);
    *ret_n = 0;
    for (size_t i = 0; i < engine.count; i++)
        if (engine.containers[i].labels)
            describe(&engine.containers[i], &(*ret)[(*ret_n)++]);
    (void)pthread_mutex_unlock(&engine.lock);
    return 0;
}

static struct own_container *own(const char *id)
{
    for (size_t i = 0; i < engine.count; i++)
        if (engine.containers[i].labels && str_eq(engine.containers[i].id, id))
            return &engine.containers[i];
    return NULL;
}

static int engine_inspect(struct container_engine *g, const char *id, struct engine_container *ret, struct error *e)
{
    (void)pthread_mutex_lock(&engine.lock);
    const struct own_container *c = own(id);
    if (c)
        describe(c, ret);
    (void)pthread_mutex_unlock(&engine.lock);
    return c ? 0 : error_set(e, ERR_NOT_FOUND, "There is no container %.12s.", id);
}

static int engine_create(struct container_engine *g, const struct engine_spec *spec, char ret_id[65], struct error *e)
{
    (void)pthread_mutex_lock(&engine.lock);
    if (engine.count == CONTAINERS) {
        (void)pthread_mutex_unlock(&engine.lock);
        return error_set(e, ERR_UPSTREAM, "There is no room for another container.");
    }
    struct own_container *c = &engine.containers[engine.count++];
    (void)snprintf(c->id, sizeof c->id, "%064zu", engine.count);
    str_copy(c->name, sizeof c->name, spec->name);
    c->labels = json_deep_copy(spec->labels);
    str_copy(engine.password, sizeof engine.password, json_str(spec->environment, "PASSWORD"));
    memcpy(ret_id, c->id, sizeof c->id);
    (void)pthread_mutex_unlock(&engine.lock);
    return 0;
}

static int set_running(const char *id, bool running)
{
    (void)pthread_mutex_lock(&engine.lock);
    struct own_container *c = own(id);
    if (c)
        c->running = running && !engine.dies;
    (void)pthread_mutex_unlock(&engine.lock);
    return c ? 0 : -ERR_NOT_FOUND;
}

static int engine_start(struct container_engine *g, const char *id, struct error *e)
{
    return set_running(id, true);
}

static int engine_stop(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return set_running(id, false);
}

static int engine_remove(struct container_engine *g, const char *id, bool force, struct error *e)
{
    (void)pthread_mutex_lock(&engine.lock);
    struct own_container *c = own(id);
    if (c) {
        json_decref(c->labels);
        c->labels = NULL;
    }
    (void)pthread_mutex_unlock(&engine.lock);
    return 0;
}

static int engine_logs(struct container_engine *g, const char *id, const struct engine_log_request *rq,
                       engine_log_fn fn, void *ctx, struct error *e)
{
    static const char said[] = "starting\ncannot reach " URL " with canary-changed\n";
    return fn(ctx, STREAM_STDERR, said, sizeof said - 1);
}

static int engine_image(struct container_engine *g, const char *reference, struct engine_image *ret, struct error *e)
{
    *ret = (struct engine_image){
        .id = strdup("sha256:x"), .digests = json_array(), .exposed_ports = json_array(), .has_health_check = true
    };
    return 0;
}

static int engine_pull(struct container_engine *g, const char *reference, const struct engine_credentials *credentials,
                       engine_progress_fn fn, void *ctx, struct error *e)
{
    return fn(ctx,
              &(struct engine_progress){ .bytes_done = 1, .bytes_total = 2, .layers_total = 1, .status = "pulling" });
}

static int engine_network(struct container_engine *g, const char *name, bool internal, const json_t *labels,
                          struct error *e)
{
    return 0;
}

static int engine_tag(struct container_engine *g, const char *id, const char *repository, const char *tag,
                      struct error *e)
{
    return 0;
}

static int engine_untag(struct container_engine *g, const char *reference, struct error *e)
{
    return 0;
}

static const struct engine_ops own_ops = { .info = engine_info,
                                           .list = engine_list,
                                           .inspect = engine_inspect,
                                           .create = engine_create,
                                           .start = engine_start,
                                           .stop = engine_stop,
                                           .remove = engine_remove,
                                           .logs = engine_logs,
                                           .image = engine_image,
                                           .pull = engine_pull,
                                           .network_ensure = engine_network,
                                           .image_tag = engine_tag,
                                           .image_remove = engine_untag };

/* ---- the hub's parts ---- */

static char dir[64], path[96], headers[256];
static struct store *store;
static struct vault *vault;
static struct events *bus;
static struct runtime *runtime;
static struct jobs *jobs;
static struct deployments *deployments;
static struct security *security;
static struct api *api;
static struct api_operation *others;
static json_t *contract;
static struct fake_reply reply;
static int log_fd;
static _Atomic int event_count;
static _Atomic(const char *) leaked; /* what was found in an event: published on other threads, judged on the test's */

static void on_event(void *ctx, const char *type, const char *entity_id, const char *data, size_t len)
{
    const char *name = canary_found(canaries, ARRAY_LEN(canaries), data, len);
    event_count++;
    if (name)
        leaked = name;
}

static int not_here(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return error_set(e, ERR_UNAVAILABLE, "Another room's.");
}

static bool in_table(const struct api_operation *table, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(table[i].id, id))
            return true;
    return false;
}

static size_t other_rows(void)
{
    const char *name, *method;
    json_t *item, *operation;
    size_t n = 0;
    others = calloc(256, sizeof *others);
    json_object_foreach (json_object_get(contract, "paths"), name, item)
        json_object_foreach (item, method, operation) {
            const char *id = json_str(operation, "operationId");
            if (id && !in_table(runtime_operations, runtime_operation_count, id) && n < 256 &&
                !in_table(deployment_operations, deployment_operation_count, id) &&
                !in_table(security_operations, security_operation_count, id))
                others[n++] = (struct api_operation){ .id = id, .handle = not_here };
        }
    return n;
}

static int open_api(struct error *e)
{
    struct api_options o = { .contract_yaml = embedded_contract,
                             .contract_len = embedded_contract_len,
                             .validate_replies = true };
    security_hooks(security, &o.hooks);
    int r = yaml_load(embedded_contract, embedded_contract_len, &contract, e);
    if (r == 0)
        r = api_new(&o, &api, e);
    if (r == 0)
        r = api_add(api, security_operations, security_operation_count, security, e);
    if (r == 0)
        r = api_add(api, runtime_operations, runtime_operation_count, runtime, e);
    if (r == 0)
        r = api_add(api, deployment_operations, deployment_operation_count, deployments, e);
    if (r == 0)
        r = api_add(api, others, other_rows(), NULL, e);
    return r;
}

static int open_all(struct error *e)
{
    _cleanup_secret_ struct secret *owner = NULL;
    int r = vault_open(dir, &vault, e);
    if (r == 0)
        r = store_open(&(struct store_options){ .path = path }, &store, e);
    if (r == 0)
        r = security_new(&(struct security_options){ .store = store, .vault = vault, .events = bus }, &security, e);
    if (r == 0 && security_make_owner(security, &owner, e) != 1)
        return -1;
    if (r == 0)
        r = runtime_open(
            &(struct runtime_options){
                .store = store, .events = bus, .engine = &engine.base, .version = "test", .data_directory = dir },
            &runtime, e);
    if (r == 0)
        r = jobs_open(store, 2, true, &jobs, e);
    if (r == 0)
        r = deployments_open(
            &(struct deployments_options){
                .store = store, .events = bus, .runtime = runtime, .jobs = jobs, .vault = vault },
            &deployments, e);
    if (r == 0)
        r = jobs_start(jobs, e);
    if (r == 0)
        (void)snprintf(headers, sizeof headers, "X-API-Key: %s\nContent-Type: application/json\n",
                       secret_reveal(owner, NULL));
    return r;
}

static int start(void **state)
{
    struct error e = ERROR_INIT;
    char log_path[128];
    engine.base.ops = &own_ops;
    (void)pthread_mutex_init(&engine.lock, NULL);
    str_copy(dir, sizeof dir, "/tmp/hb-canary-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/hub.db", dir);
    (void)snprintf(log_path, sizeof log_path, "%s/log", dir);
    log_fd = open(log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    log_init(LOG_DEBUG, LOG_JSON, log_fd);
    bus = events_new();
    (void)events_listen(bus, on_event, NULL);
    if (open_all(&e) < 0 || open_api(&e) < 0)
        fail_msg("%s", e.message);
    assert_non_null(others);
    if (api_seal(api, &e) < 0)
        fail_msg("%s", e.message);
    return 0;
}

static int end(void **state)
{
    jobs_close(jobs);
    fake_reply_done(&reply);
    api_free(api);
    json_decref(contract);
    free(others);
    deployments_close(deployments);
    runtime_close(runtime);
    security_free(security);
    events_free(bus);
    store_close(store);
    vault_close(vault);
    for (size_t i = 0; i < engine.count; i++)
        json_decref(engine.containers[i].labels);
    log_init(LOG_INFO, LOG_AUTO, STDERR_FILENO);
    (void)close(log_fd);
    DIR *d = opendir(dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    return rmdir(dir);
}

/* ---- acting ---- */

static json_t *ask(const char *line, const char *more, const char *body)
{
    char all[400];
    (void)snprintf(all, sizeof all, "%s%s", headers, more);
    fake_reply_done(&reply);
    fake_send(api, line, all, body, &reply);
    EXPECT_NONE(line, reply.headers, strlen(reply.headers));
    if (reply.body)
        EXPECT_NONE(line, reply.body->data, reply.body->len);
    return fake_json(&reply);
}

static void wait_for_end(const char *id, const char *wanted)
{
    char line[128];
    (void)snprintf(line, sizeof line, "GET /v1/deployments/%s", id);
    for (int i = 0; i < WAIT_MS / 20; i++) {
        _cleanup_json_ json_t *d = ask(line, "", NULL);
        if (str_eq(json_str(d, "deployment.status.state"), wanted))
            return;
        if (json_str(d, "deployment.timing.completedAt"))
            fail_msg("the deployment ended otherwise: %s", reply.body->data);
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
    fail_msg("the deployment did not end: %s", reply.body->data);
}

static void read_everything(void)
{
    static const char *const lines[] = {
        "GET /v1/services", "GET /v1/services/web", "GET /v1/deployments",      "GET /v1/infrastructure/nodes",
        "GET /v1/audit",    "GET /v1/keys",         "GET /v1/services?q=canary"
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        _cleanup_json_ json_t *d = ask(lines[i], "", NULL);
        if (reply.status != 200 || !d)
            fail_msg("%s: %d", lines[i], reply.status);
    }
    (void)canary_expect_none_in_files(canaries, ARRAY_LEN(canaries), dir, (const char *const[]){ "hub.secret", NULL });
    if (leaked)
        fail_msg("%s is in clear in an event", leaked);
}

static const char wanted[] =
    "{\"name\":\"web\",\"container\":{\"image\":\"web:1\",\"environment\":{\"PASSWORD\":\"canary-password\",\"DATABASE_URL\":\"" URL
    "\","
    "\"KEY\":\"-----BEGIN-----\\ncanary-line-two\\n-----END-----\",\"JSON\":\"{\\\"token\\\":\\\"canary-in-json\\\"}\"}},"
    "\"networking\":{\"internalPort\":8080,\"healthCheck\":{\"command\":[\"true\"]}}}";

static void o32_o34_values_reach_the_container_and_nothing_else(void **state)
{
    _cleanup_json_ json_t *made = ask("POST /v1/services", "Idempotency-Key: one\n", wanted);
    if (reply.status != 201)
        fail_msg("%d %s", reply.status, reply.body ? reply.body->data : "");
    wait_for_end(json_str(made, "deployment_id"), "completed");
    assert_string_equal(engine.password, "canary-password"); /* the canary lives where it belongs */
    _cleanup_json_ json_t *again = ask("POST /v1/services", "Idempotency-Key: one\n", wanted);
    assert_string_equal(json_str(again, "deployment_id"), json_str(made, "deployment_id"));
    read_everything();
    assert_true(event_count > 5);
}

/* The new container dies and says its secrets: the record says that it died. The stored values were kept through the PATCH. */
static void o32_a_failing_update_tells_nothing_either(void **state)
{
    engine.dies = true;
    _cleanup_json_ json_t *made = ask("PATCH /v1/services/web", "Content-Type: application/merge-patch+json\n",
                                      "{\"container\":{\"environment\":{\"PASSWORD\":\"canary-changed\"}}}");
    if (reply.status / 100 != 2)
        fail_msg("%d %s", reply.status, reply.body ? reply.body->data : "");
    wait_for_end(json_str(made, "deployment_id"), "rolled_back");
    assert_string_equal(engine.password, "canary-changed");
    char line[128];
    (void)snprintf(line, sizeof line, "GET /v1/deployments/%s", json_str(made, "deployment_id"));
    _cleanup_json_ json_t *d = ask(line, "", NULL);
    assert_non_null(strstr(json_str(d, "deployment.status.message"), "cannot reach ******** with ********"));
    read_everything();
}

/* Refusals name the field, not what was in it. */
static void o34_refusals_do_not_repeat_values(void **state)
{
    static const char *const bodies[] = {
        "{\"name\":\"web\",\"container\":{\"image\":\"web:1\",\"environment\":{\"PASSWORD\":\"canary-password\"}},\"networking\":{\"internalPort\":8080}}",
        "{\"name\":\"Bad Name\",\"container\":{\"image\":\"web:1\",\"environment\":{\"PASSWORD\":[\"canary-password\"]}},\"networking\":{\"internalPort\":8080}}",
        "{\"name\":\"x\",\"container\":{\"image\":\"web:1\",\"environment\":{\"bad key\":\"canary-password\"}},\"networking\":{\"internalPort\":8080}}",
        "{\"name\":\"x\",\"container\":{\"image\":\"web:1\",\"environment\":\"canary-password\"},\"networking\":{\"internalPort\":8080}}",
        "{\"name\":\"x\",\"container\":{\"image\":\"web:1\",\"environment\":{\"A\":\"canary-password\"",
        "{\"name\":\"x\",\"container\":{\"image\":\"web:1\",\"environment\":{\"A\":\"canary-password\",\"A\":\"canary-of-a-url\"}}}",
        "{\"name\":\"x\",\"container\":{\"image\":\"web:1\"},\"networking\":{\"internalPort\":\"canary-password\"}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        _cleanup_json_ json_t *d = ask("POST /v1/services", "", bodies[i]);
        if (reply.status < 400 || reply.status >= 500)
            fail_msg("%s: %d", bodies[i], reply.status);
    }
    read_everything();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o32_o34_values_reach_the_container_and_nothing_else),
        cmocka_unit_test(o32_a_failing_update_tells_nothing_either),
        cmocka_unit_test(o34_refusals_do_not_repeat_values),
    };
    return cmocka_run_group_tests_name("deployment_canary", tests, start, end);
}
