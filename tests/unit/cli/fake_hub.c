#include "fake_hub.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_MAX 64

struct fake_hub {
    int fd;
    char url[64];
    fake_answer answer;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    struct fake_request requests[REQUESTS_MAX];
    size_t n;
};

static void keep(const char *line, const char *name, char *ret, size_t size)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) == 0)
        str_copy(ret, size, line + len);
}

static bool read_request(FILE *in, struct fake_request *rq)
{
    char line[2048];
    size_t length = 0;
    memset(rq, 0, sizeof *rq);
    if (!fgets(line, sizeof line, in) || sscanf(line, "%7s %511s", rq->method, rq->path) != 2)
        return false;
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line)
            break;
        keep(line, "X-API-Key: ", rq->api_key, sizeof rq->api_key);
        keep(line, "Authorization: ", rq->authorization, sizeof rq->authorization);
        keep(line, "Idempotency-Key: ", rq->idempotency_key, sizeof rq->idempotency_key);
        keep(line, "Last-Event-ID: ", rq->last_event_id, sizeof rq->last_event_id);
        keep(line, "Accept: ", rq->accept, sizeof rq->accept);
        if (strncasecmp(line, "Content-Length: ", 16) == 0)
            length = strtoul(line + 16, NULL, 10);
    }
    return length < sizeof rq->body && fread(rq->body, 1, length, in) == length;
}

static void serve(struct fake_hub *hub, int fd)
{
    struct fake_request rq;
    FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
    if (in && out && read_request(in, &rq)) {
        (void)pthread_mutex_lock(&hub->lock);
        size_t n = hub->n;
        if (n < REQUESTS_MAX)
            hub->requests[hub->n++] = rq;
        (void)pthread_mutex_unlock(&hub->lock);
        hub->answer(hub->ctx, out, &rq, n);
    }
    if (out)
        (void)fclose(out);
    if (in)
        (void)fclose(in);
}

static void *run(void *ctx)
{
    struct fake_hub *hub = ctx;
    for (int fd; (fd = accept(hub->fd, NULL, NULL)) >= 0;)
        serve(hub, fd);
    return NULL;
}

struct fake_hub *fake_hub_start(fake_answer answer, void *ctx)
{
    struct fake_hub *hub = calloc(1, sizeof *hub);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    assert(hub);
    hub->answer = answer;
    hub->ctx = ctx;
    (void)pthread_mutex_init(&hub->lock, NULL);
    hub->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (hub->fd < 0 || bind(hub->fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(hub->fd, 16) < 0 ||
        getsockname(hub->fd, (struct sockaddr *)&address, &len) < 0 ||
        pthread_create(&hub->thread, NULL, run, hub) != 0)
        abort();
    (void)snprintf(hub->url, sizeof hub->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return hub;
}

const char *fake_hub_url(const struct fake_hub *hub)
{
    return hub->url;
}

size_t fake_hub_count(struct fake_hub *hub)
{
    (void)pthread_mutex_lock(&hub->lock);
    size_t n = hub->n;
    (void)pthread_mutex_unlock(&hub->lock);
    return n;
}

const struct fake_request *fake_hub_request(struct fake_hub *hub, size_t i)
{
    return i < fake_hub_count(hub) ? &hub->requests[i] : NULL;
}

void fake_hub_stop(struct fake_hub *hub)
{
    (void)shutdown(hub->fd, SHUT_RDWR);
    (void)pthread_join(hub->thread, NULL);
    (void)close(hub->fd);
    (void)pthread_mutex_destroy(&hub->lock);
    free(hub);
}

void fake_reply(FILE *out, int status, const char *json)
{
    (void)fprintf(
        out, "HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
        status, strlen(json), json);
}

void fake_error(FILE *out, int status, const char *code, const char *message, const char *details)
{
    char json[4096];
    (void)snprintf(
        json, sizeof json,
        "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"details\":%s,\"timestamp\":\"2026-11-25T12:00:00.000Z\","
        "\"requestId\":\"r-1\",\"monitoring\":{}}}",
        code, message, details ? details : "{}");
    fake_reply(out, status, json);
}
