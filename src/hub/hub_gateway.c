/* The gateway's parts, as the settings name them. */
#include "hub/internal.h"

#include "base/str.h"
#include "integrations/caddy/caddy.h"
#include "integrations/consul/consul.h"

static int open_router(struct hub *h, struct error *e)
{
    const struct settings *s = h->settings;
    if (!settings_has(s, "caddy.admin_url"))
        return 0;
    return caddy_router_new(&(struct caddy_options){ .admin_url = settings_str(s, "caddy.admin_url"),
                                                     .server = settings_str(s, "caddy.server"),
                                                     .listen = settings_str(s, "caddy.listen"),
                                                     .slot_directory = settings_str(s, "caddy.slots"),
                                                     .domain = settings_str(s, "domain"),
                                                     .issuer = settings_str(s, "caddy.issuer"),
                                                     .acme_directory = settings_str(s, "caddy.acme_directory"),
                                                     .acme_ca_file = settings_str(s, "caddy.acme_ca_file") },
                            &h->router, e);
}

static int open_discovery(struct hub *h, struct error *e)
{
    char id[GATEWAY_IDENTITY_LEN + 1];
    if (!settings_has(h->settings, "consul.address"))
        return 0;
    int r = gateway_identity(h->store, id, e);
    return r < 0
               ? r
               : consul_discovery_new(&(struct consul_options){ .address = settings_str(h->settings, "consul.address"),
                                                                .token = settings_secret(h->settings, "consul.token"),
                                                                .owner = id },
                                      &h->discovery, e);
}

int hub_open_gateway(struct hub *h, struct error *e)
{
    _cleanup_free_ char *own = str_printf("%s/upstreams", h->data);
    const char *slots = settings_str(h->settings, "gateway.slots");
    if (!own)
        return error_set(e, ERR_INTERNAL, "No memory.");
    int r = open_router(h, e);
    if (r == 0)
        r = open_discovery(h, e);
    return r < 0 ? r
                 : gateway_open(&(struct gateway_options){ .store = h->store,
                                                           .events = h->events,
                                                           .runtime = h->runtime,
                                                           .router = h->router,
                                                           .discovery = h->discovery,
                                                           .slot_directory = slots ? slots : own },
                                &h->gateway, e);
}

void hub_close_gateway(struct hub *h)
{
    gateway_close(h->gateway);
    if (h->router)
        h->router->ops->free(h->router);
    if (h->discovery)
        h->discovery->ops->free(h->discovery);
}
