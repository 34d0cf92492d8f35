#include "deployment/drift.h"

#include "deployment/replacement.h"

#include <stdio.h>

/* What is compared, and how it is mended. When: drift_watch.c. */

#define DIFFERENCES_MAX 64

static void differ(json_t *list, const char *field, const char *wanted, const char *actual)
{
    if (json_array_size(list) < DIFFERENCES_MAX && !str_eq(wanted, actual))
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s?, s:s?}", "field", field, "wanted", wanted, "actual", actual));
}

/* ---- containers ---- */

struct compared {
    struct deployments *deployments;
    const struct release *release;
    json_t *list;
    int64_t ordinal;
};

static void differ_in(const struct compared *c, const char *what, const char *wanted, const char *actual)
{
    char field[400];
    (void)snprintf(field, sizeof field, "instances[%lld].%s", (long long)c->ordinal, what);
    differ(c->list, field, wanted, actual);
}

static void differ_number(const struct compared *c, const char *what, double wanted, double actual)
{
    char a[32], b[32];
    (void)snprintf(a, sizeof a, "%g", wanted);
    (void)snprintf(b, sizeof b, "%g", actual);
    differ_in(c, what, wanted > 0 ? a : NULL, actual > 0 ? b : NULL);
}

static void compare_environment(const struct compared *c, const struct engine_container *x)
{
    const char *key;
    json_t *value, *name;
    size_t i;
    json_object_foreach (c->release->environment, key, value) {
        bool found = !x->environment_keys;
        json_array_foreach (x->environment_keys, i, name)
            found = found || str_eq(json_string_value(name), key);
        char what[300];
        (void)snprintf(what, sizeof what, "container.environment.%s", key);
        if (!found)
            differ_in(c, what, "set", NULL);
    }
}

static bool same_path(const char *a, const char *b)
{
    size_t n = a ? strlen(a) : 0, m = b ? strlen(b) : 0;
    while (n > 1 && a[n - 1] == '/')
        n--;
    while (m > 1 && b[m - 1] == '/')
        m--;
    return n == m && n > 0 && strncmp(a, b, n) == 0;
}

/* Of a path of the node the engine says where it really leads: only that it is there is compared. */
static bool has_mount(const struct engine_container *x, const json_t *wanted)
{
    const char *source = json_str(wanted, "source");
    for (size_t i = 0; i < x->mount_count; i++)
        if (same_path(x->mounts[i].target, json_str(wanted, "target")) &&
            (source[0] == '/' || str_eq(x->mounts[i].source, source)) &&
            x->mounts[i].readonly == json_flag(wanted, "readonly", false))
            return true;
    return false;
}

static void compare_inside(const struct compared *c, const struct engine_container *x)
{
    const json_t *spec = c->release->specification;
    size_t i;
    json_t *v;
    const char *name = json_str(spec, "container.name");
    if (name)
        differ_in(c, "container.name", name, x->name);
    differ_number(c, "container.resources.memory", json_num(spec, "container.resources.memory", 0),
                  (double)x->memory_limit / (1 << 20));
    differ_number(c, "container.resources.cpu", json_num(spec, "container.resources.cpu", 0), x->cpu_limit);
    compare_environment(c, x);
    json_array_foreach (json_at(spec, "container.volumes"), i, v)
        if (!has_mount(x, v)) {
            char what[300];
            (void)snprintf(what, sizeof what, "container.volumes[%s]", json_str(v, "target"));
            differ_in(c, what, json_str(v, "source"), NULL);
        }
}

/* A container that ended with 0 was stopped by somebody: that is not drift but his wish. A job ends by itself. */
static void compare_state(const struct compared *c, const json_t *row, const struct engine_container *x)
{
    bool stopped = str_eq(json_str(row, "status.deployment"), "stopped");
    if (!stopped && !strategy_is_job(c->release->specification))
        differ_in(c, "container.state", "running", x->state);
}

