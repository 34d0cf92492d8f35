#include "deployment/plan.h"
#include "deployment/steps.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What would make a deployment fail half-way is found before anything is touched, and said by its cause. */

#define DISK_FREE_MIN ((int64_t)256 << 20)
#define API_MIN_MINOR 40 /* of engine API 1.x */
#define DEPENDENCY_WAIT_MS ((int64_t)600 * 1000)

struct look { /* at one node */
    struct run *run;
    const char *node;
    bool local;
    struct container_engine *engine;
    struct engine_info info;
};

static const json_t *spec_of(const struct look *l)
{
    return l->run->release.specification;
}

/* ---- the node's own ---- */

static int check_bind_sources(struct look *l, struct error *e)
{
    size_t i;
    json_t *v;
    struct stat st;
    if (!l->local)
        return 0;
    json_array_foreach (json_at(spec_of(l), "container.volumes"), i, v) {
        const char *source = json_str(v, "source");
        if (source[0] == '/' && stat(source, &st) < 0 && errno == ENOENT)
            return error_set(e, ERR_CONFLICT,
                             "The bind source %.300s does not exist on the node. Create it, or name a volume.", source);
    }
    return 0;
}

static int check_disk(struct look *l, struct error *e)
{
    struct statvfs fs;
    if (!l->local || !l->info.root_directory[0] || statvfs(l->info.root_directory, &fs) < 0)
        return 0;
    int64_t left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (left >= DISK_FREE_MIN)
        return 0;
    return error_set(
        e, ERR_CONFLICT,
        "The disk of the container engine is full: %lld MB are free in %.200s, and %lld MB are needed at least.",
        (long long)(left >> 20), l->info.root_directory, (long long)(DISK_FREE_MIN >> 20));
}

static int check_memory(struct look *l, struct error *e)
{
    double wanted = json_num(spec_of(l), "container.resources.memory", 0) * (1 << 20);
    if (!l->info.memory_total || wanted <= (double)l->info.memory_total)
        return 0;
    return error_set(e, ERR_CONFLICT, "A memory limit of %.0f MB is more than the node has: %lld MB.",
                     wanted / (1 << 20), (long long)(l->info.memory_total >> 20));
}

static int check_engine(struct look *l, struct error *e)
{
    unsigned major = 0, minor = 0;
    if (sscanf(l->info.api_version, "%u.%u", &major, &minor) != 2 || major != 1 || minor >= API_MIN_MINOR)
        return 0;
    return error_set(e, ERR_CONFLICT, "The container engine is too old: its API is %s, and 1.%d is needed.",
                     l->info.api_version, API_MIN_MINOR);
}

static int check_gpus(struct look *l, struct error *e)
{
    const json_t *gpus = json_at(spec_of(l), "container.gpus");
    if (!l->local || !gpus || json_is_null(gpus) || access("/dev/nvidiactl", F_OK) == 0 ||
        access("/dev/dxg", F_OK) == 0)
        return 0;
    return error_set(e, ERR_CONFLICT, "The service wants graphics processors, and the node has none.");
}

/* ---- names and ports that others have ---- */

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

/* The service's own container, old or of an earlier try of this deployment. */
static bool is_own(const struct run *r, const struct engine_container *c)
{
    if (str_eq(json_string_value(json_object_get(c->labels, LABEL_SERVICE)), r->name))
        return true;
    for (size_t i = 0; i < instances_count(r); i++)
        if (str_eq(json_str(instance_at(r, i), "old.container"), c->id))
            return true;
    return false;
}

static int check_one_container(struct look *l, const struct engine_container *c, struct error *e)
{
    const char *fixed = json_str(spec_of(l), "container.name");
    if (is_own(l->run, c))
        return 0;
    if (fixed && str_eq(c->name, fixed))
        return error_set(e, ERR_CONFLICT, "The container name %s is taken by a container that is not this service's.",
                         fixed);
    for (size_t k = 0; k < c->port_count; k++)
        if (c->ports[k].host && wants_host_port(spec_of(l), c->ports[k].host, c->ports[k].protocol))
            return error_set(e, ERR_CONFLICT, "Host port %u is taken by container %s.", (unsigned)c->ports[k].host,
                             c->name);
    return 0;
}

