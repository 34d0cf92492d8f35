/* hbcloud routes … */
#include "cli/list.h"

#include <string.h>

#define ROUTES "/v1/routes"

static const struct table_column route_columns[] = {
    { .title = "SERVICE", .priority = 9, .min = 10 },
    { .title = "DOMAINS", .priority = 7, .min = 14 },
    { .title = "STATE", .priority = 9 },
    { .title = "UPSTREAMS", .priority = 6, .min = 14 },
    { .title = "IN FLIGHT", .priority = 5, .right = true },
    { .title = "REQUESTS", .priority = 4, .right = true },
    { .title = "5XX", .priority = 4, .right = true },
    { .title = "MEAN", .priority = 3, .right = true },
};

static void texts(struct buf *out, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x)
        (void)buf_printf(out, "%s%s", i ? " " : "", json_string_value(x));
}

static void cell_texts(struct table *t, const json_t *list)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    texts(&b, list);
    table_cell(t, STYLE_NONE, buf_str(&b));
}

static void cell_count(struct table *t, const json_t *n)
{
    if (json_is_number(n))
        table_cellf(t, STYLE_NONE, "%lld", (long long)json_number_value(n));
    else
        table_cell(t, STYLE_NONE, NULL);
}

/* One word for the router's verdict and for whether anybody is there to answer. */
static const char *state_of(const json_t *route)
{
    const char *state = json_str(route, "state");
    if (!str_eq(state, "accepted"))
        return state;
    return json_flag(route, "serving", false) ? "serving" : "unavailable";
}

static enum style route_style(const char *state)
{
    return str_eq(state, "serving") ? STYLE_GOOD : str_eq(state, "pending") ? STYLE_NONE : STYLE_BAD;
}

static void route_row(struct table *t, const json_t *route, const void *ctx UNUSED)
{
    char text[FORMAT_MAX];
    const json_t *mean = json_at(route, "figures.meanMs");
    table_cell(t, STYLE_NONE, json_str(route, "service"));
    cell_texts(t, json_object_get(route, "domains"));
    table_cell(t, route_style(state_of(route)), state_of(route));
    cell_texts(t, json_object_get(route, "upstreams"));
    cell_count(t, json_object_get(route, "inFlight"));
    cell_count(t, json_at(route, "figures.requests"));
    cell_count(t, json_at(route, "figures.responses.5xx"));
    table_cell(t, STYLE_NONE, json_is_number(mean) ? format_duration(json_number_value(mean), text) : NULL);
}

static void router_line(struct cli *c UNUSED, struct buf *out, const json_t *reply, size_t shown UNUSED)
{
    const json_t *router = json_object_get(reply, "router");
    if (!json_flag(router, "configured", false))
        (void)buf_puts(out,
                       "No router is configured (caddy.admin_url): services are reached at their published ports.\n");
    else
        (void)buf_printf(out, "The router %s; its configuration was changed %lld times since the hub's start.\n",
                         json_flag(router, "reached", false) ? "answers" : "does not answer",
                         (long long)json_int(router, "reloads", 0));
}

int cli_routes_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "routes",
        .columns = route_columns,
        .n_columns = ARRAY_LEN(route_columns),
        .row = route_row,
        .footer = router_line,
        .empty = "There is no route.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, ROUTES);
    return list_show(c, &path, &view);
}

static void fact_texts(const struct term *t, struct buf *out, const char *title, const json_t *list)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    texts(&b, list);
    fact(t, out, title, buf_str(&b));
}

static void fact_responses(const struct term *t, struct buf *out, const json_t *responses)
{
    const char *name;
    json_t *n;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    json_object_foreach ((json_t *)(uintptr_t)responses, name, n)
        if (json_integer_value(n))
            (void)buf_printf(&b, "%s%lld %s", b.len ? ", " : "", (long long)json_integer_value(n), name);
    fact(t, out, "Answers", buf_str(&b));
}

static void show_route(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *route = json_object_get(reply, "route"), *in_flight = json_object_get(route, "inFlight");
    char number[32] = "";
    fact_styled(t, out, "Service", STYLE_BOLD, json_str(route, "service"));
    fact_styled(t, out, "State", route_style(state_of(route)), state_of(route));
    fact(t, out, "Why", json_str(route, "reason"));
    fact_texts(t, out, "Domains", json_object_get(route, "domains"));
    fact(t, out, "URL", json_str(route, "url"));
    fact_texts(t, out, "Upstreams", json_object_get(route, "upstreams"));
    if (json_is_integer(in_flight))
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(in_flight));
    fact(t, out, "In flight", number);
    fact_responses(t, out, json_at(route, "figures.responses"));
    fact_time(t, out, "Changed", json_str(route, "updatedAt"));
    if (json_str(route, "rendered"))
        (void)buf_printf(out, "\n%s\n", json_str(route, "rendered"));
}

int cli_routes_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, ROUTES "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_route);
}
