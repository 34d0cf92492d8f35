#define LOG_ROOM "jobs"
#include "jobs/internal.h"

#include "base/log.h"

#include <strings.h>

#define DOCUMENT_MAX 65536
#define TEXT_SHOWN 1024
#define MASK "********"

/* ---- arguments, as they are shown ---- */

/* Kinds put no secret into arguments. Should one do, its name gives it away. */
static bool sounds_secret(const char *key)
{
    static const char *const words[] = { "password",   "passwd", "secret",  "token",
                                         "credential", "apikey", "api_key", "private" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasestr(key, words[i]))
            return true;
    return false;
}

static void write_value(struct jw *w, const char *key, const json_t *v)
{
    const char *text = json_string_value(v);
    if (sounds_secret(key) && !json_is_boolean(v) && !json_is_null(v))
        jw_string(w, MASK);
    else if (text)
        jw_string_n(w, text, strnlen(text, TEXT_SHOWN));
    else if (json_is_object(v) || json_is_array(v)) {
        size_t n = 0;
        _cleanup_free_ char *whole = json_text(v, &n);
        jw_string_n(w, whole ? whole : "", whole ? strnlen(whole, TEXT_SHOWN) : 0);
    } else
        jw_json(w, v);
}

static void write_arguments(struct jw *w, const json_t *arguments)
{
    const char *key;
    json_t *v;
    jw_object(w);
    json_object_foreach ((json_t *)arguments, key, v)
        jw_key(w, key), write_value(w, key, v);
    jw_end(w);
}

/* ---- a job ---- */

static void time_or_null(struct jw *w, const char *key, struct store_rows *rows, int column)
{
    jw_key(w, key);
    if (rows_null(rows, column))
        jw_null(w);
    else
        jw_time(w, rows_int(rows, column));
}

static void write_control(struct jobs *j, struct jw *w, struct store_rows *rows)
{
    const struct job_kind *k = job_kind_of(j, rows_text(rows, 1));
    const char *state = rows_text(rows, 3);
    bool ours = k && !k->instead, under_way = str_eq(state, "waiting") || str_eq(state, "running");
    jw_key(w, "maxAttempts");
    if (k && k->max_attempts)
        jw_int(w, k->max_attempts);
    else
        jw_null(w);
    jw_key(w, "cancellable"), jw_bool(w, ours && under_way && rows_null(rows, 8));
    jw_key(w, "retryable"), jw_bool(w, ours && (str_eq(state, "failed") || str_eq(state, "cancelled")));
}

void job_write(struct jobs *j, struct jw *w, struct store_rows *rows)
{
    const struct job_kind *k = job_kind_of(j, rows_text(rows, 1));
    _cleanup_json_ json_t *arguments = rows_json(rows, 2);
    jw_object(w);
    jw_key(w, "id"), jw_string(w, rows_text(rows, 0));
    jw_key(w, "kind"), jw_string(w, rows_text(rows, 1));
    jw_key(w, "title"), jw_string(w, k && k->title ? k->title : rows_text(rows, 1));
    jw_key(w, "state"), jw_string(w, rows_text(rows, 3));
    jw_key(w, "arguments"), write_arguments(w, arguments);
    jw_key(w, "attempt"), jw_int(w, rows_int(rows, 4));
    write_control(j, w, rows);
    jw_key(w, "schedule"), jw_string(w, rows_text(rows, 9));
    jw_key(w, "reason"), jw_string(w, rows_text(rows, 10));
    jw_key(w, "createdAt"), jw_time(w, rows_int(rows, 11));
    time_or_null(w, "startedAt", rows, 12);
    time_or_null(w, "endedAt", rows, 13);
    jw_key(w, "nextRunAt");
    if (str_eq(rows_text(rows, 3), "waiting"))
        jw_time(w, rows_int(rows, 6));
    else
        jw_null(w);
    jw_key(w, "deadlineAt"), jw_time(w, rows_int(rows, 7));
    time_or_null(w, "cancelRequestedAt", rows, 8);
    jw_key(w, "leaseOwner"), jw_string(w, rows_text(rows, 14));
    time_or_null(w, "leaseExpiresAt", rows, 15);
    jw_end(w);
}

int jobs_document(struct jobs *j, const char *id, struct jw *w, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(j->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = $1", "t", id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no job %.64s (any more).", id);
    if (r < 0)
        return r;
    job_write(j, w, rows);
    return 0;
}

