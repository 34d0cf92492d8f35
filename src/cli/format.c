#include "cli/format.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MINUTE 60
#define HOUR 3600
#define DAY 86400

static void span_text(int64_t seconds, char *ret, size_t size)
{
    if (seconds < MINUTE)
        (void)snprintf(ret, size, "%d s", (int)seconds);
    else if (seconds < HOUR)
        (void)snprintf(ret, size, "%d min", (int)(seconds / MINUTE));
    else if (seconds < 2 * DAY)
        (void)snprintf(ret, size, "%d h", (int)(seconds / HOUR));
    else
        (void)snprintf(ret, size, "%lld d", (long long)((seconds + DAY / 2) / DAY));
}

const char *format_ago(const char *rfc3339, char ret[FORMAT_MAX])
{
    int64_t at;
    if (!rfc3339 || time_parse(rfc3339, &at) < 0)
        return "-";
    int64_t seconds = (clock_now_ms() - at) / 1000;
    char span[24];
    span_text(seconds < 0 ? -seconds : seconds, span, sizeof span);
    if (seconds > -2 && seconds < 2)
        return "now";
    (void)snprintf(ret, FORMAT_MAX, seconds < 0 ? "in %s" : "%s ago", span);
    return ret;
}

const char *format_duration(double ms, char ret[FORMAT_MAX])
{
    double s = ms / 1000;
    if (!(ms >= 0))
        return "-";
    if (ms < 1000)
        (void)snprintf(ret, FORMAT_MAX, "%.0f ms", ms);
    else if (s < MINUTE)
        (void)snprintf(ret, FORMAT_MAX, s < 10 ? "%.1f s" : "%.0f s", s);
    else if (s < HOUR)
        (void)snprintf(ret, FORMAT_MAX, "%d min %d s", (int)(s / MINUTE), (int)s % MINUTE);
    else
        (void)snprintf(ret, FORMAT_MAX, "%.0f h %d min", floor(s / HOUR), (int)(fmod(s, HOUR) / MINUTE));
    return ret;
}

const char *format_number(double v, char ret[FORMAT_MAX])
{
    double size = fabs(v);
    int decimals = size >= 100 || v == floor(v) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    if (size >= 1e15)
        (void)snprintf(ret, FORMAT_MAX, "%.3g", v);
    else
        (void)snprintf(ret, FORMAT_MAX, "%.*f", decimals, v);
    return ret;
}

const char *format_percent(const json_t *v, char ret[FORMAT_MAX])
{
    if (!json_is_number(v))
        return "-";
    /* Cut, not rounded: 99.999% is not all of it. */
    double percent = floor(json_number_value(v) * 100 + 1e-6) / 100;
    (void)snprintf(ret, FORMAT_MAX, "%.4g%%", percent);
    return ret;
}

enum style style_of(const char *state)
{
    static const struct {
        const char *word;
        enum style style;
    } styles[] = {
        { "active", STYLE_GOOD },      { "running", STYLE_GOOD },   { "healthy", STYLE_GOOD },
        { "completed", STYLE_GOOD },   { "success", STYLE_GOOD },   { "maintenance", STYLE_WARN },
        { "degraded", STYLE_WARN },    { "deploying", STYLE_WARN }, { "updating", STYLE_WARN },
        { "building", STYLE_WARN },    { "testing", STYLE_WARN },   { "initiated", STYLE_WARN },
        { "rolled_back", STYLE_WARN }, { "warning", STYLE_WARN },   { "offline", STYLE_BAD },
        { "failed", STYLE_BAD },       { "unhealthy", STYLE_BAD },  { "critical", STYLE_BAD },
        { "denied", STYLE_BAD },       { "stopped", STYLE_DIM },    { "unknown", STYLE_DIM },
        { "skipped", STYLE_DIM },      { "done", STYLE_GOOD },      { "cancelled", STYLE_DIM },
        { "waiting", STYLE_WARN },     { "superseded", STYLE_DIM },
    };
    for (size_t i = 0; state && i < ARRAY_LEN(styles); i++)
        if (str_eq(styles[i].word, state))
            return styles[i].style;
    return STYLE_NONE;
}

