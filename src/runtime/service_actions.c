#include "runtime/internal.h"

#include <errno.h>

#define STOP_GRACE_S 10

static int not_busy(struct runtime *r, const struct entity *x, struct error *e)
{
    char reason[256] = "";
    if (!r->busy || !r->busy(r->busy_ctx, x->id, reason, sizeof reason))
        return 0;
    return error_set(e, ERR_CONFLICT, "%s", reason);
}

/* The service, its document, its container and its engine, for an action on it. */
struct target {
    struct entity *entity;
    json_t *document;
    const char *container;
    struct container_engine *engine;
};

static void target_done(struct target *t)
{
    entity_unref(t->entity);
    json_decref(t->document);
}

static int target_find(struct runtime *r, struct request *rq, struct target *t, struct error *e)
{
    int res = runtime_service(r, request_str(rq, "serviceId"), &t->entity, e);
    if (res < 0)
        return res;
    t->document = entity_document(t->entity);
    t->container = json_str(t->document, "container.id");
    res = request_if_match(rq, t->entity->etag, e);
    if (res == 0)
        res = not_busy(r, t->entity, e);
    return res == 0 ? runtime_engine(r, json_str(t->document, "nodeId"), &t->engine, e) : res;
}

static int start(struct container_engine *g, const char *id, int grace_s UNUSED, struct error *e)
{
    return g->ops->start(g, id, e);
}

static int do_action(struct runtime *r, struct request *rq, struct reply *rp, struct error *e,
                     int (*action)(struct container_engine *, const char *, int, struct error *))
{
    _cleanup_(target_done) struct target t = { 0 };
    _cleanup_entity_ struct entity *after = NULL;
    int res = target_find(r, rq, &t, e);
    if (res == 0 && !t.container)
        res = error_set(e, ERR_CONFLICT, "The service has no container: deploy it.");
    if (res == 0)
        res = action(t.engine, t.container, STOP_GRACE_S, e);
    if (res == 0)
        res = runtime_refresh_service(r, t.entity->id, e);
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
    return do_action(room, rq, rp, e, start);
}

static int stop(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return g->ops->stop(g, id, grace_s, e);
}

int service_stop(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return do_action(room, rq, rp, e, stop);
}

static int restart(struct container_engine *g, const char *id, int grace_s, struct error *e)
{
    return g->ops->restart(g, id, grace_s, e);
}

int service_restart(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return do_action(room, rq, rp, e, restart);
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

static int check_removal(const struct request *rq, const struct target *t, struct error *e)
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
        if (is_own_volume(t->document, json_string_value(name)))
            continue;
        (void)error_set(e, ERR_VALIDATION, "Only named volumes of this service can be removed with it.");
        error_detail(e, "/volumes", "\"%.100s\" is no named volume of this service", json_string_value(name));
        return -ERR_VALIDATION;
    }
    return 0;
}

/* The container goes first, so that a failure leaves the service listed and the removal can be repeated. */
static int take_down(struct runtime *r, const struct request *rq, const struct target *t, struct error *e)
{
    size_t i;
    json_t *name;
    int res = 0;
    if (t->container) {
        res = t->engine->ops->stop(t->engine, t->container, STOP_GRACE_S, e);
        if (res == 0 || res == -ERR_NOT_FOUND)
            res = t->engine->ops->remove(t->engine, t->container, true, e);
        if (res == -ERR_NOT_FOUND)
            res = 0;
    }
    json_array_foreach (request_param(rq, "volumes"), i, name)
        if (res == 0)
            res = t->engine->ops->volume_remove(t->engine, json_string_value(name), e);
    return res == 0 ? runtime_service_forget(r, t->entity->id, e) : res;
}

int service_remove(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    _cleanup_(target_done) struct target t = { 0 };
    int res = target_find(room, rq, &t, e);
    if (res == 0)
        res = check_removal(rq, &t, e);
    if (res == 0)
        res = take_down(room, rq, &t, e);
    if (res < 0)
        return res;
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
    if (res == 0)
        res = check_name(t.entity->name, e);
    if (res == 0)
        res = runtime_service_change(r, t.entity->id, mark_managed, (void *)(uintptr_t)request_actor(rq)->name, &after,
                                     e);
    if (res < 0)
        return res;
    audit_change(rq, "service", t.entity, after);
    service_answer(rp, 200, after);
    return 0;
}
