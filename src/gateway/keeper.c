/* Slots follow the instances' health between deployments: one that fails leaves the route, and is back when its check
 * says so; one that started anew at another port is found there. While a deployment of the service is under way, that
 * decides alone. */
#define LOG_ROOM "gateway"
#include "gateway/internal.h"

#include "base/log.h"

struct present {
    char addresses[GATEWAY_SLOTS_MAX][300];
    size_t n;
    char silent[GATEWAY_SLOTS_MAX][300]; /* on a node whose engine does not answer: may well serve */
    size_t silent_n;
    bool coming; /* somebody runs of whom is not known yet whether he serves: worth waiting for */
};

static bool holds(const json_t *list, const char *text)
{
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x)
        if (str_eq(json_string_value(x), text))
            return true;
    return false;
}

static void take(char list[GATEWAY_SLOTS_MAX][300], size_t *n, const char *address)
{
    if (*n < GATEWAY_SLOTS_MAX)
        str_copy(list[(*n)++], 300, address);
}

/* Unknown is no failure: who was let in stays, who is new waits for his first good check. */
static void judge(const json_t *document, const json_t *now, struct present *p)
{
    char address[300];
    const char *health = json_str(document, "status.health");
    bool known = runtime_instance_address(document, address, sizeof address) && address_good(address);
    if (str_eq(json_str(document, "container.state"), "unreachable")) {
        if (known && holds(now, address))
            take(p->silent, &p->silent_n, address);
        return;
    }
    if (!str_eq(json_str(document, "status.deployment"), "running"))
        return;
    if (known && (str_eq(health, "healthy") || (str_eq(health, "unknown") && holds(now, address))))
        take(p->addresses, &p->n, address);
    else if (!str_eq(health, "unhealthy"))
        p->coming = true;
}

/* Where nobody is known to serve, those of whom nothing is known are better than nobody. */
static void fall_back(struct present *p)
{
    for (size_t i = 0; p->n == 0 && !p->coming && i < p->silent_n; i++)
        str_copy(p->addresses[i], 300, p->silent[i]);
    if (p->n == 0 && !p->coming)
        p->n = p->silent_n;
}

static bool same_set(const struct present *p, const json_t *now)
{
    size_t distinct = 0;
    for (size_t i = 0; i < p->n; i++) {
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again = again || str_eq(p->addresses[i], p->addresses[k]);
        distinct += !again;
        if (!holds(now, p->addresses[i]))
            return false;
    }
    return distinct == json_array_size(now);
}

static bool is_serving(struct gateway *g, const char *service_id, char ret_name[256])
{
    (void)pthread_mutex_lock(&g->lock);
    const struct route *x = map_get(g->routes, service_id);
    bool serving = x && x->serving;
    str_copy(ret_name, 256, x ? x->name : "");
    (void)pthread_mutex_unlock(&g->lock);
    return serving;
}

static void bring(struct gateway *g, const char *service_id, const struct present *p, const json_t *now)
{
    char name[256];
    const char *list[GATEWAY_SLOTS_MAX];
    _cleanup_error_ struct error e = ERROR_INIT;
    bool serving = is_serving(g, service_id, name), wait = p->n == 0 && p->coming;
    if (same_set(p, now) && (p->n > 0 || serving == wait))
        return;
    for (size_t i = 0; i < p->n; i++)
        list[i] = p->addresses[i];
    int r = wait ? gateway_upstreams_hold(g, service_id, &e) : gateway_upstreams_set(g, service_id, list, p->n, &e);
    if (r < 0)
        log_warn("The route of %s does not follow its instances: %s", name, e.message);
    else
        log_info("The route of %s leads to %zu instance%s now%s.", name, p->n, p->n == 1 ? "" : "s",
                 wait ? "; requests wait" : "");
}

void gateway_keep(struct gateway *g, const char *instance_id)
{
    struct entity **list = NULL;
    struct present p = { .n = 0 };
    size_t n = 0;
    if (!g->runtime || runtime_service_instances(g->runtime, instance_id, &list, &n, NULL) < 0)
        return;
    char name[256];
    const char *id = n ? list[0]->id : "";
    json_t *now = NULL;
    (void)is_serving(g, id, name);
    if (name[0] && !runtime_service_busy(g->runtime, id) && gateway_upstreams_get(g, id, &now, NULL) == 0) {
        for (size_t i = 0; i < n; i++) {
            _cleanup_json_ json_t *d = entity_document(list[i]);
            judge(d, now, &p);
        }
        fall_back(&p);
        /* A deployment may have begun meanwhile; from then on the slots are its own. */
        if (!runtime_service_busy(g->runtime, id))
            bring(g, id, &p, now);
    }
    json_decref(now);
    runtime_instances_free(list, n);
}
