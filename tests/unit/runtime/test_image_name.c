/* The parts of an image reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/image_name.h"

#include "base/str.h"

#include <stdio.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void references_come_apart_and_together(void **state)
{
    static const struct {
        const char *reference, *tag, *name, *parsed_tag, *digest, *whole, *registry;
    } cases[] = {
        { "nginx", NULL, "nginx", "latest", "", "nginx:latest", "docker.io" },
        { "nginx:1.25", NULL, "nginx", "1.25", "", "nginx:1.25", "docker.io" },
        { "nginx", "1.25", "nginx", "1.25", "", "nginx:1.25", "docker.io" },
        { "nginx:1.25", "1.25", "nginx", "1.25", "", "nginx:1.25", "docker.io" },
        { "library/nginx", NULL, "library/nginx", "latest", "", "library/nginx:latest", "docker.io" },
        { "localhost/web", NULL, "localhost/web", "latest", "", "localhost/web:latest", "localhost" },
        { "localhost:5000/web", NULL, "localhost:5000/web", "latest", "", "localhost:5000/web:latest",
          "localhost:5000" },
        { "r.example.org:5000/a/b:v1", NULL, "r.example.org:5000/a/b", "v1", "", "r.example.org:5000/a/b:v1",
          "r.example.org:5000" },
        { "ghcr.io/a/b", "x", "ghcr.io/a/b", "x", "", "ghcr.io/a/b:x", "ghcr.io" },
        { "web@sha256:" HEX, NULL, "web", "", "sha256:" HEX, "web@sha256:" HEX, "docker.io" },
        { "r:5000/web:1@sha256:" HEX, NULL, "r:5000/web", "1", "sha256:" HEX, "r:5000/web@sha256:" HEX, "r:5000" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct image_name n;
        char whole[700], registry[256];
        assert_int_equal(image_name_parse(cases[i].reference, cases[i].tag, &n, NULL), 0);
        assert_string_equal(n.name, cases[i].name);
        assert_string_equal(n.tag, cases[i].parsed_tag);
        assert_string_equal(n.digest, cases[i].digest);
        image_name_reference(&n, whole, sizeof whole);
        assert_string_equal(whole, cases[i].whole);
        image_name_registry(&n, registry, sizeof registry);
        assert_string_equal(registry, cases[i].registry);
    }
}

static void refused(const char *reference, const char *tag, const char *pointer)
{
    struct image_name n = { .name = "untouched" };
    struct error e = ERROR_INIT;
    if (image_name_parse(reference, tag, &n, &e) != -ERR_VALIDATION || !json_object_get(e.details, pointer))
        fail_msg("%s %s", reference, tag ? tag : "");
    assert_string_equal(n.name, "untouched");
    error_done(&e);
}

static void what_cannot_be_deployed_is_refused_by_field(void **state)
{
    static const char *const bad[] = { "",
                                       ":1",
                                       "nginx:",
                                       "web@",
                                       "web@sha256:",
                                       "web@md5:0123",
                                       "web@sha256:" HEX "0",
                                       "@sha256:" HEX,
                                       "web@sha256:z123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                       "web@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused(bad[i], NULL, "/container/image");
    refused("nginx:1", "2", "/container/tag");
    refused("web@sha256:" HEX, "2", "/container/tag");
    char long_name[700], long_tag[400];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    refused(long_name, NULL, "/container/image");
    (void)snprintf(long_tag, sizeof long_tag, "web:%.200s", long_name);
    refused(long_tag, NULL, "/container/image");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_come_apart_and_together),
        cmocka_unit_test(what_cannot_be_deployed_is_refused_by_field),
    };
    return cmocka_run_group_tests_name("image_name", tests, NULL, NULL);
}
