#include "runtime/filter.h"

#include "base/str.h"
#include "runtime/table.h"

#include <stdio.h>

static uint32_t word_bits(uint8_t index, enum fact at)
{
    return (uint32_t)(index < 15 ? index : 15) << at;
}

static uint64_t hash(const char *text, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static void bloom_add(uint64_t bloom[FACTS_BLOOM], uint64_t h)
{
    bloom[h / 64 % FACTS_BLOOM] |= (uint64_t)1 << h % 64;
}

static void bloom_text(uint64_t bloom[FACTS_BLOOM], const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + 3 <= n; i++)
        bloom_add(bloom, hash(text + i, 3));
}

static uint32_t node_hash(const char *id)
{
    return (uint32_t)hash(id, strlen(id));
}

struct facts facts_of(const struct row *row)
{
    struct facts f = { .words = word_bits(row->type, FACT_TYPE) | word_bits(row->status, FACT_STATUS) |
                                word_bits(row->health, FACT_HEALTH) | word_bits(row->provider, FACT_PROVIDER) |
                                (uint32_t)row->managed << FACT_MANAGED | (uint32_t)row->monitored << FACT_MONITORED,
                       .node = node_hash(row->node_id) };
    const char *key;
    json_t *value;
    if (row->search)
        bloom_text(f.bloom, row->search);
    json_object_foreach (row->labels, key, value) {
        char pair[1024];
        int n = snprintf(pair, sizeof pair, "%s=%s", key, json_string_value(value));
        if (n > 0 && (size_t)n < sizeof pair)
            bloom_add(f.bloom, hash(pair, (size_t)n));
        else
            memset(f.bloom, 0xff, sizeof f.bloom); /* never ruled out */
    }
    return f;
}

static void want_word(struct filter *f, uint8_t index, enum fact at)
{
    if (index == FILTER_ANY)
        return;
    f->mask |= (uint32_t)15 << at;
    f->facts.words |= word_bits(index, at);
}

void filter_prepare(struct filter *f)
{
    size_t i;
    json_t *pair;
    f->facts = (struct facts){ 0 };
    f->mask = 0;
    want_word(f, f->type, FACT_TYPE);
    want_word(f, f->status, FACT_STATUS);
    want_word(f, f->health, FACT_HEALTH);
    want_word(f, f->provider, FACT_PROVIDER);
    if (f->managed >= 0) {
        f->mask |= 1u << FACT_MANAGED;
        f->facts.words |= (uint32_t)(f->managed != 0) << FACT_MANAGED;
    }
    if (f->node_id)
        f->facts.node = node_hash(f->node_id);
    if (f->text)
        bloom_text(f->facts.bloom, f->text);
    json_array_foreach (f->labels, i, pair)
        bloom_add(f->facts.bloom, hash(json_string_value(pair), json_string_length(pair)));
    f->confirm = f->node_id || f->service || (f->text && *f->text) || json_array_size(f->labels);
}

static bool has_label(const struct row *row, const char *pair)
{
    const char *key, *equals = strchr(pair, '=');
    json_t *value;
    json_object_foreach (row->labels, key, value)
        if (equals && strlen(key) == (size_t)(equals - pair) && memcmp(key, pair, (size_t)(equals - pair)) == 0)
            return str_eq(json_string_value(value), equals + 1);
    return false;
}

static bool confirmed(const struct filter *f, const struct row *row)
{
    size_t i;
    json_t *pair;
    if ((f->node_id && !str_eq(row->node_id, f->node_id)) ||
        (f->text && *f->text && !(row->search && strstr(row->search, f->text))) ||
        (f->service && !str_eq(row_service(row), f->service)))
        return false;
    json_array_foreach (f->labels, i, pair)
        if (!has_label(row, json_string_value(pair)))
            return false;
    return true;
}

bool filter_matches(const struct filter *f, const struct facts *facts, const struct row *row)
{
    if ((facts->words & f->mask) != f->facts.words)
        return false;
    if (!f->confirm)
        return true;
    if (f->node_id && facts->node != f->facts.node)
        return false;
    for (unsigned i = 0; i < FACTS_BLOOM; i++)
        if ((facts->bloom[i] & f->facts.bloom[i]) != f->facts.bloom[i])
            return false;
    return confirmed(f, row);
}
