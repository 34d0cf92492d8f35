/* The few macros every module uses: scoped cleanup, visible ownership, magic checks.
 * Knows nothing of anything else. Thread-safe: no state. */
#ifndef HB_BASE_H
#define HB_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

/* Runs `fn(&variable)` when the variable leaves its scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Passes ownership on, visibly: the source is NULL afterwards. */
#define TAKE(p)                  \
    ({                           \
        __auto_type take_ = (p); \
        (p) = NULL;              \
        take_;                   \
    })

/* Long-lived objects begin with `uint32_t magic`; callbacks check it at entry. */
#define MAGIC_CHECK(obj, value) assert((obj) != NULL && (obj)->magic == (value))

static inline void free_ptr(void *p)
{
    void **where = p;
    free(*where);
    *where = NULL;
}
#define _cleanup_free_ _cleanup_(free_ptr)

#endif
