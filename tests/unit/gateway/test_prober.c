/* Probes against a server that fails on purpose: what counts as failed, percentiles, points, both kinds of connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_router.h"
#include "gateway/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum behaviour { GOOD, ERROR_503, NOT_FOUND_404, CUT, SILENT };

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic int live, behaviour, connections, requests, wrong_host;
};

static bool answer(struct server *s, int fd, const char *request)
{
    static const char *const heads[] = { [GOOD] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                         [ERROR_503] = "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n",
                                         [NOT_FOUND_404] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" };
    s->requests++;
    s->wrong_host += strstr(request, "Host: web.example.org:") == NULL || strstr(request, "GET /health ") == NULL;
    if (s->behaviour == CUT)
        return false;
    while (s->behaviour == SILENT && !s->stop)
        (void)usleep(10000);
    return s->behaviour <= NOT_FOUND_404 &&
           send(fd, heads[s->behaviour], strlen(heads[s->behaviour]), MSG_NOSIGNAL) > 0;
}

static void *serve_one(void *arg)
{
    struct {
        struct server *s;
        int fd;
    } x;
    memcpy(&x, arg, sizeof x);
    free(arg);
    char text[4096];
    size_t n = 0;
    while (!x.s->stop) {
        ssize_t got = recv(x.fd, text + n, sizeof text - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
        if (!strstr(text, "\r\n\r\n"))
            continue;
        n = 0;
        if (!answer(x.s, x.fd, text))
            break;
    }
    (void)close(x.fd);
    x.s->live--;
    return NULL;
}

static void *accept_all(void *arg)
{
    struct server *s = arg;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct {
            struct server *s;
            int fd;
        } x = { s, fd }, *copy = malloc(sizeof x);
        pthread_t t;
        memcpy(copy, &x, sizeof x);
        s->connections++;
        s->live++;
        assert_int_equal(pthread_create(&t, NULL, serve_one, copy), 0);
        (void)pthread_detach(t);
    }
    return NULL;
}

struct fixture {
    struct server server;
    struct fake_router router;
    struct gateway gateway;
    struct route *route;
    struct gateway_probe *probe;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    f->server.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->server.fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(f->server.fd, 100), 0);
    assert_int_equal(getsockname(f->server.fd, (struct sockaddr *)&at, &len), 0);
    f->server.port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&f->server.thread, NULL, accept_all, &f->server), 0);
    fake_router_init(&f->router);
    f->gateway = (struct gateway){ .router = &f->router.router, .routes = map_new(NULL) };
    f->gateway.info = (struct router_info){ .host = "127.0.0.1", .port = f->server.port };
    (void)pthread_mutex_init(&f->gateway.lock, NULL);
    f->route = calloc(1, sizeof *f->route);
    f->route->domains = json_pack("[s, s]", "*.example.net", "web.example.org");
    assert_int_equal(map_set(f->gateway.routes, "s1", f->route), 0);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    gateway_probe_stop(f->probe);
    f->server.stop = true;
    (void)shutdown(f->server.fd, SHUT_RDWR);
    (void)pthread_join(f->server.thread, NULL);
    (void)close(f->server.fd);
    while (f->server.live > 0) /* its clients are gone: each ends by itself */
        (void)usleep(1000);
    map_free(f->gateway.routes);
    json_decref(f->route->domains);
    free(f->route);
    (void)pthread_mutex_destroy(&f->gateway.lock);
    free(f);
    return 0;
}

static void probe(struct fixture *f, int64_t timeout_ms)
{
    struct error e = ERROR_INIT;
    struct gateway_probe_options o = { .per_second = 100, .path = "/health", .timeout_ms = timeout_ms };
    if (gateway_probe_start(&f->gateway, "s1", &o, &f->probe, &e) < 0)
        fail_msg("%s", e.message);
}

/* Until so many have ended in the phase. */
static struct gateway_figures ended(struct fixture *f, enum probe_phase phase, int64_t n)
{
    struct gateway_figures x[PROBE_PHASES];
    int64_t until = clock_mono_ms() + 10000;
    do {
        (void)usleep(5000);
        gateway_probe_read(f->probe, x);
    } while (x[phase].sent < n && clock_mono_ms() < until);
    assert_true(x[phase].sent >= n);
    return x[phase];
}

