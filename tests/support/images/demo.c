/* The service that tests deploy: a small HTTP/1.1 server in one static program, so that its image needs nothing else.
 * Environment: PORT (8080), VERSION ("1"), START_DELAY_MS (0), CRASH (exit 1 at once), EXIT_AFTER_MS (exit 1 then),
 * FAIL_HEALTH (unhealthy from the start), FAIL_PATH (that path answers 500), LATE_MS (each answer but /health is so late).
 * Paths: / and /version say VERSION (any method, after its body); /health 200 or 503; POST /fail and /recover switch it;
 * /slow?ms=N answers late; /trickle?ms=N answers in ten pieces; /upload says how many bytes came; /events is a stream of
 * server-sent events, two a second; /socket a WebSocket that echoes; /env?NAME says a variable; /exit?code=N ends the
 * process. Each request is a line on stdout. Connections are kept alive. SIGTERM: no new connections, idle ones are
 * closed, requests and streams under way go on to their end, a WebSocket gets its close 1001; then it ends 0. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *version = "1";
static atomic_bool unhealthy;
static atomic_int in_flight; /* connections */
static volatile sig_atomic_t ending;

struct connection {
    int fd;
    size_t used;
    char buffer[16384];
    bool close; /* after this answer */
};

struct request {
    char method[16], path[1024], key[64];
    int64_t length; /* -1: chunked */
};

static long number_of(const char *text, long fallback)
{
    return text && *text ? strtol(text, NULL, 10) : fallback;
}

static void sleep_ms(long ms)
{
    struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
}

static void on_term(int signal_number)
{
    (void)signal_number;
    ending = 1;
}

static int send_all(int fd, const void *bytes, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, (const char *)bytes + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        sent += (size_t)n;
    }
    return 0;
}

static int head(struct connection *c, int status, const char *more, int64_t length)
{
    char text[512], size[64] = "";
    if (length >= 0)
        snprintf(size, sizeof size, "Content-Length: %lld\r\n", (long long)length);
    c->close = c->close || ending;
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nX-Version: %s\r\n%s%sConnection: %s\r\n\r\n", status,
                     status == 200 ? "OK" : "Error", version, more, size, c->close ? "close" : "keep-alive");
    return send_all(c->fd, text, (size_t)n);
}

static int reply(struct connection *c, int status, const char *body)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s", body);
    return head(c, status, "Content-Type: text/plain\r\n", (int64_t)strlen(text)) < 0
               ? -1
               : send_all(c->fd, text, strlen(text));
}

/* ---- reading ---- */

/* More bytes into the buffer: 1, 0 the end, -1 nothing came in time. While idle it ends when the process does. */
static int more(struct connection *c, bool idle)
{
    for (int waited = 0; waited < 75000; waited += 100) {
        struct pollfd p = { .fd = c->fd, .events = POLLIN };
        if (poll(&p, 1, 100) > 0) {
            ssize_t n = read(c->fd, c->buffer + c->used, sizeof c->buffer - 1 - c->used);
            if (n <= 0)
                return 0;
            c->used += (size_t)n;
            c->buffer[c->used] = '\0';
            return 1;
        }
        if (idle && ending)
            return 0;
    }
    return -1;
}

static void take(struct connection *c, size_t n)
{
    memmove(c->buffer, c->buffer + n, c->used - n + 1);
    c->used -= n;
}

static const char *header(const char *block, const char *name)
{
    for (const char *line = strstr(block, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        size_t n = strlen(name);
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " ");
    }
    return NULL;
}

static int read_head(struct connection *c, struct request *ret)
{
    char *end;
    while (!(end = strstr(c->buffer, "\r\n\r\n")))
        if (c->used == sizeof c->buffer - 1 || more(c, c->used == 0) <= 0)
            return -1;
    end[2] = '\0';
    const char *length = header(c->buffer, "Content-Length"), *coding = header(c->buffer, "Transfer-Encoding");
    const char *way = header(c->buffer, "Connection"), *key = header(c->buffer, "Sec-WebSocket-Key");
    *ret = (struct request){ .length = coding ? -1 : number_of(length, 0) };
    if (sscanf(c->buffer, "%15s %1023s", ret->method, ret->path) != 2)
        return -1;
    if (key)
        (void)sscanf(key, "%63[^\r]", ret->key);
    c->close = way && strncasecmp(way, "close", 5) == 0;
    take(c, (size_t)(end + 4 - c->buffer));
    return 0;
}

