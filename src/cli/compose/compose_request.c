#include "cli/compose/compose_request.h"

#include "base/json.h"
#include "base/str.h"
#include "cli/compose/compose_form.h"
#include "cli/compose/compose_forms.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Each is compared with each and dependencies are followed in depth, so there is an end to both. */
#define SERVICES_MAX 512

struct making {
    const struct compose *compose;
    const char *prefix;
    struct compose_import *out;
    const char *name; /* the service at hand, as Compose names it */
    const json_t *service;
    json_t *request;
    struct error *e;
};

static void remark(struct making *m, const char *field, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void remark(struct making *m, const char *field, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)json_array_append_new(m->out->remarks,
                                json_pack("{s:s, s:s, s:s}", "service", m->name, "field", field, "text", text));
}

static int wrong(struct making *m, const char *field, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int wrong(struct making *m, const char *field, const char *fmt, ...)
{
    char why[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return error_set(m->e, ERR_VALIDATION, "services.%s.%s: %s", m->name, field, why);
}

/* ---- names ---- */

/* Kebab-case: "My_App.db" is my-app-db. */
static char *kebab(const char *text)
{
    char *name = strdup(text), *to = name;
    for (const char *p = text; name && *p; p++) {
        char ch = (char)tolower((unsigned char)*p);
        if (isalnum((unsigned char)ch))
            *to++ = ch;
        else if (to > name && to[-1] != '-')
            *to++ = '-';
    }
    while (name && to > name && to[-1] == '-')
        to--;
    if (name)
        *to = '\0';
    return name;
}

char *compose_service_name(const char *prefix, const char *name)
{
    _cleanup_free_ char *own = kebab(name), *front = kebab(prefix);
    size_t n = front ? strlen(front) : 0;
    bool has_it = own && n && strncmp(own, front, n) == 0 && (own[n] == '-' || !own[n]);
    if (!own || !front)
        return NULL;
    char *whole = n == 0 || has_it ? strdup(own) : str_printf("%s-%s", front, own);
    /* A service's name begins with a letter. */
    if (whole && !isalpha((unsigned char)*whole)) {
        char *lettered = str_printf("s-%s", whole);
        free(whole);
        return lettered;
    }
    return whole;
}

/* ---- fields that need no thought ---- */

enum plain_kind { PLAIN, PLAIN_BYTES_MB, PLAIN_BYTES, PLAIN_SECONDS };
static const struct {
    const char *from, *to;
    enum plain_kind kind;
} plain[] = {
    { "image", "container.image", PLAIN },
    { "command", "container.command", PLAIN },
    { "entrypoint", "container.entrypoint", PLAIN },
    { "user", "container.user", PLAIN },
    { "working_dir", "container.workingDir", PLAIN },
    { "hostname", "container.hostname", PLAIN },
    { "container_name", "container.name", PLAIN },
    { "stop_signal", "container.stopSignal", PLAIN },
    { "init", "container.init", PLAIN },
    { "read_only", "container.readOnly", PLAIN },
    { "privileged", "container.privileged", PLAIN },
    { "cap_add", "container.capAdd", PLAIN },
    { "cap_drop", "container.capDrop", PLAIN },
    { "security_opt", "container.securityOpt", PLAIN },
    { "devices", "container.devices", PLAIN },
    { "pid", "container.pidMode", PLAIN },
    { "ipc", "container.ipcMode", PLAIN },
    { "sysctls", "container.sysctls", PLAIN },
    { "dns", "container.dns", PLAIN },
    { "tty", "container.tty", PLAIN },
    { "stdin_open", "container.stdinOpen", PLAIN },
    { "pids_limit", "container.pidsLimit", PLAIN },
    { "labels", "labels", PLAIN },
    { "cpus", "container.resources.cpu", PLAIN },
    { "mem_limit", "container.resources.memory", PLAIN_BYTES_MB },
    { "deploy.resources.limits.cpus", "container.resources.cpu", PLAIN },
    { "deploy.resources.limits.memory", "container.resources.memory", PLAIN_BYTES_MB },
    { "deploy.resources.limits.pids", "container.pidsLimit", PLAIN },
    { "shm_size", "container.shmSize", PLAIN_BYTES },
    { "stop_grace_period", "strategy.stopGracePeriod", PLAIN_SECONDS },
    { "scale", "instances", PLAIN },
    { "deploy.replicas", "instances", PLAIN },
};

/* What is told and then left alone: why. */
static const struct {
    const char *field, *text;
} without_meaning[] = {
    { "annotations", "annotations are not set" },
    { "attach", "says only what `docker compose up` prints" },
    { "blkio_config", "limits of disk input and output are not set" },
    { "cgroup", "cgroup namespaces are the engine's default" },
    { "cgroup_parent", "the cgroup's parent is the engine's default" },
    { "cpu_count", "use cpus" },
    { "cpu_percent", "use cpus" },
    { "cpu_period", "use cpus" },
    { "cpu_quota", "use cpus" },
    { "cpu_rt_period", "real-time scheduling is not set" },
    { "cpu_rt_runtime", "real-time scheduling is not set" },
    { "cpu_shares", "a share of CPUs is not set; cpus is a limit" },
    { "cpuset", "a set of CPUs is not set" },
    { "credential_spec", "is for Windows" },
    { "deploy.endpoint_mode", "is Swarm's" },
    { "deploy.labels", "are labels of a Swarm service" },
    { "deploy.mode", "is Swarm's; instances says how many" },
    { "deploy.placement", "is Swarm's; placement says where" },
    { "deploy.resources.reservations.cpus", "nothing is reserved; a limit is" },
    { "deploy.resources.reservations.memory", "nothing is reserved; a limit is" },
    { "deploy.restart_policy", "use restart" },
    { "deploy.rollback_config", "is Swarm's; a failed update rolls back by itself" },
    { "deploy.update_config", "is Swarm's; strategy says how an update goes" },
    { "develop", "is for a developer's machine" },
    { "device_cgroup_rules", "rules for devices are not set" },
    { "dns_opt", "DNS options are not set" },
    { "dns_search", "DNS search domains are not set" },
    { "domainname", "use hostname" },
    { "external_links", "links are old; a network joins services" },
    { "group_add", "more groups are not set" },
    { "isolation", "is for Windows" },
    { "label_file", "labels from a file are not read" },
    { "links", "services of one network find each other by name without links" },
    { "logging", "the engine's own log driver is used" },
    { "mac_address", "the engine chooses the address" },
    { "mem_reservation", "nothing is reserved; mem_limit is a limit" },
    { "mem_swappiness", "swapping is the engine's default" },
    { "memswap_limit", "swap is the engine's default" },
    { "models", "models are not run" },
    { "oom_kill_disable", "the engine's default stays" },
    { "oom_score_adj", "the engine's default stays" },
    { "platform", "the image's own platform must be the node's" },
    { "post_start", "nothing is run after the start" },
    { "pre_stop", "nothing is run before the stop" },
    { "provider", "providers are not run" },
    { "pull_policy", "an image is pulled, unless it is named by a digest that the node has" },
    { "runtime", "the engine's default runtime is used" },
    { "storage_opt", "storage options are not set" },
    { "use_api_socket", "the engine's socket is not given to containers" },
    { "userns_mode", "the engine's default stays" },
    { "uts", "the engine's default stays" },
    { "volumes_from", "name the volumes instead" },
};

static void put_plain(struct making *m)
{
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        json_t *value = json_at(m->service, plain[i].from);
        int64_t n = 0;
        if (!value || json_is_null(value))
            continue;
        if (plain[i].kind == PLAIN) {
            (void)json_put(m->request, plain[i].to, json_deep_copy(value));
            continue;
        }
        if (plain[i].kind == PLAIN_SECONDS)
            (void)compose_duration_ms(json_string_value(value), &n);
        else
            (void)compose_bytes(json_string_value(value), &n);
        int64_t out = plain[i].kind == PLAIN_SECONDS ? (n + 999) / 1000 : plain[i].kind == PLAIN_BYTES_MB ? n >> 20 : n;
        if (plain[i].kind == PLAIN_BYTES_MB && n == 0)
            continue; /* 0 is no limit */
        (void)json_put(m->request, plain[i].to, json_integer(out));
    }
    for (size_t i = 0; i < ARRAY_LEN(without_meaning); i++)
        if (json_at(m->service, without_meaning[i].field))
            remark(m, without_meaning[i].field, "%s", without_meaning[i].text);
    if (json_object_get(m->service, "build"))
        remark(m, "build", "the image is pulled, not built");
}

/* ---- environment, restart, ulimits, gpus ---- */

static void put_environment(struct making *m)
{
    const char *key;
    json_t *value, *map = json_object();
    json_object_foreach (json_object_get(m->service, "environment"), key, value)
        if (json_is_string(value))
            (void)json_object_set(map, key, value);
        else
            remark(m, "environment", "%s has no value here, so the container does not have it", key);
    if (json_object_size(map))
        (void)json_put(m->request, "container.environment", map);
    else
        json_decref(map);
}

static void put_restart(struct making *m)
{
    const char *policy = json_str(m->service, "restart");
    if (!policy || str_eq(policy, ""))
        return; /* our own default: a service comes up again */
    char word[32];
    str_copy(word, sizeof word, policy);
    word[strcspn(word, ":")] = '\0';
    if (policy[strlen(word)])
        remark(m, "restart", "how often is not limited: %s", word);
    (void)json_put(m->request, "container.restartPolicy", json_string(word));
}

static void put_ulimits(struct making *m)
{
    const char *name;
    json_t *value, *list = json_array();
    json_object_foreach (json_object_get(m->service, "ulimits"), name, value) {
        json_t *soft = json_is_object(value) ? json_object_get(value, "soft") : value;
        json_t *hard = json_is_object(value) ? json_object_get(value, "hard") : value;
        (void)json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "name", name, "soft", soft, "hard", hard));
    }
    if (json_array_size(list))
        (void)json_put(m->request, "container.ulimits", list);
    else
        json_decref(list);
}

