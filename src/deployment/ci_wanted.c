#define LOG_ROOM "ci"
#include "deployment/ci_internal.h"

#include "base/failpoint.h"
#include "base/log.h"

#include <stdio.h>

/* What rules want deployed, and how far it is:
 *
 *   approval -> gates -> deploying -> requested
 *       |         |          |
 *       v         v          v
 *   rejected    expired    refused          approval, gates -> superseded (by newer news of the same rule)
 *   expired
 *
 * Each move is an UPDATE that names the state it comes from, so that two that want to move at once move once. Between
 * `deploying` and `requested` the hub may die: the deployment is then looked for before it is asked for again. */

#define JOB "ci-deploy"
#define LOOK_EACH_MS 2000                             /* at gates */
#define APPROVAL_MS ((int64_t)7 * 86400 * 1000)
#define UNAVAILABLE_MS ((int64_t)600 * 1000)          /* an engine that does not answer is waited for */
#define JOB_TIME_MS ((int64_t)9 * 86400 * 1000)

struct wanted {
    char id[ID_LEN + 1], rule_id[ID_LEN + 1], state[21], service[256], environment[21], image[521], source[21],
        pipeline[256];
    json_t *git, *gates; /* git may be NULL */
    int64_t gate_ms, deadline_ms, updated_ms;
};

static void wanted_done(struct wanted *w)
{
    json_decref(w->git);
    json_decref(w->gates);
}

/* ---- rows ---- */

#define COLUMNS                                                                                                         \
    "id, rule_id, state, service, environment, image, source, pipeline, git, gates, gate_ms, deadline_at, updated_at, " \
    "reason, decided_by, decided_at, deployment_id, created_at"

static void read_row(struct store_rows *rows, struct wanted *ret)
{
    *ret = (struct wanted){ .git = rows_json(rows, 8),
                            .gates = rows_json(rows, 9),
                            .gate_ms = rows_int(rows, 10),
                            .deadline_ms = rows_int(rows, 11),
                            .updated_ms = rows_int(rows, 12) };
    const struct {
        char *to;
        size_t size;
    } texts[] = { { ret->id, sizeof ret->id },
                  { ret->rule_id, sizeof ret->rule_id },
                  { ret->state, sizeof ret->state },
                  { ret->service, sizeof ret->service },
                  { ret->environment, sizeof ret->environment },
                  { ret->image, sizeof ret->image },
                  { ret->source, sizeof ret->source },
                  { ret->pipeline, sizeof ret->pipeline } };
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        str_copy(texts[i].to, texts[i].size, rows_text(rows, i) ? rows_text(rows, i) : "");
}

static int load(struct store_conn *conn, const char *id, struct wanted *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(conn, e, &rows, "SELECT " COLUMNS " FROM ci_wanted WHERE id = $1", "t", id);
    if (r == 0)
        r = rows_next(rows, e);
    if (r == 0)
        return error_set(e, ERR_NOT_FOUND, "There is no approval %.100s.", id);
    if (r == 1)
        read_row(rows, ret);
    return r < 0 ? r : 0;
}

/* 1: moved, 0: it was not in that state. */
static int move(struct ci *c, const char *id, const char *from, const char *to, const char *reason,
                const char *deployment_id, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_exec(conn, e,
                       "UPDATE ci_wanted SET state = $1, reason = $2, deployment_id = COALESCE($3, deployment_id), "
                       "updated_at = $4 WHERE id = $5 AND state = $6",
                       "tttitt", to, reason, deployment_id, clock_now_ms(), id, from);
    if (r < 0)
        return r;
    bool moved = store_changed(conn) > 0;
    r = store_commit(conn, e);
    store_release(TAKE(conn));
    if (r == 0 && moved)
        ci_wanted_tell(c, id, "approval.updated");
    return r < 0 ? r : moved;
}

/* ---- wanting ---- */

/* News that are older than what the rule has seen already (a delivery that came late) deploy nothing. */
static int is_old(struct store_conn *conn, const struct ci_want *w, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(conn, e, &rows,
                        "SELECT 1 FROM ci_wanted WHERE rule_id = $1 AND (cause = $2 OR order_key > $3) LIMIT 1", "tti",
                        w->rule_id, w->cause, w->order_key);
    return r < 0 ? r : rows_next(rows, e);
}

static int add_job(struct ci *c, struct store_conn *conn, const char *id, char ret_job[ID_LEN + 1], struct error *e)
{
    _cleanup_json_ json_t *arguments = json_pack("{s:s}", "approvalId", id);
    return arguments ? jobs_add_in(c->jobs, conn, JOB, arguments, clock_now_ms() + JOB_TIME_MS, 0, ret_job, e)
                     : error_set(e, ERR_INTERNAL, "No memory.");
}

