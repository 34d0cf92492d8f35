#define ZSTD_STATIC_LINKING_ONLY /* names of the frame format parameters; the calls are in the shared library */
#include "monitoring/metric_codec.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <zstd.h>

#define ZSTD_LEVEL 1
#define CONSTANT_RAW 0xff
#define EXACT_LIMIT 9007199254740992.0 /* 2^53: beyond it a double skips integers */
#define TRY_VARINTS_OVER 1000               /* in long blocks zstd finds repeats in varints that tokens hide */
#define TOKEN_BYTES_PER_RES 9

enum { /* first byte of packed integers */
       INTS_ORDER = 0x03,
       INTS_DIVISOR = 0x04,
       INTS_ZSTD = 0x08,
       INTS_VARINTS = 0x10,
       INTS_ZERO = 0x20, /* all residuals are zero: nothing follows */
       INTS_KNOWN = 0x3f,
};
enum { XOR_PLAIN = 0, XOR_ZSTD = 1 };

/* Scales, tried in this order: k, k / 10^e, k * 10^-e (other bits than the division), k / 1000 / 1000. */
enum { SCALE_DIVIDE = 1, SCALE_MULTIPLY = 11, SCALE_MILLI_MILLI = 21, SCALE_COUNT = 22 };
static const double POWER[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10 };
static const double INVERSE[] = { 1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10 };

struct metric_codec {
    ZSTD_CCtx *compressor; /* made when first needed: a reader never needs one */
    ZSTD_DCtx *decompressor;
    int64_t *integers, *residuals; /* `room` elements each */
    uint8_t *bytes, *squeezed;     /* room * TOKEN_BYTES_PER_RES + 64 each */
    size_t room;
};

struct metric_codec *metric_codec_new(void)
{
    return calloc(1, sizeof(struct metric_codec));
}

static void scratch_free(struct metric_codec *c)
{
    free(c->integers);
    free(c->residuals);
    free(c->bytes);
    free(c->squeezed);
    c->integers = c->residuals = NULL;
    c->bytes = c->squeezed = NULL;
    c->room = 0;
}

void metric_codec_free(struct metric_codec *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->compressor);
    ZSTD_freeDCtx(c->decompressor);
    scratch_free(c);
    free(c);
}

static size_t scratch_bytes(size_t n)
{
    return n * TOKEN_BYTES_PER_RES + 64;
}

static int scratch_reserve(struct metric_codec *c, size_t n)
{
    if (n <= c->room)
        return 0;
    scratch_free(c);
    n = n < 512 ? 512 : n;
    c->integers = calloc(n, sizeof *c->integers);
    c->residuals = calloc(n, sizeof *c->residuals);
    c->bytes = malloc(scratch_bytes(n));
    c->squeezed = malloc(scratch_bytes(n));
    if (!c->integers || !c->residuals || !c->bytes || !c->squeezed) {
        scratch_free(c);
        return -ENOMEM;
    }
    c->room = n;
    return 0;
}

/* ---- bytes ---- */

size_t varint_put(uint8_t *dst, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        dst[n++] = (uint8_t)(v | 0x80);
    dst[n++] = (uint8_t)v;
    return n;
}

uint64_t reader_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    r->failed = true;
    return 0;
}

const uint8_t *reader_bytes(struct reader *r, size_t n)
{
    if ((size_t)(r->end - r->at) < n) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *bytes = r->at;
    r->at += n;
    return bytes;
}

static int buf_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[10];
    return buf_append(out, bytes, varint_put(bytes, v));
}

static int buf_byte(struct buf *out, unsigned v)
{
    return buf_putc(out, (char)v);
}

static bool compressor_ready(struct metric_codec *c)
{
    if (c->compressor)
        return true;
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return false;
    if (ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_format, ZSTD_f_zstd1_magicless)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0))) {
        ZSTD_freeCCtx(z);
        return false;
    }
    c->compressor = z;
    return true;
}

