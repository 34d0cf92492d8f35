/* hbcloud services releases, rollback, scale: what a service ran, and going back to it; how many of it run. */
#include "cli/follow.h"
#include "cli/list.h"
#include "cli/plan.h"

#define SERVICES "/v1/services/"

/* Sends what starts a deployment, or its plan; then follows it. */
static int deploy_and_follow(struct cli *c, const char *method, struct buf *path, const json_t *body, const char *done)
{
    int64_t timeout_ms;
    int r = follow_timeout(c, &timeout_ms);
    if (r != CLI_OK)
        return r;
    bool plan = plan_wanted(c, path);
    struct api_request rq = { .method = method, .path = buf_str(path), .body = body };
    _cleanup_reply_ struct api_reply reply;
    r = api_call(c, &rq, &reply);
    if (r != CLI_OK || plan)
        return r == CLI_OK ? plan_show(c, &reply) : r;
    return follow_started(c, &reply, args_word(&c->args, 0), done, timeout_ms);
}

int cli_services_rollback(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    _cleanup_json_ json_t *body = json_object();
    buf_init(&path, 0);
    entity_path(&path, SERVICES, args_word(&c->args, 0), "/rollback");
    put_number_option(c, body, "release", "release");
    return deploy_and_follow(c, "POST", &path, body, "runs the earlier release again.");
}

int cli_services_scale(struct cli *c)
{
    int64_t n;
    _cleanup_buf_ struct buf path;
    if (str_to_int64(args_word(&c->args, 1), &n) < 0 || n < 1 || n > 32)
        return cli_fail(c, CLI_USAGE, "N must be a number from 1 to 32, not '%s'", args_word(&c->args, 1));
    _cleanup_json_ json_t *body = json_pack("{s:I}", "instances", (json_int_t)n);
    buf_init(&path, 0);
    entity_path(&path, SERVICES, args_word(&c->args, 0), "");
    return deploy_and_follow(c, "PATCH", &path, body, "has as many instances as wanted.");
}

/* ---- releases */

static const struct table_column columns[] = {
    { .title = "RELEASE", .priority = 9, .right = true },
    { .title = "VERSION", .priority = 8, .min = 8 },
    { .title = "SERVED", .priority = 7 },
    { .title = "KEPT", .priority = 5 },
    { .title = "ROLLBACK", .priority = 6, .min = 8 },
    { .title = "BY", .priority = 3, .min = 6 },
    { .title = "IMAGE", .priority = 4, .min = 12 },
    { .title = "DIGEST", .priority = 1, .min = 20 },
};

static void release_row(struct table *t, const json_t *x)
{
    char ago[FORMAT_MAX];
    bool serving = json_flag(x, "serving", false), possible = json_flag(x, "rollback.possible", false);
    table_cellf(t, serving ? STYLE_BOLD : STYLE_NONE, "%lld", (long long)json_int(x, "number", 0));
    table_cell(t, STYLE_NONE, json_str(x, "version"));
    table_cell(t, serving ? STYLE_GOOD : STYLE_NONE,
               serving                   ? "now"
               : json_str(x, "servedAt") ? format_ago(json_str(x, "servedAt"), ago)
                                         : "never");
    table_cell(t, STYLE_NONE, json_flag(x, "pinned", false) ? "yes" : "no");
    table_cell(t, possible ? STYLE_GOOD : STYLE_DIM, possible ? "possible" : json_str(x, "rollback.reason"));
    table_cell(t, STYLE_NONE, json_str(x, "createdBy"));
    table_cell(t, STYLE_NONE, json_str(x, "image"));
    table_cell(t, STYLE_DIM, json_str(x, "digest"));
}

static void show_releases(struct cli *c, struct buf *out, const json_t *reply)
{
    size_t i;
    json_t *x;
    _cleanup_table_ struct table *t = text_table_new(columns, ARRAY_LEN(columns));
    json_array_foreach (json_object_get(reply, "releases"), i, x)
        if (t)
            release_row(t, x);
    if (!t || table_rows(t) == 0)
        (void)buf_puts(out, "The service has no release: it was not deployed by hbcloud.\n");
    else
        (void)table_print(t, &c->term, out);
}

int cli_services_releases(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SERVICES, args_word(&c->args, 0), "/releases");
    return entity_show(c, buf_str(&path), show_releases);
}
