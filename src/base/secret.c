#include "base/secret.h"

#include "base/id.h"

#include <sodium.h>
#include <string.h>

struct secret {
    size_t len;
    char *bytes; /* guarded, locked pages of libsodium */
};

struct secret *secret_new(const void *bytes, size_t len)
{
    if (sodium_init() < 0)
        return NULL;
    struct secret *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->len = len;
    s->bytes = sodium_malloc(len + 1);
    if (!s->bytes) {
        free(s);
        return NULL;
    }
    if (bytes && len)
        memcpy(s->bytes, bytes, len);
    s->bytes[len] = '\0';
    return s;
}

struct secret *secret_new_random(size_t len)
{
    struct secret *s = secret_new(NULL, len);
    if (s)
        random_bytes(s->bytes, len);
    return s;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    sodium_free(s->bytes);
    free(s);
}

const char *secret_reveal(const struct secret *s, size_t *ret_len)
{
    if (ret_len)
        *ret_len = s->len;
    return s->bytes;
}

bool secret_equals(const struct secret *s, const void *bytes, size_t len)
{
    return s->len == len && sodium_memcmp(s->bytes, bytes, len) == 0;
}

void secret_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}
