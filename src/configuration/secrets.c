#include "configuration/internal.h"

#include <stdio.h>
#include <string.h>

#define ORPHAN_MS ((int64_t)10 * 60000)

/* A sealed version is bound to its name and number: it cannot stand in another's place. */
static void context_of(const char *name, int64_t version, char *ret, size_t size)
{
    (void)snprintf(ret, size, "secret:%s:%lld", name, (long long)version);
}

int secrets_open(struct store *store, struct vault *vault, struct secrets **ret, struct error *e)
{
    struct secrets *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERR_INTERNAL, "No memory.");
    s->store = store;
    s->vault = vault;
    *ret = s;
    return 0;
}

void secrets_close(struct secrets *s)
{
    free(s);
}

void secrets_set_events(struct secrets *s, struct events *events)
{
    s->events = events;
}

/* ---- names ---- */

static bool name_letter(char c, bool first)
{
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    return word || (!first && (c == '-' || c == '.'));
}

static int check_name(const char *name, struct error *e)
{
    size_t n = name ? strlen(name) : 0;
    bool good = n > 0 && n <= SECRET_NAME_MAX;
    for (size_t i = 0; good && i < n; i++)
        good = name_letter(name[i], i == 0);
    if (good)
        return 0;
    (void)error_set(e, ERR_VALIDATION,
                    "A secret's name has 1 to %d letters, digits and _ - . and begins with none of - and .",
                    SECRET_NAME_MAX);
    error_detail(e, "/name", "is no name of a secret");
    return -ERR_VALIDATION;
}

/* One number, or 0 where there is no row. */
static int number(struct store_conn *c, int64_t *ret, struct error *e, const char *sql, const char *name)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, sql, "t", name);
    if (r == 0 && (r = rows_next(rows, e)) >= 0) {
        *ret = r == 1 ? rows_int(rows, 0) : 0;
        r = 0;
    }
    return r;
}

/* ---- set ---- */

static int next_version(struct store_conn *c, const char *name, int64_t now, int64_t *ret, struct error *e)
{
    int64_t latest = 0, others = 0;
    int r = number(c, &latest, e, "SELECT latest FROM secrets WHERE name = $1", name);
    if (r == 0)
        r = number(c, &others, e, "SELECT COUNT(DISTINCT name) FROM secret_versions WHERE name <> $1", name);
    if (r == 0 && others >= SECRETS_MAX)
        r = error_set(e, ERR_CONFLICT, "There are %d secrets already; remove one that is not used.", SECRETS_MAX);
    if (r == 0)
        r = store_exec(c, e,
                       "INSERT INTO secrets (name, latest, created_at, updated_at) VALUES ($1, $2, $3, $4) "
                       "ON CONFLICT (name) DO UPDATE SET latest = excluded.latest, updated_at = excluded.updated_at",
                       "tiii", name, latest + 1, now, now);
    if (r == 0)
        *ret = latest + 1;
    return r;
}

/* Keeps the number of versions bounded: the oldest that no kept release needs go first, the newest never. */
static int drop_oldest(struct store_conn *c, const char *name, struct error *e)
{
    return store_exec(
        c, e,
        "DELETE FROM secret_versions WHERE name = $1 AND version IN (SELECT v.version FROM secret_versions v WHERE "
        "v.name = $1 AND NOT EXISTS (SELECT 1 FROM secret_uses u WHERE u.name = v.name AND u.version = v.version) "
        "ORDER BY v.version DESC LIMIT 100000 OFFSET $2)",
        "ti", name, (int64_t)SECRET_VERSIONS_MAX);
}

static int insert_version(struct secrets *s, struct store_conn *c, const char *name, int64_t version,
                          const struct secret *value, const char *by, int64_t now, struct error *e)
{
    char context[SECRET_NAME_MAX + 32];
    size_t len = 0, sealed_len = 0;
    _cleanup_free_ uint8_t *sealed = NULL;
    const char *bytes = secret_reveal(value, &len);
    context_of(name, version, context, sizeof context);
    int r = vault_seal(s->vault, context, bytes, len, &sealed, &sealed_len, e);
    return r < 0 ? r
                 : store_exec(c, e,
                              "INSERT INTO secret_versions (name, version, value_sealed, created_by, created_at) "
                              "VALUES ($1, $2, $3, $4, $5)",
                              "tibti", name, version, (const void *)sealed, sealed_len, by, now);
}

