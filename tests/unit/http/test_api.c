/* The way of a request through the API layer, on an exchange without sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_exchange.h"
#include "toy.h"

#include "base/json.h"
#include "base/str.h"

#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

static struct toy toy;
static struct api *api;
static struct fake_reply reply;

static int start(void **state)
{
    struct error e = ERROR_INIT;
    memset(&toy, 0, sizeof toy);
    str_copy(toy.actor_role, sizeof toy.actor_role, "operator");
    struct api_options o = toy_options(&toy);
    api = toy_api(&toy, &o, &e);
    if (!api)
        (void)fprintf(stderr, "%s\n", e.message);
    error_done(&e);
    return api ? 0 : -1;
}

static int end(void **state)
{
    fake_reply_done(&reply);
    api_free(api);
    blob_unref(toy.shared);
    return 0;
}

static int ask(const char *line, const char *headers, const char *body)
{
    fake_reply_done(&reply);
    fake_send(api, line, headers, body, &reply);
    return reply.status;
}

#define assert_header(name, value) assert_string_equal(fake_header(&reply, name), value)

static void assert_error(const char *code, const char *pointer, const char *reason)
{
    _cleanup_json_ json_t *doc = fake_json(&reply);
    assert_non_null(doc);
    assert_string_equal(json_str(doc, "error.code"), code);
    assert_string_equal(json_str(doc, "error.requestId"), fake_header(&reply, "X-Request-Id"));
    assert_true(json_is_object(json_at(doc, "error.monitoring")));
    assert_non_null(json_str(doc, "error.timestamp"));
    if (pointer) {
        const char *said = json_string_value(json_object_get(json_at(doc, "error.details"), pointer));
        if (!said || !strstr(said, reason))
            fail_msg("details has \"%s\" at %s, not \"%s\"", said ? said : "nothing", pointer, reason);
    }
}

static void reads_parameters_and_defaults(void **state)
{
    assert_int_equal(ask("GET /v1/things?label=a%2Cb%20c&deep=true&kinds=a,b&kinds=c", NULL, NULL), 200);
    _cleanup_json_ json_t *doc = fake_json(&reply);
    assert_int_equal(json_int(doc, "limit", 0), 7);
    assert_true(json_flag(doc, "deep", false));
    assert_int_equal(json_array_size(json_at(doc, "label")), 1);
    assert_string_equal(json_string_value(json_array_get(json_at(doc, "label"), 0)), "a,b c");
    assert_int_equal(json_array_size(json_at(doc, "kinds")), 3);
    assert_header("Content-Type", "application/json");
    assert_header("RateLimit-Limit", "100");
}

static void refuses_bad_parameters_by_name(void **state)
{
    static const struct {
        const char *line, *pointer, *reason;
    } cases[] = {
        { "GET /v1/things?limit=0", "/limit", "" },
        { "GET /v1/things?limit=many", "/limit", "" },
        { "GET /v1/things?limit=1&limit=2", "/limit", "more than once" },
        { "GET /v1/things?labels=x", "/labels", "not a parameter" },
        { "GET /v1/things?a%7Eb%2Fc=x", "/a~0b~1c", "not a parameter" },
        { "GET /v1/things?kinds=a,z", "/kinds/1", "" },
        { "GET /v1/things/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "/thingId", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(ask(cases[i].line, NULL, NULL), 400);
        assert_error("VALIDATION_ERROR", cases[i].pointer, cases[i].reason);
    }
    assert_int_equal(toy.calls, 0);
    assert_int_equal(ask("GET /v1/things?limit=%zz", NULL, NULL), 400);
    assert_error("MALFORMED_REQUEST", NULL, NULL);
}

static void creates_with_defaults_and_audits(void **state)
{
    assert_int_equal(ask("POST /v1/things", "Content-Type: application/json; charset=UTF-8\n", "{\"name\":\"lamp\"}"),
                     201);
    _cleanup_json_ json_t *doc = fake_json(&reply);
    assert_int_equal(json_int(doc, "size", 0), 3);
    assert_header("Location", "/v1/things/1");
    assert_header("Cache-Control", "no-store");
    assert_int_equal(toy.audits, 1);
    assert_int_equal(toy.audit_status, 201);
    assert_string_equal(toy.audited, "lamp");
}

static void names_every_bad_field(void **state)
{
    const char *body = "{\"name\":\"Big Lamp\",\"size\":\"x\",\"container\":{\"image\":\"\"},\"colour\":1}";
    assert_int_equal(ask("POST /v1/things", "Content-Type: application/json\n", body), 400);
    assert_error("VALIDATION_ERROR", "/name", "");
    assert_error("VALIDATION_ERROR", "/size", "");
    assert_error("VALIDATION_ERROR", "/container/image", "");
    assert_error("VALIDATION_ERROR", "/colour", "");
    assert_int_equal(toy.calls, 0);
    assert_int_equal(ask("POST /v1/things?x=1", "Content-Type: application/json\n", "{}"), 400);
    assert_error("VALIDATION_ERROR", "/x", "");
    assert_error("VALIDATION_ERROR", "/name", "");
}

static void refuses_bad_bodies(void **state)
{
    static const struct {
        const char *headers, *body, *code;
        int status;
    } cases[] = {
        { "Content-Type: application/json\n", "{\"name\":", "MALFORMED_REQUEST", 400 },
        { "Content-Type: application/json\n", "{\"name\":\"a\",\"name\":\"b\"}", "MALFORMED_REQUEST", 400 },
        { "Content-Type: application/json\n", "{\"name\":\"\xff\"}", "MALFORMED_REQUEST", 400 },
        { "Content-Type: application/json\n", "{\"name\":\"a\\u0000b\"}", "MALFORMED_REQUEST", 400 },
        { "Content-Type: application/json\n", "{\"name\":\"a\"}x", "MALFORMED_REQUEST", 400 },
        { "Content-Type: application/json\n",
          "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "MALFORMED_REQUEST",
          400 },
        { "Content-Type: application/json\n", "[]", "VALIDATION_ERROR", 400 },
        { "Content-Type: application/json\n", "", "VALIDATION_ERROR", 400 },
        { "Content-Type: text/plain\n", "{}", "UNSUPPORTED_MEDIA_TYPE", 415 },
        { "Content-Type: application/json; charset=latin1\n", "{}", "UNSUPPORTED_MEDIA_TYPE", 415 },
        { "Content-Type: application/json\nContent-Encoding: gzip\n", "{}", "UNSUPPORTED_MEDIA_TYPE", 415 },
        { NULL, "{}", "UNSUPPORTED_MEDIA_TYPE", 415 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(ask("POST /v1/things", cases[i].headers, cases[i].body), cases[i].status);
        assert_error(cases[i].code, NULL, NULL);
    }
    assert_int_equal(toy.calls, 0);
    assert_int_equal(ask("POST /v1/things", "Content-Type: application/json\n", "{\"name\":\"a\\\\u0000b\"}"), 400);
    assert_error("VALIDATION_ERROR", "/name", "");
}

static void refuses_large_bodies(void **state)
{
    char body[2400];
    memset(body, ' ', sizeof body);
    body[sizeof body - 1] = '\0';
    assert_int_equal(ask("POST /v1/things", "Content-Type: application/json\n", body), 413);
    assert_error("PAYLOAD_TOO_LARGE", NULL, NULL);
    assert_int_equal(reply.body_limit, 2000);
    assert_header("X-Content-Type-Options", "nosniff");
}

static void answers_404_405_406(void **state)
{
    assert_int_equal(ask("GET /v1/nothing", NULL, NULL), 404);
    assert_error("NOT_FOUND", NULL, NULL);
    assert_int_equal(ask("GET /v1/things/", NULL, NULL), 404);
    assert_int_equal(ask("PUT /v1/things", "Content-Type: application/json\n", "{}"), 405);
    assert_error("METHOD_NOT_ALLOWED", NULL, NULL);
    assert_header("Allow", "GET, HEAD, POST, OPTIONS");
    assert_int_equal(ask("BREW /v1/things", NULL, NULL), 405);
    assert_int_equal(ask("GET /v1/things", "Accept: text/html\n", NULL), 406);
    assert_error("NOT_ACCEPTABLE", NULL, NULL);
    assert_int_equal(ask("GET /v1/things", "Accept: application/json;q=0, */*\n", NULL), 406);
    assert_int_equal(ask("GET /v1/things", "Accept: text/html, application/*;q=0.2\n", NULL), 200);
    assert_int_equal(ask("GET /v1/things/%2e%2e", NULL, NULL), 400);
    assert_error("MALFORMED_REQUEST", NULL, NULL);
    assert_int_equal(ask("GET /v1/things/missing", NULL, NULL), 404);
    assert_error("NOT_FOUND", NULL, NULL);
}

