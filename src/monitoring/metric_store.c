#include "monitoring/metrics_internal.h"

#include "base/clock.h"
#include "base/jsonw.h"

#include <stdio.h>
#include <string.h>

int metric_store_series(struct store_conn *c, const struct series *s, int64_t first_ms, struct error *e)
{
    const struct metric_def *d = &s->labels->def;
    return store_exec(c, e,
                      "INSERT INTO metric_series (id, source, type, category, entity_id, entity_type, name, unit, tags,"
                      " first_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
                      "itttttttti", (int64_t)s->id, d->source, d->type, d->category, d->entity_id, d->entity_type,
                      d->name, d->unit, d->tags, first_ms);
}

int metric_store_group(struct store_conn *c, const struct group *g, struct error *e)
{
    return store_exec(c, e,
                      "INSERT INTO metric_groups (id, name, interval_ms) VALUES ($1, $2, $3)"
                      " ON CONFLICT (id) DO UPDATE SET interval_ms = excluded.interval_ms",
                      "iti", (int64_t)g->id, g->name, g->interval_ms);
}

int metric_store_frame(struct store_conn *c, uint64_t id, uint64_t group, int64_t at_ms, const struct buf *frame,
                       struct error *e)
{
    return store_exec(c, e, "INSERT INTO metric_log (id, group_id, at, bytes) VALUES ($1, $2, $3, $4)", "iiib",
                      (int64_t)id, (int64_t)group, at_ms, frame->data, frame->len);
}

int metric_store_forget_frames_from(struct store_conn *c, uint64_t id, struct error *e)
{
    return store_exec(c, e, "DELETE FROM metric_log WHERE id >= $1", "i", (int64_t)id);
}

/* ---- monitoring_metrics ---- */

static void write_metric_data(struct jw *w, const struct series *s)
{
    jw_object(w);
    jw_key(w, "name");
    jw_string(w, s->labels->def.name);
    jw_key(w, "value");
    jw_number(w, s->last);
    jw_key(w, "unit");
    jw_string(w, s->labels->def.unit);
    jw_key(w, "category");
    jw_string(w, s->labels->def.category);
    jw_end(w);
}

static void write_dimensions(struct jw *w, const struct series *s)
{
    jw_object(w);
    jw_key(w, "timestamp");
    jw_time(w, s->last_ms);
    jw_key(w, "interval");
    jw_number(w, (double)s->interval_ms / 1000);
    jw_key(w, "tags");
    jw_raw(w, s->labels->def.tags, strlen(s->labels->def.tags));
    jw_end(w);
}

static int store_latest(struct store_conn *c, const struct series *s, struct buf *data, struct buf *dimensions,
                        struct error *e)
{
    struct jw w;
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)s->id);
    buf_clear(data);
    jw_init(&w, data);
    write_metric_data(&w, s);
    buf_clear(dimensions);
    jw_init(&w, dimensions);
    write_dimensions(&w, s);
    if (!buf_ok(data) || !buf_ok(dimensions))
        return error_set(e, ERR_INTERNAL, "No memory for a latest value.");
    const struct metric_def *d = &s->labels->def;
    return store_exec(
        c, e,
        "INSERT INTO monitoring_metrics (id, source, type, entity_id, entity_type, metric_data, dimensions,"
        " correlation, timestamp) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE"
        " SET metric_data = excluded.metric_data, dimensions = excluded.dimensions,"
        " timestamp = excluded.timestamp",
        "tttttttti", id, d->source, d->type, d->entity_id, d->entity_type, buf_str(data), buf_str(dimensions),
        "{\"relatedMetrics\":[]}", s->last_ms);
}

int metric_store_latest(struct metrics *m, struct store_conn *c, struct error *e)
{
    _cleanup_buf_ struct buf data, dimensions;
    buf_init(&data, 0);
    buf_init(&dimensions, 0);
    int r = 0;
    /* The registry may grow meanwhile, so it is walked by id, a few series at a time under the lock. */
    for (uint64_t after = 0; r == 0;) {
        struct series *next = NULL;
        pthread_mutex_lock(&m->lock);
        for (size_t i = registry_after(&m->registry, after); i < m->registry.count && !next; i++)
            if (m->registry.all[i]->dirty && m->registry.all[i]->stored)
                next = m->registry.all[i];
        pthread_mutex_unlock(&m->lock);
        if (!next)
            break;
        after = next->id;
        r = store_latest(c, next, &data, &dimensions, e);
    }
    return r;
}

