#include "runtime/internal.h"
#include "runtime/volumes.h"

#include <errno.h>

#define STOP_GRACE_S 10

/* What a service is asked to do, each of its instances does, at most so many at a time. */
#define AT_ONCE 8

static int not_busy(struct runtime *r, const struct entity *x, struct error *e)
{
    char reason[256] = "";
    if (!service_is_busy(r, x, reason, sizeof reason))
        return 0;
    return error_set(e, ERR_CONFLICT, "%s", reason);
}

/* The instance that was named and all of its service. */
struct target {
    struct entity *entity;
    struct entity **instances;
    size_t n;
};

static void target_done(struct target *t)
{
    entity_unref(t->entity);
    runtime_instances_free(t->instances, t->n);
}

static int target_find(struct runtime *r, struct request *rq, struct target *t, struct error *e)
{
    int res = runtime_service(r, request_str(rq, "serviceId"), &t->entity, e);
    if (res == 0)
        res = request_if_match(rq, t->entity->etag, e);
    if (res == 0)
        res = runtime_service_instances(r, t->entity->id, &t->instances, &t->n, e);
    return res == 0 ? not_busy(r, t->instances[0], e) : res;
}

/* ---- an action on each instance ---- */

typedef int (*action_fn)(struct container_engine *g, const char *container, int grace_s, struct error *e);

struct work {
    struct runtime *runtime;
    const struct entity *instance;
    action_fn action;
    bool abandon; /* of a lost node: nothing is asked of it, and it is remembered */
    bool has_container;
    int res;
    struct error error;
};

