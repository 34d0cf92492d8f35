/* Brings our part to what is wanted: one change for all routes, halved where Caddy refuses it, until the routes that it
 * refuses stand alone. A change of Caddy's configuration costs requests of every service, so what is equal is not written. */
#include "integrations/caddy/caddy_internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIES 6
#define PAUSE_MS 50
#define ENSURE_TRIES 3

struct work {
    struct caddy *c;
    const struct router_route *routes;
    struct router_verdict *verdicts;
    json_t **wanted, **now; /* a route each: as it is to be, and as it is in Caddy (NULL: not there) */
    bool *taken; /* the wanted one goes in */
    size_t n;
    json_t *part; /* as found or written last */
    json_t *policy; /* as ensured; NULL none */
    char tag[256];
    unsigned reloads;
};

static void free_work(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        json_decref(w->wanted ? w->wanted[i] : NULL);
        json_decref(w->now ? w->now[i] : NULL);
    }
    free(w->wanted);
    free(w->now);
    free(w->taken);
    json_decref(w->part);
    json_decref(w->policy);
}

/* ---- what is there ---- */

/* id -> route, of those that the part holds. New reference. */
static json_t *routes_by_id(const json_t *part)
{
    size_t i;
    json_t *route, *ret = json_object();
    json_array_foreach (json_object_get(json_array_get(json_object_get(part, "handle"), 0), "routes"), i, route)
        if (json_str(route, "@id"))
            (void)json_object_set(ret, json_str(route, "@id"), route);
    return ret;
}

/* The tag begins with the path: of a part that stands in another server than the one that is set now. */
static bool elsewhere(const struct caddy *c, const char *tag)
{
    char path[300];
    if (!c->server || !tag[0])
        return false;
    (void)snprintf(path, sizeof path, "\"/config/apps/http/servers/%s/", c->server);
    return !str_starts(tag, path);
}

static void take_out(struct work *w, const char *id)
{
    char path[80], tag[256];
    _cleanup_json_ json_t *now = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)snprintf(path, sizeof path, "/id/%s", id);
    if (caddy_read(w->c, path, &now, tag, sizeof tag, &e) < 0 || !now || !elsewhere(w->c, tag))
        return;
    _cleanup_response_ struct http_client_response rs;
    if (caddy_call(w->c, "DELETE", path, NULL, tag, &rs, &e) == 0)
        w->reloads++;
}

static int read_part(struct work *w, struct error *e)
{
    json_t *part = NULL;
    int r = caddy_read(w->c, "/id/" ID_PART, &part, w->tag, sizeof w->tag, e);
    if (r == 0) {
        json_decref(w->part);
        w->part = part;
    }
    return r;
}

/* ---- writing ---- */

static json_t *wanted_part(struct work *w)
{
    json_t **list = calloc(w->n ? w->n : 1, sizeof(json_t *));
    for (size_t i = 0; list && i < w->n; i++)
        list[i] = w->taken[i] ? w->wanted[i] : w->now[i];
    json_t *part = list ? caddy_part(list, w->n) : NULL;
    free(list);
    return part;
}

static int write_once(struct work *w, const json_t *part, struct error *e)
{
    _cleanup_response_ struct http_client_response rs;
    memset(&rs, 0, sizeof rs);
    if (part && !w->part)
        return caddy_insert(w->c, part, e);
    return caddy_call(w->c, part ? "PATCH" : "DELETE", "/id/" ID_PART, part, w->tag[0] ? w->tag : NULL, &rs, e);
}

static bool equal(const json_t *a, const json_t *b)
{
    return (!a && !b) || (a && b && json_equal(a, b));
}

/* Until it stands, or Caddy refuses it. After a failure it is read before it is written again: the change may have been
 * made although its answer was lost. */
static int write_part(struct work *w, struct error *e)
{
    _cleanup_json_ json_t *part = wanted_part(w);
    for (int i = 0;; i++) {
        if (equal(part, w->part))
            return 0;
        int r = write_once(w, part, e);
        if (r == CADDY_REFUSED)
            return r;
        if (r == 0)
            w->reloads++;
        if (r < 0 && i + 1 >= TRIES)
            return caddy_result(r, e);
        if (r < 0 && r != CADDY_CHANGED && r != CADDY_ABSENT) {
            struct timespec t = { 0, PAUSE_MS * 1000000L };
            (void)nanosleep(&t, NULL);
        }
        bool lost = r < 0;
        r = read_part(w, e);
        if (r < 0)
            return r;
        if (lost && equal(part, w->part))
            w->reloads++;
    }
}

