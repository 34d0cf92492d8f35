#include "deployment/spec.h"

#include "deployment/steps.h"

#include <stdio.h>

#define WORDS_MAX 257
#define PORTS_MAX 66
#define MOUNTS_MAX (64 + 32) /* volumes and tmpfs, as the contract has them */

struct container_spec { /* what the engine_spec points to */
    const char *command[WORDS_MAX], *entrypoint[WORDS_MAX], *health[WORDS_MAX];
    struct engine_port ports[PORTS_MAX];
    struct engine_mount mounts[MOUNTS_MAX];
    json_t *labels, *networks;
    struct engine_spec view;
};

static const char **argv_of(const json_t *list, const char **storage, size_t max)
{
    size_t i;
    json_t *word;
    if (!json_is_array(list))
        return NULL;
    json_array_foreach (list, i, word)
        if (i < max - 1)
            storage[i] = json_string_value(word);
    storage[json_array_size(list) < max - 1 ? json_array_size(list) : max - 1] = NULL;
    return storage;
}

/* ---- ports: on loopback unless said; the engine's own forwarding goes round the host's firewall ---- */

static int set_host_ip(const struct run *r, const json_t *x, struct engine_port *p, const char *wanted, struct error *e)
{
    return runtime_publish_address(r->deployments->runtime, json_str(x, "node"), wanted, p->host_ip, e);
}

static int add_port(const struct run *r, const json_t *x, struct container_spec *m, const json_t *wanted,
                    struct error *e)
{
    const char *protocol = json_str(wanted, "protocol");
    struct engine_port *p = &m->ports[m->view.port_count];
    if (m->view.port_count == PORTS_MAX)
        return 0;
    *p = (struct engine_port){ .container = (uint16_t)json_int(wanted, "container", 0),
                               .host = (uint16_t)json_int(wanted, "host", 0) };
    str_copy(p->protocol, sizeof p->protocol, protocol ? protocol : "tcp");
    m->view.port_count++;
    return set_host_ip(r, x, p, json_str(wanted, "address"), e);
}

static int add_ports(const struct run *r, const json_t *x, struct container_spec *m, struct error *e)
{
    size_t i;
    json_t *p;
    const json_t *spec = r->release.specification;
    int64_t internal = json_int(spec, "networking.internalPort", 0);
    const char *mode = json_str(spec, "container.networkMode");
    bool has_internal = !internal || (mode && !str_eq(mode, "bridge"));
    int res = 0;
    m->view.ports = m->ports;
    json_array_foreach (json_at(spec, "container.ports"), i, p) {
        const char *protocol = json_str(p, "protocol");
        has_internal =
            has_internal || (json_int(p, "container", 0) == internal && (!protocol || str_eq(protocol, "tcp")));
        if (res == 0)
            res = add_port(r, x, m, p, e);
    }
    _cleanup_json_ json_t *own = json_pack("{s:I}", "container", (json_int_t)internal);
    return res == 0 && !has_internal ? add_port(r, x, m, own, e) : res;
}

static size_t add_mount(struct container_spec *m, size_t n, const char *kind, const char *source, const char *target,
                        bool readonly)
{
    if (n == MOUNTS_MAX)
        return n;
    /* The engine's struct owns its texts elsewhere; here they are borrowed for the one call. */
    m->mounts[n] = (struct engine_mount){ .kind = (char *)(uintptr_t)kind,
                                          .source = (char *)(uintptr_t)source,
                                          .target = (char *)(uintptr_t)target,
                                          .readonly = readonly };
    return n + 1;
}

static size_t mounts_of(const json_t *spec, struct container_spec *m)
{
    size_t i, n = 0;
    json_t *v;
    json_array_foreach (json_at(spec, "container.volumes"), i, v) {
        const char *source = json_str(v, "source");
        n = add_mount(m, n, source[0] == '/' ? "bind" : "volume", source, json_str(v, "target"),
                      json_flag(v, "readonly", false));
    }
    json_array_foreach (json_at(spec, "container.tmpfs"), i, v)
        n = add_mount(m, n, "tmpfs", NULL, json_is_string(v) ? json_string_value(v) : json_str(v, "target"), false);
    return n;
}

