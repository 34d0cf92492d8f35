/* hbcloud status, config show, login. */
#include "base/buf.h"
#include "base/jsonw.h"
#include "base/secret.h"
#include "cli/discover.h"
#include "cli/list.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- status */

static void put_problems(const struct term *t, struct buf *out, const json_t *problems)
{
    size_t i;
    json_t *problem;
    char ago[FORMAT_MAX];
    if (json_array_size(problems) == 0)
        term_style(t, out, STYLE_GOOD, "Nothing is wrong.");
    json_array_foreach ((json_t *)problems, i, problem) {
        const char *severity = json_str(problem, "severity");
        term_style(t, out, style_of(severity), severity ? severity : "");
        (void)buf_puts(out, "  ");
        text_clean(out, json_str(problem, "title") ? json_str(problem, "title") : "", false);
        (void)buf_printf(out, " (%s)\n    ", format_ago(json_str(problem, "since"), ago));
        text_clean(out, json_str(problem, "detail") ? json_str(problem, "detail") : "", false);
        (void)buf_puts(out, i + 1 < json_array_size(problems) ? "\n" : "");
    }
    (void)buf_putc(out, '\n');
}

static void show_system(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *system = json_object_get(reply, "system");
    char line[400], ago[FORMAT_MAX];
    (void)snprintf(line, sizeof line, "%.200s, version %.64s, up since %s", client_url(c->client),
                   json_str(system, "version"), format_ago(json_str(system, "startedAt"), ago));
    fact_styled(t, out, "Hub", STYLE_BOLD, line);
    fact(t, out, "Data", json_str(system, "dataDirectory"));
    (void)snprintf(line, sizeof line, "%.32s, schema %lld", json_str(system, "database.kind"),
                   (long long)json_int(system, "database.schemaVersion", 0));
    fact(t, out, "Database", line);
    if (json_flag(system, "engine.available", false)) {
        (void)snprintf(line, sizeof line, "%.64s %.64s, API %.16s", json_str(system, "engine.name"),
                       json_str(system, "engine.version"), json_str(system, "engine.usedApiVersion"));
        fact(t, out, "Engine", line);
    } else {
        const char *reason = json_str(system, "engine.reason");
        fact_styled(t, out, "Engine", STYLE_WARN, reason ? reason : "does not answer");
    }
}

/* One line of counts; a call that fails ends the command as it would alone. */
static int put_count(struct cli *c, struct buf *out, const char *path, void (*put)(struct buf *, const json_t *))
{
    struct api_request rq = { .path = path };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r == CLI_OK)
        put(out, reply.json);
    return r;
}

static void node_counts(struct buf *out, const json_t *reply)
{
    (void)buf_printf(out, "%lld, of them %lld active", (long long)json_int(reply, "metadata.total", 0),
                     (long long)json_int(reply, "metadata.active", 0));
}

static void service_counts(struct buf *out, const json_t *reply)
{
    (void)buf_printf(out, "%lld healthy, %lld unhealthy, %lld unknown",
                     (long long)json_int(reply, "aggregated_health.healthy", 0),
                     (long long)json_int(reply, "aggregated_health.unhealthy", 0),
                     (long long)json_int(reply, "aggregated_health.unknown", 0));
}

int cli_status(struct cli *c)
{
    if (c->json)
        return entity_show(c, "/v1/system", show_system);
    struct api_request rq = { .path = "/v1/system" };
    _cleanup_reply_ struct api_reply reply;
    _cleanup_buf_ struct buf out, nodes, services;
    buf_init(&out, 0);
    buf_init(&nodes, 0);
    buf_init(&services, 0);
    int r = api_call(c, &rq, &reply);
    if (r == CLI_OK)
        r = put_count(c, &nodes, "/v1/infrastructure/nodes?limit=1", node_counts);
    if (r == CLI_OK)
        r = put_count(c, &services, "/v1/services?limit=1", service_counts);
    if (r != CLI_OK)
        return r;
    show_system(c, &out, reply.json);
    fact(&c->term, &out, "Nodes", buf_str(&nodes));
    fact(&c->term, &out, "Services", buf_str(&services));
    (void)buf_putc(&out, '\n');
    put_problems(&c->term, &out, json_at(reply.json, "system.problems"));
    return cli_put(c, &out);
}

/* ---- config show */

static const struct table_column setting_columns[] = {
    { .title = "SETTING", .priority = 9 },
    { .title = "VALUE", .priority = 8, .min = 10 },
    { .title = "FROM", .priority = 7 },
    { .title = "VARIABLE", .priority = 4 },
    { .title = "DESCRIPTION", .priority = 1, .min = 12 },
};

