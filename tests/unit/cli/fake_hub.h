/* A hub for tests: answers each request by a function of the test, and keeps what was asked.
 * Threads: it serves on one of its own; what it kept is read after `fake_hub_stop`, or under its lock by the getters. */
#ifndef HB_TESTS_FAKE_HUB_H
#define HB_TESTS_FAKE_HUB_H

#include "base/base.h"

#include <stdio.h>

struct fake_request {
    char method[8], path[512], body[8192];
    char api_key[256], authorization[256], idempotency_key[64], last_event_id[64], accept[64];
};
/* Writes a whole HTTP reply by fake_reply, or closes without one by writing nothing. `n` counts from 0. */
typedef void (*fake_answer)(void *ctx, FILE *out, const struct fake_request *rq, size_t n);

struct fake_hub;
struct fake_hub *fake_hub_start(fake_answer answer, void *ctx);
const char *fake_hub_url(const struct fake_hub *hub);
size_t fake_hub_count(struct fake_hub *hub);
const struct fake_request *fake_hub_request(struct fake_hub *hub, size_t i); /* NULL: there was none */
void fake_hub_stop(struct fake_hub *hub);

void fake_reply(FILE *out, int status, const char *json);
void fake_error(FILE *out, int status, const char *code, const char *message,
                const char *details); /* details: JSON or NULL */

#endif
