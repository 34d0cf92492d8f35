/* Routes as services want them: refused beforehand, kept as rows, and brought to the router by the room's thread. */
#define LOG_ROOM "gateway"
#include "gateway/internal.h"

#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* What of a request shapes a route besides its domains. */
static const char *const shaping[] = { "headers", "rateLimit" };

void route_free(struct route *x)
{
    if (!x)
        return;
    free(x->service_id);
    free(x->name);
    json_decref(x->domains);
    json_decref(x->networking);
    free(x);
}

struct route *route_copy(const struct route *x)
{
    struct route *y = calloc(1, sizeof *y);
    if (!y)
        return NULL;
    *y = *x;
    y->service_id = strdup(x->service_id);
    y->name = strdup(x->name);
    y->domains = json_deep_copy(x->domains);
    y->networking = json_deep_copy(x->networking);
    if (y->service_id && y->name && y->domains && y->networking)
        return y;
    route_free(y);
    return NULL;
}

int route_for_router(struct gateway *g, const struct route *x, struct router_route *ret, char **ret_slots)
{
    for (unsigned i = 0; i < x->slots; i++)
        if (!(ret_slots[i] = slot_path(g, x->service_id, i + 1))) {
            while (i > 0)
                free(ret_slots[--i]);
            return -ENOMEM;
        }
    *ret = (struct router_route){ .service_id = x->service_id,
                                  .name = x->name,
                                  .domains = x->domains,
                                  .slots = (const char *const *)ret_slots,
                                  .slot_count = x->slots,
                                  .networking = x->networking };
    return 0;
}

/* ---- what is wanted ---- */

static const json_t *domains_of(const json_t *specification)
{
    const json_t *domains = json_at(specification, "networking.domains");
    return json_array_size(domains) ? domains : NULL;
}

bool gateway_wants_route(struct gateway *g, const json_t *specification)
{
    return g && g->router && domains_of(specification);
}

static bool label_good(const char *label, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)label[i]) && label[i] != '-')
            return false;
    return n >= 1 && n <= 63 && label[0] != '-' && label[n - 1] != '-';
}

/* Lower case; a name, or "*." and a name. Nothing in it means anything to a router's matchers. */
static bool domain_good(const char *domain)
{
    if (strlen(domain) > 253)
        return false;
    if (str_starts(domain, "*."))
        domain += 2;
    for (;;) {
        size_t n = strcspn(domain, ".");
        if (!label_good(domain, n))
            return false;
        if (!domain[n])
            return true;
        domain += n + 1;
    }
}

