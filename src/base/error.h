/* One error, filled where the failure happens and carried up unchanged.
 * The catalogue below is the only list of codes; docs/api/errors.md is generated from it.
 * Ownership: the caller owns the struct; `error_done` frees its details. Not thread-safe. */
#ifndef HB_ERROR_H
#define HB_ERROR_H

#include "base/base.h"

#include <jansson.h>
#include <stdarg.h>

/* X(enumerator, wire code, HTTP status, meaning) */
#define ERROR_CATALOGUE(X)                                                                                            \
    X(ERR_VALIDATION, "VALIDATION_ERROR", 400,                                                                        \
      "A field, parameter or body breaks the contract; `details` names each by JSON Pointer.")                        \
    X(ERR_MALFORMED, "MALFORMED_REQUEST", 400, "The request is not well-formed HTTP or JSON.")                        \
    X(ERR_UNAUTHENTICATED, "UNAUTHENTICATED", 401, "No credentials, or credentials that are not valid (any more).")   \
    X(ERR_FORBIDDEN, "FORBIDDEN", 403, "The credentials are good, the role does not allow this operation.")           \
    X(ERR_CSRF, "CSRF_TOKEN_REQUIRED", 403, "A session's writing request came without its X-CSRF-Token.")             \
    X(ERR_NOT_FOUND, "NOT_FOUND", 404, "No such path or entity.")                                                     \
    X(ERR_METHOD, "METHOD_NOT_ALLOWED", 405, "The path exists, the method does not; `Allow` lists those that do.")    \
    X(ERR_NOT_ACCEPTABLE, "NOT_ACCEPTABLE", 406, "None of the types in `Accept` can be answered.")                    \
    X(ERR_TIMEOUT, "REQUEST_TIMEOUT", 408, "The request did not arrive in time.")                                     \
    X(ERR_CONFLICT, "CONFLICT", 409, "The state of the entity forbids it; the message says which.")                   \
    X(ERR_IDEMPOTENCY, "IDEMPOTENCY_KEY_REUSED", 422, "This Idempotency-Key was used with another request.")          \
    X(ERR_PRECONDITION, "PRECONDITION_FAILED", 412, "If-Match does not match: someone changed the entity meanwhile.") \
    X(ERR_TOO_LARGE, "PAYLOAD_TOO_LARGE", 413, "The body is over this operation's limit.")                            \
    X(ERR_URI_TOO_LONG, "URI_TOO_LONG", 414, "The request line is over the limit.")                                   \
    X(ERR_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", 415,                                                                  \
      "The body's Content-Type or Content-Encoding is not understood here.")                                          \
    X(ERR_HEADERS_TOO_LARGE, "HEADERS_TOO_LARGE", 431, "The header block is over the limit.")                         \
    X(ERR_RATE_LIMITED, "RATE_LIMITED", 429, "Too many requests; `Retry-After` says when to come back.")              \
    X(ERR_INTERNAL, "INTERNAL_ERROR", 500, "A fault in hbcloud; the request id finds it in the log.")                 \
    X(ERR_UPSTREAM, "UPSTREAM_ERROR", 502,                                                                            \
      "Something hbcloud depends on (engine, vendor) refused or answered nonsense.")                                  \
    X(ERR_UNAVAILABLE, "SERVICE_UNAVAILABLE", 503,                                                                    \
      "Something hbcloud depends on is not there now; `Retry-After` may say when.")                                   \
    X(ERR_UPSTREAM_TIMEOUT, "UPSTREAM_TIMEOUT", 504, "Something hbcloud depends on did not answer in time.")

enum error_code {
    ERR_NONE = 0,
#define X(name, code, status, text) name,
    ERROR_CATALOGUE(X)
#undef X
        ERR_COUNT
};

struct error {
    enum error_code code;
    char message[512];  /* one sentence for a person; never holds a secret */
    json_t *details;    /* {JSON Pointer: reason}, or NULL; at most ERROR_DETAILS_MAX */
    int retry_after_s;  /* 0: not said */
    char allow[64];     /* for ERR_METHOD */
};
#define ERROR_DETAILS_MAX 32
#define ERROR_INIT ((struct error){ 0 })

/* Sets code and message, returns -(int)code so that callers write `return error_set(...)`.
 * `e` may be NULL. An earlier error in `e` is replaced, its details are freed. */
int error_set(struct error *e, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int error_errno(struct error *e, int negative_errno, const char *fmt, ...)
    PRINTF_LIKE(3, 4); /* ERR_INTERNAL + ": strerror" */
/* Puts "context: " before the message. */
void error_prefix(struct error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_detail(struct error *e, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);
void error_done(struct error *e);
#define _cleanup_error_ _cleanup_(error_done)

const char *error_code_name(enum error_code code);   /* "NOT_FOUND" */
int error_code_status(enum error_code code);         /* 404 */
const char *error_code_meaning(enum error_code code);

#endif
