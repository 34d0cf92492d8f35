#include "runtime/table.h"

#include "base/id.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

/* ---- entities ---- */

struct entity *entity_new(json_t *document, int64_t version)
{
    size_t len = 0;
    struct entity *x = calloc(1, sizeof *x);
    _cleanup_free_ char *text = json_text(document, &len);
    if (x && text) {
        atomic_init(&x->refs, 1);
        str_copy(x->id, sizeof x->id, json_str(document, "id"));
        x->name = strdup(json_str(document, "name"));
        x->json = blob_new(text, len);
        x->version = version;
        (void)snprintf(x->etag, sizeof x->etag, "\"%.8s-%lld\"", x->id + 28, (long long)version);
    }
    if (x && (!text || !x->name || !x->json)) {
        entity_unref(x);
        return NULL;
    }
    return x;
}

struct entity *entity_ref(struct entity *x)
{
    (void)atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void entity_unref(struct entity *x)
{
    if (!x || (atomic_load(&x->refs) && atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1))
        return;
    free(x->name);
    blob_unref(x->json);
    free(x);
}

struct entity *entity_with_time(const struct entity *x, const char *key, const char *old, const char *now)
{
    char pattern[96];
    int n = snprintf(pattern, sizeof pattern, "\"%s\":\"%s\"", key, old);
    const char *found = n > 0 && (size_t)n < sizeof pattern && strlen(old) == strlen(now)
                            ? memmem(x->json->data, x->json->len, pattern, (size_t)n)
                            : NULL;
    struct entity *copy = found ? calloc(1, sizeof *copy) : NULL;
    if (!copy)
        return NULL;
    atomic_init(&copy->refs, 1);
    memcpy(copy->id, x->id, sizeof copy->id);
    memcpy(copy->etag, x->etag, sizeof copy->etag);
    copy->version = x->version;
    copy->name = strdup(x->name);
    copy->json = blob_new(x->json->data, x->json->len);
    if (!copy->name || !copy->json) {
        entity_unref(copy);
        return NULL;
    }
    memcpy(copy->json->data + (found - x->json->data) + n - 1 - (int)strlen(now), now, strlen(now));
    return copy;
}

json_t *entity_document(const struct entity *x)
{
    return json_loadb(x->json->data, x->json->len, 0, NULL);
}

/* ---- table ---- */

struct table {
    pthread_rwlock_t lock;
    struct row **rows; /* ordered by name, then id */
    struct facts *facts; /* in the same order */
    size_t count, cap;
    bool loading;
    struct map *by_id; /* borrows rows */
    _Atomic uint64_t generation;
};

static void row_free(struct row *row)
{
    if (!row)
        return;
    entity_unref(row->entity);
    free(row->search);
    json_decref(row->labels);
    free(row->container_id);
    free(row->service_id);
    free(row);
}

struct table *table_new(void)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->by_id = map_new(NULL);
    (void)pthread_rwlock_init(&t->lock, NULL);
    if (!t->by_id) {
        table_free(t);
        return NULL;
    }
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        row_free(t->rows[i]);
    free(t->rows);
    free(t->facts);
    map_free(t->by_id);
    (void)pthread_rwlock_destroy(&t->lock);
    free(t);
}

size_t table_size(struct table *t)
{
    (void)pthread_rwlock_rdlock(&t->lock);
    size_t n = t->count;
    (void)pthread_rwlock_unlock(&t->lock);
    return n;
}

uint64_t table_generation(struct table *t)
{
    return atomic_load(&t->generation);
}

static int order(const struct row *row, const char *name, const char *id)
{
    int by_name = strcmp(row->entity->name, name);
    return by_name ? by_name : strcmp(row->entity->id, id);
}