void metric_latest_written(struct metrics *m)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->registry.count; i++)
        m->registry.all[i]->dirty = false;
    pthread_mutex_unlock(&m->lock);
    int64_t every = m->o.latest_every_ms;
    m->latest_due_mono = clock_mono_ms() + every;
}

/* ---- blocks ---- */

struct chunk_scratch {
    uint16_t ticks[METRIC_CHUNK_TICKS];
    double values[METRIC_CHUNK_TICKS];
    struct buf bytes;
};

static int store_block(struct metrics *m, struct store_conn *c, const struct group *g, const struct member *member,
                       uint64_t times_id, struct chunk_scratch *s, struct error *e)
{
    size_t n = member_read(member, m->write_codec, s->ticks, s->values);
    struct block_stats stats;
    unsigned coding;
    buf_clear(&s->bytes);
    int r = block_pack(m->write_codec, s->ticks, s->values, n, g->ticks, &coding, &s->bytes, &stats);
    if (r < 0)
        return error_errno(e, r, "Packing a block of series %llu", (unsigned long long)member->series->id);
    return store_exec(c, e,
                      "INSERT INTO metric_blocks (series_id, first_at, times_id, last_at, count, min, max, sum, codec,"
                      " bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                      "iiiiidddib", (int64_t)member->series->id, g->times[s->ticks[0]], (int64_t)times_id,
                      g->times[s->ticks[n - 1]], (int64_t)n, stats.min, stats.max, stats.sum, (int64_t)coding,
                      s->bytes.data, s->bytes.len);
}

static int store_times(struct metrics *m, struct store_conn *c, const struct group *g, uint64_t times_id,
                       struct buf *bytes, struct error *e)
{
    int r = metric_encode_integers(m->write_codec, g->times, g->ticks, bytes);
    if (r < 0)
        return error_errno(e, r, "Packing the times of group %s", g->name);
    return store_exec(c, e,
                      "INSERT INTO metric_times (id, group_id, first_at, last_at, count, bytes)"
                      " VALUES ($1, $2, $3, $4, $5, $6)",
                      "iiiiib", (int64_t)times_id, (int64_t)g->id, g->times[0], g->times[g->ticks - 1],
                      (int64_t)g->ticks, bytes->data, bytes->len);
}

static int delete_frames(struct store_conn *c, const struct group *g, struct error *e)
{
    return store_exec(c, e, "DELETE FROM metric_log WHERE group_id = $1 AND id <= $2", "ii", (int64_t)g->id,
                      (int64_t)g->log_last);
}

int metric_drop_frames(struct metrics *m, struct group *g, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_WRITE, &c, e);
    if (r == 0)
        r = delete_frames(c, g, e);
    return r < 0 ? r : store_commit(c, e);
}

int metric_store_chunk(struct metrics *m, struct store_conn *c, struct group *g, uint64_t times_id,
                       uint64_t *ret_blocks, struct error *e)
{
    _cleanup_free_ struct chunk_scratch *s = malloc(sizeof *s);
    if (!s)
        return error_set(e, ERR_INTERNAL, "No memory to seal a chunk.");
    buf_init(&s->bytes, 0);
    uint64_t blocks = 0;
    int r = store_times(m, c, g, times_id, &s->bytes, e);
    for (size_t i = 0; i < g->slot_count && r == 0; i++) {
        if (!g->slots[i]->series || !g->slots[i]->count)
            continue;
        r = store_block(m, c, g, g->slots[i], times_id, s, e);
        blocks++;
    }
    buf_done(&s->bytes);
    if (r == 0)
        r = delete_frames(c, g, e);
    if (r == 0)
        *ret_blocks = blocks;
    return r;
}
