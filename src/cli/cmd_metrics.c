/* hbcloud metrics … */
#include "base/clock.h"
#include "base/map.h"
#include "cli/list.h"

#include <math.h>
#include <string.h>

static const struct table_column list_columns[] = {
    { .title = "METRIC", .priority = 9, .min = 16 },
    { .title = "VALUE", .priority = 8, .right = true },
    { .title = "UNIT", .priority = 7 },
    { .title = "ENTITY", .priority = 5, .min = 8 },
    { .title = "TAGS", .priority = 4, .min = 8 },
    { .title = "SOURCE", .priority = 2 },
    { .title = "WHEN", .priority = 3 },
};

/* Names of nodes and services by their id, for people. What cannot be read stays an id. */
static struct map *read_names(struct cli *c)
{
    static const struct {
        const char *path, *list;
    } lists[] = { { "/v1/infrastructure/nodes?limit=1000", "nodes" }, { "/v1/services?limit=1000", "services" } };
    struct map *names = map_new(free);
    for (size_t l = 0; names && l < ARRAY_LEN(lists); l++) {
        struct api_request rq = { .path = lists[l].path, .quiet = true };
        _cleanup_reply_ struct api_reply reply;
        size_t i;
        json_t *entity;
        (void)api_call(c, &rq, &reply);
        json_array_foreach (json_object_get(reply.json, lists[l].list), i, entity) {
            const char *id = json_str(entity, "id"), *name = json_str(entity, "name");
            char *copy = id && name ? strdup(name) : NULL;
            if (copy && map_set(names, id, copy) < 0)
                free(copy);
        }
    }
    return names;
}

static const char *name_in(const struct map *names, const char *id)
{
    const char *name = names && id ? map_get(names, id) : NULL;
    return name ? name : id ? id : "";
}

static void metric_row(struct table *t, const json_t *metric, const void *ctx)
{
    char value[FORMAT_MAX], ago[FORMAT_MAX];
    _cleanup_buf_ struct buf tags;
    buf_init(&tags, 0);
    format_labels(&tags, json_at(metric, "dimensions.tags"));
    table_cell(t, STYLE_NONE, json_str(metric, "metric.name"));
    table_cell(t, STYLE_BOLD, format_number(json_num(metric, "metric.value", NAN), value));
    table_cell(t, STYLE_NONE, json_str(metric, "metric.unit"));
    table_cellf(t, STYLE_DIM, "%s %s", json_str(metric, "entityType"), name_in(ctx, json_str(metric, "entityId")));
    table_cell(t, STYLE_NONE, buf_str(&tags));
    table_cell(t, STYLE_NONE, json_str(metric, "source"));
    table_cell(t, STYLE_NONE, format_ago(json_str(metric, "dimensions.timestamp"), ago));
}

/* The API filters by the entity's id; a name that was typed is read for it. */
static int put_entity(struct cli *c, struct buf *path, const char *option, const char *collection, const char *member)
{
    const char *reference = args_get(&c->args, option);
    if (!reference)
        return CLI_OK;
    _cleanup_buf_ struct buf where;
    buf_init(&where, 0);
    entity_path(&where, collection, reference, "");
    struct api_request rq = { .path = buf_str(&where) };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r == CLI_OK)
        path_query(path, "entity_id", json_str(reply.json, member));
    return r;
}

static int put_entities(struct cli *c, struct buf *path)
{
    int given = args_has(&c->args, "node") + args_has(&c->args, "service") + args_has(&c->args, "entity");
    if (given > 1)
        return cli_fail(c, CLI_USAGE, "--node, --service and --entity: one of them at a time");
    path_query_option(path, &c->args, "entity", "entity_id");
    int r = put_entity(c, path, "node", "/v1/infrastructure/nodes/", "node.id");
    return r == CLI_OK ? put_entity(c, path, "service", "/v1/services/", "service.id") : r;
}

