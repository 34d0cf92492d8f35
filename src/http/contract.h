/* The contract, docs/api/openapi.yaml, as the server uses it: a table of operations with compiled schemas.
 * The contract is the only place where a path, parameter or field is named.
 * Ownership: the contract owns everything it hands out. Built by one thread, then read by any. */
#ifndef HB_HTTP_CONTRACT_H
#define HB_HTTP_CONTRACT_H

#include "base/blob.h"
#include "http/api.h"
#include "http/schema.h"
#include "http/server.h"

#include <stdatomic.h>

#define CONTRACT_BODY_LIMIT (1024 * 1024) /* where an operation has no x-body-limit */
#define CONTRACT_PARAMS 48                /* an operation has at most so many */

enum param_in { PARAM_PATH, PARAM_QUERY, PARAM_HEADER };

struct param {
    char *name;
    enum param_in in;
    bool required, list;
    bool commas; /* a list in one text, split at commas */
    unsigned segment; /* of a path parameter */
    const struct schema *schema;
    json_t *fallback; /* the schema's default; NULL: none */
};

struct media {
    char *type;                  /* "application/json", without parameters */
    const struct schema *schema; /* NULL: any bytes */
};

struct reply_form {
    unsigned status; /* 200; 4 for "4XX"; 0 for "default" */
    struct media *media;
    size_t media_count;
};

#define LATENCY_BUCKETS 10

/* What an operation has done since start. */
struct operation_counts {
    atomic_ullong by_class[6];                  /* of status: [2] is 2XX; [0] streams that began */
    atomic_ullong by_latency[LATENCY_BUCKETS];  /* api_metrics.c has the bounds; the last has none */
    atomic_ullong total_us;
};

struct operation {
    enum http_method method;
    char *path; /* with its base: "/v1/infrastructure/nodes/{nodeId}" */
    char *id, *summary;
    enum role role;
    struct param *params;
    size_t param_count;
    bool body_required;
    struct media *body; /* what a body may be; none: the operation takes no body */
    size_t body_count;
    size_t body_limit;
    bool streams; /* x-stream: a 200 without an end */
    bool raw_body; /* x-raw-body: only the handler reads the body, and knows by it who sent it */
    struct reply_form *replies;
    size_t reply_count;
    const struct media *success; /* the media of the first 2XX reply that has any; what Accept chooses from */
    size_t success_count;
    api_handler handle; /* set by api_add */
    bool (*at_once)(void *room, const char *query, struct reply *rp); /* NULL: no shortcut */
    void *room;
    struct operation_counts *counts; /* the one part that changes later */
};

struct contract;
/* ERR_VALIDATION: the text is no contract; the message says where. */
int contract_load(const char *yaml, size_t len, struct contract **ret, struct error *e);
void contract_free(struct contract *c);
struct operation *contract_operations(struct contract *c, size_t *ret_count);
struct operation *contract_operation(struct contract *c, const char *id);
struct blob *contract_json(const struct contract *c); /* borrowed */
/* The form of a reply by its status and media type; NULL: the contract does not know it. */
const struct reply_form *contract_reply(const struct operation *op, int status);

#endif
