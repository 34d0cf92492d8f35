#include "integrations/github/github_api.h"

#include "base/str.h"

#include <stdio.h>

struct github {
    struct ci_source source;
    const struct secret *webhook_secret;
    char *base_url;
    struct github_api api;
};

static struct github *self(struct ci_source *s)
{
    return (struct github *)(void *)s;
}

static void github_free(struct ci_source *s)
{
    free(self(s)->base_url);
    free(s);
}

/* ---- deliveries ---- */

static bool id_ok(const char *text)
{
    size_t n = text ? strlen(text) : 0;
    return n && n <= 64 && strspn(text, "0123456789abcdefABCDEF-") == n;
}

static bool event_ok(const char *text)
{
    size_t n = text ? strlen(text) : 0;
    return n && n < 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz_") == n;
}

static int check_headers(const struct ci_request *in, const char **ret_signature, struct error *e)
{
    static const char *const once[] = { "X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery" };
    for (size_t i = 0; i < ARRAY_LEN(once); i++) {
        size_t n = in->header_count(in->ctx, once[i]);
        if (n != 1)
            return error_set(e, ERR_VALIDATION, "A delivery has the header %s once; this one has it %zu times.",
                             once[i], n);
    }
    if (!event_ok(in->header(in->ctx, "X-GitHub-Event")) || !id_ok(in->header(in->ctx, "X-GitHub-Delivery")))
        return error_set(e, ERR_VALIDATION, "X-GitHub-Event or X-GitHub-Delivery is not of GitHub's form.");
    *ret_signature = in->header(in->ctx, "X-Hub-Signature-256");
    return 0;
}

static int take_payload(const struct ci_request *in, struct ci_delivery *d, struct error *e)
{
    if (in->content_type && strncasecmp(in->content_type, "application/x-www-form-urlencoded", 33) == 0)
        return ci_form_field(in->body, in->len, "payload", &d->payload, &d->len, e);
    d->payload = malloc(in->len + 1);
    if (!d->payload)
        return error_set(e, ERR_INTERNAL, "No memory.");
    memcpy(d->payload, in->body, in->len);
    d->payload[in->len] = '\0';
    d->len = in->len;
    return 0;
}

static int receive(struct ci_source *s, const struct ci_request *in, struct ci_delivery *ret, struct error *e)
{
    const char *signature = NULL;
    if (!self(s)->webhook_secret)
        return error_set(e, ERR_UNAVAILABLE,
                         "Deliveries of GitHub are not taken here: GITHUB_WEBHOOK_SECRET is not set.");
    int r = check_headers(in, &signature, e);
    if (r == 0)
        r = github_check_signature(self(s)->webhook_secret, signature, in->body, in->len, e);
    if (r < 0)
        return r;
    struct ci_delivery d = { .payload = NULL };
    str_copy(d.id, sizeof d.id, in->header(in->ctx, "X-GitHub-Delivery"));
    str_copy(d.event, sizeof d.event, in->header(in->ctx, "X-GitHub-Event"));
    r = take_payload(in, &d, e);
    if (r == 0)
        *ret = d;
    return r;
}

static int read_delivery(struct ci_source *s UNUSED, const char *event, const json_t *payload, ci_emit emit, void *ctx,
                         struct error *e)
{
    return github_read(event, payload, emit, ctx, e);
}

static int missed(struct ci_source *s, const char *repository, int64_t since_ms, ci_emit emit, void *ctx,
                  struct error *e)
{
    return github_missed(&self(s)->api, repository, since_ms, emit, ctx, e);
}

static int tell(struct ci_source *s, const struct ci_status *status, char remote[24], struct error *e)
{
    return github_tell(&self(s)->api, status, remote, e);
}

static const struct ci_source_ops ops = {
    .name = "github",
    .operation = "receiveGithubWebhook",
    .trigger = "github_actions",
    .free = github_free,
    .receive = receive,
    .read = read_delivery,
    .missed = missed,
    .tell = tell,
};

int github_new(const struct github_options *o, struct ci_source **ret, struct error *e)
{
    struct github *g = calloc(1, sizeof *g);
    if (!g || !(g->base_url = strdup(o->base_url))) {
        free(g);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    g->source = (struct ci_source){ .ops = &ops, .connected = o->token != NULL };
    g->webhook_secret = o->webhook_secret;
    g->api = (struct github_api){ .base_url = g->base_url, .token = o->token };
    *ret = &g->source;
    return 0;
}
