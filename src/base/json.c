#include "base/json.h"

#include "base/jsonw.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>

/* jansson recurses 2048 deep; ours is the limit a request can reach, found before parsing. */
static bool too_deep(const char *text, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

int json_parse(const char *text, size_t len, json_t **ret, struct error *e)
{
    json_error_t je;
    if (too_deep(text, len))
        return error_set(e, ERR_MALFORMED, "The JSON is nested deeper than %d levels.", JSON_MAX_DEPTH);
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!value)
        return error_set(e, ERR_MALFORMED, "The JSON cannot be read: %.160s (line %d, column %d).", je.text, je.line,
                         je.column);
    *ret = value;
    return 0;
}

char *json_text(const json_t *value, size_t *ret_len)
{
    struct buf b;
    struct jw w;
    buf_init(&b, 0);
    jw_init(&w, &b);
    jw_json(&w, value);
    if (ret_len)
        *ret_len = b.len;
    char *text = buf_steal(&b);
    buf_done(&b);
    return text;
}

json_t *json_at(const json_t *object, const char *path)
{
    char key[128];
    const json_t *at = object;
    while (at && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        at = json_object_get(at, key);
        path += n + (path[n] == '.');
    }
    return (json_t *)at;
}

const char *json_str(const json_t *object, const char *path)
{
    return json_string_value(json_at(object, path));
}

int64_t json_int(const json_t *object, const char *path, int64_t fallback)
{
    const json_t *v = json_at(object, path);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

double json_num(const json_t *object, const char *path, double fallback)
{
    const json_t *v = json_at(object, path);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool json_flag(const json_t *object, const char *path, bool fallback)
{
    const json_t *v = json_at(object, path);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

int json_put(json_t *object, const char *path, json_t *value)
{
    char key[128];
    json_t *at = object;
    for (;;) {
        size_t n = strcspn(path, ".");
        if (!value || n >= sizeof key)
            break;
        memcpy(key, path, n);
        key[n] = '\0';
        if (!path[n])
            return json_object_set_new(at, key, value) < 0 ? -ENOMEM : 0;
        json_t *next = json_object_get(at, key);
        if (!json_is_object(next)) {
            next = json_object();
            if (json_object_set_new(at, key, next) < 0)
                break;
        }
        at = next;
        path += n + 1;
    }
    json_decref(value);
    return -ENOMEM;
}

int json_merge_patch(json_t *target, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)patch, key, value) {
        if (json_is_null(value)) {
            (void)json_object_del(target, key);
            continue;
        }
        json_t *old = json_object_get(target, key);
        if (json_is_object(value)) {
            if (!json_is_object(old)) {
                old = json_object();
                if (json_object_set_new(target, key, old) < 0)
                    return -ENOMEM;
            }
            int r = json_merge_patch(old, value);
            if (r < 0)
                return r;
        } else if (json_object_set_new(target, key, json_deep_copy(value)) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}
