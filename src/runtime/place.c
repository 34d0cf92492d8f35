#include "runtime/node_engine.h"

#include <stdio.h>

/* Where instances go. A set of labels is a cluster: the nodes that carry all of them. */

#define CANDIDATES_MAX NODE_ENGINES_MAX

struct candidate {
    char id[ID_LEN + 1], name[129];
    size_t load, given; /* instances there; and of those being placed */
};

struct placing {
    struct runtime *runtime;
    const json_t *nodes, *labels;
    struct candidate list[CANDIDATES_MAX];
    size_t n, matching;
    char why_not[200]; /* of those that match, what keeps the first few from it */
};

static bool is_named(const json_t *names, const struct entity *x)
{
    size_t i;
    json_t *name;
    if (!json_array_size(names))
        return true;
    json_array_foreach (names, i, name)
        if (str_eq(json_string_value(name), x->name) || str_eq(json_string_value(name), x->id))
            return true;
    return false;
}

static bool has_labels(const json_t *wanted, const json_t *has)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)wanted, key, value)
        if (!str_eq(json_string_value(value), json_string_value(json_object_get(has, key))))
            return false;
    return true;
}

static void note_why_not(struct placing *p, const char *name, const char *why)
{
    size_t at = strlen(p->why_not);
    (void)snprintf(p->why_not + at, sizeof p->why_not - at, "%s%.60s %s", at ? ", " : "", name, why);
}

static bool engine_answers(struct runtime *r, const char *node_id)
{
    struct node_engine *n = node_engine_of(r, node_id);
    return n && node_engine_answers(n);
}

static bool consider(const struct row *row, void *ctx)
{
    struct placing *p = ctx;
    bool answers = false;
    if (!is_named(p->nodes, row->entity) || !has_labels(p->labels, row->labels))
        return true;
    p->matching++;
    bool active = str_eq(node_statuses[row->status < 4 ? row->status : 3], "active");
    if (!active)
        note_why_not(p, row->entity->name, row->status < 4 ? node_statuses[row->status] : "unknown");
    else if (!(answers = engine_answers(p->runtime, row->entity->id)))
        note_why_not(p, row->entity->name, "whose container engine does not answer");
    if (!active || !answers)
        return true;
    struct candidate *c = &p->list[p->n++];
    *c = (struct candidate){ .load = 0 };
    str_copy(c->id, sizeof c->id, row->entity->id);
    str_copy(c->name, sizeof c->name, row->entity->name);
    return p->n < CANDIDATES_MAX;
}

static struct candidate *find(struct placing *p, const char *node_id)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->list[i].id, node_id))
            return &p->list[i];
    return NULL;
}

static bool count_load(const struct row *row, void *ctx)
{
    struct candidate *c = row->container_id || row->managed ? find(ctx, row->node_id) : NULL;
    if (c)
        c->load++;
    return true;
}

static int check_names(struct runtime *r, const json_t *names, struct error *e)
{
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name) {
        char pointer[64];
        _cleanup_entity_ struct entity *x = table_get(r->nodes, json_string_value(name));
        if (x)
            continue;
        (void)snprintf(pointer, sizeof pointer, "/placement/nodes/%zu", i);
        (void)error_set(e, ERR_VALIDATION, "There is no node %.100s.", json_string_value(name));
        error_detail(e, pointer, "names no node");
        return -ERR_VALIDATION;
    }
    return 0;
}

static int none(const struct placing *p, struct error *e)
{
    char labels[200] = "";
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)p->labels, key, value) {
        size_t at = strlen(labels);
        (void)snprintf(labels + at, sizeof labels - at, "%s%.60s=%.60s", at ? ", " : "", key, json_string_value(value));
    }
    if (!p->matching && labels[0])
        (void)error_set(e, ERR_CONFLICT, "No node carries the labels %s%s.", labels,
                        json_array_size(p->nodes) ? " and is among those that are named" : "");
    else
        (void)error_set(e, ERR_CONFLICT, "No node that the placement allows can take a container now: %s.",
                        p->why_not[0] ? p->why_not : "there is none");
    error_detail(e, "/placement", "leaves no node that is active and has an engine that answers");
    return -ERR_CONFLICT;
}

static int begin(struct placing *p, struct runtime *r, const json_t *placement, struct error *e)
{
    *p = (struct placing){ .runtime = r, .nodes = json_at(placement, "nodes"), .labels = json_at(placement, "labels") };
    int res = check_names(r, p->nodes, e);
    if (res < 0)
        return res;
    table_walk(r->nodes, consider, p);
    table_walk(r->services, count_load, p);
    return p->n ? 0 : none(p, e);
}

static const char *choose(struct placing *p)
{
    struct candidate *best = &p->list[0];
    for (size_t i = 1; i < p->n; i++) {
        struct candidate *c = &p->list[i];
        if (c->given < best->given || (c->given == best->given && c->load < best->load))
            best = c;
    }
    best->given++;
    best->load++;
    return best->id;
}

static bool says_nothing(const json_t *placement)
{
    return !json_array_size(json_at(placement, "nodes")) && !json_object_size(json_at(placement, "labels"));
}

int runtime_place(struct runtime *r, const json_t *placement, size_t n, char (*ret)[37], struct error *e)
{
    if (says_nothing(placement)) {
        for (size_t i = 0; i < n; i++)
            str_copy(ret[i], sizeof ret[i], r->hub_id);
        return 0;
    }
    struct placing *p = calloc(1, sizeof *p);
    int res = p ? begin(p, r, placement, e) : error_set(e, ERR_INTERNAL, "No memory.");
    for (size_t i = 0; res == 0 && i < n; i++)
        str_copy(ret[i], sizeof ret[i], choose(p));
    free(p);
    return res;
}

/* Those that may stay are counted first, so that the others go elsewhere. */
static void keep(struct placing *p, struct entity **list, size_t have, size_t n, char (*ret)[37])
{
    for (size_t i = 0; i < have; i++) {
        _cleanup_json_ json_t *d = entity_document(list[i]);
        int64_t ordinal = json_int(d, "ordinal", 1);
        struct candidate *c = find(p, json_str(d, "nodeId"));
        if (!c || ordinal < 1 || (size_t)ordinal > n)
            continue;
        c->given++;
        str_copy(ret[ordinal - 1], sizeof ret[0], c->id);
    }
}

int runtime_place_again(struct runtime *r, const char *service, const json_t *placement, size_t n, char (*ret)[37],
                        struct error *e)
{
    struct entity **list = NULL;
    size_t have = 0;
    int res = runtime_service_instances(r, service, &list, &have, e);
    if (res < 0)
        return res;
    for (size_t i = 0; i < n; i++)
        ret[i][0] = '\0';
    if (says_nothing(placement)) {
        /* All stay where the first one is. */
        _cleanup_json_ json_t *d = entity_document(list[0]);
        for (size_t i = 0; i < n; i++)
            str_copy(ret[i], sizeof ret[i], json_str(d, "nodeId"));
        runtime_instances_free(list, have);
        return 0;
    }
    struct placing *p = calloc(1, sizeof *p);
    res = p ? begin(p, r, placement, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (res == 0)
        keep(p, list, have, n, ret);
    for (size_t i = 0; res == 0 && i < n; i++)
        if (!ret[i][0])
            str_copy(ret[i], sizeof ret[i], choose(p));
    free(p);
    runtime_instances_free(list, have);
    return res;
}
