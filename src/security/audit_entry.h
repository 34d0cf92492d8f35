/* One entry of the audit, as a row and in its hash. Texts are borrowed. Internal to the room. */
#ifndef HB_AUDIT_ENTRY_H
#define HB_AUDIT_ENTRY_H

#include "security/internal.h"

struct audit_entry {
    int64_t seq, at;
    const char *actor, *address, *request_id, *operation, *entity_type, *entity_id, *outcome, *before, *after;
    const char *previous, *hash;
};

#define AUDIT_COLUMNS \
    "seq, at, actor, address, request_id, operation, entity_type, entity_id, outcome, before_state, after_state, previous_hash, hash"
/* The row's texts are borrowed till the next one. */
void audit_entry_read(struct store_rows *r, struct audit_entry *ret);

#endif
