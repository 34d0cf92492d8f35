/* What a series is called, and the registry of all series of a metric engine.
 * Ownership: labels are reference-counted and immutable, so results keep them beyond a series' life; the
 * registry owns its `struct series`. Threads: labels are free to share, the registry is guarded by its owner. */
#ifndef HB_METRIC_SERIES_H
#define HB_METRIC_SERIES_H

#include "base/error.h"

/* The identity of a series: all eight texts. `tags` is a JSON object of strings with its keys in byte order,
 * as `metric_tags` writes it; "{}" when there are none. */
struct metric_def {
    const char *source, *type, *category, *entity_id, *entity_type, *name, *unit, *tags;
};
#define METRIC_TEXT_MAX 255
#define METRIC_TAGS_MAX 4096

struct metric_labels {
    _Atomic unsigned refs;
    uint64_t hash;
    struct metric_def def; /* points into text */
    char text[];
};
struct metric_labels *metric_labels_new(const struct metric_def *def, uint64_t hash); /* NULL: no memory */
struct metric_labels *metric_labels_ref(struct metric_labels *l);
void metric_labels_unref(struct metric_labels *l); /* NULL is fine */

uint64_t metric_def_hash(const struct metric_def *def);
bool metric_def_equal(const struct metric_def *a, const struct metric_def *b);
/* ERR_VALIDATION when a text is missing, empty, too long, or not among the contract's words for it. */
int metric_def_check(const struct metric_def *def, struct error *e);

struct metric_pair {
    const char *key, *value;
};
/* The canonical text of tags, into `ret` of `size` bytes. `pairs` is sorted in place. 0 or -EMSGSIZE. */
int metric_tags(struct metric_pair *pairs, size_t n, char *ret, size_t size);
/* Whether canonical `tags` has all pairs. */
bool metric_tags_match(const char *tags, const struct metric_pair *pairs, size_t n);

struct member;
struct series {
    struct metric_labels *labels;
    uint64_t id;
    bool stored;        /* its row is in metric_series */
    bool dirty;         /* its latest value is newer than its row in monitoring_metrics */
    int64_t first_ms;   /* oldest sample that is kept; 0: none yet */
    int64_t last_ms;    /* of the latest value */
    int64_t interval_ms; /* of the group that wrote last */
    double last;
    uint32_t body_slot; /* while a body is put together: its new slot plus one */
    struct member *members; /* open chunks, a group each */
    struct series *next_of_bucket;
};

struct registry {
    struct series **all; /* by rising id */
    size_t count, room;
    struct series **buckets;
    size_t bucket_count;
    size_t label_bytes;
};
void registry_done(struct registry *r);
struct series *registry_find(const struct registry *r, const struct metric_def *def, uint64_t hash);
size_t registry_after(const struct registry *r, uint64_t id); /* index of the first series with a larger id */
struct series *registry_by_id(const struct registry *r, uint64_t id);
/* `id` must be above all others. NULL: no memory. */
struct series *registry_add(struct registry *r, uint64_t id, const struct metric_def *def, uint64_t hash);
void registry_remove(struct registry *r, struct series *s); /* frees it; it has no members any more */

#endif
