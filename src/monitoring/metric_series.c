#include "monitoring/metric_series.h"

#include "base/buf.h"
#include "base/jsonw.h"
#include "base/str.h"

#include <errno.h>
#include <stdatomic.h>

#define DEF_TEXTS 8
#define FIRST_BUCKETS 256
#define DEF_POINTERS(d) \
    { &(d)->source, &(d)->type, &(d)->category, &(d)->entity_id, &(d)->entity_type, &(d)->name, &(d)->unit, &(d)->tags }

struct metric_labels *metric_labels_new(const struct metric_def *def, uint64_t hash)
{
    const char *const *from[DEF_TEXTS] = DEF_POINTERS(def);
    size_t len[DEF_TEXTS], total = 0;
    for (unsigned i = 0; i < DEF_TEXTS; i++)
        total += len[i] = strlen(*from[i]) + 1;
    struct metric_labels *l = malloc(sizeof *l + total);
    if (!l)
        return NULL;
    atomic_init(&l->refs, 1);
    l->hash = hash;
    const char **to[DEF_TEXTS] = DEF_POINTERS(&l->def);
    char *at = l->text;
    for (unsigned i = 0; i < DEF_TEXTS; at += len[i], i++)
        *to[i] = memcpy(at, *from[i], len[i]);
    return l;
}

