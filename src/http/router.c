#include "http/router.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int percent_decode(char *text, bool plus)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        unsigned char c = (unsigned char)*in;
        if (c == '%') {
            int high = hex_value(in[1]);
            int low = high < 0 ? -1 : hex_value(in[2]);
            if (low < 0)
                return -EINVAL;
            c = (unsigned char)(high << 4 | low);
            in += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return -EINVAL;
        *out++ = (char)c;
    }
    *out = '\0';
    return str_is_utf8(text, (size_t)(out - text)) ? 0 : -EINVAL;
}

int path_decode(const char *raw, struct path *ret, struct error *e)
{
    size_t len = strlen(raw);
    if (len >= sizeof ret->storage)
        return error_set(e, ERR_URI_TOO_LONG, "The path is longer than %d bytes.", PATH_BYTES - 1);
    if (raw[0] != '/')
        return error_set(e, ERR_MALFORMED, "The path does not begin with \"/\".");
    ret->count = 0;
    if (len == 1)
        return 0;
    memcpy(ret->storage, raw, len + 1);
    for (char *at = ret->storage + 1; at;) {
        char *end = strchr(at, '/');
        if (end)
            *end++ = '\0';
        if (percent_decode(at, false) < 0)
            return error_set(e, ERR_MALFORMED, "Segment %u of the path is not well percent-encoded UTF-8 text.",
                             ret->count + 1);
        if (str_eq(at, ".") || str_eq(at, ".."))
            return error_set(e, ERR_MALFORMED, "The path has a \"%s\" segment.", at);
        if (ret->count == PATH_SEGMENTS)
            return error_set(e, ERR_NOT_FOUND, "There is no such path: it has more than %d segments.", PATH_SEGMENTS);
        ret->segment[ret->count++] = at;
        at = end;
    }
    return 0;
}

struct node {
    char *literal;
    struct node *next, *children, *parameter;
    const void *targets[ROUTER_METHODS];
    bool ends; /* a template ends here */
};

struct router {
    struct node root;
};

struct router *router_new(void)
{
    return calloc(1, sizeof(struct router));
}

static void node_free(struct node *n)
{
    while (n) {
        struct node *next = n->next;
        node_free(n->children);
        node_free(n->parameter);
        free(n->literal);
        free(n);
        n = next;
    }
}

void router_free(struct router *r)
{
    if (!r)
        return;
    node_free(r->root.children);
    node_free(r->root.parameter);
    free(r);
}

static struct node *child(struct node *at, const char *segment, size_t len)
{
    if (segment[0] == '{') {
        if (!at->parameter)
            at->parameter = calloc(1, sizeof(struct node));
        return at->parameter;
    }
    for (struct node *n = at->children; n; n = n->next)
        if (strlen(n->literal) == len && memcmp(n->literal, segment, len) == 0)
            return n;
    struct node *n = calloc(1, sizeof *n);
    if (!n || !(n->literal = strndup(segment, len))) {
        free(n);
        return NULL;
    }
    n->next = at->children;
    at->children = n;
    return n;
}

static bool is_segment_template(const char *segment, size_t len)
{
    const char *brace = memchr(segment, '{', len);
    if (!brace)
        return len > 0 && !memchr(segment, '}', len);
    return brace == segment && len > 2 && memchr(segment, '}', len) == segment + len - 1 &&
           !memchr(segment + 1, '{', len - 1);
}

int router_add(struct router *r, enum http_method m, const char *path_template, const void *target, struct error *e)
{
    struct node *at = &r->root;
    const char *p = path_template;
    unsigned depth = 0;
    while (*p == '/' && p[1]) {
        size_t len = strcspn(++p, "/");
        if (!is_segment_template(p, len) || ++depth > PATH_SEGMENTS)
            return error_set(e, ERR_INTERNAL, "%s is no path template: each segment is a word or one {parameter}",
                             path_template);
        at = child(at, p, len);
        if (!at)
            return error_errno(e, -ENOMEM, "Adding the route %s", path_template);
        p += len;
    }
    if (*p && !str_eq(path_template, "/"))
        return error_set(e, ERR_INTERNAL, "%s is no path template: it ends in a slash", path_template);
    if (m >= ROUTER_METHODS || at->targets[m])
        return error_set(e, ERR_INTERNAL, "%s has two operations of one method", path_template);
    at->targets[m] = target;
    at->ends = true;
    return 0;
}

static const struct node *find(const struct node *at, const struct path *p, unsigned i)
{
    if (i == p->count)
        return at->ends ? at : NULL;
    for (const struct node *n = at->children; n; n = n->next) {
        if (!str_eq(n->literal, p->segment[i]))
            continue;
        const struct node *found = find(n, p, i + 1);
        if (found)
            return found;
    }
    return at->parameter && *p->segment[i] ? find(at->parameter, p, i + 1) : NULL;
}

const void *const *router_find(const struct router *r, const struct path *p)
{
    const struct node *n = find(&r->root, p, 0);
    return n ? n->targets : NULL;
}

void router_allow(const void *const *targets, char *ret, size_t size)
{
    static const char *const names[ROUTER_METHODS] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    };
    size_t used = 0;
    if (size)
        ret[0] = '\0';
    for (unsigned m = 0; m < ROUTER_METHODS; m++) {
        if (!targets[m] && m != HTTP_OPTIONS && !(m == HTTP_HEAD && targets[HTTP_GET]))
            continue;
        int n = snprintf(ret + used, size - used, "%s%s", used ? ", " : "", names[m]);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}
