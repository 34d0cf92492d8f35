#define LOG_ROOM "runtime"
#include "runtime/node_engine.h"

#include "base/log.h"

#include <stdio.h>
#include <time.h>

/* One thread looks after the nodes: keeps the reckoning of their uptime, says when one is lost, and sees that what
 * lived there and may live elsewhere is deployed elsewhere. It decides; how a service is deployed is another room's. */

#define TURN_MS 500
#define RETRY_MS 5000
#define BEAT_MS 10000
#define WRITE_MS 60000

struct steward {
    struct runtime *runtime;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    int64_t tried_ms;
};

/* ---- the services of a lost node ---- */

struct on_node {
    const char *node_id;
    struct entity **list;
    size_t n, cap;
};

static bool collect_on_node(const struct row *row, void *ctx)
{
    struct on_node *o = ctx;
    if (!str_eq(row->node_id, o->node_id))
        return true;
    if (o->n == o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 64;
        struct entity **list = realloc(o->list, cap * sizeof(struct entity *));
        if (!list)
            return false;
        o->list = list;
        o->cap = cap;
    }
    o->list[o->n++] = entity_ref(row->entity);
    return true;
}

static struct on_node services_on(struct runtime *r, const char *node_id)
{
    struct on_node o = { .node_id = node_id };
    table_walk(r->services, collect_on_node, &o);
    return o;
}

/* What the hub knew of it is not so any more; what is so nobody can say. */
static int mark_unreachable(json_t *d, void *ctx)
{
    const char *node = ctx, *status = json_str(d, "status.deployment");
    char text[256];
    const char *state = json_str(d, "container.state");
    if (!str_eq(state, "running") && !str_eq(state, "restarting") && !str_eq(state, "paused"))
        return 0;
    (void)snprintf(text, sizeof text, "Its node %.128s does not answer.", node);
    (void)json_put(d, "container.state", json_string("unreachable"));
    (void)json_put(d, "status.health", json_string("unknown"));
    (void)json_put(d, "status.message", json_string(text));
    if (!str_eq(status, "deploying") && !str_eq(status, "updating"))
        (void)json_put(d, "status.deployment", json_string("failed"));
    return 0;
}

static void mark_services(struct runtime *r, const char *node_id, const char *name)
{
    struct on_node o = services_on(r, node_id);
    for (size_t i = 0; i < o.n; i++) {
        struct error e = ERROR_INIT;
        if (runtime_service_change(r, o.list[i]->id, mark_unreachable, (void *)(uintptr_t)name, NULL, &e) < 0)
            log_warn("Service %s was not marked as out of reach: %s", o.list[i]->name, e.message);
        error_done(&e);
    }
    runtime_instances_free(o.list, o.n);
}

/* ---- elsewhere ---- */

/* Data that was written on a node is there: such a service waits for its node. */
static bool keeps_data(const json_t *d)
{
    size_t i;
    json_t *v;
    json_array_foreach (json_at(d, "container.volumes"), i, v)
        if (!json_flag(v, "readonly", false))
            return true;
    return false;
}

static bool may_move(const json_t *d)
{
    const json_t *placement = json_at(d, "placement");
    bool free_to = json_array_size(json_at(placement, "nodes")) > 1 || json_object_size(json_at(placement, "labels"));
    const char *status = json_str(d, "status.deployment");
    return json_flag(d, "managed", false) && free_to && !keeps_data(d) && !str_eq(status, "deploying") &&
           !str_eq(status, "updating") && !str_eq(status, "stopped");
}

struct move {
    const struct entity *instance;
    char to[ID_LEN + 1];
    const char *message;
    json_t *before; /* to take it back; NULL: not moved */
};

static int move_document(json_t *d, void *ctx)
{
    struct move *m = ctx;
    m->before = json_deep_copy(d);
    if (!m->before)
        return -ERR_INTERNAL;
    (void)json_put(d, "nodeId", json_string(m->to));
    (void)json_put(d, "container.id", json_null());
    (void)json_put(d, "container.state", json_null());
    (void)json_put(d, "networking.url", json_null());
    (void)json_put(d, "networking.address", json_null());
    (void)json_put(d, "networking.ports", json_array());
    (void)json_put(d, "status.health", json_string("unknown"));
    (void)json_put(d, "status.deployment", json_string("failed"));
    (void)json_put(d, "status.message", json_string(m->message));
    return 0;
}

