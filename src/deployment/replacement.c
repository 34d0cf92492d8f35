#include "deployment/replacement.h"

#include "base/str.h"
#include "deployment/plan.h"

static const char *const names[STRATEGIES] = {
    [STRATEGY_BLUE_GREEN] = "blue-green",
    [STRATEGY_ROLLING] = "rolling",
    [STRATEGY_RECREATE] = "recreate",
};

const char *strategy_name(enum strategy s)
{
    return s < STRATEGIES ? names[s] : "?";
}

int strategy_parse(const char *name, enum strategy *ret)
{
    for (enum strategy s = 0; s < STRATEGIES; s++)
        if (str_eq(names[s], name)) {
            *ret = s;
            return 0;
        }
    return -1;
}

/* As it runs, whatever release or person started it. */
static json_t *running_specification(const json_t *service)
{
    json_t *ports = json_at(service, "networking.ports"), *volumes = json_at(service, "container.volumes");
    if (!json_str(service, "container.id"))
        return NULL;
    return json_pack("{s:{s:O?, s:O?}}", "container", "ports", ports, "volumes", volumes);
}

enum strategy strategy_choose(const json_t *spec, const json_t *service, char *ret_why, size_t size)
{
    enum strategy s = STRATEGY_BLUE_GREEN;
    _cleanup_json_ json_t *old = running_specification(service);
    (void)strategy_parse(strategy_of(spec, old, ret_why, size), &s);
    return s;
}

int strategy_drain_s(const json_t *spec)
{
    return (int)json_int(spec, "strategy.drainTimeout", 30);
}

int strategy_stop_grace_s(const json_t *spec)
{
    return (int)json_int(spec, "strategy.stopGracePeriod", 10);
}

int64_t strategy_instances(const json_t *spec)
{
    return json_int(spec, "instances", 1);
}

bool strategy_is_job(const json_t *spec)
{
    return str_eq(json_str(spec, "lifecycle"), "job");
}
