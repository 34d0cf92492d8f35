#include "deployment/ci_internal.h"

#include <stdio.h>

/* Runs, jobs, checks and pushes as they are told, in whatever order. A row never moves back: what counts is the attempt,
 * then the state, then the time; what an older delivery knows is only taken where nothing was known. */

const char *ci_cut(const char *text, char *ret, size_t size)
{
    if (!text)
        return NULL;
    str_copy(ret, size, text);
    for (size_t n = strlen(ret); n && !str_is_utf8(ret, n);)
        ret[--n] = '\0';
    return ret;
}

void ci_pipeline(const char *name, int64_t number, char ret[CI_PIPELINE_SIZE])
{
    char cut[201];
    (void)snprintf(ret, CI_PIPELINE_SIZE, "%s #%lld", ci_cut(name ? name : "run", cut, sizeof cut), (long long)number);
}

/* A fact's texts, none longer than its column. */
struct cuts {
    char repository[256], branch[256], commit[65], name[256], event[65], message[4097], author[256], url[2049];
};

static void cut_fact(const struct ci_fact *f, struct cuts *b, struct ci_fact *ret)
{
    *ret = *f;
    ret->repository = ci_cut(f->repository, b->repository, sizeof b->repository);
    ret->branch = ci_cut(f->branch, b->branch, sizeof b->branch);
    ret->commit = ci_cut(f->commit, b->commit, sizeof b->commit);
    ret->name = ci_cut(f->name, b->name, sizeof b->name);
    ret->event = ci_cut(f->event, b->event, sizeof b->event);
    ret->message = ci_cut(f->message, b->message, sizeof b->message);
    ret->author = ci_cut(f->author, b->author, sizeof b->author);
    ret->url = ci_cut(f->url, b->url, sizeof b->url);
    if (!ret->repository)
        ret->repository = "";
    if (!ret->updated_ms)
        ret->updated_ms = f->ended_ms ? f->ended_ms : f->started_ms ? f->started_ms : f->created_ms ? f->created_ms : 1;
}

static int fill_run(struct store_conn *conn, const char *source, const char *id, const struct ci_fact *f,
                    struct error *e)
{
    int64_t began = f->created_ms ? f->created_ms : f->started_ms ? f->started_ms : clock_now_ms();
    return store_exec(
        conn, e,
        "INSERT INTO ci_runs (source, id, attempt, state, conclusion, is_foreign, repository, branch, commit_sha, name, "
        "event, number, message, author, url, began_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
        "$12, $13, $14, $15, $16, $17) ON CONFLICT (source, id) DO UPDATE SET branch = COALESCE(ci_runs.branch, "
        "excluded.branch), commit_sha = COALESCE(ci_runs.commit_sha, excluded.commit_sha), name = COALESCE(ci_runs.name, "
        "excluded.name), event = COALESCE(ci_runs.event, excluded.event), message = COALESCE(ci_runs.message, "
        "excluded.message), author = COALESCE(ci_runs.author, excluded.author), url = COALESCE(ci_runs.url, "
        "excluded.url), number = CASE WHEN ci_runs.number = 0 THEN excluded.number ELSE ci_runs.number END",
        "ttiitittttt"
        "i"
        "ttt"
        "ii",
        source, id, f->attempt, (int64_t)f->state, f->conclusion, (int64_t)f->foreign, f->repository, f->branch,
        f->commit, f->name, f->event, f->number, f->message, f->author, f->url, began, (int64_t)0);
}

/* 1: it moved. */
static int move_run(struct store_conn *conn, const char *source, const struct ci_fact *f, struct error *e)
{
    int r = store_exec(
        conn, e,
        "UPDATE ci_runs SET attempt = $1, state = $2, conclusion = $3, is_foreign = $4, started_at = $5, ended_at = $6, "
        "updated_at = $7 WHERE source = $8 AND id = $9 AND ($10 > attempt OR (attempt = $11 AND (state < $12 OR (state = "
        "$13 AND updated_at < $14))))",
        "iitiiiittiiiii", f->attempt, (int64_t)f->state, f->conclusion, (int64_t)f->foreign, f->started_ms, f->ended_ms,
        f->updated_ms, source, f->id, f->attempt, f->attempt, (int64_t)f->state, (int64_t)f->state, f->updated_ms);
    return r < 0 ? r : store_changed(conn) > 0;
}

