#define LOG_ROOM "runtime"
#include "runtime/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <time.h>

/* Follows the engine: list everything, compare, then follow events from a little before the list was asked for
 * (so that nothing between falls through); again after each lost stream, with a pause when the engine is away.
 * The checker compares everything once more each `reconcile_ms`. */
#define OVERLAP_MS 5000
#define BACKOFF_MAX_MS 10000

/* The service that this container is; NULL: none yet. Containers that a deployment is making or taking away
 * are the deployment's business until it says which one serves. */
static struct entity *service_of(struct runtime *r, const struct engine_container *c, bool *ret_ours)
{
    const char *instance = json_string_value(json_object_get(c->labels, LABEL_INSTANCE));
    struct entity *x = instance ? table_get(r->services, instance) : NULL;
    /* A label of another hub, or of a service that was forgotten, makes it a stranger like any other. */
    *ret_ours = x != NULL;
    return x ? x : table_find_on(r->services, c->name, r->hub_id);
}

/* A container that has the name of another node's service is a service of its own. */
static json_t *document_of_stranger(struct runtime *r, const char *node_id, const struct engine_container *c)
{
    char service_id[512];
    _cleanup_entity_ struct entity *taken = table_find_on(r->services, c->name, NULL);
    _cleanup_entity_ struct entity *node = taken ? table_get(r->nodes, node_id) : NULL;
    (void)snprintf(service_id, sizeof service_id, "%s%s%s", c->name, node ? "@" : "", node ? node->name : "");
    return service_document_new(node_id, service_id, c);
}

static int apply_locked(struct runtime *r, const struct engine_container *c, struct error *e)
{
    bool ours = false;
    _cleanup_entity_ struct entity *x = service_of(r, c, &ours);
    _cleanup_json_ json_t *before = x ? entity_document(x) : NULL;
    _cleanup_json_ json_t *d = x ? json_deep_copy(before) : document_of_stranger(r, r->hub_id, c);
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    /* Another container than the one that serves: a deployment's, or a stranger that has a managed service's name. */
    if (x && (ours || json_flag(d, "managed", false)) && !str_eq(json_str(d, "container.id"), c->id))
        return 0;
    const char *status = json_str(d, "status.deployment");
    bool under_way = str_eq(status, "deploying") || str_eq(status, "updating");
    _cleanup_free_ char *kept = under_way ? strdup(status) : NULL;
    runtime_fill_container(d, c);
    if (kept)
        (void)json_put(d, "status.deployment", json_string(kept));
    if (x && json_equal(before, d))
        return 0;
    return service_save_locked(r, d, x ? x->version + 1 : 1, !x, NULL, e);
}

static int look_at(struct runtime *r, const char *container_id, struct error *e)
{
    struct engine_container c = { 0 };
    int res = r->engine->ops->inspect(r->engine, container_id, &c, e);
    if (res < 0)
        return res;
    (void)pthread_mutex_lock(&r->write_lock);
    res = apply_locked(r, &c, e);
    (void)pthread_mutex_unlock(&r->write_lock);
    engine_container_done(&c);
    return res;
}

struct vanished {
    struct runtime *runtime;
    const struct engine_container *list; /* what there is; NULL: all but `gone` */
    size_t n;
    const char *gone;
    char ids[256][ID_LEN + 1]; /* a batch; the next reconcile takes the rest */
    size_t found;
};

static bool is_listed(const struct vanished *v, const char *container_id)
{
    if (v->gone)
        return !str_eq(v->gone, container_id);
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->list[i].id, container_id))
            return true;
    return false;
}

static bool collect_vanished(const struct row *row, void *ctx)
{
    struct vanished *v = ctx;
    if (!str_eq(row->node_id, v->runtime->hub_id) || v->found == ARRAY_LEN(v->ids))
        return true;
    if (!row->container_id || is_listed(v, row->container_id))
        return true;
    str_copy(v->ids[v->found++], sizeof v->ids[0], row->entity->id);
    return true;
}

