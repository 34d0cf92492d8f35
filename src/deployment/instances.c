#include "deployment/instances.h"

#include "deployment/replacement.h"

#include <stdio.h>

#define INSTANCES_MAX 32

size_t instances_count(const struct run *r)
{
    return json_array_size(json_at(r->facts, "instances"));
}

json_t *instance_at(const struct run *r, size_t i)
{
    return json_array_get(json_at(r->facts, "instances"), i);
}

bool instance_is_new(const json_t *x)
{
    return !json_flag(x, "keep", false) && !json_flag(x, "going", false);
}

int64_t instances_batch(const struct run *r)
{
    return json_int(r->facts, "batch", 0);
}

int64_t instances_batches(const struct run *r)
{
    return json_int(r->facts, "batches", 1);
}

bool instances_last_batch(const struct run *r)
{
    return instances_batch(r) + 1 >= instances_batches(r);
}

/* Rolling: new ones by their turn; what goes for good goes with the last. */
static bool in_batch(const struct run *r, const json_t *x)
{
    if (instances_batches(r) == 1)
        return true;
    return instance_is_new(x) ? json_int(x, "turn", 0) == instances_batch(r) : instances_last_batch(r);
}

json_t *instance_next_new(const struct run *r, size_t *i)
{
    while (*i < instances_count(r)) {
        json_t *x = instance_at(r, (*i)++);
        if (instance_is_new(x) && in_batch(r, x))
            return x;
    }
    return NULL;
}

json_t *instance_next_old(const struct run *r, size_t *i)
{
    while (*i < instances_count(r)) {
        json_t *x = instance_at(r, (*i)++);
        if (json_str(x, "old.container") && !json_flag(x, "keep", false) && in_batch(r, x))
            return x;
    }
    return NULL;
}

bool instances_had_old(const struct run *r)
{
    for (size_t i = 0; i < instances_count(r); i++)
        if (json_str(instance_at(r, i), "old.container"))
            return true;
    return false;
}

int instance_engine(struct run *r, const char *node_id, struct container_engine **ret, struct error *e)
{
    return runtime_engine(r->deployments->runtime, node_id, ret, e);
}

/* ---- addresses ---- */

static size_t add_address(const char **list, size_t n, size_t max, const char *address)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], address))
            return n;
    if (address && n < max)
        list[n++] = address;
    return n;
}

/* Of a later batch the old one serves on. */
static const char *serving_address(const struct run *r, const json_t *x)
{
    bool turned = json_int(x, "turn", 0) <= instances_batch(r);
    if (json_flag(x, "keep", false))
        return json_str(x, "old.address");
    if (json_flag(x, "going", false))
        return instances_last_batch(r) ? NULL : json_str(x, "old.address");
    return turned ? json_str(x, "address") : json_str(x, "old.address");
}

size_t instances_addresses(const struct run *r, const char **ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < instances_count(r); i++)
        n = add_address(ret, n, max, serving_address(r, instance_at(r, i)));
    return n;
}

size_t instances_old_addresses(const struct run *r, const char **ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < instances_count(r); i++)
        n = add_address(ret, n, max, json_str(instance_at(r, i), "old.address"));
    return n;
}

/* ---- the plan ---- */

static json_t *old_of(const json_t *document)
{
    char address[128];
    const char *container = json_str(document, "container.id");
    if (!container || !json_str(document, "container.state"))
        return NULL;
    json_t *old = json_pack("{s:s, s:s, s:b}", "container", container, "node", json_str(document, "nodeId"), "running",
                            str_eq(json_str(document, "container.state"), "running"));
    if (old && runtime_instance_address(document, address, sizeof address))
        (void)json_object_set_new(old, "address", json_string(address));
    if (old && json_str(document, "monitoring.consulServiceId"))
        (void)json_object_set_new(old, "registration", json_string(json_str(document, "monitoring.consulServiceId")));
    return old;
}

static json_t *entry_of(const struct run *r, const json_t *document, int64_t wanted)
{
    int64_t ordinal = json_int(document, "ordinal", 1);
    json_t *old = old_of(document);
    bool keep = json_flag(r->facts, "scale", false) && ordinal <= wanted && json_flag(old, "running", false);
    json_t *x = json_pack("{s:I, s:s, s:s, s:b, s:b, s:o}", "ordinal", (json_int_t)ordinal, "id",
                          json_str(document, "id"), "node", json_str(document, "nodeId"), "keep", keep, "going",
                          ordinal > wanted, "before", json_deep_copy(document));
    if (x && old)
        (void)json_object_set_new(x, "old", old);
    else
        json_decref(old);
    return x;
}

