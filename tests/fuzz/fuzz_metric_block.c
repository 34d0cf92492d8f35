/* Bytes from disk as a block, as packed times and as a frame of the log: refused or read inside the arrays, and what
 * was read packs again into something that reads the same. The first bytes choose coding and sizes. */
#include "monitoring/metric_block.h"
#include "monitoring/metric_frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 6000, SLOTS_MOST = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void use_block(struct metric_codec *c, unsigned coding, const uint8_t *bytes, size_t len, size_t total,
                      size_t count)
{
    static uint16_t ticks[MOST], again_ticks[MOST];
    static double values[MOST], again[MOST];
    if (block_unpack(c, coding, bytes, len, total, count, ticks, values) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        check(ticks[i] < total && (i == 0 || ticks[i] > ticks[i - 1]));
    struct buf out;
    struct block_stats stats;
    unsigned packed;
    buf_init(&out, 0);
    check(block_pack(c, ticks, values, count, total, &packed, &out, &stats) == 0);
    check(block_unpack(c, packed, out.data, out.len, total, count, again_ticks, again) == 0);
    check(memcmp(ticks, again_ticks, count * sizeof *ticks) == 0);
    check(memcmp(values, again, count * sizeof *values) == 0);
    buf_done(&out);
}

static void use_times(struct metric_codec *c, const uint8_t *bytes, size_t len, size_t count)
{
    static int64_t times[MOST], again[MOST];
    if (metric_decode_integers(c, bytes, len, times, count) < 0)
        return;
    struct buf out;
    buf_init(&out, 0);
    if (metric_encode_integers(c, times, count, &out) == 0) {
        check(metric_decode_integers(c, out.data, out.len, again, count) == 0);
        check(memcmp(times, again, count * sizeof *times) == 0);
    }
    buf_done(&out);
}

static void use_sums(struct metric_codec *c, const uint8_t *bytes, size_t len)
{
    static struct block_sums sums;
    if (block_unpack_sums(c, bytes, len, &sums) == 0)
        check(sums.slots >= 1 && sums.slots <= BLOCK_SUMS_MAX && sums.first >= 0);
}

static void use_frame(struct metric_codec *c, const uint8_t *bytes, size_t len, size_t old)
{
    static double before[SLOTS_MOST], values[SLOTS_MOST];
    static bool present[SLOTS_MOST];
    static uint64_t ids[SLOTS_MOST];
    size_t slots;
    if (frame_slots(bytes, len, &slots) < 0 || slots > SLOTS_MOST)
        return;
    for (size_t i = 0; i < SLOTS_MOST; i++)
        before[i] = (double)i / 8;
    struct frame f = { old < slots ? old : slots, slots, before, values, present, ids };
    (void)frame_decode(c, bytes, len, &f);
    f.old_slots = 0;
    (void)frame_decode(c, bytes, len, &f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct metric_codec *codec;
    if (!codec)
        codec = metric_codec_new();
    if (!codec || size < 5)
        return 0;
    size_t total = ((size_t)data[1] << 8 | data[2]) % MOST + 1, count = ((size_t)data[3] << 8 | data[4]) % total + 1;
    switch (data[0] & 0x60) {
    case 0x20: use_times(codec, data + 5, size - 5, count); break;
    case 0x40: use_frame(codec, data + 5, size - 5, count); break;
    case 0x60: use_sums(codec, data + 5, size - 5); break;
    default: use_block(codec, data[0], data + 5, size - 5, data[0] & BLOCK_SPARSE ? total : count, count); break;
    }
    return 0;
}