/* A container that is gone: an unmanaged service goes with it, a managed one says so. */
static void settle_vanished(struct runtime *r, const struct vanished *v, const char *id)
{
    struct error e = ERROR_INIT;
    int res = 0;
    (void)pthread_mutex_lock(&r->write_lock);
    _cleanup_entity_ struct entity *x = table_get(r->services, id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    const char *container = d ? json_str(d, "container.id") : NULL;
    bool gone = container && !is_listed(v, container);
    if (gone && !json_flag(d, "managed", false)) {
        res = service_forget_locked(r, id, &e);
    } else if (gone && !str_eq(json_str(d, "status.deployment"), "deploying") &&
               !str_eq(json_str(d, "status.deployment"), "updating") && json_str(d, "container.state")) {
        (void)json_put(d, "container.state", json_null());
        (void)json_put(d, "networking.url", json_null());
        (void)json_put(d, "networking.ports", json_array());
        (void)json_put(d, "status.deployment", json_string("failed"));
        (void)json_put(d, "status.health", json_string("unknown"));
        (void)json_put(d, "status.message",
                       json_string("Its container is gone: someone removed it. Deploy the service again."));
        res = service_save_locked(r, d, x->version + 1, false, NULL, &e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    if (res < 0)
        log_warn("Service %s was not updated: %s", id, e.message);
    error_done(&e);
}

static void settle_all_vanished(struct runtime *r, const struct engine_container *list, size_t n, const char *gone)
{
    struct vanished *v = calloc(1, sizeof *v);
    if (!v)
        return;
    v->runtime = r;
    v->list = list;
    v->n = n;
    v->gone = gone;
    table_walk(r->services, collect_vanished, v);
    for (size_t i = 0; i < v->found; i++)
        settle_vanished(r, v, v->ids[i]);
    free(v);
}

int watch_reconcile(struct runtime *r, struct error *e)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    int res = r->engine->ops->list(r->engine, &list, &n, e);
    if (res < 0)
        return res;
    for (size_t i = 0; i < n && !r->stop; i++) {
        struct error one = ERROR_INIT;
        if (look_at(r, list[i].id, &one) < 0 && one.code != ERR_NOT_FOUND)
            log_warn("Container %s was not read: %s", list[i].name, one.message);
        error_done(&one);
    }
    if (!r->stop)
        settle_all_vanished(r, list, n, NULL);
    engine_containers_free(list, n);
    return 0;
}

static int on_event(void *ctx, const struct engine_event *ev)
{
    struct runtime *r = ctx;
    struct error e = ERROR_INIT;
    if (r->stop)
        return -1;
    /* What runs inside a container again and again (probes) changes nothing that is shown. */
    if (!str_eq(ev->type, "container") || str_starts(ev->action, "exec_"))
        return 0;
    if (str_eq(ev->action, "destroy")) {
        settle_all_vanished(r, NULL, 0, ev->id);
        return 0;
    }
    if (look_at(r, ev->id, &e) < 0 && e.code != ERR_NOT_FOUND)
        log_warn("Container %s was not read after \"%s\": %s", ev->name, ev->action, e.message);
    error_done(&e);
    return 0;
}

static void set_state(struct runtime *r, const struct engine_info *info, const char *reason)
{
    (void)pthread_mutex_lock(&r->engine_lock);
    bool changed = r->engine_state.available != (info != NULL) || !str_eq(r->engine_state.reason, reason) ||
                   (info && !str_eq(info->version, r->engine_state.info.version));
    r->engine_state.available = info != NULL;
    r->engine_state.asked = true;
    str_copy(r->engine_state.reason, sizeof r->engine_state.reason, reason);
    if (info)
        r->engine_state.info = *info;
    (void)pthread_mutex_unlock(&r->engine_lock);
    if (!changed)
        return;
    struct error e = ERROR_INIT;
    if (info)
        log_info("Container engine: %s %s, API %s (it speaks %s to %s).", info->kind, info->version, info->api_used,
                 info->api_min, info->api_version);
    else
        log_warn("No container engine: %s", reason);
    if (nodes_set_engine(r, info, &e) < 0)
        log_warn("The node was not updated: %s", e.message);
    error_done(&e);
    events_publish(r->events, "system.updated", "system", "hub", "{}", 2);
}

static void nap(struct runtime *r, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&r->wake_lock);
    if (!r->stop)
        (void)pthread_cond_timedwait(&r->wake, &r->wake_lock, &until);
    (void)pthread_mutex_unlock(&r->wake_lock);
}

static int round_of_following(struct runtime *r, struct error *e)
{
    struct engine_info info;
    int64_t since = clock_now_ms() - OVERLAP_MS;
    int res = r->engine->ops->info(r->engine, &info, e);
    if (res < 0)
        return res;
    set_state(r, &info, "");
    res = watch_reconcile(r, e);
    if (res < 0)
        return res;
    return r->engine->ops->follow(r->engine, since, on_event, r, &r->stop, e);
}

static void *watch(void *arg)
{
    struct runtime *r = arg;
    int64_t backoff = 500;
    while (!r->stop) {
        struct error e = ERROR_INIT;
        int64_t began = clock_mono_ms();
        if (round_of_following(r, &e) < 0 && !r->stop)
            set_state(r, NULL, e.message);
        error_done(&e);
        backoff = clock_mono_ms() - began > BACKOFF_MAX_MS ? 500
                  : backoff < BACKOFF_MAX_MS               ? backoff * 2
                                                           : BACKOFF_MAX_MS;
        nap(r, backoff);
    }
    return NULL;
}

int watch_start(struct runtime *r, struct error *e)
{
    if (!r->engine)
        return 0;
    if (pthread_create(&r->watcher, NULL, watch, r) != 0)
        return error_set(e, ERR_INTERNAL, "Cannot start a thread.");
    r->watching = true;
    return 0;
}

void watch_stop(struct runtime *r)
{
    (void)pthread_mutex_lock(&r->wake_lock);
    r->stop = true;
    (void)pthread_cond_broadcast(&r->wake);
    (void)pthread_mutex_unlock(&r->wake_lock);
    if (r->watching)
        (void)pthread_join(r->watcher, NULL);
    r->watching = false;
}
