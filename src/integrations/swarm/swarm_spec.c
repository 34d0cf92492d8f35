#include "integrations/swarm/swarm_spec.h"

#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "integrations/docker/docker_spec.h"
#include "integrations/docker/docker_write.h"

#include <errno.h>
#include <math.h>

#define NS_PER_MS 1000000
#define MONITOR_MS 5000

void scheduler_status_done(struct scheduler_status *s)
{
    free(s->image);
    free(s->message);
    free(s->failure);
    *s = (struct scheduler_status){ 0 };
}

/* ---- what can be ---- */

static int check_unknown(const struct engine_spec *c, struct error *e)
{
    const struct {
        bool set;
        const char *what;
    } none[] = { { c->privileged, "privileged mode" },
                 { c->network_mode != NULL, "a network mode" },
                 { c->pid_mode != NULL, "a PID mode" },
                 { c->ipc_mode != NULL, "an IPC mode" },
                 { json_array_size(c->devices) > 0, "devices" },
                 { json_array_size(c->security_options) > 0, "security options" },
                 { json_array_size(c->capabilities_added) > 0, "added capabilities" },
                 { json_array_size(c->capabilities_dropped) > 0, "dropped capabilities" },
                 { json_array_size(c->extra_hosts) > 0, "extra hosts" },
                 { json_array_size(c->dns) > 0, "name servers" },
                 { json_array_size(c->ulimits) > 0, "ulimits" },
                 { json_object_size(c->sysctls) > 0, "sysctls" },
                 { c->network && !json_array_size(c->networks), "a network that is not in its list of networks" },
                 { c->gpus != 0, "GPUs by number" },
                 { c->pids_limit != 0, "a limit of processes" },
                 { c->shm_size != 0, "a size of shared memory" } };
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (none[i].set)
            return error_set(e, ERR_VALIDATION, "A service of the cluster cannot have %s.", none[i].what);
    return 0;
}

int swarm_spec_check(const struct scheduler_spec *s, struct error *e)
{
    const struct engine_spec *c = s->container;
    size_t i;
    json_t *one;
    int r = docker_spec_check(c, e);
    if (r < 0 || (r = check_unknown(c, e)) < 0)
        return r;
    if (s->replicas > SWARM_REPLICAS_MAX)
        return error_set(e, ERR_VALIDATION, "A service can have at most %d instances.", SWARM_REPLICAS_MAX);
    for (size_t p = 0; p < c->port_count; p++)
        if (*c->ports[p].host_ip && !str_eq(c->ports[p].host_ip, "0.0.0.0"))
            return error_set(e, ERR_VALIDATION,
                             "Port %u: the cluster publishes ports on every address of its machines, not on %s.",
                             c->ports[p].container, c->ports[p].host_ip);
    json_array_foreach (s->constraints, i, one)
        if (!json_is_string(one) || json_string_length(one) > 512 ||
            (!strstr(json_string_value(one), "==") && !strstr(json_string_value(one), "!=")))
            return error_set(e, ERR_VALIDATION, "Constraint %zu must be like node.labels.room==cellar.", i + 1);
    if (s->monitor_ms < 0 || s->monitor_ms > INT64_MAX / NS_PER_MS)
        return error_set(e, ERR_VALIDATION, "The time that a new instance is looked at must not be negative.");
    return 0;
}

/* ---- writing ---- */

static void number(struct jw *w, const char *key, int64_t value)
{
    jw_key(w, key);
    jw_int(w, value);
}

static void write_container(struct jw *w, const struct engine_spec *c)
{
    jw_key(w, "ContainerSpec");
    jw_object(w);
    docker_write_text(w, "Image", c->image);
    docker_write_list(w, "Command", c->entrypoint, NULL);
    docker_write_list(w, "Args", c->command, NULL);
    docker_write_environment(w, c->environment);
    docker_write_text(w, "User", c->user);
    docker_write_text(w, "Dir", c->working_directory);
    docker_write_text(w, "Hostname", c->hostname);
    docker_write_text(w, "StopSignal", c->stop_signal);
    if (c->stop_grace_s)
        number(w, "StopGracePeriod", (int64_t)c->stop_grace_s * 1000 * NS_PER_MS);
    docker_write_flag(w, "Init", c->init);
    docker_write_flag(w, "ReadOnly", c->read_only_root);
    docker_write_flag(w, "TTY", c->tty);
    docker_write_flag(w, "OpenStdin", c->stdin_open);
    docker_write_mounts(w, c);
    docker_write_health(w, c);
    jw_end(w);
}

static void write_limits(struct jw *w, const struct engine_spec *c)
{
    jw_key(w, "Resources");
    jw_object(w);
    jw_key(w, "Limits");
    jw_object(w);
    if (c->cpu_limit > 0)
        number(w, "NanoCPUs", llround(c->cpu_limit * 1e9));
    if (c->memory_limit)
        number(w, "MemoryBytes", c->memory_limit);
    jw_end(w);
    jw_end(w);
}

static void write_networks(struct jw *w, const struct engine_spec *c)
{
    size_t i;
    json_t *one;
    jw_key(w, "Networks");
    jw_array(w);
    json_array_foreach (c->networks, i, one) {
        jw_object(w);
        docker_write_text(w, "Target", json_str(one, "name"));
        if (json_array_size(json_at(one, "aliases"))) {
            jw_key(w, "Aliases");
            jw_json(w, json_at(one, "aliases"));
        }
        jw_end(w);
    }
    jw_end(w);
}

