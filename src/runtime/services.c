#include "runtime/node_engine.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* The reckoning of uptime lies beside the contract's fields in the status column, and is never shown. */
static json_t *status_with_uptime(struct runtime *r, const json_t *d)
{
    json_t *status = json_deep_copy(json_at(d, "status"));
    const struct uptime *u = map_get(r->uptime, json_str(d, "id"));
    if (u) {
        (void)json_object_set_new(status, "_observedMs", json_integer(u->observed_ms));
        (void)json_object_set_new(status, "_answeredMs", json_integer(u->answered_ms));
    }
    return status;
}

static int load_uptime(struct runtime *r, json_t *d)
{
    json_t *status = json_at(d, "status");
    struct uptime *u = calloc(1, sizeof *u);
    if (!u || map_set(r->uptime, json_str(d, "id"), u) < 0) {
        free(u);
        return -ENOMEM;
    }
    u->observed_ms = json_int(status, "_observedMs", 0);
    u->answered_ms = json_int(status, "_answeredMs", 0);
    (void)json_object_del(status, "_observedMs");
    (void)json_object_del(status, "_answeredMs");
    return 0;
}

/* Runs under the table's read lock and the write lock: adds to the side map only. */
static bool observe_row(const struct row *row, void *ctx)
{
    struct runtime *r = ctx;
    struct uptime *u = map_get(r->uptime, row->entity->id);
    if (!u) {
        u = calloc(1, sizeof *u);
        if (!u || map_set(r->uptime, row->entity->id, u) < 0) {
            free(u);
            return true;
        }
    }
    int64_t now = clock_mono_ms(), passed = u->at_ms ? now - u->at_ms : 0;
    u->at_ms = now;
    u->observed_ms += passed;
    if (row->status == 1 && row->health != 1)
        u->answered_ms += passed;
    return true;
}

void services_observe(struct runtime *r)
{
    (void)pthread_mutex_lock(&r->write_lock);
    table_walk(r->services, observe_row, r);
    (void)pthread_mutex_unlock(&r->write_lock);
}

static void put_uptime(struct runtime *r, json_t *d)
{
    const struct uptime *u = map_get(r->uptime, json_str(d, "id"));
    if (u && u->observed_ms > 0)
        (void)json_put(d, "status.uptime", json_real((double)(u->answered_ms * 10000 / u->observed_ms) / 100));
}

static json_t *object_or_null(const json_t *d, const char *path)
{
    json_t *value = json_at(d, path);
    return json_is_object(value) ? value : NULL;
}

static int write_row(struct runtime *r, const json_t *d, int64_t version, struct error *e)
{
    int64_t created = 0;
    (void)time_parse(json_str(d, "metadata.createdAt"), &created);
    _cleanup_json_ json_t *status = status_with_uptime(r, d);
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(
            c, e,
            "INSERT INTO service_instances (id, service_id, ordinal, wanted, name, type, node_id, managed, environment, placement, container_config, "
            "networking_config, monitoring_config, status, metadata, labels, version, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) "
            "ON CONFLICT (id) DO UPDATE SET service_id = excluded.service_id, ordinal = excluded.ordinal, wanted = excluded.wanted, "
            "name = excluded.name, type = excluded.type, node_id = excluded.node_id, placement = excluded.placement, "
            "managed = excluded.managed, environment = excluded.environment, container_config = excluded.container_config, "
            "networking_config = excluded.networking_config, monitoring_config = excluded.monitoring_config, "
            "status = excluded.status, metadata = excluded.metadata, labels = excluded.labels, version = excluded.version, "
            "updated_at = excluded.updated_at",
            "ttiitttitjjjjjjjiii", json_str(d, "id"), json_str(d, "serviceId"), json_int(d, "ordinal", 1),
            json_int(d, "instances.wanted", 1), json_str(d, "name"), json_str(d, "type"), json_str(d, "nodeId"),
            (int64_t)json_flag(d, "managed", false), json_str(d, "environment"), object_or_null(d, "placement"),
            json_at(d, "container"), json_at(d, "networking"), json_at(d, "monitoring"), status, json_at(d, "metadata"),
            json_at(d, "labels"), version, created, clock_now_ms());
    return res == 0 ? store_commit(c, e) : res;
}

