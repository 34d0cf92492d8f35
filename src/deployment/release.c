#include "deployment/plan.h"

#include <stdio.h>

void release_done(struct release *r)
{
    json_decref(r->specification);
    json_decref(r->environment);
    json_decref(r->hidden);
    *r = (struct release){ 0 };
}

int release_from_request(const json_t *request, struct release *ret, struct error *e)
{
    struct release r = { .specification = json_deep_copy(request), .environment = json_object() };
    json_t *environment = json_at(r.specification, "container.environment");
    const char *key;
    json_t *value;
    void *next;
    if (!r.specification || !r.environment) {
        release_done(&r);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    json_object_foreach_safe (environment, next, key, value) {
        if (json_is_string(value) || json_is_object(value))
            (void)json_object_set(r.environment, key, value);
        else
            (void)json_object_del(environment, key);
    }
    /* A secret's name is no secret. */
    json_object_foreach (environment, key, value)
        if (json_is_string(value))
            (void)json_object_set_new(environment, key, json_string(ENVIRONMENT_MASK));
    *ret = r;
    return 0;
}

json_t *release_request(const struct release *r)
{
    json_t *request = json_deep_copy(r->specification);
    if (request && json_object_size(r->environment))
        (void)json_put(request, "container.environment", json_deep_copy(r->environment));
    return request;
}

#define MASKED_FROM 6 /* bytes; shorter ones ("true", "8080") are in too many innocent sentences */

static size_t value_of(const json_t *values, const char *text)
{
    const char *key;
    json_t *value;
    size_t longest = 0;
    json_object_foreach ((json_t *)values, key, value) {
        const char *line = json_string_value(value);
        for (size_t n; line && *line; line += n + (line[n] == '\n')) {
            n = strcspn(line, "\n");
            if (n >= MASKED_FROM && n > longest && strncmp(text, line, n) == 0)
                longest = n;
        }
    }
    return longest;
}

/* Length of the longest line of a value that `text` begins with; 0: of none. */
static size_t value_at(const struct release *r, const char *text)
{
    size_t variable = value_of(r->environment, text), file = value_of(r->hidden, text);
    return variable > file ? variable : file;
}

void release_mask(const struct release *r, char *text)
{
    char *to = text;
    for (const char *from = text; *from;) {
        size_t n = value_at(r, from);
        if (!n) {
            *to++ = *from++;
            continue;
        }
        size_t stars = n < strlen(ENVIRONMENT_MASK) ? n : strlen(ENVIRONMENT_MASK);
        memset(to, '*', stars);
        to += stars;
        from += n;
    }
    *to = '\0';
}

static int seal(struct deployments *d, const struct release *r, uint8_t **ret, size_t *ret_len, struct error *e)
{
    char context[64];
    size_t len = 0;
    (void)snprintf(context, sizeof context, "release:%s", r->id);
    char *text = json_text(r->environment, &len);
    if (!text)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int res = vault_seal(d->vault, context, text, len, ret, ret_len, e);
    secret_wipe(text, len);
    free(text);
    return res;
}

static int read_number(struct store_conn *c, struct release *r, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_query(c, e, &rows, "SELECT number FROM service_releases WHERE id = $1", "t", r->id);
    if (res == 0)
        res = rows_next(rows, e);
    if (res == 1)
        r->number = (int)rows_int(rows, 0);
    return res == 1 ? 0 : res < 0 ? res : error_set(e, ERR_INTERNAL, "A release was not kept.");
}

/* The secrets that a release names, each with the version that it was pinned to: fn(ctx, name, version). */
static int each_secret(const struct release *r, int (*fn)(void *ctx, const char *name, int64_t version), void *ctx)
{
    const char *key;
    json_t *value;
    size_t i;
    int res = 0;
    json_object_foreach (r->environment, key, value)
        if (res == 0 && json_is_object(value))
            res = fn(ctx, json_str(value, "secret"), json_int(value, "version", 0));
    json_array_foreach (json_at(r->specification, "container.secrets"), i, value)
        if (res == 0)
            res = fn(ctx, json_str(value, "source"), json_int(value, "version", 0));
    return res;
}

struct using
{
    struct store_conn *c;
    const char *release_id;
    struct error *e;
};

static int use_secret(void *ctx, const char *name, int64_t version)
{
    struct using *u = ctx;
    return secrets_use(u->c, u->release_id, name, version, u->e);
}

int release_store(struct deployments *d, const char *service_id, const char *by, struct release *r, struct error *e)
{
    _cleanup_free_ uint8_t *sealed = NULL;
    size_t len = 0;
    (void)id_new(r->id);
    int res = seal(d, r, &sealed, &len, e);
    _cleanup_conn_ struct store_conn *c = NULL;
    if (res == 0)
        res = store_acquire(d->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e,
                         "INSERT INTO service_releases (id, service_id, number, specification, environment_sealed, "
                         "created_by, created_at) SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5, $6 FROM "
                         "service_releases WHERE service_id = $7",
                         "ttjbtit", r->id, service_id, r->specification, sealed, len, by, clock_now_ms(), service_id);
    if (res == 0)
        res = read_number(c, r, e);
    if (res == 0)
        res = each_secret(r, use_secret, &(struct using){ c, r->id, e });
    return res == 0 ? store_commit(c, e) : res;
}

/* ---- secrets by name ---- */

static int pin(struct deployments *d, json_t *reference, const char *name, const char *pointer, struct error *e)
{
    _cleanup_secret_ struct secret *value = NULL;
    int64_t version = 0;
    int r = d->secrets ? secrets_get(d->secrets, name, json_int(reference, "version", 0), &value, &version, e)
                       : error_set(e, ERR_NOT_FOUND, "This hub keeps no secrets.");
    if (r == -ERR_NOT_FOUND) {
        e->code = ERR_VALIDATION;
        error_detail(e, pointer, "names no secret, or a version that is gone");
        return -ERR_VALIDATION;
    }
    if (r == 0)
        (void)json_object_set_new(reference, "version", json_integer(version));
    return r;
}

int release_pin_secrets(struct deployments *d, json_t *request, struct error *e)
{
    const char *key;
    json_t *value;
    size_t i;
    int r = 0;
    char pointer[320];
    json_object_foreach (json_at(request, "container.environment"), key, value) {
        (void)snprintf(pointer, sizeof pointer, "/container/environment/%s", key);
        if (r == 0 && json_is_object(value))
            r = pin(d, value, json_str(value, "secret"), pointer, e);
    }
    json_array_foreach (json_at(request, "container.secrets"), i, value) {
        (void)snprintf(pointer, sizeof pointer, "/container/secrets/%zu/source", i);
        if (r == 0)
            r = pin(d, value, json_str(value, "source"), pointer, e);
    }
    return r;
}

struct checking {
    struct secrets *secrets;
    struct error *e;
};

static int check_secret(void *ctx, const char *name, int64_t version)
{
    struct checking *k = ctx;
    _cleanup_secret_ struct secret *value = NULL;
    int r = k->secrets ? secrets_get(k->secrets, name, version, &value, NULL, k->e)
                       : error_set(k->e, ERR_NOT_FOUND, "This hub keeps no secrets.");
    return r;
}

int release_secrets_there(struct deployments *d, const struct release *r, struct error *e)
{
    return each_secret(r, check_secret, &(struct checking){ d->secrets, e });
}

static int unseal(struct deployments *d, struct release *r, const void *sealed, size_t len, struct error *e)
{
    char context[64];
    _cleanup_secret_ struct secret *plain = NULL;
    (void)snprintf(context, sizeof context, "release:%s", r->id);
    int res = vault_unseal(d->vault, context, sealed, len, &plain, e);
    if (res < 0)
        return res;
    size_t n = 0;
    const char *text = secret_reveal(plain, &n);
    return json_parse(text, n, &r->environment, e);
}

static int load_by(struct deployments *d, const char *sql, const char *id, struct release *ret, struct error *e)
{
    struct release r = { 0 };
    size_t len = 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(d->store, STORE_READ, &c, e);
    if (res == 0)
        res = store_query(c, e, &rows, sql, "t", id);
    if (res == 0)
        res = rows_next(rows, e);
    if (res == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no release of this service.");
    if (res < 0)
        return res;
    str_copy(r.id, sizeof r.id, rows_text(rows, 0));
    r.number = (int)rows_int(rows, 1);
    r.specification = rows_json(rows, 2);
    const void *sealed = rows_blob(rows, 3, &len);
    res = r.specification ? unseal(d, &r, sealed, len, e)
                          : error_set(e, ERR_INTERNAL, "A release in the database cannot be read.");
    if (res < 0)
        release_done(&r);
    else
        *ret = r;
    return res;
}

#define COLUMNS "id, number, specification, environment_sealed"

int release_load(struct deployments *d, const char *release_id, struct release *ret, struct error *e)
{
    return load_by(d, "SELECT " COLUMNS " FROM service_releases WHERE id = $1", release_id, ret, e);
}

int release_current(struct deployments *d, const char *service_id, struct release *ret, struct error *e)
{
    return load_by(
        d,
        "SELECT " COLUMNS
        " FROM service_releases WHERE service_id = $1 ORDER BY COALESCE(serving_at, 0) DESC, number DESC LIMIT 1",
        service_id, ret, e);
}

/* The release of a deployment that is under way. */
static int of_deployment(struct deployments *d, const struct map *m, const char *service_id, struct release *ret,
                         struct error *e)
{
    (void)pthread_mutex_lock(&d->lock);
    const char *found = map_get(m, service_id);
    _cleanup_free_ char *id = found ? strdup(found) : NULL;
    (void)pthread_mutex_unlock(&d->lock);
    if (!id)
        return -ERR_NOT_FOUND;
    return load_by(d,
                   "SELECT " COLUMNS
                   " FROM service_releases WHERE id = (SELECT release_id FROM deployment_events WHERE id = $1)",
                   id, ret, e);
}

int release_before(struct deployments *d, const char *service_id, struct release *ret, struct error *e)
{
    int r = of_deployment(d, d->active, service_id, ret, e);
    return r == -ERR_NOT_FOUND ? release_current(d, service_id, ret, e) : r;
}

int release_wanted(struct deployments *d, const char *service_id, struct release *ret, struct error *e)
{
    int r = of_deployment(d, d->waiting, service_id, ret, e);
    return r == -ERR_NOT_FOUND ? release_before(d, service_id, ret, e) : r;
}

static int find_earlier(struct store_conn *c, const char *service_id, int number, char ret_id[ID_LEN + 1],
                        char *ret_digest, size_t size, bool *ret_served, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = number ? store_query(c, e, &rows,
                                 "SELECT id, image_digest, serving_at FROM service_releases WHERE service_id = $1 AND "
                                 "number = $2",
                                 "ti", service_id, (int64_t)number)
                   : store_query(c, e, &rows,
                                 "SELECT id, image_digest, serving_at FROM service_releases WHERE service_id = $1 AND "
                                 "serving_at IS NOT NULL ORDER BY serving_at DESC LIMIT 1 OFFSET 1",
                                 "t", service_id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0 && number)
        return error_set(e, ERR_NOT_FOUND, "The service has no release %d.", number);
    if (r == 0)
        return error_set(e, ERR_CONFLICT,
                         "No earlier release of this service has served: there is nothing to go back to.");
    if (r < 0)
        return r;
    str_copy(ret_id, ID_LEN + 1, rows_text(rows, 0));
    str_copy(ret_digest, size, rows_text(rows, 1) ? rows_text(rows, 1) : "");
    *ret_served = !rows_null(rows, 2);
    return 0;
}

int release_earlier(struct deployments *d, const char *service_id, int number, struct release *ret, char *ret_digest,
                    size_t size, bool *ret_served, struct error *e)
{
    char id[ID_LEN + 1] = "";
    struct store_conn *c = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = find_earlier(c, service_id, number, id, ret_digest, size, ret_served, e);
    store_release(c);
    return r == 0 ? release_load(d, id, ret, e) : r;
}

int release_serving(struct deployments *d, const char *service_id, struct release *ret, struct error *e)
{
    return load_by(d,
                   "SELECT " COLUMNS " FROM service_releases WHERE service_id = $1 AND serving_at IS NOT NULL "
                   "ORDER BY serving_at DESC, number DESC LIMIT 1",
                   service_id, ret, e);
}

int release_mark_serving(struct deployments *d, const char *release_id, const char *digest, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(d->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e, "UPDATE service_releases SET serving_at = $1, image_digest = $2 WHERE id = $3", "itt",
                         clock_now_ms(), digest, release_id);
    return res == 0 ? store_commit(c, e) : res;
}
