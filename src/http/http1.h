/* The HTTP guard: one strict, incremental parser of HTTP/1.x request heads and chunked bodies. No I/O.
 * Input may come in any pieces; the verdict never depends on how it was cut. What is doubtful is refused,
 * because a second reader of the same bytes (a proxy) might read it in another way (request smuggling).
 * Ownership: the caller owns the structs; `_done` frees. Not thread-safe.
 * Errors are ERR_MALFORMED (400), ERR_URI_TOO_LONG, ERR_HEADERS_TOO_LARGE, ERR_TOO_LARGE or ERR_INTERNAL (memory).
 * Sources: RFC 9110 (fields, tokens), RFC 9112 (framing), RFC 3986 (host). */
#ifndef HB_HTTP_HTTP1_H
#define HB_HTTP_HTTP1_H

#include "base/buf.h"
#include "base/error.h"

#include "http/server.h"

#define HTTP1_MORE 0
#define HTTP1_DONE 1

struct http1_limits {
    size_t line_bytes;  /* request line */
    size_t block_bytes; /* request line and fields */
    unsigned fields;
};

struct http1_head {
    /* Checked and normalized: method NUL path NUL query NUL, then name NUL value NUL for each field;
     * names in lower case. */
    struct buf text;
    struct buf line; /* a line that is not complete yet */
    size_t bytes;    /* input consumed */
    size_t path, query, first_field; /* offsets into text */
    uint64_t length;                 /* Content-Length; 0 if none */
    unsigned fields;
    enum http_method method;
    uint8_t minor; /* HTTP/1.minor */
    bool line_known, blank_seen, preface; /* preface: an HTTP/2 client by prior knowledge */
    bool has_host, has_length, has_coding, chunked, close, expect_continue;
};
void http1_head_init(struct http1_head *h);
void http1_head_done(struct http1_head *h);
/* Takes input up to the end of the head. HTTP1_DONE, HTTP1_MORE or negative with `e`. */
int http1_head_feed(struct http1_head *h, const struct http1_limits *limits, const char *data, size_t len,
                    size_t *ret_used, struct error *e);
const char *http1_head_field(const struct http1_head *h, const char *name); /* first one; NULL; borrowed */
bool http1_head_next(const struct http1_head *h, size_t *cursor, const char **name, const char **value);

struct http1_chunks {
    unsigned stage;
    unsigned digits;
    uint64_t left;        /* bytes of the current chunk to come */
    size_t extension;     /* bytes of this chunk's extension */
    size_t extensions;    /* of all */
    size_t trailer_bytes;
    struct buf line;      /* trailer line */
};
void http1_chunks_init(struct http1_chunks *c);
void http1_chunks_done(struct http1_chunks *c);
/* Decodes into `out`, which may hold at most `limit` bytes. Trailers are checked and dropped. */
int http1_chunks_feed(struct http1_chunks *c, const char *data, size_t len, size_t *ret_used, struct buf *out,
                      size_t limit, struct error *e);

/* A field that may be sent: a token, and a value without control characters. */
bool http1_field_ok(const char *name, const char *value);

#endif
