/* Security on a real database, and if wanted behind the real API layer and server, with a clock that tests move.
 * One fixture at a time (the clock is the program's). Operations of other rooms are answered by a small handler. */
#ifndef HB_SECURITY_FIXTURE_H
#define HB_SECURITY_FIXTURE_H

#include "security/internal.h"

struct fixture_options {
    const char *trusted_proxies;
    unsigned anonymous_per_minute, known_per_minute; /* 0: no limit */
    bool server;     /* with API layer and listener */
    bool other_rooms; /* their operations answer {"calls": n}, which their contract does not allow */
};

struct fixture {
    struct fixture_options options;
    char dir[64], database[96];
    struct store *store;
    struct vault *vault;
    struct security *security;
    struct api *api;
    struct http_server *server;
    json_t *contract; /* with the server */
    struct api_operation *others;
    char owner[64]; /* the admin key's secret */
    char owner_id[ID_LEN + 1];
};

void fixture_start(struct fixture *f, const struct fixture_options *o);
void fixture_end(struct fixture *f);
void fixture_reopen(struct fixture *f); /* as a hub that starts again on the same data */
void fixture_pass(int64_t ms);          /* time passes, on both clocks */
unsigned fixture_calls(void);           /* of the other rooms' handlers */

/* Runs SQL on the database past the program, as someone with the file would. */
void fixture_sql(struct fixture *f, const char *sql);
int64_t fixture_number(struct fixture *f, const char *sql);
void fixture_make_key(struct fixture *f, const char *name, enum role role, int64_t expires_ms, char ret_id[ID_LEN + 1],
                      char ret_secret[64]);

struct answer {
    int status;
    char *head; /* status line and headers */
    char *text; /* the body */
    json_t *body;
};
/* `headers`: complete lines ending in CR LF, or "". `body` NULL: none. */
void fixture_ask(struct fixture *f, const char *method, const char *target, const char *headers, const char *body,
                 struct answer *ret);
void answer_done(struct answer *a);
#define _cleanup_answer_ _cleanup_(answer_done)
/* Copies the value of a header, or "". */
void answer_header(const struct answer *a, const char *name, char *ret, size_t size);
const char *key_header(const char *secret, char ret[128]);    /* "X-API-Key: …\r\n" */
const char *bearer_header(const char *token, char ret[4200]); /* "Authorization: Bearer …\r\n" */

#endif