static int move_back(json_t *d, void *ctx)
{
    static const char *const parts[] = { "nodeId", "container", "networking", "status" };
    struct move *m = ctx;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        (void)json_object_set(d, parts[i], json_object_get(m->before, parts[i]));
    return 0;
}

#define INSTANCES_MAX 32

static int move_instance(struct runtime *r, struct move *m, struct error *e)
{
    char reason[256], nodes[INSTANCES_MAX][ID_LEN + 1];
    _cleanup_json_ json_t *d = entity_document(m->instance);
    int64_t ordinal = d ? json_int(d, "ordinal", 1) : 0;
    if (ordinal < 1 || ordinal > INSTANCES_MAX)
        return error_set(e, ERR_INTERNAL, "Instance %lld is none.", (long long)ordinal);
    if (service_is_busy(r, m->instance, reason, sizeof reason))
        return error_set(e, ERR_CONFLICT, "%s", reason);
    int res = runtime_place_again(r, m->instance->id, json_at(d, "placement"), (size_t)ordinal, nodes, e);
    if (res < 0)
        return res;
    str_copy(m->to, sizeof m->to, nodes[ordinal - 1]);
    return runtime_service_change(r, m->instance->id, move_document, m, NULL, e);
}

/* All of one service's instances move first, so that one deployment deploys them. */
static int deploy_elsewhere(struct runtime *r, struct move *moves, size_t n, const char *reason, struct error *e)
{
    struct entity **list = NULL;
    size_t have = 0;
    int res = 0;
    for (size_t i = 0; res == 0 && i < n; i++)
        res = move_instance(r, &moves[i], e);
    if (res == 0)
        res = runtime_service_instances(r, moves[0].instance->id, &list, &have, e);
    if (res == 0)
        res = r->relocate(r->relocate_ctx, list[0]->id, reason, e);
    for (size_t i = 0; res < 0 && i < n; i++)
        if (moves[i].before && runtime_service_change(r, moves[i].instance->id, move_back, &moves[i], NULL, NULL) < 0)
            log_warn("Service %s was given another node, where it was not deployed.", moves[i].instance->name);
    for (size_t i = 0; i < n; i++)
        json_decref(moves[i].before);
    runtime_instances_free(list, have);
    return res;
}

/* Those of the same service that may move, from `at` on, which leave the list. */
static size_t take_service(struct on_node *o, size_t at, const char *reason, struct move *ret)
{
    size_t n = 0;
    _cleanup_json_ json_t *d = entity_document(o->list[at]);
    for (size_t i = at; d && n < INSTANCES_MAX && i < o->n; i++) {
        _cleanup_json_ json_t *other = o->list[i] ? entity_document(o->list[i]) : NULL;
        if (!other || !str_eq(json_str(d, "serviceId"), json_str(other, "serviceId")) || !may_move(other))
            continue;
        ret[n++] = (struct move){ .instance = TAKE(o->list[i]), .message = reason };
    }
    return n;
}

/* What stays is said once, not at each of the tries that follow. */
static void move_services(struct runtime *r, const char *node_id, const char *name, bool first)
{
    char reason[256];
    struct on_node o = services_on(r, node_id);
    (void)snprintf(reason, sizeof reason, "Node %.128s does not answer any more.", name);
    for (size_t i = 0; r->relocate && i < o.n; i++) {
        struct error e = ERROR_INIT;
        struct move moves[INSTANCES_MAX];
        size_t n = o.list[i] ? take_service(&o, i, reason, moves) : 0;
        if (n && deploy_elsewhere(r, moves, n, reason, &e) < 0)
            log_write(first ? LOG_WARN : LOG_DEBUG, LOG_ROOM, "Service %s stays on the lost node %s for now: %s",
                      moves[0].instance->name, name, e.message);
        else if (n)
            log_info("Service %s is deployed on another node: %s is lost.", moves[0].instance->name, name);
        for (size_t k = 0; k < n; k++)
            entity_unref((struct entity *)(uintptr_t)moves[k].instance);
        error_done(&e);
    }
    runtime_instances_free(o.list, o.n);
}

