#include "deployment/steps.h"

#include <stdio.h>

/* What a container needs beside itself: the values of its secrets, its networks, its volumes. */

/* ---- secrets: resolved in memory alone, at each run anew; the journal has versions only ---- */

static int resolve_one(struct run *r, const char *key, const json_t *wanted, struct error *e)
{
    _cleanup_secret_ struct secret *value = NULL;
    int64_t version = 0;
    const char *name = json_str(wanted, "secret");
    if (!r->deployments->secrets)
        return error_set(e, ERR_CONFLICT, "%s wants the secret %s, and this hub keeps none.", key, name);
    int res = secrets_get(r->deployments->secrets, name, json_int(wanted, "version", 0), &value, &version, e);
    if (res < 0)
        return res;
    size_t n = 0;
    const char *text = secret_reveal(value, &n);
    if (strlen(text) != n)
        return error_set(e, ERR_CONFLICT, "The secret %s has a zero byte: an environment cannot hold it.", name);
    char path[300];
    (void)snprintf(path, sizeof path, "secretVersions.%s", name);
    (void)json_put(r->facts, path, json_integer(version));
    return json_object_set_new(r->release.environment, key, json_string(text)) < 0
               ? error_set(e, ERR_CONFLICT, "The secret %s is not text: an environment cannot hold it.", name)
               : 0;
}

/* A container may say what is in its files as well; what is no text cannot be said in one. */
static int hide_one(struct run *r, const json_t *file, struct error *e)
{
    _cleanup_secret_ struct secret *value = NULL;
    size_t n = 0;
    const char *name = json_str(file, "source");
    if (!r->deployments->secrets)
        return 0;
    int res = secrets_get(r->deployments->secrets, name, json_int(file, "version", 0), &value, NULL, e);
    if (res < 0)
        return res;
    const char *text = secret_reveal(value, &n);
    if (!r->release.hidden && !(r->release.hidden = json_object()))
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (strlen(text) == n && str_is_utf8(text, n) &&
        json_object_set_new(r->release.hidden, name, json_string(text)) < 0)
        return error_set(e, ERR_INTERNAL, "No memory.");
    return 0;
}

int run_secrets(struct run *r, struct error *e)
{
    const char *key;
    json_t *value;
    void *next;
    size_t i;
    json_array_foreach (json_at(r->release.specification, "container.secrets"), i, value) {
        int res = hide_one(r, value, e);
        if (res < 0)
            return res;
    }
    json_object_foreach_safe (r->release.environment, next, key, value) {
        int res = json_is_object(value) ? resolve_one(r, key, value, e) : 0;
        if (res < 0)
            return res;
    }
    return 0;
}

static int put_one(struct run *r, struct container_engine *g, const char *container, const json_t *file,
                   struct error *e)
{
    _cleanup_secret_ struct secret *value = NULL;
    char target[4200];
    int64_t version = 0;
    const char *name = json_str(file, "source");
    (void)snprintf(target, sizeof target, "/run/secrets/%s", name);
    if (json_str(file, "target"))
        str_copy(target, sizeof target, json_str(file, "target"));
    int res = secrets_get(r->deployments->secrets, name, json_int(file, "version", 0), &value, &version, e);
    if (res < 0)
        return res;
    size_t n = 0;
    const char *bytes = secret_reveal(value, &n);
    return g->ops->put_file(g, container, target, (unsigned)json_int(file, "mode", 0440), bytes, n, e);
}

int run_put_secret_files(struct run *r, const char *node, const char *container, struct error *e)
{
    size_t i;
    json_t *file;
    struct container_engine *g = NULL;
    const json_t *files = json_at(r->release.specification, "container.secrets");
    if (!json_array_size(files))
        return 0;
    int res = instance_engine(r, node, &g, e);
    if (res == 0 && (!g->ops->put_file || !r->deployments->secrets))
        return error_set(e, ERR_CONFLICT, "Secrets cannot be written as files here.");
    json_array_foreach (files, i, file)
        if (res == 0)
            res = put_one(r, g, container, file, e);
    return res;
}

/* ---- networks: they belong to services and outlive containers ---- */

static json_t *aliases_of(const struct run *r, const json_t *network)
{
    json_t *aliases = json_deep_copy(json_at(network, "aliases"));
    if (!json_is_array(aliases)) {
        json_decref(aliases);
        aliases = json_array();
    }
    (void)json_array_append_new(aliases, json_string(r->name));
    return aliases;
}

json_t *run_networks(const struct run *r)
{
    size_t i;
    json_t *network, *list = json_array();
    const json_t *spec = r->release.specification, *wanted = json_at(spec, "container.networks");
    const char *mode = json_str(spec, "container.networkMode"), *environment = json_str(spec, "environment");
    char own[64];
    if (mode && !str_eq(mode, "bridge"))
        return list;
    json_array_foreach (wanted, i, network)
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "name", json_str(network, "name"), "aliases",
                                                    aliases_of(r, network), "internal",
                                                    json_flag(network, "internal", false)));
    (void)snprintf(own, sizeof own, "hbcloud-%s", environment ? environment : "production");
    if (!json_array_size(list))
        (void)json_array_append_new(
            list, json_pack("{s:s, s:o, s:b}", "name", own, "aliases", aliases_of(r, NULL), "internal", 0));
    return list;
}

int run_ensure_networks(struct run *r, const char *node, struct error *e)
{
    size_t i;
    json_t *network;
    struct container_engine *g = NULL;
    _cleanup_json_ json_t *list = run_networks(r), *labels = json_pack("{s:s}", "hbcloud.managed", "true");
    int res = instance_engine(r, node, &g, e);
    if (res < 0 || !g->ops->network_ensure)
        return res;
    json_array_foreach (list, i, network)
        if (res == 0 && !json_flag(network, "external", false))
            res =
                g->ops->network_ensure(g, json_str(network, "name"), json_flag(network, "internal", false), labels, e);
    return res;
}

/* ---- volumes: made before the container, so that they carry their service's name ---- */

int run_ensure_volumes(struct run *r, const char *node, struct error *e)
{
    size_t i;
    json_t *v;
    struct container_engine *g = NULL;
    const char *project =
        json_string_value(json_object_get(json_at(r->release.specification, "labels"), LABEL_PROJECT));
    _cleanup_json_ json_t *labels = json_pack("{s:s, s:s*}", LABEL_SERVICE, r->name, LABEL_PROJECT, project);
    int res = instance_engine(r, node, &g, e);
    json_array_foreach (json_at(r->release.specification, "container.volumes"), i, v) {
        const char *source = json_str(v, "source");
        if (res == 0 && source[0] != '/' && !json_flag(v, "external", false))
            res = g->ops->volume_ensure(g, source, labels, e);
    }
    return res;
}