static void chooses_the_type_by_accept(void **state)
{
    assert_int_equal(ask("GET /v1/things/x%2Fy", "Accept: application/json;q=0.5, text/plain\n", NULL), 200);
    assert_header("Content-Type", "text/plain; charset=utf-8");
    assert_string_equal(reply.body->data, "x/y");
    assert_int_equal(ask("GET /v1/things/x", NULL, NULL), 200);
    assert_header("Content-Type", "application/json");
}

static void literal_beats_parameter(void **state)
{
    assert_int_equal(ask("GET /v1/things/latest", NULL, NULL), 200);
    assert_string_equal(reply.body->data, "{\"latest\":true}");
    /* One more method lives at the parameter's path only. */
    assert_int_equal(ask("DELETE /v1/things/latest", NULL, NULL), 405);
}

static void checks_roles(void **state)
{
    static const struct {
        const char *role, *line;
        int status;
    } cases[] = {
        { "", "GET /v1/things", 401 },           { "viewer", "GET /v1/things", 200 },
        { "bad", "GET /v1/things", 401 },        { "bad", "GET /v1/shared", 200 },
        { "", "GET /v1/shared", 200 },           { "operator", "DELETE /v1/things/x", 403 },
        { "admin", "DELETE /v1/things/x", 204 }, { "viewer", "DELETE /v1/things/x", 403 },
        { "bad", "GET /v1/nothing", 404 },
    };
    toy.shared = blob_new("{}", 2);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        str_copy(toy.actor_role, sizeof toy.actor_role, cases[i].role);
        assert_int_equal(ask(cases[i].line, NULL, NULL), cases[i].status);
    }
    str_copy(toy.actor_role, sizeof toy.actor_role, "bad");
    assert_int_equal(ask("GET /v1/things", "Authorization: Bearer x\n", NULL), 401);
    assert_error("UNAUTHENTICATED", NULL, NULL);
    assert_non_null(strstr(fake_header(&reply, "WWW-Authenticate"), "invalid_token"));
    /* Refused writes of known callers are audited, those of unknown ones are not. */
    toy.audits = 0;
    assert_int_equal(ask("DELETE /v1/things/x", NULL, NULL), 401);
    assert_int_equal(toy.audits, 0);
    str_copy(toy.actor_role, sizeof toy.actor_role, "viewer");
    assert_int_equal(ask("DELETE /v1/things/x", NULL, NULL), 403);
    assert_int_equal(toy.audits, 1);
    assert_int_equal(toy.audit_status, 403);
}

