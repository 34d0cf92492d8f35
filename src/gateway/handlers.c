/* GET /routes and GET /routes/{serviceId}: routes as they are wanted, the router's word on each, and what passed through. */
#include "gateway/certificates.h"
#include "gateway/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- figures ---- */

static void sum(json_t *total, const json_t *of_host)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)of_host, key, value)
        (void)json_object_set_new(total, key,
                                  json_real(json_number_value(json_object_get(total, key)) + json_number_value(value)));
}

static json_t *whole(const json_t *total, const char *key)
{
    return json_integer((json_int_t)json_number_value(json_object_get(total, key)));
}

/* What passed through a route since the hub's start: null where the router does not count. */
static json_t *figures_of(const struct route *x, const json_t *figures)
{
    static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };
    size_t i;
    json_t *domain, *hosts = json_object_get(figures, "hosts"), *responses = json_object();
    _cleanup_json_ json_t *total = json_object();
    json_int_t requests = 0;
    if (!json_is_object(hosts)) {
        json_decref(responses);
        return json_null();
    }
    json_array_foreach (x->domains, i, domain)
        sum(total, json_object_get(hosts, json_string_value(domain)));
    for (size_t k = 0; k < ARRAY_LEN(classes); k++) {
        (void)json_object_set_new(responses, classes[k], whole(total, classes[k]));
        requests += json_integer_value(json_object_get(responses, classes[k]));
    }
    double seconds = json_number_value(json_object_get(total, "seconds"));
    return json_pack("{s:I, s:o, s:o, s:o}", "requests", requests, "responses", responses, "bytes",
                     whole(total, "bytes"), "meanMs",
                     requests ? json_real((double)(int64_t)(seconds * 1e6 / (double)requests) / 1000) : json_null());
}

static json_t *in_flight_of(const struct route *x, const json_t *figures)
{
    if (!figures)
        return json_null();
    return json_integer(json_integer_value(json_object_get(json_object_get(figures, "inFlight"), x->service_id)));
}

/* ---- documents ---- */

static const char *url_of(const struct gateway *g, const struct route *x, char *ret, size_t size)
{
    return route_url(g, x, ret, size) ? ret : NULL;
}

/* Without figures; under the lock. */
json_t *route_document(struct gateway *g, const struct route *x)
{
    char at[TIME_TEXT_LEN + 1], url[300];
    const char *text = url_of(g, x, url, sizeof url);
    return json_pack("{s:s, s:s, s:O, s:s?, s:s, s:s?, s:b, s:i, s:s}", "service", x->name, "serviceId", x->service_id,
                     "domains", x->domains, "url", text, "state",
                     !x->judged    ? "pending"
                     : x->accepted ? "accepted"
                                   : "refused",
                     "reason", x->reason[0] ? x->reason : NULL, "serving", x->serving, "slots", (int)x->slots,
                     "updatedAt", time_format(x->updated_ms, at));
}

static json_t *whole_document(struct gateway *g, const struct route *x, const json_t *figures)
{
    (void)pthread_mutex_lock(&g->lock);
    json_t *d = route_document(g, x), *upstreams = NULL;
    (void)pthread_mutex_unlock(&g->lock);
    if (gateway_upstreams_get(g, x->service_id, &upstreams, NULL) < 0)
        upstreams = json_array();
    if (d) {
        (void)json_object_set_new(d, "upstreams", upstreams);
        (void)json_object_set_new(d, "inFlight", in_flight_of(x, figures));
        (void)json_object_set_new(d, "figures", figures_of(x, figures));
    } else {
        json_decref(upstreams);
    }
    return d;
}

static void write_router(struct gateway *g, struct jw *w)
{
    (void)pthread_mutex_lock(&g->lock);
    struct router_info info = g->info;
    bool reached = g->router && g->reached && info.port;
    int64_t reloads = g->reloads;
    (void)pthread_mutex_unlock(&g->lock);
    jw_object(w);
    jw_key(w, "configured"), jw_bool(w, g->router != NULL);
    jw_key(w, "reached"), jw_bool(w, reached);
    jw_key(w, "reloads"), jw_int(w, reloads);
    jw_key(w, "rateLimits"), jw_bool(w, info.rate_limits);
    jw_end(w);
}

