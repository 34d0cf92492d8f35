#include "monitoring/metrics_internal.h"

#include <errno.h>
#include <string.h>

/* Merging: the small chunks of a group's finished day become one, with fewer, longer blocks and 5-minute sums
 * beside them. A day with more times than MERGE_MAX keeps several chunks. */

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define MERGE_MAX 5760                 /* times of one merged chunk: a day at 15 s */
#define PARTS_MAX 64                   /* chunks looked at in one merge */

struct part {
    uint64_t id;
    size_t count, offset; /* offset in the merged times */
    int64_t first_ms, last_ms;
};
struct merge {
    struct metrics *m;
    struct store_conn *c;
    uint64_t group, id; /* id: of the merged times */
    struct part parts[PARTS_MAX];
    size_t part_count;
    int64_t *times;     /* MERGE_MAX */
    size_t count;
    uint16_t *ticks;    /* MERGE_MAX, of one series */
    double *values;
    size_t held;
    struct buf bytes, sums;
    struct block_sums slots;
};

/* The oldest day of any group that ended before `until` and has two or more neighbouring chunks that fit. */
static int find_parts(struct merge *g, int64_t until, int64_t after_ms, int64_t *ret_seen_ms, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    g->part_count = 0;
    size_t total = 0;
    int64_t day = -1, end_ms = 0;
    int r = store_query(g->c, e, &rows,
                        "SELECT id, first_at, last_at, count FROM metric_times WHERE group_id = $1 AND first_at > $2"
                        " AND last_at < $3 ORDER BY first_at, id",
                        "iii", (int64_t)g->group, after_ms, until);
    while (r >= 0 && (r = rows_next(rows, e)) == 1) {
        size_t count = (size_t)rows_int(rows, 3);
        int64_t first = rows_int(rows, 1);
        bool fits = g->part_count && first / DAY_MS == day && first > end_ms && total + count <= MERGE_MAX &&
                    g->part_count < PARTS_MAX;
        if (!fits && g->part_count > 1)
            break;
        if (!fits) {
            g->part_count = total = 0;
            day = first / DAY_MS;
        }
        g->parts[g->part_count++] =
            (struct part){ (uint64_t)rows_int(rows, 0), count, total, first, rows_int(rows, 2) };
        total += count;
        end_ms = rows_int(rows, 2);
        *ret_seen_ms = first;
    }
    if (g->part_count < 2)
        g->part_count = 0;
    return r < 0 ? r : 0;
}

static int read_times(struct merge *g, struct error *e)
{
    g->count = 0;
    for (size_t i = 0; i < g->part_count; i++) {
        _cleanup_rows_ struct store_rows *rows = NULL;
        size_t len;
        int r =
            store_query(g->c, e, &rows, "SELECT bytes FROM metric_times WHERE id = $1", "i", (int64_t)g->parts[i].id);
        if (r >= 0)
            r = rows_next(rows, e);
        if (r < 0)
            return r;
        const void *bytes = r ? rows_blob(rows, 0, &len) : NULL;
        if (!bytes || metric_decode_integers(g->m->write_codec, bytes, len, g->times + g->count, g->parts[i].count) < 0)
            return error_set(e, ERR_INTERNAL, "Row %llu of metric_times is broken.",
                             (unsigned long long)g->parts[i].id);
        g->count += g->parts[i].count;
    }
    return 0;
}

static int store_times(struct merge *g, struct error *e)
{
    buf_clear(&g->bytes);
    int r = metric_encode_integers(g->m->write_codec, g->times, g->count, &g->bytes);
    if (r < 0)
        return error_errno(e, r, "Packing a day's times");
    return store_exec(g->c, e,
                      "INSERT INTO metric_times (id, group_id, first_at, last_at, count, bytes)"
                      " VALUES ($1, $2, $3, $4, $5, $6)",
                      "iiiiib", (int64_t)g->id, (int64_t)g->group, g->times[0], g->times[g->count - 1],
                      (int64_t)g->count, g->bytes.data, g->bytes.len);
}

static int store_series(struct merge *g, uint64_t series, struct error *e)
{
    if (!g->held)
        return 0;
    struct block_stats stats;
    unsigned coding;
    buf_clear(&g->bytes);
    int r = block_pack(g->m->write_codec, g->ticks, g->values, g->held, g->count, &coding, &g->bytes, &stats);
    buf_clear(&g->sums);
    if (r == 0)
        r = block_pack_sums(g->m->write_codec, g->times, g->ticks, g->values, g->held, &g->slots, &g->sums);
    if (r < 0)
        return error_errno(e, r, "Merging the blocks of series %llu", (unsigned long long)series);
    r = store_exec(g->c, e,
                   "INSERT INTO metric_blocks (series_id, first_at, times_id, last_at, count, min, max, sum, codec,"
                   " bytes, sums) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                   "iiiiidddibb", (int64_t)series, g->times[g->ticks[0]], (int64_t)g->id,
                   g->times[g->ticks[g->held - 1]], (int64_t)g->held, stats.min, stats.max, stats.sum, (int64_t)coding,
                   g->bytes.data, g->bytes.len, g->sums.data, g->sums.len);
    g->held = 0;
    return r;
}

