#include "monitoring/metric_fn.h"
#include "monitoring/metrics_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define DEFAULT_MAX_SERIES 500
#define HEAD_ORDER (UINT64_MAX - 1) /* what is in the head came after all blocks */
#define SUM_ORDER UINT64_MAX

/* ---- which series ---- */

static bool same_or_any(const char *wanted, const char *is)
{
    return !wanted || strcmp(wanted, is) == 0;
}

static bool source_matches(const struct metric_filter *f, const char *source)
{
    for (size_t i = 0; i < f->n_sources; i++)
        if (strcmp(f->sources[i], source) == 0)
            return true;
    return f->n_sources == 0;
}

bool metric_filter_match(const struct metric_filter *f, const struct series *s)
{
    const struct metric_def *d = &s->labels->def;
    return s->last_ms && s->last_ms >= f->seen_since_ms && same_or_any(f->name, d->name) &&
           same_or_any(f->entity_id, d->entity_id) && same_or_any(f->entity_type, d->entity_type) &&
           same_or_any(f->category, d->category) && source_matches(f, d->source) &&
           metric_tags_match(d->tags, f->tags, f->n_tags);
}

/* ---- latest values ---- */

static bool is_fresh(const struct series *s, int64_t now_ms)
{
    return s->interval_ms > 0 && now_ms - s->last_ms <= 3 * s->interval_ms;
}

static bool keep_latest(struct metric_latest_list *l, size_t limit, const struct series *s)
{
    if (l->count >= limit)
        return true;
    if (l->count % 256 == 0) {
        struct metric_latest *more = realloc(l->items, (l->count + 256) * sizeof *more);
        if (!more)
            return false;
        l->items = more;
    }
    l->items[l->count++] =
        (struct metric_latest){ s->id, metric_labels_ref(s->labels), s->last_ms, s->first_ms, s->interval_ms, s->last };
    return true;
}

int metrics_latest(struct metrics *m, const struct metric_filter *f, int64_t now_ms, size_t limit,
                   struct metric_latest_list *ret, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    struct metric_latest_list l = { 0 };
    bool ok = true;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->registry.count && ok; i++) {
        const struct series *s = m->registry.all[i];
        if (!metric_filter_match(f, s))
            continue;
        l.total++;
        l.fresh += is_fresh(s, now_ms);
        if (s->id > f->after_id)
            ok = keep_latest(&l, limit, s);
    }
    pthread_mutex_unlock(&m->lock);
    if (!ok) {
        metric_latest_done(&l);
        return error_set(e, ERR_INTERNAL, "No memory for the latest values.");
    }
    *ret = l;
    return 0;
}

void metric_latest_done(struct metric_latest_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        metric_labels_unref(l->items[i].labels);
    free(l->items);
    *l = (struct metric_latest_list){ 0 };
}

/* ---- samples of one series ---- */

struct samples {
    struct point_sample *items;
    size_t count, room;
    bool tangled; /* not in rising order of time */
};

static bool samples_add(struct samples *s, const struct point_sample *sample)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : METRIC_CHUNK_TICKS;
        struct point_sample *more = realloc(s->items, room * sizeof *more);
        if (!more)
            return false;
        s->items = more;
        s->room = room;
    }
    if (s->count && s->items[s->count - 1].at_ms >= sample->at_ms)
        s->tangled = true;
    s->items[s->count++] = *sample;
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct point_sample *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* In order of time, the first of those at one time. Sums stand beside the sample that ends their slot. */
static void untangle(struct samples *s)
{
    if (!s->tangled)
        return;
    qsort(s->items, s->count, sizeof *s->items, by_time);
    size_t n = 0, sample = SIZE_MAX; /* the last one kept that is no sum */
    for (size_t i = 0; i < s->count; i++) {
        bool sum = s->items[i].order == SUM_ORDER;
        if (!sum && sample != SIZE_MAX && s->items[sample].at_ms == s->items[i].at_ms)
            continue;
        if (!sum)
            sample = n;
        s->items[n++] = s->items[i];
    }
    s->count = n;
    s->tangled = false;
}

/* What is read from the head at the start, and from blocks after: a chunk sealed in between is seen twice
 * (and untangled), never missed. */
struct wanted {
    uint64_t id;
    struct metric_labels *labels;
    struct samples head;
};

struct times {
    uint64_t id;
    int64_t *at;
    size_t count;
};