static json_t *lower(const json_t *text)
{
    char *copy = strdup(json_string_value(text) ? json_string_value(text) : "");
    for (char *p = copy; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    json_t *ret = copy ? json_string(copy) : NULL;
    free(copy);
    return ret;
}

static int read_domains(const json_t *specification, json_t **ret, struct error *e)
{
    size_t i;
    json_t *x, *list = json_array();
    json_array_foreach (domains_of(specification), i, x) {
        json_t *domain = lower(x);
        if (domain && domain_good(json_string_value(domain)) && json_array_append_new(list, domain) == 0)
            continue;
        (void)error_set(e, ERR_VALIDATION, "\"%.200s\" is no domain that can be routed.",
                        json_string_value(x) ? json_string_value(x) : "");
        char pointer[64];
        (void)snprintf(pointer, sizeof pointer, "/networking/domains/%zu", i);
        error_detail(e, pointer, "is no domain");
        json_decref(domain);
        json_decref(list);
        return -ERR_VALIDATION;
    }
    *ret = list;
    return 0;
}

static json_t *read_networking(const json_t *specification)
{
    json_t *kept = json_object(), *all = json_at(specification, "networking");
    for (size_t i = 0; kept && i < ARRAY_LEN(shaping); i++) {
        json_t *x = json_object_get(all, shaping[i]);
        if (x && !json_is_null(x) && (!json_is_object(x) || json_object_size(x)))
            (void)json_object_set_new(kept, shaping[i], json_deep_copy(x));
    }
    return kept;
}

static int route_read(const char *service_id, const json_t *specification, struct route **ret, struct error *e)
{
    if (!slot_name_good(service_id))
        return error_set(e, ERR_VALIDATION, "A service of this id cannot be routed.");
    struct route *x = calloc(1, sizeof *x);
    if (!x)
        return error_set(e, ERR_INTERNAL, "No memory.");
    const char *name = json_str(specification, "name");
    x->service_id = strdup(service_id);
    x->name = strdup(name ? name : service_id);
    x->networking = read_networking(specification);
    x->slots = slots_for((unsigned)json_int(specification, "instances", 1));
    x->updated_ms = clock_now_ms();
    int r = read_domains(specification, &x->domains, e);
    if (r == 0 && (!x->service_id || !x->name || !x->networking))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        *ret = x;
    else
        route_free(x);
    return r;
}

static bool names(const struct route *x, const char *domain)
{
    size_t i;
    json_t *d;
    json_array_foreach (x->domains, i, d)
        if (str_eq(json_string_value(d), domain))
            return true;
    return false;
}

static int check_conflicts_locked(struct gateway *g, const struct route *x, struct error *e)
{
    size_t cursor = 0, i;
    void *value;
    json_t *d;
    if (!map_get(g->routes, x->service_id) && map_size(g->routes) >= GATEWAY_ROUTES_MAX)
        return error_set(e, ERR_CONFLICT, "There are %d routes already.", GATEWAY_ROUTES_MAX);
    while (map_next(g->routes, &cursor, NULL, &value)) {
        const struct route *other = value;
        if (str_eq(other->service_id, x->service_id))
            continue;
        json_array_foreach (x->domains, i, d)
            if (names(other, json_string_value(d)))
                return error_set(e, ERR_CONFLICT, "The domain %s belongs to the service %s.", json_string_value(d),
                                 other->name);
    }
    return 0;
}

int gateway_route_check(struct gateway *g, const char *service_id, const json_t *specification, struct error *e)
{
    if (!gateway_wants_route(g, specification))
        return 0;
    _cleanup_(route_free_ptr) struct route *x = NULL;
    int r = route_read(service_id, specification, &x, e);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&g->lock);
    r = check_conflicts_locked(g, x, e);
    (void)pthread_mutex_unlock(&g->lock);
    return r == 0 ? g->router->ops->check(g->router, x->domains, e) : r;
}

/* ---- putting ---- */

static bool same(const struct route *a, const struct route *b)
{
    return str_eq(a->name, b->name) && json_equal(a->domains, b->domains) && json_equal(a->networking, b->networking) &&
           a->slots == b->slots;
}

/* Keeps `x` (taken, also on error) as what is wanted. */
static int keep_locked(struct gateway *g, struct route *x, struct error *e)
{
    int r = route_row_write(g, x, e);
    if (r == 0 && map_set(g->routes, x->service_id, x) < 0)
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0)
        route_free(x);
    return r;
}

/* A route that was refused, or could not be brought to the router, is wanted as it was before. */
static void restore_locked(struct gateway *g, const char *service_id, struct route **before)
{
    bool was_new = !*before;
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = *before ? keep_locked(g, TAKE(*before), &e) : route_row_remove(g, service_id, &e);
    if (r < 0)
        log_warn("The route of the service %s stays as it was refused: %s", service_id, e.message);
    else if (was_new)
        (void)map_remove(g->routes, service_id);
    g->wanted++; /* compared once more: what a lost answer left behind goes */
    (void)pthread_cond_broadcast(&g->changed);
}

static int verdict_locked(struct gateway *g, const char *service_id, struct error *e)
{
    const struct route *x = map_get(g->routes, service_id);
    if (x && x->judged && !x->accepted)
        return error_set(e, ERR_UPSTREAM, "The router refused the route of %s: %s", x->name, x->reason);
    return 0;
}

