#include "http/conn.h"

#include "http/loop.h"
#include "http/server_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connection's life:
 *
 *   HANDSHAKE ─→ IDLE ─→ HEAD ─→ BODY ─→ HANDLING ─→ WRITING ─→ IDLE (keep-alive)
 *    (TLS only)           │       │         │           ├─────→ LINGER ─→ CLOSED
 *                         │       │         └─→ STREAMING ──────┘
 *                         └───────┴─(refused)─→ WRITING
 *   HEAD goes straight to HANDLING when there is no body, to WRITING when answered inline.
 *   Every state may go to CLOSED; HANDLING only when the worker has given the exchange back.
 *
 * Invariants: IDLE holds no exchange and no buffers; only HANDLING's exchange belongs to someone else;
 * input is read only in the states that use it, so a peer cannot make us buffer more than one read. */
#define TO(state) (1u << (state))
static const unsigned moves[CONN_STATES] = {
    [CONN_HANDSHAKE] = TO(CONN_IDLE) | TO(CONN_CLOSED),
    [CONN_IDLE] = TO(CONN_HEAD) | TO(CONN_CLOSED),
    [CONN_HEAD] = TO(CONN_BODY) | TO(CONN_HANDLING) | TO(CONN_WRITING) | TO(CONN_STREAMING) | TO(CONN_CLOSED),
    [CONN_BODY] = TO(CONN_HANDLING) | TO(CONN_WRITING) | TO(CONN_CLOSED),
    [CONN_HANDLING] = TO(CONN_WRITING) | TO(CONN_STREAMING) | TO(CONN_CLOSED),
    [CONN_WRITING] = TO(CONN_IDLE) | TO(CONN_LINGER) | TO(CONN_CLOSED),
    [CONN_STREAMING] = TO(CONN_LINGER) | TO(CONN_CLOSED),
    [CONN_LINGER] = TO(CONN_CLOSED),
};

#define TURNS 32    /* steps before the others' turn */
#define HEAD_READ 8192  /* bytes a read; bounds what pipelining can make us hold */
#define BODY_READ 16384
#define LINGER_MS 1000
#define LINGER_BYTES 65536
#define DISCARD_BYTES 65536 /* what a subscriber may send us before we hang up */

/* WAIT: nothing to do before an event. GO: call again. */
enum step { WAIT, GO };

static void conn_move(struct conn *c, enum conn_state to, int64_t within_ms)
{
    assert(moves[c->state] & TO(to));
    if (c->state == CONN_IDLE)
        TAILQ_REMOVE(&c->loop->idle, c, idle);
    c->state = to;
    if (to == CONN_IDLE)
        TAILQ_INSERT_TAIL(&c->loop->idle, c, idle);
    wheel_set(&c->loop->wheel, &c->timer, within_ms < 0 ? WHEEL_NEVER : c->loop->now + within_ms);
}

struct conn *conn_new(struct http_server *s, int fd, const union address *peer)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->magic = CONN_MAGIC;
    c->server = s;
    c->fd = fd;
    c->peer = *peer;
    if (s->tls && !(c->tls = tls_session_new(s->tls, fd))) {
        free(c);
        return NULL;
    }
    return c;
}

void conn_open(struct conn *c, struct loop *l)
{
    c->loop = l;
    c->writable = true;
    c->state = c->tls ? CONN_HANDSHAKE : CONN_IDLE;
    TAILQ_INSERT_TAIL(&l->conns, c, all);
    if (!c->tls)
        TAILQ_INSERT_TAIL(&l->idle, c, idle);
    unsigned ms = c->tls ? c->server->limits.header_ms : c->server->limits.idle_ms;
    wheel_set(&l->wheel, &c->timer, l->now + ms);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0 || l->stopping)
        conn_close(c);
}

static void leave_server(struct conn *c)
{
    struct http_server *s = c->server;
    admission_leave(s->admission, &c->peer);
    if (s->stopping && admission_open(s->admission) == 0) {
        (void)pthread_mutex_lock(&s->drain_lock);
        (void)pthread_cond_broadcast(&s->drained);
        (void)pthread_mutex_unlock(&s->drain_lock);
    }
}

