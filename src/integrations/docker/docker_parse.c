#include "integrations/docker/docker_parse.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>

#define NS_PER_CORE 1e9 /* NanoCpus */

int64_t docker_parse_time(const char *text)
{
    int64_t ms = 0;
    if (!text || time_parse(text, &ms) < 0 || ms < 0) /* "never" is the year 1 */
        return 0;
    return ms;
}

static int nonsense(const char *what, struct error *e)
{
    return error_set(e, ERR_UPSTREAM, "The container engine's answer about %s is not understood.", what);
}

/* Copies text that may be missing. */
static bool copy(char **ret, const char *text)
{
    *ret = strdup(text ? text : "");
    return *ret != NULL;
}

static enum engine_health health_of(const char *status)
{
    static const struct {
        const char *word;
        enum engine_health health;
    } words[] = { { "starting", HEALTH_STARTING }, { "healthy", HEALTH_HEALTHY }, { "unhealthy", HEALTH_UNHEALTHY } };
    for (size_t i = 0; status && i < ARRAY_LEN(words); i++)
        if (str_eq(status, words[i].word))
            return words[i].health;
    return HEALTH_NONE;
}

/* Before API 1.52 a list tells health and exit code only within its sentence for people. */
static void read_sentence(const char *sentence, struct engine_container *c)
{
    int code;
    if (!sentence)
        return;
    if (sscanf(sentence, "Exited (%d)", &code) == 1)
        c->exit_code = code;
    if (str_ends(sentence, "(healthy)"))
        c->health = HEALTH_HEALTHY;
    else if (str_ends(sentence, "(unhealthy)"))
        c->health = HEALTH_UNHEALTHY;
    else if (str_ends(sentence, "(health: starting)"))
        c->health = HEALTH_STARTING;
}

static struct engine_port *port_add(struct engine_container *c)
{
    struct engine_port *more = realloc(c->ports, (c->port_count + 1) * sizeof(*more));
    if (!more)
        return NULL;
    c->ports = more;
    memset(&more[c->port_count], 0, sizeof(*more));
    return &more[c->port_count++];
}

static uint16_t port_number(int64_t n)
{
    return n > 0 && n < 65536 ? (uint16_t)n : 0;
}

static bool list_ports(const json_t *ports, struct engine_container *c)
{
    size_t i;
    json_t *one;
    json_array_foreach (ports, i, one) {
        const char *protocol = json_str(one, "Type"), *ip = json_str(one, "IP");
        struct engine_port *p = port_add(c);
        if (!p)
            return false;
        p->container = port_number(json_int(one, "PrivatePort", 0));
        p->host = port_number(json_int(one, "PublicPort", 0));
        str_copy(p->protocol, sizeof(p->protocol), protocol ? protocol : "tcp");
        str_copy(p->host_ip, sizeof(p->host_ip), ip ? ip : "");
    }
    return true;
}

static bool binding_add(struct engine_container *c, const char *key, const json_t *binding)
{
    struct engine_port *p = port_add(c);
    if (!p)
        return false;
    const char *slash = strchr(key, '/'), *host = json_str(binding, "HostPort"), *ip = json_str(binding, "HostIp");
    p->container = port_number(strtol(key, NULL, 10));
    p->host = host ? port_number(strtol(host, NULL, 10)) : 0;
    str_copy(p->protocol, sizeof(p->protocol), slash ? slash + 1 : "tcp");
    str_copy(p->host_ip, sizeof(p->host_ip), ip ? ip : "");
    return true;
}

/* {"80/tcp": [{"HostIp", "HostPort"}], "81/tcp": null}: null is exposed and not published. */
static bool inspect_ports(const json_t *ports, struct engine_container *c)
{
    const char *key;
    json_t *bindings;
    json_object_foreach ((json_t *)ports, key, bindings) {
        size_t n = json_array_size(bindings);
        if (!n && !binding_add(c, key, NULL))
            return false;
        for (size_t i = 0; i < n; i++)
            if (!binding_add(c, key, json_array_get(bindings, i)))
                return false;
    }
    return true;
}

static bool mounts_read(const json_t *mounts, struct engine_container *c)
{
    size_t n = json_array_size(mounts);
    if (n && !(c->mounts = calloc(n, sizeof(*c->mounts))))
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(mounts, i);
        struct engine_mount *m = &c->mounts[c->mount_count++];
        const char *kind = json_str(one, "Type");
        const char *source = json_str(one, str_eq(kind, "volume") ? "Name" : "Source");
        m->readonly = !json_flag(one, "RW", true);
        if (!copy(&m->kind, kind) || !copy(&m->source, source) || !copy(&m->target, json_str(one, "Destination")))
            return false;
    }
    return true;
}

