#define LOG_ROOM "gateway"
#include "gateway/certificates.h"
#include "gateway/internal.h"
#include "gateway/registrar.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* ---- telling ---- */

void gateway_tell(struct gateway *g, const char *type, const struct route *x)
{
    size_t len = 0;
    _cleanup_json_ json_t *d = x ? route_document(g, x) : NULL;
    _cleanup_free_ char *text = d ? json_text(d, &len) : NULL;
    if (g->events && text)
        events_publish(g->events, type, "route", x->service_id, text, len);
}

/* Of the router as a whole. */
static void tell_router(struct gateway *g, const char *type, const char *why)
{
    size_t len = 0;
    _cleanup_json_ json_t *d = json_pack("{s:s, s:i, s:I}", "reason", why, "routes", (int)map_size(g->routes),
                                         "reloads", (json_int_t)g->reloads);
    _cleanup_free_ char *text = d ? json_text(d, &len) : NULL;
    if (g->events && text)
        events_publish(g->events, type, "router", "router", text, len);
}

size_t gateway_troubles(struct gateway *g, struct gateway_trouble *ret, size_t max)
{
    size_t n = 0, cursor = 0;
    void *value;
    if (!g || !g->router)
        return 0;
    (void)pthread_mutex_lock(&g->lock);
    if (!g->reached && n < max) {
        ret[n] = (struct gateway_trouble){ .since_ms = g->reached_ms };
        str_copy(ret[n++].reason, sizeof ret->reason, g->unreached);
    }
    while (n < max && map_next(g->routes, &cursor, NULL, &value)) {
        const struct route *x = value;
        if (!x->judged || x->accepted)
            continue;
        ret[n] = (struct gateway_trouble){ .since_ms = x->updated_ms };
        str_copy(ret[n].service_id, sizeof ret->service_id, x->service_id);
        str_copy(ret[n].name, sizeof ret->name, x->name);
        str_copy(ret[n++].reason, sizeof ret->reason, x->reason);
    }
    (void)pthread_mutex_unlock(&g->lock);
    return n;
}

/* ---- one turn ---- */

struct snapshot {
    struct route **routes; /* copies */
    struct router_route *told;
    struct router_verdict *verdicts;
    char *(*slots)[GATEWAY_SLOTS_MAX];
    size_t n, ready;
    uint64_t generation;
};

static void snapshot_done(struct snapshot *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; i < s->ready && k < s->told[i].slot_count; k++)
            free(s->slots[i][k]);
        route_free(s->routes[i]);
    }
    free(s->routes);
    free(s->told);
    free(s->verdicts);
    free(s->slots);
}

static int by_service(const void *a, const void *b)
{
    const struct route *const *x = a, *const *y = b;
    return strcmp((*x)->service_id, (*y)->service_id);
}

static int take_snapshot_locked(struct gateway *g, struct snapshot *s)
{
    size_t cursor = 0, n = map_size(g->routes), room = n ? n : 1;
    void *value;
    *s = (struct snapshot){ .routes = calloc(room, sizeof *s->routes),
                            .told = calloc(room, sizeof *s->told),
                            .verdicts = calloc(room, sizeof *s->verdicts),
                            .slots = calloc(room, sizeof *s->slots),
                            .generation = g->wanted };
    if (!s->routes || !s->told || !s->verdicts || !s->slots)
        return -ENOMEM;
    while (map_next(g->routes, &cursor, NULL, &value)) {
        if (!(s->routes[s->n] = route_copy(value)))
            return -ENOMEM;
        s->n++;
    }
    qsort(s->routes, s->n, sizeof *s->routes, by_service);
    for (; s->ready < s->n; s->ready++)
        if (route_for_router(g, s->routes[s->ready], &s->told[s->ready], s->slots[s->ready]) < 0)
            return -ENOMEM;
    return 0;
}

static void take_verdict_locked(struct gateway *g, const struct route *told, const struct router_verdict *v)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    struct route *x = map_get(g->routes, told->service_id);
    if (!x || (x->judged && x->accepted == v->accepted && (v->accepted || str_eq(x->reason, v->reason))))
        return;
    x->judged = true;
    x->accepted = v->accepted;
    str_copy(x->reason, sizeof x->reason, v->accepted ? "" : v->reason);
    if (route_row_write(g, x, &e) < 0)
        log_warn("The router's word on the route of %s was not kept: %s", x->name, e.message);
    if (!v->accepted) {
        log_warn("The router refused the route of %s: %s", x->name, x->reason);
        gateway_tell(g, "route.refused", x);
    }
}

static void note_reached_locked(struct gateway *g, bool reached, const char *why)
{
    if (g->reached == reached)
        return;
    g->reached = reached;
    g->reached_ms = clock_now_ms();
    str_copy(g->unreached, sizeof g->unreached, why);
    if (reached)
        log_info("The router answers.");
    else
        log_warn("The router does not answer: %s", why);
    tell_router(g, reached ? "router.reached" : "router.unreachable", why);
}

