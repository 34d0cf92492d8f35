/* What the files of the Caddy router share. Internal to the folder. */
#ifndef HB_CADDY_INTERNAL_H
#define HB_CADDY_INTERNAL_H

#include "base/json.h"
#include "base/str.h"
#include "http/client.h"
#include "integrations/caddy/caddy.h"

#include <pthread.h>

/* Ids of what is ours in the configuration. A service's route is ID_ROUTE and its name. */
#define ID_PART "hbcloud"
#define ID_UNKNOWN "hbcloud-unknown"
#define ID_POLICY "hbcloud-certificates"
#define ID_SERVER "hbcloud-server"
#define ID_ROUTE "hbcloud-route-"
#define OWN_SERVER "hbcloud"

struct caddy {
    struct router router; /* first */
    char *base, *socket, *origin; /* of the admin API; socket NULL: by TCP */
    char *server, *listen, *slot_directory, *domain, *issuer, *acme_directory, *acme_ca_file;
    char host[256]; /* where the proxy is, as the hub sees it */

    pthread_mutex_t turn; /* one change of the configuration at a time */
    pthread_mutex_t lock; /* all below */
    _Atomic bool send_origin; /* it refused a call without one */
    json_t *applied;      /* our part as it was last written or found; NULL: none is wanted */
    json_t *unknown, *policy; /* as wanted when last applied; NULL none */
    bool known;           /* `applied` says what is wanted */
    bool asked, rate_limits; /* whether it has a module for rates */
};

/* caddy_admin.c: one call. `body` NULL: none. 0 for 2XX. CADDY_REFUSED: the configuration was not taken, the words are in
 * `e`; CADDY_CHANGED: If-Match did not hold; CADDY_ABSENT: no such id or path; else an error of http_client_send. */
#define CADDY_REFUSED (-1001)
#define CADDY_CHANGED (-1002)
#define CADDY_ABSENT (-1003)
int caddy_call(struct caddy *c, const char *method, const char *path, const json_t *body, const char *if_match,
               struct http_client_response *ret, struct error *e);
/* A document and its ETag ("" none); `*ret` NULL when absent. Repeats while the admin API restarts itself. */
int caddy_read(struct caddy *c, const char *path, json_t **ret, char *ret_tag, size_t size, struct error *e);
/* The error as other rooms know it. */
int caddy_result(int r, struct error *e);

/* caddy_route.c */
json_t *caddy_route(const struct caddy *c, const struct router_route *route, bool rate_limits);
json_t *caddy_part(json_t *const *routes, size_t n); /* of routes that are there; borrows; NULL: none of them */
json_t *caddy_unknown(const struct caddy *c); /* NULL: no domain */
json_t *caddy_policy(const struct caddy *c, const json_t *part); /* NULL: none is wanted */

/* caddy_place.c */
/* Puts our part where it is not yet: into the server that is meant, or one of our own. Counts reloads. */
int caddy_insert(struct caddy *c, const json_t *part, struct error *e);
/* Makes the object with this id as wanted (NULL: absent), inserting it by `insert`. 1 changed, 0 was so. */
int caddy_ensure(struct caddy *c, const char *id, const json_t *wanted,
                 int (*insert)(struct caddy *c, const json_t *object, struct error *e), struct error *e);
int caddy_insert_unknown(struct caddy *c, const json_t *object, struct error *e);
int caddy_insert_policy(struct caddy *c, const json_t *object, struct error *e);
/* ERR_CONFLICT: a route of the owner's own, in the server that is meant, names one of these hosts. */
int caddy_check(struct router *r, const json_t *domains, struct error *e);
/* Where clients reach the server that has the routes. */
int caddy_front(struct caddy *c, struct router_info *ret, struct error *e);

/* caddy_apply.c */
int caddy_apply(struct router *r, const struct router_route *routes, size_t n, struct router_verdict *ret_verdicts,
                unsigned *ret_reloads, struct error *e);
int caddy_intact(struct router *r, char *ret_why, size_t size, struct error *e);
/* Whether it has a module that limits rates: asks it to adapt a small Caddyfile, which changes nothing. Negative: it did
 * not say. */
int caddy_limits_rates(struct caddy *c);

/* caddy_figures.c */
int caddy_in_flight(struct router *r, const char *address, int64_t *ret, struct error *e);
int caddy_figures(struct router *r, json_t **ret, struct error *e);

#endif
