/* When schedules run: five fields read right, and a change of the clock neither skips nor doubles a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/cron.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t at(const char *rfc3339)
{
    int64_t ms = 0;
    assert_int_equal(time_parse(rfc3339, &ms), 0);
    return ms;
}

static struct zone *zone(const char *name)
{
    struct error e = ERROR_INIT;
    struct zone *z = NULL;
    if (zone_load(name, NULL, &z, &e) < 0)
        fail_msg("%s", e.message);
    return z;
}

static struct cron cron(const char *text)
{
    struct error e = ERROR_INIT;
    struct cron c;
    if (cron_parse(text, &c, &e) < 0)
        fail_msg("%s: %s", text, e.message);
    return c;
}

/* The runs from `from` (not counted) up to and with `to`, each checked against the list where there is one. */
static int runs(const char *schedule, const char *zone_name, const char *from, const char *to,
                const char *const *wanted)
{
    struct cron c = cron(schedule);
    _cleanup_zone_ struct zone *z = zone(zone_name);
    int n = 0;
    char text[TIME_TEXT_LEN + 1];
    for (int64_t t = at(from); (t = cron_next(&c, z, t)) >= 0 && t <= at(to); n++)
        if (wanted) {
            assert_non_null(wanted[n]);
            assert_string_equal(time_format(t, text), wanted[n]);
        }
    return n;
}

static void fields_are_read_as_cron_reads_them(void **state)
{
    static const struct {
        const char *cron, *after, *next;
    } cases[] = {
        { "* * * * *", "2026-11-25T12:00:00Z", "2026-11-25T12:01:00.000Z" },
        { "* * * * *", "2026-11-25T12:00:59.999Z", "2026-11-25T12:01:00.000Z" },
        { "*/15 * * * *", "2026-11-25T12:46:00Z", "2026-11-25T13:00:00.000Z" },
        { "5-20/7 3,4 * * *", "2026-11-25T03:12:00Z", "2026-11-25T03:19:00.000Z" },
        { "5-20/7 3,4 * * *", "2026-11-25T03:19:00Z", "2026-11-25T04:05:00.000Z" },
        { "0 0 1 jan *", "2026-11-25T12:00:00Z", "2027-01-01T00:00:00.000Z" },
        { "30 6 * * MON-FRI", "2026-11-27T06:30:00Z", "2026-11-30T06:30:00.000Z" },
        { "0 12 * * 7", "2026-11-25T12:00:00Z", "2026-11-29T12:00:00.000Z" },
        { "0 12 * * 0", "2026-11-25T12:00:00Z", "2026-11-29T12:00:00.000Z" },
        { "0 0 13 * 5", "2026-11-25T12:00:00Z", "2026-11-27T00:00:00.000Z" }, /* either day is enough */
        { "0 0 29 2 *", "2026-11-25T12:00:00Z", "2028-02-29T00:00:00.000Z" },
        { "@weekly", "2026-11-25T12:00:00Z", "2026-11-29T00:00:00.000Z" },
        { "  0\t9  * * *  ", "2026-11-25T12:00:00Z", "2026-11-26T09:00:00.000Z" },
    };
    char text[TIME_TEXT_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cron c = cron(cases[i].cron);
        assert_string_equal(time_format(cron_next(&c, NULL, at(cases[i].after)), text), cases[i].next);
    }
}

static void what_is_no_schedule_is_refused(void **state)
{
    static const char *const bad[] = {
        "",           "* * * * 1,", "* * * *",     "* * * * * *",  "60 * * * *",    "* 24 * * *",   "* * 0 * *",
        "* * * 13 *", "* * * * 8",  "5-3 * * * *", "*/0 * * * *",  "a * * * *",     "1,,2 * * * *", "1, * * * *",
        "- * * * *",  "@never",     "0 0 30 2 *",  "0 0 31 4,6 *", "* * * * monday"
    };
    struct error e = ERROR_INIT;
    struct cron c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (cron_parse(bad[i], &c, &e) != -ERR_VALIDATION)
            fail_msg("\"%s\" was taken", bad[i]);
}

/* ---- O37: Berlin, the last Sundays of March and October */

static void the_gap_runs_once_just_after_O37(void **state)
{
    static const char *const wanted[] = { "2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z",
                                          "2026-03-30T00:30:00.000Z", NULL };
    assert_int_equal(runs("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z", wanted), 3);
    /* Several times in the gap, and one right after it, are one run. */
    assert_int_equal(runs("*/20 2 29 3 *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z",
                          (const char *const[]){ "2026-03-29T01:00:00.000Z", NULL }),
                     1);
    assert_int_equal(runs("0 2,3 29 3 *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z",
                          (const char *const[]){ "2026-03-29T01:00:00.000Z", NULL }),
                     1);
}

static void the_overlap_runs_once_O37(void **state)
{
    static const char *const wanted[] = { "2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z",
                                          "2026-10-26T01:30:00.000Z", NULL };
    assert_int_equal(runs("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", "2026-10-26T12:00:00Z", wanted), 3);
}

static void every_15_minutes_follows_real_time_O37(void **state)
{
    assert_int_equal(runs("*/15 * * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", NULL),
                     23 * 4);
    assert_int_equal(runs("*/15 * * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", NULL),
                     25 * 4);
    struct cron c = cron("*/15 * * * *");
    _cleanup_zone_ struct zone *z = zone("Europe/Berlin");
    for (int64_t t = at("2026-03-28T12:00:00Z"); t < at("2026-10-27T00:00:00Z");) {
        int64_t next = cron_next(&c, z, t);
        assert_int_equal(next - t, 900000);
        t = next;
    }
}

