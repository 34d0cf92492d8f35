/* Outbound HTTP, over libcurl: every call has time limits, a bound on the body, bounded retries with jitter that obey
 * Retry-After, a circuit breaker for its host, and one redacted line in the debug log.
 * Ownership: the response belongs to the caller; `http_client_response_done` frees it, also after an error.
 * Thread-safe; calls block their thread. */
#ifndef HB_HTTP_CLIENT_H
#define HB_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"

struct http_client_header {
    const char *name, *value;
};

struct http_client_request { /* 0 or NULL takes the default in brackets */
    const char *method;      /* [GET] */
    const char *url;         /* http: or https: only */
    const char *unix_socket; /* path of a socket to use instead of the URL's host */
    const struct http_client_header *headers;
    size_t header_count;
    const struct secret *bearer;       /* sent as Authorization: Bearer; never logged */
    const char *secret_header;         /* a header of another name for `secret` ("X-API-Key") */
    const struct secret *secret;
    const void *body;
    size_t body_len;
    unsigned connect_ms; /* [5000] */
    unsigned total_ms;   /* one attempt [30000]; with on_bytes: no bytes for so long */
    size_t body_limit;   /* [4 MiB]; with on_bytes: none */
    unsigned attempts;   /* [3 for GET, HEAD, PUT, DELETE, OPTIONS; else 1] */
    unsigned redirects;  /* followed at most [0] */
    bool own_pace;       /* the caller asks again and again at its own pace: no circuit stands between */
    /* Gets a 2XX body in pieces instead of the response; negative stops the call, which then ends with that. */
    int (*on_bytes)(void *ctx, const char *bytes, size_t n);
    void *ctx;
    void (*wait)(void *ctx, unsigned ms); /* between attempts [sleeps]; tests count instead */
};

struct http_client_response {
    int status;
    struct buf headers; /* "name: value\n" lines of the last answer */
    struct buf body;    /* NUL-terminated by buf_str */
    unsigned attempts;
};

/* 0 for any answer, whatever its status. ERR_UPSTREAM_TIMEOUT, ERR_UNAVAILABLE (not reached, or its circuit is open:
 * retry_after_s says how long), ERR_UPSTREAM (nonsense, over a limit), ERR_INTERNAL (a request that cannot be sent). */
int http_client_send(const struct http_client_request *rq, struct http_client_response *ret, struct error *e);
void http_client_response_done(struct http_client_response *r);
#define _cleanup_response_ _cleanup_(http_client_response_done)
/* The value of a response's header in `ret`, or NULL. */
const char *http_client_header(const struct http_client_response *r, const char *name, char *ret, size_t size);

/* Closes kept connections and forgets all circuits: at the program's end, and between tests. */
void http_client_cleanup(void);

#endif