static int put_gpus(struct making *m)
{
    json_t *list = json_object_get(m->service, "gpus"), *device;
    size_t i;
    if (!list)
        list = json_at(m->service, "deploy.resources.reservations.devices");
    json_array_foreach (list, i, device) {
        json_t *count = json_object_get(device, "count");
        const char *text = json_string_value(count);
        int64_t n = json_is_integer(count) ? json_integer_value(count) : -1;
        if (text && !str_eq(text, "all") && str_to_int64(text, &n) < 0)
            return wrong(m, "gpus", "\"%s\" is no number of GPUs", text);
        if (json_object_get(device, "device_ids"))
            remark(m, "gpus", "GPUs are counted, not chosen by their ids");
        (void)json_put(m->request, "container.gpus", n < 0 ? json_string("all") : json_integer(n));
    }
    return 0;
}

/* ---- ports ---- */

static void put_address(struct making *m, json_t *port, const char *ip, const char *published)
{
    if (!ip || str_eq(ip, "0.0.0.0") || str_eq(ip, "::"))
        remark(m, "ports", "%s is published on loopback only; a domain makes it public, `address: any` opens it to all",
               published ? published : "a port");
    else if (!str_eq(ip, "127.0.0.1") && !str_eq(ip, "::1") && !str_eq(ip, "localhost"))
        remark(m, "ports", "%s is published on loopback instead of %s; `address: mesh` is the node's mesh address",
               published ? published : "a port", ip);
    (void)json_object_set_new(port, "address", json_string("loopback"));
}

