/* Bearer tokens: HS256 and nothing else; whatever is wrong with one, the answer is the same (O44). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <sodium.h>
#include <stdio.h>

static struct fixture f;

static int start(void **state)
{
    fixture_start(&f, &(struct fixture_options){ .server = true });
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

static int ask_token(const char *headers, const char *body, char ret[4096])
{
    _cleanup_answer_ struct answer a = { 0 };
    fixture_ask(&f, "POST", "/v1/tokens", headers, body, &a);
    if (a.status == 201)
        str_copy(ret, 4096, json_str(a.body, "token"));
    return a.status;
}

static int status_with(const char *token)
{
    _cleanup_answer_ struct answer a = { 0 };
    char header[4200];
    fixture_ask(&f, "GET", "/v1/keys", bearer_header(token, header), NULL, &a);
    return a.status;
}

static void owner_token(char ret[4096])
{
    char header[128];
    assert_int_equal(ask_token(key_header(f.owner, header), "{}", ret), 201);
}

/* ---- a forger's tools ---- */

static size_t encode(const char *text, char *ret, size_t size)
{
    return base64url_encode((const uint8_t *)text, strlen(text), ret, size);
}

static void forge(const char *header, const char *claims, const void *key, size_t key_len, bool sha512, char ret[4096])
{
    char parts[3][2000];
    uint8_t mac[64];
    (void)encode(header, parts[0], sizeof parts[0]);
    (void)encode(claims, parts[1], sizeof parts[1]);
    _cleanup_free_ char *text = str_printf("%s.%s", parts[0], parts[1]);
    if (sha512) {
        crypto_auth_hmacsha512_state s;
        (void)crypto_auth_hmacsha512_init(&s, key, key_len);
        (void)crypto_auth_hmacsha512_update(&s, (const uint8_t *)text, strlen(text));
        (void)crypto_auth_hmacsha512_final(&s, mac);
    } else {
        crypto_auth_hmacsha256_state s;
        (void)crypto_auth_hmacsha256_init(&s, key, key_len);
        (void)crypto_auth_hmacsha256_update(&s, (const uint8_t *)text, strlen(text));
        (void)crypto_auth_hmacsha256_final(&s, mac);
    }
    (void)base64url_encode(mac, sha512 ? 64 : 32, parts[2], sizeof parts[2]);
    (void)snprintf(ret, 4096, "%.1500s.%.100s", text, parts[2]);
}

/* The hub's own signing key, as if it had leaked: so that a forged token fails for the reason under test alone. */
static void leaked_key(uint8_t ret[32])
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    _cleanup_secret_ struct secret *key = NULL;
    char context[64];
    size_t len = 0, n = 0;
    assert_int_equal(store_acquire(f.store, STORE_READ, &c, NULL), 0);
    assert_int_equal(
        store_query(c, NULL, &rows, "SELECT kid, key_sealed FROM signing_keys WHERE retired_at IS NULL", ""), 0);
    assert_int_equal(rows_next(rows, NULL), 1);
    (void)snprintf(context, sizeof context, "signing:%s", rows_text(rows, 0));
    const void *sealed = rows_blob(rows, 1, &len);
    assert_int_equal(vault_unseal(f.vault, context, sealed, len, &key, NULL), 0);
    const char *bytes = secret_reveal(key, &n);
    assert_int_equal(n, 32);
    memcpy(ret, bytes, 32);
}

static char *claims(const char *exp, const char *more)
{
    return str_printf(
        "{\"iss\":\"hbcloud\",\"sub\":\"%s\",\"via\":\"key\",\"name\":\"owner\",\"role\":\"admin\",\"iat\":1,\"exp\":%s%s}",
        f.owner_id, exp, more);
}

static char *soon(void)
{
    return str_printf("%lld", (long long)clock_now_ms() / 1000 + 600);
}

