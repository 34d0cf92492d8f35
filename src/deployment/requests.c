#include "deployment/internal.h"

#include <stdio.h>

/* POST and PATCH: a request becomes a service, a release, a deployment and a job. */

#define JOB_TIME_MS ((int64_t)3 * 3600 * 1000)

struct plan {
    struct deployments *deployments;
    json_t *request;            /* the whole wanted service, with secrets */
    struct image_name image;
    struct release release, old;
    bool has_old;
    struct entity *service;
    const char *trigger, *initiated_by, *pipeline;
    json_t *git;                /* borrowed */
    char deployment_id[ID_LEN + 1];
};

static void plan_done(struct plan *p)
{
    json_decref(p->request);
    release_done(&p->release);
    release_done(&p->old);
    entity_unref(p->service);
}

/* ---- rules that a schema cannot say ---- */

static int check_volumes(const json_t *request, struct error *e)
{
    size_t i, k;
    json_t *a, *b, *list = json_at(request, "container.volumes");
    char pointer[64];
    json_array_foreach (list, i, a)
        for (k = i + 1; k < json_array_size(list); k++) {
            b = json_array_get(list, k);
            if (!str_eq(json_str(a, "target"), json_str(b, "target")))
                continue;
            (void)snprintf(pointer, sizeof pointer, "/container/volumes/%zu/target", k);
            (void)error_set(e, ERR_VALIDATION, "Two volumes have the same target.");
            error_detail(e, pointer, "is the target of another volume");
            return -ERR_VALIDATION;
        }
    json_array_foreach (list, i, a) {
        const char *source = json_str(a, "source");
        if (!source || !strstr(source, "docker.sock"))
            continue;
        (void)snprintf(pointer, sizeof pointer, "/container/volumes/%zu/source", i);
        (void)error_set(e, ERR_VALIDATION, "A service may not have the engine's socket: it would be root on the node.");
        error_detail(e, pointer, "is the container engine's socket");
        return -ERR_VALIDATION;
    }
    return 0;
}

static int check_ports(const json_t *request, struct error *e)
{
    size_t i, k;
    json_t *a, *list = json_at(request, "container.ports");
    char pointer[64];
    json_array_foreach (list, i, a)
        for (k = i + 1; k < json_array_size(list); k++) {
            const json_t *b = json_array_get(list, k);
            bool same_host = json_int(a, "host", 0) && json_int(a, "host", 0) == json_int(b, "host", 0);
            bool same = json_int(a, "container", 0) == json_int(b, "container", 0);
            if ((!same_host && !same) || !str_eq(json_str(a, "protocol"), json_str(b, "protocol")))
                continue;
            (void)snprintf(pointer, sizeof pointer, "/container/ports/%zu", k);
            (void)error_set(e, ERR_VALIDATION, "A port is named twice.");
            error_detail(e, pointer, "names a port that another entry names");
            return -ERR_VALIDATION;
        }
    return 0;
}

static int check_request(struct plan *p, struct error *e)
{
    int r =
        image_name_parse(json_str(p->request, "container.image"), json_str(p->request, "container.tag"), &p->image, e);
    if (r == 0)
        r = check_volumes(p->request, e);
    if (r == 0)
        r = check_ports(p->request, e);
    return r;
}

/* ---- the record ---- */

static json_t *new_record_document(struct plan *p)
{
    char at[TIME_TEXT_LEN + 1];
    json_t *changes = changes_between(p->has_old ? p->old.specification : NULL, p->release.specification,
                                      p->old.environment, p->release.environment);
    _cleanup_json_ json_t *service = entity_document(p->service);
    json_t *d = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s?, s:s, s:s}, s:o, s:{s:s, s:i, s:[], s:n}, s:{s:s, s:[]},"
                          " s:{s:{s:b, s:{}}, s:{s:b, s:{}, s:[]}}}",
                          "id", p->deployment_id, "serviceInstanceId", p->service->id, "serviceName", p->service->name,
                          "nodeId", json_str(service, "nodeId"), "deployment", "trigger", p->trigger, "pipeline",
                          p->pipeline, "initiatedBy", p->initiated_by, "environment",
                          json_str(p->request, "environment"), "changes", changes, "status", "state", "initiated",
                          "progress", 0, "logs", "step", "timing", "startedAt", time_format(clock_now_ms(), at),
                          "phases", "monitoring", "preDeploy", "healthChecks", 0, "performanceBaseline", "postDeploy",
                          "healthVerification", 0, "performanceComparison", "alertsTriggered");
    if (d && p->git) {
        json_t *git = json_deep_copy(p->git);
        if (!json_str(git, "commitMessage"))
            (void)json_object_set_new(git, "commitMessage", json_string(""));
        if (!json_str(git, "author"))
            (void)json_object_set_new(git, "author", json_string(""));
        (void)json_object_set_new(d, "git", git);
    }
    return d;
}

