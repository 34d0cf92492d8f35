/* A tar (ustar) that holds one regular file, as an engine takes files into a container.
 * Ownership: the caller owns the buffer and wipes it when the file is a secret. Pure functions, thread-safe. */
#ifndef HB_DOCKER_TAR_H
#define HB_DOCKER_TAR_H

#include "base/buf.h"

#define DOCKER_TAR_NAME_MAX 255 /* bytes of a name; longer ones have no place in a ustar header */

/* `name` is relative, without ".."; the file belongs to root. 0, -EINVAL for a name that does not fit (a part between
 * slashes longer than 100 bytes, or the whole), -ENOMEM, -EMSGSIZE (the buffer's limit). */
int docker_tar_write(const char *name, unsigned mode, int64_t mtime_s, const void *bytes, size_t len, struct buf *out);

#endif
