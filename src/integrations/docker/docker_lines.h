/* Cuts a stream into lines of JSON, whatever the pieces it comes in.
 * Ownership: the caller owns the struct; `docker_lines_done` frees. Not thread-safe. */
#ifndef HB_DOCKER_LINES_H
#define HB_DOCKER_LINES_H

#include "base/buf.h"
#include "base/error.h"

#define DOCKER_LINE_MAX ((size_t)1 << 20) /* bytes; a longer line ends the stream with -EMSGSIZE */

/* Returns 0 or negative to stop. */
typedef int (*docker_line_fn)(void *ctx, const json_t *line);

struct docker_lines {
    struct buf part;
    docker_line_fn fn;
    void *ctx;
};
void docker_lines_init(struct docker_lines *l, docker_line_fn fn, void *ctx);
void docker_lines_done(struct docker_lines *l);
/* 0, what `fn` returned below zero, -EMSGSIZE, -ENOMEM, or -EPROTO for a line that is no JSON object. */
int docker_lines_feed(struct docker_lines *l, const char *bytes, size_t len);
int docker_lines_end(struct docker_lines *l); /* hands over a last line without its end */

#endif
