/* Time zones by their IANA name, read from the system's compiled tables (RFC 8536) and not through setenv(TZ), which
 * no program with threads may call. Times are seconds since 1970.
 * Ownership: `zone_free`. A zone is read-only: threads may share it. */
#ifndef HB_JOBS_ZONE_H
#define HB_JOBS_ZONE_H

#include "base/error.h"

#define ZONE_NAME_MAX 64

struct zone;
/* "UTC" needs no file. `directory` NULL: the system's. ERR_VALIDATION: no such zone; ERR_INTERNAL: not readable. */
int zone_load(const char *name, const char *directory, struct zone **ret, struct error *e);
void zone_free(struct zone *z);
static inline void zone_free_ptr(struct zone **z)
{
    zone_free(*z);
}
#define _cleanup_zone_ _cleanup_(zone_free_ptr)

/* One stretch of time in which local time minus UTC is the same. */
struct zone_span {
    int64_t from, until; /* INT64_MIN, INT64_MAX: for ever */
    int32_t offset;      /* seconds east of UTC */
};
void zone_at(const struct zone *z, int64_t t, struct zone_span *ret);

#endif
