/*
 * The JSON Schema validator: our own cases, and the official suite where it is
 * installed (Debian's json-schema-test-suite has drafts up to 7; the archive of
 * PyPI's jsonschema carries 2020-12 too, in its folder json/).
 * JSON_SCHEMA_SUITE names the suite's folders, separated by colons.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "http/schema.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char suite_default[] = "/usr/share/json-schema-test-suite";

/* ---- the official suite ---- */

enum { PATH_SIZE = 512 };

struct tally {
    unsigned passed, failed, skipped;
};

struct suite {
    const char *root;
    const char *draft_name;
    enum schema_draft draft;
    unsigned flags;
    struct tally tally;
};

/* Cases of the optional part that we answer otherwise, each with its reason. */
static const struct exception {
    const char *file, *description, *reason;
} exceptions[] = {
    { "optional/content.json", NULL, "content* keywords annotate only, as 2019-09 and later have it" },
    { "optional/cross-draft.json", "future drafts", "drafts other than 7 and 2020-12 are refused" },
    { "optional/cross-draft.json", "historic drafts are processed", "the same" },
    { "optional/format/idn-email.json", NULL, "not a format we check" },
    { "optional/format/idn-hostname.json", NULL, "not a format we check" },
    { "optional/format/iri.json", NULL, "not a format we check" },
    { "optional/format/iri-reference.json", NULL, "not a format we check" },
    { "optional/format/relative-json-pointer.json", NULL, "not a format we check" },
    { "optional/format/uri-template.json", NULL, "not a format we check" },
};

static const struct exception *exception_for(const char *file, const char *description)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (strcmp(exceptions[i].file, file) == 0 &&
            (!exceptions[i].description || strstr(description, exceptions[i].description)))
            return &exceptions[i];
    return NULL;
}

