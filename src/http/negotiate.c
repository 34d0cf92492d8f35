#include "http/api_internal.h"

#include "base/str.h"

#include <strings.h>

/* One element of a header such as "text/html;q=0.5, text/plain": its value and its weight in thousandths. */
struct choice {
    const char *value;
    size_t len;
    unsigned weight;
};

static unsigned parse_weight(const char *p, const char *end)
{
    if (p == end || (*p != '0' && *p != '1'))
        return 0;
    unsigned weight = *p++ == '1' ? 1000 : 0, unit = 100;
    if (p < end && *p == '.')
        for (p++; p < end && *p >= '0' && *p <= '9' && unit; p++, unit /= 10)
            weight += unit * (unsigned)(*p - '0');
    return weight > 1000 ? 1000 : weight;
}

static const char *skip_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

static bool next_choice(const char **at, struct choice *ret)
{
    const char *p = *at + strspn(*at, " \t,");
    if (!*p)
        return false;
    const char *end = p + strcspn(p, ",");
    *at = end;
    ret->value = p;
    ret->weight = 1000;
    while (p < end && *p != ';' && *p != ' ' && *p != '\t')
        p++;
    ret->len = (size_t)(p - ret->value);
    while ((p = memchr(p, ';', (size_t)(end - p)))) {
        p = skip_blank(p + 1, end);
        if (end - p >= 2 && (*p == 'q' || *p == 'Q') && p[1] == '=')
            ret->weight = parse_weight(p + 2, end);
    }
    return true;
}

/* How exactly a range names a type: 3 itself, 2 its group, 1 anything, 0 not. */
static unsigned fits(const struct choice *c, const char *type)
{
    size_t n = strlen(type);
    if (c->len == n && strncasecmp(c->value, type, n) == 0)
        return 3;
    if (c->len == 3 && memcmp(c->value, "*/*", 3) == 0)
        return 1;
    size_t group = strcspn(type, "/") + 1;
    return c->len == group + 1 && c->value[group] == '*' && strncasecmp(c->value, type, group) == 0 ? 2 : 0;
}

/* The weight of a type: that of the most exact range (RFC 9110, 12.5.1). */
static unsigned weight_of(const char *accept, const char *type)
{
    struct choice c;
    unsigned best = 0, weight = 0;
    while (next_choice(&accept, &c)) {
        unsigned exact = fits(&c, type);
        if (exact > best) {
            best = exact;
            weight = c.weight;
        }
    }
    return weight;
}

bool negotiate_accepts(const char *accept, const char *type)
{
    return !accept || !*accept || weight_of(accept, type) > 0;
}

int negotiate_accept(const char *accept, const struct media *media, size_t n, const struct media **ret, struct error *e)
{
    unsigned best = 0;
    *ret = n ? &media[0] : NULL;
    if (!accept || !*accept || !n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        unsigned weight = weight_of(accept, media[i].type);
        if (weight > best) {
            best = weight;
            *ret = &media[i];
        }
    }
    if (best)
        return 0;
    (void)error_set(e, ERR_NOT_ACCEPTABLE, "This operation answers %s%s%s, which Accept does not allow.", media[0].type,
                    n > 1 ? " or " : "", n > 1 ? media[1].type : "");
    return -(int)ERR_NOT_ACCEPTABLE;
}

/* Only charset=utf-8 may follow a body's type; JSON has no other (RFC 8259). */
static bool parameters_ok(const char *p)
{
    for (p += strspn(p, " \t"); *p; p += strspn(p, " \t")) {
        if (*p++ != ';')
            return false;
        p += strspn(p, " \t");
        size_t n = strcspn(p, "; \t");
        bool utf8 = (n == 13 && strncasecmp(p, "charset=utf-8", 13) == 0) ||
                    (n == 15 && strncasecmp(p, "charset=\"utf-8\"", 15) == 0);
        if (n && !utf8)
            return false;
        p += n;
    }
    return true;
}

int negotiate_body(const char *content_type, const char *content_encoding, const struct operation *op,
                   const struct media **ret, struct error *e)
{
    if (content_encoding && !str_ieq(content_encoding, "identity"))
        return error_set(e, ERR_MEDIA_TYPE, "Bodies with a Content-Encoding are not taken here.");
    size_t n = content_type ? strcspn(content_type, "; \t") : 0;
    for (size_t i = 0; n && i < op->body_count; i++) {
        const char *type = op->body[i].type;
        if (strlen(type) != n || strncasecmp(content_type, type, n) != 0 || !parameters_ok(content_type + n))
            continue;
        *ret = &op->body[i];
        return 0;
    }
    return error_set(e, ERR_MEDIA_TYPE, "This operation takes %s%s%s in UTF-8%s.", op->body[0].type,
                     op->body_count > 1 ? " or " : "", op->body_count > 1 ? op->body[1].type : "",
                     content_type ? "" : "; the request has no Content-Type");
}

unsigned negotiate_weight(const char *accept_encoding, const char *encoding)
{
    struct choice c;
    unsigned any = 0;
    while (accept_encoding && next_choice(&accept_encoding, &c)) {
        if (c.len == strlen(encoding) && strncasecmp(c.value, encoding, c.len) == 0)
            return c.weight;
        if (c.len == 1 && *c.value == '*')
            any = c.weight;
    }
    return any;
}

const char *negotiate_encoding(const char *accept_encoding)
{
    unsigned zstd = negotiate_weight(accept_encoding, "zstd"), gzip = negotiate_weight(accept_encoding, "gzip");
    if (!zstd && !gzip)
        return NULL;
    return zstd >= gzip ? "zstd" : "gzip";
}
