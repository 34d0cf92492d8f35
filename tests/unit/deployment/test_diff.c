/* What a deployment changes, as its record says it: every leaf by its path, and no value of the environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deployment/internal.h"

static json_t *parse(const char *text)
{
    json_t *j = NULL;
    struct error e = ERROR_INIT;
    if (json_parse(text, strlen(text), &j, &e) < 0)
        fail_msg("%s: %s", text, e.message);
    return j;
}

/* Both sides as text; NULL: no release before. */
static json_t *between(const char *old, const char *now, const char *old_environment, const char *new_environment)
{
    _cleanup_json_ json_t *a = old ? parse(old) : NULL, *b = parse(now);
    _cleanup_json_ json_t *c = old_environment ? parse(old_environment) : NULL, *d = parse(new_environment);
    return changes_between(a, b, c, d);
}

static const json_t *change_of(const json_t *changes, const char *key)
{
    size_t i;
    json_t *one;
    json_array_foreach (json_at(changes, "configChanges"), i, one)
        if (str_eq(json_str(one, "key"), key))
            return one;
    return NULL;
}

#define SPEC(image, more) "{\"name\":\"web\",\"nodeId\":\"n\",\"container\":{\"image\":\"" image "\"" more "}}"

static void the_first_one_creates(void **state)
{
    _cleanup_json_ json_t *c =
        between(NULL, SPEC("nginx:1.25", ",\"ports\":[{\"internal\":80}]"), NULL, "{\"A\":\"secret-value\"}");
    assert_string_equal(json_str(c, "type"), "create");
    assert_string_equal(json_str(c, "toVersion"), "1.25");
    assert_null(json_at(c, "fromVersion"));
    assert_string_equal(json_str(c, "imageChanges.newImage"), "nginx:1.25");
    assert_string_equal(json_str(c, "imageChanges.registry"), "docker.io");
    assert_null(json_at(c, "imageChanges.oldImage"));
    assert_string_equal(json_str(change_of(c, "container.ports"), "newValue"), "[{\"internal\":80}]");
    assert_null(json_at(change_of(c, "container.ports"), "oldValue"));
    assert_string_equal(json_str(change_of(c, "A"), "newValue"), ENVIRONMENT_MASK);
}

static void another_image_is_an_update(void **state)
{
    _cleanup_json_ json_t *c = between(SPEC("registry.example.org:5000/a/web:1", ""),
                                       SPEC("registry.example.org:5000/a/web:2", ""), "{}", "{}");
    assert_string_equal(json_str(c, "type"), "update");
    assert_string_equal(json_str(c, "fromVersion"), "1");
    assert_string_equal(json_str(c, "toVersion"), "2");
    assert_string_equal(json_str(c, "imageChanges.oldImage"), "registry.example.org:5000/a/web:1");
    assert_string_equal(json_str(c, "imageChanges.registry"), "registry.example.org:5000");
    assert_int_equal(json_array_size(json_at(c, "configChanges")), 0);
}

static void instances_alone_are_a_scale(void **state)
{
    _cleanup_json_ json_t *c = between("{\"container\":{\"image\":\"nginx:1\"}}",
                                       "{\"container\":{\"image\":\"nginx:1\"},\"instances\":3}", "{}", "{}");
    assert_string_equal(json_str(c, "type"), "scale");
    assert_string_equal(json_str(change_of(c, "instances"), "newValue"), "3");
    _cleanup_json_ json_t *more =
        between("{\"container\":{\"image\":\"nginx:1\"}}",
                "{\"container\":{\"image\":\"nginx:1\"},\"instances\":3,\"lifecycle\":\"service\"}", "{}", "{}");
    assert_string_equal(json_str(more, "type"), "config_change");
}

static void the_name_of_a_secret_is_none(void **state)
{
    _cleanup_json_ json_t *c = between(SPEC("nginx:1", ""), SPEC("nginx:1", ""), "{\"A\":\"the-old-value\"}",
                                       "{\"A\":{\"secret\":\"db\",\"version\":2}}");
    const json_t *one = change_of(c, "A");
    assert_string_equal(json_str(one, "oldValue"), ENVIRONMENT_MASK);
    assert_non_null(strstr(json_str(one, "newValue"), "\"db\""));
}

static void nothing_changed_says_nothing(void **state)
{
    const char *spec = SPEC("nginx:1", ",\"resources\":{\"cpu\":1,\"memory\":{\"a\":[1,2]}}");
    _cleanup_json_ json_t *c = between(spec, spec, "{\"A\":\"1\"}", "{\"A\":\"1\"}");
    assert_string_equal(json_str(c, "type"), "config_change");
    assert_int_equal(json_array_size(json_at(c, "configChanges")), 0);
    assert_null(json_at(c, "imageChanges"));
}

