/* The contract-driven API: routes, authenticates, limits, validates by docs/api/openapi.yaml, then calls
 * the operation's handler. An operation is one row in its room's table; start fails when the contract and
 * the rows do not match both ways.
 * Threads: handlers run on worker threads, straight-line and blocking. `struct request` and `struct reply`
 * belong to the handler's call. */
#ifndef HB_HTTP_API_H
#define HB_HTTP_API_H

#include "base/blob.h"
#include "base/error.h"
#include "base/jsonw.h"

struct api;
struct events;
struct request;
struct reply;

enum role { ROLE_PUBLIC, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };
const char *role_name(enum role r);
int role_parse(const char *name, enum role *ret);

/* Who asks. Filled by security's authenticate hook. */
struct actor {
    enum role role;
    char kind[16];    /* "anonymous" "key" "token" "session" "system" */
    char id[64];      /* key or session id */
    char name[128];   /* for people */
    char csrf[65];    /* session's CSRF token, "" for others */
    int64_t expires_ms; /* wall time the credentials end, where event streams end too; 0: not known */
};

typedef int (*api_handler)(void *room, struct request *rq, struct reply *rp, struct error *e);
struct api_operation {
    const char *id; /* operationId */
    api_handler handle; /* 0, or negative with `e` set */
};
/* A reading operation's shortcut: answers on a loop thread, before parameters are read, when the very same query was
 * answered before and the document is still at hand. Must not block. False: not now; `handle` does it. */
struct api_shortcut {
    const char *id;
    bool (*at_once)(void *room, const char *query, struct reply *rp);
};

/* What security provides; called on worker threads in this order, `rate_limit` on loop threads too: it must not block.
 * All may be NULL in tests. */
struct api_hooks {
    void *ctx;
    /* Fills `ret` (anonymous when there are no credentials). Negative + e: credentials given but not good. */
    int (*authenticate)(void *ctx, struct request *rq, struct actor *ret, struct error *e);
    /* Client address after trusted proxies (text); fills limit headers. Negative + ERR_RATE_LIMITED. */
    int (*rate_limit)(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp, struct error *e);
    /* After every write operation (not GET/HEAD), also refused ones with an authenticated actor; not after signed ones. */
    void (*audit)(void *ctx, struct request *rq, const struct actor *actor, int status, const struct error *e);
    /* Idempotency-Key: 0 not seen (now claimed), 1 replayed into rp, negative: e (conflict, still running). */
    int (*idempotency_claim)(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp,
                             struct error *e);
    void (*idempotency_store)(void *ctx, struct request *rq, const struct actor *actor, int status, struct blob *body);
    /* Loop thread: as `authenticate` where that needs no waiting; negative without `e`: not now, or not good. */
    int (*authenticate_at_once)(void *ctx, struct request *rq, struct actor *ret);
};

struct api_options {
    const char *contract_yaml; /* text of openapi.yaml */
    size_t contract_len;
    struct api_hooks hooks;
    bool validate_replies; /* tests: a reply that breaks the contract becomes a 500 */
    const char
        *cors_domain; /* "example.org": https, any sub-domain of example.org, may call with credentials; NULL: none */
    const char *csp_extra_script, *csp_extra_connect; /* hosts, only for configured vendors; NULL */
    bool hsts; /* behind TLS */
};
int api_new(const struct api_options *o, struct api **ret, struct error *e);
int api_add(struct api *a, const struct api_operation *table, size_t n, void *room, struct error *e);
/* For operations that were added, with their room. */
void api_add_shortcuts(struct api *a, const struct api_shortcut *table, size_t n);
/* Checks that every operation has its row; compiles schemas. After this the api is read-only. */
int api_seal(struct api *a, struct error *e);
void api_free(struct api *a);
struct http_server_options;
/* Requests by operation and status class, and how long they took, as Prometheus text. */
void api_metrics(struct api *a, struct buf *out);
void api_bind(struct api *a, struct http_server_options *o); /* sets on_head, try_inline, handle, fail, ctx */
/* After http_server_start: addresses of those who authenticate may use its reserved connections. */
struct http_server;
void api_set_server(struct api *a, struct http_server *s);