/* The first place whose row is not before (name, id). */
static size_t place(const struct table *t, const char *name, const char *id)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(t->rows[middle], name, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void take_out(struct table *t, const struct row *row)
{
    size_t at = place(t, row->entity->name, row->entity->id), behind = t->count - at - 1;
    assert(at < t->count && t->rows[at] == row);
    memmove(t->rows + at, t->rows + at + 1, behind * sizeof *t->rows);
    memmove(t->facts + at, t->facts + at + 1, behind * sizeof *t->facts);
    t->count--;
}

static int grow(struct table *t)
{
    size_t cap = t->cap ? t->cap * 2 : 64;
    struct row **rows = realloc(t->rows, cap * sizeof *rows);
    if (!rows)
        return -ENOMEM;
    t->rows = rows;
    struct facts *facts = realloc(t->facts, cap * sizeof *facts);
    if (!facts)
        return -ENOMEM;
    t->facts = facts;
    t->cap = cap;
    return 0;
}

/* There is room. */
static void put_in(struct table *t, struct row *row)
{
    size_t at = t->loading ? t->count : place(t, row->entity->name, row->entity->id);
    memmove(t->rows + at + 1, t->rows + at, (t->count - at) * sizeof *t->rows);
    memmove(t->facts + at + 1, t->facts + at, (t->count - at) * sizeof *t->facts);
    t->rows[at] = row;
    if (!t->loading)
        t->facts[at] = facts_of(row);
    t->count++;
}

/* A row of the same name stays where it is. */
static void replace(struct table *t, struct row *old, struct row *row)
{
    if (order(old, row->entity->name, row->entity->id) != 0) {
        take_out(t, old);
        put_in(t, row);
        return;
    }
    size_t at = place(t, row->entity->name, row->entity->id);
    assert(at < t->count && t->rows[at] == old);
    t->rows[at] = row;
    t->facts[at] = facts_of(row);
}

int table_put(struct table *t, struct row *from)
{
    struct row *row = malloc(sizeof *row);
    if (!row)
        return -ENOMEM;
    *row = *from;
    (void)pthread_rwlock_wrlock(&t->lock);
    struct row *old = map_get(t->by_id, row->entity->id);
    int r = t->count == t->cap ? grow(t) : 0;
    if (r == 0)
        r = map_set(t->by_id, row->entity->id, row);
    if (r == 0 && old)
        replace(t, old, row);
    else if (r == 0)
        put_in(t, row);
    (void)atomic_fetch_add(&t->generation, 1);
    (void)pthread_rwlock_unlock(&t->lock);
    if (r < 0)
        free(row);
    else
        row_free(old);
    return r;
}

static int by_name(const void *a, const void *b)
{
    const struct row *const *x = a, *const *y = b;
    return order(*x, (*y)->entity->name, (*y)->entity->id);
}

void table_load_begin(struct table *t)
{
    (void)pthread_rwlock_wrlock(&t->lock);
    t->loading = true;
    (void)pthread_rwlock_unlock(&t->lock);
}

void table_load_end(struct table *t)
{
    (void)pthread_rwlock_wrlock(&t->lock);
    t->loading = false;
    if (t->count)
        qsort(t->rows, t->count, sizeof *t->rows, by_name);
    for (size_t i = 0; i < t->count; i++)
        t->facts[i] = facts_of(t->rows[i]);
    (void)pthread_rwlock_unlock(&t->lock);
}

bool table_exchange(struct table *t, const struct entity *old, struct entity *new_)
{
    (void)pthread_rwlock_wrlock(&t->lock);
    struct row *row = map_get(t->by_id, old->id);
    bool same = row && row->entity == old;
    if (same) {
        row->entity = entity_ref(new_);
        (void)atomic_fetch_add(&t->generation, 1);
    }
    (void)pthread_rwlock_unlock(&t->lock);
    if (same)
        entity_unref((struct entity *)(uintptr_t)old);
    return same;
}

bool table_remove(struct table *t, const char *id)
{
    (void)pthread_rwlock_wrlock(&t->lock);
    struct row *row = map_get(t->by_id, id);
    if (row) {
        take_out(t, row);
        (void)map_remove(t->by_id, id);
        (void)atomic_fetch_add(&t->generation, 1);
    }
    (void)pthread_rwlock_unlock(&t->lock);
    row_free(row);
    return row != NULL;
}

static bool goes_before(const struct row *a, const struct row *b)
{
    bool a_own = !a->service_id, b_own = !b->service_id;
    return a_own != b_own ? a_own : a->ordinal < b->ordinal;
}

static struct row *first_of_name(const struct table *t, const char *name, const char *node_id)
{
    struct row *first = NULL;
    for (size_t at = place(t, name, ""); at < t->count && str_eq(t->rows[at]->entity->name, name); at++) {
        struct row *row = t->rows[at];
        if ((!node_id || str_eq(row->node_id, node_id)) && (!first || goes_before(row, first)))
            first = row;
    }
    return first;
}

void table_walk_service(struct table *t, const char *name, const char *service_id,
                        bool (*each)(const struct row *, void *), void *ctx)
{
    bool more = true;
    (void)pthread_rwlock_rdlock(&t->lock);
    for (size_t at = place(t, name, ""); more && at < t->count && str_eq(t->rows[at]->entity->name, name); at++)
        if (str_eq(row_service(t->rows[at]), service_id))
            more = each(t->rows[at], ctx);
    (void)pthread_rwlock_unlock(&t->lock);
}

struct entity *table_find_on(struct table *t, const char *name, const char *node_id)
{
    (void)pthread_rwlock_rdlock(&t->lock);
    const struct row *row = first_of_name(t, name, node_id);
    struct entity *x = row ? entity_ref(row->entity) : NULL;
    (void)pthread_rwlock_unlock(&t->lock);
    return x;
}

struct entity *table_get(struct table *t, const char *id_or_name)
{
    (void)pthread_rwlock_rdlock(&t->lock);
    const struct row *row = map_get(t->by_id, id_or_name);
    if (!row)
        row = first_of_name(t, id_or_name, NULL);
    struct entity *x = row ? entity_ref(row->entity) : NULL;
    (void)pthread_rwlock_unlock(&t->lock);
    return x;
}

void table_walk(struct table *t, bool (*each)(const struct row *, void *), void *ctx)
{
    (void)pthread_rwlock_rdlock(&t->lock);
    for (size_t at = 0; at < t->count && each(t->rows[at], ctx);)
        at++;
    (void)pthread_rwlock_unlock(&t->lock);
}

static size_t behind(const struct table *t, const char *name, const char *id)
{
    size_t at = place(t, name, id);
    return at < t->count && order(t->rows[at], name, id) == 0 ? at + 1 : at;
}

void table_scan(struct table *t, const struct table_scan *s)
{
    bool taking = true;
    (void)pthread_rwlock_rdlock(&t->lock);
    size_t from = s->name ? behind(t, s->name, s->id) : 0;
    for (size_t at = 0; at < t->count; at++) {
        if (!filter_matches(s->filter, &t->facts[at], t->rows[at]))
            continue;
        s->count(&t->facts[at], s->counts);
        if (taking && at >= from)
            taking = s->take(t->rows[at], s->ctx);
    }
    (void)pthread_rwlock_unlock(&t->lock);
}

/* ---- serialized lists ---- */

#define CACHED_LISTS 32
#define CACHED_BYTES_MAX (4 << 20)
/* A list that was asked for so often, and neither small nor huge, is sent from a file in memory: see blob_make_file. */
#define FILE_HITS 8
#define FILE_MIN (32u << 10)
#define FILE_MAX (512u << 10)

struct cached_list {
    char *query;
    uint64_t generation, used;
    unsigned hits;
    struct blob *body;
};

struct list_cache {
    pthread_mutex_t lock;
    struct cached_list lists[CACHED_LISTS];
    uint64_t turn;
    char boot[9]; /* tags of another run of the hub never match */
};

struct list_cache *list_cache_new(void)
{
    struct list_cache *c = calloc(1, sizeof *c);
    uint8_t random[4];
    if (!c)
        return NULL;
    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, c->boot);
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

void list_cache_free(struct list_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CACHED_LISTS; i++) {
        free(c->lists[i].query);
        blob_unref(c->lists[i].body);
    }
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static void tag(const struct list_cache *c, const char *query, uint64_t generation, char ret[64])
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *query; query++)
        h = (h ^ (unsigned char)*query) * 0x100000001b3u;
    (void)snprintf(ret, 64, "\"%s-%llx-%llx\"", c->boot, (unsigned long long)generation, (unsigned long long)h);
}

