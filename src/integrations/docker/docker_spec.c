#include "integrations/docker/docker_spec.h"

#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "integrations/docker/docker_reference.h"
#include "integrations/docker/docker_write.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

#define LOOPBACK "127.0.0.1"

static const char *const policies[] = { "no", "unless-stopped", "on-failure", "always" };
static const char *const mount_kinds[] = { "volume", "bind", "tmpfs" };

static bool one_of(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(text, words[i]))
            return true;
    return false;
}

static const char *protocol_of(const struct engine_port *p)
{
    return *p->protocol ? p->protocol : "tcp";
}

static int check_ports(const struct engine_spec *s, struct error *e)
{
    if (s->port_count > DOCKER_SPEC_PORTS_MAX)
        return error_set(e, ERR_VALIDATION, "A container can have at most %d ports.", DOCKER_SPEC_PORTS_MAX);
    for (size_t i = 0; i < s->port_count; i++) {
        const struct engine_port *p = &s->ports[i];
        unsigned char address[16];
        if (!p->container || (!str_eq(protocol_of(p), "tcp") && !str_eq(protocol_of(p), "udp")))
            return error_set(e, ERR_VALIDATION, "Port %zu needs a number from 1 to 65535 and tcp or udp.", i + 1);
        if (*p->host_ip && inet_pton(AF_INET, p->host_ip, address) != 1 &&
            inet_pton(AF_INET6, p->host_ip, address) != 1)
            return error_set(e, ERR_VALIDATION, "Port %u's address \"%s\" is no IP address.", p->container, p->host_ip);
    }
    return 0;
}

static int check_mounts(const struct engine_spec *s, struct error *e)
{
    if (s->mount_count > DOCKER_SPEC_MOUNTS_MAX)
        return error_set(e, ERR_VALIDATION, "A container can have at most %d mounts.", DOCKER_SPEC_MOUNTS_MAX);
    for (size_t i = 0; i < s->mount_count; i++) {
        const struct engine_mount *m = &s->mounts[i];
        if (!one_of(m->kind, mount_kinds, ARRAY_LEN(mount_kinds)))
            return error_set(e, ERR_VALIDATION, "Mount %zu must be a volume, bind or tmpfs.", i + 1);
        if (!m->target || *m->target != '/')
            return error_set(e, ERR_VALIDATION, "Mount %zu needs an absolute target path.", i + 1);
        if (str_eq(m->kind, "bind") && (!m->source || *m->source != '/'))
            return error_set(e, ERR_VALIDATION, "Mount %zu needs an absolute host path.", i + 1);
        if (str_eq(m->kind, "volume") && !docker_name_valid(m->source))
            return error_set(e, ERR_VALIDATION, "Mount %zu needs a volume's name.", i + 1);
    }
    return 0;
}

static int check_strings(const json_t *object, const char *what, bool equals_allowed, struct error *e)
{
    const char *key;
    json_t *value;
    if (object && !json_is_object(object))
        return error_set(e, ERR_VALIDATION, "The %s must be an object of strings.", what);
    json_object_foreach ((json_t *)object, key, value) {
        if (!*key || (!equals_allowed && strchr(key, '=')))
            return error_set(e, ERR_VALIDATION, "The %s has a name that is empty or holds \"=\".", what);
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
            return error_set(e, ERR_VALIDATION, "The %s's \"%.60s\" must be a text without NUL.", what, key);
    }
    return 0;
}

/* A text that an engine can take: not empty, bounded, without control characters. */
static bool text_valid(const char *text)
{
    if (!text || !*text || strlen(text) > DOCKER_SPEC_TEXT_MAX)
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    return true;
}

static bool json_text_valid(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value) &&
           text_valid(json_string_value(value));
}

static int check_list(const json_t *list, const char *what, struct error *e)
{
    size_t i;
    json_t *one;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > DOCKER_SPEC_LIST_MAX)
        return error_set(e, ERR_VALIDATION, "The %s must be a list of at most %d texts.", what, DOCKER_SPEC_LIST_MAX);
    json_array_foreach (list, i, one)
        if (!json_text_valid(one))
            return error_set(e, ERR_VALIDATION, "Number %zu of the %s must be a text of 1 to %d characters.", i + 1,
                             what, DOCKER_SPEC_TEXT_MAX);
    return 0;
}

