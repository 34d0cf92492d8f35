#define LOG_ROOM "ci"
#include "deployment/ci_internal.h"

#include "base/log.h"

#include <stdio.h>

/* Each ten minutes, and at the start: runs that no delivery told of are asked for, what
 * waited or was kept too long goes. What comes by the API takes the very path of deliveries, so nothing counts twice. */

#define JOB "ci-keeper"
#define EACH_MS ((int64_t)600 * 1000)
#define OVERLAP_MS ((int64_t)3600 * 1000)      /* runs that had begun before the last look may have ended since */
#define LOOK_BACK_MS ((int64_t)7 * 86400 * 1000) /* at most */
#define KEPT_MS ((int64_t)30 * 86400 * 1000)
#define DELIVERIES_MAX 20000
#define RUNS_KEPT_MS ((int64_t)365 * 86400 * 1000)

/* ---- back-filling ---- */

struct filling {
    struct ci *ci;
    const struct ci_source *source;
    unsigned n;
};

static int on_missed(void *ctx, const struct ci_fact *f, struct error *e)
{
    struct filling *w = ctx;
    struct ci_batch b = { .conn = NULL };
    _cleanup_conn_ struct store_conn *conn = NULL;
    if (f->kind == CI_IGNORED)
        return 0;
    int r = store_acquire(w->ci->store, STORE_WRITE, &conn, e);
    if (r < 0)
        return r;
    b.conn = conn;
    r = ci_track(w->ci, &b, w->source, f, e);
    if (r == 0)
        r = store_commit(conn, e);
    store_release(TAKE(conn));
    if (r == 0)
        ci_batch_committed(w->ci, &b);
    if (r == 0 && *b.run)
        r = ci_show(w->ci, w->source->ops->name, b.run, e);
    w->n++;
    return r;
}

/* Up to when the runs are known; before that where one is still under way. */
static int known_until(struct ci *c, const char *source, const char *repository, int64_t *ret, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(
            conn, e, &rows,
            "SELECT known_until, (SELECT MIN(began_at) FROM ci_runs WHERE source = $1 AND "
            "LOWER(repository) = LOWER($2) AND state < 3) FROM ci_looks WHERE source = $1 AND repository = $2",
            "tt", source, repository);
    if (r < 0 || (r = rows_next(rows, e)) < 0)
        return r;
    int64_t until = r == 1 ? rows_int(rows, 0) : 0;
    *ret = until && !rows_null(rows, 1) && rows_int(rows, 1) < until ? rows_int(rows, 1) : until;
    return 0;
}

static int set_known(struct ci *c, const char *source, const char *repository, int64_t until, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_exec(
            conn, e,
            "INSERT INTO ci_looks (source, repository, known_until) VALUES ($1, $2, $3) ON CONFLICT (source, "
            "repository) DO UPDATE SET known_until = excluded.known_until",
            "tti", source, repository, until);
    return r == 0 ? store_commit(conn, e) : r;
}

/* Runs from before the rule was made are none of its business. */
static int fill(struct ci *c, struct ci_source *s, const char *repository, int64_t rule_ms, struct error *e)
{
    int64_t until = 0, now = clock_now_ms(), since = now - LOOK_BACK_MS;
    struct filling w = { .ci = c, .source = s };
    int r = known_until(c, s->ops->name, repository, &until, e);
    if (r < 0)
        return r;
    since = since < rule_ms ? rule_ms : since;
    since = until && since < until - OVERLAP_MS ? until - OVERLAP_MS : since;
    since = since < rule_ms ? rule_ms : since;
    r = s->ops->missed(s, repository, since, on_missed, &w, e);
    if (r < 0)
        return r;
    if (r == 1)
        r = set_known(c, s->ops->name, repository, now, e);
    log_debug("%u runs of %s looked at.", w.n, repository);
    return r;
}

static int64_t first_rule_ms(const struct ci_rules *rules, const char *repository, size_t *ret_first)
{
    int64_t ms = INT64_MAX;
    *ret_first = rules->n;
    for (size_t i = 0; i < rules->n; i++)
        if (str_ieq(json_str(rules->list[i].document, "match.repository"), repository)) {
            *ret_first = *ret_first == rules->n ? i : *ret_first;
            ms = rules->list[i].created_ms < ms ? rules->list[i].created_ms : ms;
        }
    return ms;
}

