/* Connections to an engine's socket on another machine by SSH: one session, a channel a connection, all moved by one
 * thread that the first dial starts. The session ends with its transport and is made anew by the next dial; keep-alives
 * find a dead one. Reads no ~/.ssh/config (which could start programs); keys and host keys as ssh(1) has them.
 * Ownership: new/free; free ends the thread and all connections. Threads: dial may be called by any, several at once.
 * Errors: ERR_UNAVAILABLE (not reachable, session lost), ERR_UPSTREAM (host key, login or socket refused), ERR_VALIDATION. */
#ifndef HB_DOCKER_SSH_H
#define HB_DOCKER_SSH_H

#include "base/error.h"
#include "base/secret.h"

#include <sys/socket.h>
#include <sys/un.h>

#define DOCKER_SSH_DIAL_MS 25000 /* session and channel together */
#define DOCKER_SSH_SOCKET_DEFAULT "/var/run/docker.sock"

struct docker_ssh_options {
    const char *url;          /* ssh://[user@]host[:port][/path/of/the/socket] */
    const struct secret
        *key; /* PEM or OpenSSH form, without a passphrase; NULL: the agent, then the user's own files */
    const char *fingerprint;  /* "SHA256:…" of the host key; NULL: known_hosts decides */
    const char *known_hosts;  /* file; NULL: the user's and the system's */
};

/* Not base/clock: a deadline of a real socket has to pass also when a test has stopped the clock. */
int64_t docker_mono_ms(void);

struct docker_ssh;
int docker_ssh_new(const struct docker_ssh_options *o, struct docker_ssh **ret, struct error *e); /* never connects */
void docker_ssh_free(struct docker_ssh *s);
/* Opens a way to the engine and says where its local end waits: for one connection, of this process, within 10 s. */
int docker_ssh_dial(struct docker_ssh *s, struct sockaddr_un *ret_at, socklen_t *ret_len, struct error *e);
/* What the other side said last when a connection ended at once ("docker: not found"); "" nothing. */
void docker_ssh_words(struct docker_ssh *s, char *ret, size_t size);

#endif
