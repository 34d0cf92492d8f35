#include "integrations/docker/docker_logs.h"

#include "integrations/docker/docker_error.h"

#include <errno.h>
#include <string.h>

enum { FRAME_STDERR = 2, FRAME_ENGINE_ERROR = 3 };

void docker_demux_init(struct docker_demux *d, bool tty, engine_log_fn fn, void *ctx)
{
    memset(d, 0, sizeof(*d));
    d->tty = tty;
    d->fn = fn;
    d->ctx = ctx;
}

static int header_read(struct docker_demux *d)
{
    const unsigned char *h = d->header;
    d->broken = h[0] > FRAME_ENGINE_ERROR || h[1] || h[2] || h[3];
    if (d->broken)
        return -EPROTO;
    d->stream = h[0];
    d->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    d->header_len = 0;
    return 0;
}

static int piece(struct docker_demux *d, const char *bytes, size_t len)
{
    if (d->stream != FRAME_ENGINE_ERROR)
        return d->fn(d->ctx, d->stream == FRAME_STDERR ? STREAM_STDERR : STREAM_STDOUT, bytes, len);
    size_t room = sizeof(d->words) - 1 - d->words_len;
    size_t taken = len < room ? len : room;
    memcpy(d->words + d->words_len, bytes, taken);
    d->words_len += taken;
    return 0;
}

int docker_demux_feed(struct docker_demux *d, const char *bytes, size_t len)
{
    if (d->tty)
        return len ? d->fn(d->ctx, STREAM_STDOUT, bytes, len) : 0;
    while (len) {
        if (!d->left) {
            d->header[d->header_len++] = (unsigned char)*bytes++;
            len--;
            int r = d->header_len == sizeof(d->header) ? header_read(d) : 0;
            if (r < 0)
                return r;
            continue;
        }
        size_t taken = len < d->left ? len : d->left;
        int r = piece(d, bytes, taken);
        if (r < 0)
            return r;
        bytes += taken;
        len -= taken;
        d->left -= (uint32_t)taken;
    }
    return 0;
}

int docker_demux_end(const struct docker_demux *d, struct error *e)
{
    char words[DOCKER_WORDS_MAX];
    if (d->words_len)
        return error_set(e, ERR_UPSTREAM, "The container engine could not read the log: %s",
                         docker_words(words, d->words, d->words_len));
    if (d->left || d->header_len)
        return error_set(e, ERR_UPSTREAM, "The container engine's log stream ended inside a piece.");
    return 0;
}