/* Every refusal must look the same from outside. */
static void refused(const char *token, const char *what)
{
    static const char same[] = "These credentials are not valid (any more).";
    _cleanup_answer_ struct answer a = { 0 };
    char header[4200], length[32];
    fixture_ask(&f, "GET", "/v1/keys", bearer_header(token, header), NULL, &a);
    if (a.status != 401 || !strstr(a.text, same) || !strstr(a.text, "UNAUTHENTICATED"))
        fail_msg("%s: %d %s", what, a.status, a.text);
    answer_header(&a, "Content-Length", length, sizeof length);
    static char first_length[32];
    if (!first_length[0])
        str_copy(first_length, sizeof first_length, length);
    assert_string_equal(length, first_length);
}

static void a_token_stands_for_its_key(void **state)
{
    char token[4096], header[128];
    _cleanup_answer_ struct answer a = { 0 };
    owner_token(token);
    assert_int_equal(status_with(token), 200);
    char lower[4096];
    assert_int_equal(ask_token(key_header(f.owner, header), "{\"role\":\"viewer\",\"expiresIn\":60}", lower), 201);
    assert_int_equal(status_with(lower), 403);
    /* A token makes no tokens, and a viewer no admin's. */
    char bearer[4200];
    assert_int_equal(ask_token(bearer_header(token, bearer), "{}", lower), 403);
    char id[ID_LEN + 1], secret[64];
    fixture_make_key(&f, "viewer", ROLE_VIEWER, 0, id, secret);
    assert_int_equal(ask_token(key_header(secret, header), "{\"role\":\"admin\"}", lower), 403);
    assert_int_equal(ask_token(key_header(secret, header), "{}", lower), 201);
}

/* The template with `@` replaced. */
static char *filled(const char *template, const char *by)
{
    size_t n = strcspn(template, "@");
    return template[n] ? str_printf("%.*s%s%s", (int)n, template, by, template + n + 1) : strdup(template);
}

/* The control: with the leaked key and right claims the forger gets in, so the refusals below are about what they say. */
static void forge_with_leaked(const char *template, const char *claims_text, char ret[4096])
{
    uint8_t key[32];
    _cleanup_free_ char *header = filled(template, f.security->current_kid);
    leaked_key(key);
    forge(header, claims_text, key, sizeof key, false, ret);
}

#define GOOD_HEADER "{\"alg\":\"HS256\",\"kid\":\"@\",\"typ\":\"JWT\"}"

static void o44_the_forgers_tools_work(void **state)
{
    char token[4096];
    _cleanup_free_ char *at = soon();
    _cleanup_free_ char *good = claims(at, "");
    forge_with_leaked(GOOD_HEADER, good, token);
    assert_int_equal(status_with(token), 200);
}

static void o44_the_algorithm_is_the_keys(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"kid\":\"@\"}",
        "{\"alg\":\"None\",\"kid\":\"@\"}",
        "{\"alg\":\"\",\"kid\":\"@\"}",
        "{\"alg\":\"HS384\",\"kid\":\"@\"}",
        "{\"alg\":\"HS512\",\"kid\":\"@\"}",
        "{\"alg\":\"RS256\",\"kid\":\"@\"}",
        "{\"alg\":\"ES256\",\"kid\":\"@\"}",
        "{\"alg\":\"hs256\",\"kid\":\"@\"}",
        "{\"alg\":256,\"kid\":\"@\"}",
        "{\"alg\":[\"HS256\"],\"kid\":\"@\"}",
        "{\"kid\":\"@\"}",
        "{\"alg\":null,\"kid\":\"@\"}",
    };
    char token[4096];
    _cleanup_free_ char *at = soon();
    _cleanup_free_ char *good = claims(at, "");
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        forge_with_leaked(headers[i], good, token);
        refused(token, headers[i]);
        *(strrchr(token, '.') + 1) = '\0'; /* unsigned */
        refused(token, headers[i]);
    }
    uint8_t key[32];
    _cleanup_free_ char *h512 = filled("{\"alg\":\"HS512\",\"kid\":\"@\"}", f.security->current_kid);
    _cleanup_free_ char *h256 = filled(GOOD_HEADER, f.security->current_kid);
    leaked_key(key);
    forge(h512, good, key, sizeof key, true, token);
    refused(token, "HS512, rightly signed");
    forge(h256, good, key, sizeof key, true, token);
    refused(token, "HS256 with a signature of HS512");
}