struct run {
    struct metrics *m;
    const struct metric_query *q;
    struct windows windows;
    int64_t from_ms, to_ms; /* samples that matter, both inclusive */
    struct wanted *wanted;
    size_t count, room;
    struct metric_codec *codec;
    struct store_conn *conn;
    struct times *times; /* by rising id; shared by the series of a group */
    size_t times_count, times_room;
    uint16_t *ticks;     /* METRIC_BLOCK_MAX */
    double *values;
    struct block_sums sums;
};

static void run_done(struct run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        metric_labels_unref(r->wanted[i].labels);
        free(r->wanted[i].head.items);
    }
    for (size_t i = 0; i < r->times_count; i++)
        free(r->times[i].at);
    free(r->wanted);
    free(r->times);
    free(r->ticks);
    free(r->values);
    metric_codec_free(r->codec);
    store_release(r->conn);
}

static bool read_head(struct run *r, const struct series *s, struct samples *ret)
{
    uint16_t ticks[METRIC_CHUNK_TICKS];
    double values[METRIC_CHUNK_TICKS];
    for (const struct member *member = s->members; member; member = member->next_of_series) {
        const struct group *g = member->group;
        if (!g->ticks || g->times[0] > r->to_ms || g->times[g->ticks - 1] < r->from_ms)
            continue;
        size_t n = member_read(member, r->m->head_codec, ticks, values);
        for (size_t i = 0; i < n; i++) {
            int64_t at = g->times[ticks[i]];
            if (at >= r->from_ms && at <= r->to_ms &&
                !samples_add(ret, &(struct point_sample){ at, values[i], HEAD_ORDER, 1 }))
                return false;
        }
    }
    return true;
}

static bool want(struct run *r, const struct series *s)
{
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 16;
        struct wanted *more = realloc(r->wanted, room * sizeof *more);
        if (!more)
            return false;
        r->wanted = more;
        r->room = room;
    }
    r->wanted[r->count] = (struct wanted){ .id = s->id, .labels = metric_labels_ref(s->labels) };
    return read_head(r, s, &r->wanted[r->count++].head);
}

static int choose(struct run *r, struct error *e)
{
    size_t limit = r->q->max_series ? r->q->max_series : DEFAULT_MAX_SERIES, matching = 0;
    bool ok = true;
    pthread_mutex_lock(&r->m->lock);
    for (size_t i = 0; i < r->m->registry.count && ok; i++) {
        const struct series *s = r->m->registry.all[i];
        if (metric_filter_match(&r->q->filter, s) && ++matching <= limit)
            ok = want(r, s);
    }
    pthread_mutex_unlock(&r->m->lock);
    if (!ok)
        return error_set(e, ERR_INTERNAL, "No memory for the query.");
    size_t points = r->windows.count * matching;
    if (matching <= limit && points <= METRIC_POINTS_TOTAL_MAX)
        return 0;
    int code =
        error_set(e, ERR_VALIDATION, "%zu series match, %zu points in all: too many for one query.", matching, points);
    if (matching > limit)
        error_detail(e, "/name", "matches %zu series, at most %zu can be asked at once; name an entity or tags",
                     matching, limit);
    else
        error_detail(e, "/step", "gives %zu points over all series, at most %d are answered", points,
                     METRIC_POINTS_TOTAL_MAX);
    return code;
}

/* ---- blocks ---- */

