#include "monitoring/metrics_internal.h"

#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <math.h>

static int load_series(struct metrics *m, struct store_conn *c, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows,
                        "SELECT id, first_at, source, type, category, entity_id, entity_type, name, unit, tags"
                        " FROM metric_series ORDER BY id",
                        "");
    while (r >= 0 && (r = rows_next(rows, e)) == 1) {
        struct metric_def d = { rows_text(rows, 2), rows_text(rows, 3), rows_text(rows, 4), rows_text(rows, 5),
                                rows_text(rows, 6), rows_text(rows, 7), rows_text(rows, 8), rows_text(rows, 9) };
        struct series *s = registry_add(&m->registry, (uint64_t)rows_int(rows, 0), &d, metric_def_hash(&d));
        if (!s)
            return error_set(e, ERR_INTERNAL, "No memory for the series.");
        s->stored = true;
        s->first_ms = rows_int(rows, 1);
        m->next_series = s->id + 1;
    }
    return r;
}

/* What a series showed last before its chunk was sealed; the log's frames then bring newer ones. */
static int load_latest(struct metrics *m, struct store_conn *c, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, "SELECT id, metric_data, dimensions, timestamp FROM monitoring_metrics", "");
    while (r >= 0 && (r = rows_next(rows, e)) == 1) {
        int64_t id;
        if (str_to_int64(rows_text(rows, 0), &id) < 0)
            continue;
        struct series *s = registry_by_id(&m->registry, (uint64_t)id);
        if (!s)
            continue;
        _cleanup_json_ json_t *data = rows_json(rows, 1);
        _cleanup_json_ json_t *dimensions = rows_json(rows, 2);
        s->last = json_num(data, "value", NAN);
        s->last_ms = rows_int(rows, 3);
        s->interval_ms = (int64_t)(json_num(dimensions, "interval", 0) * 1000);
    }
    return r;
}

static int load_groups(struct metrics *m, struct store_conn *c, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows,
                        "SELECT g.id, g.name, g.interval_ms, MAX(t.last_at) FROM metric_groups g"
                        " LEFT JOIN metric_times t ON t.group_id = g.id GROUP BY g.id, g.name, g.interval_ms"
                        " ORDER BY g.id",
                        "");
    while (r >= 0 && (r = rows_next(rows, e)) == 1) {
        struct group *g;
        if (metric_group_add(m, (uint64_t)rows_int(rows, 0), rows_text(rows, 1), rows_int(rows, 2), &g, e) < 0)
            return -ERR_INTERNAL;
        g->stored = true;
        g->last_ms = rows_null(rows, 3) ? 0 : rows_int(rows, 3);
        m->next_group = g->id + 1;
    }
    return r;
}

static int replay_frame(struct metrics *m, struct group *g, int64_t at_ms, const void *bytes, size_t len)
{
    size_t slots;
    _cleanup_(body_done) struct body b = { 0 };
    bool same_tick = g->ticks && g->times[g->ticks - 1] == at_ms;
    int r = frame_slots(bytes, len, &slots);
    if (r < 0)
        return r;
    if (slots < g->slot_count || (!same_tick && g->ticks == METRIC_CHUNK_TICKS) ||
        (!same_tick && g->ticks && at_ms < g->times[g->ticks - 1]))
        return -EBADMSG;
    r = body_begin(&b, g, slots - g->slot_count);
    if (r < 0)
        return r;
    struct frame f = { g->slot_count, slots, g->last, b.values, b.present, b.ids };
    r = frame_decode(m->write_codec, bytes, len, &f);
    if (r < 0)
        return r;
    b.slots = slots;
    for (size_t i = 0; i < slots - b.old_slots; i++)
        b.added[i] = registry_by_id(&m->registry, b.ids[i]);
    r = head_prepare(g, m->write_codec, &b, same_tick);
    if (r == 0)
        head_apply(g, &b, at_ms, same_tick);
    return r;
}

/* A frame that cannot be read makes its group damaged; only missing memory stops. */
static int load_frame(struct metrics *m, struct store_rows *row, uint64_t id, struct error *e)
{
    struct group *g = metric_group_by_id(m, (uint64_t)rows_int(row, 1));
    size_t len;
    const void *bytes = rows_blob(row, 3, &len);
    if (!g)
        return error_set(e, ERR_INTERNAL, "Row %llu of metric_log is of no known group.", (unsigned long long)id);
    int r = g->damaged ? 0 : replay_frame(m, g, rows_int(row, 2), bytes, len);
    if (r == -EBADMSG)
        g->damaged = true;
    else if (r < 0)
        return error_errno(e, r, "Reading row %llu of metric_log", (unsigned long long)id);
    g->log_first = g->log_first ? g->log_first : id;
    g->log_last = id;
    m->next_log = id + 1;
    return 0;
}

static int load_log(struct metrics *m, struct store_conn *c, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, "SELECT id, group_id, at, bytes FROM metric_log ORDER BY id", "");
    while (r >= 0 && (r = rows_next(rows, e)) == 1) {
        r = load_frame(m, rows, (uint64_t)rows_int(rows, 0), e);
        if (r < 0)
            break;
    }
    return r;
}

static int load_next_times(struct metrics *m, struct store_conn *c, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, "SELECT MAX(id) FROM metric_times", "");
    if (r >= 0 && (r = rows_next(rows, e)) == 1 && !rows_null(rows, 0))
        m->next_times = (uint64_t)rows_int(rows, 0) + 1;
    return r < 0 ? r : 0;
}

int metric_load(struct metrics *m, struct error *e)
{
    static int (*const STEPS[])(struct metrics *, struct store_conn *, struct error *) = {
        load_series, load_latest, load_groups, load_log, load_next_times,
    };
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_READ, &c, e);
    for (unsigned i = 0; i < ARRAY_LEN(STEPS) && r >= 0; i++)
        r = STEPS[i](m, c, e);
    return r < 0 ? r : 0;
}
