#include "cli/sse.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>

void sse_init(struct sse *s, void (*on_event)(void *ctx, const struct sse_event *event), void *ctx)
{
    *s = (struct sse){ .on_event = on_event, .ctx = ctx };
    buf_init(&s->line, SSE_EVENT_MAX);
    buf_init(&s->data, SSE_EVENT_MAX);
}

void sse_done(struct sse *s)
{
    buf_done(&s->line);
    buf_done(&s->data);
}

void sse_restart(struct sse *s)
{
    buf_clear(&s->line);
    buf_clear(&s->data);
    s->type[0] = '\0';
    s->after_cr = s->begun = s->has_data = false;
}

static void dispatch(struct sse *s)
{
    if (s->has_data)
        s->on_event(s->ctx, &(struct sse_event){ .id = s->id, .type = s->type, .data = buf_str(&s->data) });
    buf_clear(&s->data);
    s->type[0] = '\0';
    s->has_data = false;
}

static void take_field(struct sse *s, const char *name, const char *value)
{
    if (str_eq(name, "data")) {
        if (s->has_data)
            (void)buf_putc(&s->data, '\n');
        (void)buf_puts(&s->data, value);
        s->has_data = true;
    } else if (str_eq(name, "id")) {
        str_copy(s->id, sizeof s->id, value);
    } else if (str_eq(name, "event")) {
        str_copy(s->type, sizeof s->type, value);
    }
}

static void take_line(struct sse *s)
{
    char *line = s->line.len ? s->line.data : NULL;
    if (!line) {
        dispatch(s);
        return;
    }
    if (!s->begun && str_starts(line, "\xef\xbb\xbf"))
        line += 3;
    s->begun = true;
    char *colon = strchr(line, ':');
    if (colon == line)
        return; /* a comment */
    char *value = colon ? colon + 1 : line + strlen(line);
    if (colon)
        *colon = '\0';
    take_field(s, line, *value == ' ' ? value + 1 : value);
}

int sse_feed(struct sse *s, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char ch = bytes[i];
        bool second = s->after_cr && ch == '\n';
        s->after_cr = ch == '\r';
        if (second)
            continue;
        if (ch == '\n' || ch == '\r') {
            take_line(s);
            buf_clear(&s->line);
        } else {
            (void)buf_putc(&s->line, ch);
        }
        if (!buf_ok(&s->line) || !buf_ok(&s->data))
            return -EMSGSIZE;
    }
    return 0;
}
