/* TLS to a real engine (HB_TEST_DOCKER_HOST, HB_TEST_DOCKER_CERTS) and who is not let through: certificates of another
 * authority (HB_TEST_STRANGER_CERTS), another name (localhost at HB_TEST_PORT, where the certificate holds an address alone). */
#include "base/str.h"
#include "integrations/docker/docker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* By TLS 1.3 an engine looks at our certificate after the handshake; its reason is lost when it closes while we send. */
#define REFUSED 1

static void asked(const struct docker_engine_options *o, int want, const char *words)
{
    struct container_engine *g = NULL;
    struct engine_info i;
    struct error e = ERROR_INIT;
    int r = docker_engine_open(o, &g, &e);
    if (r == 0) {
        r = g->ops->info(g, &i, &e);
        g->ops->free(g);
    }
    print_message("[ words    ] %s\n", e.message);
    bool as_wanted = want == REFUSED ? r == -(int)ERR_UPSTREAM || r == -(int)ERR_UNAVAILABLE : r == want;
    if (!as_wanted || !strstr(e.message, words))
        fail_msg("%d and not %d: %s", r, want, e.message);
    error_done(&e);
}

static char *file_in(const char *folder, const char *name)
{
    char *path = str_printf("%s/%s", getenv(folder), name);
    assert_non_null(path);
    return path;
}

static void the_right_certificates_are_let_through(void **state)
{
    _cleanup_free_ char *ca = file_in("HB_TEST_DOCKER_CERTS", "ca.pem"),
                        *cert = file_in("HB_TEST_DOCKER_CERTS", "cert.pem"),
                        *key = file_in("HB_TEST_DOCKER_CERTS", "key.pem");
    const char *host = getenv("HB_TEST_DOCKER_HOST");
    asked(&(struct docker_engine_options){ .host = host, .certificates = getenv("HB_TEST_DOCKER_CERTS") }, 0, "");
    asked(
        &(struct docker_engine_options){
            .host = host, .authority.file = ca, .certificate.file = cert, .key.file = key },
        0, "");
}

static void an_engine_of_another_authority_is_not_trusted(void **state)
{
    asked(&(struct docker_engine_options){ .host = getenv("HB_TEST_DOCKER_HOST"),
                                           .certificates = getenv("HB_TEST_STRANGER_CERTS") },
          -(int)ERR_UPSTREAM, "not to be trusted");
}

static void the_system_authorities_do_not_know_it(void **state)
{
    _cleanup_free_ char *cert = file_in("HB_TEST_DOCKER_CERTS", "cert.pem"),
                        *key = file_in("HB_TEST_DOCKER_CERTS", "key.pem");
    asked(&(struct docker_engine_options){ .host = getenv("HB_TEST_DOCKER_HOST"),
                                           .certificate.file = cert,
                                           .key.file = key },
          -(int)ERR_UPSTREAM, "not to be trusted");
}

static void a_hub_without_or_with_a_strange_certificate_is_refused(void **state)
{
    _cleanup_free_ char *ca = file_in("HB_TEST_DOCKER_CERTS", "ca.pem"),
                        *cert = file_in("HB_TEST_STRANGER_CERTS", "cert.pem"),
                        *key = file_in("HB_TEST_STRANGER_CERTS", "key.pem");
    const char *host = getenv("HB_TEST_DOCKER_HOST");
    asked(&(struct docker_engine_options){ .host = host, .authority.file = ca }, REFUSED, "certificate");
    asked(
        &(struct docker_engine_options){
            .host = host, .authority.file = ca, .certificate.file = cert, .key.file = key },
        REFUSED, "certificate");
}

static void a_name_that_the_certificate_does_not_hold_is_not_trusted(void **state)
{
    char host[64];
    (void)snprintf(host, sizeof host, "tcp://localhost:%s", getenv("HB_TEST_PORT"));
    asked(&(struct docker_engine_options){ .host = host, .certificates = getenv("HB_TEST_DOCKER_CERTS") },
          -(int)ERR_UPSTREAM, "not to be trusted");
}

static void what_cannot_be_read_or_does_not_belong_together_is_said_at_the_opening(void **state)
{
    struct container_engine *g = NULL;
    struct error e = ERROR_INIT;
    struct docker_engine_options missing = { .host = "tcp://x:1", .certificates = "/nowhere" };
    struct docker_engine_options half = { .host = "tcp://x:1", .certificate.file = "/etc/hostname" };
    assert_int_equal(docker_engine_open(&missing, &g, &e), -(int)ERR_VALIDATION);
    assert_non_null(strstr(e.message, "/nowhere/ca.pem"));
    assert_int_equal(docker_engine_open(&half, &g, &e), -(int)ERR_VALIDATION);
    assert_null(g);
    error_done(&e);
}

int main(void)
{
    const struct CMUnitTest pure[] = { cmocka_unit_test(
        what_cannot_be_read_or_does_not_belong_together_is_said_at_the_opening) };
    const struct CMUnitTest real[] = { cmocka_unit_test(the_right_certificates_are_let_through),
                                       cmocka_unit_test(an_engine_of_another_authority_is_not_trusted),
                                       cmocka_unit_test(the_system_authorities_do_not_know_it),
                                       cmocka_unit_test(a_hub_without_or_with_a_strange_certificate_is_refused),
                                       cmocka_unit_test(a_name_that_the_certificate_does_not_hold_is_not_trusted) };
    int failed = cmocka_run_group_tests_name("docker-tls", pure, NULL, NULL);
    return getenv("HB_TEST_DOCKER_CERTS") ? failed + cmocka_run_group_tests_name("docker-tls-live", real, NULL, NULL)
                                          : failed;
}