static void o44_a_public_key_is_no_secret(void **state)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL8h3Jr0v0m1V0iQFvG8iTnqf4o0dZ1c\n"
                              "u0dXkq8a5H1y3t0p4Zc7S0eNf0QbW7t9m2K1Xx6v5J3R8yQwTn0CAwEAAQ==\n"
                              "-----END PUBLIC KEY-----";
    char token[4096], crlf[512] = "", bare[512];
    _cleanup_free_ char *at = soon();
    _cleanup_free_ char *good = claims(at, "");
    _cleanup_free_ char *header = filled(GOOD_HEADER, f.security->current_kid);
    size_t n = 0;
    for (const char *p = pem; *p; p++)
        n += (size_t)snprintf(crlf + n, sizeof crlf - n, *p == '\n' ? "\r\n" : "%c", *p);
    (void)snprintf(bare, sizeof bare, "%s\n", pem);
    const char *const keys[] = { pem, bare, crlf, "", f.security->current_kid, "hbcloud", "secret" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        forge(header, good, keys[i], strlen(keys[i]), false, token);
        refused(token, keys[i]);
    }
}

static void o44_a_kid_only_names_keys_of_ours(void **state)
{
    static const char *const kids[] = { "\"\"",
                                        "\"../../../../dev/null\"",
                                        "\"/dev/null\"",
                                        "\"file:///etc/hostname\"",
                                        "\"' OR '1'='1\"",
                                        "\"@\\u0000\"",
                                        "null",
                                        "1",
                                        "[\"@\"]",
                                        "{}",
                                        "\"018f0000-0000-7000-8000-000000000000\"",
                                        "\"hub.secret\"" };
    uint8_t key[32];
    char token[4096];
    _cleanup_free_ char *at = soon();
    _cleanup_free_ char *good = claims(at, "");
    leaked_key(key);
    for (size_t i = 0; i < ARRAY_LEN(kids); i++) {
        _cleanup_free_ char *kid = filled(kids[i], f.security->current_kid);
        _cleanup_free_ char *header = str_printf("{\"alg\":\"HS256\",\"kid\":%s}", kid);
        forge(header, good, key, sizeof key, false, token);
        refused(token, kids[i]);
        forge(header, good, "", 0, false, token); /* what an empty file would sign with */
        refused(token, kids[i]);
    }
    forge("{\"alg\":\"HS256\"}", good, key, sizeof key, false, token);
    refused(token, "no kid");
}

static void o44_expiry_is_a_whole_number_soon(void **state)
{
    char token[4096];
    int64_t now = clock_now_ms() / 1000;
    char past[32], present[32], text[32], real[32], far[32];
    (void)snprintf(past, sizeof past, "%lld", (long long)now - 10);
    (void)snprintf(present, sizeof present, "%lld", (long long)now);
    (void)snprintf(text, sizeof text, "\"%lld\"", (long long)now + 600);
    (void)snprintf(real, sizeof real, "%lld.5", (long long)now + 600);
    (void)snprintf(far, sizeof far, "%lld", (long long)now + 3700);
    const char *const times[] = { past, present, text,   real, far,     "9223372036854775807", "-1",
                                  "0",  "null",  "true", "[]", "1e400", "99999999999999999999" };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        _cleanup_free_ char *c = claims(times[i], "");
        forge_with_leaked(GOOD_HEADER, c, token);
        refused(token, times[i]);
    }
    forge_with_leaked(GOOD_HEADER,
                      "{\"iss\":\"hbcloud\",\"sub\":\"x\",\"via\":\"key\",\"name\":\"n\",\"role\":\"admin\"}", token);
    refused(token, "no exp");
}