struct blob *list_cache_get(struct list_cache *c, const char *query, uint64_t generation, char ret_etag[64])
{
    struct blob *body = NULL;
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < CACHED_LISTS && !body; i++) {
        struct cached_list *l = &c->lists[i];
        if (l->body && l->generation == generation && str_eq(l->query, query)) {
            l->used = ++c->turn;
            if (++l->hits == FILE_HITS && l->body->len >= FILE_MIN && l->body->len <= FILE_MAX)
                blob_make_file(l->body);
            body = blob_ref(l->body);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (body)
        tag(c, query, generation, ret_etag);
    return body;
}

void list_cache_put(struct list_cache *c, const char *query, uint64_t generation, struct blob *body, char ret_etag[64])
{
    tag(c, query, generation, ret_etag);
    char *copy = body->len <= CACHED_BYTES_MAX ? strdup(query) : NULL;
    if (!copy)
        return;
    (void)pthread_mutex_lock(&c->lock);
    struct cached_list *slot = &c->lists[0];
    for (size_t i = 0; i < CACHED_LISTS; i++) {
        struct cached_list *l = &c->lists[i];
        if (l->query && str_eq(l->query, query)) {
            slot = l;
            break;
        }
        if (l->used < slot->used)
            slot = l;
    }
    free(slot->query);
    blob_unref(slot->body);
    *slot = (struct cached_list){ copy, generation, ++c->turn, 0, blob_ref(body) };
    (void)pthread_mutex_unlock(&c->lock);
}