static void put_ports(struct making *m)
{
    size_t i;
    json_t *one, *list = json_array();
    int64_t internal = 0;
    json_array_foreach (json_object_get(m->service, "ports"), i, one) {
        const char *published = json_str(one, "published"), *protocol = json_str(one, "protocol");
        int64_t target = json_int(one, "target", 0), host = 0;
        json_t *port = json_pack("{s:I, s:s}", "container", (json_int_t)target, "protocol", protocol);
        if (published && str_to_int64(published, &host) == 0 && host > 0)
            (void)json_object_set_new(port, "host", json_integer(host));
        else if (published && strchr(published, '-'))
            remark(m, "ports", "any free port is taken instead of one of %s", published);
        put_address(m, port, json_str(one, "host_ip"), published);
        (void)json_array_append_new(list, port);
        if (!internal && str_eq(protocol, "tcp"))
            internal = target;
    }
    json_t *exposed = json_array_get(json_object_get(m->service, "expose"), 0);
    if (!internal && exposed && str_to_int64(json_string_value(exposed), &internal) < 0)
        internal = strtol(json_string_value(exposed), NULL, 10);
    if (json_array_size(list))
        (void)json_put(m->request, "container.ports", list);
    else
        json_decref(list);
    (void)json_put(m->request, "networking.internalPort", internal ? json_integer(internal) : json_null());
}

