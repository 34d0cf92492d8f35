#define LOG_ROOM "hub"
#include "hub/hub.h"
#include "hub/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "integrations/docker/docker.h"
#include "monitoring/monitoring_api.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define JOB_WORKERS 12
#define DRAIN_MS 4000
#define STOP_LIMIT_S 8
#define TIDY_MS 600000

static void on_event(void *ctx, const char *type, const char *entity_id, const char *data, size_t len);

/* ---- parts, in the order in which they stand on each other ---- */

static int open_ground(struct hub *h, struct error *e)
{
    _cleanup_free_ char *path = str_printf("%s/hub.db", h->data);
    if (!path)
        return error_set(e, ERR_INTERNAL, "No memory.");
    struct store_options store = { .path = path, .wal_limit_bytes = settings_int(h->settings, "database.wal_limit") };
    int r = vault_open(h->data, &h->vault, e);
    if (r == 0)
        r = store_open(&store, &h->store, e);
    if (r == 0 && (!(h->events = events_new()) || events_listen(h->events, on_event, h) < 0))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    return r;
}

static int open_security(struct hub *h, struct error *e)
{
    const char *proxies = settings_str(h->settings, "trusted_proxies");
    bool behind = settings_bool(h->settings, "behind_proxy");
    struct security_options o = {
        .store = h->store,
        .vault = h->vault,
        .events = h->events,
        .anonymous_per_minute = (unsigned)settings_int(h->settings, "rate.anonymous"),
        .known_per_minute = (unsigned)settings_int(h->settings, "rate.known"),
        .trusted_proxies = proxies  ? proxies
                           : behind ? "127.0.0.0/8,::1"
                                    : NULL,
        .behind_proxy = behind,
    };
    return security_new(&o, &h->security, e);
}

static int open_rooms(struct hub *h, struct error *e)
{
    struct metrics_options metrics = { .store = h->store,
                                       .retention_ms = settings_ms(h->settings, "metrics.retention") };
    int r = docker_engine_new(settings_str(h->settings, "docker.host"), &h->engine, e);
    if (r == 0)
        r = runtime_open(&(struct runtime_options){ .store = h->store,
                                                    .events = h->events,
                                                    .engine = h->engine,
                                                    .version = HUB_VERSION,
                                                    .data_directory = h->data,
                                                    .connect = hub_connect_node,
                                                    .connect_ctx = h,
                                                    .lost_after_ms = settings_ms(h->settings, "nodes.lost_after") },
                         &h->runtime, e);
    if (r == 0)
        r = metrics_open(&metrics, &h->metrics, e);
    if (r == 0)
        r = jobs_open(h->store, JOB_WORKERS, true, &h->jobs, e);
    if (r == 0)
        r = secrets_open(h->store, h->vault, &h->secrets, e);
    if (r == 0)
        secrets_set_events(h->secrets, h->events), jobs_set_events(h->jobs, h->events);
    if (r == 0)
        r = hub_open_gateway(h, e);
    if (r == 0)
        r = deployments_open(
            &(struct deployments_options){ .store = h->store,
                                           .events = h->events,
                                           .runtime = h->runtime,
                                           .jobs = h->jobs,
                                           .vault = h->vault,
                                           .secrets = h->secrets,
                                           .gateway = h->gateway,
                                           .pull_stall_ms = settings_ms(h->settings, "pull.stall"),
                                           .repair_drift = settings_bool(h->settings, "drift.repair"),
                                           .releases_kept = (int)settings_int(h->settings, "releases.kept") },
            &h->deployments, e);
    if (r == 0)
        runtime_set_relocate(h->runtime, hub_relocate, h);
    if (r == 0)
        r = volumes_open(&(struct volumes_options){ .store = h->store,
                                                    .runtime = h->runtime,
                                                    .jobs = h->jobs,
                                                    .events = h->events,
                                                    .data_directory = h->data,
                                                    .snapshots_bytes = settings_int(h->settings, "snapshots.limit") },
                         &h->volumes, e);
    return r;
}

/* ---- the sampler asks for containers, and its beat says that this node lives ---- */

static int containers_for_sampler(void *ctx, struct sampled_container **ret, size_t *ret_n)
{
    struct hub *h = ctx;
    struct runtime_container *list = NULL;
    size_t n = 0;
    int r = runtime_running_containers(h->runtime, &list, &n);
    if (r < 0)
        return r;
    struct sampled_container *out = calloc(n ? n : 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        str_copy(out[i].service_id, sizeof out[i].service_id, list[i].service_id);
        str_copy(out[i].container_id, sizeof out[i].container_id, list[i].container_id);
        out[i].engine = list[i].engine;
        out[i].restart_count = list[i].restart_count;
    }
    free(list);
    if (!out)
        return -ENOMEM;
    *ret = out;
    *ret_n = n;
    return 0;
}

