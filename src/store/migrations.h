/* The migrations, in order, made from migrations/NNNN_name.sql by tools/migrations.py. */
#ifndef HB_MIGRATIONS_H
#define HB_MIGRATIONS_H

#include <stddef.h>

struct migration {
    int version;
    const char *name;
    const char *sql;
};
extern const struct migration migrations[];
extern const size_t migration_count;

#endif
