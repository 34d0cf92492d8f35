/* hbcloud registries …: logins for pulls. A password comes from standard input or a hidden prompt. */
#include "cli/list.h"

#include <string.h>

#define REGISTRIES "/v1/registries"

static const struct table_column registry_columns[] = {
    { .title = "HOST", .priority = 9, .min = 12 },
    { .title = "USER", .priority = 8, .min = 8 },
    { .title = "SET", .priority = 6 },
    { .title = "BY", .priority = 5, .min = 6 },
};

static void registry_row(struct table *t, const json_t *registry, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX];
    table_cell(t, STYLE_NONE, json_str(registry, "host"));
    table_cell(t, STYLE_NONE, json_str(registry, "username"));
    table_cell(t, STYLE_NONE, format_ago(json_str(registry, "updatedAt"), ago));
    table_cell(t, STYLE_NONE, json_str(registry, "updatedBy"));
}

/* The list is one page: there are at most 200. */
int cli_registries_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "registries",
        .columns = registry_columns,
        .n_columns = ARRAY_LEN(registry_columns),
        .row = registry_row,
        .empty = "No registry login is kept; pulls are anonymous.",
    };
    return list_show_all(c, REGISTRIES, &view);
}

int cli_registries_login(struct cli *c)
{
    const char *host = args_word(&c->args, 0), *username = args_get(&c->args, "username");
    if (!username)
        return cli_fail(c, CLI_USAGE, "say who you are there with --username");
    char *password = cli_read_line(c, "Password or token (not shown): ", true);
    if (!password || !password[0]) {
        free(password);
        return cli_fail(c, CLI_FAILED, "no password was given");
    }
    _cleanup_json_ json_t *body = json_pack("{s:s, s:s}", "username", username, "password", password);
    secret_wipe(password, strlen(password));
    free(password);
    if (!body)
        return cli_fail(c, CLI_FAILED, "the user name or the password is no UTF-8 text");
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, REGISTRIES "/", host, "");
    path_query(&path, "check", args_has(&c->args, "no-check") ? NULL : "true");
    struct api_request rq = { .method = "PUT", .path = buf_str(&path), .body = body };
    return entity_write(c, &rq, "is logged in to; pulls from there use it from now on.", host);
}

int cli_registries_logout(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, REGISTRIES "/", args_word(&c->args, 0), "");
    struct api_request rq = { .method = "DELETE", .path = buf_str(&path) };
    return entity_write(c, &rq, "is forgotten; pulls from there are anonymous.", args_word(&c->args, 0));
}
