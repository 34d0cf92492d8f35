#define LOG_ROOM "gateway"
#include "gateway/registrar.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct registrar {
    struct store *store;
    struct events *events;
    struct discovery *discovery;
    pthread_t thread;

    pthread_mutex_t calls; /* one conversation with the registry at a time; taken before `lock` */
    pthread_mutex_t lock;  /* all below */
    pthread_cond_t changed;
    json_t *wanted;        /* id -> registration, as its row; with `registered`, `health`, `reason` */
    bool reached, stop, running;
    int64_t compared_ms, away_since_ms; /* wall; 0: not yet, not away */
};

static bool away(int r)
{
    return r == -ERR_UNAVAILABLE || r == -ERR_UPSTREAM_TIMEOUT;
}

/* ---- the rows ---- */

static int row_write(struct registrar *r, const json_t *x, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res =
            store_exec(c, e,
                       "INSERT INTO gateway_registrations (id, document, updated_at) VALUES ($1, $2, $3) "
                       "ON CONFLICT (id) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at",
                       "tji", json_str(x, "id"), x, clock_now_ms());
    return res == 0 ? store_commit(c, e) : res;
}

static int row_remove(struct registrar *r, const char *id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(r->store, STORE_WRITE, &c, e);
    if (res == 0)
        res = store_exec(c, e, "DELETE FROM gateway_registrations WHERE id = $1", "t", id);
    return res == 0 ? store_commit(c, e) : res;
}

static int rows_load(struct registrar *r, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int res = store_acquire(r->store, STORE_READ, &c, e);
    if (res == 0)
        res = store_query(c, e, &rows, "SELECT id, document FROM gateway_registrations ORDER BY id", "");
    while (res == 0 && (res = rows_next(rows, e)) == 1) {
        json_t *x = rows_json(rows, 1);
        (void)json_object_set_new(x, "registered", json_false()); /* what the registry has is to be seen first */
        res = x && json_object_set_new(r->wanted, rows_text(rows, 0), x) == 0
                  ? 0
                  : error_set(e, ERR_INTERNAL, "The registration of %s cannot be read.", rows_text(rows, 0));
    }
    return res;
}

/* ---- documents ---- */

static json_t *document_of(const struct discovery_instance *x)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:s?, s:O*, s:O*, s:s?, s:I, s:I}", "id", x->id, "service", x->service,
                     "address", x->address, "port", (int)x->port, "node", x->node, "tags", (json_t *)(uintptr_t)x->tags,
                     "meta", (json_t *)(uintptr_t)x->meta, "checkPath", x->check_path, "checkIntervalMs",
                     (json_int_t)x->check_interval_ms, "checkTimeoutMs", (json_int_t)x->check_timeout_ms);
}

static struct discovery_instance instance_of(const json_t *x)
{
    return (struct discovery_instance){ .id = json_str(x, "id"),
                                        .service = json_str(x, "service"),
                                        .address = json_str(x, "address"),
                                        .port = (uint16_t)json_int(x, "port", 0),
                                        .node = json_str(x, "node"),
                                        .tags = json_object_get(x, "tags"),
                                        .meta = json_object_get(x, "meta"),
                                        .check_path = json_str(x, "checkPath"),
                                        .check_interval_ms = json_int(x, "checkIntervalMs", 10000),
                                        .check_timeout_ms = json_int(x, "checkTimeoutMs", 5000) };
}

/* Notes what is known of one; under the lock. */
static void note_locked(struct registrar *r, const char *id, bool registered, const char *health, const char *reason)
{
    json_t *x = json_object_get(r->wanted, id);
    if (!x)
        return;
    (void)json_object_set_new(x, "registered", json_boolean(registered));
    (void)json_object_set_new(x, "health", health ? json_string(health) : json_null());
    (void)json_object_set_new(x, "reason", reason ? json_string(reason) : json_null());
}

static void note(struct registrar *r, const char *id, bool registered, const char *health, const char *reason)
{
    (void)pthread_mutex_lock(&r->lock);
    note_locked(r, id, registered, health, reason);
    (void)pthread_mutex_unlock(&r->lock);
}