static void ask_info(struct gateway *g)
{
    struct router_info info;
    if (g->router->ops->info(g->router, &info, NULL) < 0)
        return;
    (void)pthread_mutex_lock(&g->lock);
    g->info = info;
    (void)pthread_mutex_unlock(&g->lock);
}

/* Before a change: the router counts anew after it. */
static void note_figures(struct gateway *g)
{
    json_decref(gateway_figures(g));
    g->figures_ms = clock_mono_ms();
}

static void apply(struct gateway *g)
{
    struct snapshot s;
    unsigned reloads = 0;
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)pthread_mutex_lock(&g->lock);
    int r = take_snapshot_locked(g, &s);
    (void)pthread_mutex_unlock(&g->lock);
    if (r < 0)
        (void)error_set(&e, ERR_INTERNAL, "No memory.");
    else
        r = g->router->ops->apply(g->router, s.told, s.n, s.verdicts, &reloads, &e);
    if (r == 0)
        ask_info(g);
    (void)pthread_mutex_lock(&g->lock);
    for (size_t i = 0; r == 0 && i < s.n; i++)
        take_verdict_locked(g, s.routes[i], &s.verdicts[i]);
    g->reloads += reloads;
    g->applied = s.generation;
    g->apply_result = r;
    str_copy(g->apply_error, sizeof g->apply_error, e.message);
    note_reached_locked(g, r == 0, e.message);
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
    if (reloads)
        log_info("The router's configuration was changed %u time%s for %zu routes.", reloads, reloads == 1 ? "" : "s",
                 s.n);
    snapshot_done(&s);
}

/* Somebody restarted the router, or gave it another configuration: what is ours goes in again, whole. */
static void compare(struct gateway *g)
{
    char why[512] = "";
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = g->router->ops->intact(g->router, why, sizeof why, &e);
    (void)pthread_mutex_lock(&g->lock);
    bool failed_before = g->apply_result < 0;
    if (r < 0)
        note_reached_locked(g, false, e.message);
    if (r == 0 && !failed_before) {
        log_warn("The router lost its routes: %s They are brought back.", why);
        tell_router(g, "router.lost", why);
    }
    (void)pthread_mutex_unlock(&g->lock);
    if (r < 0 || (r > 0 && !failed_before)) {
        if (r > 0) {
            (void)pthread_mutex_lock(&g->lock);
            note_reached_locked(g, true, "");
            (void)pthread_mutex_unlock(&g->lock);
        }
        return;
    }
    apply(g);
    (void)pthread_mutex_lock(&g->lock);
    if (g->apply_result == 0)
        tell_router(g, "router.restored", why);
    (void)pthread_mutex_unlock(&g->lock);
}

/* ---- services that are deleted */

