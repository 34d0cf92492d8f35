#include "cli/ci_call.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

/* An empty variable is as good as none. */
static const char *variable(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

static const char *either(const char *a, const char *b)
{
    return a ? a : b;
}

/* The variables of a CI service, the first that is set counts. `by` is who started the run; that need not be who wrote the
 * commit. */
struct words {
    const char *mark; /* "true" within it */
    const char *trigger;
    const char *repository, *branch[2], *commit[2], *message, *pipeline[2], *by, *run, *attempt;
    bool annotates;
};
static const struct words services[] = {
    { .mark = "GITHUB_ACTIONS",
      .trigger = "github_actions",
      .repository = "GITHUB_REPOSITORY",
      .branch = { "GITHUB_HEAD_REF", "GITHUB_REF_NAME" },
      .commit = { "GITHUB_SHA" },
      .pipeline = { "GITHUB_WORKFLOW" },
      .by = "GITHUB_ACTOR",
      .run = "GITHUB_RUN_ID",
      .attempt = "GITHUB_RUN_ATTEMPT",
      .annotates = true },
    { .mark = "TRAVIS",
      .trigger = "travis_ci",
      .repository = "TRAVIS_REPO_SLUG",
      .branch = { "TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH" },
      .commit = { "TRAVIS_PULL_REQUEST_SHA", "TRAVIS_COMMIT" },
      .message = "TRAVIS_COMMIT_MESSAGE",
      .pipeline = { "TRAVIS_JOB_NAME", "TRAVIS_JOB_NUMBER" },
      .run = "TRAVIS_BUILD_ID",
      .attempt = "TRAVIS_JOB_ID" },
};

static const char *first_of(const char *const names[2])
{
    return either(variable(names[0]), variable(names[1]));
}

static void read_variables(const struct words *w, struct ci_call *c)
{
    *c = (struct ci_call){ .trigger = w->trigger,
                           .repository = variable(w->repository),
                           .branch = first_of(w->branch),
                           .commit = first_of(w->commit),
                           .message = variable(w->message),
                           .pipeline = first_of(w->pipeline),
                           .by = variable(w->by),
                           .run = variable(w->run),
                           .attempt = variable(w->attempt),
                           .annotates = w->annotates };
}

bool ci_call_read(const struct args *a, struct ci_call *ret)
{
    struct ci_call c = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(services) && !c.trigger; i++)
        if (str_eq(variable(services[i].mark), "true"))
            read_variables(&services[i], &c);
    c.trigger = either(args_get(a, "trigger"), c.trigger);
    c.pipeline = either(args_get(a, "pipeline"), c.pipeline);
    c.by = either(args_get(a, "initiated-by"), c.by);
    c.repository = either(args_get(a, "git-repository"), c.repository);
    c.branch = either(args_get(a, "git-branch"), c.branch);
    c.commit = either(args_get(a, "git-commit"), c.commit);
    c.message = either(args_get(a, "git-message"), c.message);
    c.author = either(args_get(a, "git-author"), c.author);
    c.key = args_get(a, "idempotency-key");
    *ret = c;
    return c.trigger || c.pipeline || c.by || c.repository || c.branch || c.commit || c.key;
}

static void put(json_t *document, const char *path, const char *value, size_t most)
{
    size_t len = value ? strlen(value) : 0;
    while (len > most || (len && !str_is_utf8(value, len)))
        len = len > most ? most : len - 1; /* not in the middle of a character */
    if (len)
        (void)json_put(document, path, json_stringn(value, len));
}

void ci_call_fill(const struct ci_call *c, json_t *document)
{
    put(document, "trigger", c->trigger, 32);
    put(document, "pipeline", c->pipeline, 255);
    put(document, "initiatedBy", c->by, 255);
    if (!c->repository || !c->branch || !c->commit)
        return; /* the contract takes all three or none */
    put(document, "git.repository", c->repository, 512);
    put(document, "git.branch", c->branch, 255);
    put(document, "git.commit", c->commit, 255);
    put(document, "git.commitMessage", c->message, 4000);
    put(document, "git.author", c->author, 255);
}

/* FNV-1a; it only has to tell runs apart: what is under the key is compared by the hub. */
static uint64_t hash_of(uint64_t h, const char *text)
{
    for (; text && *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (h ^ '|') * 1099511628211u;
}

void ci_call_key(const struct ci_call *c, const char *service, const char *image, char ret[CI_KEY_MAX])
{
    const char *parts[] = { c->trigger, c->repository, c->run, c->attempt, service, image };
    uint64_t h = 14695981039346656037u;
    ret[0] = '\0';
    if (!c->run)
        return;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        h = hash_of(h, parts[i]);
    (void)snprintf(ret, CI_KEY_MAX, "ci-%.40s-%.20s-%.63s-%016llx", c->run, c->attempt ? c->attempt : "1", service,
                   (unsigned long long)h);
    for (char *p = ret; *p; p++)
        if (*p < '!' || *p > '~')
            *p = '-';
}