static void on_sampled(void *ctx, int64_t at_ms)
{
    struct hub *h = ctx;
    runtime_hub_seen(h->runtime, at_ms);
}

/* The series of what is gone go, too. */
static void on_event(void *ctx, const char *type, const char *entity_id, const char *data UNUSED, size_t len UNUSED)
{
    struct hub *h = ctx;
    _cleanup_error_ struct error e = ERROR_INIT;
    if (!h->metrics || (!str_eq(type, "service.deleted") && !str_eq(type, "node.deleted")))
        return;
    if (metrics_forget_entity(h->metrics, entity_id, &e) < 0)
        log_warn("The series of %s were not removed: %s", entity_id, e.message);
}

static int start_sampler(struct hub *h, struct error *e)
{
    struct sampler_options o = {
        .metrics = h->metrics,
        .events = h->events,
        .host = { .source = "host", .node_id = runtime_hub_node(h->runtime) },
        .container_source = "docker",
        .interval_ms = settings_ms(h->settings, "metrics.interval"),
        .containers = containers_for_sampler,
        .sampled = on_sampled,
        .ctx = h,
    };
    return sampler_start(&o, &h->sampler, e);
}

/* ---- the API ---- */

static int add_operations(struct hub *h, struct error *e)
{
    const struct {
        const struct api_operation *table;
        size_t n;
        void *room;
    } rooms[] = {
        { security_operations, security_operation_count, h->security },
        { runtime_operations, runtime_operation_count, h->runtime },
        { volume_operations, volume_operation_count, h->volumes },
        { job_operations, job_operation_count, h->jobs },
        { configuration_operations, configuration_operation_count, h->secrets },
        { gateway_operations, gateway_operation_count, h->gateway },
        { deployment_operations, deployment_operation_count, h->deployments },
        { ci_operations, ci_operation_count, h->ci },
        { monitoring_operations, MONITORING_OPERATIONS, h->metrics },
        { hub_operations, hub_operation_count, h },
        { api_builtin_operations, API_BUILTIN_COUNT, h->api },
        { &(struct api_operation){ "streamEvents", events_subscribe }, 1, h->events },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(rooms); i++)
        r = api_add(h->api, rooms[i].table, rooms[i].n, rooms[i].room, e);
    if (r == 0)
        api_add_shortcuts(h->api, runtime_shortcuts, RUNTIME_SHORTCUTS);
    return r == 0 ? api_seal(h->api, e) : r;
}

/* The seed's outside hosts, each only where the owner uses it. */
static void outside_hosts(const struct settings *s, char *ret_connect, size_t size)
{
    const char *domain = settings_str(s, "domain");
    (void)snprintf(ret_connect, size, "%s%s%s%s", domain ? "https://api." : "", domain ? domain : "", domain ? " " : "",
                   settings_has(s, "browserstack.username") ? "https://browser-stack.com" : "");
}

static int open_api(struct hub *h, struct error *e)
{
    char connect[512];
    outside_hosts(h->settings, connect, sizeof connect);
    struct api_options o = {
        .csp_extra_script =
            settings_has(h->settings, "simpleanalytics.id") ? "https://scripts.simpleanalyticscdn.com" : NULL,
        .csp_extra_connect = connect,
        .contract_yaml = embedded_contract,
        .contract_len = embedded_contract_len,
        .validate_replies = settings_bool(h->settings, "validate_replies"),
        .cors_domain = settings_str(h->settings, "domain"),
        .hsts = settings_str(h->settings, "tls.certificate") != NULL,
    };
    security_hooks(h->security, &o.hooks);
    int r = api_new(&o, &h->api, e);
    if (r == 0)
        r = add_operations(h, e);
    if (r == 0 && !(h->site = static_site_new(embedded_files, embedded_count)))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        static_site_attach(h->site, h->api);
    return r;
}

