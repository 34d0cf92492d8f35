#define LOG_ROOM "runtime"
#include "runtime/internal.h"

#include "base/log.h"

#include <curl/curl.h>
#include <time.h>

/* One thread checks the health of all running services on one curl multi handle, keeps the reckoning of
 * uptime. At most CHECKS_AT_ONCE run; what is due
 * beyond that waits for the next turn. */
#define CHECKS_AT_ONCE 256
#define TURN_MS 250
#define FIRST_CHECKS_MS 1000 /* between checks while it starts and nothing is known yet */
#define HEALTH_NOT_KNOWN 2  /* its place in `healths` */
#define OBSERVE_MS 10000
#define STORE_HEALTH_MS 300000

struct schedule { /* of one service */
    char container_id[65];
    int64_t next_ms, started_ms, stored_ms;
    unsigned failures;
    bool running, engine_decides, judged;
};

struct check { /* one on its way */
    char service_id[ID_LEN + 1];
    struct probe probe;
    CURL *handle;
    int64_t settled_ms; /* connected; from then on it is known whether the connection stays open. 0: not yet */
};

struct checker {
    struct runtime *runtime;
    pthread_t thread;
    _Atomic bool stop;
    CURLM *multi;
    struct map *schedules; /* service id -> struct schedule, owned */
    struct check *running[CHECKS_AT_ONCE];
    unsigned under_way; /* the first of `running` */
    int64_t observed_ms;
};

/* ---- what is due ---- */

struct due {
    struct checker *checker;
    int64_t now;
    struct entity *found[CHECKS_AT_ONCE];
    size_t n;
};

static struct schedule *schedule_for(struct checker *k, const struct row *row, int64_t now)
{
    struct schedule *s = map_get(k->schedules, row->entity->id);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || map_set(k->schedules, row->entity->id, s) < 0) {
            free(s);
            return NULL;
        }
    }
    if (!str_eq(s->container_id, row->container_id)) {
        *s = (struct schedule){ .next_ms = now, .started_ms = now };
        str_copy(s->container_id, sizeof s->container_id, row->container_id);
    }
    return s;
}

/* It was judged before and is not known now: the same container has stopped and runs again. */
static void started_again(struct schedule *s, int64_t now)
{
    s->next_ms = s->started_ms = now;
    s->failures = 0;
    s->judged = false;
}

static bool collect_due(const struct row *row, void *ctx)
{
    struct due *due = ctx;
    if (!row->running || !row->container_id || (row->status != 1 && row->status != 4))
        return true;
    struct schedule *s = schedule_for(due->checker, row, due->now);
    if (s && s->judged && !s->running && row->health == HEALTH_NOT_KNOWN)
        started_again(s, due->now);
    if (!s || s->running || s->engine_decides || s->next_ms > due->now)
        return true;
    due->found[due->n] = row->entity;
    (void)entity_ref(row->entity);
    return ++due->n + due->checker->under_way < CHECKS_AT_ONCE;
}

/* A managed service without a check of its own: the image may have one, then the engine decides. */
static bool engine_has_check(struct runtime *r, const json_t *d)
{
    struct engine_container c = { 0 };
    struct container_engine *engine = NULL;
    if (runtime_engine(r, json_str(d, "nodeId"), &engine, NULL) < 0 ||
        engine->ops->inspect(engine, json_str(d, "container.id"), &c, NULL) < 0)
        return false;
    bool has = c.health != HEALTH_NONE;
    engine_container_done(&c);
    return has;
}

static bool in_start_period(const json_t *d, const struct schedule *s, int64_t now)
{
    return now - s->started_ms < (int64_t)(json_num(d, "networking.healthCheck.startPeriod", 30) * 1000);
}

static void begin_check(struct checker *k, struct entity *x, int64_t now)
{
    struct schedule *s = map_get(k->schedules, x->id);
    _cleanup_json_ json_t *d = entity_document(x);
    struct probe p;
    probe_of(d, &p);
    s->next_ms = now + (int64_t)(json_num(d, "networking.healthCheck.interval", 10) * 1000);
    if (!s->judged && in_start_period(d, s, now) && s->next_ms > now + FIRST_CHECKS_MS)
        s->next_ms = now + FIRST_CHECKS_MS;
    if (p.kind == PROBE_NONE)
        return;
    if (p.kind == PROBE_ENGINE || (p.kind == PROBE_TCP && engine_has_check(k->runtime, d))) {
        s->engine_decides = true;
        return;
    }
    struct check *check = calloc(1, sizeof *check);
    CURL *h = check ? probe_handle(&p) : NULL;
    if (!h) {
        free(check);
        return;
    }
    str_copy(check->service_id, sizeof check->service_id, x->id);
    check->probe = p;
    check->handle = h;
    (void)curl_easy_setopt(h, CURLOPT_PRIVATE, check);
    s->running = curl_multi_add_handle(k->multi, h) == CURLM_OK;
    if (s->running) {
        k->running[k->under_way++] = check;
    } else {
        curl_easy_cleanup(h);
        free(check);
    }
}

