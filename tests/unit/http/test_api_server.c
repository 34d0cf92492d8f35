/* The API layer behind the real server: a request from socket to handler and back, and streams under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "toy.h"

#include "http/events.h"
#include "http/server.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const char stream_contract[] =
    "paths:\n"
    "  /v1/events:\n"
    "    get:\n"
    "      operationId: streamEvents\n"
    "      x-role: public\n"
    "      x-stream: true\n"
    "      parameters:\n"
    "        - { name: Last-Event-ID, in: header, schema: { type: string } }\n"
    "      responses: { '200': { description: ok, content: { text/event-stream: { schema: { type: string } } } } }\n";

static struct toy toy;
static struct api *api;
static struct events *bus;
static struct http_server *server;

static int listen_on(struct error *e)
{
    struct http_server_options o = { .listen = "127.0.0.1:0", .workers = 4 };
    api_bind(api, &o);
    int r = http_server_start(&o, &server, e);
    if (r == 0)
        api_set_server(api, server);
    return r;
}

static int start(void **state)
{
    struct error e = ERROR_INIT;
    memset(&toy, 0, sizeof toy);
    str_copy(toy.actor_role, sizeof toy.actor_role, "operator");
    struct api_options o = toy_options(&toy);
    api = toy_api(&toy, &o, &e);
    return api && listen_on(&e) == 0 ? 0 : -1;
}

static int start_stream(void **state)
{
    static const struct api_operation rows[] = { { "streamEvents", events_subscribe } };
    struct error e = ERROR_INIT;
    struct api_options o = { .contract_yaml = stream_contract, .contract_len = sizeof stream_contract - 1 };
    bus = events_new();
    if (!bus || api_new(&o, &api, &e) < 0 || api_add(api, rows, 1, bus, &e) < 0 || api_seal(api, &e) < 0)
        return -1;
    return listen_on(&e);
}

static int end(void **state)
{
    http_server_stop(server, 1000);
    events_free(bus);
    api_free(api);
    bus = NULL;
    return 0;
}

static int connect_to(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(server)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = { .tv_sec = 20 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until the text has been seen, or the peer closes; the text so far in `ret`. */
static bool read_until(int fd, const char *wanted, char *ret, size_t size)
{
    size_t used = strlen(ret);
    while (!strstr(ret, wanted) && used + 1 < size) {
        ssize_t n = recv(fd, ret + used, size - used - 1, 0);
        if (n <= 0)
            return false;
        used += (size_t)n;
        ret[used] = '\0';
    }
    return strstr(ret, wanted) != NULL;
}

static void talks_over_one_connection(void **state)
{
    char text[8192] = "";
    int fd = connect_to();
    say(fd, "GET /v1/things?limit=5 HTTP/1.1\r\nHost: x\r\nX-Request-Id: first\r\n\r\n");
    assert_true(read_until(fd, "\"limit\":5", text, sizeof text));
    assert_true(str_starts(text, "HTTP/1.1 200 "));
    assert_non_null(strstr(text, "X-Request-Id: first\r\n"));
    text[0] = '\0';
    say(fd,
        "POST /v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"name\":\"lamp\"}");
    assert_true(read_until(fd, "\"size\":3", text, sizeof text));
    assert_true(str_starts(text, "HTTP/1.1 201 "));
    text[0] = '\0';
    say(fd, "PUT /v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(read_until(fd, "METHOD_NOT_ALLOWED", text, sizeof text));
    assert_non_null(strstr(text, "Allow: GET, HEAD, POST, OPTIONS\r\n"));
    text[0] = '\0';
    say(fd, "HEAD /v1/things HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/things/last HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(read_until(fd, "{\"id\":\"last\"}", text, sizeof text));
    (void)close(fd);
}

static void refuses_early_with_the_standard_error(void **state)
{
    static const struct {
        const char *request, *status, *code;
    } cases[] = {
        { "POST /v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n",
          "HTTP/1.1 413 ", "PAYLOAD_TOO_LARGE" },
        { "POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n", "HTTP/1.1 404 ", "NOT_FOUND" },
        { "POST /v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 999999\r\n\r\n",
          "HTTP/1.1 415 ", "UNSUPPORTED_MEDIA_TYPE" },
        { "GET /v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "HTTP/1.1 400 ",
          "MALFORMED_REQUEST" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[8192] = "";
        int fd = connect_to();
        say(fd, cases[i].request);
        assert_true(read_until(fd, "\"requestId\"", text, sizeof text));
        assert_true(str_starts(text, cases[i].status));
        assert_non_null(strstr(text, cases[i].code));
        assert_non_null(strstr(text, "X-Content-Type-Options: nosniff\r\n"));
        (void)close(fd);
    }
}

enum { SUBSCRIBERS = 24, EVENTS = 200 };

static void *follow(void *arg)
{
    static const char last[] = "\"entityId\":\"last\"";
    char *text = calloc(1, 1 << 20);
    int fd = *(int *)arg;
    unsigned long seen = read_until(fd, last, text, 1 << 20) ? 0 : EVENTS + 1;
    for (const char *at = text; (at = strstr(at, "\nevent: node.updated\n")); at++)
        seen++;
    free(text);
    return (void *)seen;
}

static void *publish(void *arg)
{
    for (int i = 0; i < EVENTS / 2; i++)
        events_publish(bus, "node.updated", "node", "n", "{}", 2);
    return NULL;
}

/* Every subscriber gets every event of two publishers, once, while others come and go. */
static void streams_reach_all(void **state)
{
    int fds[SUBSCRIBERS];
    pthread_t readers[SUBSCRIBERS], writers[2];
    for (int i = 0; i < SUBSCRIBERS; i++) {
        char text[4096] = "";
        fds[i] = connect_to();
        say(fds[i], "GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip\r\n\r\n");
        assert_true(read_until(fds[i], "event: hello\n", text, sizeof text));
        assert_null(strstr(text, "Content-Encoding"));
    }
    assert_int_equal(events_subscribers(bus), SUBSCRIBERS);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, publish, NULL), 0);
    for (int i = 0; i < SUBSCRIBERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, follow, &fds[i]), 0);
    for (int i = 0; i < 20; i++) { /* passers-by */
        int fd = connect_to();
        say(fd, "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
        (void)close(fd);
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(writers[i], NULL);
    events_publish(bus, "system.updated", "system", "last", "{}", 2);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        void *seen = NULL;
        (void)pthread_join(readers[i], &seen);
        assert_int_equal((unsigned long)seen, EVENTS);
        (void)close(fds[i]);
    }
}

