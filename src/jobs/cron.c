#include "jobs/cron.h"

#include "base/str.h"

#include <ctype.h>
#include <strings.h>

#define TEXT_MAX 200
#define ALL_HOURS 0xffffffu
#define DAY_MINUTES 1440
#define HORIZON_S ((int64_t)30 * 366 * 86400)

/* ---- reading ---- */

struct field {
    const char *title;
    int low, high;
    const char *const *names; /* of low, low + 1, …; NULL none */
};

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
                                           "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekday_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };
static const struct field fields[] = {
    { "minute", 0, 59, NULL },           { "hour", 0, 23, NULL },
    { "day of the month", 1, 31, NULL }, { "month", 1, 12, month_names },
    { "weekday", 0, 7, weekday_names },
};
static const char *const shorthands[][2] = {
    { "@hourly", "0 * * * *" },  { "@daily", "0 0 * * *" },  { "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
    { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" },
};

static bool read_value(const struct field *f, const char **p, int *ret)
{
    for (int i = 0; f->names && f->names[i]; i++)
        if (strncasecmp(*p, f->names[i], 3) == 0 && !isalpha((unsigned char)(*p)[3])) {
            *ret = f->low + i;
            *p += 3;
            return true;
        }
    int n = 0, digits = 0;
    for (; isdigit((unsigned char)**p) && digits < 4; ++*p, digits++)
        n = n * 10 + (**p - '0');
    *ret = n;
    return digits > 0 && n >= f->low && n <= f->high;
}

/* One of a list's parts: value, range, all, each with a step. */
static bool read_part(const struct field *f, const char **p, uint64_t *bits)
{
    int from = f->low, to = f->high, step = 1;
    bool star = **p == '*';
    if (star)
        ++*p;
    else if (!read_value(f, p, &from))
        return false;
    if (!star && **p == '-') {
        ++*p;
        if (!read_value(f, p, &to) || to < from)
            return false;
    } else if (!star && **p != '/')
        to = from;
    if (**p == '/') {
        static const struct field steps = { "step", 1, 59, NULL };
        ++*p;
        if (!read_value(&steps, p, &step))
            return false;
    }
    for (int i = from; i <= to; i += step)
        *bits |= (uint64_t)1 << i;
    return true;
}

static int read_field(const struct field *f, const char **p, uint64_t *ret, struct error *e)
{
    const char *begin = *p += strspn(*p, " \t");
    bool good;
    *ret = 0;
    do
        good = read_part(f, p, ret);
    while (good && **p == ',' && ++*p);
    if (good && (**p == ' ' || **p == '\t' || !**p))
        return 0;
    return error_set(e, ERR_VALIDATION, "\"%.*s\" is no %s of a schedule.", (int)strcspn(begin, " \t"), begin,
                     f->title);
}

static const char *expand(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(shorthands); i++)
        if (str_ieq(text, shorthands[i][0]))
            return shorthands[i][1];
    return text;
}

int cron_parse(const char *text, struct cron *ret, struct error *e)
{
    const char *p = expand(text), *stars[5];
    uint64_t bits[5];
    int r = strlen(p) > TEXT_MAX ? error_set(e, ERR_VALIDATION, "A schedule has at most %d letters.", TEXT_MAX) : 0;
    for (size_t i = 0; r == 0 && i < 5; i++) {
        stars[i] = p + strspn(p, " \t");
        r = read_field(&fields[i], &p, &bits[i], e);
    }
    if (r == 0 && p[strspn(p, " \t")])
        r = error_set(e, ERR_VALIDATION, "A schedule has five fields: minute, hour, day, month, weekday.");
    if (r < 0)
        return r;
    struct cron c = { .minutes = bits[0],
                      .hours = (uint32_t)bits[1],
                      .days = (uint32_t)bits[2],
                      .months = (uint32_t)bits[3],
                      .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f), /* 7 is Sunday, too */
                      .any_day = *stars[2] == '*',
                      .any_weekday = *stars[4] == '*' };
    if (cron_next(&c, NULL, 0) < 0)
        return error_set(e, ERR_VALIDATION, "The schedule \"%.100s\" never comes.", text);
    *ret = c;
    return 0;
}

/* ---- the calendar, in local minutes since 1970 ---- */

static void civil(int64_t days, int *ret_month, int *ret_day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t m = (5 * doy + 2) / 153;
    *ret_day = (int)(doy - (153 * m + 2) / 5 + 1);
    *ret_month = (int)(m < 10 ? m + 3 : m - 9);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool day_matches(const struct cron *c, int64_t days)
{
    int month, day, weekday = (int)(((days + 4) % 7 + 7) % 7);
    civil(days, &month, &day);
    bool by_day = c->days >> day & 1, by_weekday = c->weekdays >> weekday & 1;
    bool either = c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
    return (c->months >> month & 1) && either;
}

/* The first match in [from, until); -1 none. */
static int64_t match_between(const struct cron *c, int64_t from, int64_t until)
{
    for (int64_t day = floor_div(from, DAY_MINUTES); day * DAY_MINUTES < until; day++) {
        if (!day_matches(c, day))
            continue;
        for (int hour = 0; hour < 24; hour++)
            for (int minute = 0; (c->hours >> hour & 1) && minute < 60; minute++) {
                int64_t at = day * DAY_MINUTES + hour * 60 + minute;
                if ((c->minutes >> minute & 1) && at >= from && at < until)
                    return at;
            }
    }
    return -1;
}

/* ---- local time and the world's ---- */

static void span_at(const struct zone *z, int64_t t, struct zone_span *ret)
{
    if (z)
        zone_at(z, t, ret);
    else
        *ret = (struct zone_span){ INT64_MIN, INT64_MAX, 0 };
}

/* The first run in the span at or after t, seconds; -1 none. `before`: the offset of the span before, where there is one. */
static int64_t next_in_span(const struct cron *c, const struct zone_span *s, int64_t t, const int32_t *before,
                            int64_t horizon)
{
    int64_t until = s->until < horizon ? s->until : horizon;
    int64_t from_local = floor_div(t + s->offset + 59, 60), until_local = floor_div(until + s->offset + 59, 60);
    bool real_time = (c->hours & ALL_HOURS) == ALL_HOURS;
    if (before && !real_time) {
        int64_t old = floor_div(s->from + *before, 60), new = floor_div(s->from + s->offset, 60);
        /* The clock went forward over [old, new): what was due in there is due now. */
        if (t == s->from && new > old && match_between(c, old, new) >= 0)
            return t;
        /* The clock went back: [new, old) was there before. */
        if (new < old && from_local < old)
            from_local = old;
    }
    int64_t at = match_between(c, from_local, until_local);
    return at < 0 ? -1 : at * 60 - s->offset;
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms)
{
    int64_t t = (floor_div(after_ms, 60000) + 1) * 60, horizon = t + HORIZON_S;
    while (t < horizon) {
        struct zone_span now, before;
        span_at(z, t, &now);
        bool changed = now.from != INT64_MIN;
        if (changed)
            span_at(z, now.from - 1, &before);
        int64_t at = next_in_span(c, &now, t, changed ? &before.offset : NULL, horizon);
        if (at >= 0)
            return at * 1000;
        if (now.until == INT64_MAX)
            return -1;
        t = now.until;
    }
    return -1;
}