void conn_close(struct conn *c)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    if (c->state == CONN_CLOSED)
        return;
    if (c->state == CONN_HANDLING && c->x) {
        c->abandoned = true;
        return;
    }
    conn_move(c, CONN_CLOSED, -1);
    wheel_cancel(&c->timer);
    if (c->in_again)
        TAILQ_REMOVE(&c->loop->again, c, again);
    TAILQ_REMOVE(&c->loop->conns, c, all);
    TAILQ_INSERT_TAIL(&c->loop->dead, c, all);
    if (c->tls)
        tls_close_notify(c->tls);
    (void)close(c->fd);
    c->fd = -1;
    exchange_free(TAKE(c->x));
    if (c->stream)
        stream_detach(TAKE(c->stream));
    outq_done(&c->out);
    buf_done(&c->in);
    leave_server(c);
}

void conn_free(struct conn *c)
{
    tls_session_free(c->tls);
    c->magic = 0;
    free(c);
}

/* ---- bytes in and out ---- */

static ssize_t receive(struct conn *c, void *to, size_t n)
{
    if (c->tls)
        return tls_read(c->tls, to, n);
    ssize_t r = recv(c->fd, to, n, 0);
    return r < 0 ? -errno : r;
}

/* Input not consumed yet, else fresh bytes of at most `want`. GO with data, or WAIT; closes at the end. */
static enum step input(struct conn *c, size_t want, const char **data, size_t *len)
{
    if (c->in.len) {
        *data = c->in.data;
        *len = c->in.len < want ? c->in.len : want;
        return GO;
    }
    if (!c->readable)
        return WAIT;
    ssize_t n;
    do
        n = receive(c, c->loop->scratch, want);
    while (n == -EINTR);
    if (n == -EAGAIN) {
        c->readable = false;
        return WAIT;
    }
    if (n <= 0) {
        conn_close(c);
        return WAIT;
    }
    if ((size_t)n < want && !c->tls && !c->peer_ended)
        c->readable = false;
    count(&c->server->bytes_in, (uint64_t)n);
    *data = c->loop->scratch;
    *len = (size_t)n;
    return GO;
}

/* `used` of what `input` gave are done with; the rest is kept. */
static int consume(struct conn *c, const char *data, size_t len, size_t used)
{
    if (data == c->loop->scratch)
        return used < len ? buf_append(&c->in, data + used, len - used) : 0;
    buf_consume(&c->in, used);
    if (c->in.len == 0)
        buf_done(&c->in);
    return 0;
}

/* A loop's thread has all signals blocked, so sendfile's SIGPIPE harms nobody. */
static ssize_t transmit(struct conn *c, const struct outq_gather *g, int n)
{
    if (c->tls)
        return tls_writev(c->tls, g->iov, n);
    off_t from = (off_t)g->file_from;
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)g->iov, .msg_iovlen = (size_t)n };
    ssize_t r = g->file >= 0 ? sendfile(c->fd, g->file, &from, g->file_len)
                             : sendmsg(c->fd, &msg, MSG_NOSIGNAL | (g->more ? MSG_MORE : 0));
    return r < 0 ? -errno : r;
}

/* Sends what was gathered: bytes sent, 0 if the peer does not take more now, negative: closed. */
static ssize_t send_gathered(struct conn *c, const struct outq_gather *g, int n)
{
    if (!c->writable)
        return 0;
    ssize_t sent;
    do
        sent = transmit(c, g, n);
    while (sent == -EINTR);
    if (sent == -EAGAIN) {
        c->writable = false;
        return 0;
    }
    if (sent < 0) {
        conn_close(c);
        return sent;
    }
    count(&c->server->bytes_out, (uint64_t)sent);
    return sent;
}

/* One send of the reply queue, as `send_gathered`. */
static ssize_t send_out(struct conn *c)
{
    struct outq_gather g;
    int n = outq_gather(&c->out, &g);
    ssize_t sent = n ? send_gathered(c, &g, n) : 0;
    if (sent > 0)
        outq_sent(&c->out, (size_t)sent);
    return sent;
}

