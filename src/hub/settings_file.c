/* The settings' YAML file: nested mappings of scalars and lists of scalars, each known by its dotted key. */
#include "base/json.h"
#include "base/nearest.h"
#include "base/str.h"
#include "base/yaml.h"
#include "hub/settings_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_LIMIT (256 * 1024)

struct walk {
    struct settings *settings;
    const char *path;
    const struct yaml_lines *lines;
    struct error *error;
};

/* "log.level" stands at "/log/level". Keys of the table need no escapes. */
static unsigned line_of(const struct walk *w, const char *key)
{
    char pointer[256];
    (void)snprintf(pointer, sizeof pointer, "/%s", key);
    for (char *p = pointer; *p; p++)
        *p = *p == '.' ? '/' : *p;
    return yaml_line_of(w->lines, pointer);
}

static int fail_at(const struct walk *w, const char *key, const char *text)
{
    return error_set(w->error, ERR_VALIDATION, "%s:%u: %s", w->path, line_of(w, key), text);
}

/* `key` is a group when a setting's key goes on after it. */
static bool is_group(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < settings_table_len; i++)
        if (str_starts(settings_table[i].key, key) && settings_table[i].key[len] == '.')
            return true;
    return false;
}

static int unknown_key(const struct walk *w, const char *key)
{
    const char *near = nearest_word(key, settings_key_at, NULL, settings_table_len);
    char text[256];
    (void)snprintf(text, sizeof text, "'%.100s' is not a setting%s%s%s", key, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
    return fail_at(w, key, text);
}

/* A scalar as the text that the table's types are parsed from. NULL: not a scalar, or no memory. */
static char *scalar_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING: return strdup(json_string_value(value));
    case JSON_INTEGER: return str_printf("%lld", (long long)json_integer_value(value));
    case JSON_REAL: return str_printf("%.15g", json_real_value(value));
    case JSON_TRUE: return strdup("true");
    case JSON_FALSE: return strdup("false");
    default: return NULL;
    }
}

static char *list_text(const json_t *list)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 65536);
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)list, i, item) {
        _cleanup_free_ char *text = scalar_text(item);
        if (!text)
            return NULL;
        (void)buf_printf(&b, "%s%s", b.len ? "," : "", text);
    }
    return buf_steal(&b);
}

static int put_value(struct walk *w, const char *key, const json_t *value)
{
    const struct setting_row *row = settings_row(key);
    if (!row)
        return is_group(key) ? fail_at(w, key, "this is a group of settings, its value must be a mapping")
                             : unknown_key(w, key);
    if (json_is_array(value) && row->type != SETTING_LIST)
        return fail_at(w, key, "this setting takes one value, not a list");
    if (json_is_object(value))
        return fail_at(w, key, "this setting takes one value, not a mapping");
    _cleanup_free_ char *text = json_is_array(value) ? list_text(value) : scalar_text(value);
    _cleanup_free_ char *origin = str_printf("%s:%u", w->path, line_of(w, key));
    if (!text || !origin)
        return fail_at(w, key, "a list holds texts alone");
    int r = settings_put(w->settings, row, text, SOURCE_FILE, origin, w->error);
    if (row->type == SETTING_SECRET)
        secret_wipe(text, strlen(text));
    return r;
}

static int walk_mapping(struct walk *w, const json_t *mapping, const char *prefix)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)mapping, name, value) {
        char key[128];
        int n = snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", name);
        bool known = n < (int)sizeof key && (settings_row(key) || is_group(key));
        int r = 0;
        if (!known)
            r = unknown_key(w, key);
        else if (json_is_object(value) && is_group(key))
            r = walk_mapping(w, value, key);
        else if (!json_is_null(value))
            r = put_value(w, key, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A file that holds a secret must not be everyone's to read. */
static int check_mode(const struct settings *s, const char *path, struct error *e)
{
    struct stat st;
    if (stat(path, &st) < 0 || !(st.st_mode & S_IROTH))
        return 0;
    for (size_t i = 0; i < settings_table_len; i++)
        if (s->values[i].secret && s->values[i].source == SOURCE_FILE)
            return error_set(e, ERR_VALIDATION, "%s holds %s and everyone may read it: chmod o-r %s", path,
                             settings_table[i].key, path);
    return 0;
}

int settings_read_file(struct settings *s, const char *path, struct error *e)
{
    char *text = NULL;
    size_t len = 0;
    int r = file_read(path, FILE_LIMIT, &text, &len);
    if (r == -EMSGSIZE)
        return error_set(e, ERR_VALIDATION, "%s is over %d KiB", path, FILE_LIMIT / 1024);
    if (r < 0)
        return error_set(e, ERR_VALIDATION, "the settings file %s cannot be read: %s", path, strerror(-r));
    json_t *root = NULL;
    struct yaml_lines *lines = NULL;
    r = yaml_load_lines(text, len, (struct yaml_options){ .max_size = FILE_LIMIT }, &root, &lines, e);
    struct walk w = { .settings = s, .path = path, .lines = lines, .error = e };
    if (r < 0) {
        error_prefix(e, "%s", path);
        r = -(int)(e->code = ERR_VALIDATION); /* ERR_MALFORMED would mean that the flags are wrong */
    } else if (json_is_object(root))
        r = walk_mapping(&w, root, "");
    else if (!json_is_null(root))
        r = error_set(e, ERR_VALIDATION, "%s:1: settings are written as 'key: value'", path);
    if (r == 0)
        r = check_mode(s, path, e);
    secret_wipe(text, len);
    free(text);
    json_decref(root);
    yaml_lines_free(lines);
    return r;
}
