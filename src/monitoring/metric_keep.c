#include "monitoring/metrics_internal.h"

#include <stdio.h>
#include <string.h>

/* Forgetting and keeping tidy: entities that went, chunks of quiet senders, what is past retention. */

#define QUIET_INTERVALS 12 /* a sender that missed so many has its chunk sealed */
#define QUIET_MIN_MS 3600000

/* ---- forgetting ---- */

static int delete_series(struct store_conn *c, uint64_t id, struct error *e)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    int r = store_exec(c, e, "DELETE FROM metric_blocks WHERE series_id = $1", "i", (int64_t)id);
    if (r >= 0)
        r = store_exec(c, e, "DELETE FROM monitoring_metrics WHERE id = $1", "t", text);
    if (r >= 0)
        r = store_exec(c, e, "DELETE FROM metric_series WHERE id = $1", "i", (int64_t)id);
    return r;
}

struct victims {
    uint64_t *ids;
    size_t count;
};

/* Ids of the series that `pick` chooses, taken under the lock. */
static int choose(struct metrics *m, bool (*pick)(const struct series *, const void *), const void *ctx,
                  struct victims *ret, struct error *e)
{
    pthread_mutex_lock(&m->lock);
    ret->ids = malloc((m->registry.count + 1) * sizeof *ret->ids);
    for (size_t i = 0; ret->ids && i < m->registry.count; i++)
        if (pick(m->registry.all[i], ctx))
            ret->ids[ret->count++] = m->registry.all[i]->id;
    pthread_mutex_unlock(&m->lock);
    return ret->ids ? 0 : error_set(e, ERR_INTERNAL, "No memory to forget series.");
}

static void drop_from_memory(struct metrics *m, const struct victims *v)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < v->count; i++) {
        struct series *s = registry_by_id(&m->registry, v->ids[i]);
        while (s && s->members)
            member_forget(s->members);
        if (s)
            registry_remove(&m->registry, s);
    }
    for (size_t i = 0; i < m->group_count; i++)
        m->groups[i]->sender_count = 0; /* remembered orders may hold forgotten ids */
    pthread_mutex_unlock(&m->lock);
}

/* With the writer held. */
static int forget(struct metrics *m, const struct victims *v, struct error *e)
{
    if (!v->count)
        return 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_WRITE, &c, e);
    for (size_t i = 0; i < v->count && r >= 0; i++)
        r = delete_series(c, v->ids[i], e);
    if (r >= 0)
        r = store_commit(c, e);
    if (r >= 0)
        drop_from_memory(m, v);
    return r < 0 ? r : 0;
}

static bool is_of_entity(const struct series *s, const void *entity_id)
{
    return strcmp(s->labels->def.entity_id, entity_id) == 0;
}

int metrics_forget_entity(struct metrics *m, const char *entity_id, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    struct victims v = { 0 };
    pthread_mutex_lock(&m->writer);
    int r = choose(m, is_of_entity, entity_id, &v, e);
    if (r == 0)
        r = forget(m, &v, e);
    pthread_mutex_unlock(&m->writer);
    free(v.ids);
    return r;
}

/* ---- housekeeping ---- */

static int seal_quiet(struct metrics *m, int64_t now_ms, struct error *e)
{
    int r = 0;
    for (size_t i = 0; i < m->group_count && r == 0; i++) {
        struct group *g = m->groups[i];
        int64_t quiet = g->interval_ms * QUIET_INTERVALS;
        if (g->ticks && now_ms - g->last_ms > (quiet > QUIET_MIN_MS ? quiet : QUIET_MIN_MS))
            r = metric_seal_group(m, g, e);
    }
    return r;
}

static bool is_past(const struct series *s, const void *cutoff)
{
    return !s->members && s->last_ms && s->last_ms < *(const int64_t *)cutoff;
}

/* Series whose first block went with the cut begin later now. */
static int move_starts(struct metrics *m, struct store_conn *c, int64_t cutoff, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows,
                        "SELECT s.id, MIN(b.first_at) FROM metric_series s JOIN metric_blocks b ON b.series_id = s.id"
                        " WHERE s.first_at < $1 GROUP BY s.id",
                        "i", cutoff);
    while (r >= 0 && (r = rows_next(rows, e)) == 1) {
        pthread_mutex_lock(&m->lock);
        struct series *s = registry_by_id(&m->registry, (uint64_t)rows_int(rows, 0));
        if (s)
            s->first_ms = rows_int(rows, 1);
        pthread_mutex_unlock(&m->lock);
    }
    if (r >= 0)
        r = store_exec(c, e,
                       "UPDATE metric_series SET first_at = COALESCE((SELECT MIN(b.first_at) FROM metric_blocks b"
                       " WHERE b.series_id = metric_series.id), first_at) WHERE first_at < $1",
                       "i", cutoff);
    return r;
}

static int cut(struct metrics *m, int64_t cutoff, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_WRITE, &c, e);
    /* By the chunk: a block never outlives its times, nor they it. */
    if (r >= 0)
        r = store_exec(c, e,
                       "DELETE FROM metric_blocks WHERE times_id IN (SELECT id FROM metric_times WHERE last_at < $1)",
                       "i", cutoff);
    if (r >= 0)
        r = store_exec(c, e, "DELETE FROM metric_times WHERE last_at < $1", "i", cutoff);
    if (r >= 0 && store_changed(c) == 0)
        return 0;
    if (r >= 0)
        r = move_starts(m, c, cutoff, e);
    return r < 0 ? r : store_commit(c, e);
}

int metrics_housekeep(struct metrics *m, int64_t now_ms, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    struct victims v = { 0 };
    int64_t cutoff = now_ms - m->o.retention_ms;
    pthread_mutex_lock(&m->writer);
    int r = seal_quiet(m, now_ms, e);
    if (r == 0)
        r = cut(m, cutoff, e);
    if (r == 0)
        r = choose(m, is_past, &cutoff, &v, e);
    if (r == 0)
        r = forget(m, &v, e);
    if (r == 0)
        r = metric_merge_days(m, now_ms, e);
    pthread_mutex_unlock(&m->writer);
    free(v.ids);
    return r;
}
