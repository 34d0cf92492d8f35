#include "http/server.h"

#include "base/clock.h"
#include "base/str.h"

#include "http/loop.h"
#include "http/server_internal.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG 1024
#define FDS_FOR_REST 128 /* descriptors left for files, database, engine */

static unsigned default_connections(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= 4096 + FDS_FOR_REST)
        return 4096;
    return files.rlim_cur > 2 * FDS_FOR_REST ? (unsigned)files.rlim_cur - FDS_FOR_REST : FDS_FOR_REST;
}

#define DEFAULT(field, value) l.field = l.field ? l.field : (value)
static struct http_limits with_defaults(struct http_limits l)
{
    DEFAULT(header_bytes, 16384);
    DEFAULT(header_count, 64);
    DEFAULT(body_bytes, 16u << 20);
    DEFAULT(connections, default_connections());
    DEFAULT(per_address, 128);
    DEFAULT(reserved, 32);
    DEFAULT(header_ms, 10000);
    DEFAULT(body_ms, 60000);
    DEFAULT(body_rate, 256);
    DEFAULT(body_grace_ms, 5000);
    DEFAULT(bodies_bytes, 256u << 20);
    DEFAULT(idle_ms, 75000);
    DEFAULT(write_ms, 30000);
    DEFAULT(queue, 1024);
    DEFAULT(stream_bytes, 256u << 10);
    if (l.reserved >= l.connections) /* strangers must be able to come at all */
        l.reserved = l.connections / 2;
    return l;
}

/* ---- listening ---- */

/* "host:port" or "[v6]:port". */
static int split_listen(const char *text, char *host, size_t host_size, const char **port, struct error *e)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    bool bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    if (!colon || n == 0 || n >= host_size)
        return error_set(e, ERR_VALIDATION, "\"%s\" is not an address to listen on, such as 127.0.0.1:3000.", text);
    str_copy(host, bracketed ? n - 1 : n + 1, bracketed ? text + 1 : text);
    *port = colon + 1;
    return 0;
}

static int open_listener(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int one = 1, zero = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

static unsigned port_of(int fd)
{
    union address a = { 0 };
    socklen_t len = sizeof a;
    if (getsockname(fd, &a.any, &len) < 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

static int listen_on(struct http_server *s, const char *text, struct error *e)
{
    char host[256];
    const char *port = NULL;
    int r = split_listen(text, host, sizeof host, &port, e);
    if (r < 0)
        return r;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
    r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return error_set(e, ERR_VALIDATION, "Cannot listen on %s: %s", text, gai_strerror(r));
    int fd = open_listener(found);
    freeaddrinfo(found);
    if (fd < 0)
        return error_errno(e, fd, "Cannot listen on %s", text);
    s->listener = fd;
    s->port = port_of(fd);
    return 0;
}

/* ---- start and stop ---- */

static void server_free(struct http_server *s)
{
    for (unsigned i = 0; s->loops && i < s->loop_count; i++)
        loop_free(s->loops[i]);
    free(s->loops);
    workers_free(s->workers);
    admission_free(s->admission);
    tls_context_free(s->tls);
    if (s->listener >= 0)
        (void)close(s->listener);
    (void)pthread_mutex_destroy(&s->drain_lock);
    (void)pthread_cond_destroy(&s->drained);
    s->magic = 0;
    free(s);
}

static void join_all(struct http_server *s)
{
    if (s->workers)
        workers_stop(s->workers);
    for (unsigned i = 0; s->loops && i < s->loop_count; i++)
        loop_join(s->loops[i]);
}

static int start_threads(struct http_server *s, struct error *e)
{
    const struct http_server_options *o = &s->options;
    int r = workers_start(o->workers ? o->workers : 8, s->limits.queue, &s->workers, e);
    for (unsigned i = 0; r == 0 && i < s->loop_count; i++)
        r = loop_new(s, &s->loops[i], e);
    if (r < 0)
        return r;
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
    if (epoll_ctl(s->loops[0]->epoll, EPOLL_CTL_ADD, s->listener, &ev) < 0)
        return error_errno(e, -errno, "Event loop");
    for (unsigned i = 0; r == 0 && i < s->loop_count; i++)
        r = loop_start(s->loops[i], e);
    return r;
}

static int set_up(struct http_server *s, struct error *e)
{
    const struct http_server_options *o = &s->options;
    struct admission_limits limits = { s->limits.connections, s->limits.per_address, s->limits.reserved,
                                       o->loopback_plain };
    s->admission = admission_new(&limits);
    s->loops = calloc(s->loop_count, sizeof(struct loop *));
    if (!s->admission || !s->loops)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    int r = 0;
    if (o->tls_certificate_file)
        r = tls_context_new(o->tls_certificate_file, o->tls_key_file, &s->tls, e);
    if (r == 0)
        r = listen_on(s, o->listen, e);
    return r == 0 ? start_threads(s, e) : r;
}

int http_server_start(const struct http_server_options *o, struct http_server **ret, struct error *e)
{
    if (!o->tls_certificate_file != !o->tls_key_file)
        return error_set(e, ERR_VALIDATION, "TLS needs both a certificate and its key.");
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    s->magic = SERVER_MAGIC;
    s->options = *o;
    s->limits = with_defaults(o->limits);
    s->loop_count = o->loops ? o->loops : 1;
    s->listener = -1;
    (void)pthread_mutex_init(&s->drain_lock, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->drained, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int r = set_up(s, e);
    if (r < 0) {
        join_all(s);
        server_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

static void wait_drained(struct http_server *s, unsigned ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&s->drain_lock);
    while (admission_open(s->admission) > 0 && pthread_cond_timedwait(&s->drained, &s->drain_lock, &until) == 0)
        ;
    (void)pthread_mutex_unlock(&s->drain_lock);
}

void http_server_stop(struct http_server *s, unsigned drain_ms)
{
    if (!s)
        return;
    MAGIC_CHECK(s, SERVER_MAGIC);
    (void)epoll_ctl(s->loops[0]->epoll, EPOLL_CTL_DEL, s->listener, NULL);
    s->stopping = true;
    (void)shutdown(s->listener, SHUT_RD); /* waiting clients are told at once */
    for (unsigned i = 0; i < s->loop_count; i++)
        loop_wake(s->loops[i]);
    wait_drained(s, drain_ms);
    join_all(s);
    server_free(s);
}

void http_server_stats(const struct http_server *s, struct http_stats *ret)
{
    *ret = (struct http_stats){
        .accepted = s->accepted,
        .refused = s->refused,
        .requests = s->requests,
        .bad_requests = s->bad_requests,
        .timeouts = s->timeouts,
        .bytes_in = s->bytes_in,
        .bytes_out = s->bytes_out,
        .open = admission_open(s->admission),
        .streams = s->streams,
        .queued = workers_queued(s->workers),
    };
}

void http_server_know_address(struct http_server *s, const struct http_exchange *x)
{
    admission_know(s->admission, &x->conn->peer, clock_mono_ms());
}
