/* Measures this host and its containers each interval, at multiples of it, and writes both into the metric
 * engine; host and containers have a thread each. A round that takes longer skips the times it missed: rounds
 * never pile up. It also keeps the engine tidy (metrics_housekeep), and tells `metric.sampled` of each entity.
 * Ownership: borrows engine, events and contexts until `sampler_stop`. Callbacks run on its threads. */
#ifndef HB_SAMPLER_H
#define HB_SAMPLER_H

#include "http/events.h"
#include "monitoring/container_metrics.h"
#include "monitoring/host_metrics.h"

struct sampler_options {
    struct metrics *metrics;
    struct events *events;          /* NULL: nobody is told */
    int64_t interval_ms;            /* 0: 10,000 */
    struct host_metrics_options host;
    const char *container_source;   /* of the containers' series; NULL: containers are not measured */
    void *ctx;                      /* of the callbacks */
    /* Running containers, freed by free(); their engines stay valid through the call after this one. */
    int (*containers)(void *ctx, struct sampled_container **ret, size_t *ret_n);
    void (*sampled)(void *ctx, int64_t at_ms); /* after the host's samples are written; may be NULL */
    /* Waits `ms` by the caller's clock; false: stop. NULL: really waits. For tests. */
    bool (*wait)(void *ctx, int64_t ms);
};
struct sampler;
int sampler_start(const struct sampler_options *o, struct sampler **ret, struct error *e);
void sampler_stop(struct sampler *s); /* prompt: waits for at most one engine call; NULL is fine */

struct sampler_stats {
    uint64_t rounds, skipped; /* of the host; skipped: times missed */
    uint64_t failed;          /* bodies that were not kept */
    uint64_t unanswered;      /* containers that gave nothing */
    int64_t last_round_ms;    /* how long it took */
};
void sampler_get_stats(struct sampler *s, struct sampler_stats *ret);

/* When to sample after `now_ms`, never `last_ms` again: the next multiple of the interval. */
int64_t sampler_next(int64_t now_ms, int64_t last_ms, int64_t interval_ms);

#endif
