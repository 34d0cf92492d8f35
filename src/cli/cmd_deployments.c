/* hbcloud deployments … */
#include "cli/follow.h"
#include "cli/list.h"

#define DEPLOYMENTS "/v1/deployments"

static const struct table_column columns[] = {
    { .title = "SERVICE", .priority = 9, .min = 10 },
    { .title = "STATE", .priority = 8 },
    { .title = "CHANGE", .priority = 2 },
    { .title = "VERSION", .priority = 6, .min = 8 },
    { .title = "STARTED", .priority = 7 },
    { .title = "TOOK", .priority = 5, .right = true },
    { .title = "BY", .priority = 3, .min = 6 },
    { .title = "ID", .priority = 8 },
    { .title = "MESSAGE", .priority = 1, .min = 10 },
};

static void deployment_row(struct table *t, const json_t *d, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX], took[FORMAT_MAX];
    const char *state = json_str(d, "status.state");
    table_cell(t, STYLE_NONE, json_str(d, "serviceName"));
    table_cell(t, style_of(state), state);
    table_cell(t, STYLE_NONE, json_str(d, "changes.type"));
    table_cell(t, STYLE_NONE, json_str(d, "changes.toVersion"));
    table_cell(t, STYLE_NONE, format_ago(json_str(d, "timing.startedAt"), ago));
    table_cell(t, STYLE_NONE, format_duration(json_num(d, "timing.duration", -1), took));
    table_cell(t, STYLE_NONE, json_str(d, "deployment.initiatedBy"));
    table_cell(t, STYLE_DIM, json_str(d, "id"));
    table_cell(t, STYLE_NONE, json_str(d, "status.message"));
}

static void deployments_footer(struct cli *c, struct buf *out, const json_t *reply, size_t shown)
{
    (void)c, (void)shown;
    char rate[FORMAT_MAX], mean[FORMAT_MAX];
    const json_t *success = json_at(reply, "analytics.success_rate");
    if (json_is_number(success))
        (void)buf_printf(out, "%s completed; %s on average\n", format_percent(success, rate),
                         format_duration(json_num(reply, "analytics.average_duration", -1), mean));
}

int cli_deployments_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "deployments",
        .columns = columns,
        .n_columns = ARRAY_LEN(columns),
        .row = deployment_row,
        .footer = deployments_footer,
        .empty = "No deployment matches.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, DEPLOYMENTS);
    path_query_option(&path, &c->args, "service", "service_id");
    path_query_option(&path, &c->args, "state", "state");
    path_query_option(&path, &c->args, "environment", "environment");
    path_query_option(&path, &c->args, "trigger", "trigger");
    return list_show(c, &path, &view);
}

static void show_changes(const struct term *t, struct buf *out, const json_t *d)
{
    size_t i;
    json_t *change;
    char line[400];
    json_array_foreach (json_at(d, "changes.configChanges"), i, change) {
        const char *old = json_str(change, "oldValue"), *new = json_str(change, "newValue");
        (void)snprintf(line, sizeof line, "%.100s: %.120s -> %.120s", json_str(change, "key"), old ? old : "(none)",
                       new ? new : "(removed)");
        fact(t, out, i ? "" : "Changes", line);
    }
}

static void show_deployment(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *d = json_object_get(reply, "deployment");
    const char *state = json_str(d, "status.state");
    char text[FORMAT_MAX], line[200], node[256];
    (void)snprintf(line, sizeof line, "%.0f%%", json_num(d, "status.progress", 0));
    fact_styled(t, out, "Service", STYLE_BOLD, json_str(d, "serviceName"));
    fact_styled(t, out, "State", style_of(state), state);
    fact(t, out, "Progress", line);
    fact(t, out, "Step", json_str(d, "status.step"));
    fact(t, out, "Message", json_str(d, "status.message"));
    fact(t, out, "Change", json_str(d, "changes.type"));
    fact(t, out, "From", json_str(d, "changes.fromVersion"));
    fact(t, out, "To", json_str(d, "changes.toVersion"));
    fact(t, out, "Image", json_str(d, "changes.imageChanges.newImage"));
    show_changes(t, out, d);
    fact(t, out, "Trigger", json_str(d, "deployment.trigger"));
    fact(t, out, "By", json_str(d, "deployment.initiatedBy"));
    fact(t, out, "Node", node_name_of(c, json_str(d, "nodeId"), node, sizeof node));
    fact_time(t, out, "Started", json_str(d, "timing.startedAt"));
    fact_time(t, out, "Ended", json_str(d, "timing.completedAt"));
    if (json_at(d, "timing.duration"))
        fact(t, out, "Took", format_duration(json_num(d, "timing.duration", 0), text));
    size_t i;
    json_t *item;
    json_array_foreach (json_at(d, "timing.phases"), i, item) {
        (void)snprintf(line, sizeof line, "%-12.32s %-8.16s %s", json_str(item, "name"), json_str(item, "status"),
                       format_duration(json_num(item, "duration", 0), text));
        fact(t, out, i ? "" : "Steps", line);
    }
    fact(t, out, "Id", json_str(d, "id"));
    if (json_array_size(json_at(d, "status.logs")))
        (void)buf_puts(out, "\n");
    json_array_foreach (json_at(d, "status.logs"), i, item) {
        text_clean(out, json_string_value(item), true);
        (void)buf_putc(out, '\n');
    }
}

int cli_deployments_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, DEPLOYMENTS "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_deployment);
}

int cli_deployments_watch(struct cli *c)
{
    int64_t timeout_ms;
    int r = follow_timeout(c, &timeout_ms);
    if (r != CLI_OK)
        return r;
    _cleanup_reply_ struct api_reply last;
    r = follow_deployment(c, args_word(&c->args, 0), timeout_ms, &last);
    if (c->json && last.json) {
        int printed = reply_print(c, &last);
        return r == CLI_OK ? printed : r;
    }
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    text_clean(&out, json_str(last.json, "deployment.serviceName"), false);
    (void)buf_puts(&out, ": completed\n");
    return cli_put(c, &out);
}