static void o44_other_claims_count_too(void **state)
{
    static const char *const more[] = { ",\"exp\":1", ",\"role\":\"admin\"",
                                        ",\"iss\":\"hbcloud\"" }; /* a name twice */
    char token[4096];
    _cleanup_free_ char *at = soon();
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        _cleanup_free_ char *c = claims(at, more[i]);
        forge_with_leaked(GOOD_HEADER, c, token);
        refused(token, more[i]);
    }
    static const struct {
        const char *iss, *via, *role, *more;
    } wrong[] = {
        { "other", "key", "admin", "" },    { "", "key", "admin", "" },   { "hbcloud", "key", "root", "" },
        { "hbcloud", "key", "public", "" }, { "hbcloud", "key", "", "" }, { "hbcloud", "session", "admin", "" },
        { "hbcloud", "key", "admin", "x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        _cleanup_free_ char *c =
            str_printf("{\"iss\":\"%s\",\"sub\":\"%s%s\",\"via\":\"%s\",\"name\":\"n\",\"role\":\"%s\",\"exp\":%s}",
                       wrong[i].iss, f.owner_id, wrong[i].more, wrong[i].via, wrong[i].role, at);
        forge_with_leaked(GOOD_HEADER, c, token);
        refused(token, c);
    }
    forge_with_leaked(GOOD_HEADER, "[1]", token);
    refused(token, "no object");
    _cleanup_free_ char *good = claims(at, "");
    forge_with_leaked("{\"alg\":\"HS256\",\"kid\":\"@\",\"crit\":[\"exp\"]}", good, token);
    refused(token, "crit");
    forge_with_leaked("{\"alg\":\"HS256\",\"kid\":\"@\",\"crit\":[]}", good, token);
    refused(token, "empty crit");
}

static void o44_any_changed_letter_is_refused(void **state)
{
    char token[4096], changed[4096];
    owner_token(token);
    size_t n = strlen(token);
    for (size_t i = 0; i < n; i += 7) {
        memcpy(changed, token, n + 1);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        refused(changed, "a letter");
    }
    memcpy(changed, token, n + 1);
    changed[n - 1]++; /* the last letter has bits that mean nothing: they must be zero */
    refused(changed, "last letter");
    static const char *const shapes[] = { ".", "..", "...", "a.b.c", "a..", ".a.", "x", "e30.e30.e30", "eyJ9.e30." };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        refused(shapes[i], shapes[i]);
    (void)snprintf(changed, sizeof changed, "%.3000s=", token);
    refused(changed, "padding");
    (void)snprintf(changed, sizeof changed, "%.3000s.", token);
    refused(changed, "a fourth part");
    memset(changed, 'a', 4090);
    changed[4090] = changed[2000] = changed[1000] = '\0';
    changed[1000] = changed[2000] = '.';
    refused(changed, "very long");
}

static void it_ends(void **state)
{
    char token[4096];
    owner_token(token);
    fixture_pass(899 * 1000);
    assert_int_equal(status_with(token), 200);
    fixture_pass(2000);
    refused(token, "expired");
}

static void rotation_keeps_old_tokens_till_they_end(void **state)
{
    char old[4096], new[4096], header[128], first_kid[ID_LEN + 1];
    str_copy(first_kid, sizeof first_kid, f.security->current_kid);
    assert_int_equal(ask_token(key_header(f.owner, header), "{\"expiresIn\":3600}", old), 201);
    _cleanup_answer_ struct answer a = { 0 };
    fixture_ask(&f, "POST", "/v1/tokens/rotate", header, NULL, &a);
    assert_int_equal(a.status, 200);
    assert_string_not_equal(json_str(a.body, "kid"), first_kid);
    owner_token(new);
    assert_int_equal(status_with(old), 200);
    assert_int_equal(status_with(new), 200);
    security_tidy(f.security);
    fixture_reopen(&f);
    assert_int_equal(status_with(old), 200);
    assert_int_equal(status_with(new), 200);
    fixture_pass((int64_t)3601 * 1000);
    refused(old, "old");
    security_tidy(f.security);
    assert_int_equal(fixture_number(&f, "SELECT COUNT(*) FROM signing_keys"), 1);
    assert_int_equal(map_size(f.security->signing), 1);
    owner_token(new);
    assert_int_equal(status_with(new), 200);
}

