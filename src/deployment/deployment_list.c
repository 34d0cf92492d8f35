#include "deployment/internal.h"

#include <stdio.h>

/* Reading deployments: one with its journal, a page of them with figures over all that match; and cancelling one. */

/* ---- one ---- */

static int read_journal(struct deployments *d, const char *id, json_t *ret, struct error *e)
{
    char at[TIME_TEXT_LEN + 1];
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT seq, step, mark, at FROM deployment_journal WHERE deployment_id = $1 ORDER BY seq LIMIT 4096", "t",
            id);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        r = json_array_append_new(ret, json_pack("{s:I, s:s, s:s, s:s}", "seq", (json_int_t)rows_int(rows, 0), "step",
                                                 rows_text(rows, 1), "mark", rows_text(rows, 2), "at",
                                                 time_format(rows_int(rows, 3), at)));
        if (r < 0)
            return error_set(e, ERR_INTERNAL, "No memory.");
    }
    return r;
}

/* The newest document: of memory while it is under way, else of its row. */
static int read_document(struct deployments *d, const char *id, json_t **ret, struct error *e)
{
    struct record record = { 0 };
    _cleanup_blob_ struct blob *live = record_live(d, id);
    if (live)
        return json_parse((const char *)live->data, live->len, ret, e);
    int r = record_load(d, id, &record, e);
    if (r == 0)
        *ret = json_incref(record.document);
    record_done(&record);
    return r;
}

static int answer_one(struct deployments *d, const char *id, struct reply *rp, int status, struct error *e)
{
    _cleanup_json_ json_t *document = NULL, *journal = json_array();
    int r = journal ? read_document(d, id, &document, e) : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        r = read_journal(d, id, journal, e);
    if (r < 0)
        return r;
    (void)json_object_set(document, "journal", journal);
    struct jw *w = reply_json(rp, status);
    jw_object(w);
    jw_key(w, "deployment"), jw_json(w, document);
    jw_end(w);
    return 0;
}

int get_deployment(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return answer_one(room, request_str(rq, "deploymentId"), rp, 200, e);
}

int cancel_deployment(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    const char *id = request_str(rq, "deploymentId");
    const struct actor *actor = request_actor(rq);
    int r = queue_cancel(d, id, actor->name[0] ? actor->name : "owner", e);
    if (r < 0)
        return r;
    request_audit(rq, "deployment", id, NULL, NULL);
    return answer_one(d, id, rp, 202, e);
}

/* ---- list ---- */

#define ANALYSED_MAX "20000" /* the newest that match; older ones say little of how it goes now */
#define DAY_MS ((int64_t)86400 * 1000)
#define FREQUENCY_DAYS 30

