/* Long-lived replies (public part in server.h). A stream is a queue of shared blobs between the threads
 * that send and the loop that owns the connection.
 * Locks: a stream's lock may be held while the loop's mailbox lock is taken, not the other way round. */
#ifndef HB_HTTP_STREAM_H
#define HB_HTTP_STREAM_H

#include "http/outq.h"
#include "http/server.h"

#include <pthread.h>
#include <sys/queue.h>

struct conn;
struct loop;

#define STREAM_MAGIC 0x5354524du

struct http_stream {
    uint32_t magic;
    _Atomic unsigned refs; /* the caller's, the connection's, the loop's mailbox */
    struct loop *loop;
    struct conn *conn; /* loop thread only; NULL: not attached yet, or gone */
    STAILQ_ENTRY(http_stream) link; /* in the loop's mailbox */
    void (*on_close)(void *user);
    void *user;
    size_t limit;
    bool chunked;
    pthread_mutex_t lock; /* what follows */
    struct outq queue;
    bool posted;   /* in the mailbox already */
    bool ending;   /* send what is queued, then end */
    bool overflow; /* end now */
    bool ended;    /* the last chunk is queued */
    bool closed;   /* nothing more goes in */
};
STAILQ_HEAD(stream_list, http_stream);

/* Loop thread. */
void stream_attach(struct http_stream *s, struct conn *c);
void stream_detach(struct http_stream *s); /* closed; runs on_close; drops the connection's reference */
enum stream_state { STREAM_SEND, STREAM_EMPTY, STREAM_ENDED, STREAM_OVERFLOW };
enum stream_state stream_gather(struct http_stream *s, struct outq_gather *g, int *ret_n);
void stream_sent(struct http_stream *s, size_t n);
void stream_unpost(struct http_stream *s); /* taken out of the mailbox */

#endif
