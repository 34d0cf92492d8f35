#include "deployment/ci_internal.h"

#include <fnmatch.h>
#include <stdio.h>

/* Rules: which runs are a service's, and which news deploy it. */

void ci_rules_done(struct ci_rules **r)
{
    for (size_t i = 0; *r && i < (*r)->n; i++)
        json_decref((*r)->list[i].document);
    free(*r);
}

int ci_rules_load(struct store_conn *conn, struct ci_rules **ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    _cleanup_rules_ struct ci_rules *all = calloc(1, sizeof *all);
    if (!all)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = store_query(conn, e, &rows, "SELECT id, document, created_at FROM ci_rules ORDER BY id LIMIT $1", "i",
                        (int64_t)CI_RULES_MAX);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        struct ci_rule *rule = &all->list[all->n++];
        str_copy(rule->id, sizeof rule->id, rows_text(rows, 0));
        rule->document = rows_json(rows, 1);
        rule->created_ms = rows_int(rows, 2);
        r = rule->document ? 0 : error_set(e, ERR_INTERNAL, "The rule %s cannot be read.", rule->id);
    }
    if (r == 0)
        *ret = TAKE(all);
    return r;
}

/* ---- what matches ---- */

static bool same_or_any(const char *wanted, const char *got)
{
    return !wanted || str_eq(wanted, got);
}

static bool run_matches(const json_t *rule, const struct ci_fact *f)
{
    const char *repository = json_str(rule, "match.repository"), *branch = json_str(rule, "match.branch");
    return repository && f->repository && str_ieq(repository, f->repository) && !f->foreign &&
           same_or_any(branch, f->branch) && same_or_any(json_str(rule, "match.workflow"), f->name);
}

/* A pattern without a tag means every tag. */
static bool image_matches(const json_t *rule, const struct ci_fact *f)
{
    char image[520];
    const char *pattern = json_str(rule, "match.image");
    if (!pattern || !f->name || !f->tag)
        return false;
    const char *slash = strrchr(pattern, '/');
    bool tagged = strchr(slash ? slash : pattern, ':') != NULL;
    int n = snprintf(image, sizeof image, "%s%s%s", f->name, tagged ? ":" : "", tagged ? f->tag : "");
    return n > 0 && (size_t)n < sizeof image && fnmatch(pattern, image, 0) == 0;
}

/* A run of a pushed tag carries the tag's name where a branch's would be; the push tells which it was. */
static int is_of_tag(struct store_conn *conn, const struct ci_fact *f, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    if (!f->branch || !f->commit)
        return 1;
    int r = store_query(conn, e, &rows,
                        "SELECT MIN(is_tag) FROM ci_pushes WHERE repository = $1 AND commit_sha = $2 AND name = $3",
                        "ttt", f->repository, f->commit, f->branch);
    if (r < 0 || (r = rows_next(rows, e)) < 0)
        return r;
    return r == 1 && !rows_null(rows, 0) && rows_int(rows, 0) == 1;
}

/* ---- what is deployed ---- */

#define CI_IMAGE_SIZE 513 /* as long as its column */

/* "{commit}", "{shortCommit}", "{branch}" and "{number}" in a rule's image. */
static int fill_image(const char *form, const struct ci_fact *f, char *ret, size_t size)
{
    struct buf b;
    buf_init(&b, size);
    while (*form) {
        const char *end = *form == '{' ? strchr(form, '}') : NULL;
        size_t n = end ? (size_t)(end - form) + 1 : 1;
        if (n == 8 && memcmp(form, "{commit}", n) == 0)
            (void)buf_puts(&b, f->commit);
        else if (n == 13 && memcmp(form, "{shortCommit}", n) == 0)
            (void)buf_printf(&b, "%.7s", f->commit);
        else if (n == 8 && memcmp(form, "{branch}", n) == 0)
            (void)buf_puts(&b, f->branch ? f->branch : "");
        else if (n == 8 && memcmp(form, "{number}", n) == 0)
            (void)buf_printf(&b, "%lld", (long long)f->number);
        else
            (void)buf_append(&b, form, n);
        form += n;
    }
    bool good = buf_ok(&b) && b.len < size;
    if (good)
        str_copy(ret, size, buf_str(&b));
    buf_done(&b);
    return good ? 0 : -1;
}

/* An image's news say neither message nor author; the push or the run of its commit did. */
static int describe_commit(struct store_conn *conn, const struct ci_fact *f, json_t *git, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(conn, e, &rows,
                    "SELECT message, author, name FROM ci_pushes WHERE repository = $1 AND commit_sha = $2 ORDER BY "
                    "is_tag, pushed_at DESC LIMIT 1",
                    "tt", f->repository, f->commit);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    static const char *const keys[] = { "commitMessage", "author", "branch" };
    for (int i = 0; i < 3; i++)
        if (rows_text(rows, i) && !*json_str(git, keys[i]))
            (void)json_object_set_new(git, keys[i], json_string(rows_text(rows, i)));
    return 0;
}

