/* Configuration Management, so far its secrets: named values, each version immutable and sealed at rest, and the
 * credentials of registries. A value goes in and never out by the API; the engine of deployments reads it.
 * Ownership: one a hub; borrows store, vault and events. Thread-safe. */
#ifndef HB_SECRETS_H
#define HB_SECRETS_H

#include "base/secret.h"
#include "http/api.h"
#include "http/events.h"
#include "security/vault.h"
#include "store/store.h"

#define SECRET_NAME_MAX 128
#define SECRET_VALUE_MAX 65536 /* bytes */
#define SECRETS_MAX 2000       /* names; ERR_CONFLICT above */
#define SECRET_VERSIONS_MAX 100 /* of a name: above it the oldest that no release uses goes */
#define REGISTRIES_MAX 200

struct secrets;
int secrets_open(struct store *store, struct vault *vault, struct secrets **ret, struct error *e);
void secrets_close(struct secrets *s);
void secrets_set_events(struct secrets *s, struct events *events); /* before the API serves; NULL: nobody is told */

/* A new version; the name is kebab-case or an environment's key. At most 64 KiB, byte-exact. */
int secrets_set(struct secrets *s, const char *name, const struct secret *value, const char *by, int64_t *ret_version,
                struct error *e);
/* version 0: the newest. ERR_NOT_FOUND names secret and version. `ret_version` may be NULL. */
int secrets_get(struct secrets *s, const char *name, int64_t version, struct secret **ret, int64_t *ret_version,
                struct error *e);
/* version 0: all of them. ERR_NOT_FOUND; ERR_CONFLICT while a kept release uses one, or a node's engine
 * is reached with it (by its newest version). */
int secrets_delete(struct secrets *s, const char *name, int64_t version, struct error *e);

/* Within the caller's write transaction: the release needs this version from now on (ERR_NOT_FOUND when it is gone),
 * and: the release is not kept any more. Both may be repeated. */
int secrets_use(struct store_conn *c, const char *release_id, const char *name, int64_t version, struct error *e);
int secrets_release_forgotten(struct store_conn *c, const char *release_id, struct error *e);

/* Credentials for a registry's host ("ghcr.io", "registry.example.org:5000", in any of its spellings);
 * 1 found, 0 none are kept. */
struct registry_login {
    char host[256], username[256];
    struct secret *password;
};
void registry_login_done(struct registry_login *l);
int secrets_registry(struct secrets *s, const char *host, struct registry_login *ret, struct error *e);

extern const struct api_operation configuration_operations[];
extern const size_t configuration_operation_count;

#endif
