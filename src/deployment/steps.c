#include "deployment/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* What each step does. Every step may find its own half-done work: names and labels are made from the
 * deployment's id, so a container that a killed hub left is found again and used. */

#define STOP_GRACE_S 10
#define CHECK_PAUSE_MS 500
#define GOOD_CHECKS_WANTED 2
#define AWAIT_OWN_MS 15000

bool run_interrupted(const struct run *r)
{
    return *r->job->stopping;
}

static bool late(const struct run *r)
{
    return clock_mono_ms() > r->step_deadline_ms;
}

static void pause_ms(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&ts, NULL);
}

static void container_name(const struct run *r, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s-%s", r->name, r->id + ID_LEN - 8);
}

static const char *old_container(const struct run *r)
{
    return json_str(r->facts, "oldContainer");
}

static const char *new_container(const struct run *r)
{
    return json_str(r->facts, "container");
}

/* ---- validate, resolve, preflight ---- */

static int validate(struct run *r, struct error *e)
{
    _cleanup_entity_ struct entity *node = NULL;
    int res = runtime_node(r->deployments->runtime, json_str(r->service, "nodeId"), &node, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = entity_document(node);
    if (str_eq(json_str(d, "status"), "maintenance"))
        return error_set(e, ERR_CONFLICT, "Node %s is under maintenance.", node->name);
    const char *old = json_str(r->service, "container.id");
    if (old && json_str(r->service, "container.state"))
        (void)json_put(r->facts, "oldContainer", json_string(old));
    (void)json_put(r->record.document, "monitoring.preDeploy.healthChecks",
                   json_boolean(str_eq(json_str(r->service, "status.health"), "healthy")));
    return 0;
}

static int resolve(struct run *r, struct error *e UNUSED)
{
    char reference[700];
    image_name_reference(&r->image, reference, sizeof reference);
    (void)json_put(r->facts, "reference", json_string(reference));
    record_log(&r->record, "image %s", reference);
    return 0;
}

static int check_bind_sources(struct run *r, struct error *e)
{
    size_t i;
    json_t *v;
    struct stat st;
    json_array_foreach (json_at(r->release.specification, "container.volumes"), i, v) {
        const char *source = json_str(v, "source");
        if (source[0] == '/' && stat(source, &st) < 0 && errno == ENOENT)
            return error_set(e, ERR_CONFLICT,
                             "The bind source %.300s does not exist on the node. Create it, or name a volume.", source);
    }
    return 0;
}

static bool wants_host_port(const json_t *spec, int64_t port, const char *protocol)
{
    size_t i;
    json_t *p;
    json_array_foreach (json_at(spec, "container.ports"), i, p) {
        const char *its = json_str(p, "protocol");
        if (json_int(p, "host", 0) == port && str_eq(its ? its : "tcp", protocol))
            return true;
    }
    return false;
}

/* A fixed host port that some other container publishes: said before anything is touched. One that our own old
 * container has means that the old one must stop first. */
static int check_ports(struct run *r, struct error *e)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    int res = r->engine->ops->list(r->engine, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++)
        for (size_t k = 0; res == 0 && k < list[i].port_count; k++) {
            const struct engine_port *p = &list[i].ports[k];
            if (!p->host || !wants_host_port(r->release.specification, p->host, p->protocol) ||
                str_eq(new_container(r), list[i].id))
                continue;
            if (str_eq(old_container(r), list[i].id))
                (void)json_put(r->facts, "stopOldFirst", json_true());
            else
                res = error_set(e, ERR_CONFLICT, "Host port %u is taken by container %s.", (unsigned)p->host,
                                list[i].name);
        }
    engine_containers_free(list, n);
    return res;
}

static int preflight(struct run *r, struct error *e)
{
    struct engine_info info;
    int res = r->engine->ops->info(r->engine, &info, e);
    if (res == 0)
        res = check_bind_sources(r, e);
    if (res == 0)
        res = check_ports(r, e);
    if (res == 0)
        record_log(&r->record, "engine %s %s%s", info.kind, info.version,
                   json_flag(r->facts, "stopOldFirst", false)
                       ? "; a fixed host port: the old container stops before the new one starts"
                       : "");
    return res;
}

/* ---- pull ---- */

