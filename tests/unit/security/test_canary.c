/* O32, O34: planted secrets are in no reply but the one that hands them out, no log line, no audit entry, and not in
 * clear in any database file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include "base/log.h"
#include "support/canary.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct fixture f;
static char log_path[128];
static int log_fd;

static int start(void **state)
{
    fixture_start(&f, &(struct fixture_options){ .server = true, .anonymous_per_minute = 100 });
    (void)snprintf(log_path, sizeof log_path, "%s/log", f.dir);
    log_fd = open(log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(log_fd >= 0);
    log_init(LOG_DEBUG, LOG_JSON, log_fd);
    return 0;
}

static int end(void **state)
{
    log_init(LOG_INFO, LOG_AUTO, STDERR_FILENO);
    (void)close(log_fd);
    fixture_end(&f);
    return 0;
}

/* The search itself finds what it must. */
static void the_search_finds_a_secret_in_each_form(void **state)
{
    static const char secret[] = "s3cret/va+lue?";
    const struct canary c = { "it", secret, strlen(secret) };
    static const char *const texts[] = {
        "x=s3cret/va+lue?.",    "s3cret%2Fva%2Blue%3F", "7333637265742f76612b6c75653f", "7333637265742F76612B6C75653F",
        "czNjcmV0L3ZhK2x1ZT8=", "eHMzY3JldC92YStsdWU/", "eHhzM2NyZXQvdmErbHVlPw"
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_string_equal(canary_found(&c, 1, texts[i], strlen(texts[i])), "it");
    assert_null(canary_found(&c, 1, "s3cret and value", 16));
}

static void signing_key(char ret[32])
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    _cleanup_secret_ struct secret *key = NULL;
    char context[64];
    size_t len = 0;
    assert_int_equal(store_acquire(f.store, STORE_READ, &c, NULL), 0);
    assert_int_equal(store_query(c, NULL, &rows, "SELECT kid, key_sealed FROM signing_keys", ""), 0);
    assert_int_equal(rows_next(rows, NULL), 1);
    (void)snprintf(context, sizeof context, "signing:%s", rows_text(rows, 0));
    const void *sealed = rows_blob(rows, 1, &len);
    assert_int_equal(vault_unseal(f.vault, context, sealed, len, &key, NULL), 0);
    memcpy(ret, secret_reveal(key, NULL), 32);
}

static void master_key(char ret[65])
{
    char path[128];
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    (void)snprintf(path, sizeof path, "%s/hub.secret", f.dir);
    assert_int_equal(file_read(path, 100, &text, &len), 0);
    str_copy(ret, 65, text);
}

/* Everything a person does with secrets; what it handed out is in the arguments. */
static void live_a_little(char cookie[64], char key[64], char token[4096], char login[64])
{
    char headers[4400], header[128], body[200], set[256];
    struct answer a = { 0 };
    (void)snprintf(body, sizeof body, "{\"apiKey\":\"%s\"}", f.owner);
    fixture_ask(&f, "POST", "/v1/sessions", "", body, &a);
    assert_int_equal(a.status, 201);
    answer_header(&a, "Set-Cookie", set, sizeof set);
    (void)snprintf(cookie, 64, "%.43s", strchr(set, '=') + 1);
    answer_done(&a);
    fixture_ask(&f, "POST", "/v1/keys", key_header(f.owner, header), "{\"name\":\"laptop\",\"role\":\"admin\"}", &a);
    assert_int_equal(a.status, 201);
    str_copy(key, 64, json_str(a.body, "secret"));
    answer_done(&a);
    fixture_ask(&f, "POST", "/v1/tokens", header, "{}", &a);
    assert_int_equal(a.status, 201);
    str_copy(token, 4096, json_str(a.body, "token"));
    answer_done(&a);
    _cleanup_secret_ struct secret *link = NULL;
    assert_int_equal(security_login_token(f.security, &link, NULL), 0);
    str_copy(login, 64, secret_reveal(link, NULL));
    /* Used wrongly, too: cut, in the wrong place, and broken bodies with a secret in them. */
    (void)snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nX-Request-Id: x\r\n", key);
    fixture_ask(&f, "GET", "/v1/keys", headers, NULL, &a);
    answer_done(&a);
    (void)snprintf(headers, sizeof headers, "Authorization: Basic %s\r\n", key);
    fixture_ask(&f, "GET", "/v1/keys", headers, NULL, &a);
    answer_done(&a);
    (void)snprintf(headers, sizeof headers, "Authorization: Bearer %s.x\r\n", token);
    fixture_ask(&f, "POST", "/v1/tokens/rotate", headers, NULL, &a);
    answer_done(&a);
    (void)snprintf(body, sizeof body, "{\"loginToken\":\"%s\"}", login);
    fixture_ask(&f, "POST", "/v1/sessions", "", body, &a);
    answer_done(&a);
    fixture_ask(&f, "POST", "/v1/sessions", "", body, &a); /* used up */
    canary_expect_none(&(struct canary){ "login token", login, strlen(login) }, 1, "the refusal of a login", a.text,
                       strlen(a.text));
    answer_done(&a);
}

