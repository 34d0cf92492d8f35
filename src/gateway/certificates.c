#define LOG_ROOM "gateway"
#include "gateway/certificates.h"
#include "gateway/internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define ALL_MS (6LL * 3600 * 1000)
#define FIRST_AGAIN_MS 3000      /* one that is not well is looked at again, after pauses that double … */
#define LAST_AGAIN_MS 1800000    /* … up to this one */
#define MISSES_TOLD 4            /* a new domain's certificate takes a while: so many looks without one are told */
#define KEPT_MS (400LL * 24 * 3600 * 1000)

struct certificates {
    struct gateway *gateway;
    pthread_t thread;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    json_t *now;          /* domain -> the contract's Certificate without daysLeft; and `misses` */
    bool stop, running;
    bool woken, anew;     /* the routes changed; the router is another than before: look at all */
};

/* ---- what is to be looked at ---- */

/* {domain: {service, serviceId}} of the routes; `ret` says where the router is. Empty where it speaks no TLS. */
static json_t *domains_now(struct gateway *g, struct router_info *ret)
{
    size_t cursor = 0, i;
    void *value;
    json_t *domain, *all = json_object();
    (void)pthread_mutex_lock(&g->lock);
    *ret = g->info;
    while (all && ret->tls && map_next(g->routes, &cursor, NULL, &value)) {
        const struct route *x = value;
        json_array_foreach (x->domains, i, domain)
            (void)json_object_set_new(all, json_string_value(domain),
                                      json_pack("{s:s, s:s}", "service", x->name, "serviceId", x->service_id));
    }
    (void)pthread_mutex_unlock(&g->lock);
    return all;
}

/* ---- rows ---- */

struct seen { /* of a domain */
    int64_t count, newest_ms;
};

static int row_note(struct gateway *g, const char *domain, const struct certificate *x, int64_t now, struct seen *ret,
                    struct error *e)
{
    _cleanup_json_ json_t *d =
        json_pack("{s:I, s:I}", "notBefore", (json_int_t)x->not_before_ms, "notAfter", (json_int_t)x->not_after_ms);
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(g->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO gateway_certificates (domain, serial, issuer, document, first_seen_at, last_seen_at) "
            "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (domain, serial) DO UPDATE SET last_seen_at = excluded.last_seen_at",
            "tttjii", domain, x->serial, x->issuer, d, now, now);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM gateway_certificates WHERE last_seen_at < $1", "i", now - KEPT_MS);
    if (r == 0) {
        _cleanup_rows_ struct store_rows *rows = NULL;
        r = store_query(c, e, &rows, "SELECT COUNT(*), MAX(first_seen_at) FROM gateway_certificates WHERE domain = $1",
                        "t", domain);
        if (r == 0 && (r = rows_next(rows, e)) == 1)
            *ret = (struct seen){ rows_int(rows, 0), rows_int(rows, 1) };
    }
    return r < 0 ? r : store_commit(c, e);
}

static json_t *time_or_null(int64_t ms)
{
    char at[TIME_TEXT_LEN + 1];
    return ms ? json_string(time_format(ms, at)) : json_null();
}

static json_t *history_of(struct gateway *g, const char *domain, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    json_t *list = json_array();
    int r = store_acquire(g->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT serial, issuer, document, first_seen_at, last_seen_at FROM gateway_certificates WHERE domain = $1 "
            "ORDER BY first_seen_at DESC, serial LIMIT 50",
            "t", domain);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        _cleanup_json_ json_t *d = rows_json(rows, 2);
        r = json_array_append_new(
                list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "serial", rows_text(rows, 0), "issuer",
                                rows_text(rows, 1), "notBefore", time_or_null(json_int(d, "notBefore", 0)), "notAfter",
                                time_or_null(json_int(d, "notAfter", 0)), "firstSeen", time_or_null(rows_int(rows, 3)),
                                "lastSeen", time_or_null(rows_int(rows, 4)))) < 0
                ? error_set(e, ERR_INTERNAL, "No memory.")
                : 0;
    }
    if (r == 0)
        return list;
    json_decref(list);
    return NULL;
}

