/* An admin API that keeps a configuration as Caddy's does, and fails as a test tells it to. One connection at a time.
 * Ownership: new/free. Threads: the fields marked so may be set while it serves; the rest between calls. */
#ifndef HB_FAKE_CADDY_H
#define HB_FAKE_CADDY_H

#include "base/json.h"

#include <pthread.h>

struct fake_caddy {
    char url[64];
    json_t *config;             /* under the lock */
    pthread_mutex_t lock;
    const char *wants_origin;   /* 403 without exactly this Origin; NULL: 403 with any */
    const char *refuses;        /* a configuration that holds this text is not taken */
    _Atomic int lost_answers;   /* changes that are made, but whose answer is lost */
    _Atomic int broken_calls;   /* connections that are closed unheard */
    _Atomic int stale;          /* changes that are answered 412 */
    _Atomic bool knows_rates;   /* its Caddyfile adapter knows rate_limit */
    const char *upstreams;      /* of /reverse_proxy/upstreams */
    const char *metrics;        /* of /metrics; NULL: 500 */
    _Atomic int changes, calls; /* configurations taken; calls answered */
    int listener;
    _Atomic bool stop;
    pthread_t thread;
};
struct fake_caddy *fake_caddy_new(const char *config); /* JSON, "'" for '"' */
void fake_caddy_free(struct fake_caddy *f);
/* What stands at a path such as "/apps/http/servers/own/routes"; a copy, NULL: nothing. */
json_t *fake_caddy_at(struct fake_caddy *f, const char *path);
void fake_caddy_load(struct fake_caddy *f, const char *config); /* as a stranger would */

#endif
