#include "store/driver.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <time.h>

#define STATEMENTS_MAX 64
#define READERS_MAX 32

struct statement {
    char *sql;
    struct driver_stmt *stmt;
    uint64_t used; /* turn of the last use */
    bool busy;     /* rows are being read */
};

struct store_conn {
    struct store *store;
    struct driver_conn *driver_conn;
    struct statement statements[STATEMENTS_MAX];
    size_t statement_count;
    uint64_t turn;
    bool writer, lent, in_transaction;
};

struct store_rows {
    struct store_conn *conn;
    struct statement *statement;
};

struct store {
    const struct store_driver *driver;
    struct store_options options;
    char *path;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct store_conn writer;
    struct store_conn readers[READERS_MAX];
    size_t reader_count;
    int version;
};

/* ---- pool ---- */

static void conn_close(struct store *s, struct store_conn *c)
{
    for (size_t i = 0; i < c->statement_count; i++) {
        s->driver->finalize(c->statements[i].stmt);
        free(c->statements[i].sql);
    }
    if (c->driver_conn)
        s->driver->disconnect(c->driver_conn);
    *c = (struct store_conn){ 0 };
}

static int conn_open(struct store *s, struct store_conn *c, bool writer, struct error *e)
{
    c->store = s;
    c->writer = writer;
    return s->driver->connect(&s->options, writer, &c->driver_conn, e);
}

static void fill_defaults(struct store *s, const struct store_options *o)
{
    s->options = *o;
    s->options.path = s->path;
    if (!s->options.readers)
        s->options.readers = 4;
    if (s->options.readers > READERS_MAX)
        s->options.readers = READERS_MAX;
    if (!s->options.wal_limit_bytes)
        s->options.wal_limit_bytes = (int64_t)64 << 20;
    if (!s->options.busy_timeout_ms)
        s->options.busy_timeout_ms = 5000;
    if (!s->options.acquire_ms)
        s->options.acquire_ms = 10000;
}

static int open_all(struct store *s, struct error *e)
{
    int r = conn_open(s, &s->writer, true, e);
    if (r == 0)
        r = s->driver->check(s->writer.driver_conn, e);
    if (r == 0)
        r = migrate_run(s->driver, s->writer.driver_conn, &s->options, &s->version, e);
    for (; r == 0 && s->reader_count < s->options.readers; s->reader_count++)
        r = conn_open(s, &s->readers[s->reader_count], false, e);
    return r;
}

static void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t a;
    (void)pthread_condattr_init(&a);
    (void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &a);
    (void)pthread_condattr_destroy(&a);
}

int store_open(const struct store_options *options, struct store **ret, struct error *e)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(options->path))) {
        free(s);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    s->driver = &sqlite_driver;
    fill_defaults(s, options);
    (void)pthread_mutex_init(&s->lock, NULL);
    cond_init(&s->returned);
    int r = open_all(s, e);
    if (r < 0) {
        store_close(s);
        return r;
    }
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < READERS_MAX; i++)
        conn_close(s, &s->readers[i]);
    conn_close(s, &s->writer);
    (void)pthread_cond_destroy(&s->returned);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

int store_schema_version(const struct store *s)
{
    return s->version;
}

const char *store_kind(const struct store *s)
{
    return s->driver->kind;
}

static struct store_conn *free_conn(struct store *s, enum store_use use)
{
    if (use == STORE_WRITE)
        return s->writer.lent ? NULL : &s->writer;
    for (size_t i = 0; i < s->reader_count; i++)
        if (!s->readers[i].lent)
            return &s->readers[i];
    return NULL;
}

static struct store_conn *wait_for_conn(struct store *s, enum store_use use)
{
    struct timespec until;
    struct store_conn *c;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (int64_t)s->options.acquire_ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    (void)pthread_mutex_lock(&s->lock);
    while (!(c = free_conn(s, use)))
        if (pthread_cond_timedwait(&s->returned, &s->lock, &until) == ETIMEDOUT)
            break;
    if (c)
        c->lent = true;
    (void)pthread_mutex_unlock(&s->lock);
    return c;
}