/* Request. Texts and JSON are borrowed. */
const char *request_id(const struct request *rq); /* X-Request-Id in or a new UUIDv7 */
const char *request_operation(const struct request *rq); /* operationId */
const struct actor *request_actor(const struct request *rq);
const char *request_address(const struct request *rq); /* peer address as text, before proxies */
void request_set_address(struct request *rq, const char *a); /* security: address behind a trusted proxy */
const char *request_header(const struct request *rq, const char *name);
size_t request_header_count(const struct request *rq, const char *name); /* how often it was sent */
/* An operation with x-raw-body: its body is neither parsed nor checked here; the handler gets the bytes as they came
 * and knows by a signature over them who sent them. */
bool request_is_signed(const struct request *rq);
const char *request_cookie(const struct request *rq, const char *name, char *ret, size_t size);
bool request_is_write(const struct request *rq); /* not GET, HEAD, OPTIONS */
bool request_is_tls(const struct request *rq);
struct http_exchange *request_exchange(struct request *rq);
/* A declared parameter (path, query, header), already validated and coerced; defaults applied; NULL absent. */
json_t *request_param(const struct request *rq, const char *name);
const char *request_str(const struct request *rq, const char *name); /* NULL absent */
int64_t request_int(const struct request *rq, const char *name, int64_t fallback);
bool request_flag(const struct request *rq, const char *name, bool fallback);
json_t *request_body(const struct request *rq); /* validated, defaults applied; NULL none */
const char *request_raw_body(const struct request *rq, size_t *ret_len);
/* Which media type of the operation's replies the Accept header prefers ("application/json" and so on). */
const char *request_accepts(const struct request *rq);
/* If-Match against the entity's tag: 0 fine or absent, negative ERR_PRECONDITION (strong comparison). */
int request_if_match(const struct request *rq, const char *etag, struct error *e);
/* What the write did, for the audit; documents are copied with secrets masked by the caller. NULL allowed. */
void request_audit(struct request *rq, const char *entity_type, const char *entity_id, json_t *before, json_t *after);
struct request_audit_info {
    char entity_type[32], entity_id[64];
    json_t *before, *after;
};
const struct request_audit_info *request_audit_info(const struct request *rq);

/* Reply. A GET's 200 gets a tag of its body when none was set, and answers If-None-Match. */
struct jw *reply_json(struct reply *rp, int status); /* write the document into this */
void reply_blob(struct reply *rp, int status, const char *content_type, struct blob *body, const char *etag); /* refs */
void reply_empty(struct reply *rp, int status);
void reply_header(struct reply *rp, const char *name, const char *value);
void reply_etag(struct reply *rp, const char *etag); /* quoted, strong: "\"…\"" */
void reply_streams(struct reply *rp); /* the handler began a stream on the exchange itself */
/* Begins an endless reply with all the headers a reply has (request id, CORS, security, never cached or compressed).
 * As http_stream_begin; NULL: no memory, and nothing was begun. */
struct http_stream *reply_stream(struct reply *rp, struct request *rq, const char *content_type,
                                 void (*on_close)(void *user), void *user);

/* Opaque cursors: text is base64url of fields the list orders by, with a check sum; forged or cut ones fail. */
int cursor_encode(const char *fields[], size_t n, char *ret, size_t size);
int cursor_decode(const char *cursor, char *storage, size_t size, const char *fields[], size_t n,
                  struct error *e); /* ERR_VALIDATION at /cursor */

/* Rows this layer brings itself (getOpenapi, getDocs): api_add(a, api_builtin_operations, API_BUILTIN_COUNT, a, e). */
#define API_BUILTIN_COUNT 2
extern const struct api_operation api_builtin_operations[API_BUILTIN_COUNT];

#endif
