/* The audit: every write leaves an entry, and any change of the chain is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <pthread.h>
#include <stdio.h>

static struct fixture f;
static char admin[128];

static int start(void **state)
{
    fixture_start(&f, &(struct fixture_options){ .server = true });
    (void)key_header(f.owner, admin);
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

static void write_entries(int n)
{
    for (int i = 0; i < n; i++) {
        _cleanup_answer_ struct answer a = { 0 };
        fixture_ask(&f, "POST", "/v1/tokens/rotate", admin, NULL, &a);
        assert_int_equal(a.status, 200);
    }
}

static struct audit_report verify(void)
{
    struct audit_report r;
    struct error e = ERROR_INIT;
    if (audit_verify(f.store, &r, &e) < 0)
        fail_msg("%s", e.message);
    return r;
}

static void an_untouched_chain_is_good(void **state)
{
    struct audit_report empty = verify();
    assert_true(empty.ok);
    assert_int_equal(empty.checked, 0);
    write_entries(5);
    struct audit_report r = verify();
    assert_true(r.ok);
    assert_int_equal(r.checked, 5);
    assert_string_not_equal(r.head, empty.head);
    fixture_reopen(&f);
    write_entries(1);
    assert_true(verify().ok);
    assert_int_equal(verify().checked, 6);
    _cleanup_answer_ struct answer a = { 0 };
    fixture_ask(&f, "GET", "/v1/audit/verify", admin, NULL, &a);
    assert_int_equal(a.status, 200);
    assert_true(json_flag(a.body, "ok", false));
    assert_int_equal(json_int(a.body, "checked", 0), 6);
}

static void any_changed_field_is_found(void **state)
{
    static const char *const changes[] = {
        "at = at + 1",          "actor = replace(actor, 'owner', 'other')",
        "address = '1.2.3.4'",  "request_id = 'x'",
        "operation = 'other'",  "entity_type = 'x'",
        "entity_id = 'x'",      "outcome = 'denied'",
        "before_state = '{}'",  "after_state = ''",
        "after_state = '{}'",   "previous_hash = hash",
        "hash = previous_hash", "hash = upper(hash)",
    };
    write_entries(4);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        char sql[400];
        fixture_sql(&f, "CREATE TABLE kept AS SELECT * FROM audit_log");
        (void)snprintf(sql, sizeof sql, "UPDATE audit_log SET %s WHERE seq = 3", changes[i]);
        fixture_sql(&f, sql);
        struct audit_report r = verify();
        if (r.ok || r.first_bad != 3 || !r.reason[0])
            fail_msg("%s: ok %d, first bad %lld", changes[i], r.ok, (long long)r.first_bad);
        fixture_sql(&f, "DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept; DROP TABLE kept");
        assert_true(verify().ok);
    }
}

static void a_removed_an_inserted_and_a_swapped_entry_are_found(void **state)
{
    static const struct {
        const char *sql;
        int64_t first_bad;
    } cases[] = {
        { "DELETE FROM audit_log WHERE seq = 1", 2 },
        { "DELETE FROM audit_log WHERE seq = 3", 4 },
        { "DELETE FROM audit_log WHERE seq = 3; UPDATE audit_log SET seq = seq - 1 WHERE seq > 3", 3 },
        { "UPDATE audit_log SET seq = seq + 100 WHERE seq > 3; INSERT INTO audit_log SELECT 4, at, actor, address, request_id, operation, "
          "entity_type, entity_id, outcome, before_state, after_state, previous_hash, hash FROM audit_log WHERE seq = 3;"
          "UPDATE audit_log SET seq = seq - 99 WHERE seq > 100",
          4 },
        { "UPDATE audit_log SET seq = 1000 WHERE seq = 2; UPDATE audit_log SET seq = 2 WHERE seq = 3; UPDATE audit_log SET seq = 3 WHERE seq = 1000",
          2 },
        { "INSERT INTO audit_log SELECT 0, at, actor, address, request_id, operation, entity_type, entity_id, outcome, before_state, "
          "after_state, previous_hash, hash FROM audit_log WHERE seq = 1",
          0 },
    };
    write_entries(6);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fixture_sql(&f, "CREATE TABLE kept AS SELECT * FROM audit_log");
        fixture_sql(&f, cases[i].sql);
        struct audit_report r = verify();
        if (r.ok || r.first_bad != cases[i].first_bad)
            fail_msg("case %zu: ok %d, first bad %lld", i, r.ok, (long long)r.first_bad);
        fixture_sql(&f, "DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept; DROP TABLE kept");
    }
    assert_true(verify().ok);
    /* Cutting the end off leaves a chain; its head is not the one that was noted. */
    struct audit_report whole = verify();
    fixture_sql(&f, "DELETE FROM audit_log WHERE seq = 6");
    assert_true(verify().ok);
    assert_string_not_equal(verify().head, whole.head);
}

static void *write_some(void *arg)
{
    for (int i = 0; i < 15; i++) {
        struct answer a = { 0 };
        fixture_ask(&f, "POST", "/v1/tokens", admin, "{}", &a);
        answer_done(&a);
    }
    return NULL;
}

static void concurrent_writers_keep_one_chain(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, NULL), 0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    struct audit_report r = verify();
    assert_true(r.ok);
    assert_int_equal(r.checked, 60);
}

static json_t *list(const char *query, struct answer *a)
{
    char target[600];
    (void)snprintf(target, sizeof target, "/v1/audit%s", query);
    fixture_ask(&f, "GET", target, admin, NULL, a);
    if (a->status != 200)
        fail_msg("%s: %d %s", query, a->status, a->text);
    return json_at(a->body, "entries");
}