static void other_clocks_change_otherwise(void **state)
{
    /* Half an hour on Lord Howe; the south's summer; a day that Samoa left out; a zone without summer time. */
    assert_int_equal(runs("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z",
                          (const char *const[]){ "2026-10-03T15:30:00.000Z", NULL }),
                     1);
    assert_int_equal(runs("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z",
                          (const char *const[]){ "2026-03-08T07:00:00.000Z", "2026-03-09T06:30:00.000Z", NULL }),
                     2);
    assert_int_equal(runs("0 12 30 12 *", "Pacific/Apia", "2011-12-28T00:00:00Z", "2012-01-02T00:00:00Z",
                          (const char *const[]){ "2011-12-30T10:00:00.000Z", NULL }),
                     1);
    assert_int_equal(runs("0 8 * * *", "Asia/Kolkata", "2026-03-28T00:00:00Z", "2026-04-01T00:00:00Z", NULL), 4);
}

/* After the last change of the table its footer holds; both ways agree with the C library, which reads the same files. */
static void offsets_agree_with_the_library_and_with_the_footer(void **state)
{
    static const char *const names[] = {
        "Europe/Berlin", "America/New_York",  "Europe/Dublin",   "Africa/Casablanca", "Australia/Lord_Howe",
        "Asia/Tehran",   "America/Sao_Paulo", "Pacific/Chatham", "America/Nuuk",      "UTC",
        "Etc/GMT+5"
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_zone_ struct zone *z = zone(names[i]);
        (void)setenv("TZ", names[i], 1);
        tzset();
        for (int64_t t = at("1975-01-01T00:00:00Z") / 1000; t < at("2095-01-01T00:00:00Z") / 1000;
             t += 86400 * 3 + 4321) {
            struct zone_span s;
            struct tm local;
            time_t now = (time_t)t;
            (void)localtime_r(&now, &local);
            zone_at(z, t, &s);
            if (s.offset != (int32_t)local.tm_gmtoff)
                fail_msg("%s at %lld: %d, the library says %ld", names[i], (long long)t, s.offset, local.tm_gmtoff);
            assert_true(s.from <= t && t < s.until);
        }
    }
    (void)unsetenv("TZ");
    tzset();
}

static void changes_are_exact_to_the_second(void **state)
{
    static const char *const changes[] = { "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2089-03-27T01:00:00Z" };
    _cleanup_zone_ struct zone *z = zone("Europe/Berlin");
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct zone_span before, after;
        int64_t change = at(changes[i]) / 1000;
        zone_at(z, change - 1, &before);
        zone_at(z, change, &after);
        assert_int_equal(before.until, change);
        assert_int_equal(after.from, change);
        assert_int_equal(abs(after.offset - before.offset), 3600);
    }
}

static void only_zones_are_opened(void **state)
{
    static const char *const bad[] = { "",         "Nowhere/At_all", "../../etc/passwd", "/etc/localtime",
                                       "Europe/",  "Europe",         "Europe//Berlin",   "Europe/./Berlin",
                                       "zone.tab", "Europe/Berlin\n" };
    struct zone *z = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (zone_load(bad[i], NULL, &z, NULL) >= 0)
            fail_msg("\"%s\" was taken", bad[i]);
}

/* A file that was cut, or has one byte changed, is refused or harmless; never read past its end (ASan sees to that). */
static void a_broken_table_does_no_harm(void **state)
{
    char dir[] = "/tmp/hb-zone-XXXXXX", path[64], *bytes = NULL;
    size_t len = 0;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/Broken", dir);
    assert_int_equal(file_read("/usr/share/zoneinfo/Europe/Berlin", 65536, &bytes, &len), 0);
    for (size_t i = 0; i < len; i += i < 200 ? 1 : 13) {
        struct zone *z = NULL;
        struct zone_span s;
        assert_int_equal(file_write_atomic(path, bytes, i, 0600), 0);
        assert_int_not_equal(zone_load("Broken", dir, &z, NULL), 0);
        bytes[i] = (char)(bytes[i] ^ 0x81);
        assert_int_equal(file_write_atomic(path, bytes, len, 0600), 0);
        bytes[i] = (char)(bytes[i] ^ 0x81);
        if (zone_load("Broken", dir, &z, NULL) == 0) {
            zone_at(z, at("2050-06-01T00:00:00Z") / 1000, &s);
            zone_free(z);
        }
    }
    free(bytes);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_as_cron_reads_them),
        cmocka_unit_test(what_is_no_schedule_is_refused),
        cmocka_unit_test(the_gap_runs_once_just_after_O37),
        cmocka_unit_test(the_overlap_runs_once_O37),
        cmocka_unit_test(every_15_minutes_follows_real_time_O37),
        cmocka_unit_test(other_clocks_change_otherwise),
        cmocka_unit_test(offsets_agree_with_the_library_and_with_the_footer),
        cmocka_unit_test(changes_are_exact_to_the_second),
        cmocka_unit_test(only_zones_are_opened),
        cmocka_unit_test(a_broken_table_does_no_harm),
    };
    return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
