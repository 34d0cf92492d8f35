/* API keys: only a keyed hash is kept; wrong, expired and revoked ones are all the same to who tries them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <pthread.h>
#include <stdio.h>

static struct fixture f;

static int start(void **state)
{
    fixture_start(&f, &(struct fixture_options){ 0 });
    return 0;
}

static int end(void **state)
{
    fixture_end(&f);
    return 0;
}

static bool opens(const char *secret)
{
    struct key k;
    return keys_check(f.security, secret, &k, NULL) == 0;
}

static void the_owner_is_made_once(void **state)
{
    struct secret *secret = NULL;
    assert_true(opens(f.owner));
    assert_int_equal(security_make_owner(f.security, &secret, NULL), 0);
    assert_null(secret);
    fixture_reopen(&f);
    assert_true(opens(f.owner));
}

static void checks_name_the_key(void **state)
{
    char id[ID_LEN + 1], secret[64];
    struct key k;
    fixture_make_key(&f, "laptop", ROLE_OPERATOR, 0, id, secret);
    assert_int_equal(strlen(secret), 56);
    assert_true(str_starts(secret, "hbc_"));
    assert_int_equal(keys_check(f.security, secret, &k, NULL), 0);
    assert_string_equal(k.id, id);
    assert_string_equal(k.name, "laptop");
    assert_int_equal(k.role, ROLE_OPERATOR);
    assert_true(str_starts(secret, k.prefix));
    assert_in_range(k.last_used_ms, clock_now_ms() - 60000, clock_now_ms());
}

static void wrong_expired_and_revoked_are_refused_alike(void **state)
{
    char id[ID_LEN + 1], good[64], short_lived[64], changed[64];
    fixture_make_key(&f, "a", ROLE_VIEWER, 0, id, good);
    str_copy(changed, sizeof changed, good);
    changed[55] = changed[55] == 'A' ? 'B' : 'A';
    char short_id[ID_LEN + 1];
    fixture_make_key(&f, "b", ROLE_VIEWER, clock_now_ms() + 60000, short_id, short_lived);
    assert_true(opens(short_lived));
    fixture_pass(60001);
    assert_true(opens(good));
    assert_int_equal(keys_revoke(f.security, id, NULL), 0);
    const char *const bad[] = {
        "",      "hbc_", "x",         "hbc_12345678_",
        changed, good,   short_lived, "hbc_00000000_0000000000000000000000000000000000000000000"
    };
    char first[512] = "";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error e = ERROR_INIT;
        struct key k;
        assert_int_equal(keys_check(f.security, bad[i], &k, &e), -ERR_UNAUTHENTICATED);
        if (!first[0])
            str_copy(first, sizeof first, e.message);
        assert_string_equal(e.message, first);
    }
    fixture_reopen(&f);
    assert_false(opens(good));
    assert_false(opens(short_lived));
}

/* O43: whoever guesses at one key from many addresses is slowed; who has the key is not locked out. */
static void o43_failures_with_one_key_are_limited_without_locking_it_out(void **state)
{
    char id[ID_LEN + 1], secret[64], guess[64];
    int limited = 0;
    fixture_make_key(&f, "a", ROLE_VIEWER, 0, id, secret);
    for (int i = 0; i < 100; i++) {
        struct error e = ERROR_INIT;
        struct key k;
        (void)snprintf(guess, sizeof guess, "%.13s%043d", secret, i);
        int r = keys_check(f.security, guess, &k, &e);
        limited += r == -ERR_RATE_LIMITED;
        assert_true(r == -ERR_UNAUTHENTICATED || (r == -ERR_RATE_LIMITED && e.retry_after_s > 0));
    }
    assert_in_range(limited, 75, 80);
    assert_true(opens(secret));
}

static void the_last_admin_key_stays(void **state)
{
    char id[ID_LEN + 1], secret[64];
    struct error e = ERROR_INIT;
    assert_int_equal(keys_revoke(f.security, f.owner_id, &e), -ERR_CONFLICT);
    fixture_make_key(&f, "soon gone", ROLE_ADMIN, clock_now_ms() + 1000, id, secret);
    fixture_pass(2000);
    assert_int_equal(keys_revoke(f.security, f.owner_id, &e), -ERR_CONFLICT);
    fixture_make_key(&f, "second", ROLE_ADMIN, 0, id, secret);
    assert_int_equal(keys_revoke(f.security, f.owner_id, &e), 0);
    assert_int_equal(keys_revoke(f.security, f.owner_id, &e), 0); /* again: nothing changes */
    assert_int_equal(keys_revoke(f.security, id, &e), -ERR_CONFLICT);
    assert_int_equal(keys_revoke(f.security, "none", &e), -ERR_NOT_FOUND);
    assert_true(opens(secret));
}