static void fill_run(struct engine_spec *s, struct container_spec *m, const json_t *spec)
{
    const json_t *check = json_at(spec, "networking.healthCheck");
    const char *restart = json_str(spec, "container.restartPolicy");
    s->command = argv_of(json_at(spec, "container.command"), m->command, WORDS_MAX);
    s->entrypoint = argv_of(json_at(spec, "container.entrypoint"), m->entrypoint, WORDS_MAX);
    s->cpu_limit = json_num(spec, "container.resources.cpu", 0);
    s->memory_limit = (int64_t)(json_num(spec, "container.resources.memory", 0) * (1 << 20));
    s->restart_policy = strategy_is_job(spec) ? "no" : restart ? restart : "unless-stopped";
    s->stop_grace_s = strategy_stop_grace_s(spec);
    s->health_command = json_str(check, "path") ? NULL : argv_of(json_at(check, "command"), m->health, WORDS_MAX);
    s->health_interval_ms = json_int(check, "interval", 10) * 1000;
    s->health_timeout_ms = json_int(check, "timeout", 5) * 1000;
    s->health_start_ms = json_int(check, "startPeriod", 30) * 1000;
    s->health_retries = (int)json_int(check, "retries", 3);
}

static int gpus_of(const json_t *value)
{
    return json_is_integer(value)                                           ? (int)json_integer_value(value)
           : json_is_true(value) || str_eq(json_string_value(value), "all") ? -1
                                                                            : 0;
}

static void fill_owner_wishes(struct engine_spec *s, const json_t *spec)
{
    const json_t *c = json_at(spec, "container");
    s->user = json_str(c, "user");
    s->working_directory = json_str(c, "workingDir");
    s->hostname = json_str(c, "hostname");
    s->stop_signal = json_str(c, "stopSignal");
    s->extra_hosts = json_at(c, "extraHosts");
    s->dns = json_at(c, "dns");
    s->capabilities_added = json_at(c, "capAdd");
    s->capabilities_dropped = json_at(c, "capDrop");
    s->security_options = json_at(c, "securityOpt");
    s->devices = json_at(c, "devices");
    s->sysctls = json_at(c, "sysctls");
    s->ulimits = json_at(c, "ulimits");
    s->network_mode = json_str(c, "networkMode");
    s->pid_mode = json_str(c, "pidMode");
    s->ipc_mode = json_str(c, "ipcMode");
    s->shm_size = json_int(c, "shmSize", 0);
    s->pids_limit = json_int(c, "pidsLimit", 0);
    s->gpus = gpus_of(json_at(c, "gpus"));
    s->privileged = json_flag(c, "privileged", false);
    s->read_only_root = json_flag(c, "readOnly", false);
    s->init = json_flag(c, "init", false);
    s->tty = json_flag(c, "tty", false);
    s->stdin_open = json_flag(c, "stdinOpen", false);
}

struct container_spec *container_spec_new(const struct run *r, const json_t *x, struct error *e)
{
    const json_t *spec = r->release.specification;
    struct container_spec *m = calloc(1, sizeof *m);
    if (!m) {
        (void)error_set(e, ERR_INTERNAL, "No memory.");
        return NULL;
    }
    m->labels = json_pack("{s:s, s:s, s:s}", LABEL_INSTANCE, json_str(x, "id"), LABEL_SERVICE, r->name,
                          LABEL_DEPLOYMENT, r->id);
    m->networks = run_networks(r);
    m->view = (struct engine_spec){
        .name = json_str(x, "name"),
        .image = json_str(x, "imageId"),
        .environment = r->release.environment,
        .labels = m->labels,
        .mounts = m->mounts,
        .mount_count = mounts_of(spec, m),
        .networks = m->networks,
        .network = json_str(json_array_get(m->networks, 0), "name"),
    };
    fill_run(&m->view, m, spec);
    fill_owner_wishes(&m->view, spec);
    if (add_ports(r, x, m, e) == 0)
        return m;
    container_spec_free(m);
    return NULL;
}

const struct engine_spec *container_spec_view(const struct container_spec *s)
{
    return &s->view;
}

void container_spec_free(struct container_spec *s)
{
    if (s)
        json_decref(s->labels), json_decref(s->networks);
    free(s);
}