static void write_task(struct jw *w, const struct scheduler_spec *s)
{
    jw_key(w, "TaskTemplate");
    jw_object(w);
    write_container(w, s->container);
    write_limits(w, s->container);
    jw_key(w, "RestartPolicy");
    jw_object(w);
    docker_write_text(w, "Condition",
                      str_eq(s->container->restart_policy, "no")           ? "none"
                      : str_eq(s->container->restart_policy, "on-failure") ? "on-failure"
                                                                           : "any");
    jw_end(w);
    jw_key(w, "Placement");
    jw_object(w);
    if (json_array_size(s->constraints)) {
        jw_key(w, "Constraints");
        jw_json(w, s->constraints);
    }
    jw_end(w);
    write_networks(w, s->container);
    jw_end(w);
}

/* How an update goes, or a rollback, whose own failure can only wait for someone. */
static void write_change(struct jw *w, const char *key, const struct scheduler_spec *s, const char *on_failure)
{
    jw_key(w, key);
    jw_object(w);
    number(w, "Parallelism", s->parallelism ? s->parallelism : 1);
    number(w, "Monitor", (s->monitor_ms ? s->monitor_ms : MONITOR_MS) * NS_PER_MS);
    docker_write_text(w, "FailureAction", on_failure);
    docker_write_text(w, "Order", s->stop_first ? "stop-first" : "start-first");
    jw_end(w);
}

static void write_ports(struct jw *w, const struct engine_spec *c)
{
    jw_key(w, "EndpointSpec");
    jw_object(w);
    jw_key(w, "Ports");
    jw_array(w);
    for (size_t i = 0; i < c->port_count; i++) {
        jw_object(w);
        docker_write_text(w, "Protocol", *c->ports[i].protocol ? c->ports[i].protocol : "tcp");
        number(w, "TargetPort", c->ports[i].container);
        if (c->ports[i].host)
            number(w, "PublishedPort", c->ports[i].host);
        docker_write_text(w, "PublishMode", "ingress");
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

void swarm_spec_write(const struct scheduler_spec *s, struct buf *out)
{
    struct jw w;
    jw_init(&w, out);
    jw_object(&w);
    docker_write_text(&w, "Name", s->container->name);
    if (s->container->labels) {
        jw_key(&w, "Labels");
        jw_json(&w, s->container->labels);
    }
    write_task(&w, s);
    jw_key(&w, "Mode");
    jw_object(&w);
    jw_key(&w, "Replicated");
    jw_object(&w);
    number(&w, "Replicas", s->replicas);
    jw_end(&w);
    jw_end(&w);
    write_change(&w, "UpdateConfig", s, "rollback");
    write_change(&w, "RollbackConfig", s, "pause");
    write_ports(&w, s->container);
    jw_end(&w);
}

/* ---- reading ---- */

static enum scheduler_state state_of(const char *word)
{
    static const struct {
        const char *word;
        enum scheduler_state state;
    } words[] = { { "updating", SCHEDULER_UPDATING },      { "paused", SCHEDULER_PAUSED },
                  { "completed", SCHEDULER_SETTLED },      { "rollback_started", SCHEDULER_ROLLING_BACK },
                  { "rollback_paused", SCHEDULER_PAUSED }, { "rollback_completed", SCHEDULER_ROLLED_BACK } };
    for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
        if (str_eq(word, words[i].word))
            return words[i].state;
    return SCHEDULER_SETTLED;
}

static bool keep(char **ret, const char *said)
{
    free(*ret);
    *ret = said && *said ? strdup(said) : NULL;
    return *ret || !said || !*said;
}

static bool tasks_read(const json_t *tasks, struct scheduler_status *s)
{
    const char *newest = "";
    size_t i;
    json_t *one;
    json_array_foreach (tasks, i, one) {
        const char *image = json_str(one, "Spec.ContainerSpec.Image"), *at = json_str(one, "Status.Timestamp");
        const char *failure = json_str(one, "Status.Err");
        s->running += str_eq(json_str(one, "DesiredState"), "running") &&
                      str_eq(json_str(one, "Status.State"), "running") && str_eq(image, s->image);
        if (failure && *failure && at && strcmp(at, newest) >= 0) { /* RFC 3339 in UTC sorts as text */
            newest = at;
            if (!keep(&s->failure, failure))
                return false;
        }
    }
    return true;
}

int swarm_status_read(const json_t *service, const json_t *tasks, struct scheduler_status *ret, struct error *e)
{
    struct scheduler_status s = { .state = state_of(json_str(service, "UpdateStatus.State")) };
    const char *image = json_str(service, "Spec.TaskTemplate.ContainerSpec.Image");
    int64_t wanted = json_int(service, "Spec.Mode.Replicated.Replicas", -1);
    if (!image || wanted < 0 || wanted > INT32_MAX || !json_is_array(tasks))
        return error_set(e, ERR_UPSTREAM, "The cluster's answer about a service is not understood.");
    s.wanted = (unsigned)wanted;
    if (!keep(&s.image, image) || !keep(&s.message, json_str(service, "UpdateStatus.Message")) ||
        !tasks_read(tasks, &s)) {
        scheduler_status_done(&s);
        return error_errno(e, -ENOMEM, "Reading a service of the cluster");
    }
    *ret = s;
    return 0;
}