static int check_objects(const json_t *list, const char *what, const char *key, struct error *e)
{
    size_t i;
    json_t *one;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > DOCKER_SPEC_LIST_MAX)
        return error_set(e, ERR_VALIDATION, "The %s must be a list of at most %d.", what, DOCKER_SPEC_LIST_MAX);
    json_array_foreach (list, i, one)
        if (!text_valid(json_str(one, key)))
            return error_set(e, ERR_VALIDATION, "Number %zu of the %s needs its %s.", i + 1, what, key);
    return 0;
}

static int check_networks(const struct engine_spec *s, struct error *e)
{
    size_t i;
    json_t *one;
    int r = check_objects(s->networks, "networks", "name", e);
    if (r < 0)
        return r;
    if (s->network && !docker_name_valid(s->network))
        return error_set(e, ERR_VALIDATION, "\"%.140s\" is no network's name.", s->network);
    if (s->network_mode && (s->network || json_array_size(s->networks)))
        return error_set(e, ERR_VALIDATION, "A container with a network mode of its own can join no networks.");
    json_array_foreach (s->networks, i, one) {
        if (!docker_name_valid(json_str(one, "name")))
            return error_set(e, ERR_VALIDATION, "\"%.140s\" is no network's name.", json_str(one, "name"));
        if ((r = check_list(json_at(one, "aliases"), "network's aliases", e)) < 0)
            return r;
    }
    return 0;
}

static int check_more(const struct engine_spec *s, struct error *e)
{
    const struct {
        const char *text, *what;
    } texts[] = { { s->user, "user" },
                  { s->working_directory, "working directory" },
                  { s->hostname, "host name" },
                  { s->stop_signal, "stop signal" },
                  { s->network_mode, "network mode" },
                  { s->pid_mode, "PID mode" },
                  { s->ipc_mode, "IPC mode" } };
    const struct {
        const json_t *list;
        const char *what;
    } lists[] = { { s->extra_hosts, "extra hosts" },
                  { s->dns, "name servers" },
                  { s->capabilities_added, "added capabilities" },
                  { s->capabilities_dropped, "dropped capabilities" },
                  { s->security_options, "security options" } };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].text && !text_valid(texts[i].text))
            return error_set(e, ERR_VALIDATION, "The %s must be a text of 1 to %d characters.", texts[i].what,
                             DOCKER_SPEC_TEXT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(lists) && r == 0; i++)
        r = check_list(lists[i].list, lists[i].what, e);
    if (r == 0)
        r = check_objects(s->devices, "devices", "source", e);
    if (r == 0)
        r = check_objects(s->ulimits, "ulimits", "name", e);
    if (r == 0)
        r = check_strings(s->sysctls, "sysctls", false, e);
    if (r == 0 && (s->shm_size < 0 || s->pids_limit < 0 || s->gpus < -1))
        r = error_set(e, ERR_VALIDATION, "Sizes, limits and numbers of GPUs must not be negative.");
    return r < 0 ? r : check_networks(s, e);
}

int docker_spec_check(const struct engine_spec *s, struct error *e)
{
    int r;
    if (!docker_name_valid(s->name) || strlen(s->name) < 2)
        return error_set(
            e, ERR_VALIDATION,
            "The name \"%.140s\" must be 2 to 128 letters, digits, \"_\", \".\" or \"-\", the first a letter "
            "or digit.",
            s->name ? s->name : "");
    if (!docker_image_name_valid(s->image))
        return error_set(e, ERR_VALIDATION, "\"%.200s\" is no image reference.", s->image ? s->image : "");
    if (s->restart_policy && !one_of(s->restart_policy, policies, ARRAY_LEN(policies)))
        return error_set(e, ERR_VALIDATION, "The restart policy must be no, unless-stopped, on-failure or always.");
    if (!isfinite(s->cpu_limit) || s->cpu_limit < 0 || s->cpu_limit > 1e6 || s->memory_limit < 0)
        return error_set(e, ERR_VALIDATION, "Limits of CPU and memory must not be negative.");
    if (s->stop_grace_s < 0 || s->health_interval_ms < 0 || s->health_timeout_ms < 0 || s->health_start_ms < 0 ||
        s->health_retries < 0)
        return error_set(e, ERR_VALIDATION, "Times and retries must not be negative.");
    if ((r = check_ports(s, e)) < 0 || (r = check_mounts(s, e)) < 0 ||
        (r = check_strings(s->environment, "environment", false, e)) < 0)
        return r;
    r = check_strings(s->labels, "labels", true, e);
    return r < 0 ? r : check_more(s, e);
}

