#include "cli/term.h"

#include "base/str.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void term_init(struct term *t, FILE *out)
{
    *t = (struct term){ 0 };
    const char *kind = getenv("TERM"), *none = getenv("NO_COLOR"), *columns = getenv("COLUMNS");
    (void)setlocale(LC_CTYPE, "");
    t->tty = isatty(fileno(out)) == 1;
    t->utf8 = str_ieq(nl_langinfo(CODESET), "UTF-8");
    if (!t->tty)
        return;
    t->colour = !(none && *none) && kind && !str_eq(kind, "dumb");
    struct winsize size;
    int64_t told;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        t->width = size.ws_col;
    else if (columns && str_to_int64(columns, &told) == 0 && told > 0 && told < 10000)
        t->width = (int)told;
    else
        t->width = 80;
}

void term_style(const struct term *t, struct buf *out, enum style style, const char *text)
{
    static const char *const codes[] = { "", "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[1m" };
    bool styled = t->colour && style != STYLE_NONE;
    if (styled)
        (void)buf_puts(out, codes[style]);
    (void)buf_puts(out, text);
    if (styled)
        (void)buf_puts(out, "\033[0m");
}

#define NOT_UTF8 0xfffd

/* The next code point and how many bytes it takes; a byte that begins none is U+FFFD and one byte. */
static uint32_t next_point(const char *text, size_t *ret_bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    *ret_bytes = 1;
    if (n == 1)
        return s[0];
    if (strnlen(text, n) < n || !str_is_utf8(text, n))
        return NOT_UTF8;
    uint32_t point = s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        point = point << 6 | (s[i] & 0x3f);
    *ret_bytes = n;
    return point;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t point, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

/* Marks that sit on the letter before them, and joiners. */
static const struct range zero_wide[] = { { 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },
                                          { 0x610, 0x61a },   { 0x64b, 0x65f },   { 0x900, 0x902 },
                                          { 0xe31, 0xe31 },   { 0xe34, 0xe3a },   { 0xe47, 0xe4e },
                                          { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200d },
                                          { 0x2060, 0x2060 }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
                                          { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff } };
/* East Asian wide and emoji. */
static const struct range two_wide[] = { { 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x2e80, 0x303e },
                                         { 0x3041, 0xa4cf },   { 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },
                                         { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
                                         { 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
                                         { 0x1f900, 0x1faff }, { 0x20000, 0x3fffd } };

static size_t point_width(uint32_t point)
{
    if (in_ranges(point, zero_wide, ARRAY_LEN(zero_wide)))
        return 0;
    return in_ranges(point, two_wide, ARRAY_LEN(two_wide)) ? 2 : 1;
}

/* What moves the cursor, rings, or turns the direction of the text round. */
static bool steers(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x202a && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069) || point == 0x200e || point == 0x200f;
}

void text_clean(struct buf *out, const char *text, bool lines)
{
    for (size_t n; *text; text += n) {
        uint32_t point = next_point(text, &n);
        bool kept = lines && (point == '\n' || point == '\t');
        if (point == NOT_UTF8 || (steers(point) && !kept))
            (void)buf_puts(out, "\xef\xbf\xbd");
        else
            (void)buf_append(out, text, n);
    }
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (size_t n; *text; text += n)
        width += point_width(next_point(text, &n));
    return width;
}

size_t text_fit(struct buf *out, const char *text, size_t width, bool utf8)
{
    _cleanup_buf_ struct buf clean;
    buf_init(&clean, 0);
    text_clean(&clean, text, false);
    const char *s = buf_str(&clean), *mark = utf8 ? "\xe2\x80\xa6" : "~";
    size_t whole = text_width(s), used = 0;
    if (whole <= width) {
        (void)buf_puts(out, s);
        return whole;
    }
    for (size_t n; *s; s += n) {
        size_t w = point_width(next_point(s, &n));
        if (used + w + 1 > width)
            break;
        (void)buf_append(out, s, n);
        used += w;
    }
    if (width > 0) {
        (void)buf_puts(out, mark);
        used++;
    }
    return used;
}
