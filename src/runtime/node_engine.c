#define LOG_ROOM "runtime"
#include "runtime/node_engine.h"

#include "base/log.h"

#include <errno.h>
#include <time.h>

/* ---- the connection of the moment ---- */

static void link_unref_locked(struct engine_link *l, struct container_engine **ret_dead)
{
    *ret_dead = NULL;
    if (!l || --l->refs)
        return;
    *ret_dead = l->borrowed ? NULL : l->engine;
    free(l);
}

/* Outside of the lock: closing may take a while. */
static void free_dead(struct container_engine *dead)
{
    if (dead)
        dead->ops->free(dead);
}

/* Any answer is a sign of life, a refusal too. */
static void give(struct node_engine *n, struct engine_link *l, int res)
{
    struct container_engine *dead;
    (void)pthread_mutex_lock(&n->lock);
    bool answered = res != -ERR_UNAVAILABLE && res != -ERR_UPSTREAM_TIMEOUT;
    n->state.seen = n->state.seen || answered;
    if (answered && !n->lost)
        n->answered_ms = clock_mono_ms();
    link_unref_locked(l, &dead);
    (void)pthread_mutex_unlock(&n->lock);
    free_dead(dead);
}

void node_engine_drop(struct node_engine *n)
{
    struct container_engine *dead = NULL;
    (void)pthread_mutex_lock(&n->lock);
    n->drops++;
    if (!n->own_node)
        link_unref_locked(TAKE(n->link), &dead);
    (void)pthread_mutex_unlock(&n->lock);
    free_dead(dead);
}

static struct engine_link *ref_link(struct node_engine *n)
{
    (void)pthread_mutex_lock(&n->lock);
    struct engine_link *l = n->link;
    if (l)
        l->refs++;
    (void)pthread_mutex_unlock(&n->lock);
    return l;
}

/* The one thread that finds out whether a lost node is back. */
static _Thread_local const struct node_engine *follows;

void node_engine_follows(const struct node_engine *n)
{
    follows = n;
}

/* Nobody waits for a node that is lost. */
static int refuse_if_gone(struct node_engine *n, struct error *e)
{
    int res = 0;
    (void)pthread_mutex_lock(&n->lock);
    if (n->gone)
        res = error_set(e, ERR_UNAVAILABLE, "The node was removed, or has no container engine any more.");
    else if (n->lost && follows != n)
        res = error_set(e, ERR_UNAVAILABLE, "The node is lost: %.400s", n->state.reason);
    (void)pthread_mutex_unlock(&n->lock);
    return res;
}

