#include "integrations/docker/docker.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_client.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_events.h"
#include "integrations/docker/docker_lines.h"
#include "integrations/docker/docker_login.h"
#include "integrations/docker/docker_logs.h"
#include "integrations/docker/docker_ops.h"
#include "integrations/docker/docker_parse.h"
#include "integrations/docker/docker_pull.h"
#include "integrations/docker/docker_reference.h"
#include "integrations/docker/docker_spec.h"
#include "integrations/docker/docker_stats.h"
#include "integrations/docker/docker_version.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define ENGINE_MAGIC 0x646f636bu
#define STATS_MS 5000 /* a sampler waits for it at its end */
#define OWN_GRACE_MS 330000     /* stop with the container's own grace */
#define LOG_IDLE_MS 60000
#define PULL_MS (2 * 3600 * 1000)
#define PULL_IDLE_MS (10 * 60 * 1000) /* unpacking one large layer may be silent */
#define FIRST_EVENT_HEADER_MS 15000

struct docker_engine {
    struct container_engine base; /* first: callers hold this */
    uint32_t magic;
    struct docker_client *client;
    struct docker_login login;
    pthread_mutex_t network_lock; /* see docker_ops_network_lock */
};

pthread_mutex_t *docker_ops_network_lock(struct container_engine *g)
{
    struct docker_engine *d = (struct docker_engine *)g;
    MAGIC_CHECK(d, ENGINE_MAGIC);
    return &d->network_lock;
}

struct docker_client *docker_ops_client(struct container_engine *g)
{
    struct docker_engine *d = (struct docker_engine *)g;
    MAGIC_CHECK(d, ENGINE_MAGIC);
    return d->client;
}

char *docker_ops_path(const char *id, const char *rest, struct error *e)
{
    if (!docker_name_valid(id)) {
        error_set(e, ERR_VALIDATION, "\"%.140s\" is no container's name or id.", id ? id : "");
        return NULL;
    }
    char *path = str_printf("/containers/%s%s", id, rest);
    if (!path)
        error_errno(e, -ENOMEM, "Calling the container engine");
    return path;
}

char *docker_ops_encode(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *coded = malloc(3 * strlen(text) + 1), *at = coded;
    for (const unsigned char *c = (const unsigned char *)text; coded && *c; c++) {
        if (*c < 0x80 && (isalnum(*c) || strchr("-._~/", *c))) {
            *at++ = (char)*c;
            continue;
        }
        *at++ = '%';
        *at++ = hex[*c >> 4];
        *at++ = hex[*c & 15];
    }
    if (coded)
        *at = '\0';
    return coded;
}

/* The code of an error that a helper has set. */
static int failed(const struct error *e)
{
    return e && e->code ? -(int)e->code : -(int)ERR_INTERNAL;
}

static int d_info(struct container_engine *g, struct engine_info *ret, struct error *e)
{
    struct docker_client *c = docker_ops_client(g);
    struct docker_range range;
    struct engine_info found = { 0 };
    _cleanup_json_ json_t *version = NULL, *info = NULL;
    int r = docker_client_agree(c, &range, &version, e);
    if (r == 0)
        r = docker_client_get(c, "/info", DOCKER_QUERY_MS, "its own state", &info, e);
    if (r < 0)
        return r;
    docker_parse_info(info, version, &found);
    docker_version_format(range.max, found.api_version);
    docker_version_format(range.used, found.api_used);
    if (range.min)
        docker_version_format(range.min, found.api_min);
    *ret = found;
    return 0;
}

static int d_list(struct container_engine *g, struct engine_container **ret, size_t *ret_n, struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    int r =
        docker_client_get(docker_ops_client(g), "/containers/json?all=1", DOCKER_LIST_MS, "its containers", &answer, e);
    return r < 0 ? r : docker_parse_list(answer, ret, ret_n, e);
}

static int inspect_raw(struct container_engine *g, const char *id, json_t **ret, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    e = e ? e : &own;
    _cleanup_free_ char *path = docker_ops_path(id, "/json", e);
    return path ? docker_client_get(docker_ops_client(g), path, DOCKER_QUERY_MS, id, ret, e) : failed(e);
}

static int d_inspect(struct container_engine *g, const char *id, struct engine_container *ret, struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = inspect_raw(g, id, &answer, e);
    return r < 0 ? r : docker_parse_container(answer, ret, e);
}

