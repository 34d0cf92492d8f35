/* The service that tests deploy: a small HTTP server in one static program, so that its image needs nothing else.
 * Environment: PORT (8080), VERSION ("1"), START_DELAY_MS (0), CRASH (exit 1 at once), FAIL_HEALTH (unhealthy from the start).
 * Paths: / and /version say VERSION; /health 200 or 503; POST /fail and /recover switch it; /slow?ms=N answers late;
 * /exit?code=N ends the process. Each request is a line on stdout. SIGTERM: requests in flight are answered, then it ends 0. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *version = "1";
static atomic_bool unhealthy;
static atomic_int in_flight;
static volatile sig_atomic_t ending;

static long number_of(const char *text, long fallback)
{
    return text && *text ? strtol(text, NULL, 10) : fallback;
}

static void sleep_ms(long ms)
{
    struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR && !ending)
        ;
}

static void on_term(int signal_number)
{
    (void)signal_number;
    ending = 1;
}

static void reply(int fd, int status, const char *body)
{
    char text[512];
    int length =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                 status, status == 200 ? "OK" : "Error", strlen(body), body);
    for (int sent = 0; sent < length;) {
        ssize_t n = send(fd, text + sent, (size_t)(length - sent), MSG_NOSIGNAL);
        if (n <= 0)
            return;
        sent += (int)n;
    }
}

static void health(int fd)
{
    if (unhealthy)
        reply(fd, 503, "unhealthy\n");
    else
        reply(fd, 200, "healthy\n");
}

static void answer(int fd, const char *path)
{
    char body[128];
    snprintf(body, sizeof body, "%s\n", version);
    if (strcmp(path, "/") == 0 || strcmp(path, "/version") == 0) {
        reply(fd, 200, body);
    } else if (strcmp(path, "/health") == 0) {
        health(fd);
    } else if (strcmp(path, "/fail") == 0 || strcmp(path, "/recover") == 0) {
        unhealthy = strcmp(path, "/fail") == 0;
        reply(fd, 200, "switched\n");
    } else if (strncmp(path, "/slow?ms=", 9) == 0) {
        sleep_ms(number_of(path + 9, 0));
        reply(fd, 200, body);
    } else if (strncmp(path, "/exit?code=", 11) == 0) {
        reply(fd, 200, "bye\n");
        exit((int)number_of(path + 11, 1));
    } else {
        reply(fd, 404, "no such path\n");
    }
}

/* Reads to the end of the header; the first line is all that matters here. */
static int read_request(int fd, char *buffer, size_t size)
{
    size_t used = 0;
    while (used < size - 1) {
        ssize_t n = read(fd, buffer + used, size - 1 - used);
        if (n <= 0)
            return -1;
        used += (size_t)n;
        buffer[used] = '\0';
        if (strstr(buffer, "\r\n\r\n"))
            return 0;
    }
    return -1;
}

static void *serve(void *argument)
{
    int fd = (int)(long)argument;
    char buffer[8192], method[16], path[1024];
    struct timeval limit = { 10, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (read_request(fd, buffer, sizeof buffer) == 0 && sscanf(buffer, "%15s %1023s", method, path) == 2) {
        printf("%s %s\n", method, path);
        answer(fd, path);
    }
    shutdown(fd, SHUT_WR);
    close(fd);
    in_flight--;
    return NULL;
}

static int listen_on(long port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 256) < 0)
        return -1;
    return fd;
}

static void accept_one(int listener)
{
    pthread_t thread;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    in_flight++;
    if (pthread_create(&thread, NULL, serve, (void *)(long)fd) != 0) {
        in_flight--;
        close(fd);
        return;
    }
    pthread_detach(thread);
}

int main(void)
{
    long port = number_of(getenv("PORT"), 8080);
    struct sigaction action = { .sa_handler = on_term };
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
    sleep_ms(number_of(getenv("START_DELAY_MS"), 0));
    int listener = listen_on(port);
    if (listener < 0) {
        fprintf(stderr, "cannot listen on port %ld: %s\n", port, strerror(errno));
        return 1;
    }
    printf("demo %s listens on port %ld\n", version, port);
    while (!ending) {
        struct pollfd waiting = { .fd = listener, .events = POLLIN };
        if (poll(&waiting, 1, 200) > 0)
            accept_one(listener);
    }
    close(listener);
    for (int i = 0; i < 200 && in_flight > 0; i++)
        sleep_ms(50);
    printf("demo %s ends\n", version);
    return 0;
}