static void read_limits(const struct settings *s, struct http_limits *l)
{
    *l = (struct http_limits){
        .header_bytes = (size_t)settings_int(s, "http.header_bytes"),
        .header_count = (unsigned)settings_int(s, "http.header_count"),
        .body_bytes = (size_t)settings_int(s, "http.body_bytes"),
        .connections = (unsigned)settings_int(s, "http.connections"),
        .per_address = (unsigned)settings_int(s, "http.per_address"),
        .reserved = (unsigned)settings_int(s, "http.reserved"),
        .header_ms = (unsigned)settings_ms(s, "http.header_time"),
        .body_ms = (unsigned)settings_ms(s, "http.body_time"),
        .body_rate = (unsigned)settings_int(s, "http.body_rate"),
        .body_grace_ms = (unsigned)settings_ms(s, "http.body_grace"),
        .bodies_bytes = (size_t)settings_int(s, "http.bodies_bytes"),
        .idle_ms = (unsigned)settings_ms(s, "http.idle_time"),
        .write_ms = (unsigned)settings_ms(s, "http.write_time"),
        .queue = (unsigned)settings_int(s, "http.queue"),
        .stream_bytes = (size_t)settings_int(s, "http.stream_bytes"),
    };
}

static int start_server(struct hub *h, struct error *e)
{
    struct http_server_options o = {
        .listen = settings_str(h->settings, "listen"),
        .workers = (unsigned)settings_int(h->settings, "workers"),
        .tls_certificate_file = settings_str(h->settings, "tls.certificate"),
        .tls_key_file = settings_str(h->settings, "tls.key"),
    };
    read_limits(h->settings, &o.limits);
    api_bind(h->api, &o);
    int r = http_server_start(&o, &h->server, e);
    if (r == 0)
        api_set_server(h->api, h->server);
    return r;
}

static int start_all(struct hub *h, struct error *e)
{
    int r = runtime_start(h->runtime, e);
    if (r == 0)
        r = gateway_start(h->gateway, e);
    if (r == 0)
        r = deployments_start(h->deployments, e);
    if (r == 0)
        r = jobs_start(h->jobs, e);
    if (r == 0)
        r = ci_start(h->ci, e);
    if (r == 0)
        r = start_sampler(h, e);
    return r == 0 ? start_server(h, e) : r;
}

static int open_all(struct hub *h, struct error *e)
{
    int r = data_directory_open(h->data, &h->lock_fd, e);
    if (r == 0)
        r = open_ground(h, e);
    if (r == 0)
        r = open_security(h, e);
    if (r == 0)
        r = open_rooms(h, e);
    if (r == 0)
        r = hub_open_ci(h, e);
    if (r == 0)
        r = open_api(h, e);
    return r;
}

static void close_all(struct hub *h)
{
    h->stopping = true;
    if (h->server)
        http_server_stop(h->server, DRAIN_MS);
    ci_stop(h->ci);
    jobs_stop(h->jobs);
    gateway_stop(h->gateway);
    sampler_stop(h->sampler);
    deployments_stop(h->deployments);
    runtime_close(h->runtime);
    ci_close(h->ci);
    deployments_close(h->deployments);
    hub_close_gateway(h);
    secrets_close(h->secrets);
    volumes_close(h->volumes);
    jobs_close(h->jobs); /* the runtime and the watch for drift added some until they were closed */
    metrics_close(h->metrics);
    api_free(h->api);
    static_site_free(h->site);
    security_free(h->security);
    events_free(h->events);
    if (h->engine)
        h->engine->ops->free(h->engine);
    store_close(h->store);
    vault_close(h->vault);
    if (h->lock_fd >= 0)
        (void)close(h->lock_fd);
}

/* ---- the owner ---- */

static int make_owner(struct hub *h, struct error *e)
{
    _cleanup_secret_ struct secret *key = NULL;
    _cleanup_free_ char *path = str_printf("%s/owner.key", h->data);
    int r = security_make_owner(h->security, &key, e);
    if (r <= 0)
        return r;
    size_t n = 0;
    const char *text = secret_reveal(key, &n);
    char line[256];
    int len = snprintf(line, sizeof line, "%s\n", text);
    r = path && len > 0 && (size_t)len < sizeof line ? file_write_atomic(path, line, (size_t)len, 0600) : -ENOMEM;
    secret_wipe(line, sizeof line);
    return r < 0 ? error_errno(e, r, "Cannot write the owner's key to %s/owner.key", h->data) : 1;
}

static void base_url(const struct hub *h, char *ret, size_t size)
{
    const char *listen = settings_str(h->settings, "listen"), *colon = strrchr(listen, ':');
    const char *scheme = settings_str(h->settings, "tls.certificate") ? "https" : "http";
    int host_len = colon ? (int)(colon - listen) : (int)strlen(listen);
    (void)snprintf(ret, size, "%s://%.*s:%u", scheme, host_len, listen, http_server_port(h->server));
}

