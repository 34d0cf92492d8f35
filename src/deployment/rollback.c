#define LOG_ROOM "deployment"
#include "deployment/plan.h"

#include "base/log.h"

#include <stdio.h>

/* A service's releases: which of them can be deployed again, and keeping those that can. */

static bool is_digest(const char *digest)
{
    return str_starts(digest, "sha256:");
}

/* The reference under which exactly this image runs again; 1 it is on the node, 0 it is not. */
static int on_node(const struct image_name *image, const char *digest, struct container_engine *engine, char *ret,
                   size_t size, struct error *e)
{
    struct engine_image found = { 0 };
    (void)snprintf(ret, size, "%s@%s", image->name, digest);
    int r = engine->ops->image(engine, ret, &found, e);
    /* An image that no registry has given is known by its id alone. */
    bool by_id = r == -ERR_NOT_FOUND && (r = engine->ops->image(engine, digest, &found, e)) == 0;
    if (by_id)
        (void)snprintf(ret, size, "%s", digest);
    else
        (void)snprintf(ret, size, "%s%s%s@%s", image->name, image->tag[0] ? ":" : "", image->tag, digest);
    engine_image_done(&found);
    if (r == 0 || r == -ERR_NOT_FOUND)
        error_done(e);
    return r == 0 ? 1 : r == -ERR_NOT_FOUND ? 0 : r;
}

static int check_image(struct deployments *d, const struct release *r, const char *digest,
                       struct container_engine *engine, char *ret_image, size_t size, struct error *e)
{
    struct image_name image;
    struct error asking = ERROR_INIT;
    int res = image_name_parse(json_str(r->specification, "container.image"),
                               json_str(r->specification, "container.tag"), &image, e);
    if (res < 0)
        return res;
    str_copy(image.digest, sizeof image.digest, digest);
    res = on_node(&image, digest, engine, ret_image, size, e);
    if (res != 0)
        return res < 0 ? res : 0;
    res = registry_has(d, &image, &asking);
    if (res == 0)
        (void)error_set(
            e, ERR_CONFLICT,
            "Release %d cannot be deployed again: its image %.200s@%.20s… is neither on the node nor in its "
            "registry.",
            r->number, image.name, digest);
    else if (res < 0)
        (void)error_set(e, ERR_CONFLICT,
                        "Release %d cannot be deployed again: its image is not on the node, and its registry cannot be "
                        "asked: %.200s",
                        r->number, asking.message);
    error_done(&asking);
    return res == 1 ? 0 : -ERR_CONFLICT;
}

int release_possible(struct deployments *d, const struct release *r, const char *digest, bool served,
                     struct container_engine *engine, char *ret_image, size_t size, struct error *e)
{
    struct error missing = ERROR_INIT;
    if (!served || !is_digest(digest))
        return error_set(e, ERR_CONFLICT, "Release %d never served: there is nothing known good to go back to.",
                         r->number);
    int res = release_secrets_there(d, r, &missing);
    if (res < 0)
        (void)error_set(e, ERR_CONFLICT, "Release %d cannot be deployed again: %.300s", r->number, missing.message);
    error_done(&missing);
    if (res < 0)
        return -ERR_CONFLICT;
    return engine ? check_image(d, r, digest, engine, ret_image, size, e) : 0;
}

/* ---- the list ---- */

struct release_row {
    struct release release;
    char digest[256], created_by[256], deployment_id[ID_LEN + 1];
    int64_t created_ms, serving_ms;
    bool kept;
};