/* ---- halving ---- */

static void refuse(struct work *w, size_t i, const struct error *e)
{
    w->verdicts[i].accepted = false;
    str_copy(w->verdicts[i].reason, sizeof w->verdicts[i].reason, e->message);
}

static int settle(struct work *w, const size_t *which, size_t n, struct error *e)
{
    for (size_t i = 0; i < n; i++)
        w->taken[which[i]] = true;
    int r = write_part(w, e);
    if (r != CADDY_REFUSED)
        return r;
    for (size_t i = 0; i < n; i++)
        w->taken[which[i]] = false;
    if (n == 0) /* not a route's fault: what goes away, or the part around them */
        return caddy_result(r, e);
    if (n == 1) {
        refuse(w, which[0], e);
        error_done(e);
        *e = ERROR_INIT;
        return 0;
    }
    r = settle(w, which, n / 2, e);
    return r == 0 ? settle(w, which + n / 2, n - n / 2, e) : r;
}

static int prepare(struct work *w, struct error *e)
{
    size_t room = w->n ? w->n : 1;
    bool limits = w->c->rate_limits;
    w->wanted = calloc(room, sizeof(json_t *));
    w->now = calloc(room, sizeof(json_t *));
    w->taken = calloc(room, sizeof *w->taken);
    _cleanup_json_ json_t *there = routes_by_id(w->part);
    if (!w->wanted || !w->now || !w->taken || !there)
        return error_set(e, ERR_INTERNAL, "No memory.");
    for (size_t i = 0; i < w->n; i++) {
        if (!(w->wanted[i] = caddy_route(w->c, &w->routes[i], limits)))
            return error_set(e, ERR_INTERNAL, "The route of %s cannot be written.", w->routes[i].name);
        w->now[i] = json_incref(json_object_get(there, json_str(w->wanted[i], "@id")));
        w->verdicts[i] = (struct router_verdict){ .accepted = true };
    }
    return 0;
}

static int settle_all(struct work *w, struct error *e)
{
    size_t n = 0;
    size_t *which = calloc(w->n ? w->n : 1, sizeof *which);
    if (!which)
        return error_set(e, ERR_INTERNAL, "No memory.");
    for (size_t i = 0; i < w->n; i++)
        if (!equal(w->wanted[i], w->now[i]))
            which[n++] = i;
    int r = settle(w, which, n, e);
    free(which);
    return r;
}

/* ---- what stands around our part ---- */

/* Each try reads first, so that a change whose answer was lost, or that somebody else made, is not made again. */
static int ensure(struct work *w, const char *id, const json_t *wanted,
                  int (*insert)(struct caddy *c, const json_t *object, struct error *e), struct error *e)
{
    int r = 0;
    for (int i = 0; i < ENSURE_TRIES; i++) {
        r = caddy_ensure(w->c, id, wanted, insert, e);
        if (r >= 0 || r == CADDY_REFUSED)
            break;
    }
    w->reloads += r == 1;
    return r < 0 ? caddy_result(r, e) : 0;
}

/* The policy before the routes: their certificates are asked for as soon as they are there. */
static int ensure_policy(struct work *w, struct error *e)
{
    _cleanup_json_ json_t *all = NULL;
    json_t **list = calloc(w->n ? w->n : 1, sizeof(json_t *));
    for (size_t i = 0; list && i < w->n; i++)
        list[i] = w->wanted[i];
    all = list ? caddy_part(list, w->n) : NULL;
    free(list);
    w->policy = caddy_policy(w->c, all);
    if (!w->policy && !w->c->policy && w->c->known)
        return 0;
    return ensure(w, ID_POLICY, w->policy, caddy_insert_policy, e);
}