/* Others go on meanwhile. */
static int await_locked(struct gateway *g, const char *service_id, const struct route *before, struct error *e)
{
    const struct route *now = map_get(g->routes, service_id);
    _cleanup_(route_free_ptr) struct route *copy = now ? route_copy(now) : NULL;
    if (!copy)
        return 0;
    (void)pthread_mutex_unlock(&g->lock);
    int r = gateway_await_certificates(g, copy, before, e);
    (void)pthread_mutex_lock(&g->lock);
    return r;
}

static int put_locked(struct gateway *g, struct route *x, bool *ret_changed, struct error *e)
{
    const struct route *old = map_get(g->routes, x->service_id);
    char service_id[256];
    str_copy(service_id, sizeof service_id, x->service_id);
    if (old && old->slots > x->slots)
        x->slots = old->slots;
    if (old && same(old, x) && old->judged && old->accepted && g->applied == g->wanted && g->apply_result == 0) {
        route_free(x);
        *ret_changed = false;
        return 0;
    }
    x->serving = old && old->serving;
    _cleanup_(route_free_ptr) struct route *before = old ? route_copy(old) : NULL;
    if (old && !before) {
        route_free(x);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    int r = keep_locked(g, x, e);
    if (r < 0)
        return r;
    uint64_t mine = ++g->wanted;
    (void)pthread_cond_broadcast(&g->changed);
    r = gateway_settle_locked(g, mine, e);
    if (r == 0)
        r = verdict_locked(g, service_id, e);
    if (r == 0)
        r = await_locked(g, service_id, before, e);
    if (r < 0) {
        restore_locked(g, service_id, &before);
        return r;
    }
    *ret_changed = true;
    const struct route *now = map_get(g->routes, service_id);
    if (now) /* else its service was deleted meanwhile */
        gateway_tell(g, before ? "route.updated" : "route.created", now);
    return 0;
}

int gateway_route_put(struct gateway *g, const char *service_id, const json_t *specification, bool *ret_changed,
                      struct error *e)
{
    if (!g || !g->router)
        return *ret_changed = false, 0;
    if (!domains_of(specification)) {
        (void)pthread_mutex_lock(&g->lock);
        *ret_changed = map_get(g->routes, service_id) != NULL;
        (void)pthread_mutex_unlock(&g->lock);
        return gateway_route_forget(g, service_id, e);
    }
    struct route *x = NULL;
    int r = route_read(service_id, specification, &x, e);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&g->lock);
    const struct route *old = map_get(g->routes, service_id);
    unsigned slots = old && old->slots > x->slots ? old->slots : x->slots;
    r = check_conflicts_locked(g, x, e);
    (void)pthread_mutex_unlock(&g->lock);
    if (r == 0) /* before the route: a request that comes at once finds them */
        r = slots_make(g, service_id, slots, e);
    if (r < 0) {
        route_free(x);
        return r;
    }
    (void)pthread_mutex_lock(&g->lock);
    r = check_conflicts_locked(g, x, e); /* another may have come first while the slots were made */
    if (r == 0)
        r = put_locked(g, x, ret_changed, e);
    else
        route_free(x);
    (void)pthread_mutex_unlock(&g->lock);
    return r;
}

int gateway_route_forget(struct gateway *g, const char *service_id, struct error *e)
{
    if (!g || !g->router || !slot_name_good(service_id))
        return 0;
    (void)pthread_mutex_lock(&g->lock);
    struct route *old = map_get(g->routes, service_id);
    int r = old ? route_row_remove(g, service_id, e) : 0;
    if (r == 0 && old) {
        gateway_tell(g, "route.deleted", old);
        (void)map_remove(g->routes, service_id);
        uint64_t mine = ++g->wanted;
        (void)pthread_cond_broadcast(&g->changed);
        r = gateway_settle_locked(g, mine, e);
    }
    (void)pthread_mutex_unlock(&g->lock);
    /* The slots go after the route. A router that is away loses the route when it is back; its slots are useless by then. */
    int s = slots_remove(g, service_id, r == 0 ? e : NULL);
    return r < 0 ? r : s;
}

/* ---- telling ---- */

