/* Entities of one kind in memory, ordered by name, each with the few facts that lists filter by.
 * Readers take references under a read lock; one writer at a time. Internal to the room. */
#ifndef HB_RUNTIME_TABLE_H
#define HB_RUNTIME_TABLE_H

#include "runtime/filter.h"
#include "runtime/runtime.h"

#include <pthread.h>

struct row {
    struct entity *entity;
    char node_id[37];           /* services */
    uint8_t type, status, health, provider; /* indexes into the contract's enums; 255 none */
    bool managed, monitored, running;
    char *search;               /* lower-case text that `q` is looked for in; NULL none */
    json_t *labels;             /* nodes: what `label` filters by; owned, NULL none */
    char *container_id;         /* services: the container, running or not; owned, NULL none */
    int restart_count;
    char *service_id;           /* services: owned, NULL: the name */
    unsigned short ordinal, wanted; /* services */
};
static inline const char *row_service(const struct row *row)
{
    return row->service_id ? row->service_id : row->entity->name;
}

struct table;
struct table *table_new(void);
void table_free(struct table *t);
size_t table_size(struct table *t);
uint64_t table_generation(struct table *t); /* rises with every change */
/* Takes over the row's members. Replaces the entity of the same id. */
int table_put(struct table *t, struct row *row);
bool table_remove(struct table *t, const char *id);
struct entity *table_get(struct table *t, const char *id_or_name); /* new reference or NULL */
/* The row of that name on `node_id` (NULL: any): the service of that very name first, and its first instance. */
struct entity *table_find_on(struct table *t, const char *name, const char *node_id);

/* Calls `each` for a service's instances, under the read lock. `name` is the rows' name. */
void table_walk_service(struct table *t, const char *name, const char *service_id,
                        bool (*each)(const struct row *row, void *ctx), void *ctx);

/* Calls `each` for all rows in order, under the read lock: keep it short. False from it ends the walk. */
void table_walk(struct table *t, bool (*each)(const struct row *row, void *ctx), void *ctx);
/* Calls `count` for each row that matches, and `take` for those behind (name, id) (NULL: all) until it says false. */
struct table_scan {
    const struct filter *filter; /* prepared */
    void (*count)(const struct facts *facts, void *counts);
    bool (*take)(const struct row *row, void *ctx);
    void *counts, *ctx;
    const char *name, *id;
};
void table_scan(struct table *t, const struct table_scan *s);

/* Between these two calls rows are put without an order and not looked for, so that loading many does not move them
 * about. */
void table_load_begin(struct table *t);
void table_load_end(struct table *t);

/* The same version with another time in the member `key`, where its text is `old`; NULL: it is not there, or no memory. */
struct entity *entity_with_time(const struct entity *x, const char *key, const char *old, const char *now);
/* Puts `new` in the place of exactly `old`, of the same id, name and facts; false: another one is there now. */
bool table_exchange(struct table *t, const struct entity *old, struct entity *new_);

struct entity *entity_ref(struct entity *x); /* returns x */
struct entity *entity_new(json_t *document, int64_t version); /* serializes; NULL: no memory */

/* Serialized lists, kept while the table does not change: at most 32, the least used goes. */
struct list_cache;
struct list_cache *list_cache_new(void);
void list_cache_free(struct list_cache *c);
/* New reference or NULL; fills the tag. */
struct blob *list_cache_get(struct list_cache *c, const char *query, uint64_t generation, char ret_etag[64]);
void list_cache_put(struct list_cache *c, const char *query, uint64_t generation, struct blob *body, char ret_etag[64]);

#endif
