#include "hub/internal.h"

#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker.h"

int hub_connect_node(void *ctx UNUSED, const json_t *node, struct container_engine **ret, struct error *e)
{
    const char *kind = json_str(node, "engine.kind"), *url = json_str(node, "engine.url");
    if (str_eq(kind, "local"))
        return docker_engine_new(url, ret, e);
    return error_set(e, ERR_UNAVAILABLE, "The node %.100s has no container engine that hbcloud could reach.",
                     json_str(node, "name"));
}
