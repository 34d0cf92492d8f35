#include "hub/internal.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Handlers about the hub itself. */

static int get_health(void *room UNUSED, struct request *rq UNUSED, struct reply *rp, struct error *e UNUSED)
{
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "status"), jw_string(w, "ok");
    jw_end(w);
    reply_header(rp, "Cache-Control", "no-store");
    return 0;
}

static bool database_answers(struct hub *h, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    return store_acquire(h->store, STORE_READ, &c, e) == 0 && store_query(c, e, &rows, "SELECT 1", "") == 0 &&
           rows_next(rows, e) == 1;
}

static void write_check(struct jw *w, const char *name, bool ok, const char *detail)
{
    jw_object(w);
    jw_key(w, "name"), jw_string(w, name);
    jw_key(w, "ok"), jw_bool(w, ok);
    jw_key(w, "detail"), jw_string(w, detail && *detail ? detail : NULL);
    jw_end(w);
}

static int get_ready(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e UNUSED)
{
    struct hub *h = room;
    _cleanup_error_ struct error database = ERROR_INIT;
    bool answers = database_answers(h, &database), ready = answers && !h->stopping;
    struct jw *w = reply_json(rp, ready ? 200 : 503);
    jw_object(w);
    jw_key(w, "ready"), jw_bool(w, ready);
    jw_key(w, "checks"), jw_array(w);
    write_check(w, "database", answers, database.message);
    write_check(w, "serving", !h->stopping, h->stopping ? "The hub is stopping." : NULL);
    jw_end(w);
    jw_end(w);
    reply_header(rp, "Cache-Control", "no-store");
    return 0;
}

static int get_config(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e UNUSED)
{
    struct hub *h = room;
    settings_write_json(h->settings, reply_json(rp, 200));
    return 0;
}

/* ---- system ---- */

static bool registry_answers(struct hub *h)
{
    return gateway_registry_answers(h->gateway);
}

/* Trouble with the router as a whole is the first of the list. */
static bool router_answers(struct hub *h)
{
    struct gateway_trouble first;
    return gateway_troubles(h->gateway, &first, 1) == 0 || first.service_id[0];
}

#define UNASKED(name, key) { name, key, NULL, "It is configured; this version does not ask it anything." }

static const struct {
    const char *name, *key; /* the setting whose presence means "configured" */
    bool (*answers)(struct hub *h); /* NULL: not known here, for `reason`; else that is why it may not be */
    const char *reason;
} integrations[] = {
    UNASKED("datadog", "datadog.api_key"),
    UNASKED("newrelic", "newrelic.license_key"),
    UNASKED("sentry", "sentry.dsn"),
    UNASKED("honeybadger", "honeybadger.api_key"),
    { "consul", "consul.address", registry_answers, "It does not answer. What it has missed it is told when it does." },
    { "caddy", "caddy.admin_url", router_answers, "It does not answer. Routes stay as they are until it does." },
    { "portainer", "portainer.url", NULL, "It is asked for the nodes behind it: whether it answers is their state." },
    UNASKED("tailscale", "tailscale.authkey"),
    UNASKED("doppler", "doppler.token"),
    UNASKED("cloudflare", "cloudflare.api_token"),
    UNASKED("hetzner", "hetzner.token"),
    UNASKED("digitalocean", "digitalocean.token"),
    UNASKED("azure", "azure.client_id"),
    UNASKED("browserstack", "browserstack.username"),
    UNASKED("lambdatest", "lambdatest.username"),
};

static void write_answering(struct hub *h, struct jw *w, size_t i, bool configured)
{
    bool known = configured && integrations[i].answers, answers = known && integrations[i].answers(h);
    jw_key(w, "answering");
    if (known)
        jw_bool(w, answers);
    else
        jw_null(w);
    if (configured && !answers)
        jw_key(w, "reason"), jw_string(w, integrations[i].reason);
}

static void write_integrations(struct hub *h, struct jw *w)
{
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(integrations); i++) {
        bool configured = settings_has(h->settings, integrations[i].key);
        jw_object(w);
        jw_key(w, "name"), jw_string(w, integrations[i].name);
        jw_key(w, "configured"), jw_bool(w, configured);
        write_answering(h, w, i, configured);
        jw_end(w);
    }
    jw_end(w);
}

static void write_engine(struct hub *h, struct jw *w)
{
    struct runtime_engine_state s;
    runtime_engine_state(h->runtime, &s);
    bool on = s.available;
    jw_object(w);
    jw_key(w, "available"), jw_bool(w, on);
    if (!on)
        jw_key(w, "reason"), jw_string(w, s.reason);
    jw_key(w, "name"), jw_string(w, on ? s.info.kind : NULL);
    jw_key(w, "version"), jw_string(w, on ? s.info.version : NULL);
    jw_key(w, "apiVersion"), jw_string(w, on ? s.info.api_version : NULL);
    jw_key(w, "minApiVersion"), jw_string(w, on && s.info.api_min[0] ? s.info.api_min : NULL);
    jw_key(w, "usedApiVersion"), jw_string(w, on ? s.info.api_used : NULL);
    jw_key(w, "rootless");
    if (on)
        jw_bool(w, s.info.rootless);
    else
        jw_null(w);
    jw_end(w);
}