int cli_metrics_list(struct cli *c)
{
    struct list_view view = {
        .key = "metrics",
        .columns = list_columns,
        .n_columns = ARRAY_LEN(list_columns),
        .row = metric_row,
        .empty = "No metric matches.",
    };
    static const char *const filters[][2] = {
        { "entity-type", "entity_type" }, { "name", "name" },        { "category", "category" },
        { "source", "source" },           { "range", "time_range" },
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/monitoring/metrics");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        path_query_option(&path, &c->args, filters[i][0], filters[i][1]);
    int r = put_entities(c, &path);
    if (r != CLI_OK)
        return r;
    struct map *names = c->json ? NULL : read_names(c);
    view.ctx = names;
    r = list_show(c, &path, &view);
    map_free(names);
    return r;
}

/* ---- query */

static const struct table_column query_columns[] = {
    { .title = "SERIES", .priority = 6, .min = 10 },   { .title = "CHART", .priority = 7 },
    { .title = "LAST", .priority = 8, .right = true }, { .title = "MIN", .priority = 4, .right = true },
    { .title = "MEAN", .priority = 5, .right = true }, { .title = "MAX", .priority = 4, .right = true },
};
#define CHART_MARKS 40

struct summary {
    double min, max, sum, last;
    size_t n;
};

static struct summary summarize(const double *values, size_t n)
{
    struct summary s = { .min = INFINITY, .max = -INFINITY, .last = NAN };
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i]))
            continue;
        s.min = values[i] < s.min ? values[i] : s.min;
        s.max = values[i] > s.max ? values[i] : s.max;
        s.sum += values[i];
        s.last = values[i];
        s.n++;
    }
    return s;
}

static void number_cell(struct table *t, bool known, double v)
{
    char text[FORMAT_MAX];
    table_cell(t, STYLE_NONE, known ? format_number(v, text) : NULL);
}

static void series_row(struct cli *c, struct table *t, const json_t *series, const struct map *names)
{
    const json_t *points = json_object_get(series, "points");
    size_t n = json_array_size(points), i;
    double *values = calloc(n ? n : 1, sizeof *values);
    json_t *point;
    _cleanup_buf_ struct buf name, chart;
    buf_init(&name, 0);
    buf_init(&chart, 0);
    if (!values)
        return;
    json_array_foreach ((json_t *)points, i, point) {
        const json_t *v = json_array_get(point, 1);
        values[i] = json_is_number(v) ? json_number_value(v) : NAN;
    }
    struct summary s = summarize(values, n);
    (void)buf_printf(&name, "%s ", name_in(names, json_str(series, "entity_id")));
    format_labels(&name, json_object_get(series, "tags"));
    format_sparkline(&chart, values, n, CHART_MARKS, c->term.utf8);
    table_cell(t, STYLE_NONE, buf_str(&name));
    table_cell(t, STYLE_GOOD, buf_str(&chart));
    number_cell(t, s.n > 0, s.last);
    number_cell(t, s.n > 0, s.min);
    number_cell(t, s.n > 0, s.sum / (double)(s.n ? s.n : 1));
    number_cell(t, s.n > 0, s.max);
    free(values);
}

static int print_query(struct cli *c, const json_t *reply)
{
    _cleanup_table_ struct table *t = text_table_new(query_columns, ARRAY_LEN(query_columns));
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    size_t i;
    json_t *series;
    char from[TIME_TEXT_LEN + 1], to[TIME_TEXT_LEN + 1], step[FORMAT_MAX];
    if (!t)
        return cli_fail(c, CLI_FAILED, "out of memory");
    struct map *names = read_names(c);
    json_array_foreach (json_object_get(reply, "series"), i, series)
        series_row(c, t, series, names);
    map_free(names);
    const char *unit = json_str(reply, "unit");
    (void)buf_printf(&out, "%s of %s%s%s, a point each %s, %s to %s\n\n", json_str(reply, "fn"),
                     json_str(reply, "name"), unit ? " in " : "", unit ? unit : "",
                     format_duration(json_num(reply, "step", 0) * 1000, step),
                     time_format(json_int(reply, "from", 0), from), time_format(json_int(reply, "to", 0), to));
    if (table_rows(t) == 0)
        (void)buf_puts(&out, "No series matches.\n");
    else
        (void)table_print(t, &c->term, &out);
    return cli_put(c, &out);
}

int cli_metrics_query(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/monitoring/query");
    path_query(&path, "name", args_word(&c->args, 0));
    path_query_option(&path, &c->args, "step", "step");
    path_query_option(&path, &c->args, "fn", "fn");
    path_query_option(&path, &c->args, "tag", "tag");
    int r = path_query_time(c, &path, "from", "from");
    if (r == CLI_OK)
        r = path_query_time(c, &path, "to", "to");
    if (r == CLI_OK)
        r = put_entities(c, &path);
    if (r != CLI_OK)
        return r;
    struct api_request rq = { .path = buf_str(&path) };
    _cleanup_reply_ struct api_reply reply;
    r = api_call(c, &rq, &reply);
    if (r != CLI_OK)
        return r;
    return c->json ? reply_print(c, &reply) : print_query(c, reply.json);
}
