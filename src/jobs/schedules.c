#define LOG_ROOM "jobs"
#include "jobs/internal.h"

#include "base/log.h"
#include "jobs/cron.h"

/* ---- when ---- */

/* The first time after `after`; the schedule's own definition was checked when it was registered. */
static int next_time(const char *cron, int64_t every_ms, const char *zone, int64_t last, int64_t after, int64_t *ret,
                     struct error *e)
{
    struct cron c;
    _cleanup_zone_ struct zone *z = NULL;
    if (!cron) {
        *ret = last + ((after - last) / every_ms + 1) * every_ms;
        return 0;
    }
    int r = cron_parse(cron, &c, e);
    if (r == 0)
        r = zone_load(zone, NULL, &z, e);
    if (r < 0)
        return r;
    int64_t next = cron_next(&c, z, after);
    if (next < 0)
        return error_set(e, ERR_VALIDATION, "The schedule \"%.100s\" never comes in %.64s.", cron, zone);
    *ret = next;
    return 0;
}

/* ---- definitions ---- */

static int check(const struct job_schedule *s, struct error *e)
{
    if (!s->cron == !s->every_ms || (!s->cron && s->every_ms < 1000))
        return error_set(e, ERR_VALIDATION, "The schedule %s needs either five fields or an interval of at least 1 s.",
                         s->name);
    return 0;
}

/* A definition that is as it was keeps its next time: what was missed is caught up. */
static int upsert(struct store_conn *c, const struct job_schedule *s, const json_t *arguments, int64_t now,
                  int64_t next, struct error *e)
{
    const char *zone = s->time_zone ? s->time_zone : "UTC";
    int r = store_exec(c, e,
                       "DELETE FROM job_schedules WHERE name = $1 AND NOT (kind = $2 AND time_zone = $3 AND "
                       "COALESCE(cron, '') = $4 AND COALESCE(every_ms, 0) = $5)",
                       "ttt"
                       "ti",
                       s->name, s->kind, zone, s->cron ? s->cron : "", s->every_ms);
    if (r == 0 && s->cron)
        r = store_exec(
            c, e,
            "INSERT INTO job_schedules (name, kind, arguments, cron, time_zone, next_at, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET arguments = excluded.arguments",
            "ttjttiii", s->name, s->kind, arguments, s->cron, zone, next, now, now);
    else if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO job_schedules (name, kind, arguments, every_ms, time_zone, next_at, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET arguments = excluded.arguments",
            "ttjitiii", s->name, s->kind, arguments, s->every_ms, zone, next, now, now);
    return r;
}

int jobs_schedule(struct jobs *j, const struct job_schedule *s, struct error *e)
{
    int64_t now = clock_now_ms(), next = 0;
    _cleanup_json_ json_t *arguments = s->arguments ? json_deep_copy(s->arguments) : json_object();
    if (j->schedule_count == JOB_SCHEDULES_MAX || !arguments)
        return error_set(e, ERR_INTERNAL, "Too many schedules.");
    int r = check(s, e);
    if (r == 0)
        r = next_time(s->cron, s->every_ms, s->time_zone ? s->time_zone : "UTC", now, now, &next, e);
    if (r < 0)
        return r;
    _cleanup_conn_ struct store_conn *c = NULL;
    r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = upsert(c, s, arguments, now, next, e);
    if (r == 0)
        r = store_commit(c, e);
    if (r == 0)
        str_copy(j->schedules[j->schedule_count++], sizeof j->schedules[0], s->name);
    return r;
}

static bool registered(const struct jobs *j, const char *name)
{
    for (size_t i = 0; i < j->schedule_count; i++)
        if (str_eq(j->schedules[i], name))
            return true;
    return false;
}

typedef char schedule_name[101];

static int names_where(struct store_conn *c, int64_t due_at, schedule_name *ret, size_t *ret_n, struct error *e)
{
    size_t n = 0;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, "SELECT name FROM job_schedules WHERE next_at <= $1 ORDER BY next_at LIMIT $2",
                        "ii", due_at, (int64_t)JOB_SCHEDULES_MAX);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        str_copy(ret[n++], sizeof ret[0], rows_text(rows, 0));
        r = 0;
    }
    if (r == 0)
        *ret_n = n;
    return r;
}

