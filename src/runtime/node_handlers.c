#define LOG_ROOM "runtime"
#include "runtime/node_engine.h"
#include "runtime/page.h"

#include "base/log.h"
#include "http/server.h"

#include <stdio.h>

/* ---- list ---- */

struct node_counts {
    int64_t total, active, monitored;
};

static void count_node(const struct facts *facts, void *counts)
{
    struct node_counts *c = counts;
    c->total++;
    c->active += facts_index(facts, FACT_STATUS) == 0;
    c->monitored += facts_flag(facts, FACT_MONITORED);
}

static int read_nodes(struct runtime *r, struct request *rq, struct buf *out, struct error *e)
{
    struct node_counts counts = { 0 };
    struct jw w;
    struct page *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(e, ERR_INTERNAL, "No memory.");
    p->filter = (struct filter)FILTER_ALL;
    p->filter.type = word_index(node_types, request_str(rq, "type"));
    p->filter.status = word_index(node_statuses, request_str(rq, "status"));
    p->filter.provider = word_index(providers, request_str(rq, "provider"));
    p->filter.labels = request_param(rq, "label");
    p->count = count_node;
    p->counts = &counts;
    int res = page_read(p, r->nodes, rq, e);
    if (res == 0) {
        jw_init(&w, out);
        jw_object(&w);
        page_write(p, &w, "nodes");
        jw_key(&w, "metadata"), jw_object(&w);
        jw_key(&w, "total"), jw_int(&w, counts.total);
        jw_key(&w, "active"), jw_int(&w, counts.active);
        jw_key(&w, "monitoring_integrated"), jw_int(&w, counts.monitored);
        jw_end(&w);
        jw_end(&w);
    }
    page_done(p);
    free(p);
    return res;
}

bool node_list_at_once(void *room, const char *query, struct reply *rp)
{
    struct runtime *r = room;
    char etag[64];
    _cleanup_blob_ struct blob *body = list_cache_get(r->node_lists, query, table_generation(r->nodes), etag);
    if (body)
        reply_blob(rp, 200, "application/json", body, etag);
    return body != NULL;
}

int node_list(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    char etag[64];
    const char *query = http_query(request_exchange(rq));
    uint64_t generation = table_generation(r->nodes);
    _cleanup_blob_ struct blob *body = list_cache_get(r->node_lists, query, generation, etag);
    if (!body) {
        _cleanup_buf_ struct buf out;
        buf_init(&out, 16 << 20);
        int res = read_nodes(r, rq, &out, e);
        if (res < 0)
            return res;
        body = blob_from_buf(&out);
        if (!body)
            return error_set(e, ERR_INTERNAL, "No memory.");
        list_cache_put(r->node_lists, query, generation, body, etag);
    }
    reply_blob(rp, 200, "application/json", body, etag);
    return 0;
}

/* ---- one ---- */

void audit_change(struct request *rq, const char *kind, const struct entity *before, const struct entity *after)
{
    _cleanup_json_ json_t *was = before ? entity_document(before) : NULL, *is = after ? entity_document(after) : NULL;
    request_audit(rq, kind, before ? before->id : after->id, was, is);
}

static void answer(struct reply *rp, int status, const struct entity *x)
{
    struct jw *w = reply_json(rp, status);
    jw_object(w);
    jw_key(w, "node"), jw_raw(w, x->json->data, x->json->len);
    jw_end(w);
    reply_etag(rp, x->etag);
}

int node_get(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    int res = runtime_node(room, request_str(rq, "nodeId"), &x, e);
    if (res == 0)
        answer(rp, 200, x);
    return res;
}

static int name_taken(struct runtime *r, const char *name, const char *but_id, struct error *e)
{
    _cleanup_entity_ struct entity *x = name ? table_find_on(r->nodes, name, NULL) : NULL;
    if (!x || str_eq(x->id, but_id))
        return 0;
    (void)error_set(e, ERR_CONFLICT, "There is a node %s already.", name);
    error_detail(e, "/name", "is taken");
    return -ERR_CONFLICT;
}

/* Members of a request's object into the document's. */
static void put_members(json_t *d, const char *object, const json_t *given)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)given, key, value)
        (void)json_object_set(json_at(d, object), key, value);
}

/* ---- its container engine ---- */

static const struct {
    const char *kind, *hint;
} hints[] = {
    { "local", "Is the engine running, and does it listen there?" },
    { "ssh",
      "From the hub's machine `ssh USER@HOST docker version` must work with this key: it belongs into the user's "
      "authorized_keys, and the user into the group docker." },
    { "tls", "The engine must ask for client certificates (--tlsverify), its own certificate must name this host, and "
             "`authority` must have signed it." },
    { "portainer", "Make an access token in Portainer (My account), and take the endpoint's number from its address." },
};