static void tell(struct registrar *r, const char *type, const char *id, const char *reason)
{
    _cleanup_json_ json_t *d = json_pack("{s:s?}", "reason", reason);
    size_t len = 0;
    _cleanup_free_ char *text = d ? json_text(d, &len) : NULL;
    if (r->events && text)
        events_publish(r->events, type, str_starts(type, "discovery") ? "discovery" : "registration", id, text, len);
}

static void note_reached(struct registrar *r, bool reached, const char *why)
{
    (void)pthread_mutex_lock(&r->lock);
    bool changed = r->reached != reached;
    r->reached = reached;
    if (changed)
        r->away_since_ms = reached ? 0 : clock_now_ms();
    (void)pthread_mutex_unlock(&r->lock);
    if (!changed)
        return;
    if (reached)
        log_info("The service registry answers.");
    else
        log_warn("The service registry does not answer: %s What it is to know is kept and told later.", why);
    tell(r, reached ? "discovery.reached" : "discovery.unreachable", "discovery", why);
}

/* ---- comparing ---- */

static bool same_place(const json_t *wanted, const json_t *there)
{
    return str_eq(json_str(wanted, "address"), json_str(there, "address")) &&
           str_eq(json_str(wanted, "service"), json_str(there, "service")) &&
           json_int(wanted, "port", 0) == json_int(there, "port", -1);
}

/* Registers one that the registry lacks; negative only when it does not answer. */
static int repair(struct registrar *r, const json_t *x, bool was_there, struct error *e)
{
    struct discovery_instance one = instance_of(x);
    int res = r->discovery->ops->add(r->discovery, &one, e);
    note(r, one.id, res == 0, NULL, res < 0 ? e->message : NULL);
    if (res == 0) {
        log_info("%s is registered%s.", one.id, was_there ? " at its new address" : " again");
        tell(r, "registration.repaired", one.id, NULL);
        return 0;
    }
    if (away(res))
        return res;
    log_warn("%s cannot be registered: %s", one.id, e->message);
    return 0;
}

static int add_missing(struct registrar *r, const json_t *wanted, const json_t *there, struct error *e)
{
    const char *id;
    json_t *x;
    int res = 0;
    json_object_foreach ((json_t *)(uintptr_t)wanted, id, x) {
        const json_t *has = json_object_get(there, id);
        if (has && same_place(x, has))
            note(r, id, true, json_str(has, "health"), NULL);
        else if ((res = repair(r, x, has != NULL, e)) < 0)
            break;
    }
    return res;
}

static int remove_orphans(struct registrar *r, const json_t *wanted, const json_t *there, struct error *e)
{
    const char *id;
    json_t *x;
    json_object_foreach ((json_t *)(uintptr_t)there, id, x) {
        if (json_object_get(wanted, id))
            continue;
        int res = r->discovery->ops->remove(r->discovery, id, e);
        if (away(res))
            return res;
        if (res < 0)
            log_warn("%s, which nobody wants any more, cannot be deregistered: %s", id, e->message);
        else
            log_info("%s, which nobody wants any more, is deregistered.", id);
    }
    return 0;
}

static json_t *by_id(const json_t *list)
{
    size_t i;
    json_t *x, *ret = json_object();
    json_array_foreach (list, i, x)
        if (json_str(x, "id"))
            (void)json_object_set(ret, json_str(x, "id"), x);
    return ret;
}

static json_t *copy_wanted(struct registrar *r)
{
    (void)pthread_mutex_lock(&r->lock);
    json_t *copy = json_deep_copy(r->wanted);
    (void)pthread_mutex_unlock(&r->lock);
    return copy;
}

