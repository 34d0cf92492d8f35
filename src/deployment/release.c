#include "deployment/internal.h"

#include <stdio.h>

void release_done(struct release *r)
{
    json_decref(r->specification);
    json_decref(r->environment);
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
        if (json_is_string(value))
            (void)json_object_set(r.environment, key, value);
        else
            (void)json_object_del(environment, key);
    }
    json_object_foreach (environment, key, value)
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

/* Length of the longest line of a value that `text` begins with; 0: of none. */
static size_t value_at(const struct release *r, const char *text)
{
    const char *key;
    json_t *value;
    size_t longest = 0;
    json_object_foreach (r->environment, key, value) {
        const char *line = json_string_value(value);
        for (size_t n; line && *line; line += n + (line[n] == '\n')) {
            n = strcspn(line, "\n");
            if (n >= MASKED_FROM && n > longest && strncmp(text, line, n) == 0)
                longest = n;
        }
    }
    return longest;
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

int release_store(struct deployments *d, const char *service_id, struct release *r, struct error *e)
{
    _cleanup_free_ uint8_t *sealed = NULL;
    size_t len = 0;
    (void)id_new(r->id);
    int res = seal(d, r, &sealed, &len, e);
    _cleanup_conn_ struct store_conn *c = NULL;
    if (res == 0)
        res = store_acquire(d->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(
            c, e,
            "INSERT INTO service_releases (id, service_id, number, specification, environment_sealed, created_at) "
            "SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5 FROM service_releases WHERE service_id = $6",
            "ttjbit", r->id, service_id, r->specification, sealed, len, clock_now_ms(), service_id);
    return res == 0 ? store_commit(c, e) : res;
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

int release_mark_serving(struct deployments *d, const char *release_id, const char *digest, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(d->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e, "UPDATE service_releases SET serving_at = $1, image_digest = $2 WHERE id = $3", "itt",
                         clock_now_ms(), digest, release_id);
    return res == 0 ? store_commit(c, e) : res;
}
