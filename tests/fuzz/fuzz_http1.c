/* Any bytes as a request: the verdict and its content do not depend on how the bytes were cut, and what is
 * taken obeys the rules that others rely on. The first byte sets the cuts. */
#include "http/http1.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

struct result {
    int head, body; /* 0 more, 1 done, negative refused */
    size_t used;
    struct http1_head h;
    struct buf out;
};

/* Piece lengths: everything at once for 0, else 1, 2, … `most` in turn. */
static size_t piece(size_t most, size_t turn, size_t left)
{
    size_t n = most ? 1 + turn % most : left;
    return n < left ? n : left;
}

static void run(const char *text, size_t len, size_t most, struct result *ret)
{
    static const struct http1_limits limits = { .line_bytes = 1024, .block_bytes = 4096, .fields = 16 };
    struct http1_chunks chunks;
    size_t turn = 0;
    *ret = (struct result){ 0 };
    http1_head_init(&ret->h);
    http1_chunks_init(&chunks);
    buf_init(&ret->out, 0);
    while (ret->used < len && ret->body == HTTP1_MORE && ret->head >= 0) {
        size_t n = piece(most, turn++, len - ret->used), used = 0;
        struct error e = ERROR_INIT;
        bool in_head = ret->head == HTTP1_MORE;
        int *r = in_head ? &ret->head : &ret->body;
        *r = in_head ? http1_head_feed(&ret->h, &limits, text + ret->used, n, &used, &e)
                     : http1_chunks_feed(&chunks, text + ret->used, n, &used, &ret->out, 2048, &e);
        check((*r < 0) == (e.code != ERR_NONE) && used <= n);
        check(*r != HTTP1_MORE || used == n);
        ret->used += used;
        error_done(&e);
        if (ret->head == HTTP1_DONE && !ret->h.chunked)
            break;
    }
    http1_chunks_done(&chunks);
}

static void check_head(const struct http1_head *h)
{
    size_t cursor = 0;
    const char *name, *value;
    unsigned hosts = 0, lengths = 0, codings = 0;
    const char *path = h->text.data + h->path;
    check(path[0] == '/' || strcmp(path, "*") == 0);
    while (http1_head_next(h, &cursor, &name, &value)) {
        check(http1_field_ok(name, value));
        hosts += strcmp(name, "host") == 0;
        lengths += strcmp(name, "content-length") == 0;
        codings += strcmp(name, "transfer-encoding") == 0;
    }
    check(h->minor <= 1 && hosts <= 1 && (h->minor == 0 || hosts == 1));
    check(lengths + codings <= 1 && (codings == 1) == h->chunked && (!h->chunked || h->minor == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct result whole, cut;
    const char *text = (const char *)data + 1;
    run(text, size - 1, 0, &whole);
    run(text, size - 1, 1 + data[0] % 64, &cut);
    check(whole.head == cut.head && whole.body == cut.body);
    if (whole.head == HTTP1_DONE) {
        check(whole.h.text.len == cut.h.text.len && memcmp(whole.h.text.data, cut.h.text.data, cut.h.text.len) == 0);
        check(whole.h.length == cut.h.length && whole.h.close == cut.h.close);
        check_head(&whole.h);
    }
    if (whole.head == HTTP1_DONE && whole.body >= 0) {
        check(whole.used == cut.used && whole.out.len == cut.out.len && whole.out.len <= 2048);
        check(whole.out.len == 0 || memcmp(whole.out.data, cut.out.data, cut.out.len) == 0);
    }
    http1_head_done(&whole.h);
    http1_head_done(&cut.h);
    buf_done(&whole.out);
    buf_done(&cut.out);
    return 0;
}
