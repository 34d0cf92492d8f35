#include "runtime/page.h"

#include <stdio.h>

#define RECONCILE_MS 60000

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
    return res == 0 ? services_load(r, e) : res;
}

int runtime_open(const struct runtime_options *o, struct runtime **ret, struct error *e)
{
    struct runtime *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(e, ERR_INTERNAL, "No memory.");
    r->store = o->store;
    r->events = o->events;
    r->engine = o->engine;
    r->reconcile_ms = o->reconcile_ms ? o->reconcile_ms : RECONCILE_MS;
    (void)pthread_mutex_init(&r->write_lock, NULL);
    (void)pthread_mutex_init(&r->engine_lock, NULL);
    (void)pthread_mutex_init(&r->wake_lock, NULL);
    (void)pthread_cond_init(&r->wake, NULL);
    str_copy(r->engine_state.reason, sizeof r->engine_state.reason, "It was not asked yet.");
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
    int res = watch_start(r, e);
    return res == 0 ? checker_start(r, &r->checker, e) : res;
}

void runtime_close(struct runtime *r)
{
    if (!r)
        return;
    watch_stop(r);
    checker_stop(r->checker);
    table_free(r->nodes);
    table_free(r->services);
    list_cache_free(r->node_lists);
    list_cache_free(r->service_lists);
    map_free(r->uptime);
    free(r->version);
    free(r->data_directory);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->wake_lock);
    (void)pthread_mutex_destroy(&r->engine_lock);
    (void)pthread_mutex_destroy(&r->write_lock);
    free(r);
}

void runtime_engine_state(struct runtime *r, struct runtime_engine_state *ret)
{
    (void)pthread_mutex_lock(&r->engine_lock);
    *ret = r->engine_state;
    (void)pthread_mutex_unlock(&r->engine_lock);
}

int runtime_engine(struct runtime *r, const char *node_id, struct container_engine **ret, struct error *e)
{
    if (!str_eq(node_id, r->hub_id)) {
        _cleanup_entity_ struct entity *x = NULL;
        int res = runtime_node(r, node_id, &x, e);
        return res < 0 ? res
                       : error_set(
                             e, ERR_UNAVAILABLE,
                             "The container engine of node %s cannot be reached: only the hub's own node has one yet.",
                             x->name);
    }
    if (!r->engine)
        return error_set(e, ERR_UNAVAILABLE, "No container engine is configured.");
    *ret = r->engine;
    return 0;
}

void runtime_set_busy(struct runtime *r, runtime_busy_fn fn, void *ctx)
{
    r->busy = fn;
    r->busy_ctx = ctx;
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