static int track_run(struct store_conn *conn, const char *source, const struct ci_fact *f, struct error *e)
{
    int r = fill_run(conn, source, f->id, f, e);
    return r == 0 ? move_run(conn, source, f, e) : r;
}

/* A job may be told of before its run is: the run is then known to be on its way, and no more. */
static int track_job(struct store_conn *conn, const char *source, const struct ci_fact *f, struct error *e)
{
    struct ci_fact run = *f;
    run.state = f->state == CI_QUEUED ? CI_QUEUED : CI_RUNNING;
    run.conclusion = NULL;
    run.name = f->event;
    run.event = run.url = NULL;
    run.foreign = true; /* till the run itself says more */
    int r = fill_run(conn, source, f->run_id, &run, e);
    if (r == 0)
        r = store_exec(
            conn, e,
            "INSERT INTO ci_jobs (source, run_id, id, attempt, state, conclusion, name, started_at, ended_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (source, run_id, id) DO UPDATE SET attempt "
            "= excluded.attempt, state = excluded.state, conclusion = excluded.conclusion, name = "
            "COALESCE(excluded.name, ci_jobs.name), started_at = excluded.started_at, ended_at = "
            "excluded.ended_at WHERE excluded.attempt > ci_jobs.attempt OR (excluded.attempt = ci_jobs.attempt "
            "AND excluded.state > ci_jobs.state)",
            "tttiittii", source, f->run_id, f->id, f->attempt, (int64_t)f->state, f->conclusion, f->name, f->started_ms,
            f->ended_ms);
    return r < 0 ? r : store_changed(conn) > 0;
}

static int track_check(struct store_conn *conn, const struct ci_fact *f, struct error *e)
{
    int r =
        store_exec(conn, e,
                   "INSERT INTO ci_checks (repository, commit_sha, name, attempt, state, conclusion, url, updated_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (repository, commit_sha, name) DO UPDATE SET "
                   "attempt = excluded.attempt, state = excluded.state, conclusion = excluded.conclusion, url = "
                   "excluded.url, updated_at = excluded.updated_at WHERE excluded.attempt > ci_checks.attempt OR "
                   "(excluded.attempt = ci_checks.attempt AND excluded.state > ci_checks.state)",
                   "tttiitti", f->repository, f->commit, f->name, f->attempt, (int64_t)f->state, f->conclusion, f->url,
                   f->updated_ms ? f->updated_ms : clock_now_ms());
    return r < 0 ? r : store_changed(conn) > 0;
}

static int track_push(struct store_conn *conn, const struct ci_fact *f, struct error *e)
{
    char name[256];
    int r =
        store_exec(conn, e,
                   "INSERT INTO ci_pushes (repository, commit_sha, name, is_tag, message, author, pushed_at) VALUES "
                   "($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (repository, commit_sha, name, is_tag) DO NOTHING",
                   "tttitti", f->repository, f->commit, ci_cut(f->branch ? f->branch : f->tag, name, sizeof name),
                   (int64_t)(f->branch == NULL), f->message, f->author, clock_now_ms());
    return r < 0 ? r : 0;
}

static int track(struct ci_batch *b, const char *source, const struct ci_fact *f, struct error *e)
{
    switch (f->kind) {
    case CI_RUN: return track_run(b->conn, source, f, e);
    case CI_JOB: return track_job(b->conn, source, f, e);
    case CI_CHECK: return track_check(b->conn, f, e);
    case CI_PUSH: return track_push(b->conn, f, e);
    case CI_IMAGE:
    case CI_IGNORED: break;
    }
    return 0;
}

int ci_track(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_fact *fact, struct error *e)
{
    struct cuts cuts;
    struct ci_fact f;
    cut_fact(fact, &cuts, &f);
    int r = track(b, s->ops->name, &f, e);
    if (r >= 0)
        r = ci_rules_apply(c, b, s, &f, e);
    if (r == 0 && (f.kind == CI_RUN || f.kind == CI_JOB))
        str_copy(b->run, sizeof b->run, f.kind == CI_RUN ? f.id : f.run_id);
    return r;
}
