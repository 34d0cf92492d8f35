/* hbcloud events: every change, live; after a break it goes on behind the last event that was seen. */
#include "base/clock.h"
#include "cli/list.h"
#include "cli/sse.h"

#include <string.h>

#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 10000

struct events {
    struct cli *cli;
    struct sse sse;
    bool failed, any;
};

static const char *event_subject(const json_t *event)
{
    static const char *const names[] = { "data.name", "data.serviceName", "entityId" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_str(event, names[i]))
            return json_str(event, names[i]);
    return "";
}

/* What a person wants to know of it besides its name. */
static void put_event_detail(struct buf *out, const json_t *event)
{
    const char *state = json_str(event, "data.status.state");
    const json_t *values = json_at(event, "data.values"), *status = json_at(event, "data.status");
    if (state)
        (void)buf_printf(out, "  %s %.0f%%", state, json_num(event, "data.status.progress", 0));
    else if (json_is_string(status))
        (void)buf_printf(out, "  %s", json_string_value(status));
    else if (json_str(event, "data.status.deployment"))
        (void)buf_printf(out, "  %s, %s", json_str(event, "data.status.deployment"),
                         json_str(event, "data.status.health"));
    else if (values)
        (void)buf_printf(out, "  %zu values", json_object_size(values));
    const char *message = json_str(event, "data.status.message");
    if (message)
        (void)buf_printf(out, "  %s", message);
}

static void put_event(struct events *ev, struct buf *out, const json_t *event)
{
    _cleanup_buf_ struct buf line;
    buf_init(&line, 0);
    const char *at = json_str(event, "at"), *type = json_str(event, "type");
    (void)buf_printf(&line, "%.8s  %-20s  %s", at && strlen(at) > 19 ? at + 11 : "", type ? type : "",
                     event_subject(event));
    put_event_detail(&line, event);
    int width = ev->cli->term.width;
    (void)text_fit(out, buf_str(&line), width > 0 ? (size_t)width : SIZE_MAX, ev->cli->term.utf8);
    (void)buf_putc(out, '\n');
}

static void on_event(void *ctx, const struct sse_event *event)
{
    struct events *ev = ctx;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    ev->any = true;
    if (ev->cli->json) {
        (void)buf_printf(&out, "%s\n", event->data);
    } else {
        _cleanup_json_ json_t *json = NULL;
        if (json_parse(event->data, strlen(event->data), &json, NULL) < 0)
            return;
        if (str_eq(event->type, "hello"))
            return; /* the stream's own word: it begins */
        put_event(ev, &out, json);
    }
    ev->failed = cli_put(ev->cli, &out) != CLI_OK;
}

static bool on_bytes(void *ctx, const char *bytes, size_t len)
{
    struct events *ev = ctx;
    return sse_feed(&ev->sse, bytes, len) == 0 && !ev->failed;
}

static int connect_once(struct events *ev, const char *path)
{
    char header[128];
    (void)snprintf(header, sizeof header, "Last-Event-ID: %s", ev->sse.id);
    sse_restart(&ev->sse);
    struct api_reply reply;
    int r = api_stream(ev->cli, path, ev->sse.id[0] ? header : NULL, on_bytes, ev, &reply);
    bool away = !reply.status || reply.status == 503 || reply.status == 429 || (r == CLI_OK && !ev->failed);
    if (!ev->failed && !cli_interrupted() && (!away || (!ev->any && r != CLI_OK)))
        api_explain(ev->cli, &reply, r);
    answer_done(&reply);
    return away && (ev->any || r == CLI_OK) ? CLI_OK : r == CLI_OK ? CLI_FAILED : r;
}

static int follow_events(struct events *ev, const char *path)
{
    int wait = RETRY_MIN_MS;
    cli_catch_interrupts();
    for (;;) {
        int64_t begun = clock_mono_ms();
        int r = connect_once(ev, path);
        if (cli_interrupted() || ev->failed)
            return ev->failed ? CLI_FAILED : CLI_OK;
        if (r != CLI_OK)
            return r;
        wait = clock_mono_ms() - begun > RETRY_MAX_MS ? RETRY_MIN_MS
               : wait * 2 > RETRY_MAX_MS              ? RETRY_MAX_MS
                                                      : wait * 2;
        if (!cli_sleep(wait))
            return CLI_OK;
    }
}

int cli_events(struct cli *c)
{
    struct events ev = { .cli = c };
    const char *since = args_get(&c->args, "since");
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/events");
    path_query_option(&path, &c->args, "types", "types");
    sse_init(&ev.sse, on_event, &ev);
    str_copy(ev.sse.id, sizeof ev.sse.id, since ? since : "");
    int r = follow_events(&ev, buf_str(&path));
    sse_done(&ev.sse);
    return r;
}