static void give_back(struct store_conn *c)
{
    struct store *s = c->store;
    (void)pthread_mutex_lock(&s->lock);
    c->lent = false;
    (void)pthread_cond_broadcast(&s->returned);
    (void)pthread_mutex_unlock(&s->lock);
}

int store_acquire(struct store *s, enum store_use use, struct store_conn **ret, struct error *e)
{
    struct store_conn *c = wait_for_conn(s, use);
    if (!c)
        return error_set(e, ERR_UNAVAILABLE, "The database is busy: no %s connection came free in %u ms.",
                         use == STORE_WRITE ? "writing" : "reading", s->options.acquire_ms);
    if (use == STORE_WRITE) {
        int r = s->driver->run(c->driver_conn, "BEGIN IMMEDIATE", e);
        if (r < 0) {
            give_back(c);
            return r;
        }
        c->in_transaction = true;
    }
    *ret = c;
    return 0;
}

int store_commit(struct store_conn *c, struct error *e)
{
    const struct store_driver *driver = c->store->driver;
    int r = driver->run(c->driver_conn, "COMMIT", e);
    if (r < 0)
        return r;
    c->in_transaction = false;
    driver->tidy(c->driver_conn, &c->store->options);
    return 0;
}

void store_release(struct store_conn *c)
{
    if (!c)
        return;
    if (c->in_transaction)
        (void)c->store->driver->run(c->driver_conn, "ROLLBACK", NULL);
    c->in_transaction = false;
    give_back(c);
}

/* ---- statements ---- */

static struct statement *slot_for_new(struct store_conn *c)
{
    if (c->statement_count < STATEMENTS_MAX)
        return &c->statements[c->statement_count++];
    struct statement *oldest = NULL;
    for (size_t i = 0; i < STATEMENTS_MAX; i++) {
        struct statement *st = &c->statements[i];
        if (!st->busy && (!oldest || st->used < oldest->used))
            oldest = st;
    }
    if (oldest) {
        c->store->driver->finalize(oldest->stmt);
        free(oldest->sql);
    }
    return oldest;
}

static struct statement *cached(struct store_conn *c, const char *sql)
{
    for (size_t i = 0; i < c->statement_count; i++)
        if (!c->statements[i].busy && str_eq(c->statements[i].sql, sql))
            return &c->statements[i];
    return NULL;
}

static int statement_for(struct store_conn *c, const char *sql, struct statement **ret, struct error *e)
{
    struct statement *st = cached(c, sql);
    if (!st) {
        struct driver_stmt *stmt = NULL;
        int r = c->store->driver->prepare(c->driver_conn, sql, &stmt, e);
        if (r < 0)
            return r;
        char *copy = strdup(sql);
        st = copy ? slot_for_new(c) : NULL;
        if (!st) {
            c->store->driver->finalize(stmt);
            free(copy);
            return error_set(e, ERR_INTERNAL, "Database: too many open statements.");
        }
        *st = (struct statement){ .sql = copy, .stmt = stmt };
    }
    st->used = ++c->turn;
    *ret = st;
    return 0;
}

/* ---- parameters ---- */

struct params {
    struct store_value values[STORE_PARAMS_MAX];
    char *owned[STORE_PARAMS_MAX]; /* serialized JSON */
    size_t n;
};

static void params_done(struct params *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->owned[i]);
}

static struct store_value text_value(const char *text)
{
    return text ? (struct store_value){ .type = VALUE_TEXT, .bytes = text, .len = strlen(text) }
                : (struct store_value){ .type = VALUE_NULL };
}

