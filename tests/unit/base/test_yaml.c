/* YAML to JSON values: the core schema's rules, the bounds, errors and lines by place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value as compact JSON, or the reason of the refusal. */
static void expect(const char *text, const char *wanted)
{
    struct error e = ERROR_INIT;
    json_t *value = NULL;
    char *dump;

    if (yaml_load(text, strlen(text), &value, &e) < 0) {
        assert_null(value);
        assert_int_equal(e.code, ERR_MALFORMED);
        assert_string_equal(e.message, wanted);
        return;
    }
    dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    assert_string_equal(dump, wanted);
    free(dump);
    json_decref(value);
}

static void test_core_schema(void **state)
{
    expect("[yes, no, on, off, y, n, Yes, ON]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"Yes\",\"ON\"]");
    expect("[true, True, TRUE, false, False, FALSE, tRue]", "[true,true,true,false,false,false,\"tRue\"]");
    expect("[null, Null, NULL, ~, , nULL]",
           "line 1, column 23: did not find expected node content, while parsing a flow node");
    expect("[null, Null, NULL, ~, nULL]", "[null,null,null,null,\"nULL\"]");
    expect("a:\nb: ''", "{\"a\":null,\"b\":\"\"}");
    expect("[0, -7, +7, 007, 0o17, 0xfF, 1_000, 0b1]", "[0,-7,7,7,15,255,\"1_000\",\"0b1\"]");
    expect("[1.5, -.5, 1., 1e3, 1.25E-1, ., .e3, 1e, e3]", "[1.5,-0.5,1.0,1000.0,0.125,\".\",\".e3\",\"1e\",\"e3\"]");
    expect("['1', \"true\", 'null']", "[\"1\",\"true\",\"null\"]");
    expect("[1:30, -]", "[\"1:30\",\"-\"]");
    expect("[12:30:45, 2026-01-31, 1.2.3, 0x, 10.0.0.1/8]",
           "[\"12:30:45\",\"2026-01-31\",\"1.2.3\",\"0x\",\"10.0.0.1/8\"]");
    expect("[9223372036854775807, -9223372036854775808]", "[9223372036854775807,-9223372036854775808]");
    expect("a: 9223372036854775808",
           "line 1, column 4: 9223372036854775808 does not fit 64 bits; quote it if it is text");
    expect("a: .inf", "line 1, column 4: .inf is not a number JSON knows; quote it if it is text");
    expect("a: 1e999", "line 1, column 4: 1e999 is too large for a number");
    expect("200: ok\ntrue: x\n~: y", "{\"200\":\"ok\",\"true\":\"x\",\"~\":\"y\"}");
    expect("a: |\n  one\n  two\nb: >-\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\"}");
    expect("", "null");
    expect("# nothing\n", "null");
    expect("--- \n...\n", "null");
    expect("\xef\xbb\xbf"
           "a: 1",
           "{\"a\":1}");
    expect("a: \"x\\0y\"", "{\"a\":\"x\\u0000y\"}");
}

static void test_tags(void **state)
{
    expect("a: !!str 5", "{\"a\":\"5\"}");
    expect("a: ! 5", "{\"a\":\"5\"}");
    expect("a: !!int '5'", "{\"a\":5}");
    expect("a: !!float 5", "{\"a\":5}");
    expect("a: !!int five", "line 1, column 4: five is not of the type !!int");
    expect("a: !!map {b: 1}", "{\"a\":{\"b\":1}}");
    expect("a: !!binary aGk=", "line 1, column 4: the tag tag:yaml.org,2002:binary is not known here");
    expect("a: !!python/object:x {}", "line 1, column 4: the tag tag:yaml.org,2002:python/object:x is not known here");
    expect("a: !secret x", "line 1, column 4: the tag !secret is not known here");
}

static void test_refusals(void **state)
{
    expect("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key \"a\" is given twice");
    expect("a: 1\n--- \nb: 2\n", "line 2, column 1: a second document begins here; one is allowed");
    expect("a: [1, 2\nb: 3\n", "line 2, column 2: did not find expected ',' or ']', while parsing a flow sequence");
    expect("a:\n\t- b\n",
           "line 2, column 1: found character that cannot start any token, while scanning for the next token");
    expect("? [a]\n: b\n", "line 1, column 3: a key must be text");
    expect("\"a\\0b\": 1", "line 1, column 1: a key must not hold a zero character");
    expect("a: 1\nb: \xff\n", "line 2, column 4: invalid leading UTF-8 octet");
    expect("a: *b", "line 1, column 4: the alias *b has no anchor");
    expect("a: &a [*a]", "line 1, column 8: the alias *a stands inside what it refers to");
}

static void test_anchors(void **state)
{
    expect("a: &x {b: [1]}\nc: *x\nd: &x 5\ne: *x", "{\"a\":{\"b\":[1]},\"c\":{\"b\":[1]},\"d\":5,\"e\":5}");
    expect("base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\n",
           "{\"base\":{\"x\":1,\"y\":2},\"mine\":{\"y\":3,\"x\":1}}");
    expect("mine:\n  y: 3\n  <<: [{x: 1, y: 1}, {x: 2, z: 2}]\n", "{\"mine\":{\"y\":3,\"x\":1,\"z\":2}}");
    expect("'<<': 1", "{\"<<\":1}");
    expect("<<: 1", "line 1, column 1: << takes a mapping or a list of mappings");
    expect("<<: [{a: 1}, 2]", "line 1, column 1: << takes a mapping or a list of mappings");
    expect("<<: {a: 1}\n<<: {b: 1}", "line 2, column 1: the key << is given twice");
}

