/* Paths: decoding once and per segment, and finding the operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/router.h"

#include "base/str.h"

static void decodes_each_segment_once(void **state)
{
    struct path p;
    struct error e = ERROR_INIT;
    assert_int_equal(path_decode("/v1/a%2Fb/%2541/caf%C3%A9/", &p, &e), 0);
    assert_int_equal(p.count, 5);
    assert_string_equal(p.segment[1], "a/b");
    assert_string_equal(p.segment[2], "%41");
    assert_string_equal(p.segment[3], "caf\xc3\xa9");
    assert_string_equal(p.segment[4], "");
    assert_int_equal(path_decode("/", &p, &e), 0);
    assert_int_equal(p.count, 0);
    assert_int_equal(path_decode("/a+b", &p, &e), 0);
    assert_string_equal(p.segment[0], "a+b");
}

static void refuses_what_climbs_or_confuses(void **state)
{
    static const char *const bad[] = { "/a/../b", "/a/%2e%2E/b", "/./a",   "/a/.%2e", "/a%00b", "/a%zz", "/a%2",
                                       "/a%",     "/%ff",        "/a%0ab", "/%c0%af", "a/b",    "",      "*" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct path p;
        struct error e = ERROR_INIT;
        if (path_decode(bad[i], &p, &e) != -ERR_MALFORMED)
            fail_msg("\"%s\" was not refused: %s", bad[i], e.message);
        error_done(&e);
    }
}

static void bounds_length_and_depth(void **state)
{
    char text[PATH_BYTES + 2];
    struct path p;
    struct error e = ERROR_INIT;
    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[PATH_BYTES - 1] = '\0';
    assert_int_equal(path_decode(text, &p, &e), 0);
    text[PATH_BYTES - 1] = 'a';
    text[PATH_BYTES] = '\0';
    assert_int_equal(path_decode(text, &p, &e), -ERR_URI_TOO_LONG);
    assert_int_equal(path_decode("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", &p, &e), 0);
    assert_int_equal(path_decode("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", &p, &e), -ERR_NOT_FOUND);
    error_done(&e);
}

static const char *lookup(const struct router *r, enum http_method m, const char *path)
{
    struct path p;
    assert_int_equal(path_decode(path, &p, NULL), 0);
    const void *const *targets = router_find(r, &p);
    return targets ? targets[m] ? targets[m] : "405" : "404";
}

static void finds_the_most_literal_path(void **state)
{
    struct router *r = router_new();
    struct error e = ERROR_INIT;
    static const struct {
        enum http_method method;
        const char *path;
    } routes[] = {
        { HTTP_GET, "/" },        { HTTP_GET, "/a" },      { HTTP_GET, "/a/{x}" },       { HTTP_GET, "/a/b" },
        { HTTP_GET, "/a/{x}/c" }, { HTTP_POST, "/a/b/d" }, { HTTP_GET, "/a/{x}/{y}/z" }, { HTTP_DELETE, "/a/{x}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        assert_int_equal(router_add(r, routes[i].method, routes[i].path, routes[i].path, &e), 0);
    assert_string_equal(lookup(r, HTTP_GET, "/"), "/");
    assert_string_equal(lookup(r, HTTP_GET, "/a"), "/a");
    assert_string_equal(lookup(r, HTTP_GET, "/a/b"), "/a/b");
    assert_string_equal(lookup(r, HTTP_GET, "/a/%62"), "/a/b");
    assert_string_equal(lookup(r, HTTP_GET, "/a/bb"), "/a/{x}");
    assert_string_equal(lookup(r, HTTP_GET, "/a/b/c"), "/a/{x}/c"); /* back out of the literal "b" */
    assert_string_equal(lookup(r, HTTP_GET, "/a/b/d"), "405");
    assert_string_equal(lookup(r, HTTP_GET, "/a/b/d/z"), "/a/{x}/{y}/z");
    assert_string_equal(lookup(r, HTTP_GET, "/a/x%2Fc"), "/a/{x}");
    assert_string_equal(lookup(r, HTTP_GET, "/a/"), "404");
    assert_string_equal(lookup(r, HTTP_GET, "/b"), "404");
    assert_string_equal(lookup(r, HTTP_POST, "/a"), "405");
    router_free(r);
}

static void refuses_bad_templates(void **state)
{
    static const char *const bad[] = { "/a/", "/a/{}", "/a/{x", "/a/x}", "/a/{x}.json", "/a//b", "/a/{x{y}}" };
    struct router *r = router_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error e = ERROR_INIT;
        if (router_add(r, HTTP_GET, bad[i], "", &e) == 0)
            fail_msg("%s was taken", bad[i]);
        error_done(&e);
    }
    assert_int_equal(router_add(r, HTTP_GET, "/a/{x}", "", NULL), 0);
    assert_true(router_add(r, HTTP_GET, "/a/{y}", "", NULL) < 0);
    router_free(r);
}

static void says_what_is_allowed(void **state)
{
    const void *targets[ROUTER_METHODS] = { [HTTP_GET] = "", [HTTP_DELETE] = "" };
    char text[64];
    router_allow(targets, text, sizeof text);
    assert_string_equal(text, "GET, HEAD, DELETE, OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_each_segment_once), cmocka_unit_test(refuses_what_climbs_or_confuses),
        cmocka_unit_test(bounds_length_and_depth),   cmocka_unit_test(finds_the_most_literal_path),
        cmocka_unit_test(refuses_bad_templates),     cmocka_unit_test(says_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