/* ---- volumes, networks, files ---- */

/* "/run:size=64m,mode=1777". The mount, borrowed. */
static json_t *put_memory(struct making *m, const char *word, json_t *list)
{
    _cleanup_free_ char *text = strdup(word);
    char *options = text ? strchr(text, ':') : NULL;
    int64_t n;
    if (options)
        *options++ = '\0';
    json_t *one = json_pack("{s:s}", "target", text);
    (void)json_array_append_new(list, one);
    for (char *save = NULL, *o = options ? strtok_r(options, ",", &save) : NULL; o; o = strtok_r(NULL, ",", &save)) {
        if (str_starts(o, "size=") && compose_bytes(o + 5, &n) == 0)
            (void)json_object_set_new(one, "size", json_integer(n));
        else if (str_starts(o, "mode="))
            (void)json_object_set_new(one, "mode", json_integer(strtol(o + 5, NULL, 8)));
        else
            remark(m, "tmpfs", "%s: the option %s is not set", text, o);
    }
    return one;
}

static void put_hosts(struct making *m)
{
    size_t i;
    json_t *one, *list = json_array();
    json_array_foreach (json_object_get(m->service, "extra_hosts"), i, one) {
        _cleanup_free_ char *text = strdup(json_string_value(one));
        if (text)
            text[strcspn(text, "=")] = ':';
        (void)json_array_append_new(list, json_string(text));
    }
    if (json_array_size(list))
        (void)json_put(m->request, "container.extraHosts", list);
    else
        json_decref(list);
}

static const json_t *definition(const struct making *m, const char *section, const char *name)
{
    return json_object_get(json_object_get(m->compose->model, section), name);
}

