#include "runtime/image_name.h"

#include "base/str.h"

#include <stdio.h>

static int refuse(struct error *e, const char *pointer, const char *why)
{
    (void)error_set(e, ERR_VALIDATION, "The image is not named in a way that can be deployed.");
    error_detail(e, pointer, "%s", why);
    return -ERR_VALIDATION;
}

int image_name_parse(const char *reference, const char *tag, struct image_name *ret, struct error *e)
{
    struct image_name n = { 0 };
    const char *at = strchr(reference, '@');
    size_t len = at ? (size_t)(at - reference) : strlen(reference);
    const char *slash = memrchr(reference, '/', len);
    const char *from = slash ? slash : reference;
    const char *colon = memrchr(from, ':', len - (size_t)(from - reference));
    size_t name_len = colon ? (size_t)(colon - reference) : len;
    if (!name_len || name_len >= sizeof n.name)
        return refuse(e, "/container/image", "must name an image");
    memcpy(n.name, reference, name_len);
    if (colon && (len - name_len < 2 || len - name_len > sizeof n.tag))
        return refuse(e, "/container/image", "has a tag that is empty or too long");
    if (colon)
        (void)snprintf(n.tag, sizeof n.tag, "%.*s", (int)(len - name_len - 1), colon + 1);
    if (at && (!str_starts(at, "@sha256:") || strspn(at + 8, "0123456789abcdef") != 64 || at[72]))
        return refuse(e, "/container/image", "has a digest that is not sha256: and 64 hex digits");
    if (at)
        str_copy(n.digest, sizeof n.digest, at + 1);
    if (tag && n.tag[0] && !str_eq(tag, n.tag))
        return refuse(e, "/container/tag", "does not agree with the tag in image");
    if (tag && !n.tag[0] && n.digest[0])
        return refuse(e, "/container/tag", "does not go with a digest in image");
    if (tag)
        str_copy(n.tag, sizeof n.tag, tag);
    if (!n.tag[0] && !n.digest[0])
        str_copy(n.tag, sizeof n.tag, "latest");
    *ret = n;
    return 0;
}

void image_name_reference(const struct image_name *n, char *ret, size_t size)
{
    if (n->digest[0])
        (void)snprintf(ret, size, "%s@%s", n->name, n->digest);
    else
        (void)snprintf(ret, size, "%s:%s", n->name, n->tag[0] ? n->tag : "latest");
}

void image_name_registry(const struct image_name *n, char *ret, size_t size)
{
    size_t len = strcspn(n->name, "/");
    bool host = n->name[len] == '/' &&
                (memchr(n->name, '.', len) || memchr(n->name, ':', len) || strncmp(n->name, "localhost/", 10) == 0);
    if (host)
        (void)snprintf(ret, size, "%.*s", (int)len, n->name);
    else
        str_copy(ret, size, "docker.io");
}
