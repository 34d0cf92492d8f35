/* Numbers of what passed. The router counts anew after each change of its configuration, so they are added up here. */
#include "gateway/internal.h"

/* A counter that went back began anew: what it had reached before is kept below it. */
static void add_up(json_t *kept, const char *key, double now)
{
    json_t *x = json_object_get(kept, key);
    if (!x) {
        (void)json_object_set_new(kept, key, json_pack("{s:f, s:f}", "base", 0.0, "last", now));
        return;
    }
    double last = json_num(x, "last", 0);
    if (now < last)
        (void)json_object_set_new(x, "base", json_real(json_num(x, "base", 0) + last));
    (void)json_object_set_new(x, "last", json_real(now));
}

static void take_host(json_t *totals, const char *host, const json_t *counts)
{
    const char *key;
    json_t *value, *kept = json_object_get(totals, host);
    if (!kept &&
        (json_object_size(totals) >= GATEWAY_ROUTES_MAX || json_object_set_new(totals, host, kept = json_object()) < 0))
        return;
    json_object_foreach ((json_t *)(uintptr_t)counts, key, value)
        add_up(kept, key, json_number_value(value));
}

/* A host, or one of its counters, that is not told (any more) began anew, too. */
static void take_absent(json_t *totals, const json_t *hosts)
{
    const char *host, *key;
    json_t *kept, *x;
    json_object_foreach (totals, host, kept)
        json_object_foreach (kept, key, x)
            if (!json_object_get(json_object_get(hosts, host), key))
                add_up(kept, key, 0);
}

static json_t *summed(json_t *totals)
{
    const char *host, *key;
    json_t *kept, *x, *all = json_object();
    json_object_foreach (totals, host, kept) {
        json_t *sums = json_object();
        json_object_foreach (kept, key, x)
            (void)json_object_set_new(sums, key, json_real(json_num(x, "base", 0) + json_num(x, "last", 0)));
        (void)json_object_set_new(all, host, sums);
    }
    return all;
}

json_t *gateway_figures(struct gateway *g)
{
    const char *host;
    json_t *counts, *figures = NULL;
    if (!g->router)
        return NULL;
    (void)pthread_mutex_lock(
        &g->figures_lock); /* over the call: an older answer taken last looks like a new beginning */
    int r = g->router->ops->figures(g->router, &figures, NULL);
    json_t *hosts = r < 0 ? NULL : json_object_get(figures, "hosts");
    if (json_is_object(hosts)) {
        json_object_foreach (hosts, host, counts)
            take_host(g->totals, host, counts);
        take_absent(g->totals, hosts);
        (void)json_object_set_new(figures, "hosts", summed(g->totals));
    }
    (void)pthread_mutex_unlock(&g->figures_lock);
    return figures;
}