static json_t *git_of(struct store_conn *conn, const struct ci_fact *f)
{
    if (!f->repository || !*f->repository || !f->commit)
        return NULL;
    json_t *git = json_pack("{s:s, s:s, s:s, s:s, s:s}", "repository", f->repository, "branch",
                            f->branch ? f->branch : "", "commit", f->commit, "commitMessage",
                            f->message ? f->message : "", "author", f->kind == CI_RUN && f->author ? f->author : "");
    struct error ignored = ERROR_INIT; /* the words of a commit are an adornment */
    if (git && f->kind == CI_IMAGE)
        (void)describe_commit(conn, f, git, &ignored);
    error_done(&ignored);
    return git;
}

static int want(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_rule *rule,
                const struct ci_fact *f, const char *image, const char *cause, struct error *e)
{
    char pipeline[CI_PIPELINE_SIZE] = "registry push";
    const json_t *d = rule->document;
    _cleanup_json_ json_t *git = git_of(b->conn, f), *none = json_array();
    if (f->kind == CI_RUN)
        ci_pipeline(f->name, f->number, pipeline);
    return ci_want(c, b,
                   &(struct ci_want){ .rule_id = rule->id,
                                      .cause = cause,
                                      .service = json_str(d, "service"),
                                      .environment = json_str(d, "environment"),
                                      .image = image,
                                      .source = s->ops->name,
                                      .pipeline = pipeline,
                                      .approval = str_eq(json_str(d, "approval"), "required"),
                                      .gates = json_at(d, "gates") ? json_at(d, "gates") : none,
                                      .git = git,
                                      .gate_ms = json_int(d, "gateTimeout", CI_GATE_TIME_S) * 1000,
                                      .order_key = f->created_ms },
                   e);
}

static int deploy_image(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_rule *rule,
                        const struct ci_fact *f, struct error *e)
{
    char image[CI_IMAGE_SIZE], cause[400];
    bool pinned = f->digest && strlen(f->digest) == 71 && str_starts(f->digest, "sha256:");
    int n = snprintf(image, sizeof image, "%s:%s%s%s", f->name, f->tag, pinned ? "@" : "", pinned ? f->digest : "");
    if (n < 0 || (size_t)n >= sizeof image)
        return 0;
    (void)snprintf(cause, sizeof cause, "image:%.24s:%.360s", f->id, image + (n > 360 ? n - 360 : 0));
    return want(c, b, s, rule, f, image, cause, e);
}

static int deploy_run(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_rule *rule,
                      const struct ci_fact *f, struct error *e)
{
    char image[CI_IMAGE_SIZE], cause[400];
    const char *form = json_str(rule->document, "image");
    if (!form || f->state != CI_ENDED || !str_eq(f->conclusion, "success") || !f->commit)
        return 0;
    int r = is_of_tag(b->conn, f, e);
    if (r != 0)
        return r < 0 ? r : 0;
    if (fill_image(form, f, image, sizeof image) < 0)
        return 0;
    (void)snprintf(cause, sizeof cause, "run:%s:%s:%lld", s->ops->name, f->id, (long long)f->attempt);
    return want(c, b, s, rule, f, image, cause, e);
}

/* The first rule that knows the run names its service; the id of its deployment event never changes. */
static int map_run(struct store_conn *conn, const struct ci_source *s, const struct ci_rule *rule,
                   const struct ci_fact *f, struct error *e)
{
    char id[ID_LEN + 1];
    return store_exec(
        conn, e,
        "UPDATE ci_runs SET service = $1, environment = $2, deployment_id = $3 WHERE source = $4 AND id = $5 "
        "AND service IS NULL",
        "ttttt", json_str(rule->document, "service"), json_str(rule->document, "environment"), id_new(id), s->ops->name,
        f->id);
}

static int apply(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_rule *rule,
                 const struct ci_fact *f, struct error *e)
{
    if (f->kind == CI_IMAGE)
        return image_matches(rule->document, f) ? deploy_image(c, b, s, rule, f, e) : 0;
    if (!run_matches(rule->document, f))
        return 0;
    int r = map_run(b->conn, s, rule, f, e);
    return r == 0 ? deploy_run(c, b, s, rule, f, e) : r;
}

int ci_rules_apply(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_fact *f,
                   struct error *e)
{
    _cleanup_rules_ struct ci_rules *rules = NULL;
    if (f->kind != CI_RUN && f->kind != CI_IMAGE)
        return 0;
    int r = ci_rules_load(b->conn, &rules, e);
    for (size_t i = 0; r == 0 && i < rules->n; i++)
        r = apply(c, b, s, &rules->list[i], f, e);
    return r;
}

/* ---- API ---- */

