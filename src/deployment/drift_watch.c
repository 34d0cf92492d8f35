#define LOG_ROOM "deployment"
#include "deployment/drift.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* When services are compared: all each minute, one soon after its document changed. A deployment under way is left
 * alone: it changes what is compared. */

#define EACH_MS 60000
#define SETTLE_MS 1500             /* a change seldom comes alone */
#define REPAIR_AGAIN_MS (600 * 1000)
#define SERVICES_MAX 4096          /* that changed within one turn; more: all are compared */

struct drift {
    struct deployments *deployments;
    bool repair;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, woken; /* under lock */
    struct map *changed; /* service ids; under lock */
    struct map *repaired; /* service id -> int64_t when, owned; the thread's */
};

static void on_event(void *ctx, const char *type, const char *id, const char *data UNUSED, size_t len UNUSED)
{
    struct drift *x = ctx;
    if (!str_eq(type, "service.updated") || !id)
        return;
    (void)pthread_mutex_lock(&x->lock);
    if (map_size(x->changed) < SERVICES_MAX)
        (void)map_set(x->changed, id, x);
    x->woken = true;
    (void)pthread_cond_signal(&x->wake);
    (void)pthread_mutex_unlock(&x->lock);
}

/* ---- one service ---- */

static int put_differences(json_t *document, void *ctx)
{
    json_t *list = ctx, *status = json_at(document, "status");
    if (json_array_size(list))
        return json_object_set(status, "drift", list);
    (void)json_object_del(status, "drift");
    return 0;
}

static bool is_new(const json_t *document, const json_t *list)
{
    const json_t *before = json_at(document, "status.drift");
    return json_array_size(list) ? !json_equal(before, list) : before != NULL;
}

static bool may_repair(struct drift *x, const char *id)
{
    int64_t *last = map_get(x->repaired, id), now = clock_now_ms();
    if (!x->repair || (last && now < *last + REPAIR_AGAIN_MS))
        return false;
    last = malloc(sizeof *last);
    if (!last)
        return false;
    *last = now;
    if (map_set(x->repaired, id, last) == 0)
        return true;
    free(last);
    return false;
}

static void say(const char *name, const json_t *list)
{
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one)
        log_warn("%s is not as deployed: %s is %s instead of %s.", name, json_str(one, "field"),
                 json_str(one, "actual") ? json_str(one, "actual") : "absent",
                 json_str(one, "wanted") ? json_str(one, "wanted") : "absent");
}

static void compare_one(struct drift *x, const char *id)
{
    struct deployments *d = x->deployments;
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *service = NULL;
    json_t *list = NULL;
    char deployment[ID_LEN + 1];
    if (queue_runs(d, id) || runtime_service(d->runtime, id, &service, NULL) < 0)
        return;
    _cleanup_json_ json_t *document = entity_document(service);
    if (!json_flag(document, "managed", false) || json_int(document, "ordinal", 1) != 1)
        return;
    if (aftermath_look(d, id))
        return;
    int res = drift_compare(d, id, &list, &e);
    /* One that began meanwhile has changed what was compared. */
    if (res == 0 && !queue_runs(d, id) && is_new(document, list)) {
        say(service->name, list);
        res = runtime_service_change(d->runtime, id, put_differences, list, NULL, &e);
    }
    if (res == 0 && json_array_size(list) && json_at(document, "status.drift") && !queue_runs(d, id) &&
        may_repair(x, id)) {
        res = drift_repair(d, id, "drift policy", list, deployment, &e);
        if (res == 0)
            log_info("%s is repaired%s%s.", service->name, deployment[0] ? " by deployment " : "", deployment);
    }
    if (res < 0 && res != -ERR_NOT_FOUND && res != -ERR_UNAVAILABLE)
        log_warn("%s was not compared with its release: %s", service->name, e.message);
    json_decref(list);
}

/* ---- the thread ---- */

