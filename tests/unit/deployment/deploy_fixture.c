#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deploy_fixture.h"

#include "base/log.h"
#include "deployment/steps.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FASTER 40
#define RUNS_MAX 200

struct fake_engine fake_engine;
struct fake_gateway fake_gateway;

static char dir[64], text[16384], service_name[64], service_id[ID_LEN + 1], deployment_id[ID_LEN + 1];
static struct deployments d;
static struct vault *vault;
static unsigned made;
static int log_fd;
static _Atomic bool stopping;
/* A hub that dies leaves what it had in memory: programs that use this are not asked for leaks (meson.build). */
static jmp_buf death;
static bool running_job;
static const char *type = "update";

/* ---- the trace ---- */

const char *trace_text(void)
{
    return text;
}

void trace_clear(void)
{
    text[0] = '\0';
}

void trace_add(const char *fmt, ...)
{
    size_t at = strlen(text);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text + at, sizeof text - at - 1, fmt, args);
    va_end(args);
    bool die = fake_engine.die_at && strstr(text + at, fake_engine.die_at);
    if (die)
        fake_engine.die_at = NULL;
    die = die || (fake_engine.die_after && --fake_engine.die_after == 0);
    (void)strcat(text, "\n");
    if (die && running_job)
        longjmp(death, 1);
}

static const char *line_after(const char *from, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = from; p && *p; p = strchr(p, '\n') + 1)
        if (strncmp(p, line, n) == 0 && p[n] == '\n')
            return p + n;
    return NULL;
}

void trace_expect(const char *first, ...)
{
    const char *at = text;
    va_list args;
    va_start(args, first);
    for (const char *line = first; line; line = va_arg(args, const char *)) {
        at = line_after(at == text ? at : at + 1, line);
        if (!at)
            fail_msg("\"%s\" is not where it should be in:\n%s", line, text);
    }
    va_end(args);
}

void trace_expect_none(const char *line)
{
    if (line_after(text, line))
        fail_msg("\"%s\" should not be in:\n%s", line, text);
}

/* ---- time ---- */

