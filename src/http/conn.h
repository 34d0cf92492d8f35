/* One connection: reads requests, hands them on, sends replies; its states and moves are in conn.c.
 * Ownership: its loop's. One thread, except that a worker may read `peer`, `tls` and `loop`. */
#ifndef HB_HTTP_CONN_H
#define HB_HTTP_CONN_H

#include "http/admission.h"
#include "http/exchange.h"
#include "http/outq.h"
#include "http/tls.h"
#include "http/wheel.h"

struct loop;

#define CONN_MAGIC 0x434f4e4eu

enum conn_state {
    CONN_HANDSHAKE,
    CONN_IDLE,
    CONN_HEAD,
    CONN_BODY,
    CONN_HANDLING,
    CONN_WRITING,
    CONN_STREAMING,
    CONN_LINGER,
    CONN_CLOSED,
    CONN_STATES
};

struct conn {
    uint32_t magic;
    enum conn_state state;
    int fd;
    bool readable, writable; /* what epoll (edge-triggered) said last */
    bool peer_ended;         /* a FIN came: a short read is not the end of the news */
    bool close_after;        /* the reply */
    bool unread;             /* input was left unread: close by lingering */
    bool abandoned;          /* close when the worker is done */
    bool in_again;
    unsigned again_turn; /* when it was put there */
    struct loop *loop;
    struct http_server *server;
    struct tls_session *tls;
    struct wheel_timer timer;
    TAILQ_ENTRY(conn) all, idle, again; /* `all` serves arrived, conns and dead, one at a time */
    struct http_exchange *x;
    struct http_stream *stream;
    struct buf in; /* received, not looked at yet (pipelined) */
    struct outq out;
    int64_t body_started;
    size_t received; /* of the body, or while lingering */
    union address peer;
};

struct conn *conn_new(struct http_server *s, int fd, const union address *peer); /* NULL: no memory */
void conn_open(struct conn *c, struct loop *l); /* on the loop's thread */
void conn_ready(struct conn *c, uint32_t events);
void conn_run(struct conn *c);
void conn_done(struct http_exchange *x);    /* the worker is through */
void conn_refused(struct http_exchange *x); /* the queue was full */
void conn_expired(struct wheel_timer *t);
void conn_stop(struct conn *c); /* the server stops: ends what is not at work */
void conn_close(struct conn *c);
void conn_free(struct conn *c);

#endif
