/* Paths: decoding of a request's path, once and per segment, and the trie that finds the operation.
 * An encoded slash stays inside its segment; what could climb or confuse (".", "..", NUL, bad escapes) is refused
 * before anyone asks who may do what.
 * Ownership: the router owns its nodes, targets are the caller's. Built by one thread, then read by any. */
#ifndef HB_HTTP_ROUTER_H
#define HB_HTTP_ROUTER_H

#include "base/error.h"
#include "http/server.h"

#define PATH_SEGMENTS 16
#define PATH_BYTES 2048

struct path {
    unsigned count; /* segments; "/" has none, "/a/" has "a" and "" */
    const char *segment[PATH_SEGMENTS];
    char storage[PATH_BYTES];
};
/* 0, ERR_MALFORMED, ERR_URI_TOO_LONG (over PATH_BYTES) or ERR_NOT_FOUND (over PATH_SEGMENTS). */
int path_decode(const char *raw, struct path *ret, struct error *e);

/* Decodes one percent-encoded text in place; `plus`: "+" is a space (query strings). Refuses bad escapes,
 * control characters and what is not UTF-8: -EINVAL. */
int percent_decode(char *text, bool plus);

#define ROUTER_METHODS HTTP_OTHER
struct router;
struct router *router_new(void);
void router_free(struct router *r);
/* Templates are whole segments: "/v1/nodes/{nodeId}". ERR_INTERNAL: not a template, or taken. */
int router_add(struct router *r, enum http_method m, const char *path_template, const void *target, struct error *e);

/* The targets of a path by method; a literal segment beats a parameter. NULL: no such path. */
const void *const *router_find(const struct router *r, const struct path *p);
/* "DELETE, GET, HEAD, OPTIONS": what a path answers to. */
void router_allow(const void *const *targets, char *ret, size_t size);

#endif
