#include "deployment/plan.h"

#include <stdio.h>

void plan_done(struct plan *p)
{
    json_decref(p->request);
    release_done(&p->release);
    release_done(&p->old);
    entity_unref(p->service);
}

/* ---- where it runs ---- */

static int target_node(struct deployments *d, const char *wanted, char ret[ID_LEN + 1], struct error *e)
{
    _cleanup_entity_ struct entity *node = NULL;
    struct container_engine *engine = NULL;
    int r = runtime_node(d->runtime, wanted ? wanted : runtime_hub_node(d->runtime), &node, e);
    if (r == -ERR_NOT_FOUND) {
        (void)error_set(e, ERR_VALIDATION, "There is no node %.100s.", wanted);
        error_detail(e, "/nodeId", "names no node");
        return -ERR_VALIDATION;
    }
    if (r == 0)
        r = runtime_engine(d->runtime, node->id, &engine, e);
    if (r == 0 && str_eq(node->id, runtime_hub_node(d->runtime))) {
        struct runtime_engine_state state;
        runtime_engine_state(d->runtime, &state);
        struct engine_info info;
        /* What the follower last saw is enough, good news or bad; before its first look the engine is asked here. */
        if (!state.available && !state.asked)
            r = engine->ops->info(engine, &info, e);
        else if (!state.available)
            r = error_set(e, ERR_UNAVAILABLE, "The container engine of node %s does not answer: %.300s", node->name,
                          state.reason);
    }
    if (r == 0)
        memcpy(ret, node->id, sizeof node->id);
    return r;
}

/* Where its first instance goes; a placement decides for each when the deployment begins. */
static int first_node(struct deployments *d, const json_t *request, char ret[ID_LEN + 1], struct error *e)
{
    const json_t *placement = json_at(request, "placement");
    char node[1][ID_LEN + 1];
    if (!json_array_size(json_at(placement, "nodes")) && !json_object_size(json_at(placement, "labels")))
        return target_node(d, json_str(request, "nodeId"), ret, e);
    int r = runtime_place(d->runtime, placement, 1, node, e);
    if (r == 0)
        memcpy(ret, node[0], sizeof node[0]);
    return r;
}

/* ---- what is wanted ---- */