static int connect_now(struct node_engine *n, struct engine_link **ret, struct error *e)
{
    struct runtime *r = n->runtime;
    (void)pthread_mutex_lock(&n->lock);
    unsigned drops = n->drops;
    (void)pthread_mutex_unlock(&n->lock);
    _cleanup_entity_ struct entity *x = table_get(r->nodes, n->node_id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    struct engine_link *l = calloc(1, sizeof *l);
    int res = d && l ? 0 : error_set(e, ERR_UNAVAILABLE, "The node's container engine cannot be reached.");
    if (res == 0)
        res = r->connect ? r->connect(r->connect_ctx, d, &l->engine, e)
                         : error_set(e, ERR_UNAVAILABLE, "Engines of other nodes cannot be reached here.");
    if (res < 0) {
        free(l);
        return res;
    }
    (void)pthread_mutex_lock(&n->lock);
    l->refs = 1;
    /* One that was dropped while it was made (the node's `engine` has changed) serves this call alone. */
    if (!n->gone && n->drops == drops) {
        l->refs = 2;
        n->link = l;
    }
    (void)pthread_mutex_unlock(&n->lock);
    *ret = l;
    return 0;
}

static int take(struct node_engine *n, struct engine_link **ret, struct error *e)
{
    int res = refuse_if_gone(n, e);
    if (res < 0 || (*ret = ref_link(n)))
        return res;
    (void)pthread_mutex_lock(&n->connecting);
    *ret = ref_link(n);
    res = *ret ? 0 : connect_now(n, ret, e);
    (void)pthread_mutex_unlock(&n->connecting);
    return res;
}

/* ---- what callers see: every operation, forwarded ---- */

static int lacks(struct error *e)
{
    return error_set(e, ERR_CONFLICT, "The container engine of this node does not offer that.");
}

#define FORWARD(op, parameters, ...)                                           \
    static int n_##op parameters                                               \
    {                                                                          \
        struct node_engine *n = (struct node_engine *)g;                       \
        struct engine_link *l = NULL;                                          \
        int res = take(n, &l, e);                                              \
        if (res < 0)                                                           \
            return res;                                                        \
        res = l->engine->ops->op ? l->engine->ops->op(__VA_ARGS__) : lacks(e); \
        give(n, l, res);                                                       \
        return res;                                                            \
    }

#define G struct container_engine *g
#define E struct error *e
#define REAL l->engine
FORWARD(info, (G, struct engine_info *ret, E), REAL, ret, e)
FORWARD(list, (G, struct engine_container **ret, size_t *ret_n, E), REAL, ret, ret_n, e)
FORWARD(inspect, (G, const char *id, struct engine_container *ret, E), REAL, id, ret, e)
FORWARD(environment, (G, const char *id, json_t **ret, E), REAL, id, ret, e)
FORWARD(create, (G, const struct engine_spec *spec, char ret_id[65], E), REAL, spec, ret_id, e)
FORWARD(start, (G, const char *id, E), REAL, id, e)
FORWARD(stop, (G, const char *id, int grace_s, E), REAL, id, grace_s, e)
FORWARD(restart, (G, const char *id, int grace_s, E), REAL, id, grace_s, e)
FORWARD(remove, (G, const char *id, bool force, E), REAL, id, force, e)
FORWARD(rename, (G, const char *id, const char *name, E), REAL, id, name, e)
FORWARD(logs, (G, const char *id, const struct engine_log_request *rq, engine_log_fn fn, void *ctx, E), REAL, id, rq,
        fn, ctx, e)
FORWARD(stats, (G, const char *id, struct engine_stats *ret, E), REAL, id, ret, e)
FORWARD(image, (G, const char *reference, struct engine_image *ret, E), REAL, reference, ret, e)
FORWARD(pull,
        (G, const char *reference, const struct engine_credentials *credentials, engine_progress_fn fn, void *ctx, E),
        REAL, reference, credentials, fn, ctx, e)
FORWARD(image_tag, (G, const char *id, const char *repository, const char *tag, E), REAL, id, repository, tag, e)
FORWARD(image_remove, (G, const char *reference, E), REAL, reference, e)
FORWARD(volume_ensure, (G, const char *name, const json_t *labels, E), REAL, name, labels, e)
FORWARD(volume_remove, (G, const char *name, E), REAL, name, e)
FORWARD(volumes, (G, struct engine_volume **ret, size_t *ret_n, E), REAL, ret, ret_n, e)
FORWARD(network_ensure, (G, const char *name, bool internal, const json_t *labels, E), REAL, name, internal, labels, e)
FORWARD(network_remove, (G, const char *name, E), REAL, name, e)
FORWARD(networks, (G, struct engine_network **ret, size_t *ret_n, E), REAL, ret, ret_n, e)
FORWARD(put_file, (G, const char *id, const char *path, unsigned mode, const void *bytes, size_t len, E), REAL, id,
        path, mode, bytes, len, e)
FORWARD(get_archive, (G, const char *id, const char *path, engine_archive_fn fn, void *ctx, E), REAL, id, path, fn, ctx,
        e)
FORWARD(follow, (G, int64_t since_ms, engine_event_fn fn, void *ctx, const _Atomic bool *stop, E), REAL, since_ms, fn,
        ctx, stop, e)

static void n_free(struct container_engine *g UNUSED)
{
    /* The runtime's, not the borrower's. */
}

#define OP(op) .op = n_##op
static const struct engine_ops node_ops = {
    OP(info),    OP(list),           OP(inspect),        OP(environment),  OP(create),        OP(start),
    OP(stop),    OP(restart),        OP(remove),         OP(rename),       OP(logs),          OP(stats),
    OP(image),   OP(pull),           OP(image_tag),      OP(image_remove), OP(volume_ensure), OP(volume_remove),
    OP(volumes), OP(network_ensure), OP(network_remove), OP(networks),     OP(put_file),      OP(get_archive),
    OP(follow),  OP(free),
};

/* ---- making and ending ---- */

static struct node_engine *make(struct runtime *r, const char *node_id)
{
    pthread_condattr_t monotonic;
    struct node_engine *n = calloc(1, sizeof *n);
    bool own = str_eq(node_id, r->hub_id);
    struct engine_link *l = own ? calloc(1, sizeof *l) : NULL;
    if (!n || (own && !l)) {
        free(n);
        free(l);
        return NULL;
    }
    n->base.ops = &node_ops;
    n->runtime = r;
    n->own_node = own;
    str_copy(n->node_id, sizeof n->node_id, node_id);
    if (own)
        *l = (struct engine_link){ .refs = 1, .borrowed = true, .engine = r->engine };
    n->link = l;
    n->answered_ms = n->beat_ms = n->written_ms = clock_mono_ms();
    str_copy(n->state.reason, sizeof n->state.reason, "It was not asked yet.");
    (void)pthread_mutex_init(&n->connecting, NULL);
    (void)pthread_mutex_init(&n->comparing, NULL);
    (void)pthread_mutex_init(&n->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&n->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return n;
}

static int start_threads(struct node_engine *n, struct error *e)
{
    if (!n->following)
        n->following = pthread_create(&n->follower, NULL, watch_follow, n) == 0;
    if (n->following && !n->pulsing)
        n->pulsing = pthread_create(&n->pulse, NULL, watch_pulse, n) == 0;
    return n->following && n->pulsing ? 0 : error_set(e, ERR_INTERNAL, "Cannot start a thread.");
}

static struct node_engine *find_locked(struct runtime *r, const char *node_id)
{
    for (size_t i = 0; i < r->engine_count; i++)
        if (!r->engines[i]->gone && str_eq(r->engines[i]->node_id, node_id))
            return r->engines[i];
    return NULL;
}

struct node_engine *node_engine_of(struct runtime *r, const char *node_id)
{
    (void)pthread_mutex_lock(&r->engine_lock);
    struct node_engine *n = find_locked(r, node_id);
    (void)pthread_mutex_unlock(&r->engine_lock);
    return n;
}

size_t node_engines_all(struct runtime *r, struct node_engine **ret, size_t max)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&r->engine_lock);
    for (size_t i = 0; i < r->engine_count && n < max; i++)
        if (!r->engines[i]->gone)
            ret[n++] = r->engines[i];
    (void)pthread_mutex_unlock(&r->engine_lock);
    return n;
}