static void address_read(const json_t *settings, struct engine_container *c)
{
    const char *name, *found = NULL;
    json_t *network;
    json_object_foreach (json_at(settings, "Networks"), name, network) {
        const char *ip = json_str(network, "IPAddress");
        if (!ip || !*ip)
            ip = json_str(network, "GlobalIPv6Address");
        if (!found && ip && *ip)
            found = ip;
    }
    if (!found)
        found = json_str(settings, "IPAddress"); /* gone in newer versions */
    str_copy(c->ip, sizeof(c->ip), found ? found : "");
}

static bool labels_read(const json_t *labels, struct engine_container *c)
{
    c->labels = json_is_object(labels) ? json_incref((json_t *)labels) : json_object();
    return c->labels != NULL;
}

/* With links of the old kind a container has further names, "/other/alias"; its own has one slash. */
static const char *own_name(const json_t *names)
{
    size_t i;
    json_t *one;
    json_array_foreach (names, i, one) {
        const char *name = json_string_value(one);
        if (name && *name == '/' && !strchr(name + 1, '/'))
            return name + 1;
    }
    return "";
}

static bool list_entry(const json_t *one, struct engine_container *c)
{
    const char *id = json_str(one, "Id"), *state = json_str(one, "State");
    if (!id || !state)
        return false;
    str_copy(c->id, sizeof(c->id), id);
    c->created_ms = json_int(one, "Created", 0) * 1000;
    c->restart_count = -1;
    read_sentence(json_str(one, "Status"), c);
    if (json_at(one, "Health"))
        c->health = health_of(json_str(one, "Health.Status"));
    address_read(json_at(one, "NetworkSettings"), c);
    return copy(&c->name, own_name(json_at(one, "Names"))) && copy(&c->image, json_str(one, "Image")) &&
           copy(&c->image_id, json_str(one, "ImageID")) && copy(&c->command, json_str(one, "Command")) &&
           copy(&c->state, state) && labels_read(json_at(one, "Labels"), c) && list_ports(json_at(one, "Ports"), c) &&
           mounts_read(json_at(one, "Mounts"), c);
}

