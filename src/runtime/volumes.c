#define LOG_ROOM "runtime"
#include "runtime/volumes_internal.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SNAPSHOTS_BYTES ((int64_t)20 << 30)
#define NODES_MAX 1000

/* What a hub that died was writing: its job begins again. */
static void drop_parts(const char *directory)
{
    DIR *d = opendir(directory);
    for (struct dirent *x; d && (x = readdir(d));)
        if (str_ends(x->d_name, ".part") && unlinkat(dirfd(d), x->d_name, 0) < 0)
            log_warn("Cannot delete %s/%s: %s", directory, x->d_name, strerror(errno));
    if (d)
        (void)closedir(d);
}

int volumes_open(const struct volumes_options *o, struct volumes **ret, struct error *e)
{
    struct volumes *v = calloc(1, sizeof *v);
    if (!v || !(v->directory = str_printf("%s/snapshots", o->data_directory))) {
        free(v);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    drop_parts(v->directory);
    v->store = o->store;
    v->runtime = o->runtime;
    v->jobs = o->jobs;
    v->events = o->events;
    v->bytes_max = o->snapshots_bytes ? o->snapshots_bytes : SNAPSHOTS_BYTES;
    int r = volume_jobs_register(v, e);
    if (r < 0) {
        volumes_close(v);
        return r;
    }
    o->runtime->volumes = v;
    *ret = v;
    return 0;
}

void volumes_close(struct volumes *v)
{
    if (!v)
        return;
    free(v->directory);
    free(v);
}

/* ---- nodes, one after the other ---- */

struct nodes {
    struct entity *list[NODES_MAX];
    size_t n;
};

static bool collect(const struct row *row, void *ctx)
{
    struct nodes *nodes = ctx;
    nodes->list[nodes->n++] = entity_ref(row->entity);
    return nodes->n < NODES_MAX;
}

static void nodes_free(struct nodes *nodes)
{
    for (size_t i = 0; nodes && i < nodes->n; i++)
        entity_unref(nodes->list[i]);
    free(nodes);
}

/* The node that is named, or all. */
static int nodes_of(struct volumes *v, const char *named, struct nodes **ret, struct error *e)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    if (!nodes)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = 0;
    if (named && (r = runtime_node(v->runtime, named, &nodes->list[0], e)) == 0)
        nodes->n = 1;
    else if (!named)
        table_walk(v->runtime->nodes, collect, nodes);
    if (r < 0)
        nodes_free(nodes);
    else
        *ret = nodes;
    return r;
}

/* ---- list ---- */

static void write_use(struct jw *w, const struct volume_use *u)
{
    jw_object(w);
    jw_key(w, u->service ? "service" : "container");
    jw_string(w, u->service ? u->who : u->who + strlen("container "));
    jw_key(w, "running"), jw_bool(w, u->running);
    jw_end(w);
}

static void write_volume(struct volumes *v, struct jw *w, const struct entity *node, const struct engine_volume *x,
                         const struct volume_uses *u)
{
    bool used = false;
    const char *owner = volume_owner(x, u);
    _cleanup_free_ char *before = NULL;
    _cleanup_free_ char *images = NULL;
    if (!owner && volume_remembered(v, node->id, x->name, &before, &images, NULL) == 1)
        owner = before;
    jw_object(w);
    jw_key(w, "name"), jw_string(w, x->name);
    jw_key(w, "nodeId"), jw_string(w, node->id);
    jw_key(w, "node"), jw_string(w, node->name);
    jw_key(w, "driver"), jw_string(w, x->driver);
    jw_key(w, "service"), jw_string(w, owner);
    jw_key(w, "labels");
    if (json_is_object(x->labels))
        jw_json(w, x->labels);
    else
        jw_object(w), jw_end(w);
    jw_key(w, "usedBy"), jw_array(w);
    for (size_t i = 0; i < u->n; i++)
        if (str_eq(u->list[i].volume, x->name)) {
            used = true;
            write_use(w, &u->list[i]);
        }
    jw_end(w);
    jw_key(w, "inUse"), jw_bool(w, used);
    jw_end(w);
}

typedef int (*write_node_fn)(struct volumes *v, const struct entity *node, struct container_engine *g, struct jw *w,
                             struct error *e);

