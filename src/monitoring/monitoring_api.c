#include "monitoring/monitoring_api.h"

#include "base/clock.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define SOURCES_MAX 16
#define TAGS_MAX 16
#define PAGE_DEFAULT 100
#define HOUR_MS 3600000
#define POINTS_WANTED 300 /* when no step is asked for */

static const struct {
    const char *name;
    int64_t ms;
} TIME_RANGES[] = {
    { "1h", HOUR_MS },
    { "24h", 24 * (int64_t)HOUR_MS },
    { "7d", 168 * (int64_t)HOUR_MS },
    { "30d", 720 * (int64_t)HOUR_MS },
};

/* ---- pages ---- */

/* The cursor is the id of the last series seen. */
static int read_cursor(const struct request *rq, uint64_t *ret_after, struct error *e)
{
    char storage[64];
    const char *fields[1];
    int64_t id;
    *ret_after = 0;
    if (!request_str(rq, "cursor"))
        return 0;
    int r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, fields, 1, e);
    if (r == 0 && str_to_int64(fields[0], &id) == 0 && id >= 0) {
        *ret_after = (uint64_t)id;
        return 0;
    }
    if (r == 0) {
        r = error_set(e, ERR_VALIDATION, "The cursor is not one of this list.");
        error_detail(e, "/cursor", "is not one of this list");
    }
    return r;
}

static void write_next(struct jw *w, const struct metric_latest_list *l, size_t shown)
{
    char id[24], cursor[128];
    const char *fields[1] = { id };
    if (shown == 0 || l->count <= shown)
        return;
    snprintf(id, sizeof id, "%" PRIu64, l->items[shown - 1].id);
    if (cursor_encode(fields, 1, cursor, sizeof cursor) < 0)
        return;
    jw_key(w, "next");
    jw_string(w, cursor);
}

static void write_id(struct jw *w, uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, id);
    jw_key(w, "id");
    jw_string(w, text);
}

static void write_text(struct jw *w, const char *key, const char *text)
{
    jw_key(w, key);
    jw_string(w, text);
}

static void write_tags(struct jw *w, const char *tags)
{
    jw_key(w, "tags");
    jw_raw(w, tags, strlen(tags));
}

/* ---- listMetrics ---- */

/* A share of CPU time is an average over the interval; the other latest values are single readings. */
static bool is_average(const struct metric_def *d)
{
    return strcmp(d->category, "cpu") == 0 && strcmp(d->unit, "percent") == 0;
}

static void write_metric(struct jw *w, const struct metric_latest *l)
{
    const struct metric_def *d = &l->labels->def;
    jw_object(w);
    write_id(w, l->id);
    write_text(w, "source", d->source);
    write_text(w, "type", d->type);
    write_text(w, "category", d->category);
    write_text(w, "entityId", d->entity_id);
    write_text(w, "entityType", d->entity_type);
    jw_key(w, "metric");
    jw_object(w);
    write_text(w, "name", d->name);
    jw_key(w, "value");
    jw_number(w, l->value);
    write_text(w, "unit", d->unit);
    if (is_average(d))
        write_text(w, "aggregation", "avg");
    jw_end(w);
    jw_key(w, "dimensions");
    jw_object(w);
    jw_key(w, "timestamp");
    jw_time(w, l->at_ms);
    jw_key(w, "interval");
    jw_number(w, (double)l->interval_ms / 1000);
    write_tags(w, d->tags);
    jw_end(w);
    jw_key(w, "correlation");
    jw_object(w);
    jw_key(w, "relatedMetrics");
    jw_array(w);
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

/* No two sources measure the same thing yet, so there is no consistency to tell. */
static void write_analysis(struct jw *w, const struct metric_latest_list *l)
{
    double share = l->total ? 100.0 * (double)l->fresh / (double)l->total : 0;
    jw_key(w, "correlation_analysis");
    jw_object(w);
    jw_key(w, "cross_tool_consistency");
    jw_null(w);
    jw_key(w, "data_quality_score");
    jw_number(w, floor(share * 100 + 0.5) / 100);
    jw_end(w);
}

static int64_t range_ms(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(TIME_RANGES); i++)
        if (strcmp(TIME_RANGES[i].name, name) == 0)
            return TIME_RANGES[i].ms;
    return HOUR_MS;
}

