#include "fake_engine.h"

#include "base/buf.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWERS_MAX 32
#define CALLS_MAX 512
#define THREADS_MAX 256
#define REQUEST_MAX 65536

struct answer {
    char *call;
    char *bytes;
    size_t len;
    enum fake_ending ending;
};

struct fake_engine {
    char folder[32], host[128];
    int listener;
    pthread_t acceptor, threads[THREADS_MAX];
    size_t thread_count;
    _Atomic bool stop;
    pthread_mutex_t lock;
    char min[16], max[16];
    struct answer answers[ANSWERS_MAX];
    size_t answer_count;
    char *calls[CALLS_MAX];
    size_t call_count;
};

struct connection {
    struct fake_engine *engine;
    int fd;
};

static bool readable(struct fake_engine *f, int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (!f->stop)
        if (poll(&p, 1, 20) > 0)
            return true;
    return false;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Reads one request with its body; false at the end of the connection. */
static bool read_request(struct connection *c, char *ret, size_t size)
{
    size_t len = 0, need = 0;
    for (;;) {
        if (len + 1 >= size || !readable(c->engine, c->fd))
            return false;
        ssize_t n = recv(c->fd, ret + len, size - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        ret[len] = '\0';
        const char *end = strstr(ret, "\r\n\r\n");
        if (end && !need) {
            const char *length = strcasestr(ret, "content-length:");
            need = (size_t)(end + 4 - ret) + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
        }
        if (need && len >= need)
            return true;
    }
}

static void send_json(struct connection *c, int status, const char *body)
{
    char *text = str_printf(
        "HTTP/1.1 %d Said\r\nApi-Version: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        status, c->engine->max, strlen(body), body);
    if (text)
        (void)send_all(c->fd, text, strlen(text));
    free(text);
}

static int minor_of(const char *version)
{
    const char *dot = strchr(version, '.');
    return dot ? atoi(dot + 1) : 0;
}

/* Takes "/vX.Y" off a call; true when the range refuses it, answered. */
static bool refused(struct connection *c, char *call)
{
    char *v = strstr(call, " /v1."), body[160] = "";
    if (!v)
        return false;
    int minor = atoi(v + 5);
    char *rest = v + 5;
    while (isdigit((unsigned char)*rest))
        rest++;
    pthread_mutex_lock(&c->engine->lock);
    if (minor > minor_of(c->engine->max))
        (void)snprintf(body, sizeof body, "{\"message\":\"client version 1.%d is too new, at most %s\"}", minor,
                       c->engine->max);
    else if (*c->engine->min && minor < minor_of(c->engine->min))
        (void)snprintf(body, sizeof body, "{\"message\":\"client version 1.%d is too old, at least %s\"}", minor,
                       c->engine->min);
    pthread_mutex_unlock(&c->engine->lock);
    memmove(v + 1, rest, strlen(rest) + 1);
    if (*body)
        send_json(c, 400, body);
    return *body != '\0';
}

static void send_version(struct connection *c)
{
    char body[256], min[64] = "";
    if (*c->engine->min)
        (void)snprintf(min, sizeof min, ",\"MinAPIVersion\":\"%s\"", c->engine->min);
    (void)snprintf(body, sizeof body, "{\"Version\":\"fake\",\"ApiVersion\":\"%s\"%s}", c->engine->max, min);
    send_json(c, 200, body);
}

/* Returns false when the connection is used up. */
static bool send_answer(struct connection *c, const struct answer *a)
{
    if (!send_all(c->fd, a->bytes, a->len))
        return false;
    if (a->ending == FAKE_HOLD) {
        char unused;
        return readable(c->engine, c->fd) && recv(c->fd, &unused, 1, MSG_PEEK) > 0;
    }
    size_t block = a->len < 4096 ? a->len : 4096;
    while (a->ending == FAKE_FLOOD && !c->engine->stop && send_all(c->fd, a->bytes + a->len - block, block))
        ;
    return false;
}

static bool respond(struct connection *c, char *call)
{
    struct fake_engine *f = c->engine;
    struct answer found = { 0 };
    if (refused(c, call))
        return true;
    pthread_mutex_lock(&f->lock);
    for (size_t i = f->answer_count; i-- && !found.call;) /* the newest script counts */
        if (str_starts(call, f->answers[i].call))
            found = f->answers[i];
    pthread_mutex_unlock(&f->lock);
    if (found.call && found.ending == FAKE_CLOSE && found.len && str_starts(found.bytes, "{JSON}")) {
        send_json(c, atoi(found.bytes + 6), strchr(found.bytes, '\n') + 1);
        return true;
    }
    if (found.call)
        return send_answer(c, &found);
    if (str_starts(call, "GET /version")) {
        send_version(c);
        return true;
    }
    send_json(c, str_starts(call, "GET /_ping") ? 200 : 404, "{\"message\":\"page not found\"}");
    return true;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    char *request = malloc(REQUEST_MAX);
    while (request && read_request(c, request, REQUEST_MAX)) {
        request[strcspn(request, "\r")] = '\0';
        char *version = strstr(request, " HTTP/");
        if (version)
            *version = '\0';
        pthread_mutex_lock(&c->engine->lock);
        if (c->engine->call_count < CALLS_MAX)
            c->engine->calls[c->engine->call_count++] = strdup(request);
        pthread_mutex_unlock(&c->engine->lock);
        if (!respond(c, request))
            break;
    }
    close(c->fd);
    free(request);
    free(c);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct fake_engine *f = arg;
    while (readable(f, f->listener)) {
        int fd = accept(f->listener, NULL, NULL);
        struct connection *c = fd >= 0 ? malloc(sizeof(*c)) : NULL;
        if (!c || f->thread_count == THREADS_MAX)
            abort(); /* a test that opens more has to raise the number */
        *c = (struct connection){ .engine = f, .fd = fd };
        if (pthread_create(&f->threads[f->thread_count], NULL, serve, c) != 0)
            abort();
        f->thread_count++;
    }
    return NULL;
}

struct fake_engine *fake_engine_new(const char *min, const char *max)
{
    struct fake_engine *f = calloc(1, sizeof(*f));
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!f)
        abort();
    pthread_mutex_init(&f->lock, NULL);
    fake_engine_range(f, min, max);
    str_copy(f->folder, sizeof(f->folder), "/tmp/hb-fake-XXXXXX");
    if (!mkdtemp(f->folder))
        abort();
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", f->folder);
    (void)snprintf(f->host, sizeof f->host, "unix://%s", address.sun_path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(f->listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(f->listener, 64) < 0 ||
        pthread_create(&f->acceptor, NULL, accept_all, f) != 0)
        abort();
    return f;
}

void fake_engine_free(struct fake_engine *f)
{
    f->stop = true;
    pthread_join(f->acceptor, NULL);
    for (size_t i = 0; i < f->thread_count; i++)
        pthread_join(f->threads[i], NULL);
    close(f->listener);
    (void)unlink(f->host + 7);
    (void)rmdir(f->folder);
    for (size_t i = 0; i < f->answer_count; i++) {
        free(f->answers[i].call);
        free(f->answers[i].bytes);
    }
    for (size_t i = 0; i < f->call_count; i++)
        free(f->calls[i]);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

const char *fake_engine_host(const struct fake_engine *f)
{
    return f->host;
}

void fake_engine_range(struct fake_engine *f, const char *min, const char *max)
{
    pthread_mutex_lock(&f->lock);
    str_copy(f->min, sizeof(f->min), min ? min : "");
    str_copy(f->max, sizeof(f->max), max);
    pthread_mutex_unlock(&f->lock);
}

void fake_engine_bytes(struct fake_engine *f, const char *call, const void *bytes, size_t len, enum fake_ending ending)
{
    struct answer a = { .call = strdup(call), .bytes = malloc(len + 1), .len = len, .ending = ending };
    if (!a.call || !a.bytes || f->answer_count == ANSWERS_MAX)
        abort();
    memcpy(a.bytes, bytes, len);
    a.bytes[len] = '\0';
    pthread_mutex_lock(&f->lock);
    f->answers[f->answer_count++] = a;
    pthread_mutex_unlock(&f->lock);
}

/* Kept as "{JSON}<status>\n<body>", so that its headers follow the range of the moment. */
void fake_engine_json(struct fake_engine *f, const char *call, int status, const char *body)
{
    char *text = str_printf("{JSON}%d\n%s", status, body);
    if (!text)
        abort();
    fake_engine_bytes(f, call, text, strlen(text), FAKE_CLOSE);
    free(text);
}

unsigned fake_engine_calls(struct fake_engine *f, const char *call)
{
    unsigned n = 0;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->call_count; i++)
        n += str_starts(f->calls[i], call);
    pthread_mutex_unlock(&f->lock);
    return n;
}

const char *fake_engine_call(struct fake_engine *f, size_t i)
{
    pthread_mutex_lock(&f->lock);
    const char *call = i < f->call_count ? f->calls[i] : NULL;
    pthread_mutex_unlock(&f->lock);
    return call;
}
