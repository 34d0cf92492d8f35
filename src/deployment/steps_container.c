#include "deployment/steps.h"

#include <stdio.h>

#define AWAIT_OWN_MS 15000
#define GOOD_CHECKS_WANTED 2

/* ---- create ---- */

struct spec_memory { /* what an engine_spec points to */
    const char *command[257], *entrypoint[257], *health[257];
    struct engine_port ports[66];
    struct engine_mount mounts[65];
    json_t *labels;
    char name[128];
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

static size_t ports_of(const json_t *spec, struct engine_port *ret, size_t max)
{
    size_t i, n = 0;
    json_t *p;
    int64_t internal = json_int(spec, "networking.internalPort", 0);
    bool has_internal = false;
    json_array_foreach (json_at(spec, "container.ports"), i, p) {
        if (n + 1 >= max)
            break;
        const char *protocol = json_str(p, "protocol");
        ret[n] = (struct engine_port){ .container = (uint16_t)json_int(p, "container", 0),
                                       .host = (uint16_t)json_int(p, "host", 0) };
        str_copy(ret[n].protocol, sizeof ret[n].protocol, protocol ? protocol : "tcp");
        has_internal = has_internal || (ret[n].container == internal && str_eq(ret[n].protocol, "tcp"));
        n++;
    }
    if (!has_internal && internal) {
        ret[n] = (struct engine_port){ .container = (uint16_t)internal };
        str_copy(ret[n].protocol, sizeof ret[n].protocol, "tcp");
        n++;
    }
    return n;
}

static size_t mounts_of(const json_t *spec, struct engine_mount *ret, size_t max)
{
    size_t i, n = 0;
    json_t *v;
    json_array_foreach (json_at(spec, "container.volumes"), i, v) {
        if (n == max)
            break;
        const char *source = json_str(v, "source");
        /* The engine's struct owns its texts elsewhere; here they are borrowed for the one call. */
        ret[n++] = (struct engine_mount){ .kind = (char *)(uintptr_t)(source[0] == '/' ? "bind" : "volume"),
                                          .source = (char *)(uintptr_t)source,
                                          .target = (char *)(uintptr_t)json_str(v, "target"),
                                          .readonly = json_flag(v, "readonly", false) };
    }
    return n;
}

static json_t *labels_of(const struct run *r)
{
    return json_pack("{s:s, s:s, s:s}", LABEL_INSTANCE, r->service_id, LABEL_SERVICE, r->name, LABEL_DEPLOYMENT, r->id);
}

static void fill_spec(const struct run *r, struct spec_memory *m, struct engine_spec *ret)
{
    const json_t *spec = r->release.specification, *check = json_at(spec, "networking.healthCheck");
    container_name(r, m->name, sizeof m->name);
    m->labels = labels_of(r);
    *ret = (struct engine_spec){
        .name = m->name,
        .image = json_str(r->facts, "imageId"),
        .command = argv_of(json_at(spec, "container.command"), m->command, ARRAY_LEN(m->command)),
        .entrypoint = argv_of(json_at(spec, "container.entrypoint"), m->entrypoint, ARRAY_LEN(m->entrypoint)),
        .environment = r->release.environment,
        .labels = m->labels,
        .ports = m->ports,
        .port_count = ports_of(spec, m->ports, ARRAY_LEN(m->ports)),
        .mounts = m->mounts,
        .mount_count = mounts_of(spec, m->mounts, ARRAY_LEN(m->mounts)),
        .cpu_limit = json_num(spec, "container.resources.cpu", 0),
        .memory_limit = (int64_t)json_num(spec, "container.resources.memory", 0) << 20,
        .restart_policy = "unless-stopped",
        .stop_grace_s = STOP_GRACE_S,
        .health_command =
            json_str(check, "path") ? NULL : argv_of(json_at(check, "command"), m->health, ARRAY_LEN(m->health)),
        .health_interval_ms = json_int(check, "interval", 10) * 1000,
        .health_timeout_ms = json_int(check, "timeout", 5) * 1000,
        .health_start_ms = json_int(check, "startPeriod", 30) * 1000,
        .health_retries = (int)json_int(check, "retries", 3),
    };
}

/* The container that an earlier try of this very deployment made; "" none. ERR_CONFLICT: the name is a stranger's. */
int find_own(struct run *r, char ret_id[65], struct error *e)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    char name[128];
    container_name(r, name, sizeof name);
    ret_id[0] = '\0';
    int res = r->engine->ops->list(r->engine, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++) {
        if (str_eq(json_string_value(json_object_get(list[i].labels, LABEL_DEPLOYMENT)), r->id))
            str_copy(ret_id, 65, list[i].id);
        else if (str_eq(list[i].name, name))
            res = error_set(e, ERR_CONFLICT, "There is a container %s that is not this deployment's.", name);
    }
    engine_containers_free(list, n);
    return res;
}

static int create_new(struct run *r, char ret_id[65], struct error *e)
{
    struct spec_memory *m = calloc(1, sizeof *m);
    struct engine_spec spec;
    if (!m)
        return error_set(e, ERR_INTERNAL, "No memory.");
    fill_spec(r, m, &spec);
    int res = r->engine->ops->create(r->engine, &spec, ret_id, e);
    json_decref(m->labels);
    free(m);
    return res;
}

