#define LOG_ROOM "runtime"
#include "runtime/node_engine.h"
#include "runtime/volumes.h"

#include "base/log.h"

#include <stdio.h>
#include <time.h>

/* Follows the engine: list everything, compare, then follow events from a little before the list was asked for
 * (so that nothing between falls through); again after each lost stream, with a pause when the engine is away, for
 * ever. A second thread asks the engine of another node whether it lives, since a host that is gone leaves a stream
 * that merely says nothing, and compares everything once more each `reconcile_ms`. */
#define OVERLAP_MS 5000
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 10000
#define STOP_GRACE_S 10

/* The service that this container is; NULL: none yet. Containers that a deployment is making or taking away
 * are the deployment's business until it says which one serves. */
static struct entity *service_of(const struct node_engine *n, const struct engine_container *c, bool *ret_ours)
{
    const char *instance = json_string_value(json_object_get(c->labels, LABEL_INSTANCE));
    struct runtime *r = n->runtime;
    struct entity *x = instance ? table_get(r->services, instance) : NULL;
    /* A label of another hub, or of a service that was forgotten, makes it a stranger like any other. */
    *ret_ours = x != NULL;
    return x ? x : table_find_on(r->services, c->name, n->node_id);
}

/* A container that has the name of another node's service is a service of its own. */
static json_t *document_of_stranger(struct runtime *r, const char *node_id, const struct engine_container *c)
{
    char service_id[512];
    _cleanup_entity_ struct entity *taken = table_find_on(r->services, c->name, NULL);
    _cleanup_entity_ struct entity *node = taken ? table_get(r->nodes, node_id) : NULL;
    (void)snprintf(service_id, sizeof service_id, "%s%s%s", c->name, node ? "@" : "", node ? node->name : "");
    return service_document_new(node_id, service_id, c);
}

/* The service that this container was under another name; nobody manages it, so it goes by the container's. */
struct same_container {
    const char *node_id, *container_id;
    struct entity *found;
};

static bool is_same_container(const struct row *row, void *ctx)
{
    struct same_container *s = ctx;
    if (!row->managed && str_eq(row->container_id, s->container_id) && str_eq(row->node_id, s->node_id))
        s->found = entity_ref(row->entity);
    return !s->found;
}

static struct entity *renamed(struct node_engine *n, const struct engine_container *c)
{
    struct same_container s = { n->node_id, c->id, NULL };
    table_walk(n->runtime->services, is_same_container, &s);
    return s.found;
}

/* `service_id` of a new name: the name, unless another node's service has it. */
static void take_name(struct runtime *r, json_t *d, const struct engine_container *c)
{
    _cleanup_json_ json_t *fresh = document_of_stranger(r, json_str(d, "nodeId"), c);
    if (!fresh)
        return;
    (void)json_put(d, "name", json_string(c->name));
    (void)json_put(d, "serviceId", json_string(json_str(fresh, "serviceId")));
}

static int apply_locked(struct node_engine *n, const struct engine_container *c, struct error *e)
{
    struct runtime *r = n->runtime;
    bool ours = false;
    if (json_object_get(c->labels, LABEL_HELPER))
        return 0;
    _cleanup_entity_ struct entity *x = service_of(n, c, &ours);
    bool other_name = !x && (x = renamed(n, c));
    _cleanup_json_ json_t *before = x ? entity_document(x) : NULL;
    _cleanup_json_ json_t *d = x ? json_deep_copy(before) : document_of_stranger(r, n->node_id, c);
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (x && !str_eq(json_str(d, "nodeId"), n->node_id))
        return 0;
    if (other_name)
        take_name(r, d, c);
    /* Another container than the one that serves: a deployment's, or a stranger that has a managed service's name. */
    if (x && (ours || json_flag(d, "managed", false)) && !str_eq(json_str(d, "container.id"), c->id))
        return 0;
    const char *status = json_str(d, "status.deployment");
    bool under_way = str_eq(status, "deploying") || str_eq(status, "updating");
    _cleanup_free_ char *kept = under_way ? strdup(status) : NULL;
    runtime_instance_fill(r, d, c);
    if (kept)
        (void)json_put(d, "status.deployment", json_string(kept));
    if (x && json_equal(before, d))
        return 0;
    return service_save_locked(r, d, x ? x->version + 1 : 1, !x, NULL, e);
}

static int look_at(struct node_engine *n, const char *container_id, struct error *e)
{
    struct runtime *r = n->runtime;
    struct engine_container c = { 0 };
    int res = n->base.ops->inspect(&n->base, container_id, &c, e);
    if (res < 0)
        return res;
    (void)pthread_mutex_lock(&r->write_lock);
    res = n->gone ? 0 : apply_locked(n, &c, e);
    (void)pthread_mutex_unlock(&r->write_lock);
    engine_container_done(&c);
    return res;
}

