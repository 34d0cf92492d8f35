#define LOG_ROOM "hub"
#include "hub/internal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "integrations/docker/docker.h"

int hub_connect_node(void *ctx UNUSED, const json_t *node, struct container_engine **ret, struct error *e)
{
    const json_t *engine = json_at(node, "engine");
    const char *kind = json_str(engine, "kind");
    if (str_eq(kind, "local"))
        return docker_engine_new(json_str(engine, "url"), ret, e);
    return error_set(e, ERR_UNAVAILABLE, "The node %.100s has no container engine that hbcloud could reach.",
                     json_str(node, "name"));
}

/* What lived on a lost node and may live elsewhere is deployed there: its present release, as it is. */
int hub_relocate(void *ctx, const char *service_id, const char *reason, struct error *e)
{
    struct hub *h = ctx;
    char id[37];
    _cleanup_json_ json_t *nothing = json_object();
    struct deployment_origin origin = { .trigger = "manual",
                                        .initiated_by = "hbcloud",
                                        .admin = true,
                                        .reason = reason,
                                        .only_missing = true };
    int r = nothing ? deployments_change(h->deployments, service_id, nothing, &origin, id, e)
                    : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        log_info("Deployment %s: %s", id, reason);
    return r;
}
