/* A container engine that speaks the Docker Engine API (Docker, Podman's compatible socket), by a unix socket or TCP.
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

/* `host`: "unix:///path" or "tcp://address:port"; NULL or "": the default. Never connects.
 * ERR_VALIDATION for another form. */
int docker_engine_new(const char *host, struct container_engine **ret, struct error *e);

#endif
