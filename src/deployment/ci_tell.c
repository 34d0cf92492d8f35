#define LOG_ROOM "ci"
#include "deployment/ci_internal.h"

#include "base/log.h"

#include <stdio.h>

/* How a deployment of a commit goes is told where the commit lives, by jobs that may take their time: nothing here ever
 * waits for it. A listener on the events only notes the id; a thread of its own makes the jobs. */

#define JOB "ci-tell"
#define NOTES_MAX 256 /* more at once are found at the next start, or by their next change */
#define YOUNG_MS ((int64_t)86400 * 1000)

struct ci_teller {
    struct ci *ci;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    char notes[NOTES_MAX][ID_LEN + 1];
    size_t n;
};

/* ---- notes ---- */

/* Does a deployment's document name a commit? Cheap: most change many times a second while they pull. */
static bool names_commit(const char *data, size_t len)
{
    return memmem(data, len, "\"git\":{", 7) != NULL;
}

static void on_event(void *ctx, const char *type, const char *id, const char *data, size_t len)
{
    struct ci_teller *t = ctx;
    if (!str_starts(type, "deployment.") || !names_commit(data, len))
        return;
    (void)pthread_mutex_lock(&t->lock);
    bool known = t->n >= NOTES_MAX;
    for (size_t i = 0; i < t->n && !known; i++)
        known = str_eq(t->notes[i], id);
    if (!known) {
        str_copy(t->notes[t->n++], sizeof t->notes[0], id);
        (void)pthread_cond_signal(&t->wake);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

/* ---- what is to be told ---- */

static const char *word_of(const char *state)
{
    static const struct {
        const char *state, *word;
    } words[] = {
        { "initiated", "queued" },    { "completed", "success" }, { "failed", "failure" },
        { "rolled_back", "failure" }, { "cancelled", "error" },   { "superseded", "error" },
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i].state, state))
            return words[i].word;
    return "in_progress";
}

struct news {
    char state[24], environment[21], remote[24], message[200];
    json_t *git;
};

/* 1: news, 0: it was told, or is none of a commit's, or is a run's own event. */
static int load(struct ci *c, const char *id, struct news *ret, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(
            conn, e, &rows,
            "SELECT d.state, d.environment, d.git_metadata, d.status, t.state, t.remote_id FROM "
            "deployment_events d LEFT JOIN ci_told t ON t.deployment_id = d.id WHERE d.id = $1 AND d.release_id "
            "<> '' AND d.git_metadata IS NOT NULL",
            "t", id);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    str_copy(ret->state, sizeof ret->state, word_of(rows_text(rows, 0)));
    if (str_eq(rows_text(rows, 4), ret->state))
        return 0;
    _cleanup_json_ json_t *status = rows_json(rows, 3);
    const char *message = json_str(status, "message");
    str_copy(ret->environment, sizeof ret->environment, rows_text(rows, 1));
    str_copy(ret->remote, sizeof ret->remote, rows_text(rows, 5) ? rows_text(rows, 5) : "");
    (void)ci_cut(message ? message : rows_text(rows, 0), ret->message, sizeof ret->message);
    ret->git = rows_json(rows, 2);
    return ret->git != NULL;
}

static int note_told(struct ci *c, const char *id, const struct news *n, const char *state, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = store_exec(conn, e,
                       "INSERT INTO ci_told (deployment_id, state, remote_id, at) VALUES ($1, $2, $3, $4) ON CONFLICT "
                       "(deployment_id) DO UPDATE SET state = excluded.state, remote_id = excluded.remote_id, at = "
                       "excluded.at",
                       "ttti", id, state, n->remote, clock_now_ms());
    return r == 0 ? store_commit(conn, e) : r;
}

/* ---- telling ---- */

static int tell_sources(struct ci *c, const char *id, struct news *n, struct error *e)
{
    const struct ci_status status = { .id = id,
                                      .repository = json_str(n->git, "repository"),
                                      .commit = json_str(n->git, "commit"),
                                      .environment = n->environment,
                                      .state = n->state,
                                      .description = n->message };
    int r = 0;
    for (size_t i = 0; r >= 0 && i < CI_SOURCES_MAX && c->sources[i]; i++)
        if (c->sources[i]->connected && c->sources[i]->ops->tell && status.repository && status.commit)
            r = c->sources[i]->ops->tell(c->sources[i], &status, n->remote, e);
    return r;
}