static int on_progress(void *ctx, const struct engine_progress *p)
{
    struct run *r = ctx;
    if (run_interrupted(r))
        return RUN_INTERRUPTED;
    if (late(r))
        return -1;
    double share = p->bytes_total > 0 ? (double)p->bytes_done / (double)p->bytes_total
                   : p->layers_total  ? (double)p->layers_done / p->layers_total
                                      : 0;
    double from = step_progress(STEP_PULL), to = step_progress(STEP_CREATE);
    char text[200];
    (void)snprintf(text, sizeof text, "pulling: %u of %u layers, %.1f of %.1f MB", p->layers_done, p->layers_total,
                   (double)p->bytes_done / 1e6, (double)p->bytes_total / 1e6);
    (void)json_put(r->record.document, "status.progress",
                   json_real((double)(int64_t)((from + (to - from) * (share < 1 ? share : 1)) * 10) / 10));
    (void)json_put(r->record.document, "status.message", json_string(text));
    record_publish(r->deployments, &r->record);
    return 0;
}

static void note_image(struct run *r, const struct engine_image *image)
{
    const char *digest = json_string_value(json_array_get(image->digests, 0));
    const char *at = digest ? strchr(digest, '@') : NULL;
    (void)json_put(r->facts, "imageId", json_string(image->id));
    (void)json_put(r->facts, "digest", json_string(at ? at + 1 : image->id));
    (void)json_put(r->facts, "imageHasCheck", json_boolean(image->has_health_check));
}

/* An image that no registry has may lie on the node already (built or imported there): then it is used. */
static int pull(struct run *r, struct error *e)
{
    const char *reference = json_str(r->facts, "reference");
    struct engine_image image = { 0 };
    struct error pulling = ERROR_INIT;
    bool local = r->image.digest[0] && r->engine->ops->image(r->engine, reference, &image, NULL) == 0;
    int res = local ? 0 : r->engine->ops->pull(r->engine, reference, on_progress, r, &pulling);
    if (run_interrupted(r)) {
        engine_image_done(&image);
        error_done(&pulling);
        return RUN_INTERRUPTED;
    }
    if (!local && r->engine->ops->image(r->engine, reference, &image, e) < 0) {
        if (res < 0) {
            (void)error_set(e, pulling.code ? pulling.code : ERR_UPSTREAM_TIMEOUT, "The image %s cannot be pulled: %s",
                            reference, pulling.message[0] ? pulling.message : "it took too long.");
        }
        error_done(&pulling);
        return -ERR_UPSTREAM;
    }
    if (local)
        record_log(&r->record, "the image is on the node already, by digest");
    else if (res < 0)
        record_log(&r->record, "not pulled (%s); the image on the node is used", pulling.message);
    else {
        record_log(&r->record, "pulled");
        /* The last progress of a quick pull would else fall into the pause between two events. */
        r->record.published_ms = 0;
        record_publish(r->deployments, &r->record);
    }
    note_image(r, &image);
    engine_image_done(&image);
    error_done(&pulling);
    return 0;
}

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
static int find_own(struct run *r, char ret_id[65], struct error *e)
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
        pause_ms(CHECK_PAUSE_MS);
        res = find_own(r, ret_id, e);
    }
    if (res == 0 && run_interrupted(r))
        return RUN_INTERRUPTED;
    return res < 0 || ret_id[0] ? res : error_set(e, taken->code, "%s", taken->message);
}

static int create(struct run *r, struct error *e)
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

static int start(struct run *r, struct error *e)
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
static int look(struct run *r, char *reason, size_t size, struct error *e)
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

static int check(struct run *r, struct error *e)
{
    char reason[512] = "it does not answer";
    int good = 0;
    int64_t until = clock_mono_ms() + check_time_ms(r);
    while (good < GOOD_CHECKS_WANTED) {
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        int res = look(r, reason, sizeof reason, e);
        if (res < 0)
            return res;
        good = res ? good + 1 : 0;
        if (!good && clock_mono_ms() > until)
            return error_set(e, ERR_TIMEOUT, "The new container did not become healthy within %lld s: %.380s.",
                             (long long)check_time_ms(r) / 1000, reason);
        if (good < GOOD_CHECKS_WANTED)
            pause_ms(good ? CHECK_PAUSE_MS / 2 : CHECK_PAUSE_MS);
    }
    record_log(&r->record, "healthy");
    return 0;
}

static int register_service(struct run *r UNUSED, struct error *e UNUSED)
{
    return STEP_SKIPPED; /* the registry is built in: the service's own record */
}

/* ---- switch, verify, retire ---- */

struct switching {
    struct run *run;
    const struct engine_container *container;
};

