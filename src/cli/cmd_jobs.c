/* hbcloud jobs … */
#include "cli/list.h"

#include <string.h>

#define JOBS "/v1/jobs"

static const struct table_column job_columns[] = {
    { .title = "JOB", .priority = 9 },
    { .title = "WHAT", .priority = 8, .min = 12 },
    { .title = "STATE", .priority = 9 },
    { .title = "TRIES", .priority = 4, .right = true },
    { .title = "MADE", .priority = 6 },
    { .title = "NEXT", .priority = 5 },
    { .title = "WHY", .priority = 3, .min = 10 },
};

static void job_row(struct table *t, const json_t *job, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX];
    const char *state = json_str(job, "state");
    bool cancelling = json_str(job, "cancelRequestedAt") && !json_str(job, "endedAt");
    table_cell(t, STYLE_DIM, json_str(job, "id"));
    table_cell(t, STYLE_NONE, json_str(job, "title"));
    table_cell(t, style_of(state), cancelling ? "cancelling" : state);
    table_cellf(t, STYLE_NONE, "%lld", (long long)json_int(job, "attempt", 0));
    table_cell(t, STYLE_NONE, format_ago(json_str(job, "createdAt"), ago));
    table_cell(t, STYLE_NONE, json_str(job, "nextRunAt") ? format_ago(json_str(job, "nextRunAt"), ago) : NULL);
    table_cell(t, STYLE_NONE, json_str(job, "reason"));
}

static void job_counts(struct cli *c UNUSED, struct buf *out, const json_t *reply, size_t shown UNUSED)
{
    static const char *const states[] = { "waiting", "running", "done", "failed", "cancelled" };
    const json_t *counts = json_object_get(reply, "counts");
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        (void)buf_printf(out, "%s%lld %s", i ? ", " : "", (long long)json_int(counts, states[i], 0), states[i]);
    (void)buf_puts(out, "\n");
}

int cli_jobs_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "jobs",
        .columns = job_columns,
        .n_columns = ARRAY_LEN(job_columns),
        .row = job_row,
        .footer = job_counts,
        .empty = "No job matches.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, JOBS);
    path_query_option(&path, &c->args, "state", "state");
    path_query_option(&path, &c->args, "kind", "kind");
    return list_show(c, &path, &view);
}

static void show_arguments(struct cli *c, struct buf *out, const json_t *arguments)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)arguments, key, value) {
        _cleanup_free_ char *text = json_is_string(value) ? strdup(json_string_value(value)) : json_text(value, NULL);
        fact(&c->term, out, key, text);
    }
}

static void show_job(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *job = json_object_get(reply, "job");
    char tries[64];
    int64_t most = json_int(job, "maxAttempts", 0);
    (void)snprintf(tries, sizeof tries, most ? "%lld of %lld" : "%lld", (long long)json_int(job, "attempt", 0),
                   (long long)most);
    fact_styled(t, out, "Job", STYLE_BOLD, json_str(job, "title"));
    fact(t, out, "Kind", json_str(job, "kind"));
    fact_styled(t, out, "State", style_of(json_str(job, "state")), json_str(job, "state"));
    fact(t, out, "Why", json_str(job, "reason"));
    fact(t, out, "Begun", tries);
    fact(t, out, "Schedule", json_str(job, "schedule"));
    fact_time(t, out, "Made", json_str(job, "createdAt"));
    fact_time(t, out, "Started", json_str(job, "startedAt"));
    fact_time(t, out, "Next", json_str(job, "nextRunAt"));
    fact_time(t, out, "Ended", json_str(job, "endedAt"));
    fact_time(t, out, "Deadline", json_str(job, "deadlineAt"));
    fact_time(t, out, "Cancel asked", json_str(job, "cancelRequestedAt"));
    show_arguments(c, out, json_object_get(job, "arguments"));
    fact(t, out, "Id", json_str(job, "id"));
}

int cli_jobs_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, JOBS "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_job);
}

static int ask_of_job(struct cli *c, const char *what, const char *done)
{
    const char *id = args_word(&c->args, 0);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, JOBS "/", id, what);
    struct api_request rq = { .method = "POST", .path = buf_str(&path) };
    return entity_write(c, &rq, done, id);
}

int cli_jobs_cancel(struct cli *c)
{
    return ask_of_job(c, "/cancel", "is cancelled; one that runs ends when it has put things in order.");
}

int cli_jobs_retry(struct cli *c)
{
    return ask_of_job(c, "/retry", "runs again.");
}

/* ---- schedules */

static const struct table_column schedule_columns[] = {
    { .title = "SCHEDULE", .priority = 9, .min = 12 },
    { .title = "WHEN", .priority = 8 },
    { .title = "ZONE", .priority = 4 },
    { .title = "NEXT", .priority = 7 },
    { .title = "LAST", .priority = 6 },
    { .title = "ENDED", .priority = 5 },
    { .title = "SKIPPED", .priority = 2, .right = true },
};

static void schedule_row(struct table *t, const json_t *s, const void *ctx UNUSED)
{
    char text[FORMAT_MAX];
    table_cell(t, STYLE_NONE, json_str(s, "name"));
    if (json_str(s, "cron"))
        table_cell(t, STYLE_NONE, json_str(s, "cron"));
    else
        table_cellf(t, STYLE_NONE, "every %s", format_duration(json_num(s, "every", 0) * 1000, text));
    table_cell(t, STYLE_NONE, json_str(s, "timeZone"));
    table_cell(t, STYLE_NONE, format_ago(json_str(s, "nextAt"), text));
    table_cell(t, STYLE_NONE, json_str(s, "lastAt") ? format_ago(json_str(s, "lastAt"), text) : "never");
    table_cell(t, style_of(json_str(s, "lastState")), json_str(s, "lastState"));
    table_cellf(t, STYLE_DIM, "%lld", (long long)json_int(s, "skipped", 0));
}

int cli_jobs_schedules(struct cli *c)
{
    static const struct list_view view = {
        .key = "schedules",
        .columns = schedule_columns,
        .n_columns = ARRAY_LEN(schedule_columns),
        .row = schedule_row,
        .empty = "Nothing is done at set times.",
    };
    return list_show_all(c, "/v1/schedules", &view);
}