static int put_volumes(struct making *m)
{
    size_t i;
    json_t *one, *list = json_array(), *memory = json_array();
    int r = 0;
    json_array_foreach (json_object_get(m->service, "tmpfs"), i, one)
        (void)put_memory(m, json_string_value(one), memory);
    json_array_foreach (json_object_get(m->service, "volumes"), i, one) {
        const char *type = json_str(one, "type"), *source = json_str(one, "source"), *target = json_str(one, "target");
        bool readonly = json_flag(one, "read_only", false);
        if (str_eq(type, "tmpfs")) {
            json_t *mount = put_memory(m, target, memory), *mode = json_at(one, "tmpfs.mode");
            _cleanup_free_ char *size = form_text(json_at(one, "tmpfs.size"));
            int64_t n;
            if (size && compose_bytes(size, &n) == 0)
                (void)json_object_set_new(mount, "size", json_integer(n));
            if (json_is_integer(mode))
                (void)json_object_set(mount, "mode", mode);
            continue;
        }
        if (!str_eq(type, "bind") && !str_eq(type, "volume")) {
            r = wrong(m, "volumes", "mounts of type %s are not made here", type);
            break;
        }
        if (!source) {
            /* A volume without a name would be lost with its container. */
            _cleanup_free_ char *made = str_printf("%s_%s%s", json_str(m->compose->model, "name"), m->name, target);
            for (char *p = made; p && *p; p++)
                *p = *p == '/' ? '-' : *p;
            remark(m, "volumes", "the volume of %s is named %s, so that it outlives its container", target, made);
            (void)json_array_append_new(
                list, json_pack("{s:s, s:s, s:b}", "source", made, "target", target, "readonly", readonly));
            continue;
        }
        const json_t *defined = str_eq(type, "volume") ? definition(m, "volumes", source) : NULL;
        json_t *volume = json_pack("{s:s, s:s, s:b}", "source", defined ? json_str(defined, "name") : source, "target",
                                   target, "readonly", readonly);
        if (json_flag(defined, "external", false))
            (void)json_object_set_new(volume, "external", json_true());
        if (json_object_size(json_object_get(defined, "driver_opts")) || json_str(one, "volume.subpath"))
            remark(m, "volumes", "%s: options of its driver are not set", source);
        (void)json_array_append_new(list, volume);
    }
    if (json_array_size(list))
        (void)json_put(m->request, "container.volumes", json_incref(list));
    if (json_array_size(memory))
        (void)json_put(m->request, "container.tmpfs", json_incref(memory));
    json_decref(list);
    json_decref(memory);
    return r;
}

static json_t *aliases_of(const struct making *m, const json_t *joined)
{
    size_t i;
    json_t *alias, *list = json_pack("[s]", m->name);
    json_array_foreach (json_object_get(joined, "aliases"), i, alias)
        if (!str_eq(json_string_value(alias), m->name))
            (void)json_array_append(list, alias);
    return list;
}

static int put_networks(struct making *m)
{
    const char *key, *mode = json_str(m->service, "network_mode");
    json_t *joined, *list = json_array();
    if (mode && (str_starts(mode, "service:") || str_starts(mode, "container:"))) {
        json_decref(list);
        return wrong(m, "network_mode", "%s: a container cannot share another's network here", mode);
    }
    if (mode)
        (void)json_put(m->request, "container.networkMode", json_string(mode));
    json_object_foreach (json_object_get(m->service, "networks"), key, joined) {
        const json_t *defined = definition(m, "networks", key);
        json_t *network = json_pack("{s:s, s:o}", "name", json_str(defined, "name"), "aliases", aliases_of(m, joined));
        if (json_flag(defined, "internal", false))
            (void)json_object_set_new(network, "internal", json_true());
        if (json_flag(defined, "external", false))
            (void)json_object_set_new(network, "external", json_true());
        const char *driver = json_str(defined, "driver");
        if (driver && !str_eq(driver, "bridge"))
            remark(m, "networks", "%s: the network is a bridge, not of driver %s", key, driver);
        if (json_object_get(defined, "ipam") || json_str(joined, "ipv4_address") || json_str(joined, "ipv6_address"))
            remark(m, "networks", "%s: the engine chooses the addresses", key);
        (void)json_array_append_new(list, network);
    }
    if (json_array_size(list))
        (void)json_put(m->request, "container.networks", list);
    else
        json_decref(list);
    return 0;
}

/* A secret or config is a file in the container; its content is kept as a secret of hbcloud. */
static void put_files(struct making *m, const char *section)
{
    size_t i;
    json_t *one, *files = json_at(m->request, "container.secrets");
    json_array_foreach (json_object_get(m->service, section), i, one) {
        const json_t *defined = definition(m, section, json_str(one, "source"));
        json_t *mode = json_object_get(one, "mode");
        const char *target = json_str(one, "target");
        _cleanup_free_ char *path = *target == '/'
                                        ? strdup(target)
                                        : str_printf("%s/%s", str_eq(section, "secrets") ? "/run/secrets" : "", target);
        json_t *file = json_pack("{s:s, s:s}", "source", json_str(defined, "name"), "target", path);
        if (mode)
            (void)json_object_set_new(file, "mode", json_integer(strtol(json_string_value(mode), NULL, 8)));
        if (json_str(one, "uid") || json_str(one, "gid"))
            remark(m, section, "%s: the file is root's", json_str(one, "source"));
        if (!files) {
            files = json_array();
            (void)json_put(m->request, "container.secrets", files);
        }
        (void)json_array_append_new(files, file);
    }
}