static int64_t real_ms(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t fast_mono(void *ctx UNUSED)
{
    return real_ms(CLOCK_MONOTONIC) * FASTER;
}

static int64_t fast_wall(void *ctx UNUSED)
{
    static int64_t base;
    int64_t now = real_ms(CLOCK_MONOTONIC);
    if (!base)
        base = real_ms(CLOCK_REALTIME) - now * FASTER;
    return base + now * FASTER;
}

static const struct clock fast = { fast_wall, fast_mono, NULL };

/* ---- the engine ---- */

static const char *short_name(const struct own_container *c)
{
    static char name[128];
    str_copy(name, sizeof name, c->name);
    return name;
}

static int not_there(struct error *e)
{
    return error_set(e, ERR_UNAVAILABLE, "The engine cannot be reached.");
}

static int own_info(struct container_engine *g UNUSED, struct engine_info *ret, struct error *e)
{
    if (fake_engine.away)
        return not_there(e);
    *ret = (struct engine_info){ .kind = "own", .version = "1", .memory_total = (int64_t)1 << 30 };
    str_copy(ret->api_version, sizeof ret->api_version, fake_engine.api_version ? fake_engine.api_version : "1.43");
    str_copy(ret->architecture, sizeof ret->architecture, fake_engine.architecture ? fake_engine.architecture : "");
    return 0;
}

static void describe(const struct own_container *c, struct engine_container *ret)
{
    *ret = (struct engine_container){ .name = strdup(c->name),
                                      .image = strdup("web:1"),
                                      .image_id = strdup("sha256:x"),
                                      .command = strdup("run"),
                                      .state = strdup(c->running ? "running" : "exited"),
                                      .health = fake_engine.unhealthy ? HEALTH_UNHEALTHY : HEALTH_HEALTHY,
                                      .exit_code = c->running || fake_engine.ends_well ? 0 : 3,
                                      .created_ms = 1,
                                      .started_ms = 1 };
    memcpy(ret->id, c->id, sizeof ret->id);
    ret->labels = json_deep_copy(c->labels);
    ret->environment_keys = json_array();
    ret->mounts = calloc(1, sizeof *ret->mounts);
    ret->mount_count = c->volume[0] != 0;
    if (ret->mount_count)
        ret->mounts[0] = (struct engine_mount){ strdup("volume"), strdup(c->volume), strdup("/data"), false };
    ret->ports = calloc(1, sizeof *ret->ports);
    ret->port_count = 1;
    ret->ports[0] = (struct engine_port){
        .container = 8080, .host = (uint16_t)(c->running ? c->port : 0), .protocol = "tcp", .host_ip = "127.0.0.1"
    };
}

static int own_list(struct container_engine *g UNUSED, struct engine_container **ret, size_t *ret_n, struct error *e)
{
    if (fake_engine.away)
        return not_there(e);
    *ret = calloc(OWN_CONTAINERS, sizeof **ret);
    *ret_n = 0;
    for (size_t i = 0; i < fake_engine.count; i++)
        if (!fake_engine.containers[i].gone)
            describe(&fake_engine.containers[i], &(*ret)[(*ret_n)++]);
    return 0;
}

static struct own_container *own(const char *id)
{
    for (size_t i = 0; i < fake_engine.count; i++)
        if (!fake_engine.containers[i].gone && str_eq(fake_engine.containers[i].id, id))
            return &fake_engine.containers[i];
    return NULL;
}

static int own_inspect(struct container_engine *g UNUSED, const char *id, struct engine_container *ret, struct error *e)
{
    const struct own_container *c = own(id);
    if (fake_engine.away)
        return not_there(e);
    if (!c)
        return error_set(e, ERR_NOT_FOUND, "There is no container %.12s.", id);
    describe(c, ret);
    return 0;
}

static int own_create(struct container_engine *g UNUSED, const struct engine_spec *spec, char ret_id[65],
                      struct error *e)
{
    if (fake_engine.refuse_create)
        return error_set(e, ERR_UPSTREAM, "%s", fake_engine.refuse_create);
    assert_true(fake_engine.count < OWN_CONTAINERS);
    struct own_container *c = &fake_engine.containers[fake_engine.count++];
    *c = (struct own_container){ .labels = json_deep_copy(spec->labels) };
    (void)snprintf(c->id, sizeof c->id, "%064zu", fake_engine.count);
    str_copy(c->name, sizeof c->name, spec->name);
    str_copy(c->volume, sizeof c->volume, spec->mount_count ? spec->mounts[0].source : "");
    memcpy(ret_id, c->id, sizeof c->id);
    trace_add("create %s", short_name(c));
    return 0;
}

static int own_start(struct container_engine *g UNUSED, const char *id, struct error *e)
{
    static int port = 20000;
    struct own_container *c = own(id);
    if (!c)
        return error_set(e, ERR_NOT_FOUND, "There is no container %.12s.", id);
    if (!c->running)
        c->port = ++port;
    c->running = !fake_engine.dies || c != &fake_engine.containers[fake_engine.count - 1];
    trace_add("start %s", short_name(c));
    return 0;
}

static int own_stop(struct container_engine *g UNUSED, const char *id, int grace_s UNUSED, struct error *e)
{
    struct own_container *c = own(id);
    if (!c)
        return error_set(e, ERR_NOT_FOUND, "There is no container %.12s.", id);
    char address[64];
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", c->port);
    /* The rule of all: nothing is stopped while the route leads to it. */
    if (c->running && strstr(fake_gateway.upstreams, address))
        fail_msg("%s is stopped while it is routed:\n%s", c->name, text);
    c->running = false;
    trace_add("stop %s", short_name(c));
    return 0;
}

static int own_remove(struct container_engine *g UNUSED, const char *id, bool force UNUSED, struct error *e)
{
    struct own_container *c = own(id);
    if (fake_engine.refuses_removal-- > 0)
        return error_set(e, ERR_UPSTREAM_TIMEOUT, "The engine did not answer.");
    if (c) {
        c->gone = true;
        trace_add("remove %s", short_name(c));
    }
    return 0;
}

static int own_rename(struct container_engine *g UNUSED, const char *id, const char *name, struct error *e)
{
    struct own_container *c = own(id);
    if (!c)
        return error_set(e, ERR_NOT_FOUND, "There is no container %.12s.", id);
    trace_add("rename %s %s", short_name(c), name);
    str_copy(c->name, sizeof c->name, name);
    return 0;
}

static int own_logs(struct container_engine *g UNUSED, const char *id UNUSED,
                    const struct engine_log_request *rq UNUSED, engine_log_fn fn, void *ctx, struct error *e UNUSED)
{
    return fn(ctx, STREAM_STDERR, "cannot start\n", 13);
}

static int own_image(struct container_engine *g UNUSED, const char *reference UNUSED, struct engine_image *ret,
                     struct error *e)
{
    if (fake_engine.away)
        return not_there(e);
    *ret = (struct engine_image){ .id = strdup("sha256:x"), .digests = json_array(), .exposed_ports = json_array() };
    str_copy(ret->architecture, sizeof ret->architecture,
             fake_engine.image_architecture ? fake_engine.image_architecture : "");
    return 0;
}

static int own_pull(struct container_engine *g UNUSED, const char *reference UNUSED,
                    const struct engine_credentials *credentials UNUSED, engine_progress_fn fn, void *ctx,
                    struct error *e)
{
    if (fake_engine.leaves_in_pull) {
        fake_engine.leaves_in_pull = false;
        fake_engine.away = true;
        return not_there(e);
    }
    return fn(ctx,
              &(struct engine_progress){ .bytes_done = 1, .bytes_total = 2, .layers_total = 1, .status = "pulling" });
}

static int own_network(struct container_engine *g UNUSED, const char *name UNUSED, bool internal UNUSED,
                       const json_t *labels UNUSED, struct error *e UNUSED)
{
    return 0;
}

static int own_tag(struct container_engine *g UNUSED, const char *id UNUSED, const char *repository UNUSED,
                   const char *tag, struct error *e UNUSED)
{
    trace_add("tag %s", tag);
    return 0;
}

static int own_untag(struct container_engine *g UNUSED, const char *reference, struct error *e UNUSED)
{
    trace_add("untag %s", reference);
    return 0;
}

static int own_volumes(struct container_engine *g UNUSED, struct engine_volume **ret, size_t *ret_n,
                       struct error *e UNUSED)
{
    *ret = fake_engine.volume_owner ? calloc(1, sizeof **ret) : NULL;
    *ret_n = *ret != NULL;
    if (*ret)
        **ret = (struct engine_volume){ .name = strdup("data"),
                                        .labels = json_pack("{s:s}", LABEL_SERVICE, fake_engine.volume_owner) };
    return 0;
}

static int own_volume(struct container_engine *g UNUSED, const char *name UNUSED, const json_t *labels UNUSED,
                      struct error *e UNUSED)
{
    return 0;
}

static const struct engine_ops own_ops = { .info = own_info,
                                           .list = own_list,
                                           .inspect = own_inspect,
                                           .create = own_create,
                                           .start = own_start,
                                           .stop = own_stop,
                                           .remove = own_remove,
                                           .rename = own_rename,
                                           .logs = own_logs,
                                           .image = own_image,
                                           .pull = own_pull,
                                           .network_ensure = own_network,
                                           .image_tag = own_tag,
                                           .image_remove = own_untag,
                                           .volumes = own_volumes,
                                           .volume_ensure = own_volume };

void fixture_stranger(const char *name, int port)
{
    struct own_container *x = &fake_engine.containers[fake_engine.count++];
    *x = (struct own_container){ .labels = json_object(), .running = true, .port = port };
    (void)snprintf(x->id, sizeof x->id, "%064zu", fake_engine.count);
    str_copy(x->name, sizeof x->name, name);
}

/* ---- the gateway ---- */

#define G struct gateway *g UNUSED

bool gateway_wants_route(G, const json_t *specification)
{
    return fake_gateway.routes && json_array_size(json_at(specification, "networking.domains")) > 0;
}

int gateway_route_check(G, const char *id UNUSED, const json_t *specification UNUSED, struct error *e)
{
    return fake_gateway.away ? error_set(e, ERR_UNAVAILABLE, "The router cannot be reached.") : 0;
}

int gateway_route_put(G, const char *id UNUSED, const json_t *specification, bool *ret_changed, struct error *e)
{
    if (fake_gateway.broken)
        return error_set(e, ERR_UPSTREAM, "The router refused it.");
    bool wants = gateway_wants_route(g, specification);
    *ret_changed = wants != fake_gateway.route_exists;
    fake_gateway.route_exists = wants;
    trace_add("route%s", *ret_changed ? " changed" : "");
    return 0;
}

int gateway_route_forget(G, const char *id UNUSED, struct error *e UNUSED)
{
    fake_gateway.route_exists = false;
    fake_gateway.upstreams[0] = '\0';
    trace_add("route forgotten");
    return 0;
}

char *gateway_route_rendered(G, const char *id UNUSED)
{
    return strdup("{}");
}

bool gateway_url(G, const char *id UNUSED, char *ret, size_t size)
{
    str_copy(ret, size, "https://web.example.org");
    return fake_gateway.route_exists;
}

int gateway_upstreams_set(G, const char *id UNUSED, const char *const *addresses, size_t n, struct error *e UNUSED)
{
    fake_gateway.upstreams[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(fake_gateway.upstreams);
        (void)snprintf(fake_gateway.upstreams + at, sizeof fake_gateway.upstreams - at, "%s%s", i ? "," : "",
                       addresses[i]);
    }
    trace_add("upstreams %s", fake_gateway.upstreams);
    fake_gateway.away = fake_gateway.away || fake_gateway.leaves_at_switch;
    return 0;
}

int gateway_upstreams_hold(G, const char *id UNUSED, struct error *e UNUSED)
{
    fake_gateway.upstreams[0] = '\0';
    trace_add("hold");
    return 0;
}

int gateway_upstreams_get(G, const char *id UNUSED, json_t **ret, struct error *e UNUSED)
{
    *ret = json_array();
    if (fake_gateway.upstreams[0])
        (void)json_array_append_new(*ret, json_string(fake_gateway.upstreams));
    return 0;
}

int gateway_drained(G, const char *address, struct error *e UNUSED)
{
    trace_add("look %s", address);
    assert_null(strstr(fake_gateway.upstreams, address)); /* out of the route first */
    if (fake_gateway.undrained < 0 || fake_gateway.undrained-- > 0)
        return 0;
    fake_gateway.undrained = 0;
    return 1;
}

int gateway_quiet(G, const char *address, struct error *e)
{
    return gateway_drained(g, address, e);
}

int gateway_probe_start(G, const char *id UNUSED, const struct gateway_probe_options *o UNUSED,
                        struct gateway_probe **ret, struct error *e UNUSED)
{
    fake_gateway.probing = true;
    *ret = (struct gateway_probe *)&fake_gateway;
    return 0;
}

void gateway_probe_phase(struct gateway_probe *p UNUSED, enum probe_phase phase)
{
    fake_gateway.phase = phase;
    fake_gateway.after_ms = clock_mono_ms();
    trace_add("probes %d", (int)phase);
}

void gateway_probe_read(struct gateway_probe *p UNUSED, struct gateway_figures ret[PROBE_PHASES])
{
    struct gateway_figures *after = &fake_gateway.figures[PROBE_AFTER];
    int64_t age = clock_mono_ms() - fake_gateway.after_ms;
    if (fake_gateway.hangs_ms && fake_gateway.phase == PROBE_AFTER) {
        after->failed = age >= fake_gateway.hangs_ms;
        after->waiting_ms = after->failed ? 0 : age;
    }
    for (size_t i = 0; i < PROBE_PHASES; i++)
        if (i <= fake_gateway.phase)
            ret[i] = fake_gateway.figures[i];
}

json_t *gateway_probe_points(struct gateway_probe *p UNUSED)
{
    return json_pack("[[i,f,i,i]]", 0, 1.5, 0, 0);
}

void gateway_probe_stop(struct gateway_probe *p UNUSED)
{
    fake_gateway.probing = false;
}

bool gateway_limits_rates(G)
{
    return false;
}

bool gateway_discovers(G)
{
    return fake_gateway.discovers;
}

int gateway_register(G, const struct discovery_instance *instance, struct error *e UNUSED)
{
    trace_add("register %s %s:%u", instance->id, instance->address, (unsigned)instance->port);
    return 0;
}

bool gateway_registry_answers(G)
{
    return fake_gateway.discovers;
}

bool gateway_registered(G, const char *id)
{
    return id != NULL && !fake_gateway.registry_lost;
}

int gateway_deregister(G, const char *instance_id, struct error *e UNUSED)
{
    trace_add("deregister %s", instance_id);
    return 0;
}

/* ---- a hub's parts ---- */

static void must(int res, const struct error *e)
{
    if (res < 0)
        fail_msg("%s", e->message);
}

static void unref(void *blob)
{
    blob_unref(blob);
}

void fixture_open(void)
{
    struct error e = ERROR_INIT;
    char path[96];
    clock_set(&fast);
    str_copy(dir, sizeof dir, "/tmp/hb-deploy-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/log", dir);
    log_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    log_init(LOG_DEBUG, LOG_JSON, log_fd);
    (void)snprintf(path, sizeof path, "%s/hub.db", dir);
    memset(&fake_engine, 0, sizeof fake_engine);
    memset(&fake_gateway, 0, sizeof fake_gateway);
    fake_engine.base.ops = &own_ops;
    for (size_t i = 0; i < PROBE_PHASES; i++)
        fake_gateway.figures[i] = (struct gateway_figures){ .sent = 40, .p50_ms = 2, .p99_ms = 5 };
    trace_clear();
    d = (struct deployments){ .events = events_new(), .gateway = (struct gateway *)&fake_gateway };
    must(vault_open(dir, &vault, &e), &e);
    must(store_open(&(struct store_options){ .path = path }, &d.store, &e), &e);
    must(runtime_open(&(struct runtime_options){ .store = d.store,
                                                 .events = d.events,
                                                 .engine = &fake_engine.base,
                                                 .version = "test",
                                                 .data_directory = dir },
                      &d.runtime, &e),
         &e);
    must(jobs_open(d.store, 1, true, &d.jobs, &e), &e);
    d.vault = vault;
    d.pull_stall_ms = 180000;
    (void)pthread_mutex_init(&d.lock, NULL);
    (void)pthread_mutex_init(&d.queue_lock, NULL);
    d.active = map_new(free), d.live = map_new(unref), d.waiting = map_new(free);
    d.cancels = map_new(free), d.committed = map_new(free);
    error_done(&e);
}

void fixture_close(void)
{
    map_free(d.active), map_free(d.live), map_free(d.waiting), map_free(d.cancels), map_free(d.committed);
    jobs_close(d.jobs);
    runtime_close(d.runtime);
    events_free(d.events);
    store_close(d.store);
    vault_close(vault);
    for (size_t i = 0; i < fake_engine.count; i++)
        json_decref(fake_engine.containers[i].labels);
    log_init(LOG_INFO, LOG_AUTO, STDERR_FILENO);
    (void)close(log_fd);
    DIR *folder = opendir(dir);
    for (struct dirent *x; folder && (x = readdir(folder));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), x->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(dir);
    clock_set(NULL);
}

struct deployments *fixture_deployments(void)
{
    return &d;
}

const char *fixture_service_id(void)
{
    return service_id;
}

static json_t *whole(const char *specification)
{
    struct error e = ERROR_INIT;
    json_t *request = NULL;
    must(json_parse(specification, strlen(specification), &request, &e), &e);
    (void)json_put(request, "name", json_string(service_name));
    if (!json_str(request, "container.image"))
        (void)json_put(request, "container.image", json_string("web:1"));
    (void)json_put(request, "networking.internalPort", json_integer(8080));
    if (!json_at(request, "networking.healthCheck"))
        (void)json_put(
            request, "networking.healthCheck",
            json_pack("{s:[s], s:i, s:i, s:i}", "command", "true", "startPeriod", 1, "interval", 1, "retries", 1));
    return request;
}

void fixture_service(const char *name)
{
    struct error e = ERROR_INIT;
    struct entity *x = NULL;
    struct image_name image;
    str_copy(service_name, sizeof service_name, name);
    _cleanup_json_ json_t *request = whole("{}");
    must(image_name_parse("web:1", NULL, &image, &e), &e);
    _cleanup_json_ json_t *document = planned_service(request, runtime_hub_node(d.runtime), &image);
    must(runtime_service_save(d.runtime, document, 0, &x, &e), &e);
    str_copy(service_id, sizeof service_id, x->id);
    entity_unref(x);
}

static void add_job(const char *id)
{
    struct error e = ERROR_INIT;
    struct store_conn *c = NULL;
    must(store_acquire(d.store, STORE_WRITE, &c, &e), &e);
    must(store_exec(
             c, &e,
             "INSERT INTO jobs (id, kind, arguments, state, fence, next_run_at, deadline_at, created_at, updated_at) "
             "VALUES ($1, 'deployment', '{}', 'running', 1, 0, 0, 0, 0)",
             "t", id),
         &e);
    must(store_commit(c, &e), &e);
    store_release(c);
}

const char *fixture_begin(const char *specification)
{
    struct error e = ERROR_INIT;
    struct record record = { .started_ms = clock_now_ms() };
    struct release release = { 0 };
    char at[TIME_TEXT_LEN + 1];
    _cleanup_json_ json_t *request = whole(specification);
    (void)snprintf(deployment_id, sizeof deployment_id, "00000000-0000-7000-8000-0000%08u", ++made % 100000000u);
    must(release_from_request(request, &release, &e), &e);
    must(release_store(&d, service_id, "owner", &release, &e), &e);
    record.document = json_pack(
        "{s:s, s:s, s:s, s:s, s:{s:s, s:n, s:s, s:s}, s:{s:s, s:s, s:[]}, s:{s:s, s:i, s:[], s:n}, s:{s:s, s:[]},"
        " s:{s:{s:b, s:{}}, s:{s:b, s:{}, s:[]}}}",
        "id", deployment_id, "serviceInstanceId", service_id, "serviceName", service_name, "nodeId",
        runtime_hub_node(d.runtime), "deployment", "trigger", "manual", "pipeline", "initiatedBy", "owner",
        "environment", "production", "changes", "type", type, "toVersion", "1", "configChanges", "status", "state",
        "initiated", "progress", 0, "logs", "step", "timing", "startedAt", time_format(clock_now_ms(), at), "phases",
        "monitoring", "preDeploy", "healthChecks", 0, "performanceBaseline", "postDeploy", "healthVerification", 0,
        "performanceComparison", "alertsTriggered");
    assert_non_null(record.document);
    str_copy(record.service_name, sizeof record.service_name, service_name);
    str_copy(record.release_id, sizeof record.release_id, release.id);
    must(record_insert(&d, &record, &e), &e);
    release_done(&release);
    record_done(&record);
    add_job(deployment_id);
    return deployment_id;
}

int fixture_run(void)
{
    struct error e = ERROR_INIT;
    static const _Atomic bool never = false;
    struct job job = { .arguments = json_pack("{s:s}", "deploymentId", deployment_id),
                       .attempt = 1,
                       .deadline_ms = clock_now_ms() + 3600000,
                       .stopping = &stopping,
                       .cancelled = &never,
                       .fence = 1 };
    memcpy(job.id, deployment_id, sizeof job.id);
    stopping = false;
    running_job = true;
    int res = setjmp(death) == 0 ? deployment_run(&d, &job, &e) : JOB_AGAIN;
    running_job = false;
    json_decref(job.arguments);
    if (res < 0)
        fail_msg("%s\n%s", e.message, text);
    error_done(&e);
    return res;
}

json_t *fixture_document(const char *id)
{
    struct error e = ERROR_INIT;
    struct record r = { 0 };
    must(record_load(&d, id, &r, &e), &e);
    json_t *document = json_incref(r.document);
    record_done(&r);
    return document;
}

json_t *fixture_deploy(const char *specification)
{
    const char *id = fixture_begin(specification);
    for (int i = 0; i < RUNS_MAX && fixture_run() == JOB_AGAIN; i++)
        step_pause_ms(20);
    json_t *document = fixture_document(id);
    if (!record_final(document))
        fail_msg("the deployment did not end:\n%s", text);
    return document;
}

void fixture_type(const char *wanted)
{
    type = wanted;
}

json_t *fixture_row(unsigned ordinal)
{
    struct entity **list = NULL;
    size_t n = 0;
    json_t *found = NULL;
    if (runtime_service_instances(d.runtime, service_id, &list, &n, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *x = entity_document(list[i]);
        if (json_int(x, "ordinal", 0) == (int64_t)ordinal)
            found = json_incref(x);
    }
    runtime_instances_free(list, n);
    return found;
}
