/* Buffers, strings, time, ids, JSON in and out, the map, secrets. */
#include "base/blob.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void a_buffer_keeps_its_content_when_an_append_is_over_the_limit(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 8);
    assert_int_equal(buf_puts(&b, "12345678"), 0);
    assert_int_equal(buf_putc(&b, '9'), -EMSGSIZE);
    assert_false(buf_ok(&b));
    assert_string_equal(buf_str(&b), "12345678");
    buf_consume(&b, 3);
    assert_string_equal(buf_str(&b), "45678");
}

static void times_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2026-11-25T13:52:16.123Z", 1795614736123 },
        { "2026-11-25T14:52:16.123+01:00", 1795614736123 },
        { "2024-02-29T00:00:00Z", 1709164800000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        assert_int_equal(time_parse(cases[i].text, &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
    char text[TIME_TEXT_LEN + 1];
    assert_string_equal(time_format(1795614736123, text), "2026-11-25T13:52:16.123Z");
}

static void bad_times_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "2026",
                                       "2026-13-01T00:00:00Z",
                                       "2023-02-29T00:00:00Z",
                                       "2026-01-01T24:00:00Z",
                                       "2026-01-01T00:00:00",
                                       "2026-01-01T00:00:00Zx",
                                       "2026-01-01T00:00:00.Z",
                                       "2026-01-01T00:00:00+25:00" };
    int64_t ms = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(time_parse(bad[i], &ms), -EINVAL);
    assert_int_equal(ms, 7);
}

static void ids_rise_even_within_a_millisecond(void **state)
{
    (void)state;
    char last[ID_LEN + 1] = "", next[ID_LEN + 1];
    for (int i = 0; i < 10000; i++) {
        assert_true(id_valid(id_new(next)));
        assert_true(strcmp(last, next) < 0);
        memcpy(last, next, sizeof last);
    }
    assert_int_equal(last[14], '7');
}

static void json_refuses(const char *text)
{
    json_t *j = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(json_parse(text, strlen(text), &j, &e), -ERR_MALFORMED);
    assert_null(j);
    assert_true(e.message[0]);
}

static void json_reading_is_strict(void **state)
{
    (void)state;
    json_refuses("{\"a\":1,\"a\":2}");
    json_refuses("{\"a\":1} x");
    json_refuses("\"\xff\"");
    json_refuses("{\"a\":}");
    json_refuses("");
    char deep[80];
    memset(deep, '[', 40);
    memset(deep + 40, ']', 40);
    json_t *j = NULL;
    assert_true(json_parse(deep, 80, &j, NULL) < 0);
    assert_int_equal(json_parse("\"[[[[[\"", 7, &j, NULL), 0);
    json_decref(j);
}

static void json_writing_is_always_valid_json(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b;
    struct jw w;
    buf_init(&b, 0);
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "s"), jw_string_n(&w, "a\"\\\n\x01\xff\xc3\xbc", 8);
    jw_key(&w, "n"), jw_array(&w), jw_number(&w, 0.1), jw_number(&w, NAN), jw_number(&w, 3), jw_int(&w, -5), jw_end(&w);
    jw_key(&w, "o"), jw_object(&w), jw_end(&w);
    jw_end(&w);
    assert_string_equal(buf_str(&b),
                        "{\"s\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xbc\",\"n\":[0.1,null,3,-5],\"o\":{}}");
}

static void merge_patch_sets_and_removes(void **state)
{
    (void)state;
    _cleanup_json_ json_t *target = json_loads("{\"a\":{\"b\":1,\"c\":2},\"d\":3}", 0, NULL);
    _cleanup_json_ json_t *patch = json_loads("{\"a\":{\"b\":null,\"e\":[1]},\"d\":{\"x\":null,\"y\":1}}", 0, NULL);
    _cleanup_json_ json_t *want = json_loads("{\"a\":{\"c\":2,\"e\":[1]},\"d\":{\"y\":1}}", 0, NULL);
    assert_int_equal(json_merge_patch(target, patch), 0);
    assert_true(json_equal(target, want));
    assert_int_equal(json_put(target, "p.q.r", json_integer(5)), 0);
    assert_int_equal(json_int(target, "p.q.r", 0), 5);
}