/* ---- a node's silence ---- */

struct look {
    bool available, lost, newly;
    int64_t silent_ms, observed_ms, answered_ms;
    bool beat, write;
    struct engine_info info;
};

static struct look look_at(struct runtime *r, struct node_engine *n, bool maintenance)
{
    int64_t now = clock_mono_ms();
    struct look l = { .available = false };
    (void)pthread_mutex_lock(&n->lock);
    l.silent_ms = now - n->answered_ms;
    l.newly = !maintenance && !n->lost && l.silent_ms >= r->lost_after_ms;
    if (l.newly) {
        /* A call that is still waited for is not waited for here. */
        n->lost = n->cut = true;
        n->fence_before_ms = clock_now_ms();
        if (n->state.available)
            str_copy(n->state.reason, sizeof n->state.reason, "It has fallen silent.");
        n->state.available = false;
    }
    l.available = n->state.available;
    l.info = n->state.info;
    l.lost = n->lost;
    l.write = now - n->written_ms >= WRITE_MS;
    l.beat = l.write || now - n->beat_ms >= BEAT_MS;
    if (l.beat)
        n->beat_ms = now;
    if (l.write) {
        l.observed_ms = now - n->written_ms;
        n->written_ms = now;
    }
    l.answered_ms = l.available ? (l.write ? l.observed_ms : 1) : 0;
    (void)pthread_mutex_unlock(&n->lock);
    return l;
}

static void look_after(struct steward *s, struct node_engine *n, bool retry)
{
    struct runtime *r = s->runtime;
    struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *x = table_get(r->nodes, n->node_id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    if (!d || n->own_node)
        return;
    struct look l = look_at(r, n, str_eq(json_str(d, "status"), "maintenance"));
    int res = 0;
    const char *status = json_str(d, "status");
    if (l.newly) {
        mark_services(r, n->node_id, x->name);
        if (!str_eq(status, "offline"))
            res = node_set_lost(r, n->node_id, l.silent_ms, &e);
    }
    /* It came back in the very moment in which it was given up. */
    if (l.available && (str_eq(status, "offline") || str_eq(status, "degraded")))
        res = node_set_engine(r, n->node_id, &l.info, &e);
    if (l.lost && (l.newly || retry))
        move_services(r, n->node_id, x->name, l.newly);
    if (res == 0 && l.beat)
        res = node_beat(r, n->node_id, l.observed_ms, l.answered_ms, l.write, &e);
    if (res < 0)
        log_warn("What is known of node %s was not recorded: %s", x->name, e.message);
    error_done(&e);
}

static bool pause_or_stop(struct steward *s)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TURN_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&s->lock);
    if (!s->stop)
        (void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
    bool stop = s->stop;
    (void)pthread_mutex_unlock(&s->lock);
    return stop;
}

static void *look_after_nodes(void *arg)
{
    struct steward *s = arg;
    struct node_engine *engines[NODE_ENGINES_MAX];
    while (!pause_or_stop(s)) {
        bool retry = clock_mono_ms() - s->tried_ms >= RETRY_MS;
        size_t n = node_engines_all(s->runtime, engines, NODE_ENGINES_MAX);
        for (size_t i = 0; i < n; i++)
            look_after(s, engines[i], retry);
        if (retry)
            s->tried_ms = clock_mono_ms();
    }
    return NULL;
}

int steward_start(struct runtime *r, struct steward **ret, struct error *e)
{
    pthread_condattr_t monotonic;
    struct steward *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERR_INTERNAL, "No memory.");
    s->runtime = r;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&s->thread, NULL, look_after_nodes, s) != 0) {
        free(s);
        return error_set(e, ERR_INTERNAL, "Cannot start a thread.");
    }
    *ret = s;
    return 0;
}

void steward_stop(struct steward *s)
{
    if (!s)
        return;
    (void)pthread_mutex_lock(&s->lock);
    s->stop = true;
    (void)pthread_cond_broadcast(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}
