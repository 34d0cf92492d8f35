#include "cli/compose/compose_text.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

static bool starts_name(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static size_t name_length(const char *s)
{
    size_t n = 0;
    if (!starts_name(*s))
        return 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n;
}

/* ---- interpolation ---- */

struct source { /* where values come from: the first that has one */
    const json_t *first, *second;
    json_t *unset;
};

static const char *value_of(const struct source *s, const char *name)
{
    const char *value = json_string_value(json_object_get(s->first, name));
    return value ? value : json_string_value(json_object_get(s->second, name));
}

static int expand(const char *text, size_t len, const struct source *s, struct buf *out, int depth, struct error *e);

/* The end of what began at `${`: the index of its `}`; 0: there is none. */
static size_t closing(const char *text, size_t len)
{
    int depth = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '$' && i + 1 < len && text[i + 1] == '{') {
            depth++;
            i++;
        } else if (text[i] == '}' && --depth == 0) {
            return i;
        }
    }
    return 0;
}

static int malformed(const char *text, size_t len, struct error *e)
{
    return error_set(e, ERR_VALIDATION,
                     "\"%.*s\" is no variable: write $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message}, "
                     "${NAME:+other}, or $$ for a dollar sign",
                     (int)(len < 120 ? len : 120), text);
}

static int missing(const char *name, const char *message, size_t len, const struct source *s, int depth,
                   struct error *e)
{
    _cleanup_buf_ struct buf text;
    buf_init(&text, COMPOSE_TEXT_MAX);
    int r = expand(message, len, s, &text, depth + 1, e);
    if (r < 0)
        return r;
    (void)error_set(e, ERR_VALIDATION, "the variable %s is required%s%s", name, len ? ": " : " and has no value",
                    buf_str(&text));
    return -ERR_VALIDATION;
}

/* What stands between the braces: NAME, then nothing or an operator and its word. */
static int braced(const char *text, size_t len, const struct source *s, struct buf *out, int depth, struct error *e)
{
    size_t n = name_length(text);
    if (n == 0 || n > len)
        return malformed(text, len, e);
    _cleanup_free_ char *name = strndup(text, n);
    if (!name)
        return error_set(e, ERR_INTERNAL, "out of memory");
    const char *value = value_of(s, name), *op = text + n;
    bool colon = n < len && *op == ':';
    bool given = value && (!colon || *value);
    size_t skip = n + colon + 1;
    if (n == len) {
        if (!value && s->unset)
            (void)json_object_set_new(s->unset, name, json_true());
        return buf_puts(out, value ? value : "");
    }
    if (skip > len)
        return malformed(text, len, e);
    switch (op[colon]) {
    case '-': return given ? buf_puts(out, value) : expand(text + skip, len - skip, s, out, depth + 1, e);
    case '+': return given ? expand(text + skip, len - skip, s, out, depth + 1, e) : 0;
    case '?': return given ? buf_puts(out, value) : missing(name, text + skip, len - skip, s, depth, e);
    default: return malformed(text, len, e);
    }
}

static int bare(const char *text, size_t n, const struct source *s, struct buf *out)
{
    _cleanup_free_ char *name = strndup(text, n);
    const char *value = name ? value_of(s, name) : NULL;
    if (name && !value && s->unset)
        (void)json_object_set_new(s->unset, name, json_true());
    return buf_puts(out, value ? value : "");
}

static int expand(const char *text, size_t len, const struct source *s, struct buf *out, int depth, struct error *e)
{
    if (depth > 16)
        return error_set(e, ERR_VALIDATION, "variables are nested too deeply");
    for (size_t i = 0; i < len;) {
        size_t left = len - i;
        int r = 0;
        if (text[i] != '$') {
            size_t n = 0;
            while (n < left && text[i + n] != '$')
                n++;
            r = buf_append(out, text + i, n);
            i += n;
        } else if (left > 1 && text[i + 1] == '$') {
            r = buf_putc(out, '$');
            i += 2;
        } else if (left > 1 && text[i + 1] == '{') {
            size_t end = closing(text + i, left);
            if (!end)
                return malformed(text + i, left, e);
            r = braced(text + i + 2, end - 2, s, out, depth, e);
            i += end + 1;
        } else {
            size_t n = left > 1 ? name_length(text + i + 1) : 0;
            if (n == 0 || n > left - 1)
                return malformed(text + i, left, e);
            r = bare(text + i + 1, n, s, out);
            i += n + 1;
        }
        if (r < 0)
            return r == -ENOMEM || r == -EMSGSIZE ? error_set(e, ERR_TOO_LARGE, "a value is over 1 MiB") : r;
    }
    return 0;
}

