/* The client of the hub's API, on libcurl. Finds the hub and the key as the command line's manual says, tells
 * failures apart by exit status, and prints them so that a person knows what to do.
 * A saved key goes only to the hub it was saved for, an owner.key only to this machine.
 * Ownership: `client_free`; replies by `answer_done`. Threads: one. */
#ifndef HB_CLI_CLIENT_H
#define HB_CLI_CLIENT_H

#include "cli/cli_internal.h"

#define CLIENT_DEFAULT_URL "http://127.0.0.1:3000"

int client_new(struct cli *c, struct client **ret); /* by c's options; an exit status, printed */
void client_free(struct client *client);
const char *client_url(const struct client *client);

struct api_request {
    const char *method; /* NULL: GET */
    const char *path;   /* "/v1/…", with its query, already encoded */
    const json_t *body; /* NULL: none */
    const char *idempotency_key, *accept;
    int timeout_ms;     /* 0: 60 s */
    bool quiet;         /* the caller tells failures itself */
};
struct api_reply {
    int status;      /* HTTP; 0: none came */
    struct buf body; /* as it was said */
    json_t *json;    /* of a JSON body; NULL else */
    char failure[256]; /* with status 0: why */
    bool replayed;     /* the answer that an earlier request under the same idempotency key got */
};
/* CLI_OK for 2xx; else an exit status, and unless `quiet` the failure is printed (with --json, what the API said
 * goes to `out`). `ret` is valid either way. */
int api_call(struct cli *c, const struct api_request *rq, struct api_reply *ret);
/* Says why a call that was `quiet` failed. */
void api_explain(struct cli *c, const struct api_reply *reply, int status);
void answer_done(struct api_reply *reply);
#define _cleanup_reply_ _cleanup_(answer_done)
bool reply_is_error(const struct api_reply *reply, const char *code); /* by the ApiError's code */
int reply_print(struct cli *c, const struct api_reply *reply);        /* --json: the body, unchanged */

/* Streams a reply's body to `on_bytes` until it ends, the caller returns false, or an interrupt. An exit status;
 * CLI_OK also when the stream just ended. `header`: one more header line or NULL. */
int api_stream(struct cli *c, const char *path, const char *header,
               bool (*on_bytes)(void *ctx, const char *bytes, size_t len), void *ctx, struct api_reply *ret);

/* Builds a path: "/v1/services/" + an encoded segment; then query members. */
void path_segment(struct buf *path, const char *text);
void path_query(struct buf *path, const char *name, const char *value); /* value NULL: left out */
void path_query_option(struct buf *path, const struct args *a, const char *option,
                       const char *name); /* each one given */

#endif