static void setting_cell(struct table *t, const json_t *value)
{
    size_t i;
    json_t *item;
    _cleanup_buf_ struct buf text;
    buf_init(&text, 0);
    if (json_is_string(value))
        (void)buf_puts(&text, json_string_value(value));
    else if (json_is_boolean(value))
        (void)buf_puts(&text, json_is_true(value) ? "true" : "false");
    else if (json_is_number(value))
        (void)buf_printf(&text, "%.15g", json_number_value(value));
    json_array_foreach ((json_t *)value, i, item)
        (void)buf_printf(&text, "%s%s", i ? "," : "", json_is_string(item) ? json_string_value(item) : "");
    table_cell(t, STYLE_NONE, buf_str(&text));
}

static void show_config(struct cli *c, struct buf *out, const json_t *reply)
{
    size_t i;
    json_t *setting;
    _cleanup_table_ struct table *t = text_table_new(setting_columns, ARRAY_LEN(setting_columns));
    if (!t)
        return;
    json_array_foreach (json_object_get(reply, "settings"), i, setting) {
        const char *source = json_str(setting, "source");
        table_cell(t, STYLE_NONE, json_str(setting, "key"));
        setting_cell(t, json_object_get(setting, "value"));
        table_cell(t, str_eq(source, "default") ? STYLE_DIM : STYLE_GOOD, source);
        table_cell(t, STYLE_NONE, json_str(setting, "env"));
        table_cell(t, STYLE_DIM, json_str(setting, "description"));
    }
    if (table_print(t, &c->term, out) < 0)
        out->failed = true;
}

int cli_config_show(struct cli *c)
{
    return entity_show(c, "/v1/config", show_config);
}

/* ---- login */

/* Makes the folders of a file, for its owner alone. */
static int make_folders(const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

/* JSON strings are YAML too. */
static int save(struct cli *c, const char *path, const char *url, const char *key)
{
    _cleanup_buf_ struct buf text;
    buf_init(&text, 0);
    struct jw w;
    (void)buf_puts(&text, "# Made by `" CLI_NAME " login`.\nurl: ");
    jw_init(&w, &text);
    jw_string(&w, url);
    (void)buf_puts(&text, "\nkey: ");
    jw_init(&w, &text);
    jw_string(&w, key);
    (void)buf_puts(&text, "\n");
    int r = buf_ok(&text) ? make_folders(path) : -ENOMEM;
    if (r == 0)
        r = file_write_atomic(path, text.data, text.len, 0600);
    if (text.data)
        secret_wipe(text.data, text.len);
    return r < 0 ? cli_fail(c, CLI_FAILED, "%s cannot be written: %s", path, strerror(-r)) : CLI_OK;
}

/* A login that does not work is not kept. */
static int try_key(struct cli *c, const char *url, const char *key)
{
    (void)setenv("HBCLOUD_URL", url, 1);
    (void)setenv("HBCLOUD_API_KEY", key, 1);
    client_free(TAKE(c->client));
    int r = client_new(c, &c->client);
    (void)unsetenv("HBCLOUD_API_KEY");
    if (r != CLI_OK)
        return r;
    struct api_request rq = { .path = "/v1/system" };
    _cleanup_reply_ struct api_reply reply;
    return api_call(c, &rq, &reply);
}

static char *key_to_save(struct cli *c)
{
    const char *file = args_get(&c->args, "key-file");
    char *text = NULL;
    if (!file)
        return cli_read_line(c, "API key: ", true);
    if (file_read(file, 8192, &text, NULL) < 0)
        return NULL;
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

int cli_login(struct cli *c)
{
    _cleanup_free_ char *path = login_file(), *url = strdup(client_url(c->client));
    if (!path || !url)
        return cli_fail(c, CLI_FAILED, "there is no HOME to keep a login in");
    if (c->asks)
        (void)fprintf(c->err, "The hub at %s (--url names another).\n", url);
    if (str_starts(url, "http://") && !url_is_loopback(url))
        (void)fprintf(c->err, "Without TLS, whoever is on the way to %s can read the key.\n", url);
    char *key = key_to_save(c);
    if (!key || !*key) {
        free(key);
        return cli_fail(c, CLI_USAGE, "no API key was given; `" CLI_NAME " keys create NAME` makes one");
    }
    int r = try_key(c, url, key);
    if (r == CLI_OK)
        r = save(c, path, url, key);
    secret_wipe(key, strlen(key));
    free(key);
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_printf(&out, "%s is saved in %s.\n", url, path);
    return cli_put(c, &out);
}
