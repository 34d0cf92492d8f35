/* One SQL interface: a pool of connections, transactions, prepared statements, typed rows.
 * Drivers: sqlite.c now; SQL is written so that PostgreSQL takes it too ($1 placeholders in rising
 * order of first use, ON CONFLICT upserts, no vendor functions).
 * Ownership: a connection is borrowed from the pool between acquire and release, by one thread.
 * One writer at a time; readers see the last commit and never block it. Times are INTEGER ms. */
#ifndef HB_STORE_H
#define HB_STORE_H

#include "base/error.h"

struct store;
struct store_conn;
struct store_rows;

struct store_options {
    const char *path;          /* SQLite file; ":memory:" is not supported, use a temporary file */
    unsigned readers;          /* pooled reading connections; 0: 4 */
    int64_t wal_limit_bytes;   /* the WAL is truncated above this; 0: 64 MiB */
    unsigned busy_timeout_ms;  /* waiting for another process' lock; 0: 5000 */
    int up_to_version;         /* migrations stop there, for tests of what comes after; 0: the newest */
    unsigned acquire_ms;       /* waiting for a free connection of the pool; 0: 10000 */
};
/* Opens, checks integrity, migrates (a copy is kept as PATH.before-<n>). Refuses a newer schema. */
int store_open(const struct store_options *options, struct store **ret, struct error *e);
void store_close(struct store *s);
int store_schema_version(const struct store *s);
const char *store_kind(const struct store *s); /* "sqlite" */

enum store_use { STORE_READ, STORE_WRITE };
/* Waits up to `acquire_ms` for a free connection, then ERR_UNAVAILABLE. A write connection is in a transaction
 * from acquire on: end it by store_commit; release without commit rolls back. */
int store_acquire(struct store *s, enum store_use use, struct store_conn **ret, struct error *e);
int store_commit(struct store_conn *c, struct error *e);
void store_release(struct store_conn *c); /* NULL is fine */
static inline void store_release_ptr(struct store_conn **c)
{
    store_release(*c);
}
#define _cleanup_conn_ _cleanup_(store_release_ptr)

/* `types` has a letter an argument: t text (NULL: SQL NULL), i int64_t, d double,
 * j json_t * stored as text (NULL: SQL NULL), b blob as (const void *, size_t).
 * Statements are prepared once a connection and kept (at most 64, then the least used goes). */
int store_exec(struct store_conn *c, struct error *e, const char *sql, const char *types, ...);
int64_t store_changed(struct store_conn *c); /* rows changed by the last store_exec */
int store_query(struct store_conn *c, struct error *e, struct store_rows **ret, const char *sql, const char *types,
                ...);
int rows_next(struct store_rows *r, struct error *e); /* 1 a row, 0 the end, negative an error */
void rows_done(struct store_rows *r);
static inline void rows_done_ptr(struct store_rows **r)
{
    rows_done(*r);
}
#define _cleanup_rows_ _cleanup_(rows_done_ptr)

const char *rows_text(struct store_rows *r, int column);          /* borrowed till rows_next; NULL: SQL NULL */
int64_t rows_int(struct store_rows *r, int column);
double rows_double(struct store_rows *r, int column);
const void *rows_blob(struct store_rows *r, int column, size_t *ret_len);
bool rows_null(struct store_rows *r, int column);
json_t *rows_json(struct store_rows *r, int column);              /* new reference; NULL when NULL or broken */

#endif
