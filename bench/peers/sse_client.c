/* Holds many event streams open, causes events, and measures when each stream has each of them.
 *   HBCLOUD_API_KEY=… sse_client PORT SUBSCRIBERS ROUNDS NODE
 * A round changes a label of the node by PATCH over a connection of its own and ends when every subscriber has read the
 * event's last byte. Times run from just before the PATCH is sent, so the hub's own work on it (a write to disk) is in
 * them; those from the event's own `at` (milliseconds) leave it out. One JSON object goes to stdout.
 * One thread, which stands for ten thousand machines: it naps a millisecond between two looks, as else each frame would
 * wake it and take the processor from the hub. The times are that much too long. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUND_LIMIT_S 10.0
#define PAUSE_S 0.3
#define NAP_NS 1000000
#define CARRY 47 /* a marker may be cut by two reads */

struct subscriber {
    int fd;
    unsigned round; /* the newest it has seen; 0: greeted, -1u: not yet */
    unsigned carried;
    char carry[CARRY + 1];
};

struct bench {
    int epoll, control;
    unsigned port, count, rounds, round, seen, lost;
    const char *key, *node;
    char marker[32];
    struct subscriber *subscribers;
    double began, sent_wall;
    double *from_send, *from_at, *to_last;
    size_t samples;
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "sse_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("connecting");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *text, size_t len)
{
    if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("sending a request");
}

/* ---- reading ---- */

/* "at":"2026-01-31T12:00:00.123Z" of the event in `text`, in seconds since 1970; 0: none. */
static double event_at(const char *text, size_t len)
{
    const char *at = memmem(text, len, "\"at\":\"", 6);
    struct tm tm = { 0 };
    int ms = 0;
    if (!at || (size_t)(at - text) + 30 > len ||
        sscanf(at + 6, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &ms) != 7)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (double)timegm(&tm) + ms / 1000.0;
}

static void note(struct bench *b, struct subscriber *s, const char *text, size_t len)
{
    static double at;
    if (b->seen == 0)
        at = event_at(text, len);
    s->round = b->round;
    b->seen++;
    b->from_send[b->samples] = seconds(CLOCK_MONOTONIC) - b->began;
    b->from_at[b->samples] = at > 0 ? seconds(CLOCK_REALTIME) - at : b->from_send[b->samples];
    b->samples++;
}

static void take(struct bench *b, struct subscriber *s)
{
    char buf[65536];
    for (;;) {
        memcpy(buf, s->carry, s->carried);
        ssize_t n = recv(s->fd, buf + s->carried, sizeof buf - CARRY, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            b->lost++;
            (void)epoll_ctl(b->epoll, EPOLL_CTL_DEL, s->fd, NULL);
            (void)close(s->fd);
            s->fd = -1;
            return;
        }
        size_t len = s->carried + (size_t)n;
        if (s->round == -1u && memmem(buf, len, "event: hello", 12)) {
            s->round = 0;
            b->seen++;
        } else if (b->round && s->round != b->round && memmem(buf, len, b->marker, strlen(b->marker))) {
            note(b, s, buf, len);
        }
        s->carried = len < CARRY ? (unsigned)len : CARRY;
        memcpy(s->carry, buf + len - s->carried, s->carried);
        if ((size_t)n < sizeof buf - CARRY)
            return; /* edge-triggered: more would be a new edge */
    }
}

/* Reads until `want` have seen what is waited for (0: only until the time is over). */
static void read_until(struct bench *b, unsigned want, double limit)
{
    struct epoll_event events[1024];
    double end = seconds(CLOCK_MONOTONIC) + limit, left;
    while ((!want || b->seen + b->lost < want) && (left = end - seconds(CLOCK_MONOTONIC)) > 0) {
        int n = epoll_wait(b->epoll, events, 1024, (int)(left * 1000) + 1);
        for (int i = 0; i < n; i++)
            take(b, events[i].data.ptr);
        if (n > 0 && n < 1024)
            (void)nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
    }
}

/* ---- the run ---- */

static void subscribe_all(struct bench *b)
{
    char request[1024];
    int len =
        snprintf(request, sizeof request,
                 "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-API-Key: %s\r\nAccept: text/event-stream\r\n\r\n",
                 b->port, b->key);
    for (unsigned i = 0; i < b->count; i++) {
        struct subscriber *s = &b->subscribers[i];
        struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = s };
        s->round = -1u;
        s->fd = connect_to(b->port);
        if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0)
            die("epoll");
        send_all(s->fd, request, (size_t)len);
        if (i % 256 == 255)
            read_until(b, i + 1, ROUND_LIMIT_S);
    }
    read_until(b, b->count, ROUND_LIMIT_S);
    if (b->seen != b->count) {
        (void)fprintf(stderr, "sse_client: %u of %u streams opened, %u were refused\n", b->seen, b->count, b->lost);
        exit(1);
    }
}