char *gateway_route_rendered(struct gateway *g, const char *service_id)
{
    struct router_route told;
    char *slots[GATEWAY_SLOTS_MAX];
    if (!g || !g->router)
        return NULL;
    (void)pthread_mutex_lock(&g->lock);
    const struct route *x = map_get(g->routes, service_id);
    _cleanup_(route_free_ptr) struct route *copy = x ? route_copy(x) : NULL;
    (void)pthread_mutex_unlock(&g->lock);
    if (!copy || route_for_router(g, copy, &told, slots) < 0)
        return NULL;
    char *text = g->router->ops->render(g->router, &told);
    for (size_t i = 0; i < told.slot_count; i++)
        free(slots[i]);
    return text;
}

static const char *first_domain(const struct route *x)
{
    size_t i;
    json_t *d;
    json_array_foreach (x->domains, i, d)
        if (json_string_value(d)[0] != '*')
            return json_string_value(d);
    return NULL;
}

bool route_url(const struct gateway *g, const struct route *x, char *ret, size_t size)
{
    const char *domain = first_domain(x);
    const struct router_info *i = &g->info;
    bool tls = i->tls || i->port == 0, usual = i->port == 0 || i->port == (tls ? 443 : 80);
    if (domain && usual)
        (void)snprintf(ret, size, "http%s://%s", tls ? "s" : "", domain);
    else if (domain)
        (void)snprintf(ret, size, "http%s://%s:%u", tls ? "s" : "", domain, i->port);
    return domain != NULL;
}

bool gateway_url(struct gateway *g, const char *service_id, char *ret, size_t size)
{
    if (!g || !g->router)
        return false;
    (void)pthread_mutex_lock(&g->lock);
    const struct route *x = map_get(g->routes, service_id);
    bool found = x && route_url(g, x, ret, size);
    (void)pthread_mutex_unlock(&g->lock);
    return found;
}

bool gateway_limits_rates(struct gateway *g)
{
    if (!g || !g->router)
        return false;
    (void)pthread_mutex_lock(&g->lock);
    bool limits = g->info.rate_limits;
    (void)pthread_mutex_unlock(&g->lock);
    return limits;
}

/* ---- asking through a route ---- */

int target_for(const struct router_info *i, const char *domain, struct gateway_target *ret, struct error *e)
{
    bool bare_v6 = strchr(i->host, ':') && i->host[0] != '[';
    if (!i->port)
        return error_set(e, ERR_UNAVAILABLE, "Where the router listens is not known.");
    *ret = (struct gateway_target){ .port = i->port, .tls = i->tls };
    (void)snprintf(ret->host, sizeof ret->host, "%s%s", domain[0] == '*' ? "hbcloud-probe" : "",
                   domain[0] == '*' ? domain + 1 : domain);
    (void)snprintf(ret->address, sizeof ret->address, "%s", i->host[0] ? i->host : "127.0.0.1");
    (void)snprintf(ret->url, sizeof ret->url, "http%s://%s:%u", i->tls ? "s" : "", ret->host, i->port);
    (void)snprintf(ret->connect_to, sizeof ret->connect_to, "::%s%s%s:%u", bare_v6 ? "[" : "", ret->address,
                   bare_v6 ? "]" : "", i->port);
    return 0;
}

int gateway_probe_target(struct gateway *g, const char *service_id, struct gateway_target *ret, struct error *e)
{
    char domain[256] = "";
    if (!g || !g->router)
        return error_set(e, ERR_NOT_FOUND, "No router is configured.");
    (void)pthread_mutex_lock(&g->lock);
    struct router_info info = g->info;
    const struct route *x = map_get(g->routes, service_id);
    if (x)
        str_copy(domain, sizeof domain,
                 first_domain(x) ? first_domain(x) : json_string_value(json_array_get(x->domains, 0)));
    (void)pthread_mutex_unlock(&g->lock);
    return domain[0] ? target_for(&info, domain, ret, e) : error_set(e, ERR_NOT_FOUND, "The service has no route.");
}
