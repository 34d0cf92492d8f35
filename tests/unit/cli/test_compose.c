/* Compose's texts and forms at their edges. What a whole project becomes is held against Compose itself in the scenario
 * tests; here is what no good file shows: limits, refusals, empty lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "cli/compose/compose_form.h"
#include "cli/compose/compose_request.h"
#include "cli/compose/compose_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* `wanted`: the text, or what the refusal says. */
static void interpolates(const char *text, const char *wanted)
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *variables = json_pack("{s:s, s:s, s:s}", "A", "a$b", "EMPTY", "", "N", "A");
    char *value = NULL;
    if (compose_interpolate(text, variables, NULL, &value, &e) < 0)
        assert_non_null(strstr(e.message, wanted));
    else
        assert_string_equal(value, wanted);
    free(value);
}

static void test_variables_in_values(void **state UNUSED)
{
    interpolates("", "");
    interpolates("$A-${A}-$$A-$EMPTY-$NONE.", "a$b-a$b-$A--.");
    interpolates("${EMPTY-d} ${EMPTY:-d} ${NONE-d}", " d d");
    interpolates("${A:+yes}${NONE+no}${EMPTY:+no}", "yes");
    interpolates("${NONE:-${EMPTY:-${A}}}", "a$b");
    interpolates("${NONE:?say it, ${N}}", "the variable NONE is required: say it, A");
    interpolates("${EMPTY?never}", "");
    interpolates("$", "is no variable");
    interpolates("${", "is no variable");
    interpolates("${}", "is no variable");
    interpolates("${A", "is no variable");
    interpolates("${A:", "is no variable");
    interpolates("${A:}", "is no variable");
    interpolates("${1}", "is no variable");
    interpolates("$1", "is no variable");
}

static void test_nesting_has_a_limit(void **state UNUSED)
{
    _cleanup_buf_ struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < 20; i++)
        (void)buf_puts(&text, "${NONE:-");
    for (int i = 0; i < 20; i++)
        (void)buf_puts(&text, "}");
    interpolates(buf_str(&text), "nested too deeply");
}

/* `wanted`: the variables as compact JSON, or what the refusal says. */
static void reads(const char *text, bool raw, const char *wanted)
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *outer = json_pack("{s:s}", "OUTER", "o"), *out = json_object();
    if (compose_read_variables(text, outer, raw, out, &e) < 0) {
        assert_non_null(strstr(e.message, wanted));
        return;
    }
    _cleanup_free_ char *dump = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(dump, wanted);
}

static void test_files_of_variables(void **state UNUSED)
{
    reads("", false, "{}");
    reads("\xEF\xBB\xBF# a comment\n\n  export A = b c  # d\r\nB: x", false, "{\"A\":\"b c\",\"B\":\"x\"}");
    reads("A=#abc\nB= #abc\nC=x#y # z\n", false, "{\"A\":\"#abc\",\"B\":\"#abc\",\"C\":\"x#y\"}");
    reads("A='it\\'s $X'\nB='a\\\\'\nC=\"\\$X \\n\\\"\\q\"", false,
          "{\"A\":\"it's $X\",\"B\":\"a\\\\\\\\\",\"C\":\"$X \\n\\\"\\\\q\"}");
    reads("A=1\nB=$A$OUTER\nOUTER\nABSENT\n", false, "{\"A\":\"1\",\"B\":\"1o\",\"OUTER\":\"o\"}");
    reads("A=pa$$word 'x' #\nB=\r\n", true, "{\"A\":\"pa$$word 'x' #\",\"B\":\"\"}");
    reads("A='1\n2'\nB=\"x", false, "line 3: the quote is not closed");
    reads("A='1' 2", false, "line 1: something stands behind the closing quote");
    reads("A\nB C", false, "line 2: a line is NAME=value");
    reads("\n=x", false, "line 2: a line is NAME=value");
    reads("A=${", false, "line 1: A: ");
}

static void splits(const char *text, const char *wanted)
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *words = NULL;
    if (compose_split_words(text, &words, &e) < 0) {
        assert_non_null(strstr(e.message, wanted));
        return;
    }
    _cleanup_free_ char *dump = json_dumps(words, JSON_COMPACT);
    assert_string_equal(dump, wanted);
}

