/* Looks for planted secrets where none may be: as they are, in hex, in base64 (all three shifts) and percent-encoded.
 * Fails the cmocka test with the place, never with the secret's text. */
#ifndef HB_TEST_CANARY_H
#define HB_TEST_CANARY_H

#include <stddef.h>

struct canary {
    const char *name;   /* what it is, for the message */
    const void *secret; /* at least 8 bytes */
    size_t len;
};
/* The name of a canary that is in `bytes`, or NULL. */
const char *canary_found(const struct canary *list, size_t n, const void *bytes, size_t len);
void canary_expect_none(const struct canary *list, size_t n, const char *where, const void *bytes, size_t len);
/* Every regular file of the directory but those named in `except` (NULL-terminated list, or NULL). Returns how many. */
size_t canary_expect_none_in_files(const struct canary *list, size_t n, const char *directory,
                                   const char *const *except);

#endif