static void entries_say_who_what_and_from_where(void **state)
{
    char target[64], id[ID_LEN + 1], headers[300];
    _cleanup_answer_ struct answer made = { 0 }, gone = { 0 }, a = { 0 };
    (void)snprintf(headers, sizeof headers, "%sX-Request-Id: my-request\r\n", admin);
    fixture_ask(&f, "POST", "/v1/keys", headers, "{\"name\":\"laptop\",\"role\":\"viewer\"}", &made);
    assert_int_equal(made.status, 201);
    str_copy(id, sizeof id, json_str(made.body, "key.id"));
    (void)snprintf(target, sizeof target, "/v1/keys/%s", id);
    fixture_ask(&f, "DELETE", target, admin, NULL, &gone);
    assert_int_equal(gone.status, 204);
    json_t *entries = list("", &a);
    assert_int_equal(json_array_size(entries), 2);
    json_t *revoked = json_array_get(entries, 0), *created = json_array_get(entries, 1);
    assert_string_equal(json_str(created, "operation"), "createKey");
    assert_string_equal(json_str(created, "actor.name"), "owner");
    assert_string_equal(json_str(created, "actor.id"), f.owner_id);
    assert_string_equal(json_str(created, "address"), "127.0.0.1");
    assert_string_equal(json_str(created, "requestId"), "my-request");
    assert_string_equal(json_str(created, "entityType"), "key");
    assert_string_equal(json_str(created, "entityId"), id);
    assert_string_equal(json_str(created, "outcome"), "success");
    assert_true(json_is_null(json_at(created, "before")));
    assert_string_equal(json_str(created, "after.name"), "laptop");
    assert_false(json_flag(revoked, "before.revoked", true));
    assert_true(json_flag(revoked, "after.revoked", false));
    assert_string_equal(json_str(revoked, "previousHash"), json_str(created, "hash"));
}

static void refused_writes_are_entries_too_and_reads_are_not(void **state)
{
    char id[ID_LEN + 1], secret[64], viewer[128];
    _cleanup_answer_ struct answer denied = { 0 }, bad = { 0 }, read = { 0 }, stranger = { 0 }, a = { 0 };
    fixture_make_key(&f, "viewer", ROLE_VIEWER, 0, id, secret);
    fixture_ask(&f, "POST", "/v1/tokens/rotate", key_header(secret, viewer), NULL, &denied);
    fixture_ask(&f, "POST", "/v1/keys", admin, "{\"name\":\"\"}", &bad);
    fixture_ask(&f, "GET", "/v1/keys", admin, NULL, &read);
    fixture_ask(&f, "POST", "/v1/tokens/rotate", "", NULL,
                &stranger); /* nobody in particular: not kept, so nobody can fill the audit */
    assert_int_equal(denied.status, 403);
    assert_int_equal(bad.status, 400);
    assert_int_equal(stranger.status, 401);
    json_t *entries = list("", &a);
    assert_int_equal(json_array_size(entries), 2);
    assert_string_equal(json_str(json_array_get(entries, 0), "outcome"), "failed");
    assert_string_equal(json_str(json_array_get(entries, 1), "outcome"), "denied");
}

static void lists_filter_and_page(void **state)
{
    write_entries(7);
    fixture_pass(60000);
    struct answer made = { 0 };
    fixture_ask(&f, "POST", "/v1/keys", admin, "{\"name\":\"k\",\"role\":\"viewer\"}", &made);
    answer_done(&made);
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {
        { "?operation=createKey", 1 },
        { "?operation=rotateTokenKey", 7 },
        { "?operation=none", 0 },
        { "?actor=owner", 8 },
        { "?actor=nobody", 0 },
        { "?actor=owner&operation=createKey", 1 },
        { "?limit=3", 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_answer_ struct answer a = { 0 };
        assert_int_equal(json_array_size(list(cases[i].query, &a)), cases[i].count);
    }
    char query[600] = "?limit=3&actor=owner", at[TIME_TEXT_LEN + 1];
    int64_t expected = 8;
    for (int pages = 0; query[0]; pages++) {
        _cleanup_answer_ struct answer a = { 0 };
        size_t i;
        json_t *entry, *entries = list(query, &a);
        json_array_foreach (entries, i, entry)
            assert_int_equal(json_int(entry, "seq", 0), expected--);
        const char *next = json_str(a.body, "next");
        query[0] = '\0';
        if (next)
            (void)snprintf(query, sizeof query, "?limit=3&actor=owner&cursor=%s", next);
        assert_true(pages < 3);
    }
    assert_int_equal(expected, 0);
    (void)time_format(clock_now_ms() - 30000, at);
    (void)snprintf(query, sizeof query, "?from=%s", at);
    _cleanup_answer_ struct answer later = { 0 }, earlier = { 0 }, wrong = { 0 };
    assert_int_equal(json_array_size(list(query, &later)), 1);
    (void)snprintf(query, sizeof query, "?to=%s", at);
    assert_int_equal(json_array_size(list(query, &earlier)), 7);
    fixture_ask(&f, "GET", "/v1/audit?from=2026-13-45T99:00:00Z", admin, NULL, &wrong);
    assert_int_equal(wrong.status, 400);
    assert_non_null(strstr(wrong.text, "\"/from\""));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(an_untouched_chain_is_good),
        T(any_changed_field_is_found),
        T(a_removed_an_inserted_and_a_swapped_entry_are_found),
        T(concurrent_writers_keep_one_chain),
        T(entries_say_who_what_and_from_where),
        T(refused_writes_are_entries_too_and_reads_are_not),
        T(lists_filter_and_page),
    };
    return cmocka_run_group_tests_name("security_audit", tests, NULL, NULL);
}