static int get_system(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e UNUSED)
{
    struct hub *h = room;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "system"), jw_object(w);
    jw_key(w, "version"), jw_string(w, HUB_VERSION);
    jw_key(w, "startedAt"), jw_time(w, h->started_ms);
    jw_key(w, "hubNodeId"), jw_string(w, runtime_hub_node(h->runtime));
    jw_key(w, "dataDirectory"), jw_string(w, h->data);
    jw_key(w, "database"), jw_object(w);
    jw_key(w, "kind"), jw_string(w, store_kind(h->store));
    jw_key(w, "schemaVersion"), jw_int(w, store_schema_version(h->store));
    jw_end(w);
    jw_key(w, "engine"), write_engine(h, w);
    jw_key(w, "dashboard"), jw_object(w);
    jw_key(w, "available"), jw_bool(w, embedded_count > 0);
    if (!embedded_count)
        jw_key(w, "reason"), jw_string(w, "This hbcloud was built without the dashboard. ./dev build builds both.");
    jw_end(w);
    jw_key(w, "integrations"), write_integrations(h, w);
    jw_key(w, "problems"), hub_write_problems(h, w);
    jw_end(w);
    jw_end(w);
    return 0;
}

/* ---- metrics about the hub itself, Prometheus text ---- */

static void figure(struct buf *b, const char *name, const char *kind, const char *help, double value)
{
    (void)buf_printf(b, "# HELP hbcloud_%s %s\n# TYPE hbcloud_%s %s\nhbcloud_%s %.17g\n", name, help, name, kind, name,
                     value);
}

static double resident_bytes(void)
{
    _cleanup_free_ char *text = NULL;
    int64_t pages = 0;
    if (file_read("/proc/self/statm", 4096, &text, NULL) < 0)
        return 0;
    char *rest = text;
    (void)strsep(&rest, " ");
    char *resident = strsep(&rest, " ");
    return resident && str_to_int64(resident, &pages) == 0 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double cpu_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void http_figures(struct hub *h, struct buf *b)
{
    struct http_stats s;
    http_server_stats(h->server, &s);
    figure(b, "http_connections_accepted_total", "counter", "Connections accepted.", (double)s.accepted);
    figure(b, "http_connections_refused_total", "counter", "Connections refused at a limit.", (double)s.refused);
    figure(b, "http_connections_open", "gauge", "Connections open now.", s.open);
    figure(b, "http_requests_total", "counter", "Requests.", (double)s.requests);
    figure(b, "http_bad_requests_total", "counter", "Requests that were not well-formed.", (double)s.bad_requests);
    figure(b, "http_timeouts_total", "counter", "Requests and replies that took too long.", (double)s.timeouts);
    figure(b, "http_received_bytes_total", "counter", "Bytes received.", (double)s.bytes_in);
    figure(b, "http_sent_bytes_total", "counter", "Bytes sent.", (double)s.bytes_out);
    figure(b, "http_requests_queued", "gauge", "Requests that wait for a thread.", s.queued);
    figure(b, "event_subscribers", "gauge", "Subscribers to events.", events_subscribers(h->events));
}

static void metric_figures(struct hub *h, struct buf *b)
{
    struct metrics_stats s;
    metrics_get_stats(h->metrics, &s);
    figure(b, "metric_series", "gauge", "Series in the metric engine.", (double)s.series);
    figure(b, "metric_samples_total", "counter", "Samples stored.", (double)s.samples);
    figure(b, "metric_head_bytes", "gauge", "Memory of the open chunks.", (double)s.head_bytes);
    figure(b, "metric_refused_series_total", "counter", "New series refused at the limit.", (double)s.refused_series);
    figure(b, "metric_failed_commits_total", "counter", "Samples that could not be stored.", (double)s.failed_commits);
}

static int get_metrics(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    struct hub *h = room;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 1 << 20);
    (void)buf_printf(
        &b,
        "# HELP hbcloud_build_info Version of the hub.\n# TYPE hbcloud_build_info gauge\nhbcloud_build_info{version=\"%s\"} 1\n",
        HUB_VERSION);
    figure(&b, "uptime_seconds", "gauge", "Since the hub started.", (double)(clock_now_ms() - h->started_ms) / 1000);
    figure(&b, "process_cpu_seconds_total", "counter", "CPU time of the hub.", cpu_seconds());
    figure(&b, "process_resident_memory_bytes", "gauge", "Resident memory of the hub.", resident_bytes());
    figure(&b, "nodes", "gauge", "Nodes known.", (double)runtime_node_count(h->runtime));
    figure(&b, "services", "gauge", "Services known.", (double)runtime_service_count(h->runtime));
    http_figures(h, &b);
    metric_figures(h, &b);
    api_metrics(h->api, &b);
    _cleanup_blob_ struct blob *body = blob_from_buf(&b);
    if (!body)
        return error_set(e, ERR_INTERNAL, "No memory.");
    reply_blob(rp, 200, "text/plain; version=0.0.4; charset=utf-8", body, NULL);
    return 0;
}

const struct api_operation hub_operations[] = {
    { "getHealth", get_health }, { "getReady", get_ready },     { "getConfig", get_config },
    { "getSystem", get_system }, { "getMetrics", get_metrics },
};
const size_t hub_operation_count = ARRAY_LEN(hub_operations);