static void limits_before_saying_who(void **state)
{
    toy.limited = true;
    str_copy(toy.actor_role, sizeof toy.actor_role, "bad");
    assert_int_equal(ask("GET /v1/things", NULL, NULL), 429);
    assert_error("RATE_LIMITED", NULL, NULL);
    assert_header("Retry-After", "9");
    assert_header("RateLimit-Limit", "100");
    assert_int_equal(ask("GET /v1/nothing", NULL, NULL), 429);
}

static void takes_and_gives_request_ids(void **state)
{
    assert_int_equal(ask("GET /v1/things", "X-Request-Id: abc.DEF_1-2\n", NULL), 200);
    assert_header("X-Request-Id", "abc.DEF_1-2");
    assert_int_equal(ask("GET /v1/things", "X-Request-Id: not ok\n", NULL), 200);
    assert_int_equal(strlen(fake_header(&reply, "X-Request-Id")), 36);
}

static void O28_weak_tags_match_on_get_and_head(void **state)
{
    static const char *const lists[] = { "W/\"v1,2\"", "\"a\", \"v1,2\", \"b\"", "*", "\"v1,2-gzip\"",
                                         "\"x\",W/\"v1,2\"" };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        char header[128];
        (void)snprintf(header, sizeof header, "If-None-Match: %s\n", lists[i]);
        assert_int_equal(ask("GET /v1/things/x", header, NULL), 304);
        assert_null(reply.body);
        assert_header("ETag", "\"v1,2\"");
        assert_int_equal(ask("HEAD /v1/things/x", header, NULL), 304);
        assert_null(reply.body);
    }
    assert_int_equal(ask("GET /v1/things/x", "If-None-Match: \"v1\", \"2\"\n", NULL), 200);
    assert_int_equal(ask("GET /v1/things", NULL, NULL), 200);
    char header[160];
    (void)snprintf(header, sizeof header, "If-None-Match: %s\n", fake_header(&reply, "ETag"));
    assert_int_equal(ask("GET /v1/things", header, NULL), 304);
    assert_header("Cache-Control", "private, no-cache");
}

