/* A listener on a free port of loopback with a handler that does by path what a test needs, and a raw client.
 * Not thread-safe: one test at a time. Failures end the test. */
#ifndef HB_TEST_SERVER_FIXTURE_H
#define HB_TEST_SERVER_FIXTURE_H

#include "base/buf.h"

#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Paths: /hello "hello", /echo the body, /gate waits for fixture_open_gate then "through", /big FIXTURE_BIG
 * bytes, /filed the same from a blob with a file, /empty 204, /same 304, /split a header with a line break, /mute no reply, /know remembers the address,
 * /inline answered on the loop, /stream an event stream. Bodies over 1 MiB and path /deny are refused on their head. */
#define FIXTURE_BIG (8u << 20)

extern struct http_server *fixture_server;

/* Small defaults; a test changes them before fixture_start. */
struct http_server_options fixture_options(void);
void fixture_start(const struct http_server_options *o);
void fixture_stop(unsigned drain_ms);
int fixture_teardown(void **state); /* cmocka: stops what a failed test left */
void fixture_open_gate(void);
unsigned fixture_handled(void);  /* requests that reached the handler or the inline answer */
unsigned fixture_waiting(void);  /* requests at the gate */
/* Streams begun on /stream, in order. */
unsigned fixture_streams(void);
unsigned fixture_closed_streams(void);
int fixture_publish(const char *frame); /* to all; number that took it */
void fixture_close_streams(void);

struct client {
    int fd;
    struct buf in;     /* read, not consumed */
    bool reset;        /* the end was a reset */
    int status;        /* of the last reply */
    struct buf head, body;
};
void client_open(struct client *c, const char *from); /* source address or NULL; fails the test when refused */
bool client_try(struct client *c, const char *from, int receive_buffer); /* false: refused */
bool client_connect_fd(struct client *c, int fd);                        /* an open socket */
void client_say(struct client *c, const char *text);
bool client_say_n(struct client *c, const char *bytes, size_t n); /* false: the peer is gone */
/* Reads one whole reply; false: the connection ended before it. `bodiless`: of a HEAD. */
bool client_hear(struct client *c, bool bodiless);
/* Reads until `n` bytes, or the end, or the time is over; they stay in c->in. */
bool client_wait(struct client *c, size_t n, int timeout_ms);
/* Nothing but the end follows within the time. */
bool client_ended(struct client *c, int timeout_ms);
void client_close(struct client *c);

int64_t now_ms(void);
/* Waits up to 5 s for a condition. */
#define WAIT_FOR(condition)                       \
    do {                                          \
        int64_t until_ = now_ms() + 5000;         \
        while (!(condition) && now_ms() < until_) \
            fixture_pause();                      \
        assert_true(condition);                   \
    } while (0)
void fixture_pause(void); /* 2 ms, between two looks at a condition */

#endif