static void test_counts_by_phase_what_fails(void **state)
{
    struct fixture *f = *state;
    probe(f, 5000);
    struct gateway_figures x = ended(f, PROBE_BEFORE, 20);
    assert_int_equal(x.failed, 0);
    assert_true(x.p50_ms > 0 && x.p99_ms >= x.p50_ms && x.p99_ms < 5000);
    f->server.behaviour = ERROR_503;
    gateway_probe_phase(f->probe, PROBE_DURING);
    x = ended(f, PROBE_DURING, 10);
    assert_true(x.failed >= 9); /* one may have been answered before */
    assert_string_equal(x.first_failure, "it answered 503");
    f->server.behaviour = CUT;
    (void)ended(f, PROBE_DURING, x.sent + 5);
    f->server.behaviour = NOT_FOUND_404;
    (void)ended(f, PROBE_DURING, x.sent + 15);
    gateway_probe_phase(f->probe, PROBE_AFTER);
    x = ended(f, PROBE_AFTER, 10);
    assert_int_equal(x.failed, 0);
    assert_int_equal(f->server.wrong_host, 0);
}

static void test_half_of_the_requests_open_a_connection(void **state)
{
    struct fixture *f = *state;
    probe(f, 5000);
    (void)ended(f, PROBE_BEFORE, 60);
    int connections = f->server.connections, requests = f->server.requests;
    assert_in_range(connections, requests / 2 - 2, requests / 2 + 10);
}

static void test_silence_is_a_failure_in_words(void **state)
{
    struct fixture *f = *state;
    f->server.behaviour = SILENT;
    probe(f, 200);
    struct gateway_figures x = ended(f, PROBE_BEFORE, 5);
    assert_int_equal(x.failed, x.sent);
    assert_string_equal(x.first_failure, "no answer within 200 ms");
    assert_true(x.p99_ms < 1);
}

static void test_what_hangs_is_no_failure_yet_but_told(void **state)
{
    struct fixture *f = *state;
    struct gateway_figures x[PROBE_PHASES];
    int64_t until = clock_mono_ms() + 10000;
    probe(f, 60000);
    (void)ended(f, PROBE_BEFORE, 5);
    f->server.behaviour = SILENT;
    gateway_probe_phase(f->probe, PROBE_DURING);
    do {
        (void)usleep(5000);
        gateway_probe_read(f->probe, x);
    } while (x[PROBE_DURING].waiting_ms < 300 && clock_mono_ms() < until);
    assert_in_range(x[PROBE_DURING].waiting_ms, 300, 10000);
    assert_int_equal(x[PROBE_DURING].failed, 0);
}

static void test_nobody_listens(void **state)
{
    struct fixture *f = *state;
    (void)shutdown(f->server.fd, SHUT_RDWR);
    probe(f, 1000);
    struct gateway_figures x = ended(f, PROBE_BEFORE, 5);
    assert_int_equal(x.failed, x.sent);
    assert_true(x.first_failure[0]);
}

static void test_points_are_bounded_and_keep_failures(void **state)
{
    struct fixture *f = *state;
    probe(f, 1000);
    (void)ended(f, PROBE_BEFORE, 10);
    f->server.behaviour = ERROR_503;
    gateway_probe_phase(f->probe, PROBE_DURING);
    struct gateway_figures x = ended(f, PROBE_DURING, 10);
    json_t *points = gateway_probe_points(f->probe), *p;
    size_t i, failed = 0;
    json_int_t at = 0;
    assert_in_range(json_array_size(points), 20, 600);
    json_array_foreach (points, i, p) {
        assert_true(json_integer_value(json_array_get(p, 0)) >= at);
        at = json_integer_value(json_array_get(p, 0));
        failed += json_integer_value(json_array_get(p, 2)) == 1;
    }
    assert_true((int64_t)failed >= x.failed);
    json_decref(points);
}

static void test_without_a_route_there_is_nothing_to_probe(void **state)
{
    struct fixture *f = *state;
    struct error e = ERROR_INIT;
    struct gateway_probe_options o = { .per_second = 10 };
    assert_int_equal(gateway_probe_start(&f->gateway, "other", &o, &f->probe, &e), -ERR_NOT_FOUND);
    f->gateway.info.port = 0;
    assert_int_equal(gateway_probe_start(&f->gateway, "s1", &o, &f->probe, &e), -ERR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_by_phase_what_fails, start, end),
        cmocka_unit_test_setup_teardown(test_half_of_the_requests_open_a_connection, start, end),
        cmocka_unit_test_setup_teardown(test_silence_is_a_failure_in_words, start, end),
        cmocka_unit_test_setup_teardown(test_what_hangs_is_no_failure_yet_but_told, start, end),
        cmocka_unit_test_setup_teardown(test_nobody_listens, start, end),
        cmocka_unit_test_setup_teardown(test_points_are_bounded_and_keep_failures, start, end),
        cmocka_unit_test_setup_teardown(test_without_a_route_there_is_nothing_to_probe, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