static bool same_port(const struct engine_port *a, const struct engine_port *b)
{
    return a->container == b->container && str_eq(protocol_of(a), protocol_of(b));
}

static bool seen_before(const struct engine_spec *s, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (same_port(&s->ports[i], &s->ports[at]))
            return true;
    return false;
}

static void write_port_key(struct jw *w, const struct engine_port *p)
{
    char key[16];
    snprintf(key, sizeof(key), "%u/%s", p->container, protocol_of(p));
    jw_key(w, key);
}

static void write_exposed(struct jw *w, const struct engine_spec *s)
{
    jw_key(w, "ExposedPorts");
    jw_object(w);
    for (size_t i = 0; i < s->port_count; i++) {
        if (seen_before(s, i))
            continue;
        write_port_key(w, &s->ports[i]);
        jw_object(w);
        jw_end(w);
    }
    jw_end(w);
}

static void write_binding(struct jw *w, const struct engine_port *p)
{
    char port[8] = ""; /* "": any free one */
    if (p->host)
        snprintf(port, sizeof(port), "%u", p->host);
    jw_object(w);
    jw_key(w, "HostIp");
    jw_string(w, *p->host_ip ? p->host_ip : LOOPBACK);
    jw_key(w, "HostPort");
    jw_string(w, port);
    jw_end(w);
}

/* One container port may be published several times: the engine wants these in one list. */
static void write_bindings(struct jw *w, const struct engine_spec *s)
{
    jw_key(w, "PortBindings");
    jw_object(w);
    for (size_t i = 0; i < s->port_count; i++) {
        if (seen_before(s, i))
            continue;
        write_port_key(w, &s->ports[i]);
        jw_array(w);
        for (size_t j = i; j < s->port_count; j++)
            if (same_port(&s->ports[i], &s->ports[j]))
                write_binding(w, &s->ports[j]);
        jw_end(w);
    }
    jw_end(w);
}

static void write_number(struct jw *w, const char *key, int64_t value)
{
    if (!value)
        return;
    jw_key(w, key);
    jw_int(w, value);
}

static void write_json(struct jw *w, const char *key, const json_t *value)
{
    if (!json_array_size(value) && !json_object_size(value))
        return;
    jw_key(w, key);
    jw_json(w, value);
}

static void write_devices(struct jw *w, const json_t *devices)
{
    size_t i;
    json_t *one;
    if (!json_array_size(devices))
        return;
    jw_key(w, "Devices");
    jw_array(w);
    json_array_foreach (devices, i, one) {
        const char *source = json_str(one, "source"), *target = json_str(one, "target");
        const char *permissions = json_str(one, "permissions");
        jw_object(w);
        docker_write_text(w, "PathOnHost", source);
        docker_write_text(w, "PathInContainer", target ? target : source);
        docker_write_text(w, "CgroupPermissions", permissions ? permissions : "rwm");
        jw_end(w);
    }
    jw_end(w);
}

static void write_ulimits(struct jw *w, const json_t *ulimits)
{
    size_t i;
    json_t *one;
    if (!json_array_size(ulimits))
        return;
    jw_key(w, "Ulimits");
    jw_array(w);
    json_array_foreach (ulimits, i, one) {
        int64_t soft = json_int(one, "soft", 0);
        jw_object(w);
        docker_write_text(w, "Name", json_str(one, "name"));
        jw_key(w, "Soft");
        jw_int(w, soft);
        jw_key(w, "Hard");
        jw_int(w, json_int(one, "hard", soft));
        jw_end(w);
    }
    jw_end(w);
}

