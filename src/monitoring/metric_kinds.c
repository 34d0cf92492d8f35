#include "monitoring/metric_kinds.h"

#include "base/str.h"

#include <math.h>

#define TEXT_CHUNK 4096

static const struct {
    const char *name, *unit, *category;
    bool counter;
} KINDS[KIND_COUNT] = {
#define X(kind, name, unit, category, counter) { name, unit, category, counter },
    METRIC_KINDS(X)
#undef X
};

const char *metric_kind_name(enum metric_kind kind)
{
    return KINDS[kind].name;
}

bool metric_name_counts(const char *name)
{
    for (unsigned i = 0; i < KIND_COUNT; i++)
        if (strcmp(KINDS[i].name, name) == 0)
            return KINDS[i].counter;
    return false;
}

struct texts {
    struct texts *next;
    size_t used, size;
    char bytes[];
};

void batch_done(struct metric_batch *b)
{
    for (struct texts *t = b->texts, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    free(b->samples);
    *b = (struct metric_batch){ 0 };
}

static const char *keep_text(struct metric_batch *b, const char *text)
{
    size_t len = strlen(text) + 1;
    struct texts *t = b->texts;
    if (!t || t->size - t->used < len) {
        size_t size = len > TEXT_CHUNK ? len : TEXT_CHUNK;
        t = malloc(sizeof *t + size);
        if (!t)
            return NULL;
        *t = (struct texts){ .next = b->texts, .size = size };
        b->texts = t;
    }
    char *at = t->bytes + t->used;
    t->used += len;
    return memcpy(at, text, len);
}

static struct metric_sample *next_sample(struct metric_batch *b)
{
    if (b->count == b->room) {
        size_t room = b->room ? b->room * 2 : 128;
        struct metric_sample *more = room > BATCH_SAMPLES_MAX * 2 ? NULL : realloc(b->samples, room * sizeof *more);
        if (!more)
            return NULL;
        b->samples = more;
        b->room = room;
    }
    return b->count < BATCH_SAMPLES_MAX ? &b->samples[b->count] : NULL;
}

void batch_add(struct metric_batch *b, const struct metric_entity *who, enum metric_kind kind, double value,
               struct metric_pair *pairs, size_t n_pairs)
{
    if (!isfinite(value))
        return;
    char text[METRIC_TAGS_MAX] = "{}";
    const char *tags = "{}";
    struct metric_sample *s = next_sample(b);
    if (!s || (n_pairs && metric_tags(pairs, n_pairs, text, sizeof text) < 0)) {
        b->failed = true;
        return;
    }
    if (n_pairs && !(tags = keep_text(b, text))) {
        b->failed = true;
        return;
    }
    *s = (struct metric_sample){
        .def = { .source = who->source,
                 .type = "infrastructure",
                 .category = KINDS[kind].category,
                 .entity_id = who->id,
                 .entity_type = who->type,
                 .name = KINDS[kind].name,
                 .unit = KINDS[kind].unit,
                 .tags = tags },
        .value = value,
    };
    b->count++;
}

bool batch_find(const struct metric_batch *b, enum metric_kind kind, double *ret)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->samples[i].def.name != KINDS[kind].name || strcmp(b->samples[i].def.tags, "{}") != 0)
            continue;
        *ret = b->samples[i].value;
        return true;
    }
    return false;
}
