#include "http/loop.h"

#include "base/clock.h"

#include "http/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS 256

int loop_new(struct http_server *s, struct loop **ret, struct error *e)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    l->server = s;
    l->now = clock_mono_ms();
    wheel_init(&l->wheel, l->now);
    TAILQ_INIT(&l->conns);
    TAILQ_INIT(&l->idle);
    TAILQ_INIT(&l->again);
    TAILQ_INIT(&l->dead);
    TAILQ_INIT(&l->arrived);
    STAILQ_INIT(&l->batch);
    STAILQ_INIT(&l->done);
    STAILQ_INIT(&l->streams);
    (void)pthread_mutex_init(&l->lock, NULL);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &l->event };
    if (l->epoll < 0 || l->event < 0 || l->spare < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &ev) < 0) {
        int r = error_errno(e, -errno, "Event loop");
        loop_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    close_fd(l->epoll);
    close_fd(l->event);
    close_fd(l->spare);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

struct http_server *loop_server(const struct loop *l)
{
    return l->server;
}

/* ---- the mailbox ---- */

void loop_wake(struct loop *l)
{
    if (atomic_exchange(&l->notified, true))
        return;
    uint64_t one = 1;
    while (write(l->event, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void loop_post_done(struct loop *l, struct http_exchange *x)
{
    (void)pthread_mutex_lock(&l->lock);
    STAILQ_INSERT_TAIL(&l->done, x, link);
    (void)pthread_mutex_unlock(&l->lock);
    loop_wake(l);
}

void loop_post_stream(struct loop *l, struct http_stream *s)
{
    (void)pthread_mutex_lock(&l->lock);
    STAILQ_INSERT_TAIL(&l->streams, s, link);
    (void)pthread_mutex_unlock(&l->lock);
    loop_wake(l);
}

void loop_add(struct loop *l, struct conn *c)
{
    (void)pthread_mutex_lock(&l->lock);
    TAILQ_INSERT_TAIL(&l->arrived, c, all);
    (void)pthread_mutex_unlock(&l->lock);
    loop_wake(l);
}

static void hear_streams(struct stream_list *list)
{
    struct http_stream *s;
    while ((s = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        stream_unpost(s); /* before looking, so that later news posts it again */
        if (s->conn)
            conn_run(s->conn);
        http_stream_unref(s);
    }
}

static void read_mailbox(struct loop *l)
{
    struct exchange_list done = STAILQ_HEAD_INITIALIZER(done);
    struct stream_list streams = STAILQ_HEAD_INITIALIZER(streams);
    struct conn_list arrived = TAILQ_HEAD_INITIALIZER(arrived);
    if (!atomic_exchange(&l->notified, false))
        return;
    (void)pthread_mutex_lock(&l->lock);
    STAILQ_CONCAT(&done, &l->done);
    STAILQ_CONCAT(&streams, &l->streams);
    TAILQ_CONCAT(&arrived, &l->arrived, all);
    (void)pthread_mutex_unlock(&l->lock);
    struct conn *c;
    while ((c = TAILQ_FIRST(&arrived))) {
        TAILQ_REMOVE(&arrived, c, all);
        conn_open(c, l);
    }
    struct http_exchange *x;
    while ((x = STAILQ_FIRST(&done))) {
        STAILQ_REMOVE_HEAD(&done, link);
        conn_done(x);
    }
    hear_streams(&streams);
}

/* ---- turns ---- */

static void clear_event(struct loop *l)
{
    uint64_t n;
    while (read(l->event, &n, sizeof n) < 0 && errno == EINTR)
        ;
}

static void take_events(struct loop *l, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        void *who = events[i].data.ptr;
        if (who == &l->event)
            clear_event(l);
        else if (who == l->server)
            loop_accept(l);
        else
            conn_ready(who, events[i].events);
    }
}

static void run_again(struct loop *l)
{
    unsigned turn = ++l->turn; /* who is put there meanwhile waits for the next turn */
    struct conn *c;
    while ((c = TAILQ_FIRST(&l->again)) && c->again_turn != turn) {
        TAILQ_REMOVE(&l->again, c, again);
        c->in_again = false;
        conn_run(c);
    }
}

static void fire(void *ctx, struct wheel_timer *t)
{
    struct loop *l = ctx;
    if (t == &l->accept_timer)
        loop_accept_resume(l);
    else
        conn_expired(t);
}

static void dispatch_batch(struct loop *l)
{
    if (STAILQ_EMPTY(&l->batch))
        return;
    workers_push(l->server->workers, &l->batch);
    struct exchange_list refused = STAILQ_HEAD_INITIALIZER(refused);
    STAILQ_CONCAT(&refused, &l->batch);
    struct http_exchange *x;
    while ((x = STAILQ_FIRST(&refused))) {
        STAILQ_REMOVE_HEAD(&refused, link);
        conn_refused(x);
    }
}

static void bury(struct loop *l)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&l->dead))) {
        TAILQ_REMOVE(&l->dead, c, all);
        conn_free(c);
    }
}

static void notice_stop(struct loop *l)
{
    l->stopping = true;
    struct conn *c, *next;
    for (c = TAILQ_FIRST(&l->conns); c; c = next) {
        next = TAILQ_NEXT(c, all);
        conn_stop(c);
    }
}

static int timeout_of(const struct loop *l)
{
    if (!TAILQ_EMPTY(&l->again) || !STAILQ_EMPTY(&l->batch) || !TAILQ_EMPTY(&l->dead))
        return 0;
    return wheel_timeout(&l->wheel, l->now);
}

/* The workers are gone, nothing comes any more: what is still open is closed. */
static void finish(struct loop *l)
{
    l->stopping = true;
    atomic_store(&l->notified, true);
    read_mailbox(l);
    dispatch_batch(l); /* answers 503, so that no connection stays in HANDLING */
    struct conn *c;
    while ((c = TAILQ_FIRST(&l->conns)))
        conn_close(c);
    atomic_store(&l->notified, true);
    read_mailbox(l); /* references of streams that closed just now */
    bury(l);
}

static void *run(void *arg)
{
    struct loop *l = arg;
    struct epoll_event events[EVENTS];
    while (!l->quit) {
        int n = epoll_wait(l->epoll, events, EVENTS, timeout_of(l));
        l->now = clock_mono_ms();
        take_events(l, events, n);
        read_mailbox(l);
        if (l->server->stopping && !l->stopping)
            notice_stop(l);
        run_again(l);
        wheel_run(&l->wheel, l->now, fire, l);
        dispatch_batch(l);
        bury(l);
    }
    finish(l);
    return NULL;
}

/* Signals belong to the main thread. */
int loop_thread_start(pthread_t *ret, void *(*body)(void *), void *arg)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(ret, NULL, body, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int loop_start(struct loop *l, struct error *e)
{
    int r = loop_thread_start(&l->thread, run, l);
    if (r < 0)
        return error_errno(e, r, "Event loop thread");
    l->started = true;
    return 0;
}

void loop_join(struct loop *l)
{
    if (!l)
        return;
    l->quit = true;
    loop_wake(l);
    if (l->started)
        (void)pthread_join(l->thread, NULL);
    else
        finish(l); /* loop 0 may have handed it something */
}