size_t metric_squeeze(struct metric_codec *c, const void *src, size_t n, void *dst, size_t size)
{
    if (n < 8 || !compressor_ready(c))
        return 0;
    size_t len = ZSTD_compress2(c->compressor, dst, size, src, n);
    return ZSTD_isError(len) || len >= n ? 0 : len;
}

int metric_unsqueeze(struct metric_codec *c, const void *src, size_t len, void *dst, size_t n)
{
    if (!c->decompressor) {
        c->decompressor = ZSTD_createDCtx();
        if (!c->decompressor)
            return -ENOMEM;
        if (ZSTD_isError(ZSTD_DCtx_setParameter(c->decompressor, ZSTD_d_format, ZSTD_f_zstd1_magicless)))
            return -EBADMSG;
    }
    size_t got = ZSTD_decompressDCtx(c->decompressor, dst, n, src, len);
    return ZSTD_isError(got) || got != n ? -EBADMSG : 0;
}

/* ---- integers: deltas, divisor, tokens ---- */

static unsigned bit_length(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

/* Unsigned arithmetic, as broken bytes may make sums wrap when decoding. */
static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* The residual of value i: against the first (order 0), the one before (1), or the step before (2). */
static int64_t residual(const int64_t *k, size_t i, unsigned order)
{
    if (order == 0)
        return minus(k[i], k[0]);
    int64_t step = minus(k[i], k[i - 1]);
    return order == 1 ? step : minus(step, minus(k[i - 1], k[i - 2]));
}

static size_t first_residual(unsigned order)
{
    return order == 2 ? 2 : 1;
}

static unsigned best_order(const int64_t *k, size_t n)
{
    uint64_t cost[3] = { 0 };
    for (size_t i = 1; i < n; i++) {
        cost[0] += bit_length(zigzag(residual(k, i, 0)));
        cost[1] += bit_length(zigzag(residual(k, i, 1)));
        cost[2] += bit_length(zigzag(i == 1 ? residual(k, i, 1) : residual(k, i, 2)));
    }
    unsigned best = cost[1] <= cost[0] ? 1 : 0;
    return n > 2 && cost[2] < cost[best] ? 2 : best;
}

static uint64_t common_divisor(const int64_t *residuals, size_t n)
{
    uint64_t g = 0;
    for (size_t i = 0; i < n && g != 1; i++) {
        uint64_t b = (uint64_t)(residuals[i] < 0 ? -residuals[i] : residuals[i]);
        while (b) {
            uint64_t rest = g % b;
            g = b;
            b = rest;
        }
    }
    return g;
}

/* A token says bit length and the two bits after the leading one; 0..3 are the values themselves. */
static unsigned token_of(uint64_t z, unsigned *ret_bits)
{
    unsigned length = bit_length(z);
    if (length <= 2) {
        *ret_bits = 0;
        return (unsigned)z;
    }
    *ret_bits = length - 3;
    return 4 + (length - 3) * 4 + (unsigned)((z >> (length - 3)) & 3);
}

/* Bits, least significant first; returns bytes written to `dst`. */
static size_t pack_bits(const int64_t *residuals, size_t n, uint8_t *tokens, uint8_t *dst)
{
    unsigned __int128 pending = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = zigzag(residuals[i]);
        unsigned bits;
        tokens[i] = (uint8_t)token_of(z, &bits);
        uint64_t rest = bits ? z & (((uint64_t)1 << bits) - 1) : 0;
        pending |= (unsigned __int128)rest << held;
        for (held += bits; held >= 8; held -= 8, pending >>= 8)
            dst[len++] = (uint8_t)pending;
    }
    if (held)
        dst[len++] = (uint8_t)pending;
    return len;
}

