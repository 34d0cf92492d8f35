/* The body that sets a secret: text as it is, other bytes as base64. New reference; NULL: no memory. Thread-safe. */
#ifndef HB_CLI_SECRET_BODY_H
#define HB_CLI_SECRET_BODY_H

#include <jansson.h>

json_t *secret_body(const char *bytes, size_t len);

#endif
