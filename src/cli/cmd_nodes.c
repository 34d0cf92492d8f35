/* hbcloud nodes … */
#include "cli/list.h"

#include <string.h>

#define NODES "/v1/infrastructure/nodes"

static const struct table_column columns[] = {
    { .title = "NAME", .priority = 9, .min = 12 },
    { .title = "STATUS", .priority = 8 },
    { .title = "TYPE", .priority = 4 },
    { .title = "PROVIDER", .priority = 3 },
    { .title = "REGION", .priority = 2, .min = 6 },
    { .title = "CPU", .priority = 5, .right = true },
    { .title = "MEMORY", .priority = 5, .right = true },
    { .title = "DISK", .priority = 5, .right = true },
    { .title = "UPTIME", .priority = 4, .right = true },
    { .title = "SEEN", .priority = 6 },
    { .title = "LABELS", .priority = 1, .min = 8 },
};

static void gigabytes(struct table *t, const json_t *v)
{
    char text[FORMAT_MAX];
    if (json_is_number(v))
        table_cellf(t, STYLE_NONE, "%s GB", format_number(json_number_value(v), text));
    else
        table_cell(t, STYLE_DIM, NULL);
}

static void node_row(struct table *t, const json_t *node, const void *ctx UNUSED)
{
    char text[FORMAT_MAX];
    _cleanup_buf_ struct buf labels;
    buf_init(&labels, 0);
    format_labels(&labels, json_at(node, "labels"));
    const json_t *cpu = json_at(node, "resources.cpu");
    table_cell(t, STYLE_NONE, json_str(node, "name"));
    table_cell(t, style_of(json_str(node, "status")), json_str(node, "status"));
    table_cell(t, STYLE_NONE, json_str(node, "type"));
    table_cell(t, STYLE_NONE, json_str(node, "provider"));
    table_cell(t, STYLE_NONE, json_str(node, "region"));
    table_cell(t, STYLE_NONE, json_is_number(cpu) ? format_number(json_number_value(cpu), text) : NULL);
    gigabytes(t, json_at(node, "resources.memory"));
    gigabytes(t, json_at(node, "resources.storage"));
    table_cell(t, STYLE_NONE, format_percent(json_at(node, "monitoring.uptime"), text));
    table_cell(t, STYLE_NONE, format_ago(json_str(node, "metadata.lastSeen"), text));
    table_cell(t, STYLE_DIM, buf_str(&labels));
}

static void nodes_footer(struct cli *c, struct buf *out, const json_t *reply, size_t shown)
{
    (void)c, (void)shown;
    int64_t total = json_int(reply, "metadata.total", 0);
    (void)buf_printf(out, "%lld node%s, %lld active\n", (long long)total, total == 1 ? "" : "s",
                     (long long)json_int(reply, "metadata.active", 0));
}

int cli_nodes_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "nodes",
        .columns = columns,
        .n_columns = ARRAY_LEN(columns),
        .row = node_row,
        .footer = nodes_footer,
        .empty = "No node matches.",
    };
    static const char *const filters[] = { "provider", "type", "status", "label" };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, NODES);
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        path_query_option(&path, &c->args, filters[i], filters[i]);
    return list_show(c, &path, &view);
}

static void fact_resource(const struct term *t, struct buf *out, const char *title, const json_t *v, const char *unit)
{
    char number[FORMAT_MAX], text[64];
    if (!json_is_number(v))
        return;
    (void)snprintf(text, sizeof text, "%.30s%s", format_number(json_number_value(v), number), unit);
    fact(t, out, title, text);
}

static void show_node(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *node = json_object_get(reply, "node");
    char text[FORMAT_MAX], line[400];
    (void)snprintf(line, sizeof line, "%.64s, %.64s", json_str(node, "type"), json_str(node, "provider"));
    fact_styled(t, out, "Name", STYLE_BOLD, json_str(node, "name"));
    fact_styled(t, out, "Status", style_of(json_str(node, "status")), json_str(node, "status"));
    fact(t, out, "Kind", line);
    fact(t, out, "Region", json_str(node, "region"));
    fact_resource(t, out, "CPUs", json_at(node, "resources.cpu"), "");
    fact_resource(t, out, "Memory", json_at(node, "resources.memory"), " GB");
    fact_resource(t, out, "Disk", json_at(node, "resources.storage"), " GB");
    fact_resource(t, out, "Traffic", json_at(node, "resources.bandwidth"), " GB a month");
    if (json_is_number(json_at(node, "monitoring.uptime")))
        fact(t, out, "Uptime", format_percent(json_at(node, "monitoring.uptime"), text));
    fact(t, out, "Host name", json_str(node, "networking.hostname"));
    size_t i;
    json_t *address;
    json_array_foreach (json_at(node, "networking.addresses"), i, address)
        fact(t, out, i ? "" : "Addresses", json_string_value(address));
    fact(t, out, "System", json_str(node, "metadata.osVersion"));
    fact(t, out, "Kernel", json_str(node, "metadata.kernelVersion"));
    if (json_str(node, "metadata.engineName")) {
        (void)snprintf(line, sizeof line, "%.64s %.64s", json_str(node, "metadata.engineName"),
                       json_str(node, "metadata.engineVersion") ? json_str(node, "metadata.engineVersion") : "");
        fact(t, out, "Engine", line);
    }
    if (json_str(node, "engine.url"))
        fact(t, out, "Reached by", json_str(node, "engine.url"));
    _cleanup_buf_ struct buf labels;
    buf_init(&labels, 0);
    format_labels(&labels, json_at(node, "labels"));
    fact(t, out, "Labels", buf_str(&labels));
    fact_time(t, out, "Seen", json_str(node, "metadata.lastSeen"));
    fact_time(t, out, "Added", json_str(node, "metadata.createdAt"));
    fact(t, out, "Id", json_str(node, "id"));
}