/* ---- one domain ---- */

static void tell(struct gateway *g, const char *type, const char *domain, const json_t *d)
{
    char whole[64];
    size_t len = 0;
    _cleanup_free_ char *text = json_text(d, &len);
    (void)snprintf(whole, sizeof whole, "certificate.%s", type);
    if (g->events && text)
        events_publish(g->events, whole, "certificate", domain, text, len);
}

static json_t *document_of(const char *domain, const json_t *whose, const struct certificate *x, const char *status,
                           const char *why, int64_t now)
{
    return json_pack("{s:s, s:O, s:O, s:s, s:s?, s:s?, s:s?, s:s?, s:o, s:o, s:o, s:n, s:o}", "domain", domain,
                     "service", json_object_get(whose, "service"), "serviceId", json_object_get(whose, "serviceId"),
                     "status", status, "reason", why[0] ? why : NULL, "issuer", x ? x->issuer : NULL, "subject",
                     x ? x->subject : NULL, "serial", x ? x->serial : NULL, "names",
                     x ? json_incref(x->names) : json_array(), "notBefore", time_or_null(x ? x->not_before_ms : 0),
                     "notAfter", time_or_null(x ? x->not_after_ms : 0), "lastRenewal", "checkedAt", time_or_null(now));
}

/* Keeps what was seen (taken) and tells what is new about it. */
static void keep(struct certificates *c, const char *domain, json_t *d)
{
    if (!d)
        return;
    (void)pthread_mutex_lock(&c->lock);
    _cleanup_json_ json_t *before = json_incref(json_object_get(c->now, domain));
    int64_t misses = str_eq(json_str(d, "status"), "missing") ? json_int(before, "misses", 0) + 1 : 0;
    (void)json_object_set_new(d, "misses", json_integer(misses));
    (void)json_object_set(c->now, domain, d);
    (void)pthread_mutex_unlock(&c->lock);
    const char *status = json_str(d, "status"), *was = before ? json_str(before, "status") : "ok";
    bool told =
        misses ? misses == MISSES_TOLD
               : !str_eq(status, was) &&
                     !(str_eq(status, "ok") && json_int(before, "misses", 0) < MISSES_TOLD && str_eq(was, "missing"));
    if (told) {
        tell(c->gateway, status, domain, d);
        if (!str_eq(status, "ok"))
            log_warn("The certificate of %s: %s", domain, json_str(d, "reason"));
    }
    json_decref(d);
}

/* 0; negative only when the router takes no connections. */
static int look_at(struct certificates *c, const struct router_info *info, const char *domain, const json_t *whose)
{
    struct gateway_target target;
    struct certificate x = { 0 };
    struct seen seen = { 0 };
    char why[700];
    int64_t now = clock_now_ms();
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = target_for(info, domain, &target, &e);
    if (r == 0)
        r = certificate_read(target.address, target.port, target.host, &x, &e);
    if (r < 0) {
        bool known = false;
        (void)pthread_mutex_lock(&c->lock);
        known = json_object_get(c->now, domain) != NULL;
        (void)pthread_mutex_unlock(&c->lock);
        if (r != -ERR_UNAVAILABLE || !known) /* a router that is away says nothing about certificates */
            keep(c, domain, document_of(domain, whose, NULL, "missing", e.message, now));
        return r == -ERR_UNAVAILABLE ? r : 0;
    }
    const char *status = certificate_status(&x, target.host, now, why, sizeof why);
    json_t *d = document_of(domain, whose, &x, status, why, now);
    if (row_note(c->gateway, domain, &x, now, &seen, &e) < 0)
        log_warn("The certificate of %s was not kept: %s", domain, e.message);
    certificate_done(&x);
    if (!d)
        return 0;
    if (seen.count > 1)
        (void)json_object_set_new(d, "lastRenewal", time_or_null(seen.newest_ms));
    if (seen.count > 1 && seen.newest_ms == now)
        tell(c->gateway, "renewed", domain, d);
    keep(c, domain, d);
    return 0;
}

