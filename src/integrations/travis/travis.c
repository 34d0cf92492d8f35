#include "integrations/travis/travis.h"

#include "base/clock.h"
#include "base/str.h"
#include "http/client.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

#define ASK_EACH_MS 60000 /* for the public key */
#define ASK_MS 5000       /* the sender waits for our answer */
#define PAGE 100
#define PAGES_MAX 10

struct travis {
    struct ci_source source;
    const struct secret *token;
    char *base_url, *pinned;
    pthread_mutex_t lock; /* of what follows; held while the key is asked for, so that one asks */
    char *key;            /* PEM as Travis told it; NULL: not known */
    int64_t asked_ms;     /* monotonic; 0: never */
};

static struct travis *self(struct ci_source *s)
{
    return (struct travis *)(void *)s;
}

static void travis_free(struct ci_source *s)
{
    struct travis *t = self(s);
    (void)pthread_mutex_destroy(&t->lock);
    free(t->base_url);
    free(t->pinned);
    free(t->key);
    free(t);
}

/* ---- calls ---- */

static int call(const struct travis *t, const char *path, unsigned total_ms, bool known, json_t **ret, struct error *e)
{
    _cleanup_response_ struct http_client_response response = { 0 };
    _cleanup_free_ char *url = str_printf("%s%s", t->base_url, path);
    const struct http_client_header headers[] = { { "Travis-API-Version", "3" }, { "User-Agent", "hbcloud" } };
    _cleanup_secret_ struct secret *login = NULL;
    struct http_client_request rq = { .url = url,
                                      .headers = headers,
                                      .header_count = ARRAY_LEN(headers),
                                      .total_ms = total_ms,
                                      .attempts = known ? 0 : 1 };
    if (known && t->token) {
        char text[512];
        int n = snprintf(text, sizeof text, "token %s", secret_reveal(t->token, NULL));
        login = n > 0 && (size_t)n < sizeof text ? secret_new(text, (size_t)n) : NULL;
        secret_wipe(text, sizeof text);
        rq.secret_header = "Authorization";
        rq.secret = login;
    }
    if (!url || (known && t->token && !login))
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = http_client_send(&rq, &response, e);
    if (r < 0)
        return r;
    if (response.status == 429)
        return error_set(e, ERR_RATE_LIMITED, "Travis CI's rate limit is reached.");
    if (response.status != 200)
        return error_set(e, response.status >= 500 ? ERR_UNAVAILABLE : ERR_UPSTREAM, "Travis CI answered %d to %.100s.",
                         response.status, path);
    return json_parse(response.body.data ? response.body.data : "", response.body.len, ret, e);
}

/* ---- the key ---- */

/* With the lock. */
static int ask_key(struct travis *t, struct error *e)
{
    json_t *config = NULL;
    t->asked_ms = clock_mono_ms() + 1;
    int r = call(t, "/config", ASK_MS, false, &config, e);
    const char *pem = json_str(config, "config.notifications.webhook.public_key");
    char *copy = pem ? strdup(pem) : NULL;
    json_decref(config);
    if (r < 0)
        return error_set(e, ERR_UNAVAILABLE,
                         "The public key of Travis CI cannot be had now, so no delivery can be checked.");
    if (!copy)
        return error_set(e, ERR_UNAVAILABLE, "Travis CI's answer has no public key.");
    free(t->key);
    t->key = copy;
    return 0;
}

/* With the lock. The key is asked for anew when a signature does not fit, for it may have changed; once a minute at most. */
static int check_by_asked(struct travis *t, const char *header, const struct ci_delivery *d, struct error *e)
{
    bool may_ask = !t->asked_ms || clock_mono_ms() - t->asked_ms >= ASK_EACH_MS;
    int r = t->key ? travis_check_signature(t->key, header, d->payload, d->len, e) : 0;
    if (r != 0 || (t->key && !may_ask))
        return r;
    if (!may_ask)
        return error_set(e, ERR_UNAVAILABLE,
                         "The public key of Travis CI is not known yet. Send the delivery again later.");
    /* A known key goes on being right when the new one cannot be had. */
    struct error failed = ERROR_INIT;
    int asked = ask_key(t, t->key ? &failed : e);
    error_done(&failed);
    if (asked < 0)
        return t->key ? 0 : asked;
    return travis_check_signature(t->key, header, d->payload, d->len, e);
}

