#define LOG_ROOM "runtime"
#include "runtime/internal.h"

#include "base/log.h"

#include <stdio.h>

/* A service's instances are its rows. Each shows how many there are (`instances`), so a change of one may be a
 * change of all; what is wanted is said by the first. */

struct tally {
    const char *but_id; /* not this one */
    unsigned n, running, healthy, lowest, wanted;
};

static bool add_to_tally(const struct row *row, void *ctx)
{
    struct tally *t = ctx;
    if (str_eq(row->entity->id, t->but_id))
        return true;
    t->n++;
    t->running += row->running;
    t->healthy += row->running && row->health == 0;
    if (!t->lowest || row->ordinal < t->lowest) {
        t->lowest = row->ordinal;
        t->wanted = row->wanted;
    }
    return true;
}

/* What the other instances say; those that had none to ask answer for themselves. */
static void put_tally(json_t *d, const struct tally *t)
{
    int64_t ordinal = json_int(d, "ordinal", 1), own = json_int(d, "instances.wanted", 1);
    bool running = str_eq(json_str(d, "container.state"), "running");
    bool healthy = running && str_eq(json_str(d, "status.health"), "healthy");
    json_t *instances =
        json_pack("{s:I, s:I, s:I}", "wanted", (json_int_t)(t->lowest && t->lowest < ordinal ? t->wanted : own),
                  "running", (json_int_t)t->running + running, "healthy", (json_int_t)t->healthy + healthy);
    (void)json_put(d, "ordinal", json_integer(ordinal));
    (void)json_put(d, "instances", instances);
    if (!json_object_get(d, "placement"))
        (void)json_put(d, "placement", json_null());
}

bool instance_put_tally(struct runtime *r, json_t *d)
{
    struct tally t = { .but_id = json_str(d, "id") };
    table_walk_service(r->services, json_str(d, "name"), json_str(d, "serviceId"), add_to_tally, &t);
    put_tally(d, &t);
    return t.n > 0;
}

struct collected {
    struct entity **list;
    unsigned short *ordinals;
    size_t n, cap;
    bool failed;
};

static bool collect(const struct row *row, void *ctx)
{
    struct collected *c = ctx;
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        struct entity **list = realloc(c->list, cap * sizeof *list);
        c->list = list ? list : c->list;
        unsigned short *ordinals = list ? realloc(c->ordinals, cap * sizeof *ordinals) : NULL;
        c->failed = !ordinals;
        if (c->failed)
            return false;
        c->ordinals = ordinals;
        c->cap = cap;
    }
    size_t at = c->n++;
    for (; at > 0 && c->ordinals[at - 1] > row->ordinal; at--) {
        c->list[at] = c->list[at - 1];
        c->ordinals[at] = c->ordinals[at - 1];
    }
    c->list[at] = entity_ref(row->entity);
    c->ordinals[at] = row->ordinal;
    return true;
}

