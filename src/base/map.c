#include "base/map.h"

#include "base/id.h"
#include "base/str.h"

#include <errno.h>

/* Open addressing with linear probing; removal shifts back, so there are no tombstones.
 * The hash is seeded: keys come from outside. */
struct slot {
    char *key;
    void *value;
    uint64_t hash;
};

struct map {
    struct slot *slots;
    size_t size, cap; /* cap is a power of two */
    uint64_t seed;
    void (*free_value)(void *);
};

static uint64_t hash_of(const struct map *m, const char *key)
{
    uint64_t h = m->seed ^ 0xcbf29ce484222325u;
    for (; *key; key++) {
        h ^= (unsigned char)*key;
        h *= 0x100000001b3u;
        h ^= h >> 29;
    }
    return h ^ h >> 32;
}

struct map *map_new(void (*free_value)(void *))
{
    struct map *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->free_value = free_value;
    random_bytes(&m->seed, sizeof m->seed);
    return m;
}

static void drop(struct map *m, struct slot *s)
{
    if (m->free_value)
        m->free_value(s->value);
    free(s->key);
}

void map_free(struct map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key)
            drop(m, &m->slots[i]);
    free(m->slots);
    free(m);
}

static struct slot *probe(const struct map *m, const char *key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].key && (m->slots[i].hash != hash || !str_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

static int grow(struct map *m)
{
    struct map old = *m;
    size_t cap = m->cap ? m->cap * 2 : 16;
    struct slot *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    m->slots = slots;
    m->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key)
            *probe(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    free(old.slots);
    return 0;
}

int map_set(struct map *m, const char *key, void *value)
{
    if ((m->size + 1) * 4 > m->cap * 3 && grow(m) < 0)
        return -ENOMEM;
    uint64_t hash = hash_of(m, key);
    struct slot *s = probe(m, key, hash);
    if (s->key) {
        if (m->free_value && s->value != value)
            m->free_value(s->value);
        s->value = value;
        return 0;
    }
    char *copy = strdup(key);
    if (!copy)
        return -ENOMEM;
    *s = (struct slot){ copy, value, hash };
    m->size++;
    return 0;
}

void *map_get(const struct map *m, const char *key)
{
    return m->cap ? probe(m, key, hash_of(m, key))->value : NULL;
}

bool map_remove(struct map *m, const char *key)
{
    struct slot *s = m->cap ? probe(m, key, hash_of(m, key)) : NULL;
    if (!s || !s->key)
        return false;
    drop(m, s);
    m->size--;
    size_t hole = (size_t)(s - m->slots), mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        /* Moves back only an entry whose home is not between the hole and it. */
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct slot){ 0 };
    return true;
}

size_t map_size(const struct map *m)
{
    return m->size;
}

bool map_next(const struct map *m, size_t *cursor, const char **ret_key, void **ret_value)
{
    while (*cursor < m->cap) {
        const struct slot *s = &m->slots[(*cursor)++];
        if (!s->key)
            continue;
        if (ret_key)
            *ret_key = s->key;
        if (ret_value)
            *ret_value = s->value;
        return true;
    }
    return false;
}
