/* What the driver's files share: an engine's client, paths, plain calls; and the operations that stand in files of
 * their own. Internal to this folder. Ownership and threads: as runtime/engine.h. */
#ifndef HB_DOCKER_OPS_H
#define HB_DOCKER_OPS_H

#include "integrations/docker/docker.h"
#include "integrations/docker/docker_client.h"
#include "runtime/engine.h"

#include <pthread.h>

#define DOCKER_QUERY_MS 15000
#define DOCKER_LIST_MS 30000
#define DOCKER_CHANGE_MS 120000 /* create, start: the engine may copy a volume's first content */
#define DOCKER_REMOVE_MS 30000 /* of a container: the engine goes on with it whoever waits, and its end is seen later */

/* One piece of material, or the file `name` of `folder` (NULL none); nothing given: 0 and `ret` stays. */
int docker_material_read(const char *folder, const char *name, const struct docker_material *m, struct secret **ret,
                         struct error *e);

/* How a registry's login becomes the value of X-Registry-Auth, which docker_login_free frees. */
struct docker_login {
    int (*encode)(void *ctx, const struct engine_credentials *c, char **ret, struct error *e);
    void (*free)(void *ctx); /* with the engine, or when none could be made; NULL: nothing to free */
    void *ctx;
};
/* An engine at a target; `login` NULL: as engines themselves want it. */
int docker_engine_make(const struct docker_target_options *to, const struct docker_login *login,
                       struct container_engine **ret, struct error *e);

struct docker_client *docker_ops_client(struct container_engine *g);
/* Held from looking for a network to having made it: engines before API 1.44 make two of one name at the same time. */
pthread_mutex_t *docker_ops_network_lock(struct container_engine *g);
/* "/containers/<id><rest>"; the id is checked, so it needs no encoding. NULL with an error set. */
char *docker_ops_path(const char *id, const char *rest, struct error *e);
/* Text as part of a query; caller frees, NULL: no memory. */
char *docker_ops_encode(const char *text);
/* A call that changes something and whose answer does not matter. 2xx and 304 are 0, others errors; `ret_status`
 * (may be NULL) is set also then. */
int docker_ops_change(struct container_engine *g, const struct docker_call *call, const char *what, long *ret_status,
                      struct error *e);

/* docker_objects.c: images, volumes, networks. As engine.h says. */
int docker_image_tag(struct container_engine *g, const char *id, const char *repository, const char *tag,
                     struct error *e);
int docker_image_remove(struct container_engine *g, const char *reference, struct error *e);
int docker_volume_ensure(struct container_engine *g, const char *name, const json_t *labels, struct error *e);
int docker_volume_remove(struct container_engine *g, const char *name, struct error *e);
int docker_volumes(struct container_engine *g, struct engine_volume **ret, size_t *ret_n, struct error *e);
int docker_network_ensure(struct container_engine *g, const char *name, bool internal, const json_t *labels,
                          struct error *e);
int docker_network_remove(struct container_engine *g, const char *name, struct error *e);
int docker_networks(struct container_engine *g, struct engine_network **ret, size_t *ret_n, struct error *e);
/* Joins a container to all networks of a spec but the first. */
int docker_networks_join(struct container_engine *g, const char *id, const struct engine_spec *spec, struct error *e);

/* docker_files.c */
int docker_put_file(struct container_engine *g, const char *id, const char *path, unsigned mode, const void *bytes,
                    size_t len, struct error *e);
int docker_get_archive(struct container_engine *g, const char *id, const char *path, engine_archive_fn fn, void *ctx,
                       struct error *e);

#endif
