/* hbcloud certificates …, hbcloud registrations list */
#include "cli/list.h"

static const struct table_column certificate_columns[] = {
    { .title = "DOMAIN", .priority = 9, .min = 14 },   { .title = "STATUS", .priority = 9 },
    { .title = "DAYS", .priority = 8, .right = true }, { .title = "SERVICE", .priority = 6, .min = 10 },
    { .title = "ISSUER", .priority = 4, .min = 12 },   { .title = "RENEWED", .priority = 3 },
    { .title = "WHY", .priority = 5, .min = 16 },
};

static enum style status_style(const char *status)
{
    return str_eq(status, "ok") ? STYLE_GOOD : str_eq(status, "expiring") ? STYLE_WARN : STYLE_BAD;
}

static void certificate_row(struct table *t, const json_t *x, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX];
    const char *renewed = json_str(x, "lastRenewal");
    table_cell(t, STYLE_NONE, json_str(x, "domain"));
    table_cell(t, status_style(json_str(x, "status")), json_str(x, "status"));
    if (json_is_integer(json_object_get(x, "daysLeft")))
        table_cellf(t, STYLE_NONE, "%lld", (long long)json_int(x, "daysLeft", 0));
    else
        table_cell(t, STYLE_NONE, NULL);
    table_cell(t, STYLE_NONE, json_str(x, "service"));
    table_cell(t, STYLE_NONE, json_str(x, "issuer"));
    table_cell(t, STYLE_NONE, renewed ? format_ago(renewed, ago) : NULL);
    table_cell(t, STYLE_NONE, json_str(x, "reason"));
}

static const struct table_column registration_columns[] = {
    { .title = "ID", .priority = 9, .min = 12 },      { .title = "SERVICE", .priority = 8, .min = 8 },
    { .title = "ADDRESS", .priority = 8, .min = 12 }, { .title = "NODE", .priority = 4 },
    { .title = "REGISTERED", .priority = 9 },         { .title = "HEALTH", .priority = 7 },
    { .title = "WHY", .priority = 5, .min = 16 },
};

static void registration_row(struct table *t, const json_t *x, const void *ctx UNUSED)
{
    bool registered = json_flag(x, "registered", false);
    const char *health = json_str(x, "health");
    table_cell(t, STYLE_NONE, json_str(x, "id"));
    table_cell(t, STYLE_NONE, json_str(x, "service"));
    table_cellf(t, STYLE_NONE, "%s:%lld", json_str(x, "address"), (long long)json_int(x, "port", 0));
    table_cell(t, STYLE_NONE, json_str(x, "node"));
    table_cell(t, registered ? STYLE_GOOD : STYLE_BAD, registered ? "yes" : "not yet");
    table_cell(t, str_eq(health, "passing") ? STYLE_GOOD : STYLE_WARN, health);
    table_cell(t, STYLE_NONE, json_str(x, "reason"));
}

int cli_certificates_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "certificates",
        .columns = certificate_columns,
        .n_columns = ARRAY_LEN(certificate_columns),
        .row = certificate_row,
        .empty = "There is no certificate: no route has a domain, or the router speaks no TLS.",
    };
    return list_show_all(c, "/v1/certificates", &view);
}

static void registry_line(struct cli *c UNUSED, struct buf *out, const json_t *reply, size_t shown UNUSED)
{
    char ago[FORMAT_MAX];
    const char *since = json_str(reply, "registry.awaySince");
    if (!json_flag(json_object_get(reply, "registry"), "configured", false))
        (void)buf_puts(out, "No service registry is configured (consul.address).\n");
    else if (since)
        (void)buf_printf(
            out,
            "The registry does not answer (%s): this is what was known last. What it has missed it is told later.\n",
            format_ago(since, ago));
}

int cli_registrations_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "registrations",
        .columns = registration_columns,
        .n_columns = ARRAY_LEN(registration_columns),
        .row = registration_row,
        .footer = registry_line,
        .empty = "Nothing is registered.",
    };
    return list_show_all(c, "/v1/registrations", &view);
}

static void show_history(const struct term *t, struct buf *out, const json_t *history)
{
    static const struct table_column columns[] = {
        { .title = "SERIAL", .priority = 9, .min = 12 },
        { .title = "ISSUER", .priority = 5, .min = 12 },
        { .title = "FIRST SEEN", .priority = 8 },
        { .title = "UNTIL", .priority = 8 },
    };
    size_t i;
    json_t *x;
    char text[FORMAT_MAX];
    _cleanup_table_ struct table *table = text_table_new(columns, ARRAY_LEN(columns));
    json_array_foreach (history, i, x) {
        if (!table)
            return;
        table_cell(table, STYLE_NONE, json_str(x, "serial"));
        table_cell(table, STYLE_NONE, json_str(x, "issuer"));
        table_cell(table, STYLE_NONE, format_ago(json_str(x, "firstSeen"), text));
        table_cell(table, STYLE_NONE, json_str(x, "notAfter"));
    }
    if (json_array_size(history)) {
        (void)buf_putc(out, '\n');
        (void)table_print(table, t, out);
    }
}

static void show_certificate(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *x = json_object_get(reply, "certificate");
    size_t i;
    json_t *name;
    _cleanup_buf_ struct buf names;
    buf_init(&names, 0);
    json_array_foreach (json_object_get(x, "names"), i, name)
        (void)buf_printf(&names, "%s%s", i ? " " : "", json_string_value(name));
    fact_styled(t, out, "Domain", STYLE_BOLD, json_str(x, "domain"));
    fact_styled(t, out, "Status", status_style(json_str(x, "status")), json_str(x, "status"));
    fact(t, out, "Why", json_str(x, "reason"));
    fact(t, out, "Service", json_str(x, "service"));
    fact(t, out, "Issuer", json_str(x, "issuer"));
    fact(t, out, "Names", buf_str(&names));
    fact(t, out, "Serial", json_str(x, "serial"));
    fact_time(t, out, "Valid from", json_str(x, "notBefore"));
    fact_time(t, out, "Valid until", json_str(x, "notAfter"));
    fact_time(t, out, "Renewed", json_str(x, "lastRenewal"));
    fact_time(t, out, "Looked at", json_str(x, "checkedAt"));
    show_history(t, out, json_object_get(reply, "history"));
}

int cli_certificates_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/certificates/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_certificate);
}
