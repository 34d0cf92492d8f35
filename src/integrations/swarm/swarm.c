#include "integrations/swarm/swarm.h"

#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_login.h"
#include "integrations/docker/docker_ops.h"
#include "integrations/docker/docker_reference.h"
#include "integrations/docker/docker_spec.h"
#include "integrations/swarm/swarm_spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define SWARM_MAGIC 0x7377726du
#define NO_MANAGER 503 /* what an engine answers that is none */

struct swarm {
    struct container_scheduler base; /* first: callers hold this */
    uint32_t magic;
    struct container_engine *manager;
};

static struct swarm *swarm_of(struct container_scheduler *s)
{
    struct swarm *w = (struct swarm *)s;
    MAGIC_CHECK(w, SWARM_MAGIC);
    return w;
}

/* ---- calls ---- */

/* `values` (may be NULL) are masked where the answer repeats them. 2xx: 0 and the answer, when it is JSON. */
static int call(struct swarm *w, const struct docker_call *c, const char *what, const json_t *values, json_t **ret,
                long *ret_status, struct error *e)
{
    _cleanup_(docker_reply_done) struct docker_reply reply;
    int r = docker_client_call(docker_ops_client(w->manager), c, &reply, e);
    if (r < 0)
        return r;
    if (ret_status)
        *ret_status = reply.status;
    if (reply.status == NO_MANAGER)
        return error_set(e, ERR_CONFLICT, "The engine is no manager of a Swarm: start one there, or name a manager.");
    if (reply.status < 200 || reply.status >= 300)
        return docker_refused(reply.status, buf_str(&reply.body), reply.body.len, what, values, e);
    if (ret && json_parse(buf_str(&reply.body), reply.body.len, ret, NULL) < 0)
        return error_set(e, ERR_UPSTREAM, "The cluster's answer about %.100s cannot be read.", what);
    return 0;
}

static int check_name(const char *name, struct error *e)
{
    return docker_name_valid(name) && strlen(name) <= 63
               ? 0
               : error_set(e, ERR_VALIDATION,
                           "\"%.100s\" is no name for a service of a cluster (at most 63 characters).",
                           name ? name : "");
}

/* By its whole name: asked by path, an engine also takes the beginning of an id. `ret` NULL: there is none. */
static int find(struct swarm *w, const char *name, json_t **ret, struct error *e)
{
    char path[256];
    _cleanup_json_ json_t *all = NULL;
    size_t i;
    json_t *one;
    int r = check_name(name, e);
    if (r < 0)
        return r;
    /* {"name":["…"]} */
    (void)snprintf(path, sizeof(path), "/services?filters=%%7B%%22name%%22%%3A%%5B%%22%s%%22%%5D%%7D", name);
    struct docker_call c = { .method = "GET", .path = path, .deadline_ms = DOCKER_QUERY_MS };
    if ((r = call(w, &c, name, NULL, &all, NULL, e)) < 0)
        return r;
    *ret = NULL;
    json_array_foreach (all, i, one)
        if (!*ret && str_eq(json_str(one, "Spec.Name"), name) && docker_name_valid(json_str(one, "ID")))
            *ret = json_incref(one);
    return 0;
}

static int must_find(struct swarm *w, const char *name, json_t **ret, struct error *e)
{
    int r = find(w, name, ret, e);
    if (r == 0 && !*ret)
        r = error_set(e, ERR_NOT_FOUND, "The cluster has no service named %.100s.", name);
    return r;
}

static int64_t version_of(const json_t *service)
{
    return json_int(service, "Version.Index", 0);
}

/* Someone who changed the service meanwhile makes the version wrong: said as a conflict. */
static int outcome(int r, const char *name, struct error *e)
{
    if (r < 0 && e && strstr(e->message, "update out of sequence"))
        return error_set(e, ERR_CONFLICT, "The service %.100s was changed by someone else meanwhile.", name);
    return r;
}

/* ---- what callers ask for ---- */

static int send_spec(struct swarm *w, const struct scheduler_spec *spec, const char *path, const char *login,
                     struct error *e)
{
    struct buf body;
    buf_init(&body, DOCKER_SPEC_BODY_MAX);
    swarm_spec_write(spec, &body);
    struct docker_call c = { .method = "POST",
                             .path = path,
                             .deadline_ms = DOCKER_CHANGE_MS,
                             .body = buf_str(&body),
                             .body_len = body.len,
                             .registry_auth = login };
    int r = buf_ok(&body) ? call(w, &c, spec->container->name, spec->container->environment, NULL, NULL, e)
                          : error_set(e, ERR_VALIDATION, "The service's description is too large.");
    if (body.data)
        secret_wipe(body.data, body.cap); /* the environment's values */
    buf_done(&body);
    return outcome(r, spec->container->name, e);
}

