/* Configuration Management, so far its secrets: named values, each version immutable and sealed at rest, and the
 * credentials of registries. A value goes in and never out by the API; the engine of deployments reads it.
 * Ownership: one a hub; borrows store and vault. Thread-safe. */
#ifndef HB_SECRETS_H
#define HB_SECRETS_H

#include "base/secret.h"
#include "http/api.h"
#include "security/vault.h"
#include "store/store.h"

struct secrets;
int secrets_open(struct store *store, struct vault *vault, struct secrets **ret, struct error *e);
void secrets_close(struct secrets *s);

/* A new version; the name is kebab-case or an environment's key. At most 64 KiB, byte-exact. */
int secrets_set(struct secrets *s, const char *name, const struct secret *value, const char *by, int64_t *ret_version,
                struct error *e);
/* version 0: the newest. ERR_NOT_FOUND names secret and version. */
int secrets_get(struct secrets *s, const char *name, int64_t version, struct secret **ret, int64_t *ret_version,
                struct error *e);

/* Credentials for a registry's host ("ghcr.io", "registry.example.org:5000"); 1 found, 0 none are kept. */
struct registry_login {
    char host[256], username[256];
    struct secret *password;
};
void registry_login_done(struct registry_login *l);
int secrets_registry(struct secrets *s, const char *host, struct registry_login *ret, struct error *e);

extern const struct api_operation configuration_operations[];
extern const size_t configuration_operation_count;

#endif