static json_t *existing(struct run *r, int64_t wanted, struct error *e)
{
    struct entity **list = NULL;
    size_t n = 0;
    json_t *entries = json_array();
    if (runtime_service_instances(r->deployments->runtime, r->service_id, &list, &n, e) < 0) {
        json_decref(entries);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *document = entity_document(list[i]);
        (void)json_array_append_new(entries, entry_of(r, document, wanted));
    }
    runtime_instances_free(list, n);
    return entries;
}

static json_t *entry_with(json_t *entries, int64_t ordinal)
{
    size_t i;
    json_t *x;
    json_array_foreach (entries, i, x)
        if (json_int(x, "ordinal", 0) == ordinal)
            return x;
    return NULL;
}

static int place(struct run *r, json_t *entries, int64_t ordinal, const char *node, struct error *e)
{
    json_t *x = entry_with(entries, ordinal);
    if (json_flag(x, "keep", false))
        return 0;
    if (x)
        return json_put(x, "node", json_string(node));
    struct entity *row = NULL;
    int res = runtime_instance_make(r->deployments->runtime, r->service_id, (unsigned)ordinal, node, &row, e);
    if (res < 0)
        return res;
    x = json_pack("{s:I, s:s, s:s, s:b, s:b, s:n}", "ordinal", (json_int_t)ordinal, "id", row->id, "node", node, "keep",
                  0, "going", 0, "before");
    entity_unref(row);
    return json_array_append_new(entries, x);
}

static int place_all(struct run *r, json_t *entries, int64_t wanted, struct error *e)
{
    char nodes[INSTANCES_MAX][37];
    int res = runtime_place_again(r->deployments->runtime, r->service_id,
                                  json_at(r->release.specification, "placement"), (size_t)wanted, nodes, e);
    for (int64_t ordinal = 1; res == 0 && ordinal <= wanted; ordinal++)
        res = place(r, entries, ordinal, nodes[ordinal - 1], e);
    return res;
}

static void name_and_turn(struct run *r, json_t *entries, enum strategy strategy)
{
    size_t i;
    json_t *x;
    char name[128];
    int64_t turn = 0;
    json_array_foreach (entries, i, x) {
        container_name(r, json_int(x, "ordinal", 1), name, sizeof name);
        (void)json_put(x, "name", json_string(name));
        if (instance_is_new(x))
            (void)json_put(x, "turn", json_integer(strategy == STRATEGY_ROLLING ? turn++ : 0));
    }
    (void)json_put(r->facts, "batch", json_integer(0));
    (void)json_put(r->facts, "batches", json_integer(turn > 1 ? turn : 1));
}

/* A change of the number alone touches no container that stays. Asked of what serves now, not of what was planned: a
 * deployment that waited may find another release than it was made for. */
static int note_scale(struct run *r, struct error *e)
{
    struct release old = { 0 };
    const char *id = json_str(r->facts, "oldRelease");
    int res = id ? release_load(r->deployments, id, &old, e) : 0;
    if (id && res == 0) {
        _cleanup_json_ json_t *changes =
            changes_between(old.specification, r->release.specification, old.environment, r->release.environment);
        bool scale =
            str_eq(json_str(changes, "type"), "scale") && str_eq(json_str(r->record.document, "changes.type"), "scale");
        /* What is lost is replaced; what runs this very release elsewhere stays. */
        if (json_flag(r->record.document, "deployment.onlyMissing", false) && !json_at(changes, "imageChanges"))
            scale = json_array_size(json_at(changes, "configChanges")) == 0;
        (void)json_put(r->facts, "scale", json_boolean(scale));
    }
    release_done(&old);
    return res;
}

int instances_plan(struct run *r, struct error *e)
{
    char why[300];
    int64_t wanted = strategy_instances(r->release.specification);
    if (json_at(r->facts, "instances"))
        return 0;
    int res = note_scale(r, e);
    if (res < 0)
        return res;
    wanted = wanted < 1 ? 1 : wanted > INSTANCES_MAX ? INSTANCES_MAX : wanted;
    _cleanup_json_ json_t *entries = existing(r, wanted, e);
    if (!entries)
        return -1;
    enum strategy strategy = strategy_choose(r->release.specification, r->service, why, sizeof why);
    res = place_all(r, entries, wanted, e);
    if (res < 0)
        return res;
    name_and_turn(r, entries, strategy);
    (void)json_put(r->facts, "strategy", json_string(strategy_name(strategy)));
    (void)json_put(r->facts, "why", json_string(why));
    return json_put(r->facts, "instances", json_incref(entries)) < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : 0;
}
