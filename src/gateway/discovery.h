/* What the gateway needs of a service registry, whoever makes it. Implementations live in integrations/.
 * Ownership: shared; calls are thread-safe and blocking, each with its own deadline. */
#ifndef HB_DISCOVERY_H
#define HB_DISCOVERY_H

#include "base/error.h"

#include <jansson.h>

struct discovery_instance {
    const char *id;      /* unique: service's name and deployment, such as "web-1a2b3c4d" */
    const char *service; /* kebab-case */
    const char *address; /* host */
    uint16_t port;
    const char *node;    /* its name */
    const json_t *tags;  /* array of strings, or NULL */
    const json_t *meta;  /* object of strings, or NULL */
    const char *check_path; /* NULL: a connection */
    int64_t check_interval_ms, check_timeout_ms;
};
struct discovery;
struct discovery_ops {
    int (*add)(struct discovery *d, const struct discovery_instance *instance, struct error *e); /* again: replaces */
    int (*remove)(struct discovery *d, const char *id, struct error *e);                          /* gone: 0 */
    /* All that hbcloud registered: array of {id, service, address, port, health}. New reference. */
    int (*list)(struct discovery *d, json_t **ret, struct error *e);
    void (*free)(struct discovery *d);
};
struct discovery {
    const struct discovery_ops *ops;
};

#endif
