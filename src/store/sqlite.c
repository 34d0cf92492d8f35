#define LOG_ROOM "store"
#include "store/driver.h"

#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

struct driver_conn {
    sqlite3 *db;
    char *path;
    bool warned; /* about a WAL that cannot be truncated */
};

struct driver_stmt {
    sqlite3_stmt *stmt;
    sqlite3 *db;
};

static int sql_error(sqlite3 *db, struct error *e, const char *what)
{
    int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    const char *said = db ? sqlite3_errmsg(db) : "no memory";
    if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)
        return error_set(e, ERR_UNAVAILABLE, "The database is locked by another program: %s.", said);
    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return error_set(e, ERR_CONFLICT, "The database refuses this: %s.", said);
    if ((code & 0xff) == SQLITE_FULL)
        return error_set(e, ERR_UNAVAILABLE, "The disk is full: nothing was changed. Free space and try again.");
    return error_set(e, ERR_INTERNAL, "Database: %s: %s.", what, said);
}

static int sqlite_run(struct driver_conn *c, const char *script, struct error *e)
{
    return sqlite3_exec(c->db, script, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_error(c->db, e, "script");
}

static void sqlite_disconnect(struct driver_conn *c)
{
    if (!c)
        return;
    (void)sqlite3_close(c->db);
    free(c->path);
    free(c);
}

/* Whoever reads the file reads hashes, the audit, everyone's names: it is the owner's alone, from its first byte.
 * SQLite gives its log and its index the same mode. */
static int make_private(const char *path, struct error *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(e, -errno, "Cannot open the database %s", path);
    (void)close(fd);
    return 0;
}

static int sqlite_connect(const struct store_options *o, bool writer, struct driver_conn **ret, struct error *e)
{
    struct driver_conn *c = calloc(1, sizeof *c);
    if (!c || !(c->path = strdup(o->path))) {
        free(c);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    int r = writer ? make_private(o->path, e) : 0;
    if (r < 0) {
        sqlite_disconnect(c);
        return r;
    }
    int flags = SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    if (sqlite3_open_v2(o->path, &c->db, flags, NULL) != SQLITE_OK) {
        r = error_set(e, ERR_INTERNAL, "Cannot open the database %s: %s.", o->path, sqlite3_errmsg(c->db));
        sqlite_disconnect(c);
        return r;
    }
    (void)sqlite3_busy_timeout(c->db, (int)o->busy_timeout_ms);
    /* Automatic checkpoints only copy; `tidy` also truncates, so the WAL file itself stays bounded (O29). */
    const char *setup = writer ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                                 "PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-2048;"
                               : "PRAGMA query_only=ON; PRAGMA cache_size=-1024;";
    r = sqlite_run(c, setup, e);
    if (r < 0) {
        error_prefix(e, "Cannot use %s as a database", o->path);
        sqlite_disconnect(c);
        return r;
    }
    *ret = c;
    return 0;
}

static int sqlite_check(struct driver_conn *c, struct error *e)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK)
        return sql_error(c->db, e, "integrity check");
    int step = sqlite3_step(s);
    const char *said = step == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : sqlite3_errmsg(c->db);
    int r = 0;
    if (!str_eq(said, "ok"))
        r = error_set(e, ERR_INTERNAL,
                      "The database %s is damaged: %.160s. Stop hbcloud, keep a copy of the file, and put back the "
                      "newest good copy (%s.before-* are kept from before each upgrade).",
                      c->path, said ? said : "unreadable", c->path);
    (void)sqlite3_finalize(s);
    return r;
}

static int sqlite_prepare(struct driver_conn *c, const char *sql, struct driver_stmt **ret, struct error *e)
{
    struct driver_stmt *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERR_INTERNAL, "No memory.");
    s->db = c->db;
    if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) != SQLITE_OK) {
        free(s);
        return sql_error(c->db, e, sql);
    }
    *ret = s;
    return 0;
}

static int bind_value(sqlite3_stmt *s, int at, const struct store_value *v)
{
    switch (v->type) {
    case VALUE_TEXT: return sqlite3_bind_text(s, at, v->bytes, (int)v->len, SQLITE_TRANSIENT);
    case VALUE_BLOB: return sqlite3_bind_blob64(s, at, v->bytes ? v->bytes : "", v->len, SQLITE_TRANSIENT);
    case VALUE_INT: return sqlite3_bind_int64(s, at, v->i);
    case VALUE_DOUBLE: return sqlite3_bind_double(s, at, v->d);
    default: return sqlite3_bind_null(s, at);
    }
}

