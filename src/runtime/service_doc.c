#include "runtime/image_name.h"
#include "runtime/internal.h"

#include <stdio.h>

const char *const service_types[] = { "web", "api", "database", "cache", "monitoring", "utility", NULL };
const char *const service_statuses[] = { "deploying", "running", "stopped", "failed", "updating", NULL };
const char *const healths[] = { "healthy", "unhealthy", "unknown", NULL };

/* ---- guesses about a container that someone else started; its labels say better ---- */

static const struct {
    const char *image, *type;
} known_images[] = {
    { "postgres", "database" },  { "mysql", "database" },           { "mariadb", "database" },
    { "mongo", "database" },     { "falkordb", "database" },        { "redis", "cache" },
    { "valkey", "cache" },       { "memcached", "cache" },          { "prometheus", "monitoring" },
    { "grafana", "monitoring" }, { "node-exporter", "monitoring" },
};

static const char *guess_type(const struct engine_container *c, const char *image)
{
    const char *said = json_string_value(json_object_get(c->labels, LABEL_TYPE));
    if (said && word_index(service_types, said) != 255)
        return said;
    const char *slash = strrchr(image, '/');
    const char *base = slash ? slash + 1 : image;
    for (size_t i = 0; i < ARRAY_LEN(known_images); i++)
        if (str_starts(base, known_images[i].image))
            return known_images[i].type;
    for (size_t i = 0; i < c->port_count; i++)
        if (c->ports[i].host && str_eq(c->ports[i].protocol, "tcp"))
            return "web";
    return "utility";
}

static json_t *label_domains(const struct engine_container *c)
{
    const char *said = json_string_value(json_object_get(c->labels, LABEL_DOMAIN));
    json_t *domains = json_array();
    _cleanup_free_ char *copy = said ? strdup(said) : NULL;
    char *rest = copy, *one;
    while (rest && (one = strsep(&rest, ",")))
        if (*(one = str_trim(one)) && strlen(one) <= 253)
            (void)json_array_append_new(domains, json_string(one));
    return domains;
}

json_t *service_document_new(const char *node_id, const char *service_id, const struct engine_container *c)
{
    char id[ID_LEN + 1], at[TIME_TEXT_LEN + 1];
    struct image_name image = { 0 };
    const char *health_path = json_string_value(json_object_get(c->labels, LABEL_HEALTH_PATH));
    if (str_starts(c->image, "sha256:") || image_name_parse(c->image, NULL, &image, NULL) < 0)
        str_copy(image.name, sizeof image.name, c->image);
    (void)time_format(clock_now_ms(), at);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:n, s:b, s:n, s:{}, s:{s:s, s:s, s:[], s:[], s:[], s:n, s:n, s:n, s:{s:n, s:n}, s:n, s:n, s:n, s:n},"
        " s:{s:n, s:o, s:n, s:{s:s?, s:i, s:i, s:i, s:i, s:n}, s:n, s:[]}, s:{s:n, s:n, s:[]},"
        " s:{s:s, s:s, s:n, s:n, s:n}, s:{s:s, s:n, s:n, s:s, s:s}}",
        "id", id_new(id), "serviceId", service_id, "name", c->name, "type", guess_type(c, image.name), "nodeId",
        node_id, "placement", "managed", 0, "environment", "labels", "container", "image", image.name, "tag", image.tag,
        "ports", "environment", "volumes", "id", "digest", "command", "resources", "cpu", "memory", "state",
        "restartCount", "createdAt", "tty", "networking", "internalPort", "domains", label_domains(c), "caddyConfig",
        "healthCheck", "path", health_path, "interval", 10, "timeout", 5, "retries", 3, "startPeriod", 30, "command",
        "url", "ports", "monitoring", "datadogService", "consulServiceId", "alerts", "status", "deployment", "stopped",
        "health", "unknown", "lastHealthCheck", "uptime", "message", "metadata", "version",
        image.tag[0] ? image.tag : "unknown", "deployedAt", "deployedBy", "createdAt", at, "updatedAt", at);
}

/* ---- facts of the container ---- */

static json_t *port_list(const struct engine_container *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->port_count; i++) {
        const struct engine_port *p = &c->ports[i];
        json_t *one = json_pack("{s:i, s:s}", "container", p->container, "protocol", p->protocol);
        if (p->host)
            (void)json_object_set_new(one, "host", json_integer(p->host));
        if (p->host_ip[0])
            (void)json_object_set_new(one, "address", json_string(p->host_ip));
        (void)json_array_append_new(list, one);
    }
    return list;
}

static const struct engine_port *serving_port(const struct engine_container *c, int64_t internal)
{
    for (size_t i = 0; i < c->port_count; i++)
        if (c->ports[i].host && str_eq(c->ports[i].protocol, "tcp") && (!internal || c->ports[i].container == internal))
            return &c->ports[i];
    return NULL;
}