/* ---- copies of the routes, so that no lock is held while files and the router are read ---- */

static int by_name(const void *a, const void *b)
{
    const struct route *const *x = a, *const *y = b;
    int r = strcmp((*x)->name, (*y)->name);
    return r ? r : strcmp((*x)->service_id, (*y)->service_id);
}

static void free_routes(struct route **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        route_free(list[i]);
    free(list);
}

static int copy_routes(struct gateway *g, struct route ***ret, size_t *ret_n)
{
    size_t cursor = 0, n = 0;
    void *value;
    (void)pthread_mutex_lock(&g->lock);
    struct route **list = calloc(map_size(g->routes) + 1, sizeof *list);
    while (list && map_next(g->routes, &cursor, NULL, &value))
        if ((list[n] = route_copy(value)))
            n++;
    (void)pthread_mutex_unlock(&g->lock);
    if (!list)
        return -ENOMEM;
    qsort(list, n, sizeof *list, by_name);
    *ret = list;
    *ret_n = n;
    return 0;
}

static size_t after_cursor(struct route *const *list, size_t n, const char *const after[2])
{
    for (size_t i = 0; after[0] && i < n; i++) {
        int r = strcmp(list[i]->name, after[0]);
        if (r > 0 || (r == 0 && strcmp(list[i]->service_id, after[1]) > 0))
            return i;
    }
    return after[0] ? n : 0;
}

static int list_routes(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct gateway *g = room;
    char storage[1024], next[1024] = "";
    const char *after[2] = { NULL, NULL };
    struct route **list = NULL;
    size_t n = 0, limit = (size_t)request_int(rq, "limit", 100);
    int r =
        request_str(rq, "cursor") ? cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, after, 2, e) : 0;
    if (r == 0 && copy_routes(g, &list, &n) < 0)
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0)
        return r;
    size_t from = after_cursor(list, n, after), to = n - from > limit ? from + limit : n;
    _cleanup_json_ json_t *figures = to > from ? gateway_figures(g) : NULL;
    if (to < n)
        (void)cursor_encode((const char *[]){ list[to - 1]->name, list[to - 1]->service_id }, 2, next, sizeof next);
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "routes"), jw_array(w);
    for (size_t i = from; i < to; i++) {
        _cleanup_json_ json_t *d = whole_document(g, list[i], figures);
        jw_json(w, d);
    }
    jw_end(w);
    jw_key(w, "router"), write_router(g, w);
    if (next[0])
        jw_key(w, "next"), jw_string(w, next);
    jw_end(w);
    free_routes(list, n);
    return 0;
}

static struct route *find_route(struct gateway *g, const char *id_or_name)
{
    size_t cursor = 0;
    void *value = NULL;
    struct route *copy = NULL;
    (void)pthread_mutex_lock(&g->lock);
    const struct route *x = map_get(g->routes, id_or_name);
    while (!x && map_next(g->routes, &cursor, NULL, &value))
        if (str_eq(((struct route *)value)->name, id_or_name))
            x = value;
    copy = x ? route_copy(x) : NULL;
    (void)pthread_mutex_unlock(&g->lock);
    return copy;
}

static int get_route(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct gateway *g = room;
    const char *which = request_str(rq, "serviceId");
    _cleanup_(route_free_ptr) struct route *x = find_route(g, which);
    if (!x)
        return error_set(e, ERR_NOT_FOUND, "The service %s has no route.", which);
    _cleanup_json_ json_t *figures = gateway_figures(g);
    _cleanup_json_ json_t *d = whole_document(g, x, figures);
    _cleanup_free_ char *rendered = gateway_route_rendered(g, x->service_id);
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)json_object_set_new(d, "rendered", rendered ? json_string(rendered) : json_null());
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "route"), jw_json(w, d);
    jw_end(w);
    return 0;
}

const struct api_operation gateway_operations[] = {
    { "listRoutes", list_routes },
    { "getRoute", get_route },
    { "listCertificates", gateway_list_certificates },
    { "getCertificate", gateway_get_certificate },
    { "listRegistrations", gateway_list_registrations },
};
const size_t gateway_operation_count = ARRAY_LEN(gateway_operations);
