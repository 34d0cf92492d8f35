#include "deployment/ci_internal.h"

#include <stdio.h>

/* Gates: what must be known of a commit, and good, before it is deployed. What is unknown does not hold. */

/* A check of that name, else a job, else a whole run: who told it does not matter. The query takes (repository, commit,
 * name) and answers (state, conclusion), the worst first. */
static const char *const check_queries[] = {
    "SELECT state, conclusion FROM ci_checks WHERE repository = $1 AND commit_sha = $2 AND name = $3",
    "SELECT j.state, j.conclusion FROM ci_jobs j JOIN ci_runs r ON r.source = j.source AND r.id = j.run_id AND r.attempt = "
    "j.attempt WHERE r.repository = $1 AND r.commit_sha = $2 AND j.name = $3 ORDER BY CASE WHEN j.conclusion = 'success' "
    "THEN 1 ELSE 0 END LIMIT 1",
    "SELECT state, conclusion FROM ci_runs WHERE repository = $1 AND commit_sha = $2 AND name = $3 AND event <> "
    "'deployment' ORDER BY CASE WHEN conclusion = 'success' THEN 1 ELSE 0 END LIMIT 1",
};

/* What is known: "success", "failure", "in_progress", "unknown". */
static int look_check(struct store_conn *conn, const char *repository, const char *commit, const char *name,
                      char ret[32], struct error *e)
{
    str_copy(ret, 32, "unknown");
    for (size_t i = 0; i < ARRAY_LEN(check_queries); i++) {
        _cleanup_rows_ struct store_rows *rows = NULL;
        int r = store_query(conn, e, &rows, check_queries[i], "ttt", repository, commit, name);
        if (r < 0 || (r = rows_next(rows, e)) < 0)
            return r;
        if (r == 0)
            continue;
        const char *conclusion = rows_text(rows, 1);
        str_copy(ret, 32, conclusion ? conclusion : ci_state_name((enum ci_state)rows_int(rows, 0)));
        return 0;
    }
    return 0;
}

static int look_figure(struct store_conn *conn, const char *repository, const char *commit, const json_t *gate,
                       char ret[32], bool *ret_held, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    str_copy(ret, 32, "unknown");
    *ret_held = false;
    int r = store_query(conn, e, &rows,
                        "SELECT value FROM ci_figures WHERE repository = $1 AND commit_sha = $2 AND name = $3", "ttt",
                        repository, commit, json_str(gate, "figure"));
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    double value = rows_double(rows, 0);
    (void)snprintf(ret, 32, "%.10g", value);
    *ret_held = value >= json_num(gate, "atLeast", value) && value <= json_num(gate, "atMost", value);
    return 0;
}

static void name_gate(const json_t *gate, char *ret, size_t size)
{
    const char *check = json_str(gate, "check");
    if (check) {
        (void)snprintf(ret, size, "check %.200s", check);
        return;
    }
    int n = snprintf(ret, size, "figure %.200s", json_str(gate, "figure"));
    if (json_at(gate, "atLeast") && (size_t)n < size)
        n += snprintf(ret + n, size - (size_t)n, ", at least %.10g", json_num(gate, "atLeast", 0));
    if (json_at(gate, "atMost") && (size_t)n < size)
        (void)snprintf(ret + n, size - (size_t)n, ", at most %.10g", json_num(gate, "atMost", 0));
}

int ci_gates_look(struct store_conn *conn, const char *repository, const char *commit, const json_t *gates,
                  json_t **ret, bool *ret_held, struct error *e)
{
    size_t i;
    json_t *gate;
    bool all = true;
    int r = 0;
    _cleanup_json_ json_t *list = json_array();
    json_array_foreach ((json_t *)gates, i, gate) {
        char name[300], found[32] = "unknown";
        bool held = false;
        name_gate(gate, name, sizeof name);
        if (repository && commit && json_str(gate, "check")) {
            r = look_check(conn, repository, commit, json_str(gate, "check"), found, e);
            held = str_eq(found, "success");
        } else if (repository && commit) {
            r = look_figure(conn, repository, commit, gate, found, &held, e);
        }
        if (r < 0)
            return r;
        all = all && held;
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "gate", name, "held", held, "found", found));
    }
    if (!list)
        return error_set(e, ERR_INTERNAL, "No memory.");
    *ret = TAKE(list);
    *ret_held = all;
    return 0;
}