struct vanished {
    const char *node_id;
    const struct engine_container *list; /* what there is; NULL: all but `gone` */
    size_t n;
    const char *gone;
    char ids[256][ID_LEN + 1]; /* a batch; the next reconcile takes the rest */
    size_t found;
};

static bool is_listed(const struct vanished *v, const char *container_id)
{
    if (v->gone)
        return !str_eq(v->gone, container_id);
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->list[i].id, container_id))
            return true;
    return false;
}

static bool collect_vanished(const struct row *row, void *ctx)
{
    struct vanished *v = ctx;
    if (!str_eq(row->node_id, v->node_id) || v->found == ARRAY_LEN(v->ids))
        return true;
    if (!row->container_id || is_listed(v, row->container_id))
        return true;
    str_copy(v->ids[v->found++], sizeof v->ids[0], row->entity->id);
    return true;
}

/* The service's container, when it is gone. What a deployment has made since the list was read is not in it, and is
 * there all the same: so the engine is asked once more. */
static bool find_gone(struct node_engine *n, const struct vanished *v, const char *service_id, char *ret, size_t size)
{
    struct error e = ERROR_INIT;
    struct engine_container c = { 0 };
    _cleanup_entity_ struct entity *x = table_get(n->runtime->services, service_id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    const char *container = d ? json_str(d, "container.id") : NULL;
    if (!container)
        return false;
    str_copy(ret, size, container);
    if (v->gone)
        return str_eq(container, v->gone);
    int res = n->base.ops->inspect(&n->base, container, &c, &e);
    if (res == 0)
        engine_container_done(&c);
    error_done(&e);
    return res == -ERR_NOT_FOUND;
}

/* A container that is gone: an unmanaged service goes with it, a managed one says so. */
static void settle_vanished(struct node_engine *n, const struct vanished *v, const char *id)
{
    struct runtime *r = n->runtime;
    struct error e = ERROR_INIT;
    char container_id[65];
    int res = 0;
    if (!find_gone(n, v, id, container_id, sizeof container_id))
        return;
    (void)pthread_mutex_lock(&r->write_lock);
    _cleanup_entity_ struct entity *x = table_get(r->services, id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    bool gone = d && str_eq(json_str(d, "container.id"), container_id);
    if (gone && !json_flag(d, "managed", false)) {
        res = service_forget_locked(r, id, &e);
    } else if (gone && !str_eq(json_str(d, "status.deployment"), "deploying") &&
               !str_eq(json_str(d, "status.deployment"), "updating") && json_str(d, "container.state")) {
        (void)json_put(d, "container.state", json_null());
        (void)json_put(d, "networking.url", json_null());
        (void)json_put(d, "networking.address", json_null());
        (void)json_put(d, "networking.ports", json_array());
        (void)json_put(d, "status.deployment", json_string("failed"));
        (void)json_put(d, "status.health", json_string("unknown"));
        (void)json_put(d, "status.message",
                       json_string("Its container is gone: someone removed it. Deploy the service again."));
        res = service_save_locked(r, d, x->version + 1, false, NULL, &e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    if (res < 0)
        log_warn("Service %s was not updated: %s", id, e.message);
    error_done(&e);
}

static void settle_all_vanished(struct node_engine *engine, const struct engine_container *list, size_t n,
                                const char *gone)
{
    struct vanished *v = calloc(1, sizeof *v);
    if (!v)
        return;
    v->node_id = engine->node_id;
    v->list = list;
    v->n = n;
    v->gone = gone;
    table_walk(engine->runtime->services, collect_vanished, v);
    for (size_t i = 0; i < v->found; i++)
        settle_vanished(engine, v, v->ids[i]);
    free(v);
}

/* ---- fencing: an instance that lives elsewhere now must not run here, too ---- */

/* A deployment under way may have made the container on the node that the instance is to live on. One that is older
 * than the node's return cannot be of that kind. */
static bool to_be_fenced(struct node_engine *n, const struct engine_container *c, int64_t before_ms)
{
    struct runtime *r = n->runtime;
    char reason[256];
    const char *instance = json_string_value(json_object_get(c->labels, LABEL_INSTANCE));
    _cleanup_entity_ struct entity *x = instance ? table_get(r->services, instance) : NULL;
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    if (instance && !x)
        return instance_is_abandoned(r, instance, n->node_id) == 1;
    if (!d || !str_eq(x->id, instance) || str_eq(json_str(d, "nodeId"), n->node_id))
        return false;
    /* The very container that is right, seen through a second way to the same engine. */
    if (str_eq(json_str(d, "container.id"), c->id))
        return false;
    return c->created_ms < before_ms || !service_is_busy(r, x, reason, sizeof reason);
}

struct return_home {
    const struct node_engine *node;
    const struct engine_container *container;
    bool done;
};

static int put_home(json_t *d, void *ctx)
{
    struct return_home *h = ctx;
    if (json_str(d, "container.id") || !str_eq(json_str(d, "status.deployment"), "failed"))
        return 0;
    (void)json_put(d, "nodeId", json_string(h->node->node_id));
    (void)json_put(d, "container.id", json_string(h->container->id));
    h->done = true;
    return 0;
}

/* The instance was to live elsewhere, and its deployment there has failed: this container is all there is of it, so it
 * serves on. The comparison that follows reads it. */
static bool comes_home(struct node_engine *n, const struct engine_container *c)
{
    char reason[256];
    struct return_home h = { .node = n, .container = c };
    const char *instance = json_string_value(json_object_get(c->labels, LABEL_INSTANCE));
    _cleanup_entity_ struct entity *x = table_get(n->runtime->services, instance);
    if (!x || !str_eq(c->state, "running") || service_is_busy(n->runtime, x, reason, sizeof reason))
        return false;
    if (runtime_service_change(n->runtime, x->id, put_home, &h, NULL, NULL) < 0 || !h.done)
        return false;
    log_info("Service %s is where it was before its node was lost: it runs nowhere else.", x->name);
    return true;
}

static void fence_one(struct node_engine *n, const struct engine_container *c)
{
    struct error e = ERROR_INIT;
    int res = n->base.ops->stop(&n->base, c->id, STOP_GRACE_S, &e);
    if (res == 0 || res == -ERR_NOT_FOUND)
        res = n->base.ops->remove(&n->base, c->id, true, &e);
    if (res < 0 && res != -ERR_NOT_FOUND)
        log_warn("Container %s, whose service lives on another node now, was not removed: %s", c->name, e.message);
    else
        log_info("Container %s was removed: its service lives on another node now, or was given up.", c->name);
    if (res >= 0 || res == -ERR_NOT_FOUND)
        (void)instance_abandoned_gone(n->runtime, json_string_value(json_object_get(c->labels, LABEL_INSTANCE)), NULL);
    error_done(&e);
}

static void fence(struct node_engine *n, const struct engine_container *list, size_t count)
{
    (void)pthread_mutex_lock(&n->lock);
    int64_t before = n->fence_before_ms;
    (void)pthread_mutex_unlock(&n->lock);
    for (size_t i = 0; i < count && !n->stop; i++)
        if (to_be_fenced(n, &list[i], before) && !comes_home(n, &list[i]))
            fence_one(n, &list[i]);
    (void)pthread_mutex_lock(&n->lock);
    if (n->fence_before_ms == before)
        n->fence_before_ms = 0;
    (void)pthread_mutex_unlock(&n->lock);
}

/* One engine under two nodes would be two truths about each of its containers. Engines have names of their own, but
 * machines that were copied share them; no two containers share an id. */
struct twin {
    const char *node_id; /* the node that is looked at */
    const struct engine_container *list;
    size_t n;
    char other[ID_LEN + 1];
};

static bool is_seen_elsewhere(const struct row *row, void *ctx)
{
    struct twin *t = ctx;
    if (!row->container_id || str_eq(row->node_id, t->node_id))
        return true;
    for (size_t i = 0; i < t->n && !t->other[0]; i++)
        if (str_eq(t->list[i].id, row->container_id))
            str_copy(t->other, sizeof t->other, row->node_id);
    return !t->other[0];
}

static int refuse_twin(struct node_engine *n, const struct engine_container *list, size_t count, struct error *e)
{
    struct twin t = { .node_id = n->node_id, .list = list, .n = count };
    if (!n->own_node)
        table_walk(n->runtime->services, is_seen_elsewhere, &t);
    if (!t.other[0])
        return 0;
    _cleanup_entity_ struct entity *x = table_get(n->runtime->nodes, t.other);
    return error_set(e, ERR_CONFLICT, "This is the container engine of node %s: one engine is one node.",
                     x ? x->name : "another name");
}

static int compare(struct node_engine *n, struct error *e)
{
    struct engine_container *list = NULL;
    size_t count = 0;
    int res = n->base.ops->list(&n->base, &list, &count, e);
    if (res == 0)
        res = refuse_twin(n, list, count, e);
    if (res < 0) {
        engine_containers_free(list, count);
        return res;
    }
    fence(n, list, count);
    for (size_t i = 0; i < count && !n->stop; i++) {
        struct error one = ERROR_INIT;
        if (look_at(n, list[i].id, &one) < 0 && one.code != ERR_NOT_FOUND)
            log_warn("Container %s was not read: %s", list[i].name, one.message);
        error_done(&one);
    }
    if (!n->stop)
        settle_all_vanished(n, list, count, NULL);
    engine_containers_free(list, count);
    return 0;
}

static int reconcile(struct node_engine *n, struct error *e)
{
    (void)pthread_mutex_lock(&n->comparing);
    int res = compare(n, e);
    (void)pthread_mutex_unlock(&n->comparing);
    return res;
}

static int on_event(void *ctx, const struct engine_event *ev)
{
    struct node_engine *n = ctx;
    struct error e = ERROR_INIT;
    if (n->cut)
        return -1;
    /* What runs inside a container again and again (probes) changes nothing that is shown. */
    if (!str_eq(ev->type, "container") || str_starts(ev->action, "exec_"))
        return 0;
    if (str_eq(ev->action, "destroy")) {
        settle_all_vanished(n, NULL, 0, ev->id);
        return 0;
    }
    if (look_at(n, ev->id, &e) < 0 && e.code != ERR_NOT_FOUND)
        log_warn("Container %s was not read after \"%s\": %s", ev->name, ev->action, e.message);
    error_done(&e);
    return 0;
}

static int round_of_following(struct node_engine *n, struct error *e)
{
    struct engine_info info;
    int64_t since = clock_now_ms() - OVERLAP_MS;
    n->cut = false;
    if (n->stop)
        n->cut = true;
    int res = n->base.ops->info(&n->base, &info, e);
    if (res < 0)
        return res;
    if (n->own_node)
        node_engine_note(n, &info, "");
    /* A node that comes back is believed only when what it must not run any more is gone. */
    res = reconcile(n, e);
    if (res < 0)
        return res;
    node_engine_note(n, &info, "");
    return n->base.ops->follow(&n->base, since, on_event, n, &n->cut, e);
}

/* Many hubs and nodes that wait for the same host do not come back in step. */
static int64_t jittered(int64_t ms)
{
    uint8_t random;
    random_bytes(&random, sizeof random);
    return ms * 3 / 4 + ms * random / 512;
}

void *watch_follow(void *arg)
{
    struct node_engine *n = arg;
    int64_t backoff = BACKOFF_MIN_MS;
    node_engine_follows(n);
    while (!n->stop) {
        struct error e = ERROR_INIT;
        int64_t began = clock_mono_ms();
        if (round_of_following(n, &e) < 0 && !n->cut)
            node_engine_note(n, NULL, e.message);
        error_done(&e);
        node_engine_drop(n);
        backoff = clock_mono_ms() - began > BACKOFF_MAX_MS ? BACKOFF_MIN_MS
                  : backoff < BACKOFF_MAX_MS               ? backoff * 2
                                                           : BACKOFF_MAX_MS;
        if (!n->stop)
            node_engine_nap(n, jittered(backoff));
    }
    node_engine_drop(n); /* of a node that was removed during the nap */
    return NULL;
}

/* One that does not answer loses its stream, so that the follower begins anew. */
static bool feel_pulse(struct node_engine *n)
{
    struct engine_info info;
    struct error e = ERROR_INIT;
    bool good = n->base.ops->info(&n->base, &info, &e) == 0;
    (void)pthread_mutex_lock(&n->lock);
    bool lost = n->lost;
    (void)pthread_mutex_unlock(&n->lock);
    /* It was given up meanwhile: it is not believed before it is fenced. */
    if (good && lost)
        return false;
    if (good || !n->stop)
        node_engine_note(n, good ? &info : NULL, good ? "" : e.message);
    error_done(&e);
    if (!good) {
        node_engine_drop(n);
        n->cut = true;
    }
    return good;
}

void *watch_pulse(void *arg)
{
    struct node_engine *n = arg;
    struct runtime *r = n->runtime;
    int64_t turn = n->own_node || r->pulse_ms > r->reconcile_ms ? r->reconcile_ms : r->pulse_ms;
    int64_t reconciled = clock_mono_ms();
    while (!n->stop) {
        node_engine_nap(n, n->own_node ? turn : jittered(turn));
        if (n->stop || !node_engine_answers(n) || (!n->own_node && !feel_pulse(n)))
            continue;
        if (clock_mono_ms() - reconciled < r->reconcile_ms)
            continue;
        struct error e = ERROR_INIT;
        reconciled = clock_mono_ms();
        if (reconcile(n, &e) < 0)
            log_debug("Not compared with the engine: %s", e.message);
        /* What is wrong with the node itself is the follower's to say. */
        if (e.code == ERR_CONFLICT)
            n->cut = true;
        error_done(&e);
    }
    return NULL;
}
