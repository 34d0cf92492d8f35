#include "http/compress.h"

#include "base/str.h"

#include <pthread.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#define CACHE_ENTRIES 32
#define CACHE_BYTES ((size_t)8 << 20) /* sources and results together */
#define ZSTD_LEVEL 1
#define GZIP_LEVEL 4
#define GZIP_WINDOW (15 + 16) /* zlib's way to ask for the gzip wrapping */

/* The result if it is smaller than what it came from. */
static struct blob *kept(const char *out, size_t n, size_t before)
{
    return n && n < before ? blob_new(out, n) : NULL;
}

static struct blob *zstd_of(const struct blob *body)
{
    size_t bound = ZSTD_compressBound(body->len);
    _cleanup_free_ char *out = malloc(bound);
    size_t n = out ? ZSTD_compress(out, bound, body->data, body->len, ZSTD_LEVEL) : 0;
    return ZSTD_isError(n) ? NULL : kept(out, n, body->len);
}

static struct blob *gzip_of(const struct blob *body)
{
    z_stream z = { 0 };
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    size_t bound = deflateBound(&z, body->len);
    _cleanup_free_ char *out = malloc(bound);
    z.next_in = (unsigned char *)(uintptr_t)body->data;
    z.avail_in = (unsigned)body->len;
    z.next_out = (unsigned char *)out;
    z.avail_out = (unsigned)bound;
    bool done = out && deflate(&z, Z_FINISH) == Z_STREAM_END;
    size_t n = bound - z.avail_out;
    (void)deflateEnd(&z);
    return done ? kept(out, n, body->len) : NULL;
}

struct blob *compress_blob(const struct blob *body, const char *encoding)
{
    return str_eq(encoding, "zstd") ? zstd_of(body) : gzip_of(body);
}

bool compress_worth(const char *content_type, size_t len)
{
    static const char *const types[] = { "application/json", "text/html",     "text/plain",      "text/css",
                                         "text/javascript",  "image/svg+xml", "application/yaml" };
    if (len < COMPRESS_MIN)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strncasecmp(content_type, types[i], strlen(types[i])) == 0)
            return true;
    return false;
}

/* An entry holds its source, so no other body can come to live at the same address. */
struct entry {
    struct blob *source, *result;
    char encoding;
};

struct compress_cache {
    pthread_mutex_t lock;
    struct entry entries[CACHE_ENTRIES];
    unsigned next;
    size_t bytes;
};

struct compress_cache *compress_cache_new(void)
{
    struct compress_cache *c = calloc(1, sizeof *c);
    if (c)
        (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void drop(struct compress_cache *c, struct entry *at)
{
    if (at->source)
        c->bytes -= at->source->len + at->result->len;
    blob_unref(at->source);
    blob_unref(at->result);
    *at = (struct entry){ 0 };
}

void compress_cache_free(struct compress_cache *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < CACHE_ENTRIES; i++)
        drop(c, &c->entries[i]);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct blob *find(struct compress_cache *c, const struct blob *body, char encoding)
{
    struct blob *found = NULL;
    (void)pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < CACHE_ENTRIES && !found; i++)
        if (c->entries[i].source == body && c->entries[i].encoding == encoding)
            found = blob_ref(c->entries[i].result);
    (void)pthread_mutex_unlock(&c->lock);
    return found;
}

static void keep(struct compress_cache *c, struct blob *body, struct blob *result, char encoding)
{
    size_t size = body->len + result->len;
    if (size > CACHE_BYTES / 2)
        return;
    (void)pthread_mutex_lock(&c->lock);
    drop(c, &c->entries[c->next]);
    for (unsigned i = 1; i < CACHE_ENTRIES && c->bytes + size > CACHE_BYTES; i++)
        drop(c, &c->entries[(c->next + i) % CACHE_ENTRIES]);
    c->entries[c->next] = (struct entry){ blob_ref(body), blob_ref(result), encoding };
    c->bytes += size;
    c->next = (c->next + 1) % CACHE_ENTRIES;
    (void)pthread_mutex_unlock(&c->lock);
}

bool compress_is_cached(struct compress_cache *c, const struct blob *body, const char *encoding)
{
    _cleanup_blob_ struct blob *result = find(c, body, *encoding);
    return result != NULL;
}

struct blob *compress_cached(struct compress_cache *c, struct blob *body, const char *encoding)
{
    struct blob *result = find(c, body, *encoding);
    if (result)
        return result;
    result = compress_blob(body, encoding);
    if (result)
        keep(c, body, result, *encoding);
    return result;
}