static void write_rule(struct jw *w, const char *id, const json_t *document, const char *by, int64_t created_ms)
{
    const char *key;
    json_t *value;
    jw_object(w);
    jw_key(w, "id"), jw_string(w, id);
    json_object_foreach ((json_t *)document, key, value)
        jw_key(w, key), jw_json(w, value);
    jw_key(w, "createdBy"), jw_string(w, by);
    jw_key(w, "createdAt"), jw_time(w, created_ms);
    jw_end(w);
}

int ci_list_rules(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(conn, e, &rows, "SELECT id, document, created_by, created_at FROM ci_rules ORDER BY id", "");
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "rules"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1) {
        _cleanup_json_ json_t *document = rows_json(rows, 1);
        write_rule(w, rows_text(rows, 0), document, rows_text(rows, 2), rows_int(rows, 3));
    }
    jw_end(w);
    jw_end(w);
    return r;
}

static int refuse(struct error *e, const char *pointer, const char *reason)
{
    (void)error_set(e, ERR_VALIDATION, "%s %s.", pointer, reason);
    error_detail(e, pointer, "%s", reason);
    return -(int)ERR_VALIDATION;
}

/* What the schema cannot say. */
static int check_rule(const json_t *rule, struct error *e)
{
    size_t i;
    json_t *gate;
    char pointer[64];
    const char *repository = json_str(rule, "match.repository"), *image = json_str(rule, "match.image");
    if (!repository == !image)
        return refuse(e, "/match", "must have either a repository or an image");
    if (repository && !ci_repository_ok(repository))
        return refuse(e, "/match/repository", "is not of the form owner/name");
    if (image && (json_str(rule, "match.branch") || json_str(rule, "match.workflow")))
        return refuse(e, "/match", "may have a branch and a workflow with a repository only");
    if (image && json_str(rule, "image"))
        return refuse(e, "/image", "is given for a repository only: an image's rule deploys the image that was pushed");
    if (json_str(rule, "image") && !json_str(rule, "match.branch"))
        return refuse(e, "/match/branch", "is required where the rule deploys");
    json_array_foreach (json_at(rule, "gates"), i, gate) {
        bool figure = json_str(gate, "figure") != NULL, bound = json_at(gate, "atLeast") || json_at(gate, "atMost");
        (void)snprintf(pointer, sizeof pointer, "/gates/%zu", i);
        if (figure == (json_str(gate, "check") != NULL) || figure != bound)
            return refuse(e, pointer, "must be a check, or a figure with atLeast or atMost");
    }
    return 0;
}

static int insert_rule(struct ci *c, const char *id, const json_t *rule, const char *by, int64_t now, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_query(conn, e, &rows, "SELECT COUNT(*) FROM ci_rules", "");
    if (r < 0 || (r = rows_next(rows, e)) < 0)
        return r;
    if (rows_int(rows, 0) >= CI_RULES_MAX)
        return error_set(e, ERR_CONFLICT, "There are %d rules already, which is as many as there may be.",
                         CI_RULES_MAX);
    rows_done(TAKE(rows));
    r = store_exec(conn, e, "INSERT INTO ci_rules (id, document, created_by, created_at) VALUES ($1, $2, $3, $4)",
                   "tjti", id, rule, by, now);
    return r == 0 ? store_commit(conn, e) : r;
}

int ci_create_rule(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    char id[ID_LEN + 1], location[64];
    json_t *rule = request_body(rq);
    const char *by = request_actor(rq)->name[0] ? request_actor(rq)->name : "owner";
    int64_t now = clock_now_ms();
    int r = check_rule(rule, e);
    if (r == 0)
        r = insert_rule(c, id_new(id), rule, by, now, e);
    if (r < 0)
        return r;
    request_audit(rq, "ci_rule", id, NULL, rule);
    (void)snprintf(location, sizeof location, "/v1/ci/rules/%s", id);
    reply_header(rp, "Location", location);
    struct jw *w = reply_json(rp, 201);
    jw_object(w);
    jw_key(w, "rule");
    write_rule(w, id, rule, by, now);
    jw_end(w);
    return 0;
}

int ci_delete_rule(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    const char *id = request_str(rq, "ruleId");
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_exec(conn, e, "DELETE FROM ci_rules WHERE id = $1", "t", id);
    if (r == 0 && store_changed(conn) == 0)
        r = error_set(e, ERR_NOT_FOUND, "There is no rule %.100s.", id);
    if (r == 0)
        r = store_exec(
            conn, e,
            "UPDATE ci_wanted SET state = 'superseded', reason = 'Its rule was removed.', updated_at = $1 WHERE "
            "rule_id = $2 AND state IN ('approval', 'gates')",
            "it", clock_now_ms(), id);
    if (r == 0)
        r = store_commit(conn, e);
    if (r < 0)
        return r;
    request_audit(rq, "ci_rule", id, NULL, NULL);
    reply_empty(rp, 204);
    return 0;
}
