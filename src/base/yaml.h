/*
 * YAML text to JSON values, by the core schema of YAML 1.2: only true and false
 * are booleans, so "yes" and "on" stay text. Keys are text as written. Anchors,
 * aliases and merge keys (<<) are resolved into copies, within a bound. Refused:
 * a key given twice, more than one document, unknown tags, .inf and .nan,
 * integers past 64 bits, an alias inside its own anchor.
 *
 * Ownership: the caller owns what it gets. Threads: no state is shared.
 */
#ifndef HB_YAML_H
#define HB_YAML_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

enum {
    YAML_MAX_DEPTH = 64,
    YAML_DEFAULT_SIZE = 4 * 1024 * 1024,
    YAML_DEFAULT_VALUES = 200000,
};

struct yaml_options {
    size_t max_size;   /* bytes of text; 0: YAML_DEFAULT_SIZE */
    size_t max_values; /* values made, aliases expanded; 0: YAML_DEFAULT_VALUES */
    bool octal_zero;   /* 0400 is octal, as YAML 1.1 has it */
};

/* Where each value of a document stands. */
struct yaml_lines;

/* 0 with a new reference in `ret` (null for an empty text); else ERR_MALFORMED,
 * or ERR_TOO_LARGE at a bound, with a message such as "line 3, column 5: the key
 * "name" is given twice". The lines come back too unless `ret_lines` is NULL. */
int yaml_load(const char *text, size_t size, json_t **ret, struct error *e);
int yaml_load_lines(const char *text, size_t size, struct yaml_options options, json_t **ret,
                    struct yaml_lines **ret_lines, struct error *e);

/* The line, from 1, of the value at a JSON Pointer: its key's, in a mapping. Of
 * a value that is absent, its nearest parent's. */
unsigned yaml_line_of(const struct yaml_lines *lines, const char *pointer);
void yaml_lines_free(struct yaml_lines *lines);

#endif