static int unpack_bits(const uint8_t *tokens, size_t n, struct reader *r, int64_t *residuals)
{
    unsigned __int128 pending = 0;
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned token = tokens[i];
        if (token < 4) {
            residuals[i] = unzigzag(token);
            continue;
        }
        unsigned bits = (token - 4) / 4;
        if (bits > 61)
            return -EBADMSG;
        for (; held < bits; held += 8) {
            if (r->at == r->end)
                return -EBADMSG;
            pending |= (unsigned __int128)*r->at++ << held;
        }
        uint64_t rest = bits ? (uint64_t)pending & (((uint64_t)1 << bits) - 1) : 0;
        residuals[i] = unzigzag(((uint64_t)(4 | ((token - 4) & 3)) << bits) | rest);
        pending >>= bits;
        held -= bits;
    }
    return r->at == r->end ? 0 : -EBADMSG;
}

static size_t put_varints(const int64_t *residuals, size_t n, uint8_t *dst)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += varint_put(dst + len, zigzag(residuals[i]));
    return len;
}

struct packed {
    unsigned flags;
    const uint8_t *head; /* tokens or varints, plain or zstd */
    size_t head_len;
    const uint8_t *tail; /* the tokens' bits */
    size_t tail_len;
};

/* Varints of n residuals as they are, or zstd if shorter: `store` receives the latter. */
static void pack_varints(struct metric_codec *c, size_t n, uint8_t *plain, uint8_t *store, size_t store_size,
                         struct packed *ret)
{
    size_t len = put_varints(c->residuals, n, plain);
    size_t short_len = metric_squeeze(c, plain, len, store, store_size);
    *ret = (struct packed){ INTS_VARINTS, plain, len, NULL, 0 };
    if (short_len)
        *ret = (struct packed){ INTS_VARINTS | INTS_ZSTD, store, short_len, NULL, 0 };
}

static int write_packed(const struct packed *p, size_t plain_varints, struct buf *out)
{
    int r = 0;
    if (p->flags & INTS_ZSTD) {
        if (p->flags & INTS_VARINTS)
            r = buf_varint(out, plain_varints); /* how long they are once unpacked */
        else
            r = buf_varint(out, p->head_len);
    }
    if (r == 0)
        r = buf_append(out, p->head, p->head_len);
    return r < 0 || !p->tail_len ? r : buf_append(out, p->tail, p->tail_len);
}

/* Tokens fill the first part of each scratch, bits and varints the rest. */
static int pack_residuals(struct metric_codec *c, size_t n, unsigned flags, size_t flags_at, struct buf *out)
{
    uint8_t *tokens = c->bytes, *bits = c->bytes + n;
    size_t bits_len = pack_bits(c->residuals, n, tokens, bits);
    size_t zstd_len = metric_squeeze(c, tokens, n, c->squeezed, scratch_bytes(c->room));
    struct packed best = { zstd_len ? INTS_ZSTD : 0, zstd_len ? c->squeezed : tokens, zstd_len ? zstd_len : n, bits,
                           bits_len };
    size_t plain_varints = 0;
    _cleanup_free_ uint8_t *other = NULL;
    if (n > TRY_VARINTS_OVER) {
        size_t room = n * 10;
        other = malloc(room * 2);
        if (!other)
            return -ENOMEM;
        struct packed varints;
        pack_varints(c, n, other, other + room, room, &varints);
        if (varints.head_len < best.head_len + best.tail_len) {
            plain_varints = put_varints(c->residuals, n, other);
            best = varints;
        }
    }
    int r = write_packed(&best, plain_varints, out);
    if (r == 0)
        out->data[flags_at] = (char)(flags | best.flags);
    return r;
}