static void if_match_is_strong(void **state)
{
    static const struct {
        const char *header;
        int status;
    } cases[] = { { "If-Match: \"v1\"\n", 200 },       { "If-Match: \"v0\"\n", 412 }, { "If-Match: W/\"v1\"\n", 412 },
                  { "If-Match: \"a\",\"v1\"\n", 200 }, { "If-Match: *\n", 200 },      { "", 200 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char headers[128];
        (void)snprintf(headers, sizeof headers, "%sContent-Type: application/merge-patch+json\n", cases[i].header);
        assert_int_equal(ask("PATCH /v1/things/x", headers, "{\"image\":\"a\"}"), cases[i].status);
    }
    /* A merge patch gets no defaults: they would overwrite what it leaves alone. */
    assert_string_equal(reply.body->data, "{\"image\":\"a\"}");
    assert_int_equal(ask("PATCH /v1/things/x", "Content-Type: application/json\n", "{}"), 415);
}

static void repeats_idempotent_posts(void **state)
{
    const char *headers = "Content-Type: application/json\nIdempotency-Key: k1\n";
    assert_int_equal(ask("POST /v1/things", headers, "{\"name\":\"lamp\"}"), 201);
    assert_int_equal(toy.stored, 201);
    assert_int_equal(toy.audits, 1);
    assert_int_equal(ask("POST /v1/things", headers, "{\"name\":\"lamp\"}"), 201);
    assert_header("Idempotency-Replayed", "true");
    assert_string_equal(reply.body->data, toy.stored_body);
    assert_int_equal(toy.calls, 1);
    assert_int_equal(toy.audits, 1);
    /* The claim of a failed write is given back with its status. */
    toy.stored = 0;
    assert_int_equal(ask("POST /v1/things", headers, "{\"name\":\"taken\"}"), 409);
    assert_int_equal(toy.stored, 409);
    assert_int_equal(ask("POST /v1/things",
                         "Content-Type: application/json\nIdempotency-Key: kkkkkkkkkkkkkkkkkkkkkkkkk\n",
                         "{\"name\":\"a\"}"),
                     400);
    assert_error("VALIDATION_ERROR", "/Idempotency-Key", "");
}

static void compresses_by_quality(void **state)
{
    memset(toy.big, 'a', sizeof toy.big - 1);
    char tag[128];
    assert_int_equal(ask("GET /v1/things", NULL, NULL), 200);
    assert_null(fake_header(&reply, "Content-Encoding"));
    assert_non_null(strstr(fake_header(&reply, "Vary"), "Accept-Encoding"));
    str_copy(tag, sizeof tag, fake_header(&reply, "ETag"));
    assert_int_equal(ask("GET /v1/things", "Accept-Encoding: gzip, zstd;q=0.5\n", NULL), 200);
    assert_header("Content-Encoding", "gzip");
    assert_string_not_equal(fake_header(&reply, "ETag"), tag);
    unsigned char out[8192];
    z_stream z = { .next_in = (unsigned char *)reply.body->data,
                   .avail_in = (unsigned)reply.body->len,
                   .next_out = out,
                   .avail_out = sizeof out };
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_non_null(memmem(out, z.total_out, "aaaa", 4));
    (void)inflateEnd(&z);
    assert_int_equal(ask("GET /v1/things", "Accept-Encoding: gzip, zstd\n", NULL), 200);
    assert_header("Content-Encoding", "zstd");
    assert_true(ZSTD_getFrameContentSize(reply.body->data, reply.body->len) > 4000);
    assert_int_equal(ask("GET /v1/things", "Accept-Encoding: gzip;q=0, identity\n", NULL), 200);
    assert_null(fake_header(&reply, "Content-Encoding"));
    assert_int_equal(ask("GET /v1/things/x", "Accept-Encoding: gzip\n", NULL), 200); /* small */
    assert_null(fake_header(&reply, "Content-Encoding"));
}

static void shared_bodies_are_compressed_once(void **state)
{
    char text[4096];
    (void)snprintf(text, sizeof text, "{\"x\":\"%*s\"}", 3000, "");
    toy.shared = blob_new(text, strlen(text));
    assert_int_equal(ask("GET /v1/shared", "Accept-Encoding: gzip\n", NULL), 200);
    assert_header("ETag", "\"shared-1-gzip\"");
    struct blob *first = blob_ref(reply.body);
    assert_int_equal(ask("GET /v1/shared", "Accept-Encoding: gzip\n", NULL), 200);
    assert_ptr_equal(reply.body, first);
    blob_unref(first);
    assert_int_equal(ask("GET /v1/shared", "Accept-Encoding: gzip\nIf-None-Match: \"shared-1-gzip\"\n", NULL), 304);
}

static void head_runs_get_without_a_body(void **state)
{
    assert_int_equal(ask("HEAD /v1/things/x", NULL, NULL), 200);
    assert_null(reply.body);
    assert_header("Content-Type", "application/json");
    assert_int_equal(toy.calls, 1);
    assert_int_equal(ask("HEAD /v1/things/missing", NULL, NULL), 404);
}

static void answers_cors(void **state)
{
    static const struct {
        const char *origin;
        bool allowed;
    } cases[] = {
        { "https://app.example.org", true },
        { "https://a.b.example.org", true },
        { "http://localhost:3000", true },
        { "https://example.org", true },
        { "https://evilexample.org", false },
        { "http://app.example.org", false },
        { "https://example.org.evil", false },
        { "https://x/.example.org", false },
        { "null", false },
        { "https://.example.org", false },
        { "http://localhost:3000.evil", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char headers[256];
        (void)snprintf(headers, sizeof headers, "Origin: %s\n", cases[i].origin);
        assert_int_equal(ask("GET /v1/things", headers, NULL), 200);
        assert_int_equal(fake_header(&reply, "Access-Control-Allow-Origin") != NULL, cases[i].allowed);
        if (cases[i].allowed)
            assert_header("Access-Control-Allow-Origin", cases[i].origin);
        (void)snprintf(headers, sizeof headers, "Origin: %s\nAccess-Control-Request-Method: POST\n", cases[i].origin);
        str_copy(toy.actor_role, sizeof toy.actor_role, "");
        assert_int_equal(ask("OPTIONS /v1/things", headers, NULL), 204);
        assert_int_equal(fake_header(&reply, "Access-Control-Allow-Methods") != NULL, cases[i].allowed);
        str_copy(toy.actor_role, sizeof toy.actor_role, "operator");
    }
    assert_int_equal(ask("OPTIONS /v1/things/x", NULL, NULL), 204);
    assert_header("Allow", "GET, HEAD, PATCH, DELETE, OPTIONS");
    /* An error must be readable by the page that caused it. */
    assert_int_equal(ask("GET /v1/nothing", "Origin: https://app.example.org\n", NULL), 404);
    assert_header("Access-Control-Allow-Credentials", "true");
}

static void tells_nothing_of_the_inside(void **state)
{
    assert_int_equal(ask("GET /v1/things/broken", "x-datadog-trace-id: 77\n", NULL), 500);
    assert_error("INTERNAL_ERROR", NULL, NULL);
    assert_null(strstr(reply.body->data, "fire"));
    assert_non_null(strstr(reply.body->data, "\"datadogTraceId\":\"77\""));
    assert_int_equal(ask("GET /v1/things/silent", NULL, NULL), 500);
}

static void finds_replies_that_break_the_contract(void **state)
{
    toy.break_reply = true;
    assert_int_equal(ask("GET /v1/things/x", NULL, NULL), 500);
    _cleanup_json_ json_t *doc = fake_json(&reply);
    assert_int_equal(json_object_size(json_at(doc, "error.details")), 1);
}

static void sends_security_headers(void **state)
{
    assert_int_equal(ask("GET /v1/things", NULL, NULL), 200);
    assert_header("X-Content-Type-Options", "nosniff");
    assert_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    assert_header("Referrer-Policy", "no-referrer");
    assert_header("Cross-Origin-Opener-Policy", "same-origin");
    assert_non_null(fake_header(&reply, "Permissions-Policy"));
    assert_null(fake_header(&reply, "Strict-Transport-Security"));
}

static void serves_the_contract_and_its_page(void **state)
{
    assert_int_equal(ask("GET /v1/openapi.json", NULL, NULL), 200);
    _cleanup_json_ json_t *doc = fake_json(&reply);
    assert_non_null(json_object_get(json_at(doc, "paths"), "/things/{thingId}"));
    assert_int_equal(ask("GET /docs", "Accept: text/html\n", NULL), 200);
    assert_non_null(strstr(reply.body->data, "/v1/things/{thingId}"));
    assert_non_null(strstr(fake_header(&reply, "Content-Security-Policy"), "'nonce-"));
    assert_int_equal(ask("GET /v1/docs", NULL, NULL), 404);
}

static void counts_requests(void **state)
{
    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask("GET /v1/things", NULL, NULL), 200);
    assert_int_equal(ask("GET /v1/things?limit=0", NULL, NULL), 400);
    api_metrics(api, &text);
    assert_non_null(strstr(buf_str(&text), "hbcloud_api_requests_total{operation=\"listThings\",status=\"2xx\"} 3\n"));
    assert_non_null(strstr(buf_str(&text), "hbcloud_api_requests_total{operation=\"listThings\",status=\"4xx\"} 1\n"));
    assert_non_null(strstr(buf_str(&text), "seconds_bucket{operation=\"listThings\",le=\"+Inf\"} 4\n"));
    assert_null(strstr(buf_str(&text), "getThing"));
    buf_done(&text);
}

static void start_fails_naming_all_mismatches(void **state)
{
    struct api *a = NULL;
    struct error e = ERROR_INIT;
    struct api_options o = toy_options(&toy);
    static const struct api_operation extra[] = { { "listUnicorns", NULL } };
    assert_int_equal(api_new(&o, &a, &e), 0);
    assert_int_equal(api_add(a, toy_rows, toy_row_count - 2, &toy, &e), 0);
    assert_int_equal(api_add(a, toy_rows, 1, &toy, &e), 0);
    assert_int_equal(api_add(a, extra, 1, &toy, &e), 0);
    assert_true(api_seal(a, &e) < 0);
    assert_non_null(strstr(e.message, "listThings has two rows"));
    assert_non_null(strstr(e.message, "listUnicorns is not in the contract"));
    assert_non_null(strstr(e.message, "getLatest has no handler"));
    assert_non_null(strstr(e.message, "getShared has no handler"));
    assert_int_equal(json_object_size(e.details), 6);
    error_done(&e);
    api_free(a);
}

static void refuses_contracts_it_cannot_use(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "a: [", "cannot be read" },
        { "openapi: 3.1.0", "no paths" },
        { "paths: { /a: { get: { operationId: a, responses: { '200': {} } } } }", "x-role" },
        { "paths: { /a: { get: { operationId: a, x-role: viewer } } }", "responses" },
        { "paths: { '/a/{b}': { get: { operationId: a, x-role: viewer, responses: { '200': {} } } } }",
          "not all declared" },
        { "paths: { /a: { $ref: '#/nowhere' } }", "leads nowhere" },
        { "paths: { /a: { get: { operationId: a, x-role: viewer, responses: { '2000': {} } } } }", "no status" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api *a = NULL;
        struct error e = ERROR_INIT;
        struct api_options o = { .contract_yaml = cases[i].text, .contract_len = strlen(cases[i].text) };
        assert_true(api_new(&o, &a, &e) < 0);
        if (!strstr(e.message, cases[i].said))
            fail_msg("said: %s", e.message);
        error_done(&e);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        T(reads_parameters_and_defaults),
        T(refuses_bad_parameters_by_name),
        T(creates_with_defaults_and_audits),
        T(names_every_bad_field),
        T(refuses_bad_bodies),
        T(refuses_large_bodies),
        T(answers_404_405_406),
        T(chooses_the_type_by_accept),
        T(literal_beats_parameter),
        T(checks_roles),
        T(limits_before_saying_who),
        T(takes_and_gives_request_ids),
        T(O28_weak_tags_match_on_get_and_head),
        T(if_match_is_strong),
        T(repeats_idempotent_posts),
        T(compresses_by_quality),
        T(shared_bodies_are_compressed_once),
        T(head_runs_get_without_a_body),
        T(answers_cors),
        T(tells_nothing_of_the_inside),
        T(finds_replies_that_break_the_contract),
        T(sends_security_headers),
        T(serves_the_contract_and_its_page),
        T(counts_requests),
        T(start_fails_naming_all_mismatches),
        T(refuses_contracts_it_cannot_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
