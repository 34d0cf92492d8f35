/* The metric engine: series of (milliseconds, double), kept in the store, asked for charts and latest values.
 * A sample is visible to queries only once its row in metric_log is committed, so what was shown survives a
 * crash. Senders are groups: the samples of one body share their time, which is stored once.
 * Ownership: the caller owns results until `*_done`/`*_free`. Thread-safe: any thread may append and ask.
 *
 * Same series, same time: the first sample stays, later ones are counted as `duplicates`. A body older than
 * its group's last one is a straggler, dropped and counted as `late`, while the open chunk is younger than
 * METRIC_LATE_TICKS times; else, or after as many in a row, the sender's clock went back and a new chunk begins. */
#ifndef HB_METRICS_H
#define HB_METRICS_H

#include "monitoring/metric_series.h"
#include "store/store.h"

#define METRIC_CHUNK_TICKS 480 /* times in a group's open chunk, so samples in a first block */
#define METRIC_LATE_TICKS 8

struct metrics;
struct metrics_options {
    struct store *store;       /* borrowed */
    size_t max_series;         /* 0: 100,000; then new series are refused, counted, warned of once */
    size_t head_bytes;         /* 0: 256 MiB; above it the largest chunk is sealed early */
    int64_t latest_every_ms;   /* 0: 60 s; how far monitoring_metrics may lag behind */
    int64_t retention_ms;      /* 0: 90 days */
};
/* Reads series and log back into the head. */
int metrics_open(const struct metrics_options *o, struct metrics **ret, struct error *e);
void metrics_close(struct metrics *m); /* writes the latest values; NULL is fine */

struct metric_sample {
    struct metric_def def;
    double value;
};
/* One body of one sender: durable and visible when it returns 0. Refused series are left out (see stats). */
int metrics_append(struct metrics *m, const char *group, int64_t interval_ms, int64_t at_ms,
                   const struct metric_sample *samples, size_t n, struct error *e);

/* The cheap path: resolve names once, then send ids and values. Ids stay valid until the engine closes or the
 * entity is forgotten; unknown ids are left out and counted. */
int metrics_group(struct metrics *m, const char *name, int64_t interval_ms, uint64_t *ret_group, struct error *e);
int metrics_series(struct metrics *m, const struct metric_def *def, uint64_t *ret_id, struct error *e);
int metrics_commit(struct metrics *m, uint64_t group, int64_t at_ms, const uint64_t *ids, const double *values,
                   size_t n, struct error *e);

/* Which series; NULL and 0 mean any. Borrowed. */
struct metric_filter {
    const char *const *sources;
    size_t n_sources;
    const char *entity_id, *entity_type, *name, *category;
    const struct metric_pair *tags;
    size_t n_tags;
    int64_t seen_since_ms; /* latest value not older than this */
    uint64_t after_id;     /* paging: series with a larger id */
};

/* Latest values from memory, by rising id. `ret_total`: all that match; at most `limit` are returned.
 * `ret_fresh`: matching ones whose value is no older than three of their intervals at `now_ms`. */
struct metric_latest {
    uint64_t id;
    struct metric_labels *labels;
    int64_t at_ms, first_ms, interval_ms;
    double value;
};
struct metric_latest_list {
    struct metric_latest *items;
    size_t count, total, fresh;
};
int metrics_latest(struct metrics *m, const struct metric_filter *f, int64_t now_ms, size_t limit,
                   struct metric_latest_list *ret, struct error *e);
void metric_latest_done(struct metric_latest_list *l);

enum metric_fn { FN_AVG, FN_MIN, FN_MAX, FN_SUM, FN_COUNT, FN_LAST, FN_P95, FN_RATE };
int metric_fn_parse(const char *name, enum metric_fn *ret); /* -EINVAL */
const char *metric_fn_name(enum metric_fn fn);

/* A point at t says fn of the samples in (t - step, t]; t are the multiples of step within [from, to].
 * avg, min, max, sum, count, last, p95 (linear between ranks) leave NaN and infinities out. rate is the
 * increase a second, from the sample before each one (at most max(step, 10 min) earlier): a fall counts from
 * zero, one sample alone gives nothing, never negative. */
struct metric_query {
    struct metric_filter filter;
    int64_t from_ms, to_ms, step_ms;
    enum metric_fn fn;
    size_t max_series; /* 0: 500 */
};
#define METRIC_POINTS_MAX 11000
#define METRIC_POINTS_TOTAL_MAX 1000000
struct metric_points {
    uint64_t id;
    struct metric_labels *labels;
    double *values; /* one a point; NaN: none */
};
struct metric_result {
    int64_t first_ms, step_ms; /* time of point i: first + i * step */
    size_t points;             /* each series has as many */
    struct metric_points *series;
    size_t count;
};
/* ERR_VALIDATION with details /from /to /step when the range or its cost is over the limits. */
int metrics_query(struct metrics *m, const struct metric_query *q, struct metric_result *ret, struct error *e);
void metric_result_done(struct metric_result *r);

/* Removes all series of an entity, with everything kept of them. */
int metrics_forget_entity(struct metrics *m, const char *entity_id, struct error *e);
/* Seals chunks of senders that went quiet, drops what is past retention, merges a finished day's blocks.
 * Call about each 10 minutes; cheap when there is nothing to do. */
int metrics_housekeep(struct metrics *m, int64_t now_ms, struct error *e);
/* Seals every open chunk now. */
int metrics_seal(struct metrics *m, struct error *e);

struct metrics_stats {
    uint64_t samples, commits, duplicates, late, refused_series, unknown_ids, sealed_blocks, early_seals,
        failed_commits;
    size_t series, groups, head_bytes;
};
void metrics_get_stats(struct metrics *m, struct metrics_stats *ret);

#endif