int ci_want(struct ci *c, struct ci_batch *b, const struct ci_want *w, struct error *e)
{
    char id[ID_LEN + 1], job[ID_LEN + 1] = "";
    int64_t now = clock_now_ms();
    int r = is_old(b->conn, w, e);
    if (r != 0)
        return r < 0 ? r : 0;
    r = store_exec(b->conn, e,
                   "UPDATE ci_wanted SET state = 'superseded', reason = 'Newer news of the same rule took its place.', "
                   "updated_at = $1 WHERE rule_id = $2 AND state IN ('approval', 'gates')",
                   "it", now, w->rule_id);
    if (r == 0)
        r = store_exec(
            b->conn, e,
            "INSERT INTO ci_wanted (id, rule_id, cause, state, service, environment, image, source, pipeline, "
            "git, gates, gate_ms, order_key, deadline_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, "
            "$6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            "tttttttttjjiiiii", id_new(id), w->rule_id, w->cause, w->approval ? "approval" : "gates", w->service,
            w->environment, w->image, w->source, w->pipeline, w->git, w->gates, w->gate_ms, w->order_key,
            now + (w->approval ? APPROVAL_MS : w->gate_ms), now, now);
    if (r == 0 && !w->approval)
        r = add_job(c, b->conn, id, job, e);
    if (r == 0 && b->n < ARRAY_LEN(b->wanted)) {
        str_copy(b->wanted[b->n].id, sizeof b->wanted[0].id, id);
        str_copy(b->wanted[b->n++].job, sizeof b->wanted[0].job, job);
    }
    if (r == 0)
        log_info("The image %s is wanted for %s by a rule.", w->image, w->service);
    return r;
}

/* ---- the job ---- */

/* A deployment that was asked for by an earlier try of this very approval. 1: found. */
static int find_asked(struct ci *c, const struct wanted *w, const char *by, char ret[ID_LEN + 1], struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(
            conn, e, &rows,
            "SELECT id FROM deployment_events WHERE created_at >= $1 AND deployment_config LIKE '%' || $2 || "
            "'%' ORDER BY id LIMIT 1",
            "it", w->updated_ms - 1000, by);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    str_copy(ret, ID_LEN + 1, rows_text(rows, 0));
    return 1;
}

static int check_environment(struct ci *c, const struct wanted *w, struct error *e)
{
    _cleanup_entity_ struct entity *service = NULL;
    int r = runtime_service(c->runtime, w->service, &service, e);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *document = entity_document(service);
    const char *environment = json_str(document, "environment");
    if (environment && !str_eq(environment, w->environment))
        return error_set(e, ERR_CONFLICT, "The service %s belongs to %s, and the rule is for %s.", w->service,
                         environment, w->environment);
    return 0;
}

static int ask(struct ci *c, const struct wanted *w, char ret_id[ID_LEN + 1], struct error *e)
{
    char by[80];
    const struct ci_source *s = ci_source_named(c, w->source);
    (void)snprintf(by, sizeof by, "rule %s, approval %s", w->rule_id + ID_LEN - 12, w->id + ID_LEN - 12);
    int r = find_asked(c, w, by, ret_id, e);
    if (r != 0)
        return r < 0 ? r : 0;
    _cleanup_json_ json_t *patch = json_pack("{s:{s:s}}", "container", "image", w->image);
    if (!patch)
        return error_set(e, ERR_INTERNAL, "No memory.");
    r = check_environment(c, w, e);
    return r < 0 ? r
                 : deployments_change(c->deployments, w->service, patch,
                                      &(struct deployment_origin){ .trigger = s ? s->ops->trigger : "manual",
                                                                   .initiated_by = by,
                                                                   .pipeline = *w->pipeline ? w->pipeline : NULL,
                                                                   .git = w->git },
                                      ret_id, e);
}

