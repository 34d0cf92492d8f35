#include "deployment/plan.h"

#include <stdio.h>

/* The plan as the API tells it: what would change, field by field, and what that costs. */

#define RELOAD_COST \
    "the proxy loads its configuration anew, which closes idle HTTP/1.1 connections of every service and can drop requests on their way"

/* ---- fields ---- */

static void write_field(struct jw *w, const char *field, const char *before, const char *after)
{
    jw_object(w);
    jw_key(w, "field"), jw_string(w, field);
    jw_key(w, "before"), jw_string(w, before);
    jw_key(w, "after"), jw_string(w, after);
    jw_end(w);
}

static void write_changes(const json_t *changes, struct jw *w)
{
    size_t i;
    json_t *c;
    char field[600];
    jw_key(w, "changes"), jw_array(w);
    if (json_at(changes, "imageChanges"))
        write_field(w, "container.image", json_str(changes, "imageChanges.oldImage"),
                    json_str(changes, "imageChanges.newImage"));
    json_array_foreach (json_at(changes, "configChanges"), i, c) {
        bool variable = str_eq(json_str(c, "source"), "environment");
        (void)snprintf(field, sizeof field, "%s%s", variable ? "container.environment." : "", json_str(c, "key"));
        write_field(w, field, json_str(c, "oldValue"), json_str(c, "newValue"));
    }
    jw_end(w);
}

/* ---- containers ---- */

static void write_container(struct deployments *d, struct jw *w, unsigned instance, const char *container,
                            const char *node_id, const char *action)
{
    _cleanup_entity_ struct entity *node = NULL;
    bool known = node_id && runtime_node(d->runtime, node_id, &node, NULL) == 0;
    jw_object(w);
    jw_key(w, "instance"), jw_int(w, instance);
    jw_key(w, "container"), jw_string(w, container);
    jw_key(w, "node"), jw_string(w, known ? node->name : node_id);
    jw_key(w, "action"), jw_string(w, action);
    jw_end(w);
}

struct team { /* a service's instances, by ordinal */
    struct entity **list;
    size_t n;
};

static void team_of(struct deployments *d, const struct entity *service, struct team *t)
{
    *t = (struct team){ 0 };
    if (service && runtime_service_instances(d->runtime, service->id, &t->list, &t->n, NULL) < 0)
        *t = (struct team){ 0 };
}

static void write_instance(struct deployments *d, struct jw *w, const struct entity *instance, const char *action)
{
    _cleanup_json_ json_t *x = entity_document(instance);
    const char *container = json_str(x, "container.id");
    bool none = !container && !str_eq(action, "remove");
    write_container(d, w, (unsigned)json_int(x, "ordinal", 1), container, json_str(x, "nodeId"),
                    none && str_eq(action, "replace") ? "create" : action);
}

/* Those that there are and those that are wanted; `scale` touches no container that stays. */
static void write_containers(struct plan *p, bool scale, struct jw *w)
{
    struct team t;
    size_t wanted = (size_t)json_int(p->request, "instances", 1);
    team_of(p->deployments, p->service, &t);
    jw_key(w, "containers"), jw_array(w);
    for (size_t i = 0; i < t.n; i++)
        write_instance(p->deployments, w, t.list[i], i >= wanted ? "remove" : scale ? "keep" : "replace");
    for (size_t i = t.n; i < wanted; i++)
        write_container(p->deployments, w, (unsigned)i + 1, NULL, i == 0 ? p->node : NULL, "create");
    jw_end(w);
    runtime_instances_free(t.list, t.n);
}

/* ---- strategy, gateway, queue ---- */

static void write_strategy(struct jw *w, const char *type, const char *reason)
{
    jw_key(w, "strategy"), jw_object(w);
    jw_key(w, "type"), jw_string(w, type);
    jw_key(w, "reason"), jw_string(w, reason);
    jw_end(w);
}

static void write_gateway(struct jw *w, bool reload, const char *reason)
{
    jw_key(w, "gateway"), jw_object(w);
    jw_key(w, "reload"), jw_bool(w, reload);
    jw_key(w, "reason"), jw_string(w, reason);
    jw_end(w);
}

static bool has_domains(const json_t *specification)
{
    return json_array_size(json_at(specification, "networking.domains")) > 0;
}

/* Domains, and a proxy that would serve them. */
static bool has_route(struct deployments *d, const json_t *specification)
{
    return d->gateway && has_domains(specification) && gateway_wants_route(d->gateway, specification);
}

static bool same_at(const json_t *a, const json_t *b, const char *path)
{
    const json_t *x = json_at(a, path), *y = json_at(b, path);
    bool none_x = !x || json_is_null(x) || json_array_size(x) + json_object_size(x) == 0;
    bool none_y = !y || json_is_null(y) || json_array_size(y) + json_object_size(y) == 0;
    return (none_x && none_y) || json_equal((json_t *)x, (json_t *)y);
}

/* A route is its domains and what it does to requests; where they go is not part of it. */
static void plan_gateway(struct plan *p, struct jw *w)
{
    static const char *const parts[] = { "networking.domains", "networking.headers", "networking.rateLimit" };
    const json_t *old = p->has_old ? p->old.specification : NULL, *now = p->release.specification;
    bool before = has_route(p->deployments, old), after = has_route(p->deployments, now), same = true;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        same = same && same_at(old, now, parts[i]);
    if (!before && !after)
        write_gateway(w, false,
                      has_domains(now) ? "No proxy is configured: the service is reached at its published port."
                                       : "The service has no domains, so there is no route.");
    else if (same)
        write_gateway(w, false, "The routes stay as they are: the switch changes no configuration.");
    else
        write_gateway(w, true,
                      !before  ? "A route is added: " RELOAD_COST "."
                      : !after ? "The route goes: " RELOAD_COST "."
                               : "The route changes: " RELOAD_COST ".");
}