struct metric_labels *metric_labels_ref(struct metric_labels *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void metric_labels_unref(struct metric_labels *l)
{
    if (l && atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
        free(l);
}

static uint64_t hash_text(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
    return (h ^ 0xff) * 0x100000001b3ull; /* "a" "b" is not "ab" "" */
}

uint64_t metric_def_hash(const struct metric_def *def)
{
    const char *const *text[DEF_TEXTS] = DEF_POINTERS(def);
    uint64_t h = 0xcbf29ce484222325ull;
    for (unsigned i = 0; i < DEF_TEXTS; i++)
        h = hash_text(h, *text[i]);
    return h;
}

bool metric_def_equal(const struct metric_def *a, const struct metric_def *b)
{
    /* The texts most likely to differ first. */
    return strcmp(a->name, b->name) == 0 && strcmp(a->tags, b->tags) == 0 && strcmp(a->entity_id, b->entity_id) == 0 &&
           strcmp(a->source, b->source) == 0 && strcmp(a->entity_type, b->entity_type) == 0 &&
           strcmp(a->type, b->type) == 0 && strcmp(a->category, b->category) == 0 && strcmp(a->unit, b->unit) == 0;
}

/* The contract's enumerations; monitoring_metrics checks them, too. */
static const char *const SOURCES[] = { "datadog", "newrelic", "sentry",  "consul",     "portainer", "caddy", "docker",
                                       "host",    "agent",    "hbcloud", "prometheus", "otlp",      NULL };
static const char *const TYPES[] = { "infrastructure", "application", "business", "security", NULL };
static const char *const CATEGORIES[] = { "cpu",        "memory",     "disk",        "network",     "response_time",
                                          "error_rate", "throughput", "load",        "swap",        "pressure",
                                          "filesystem", "io",         "descriptors", "temperature", "restarts",
                                          "uptime",     "other",      NULL };
static const char *const ENTITY_TYPES[] = { "node", "service", "container", "endpoint", NULL };

static bool among(const char *text, const char *const *words)
{
    while (*words && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

int metric_def_check(const struct metric_def *def, struct error *e)
{
    const struct {
        const char *what, *text;
        size_t limit;
        const char *const *words;
    } rules[] = {
        { "source", def->source, METRIC_TEXT_MAX, SOURCES },
        { "type", def->type, METRIC_TEXT_MAX, TYPES },
        { "category", def->category, METRIC_TEXT_MAX, CATEGORIES },
        { "entity_type", def->entity_type, METRIC_TEXT_MAX, ENTITY_TYPES },
        { "entity_id", def->entity_id, METRIC_TEXT_MAX, NULL },
        { "name", def->name, METRIC_TEXT_MAX, NULL },
        { "unit", def->unit, 64, NULL },
        { "tags", def->tags, METRIC_TAGS_MAX, NULL },
    };
    for (unsigned i = 0; i < ARRAY_LEN(rules); i++) {
        if (!rules[i].text || !rules[i].text[0])
            return error_set(e, ERR_VALIDATION, "A series needs its %s.", rules[i].what);
        if (strnlen(rules[i].text, rules[i].limit + 1) > rules[i].limit)
            return error_set(e, ERR_VALIDATION, "A series' %s is longer than %zu bytes.", rules[i].what,
                             rules[i].limit);
        if (rules[i].words && !among(rules[i].text, rules[i].words))
            return error_set(e, ERR_VALIDATION, "A series' %s cannot be \"%s\".", rules[i].what, rules[i].text);
    }
    return def->tags[0] == '{' ? 0 : error_set(e, ERR_VALIDATION, "A series' tags are a JSON object.");
}

/* ---- tags ---- */

static int pair_order(const void *a, const void *b)
{
    return strcmp(((const struct metric_pair *)a)->key, ((const struct metric_pair *)b)->key);
}

int metric_tags(struct metric_pair *pairs, size_t n, char *ret, size_t size)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, METRIC_TAGS_MAX);
    if (n > 1)
        qsort(pairs, n, sizeof *pairs, pair_order);
    struct jw w;
    jw_init(&w, &out);
    jw_object(&w);
    for (size_t i = 0; i < n; i++) {
        jw_key(&w, pairs[i].key);
        jw_string(&w, pairs[i].value);
    }
    jw_end(&w);
    if (!buf_ok(&out) || out.len >= size)
        return -EMSGSIZE;
    memcpy(ret, out.data, out.len + 1);
    return 0;
}

/* Written the same way, a pair's text stands in the tags between `{` or `,` and `,` or `}`. */
static bool has_pair(const char *tags, struct metric_pair pair)
{
    char text[METRIC_TAGS_MAX];
    if (metric_tags(&pair, 1, text, sizeof text) < 0)
        return false;
    size_t len = strlen(text) - 2;
    text[len + 1] = '\0'; /* without the braces */
    for (const char *at = tags; (at = strstr(at, text + 1)); at++)
        if ((at[-1] == '{' || at[-1] == ',') && (at[len] == ',' || at[len] == '}'))
            return true;
    return false;
}

bool metric_tags_match(const char *tags, const struct metric_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!has_pair(tags, pairs[i]))
            return false;
    return true;
}

/* ---- registry ---- */

static void series_free(struct series *s)
{
    metric_labels_unref(s->labels);
    free(s);
}

void registry_done(struct registry *r)
{
    for (size_t i = 0; i < r->count; i++)
        series_free(r->all[i]);
    free(r->all);
    free(r->buckets);
    *r = (struct registry){ 0 };
}

struct series *registry_find(const struct registry *r, const struct metric_def *def, uint64_t hash)
{
    if (!r->bucket_count)
        return NULL;
    struct series *s = r->buckets[hash & (r->bucket_count - 1)];
    while (s && (s->labels->hash != hash || !metric_def_equal(&s->labels->def, def)))
        s = s->next_of_bucket;
    return s;
}

static size_t position_of(const struct registry *r, uint64_t id)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->all[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t registry_after(const struct registry *r, uint64_t id)
{
    return id == UINT64_MAX ? r->count : position_of(r, id + 1);
}

struct series *registry_by_id(const struct registry *r, uint64_t id)
{
    size_t at = position_of(r, id);
    return at < r->count && r->all[at]->id == id ? r->all[at] : NULL;
}

static void bucket_insert(struct registry *r, struct series *s)
{
    struct series **bucket = &r->buckets[s->labels->hash & (r->bucket_count - 1)];
    s->next_of_bucket = *bucket;
    *bucket = s;
}

static bool grow(struct registry *r)
{
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : FIRST_BUCKETS;
        struct series **all = realloc(r->all, room * sizeof *all);
        if (!all)
            return false;
        r->all = all;
        r->room = room;
    }
    if (r->count < r->bucket_count)
        return true;
    size_t count = r->bucket_count ? r->bucket_count * 2 : FIRST_BUCKETS;
    struct series **buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return false;
    free(r->buckets);
    r->buckets = buckets;
    r->bucket_count = count;
    for (size_t i = 0; i < r->count; i++)
        bucket_insert(r, r->all[i]);
    return true;
}

struct series *registry_add(struct registry *r, uint64_t id, const struct metric_def *def, uint64_t hash)
{
    assert(r->count == 0 || r->all[r->count - 1]->id < id);
    if (!grow(r))
        return NULL;
    struct series *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->labels = metric_labels_new(def, hash);
    if (!s->labels) {
        free(s);
        return NULL;
    }
    s->id = id;
    r->all[r->count++] = s;
    bucket_insert(r, s);
    return s;
}

void registry_remove(struct registry *r, struct series *s)
{
    assert(!s->members);
    struct series **link = &r->buckets[s->labels->hash & (r->bucket_count - 1)];
    while (*link != s)
        link = &(*link)->next_of_bucket;
    *link = s->next_of_bucket;
    size_t at = position_of(r, s->id);
    memmove(&r->all[at], &r->all[at + 1], (r->count - at - 1) * sizeof *r->all);
    r->count--;
    series_free(s);
}