static int d_environment(struct container_engine *g, const char *id, json_t **ret, struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = inspect_raw(g, id, &answer, e);
    return r < 0 ? r : docker_parse_environment(answer, ret, e);
}

int docker_ops_change(struct container_engine *g, const struct docker_call *call, const char *what, long *ret_status,
                      struct error *e)
{
    _cleanup_(docker_reply_done) struct docker_reply reply;
    int r = docker_client_call(docker_ops_client(g), call, &reply, e);
    if (r < 0)
        return r;
    long s = reply.status;
    if (ret_status)
        *ret_status = s;
    if ((s >= 200 && s < 300) || s == 304)
        return 0;
    return docker_refused(s, buf_str(&reply.body), reply.body.len, what, NULL, e);
}

static int change(struct container_engine *g, const char *method, const char *path, int64_t deadline_ms,
                  const char *what, long *ret_status, struct error *e)
{
    struct docker_call call = { .method = method, .path = path, .deadline_ms = deadline_ms };
    return docker_ops_change(g, &call, what, ret_status, e);
}

static int change_container(struct container_engine *g, const char *method, const char *id, const char *rest,
                            int64_t deadline_ms, long *ret_status, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    e = e ? e : &own;
    _cleanup_free_ char *path = docker_ops_path(id, rest, e);
    return path ? change(g, method, path, deadline_ms, id, ret_status, e) : failed(e);
}

static int created_id(const struct docker_reply *reply, char ret_id[65], struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    (void)json_parse(buf_str((struct buf *)&reply->body), reply->body.len, &answer, NULL);
    const char *id = json_str(answer, "Id");
    if (!id || !*id)
        return error_set(e, ERR_UPSTREAM, "The container engine's answer to a creation is not understood.");
    str_copy(ret_id, 65, id);
    return 0;
}

/* A container that cannot join all its networks is not kept. */
static int join_all(struct container_engine *g, const char *id, const struct engine_spec *spec, struct error *e)
{
    int r = docker_networks_join(g, id, spec, e);
    if (r < 0)
        (void)change_container(g, "DELETE", id, "?v=0&force=1", DOCKER_CHANGE_MS, NULL,
                               NULL); /* the first error counts */
    return r;
}

static int d_create(struct container_engine *g, const struct engine_spec *spec, char ret_id[65], struct error *e)
{
    struct buf body;
    _cleanup_(docker_reply_done) struct docker_reply reply = { 0 };
    char path[192];
    int r = docker_spec_check(spec, e);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/containers/create?name=%s", spec->name);
    buf_init(&body, DOCKER_SPEC_BODY_MAX);
    docker_spec_write(spec, &body);
    struct docker_call call = {
        .method = "POST", .path = path, .deadline_ms = DOCKER_CHANGE_MS, .body = buf_str(&body), .body_len = body.len
    };
    if (!buf_ok(&body))
        r = error_set(e, ERR_VALIDATION, "The container's description is larger than %zu MiB.",
                      DOCKER_SPEC_BODY_MAX >> 20);
    else
        r = docker_client_call(docker_ops_client(g), &call, &reply, e);
    if (body.data)
        secret_wipe(body.data, body.cap); /* the environment's values */
    buf_done(&body);
    if (r < 0)
        return r;
    if (reply.status != 201)
        return docker_refused(reply.status, buf_str(&reply.body), reply.body.len, spec->name, spec->environment, e);
    char id[65];
    r = created_id(&reply, id, e);
    if (r == 0)
        r = join_all(g, id, spec, e);
    if (r == 0)
        str_copy(ret_id, 65, id);
    return r;
}

static int d_start(struct container_engine *g, const char *id, struct error *e)
{
    return change_container(g, "POST", id, "/start", DOCKER_CHANGE_MS, NULL, e);
}

static int stop_or_restart(struct container_engine *g, const char *id, const char *verb, int grace_s, struct error *e)
{
    char rest[48];
    if (grace_s < 0)
        snprintf(rest, sizeof(rest), "/%s", verb);
    else
        snprintf(rest, sizeof(rest), "/%s?t=%d", verb, grace_s);
    int64_t deadline_ms = grace_s < 0 ? OWN_GRACE_MS : (int64_t)grace_s * 1000 + DOCKER_CHANGE_MS;
    return change_container(g, "POST", id, rest, deadline_ms, NULL, e);
}

