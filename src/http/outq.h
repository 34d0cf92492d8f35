/* Bytes to be sent: a queue of shared blobs, each sent as it is or framed as one HTTP chunk. The framing is
 * made while gathering, so a blob in ten thousand queues is one blob.
 * Ownership: holds a reference on each blob until it is sent. Not thread-safe. */
#ifndef HB_HTTP_OUTQ_H
#define HB_HTTP_OUTQ_H

#include "base/blob.h"

#include <sys/uio.h>

#define OUTQ_GATHER 16 /* blobs at once */

struct outq_item {
    struct blob *blob;
    bool chunk;
};
struct outq {
    struct outq_item *items; /* ring */
    unsigned cap, first, count;
    size_t offset; /* bytes of the first item already sent, framing included */
    size_t bytes;  /* still to send, framing included */
    bool files;    /* the sender can send from a blob's file */
};
/* What to send next: iovecs, or (`file` >= 0) a piece of a file. */
struct outq_gather {
    int file;
    size_t file_from, file_len;
    bool more; /* a file comes right behind the iovecs */
    struct iovec iov[OUTQ_GATHER * 3];
    char size_line[OUTQ_GATHER][20];
};
int outq_push(struct outq *q, struct blob *blob, bool chunk); /* takes its own reference; 0 or -ENOMEM */
int outq_gather(const struct outq *q, struct outq_gather *g); /* number of iovecs, 1 for a file; 0: empty */
void outq_sent(struct outq *q, size_t n);
void outq_done(struct outq *q); /* drops everything; the queue may be used again */

#endif
