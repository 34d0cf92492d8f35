#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/str.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_LIMIT 8192

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static _Atomic int threshold = LOG_INFO;
static int log_fd = STDERR_FILENO;
static bool human;
static _Thread_local char context[64];

void log_init(enum log_level level, enum log_format format, int fd)
{
    atomic_store(&threshold, (int)level);
    log_fd = fd;
    human = format == LOG_HUMAN || (format == LOG_AUTO && isatty(fd));
}

int log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq(name, level_names[i])) {
            *ret = (enum log_level)i;
            return 0;
        }
    return -EINVAL;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_context(const char *id)
{
    str_copy(context, sizeof context, id ? id : "");
}

const char *log_context_get(void)
{
    return context;
}

static void format_json(struct buf *line, enum log_level level, const char *room, const char *text)
{
    char at[TIME_TEXT_LEN + 1];
    struct jw w;
    jw_init(&w, line);
    jw_object(&w);
    jw_key(&w, "time"), jw_string(&w, time_format(clock_now_ms(), at));
    jw_key(&w, "level"), jw_string(&w, level_names[level]);
    jw_key(&w, "room"), jw_string(&w, room);
    if (context[0])
        jw_key(&w, "requestId"), jw_string(&w, context);
    jw_key(&w, "message"), jw_string(&w, text);
    jw_end(&w);
    (void)buf_putc(line, '\n');
}

static void format_human(struct buf *line, enum log_level level, const char *room, const char *text)
{
    static const char *const colours[] = { "\033[2m", "", "\033[33m", "\033[31m" };
    char at[TIME_TEXT_LEN + 1];
    (void)time_format(clock_now_ms(), at);
    (void)buf_printf(line, "%s%.8s %-5s %-10s ", colours[level], at + 11, level_names[level], room);
    /* A control character of some input must not move the reader's cursor. */
    for (const char *p = text; *p; p++)
        (void)buf_putc(line, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
    (void)buf_puts(line, colours[level][0] ? "\033[0m\n" : "\n");
}

void log_write(enum log_level level, const char *room, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char text[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    _cleanup_buf_ struct buf line;
    buf_init(&line, LINE_LIMIT);
    (human ? format_human : format_json)(&line, level, room, text);
    /* One write a line; a log that cannot be written has nowhere to complain. */
    ssize_t n = write(log_fd, buf_str(&line), line.len);
    (void)n;
}