static void add_all(struct drift *x, struct map *ids)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(x->deployments->store, STORE_READ, &c, &e);
    if (res == 0)
        res = store_query(c, &e, &rows, "SELECT id FROM service_instances WHERE managed = 1 AND ordinal = 1", "");
    while (res == 0 && (res = rows_next(rows, &e)) == 1)
        res = map_set(ids, rows_text(rows, 0), x);
    if (res < 0)
        log_warn("The services to compare were not read: %s", e.message);
}

static struct map *take_changed(struct drift *x)
{
    struct map *fresh = map_new(NULL);
    (void)pthread_mutex_lock(&x->lock);
    struct map *taken = fresh ? x->changed : NULL;
    if (fresh)
        x->changed = fresh;
    x->woken = false;
    (void)pthread_mutex_unlock(&x->lock);
    return taken;
}

static bool stopping(struct drift *x)
{
    (void)pthread_mutex_lock(&x->lock);
    bool stop = x->stop;
    (void)pthread_mutex_unlock(&x->lock);
    return stop;
}

static void turn(struct drift *x, bool all)
{
    const char *id;
    void *value;
    size_t cursor = 0;
    struct map *ids = take_changed(x);
    if (!ids)
        return;
    if (all || map_size(ids) >= SERVICES_MAX)
        add_all(x, ids);
    while (!stopping(x) && map_next(ids, &cursor, &id, &value))
        compare_one(x, id);
    map_free(ids);
    if (all && !stopping(x)) {
        _cleanup_error_ struct error e = ERROR_INIT;
        int cleared = drift_clear_leftovers(x->deployments, &e);
        if (cleared > 0)
            log_info("%d containers that ended deployments had left behind were removed.", cleared);
        else if (cleared < 0)
            log_warn("What ended deployments left behind was not removed: %s", e.message);
    }
}

/* Waits until `deadline_ms` (monotonic), or for a change when `for_change`. */
static void wait_until(struct drift *x, int64_t deadline_ms, bool for_change)
{
    struct timespec until = { deadline_ms / 1000, deadline_ms % 1000 * 1000000 };
    (void)pthread_mutex_lock(&x->lock);
    while (!x->stop && !(for_change && x->woken))
        if (pthread_cond_timedwait(&x->wake, &x->lock, &until) == ETIMEDOUT)
            break;
    (void)pthread_mutex_unlock(&x->lock);
}

static int64_t system_mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *work(void *arg)
{
    struct drift *x = arg;
    int64_t next = system_mono_ms() + EACH_MS;
    while (!stopping(x)) {
        wait_until(x, next, true);
        bool all = system_mono_ms() >= next;
        if (!all)
            wait_until(x, system_mono_ms() + SETTLE_MS, false);
        if (all)
            next = system_mono_ms() + EACH_MS;
        if (!stopping(x))
            turn(x, all);
    }
    return NULL;
}

int drift_new(struct deployments *d, bool repair, struct drift **ret, struct error *e)
{
    pthread_condattr_t attributes;
    struct drift *x = calloc(1, sizeof *x);
    if (!x)
        return error_set(e, ERR_INTERNAL, "No memory.");
    *x = (struct drift){ .deployments = d, .repair = repair, .changed = map_new(NULL), .repaired = map_new(free) };
    (void)pthread_mutex_init(&x->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&x->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (!x->changed || !x->repaired || events_listen(d->events, on_event, x) < 0) {
        drift_free(x);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    *ret = x;
    return 0;
}

int drift_start(struct drift *x, struct error *e)
{
    int res = pthread_create(&x->thread, NULL, work, x);
    if (res)
        return error_errno(e, -res, "The comparison of services did not start");
    x->started = true;
    return 0;
}

void drift_stop(struct drift *x)
{
    if (!x || !x->started)
        return;
    (void)pthread_mutex_lock(&x->lock);
    x->stop = true;
    (void)pthread_cond_signal(&x->wake);
    (void)pthread_mutex_unlock(&x->lock);
    (void)pthread_join(x->thread, NULL);
    x->started = false;
}

void drift_free(struct drift *x)
{
    if (!x)
        return;
    drift_stop(x);
    map_free(x->changed);
    map_free(x->repaired);
    (void)pthread_cond_destroy(&x->wake);
    (void)pthread_mutex_destroy(&x->lock);
    free(x);
}
