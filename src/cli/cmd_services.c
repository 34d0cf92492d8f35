/* hbcloud services …, but for deploying and logs. */
#include "cli/list.h"
#include "cli/plan.h"

#include <string.h>

#define SERVICES "/v1/services"

static const struct table_column columns[] = {
    { .title = "NAME", .priority = 9, .min = 12 },
    { .title = "STATUS", .priority = 8 },
    { .title = "HEALTH", .priority = 7 },
    { .title = "IMAGE", .priority = 4, .min = 10 },
    { .title = "TYPE", .priority = 2 },
    { .title = "URL", .priority = 6, .min = 12 },
    { .title = "MANAGED", .priority = 3 },
    { .title = "DEPLOYED", .priority = 5 },
};

static void image_text(const json_t *service, char *ret, size_t size)
{
    const char *image = json_str(service, "container.image"), *tag = json_str(service, "container.tag");
    (void)snprintf(ret, size, "%.200s%s%.100s", image ? image : "-", tag && *tag ? ":" : "", tag ? tag : "");
}

/* "web", and of several instances "web #2". */
static const char *instance_name(const json_t *service, char *ret, size_t size)
{
    int64_t ordinal = json_int(service, "ordinal", 1);
    const char *name = json_str(service, "name");
    if (ordinal < 2 && json_int(service, "instances.wanted", 1) < 2)
        return name;
    (void)snprintf(ret, size, "%.255s #%lld", name ? name : "", (long long)ordinal);
    return ret;
}

static void service_row(struct table *t, const json_t *service, const void *ctx UNUSED)
{
    char image[320], name[300], text[FORMAT_MAX];
    image_text(service, image, sizeof image);
    const char *state = json_str(service, "status.deployment"), *health = json_str(service, "status.health");
    table_cell(t, STYLE_NONE, instance_name(service, name, sizeof name));
    table_cell(t, style_of(state), state);
    table_cell(t, style_of(health), health);
    table_cell(t, STYLE_NONE, image);
    table_cell(t, STYLE_NONE, json_str(service, "type"));
    table_cell(t, STYLE_NONE, json_str(service, "networking.url"));
    table_cell(t, STYLE_NONE, json_flag(service, "managed", false) ? "yes" : "no");
    table_cell(t, STYLE_NONE, format_ago(json_str(service, "metadata.deployedAt"), text));
}

static void services_footer(struct cli *c, struct buf *out, const json_t *reply, size_t shown)
{
    (void)c, (void)shown;
    (void)buf_printf(out, "%lld healthy, %lld unhealthy, %lld unknown\n",
                     (long long)json_int(reply, "aggregated_health.healthy", 0),
                     (long long)json_int(reply, "aggregated_health.unhealthy", 0),
                     (long long)json_int(reply, "aggregated_health.unknown", 0));
}

int cli_services_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "services",
        .columns = columns,
        .n_columns = ARRAY_LEN(columns),
        .row = service_row,
        .footer = services_footer,
        .empty = "No service matches.",
    };
    static const char *const filters[][2] = {
        { "node", "nodeId" },   { "type", "type" }, { "status", "status" },
        { "health", "health" }, { "search", "q" },  { "service", "service" },
    };
    if (args_has(&c->args, "managed") && args_has(&c->args, "unmanaged"))
        return cli_fail(c, CLI_USAGE, "--managed and --unmanaged leave nothing");
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, SERVICES);
    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        path_query_option(&path, &c->args, filters[i][0], filters[i][1]);
    if (args_has(&c->args, "managed") || args_has(&c->args, "unmanaged"))
        path_query(&path, "managed", args_has(&c->args, "managed") ? "true" : "false");
    return list_show(c, &path, &view);
}

static void show_mounts_and_ports(const struct term *t, struct buf *out, const json_t *service)
{
    size_t i;
    json_t *item;
    char line[700];
    json_array_foreach (json_at(service, "networking.ports"), i, item) {
        const char *address = json_str(item, "address");
        (void)snprintf(line, sizeof line, "%.64s:%lld to %lld/%.8s", address ? address : "",
                       (long long)json_int(item, "host", 0), (long long)json_int(item, "container", 0),
                       json_str(item, "protocol"));
        fact(t, out, i ? "" : "Ports", line);
    }
    json_array_foreach (json_at(service, "container.volumes"), i, item) {
        (void)snprintf(line, sizeof line, "%.300s on %.300s%s", json_str(item, "source"), json_str(item, "target"),
                       json_flag(item, "readonly", false) ? " (read-only)" : "");
        fact(t, out, i ? "" : "Volumes", line);
    }
    _cleanup_buf_ struct buf keys;
    buf_init(&keys, 0);
    json_array_foreach (json_at(service, "container.environment"), i, item)
        (void)buf_printf(&keys, "%s%s", i ? " " : "", json_string_value(item));
    fact(t, out, "Variables", buf_str(&keys));
}