static void touch(struct gateway *g, const char *instance_id)
{
    (void)pthread_mutex_lock(&g->lock);
    if (g->touched && map_size(g->routes) > 0) {
        if (json_array_size(g->touched) < GATEWAY_TOUCHED_MAX)
            (void)json_array_append_new(g->touched, json_string(instance_id));
        else
            g->keep_ms = 0; /* too many to tell: all are looked at */
        (void)pthread_cond_broadcast(&g->changed);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static void touch_all(struct gateway *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->keep_ms = 0;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

/* What happened to an instance while a deployment decided alone is looked at when that has ended. */
static bool tells_an_end(const char *data, size_t len)
{
    static const char *const ends[] = { "completed", "failed", "rolled_back", "cancelled" };
    char text[48];
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        int n = snprintf(text, sizeof text, "\"state\":\"%s\"", ends[i]);
        if (memmem(data, len, text, (size_t)n))
            return true;
    }
    return false;
}

/* On the publisher's thread: it is only noted here. */
static void on_event(void *ctx, const char *type, const char *entity_id, const char *data, size_t len)
{
    struct gateway *g = ctx;
    if (str_eq(type, "deployment.updated") && tells_an_end(data, len))
        touch_all(g);
    if (str_eq(type, "service.updated"))
        touch(g, entity_id);
    if (!str_eq(type, "service.deleted"))
        return;
    (void)pthread_mutex_lock(&g->lock);
    if (g->gone && map_get(g->routes, entity_id) && json_array_append_new(g->gone, json_string(entity_id)) == 0) {
        g->wanted++;
        (void)pthread_cond_broadcast(&g->changed);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static void take_away_locked(struct gateway *g, const char *service_id)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    const struct route *x = map_get(g->routes, service_id);
    if (!x)
        return;
    if (route_row_remove(g, service_id, &e) < 0)
        log_warn("The route of %s was not forgotten: %s", x->name, e.message);
    gateway_tell(g, "route.deleted", x);
    (void)map_remove(g->routes, service_id);
}

static json_t *take_gone(struct gateway *g)
{
    size_t i;
    json_t *id;
    (void)pthread_mutex_lock(&g->lock);
    json_t *gone = TAKE(g->gone);
    g->gone = json_array();
    json_array_foreach (gone, i, id)
        take_away_locked(g, json_string_value(id));
    (void)pthread_mutex_unlock(&g->lock);
    return gone;
}

static void remove_slots(struct gateway *g, const json_t *gone)
{
    size_t i;
    json_t *id;
    json_array_foreach (gone, i, id) {
        _cleanup_error_ struct error e = ERROR_INIT;
        if (slots_remove(g, json_string_value(id), &e) < 0)
            log_warn("%s", e.message);
    }
}

void gateway_turn(struct gateway *g)
{
    _cleanup_json_ json_t *gone = take_gone(g);
    (void)pthread_mutex_lock(&g->lock);
    bool dirty = g->wanted != g->applied;
    (void)pthread_mutex_unlock(&g->lock);
    if (dirty || clock_mono_ms() - g->figures_ms > GATEWAY_FIGURES_MS)
        note_figures(g);
    if (dirty)
        apply(g);
    else
        compare(g);
    remove_slots(g, gone); /* after the route, so that nobody is led to a slot that is not there */
}

/* ---- the thread ---- */

static void deadline_in(struct timespec *ret, int64_t ms)
{
    (void)clock_gettime(CLOCK_MONOTONIC, ret);
    ret->tv_sec += ms / 1000;
    ret->tv_nsec += ms % 1000 * 1000000;
    if (ret->tv_nsec >= 1000000000)
        ret->tv_sec++, ret->tv_nsec -= 1000000000;
}

/* Waits for a change, then a little longer for those that come with it; for an instance that changed; or for the time of the
 * next comparison. */
static void wait_turn_locked(struct gateway *g)
{
    struct timespec until;
    int64_t left = g->compare_ms - clock_mono_ms();
    deadline_in(&until, left > 0 ? left : 0);
    while (!g->stop && g->wanted == g->applied && json_array_size(g->touched) == 0 && clock_mono_ms() < g->keep_ms)
        if (pthread_cond_timedwait(&g->changed, &g->lock, &until) == ETIMEDOUT)
            return;
    if (g->wanted == g->applied)
        return;
    deadline_in(&until, GATEWAY_WINDOW_MS);
    while (!g->stop && pthread_cond_timedwait(&g->changed, &g->lock, &until) != ETIMEDOUT)
        ;
}

static json_t *all_ids_locked(struct gateway *g)
{
    size_t cursor = 0;
    const char *id;
    json_t *ids = json_array();
    while (map_next(g->routes, &cursor, &id, NULL))
        (void)json_array_append_new(ids, json_string(id));
    return ids;
}

static void keep(struct gateway *g)
{
    size_t i;
    json_t *id;
    (void)pthread_mutex_lock(&g->lock);
    _cleanup_json_ json_t *ids = TAKE(g->touched);
    g->touched = json_array();
    if (clock_mono_ms() >= g->keep_ms) {
        json_decref(ids);
        ids = all_ids_locked(g);
        g->keep_ms = clock_mono_ms() + GATEWAY_KEEP_MS;
    }
    (void)pthread_mutex_unlock(&g->lock);
    json_array_foreach (ids, i, id)
        gateway_keep(g, json_string_value(id));
}

static void *run(void *arg)
{
    struct gateway *g = arg;
    for (;;) {
        (void)pthread_mutex_lock(&g->lock);
        if (!g->stop)
            wait_turn_locked(g);
        bool stop = g->stop, turn = g->wanted != g->applied || clock_mono_ms() >= g->compare_ms;
        (void)pthread_mutex_unlock(&g->lock);
        if (stop)
            return NULL;
        keep(g);
        if (turn) {
            gateway_turn(g);
            g->compare_ms = clock_mono_ms() + GATEWAY_COMPARE_MS;
        }
    }
}

int gateway_settle_locked(struct gateway *g, uint64_t generation, struct error *e)
{
    while (g->running && !g->stop && g->applied < generation)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    if (!g->running && !g->stop) { /* nobody else does it: not started yet, or a test */
        (void)pthread_mutex_unlock(&g->lock);
        gateway_turn(g);
        (void)pthread_mutex_lock(&g->lock);
    }
    if (g->applied < generation)
        return error_set(e, ERR_UNAVAILABLE, "The hub is stopping.");
    return g->apply_result == 0 ? 0 : error_set(e, (enum error_code) - g->apply_result, "%s", g->apply_error);
}

/* ---- opening ---- */

static void find_serving(struct gateway *g)
{
    size_t cursor = 0;
    void *value;
    while (map_next(g->routes, &cursor, NULL, &value)) {
        struct route *x = value;
        _cleanup_json_ json_t *now = NULL;
        if (gateway_upstreams_get(g, x->service_id, &now, NULL) == 0)
            x->serving = json_array_size(now) > 0;
    }
}

static int prepare(struct gateway *g, const struct gateway_options *o, struct error *e)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_mutex_init(&g->slot_lock, NULL);
    (void)pthread_cond_init(&g->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    g->routes = map_new((void (*)(void *))route_free);
    (void)pthread_mutex_init(&g->figures_lock, NULL);
    g->gone = json_array();
    g->touched = json_array();
    g->totals = json_object();
    g->slot_directory = strdup(o->slot_directory);
    return g->routes && g->gone && g->touched && g->totals && g->slot_directory
               ? 0
               : error_set(e, ERR_INTERNAL, "No memory.");
}

/* The router reads the slots from another working directory, perhaps as another user. */
static int settle_directory(struct gateway *g, struct error *e)
{
    struct stat st;
    char *whole = realpath(g->slot_directory, NULL);
    if (!whole)
        return error_errno(e, -errno, "Cannot open the folder of upstreams %s", g->slot_directory);
    free(g->slot_directory);
    g->slot_directory = whole;
    if (strpbrk(whole, "{}"))
        return error_set(e, ERR_VALIDATION,
                         "The folder of upstreams %s has a brace in its name, which the router would read as its own.",
                         whole);
    _cleanup_free_ char *at = strdup(whole);
    for (char *end = at ? at + strlen(at) : NULL; end && end > at; end = strrchr(at, '/')) {
        *end = '\0';
        if (stat(at[0] ? at : "/", &st) == 0 && !(st.st_mode & S_IXOTH)) {
            log_warn(
                "%s can be entered by its owner alone. A router that runs as another user cannot read the upstreams in %s: "
                "set gateway.slots to a folder that it can.",
                at, whole);
            return 0;
        }
    }
    return 0;
}

int gateway_open(const struct gateway_options *o, struct gateway **ret, struct error *e)
{
    struct gateway *g = calloc(1, sizeof *g);
    if (!g)
        return error_set(e, ERR_INTERNAL, "No memory.");
    g->store = o->store;
    g->events = o->events;
    g->runtime = o->runtime;
    g->router = o->router;
    g->reached = true;
    int r = prepare(g, o, e);
    if (r == 0 && g->router && mkdir(g->slot_directory, 0755) < 0 && errno != EEXIST)
        r = error_errno(e, -errno, "Cannot make the folder of upstreams %s", g->slot_directory);
    if (r == 0 && g->router)
        r = settle_directory(g, e);
    if (r == 0 && g->router)
        r = route_rows_load(g, e);
    if (r == 0 && g->router && g->events && events_listen(g->events, on_event, g) < 0)
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0 && g->router)
        r = certificates_open(g, &g->certificates, e);
    if (r == 0 && o->discovery)
        r = registrar_open(o->store, o->events, o->discovery, &g->registrar, e);
    if (r < 0) {
        gateway_close(g);
        return r;
    }
    find_serving(g);
    g->wanted = 1; /* the first turn compares all */
    *ret = g;
    return 0;
}

int gateway_start(struct gateway *g, struct error *e)
{
    int r = g->registrar ? registrar_start(g->registrar, e) : 0;
    if (r == 0 && g->certificates)
        r = certificates_start(g->certificates, e);
    if (r < 0 || !g->router)
        return r;
    g->running = true;
    if (pthread_create(&g->thread, NULL, run, g) == 0)
        return 0;
    g->running = false;
    return error_set(e, ERR_INTERNAL, "Cannot start the gateway's thread.");
}

void gateway_stop(struct gateway *g)
{
    if (!g)
        return;
    (void)pthread_mutex_lock(&g->lock);
    g->stop = true;
    bool running = g->running;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
    if (running)
        (void)pthread_join(g->thread, NULL);
    certificates_stop(g->certificates);
    registrar_stop(g->registrar);
    (void)pthread_mutex_lock(&g->lock);
    g->running = false;
    (void)pthread_mutex_unlock(&g->lock);
}

void gateway_close(struct gateway *g)
{
    if (!g)
        return;
    gateway_stop(g);
    certificates_free(g->certificates);
    registrar_free(g->registrar);
    map_free(g->routes);
    json_decref(g->gone);
    json_decref(g->touched);
    json_decref(g->totals);
    (void)pthread_mutex_destroy(&g->figures_lock);
    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->slot_lock);
    (void)pthread_mutex_destroy(&g->lock);
    free(g->slot_directory);
    free(g);
}
