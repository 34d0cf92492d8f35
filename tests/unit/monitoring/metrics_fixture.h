/* A metric engine on a store of its own in a temporary folder, and short ways to fill and ask it. */
#ifndef HB_METRICS_FIXTURE_H
#define HB_METRICS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitoring/metrics.h"

#define T0 1795608000000 /* a multiple of an hour */

struct fixture {
    char folder[64], path[96];
    struct metrics_options options;
    struct store *store;
    struct metrics *metrics;
};
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);  /* in order */
void fixture_reopen(struct fixture *f); /* close and open */

struct metric_def fixture_def(const char *name, const char *entity, const char *tags);
/* One sample of a series without tags, by group "g" with an interval of 10 s. */
void fixture_put(struct fixture *f, const char *name, int64_t at_ms, double value);

/* Points of the only series of that name. */
struct metric_result fixture_ask(struct fixture *f, const char *name, int64_t from, int64_t to, int64_t step,
                                 enum metric_fn fn);
/* A repeatable stream of random numbers. */
uint64_t fixture_random(uint64_t *state);

#endif
