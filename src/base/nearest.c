#include "base/nearest.h"

#include "base/str.h"

#define WORD_MAX 63

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits from a to b, a swap of neighbours being one (optimal string alignment). Both at most WORD_MAX long. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last, last = now, now = spare;
    }
    return last[lb];
}

const char *nearest_word(const char *word, const char *(*name_at)(const void *ctx, size_t i), const void *ctx, size_t n)
{
    size_t len = strlen(word), best = len / 3 + (len >= 2);
    const char *found = NULL;
    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *name = name_at(ctx, i);
        size_t name_len = name ? strlen(name) : 0;
        if (!name_len || name_len > WORD_MAX)
            continue;
        size_t d = distance(word, len, name, name_len);
        if (len >= 3 && str_starts(name, word) && d > 1)
            d = 1;
        if (d < best || (d == best && !found)) {
            best = d;
            found = name;
        }
    }
    return found;
}