static size_t read_sources(const struct request *rq, const char *ret[SOURCES_MAX])
{
    json_t *list = request_param(rq, "source"), *item;
    size_t i, n = 0;
    json_array_foreach (list, i, item)
        if (json_is_string(item) && n < SOURCES_MAX)
            ret[n++] = json_string_value(item);
    return n;
}

static int list_metrics(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    const char *sources[SOURCES_MAX];
    int64_t now = clock_now_ms();
    struct metric_filter f = { .sources = sources,
                               .n_sources = read_sources(rq, sources),
                               .entity_id = request_str(rq, "entity_id"),
                               .entity_type = request_str(rq, "entity_type"),
                               .name = request_str(rq, "name"),
                               .category = request_str(rq, "category"),
                               .seen_since_ms = now - range_ms(request_str(rq, "time_range")) };
    int r = read_cursor(rq, &f.after_id, e);
    if (r < 0)
        return r;
    struct metric_latest_list l;
    size_t limit = (size_t)request_int(rq, "limit", PAGE_DEFAULT);
    r = metrics_latest(room, &f, now, limit + 1, &l, e);
    if (r < 0)
        return r;
    size_t shown = l.count < limit ? l.count : limit;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "metrics");
    jw_array(w);
    for (size_t i = 0; i < shown; i++)
        if (isfinite(l.items[i].value))
            write_metric(w, &l.items[i]);
    jw_end(w);
    write_analysis(w, &l);
    write_next(w, &l, shown);
    jw_end(w);
    metric_latest_done(&l);
    return 0;
}

/* ---- listSeries ---- */

static void write_series(struct jw *w, const struct metric_latest *l)
{
    const struct metric_def *d = &l->labels->def;
    jw_object(w);
    write_id(w, l->id);
    write_text(w, "source", d->source);
    write_text(w, "type", d->type);
    write_text(w, "category", d->category);
    write_text(w, "entity_id", d->entity_id);
    write_text(w, "entity_type", d->entity_type);
    write_text(w, "name", d->name);
    write_text(w, "unit", d->unit);
    write_tags(w, d->tags);
    jw_key(w, "first");
    jw_int(w, l->first_ms);
    jw_key(w, "last");
    jw_int(w, l->at_ms);
    jw_key(w, "value");
    jw_number(w, l->value);
    jw_end(w);
}

static int list_series(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct metric_filter f = { .entity_id = request_str(rq, "entity_id"), .name = request_str(rq, "name") };
    int r = read_cursor(rq, &f.after_id, e);
    if (r < 0)
        return r;
    struct metric_latest_list l;
    size_t limit = (size_t)request_int(rq, "limit", PAGE_DEFAULT);
    r = metrics_latest(room, &f, clock_now_ms(), limit + 1, &l, e);
    if (r < 0)
        return r;
    size_t shown = l.count < limit ? l.count : limit;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "series");
    jw_array(w);
    for (size_t i = 0; i < shown; i++)
        write_series(w, &l.items[i]);
    jw_end(w);
    write_next(w, &l, shown);
    jw_end(w);
    metric_latest_done(&l);
    return 0;
}

/* ---- queryMetrics ---- */

static int refuse(struct error *e, const char *parameter, const char *why)
{
    char pointer[32];
    int r = error_set(e, ERR_VALIDATION, "The parameter `%s` %s.", parameter, why);
    snprintf(pointer, sizeof pointer, "/%s", parameter);
    error_detail(e, pointer, "%s", why);
    return r;
}

/* RFC 3339, or ms since 1970. */
static int read_instant(const struct request *rq, const char *name, int64_t fallback, int64_t *ret, struct error *e)
{
    const char *text = request_str(rq, name);
    *ret = fallback;
    if (!text || str_to_int64(text, ret) == 0 || time_parse(text, ret) == 0)
        return 0;
    return refuse(e, name, "is no date and time");
}

/* The first round step that gives at most POINTS_WANTED points. */
static int64_t fitting_step(int64_t range)
{
    static const int SECONDS[] = { 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400 };
    for (size_t i = 0; i < ARRAY_LEN(SECONDS); i++)
        if (range / (SECONDS[i] * (int64_t)1000) <= POINTS_WANTED)
            return SECONDS[i] * (int64_t)1000;
    int64_t day = 24 * (int64_t)HOUR_MS;
    return (range / POINTS_WANTED / day + 1) * day;
}

