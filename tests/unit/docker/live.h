/* What tests with a real engine share. HB_TEST_DOCKER_HOST names it as docker.h does; HB_TEST_DOCKER_CERTS,
 * HB_TEST_SSH_KEY and HB_TEST_KNOWN_HOSTS say how it is reached, HB_TEST_DOCKER_SOCKET ("unix:///…") is the way past our
 * code where that is another; HB_TEST_PORTAINER_URL, _TOKEN, _ENDPOINT and _AUTHORITY reach it through a Portainer. Without a host a program's tests are skipped.
 * Ownership: one struct live a test, set up with a free name and torn down with that container. Not thread-safe. */
#ifndef HB_TEST_LIVE_H
#define HB_TEST_LIVE_H

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker.h"
#include "integrations/docker/docker_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define LIVE_WAIT_MS 20000

struct live {
    struct container_engine *g;
    const struct engine_ops *ops;
    char name[64]; /* of the test's container */
    char id[65];
    struct error e;
};

/* Waits for a condition, asked every 20 ms until it is met once. */
#define WAIT_FOR(condition)                                       \
    do {                                                          \
        int64_t until_ = clock_mono_ms() + LIVE_WAIT_MS;          \
        bool met_ = false;                                        \
        while (!(met_ = (condition)) && clock_mono_ms() < until_) \
            usleep(20000);                                        \
        if (!met_)                                                \
            fail_msg("never: %s", #condition);                    \
    } while (0)

#define OK(call)                                     \
    do {                                             \
        if ((call) != 0)                             \
            fail_msg("%s: %s", #call, l->e.message); \
    } while (0)

int live_set_up(void **state);
int live_tear_down(void **state);
#define LIVE(test) { #test, test, live_set_up, live_tear_down, NULL }
int live_main(const char *name, const struct CMUnitTest *tests, size_t n);

/* Runs a line of shell in the test's container. */
void live_run(struct live *l, const char *script, struct engine_spec spec);
struct engine_container live_look(struct live *l);
bool live_is_state(struct live *l, const char *state);
bool live_is_health(struct live *l, enum engine_health health);
/* Asks the engine past our code, so that a test compares with what the engine itself says. */
json_t *live_raw(struct live *l, const char *path, long *ret_status);
int live_http(struct docker_http **ret, struct error *e);
/* Whether a server on loopback greets. */
bool live_says_hi(uint16_t port);

#endif
