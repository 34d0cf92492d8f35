/* Who may do what: the owner, API keys, sessions, bearer tokens, rate limits, the audit.
 * Ownership: one a hub; borrows store and vault. Thread-safe.
 * Only keyed hashes of keys and session tokens are kept. Source of the token format: RFC 7515, RFC 7519. */
#ifndef HB_SECURITY_H
#define HB_SECURITY_H

#include "http/events.h"
#include "security/vault.h"
#include "store/store.h"

struct security;
struct security_options {
    struct store *store;
    struct vault *vault;
    struct events *events;         /* streams end with their credentials; NULL: nobody is told */
    unsigned anonymous_per_minute; /* per address, IPv6 by /64; 0: no limit */
    unsigned known_per_minute;     /* per key, session or token; 0: no limit */
    const char *trusted_proxies;   /* "10.0.0.0/8, ::1": whose X-Forwarded-For counts; NULL none */
    bool behind_proxy;             /* cookies are Secure when the proxy says https */
};
int security_new(const struct security_options *o, struct security **ret, struct error *e);
void security_free(struct security *s);
void security_hooks(struct security *s, struct api_hooks *ret);

extern const struct api_operation security_operations[];
extern const size_t security_operation_count;

/* First start: makes the owner's admin key. 1: made, `ret_secret` to be written once; 0: there is one. */
int security_make_owner(struct security *s, struct secret **ret_secret, struct error *e);
/* A login token for the terminal, good once and for an hour. */
int security_login_token(struct security *s, struct secret **ret, struct error *e);
bool security_ever_logged_in(struct security *s);
/* Ends expired sessions, old idempotency keys and retired signing keys; called now and then. */
void security_tidy(struct security *s);
/* For the command line, without a hub: walks the chain in the database. */
struct audit_report {
    bool ok;
    int64_t checked, first_bad;
    char reason[128], head[65];
};
int audit_verify(struct store *s, struct audit_report *ret, struct error *e);

#endif