static void begin_due(struct checker *k, int64_t now)
{
    struct due due = { .checker = k, .now = now };
    if (k->under_way < CHECKS_AT_ONCE)
        table_walk(k->runtime->services, collect_due, &due);
    for (size_t i = 0; i < due.n; i++) {
        begin_check(k, due.found[i], now);
        entity_unref(due.found[i]);
    }
}

/* ---- what came back ---- */

/* The health to show now; NULL: too early to say anything else than before. */
static const char *judge(const json_t *d, struct schedule *s, bool good, int64_t now)
{
    s->failures = good ? 0 : s->failures + 1;
    if (good)
        return "healthy";
    if (in_start_period(d, s, now) && !str_eq(json_str(d, "status.health"), "healthy"))
        return NULL;
    return s->failures >= (unsigned)json_int(d, "networking.healthCheck.retries", 3) ? "unhealthy" : NULL;
}

static void record(struct checker *k, const char *id, bool good, const char *reason)
{
    struct runtime *r = k->runtime;
    struct schedule *s = map_get(k->schedules, id);
    char at[TIME_TEXT_LEN + 1];
    int64_t now = clock_mono_ms();
    struct error e = ERROR_INIT;
    (void)pthread_mutex_lock(&r->write_lock);
    _cleanup_entity_ struct entity *x = table_get(r->services, id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    int res = 0;
    if (d && s && str_eq(s->container_id, json_str(d, "container.id"))) {
        const char *health = judge(d, s, good, now);
        s->judged = s->judged || health;
        bool changed = health && !str_eq(health, json_str(d, "status.health"));
        (void)json_put(d, "status.lastHealthCheck", json_string(time_format(clock_now_ms(), at)));
        if (changed) {
            (void)json_put(d, "status.health", json_string(health));
            (void)json_put(d, "status.message", good ? json_null() : json_string(reason));
        }
        bool to_store = changed || now - s->stored_ms > STORE_HEALTH_MS;
        if (to_store)
            s->stored_ms = now;
        res = to_store ? service_save_locked(r, d, changed ? x->version + 1 : x->version, false, NULL, &e)
                       : service_touch_locked(r, d, x->version, &e);
    }
    (void)pthread_mutex_unlock(&r->write_lock);
    if (res < 0)
        log_warn("The health of service %s was not recorded: %s", id, e.message);
    error_done(&e);
}

static void drop_check(struct checker *k, struct check *check)
{
    unsigned at = 0;
    while (k->running[at] != check)
        at++;
    k->running[at] = k->running[--k->under_way];
    (void)curl_multi_remove_handle(k->multi, check->handle);
    curl_easy_cleanup(check->handle);
    free(check);
}

static void end_check(struct checker *k, struct check *check, CURLcode result)
{
    char reason[512] = "";
    int good = probe_verdict(&check->probe, check->handle, (int)result, 0, reason, sizeof reason);
    struct schedule *s = map_get(k->schedules, check->service_id);
    if (s)
        s->running = false;
    record(k, check->service_id, good == 1, reason);
    drop_check(k, check);
}

static void take_results(struct checker *k)
{
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(k->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct check *check = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&check);
        if (check->probe.kind == PROBE_TCP && message->data.result == CURLE_OK)
            check->settled_ms = clock_mono_ms() + PROBE_SETTLE_MS;
        else
            end_check(k, check, message->data.result);
    }
}

static void take_settled(struct checker *k, int64_t now)
{
    for (unsigned i = k->under_way; i-- > 0;)
        if (k->running[i]->settled_ms && k->running[i]->settled_ms <= now)
            end_check(k, k->running[i], CURLE_OK);
}

/* ---- the thread ---- */

static void look_after(struct checker *k, int64_t now)
{
    if (now - k->observed_ms >= OBSERVE_MS) {
        k->observed_ms = now;
        services_observe(k->runtime);
    }
}

static void *check_for_ever(void *arg)
{
    struct checker *k = arg;
    while (!k->stop) {
        int running = 0, ready = 0;
        int64_t now = clock_mono_ms();
        begin_due(k, now);
        (void)curl_multi_perform(k->multi, &running);
        take_results(k);
        take_settled(k, now);
        look_after(k, now);
        (void)curl_multi_poll(k->multi, NULL, 0, TURN_MS, &ready);
    }
    return NULL;
}

int checker_start(struct runtime *r, struct checker **ret, struct error *e)
{
    struct checker *k = calloc(1, sizeof *k);
    if (k) {
        k->runtime = r;
        k->multi = curl_multi_init();
        k->schedules = map_new(free);
    }
    if (!k || !k->multi || !k->schedules || pthread_create(&k->thread, NULL, check_for_ever, k) != 0) {
        if (k) {
            (void)curl_multi_cleanup(k->multi);
            map_free(k->schedules);
        }
        free(k);
        return error_set(e, ERR_INTERNAL, "Cannot start the health checks.");
    }
    *ret = k;
    return 0;
}

void checker_stop(struct checker *k)
{
    if (!k)
        return;
    k->stop = true;
    (void)curl_multi_wakeup(k->multi);
    (void)pthread_join(k->thread, NULL);
    while (k->under_way)
        drop_check(k, k->running[0]);
    (void)curl_multi_cleanup(k->multi);
    map_free(k->schedules);
    free(k);
}
