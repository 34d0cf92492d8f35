/* Small string helpers. Returned strings are owned by the caller. Thread-safe: no state. */
#ifndef HB_STR_H
#define HB_STR_H

#include "base/base.h"

#include <string.h>

static inline bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}
static inline bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}
bool str_ends(const char *s, const char *suffix);
bool str_ieq(const char *a, const char *b);                      /* ASCII, ignoring case */
char *str_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);        /* NULL: no memory */
void str_copy(char *dst, size_t size, const char *src);          /* cuts, always terminates */
char *str_trim(char *s);                                         /* in place */
int str_to_int64(const char *s, int64_t *ret);                   /* whole string; -EINVAL/-ERANGE */
int str_to_double(const char *s, double *ret);                   /* whole string, finite */
int str_to_duration_ms(const char *s, int64_t *ret);             /* "30s" "5m" "1h" "7d" "250ms" "30" (s) */
/* Length of the valid UTF-8 sequence at `s`; 0: none begins there. */
size_t str_utf8_step(const unsigned char *s, size_t left);
bool str_is_utf8(const char *s, size_t len);
void hex_encode(const uint8_t *bytes, size_t n, char *ret);      /* 2n+1 bytes */
int hex_decode(const char *hex, uint8_t *ret, size_t n);         /* exactly n bytes or -EINVAL */
size_t base64url_encode(const uint8_t *bytes, size_t n, char *ret, size_t size); /* no padding; 0 if too small */
int base64url_decode(const char *text, size_t len, uint8_t *ret, size_t size, size_t *ret_len);

/* Reads a whole regular file (or a /proc one) into a NUL-terminated string of at most `limit` bytes. */
int file_read(const char *path, size_t limit, char **ret, size_t *ret_len);
/* Writes through a temporary file, fsync and rename, so readers see the old or the new, whole. */
int file_write_atomic(const char *path, const void *bytes, size_t len, unsigned mode);
/* After a rename to `path`: its new name is on the disk, as far as the file system offers that. */
void file_sync_directory_of(const char *path);

#endif
