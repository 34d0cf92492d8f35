/* An exchange without sockets: the functions of http/server.h that the API layer calls, on plain memory, so that its
 * tests see each reply whole. The real server's own tests cover the bytes on the wire. */
#ifndef HB_TEST_FAKE_EXCHANGE_H
#define HB_TEST_FAKE_EXCHANGE_H

#include "http/api.h"
#include "http/server.h"

struct fake_reply {
    int status;
    char headers[8192]; /* "Name: value\n" lines */
    struct blob *body;  /* as sent: compressed, when it was */
    struct http_stream *stream;
    int refused;        /* what on_head returned */
    size_t body_limit;  /* what it allowed */
};

/* `line` is "GET /path?query"; `headers` are "Name: value" lines ended by "\n", or NULL. */
void fake_send(struct api *a, const char *line, const char *headers, const char *body, struct fake_reply *ret);
void fake_reply_done(struct fake_reply *r);
/* The first header of that name, copied into a static buffer; NULL: absent. */
const char *fake_header(const struct fake_reply *r, const char *name);
json_t *fake_json(const struct fake_reply *r); /* the body parsed; the caller's */

/* A stream keeps what was sent to it. */
const char *fake_stream_text(struct http_stream *s);
void fake_stream_clear(struct http_stream *s);
void fake_stream_hang_up(struct http_stream *s); /* the peer goes away */
bool fake_stream_closed(const struct http_stream *s); /* the hub closed it */
extern size_t fake_stream_room; /* more unsent bytes than that: too slow */

#endif
