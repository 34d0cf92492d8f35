#include "http/outq.h"

#include <errno.h>
#include <string.h>

static int grow(struct outq *q)
{
    unsigned cap = q->cap ? q->cap * 2 : 2;
    struct outq_item *items = malloc(cap * sizeof *items);
    if (!items)
        return -ENOMEM;
    for (unsigned i = 0; i < q->count; i++)
        items[i] = q->items[(q->first + i) % q->cap];
    free(q->items);
    q->items = items;
    q->cap = cap;
    q->first = 0;
    return 0;
}

static size_t hex_digits(size_t n)
{
    size_t digits = 1;
    while (n >>= 4)
        digits++;
    return digits;
}

/* "1f4\r\n"; returns its length. Without printf, as there are thousands of them for one event. */
static size_t size_line(size_t len, char ret[20])
{
    size_t digits = hex_digits(len);
    for (size_t i = digits; i-- > 0; len >>= 4)
        ret[i] = "0123456789abcdef"[len & 15];
    memcpy(ret + digits, "\r\n", 2);
    return digits + 2;
}

static size_t framed_size(const struct outq_item *item)
{
    return item->chunk ? hex_digits(item->blob->len) + 2 + item->blob->len + 2 : item->blob->len;
}

int outq_push(struct outq *q, struct blob *blob, bool chunk)
{
    if (blob->len == 0) /* an empty chunk would end the body */
        return 0;
    if (q->count == q->cap && grow(q) < 0)
        return -ENOMEM;
    struct outq_item *item = &q->items[(q->first + q->count) % q->cap];
    *item = (struct outq_item){ blob_ref(blob), chunk };
    q->count++;
    q->bytes += framed_size(item);
    return 0;
}

/* Adds a piece, less what of it was sent before. */
static int add(struct iovec *iov, int n, const char *data, size_t len, size_t *skip)
{
    if (*skip >= len) {
        *skip -= len;
        return n;
    }
    iov[n] = (struct iovec){ (void *)(uintptr_t)(data + *skip), len - *skip };
    *skip = 0;
    return n + 1;
}

static int gather_file(const struct blob *b, size_t skip, struct outq_gather *g)
{
    g->file = blob_file(b);
    g->file_from = skip;
    g->file_len = b->len - skip;
    return 1;
}

int outq_gather(const struct outq *q, struct outq_gather *g)
{
    int n = 0;
    size_t skip = q->offset;
    g->file = -1;
    g->more = false;
    for (unsigned i = 0; i < q->count && i < OUTQ_GATHER; i++) {
        const struct outq_item *item = &q->items[(q->first + i) % q->cap];
        if (q->files && !item->chunk && blob_file(item->blob) >= 0) {
            g->more = i > 0;
            return g->more ? n : gather_file(item->blob, skip, g);
        }
        if (item->chunk)
            n = add(g->iov, n, g->size_line[i], size_line(item->blob->len, g->size_line[i]), &skip);
        n = add(g->iov, n, item->blob->data, item->blob->len, &skip);
        if (item->chunk)
            n = add(g->iov, n, "\r\n", 2, &skip);
    }
    return n;
}

void outq_sent(struct outq *q, size_t n)
{
    q->bytes -= n;
    q->offset += n;
    while (q->count) {
        struct outq_item *item = &q->items[q->first];
        size_t size = framed_size(item);
        if (q->offset < size)
            break;
        q->offset -= size;
        blob_unref(item->blob);
        q->first = (q->first + 1) % q->cap;
        q->count--;
    }
    if (q->count == 0 && q->cap > 16) { /* a burst's memory does not stay */
        free(q->items);
        q->items = NULL;
        q->cap = q->first = 0;
    }
}

void outq_done(struct outq *q)
{
    for (unsigned i = 0; i < q->count; i++)
        blob_unref(q->items[(q->first + i) % q->cap].blob);
    free(q->items);
    *q = (struct outq){ 0 };
}
