#define LOG_ROOM "runtime"
#include "runtime/node_engine.h"

#include "base/log.h"

#include <curl/curl.h>
#include <time.h>

/* One thread checks the health of all running services on one curl multi handle and keeps the reckoning of uptime.
 * Each service has a schedule, in a heap by when it is due; the services are looked through once a second for what is
 * new. A document is read again only when someone else has changed it, and a result that changes nothing but its own
 * time is written into the text as it lies, so that ten thousand checks in ten seconds stay cheap. What is due beyond
 * CHECKS_AT_ONCE waits, the longest due first. */
#define CHECKS_AT_ONCE 1024
#define HANDLES_KEPT 256
#define TURN_MS 250
#define SYNC_MS 1000
#define BATCH_MS 4          /* with many on their way, what comes back is taken together */
#define BATCH_FROM 32
#define SPREAD_PER_MS 1     /* at the start: so many a millisecond */
#define FIRST_CHECKS_MS 1000 /* between checks while it starts and nothing is known yet */
#define RECHECK_ENGINE_MS 10000
#define HEALTH_NOT_KNOWN 2  /* its place in `healths` */
#define OBSERVE_MS 10000
#define STORE_HEALTH_MS 300000

struct schedule { /* of one service */
    char service_id[ID_LEN + 1], container_id[65];
    struct entity *read;     /* the version that the check and the rest were read from; NULL: none yet */
    enum probe_kind kind;
    long timeout_ms;
    char *url;               /* just as long as it is: there may be many of these */
    int64_t interval_ms, start_period_ms;
    unsigned retries;
    char checked_at[TIME_TEXT_LEN + 1]; /* as it stands in `read`; "" none */
    uint8_t health;          /* its place in `healths`, as in `read` */
    int64_t next_ms, started_ms, stored_ms;
    size_t place;            /* in the heap, from 1; 0: not there */
    uint64_t seen;           /* the round that saw it running */
    unsigned failures;
    bool running, engine_asked, engine_decides, judged;
};

struct check { /* one on its way */
    struct schedule *schedule; /* NULL: its service is gone */
    struct probe probe;
    CURL *handle;
    int64_t settled_ms; /* connected; from then on it is known whether the connection stays open. 0: not yet */
    size_t at;          /* in `running` */
};

struct checker {
    struct runtime *runtime;
    pthread_t thread;
    _Atomic bool stop;
    CURLM *multi;
    struct map *schedules; /* service id -> struct schedule, owned */
    struct schedule **heap; /* from 1 */
    size_t heap_count, heap_cap;
    struct check *running[CHECKS_AT_ONCE];
    unsigned under_way; /* the first of `running` */
    CURL *idle[HANDLES_KEPT];
    unsigned idle_count;
    int64_t observed_ms, synced_ms;
    uint64_t round;
    bool spread; /* the first round is over */
};

/* ---- the heap ---- */

static void heap_set(struct checker *k, size_t at, struct schedule *s)
{
    k->heap[at] = s;
    s->place = at;
}

static void heap_up(struct checker *k, size_t at)
{
    struct schedule *s = k->heap[at];
    for (; at > 1 && k->heap[at / 2]->next_ms > s->next_ms; at /= 2)
        heap_set(k, at, k->heap[at / 2]);
    heap_set(k, at, s);
}

static void heap_down(struct checker *k, size_t at)
{
    struct schedule *s = k->heap[at];
    for (size_t child; (child = at * 2) <= k->heap_count; at = child) {
        if (child < k->heap_count && k->heap[child + 1]->next_ms < k->heap[child]->next_ms)
            child++;
        if (k->heap[child]->next_ms >= s->next_ms)
            break;
        heap_set(k, at, k->heap[child]);
    }
    heap_set(k, at, s);
}

static void heap_remove(struct checker *k, struct schedule *s)
{
    size_t at = s->place;
    if (!at)
        return;
    struct schedule *last = k->heap[k->heap_count--];
    s->place = 0;
    if (last == s)
        return;
    heap_set(k, at, last);
    heap_up(k, at);
    heap_down(k, last->place);
}

