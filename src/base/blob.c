#include "base/blob.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct blob *blob_new(const void *bytes, size_t len)
{
    struct blob *b = malloc(sizeof *b + len + 1);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    atomic_init(&b->file, -1);
    b->len = len;
    if (len && bytes)
        memcpy(b->data, bytes, len);
    b->data[len] = '\0';
    return b;
}

struct blob *blob_from_buf(struct buf *b)
{
    return buf_ok(b) ? blob_new(buf_str(b), b->len) : NULL;
}

struct blob *blob_ref(struct blob *b)
{
    (void)atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (b->file >= 0)
        (void)close(b->file);
    free(b);
}

void blob_make_file(struct blob *b)
{
    if (b->file >= 0)
        return;
    int fd = memfd_create("blob", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, b->data, b->len) == (ssize_t)b->len)
        b->file = fd;
    else if (fd >= 0)
        (void)close(fd);
}