static int compare_calling(struct registrar *r, struct error *e)
{
    _cleanup_json_ json_t *list = NULL;
    int res = r->discovery->ops->list(r->discovery, &list, e);
    _cleanup_json_ json_t *wanted = copy_wanted(r), *there = by_id(list);
    if (res == 0 && (!wanted || !there))
        res = error_set(e, ERR_INTERNAL, "No memory.");
    if (res == 0)
        res = add_missing(r, wanted, there, e);
    if (res == 0)
        res = remove_orphans(r, wanted, there, e);
    note_reached(r, res == 0, res == 0 ? NULL : e->message);
    (void)pthread_mutex_lock(&r->lock);
    if (res == 0)
        r->compared_ms = clock_now_ms();
    (void)pthread_mutex_unlock(&r->lock);
    return res;
}

int registrar_compare(struct registrar *r, struct error *e)
{
    _cleanup_error_ struct error mine = ERROR_INIT;
    (void)pthread_mutex_lock(&r->calls);
    int res = compare_calling(r, e ? e : &mine);
    (void)pthread_mutex_unlock(&r->calls);
    return res;
}

/* ---- wanting ---- */

static int want(struct registrar *r, const struct discovery_instance *x, struct error *e)
{
    json_t *d = document_of(x);
    if (!d)
        return error_set(e, ERR_VALIDATION, "The registration of %s is not text.", x->id);
    (void)pthread_mutex_lock(&r->lock);
    bool full = json_object_size(r->wanted) >= REGISTRATIONS_MAX && !json_object_get(r->wanted, x->id);
    (void)pthread_mutex_unlock(&r->lock);
    int res = full ? error_set(e, ERR_CONFLICT, "There are %d registrations already.", REGISTRATIONS_MAX)
                   : row_write(r, d, e);
    (void)pthread_mutex_lock(&r->lock);
    if (res == 0 && json_object_set(r->wanted, x->id, d) < 0)
        res = error_set(e, ERR_INTERNAL, "No memory.");
    (void)pthread_mutex_unlock(&r->lock);
    json_decref(d);
    return res;
}

static int unwant(struct registrar *r, const char *id, struct error *e)
{
    int res = row_remove(r, id, e);
    (void)pthread_mutex_lock(&r->lock);
    if (res == 0)
        (void)json_object_del(r->wanted, id);
    (void)pthread_mutex_unlock(&r->lock);
    return res;
}

/* A registry that was away a moment ago costs nobody the wait for its silence again: the thread finds it back. */
static int is_away(struct registrar *r, struct error *e)
{
    (void)pthread_mutex_lock(&r->lock);
    bool reached = r->reached, stop = r->stop, running = r->running;
    (void)pthread_mutex_unlock(&r->lock);
    if (stop)
        return error_set(e, ERR_UNAVAILABLE, "The hub is stopping.");
    return reached || !running ? 0 : error_set(e, ERR_UNAVAILABLE, "The service registry does not answer.");
}

int registrar_add(struct registrar *r, const struct discovery_instance *x, struct error *e)
{
    (void)pthread_mutex_lock(&r->calls);
    int res = want(r, x, e);
    if (res == 0) {
        _cleanup_error_ struct error said = ERROR_INIT;
        res = is_away(r, &said);
        if (res == 0)
            res = r->discovery->ops->add(r->discovery, x, &said);
        note(r, x->id, res == 0, NULL, res < 0 ? said.message : NULL);
        if (away(res)) {
            note_reached(r, false, said.message);
            log_warn("%s is not registered yet: %s", x->id, said.message);
            tell(r, "registration.pending", x->id, said.message);
            res = 0;
        } else if (res < 0) {
            (void)unwant(r, x->id, NULL);
            res = error_set(e, said.code, "The service registry refused %s: %s", x->id, said.message);
        }
    }
    (void)pthread_mutex_unlock(&r->calls);
    return res;
}

int registrar_remove(struct registrar *r, const char *id, struct error *e)
{
    _cleanup_error_ struct error said = ERROR_INIT;
    (void)pthread_mutex_lock(&r->calls);
    int res = unwant(r, id, e), told = res == 0 ? is_away(r, &said) : 0;
    if (res == 0 && told == 0)
        told = r->discovery->ops->remove(r->discovery, id, &said);
    if (away(told))
        note_reached(r, false, said.message);
    if (told < 0) /* nobody wants it: the comparison takes it out */
        log_warn("%s is deregistered later: %s", id, said.message);
    (void)pthread_mutex_unlock(&r->calls);
    return res;
}