static void the_map_holds_what_a_thousand_sets_and_removals_leave(void **state)
{
    (void)state;
    struct map *m = map_new(NULL);
    static int values[1000];
    char key[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(map_set(m, key, &values[i]), 0);
    }
    for (int i = 0; i < 1000; i += 3) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_true(map_remove(m, key));
        assert_false(map_remove(m, key));
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_ptr_equal(map_get(m, key), i % 3 ? &values[i] : NULL);
    }
    assert_int_equal(map_size(m), 666);
    map_free(m);
}

static void base64url_round_trips_and_has_one_text_for_the_same_bytes(void **state)
{
    (void)state;
    uint8_t bytes[16], back[16];
    size_t n = 0;
    char text[32];
    random_bytes(bytes, sizeof bytes);
    for (size_t len = 0; len <= 16; len++) {
        size_t out = base64url_encode(bytes, len, text, sizeof text);
        assert_int_equal(out, strlen(text));
        assert_int_equal(base64url_decode(text, strlen(text), back, sizeof back, &n), 0);
        assert_int_equal(n, len);
        assert_memory_equal(bytes, back, len);
    }
    assert_int_equal(base64url_decode("QQ", 2, back, sizeof back, &n), 0);
    assert_true(base64url_decode("QR", 2, back, sizeof back, &n) < 0);
    assert_true(base64url_decode("Q+==", 4, back, sizeof back, &n) < 0);
}

static void durations_have_units(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_int_equal(str_to_duration_ms("30", &ms), 0);
    assert_int_equal(ms, 30000);
    assert_int_equal(str_to_duration_ms("5m", &ms), 0);
    assert_int_equal(ms, 300000);
    assert_int_equal(str_to_duration_ms("250ms", &ms), 0);
    assert_int_equal(ms, 250);
    assert_true(str_to_duration_ms("5x", &ms) < 0);
    assert_true(str_to_duration_ms("-5s", &ms) < 0);
    assert_true(str_to_duration_ms("99999999999999999w", &ms) < 0);
}

static void a_secret_compares_and_reveals_exact_bytes(void **state)
{
    (void)state;
    _cleanup_secret_ struct secret *s = secret_new("a\0b\n", 4);
    size_t n = 0;
    assert_non_null(s);
    assert_memory_equal(secret_reveal(s, &n), "a\0b\n", 4);
    assert_int_equal(n, 4);
    assert_true(secret_equals(s, "a\0b\n", 4));
    assert_false(secret_equals(s, "a\0bx", 4));
    assert_false(secret_equals(s, "a\0b", 3));
}

static void an_error_keeps_its_first_reason_behind_a_prefix(void **state)
{
    (void)state;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(error_set(&e, ERR_NOT_FOUND, "no %s", "node"), -ERR_NOT_FOUND);
    error_prefix(&e, "outer %d", 1);
    assert_string_equal(e.message, "outer 1: no node");
    assert_string_equal(error_code_name(e.code), "NOT_FOUND");
    assert_int_equal(error_code_status(e.code), 404);
    for (int i = 0; i < ERROR_DETAILS_MAX + 5; i++) {
        char pointer[16];
        (void)snprintf(pointer, sizeof pointer, "/f%d", i);
        error_detail(&e, pointer, "is bad");
    }
    assert_int_equal(json_object_size(e.details), ERROR_DETAILS_MAX);
}

static void utf8_follows_rfc_3629(void **state)
{
    (void)state;
    assert_true(str_is_utf8("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    static const char *const bad[] = { "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_is_utf8(bad[i], strlen(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_keeps_its_content_when_an_append_is_over_the_limit),
        cmocka_unit_test(times_round_trip),
        cmocka_unit_test(bad_times_are_refused),
        cmocka_unit_test(ids_rise_even_within_a_millisecond),
        cmocka_unit_test(json_reading_is_strict),
        cmocka_unit_test(json_writing_is_always_valid_json),
        cmocka_unit_test(merge_patch_sets_and_removes),
        cmocka_unit_test(the_map_holds_what_a_thousand_sets_and_removals_leave),
        cmocka_unit_test(base64url_round_trips_and_has_one_text_for_the_same_bytes),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(a_secret_compares_and_reveals_exact_bytes),
        cmocka_unit_test(an_error_keeps_its_first_reason_behind_a_prefix),
        cmocka_unit_test(utf8_follows_rfc_3629),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
