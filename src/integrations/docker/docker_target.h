/* Where an engine is and how it is spoken to: a unix socket, TCP, TLS, SSH, or an HTTP server that passes calls on.
 * Ownership: init copies all that it is given; done frees and wipes. Read-only afterwards, so thread-safe.
 * Errors: ERR_VALIDATION for an address or material that cannot be. Never connects. */
#ifndef HB_DOCKER_TARGET_H
#define HB_DOCKER_TARGET_H

#include "base/error.h"
#include "base/secret.h"
#include "integrations/docker/docker_ssh.h"

struct docker_target_options {
    const char *host;                 /* unix:// tcp:// ssh://, with `prefix` http:// and https:// */
    bool tls;                         /* of tcp:// */
    const struct secret *authority;   /* PEM, of TLS; NULL: the system's */
    const struct secret *certificate; /* PEM, of TLS; NULL none */
    const struct secret *key; /* PEM: the certificate's, or SSH's private key; NULL none (SSH: agent, own files) */
    const char *fingerprint; /* "SHA256:…" of the SSH host key; NULL: known_hosts decides */
    const char *known_hosts; /* file; NULL: the user's and the system's */
    const char *prefix; /* before each path; NULL none */
    const char *header; /* its name; NULL none */
    const struct secret *header_value;
    unsigned hurry; /* deadlines are divided by it, for tests of them; 0: by 1 */
};

struct docker_target {
    char *base; /* scheme, authority and prefix, before the path */
    char *shown; /* as the owner wrote it, for messages */
    char *socket_path; /* NULL: none */
    bool tls;
    struct secret *authority, *certificate, *key, *header_value;
    char *header;
    unsigned hurry;
    struct docker_ssh *ssh;
};
int docker_target_init(struct docker_target *t, const struct docker_target_options *o, struct error *e);
void docker_target_done(struct docker_target *t); /* also of one that init left half-made */
/* Sets what a transfer needs of it; `curl` is a CURL *. */
void docker_target_apply(const struct docker_target *t, void *curl);

#endif
