/* Coarse timers for many connections: a wheel of WHEEL_TICK_MS slots. Moving a deadline later costs
 * nothing (the timer is looked at again when its old slot comes round); earlier is one relinking.
 * Timers fire up to one tick late, never early. Times are monotonic milliseconds.
 * Ownership: timers are embedded in their owner, who cancels before freeing. One thread. */
#ifndef HB_HTTP_WHEEL_H
#define HB_HTTP_WHEEL_H

#include "base/base.h"

#include <sys/queue.h>

#define WHEEL_SLOTS 1024
#define WHEEL_TICK_MS 16
#define WHEEL_NEVER INT64_MAX

struct wheel_timer {
    LIST_ENTRY(wheel_timer) link;
    int64_t deadline; /* WHEEL_NEVER: does not fire */
    int64_t tick;     /* slot it is linked in; 0: in none */
};
LIST_HEAD(wheel_slot, wheel_timer);

struct wheel {
    struct wheel_slot slots[WHEEL_SLOTS];
    uint64_t filled[WHEEL_SLOTS / 64]; /* may hold bits of slots that emptied meanwhile */
    int64_t tick;                      /* last one that ran */
};
void wheel_init(struct wheel *w, int64_t now);
void wheel_set(struct wheel *w, struct wheel_timer *t, int64_t deadline);
void wheel_cancel(struct wheel_timer *t);
int wheel_timeout(const struct wheel *w, int64_t now); /* ms for epoll_wait; -1: no timer */
void wheel_run(struct wheel *w, int64_t now, void (*fire)(void *ctx, struct wheel_timer *t), void *ctx);

#endif