static int take_block(struct merge *g, uint64_t series, const struct part *part, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    size_t len;
    int r = store_query(g->c, e, &rows,
                        "SELECT count, codec, bytes FROM metric_blocks WHERE series_id = $1 AND first_at >= $2"
                        " AND first_at <= $3 AND times_id = $4",
                        "iiii", (int64_t)series, part->first_ms, part->last_ms, (int64_t)part->id);
    if (r >= 0)
        r = rows_next(rows, e);
    if (r <= 0)
        return r;
    size_t count = (size_t)rows_int(rows, 0);
    const void *bytes = rows_blob(rows, 2, &len);
    if (count > part->count || g->held + count > g->count ||
        block_unpack(g->m->write_codec, (unsigned)rows_int(rows, 1), bytes, len, part->count, count, g->ticks + g->held,
                     g->values + g->held) < 0)
        return error_set(e, ERR_INTERNAL, "A block of series %llu is broken.", (unsigned long long)series);
    for (size_t i = 0; i < count; i++)
        g->ticks[g->held + i] = (uint16_t)(g->ticks[g->held + i] + part->offset);
    g->held += count;
    return 0;
}

struct ids {
    uint64_t *items;
    size_t count;
};

/* Series with a block in one of the parts, each once. */
static int series_of_parts(struct merge *g, struct ids *ret, struct error *e)
{
    size_t room = 0;
    for (size_t i = 0; i < g->part_count; i++) {
        _cleanup_rows_ struct store_rows *rows = NULL;
        int r = store_query(g->c, e, &rows, "SELECT series_id FROM metric_blocks WHERE times_id = $1", "i",
                            (int64_t)g->parts[i].id);
        while (r >= 0 && (r = rows_next(rows, e)) == 1) {
            if (ret->count == room) {
                room = room ? room * 2 : 256;
                uint64_t *more = realloc(ret->items, room * sizeof *more);
                if (!more)
                    return error_set(e, ERR_INTERNAL, "No memory to merge blocks.");
                ret->items = more;
            }
            ret->items[ret->count++] = (uint64_t)rows_int(rows, 0);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int merge_blocks(struct merge *g, struct error *e)
{
    struct ids ids = { 0 };
    int r = series_of_parts(g, &ids, e);
    if (r == 0 && ids.count)
        qsort(ids.items, ids.count, sizeof *ids.items, by_id);
    for (size_t i = 0; i < ids.count && r >= 0; i++) {
        if (i && ids.items[i] == ids.items[i - 1])
            continue;
        for (size_t k = 0; k < g->part_count && r >= 0; k++)
            r = take_block(g, ids.items[i], &g->parts[k], e);
        if (r >= 0)
            r = store_series(g, ids.items[i], e);
    }
    free(ids.items);
    return r < 0 ? r : 0;
}

static int drop_parts(struct merge *g, struct error *e)
{
    int r = 0;
    for (size_t i = 0; i < g->part_count && r >= 0; i++) {
        r = store_exec(g->c, e, "DELETE FROM metric_blocks WHERE times_id = $1", "i", (int64_t)g->parts[i].id);
        if (r >= 0)
            r = store_exec(g->c, e, "DELETE FROM metric_times WHERE id = $1", "i", (int64_t)g->parts[i].id);
    }
    return r;
}

/* One merge in one transaction. `ret_more`: there may be others of this group after `*after_ms`. */
static int merge_once(struct merge *g, int64_t until, int64_t *after_ms, bool *ret_more, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(g->m->o.store, STORE_WRITE, &c, e);
    if (r < 0)
        return r;
    g->c = c;
    g->id = g->m->next_times;
    r = find_parts(g, until, *after_ms, after_ms, e);
    *ret_more = r == 0 && g->part_count > 0;
    if (!*ret_more)
        return r;
    r = read_times(g, e);
    if (r == 0)
        r = store_times(g, e);
    if (r >= 0)
        r = merge_blocks(g, e);
    if (r >= 0)
        r = drop_parts(g, e);
    if (r < 0)
        return r;
    g->m->next_times++;
    return store_commit(c, e);
}

static int merge_group(struct merge *g, int64_t until, struct error *e)
{
    int64_t after_ms = 0;
    bool more = true;
    int r = 0;
    while (more && r >= 0)
        r = merge_once(g, until, &after_ms, &more, e);
    return r;
}

int metric_merge_days(struct metrics *m, int64_t now_ms, struct error *e)
{
    int64_t until = now_ms / DAY_MS * DAY_MS;
    if (until <= m->merged_until)
        return 0;
    struct merge *g = calloc(1, sizeof *g);
    if (!g)
        return error_set(e, ERR_INTERNAL, "No memory to merge blocks.");
    g->m = m;
    buf_init(&g->bytes, 0);
    buf_init(&g->sums, 0);
    g->times = malloc(MERGE_MAX * sizeof *g->times);
    g->ticks = malloc(MERGE_MAX * sizeof *g->ticks);
    g->values = malloc(MERGE_MAX * sizeof *g->values);
    int r = g->times && g->ticks && g->values ? 0 : error_set(e, ERR_INTERNAL, "No memory to merge blocks.");
    for (size_t i = 0; i < m->group_count && r >= 0; i++) {
        g->group = m->groups[i]->id;
        r = merge_group(g, until, e);
    }
    if (r >= 0)
        m->merged_until = until;
    buf_done(&g->bytes);
    buf_done(&g->sums);
    free(g->times);
    free(g->ticks);
    free(g->values);
    free(g);
    return r < 0 ? r : 0;
}
