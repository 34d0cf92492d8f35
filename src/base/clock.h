/* Time, injectable: tests replace the clock, everything else asks these functions.
 * Wall time is milliseconds since 1970 (UTC); monotonic time is milliseconds since some start.
 * Thread-safe; `clock_set` only before threads start. */
#ifndef HB_CLOCK_H
#define HB_CLOCK_H

#include "base/base.h"

struct clock {
    int64_t (*wall_ms)(void *ctx);
    int64_t (*mono_ms)(void *ctx);
    void *ctx;
};
void clock_set(const struct clock *c); /* NULL: the system's */
int64_t clock_now_ms(void);
int64_t clock_mono_ms(void);

#define TIME_TEXT_LEN 24 /* 2026-11-25T13:52:16.123Z */
/* RFC 3339 in UTC with milliseconds; returns `ret`. */
char *time_format(int64_t ms, char ret[TIME_TEXT_LEN + 1]);
/* Any RFC 3339 date-time; -EINVAL. */
int time_parse(const char *text, int64_t *ret_ms);

#endif
