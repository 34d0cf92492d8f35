/* One connection within an SSH session: bytes between one connection to a local listening socket and the engine's socket on the host, by
 * direct-streamlocal@openssh.com or, where that is refused, by `docker system dial-stdio` there.
 * Ownership: new takes the listening socket; free closes all. Belongs to the session's one thread; never blocks.
 * At most 32 KiB a direction wait here; the rest waits in the socket or in SSH's window. */
#ifndef HB_DOCKER_SSH_CHANNEL_H
#define HB_DOCKER_SSH_CHANNEL_H

#include "base/base.h"

#include <libssh/libssh.h>
#include <poll.h>

#define DOCKER_SSH_WORDS 256
#define DOCKER_SSH_CHANNELS_MAX 128 /* pooled and running ones */

enum docker_ssh_step { SSH_STEP_OPENING, SSH_STEP_OPEN, SSH_STEP_ENDED };

struct docker_ssh_channel;
/* `tag` is the caller's. NULL: no memory, and the socket is the caller's still. */
struct docker_ssh_channel *docker_ssh_channel_new(ssh_session session, const char *path, int fd, bool by_program,
                                                  void *tag);
void docker_ssh_channel_free(struct docker_ssh_channel *c);
enum docker_ssh_step docker_ssh_channel_step(struct docker_ssh_channel *c); /* moves what can be moved */
struct pollfd docker_ssh_channel_poll(
    const struct docker_ssh_channel *c); /* what it waits for; fd -1: the session alone */
bool docker_ssh_channel_by_program(const struct docker_ssh_channel *c);
const char *docker_ssh_channel_words(const struct docker_ssh_channel *c); /* why it ended, "" unknown */
void *docker_ssh_channel_tag(const struct docker_ssh_channel *c);
void docker_ssh_channel_untag(struct docker_ssh_channel *c);
/* A list, linked by its members. */
struct docker_ssh_channel *docker_ssh_channel_next(const struct docker_ssh_channel *c);
void docker_ssh_channel_link(struct docker_ssh_channel *c, struct docker_ssh_channel *next);

#endif