/* c->integers[0..n) to bytes. */
static int put_integers(struct metric_codec *c, size_t n, struct buf *out)
{
    const int64_t *k = c->integers;
    unsigned order = n > 1 ? best_order(k, n) : 0;
    size_t first = first_residual(order), rest = n > first ? n - first : 0;
    for (size_t i = 0; i < rest; i++)
        c->residuals[i] = residual(k, first + i, order);
    uint64_t divisor = common_divisor(c->residuals, rest);
    unsigned flags = order | (divisor > 1 ? INTS_DIVISOR : 0) | (divisor == 0 ? INTS_ZERO : 0);
    size_t flags_at = out->len;
    int r = buf_byte(out, flags);
    if (r == 0)
        r = buf_varint(out, zigzag(k[0]));
    if (r == 0 && order == 2)
        r = buf_varint(out, zigzag(k[1] - k[0]));
    if (r == 0 && divisor > 1)
        r = buf_varint(out, divisor);
    if (r < 0 || divisor == 0)
        return r;
    for (size_t i = 0; i < rest && divisor > 1; i++)
        c->residuals[i] /= (int64_t)divisor;
    return pack_residuals(c, rest, flags, flags_at, out);
}

static int get_varints(struct metric_codec *c, struct reader *r, unsigned flags, size_t n)
{
    struct reader plain = *r;
    _cleanup_free_ uint8_t *unpacked = NULL;
    if (flags & INTS_ZSTD) {
        uint64_t len = reader_varint(r);
        if (r->failed || len > (uint64_t)n * 10)
            return -EBADMSG;
        unpacked = malloc(len + 1);
        if (!unpacked)
            return -ENOMEM;
        int bad = metric_unsqueeze(c, r->at, (size_t)(r->end - r->at), unpacked, len);
        if (bad < 0)
            return bad;
        plain = (struct reader){ unpacked, unpacked + len, false };
    }
    for (size_t i = 0; i < n; i++)
        c->residuals[i] = unzigzag(reader_varint(&plain));
    return plain.failed || plain.at != plain.end ? -EBADMSG : 0;
}

static int get_residuals(struct metric_codec *c, struct reader *r, unsigned flags, size_t n)
{
    if (flags & INTS_VARINTS)
        return get_varints(c, r, flags, n);
    const uint8_t *tokens;
    if (flags & INTS_ZSTD) {
        uint64_t len = reader_varint(r);
        const uint8_t *packed = r->failed ? NULL : reader_bytes(r, len);
        if (!packed)
            return -EBADMSG;
        int bad = metric_unsqueeze(c, packed, len, c->bytes, n);
        if (bad < 0)
            return bad;
        tokens = c->bytes;
    } else {
        tokens = reader_bytes(r, n);
        if (!tokens)
            return -EBADMSG;
    }
    return unpack_bits(tokens, n, r, c->residuals);
}

static void sum_up(struct metric_codec *c, size_t n, unsigned order, uint64_t divisor, int64_t step)
{
    int64_t *k = c->integers;
    size_t first = first_residual(order);
    if (order == 2 && n > 1)
        k[1] = plus(k[0], step);
    for (size_t i = first; i < n; i++) {
        int64_t d = (int64_t)((uint64_t)c->residuals[i - first] * divisor);
        if (order == 2)
            d = step = plus(step, d);
        k[i] = plus(order == 0 ? k[0] : k[i - 1], d);
    }
}

/* Bytes to c->integers[0..n); all bytes must be used. */
static int get_integers(struct metric_codec *c, struct reader *r, size_t n)
{
    const uint8_t *flag_byte = reader_bytes(r, 1);
    if (!flag_byte || (*flag_byte & ~INTS_KNOWN) || (*flag_byte & INTS_ORDER) == 3)
        return -EBADMSG;
    unsigned flags = *flag_byte, order = flags & INTS_ORDER;
    size_t first = first_residual(order), rest = n > first ? n - first : 0;
    c->integers[0] = unzigzag(reader_varint(r));
    int64_t step = order == 2 ? unzigzag(reader_varint(r)) : 0;
    uint64_t divisor = flags & INTS_DIVISOR ? reader_varint(r) : 1;
    if (r->failed)
        return -EBADMSG;
    if (flags & INTS_ZERO) {
        memset(c->residuals, 0, rest * sizeof *c->residuals);
        if (r->at != r->end)
            return -EBADMSG;
    } else {
        int bad = get_residuals(c, r, flags, rest);
        if (bad < 0)
            return bad;
    }
    sum_up(c, n, order, divisor, step);
    return 0;
}