static void write_reference(const struct release *r, struct jw *w)
{
    struct image_name image;
    char reference[700] = "";
    if (image_name_parse(json_str(r->specification, "container.image"), json_str(r->specification, "container.tag"),
                         &image, NULL) == 0)
        image_name_reference(&image, reference, sizeof reference);
    const char *version = json_str(r->specification, "metadata.version");
    jw_key(w, "image"), jw_string(w, reference);
    jw_key(w, "version"), jw_string(w, version ? version : image.tag[0] ? image.tag : NULL);
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static void write_release(struct deployments *d, const struct release_row *x, bool serving, struct jw *w)
{
    char image[700];
    struct error why = ERROR_INIT;
    int possible = release_possible(d, &x->release, x->digest, x->serving_ms > 0, NULL, image, sizeof image, &why);
    jw_object(w);
    jw_key(w, "number"), jw_int(w, x->release.number);
    write_reference(&x->release, w);
    jw_key(w, "digest"), jw_string(w, or_null(x->digest));
    jw_key(w, "createdAt"), jw_time(w, x->created_ms);
    jw_key(w, "createdBy"), jw_string(w, or_null(x->created_by));
    jw_key(w, "servedAt"), jw_time(w, x->serving_ms);
    jw_key(w, "serving"), jw_bool(w, serving);
    jw_key(w, "pinned"), jw_bool(w, x->kept);
    jw_key(w, "deploymentId"), jw_string(w, or_null(x->deployment_id));
    jw_key(w, "rollback"), jw_object(w);
    jw_key(w, "possible"), jw_bool(w, possible == 0 && !serving);
    jw_key(w, "reason"), jw_string(w, serving ? "It serves now." : possible < 0 ? why.message : NULL);
    jw_end(w);
    jw_end(w);
    error_done(&why);
}

static int read_rows(struct deployments *d, const char *service_id, struct release_row *list, size_t max, size_t *n,
                     struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT r.id, r.number, r.image_digest, r.created_by, r.created_at, r.serving_at, r.kept, "
                        "(SELECT MIN(e.id) FROM deployment_events e WHERE e.release_id = r.id) FROM service_releases r "
                        "WHERE r.service_id = $1 ORDER BY r.number DESC LIMIT $2",
                        "ti", service_id, (int64_t)max);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct release_row *x = &list[(*n)++];
        str_copy(x->release.id, sizeof x->release.id, rows_text(rows, 0));
        x->release.number = (int)rows_int(rows, 1);
        str_copy(x->digest, sizeof x->digest, rows_text(rows, 2) ? rows_text(rows, 2) : "");
        str_copy(x->created_by, sizeof x->created_by, rows_text(rows, 3) ? rows_text(rows, 3) : "");
        x->created_ms = rows_int(rows, 4);
        x->serving_ms = rows_int(rows, 5);
        x->kept = rows_int(rows, 6) != 0;
        str_copy(x->deployment_id, sizeof x->deployment_id, rows_text(rows, 7) ? rows_text(rows, 7) : "");
        r = 0;
    }
    return r;
}

#define LISTED_MAX 100

static int load_rows(struct deployments *d, const char *service_id, struct release_row *list, size_t *n,
                     struct error *e)
{
    int r = read_rows(d, service_id, list, LISTED_MAX, n, e);
    for (size_t i = 0; r == 0 && i < *n; i++)
        r = release_load(d, list[i].release.id, &list[i].release, e);
    return r;
}

int list_releases(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    _cleanup_entity_ struct entity *service = NULL;
    struct release_row *list = calloc(LISTED_MAX, sizeof *list);
    size_t n = 0, newest = LISTED_MAX;
    int r = list ? deployment_service(d, request_str(rq, "serviceId"), &service, e)
                 : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = load_rows(d, service->id, list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (list[i].serving_ms && (newest == LISTED_MAX || list[i].serving_ms > list[newest].serving_ms))
            newest = i;
    if (r == 0) {
        struct jw *w = reply_json(rp, 200);
        jw_object(w);
        jw_key(w, "releases"), jw_array(w);
        for (size_t i = 0; i < n; i++)
            write_release(d, &list[i], i == newest, w);
        jw_end(w);
        jw_end(w);
    }
    for (size_t i = 0; list && i < n; i++)
        release_done(&list[i].release);
    free(list);
    return r;
}

/* ---- keeping ---- */

#define PIN_REPOSITORY "hbcloud.local/kept"

struct keeping {
    char id[ID_LEN + 1], digest[256], image[800];
    int number;
    bool kept, wanted;
};

/* All that served, newest first. */
static int read_served(struct deployments *d, const char *service_id, int wanted, struct keeping *list, size_t max,
                       size_t *n, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT id, number, image_digest, kept, specification FROM service_releases WHERE service_id = $1 "
            "AND serving_at IS NOT NULL ORDER BY serving_at DESC LIMIT $2",
            "ti", service_id, (int64_t)max);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct keeping *k = &list[*n];
        _cleanup_json_ json_t *specification = rows_json(rows, 4);
        struct image_name image;
        str_copy(k->id, sizeof k->id, rows_text(rows, 0));
        k->number = (int)rows_int(rows, 1);
        str_copy(k->digest, sizeof k->digest, rows_text(rows, 2) ? rows_text(rows, 2) : "");
        k->kept = rows_int(rows, 3) != 0;
        k->wanted = *n < (size_t)wanted;
        if (image_name_parse(json_str(specification, "container.image"), json_str(specification, "container.tag"),
                             &image, NULL) == 0)
            (void)snprintf(k->image, sizeof k->image, "%s@%s", image.name, k->digest);
        (*n)++;
        r = 0;
    }
    return r;
}

static int mark_kept(struct deployments *d, const struct keeping *k, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(d->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "UPDATE service_releases SET kept = $1 WHERE id = $2", "it", (int64_t)k->wanted, k->id);
    if (r == 0 && !k->wanted)
        r = secrets_release_forgotten(c, k->id, e);
    return r == 0 ? store_commit(c, e) : r;
}

