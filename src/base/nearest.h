/* "Did you mean": the word of a list that is nearest to a mistyped one. Thread-safe: no state. */
#ifndef HB_NEAREST_H
#define HB_NEAREST_H

#include "base/base.h"

/* `name_at(ctx, i)` gives the list's words, 0 to n-1; NULL is left out. NULL: none is near (at most a third of
 * the letters may differ; swapped neighbours count once; a word that begins with the mistyped one is near). */
const char *nearest_word(const char *word, const char *(*name_at)(const void *ctx, size_t i), const void *ctx,
                         size_t n);

#endif
