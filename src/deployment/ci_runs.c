#include "deployment/ci_internal.h"

/* The list of runs, newest first, each with its jobs. */

#define COLUMNS                                                                                                          \
    "source, id, attempt, state, conclusion, is_foreign, repository, branch, commit_sha, name, event, number, message, " \
    "author, url, service, deployment_id, began_at, started_at, ended_at"

static void key_time(struct jw *w, const char *key, struct store_rows *rows, int column)
{
    jw_key(w, key), jw_time(w, rows_int(rows, column)); /* NULL is 0 is null */
}

static void key_text(struct jw *w, const char *key, struct store_rows *rows, int column)
{
    jw_key(w, key), jw_string(w, rows_text(rows, column));
}

static void write_state(struct jw *w, struct store_rows *rows, int column)
{
    jw_key(w, "status"), jw_string(w, ci_state_name((enum ci_state)rows_int(rows, column)));
    key_text(w, "conclusion", rows, column + 1);
}

static int write_jobs(struct store_conn *conn, struct store_rows *run, struct jw *w, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(conn, e, &rows,
                    "SELECT name, state, conclusion, started_at, ended_at FROM ci_jobs WHERE source = $1 AND run_id = "
                    "$2 AND attempt = $3 ORDER BY started_at, id LIMIT 256",
                    "tti", rows_text(run, 0), rows_text(run, 1), rows_int(run, 2));
    if (r < 0)
        return r;
    jw_key(w, "jobs"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1) {
        jw_object(w);
        key_text(w, "name", rows, 0);
        write_state(w, rows, 1);
        key_time(w, "startedAt", rows, 3);
        key_time(w, "completedAt", rows, 4);
        jw_end(w);
    }
    jw_end(w);
    return r;
}

static int write_run(struct store_conn *conn, struct store_rows *rows, struct jw *w, struct error *e)
{
    jw_object(w);
    key_text(w, "source", rows, 0);
    key_text(w, "id", rows, 1);
    write_state(w, rows, 3);
    jw_key(w, "foreign"), jw_bool(w, rows_int(rows, 5) != 0);
    key_text(w, "repository", rows, 6);
    key_text(w, "branch", rows, 7);
    key_text(w, "commit", rows, 8);
    key_text(w, "name", rows, 9);
    key_text(w, "event", rows, 10);
    jw_key(w, "number"), jw_int(w, rows_int(rows, 11));
    key_text(w, "commitMessage", rows, 12);
    key_text(w, "author", rows, 13);
    key_text(w, "url", rows, 14);
    key_text(w, "serviceName", rows, 15);
    key_text(w, "deploymentId", rows, 16);
    key_time(w, "createdAt", rows, 17);
    key_time(w, "startedAt", rows, 18);
    key_time(w, "completedAt", rows, 19);
    int r = write_jobs(conn, rows, w, e);
    jw_end(w);
    return r;
}

int ci_list_runs(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    const char *repository = request_str(rq, "repository"), *branch = request_str(rq, "branch");
    struct ci_page page;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = ci_page_begin(rq, &page, e);
    if (r == 0)
        r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(conn, e, &rows,
                        "SELECT " COLUMNS
                        " FROM ci_runs WHERE ($1 = '' OR repository = $1) AND ($2 = '' OR branch = $2) AND "
                        "(began_at, source, id) < ($3, $4, $5) ORDER BY began_at DESC, source DESC, id DESC LIMIT $6",
                        "ttitti", repository ? repository : "", branch ? branch : "", page.before_ms,
                        page.before_source, page.before_id, page.limit + 1);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "runs"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1 &&
           ci_page_take(&page, rows_int(rows, 17), rows_text(rows, 0), rows_text(rows, 1)) &&
           (r = write_run(conn, rows, w, e)) == 0)
        ;
    jw_end(w);
    ci_page_end(&page, w);
    jw_end(w);
    return r < 0 ? r : 0;
}
