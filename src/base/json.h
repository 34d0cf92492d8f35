/* Reading JSON: jansson, made strict and bounded (depth, size, duplicate keys, UTF-8), and short getters.
 * Ownership: parsers return a new reference; getters borrow. Documents are not shared between threads
 * while one of them changes them. */
#ifndef HB_JSON_H
#define HB_JSON_H

#include "base/error.h"

#include <jansson.h>

#define JSON_MAX_DEPTH 32

/* Parses one document. Refuses duplicate keys, invalid UTF-8, depth over JSON_MAX_DEPTH, trailing bytes:
 * ERR_MALFORMED with line and column. */
int json_parse(const char *text, size_t len, json_t **ret, struct error *e);
char *json_text(const json_t *value, size_t *ret_len); /* compact, by jsonw; caller frees; NULL: no memory */

static inline void json_decref_ptr(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_decref_ptr)

/* Members by dotted path ("status.state"); NULL / default when absent or of another type. */
json_t *json_at(const json_t *object, const char *path);
const char *json_str(const json_t *object, const char *path);                 /* NULL if absent */
int64_t json_int(const json_t *object, const char *path, int64_t fallback);
double json_num(const json_t *object, const char *path, double fallback);
bool json_flag(const json_t *object, const char *path, bool fallback);
/* Sets a member by dotted path, making objects on the way; steals `value`. 0 or -ENOMEM. */
int json_put(json_t *object, const char *path, json_t *value);
/* RFC 7396 merge patch of `patch` into `target`, in place. */
int json_merge_patch(json_t *target, const json_t *patch);

#endif
