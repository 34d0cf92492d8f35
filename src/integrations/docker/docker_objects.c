#include "base/json.h"
#include "base/jsonw.h"
#include "base/str.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_ops.h"
#include "integrations/docker/docker_parse.h"
#include "integrations/docker/docker_reference.h"
#include "integrations/docker/docker_spec.h"

#include <errno.h>
#include <stdio.h>

#define OBJECT_BODY_MAX ((size_t)1 << 20) /* bytes */

static int check_name(const char *name, const char *what, struct error *e)
{
    return docker_name_valid(name)
               ? 0
               : error_set(e, ERR_VALIDATION, "\"%.140s\" is no %s's name.", name ? name : "", what);
}

/* A call whose answers 404 (and with `or_conflict` 409) mean that what was wanted is so already. */
static int settle(struct container_engine *g, const struct docker_call *call, const char *what, bool or_conflict,
                  struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    long status = 0;
    int r = docker_ops_change(g, call, what, &status, &own);
    if (r == 0 || status == (or_conflict ? 409 : 404))
        return 0;
    return error_set(e, own.code, "%s", own.message);
}

/* ---- images ---- */

int docker_image_tag(struct container_engine *g, const char *id, const char *repository, const char *tag,
                     struct error *e)
{
    struct docker_reference ref;
    _cleanup_free_ char *whole = str_printf("%s:%s", repository ? repository : "", tag ? tag : "");
    if (!whole)
        return error_errno(e, -ENOMEM, "Tagging an image");
    if (!docker_image_name_valid(id))
        return error_set(e, ERR_VALIDATION, "\"%.200s\" is no image reference.", id ? id : "");
    int r = docker_reference_parse(whole, &ref, e);
    if (r < 0)
        return r;
    _cleanup_free_ char *path = str_printf("/images/%s/tag?repo=%s&tag=%s", id, ref.repository, ref.tag);
    struct docker_call call = { .method = "POST", .path = path, .deadline_ms = DOCKER_QUERY_MS };
    return path ? docker_ops_change(g, &call, id, NULL, e) : error_errno(e, -ENOMEM, "Tagging an image");
}

int docker_image_remove(struct container_engine *g, const char *reference, struct error *e)
{
    if (!docker_image_name_valid(reference))
        return error_set(e, ERR_VALIDATION, "\"%.200s\" is no image reference.", reference ? reference : "");
    _cleanup_free_ char *path = str_printf("/images/%s?force=0&noprune=0", reference);
    struct docker_call call = { .method = "DELETE", .path = path, .deadline_ms = DOCKER_CHANGE_MS };
    return path ? settle(g, &call, reference, false, e) : error_errno(e, -ENOMEM, "Removing an image");
}

/* ---- volumes ---- */

/* {"Name": …, "Driver": …, "Labels": …} and, of a network, whether it leads outside. */
static void write_object(struct buf *out, const char *name, const char *driver, const bool *internal,
                         const json_t *labels)
{
    struct jw w;
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "Name");
    jw_string(&w, name);
    jw_key(&w, "Driver");
    jw_string(&w, driver);
    if (internal) {
        jw_key(&w, "Internal");
        jw_bool(&w, *internal);
        jw_key(&w, "CheckDuplicate"); /* engines before API 1.44 would make a second one of this name */
        jw_bool(&w, true);
    }
    if (json_object_size(labels)) {
        jw_key(&w, "Labels");
        jw_json(&w, labels);
    }
    jw_end(&w);
}

/* 409 means that someone else was faster. */
static int make(struct container_engine *g, const char *path, struct buf *body, const char *name, struct error *e)
{
    struct docker_call call = {
        .method = "POST", .path = path, .deadline_ms = DOCKER_CHANGE_MS, .body = buf_str(body), .body_len = body->len
    };
    if (!buf_ok(body))
        return error_set(e, ERR_VALIDATION, "The labels of %.100s are too large.", name);
    return settle(g, &call, name, true, e);
}

int docker_volume_ensure(struct container_engine *g, const char *name, const json_t *labels, struct error *e)
{
    _cleanup_buf_ struct buf body;
    buf_init(&body, OBJECT_BODY_MAX);
    int r = check_name(name, "volume", e);
    if (r < 0)
        return r;
    write_object(&body, name, "local", NULL, labels);
    return make(g, "/volumes/create", &body, name, e); /* one that is there already is answered as it is */
}