/* ---- doubles ---- */

double scaled_to_double(int64_t k, unsigned scale)
{
    if (scale < SCALE_MULTIPLY)
        return scale ? (double)k / POWER[scale] : (double)k;
    if (scale < SCALE_MILLI_MILLI)
        return (double)k * INVERSE[scale - SCALE_MULTIPLY + 1];
    return (double)k / 1000 / 1000;
}

bool double_to_scaled(double v, unsigned scale, int64_t *ret)
{
    double power = scale < SCALE_MULTIPLY      ? POWER[scale]
                   : scale < SCALE_MILLI_MILLI ? POWER[scale - SCALE_MULTIPLY + 1]
                                               : 1e6;
    double scaled = v * power;
    if (!(scaled > -EXACT_LIMIT && scaled < EXACT_LIMIT)) /* also refuses NaN */
        return false;
    int64_t k = (int64_t)nearbyint(scaled);
    if (double_bits(scaled_to_double(k, scale)) != double_bits(v))
        return false;
    *ret = k;
    return true;
}

static bool scale_fits(struct metric_codec *c, const double *values, size_t n, unsigned scale)
{
    for (size_t i = 0; i < n; i++)
        if (!double_to_scaled(values[i], scale, &c->integers[i]))
            return false;
    return true;
}

static bool is_constant(const double *values, size_t n)
{
    uint64_t first = double_bits(values[0]);
    for (size_t i = 1; i < n; i++)
        if (double_bits(values[i]) != first)
            return false;
    return true;
}

static int put_constant(double v, struct buf *out)
{
    for (unsigned scale = 0; scale < SCALE_COUNT; scale++) {
        int64_t k;
        if (!double_to_scaled(v, scale, &k))
            continue;
        int r = buf_byte(out, scale);
        return r < 0 ? r : buf_varint(out, zigzag(k));
    }
    uint64_t bits = double_bits(v);
    int r = buf_byte(out, CONSTANT_RAW);
    for (unsigned i = 0; i < 8 && r == 0; i++)
        r = buf_byte(out, (uint8_t)(bits >> (8 * i)));
    return r;
}

static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)bytes[i] << (8 * i);
    return v;
}

static int get_constant(struct reader *r, double *ret, size_t n)
{
    const uint8_t *scale = reader_bytes(r, 1);
    if (!scale)
        return -EBADMSG;
    double v = 0;
    if (*scale == CONSTANT_RAW) {
        const uint8_t *raw = reader_bytes(r, 8);
        if (!raw)
            return -EBADMSG;
        v = bits_double(get_u64(raw));
    } else if (*scale < SCALE_COUNT) {
        v = scaled_to_double(unzigzag(reader_varint(r)), *scale);
    } else {
        return -EBADMSG;
    }
    if (r->failed || r->at != r->end)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++)
        ret[i] = v;
    return 0;
}

static int put_xor(struct metric_codec *c, const double *values, size_t n, struct buf *out)
{
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = double_bits(values[i]), x = bits ^ before;
        before = bits;
        for (unsigned plane = 0; plane < 8; plane++)
            c->bytes[plane * n + i] = (uint8_t)(x >> (8 * (7 - plane)));
    }
    size_t len = metric_squeeze(c, c->bytes, 8 * n, c->squeezed, scratch_bytes(c->room));
    int r = buf_byte(out, len ? XOR_ZSTD : XOR_PLAIN);
    return r < 0 ? r : buf_append(out, len ? c->squeezed : c->bytes, len ? len : 8 * n);
}

