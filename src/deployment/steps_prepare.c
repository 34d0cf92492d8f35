#include "deployment/steps.h"

#include <stdio.h>

/* ---- validate ---- */

static int check_nodes(struct run *r, struct error *e)
{
    for (size_t i = 0; i < instances_count(r); i++) {
        const json_t *x = instance_at(r, i);
        _cleanup_entity_ struct entity *node = NULL;
        if (!instance_is_new(x))
            continue;
        int res = runtime_node(r->deployments->runtime, json_str(x, "node"), &node, e);
        if (res < 0)
            return res;
        _cleanup_json_ json_t *d = entity_document(node);
        if (str_eq(json_str(d, "status"), "maintenance"))
            return error_set(e, ERR_CONFLICT, "Node %s is under maintenance.", node->name);
    }
    return 0;
}

/* The release that serves now is what an undo goes back to. */
static int note_old_release(struct run *r, struct error *e)
{
    struct release old = { 0 };
    if (json_at(r->facts, "oldRelease"))
        return 0;
    int res = release_serving(r->deployments, r->service_id, &old, e);
    if (res == -ERR_NOT_FOUND) {
        error_done(e);
        *e = ERROR_INIT;
        res = json_put(r->facts, "oldRelease", json_null());
    } else if (res == 0) {
        res = json_put(r->facts, "oldRelease", json_string(old.id));
    }
    release_done(&old);
    return res;
}

/* Whether the route had upstreams before: what is not there is not gone back to. */
static int note_route(struct run *r, struct error *e)
{
    struct gateway *g = r->deployments->gateway;
    json_t *now = NULL;
    if (!g)
        return 0;
    int res = gateway_wants_route(g, r->release.specification)
                  ? gateway_route_check(g, r->service_id, r->release.specification, e)
                  : 0;
    if (res == 0 && !json_at(r->facts, "routedBefore")) {
        bool had = gateway_upstreams_get(g, r->service_id, &now, NULL) == 0 && json_array_size(now) > 0;
        (void)json_put(r->facts, "routedBefore", json_boolean(had));
        json_decref(now);
    }
    return res;
}

int step_validate(struct run *r, struct error *e)
{
    int res = note_old_release(r, e);
    if (res == 0)
        res = instances_plan(r, e);
    if (res == 0)
        res = check_nodes(r, e);
    if (res == 0)
        res = note_route(r, e);
    if (res < 0)
        return res;
    if (instances_had_old(r))
        record_log(&r->record, "strategy %s: %s", json_str(r->facts, "strategy"), json_str(r->facts, "why"));
    (void)json_put(r->record.document, "monitoring.preDeploy.healthChecks",
                   json_boolean(str_eq(json_str(r->service, "status.health"), "healthy")));
    return 0;
}

/* ---- resolve ---- */

int step_resolve(struct run *r, struct error *e)
{
    char reference[700];
    image_name_reference(&r->image, reference, sizeof reference);
    (void)json_put(r->facts, "reference", json_string(reference));
    record_log(&r->record, "image %s", reference);
    return run_secrets(r, e);
}

/* ---- pull ---- */

/* A registry that takes a connection and says nothing must not hold a deployment for the whole deadline. */
static bool is_stalled(struct run *r, const struct engine_progress *p)
{
    int64_t limit = r->deployments->pull_stall_ms, now = clock_mono_ms();
    int64_t moved = p->bytes_done + p->bytes_total + p->layers_done + p->layers_total;
    if (moved != r->pull_moved || !r->pull_moved_ms) {
        r->pull_moved = moved;
        r->pull_moved_ms = now;
    }
    r->pull_stalled = now - r->pull_moved_ms > limit;
    return r->pull_stalled;
}

static int on_progress(void *ctx, const struct engine_progress *p)
{
    struct run *r = ctx;
    if (run_interrupted(r))
        return RUN_INTERRUPTED;
    if (step_late(r) || is_stalled(r, p) || deployment_cancelled(r->deployments, r->id))
        return -1;
    double share = p->bytes_total > 0 ? (double)p->bytes_done / (double)p->bytes_total
                   : p->layers_total  ? (double)p->layers_done / p->layers_total
                                      : 0;
    double from = step_progress(STEP_PULL), to = step_progress(STEP_CREATE);
    char text[200];
    (void)snprintf(text, sizeof text, "pulling: %u of %u layers, %.1f of %.1f MB", p->layers_done, p->layers_total,
                   (double)p->bytes_done / 1e6, (double)p->bytes_total / 1e6);
    (void)json_put(r->record.document, "status.progress",
                   json_real((double)(int64_t)((from + (to - from) * (share < 1 ? share : 1)) * 10) / 10));
    (void)json_put(r->record.document, "status.message", json_string(text));
    record_publish(r->deployments, &r->record);
    return 0;
}