static int tell(struct ci *c, const char *id, struct error *e)
{
    struct news n = { .git = NULL };
    struct error failed = ERROR_INIT;
    int r = load(c, id, &n, e);
    if (r == 1) {
        r = tell_sources(c, id, &n, e);
        /* A deployment that the source has by now is not made there a second time. */
        if (r == 1 || *n.remote)
            (void)note_told(c, id, &n, r == 1 ? n.state : "", &failed);
    }
    if (failed.code)
        log_warn("What was told of deployment %s is not noted: %s", id, failed.message);
    error_done(&failed);
    json_decref(n.git);
    return r;
}

static bool passes(int r)
{
    static const int codes[] = { ERR_RATE_LIMITED, ERR_UNAVAILABLE, ERR_UPSTREAM_TIMEOUT };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (r == -codes[i])
            return true;
    return false;
}

static int run(void *ctx, struct job *job, struct error *e)
{
    struct ci *c = ctx;
    const char *id = json_str(job->arguments, "deploymentId");
    MAGIC_CHECK(c, CI_MAGIC);
    int r = tell(c, id, e);
    if (r >= 0)
        return JOB_DONE;
    if (!passes(r))
        return r;
    job->again_after_ms = (int64_t)e->retry_after_s * 1000; /* 0, when the source did not say: a pause that grows */
    return JOB_AGAIN;
}

static void add_job(struct ci *c, const char *id)
{
    char job[ID_LEN + 1];
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *arguments = json_pack("{s:s}", "deploymentId", id);
    if (!arguments || jobs_add(c->jobs, JOB, arguments, 0, job, &e) < 0)
        log_warn("The state of deployment %s is not told: %s", id, e.message);
    error_done(&e);
}

/* Only a change of the word is worth a job. */
static void work(struct ci *c, const char *id)
{
    struct news n = { .git = NULL };
    struct error e = ERROR_INIT;
    if (load(c, id, &n, &e) == 1)
        add_job(c, id);
    json_decref(n.git);
    error_done(&e);
}

static void *work_on(void *arg)
{
    struct ci_teller *t = arg;
    char id[ID_LEN + 1];
    (void)pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        if (!t->n) {
            (void)pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        memcpy(id, t->notes[0], sizeof id);
        memmove(t->notes[0], t->notes[1], --t->n * sizeof t->notes[0]);
        (void)pthread_mutex_unlock(&t->lock);
        work(t->ci, id);
        (void)pthread_mutex_lock(&t->lock);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- life ---- */

static bool anybody_listens(const struct ci *c)
{
    for (size_t i = 0; i < CI_SOURCES_MAX && c->sources[i]; i++)
        if (c->sources[i]->connected && c->sources[i]->ops->tell)
            return true;
    return false;
}

int ci_tell_open(struct ci *c, struct error *e)
{
    int r = jobs_register(c->jobs,
                          &(struct job_kind){ .name = JOB,
                                              .run = run,
                                              .ctx = c,
                                              .title = "Tell how a deployment goes",
                                              .deadline_ms = YOUNG_MS,
                                              /* A deployment is made once at the source; and one that answers late
                                               * keeps no worker from deploying. */
                                              .max_parallel = 1 },
                          e);
    if (r < 0 || !anybody_listens(c))
        return r;
    struct ci_teller *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(e, ERR_INTERNAL, "No memory.");
    t->ci = c;
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->wake, NULL);
    c->teller = t;
    return events_listen(c->events, on_event, t) < 0 ? error_set(e, ERR_INTERNAL, "No memory.") : 0;
}

/* What changed while no hub listened. */
static int find_untold(struct ci *c, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(
            conn, e, &rows,
            "SELECT id FROM deployment_events WHERE git_metadata IS NOT NULL AND release_id <> '' AND updated_at "
            "> $1 ORDER BY id DESC LIMIT $2",
            "ii", clock_now_ms() - YOUNG_MS, (int64_t)NOTES_MAX);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        on_event(c->teller, "deployment.updated", rows_text(rows, 0), "\"git\":{", 7);
        r = 0;
    }
    return r;
}

int ci_tell_start(struct ci *c, struct error *e)
{
    struct ci_teller *t = c->teller;
    if (!t)
        return 0;
    int r = find_untold(c, e);
    if (r < 0)
        return r;
    if (pthread_create(&t->thread, NULL, work_on, t) != 0)
        return error_set(e, ERR_INTERNAL, "A thread cannot be started.");
    t->running = true;
    return 0;
}

void ci_stop(struct ci *c)
{
    struct ci_teller *t = c ? c->teller : NULL;
    if (!t || !t->running)
        return;
    (void)pthread_mutex_lock(&t->lock);
    t->stop = true;
    (void)pthread_cond_signal(&t->wake);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->thread, NULL);
    t->running = false;
}

void ci_tell_close(struct ci *c)
{
    struct ci_teller *t = TAKE(c->teller);
    if (!t)
        return;
    (void)pthread_cond_destroy(&t->wake);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}