static int get_xor(struct metric_codec *c, struct reader *r, double *ret, size_t n)
{
    const uint8_t *kind = reader_bytes(r, 1), *planes = c->bytes;
    if (!kind || *kind > XOR_ZSTD)
        return -EBADMSG;
    if (*kind == XOR_ZSTD) {
        int bad = metric_unsqueeze(c, r->at, (size_t)(r->end - r->at), c->bytes, 8 * n);
        if (bad < 0)
            return bad;
    } else {
        planes = reader_bytes(r, 8 * n);
        if (!planes || r->at != r->end)
            return -EBADMSG;
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = 0;
        for (unsigned plane = 0; plane < 8; plane++)
            x = x << 8 | planes[plane * n + i];
        bits ^= x;
        ret[i] = bits_double(bits);
    }
    return 0;
}

int metric_encode(struct metric_codec *c, const double *values, size_t n, unsigned *ret_coding, struct buf *out)
{
    if (n == 0 || n > METRIC_BLOCK_MAX)
        return -EINVAL;
    int r = scratch_reserve(c, n);
    if (r < 0)
        return r;
    unsigned coding = CODING_XOR;
    if (is_constant(values, n)) {
        coding = CODING_CONSTANT;
        r = put_constant(values[0], out);
    } else {
        unsigned scale = 0;
        while (scale < SCALE_COUNT && !scale_fits(c, values, n, scale))
            scale++;
        if (scale < SCALE_COUNT) {
            coding = CODING_DECIMAL;
            r = buf_byte(out, scale);
            if (r == 0)
                r = put_integers(c, n, out);
        } else {
            r = put_xor(c, values, n, out);
        }
    }
    if (r == 0)
        *ret_coding = coding;
    return r;
}

static int get_decimal(struct metric_codec *c, struct reader *r, double *ret, size_t n)
{
    const uint8_t *scale = reader_bytes(r, 1);
    if (!scale || *scale >= SCALE_COUNT)
        return -EBADMSG;
    unsigned kind = *scale;
    int bad = get_integers(c, r, n);
    if (bad < 0)
        return bad;
    for (size_t i = 0; i < n; i++)
        ret[i] = scaled_to_double(c->integers[i], kind);
    return 0;
}

int metric_decode(struct metric_codec *c, unsigned coding, const void *bytes, size_t len, double *ret, size_t n)
{
    if (n == 0 || n > METRIC_BLOCK_MAX || (!bytes && len))
        return -EBADMSG;
    int bad = scratch_reserve(c, n);
    if (bad < 0)
        return bad;
    struct reader r = { bytes, bytes ? (const uint8_t *)bytes + len : NULL, false };
    switch (coding) {
    case CODING_CONSTANT: return get_constant(&r, ret, n);
    case CODING_DECIMAL: return get_decimal(c, &r, ret, n);
    case CODING_XOR: return get_xor(c, &r, ret, n);
    default: return -EBADMSG;
    }
}

int metric_encode_integers(struct metric_codec *c, const int64_t *values, size_t n, struct buf *out)
{
    if (n == 0 || n > METRIC_BLOCK_MAX)
        return -EINVAL;
    int r = scratch_reserve(c, n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (values[i] > (int64_t)EXACT_LIMIT || values[i] < -(int64_t)EXACT_LIMIT)
            return -EINVAL;
        c->integers[i] = values[i];
    }
    return put_integers(c, n, out);
}

int metric_decode_integers(struct metric_codec *c, const void *bytes, size_t len, int64_t *ret, size_t n)
{
    if (n == 0 || n > METRIC_BLOCK_MAX || (!bytes && len))
        return -EBADMSG;
    int bad = scratch_reserve(c, n);
    if (bad < 0)
        return bad;
    struct reader r = { bytes, bytes ? (const uint8_t *)bytes + len : NULL, false };
    bad = get_integers(c, &r, n);
    if (bad == 0)
        memcpy(ret, c->integers, n * sizeof *ret);
    return bad;
}
