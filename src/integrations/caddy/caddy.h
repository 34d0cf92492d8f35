/* A router that is a Caddy (2.7 and newer), by its admin API.
 * Ownership: the caller owns the router and frees it by `ops->free` when no call is running.
 * Threads: every call may run in any thread; changes of the configuration take turns. */
#ifndef HB_CADDY_H
#define HB_CADDY_H

#include "gateway/router.h"

struct caddy_options {
    const char *admin_url;      /* "http://127.0.0.1:2019" or "unix:///run/caddy/admin.sock" */
    const char *server;         /* gets the routes; NULL: the one on :443, else on :80, else one made for us */
    const char *listen;         /* of the one made for us: "a,b"; NULL ":443" */
    const char *slot_directory; /* where Caddy sees the slots; NULL: where the hub does */
    const char *domain;         /* the owner's: names below it that nobody serves answer 404; NULL: none */
    const char *issuer; /* "default" "acme" "internal" "none" (our own server speaks plain HTTP); NULL default */
    const char *acme_directory, *acme_ca_file; /* for "acme"; NULL: Caddy's own */
};
/* Never connects. ERR_VALIDATION for a URL of another form. */
int caddy_router_new(const struct caddy_options *o, struct router **ret, struct error *e);

#endif
