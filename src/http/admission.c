#include "http/admission.h"

#include "base/id.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KNOWN_WAYS 4
#define KNOWN_SETS (ADMISSION_KNOWN_MAX / KNOWN_WAYS)

struct key {
    uint64_t high, low;
};
struct entry {
    struct entry *next;
    struct key key;
    unsigned connections;
};
struct known {
    struct key key;
    int64_t until; /* 0: free */
};
struct admission {
    struct admission_limits limits;
    pthread_mutex_t lock; /* everything below */
    _Atomic unsigned open;
    uint64_t seed;
    unsigned buckets; /* power of two */
    struct entry **table;
    struct known known[KNOWN_SETS][KNOWN_WAYS];
};

struct admission *admission_new(const struct admission_limits *limits)
{
    struct admission *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->limits = *limits;
    a->buckets = 64;
    while (a->buckets < limits->connections && a->buckets < 65536)
        a->buckets *= 2;
    a->table = calloc(a->buckets, sizeof(struct entry *));
    if (!a->table) {
        free(a);
        return NULL;
    }
    random_bytes(&a->seed, sizeof a->seed);
    (void)pthread_mutex_init(&a->lock, NULL);
    return a;
}

void admission_free(struct admission *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < a->buckets; i++)
        for (struct entry *e = a->table[i], *next; e; e = next) {
            next = e->next;
            free(e);
        }
    free(a->table);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

/* IPv4 also when it comes mapped into IPv6; of IPv6 the /64, which is what one customer gets. */
static struct key key_of(const union address *who)
{
    struct key k = { 0, 0 };
    if (who->any.sa_family == AF_INET)
        k = (struct key){ 0, 0xffff00000000ull | ntohl(who->v4.sin_addr.s_addr) };
    else if (who->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&who->v6.sin6_addr)) {
        uint32_t v4;
        memcpy(&v4, who->v6.sin6_addr.s6_addr + 12, sizeof v4);
        k = (struct key){ 0, 0xffff00000000ull | ntohl(v4) };
    } else if (who->any.sa_family == AF_INET6) {
        memcpy(&k.high, who->v6.sin6_addr.s6_addr, sizeof k.high);
        k.low = IN6_IS_ADDR_LOOPBACK(&who->v6.sin6_addr);
    }
    return k;
}

static bool is_loopback(struct key k)
{
    return k.high == 0 && (k.low == 1 || (k.low >> 24) == (0xffff00000000ull | 0x7f000000) >> 24);
}

static uint64_t hash(const struct admission *a, struct key k)
{
    uint64_t h = a->seed;
    h = (h ^ k.high) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    h = (h ^ k.low) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static bool same(struct key x, struct key y)
{
    return x.high == y.high && x.low == y.low;
}

static struct known *find_known(struct admission *a, struct key k)
{
    struct known *set = a->known[hash(a, k) % KNOWN_SETS];
    for (unsigned i = 0; i < KNOWN_WAYS; i++)
        if (set[i].until && same(set[i].key, k))
            return &set[i];
    return NULL;
}

static bool privileged(struct admission *a, struct key k, int64_t now)
{
    if (!a->limits.loopback_plain && is_loopback(k))
        return true;
    const struct known *known = find_known(a, k);
    return known && known->until > now;
}

static struct entry **find_entry(struct admission *a, struct key k)
{
    struct entry **at = &a->table[hash(a, k) & (a->buckets - 1)];
    while (*at && !same((*at)->key, k))
        at = &(*at)->next;
    return at;
}

static enum admission_verdict enter(struct admission *a, struct key k, bool uncapped, int64_t now)
{
    unsigned limit = a->limits.connections;
    if (a->open >= limit)
        return ADMISSION_FULL;
    if (a->open + a->limits.reserved >= limit && !privileged(a, k, now))
        return ADMISSION_FULL;
    bool loopback = !a->limits.loopback_plain && is_loopback(k);
    struct entry **at = find_entry(a, k);
    if (*at && !uncapped && !loopback && (*at)->connections >= a->limits.per_address)
        return ADMISSION_ADDRESS;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            return ADMISSION_FULL;
        (*at)->key = k;
    }
    (*at)->connections++;
    a->open++;
    return ADMISSION_IN;
}

enum admission_verdict admission_enter(struct admission *a, const union address *who, bool uncapped, int64_t now)
{
    (void)pthread_mutex_lock(&a->lock);
    enum admission_verdict verdict = enter(a, key_of(who), uncapped, now);
    (void)pthread_mutex_unlock(&a->lock);
    return verdict;
}

void admission_leave(struct admission *a, const union address *who)
{
    (void)pthread_mutex_lock(&a->lock);
    struct entry **at = find_entry(a, key_of(who));
    assert(*at && a->open > 0);
    a->open--;
    if (--(*at)->connections == 0) {
        struct entry *gone = *at;
        *at = gone->next;
        free(gone);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

void admission_know(struct admission *a, const union address *who, int64_t now)
{
    struct key k = key_of(who);
    (void)pthread_mutex_lock(&a->lock);
    struct known *slot = find_known(a, k);
    if (!slot) {
        struct known *set = a->known[hash(a, k) % KNOWN_SETS];
        slot = &set[0];
        for (unsigned i = 1; i < KNOWN_WAYS; i++)
            if (set[i].until < slot->until)
                slot = &set[i];
    }
    *slot = (struct known){ k, now + ADMISSION_KNOWN_MS };
    (void)pthread_mutex_unlock(&a->lock);
}

bool admission_privileged(struct admission *a, const union address *who, int64_t now)
{
    (void)pthread_mutex_lock(&a->lock);
    bool yes = privileged(a, key_of(who), now);
    (void)pthread_mutex_unlock(&a->lock);
    return yes;
}

unsigned admission_open(const struct admission *a)
{
    return a->open;
}