/* Each level holds nine of the one before: 9^9 values from a few lines. */
static void test_billion_laughs(void **state)
{
    char text[1000] = "a0: &a0 lol\n", line[100];
    struct error e = ERROR_INIT;
    json_t *value = NULL;

    for (int i = 1; i < 10; i++) {
        int p = i - 1;
        snprintf(line, sizeof line, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, p, p, p, p, p,
                 p, p, p, p);
        strcat(text, line);
    }
    assert_int_equal(yaml_load(text, strlen(text), &value, &e), -ERR_TOO_LARGE);
    assert_non_null(strstr(e.message, "too many values once its aliases are expanded"));
    assert_null(value);
}

static int nested(int depth, struct error *e)
{
    char text[300];
    json_t *value = NULL;
    int status;

    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    status = yaml_load(text, (size_t)depth * 2, &value, e);
    json_decref(value);
    return status;
}

static int load_within(const char *text, struct yaml_options options, struct error *e)
{
    json_t *value = NULL;
    int status = yaml_load_lines(text, strlen(text), options, &value, NULL, e);

    json_decref(value);
    return status;
}

static void test_bounds(void **state)
{
    struct error e = ERROR_INIT;

    assert_int_equal(nested(YAML_MAX_DEPTH, &e), 0);
    assert_int_equal(nested(YAML_MAX_DEPTH + 1, &e), -ERR_TOO_LARGE);
    assert_string_equal(e.message, "line 1, column 65: the document nests deeper than 64 levels");
    assert_int_equal(load_within("a: 1", (struct yaml_options){ .max_size = 3 }, &e), -ERR_TOO_LARGE);
    assert_string_equal(e.message, "the text is 4 bytes long; at most 3 are read");
    assert_int_equal(load_within("[1,2]", (struct yaml_options){ .max_values = 2 }, &e), -ERR_TOO_LARGE);
    assert_int_equal(load_within("[1,2]", (struct yaml_options){ .max_values = 3 }, &e), 0);
    assert_int_equal(load_within("a: [", (struct yaml_options){ 0 }, NULL), -ERR_MALFORMED);
}

static void test_octal_zero(void **state)
{
    const char *text = "[0400, -017, 08, 0, 0o17, 0x1f, '0400']";
    json_t *value = NULL;
    expect(text, "[400,-17,8,0,15,31,\"0400\"]");
    assert_int_equal(
        yaml_load_lines(text, strlen(text), (struct yaml_options){ .octal_zero = true }, &value, NULL, NULL), 0);
    char *dump = json_dumps(value, JSON_COMPACT);
    assert_string_equal(dump, "[256,-15,8,0,15,31,\"0400\"]");
    free(dump);
    json_decref(value);
}

static void test_lines(void **state)
{
    static const char text[] = "# settings\n"
                               "listen: x\n"
                               "base: &base\n"
                               "  cpus: 1\n"
                               "  disk: 2\n"
                               "nodes:\n"
                               "  - name: a\n"
                               "    a/b~c: 1\n"
                               "  - <<: *base\n"
                               "    name:\n"
                               "      b\n"
                               "copy: *base\n"
                               "inline:\n"
                               "  <<: &inner\n"
                               "    deep: {x: 1}\n"
                               "again: *inner\n";
    struct yaml_lines *lines = NULL;
    json_t *value = NULL;

    assert_int_equal(yaml_load_lines(text, strlen(text), (struct yaml_options){ 0 }, &value, &lines, NULL), 0);
    assert_int_equal(yaml_line_of(lines, ""), 2);
    assert_int_equal(yaml_line_of(lines, "/listen"), 2);
    assert_int_equal(yaml_line_of(lines, "/base/disk"), 5);
    assert_int_equal(yaml_line_of(lines, "/nodes/0"), 7);
    assert_int_equal(yaml_line_of(lines, "/nodes/0/a~1b~0c"), 8);
    assert_int_equal(yaml_line_of(lines, "/nodes/1/name"), 10);
    assert_int_equal(yaml_line_of(lines, "/nodes/1/cpus"), 4);
    assert_int_equal(yaml_line_of(lines, "/copy"), 12);
    assert_int_equal(yaml_line_of(lines, "/copy/cpus"), 4);
    assert_int_equal(yaml_line_of(lines, "/nodes/1/absent/deeper"), 9);
    assert_int_equal(yaml_line_of(lines, "/nodes/7"), 6);
    assert_int_equal(yaml_line_of(lines, "/inline/deep"), 15);
    assert_int_equal(yaml_line_of(lines, "/again/deep/x"), 15);
    yaml_lines_free(lines);
    json_decref(value);
    yaml_lines_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_core_schema),    cmocka_unit_test(test_octal_zero), cmocka_unit_test(test_tags),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_anchors),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_billion_laughs), cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
