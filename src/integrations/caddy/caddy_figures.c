/* Numbers that Caddy keeps: requests in flight by address, and its metrics by host where somebody switched those on. */
#include "integrations/caddy/caddy_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define METRICS_LINE_MAX 2048

int caddy_in_flight(struct router *router, const char *address, int64_t *ret, struct error *e)
{
    size_t i;
    json_t *row;
    int64_t n = 0;
    _cleanup_json_ json_t *rows = NULL;
    int r = caddy_read((struct caddy *)router, "/reverse_proxy/upstreams", &rows, NULL, 0, e);
    if (r < 0)
        return r;
    json_array_foreach (rows, i, row)
        if (str_eq(json_str(row, "address"), address))
            n += json_int(row, "num_requests", 0);
    *ret = n;
    return 0;
}

/* ---- metrics ---- */

/* Of `caddy_http_request_duration_seconds_count{code="200",handler="subroute",host="a.b",…} 3`: each request passes our
 * subroute once. */
static bool label(const char *labels, const char *name, char *ret, size_t size)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s=\"", name);
    const char *at = strstr(labels, key);
    if (!at)
        return false;
    at += strlen(key);
    (void)snprintf(ret, size, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

static void add(json_t *hosts, const char *host, const char *key, double value)
{
    json_t *h = json_object_get(hosts, host);
    if (!h && json_object_set_new(hosts, host, h = json_object()) < 0)
        return;
    (void)json_object_set_new(h, key, json_real(json_number_value(json_object_get(h, key)) + value));
}

static void read_line(const char *line, json_t *hosts)
{
    static const struct {
        const char *name, *key;
    } wanted[] = { { "caddy_http_request_duration_seconds_count{", NULL },
                   { "caddy_http_request_duration_seconds_sum{", "seconds" },
                   { "caddy_http_response_size_bytes_sum{", "bytes" } };
    char host[300], handler[64], code[16];
    const char *value = strrchr(line, ' ');
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (!str_starts(line, wanted[i].name) || !value || !label(line, "host", host, sizeof host) ||
            !label(line, "handler", handler, sizeof handler) || !str_eq(handler, "subroute"))
            continue;
        if (wanted[i].key)
            add(hosts, host, wanted[i].key, strtod(value, NULL));
        else if (label(line, "code", code, sizeof code) && code[0] >= '1' && code[0] <= '5')
            add(hosts, host, (char[]){ code[0], 'x', 'x', '\0' }, strtod(value, NULL));
    }
}

/* "{file.DIR/service.3}" is a slot of the service. */
static void count_slot(json_t *services, const char *address, json_int_t n)
{
    char id[256];
    const char *name = address && str_starts(address, "{file.") ? strrchr(address, '/') : NULL,
               *dot = name ? strrchr(name, '.') : NULL;
    if (!dot || dot - name < 2 || (size_t)(dot - name) > sizeof id)
        return;
    (void)snprintf(id, sizeof id, "%.*s", (int)(dot - name - 1), name + 1);
    (void)json_object_set_new(services, id, json_integer(json_integer_value(json_object_get(services, id)) + n));
}

static int in_flight(struct caddy *c, json_t **ret, struct error *e)
{
    size_t i;
    json_t *row;
    _cleanup_json_ json_t *rows = NULL;
    int r = caddy_read(c, "/reverse_proxy/upstreams", &rows, NULL, 0, e);
    if (r < 0)
        return r;
    *ret = json_object();
    json_array_foreach (rows, i, row)
        count_slot(*ret, json_str(row, "address"), (json_int_t)json_int(row, "num_requests", 0));
    return 0;
}

/* Null: it did not say. That is not the same as nobody: who adds up would take it for a count that began anew. */
static json_t *by_host(struct caddy *c)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_response_ struct http_client_response rs;
    char *rest = NULL;
    if (caddy_call(c, "GET", "/metrics", NULL, NULL, &rs, &e) < 0)
        return json_null();
    json_t *hosts = json_object();
    for (char *line = rs.body.data ? strtok_r(rs.body.data, "\n", &rest) : NULL; line && hosts;
         line = strtok_r(NULL, "\n", &rest))
        if (line[0] != '#')
            read_line(line, hosts);
    return hosts;
}

static bool counts_by_host(struct caddy *c)
{
    _cleanup_json_ json_t *on = NULL;
    return caddy_read(c, "/config/apps/http/metrics", &on, NULL, 0, NULL) == 0 && json_flag(on, "per_host", false);
}

int caddy_figures(struct router *router, json_t **ret, struct error *e)
{
    struct caddy *c = (struct caddy *)router;
    json_t *services = NULL;
    int r = in_flight(c, &services, e);
    if (r < 0)
        return r;
    json_t *all = json_pack("{s:o, s:o}", "hosts", counts_by_host(c) ? by_host(c) : json_null(), "inFlight", services);
    if (!all)
        return error_set(e, ERR_INTERNAL, "No memory.");
    *ret = all;
    return 0;
}