static struct times *times_slot(struct run *r, uint64_t id, bool *ret_known)
{
    size_t low = 0, high = r->times_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->times[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_known = low < r->times_count && r->times[low].id == id;
    if (*ret_known)
        return &r->times[low];
    if (r->times_count == r->times_room) {
        size_t room = r->times_room ? r->times_room * 2 : 64;
        struct times *more = realloc(r->times, room * sizeof *more);
        if (!more)
            return NULL;
        r->times = more;
        r->times_room = room;
    }
    memmove(&r->times[low + 1], &r->times[low], (r->times_count - low) * sizeof *r->times);
    r->times_count++;
    r->times[low] = (struct times){ .id = id };
    return &r->times[low];
}

static int read_times(struct run *r, struct times *t, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int got =
        store_query(r->conn, e, &rows, "SELECT count, bytes FROM metric_times WHERE id = $1", "i", (int64_t)t->id);
    if (got >= 0)
        got = rows_next(rows, e);
    if (got < 0)
        return got;
    int64_t count = got ? rows_int(rows, 0) : 0;
    size_t len = 0;
    const void *bytes = got ? rows_blob(rows, 1, &len) : NULL;
    if (count <= 0 || count > METRIC_BLOCK_MAX)
        return error_set(e, ERR_INTERNAL, "Row %" PRIu64 " of metric_times is missing or broken.", t->id);
    t->at = malloc((size_t)count * sizeof *t->at);
    if (!t->at)
        return error_set(e, ERR_INTERNAL, "No memory for the query.");
    t->count = (size_t)count;
    if (metric_decode_integers(r->codec, bytes, len, t->at, t->count) < 0)
        return error_set(e, ERR_INTERNAL, "Row %" PRIu64 " of metric_times is broken.", t->id);
    return 0;
}

static int get_times(struct run *r, uint64_t id, const struct times **ret, struct error *e)
{
    bool known;
    struct times *t = times_slot(r, id, &known);
    if (!t)
        return error_set(e, ERR_INTERNAL, "No memory for the query.");
    int bad = known ? 0 : read_times(r, t, e);
    if (bad == 0)
        *ret = t;
    return bad;
}

/* Reading one series' blocks. Sums cannot be untangled, so they are used only where chunks do not overlap. */
struct reading {
    struct samples *samples;
    bool use_sums, overlap;
    int64_t last_ms, sums_until; /* end of all, and of those read as sums; INT64_MIN: none */
};

static int out_of_memory(struct error *e)
{
    return error_set(e, ERR_INTERNAL, "No memory for the query.");
}

static int read_samples(struct run *r, struct store_rows *row, struct reading *g, struct error *e)
{
    uint64_t times_id = (uint64_t)rows_int(row, 0);
    size_t count = (size_t)rows_int(row, 1), len;
    const struct times *t = NULL;
    int bad = get_times(r, times_id, &t, e);
    if (bad < 0)
        return bad;
    const void *bytes = rows_blob(row, 3, &len);
    bad = block_unpack(r->codec, (unsigned)rows_int(row, 2), bytes, len, t->count, count, r->ticks, r->values);
    if (bad < 0)
        return error_errno(e, bad, "A block of metric_blocks with times %" PRIu64 " cannot be read", times_id);
    for (size_t i = 0; i < count; i++) {
        int64_t at = t->at[r->ticks[i]];
        if (at >= r->from_ms && at <= r->to_ms &&
            !samples_add(g->samples, &(struct point_sample){ at, r->values[i], times_id, 1 }))
            return out_of_memory(e);
    }
    return 0;
}

static int read_sums(struct run *r, struct store_rows *row, struct reading *g, struct error *e)
{
    size_t len;
    const void *bytes = rows_blob(row, 6, &len);
    int bad = block_unpack_sums(r->codec, bytes, len, &r->sums);
    if (bad < 0)
        return error_errno(e, bad, "The sums of a block with times %lld cannot be read", (long long)rows_int(row, 0));
    for (size_t i = 0; i < r->sums.slots; i++) {
        int64_t at = (r->sums.first + (int64_t)i) * BLOCK_SUM_MS;
        if (r->sums.count[i] <= 0 || r->sums.count[i] > METRIC_BLOCK_MAX || at < r->from_ms || at > r->to_ms)
            continue;
        struct point_sample sum = { at, r->sums.sum[i], SUM_ORDER, (uint32_t)r->sums.count[i] };
        if (!samples_add(g->samples, &sum))
            return out_of_memory(e);
    }
    return 0;
}

static int read_block(struct run *r, struct store_rows *row, struct reading *g, struct error *e)
{
    int64_t first = rows_int(row, 4), last = rows_int(row, 5);
    bool sums = g->use_sums && !rows_null(row, 6);
    if (first <= g->sums_until || (sums && first <= g->last_ms))
        g->overlap = true;
    if (g->use_sums && g->overlap)
        return 0;
    g->last_ms = last > g->last_ms ? last : g->last_ms;
    if (!sums)
        return read_samples(r, row, g, e);
    g->sums_until = last;
    return read_sums(r, row, g, e);
}

static int read_blocks(struct run *r, uint64_t series, struct reading *g, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int got = store_query(r->conn, e, &rows,
                          "SELECT times_id, count, codec, bytes, first_at, last_at, sums FROM metric_blocks"
                          " WHERE series_id = $1 AND first_at <= $2 AND last_at >= $3 ORDER BY first_at, times_id",
                          "iii", (int64_t)series, r->to_ms, r->from_ms);
    while (got >= 0 && (got = rows_next(rows, e)) == 1) {
        int bad = read_block(r, rows, g, e);
        if (bad < 0)
            return bad;
    }
    return got;
}

static int read_series(struct run *r, const struct wanted *w, bool use_sums, struct samples *ret, bool *ret_overlap,
                       struct error *e)
{
    struct reading g = { ret, use_sums, false, INT64_MIN, INT64_MIN };
    ret->count = 0;
    ret->tangled = false;
    int bad = read_blocks(r, w->id, &g, e);
    for (size_t i = 0; i < w->head.count && bad == 0; i++) {
        g.overlap |= w->head.items[i].at_ms <= g.sums_until;
        if (!samples_add(ret, &w->head.items[i]))
            bad = out_of_memory(e);
    }
    *ret_overlap = g.overlap;
    return bad;
}

/* ---- a query ---- */

static int answer_series(struct run *r, struct wanted *w, struct metric_result *ret, struct error *e)
{
    struct samples s = { 0 };
    double *values = malloc((r->windows.count + 1) * sizeof *values);
    bool use_sums = metric_fn_takes_sums(r->q->fn) && r->q->step_ms % BLOCK_SUM_MS == 0, overlap = false;
    int bad = values ? read_series(r, w, use_sums, &s, &overlap, e) : out_of_memory(e);
    if (bad == 0 && use_sums && overlap)
        bad = read_series(r, w, false, &s, &overlap, e);
    if (bad == 0 && s.count) {
        untangle(&s);
        if (metric_fn_apply(r->q->fn, &r->windows, s.items, s.count, values) < 0)
            bad = out_of_memory(e);
        else
            ret->series[ret->count++] = (struct metric_points){ w->id, metric_labels_ref(w->labels), TAKE(values) };
    }
    free(values);
    free(s.items);
    return bad;
}

static int check(const struct metric_query *q, struct windows *ret, struct error *e)
{
    const char *where = NULL, *why = NULL;
    if (q->step_ms < 1 || q->step_ms > METRIC_TIME_MAX) {
        where = "/step";
        why = "must be longer than nothing";
    } else if (q->from_ms < 0 || q->from_ms > METRIC_TIME_MAX) {
        where = "/from";
        why = "is out of range";
    } else if (q->to_ms < q->from_ms || q->to_ms > METRIC_TIME_MAX) {
        where = "/to";
        why = "must not be before `from`";
    }
    if (where) {
        int code = error_set(e, ERR_VALIDATION, "The range cannot be asked.");
        error_detail(e, where, "%s", why);
        return code;
    }
    int64_t first = (q->from_ms + q->step_ms - 1) / q->step_ms, last = q->to_ms / q->step_ms;
    int64_t points = last >= first ? last - first + 1 : 0;
    if (points > METRIC_POINTS_MAX) {
        int code = error_set(e, ERR_VALIDATION, "The range has too many points.");
        error_detail(e, "/step", "gives %" PRId64 " points a series, at most %d are answered", points,
                     METRIC_POINTS_MAX);
        return code;
    }
    *ret = (struct windows){ first * q->step_ms, q->step_ms, (size_t)points };
    return 0;
}

static int prepare(struct run *r, struct error *e)
{
    r->codec = metric_codec_new();
    r->ticks = malloc(METRIC_BLOCK_MAX * sizeof *r->ticks);
    r->values = malloc(METRIC_BLOCK_MAX * sizeof *r->values);
    if (!r->codec || !r->ticks || !r->values)
        return error_set(e, ERR_INTERNAL, "No memory for the query.");
    return store_acquire(r->m->o.store, STORE_READ, &r->conn, e);
}

int metrics_query(struct metrics *m, const struct metric_query *q, struct metric_result *ret, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    _cleanup_(run_done) struct run r = { .m = m, .q = q };
    int bad = check(q, &r.windows, e);
    if (bad < 0)
        return bad;
    r.from_ms = r.windows.first_ms - q->step_ms + 1 - metric_fn_lookback(q->fn, q->step_ms);
    r.to_ms = r.windows.first_ms + (int64_t)r.windows.count * q->step_ms - q->step_ms;
    struct metric_result result = { r.windows.first_ms, q->step_ms, r.windows.count, NULL, 0 };
    if (r.windows.count) {
        bad = choose(&r, e);
        if (bad == 0)
            bad = prepare(&r, e);
    }
    result.series = bad == 0 ? calloc(r.count + 1, sizeof *result.series) : NULL;
    if (bad == 0 && !result.series)
        bad = error_set(e, ERR_INTERNAL, "No memory for the query.");
    for (size_t i = 0; i < r.count && bad == 0; i++)
        bad = answer_series(&r, &r.wanted[i], &result, e);
    if (bad < 0)
        metric_result_done(&result);
    else
        *ret = result;
    return bad;
}

void metric_result_done(struct metric_result *r)
{
    for (size_t i = 0; i < r->count; i++) {
        metric_labels_unref(r->series[i].labels);
        free(r->series[i].values);
    }
    free(r->series);
    *r = (struct metric_result){ 0 };
}
