#include "deployment/internal.h"

static json_t *copy_or(const json_t *value, json_t *fallback)
{
    if (!value || json_is_null(value))
        return fallback;
    json_decref(fallback);
    return json_deep_copy(value);
}

static json_t *environment_keys(const json_t *specification)
{
    const char *key;
    json_t *value, *keys = json_array();
    json_object_foreach (json_at(specification, "container.environment"), key, value)
        (void)json_array_append_new(keys, json_string(key));
    return keys;
}

static void apply_container(json_t *s, const json_t *spec, const struct image_name *image)
{
    (void)json_put(s, "container.image", json_string(image->name));
    (void)json_put(s, "container.tag", json_string(image->tag));
    (void)json_put(s, "container.digest", image->digest[0] ? json_string(image->digest) : json_null());
    (void)json_put(s, "container.ports", copy_or(json_at(spec, "container.ports"), json_array()));
    (void)json_put(s, "container.environment", environment_keys(spec));
    (void)json_put(s, "container.volumes", copy_or(json_at(spec, "container.volumes"), json_array()));
    (void)json_put(s, "container.resources.cpu", copy_or(json_at(spec, "container.resources.cpu"), json_null()));
    (void)json_put(s, "container.resources.memory", copy_or(json_at(spec, "container.resources.memory"), json_null()));
}

static void apply_networking(json_t *s, const json_t *spec)
{
    const json_t *check = json_at(spec, "networking.healthCheck");
    (void)json_put(s, "networking.internalPort", copy_or(json_at(spec, "networking.internalPort"), json_null()));
    (void)json_put(s, "networking.domains", copy_or(json_at(spec, "networking.domains"), json_array()));
    (void)json_put(s, "networking.healthCheck.path", copy_or(json_at(check, "path"), json_null()));
    (void)json_put(s, "networking.healthCheck.interval", json_integer(json_int(check, "interval", 10)));
    (void)json_put(s, "networking.healthCheck.timeout", json_integer(json_int(check, "timeout", 5)));
    (void)json_put(s, "networking.healthCheck.retries", json_integer(json_int(check, "retries", 3)));
    (void)json_put(s, "networking.healthCheck.startPeriod", json_integer(json_int(check, "startPeriod", 30)));
    (void)json_put(s, "networking.healthCheck.command", copy_or(json_at(check, "command"), json_null()));
}

static void put_if(json_t *s, const char *object, const char *key, const json_t *value)
{
    json_t *at = json_at(s, object);
    if (json_is_string(value))
        (void)json_object_set_new(at, key, json_deep_copy(value));
    else
        (void)json_object_del(at, key);
}

void apply_release(json_t *s, const json_t *spec, const struct image_name *image)
{
    const char *version = json_str(spec, "metadata.version");
    (void)json_put(s, "type", json_string(json_str(spec, "type") ? json_str(spec, "type") : "web"));
    (void)json_put(s, "environment",
                   json_string(json_str(spec, "environment") ? json_str(spec, "environment") : "production"));
    (void)json_put(s, "labels", copy_or(json_at(spec, "labels"), json_object()));
    (void)json_put(s, "placement", copy_or(json_at(spec, "placement"), json_null()));
    apply_container(s, spec, image);
    apply_networking(s, spec);
    (void)json_put(s, "monitoring.datadogService", copy_or(json_at(spec, "monitoring.datadogService"), json_null()));
    put_if(s, "monitoring", "newRelicAppId", json_at(spec, "monitoring.newRelicAppId"));
    put_if(s, "monitoring", "sentryProject", json_at(spec, "monitoring.sentryProject"));
    (void)json_put(s, "monitoring.alerts", copy_or(json_at(spec, "monitoring.alerts"), json_array()));
    (void)json_put(s, "metadata.version", json_string(version ? version : image->tag[0] ? image->tag : image->digest));
    const json_t *commit = json_at(spec, "metadata.gitCommit");
    put_if(s, "metadata", "gitCommit", json_is_string(commit) ? commit : json_at(spec, "git.commit"));
}

json_t *planned_service(const json_t *request, const char *node_id, const struct image_name *image)
{
    char id[ID_LEN + 1], at[TIME_TEXT_LEN + 1];
    const char *name = json_str(request, "name");
    (void)time_format(clock_now_ms(), at);
    json_t *s = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:{s:n, s:n, s:n, s:n, s:n, s:{}}, s:{s:n, s:n, s:[]}, s:{s:n, s:n, s:[]},"
        " s:{s:s, s:s, s:n, s:n, s:s}, s:{s:n, s:n, s:s, s:s}}",
        "id", id_new(id), "serviceId", name, "name", name, "nodeId", node_id, "managed", 1, "container", "id",
        "command", "state", "restartCount", "createdAt", "resources", "networking", "caddyConfig", "url", "ports",
        "monitoring", "datadogService", "consulServiceId", "alerts", "status", "deployment", "deploying", "health",
        "unknown", "lastHealthCheck", "uptime", "message", "The first deployment is under way.", "metadata",
        "deployedAt", "deployedBy", "createdAt", at, "updatedAt", at);
    if (!s)
        return NULL;
    (void)json_put(s, "container.tty", json_null());
    apply_release(s, request, image);
    return s;
}