/* The name is taken and yet no container has it: the engine still makes the one that a killed hub asked for. */
static int await_own(struct run *r, char ret_id[65], struct error *taken, struct error *e)
{
    int res = 0;
    int64_t until = clock_mono_ms() + AWAIT_OWN_MS;
    ret_id[0] = '\0';
    while (res == 0 && !ret_id[0] && clock_mono_ms() < until && !run_interrupted(r)) {
        step_pause_ms(CHECK_PAUSE_MS);
        res = find_own(r, ret_id, e);
    }
    if (res == 0 && run_interrupted(r))
        return RUN_INTERRUPTED;
    return res < 0 || ret_id[0] ? res : error_set(e, taken->code, "%s", taken->message);
}

int step_create(struct run *r, struct error *e)
{
    char id[65];
    struct error failure = ERROR_INIT;
    int res = find_own(r, id, e);
    if (res == 0 && !id[0]) {
        res = create_new(r, id, &failure);
        if (res == -ERR_CONFLICT)
            res = await_own(r, id, &failure, e);
        else if (res < 0)
            (void)error_set(e, failure.code, "%s", failure.message);
        error_done(&failure);
    }
    if (res < 0)
        return res;
    (void)json_put(r->facts, "container", json_string(id));
    record_log(&r->record, "container %.12s created", id);
    return 0;
}

/* ---- start, check ---- */

int step_start(struct run *r, struct error *e)
{
    if (json_flag(r->facts, "stopOldFirst", false) && old_container(r)) {
        int res = r->engine->ops->stop(r->engine, old_container(r), STOP_GRACE_S, e);
        if (res < 0 && res != -ERR_NOT_FOUND)
            return res;
        record_log(&r->record, "the old container has stopped");
    }
    int res = r->engine->ops->start(r->engine, new_container(r), e);
    if (res == 0)
        record_log(&r->record, "started");
    return res;
}

struct last_lines {
    char text[400];
};

static int keep_last(void *ctx, enum engine_stream stream UNUSED, const char *bytes, size_t len)
{
    struct last_lines *l = ctx;
    size_t room = sizeof l->text - 1, have = strlen(l->text);
    if (len > room) {
        bytes += len - room;
        len = room;
    }
    if (have + len > room) {
        size_t drop = have + len - room;
        memmove(l->text, l->text + drop, have - drop + 1);
        have -= drop;
    }
    memcpy(l->text + have, bytes, len);
    l->text[have + len] = '\0';
    return 0;
}

static int died(struct run *r, const struct engine_container *c, struct error *e)
{
    struct last_lines said = { "" };
    struct engine_log_request ask = { .tail = 3, .want_stdout = true, .want_stderr = true };
    (void)r->engine->ops->logs(r->engine, c->id, &ask, keep_last, &said, NULL);
    char *line = str_trim(said.text), *last = strrchr(line, '\n');
    line = last ? last + 1 : line;
    if (c->oom_killed)
        return error_set(e, ERR_CONFLICT,
                         "The new container was killed: it needs more memory than its limit of %lld MB.",
                         (long long)(c->memory_limit >> 20));
    /* The engine forgets that it was the memory when the container starts again. */
    if (c->exit_code == 137 && c->memory_limit)
        return error_set(
            e, ERR_CONFLICT,
            "The new container was killed (status 137): it may need more memory than its limit of %lld MB.",
            (long long)(c->memory_limit >> 20));
    return error_set(e, ERR_CONFLICT, "The new container ended with status %d right after its start%s%s", c->exit_code,
                     *line ? "; it said: " : ".", line);
}

/* The service's document as it would be with this container. */
static json_t *document_with(const struct run *r, const struct engine_container *c)
{
    json_t *d = json_deep_copy(r->service);
    if (d) {
        apply_release(d, r->release.specification, &r->image);
        (void)json_put(d, "managed", json_true());
        runtime_fill_container(d, c);
    }
    return d;
}

static int64_t check_time_ms(const struct run *r)
{
    const json_t *check = json_at(r->release.specification, "networking.healthCheck");
    return 1000 * (json_int(check, "startPeriod", 30) +
                   json_int(check, "retries", 3) * (json_int(check, "interval", 10) + json_int(check, "timeout", 5)));
}

/* One look: 1 good, 0 not yet (why in reason), negative: it will never be. */
int step_look(struct run *r, char *reason, size_t size, struct error *e)
{
    struct engine_container c = { 0 };
    int res = r->engine->ops->inspect(r->engine, new_container(r), &c, e);
    if (res < 0)
        return res == -ERR_UNAVAILABLE ? 0 : res;
    if (str_eq(c.state, "running")) {
        _cleanup_json_ json_t *d = document_with(r, &c);
        res = d ? runtime_check_health(d, &c, r->job->stopping, reason, size) : 0;
        res = res == 1;
    } else {
        res = died(r, &c, e);
    }
    engine_container_done(&c);
    return res;
}

int step_check(struct run *r, struct error *e)
{
    char reason[512] = "it does not answer";
    int good = 0;
    int64_t until = clock_mono_ms() + check_time_ms(r);
    while (good < GOOD_CHECKS_WANTED) {
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        if (run_cancelled(r))
            return error_set(e, ERR_CONFLICT, "The deployment was cancelled.");
        int res = step_look(r, reason, sizeof reason, e);
        if (res < 0)
            return res;
        good = res ? good + 1 : 0;
        if (!good && clock_mono_ms() > until)
            return error_set(e, ERR_TIMEOUT, "The new container did not become healthy within %lld s: %.380s.",
                             (long long)check_time_ms(r) / 1000, reason);
        if (good < GOOD_CHECKS_WANTED)
            step_pause_ms(good ? CHECK_PAUSE_MS / 2 : CHECK_PAUSE_MS);
    }
    record_log(&r->record, "healthy");
    return 0;
}
