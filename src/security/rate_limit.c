#include "security/internal.h"

/* Token buckets: `per_minute` tokens flow in a minute, at most that many are held.
 * The table is bounded: at the limit a hand goes on over a part of it and takes out the buckets that are full again
 * (nothing is forgotten with them); when there is none, the one of that part that was used longest ago. */
struct bucket {
    double tokens;
    int64_t at_ms; /* when `tokens` was right */
};

struct limiter {
    pthread_mutex_t lock;
    struct map *buckets;
    unsigned per_minute;
    size_t capacity;
    size_t hand; /* where the next sweep begins */
};
#define SWEEP 256

struct limiter *limiter_new(unsigned per_minute, size_t capacity)
{
    struct limiter *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->buckets = map_new(free);
    if (!l->buckets) {
        free(l);
        return NULL;
    }
    (void)pthread_mutex_init(&l->lock, NULL);
    l->per_minute = per_minute;
    l->capacity = capacity;
    return l;
}

void limiter_free(struct limiter *l)
{
    if (!l)
        return;
    map_free(l->buckets);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

unsigned limiter_limit(const struct limiter *l)
{
    return l->per_minute;
}

size_t limiter_size(struct limiter *l)
{
    (void)pthread_mutex_lock(&l->lock);
    size_t n = map_size(l->buckets);
    (void)pthread_mutex_unlock(&l->lock);
    return n;
}

static double refilled(const struct limiter *l, const struct bucket *b, int64_t now)
{
    double tokens = b->tokens + (double)(now - b->at_ms) * l->per_minute / 60000.0;
    return tokens < l->per_minute ? tokens : l->per_minute;
}

static void sweep(struct limiter *l, int64_t now)
{
    char gone[SWEEP][64], oldest[64] = "";
    int64_t oldest_ms = INT64_MAX;
    size_t n = 0;
    const char *key;
    void *value;
    for (size_t i = 0; i < SWEEP; i++) {
        if (!map_next(l->buckets, &l->hand, &key, &value)) {
            l->hand = 0;
            continue;
        }
        const struct bucket *b = value;
        if (refilled(l, b, now) >= l->per_minute)
            str_copy(gone[n++], sizeof gone[0], key);
        if (b->at_ms < oldest_ms) {
            oldest_ms = b->at_ms;
            str_copy(oldest, sizeof oldest, key);
        }
    }
    if (!n)
        (void)map_remove(l->buckets, oldest);
    for (size_t i = 0; i < n; i++)
        (void)map_remove(l->buckets, gone[i]);
}

static struct bucket *bucket_for(struct limiter *l, const char *who, int64_t now)
{
    struct bucket *b = map_get(l->buckets, who);
    if (b)
        return b;
    if (map_size(l->buckets) >= l->capacity)
        sweep(l, now);
    b = malloc(sizeof *b);
    if (!b)
        return NULL;
    *b = (struct bucket){ l->per_minute, now };
    if (map_set(l->buckets, who, b) < 0) {
        free(b);
        return NULL;
    }
    return b;
}

unsigned limiter_take(struct limiter *l, const char *who, unsigned *ret_left)
{
    unsigned wait = 0, left = 0;
    (void)pthread_mutex_lock(&l->lock);
    int64_t now = clock_mono_ms();
    struct bucket *b = l->per_minute ? bucket_for(l, who, now) : NULL;
    if (b) {
        b->tokens = refilled(l, b, now);
        b->at_ms = now;
        if (b->tokens >= 1)
            b->tokens -= 1;
        else
            wait = (unsigned)((1 - b->tokens) * 60.0 / l->per_minute) + 1;
        left = (unsigned)b->tokens;
    }
    (void)pthread_mutex_unlock(&l->lock);
    if (ret_left)
        *ret_left = left;
    return wait;
}
