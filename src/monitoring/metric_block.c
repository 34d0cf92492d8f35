#include "monitoring/metric_block.h"

#include <errno.h>
#include <float.h>
#include <math.h>

/* Lengths of runs, absent and present in turn, beginning with absent; the last one is implied by `total`. */
static int put_runs(const uint16_t *ticks, size_t n, size_t total, struct buf *out)
{
    uint8_t bytes[10];
    size_t at = 0, i = 0;
    int r = 0;
    while (at < total && r == 0) {
        size_t absent = (i < n ? ticks[i] : total) - at, present = 0;
        while (i < n && ticks[i] == at + absent + present) {
            i++;
            present++;
        }
        r = buf_append(out, bytes, varint_put(bytes, absent));
        if (r == 0)
            r = buf_append(out, bytes, varint_put(bytes, present));
        at += absent + present;
    }
    return r;
}

static int get_runs(struct reader *r, size_t total, size_t count, uint16_t *ret_ticks)
{
    size_t at = 0, n = 0;
    while (at < total) {
        uint64_t absent = reader_varint(r), present = reader_varint(r);
        if (r->failed || absent > total - at || present > total - at - absent || present > count - n ||
            absent + present == 0)
            return -EBADMSG;
        at += absent;
        for (uint64_t i = 0; i < present; i++)
            ret_ticks[n++] = (uint16_t)at++;
    }
    return n == count ? 0 : -EBADMSG;
}

static void note(struct block_stats *s, double v)
{
    static const struct block_stats NONE;
    if (!isfinite(v))
        return;
    bool first = s->count == 0;
    if (first)
        *s = NONE;
    s->min = first || v < s->min ? v : s->min;
    s->max = first || v > s->max ? v : s->max;
    s->sum += v;
    s->count++;
}

int block_pack(struct metric_codec *c, const uint16_t *ticks, const double *values, size_t n, size_t total,
               unsigned *ret_coding, struct buf *out, struct block_stats *ret)
{
    if (n == 0 || n > total || total > METRIC_BLOCK_MAX)
        return -EINVAL;
    unsigned sparse = n < total ? BLOCK_SPARSE : 0, coding;
    int r = sparse ? put_runs(ticks, n, total, out) : 0;
    if (r == 0)
        r = metric_encode(c, values, n, &coding, out);
    if (r < 0)
        return r;
    struct block_stats s = { 0 };
    for (size_t i = 0; i < n; i++)
        note(&s, values[i]);
    if (!isfinite(s.sum)) /* the column takes numbers only */
        s.sum = isnan(s.sum) ? 0 : copysign(DBL_MAX, s.sum);
    s.count = n;
    *ret = s;
    *ret_coding = coding | sparse;
    return 0;
}

int block_unpack(struct metric_codec *c, unsigned coding, const void *bytes, size_t len, size_t total, size_t count,
                 uint16_t *ret_ticks, double *ret_values)
{
    if (count == 0 || count > total || total > METRIC_BLOCK_MAX || (!bytes && len))
        return -EBADMSG;
    struct reader r = { bytes, bytes ? (const uint8_t *)bytes + len : NULL, false };
    if (coding & BLOCK_SPARSE) {
        int bad = get_runs(&r, total, count, ret_ticks);
        if (bad < 0)
            return bad;
    } else if (count != total) {
        return -EBADMSG;
    } else {
        for (size_t i = 0; i < count; i++)
            ret_ticks[i] = (uint16_t)i;
    }
    return metric_decode(c, coding & ~BLOCK_SPARSE, r.at, (size_t)(r.end - r.at), ret_values, count);
}

/* ---- sums ---- */

static int64_t slot_of(int64_t at_ms)
{
    return (at_ms + BLOCK_SUM_MS - 1) / BLOCK_SUM_MS;
}

static int sum_up(const int64_t *times, const uint16_t *ticks, const double *values, size_t n, struct block_sums *s)
{
    if (n == 0)
        return -EINVAL;
    s->first = slot_of(times[ticks[0]]);
    int64_t slots = slot_of(times[ticks[n - 1]]) - s->first + 1;
    if (slots < 1 || slots > BLOCK_SUMS_MAX)
        return -EINVAL;
    s->slots = (size_t)slots;
    for (size_t i = 0; i < s->slots; i++) {
        s->count[i] = 0;
        s->sum[i] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        int64_t slot = slot_of(times[ticks[i]]) - s->first;
        s->sum[slot] += values[i];
        s->count[slot]++;
    }
    return 0;
}

/* First slot, number of slots, length of the packed counts, coding of the sums; then counts and sums. */
int block_pack_sums(struct metric_codec *c, const int64_t *times, const uint16_t *ticks, const double *values, size_t n,
                    struct block_sums *scratch, struct buf *out)
{
    uint8_t head[40];
    unsigned coding = 0;
    _cleanup_buf_ struct buf counts, sums;
    buf_init(&counts, 0);
    buf_init(&sums, 0);
    int r = sum_up(times, ticks, values, n, scratch);
    if (r == 0)
        r = metric_encode_integers(c, scratch->count, scratch->slots, &counts);
    if (r == 0)
        r = metric_encode(c, scratch->sum, scratch->slots, &coding, &sums);
    if (r < 0)
        return r;
    size_t len = varint_put(head, zigzag(scratch->first));
    len += varint_put(head + len, scratch->slots);
    len += varint_put(head + len, counts.len);
    head[len++] = (uint8_t)coding;
    r = buf_append(out, head, len);
    if (r == 0)
        r = buf_append(out, counts.data, counts.len);
    return r < 0 ? r : buf_append(out, sums.data, sums.len);
}

int block_unpack_sums(struct metric_codec *c, const void *bytes, size_t len, struct block_sums *ret)
{
    struct reader r = { bytes, bytes ? (const uint8_t *)bytes + len : NULL, false };
    ret->first = unzigzag(reader_varint(&r));
    uint64_t slots = reader_varint(&r), counts_len = reader_varint(&r);
    const uint8_t *coding = reader_bytes(&r, 1), *counts = r.failed ? NULL : reader_bytes(&r, counts_len);
    if (!coding || !counts || slots < 1 || slots > BLOCK_SUMS_MAX || ret->first < 0 ||
        ret->first > INT64_MAX / BLOCK_SUM_MS - BLOCK_SUMS_MAX)
        return -EBADMSG;
    ret->slots = slots;
    int bad = metric_decode_integers(c, counts, counts_len, ret->count, ret->slots);
    return bad < 0 ? bad : metric_decode(c, *coding, r.at, (size_t)(r.end - r.at), ret->sum, ret->slots);
}
