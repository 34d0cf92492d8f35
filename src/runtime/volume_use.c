#include "runtime/volumes_internal.h"

#include <stdio.h>

#define USES_MAX 20000

struct reading {
    struct volume_uses *uses;
    struct runtime *runtime;
    const char *node_id;
    bool full; /* no memory, or above the limit */
};

static void add(struct reading *x, const char *volume, const char *who, bool service, bool running)
{
    struct volume_uses *u = x->uses;
    for (size_t i = 0; i < u->n; i++)
        if (str_eq(u->list[i].volume, volume) && str_eq(u->list[i].who, who)) {
            u->list[i].running |= running;
            return;
        }
    struct volume_use *grown =
        u->n < USES_MAX ? (u->n % 64 ? u->list : realloc(u->list, (u->n + 64) * sizeof *grown)) : NULL;
    if (!grown) {
        x->full = true;
        return;
    }
    u->list = grown;
    struct volume_use use = { strdup(volume), strdup(who), service, running };
    if (use.volume && use.who)
        u->list[u->n++] = use;
    else {
        free(use.volume);
        free(use.who);
        x->full = true;
    }
}

/* ---- containers ---- */

static void add_image(struct volume_uses *u, const char *image_id)
{
    for (size_t i = 0; i < u->image_count; i++)
        if (str_eq(u->images[i], image_id))
            return;
    if (u->images && u->image_count < 64)
        str_copy(u->images[u->image_count++], sizeof u->images[0], image_id);
}

static void add_container(struct reading *x, const struct engine_container *c)
{
    char who[300];
    const char *instance = json_string_value(json_object_get(c->labels, LABEL_INSTANCE));
    _cleanup_entity_ struct entity *service = instance ? table_get(x->runtime->services, instance) : NULL;
    if (c->image_id)
        add_image(x->uses, c->image_id);
    (void)snprintf(who, sizeof who, service ? "%.280s" : "container %.280s", service ? service->name : c->name);
    for (size_t i = 0; i < c->mount_count; i++)
        if (str_eq(c->mounts[i].kind, "volume") && c->mounts[i].source)
            add(x, c->mounts[i].source, who, service != NULL, str_eq(c->state, "running"));
}

/* ---- services: a volume is theirs also while no container of theirs is there ---- */

static bool add_service(const struct row *row, void *ctx)
{
    struct reading *x = ctx;
    size_t i;
    json_t *v;
    if (!row->managed || !str_eq(row->node_id, x->node_id) || !strstr(row->entity->json->data, "\"volumes\":[{"))
        return true;
    _cleanup_json_ json_t *d = entity_document(row->entity);
    json_array_foreach (json_at(d, "container.volumes"), i, v) {
        const char *source = json_str(v, "source");
        if (source && source[0] != '/')
            add(x, source, row->entity->name, true, row->running);
    }
    return !x->full;
}

int volume_uses_read(struct runtime *r, const char *node_id, struct container_engine *g, struct volume_uses *ret,
                     struct error *e)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    struct volume_uses u = { .images = calloc(64, sizeof *u.images) };
    struct reading x = { .uses = &u, .runtime = r, .node_id = node_id };
    int res = g->ops->list(g, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++)
        if (!json_object_get(list[i].labels, LABEL_HELPER))
            add_container(&x, &list[i]);
    engine_containers_free(list, n);
    if (res == 0)
        table_walk(r->services, add_service, &x);
    if (res == 0 && x.full)
        res = error_set(e, ERR_INTERNAL, "There are more uses of volumes on this node than can be looked at.");
    if (res < 0)
        volume_uses_done(&u);
    else
        *ret = u;
    return res;
}

void volume_uses_done(struct volume_uses *u)
{
    for (size_t i = 0; i < u->n; i++) {
        free(u->list[i].volume);
        free(u->list[i].who);
    }
    free(u->list);
    free(u->images);
    *u = (struct volume_uses){ 0 };
}

int volume_check_unused(const struct volume_uses *u, const char *volume, struct error *e)
{
    for (size_t i = 0; i < u->n; i++)
        if (str_eq(u->list[i].volume, volume))
            return error_set(
                e, ERR_CONFLICT,
                "The volume %.200s is used by %s%.200s. Remove that first, or deploy it without the volume.", volume,
                u->list[i].service ? "the service " : "", u->list[i].who);
    return 0;
}

const char *volume_owner(const struct engine_volume *x, const struct volume_uses *u)
{
    const char *label = json_string_value(json_object_get(x->labels, LABEL_SERVICE));
    for (size_t i = 0; !label && i < u->n; i++)
        if (u->list[i].service && str_eq(u->list[i].volume, x->name))
            label = u->list[i].who;
    return label;
}