static void write_queue(struct deployments *d, const struct entity *service, struct jw *w)
{
    char text[256] = "";
    (void)pthread_mutex_lock(&d->lock);
    const char *running = service ? map_get(d->active, service->id) : NULL;
    const char *waiting = service ? map_get(d->waiting, service->id) : NULL;
    if (running)
        (void)snprintf(text, sizeof text, "It waits for the end of deployment %s%s%s.", running,
                       waiting ? ", and takes the place of " : "", waiting ? waiting : "");
    (void)pthread_mutex_unlock(&d->lock);
    jw_key(w, "queue"), jw_string(w, text[0] ? text : NULL);
}

/* ---- notes ---- */

static void plan_notes(struct plan *p, const json_t *changes, const char *strategy, bool scale, struct jw *w)
{
    bool nothing =
        p->has_old && json_array_size(json_at(changes, "configChanges")) == 0 && !json_at(changes, "imageChanges");
    jw_key(w, "notes"), jw_array(w);
    if (nothing)
        jw_string(
            w,
            "No field changes. The deployment still looks up what the image's tag means now, and starts new containers.");
    if (p->has_old && !scale && str_eq(strategy, "recreate"))
        jw_string(
            w,
            "The service does not answer from the stop of the old container to the first good check of the new one.");
    if (has_domains(p->request) && !has_route(p->deployments, p->request))
        jw_string(w, "The domains lead nowhere while no proxy is configured.");
    jw_end(w);
}

/* ---- the whole ---- */

static void begin_plan(struct jw *w, const char *action, const char *service, int release)
{
    jw_object(w);
    jw_key(w, "plan"), jw_object(w);
    jw_key(w, "action"), jw_string(w, action);
    jw_key(w, "service"), jw_string(w, service);
    jw_key(w, "release");
    if (release)
        jw_int(w, release);
    else
        jw_null(w);
}

void plan_answer(struct plan *p, struct reply *rp)
{
    char reason[512] = "";
    const json_t *old = p->has_old ? p->old.specification : NULL;
    _cleanup_json_ json_t *changes =
        changes_between(old, p->release.specification, p->old.environment, p->release.environment);
    const char *type = json_str(changes, "type");
    bool scale = str_eq(type, "scale");
    const char *strategy = strategy_of(p->release.specification, old, reason, sizeof reason);
    struct jw *w = reply_json(rp, 200);
    begin_plan(w, p->rollback_to ? "rollback" : type, json_str(p->request, "name"), p->rollback_to);
    write_changes(changes, w);
    write_containers(p, scale, w);
    if (!old)
        write_strategy(w, NULL, "Nothing serves yet: there is nothing to switch.");
    else if (scale)
        write_strategy(w, NULL, "Containers that stay are not touched.");
    else
        write_strategy(w, strategy, reason);
    plan_gateway(p, w);
    write_queue(p->deployments, p->service, w);
    plan_notes(p, changes, strategy, scale, w);
    jw_end(w);
    jw_end(w);
}

/* ---- stop, start, delete ---- */

/* What an action does to a container in its state; "keep": nothing. */
static const char *effect(const char *action, const json_t *instance)
{
    bool running = str_eq(json_str(instance, "container.state"), "running");
    if (str_eq(action, "delete"))
        return "remove";
    if (!json_str(instance, "container.id"))
        return "keep";
    return str_eq(action, "stop") ? (running ? "stop" : "keep") : running ? "keep" : "start";
}

static void action_notes(const char *action, const json_t *service, struct jw *w)
{
    size_t i;
    json_t *v;
    char text[700];
    jw_key(w, "notes"), jw_array(w);
    if (str_eq(action, "stop"))
        jw_string(w, "The service does not answer until it is started again. Its containers and volumes stay.");
    if (str_eq(action, "delete"))
        jw_string(w, "Its deployments stay on record; its releases cannot be rolled back to.");
    json_array_foreach (json_at(service, "container.volumes"), i, v) {
        if (!str_eq(action, "delete") || !json_str(v, "source") || json_str(v, "source")[0] == '/')
            continue;
        (void)snprintf(text, sizeof text, "The volume %.255s stays unless it is named.", json_str(v, "source"));
        jw_string(w, text);
    }
    jw_end(w);
}

int plan_answer_action(struct deployments *d, const char *action, const struct entity *service, struct reply *rp,
                       struct error *e)
{
    struct team t;
    _cleanup_json_ json_t *first = entity_document(service);
    if (!first)
        return error_set(e, ERR_INTERNAL, "No memory.");
    bool route = has_route(d, first);
    struct jw *w = reply_json(rp, 200);
    team_of(d, service, &t);
    begin_plan(w, action, service->name, 0);
    jw_key(w, "changes"), jw_array(w), jw_end(w);
    jw_key(w, "containers"), jw_array(w);
    for (size_t i = 0; i < t.n; i++) {
        _cleanup_json_ json_t *x = entity_document(t.list[i]);
        write_instance(d, w, t.list[i], effect(action, x));
    }
    jw_end(w);
    write_strategy(w, NULL, NULL);
    if (str_eq(action, "delete") && route)
        write_gateway(w, true, "The route goes: " RELOAD_COST ".");
    else
        write_gateway(w, false,
                      route ? "The route stays; without a healthy upstream it answers 503."
                            : "The service has no route.");
    write_queue(d, service, w);
    action_notes(action, first, w);
    jw_end(w);
    jw_end(w);
    runtime_instances_free(t.list, t.n);
    return 0;
}
