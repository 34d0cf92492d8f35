/* hbcloud services logs: the exact bytes; following asks again from the last line's time and leaves out the lines
 * that it has shown. */
#include "base/clock.h"
#include "cli/list.h"

#include <string.h>

#define FOLLOW_MS 1000
#define STAMP_MAX 40

struct follow {
    struct cli *cli;
    bool stamps;             /* the person wants them too */
    char last[STAMP_MAX];    /* the time of the newest line that was shown */
    size_t at_last;          /* how many lines of that time were shown */
    bool begun;
};

static void logs_path(struct cli *c, struct buf *path, bool stamps)
{
    entity_path(path, "/v1/services/", args_word(&c->args, 0), "/logs");
    path_query_option(path, &c->args, "stream", "stream");
    if (stamps)
        path_query(path, "timestamps", "true");
}

static int show_once(struct cli *c, struct buf *path)
{
    struct api_request rq = { .path = buf_str(path), .accept = c->json ? "application/json" : "text/plain" };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK || c->json)
        return r == CLI_OK ? reply_print(c, &reply) : r;
    return cli_put(c, &reply.body);
}

/* A line "TIME text". False: it was shown before. */
static bool is_new(struct follow *f, const char *line, size_t stamp_len, size_t *seen_at_last)
{
    char stamp[STAMP_MAX];
    str_copy(stamp, stamp_len + 1, line);
    int order = strcmp(stamp, f->last);
    if (order < 0)
        return false;
    if (order == 0)
        return ++*seen_at_last > f->at_last;
    str_copy(f->last, sizeof f->last, stamp);
    f->at_last = 0;
    *seen_at_last = 1;
    return true;
}

static void show_new_lines(struct follow *f, const char *text, size_t len)
{
    size_t seen_at_last = 0;
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t line = end ? (size_t)(end - text) + 1 : len;
        const char *space = memchr(text, ' ', line);
        size_t stamp = space ? (size_t)(space - text) : 0;
        bool stamped = stamp > 10 && stamp < STAMP_MAX;
        if (!stamped || is_new(f, text, stamp, &seen_at_last)) {
            size_t skip = stamped && !f->stamps ? stamp + 1 : 0;
            (void)fwrite(text + skip, 1, line - skip, f->cli->out);
            if (stamped)
                f->at_last = seen_at_last;
        }
        text += line;
        len -= line;
    }
    (void)fflush(f->cli->out);
}

static int follow_once(struct follow *f, const char *tail, const char *since)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    logs_path(f->cli, &path, true);
    path_query(&path, "tail", tail);
    path_query(&path, "since", since);
    struct api_request rq = { .path = buf_str(&path), .accept = "text/plain", .quiet = true };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(f->cli, &rq, &reply);
    bool away = !reply.status || reply.status == 429 || reply.status == 503;
    if (r == CLI_OK)
        show_new_lines(f, buf_str(&reply.body), reply.body.len);
    else if (f->begun && away)
        return CLI_OK; /* it comes back */
    else
        api_explain(f->cli, &reply, r);
    f->begun = true;
    return r;
}

static int follow(struct cli *c, const char *since)
{
    struct follow f = { .cli = c, .stamps = args_has(&c->args, "timestamps") };
    const char *tail = args_get(&c->args, "tail");
    cli_catch_interrupts();
    int r = follow_once(&f, tail ? tail : "200", since);
    if (r == CLI_OK && str_eq(tail, "0"))
        (void)time_format(clock_now_ms(), f.last);
    while (r == CLI_OK && cli_sleep(FOLLOW_MS))
        r = follow_once(&f, "10000", *f.last ? f.last : since);
    return cli_interrupted() ? CLI_OK : r;
}

int cli_services_logs(struct cli *c)
{
    const char *since = args_get(&c->args, "since");
    char text[TIME_TEXT_LEN + 1];
    int64_t ms;
    if (since && parse_instant(since, -1, &ms) < 0)
        return cli_fail(c, CLI_USAGE,
                        "--since must be a time such as 2026-11-25T12:00:00Z, or a duration such as 2h; not '%s'",
                        since);
    if (since)
        since = time_format(ms, text);
    if (args_has(&c->args, "follow") && c->json)
        return cli_fail(c, CLI_USAGE, "--follow prints lines, --json one document; choose one");
    if (args_has(&c->args, "follow"))
        return follow(c, since);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    logs_path(c, &path, args_has(&c->args, "timestamps"));
    path_query_option(&path, &c->args, "tail", "tail");
    path_query(&path, "since", since);
    return show_once(c, &path);
}
