/* Reference resolution by RFC 3986 section 5, on plain strings. */
#include "http/schema_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct span {
    const char *at;
    size_t length;
};

/* A part that is absent has a NULL `at`, which differs from an empty one. */
struct uri {
    struct span scheme, authority, path, query, fragment;
};

static size_t scheme_length(const char *text)
{
    size_t i = 0;

    if (!isalpha((unsigned char)text[0]))
        return 0;
    while (isalnum((unsigned char)text[i]) || text[i] == '+' || text[i] == '-' || text[i] == '.')
        i++;
    return text[i] == ':' ? i : 0;
}

static const char *take(struct span *span, const char *from, const char *until)
{
    span->at = from;
    span->length = strcspn(from, until);
    return from + span->length;
}

static struct uri uri_split(const char *text)
{
    struct uri uri = { 0 };
    size_t scheme = scheme_length(text);

    if (scheme > 0) {
        uri.scheme = (struct span){ text, scheme };
        text += scheme + 1;
    }
    if (strncmp(text, "//", 2) == 0)
        text = take(&uri.authority, text + 2, "/?#");
    text = take(&uri.path, text, "?#");
    if (*text == '?')
        text = take(&uri.query, text + 1, "#");
    if (*text == '#')
        take(&uri.fragment, text + 1, "");
    return uri;
}

static char *put(char *out, const char *before, struct span span, const char *after)
{
    if (!span.at)
        return out;
    out = stpcpy(out, before);
    memcpy(out, span.at, span.length);
    return stpcpy(out + span.length, after);
}

/* Drops "." and ".." segments in place; `path` is NUL-terminated. */
static void remove_dots(char *path)
{
    char *out = path, *in = path;

    while (*in) {
        size_t length = strcspn(in + 1, "/") + 1;

        if (length == 2 && memcmp(in, "/.", 2) == 0) {
            if (!in[length])
                *out++ = '/';
        } else if (length == 3 && memcmp(in, "/..", 3) == 0) {
            while (out > path && *--out != '/')
                ;
            if (!in[length])
                *out++ = '/';
        } else {
            memmove(out, in, length);
            out += length;
        }
        in += length;
    }
    *out = 0;
}

/* The reference's path beside the last segment of the base's. */
static void put_merged(char *out, const struct uri *base, struct span path)
{
    size_t keep = base->path.length;

    while (keep > 0 && base->path.at[keep - 1] != '/')
        keep--;
    if (keep == 0 && base->authority.at)
        *out++ = '/';
    memcpy(out, base->path.at, keep);
    memcpy(out + keep, path.at, path.length);
    out[keep + path.length] = 0;
}

char *schema_uri_resolve(const char *base_text, const char *reference)
{
    struct uri base = uri_split(base_text), ref = uri_split(reference);
    char *result = malloc(strlen(base_text) + strlen(reference) + 16), *out = result, *path;
    bool own_authority = ref.scheme.at || ref.authority.at;

    if (!result)
        return NULL;
    *out = 0;
    out = put(out, "", ref.scheme.at ? ref.scheme : base.scheme, ":");
    out = put(out, "//", own_authority ? ref.authority : base.authority, "");
    path = out;
    if (own_authority || ref.path.at[0] == '/') {
        out = put(out, "", ref.path, "");
    } else if (ref.path.length == 0) {
        out = put(out, "", base.path, "");
        if (!ref.query.at)
            ref.query = base.query;
    } else {
        put_merged(out, &base, ref.path);
    }
    if (*path == '/')
        remove_dots(path);
    out = path + strlen(path);
    out = put(out, "?", ref.query, "");
    put(out, "#", ref.fragment, "");
    return result;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void schema_uri_decode(char *text)
{
    char *out = text;

    for (const char *in = text; *in; in++) {
        if (in[0] == '%' && hex_value(in[1]) >= 0 && hex_value(in[2]) >= 0 && (in[1] != '0' || in[2] != '0')) {
            *out++ = (char)(hex_value(in[1]) * 16 + hex_value(in[2]));
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = 0;
}
