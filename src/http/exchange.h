/* One request and its reply, between the connection that reads it and the worker that answers it.
 * Ownership: the connection's, except while `handle` runs: then the worker's. Freed by the loop. */
#ifndef HB_HTTP_EXCHANGE_H
#define HB_HTTP_EXCHANGE_H

#include "http/http1.h"

#include <sys/queue.h>

struct conn;

#define EXCHANGE_MAGIC 0x45584348u

struct http_exchange {
    uint32_t magic;
    struct http_server *server;
    struct conn *conn;
    STAILQ_ENTRY(http_exchange) link; /* in one queue at most: batch, worker queue, done */
    struct http1_head head;
    struct http1_chunks chunks;
    struct buf body;
    size_t body_limit;
    size_t accounted; /* bytes of body counted in the server's total */
    void *user;
    void (*free_user)(void *user);
    bool replied, failing, close;
    struct blob *reply_head, *reply_body;
    struct http_stream *stream;
};
STAILQ_HEAD(exchange_list, http_exchange);

struct http_exchange *exchange_new(struct conn *c); /* NULL: no memory */
void exchange_free(struct http_exchange *x);
/* Calls the handler; afterwards the exchange has a reply, whatever the handler did. */
void exchange_handle(struct http_exchange *x);
/* Answers with the error and, if `close`, ends the connection. */
void exchange_fail(struct http_exchange *x, const struct error *e, bool close);
/* Counts the body's growth against all bodies; false: over the limit. */
bool exchange_account(struct http_exchange *x);
/* The head of a reply; `length` -1: no Content-Length. `chunked` adds the coding. NULL: no memory or bad fields. */
struct blob *exchange_head(const struct http_exchange *x, int status, const struct http_field *fields, size_t n,
                           int64_t length, bool chunked);
bool exchange_fields_ok(const struct http_field *fields, size_t n);

#endif
