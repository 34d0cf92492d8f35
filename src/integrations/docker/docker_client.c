#include "integrations/docker/docker_client.h"

#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_version.h"

#include <errno.h>
#include <pthread.h>

#define CLIENT_MAGIC 0x64636c69u
#define AGREE_MS 10000

struct docker_client {
    uint32_t magic;
    struct docker_http *http;
    pthread_mutex_t lock;
    struct docker_range range; /* used 0: not agreed */
    bool passed_on;            /* by a server that answers some calls itself */
};

int docker_client_new(const struct docker_target_options *to, struct docker_client **ret, struct error *e)
{
    struct docker_client *c = calloc(1, sizeof(*c));
    if (!c)
        return error_errno(e, -ENOMEM, "Preparing the container engine");
    c->magic = CLIENT_MAGIC;
    c->passed_on = to->prefix != NULL;
    pthread_mutex_init(&c->lock, NULL);
    int r = docker_http_new(to, &c->http, e);
    if (r < 0) {
        docker_client_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void docker_client_free(struct docker_client *c)
{
    if (!c)
        return;
    MAGIC_CHECK(c, CLIENT_MAGIC);
    docker_http_free(c->http);
    pthread_mutex_destroy(&c->lock);
    c->magic = 0;
    free(c);
}

static struct docker_range range_get(struct docker_client *c)
{
    pthread_mutex_lock(&c->lock);
    struct docker_range r = c->range;
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void range_set(struct docker_client *c, struct docker_range r)
{
    pthread_mutex_lock(&c->lock);
    c->range = r;
    pthread_mutex_unlock(&c->lock);
}

static int get(struct docker_client *c, const char *path, struct docker_reply *ret, struct error *e)
{
    struct docker_call call = { .method = "GET", .path = path, .deadline_ms = AGREE_MS };
    return docker_http_call(c->http, &call, ret, e);
}

/* A server between answers 404 for an engine that it does not know: not to be taken for a container that is gone. Its
 * own answers have "details", an engine's have none. */
static int refuse_foreign(const struct docker_client *c, struct docker_reply *reply, struct error *e)
{
    _cleanup_json_ json_t *said = NULL;
    char words[DOCKER_WORDS_MAX];
    if (!c->passed_on || reply->status < 400)
        return 0;
    (void)json_parse(buf_str(&reply->body), reply->body.len, &said, NULL);
    const char *message = json_str(said, "message");
    if (reply->status != 401 && !json_at(said, "details"))
        return 0;
    docker_words(words, message ? message : "", message ? strlen(message) : 0);
    if (reply->status == 401 || reply->status == 403)
        return error_set(e, ERR_UPSTREAM, "The access token was refused (%ld): %.200s", reply->status, words);
    return error_set(e, reply->status == 404 ? ERR_UPSTREAM : ERR_UNAVAILABLE,
                     "What stands before the container engine answers (%ld): %.200s", reply->status, words);
}

/* Engines that do not say their lowest version here say the newest one in a ping. */
static int ask_ping(struct docker_client *c, struct docker_range *ret, struct error *e)
{
    _cleanup_(docker_reply_done) struct docker_reply reply;
    int r = get(c, "/_ping", &reply, e);
    if (r == 0)
        r = refuse_foreign(c, &reply, e);
    if (r < 0)
        return r;
    if (docker_version_parse(reply.api_version, &ret->max) < 0)
        return error_set(e, ERR_UPSTREAM,
                         "What answers (status %ld) does not say which Docker API it speaks; is it a "
                         "container engine?",
                         reply.status);
    ret->min = 0;
    return 0;
}

static int ask_version(struct docker_client *c, struct docker_range *ret, json_t **ret_version, struct error *e)
{
    _cleanup_(docker_reply_done) struct docker_reply reply;
    _cleanup_json_ json_t *version = NULL;
    int r = get(c, "/version", &reply, e);
    if (r == 0)
        r = refuse_foreign(c, &reply, e);
    if (r < 0)
        return r;
    bool read = reply.status == 200 && json_parse(buf_str(&reply.body), reply.body.len, &version, NULL) == 0;
    if (!read || docker_version_parse(json_str(version, "ApiVersion"), &ret->max) < 0)
        return ask_ping(c, ret, e);
    if (docker_version_parse(json_str(version, "MinAPIVersion"), &ret->min) < 0)
        ret->min = 0;
    *ret_version = TAKE(version);
    return 0;
}

int docker_client_agree(struct docker_client *c, struct docker_range *ret, json_t **ret_version, struct error *e)
{
    MAGIC_CHECK(c, CLIENT_MAGIC);
    struct docker_range range = { 0 };
    _cleanup_json_ json_t *version = NULL;
    int r = ask_version(c, &range, &version, e);
    if (r == 0)
        r = docker_version_agree(range.min, range.max, &range.used, e);
    if (r < 0) {
        range_set(c, (struct docker_range){ 0 });
        return r;
    }
    range_set(c, range);
    *ret = range;
    if (ret_version)
        *ret_version = version ? TAKE(version) : json_object();
    return 0;
}

static int call_once(struct docker_client *c, const struct docker_call *call, const struct docker_range *range,
                     struct docker_reply *ret, struct error *e)
{
    char version[16];
    int max;
    _cleanup_free_ char *path = str_printf("/v%s%s", docker_version_format(range->used, version), call->path);
    struct docker_call versioned = *call;
    if (!path)
        return error_errno(e, -ENOMEM, "Calling the container engine");
    versioned.path = path;
    docker_reply_done(ret);
    int r = docker_http_call(c->http, &versioned, ret, e);
    if (r == 0)
        r = refuse_foreign(c, ret, e);
    /* Gone, or another one by now: what was agreed need not hold for the next call. */
    bool replaced = docker_version_parse(ret->api_version, &max) == 0 && max != range->max;
    if (replaced || r == -(int)ERR_UNAVAILABLE)
        range_set(c, (struct docker_range){ 0 });
    return r;
}

int docker_client_call(struct docker_client *c, const struct docker_call *call, struct docker_reply *ret,
                       struct error *e)
{
    MAGIC_CHECK(c, CLIENT_MAGIC);
    memset(ret, 0, sizeof(*ret));
    struct docker_range range = range_get(c);
    bool fresh = !range.used;
    int r = fresh ? docker_client_agree(c, &range, NULL, e) : 0;
    if (r == 0)
        r = call_once(c, call, &range, ret, e);
    if (r < 0 || fresh || !docker_version_refused(ret->status, buf_str(&ret->body)))
        return r;
    r = docker_client_agree(c, &range, NULL, e);
    return r < 0 ? r : call_once(c, call, &range, ret, e);
}

int docker_client_get(struct docker_client *c, const char *path, int64_t deadline_ms, const char *what, json_t **ret,
                      struct error *e)
{
    struct docker_call call = { .method = "GET", .path = path, .deadline_ms = deadline_ms };
    _cleanup_(docker_reply_done) struct docker_reply reply;
    _cleanup_error_ struct error inner = ERROR_INIT;
    int r = docker_client_call(c, &call, &reply, e);
    if (r < 0)
        return r;
    if (reply.status != 200)
        return docker_refused(reply.status, buf_str(&reply.body), reply.body.len, what, NULL, e);
    if (json_parse(buf_str(&reply.body), reply.body.len, ret, &inner) < 0)
        return error_set(e, ERR_UPSTREAM, "The container engine's answer about %.100s cannot be read. %.200s", what,
                         inner.message);
    return 0;
}