static size_t living_locked(const struct runtime *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->engine_count; i++)
        n += !r->engines[i]->gone;
    return n;
}

static int room_locked(const struct runtime *r, struct error *e)
{
    if (living_locked(r) < NODE_ENGINES_MAX)
        return 0;
    return error_set(e, ERR_CONFLICT, "There are %d nodes with a container engine already: no more are followed.",
                     NODE_ENGINES_MAX);
}

static int add_locked(struct runtime *r, const char *node_id, struct error *e)
{
    int res = room_locked(r, e);
    if (res < 0)
        return res;
    struct node_engine **list = realloc(r->engines, (r->engine_count + 1) * sizeof *list);
    if (list)
        r->engines = list;
    struct node_engine *n = list ? make(r, node_id) : NULL;
    if (!n)
        return error_set(e, ERR_INTERNAL, "No memory.");
    r->engines[r->engine_count++] = n;
    return r->started ? start_threads(n, e) : 0;
}

static bool is_wanted(const struct runtime *r, const json_t *node)
{
    const char *kind = json_str(node, "engine.kind");
    return str_eq(json_str(node, "id"), r->hub_id) ? r->engine != NULL : kind && !str_eq(kind, "none");
}

int node_engine_check(struct runtime *r, const json_t *node, struct error *e)
{
    (void)pthread_mutex_lock(&r->engine_lock);
    bool another = is_wanted(r, node) && !find_locked(r, json_str(node, "id"));
    int res = another ? room_locked(r, e) : 0;
    (void)pthread_mutex_unlock(&r->engine_lock);
    return res;
}

int node_engine_configure(struct runtime *r, const json_t *node, struct error *e)
{
    const char *id = json_str(node, "id");
    if (!is_wanted(r, node)) {
        node_engine_remove(r, id);
        return 0;
    }
    (void)pthread_mutex_lock(&r->engine_lock);
    struct node_engine *n = find_locked(r, id);
    int res = n ? 0 : add_locked(r, id, e);
    (void)pthread_mutex_unlock(&r->engine_lock);
    if (n) {
        node_engine_drop(n);
        n->cut = true;
        node_engine_wake(n);
    }
    return res;
}

