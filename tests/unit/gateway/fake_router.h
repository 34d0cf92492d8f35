/* A router that keeps what it is told and fails as a test tells it to.
 * Ownership: the test's; `ops->free` does nothing. Threads: the gateway's thread calls it. */
#ifndef HB_FAKE_ROUTER_H
#define HB_FAKE_ROUTER_H

#include "gateway/router.h"

struct fake_router {
    struct router router;
    _Atomic bool away;      /* does not answer */
    _Atomic bool lost;      /* has lost its part */
    const char *refuses;    /* the name of a route */
    _Atomic int applied;    /* calls of apply */
    _Atomic size_t routes;  /* of the last one */
    _Atomic int64_t in_flight;
    json_t *hosts;          /* counters; NULL: it does not count */
};
void fake_router_init(struct fake_router *f);

#endif