/* Integers past 64 bits are read as doubles, as the suite's optional part has some. */
static json_t *load(const char *path)
{
    json_error_t error;
    json_t *value = json_load_file(path, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (!value)
        value = json_load_file(path, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    return value;
}

static int is_json(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Registers remotes/<below> and what lies in it, but no other draft's folder. */
static void add_remotes(struct schema_set *set, const struct suite *suite, const char *below)
{
    char path[PATH_SIZE], name[PATH_SIZE], uri[PATH_SIZE + 32], reason[200];
    struct dirent **entries;
    struct stat status;
    int count;

    snprintf(path, sizeof path, "%s/remotes%s", suite->root, below);
    count = scandir(path, &entries, is_visible, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        assert_true(snprintf(name, sizeof name, "%s/%s", below, entries[i]->d_name) < (int)sizeof name);
        snprintf(path, sizeof path, "%s/remotes", suite->root);
        strncat(path, name, sizeof path - strlen(path) - 1);
        bool other = strncmp(entries[i]->d_name, "draft", 5) == 0 && strcmp(entries[i]->d_name, suite->draft_name) != 0;
        assert_int_equal(stat(path, &status), 0);
        if (S_ISDIR(status.st_mode) && !other) {
            add_remotes(set, suite, name);
        } else if (is_json(entries[i])) {
            json_t *document = load(path);
            assert_non_null(document);
            snprintf(uri, sizeof uri, "http://localhost:1234%s", name);
            if (schema_set_add(set, uri, document, reason, sizeof reason) < 0)
                fail_msg("%s: %s", uri, reason);
            json_decref(document);
        }
        free(entries[i]);
    }
    free(entries);
}

static void run_case(struct suite *suite, const char *file, const json_t *group, const struct schema *schema,
                     const json_t *test, const char *reason)
{
    const char *of_group = json_string_value(json_object_get(group, "description"));
    const char *of_test = json_string_value(json_object_get(test, "description"));
    bool wanted = json_is_true(json_object_get(test, "valid"));
    struct schema_result result = { .count = 0 };
    bool valid = schema && schema_validate(schema, json_object_get(test, "data"), suite->flags, &result);

    if (!schema || valid != wanted) {
        print_message("  %s %s: %s: %s: wanted %s%s%s\n", suite->draft_name, file, of_group, of_test,
                      wanted ? "valid" : "invalid", schema ? "" : ", did not compile: ", schema ? "" : reason);
        for (size_t i = 0; i < result.count; i++)
            print_message("    \"%s\" %s\n", result.problems[i].pointer, result.problems[i].reason);
        suite->tally.failed++;
    } else {
        suite->tally.passed++;
        assert_true(valid ? result.count == 0 : result.count > 0); /* a refusal always says why */
    }
    schema_result_done(&result);
}

static void run_group(struct suite *suite, const char *file, const json_t *group)
{
    json_t *tests = json_object_get(group, "tests");
    char reason[300] = "";
    struct schema_set *set;
    const struct schema *schema = NULL;

    if (exception_for(file, json_string_value(json_object_get(group, "description")))) {
        suite->tally.skipped += (unsigned)json_array_size(tests);
        return;
    }
    set = schema_set_new(suite->draft);
    assert_non_null(set);
    add_remotes(set, suite, "");
    if (schema_set_add(set, "case:", json_object_get(group, "schema"), reason, sizeof reason) == 0)
        schema = schema_compile(set, "case:", reason, sizeof reason);
    for (size_t i = 0; i < json_array_size(tests); i++)
        run_case(suite, file, group, schema, json_array_get(tests, i), reason);
    schema_set_free(set);
}

/* Every file of tests/<draft>/<below>; none there is fine for an older suite. */
static void run_folder(struct suite *suite, const char *below)
{
    char path[PATH_SIZE * 2], file[PATH_SIZE];
    struct dirent **entries;
    int count;

    snprintf(path, sizeof path, "%s/tests/%s/%s", suite->root, suite->draft_name, below);
    count = scandir(path, &entries, is_json, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s%s", below, entries[i]->d_name);
        suite->flags = strstr(file, "/format/") || strstr(file, "/ecmascript-regex") ? SCHEMA_FORMATS : 0;
        snprintf(path, sizeof path, "%s/tests/%s/%s", suite->root, suite->draft_name, file);
        json_t *groups = load(path);
        if (!groups)
            fail_msg("%s cannot be read", path);
        for (size_t j = 0; j < json_array_size(groups); j++)
            run_group(suite, file, json_array_get(groups, j));
        json_decref(groups);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void run_suite(const char *draft_name, enum schema_draft draft)
{
    const char *roots = getenv("JSON_SCHEMA_SUITE");
    char *copy = strdup(roots && *roots ? roots : suite_default), *rest = copy, *root, path[PATH_SIZE];
    struct tally sum = { 0, 0, 0 };
    struct stat status;

    while ((root = strsep(&rest, ":"))) {
        struct suite suite = { root, draft_name, draft, 0, { 0, 0, 0 } };
        snprintf(path, sizeof path, "%s/tests/%s", root, draft_name);
        if (stat(path, &status) < 0)
            continue;
        run_folder(&suite, "");
        assert_true(suite.tally.passed > 100); /* a moved suite must not pass by being empty */
        run_folder(&suite, "optional/");
        run_folder(&suite, "optional/format/");
        sum.passed += suite.tally.passed;
        sum.failed += suite.tally.failed;
        sum.skipped += suite.tally.skipped;
    }
    free(copy);
    if (sum.passed + sum.failed == 0) {
        print_message("%s: no suite in JSON_SCHEMA_SUITE or %s; skipped\n", draft_name, suite_default);
        skip();
    }
    print_message("%s: %u cases pass, %u fail, %u are not ours\n", draft_name, sum.passed, sum.failed, sum.skipped);
    assert_int_equal(sum.failed, 0);
}

static void test_suite_draft7(void **state)
{
    run_suite("draft7", SCHEMA_DRAFT_7);
}

static void test_suite_draft2020(void **state)
{
    run_suite("draft2020-12", SCHEMA_DRAFT_2020_12);
}

/* ---- our own ---- */

/* JSON with ' for ", so that it can be read here. */
static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    json_error_t error;
    json_t *value;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    value = json_loads(copy, JSON_DECODE_ANY, &error);
    if (!value)
        fail_msg("%s: %s", copy, error.text);
    free(copy);
    return value;
}

struct fixture {
    struct schema_set *set;
    const struct schema *schema;
};

static struct fixture compile(const char *text)
{
    struct fixture fixture = { schema_set_new(SCHEMA_DRAFT_2020_12), NULL };
    json_t *document = parse(text);
    char reason[300] = "";

    assert_non_null(fixture.set);
    if (schema_set_add(fixture.set, "test", document, reason, sizeof reason) == 0)
        fixture.schema = schema_compile(fixture.set, "test", reason, sizeof reason);
    if (!fixture.schema)
        fail_msg("%s", reason);
    json_decref(document);
    return fixture;
}

/* All problems as "pointer reason (keyword); ..." in the order found; "" when valid. */
static void problems(const char *schema_text, const char *value_text, char *text, size_t size)
{
    struct fixture fixture = compile(schema_text);
    json_t *value = parse(value_text);
    struct schema_result result;
    bool valid = schema_validate(fixture.schema, value, SCHEMA_FORMATS, &result);
    size_t used = 0;

    text[0] = 0;
    assert_int_equal(valid, result.count == 0);
    for (size_t i = 0; i < result.count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s %s (%s)", i ? "; " : "", result.problems[i].pointer,
                                 result.problems[i].reason, result.problems[i].keyword);
    schema_result_done(&result);
    json_decref(value);
    schema_set_free(fixture.set);
}

static void expect(const char *schema, const char *value, const char *wanted)
{
    char text[4000];

    problems(schema, value, text, sizeof text);
    assert_string_equal(text, wanted);
}

static const char service[] =
    "{'type':'object','required':['name','image'],'additionalProperties':false,'properties':{"
    "'name':{'type':'string','minLength':1,'maxLength':5,'pattern':'^[a-z]+$'},'image':{'type':'string'},"
    "'ports':{'type':'array','items':{'type':'integer','minimum':1,'maximum':65535},'uniqueItems':true},"
    "'a/b~c':{'type':'boolean'},"
    "'kind':{'enum':['web','worker']}}}";

static void test_reasons(void **state)
{
    expect(service, "{'name':'web','image':'x'}", "");
    expect(service, "{'name':'webwebweb'}",
           "/image is required (required); /name must be at most 5 characters (maxLength)");
    expect(service, "{'name':'web','image':'x','extra':1}", "/extra is not a known field (additionalProperties)");
    expect(service, "{'name':'Web','image':null}",
           "/name must match the pattern ^[a-z]+$ (pattern); /image must be a string (type)");
    expect(service, "{'name':'a','image':'x','ports':[80,0,70000,1.5]}",
           "/ports/1 must be at least 1 (minimum); /ports/2 must be at most 65535 (maximum); "
           "/ports/3 must be a whole number (type)");
    expect(service, "{'name':'a','image':'x','ports':[80,80.0]}",
           "/ports must not hold the same item twice (uniqueItems)");
    expect(service, "{'name':'a','image':'x','a/b~c':1}", "/a~1b~0c must be true or false (type)");
    expect(service, "{'name':'a','image':'x','kind':'cron'}", "/kind must be one of \"web\" or \"worker\" (enum)");
    expect(service, "[]", " must be an object (type)");
    expect("{'format':'date-time'}", "'yesterday'", " must be a date and time such as 2026-01-31T12:00:00Z (format)");
    expect("{'propertyNames':{'maxLength':2}}", "{'abc':1}",
           "/abc has a name that must be at most 2 characters (propertyNames)");
    expect("{'dependentRequired':{'a':['b']}}", "{'a':1}", "/b is required beside \"a\" (dependentRequired)");
    expect("{'contains':{'const':1}}", "[2]", " must hold at least 1 item of the kind asked for (contains)");
    expect("{'not':{'const':1}}", "1", " has a form that is not allowed (not)");
    expect("{'prefixItems':[true],'items':false}", "[1,2]", "/1 is one item too many: at most 1 may be given (items)");
    expect("{'properties':{'a':false}}", "{'a':1}", "/a is not allowed (false)");
}

/* A union reports the form that was meant, told by type, by a fixed field, by fit. */
static void test_closest_branch(void **state)
{
    static const char union_schema[] =
        "{'oneOf':[{'type':'string'},"
        "{'type':'object','required':['kind','url'],'properties':{'kind':{'const':'http'},'url':{'type':'string'}}},"
        "{'type':'object','required':['kind','port'],'properties':{'kind':{'const':'tcp'},'port':{'type':'integer'}}}]"
        "}";

    expect(union_schema, "{'kind':'tcp','port':'x'}", "/port must be a whole number (type)");
    expect(union_schema, "{'kind':'http'}", "/url is required (required)");
    expect(union_schema, "5", " must be a string or an object (oneOf)");
    expect("{'oneOf':[{'minimum':1},{'minimum':2}]}", "3", " matches more than one of the allowed forms (oneOf)");
    expect("{'anyOf':[{'type':'string','maxLength':1},{'type':'null'}]}", "'ab'",
           " must be at most 1 character (maxLength)");
    expect("{'anyOf':[{'type':'object','properties':{'a':{'type':'string'}}},{'type':'null'}],'unevaluatedProperties':"
           "false}",
           "{'a':1}", "/a must be a string (type)");
    expect("{'allOf':[{'properties':{'a':{'type':'string'}}}],'unevaluatedProperties':false}", "{'a':1,'b':2}",
           "/a must be a string (type); /b is not a known field (unevaluatedProperties)");
}

static void test_bounds(void **state)
{
    struct fixture fixture = compile("{'items':{'$ref':'#'}}");
    json_t *value = json_array(), *inner = value, *next;
    struct schema_result result;

    for (int i = 0; i < 1500; i++, inner = next)
        json_array_append_new(inner, next = json_array());
    assert_false(schema_validate(fixture.schema, value, 0, &result));
    assert_int_equal(result.count, 1);
    assert_string_equal(result.problems[0].reason, "is nested too deeply to check");
    schema_result_done(&result);
    json_decref(value);
    schema_set_free(fixture.set);

    expect("{'$ref':'#'}", "1", " is nested too deeply to check ($ref)");
    expect("{'not':{'$ref':'#'}}", "1",
           " is nested too deeply to check ($ref)"); /* a bound is no answer `not` may turn */
    expect("{'pattern':'^(a+)+$'}", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'",
           " takes too many steps to match against its pattern (pattern)");
    expect("{'not':{'pattern':'^(a+)+$'}}", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'",
           " takes too many steps to match against its pattern (pattern)");
    expect("{'properties':{'a':{'type':'null'},'b':{'pattern':'^(a+)+$'},'c':{'type':'null'}}}",
           "{'a':1,'b':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!','c':1}",
           "/a must be null (type); /b takes too many steps to match against its pattern (pattern)");
    expect("{'anyOf':[{'not':{'anyOf':[{'$ref':'#'},{'$ref':'#'}]}},{'$ref':'#'}]}", "1",
           " is nested too deeply to check ($ref)");
}

static void test_many_problems(void **state)
{
    struct fixture fixture = compile("{'items':{'type':'string'}}");
    json_t *value = json_array();
    struct schema_result result;

    for (int i = 0; i < 100; i++)
        json_array_append_new(value, json_integer(i));
    assert_false(schema_validate(fixture.schema, value, 0, &result));
    assert_int_equal(result.count, SCHEMA_MAX_PROBLEMS);
    assert_true(result.truncated);
    schema_result_done(&result);
    assert_false(schema_validate(fixture.schema, value, 0, NULL));
    json_decref(value);
    schema_set_free(fixture.set);
}

static void test_numbers(void **state)
{
    expect("{'maximum':9223372036854775806}", "9223372036854775807", " must be at most 9223372036854775806 (maximum)");
    expect("{'exclusiveMaximum':9223372036854775808.0}", "9223372036854775807", "");
    expect("{'const':9007199254740993}", "9007199254740992.0", " must be 9007199254740993 (const)");
    expect("{'const':9007199254740992}", "9007199254740992.0", "");
    expect("{'multipleOf':0.01}", "19.99", "");
    expect("{'multipleOf':0.01}", "0.075", " must be a multiple of 0.01 (multipleOf)");
    expect("{'multipleOf':0.1}", "-0.3", "");
    expect("{'multipleOf':1e-8}", "12391239123", "");
    expect("{'multipleOf':0.123456789}", "1e308", " must be a multiple of 0.123456789 (multipleOf)");
    expect("{'multipleOf':1e300}", "5", " must be a multiple of 1e+300 (multipleOf)");
    expect("{'multipleOf':3}", "9223372036854775807", " must be a multiple of 3 (multipleOf)");
    expect("{'multipleOf':7}", "9223372036854775807", "");
    expect("{'type':'integer'}", "1e3", "");
}

static void refuse(const char *schema_text, const char *wanted)
{
    struct schema_set *set = schema_set_new(SCHEMA_DRAFT_2020_12);
    json_t *document = parse(schema_text);
    char reason[300] = "";

    if (schema_set_add(set, "test", document, reason, sizeof reason) == 0)
        assert_null(schema_compile(set, "test", reason, sizeof reason));
    assert_string_equal(reason, wanted);
    json_decref(document);
    schema_set_free(set);
}

static void test_wrong_schemas(void **state)
{
    refuse("{'type':'strin'}", "in test: \"type\" must be the name of a type, or a list of those");
    refuse("{'$ref':'#/nowhere'}", "the reference #/nowhere leads nowhere");
    refuse("{'$ref':'other#/x'}", "the reference other#/x leads to no known document");
    refuse("{'$ref':'#/title','title':'x'}", "the reference #/title does not lead to a schema");
    refuse("{'pattern':'(?i)a'}", "the regular expression /(?i)a/ is wrong: the group after (? is not one of ECMA 262");
    refuse("{'pattern':'a\\\\Z'}", "the regular expression /a\\Z/ is wrong: \\Z is no escape of ECMA 262");
    refuse("{'pattern':'(a'}", "the regular expression /(a/ is wrong: missing closing parenthesis");
    refuse("{'minLength':-1}", "in test: \"minLength\" must be a whole number of at least 0");
    refuse("{'anyOf':[]}", "in test: \"anyOf\" must be a list of at least one schema");
    refuse("{'$schema':'http://example.org/mine'}", "test follows an unknown meta-schema: http://example.org/mine");
    refuse("{'$defs':{'a':{'$id':'urn:x'},'b':{'$id':'urn:x'}}}", "two schemas have the id urn:x");
}

/* A failed compilation leaves nothing behind that a later one could take for whole. */
static void test_compile_after_failure(void **state)
{
    struct schema_set *set = schema_set_new(SCHEMA_DRAFT_2020_12);
    json_t *document = parse("{'components':{'good':{'type':'string'},"
                             "'bad':{'allOf':[{'$ref':'#/components/good'},{'type':'none'}]}}}"),
           *number = json_integer(1);
    const struct schema *schema;
    char reason[300];

    assert_int_equal(schema_set_add(set, "openapi", document, reason, sizeof reason), 0);
    assert_null(schema_compile(set, "openapi#/components/bad", reason, sizeof reason));
    assert_null(schema_compile(set, "openapi#/components/bad", reason, sizeof reason));
    schema = schema_compile(set, "openapi#/components/good", reason, sizeof reason);
    assert_non_null(schema);
    assert_false(schema_validate(schema, number, 0, NULL));
    json_decref(number);
    json_decref(document);
    schema_set_free(set);
}

static void test_patterns_are_ecma(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        { "^\\\\s$", "'\\u00a0'", true },
        { "^[\\\\s]$", "'\\ufeff'", true },
        { "^[\\\\s\\\\S]$", "'\\u00a0'", true },
        { "^.$", "'\\u2028'", false },
        { "^abc$", "'abc\\n'", false },
        { "^\\\\u00e9$", "'\\u00e9'", true },
        { "^\\\\ud83d\\\\udc32$", "'🐲'", true },
        { "^\\\\u{1f432}$", "'🐲'", true },
        { "^[^]$", "'\\n'", true },
        { "[]", "'a'", false },
        { "^[[:alpha:]]$", "'b'", false },
        { "^[[:alpha:]]$", "'a]'", true },
        { "^a{,2}$", "'a{,2}'", true },
        { "^\\\\p{Lu}$", "'É'", true },
        { "^\\\\p{Script=Greek}$", "'λ'", true },
        { "^\\\\d$", "'\\u09ea'", false },
        { "^(?<year>\\\\d{4})$", "'2026'", true },
        { "^\\\\v$", "'\\n'", false },
        { "^a+?b*?c??$", "'ab'", true },
        { "^\\\\/\\\\-$", "'/-'", true },
        { "^x{1,2}?$", "'xx'", true },
    };
    char schema[200], text[400];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(schema, sizeof schema, "{'pattern':'%s'}", cases[i].pattern);
        problems(schema, cases[i].text, text, sizeof text);
        if (cases[i].matches != (text[0] == 0))
            fail_msg("%s on %s: %s", cases[i].pattern, cases[i].text, text);
    }
}

/* Draft 2020-12 where the official suite is not at hand. */
static void test_draft2020(void **state)
{
    static const char tree[] =
        "{'$id':'http://x/strict','$dynamicAnchor':'node','$ref':'tree','unevaluatedProperties':false,'$defs':{'tree':"
        "{'$id':'http://x/tree','$dynamicAnchor':'node','type':'object','properties':{'data':true,"
        "'children':{'type':'array','items':{'$dynamicRef':'#node'}}}}}}";

    expect(tree, "{'children':[{'data':1}]}", "");
    expect(tree, "{'children':[{'daat':1}]}", "/children/0/daat is not a known field (unevaluatedProperties)");
    expect("{'prefixItems':[{'type':'string'}],'contains':{'const':2},'unevaluatedItems':false}", "['a',2,3]",
           "/2 is not allowed (false)");
    expect("{'$anchor':'a','$defs':{'b':{'$anchor':'b','type':'null'}},'properties':{'x':{'$ref':'#b'}}}", "{'x':1}",
           "/x must be null (type)");
    expect("{'contains':{'type':'integer'},'minContains':2,'maxContains':3}", "[1]",
           " must hold at least 2 items of the kind asked for (minContains)");
    expect("{'contains':{'type':'integer'},'minContains':0}", "[]", "");
    expect("{'if':{'required':['a']},'then':{'required':['b']},'else':{'required':['c']}}", "{'a':1}",
           "/b is required (required)");
    expect("{'dependentSchemas':{'a':{'required':['b']}}}", "{'a':1}", "/b is required (required)");
    expect("{'$ref':'#/$defs/a','maxLength':1,'$defs':{'a':{'type':'string'}}}", "'ab'",
           " must be at most 1 character (maxLength)");
    expect("{'$ref':'https://json-schema.org/draft/2020-12/schema'}", "{'properties':{'a':{'minLength':-1}}}",
           "/properties/a/minLength must be at least 0 (minimum)");
    expect("{'$schema':'http://json-schema.org/draft-07/schema#','items':[{'type':'string'}],'additionalItems':false}",
           "['a',1]", "/1 is one item too many: at most 1 may be given (additionalItems)");
}

static void coerced(const char *schema_text, const char *text, const char *wanted)
{
    struct fixture fixture = compile(schema_text);
    char reason[200] = "", *dump;
    json_t *value = NULL;

    if (schema_coerce(fixture.schema, text, &value, reason, sizeof reason) < 0) {
        assert_null(value);
        assert_string_equal(reason, wanted);
    } else {
        dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        assert_string_equal(dump, wanted);
        free(dump);
    }
    json_decref(value);
    schema_set_free(fixture.set);
}

static void test_coerce(void **state)
{
    const char *two[] = { "1", "2" };
    struct fixture fixture = compile("{'type':'array','items':{'type':'integer'}}");
    char reason[100];
    json_t *value;

    coerced("{'type':'integer'}", "42", "42");
    coerced("{'type':'integer'}", "5.0", "5");
    coerced("{'type':'integer'}", "5.5", "must be a whole number");
    coerced("{'type':'integer'}", " 5", "must be a whole number");
    coerced("{'type':'integer'}", "", "must be a whole number");
    coerced("{'type':'integer'}", "99999999999999999999", "must be a whole number");
    coerced("{'type':'number'}", "-1.5e2", "-150.0");
    coerced("{'type':'boolean'}", "true", "true");
    coerced("{'type':'boolean'}", "yes", "must be true or false");
    coerced("{'type':'string'}", "5", "\"5\"");
    coerced("{'type':['integer','null']}", "null", "null");
    coerced("{'type':['string','null']}", "null", "\"null\"");
    coerced("{'type':['string','integer']}", "7", "7");
    coerced("{}", "7", "\"7\"");
    coerced("{'enum':[1,2]}", "2", "2");
    coerced("{'$ref':'#/$defs/limit','$defs':{'limit':{'allOf':[{'type':'integer'}]}}}", "7", "7");
    coerced("{'type':'array','items':{'type':'integer'}}", "1,2,3", "[1,2,3]");
    coerced("{'type':'array','items':{'type':'integer'}}", "1,x", "must be a whole number");
    coerced("{'type':'array','items':{'type':'string'}}", "a,b", "[\"a\",\"b\"]");
    coerced("{'type':'array'}", "", "[]");
    coerced("{'type':'string'}", "\xff", "must be UTF-8 text");

    assert_int_equal(schema_coerce_all(fixture.schema, two, 2, &value, reason, sizeof reason), 0);
    assert_int_equal(json_array_size(value), 2);
    json_decref(value);
    schema_set_free(fixture.set);
    fixture = compile("{'type':'integer'}");
    assert_int_equal(schema_coerce_all(fixture.schema, two, 2, &value, reason, sizeof reason), -1);
    assert_string_equal(reason, "was given more than once");
    schema_set_free(fixture.set);
}

static void test_defaults(void **state)
{
    struct fixture fixture = compile(
        "{'allOf':[{'$ref':'#/$defs/base'}],'properties':{'limits':{'default':{},'properties':{'cpus':{'default':1}}},"
        "'list':{'items':{'properties':{'on':{'default':true}}}}},"
        "'$defs':{'base':{'properties':{'type':{'$ref':'#/$defs/type'},'none':{}}},'type':{'default':'web'}}}");
    json_t *value = parse("{'list':[{},{'on':false}]}");
    json_t *wanted = parse("{'type':'web','limits':{'cpus':1},'list':[{'on':true},{'on':false}]}");

    assert_int_equal(schema_apply_defaults(fixture.schema, value), 0);
    assert_true(json_equal(value, wanted));
    json_decref(value);
    value = parse("{'type':null,'limits':{'cpus':2},'list':[]}");
    json_decref(wanted);
    wanted = json_deep_copy(value);
    assert_int_equal(schema_apply_defaults(fixture.schema, value), 0);
    assert_true(json_equal(value, wanted));
    json_decref(value);
    json_decref(wanted);
    schema_set_free(fixture.set);

    fixture = compile("{'properties':{'a':{'default':{},'$ref':'#'},'b':{'default':{},'$ref':'#'}}}");
    value = json_object();
    assert_int_equal(schema_apply_defaults(fixture.schema, value), 0); /* ends, though the schema does not */
    json_decref(value);
    schema_set_free(fixture.set);
}

struct shared {
    const struct schema *schema;
    const json_t *good, *bad;
    bool right;
};

static void *validate_often(void *data)
{
    struct shared *shared = data;
    struct schema_result result;

    shared->right = true;
    for (int i = 0; i < 200; i++) {
        shared->right &= schema_validate(shared->schema, shared->good, SCHEMA_FORMATS, NULL);
        shared->right &= !schema_validate(shared->schema, shared->bad, SCHEMA_FORMATS, &result) && result.count == 2;
        schema_result_done(&result);
    }
    return NULL;
}

/* One compiled schema and one value, read by all; the thread sanitizer says whether only read. */
static void test_threads(void **state)
{
    struct fixture fixture = compile(service);
    json_t *good = parse("{'name':'web','image':'x','ports':[1,2,3]}"), *bad = parse("{'name':'UP','ports':[1,2,0]}");
    struct shared shared[4];
    pthread_t threads[4];

    json_object_set_new(bad, "image", json_string("x"));
    for (int i = 0; i < 4; i++) {
        shared[i] = (struct shared){ fixture.schema, good, bad, false };
        assert_int_equal(pthread_create(&threads[i], NULL, validate_often, &shared[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(shared[i].right);
    }
    json_decref(good);
    json_decref(bad);
    schema_set_free(fixture.set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_closest_branch),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_many_problems),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_wrong_schemas),
        cmocka_unit_test(test_compile_after_failure),
        cmocka_unit_test(test_patterns_are_ecma),
        cmocka_unit_test(test_draft2020),
        cmocka_unit_test(test_coerce),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_suite_draft7),
        cmocka_unit_test(test_suite_draft2020),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
