/* What a database driver provides to store.c. Internal to the room.
 * A driver connection is used by one thread at a time; store.c pools and locks. */
#ifndef HB_STORE_DRIVER_H
#define HB_STORE_DRIVER_H

#include "store/store.h"

#define STORE_PARAMS_MAX 32

enum value_type { VALUE_NULL, VALUE_TEXT, VALUE_INT, VALUE_DOUBLE, VALUE_BLOB };
struct store_value {
    enum value_type type;
    int64_t i;
    double d;
    const void *bytes; /* text (NUL-terminated) or blob */
    size_t len;
};

struct driver_conn; /* a driver's own */
struct driver_stmt;

struct store_driver {
    const char *kind;
    int (*connect)(const struct store_options *o, bool writer, struct driver_conn **ret, struct error *e);
    void (*disconnect)(struct driver_conn *c);
    int (*check)(struct driver_conn *c, struct error *e);                    /* integrity, at start */
    int (*run)(struct driver_conn *c, const char *script, struct error *e);  /* several statements, no parameters */
    int (*prepare)(struct driver_conn *c, const char *sql, struct driver_stmt **ret, struct error *e);
    int (*bind)(struct driver_stmt *s, const struct store_value *values, size_t n, struct error *e);
    int (*step)(struct driver_stmt *s, struct error *e);                     /* 1 row, 0 done */
    void (*reset)(struct driver_stmt *s);
    void (*finalize)(struct driver_stmt *s);
    int64_t (*changed)(struct driver_conn *c);
    void (*column)(struct driver_stmt *s, int column, struct store_value *ret);
    /* After a commit: keeps the log bounded. */
    void (*tidy)(struct driver_conn *c, const struct store_options *o);
    /* A copy of the whole database, consistent, at `path`. */
    int (*copy_to)(struct driver_conn *c, const char *path, struct error *e);
};
extern const struct store_driver sqlite_driver;

/* migrate.c: brings the schema up to date on the writer connection. */
int migrate_run(const struct store_driver *driver, struct driver_conn *c, const struct store_options *o,
                int *ret_version, struct error *e);

#endif
