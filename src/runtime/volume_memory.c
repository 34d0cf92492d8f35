#include "runtime/volumes_internal.h"

#include <stdio.h>

#define IMAGES_MAX 1600

/* By what was pulled, then by the name that may have moved on. */
static void images_of(const json_t *d, char *ret, size_t size)
{
    const char *name = json_str(d, "container.image"), *tag = json_str(d, "container.tag"),
               *digest = json_str(d, "container.digest");
    ret[0] = '\0';
    if (!name)
        return;
    if (digest && str_starts(digest, "sha256:"))
        (void)snprintf(ret, size, "%s@%s %s", name, digest, digest);
    if (tag && tag[0])
        (void)snprintf(ret + strlen(ret), size - strlen(ret), " %s:%s", name, tag);
}

int volumes_remember(struct volumes *v, const json_t *instance, struct error *e)
{
    size_t i;
    json_t *x;
    char images[IMAGES_MAX];
    const json_t *list = json_at(instance, "container.volumes");
    images_of(instance, images, sizeof images);
    if (json_array_size(list) == 0 || !json_str(instance, "nodeId"))
        return 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(v->store, STORE_WRITE, &c, e);
    json_array_foreach (list, i, x) {
        const char *source = json_str(x, "source");
        if (r == 0 && source && source[0] != '/')
            r = store_exec(
                c, e,
                "INSERT INTO volume_images (node_id, volume, service, images, at) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (node_id, volume) DO UPDATE SET service = excluded.service, images = "
                "excluded.images, at = excluded.at",
                "tttti", json_str(instance, "nodeId"), source, json_str(instance, "name"), images, clock_now_ms());
    }
    return r == 0 ? store_commit(c, e) : r;
}

int volume_remembered(struct volumes *v, const char *node_id, const char *volume, char **ret_service, char **ret_images,
                      struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(v->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT service, images FROM volume_images WHERE node_id = $1 AND volume = $2",
                        "tt", node_id, volume);
    if (r == 0)
        r = rows_next(rows, e);
    if (r != 1)
        return r;
    char *service = strdup(rows_text(rows, 0)), *images = strdup(rows_text(rows, 1));
    if (!service || !images) {
        free(service);
        free(images);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    *ret_service = service;
    *ret_images = images;
    return 1;
}

int volume_forget(struct volumes *v, const char *node_id, const char *volume, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(v->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM volume_images WHERE node_id = $1 AND volume = $2", "tt", node_id, volume);
    return r == 0 ? store_commit(c, e) : r;
}