/* The mean of the values that share one mark; NAN when there are none. */
static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    size_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i]))
            continue;
        sum += values[i];
        seen++;
    }
    return seen ? sum / (double)seen : NAN;
}

#define LEVELS 8

void format_sparkline(struct buf *out, const double *values, size_t n, size_t width, bool utf8)
{
    static const char ascii[LEVELS + 1] = "_.,:-=+#";
    double low = INFINITY, high = -INFINITY;
    size_t marks = n < width ? n : width;
    for (size_t i = 0; i < marks; i++) {
        double v = mean_of(values + i * n / marks, (i + 1) * n / marks - i * n / marks);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    for (size_t i = 0; i < marks; i++) {
        double v = mean_of(values + i * n / marks, (i + 1) * n / marks - i * n / marks);
        double part = high > low ? (v - low) / (high - low) : 0.5;
        int level = isnan(v) ? -1 : (int)(part * (LEVELS - 1) + 0.5);
        if (level < 0)
            (void)buf_putc(out, ' ');
        else if (utf8)
            (void)buf_printf(out, "\xe2\x96%c", 0x81 + level);
        else
            (void)buf_putc(out, ascii[level]);
    }
}

void format_bar(struct buf *out, double percent, size_t width, bool utf8)
{
    double part = percent < 0 ? 0 : percent > 100 ? 1 : percent / 100;
    size_t full = (size_t)(part * (double)width + 0.5);
    (void)buf_putc(out, '[');
    for (size_t i = 0; i < width; i++)
        (void)buf_puts(out, utf8 ? (i < full ? "\xe2\x96\x88" : "\xe2\x96\x91") : i < full ? "#" : ".");
    (void)buf_putc(out, ']');
}

#define TITLE_WIDTH 14

void fact_styled(const struct term *t, struct buf *out, const char *title, enum style style, const char *value)
{
    if (!value || !*value)
        return;
    char padded[64];
    (void)snprintf(padded, sizeof padded, "%-*s", TITLE_WIDTH, title);
    term_style(t, out, STYLE_DIM, padded);
    (void)buf_puts(out, "  ");
    _cleanup_buf_ struct buf clean;
    buf_init(&clean, 0);
    text_clean(&clean, value, false);
    term_style(t, out, style, buf_str(&clean));
    (void)buf_putc(out, '\n');
}

void fact(const struct term *t, struct buf *out, const char *title, const char *value)
{
    fact_styled(t, out, title, STYLE_NONE, value);
}

void fact_time(const struct term *t, struct buf *out, const char *title, const char *rfc3339)
{
    char ago[FORMAT_MAX], text[128];
    if (!rfc3339)
        return;
    (void)snprintf(text, sizeof text, "%.64s (%s)", rfc3339, format_ago(rfc3339, ago));
    fact(t, out, title, text);
}

void format_labels(struct buf *out, const json_t *labels)
{
    const char *key;
    json_t *value;
    bool begun = false;
    json_object_foreach ((json_t *)labels, key, value) {
        (void)buf_printf(out, "%s%s=%s", begun ? " " : "", key, json_is_string(value) ? json_string_value(value) : "");
        begun = true;
    }
}

int parse_instant(const char *text, int sign, int64_t *ret_ms)
{
    int64_t ms;
    if (time_parse(text, ret_ms) == 0)
        return 0;
    if (str_to_duration_ms(text, &ms) < 0)
        return -EINVAL;
    *ret_ms = clock_now_ms() + sign * ms;
    return 0;
}

int split_pair(const char *pair, char **ret_key, const char **ret_value)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return -EINVAL;
    char *key = strndup(pair, (size_t)(equals - pair));
    if (!key)
        return -ENOMEM;
    *ret_key = key;
    *ret_value = equals + 1;
    return 0;
}
