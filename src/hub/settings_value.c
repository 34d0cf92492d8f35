/* Checking a setting's text against its row, and keeping it. */
#include "base/str.h"
#include "hub/settings_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* One of the words of "a b c". */
static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; len && (p = strstr(p, text)); p += len)
        if ((p == choices || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
            return true;
    return false;
}

static int parse_bool(const char *text, int64_t *ret)
{
    static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no", "off", "0" };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_ieq(text, yes[i]) || str_ieq(text, no[i])) {
            *ret = str_ieq(text, yes[i]);
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_bytes(const char *text, int64_t *ret)
{
    static const struct {
        const char *suffix;
        int64_t bytes;
    } units[] = { { "", 1 },          { "B", 1 },         { "kB", 1000 },
                  { "KB", 1000 },     { "MB", 1000000 },  { "GB", 1000000000 },
                  { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };
    size_t digits = strspn(text, "0123456789");
    char number[24];
    if (!digits || digits >= sizeof number)
        return -EINVAL;
    memcpy(number, text, digits);
    number[digits] = '\0';
    int64_t v;
    if (str_to_int64(number, &v) < 0)
        return -EINVAL;
    const char *unit = text + digits + strspn(text + digits, " ");
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!str_eq(unit, units[i].suffix))
            continue;
        return __builtin_mul_overflow(v, units[i].bytes, ret) ? -ERANGE : 0;
    }
    return -EINVAL;
}

static bool is_url(const char *text)
{
    const char *rest = strstr(text, "://");
    if (!rest || rest == text || !rest[3])
        return false;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || (p < rest && !isalnum((unsigned char)*p) && !strchr("+-.", *p)))
            return false;
    return true;
}

/* "a, b" becomes "a,b", without empty parts. */
static char *tidy_list(const char *text)
{
    char *copy = strdup(text), *to = copy;
    if (!copy)
        return NULL;
    char *rest = NULL;
    _cleanup_free_ char *work = strdup(text);
    for (char *part = work ? strtok_r(work, ",", &rest) : NULL; part; part = strtok_r(NULL, ",", &rest)) {
        part = str_trim(part);
        if (!*part)
            continue;
        if (to != copy)
            *to++ = ',';
        size_t len = strlen(part);
        memcpy(to, part, len);
        to += len;
    }
    *to = '\0';
    return copy;
}

static const char *const wanted[] = {
    [SETTING_STRING] = "a text",
    [SETTING_INT] = "a whole number",
    [SETTING_BOOL] = "true or false",
    [SETTING_DURATION] = "a duration such as 30s, 5m, 1h or 7d",
    [SETTING_BYTES] = "a size such as 64KiB, 16MiB or 1GB",
    [SETTING_LIST] = "a list",
    [SETTING_URL] = "an address with its scheme, such as https://example.org",
    [SETTING_SECRET] = "a text",
};

static int parse_number(const struct setting_row *row, const char *text, int64_t *ret)
{
    switch (row->type) {
    case SETTING_INT: return str_to_int64(text, ret);
    case SETTING_BOOL: return parse_bool(text, ret);
    case SETTING_DURATION: return str_to_duration_ms(text, ret);
    case SETTING_BYTES: return parse_bytes(text, ret);
    case SETTING_URL: return !*text || is_url(text) ? 0 : -EINVAL;
    default: return 0;
    }
}

static bool is_number(const struct setting_row *row)
{
    return row->type == SETTING_INT || row->type == SETTING_DURATION || row->type == SETTING_BYTES;
}

static int check(const struct setting_row *row, const char *text, const char *origin, int64_t *ret, struct error *e)
{
    int r = parse_number(row, text, ret);
    if (r < 0)
        return error_set(e, ERR_VALIDATION, "%s: %s must be %s, not '%.60s'", origin, row->key, wanted[row->type],
                         text);
    if (is_number(row) && (row->min || row->max) && (*ret < row->min || *ret > row->max)) {
        const char *unit = row->type == SETTING_DURATION ? " ms" : row->type == SETTING_BYTES ? " bytes" : "";
        return error_set(e, ERR_VALIDATION, "%s: %s must be between %lld and %lld%s, not '%.60s'", origin, row->key,
                         (long long)row->min, (long long)row->max, unit, text);
    }
    if (row->choices && !is_choice(row->choices, text))
        return error_set(e, ERR_VALIDATION, "%s: %s must be one of: %s; not '%.60s'", origin, row->key, row->choices,
                         text);
    return 0;
}

static void value_clear(struct setting_value *v)
{
    free(v->text);
    secret_free(v->secret);
    *v = (struct setting_value){ 0 };
}

int settings_put(struct settings *s, const struct setting_row *row, const char *text, enum setting_source source,
                 const char *origin, struct error *e)
{
    struct setting_value fresh = { .source = source };
    int r = check(row, text, origin, &fresh.number, e);
    if (r < 0)
        return r;
    bool empty = !*text;
    if (row->type == SETTING_SECRET)
        fresh.secret = empty ? NULL : secret_new(text, strlen(text));
    else
        fresh.text = empty ? NULL : row->type == SETTING_LIST ? tidy_list(text) : strdup(text);
    if (!empty && !fresh.text && !fresh.secret)
        return error_errno(e, -ENOMEM, "%s", row->key);
    struct setting_value *v = &s->values[row - settings_table];
    value_clear(v);
    *v = fresh;
    return 0;
}
