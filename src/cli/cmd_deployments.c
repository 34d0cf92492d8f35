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
    int r = path_query_time(c, &path, "from", "from");
    if (r == CLI_OK)
        r = path_query_time(c, &path, "to", "to");
    if (r != CLI_OK)
        return r;
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

static void show_probes(const struct term *t, struct buf *out, const json_t *receipt)
{
    static const char *const phases[] = { "before", "during", "after" };
    char line[200], path[32], p50[FORMAT_MAX], p99[FORMAT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        (void)snprintf(path, sizeof path, "probes.%s", phases[i]);
        const json_t *x = json_at(receipt, path);
        if (!json_int(x, "sent", 0))
            continue;
        (void)snprintf(line, sizeof line, "%-6s %lld sent, %lld failed, half within %s, 99%% within %s", phases[i],
                       (long long)json_int(x, "sent", 0), (long long)json_int(x, "failed", 0),
                       format_duration(json_num(x, "p50", 0), p50), format_duration(json_num(x, "p99", 0), p99));
        fact(t, out, i ? "" : "Probes", line);
    }
}

static void show_receipt(const struct term *t, struct buf *out, const json_t *receipt)
{
    char line[600], text[FORMAT_MAX];
    if (!receipt)
        return;
    fact(t, out, "Strategy", json_str(receipt, "strategy"));
    show_probes(t, out, receipt);
    if (json_at(receipt, "bound.held")) {
        bool held = json_flag(receipt, "bound.held", false);
        const char *why = json_str(receipt, "bound.reason");
        (void)snprintf(line, sizeof line, "%s%s%.500s", held ? "held" : "broken", why ? ": " : "", why ? why : "");
        fact_styled(t, out, "Bound", held ? STYLE_GOOD : STYLE_BAD, line);
    }
    if (json_at(receipt, "drain.durationMs")) {
        (void)snprintf(line, sizeof line, "%s%s", format_duration(json_num(receipt, "drain.durationMs", 0), text),
                       json_flag(receipt, "drain.forced", false) ? "; what was still open then was ended" : "");
        fact(t, out, "Drain", line);
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
    show_receipt(t, out, json_object_get(d, "receipt"));
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

int cli_deployments_cancel(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, DEPLOYMENTS "/", args_word(&c->args, 0), "/cancel");
    struct api_request rq = { .method = "POST", .path = buf_str(&path) };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK || c->json)
        return r == CLI_OK ? reply_print(c, &reply) : r;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    bool ended = str_eq(json_str(reply.json, "deployment.status.state"), "cancelled");
    text_clean(&out, json_str(reply.json, "deployment.serviceName"), false);
    (void)buf_puts(&out,
                   ended ? ": cancelled before it began.\n" : ": being undone; the earlier release goes on serving.\n");
    return cli_put(c, &out);
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
