#include "deployment/steps.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- validate, resolve, preflight ---- */

int step_validate(struct run *r, struct error *e)
{
    _cleanup_entity_ struct entity *node = NULL;
    int res = runtime_node(r->deployments->runtime, json_str(r->service, "nodeId"), &node, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = entity_document(node);
    if (str_eq(json_str(d, "status"), "maintenance"))
        return error_set(e, ERR_CONFLICT, "Node %s is under maintenance.", node->name);
    const char *old = json_str(r->service, "container.id");
    if (old && json_str(r->service, "container.state"))
        (void)json_put(r->facts, "oldContainer", json_string(old));
    (void)json_put(r->record.document, "monitoring.preDeploy.healthChecks",
                   json_boolean(str_eq(json_str(r->service, "status.health"), "healthy")));
    return 0;
}

int step_resolve(struct run *r, struct error *e UNUSED)
{
    char reference[700];
    image_name_reference(&r->image, reference, sizeof reference);
    (void)json_put(r->facts, "reference", json_string(reference));
    record_log(&r->record, "image %s", reference);
    return 0;
}

static int check_bind_sources(struct run *r, struct error *e)
{
    size_t i;
    json_t *v;
    struct stat st;
    json_array_foreach (json_at(r->release.specification, "container.volumes"), i, v) {
        const char *source = json_str(v, "source");
        if (source[0] == '/' && stat(source, &st) < 0 && errno == ENOENT)
            return error_set(e, ERR_CONFLICT,
                             "The bind source %.300s does not exist on the node. Create it, or name a volume.", source);
    }
    return 0;
}

static bool wants_host_port(const json_t *spec, int64_t port, const char *protocol)
{
    size_t i;
    json_t *p;
    json_array_foreach (json_at(spec, "container.ports"), i, p) {
        const char *its = json_str(p, "protocol");
        if (json_int(p, "host", 0) == port && str_eq(its ? its : "tcp", protocol))
            return true;
    }
    return false;
}

/* A fixed host port that some other container publishes: said before anything is touched. One that our own old
 * container has means that the old one must stop first. */
static int check_ports(struct run *r, struct error *e)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    int res = r->engine->ops->list(r->engine, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++)
        for (size_t k = 0; res == 0 && k < list[i].port_count; k++) {
            const struct engine_port *p = &list[i].ports[k];
            if (!p->host || !wants_host_port(r->release.specification, p->host, p->protocol) ||
                str_eq(new_container(r), list[i].id))
                continue;
            if (str_eq(old_container(r), list[i].id))
                (void)json_put(r->facts, "stopOldFirst", json_true());
            else
                res = error_set(e, ERR_CONFLICT, "Host port %u is taken by container %s.", (unsigned)p->host,
                                list[i].name);
        }
    engine_containers_free(list, n);
    return res;
}

int step_preflight(struct run *r, struct error *e)
{
    struct engine_info info;
    int res = r->engine->ops->info(r->engine, &info, e);
    if (res == 0)
        res = check_bind_sources(r, e);
    if (res == 0)
        res = check_ports(r, e);
    if (res == 0)
        record_log(&r->record, "engine %s %s%s", info.kind, info.version,
                   json_flag(r->facts, "stopOldFirst", false)
                       ? "; a fixed host port: the old container stops before the new one starts"
                       : "");
    return res;
}

/* ---- pull ---- */

static int on_progress(void *ctx, const struct engine_progress *p)
{
    struct run *r = ctx;
    if (run_interrupted(r))
        return RUN_INTERRUPTED;
    if (step_late(r) || run_cancelled(r))
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

static void note_image(struct run *r, const struct engine_image *image)
{
    const char *digest = json_string_value(json_array_get(image->digests, 0));
    const char *at = digest ? strchr(digest, '@') : NULL;
    (void)json_put(r->facts, "imageId", json_string(image->id));
    (void)json_put(r->facts, "digest", json_string(at ? at + 1 : image->id));
    (void)json_put(r->facts, "imageHasCheck", json_boolean(image->has_health_check));
}

/* An image that no registry has may lie on the node already (built or imported there): then it is used. */
int step_pull(struct run *r, struct error *e)
{
    const char *reference = json_str(r->facts, "reference");
    struct engine_image image = { 0 };
    struct error pulling = ERROR_INIT;
    bool local = r->image.digest[0] && r->engine->ops->image(r->engine, reference, &image, NULL) == 0;
    int res = local ? 0 : r->engine->ops->pull(r->engine, reference, NULL, on_progress, r, &pulling);
    if (run_interrupted(r)) {
        engine_image_done(&image);
        error_done(&pulling);
        return RUN_INTERRUPTED;
    }
    if (!local && r->engine->ops->image(r->engine, reference, &image, e) < 0) {
        if (res < 0) {
            (void)error_set(e, pulling.code ? pulling.code : ERR_UPSTREAM_TIMEOUT, "The image %s cannot be pulled: %s",
                            reference, pulling.message[0] ? pulling.message : "it took too long.");
        }
        error_done(&pulling);
        return -ERR_UPSTREAM;
    }
    if (local)
        record_log(&r->record, "the image is on the node already, by digest");
    else if (res < 0)
        record_log(&r->record, "not pulled (%s); the image on the node is used", pulling.message);
    else {
        record_log(&r->record, "pulled");
        /* The last progress of a quick pull would else fall into the pause between two events. */
        r->record.published_ms = 0;
        record_publish(r->deployments, &r->record);
    }
    note_image(r, &image);
    engine_image_done(&image);
    error_done(&pulling);
    return 0;
}