static int expand_to(const char *text, const struct source *s, char **ret, struct error *e)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, COMPOSE_TEXT_MAX);
    int r = expand(text, strlen(text), s, &out, 0, e);
    if (r < 0)
        return r;
    char *value = out.len ? buf_steal(&out) : strdup("");
    if (!value)
        return error_set(e, ERR_INTERNAL, "out of memory");
    *ret = value;
    return 0;
}

int compose_interpolate(const char *text, const json_t *variables, json_t *unset, char **ret, struct error *e)
{
    return expand_to(text, &(struct source){ variables, NULL, unset }, ret, e);
}

/* ---- files of variables ---- */

struct reader {
    const char *at;
    unsigned line;
    const json_t *variables;
    json_t *out;
    bool raw;
    struct error *e;
};

static int wrong(struct reader *r, const char *why)
{
    return error_set(r->e, ERR_MALFORMED, "line %u: %s", r->line, why);
}

static void skip_blank(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')
        r->at++;
}

static void skip_line(struct reader *r)
{
    while (*r->at && *r->at != '\n')
        r->at++;
}

/* A quoted value, over several lines if it is; `at` is behind the opening quote and ends behind the closing one. */
static int quoted(struct reader *r, char quote, struct buf *out)
{
    for (; *r->at != quote; r->at++) {
        if (!*r->at)
            return wrong(r, "the quote is not closed");
        if (*r->at == '\n')
            r->line++;
        if (quote == '\'' && *r->at == '\\' && r->at[1] == quote) {
            r->at++; /* the one escape that single quotes know */
        } else if (quote == '\'' && *r->at == '\\' && r->at[1] == '\\') {
            (void)buf_putc(out, *r->at++);
        }
        if (quote == '"' && *r->at == '\\' && r->at[1]) {
            static const char from[] = "nrtfvab\"\\", to[] = "\n\r\t\f\v\a\b\"\\";
            const char *known = strchr(from, *++r->at);
            if (*r->at == '$')
                (void)buf_puts(out, "$$"); /* stays a dollar sign when variables are put in */
            else if (known)
                (void)buf_putc(out, to[known - from]);
            else
                (void)buf_printf(out, "\\%c", *r->at);
            continue;
        }
        (void)buf_putc(out, *r->at);
    }
    r->at++;
    return buf_ok(out) ? 0 : wrong(r, "the value is over 1 MiB");
}

/* To the end of the line; a # behind a blank begins a comment. */
static void unquoted(struct reader *r, struct buf *out)
{
    const char *begin = r->at, *end = begin;
    while (*end && *end != '\n' && !(*end == '#' && end > begin && isblank((unsigned char)end[-1])))
        end++;
    r->at = end;
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    (void)buf_append(out, begin, (size_t)(end - begin));
}

static int put(struct reader *r, const char *name, const char *text, bool takes_variables)
{
    _cleanup_free_ char *value = NULL;
    struct source s = { r->out, r->variables, NULL };
    if (takes_variables) {
        int res = expand_to(text, &s, &value, r->e);
        if (res < 0) {
            char why[400];
            (void)snprintf(why, sizeof why, "%s: %.300s", name, r->e->message);
            return wrong(r, why);
        }
        text = value;
    }
    return json_object_set_new(r->out, name, json_string(text)) == 0 ? 0 : wrong(r, "the value is not UTF-8");
}

