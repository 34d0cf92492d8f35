#include "http/stream.h"

#include "http/conn.h"
#include "http/loop.h"
#include "http/server_internal.h"

#include <errno.h>
#include <sys/socket.h>

#define STREAM_SNDBUF 65536 /* what the kernel may hold for a subscriber that does not read */

struct http_stream *http_stream_begin(struct http_exchange *x, int status, const struct http_field *fields, size_t n,
                                      void (*on_close)(void *user), void *user)
{
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    assert(!x->replied);
    if (!exchange_fields_ok(fields, n))
        return NULL;
    struct http_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->magic = STREAM_MAGIC;
    s->refs = 2;
    s->loop = x->conn->loop;
    s->on_close = on_close;
    s->user = user;
    s->limit = x->server->limits.stream_bytes;
    s->chunked = x->head.minor > 0;
    (void)pthread_mutex_init(&s->lock, NULL);
    x->close = true;
    _cleanup_blob_ struct blob *head = exchange_head(x, status, fields, n, -1, s->chunked);
    if (!head || outq_push(&s->queue, head, false) < 0) {
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
    }
    s->ending = s->ended = x->head.method == HTTP_HEAD;
    x->stream = s;
    x->replied = true;
    x->server->streams++;
    return s;
}

/* Lock held: makes the loop look at the stream, once however many frames come before it does. */
static void post(struct http_stream *s)
{
    if (s->posted)
        return;
    s->posted = true;
    s->refs++;
    loop_post_stream(s->loop, s);
}

int http_stream_send(struct http_stream *s, struct blob *frame)
{
    MAGIC_CHECK(s, STREAM_MAGIC);
    int r = 0;
    (void)pthread_mutex_lock(&s->lock);
    if (s->closed || s->ending || s->overflow)
        r = -EPIPE;
    else if (s->queue.bytes + frame->len > s->limit || outq_push(&s->queue, frame, s->chunked) < 0) {
        s->overflow = true;
        r = -ENOBUFS;
    }
    if (r != -EPIPE)
        post(s);
    (void)pthread_mutex_unlock(&s->lock);
    return r;
}

void http_stream_close(struct http_stream *s)
{
    MAGIC_CHECK(s, STREAM_MAGIC);
    (void)pthread_mutex_lock(&s->lock);
    if (!s->closed && !s->ending) {
        s->ending = true;
        post(s);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void http_stream_unref(struct http_stream *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    outq_done(&s->queue);
    (void)pthread_mutex_destroy(&s->lock);
    s->magic = 0;
    free(s);
}

void stream_attach(struct http_stream *s, struct conn *c)
{
    s->conn = c;
    int size = STREAM_SNDBUF;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

void stream_detach(struct http_stream *s)
{
    s->conn = NULL;
    (void)pthread_mutex_lock(&s->lock);
    s->closed = true;
    outq_done(&s->queue);
    (void)pthread_mutex_unlock(&s->lock);
    loop_server(s->loop)->streams--;
    if (s->on_close)
        s->on_close(s->user);
    http_stream_unref(s);
}

static const char last_chunk[] = "0\r\n\r\n";

/* Lock held, queue empty, end wanted. */
static enum stream_state end(struct http_stream *s)
{
    if (s->ended || !s->chunked)
        return STREAM_ENDED;
    s->ended = true;
    _cleanup_blob_ struct blob *last = blob_new(last_chunk, sizeof last_chunk - 1);
    return last && outq_push(&s->queue, last, false) == 0 ? STREAM_SEND : STREAM_OVERFLOW;
}

enum stream_state stream_gather(struct http_stream *s, struct outq_gather *g, int *ret_n)
{
    enum stream_state state = STREAM_SEND;
    (void)pthread_mutex_lock(&s->lock);
    if (s->overflow)
        state = STREAM_OVERFLOW;
    else if (s->queue.count == 0)
        state = s->ending ? end(s) : STREAM_EMPTY;
    /* Blobs stay valid without the lock: only this thread takes them out. */
    *ret_n = state == STREAM_SEND ? outq_gather(&s->queue, g) : 0;
    (void)pthread_mutex_unlock(&s->lock);
    return state;
}

void stream_sent(struct http_stream *s, size_t n)
{
    (void)pthread_mutex_lock(&s->lock);
    outq_sent(&s->queue, n);
    (void)pthread_mutex_unlock(&s->lock);
}

void stream_unpost(struct http_stream *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->posted = false;
    (void)pthread_mutex_unlock(&s->lock);
}
