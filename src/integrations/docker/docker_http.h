/* One HTTP call to an engine: deadlines, limits, streaming. Knows nothing of the API's content.
 * Ownership: replies own their body (`docker_reply_done`); a call's strings are borrowed.
 * Threads: all functions are thread-safe; each call uses a handle of its own from a small pool.
 * Errors: ERR_UNAVAILABLE (no connection, or lost), ERR_UPSTREAM_TIMEOUT, ERR_UPSTREAM (not HTTP, or too large).
 * An HTTP status is no error here. */
#ifndef HB_DOCKER_HTTP_H
#define HB_DOCKER_HTTP_H

#include "base/buf.h"
#include "base/error.h"
#include "integrations/docker/docker_target.h"

#define DOCKER_ANSWER_MAX ((size_t)32 << 20) /* bytes of a collected answer */
#define DOCKER_TICK_MS 200                   /* how late `stop` and `on_tick` may be seen */

/* Pieces of a 2xx body as they come; `on_tick` when DOCKER_TICK_MS passed without one. Negative stops the call,
 * which then returns that. */
typedef int (*docker_chunk_fn)(void *ctx, const char *bytes, size_t len);
typedef int (*docker_tick_fn)(void *ctx);

struct docker_call {
    const char *method, *path; /* path with the query, already encoded */
    const char *body;          /* JSON, or what content_type says; NULL none */
    size_t body_len;
    const char *content_type;  /* NULL: JSON */
    const char *registry_auth; /* a registry's login as the engine wants it: a secret; NULL none */
    int64_t deadline_ms;       /* of the whole call; 0: none */
    int64_t idle_ms;           /* longest silence within the body, whole seconds; 0: any */
    int64_t header_ms;         /* until the status line; 0: only the deadline counts */
    docker_chunk_fn on_chunk;  /* NULL: the body is collected */
    docker_tick_fn on_tick;
    void *ctx;
    const _Atomic bool *stop;  /* set: the call ends with 0 and `stopped` */
};

struct docker_reply {
    long status;
    bool stopped;
    char api_version[16]; /* the Api-Version header, "" when absent */
    struct buf body;
};
void docker_reply_done(struct docker_reply *r);

struct docker_http;
int docker_http_new(const struct docker_target_options *to, struct docker_http **ret, struct error *e); /* copies */
void docker_http_free(struct docker_http *h);
/* `ret` is set also when the call fails; free it in both cases. */
int docker_http_call(struct docker_http *h, const struct docker_call *call, struct docker_reply *ret, struct error *e);

#endif
