#define LOG_ROOM "runtime"
#include "runtime/node_engine.h"

#include "base/log.h"

#include <stdio.h>

/* What the answers of a node's engine say of the node. The hub's own node is seen by the hub itself. */

typedef void (*node_change_fn)(struct runtime *r, json_t *d, const void *ctx);

/* Reads the node whole, changes and saves it; `event` NULL: a heartbeat, whose tag stays. */
static int change_node(struct runtime *r, const char *id, node_change_fn change, const void *ctx, const char *event,
                       struct error *e)
{
    int64_t version = 0;
    (void)pthread_mutex_lock(&r->write_lock);
    _cleanup_entity_ struct entity *x = table_get(r->nodes, id);
    _cleanup_json_ json_t *d = x ? node_stored_document(r, id, &version) : NULL;
    int res = d ? 0 : error_set(e, ERR_INTERNAL, "The node is not in the database.");
    if (res == 0) {
        _cleanup_json_ json_t *before = json_deep_copy(d);
        change(r, d, ctx);
        if (!json_equal(before, d))
            res = node_save(r, d, event ? x->version + 1 : x->version, true, event ? event : "node.updated", NULL, e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    return res;
}

/* What the owner set stays; a node that is not seen by the hub itself is what its engine says. */
static void put_status(struct runtime *r, json_t *d, const char *status)
{
    if (!str_eq(json_str(d, "id"), r->hub_id) && !str_eq(json_str(d, "status"), "maintenance"))
        (void)json_put(d, "status", json_string(status));
}

static void put_facts(struct runtime *r, json_t *d, const struct engine_info *info)
{
    if (str_eq(json_str(d, "id"), r->hub_id))
        return;
    if (info->cpus)
        (void)json_put(d, "resources.cpu", json_integer(info->cpus));
    if (info->memory_total)
        (void)json_put(d, "resources.memory", json_real((double)(info->memory_total / 10000000) / 100));
    if (info->os[0])
        (void)json_put(d, "metadata.osVersion", json_string(info->os));
    if (info->architecture[0])
        (void)json_put(d, "metadata.architecture", json_string(info->architecture));
    node_mark_seen(d, clock_now_ms());
}

static void change_engine(struct runtime *r, json_t *d, const void *ctx)
{
    const struct engine_info *info = ctx;
    /* The seed's own field for the one engine it knew. */
    bool seeds_own = info && str_eq(info->kind, "docker");
    if (info) {
        (void)json_put(d, "metadata.dockerVersion", seeds_own ? json_string(info->version) : json_null());
        (void)json_put(d, "metadata.engineName", json_string(info->kind));
        (void)json_put(d, "metadata.engineVersion", json_string(info->version));
        put_facts(r, d, info);
        put_status(r, d, "active");
    } else if (str_eq(json_str(d, "id"), r->hub_id)) {
        (void)json_put(d, "metadata.dockerVersion", json_null());
        (void)json_put(d, "metadata.engineName", json_null());
        (void)json_put(d, "metadata.engineVersion", json_null());
    } else if (str_eq(json_str(d, "status"), "active")) {
        put_status(r, d, "degraded");
    }
}

int node_set_engine(struct runtime *r, const char *node_id, const struct engine_info *info, struct error *e)
{
    return change_node(r, node_id, change_engine, info, "node.updated", e);
}

static void change_lost(struct runtime *r, json_t *d, const void *ctx UNUSED)
{
    put_status(r, d, "offline");
}

int node_set_lost(struct runtime *r, const char *node_id, int64_t silent_ms, struct error *e)
{
    _cleanup_entity_ struct entity *x = table_get(r->nodes, node_id);
    if (!x)
        return 0;
    log_warn("Node %s is lost: its container engine has not answered for %lld s.", x->name,
             (long long)(silent_ms / 1000));
    return change_node(r, node_id, change_lost, NULL, "node.lost", e);
}

struct beat {
    int64_t observed_ms, answered_ms;
};

static void change_beat(struct runtime *r UNUSED, json_t *d, const void *ctx)
{
    const struct beat *b = ctx;
    (void)json_put(d, NODE_OBSERVED, json_integer(json_int(d, NODE_OBSERVED, 0) + b->observed_ms));
    (void)json_put(d, NODE_ANSWERED, json_integer(json_int(d, NODE_ANSWERED, 0) + b->answered_ms));
    int64_t seen = 0, now = clock_now_ms();
    const char *last = json_str(d, "metadata.lastSeen");
    if (b->answered_ms || !last || time_parse(last, &seen) < 0)
        seen = now;
    if (b->answered_ms || last)
        node_mark_seen(d, seen);
}

int node_beat(struct runtime *r, const char *node_id, int64_t observed_ms, int64_t answered_ms, bool write,
              struct error *e)
{
    if (write)
        return change_node(r, node_id, change_beat, &(struct beat){ observed_ms, answered_ms }, NULL, e);
    (void)pthread_mutex_lock(&r->write_lock);
    _cleanup_entity_ struct entity *x = table_get(r->nodes, node_id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    int res = 0;
    if (d && answered_ms) {
        node_put_time(d, "metadata.lastSeen", clock_now_ms());
        node_put_time(d, "monitoring.lastHealthCheck", clock_now_ms());
        res = node_save(r, d, x->version, false, "node.updated", NULL, e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    return res;
}

/* ---- what is wrong ---- */

static bool trouble_of(struct runtime *r, struct node_engine *n, struct runtime_trouble *ret)
{
    _cleanup_entity_ struct entity *x = n->own_node ? NULL : table_get(r->nodes, n->node_id);
    if (!x)
        return false;
    (void)pthread_mutex_lock(&n->lock);
    bool silent = n->state.asked && !n->state.available;
    *ret =
        (struct runtime_trouble){ .failed = n->lost, .since_ms = clock_now_ms() - (clock_mono_ms() - n->answered_ms) };
    str_copy(ret->reason, sizeof ret->reason, n->state.reason);
    (void)pthread_mutex_unlock(&n->lock);
    str_copy(ret->id, sizeof ret->id, x->id);
    str_copy(ret->name, sizeof ret->name, x->name);
    return silent;
}

size_t runtime_node_troubles(struct runtime *r, struct runtime_trouble *ret, size_t max)
{
    struct node_engine *engines[NODE_ENGINES_MAX];
    size_t n = node_engines_all(r, engines, NODE_ENGINES_MAX), found = 0;
    for (size_t i = 0; i < n && found < max; i++)
        found += trouble_of(r, engines[i], &ret[found]);
    return found;
}
