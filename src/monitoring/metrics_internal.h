/* What the files of the metric engine share. Nothing outside src/monitoring/metric*.c includes this.
 *
 * Locks: `writer` is held through a whole write (encode, transaction, apply); `lock` guards registry, groups
 * and their chunks and is held for moments. Order: writer, store connection, lock. Only a thread with `writer`
 * changes chunks, so it may read them without `lock`. */
#ifndef HB_METRICS_INTERNAL_H
#define HB_METRICS_INTERNAL_H

#include "monitoring/metric_block.h"
#include "monitoring/metric_head.h"
#include "monitoring/metrics.h"

#include <pthread.h>

#define METRICS_MAGIC 0x6d657472u
#define METRIC_TIME_MAX ((int64_t)1 << 52)

struct metrics {
    uint32_t magic;
    struct metrics_options o;
    pthread_mutex_t writer, lock;
    struct registry registry;
    struct group **groups;
    size_t group_count, group_room;
    struct metric_codec *write_codec; /* with `writer` */
    struct metric_codec *head_codec;  /* with `lock` */
    uint64_t next_series, next_group, next_log, next_times;
    int64_t latest_due_mono; /* monitoring_metrics is written again from then on */
    bool log_uncertain;      /* a commit failed: its rows may be there all the same */
    bool warned_full;
    int64_t merged_until;    /* days before are merged */
    unsigned commits_to_size; /* until head_bytes is looked at */
    struct metrics_stats stats;
};

/* metric_store.c: the SQL of writing, in the caller's transaction. */
int metric_store_series(struct store_conn *c, const struct series *s, int64_t first_ms, struct error *e);
int metric_store_group(struct store_conn *c, const struct group *g, struct error *e);
int metric_store_frame(struct store_conn *c, uint64_t id, uint64_t group, int64_t at_ms, const struct buf *frame,
                       struct error *e);
int metric_store_forget_frames_from(struct store_conn *c, uint64_t id, struct error *e);
/* Writes all dirty series' latest values; `metric_latest_written` after the commit. */
int metric_store_latest(struct metrics *m, struct store_conn *c, struct error *e);
void metric_latest_written(struct metrics *m);
/* Blocks and times of a group's chunk in, its frames out. */
int metric_store_chunk(struct metrics *m, struct store_conn *c, struct group *g, uint64_t times_id,
                       uint64_t *ret_blocks, struct error *e);

/* Frames of a group that stand for nothing any more, in a transaction of its own. */
int metric_drop_frames(struct metrics *m, struct group *g, struct error *e);

/* metric_load.c: everything back into memory. */
int metric_load(struct metrics *m, struct error *e);

/* metric_merge.c, with `writer` held: days that ended before `now_ms`, once a day. */
int metric_merge_days(struct metrics *m, int64_t now_ms, struct error *e);

/* metrics.c, with `writer` held. */
int metric_seal_group(struct metrics *m, struct group *g, struct error *e);
struct group *metric_group_by_id(struct metrics *m, uint64_t id);
int metric_group_add(struct metrics *m, uint64_t id, const char *name, int64_t interval_ms, struct group **ret,
                     struct error *e);
bool metric_filter_match(const struct metric_filter *f, const struct series *s);

#endif
