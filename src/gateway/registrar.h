/* Keeps the service registry as deployments want it. What is wanted is kept as rows; one thread compares and repairs:
 * what the registry lost is registered again, what nobody wants any more is removed. Internal to the room.
 * Ownership: one a gateway. Thread-safe; `registrar_stop` ends the thread, later calls are ERR_UNAVAILABLE. */
#ifndef HB_GATEWAY_REGISTRAR_H
#define HB_GATEWAY_REGISTRAR_H

#include "gateway/discovery.h"
#include "http/events.h"
#include "store/store.h"

#define REGISTRATIONS_MAX 20000
#define REGISTRAR_COMPARE_MS 10000 /* the registry is compared with what is wanted so often */
#define REGISTRAR_AWAY_MS 3000     /* and so often while it does not answer */

struct registrar;
int registrar_open(struct store *store, struct events *events, struct discovery *d, struct registrar **ret,
                   struct error *e);
int registrar_start(struct registrar *r, struct error *e);
void registrar_stop(struct registrar *r);
void registrar_free(struct registrar *r);

/* Wanted from now on. A registry that is away is told later (0); one that refuses is an error, and it is not wanted. */
int registrar_add(struct registrar *r, const struct discovery_instance *x, struct error *e);
int registrar_remove(struct registrar *r, const char *id, struct error *e);
bool registrar_has(struct registrar *r, const char *id); /* the registry has it, by what is known */
bool registrar_reached(struct registrar *r);
/* One comparison, now. ERR_UNAVAILABLE and the like when the registry does not answer. */
int registrar_compare(struct registrar *r, struct error *e);
/* {"registry": {...}, "registrations": [...]} of the contract. New reference. */
json_t *registrar_document(struct registrar *r);

#endif
