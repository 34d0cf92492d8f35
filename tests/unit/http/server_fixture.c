#include "server_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define STREAMS_MAX 16384

struct http_server *fixture_server;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static unsigned waiting, stream_count;
static _Atomic unsigned handled, closed_streams;
static struct http_stream *streams[STREAMS_MAX];
static struct blob *big, *filed;

/* ---- the handler ---- */

static void reply_text(struct http_exchange *x, int status, const char *text, size_t n)
{
    static const struct http_field type = { "Content-Type", "text/plain" };
    struct blob *b = blob_new(text, n);
    http_reply(x, status, &type, 1, b);
    blob_unref(b);
}

static void wait_at_gate(void)
{
    (void)pthread_mutex_lock(&lock);
    waiting++;
    while (!gate_open)
        (void)pthread_cond_wait(&gate_opened, &lock);
    waiting--;
    (void)pthread_mutex_unlock(&lock);
}

static void stream_closed(void *user)
{
    (void)user;
    closed_streams++;
}

static void begin_stream(struct http_exchange *x)
{
    static const struct http_field type = { "Content-Type", "text/event-stream" };
    struct http_stream *s = http_stream_begin(x, 200, &type, 1, stream_closed, NULL);
    assert_non_null(s);
    (void)pthread_mutex_lock(&lock);
    assert_true(stream_count < STREAMS_MAX);
    streams[stream_count++] = s;
    (void)pthread_mutex_unlock(&lock);
}

static void handle(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    static const struct http_field split = { "X-Name", "a\r\nSet-Cookie: b" };
    const char *path = http_path(x);
    size_t n;
    const char *body = http_body(x, &n);
    handled++;
    if (strcmp(path, "/echo") == 0)
        reply_text(x, 200, body, n);
    else if (strcmp(path, "/gate") == 0) {
        wait_at_gate();
        reply_text(x, 200, "through", 7);
    } else if (strcmp(path, "/big") == 0)
        http_reply(x, 200, NULL, 0, big);
    else if (strcmp(path, "/filed") == 0)
        http_reply(x, 200, NULL, 0, filed);
    else if (strcmp(path, "/empty") == 0)
        http_reply(x, 204, NULL, 0, big);
    else if (strcmp(path, "/same") == 0)
        http_reply(x, 304, NULL, 0, big);
    else if (strcmp(path, "/split") == 0)
        http_reply(x, 200, &split, 1, big);
    else if (strcmp(path, "/stream") == 0)
        begin_stream(x);
    else if (strcmp(path, "/know") == 0) {
        http_server_know_address(fixture_server, x);
        reply_text(x, 200, "known", 5);
    } else if (strcmp(path, "/mute") != 0)
        reply_text(x, 200, "hello", 5);
}

static bool try_inline(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    if (strcmp(http_path(x), "/inline") != 0)
        return false;
    handled++;
    reply_text(x, 200, "inline", 6);
    return true;
}

static int on_head(void *ctx, struct http_exchange *x, size_t *ret_body_limit, struct error *e)
{
    (void)ctx;
    *ret_body_limit = 1u << 20;
    return strcmp(http_path(x), "/deny") == 0 ? error_set(e, ERR_UNAUTHENTICATED, "who?") : 0;
}

static struct blob *on_fail(void *ctx, struct http_exchange *x, const struct error *e)
{
    (void)ctx;
    (void)x;
    char text[64];
    int n = snprintf(text, sizeof text, "{\"code\":\"%s\"}", error_code_name(e->code));
    return blob_new(text, (size_t)n);
}

/* ---- the server ---- */

struct http_server_options fixture_options(void)
{
    return (struct http_server_options){
        .listen = "127.0.0.1:0",
        .workers = 4,
        .on_head = on_head,
        .handle = handle,
        .fail = on_fail,
        .try_inline = try_inline,
    };
}

static void fill_big(void)
{
    if (big)
        return;
    big = blob_new(NULL, FIXTURE_BIG);
    assert_non_null(big);
    for (size_t i = 0; i < FIXTURE_BIG; i++)
        big->data[i] = (char)('a' + i % 23);
    big->data[FIXTURE_BIG] = '\0';
    filed = blob_new(big->data, FIXTURE_BIG);
    assert_non_null(filed);
    blob_make_file(filed);
    assert_true(blob_file(filed) >= 0);
}

void fixture_start(const struct http_server_options *o)
{
    fill_big();
    gate_open = false;
    waiting = stream_count = 0;
    handled = closed_streams = 0;
    _cleanup_error_ struct error e = ERROR_INIT;
    if (http_server_start(o, &fixture_server, &e) < 0)
        fail_msg("%s", e.message);
}