static bool is_lost(struct runtime *r, const char *node_id)
{
    _cleanup_entity_ struct entity *x = table_get(r->nodes, node_id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    return str_eq(json_str(d, "status"), "offline");
}

static void *work_on(void *arg)
{
    struct work *w = arg;
    struct container_engine *engine = NULL;
    _cleanup_json_ json_t *d = entity_document(w->instance);
    const char *container = d ? json_str(d, "container.id") : NULL;
    w->has_container = container != NULL;
    if (!container)
        return NULL;
    if (w->abandon && is_lost(w->runtime, json_str(d, "nodeId"))) {
        w->res = instance_abandon(w->runtime, w->instance->id, json_str(d, "nodeId"), &w->error);
        return NULL;
    }
    w->res = runtime_engine(w->runtime, json_str(d, "nodeId"), &engine, &w->error);
    if (w->res == 0)
        w->res = w->action(engine, container, STOP_GRACE_S, &w->error);
    return NULL;
}

/* Where no thread is to be had, it is done here. */
static void work_at_once(struct work *w, size_t n)
{
    pthread_t threads[AT_ONCE];
    bool made[AT_ONCE] = { false };
    for (size_t i = 1; i < n; i++)
        made[i] = pthread_create(&threads[i], NULL, work_on, &w[i]) == 0;
    for (size_t i = 0; i < n; i++)
        if (!made[i])
            (void)work_on(&w[i]);
    for (size_t i = 1; i < n; i++)
        if (made[i])
            (void)pthread_join(threads[i], NULL);
}

/* All are tried; the first failure is told. `*ret_any`: whether one has a container. */
static int each_instance(struct runtime *r, const struct target *t, action_fn action, bool abandon, bool *ret_any,
                         struct error *e)
{
    int res = 0;
    *ret_any = false;
    for (size_t from = 0; from < t->n; from += AT_ONCE) {
        struct work w[AT_ONCE];
        size_t n = t->n - from < AT_ONCE ? t->n - from : AT_ONCE;
        for (size_t i = 0; i < n; i++)
            w[i] =
                (struct work){ .runtime = r, .instance = t->instances[from + i], .action = action, .abandon = abandon };
        work_at_once(w, n);
        for (size_t i = 0; i < n; i++) {
            *ret_any = *ret_any || w[i].has_container;
            if (w[i].res < 0 && res == 0)
                res = error_set(e, w[i].error.code, "%s", w[i].error.message);
            error_done(&w[i].error);
        }
    }
    return res;
}

static int start(struct container_engine *g, const char *id, int grace_s UNUSED, struct error *e)
{
    return g->ops->start(g, id, e);
}

static int stop(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return g->ops->stop(g, id, grace_s, e);
}

static int restart(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return g->ops->restart(g, id, grace_s, e);
}

/* 1: only the plan was asked for, and is answered. */
static int only_plan(struct runtime *r, const char *action, const struct target *t, struct request *rq,
                     struct reply *rp, struct error *e)
{
    if (!request_flag(rq, "plan", false) || !r->hooks.plan)
        return 0;
    int res = r->hooks.plan(r->hooks.ctx, action, t->instances[0], rp, e);
    return res < 0 ? res : 1;
}

static int do_action(struct runtime *r, struct request *rq, struct reply *rp, struct error *e, const char *name,
                     action_fn action)
{
    _cleanup_(target_done) struct target t = { 0 };
    _cleanup_entity_ struct entity *after = NULL;
    bool any = false;
    int res = target_find(r, rq, &t, e);
    if (res == 0 && (res = only_plan(r, name, &t, rq, rp, e)) == 1)
        return 0;
    if (res == 0)
        res = each_instance(r, &t, action, false, &any, e);
    if (res == 0 && !any)
        res = error_set(e, ERR_CONFLICT, "The service has no container: deploy it.");
    for (size_t i = 0; res == 0 && i < t.n; i++)
        res = runtime_refresh_service(r, t.instances[i]->id, e);
    if (res == 0)
        res = runtime_service(r, t.entity->id, &after, e);
    if (res < 0)
        return res;
    audit_change(rq, "service", t.entity, after);
    service_answer(rp, 200, after);
    return 0;
}

int service_start(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return do_action(room, rq, rp, e, "start", start);
}

int service_stop(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return do_action(room, rq, rp, e, "stop", stop);
}

int service_restart(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return do_action(room, rq, rp, e, "restart", restart);
}

/* ---- remove ---- */

static bool is_own_volume(const json_t *d, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach (json_at(d, "container.volumes"), i, v)
        if (str_eq(json_str(v, "source"), name))
            return name[0] != '/';
    return false;
}

static int check_removal(const struct request *rq, const struct target *t, const json_t *d, struct error *e)
{
    size_t i;
    json_t *name;
    if (!str_eq(request_str(rq, "confirm"), t->entity->name)) {
        (void)error_set(e, ERR_VALIDATION, "Type the service's name (%s) to confirm that it is to be removed.",
                        t->entity->name);
        error_detail(e, "/confirm", "must be the service's name");
        return -ERR_VALIDATION;
    }
    json_array_foreach (request_param(rq, "volumes"), i, name) {
        if (is_own_volume(d, json_string_value(name)))
            continue;
        (void)error_set(e, ERR_VALIDATION, "Only named volumes of this service can be removed with it.");
        error_detail(e, "/volumes", "\"%.100s\" is no named volume of this service", json_string_value(name));
        return -ERR_VALIDATION;
    }
    return 0;
}

static int take_away(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    int res = g->ops->stop(g, id, grace_s, e);
    if (res == 0 || res == -ERR_NOT_FOUND)
        res = g->ops->remove(g, id, true, e);
    if (res == -ERR_NOT_FOUND)
        error_done(e);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

/* With its snapshot it may take long: that is a job's. It may still fail (a full disk): then the volume stays, and the
 * job says why. */
static int remove_volume(struct runtime *r, const struct request *rq, const json_t *d, const char *name,
                         struct error *e)
{
    char job[37];
    struct container_engine *engine = NULL;
    if (r->volumes)
        return volumes_remove_later(r->volumes, json_str(d, "nodeId"), name, request_flag(rq, "snapshot", true),
                                    request_actor(rq)->name, job, e);
    int res = runtime_engine(r, json_str(d, "nodeId"), &engine, e);
    return res == 0 ? engine->ops->volume_remove(engine, name, e) : res;
}

static bool node_seen_before(const struct target *t, size_t i, const char *node_id)
{
    for (size_t k = 0; k < i; k++) {
        _cleanup_json_ json_t *d = entity_document(t->instances[k]);
        if (str_eq(json_str(d, "nodeId"), node_id))
            return true;
    }
    return false;
}

/* On every node that an instance was on, once the service is forgotten: it uses them no more. */
static int remove_volumes(struct runtime *r, const struct request *rq, const struct target *t, struct error *e)
{
    size_t k;
    json_t *name;
    int res = 0;
    for (size_t i = 0; res == 0 && i < t->n && request_param(rq, "volumes"); i++) {
        _cleanup_json_ json_t *d = entity_document(t->instances[i]);
        if (node_seen_before(t, i, json_str(d, "nodeId")))
            continue;
        json_array_foreach (request_param(rq, "volumes"), k, name)
            if (res == 0)
                res = remove_volume(r, rq, d, json_string_value(name), e);
    }
    return res;
}

/* Its volumes stay, and with them whose they were. */
static int remember_volumes(struct runtime *r, const struct target *t, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && r->volumes && i < t->n; i++) {
        _cleanup_json_ json_t *d = entity_document(t->instances[i]);
        if (json_flag(d, "managed", false))
            res = volumes_remember(r->volumes, d, e);
    }
    return res;
}

static int refuse_lost(struct runtime *r, const struct target *t, struct error *e)
{
    for (size_t i = 0; i < t->n; i++) {
        _cleanup_json_ json_t *d = entity_document(t->instances[i]);
        _cleanup_entity_ struct entity *node = table_get(r->nodes, json_str(d, "nodeId"));
        if (json_str(d, "container.id") && node && is_lost(r, node->id))
            return error_set(
                e, ERR_UNAVAILABLE,
                "Node %s, where an instance of it lives, does not answer. Remove the service when the node "
                "is back, or give up what is there (abandon).",
                node->name);
    }
    return 0;
}

/* The containers go first, so that a failure leaves the service listed and the removal can be repeated. */
static int take_down(struct runtime *r, const struct request *rq, const struct target *t, struct error *e)
{
    bool any, abandon = request_flag(rq, "abandon", false);
    int res = abandon ? 0 : refuse_lost(r, t, e);
    if (res == 0)
        res = remember_volumes(r, t, e);
    if (res == 0 && r->hooks.removing)
        res = r->hooks.removing(r->hooks.ctx, t->instances, t->n, e);
    if (res == 0)
        res = each_instance(r, t, take_away, abandon, &any, e);
    for (size_t i = t->n; res == 0 && i-- > 0;)
        res = runtime_service_forget(r, t->instances[i]->id, e);
    return res == 0 ? remove_volumes(r, rq, t, e) : res;
}

int service_remove(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    _cleanup_(target_done) struct target t = { 0 };
    int res = target_find(r, rq, &t, e);
    _cleanup_json_ json_t *d = res == 0 ? entity_document(t.entity) : NULL;
    if (res == 0)
        res = check_removal(rq, &t, d, e);
    if (res == 0 && (res = only_plan(r, "delete", &t, rq, rp, e)) == 1)
        return 0;
    if (res == 0)
        res = take_down(r, rq, &t, e);
    if (res < 0)
        return res;
    if (r->hooks.removed)
        r->hooks.removed(r->hooks.ctx, t.instances[0], request_actor(rq)->name);
    audit_change(rq, "service", t.entity, NULL);
    service_answer(rp, 200, t.entity);
    return 0;
}

/* ---- adopt ---- */

static int mark_managed(json_t *d, void *ctx)
{
    const char *who = ctx;
    char at[TIME_TEXT_LEN + 1];
    if (json_flag(d, "managed", false))
        return 0;
    (void)json_put(d, "managed", json_true());
    (void)json_put(d, "metadata.deployedBy", json_string(who));
    (void)json_put(d, "metadata.deployedAt", json_string(time_format(clock_now_ms(), at)));
    if (json_is_null(json_at(d, "environment")))
        (void)json_put(d, "environment", json_string("production"));
    return 0;
}

/* A name that is no service name could never be deployed again under it. */
static int check_name(const char *name, struct error *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    bool good =
        n == strlen(name) && n <= 63 && name[0] >= 'a' && name[0] <= 'z' && name[n - 1] != '-' && !strstr(name, "--");
    return good
               ? 0
               : error_set(
                     e, ERR_CONFLICT,
                     "The container's name %.80s is not kebab-case. Rename the container (docker rename), then adopt it.",
                     name);
}

int service_adopt(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    _cleanup_(target_done) struct target t = { 0 };
    _cleanup_entity_ struct entity *after = NULL;
    int res = target_find(r, rq, &t, e);
    _cleanup_json_ json_t *d = res == 0 ? entity_document(t.entity) : NULL;
    if (res == 0)
        res = check_name(t.entity->name, e);
    if (res == 0 && !str_eq(json_str(d, "serviceId"), t.entity->name))
        res = error_set(e, ERR_CONFLICT,
                        "There is another service %.80s. Rename the container (docker rename), then adopt it.",
                        t.entity->name);
    if (res == 0)
        res = runtime_service_change(r, t.entity->id, mark_managed, (void *)(uintptr_t)request_actor(rq)->name, &after,
                                     e);
    if (res < 0)
        return res;
    audit_change(rq, "service", t.entity, after);
    service_answer(rp, 200, after);
    return 0;
}