static int sqlite_bind(struct driver_stmt *s, const struct store_value *values, size_t n, struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        char name[8];
        (void)sqlite3_snprintf(sizeof name, name, "$%d", (int)i + 1);
        int at = sqlite3_bind_parameter_index(s->stmt, name);
        if (!at || bind_value(s->stmt, at, &values[i]) != SQLITE_OK)
            return error_set(e, ERR_INTERNAL, "Database: parameter %s does not fit: %s.", name, sqlite3_sql(s->stmt));
    }
    if (sqlite3_bind_parameter_count(s->stmt) != (int)n)
        return error_set(e, ERR_INTERNAL, "Database: %zu parameters given to: %s.", n, sqlite3_sql(s->stmt));
    return 0;
}

static int sqlite_step(struct driver_stmt *s, struct error *e)
{
    int r = sqlite3_step(s->stmt);
    if (r == SQLITE_ROW)
        return 1;
    return r == SQLITE_DONE ? 0 : sql_error(s->db, e, sqlite3_sql(s->stmt));
}

static void sqlite_reset(struct driver_stmt *s)
{
    (void)sqlite3_reset(s->stmt);
    (void)sqlite3_clear_bindings(s->stmt);
}

static void sqlite_finalize(struct driver_stmt *s)
{
    (void)sqlite3_finalize(s->stmt);
    free(s);
}

static int64_t sqlite_changed(struct driver_conn *c)
{
    return sqlite3_changes64(c->db);
}

static void sqlite_column(struct driver_stmt *s, int column, struct store_value *ret)
{
    *ret = (struct store_value){ .type = VALUE_NULL };
    switch (sqlite3_column_type(s->stmt, column)) {
    case SQLITE_INTEGER:
        ret->type = VALUE_INT;
        ret->i = sqlite3_column_int64(s->stmt, column);
        break;
    case SQLITE_FLOAT:
        ret->type = VALUE_DOUBLE;
        ret->d = sqlite3_column_double(s->stmt, column);
        break;
    case SQLITE_TEXT:
        ret->type = VALUE_TEXT;
        ret->bytes = sqlite3_column_text(s->stmt, column);
        ret->len = (size_t)sqlite3_column_bytes(s->stmt, column);
        break;
    case SQLITE_BLOB:
        ret->type = VALUE_BLOB;
        ret->bytes = sqlite3_column_blob(s->stmt, column);
        ret->len = (size_t)sqlite3_column_bytes(s->stmt, column);
        break;
    default: break;
    }
}

static void sqlite_tidy(struct driver_conn *c, const struct store_options *o)
{
    char wal[4096];
    struct stat st;
    (void)sqlite3_snprintf(sizeof wal, wal, "%s-wal", c->path);
    if (stat(wal, &st) < 0 || st.st_size < o->wal_limit_bytes)
        return;
    int r = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (r != SQLITE_OK && !c->warned)
        log_warn("The write-ahead log has %lld bytes and cannot be truncated while a reader holds it.",
                 (long long)st.st_size);
    c->warned = r != SQLITE_OK;
}

static int sqlite_copy_to(struct driver_conn *c, const char *path, struct error *e)
{
    sqlite3 *copy = NULL;
    (void)unlink(path);
    int r = make_private(path, e);
    if (r < 0)
        return r;
    r = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE, NULL);
    sqlite3_backup *b = r == SQLITE_OK ? sqlite3_backup_init(copy, "main", c->db, "main") : NULL;
    r = b ? sqlite3_backup_step(b, -1) : SQLITE_ERROR;
    if (b)
        (void)sqlite3_backup_finish(b);
    int result = r == SQLITE_DONE ? 0
                                  : error_set(e, ERR_INTERNAL, "Cannot keep a copy at %s: %s.", path,
                                              copy ? sqlite3_errmsg(copy) : "no memory");
    (void)sqlite3_close(copy);
    if (result < 0)
        (void)unlink(path);
    return result;
}

const struct store_driver sqlite_driver = {
    .kind = "sqlite",
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .check = sqlite_check,
    .run = sqlite_run,
    .prepare = sqlite_prepare,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .reset = sqlite_reset,
    .finalize = sqlite_finalize,
    .changed = sqlite_changed,
    .column = sqlite_column,
    .tidy = sqlite_tidy,
    .copy_to = sqlite_copy_to,
};