/* ---- one turn ---- */

static void forget_gone(struct certificates *c, const json_t *domains)
{
    const char *domain;
    json_t *x;
    void *next;
    (void)pthread_mutex_lock(&c->lock);
    json_object_foreach_safe (c->now, next, domain, x)
        if (!json_object_get(domains, domain))
            (void)json_object_del(c->now, domain);
    (void)pthread_mutex_unlock(&c->lock);
}

static bool is_due(struct certificates *c, const char *domain, bool all, bool *ret_stop)
{
    (void)pthread_mutex_lock(&c->lock);
    bool due = all || !str_eq(json_str(json_object_get(c->now, domain), "status"), "ok");
    *ret_stop = c->stop;
    (void)pthread_mutex_unlock(&c->lock);
    return due;
}

int certificates_look(struct certificates *c, bool all)
{
    struct router_info info;
    const char *domain;
    json_t *whose;
    bool stop = false;
    _cleanup_json_ json_t *domains = domains_now(c->gateway, &info);
    if (!domains)
        return 0;
    forget_gone(c, domains);
    json_object_foreach (domains, domain, whose) {
        bool due = is_due(c, domain, all, &stop);
        int r = due && !stop ? look_at(c, &info, domain, whose) : 0;
        if (stop || r < 0)
            return r;
    }
    return 0;
}

/* Whether all is well, and was seen. */
static bool all_well(struct certificates *c)
{
    struct router_info info;
    const char *domain;
    json_t *x;
    bool well = true;
    _cleanup_json_ json_t *domains = domains_now(c->gateway, &info);
    (void)pthread_mutex_lock(&c->lock);
    json_object_foreach (domains, domain, x)
        well = well && str_eq(json_str(json_object_get(c->now, domain), "status"), "ok");
    (void)pthread_mutex_unlock(&c->lock);
    return well && info.port;
}

/* ---- the thread ---- */

enum waited { TIME_OVER, ROUTES_CHANGED, ROUTER_CHANGED, THE_END };

static enum waited wait_ms(struct certificates *c, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    (void)pthread_mutex_lock(&c->lock);
    while (!c->stop && !c->woken && pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT)
        ;
    enum waited ret = c->stop ? THE_END : c->anew ? ROUTER_CHANGED : c->woken ? ROUTES_CHANGED : TIME_OVER;
    c->woken = c->anew = false;
    (void)pthread_mutex_unlock(&c->lock);
    return ret;
}

static void *run(void *arg)
{
    struct certificates *c = arg;
    int64_t pause = FIRST_AGAIN_MS, all_at = 0;
    for (enum waited why = ROUTER_CHANGED; why != THE_END;) {
        bool all = why == ROUTER_CHANGED || clock_mono_ms() >= all_at;
        if (why != TIME_OVER)
            pause = FIRST_AGAIN_MS;
        int r = certificates_look(c, all);
        if (all)
            all_at = r < 0 ? 0 : clock_mono_ms() + ALL_MS;
        int64_t rest = all_at - clock_mono_ms();
        why = wait_ms(c, (r == 0 && all_well(c)) || (all_at && pause > rest) ? rest : pause);
        pause = pause * 2 > LAST_AGAIN_MS ? LAST_AGAIN_MS : pause * 2;
    }
    return NULL;
}

