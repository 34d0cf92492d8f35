#include "http/loop.h"
#include "http/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPTS 64  /* a turn */
#define ACCEPT_PAUSE_MS 100
#define EVICT_LOOKS 64

/* Ends the oldest idle connection of a stranger. False: there is none. */
static bool evict_idle(struct loop *l)
{
    struct conn *c = TAILQ_FIRST(&l->idle);
    for (unsigned i = 0; c && i < EVICT_LOOKS; i++, c = TAILQ_NEXT(c, idle))
        if (!admission_privileged(l->server->admission, &c->peer, l->now)) {
            conn_close(c);
            return true;
        }
    return false;
}

static enum admission_verdict enter(struct loop *l, const union address *peer)
{
    struct http_server *s = l->server;
    const struct http_server_options *o = &s->options;
    bool uncapped = o->trusted && o->trusted(o->ctx, &peer->any);
    enum admission_verdict verdict = admission_enter(s->admission, peer, uncapped, l->now);
    if (verdict == ADMISSION_FULL && evict_idle(l))
        verdict = admission_enter(s->admission, peer, uncapped, l->now);
    return verdict;
}

static void welcome(struct loop *l, int fd, const union address *peer)
{
    struct http_server *s = l->server;
    if (enter(l, peer) != ADMISSION_IN) {
        count(&s->refused, 1);
        (void)close(fd);
        return;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = conn_new(s, fd, peer);
    if (!c) {
        admission_leave(s->admission, peer);
        count(&s->refused, 1);
        (void)close(fd);
        return;
    }
    struct loop *to = s->loops[s->accepted % s->loop_count];
    count(&s->accepted, 1);
    if (to == l)
        conn_open(c, l);
    else
        loop_add(to, c);
}

static void pause_accept(struct loop *l)
{
    struct epoll_event ev = { .events = 0, .data.ptr = l->server };
    (void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->server->listener, &ev);
    l->accept_paused = true;
    wheel_set(&l->wheel, &l->accept_timer, l->now + ACCEPT_PAUSE_MS);
}

void loop_accept_resume(struct loop *l)
{
    l->accept_paused = false;
    if (l->stopping)
        return;
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l->server };
    (void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->server->listener, &ev);
}

/* No descriptor is left. The waiting client would keep the listener ready and the loop spinning: with an
 * idle connection's or the spare descriptor it is accepted, if only to be closed. */
static bool make_room(struct loop *l)
{
    if (evict_idle(l))
        return true;
    if (l->spare < 0)
        return false;
    (void)close(l->spare);
    int fd = accept4(l->server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    count(&l->server->refused, fd >= 0);
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

void loop_accept(struct loop *l)
{
    for (unsigned i = 0; i < ACCEPTS && !l->stopping; i++) {
        union address peer;
        socklen_t len = sizeof peer;
        int fd = accept4(l->server->listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(l, fd, &peer);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (is_passing(errno) || ((errno == EMFILE || errno == ENFILE) && make_room(l)))
            continue;
        pause_accept(l);
        return;
    }
}