/* It stays when the last route goes: that would be one more change, and unknown names are still unknown. */
static int ensure_unknown(struct work *w, struct error *e)
{
    _cleanup_json_ json_t *unknown = w->part ? caddy_unknown(w->c) : NULL;
    if (!w->part || (!unknown && !w->c->unknown && w->c->known))
        return 0;
    return ensure(w, ID_UNKNOWN, unknown, caddy_insert_unknown, e);
}

static void remember(struct work *w)
{
    struct caddy *c = w->c;
    (void)pthread_mutex_lock(&c->lock);
    json_decref(c->applied);
    json_decref(c->unknown);
    json_decref(c->policy);
    c->applied = json_incref(w->part);
    c->unknown = w->part ? caddy_unknown(c) : NULL;
    c->policy = json_incref(w->policy);
    c->known = true;
    (void)pthread_mutex_unlock(&c->lock);
}

/* `anew`: our part is not there, so it may be another program than before. */
static void ask_modules(struct caddy *c, bool anew)
{
    int limits = c->asked && !anew ? -1 : caddy_limits_rates(c);
    if (limits < 0)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->rate_limits = limits;
    c->asked = true;
    (void)pthread_mutex_unlock(&c->lock);
}

int caddy_apply(struct router *router, const struct router_route *routes, size_t n, struct router_verdict *ret_verdicts,
                unsigned *ret_reloads, struct error *e)
{
    struct work w = { .c = (struct caddy *)router, .routes = routes, .n = n, .verdicts = ret_verdicts };
    struct error own = ERROR_INIT, *said = e ? e : &own;
    (void)pthread_mutex_lock(&w.c->turn);
    int r = read_part(&w, said);
    if (r == 0 && elsewhere(w.c, w.tag)) {
        take_out(&w, ID_PART);
        take_out(&w, ID_UNKNOWN);
        r = read_part(&w, said);
    }
    if (r == 0)
        ask_modules(w.c, !w.part);
    if (r == 0)
        r = prepare(&w, said);
    if (r == 0)
        r = ensure_policy(&w, said);
    if (r == 0)
        r = settle_all(&w, said);
    if (r == 0)
        r = ensure_unknown(&w, said);
    if (r == 0)
        remember(&w);
    (void)pthread_mutex_unlock(&w.c->turn);
    *ret_reloads = w.reloads;
    free_work(&w);
    error_done(&own);
    return r;
}

/* ---- is it still so? ---- */

static int same_object(struct caddy *c, const char *id, const json_t *wanted, const char *what, char *ret_why,
                       size_t size, struct error *e)
{
    char path[80];
    _cleanup_json_ json_t *now = NULL;
    if (!wanted)
        return 1;
    (void)snprintf(path, sizeof path, "/id/%s", id);
    int r = caddy_read(c, path, &now, NULL, 0, e);
    if (r < 0 || (now && json_equal(now, wanted)))
        return r < 0 ? r : 1;
    (void)snprintf(ret_why, size, "Caddy's configuration %s %s.", now ? "has another form of" : "lacks", what);
    return 0;
}

int caddy_intact(struct router *router, char *ret_why, size_t size, struct error *e)
{
    struct caddy *c = (struct caddy *)router;
    (void)pthread_mutex_lock(&c->turn);
    int r = 1;
    if (c->known && !c->applied) { /* nothing is wanted; it is asked all the same, to know whether it is there */
        _cleanup_json_ json_t *now = NULL;
        r = caddy_read(c, "/id/" ID_PART, &now, NULL, 0, e);
        r = r < 0 ? r : !now;
        if (r == 0)
            (void)snprintf(ret_why, size, "Caddy's configuration has routes of hbcloud that nobody wants.");
    } else if (c->known) {
        r = same_object(c, ID_PART, c->applied, "hbcloud's routes", ret_why, size, e);
    } else {
        r = 0;
        (void)snprintf(ret_why, size, "Nothing was applied yet.");
    }
    if (r == 1)
        r = same_object(c, ID_UNKNOWN, c->unknown, "hbcloud's answer for unknown names", ret_why, size, e);
    if (r == 1)
        r = same_object(c, ID_POLICY, c->policy, "hbcloud's policy of certificates", ret_why, size, e);
    (void)pthread_mutex_unlock(&c->turn);
    return r;
}