static void params_read(struct params *p, const char *types, va_list args)
{
    *p = (struct params){ 0 };
    for (const char *t = types; *t; t++) {
        assert(p->n < STORE_PARAMS_MAX);
        struct store_value *v = &p->values[p->n];
        json_t *j;
        switch (*t) {
        case 't': *v = text_value(va_arg(args, const char *)); break;
        case 'i': *v = (struct store_value){ .type = VALUE_INT, .i = va_arg(args, int64_t) }; break;
        case 'd': *v = (struct store_value){ .type = VALUE_DOUBLE, .d = va_arg(args, double) }; break;
        case 'j':
            j = va_arg(args, json_t *);
            p->owned[p->n] = j ? json_text(j, NULL) : NULL;
            *v = text_value(p->owned[p->n]);
            break;
        case 'b':
            *v = (struct store_value){ .type = VALUE_BLOB, .bytes = va_arg(args, const void *) };
            v->len = va_arg(args, size_t);
            break;
        default: assert(!"unknown parameter type");
        }
        p->n++;
    }
}

static int start(struct store_conn *c, struct error *e, const char *sql, const struct params *p, struct statement **ret)
{
    struct statement *st = NULL;
    int r = statement_for(c, sql, &st, e);
    if (r == 0)
        r = c->store->driver->bind(st->stmt, p->values, p->n, e);
    if (r == 0)
        *ret = st;
    return r;
}

int store_exec(struct store_conn *c, struct error *e, const char *sql, const char *types, ...)
{
    struct params p;
    struct statement *st = NULL;
    va_list args;
    va_start(args, types);
    params_read(&p, types, args);
    va_end(args);
    int r = start(c, e, sql, &p, &st);
    if (r == 0) {
        r = c->store->driver->step(st->stmt, e);
        c->store->driver->reset(st->stmt);
    }
    params_done(&p);
    return r < 0 ? r : 0;
}

int64_t store_changed(struct store_conn *c)
{
    return c->store->driver->changed(c->driver_conn);
}

int store_query(struct store_conn *c, struct error *e, struct store_rows **ret, const char *sql, const char *types, ...)
{
    struct params p;
    struct statement *st = NULL;
    struct store_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return error_set(e, ERR_INTERNAL, "No memory.");
    va_list args;
    va_start(args, types);
    params_read(&p, types, args);
    va_end(args);
    int r = start(c, e, sql, &p, &st);
    params_done(&p);
    if (r < 0) {
        free(rows);
        return r;
    }
    st->busy = true;
    *rows = (struct store_rows){ c, st };
    *ret = rows;
    return 0;
}

int rows_next(struct store_rows *r, struct error *e)
{
    return r->conn->store->driver->step(r->statement->stmt, e);
}

void rows_done(struct store_rows *r)
{
    if (!r)
        return;
    r->conn->store->driver->reset(r->statement->stmt);
    r->statement->busy = false;
    free(r);
}

static struct store_value value_at(struct store_rows *r, int column)
{
    struct store_value v;
    r->conn->store->driver->column(r->statement->stmt, column, &v);
    return v;
}

const char *rows_text(struct store_rows *r, int column)
{
    struct store_value v = value_at(r, column);
    return v.type == VALUE_TEXT ? v.bytes : NULL;
}

int64_t rows_int(struct store_rows *r, int column)
{
    struct store_value v = value_at(r, column);
    return v.type == VALUE_DOUBLE ? (int64_t)v.d : v.i;
}

double rows_double(struct store_rows *r, int column)
{
    struct store_value v = value_at(r, column);
    return v.type == VALUE_INT ? (double)v.i : v.d;
}

const void *rows_blob(struct store_rows *r, int column, size_t *ret_len)
{
    struct store_value v = value_at(r, column);
    *ret_len = v.type == VALUE_BLOB ? v.len : 0;
    return v.type == VALUE_BLOB ? v.bytes : NULL;
}

bool rows_null(struct store_rows *r, int column)
{
    return value_at(r, column).type == VALUE_NULL;
}

json_t *rows_json(struct store_rows *r, int column)
{
    struct store_value v = value_at(r, column);
    return v.type == VALUE_TEXT ? json_loadb(v.bytes, v.len, JSON_DECODE_ANY, NULL) : NULL;
}