static json_t *url_of(const struct engine_container *c, int64_t internal)
{
    const struct engine_port *p = str_eq(c->state, "running") ? serving_port(c, internal) : NULL;
    if (!p)
        return json_null();
    bool any = !p->host_ip[0] || str_eq(p->host_ip, "0.0.0.0") || str_eq(p->host_ip, "::");
    const char *host = any ? "127.0.0.1" : p->host_ip;
    char text[128];
    (void)snprintf(text, sizeof text, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, (unsigned)p->host);
    return json_string(text);
}

/* The engine's word to the contract's. A container that ended by itself with 0 has stopped; with more, failed. */
static const char *deployment_status(const struct engine_container *c)
{
    if (str_eq(c->state, "running") || str_eq(c->state, "restarting"))
        return c->restart_count > 3 && str_eq(c->state, "restarting") ? "failed" : "running";
    if (str_eq(c->state, "dead") || c->oom_killed ||
        (str_eq(c->state, "exited") && c->exit_code > 0 && c->exit_code != 137 && c->exit_code != 143))
        return "failed";
    return "stopped";
}

static json_t *status_message(const struct engine_container *c)
{
    char text[256];
    if (c->oom_killed)
        return json_string("The container was killed: it used more memory than its limit.");
    if (c->error && c->error[0])
        return json_string(c->error);
    if (str_eq(deployment_status(c), "failed") && str_eq(c->state, "restarting"))
        (void)snprintf(text, sizeof text, "The container ends again and again (%d restarts).", c->restart_count);
    else if (str_eq(deployment_status(c), "failed"))
        (void)snprintf(text, sizeof text, "The container ended with status %d.", c->exit_code);
    else
        return json_null();
    return json_string(text);
}

static void fill_inspected(json_t *d, const struct engine_container *c)
{
    json_t *volumes = json_array();
    for (size_t i = 0; i < c->mount_count; i++)
        if (c->mounts[i].source && c->mounts[i].target)
            (void)json_array_append_new(volumes, json_pack("{s:s, s:s, s:b}", "source", c->mounts[i].source, "target",
                                                           c->mounts[i].target, "readonly", c->mounts[i].readonly));
    (void)json_put(d, "container.volumes", volumes);
    if (c->environment_keys)
        (void)json_put(d, "container.environment", json_incref(c->environment_keys));
    (void)json_put(d, "container.tty", json_boolean(c->tty));
    (void)json_put(d, "container.restartCount", c->restart_count >= 0 ? json_integer(c->restart_count) : json_null());
    (void)json_put(d, "container.resources.cpu", c->cpu_limit > 0 ? json_real(c->cpu_limit) : json_null());
    (void)json_put(d, "container.resources.memory",
                   c->memory_limit > 0 ? json_real((double)c->memory_limit / (1 << 20)) : json_null());
}

void runtime_fill_container(json_t *d, const struct engine_container *c)
{
    bool managed = json_flag(d, "managed", false);
    char at[TIME_TEXT_LEN + 1];
    const struct engine_port *serving = serving_port(c, 0);
    (void)json_put(d, "container.id", json_string(c->id));
    (void)json_put(d, "container.state", json_string(c->state));
    (void)json_put(d, "container.command", c->command ? json_string(c->command) : json_null());
    (void)json_put(d, "container.createdAt", c->created_ms ? json_string(time_format(c->created_ms, at)) : json_null());
    if (!json_str(d, "container.digest") && c->image_id)
        (void)json_put(d, "container.digest", json_string(c->image_id));
    if (!managed && serving)
        (void)json_put(d, "networking.internalPort", json_integer(serving->container));
    (void)json_put(d, "networking.ports", port_list(c));
    if (!managed)
        (void)json_put(d, "container.ports", port_list(c));
    (void)json_put(d, "networking.url", url_of(c, json_int(d, "networking.internalPort", 0)));
    fill_inspected(d, c);
    (void)json_put(d, "status.deployment", json_string(deployment_status(c)));
    (void)json_put(d, "status.message", status_message(c));
    bool running = str_eq(c->state, "running");
    if (c->health != HEALTH_NONE || !running) {
        const char *health = !running || c->health == HEALTH_STARTING ? "unknown"
                             : c->health == HEALTH_HEALTHY            ? "healthy"
                                                                      : "unhealthy";
        (void)json_put(d, "status.health", json_string(health));
        if (running && c->health != HEALTH_STARTING && c->health != HEALTH_NONE)
            (void)json_put(d, "status.lastHealthCheck", json_string(time_format(clock_now_ms(), at)));
    }
}