/* Who says how a node is reached sends secrets there and has its containers: an admin. */
static int check_engine(struct runtime *r, const struct request *rq, const char *node_id, struct error *e)
{
    const json_t *engine = json_at(request_body(rq), "engine");
    const char *kind = json_str(engine, "kind");
    if (!engine)
        return 0;
    if (request_actor(rq)->role < ROLE_ADMIN) {
        (void)error_set(e, ERR_FORBIDDEN, "Only an admin may say how a node's container engine is reached.");
        error_detail(e, "/engine", "needs the role admin");
        return -ERR_FORBIDDEN;
    }
    if (str_eq(node_id, r->hub_id))
        return error_set(e, ERR_CONFLICT, "The engine of the hub's own machine is the setting docker.host.");
    if (!str_eq(kind, "none") && !json_str(engine, "url")) {
        (void)error_set(e, ERR_VALIDATION, "Where the container engine is reached is missing.");
        error_detail(e, "/engine/url", "is needed with this kind");
        return -ERR_VALIDATION;
    }
    return 0;
}

/* Asks the engine once, before the node is kept. */
static int try_engine(struct runtime *r, const json_t *d, struct error *e)
{
    struct container_engine *g = NULL;
    struct engine_info info;
    struct error own = ERROR_INIT;
    const char *kind = json_str(d, "engine.kind"), *hint = "";
    if (!kind || str_eq(kind, "none"))
        return 0;
    int res = r->connect ? r->connect(r->connect_ctx, d, &g, &own)
                         : error_set(&own, ERR_UNAVAILABLE, "Engines of other nodes cannot be reached here.");
    if (res == 0) {
        res = g->ops->info(g, &info, &own);
        g->ops->free(g);
    }
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if (str_eq(hints[i].kind, kind))
            hint = hints[i].hint;
    if (res < 0) {
        (void)error_set(e, own.code, "The node's container engine cannot be used: %.200s %.250s", own.message, hint);
        error_detail(e, "/engine", "does not answer");
    }
    error_done(&own);
    return res;
}

int node_create(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    const json_t *body = request_body(rq);
    char location[64];
    _cleanup_entity_ struct entity *x = NULL;
    _cleanup_json_ json_t *d =
        node_document_new(json_str(body, "name"), json_str(body, "type"), json_str(body, "provider"));
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (json_str(body, "region"))
        (void)json_put(d, "region", json_string(json_str(body, "region")));
    put_members(d, "resources", json_at(body, "resources"));
    put_members(d, "networking", json_at(body, "networking"));
    put_members(d, "labels", json_at(body, "labels"));
    if (json_at(body, "engine"))
        (void)json_object_set(d, "engine", json_at(body, "engine"));
    int res = check_engine(r, rq, "", e);
    if (res == 0 && request_flag(rq, "check", false))
        res = try_engine(r, d, e);
    if (res < 0)
        return res;
    (void)pthread_mutex_lock(&r->write_lock);
    res = name_taken(r, json_str(body, "name"), "", e);
    if (res == 0)
        res = node_engine_check(r, d, e);
    if (res == 0)
        res = node_save(r, d, 1, true, "node.created", &x, e);
    (void)pthread_mutex_unlock(&r->write_lock);
    if (res == 0 && (res = node_engine_configure(r, d, e)) < 0)
        log_warn("The container engine of %s is not followed: %s", x->name, e->message);
    if (res < 0)
        return res;
    audit_change(rq, "node", NULL, x);
    (void)snprintf(location, sizeof location, "/v1/infrastructure/nodes/%s", x->id);
    reply_header(rp, "Location", location);
    answer(rp, 201, x);
    return 0;
}