/* With more than one hub, another version of it may still want a schedule that this one does not know. */
int schedules_start(struct jobs *j, struct error *e)
{
    schedule_name names[JOB_SCHEDULES_MAX];
    size_t n = 0;
    if (!j->sole_owner)
        return 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = names_where(c, INT64_MAX, names, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (!registered(j, names[i]))
            r = store_exec(c, e, "DELETE FROM job_schedules WHERE name = $1", "t", names[i]);
    return r == 0 ? store_commit(c, e) : r;
}

/* ---- due ---- */

struct slot {
    char kind[51], cron[201], zone[ZONE_NAME_MAX + 1], job_id[ID_LEN + 1];
    int64_t every_ms, at, next;
    json_t *arguments;
    bool busy;
};

/* 1 due, 0 not any more: another hub was quicker. */
static int read_slot(struct store_conn *c, const char *name, int64_t now, struct slot *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(
        c, e, &rows,
        "SELECT s.kind, s.arguments, s.cron, s.every_ms, s.time_zone, s.next_at, (SELECT COUNT(*) FROM jobs j "
        "WHERE j.id = s.last_job_id AND j.state IN ('waiting', 'running')) FROM job_schedules s WHERE "
        "s.name = $1 AND s.next_at <= $2",
        "ti", name, now);
    if (r == 0)
        r = rows_next(rows, e);
    if (r != 1)
        return r;
    str_copy(ret->kind, sizeof ret->kind, rows_text(rows, 0));
    ret->arguments = rows_json(rows, 1);
    str_copy(ret->cron, sizeof ret->cron, rows_null(rows, 2) ? "" : rows_text(rows, 2));
    ret->every_ms = rows_int(rows, 3);
    str_copy(ret->zone, sizeof ret->zone, rows_text(rows, 4));
    ret->at = rows_int(rows, 5);
    ret->busy = rows_int(rows, 6) > 0;
    return 1;
}

/* In the transaction that read the slot: one job, and the next time after now, however many were missed. */
static int make_job(struct jobs *j, struct store_conn *c, const char *name, struct slot *s, int64_t now,
                    struct error *e)
{
    const struct job_kind *k = job_kind_of(j, s->kind);
    int64_t deadline = now + (k && k->deadline_ms ? k->deadline_ms : DEADLINE_MS);
    int r = next_time(s->cron[0] ? s->cron : NULL, s->every_ms, s->zone, s->at, now, &s->next, e);
    if (r == 0 && s->busy)
        return store_exec(
            c, e, "UPDATE job_schedules SET next_at = $1, skipped = skipped + 1, updated_at = $2 WHERE name = $3",
            "iit", s->next, now, name);
    if (r == 0)
        r = row_insert(c, s->kind, s->arguments, now, deadline, name, s->job_id, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "UPDATE job_schedules SET next_at = $1, last_at = $2, last_job_id = $3, updated_at = $4 WHERE name = $5",
            "iitit", s->next, s->at, s->job_id, now, name);
    return r;
}

static int fire(struct jobs *j, const char *name, struct error *e)
{
    struct slot s = { .arguments = NULL };
    int64_t now = clock_now_ms();
    struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_WRITE, &c, e);
    bool due = r == 0 && (r = read_slot(c, name, now, &s, e)) == 1;
    if (due)
        r = make_job(j, c, name, &s, now, e);
    if (due && r == 0)
        r = store_commit(c, e);
    store_release(c);
    json_decref(s.arguments);
    if (due && r == 0 && s.busy)
        log_warn("The schedule %s was skipped: its last job is still under way.", name);
    else if (due && r == 0)
        jobs_added(j, s.job_id);
    return r < 0 ? r : 0;
}

int schedules_tick(struct jobs *j, struct error *e)
{
    schedule_name names[JOB_SCHEDULES_MAX];
    size_t n = 0;
    struct store_conn *c = NULL;
    int r = store_acquire(j->store, STORE_READ, &c, e);
    if (r == 0)
        r = names_where(c, clock_now_ms(), names, &n, e);
    store_release(c);
    for (size_t i = 0; i < n && !j->stop; i++) {
        _cleanup_error_ struct error failure = ERROR_INIT;
        if (registered(j, names[i]) && fire(j, names[i], &failure) < 0) /* the others' times come all the same */
            log_error("The schedule %s made no job: %s", names[i], failure.message);
    }
    return r;
}

/* ---- the API ---- */

static void write_schedule(struct jobs *j, struct jw *w, struct store_rows *rows)
{
    const struct job_kind *k = job_kind_of(j, rows_text(rows, 1));
    jw_object(w);
    jw_key(w, "name"), jw_string(w, rows_text(rows, 0));
    jw_key(w, "kind"), jw_string(w, rows_text(rows, 1));
    jw_key(w, "title"), jw_string(w, k && k->title ? k->title : rows_text(rows, 1));
    jw_key(w, "cron"), jw_string(w, rows_text(rows, 2));
    jw_key(w, "every");
    if (rows_null(rows, 3))
        jw_null(w);
    else
        jw_number(w, (double)rows_int(rows, 3) / 1000);
    jw_key(w, "timeZone"), jw_string(w, rows_text(rows, 4));
    jw_key(w, "nextAt"), jw_time(w, rows_int(rows, 5));
    jw_key(w, "lastAt"), jw_time(w, rows_int(rows, 6));
    jw_key(w, "lastJobId"), jw_string(w, rows_text(rows, 7));
    jw_key(w, "lastState"), jw_string(w, rows_text(rows, 8));
    jw_key(w, "skipped"), jw_int(w, rows_int(rows, 9));
    jw_end(w);
}

int list_schedules(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    struct jobs *j = room;
    struct jw w;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    jw_init(&w, &b);
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(j->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(
            c, e, &rows,
            "SELECT s.name, s.kind, s.cron, s.every_ms, s.time_zone, s.next_at, s.last_at, s.last_job_id, j.state, "
            "s.skipped FROM job_schedules s LEFT JOIN jobs j ON j.id = s.last_job_id ORDER BY s.name",
            "");
    if (r < 0)
        return r;
    jw_object(&w);
    jw_key(&w, "schedules"), jw_array(&w);
    while ((r = rows_next(rows, e)) == 1)
        write_schedule(j, &w, rows);
    jw_end(&w);
    jw_end(&w);
    if (r == 0 && !buf_ok(&b))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        jw_raw(reply_json(rp, 200), buf_str(&b), b.len);
    return r;
}
