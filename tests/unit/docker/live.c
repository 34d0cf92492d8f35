#include "live.h"

#include "integrations/docker/docker_http.h"
#include "integrations/portainer/portainer.h"
#include "live_image.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static const char *live_host(void)
{
    return getenv("HB_TEST_DOCKER_HOST");
}

static const char *given(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int live_portainer(const char *url, struct container_engine **ret, struct error *e)
{
    const char *token = getenv("HB_TEST_PORTAINER_TOKEN");
    _cleanup_secret_ struct secret *key = secret_new(token, strlen(token));
    const struct portainer_options o = { .url = url,
                                         .token.bytes = key,
                                         .authority.file = given("HB_TEST_PORTAINER_AUTHORITY"),
                                         .endpoint_name = getenv("HB_TEST_PORTAINER_ENDPOINT") };
    return portainer_engine_open(&o, ret, e);
}

static int live_open(struct container_engine **ret, struct error *e)
{
    if (given("HB_TEST_PORTAINER_URL"))
        return live_portainer(given("HB_TEST_PORTAINER_URL"), ret, e);
    const struct docker_engine_options o = { .host = live_host(),
                                             .certificates = given("HB_TEST_DOCKER_CERTS"),
                                             .key = { .file = given("HB_TEST_SSH_KEY") },
                                             .known_hosts_file = given("HB_TEST_KNOWN_HOSTS") };
    return docker_engine_open(&o, ret, e);
}

int live_http(struct docker_http **ret, struct error *e)
{
    const char *socket = given("HB_TEST_DOCKER_SOCKET");
    return docker_http_new(&(struct docker_target_options){ .host = socket ? socket : live_host() }, ret, e);
}

/* Set up and torn down around each test: an engine object and a free name. */
int live_set_up(void **state)
{
    struct live *l = *state;
    static int serial;
    (void)snprintf(l->name, sizeof l->name, "hb-live-%d-%d", (int)getpid(), ++serial);
    *l->id = '\0';
    if (live_open(&l->g, &l->e) < 0)
        return -1;
    l->ops = l->g->ops;
    return 0;
}

int live_tear_down(void **state)
{
    struct live *l = *state;
    int r = l->ops->remove(l->g, l->name, true, &l->e);
    l->ops->free(l->g);
    error_done(&l->e);
    return r;
}

void live_run(struct live *l, const char *script, struct engine_spec spec)
{
    const char *command[] = { "sh", "-c", script, NULL };
    spec.name = l->name;
    spec.image = spec.image ? spec.image : LIVE_IMAGE;
    spec.command = command;
    OK(l->ops->create(l->g, &spec, l->id, &l->e));
    OK(l->ops->start(l->g, l->id, &l->e));
}

struct engine_container live_look(struct live *l)
{
    struct engine_container c = { 0 };
    OK(l->ops->inspect(l->g, l->name, &c, &l->e));
    return c;
}

bool live_is_state(struct live *l, const char *state)
{
    struct engine_container c = live_look(l);
    bool same = str_eq(c.state, state);
    engine_container_done(&c);
    return same;
}

bool live_is_health(struct live *l, enum engine_health health)
{
    struct engine_container c = live_look(l);
    bool same = c.health == health;
    engine_container_done(&c);
    return same;
}

/* Asks the engine past our code, so that a test compares with what the engine itself says. */
json_t *live_raw(struct live *l, const char *path, long *ret_status)
{
    struct docker_http *h;
    struct docker_reply reply;
    struct docker_call call = { .method = "GET", .path = path, .deadline_ms = 10000 };
    OK(live_http(&h, &l->e));
    OK(docker_http_call(h, &call, &reply, &l->e));
    json_t *answer = json_loadb(buf_str(&reply.body), reply.body.len, JSON_DECODE_INT_AS_REAL, NULL);
    *ret_status = reply.status;
    docker_reply_done(&reply);
    docker_http_free(h);
    return answer;
}

/* What a server on loopback says first; "" when nobody listens. */
static void read_port(uint16_t port, char *ret, size_t size)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t n = -1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        n = recv(fd, ret, size - 1, 0);
    ret[n > 0 ? n : 0] = '\0';
    close(fd);
}

bool live_says_hi(uint16_t port)
{
    char text[8];
    read_port(port, text, sizeof text);
    return str_starts(text, "hi");
}

/* ---- the tests ---- */

static void without_an_engine_these_tests_are_skipped(void **state)
{
    print_message("HB_TEST_DOCKER_HOST is not set, or there is no static /bin/busybox: no test with a real engine\n");
    skip();
}

int live_main(const char *name, const struct CMUnitTest *tests, size_t n)
{
    const struct CMUnitTest skipped[] = { cmocka_unit_test(without_an_engine_these_tests_are_skipped) };
    struct live l = { 0 };
    struct CMUnitTest copy[32];
    if (!live_host() || !*live_host() || !live_image_possible())
        return cmocka_run_group_tests_name(name, skipped, NULL, NULL);
    live_image_import();
    for (size_t i = 0; i < n && i < ARRAY_LEN(copy); i++) {
        copy[i] = tests[i];
        copy[i].initial_state = &l;
    }
    return _cmocka_run_group_tests(name, copy, n, NULL, NULL);
}
