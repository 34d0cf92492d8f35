/* hbcloud volumes …: what there is, removal with a snapshot, snapshots. Removal and snapshots are jobs; the command
 * waits for their end. */
#include "cli/list.h"

#include <string.h>

#define VOLUMES "/v1/volumes"
#define LOOK_MS 300

/* ---- list */

static const struct table_column volume_columns[] = {
    { .title = "VOLUME", .priority = 9, .min = 12 },
    { .title = "NODE", .priority = 6, .min = 6 },
    { .title = "SERVICE", .priority = 8, .min = 8 },
    { .title = "USED BY", .priority = 7, .min = 8 },
    { .title = "DRIVER", .priority = 2 },
};

static void users_of(struct buf *out, const json_t *volume)
{
    size_t i;
    json_t *use;
    json_array_foreach (json_object_get(volume, "usedBy"), i, use) {
        const char *service = json_str(use, "service"), *container = json_str(use, "container");
        (void)buf_printf(out, "%s%s%s", i ? ", " : "",
                         service     ? service
                         : container ? container
                                     : "",
                         json_flag(use, "running", false) ? "" : " (stopped)");
    }
}

static void volume_row(struct table *t, const json_t *volume, const void *ctx UNUSED)
{
    _cleanup_buf_ struct buf users;
    buf_init(&users, 0);
    users_of(&users, volume);
    table_cell(t, STYLE_NONE, json_str(volume, "name"));
    table_cell(t, STYLE_NONE, json_str(volume, "node"));
    table_cell(t, STYLE_NONE, json_str(volume, "service"));
    table_cell(t, STYLE_NONE, buf_str(&users));
    table_cell(t, STYLE_DIM, json_str(volume, "driver"));
}

static void say_unreachable(struct cli *c, struct buf *out UNUSED, const json_t *reply, size_t shown UNUSED)
{
    size_t i;
    json_t *node;
    json_array_foreach (json_object_get(reply, "unreachable"), i, node)
        (void)cli_fail(c, CLI_OK, "the node %s is not shown: %s", json_str(node, "node"), json_str(node, "reason"));
}

int cli_volumes_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "volumes",
        .columns = volume_columns,
        .n_columns = ARRAY_LEN(volume_columns),
        .row = volume_row,
        .footer = say_unreachable,
        .empty = "There is no volume.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, VOLUMES);
    path_query_option(&path, &c->args, "node", "node");
    return list_show_all(c, buf_str(&path), &view);
}

/* ---- jobs */

/* Until the job ends; ctrl-C leaves it at its work. */
static int wait_for_job(struct cli *c, const char *id, struct api_reply *ret)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/jobs/", id, "");
    cli_catch_interrupts();
    for (;;) {
        struct api_request rq = { .path = buf_str(&path) };
        int r = api_call(c, &rq, ret);
        if (r != CLI_OK || json_str(ret->json, "job.endedAt"))
            return r;
        answer_done(ret);
        if (!cli_sleep(LOOK_MS))
            return cli_fail(c, CLI_INTERRUPTED, "interrupted; the job %s goes on", id);
    }
}

static int run_job(struct cli *c, const char *method, const char *path, const char *name, const char *done)
{
    struct api_request rq = { .method = method, .path = path };
    _cleanup_reply_ struct api_reply reply, end = { 0 };
    int r = api_call(c, &rq, &reply);
    const char *id = r == CLI_OK ? json_str(reply.json, "job.id") : NULL;
    if (r == CLI_OK && !args_has(&c->args, "no-wait") && id)
        r = wait_for_job(c, id, &end);
    if (r != CLI_OK)
        return r;
    const struct api_reply *last = end.json ? &end : &reply;
    const char *state = json_str(last->json, "job.state"), *reason = json_str(last->json, "job.reason");
    if (c->json)
        r = reply_print(c, last);
    if (end.json && !str_eq(state, "done"))
        return cli_fail(c, CLI_FAILED, "%s", reason ? reason : "it failed");
    if (c->json)
        return r;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    text_clean(&out, name, false);
    (void)buf_printf(&out, end.json ? " %s\n" : " %s: job %s\n", end.json ? done : "is worked on", id);
    return cli_put(c, &out);
}

int cli_volumes_remove(struct cli *c)
{
    const char *name = args_word(&c->args, 0);
    bool keep = !args_has(&c->args, "no-snapshot");
    char question[400];
    (void)snprintf(question, sizeof question, "Remove the volume %.200s%s?", name,
                   keep ? ", keeping a snapshot" : " and its data for good, without a snapshot");
    int r = cli_confirm(c, question);
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, VOLUMES "/", name, "");
    path_query(&path, "confirm", name);
    path_query(&path, "snapshot", keep ? NULL : "false");
    path_query_option(&path, &c->args, "node", "node");
    return run_job(c, "DELETE", buf_str(&path), name,
                   keep ? "is removed; its snapshot is in `hbcloud volumes snapshots`." : "is removed.");
}

int cli_volumes_snapshot(struct cli *c)
{
    const char *name = args_word(&c->args, 0);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, VOLUMES "/", name, "/snapshots");
    path_query_option(&path, &c->args, "node", "node");
    return run_job(c, "POST", buf_str(&path), name, "has a snapshot; see `hbcloud volumes snapshots`.");
}

/* ---- snapshots */

static const struct table_column snapshot_columns[] = {
    { .title = "VOLUME", .priority = 9, .min = 12 },   { .title = "TAKEN", .priority = 8 },
    { .title = "SIZE", .priority = 7, .right = true }, { .title = "FOR", .priority = 5 },
    { .title = "NODE", .priority = 4, .min = 6 },      { .title = "BY", .priority = 3, .min = 6 },
    { .title = "FILE", .priority = 6, .min = 20 },
};

static void size_text(double bytes, char ret[FORMAT_MAX])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    size_t unit = 0;
    for (; bytes >= 1000 && unit + 1 < ARRAY_LEN(units); unit++)
        bytes /= 1000;
    (void)snprintf(ret, FORMAT_MAX, unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void snapshot_row(struct table *t, const json_t *s, const void *ctx UNUSED)
{
    char text[FORMAT_MAX];
    table_cell(t, STYLE_NONE, json_str(s, "volume"));
    table_cell(t, STYLE_NONE, format_ago(json_str(s, "createdAt"), text));
    size_text(json_num(s, "bytes", 0), text);
    table_cell(t, STYLE_NONE, text);
    table_cell(t, STYLE_NONE, json_str(s, "reason"));
    table_cell(t, STYLE_NONE, json_str(s, "node"));
    table_cell(t, STYLE_NONE, json_str(s, "createdBy"));
    table_cell(t, STYLE_DIM, json_str(s, "file"));
}

static void snapshot_total(struct cli *c UNUSED, struct buf *out, const json_t *reply, size_t shown UNUSED)
{
    char used[FORMAT_MAX], most[FORMAT_MAX];
    size_text(json_num(reply, "bytes", 0), used);
    size_text(json_num(reply, "bytesMax", 0), most);
    (void)buf_printf(out, "%s of %s are used.\n", used, most);
}

int cli_volumes_snapshots(struct cli *c)
{
    static const struct list_view view = {
        .key = "snapshots",
        .columns = snapshot_columns,
        .n_columns = ARRAY_LEN(snapshot_columns),
        .row = snapshot_row,
        .footer = snapshot_total,
        .empty = "There is no snapshot.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/snapshots");
    path_query_option(&path, &c->args, "volume", "volume");
    return list_show(c, &path, &view);
}
