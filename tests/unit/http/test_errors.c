/* docs/api/errors.md says what the catalogue in base/error.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

static const char *page_path;

static void put_page(struct buf *b)
{
    (void)buf_puts(
        b,
        "# Errors\n\n"
        "Every answer of status 400 and above has this one shape (made from the catalogue in `src/base/error.h`;\n"
        "`HBCLOUD_WRITE_DOCS=1 meson test -C build errors` writes this page anew):\n\n"
        "```json\n"
        "{\n"
        "  \"error\": {\n"
        "    \"code\": \"VALIDATION_ERROR\",\n"
        "    \"message\": \"/container/image must not be empty.\",\n"
        "    \"details\": { \"/container/image\": \"must not be empty\", \"/limit\": \"must be at least 1\" },\n"
        "    \"timestamp\": \"2026-11-25T14:00:00.000Z\",\n"
        "    \"requestId\": \"01a2131a-852e-7000-a9d0-5c11d55e4f5a\",\n"
        "    \"monitoring\": {}\n"
        "  }\n"
        "}\n"
        "```\n\n"
        "`code` is for programs and never changes its meaning; `message` is one sentence for a person. `details`, where\n"
        "present, gives the reason by place: a field of the body by its JSON Pointer (`\"\"` is the whole body), a\n"
        "parameter of the path, the query or a header as `/` and its name. At most 32 are listed. `requestId` is also\n"
        "the reply's `X-Request-Id` and stands in each line of the log that belongs to the request. `monitoring` repeats\n"
        "the trace ids that the caller's own tools sent along.\n\n"
        "| code | status | meaning |\n|---|---|---|\n");
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
        (void)buf_printf(b, "| `%s` | %d | %s |\n", error_code_name((enum error_code)code),
                         error_code_status((enum error_code)code), error_code_meaning((enum error_code)code));
}

static void the_page_matches_the_catalogue(void **state)
{
    struct buf page;
    char *written = NULL;
    buf_init(&page, 0);
    put_page(&page);
    if (getenv("HBCLOUD_WRITE_DOCS"))
        assert_int_equal(file_write_atomic(page_path, page.data, page.len, 0644), 0);
    if (file_read(page_path, 1 << 20, &written, NULL) < 0 || !str_eq(written, buf_str(&page)))
        fail_msg(
            "docs/api/errors.md differs from the catalogue: HBCLOUD_WRITE_DOCS=1 meson test -C build errors writes it");
    free(written);
    buf_done(&page);
}

static void codes_are_unique(void **state)
{
    for (int i = ERR_NONE + 1; i < ERR_COUNT; i++) {
        int status = error_code_status((enum error_code)i);
        assert_in_range(status, 400, 599);
        for (int j = ERR_NONE + 1; j < i; j++)
            assert_string_not_equal(error_code_name((enum error_code)i), error_code_name((enum error_code)j));
    }
}

int main(int argc, char **argv)
{
    page_path = argc > 1 ? argv[1] : "docs/api/errors.md";
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_page_matches_the_catalogue),
                                        cmocka_unit_test(codes_are_unique) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