void node_engine_remove(struct runtime *r, const char *node_id)
{
    (void)pthread_mutex_lock(&r->engine_lock);
    struct node_engine *n = find_locked(r, node_id);
    if (n) {
        (void)pthread_mutex_lock(&n->lock);
        n->gone = true;
        (void)pthread_mutex_unlock(&n->lock);
        n->stop = n->cut = true;
    }
    (void)pthread_mutex_unlock(&r->engine_lock);
    if (n)
        node_engine_wake(n);
}

int node_engines_start(struct runtime *r, struct error *e)
{
    int res = 0;
    (void)pthread_mutex_lock(&r->engine_lock);
    r->started = true;
    for (size_t i = 0; res == 0 && i < r->engine_count; i++)
        res = start_threads(r->engines[i], e);
    (void)pthread_mutex_unlock(&r->engine_lock);
    return res;
}

/* No engine is made any more when this is called, so the list is read without its lock, which the threads need. */
void node_engines_stop(struct runtime *r)
{
    for (size_t i = 0; i < r->engine_count; i++) {
        r->engines[i]->stop = r->engines[i]->cut = true;
        node_engine_wake(r->engines[i]);
    }
    for (size_t i = 0; i < r->engine_count; i++) {
        struct node_engine *n = r->engines[i];
        if (n->following)
            (void)pthread_join(n->follower, NULL);
        if (n->pulsing)
            (void)pthread_join(n->pulse, NULL);
        n->following = n->pulsing = false;
    }
}

void node_engines_free(struct runtime *r)
{
    for (size_t i = 0; i < r->engine_count; i++) {
        struct node_engine *n = r->engines[i];
        struct container_engine *dead = NULL;
        link_unref_locked(TAKE(n->link), &dead);
        free_dead(dead);
        (void)pthread_cond_destroy(&n->wake);
        (void)pthread_mutex_destroy(&n->lock);
        (void)pthread_mutex_destroy(&n->comparing);
        (void)pthread_mutex_destroy(&n->connecting);
        free(n);
    }
    free(r->engines);
    r->engines = NULL;
    r->engine_count = 0;
}

/* ---- waiting ---- */

void node_engine_nap(struct node_engine *n, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&n->lock);
    if (!n->stop)
        (void)pthread_cond_timedwait(&n->wake, &n->lock, &until);
    (void)pthread_mutex_unlock(&n->lock);
}

void node_engine_wake(struct node_engine *n)
{
    (void)pthread_mutex_lock(&n->lock);
    (void)pthread_cond_broadcast(&n->wake);
    (void)pthread_mutex_unlock(&n->lock);
}

/* ---- its state ---- */

bool node_engine_answers(struct node_engine *n)
{
    (void)pthread_mutex_lock(&n->lock);
    bool available = n->state.available;
    (void)pthread_mutex_unlock(&n->lock);
    return available;
}

static bool differs(const struct runtime_engine_state *s, const struct engine_info *info, const char *reason)
{
    return !s->asked || s->available != (info != NULL) || !str_eq(s->reason, reason) ||
           (info && !str_eq(info->version, s->info.version));
}

static void tell(struct node_engine *n, const struct engine_info *info, const char *reason)
{
    struct runtime *r = n->runtime;
    struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *x = table_get(r->nodes, n->node_id);
    const char *name = x ? x->name : n->node_id;
    if (info)
        log_info("Container engine of node %s: %s %s, API %s (it speaks %s to %s).", name, info->kind, info->version,
                 info->api_used, info->api_min, info->api_version);
    else
        log_warn("No container engine on node %s: %s", name, reason);
    if (node_set_engine(r, n->node_id, info, &e) < 0)
        log_warn("The node %s was not updated: %s", name, e.message);
    error_done(&e);
    if (n->own_node)
        events_publish(r->events, "system.updated", "system", "hub", "{}", 2);
}

void node_engine_note(struct node_engine *n, const struct engine_info *info, const char *reason)
{
    (void)pthread_mutex_lock(&n->lock);
    bool changed = differs(&n->state, info, reason), gone = n->gone;
    n->state.available = info != NULL;
    n->state.asked = true;
    str_copy(n->state.reason, sizeof n->state.reason, reason);
    if (info) {
        n->state.info = *info;
        n->answered_ms = clock_mono_ms();
        n->lost = false;
    }
    (void)pthread_mutex_unlock(&n->lock);
    if (changed && !gone)
        tell(n, info, reason);
}
