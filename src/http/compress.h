/* gzip and zstd of whole bodies, and a small cache of the compressed forms of shared bodies.
 * The cache is bounded by entries and bytes; the oldest leaves. Thread-safe. */
#ifndef HB_HTTP_COMPRESS_H
#define HB_HTTP_COMPRESS_H

#include "base/blob.h"

#define COMPRESS_MIN 1024 /* smaller bodies are sent as they are */

/* "gzip" or "zstd"; NULL: no memory, or it did not get smaller. */
struct blob *compress_blob(const struct blob *body, const char *encoding);
/* Whether bytes of this type shrink. */
bool compress_worth(const char *content_type, size_t len);

struct compress_cache;
struct compress_cache *compress_cache_new(void);
void compress_cache_free(struct compress_cache *c);
/* As compress_blob; the result (a new reference) is kept for the next time while `body` is the same object. */
struct blob *compress_cached(struct compress_cache *c, struct blob *body, const char *encoding);
bool compress_is_cached(struct compress_cache *c, const struct blob *body, const char *encoding);

#endif
