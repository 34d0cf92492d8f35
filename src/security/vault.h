/* Seals what must not lie in the database in clear: XChaCha20-Poly1305 under the master key in
 * DIR/hub.secret (0600, made at first start), bound to a context so that one sealed value cannot stand
 * in another's place. Also keyed hashes for tokens. Ownership: one vault a hub. Thread-safe. */
#ifndef HB_VAULT_H
#define HB_VAULT_H

#include "base/error.h"
#include "base/secret.h"

#define VAULT_HASH_LEN 32

struct vault;
int vault_open(const char *directory, struct vault **ret, struct error *e);
void vault_close(struct vault *v);
/* `ret` is malloc'ed; context e.g. "release:<id>". */
int vault_seal(const struct vault *v, const char *context, const void *bytes, size_t len, uint8_t **ret,
               size_t *ret_len, struct error *e);
/* ERR_INTERNAL when it was sealed by another key, for another context, or was changed. */
int vault_unseal(const struct vault *v, const char *context, const void *sealed, size_t len, struct secret **ret,
                 struct error *e);
/* Keyed BLAKE2b: useless to whoever has the database alone. */
void vault_hash(const struct vault *v, const char *context, const void *bytes, size_t len, uint8_t ret[VAULT_HASH_LEN]);

#endif
