#include "integrations/github/github_api.h"

#include "base/clock.h"
#include "base/str.h"
#include "http/client.h"

#include <stdio.h>

#define PAGE 100
#define PAGES_MAX 10 /* GitHub gives no more than 1,000 runs to such a question */
#define BODY_LIMIT ((size_t)16 << 20)
#define RETRY_MAX_S 3600

/* ---- answers ---- */

static int wait_of(const struct http_client_response *r)
{
    char text[64];
    int64_t n = 0;
    if (http_client_header(r, "Retry-After", text, sizeof text) && str_to_int64(text, &n) == 0 && n >= 0)
        return (int)(n < RETRY_MAX_S ? n : RETRY_MAX_S);
    if (http_client_header(r, "X-RateLimit-Reset", text, sizeof text) && str_to_int64(text, &n) == 0)
        n -= clock_now_ms() / 1000;
    return (int)(n < 1 ? 60 : n < RETRY_MAX_S ? n : RETRY_MAX_S);
}

/* Both limits are said by 403 or 429; a 403 without a limit's header is a permission that is missing. */
static bool is_limit(const struct http_client_response *r)
{
    char text[64];
    if (r->status == 429)
        return true;
    return r->status == 403 &&
           (http_client_header(r, "Retry-After", text, sizeof text) ||
            (http_client_header(r, "X-RateLimit-Remaining", text, sizeof text) && str_eq(text, "0")));
}

static int refused(const char *what, struct http_client_response *r, struct error *e)
{
    _cleanup_json_ json_t *body = NULL;
    if (is_limit(r)) {
        (void)error_set(e, ERR_RATE_LIMITED, "GitHub's rate limit is reached.");
        e->retry_after_s = wait_of(r);
        return -(int)ERR_RATE_LIMITED;
    }
    (void)json_parse(r->body.data ? r->body.data : "", r->body.len, &body, NULL);
    const char *message = json_str(body, "message");
    return error_set(e, r->status >= 500 ? ERR_UNAVAILABLE : ERR_UPSTREAM, "GitHub answered %d to %s%s%.200s",
                     r->status, what, message ? ": " : ".", message ? message : "");
}

static int call(const struct github_api *g, const char *method, const char *path, const json_t *body, const char *what,
                json_t **ret, struct error *e)
{
    static const struct http_client_header headers[] = {
        { "Accept", "application/vnd.github+json" },
        { "X-GitHub-Api-Version", "2022-11-28" },
        { "User-Agent", "hbcloud" },
        { "Content-Type", "application/json" },
    };
    _cleanup_response_ struct http_client_response response = { 0 };
    _cleanup_free_ char *url = str_printf("%s%s", g->base_url, path);
    _cleanup_free_ char *text = body ? json_text(body, NULL) : NULL;
    if (!url || (body && !text))
        return error_set(e, ERR_INTERNAL, "No memory.");
    struct http_client_request rq = { .method = method,
                                      .url = url,
                                      .headers = headers,
                                      .header_count = ARRAY_LEN(headers) - (body ? 0 : 1),
                                      .bearer = g->token,
                                      .body = text,
                                      .body_len = text ? strlen(text) : 0,
                                      .body_limit = BODY_LIMIT };
    int r = http_client_send(&rq, &response, e);
    if (r < 0)
        return r;
    if (response.status / 100 != 2)
        return refused(what, &response, e);
    r = json_parse(response.body.data ? response.body.data : "", response.body.len, ret, e);
    return r < 0 ? error_set(e, ERR_UPSTREAM, "GitHub's answer to %s is no JSON.", what) : 0;
}

/* ---- runs since a time ---- */

static int read_page(const struct github_api *g, const char *repository, int64_t since_ms, int page, ci_emit emit,
                     void *ctx, struct error *e)
{
    char at[TIME_TEXT_LEN + 1], path[512];
    size_t i;
    json_t *run, *answer = NULL;
    (void)time_format(since_ms, at);
    at[19] = '\0'; /* without milliseconds: the search knows none */
    (void)snprintf(path, sizeof path, "/repos/%s/actions/runs?per_page=%d&page=%d&created=%%3E%%3D%sZ", repository,
                   PAGE, page, at);
    int r = call(g, "GET", path, NULL, "the question for runs", &answer, e);
    json_array_foreach (json_at(answer, "workflow_runs"), i, run)
        if (r == 0)
            r = github_read_run(run, repository, NULL, emit, ctx, e);
    size_t n = json_array_size(json_at(answer, "workflow_runs"));
    json_decref(answer);
    return r < 0 ? r : n == PAGE;
}

int github_missed(const struct github_api *g, const char *repository, int64_t since_ms, ci_emit emit, void *ctx,
                  struct error *e)
{
    int more = ci_repository_ok(repository);
    if (!g->token || !more)
        return 0;
    for (int page = 1; more == 1 && page <= PAGES_MAX; page++)
        more = read_page(g, repository, since_ms, page, emit, ctx, e);
    return more < 0 ? more : 1;
}

/* ---- deployments: made once, then told how they go ---- */

static int make_deployment(const struct github_api *g, const struct ci_status *s, char remote[24], struct error *e)
{
    char path[400];
    json_t *answer = NULL;
    /* Neither merged nor held back by GitHub: the deployment is under way here. */
    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:[], s:b, s:{s:s}}", "ref", s->commit, "task", "deploy", "environment",
                  s->environment, "description", "Deployed by hbcloud", "auto_merge", 0, "required_contexts",
                  "production_environment", str_eq(s->environment, "production"), "payload", "hbcloud", s->id);
    (void)snprintf(path, sizeof path, "/repos/%s/deployments", s->repository);
    int r =
        body ? call(g, "POST", path, body, "a new deployment", &answer, e) : error_set(e, ERR_INTERNAL, "No memory.");
    int64_t id = json_int(answer, "id", 0);
    json_decref(answer);
    if (r < 0)
        return r;
    if (!id)
        return error_set(e, ERR_UPSTREAM, "GitHub's answer to a new deployment has no id.");
    (void)snprintf(remote, 24, "%lld", (long long)id);
    return 0;
}

int github_tell(const struct github_api *g, const struct ci_status *s, char remote[24], struct error *e)
{
    char path[400], description[141];
    json_t *answer = NULL;
    if (!g->token || !ci_repository_ok(s->repository))
        return 0;
    int r = *remote ? 0 : make_deployment(g, s, remote, e);
    if (r < 0)
        return r;
    str_copy(description, sizeof description, s->description);
    while (*description && !str_is_utf8(description, strlen(description)))
        description[strlen(description) - 1] = '\0';
    _cleanup_json_ json_t *body = json_pack("{s:s, s:s, s:s, s:b}", "state", s->state, "description", description,
                                            "environment", s->environment, "auto_inactive", 1);
    (void)snprintf(path, sizeof path, "/repos/%s/deployments/%s/statuses", s->repository, remote);
    r = body ? call(g, "POST", path, body, "a deployment's status", &answer, e)
             : error_set(e, ERR_INTERNAL, "No memory.");
    json_decref(answer);
    return r < 0 ? r : 1;
}
