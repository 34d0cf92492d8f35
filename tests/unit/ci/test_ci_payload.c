/* What CI services send, read without a hub: form bodies, signatures, and the facts in each payload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "integrations/github/github.h"
#include "integrations/travis/travis.h"

#include <stdio.h>

/* ---- forms ---- */

static void field_is(const char *body, const char *wanted, size_t wanted_len)
{
    struct error e = ERROR_INIT;
    char *value = NULL;
    size_t len = 0;
    int r = ci_form_field(body, strlen(body), "payload", &value, &len, &e);
    if (!wanted) {
        assert_int_equal(r, -(int)ERR_MALFORMED);
        error_done(&e);
        return;
    }
    assert_int_equal(r, 0);
    assert_int_equal(len, wanted_len);
    assert_memory_equal(value, wanted, wanted_len + 1);
    free(value);
}

static void a_form_gives_the_very_bytes(void **state UNUSED)
{
    field_is("payload=%7B%22a%22%3A+1%7D%0A", "{\"a\": 1}\n", 9);
    field_is("x=1&payload=%F0%9F%8D%B5&y=2", "\xf0\x9f\x8d\xb5", 4);
    field_is("payload=", "", 0);
    field_is("payload=a%00b", "a\0b", 3);
    field_is("payload=one&payload=two", "one", 3);
}

