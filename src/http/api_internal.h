/* What the files of the API layer share: the api, a request, a reply. Private to this room.
 * Flow: api.c routes and orders the steps; request.c reads what came; negotiate.c chooses types; reply.c says it.
 * Threads: `struct api` is read-only after api_seal; request and reply belong to one exchange. */
#ifndef HB_HTTP_API_INTERNAL_H
#define HB_HTTP_API_INTERNAL_H

#include "base/json.h"
#include "http/api.h"
#include "http/compress.h"
#include "http/contract.h"
#include "http/etag.h"
#include "http/router.h"

#define API_MAGIC 0x41504931u
#define API_REPLY_LIMIT ((size_t)64 << 20) /* a reply's body; over it the request ends as 500 */
#define API_ERROR_BODY_LIMIT 65536         /* a refused request's body is read so far, to answer on the connection */
#define API_BODYLESS_LIMIT 1024            /* of an operation that takes no body */
#define REQUEST_ID_SIZE 129

/* Moves an error out, leaving none behind. */
#define TAKE_ERROR(e)              \
    ({                             \
        struct error taken_ = (e); \
        (e) = ERROR_INIT;          \
        taken_;                    \
    })
#define REPLY_FIELDS 32                    /* a handler's own headers */
#define REPLY_ALL_FIELDS 64
#define QUERY_PAIRS 64                     /* a query string has at most so many */

/* Serves what the contract does not know (the dashboard). 1: answered, 0: not mine, negative: e. */
typedef int (*api_fallback)(void *ctx, struct request *rq, struct reply *rp, struct error *e);

struct api {
    uint32_t magic;
    struct contract *contract;
    struct router *router;
    struct api_hooks hooks;
    struct error mismatches; /* of operations and rows; told by api_seal */
    bool validate_replies, hsts, sealed;
    char *cors_suffix; /* ".example.org" or NULL */
    char *csp_script, *csp_connect;
    struct compress_cache *compressed;
    api_fallback fallback;
    void *fallback_ctx;
    struct http_server *_Atomic server; /* NULL: not told of it */
    struct static_site *site; /* NULL: no dashboard attached */
    char contract_etag[ETAG_SIZE];
};

struct field {
    char *name, *value;
};

struct reply {
    int status;
    struct buf out;
    struct jw json;
    bool has_json, streams;
    bool final;      /* encoded already, or not to be */
    bool free_style; /* the page's renderer makes style elements of its own */
    struct blob *body;
    bool body_shared; /* the handler keeps it: worth caching its compressed form */
    char content_type[96];
    char etag[ETAG_SIZE];
    char nonce[25];
    const char *encoding;    /* of `body` as it is: "gzip"; NULL: plain */
    struct field fields[REPLY_FIELDS];
    size_t field_count;
};

struct request {
    struct api *api;
    struct http_exchange *x;
    const struct operation *op; /* NULL: refused before, or the fallback's */
    const void *const *targets; /* of the path by method; NULL: no such path */
    struct error early;         /* found by on_head, answered in handle */
    bool wants_fallback;
    enum http_method method;
    struct actor actor;
    const struct media *accepts, *body_media;
    json_t *body;
    json_t *params[CONTRACT_PARAMS]; /* in the order of op->params */
    struct request_audit_info audit;
    int64_t began_us;
    char id[REQUEST_ID_SIZE];
    char address[64];
    struct path path; /* last: not cleared */
};

/* api_metrics.c */
void api_count(const struct request *rq, const struct reply *rp);
int64_t api_now_us(void); /* monotonic; for durations only */

/* request.c */
struct request *request_new(struct api *a, struct http_exchange *x);
void request_free(void *rq);
int request_read_params(struct request *rq, struct error *e);
int request_read_body(struct request *rq, struct error *e);

/* negotiate.c: what the request may send and wants to get. */
int negotiate_accept(const char *accept, const struct media *media, size_t n, const struct media **ret,
                     struct error *e);
int negotiate_body(const char *content_type, const char *content_encoding, const struct operation *op,
                   const struct media **ret, struct error *e);
bool negotiate_accepts(const char *accept, const char *type); /* also by a range such as "text/" "*" */
const char *negotiate_encoding(const char *accept_encoding);  /* "zstd", "gzip" or NULL */
unsigned negotiate_weight(const char *accept_encoding, const char *encoding); /* 0 to 1000 */

/* reply.c */
void reply_init(struct reply *rp);
void reply_done(struct reply *rp);
void reply_error(struct reply *rp, const struct request *rq, const struct error *e);
void reply_drop_fields(struct reply *rp, size_t keep); /* forgets headers set since */
int reply_check(struct reply *rp, struct request *rq, struct error *e); /* seals the body; by the contract if asked */
void reply_send(struct reply *rp, struct request *rq);
bool reply_is_cheap(const struct reply *rp, const struct request *rq); /* to send: nothing has to be compressed first */
const char *reply_nonce(struct reply *rp); /* makes the reply an HTML page with a policy and a nonce of its own */
struct blob *reply_error_body(const struct request *rq, const struct error *e); /* rq NULL: nothing is known */
bool api_origin_allowed(const struct api *a, const char *origin);

/* static.c */
int static_reply_page(struct reply *rp, const char *html, size_t len, const char *etag, struct error *e);
/* 1: answered, 0: no such file. */
int static_reply_file(struct static_site *s, const char *path, struct request *rq, struct reply *rp, struct error *e);

#endif
