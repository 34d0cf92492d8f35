/* A small contract and its handlers, for the tests of the API layer. */
#ifndef HB_TEST_TOY_H
#define HB_TEST_TOY_H

#include "http/api.h"

struct toy {
    char actor_role[16];    /* who authenticate says it is; "" anonymous, "bad" refuses */
    bool limited;           /* rate_limit refuses */
    bool break_reply;       /* getThing answers what the contract does not allow */
    int calls, audits, audit_status, claims, stored;
    char audited[64];       /* entity id of the last audit */
    char stored_body[256];
    char big[4096];         /* the text listThings puts into its reply; "" a short one */
    struct blob *shared;    /* getShared's body */
};

extern const char toy_contract[];
struct api_options toy_options(struct toy *t);
/* Makes the api with all rows, sealed; NULL with e. */
struct api *toy_api(struct toy *t, const struct api_options *o, struct error *e);
extern const struct api_operation toy_rows[];
extern const size_t toy_row_count;

#endif