static int switch_document(json_t *d, void *ctx)
{
    struct switching *s = ctx;
    struct run *r = s->run;
    char at[TIME_TEXT_LEN + 1];
    apply_release(d, r->release.specification, &r->image);
    (void)json_put(d, "managed", json_true());
    (void)json_put(d, "container.digest", json_string(json_str(r->facts, "digest")));
    runtime_fill_container(d, s->container);
    (void)time_format(clock_now_ms(), at);
    (void)json_put(d, "status.deployment", json_string("running"));
    (void)json_put(d, "status.health", json_string("healthy"));
    (void)json_put(d, "status.lastHealthCheck", json_string(at));
    (void)json_put(d, "status.message", json_null());
    (void)json_put(d, "metadata.deployedAt", json_string(at));
    (void)json_put(d, "metadata.deployedBy", json_string(json_str(r->record.document, "deployment.initiatedBy")));
    return 0;
}

static int switch_over(struct run *r, struct error *e)
{
    struct engine_container c = { 0 };
    struct switching s = { r, &c };
    int res = r->engine->ops->inspect(r->engine, new_container(r), &c, e);
    if (res < 0)
        return res;
    res = runtime_service_change(r->deployments->runtime, r->service_id, switch_document, &s, NULL, e);
    if (res == 0)
        res = release_mark_serving(r->deployments, r->release.id, json_str(r->facts, "digest"), e);
    if (res == 0)
        record_log(&r->record, "switched to container %.12s", c.id);
    engine_container_done(&c);
    return res;
}

static int verify(struct run *r, struct error *e)
{
    char reason[512] = "";
    for (int tries = 0; tries < 5; tries++) {
        int res = look(r, reason, sizeof reason, e);
        if (run_interrupted(r))
            return RUN_INTERRUPTED;
        if (res < 0)
            return res;
        if (res == 1) {
            (void)json_put(r->record.document, "monitoring.postDeploy.healthVerification", json_true());
            return 0;
        }
        pause_ms(CHECK_PAUSE_MS);
    }
    return error_set(e, ERR_CONFLICT, "After the switch the service does not answer: %.400s.", reason);
}

static int take_away(struct run *r, const char *id, struct error *e)
{
    int res = r->engine->ops->stop(r->engine, id, STOP_GRACE_S, e);
    if (res == 0 || res == -ERR_NOT_FOUND)
        res = r->engine->ops->remove(r->engine, id, true, e);
    return res == -ERR_NOT_FOUND ? 0 : res;
}

static int retire(struct run *r, struct error *e)
{
    if (!old_container(r) || str_eq(old_container(r), new_container(r)))
        return STEP_SKIPPED;
    int res = take_away(r, old_container(r), e);
    if (res < 0) {
        release_mask(&r->release, e->message);
        record_log(&r->record, "the old container %.12s stays behind: %s", old_container(r), e->message);
        error_done(e);
        return 0;
    }
    record_log(&r->record, "the old container is gone");
    return 0;
}

int (*const step_run[STEP_COUNT])(struct run *r, struct error *e) = {
    [STEP_VALIDATE] = validate,   [STEP_RESOLVE] = resolve,
    [STEP_PREFLIGHT] = preflight, [STEP_PULL] = pull,
    [STEP_CREATE] = create,       [STEP_START] = start,
    [STEP_CHECK] = check,         [STEP_REGISTER] = register_service,
    [STEP_SWITCH] = switch_over,  [STEP_VERIFY] = verify,
    [STEP_RETIRE] = retire,
};

/* ---- compensation ---- */

static int restore_document(json_t *d, void *ctx)
{
    const struct run *r = ctx;
    const char *keep[] = { "container",   "networking", "monitoring", "labels",
                           "environment", "type",       "managed",    "metadata" };
    const json_t *before = json_at(r->facts, "before");
    for (size_t i = 0; i < ARRAY_LEN(keep); i++)
        if (json_object_get(before, keep[i]))
            (void)json_object_set_new(d, keep[i], json_deep_copy(json_object_get(before, keep[i])));
    return 0;
}

static int start_old_again(struct run *r, struct error *e)
{
    if (!old_container(r) || !json_flag(r->facts, "stopOldFirst", false))
        return 0;
    int res = r->engine->ops->start(r->engine, old_container(r), e);
    if (res == 0)
        record_log(&r->record, "the old container runs again");
    return res;
}

int steps_undo(struct run *r, struct error *e)
{
    char own[65] = "";
    int res = 0;
    if (r->engine)
        res = find_own(r, own, e);
    /* A stranger that has our name is not ours to remove. */
    if (res == -ERR_CONFLICT)
        res = 0, error_done(e);
    if (res == 0 && json_flag(r->facts, "switched", false))
        res = runtime_service_change(r->deployments->runtime, r->service_id, restore_document, r, NULL, e);
    if (res == 0 && own[0]) {
        res = take_away(r, own, e);
        if (res == 0)
            record_log(&r->record, "the new container was removed");
    }
    return res == 0 && r->engine ? start_old_again(r, e) : res;
}