/* A key that was retired signs nothing any more that would outlive it. */
static void a_retired_key_signs_nothing_new(void **state)
{
    uint8_t key[32];
    char token[4096], kid[ID_LEN + 1], next[ID_LEN + 1];
    str_copy(kid, sizeof kid, f.security->current_kid);
    leaked_key(key);
    assert_int_equal(tokens_rotate(f.security, next, NULL), 0);
    fixture_pass(TOKEN_MAX_MS + 1000);
    _cleanup_free_ char *at = soon();
    _cleanup_free_ char *good = claims(at, ""), *header = filled(GOOD_HEADER, kid);
    forge(header, good, key, sizeof key, false, token);
    refused(token, "signed by a retired key");
}

static void a_revoked_or_expired_key_takes_its_tokens_along(void **state)
{
    char id[2][ID_LEN + 1], secret[2][64], token[2][4096], header[128];
    fixture_make_key(&f, "revoked", ROLE_ADMIN, 0, id[0], secret[0]);
    fixture_make_key(&f, "short", ROLE_ADMIN, clock_now_ms() + 60000, id[1], secret[1]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask_token(key_header(secret[i], header), "{}", token[i]), 201);
        assert_int_equal(status_with(token[i]), 200);
    }
    assert_int_equal(keys_revoke(f.security, id[0], NULL), 0);
    refused(token[0], "revoked");
    assert_int_equal(status_with(token[1]), 200);
    fixture_pass(60001);
    refused(token[1], "expired");
}

static void a_sessions_token_ends_with_it_and_with_its_key(void **state)
{
    char id[ID_LEN + 1], secret[64];
    struct key k;
    struct session ended, expired;
    struct error e = ERROR_INIT;
    _cleanup_secret_ struct secret *cookie = NULL, *other = NULL;
    fixture_make_key(&f, "short", ROLE_ADMIN, clock_now_ms() + 60000, id, secret);
    assert_int_equal(keys_check(f.security, f.owner, &k, &e), 0);
    assert_int_equal(sessions_open(f.security, &k, &ended, &cookie, &e), 0);
    assert_int_equal(keys_check(f.security, secret, &k, &e), 0);
    assert_int_equal(sessions_open(f.security, &k, &expired, &other, &e), 0);
    char token[2][4096];
    const struct session *sessions[] = { &ended, &expired };
    for (int i = 0; i < 2; i++) {
        struct actor who = { .role = ROLE_ADMIN };
        int64_t at = 0;
        str_copy(who.kind, sizeof who.kind, "session");
        str_copy(who.id, sizeof who.id, sessions[i]->id);
        str_copy(who.name, sizeof who.name, "n");
        assert_int_equal(tokens_issue(f.security, &who, ROLE_ADMIN, 900000, token[i], sizeof token[i], &at, &e), 0);
        assert_int_equal(status_with(token[i]), 200);
    }
    assert_int_equal(sessions_end(f.security, ended.id, &e), 0);
    refused(token[0], "logged out");
    assert_int_equal(status_with(token[1]), 200);
    fixture_pass(60001);
    refused(token[1], "the session's key expired");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(a_token_stands_for_its_key),
        T(o44_the_forgers_tools_work),
        T(o44_the_algorithm_is_the_keys),
        T(o44_a_public_key_is_no_secret),
        T(o44_a_kid_only_names_keys_of_ours),
        T(o44_expiry_is_a_whole_number_soon),
        T(o44_other_claims_count_too),
        T(o44_any_changed_letter_is_refused),
        T(it_ends),
        T(rotation_keeps_old_tokens_till_they_end),
        T(a_retired_key_signs_nothing_new),
        T(a_revoked_or_expired_key_takes_its_tokens_along),
        T(a_sessions_token_ends_with_it_and_with_its_key),
    };
    return cmocka_run_group_tests_name("security_tokens", tests, NULL, NULL);
}