static int value_in(struct reader *r, const char *name)
{
    _cleanup_buf_ struct buf text;
    buf_init(&text, COMPOSE_TEXT_MAX);
    if (r->raw) {
        const char *begin = r->at;
        skip_line(r);
        size_t n = (size_t)(r->at - begin);
        (void)buf_append(&text, begin, n && begin[n - 1] == '\r' ? n - 1 : n);
        return put(r, name, buf_str(&text), false);
    }
    skip_blank(r);
    char quote = *r->at;
    if (quote != '\'' && quote != '"') {
        unquoted(r, &text);
        return put(r, name, buf_str(&text), true);
    }
    r->at++;
    int res = quoted(r, quote, &text);
    if (res < 0)
        return res;
    skip_blank(r);
    if (*r->at == '#')
        skip_line(r);
    if (*r->at && *r->at != '\n')
        return wrong(r, "something stands behind the closing quote");
    return put(r, name, buf_str(&text), quote == '"');
}

static size_t variable_length(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || strchr("_.-[]", s[n]) != NULL) {
        if (!s[n])
            break;
        n++;
    }
    return n;
}

static int line_in(struct reader *r)
{
    skip_blank(r);
    if (!*r->at || *r->at == '\n' || *r->at == '#') {
        skip_line(r);
        return 0;
    }
    if (str_starts(r->at, "export ")) {
        r->at += 7;
        skip_blank(r);
    }
    size_t n = variable_length(r->at);
    if (n == 0)
        return wrong(r, "a line is NAME=value");
    _cleanup_free_ char *name = strndup(r->at, n);
    if (!name)
        return wrong(r, "out of memory");
    r->at += n;
    skip_blank(r);
    if (*r->at == '=' || (*r->at == ':' && !r->raw)) {
        r->at++;
        return value_in(r, name);
    }
    if (*r->at && *r->at != '\n' && *r->at != '#')
        return wrong(r, "a line is NAME=value");
    skip_line(r);
    const char *value = json_string_value(json_object_get(r->variables, name));
    return value ? put(r, name, value, false) : 0;
}

int compose_read_variables(const char *text, const json_t *variables, bool raw, json_t *ret, struct error *e)
{
    struct reader r = { .at = text, .line = 1, .variables = variables, .out = ret, .raw = raw, .e = e };
    if (str_starts(text, "\xEF\xBB\xBF"))
        r.at += 3;
    while (*r.at) {
        int res = line_in(&r);
        if (res < 0)
            return res;
        if (*r.at == '\n') {
            r.at++;
            r.line++;
        }
    }
    return 0;
}

/* ---- words ---- */

static int end_word(struct buf *word, json_t *list)
{
    int r = json_array_append_new(list, json_string(buf_str(word)));
    buf_clear(word);
    return r;
}

int compose_split_words(const char *text, json_t **ret, struct error *e)
{
    _cleanup_json_ json_t *list = json_array();
    _cleanup_buf_ struct buf word;
    bool in_word = false;
    char quote = 0;
    buf_init(&word, COMPOSE_TEXT_MAX);
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && quote != '\'' && p[1]) {
            if (quote && !strchr("\"\\$`", p[1]))
                (void)buf_putc(&word, *p);
            (void)buf_putc(&word, *++p);
            in_word = true;
        } else if (quote ? *p == quote : *p == '"' || *p == '\'') {
            quote = quote ? 0 : *p;
            in_word = true;
        } else if (!quote && isspace((unsigned char)*p)) {
            if (in_word && end_word(&word, list) < 0)
                return error_set(e, ERR_INTERNAL, "out of memory");
            in_word = false;
        } else {
            (void)buf_putc(&word, *p);
            in_word = true;
        }
    }
    if (quote)
        return error_set(e, ERR_MALFORMED, "\"%.100s\" has a quote that is not closed", text);
    if (!buf_ok(&word) || (in_word && end_word(&word, list) < 0))
        return error_set(e, ERR_INTERNAL, "out of memory");
    *ret = TAKE(list);
    return 0;
}