static void show_service(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *service = json_object_get(reply, "service");
    char image[320], name[300], text[FORMAT_MAX], node[256];
    const char *state = json_str(service, "status.deployment"), *health = json_str(service, "status.health");
    image_text(service, image, sizeof image);
    fact_styled(t, out, "Name", STYLE_BOLD, instance_name(service, name, sizeof name));
    fact_styled(t, out, "Status", style_of(state), state);
    fact_styled(t, out, "Health", style_of(health), health);
    fact(t, out, "Message", json_str(service, "status.message"));
    fact(t, out, "URL", json_str(service, "networking.url"));
    fact(t, out, "Type", json_str(service, "type"));
    fact(t, out, "Environment", json_str(service, "environment"));
    fact(t, out, "Managed",
         json_flag(service, "managed", false) ? "yes" : "no; `" CLI_NAME " services adopt` takes it into care");
    fact(t, out, "Node", node_name_of(c, json_str(service, "nodeId"), node, sizeof node));
    if (json_int(service, "instances.wanted", 1) != 1 || json_int(service, "ordinal", 1) != 1) {
        (void)snprintf(text, sizeof text, "%lld wanted, %lld run, %lld healthy",
                       (long long)json_int(service, "instances.wanted", 1),
                       (long long)json_int(service, "instances.running", 0),
                       (long long)json_int(service, "instances.healthy", 0));
        fact(t, out, "Instances", text);
    }
    fact(t, out, "Image", image);
    fact(t, out, "Digest", json_str(service, "container.digest"));
    fact(t, out, "Container", json_str(service, "container.id"));
    fact(t, out, "Command", json_str(service, "container.command"));
    show_mounts_and_ports(t, out, service);
    if (json_is_number(json_at(service, "status.uptime")))
        fact(t, out, "Uptime", format_percent(json_at(service, "status.uptime"), text));
    fact_time(t, out, "Deployed", json_str(service, "metadata.deployedAt"));
    fact(t, out, "By", json_str(service, "metadata.deployedBy"));
    fact(t, out, "Version", json_str(service, "metadata.version"));
    fact(t, out, "Id", json_str(service, "id"));
}

int cli_services_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SERVICES "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_service);
}

static int show_plan_of(struct cli *c, const struct api_request *rq)
{
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, rq, &reply);
    return r == CLI_OK ? plan_show(c, &reply) : r;
}

/* POST /v1/services/{name}/<verb> */
static int service_action(struct cli *c, const char *verb, const char *done)
{
    const char *name = args_word(&c->args, 0);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SERVICES "/", name, "/");
    (void)buf_puts(&path, verb);
    if (plan_wanted(c, &path)) {
        struct api_request asked = { .method = "POST", .path = buf_str(&path) };
        return show_plan_of(c, &asked);
    }
    /* Stopping waits for the container's own grace. */
    struct api_request rq = { .method = "POST", .path = buf_str(&path), .timeout_ms = 120000 };
    return entity_write(c, &rq, done, name);
}

int cli_services_start(struct cli *c)
{
    return service_action(c, "start", "is started.");
}

int cli_services_stop(struct cli *c)
{
    return service_action(c, "stop", "is stopped.");
}

int cli_services_restart(struct cli *c)
{
    return service_action(c, "restart", "is restarted.");
}

int cli_services_adopt(struct cli *c)
{
    return service_action(c, "adopt", "is in hbcloud's care.");
}

int cli_services_repair(struct cli *c)
{
    return service_action(c, "repair",
                          "is as it was deployed, or will be when the deployment that mends it has ended.");
}

/* The API wants the service's name as a confirmation; an id that was typed is read for it. */
static int name_of(struct cli *c, const char *reference, char *ret, size_t size)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SERVICES "/", reference, "");
    struct api_request rq = { .path = buf_str(&path) };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    const char *name = r == CLI_OK ? json_str(reply.json, "service.name") : NULL;
    if (r == CLI_OK && !name)
        return cli_fail(c, CLI_FAILED, "the hub did not say the service's name");
    if (name)
        str_copy(ret, size, name);
    return r;
}

int cli_services_remove(struct cli *c)
{
    char name[256], question[600];
    int r = name_of(c, args_word(&c->args, 0), name, sizeof name);
    if (r != CLI_OK)
        return r;
    bool volumes = args_has(&c->args, "volume");
    (void)snprintf(question, sizeof question, "Remove the service %s and its container%s?", name,
                   !volumes                            ? "; its volumes stay"
                   : args_has(&c->args, "no-snapshot") ? ", and the data of the volumes that are named, for good"
                                                       : ", and the volumes that are named, keeping snapshots");
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SERVICES "/", args_word(&c->args, 0), "");
    path_query(&path, "confirm", name);
    if (plan_wanted(c, &path)) {
        struct api_request asked = { .method = "DELETE", .path = buf_str(&path) };
        return show_plan_of(c, &asked);
    }
    r = cli_confirm(c, question);
    if (r != CLI_OK)
        return r;
    path_query_option(&path, &c->args, "volume", "volumes");
    path_query(&path, "snapshot", args_has(&c->args, "no-snapshot") ? "false" : NULL);
    path_query(&path, "abandon", args_has(&c->args, "abandon") ? "true" : NULL);
    struct api_request rq = { .method = "DELETE", .path = buf_str(&path), .timeout_ms = 120000 };
    return entity_write(c, &rq, "is removed.", name);
}
