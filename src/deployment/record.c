#define LOG_ROOM "deployment"
#include "deployment/internal.h"

#include "base/log.h"

#include <stdio.h>

#define PUBLISH_EACH_MS 250

void record_done(struct record *r)
{
    json_decref(r->document);
    *r = (struct record){ 0 };
}

bool record_final(const json_t *d)
{
    const char *state = json_str(d, "status.state");
    return str_eq(state, "completed") || str_eq(state, "failed") || str_eq(state, "rolled_back");
}

static int write_row(struct deployments *d, const struct record *r, bool insert, struct error *e)
{
    const json_t *x = r->document;
    _cleanup_conn_ struct store_conn *c = NULL;
    int res = store_acquire(d->store, STORE_WRITE, &c, e);
    if (res < 0)
        return res;
    if (insert)
        res = store_exec(
            c, e,
            "INSERT INTO deployment_events (id, service_instance_id, service_id, service_name, trigger_kind, environment, state, "
            "node_id, release_id, deployment_config, changes, status, timing, monitoring_impact, git_metadata, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            "tttttttttjjjjjjii", json_str(x, "id"), json_str(x, "serviceInstanceId"), r->service_name, r->service_name,
            json_str(x, "deployment.trigger"), json_str(x, "deployment.environment"), json_str(x, "status.state"),
            json_str(x, "nodeId"), r->release_id, json_at(x, "deployment"), json_at(x, "changes"), json_at(x, "status"),
            json_at(x, "timing"), json_at(x, "monitoring"), json_at(x, "git"), r->started_ms, clock_now_ms());
    else
        res = store_exec(
            c, e,
            "UPDATE deployment_events SET state = $1, status = $2, timing = $3, monitoring_impact = $4, updated_at = $5 WHERE id = $6",
            "tjjjit", json_str(x, "status.state"), json_at(x, "status"), json_at(x, "timing"), json_at(x, "monitoring"),
            clock_now_ms(), json_str(x, "id"));
    return res == 0 ? store_commit(c, e) : res;
}

static void remember_live(struct deployments *d, const char *id, const char *text, size_t len)
{
    struct blob *b = blob_new(text, len);
    (void)pthread_mutex_lock(&d->lock);
    if (b && map_set(d->live, id, b) < 0)
        blob_unref(b);
    (void)pthread_mutex_unlock(&d->lock);
}

void record_forget_live(struct deployments *d, const char *id)
{
    (void)pthread_mutex_lock(&d->lock);
    (void)map_remove(d->live, id);
    (void)pthread_mutex_unlock(&d->lock);
}

static void publish(struct deployments *d, struct record *r, const char *type)
{
    size_t len = 0;
    _cleanup_free_ char *text = json_text(r->document, &len);
    if (!text)
        return;
    if (!record_final(r->document))
        remember_live(d, json_str(r->document, "id"), text, len);
    events_publish(d->events, type, "deployment", json_str(r->document, "id"), text, len);
    r->published_ms = clock_mono_ms();
}

int record_insert(struct deployments *d, struct record *r, struct error *e)
{
    int res = write_row(d, r, true, e);
    if (res == 0)
        publish(d, r, "deployment.created");
    return res;
}

int record_save(struct deployments *d, struct record *r, struct error *e)
{
    int res = write_row(d, r, false, e);
    publish(d, r, "deployment.updated");
    return res;
}

void record_publish(struct deployments *d, struct record *r)
{
    if (clock_mono_ms() - r->published_ms >= PUBLISH_EACH_MS)
        publish(d, r, "deployment.updated");
}

/* The newest lines are kept; the first line says that there were more. */
void record_log(struct record *r, const char *fmt, ...)
{
    char text[1024], at[TIME_TEXT_LEN + 1], line[1200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)snprintf(line, sizeof line, "%s %s", time_format(clock_now_ms(), at), text);
    json_t *logs = json_at(r->document, "status.logs");
    if (json_array_size(logs) >= LOG_LINES_MAX) {
        (void)json_array_remove(logs, 1);
        (void)json_array_set_new(logs, 0, json_string("(older lines were left out)"));
    }
    (void)json_array_append_new(logs, json_string(line));
    log_info("%s: %s", r->service_name, text);
}

static json_t *row_document(struct store_rows *rows)
{
    json_t *x = json_object();
    (void)json_put(x, "id", json_string(rows_text(rows, 0)));
    (void)json_put(x, "serviceInstanceId", json_string(rows_text(rows, 1)));
    (void)json_put(x, "serviceName", json_string(rows_text(rows, 2)));
    (void)json_put(x, "nodeId", rows_null(rows, 3) ? json_null() : json_string(rows_text(rows, 3)));
    (void)json_put(x, "deployment", rows_json(rows, 4));
    (void)json_put(x, "changes", rows_json(rows, 5));
    (void)json_put(x, "status", rows_json(rows, 6));
    (void)json_put(x, "timing", rows_json(rows, 7));
    (void)json_put(x, "monitoring", rows_json(rows, 8));
    if (!rows_null(rows, 9))
        (void)json_put(x, "git", rows_json(rows, 9));
    return x;
}

