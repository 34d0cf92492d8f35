/* Splits an engine's log stream into stdout and stderr. Without a terminal each piece has a header of eight bytes
 * (stream, three zeros, length big-endian); with one the bytes are the output itself. Which of both is said by the
 * container's Tty setting and never guessed (O02).
 * Incremental: any split of the input gives the same bytes in the same order. A piece may come in several calls.
 * Ownership: the caller owns the struct, nothing is allocated. Not thread-safe. */
#ifndef HB_DOCKER_LOGS_H
#define HB_DOCKER_LOGS_H

#include "runtime/engine.h"

#define DOCKER_LOG_WORDS 256

struct docker_demux {
    engine_log_fn fn;
    void *ctx;
    bool tty, broken;   /* broken: -EPROTO was met, so that a callback's own -EPROTO is not taken for it */
    unsigned char header[8];
    unsigned header_len;
    uint32_t left;      /* of the current piece */
    unsigned stream;    /* 0 stdin, 1 stdout, 2 stderr, 3 the engine's own error */
    char words[DOCKER_LOG_WORDS]; /* of the engine's own error */
    size_t words_len;
};
void docker_demux_init(struct docker_demux *d, bool tty, engine_log_fn fn, void *ctx);
/* 0, what `fn` returned below zero, or -EPROTO: not the framed form. */
int docker_demux_feed(struct docker_demux *d, const char *bytes, size_t len);
/* The stream ended: ERR_UPSTREAM when it ended inside a piece, or with an error of the engine. */
int docker_demux_end(const struct docker_demux *d, struct error *e);

#endif
