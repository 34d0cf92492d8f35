#include "integrations/docker/docker_spec.h"

#include "base/jsonw.h"
#include "base/str.h"
#include "integrations/docker/docker_reference.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

#define LOOPBACK "127.0.0.1"
#define NS_PER_MS 1000000

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
    return check_strings(s->labels, "labels", true, e);
}

static void write_argv(struct jw *w, const char *key, const char **argv)
{
    if (!argv)
        return;
    jw_key(w, key);
    jw_array(w);
    for (; *argv; argv++)
        jw_string(w, *argv);
    jw_end(w);
}

static void write_environment(struct jw *w, const json_t *environment)
{
    const char *key;
    json_t *value;
    jw_key(w, "Env");
    jw_array(w);
    json_object_foreach ((json_t *)environment, key, value) {
        char *pair = str_printf("%s=%s", key, json_string_value(value));
        if (!pair)
            w->out->failed = true;
        jw_string(w, pair);
        if (pair)
            explicit_bzero(pair, strlen(pair));
        free(pair);
    }
    jw_end(w);
}

static void write_time(struct jw *w, const char *key, int64_t ms)
{
    if (ms > 0 && ms <= INT64_MAX / NS_PER_MS) {
        jw_key(w, key);
        jw_int(w, ms * NS_PER_MS);
    }
}

static void write_health(struct jw *w, const struct engine_spec *s)
{
    if (!s->health_command && !s->health_interval_ms && !s->health_timeout_ms && !s->health_start_ms &&
        !s->health_retries)
        return;
    jw_key(w, "Healthcheck"); /* without Test: the image's own command with these times */
    jw_object(w);
    if (s->health_command) {
        jw_key(w, "Test");
        jw_array(w);
        jw_string(w, "CMD");
        for (const char **a = s->health_command; *a; a++)
            jw_string(w, *a);
        jw_end(w);
    }
    write_time(w, "Interval", s->health_interval_ms);
    write_time(w, "Timeout", s->health_timeout_ms);
    write_time(w, "StartPeriod", s->health_start_ms);
    if (s->health_retries) {
        jw_key(w, "Retries");
        jw_int(w, s->health_retries);
    }
    jw_end(w);
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

static void write_mounts(struct jw *w, const struct engine_spec *s)
{
    jw_key(w, "Mounts");
    jw_array(w);
    for (size_t i = 0; i < s->mount_count; i++) {
        const struct engine_mount *m = &s->mounts[i];
        jw_object(w);
        jw_key(w, "Type");
        jw_string(w, m->kind);
        if (!str_eq(m->kind, "tmpfs")) {
            jw_key(w, "Source");
            jw_string(w, m->source);
        }
        jw_key(w, "Target");
        jw_string(w, m->target);
        jw_key(w, "ReadOnly");
        jw_bool(w, m->readonly);
        jw_end(w);
    }
    jw_end(w);
}

static void write_host(struct jw *w, const struct engine_spec *s)
{
    jw_key(w, "HostConfig");
    jw_object(w);
    write_bindings(w, s);
    write_mounts(w, s);
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
    jw_end(w);
}

void docker_spec_write(const struct engine_spec *s, struct buf *out)
{
    struct jw w;
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "Image");
    jw_string(&w, s->image);
    write_argv(&w, "Cmd", s->command);
    write_argv(&w, "Entrypoint", s->entrypoint);
    write_environment(&w, s->environment);
    if (s->labels) {
        jw_key(&w, "Labels");
        jw_json(&w, s->labels);
    }
    if (s->stop_grace_s) {
        jw_key(&w, "StopTimeout");
        jw_int(&w, s->stop_grace_s);
    }
    write_health(&w, s);
    write_exposed(&w, s);
    write_host(&w, s);
    jw_end(&w);
}
