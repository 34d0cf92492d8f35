/* A block as it stands in metric_blocks: the values of one series at some of the times of its chunk.
 * Ownership: the caller owns all arrays. Whatever the bytes are, unpacking stays inside its arrays. */
#ifndef HB_METRIC_BLOCK_H
#define HB_METRIC_BLOCK_H

#include "monitoring/metric_codec.h"

#define BLOCK_SPARSE 0x80u /* in the coding: presence runs come before the values */

struct block_stats {
    size_t count;         /* samples, also such as are no numbers */
    double min, max, sum; /* of the finite ones; 0 when there are none */
};
/* `ticks` (rising indices below `total`) and `values`: n of each. 0, -EINVAL, -ENOMEM. */
int block_pack(struct metric_codec *c, const uint16_t *ticks, const double *values, size_t n, size_t total,
               unsigned *ret_coding, struct buf *out, struct block_stats *ret);
/* `count` samples of a chunk with `total` times. -EBADMSG, -ENOMEM. */
int block_unpack(struct metric_codec *c, unsigned coding, const void *bytes, size_t len, size_t total, size_t count,
                 uint16_t *ret_ticks, double *ret_values);

/* Sums of a block in slots of five minutes: slot k is (k - 1, k] * BLOCK_SUM_MS, as a query's windows end with
 * their multiple. Only finite values count. */
#define BLOCK_SUM_MS 300000
#define BLOCK_SUMS_MAX 512 /* slots; a day has 289 at most */
struct block_sums {
    int64_t first; /* number of slot 0 */
    size_t slots;
    int64_t count[BLOCK_SUMS_MAX];
    double sum[BLOCK_SUMS_MAX];
};
/* `times[ticks[i]]` is when value i was taken, rising. -EINVAL: over too many slots. */
int block_pack_sums(struct metric_codec *c, const int64_t *times, const uint16_t *ticks, const double *values, size_t n,
                    struct block_sums *scratch, struct buf *out);
int block_unpack_sums(struct metric_codec *c, const void *bytes, size_t len, struct block_sums *ret); /* -EBADMSG */

#endif