static int64_t drop(struct connection *c, int64_t length)
{
    for (int64_t left = length; left > 0;) {
        if (!c->used && more(c, false) <= 0)
            return -1;
        size_t n = (int64_t)c->used < left ? c->used : (size_t)left;
        take(c, n);
        left -= (int64_t)n;
    }
    return length;
}

static int64_t drop_chunks(struct connection *c)
{
    int64_t sum = 0;
    for (;;) {
        char *end;
        while (!(end = strstr(c->buffer, "\r\n")))
            if (more(c, false) <= 0)
                return -1;
        int64_t n = strtol(c->buffer, NULL, 16);
        take(c, (size_t)(end + 2 - c->buffer));
        if (drop(c, n + 2) < 0)
            return -1;
        if (n == 0)
            return sum;
        sum += n;
    }
}

/* ---- WebSocket ---- */

static uint32_t turn(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1(const char *text, uint8_t ret[20])
{
    uint8_t block[128] = { 0 };
    uint32_t h[5] = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0 };
    size_t len = strlen(text), total = len + 9 <= 64 ? 64 : 128;
    memcpy(block, text, len);
    block[len] = 0x80;
    for (int i = 0; i < 8; i++)
        block[total - 1 - (size_t)i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            const uint8_t *p = block + at + (size_t)i * 4;
            w[i] = i < 16 ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
                          : turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        }
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t t = turn(a, 5) + f + e + k + w[i];
            e = d, d = c, c = turn(b, 30), b = a, a = t;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++)
        ret[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

static void accept_key(const char *key, char ret[29])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[128];
    uint8_t d[21] = { 0 };
    snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(text, d);
    for (int i = 0; i < 7; i++) {
        uint32_t v = (uint32_t)d[i * 3] << 16 | (uint32_t)d[i * 3 + 1] << 8 | d[i * 3 + 2];
        for (int k = 0; k < 4; k++)
            ret[i * 4 + k] = alphabet[v >> (18 - 6 * k) & 63];
    }
    ret[27] = '=';
    ret[28] = '\0';
}

/* Echoes each short masked frame; a close frame is answered. The process' end is a close 1001. */
static void socket_of(struct connection *c, const struct request *rq)
{
    static const uint8_t going_away[] = { 0x88, 2, 0x03, 0xE9 };
    char key[29], more_head[160];
    accept_key(rq->key, key);
    int n = snprintf(more_head, sizeof more_head,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n\r\n",
                     key);
    c->close = true;
    if (send_all(c->fd, more_head, (size_t)n) < 0)
        return;
    for (;;) {
        while (c->used < 6 || c->used < 6 + (size_t)(c->buffer[1] & 0x7f)) {
            int r = more(c, true);
            if (r <= 0) {
                if (ending)
                    (void)send_all(c->fd, going_away, sizeof going_away);
                return;
            }
        }
        uint8_t *f = (uint8_t *)c->buffer;
        size_t length = f[1] & 0x7f;
        for (size_t i = 0; i < length; i++)
            f[6 + i] ^= f[2 + i % 4];
        f[4] = f[0];
        f[5] = (uint8_t)length;
        if (length > 125 || send_all(c->fd, f + 4, length + 2) < 0 || (f[4] & 0xf) == 8)
            return;
        take(c, 6 + length);
    }
}

/* ---- answers ---- */