static int compare_container(const struct compared *c, const json_t *row, struct error *e)
{
    struct engine_container x = { 0 };
    struct container_engine *g = NULL;
    const char *id = json_str(row, "container.id");
    if (!id || !json_str(row, "container.state")) {
        differ_in(c, "container", "present", NULL);
        return 0;
    }
    int res = runtime_engine(c->deployments->runtime, json_str(row, "nodeId"), &g, e);
    if (res == 0)
        res = g->ops->inspect(g, id, &x, e);
    if (res == -ERR_NOT_FOUND) {
        differ_in(c, "container", "present", NULL);
        return 0;
    }
    if (res < 0)
        return res;
    compare_state(c, row, &x);
    compare_inside(c, &x);
    engine_container_done(&x);
    return 0;
}

/* ---- routes and registrations ---- */

static bool among(const json_t *list, const char *text)
{
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one)
        if (str_eq(json_string_value(one), text))
            return true;
    return false;
}

static void join(const json_t *list, char *ret, size_t size)
{
    size_t i;
    json_t *one;
    ret[0] = '\0';
    json_array_foreach (list, i, one) {
        size_t at = strlen(ret);
        (void)snprintf(ret + at, size - at, "%s%s", i ? ", " : "", json_string_value(one));
    }
}

/* Addresses of running instances; those that are healthy decide whether an empty route is wrong. */
static json_t *addresses_of(struct entity *const *rows, size_t n, size_t *ret_healthy)
{
    char address[128];
    json_t *list = json_array();
    *ret_healthy = 0;
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *row = entity_document(rows[i]);
        if (!str_eq(json_str(row, "container.state"), "running") ||
            !runtime_instance_address(row, address, sizeof address))
            continue;
        (void)json_array_append_new(list, json_string(address));
        *ret_healthy += str_eq(json_str(row, "status.health"), "healthy");
    }
    return list;
}

/* The gateway takes a failing instance out by itself: a route that leads to fewer is right, one to a stranger is not. */
static void compare_route(struct deployments *d, const char *service_id, const struct release *r,
                          struct entity *const *rows, size_t n, json_t *list)
{
    json_t *now = NULL;
    size_t healthy, i;
    json_t *one;
    char wanted[400], actual[400];
    if (!d->gateway || strategy_is_job(r->specification) || !gateway_wants_route(d->gateway, r->specification))
        return;
    char *rendered = gateway_route_rendered(d->gateway, service_id);
    if (!rendered)
        differ(list, "route", "present", NULL);
    free(rendered);
    if (gateway_upstreams_get(d->gateway, service_id, &now, NULL) < 0)
        return;
    _cleanup_json_ json_t *good = addresses_of(rows, n, &healthy);
    bool stranger = false;
    json_array_foreach (now, i, one)
        stranger = stranger || !among(good, json_string_value(one));
    if (stranger || (healthy && !json_array_size(now))) {
        join(good, wanted, sizeof wanted);
        join(now, actual, sizeof actual);
        differ(list, "route.upstreams", wanted, actual[0] ? actual : NULL);
    }
    json_decref(now);
}

/* One that the registry lost is registered again by the gateway itself, soon; until then it is said. */
static void compare_registration(const struct compared *c, const json_t *row)
{
    struct gateway *g = c->deployments->gateway;
    const char *id = json_str(row, "monitoring.consulServiceId");
    char address[128];
    if (!g || !gateway_discovers(g) || strategy_is_job(c->release->specification) ||
        !str_eq(json_str(row, "container.state"), "running") || !runtime_instance_address(row, address, sizeof address))
        return;
    if (!id)
        differ_in(c, "container.registration", "present", NULL); /* deployed before there was a registry */
    else if (gateway_registry_answers(g) && !gateway_registered(g, id))
        differ_in(c, "registration", id, NULL);
}

static void compare_count(const struct release *r, size_t n, json_t *list)
{
    char a[16], b[16];
    (void)snprintf(a, sizeof a, "%lld", (long long)strategy_instances(r->specification));
    (void)snprintf(b, sizeof b, "%zu", n);
    differ(list, "instances", a, b);
}

