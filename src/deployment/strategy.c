#include "deployment/plan.h"

#include <stdio.h>

/* Which strategy a deployment takes: the one that was asked for, or blue-green unless two containers of the service
 * cannot be at the same time. */

const json_t *strategy_fixed_port(const json_t *specification)
{
    size_t i;
    json_t *p;
    json_array_foreach (json_at(specification, "container.ports"), i, p)
        if (json_int(p, "host", 0))
            return p;
    return NULL;
}

/* The old container holds this port only if it has it, too. */
static bool holds_port(const json_t *old, const json_t *port)
{
    size_t i;
    json_t *p;
    json_array_foreach (json_at(old, "container.ports"), i, p)
        if (json_int(p, "host", 0) == json_int(port, "host", 0) &&
            str_eq(json_str(p, "protocol"), json_str(port, "protocol")))
            return true;
    return false;
}

/* A place that is written to by one process: two at a time would spoil it. */
static const char *single_writer(const json_t *specification, const json_t *old)
{
    size_t i, k;
    json_t *v, *o;
    json_array_foreach (json_at(specification, "container.volumes"), i, v) {
        if (json_flag(v, "readonly", false))
            continue;
        json_array_foreach (json_at(old, "container.volumes"), k, o)
            if (str_eq(json_str(o, "source"), json_str(v, "source")) && !json_flag(o, "readonly", false))
                return json_str(v, "source");
    }
    return NULL;
}

const char *strategy_of(const json_t *specification, const json_t *old, char *ret_reason, size_t size)
{
    const char *wanted = json_str(specification, "strategy.type"), *volume = single_writer(specification, old);
    const json_t *port = strategy_fixed_port(specification);
    if (json_str(specification, "container.name")) {
        (void)snprintf(ret_reason, size, "The container's name %.100s is fixed: only one container can have it.",
                       json_str(specification, "container.name"));
        return "recreate";
    }
    if (wanted) {
        (void)snprintf(ret_reason, size, "The service asks for it.");
        return wanted;
    }
    if (str_eq(json_str(specification, "lifecycle"), "job")) {
        (void)snprintf(ret_reason, size, "A job runs once: there is nothing to switch.");
        return "recreate";
    }
    if (port && holds_port(old, port)) {
        (void)snprintf(ret_reason, size, "Host port %d is fixed: only one container can have it.",
                       (int)json_int(port, "host", 0));
        return "recreate";
    }
    if (volume) {
        (void)snprintf(ret_reason, size, "The volume %.200s is written to, and has a single writer.", volume);
        return "recreate";
    }
    (void)snprintf(ret_reason, size, "Nothing stands against the new container beside the old one.");
    return "blue-green";
}