static int claim(struct plan *p, struct error *e)
{
    struct deployments *d = p->deployments;
    char *id = strdup(p->deployment_id);
    (void)pthread_mutex_lock(&d->lock);
    bool busy = map_get(d->active, p->service->id) != NULL;
    int r = !id ? -1 : busy ? 0 : map_set(d->active, p->service->id, id);
    (void)pthread_mutex_unlock(&d->lock);
    if (busy || r < 0)
        free(id);
    if (busy)
        return error_set(e, ERR_CONFLICT, "Another deployment of this service is under way. Wait for its end.");
    return r < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : 0;
}

static void unclaim(struct plan *p)
{
    (void)pthread_mutex_lock(&p->deployments->lock);
    (void)map_remove(p->deployments->active, p->service->id);
    (void)pthread_mutex_unlock(&p->deployments->lock);
}

static int mark_updating(json_t *d, void *ctx UNUSED)
{
    bool first = !json_str(d, "container.id");
    (void)json_put(d, "status.deployment", json_string(first ? "deploying" : "updating"));
    (void)json_put(d, "status.message", json_string("A deployment is under way."));
    return 0;
}

/* Release, record, job: in this order, so that a hub that dies between leaves nothing that works on its own. */
static int begin(struct plan *p, struct error *e)
{
    struct deployments *d = p->deployments;
    struct record record = { .started_ms = clock_now_ms() };
    char job[ID_LEN + 1];
    int r = claim(p, e);
    if (r < 0)
        return r;
    r = release_store(d, p->service->id, &p->release, e);
    if (r == 0) {
        record.document = new_record_document(p);
        str_copy(record.service_name, sizeof record.service_name, p->service->name);
        str_copy(record.release_id, sizeof record.release_id, p->release.id);
        r = record.document ? record_insert(d, &record, e) : error_set(e, ERR_INTERNAL, "No memory.");
    }
    if (r == 0) {
        struct entity *after = NULL;
        r = runtime_service_change(d->runtime, p->service->id, mark_updating, NULL, &after, e);
        if (r == 0) {
            entity_unref(p->service);
            p->service = after;
        }
    }
    _cleanup_json_ json_t *arguments = json_pack("{s:s}", "deploymentId", p->deployment_id);
    if (r == 0)
        r = jobs_add(d->jobs, "deployment", arguments, clock_now_ms() + JOB_TIME_MS, job, e);
    record_done(&record);
    if (r < 0)
        unclaim(p);
    return r;
}

/* ---- the two requests ---- */

static void read_origin(struct plan *p, struct request *rq)
{
    const json_t *body = request_body(rq);
    const char *trigger = json_str(body, "trigger"), *by = json_str(body, "initiatedBy");
    p->trigger = trigger ? trigger : "manual";
    p->initiated_by = by ? by : request_actor(rq)->name[0] ? request_actor(rq)->name : "owner";
    p->pipeline = json_str(body, "pipeline");
    p->git = json_at(body, "git");
    (void)id_new(p->deployment_id);
}