static void write_gpus(struct jw *w, int count)
{
    if (!count)
        return;
    jw_key(w, "DeviceRequests");
    jw_array(w);
    jw_object(w);
    write_number(w, "Count", count);
    jw_key(w, "Capabilities"); /* a list of alternatives, each a list of all that are needed */
    jw_array(w);
    jw_array(w);
    jw_string(w, "gpu");
    jw_end(w);
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

/* Of the host's part, what an owner may ask for beyond the standards. */
static void write_host_more(struct jw *w, const struct engine_spec *s)
{
    docker_write_text(w, "NetworkMode", s->network_mode ? s->network_mode : docker_spec_network(s));
    docker_write_text(w, "PidMode", s->pid_mode);
    docker_write_text(w, "IpcMode", s->ipc_mode);
    write_json(w, "ExtraHosts", s->extra_hosts);
    write_json(w, "Dns", s->dns);
    write_json(w, "CapAdd", s->capabilities_added);
    write_json(w, "CapDrop", s->capabilities_dropped);
    write_json(w, "SecurityOpt", s->security_options);
    write_json(w, "Sysctls", s->sysctls);
    write_devices(w, s->devices);
    write_ulimits(w, s->ulimits);
    write_gpus(w, s->gpus);
    write_number(w, "ShmSize", s->shm_size);
    write_number(w, "PidsLimit", s->pids_limit);
    docker_write_flag(w, "Privileged", s->privileged);
    docker_write_flag(w, "ReadonlyRootfs", s->read_only_root);
    docker_write_flag(w, "Init", s->init);
}

const char *docker_spec_network(const struct engine_spec *s)
{
    return s->network ? s->network : json_str(json_array_get(s->networks, 0), "name");
}

static void write_endpoint(struct jw *w, const json_t *aliases)
{
    jw_object(w);
    write_json(w, "Aliases", aliases);
    jw_end(w);
}

/* Only the first network is part of a creation: engines before API 1.44 take no more. */
static void write_networking(struct jw *w, const struct engine_spec *s)
{
    const char *first = docker_spec_network(s);
    size_t i;
    json_t *one, *aliases = NULL;
    if (!first)
        return;
    json_array_foreach (s->networks, i, one)
        if (str_eq(json_str(one, "name"), first))
            aliases = json_at(one, "aliases");
    jw_key(w, "NetworkingConfig");
    jw_object(w);
    jw_key(w, "EndpointsConfig");
    jw_object(w);
    jw_key(w, first);
    write_endpoint(w, aliases);
    jw_end(w);
    jw_end(w);
}

void docker_spec_write_join(const char *container, const json_t *network, struct buf *out)
{
    struct jw w;
    jw_init(&w, out);
    jw_object(&w);
    docker_write_text(&w, "Container", container);
    jw_key(&w, "EndpointConfig");
    write_endpoint(&w, json_at(network, "aliases"));
    jw_end(&w);
}

static void write_host(struct jw *w, const struct engine_spec *s)
{
    jw_key(w, "HostConfig");
    jw_object(w);
    write_bindings(w, s);
    docker_write_mounts(w, s);
    if (s->memory_limit) {
        jw_key(w, "Memory");
        jw_int(w, s->memory_limit);
    }
    if (s->cpu_limit > 0) {
        jw_key(w, "NanoCpus");
        jw_int(w, llround(s->cpu_limit * 1e9));
    }
    jw_key(w, "RestartPolicy");
    jw_object(w);
    jw_key(w, "Name");
    jw_string(w, s->restart_policy ? s->restart_policy : "no");
    jw_end(w);
    write_host_more(w, s);
    jw_end(w);
}

void docker_spec_write(const struct engine_spec *s, struct buf *out)
{
    struct jw w;
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "Image");
    jw_string(&w, s->image);
    docker_write_list(&w, "Cmd", s->command, NULL);
    docker_write_list(&w, "Entrypoint", s->entrypoint, NULL);
    docker_write_environment(&w, s->environment);
    if (s->labels) {
        jw_key(&w, "Labels");
        jw_json(&w, s->labels);
    }
    if (s->stop_grace_s) {
        jw_key(&w, "StopTimeout");
        jw_int(&w, s->stop_grace_s);
    }
    docker_write_text(&w, "User", s->user);
    docker_write_text(&w, "WorkingDir", s->working_directory);
    docker_write_text(&w, "Hostname", s->hostname);
    docker_write_text(&w, "StopSignal", s->stop_signal);
    docker_write_flag(&w, "Tty", s->tty);
    docker_write_flag(&w, "OpenStdin", s->stdin_open);
    docker_write_health(&w, s);
    write_exposed(&w, s);
    write_host(&w, s);
    write_networking(&w, s);
    jw_end(&w);
}
