/* A table that fits the terminal: where it is too wide, columns of low priority are shortened to their minimum,
 * then the least important ones give up their place. Without a width every text is whole.
 * Ownership: `text_table_free`; texts are copied. Not thread-safe. Failed allocations show in `table_print`. */
#ifndef HB_CLI_TABLE_H
#define HB_CLI_TABLE_H

#include "cli/term.h"

struct table_column {
    const char *title;
    int priority;   /* the lowest is shortened first */
    size_t min;     /* columns it keeps when shortened; 0: never shortened */
    bool right;     /* numbers */
};
#define TABLE_COLUMNS_MAX 12
#define TABLE_MINOR 4 /* columns up to this priority give up their place before others are shortened */

struct table;
struct table *text_table_new(const struct table_column *columns, size_t n); /* columns: static */
void text_table_free(struct table *t);
static inline void table_free_ptr(struct table **t)
{
    text_table_free(*t);
}
#define _cleanup_table_ _cleanup_(table_free_ptr)
/* The next cell, row by row; NULL and "" are shown as "-". */
void table_cell(struct table *t, enum style style, const char *text);
void table_cellf(struct table *t, enum style style, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t table_rows(const struct table *t);
int table_print(const struct table *t, const struct term *term, struct buf *out); /* 0 or -ENOMEM */

#endif