static void test_words(void **state UNUSED)
{
    splits("", "[]");
    splits("  ", "[]");
    splits("a 'b c' \"d \\\" $e\" f\\ g ''", "[\"a\",\"b c\",\"d \\\" $e\",\"f g\",\"\"]");
    splits("a 'b", "quote that is not closed");
}

/* `yaml`: a service's one field; `wanted`: its one form as compact JSON, or what the refusal says. */
static void forms(const char *yaml, const char *wanted)
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *service = NULL;
    assert_int_equal(
        yaml_load_lines(yaml, strlen(yaml), (struct yaml_options){ .octal_zero = true }, &service, NULL, &e), 0);
    if (compose_form_service(service, "s", "/dir", &e) < 0) {
        assert_non_null(strstr(e.message, wanted));
        return;
    }
    _cleanup_free_ char *dump =
        json_dumps(json_object_iter_value(json_object_iter(service)), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    assert_string_equal(dump ? dump : "absent", wanted);
}

#define PORT(fields) "[{" fields "}]"
static void test_ports(void **state UNUSED)
{
    forms("ports: []", "[]");
    forms("ports: [80]", PORT("\"mode\":\"ingress\",\"protocol\":\"tcp\",\"target\":80"));
    forms("ports: ['[::1]:8080:80/udp']",
          PORT("\"host_ip\":\"::1\",\"mode\":\"ingress\",\"protocol\":\"udp\",\"published\":"
               "\"8080\",\"target\":80"));
    forms("ports: ['::1:8080:80']", PORT("\"host_ip\":\"::1\",\"mode\":\"ingress\",\"protocol\":\"tcp\",\"published\":"
                                         "\"8080\",\"target\":80"));
    forms("ports: ['127.0.0.1::80']",
          PORT("\"host_ip\":\"127.0.0.1\",\"mode\":\"ingress\",\"protocol\":\"tcp\",\"target\":80"));
    forms("ports: ['30000-30009:80', '30000-30009:80']",
          PORT("\"mode\":\"ingress\",\"protocol\":\"tcp\",\"published\":\"30000-30009\",\"target\":80"));
    forms("ports: ['8080:80:90']", "services.s.ports: \"8080:80:90\" has no IP address in front");
    forms("ports: ['127.0.0.1:80']", "is no port");
    forms("ports: ['80/foo']", "of no protocol");
    forms("ports: ['8000-8002:80-81']", "two ranges that differ");
    forms("ports: ['1-65535:1-65535']", "more than 1024 ports");
    forms("ports: ['65536']", "is no range");
    forms("ports: ['0']", "names no port");
    forms("ports: ['']", "is no port");
    forms("ports: [{published: 1}]", "needs a target port");
    forms("ports: 80", "must be a list");
}

static void test_other_forms(void **state UNUSED)
{
    forms("memswap_limit: -1", "\"-1\"");
    forms("mem_limit: -1", "must be a size");
    forms("mem_limit: 1.5gb", "\"1610612736\"");
    forms("mem_limit: inf", "must be a size");
    forms("stop_grace_period: 90s", "\"1m30s\"");
    forms("stop_grace_period: nans", "must be a duration");
    forms("stop_grace_period: 5", "must be a duration");
    forms("extra_hosts: ['a:1.1.1.1', 'a=[::1]']", "[\"a=1.1.1.1\",\"a=::1\"]");
    forms("extra_hosts: {a: [1.1.1.1, '::1']}", "[\"a=1.1.1.1\",\"a=::1\"]");
    forms("extra_hosts: [a]", "a has no address");
    forms("secrets: [{source: t, target: x, mode: 0440}]", "[{\"mode\":\"0440\",\"source\":\"t\",\"target\":\"x\"}]");
    forms("secrets: [{source: t, target: x, mode: 0o400}]", "[{\"mode\":\"0400\",\"source\":\"t\",\"target\":\"x\"}]");
    forms("secrets: [{source: t, target: x, mode: '9'}]", "a mode is octal");
    forms("volumes: ['.data:/x']", "[{\"source\":\"/dir/.data\",\"target\":\"/x\",\"type\":\"bind\"}]");
    forms("volumes: ['../a/./b:/x:ro']",
          "[{\"read_only\":true,\"source\":\"/a/b\",\"target\":\"/x\",\"type\":\"bind\"}]");
    forms("volumes: [{source: v}]", "needs a target");
    forms("environment: [A=1=2, B]", "{\"A\":\"1=2\",\"B\":null}");
    forms("environment: {A: 0123, B: true, C: }", "{\"A\":\"83\",\"B\":\"true\",\"C\":null}");
    forms("environment: {A: [1]}", "A must be a text");
    forms("depends_on: {a: {condition: service_ready}}", "which is none of");
    forms("healthcheck: {tset: x}", "Compose knows no healthcheck.tset");
    forms("ulimits: {nofile: {soft: 1}}", "must be a number");
    forms("command: null", "absent");
    forms("x-own: 1", "absent");
}

