/* Identifiers: UUIDv7 (RFC 9562), so ids made later sort later, also within a millisecond of one process.
 * Thread-safe. */
#ifndef HB_ID_H
#define HB_ID_H

#include "base/base.h"

#define ID_LEN 36
char *id_new(char ret[ID_LEN + 1]); /* returns ret */
bool id_valid(const char *text);    /* any UUID in lower-case canonical form */
void random_bytes(void *ret, size_t n); /* from the kernel; aborts if it has none */

#endif
