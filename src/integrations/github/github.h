/* GitHub as a `struct ci_source`: its webhooks, its list of runs, commit statuses.
 * Source: docs.github.com "Validating webhook deliveries", "Webhook events and payloads"; the REST API's description.
 * Ownership: ci.h's; borrows the secrets, which outlive it. Thread-safe. */
#ifndef HB_GITHUB_H
#define HB_GITHUB_H

#include "base/secret.h"
#include "deployment/ci.h"

struct github_options {
    const struct secret *webhook_secret; /* NULL: deliveries are refused */
    const struct secret *token;          /* NULL: nothing is asked or told */
    const char *base_url;                /* "https://api.github.com" */
};
int github_new(const struct github_options *o, struct ci_source **ret, struct error *e);

/* github_payload.c; pure. As ci_source_ops.read. */
int github_read(const char *event, const json_t *payload, ci_emit emit, void *ctx, struct error *e);
/* A workflow run as the API and the webhook both show it; `workflow` names it where it has no name; may be NULL. */
int github_read_run(const json_t *run, const char *repository, const char *workflow, ci_emit emit, void *ctx,
                    struct error *e);
/* "sha256=" and 64 lower-case hex digits over `body`. ERR_VALIDATION: another form; ERR_UNAUTHENTICATED: another value. */
int github_check_signature(const struct secret *key, const char *header, const char *body, size_t len, struct error *e);

#endif
