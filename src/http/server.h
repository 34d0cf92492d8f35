/* The HTTP/1.1 listener: strict parsing, limits, worker threads, long-lived streams. It knows bytes and
 * connections; what a path means is the handler's business (api.h).
 * Threads: loop threads never block; `handle` runs on a worker and may. `on_head` runs on a loop thread
 * and must not block. An exchange belongs to its worker from `handle` until a reply or stream began.
 * Source of the framing rules: RFC 9110, RFC 9112. */
#ifndef HB_HTTP_SERVER_H
#define HB_HTTP_SERVER_H

#include "base/blob.h"
#include "base/error.h"

#include <sys/socket.h>

struct http_server;
struct http_exchange;
struct http_stream;

struct http_limits {          /* 0 takes the default in brackets */
    size_t header_bytes;      /* request line and header block [16 KiB] -> 431 / 414 */
    unsigned header_count;    /* [64] -> 431 */
    size_t body_bytes;        /* what on_head may allow at most [16 MiB] -> 413 */
    unsigned connections;     /* in all [4096 or what RLIMIT_NOFILE allows] */
    unsigned per_address;     /* connections an address (IPv6: /64) [128; loopback and trusted proxies: none] */
    unsigned reserved;        /* of `connections`, kept for addresses that lately authenticated and loopback [32] */
    unsigned header_ms;       /* from first byte to the end of the header block [10000] -> 408 */
    unsigned body_ms;         /* whole body [60000] -> 408 */
    unsigned body_rate;       /* bytes a second a body must keep after its grace [256] -> 408 */
    unsigned body_grace_ms;   /* [5000] */
    size_t bodies_bytes;      /* all bodies held at once [256 MiB] -> 503 */
    unsigned idle_ms;         /* keep-alive without a request [75000] */
    unsigned write_ms;        /* a reply that makes no progress [30000]: closed */
    unsigned queue;           /* requests waiting for a worker [1024] -> 503 with Retry-After */
    size_t stream_bytes;      /* unsent bytes a stream may have [256 KiB]: then it is closed */
};

struct http_server_options {
    const char *listen;        /* "127.0.0.1:3000", "[::1]:0" (0: any free port) */
    unsigned loops;            /* loop threads [1] */
    unsigned workers;          /* worker threads [8] */
    struct http_limits limits;
    const char *tls_certificate_file, *tls_key_file; /* both or none */
    /* Loop thread: the header block has arrived. Sets the body's limit, or returns negative with `e`
     * (answered by `fail`, connection closed when a body was announced). */
    int (*on_head)(void *ctx, struct http_exchange *x, size_t *ret_body_limit, struct error *e);
    /* Worker thread: must reply or begin a stream before it returns. */
    void (*handle)(void *ctx, struct http_exchange *x);
    /* Any thread: writes the standard error body for a request that never reached `handle`
     * (x is NULL when not even a request line was understood). The status is the error's; the server adds
     * Content-Type: application/json and Retry-After. To choose the fields itself it may call http_reply
     * on a non-NULL x and return NULL. NULL pointer: a short plain text. */
    struct blob *(*fail)(void *ctx, struct http_exchange *x, const struct error *e);
    /* Loop thread, may be NULL: a GET or HEAD without body was accepted. True when it replied at once
     * without blocking (a cached document); false leaves the exchange untouched for `handle`. */
    bool (*try_inline)(void *ctx, struct http_exchange *x);
    /* Loop thread, may be NULL: this peer is a trusted proxy and has no cap per address. */
    bool (*trusted)(void *ctx, const struct sockaddr *peer);
    bool loopback_plain; /* loopback has no privilege: every local user is a stranger (and tests) */
    void *ctx;
};
int http_server_start(const struct http_server_options *o, struct http_server **ret, struct error *e);
unsigned http_server_port(const struct http_server *s);
/* Stops accepting, lets running requests end for at most `drain_ms`, closes streams, joins threads. */
void http_server_stop(struct http_server *s, unsigned drain_ms);

struct http_stats {
    uint64_t accepted, refused, requests, bad_requests, timeouts, bytes_in, bytes_out;
    unsigned open, streams, queued;
};
void http_server_stats(const struct http_server *s, struct http_stats *ret);
/* Addresses that authenticated may use the reserved connections for 10 min (bounded table). */
void http_server_know_address(struct http_server *s, const struct http_exchange *x);

/* The request. Texts are borrowed until the reply. */
enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };
enum http_method http_method(const struct http_exchange *x);
const char *http_method_name(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x);   /* raw, still percent-encoded, without query */
const char *http_query(const struct http_exchange *x);  /* raw, "" if none */
const char *http_header(const struct http_exchange *x, const char *name); /* first one; NULL */
/* Walks all headers; false at the end. */
bool http_header_next(const struct http_exchange *x, size_t *cursor, const char **name, const char **value);
const char *http_body(const struct http_exchange *x, size_t *ret_len);
const struct sockaddr *http_peer(const struct http_exchange *x);
bool http_is_tls(const struct http_exchange *x);
void http_set_user(struct http_exchange *x, void *user, void (*free_user)(void *)); /* handler's own state */
void *http_user(const struct http_exchange *x);

struct http_field {
    const char *name, *value; /* copied; control characters refused */
};
/* Sends status, headers and body (NULL: none). Content-Length, Date, Connection are added here; HEAD and
 * 204/304 never carry a body. Takes a reference of its own on `body`. Once an exchange. */
void http_reply(struct http_exchange *x, int status, const struct http_field *fields, size_t n, struct blob *body);

/* An endless reply (event stream), chunked. The exchange ends; the stream lives until closed. `on_close`
 * runs once, on a loop thread, when the peer is gone, too slow or the server stops.
 * Ownership: the caller holds one reference until http_stream_unref. */
struct http_stream *http_stream_begin(struct http_exchange *x, int status, const struct http_field *fields, size_t n,
                                      void (*on_close)(void *user), void *user);
/* Any thread. 0, -EPIPE closed, -ENOBUFS too slow: now closing. */
int http_stream_send(struct http_stream *s, struct blob *frame);
void http_stream_close(struct http_stream *s);
void http_stream_unref(struct http_stream *s);

#endif
