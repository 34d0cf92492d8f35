/* A growable byte buffer with a hard limit.
 * Ownership: the caller owns the struct; `buf_done` frees the bytes. Not thread-safe.
 * A failed append (no memory, over the limit) sets `failed` and leaves the content as it was, so a
 * run of appends is checked once, at its end, by `buf_ok`. */
#ifndef HB_BUF_H
#define HB_BUF_H

#include "base/base.h"

#include <stdarg.h>

#define BUF_NO_LIMIT ((size_t)1 << 30) /* "no limit" still means 1 GiB */

struct buf {
    char *data; /* always NUL-terminated once something was appended; may be NULL when empty */
    size_t len; /* bytes used, without the NUL */
    size_t cap;
    size_t limit;
    bool failed;
};

void buf_init(struct buf *b, size_t limit); /* limit 0: BUF_NO_LIMIT */
void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* empties, keeps the memory, forgets a failure */
static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

/* Each returns 0, -ENOMEM or -EMSGSIZE. */
int buf_append(struct buf *b, const void *bytes, size_t len);
int buf_puts(struct buf *b, const char *text);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_vprintf(struct buf *b, const char *fmt, va_list args);
int buf_reserve(struct buf *b, size_t more); /* room for `more` bytes after len */
void buf_consume(struct buf *b, size_t n);   /* drops the first n bytes */

const char *buf_str(struct buf *b); /* NUL-terminated content, "" when empty; borrowed */
char *buf_steal(struct buf *b);     /* hands the content over (caller frees); NULL if failed */

#define _cleanup_buf_ _cleanup_(buf_done)

#endif