bool registrar_has(struct registrar *r, const char *id)
{
    (void)pthread_mutex_lock(&r->lock);
    bool has = json_flag(json_object_get(r->wanted, id), "registered", false);
    (void)pthread_mutex_unlock(&r->lock);
    return has;
}

bool registrar_reached(struct registrar *r)
{
    (void)pthread_mutex_lock(&r->lock);
    bool reached = r->reached;
    (void)pthread_mutex_unlock(&r->lock);
    return reached;
}

/* ---- telling ---- */

static json_t *time_or_null(int64_t ms)
{
    char at[TIME_TEXT_LEN + 1];
    return ms ? json_string(time_format(ms, at)) : json_null();
}

json_t *registrar_document(struct registrar *r)
{
    const char *id;
    json_t *x, *list = json_array();
    if (!r)
        return json_pack("{s:{s:b, s:b, s:n, s:n}, s:o}", "registry", "configured", 0, "reached", 0, "comparedAt",
                         "awaySince", "registrations", list);
    (void)pthread_mutex_lock(&r->lock);
    json_object_foreach (r->wanted, id, x)
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:s?, s:b, s:s?, s:s?}", "id", id, "service",
                                                    json_str(x, "service"), "address", json_str(x, "address"), "port",
                                                    (int)json_int(x, "port", 0), "node", json_str(x, "node"),
                                                    "registered", json_flag(x, "registered", false), "health",
                                                    json_str(x, "health"), "reason", json_str(x, "reason")));
    json_t *d =
        json_pack("{s:{s:b, s:b, s:o, s:o}, s:o}", "registry", "configured", 1, "reached", r->reached, "comparedAt",
                  time_or_null(r->compared_ms), "awaySince", time_or_null(r->away_since_ms), "registrations", list);
    (void)pthread_mutex_unlock(&r->lock);
    return d;
}

/* ---- the thread ---- */

static bool wait_turn(struct registrar *r)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    (void)pthread_mutex_lock(&r->lock);
    until.tv_sec += (r->reached ? REGISTRAR_COMPARE_MS : REGISTRAR_AWAY_MS) / 1000;
    while (!r->stop && pthread_cond_timedwait(&r->changed, &r->lock, &until) != ETIMEDOUT)
        ;
    bool stop = r->stop;
    (void)pthread_mutex_unlock(&r->lock);
    return !stop;
}

static void *run(void *arg)
{
    struct registrar *r = arg;
    do
        (void)registrar_compare(r, NULL); /* says itself what is wrong */
    while (wait_turn(r));
    return NULL;
}

int registrar_open(struct store *store, struct events *events, struct discovery *d, struct registrar **ret,
                   struct error *e)
{
    struct registrar *r = calloc(1, sizeof *r);
    pthread_condattr_t monotonic;
    if (!r)
        return error_set(e, ERR_INTERNAL, "No memory.");
    *r = (struct registrar){
        .store = store, .events = events, .discovery = d, .reached = true, .wanted = json_object()
    };
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&r->calls, NULL);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int res = r->wanted ? rows_load(r, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (res < 0) {
        registrar_free(r);
        return res;
    }
    *ret = r;
    return 0;
}

int registrar_start(struct registrar *r, struct error *e)
{
    r->running = true;
    if (pthread_create(&r->thread, NULL, run, r) == 0)
        return 0;
    r->running = false;
    return error_set(e, ERR_INTERNAL, "Cannot start the thread of the service registry.");
}

void registrar_stop(struct registrar *r)
{
    if (!r)
        return;
    (void)pthread_mutex_lock(&r->lock);
    bool running = r->running;
    r->stop = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
    if (running)
        (void)pthread_join(r->thread, NULL);
    r->running = false;
}

void registrar_free(struct registrar *r)
{
    if (!r)
        return;
    registrar_stop(r);
    json_decref(r->wanted);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    (void)pthread_mutex_destroy(&r->calls);
    free(r);
}