static void leaves_are_named_by_their_path(void **state)
{
    _cleanup_json_ json_t *c = between(
        SPEC("nginx:1", ",\"resources\":{\"cpu\":1,\"memory\":512},\"gone\":{\"deep\":true}"),
        SPEC("nginx:1", ",\"resources\":{\"cpu\":2,\"memory\":512},\"new\":{\"deep\":{\"er\":\"x\"}}"), "{}", "{}");
    assert_int_equal(json_array_size(json_at(c, "configChanges")), 3);
    assert_string_equal(json_str(change_of(c, "container.resources.cpu"), "oldValue"), "1");
    assert_string_equal(json_str(change_of(c, "container.resources.cpu"), "newValue"), "2");
    assert_string_equal(json_str(change_of(c, "container.gone.deep"), "oldValue"), "true");
    assert_true(json_is_null(json_at(change_of(c, "container.gone.deep"), "newValue")));
    assert_string_equal(json_str(change_of(c, "container.new.deep.er"), "newValue"), "x");
}

/* O32: that a value changed is said, what it was or is now is not. */
static void o32_values_of_the_environment_are_masked(void **state)
{
    _cleanup_json_ json_t *c = between(SPEC("nginx:1", ""), SPEC("nginx:1", ""),
                                       "{\"SAME\":\"canary-0\",\"CHANGED\":\"canary-1\",\"GONE\":\"canary-2\"}",
                                       "{\"SAME\":\"canary-0\",\"CHANGED\":\"canary-3\",\"NEW\":\"canary-4\"}");
    _cleanup_free_ char *text = json_text(c, NULL);
    assert_null(strstr(text, "canary"));
    assert_null(change_of(c, "SAME"));
    assert_string_equal(json_str(change_of(c, "CHANGED"), "oldValue"), ENVIRONMENT_MASK);
    assert_string_equal(json_str(change_of(c, "CHANGED"), "newValue"), ENVIRONMENT_MASK);
    assert_string_equal(json_str(change_of(c, "CHANGED"), "source"), "environment");
    assert_string_equal(json_str(change_of(c, "GONE"), "oldValue"), ENVIRONMENT_MASK);
    assert_true(json_is_null(json_at(change_of(c, "GONE"), "newValue")));
    assert_string_equal(json_str(change_of(c, "NEW"), "newValue"), ENVIRONMENT_MASK);
}

/* Who deployed and why tells nothing about how it runs. */
static void the_occasion_is_no_change(void **state)
{
    _cleanup_json_ json_t *c = between(
        "{\"name\":\"a\",\"trigger\":\"manual\",\"initiatedBy\":\"x\",\"git\":{\"commit\":\"1\"},\"container\":{\"image\":\"n:1\"}}",
        "{\"name\":\"a\",\"trigger\":\"github_actions\",\"initiatedBy\":\"y\",\"git\":{\"commit\":\"2\"},\"container\":{\"image\":\"n:1\"}}",
        "{}", "{}");
    assert_int_equal(json_array_size(json_at(c, "configChanges")), 0);
}

static void a_said_version_wins_and_a_digest_stands_for_one(void **state)
{
#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    _cleanup_json_ json_t *said =
        between(NULL, "{\"metadata\":{\"version\":\"v7\"},\"container\":{\"image\":\"n:1\"}}", NULL, "{}");
    _cleanup_json_ json_t *digest = between(NULL, SPEC("n@" DIGEST, ""), NULL, "{}");
    assert_string_equal(json_str(said, "toVersion"), "v7");
    assert_string_equal(json_str(digest, "toVersion"), DIGEST);
    assert_string_equal(json_str(digest, "imageChanges.newImage"), "n@" DIGEST);
}

/* Bounded: a huge difference does not make a huge record. */
static void at_most_a_thousand_changes_are_listed(void **state)
{
    json_t *many = json_object();
    for (int i = 0; i < 3000; i++) {
        _cleanup_free_ char *key = str_printf("K%d", i);
        (void)json_object_set_new(many, key, json_string("v"));
    }
    _cleanup_json_ json_t *environment = many, *spec = parse(SPEC("n:1", "")), *none = json_object();
    _cleanup_json_ json_t *c = changes_between(spec, spec, none, environment);
    assert_int_equal(json_array_size(json_at(c, "configChanges")), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_one_creates),
        cmocka_unit_test(another_image_is_an_update),
        cmocka_unit_test(instances_alone_are_a_scale),
        cmocka_unit_test(the_name_of_a_secret_is_none),
        cmocka_unit_test(nothing_changed_says_nothing),
        cmocka_unit_test(leaves_are_named_by_their_path),
        cmocka_unit_test(o32_values_of_the_environment_are_masked),
        cmocka_unit_test(the_occasion_is_no_change),
        cmocka_unit_test(a_said_version_wins_and_a_digest_stands_for_one),
        cmocka_unit_test(at_most_a_thousand_changes_are_listed),
    };
    return cmocka_run_group_tests_name("deployment_diff", tests, NULL, NULL);
}
