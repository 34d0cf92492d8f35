/* An SSH session to a host that is who it says: connected, host key checked, logged in.
 * Ownership: address_done, and ssh_disconnect and ssh_free of the session. Blocking; not for two threads at once.
 * Errors: as docker_ssh.h. */
#ifndef HB_DOCKER_SSH_SESSION_H
#define HB_DOCKER_SSH_SESSION_H

#include "integrations/docker/docker_ssh.h"

#include <libssh/libssh.h>

struct docker_ssh_address {
    char *user; /* NULL: this process's */
    char *host;
    uint16_t port;
    char *socket;
};
/* Of "ssh://[user@]host[:port][/path]"; ERR_VALIDATION. */
int docker_ssh_address_parse(const char *url, struct docker_ssh_address *ret, struct error *e);
void docker_ssh_address_done(struct docker_ssh_address *a);

struct docker_ssh_identity {
    struct secret *key; /* NULL: the agent, then the user's own files */
    char *fingerprint, *known_hosts;
};

/* The TCP connection below a session. libssh closes one that it was given when the other side ended it, and else leaves
 * it open: so it is closed by its owner after the session was freed, if it is still the same. */
struct docker_ssh_wire {
    int fd; /* -1 none */
    uint64_t inode;
};
#define DOCKER_SSH_WIRE_NONE ((struct docker_ssh_wire){ .fd = -1 })
int docker_ssh_reach(const struct docker_ssh_address *a, int64_t ms, struct docker_ssh_wire *ret, struct error *e);
void docker_ssh_wire_close(struct docker_ssh_wire *w);
void docker_ssh_wire_break(const struct docker_ssh_wire *w); /* whoever reads or writes it sees its end; stays open */
/* A session on a connection. Ends early when someone shuts that down. */
int docker_ssh_log_in(int fd, const struct docker_ssh_address *a, const struct docker_ssh_identity *id,
                      ssh_session *ret, struct error *e);

#endif
