#include "deployment/internal.h"

#include "base/failpoint.h"

int journal_write(struct deployments *d, const struct job *job, const char *id, const char *step, const char *mark,
                  const json_t *facts, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    failpoint(step, mark, "before");
    int r = store_acquire(d->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = jobs_fence_check(c, job, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO deployment_journal (deployment_id, seq, step, mark, facts, at) "
            "SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5 FROM deployment_journal WHERE deployment_id = $6",
            "tttjit", id, step, mark, facts, clock_now_ms(), id);
    if (r == 0)
        r = store_commit(c, e);
    failpoint(step, mark, "after");
    return r;
}

/* Rolling has a batch an instance: the mark of the one that was retired holds the number of the next. */
static enum step after(enum step step, const json_t *facts)
{
    bool more = step == STEP_RETIRE && json_flag(facts, "nextBatch", false);
    return more ? STEP_CREATE : step + 1;
}

int journal_read(struct deployments *d, const char *id, struct journal_state *ret, struct error *e)
{
    struct journal_state s = { .next = STEP_VALIDATE, .facts = json_object() };
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(d->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT step, mark, facts FROM deployment_journal WHERE deployment_id = $1 ORDER BY seq", "t",
                        id);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        enum step step;
        const char *mark = rows_text(rows, 1);
        json_t *facts = rows_json(rows, 2);
        if (facts) {
            json_decref(s.facts);
            s.facts = facts;
        }
        s.begun = str_eq(mark, "begin");
        if (step_parse(rows_text(rows, 0), &step) == 0)
            s.next = str_eq(mark, "done") ? after(step, s.facts) : step;
        s.undoing = s.undoing || str_eq(mark, "failed");
        r = 0;
    }
    if (r < 0 || !s.facts) {
        json_decref(s.facts);
        return r < 0 ? r : error_set(e, ERR_INTERNAL, "No memory.");
    }
    *ret = s;
    return 0;
}
