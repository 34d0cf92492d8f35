#include "base/json.h"
#include "base/str.h"
#include "cli/compose/compose_form.h"

#include <errno.h>

/* By what items of a list are the same; NULL: a list is appended to, without doubles. */
static const char *identity_of(const char *path)
{
    return str_ends(path, ".volumes") || str_ends(path, ".secrets") || str_ends(path, ".configs") ||
                   str_ends(path, ".devices")
               ? "target"
               : NULL;
}

static bool replaces(const char *path)
{
    return str_ends(path, ".command") || str_ends(path, ".entrypoint") || str_ends(path, ".healthcheck.test");
}

static int merge_list(json_t *base, const json_t *over, const char *path)
{
    const char *identity = identity_of(path);
    size_t i, k;
    json_t *item, *old;
    json_array_foreach ((json_t *)(uintptr_t)over, i, item) {
        bool done = false;
        json_array_foreach (base, k, old) {
            bool same = identity && json_is_object(item) ? str_eq(json_str(old, identity), json_str(item, identity))
                                                         : json_equal(old, item);
            if (!same)
                continue;
            if (json_array_set_new(base, k, json_deep_copy(item)) < 0)
                return -ENOMEM;
            done = true;
            break;
        }
        if (!done && json_array_append_new(base, json_deep_copy(item)) < 0)
            return -ENOMEM;
    }
    return 0;
}

int compose_merge(json_t *base, const json_t *over, const char *path)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)over, key, value) {
        json_t *old = json_object_get(base, key);
        _cleanup_free_ char *at = str_printf("%s.%s", path, key);
        int r;
        if (!at)
            return -ENOMEM;
        if (json_is_object(old) && json_is_object(value))
            r = compose_merge(old, value, at);
        else if (json_is_array(old) && json_is_array(value) && !replaces(at))
            r = merge_list(old, value, at);
        else
            r = json_object_set_new(base, key, json_deep_copy(value));
        if (r < 0)
            return r;
    }
    return 0;
}