static int d_stop(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return stop_or_restart(g, id, "stop", grace_s, e);
}

static int d_restart(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return stop_or_restart(g, id, "restart", grace_s, e);
}

static int d_remove(struct container_engine *g, const char *id, bool force, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    long status = 0;
    e = e ? e : &own;
    int r = change_container(g, "DELETE", id, force ? "?v=0&force=1" : "?v=0&force=0", DOCKER_REMOVE_MS, &status, e);
    if (r < 0 && status == 409 && strstr(e->message, "already in progress")) /* another caller's removal: see it end */
        r = change_container(g, "POST", id, "/wait?condition=removed", DOCKER_REMOVE_MS, &status, e);
    if (r == 0 || status != 404)
        return r;
    error_done(e);
    *e = ERROR_INIT;
    return 0;
}

static int d_rename(struct container_engine *g, const char *id, const char *name, struct error *e)
{
    char rest[160];
    if (!docker_name_valid(name))
        return error_set(e, ERR_VALIDATION, "\"%.140s\" is no name for a container.", name ? name : "");
    snprintf(rest, sizeof(rest), "/rename?name=%s", name);
    return change_container(g, "POST", id, rest, DOCKER_QUERY_MS, NULL, e);
}

static int d_image(struct container_engine *g, const char *reference, struct engine_image *ret, struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    if (!docker_image_name_valid(reference))
        return error_set(e, ERR_VALIDATION, "\"%.200s\" is no image reference.", reference ? reference : "");
    _cleanup_free_ char *path = str_printf("/images/%s/json", reference);
    if (!path)
        return error_errno(e, -ENOMEM, "Asking for an image");
    int r = docker_client_get(docker_ops_client(g), path, DOCKER_QUERY_MS, reference, &answer, e);
    return r < 0 ? r : docker_parse_image(answer, ret, e);
}

static int d_stats(struct container_engine *g, const char *id, struct engine_stats *ret, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    _cleanup_(docker_reply_done) struct docker_reply reply = { 0 };
    e = e ? e : &own;
    /* One-shot: without the second that the engine would wait for a difference. */
    _cleanup_free_ char *path = docker_ops_path(id, "/stats?stream=false&one-shot=true", e);
    struct docker_call call = { .method = "GET", .path = path, .deadline_ms = STATS_MS };
    if (!path)
        return failed(e);
    int r = docker_client_call(docker_ops_client(g), &call, &reply, e);
    if (r < 0)
        return r;
    if (reply.status != 200)
        return docker_refused(reply.status, buf_str(&reply.body), reply.body.len, id, NULL, e);
    return docker_stats_parse(buf_str(&reply.body), reply.body.len, ret, e);
}

/* Turns what ended a streamed call into one result: a callback's own code goes up as it is, negative errno of our
 * parsers become errors. */
static int streamed(int r, bool by_us, const struct docker_reply *reply, const char *what, struct error *e)
{
    if (by_us && r == -EPROTO)
        return error_set(e, ERR_UPSTREAM, "The container engine's stream for %.100s is not understood.", what);
    if (by_us && r == -EMSGSIZE)
        return error_set(e, ERR_UPSTREAM, "The container engine's stream for %.100s has a line that is too long.",
                         what);
    if (by_us && r == -ENOMEM)
        return error_errno(e, r, "Reading the container engine's stream");
    if (r < 0)
        return r;
    if (!reply->stopped && reply->status != 200)
        return docker_refused(reply->status, buf_str((struct buf *)&reply->body), reply->body.len, what, NULL, e);
    return 0;
}

static int log_chunk(void *ctx, const char *bytes, size_t len)
{
    return docker_demux_feed(ctx, bytes, len);
}

static int log_tick(void *ctx)
{
    struct docker_demux *d = ctx;
    return d->fn(d->ctx, STREAM_STDOUT, "", 0);
}

static int log_path(const char *id, const struct engine_log_request *rq, char *ret, size_t size, struct error *e)
{
    char tail[16] = "all", since[32] = "";
    if (!rq->want_stdout && !rq->want_stderr)
        return error_set(e, ERR_VALIDATION, "Ask for stdout, stderr or both.");
    if (rq->tail)
        snprintf(tail, sizeof(tail), "%u", rq->tail);
    if (rq->since_ms > 0)
        snprintf(since, sizeof(since), "&since=%" PRId64 ".%03d", rq->since_ms / 1000, (int)(rq->since_ms % 1000));
    snprintf(ret, size, "/containers/%s/logs?stdout=%d&stderr=%d&timestamps=%d&follow=%d&tail=%s%s", id,
             rq->want_stdout, rq->want_stderr, rq->timestamps, rq->follow, tail, since);
    return 0;
}

