/* The dashboard's files, deep links, and the page of a program built without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_exchange.h"
#include "toy.h"

#include "http/contract.h"
#include "http/static.h"

#include "base/str.h"

#include <stdio.h>

#define PAGE "<!doctype html><head><script src=\"/theme.js\"></script><STYLE>a{}</STYLE></head><body>the app</body>"

static const struct embedded_file files[] = {
    { "assets/app-1a2b.js", "text/javascript; charset=utf-8", "\"js\"", "let a = 1", 9, "zipped", 6 },
    { "docs/index.html", "text/html; charset=utf-8", "\"docs\"", "<p>renderer", 11, "", 0 },
    { "favicon.svg", "image/svg+xml", "\"svg\"", "<svg/>", 6, "", 0 },
    { "index.html", "text/html; charset=utf-8", "\"index\"", PAGE, sizeof PAGE - 1, "", 0 },
};

static struct toy toy;
static struct api *api;
static struct static_site *site, *bare;
static struct fake_reply reply;

static int start(void **state)
{
    struct error e = ERROR_INIT;
    memset(&toy, 0, sizeof toy);
    struct api_options o = toy_options(&toy);
    o.csp_extra_script = "scripts.example.com";
    api = toy_api(&toy, &o, &e);
    site = static_site_new(files, ARRAY_LEN(files));
    bare = static_site_new(files, 0);
    if (!api || !site || !bare)
        return -1;
    static_site_attach(site, api);
    return 0;
}

static int end(void **state)
{
    fake_reply_done(&reply);
    api_free(api);
    static_site_free(site);
    static_site_free(bare);
    return 0;
}

static int ask(const char *line, const char *headers)
{
    fake_reply_done(&reply);
    fake_send(api, line, headers, NULL, &reply);
    return reply.status;
}

#define assert_header(name, value) assert_string_equal(fake_header(&reply, name), value)
#define BROWSER "Accept: text/html,application/xhtml+xml,*/*;q=0.8\n"

static void hashed_files_stay_for_ever(void **state)
{
    assert_int_equal(ask("GET /assets/app-1a2b.js", "Accept-Encoding: br, gzip\n"), 200);
    assert_header("Cache-Control", "public, max-age=31536000, immutable");
    assert_header("Content-Encoding", "gzip");
    assert_header("ETag", "\"js-gzip\"");
    assert_header("Content-Type", "text/javascript; charset=utf-8");
    assert_header("Vary", "Accept-Encoding");
    assert_string_equal(reply.body->data, "zipped");
    assert_int_equal(ask("GET /assets/app-1a2b.js", "Accept-Encoding: gzip;q=0\n"), 200);
    assert_null(fake_header(&reply, "Content-Encoding"));
    assert_string_equal(reply.body->data, "let a = 1");
    assert_int_equal(ask("GET /assets/app-1a2b.js", "If-None-Match: W/\"js-gzip\"\n"), 304);
    assert_int_equal(ask("HEAD /favicon.svg", NULL), 200);
    assert_null(reply.body);
    assert_int_equal(ask("GET /favicon.ico", NULL), 200);
    assert_header("Content-Type", "image/svg+xml");
}

/* The nonce of the policy is the one in the page, and the next page has another. */
static void pages_have_a_fresh_nonce(void **state)
{
    char first[32] = "", wanted[64];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask("GET /", BROWSER), 200);
        const char *policy = fake_header(&reply, "Content-Security-Policy");
        assert_non_null(strstr(policy, "scripts.example.com"));
        assert_non_null(strstr(policy, "frame-ancestors 'none'"));
        assert_null(strstr(policy, "unsafe"));
        const char *nonce = strstr(policy, "'nonce-") + 7;
        char text[32];
        str_copy(text, sizeof text, nonce);
        text[strcspn(text, "'")] = '\0';
        assert_string_not_equal(text, first);
        str_copy(first, sizeof first, text);
        (void)snprintf(wanted, sizeof wanted, "<script nonce=\"%s\" src", text);
        assert_non_null(strstr(reply.body->data, wanted));
        (void)snprintf(wanted, sizeof wanted, "<STYLE nonce=\"%s\">a{}", text);
        assert_non_null(strstr(reply.body->data, wanted));
        assert_non_null(strstr(reply.body->data, "the app</body>"));
    }
    assert_header("Cache-Control", "no-cache");
    assert_header("ETag", "\"index\"");
    /* The stored page keeps its stored policy. */
    assert_int_equal(ask("GET /", BROWSER "If-None-Match: \"index\"\n"), 304);
    assert_null(fake_header(&reply, "Content-Security-Policy"));
}

static void deep_links_get_the_page(void **state)
{
    assert_int_equal(ask("GET /nodes/hub.example.org", BROWSER), 200);
    assert_header("Content-Type", "text/html; charset=utf-8");
    assert_int_equal(ask("GET /dashboard", BROWSER), 200);
    assert_int_equal(ask("GET /nodes/x", "Accept: application/json\n"), 404);
    assert_header("Content-Type", "application/json");
    assert_int_equal(ask("GET /assets/gone.js", BROWSER), 404);
    assert_int_equal(ask("GET /assets%2Fapp-1a2b.js", "Accept: */*\n"), 404);
    assert_int_equal(ask("GET /v1/nothing", BROWSER), 404);
    assert_int_equal(ask("POST /dashboard", BROWSER), 404);
    assert_int_equal(ask("GET /%2e%2e/etc/passwd", BROWSER), 400);
}

static void docs_show_the_renderer(void **state)
{
    assert_int_equal(ask("GET /docs", BROWSER), 200);
    assert_string_equal(reply.body->data, "<p>renderer");
    assert_non_null(strstr(fake_header(&reply, "Content-Security-Policy"), "style-src 'self' 'unsafe-inline'"));
    assert_null(strstr(fake_header(&reply, "Content-Security-Policy"), "script-src 'self' 'unsafe-inline'"));
    assert_int_equal(ask("GET /docs/", BROWSER), 200);
    assert_string_equal(reply.body->data, "<p>renderer");
}

static void without_dashboard_there_is_help(void **state)
{
    static_site_attach(bare, api);
    assert_int_equal(ask("GET /", NULL), 200);
    assert_non_null(strstr(reply.body->data, "./dev build"));
    assert_int_equal(ask("GET /nodes/x", BROWSER), 200);
    assert_int_equal(ask("GET /docs", BROWSER), 200);
    assert_non_null(strstr(reply.body->data, "listThings"));
}

static void this_binary_carries_the_contract(void **state)
{
    assert_true(embedded_contract_len > 1000);
    assert_int_equal(strlen(embedded_contract), embedded_contract_len);
    assert_true(str_starts(embedded_contract, "openapi: 3.1"));
    struct contract *c = NULL;
    struct error e = ERROR_INIT;
    if (contract_load(embedded_contract, embedded_contract_len, &c, &e) < 0)
        fail_msg("%s", e.message);
    assert_non_null(contract_operation(c, "listNodes"));
    contract_free(c);
    for (size_t i = 1; i < embedded_count; i++)
        assert_true(strcmp(embedded_files[i - 1].path, embedded_files[i].path) < 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = { T(hashed_files_stay_for_ever),      T(pages_have_a_fresh_nonce),
                                        T(deep_links_get_the_page),         T(docs_show_the_renderer),
                                        T(without_dashboard_there_is_help), T(this_binary_carries_the_contract) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