/* ---- shortcuts ---- */

static atomic_int at_once, known_at_once, at_hand;

static int authenticate_at_once(void *ctx, struct request *rq, struct actor *ret)
{
    if (!atomic_load(&known_at_once))
        return -1;
    *ret = (struct actor){ .role = ROLE_VIEWER, .kind = "key", .id = "k" };
    return 0;
}

static bool shared_at_once(void *room, const char *query, struct reply *rp)
{
    const struct toy *t = room;
    if (*query || !atomic_load(&at_hand))
        return false;
    at_once++;
    reply_blob(rp, 200, "application/json", t->shared, "\"shared-1\"");
    return true;
}

static int start_shortcut(void **state)
{
    static const struct api_shortcut shortcuts[] = { { "getShared", shared_at_once } };
    struct error e = ERROR_INIT;
    memset(&toy, 0, sizeof toy);
    toy.shared = blob_new("{\"shared\":true}", 15);
    at_once = known_at_once = at_hand = 0;
    struct api_options o = toy_options(&toy);
    o.hooks.authenticate_at_once = authenticate_at_once;
    if (api_new(&o, &api, &e) < 0 || api_add(api, toy_rows, toy_row_count, &toy, &e) < 0 ||
        api_add(api, api_builtin_operations, API_BUILTIN_COUNT, api, &e) < 0)
        return -1;
    api_add_shortcuts(api, shortcuts, 1);
    return api_seal(api, &e) == 0 && listen_on(&e) == 0 ? 0 : -1;
}

static int end_shortcut(void **state)
{
    blob_unref(toy.shared);
    return end(state);
}

static void ask(int fd, const char *target, const char *header, const char *status, int shortcuts)
{
    char line[256], text[8192] = "";
    (void)snprintf(line, sizeof line, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, header);
    say(fd, line);
    if (!read_until(fd, *status == '3' ? "\r\n\r\n" : "}", text, sizeof text))
        fail_msg("%s %s: %s", target, header, text);
    if (strncmp(text + strlen("HTTP/1.1 "), status, 3) != 0)
        fail_msg("%s %s: %s", target, header, text);
    assert_non_null(strstr(text, "RateLimit-Limit: 100\r\n")); /* counted, and once */
    assert_null(strstr(strstr(text, "RateLimit-Limit") + 1, "RateLimit-Limit"));
    assert_non_null(strstr(text, "X-Content-Type-Options: nosniff\r\n"));
    assert_int_equal(at_once, shortcuts);
}

/* The same reply with and without the shortcut; who is not known at once, or over the limit, gets what a worker would say. */
static void what_is_at_hand_is_answered_at_once(void **state)
{
    int fd = connect_to();
    atomic_store(&at_hand, 1);
    ask(fd, "/v1/shared", "", "200", 0);
    atomic_store(&known_at_once, 1);
    ask(fd, "/v1/shared", "", "200", 1);
    ask(fd, "/v1/shared", "If-None-Match: \"shared-1\"\r\n", "304", 2);
    ask(fd, "/v1/shared?unknown=1", "", "400", 2);
    ask(fd, "/v1/shared", "Accept: text/csv\r\n", "406", 2);
    toy.limited = true;
    ask(fd, "/v1/shared", "", "429", 3);
    toy.limited = false;
    atomic_store(&at_hand, 0);
    ask(fd, "/v1/shared", "", "200", 3);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(talks_over_one_connection, start, end),
        cmocka_unit_test_setup_teardown(refuses_early_with_the_standard_error, start, end),
        cmocka_unit_test_setup_teardown(streams_reach_all, start_stream, end),
        cmocka_unit_test_setup_teardown(what_is_at_hand_is_answered_at_once, start_shortcut, end_shortcut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
