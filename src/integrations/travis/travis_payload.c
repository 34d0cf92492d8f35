#include "integrations/travis/travis.h"

#include "base/str.h"

#include <stdio.h>

/* States, and nothing else: `status` is 1 or null for the very same state, by version. */
static void read_state(const json_t *x, struct ci_fact *f)
{
    static const struct {
        const char *word;
        enum ci_state state;
        const char *conclusion;
    } words[] = {
        { "created", CI_QUEUED, NULL },         { "received", CI_QUEUED, NULL },
        { "queued", CI_QUEUED, NULL },          { "started", CI_RUNNING, NULL },
        { "passed", CI_ENDED, "success" },      { "failed", CI_ENDED, "failure" },
        { "errored", CI_ENDED, "failure" },     { "canceled", CI_ENDED, "cancelled" },
        { "cancelled", CI_ENDED, "cancelled" }, { "fixed", CI_ENDED, "success" },
        { "broken", CI_ENDED, "failure" },
    };
    const char *state = json_str(x, "state");
    f->state = CI_WAITING;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i].word, state)) {
            f->state = words[i].state;
            f->conclusion = words[i].conclusion;
        }
    f->started_ms = ci_time(x, "started_at");
    f->ended_ms = f->state == CI_ENDED ? ci_time(x, "finished_at") : 0;
    f->updated_ms = ci_time(x, "updated_at") ? ci_time(x, "updated_at") : f->ended_ms ? f->ended_ms : f->started_ms;
    /* A build that is restarted keeps its id and starts anew. */
    f->attempt = f->started_ms / 1000;
}

static int emit_jobs(const json_t *jobs, const struct ci_fact *run, ci_emit emit, void *ctx, struct error *e)
{
    size_t i;
    json_t *x;
    int r = 0;
    char name[64];
    json_array_foreach (jobs, i, x) {
        struct ci_fact f = { .kind = CI_JOB,
                             .repository = run->repository,
                             .branch = run->branch,
                             .commit = run->commit,
                             .event = run->name };
        if (!json_int(x, "id", 0))
            continue;
        read_state(x, &f);
        f.attempt = run->attempt;
        (void)snprintf(f.id, sizeof f.id, "%lld", (long long)json_int(x, "id", 0));
        memcpy(f.run_id, run->id, sizeof f.run_id);
        (void)snprintf(name, sizeof name, "%.60s", ci_text(x, "number") ? ci_text(x, "number") : "job");
        f.name = name;
        r = emit(ctx, &f, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int64_t number_of(const json_t *x)
{
    int64_t n = json_int(x, "number", 0);
    const char *s = json_str(x, "number");
    return s && str_to_int64(s, &n) < 0 ? 0 : n;
}

int travis_read(const json_t *x, ci_emit emit, void *ctx, struct error *e)
{
    char repository[256];
    struct ci_fact f = { .kind = CI_RUN, .repository = repository, .name = "Travis CI" };
    const char *owner = json_str(x, "repository.owner_name"), *name = json_str(x, "repository.name");
    int n = snprintf(repository, sizeof repository, "%s/%s", owner ? owner : "", name ? name : "");
    if (!json_int(x, "id", 0) || n >= (int)sizeof repository || !ci_repository_ok(repository))
        return error_set(e, ERR_MALFORMED, "The delivery lacks the build's id or its repository.");
    read_state(x, &f);
    (void)snprintf(f.id, sizeof f.id, "%lld", (long long)json_int(x, "id", 0));
    f.number = number_of(x);
    f.event = ci_text(x, "type");
    f.tag = ci_text(x, "tag");
    f.branch = f.tag ? NULL : ci_text(x, "branch"); /* of a tag's build the branch is the tag's name */
    f.commit = ci_text(x, "commit");
    f.message = json_str(x, "message");
    f.author = json_str(x, "author_name");
    f.url = ci_text(x, "build_url");
    f.created_ms = f.started_ms;
    f.foreign = json_flag(x, "pull_request", false) || str_eq(f.event, "pull_request");
    if (!f.commit || strspn(f.commit, "0") == strlen(f.commit)) {
        f.kind = CI_IGNORED;
        f.reason = "The build has no commit.";
    }
    int r = emit(ctx, &f, e);
    return r == 0 && f.kind == CI_RUN ? emit_jobs(json_at(x, "matrix"), &f, emit, ctx, e) : r;
}

int travis_read_build(const json_t *x, const char *repository, ci_emit emit, void *ctx, struct error *e)
{
    const char *own = ci_text(x, "repository.slug"); /* as Travis spells it; a rule may spell it otherwise */
    struct ci_fact f = { .kind = CI_RUN, .repository = own ? own : repository, .name = "Travis CI" };
    if (!json_int(x, "id", 0))
        return error_set(e, ERR_UPSTREAM, "A build in Travis CI's answer has no id.");
    read_state(x, &f);
    (void)snprintf(f.id, sizeof f.id, "%lld", (long long)json_int(x, "id", 0));
    f.number = number_of(x);
    f.event = ci_text(x, "event_type");
    f.tag = ci_text(x, "tag.name");
    f.branch = f.tag ? NULL : ci_text(x, "branch.name");
    f.commit = ci_text(x, "commit.sha");
    f.message = json_str(x, "commit.message");
    f.author = json_str(x, "commit.author.name") ? json_str(x, "commit.author.name") : json_str(x, "created_by.login");
    f.created_ms = f.started_ms;
    f.foreign = str_eq(f.event, "pull_request") || json_int(x, "pull_request_number", 0) > 0;
    if (!f.commit)
        return 0;
    int r = emit(ctx, &f, e);
    return r == 0 ? emit_jobs(json_at(x, "jobs"), &f, emit, ctx, e) : r;
}
