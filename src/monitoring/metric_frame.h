/* A frame is one body in metric_log: which slots of a group have a value, and how each differs from the one
 * before it. Frames of a chunk are read in order, from its first on; a chunk's first frame stands alone.
 * Ownership: the caller owns all arrays. Broken bytes are refused, never followed. */
#ifndef HB_METRIC_FRAME_H
#define HB_METRIC_FRAME_H

#include "monitoring/metric_codec.h"

#define FRAME_SLOTS_MAX 200000

/* `present[slot]` and `values[slot]` for slots 0..slots; `before[slot]` is the last value (0 if none yet);
 * `ids` are the series of the slots from `old_slots` on, which this frame adds. 0 or -ENOMEM. */
struct frame {
    size_t old_slots, slots;
    const double *before;
    double *values;
    bool *present;
    uint64_t *ids; /* slots - old_slots */
};
int frame_encode(struct metric_codec *c, const struct frame *f, struct buf *out);

/* Reads how many slots there are, so that the caller can make room. -EBADMSG. */
int frame_slots(const void *bytes, size_t len, size_t *ret_slots);
/* f->old_slots, slots, before are inputs; fills values, present, ids. -EBADMSG, -ENOMEM. */
int frame_decode(struct metric_codec *c, const void *bytes, size_t len, struct frame *f);

#endif