static int deploy(struct ci *c, struct job *job, const struct wanted *w, struct error *e)
{
    char id[ID_LEN + 1] = "";
    struct error why = ERROR_INIT;
    failpoint("ci", "ask", "before");
    int r = ask(c, w, id, &why);
    failpoint("ci", "ask", "after");
    bool away = r == -(int)ERR_UNAVAILABLE || r == -(int)ERR_UPSTREAM_TIMEOUT;
    if (r < 0 && away && clock_now_ms() < w->updated_ms + UNAVAILABLE_MS) {
        job->again_after_ms = LOOK_EACH_MS;
        r = JOB_AGAIN;
    } else if (r < 0) {
        log_warn("The image %s is not deployed to %s: %s", w->image, w->service, why.message);
        r = move(c, w->id, "deploying", "refused", why.message, NULL, e);
    } else {
        r = move(c, w->id, "deploying", "requested", NULL, id, e);
    }
    error_done(&why);
    return r < 0 || r == JOB_AGAIN ? r : JOB_DONE;
}

static int look_at_gates(struct ci *c, const struct wanted *w, bool *ret_held, char words[400], struct error *e)
{
    _cleanup_json_ json_t *looked = NULL;
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = ci_gates_look(conn, json_str(w->git, "repository"), json_str(w->git, "commit"), w->gates, &looked, ret_held,
                          e);
    if (r == 0)
        ci_gates_words(looked, words, 400);
    return r;
}

static int wait_for_gates(struct ci *c, struct job *job, struct wanted *w, struct error *e)
{
    char words[400] = "", reason[512];
    bool held = false;
    int r = look_at_gates(c, w, &held, words, e);
    if (r < 0)
        return r;
    if (held) {
        r = move(c, w->id, "gates", "deploying", NULL, NULL, e);
        w->updated_ms = clock_now_ms();
        return r == 1 ? deploy(c, job, w, e) : r < 0 ? r : JOB_DONE;
    }
    if (clock_now_ms() < w->deadline_ms) {
        job->again_after_ms = LOOK_EACH_MS;
        return JOB_AGAIN;
    }
    (void)snprintf(reason, sizeof reason, "Not all gates held in %lld s: %s.", (long long)(w->gate_ms / 1000), words);
    r = move(c, w->id, "gates", "expired", reason, NULL, e);
    if (r == 1)
        log_warn("The image %s is not deployed to %s. %s", w->image, w->service, reason);
    return r < 0 ? r : JOB_DONE;
}

static int run(void *ctx, struct job *job, struct error *e)
{
    struct ci *c = ctx;
    _cleanup_(wanted_done) struct wanted w = { .git = NULL };
    _cleanup_conn_ struct store_conn *conn = NULL;
    MAGIC_CHECK(c, CI_MAGIC);
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = load(conn, json_str(job->arguments, "approvalId"), &w, e);
    store_release(TAKE(conn));
    if (r < 0)
        return r;
    if (str_eq(w.state, "gates"))
        return wait_for_gates(c, job, &w, e);
    return str_eq(w.state, "deploying") ? deploy(c, job, &w, e) : JOB_DONE;
}

int ci_wanted_open(struct ci *c, struct error *e)
{
    return jobs_register(c->jobs,
                         &(struct job_kind){ .name = JOB,
                                             .run = run,
                                             .ctx = c,
                                             .title = "Deploy by a rule",
                                             .instead = "A deployment by rule is ended by rejecting its approval." },
                         e);
}

int ci_wanted_tidy(struct ci *c, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    int64_t now = clock_now_ms();
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_exec(
            conn, e,
            "UPDATE ci_wanted SET state = 'expired', reason = 'Nobody approved it in seven days.', updated_at = "
            "$1 WHERE state = 'approval' AND deadline_at < $2",
            "ii", now, now);
    return r == 0 ? store_commit(conn, e) : r;
}

/* ---- API ---- */

static int write_row(struct store_conn *conn, struct store_rows *rows, struct jw *w, struct error *e)
{
    static const char *const texts[] = { "id",          "ruleId", "state",  "service",
                                         "environment", "image",  "source", "pipeline" };
    _cleanup_(wanted_done) struct wanted x = { .git = NULL };
    _cleanup_json_ json_t *looked = NULL;
    bool held = false;
    read_row(rows, &x);
    int r = ci_gates_look(conn, json_str(x.git, "repository"), json_str(x.git, "commit"), x.gates, &looked, &held, e);
    if (r < 0)
        return r;
    jw_object(w);
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        jw_key(w, texts[i]), jw_string(w, rows_text(rows, i));
    jw_key(w, "git");
    if (x.git)
        jw_json(w, x.git);
    else
        jw_null(w);
    jw_key(w, "gates"), jw_json(w, looked);
    jw_key(w, "gatesHold"), jw_bool(w, held);
    jw_key(w, "reason"), jw_string(w, rows_text(rows, 13));
    jw_key(w, "decidedBy"), jw_string(w, rows_text(rows, 14));
    jw_key(w, "decidedAt"), jw_time(w, rows_int(rows, 15));
    jw_key(w, "deploymentId"), jw_string(w, rows_text(rows, 16));
    jw_key(w, "deadlineAt"), jw_time(w, rows_int(rows, 11));
    jw_key(w, "createdAt"), jw_time(w, rows_int(rows, 17));
    jw_end(w);
    return 0;
}