int secrets_set(struct secrets *s, const char *name, const struct secret *value, const char *by, int64_t *ret_version,
                struct error *e)
{
    int64_t version = 0, now = clock_now_ms();
    size_t len = 0;
    (void)secret_reveal(value, &len);
    int r = check_name(name, e);
    if (r == 0 && len > SECRET_VALUE_MAX) {
        (void)error_set(e, ERR_VALIDATION, "A secret has at most %d bytes.", SECRET_VALUE_MAX);
        error_detail(e, "/value", "is longer than %d bytes", SECRET_VALUE_MAX);
        r = -ERR_VALIDATION;
    }
    if (r < 0)
        return r;
    _cleanup_conn_ struct store_conn *c = NULL;
    r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = next_version(c, name, now, &version, e);
    if (r == 0)
        r = insert_version(s, c, name, version, value, by, now, e);
    if (r == 0)
        r = drop_oldest(c, name, e);
    if (r == 0)
        r = store_commit(c, e);
    if (r == 0)
        *ret_version = version;
    return r;
}

/* ---- get ---- */

static int not_there(const char *name, int64_t version, struct error *e)
{
    if (version == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no secret \"%.128s\".", name);
    return error_set(e, ERR_NOT_FOUND, "There is no version %lld of the secret \"%.128s\" (any more).",
                     (long long)version, name);
}

int secrets_get(struct secrets *s, const char *name, int64_t version, struct secret **ret, int64_t *ret_version,
                struct error *e)
{
    char context[SECRET_NAME_MAX + 32];
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = check_name(name, e);
    if (r == 0)
        r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = version ? store_query(c, e, &rows,
                                  "SELECT version, value_sealed FROM secret_versions WHERE name = $1 AND version = $2",
                                  "ti", name, version)
                    : store_query(c, e, &rows,
                                  "SELECT version, value_sealed FROM secret_versions WHERE name = $1 "
                                  "ORDER BY version DESC LIMIT 1",
                                  "t", name);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0)
        return not_there(name, version, e);
    if (r < 0)
        return r;
    size_t len = 0;
    int64_t found = rows_int(rows, 0);
    const void *sealed = rows_blob(rows, 1, &len);
    context_of(name, found, context, sizeof context);
    r = vault_unseal(s->vault, context, sealed, len, ret, e);
    if (r == 0 && ret_version)
        *ret_version = found;
    return r;
}

/* ---- uses, and delete ---- */

int secrets_use(struct store_conn *c, const char *release_id, const char *name, int64_t version, struct error *e)
{
    int64_t known = 0;
    int r = store_exec(c, e,
                       "INSERT INTO secret_uses (release_id, name, version) SELECT $1, v.name, v.version FROM "
                       "secret_versions v WHERE v.name = $2 AND v.version = $3 ON CONFLICT DO NOTHING",
                       "tti", release_id, name, version);
    if (r < 0 || store_changed(c) > 0)
        return r;
    _cleanup_rows_ struct store_rows *rows = NULL; /* used already, or not there? */
    r = store_query(c, e, &rows, "SELECT COUNT(*) FROM secret_versions WHERE name = $1 AND version = $2", "ti", name,
                    version);
    if (r == 0 && (r = rows_next(rows, e)) == 1)
        known = rows_int(rows, 0);
    return r < 0 ? r : known ? 0 : not_there(name, version ? version : -1, e);
}

int secrets_release_forgotten(struct store_conn *c, const char *release_id, struct error *e)
{
    return store_exec(c, e, "DELETE FROM secret_uses WHERE release_id = $1", "t", release_id);
}

/* Releases of a service that was removed can never be deployed again. One that was just made is left alone: its service
 * may not be written yet. */
static int forget_orphans(struct store_conn *c, struct error *e)
{
    return store_exec(
        c, e,
        "DELETE FROM secret_uses WHERE release_id IN (SELECT r.id FROM service_releases r WHERE r.created_at "
        "< $1 AND NOT EXISTS (SELECT 1 FROM service_instances s WHERE s.id = r.service_id))",
        "i", clock_now_ms() - ORPHAN_MS);
}