struct list_filter {
    const char *service, *trigger, *environment, *state;
    int64_t from_ms, to_ms;
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void number_or_null(struct jw *w, const char *key, bool known, double value)
{
    jw_key(w, key);
    if (known)
        jw_number(w, value);
    else
        jw_null(w);
}

/* Of all that match but for `state`, so that the share of those that completed means something. */
#define MATCHING(service, trigger, environment, from, to)                                          \
    "(SELECT state, created_at, updated_at FROM deployment_events WHERE (" service                 \
    " = '' OR service_instance_id = " service " OR service_name = " service ") AND (" trigger      \
    " = '' OR trigger_kind = " trigger ") AND (" environment " = '' OR environment = " environment \
    ") AND created_at >= " from " AND created_at < " to " ORDER BY id DESC LIMIT " ANALYSED_MAX ") m"

static void write_figures(struct jw *w, struct store_rows *rows)
{
    int64_t done = rows_int(rows, 0), ended = rows_int(rows, 1), recent = rows_int(rows, 3);
    number_or_null(w, "success_rate", ended > 0, ended ? (double)(done * 10000 / ended) / 100 : 0);
    number_or_null(w, "average_duration", !rows_null(rows, 2), (double)(int64_t)rows_double(rows, 2));
    number_or_null(w, "longest_duration", !rows_null(rows, 4), rows_double(rows, 4));
    jw_key(w, "per_day"), jw_number(w, (double)(recent * 100 / FREQUENCY_DAYS) / 100);
    jw_key(w, "last_at"), jw_time(w, rows_int(rows, 5));
}

static int write_states(struct store_conn *c, const struct list_filter *f, struct jw *w, struct error *e)
{
    int64_t total = 0;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(
        c, e, &rows,
        "SELECT state, COUNT(*) FROM " MATCHING("$1", "$2", "$3", "$4", "$5") " GROUP BY state ORDER BY state", "tttii",
        or_empty(f->service), or_empty(f->trigger), or_empty(f->environment), f->from_ms, f->to_ms);
    if (r < 0)
        return r;
    jw_key(w, "by_state"), jw_object(w);
    while ((r = rows_next(rows, e)) == 1) {
        jw_key(w, rows_text(rows, 0)), jw_int(w, rows_int(rows, 1));
        total += rows_int(rows, 1);
    }
    jw_end(w);
    jw_key(w, "total"), jw_int(w, total);
    return r;
}

static int write_analytics(struct store_conn *c, const struct list_filter *f, struct jw *w, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(
        c, e, &rows,
        "SELECT SUM(CASE WHEN state = 'completed' THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN state IN ('completed', 'failed', 'rolled_back') THEN 1 ELSE 0 END), "
        "AVG(CASE WHEN state = 'completed' THEN updated_at - created_at END), "
        "SUM(CASE WHEN created_at >= $1 THEN 1 ELSE 0 END), "
        "MAX(CASE WHEN state = 'completed' THEN updated_at - created_at END), MAX(created_at) FROM " MATCHING(
            "$2", "$3", "$4", "$5", "$6"),
        "itttii", clock_now_ms() - FREQUENCY_DAYS * DAY_MS, or_empty(f->service), or_empty(f->trigger),
        or_empty(f->environment), f->from_ms, f->to_ms);
    if (r == 0)
        r = rows_next(rows, e);
    if (r < 0)
        return r;
    jw_key(w, "analytics"), jw_object(w);
    write_figures(w, rows);
    r = write_states(c, f, w, e);
    jw_end(w);
    return r;
}

static void write_row(struct deployments *d, struct store_rows *rows, struct jw *w)
{
    _cleanup_blob_ struct blob *live = record_live(d, rows_text(rows, 0));
    _cleanup_json_ json_t *x = live ? NULL : record_row_document(rows);
    if (live)
        jw_raw(w, (const char *)live->data, live->len);
    else
        jw_json(w, x);
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
        "SELECT " RECORD_COLUMNS
        " FROM deployment_events WHERE ($1 = '' OR id < $1) AND ($2 = '' OR service_instance_id = $2 OR service_name = $2) "
        "AND ($3 = '' OR trigger_kind = $3) AND ($4 = '' OR environment = $4) AND ($5 = '' OR state = $5) "
        "AND created_at >= $6 AND created_at < $7 ORDER BY id DESC LIMIT $8",
        "tttttiii", or_empty(before), or_empty(f->service), or_empty(f->trigger), or_empty(f->environment),
        or_empty(f->state), f->from_ms, f->to_ms, limit + 1);
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
        write_row(d, rows, w);
    }
    jw_end(w);
    if (cursor[0])
        jw_key(w, "next"), jw_string(w, cursor);
    return r < 0 ? r : 0;
}

/* RFC 3339 or milliseconds; absent leaves it. */
static int read_instant(struct request *rq, const char *name, int64_t *ret_ms, struct error *e)
{
    char pointer[16];
    const char *text = request_str(rq, name);
    if (!text || str_to_int64(text, ret_ms) == 0 || time_parse(text, ret_ms) == 0)
        return 0;
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    (void)error_set(e, ERR_VALIDATION, "A time cannot be read.");
    error_detail(e, pointer, "is no time");
    return -ERR_VALIDATION;
}

static int read_filter(struct request *rq, struct list_filter *f, struct error *e)
{
    *f = (struct list_filter){ request_str(rq, "service_id"),
                               request_str(rq, "trigger"),
                               request_str(rq, "environment"),
                               request_str(rq, "state"),
                               0,
                               INT64_MAX };
    int r = read_instant(rq, "from", &f->from_ms, e);
    return r == 0 ? read_instant(rq, "to", &f->to_ms, e) : r;
}

int list_deployments(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct deployments *d = room;
    char storage[128];
    const char *before[1] = { NULL };
    struct list_filter f;
    int r = read_filter(rq, &f, e);
    if (r == 0 && request_str(rq, "cursor"))
        r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, before, 1, e);
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