/* Into the heap, or to its new place there. Without memory it is tried again at the next look. */
static void heap_put(struct checker *k, struct schedule *s, int64_t next_ms)
{
    heap_remove(k, s);
    if (k->heap_count + 2 > k->heap_cap) {
        size_t cap = k->heap_cap ? k->heap_cap * 2 : 256;
        struct schedule **heap = realloc(k->heap, cap * sizeof(struct schedule *));
        if (!heap)
            return;
        k->heap = heap;
        k->heap_cap = cap;
    }
    s->next_ms = next_ms;
    heap_set(k, ++k->heap_count, s);
    heap_up(k, k->heap_count);
}

/* ---- what there is ---- */

static void schedule_free(void *value)
{
    struct schedule *s = value;
    entity_unref(s->read);
    free(s->url);
    free(s);
}

struct look {
    struct checker *checker;
    int64_t now, spread_ms;
};

/* A result that is still to come says nothing any more. */
static void disown_check(struct checker *k, struct schedule *s)
{
    for (unsigned i = 0; s->running && i < k->under_way; i++)
        if (k->running[i]->schedule == s) {
            k->running[i]->schedule = NULL;
            s->running = false;
        }
}

static struct schedule *schedule_for(struct look *l, const struct row *row)
{
    struct checker *k = l->checker;
    struct schedule *s = map_get(k->schedules, row->entity->id);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || map_set(k->schedules, row->entity->id, s) < 0) {
            free(s);
            return NULL;
        }
        str_copy(s->service_id, sizeof s->service_id, row->entity->id);
    }
    if (!str_eq(s->container_id, row->container_id)) {
        str_copy(s->container_id, sizeof s->container_id, row->container_id);
        s->started_ms = l->now;
        s->stored_ms = 0;
        s->failures = 0;
        s->judged = s->engine_asked = s->engine_decides = false;
        disown_check(k, s);
        heap_put(k, s, l->now + l->spread_ms);
        l->spread_ms += k->spread ? 0 : SPREAD_PER_MS;
    }
    return s;
}

static bool look_at_row(const struct row *row, void *ctx)
{
    struct look *l = ctx;
    if (!row->running || !row->container_id || (row->status != 1 && row->status != 4))
        return true;
    struct schedule *s = schedule_for(l, row);
    if (!s)
        return true;
    s->seen = l->checker->round;
    /* It was judged before and is not known now: the same container has stopped and runs again. */
    if (s->judged && !s->running && row->health == HEALTH_NOT_KNOWN) {
        s->started_ms = l->now;
        s->failures = 0;
        s->judged = false;
        heap_put(l->checker, s, l->now);
    } else if (!s->place && !s->running) {
        heap_put(l->checker, s, l->now);
    }
    return true;
}

/* Those that do not run any more leave. */
static void forget_unseen(struct checker *k)
{
    size_t cursor = 0;
    const char *id;
    void *value;
    char gone[64][ID_LEN + 1]; /* the rest at the next look */
    size_t n = 0;
    while (n < ARRAY_LEN(gone) && map_next(k->schedules, &cursor, &id, &value)) {
        struct schedule *s = value;
        if (s->seen != k->round)
            str_copy(gone[n++], sizeof gone[0], id);
    }
    for (size_t i = 0; i < n; i++) {
        struct schedule *s = map_get(k->schedules, gone[i]);
        heap_remove(k, s);
        disown_check(k, s);
        (void)map_remove(k->schedules, gone[i]);
    }
}

static void look_through(struct checker *k, int64_t now)
{
    struct look l = { .checker = k, .now = now };
    k->synced_ms = now;
    k->round++;
    table_walk(k->runtime->services, look_at_row, &l);
    k->spread = true;
    forget_unseen(k);
}

/* ---- what is due ---- */

static void read_document(struct schedule *s, struct entity *x, const json_t *d)
{
    struct probe p;
    const char *at = json_str(d, "status.lastHealthCheck");
    entity_unref(s->read);
    s->read = entity_ref(x);
    probe_of(d, &p);
    free(s->url);
    s->url = strdup(p.url);
    s->kind = s->url ? p.kind : PROBE_NONE;
    s->timeout_ms = p.timeout_ms;
    s->interval_ms = (int64_t)(json_num(d, "networking.healthCheck.interval", 10) * 1000);
    s->start_period_ms = (int64_t)(json_num(d, "networking.healthCheck.startPeriod", 30) * 1000);
    s->retries = (unsigned)json_int(d, "networking.healthCheck.retries", 3);
    s->health = word_index(healths, json_str(d, "status.health"));
    str_copy(s->checked_at, sizeof s->checked_at, at && strlen(at) == TIME_TEXT_LEN ? at : "");
}