static int d_logs(struct container_engine *g, const char *id, const struct engine_log_request *rq, engine_log_fn fn,
                  void *ctx, struct error *e)
{
    struct engine_container c = { 0 };
    struct docker_demux demux;
    char path[320], own_id[65];
    int r = d_inspect(g, id, &c, e);
    if (r < 0)
        return r;
    docker_demux_init(&demux, c.tty, fn, ctx);
    str_copy(own_id, sizeof(own_id), c.id); /* the name may be another container's by now */
    engine_container_done(&c);
    if ((r = log_path(own_id, rq, path, sizeof(path), e)) < 0)
        return r;
    struct docker_call call = { .method = "GET",
                                .path = path,
                                .on_chunk = log_chunk,
                                .ctx = &demux,
                                .on_tick = rq->follow ? log_tick : NULL,
                                .idle_ms = rq->follow ? 0 : LOG_IDLE_MS };
    _cleanup_(docker_reply_done) struct docker_reply reply = { 0 };
    r = docker_client_call(docker_ops_client(g), &call, &reply, e);
    r = streamed(r, demux.broken, &reply, id, e);
    return r < 0 ? r : docker_demux_end(&demux, e);
}

struct line_call {
    struct docker_lines lines;
    bool in_callback, parser_failed;
    docker_line_fn fn;
    void *ctx;
};

static int line_in(void *ctx, const json_t *line)
{
    struct line_call *l = ctx;
    int r = l->fn(l->ctx, line);
    l->in_callback = r < 0;
    return r;
}

static int line_chunk(void *ctx, const char *bytes, size_t len)
{
    struct line_call *l = ctx;
    int r = docker_lines_feed(&l->lines, bytes, len);
    l->parser_failed = r < 0 && !l->in_callback;
    return r;
}

struct pull_call {
    struct line_call line; /* first: line_chunk gets this */
    struct docker_pull *pull;
};

static int pull_tick(void *ctx)
{
    struct pull_call *p = ctx;
    return docker_pull_tick(p->pull);
}

static int pull_run(struct container_engine *g, const char *path, const char *login, const char *reference,
                    struct pull_call *p, struct error *e)
{
    struct docker_call call = { .method = "POST",
                                .path = path,
                                .registry_auth = login,
                                .on_chunk = line_chunk,
                                .on_tick = pull_tick,
                                .ctx = p,
                                .deadline_ms = PULL_MS,
                                .idle_ms = PULL_IDLE_MS };
    _cleanup_(docker_reply_done) struct docker_reply reply = { 0 };
    int r = docker_client_call(docker_ops_client(g), &call, &reply, e);
    r = streamed(r, p->line.parser_failed, &reply, reference, e);
    if (r == 0 && (r = docker_lines_end(&p->line.lines)) < 0)
        r = streamed(r, !p->line.in_callback, &reply, reference, e);
    if (r == 0)
        r = docker_pull_end(p->pull, e);
    return r < 0 ? r : docker_pull_tick(p->pull);
}

static int pull_with(struct container_engine *g, const char *reference, const char *login, engine_progress_fn fn,
                     void *ctx, struct error *e)
{
    struct docker_reference ref;
    struct pull_call p = { 0 };
    int r = docker_reference_parse(reference, &ref, e);
    if (r < 0)
        return r;
    _cleanup_free_ char *path = str_printf("/images/create?fromImage=%s&tag=%s", ref.repository, ref.tag);
    p.pull = docker_pull_new(fn, ctx);
    docker_lines_init(&p.line.lines, line_in, &p.line);
    p.line.fn = docker_pull_line;
    p.line.ctx = p.pull;
    r = path && p.pull ? pull_run(g, path, login, reference, &p, e) : error_errno(e, -ENOMEM, "Pulling an image");
    docker_lines_done(&p.line.lines);
    docker_pull_free(p.pull);
    return r;
}