int docker_parse_list(const json_t *answer, struct engine_container **ret, size_t *ret_n, struct error *e)
{
    size_t n = json_array_size(answer);
    if (!json_is_array(answer))
        return nonsense("its containers", e);
    struct engine_container *list = calloc(n ? n : 1, sizeof(*list));
    if (!list)
        return error_errno(e, -ENOMEM, "Listing containers");
    for (size_t i = 0; i < n; i++) {
        if (!list_entry(json_array_get(answer, i), &list[i])) {
            engine_containers_free(list, i + 1);
            return nonsense("its containers", e);
        }
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

/* Program and arguments in one line, as the list has it. */
static bool command_read(const json_t *answer, struct engine_container *c)
{
    struct buf line;
    size_t i;
    json_t *one;
    buf_init(&line, (size_t)1 << 20);
    buf_puts(&line, json_str(answer, "Path") ? json_str(answer, "Path") : "");
    json_array_foreach (json_at(answer, "Args"), i, one)
        if (json_is_string(one))
            buf_printf(&line, " %s", json_string_value(one));
    c->command = strdup(buf_str(&line));
    buf_done(&line);
    return c->command != NULL;
}

static bool environment_read(const json_t *environment, struct engine_container *c)
{
    size_t i;
    json_t *one;
    c->environment_keys = json_array();
    json_array_foreach (environment, i, one) {
        const char *text = json_string_value(one);
        if (text && json_array_append_new(c->environment_keys, json_stringn(text, strcspn(text, "="))) < 0)
            return false;
    }
    return c->environment_keys != NULL;
}

static bool health_read(const json_t *state, struct engine_container *c)
{
    const json_t *log = json_at(state, "Health.Log");
    const char *output =
        json_array_size(log) ? json_str(json_array_get(log, json_array_size(log) - 1), "Output") : NULL;
    c->health = health_of(json_str(state, "Health.Status"));
    if (!output)
        return true;
    size_t n = strlen(output);
    if (n > DOCKER_HEALTH_OUTPUT_MAX)
        for (n = DOCKER_HEALTH_OUTPUT_MAX; n && ((unsigned char)output[n] & 0xC0) == 0x80;)
            n--;
    c->health_output = strndup(output, n);
    return c->health_output != NULL;
}

static bool state_read(const json_t *state, struct engine_container *c)
{
    const char *error = json_str(state, "Error");
    c->exit_code = (int)json_int(state, "ExitCode", 0);
    c->oom_killed = json_flag(state, "OOMKilled", false);
    c->started_ms = docker_parse_time(json_str(state, "StartedAt"));
    c->finished_ms = docker_parse_time(json_str(state, "FinishedAt"));
    if (error && *error && !copy(&c->error, error))
        return false;
    return copy(&c->state, json_str(state, "Status")) && health_read(state, c);
}

static void limits_read(const json_t *host, struct engine_container *c)
{
    double quota = json_num(host, "CpuQuota", 0), period = json_num(host, "CpuPeriod", 0);
    c->memory_limit = json_int(host, "Memory", 0);
    c->cpu_limit = json_num(host, "NanoCpus", 0) / NS_PER_CORE;
    if (c->cpu_limit <= 0 && quota > 0)
        c->cpu_limit = quota / (period > 0 ? period : 100000); /* the kernel's default period, in us */
}

static bool container_read(const json_t *answer, struct engine_container *c)
{
    const char *name = json_str(answer, "Name");
    str_copy(c->id, sizeof(c->id), json_str(answer, "Id"));
    c->tty = json_flag(answer, "Config.Tty", false);
    c->created_ms = docker_parse_time(json_str(answer, "Created"));
    c->restart_count = (int)json_int(answer, "RestartCount", -1);
    limits_read(json_at(answer, "HostConfig"), c);
    address_read(json_at(answer, "NetworkSettings"), c);
    return copy(&c->name, name && *name == '/' ? name + 1 : name) &&
           copy(&c->image, json_str(answer, "Config.Image")) && copy(&c->image_id, json_str(answer, "Image")) &&
           command_read(answer, c) && state_read(json_at(answer, "State"), c) &&
           labels_read(json_at(answer, "Config.Labels"), c) && environment_read(json_at(answer, "Config.Env"), c) &&
           inspect_ports(json_at(answer, "NetworkSettings.Ports"), c) && mounts_read(json_at(answer, "Mounts"), c);
}

int docker_parse_container(const json_t *answer, struct engine_container *ret, struct error *e)
{
    struct engine_container c = { 0 };
    if (!json_str(answer, "Id") || !json_str(answer, "State.Status"))
        return nonsense("a container", e);
    if (!container_read(answer, &c)) {
        engine_container_done(&c);
        return error_errno(e, -ENOMEM, "Reading a container");
    }
    *ret = c;
    return 0;
}

int docker_parse_environment(const json_t *answer, json_t **ret, struct error *e)
{
    const json_t *list = json_at(answer, "Config.Env"); /* null when there is none */
    size_t i;
    json_t *one;
    if (!json_is_object(json_at(answer, "Config")))
        return nonsense("a container", e);
    _cleanup_json_ json_t *all = json_object();
    if (!all)
        return error_errno(e, -ENOMEM, "Reading a container's environment");
    json_array_foreach (list, i, one) {
        const char *text = json_is_string(one) ? json_string_value(one) : "";
        size_t n = strcspn(text, "=");
        if (n && json_object_setn_new(all, text, n, json_string(text[n] ? text + n + 1 : "")) < 0)
            return error_errno(e, -ENOMEM, "Reading a container's environment");
    }
    *ret = TAKE(all);
    return 0;
}

static bool exposed_read(const json_t *ports, struct engine_image *i)
{
    const char *key;
    json_t *unused;
    i->exposed_ports = json_array();
    json_object_foreach ((json_t *)ports, key, unused)
        if (json_array_append_new(i->exposed_ports, json_string(key)) < 0)
            return false;
    return i->exposed_ports != NULL;
}

int docker_parse_image(const json_t *answer, struct engine_image *ret, struct error *e)
{
    struct engine_image i = { 0 };
    const char *id = json_str(answer, "Id"), *os = json_str(answer, "Os"), *machine = json_str(answer, "Architecture");
    if (!id)
        return nonsense("an image", e);
    const json_t *digests = json_at(answer, "RepoDigests");
    const char *test = json_string_value(json_array_get(json_at(answer, "Config.Healthcheck.Test"), 0));
    i.has_health_check = test && *test && !str_eq(test, "NONE");
    i.size = json_int(answer, "Size", 0);
    i.digests = json_is_array(digests) ? json_incref((json_t *)digests) : json_array();
    str_copy(i.os, sizeof(i.os), os ? os : "");
    str_copy(i.architecture, sizeof(i.architecture), machine ? machine : "");
    if (!copy(&i.id, id) || !i.digests || !exposed_read(json_at(answer, "Config.ExposedPorts"), &i)) {
        engine_image_done(&i);
        return error_errno(e, -ENOMEM, "Reading an image");
    }
    *ret = i;
    return 0;
}

static bool is_podman(const json_t *version)
{
    size_t i;
    json_t *one;
    json_array_foreach (json_at(version, "Components"), i, one) {
        const char *name = json_str(one, "Name");
        if (name && str_starts(name, "Podman"))
            return true;
    }
    return false;
}

static bool option_set(const json_t *info, const char *option)
{
    size_t i;
    json_t *one;
    json_array_foreach (json_at(info, "SecurityOptions"), i, one)
        if (json_is_string(one) && str_eq(json_string_value(one), option))
            return true;
    return false;
}

static void take(char *dst, size_t size, const json_t *from, const char *path)
{
    const char *text = json_str(from, path);
    str_copy(dst, size, text ? text : "");
}

void docker_parse_info(const json_t *info, const json_t *version, struct engine_info *ret)
{
    const char *cgroups = json_str(info, "CgroupVersion"), *swarm = json_str(info, "Swarm.LocalNodeState");
    str_copy(ret->kind, sizeof(ret->kind), is_podman(version) ? "podman" : "docker");
    take(ret->version, sizeof(ret->version), version, "Version");
    take(ret->os, sizeof(ret->os), info, "OperatingSystem");
    take(ret->architecture, sizeof(ret->architecture), info, "Architecture");
    /* Engines older than the field (API 1.41) run on v1 only. */
    ret->cgroup_version = str_eq(cgroups, "2") ? 2 : !cgroups || str_eq(cgroups, "1") ? 1 : 0;
    take(ret->root_directory, sizeof(ret->root_directory), info, "DockerRootDir");
    ret->memory_total = json_int(info, "MemTotal", 0);
    ret->cpus = (int)json_int(info, "NCPU", 0);
    ret->rootless = option_set(info, "name=rootless");
    ret->swarm_active = str_eq(swarm, "active");
}

static bool volume_read(const json_t *one, struct engine_volume *v)
{
    const char *mountpoint = json_str(one, "Mountpoint");
    const json_t *labels = json_at(one, "Labels");
    v->labels = json_is_object(labels) ? json_incref((json_t *)labels) : json_object();
    if (mountpoint && *mountpoint && !copy(&v->mountpoint, mountpoint))
        return false;
    return copy(&v->name, json_str(one, "Name")) && copy(&v->driver, json_str(one, "Driver")) && v->labels;
}

int docker_parse_volumes(const json_t *answer, struct engine_volume **ret, size_t *ret_n, struct error *e)
{
    const json_t *all = json_at(answer, "Volumes"); /* null when there is none */
    size_t n = json_array_size(all);
    if (!json_is_object(answer))
        return nonsense("its volumes", e);
    struct engine_volume *list = calloc(n ? n : 1, sizeof(*list));
    if (!list)
        return error_errno(e, -ENOMEM, "Listing volumes");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(all, i);
        if (!json_str(one, "Name") || !volume_read(one, &list[i])) {
            engine_volumes_free(list, i + 1);
            return nonsense("its volumes", e);
        }
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

static bool network_read(const json_t *one, struct engine_network *n)
{
    const json_t *labels = json_at(one, "Labels");
    n->internal = json_flag(one, "Internal", false);
    n->labels = json_is_object(labels) ? json_incref((json_t *)labels) : json_object();
    return copy(&n->id, json_str(one, "Id")) && copy(&n->name, json_str(one, "Name")) &&
           copy(&n->driver, json_str(one, "Driver")) && n->labels;
}

int docker_parse_networks(const json_t *answer, struct engine_network **ret, size_t *ret_n, struct error *e)
{
    size_t n = json_array_size(answer);
    if (!json_is_array(answer))
        return nonsense("its networks", e);
    struct engine_network *list = calloc(n ? n : 1, sizeof(*list));
    if (!list)
        return error_errno(e, -ENOMEM, "Listing networks");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(answer, i);
        if (!json_str(one, "Id") || !json_str(one, "Name") || !network_read(one, &list[i])) {
            engine_networks_free(list, i + 1);
            return nonsense("its networks", e);
        }
    }
    *ret = list;
    *ret_n = n;
    return 0;
}
