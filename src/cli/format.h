/* Values as a person reads them: relative times, durations, states, small charts, facts in two columns.
 * Thread-safe: no state. */
#ifndef HB_CLI_FORMAT_H
#define HB_CLI_FORMAT_H

#include "base/json.h"
#include "cli/term.h"

#define FORMAT_MAX 40
/* "3 s ago", "in 2 d", "-" where there is no time. Returns `ret`. */
const char *format_ago(const char *rfc3339, char ret[FORMAT_MAX]);
const char *format_duration(double ms, char ret[FORMAT_MAX]); /* "12 ms", "3.4 s", "2 min 5 s", "3 h 20 min" */
const char *format_number(double v, char ret[FORMAT_MAX]);    /* about three digits after the point at most */
const char *format_percent(const json_t *v, char ret[FORMAT_MAX]); /* "99.95%", "-" for null */
enum style style_of(const char *state);                       /* of any state's word in the contract */

/* One mark a value, from the lowest to the highest; NAN is a gap. At most `width` marks: neighbours are averaged. */
void format_sparkline(struct buf *out, const double *values, size_t n, size_t width, bool utf8);
/* "[#####.....]  50%" without the percent's text. */
void format_bar(struct buf *out, double percent, size_t width, bool utf8);

/* One line "Title         value"; NULL or "" is left out. */
void fact(const struct term *t, struct buf *out, const char *title, const char *value);
void fact_styled(const struct term *t, struct buf *out, const char *title, enum style style, const char *value);
void fact_time(const struct term *t, struct buf *out, const char *title,
               const char *rfc3339); /* absolute and relative */
void format_labels(struct buf *out, const json_t *labels); /* "a=b c=d" */

/* A person's time: RFC 3339 as it is; a duration is that long before now (`sign` -1) or after it (1). Milliseconds
 * since 1970; -EINVAL. */
int parse_instant(const char *text, int sign, int64_t *ret_ms);
/* "KEY=VALUE"; -EINVAL without '=' or key. `ret_key` by the caller freed. */
int split_pair(const char *pair, char **ret_key, const char **ret_value);

#endif