int cli_nodes_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, NODES "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_node);
}

/* "secret:NAME", or a file. */
static void put_source_option(struct cli *c, json_t *engine, const char *option, const char *member)
{
    const char *said = args_get(&c->args, option);
    if (!said)
        return;
    bool secret = str_starts(said, "secret:");
    (void)json_put(engine, member, json_pack("{s:s}", secret ? "secret" : "file", secret ? said + 7 : said));
}

/* Plain TCP only where nothing of TLS is said. */
static const char *kind_of(struct cli *c, const char *url)
{
    bool tls = args_has(&c->args, "engine-key") || args_has(&c->args, "engine-certificate") ||
               args_has(&c->args, "engine-authority");
    return !url || str_eq(url, "none")      ? "none"
           : str_starts(url, "ssh:")        ? "ssh"
           : str_starts(url, "http")        ? "portainer"
           : str_starts(url, "tcp:") && tls ? "tls"
                                            : "local";
}

static void put_engine(struct cli *c, json_t *body)
{
    const char *url = args_get(&c->args, "engine"), *kind = args_get(&c->args, "engine-kind");
    if (!url && !kind)
        return;
    json_t *engine = json_pack("{s:s}", "kind", kind ? kind : kind_of(c, url));
    if (url && !str_eq(url, "none"))
        (void)json_put(engine, "url", json_string(url));
    put_source_option(c, engine, "engine-key", "key");
    put_source_option(c, engine, "engine-certificate", "certificate");
    put_source_option(c, engine, "engine-authority", "authority");
    put_text_option(c, engine, "engine-fingerprint", "fingerprint");
    put_number_option(c, engine, "engine-endpoint", "endpoint");
    (void)json_object_set_new(body, "engine", engine);
}

/* What `add` and `update` both take. */
static void put_node_facts(struct cli *c, json_t *body)
{
    put_text_option(c, body, "type", "type");
    put_text_option(c, body, "region", "region");
    put_number_option(c, body, "cpu", "resources.cpu");
    put_number_option(c, body, "memory", "resources.memory");
    put_number_option(c, body, "storage", "resources.storage");
    put_number_option(c, body, "bandwidth", "resources.bandwidth");
    put_text_option(c, body, "hostname", "networking.hostname");
    put_text_option(c, body, "public-ip", "networking.publicIP");
    put_text_option(c, body, "mesh-ip", "networking.tailscaleIP");
    put_engine(c, body);
}

int cli_nodes_add(struct cli *c)
{
    const char *name = args_word(&c->args, 0);
    _cleanup_json_ json_t *body = json_pack("{s:s, s:s, s:s}", "name", name, "type", "spoke", "provider", "other");
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    put_text_option(c, body, "provider", "provider");
    put_node_facts(c, body);
    int r = put_pairs_option(c, body, "label", "labels");
    bool asks = json_at(body, "engine") && !args_has(&c->args, "unchecked");
    struct api_request rq = { .method = "POST", .path = asks ? NODES "?check=true" : NODES, .body = body };
    const char *done = asks ? "is known; its container engine answers."
                            : "is known; it is offline until something of it has been seen.";
    return r == CLI_OK ? entity_write(c, &rq, done, name) : r;
}

static int patch_node(struct cli *c, const json_t *body, const char *done)
{
    const char *name = args_word(&c->args, 0);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, NODES "/", name, "");
    struct api_request rq = { .method = "PATCH", .path = buf_str(&path), .body = body };
    return entity_write(c, &rq, done, name);
}

int cli_nodes_update(struct cli *c)
{
    _cleanup_json_ json_t *body = json_object();
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    put_text_option(c, body, "name", "name");
    put_text_option(c, body, "status", "status");
    put_node_facts(c, body);
    if (json_object_size(body) == 0)
        return cli_fail(c, CLI_USAGE, "say what to change; see " CLI_NAME " nodes update --help");
    return patch_node(c, body, "is changed.");
}

/* "KEY=VALUE" sets, "KEY-" removes. */
static int put_label(struct cli *c, json_t *labels, const char *word)
{
    _cleanup_free_ char *key = NULL;
    const char *value;
    size_t len = strlen(word);
    if (split_pair(word, &key, &value) == 0)
        return json_object_set_new(labels, key, json_string(value)) == 0 ? CLI_OK : CLI_FAILED;
    if (len < 2 || word[len - 1] != '-')
        return cli_fail(c, CLI_USAGE, "a label is KEY=VALUE to set one or KEY- to remove one, not '%s'", word);
    _cleanup_free_ char *removed = strndup(word, len - 1);
    return removed && json_object_set_new(labels, removed, json_null()) == 0 ? CLI_OK : CLI_FAILED;
}

int cli_nodes_label(struct cli *c)
{
    _cleanup_json_ json_t *body = json_pack("{s:{}}", "labels");
    for (size_t i = 1; body && i < c->args.n_words; i++) {
        int r = put_label(c, json_object_get(body, "labels"), c->args.words[i]);
        if (r != CLI_OK)
            return r;
    }
    return body ? patch_node(c, body, "is labelled.") : cli_fail(c, CLI_FAILED, "out of memory");
}

int cli_nodes_remove(struct cli *c)
{
    const char *name = args_word(&c->args, 0);
    char question[400];
    (void)snprintf(question, sizeof question, "Forget the node %.200s?", name);
    int r = cli_confirm(c, question);
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, NODES "/", name, "");
    struct api_request rq = { .method = "DELETE", .path = buf_str(&path) };
    return entity_write(c, &rq, "is forgotten.", name);
}