static int check(struct travis *t, const char *header, const struct ci_delivery *d, struct error *e)
{
    int r;
    if (t->pinned) {
        r = travis_check_signature(t->pinned, header, d->payload, d->len, e);
    } else {
        (void)pthread_mutex_lock(&t->lock);
        r = check_by_asked(t, header, d, e);
        (void)pthread_mutex_unlock(&t->lock);
    }
    if (r == 0)
        return error_set(e, ERR_UNAUTHENTICATED, "The signature does not fit the payload.");
    return r < 0 ? r : 0;
}

/* ---- deliveries ---- */

/* A delivery has no id: its content is its name. */
static int name_delivery(struct ci_delivery *d, struct error *e)
{
    uint8_t digest[32];
    if (!EVP_Digest(d->payload, d->len, digest, NULL, EVP_sha256(), NULL))
        return error_set(e, ERR_INTERNAL, "The delivery's name cannot be computed.");
    hex_encode(digest, sizeof digest, d->id);
    str_copy(d->event, sizeof d->event, "build");
    return 0;
}

static int receive(struct ci_source *s, const struct ci_request *in, struct ci_delivery *ret, struct error *e)
{
    struct ci_delivery d = { .payload = NULL };
    size_t n = in->header_count(in->ctx, "Signature");
    if (n != 1)
        return error_set(e, ERR_VALIDATION, "A delivery has the header Signature once; this one has it %zu times.", n);
    int r = ci_form_field(in->body, in->len, "payload", &d.payload, &d.len, e);
    if (r == 0)
        r = check(self(s), in->header(in->ctx, "Signature"), &d, e);
    if (r == 0)
        r = name_delivery(&d, e);
    if (r < 0) {
        free(d.payload);
        return r;
    }
    *ret = d;
    return 0;
}

static int read_delivery(struct ci_source *s UNUSED, const char *event UNUSED, const json_t *payload, ci_emit emit,
                         void *ctx, struct error *e)
{
    return travis_read(payload, emit, ctx, e);
}

/* ---- missed builds ---- */

/* 1: there may be more that are young enough. */
static int read_page(const struct travis *t, const char *repository, int64_t since_ms, int page, ci_emit emit,
                     void *ctx, struct error *e)
{
    char path[512];
    size_t i;
    json_t *build, *answer = NULL;
    const char *slash = strchr(repository, '/');
    bool young = true;
    (void)snprintf(path, sizeof path, "/repo/%.*s%%2F%s/builds?limit=%d&offset=%d&sort_by=id:desc&include=build.jobs",
                   (int)(slash - repository), repository, slash + 1, PAGE, page * PAGE);
    int r = call(t, path, 0, true, &answer, e);
    json_array_foreach (json_at(answer, "builds"), i, build) {
        const char *at = json_str(build, "updated_at") ? json_str(build, "updated_at") : json_str(build, "started_at");
        int64_t ms = 0;
        young = !at || time_parse(at, &ms) < 0 || ms >= since_ms;
        if (r == 0 && young)
            r = travis_read_build(build, repository, emit, ctx, e);
    }
    size_t n = json_array_size(json_at(answer, "builds"));
    json_decref(answer);
    return r < 0 ? r : n == PAGE && young;
}

static int missed(struct ci_source *s, const char *repository, int64_t since_ms, ci_emit emit, void *ctx,
                  struct error *e)
{
    const struct travis *t = self(s);
    int more = ci_repository_ok(repository);
    if (!t->token || !more)
        return 0;
    for (int page = 0; more == 1 && page < PAGES_MAX; page++)
        more = read_page(t, repository, since_ms, page, emit, ctx, e);
    return more < 0 ? more : 1;
}

static const struct ci_source_ops ops = {
    .name = "travis",
    .operation = "receiveTravisWebhook",
    .trigger = "travis_ci",
    .free = travis_free,
    .receive = receive,
    .read = read_delivery,
    .missed = missed,
};

int travis_new(const struct travis_options *o, struct ci_source **ret, struct error *e)
{
    struct travis *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(e, ERR_INTERNAL, "No memory.");
    t->source = (struct ci_source){ .ops = &ops, .connected = o->token != NULL };
    (void)pthread_mutex_init(&t->lock, NULL);
    t->base_url = strdup(o->base_url);
    t->pinned = o->public_key ? strdup(o->public_key) : NULL;
    t->token = o->token;
    if (!t->base_url || (o->public_key && !t->pinned)) {
        travis_free(&t->source);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    *ret = &t->source;
    return 0;
}
