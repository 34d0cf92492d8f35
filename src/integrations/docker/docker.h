/* A container engine that speaks the Docker Engine API (Docker, Podman's compatible socket), by a unix socket, TCP, TLS or
 * SSH.
 * Ownership: the caller owns the engine and frees it by `ops->free` when no call is running.
 * Threads: every call may run in any thread, several at once (at most DOCKER_CALLS_MAX; one more is ERR_UNAVAILABLE).
 * Beyond engine.h: wrong names, references and specs are ERR_VALIDATION before the engine is asked; while a log is
 * followed or an image pulled and nothing arrives, the callback is called at least each 500 ms (a log with no bytes,
 * a pull with the last progress), so that the caller can stop; `stats` of a container that does not run is ERR_CONFLICT. */
#ifndef HB_DOCKER_H
#define HB_DOCKER_H

#include "runtime/engine.h"

#define DOCKER_HOST_DEFAULT "unix:///var/run/docker.sock"
#define DOCKER_CALLS_MAX 64
#define DOCKER_FILE_MAX ((size_t)16 << 20) /* bytes of one put_file */

/* A file on this machine, or its bytes; both empty: none. Read once, at the opening. */
struct docker_material {
    const char *file;
    const struct secret *bytes;
};

struct docker_engine_options {
    const char *host; /* unix:///path, tcp://address:port, ssh://[user@]host[:port][/path/of/the/socket] */
    const char *certificates; /* folder with ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH has it: TLS */
    /* One by one instead, each PEM. With any of them tcp:// is TLS; without an authority the system's are asked. */
    struct docker_material authority, certificate;
    struct docker_material key; /* the certificate's; of ssh://: the private key (none: the agent, then ~/.ssh) */
    const char *fingerprint; /* "SHA256:…" of the SSH host key; NULL: known_hosts decides */
    const char *known_hosts_file; /* NULL: the user's and the system's */
};

/* Never connects. ERR_VALIDATION for an address or a file that cannot be. */
int docker_engine_open(const struct docker_engine_options *o, struct container_engine **ret, struct error *e);
/* By an address alone; NULL or "": the default. */
int docker_engine_new(const char *host, struct container_engine **ret, struct error *e);

#endif
