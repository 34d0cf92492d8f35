#include "deployment/ci.h"

#include "base/clock.h"

#include <string.h>

const char *ci_text(const json_t *x, const char *path)
{
    const char *s = json_str(x, path);
    return s && *s ? s : NULL;
}

int64_t ci_time(const json_t *x, const char *path)
{
    const char *s = json_str(x, path);
    int64_t ms = 0;
    return s && time_parse(s, &ms) == 0 && ms > 0 ? ms : 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* As HTML forms write it: '+' is a blank. Negative: a percent sign without two hex digits. */
static int decode(const char *text, size_t len, char *ret, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%') {
            if (len - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return -1;
            ret[n++] = (char)(hex(text[i + 1]) << 4 | hex(text[i + 2]));
            i += 2;
        } else {
            ret[n++] = text[i] == '+' ? ' ' : text[i];
        }
    }
    ret[n] = '\0';
    *ret_len = n;
    return 0;
}

int ci_form_field(const char *body, size_t len, const char *name, char **ret, size_t *ret_len, struct error *e)
{
    size_t name_len = strlen(name);
    for (const char *at = body, *end = body + len; at < end;) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (!stop)
            stop = end;
        if ((size_t)(stop - at) > name_len && memcmp(at, name, name_len) == 0 && at[name_len] == '=') {
            const char *value = at + name_len + 1;
            char *text = malloc((size_t)(stop - value) + 1);
            if (!text)
                return error_set(e, ERR_INTERNAL, "No memory.");
            if (decode(value, (size_t)(stop - value), text, ret_len) == 0) {
                *ret = text;
                return 0;
            }
            free(text);
            return error_set(e, ERR_MALFORMED, "The form's field %s is not well percent-encoded.", name);
        }
        at = stop + 1;
    }
    return error_set(e, ERR_MALFORMED, "The form has no field %s.", name);
}

bool ci_repository_ok(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t owner = text ? strspn(text, letters) : 0;
    if (!owner || text[owner] != '/' || text[0] == '.')
        return false;
    const char *name = text + owner + 1;
    size_t n = strspn(name, letters);
    return n && !name[n] && n + owner < 255 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}