static void change_label(struct bench *b)
{
    char body[128], request[1024];
    int n = snprintf(body, sizeof body, "{\"labels\":{\"bench\":\"round-%u.\"}}", b->round);
    int len = snprintf(request, sizeof request,
                       "PATCH /v1/infrastructure/nodes/%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-API-Key: %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       b->node, b->port, b->key, n, body);
    b->began = seconds(CLOCK_MONOTONIC);
    send_all(b->control, request, (size_t)len);
}

static void check_reply(const struct bench *b)
{
    char reply[65536];
    ssize_t n = recv(b->control, reply, sizeof reply - 1, 0);
    if (n < 12 || memcmp(reply, "HTTP/1.1 200", 12) != 0) {
        (void)fprintf(stderr, "sse_client: the change of the node was answered: %.*s\n", n > 0 ? (int)n : 0, reply);
        exit(1);
    }
}

static void play(struct bench *b)
{
    for (unsigned round = 1; round <= b->rounds; round++) {
        b->round = round;
        b->seen = 0;
        (void)snprintf(b->marker, sizeof b->marker, "\"bench\":\"round-%u.\"", round);
        change_label(b);
        read_until(b, b->count, ROUND_LIMIT_S);
        b->to_last[round - 1] = seconds(CLOCK_MONOTONIC) - b->began;
        check_reply(b);
        read_until(b, 0, PAUSE_S);
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double *sorted, size_t n, double p)
{
    return n ? sorted[(size_t)(p * (double)(n - 1))] * 1000 : 0;
}

static void report(struct bench *b, double connecting)
{
    qsort(b->from_send, b->samples, sizeof(double), ascending);
    qsort(b->from_at, b->samples, sizeof(double), ascending);
    qsort(b->to_last, b->rounds, sizeof(double), ascending);
    (void)printf("{\"subscribers\":%u,\"rounds\":%u,\"connectSeconds\":%.2f,\"received\":%zu,\"lost\":%u,"
                 "\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"atP50\":%.1f,\"atP99\":%.1f,\"lastMedian\":%.1f}\n",
                 b->count, b->rounds, connecting, b->samples, b->lost, percentile(b->from_send, b->samples, 0.5),
                 percentile(b->from_send, b->samples, 0.99), percentile(b->from_send, b->samples, 1),
                 percentile(b->from_at, b->samples, 0.5), percentile(b->from_at, b->samples, 0.99),
                 percentile(b->to_last, b->rounds, 0.5));
}

static void raise_files(unsigned need)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        die("limit of open files");
    files.rlim_cur = files.rlim_max;
    if (files.rlim_max < need || setrlimit(RLIMIT_NOFILE, &files) < 0) {
        (void)fprintf(stderr, "sse_client: %u open files are needed, the hard limit is %llu\n", need,
                      (unsigned long long)files.rlim_max);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct bench b = { .key = getenv("HBCLOUD_API_KEY") };
    if (argc != 5 || !b.key) {
        (void)fprintf(stderr, "usage: HBCLOUD_API_KEY=KEY sse_client PORT SUBSCRIBERS ROUNDS NODE\n");
        return 2;
    }
    b.port = (unsigned)atoi(argv[1]), b.count = (unsigned)atoi(argv[2]), b.rounds = (unsigned)atoi(argv[3]),
    b.node = argv[4];
    raise_files(b.count + 16);
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.subscribers = calloc(b.count, sizeof *b.subscribers);
    b.from_send = calloc((size_t)b.count * b.rounds + 1, sizeof(double));
    b.from_at = calloc((size_t)b.count * b.rounds + 1, sizeof(double));
    b.to_last = calloc(b.rounds + 1, sizeof(double));
    if (b.epoll < 0 || !b.subscribers || !b.from_send || !b.from_at || !b.to_last)
        die("starting");
    double began = seconds(CLOCK_MONOTONIC);
    subscribe_all(&b);
    double connecting = seconds(CLOCK_MONOTONIC) - began;
    b.control = connect_to(b.port);
    read_until(&b, 0, 1.0);
    (void)printf("ready\n"), (void)fflush(stdout);
    play(&b);
    report(&b, connecting);
    return b.samples == (size_t)b.count * b.rounds ? 0 : 1;
}
