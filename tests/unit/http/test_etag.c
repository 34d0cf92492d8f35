/* Entity tags: made, compared weakly and strongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/etag.h"

#include "base/str.h"

static void O28_compares_lists(void **state)
{
    static const struct {
        const char *list, *tag;
        bool weak, strong;
    } cases[] = {
        { "\"a\"", "\"a\"", true, true },
        { "W/\"a\"", "\"a\"", true, false },
        { "\"a\"", "W/\"a\"", true, false },
        { "\"b\", \"a,c\" , W/\"d\"", "\"a,c\"", true, true },
        { "\"a,c\"", "\"a\"", false, false },
        { "\"x\",W/\"a\"", "\"a\"", true, false },
        { "*", "\"a\"", true, true },
        { " * ", "\"a\"", true, true },
        { "\"a-gzip\"", "\"a\"", true, true },
        { "W/\"a-zstd\"", "\"a\"", true, false },
        { ",, \"a\"", "\"a\"", true, true },
        { "a", "\"a\"", false, false },
        { "\"a", "\"a\"", false, false },
        { "w/\"a\"", "\"a\"", false, false },
        { "\"b\" \"a\"", "\"a\"", false, false },
        { "", "\"a\"", false, false },
        { "\"*\"", "\"a\"", false, false },
        { "\"\"", "\"\"", true, true },
        { "\"A\"", "\"a\"", false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (etag_matches_weak(cases[i].list, cases[i].tag) != cases[i].weak)
            fail_msg("weak: %s and %s", cases[i].list, cases[i].tag);
        if (etag_matches_strong(cases[i].list, cases[i].tag) != cases[i].strong)
            fail_msg("strong: %s and %s", cases[i].list, cases[i].tag);
    }
}

/* Each length and each flipped bit of a short text gives a tag of its own. */
static void tags_tell_bytes_apart(void **state)
{
    enum { LENGTHS = 65, TAGS = LENGTHS + 64 * 8 };
    static char tags[TAGS][ETAG_SIZE];
    unsigned char text[LENGTHS] = { 0 };
    size_t n = 0;
    for (size_t len = 0; len < LENGTHS; len++)
        etag_of(text, len, tags[n++]);
    for (size_t bit = 0; bit < 64 * 8; bit++) {
        text[bit / 8] ^= (unsigned char)(1u << bit % 8);
        etag_of(text, 64, tags[n++]);
        text[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(tags[i], tags[j]) == 0)
                fail_msg("tags %zu and %zu are the same", i, j);
    assert_int_equal(strlen(tags[0]), 34);
    char again[ETAG_SIZE];
    etag_of(text, 64, again);
    assert_string_equal(again, tags[64]);
}

static void suffix_goes_inside_the_quotes(void **state)
{
    char tag[ETAG_SIZE] = "\"abc\"";
    etag_add_suffix(tag, "gzip");
    assert_string_equal(tag, "\"abc-gzip\"");
    memset(tag, 'x', sizeof tag);
    tag[0] = tag[ETAG_SIZE - 2] = '"';
    tag[ETAG_SIZE - 1] = '\0';
    etag_add_suffix(tag, "gzip");
    assert_int_equal(strlen(tag), ETAG_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(O28_compares_lists), cmocka_unit_test(tags_tell_bytes_apart),
                                        cmocka_unit_test(suffix_goes_inside_the_quotes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