void ci_gates_words(const json_t *looked, char *ret, size_t size)
{
    size_t i, used = 0;
    json_t *x;
    *ret = '\0';
    json_array_foreach ((json_t *)looked, i, x) {
        if (json_flag(x, "held", false) || used + 1 >= size)
            continue;
        int n = snprintf(ret + used, size - used, "%s%.120s: %.31s", used ? "; " : "", json_str(x, "gate"),
                         json_str(x, "found"));
        used += n > 0 ? (size_t)n : 0;
    }
}

/* ---- CI's own call ---- */

static int look_rule(struct store_conn *conn, const struct ci_rule *rule, const json_t *git, struct error *e)
{
    char words[400];
    bool held = false;
    _cleanup_json_ json_t *looked = NULL;
    const char *repository = json_str(git, "repository"), *commit = json_str(git, "commit");
    int r = ci_gates_look(conn, repository, commit, json_at(rule->document, "gates"), &looked, &held, e);
    if (r < 0 || held)
        return r;
    ci_gates_words(looked, words, sizeof words);
    if (!commit)
        return error_set(e, ERR_CONFLICT,
                         "The gates of this service ask for a commit, and the request names none (git).");
    return error_set(e, ERR_CONFLICT, "Not all gates hold for commit %.12s: %s.", commit, words);
}

int ci_gate_request(void *ctx, const char *service, const char *environment, const struct deployment_origin *o,
                    struct error *e)
{
    struct ci *c = ctx;
    MAGIC_CHECK(c, CI_MAGIC);
    bool by_ci = false;
    for (size_t i = 0; i < CI_SOURCES_MAX && c->sources[i]; i++)
        by_ci = by_ci || str_eq(c->sources[i]->ops->trigger, o->trigger);
    if (!by_ci)
        return 0;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rules_ struct ci_rules *rules = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = ci_rules_load(conn, &rules, e);
    for (size_t i = 0; r == 0 && i < rules->n; i++) {
        const json_t *d = rules->list[i].document;
        if (str_eq(json_str(d, "service"), service) && str_eq(json_str(d, "environment"), environment) &&
            json_array_size(json_at(d, "gates")))
            r = look_rule(conn, &rules->list[i], o->git, e);
    }
    return r;
}

/* ---- figures ---- */

int ci_set_figure(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    const json_t *body = request_body(rq);
    int64_t now = clock_now_ms();
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_exec(
            conn, e,
            "INSERT INTO ci_figures (repository, commit_sha, name, value, updated_at) VALUES ($1, $2, $3, $4, "
            "$5) ON CONFLICT (repository, commit_sha, name) DO UPDATE SET value = excluded.value, updated_at = "
            "excluded.updated_at",
            "tttdi", json_str(body, "repository"), json_str(body, "commit"), json_str(body, "name"),
            json_num(body, "value", 0), now);
    if (r == 0)
        r = store_commit(conn, e);
    if (r < 0)
        return r;
    request_audit(rq, "ci_figure", json_str(body, "name"), NULL, request_body(rq));
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "figure"), jw_object(w);
    jw_key(w, "repository"), jw_string(w, json_str(body, "repository"));
    jw_key(w, "commit"), jw_string(w, json_str(body, "commit"));
    jw_key(w, "name"), jw_string(w, json_str(body, "name"));
    jw_key(w, "value"), jw_number(w, json_num(body, "value", 0));
    jw_key(w, "updatedAt"), jw_time(w, now);
    jw_end(w);
    jw_end(w);
    return 0;
}