/* Name, image and domains, lower-case, for the list's `q`. */
static char *search_text(const json_t *d)
{
    struct buf b;
    size_t i;
    json_t *domain;
    buf_init(&b, 64 << 10);
    (void)buf_printf(&b, "%s\n%s:%s", json_str(d, "name"), json_str(d, "container.image"),
                     json_str(d, "container.tag"));
    json_array_foreach (json_at(d, "networking.domains"), i, domain)
        (void)buf_printf(&b, "\n%s", json_string_value(domain));
    for (size_t at = 0; at < b.len; at++)
        b.data[at] = (char)tolower((unsigned char)b.data[at]);
    char *text = buf_steal(&b);
    buf_done(&b);
    return text;
}

int service_remember_locked(struct runtime *r, const json_t *d, int64_t version, struct error *e)
{
    struct row row = {
        .entity = entity_new((json_t *)d, version),
        .type = word_index(service_types, json_str(d, "type")),
        .status = word_index(service_statuses, json_str(d, "status.deployment")),
        .health = word_index(healths, json_str(d, "status.health")),
        .managed = json_flag(d, "managed", false),
        .search = search_text(d),
        .restart_count = (int)json_int(d, "container.restartCount", 0),
        .ordinal = (unsigned short)json_int(d, "ordinal", 1),
        .wanted = (unsigned short)json_int(d, "instances.wanted", 1),
    };
    bool named_so = str_eq(json_str(d, "serviceId"), json_str(d, "name"));
    row.service_id = named_so ? NULL : strdup(json_str(d, "serviceId"));
    row.running = str_eq(json_str(d, "container.state"), "running");
    if (json_str(d, "container.state") && json_str(d, "container.id"))
        row.container_id = strdup(json_str(d, "container.id"));
    str_copy(row.node_id, sizeof row.node_id, json_str(d, "nodeId"));
    if (row.entity && row.search && (named_so || row.service_id) && table_put(r->services, &row) == 0)
        return 0;
    entity_unref(row.entity);
    free(row.search);
    free(row.container_id);
    free(row.service_id);
    return error_set(e, ERR_INTERNAL, "No memory.");
}

int service_save_locked(struct runtime *r, json_t *d, int64_t version, bool created, struct entity **ret,
                        struct error *e)
{
    char at[TIME_TEXT_LEN + 1];
    put_uptime(r, d);
    bool others = instance_put_tally(r, d);
    (void)json_put(d, "metadata.updatedAt", json_string(time_format(clock_now_ms(), at)));
    int res = write_row(r, d, version, e);
    if (res == -ERR_CONFLICT)
        res = error_set(e, ERR_CONFLICT, "There is a service %s already, or instance %d of it.",
                        json_str(d, "serviceId"), (int)json_int(d, "ordinal", 1));
    if (res == 0)
        res = service_remember_locked(r, d, version, e);
    if (res < 0)
        return res;
    struct entity *x = table_get(r->services, json_str(d, "id"));
    events_publish(r->events, created ? "service.created" : "service.updated", "service", x->id, x->json->data,
                   x->json->len);
    if (ret)
        *ret = x;
    else
        entity_unref(x);
    if (others)
        instances_refresh_locked(r, json_str(d, "name"), json_str(d, "serviceId"), json_str(d, "id"));
    return 0;
}

int service_touch_locked(struct runtime *r, json_t *d, int64_t version, struct error *e)
{
    put_uptime(r, d);
    (void)instance_put_tally(r, d);
    return service_remember_locked(r, d, version, e);
}

int service_forget_locked(struct runtime *r, const char *id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_entity_ struct entity *x = table_get(r->services, id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e, "DELETE FROM service_instances WHERE id = $1", "t", id);
    if (res == 0)
        res = store_commit(c, e);
    /* Whoever listens may want to write, too. */
    store_release(TAKE(c));
    (void)map_remove(r->uptime, id);
    if (res == 0 && table_remove(r->services, id))
        events_publish(r->events, "service.deleted", "service", id, "null", 4);
    if (res == 0 && d)
        instances_refresh_locked(r, x->name, json_str(d, "serviceId"), id);
    return res;
}