/* A managed service without a check of its own: the image may have one, then the engine decides. */
static void ask_engine(struct checker *k, struct schedule *s, const json_t *d)
{
    struct engine_container c = { 0 };
    struct node_engine *n = node_engine_of(k->runtime, json_str(d, "nodeId"));
    /* All checks wait for this thread: an engine that is silent is asked another time. */
    if (!n || (!n->own_node && !node_engine_answers(n)) ||
        n->base.ops->inspect(&n->base, s->container_id, &c, NULL) < 0)
        return;
    s->engine_asked = true;
    s->engine_decides = c.health != HEALTH_NONE;
    engine_container_done(&c);
}

static bool in_start_period(const struct schedule *s, int64_t now)
{
    return now - s->started_ms < s->start_period_ms;
}

/* Reads the newest version when it is not the one that was read; false: the service is gone. */
static bool read_newest(struct checker *k, struct schedule *s)
{
    _cleanup_entity_ struct entity *x = table_get(k->runtime->services, s->service_id);
    if (!x || (x == s->read && (s->engine_asked || s->kind != PROBE_TCP)))
        return x != NULL;
    _cleanup_json_ json_t *d = entity_document(x);
    if (!d)
        return false;
    read_document(s, x, d);
    s->engine_decides = s->kind == PROBE_ENGINE || (s->engine_decides && s->kind == PROBE_TCP);
    if (s->kind == PROBE_TCP && !s->engine_asked)
        ask_engine(k, s, d);
    return true;
}

static CURL *take_handle(struct checker *k, const struct probe *p)
{
    CURL *h = k->idle_count ? k->idle[--k->idle_count] : curl_easy_init();
    if (h)
        probe_prepare(h, p);
    return h;
}

static void give_handle(struct checker *k, CURL *h)
{
    if (k->idle_count == HANDLES_KEPT) {
        curl_easy_cleanup(h);
        return;
    }
    curl_easy_reset(h);
    k->idle[k->idle_count++] = h;
}

static void send_check(struct checker *k, struct schedule *s)
{
    struct check *check = calloc(1, sizeof *check);
    struct probe p = { .kind = s->kind, .timeout_ms = s->timeout_ms };
    str_copy(p.url, sizeof p.url, s->url);
    CURL *h = check ? take_handle(k, &p) : NULL;
    if (!h) {
        free(check);
        return;
    }
    *check = (struct check){ .schedule = s, .probe = p, .handle = h, .at = k->under_way };
    (void)curl_easy_setopt(h, CURLOPT_PRIVATE, check);
    s->running = curl_multi_add_handle(k->multi, h) == CURLM_OK;
    if (s->running) {
        k->running[k->under_way++] = check;
    } else {
        give_handle(k, h);
        free(check);
    }
}

static void begin_check(struct checker *k, struct schedule *s, int64_t now)
{
    if (!read_newest(k, s)) {
        heap_put(k, s, now + SYNC_MS);
        return;
    }
    int64_t next = now + (s->interval_ms > 100 ? s->interval_ms : 100);
    if (!s->judged && in_start_period(s, now) && next > now + FIRST_CHECKS_MS)
        next = now + FIRST_CHECKS_MS;
    if (s->kind == PROBE_NONE || s->engine_decides)
        next = now + RECHECK_ENGINE_MS;
    heap_put(k, s, next);
    if (s->kind != PROBE_NONE && !s->engine_decides)
        send_check(k, s);
}

static void begin_due(struct checker *k, int64_t now)
{
    while (k->heap_count && k->under_way < CHECKS_AT_ONCE && k->heap[1]->next_ms <= now) {
        struct schedule *s = k->heap[1];
        if (s->running)
            heap_put(k, s, now + FIRST_CHECKS_MS); /* the last one is still on its way */
        else
            begin_check(k, s, now);
    }
}

/* ---- what came back ---- */

/* The health to show now; NULL: too early to say anything else than before. */
static const char *judge(const json_t *d, struct schedule *s, bool good, int64_t now)
{
    s->failures = good ? 0 : s->failures + 1;
    if (good)
        return "healthy";
    if (in_start_period(s, now) && !str_eq(json_str(d, "status.health"), "healthy"))
        return NULL;
    return s->failures >= s->retries ? "unhealthy" : NULL;
}

