/* Health checks of many services: each in its turn, what it finds is shown, and what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/internal.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVICES 2000
#define INTERVAL_S 2

static char dir[64], path[96];
static struct store *store;
static struct events *bus;
static struct runtime *runtime;

/* ---- a service that answers everything with what it is told to ---- */

static int listener;
static uint16_t port;
static _Atomic int status = 200;
static _Atomic bool closing;
static _Atomic uint64_t answered;
static pthread_t server;

static void answer(int fd)
{
    char text[2048], reply[128];
    if (recv(fd, text, sizeof text, 0) > 0) {
        int n = snprintf(reply, sizeof reply, "HTTP/1.1 %d x\r\nContent-Length: 2\r\n\r\nok", status);
        (void)send(fd, reply, (size_t)n, MSG_NOSIGNAL);
        answered++;
    }
    (void)close(fd);
}

static void *serve(void *arg)
{
    (void)arg;
    int loop = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, got[64];
    (void)epoll_ctl(loop, EPOLL_CTL_ADD, listener, &ev);
    while (!closing) {
        int n = epoll_wait(loop, got, 64, 100);
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd != listener) {
                answer(got[i].data.fd);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            ev = (struct epoll_event){ .events = EPOLLIN | EPOLLONESHOT, .data.fd = fd };
            (void)epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev);
        }
    }
    (void)close(loop);
    return NULL;
}

static void start_server(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 4096), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&server, NULL, serve, NULL), 0);
}

