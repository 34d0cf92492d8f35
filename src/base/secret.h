/* A secret is a type of its own: opaque, so nothing can print it; locked in memory and left out of
 * core dumps where the kernel allows; wiped when freed.
 * Ownership: `secret_new` copies; `secret_free` wipes. A secret is read-only and may be shared by threads. */
#ifndef HB_SECRET_H
#define HB_SECRET_H

#include "base/base.h"

struct secret;
struct secret *secret_new(const void *bytes, size_t len); /* NULL: no memory */
struct secret *secret_new_random(size_t len);
void secret_free(struct secret *s);
static inline void secret_free_ptr(struct secret **s)
{
    secret_free(*s);
}
#define _cleanup_secret_ _cleanup_(secret_free_ptr)

/* The bytes, NUL-terminated, for the one call that needs them; borrowed. */
const char *secret_reveal(const struct secret *s, size_t *ret_len);
bool secret_equals(const struct secret *s, const void *bytes, size_t len); /* constant time */
void secret_wipe(void *bytes, size_t len); /* wipes a caller's own copy */

#endif