/* On the publisher's thread, which may hold the gateway's lock: it is only noted here. */
static void on_event(void *ctx, const char *type, const char *entity_id UNUSED, const char *data UNUSED,
                     size_t len UNUSED)
{
    struct certificates *c = ctx;
    bool anew = str_eq(type, "router.reached") || str_eq(type, "router.restored");
    if (!anew && !str_eq(type, "route.created") && !str_eq(type, "route.updated") && !str_eq(type, "route.deleted"))
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->woken = true;
    c->anew = c->anew || anew;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

int certificates_open(struct gateway *g, struct certificates **ret, struct error *e)
{
    struct certificates *c = calloc(1, sizeof *c);
    pthread_condattr_t monotonic;
    if (!c)
        return error_set(e, ERR_INTERNAL, "No memory.");
    c->gateway = g;
    c->now = json_object();
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (c->now && (!g->events || events_listen(g->events, on_event, c) == 0)) {
        *ret = c;
        return 0;
    }
    certificates_free(c);
    return error_set(e, ERR_INTERNAL, "No memory.");
}

int certificates_start(struct certificates *c, struct error *e)
{
    c->running = true;
    if (pthread_create(&c->thread, NULL, run, c) == 0)
        return 0;
    c->running = false;
    return error_set(e, ERR_INTERNAL, "Cannot start the thread that reads certificates.");
}

void certificates_stop(struct certificates *c)
{
    if (!c)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->stop = true;
    bool running = c->running;
    c->running = false;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    if (running)
        (void)pthread_join(c->thread, NULL);
}

void certificates_free(struct certificates *c)
{
    if (!c)
        return;
    certificates_stop(c);
    json_decref(c->now);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- answering ---- */

/* As it is now: the days that are left go by between looks. Under the lock; new reference. */
static json_t *answered(const json_t *kept)
{
    int64_t until = 0;
    json_t *d = json_copy((json_t *)(uintptr_t)kept);
    (void)json_object_del(d, "misses");
    bool known = json_str(d, "notAfter") && time_parse(json_str(d, "notAfter"), &until) == 0;
    int64_t left = until - clock_now_ms(), day = 24LL * 3600 * 1000;
    (void)json_object_set_new(d, "daysLeft",
                              known ? json_integer(left < 0 ? -((-left + day - 1) / day) : left / day) : json_null());
    return d;
}

static int by_domain(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    return strcmp(json_str(*x, "domain"), json_str(*y, "domain"));
}

int gateway_list_certificates(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    const struct gateway *g = room;
    struct certificates *c = g->certificates;
    const char *domain;
    json_t *x, **list = NULL;
    size_t n = 0;
    if (c) {
        (void)pthread_mutex_lock(&c->lock);
        list = calloc(json_object_size(c->now) + 1, sizeof *list);
        json_object_foreach (c->now, domain, x)
            if (list && (list[n] = answered(x)))
                n++;
        (void)pthread_mutex_unlock(&c->lock);
        if (!list)
            return error_set(e, ERR_INTERNAL, "No memory.");
        qsort(list, n, sizeof *list, by_domain);
    }
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "certificates"), jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_json(w, list[i]);
        json_decref(list[i]);
    }
    jw_end(w);
    jw_end(w);
    free(list);
    return 0;
}

int gateway_get_certificate(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct gateway *g = room;
    struct certificates *c = g->certificates;
    const char *domain = request_str(rq, "domain");
    _cleanup_json_ json_t *d = NULL;
    if (c) {
        (void)pthread_mutex_lock(&c->lock);
        const json_t *x = json_object_get(c->now, domain);
        d = x ? answered(x) : NULL;
        (void)pthread_mutex_unlock(&c->lock);
    }
    if (!d)
        return error_set(
            e, ERR_NOT_FOUND,
            "No certificate of %s has been looked at: no route has this domain, or the router speaks no TLS.", domain);
    _cleanup_json_ json_t *history = history_of(g, domain, e);
    if (!history)
        return -(int)(e->code ? e->code : ERR_INTERNAL);
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "certificate"), jw_json(w, d);
    jw_key(w, "history"), jw_json(w, history);
    jw_end(w);
    return 0;
}
