/* The texts of a Compose project: variables in values ($X, ${X:-y}, ${X:?why}), and files of variables.
 * The rules are the Compose specification's; a value's variables come from one flat object of texts.
 * Ownership: results are the caller's. Thread-safe: no state. */
#ifndef HB_COMPOSE_TEXT_H
#define HB_COMPOSE_TEXT_H

#include "base/error.h"

#include <jansson.h>

#define COMPOSE_TEXT_MAX ((size_t)1 << 20)

/* `variables`: object text -> text. Names without a value are added to `unset` (an object; NULL: not asked) and are
 * empty. ERR_VALIDATION: a form that is none, or a required variable that is missing, by name and message. */
int compose_interpolate(const char *text, const json_t *variables, json_t *unset, char **ret, struct error *e);

/* The variables of a file's text into `ret` (an object), over what is there. Single quotes are literal; double quotes
 * and bare values take variables (from `ret` itself, then from `variables`); a name alone takes its value from
 * `variables`, and is absent when that has none. `raw`: lines of NAME=value, all literal.
 * ERR_MALFORMED with the line. */
int compose_read_variables(const char *text, const json_t *variables, bool raw, json_t *ret, struct error *e);

/* A command line's words, with the quotes of a shell and nothing else of it. New array; ERR_MALFORMED. */
int compose_split_words(const char *text, json_t **ret, struct error *e);

#endif
