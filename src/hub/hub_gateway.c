/* The gateway's parts, as the settings name them. */
#include "hub/internal.h"

#include "base/str.h"

int hub_open_gateway(struct hub *h, struct error *e)
{
    _cleanup_free_ char *own = str_printf("%s/upstreams", h->data);
    const char *slots = settings_str(h->settings, "gateway.slots");
    if (!own)
        return error_set(e, ERR_INTERNAL, "No memory.");
    return gateway_open(&(struct gateway_options){ .store = h->store,
                                                   .events = h->events,
                                                   .runtime = h->runtime,
                                                   .jobs = h->jobs,
                                                   .router = h->router,
                                                   .discovery = h->discovery,
                                                   .slot_directory = slots ? slots : own,
                                                   .domain = settings_str(h->settings, "domain") },
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
