/* Immutable bytes with a reference count, so one serialized body serves many replies and subscribers.
 * Ownership: each holder has a reference; `blob_unref` by the last one frees. Thread-safe. */
#ifndef HB_BLOB_H
#define HB_BLOB_H

#include "base/base.h"
#include "base/buf.h"

struct blob {
    _Atomic unsigned refs;
    _Atomic int file; /* see blob_make_file; -1: none */
    size_t len;
    char data[]; /* NUL-terminated */
};
struct blob *blob_new(const void *bytes,
                      size_t len); /* bytes NULL: the caller fills it before sharing; NULL: no memory */
struct blob *blob_from_buf(struct buf *b);            /* copies; NULL if b failed or no memory */
struct blob *blob_ref(struct blob *b);                /* returns b */
void blob_unref(struct blob *b);                      /* NULL is fine */
/* For a big blob that is sent again and again: keeps its bytes in a file in memory as well, from which the kernel feeds
 * sockets without copying them for each. Any thread, callers take turns. When it does not work, nothing has changed. */
void blob_make_file(struct blob *b);
static inline int blob_file(const struct blob *b)
{
    return b->file;
} /* descriptor, borrowed; -1: none */
static inline void blob_unref_ptr(struct blob **b)
{
    blob_unref(*b);
}
#define _cleanup_blob_ _cleanup_(blob_unref_ptr)

#endif
