#include "hub/internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <stdio.h>

#define PROBLEMS_MAX 100
#define DISK_WARNING 85.0
#define DISK_CRITICAL 95.0

struct problem {
    const char *severity, *title, *detail, *entity_type, *entity_id;
    int64_t since_ms;
};

static void write_problem(struct jw *w, const struct problem *p)
{
    jw_object(w);
    jw_key(w, "severity"), jw_string(w, p->severity);
    jw_key(w, "title"), jw_string(w, p->title);
    jw_key(w, "detail"), jw_string(w, p->detail);
    if (p->entity_type)
        jw_key(w, "entityType"), jw_string(w, p->entity_type);
    if (p->entity_id)
        jw_key(w, "entityId"), jw_string(w, p->entity_id);
    jw_key(w, "since"), jw_time(w, p->since_ms);
    jw_end(w);
}

static void engine_problem(struct hub *h, struct jw *w)
{
    struct runtime_engine_state s;
    runtime_engine_state(h->runtime, &s);
    if (s.available)
        return;
    char detail[900];
    (void)snprintf(
        detail, sizeof detail,
        "%.500s Services cannot be deployed on this node until then. To get an engine: install Docker (Debian: apt install docker.io) and let "
        "hbcloud's user use its socket, or set docker.host to where it is.",
        s.reason);
    write_problem(w, &(struct problem){ "warning", "No container engine answers on this machine", detail, "node",
                                        runtime_hub_node(h->runtime), h->started_ms });
}

static void node_problems(struct hub *h, struct jw *w)
{
    struct runtime_trouble list[PROBLEMS_MAX];
    size_t n = runtime_node_troubles(h->runtime, list, PROBLEMS_MAX);
    for (size_t i = 0; i < n; i++) {
        char title[200];
        (void)snprintf(title, sizeof title, list[i].failed ? "Node %.128s is lost" : "Node %.128s does not answer",
                       list[i].name);
        write_problem(w, &(struct problem){ list[i].failed ? "critical" : "warning", title, list[i].reason, "node",
                                            list[i].id, list[i].since_ms });
    }
}

/* Services that failed or are unhealthy, by the runtime's own list. */
static void service_problems(struct hub *h, struct jw *w)
{
    struct runtime_trouble list[PROBLEMS_MAX];
    size_t n = runtime_troubles(h->runtime, list, PROBLEMS_MAX);
    for (size_t i = 0; i < n; i++) {
        char title[200];
        (void)snprintf(title, sizeof title, "%.100s %s", list[i].name, list[i].failed ? "has failed" : "is unhealthy");
        write_problem(w, &(struct problem){ list[i].failed ? "critical" : "warning", title, list[i].reason, "service",
                                            list[i].id, list[i].since_ms });
    }
}

static void gateway_problems(struct hub *h, struct jw *w)
{
    struct gateway_trouble list[PROBLEMS_MAX];
    size_t n = gateway_troubles(h->gateway, list, PROBLEMS_MAX);
    for (size_t i = 0; i < n; i++) {
        char title[300], detail[700];
        bool whole = !list[i].service_id[0];
        if (whole)
            str_copy(title, sizeof title, "Caddy does not answer");
        else
            (void)snprintf(title, sizeof title, "Caddy refuses the route of %.200s", list[i].name);
        (void)snprintf(detail, sizeof detail, "%s%s", list[i].reason,
                       whole ? " Routes stay as they are until it does; what it serves is not concerned." : "");
        write_problem(w, &(struct problem){ "critical", title, detail, whole ? NULL : "service",
                                            whole ? NULL : list[i].service_id, list[i].since_ms });
    }
}

static void disk_problems(struct hub *h, struct jw *w)
{
    struct metric_filter f = { .name = "filesystem.used.percent", .seen_since_ms = clock_now_ms() - 600000 };
    struct metric_latest_list list = { 0 };
    if (metrics_latest(h->metrics, &f, clock_now_ms(), PROBLEMS_MAX, &list, NULL) < 0)
        return;
    for (size_t i = 0; i < list.count; i++) {
        const struct metric_latest *m = &list.items[i];
        char title[200], detail[300];
        if (m->value < DISK_WARNING)
            continue;
        _cleanup_json_ json_t *tags = json_loads(m->labels->def.tags, 0, NULL);
        const char *mount = json_str(tags, "mount");
        (void)snprintf(title, sizeof title, "A disk is nearly full: %.100s", mount ? mount : "?");
        (void)snprintf(detail, sizeof detail,
                       "%.1f%% is used. Remove images that no service needs (docker image prune), old logs or data.",
                       m->value);
        write_problem(w, &(struct problem){ m->value >= DISK_CRITICAL ? "critical" : "warning", title, detail, "node",
                                            m->labels->def.entity_id, m->at_ms });
    }
    metric_latest_done(&list);
}

void hub_write_problems(struct hub *h, struct jw *w)
{
    jw_array(w);
    engine_problem(h, w);
    node_problems(h, w);
    service_problems(h, w);
    gateway_problems(h, w);
    disk_problems(h, w);
    jw_end(w);
}