static void *revoke(void *arg)
{
    return keys_revoke(f.security, arg, NULL) == 0 ? arg : NULL;
}

static void two_revocations_at_once_leave_one_admin(void **state)
{
    for (int i = 0; i < 20; i++) {
        char a[ID_LEN + 1], b[ID_LEN + 1], secret[64];
        pthread_t threads[2];
        void *done[2];
        struct key owner;
        fixture_make_key(&f, "a", ROLE_ADMIN, 0, a, secret);
        assert_true(keys_owner(f.security, &owner));
        str_copy(b, sizeof b, owner.id);
        assert_int_equal(pthread_create(&threads[0], NULL, revoke, a), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, revoke, b), 0);
        (void)pthread_join(threads[0], &done[0]);
        (void)pthread_join(threads[1], &done[1]);
        assert_true(!done[0] != !done[1]);
    }
}

static void *use(void *arg)
{
    for (int i = 0; i < 200; i++) {
        size_t n = 0;
        struct key k;
        (void)opens(arg);
        free(keys_list(f.security, &n));
        (void)keys_find(f.security, f.owner_id, &k, NULL);
    }
    return NULL;
}

static void keys_are_used_by_many_threads(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, f.owner), 0);
    for (int i = 0; i < 10; i++) {
        char id[ID_LEN + 1], secret[64];
        fixture_make_key(&f, "more", ROLE_VIEWER, 0, id, secret);
        assert_int_equal(keys_revoke(f.security, id, NULL), 0);
        assert_false(opens(secret));
    }
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(keys_count(f.security), 11);
}

static void the_last_use_is_written_at_most_once_a_minute(void **state)
{
    assert_true(opens(f.owner));
    int64_t first = fixture_number(&f, "SELECT last_used_at FROM api_keys");
    assert_true(first > 0);
    fixture_pass(1000);
    assert_true(opens(f.owner));
    assert_int_equal(fixture_number(&f, "SELECT last_used_at FROM api_keys"), first);
    fixture_pass(60000);
    assert_true(opens(f.owner));
    assert_true(fixture_number(&f, "SELECT last_used_at FROM api_keys") >= first + 61000);
}

/* On a loop thread nothing is written: a key whose use is due, or that is not good, is a worker's. */
static void at_once_only_a_key_seen_within_the_minute(void **state)
{
    struct key k;
    char wrong[64], id[ID_LEN + 1], other[64];
    assert_false(keys_check_at_once(f.security, f.owner, &k));
    assert_int_equal(fixture_number(&f, "SELECT COALESCE(last_used_at, 0) FROM api_keys"), 0);
    assert_true(opens(f.owner));
    assert_true(keys_check_at_once(f.security, f.owner, &k));
    assert_int_equal(k.role, ROLE_ADMIN);
    str_copy(wrong, sizeof wrong, f.owner);
    wrong[strlen(wrong) - 1] ^= 1;
    assert_false(keys_check_at_once(f.security, wrong, &k));
    fixture_make_key(&f, "laptop", ROLE_OPERATOR, 0, id, other);
    assert_true(opens(other));
    assert_true(keys_check_at_once(f.security, other, &k));
    assert_int_equal(keys_revoke(f.security, id, NULL), 0);
    assert_false(keys_check_at_once(f.security, other, &k));
    fixture_pass(61000);
    assert_false(keys_check_at_once(f.security, f.owner, &k));
    assert_true(opens(f.owner));
    assert_true(keys_check_at_once(f.security, f.owner, &k));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(the_owner_is_made_once),
        T(checks_name_the_key),
        T(wrong_expired_and_revoked_are_refused_alike),
        T(o43_failures_with_one_key_are_limited_without_locking_it_out),
        T(the_last_admin_key_stays),
        T(two_revocations_at_once_leave_one_admin),
        T(keys_are_used_by_many_threads),
        T(the_last_use_is_written_at_most_once_a_minute),
        T(at_once_only_a_key_seen_within_the_minute),
    };
    return cmocka_run_group_tests_name("security_keys", tests, NULL, NULL);
}
