/* What this machine is: the parts that can be checked from outside, and os-release's quoting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "runtime/host_facts.h"

#include <arpa/inet.h>
#include <unistd.h>

static void the_system_has_the_name_it_gives_itself(void **state)
{
    static const struct {
        const char *text, *want;
    } CASES[] = {
        { "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n", "Debian GNU/Linux 12 (bookworm)" },
        { "PRETTY_NAME='Arch Linux'", "Arch Linux" },
        { "PRETTY_NAME=Void\nID=void\n", "Void" },
        { "PRETTY_NAME=\"The \\\"best\\\" one\"\n", "The \"best\" one" },
        { "NAME=x\nOLD_PRETTY_NAME=y\n", "" },
        { "PRETTY_NAME=\n", "" },
        { "", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        char name[128] = "?";
        host_facts_os_name(CASES[i].text, name, sizeof name);
        assert_string_equal(name, CASES[i].want);
    }
    char tiny[5];
    host_facts_os_name("PRETTY_NAME=\"Debian\"", tiny, sizeof tiny);
    assert_string_equal(tiny, "Debi");
}

static void this_machine_has_its_facts(void **state)
{
    struct host_facts f;
    struct error e = ERROR_INIT;
    char hostname[256];
    assert_int_equal(gethostname(hostname, sizeof hostname), 0);
    assert_int_equal(host_facts_read(&f, &e), 0);
    assert_string_equal(f.hostname, hostname);
    assert_int_equal(f.cpu_count, sysconf(_SC_NPROCESSORS_ONLN));
    assert_true(f.memory_gb > 0.1 && f.storage_gb > 0.1);
    assert_true(f.kernel[0] && f.architecture[0]);
    assert_true(f.boot_ms > 0 && f.boot_ms <= clock_now_ms());
    for (size_t i = 0; i < f.address_count; i++) {
        struct in6_addr address;
        bool v6 = strchr(f.addresses[i], ':') != NULL;
        assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, f.addresses[i], &address), 1);
        assert_false(str_starts(f.addresses[i], "127.") || str_starts(f.addresses[i], "169.254.") ||
                     str_starts(f.addresses[i], "fe80:") || str_eq(f.addresses[i], "::1"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_has_the_name_it_gives_itself),
        cmocka_unit_test(this_machine_has_its_facts),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