/* A tag of our own holds the image when its own tag has moved on; the node's tidying then leaves it. */
static int pin(const char *service, const struct keeping *k, struct container_engine *engine, struct error *e)
{
    char tag[160], reference[256];
    struct engine_image found = { 0 };
    (void)snprintf(tag, sizeof tag, "%.100s-%d", service, k->number);
    (void)snprintf(reference, sizeof reference, "%s:%s", PIN_REPOSITORY, tag);
    if (!k->wanted) {
        int gone = engine->ops->image_remove ? engine->ops->image_remove(engine, reference, e) : 0;
        return gone == -ERR_NOT_FOUND ? 0 : gone; /* somebody tidied it away already */
    }
    if (!engine->ops->image_tag)
        return 0;
    int r = engine->ops->image(engine, k->image, &found, NULL);
    if (r < 0)
        r = engine->ops->image(engine, k->digest, &found, e);
    if (r == 0)
        r = engine->ops->image_tag(engine, found.id, PIN_REPOSITORY, tag, e);
    engine_image_done(&found);
    return r;
}

/* A release that failed is no reason to keep a secret's version; one that is under way is. */
static int find_failed(struct store_conn *c, const char *service_id, char (*ids)[ID_LEN + 1], size_t max, size_t *n,
                       struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows,
                        "SELECT DISTINCT r.id FROM service_releases r JOIN secret_uses u ON u.release_id = r.id WHERE "
                        "r.service_id = $1 AND r.serving_at IS NULL AND NOT EXISTS (SELECT 1 FROM deployment_events e "
                        "WHERE e.release_id = r.id AND e.state IN ('initiated', 'building', 'deploying', 'testing')) "
                        "LIMIT $2",
                        "ti", service_id, (int64_t)max);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        str_copy(ids[(*n)++], ID_LEN + 1, rows_text(rows, 0));
        r = 0;
    }
    return r;
}

#define FORGOTTEN_MAX 64 /* at a time */
#define HISTORY_MAX 200  /* releases of a service that are listed or known; older ones that are not kept go */

static int forget_failed(struct deployments *d, const char *service_id, struct error *e)
{
    char ids[FORGOTTEN_MAX][ID_LEN + 1];
    size_t n = 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(d->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = find_failed(c, service_id, ids, FORGOTTEN_MAX, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = secrets_release_forgotten(c, ids[i], e);
    if (r == 0)
        r = store_exec(c, e,
                       "DELETE FROM service_releases WHERE service_id = $1 AND kept = 0 AND number <= "
                       "(SELECT MAX(number) FROM service_releases WHERE service_id = $2) - $3 AND "
                       "COALESCE(serving_at, 0) < (SELECT COALESCE(MAX(serving_at), 1) FROM service_releases WHERE "
                       "service_id = $4)",
                       "ttit", service_id, service_id, (int64_t)HISTORY_MAX, service_id);
    return r == 0 ? store_commit(c, e) : r;
}

#define SERVED_MAX 200

static int keep(struct deployments *d, const char *service_id, const char *service, int wanted,
                struct container_engine *engine, struct error *e)
{
    struct keeping *list = calloc(SERVED_MAX, sizeof *list);
    size_t n = 0;
    int r =
        list ? read_served(d, service_id, wanted, list, SERVED_MAX, &n, e) : error_set(e, ERR_INTERNAL, "No memory.");
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct error ignored = ERROR_INIT;
        if (list[i].kept == list[i].wanted)
            continue;
        /* An image that is gone cannot be kept, and must not keep others from it. */
        if (engine && pin(service, &list[i], engine, &ignored) < 0)
            log_info("Release %d of %s is not kept: %s", list[i].number, service, ignored.message);
        else
            r = mark_kept(d, &list[i], e);
        error_done(&ignored);
    }
    free(list);
    return r == 0 ? forget_failed(d, service_id, e) : r;
}

void releases_keep(struct deployments *d, const char *service_id, const char *service, struct container_engine *engine)
{
    struct error e = ERROR_INIT;
    if (keep(d, service_id, service, d->releases_kept, engine, &e) < 0)
        log_warn("The images of %s's releases were not kept as wanted: %s", service, e.message);
    error_done(&e);
}

/* Their values are secrets of a service that is no more. */
static int delete_all(struct deployments *d, const char *service_id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(d->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM service_releases WHERE service_id = $1", "t", service_id);
    return r == 0 ? store_commit(c, e) : r;
}

void releases_forget(struct deployments *d, const char *service_id, const char *service,
                     struct container_engine *engine)
{
    struct error e = ERROR_INIT;
    int r = keep(d, service_id, service, 0, engine, &e);
    /* An engine that is away keeps its tags; the rows go all the same. */
    if (r == 0)
        r = keep(d, service_id, service, 0, NULL, &e);
    if (r == 0)
        r = delete_all(d, service_id, &e);
    if (r < 0)
        log_warn("The releases of %s were not forgotten: %s", service, e.message);
    error_done(&e);
}