int drift_compare(struct deployments *d, const char *service_id, json_t **ret, struct error *e)
{
    struct release release = { 0 };
    struct entity **rows = NULL;
    size_t n = 0;
    json_t *list = json_array();
    int res = release_serving(d, service_id, &release, e);
    if (res == 0)
        res = runtime_service_instances(d->runtime, service_id, &rows, &n, e);
    if (res == 0)
        compare_count(&release, n, list);
    for (size_t i = 0; res == 0 && i < n; i++) {
        _cleanup_json_ json_t *row = entity_document(rows[i]);
        struct compared c = { d, &release, list, json_int(row, "ordinal", 1) };
        res = compare_container(&c, row, e);
        if (res == 0)
            compare_registration(&c, row);
    }
    if (res == 0)
        compare_route(d, service_id, &release, rows, n, list);
    runtime_instances_free(rows, n);
    release_done(&release);
    if (res < 0)
        json_decref(list);
    else
        *ret = list;
    return res;
}

/* ---- mending ---- */

static int mend_route(struct deployments *d, const char *service_id, const struct release *r, struct error *e)
{
    struct entity **rows = NULL;
    const char *list[GATEWAY_SLOTS_MAX];
    size_t n = 0, healthy, count = 0;
    bool changed = false;
    int res = gateway_route_put(d->gateway, service_id, r->specification, &changed, e);
    if (res == 0)
        res = runtime_service_instances(d->runtime, service_id, &rows, &n, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *addresses = addresses_of(rows, n, &healthy);
    for (size_t i = 0; i < json_array_size(addresses) && count < GATEWAY_SLOTS_MAX; i++)
        list[count++] = json_string_value(json_array_get(addresses, i));
    res = gateway_upstreams_set(d->gateway, service_id, list, count, e);
    runtime_instances_free(rows, n);
    return res;
}

static bool needs_containers(const json_t *differences)
{
    size_t i;
    json_t *x;
    json_array_foreach (differences, i, x) {
        const char *field = json_str(x, "field");
        if (!str_starts(field, "route") && !str_ends(field, "].registration"))
            return true;
    }
    return false;
}

static bool needs_route(const json_t *differences)
{
    size_t i;
    json_t *x;
    json_array_foreach (differences, i, x)
        if (str_starts(json_str(x, "field"), "route"))
            return true;
    return false;
}

int drift_repair(struct deployments *d, const char *service_id, const char *by, const json_t *differences,
                 char ret_id[ID_LEN + 1], struct error *e)
{
    struct release release = { 0 };
    _cleanup_json_ json_t *nothing = json_object();
    struct deployment_origin origin = { .trigger = "manual", .initiated_by = by, .admin = true };
    int res = 0;
    ret_id[0] = '\0';
    if (d->gateway && needs_route(differences)) {
        res = release_serving(d, service_id, &release, e);
        if (res == 0)
            res = mend_route(d, service_id, &release, e);
        release_done(&release);
    }
    if (res == 0 && needs_containers(differences))
        res = deployments_change(d, service_id, nothing, &origin, ret_id, e);
    return res;
}

/* ---- what was left behind ---- */

/* 1: the deployment has ended. What this hub knows nothing of is not its to remove. */
static int has_ended(struct deployments *d, const char *deployment_id)
{
    struct record r = { 0 };
    if (record_load(d, deployment_id, &r, NULL) < 0)
        return 0;
    int ended = record_final(r.document);
    record_done(&r);
    return ended;
}

static bool is_referred_to(struct deployments *d, const char *service, const char *container, bool *ret_serves)
{
    struct entity **rows = NULL;
    size_t n = 0;
    bool found = false;
    *ret_serves = false;
    if (runtime_service_instances(d->runtime, service, &rows, &n, NULL) < 0)
        return true; /* of no service that we know */
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *row = entity_document(rows[i]);
        found = found || str_eq(json_str(row, "container.id"), container);
        *ret_serves = *ret_serves || json_str(row, "container.state");
    }
    runtime_instances_free(rows, n);
    return found;
}