static int check_containers(struct look *l, struct error *e)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    int res = l->engine->ops->list(l->engine, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++)
        res = check_one_container(l, &list[i], e);
    engine_containers_free(list, n);
    return res;
}

/* What can be once on a node cannot be there for two instances. */
static int check_alone(struct run *r, struct error *e)
{
    int64_t wanted = strategy_instances(r->release.specification);
    bool single = json_str(r->release.specification, "container.name") || strategy_fixed_port(r->release.specification);
    if (!single || wanted < 2)
        return 0;
    for (size_t a = 0; a < instances_count(r); a++)
        for (size_t b = a + 1; b < instances_count(r); b++)
            if (str_eq(json_str(instance_at(r, a), "node"), json_str(instance_at(r, b), "node")))
                return error_set(
                    e, ERR_CONFLICT,
                    "%lld instances cannot be on one node: a fixed container name or host port is there once.",
                    (long long)wanted);
    return 0;
}

/* ---- volumes and networks that others have ---- */

static bool same_project(const struct look *l, const json_t *labels)
{
    const char *theirs = json_string_value(json_object_get(labels, LABEL_PROJECT));
    const json_t *own = json_at(spec_of(l), "labels");
    const char *ours = json_string_value(json_object_get(own, LABEL_PROJECT));
    return theirs && str_eq(theirs, ours);
}

static int check_volume(struct look *l, const json_t *wanted, const struct engine_volume *v, struct error *e)
{
    const char *owner = json_string_value(json_object_get(v->labels, LABEL_SERVICE));
    if (!owner || str_eq(owner, l->run->name) || json_flag(wanted, "readonly", false) || same_project(l, v->labels))
        return 0;
    return error_set(e, ERR_CONFLICT,
                     "The volume %.200s belongs to the service %.100s. Mount it readonly, or name another.", v->name,
                     owner);
}

static int check_volumes(struct look *l, struct error *e)
{
    struct engine_volume *list = NULL;
    size_t n = 0, i;
    json_t *wanted;
    const json_t *volumes = json_at(spec_of(l), "container.volumes");
    if (!json_array_size(volumes) || !l->engine->ops->volumes)
        return 0;
    int res = l->engine->ops->volumes(l->engine, &list, &n, e);
    json_array_foreach (volumes, i, wanted) {
        bool there = false;
        for (size_t k = 0; res == 0 && k < n; k++)
            if (str_eq(json_str(wanted, "source"), list[k].name)) {
                there = true;
                res = json_flag(wanted, "external", false) ? 0 : check_volume(l, wanted, &list[k], e);
            }
        if (res == 0 && !there && json_flag(wanted, "external", false))
            res = error_set(e, ERR_CONFLICT, "The volume %.200s does not exist, and it is not this service's to make.",
                            json_str(wanted, "source"));
    }
    engine_volumes_free(list, n);
    return res;
}

static int check_networks(struct look *l, struct error *e)
{
    struct engine_network *list = NULL;
    size_t n = 0, i;
    json_t *wanted;
    const json_t *networks = json_at(spec_of(l), "container.networks");
    if (!json_array_size(networks) || !l->engine->ops->networks)
        return 0;
    int res = l->engine->ops->networks(l->engine, &list, &n, e);
    json_array_foreach (networks, i, wanted) {
        bool there = false;
        for (size_t k = 0; res == 0 && k < n; k++) {
            if (!str_eq(json_str(wanted, "name"), list[k].name))
                continue;
            there = true;
            if (json_at(wanted, "internal") && json_flag(wanted, "internal", false) != list[k].internal)
                res = error_set(e, ERR_CONFLICT, "The network %.100s exists, and it is %s.", list[k].name,
                                list[k].internal ? "internal" : "not internal");
        }
        if (res == 0 && !there && json_flag(wanted, "external", false))
            res = error_set(e, ERR_CONFLICT, "The network %.100s does not exist, and it is not this service's to make.",
                            json_str(wanted, "name"));
    }
    engine_networks_free(list, n);
    return res;
}