void job_tell(struct jobs *j, const char *type, const char *id)
{
    struct jw w;
    _cleanup_error_ struct error e = ERROR_INIT;
    if (!j->events)
        return;
    _cleanup_buf_ struct buf b;
    buf_init(&b, DOCUMENT_MAX);
    jw_init(&w, &b);
    int r = jobs_document(j, id, &w, &e);
    if (r == 0 && buf_ok(&b))
        events_publish(j->events, type, "job", id, buf_str(&b), b.len);
    else if (r != -ERR_NOT_FOUND) /* forgotten meanwhile: nobody needs to know */
        log_warn("Nobody was told of job %s: %s", id, e.message);
}

/* ---- the API ---- */

static int answer(struct jobs *j, struct reply *rp, const char *id, struct error *e)
{
    struct jw w;
    _cleanup_buf_ struct buf b;
    buf_init(&b, DOCUMENT_MAX);
    jw_init(&w, &b);
    int r = jobs_document(j, id, &w, e);
    if (r == 0 && !buf_ok(&b))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0)
        return r;
    struct jw *out = reply_json(rp, 200);
    jw_object(out);
    jw_key(out, "job"), jw_raw(out, buf_str(&b), b.len);
    jw_end(out);
    return 0;
}

static int get_job(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    return answer(room, rp, request_str(rq, "jobId"), e);
}

/* Newest first; ids rise with time. An empty filter takes all. */
static int write_page(struct jobs *j, struct request *rq, const char *before, struct jw *w, char *next, size_t size,
                      struct error *e)
{
    const char *state = request_str(rq, "state"), *kind = request_str(rq, "kind");
    int64_t limit = request_int(rq, "limit", 100), n = 0;
    char last[ID_LEN + 1] = "";
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(j->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT " JOB_COLUMNS " FROM jobs WHERE ($1 = '' OR state = $1) AND ($2 = '' OR kind = $2) AND "
                        "($3 = '' OR id < $3) ORDER BY id DESC LIMIT $4",
                        "ttti", state ? state : "", kind ? kind : "", before ? before : "", limit + 1);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        r = 0;
        if (n++ == limit) {
            (void)cursor_encode((const char *[]){ last }, 1, next, size);
            break;
        }
        str_copy(last, sizeof last, rows_text(rows, 0));
        job_write(j, w, rows);
    }
    return r;
}

/* How many there are in each state, of the kind that is asked for. */
static int write_counts(struct jobs *j, const char *kind, struct jw *w, struct error *e)
{
    static const char *const states[] = { "waiting", "running", "done", "failed", "cancelled" };
    int64_t counts[ARRAY_LEN(states)] = { 0 };
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(j->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT state, COUNT(*) FROM jobs WHERE $1 = '' OR kind = $1 GROUP BY state", "t",
                        kind ? kind : "");
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        for (size_t i = 0; i < ARRAY_LEN(states); i++)
            if (str_eq(states[i], rows_text(rows, 0)))
                counts[i] = rows_int(rows, 1);
        r = 0;
    }
    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        jw_key(w, states[i]), jw_int(w, counts[i]);
    jw_end(w);
    return r;
}

static int list_jobs(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    char storage[256], next[512] = "";
    const char *before[1] = { NULL };
    struct jw w;
    _cleanup_buf_ struct buf b;
    int r =
        request_str(rq, "cursor") ? cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, before, 1, e) : 0;
    buf_init(&b, 0);
    jw_init(&w, &b);
    jw_object(&w);
    if (r == 0) {
        jw_key(&w, "jobs"), jw_array(&w);
        r = write_page(room, rq, before[0], &w, next, sizeof next, e);
        jw_end(&w);
    }
    if (r == 0) {
        jw_key(&w, "counts");
        r = write_counts(room, request_str(rq, "kind"), &w, e);
    }
    if (next[0])
        jw_key(&w, "next"), jw_string(&w, next);
    jw_end(&w);
    if (r == 0 && !buf_ok(&b))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        jw_raw(reply_json(rp, 200), buf_str(&b), b.len);
    return r;
}

static int cancel_job(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    const char *id = request_str(rq, "jobId");
    int r = jobs_cancel(room, id, e);
    if (r < 0)
        return r;
    request_audit(rq, "job", id, NULL, NULL);
    return answer(room, rp, id, e);
}

static int retry_job(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    const char *id = request_str(rq, "jobId");
    int r = jobs_retry(room, id, e);
    if (r < 0)
        return r;
    request_audit(rq, "job", id, NULL, NULL);
    return answer(room, rp, id, e);
}

const struct api_operation job_operations[] = {
    { "listJobs", list_jobs },           { "getJob", get_job }, { "cancelJob", cancel_job }, { "retryJob", retry_job },
    { "listSchedules", list_schedules },
};
const size_t job_operation_count = ARRAY_LEN(job_operations);