static int d_pull(struct container_engine *g, const char *reference, const struct engine_credentials *credentials,
                  engine_progress_fn fn, void *ctx, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    char *login = NULL;
    struct docker_engine *d = (struct docker_engine *)g;
    MAGIC_CHECK(d, ENGINE_MAGIC);
    int r = credentials ? d->login.encode(d->login.ctx, credentials, &login, &own) : 0;
    if (r == 0)
        r = pull_with(g, reference, login, fn, ctx, &own);
    docker_login_free(login);
    r = docker_login_explain(r, credentials, &own);
    if (r < 0 && own.code)
        error_set(e, own.code, "%s", own.message);
    return r; /* without an error: what the callback stopped it with */
}

struct follow_call {
    struct line_call line; /* first: line_chunk gets this */
    engine_event_fn fn;
    void *ctx;
    const _Atomic bool *stop;
};

static int event_line(void *ctx, const json_t *line)
{
    struct follow_call *f = ctx;
    struct engine_event ev;
    return docker_event_parse(line, &ev) ? f->fn(f->ctx, &ev) : 0;
}

static int d_follow(struct container_engine *g, int64_t since_ms, engine_event_fn fn, void *ctx,
                    const _Atomic bool *stop, struct error *e)
{
    struct follow_call f = { .fn = fn, .ctx = ctx, .stop = stop };
    char since[40] = "", path[160];
    if (since_ms > 0)
        snprintf(since, sizeof(since), "&since=%" PRId64 ".%03d", since_ms / 1000, (int)(since_ms % 1000));
    /* The filter is {"type":["container"]}. */
    snprintf(path, sizeof(path), "/events?filters=%%7B%%22type%%22%%3A%%5B%%22container%%22%%5D%%7D%s", since);
    docker_lines_init(&f.line.lines, line_in, &f.line);
    f.line.fn = event_line;
    f.line.ctx = &f;
    struct docker_call call = { .method = "GET",
                                .path = path,
                                .on_chunk = line_chunk,
                                .ctx = &f,
                                .stop = stop,
                                .header_ms = FIRST_EVENT_HEADER_MS };
    _cleanup_(docker_reply_done) struct docker_reply reply = { 0 };
    int r = docker_client_call(docker_ops_client(g), &call, &reply, e);
    r = streamed(r, f.line.parser_failed, &reply, "its events", e);
    docker_lines_done(&f.line.lines);
    return r;
}

static void d_free(struct container_engine *g)
{
    struct docker_engine *d = (struct docker_engine *)g;
    if (!d)
        return;
    MAGIC_CHECK(d, ENGINE_MAGIC);
    docker_client_free(d->client);
    if (d->login.free)
        d->login.free(d->login.ctx);
    (void)pthread_mutex_destroy(&d->network_lock);
    d->magic = 0;
    free(d);
}

static const struct engine_ops ops = {
    .info = d_info,
    .list = d_list,
    .inspect = d_inspect,
    .environment = d_environment,
    .create = d_create,
    .start = d_start,
    .stop = d_stop,
    .restart = d_restart,
    .remove = d_remove,
    .rename = d_rename,
    .logs = d_logs,
    .stats = d_stats,
    .image = d_image,
    .pull = d_pull,
    .image_tag = docker_image_tag,
    .image_remove = docker_image_remove,
    .volume_ensure = docker_volume_ensure,
    .volume_remove = docker_volume_remove,
    .volumes = docker_volumes,
    .network_ensure = docker_network_ensure,
    .network_remove = docker_network_remove,
    .networks = docker_networks,
    .put_file = docker_put_file,
    .get_archive = docker_get_archive,
    .follow = d_follow,
    .free = d_free,
};

int docker_engine_make(const struct docker_target_options *to, const struct docker_login *login,
                       struct container_engine **ret, struct error *e)
{
    struct docker_engine *d = calloc(1, sizeof(*d));
    int r = d ? docker_client_new(to, &d->client, e) : error_errno(e, -ENOMEM, "Preparing the container engine");
    if (r < 0) {
        if (login && login->free)
            login->free(login->ctx);
        free(d);
        return r;
    }
    d->base.ops = &ops;
    d->magic = ENGINE_MAGIC;
    (void)pthread_mutex_init(&d->network_lock, NULL);
    d->login = login ? *login : (struct docker_login){ .encode = docker_login_encode_for };
    *ret = &d->base;
    return 0;
}
