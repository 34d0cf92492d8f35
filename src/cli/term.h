/* The terminal: what it can do, how wide a text is on it, and text made safe for it.
 * Without a terminal there is no colour and no limit of width. Texts are UTF-8; widths are columns.
 * Thread-safe: no state. */
#ifndef HB_CLI_TERM_H
#define HB_CLI_TERM_H

#include "base/buf.h"

#include <stdio.h>

struct term {
    bool tty;    /* a person watches: colours, bars, prompts */
    bool colour; /* tty, and neither NO_COLOR nor TERM=dumb */
    bool utf8;   /* marks may leave ASCII */
    int width;   /* columns; 0: no limit */
};
void term_init(struct term *t, FILE *out);

/* A style never says alone what a word does not say too. */
enum style { STYLE_NONE, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_DIM, STYLE_BOLD };
void term_style(const struct term *t, struct buf *out, enum style style, const char *text);

/* Appends the text without what could steer the terminal (control characters, directional overrides) and with
 * bytes that are not UTF-8 shown as U+FFFD. `lines`: newlines and tabs stay. */
void text_clean(struct buf *out, const char *text, bool lines);
size_t text_width(const char *text); /* of a cleaned text */
/* Appends the cleaned text cut to `width` columns, with an ellipsis where something was cut. Returns its width. */
size_t text_fit(struct buf *out, const char *text, size_t width, bool utf8);

#endif
