#include "monitoring/metric_fn.h"

#include "base/str.h"

#include <errno.h>
#include <math.h>

static const char *const NAMES[] = {
    [FN_AVG] = "avg",     [FN_MIN] = "min",   [FN_MAX] = "max", [FN_SUM] = "sum",
    [FN_COUNT] = "count", [FN_LAST] = "last", [FN_P95] = "p95", [FN_RATE] = "rate",
};

int metric_fn_parse(const char *name, enum metric_fn *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (strcmp(NAMES[i], name) != 0)
            continue;
        *ret = i;
        return 0;
    }
    return -EINVAL;
}

const char *metric_fn_name(enum metric_fn fn)
{
    return NAMES[fn];
}

static int64_t lookback(int64_t step_ms)
{
    return step_ms > RATE_LOOKBACK_MS ? step_ms : RATE_LOOKBACK_MS;
}

int64_t metric_fn_lookback(enum metric_fn fn, int64_t step_ms)
{
    return fn == FN_RATE ? lookback(step_ms) : 0;
}

struct window {
    size_t count;
    double sum, min, max, last;
    double increase, seconds; /* of a counter */
};

bool metric_fn_takes_sums(enum metric_fn fn)
{
    return fn == FN_AVG || fn == FN_SUM || fn == FN_COUNT;
}

static void take(struct window *w, double v, uint32_t weight)
{
    w->min = w->count && w->min < v ? w->min : v;
    w->max = w->count && w->max > v ? w->max : v;
    w->sum += v;
    w->last = v;
    w->count += weight;
}

/* A counter that fell began anew: what it counted since is all of its value. */
static void take_step(struct window *w, const struct point_sample *before, const struct point_sample *now,
                      int64_t reach_ms)
{
    if (!before || now->at_ms - before->at_ms > reach_ms)
        return;
    double increase = now->value < before->value ? now->value : now->value - before->value;
    w->increase += increase > 0 ? increase : 0;
    w->seconds += (double)(now->at_ms - before->at_ms) / 1000;
}

static double result(enum metric_fn fn, const struct window *w)
{
    if (fn == FN_RATE)
        return w->seconds > 0 ? w->increase / w->seconds : NAN;
    if (w->count == 0)
        return NAN;
    switch (fn) {
    case FN_AVG: return w->sum / (double)w->count;
    case FN_MIN: return w->min;
    case FN_MAX: return w->max;
    case FN_SUM: return w->sum;
    case FN_COUNT: return (double)w->count;
    default: return w->last;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the two nearest ranks. */
static double quantile(double *values, size_t n, double q)
{
    if (!n)
        return NAN;
    qsort(values, n, sizeof *values, by_value);
    double rank = q * (double)(n - 1);
    size_t low = (size_t)rank;
    double part = rank - (double)low;
    return low + 1 < n ? values[low] + (values[low + 1] - values[low]) * part : values[low];
}

/* Which window a sample belongs to: the first whose time is not before it; false outside of all. */
static bool window_of(const struct windows *w, int64_t at_ms, size_t *ret)
{
    int64_t behind = at_ms - (w->first_ms - w->step_ms); /* > 0 inside */
    if (behind <= 0)
        return false;
    *ret = (size_t)((behind - 1) / w->step_ms);
    return *ret < w->count;
}

static int apply_p95(const struct windows *w, const struct point_sample *s, size_t n, double *ret)
{
    _cleanup_free_ double *values = malloc((n + 1) * sizeof *values);
    if (!values)
        return -ENOMEM;
    size_t held = 0, at = 0, window;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(s[i].value) || !window_of(w, s[i].at_ms, &window))
            continue;
        if (window != at && held) {
            ret[at] = quantile(values, held, 0.95);
            held = 0;
        }
        at = window;
        values[held++] = s[i].value;
    }
    if (held)
        ret[at] = quantile(values, held, 0.95);
    return 0;
}

static void apply_running(enum metric_fn fn, const struct windows *w, const struct point_sample *s, size_t n,
                          double *ret)
{
    struct window now = { 0 };
    const struct point_sample *before = NULL;
    int64_t reach = lookback(w->step_ms);
    size_t at = 0, window;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(s[i].value))
            continue;
        if (window_of(w, s[i].at_ms, &window)) {
            if (window != at) {
                ret[at] = result(fn, &now);
                now = (struct window){ 0 };
                at = window;
            }
            take(&now, s[i].value, s[i].weight);
            take_step(&now, before, &s[i], reach);
        }
        before = &s[i];
    }
    if (w->count)
        ret[at] = result(fn, &now);
}

int metric_fn_apply(enum metric_fn fn, const struct windows *w, const struct point_sample *s, size_t n, double *ret)
{
    for (size_t i = 0; i < w->count; i++)
        ret[i] = NAN;
    if (fn == FN_P95)
        return apply_p95(w, s, n, ret);
    apply_running(fn, w, s, n, ret);
    return 0;
}
