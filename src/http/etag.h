/* Entity tags (RFC 9110, section 8.8): making them of bytes, and comparing them with what a client holds.
 * A compressed reply's tag is the plain one with "-gzip" or "-zstd" before the closing quote; comparisons know it.
 * Thread-safe: no state. */
#ifndef HB_HTTP_ETAG_H
#define HB_HTTP_ETAG_H

#include "base/base.h"

#define ETAG_SIZE 96 /* with quotes and NUL; longer ones are not made here */

/* Writes a strong tag of the bytes: 128 bits in hex, the same in every process. */
void etag_of(const void *bytes, size_t len, char ret[ETAG_SIZE]);
/* Puts "-suffix" inside the quotes; a tag too long for it is left as it is. */
void etag_add_suffix(char tag[ETAG_SIZE], const char *suffix);

/* If-None-Match: is `tag` among the list (weak comparison), or is it "*"? Malformed lists match nothing more. */
bool etag_matches_weak(const char *list, const char *tag);
/* If-Match: the strong comparison; a weak tag on either side never matches. */
bool etag_matches_strong(const char *list, const char *tag);

#endif
