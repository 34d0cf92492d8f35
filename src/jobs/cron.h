/* When a schedule runs next: five fields of cron, in a time zone. A time of day that a change of the clock leaves out
 * runs once, just after the change; one that comes twice runs once, the first time. A schedule of every hour follows
 * real time and is not touched by either. Pure but for the zone; thread-safe. */
#ifndef HB_JOBS_CRON_H
#define HB_JOBS_CRON_H

#include "jobs/zone.h"

struct cron {
    uint64_t minutes; /* bit a minute */
    uint32_t hours, days, months; /* bits 0-23, 1-31, 1-12 */
    uint8_t weekdays; /* bits 0-6, Sunday is 0 */
    bool any_day, any_weekday; /* begins with `*`: both fields must fit; else either is enough */
};
/* "minute hour day month weekday"; numbers, names, lists, ranges, steps; @hourly @daily @weekly @monthly @yearly.
 * ERR_VALIDATION, also for what never comes (30 February). */
int cron_parse(const char *text, struct cron *ret, struct error *e);
/* The first run after `after_ms` (since 1970, UTC), ms; -1: none within 30 years. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms);

#endif