/* ---- ends ---- */

/* Closing a socket with unread input resets it and may destroy the reply on its way: say goodbye first. */
static enum step end_connection(struct conn *c)
{
    if (!c->unread && c->in.len == 0) {
        conn_close(c);
        return WAIT;
    }
    if (c->tls)
        tls_close_notify(c->tls);
    (void)shutdown(c->fd, SHUT_WR);
    buf_done(&c->in);
    c->received = 0;
    c->readable = true;
    conn_move(c, CONN_LINGER, LINGER_MS);
    return GO;
}

static enum step linger(struct conn *c)
{
    ssize_t n = recv(c->fd, c->loop->scratch, LOOP_SCRATCH, 0);
    if (n < 0 && errno == EAGAIN)
        return WAIT;
    c->received += n > 0 ? (size_t)n : 0;
    if (n > 0 && c->received < LINGER_BYTES)
        return GO;
    conn_close(c);
    return WAIT;
}

/* ---- replies ---- */

static enum step begin_stream(struct conn *c)
{
    c->stream = TAKE(c->x->stream);
    exchange_free(TAKE(c->x));
    c->received = 0;
    conn_move(c, CONN_STREAMING, c->server->limits.write_ms);
    stream_attach(c->stream, c);
    if (c->loop->stopping)
        http_stream_close(c->stream);
    return GO;
}

/* The exchange has its reply: takes what is to be sent and lets the exchange go. */
static enum step begin_reply(struct conn *c)
{
    struct http_exchange *x = c->x;
    if (x->stream)
        return begin_stream(c);
    c->close_after = x->close;
    c->out.files = !c->tls; /* TLS has to see the bytes */
    bool ok = x->reply_head && outq_push(&c->out, x->reply_head, false) == 0 &&
              (!x->reply_body || outq_push(&c->out, x->reply_body, false) == 0);
    exchange_free(TAKE(c->x));
    conn_move(c, CONN_WRITING, c->server->limits.write_ms);
    if (ok)
        return GO;
    conn_close(c);
    return WAIT;
}

static enum step fail(struct conn *c, const struct error *e, bool close)
{
    c->unread = c->unread || close;
    exchange_fail(c->x, e, close);
    return begin_reply(c);
}

static enum step fail_with(struct conn *c, enum error_code code, const char *message)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)error_set(&e, code, "%s", message);
    if (code == ERR_UNAVAILABLE)
        e.retry_after_s = 1;
    return fail(c, &e, true);
}

static enum step write_reply(struct conn *c)
{
    while (c->out.bytes) {
        ssize_t sent = send_out(c);
        if (sent <= 0)
            return WAIT;
        if (c->out.bytes) {
            wheel_set(&c->loop->wheel, &c->timer, c->loop->now + c->server->limits.write_ms);
            return GO;
        }
    }
    if (c->close_after || c->loop->stopping)
        return end_connection(c);
    conn_move(c, CONN_IDLE, c->server->limits.idle_ms);
    return GO;
}

static void watch_progress(struct conn *c, bool pending)
{
    int64_t deadline = pending ? c->loop->now + c->server->limits.write_ms : WHEEL_NEVER;
    wheel_set(&c->loop->wheel, &c->timer, deadline);
}

/* Whatever a subscriber says is dropped; its leaving is noticed. */
static enum step drop_input(struct conn *c)
{
    const char *data;
    size_t len;
    while (input(c, BODY_READ, &data, &len) == GO) {
        (void)consume(c, data, len, len);
        c->received += len;
        if (c->received > DISCARD_BYTES)
            conn_close(c);
        if (c->state == CONN_CLOSED)
            break;
    }
    return c->state == CONN_CLOSED ? WAIT : GO;
}

