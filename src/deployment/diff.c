#include "deployment/internal.h"

#include <stdio.h>

#define CHANGES_MAX 1000

/* A value as text for people. */
static char *value_text(const json_t *value)
{
    if (json_is_string(value))
        return strdup(json_string_value(value));
    return json_text(value, NULL);
}

static void add(json_t *list, const char *key, const json_t *old, const json_t *now, const char *source, bool mask)
{
    if (json_array_size(list) >= CHANGES_MAX || json_equal((json_t *)old, (json_t *)now))
        return;
    _cleanup_free_ char *before = old ? value_text(old) : NULL, *after = now ? value_text(now) : NULL;
    /* A text is a secret; the name of one is none. */
    bool mask_after = mask && json_is_string(now), mask_before = mask && json_is_string(old);
    json_t *one = json_pack("{s:s, s:s?, s:s}", "key", key, "newValue",
                            after ? (mask_after ? ENVIRONMENT_MASK : after) : NULL, "source", source);
    if (one && before)
        (void)json_object_set_new(one, "oldValue", json_string(mask_before ? ENVIRONMENT_MASK : before));
    (void)json_array_append_new(list, one);
}

static bool is_group(const json_t *a, const json_t *b)
{
    return json_is_object(a) || (!a && json_is_object(b)) || (json_is_object(b) && json_is_null(a));
}

/* Walks both trees; leaves that differ become one change each, named by their dotted path. */
static void walk(json_t *list, const char *path, const json_t *old, const json_t *now)
{
    const char *key;
    json_t *value;
    char child[512];
    if (!is_group(old, now)) {
        add(list, path, old, now, "api", false);
        return;
    }
    json_object_foreach ((json_t *)now, key, value) {
        (void)snprintf(child, sizeof child, "%s%s%s", path, *path ? "." : "", key);
        walk(list, child, json_object_get(old, key), value);
    }
    json_object_foreach ((json_t *)old, key, value) {
        (void)snprintf(child, sizeof child, "%s%s%s", path, *path ? "." : "", key);
        if (!json_object_get(now, key))
            walk(list, child, value, NULL);
    }
}

static void walk_environment(json_t *list, const json_t *old, const json_t *now)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)now, key, value)
        add(list, key, json_object_get(old, key), value, "environment", true);
    json_object_foreach ((json_t *)old, key, value)
        if (!json_object_get(now, key))
            add(list, key, value, NULL, "environment", true);
}

/* What tells nothing about how the service runs: who deployed and why. */
static json_t *comparable(const json_t *specification)
{
    static const char *const left_out[] = { "name", "nodeId", "trigger", "initiatedBy", "pipeline", "git", "metadata" };
    json_t *copy = specification ? json_deep_copy(specification) : json_object();
    for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
        (void)json_object_del(copy, left_out[i]);
    json_t *container = json_object_get(copy, "container");
    (void)json_object_del(container, "environment");
    (void)json_object_del(container, "image");
    (void)json_object_del(container, "tag");
    return copy;
}

static int image_reference(const json_t *specification, char *ret, size_t size, struct image_name *ret_name)
{
    if (!specification || image_name_parse(json_str(specification, "container.image"),
                                           json_str(specification, "container.tag"), ret_name, NULL) < 0)
        return -1;
    image_name_reference(ret_name, ret, size);
    return 0;
}

static const char *version_of(const json_t *specification, const struct image_name *image)
{
    const char *said = json_str(specification, "metadata.version");
    return said ? said : image->tag[0] ? image->tag : image->digest;
}

static bool only_instances(const json_t *list)
{
    return json_array_size(list) == 1 && str_eq(json_str(json_array_get(list, 0), "key"), "instances");
}

json_t *changes_between(const json_t *old, const json_t *now, const json_t *old_environment,
                        const json_t *new_environment)
{
    char old_image[700] = "", new_image[700] = "", registry[256];
    struct image_name old_name = { 0 }, new_name = { 0 };
    json_t *list = json_array();
    _cleanup_json_ json_t *a = comparable(old), *b = comparable(now);
    bool had = image_reference(old, old_image, sizeof old_image, &old_name) == 0;
    (void)image_reference(now, new_image, sizeof new_image, &new_name);
    walk(list, "", a, b);
    walk_environment(list, old_environment, new_environment);
    bool image_changed = !had || !str_eq(old_image, new_image);
    json_t *changes = json_pack("{s:s, s:s, s:o}", "type",
                                !old                   ? "create"
                                : image_changed        ? "update"
                                : only_instances(list) ? "scale"
                                                       : "config_change",
                                "toVersion", version_of(now, &new_name), "configChanges", list);
    if (old)
        (void)json_object_set_new(changes, "fromVersion", json_string(version_of(old, &old_name)));
    if (image_changed) {
        image_name_registry(&new_name, registry, sizeof registry);
        json_t *image = json_pack("{s:s, s:s}", "newImage", new_image, "registry", registry);
        if (had)
            (void)json_object_set_new(image, "oldImage", json_string(old_image));
        (void)json_object_set_new(changes, "imageChanges", image);
    }
    return changes;
}
