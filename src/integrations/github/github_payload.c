#include "integrations/github/github.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>

/* What GitHub's payloads say, event by event. Nothing is trusted to be there: fields have come and gone over the years. */

static void id_of(const json_t *x, const char *path, char ret[24])
{
    (void)snprintf(ret, 24, "%lld", (long long)json_int(x, path, 0));
}

static int ignored(struct ci_fact *f, const char *reason, ci_emit emit, void *ctx, struct error *e)
{
    f->kind = CI_IGNORED;
    f->reason = reason;
    return emit(ctx, f, e);
}

static int malformed(const char *what, struct error *e)
{
    return error_set(e, ERR_MALFORMED, "The delivery lacks %s.", what);
}

/* Words that are not known yet must not count as running for ever: they are waiting. */
static enum ci_state state_of(const char *status)
{
    static const struct {
        const char *word;
        enum ci_state state;
    } words[] = {
        { "requested", CI_QUEUED },    { "queued", CI_QUEUED },   { "pending", CI_QUEUED },
        { "in_progress", CI_RUNNING }, { "completed", CI_ENDED },
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i].word, status))
            return words[i].state;
    return CI_WAITING;
}

/* Whatever is said of an end that is no known word ("startup_failure") is a failure. */
static const char *conclusion_of(const char *word)
{
    static const char *const known[] = { "success", "failure",   "neutral",         "cancelled",
                                         "skipped", "timed_out", "action_required", "stale" };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i], word))
            return known[i];
    return "failure";
}

static void read_state(const json_t *x, struct ci_fact *f)
{
    f->state = state_of(json_str(x, "status"));
    f->conclusion = f->state == CI_ENDED ? conclusion_of(json_str(x, "conclusion")) : NULL;
    f->created_ms = ci_time(x, "created_at");
    f->started_ms = ci_time(x, "started_at");
    f->ended_ms = ci_time(x, "completed_at");
    f->updated_ms = ci_time(x, "updated_at");
}

static bool all_zero(const char *sha)
{
    return !sha || strspn(sha, "0") == strlen(sha);
}

/* ---- push ---- */

static int read_push(const json_t *x, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    const char *ref = ci_text(x, "ref");
    if (!ref)
        return malformed("its ref", e);
    f->kind = CI_PUSH;
    if (str_starts(ref, "refs/heads/"))
        f->branch = ref + strlen("refs/heads/");
    else if (str_starts(ref, "refs/tags/"))
        f->tag = ref + strlen("refs/tags/");
    f->commit = ci_text(x, "after");
    if (json_flag(x, "deleted", false) || all_zero(f->commit))
        return ignored(f, f->tag ? "A tag was deleted." : "A branch was deleted.", emit, ctx, e);
    if (!f->branch && !f->tag)
        return ignored(f, "The ref is neither a branch nor a tag.", emit, ctx, e);
    if (!json_is_object(json_at(x, "head_commit")))
        return ignored(f, "The push has no head commit.", emit, ctx, e);
    f->message = json_str(x, "head_commit.message");
    f->author = json_str(x, "head_commit.author.name");
    f->created_ms = ci_time(x, "head_commit.timestamp");
    return emit(ctx, f, e);
}

/* ---- runs and jobs ---- */

static bool is_foreign(const json_t *run, const char *repository)
{
    const char *head = json_str(run, "head_repository.full_name"), *event = json_str(run, "event");
    return (head && !str_ieq(head, repository)) || !json_is_object(json_at(run, "head_repository")) ||
           (event && str_starts(event, "pull_request"));
}

int github_read_run(const json_t *x, const char *repository, const char *workflow, ci_emit emit, void *ctx,
                    struct error *e)
{
    const char *own = ci_text(x, "repository.full_name"); /* as GitHub spells it; a rule may spell it otherwise */
    struct ci_fact f = { .kind = CI_RUN, .repository = own ? own : repository };
    if (!json_int(x, "id", 0))
        return malformed("the run's id", e);
    read_state(x, &f);
    id_of(x, "id", f.id);
    f.name = ci_text(x, "name") ? ci_text(x, "name") : workflow ? workflow : ci_text(x, "path");
    f.branch = ci_text(x, "head_branch");
    f.commit = ci_text(x, "head_sha");
    f.message = json_str(x, "head_commit.message");
    f.author = json_str(x, "head_commit.author.name");
    f.event = ci_text(x, "event");
    f.url = ci_text(x, "html_url");
    f.number = json_int(x, "run_number", 0);
    f.attempt = json_int(x, "run_attempt", 1);
    f.started_ms = ci_time(x, "run_started_at");
    f.ended_ms = f.state == CI_ENDED ? f.updated_ms : 0;
    f.foreign = is_foreign(x, f.repository);
    if (all_zero(f.commit))
        return ignored(&f, "The run has no commit.", emit, ctx, e);
    return emit(ctx, &f, e);
}

