#include "jobs/zone.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo"
#define FILE_MAX 262144
#define HEADER 44
#define DAY 86400

/* One of the footer's two rules: on which day, and when on it, by the local time before the change. */
struct rule {
    char kind;  /* 'M' month.week.day, 'J' day 1-365 without leap days, 'D' day 0-365 */
    int month, week, day;
    int32_t time;
};

struct zone {
    size_t count;
    int64_t *times;    /* rising */
    int32_t *offsets;  /* from times[i] on */
    int32_t first;     /* before times[0] */
    bool has_rule, has_summer;
    int32_t standard, summer; /* offsets by the footer */
    struct rule start, end;   /* of summer time */
};

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->times);
    free(z->offsets);
    free(z);
}

/* ---- the calendar ---- */

/* Days since 1970 of a civil date (proleptic Gregorian). */
static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year = y - era * 400;
    int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static bool is_leap(int64_t y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int64_t year_of(int64_t t)
{
    int64_t y = 1970 + t / ((int64_t)DAY * 365);
    while (days_of(y, 1, 1) * DAY > t)
        y--;
    while (days_of(y + 1, 1, 1) * DAY <= t)
        y++;
    return y;
}

/* ---- the footer: what holds after the table's last change, as POSIX's TZ ---- */

/* "<+0330>" or "CET". */
static bool skip_name(const char **p)
{
    const char *s = *p;
    if (*s == '<') {
        s += strcspn(s, ">");
        if (*s != '>')
            return false;
        *p = s + 1;
        return true;
    }
    while (isalpha((unsigned char)*s))
        s++;
    bool good = s - *p >= 3;
    *p = s;
    return good;
}

static bool read_number(const char **p, int max, int *ret)
{
    int n = 0;
    const char *s = *p;
    for (; isdigit((unsigned char)*s) && n <= max; s++)
        n = n * 10 + (*s - '0');
    bool good = s > *p && n <= max;
    *p = s;
    *ret = n;
    return good;
}

/* [+-]h[h[h]][:mm[:ss]] in seconds. */
static bool read_time(const char **p, int32_t *ret)
{
    int h = 0, m = 0, s = 0, sign = **p == '-' ? -1 : 1;
    if (**p == '-' || **p == '+')
        (*p)++;
    if (!read_number(p, 167, &h))
        return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &m)))
        return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &s)))
        return false;
    *ret = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool read_day(const char **p, struct rule *ret)
{
    ret->kind = **p == 'M' || **p == 'J' ? *(*p)++ : 'D';
    if (ret->kind != 'M')
        return read_number(p, 365, &ret->day);
    if (!read_number(p, 12, &ret->month) || *(*p)++ != '.' || !read_number(p, 5, &ret->week) || *(*p)++ != '.')
        return false;
    return read_number(p, 6, &ret->day) && ret->month > 0 && ret->week > 0;
}

static bool read_rule(const char **p, struct rule *ret)
{
    if (*(*p)++ != ',' || !read_day(p, ret))
        return false;
    ret->time = 7200;
    if (**p == '/')
        return ++*p, read_time(p, &ret->time);
    return true;
}

static bool read_footer(struct zone *z, const char *p)
{
    if (!skip_name(&p) || !read_time(&p, &z->standard))
        return false;
    z->standard = -z->standard; /* POSIX counts westward */
    z->has_rule = true;
    if (!*p)
        return true;
    if (!skip_name(&p))
        return false;
    z->summer = z->standard + 3600;
    if (*p && *p != ',') {
        if (!read_time(&p, &z->summer))
            return false;
        z->summer = -z->summer;
    }
    z->has_summer = true;
    return read_rule(&p, &z->start) && read_rule(&p, &z->end) && !*p;
}

/* Local seconds since 1970 at which the rule changes the clock in that year. */
static int64_t rule_local(const struct rule *r, int64_t year)
{
    int64_t first = days_of(year, 1, 1), day;
    if (r->kind == 'D')
        day = first + r->day;
    else if (r->kind == 'J')
        day = first + r->day - 1 + (is_leap(year) && r->day >= 60);
    else {
        int64_t month = days_of(year, r->month, 1),
                next = r->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, r->month + 1, 1);
        int64_t weekday = ((month + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        day = month + (r->day - weekday + 7) % 7 + (int64_t)(r->week - 1) * 7;
        while (day >= next)
            day -= 7;
    }
    return day * DAY + r->time;
}

static void narrow(struct zone_span *s, int64_t t, int64_t change, int32_t offset)
{
    if (change <= t && change >= s->from) {
        s->from = change;
        s->offset = offset;
    }
    if (change > t && change < s->until)
        s->until = change;
}

/* The span around t by the rules alone, not before `floor`. */
static void span_by_rule(const struct zone *z, int64_t t, int64_t floor, struct zone_span *ret)
{
    *ret = (struct zone_span){ INT64_MIN, INT64_MAX, z->standard };
    for (int64_t y = year_of(t) - 1; z->has_summer && y <= year_of(t) + 1; y++) {
        narrow(ret, t, rule_local(&z->start, y) - z->standard, z->summer);
        narrow(ret, t, rule_local(&z->end, y) - z->summer, z->standard);
    }
    if (ret->from < floor)
        ret->from = floor;
}

void zone_at(const struct zone *z, int64_t t, struct zone_span *ret)
{
    size_t low = 0, high = z->count; /* the first change after t */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (z->times[middle] <= t)
            low = middle + 1;
        else
            high = middle;
    }
    int64_t from = low ? z->times[low - 1] : INT64_MIN;
    if (low == z->count && z->has_rule) {
        span_by_rule(z, t, from, ret);
        return;
    }
    *ret = (struct zone_span){ from, low < z->count ? z->times[low] : INT64_MAX, low ? z->offsets[low - 1] : z->first };
}