/* Everything a person needs, once, on the terminal; the log has it without the link's token. */
static int greet(struct hub *h, bool first, struct error *e)
{
    char url[256];
    base_url(h, url, sizeof url);
    log_info("hbcloud %s serves at %s, data in %s.", HUB_VERSION, url, h->data);
    bool ask = first || (isatty(STDOUT_FILENO) && !security_ever_logged_in(h->security));
    (void)printf("\n  hbcloud %s\n\n  Dashboard  %s\n", HUB_VERSION, url);
    if (ask) {
        _cleanup_secret_ struct secret *token = NULL;
        int r = security_login_token(h->security, &token, e);
        if (r < 0)
            return r;
        (void)printf("  Log in     %s/login#token=%s\n             (works once, within an hour)\n", url,
                     secret_reveal(token, NULL));
    }
    (void)printf("  API key    %s/owner.key\n  API        %s/docs\n\n", h->data, url);
    (void)fflush(stdout);
    return 0;
}

/* ---- the process ---- */

static void prepare_process(void)
{
    struct rlimit files, none = { 0, 0 };
    (void)signal(SIGPIPE, SIG_IGN);
    /* Secrets must not land in a core dump. */
    (void)setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* What a job is in the middle of is journalled, so an end by force loses nothing: the next start goes on. */
static void *end_by_force(void *arg UNUSED)
{
    struct timespec limit = { STOP_LIMIT_S, 0 };
    (void)nanosleep(&limit, NULL);
    log_warn("Work is still under way after %d s; it goes on at the next start.", STOP_LIMIT_S);
    _exit(0);
}

static void guard_the_end(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, end_by_force, NULL) == 0)
        (void)pthread_detach(t);
}

static void housekeep(struct hub *h)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    security_tidy(h->security);
    if (metrics_housekeep(h->metrics, clock_now_ms(), &e) < 0)
        log_warn("The metric engine was not tidied: %s", e.message);
    (void)malloc_trim(0);
}

static void wait_for_end(struct hub *h, const sigset_t *signals)
{
    int64_t last = clock_mono_ms();
    for (;;) {
        struct timespec turn = { 5, 0 };
        int got = sigtimedwait(signals, NULL, &turn);
        if (got == SIGTERM || got == SIGINT) {
            log_info("Stopping (signal %d).", got);
            return;
        }
        if (clock_mono_ms() - last > TIDY_MS) {
            last = clock_mono_ms();
            housekeep(h);
        }
    }
}

static int check_supported(const struct settings *s, struct error *e)
{
    static const char *const later[] = { "database.url", "redis.url" };
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        if (settings_has(s, later[i]))
            return error_set(e, ERR_VALIDATION,
                             "%s is set, but this version keeps its data in the embedded database only. Unset it (%s).",
                             i == 0 ? "DATABASE_URL" : "REDIS_URL", later[i]);
    return settings_check(s, e);
}

static int load_settings(int argc, char **argv, struct hub *h, struct error *e)
{
    enum log_level level = LOG_INFO;
    int r = settings_load(argc, argv, &h->settings, e);
    if (r < 0)
        return r;
    const char *format = settings_str(h->settings, "log.format");
    (void)log_level_parse(settings_str(h->settings, "log.level"), &level);
    log_init(level, str_eq(format, "json") ? LOG_JSON : str_eq(format, "human") ? LOG_HUMAN : LOG_AUTO, STDERR_FILENO);
    for (size_t i = 0; settings_warning(h->settings, i); i++)
        log_warn("%s", settings_warning(h->settings, i));
    r = check_supported(h->settings, e);
    if (r == 0 && !(h->data = strdup(settings_str(h->settings, "data"))))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    return r;
}

static int serve(struct hub *h, const sigset_t *signals, struct error *e)
{
    int r = open_all(h, e);
    int made = r == 0 ? make_owner(h, e) : r;
    r = made < 0 ? made : start_all(h, e);
    if (r == 0)
        r = greet(h, made == 1, e);
    (void)malloc_trim(0); /* starting needs more than running: the contract, the database's rows */
    if (r == 0)
        wait_for_end(h, signals);
    return r;
}

int hub_main(int argc, char **argv)
{
    struct hub h = { .lock_fd = -1, .started_ms = clock_now_ms() };
    _cleanup_error_ struct error e = ERROR_INIT;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    /* Blocked before any thread is made, so that only the wait above sees them. */
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    prepare_process();
    int r = load_settings(argc, argv, &h, &e);
    bool usage = r == -ERR_MALFORMED;
    if (r == 0)
        r = serve(&h, &signals, &e);
    if (r < 0)
        (void)fprintf(stderr, "hbcloud: %s\n", e.message);
    guard_the_end();
    close_all(&h);
    settings_free(h.settings);
    free(h.data);
    curl_global_cleanup();
    return r == 0 ? 0 : usage ? 2 : 1;
}