/* ---- health, dependencies ---- */

static void put_seconds(struct making *m, const char *from, const char *to)
{
    int64_t ms;
    const char *text = json_str(m->service, from);
    if (text && compose_duration_ms(text, &ms) == 0)
        (void)json_put(m->request, to, json_integer(ms < 1000 ? 1 : (ms + 999) / 1000));
}

static int put_health(struct making *m)
{
    const json_t *check = json_object_get(m->service, "healthcheck");
    json_t *test = json_object_get(check, "test");
    const char *first = json_string_value(json_array_get(test, 0));
    if (!check)
        return 0;
    if (json_flag(check, "disable", false) || str_eq(first, "NONE")) {
        remark(m, "healthcheck", "without a check of its own, a connection to its port decides");
        return 0;
    }
    if (str_eq(first, "CMD-SHELL")) {
        (void)json_put(m->request, "networking.healthCheck.command",
                       json_pack("[s, s, O]", "/bin/sh", "-c", json_array_get(test, 1)));
    } else if (str_eq(first, "CMD")) {
        json_t *words = json_deep_copy(test);
        (void)json_array_remove(words, 0);
        (void)json_put(m->request, "networking.healthCheck.command", words);
    } else if (test) {
        return wrong(m, "healthcheck.test", "must begin with CMD, CMD-SHELL or NONE");
    }
    put_seconds(m, "healthcheck.interval", "networking.healthCheck.interval");
    put_seconds(m, "healthcheck.timeout", "networking.healthCheck.timeout");
    put_seconds(m, "healthcheck.start_period", "networking.healthCheck.startPeriod");
    if (json_object_get(check, "retries"))
        (void)json_put(m->request, "networking.healthCheck.retries", json_incref(json_object_get(check, "retries")));
    if (json_object_get(check, "start_interval"))
        remark(m, "healthcheck", "start_interval: new containers are looked at twice a second anyway");
    return 0;
}

static const char *condition_word(const char *condition)
{
    return str_eq(condition, "service_healthy")                  ? "healthy"
           : str_eq(condition, "service_completed_successfully") ? "completed"
                                                                 : "started";
}

static void put_dependencies(struct making *m)
{
    const char *on;
    json_t *d, *list = json_array();
    json_object_foreach (json_object_get(m->service, "depends_on"), on, d) {
        _cleanup_free_ char *name = compose_service_name(m->prefix, on);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s}", "service", name, "condition", condition_word(json_str(d, "condition"))));
        if (json_flag(d, "restart", false))
            remark(m, "depends_on", "%s: it is not restarted with it", on);
    }
    if (json_array_size(list))
        (void)json_put(m->request, "dependsOn", list);
    else
        json_decref(list);
}

/* Something waits for its end: it is a job. */
static bool is_job(const struct making *m)
{
    const char *other, *on;
    json_t *service, *d;
    json_object_foreach (json_object_get(m->compose->model, "services"), other, service)
        json_object_foreach (json_object_get(service, "depends_on"), on, d)
            if (str_eq(on, m->name) && str_eq(json_str(d, "condition"), "service_completed_successfully"))
                return true;
    return false;
}

