#define LOG_ROOM "hub"
#include "hub/internal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "integrations/portainer/portainer.h"

/* What a node's document names, read: secrets of the vault, or files that the driver opens. */
struct materials {
    struct secret *key, *certificate, *authority;
};

static void materials_done(struct materials *m)
{
    secret_free(m->key);
    secret_free(m->certificate);
    secret_free(m->authority);
}

/* `source` is {secret: name} or {file: path}; without it nothing. */
static int read_material(struct hub *h, const json_t *source, struct secret **ret_secret, struct docker_material *ret,
                         struct error *e)
{
    const char *name = json_str(source, "secret");
    ret->file = json_str(source, "file");
    int r = name ? secrets_get(h->secrets, name, 0, ret_secret, NULL, e) : 0;
    ret->bytes = r == 0 ? *ret_secret : NULL;
    return r;
}

static int connect_docker(struct hub *h, const json_t *engine, struct container_engine **ret, struct error *e)
{
    struct materials m = { 0 };
    struct docker_engine_options o = { .host = json_str(engine, "url"),
                                       .fingerprint = json_str(engine, "fingerprint") };
    int r = read_material(h, json_at(engine, "key"), &m.key, &o.key, e);
    if (r == 0)
        r = read_material(h, json_at(engine, "certificate"), &m.certificate, &o.certificate, e);
    if (r == 0)
        r = read_material(h, json_at(engine, "authority"), &m.authority, &o.authority, e);
    bool any = json_at(engine, "key") || json_at(engine, "certificate") || json_at(engine, "authority");
    if (r == 0 && str_eq(json_str(engine, "kind"), "tls") && !any)
        r = error_set(e, ERR_VALIDATION,
                      "An engine by TLS needs a certificate and its key, or the authority to trust.");
    if (r == 0)
        r = docker_engine_open(&o, ret, e);
    materials_done(&m);
    return r;
}

/* The hub's own token is sent to the hub's own Portainer alone. */
static const struct secret *own_token(struct hub *h, const char *url)
{
    return str_eq(url, settings_str(h->settings, "portainer.url")) ? settings_secret(h->settings, "portainer.api_key")
                                                                   : NULL;
}

/* Without a number the endpoint is the one that has the node's name. */
static int connect_portainer(struct hub *h, const json_t *node, struct container_engine **ret, struct error *e)
{
    const json_t *engine = json_at(node, "engine");
    struct materials m = { 0 };
    struct portainer_options o = { .url = json_str(engine, "url"),
                                   .endpoint = json_int(engine, "endpoint", 0),
                                   .endpoint_name = json_str(node, "name") };
    int r = read_material(h, json_at(engine, "key"), &m.key, &o.token, e);
    if (r == 0)
        r = read_material(h, json_at(engine, "authority"), &m.authority, &o.authority, e);
    if (r == 0 && !json_at(engine, "key"))
        o.token.bytes = own_token(h, o.url);
    if (r == 0)
        r = portainer_engine_open(&o, ret, e);
    materials_done(&m);
    return r;
}

int hub_connect_node(void *ctx, const json_t *node, struct container_engine **ret, struct error *e)
{
    const json_t *engine = json_at(node, "engine");
    const char *kind = json_str(engine, "kind");
    if (str_eq(kind, "local"))
        return docker_engine_new(json_str(engine, "url"), ret, e);
    if (str_eq(kind, "ssh") || str_eq(kind, "tls"))
        return connect_docker(ctx, engine, ret, e);
    if (str_eq(kind, "portainer"))
        return connect_portainer(ctx, node, ret, e);
    return error_set(e, ERR_UNAVAILABLE, "The node %.100s has no container engine that hbcloud could reach.",
                     json_str(node, "name"));
}

/* What lived on a lost node and may live elsewhere is deployed there: its present release, as it is. */
int hub_relocate(void *ctx, const char *service_id, const char *reason, struct error *e)
{
    struct hub *h = ctx;
    char id[37];
    _cleanup_json_ json_t *nothing = json_object();
    struct deployment_origin origin = {
        .trigger = "manual", .initiated_by = "hbcloud", .admin = true, .reason = reason, .only_missing = true
    };
    int r = nothing ? deployments_change(h->deployments, service_id, nothing, &origin, id, e)
                    : error_set(e, ERR_INTERNAL, "No memory.");
    if (r == 0)
        log_info("Deployment %s: %s", id, reason);
    return r;
}
