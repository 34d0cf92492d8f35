/* The vault: what it seals opens again only here, for the same purpose, unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

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

static uint8_t *seal(const char *context, const char *text, size_t *ret_len)
{
    uint8_t *sealed = NULL;
    assert_int_equal(vault_seal(f.vault, context, text, strlen(text), &sealed, ret_len, NULL), 0);
    return sealed;
}

static void opens_what_it_sealed(void **state)
{
    static const char *const texts[] = { "", "x", "a longer text with \xc3\xbc" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t len = 0, n = 0;
        _cleanup_secret_ struct secret *plain = NULL;
        _cleanup_free_ uint8_t *sealed = seal("release:1", texts[i], &len);
        assert_int_equal(vault_unseal(f.vault, "release:1", sealed, len, &plain, NULL), 0);
        assert_string_equal(secret_reveal(plain, &n), texts[i]);
        assert_int_equal(n, strlen(texts[i]));
    }
}

static void never_seals_the_same_way_twice(void **state)
{
    size_t len = 0;
    _cleanup_free_ uint8_t *one = seal("c", "the same", &len), *two = seal("c", "the same", &len);
    assert_memory_not_equal(one, two, len);
    assert_null(memmem(one, len, "same", 4));
}

static void refuses(const char *context, const uint8_t *sealed, size_t len)
{
    struct error e = ERROR_INIT;
    struct secret *plain = NULL;
    assert_int_equal(vault_unseal(f.vault, context, sealed, len, &plain, &e), -ERR_INTERNAL);
    assert_null(plain);
    assert_true(e.message[0]);
}

static void refuses_another_context(void **state)
{
    size_t len = 0;
    _cleanup_free_ uint8_t *sealed = seal("release:1", "secret", &len);
    refuses("release:2", sealed, len);
    refuses("release:", sealed, len);
    refuses("release:1 ", sealed, len);
}

static void refuses_every_changed_byte_and_every_cut(void **state)
{
    size_t len = 0;
    _cleanup_free_ uint8_t *sealed = seal("c", "secret", &len);
    for (size_t i = 0; i < len; i++) {
        sealed[i] ^= 1;
        refuses("c", sealed, len);
        sealed[i] ^= 1;
    }
    for (size_t n = 0; n < len; n++)
        refuses("c", sealed, n);
    refuses("c", NULL, 0);
}

static void another_master_key_opens_nothing(void **state)
{
    char path[128];
    size_t len = 0;
    uint8_t before[VAULT_HASH_LEN], after[VAULT_HASH_LEN];
    _cleanup_free_ uint8_t *sealed = seal("c", "secret", &len);
    vault_hash(f.vault, "x", "abc", 3, before);
    (void)snprintf(path, sizeof path, "%s/hub.secret", f.dir);
    struct vault *mine = f.vault;
    assert_int_equal(remove(path), 0);
    assert_int_equal(vault_open(f.dir, &f.vault, NULL), 0);
    refuses("c", sealed, len);
    vault_hash(f.vault, "x", "abc", 3, after);
    assert_memory_not_equal(before, after, sizeof before);
    vault_close(mine);
}

static void hashes_differ_by_context_and_where_it_ends(void **state)
{
    uint8_t a[VAULT_HASH_LEN], b[VAULT_HASH_LEN], again[VAULT_HASH_LEN];
    vault_hash(f.vault, "ab", "c", 1, a);
    vault_hash(f.vault, "a", "bc", 2, b);
    vault_hash(f.vault, "ab", "c", 1, again);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_equal(a, again, sizeof a);
}

static int open_again(struct error *e)
{
    struct vault *v = NULL;
    int r = vault_open(f.dir, &v, e);
    vault_close(v);
    return r;
}

static void the_key_file_is_the_owners_alone(void **state)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/hub.secret", f.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    static const unsigned modes[] = { 0640, 0604, 0610, 0666 };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct error e = ERROR_INIT;
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(open_again(&e), -ERR_CONFLICT);
        assert_non_null(strstr(e.message, "hub.secret"));
        assert_non_null(strstr(e.message, "0600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(open_again(NULL), 0);
}

static void a_broken_key_file_is_named_and_kept(void **state)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/hub.secret", f.dir);
    static const char *const texts[] = { "", "abc\n",
                                         "zz11111111111111111111111111111111111111111111111111111111111111\n" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error e = ERROR_INIT;
        _cleanup_free_ char *kept = NULL;
        size_t len = 0;
        assert_int_equal(file_write_atomic(path, texts[i], strlen(texts[i]), 0600), 0);
        assert_int_equal(open_again(&e), -ERR_CONFLICT);
        assert_non_null(strstr(e.message, "hub.secret"));
        assert_int_equal(file_read(path, 4096, &kept, &len), 0);
        assert_string_equal(kept, texts[i]);
    }
}

/* Who lost hub.secret but kept the database is told so at start, and no secret is made anew over it. */
static void a_database_without_its_master_key_is_refused(void **state)
{
    char path[128];
    struct error e = ERROR_INIT;
    struct security *s = NULL;
    struct vault *stranger = NULL;
    (void)snprintf(path, sizeof path, "%s/hub.secret", f.dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(vault_open(f.dir, &stranger, &e), 0);
    assert_true(security_new(&(struct security_options){ .store = f.store, .vault = stranger }, &s, &e) < 0);
    assert_null(s);
    assert_non_null(strstr(e.message, "hub.secret is not the one"));
    vault_close(stranger);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(opens_what_it_sealed),
        T(never_seals_the_same_way_twice),
        T(refuses_another_context),
        T(refuses_every_changed_byte_and_every_cut),
        T(another_master_key_opens_nothing),
        T(hashes_differ_by_context_and_where_it_ends),
        T(the_key_file_is_the_owners_alone),
        T(a_broken_key_file_is_named_and_kept),
        T(a_database_without_its_master_key_is_refused),
    };
    return cmocka_run_group_tests_name("security_vault", tests, NULL, NULL);
}