static int read_run(const json_t *x, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    return github_read_run(json_at(x, "workflow_run"), f->repository, ci_text(x, "workflow.name"), emit, ctx, e);
}

static int read_job(const json_t *payload, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    const json_t *x = json_at(payload, "workflow_job");
    if (!json_int(x, "id", 0) || !json_int(x, "run_id", 0))
        return malformed("the job's id or its run's", e);
    read_state(x, f);
    f->kind = CI_JOB;
    id_of(x, "id", f->id);
    id_of(x, "run_id", f->run_id);
    f->name = ci_text(x, "name");
    f->event = ci_text(x, "workflow_name");
    f->branch = ci_text(x, "head_branch");
    f->commit = ci_text(x, "head_sha");
    f->url = ci_text(x, "html_url");
    f->attempt = json_int(x, "run_attempt", 1);
    return emit(ctx, f, e);
}

/* ---- verdicts on a commit ---- */

static int read_check(const json_t *payload, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    const json_t *x = json_at(payload, "check_run");
    if (!json_int(x, "id", 0) || !ci_text(x, "name") || !ci_text(x, "head_sha"))
        return malformed("the check's id, name or commit", e);
    read_state(x, f);
    f->kind = CI_CHECK;
    id_of(x, "id", f->id);
    f->name = ci_text(x, "name");
    f->commit = ci_text(x, "head_sha");
    f->branch = ci_text(x, "check_suite.head_branch");
    f->url = ci_text(x, "html_url");
    f->attempt = json_int(x, "id", 1); /* a check that is run again has a new, larger id */
    return emit(ctx, f, e);
}

/* A commit status, as services write it that make no check runs. */
static int read_status(const json_t *x, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    const char *state = ci_text(x, "state");
    if (!state || !ci_text(x, "context") || !ci_text(x, "sha"))
        return malformed("the status' state, context or commit", e);
    f->kind = CI_CHECK;
    id_of(x, "id", f->id);
    f->name = ci_text(x, "context");
    f->commit = ci_text(x, "sha");
    f->url = ci_text(x, "target_url");
    f->attempt = json_int(x, "id", 1);
    f->updated_ms = ci_time(x, "updated_at");
    f->state = str_eq(state, "pending") ? CI_RUNNING : CI_ENDED;
    f->conclusion = f->state == CI_ENDED ? conclusion_of(state) : NULL;
    return emit(ctx, f, e);
}

/* ---- deployments that GitHub keeps: runs of the environment's name ---- */

static void deployment_facts(const json_t *d, struct ci_fact *f)
{
    f->kind = CI_RUN;
    (void)snprintf(f->id, sizeof f->id, "d%lld", (long long)json_int(d, "id", 0));
    f->name = ci_text(d, "environment");
    f->event = "deployment";
    f->commit = ci_text(d, "sha");
    f->branch = ci_text(d, "ref");
    f->message = ci_text(d, "description");
    f->author = ci_text(d, "creator.login");
    f->created_ms = f->started_ms = ci_time(d, "created_at");
    f->foreign = true; /* it is told, it is not a reason to deploy once more */
    f->attempt = 1;
}

static int read_deployment(const json_t *payload, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    const json_t *d = json_at(payload, "deployment");
    if (!json_int(d, "id", 0))
        return malformed("the deployment's id", e);
    deployment_facts(d, f);
    if (json_str(d, "payload.hbcloud"))
        return ignored(f, "A hub told GitHub of this deployment itself.", emit, ctx, e);
    f->state = CI_QUEUED;
    f->updated_ms = f->created_ms;
    return emit(ctx, f, e);
}