static int deploy_with(struct swarm *w, const struct scheduler_spec *spec, const char *login, struct error *e)
{
    _cleanup_json_ json_t *now = NULL;
    char path[192] = "/services/create";
    int r = find(w, spec->container->name, &now, e);
    if (r < 0)
        return r;
    if (now)
        (void)snprintf(path, sizeof(path), "/services/%s/update?version=%" PRId64 "&registryAuthFrom=spec",
                       json_str(now, "ID"), version_of(now));
    return send_spec(w, spec, path, login, e);
}

static int s_deploy(struct container_scheduler *s, const struct scheduler_spec *spec,
                    const struct engine_credentials *c, struct error *e)
{
    struct swarm *w = swarm_of(s);
    char *login = NULL;
    int r = swarm_spec_check(spec, e);
    if (r == 0 && c)
        r = docker_login_encode(c, &login, e);
    if (r == 0)
        r = deploy_with(w, spec, login, e);
    docker_login_free(login);
    return r;
}

static int s_status(struct container_scheduler *s, const char *name, struct scheduler_status *ret, struct error *e)
{
    struct swarm *w = swarm_of(s);
    _cleanup_json_ json_t *service = NULL, *tasks = NULL;
    char path[256];
    int r = must_find(w, name, &service, e);
    if (r < 0)
        return r;
    /* {"service":["…"]} */
    (void)snprintf(path, sizeof(path), "/tasks?filters=%%7B%%22service%%22%%3A%%5B%%22%s%%22%%5D%%7D",
                   json_str(service, "ID"));
    struct docker_call c = { .method = "GET", .path = path, .deadline_ms = DOCKER_QUERY_MS };
    r = call(w, &c, name, NULL, &tasks, NULL, e);
    return r < 0 ? r : swarm_status_read(service, tasks, ret, e);
}

static int s_rollback(struct container_scheduler *s, const char *name, struct error *e)
{
    struct swarm *w = swarm_of(s);
    _cleanup_json_ json_t *service = NULL;
    char path[192];
    int r = must_find(w, name, &service, e);
    if (r < 0)
        return r;
    if (!json_is_object(json_at(service, "PreviousSpec")))
        return error_set(e, ERR_CONFLICT, "The service %.100s has no earlier state to go back to.", name);
    (void)snprintf(path, sizeof(path), "/services/%s/update?version=%" PRId64 "&rollback=previous",
                   json_str(service, "ID"), version_of(service));
    size_t len = 0;
    char *body = json_text(json_at(service, "Spec"), &len); /* what counts is the one before, which the cluster has */
    if (!body)
        return error_errno(e, -ENOMEM, "Rolling a service back");
    struct docker_call c = {
        .method = "POST", .path = path, .deadline_ms = DOCKER_CHANGE_MS, .body = body, .body_len = len
    };
    r = call(w, &c, name, NULL, NULL, NULL, e);
    secret_wipe(body, len);
    free(body);
    return outcome(r, name, e);
}

static int s_remove(struct container_scheduler *s, const char *name, struct error *e)
{
    struct swarm *w = swarm_of(s);
    _cleanup_json_ json_t *service = NULL;
    _cleanup_error_ struct error own = ERROR_INIT;
    char path[192];
    long status = 0;
    int r = find(w, name, &service, e);
    if (r < 0 || !service)
        return r;
    (void)snprintf(path, sizeof(path), "/services/%s", json_str(service, "ID"));
    struct docker_call c = { .method = "DELETE", .path = path, .deadline_ms = DOCKER_CHANGE_MS };
    r = call(w, &c, name, NULL, NULL, &status, &own);
    return r == 0 || status == 404 ? 0 : error_set(e, own.code, "%s", own.message);
}

static void s_free(struct container_scheduler *s)
{
    if (!s)
        return;
    struct swarm *w = swarm_of(s);
    w->manager->ops->free(w->manager);
    w->magic = 0;
    free(w);
}

static const struct scheduler_ops ops = {
    .deploy = s_deploy, .status = s_status, .rollback = s_rollback, .remove = s_remove, .free = s_free
};

int swarm_scheduler_open(const struct docker_engine_options *manager, struct container_scheduler **ret, struct error *e)
{
    struct swarm *w = calloc(1, sizeof(*w));
    if (!w)
        return error_errno(e, -ENOMEM, "Preparing the cluster");
    int r = docker_engine_open(manager, &w->manager, e);
    if (r < 0) {
        free(w);
        return r;
    }
    w->base.ops = &ops;
    w->magic = SWARM_MAGIC;
    *ret = &w->base;
    return 0;
}