static void test_merging(void **state UNUSED)
{
    _cleanup_json_ json_t *base = NULL, *over = NULL;
    struct error e = ERROR_INIT;
    const char *one = "{command: [a], ports: [1, 2], volumes: [{source: x, target: /t}], environment: {A: '1'}}";
    const char *two = "{command: [], ports: [2, 3], volumes: [{source: y, target: /t}], environment: {B: '2'}}";
    assert_int_equal(yaml_load(one, strlen(one), &base, &e), 0);
    assert_int_equal(yaml_load(two, strlen(two), &over, &e), 0);
    assert_int_equal(compose_merge(base, over, ""), 0);
    _cleanup_free_ char *dump = json_dumps(base, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(dump, "{\"command\":[],\"environment\":{\"A\":\"1\",\"B\":\"2\"},\"ports\":[1,2,3],"
                              "\"volumes\":[{\"source\":\"y\",\"target\":\"/t\"}]}");
}

static void named(const char *prefix, const char *name, const char *wanted)
{
    _cleanup_free_ char *got = compose_service_name(prefix, name);
    assert_string_equal(got, wanted);
}

static void test_names(void **state UNUSED)
{
    named("shop", "web", "shop-web");
    named("shop", "shop", "shop");
    named("shop", "shop_db", "shop-db");
    named("shop", "shopping", "shop-shopping");
    named("", "My_App.2", "my-app-2");
    named("", "9lives", "s-9lives");
}

/* A project of one file; `wanted`: what the refusal says, NULL: it is read. */
static void loads(const char *yaml, const char *wanted)
{
    char path[] = "/tmp/hbcloud-compose-XXXXXX";
    int fd = mkstemp(path);
    struct compose_options options = { .files = { path }, .n_files = 1, .project = "p" };
    struct compose c = { 0 };
    struct error e = ERROR_INIT;
    assert_true(fd >= 0 && write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
    (void)close(fd);
    int r = compose_load(&options, &c, &e);
    (void)unlink(path);
    compose_done(&c);
    assert_string_equal(wanted && strstr(e.message, wanted) ? wanted : e.message, wanted ? wanted : "");
    assert_int_equal(r < 0, wanted != NULL);
}

static void test_depth_and_empty_projects(void **state UNUSED)
{
    _cleanup_buf_ struct buf chain;
    buf_init(&chain, 0);
    (void)buf_puts(&chain, "services:\n  s0: {image: x}\n");
    for (int i = 1; i < 40; i++)
        (void)buf_printf(&chain, "  s%d: {extends: s%d}\n", 40 - i, 39 - i);
    loads(buf_str(&chain), "more than 16 services extend each other");
    loads("services: {a: {image: x}, b: {extends: a}}", NULL);
    loads("services: {a: {extends: a}}", "circle");
    loads("services:\n", "no service is defined");
    loads("services: []", "services must be a map");
    loads("services: {a: }", "neither an image nor a build");
    loads("services: {a: {image: x}}\ninclude: [{path: []}]", "include: must name files");
    loads("services: {a: {image: x}}\ninclude: [5]", "include: must name files");
    loads("[]", "is no Compose file");
    loads("", "is no Compose file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables_in_values),
        cmocka_unit_test(test_nesting_has_a_limit),
        cmocka_unit_test(test_files_of_variables),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_depth_and_empty_projects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
