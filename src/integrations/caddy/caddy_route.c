/* What our routes look like. The fields of a service's proxy were measured: see docs/architecture/decisions/0008. */
#include "integrations/caddy/caddy_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRY_AFTER "5"
/* What the proxy says when nobody took the connection; all else is an answer that broke. */
#define NOBODY "^(dial |making dial info|no upstreams)"

static const char page[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>%s</title></head>\n<body style=\"font-family:system-ui,"
    "sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem\"><h1>%s</h1><p>%s</p></body></html>\n";

/* One member more; steals the value, also when there is no object. */
static void put(json_t *object, const char *key, json_t *value)
{
    if (!value || json_object_set_new(object, key, value) < 0)
        return;
}

static json_t *answer(const char *status, const char *title, const char *text, bool again)
{
    _cleanup_free_ char *body = str_printf(page, title, title, text);
    json_t *headers =
        json_pack("{s:[s], s:[s]}", "Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store");
    if (again)
        put(headers, "Retry-After", json_pack("[s]", RETRY_AFTER));
    return json_pack("{s:s, s:s, s:o, s:s}", "handler", "static_response", "status_code", status, "headers", headers,
                     "body", body ? body : "");
}

static json_t *errors(void)
{
    json_t *nobody = answer("503", "Not available",
                            "This service has no healthy instance right now. Please try again in a moment.", true);
    json_t *broken =
        answer("{http.error.status_code}", "No answer", "This service did not answer this request.", false);
    return json_pack("{s:[{s:[{s:{s:{s:s}}}], s:[o]}, {s:[o]}]}", "routes", "match", "vars_regexp",
                     "{http.error.message}", "pattern", NOBODY, "handle", nobody, "handle", broken);
}

/* ---- one service ---- */

static json_t *slot(const struct caddy *c, const char *path)
{
    const char *name = strrchr(path, '/');
    char dial[4096];
    if (c->slot_directory)
        (void)snprintf(dial, sizeof dial, "{file.%s/%s}", c->slot_directory, name ? name + 1 : path);
    else
        (void)snprintf(dial, sizeof dial, "{file.%s}", path);
    return json_pack("{s:s}", "dial", dial);
}

static json_t *proxy(const struct caddy *c, const struct router_route *route)
{
    json_t *upstreams = json_array();
    for (size_t i = 0; i < route->slot_count; i++)
        (void)json_array_append_new(upstreams, slot(c, route->slots[i]));
    return json_pack("{s:s, s:o, s:{s:{s:s}, s:s, s:s}, s:s, s:{s:s, s:{s:s}}}", "handler", "reverse_proxy",
                     "upstreams", upstreams, "load_balancing", "selection_policy", "policy", "round_robin",
                     "try_duration", "5s", "try_interval", "100ms", "stream_close_delay", "1h", "transport", "protocol",
                     "http", "keep_alive", "idle_timeout", "2s");
}

/* What a service did not say itself about how browsers may treat its answers. */
static json_t *usual_header(const char *name, const char *value)
{
    return json_pack("{s:s, s:{s:{s:[s]}, s:{s:{s:n}}}}", "handler", "headers", "response", "set", name, value,
                     "require", "headers", name);
}

/* Caddy would put what it can read in place of "{file.…}" and "{env.…}": a brace of the service's owner is only a brace. */
static json_t *literal(const char *text)
{
    struct buf b;
    buf_init(&b, 0);
    bool braces = strchr(text, '{') != NULL; /* without one Caddy looks for nothing, and takes no escape away */
    for (; *text; text++)
        (void)(braces && strchr("{}", *text) ? buf_printf(&b, "\\%c", *text) : buf_putc(&b, *text));
    _cleanup_free_ char *escaped = buf_steal(&b);
    return json_string(escaped ? escaped : "");
}

static json_t *own_headers(const json_t *headers)
{
    const char *name;
    json_t *value, *set = json_object();
    json_object_foreach ((json_t *)(uintptr_t)headers, name, value)
        if (json_is_string(value))
            put(set, name, json_pack("[o]", literal(json_string_value(value))));
    return json_pack("{s:s, s:{s:o, s:b}}", "handler", "headers", "response", "set", set, "deferred", 1);
}

static json_t *rate_limit(const struct router_route *route, const json_t *limit)
{
    char window[32];
    (void)snprintf(window, sizeof window, "%llds", (long long)json_int(limit, "window", 60));
    return json_pack("{s:s, s:{s:{s:s, s:s, s:I}}}", "handler", "rate_limit", "rate_limits", route->service_id, "key",
                     "{http.request.remote.host}", "window", window, "max_events",
                     (json_int_t)json_int(limit, "requests", 100));
}

json_t *caddy_route(const struct caddy *c, const struct router_route *route, bool rate_limits)
{
    const json_t *headers = json_object_get(route->networking, "headers"),
                 *limit = json_object_get(route->networking, "rateLimit");
    json_t *handle = json_array();
    char id[300];
    (void)snprintf(id, sizeof id, ID_ROUTE "%s", route->name);
    if (rate_limits && json_is_object(limit))
        (void)json_array_append_new(handle, rate_limit(route, limit));
    (void)json_array_append_new(handle, usual_header("X-Content-Type-Options", "nosniff"));
    (void)json_array_append_new(handle, usual_header("Referrer-Policy", "strict-origin-when-cross-origin"));
    if (json_object_size(headers))
        (void)json_array_append_new(handle, own_headers(headers));
    (void)json_array_append_new(handle, proxy(c, route));
    return json_pack("{s:s, s:[{s:O}], s:o, s:b}", "@id", id, "match", "host", route->domains, "handle", handle,
                     "terminal", 1);
}

/* ---- our part ---- */

static bool is_wild(const json_t *route)
{
    size_t i;
    json_t *host;
    json_array_foreach (json_object_get(json_array_get(json_object_get(route, "match"), 0), "host"), i, host)
        if (json_string_value(host) && json_string_value(host)[0] == '*')
            return true;
    return false;
}

static void take(json_t *routes, json_t *hosts, json_t *route)
{
    (void)json_array_append(routes, route);
    (void)json_array_extend(hosts, json_object_get(json_array_get(json_object_get(route, "match"), 0), "host"));
}

json_t *caddy_part(json_t *const *list, size_t n)
{
    json_t *routes = json_array(), *hosts = json_array();
    for (int wild = 0; wild < 2; wild++) /* a name comes before the wildcard that holds it, too */
        for (size_t i = 0; i < n; i++)
            if (list[i] && is_wild(list[i]) == (wild == 1))
                take(routes, hosts, list[i]);
    if (json_array_size(routes) == 0) {
        json_decref(routes);
        json_decref(hosts);
        return NULL;
    }
    return json_pack("{s:s, s:[{s:o}], s:[{s:s, s:o, s:o}], s:b}", "@id", ID_PART, "match", "host", hosts, "handle",
                     "handler", "subroute", "routes", routes, "errors", errors(), "terminal", 1);
}

/* ---- names of the owner's domain that nobody serves ---- */

json_t *caddy_unknown(const struct caddy *c)
{
    char pattern[600];
    size_t at = 0;
    if (!c->domain)
        return NULL;
    at += (size_t)snprintf(pattern, sizeof pattern, "(?i)^(.+\\.)?");
    for (const char *p = c->domain; *p && at + 8 < sizeof pattern; p++) {
        if (*p == '.')
            pattern[at++] = '\\';
        pattern[at++] = *p;
    }
    pattern[at++] = '$';
    pattern[at] = '\0';
    /* By a pattern, not by a host matcher: Caddy would ask for a certificate of the wildcard, which needs a DNS challenge. Its
     * own authority signs it without. */
    json_t *answers = answer("404", "Nothing here", "No service has this name.", false);
    if (str_eq(c->issuer, "internal")) {
        char wildcard[300];
        (void)snprintf(wildcard, sizeof wildcard, "*.%s", c->domain);
        return json_pack("{s:s, s:[{s:[s, s]}], s:[o], s:b}", "@id", ID_UNKNOWN, "match", "host", wildcard, c->domain,
                         "handle", answers, "terminal", 1);
    }
    return json_pack("{s:s, s:[{s:{s:{s:s}}}], s:[o], s:b}", "@id", ID_UNKNOWN, "match", "vars_regexp",
                     "{http.request.host}", "pattern", pattern, "handle", answers, "terminal", 1);
}

/* ---- certificates ---- */

static json_t *issuer(const struct caddy *c)
{
    if (str_eq(c->issuer, "internal"))
        return json_pack("{s:s}", "module", "internal");
    json_t *acme = json_pack("{s:s}", "module", "acme");
    if (c->acme_directory)
        put(acme, "ca", json_string(c->acme_directory));
    if (c->acme_ca_file)
        put(acme, "trusted_roots_pem_files", json_pack("[s]", c->acme_ca_file));
    return acme;
}

static bool below(const char *host, const char *domain)
{
    const char *dot = strchr(host, '.');
    return str_eq(host, domain) || (domain && dot && str_eq(dot + 1, domain));
}

/* Names below the owner's domain are one subject, so that one more of them does not change the policy. */
json_t *caddy_policy(const struct caddy *c, const json_t *part)
{
    size_t i;
    json_t *host;
    if (!part || (!str_eq(c->issuer, "internal") && !str_eq(c->issuer, "acme")))
        return NULL;
    json_t *subjects = json_array();
    if (c->domain) {
        char wildcard[300];
        (void)snprintf(wildcard, sizeof wildcard, "*.%s", c->domain);
        (void)json_array_append_new(subjects, json_string(wildcard));
        (void)json_array_append_new(subjects, json_string(c->domain));
    }
    json_array_foreach (json_object_get(json_array_get(json_object_get(part, "match"), 0), "host"), i, host)
        if (!below(json_string_value(host), c->domain))
            (void)json_array_append(subjects, host);
    return json_pack("{s:s, s:o, s:[o]}", "@id", ID_POLICY, "subjects", subjects, "issuers", issuer(c));
}