static void fill_repository(struct ci *c, const char *repository, int64_t rule_ms)
{
    for (size_t i = 0; i < CI_SOURCES_MAX && c->sources[i]; i++) {
        struct error e = ERROR_INIT;
        if (c->sources[i]->connected && c->sources[i]->ops->missed &&
            fill(c, c->sources[i], repository, rule_ms, &e) < 0)
            log_warn("Runs of %s that may have been missed are not known: %s", repository, e.message);
        error_done(&e);
    }
}

static int fill_all(struct ci *c, struct job *job, struct error *e)
{
    _cleanup_rules_ struct ci_rules *rules = NULL;
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = ci_rules_load(conn, &rules, e);
    store_release(TAKE(conn));
    for (size_t i = 0; r == 0 && i < rules->n && !*job->stopping; i++) {
        size_t first;
        const char *repository = json_str(rules->list[i].document, "match.repository");
        if (!repository)
            continue;
        int64_t ms = first_rule_ms(rules, repository, &first);
        if (first == i)
            fill_repository(c, repository, ms);
    }
    return r;
}

/* ---- tidying ---- */

static int forget(struct ci *c, struct error *e)
{
    static const struct {
        const char *sql;
        int64_t kept_ms;
    } old[] = {
        { "DELETE FROM webhook_deliveries WHERE received_at < $1 AND verdict <> 'waiting'", KEPT_MS },
        { "DELETE FROM ci_jobs WHERE (source, run_id) IN (SELECT source, id FROM ci_runs WHERE began_at < $1)",
          RUNS_KEPT_MS },
        { "DELETE FROM ci_runs WHERE began_at < $1 AND state = 3", RUNS_KEPT_MS },
        { "DELETE FROM ci_checks WHERE updated_at < $1", RUNS_KEPT_MS },
        { "DELETE FROM ci_figures WHERE updated_at < $1", RUNS_KEPT_MS },
        { "DELETE FROM ci_pushes WHERE pushed_at < $1", RUNS_KEPT_MS },
        { "DELETE FROM ci_told WHERE at < $1", KEPT_MS },
        { "DELETE FROM ci_wanted WHERE updated_at < $1 AND state NOT IN ('approval', 'gates', 'deploying')",
          RUNS_KEPT_MS },
    };
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(old); i++)
        r = store_exec(conn, e, old[i].sql, "i", now - old[i].kept_ms);
    if (r == 0)
        r = store_exec(
            conn, e,
            "DELETE FROM webhook_deliveries WHERE verdict <> 'waiting' AND received_at < (SELECT MIN(received_at) "
            "FROM (SELECT received_at FROM webhook_deliveries ORDER BY received_at DESC LIMIT $1) AS newest)",
            "i", (int64_t)DELIVERIES_MAX);
    return r == 0 ? store_commit(conn, e) : r;
}

static int run(void *ctx, struct job *job, struct error *e)
{
    struct ci *c = ctx;
    MAGIC_CHECK(c, CI_MAGIC);
    int r = ci_wanted_tidy(c, e);
    if (r == 0)
        r = forget(c, e);
    if (r == 0)
        r = fill_all(c, job, e);
    return r < 0 ? r : JOB_DONE;
}

int ci_keeper_open(struct ci *c, struct error *e)
{
    int r = jobs_register(
        c->jobs, &(struct job_kind){ .name = JOB, .run = run, .ctx = c, .title = "Look for missed runs of CI" }, e);
    return r == 0 ? jobs_schedule(c->jobs, &(struct job_schedule){ .name = JOB, .kind = JOB, .every_ms = EACH_MS }, e)
                  : r;
}

int ci_keeper_start(struct ci *c, struct error *e)
{
    char job[ID_LEN + 1];
    _cleanup_json_ json_t *none = json_object();
    return jobs_add(c->jobs, JOB, none, 0, job, e);
}
