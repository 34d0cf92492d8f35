#include "integrations/docker/docker_tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 512

struct header { /* POSIX.1-1988 ustar: numbers are octal text */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* A long name is cut at a slash into two fields. */
static int name_set(struct header *h, const char *name)
{
    size_t len = strlen(name);
    const char *rest = name;
    if (!len || len > DOCKER_TAR_NAME_MAX)
        return -EINVAL;
    while (strlen(rest) > sizeof(h->name)) {
        const char *slash = strchr(rest, '/');
        if (!slash || !slash[1])
            return -EINVAL;
        rest = slash + 1;
    }
    size_t before = rest > name ? (size_t)(rest - name) - 1 : 0;
    if (before > sizeof(h->prefix))
        return -EINVAL;
    memcpy(h->prefix, name, before);
    memcpy(h->name, rest, strlen(rest));
    return 0;
}

static void sum_set(struct header *h)
{
    unsigned sum = 0;
    memset(h->sum, ' ', sizeof(h->sum));
    for (size_t i = 0; i < sizeof(*h); i++)
        sum += ((const unsigned char *)h)[i];
    (void)snprintf(h->sum, sizeof(h->sum), "%06o", sum & 0777777);
    h->sum[7] = ' ';
}

int docker_tar_write(const char *name, unsigned mode, int64_t mtime_s, const void *bytes, size_t len, struct buf *out)
{
    static const char zeros[2 * BLOCK];
    struct header h = { .type = '0', .magic = "ustar", .version = { '0', '0' }, .user = "root", .group = "root" };
    int r = name_set(&h, name);
    if (r < 0)
        return r;
    if (len > (size_t)1 << 30)
        return -EMSGSIZE;
    (void)snprintf(h.mode, sizeof(h.mode), "%07o", mode & 07777);
    (void)snprintf(h.uid, sizeof(h.uid), "%07o", 0);
    (void)snprintf(h.gid, sizeof(h.gid), "%07o", 0);
    (void)snprintf(h.size, sizeof(h.size), "%011zo", len);
    (void)snprintf(h.mtime, sizeof(h.mtime), "%011llo", (unsigned long long)(mtime_s > 0 ? mtime_s : 0) & 077777777777);
    sum_set(&h);
    r = buf_append(out, &h, sizeof(h));
    if (r == 0)
        r = buf_append(out, bytes, len);
    if (r == 0)
        r = buf_append(out, zeros, (BLOCK - len % BLOCK) % BLOCK);
    return r < 0 ? r : buf_append(out, zeros, sizeof(zeros)); /* two empty blocks end it */
}