static void note_image(struct run *r, const char *node, const struct engine_image *image)
{
    const char *digest = json_string_value(json_array_get(image->digests, 0));
    const char *at = digest ? strchr(digest, '@') : NULL;
    for (size_t i = 0; i < instances_count(r); i++)
        if (str_eq(json_str(instance_at(r, i), "node"), node))
            (void)json_put(instance_at(r, i), "imageId", json_string(image->id));
    (void)json_put(r->facts, "digest", json_string(at ? at + 1 : image->id));
    (void)json_put(r->facts, "imageHasCheck", json_boolean(image->has_health_check));
}

struct login {
    struct registry_login kept;
    struct engine_credentials credentials;
    bool found;
};

/* The owner's credentials for the image's registry, when there are any. */
static int find_login(struct run *r, struct login *l, struct error *e)
{
    char host[256];
    if (!r->deployments->secrets)
        return 0;
    image_name_registry(&r->image, host, sizeof host);
    int res = secrets_registry(r->deployments->secrets, host, &l->kept, e);
    l->found = res == 1;
    l->credentials = (struct engine_credentials){ .username = l->kept.username,
                                                  .registry = l->kept.host,
                                                  .password = l->kept.password };
    return res < 0 ? res : 0;
}

static int pull_with_login(struct run *r, struct container_engine *g, const char *reference, struct error *e)
{
    struct login l = { .found = false };
    int res = find_login(r, &l, e);
    if (res == 0)
        res = g->ops->pull(g, reference, l.found ? &l.credentials : NULL, on_progress, r, e);
    if (l.found)
        registry_login_done(&l.kept);
    return res;
}

static int cannot_pull(const struct run *r, const char *reference, const struct error *pulling, struct error *e)
{
    if (r->pull_stalled)
        return error_set(e, ERR_UPSTREAM_TIMEOUT,
                         "The image %s cannot be pulled: nothing came from its registry for %lld s.", reference,
                         (long long)r->deployments->pull_stall_ms / 1000);
    return error_set(e, pulling->code ? pulling->code : ERR_UPSTREAM_TIMEOUT, "The image %s cannot be pulled: %s",
                     reference, pulling->message[0] ? pulling->message : "it took too long.");
}

static void say_pulled(struct run *r, bool local, int res, const struct error *pulling)
{
    if (local) {
        record_log(&r->record, "the image is on the node already");
    } else if (res < 0) {
        record_log(&r->record, "not pulled (%s); the image on the node is used", pulling->message);
    } else {
        record_log(&r->record, "pulled");
        /* The last progress of a quick pull would else fall into the pause between two events. */
        r->record.published_ms = 0;
        record_publish(r->deployments, &r->record);
    }
}

/* More of the same: the very image that serves on that node. 1 found. */
static int image_that_serves(struct run *r, const char *node, struct container_engine *g, struct engine_image *ret)
{
    for (size_t i = 0; i < instances_count(r); i++) {
        const json_t *x = instance_at(r, i);
        struct engine_container c = { 0 };
        if (!json_flag(x, "keep", false) || !str_eq(json_str(x, "old.node"), node) ||
            g->ops->inspect(g, json_str(x, "old.container"), &c, NULL) < 0)
            continue;
        bool found = g->ops->image(g, c.image_id, ret, NULL) == 0;
        engine_container_done(&c);
        if (found)
            return 1;
    }
    return 0;
}

/* An image that no registry has may lie on the node already (built or imported there): then it is used. */
static int pull_on(struct run *r, const char *node, struct error *e)
{
    const char *reference = json_str(r->facts, "reference");
    struct engine_image image = { 0 };
    struct error pulling = ERROR_INIT;
    struct container_engine *g = NULL;
    int res = instance_engine(r, node, &g, e);
    if (res < 0)
        return res;
    r->pull_moved_ms = 0;
    /* By digest, or by the id that an image without a registry has: what is there is what is meant. */
    bool exact = r->image.digest[0] || str_eq(r->image.name, "sha256");
    bool local =
        (exact && g->ops->image(g, reference, &image, NULL) == 0) || image_that_serves(r, node, g, &image) == 1;
    res = local ? 0 : pull_with_login(r, g, reference, &pulling);
    int found = local ? 0 : run_interrupted(r) ? RUN_INTERRUPTED : g->ops->image(g, reference, &image, e);
    if (deployment_cancelled(r->deployments, r->id))
        found = found < 0 ? found : 0;
    if (found == 0) {
        say_pulled(r, local, res, &pulling);
        note_image(r, node, &image);
        found = preflight_image(r, node, &image, e);
    } else if (found != RUN_INTERRUPTED && found != -ERR_UNAVAILABLE && res < 0) { /* away is no word on the image */
        found = cannot_pull(r, reference, &pulling, e);
    }
    engine_image_done(&image);
    error_done(&pulling);
    return found;
}

int step_pull(struct run *r, struct error *e)
{
    int res = 0;
    for (size_t i = 0; res == 0 && i < instances_count(r); i++) {
        const json_t *x = instance_at(r, i);
        if (instance_is_new(x) && !json_str(x, "imageId"))
            res = pull_on(r, json_str(x, "node"), e);
    }
    return res;
}
