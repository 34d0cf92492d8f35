/* A streaming JSON writer onto a buffer. It keeps commas and nesting right and escapes strings
 * (invalid UTF-8 becomes U+FFFD, so the output is always valid JSON).
 * Ownership: borrows the buffer. Not thread-safe. A failed append shows in `buf_ok`. */
#ifndef HB_JSONW_H
#define HB_JSONW_H

#include "base/buf.h"

#include <jansson.h>

#define JW_DEPTH 64

struct jw {
    struct buf *out;
    unsigned depth;
    bool need_comma[JW_DEPTH];
    char closer[JW_DEPTH];
};

void jw_init(struct jw *w, struct buf *out);
void jw_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end(struct jw *w); /* closes the innermost object or array */
void jw_key(struct jw *w, const char *key);
void jw_string(struct jw *w, const char *text); /* NULL: null */
void jw_string_n(struct jw *w, const char *text, size_t len);
void jw_int(struct jw *w, int64_t v);
void jw_number(struct jw *w, double v); /* shortest text that reads back equal; NaN, infinities: null */
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, const char *json, size_t len); /* already serialized, trusted */
void jw_json(struct jw *w, const json_t *value);
void jw_time(struct jw *w, int64_t ms); /* RFC 3339; 0: null */

#endif
