#include "store/driver.h"

#include "base/clock.h"
#include "base/str.h"
#include "store/migrations.h"

#include <stdio.h>

/* The text of an applied migration must not change; a check sum over it is kept beside its number. */
static void checksum(const char *sql, char ret[17])
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)sql; *p; p++)
        h = (h ^ *p) * 0x100000001b3u;
    (void)snprintf(ret, 17, "%016llx", (unsigned long long)h);
}

static int one_value(const struct store_driver *d, struct driver_conn *c, const char *sql,
                     const struct store_value *params, size_t n, char *ret, size_t size, struct error *e)
{
    struct driver_stmt *s = NULL;
    int r = d->prepare(c, sql, &s, e);
    if (r < 0)
        return r;
    r = d->bind(s, params, n, e);
    if (r == 0)
        r = d->step(s, e);
    struct store_value v = { 0 };
    if (r == 1)
        d->column(s, 0, &v);
    if (v.type == VALUE_TEXT)
        str_copy(ret, size, v.bytes);
    else
        (void)snprintf(ret, size, "%lld", (long long)v.i);
    d->finalize(s);
    return r;
}

static int current_version(const struct store_driver *d, struct driver_conn *c, int *ret, struct error *e)
{
    char text[32] = "0";
    int r =
        d->run(c,
               "CREATE TABLE IF NOT EXISTS schema_migrations ("
               "version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)",
               e);
    if (r == 0)
        r = one_value(d, c, "SELECT COALESCE(MAX(version), 0) FROM schema_migrations", NULL, 0, text, sizeof text, e);
    if (r < 0)
        return r;
    *ret = atoi(text);
    return 0;
}

static int check_applied(const struct store_driver *d, struct driver_conn *c, const struct migration *m,
                         struct error *e)
{
    char stored[32] = "", wanted[17];
    struct store_value v = { .type = VALUE_INT, .i = m->version };
    int r =
        one_value(d, c, "SELECT checksum FROM schema_migrations WHERE version = $1", &v, 1, stored, sizeof stored, e);
    if (r < 0)
        return r;
    checksum(m->sql, wanted);
    if (r == 1 && str_eq(stored, wanted))
        return 0;
    return error_set(e, ERR_INTERNAL,
                     "Migration %d (%s) was applied with another text than this program has: "
                     "the database and the program do not belong together.",
                     m->version, m->name);
}

static int record(const struct store_driver *d, struct driver_conn *c, const struct migration *m, struct error *e)
{
    char sum[17];
    struct driver_stmt *s = NULL;
    checksum(m->sql, sum);
    struct store_value v[] = {
        { .type = VALUE_INT, .i = m->version },
        { .type = VALUE_TEXT, .bytes = m->name, .len = strlen(m->name) },
        { .type = VALUE_TEXT, .bytes = sum, .len = strlen(sum) },
        { .type = VALUE_INT, .i = clock_now_ms() },
    };
    int r = d->prepare(c, "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                       &s, e);
    if (r < 0)
        return r;
    r = d->bind(s, v, ARRAY_LEN(v), e);
    if (r == 0)
        r = d->step(s, e);
    d->finalize(s);
    return r < 0 ? r : 0;
}

static int apply(const struct store_driver *d, struct driver_conn *c, const struct migration *m, struct error *e)
{
    int r = d->run(c, "BEGIN IMMEDIATE", e);
    if (r < 0)
        return r;
    r = d->run(c, m->sql, e);
    if (r == 0)
        r = record(d, c, m, e);
    if (r == 0)
        r = d->run(c, "COMMIT", e);
    if (r < 0) {
        error_prefix(e, "Migration %d (%s) failed and was undone", m->version, m->name);
        (void)d->run(c, "ROLLBACK", NULL);
    }
    return r;
}

static int keep_copy(const struct store_driver *d, struct driver_conn *c, const struct store_options *o, int version,
                     struct error *e)
{
    _cleanup_free_ char *path = str_printf("%s.before-%d", o->path, version);
    return path ? d->copy_to(c, path, e) : error_set(e, ERR_INTERNAL, "No memory.");
}

int migrate_run(const struct store_driver *d, struct driver_conn *c, const struct store_options *o, int *ret_version,
                struct error *e)
{
    int at = 0, newest = 0;
    int r = current_version(d, c, &at, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < migration_count; i++)
        if (!o->up_to_version || migrations[i].version <= o->up_to_version)
            newest = migrations[i].version;
    if (at > newest)
        return error_set(e, ERR_CONFLICT,
                         "The database %s has schema %d, this hbcloud knows schemas up to %d: it was used by a "
                         "newer version. Start that version, or put back the copy kept before the upgrade.",
                         o->path, at, newest);
    for (size_t i = 0; r == 0 && i < migration_count; i++) {
        const struct migration *m = &migrations[i];
        if (m->version > newest)
            break;
        if (m->version <= at) {
            r = check_applied(d, c, m, e);
            continue;
        }
        if (at > 0)
            r = keep_copy(d, c, o, m->version, e);
        if (r == 0)
            r = apply(d, c, m, e);
    }
    if (r == 0)
        *ret_version = newest;
    return r;
}