static int read_range(const struct request *rq, struct metric_query *q, struct error *e)
{
    int r = read_instant(rq, "to", clock_now_ms(), &q->to_ms, e);
    if (r == 0)
        r = read_instant(rq, "from", q->to_ms - HOUR_MS, &q->from_ms, e);
    if (r < 0)
        return r;
    if (q->from_ms > q->to_ms)
        return refuse(e, "from", "is after `to`");
    const char *step = request_str(rq, "step");
    q->step_ms = fitting_step(q->to_ms - q->from_ms);
    if (step && (str_to_duration_ms(step, &q->step_ms) < 0 || q->step_ms <= 0))
        return refuse(e, "step", "is no duration");
    return 0;
}

/* "key=value" texts into pairs; the keys are cut out of `storage`. */
static int read_tags(const struct request *rq, struct metric_pair ret[TAGS_MAX], size_t *ret_n, struct buf *storage,
                     struct error *e)
{
    json_t *list = request_param(rq, "tag"), *item;
    size_t i, n = 0, offset[TAGS_MAX];
    json_array_foreach (list, i, item) {
        const char *text = json_string_value(item), *equals = text ? strchr(text, '=') : NULL;
        if (!equals || n == TAGS_MAX)
            return refuse(e, "tag", "is not of the form key=value");
        offset[n] = storage->len;
        (void)buf_append(storage, text, (size_t)(equals - text)); /* checked once, below */
        (void)buf_putc(storage, '\0');
        ret[n++].value = equals + 1;
    }
    if (!buf_ok(storage))
        return error_set(e, ERR_INTERNAL, "No memory for the tags.");
    for (i = 0; i < n; i++)
        ret[i].key = storage->data + offset[i];
    *ret_n = n;
    return 0;
}

static void write_points(struct jw *w, const struct metric_result *result, const struct metric_points *p)
{
    jw_key(w, "points");
    jw_array(w);
    for (size_t i = 0; i < result->points; i++) {
        jw_array(w);
        jw_int(w, result->first_ms + (int64_t)i * result->step_ms);
        jw_number(w, p->values[i]);
        jw_end(w);
    }
    jw_end(w);
}

static void write_unit(struct jw *w, const struct metric_query *q, const struct metric_result *result)
{
    char unit[80];
    jw_key(w, "unit");
    if (!result->count) {
        jw_null(w);
        return;
    }
    const char *own = result->series[0].labels->def.unit;
    snprintf(unit, sizeof unit, q->fn == FN_RATE ? "%.60s/s" : "%.64s", q->fn == FN_COUNT ? "samples" : own);
    jw_string(w, unit);
}

static void write_result(struct jw *w, const struct metric_query *q, const struct metric_result *result)
{
    jw_object(w);
    write_text(w, "name", q->filter.name);
    write_text(w, "fn", metric_fn_name(q->fn));
    jw_key(w, "step");
    jw_number(w, (double)q->step_ms / 1000);
    jw_key(w, "from");
    jw_int(w, q->from_ms);
    jw_key(w, "to");
    jw_int(w, q->to_ms);
    write_unit(w, q, result);
    jw_key(w, "series");
    jw_array(w);
    for (size_t i = 0; i < result->count; i++) {
        const struct metric_def *d = &result->series[i].labels->def;
        jw_object(w);
        write_text(w, "entity_id", d->entity_id);
        write_text(w, "entity_type", d->entity_type);
        write_tags(w, d->tags);
        write_points(w, result, &result->series[i]);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

static int query_metrics(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct metric_pair tags[TAGS_MAX];
    struct metric_query q = { .filter = { .name = request_str(rq, "name"),
                                          .entity_id = request_str(rq, "entity_id") } };
    const char *fn = request_str(rq, "fn");
    _cleanup_buf_ struct buf storage;
    buf_init(&storage, 16384);
    if (fn && metric_fn_parse(fn, &q.fn) < 0)
        return refuse(e, "fn", "is not a function");
    int r = read_range(rq, &q, e);
    if (r == 0)
        r = read_tags(rq, tags, &q.filter.n_tags, &storage, e);
    q.filter.tags = tags;
    struct metric_result result;
    if (r == 0)
        r = metrics_query(room, &q, &result, e);
    if (r < 0)
        return r;
    write_result(reply_json(rp, 200), &q, &result);
    metric_result_done(&result);
    return 0;
}

const struct api_operation monitoring_operations[MONITORING_OPERATIONS] = {
    { .id = "listMetrics", .handle = list_metrics },
    { .id = "queryMetrics", .handle = query_metrics },
    { .id = "listSeries", .handle = list_series },
};