static json_t *row_document(struct store_rows *rows)
{
    json_t *d = json_object();
    (void)json_put(d, "id", json_string(rows_text(rows, 0)));
    (void)json_put(d, "serviceId", json_string(rows_text(rows, 1)));
    (void)json_put(d, "name", json_string(rows_text(rows, 2)));
    (void)json_put(d, "type", json_string(rows_text(rows, 3)));
    (void)json_put(d, "nodeId", json_string(rows_text(rows, 4)));
    (void)json_put(d, "managed", json_boolean(rows_int(rows, 5) != 0));
    (void)json_put(d, "environment", rows_null(rows, 6) ? json_null() : json_string(rows_text(rows, 6)));
    (void)json_put(d, "labels", rows_json(rows, 7));
    (void)json_put(d, "container", rows_json(rows, 8));
    (void)json_put(d, "networking", rows_json(rows, 9));
    (void)json_put(d, "monitoring", rows_json(rows, 10));
    (void)json_put(d, "status", rows_json(rows, 11));
    (void)json_put(d, "metadata", rows_json(rows, 12));
    (void)json_put(d, "placement", rows_null(rows, 16) ? json_null() : rows_json(rows, 16));
    (void)json_put(d, "ordinal", json_integer(rows_int(rows, 14)));
    (void)json_put(d, "instances.wanted", json_integer(rows_int(rows, 15)));
    /* Right for a service of one instance; the others are counted when all are loaded. */
    bool running = str_eq(json_str(d, "container.state"), "running");
    bool healthy = running && str_eq(json_str(d, "status.health"), "healthy");
    (void)json_put(d, "instances.running", json_integer(running));
    (void)json_put(d, "instances.healthy", json_integer(healthy));
    return d;
}

#define COLUMNS                                                                                                                   \
    "id, service_id, name, type, node_id, managed, environment, labels, container_config, networking_config, monitoring_config, " \
    "status, metadata, version, ordinal, wanted, placement"

/* A second instance shows that the service has several. */
struct several {
    struct entity **list;
    size_t n, cap;
};

static bool collect_second(const struct row *row, void *ctx)
{
    struct several *s = ctx;
    if (row->ordinal < 2)
        return true;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct entity **list = realloc(s->list, cap * sizeof(struct entity *));
        if (!list)
            return false;
        s->list = list;
        s->cap = cap;
    }
    s->list[s->n++] = entity_ref(row->entity);
    return true;
}

static void count_several(struct runtime *r)
{
    struct several s = { 0 };
    table_walk(r->services, collect_second, &s);
    for (size_t i = 0; i < s.n; i++) {
        _cleanup_json_ json_t *d = entity_document(s.list[i]);
        if (d)
            instances_refresh_locked(r, s.list[i]->name, json_str(d, "serviceId"), NULL);
    }
    runtime_instances_free(s.list, s.n);
}

int services_load(struct runtime *r, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(r->store, STORE_READ, &c, e);
    if (res == 0)
        res = store_query(c, e, &rows, "SELECT " COLUMNS " FROM service_instances", "");
    table_load_begin(r->services);
    while (res == 0 && (res = rows_next(rows, e)) == 1) {
        _cleanup_json_ json_t *d = row_document(rows);
        res = load_uptime(r, d) < 0 ? error_set(e, ERR_INTERNAL, "No memory.")
                                    : service_remember_locked(r, d, rows_int(rows, 13), e);
    }
    table_load_end(r->services);
    if (res == 0)
        count_several(r);
    return res;
}

int runtime_service(struct runtime *r, const char *id_or_name, struct entity **ret, struct error *e)
{
    struct entity *x = table_get(r->services, id_or_name);
    if (!x)
        return error_set(e, ERR_NOT_FOUND, "There is no service %.100s.", id_or_name);
    *ret = x;
    return 0;
}

size_t runtime_service_count(struct runtime *r)
{
    return table_size(r->services);
}

int runtime_service_save(struct runtime *r, json_t *d, int64_t expected_version, struct entity **ret, struct error *e)
{
    char id[ID_LEN + 1];
    int res = 0;
    (void)pthread_mutex_lock(&r->write_lock);
    if (!json_str(d, "id"))
        (void)json_put(d, "id", json_string(id_new(id)));
    _cleanup_entity_ struct entity *old = table_get(r->services, json_str(d, "id"));
    if (expected_version >= 0 && (old ? old->version : 0) != expected_version)
        res = error_set(e, ERR_PRECONDITION, "Someone changed the service meanwhile.");
    if (res == 0)
        res = service_save_locked(r, d, (old ? old->version : 0) + 1, !old, ret, e);
    (void)pthread_mutex_unlock(&r->write_lock);
    return res;
}