static void ask_everything(const struct canary *list, size_t n)
{
    static const char *const targets[] = { "/v1/keys", "/v1/audit", "/v1/audit/verify", "/v1/sessions/current",
                                           "/v1/keys/none" };
    char header[128];
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        _cleanup_answer_ struct answer a = { 0 };
        fixture_ask(&f, "GET", targets[i], key_header(f.owner, header), NULL, &a);
        canary_expect_none(list, n, targets[i], a.text, strlen(a.text));
        canary_expect_none(list, n, targets[i], a.head, strlen(a.head));
    }
}

static void o32_o34_planted_secrets_stay_where_they_belong(void **state)
{
    char cookie[64], key[64], token[4096], login[64], signing[32], master[65];
    live_a_little(cookie, key, token, login);
    signing_key(signing);
    master_key(master);
    /* A key's first 12 letters are shown on purpose, so the rest is looked for. */
    const struct canary list[] = {
        { "the owner's key", f.owner + 13, 43 }, { "an API key", key + 13, 43 },
        { "a session token", cookie, 43 },       { "a login token", login, 43 },
        { "a bearer token", token, 200 },        { "the signing key", signing, sizeof signing },
        { "the master key", master, 64 },
    };
    ask_everything(list, ARRAY_LEN(list));
    size_t files =
        canary_expect_none_in_files(list, ARRAY_LEN(list), f.dir, (const char *const[]){ "hub.secret", NULL });
    assert_true(files >= 3); /* database, its write-ahead log, the log */
    char text[64];
    assert_true(pread(log_fd, text, sizeof text, 0) > 10); /* something was logged at all */
    fixture_reopen(&f);
    (void)canary_expect_none_in_files(list, ARRAY_LEN(list), f.dir, (const char *const[]){ "hub.secret", NULL });
}

/* A kept answer may hold a secret (a deployment's reply does not; but the table must not rely on it). */
static void a_kept_answer_is_sealed(void **state)
{
    char headers[300], header[128];
    _cleanup_answer_ struct answer a = { 0 };
    (void)snprintf(headers, sizeof headers, "%sIdempotency-Key: canary-of-a-key\r\n", key_header(f.owner, header));
    fixture_ask(&f, "POST", "/v1/tokens/rotate", headers, NULL, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM idempotency_keys WHERE body_sealed IS NOT NULL"), 1);
    const struct canary list[] = { { "the client's idempotency key", "canary-of-a-key", 15 },
                                   { "the reply's shape", "\"rotatedAt\"", 11 } };
    (void)canary_expect_none_in_files(list, ARRAY_LEN(list), f.dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_a_secret_in_each_form),
        cmocka_unit_test_setup_teardown(o32_o34_planted_secrets_stay_where_they_belong, start, end),
        cmocka_unit_test_setup_teardown(a_kept_answer_is_sealed, start, end),
    };
    return cmocka_run_group_tests_name("security_canary", tests, NULL, NULL);
}
