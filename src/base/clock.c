#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_wall(void *ctx UNUSED)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(void *ctx UNUSED)
{
    return read_clock(CLOCK_MONOTONIC);
}

static const struct clock system_clock = { system_wall, system_mono, NULL };
static const struct clock *current = &system_clock;

void clock_set(const struct clock *c)
{
    current = c ? c : &system_clock;
}

int64_t clock_now_ms(void)
{
    return current->wall_ms(current->ctx);
}

int64_t clock_mono_ms(void)
{
    return current->mono_ms(current->ctx);
}

char *time_format(int64_t ms, char ret[TIME_TEXT_LEN + 1])
{
    int64_t s = ms / 1000, rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
        s--;
    }
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year > 8099 || tm.tm_year < -1900)
        memset(&tm, 0, sizeof tm), tm.tm_year = 70, tm.tm_mday = 1, rest = 0;
    char text[64];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
    memcpy(ret, text, TIME_TEXT_LEN);
    ret[TIME_TEXT_LEN] = '\0';
    return ret;
}

/* Fixed-width digits at *p; moves p on. -1: not digits. */
static int take_digits(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (!isdigit((unsigned char)**p))
            return -1;
        v = v * 10 + (**p - '0');
    }
    return v;
}

static bool take_char(const char **p, const char *any)
{
    if (!**p || !strchr(any, **p))
        return false;
    (*p)++;
    return true;
}

static bool take_offset(const char **p, int *ret_minutes)
{
    *ret_minutes = 0;
    if (take_char(p, "Zz"))
        return true;
    int sign = **p == '-' ? -1 : 1;
    if (!take_char(p, "+-"))
        return false;
    int h = take_digits(p, 2);
    if (h < 0 || h > 23 || !take_char(p, ":"))
        return false;
    int m = take_digits(p, 2);
    if (m < 0 || m > 59)
        return false;
    *ret_minutes = sign * (h * 60 + m);
    return true;
}

static int take_millis(const char **p)
{
    int ms = 0, scale = 100;
    if (!isdigit((unsigned char)**p))
        return -1;
    for (; isdigit((unsigned char)**p); (*p)++, scale /= 10)
        ms += (**p - '0') * scale;
    return ms;
}

int time_parse(const char *text, int64_t *ret_ms)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const char *p = text;
    struct tm tm = { 0 };
    int year = take_digits(&p, 4);
    if (year < 0 || !take_char(&p, "-"))
        return -EINVAL;
    int month = take_digits(&p, 2);
    if (month < 1 || month > 12 || !take_char(&p, "-"))
        return -EINVAL;
    int day = take_digits(&p, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > days[month - 1] + (month == 2 && leap) || !take_char(&p, "Tt "))
        return -EINVAL;
    tm.tm_hour = take_digits(&p, 2);
    if (tm.tm_hour < 0 || tm.tm_hour > 23 || !take_char(&p, ":"))
        return -EINVAL;
    tm.tm_min = take_digits(&p, 2);
    if (tm.tm_min < 0 || tm.tm_min > 59 || !take_char(&p, ":"))
        return -EINVAL;
    tm.tm_sec = take_digits(&p, 2);
    int ms = 0, offset = 0;
    if (tm.tm_sec < 0 || tm.tm_sec > 60)
        return -EINVAL;
    if (take_char(&p, ".") && (ms = take_millis(&p)) < 0)
        return -EINVAL;
    if (!take_offset(&p, &offset) || *p)
        return -EINVAL;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    *ret_ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
    return 0;
}
