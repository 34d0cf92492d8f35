#include "integrations/caddy/caddy_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void caddy_free(struct router *router)
{
    struct caddy *c = (struct caddy *)router;
    if (!c)
        return;
    free(c->base);
    free(c->socket);
    free(c->origin);
    free(c->server);
    free(c->listen);
    free(c->slot_directory);
    free(c->domain);
    free(c->issuer);
    free(c->acme_directory);
    free(c->acme_ca_file);
    json_decref(c->applied);
    json_decref(c->unknown);
    json_decref(c->policy);
    (void)pthread_mutex_destroy(&c->turn);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static int info(struct router *router, struct router_info *ret, struct error *e)
{
    struct caddy *c = (struct caddy *)router;
    struct router_info found = { .port = 0 };
    int r = caddy_front(c, &found, e);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&c->lock);
    found.rate_limits = c->rate_limits;
    (void)pthread_mutex_unlock(&c->lock);
    *ret = found;
    return 0;
}

static char *render(struct router *router, const struct router_route *route)
{
    struct caddy *c = (struct caddy *)router;
    (void)pthread_mutex_lock(&c->lock);
    bool limits = c->rate_limits;
    (void)pthread_mutex_unlock(&c->lock);
    _cleanup_json_ json_t *d = caddy_route(c, route, limits);
    return d ? json_dumps(d, JSON_INDENT(2)) : NULL;
}

static const struct router_ops ops = {
    .info = info,
    .check = caddy_check,
    .apply = caddy_apply,
    .intact = caddy_intact,
    .render = render,
    .in_flight = caddy_in_flight,
    .figures = caddy_figures,
    .free = caddy_free,
};

static char *copy(const char *text)
{
    return text && text[0] ? strdup(text) : NULL;
}

/* "scheme://host:port" without a path; a socket's calls go to a name that Caddy lets in. */
static int read_url(struct caddy *c, const char *url, struct error *e)
{
    if (str_starts(url, "unix://") && url[7] == '/') {
        c->socket = strdup(url + 7);
        c->base = strdup("http://127.0.0.1");
        c->origin = strdup("http://127.0.0.1");
        str_copy(c->host, sizeof c->host, "127.0.0.1");
        return 0;
    }
    const char *host = str_starts(url, "http://") ? url + 7 : str_starts(url, "https://") ? url + 8 : NULL;
    size_t n = host ? strcspn(host, "/?#") : 0;
    if (n == 0 || memchr(host, '@', n))
        return error_set(e, ERR_VALIDATION, "caddy.admin_url must be http://HOST:PORT or unix:///PATH.");
    c->base = str_printf("%.*s", (int)(host - url + (ptrdiff_t)n), url);
    c->origin = copy(c->base);
    bool bracketed = host[0] == '[';
    (void)snprintf(c->host, sizeof c->host, "%.*s", (int)n - bracketed, host + bracketed);
    c->host[strcspn(c->host, bracketed ? "]" : ":")] = '\0';
    return 0;
}

int caddy_router_new(const struct caddy_options *o, struct router **ret, struct error *e)
{
    struct caddy *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(e, ERR_INTERNAL, "No memory.");
    c->router.ops = &ops;
    (void)pthread_mutex_init(&c->turn, NULL);
    (void)pthread_mutex_init(&c->lock, NULL);
    int r = read_url(c, o->admin_url, e);
    c->server = copy(o->server);
    c->listen = copy(o->listen ? o->listen : ":443");
    c->slot_directory = copy(o->slot_directory);
    c->domain = copy(o->domain);
    c->issuer = copy(o->issuer ? o->issuer : "default");
    c->acme_directory = copy(o->acme_directory);
    c->acme_ca_file = copy(o->acme_ca_file);
    if (r == 0 && (!c->base || !c->origin || !c->listen || !c->issuer))
        r = error_set(e, ERR_INTERNAL, "No memory.");
    if (r < 0) {
        caddy_free(&c->router);
        return r;
    }
    *ret = &c->router;
    return 0;
}
