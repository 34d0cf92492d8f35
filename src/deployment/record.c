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
    static const char *const ends[] = { "completed", "failed", "rolled_back", "cancelled", "superseded" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_eq(json_str(d, "status.state"), ends[i]))
            return true;
    return false;
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
            "UPDATE deployment_events SET state = $1, status = $2, timing = $3, monitoring_impact = $4, receipt = $5, "
            "updated_at = $6 WHERE id = $7",
            "tjjjjit", json_str(x, "status.state"), json_at(x, "status"), json_at(x, "timing"),
            json_at(x, "monitoring"), json_at(x, "receipt"), clock_now_ms(), json_str(x, "id"));
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

struct blob *record_live(struct deployments *d, const char *id)
{
    (void)pthread_mutex_lock(&d->lock);
    struct blob *found = map_get(d->live, id);
    struct blob *ret = found ? blob_ref(found) : NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return ret;
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

void record_end(struct record *r, const char *state, const char *message)
{
    char at[TIME_TEXT_LEN + 1];
    json_t *x = r->document;
    int64_t now = clock_now_ms();
    (void)json_put(x, "status.state", json_string(state));
    (void)json_put(x, "status.step", json_null());
    (void)json_put(x, "status.message", json_string(message));
    (void)json_put(x, "timing.completedAt", json_string(time_format(now, at)));
    (void)json_put(x, "timing.duration", json_integer(now - r->started_ms));
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

json_t *record_row_document(struct store_rows *rows)
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
    if (!rows_null(rows, 12))
        (void)json_put(x, "receipt", rows_json(rows, 12));
    return x;
}

int record_load(struct deployments *d, const char *id, struct record *ret, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " RECORD_COLUMNS " FROM deployment_events WHERE id = $1", "t", id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no deployment %.100s.", id);
    if (r < 0)
        return r;
    *ret = (struct record){ .document = record_row_document(rows), .started_ms = rows_int(rows, 11) };
    str_copy(ret->service_name, sizeof ret->service_name, rows_text(rows, 2));
    str_copy(ret->release_id, sizeof ret->release_id, rows_text(rows, 10) ? rows_text(rows, 10) : "");
    return 0;
}
