/* Packs a block's values (and a group's times) and gives them back bit for bit.
 * constant | decimal-scaled integers, delta of order 0..2, divided by their common divisor | XOR, transposed.
 * The format is on disk for ever: codings are only added, never changed.
 * Ownership: the caller owns all arrays. A codec holds zstd contexts and scratch: one thread at a time. */
#ifndef HB_METRIC_CODEC_H
#define HB_METRIC_CODEC_H

#include "base/buf.h"

#define METRIC_BLOCK_MAX 65536 /* values in one block */

enum metric_coding {
    CODING_CONSTANT = 0, /* scale, integer; or CONSTANT_RAW and eight bytes */
    CODING_DECIMAL = 1,  /* scale, packed integers */
    CODING_XOR = 2,      /* eight planes of XORed bytes, plain or zstd */
    CODING_INTEGERS = 3, /* packed integers alone: times */
};

struct metric_codec;
struct metric_codec *metric_codec_new(void); /* NULL: no memory */
void metric_codec_free(struct metric_codec *c);

/* Appends the packed form of 1..METRIC_BLOCK_MAX values. 0, -EINVAL (n), -ENOMEM. */
int metric_encode(struct metric_codec *c, const double *values, size_t n, unsigned *ret_coding, struct buf *out);
/* Unpacks exactly n values; whatever the bytes are, it reads and writes only inside its arrays. -EBADMSG. */
int metric_decode(struct metric_codec *c, unsigned coding, const void *bytes, size_t len, double *ret, size_t n);

/* The same for integers within +-2^53 (times in ms); coding is CODING_INTEGERS. -EINVAL when beyond. */
int metric_encode_integers(struct metric_codec *c, const int64_t *values, size_t n, struct buf *out);
int metric_decode_integers(struct metric_codec *c, const void *bytes, size_t len, int64_t *ret, size_t n);

/* zstd level 1 without magic, content size and check sum. compress: bytes written, or 0 when it does not get
 * shorter; decompress: 0 when exactly `n` bytes came out, else -EBADMSG. */
size_t metric_squeeze(struct metric_codec *c, const void *src, size_t n, void *dst, size_t size);
int metric_unsqueeze(struct metric_codec *c, const void *src, size_t len, void *dst, size_t n);

/* What the packed forms are written with, shared with the log's frames. */
static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t z)
{
    return (int64_t)((z >> 1) ^ (0 - (z & 1)));
}
static inline uint64_t double_bits(double v)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline double bits_double(uint64_t bits)
{
    double v;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}
size_t varint_put(uint8_t *dst, uint64_t v); /* at most 10 bytes */
/* Bytes read in order; a read past the end sets `failed` and gives zeros. */
struct reader {
    const uint8_t *at, *end;
    bool failed;
};
uint64_t reader_varint(struct reader *r);
const uint8_t *reader_bytes(struct reader *r, size_t n); /* NULL past the end */

/* The integer that, divided by 10^places (places 0 or 3 here), is `v` bit for bit; false if there is none. */
bool double_to_scaled(double v, unsigned scale, int64_t *ret);
double scaled_to_double(int64_t k, unsigned scale);

#endif