/* What belongs to one deployment is not part of the service. */
static void drop_origin(json_t *request)
{
    static const char *const keys[] = { "trigger", "initiatedBy", "pipeline", "git" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        (void)json_object_del(request, keys[i]);
}

static json_t *masked(const json_t *request)
{
    struct release r = { 0 };
    if (release_from_request(request, &r, NULL) < 0)
        return NULL;
    json_t *copy = json_incref(r.specification);
    release_done(&r);
    return copy;
}

static void answer(struct plan *p, struct reply *rp, int status)
{
    static const char *const setups[] = { "datadog_configured", "newrelic_configured", "sentry_configured",
                                          "consul_registered" };
    struct jw *w = reply_json(rp, status);
    jw_object(w);
    jw_key(w, "deployment_id"), jw_string(w, p->deployment_id);
    jw_key(w, "service_instance"), jw_raw(w, p->service->json->data, p->service->json->len);
    jw_key(w, "monitoring_setup"), jw_object(w);
    /* None of these is connected by this version: the truth is false. */
    for (size_t i = 0; i < ARRAY_LEN(setups); i++)
        jw_key(w, setups[i]), jw_bool(w, false);
    jw_end(w);
    jw_end(w);
    reply_etag(rp, p->service->etag);
}

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
    if (r == 0) {
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

static int plan_new(struct plan *p, struct request *rq, struct error *e)
{
    struct deployments *d = p->deployments;
    char node[ID_LEN + 1];
    p->request = json_deep_copy(request_body(rq));
    if (!p->request)
        return error_set(e, ERR_INTERNAL, "No memory.");
    read_origin(p, rq);
    drop_origin(p->request);
    int r = check_request(p, e);
    if (r == 0)
        r = name_is_free(d, json_str(p->request, "name"), e);
    if (r == 0)
        r = target_node(d, json_str(p->request, "nodeId"), node, e);
    if (r == 0)
        r = release_from_request(p->request, &p->release, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *document = planned_service(p->release.specification, node, &p->image);
    return document ? runtime_service_save(d->runtime, document, 0, &p->service, e)
                    : error_set(e, ERR_INTERNAL, "No memory.");
}

int deploy_service(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    _cleanup_(plan_done) struct plan p = { .deployments = d };
    char location[64];
    (void)pthread_mutex_lock(&d->request_lock);
    int r = plan_new(&p, rq, e);
    if (r == 0) {
        r = begin(&p, e);
        if (r < 0)
            (void)runtime_service_forget(d->runtime, p.service->id, NULL);
    }
    (void)pthread_mutex_unlock(&d->request_lock);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *after = masked(p.request);
    request_audit(rq, "service", p.service->id, NULL, after);
    (void)snprintf(location, sizeof location, "/v1/services/%s", p.service->id);
    reply_header(rp, "Location", location);
    answer(&p, rp, 201);
    return 0;
}

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
    if (!container || runtime_engine(d->runtime, json_str(service, "nodeId"), &engine, e) < 0 ||
        engine->ops->environment(engine, container, &environment, e) < 0)
        return NULL;
    json_t *request =
        json_pack("{s:s, s:s, s:s?, s:{s:s, s:O, s:O, s:o}, s:{s:O, s:O}}", "name", json_str(service, "name"), "type",
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
    struct deployments *d = p->deployments;
    int r = release_current(d, p->service->id, &p->old, e);
    if (r == -ERR_NOT_FOUND) {
        _cleanup_json_ json_t *adopted = request_of_adopted(d, service, e);
        r = adopted ? release_from_request(adopted, &p->old, e) : -1;
    }
    p->has_old = r == 0;
    return r;
}

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

static int plan_change(struct plan *p, struct request *rq, struct error *e)
{
    struct deployments *d = p->deployments;
    char node[ID_LEN + 1];
    int r = runtime_service(d->runtime, request_str(rq, "serviceId"), &p->service, e);
    if (r == 0)
        r = request_if_match(rq, p->service->etag, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *service = entity_document(p->service);
    if (!json_flag(service, "managed", false))
        return error_set(e, ERR_CONFLICT, "hbcloud does not manage %s. Adopt it first.", p->service->name);
    r = load_old(p, service, e);
    if (r == 0)
        r = target_node(d, json_str(service, "nodeId"), node, e);
    if (r < 0)
        return r;
    read_origin(p, rq);
    p->request = release_request(&p->old);
    if (!p->request || json_merge_patch(p->request, request_body(rq)) < 0)
        return error_set(e, ERR_INTERNAL, "No memory.");
    drop_origin(p->request);
    merge_image(p->request, request_body(rq));
    if (!json_str(p->request, "environment"))
        (void)json_put(p->request, "environment", json_string("production"));
    if (json_str(request_body(rq), "nodeId")) {
        _cleanup_entity_ struct entity *wanted = NULL;
        r = runtime_node(d->runtime, json_str(request_body(rq), "nodeId"), &wanted, e);
        if (r == 0 && !str_eq(wanted->id, json_str(service, "nodeId"))) {
            r = error_set(e, ERR_CONFLICT, "A service stays on its node. Deploy it under another name on %s.",
                          wanted->name);
            error_detail(e, "/nodeId", "must be the node that the service is on");
        }
    }
    if (r == 0)
        r = check_request(p, e);
    return r == 0 ? release_from_request(p->request, &p->release, e) : r;
}

int update_service(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    _cleanup_(plan_done) struct plan p = { .deployments = d };
    (void)pthread_mutex_lock(&d->request_lock);
    int r = plan_change(&p, rq, e);
    if (r == 0)
        r = begin(&p, e);
    (void)pthread_mutex_unlock(&d->request_lock);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *after = masked(p.request);
    request_audit(rq, "service", p.service->id, p.old.specification, after);
    answer(&p, rp, 200);
    return 0;
}
