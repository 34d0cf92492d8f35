#include "base/jsonw.h"

#include "base/clock.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void jw_init(struct jw *w, struct buf *out)
{
    w->out = out;
    w->depth = 0;
    w->need_comma[0] = false;
}

static void separate(struct jw *w)
{
    if (w->need_comma[w->depth])
        (void)buf_putc(w->out, ',');
    w->need_comma[w->depth] = true;
}

static void open_level(struct jw *w, char opener, char closer)
{
    separate(w);
    (void)buf_putc(w->out, opener);
    assert(w->depth + 1 < JW_DEPTH);
    w->depth++;
    w->need_comma[w->depth] = false;
    w->closer[w->depth] = closer;
}

void jw_object(struct jw *w)
{
    open_level(w, '{', '}');
}

void jw_array(struct jw *w)
{
    open_level(w, '[', ']');
}

void jw_end(struct jw *w)
{
    assert(w->depth > 0);
    (void)buf_putc(w->out, w->closer[w->depth]);
    w->depth--;
}

static void escape(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"': (void)buf_puts(out, "\\\""); break;
    case '\\': (void)buf_puts(out, "\\\\"); break;
    case '\n': (void)buf_puts(out, "\\n"); break;
    case '\r': (void)buf_puts(out, "\\r"); break;
    case '\t': (void)buf_puts(out, "\\t"); break;
    default: (void)buf_printf(out, "\\u%04x", c);
    }
}

static void put_string(struct buf *out, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t start = 0, i = 0;
    (void)buf_putc(out, '"');
    while (i < len) {
        size_t n = 1;
        bool plain = s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\';
        if (s[i] >= 0x80) {
            n = str_utf8_step(s + i, len - i);
            plain = n > 0;
        }
        if (plain) {
            i += n;
            continue;
        }
        (void)buf_append(out, text + start, i - start);
        if (s[i] >= 0x80)
            (void)buf_puts(out, "\xef\xbf\xbd");
        else
            escape(out, s[i]);
        start = ++i;
    }
    (void)buf_append(out, text + start, len - start);
    (void)buf_putc(out, '"');
}

void jw_key(struct jw *w, const char *key)
{
    separate(w);
    put_string(w->out, key, strlen(key));
    (void)buf_putc(w->out, ':');
    w->need_comma[w->depth] = false;
}

void jw_string_n(struct jw *w, const char *text, size_t len)
{
    separate(w);
    put_string(w->out, text, len);
}

void jw_string(struct jw *w, const char *text)
{
    if (text)
        jw_string_n(w, text, strlen(text));
    else
        jw_null(w);
}

void jw_int(struct jw *w, int64_t v)
{
    separate(w);
    (void)buf_printf(w->out, "%lld", (long long)v);
}

void jw_number(struct jw *w, double v)
{
    if (!isfinite(v)) {
        jw_null(w);
        return;
    }
    if (v == floor(v) && fabs(v) < 1e15) {
        jw_int(w, (int64_t)v);
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    separate(w);
    (void)buf_puts(w->out, text);
}

void jw_bool(struct jw *w, bool v)
{
    separate(w);
    (void)buf_puts(w->out, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
    separate(w);
    (void)buf_puts(w->out, "null");
}

void jw_raw(struct jw *w, const char *json, size_t len)
{
    separate(w);
    (void)buf_append(w->out, json, len);
}

void jw_time(struct jw *w, int64_t ms)
{
    char text[TIME_TEXT_LEN + 1];
    jw_string(w, ms ? time_format(ms, text) : NULL);
}

static void put_object(struct jw *w, const json_t *value)
{
    const char *key;
    json_t *child;
    jw_object(w);
    json_object_foreach ((json_t *)value, key, child) {
        jw_key(w, key);
        jw_json(w, child);
    }
    jw_end(w);
}

void jw_json(struct jw *w, const json_t *value)
{
    size_t i;
    json_t *child;
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: put_object(w, value); break;
    case JSON_ARRAY:
        jw_array(w);
        json_array_foreach ((json_t *)value, i, child)
            jw_json(w, child);
        jw_end(w);
        break;
    case JSON_STRING: jw_string_n(w, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: jw_int(w, json_integer_value(value)); break;
    case JSON_REAL: jw_number(w, json_real_value(value)); break;
    case JSON_TRUE: jw_bool(w, true); break;
    case JSON_FALSE: jw_bool(w, false); break;
    default: jw_null(w);
    }
}