static int collect_service(struct runtime *r, const char *name, const char *service_id, struct entity ***ret,
                           size_t *ret_n, struct error *e)
{
    struct collected c = { 0 };
    table_walk_service(r->services, name, service_id, collect, &c);
    free(c.ordinals);
    if (c.failed) {
        runtime_instances_free(c.list, c.n);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    *ret = c.list;
    *ret_n = c.n;
    return 0;
}

void runtime_instances_free(struct entity **list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        entity_unref(list[i]);
    free(list);
}

int runtime_service_instances(struct runtime *r, const char *service, struct entity ***ret, size_t *ret_n,
                              struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    int res = runtime_service(r, service, &x, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = entity_document(x);
    return d ? collect_service(r, x->name, json_str(d, "serviceId"), ret, ret_n, e)
             : error_set(e, ERR_INTERNAL, "No memory.");
}

/* The others of a service show how many there are now. Their tag stays: nothing of their own has changed. */
void instances_refresh_locked(struct runtime *r, const char *name, const char *service_id, const char *but_id)
{
    struct entity **list = NULL;
    size_t n = 0;
    struct error e = ERROR_INIT;
    int res = collect_service(r, name, service_id, &list, &n, &e);
    for (size_t i = 0; res == 0 && i < n; i++) {
        if (str_eq(list[i]->id, but_id))
            continue;
        _cleanup_json_ json_t *d = entity_document(list[i]);
        _cleanup_json_ json_t *before = d ? json_incref(json_at(d, "instances")) : NULL;
        if (!d)
            continue;
        (void)instance_put_tally(r, d);
        if (json_equal(before, json_at(d, "instances")))
            continue;
        res = service_remember_locked(r, d, list[i]->version, &e);
        _cleanup_entity_ struct entity *x = res == 0 ? table_get(r->services, list[i]->id) : NULL;
        if (x)
            events_publish(r->events, "service.updated", "service", x->id, x->json->data, x->json->len);
    }
    if (res < 0)
        log_warn("The instances of %s were not counted: %s", name, e.message);
    error_done(&e);
    runtime_instances_free(list, n);
}

/* ---- one more, one less ---- */

static const char *const of_one_container[] = { "id", "state", "restartCount", "createdAt" };

/* The document of another instance: what the service is, and nothing of the container that `d` has. */
static void make_blank(json_t *d, unsigned ordinal, const char *node_id)
{
    char id[ID_LEN + 1], at[TIME_TEXT_LEN + 1];
    (void)json_put(d, "id", json_string(id_new(id)));
    (void)json_put(d, "ordinal", json_integer(ordinal));
    (void)json_put(d, "nodeId", json_string(node_id));
    for (size_t i = 0; i < ARRAY_LEN(of_one_container); i++)
        (void)json_object_set_new(json_at(d, "container"), of_one_container[i], json_null());
    (void)json_put(d, "networking.url", json_null());
    (void)json_put(d, "networking.address", json_null());
    (void)json_put(d, "networking.ports", json_array());
    (void)json_object_set_new(d, "status",
                              json_pack("{s:s, s:s, s:n, s:n, s:s}", "deployment", "deploying", "health", "unknown",
                                        "lastHealthCheck", "uptime", "message", "Its container is being made."));
    (void)json_put(d, "metadata.createdAt", json_string(time_format(clock_now_ms(), at)));
}

int runtime_instance_make(struct runtime *r, const char *service, unsigned ordinal, const char *node_id,
                          struct entity **ret, struct error *e)
{
    struct entity **list = NULL;
    size_t n = 0;
    (void)pthread_mutex_lock(&r->write_lock);
    int res = runtime_service_instances(r, service, &list, &n, e);
    for (size_t i = 0; res == 0 && !*ret && i < n; i++) {
        _cleanup_json_ json_t *d = entity_document(list[i]);
        if (json_int(d, "ordinal", 1) == (int64_t)ordinal)
            *ret = entity_ref(list[i]);
    }
    if (res == 0 && !*ret) {
        _cleanup_json_ json_t *d = entity_document(list[0]);
        if (d)
            make_blank(d, ordinal, node_id);
        res = d ? service_save_locked(r, d, 1, true, ret, e) : error_set(e, ERR_INTERNAL, "No memory.");
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    runtime_instances_free(list, n);
    return res;
}

bool service_is_busy(struct runtime *r, const struct entity *instance, char *ret_reason, size_t size)
{
    _cleanup_json_ json_t *d = entity_document(instance);
    if (!r->busy || !d)
        return false;
    _cleanup_entity_ struct entity *first = table_find_on(r->services, instance->name, NULL);
    bool same = first && str_eq(json_str(d, "serviceId"), instance->name);
    return r->busy(r->busy_ctx, same ? first->id : instance->id, ret_reason, size);
}

/* ---- given up ---- */

int instance_abandon(struct runtime *r, const char *id, const char *node_id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e,
                         "INSERT INTO abandoned_instances (id, node_id, created_at) VALUES ($1, $2, $3) "
                         "ON CONFLICT (id) DO UPDATE SET node_id = excluded.node_id",
                         "tti", id, node_id, clock_now_ms());
    return res == 0 ? store_commit(c, e) : res;
}

int instance_is_abandoned(struct runtime *r, const char *id, const char *node_id)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(r->store, STORE_READ, &c, NULL);
    if (res == 0)
        res = store_query(c, NULL, &rows, "SELECT 1 FROM abandoned_instances WHERE id = $1 AND node_id = $2", "tt", id,
                          node_id);
    return res == 0 ? rows_next(rows, NULL) : res;
}

int instance_abandoned_gone(struct runtime *r, const char *id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e, "DELETE FROM abandoned_instances WHERE id = $1", "t", id);
    return res == 0 ? store_commit(c, e) : res;
}