int runtime_service_change(struct runtime *r, const char *id, int (*change)(json_t *, void *), void *ctx,
                           struct entity **ret, struct error *e)
{
    (void)pthread_mutex_lock(&r->write_lock);
    _cleanup_entity_ struct entity *x = NULL;
    int res = runtime_service(r, id, &x, e);
    _cleanup_json_ json_t *before = res == 0 ? entity_document(x) : NULL;
    _cleanup_json_ json_t *d = before ? json_deep_copy(before) : NULL;
    if (res == 0)
        res = d ? change(d, ctx) : error_set(e, ERR_INTERNAL, "No memory.");
    if (res == 0 && json_equal(before, d)) {
        if (ret)
            *ret = TAKE(x);
    } else if (res == 0) {
        res = service_save_locked(r, d, x->version + 1, false, ret, e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    return res;
}

int runtime_service_forget(struct runtime *r, const char *id, struct error *e)
{
    (void)pthread_mutex_lock(&r->write_lock);
    int res = service_forget_locked(r, id, e);
    (void)pthread_mutex_unlock(&r->write_lock);
    return res;
}

struct filling {
    struct runtime *runtime;
    const struct engine_container *container;
};

static int fill(json_t *d, void *ctx)
{
    struct filling *f = ctx;
    runtime_instance_fill(f->runtime, d, f->container);
    return 0;
}

int runtime_refresh_service(struct runtime *r, const char *id, struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    struct container_engine *engine = NULL;
    int res = runtime_service(r, id, &x, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = entity_document(x);
    const char *container = json_str(d, "container.id");
    if (!container)
        return 0;
    res = runtime_engine(r, json_str(d, "nodeId"), &engine, e);
    struct engine_container c = { 0 };
    if (res == 0)
        res = engine->ops->inspect(engine, container, &c, e);
    if (res == 0) {
        res = runtime_service_change(r, x->id, fill, &(struct filling){ r, &c }, NULL, e);
        engine_container_done(&c);
    }
    return res;
}

struct running {
    struct runtime *runtime;
    struct runtime_container *list;
    size_t n, cap;
    bool failed;
};

static bool add_running(const struct row *row, void *ctx)
{
    struct running *x = ctx;
    struct node_engine *engine = row->container_id && row->running ? node_engine_of(x->runtime, row->node_id) : NULL;
    if (!engine || !node_engine_answers(engine))
        return true;
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 32;
        struct runtime_container *list = realloc(x->list, cap * sizeof *list);
        if (!list) {
            x->failed = true;
            return false;
        }
        x->list = list;
        x->cap = cap;
    }
    struct runtime_container *one = &x->list[x->n++];
    str_copy(one->service_id, sizeof one->service_id, row->entity->id);
    str_copy(one->container_id, sizeof one->container_id, row->container_id);
    one->engine = &engine->base;
    one->restart_count = row->restart_count;
    return true;
}

int runtime_running_containers(struct runtime *r, struct runtime_container **ret, size_t *ret_n)
{
    struct running x = { .runtime = r };
    table_walk(r->services, add_running, &x);
    if (x.failed) {
        free(x.list);
        return -ENOMEM;
    }
    *ret = x.list;
    *ret_n = x.n;
    return 0;
}

struct troubles {
    struct runtime_trouble *list;
    size_t n, max;
};

static bool add_trouble(const struct row *row, void *ctx)
{
    struct troubles *t = ctx;
    bool failed = row->managed && row->status == 3, unhealthy = row->status == 1 && row->health == 1;
    if (!failed && !unhealthy)
        return true;
    _cleanup_json_ json_t *d = entity_document(row->entity);
    const char *message = json_str(d, "status.message"), *since = json_str(d, "metadata.updatedAt");
    struct runtime_trouble *x = &t->list[t->n++];
    *x = (struct runtime_trouble){ .failed = failed };
    str_copy(x->id, sizeof x->id, row->entity->id);
    if (row->ordinal > 1)
        (void)snprintf(x->name, sizeof x->name, "%.200s, instance %u,", row->entity->name, row->ordinal);
    else
        str_copy(x->name, sizeof x->name, row->entity->name);
    str_copy(x->reason, sizeof x->reason, message ? message : "Its health check fails. See its logs.");
    if (since)
        (void)time_parse(since, &x->since_ms);
    return t->n < t->max;
}

size_t runtime_troubles(struct runtime *r, struct runtime_trouble *ret, size_t max)
{
    struct troubles t = { ret, 0, max };
    if (max)
        table_walk(r->services, add_trouble, &t);
    return t.n;
}
