#include "cli/ci_call.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

/* An empty variable is as good as none. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static const char *either(const char *a, const char *b)
{
    return a ? a : b;
}

static void read_github(struct ci_call *c)
{
    c->trigger = "github_actions";
    c->repository = variable("GITHUB_REPOSITORY");
    c->branch = either(variable("GITHUB_HEAD_REF"), variable("GITHUB_REF_NAME"));
    c->commit = variable("GITHUB_SHA");
    c->pipeline = variable("GITHUB_WORKFLOW");
    c->by = variable("GITHUB_ACTOR"); /* who started the run; that need not be who wrote the commit */
    c->run = variable("GITHUB_RUN_ID");
    c->attempt = variable("GITHUB_RUN_ATTEMPT");
    c->annotates = true;
}

static void read_travis(struct ci_call *c)
{
    c->trigger = "travis_ci";
    c->repository = variable("TRAVIS_REPO_SLUG");
    c->branch = either(variable("TRAVIS_PULL_REQUEST_BRANCH"), variable("TRAVIS_BRANCH"));
    c->commit = either(variable("TRAVIS_PULL_REQUEST_SHA"), variable("TRAVIS_COMMIT"));
    c->message = variable("TRAVIS_COMMIT_MESSAGE");
    c->pipeline = either(variable("TRAVIS_JOB_NAME"), variable("TRAVIS_JOB_NUMBER"));
    c->run = variable("TRAVIS_BUILD_ID");
    c->attempt = variable("TRAVIS_JOB_ID");
}

bool ci_call_read(const struct args *a, struct ci_call *ret)
{
    struct ci_call c = { 0 };
    if (str_eq(variable("GITHUB_ACTIONS"), "true"))
        read_github(&c);
    else if (str_eq(variable("TRAVIS"), "true"))
        read_travis(&c);
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