static int events(struct connection *c)
{
    char text[64];
    c->close = true;
    if (head(c, 200, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n", -1) < 0)
        return -1;
    for (int i = 0; i < 7200; i++) {
        int n = snprintf(text, sizeof text, "id: %d\ndata: %s\n\n", i, version);
        if (send_all(c->fd, text, (size_t)n) < 0)
            return -1;
        sleep_ms(500);
    }
    return 0;
}

static int trickle(struct connection *c, long ms)
{
    if (head(c, 200, "Content-Type: text/plain\r\n", 100) < 0)
        return -1;
    for (int i = 0; i < 10; i++) {
        sleep_ms(ms / 10);
        if (send_all(c->fd, "..........", 10) < 0)
            return -1;
    }
    return 0;
}

static int answer(struct connection *c, const struct request *rq, int64_t body)
{
    const char *path = rq->path, *broken = getenv("FAIL_PATH");
    char text[1024];
    snprintf(text, sizeof text, "%s\n", version);
    if (strcmp(path, "/health") == 0)
        return unhealthy ? reply(c, 503, "unhealthy\n") : reply(c, 200, "healthy\n");
    sleep_ms(number_of(getenv("LATE_MS"), 0));
    if (broken && strcmp(path, broken) == 0)
        return reply(c, 500, "broken\n");
    if (strcmp(path, "/") == 0 || strcmp(path, "/version") == 0)
        return reply(c, 200, text);
    if (strcmp(path, "/fail") == 0 || strcmp(path, "/recover") == 0) {
        unhealthy = strcmp(path, "/fail") == 0;
        return reply(c, 200, "switched\n");
    }
    if (strncmp(path, "/slow?ms=", 9) == 0) {
        sleep_ms(number_of(path + 9, 0));
        return reply(c, 200, text);
    }
    if (strncmp(path, "/trickle?ms=", 12) == 0)
        return trickle(c, number_of(path + 12, 0));
    if (strcmp(path, "/upload") == 0) {
        snprintf(text, sizeof text, "%lld\n", (long long)body);
        return reply(c, 200, text);
    }
    if (strcmp(path, "/events") == 0)
        return events(c);
    if (strncmp(path, "/env?", 5) == 0)
        return reply(c, 200, getenv(path + 5) ? getenv(path + 5) : "");
    if (strncmp(path, "/exit?code=", 11) == 0) {
        (void)reply(c, 200, "bye\n");
        exit((int)number_of(path + 11, 1));
    }
    return reply(c, 404, "no such path\n");
}

static void *serve(void *argument)
{
    struct connection *c = argument;
    struct request rq;
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    while (!c->close && read_head(c, &rq) == 0) {
        printf("%s %s\n", rq.method, rq.path);
        if (rq.key[0] && strcmp(rq.path, "/socket") == 0) {
            socket_of(c, &rq);
            break;
        }
        int64_t body = rq.length < 0 ? drop_chunks(c) : drop(c, rq.length);
        if (body < 0 || answer(c, &rq, body) < 0)
            break;
    }
    shutdown(c->fd, SHUT_WR);
    close(c->fd);
    free(c);
    in_flight--;
    return NULL;
}

static int listen_on(long port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1024) < 0)
        return -1;
    return fd;
}

static void accept_one(int listener)
{
    pthread_t thread;
    pthread_attr_t small;
    struct connection *c = calloc(1, sizeof *c);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || !c) {
        free(c);
        return;
    }
    c->fd = fd;
    in_flight++;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    if (pthread_create(&thread, &small, serve, c) != 0) {
        in_flight--;
        close(fd);
        free(c);
        return;
    }
    pthread_detach(thread);
}

static void *end_later(void *argument)
{
    sleep_ms((long)argument);
    fprintf(stderr, "demo %s gives up\n", version);
    exit(1);
}

int main(void)
{
    long port = number_of(getenv("PORT"), 8080), gives_up = number_of(getenv("EXIT_AFTER_MS"), 0);
    struct sigaction action = { .sa_handler = on_term };
    pthread_t thread;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (getenv("VERSION"))
        version = getenv("VERSION");
    unhealthy = getenv("FAIL_HEALTH") != NULL;
    fprintf(stderr, "demo %s is starting\n", version);
    if (getenv("CRASH")) {
        fprintf(stderr, "demo %s was told to crash\n", version);
        return 1;
    }
    if (gives_up && pthread_create(&thread, NULL, end_later, (void *)gives_up) != 0)
        return 1;
    sleep_ms(number_of(getenv("START_DELAY_MS"), 0));
    int listener = listen_on(port);
    if (listener < 0) {
        fprintf(stderr, "cannot listen on port %ld: %s\n", port, strerror(errno));
        return 1;
    }
    printf("demo %s listens on port %ld\n", version, port);
    while (!ending) {
        struct pollfd waiting = { .fd = listener, .events = POLLIN };
        if (poll(&waiting, 1, 100) > 0)
            accept_one(listener);
    }
    close(listener);
    while (in_flight > 0)
        sleep_ms(20);
    printf("demo %s ends\n", version);
    return 0;
}