static enum step write_stream(struct conn *c)
{
    if (drop_input(c) == WAIT || (c->out.bytes && send_out(c) < 0) || c->out.bytes)
        return WAIT;
    struct outq_gather g;
    int n;
    switch (stream_gather(c->stream, &g, &n)) {
    case STREAM_ENDED: return end_connection(c);
    case STREAM_OVERFLOW: conn_close(c); return WAIT;
    case STREAM_EMPTY: watch_progress(c, false); return WAIT;
    case STREAM_SEND: break;
    }
    ssize_t sent = send_gathered(c, &g, n);
    if (sent > 0) {
        stream_sent(c->stream, (size_t)sent);
        watch_progress(c, true);
        return GO;
    }
    if (sent == 0 && c->timer.deadline == WHEEL_NEVER)
        watch_progress(c, true);
    return WAIT;
}

/* ---- requests ---- */

static enum step dispatch(struct conn *c)
{
    conn_move(c, CONN_HANDLING, -1);
    STAILQ_INSERT_TAIL(&c->loop->batch, c->x, link);
    return WAIT;
}

static enum step begin_body(struct conn *c)
{
    struct http_exchange *x = c->x;
    if (!x->head.chunked && x->head.length > x->body_limit)
        return fail_with(c, ERR_TOO_LARGE, "The body is over its limit.");
    if (x->head.expect_continue && c->in.len == 0) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        _cleanup_blob_ struct blob *b = blob_new(go_on, sizeof go_on - 1);
        if (b)
            (void)outq_push(&c->out, b, false);
    }
    c->body_started = c->loop->now;
    c->received = 0;
    conn_move(c, CONN_BODY, c->server->limits.body_grace_ms);
    return GO;
}

/* The head is complete: may it go on, with a body of which size? */
static enum step head_complete(struct conn *c)
{
    const struct http_server_options *o = &c->server->options;
    struct http_exchange *x = c->x;
    bool announced = x->head.chunked || x->head.length > 0;
    size_t limit = c->server->limits.body_bytes;
    count(&c->server->requests, 1);
    if (o->on_head) {
        _cleanup_error_ struct error e = ERROR_INIT;
        if (o->on_head(o->ctx, x, &limit, &e) < 0)
            return fail(c, &e, announced);
    }
    x->body_limit = limit < c->server->limits.body_bytes ? limit : c->server->limits.body_bytes;
    if (announced)
        return begin_body(c);
    bool reading = x->head.method == HTTP_GET || x->head.method == HTTP_HEAD;
    if (reading && o->try_inline && o->try_inline(o->ctx, x) && x->replied)
        return begin_reply(c);
    return dispatch(c);
}

static enum step malformed(struct conn *c, const struct error *e)
{
    count(&c->server->bad_requests, 1);
    if (!c->x->head.preface)
        return fail(c, e, true);
    conn_close(c); /* an HTTP/2 client would not understand the answer */
    return WAIT;
}

static enum step read_head(struct conn *c)
{
    const char *data;
    size_t len, used = 0;
    if (input(c, HEAD_READ, &data, &len) == WAIT)
        return WAIT;
    if (!c->x && !(c->x = exchange_new(c))) {
        conn_close(c);
        return WAIT;
    }
    const struct http_limits *l = &c->server->limits;
    if (c->state == CONN_IDLE)
        conn_move(c, CONN_HEAD, l->header_ms);
    struct http1_limits limits = { l->header_bytes / 2, l->header_bytes, l->header_count };
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = http1_head_feed(&c->x->head, &limits, data, len, &used, &e);
    if (r < 0)
        return malformed(c, &e);
    if (consume(c, data, len, used) < 0) {
        conn_close(c);
        return WAIT;
    }
    return r == HTTP1_DONE ? head_complete(c) : GO;
}

static int feed_body(struct http_exchange *x, const char *data, size_t len, size_t *ret_used, struct error *e)
{
    if (x->head.chunked)
        return http1_chunks_feed(&x->chunks, data, len, ret_used, &x->body, x->body_limit, e);
    size_t missing = (size_t)x->head.length - x->body.len;
    size_t n = len < missing ? len : missing;
    if (buf_append(&x->body, data, n) < 0)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    *ret_used = n;
    return n == missing ? HTTP1_DONE : HTTP1_MORE;
}