/* ERR_CONFLICT with one of the releases that need it. */
static int check_unused(struct store_conn *c, const char *name, int64_t version, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(c, e, &rows,
                    "SELECT u.version, u.release_id, COALESCE(s.name, r.service_id, ''), COALESCE(r.number, 0) FROM "
                    "secret_uses u LEFT JOIN service_releases r ON r.id = u.release_id LEFT JOIN service_instances s "
                    "ON s.id = r.service_id WHERE u.name = $1 AND "
                    "(u.version = $2 OR $2 = 0) ORDER BY u.version DESC LIMIT 1",
                    "ti", name, version);
    if (r == 0)
        r = rows_next(rows, e);
    if (r != 1)
        return r;
    const char *service = rows_text(rows, 2);
    if (service[0])
        return error_set(e, ERR_CONFLICT,
                         "Version %lld of %s is needed by release %lld of the service %.200s. Deploy that service "
                         "without it until the release is not kept any more, then delete it.",
                         (long long)rows_int(rows, 0), name, (long long)rows_int(rows, 3), service);
    return error_set(e, ERR_CONFLICT, "Version %lld of %s is needed by the release %.100s, which is kept.",
                     (long long)rows_int(rows, 0), name, rows_text(rows, 1));
}

/* A node's container engine is reached with the newest version of what its row names, whichever that is: no version
 * is noted for it as for a release, the rows are asked. */
static bool is_named_by(const json_t *engine, const char *name)
{
    return str_eq(json_str(engine, "key.secret"), name) || str_eq(json_str(engine, "certificate.secret"), name) ||
           str_eq(json_str(engine, "authority.secret"), name);
}

static int check_no_node(struct store_conn *c, const char *name, int64_t version, struct error *e)
{
    int64_t newest = 0;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = number(c, &newest, e, "SELECT MAX(version) FROM secret_versions WHERE name = $1", name);
    if (r < 0 || (version && version != newest))
        return r;
    r = store_query(c, e, &rows, "SELECT name, engine FROM infrastructure_nodes WHERE engine IS NOT NULL", "");
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        _cleanup_json_ json_t *engine = rows_json(rows, 1);
        r = is_named_by(engine, name) ? error_set(e, ERR_CONFLICT,
                                                  "The container engine of node %.128s is reached with %s. Change the "
                                                  "node's `engine` first, then delete it.",
                                                  rows_text(rows, 0), name)
                                      : 0;
    }
    return r;
}

int secrets_delete(struct secrets *s, const char *name, int64_t version, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = check_name(name, e);
    if (r == 0)
        r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = forget_orphans(c, e);
    if (r == 0)
        r = check_unused(c, name, version, e);
    if (r == 0)
        r = check_no_node(c, name, version, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM secret_versions WHERE name = $1 AND (version = $2 OR $2 = 0)", "ti", name,
                       version);
    if (r == 0 && store_changed(c) == 0)
        r = not_there(name, version, e);
    return r == 0 ? store_commit(c, e) : r;
}

/* ---- documents ---- */

static void write_version(struct jw *w, struct store_rows *rows)
{
    jw_object(w);
    jw_key(w, "version"), jw_int(w, rows_int(rows, 0));
    jw_key(w, "createdAt"), jw_time(w, rows_int(rows, 1));
    jw_key(w, "createdBy"), jw_string(w, rows_text(rows, 2));
    jw_key(w, "releases"), jw_int(w, rows_int(rows, 3));
    jw_end(w);
}

int secrets_write(struct secrets *s, const char *name, struct jw *w, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT v.version, v.created_at, v.created_by, (SELECT COUNT(*) FROM secret_uses u WHERE "
                        "u.name = v.name AND u.version = v.version) FROM secret_versions v WHERE v.name = $1 "
                        "ORDER BY v.version DESC",
                        "t", name);
    if (r == 0)
        r = rows_next(rows, e);
    if (r <= 0)
        return r < 0 ? r : not_there(name, 0, e);
    jw_object(w);
    jw_key(w, "name"), jw_string(w, name);
    jw_key(w, "version"), jw_int(w, rows_int(rows, 0));
    jw_key(w, "updatedAt"), jw_time(w, rows_int(rows, 1));
    jw_key(w, "updatedBy"), jw_string(w, rows_text(rows, 2));
    jw_key(w, "versions"), jw_array(w);
    for (; r == 1; r = rows_next(rows, e))
        write_version(w, rows);
    jw_end(w);
    jw_end(w);
    return r;
}

int secrets_names(struct secrets *s, const char *after, size_t limit, secret_name *ret, size_t *ret_n, struct error *e)
{
    size_t n = 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT DISTINCT name FROM secret_versions WHERE name > $1 ORDER BY name LIMIT $2",
                        "ti", after ? after : "", (int64_t)limit + 1);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        str_copy(ret[n++], sizeof ret[0], rows_text(rows, 0));
        r = 0;
    }
    if (r == 0)
        *ret_n = n;
    return r;
}
