/* Server-sent events, parsed from any cut of the bytes (WHATWG HTML, 9.2).
 * Ownership: `sse_done`; an event's texts are borrowed for the call. Threads: one. */
#ifndef HB_CLI_SSE_H
#define HB_CLI_SSE_H

#include "base/buf.h"

struct sse_event {
    const char *id, *type, *data; /* "" where it said none; id stays that of an earlier event */
};
struct sse {
    void (*on_event)(void *ctx, const struct sse_event *event);
    void *ctx;
    struct buf line, data;
    char id[72], type[72];
    bool after_cr, begun, has_data;
};
#define SSE_EVENT_MAX ((size_t)4 << 20)
void sse_init(struct sse *s, void (*on_event)(void *ctx, const struct sse_event *event), void *ctx);
void sse_done(struct sse *s);
void sse_restart(struct sse *s); /* a new connection: what was half read is forgotten, the id stays */
int sse_feed(struct sse *s, const char *bytes, size_t len); /* -EMSGSIZE: an event over SSE_EVENT_MAX */

#endif