static double server_seconds(void)
{
    clockid_t clock;
    struct timespec ts;
    assert_int_equal(pthread_getcpuclockid(server, &clock), 0);
    assert_int_equal(clock_gettime(clock, &ts), 0);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double process_seconds(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- many services ---- */

static void run_sql(const char *sql)
{
    struct error e = ERROR_INIT;
    _cleanup_conn_ struct store_conn *c = NULL;
    if (store_acquire(store, STORE_WRITE, &c, &e) < 0 || store_exec(c, &e, sql, "") < 0 || store_commit(c, &e) < 0)
        fail_msg("%s", e.message);
}

static void open_runtime(void)
{
    struct error e = ERROR_INIT;
    struct runtime_options o = { .store = store, .events = bus, .version = "test", .data_directory = dir };
    if (runtime_open(&o, &runtime, &e) < 0)
        fail_msg("%s", e.message);
}

/* One made by the room itself, the others copies of its row. */
static void fill(int services, int interval_s)
{
    struct error e = ERROR_INIT;
    char sql[2048], url[64];
    struct engine_container c = { .name = (char *)"web", .image = (char *)"web:1", .state = (char *)"running" };
    memset(c.id, 'a', 64);
    c.labels = json_object();
    _cleanup_json_ json_t *labels = c.labels, *d = service_document_new(runtime_hub_node(runtime), "web", &c);
    runtime_fill_container(d, &c);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    (void)json_put(d, "networking.url", json_string(url));
    (void)json_put(d, "networking.healthCheck.path", json_string("/health"));
    (void)json_put(d, "networking.healthCheck.interval", json_integer(interval_s));
    (void)json_put(d, "networking.healthCheck.retries", json_integer(1));
    (void)json_put(d, "networking.healthCheck.startPeriod", json_integer(0));
    if (runtime_service_save(runtime, d, -1, NULL, &e) < 0)
        fail_msg("%s", e.message);
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO service_instances (id, service_id, name, type, node_id, managed, environment, container_config, "
        "networking_config, monitoring_config, status, metadata, labels, version, created_at, updated_at) "
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
        "SELECT printf('018f0000-0000-7000-9000-%%012d', i), printf('svc-%%05d', i), printf('svc-%%05d', i), type, node_id, managed, "
        "environment, container_config, networking_config, monitoring_config, status, metadata, labels, 1, created_at, updated_at "
        "FROM n, (SELECT * FROM service_instances LIMIT 1) WHERE 1",
        services - 2);
    run_sql(sql);
    runtime_close(runtime);
    open_runtime();
}

static int setup(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    const char *services = getenv("CHECKER_SERVICES"), *interval = getenv("CHECKER_INTERVAL");
    str_copy(dir, sizeof dir, "/tmp/hbcloud-checker-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/hub.db", dir);
    if (store_open(&(struct store_options){ .path = path }, &store, &e) < 0)
        fail_msg("%s", e.message);
    bus = events_new();
    start_server();
    open_runtime();
    fill(services ? atoi(services) : SERVICES, interval ? atoi(interval) : INTERVAL_S);
    assert_int_equal(runtime_start(runtime, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[] = "-wal";
    runtime_close(runtime);
    events_free(bus);
    store_close(store);
    closing = true;
    (void)pthread_join(server, NULL);
    (void)close(listener);
    const char *const ends[] = { "", command, "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s%s", path, ends[i]);
        (void)unlink(file);
    }
    (void)rmdir(dir);
    return 0;
}

struct tally {
    size_t n, healthy, unhealthy;
};

static bool count(const struct row *row, void *ctx)
{
    struct tally *t = ctx;
    t->n++;
    t->healthy += row->health == 0;
    t->unhealthy += row->health == 1;
    return true;
}

static struct tally tally(void)
{
    struct tally t = { 0 };
    table_walk(runtime->services, count, &t);
    return t;
}

static void wait_until(bool (*good)(struct tally t), int seconds)
{
    int64_t until = clock_mono_ms() + seconds * 1000;
    while (!good(tally())) {
        if (clock_mono_ms() > until)
            fail_msg("%zu of %zu healthy, %zu unhealthy", tally().healthy, tally().n, tally().unhealthy);
        (void)usleep(20000);
    }
}

static bool all_healthy(struct tally t)
{
    return t.healthy == t.n;
}

static bool all_unhealthy(struct tally t)
{
    return t.unhealthy == t.n;
}

static void every_service_is_checked_and_shown(void **state)
{
    (void)state;
    wait_until(all_healthy, 60);
    _cleanup_entity_ struct entity *x = NULL;
    assert_int_equal(runtime_service(runtime, "svc-00007", &x, NULL), 0);
    _cleanup_json_ json_t *d = entity_document(x);
    assert_string_equal(json_str(d, "status.health"), "healthy");
    assert_non_null(json_str(d, "status.lastHealthCheck"));
}

/* Each is checked once an interval, none twice and none never, its time moves, its tag stays; and it costs little. */
static void a_round_of_checks_is_even_and_cheap(void **state)
{
    (void)state;
    const char *interval = getenv("CHECKER_INTERVAL");
    int seconds = interval ? atoi(interval) : INTERVAL_S;
    _cleanup_entity_ struct entity *before = NULL, *after = NULL;
    assert_int_equal(runtime_service(runtime, "svc-00007", &before, NULL), 0);
    uint64_t first = answered;
    double cpu = process_seconds() - server_seconds();
    (void)usleep((useconds_t)seconds * 2 * 1000000);
    cpu = process_seconds() - server_seconds() - cpu;
    double rounds = (double)(answered - first) / (double)tally().n;
    print_message("%.0f checks a second: %.1f%% of a core\n", (double)(answered - first) / (seconds * 2),
                  cpu * 100 / (seconds * 2));
    assert_true(rounds > 1.8 && rounds < 2.2);
    assert_int_equal(runtime_service(runtime, "svc-00007", &after, NULL), 0);
    _cleanup_json_ json_t *was = entity_document(before), *is = entity_document(after);
    assert_string_not_equal(json_str(was, "status.lastHealthCheck"), json_str(is, "status.lastHealthCheck"));
    assert_string_equal(before->etag, after->etag);
    (void)json_put(was, "status.lastHealthCheck", json_null());
    (void)json_put(is, "status.lastHealthCheck", json_null());
    (void)json_put(was, "status.uptime", json_null());
    (void)json_put(is, "status.uptime", json_null());
    assert_true(json_equal(was, is));
}

static void what_fails_is_shown_and_what_recovers_too(void **state)
{
    (void)state;
    status = 500;
    wait_until(all_unhealthy, 60);
    status = 200;
    wait_until(all_healthy, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_service_is_checked_and_shown),
        cmocka_unit_test(a_round_of_checks_is_even_and_cheap),
        cmocka_unit_test(what_fails_is_shown_and_what_recovers_too),
    };
    return cmocka_run_group_tests_name("checker", tests, setup, teardown);
}