/* Healthy as before: nothing changes but the time, which is written into a copy of the text. False: it is not that
 * easy. */
static bool record_time(struct checker *k, struct schedule *s, bool good, int64_t now)
{
    char at[TIME_TEXT_LEN + 1];
    if (!good || s->failures || !s->judged || s->health != 0 || !s->checked_at[0] ||
        now - s->stored_ms > STORE_HEALTH_MS)
        return false;
    (void)time_format(clock_now_ms(), at);
    struct entity *x = entity_with_time(s->read, "lastHealthCheck", s->checked_at, at);
    if (!x || !table_exchange(k->runtime->services, s->read, x)) {
        entity_unref(x);
        return false;
    }
    entity_unref(s->read);
    s->read = x; /* the table has a reference of its own */
    str_copy(s->checked_at, sizeof s->checked_at, at);
    return true;
}

static int record_locked(struct checker *k, struct schedule *s, bool good, const char *reason, int64_t now,
                         struct error *e)
{
    struct runtime *r = k->runtime;
    char at[TIME_TEXT_LEN + 1];
    _cleanup_entity_ struct entity *x = table_get(r->services, s->service_id);
    _cleanup_json_ json_t *d = x ? entity_document(x) : NULL;
    if (!d || !str_eq(s->container_id, json_str(d, "container.id")))
        return 0;
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
    int res = to_store ? service_save_locked(r, d, changed ? x->version + 1 : x->version, false, NULL, e)
                       : service_touch_locked(r, d, x->version, e);
    _cleanup_entity_ struct entity *after = res == 0 ? table_get(r->services, s->service_id) : NULL;
    if (after)
        read_document(s, after, d);
    return res;
}

static void record(struct checker *k, struct schedule *s, bool good, const char *reason)
{
    int64_t now = clock_mono_ms();
    struct error e = ERROR_INIT;
    if (record_time(k, s, good, now))
        return;
    (void)pthread_mutex_lock(&k->runtime->write_lock);
    int res = record_locked(k, s, good, reason, now, &e);
    (void)pthread_mutex_unlock(&k->runtime->write_lock);
    if (res < 0)
        log_warn("The health of service %s was not recorded: %s", s->service_id, e.message);
    error_done(&e);
}

static void drop_check(struct checker *k, struct check *check)
{
    struct check *last = k->running[--k->under_way];
    k->running[check->at] = last;
    last->at = check->at;
    (void)curl_multi_remove_handle(k->multi, check->handle);
    give_handle(k, check->handle);
    free(check);
}

static void end_check(struct checker *k, struct check *check, CURLcode result)
{
    char reason[512] = "";
    int good = probe_verdict(&check->probe, check->handle, (int)result, 0, reason, sizeof reason);
    struct schedule *s = check->schedule;
    drop_check(k, check);
    if (!s)
        return;
    s->running = false;
    record(k, s, good == 1, reason);
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

static int until_due(const struct checker *k, int64_t now)
{
    int64_t left = k->heap_count && k->under_way < CHECKS_AT_ONCE ? k->heap[1]->next_ms - now : TURN_MS;
    return (int)(left < 1 ? 1 : left > TURN_MS ? TURN_MS : left);
}

static void *check_for_ever(void *arg)
{
    struct checker *k = arg;
    while (!k->stop) {
        int running = 0, ready = 0;
        int64_t now = clock_mono_ms();
        if (now - k->synced_ms >= SYNC_MS || !k->spread)
            look_through(k, now);
        begin_due(k, now);
        (void)curl_multi_perform(k->multi, &running);
        take_results(k);
        take_settled(k, now);
        look_after(k, now);
        (void)curl_multi_poll(k->multi, NULL, 0, until_due(k, now), &ready);
        if (k->under_way >= BATCH_FROM)
            (void)nanosleep(&(struct timespec){ 0, BATCH_MS * 1000000L }, NULL);
    }
    return NULL;
}

int checker_start(struct runtime *r, struct checker **ret, struct error *e)
{
    struct checker *k = calloc(1, sizeof *k);
    if (k) {
        k->runtime = r;
        k->multi = curl_multi_init();
        k->schedules = map_new(schedule_free);
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
    while (k->idle_count)
        curl_easy_cleanup(k->idle[--k->idle_count]);
    (void)curl_multi_cleanup(k->multi);
    map_free(k->schedules);
    free(k->heap);
    free(k);
}