static bool is_busy(struct deployments *d, const char *service)
{
    _cleanup_entity_ struct entity *x = NULL;
    return runtime_service(d->runtime, service, &x, NULL) < 0 || queue_runs(d, x->id);
}

static int clear_one(struct deployments *d, struct container_engine *g, const struct engine_container *c,
                     struct error *e)
{
    const char *deployment = json_string_value(json_object_get(c->labels, LABEL_DEPLOYMENT));
    const char *service = json_string_value(json_object_get(c->labels, LABEL_SERVICE));
    bool serves = false;
    if (!deployment || !service || is_busy(d, service) || is_referred_to(d, service, c->id, &serves) || !serves ||
        has_ended(d, deployment) != 1)
        return 0;
    int res = d->gateway && gateway_discovers(d->gateway) ? gateway_deregister(d->gateway, c->name, e) : 0;
    if (res == 0)
        res = g->ops->stop(g, c->id, 10, e);
    if (res == 0 || res == -ERR_NOT_FOUND)
        res = g->ops->remove(g, c->id, true, e);
    return res == 0 ? 1 : res;
}

static int clear_node(struct deployments *d, const char *node_id, struct error *e)
{
    struct container_engine *g = NULL;
    struct engine_container *list = NULL;
    size_t n = 0;
    int cleared = 0;
    int res = runtime_engine(d->runtime, node_id, &g, e);
    if (res == 0)
        res = g->ops->list(g, &list, &n, e);
    for (size_t i = 0; res >= 0 && i < n; i++) {
        res = clear_one(d, g, &list[i], e);
        cleared += res == 1;
    }
    engine_containers_free(list, n);
    return res < 0 ? res : cleared;
}

struct node_ids {
    char ids[64][ID_LEN + 1];
    size_t n;
};

static int read_nodes(struct deployments *d, struct node_ids *ret, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(d->store, STORE_READ, &c, e);
    if (res == 0)
        res = store_query(c, e, &rows, "SELECT DISTINCT node_id FROM service_instances WHERE managed = 1", "");
    while (res == 0 && (res = rows_next(rows, e)) == 1) {
        if (ret->n < ARRAY_LEN(ret->ids))
            str_copy(ret->ids[ret->n++], sizeof ret->ids[0], rows_text(rows, 0));
        res = 0;
    }
    return res;
}

int drift_clear_leftovers(struct deployments *d, struct error *e)
{
    struct node_ids nodes = { .n = 0 };
    int cleared = 0;
    int res = read_nodes(d, &nodes, e);
    for (size_t i = 0; res >= 0 && i < nodes.n; i++) {
        res = clear_node(d, nodes.ids[i], e);
        cleared += res > 0 ? res : 0;
        if (res == -ERR_UNAVAILABLE || res == -ERR_UPSTREAM_TIMEOUT)
            res = 0; /* another minute */
    }
    return res < 0 ? res : cleared;
}

/* ---- the request ---- */

int repair_service(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    _cleanup_entity_ struct entity *x = NULL;
    _cleanup_json_ json_t *list = NULL;
    char deployment[ID_LEN + 1] = "";
    const char *by = request_actor(rq)->name;
    int res = runtime_service(d->runtime, request_str(rq, "serviceId"), &x, e);
    if (res == 0 && queue_runs(d, x->id))
        res = error_set(e, ERR_CONFLICT, "A deployment of %s is under way. Wait for its end.", x->name);
    if (res == 0)
        res = drift_compare(d, x->id, &list, e);
    if (res == -ERR_NOT_FOUND && x)
        res =
            error_set(e, ERR_CONFLICT, "%s was not deployed by hbcloud: there is nothing to compare it with.", x->name);
    if (res == 0 && json_array_size(list))
        res = drift_repair(d, x->id, by[0] ? by : "owner", list, deployment, e);
    if (res < 0)
        return res;
    request_audit(rq, "service", x->id, NULL, list);
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "drift"), jw_json(w, list);
    jw_key(w, "deployment_id");
    if (deployment[0])
        jw_string(w, deployment);
    else
        jw_null(w);
    jw_end(w);
    return 0;
}