/* ---- dependencies: waited for without keeping a worker ---- */

static bool is_met(struct run *r, const json_t *dependency)
{
    _cleanup_entity_ struct entity *x = NULL;
    const char *condition = json_str(dependency, "condition");
    if (runtime_service(r->deployments->runtime, json_str(dependency, "service"), &x, NULL) < 0)
        return false;
    _cleanup_json_ json_t *d = entity_document(x);
    bool runs = str_eq(json_str(d, "container.state"), "running");
    if (str_eq(condition, "healthy"))
        return runs && str_eq(json_str(d, "status.health"), "healthy");
    if (str_eq(condition, "completed"))
        return str_eq(json_str(d, "container.state"), "exited") && str_eq(json_str(d, "status.deployment"), "stopped");
    return runs || str_eq(json_str(d, "status.deployment"), "updating");
}

static int await_dependency(struct run *r, const json_t *dependency, struct error *e)
{
    char until[400];
    const char *service = json_str(dependency, "service"), *condition = json_str(dependency, "condition");
    condition = condition ? condition : "started";
    (void)snprintf(until, sizeof until, "%s is %s", service, condition);
    int res = run_later(r, STEP_PREFLIGHT, until, NULL, DEPENDENCY_WAIT_MS, e);
    return res < 0 ? res
                   : error_set(e, ERR_TIMEOUT, "The service %s, on which this one depends, was not %s within %lld s.",
                               service, condition, (long long)DEPENDENCY_WAIT_MS / 1000);
}

static int check_dependencies(struct run *r, struct error *e)
{
    size_t i;
    json_t *dependency;
    json_array_foreach (json_at(r->release.specification, "dependsOn"), i, dependency)
        if (!is_met(r, dependency))
            return await_dependency(r, dependency, e);
    return 0;
}

/* ---- the step ---- */

static int (*const checks[])(struct look *l, struct error *e) = {
    check_engine, check_disk,    check_memory,   check_bind_sources,
    check_gpus,   check_volumes, check_networks, check_containers,
};

static int look_at(struct run *r, const char *node, struct error *e)
{
    struct look l = { .run = r, .node = node, .local = str_eq(node, runtime_hub_node(r->deployments->runtime)) };
    int res = instance_engine(r, node, &l.engine, e);
    if (res == 0)
        res = l.engine->ops->info(l.engine, &l.info, e);
    for (size_t i = 0; res == 0 && i < ARRAY_LEN(checks); i++)
        res = checks[i](&l, e);
    if (res == 0)
        record_log(&r->record, "engine %s %s", l.info.kind, l.info.version);
    return res;
}

static bool seen_before(const struct run *r, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (instance_is_new(instance_at(r, i)) &&
            str_eq(json_str(instance_at(r, i), "node"), json_str(instance_at(r, at), "node")))
            return true;
    return false;
}

int step_preflight(struct run *r, struct error *e)
{
    int res = check_dependencies(r, e);
    if (res == 0)
        res = check_alone(r, e);
    for (size_t i = 0; res == 0 && i < instances_count(r); i++)
        if (instance_is_new(instance_at(r, i)) && !seen_before(r, i))
            res = look_at(r, json_str(instance_at(r, i), "node"), e);
    return res;
}

/* ---- after the pull ---- */

static const char *common_name(const char *architecture)
{
    return str_eq(architecture, "x86_64")    ? "amd64"
           : str_eq(architecture, "aarch64") ? "arm64"
           : str_eq(architecture, "armv7l")  ? "arm"
                                             : architecture;
}

int preflight_image(struct run *r, const char *node, const struct engine_image *image, struct error *e)
{
    struct container_engine *g = NULL;
    struct engine_info info = { 0 };
    int res = instance_engine(r, node, &g, e);
    if (res == 0)
        res = g->ops->info(g, &info, e);
    if (res < 0 || !image->architecture[0] || !info.architecture[0])
        return res;
    if (str_eq(common_name(image->architecture), common_name(info.architecture)))
        return 0;
    return error_set(e, ERR_CONFLICT, "The image is made for %s, and the node is %s: it cannot run there.",
                     image->architecture, common_name(info.architecture));
}