static int read_deployment_status(const json_t *payload, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    const json_t *d = json_at(payload, "deployment"), *s = json_at(payload, "deployment_status");
    const char *state = ci_text(s, "state");
    if (!json_int(d, "id", 0) || !state)
        return malformed("the deployment's id or its state", e);
    deployment_facts(d, f);
    f->updated_ms = ci_time(s, "updated_at");
    f->url = ci_text(s, "log_url") ? ci_text(s, "log_url") : ci_text(s, "target_url");
    if (json_str(d, "payload.hbcloud"))
        return ignored(f, "A hub told GitHub of this deployment itself.", emit, ctx, e);
    if (str_eq(state, "inactive"))
        return ignored(f, "A later deployment took this one's place.", emit, ctx, e);
    bool ended = str_eq(state, "success") || str_eq(state, "failure") || str_eq(state, "error");
    f->state = ended ? CI_ENDED : state_of(state);
    f->conclusion = ended ? conclusion_of(state) : NULL;
    f->ended_ms = ended ? f->updated_ms : 0;
    return emit(ctx, f, e);
}

/* ---- images ---- */

static bool is_image(const json_t *p)
{
    const char *type = json_str(p, "package_type"), *ecosystem = json_str(p, "ecosystem");
    return (type && (str_ieq(type, "container") || str_ieq(type, "docker"))) ||
           (ecosystem && (str_ieq(ecosystem, "container") || str_ieq(ecosystem, "docker")));
}

/* "ghcr.io/owner/name", in lower case as registries want it. */
static int image_of(const json_t *p, const char *owner, char *ret, size_t size)
{
    const char *name = ci_text(p, "name"), *space = ci_text(p, "namespace");
    if (space && !strchr(space, '/'))
        owner = space;
    if (!name || !owner)
        return -1;
    int n = snprintf(ret, size, "ghcr.io/%s/%s", owner, name);
    for (char *c = ret; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return n > 0 && (size_t)n < size ? 0 : -1;
}

static int read_image(const json_t *payload, const char *key, struct ci_fact *f, ci_emit emit, void *ctx,
                      struct error *e)
{
    char image[400];
    const json_t *p = json_at(payload, key), *v = json_at(p, "package_version");
    const char *action = json_str(payload, "action");
    if (!json_is_object(p))
        return malformed("its package", e);
    f->kind = CI_IMAGE;
    f->tag = ci_text(v, "container_metadata.tag.name");
    f->digest = ci_text(v, "container_metadata.tag.digest");
    f->commit = ci_text(v, "container_metadata.labels.revision");
    f->created_ms = f->updated_ms = ci_time(v, "created_at");
    f->author = json_str(payload, "sender.login");
    if (!str_eq(action, "published") && !str_eq(action, "updated"))
        return ignored(f, "The package was neither published nor updated.", emit, ctx, e);
    if (!is_image(p))
        return ignored(f, "The package is no container image.", emit, ctx, e);
    if (image_of(p, json_str(p, "owner.login"), image, sizeof image) < 0)
        return malformed("the package's name or owner", e);
    if (!f->tag)
        return ignored(f, "The image has no tag.", emit, ctx, e);
    f->name = image;
    id_of(v, "id", f->id);
    return emit(ctx, f, e);
}

static int read_package(const json_t *x, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    return read_image(x, "package", f, emit, ctx, e);
}

static int read_registry_package(const json_t *x, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    return read_image(x, "registry_package", f, emit, ctx, e);
}

static int read_ping(const json_t *x UNUSED, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e)
{
    return ignored(f, "A ping: the webhook works.", emit, ctx, e);
}

/* ---- all of them ---- */

static const struct {
    const char *event;
    int (*read)(const json_t *payload, struct ci_fact *f, ci_emit emit, void *ctx, struct error *e);
} events[] = {
    { "ping", read_ping },
    { "push", read_push },
    { "workflow_run", read_run },
    { "workflow_job", read_job },
    { "check_run", read_check },
    { "status", read_status },
    { "deployment", read_deployment },
    { "deployment_status", read_deployment_status },
    { "package", read_package },
    { "registry_package", read_registry_package },
};

int github_read(const char *event, const json_t *payload, ci_emit emit, void *ctx, struct error *e)
{
    struct ci_fact f = { .kind = CI_IGNORED, .attempt = 1, .repository = ci_text(payload, "repository.full_name") };
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (!str_eq(events[i].event, event))
            continue;
        if (!f.repository && !str_eq(event, "ping") && !strstr(event, "package"))
            return malformed("its repository", e);
        return events[i].read(payload, &f, emit, ctx, e);
    }
    return ignored(&f, "This event is not one that is followed.", emit, ctx, e);
}
