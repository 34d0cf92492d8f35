/* Portainer: what is refused at the opening; and with a server that answers by its contract (HB_TEST_PORTAINER_URL, _TOKEN,
 * _ENDPOINT its endpoint's name) who is let through, and that an endpoint that is gone takes no container with it. */
#include "base/str.h"
#include "integrations/portainer/portainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void what_cannot_be_is_refused_at_the_opening(void **state)
{
    _cleanup_secret_ struct secret *token = secret_new("ptr_x", 5), *broken = secret_new("a\r\nX: y", 7),
                                   *none = secret_new("", 0);
    const struct portainer_options bad[] = {
        { .url = "https://p:9443", .token.bytes = token },
        { .url = "unix:///var/run/docker.sock", .token.bytes = token, .endpoint = 1 },
        { .url = "https://", .token.bytes = token, .endpoint = 1 },
        { .url = "https://p/../x", .token.bytes = token, .endpoint = 1 },
        { .url = "https://p?x", .token.bytes = token, .endpoint = 1 },
        { .url = "https://p", .token.bytes = broken, .endpoint = 1 },
        { .url = "https://p", .token.bytes = none, .endpoint = 1 },
        { .url = "https://p", .endpoint = 1 },
        { .token.bytes = token, .endpoint = 1 },
    };
    struct container_engine *g = NULL;
    struct error e = ERROR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (portainer_engine_open(&bad[i], &g, &e) != -(int)ERR_VALIDATION)
            fail_msg("%zu was taken", i);
    assert_null(g);
    error_done(&e);
}

static void asked(const struct portainer_options *o, const char *words)
{
    struct container_engine *g = NULL;
    struct engine_info i;
    struct error e = ERROR_INIT;
    int r = portainer_engine_open(o, &g, &e);
    if (r == 0) {
        r = g->ops->info(g, &i, &e);
        g->ops->free(g);
    }
    print_message("[ words    ] %s\n", e.message);
    if (*words ? r >= 0 || !strstr(e.message, words) : r < 0)
        fail_msg("%d: %s", r, e.message);
    error_done(&e);
}

static void the_token_and_the_endpoint_decide(void **state)
{
    const char *url = getenv("HB_TEST_PORTAINER_URL"), *token = getenv("HB_TEST_PORTAINER_TOKEN");
    const char *endpoint = getenv("HB_TEST_PORTAINER_ENDPOINT");
    _cleanup_secret_ struct secret *right = secret_new(token, strlen(token)), *wrong = secret_new("ptr_canary", 10);
    asked(&(struct portainer_options){ .url = url, .token.bytes = right, .endpoint_name = endpoint }, "");
    asked(&(struct portainer_options){ .url = url, .token.bytes = wrong, .endpoint_name = endpoint },
          "refused the access token (401)");
    asked(&(struct portainer_options){ .url = url, .token.bytes = wrong, .endpoint = 3 },
          "The access token was refused (401)");
    asked(&(struct portainer_options){ .url = url, .token.bytes = right, .endpoint_name = "elsewhere" },
          "no endpoint named elsewhere");
    asked(&(struct portainer_options){ .url = url, .token.bytes = right, .endpoint = 99 },
          "Unable to find an environment");
}

static void an_endpoint_that_is_gone_is_not_a_container_that_is_gone(void **state)
{
    const char *token = getenv("HB_TEST_PORTAINER_TOKEN");
    _cleanup_secret_ struct secret *right = secret_new(token, strlen(token));
    const struct portainer_options o = { .url = getenv("HB_TEST_PORTAINER_URL"), .token.bytes = right, .endpoint = 99 };
    struct container_engine *g = NULL;
    struct engine_container c;
    struct error e = ERROR_INIT;
    assert_int_equal(portainer_engine_open(&o, &g, &e), 0);
    assert_int_equal(g->ops->remove(g, "web", true, &e), -(int)ERR_UPSTREAM);
    assert_int_equal(g->ops->inspect(g, "web", &c, &e), -(int)ERR_UPSTREAM);
    g->ops->free(g);
    error_done(&e);
}

int main(void)
{
    const struct CMUnitTest pure[] = { cmocka_unit_test(what_cannot_be_is_refused_at_the_opening) };
    const struct CMUnitTest real[] = { cmocka_unit_test(the_token_and_the_endpoint_decide),
                                       cmocka_unit_test(an_endpoint_that_is_gone_is_not_a_container_that_is_gone) };
    int failed = cmocka_run_group_tests_name("portainer", pure, NULL, NULL);
    return getenv("HB_TEST_PORTAINER_URL") ? failed + cmocka_run_group_tests_name("portainer-standin", real, NULL, NULL)
                                           : failed;
}