/* ---- the table ---- */

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

struct counts {
    uint32_t ut, std, leap, time, type, chars;
};

static bool read_counts(const unsigned char *p, size_t left, struct counts *ret)
{
    if (left < HEADER || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    uint32_t *const into[] = { &ret->ut, &ret->std, &ret->leap, &ret->time, &ret->type, &ret->chars };
    for (size_t i = 0; i < 6; i++)
        *into[i] = be32(p + 20 + 4 * i);
    return ret->type > 0 && ret->type <= 256 && ret->time <= 4096 && ret->leap <= 1024 && ret->chars <= 4096 &&
           ret->ut <= 256 && ret->std <= 256;
}

static size_t block_size(const struct counts *n, size_t time_size)
{
    return n->time * (time_size + 1) + (size_t)n->type * 6 + n->chars + n->leap * (time_size + 4) + n->std + n->ut;
}

static bool read_changes(struct zone *z, const unsigned char *p, const struct counts *n)
{
    const unsigned char *indices = p + (size_t)n->time * 8, *types = indices + n->time;
    z->count = n->time;
    z->times = calloc(n->time + 1, sizeof *z->times);
    z->offsets = calloc(n->time + 1, sizeof *z->offsets);
    if (!z->times || !z->offsets)
        return false;
    z->first = (int32_t)be32(types);
    for (uint32_t i = 0; i < n->time; i++) {
        z->times[i] = be64(p + (size_t)i * 8);
        if (indices[i] >= n->type || (i && z->times[i] <= z->times[i - 1]))
            return false;
        z->offsets[i] = (int32_t)be32(types + (size_t)indices[i] * 6);
    }
    return true;
}

/* The first block has 32-bit times for old readers; the second is what counts, then the footer between newlines. */
static bool parse(struct zone *z, const unsigned char *p, size_t len)
{
    struct counts n;
    if (!read_counts(p, len, &n) || HEADER + block_size(&n, 4) > len)
        return false;
    size_t at = HEADER + block_size(&n, 4);
    if (!read_counts(p + at, len - at, &n) || block_size(&n, 8) + HEADER > len - at)
        return false;
    at += HEADER;
    if (!read_changes(z, p + at, &n))
        return false;
    at += block_size(&n, 8);
    if (len - at < 2 || p[at] != '\n' || p[len - 1] != '\n')
        return false;
    char footer[128];
    if (len - at - 2 >= sizeof footer)
        return false;
    memcpy(footer, p + at + 1, len - at - 2);
    footer[len - at - 2] = '\0';
    return !footer[0] || read_footer(z, footer);
}

/* Only what can be a zone's name below the directory. */
static bool good_name(const char *name)
{
    size_t n = strlen(name);
    bool good = n > 0 && n <= ZONE_NAME_MAX && isalpha((unsigned char)name[0]);
    for (size_t i = 0; good && i < n; i++)
        good = isalnum((unsigned char)name[i]) || (strchr("_+-/", name[i]) && !(name[i] == '/' && name[i + 1] == '/'));
    return good && name[n - 1] != '/';
}

int zone_load(const char *name, const char *directory, struct zone **ret, struct error *e)
{
    char path[512];
    size_t len = 0;
    _cleanup_free_ char *bytes = NULL;
    struct zone *z = calloc(1, sizeof *z);
    if (!z)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (str_eq(name, "UTC")) {
        *ret = z;
        return 0;
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory ? directory : ZONE_DIRECTORY, name);
    int r = good_name(name) ? file_read(path, FILE_MAX, &bytes, &len) : -ENOENT;
    if (r == -ENOENT || r == -ENOTDIR || r == -EISDIR)
        r = error_set(e, ERR_VALIDATION,
                      "There is no time zone \"%.64s\" on this machine (Debian keeps them in the package tzdata).",
                      name);
    else if (r < 0)
        r = error_errno(e, r, "Cannot read the time zone %s", path);
    else if (!parse(z, (const unsigned char *)bytes, len))
        r = error_set(e, ERR_INTERNAL, "%s is no table of a time zone.", path);
    if (r < 0) {
        zone_free(z);
        return r;
    }
    *ret = z;
    return 0;
}