/* An event that cannot be made is not worth failing for: the list says the same. */
void ci_wanted_tell(struct ci *c, const char *id, const char *type)
{
    struct jw w;
    _cleanup_buf_ struct buf out;
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    buf_init(&out, 0);
    jw_init(&w, &out);
    int r = store_acquire(c->store, STORE_READ, &conn, &e);
    if (r == 0)
        r = store_query(conn, &e, &rows, "SELECT " COLUMNS " FROM ci_wanted WHERE id = $1", "t", id);
    if (r == 0 && rows_next(rows, &e) == 1 && write_row(conn, rows, &w, &e) == 0 && buf_ok(&out))
        events_publish(c->events, type, "approval", id, out.data, out.len);
    else
        log_warn("Approval %s changed and nobody is told live: %s", id, e.message);
}

int ci_list_approvals(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    const char *state = request_str(rq, "state"), *service = request_str(rq, "service");
    struct ci_page page;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = ci_page_begin(rq, &page, e);
    if (r == 0)
        r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(conn, e, &rows,
                        "SELECT " COLUMNS " FROM ci_wanted WHERE ($1 = '' OR state = $1) AND ($2 = '' OR service = $2) "
                        "AND (created_at, source, id) < ($3, $4, $5) ORDER BY created_at DESC, source DESC, id DESC "
                        "LIMIT $6",
                        "ttitti", state ? state : "", service ? service : "", page.before_ms, page.before_source,
                        page.before_id, page.limit + 1);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "approvals"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1 &&
           ci_page_take(&page, rows_int(rows, 17), rows_text(rows, 6), rows_text(rows, 0)) &&
           (r = write_row(conn, rows, w, e)) == 0)
        ;
    jw_end(w);
    ci_page_end(&page, w);
    jw_end(w);
    return r < 0 ? r : 0;
}

static int answer_one(struct ci *c, const char *id, struct reply *rp, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(conn, e, &rows, "SELECT " COLUMNS " FROM ci_wanted WHERE id = $1", "t", id);
    if (r < 0 || (r = rows_next(rows, e)) < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "approval");
    r = write_row(conn, rows, w, e);
    jw_end(w);
    return r;
}

/* From waiting for a person to `to`; what is rejected may also wait for its gates. */
static int decide(struct ci *c, struct request *rq, const char *to, bool approved, struct error *e)
{
    char job[ID_LEN + 1] = "";
    const char *id = request_str(rq, "approvalId");
    const char *by = request_actor(rq)->name[0] ? request_actor(rq)->name : "owner";
    int64_t now = clock_now_ms();
    _cleanup_(wanted_done) struct wanted w = { .git = NULL };
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = load(conn, id, &w, e);
    if (r == 0)
        r = store_exec(
            conn, e,
            "UPDATE ci_wanted SET state = $1, decided_by = $2, decided_at = $3, deadline_at = $4, updated_at = "
            "$5 WHERE id = $6 AND (state = 'approval' OR state = $7)",
            "ttiiitt", to, by, now, approved ? now + w.gate_ms : w.deadline_ms, now, id,
            approved ? "approval" : "gates");
    if (r == 0 && store_changed(conn) == 0)
        r = error_set(e, ERR_CONFLICT, "It does not wait for anybody: it is %s.", w.state);
    if (r == 0 && approved)
        r = add_job(c, conn, id, job, e);
    if (r == 0)
        r = store_commit(conn, e);
    store_release(TAKE(conn));
    if (r == 0 && *job)
        jobs_added(c->jobs, job);
    if (r == 0)
        ci_wanted_tell(c, id, "approval.updated");
    return r;
}

int ci_approve(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    int r = decide(c, rq, "gates", true, e);
    if (r < 0)
        return r;
    request_audit(rq, "ci_approval", request_str(rq, "approvalId"), NULL, NULL);
    return answer_one(c, request_str(rq, "approvalId"), rp, e);
}

int ci_reject(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    int r = decide(c, rq, "rejected", false, e);
    if (r < 0)
        return r;
    request_audit(rq, "ci_approval", request_str(rq, "approvalId"), NULL, NULL);
    return answer_one(c, request_str(rq, "approvalId"), rp, e);
}
