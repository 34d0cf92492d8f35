#include "cli/plan.h"

#include "cli/format.h"

bool plan_wanted(struct cli *c, struct buf *path)
{
    if (args_has(&c->args, "plan"))
        path_query(path, "plan", "true");
    return args_has(&c->args, "plan");
}

static void put_clean(struct buf *out, const char *text)
{
    text_clean(out, text ? text : "", false);
}

/* "~ field: before -> after", "+ field: after", "- field: before" */
static void put_change(const struct term *t, struct buf *out, const json_t *change)
{
    const char *before = json_str(change, "before"), *after = json_str(change, "after");
    bool added = !before, removed = before && !after;
    (void)buf_puts(out, "  ");
    term_style(t, out, added ? STYLE_GOOD : removed ? STYLE_BAD : STYLE_WARN, added ? "+" : removed ? "-" : "~");
    (void)buf_putc(out, ' ');
    put_clean(out, json_str(change, "field"));
    (void)buf_puts(out, ": ");
    if (before)
        put_clean(out, before);
    if (before && after)
        (void)buf_puts(out, " -> ");
    if (after)
        put_clean(out, after);
    (void)buf_putc(out, '\n');
}

static void put_container(const struct term *t, struct buf *out, const json_t *x)
{
    const char *action = json_str(x, "action"), *container = json_str(x, "container"), *node = json_str(x, "node");
    bool keeps = str_eq(action, "keep");
    (void)buf_puts(out, "  ");
    term_style(t, out, keeps ? STYLE_DIM : str_eq(action, "remove") ? STYLE_BAD : STYLE_WARN, action);
    (void)buf_printf(out, " instance %lld", (long long)json_int(x, "instance", 1));
    if (container)
        (void)buf_printf(out, " (container %.12s)", container);
    if (node) {
        (void)buf_puts(out, " on ");
        put_clean(out, node);
    }
    (void)buf_putc(out, '\n');
}

static void put_list(const struct term *t, struct buf *out, const char *title, const json_t *list,
                     void (*put)(const struct term *t, struct buf *out, const json_t *item))
{
    size_t i;
    json_t *item;
    if (!json_array_size(list))
        return;
    (void)buf_printf(out, "%s\n", title);
    json_array_foreach (list, i, item)
        put(t, out, item);
}

static void put_note(const struct term *t UNUSED, struct buf *out, const json_t *note)
{
    (void)buf_puts(out, "  ");
    put_clean(out, json_string_value(note));
    (void)buf_putc(out, '\n');
}

static void put_facts(const struct term *t, struct buf *out, const json_t *plan)
{
    char line[1200];
    const char *type = json_str(plan, "strategy.type"), *why = json_str(plan, "strategy.reason");
    if (type || why) {
        (void)snprintf(line, sizeof line, "%s%s%s", type ? type : "none", why ? ": " : "", why ? why : "");
        fact(t, out, "Strategy", line);
    }
    (void)snprintf(line, sizeof line, "%s%s", json_flag(plan, "gateway.reload", false) ? "reload: " : "",
                   json_str(plan, "gateway.reason") ? json_str(plan, "gateway.reason") : "");
    fact(t, out, "Proxy", line);
    fact(t, out, "Queue", json_str(plan, "queue"));
}

int plan_show(struct cli *c, const struct api_reply *reply)
{
    if (c->json)
        return reply_print(c, reply);
    const json_t *plan = json_object_get(reply->json, "plan");
    const struct term *t = &c->term;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    if (!plan)
        return cli_fail(c, CLI_FAILED, "the hub gave no plan");
    term_style(t, &out, STYLE_BOLD, json_str(plan, "action"));
    (void)buf_putc(&out, ' ');
    put_clean(&out, json_str(plan, "service"));
    if (json_int(plan, "release", 0))
        (void)buf_printf(&out, " to release %lld", (long long)json_int(plan, "release", 0));
    (void)buf_puts(&out, "; nothing is done yet\n");
    put_list(t, &out, "Changes", json_at(plan, "changes"), put_change);
    put_list(t, &out, "Containers", json_at(plan, "containers"), put_container);
    put_facts(t, &out, plan);
    put_list(t, &out, "Notes", json_at(plan, "notes"), put_note);
    return cli_put(c, &out);
}