static void a_form_that_is_none_is_refused(void **state UNUSED)
{
    static const char *const bad[] = { "",           "payload",     "xpayload=1", "payload=%",
                                       "payload=%4", "payload=%zz", "pay=load&",  "&&" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        field_is(bad[i], NULL, 0);
}

static void a_repository_is_an_owner_and_a_name(void **state UNUSED)
{
    static const char *const good[] = { "a/b", "example-org/shop.js", "A_1/-", "o/..x" };
    static const char *const bad[] = { "",     "a",   "/b",    "a/",    "a/b/c", "../b",
                                       "a/..", "a/.", "a b/c", "a/b?x", "a/b#",  "ä/b" };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(ci_repository_ok(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ci_repository_ok(bad[i]));
    assert_false(ci_repository_ok(NULL));
}

/* ---- signatures ---- */

static int checked(const char *secret, const char *header, const char *body)
{
    struct error e = ERROR_INIT;
    _cleanup_secret_ struct secret *key = secret_new(secret, strlen(secret));
    int r = github_check_signature(key, header, body, strlen(body), &e);
    assert_null(r < 0 ? strstr(e.message, secret) : NULL);
    error_done(&e);
    return r;
}

/* The vector of docs.github.com, "Validating webhook deliveries". */
static void the_published_vector_holds(void **state UNUSED)
{
    static const char header[] = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_int_equal(checked("It's a Secret to Everybody", header, "Hello, World!"), 0);
    assert_int_equal(checked("It's a Secret to Everybody", header, "Hello, World?"), -(int)ERR_UNAUTHENTICATED);
    assert_int_equal(checked("It's a secret to everybody", header, "Hello, World!"), -(int)ERR_UNAUTHENTICATED);
}

static void o19_another_form_is_refused_unseen(void **state UNUSED)
{
    static const char *const bad[] = {
        "",
        "sha256=",
        "sha256=00",
        "sha1=757107ea0eb2509fc211221cce984b8a37570b6d",
        "SHA256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e171",
        "sha256= 57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "md5=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(checked("k", bad[i], "Hello, World!"), -(int)ERR_VALIDATION);
}

static void a_key_that_is_none_is_not_asked(void **state UNUSED)
{
    struct error e = ERROR_INIT;
    char long_one[4097];
    memset(long_one, 'A', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    assert_int_equal(travis_check_signature("no PEM", "AAAA", "x", 1, &e), -(int)ERR_UPSTREAM);
    const char *const bad[] = { "", "A", "AAAAA", "A===", "====", "AA=A", "AA-_", long_one };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(travis_check_signature("no PEM", bad[i], "x", 1, &e), -(int)ERR_VALIDATION);
    error_done(&e);
}

/* ---- payloads: facts as lines ---- */

struct told {
    char text[4096];
    size_t used;
};

static const char *or_dash(const char *text)
{
    return text ? text : "-";
}

static int tell(void *ctx, const struct ci_fact *f, struct error *e UNUSED)
{
    static const char *const kinds[] = { [CI_IGNORED] = "ignored", [CI_RUN] = "run",   [CI_JOB] = "job",
                                         [CI_CHECK] = "check",     [CI_PUSH] = "push", [CI_IMAGE] = "image" };
    struct told *t = ctx;
    int n;
    if (f->kind == CI_IGNORED)
        n = snprintf(t->text + t->used, sizeof t->text - t->used, "ignored: %s|", f->reason);
    else
        n = snprintf(t->text + t->used, sizeof t->text - t->used, "%s %s %s/%s @%s #%lld %s %s%s|", kinds[f->kind],
                     or_dash(f->name), or_dash(f->branch), or_dash(f->tag), or_dash(f->commit), (long long)f->attempt,
                     ci_state_name(f->state), or_dash(f->conclusion), f->foreign ? " foreign" : "");
    assert_true(n > 0 && t->used + (size_t)n < sizeof t->text);
    t->used += (size_t)n;
    return 0;
}

static void reads(const char *event, const char *payload, const char *wanted)
{
    struct error e = ERROR_INIT;
    struct told t = { .used = 0 };
    json_t *x = NULL;
    if (json_parse(payload, strlen(payload), &x, &e) < 0)
        fail_msg("%s: %s", payload, e.message);
    int r = event ? github_read(event, x, tell, &t, &e) : travis_read(x, tell, &t, &e);
    json_decref(x);
    if (!wanted)
        assert_int_equal(r, -(int)ERR_MALFORMED);
    else if (r < 0)
        fail_msg("%s: %s", payload, e.message);
    else
        assert_string_equal(t.text, wanted);
    error_done(&e);
}

#define ABOUT "\"repository\":{\"full_name\":\"o/r\"}"
#define ZERO "0000000000000000000000000000000000000000"

static void o20_pushes(void **state UNUSED)
{
#define PUSH(ref, after, more) "{\"ref\":\"" ref "\",\"after\":\"" after "\"," more "," ABOUT "}"
#define HEAD "\"head_commit\":{\"message\":\"m\",\"author\":{\"name\":\"n\"}}"
    reads("push", PUSH("refs/heads/fix/a", "abc", HEAD), "push - fix/a/- @abc #1 queued -|");
    reads("push", PUSH("refs/tags/main", "abc", HEAD), "push - -/main @abc #1 queued -|");
    reads("push", PUSH("refs/heads/main", ZERO, "\"deleted\":true"), "ignored: A branch was deleted.|");
    reads("push", PUSH("refs/tags/v1", ZERO, "\"deleted\":false"), "ignored: A tag was deleted.|");
    reads("push", PUSH("refs/heads/main", "abc", "\"head_commit\":null"), "ignored: The push has no head commit.|");
    reads("push", PUSH("refs/notes/x", "abc", HEAD), "ignored: The ref is neither a branch nor a tag.|");
    reads("push", "{" ABOUT "}", NULL);
    reads("push", "{\"ref\":\"refs/heads/main\"}", NULL);
}

#define RUN(more)                                                                                                   \
    "{\"workflow\":{\"name\":\"w\"},\"workflow_run\":{\"id\":7,\"head_branch\":\"main\",\"head_sha\":\"abc\"," more \
    "}," ABOUT "}"
#define OURS "\"head_repository\":{\"full_name\":\"o/r\"}"

static void runs_and_whose_they_are(void **state UNUSED)
{
    reads("workflow_run", RUN("\"status\":\"queued\"," OURS), "run w main/- @abc #1 queued -|");
    reads("workflow_run", RUN("\"status\":\"completed\",\"conclusion\":\"success\",\"run_attempt\":2," OURS),
          "run w main/- @abc #2 completed success|");
    reads("workflow_run", RUN("\"status\":\"completed\",\"conclusion\":\"startup_failure\"," OURS),
          "run w main/- @abc #1 completed failure|");
    reads("workflow_run", RUN("\"status\":\"completed\",\"conclusion\":null," OURS),
          "run w main/- @abc #1 completed failure|");
    reads("workflow_run", RUN("\"status\":\"some_day\"," OURS), "run w main/- @abc #1 waiting -|");
    reads("workflow_run", RUN("\"status\":\"queued\",\"head_repository\":{\"full_name\":\"fork/r\"}"),
          "run w main/- @abc #1 queued - foreign|");
    reads("workflow_run", RUN("\"status\":\"queued\",\"head_repository\":null"),
          "run w main/- @abc #1 queued - foreign|");
    reads("workflow_run", RUN("\"status\":\"queued\",\"event\":\"pull_request_target\"," OURS),
          "run w main/- @abc #1 queued - foreign|");
    reads("workflow_run", "{" ABOUT "}", NULL);
}

/* A rule may spell a repository otherwise than its service does; it is the same one, and no fork. */
static void a_missed_run_is_of_the_repository_however_a_rule_spells_it(void **state UNUSED)
{
    for (int said = 0; said < 2; said++) {
        struct error e = ERROR_INIT;
        struct told t = { .used = 0 };
        json_t *x = json_pack("{s:i, s:s, s:s, s:{s:s}}", "id", 7, "name", "w", "head_sha", "abc", "head_repository",
                              "full_name", "o/r");
        if (said)
            (void)json_object_set_new(x, "repository", json_pack("{s:s}", "full_name", "o/r"));
        assert_int_equal(github_read_run(x, "O/R", NULL, tell, &t, &e), 0);
        assert_string_equal(t.text, "run w -/- @abc #1 waiting -|");
        json_decref(x);
        error_done(&e);
    }
}

static void images(void **state UNUSED)
{
#define IMAGE(action, type, tag)                                                                                   \
    "{\"action\":\"" action "\",\"package\":{\"name\":\"Shop\",\"namespace\":\"Example\",\"package_type\":\"" type \
    "\",\"package_version\":{\"id\":3,\"container_metadata\":{\"tag\":{\"name\":\"" tag "\"}}}}," ABOUT "}"
    reads("package", IMAGE("published", "CONTAINER", "v1"), "image ghcr.io/example/shop -/v1 @- #1 queued -|");
    reads("package", IMAGE("published", "npm", "v1"), "ignored: The package is no container image.|");
    reads("package", IMAGE("deleted", "CONTAINER", "v1"), "ignored: The package was neither published nor updated.|");
    reads("package", IMAGE("updated", "CONTAINER", ""), "ignored: The image has no tag.|");
    reads("registry_package", IMAGE("published", "CONTAINER", "v1"), NULL);
}

static void what_the_hub_told_itself_is_not_news(void **state UNUSED)
{
#define DEPLOYMENT(payload) \
    "{\"deployment\":{\"id\":4,\"sha\":\"abc\",\"environment\":\"production\",\"payload\":" payload "}," ABOUT "}"
    reads("deployment", DEPLOYMENT("{}"), "run production -/- @abc #1 queued - foreign|");
    reads("deployment", DEPLOYMENT("\"text\""), "run production -/- @abc #1 queued - foreign|");
    reads("deployment", DEPLOYMENT("{\"hbcloud\":\"x\"}"), "ignored: A hub told GitHub of this deployment itself.|");
    reads("marketplace_purchase", "{}", "ignored: This event is not one that is followed.|");
    reads("marketplace_purchase", "{" ABOUT "}", "ignored: This event is not one that is followed.|");
}

static void builds(void **state UNUSED)
{
#define BUILD(more) \
    "{\"id\":9,\"commit\":\"abc\",\"branch\":\"main\",\"repository\":{\"owner_name\":\"o\",\"name\":\"r\"}," more "}"
    reads(NULL, BUILD("\"state\":\"started\",\"started_at\":\"1970-01-01T00:00:50Z\""),
          "run Travis CI main/- @abc #50 in_progress -|");
    reads(NULL, BUILD("\"state\":\"canceled\",\"status\":null"), "run Travis CI main/- @abc #0 completed cancelled|");
    reads(NULL, BUILD("\"state\":\"passed\",\"tag\":\"main\""), "run Travis CI -/main @abc #0 completed success|");
    reads(NULL, BUILD("\"state\":\"passed\",\"pull_request\":true"),
          "run Travis CI main/- @abc #0 completed success foreign|");
    reads(NULL, BUILD("\"state\":\"errored\",\"matrix\":[{\"id\":1,\"number\":\"9.1\",\"state\":\"failed\"},{},5]"),
          "run Travis CI main/- @abc #0 completed failure|job 9.1 main/- @abc #0 completed failure|");
    reads(NULL, "{\"id\":9,\"repository\":{\"owner_name\":\"o\",\"name\":\"../r\"}}", NULL);
    reads(NULL, "{}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_gives_the_very_bytes),
        cmocka_unit_test(a_form_that_is_none_is_refused),
        cmocka_unit_test(a_repository_is_an_owner_and_a_name),
        cmocka_unit_test(the_published_vector_holds),
        cmocka_unit_test(o19_another_form_is_refused_unseen),
        cmocka_unit_test(a_key_that_is_none_is_not_asked),
        cmocka_unit_test(o20_pushes),
        cmocka_unit_test(runs_and_whose_they_are),
        cmocka_unit_test(a_missed_run_is_of_the_repository_however_a_rule_spells_it),
        cmocka_unit_test(images),
        cmocka_unit_test(what_the_hub_told_itself_is_not_news),
        cmocka_unit_test(builds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
