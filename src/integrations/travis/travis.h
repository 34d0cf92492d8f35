/* Travis CI as a `struct ci_source`: its webhook, its public key, its list of builds.
 * Source: travis-ci/travis-tasks lib/travis/addons/webhook (the payload), docs.travis-ci.com "Notifications" (the signature),
 * API v3 (builds). Ownership: ci.h's; borrows the secrets, which outlive it. Thread-safe. */
#ifndef HB_TRAVIS_H
#define HB_TRAVIS_H

#include "base/secret.h"
#include "deployment/ci.h"

struct travis_options {
    const struct secret *token; /* NULL: missed builds are not asked for */
    const char *base_url;       /* "https://api.travis-ci.com"; the public key is at /config */
    const char *public_key;     /* PEM, pinned; NULL: asked of base_url */
};
int travis_new(const struct travis_options *o, struct ci_source **ret, struct error *e);

/* travis_payload.c; pure. As ci_source_ops.read. */
int travis_read(const json_t *payload, ci_emit emit, void *ctx, struct error *e);
/* A build as API v3 shows it. */
int travis_read_build(const json_t *build, const char *repository, ci_emit emit, void *ctx, struct error *e);
/* Base64 of RSA PKCS #1 v1.5 over SHA-1. 1: right, 0: wrong; ERR_VALIDATION: not of that form. */
int travis_check_signature(const char *pem, const char *header, const char *payload, size_t len, struct error *e);

#endif
