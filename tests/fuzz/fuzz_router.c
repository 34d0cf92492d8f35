/* Request paths, accept headers and tag lists from outside. A decoded path has no segment that climbs, hides a NUL or is
 * not UTF-8; the router finds only what was added. */
#include "http/api_internal.h"

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct router *routes(void)
{
    static const char *const paths[] = { "/v1/nodes", "/v1/nodes/{id}", "/v1/nodes/{id}/logs", "/v1/{kind}/latest",
                                         "/" };
    static struct router *r;
    if (r)
        return r;
    r = router_new();
    for (size_t i = 0; r && i < ARRAY_LEN(paths); i++)
        if (router_add(r, HTTP_GET, paths[i], paths[i], NULL) < 0)
            abort();
    return r;
}

static void check_path(const char *text)
{
    struct path p;
    if (path_decode(text, &p, NULL) < 0)
        return;
    for (unsigned i = 0; i < p.count; i++) {
        const char *s = p.segment[i];
        if (str_eq(s, ".") || str_eq(s, "..") || !str_is_utf8(s, strlen(s)))
            abort();
    }
    const void *const *targets = router_find(routes(), &p);
    if (!targets)
        return;
    size_t slashes = 0;
    const char *found = targets[HTTP_GET];
    for (const char *at = found; *at; at++)
        slashes += *at == '/';
    if (p.count != (found[1] ? slashes : 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct media json[] = { { "application/json", NULL }, { "text/plain", NULL } };
    const struct media *chosen = NULL;
    char text[4096];
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_path(text);
    (void)negotiate_encoding(text);
    if (negotiate_accept(text, json, ARRAY_LEN(json), &chosen, NULL) == 0 && !chosen)
        abort();
    if (etag_matches_strong(text, "\"a\"") && !etag_matches_weak(text, "\"a\""))
        abort();
    if (percent_decode(text, true) == 0 && !str_is_utf8(text, strlen(text)))
        abort();
    return 0;
}