int docker_volume_remove(struct container_engine *g, const char *name, struct error *e)
{
    char path[160];
    int r = check_name(name, "volume", e);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/volumes/%s", name);
    struct docker_call call = { .method = "DELETE", .path = path, .deadline_ms = DOCKER_CHANGE_MS };
    return docker_ops_change(g, &call, name, NULL, e);
}

int docker_volumes(struct container_engine *g, struct engine_volume **ret, size_t *ret_n, struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = docker_client_get(docker_ops_client(g), "/volumes", DOCKER_LIST_MS, "its volumes", &answer, e);
    return r < 0 ? r : docker_parse_volumes(answer, ret, ret_n, e);
}

/* ---- networks ---- */

int docker_networks(struct container_engine *g, struct engine_network **ret, size_t *ret_n, struct error *e)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = docker_client_get(docker_ops_client(g), "/networks", DOCKER_LIST_MS, "its networks", &answer, e);
    return r < 0 ? r : docker_parse_networks(answer, ret, ret_n, e);
}

/* By the list and not by name: asked for one, an engine also takes the name for the beginning of an id. */
static int network_find(struct container_engine *g, const char *name, bool *ret_found, bool *ret_internal,
                        struct error *e)
{
    struct engine_network *all = NULL;
    size_t n = 0;
    int r = docker_networks(g, &all, &n, e);
    if (r < 0)
        return r;
    *ret_found = false;
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, name)) {
            *ret_found = true;
            *ret_internal = all[i].internal;
        }
    engine_networks_free(all, n);
    return 0;
}

static int network_ensure(struct container_engine *g, const char *name, bool internal, const json_t *labels,
                          struct error *e)
{
    _cleanup_buf_ struct buf body;
    bool found = false, as_found = false;
    buf_init(&body, OBJECT_BODY_MAX);
    int r = network_find(g, name, &found, &as_found, e);
    if (r < 0)
        return r;
    if (found && as_found != internal)
        return error_set(e, ERR_CONFLICT, "The network %.100s is there already and %s.", name,
                         as_found ? "is an internal one" : "leads outside");
    if (found)
        return 0;
    write_object(&body, name, "bridge", &internal, labels);
    return make(g, "/networks/create", &body, name, e);
}

int docker_network_ensure(struct container_engine *g, const char *name, bool internal, const json_t *labels,
                          struct error *e)
{
    int r = check_name(name, "network", e);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(docker_ops_network_lock(g));
    r = network_ensure(g, name, internal, labels, e);
    (void)pthread_mutex_unlock(docker_ops_network_lock(g));
    return r;
}

int docker_network_remove(struct container_engine *g, const char *name, struct error *e)
{
    char path[160];
    int r = check_name(name, "network", e);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/networks/%s", name);
    struct docker_call call = { .method = "DELETE", .path = path, .deadline_ms = DOCKER_CHANGE_MS };
    _cleanup_error_ struct error own = ERROR_INIT;
    long status = 0;
    r = docker_ops_change(g, &call, name, &status, &own);
    if (r == 0 || status == 404)
        return 0;
    return error_set(e, status == 403 ? ERR_CONFLICT : own.code, "%s", own.message); /* 403: a container is in it */
}

static int join(struct container_engine *g, const char *id, const json_t *network, struct error *e)
{
    char path[192];
    _cleanup_buf_ struct buf body;
    const char *name = json_str(network, "name");
    buf_init(&body, OBJECT_BODY_MAX);
    docker_spec_write_join(id, network, &body);
    snprintf(path, sizeof(path), "/networks/%s/connect", name);
    struct docker_call call = {
        .method = "POST", .path = path, .deadline_ms = DOCKER_CHANGE_MS, .body = buf_str(&body), .body_len = body.len
    };
    return buf_ok(&body) ? docker_ops_change(g, &call, name, NULL, e) : error_errno(e, -ENOMEM, "Joining a network");
}

int docker_networks_join(struct container_engine *g, const char *id, const struct engine_spec *spec, struct error *e)
{
    const char *first = docker_spec_network(spec);
    size_t i;
    json_t *one;
    int r = 0;
    json_array_foreach (spec->networks, i, one)
        if (r == 0 && !str_eq(json_str(one, "name"), first))
            r = join(g, id, one, e);
    return r;
}