static int make_request(struct making *m)
{
    _cleanup_free_ char *name = compose_service_name(m->prefix, m->name);
    if (!json_object_get(m->service, "image"))
        return wrong(m, "build",
                     "an image is needed: hbcloud runs images and builds none. Build and push it, and name "
                     "it with image:");
    m->request = json_pack("{s:s}", "name", name);
    put_plain(m);
    /* Services of one project share its volumes. */
    json_t *labels = json_at(m->request, "labels");
    if (!labels && json_put(m->request, "labels", json_object()) == 0)
        labels = json_at(m->request, "labels");
    (void)json_object_set(labels, "hbcloud.project", json_object_get(m->compose->model, "name"));
    put_environment(m);
    put_restart(m);
    put_ulimits(m);
    put_hosts(m);
    if (is_job(m)) {
        (void)json_put(m->request, "lifecycle", json_string("job"));
        (void)json_object_del(json_object_get(m->request, "container"), "restartPolicy");
    }
    put_ports(m);
    put_files(m, "secrets");
    put_files(m, "configs");
    put_dependencies(m);
    int r = put_gpus(m);
    if (r == 0)
        r = put_volumes(m);
    if (r == 0)
        r = put_networks(m);
    return r == 0 ? put_health(m) : r;
}

/* ---- order ---- */

/* Depth first; `state`: false under way, true done. */
static int place(struct making *m, json_t *made, json_t *state, const char *name)
{
    json_t *seen = json_object_get(state, name), *d;
    const char *on;
    if (json_is_true(seen))
        return 0;
    if (seen)
        return error_set(m->e, ERR_VALIDATION, "services.%s.depends_on: services depend on each other in a circle",
                         name);
    (void)json_object_set_new(state, name, json_false());
    json_t *service = json_object_get(json_object_get(m->compose->model, "services"), name);
    json_object_foreach (json_object_get(service, "depends_on"), on, d) {
        int r = place(m, made, state, on);
        if (r < 0)
            return r;
    }
    (void)json_object_set_new(state, name, json_true());
    return json_array_append(m->out->services, json_object_get(made, name));
}

static void list_secrets(const struct compose *c, const char *section, json_t *out)
{
    const char *key;
    json_t *one;
    json_object_foreach (json_object_get(c->model, section), key, one)
        (void)json_array_append(out, one);
}

/* Two names that become one are said, not mixed. */
static int check_names(struct making *m)
{
    _cleanup_json_ json_t *names = json_object();
    size_t i;
    json_t *request;
    json_array_foreach (m->out->services, i, request) {
        const char *name = json_str(request, "name");
        if (strlen(name) > 63)
            return error_set(m->e, ERR_VALIDATION, "the name %s is longer than 63 characters; say a shorter --prefix",
                             name);
        if (json_object_get(names, name))
            return error_set(m->e, ERR_VALIDATION, "two services would both be named %s", name);
        (void)json_object_set_new(names, name, json_true());
    }
    return 0;
}

int compose_to_requests(const struct compose *c, const char *prefix, struct compose_import *ret, struct error *e)
{
    struct compose_import out = { json_array(), json_array(), json_array() };
    struct making m = { .compose = c, .prefix = prefix, .out = &out, .e = e };
    _cleanup_json_ json_t *made = json_object(), *state = json_object();
    const char *name;
    json_t *service;
    int r = json_object_size(json_object_get(c->model, "services")) <= SERVICES_MAX
                ? 0
                : error_set(e, ERR_VALIDATION, "A project has at most %d services here.", SERVICES_MAX);
    if (r < 0) {
        compose_import_done(&out);
        return r;
    }
    json_object_foreach (json_object_get(c->model, "services"), name, service) {
        m.name = name;
        m.service = service;
        m.request = NULL;
        r = make_request(&m);
        (void)json_object_set_new(made, name, m.request ? m.request : json_null());
        if (r < 0)
            break;
    }
    if (r == 0)
        json_object_foreach (json_object_get(c->model, "services"), name, service)
            if (r == 0)
                r = place(&m, made, state, name);
    if (r == 0)
        r = check_names(&m);
    list_secrets(c, "secrets", out.secrets);
    list_secrets(c, "configs", out.secrets);
    if (r < 0)
        compose_import_done(&out);
    else
        *ret = out;
    return r;
}

void compose_import_done(struct compose_import *i)
{
    json_decref(i->services);
    json_decref(i->secrets);
    json_decref(i->remarks);
    *i = (struct compose_import){ 0 };
}