static int write_node_volumes(struct volumes *v, const struct entity *node, struct container_engine *g, struct jw *w,
                              struct error *e)
{
    struct engine_volume *list = NULL;
    struct volume_uses u = { 0 };
    size_t n = 0;
    int r = volume_uses_read(v->runtime, node->id, g, &u, e);
    if (r == 0)
        r = g->ops->volumes(g, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        write_volume(v, w, node, &list[i], &u);
    engine_volumes_free(list, n);
    volume_uses_done(&u);
    return r;
}

static int write_node_networks(struct volumes *v UNUSED, const struct entity *node, struct container_engine *g,
                               struct jw *w, struct error *e)
{
    struct engine_network *list = NULL;
    size_t n = 0;
    int r = g->ops->networks(g, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        jw_object(w);
        jw_key(w, "name"), jw_string(w, list[i].name);
        jw_key(w, "nodeId"), jw_string(w, node->id);
        jw_key(w, "node"), jw_string(w, node->name);
        jw_key(w, "driver"), jw_string(w, list[i].driver);
        jw_key(w, "internal"), jw_bool(w, list[i].internal);
        jw_key(w, "service"), jw_string(w, json_string_value(json_object_get(list[i].labels, LABEL_SERVICE)));
        jw_end(w);
    }
    engine_networks_free(list, n);
    return r;
}

/* A node that does not answer does not keep the others' from being shown; it is named. */
static void write_all(struct volumes *v, const struct nodes *nodes, const char *key, write_node_fn write, struct jw *w)
{
    struct jw missing;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    jw_init(&missing, &b);
    jw_array(&missing);
    jw_object(w);
    jw_key(w, key), jw_array(w);
    for (size_t i = 0; i < nodes->n; i++) {
        struct container_engine *g = NULL;
        _cleanup_error_ struct error e = ERROR_INIT;
        if (runtime_engine(v->runtime, nodes->list[i]->id, &g, &e) == 0 && write(v, nodes->list[i], g, w, &e) == 0)
            continue;
        jw_object(&missing);
        jw_key(&missing, "node"), jw_string(&missing, nodes->list[i]->name);
        jw_key(&missing, "reason"), jw_string(&missing, e.message);
        jw_end(&missing);
    }
    jw_end(w);
    jw_end(&missing);
    jw_key(w, "unreachable"), jw_raw(w, buf_str(&b), b.len);
    jw_end(w);
}

static int list_of(struct volumes *v, struct request *rq, struct reply *rp, const char *key, write_node_fn write,
                   struct error *e)
{
    struct nodes *nodes = NULL;
    struct jw w;
    _cleanup_buf_ struct buf b;
    int r = nodes_of(v, request_str(rq, "node"), &nodes, e);
    if (r < 0)
        return r;
    buf_init(&b, 0);
    jw_init(&w, &b);
    write_all(v, nodes, key, write, &w);
    nodes_free(nodes);
    if (!buf_ok(&b))
        return error_set(e, ERR_INTERNAL, "No memory.");
    jw_raw(reply_json(rp, 200), buf_str(&b), b.len);
    return 0;
}

static int list_volumes(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return list_of(room, rq, rp, "volumes", write_node_volumes, e);
}

static int list_networks(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return list_of(room, rq, rp, "networks", write_node_networks, e);
}

/* ---- one volume ---- */

static bool has_volume(struct volumes *v, const char *node_id, const char *name)
{
    struct container_engine *g = NULL;
    struct engine_volume *list = NULL;
    size_t n = 0;
    bool found = false;
    if (runtime_engine(v->runtime, node_id, &g, NULL) < 0 || g->ops->volumes(g, &list, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        found = found || str_eq(list[i].name, name);
    engine_volumes_free(list, n);
    return found;
}

/* On which node the volume is that the request names. */
static int find_node(struct volumes *v, struct request *rq, char ret_node[ID_LEN + 1], struct error *e)
{
    const char *name = request_str(rq, "volumeName");
    struct nodes *nodes = NULL;
    size_t found = 0;
    int r = nodes_of(v, request_str(rq, "node"), &nodes, e);
    for (size_t i = 0; r == 0 && i < nodes->n; i++)
        if (has_volume(v, nodes->list[i]->id, name)) {
            found++;
            str_copy(ret_node, ID_LEN + 1, nodes->list[i]->id);
        }
    if (r == 0)
        nodes_free(nodes);
    if (r == 0 && found == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no volume %.200s on a node that answers.", name);
    if (r == 0 && found > 1)
        return error_set(e, ERR_CONFLICT, "%zu nodes have a volume %.200s. Say which one with ?node=.", found, name);
    return r;
}

static int check_confirm(struct request *rq, const char *name, struct error *e)
{
    if (str_eq(request_str(rq, "confirm"), name))
        return 0;
    (void)error_set(e, ERR_VALIDATION, "Type the volume's name (%.200s) to confirm that its data is to be removed.",
                    name);
    error_detail(e, "/confirm", "must be the volume's name");
    return -ERR_VALIDATION;
}

/* What the job would find is said at once. */
static int check_unused(struct volumes *v, const char *node_id, const char *name, struct error *e)
{
    struct container_engine *g = NULL;
    struct volume_uses u = { 0 };
    int r = runtime_engine(v->runtime, node_id, &g, e);
    if (r == 0)
        r = volume_uses_read(v->runtime, node_id, g, &u, e);
    if (r == 0)
        r = volume_check_unused(&u, name, e);
    volume_uses_done(&u);
    return r;
}

static int answer_job(struct volumes *v, struct request *rq, struct reply *rp, const char *job, struct error *e)
{
    struct jw w;
    char location[64];
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    jw_init(&w, &b);
    int r = jobs_document(v->jobs, job, &w, e);
    if (r < 0)
        return r;
    request_audit(rq, "volume", request_str(rq, "volumeName"), NULL, NULL);
    (void)snprintf(location, sizeof location, "/v1/jobs/%s", job);
    reply_header(rp, "Location", location);
    struct jw *out = reply_json(rp, 202);
    jw_object(out);
    jw_key(out, "job"), jw_raw(out, buf_str(&b), b.len);
    jw_end(out);
    return 0;
}

static int remove_volume(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct volumes *v = room;
    char node[ID_LEN + 1], job[37];
    const char *name = request_str(rq, "volumeName");
    int r = check_confirm(rq, name, e);
    if (r == 0)
        r = find_node(v, rq, node, e);
    if (r == 0)
        r = check_unused(v, node, name, e);
    if (r == 0)
        r = volumes_remove_later(v, node, name, request_flag(rq, "snapshot", true), request_actor(rq)->name, job, e);
    return r == 0 ? answer_job(v, rq, rp, job, e) : r;
}

static int create_snapshot(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct volumes *v = room;
    char node[ID_LEN + 1], job[37];
    int r = find_node(v, rq, node, e);
    if (r == 0)
        r = volume_job_add(v, KIND_SNAPSHOT_VOLUME, node, request_str(rq, "volumeName"), true, request_actor(rq)->name,
                           job, e);
    return r == 0 ? answer_job(v, rq, rp, job, e) : r;
}

/* The engine refuses one that a container is in, and its own three. */
static int remove_network(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct volumes *v = room;
    const char *name = request_str(rq, "networkName"), *node = request_str(rq, "node");
    struct container_engine *g = NULL;
    _cleanup_entity_ struct entity *x = NULL;
    int r = runtime_node(v->runtime, node ? node : runtime_hub_node(v->runtime), &x, e);
    if (r == 0)
        r = runtime_engine(v->runtime, x->id, &g, e);
    if (r == 0)
        r = g->ops->network_remove(g, name, e);
    if (r < 0)
        return r;
    request_audit(rq, "network", name, NULL, NULL);
    reply_empty(rp, 204);
    return 0;
}

const struct api_operation volume_operations[] = {
    { "listVolumes", list_volumes },     { "removeVolume", remove_volume },     { "createSnapshot", create_snapshot },
    { "listSnapshots", list_snapshots }, { "deleteSnapshot", delete_snapshot }, { "listNetworks", list_networks },
    { "removeNetwork", remove_network },
};
const size_t volume_operation_count = ARRAY_LEN(volume_operations);