#define COLUMNS \
    "id, service_instance_id, service_name, node_id, deployment_config, changes, status, timing, monitoring_impact, git_metadata, release_id, created_at"

int record_load(struct deployments *d, const char *id, struct record *ret, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " COLUMNS " FROM deployment_events WHERE id = $1", "t", id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no deployment %.100s.", id);
    if (r < 0)
        return r;
    *ret = (struct record){ .document = row_document(rows), .started_ms = rows_int(rows, 11) };
    str_copy(ret->service_name, sizeof ret->service_name, rows_text(rows, 2));
    str_copy(ret->release_id, sizeof ret->release_id, rows_text(rows, 10) ? rows_text(rows, 10) : "");
    return 0;
}

int get_deployment(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    const char *id = request_str(rq, "deploymentId");
    struct record record = { 0 };
    (void)pthread_mutex_lock(&d->lock);
    struct blob *found = map_get(d->live, id);
    _cleanup_blob_ struct blob *live = found ? blob_ref(found) : NULL;
    (void)pthread_mutex_unlock(&d->lock);
    int r = live ? 0 : record_load(d, id, &record, e);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "deployment");
    if (live)
        jw_raw(w, live->data, live->len);
    else
        jw_json(w, record.document);
    jw_end(w);
    record_done(&record);
    return 0;
}

/* ---- list ---- */

struct list_filter {
    const char *service, *trigger, *environment, *state;
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int write_analytics(struct store_conn *c, const struct list_filter *f, struct jw *w, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(
        c, e, &rows,
        "SELECT SUM(CASE WHEN state = 'completed' THEN 1 ELSE 0 END), COUNT(*), "
        "AVG(CASE WHEN state = 'completed' THEN updated_at - created_at END) FROM deployment_events "
        "WHERE state IN ('completed', 'failed', 'rolled_back') AND ($1 = '' OR service_instance_id = $1 OR service_name = $1) "
        "AND ($2 = '' OR trigger_kind = $2) AND ($3 = '' OR environment = $3)",
        "ttt", or_empty(f->service), or_empty(f->trigger), or_empty(f->environment));
    if (r == 0)
        r = rows_next(rows, e);
    if (r < 0)
        return r;
    int64_t done = rows_int(rows, 0), all = rows_int(rows, 1);
    jw_key(w, "analytics"), jw_object(w);
    jw_key(w, "success_rate");
    if (all)
        jw_number(w, (double)(done * 10000 / all) / 100);
    else
        jw_null(w);
    jw_key(w, "average_duration");
    if (rows_null(rows, 2))
        jw_null(w);
    else
        jw_number(w, (double)(int64_t)rows_double(rows, 2));
    jw_end(w);
    return 0;
}

static int write_page(struct store_conn *c, struct deployments *d, const struct list_filter *f, const char *before,
                      int64_t limit, struct jw *w, struct error *e)
{
    char last[ID_LEN + 1] = "", cursor[256] = "";
    int64_t sent = 0;
    _cleanup_rows_ struct store_rows *rows = NULL;
    /* Ids are UUIDv7: newest first is by id. */
    int r = store_query(
        c, e, &rows,
        "SELECT " COLUMNS
        " FROM deployment_events WHERE ($1 = '' OR id < $1) AND ($2 = '' OR service_instance_id = $2 OR service_name = $2) "
        "AND ($3 = '' OR trigger_kind = $3) AND ($4 = '' OR environment = $4) AND ($5 = '' OR state = $5) ORDER BY id DESC LIMIT $6",
        "ttttti", or_empty(before), or_empty(f->service), or_empty(f->trigger), or_empty(f->environment),
        or_empty(f->state), limit + 1);
    if (r < 0)
        return r;
    jw_key(w, "deployments"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1) {
        if (sent++ == limit) {
            const char *fields[] = { last };
            (void)cursor_encode(fields, 1, cursor, sizeof cursor);
            break;
        }
        str_copy(last, sizeof last, rows_text(rows, 0));
        (void)pthread_mutex_lock(&d->lock);
        struct blob *found = map_get(d->live, last);
        _cleanup_blob_ struct blob *live = found ? blob_ref(found) : NULL;
        (void)pthread_mutex_unlock(&d->lock);
        _cleanup_json_ json_t *x = live ? NULL : row_document(rows);
        if (live)
            jw_raw(w, live->data, live->len);
        else
            jw_json(w, x);
    }
    jw_end(w);
    if (cursor[0])
        jw_key(w, "next"), jw_string(w, cursor);
    return r < 0 ? r : 0;
}

int list_deployments(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    char storage[128];
    const char *before[1] = { NULL };
    struct list_filter f = { request_str(rq, "service_id"), request_str(rq, "trigger"), request_str(rq, "environment"),
                             request_str(rq, "state") };
    int r =
        request_str(rq, "cursor") ? cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, before, 1, e) : 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    if (r == 0)
        r = store_acquire(d->store, STORE_READ, &c, e);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    r = write_page(c, d, &f, before[0], request_int(rq, "limit", 100), w, e);
    if (r == 0)
        r = write_analytics(c, &f, w, e);
    jw_end(w);
    return r;
}
