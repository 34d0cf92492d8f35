/* The functions of a query: samples of one series in time order become one value a window.
 * A window at t holds the samples in (t - step, t]. Ownership: the caller owns arrays. No state. */
#ifndef HB_METRIC_FN_H
#define HB_METRIC_FN_H

#include "monitoring/metrics.h"

struct point_sample {
    int64_t at_ms;
    double value;
    uint64_t order; /* of arrival: which stays, when two have one time */
    uint32_t weight; /* samples it stands for: 1; more or less for a sum, which only avg, sum and count take */
};
struct windows {
    int64_t first_ms, step_ms; /* time of window i: first + i * step */
    size_t count;
};
#define RATE_LOOKBACK_MS 600000
bool metric_fn_takes_sums(enum metric_fn fn);
/* How far before the first window's start samples still matter. */
int64_t metric_fn_lookback(enum metric_fn fn, int64_t step_ms);
/* Samples in rising order of time; fills `ret` (w->count values, NaN: none). 0 or -ENOMEM. */
int metric_fn_apply(enum metric_fn fn, const struct windows *w, const struct point_sample *s, size_t n, double *ret);

#endif
