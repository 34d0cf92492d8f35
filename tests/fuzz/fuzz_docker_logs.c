/* Log frames cut anywhere: the first byte says how long the pieces are that the rest is fed in; the result has to be the
 * same as in one piece. */
#include "base/buf.h"
#include "integrations/docker/docker_logs.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct collected {
    struct buf bytes; /* stream number before each byte, so that the order of both streams counts */
};

static int collect(void *ctx, enum engine_stream stream, const char *bytes, size_t len)
{
    struct collected *c = ctx;
    for (size_t i = 0; i < len; i++) {
        (void)buf_putc(&c->bytes, (char)stream);
        (void)buf_putc(&c->bytes, bytes[i]);
    }
    return 0;
}

static int run(const char *data, size_t size, size_t step, bool tty, struct collected *c)
{
    struct docker_demux d;
    struct error e = ERROR_INIT;
    int r = 0;
    buf_init(&c->bytes, 0);
    docker_demux_init(&d, tty, collect, c);
    for (size_t at = 0; at < size && r == 0; at += step)
        r = docker_demux_feed(&d, data + at, size - at < step ? size - at : step);
    if (r == 0)
        r = docker_demux_end(&d, &e);
    error_done(&e);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct collected whole, cut;
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    bool tty = data[0] & 0x80;
    int a = run(text, size - 1, size, tty, &whole);
    int b = run(text, size - 1, (data[0] & 0x7f) + 1u, tty, &cut);
    if (a != b || whole.bytes.len != cut.bytes.len ||
        (whole.bytes.len && memcmp(whole.bytes.data, cut.bytes.data, whole.bytes.len) != 0))
        abort();
    if (tty && whole.bytes.len != 2 * (size - 1))
        abort();
    buf_done(&whole.bytes);
    buf_done(&cut.bytes);
    return 0;
}