void fixture_stop(unsigned drain_ms)
{
    http_server_stop(TAKE(fixture_server), drain_ms);
    for (unsigned i = 0; i < stream_count; i++)
        http_stream_unref(streams[i]);
    stream_count = 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    fixture_open_gate();
    fixture_stop(0);
    blob_unref(TAKE(big));
    blob_unref(TAKE(filed));
    return 0;
}

void fixture_open_gate(void)
{
    (void)pthread_mutex_lock(&lock);
    gate_open = true;
    (void)pthread_cond_broadcast(&gate_opened);
    (void)pthread_mutex_unlock(&lock);
}

unsigned fixture_handled(void)
{
    return handled;
}

static unsigned locked_value(const unsigned *value)
{
    (void)pthread_mutex_lock(&lock);
    unsigned v = *value;
    (void)pthread_mutex_unlock(&lock);
    return v;
}

unsigned fixture_waiting(void)
{
    return locked_value(&waiting);
}

unsigned fixture_streams(void)
{
    return locked_value(&stream_count);
}

unsigned fixture_closed_streams(void)
{
    return closed_streams;
}

int fixture_publish(const char *frame)
{
    _cleanup_blob_ struct blob *b = blob_new(frame, strlen(frame));
    int taken = 0;
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < stream_count; i++)
        taken += http_stream_send(streams[i], b) == 0;
    (void)pthread_mutex_unlock(&lock);
    return taken;
}

void fixture_close_streams(void)
{
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < stream_count; i++)
        http_stream_close(streams[i]);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- the client ---- */

int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fixture_pause(void)
{
    (void)poll(NULL, 0, 2);
}

static struct sockaddr_in address_of(const char *text, unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    assert_int_equal(inet_pton(AF_INET, text, &a.sin_addr), 1);
    return a;
}

bool client_try(struct client *c, const char *from, int receive_buffer)
{
    *c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_true(c->fd >= 0);
    if (receive_buffer)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (from) {
        struct sockaddr_in source = address_of(from, 0);
        assert_int_equal(bind(c->fd, (struct sockaddr *)&source, sizeof source), 0);
    }
    return client_connect_fd(c, c->fd);
}

bool client_connect_fd(struct client *c, int fd)
{
    *c = (struct client){ .fd = fd };
    struct sockaddr_in to = address_of("127.0.0.1", http_server_port(fixture_server));
    return connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
}

void client_open(struct client *c, const char *from)
{
    assert_true(client_try(c, from, 0));
}

bool client_say_n(struct client *c, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

void client_say(struct client *c, const char *text)
{
    assert_true(client_say_n(c, text, strlen(text)));
}

/* One read; 0: the end, -1: time is over. */
static ssize_t client_read(struct client *c, int timeout_ms)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    int r;
    do
        r = poll(&p, 1, timeout_ms);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return -1;
    assert_int_equal(buf_reserve(&c->in, 65536), 0);
    ssize_t n = recv(c->fd, c->in.data + c->in.len, 65536, 0);
    c->reset = n < 0;
    if (n <= 0)
        return 0;
    c->in.len += (size_t)n;
    c->in.data[c->in.len] = '\0';
    return n;
}

bool client_wait(struct client *c, size_t n, int timeout_ms)
{
    int64_t until = now_ms() + timeout_ms;
    while (c->in.len < n) {
        int64_t left = until - now_ms();
        if (left <= 0 || client_read(c, (int)left) <= 0)
            return false;
    }
    return true;
}

static size_t content_length(struct client *c)
{
    const char *at = strstr(buf_str(&c->head), "Content-Length: ");
    return at ? strtoul(at + 16, NULL, 10) : 0;
}

bool client_hear(struct client *c, bool bodiless)
{
    buf_clear(&c->head);
    buf_clear(&c->body);
    const char *end;
    while (!(end = c->in.len ? strstr(c->in.data, "\r\n\r\n") : NULL))
        if (client_read(c, 5000) <= 0)
            return false;
    size_t n = (size_t)(end - c->in.data) + 4;
    assert_int_equal(buf_append(&c->head, c->in.data, n), 0);
    buf_consume(&c->in, n);
    assert_int_equal(sscanf(c->head.data, "HTTP/1.1 %d ", &c->status), 1);
    if (bodiless || c->status == 100 || c->status == 204 || c->status == 304)
        return true;
    n = content_length(c);
    if (!client_wait(c, n, 10000))
        return false;
    assert_int_equal(buf_append(&c->body, buf_str(&c->in), n), 0);
    buf_consume(&c->in, n);
    return true;
}

bool client_ended(struct client *c, int timeout_ms)
{
    int64_t until = now_ms() + timeout_ms;
    if (c->in.len)
        return false;
    int64_t left = until - now_ms();
    return client_read(c, left > 0 ? (int)left : 0) == 0;
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    buf_done(&c->in);
    buf_done(&c->head);
    buf_done(&c->body);
}