/* The moment at which the body is late: over its total time, or slower than its rate. */
static void body_deadline(struct conn *c)
{
    const struct http_limits *l = &c->server->limits;
    int64_t total = c->body_started + l->body_ms;
    int64_t earned = (int64_t)(c->received * 1000 / l->body_rate);
    int64_t slow = c->body_started + (earned > l->body_grace_ms ? earned : l->body_grace_ms);
    wheel_set(&c->loop->wheel, &c->timer, slow < total ? slow : total);
}

static enum step read_body(struct conn *c)
{
    struct http_exchange *x = c->x;
    const char *data;
    size_t len, used = 0;
    if (c->out.bytes && send_out(c) < 0)
        return WAIT;
    size_t missing = (size_t)x->head.length - x->body.len;
    size_t want = x->head.chunked || missing > BODY_READ ? BODY_READ : missing;
    if (input(c, want, &data, &len) == WAIT)
        return WAIT;
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = feed_body(x, data, len, &used, &e);
    if (r < 0) {
        count(&c->server->bad_requests, 1);
        return fail(c, &e, true);
    }
    if (consume(c, data, len, used) < 0 || !exchange_account(x))
        return fail_with(c, ERR_UNAVAILABLE, "Too many request bodies at once.");
    c->received += used;
    if (r == HTTP1_DONE)
        return dispatch(c);
    body_deadline(c);
    return GO;
}

static enum step handshake(struct conn *c)
{
    int r = tls_handshake(c->tls);
    if (r == -EAGAIN)
        return WAIT;
    if (r < 0) {
        conn_close(c);
        return WAIT;
    }
    c->readable = c->writable = true;
    conn_move(c, CONN_IDLE, c->server->limits.idle_ms);
    return GO;
}

static enum step nothing(struct conn *c)
{
    return WAIT;
}

static enum step (*const steps[CONN_STATES])(struct conn *c) = {
    [CONN_HANDSHAKE] = handshake,    [CONN_IDLE] = read_head,   [CONN_HEAD] = read_head,
    [CONN_BODY] = read_body,         [CONN_HANDLING] = nothing, [CONN_WRITING] = write_reply,
    [CONN_STREAMING] = write_stream, [CONN_LINGER] = linger,    [CONN_CLOSED] = nothing,
};

/* ---- what happens to a connection ---- */

void conn_run(struct conn *c)
{
    for (unsigned turn = 0; turn < TURNS; turn++)
        if (steps[c->state](c) == WAIT)
            return;
    if (!c->in_again) {
        c->in_again = true;
        c->again_turn = c->loop->turn;
        TAILQ_INSERT_TAIL(&c->loop->again, c, again);
    }
}

void conn_ready(struct conn *c, uint32_t events)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        c->writable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->peer_ended = true;
    if (c->tls) /* either direction may have waited for the other */
        c->readable = c->writable = true;
    conn_run(c);
}

static void resume(struct conn *c)
{
    if (c->abandoned) {
        conn_move(c, CONN_WRITING, -1);
        conn_close(c);
        return;
    }
    if (begin_reply(c) == GO)
        conn_run(c);
}

void conn_done(struct http_exchange *x)
{
    resume(x->conn);
}

void conn_refused(struct http_exchange *x)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)error_set(&e, ERR_UNAVAILABLE, "Too many requests are waiting.");
    e.retry_after_s = 1;
    exchange_fail(x, &e, false);
    resume(x->conn);
}

void conn_expired(struct wheel_timer *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
    MAGIC_CHECK(c, CONN_MAGIC);
    if (c->state != CONN_IDLE && c->state != CONN_LINGER)
        count(&c->server->timeouts, 1);
    if (c->state == CONN_HEAD || c->state == CONN_BODY) {
        if (fail_with(c, ERR_TIMEOUT, "The request did not arrive in time.") == GO)
            conn_run(c);
        return;
    }
    conn_close(c);
}

void conn_stop(struct conn *c)
{
    switch (c->state) {
    case CONN_HANDSHAKE:
    case CONN_IDLE: conn_close(c); break;
    case CONN_STREAMING: http_stream_close(c->stream); break;
    default: break; /* ends by itself, or by its deadline, or when the time to drain is over */
    }
}