/* What belongs to one deployment is not part of the service. */
static void drop_origin(json_t *request)
{
    static const char *const keys[] = { "trigger", "initiatedBy", "pipeline", "git" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        (void)json_object_del(request, keys[i]);
}

/* Checks the whole request and makes the release of it. */
static int seal_request(struct plan *p, struct error *e)
{
    const json_t *old = p->has_old ? p->old.specification : NULL;
    (void)id_new(p->deployment_id);
    int r =
        image_name_parse(json_str(p->request, "container.image"), json_str(p->request, "container.tag"), &p->image, e);
    if (r == 0)
        r = rules_check(p->deployments, p->request, old, p->admin, e);
    if (r == 0)
        r = release_pin_secrets(p->deployments, p->request, e);
    return r == 0 ? release_from_request(p->request, &p->release, e) : r;
}

static int name_is_free(struct deployments *d, const char *name, struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    if (runtime_service(d->runtime, name, &x, NULL) < 0)
        return 0;
    (void)error_set(e, ERR_CONFLICT, "There is a service %s already. Change it with PATCH /v1/services/%s.", name,
                    name);
    error_detail(e, "/name", "is taken");
    return -ERR_CONFLICT;
}

/* A null in a new service's request is as good as a field that is not there. */
static json_t *without_nulls(const json_t *body)
{
    json_t *request = json_object();
    if (request && json_merge_patch(request, body) == 0)
        return request;
    json_decref(request);
    return NULL;
}

int plan_create(struct plan *p, const json_t *body, struct error *e)
{
    struct deployments *d = p->deployments;
    p->request = without_nulls(body);
    if (!p->request)
        return error_set(e, ERR_INTERNAL, "No memory.");
    drop_origin(p->request);
    int r = name_is_free(d, json_str(p->request, "name"), e);
    if (r == 0)
        r = first_node(d, p->request, p->node, e);
    return r == 0 ? seal_request(p, e) : r;
}

/* ---- what there is ---- */

/* Host ports below the range that the kernel gives out were chosen by someone: they stay. */
#define FIRST_EPHEMERAL_PORT 32768

static json_t *chosen_ports(const json_t *service)
{
    size_t i;
    json_t *p, *list = json_array();
    json_array_foreach (json_at(service, "networking.ports"), i, p) {
        int64_t host = json_int(p, "host", 0);
        if (host && host < FIRST_EPHEMERAL_PORT)
            (void)json_array_append_new(list, json_pack("{s:I, s:I, s:s}", "container",
                                                        (json_int_t)json_int(p, "container", 0), "host",
                                                        (json_int_t)host, "protocol", json_str(p, "protocol")));
    }
    return list;
}

/* The request that an adopted container would have been deployed with. */
static json_t *request_of_adopted(struct deployments *d, const json_t *service, struct error *e)
{
    struct container_engine *engine = NULL;
    json_t *environment = NULL;
    const char *container = json_str(service, "container.id");
    if (!container) {
        (void)error_set(e, ERR_CONFLICT, "The service has no container and no release. Remove it and deploy it anew.");
        return NULL;
    }
    if (runtime_engine(d->runtime, json_str(service, "nodeId"), &engine, e) < 0 ||
        engine->ops->environment(engine, container, &environment, e) < 0)
        return NULL;
    json_t *request =
        json_pack("{s:s, s:s, s:s?, s:{s:s, s:O, s:o, s:o}, s:{s:O, s:O}}", "name", json_str(service, "name"), "type",
                  json_str(service, "type"), "environment", json_str(service, "environment"), "container", "image",
                  json_str(service, "container.image"), "volumes", json_at(service, "container.volumes"), "ports",
                  chosen_ports(service), "environment", environment, "networking", "internalPort",
                  json_at(service, "networking.internalPort"), "domains", json_at(service, "networking.domains"));
    const char *tag = json_str(service, "container.tag");
    if (request && tag && *tag)
        (void)json_put(request, "container.tag", json_string(tag));
    if (request && json_str(service, "networking.healthCheck.path"))
        (void)json_put(request, "networking.healthCheck.path",
                       json_string(json_str(service, "networking.healthCheck.path")));
    if (!request)
        (void)error_set(e, ERR_INTERNAL, "No memory.");
    return request;
}

static int load_old(struct plan *p, const json_t *service, struct error *e)
{
    int r = release_before(p->deployments, p->service->id, &p->old, e);
    if (r == -ERR_NOT_FOUND) {
        _cleanup_json_ json_t *adopted = request_of_adopted(p->deployments, service, e);
        r = adopted ? release_from_request(adopted, &p->old, e) : -(int)e->code;
    }
    p->has_old = r == 0;
    return r;
}

int deployment_service(struct deployments *d, const char *service, struct entity **ret, struct error *e)
{
    struct entity **list = NULL;
    size_t n = 0;
    int r = runtime_service_instances(d->runtime, service, &list, &n, e);
    if (r == 0)
        r = runtime_service(d->runtime, list[0]->id, ret, e);
    runtime_instances_free(list, n);
    return r;
}

static int load_service(struct plan *p, const char *service, struct error *e)
{
    int r = deployment_service(p->deployments, service, &p->service, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *document = entity_document(p->service);
    if (!json_flag(document, "managed", false))
        return error_set(e, ERR_CONFLICT, "hbcloud does not manage %s. Adopt it first.", p->service->name);
    r = load_old(p, document, e);
    return r == 0 ? target_node(p->deployments, json_str(document, "nodeId"), p->node, e) : r;
}

/* ---- a change ---- */

/* A tag in the patch replaces one in the stored image, and the other way round. */
static void merge_image(json_t *request, const json_t *patch)
{
    const char *image = json_str(patch, "container.image"), *tag = json_str(patch, "container.tag");
    struct image_name name;
    if (image && !tag)
        (void)json_object_del(json_at(request, "container"), "tag");
    if (tag && !image && image_name_parse(json_str(request, "container.image"), NULL, &name, NULL) == 0)
        (void)json_put(request, "container.image", json_string(name.name));
}

/* A value of the environment is one thing: a secret's name does not merge with another's version. */
static void merge_environment(json_t *request, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach (json_at(patch, "container.environment"), key, value)
        if (json_is_object(value))
            (void)json_object_set_new(json_at(request, "container.environment"), key, json_deep_copy(value));
}

static int check_stays(struct plan *p, const json_t *patch, struct error *e)
{
    _cleanup_entity_ struct entity *wanted = NULL;
    const char *node = json_str(patch, "nodeId");
    int r = node ? runtime_node(p->deployments->runtime, node, &wanted, e) : 0;
    if (r < 0 || !wanted || str_eq(wanted->id, p->node))
        return r;
    (void)error_set(e, ERR_CONFLICT, "A service stays on its node. Deploy it under another name on %s.", wanted->name);
    error_detail(e, "/nodeId", "must be the node that the service is on");
    return -ERR_CONFLICT;
}

static int merge(struct plan *p, const json_t *patch, struct error *e)
{
    struct release base = { 0 };
    int r = release_wanted(p->deployments, p->service->id, &base, e);
    if (r == -ERR_NOT_FOUND) {
        error_done(e);
        *e = ERROR_INIT;
        p->request = release_request(&p->old);
        r = 0;
    } else if (r == 0) {
        p->request = release_request(&base);
    }
    release_done(&base);
    if (r == 0 && (!p->request || json_merge_patch(p->request, patch) < 0))
        return error_set(e, ERR_INTERNAL, "No memory.");
    return r;
}

/* The request that would have made it, with the name and the node that stay. */
static int replace(struct plan *p, const json_t *body, struct error *e)
{
    const json_t *old = p->old.specification;
    p->request = without_nulls(body);
    if (!p->request)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)json_put(p->request, "name", json_string(p->service->name));
    if (json_str(old, "nodeId") && !json_str(p->request, "nodeId"))
        (void)json_put(p->request, "nodeId", json_string(json_str(old, "nodeId")));
    if (!json_str(p->request, "type"))
        (void)json_put(p->request, "type", json_string("web"));
    if (json_str(p->request, "container.image"))
        return 0;
    (void)error_set(e, ERR_VALIDATION, "The whole service needs an image.");
    error_detail(e, "/container/image", "is required");
    return -ERR_VALIDATION;
}

int plan_change(struct plan *p, const char *service, const json_t *patch, bool whole, struct error *e)
{
    int r = load_service(p, service, e);
    if (r == 0)
        r = whole ? replace(p, patch, e) : merge(p, patch, e);
    if (r < 0)
        return r;
    drop_origin(p->request);
    if (!whole) {
        merge_image(p->request, patch);
        merge_environment(p->request, patch);
    }
    if (!json_str(p->request, "environment"))
        (void)json_put(p->request, "environment", json_string("production"));
    r = check_stays(p, patch, e);
    return r == 0 ? seal_request(p, e) : r;
}

/* ---- an earlier release ---- */

static int earlier(struct plan *p, int number, struct release *ret, char *ret_digest, size_t size, struct error *e)
{
    struct deployments *d = p->deployments;
    bool served = false;
    struct container_engine *engine = NULL;
    char image[700];
    int r = release_earlier(d, p->service->id, number, ret, ret_digest, size, &served, e);
    if (r == 0)
        r = runtime_engine(d->runtime, p->node, &engine, e);
    if (r == 0)
        r = release_possible(d, ret, ret_digest, served, engine, image, sizeof image, e);
    if (r < 0)
        return r;
    /* By digest: the tag may mean something else by now. */
    (void)json_put(ret->specification, "container.image", json_string(image));
    (void)json_object_del(json_at(ret->specification, "container"), "tag");
    return 0;
}

int plan_rollback(struct plan *p, const char *service, int number, struct error *e)
{
    struct release target = { 0 };
    char digest[256] = "";
    int r = load_service(p, service, e);
    if (r == 0)
        r = earlier(p, number, &target, digest, sizeof digest, e);
    if (r == 0) {
        p->rollback_to = target.number;
        p->request = release_request(&target);
        r = p->request ? seal_request(p, e) : error_set(e, ERR_INTERNAL, "No memory.");
    }
    release_done(&target);
    return r;
}

/* ---- beginning ---- */

static json_t *git_of(const json_t *given)
{
    json_t *git = json_deep_copy(given);
    if (git && !json_str(git, "commitMessage"))
        (void)json_object_set_new(git, "commitMessage", json_string(""));
    if (git && !json_str(git, "author"))
        (void)json_object_set_new(git, "author", json_string(""));
    return git;
}

static json_t *record_document(struct plan *p)
{
    char at[TIME_TEXT_LEN + 1];
    json_t *changes = changes_between(p->has_old ? p->old.specification : NULL, p->release.specification,
                                      p->old.environment, p->release.environment);
    json_t *d = json_pack(
        "{s:s, s:s, s:s, s:s, s:{s:s, s:s?, s:s, s:s, s:i}, s:o, s:{s:s, s:i, s:[], s:n}, s:{s:s, s:[]},"
        " s:{s:{s:b, s:{}}, s:{s:b, s:{}, s:[]}}}",
        "id", p->deployment_id, "serviceInstanceId", p->service->id, "serviceName", p->service->name, "nodeId", p->node,
        "deployment", "trigger", p->trigger, "pipeline", p->pipeline, "initiatedBy", p->initiated_by, "environment",
        json_str(p->request, "environment"), "release", p->release.number, "changes", changes, "status", "state",
        "initiated", "progress", 0, "logs", "step", "timing", "startedAt", time_format(clock_now_ms(), at), "phases",
        "monitoring", "preDeploy", "healthChecks", 0, "performanceBaseline", "postDeploy", "healthVerification", 0,
        "performanceComparison", "alertsTriggered");
    if (d && p->git)
        (void)json_object_set_new(d, "git", git_of(p->git));
    return d;
}

static int make_service(struct plan *p, struct error *e)
{
    _cleanup_json_ json_t *document = planned_service(p->release.specification, p->node, &p->image);
    return document ? runtime_service_save(p->deployments->runtime, document, 0, &p->service, e)
                    : error_set(e, ERR_INTERNAL, "No memory.");
}

static int enter(struct plan *p, struct error *e)
{
    struct record record = { .started_ms = clock_now_ms(), .document = record_document(p) };
    str_copy(record.service_name, sizeof record.service_name, p->service->name);
    str_copy(record.release_id, sizeof record.release_id, p->release.id);
    if (record.document && p->rollback_to)
        record_log(&record, "release %d is release %d again", p->release.number, p->rollback_to);
    if (record.document && p->reason)
        record_log(&record, "%s", p->reason);
    if (record.document && p->only_missing)
        (void)json_put(record.document, "deployment.onlyMissing", json_true());
    int r = record.document ? queue_enter(p->deployments, &record, e) : error_set(e, ERR_INTERNAL, "No memory.");
    record_done(&record);
    return r;
}

int plan_begin(struct plan *p, struct error *e)
{
    struct deployments *d = p->deployments;
    struct entity *after = NULL;
    bool made = !p->service;
    int r = made ? make_service(p, e) : 0;
    if (r < 0)
        return r;
    r = release_store(d, p->service->id, p->initiated_by, &p->release, e);
    if (r == 0)
        r = enter(p, e);
    if (r < 0) {
        if (made)
            (void)runtime_service_forget(d->runtime, p->service->id, NULL);
        return r;
    }
    if (runtime_service(d->runtime, p->service->id, &after, NULL) == 0) {
        entity_unref(p->service);
        p->service = after;
    }
    return 0;
}
