#include "runtime/node_engine.h"
#include "runtime/page.h"

#include <stdio.h>

#define RECONCILE_MS 60000
#define LOST_AFTER_MS 60000
#define PULSE_MAX_MS 10000

struct with_engine {
    struct entity *list[NODE_ENGINES_MAX];
    size_t n;
};

static bool collect_with_engine(const struct row *row, void *ctx)
{
    struct with_engine *w = ctx;
    _cleanup_json_ json_t *d = entity_document(row->entity);
    const char *kind = json_str(d, "engine.kind");
    if (kind && !str_eq(kind, "none"))
        w->list[w->n++] = entity_ref(row->entity);
    return w->n < NODE_ENGINES_MAX;
}

static int engines_load(struct runtime *r, struct error *e)
{
    struct with_engine w = { .n = 0 };
    int res = 0;
    table_walk(r->nodes, collect_with_engine, &w);
    for (size_t i = 0; i < w.n; i++) {
        _cleanup_json_ json_t *d = entity_document(w.list[i]);
        if (res == 0)
            res = node_engine_configure(r, d, e);
        entity_unref(w.list[i]);
    }
    return res;
}

static int load(struct runtime *r, const struct runtime_options *o, struct error *e)
{
    r->nodes = table_new();
    r->services = table_new();
    r->node_lists = list_cache_new();
    r->service_lists = list_cache_new();
    r->uptime = map_new(free);
    r->version = strdup(o->version);
    r->data_directory = strdup(o->data_directory);
    if (!r->nodes || !r->services || !r->node_lists || !r->service_lists || !r->uptime || !r->version ||
        !r->data_directory)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int res = nodes_load(r, e);
    if (res == 0)
        res = nodes_ensure_hub(r, e);
    if (res == 0)
        res = services_load(r, e);
    return res == 0 ? engines_load(r, e) : res;
}

int runtime_open(const struct runtime_options *o, struct runtime **ret, struct error *e)
{
    struct runtime *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(e, ERR_INTERNAL, "No memory.");
    r->store = o->store;
    r->events = o->events;
    r->engine = o->engine;
    r->connect = o->connect;
    r->connect_ctx = o->connect_ctx;
    r->reconcile_ms = o->reconcile_ms ? o->reconcile_ms : RECONCILE_MS;
    r->lost_after_ms = o->lost_after_ms ? o->lost_after_ms : LOST_AFTER_MS;
    r->pulse_ms = r->lost_after_ms / 6 < PULSE_MAX_MS ? r->lost_after_ms / 6 : PULSE_MAX_MS;
    (void)pthread_mutex_init(&r->write_lock, NULL);
    (void)pthread_mutex_init(&r->engine_lock, NULL);
    int res = load(r, o, e);
    if (res < 0) {
        runtime_close(r);
        return res;
    }
    *ret = r;
    return 0;
}

int runtime_start(struct runtime *r, struct error *e)
{
    int res = node_engines_start(r, e);
    if (res == 0)
        res = steward_start(r, &r->steward, e);
    return res == 0 ? checker_start(r, &r->checker, e) : res;
}

void runtime_close(struct runtime *r)
{
    if (!r)
        return;
    steward_stop(r->steward);
    checker_stop(r->checker);
    node_engines_stop(r);
    node_engines_free(r);
    table_free(r->nodes);
    table_free(r->services);
    list_cache_free(r->node_lists);
    list_cache_free(r->service_lists);
    map_free(r->uptime);
    free(r->version);
    free(r->data_directory);
    (void)pthread_mutex_destroy(&r->engine_lock);
    (void)pthread_mutex_destroy(&r->write_lock);
    free(r);
}

void runtime_engine_state(struct runtime *r, struct runtime_engine_state *ret)
{
    if (runtime_node_engine_state(r, r->hub_id, ret, NULL) == 0)
        return;
    *ret = (struct runtime_engine_state){ .asked = true };
    str_copy(ret->reason, sizeof ret->reason, "No container engine is configured.");
}

/* Why a node has no engine, and what to do. */
static int no_engine(struct runtime *r, const char *node_id, struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    if (str_eq(node_id, r->hub_id))
        return error_set(e, ERR_UNAVAILABLE, "No container engine is configured.");
    int res = runtime_node(r, node_id, &x, e);
    return res < 0
               ? res
               : error_set(e, ERR_UNAVAILABLE,
                           "Node %s has no container engine that hbcloud could reach: say in its `engine` where it is.",
                           x->name);
}

int runtime_node_engine_state(struct runtime *r, const char *node_id, struct runtime_engine_state *ret, struct error *e)
{
    struct node_engine *n = node_engine_of(r, node_id);
    if (!n)
        return no_engine(r, node_id, e);
    (void)pthread_mutex_lock(&n->lock);
    *ret = n->state;
    (void)pthread_mutex_unlock(&n->lock);
    return 0;
}

int runtime_engine(struct runtime *r, const char *node_id, struct container_engine **ret, struct error *e)
{
    struct node_engine *n = node_engine_of(r, node_id);
    if (!n)
        return no_engine(r, node_id, e);
    *ret = &n->base;
    return 0;
}

void runtime_set_hooks(struct runtime *r, const struct runtime_hooks *hooks)
{
    r->hooks = *hooks;
}

void runtime_set_busy(struct runtime *r, runtime_busy_fn fn, void *ctx)
{
    r->busy = fn;
    r->busy_ctx = ctx;
}

bool runtime_service_busy(struct runtime *r, const char *service_id)
{
    char reason[512];
    return r->busy && r->busy(r->busy_ctx, service_id, reason, sizeof reason);
}

void runtime_set_relocate(struct runtime *r, runtime_relocate_fn fn, void *ctx)
{
    r->relocate = fn;
    r->relocate_ctx = ctx;
}

const struct api_operation runtime_operations[] = {
    { "listNodes", node_list },         { "createNode", node_create },         { "getNode", node_get },
    { "updateNode", node_update },      { "deleteNode", node_delete },         { "listServices", service_list },
    { "getService", service_get },      { "removeService", service_remove },   { "startService", service_start },
    { "stopService", service_stop },    { "restartService", service_restart }, { "adoptService", service_adopt },
    { "getServiceLogs", service_logs },
};
const size_t runtime_operation_count = ARRAY_LEN(runtime_operations);
const struct api_shortcut runtime_shortcuts[RUNTIME_SHORTCUTS] = { { "listNodes", node_list_at_once },
                                                                   { "listServices", service_list_at_once } };
