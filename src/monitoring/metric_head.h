/* The head: each group's open chunk in memory, up to METRIC_CHUNK_TICKS times with the values of its members.
 * A member that does not change costs nothing but its struct; one that does has 60 raw values, older ones packed.
 * Ownership: a group owns its members; a series links to them. Threads: `head_prepare`, `head_apply`,
 * `head_reset` change it under the engine's lock; reading needs the lock or being the only writer. */
#ifndef HB_METRIC_HEAD_H
#define HB_METRIC_HEAD_H

#include "monitoring/metric_frame.h"
#include "monitoring/metric_series.h"
#include "monitoring/metrics.h"

#define HEAD_RAW 60
#define PRESENCE_WORDS ((METRIC_CHUNK_TICKS + 63) / 64)

struct member {
    struct series *series; /* NULL: forgotten; the slot stays till the chunk is sealed, as the log counts on it */
    struct group *group;
    struct member *next_of_series;
    uint64_t *presence;    /* NULL: the ticks from first_tick on, without a gap */
    double *raw;           /* NULL: all values so far are the same */
    uint8_t *packed;       /* count, coding, length, bytes; again and again */
    uint32_t packed_len, packed_room;
    uint32_t slot;
    uint16_t first_tick, count, raw_count;
};

struct group {
    uint64_t id;
    char *name;
    bool stored;           /* its row is in metric_groups */
    bool damaged;          /* a frame of the open chunk could not be read back: those after it are left out */
    int64_t interval_ms;
    int64_t last_ms;       /* of its newest tick, also of sealed ones; 0: none */
    unsigned late_run;     /* bodies in a row that came too late */
    unsigned ticks;
    int64_t times[METRIC_CHUNK_TICKS];
    uint64_t log_first, log_last; /* rows of the open chunk in metric_log; 0: none */
    struct member **slots;
    double *last;          /* last value of each slot */
    size_t slot_count, slot_room;
    uint64_t *sender;      /* ids of the last body in the sender's order: its next one is likely the same */
    struct series **sender_series;
    uint32_t *sender_slots; /* in this chunk */
    size_t sender_count, sender_room; /* count 0: nothing remembered */
};
struct group *group_new(uint64_t id, const char *name, int64_t interval_ms); /* NULL: no memory */
void group_free(struct group *g); /* members too; unlinks them from their series */

/* A body on its way into a group: per slot whether it has a value, and which. */
struct body {
    size_t slots, old_slots, room;
    bool *present;
    double *values;
    uint64_t *ids;          /* of new slots: slots - old_slots */
    struct series **added;  /* of new slots; NULL: forgotten meanwhile (replay) */
    size_t fresh;           /* samples that are new */
};
void body_done(struct body *b);
int body_begin(struct body *b, const struct group *g, size_t new_slots); /* room for so many new ones; -ENOMEM */

/* Makes room so that `head_apply` cannot fail. Adds no sample. -ENOMEM leaves what was visible as it was.
 * `same_tick`: the body adds to the newest tick instead of a new one. */
int head_prepare(struct group *g, struct metric_codec *c, const struct body *b, bool same_tick);
void head_apply(struct group *g, const struct body *b, int64_t at_ms, bool same_tick);
void head_reset(struct group *g); /* the chunk was sealed: forget its ticks and members */
size_t head_bytes(const struct group *g);

/* A member's ticks (indices into times) and values; both arrays hold METRIC_CHUNK_TICKS. Returns the count. */
size_t member_read(const struct member *m, struct metric_codec *c, uint16_t *ret_ticks, double *ret_values);
bool member_has_tick(const struct member *m, unsigned tick);
void member_forget(struct member *m); /* its series goes */

#endif
