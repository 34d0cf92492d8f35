#include "cli/table.h"

#include <errno.h>
#include <string.h>

#define GAP 2

struct cell {
    char *text; /* cleaned */
    size_t width;
    enum style style;
};
struct table {
    const struct table_column *columns;
    size_t n_columns, n_cells, cap;
    struct cell *cells;
    bool failed;
};

struct table *text_table_new(const struct table_column *columns, size_t n)
{
    assert(n > 0 && n <= TABLE_COLUMNS_MAX);
    struct table *t = calloc(1, sizeof *t);
    if (t) {
        t->columns = columns;
        t->n_columns = n;
    }
    return t;
}

void text_table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t);
}

static struct cell *new_cell(struct table *t)
{
    if (t->n_cells == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct cell *cells = realloc(t->cells, cap * sizeof *cells);
        if (!cells)
            return NULL;
        t->cells = cells;
        t->cap = cap;
    }
    return &t->cells[t->n_cells];
}

void table_cell(struct table *t, enum style style, const char *text)
{
    _cleanup_buf_ struct buf clean;
    buf_init(&clean, 0);
    text_clean(&clean, text && *text ? text : "-", false);
    struct cell *c = new_cell(t);
    char *copy = buf_steal(&clean);
    if (!c || !copy) {
        free(copy);
        t->failed = true;
        return;
    }
    *c = (struct cell){ .text = copy, .width = text_width(copy), .style = style };
    t->n_cells++;
}

void table_cellf(struct table *t, enum style style, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    table_cell(t, style, text);
}

size_t table_rows(const struct table *t)
{
    return t->n_cells / t->n_columns;
}

static void natural_widths(const struct table *t, size_t *widths)
{
    for (size_t c = 0; c < t->n_columns; c++)
        widths[c] = strlen(t->columns[c].title);
    for (size_t i = 0; i < t->n_cells; i++)
        if (t->cells[i].width > widths[i % t->n_columns])
            widths[i % t->n_columns] = t->cells[i].width;
}

/* Gaps stand between the columns that are shown (width above 0). */
static size_t total_width(const size_t *widths, size_t n)
{
    size_t total = 0, shown = 0;
    for (size_t c = 0; c < n; c++) {
        total += widths[c];
        shown += widths[c] > 0;
    }
    return total + (shown ? (shown - 1) * GAP : 0);
}

enum step { SHORTEN, DROP };

static bool can_give(const struct table_column *column, size_t width, enum step step)
{
    if (step == DROP)
        return width > 0;
    if (column->min > 0)
        return width > column->min;
    return step == SHORTEN && width > 0 && column->priority <= TABLE_MINOR;
}

/* The shown column of lowest priority that can give way; n_columns: none. */
static size_t least_important(const struct table *t, const size_t *widths, enum step step)
{
    size_t found = t->n_columns;
    for (size_t c = 0; c < t->n_columns; c++)
        if (can_give(&t->columns[c], widths[c], step) &&
            (found == t->n_columns || t->columns[c].priority < t->columns[found].priority))
            found = c;
    return found;
}

/* Shortens, the least important first, until the table fits or nothing is left to shorten. Minor columns that
 * cannot be shortened go before more important ones are cut. */
static void shorten(const struct table *t, size_t *widths, size_t limit)
{
    size_t c;
    while (total_width(widths, t->n_columns) > limit && (c = least_important(t, widths, SHORTEN)) < t->n_columns) {
        size_t over = total_width(widths, t->n_columns) - limit, spare = widths[c] - t->columns[c].min;
        widths[c] -= t->columns[c].min && over < spare ? over : spare;
    }
}

/* Drops columns, the least important first. One always stays, cut to the limit. */
static void drop(const struct table *t, size_t *widths, size_t limit)
{
    while (total_width(widths, t->n_columns) > limit) {
        size_t c = least_important(t, widths, DROP);
        if (total_width(widths, t->n_columns) == widths[c])
            widths[c] = limit;
        else
            widths[c] = 0;
    }
}

/* What dropped columns left is given back to shortened ones, the most important first. */
static void give_back(const struct table *t, const size_t *natural, size_t *widths, size_t limit)
{
    for (;;) {
        size_t spare = limit - total_width(widths, t->n_columns), best = t->n_columns;
        for (size_t c = 0; c < t->n_columns; c++)
            if (widths[c] && widths[c] < natural[c] &&
                (best == t->n_columns || t->columns[c].priority > t->columns[best].priority))
                best = c;
        if (best == t->n_columns || !spare)
            return;
        size_t lacks = natural[best] - widths[best];
        widths[best] += lacks < spare ? lacks : spare;
    }
}

static void pad(struct buf *out, size_t n)
{
    while (n--)
        (void)buf_putc(out, ' ');
}

static void put_cell(const struct term *term, struct buf *out, const struct table_column *column, enum style style,
                     const char *text, size_t width, bool last)
{
    _cleanup_buf_ struct buf fitted;
    buf_init(&fitted, 0);
    size_t used = text_fit(&fitted, text, width, term->utf8);
    if (column->right)
        pad(out, width - used);
    term_style(term, out, style, buf_str(&fitted));
    if (!column->right && !last)
        pad(out, width - used);
}

static void put_row(const struct table *t, const struct term *term, struct buf *out, const size_t *widths, size_t row)
{
    size_t last = 0;
    for (size_t c = 0; c < t->n_columns; c++)
        if (widths[c])
            last = c;
    bool begun = false;
    for (size_t c = 0; c < t->n_columns; c++) {
        if (!widths[c])
            continue;
        if (begun)
            pad(out, GAP);
        begun = true;
        const struct cell *cell = row ? &t->cells[(row - 1) * t->n_columns + c] : NULL;
        put_cell(term, out, &t->columns[c], cell ? cell->style : STYLE_BOLD, cell ? cell->text : t->columns[c].title,
                 widths[c], c == last);
    }
    (void)buf_putc(out, '\n');
}

int table_print(const struct table *t, const struct term *term, struct buf *out)
{
    assert(t->n_columns > 0);
    size_t widths[TABLE_COLUMNS_MAX] = { 0 };
    natural_widths(t, widths);
    if (term->width > 0) {
        size_t natural[TABLE_COLUMNS_MAX], limit = (size_t)term->width;
        memcpy(natural, widths, sizeof natural);
        shorten(t, widths, limit);
        drop(t, widths, limit);
        give_back(t, natural, widths, limit);
    }
    for (size_t row = 0; row <= table_rows(t); row++)
        put_row(t, term, out, widths, row);
    return t->failed || !buf_ok(out) ? -ENOMEM : 0;
}