static void change(json_t *d, const json_t *body)
{
    static const char *const plain[] = { "name", "type", "region", "status" };
    char at[TIME_TEXT_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (json_object_get(body, plain[i]))
            (void)json_object_set(d, plain[i], json_object_get(body, plain[i]));
    put_members(d, "resources", json_at(body, "resources"));
    put_members(d, "networking", json_at(body, "networking"));
    if (json_at(body, "engine"))
        (void)json_object_set(d, "engine", json_at(body, "engine"));
    /* Nothing of it is seen any more. */
    if (str_eq(json_str(body, "engine.kind"), "none") && !str_eq(json_str(d, "status"), "maintenance"))
        (void)json_put(d, "status", json_string("offline"));
    if (json_at(body, "labels"))
        (void)json_merge_patch(json_at(d, "labels"), json_at(body, "labels"));
    (void)json_put(d, "metadata.updatedAt", json_string(time_format(clock_now_ms(), at)));
}

/* `active` ends a maintenance; a node that was never seen is offline, whatever is wished. */
static int check_change(struct runtime *r, const json_t *d, const json_t *body, struct error *e)
{
    bool hub = str_eq(json_str(d, "id"), r->hub_id);
    const char *status = json_str(body, "status"), *type = json_str(body, "type");
    if (hub && type && !str_eq(type, "hub"))
        return error_set(e, ERR_CONFLICT, "This is the machine that hbcloud runs on: it stays the hub.");
    if (str_eq(status, "active") && !json_str(d, "metadata.lastSeen"))
        return error_set(e, ERR_CONFLICT, "The node was never seen: it becomes active by itself when it answers.");
    return name_taken(r, json_str(body, "name"), json_str(d, "id"), e);
}

int node_update(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    _cleanup_entity_ struct entity *old = NULL, *x = NULL;
    int64_t version = 0;
    (void)pthread_mutex_lock(&r->write_lock);
    int res = runtime_node(r, request_str(rq, "nodeId"), &old, e);
    if (res == 0)
        res = request_if_match(rq, old->etag, e);
    _cleanup_json_ json_t *d = res == 0 ? node_stored_document(r, old->id, &version) : NULL;
    if (res == 0)
        res = d ? check_change(r, d, request_body(rq), e)
                : error_set(e, ERR_INTERNAL, "The node is not in the database.");
    if (res == 0)
        res = check_engine(r, rq, old->id, e);
    if (res == 0) {
        change(d, request_body(rq));
        res = node_engine_check(r, d, e);
    }
    if (res == 0)
        res = node_save(r, d, old->version + 1, true, "node.updated", &x, e);
    (void)pthread_mutex_unlock(&r->write_lock);
    if (res == 0 && json_at(request_body(rq), "engine"))
        res = node_engine_configure(r, d, e);
    if (res < 0)
        return res;
    audit_change(rq, "node", old, x);
    answer(rp, 200, x);
    return 0;
}

/* ---- delete ---- */

struct living {
    const char *node_id;
    size_t n;
    char names[200];
};

static bool count_living(const struct row *row, void *ctx)
{
    struct living *l = ctx;
    if (!str_eq(row->node_id, l->node_id) || !row->managed)
        return true;
    size_t at = strlen(l->names);
    if (l->n++ < 5)
        (void)snprintf(l->names + at, sizeof l->names - at, "%s%.30s", at ? ", " : "", row->entity->name);
    return true;
}

/* What hbcloud merely saw there goes with the node; a few at a time, since the walk may not change the table. */
struct sightings {
    const char *node_id;
    char ids[64][ID_LEN + 1];
    size_t n;
};

static bool collect_sighting(const struct row *row, void *ctx)
{
    struct sightings *s = ctx;
    if (str_eq(row->node_id, s->node_id) && !row->managed)
        str_copy(s->ids[s->n++], sizeof s->ids[0], row->entity->id);
    return s->n < ARRAY_LEN(s->ids);
}

static int forget_sightings(struct runtime *r, const char *node_id, struct error *e)
{
    struct sightings s;
    int res = 0;
    do {
        s = (struct sightings){ .node_id = node_id };
        table_walk(r->services, collect_sighting, &s);
        for (size_t i = 0; res == 0 && i < s.n; i++)
            res = service_forget_locked(r, s.ids[i], e);
    } while (res == 0 && s.n == ARRAY_LEN(s.ids));
    return res;
}

static int may_delete(struct runtime *r, const struct entity *x, struct error *e)
{
    struct living l = { .node_id = x->id };
    if (str_eq(x->id, r->hub_id))
        return error_set(e, ERR_CONFLICT, "This is the machine that hbcloud runs on: it cannot be removed.");
    table_walk(r->services, count_living, &l);
    if (l.n)
        return error_set(e, ERR_CONFLICT, "%zu managed service%s on this node (%s%s). Remove or move %s first.", l.n,
                         l.n == 1 ? " lives" : "s live", l.names, l.n > 5 ? ", …" : "", l.n == 1 ? "it" : "them");
    return 0;
}

int node_delete(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    _cleanup_entity_ struct entity *x = NULL;
    _cleanup_conn_ struct store_conn *c = NULL;
    (void)pthread_mutex_lock(&r->write_lock);
    int res = runtime_node(r, request_str(rq, "nodeId"), &x, e);
    if (res == 0)
        res = request_if_match(rq, x->etag, e);
    if (res == 0)
        res = may_delete(r, x, e);
    if (res == 0)
        res = forget_sightings(r, x->id, e);
    if (res == 0)
        res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e, "DELETE FROM abandoned_instances WHERE node_id = $1", "t", x->id);
    if (res == 0)
        res = store_exec(c, e, "DELETE FROM volume_images WHERE node_id = $1", "t", x->id);
    if (res == 0)
        res = store_exec(c, e, "DELETE FROM infrastructure_nodes WHERE id = $1", "t", x->id);
    if (res == 0)
        res = store_commit(c, e);
    store_release(TAKE(c));
    if (res == 0 && table_remove(r->nodes, x->id))
        events_publish(r->events, "node.deleted", "node", x->id, "null", 4), node_engine_remove(r, x->id);
    (void)pthread_mutex_unlock(&r->write_lock);
    if (res < 0)
        return res;
    audit_change(rq, "node", x, NULL);
    reply_empty(rp, 204);
    return 0;
}
