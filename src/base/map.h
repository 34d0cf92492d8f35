/* A hash map from strings to pointers. Keys are copied; values are the caller's, freed by `free_value`
 * when replaced, removed or at `map_free` (NULL: never freed). Not thread-safe. */
#ifndef HB_MAP_H
#define HB_MAP_H

#include "base/base.h"

struct map;
struct map *map_new(void (*free_value)(void *));
void map_free(struct map *m);
int map_set(struct map *m, const char *key, void *value); /* 0, or -ENOMEM and the value is untouched */
void *map_get(const struct map *m, const char *key);      /* NULL: absent */
bool map_remove(struct map *m, const char *key);
size_t map_size(const struct map *m);
/* Walks in no special order: start with *cursor = 0; false at the end. No changes while walking. */
bool map_next(const struct map *m, size_t *cursor, const char **ret_key, void **ret_value);

#endif
