#include "deployment/plan.h"

#include <stdio.h>

/* POST, PATCH and rollback: who asks, what is answered. What is deployed is plan.c's. */

static void read_origin(struct plan *p, struct request *rq, const json_t *body, const char *trigger)
{
    const char *said = json_str(body, "trigger"), *by = json_str(body, "initiatedBy");
    const struct actor *actor = request_actor(rq);
    p->trigger = said ? said : trigger;
    p->initiated_by = by ? by : actor->name[0] ? actor->name : "owner";
    p->pipeline = json_str(body, "pipeline");
    p->git = json_at(body, "git");
    p->admin = actor->role == ROLE_ADMIN;
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

/* As it is when the request is answered: a new service is registered by its deployment. */
static bool is_registered(const struct plan *p)
{
    _cleanup_json_ json_t *x = entity_document(p->service);
    return gateway_registered(p->deployments->gateway, json_str(x, "monitoring.consulServiceId"));
}

static void answer(struct plan *p, struct reply *rp, int status)
{
    static const char *const setups[] = { "datadog_configured", "newrelic_configured", "sentry_configured" };
    struct jw *w = reply_json(rp, status);
    jw_object(w);
    jw_key(w, "deployment_id"), jw_string(w, p->deployment_id);
    jw_key(w, "service_instance"), jw_raw(w, p->service->json->data, p->service->json->len);
    jw_key(w, "monitoring_setup"), jw_object(w);
    /* None of these is connected by this version: the truth is false. */
    for (size_t i = 0; i < ARRAY_LEN(setups); i++)
        jw_key(w, setups[i]), jw_bool(w, false);
    /* What was registered before; a new service is registered when it is healthy. */
    jw_key(w, "consul_registered"), jw_bool(w, is_registered(p));
    jw_end(w);
    jw_end(w);
    reply_etag(rp, p->service->etag);
}

/* What CI asks for itself is held back by the gates of the service's rules. */
static int check_gates(const struct plan *p, struct error *e)
{
    const struct deployments *d = p->deployments;
    const struct deployment_origin o = { .trigger = p->trigger,
                                         .initiated_by = p->initiated_by,
                                         .pipeline = p->pipeline,
                                         .git = p->git,
                                         .admin = p->admin };
    return d->gate ? d->gate(d->gate_ctx, json_str(p->request, "name"), json_str(p->request, "environment"), &o, e) : 0;
}

/* One request of a service at a time. `service` is a name, or an id of one that is there. */
static pthread_mutex_t *lock_of(struct deployments *d, const char *service)
{
    _cleanup_entity_ struct entity *x = NULL;
    const char *name = runtime_service(d->runtime, service, &x, NULL) == 0 ? x->name : service;
    size_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return &d->request_locks[h % REQUEST_LOCKS];
}

/* Plans under the lock; then tells the plan, or begins. 1: only told. */
static int finish_request(struct plan *p, struct request *rq, struct reply *rp, struct error *e)
{
    if (!request_flag(rq, "plan", false)) {
        int r = check_gates(p, e);
        return r == 0 ? plan_begin(p, e) : r;
    }
    plan_answer(p, rp);
    return 1;
}

int deploy_service(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    _cleanup_(plan_done) struct plan p = { .deployments = d };
    char location[64];
    read_origin(&p, rq, request_body(rq), "manual");
    pthread_mutex_t *lock = lock_of(d, json_str(request_body(rq), "name"));
    (void)pthread_mutex_lock(lock);
    int r = plan_create(&p, request_body(rq), e);
    if (r == 0)
        r = finish_request(&p, rq, rp, e);
    (void)pthread_mutex_unlock(lock);
    if (r != 0)
        return r < 0 ? r : 0;
    _cleanup_json_ json_t *after = masked(p.request);
    request_audit(rq, "service", p.service->id, NULL, after);
    (void)snprintf(location, sizeof location, "/v1/services/%s", p.service->id);
    reply_header(rp, "Location", location);
    answer(&p, rp, 201);
    return 0;
}

static int check_match(struct deployments *d, struct request *rq, struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    int r = runtime_service(d->runtime, request_str(rq, "serviceId"), &x, e);
    return r == 0 ? request_if_match(rq, x->etag, e) : r;
}

int update_service(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    _cleanup_(plan_done) struct plan p = { .deployments = d };
    read_origin(&p, rq, request_body(rq), "manual");
    pthread_mutex_t *lock = lock_of(d, request_str(rq, "serviceId"));
    (void)pthread_mutex_lock(lock);
    int r = check_match(d, rq, e);
    if (r == 0)
        r = plan_change(&p, request_str(rq, "serviceId"), request_body(rq), request_flag(rq, "whole", false), e);
    if (r == 0)
        r = finish_request(&p, rq, rp, e);
    (void)pthread_mutex_unlock(lock);
    if (r != 0)
        return r < 0 ? r : 0;
    _cleanup_json_ json_t *after = masked(p.request);
    request_audit(rq, "service", p.service->id, p.old.specification, after);
    answer(&p, rp, 200);
    return 0;
}

int rollback_service(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    const json_t *body = request_body(rq);
    _cleanup_(plan_done) struct plan p = { .deployments = d };
    read_origin(&p, rq, body, "rollback");
    pthread_mutex_t *lock = lock_of(d, request_str(rq, "serviceId"));
    (void)pthread_mutex_lock(lock);
    int r = check_match(d, rq, e);
    if (r == 0)
        r = plan_rollback(&p, request_str(rq, "serviceId"), (int)json_int(body, "release", 0), e);
    if (r == 0)
        r = finish_request(&p, rq, rp, e);
    (void)pthread_mutex_unlock(lock);
    if (r != 0)
        return r < 0 ? r : 0;
    _cleanup_json_ json_t *after = masked(p.request);
    request_audit(rq, "service", p.service->id, p.old.specification, after);
    answer(&p, rp, 202);
    return 0;
}

static struct plan plan_of(struct deployments *d, const struct deployment_origin *o)
{
    return (struct plan){ .deployments = d,
                          .trigger = o->trigger,
                          .initiated_by = o->initiated_by,
                          .pipeline = o->pipeline,
                          .git = o->git,
                          .admin = o->admin,
                          .reason = o->reason,
                          .only_missing = o->only_missing };
}

int deployments_change(struct deployments *d, const char *service, const json_t *patch,
                       const struct deployment_origin *o, char ret_id[37], struct error *e)
{
    _cleanup_(plan_done) struct plan p = plan_of(d, o);
    pthread_mutex_t *lock = lock_of(d, service);
    (void)pthread_mutex_lock(lock);
    int r = plan_change(&p, service, patch, false, e);
    if (r == 0)
        r = plan_begin(&p, e);
    (void)pthread_mutex_unlock(lock);
    if (r == 0)
        memcpy(ret_id, p.deployment_id, sizeof p.deployment_id);
    return r;
}

int deployments_roll_back(struct deployments *d, const char *service, const struct deployment_origin *o,
                          char ret_id[37], struct error *e)
{
    _cleanup_(plan_done) struct plan p = plan_of(d, o);
    pthread_mutex_t *lock = lock_of(d, service);
    (void)pthread_mutex_lock(lock);
    int r = plan_rollback(&p, service, 0, e);
    if (r == 0)
        r = plan_begin(&p, e);
    (void)pthread_mutex_unlock(lock);
    if (r == 0)
        memcpy(ret_id, p.deployment_id, sizeof p.deployment_id);
    return r;
}
