/* Which rows a list wants. What lists ask for is kept in a few words beside each row (`facts`), in the order of the
 * rows, so that looking at a hundred thousand takes well under a millisecond; a row itself, which lies elsewhere in
 * memory, is looked at only when its facts agree and do not say all. Internal to the room. No state of its own. */
#ifndef HB_RUNTIME_FILTER_H
#define HB_RUNTIME_FILTER_H

#include "base/json.h"

#define FILTER_ANY 255 /* for a word's index; a row's 255 (none) is only matched by it */
#define FACTS_BLOOM 4

struct row;

struct facts {
    uint32_t words; /* the row's enums and flags, packed: below */
    uint32_t node;  /* hash of the node's id */
    uint64_t
        bloom[FACTS_BLOOM]; /* of each label and of every three letters of the text: what is not in it is not there */
};
/* Where in `words`: four bits an enum's index (15: none), one a flag. */
enum fact {
    FACT_TYPE = 0,
    FACT_STATUS = 4,
    FACT_HEALTH = 8,
    FACT_PROVIDER = 12,
    FACT_MANAGED = 16,
    FACT_MONITORED = 17
};
struct facts facts_of(const struct row *row);
static inline unsigned facts_index(const struct facts *f, enum fact at)
{
    return f->words >> at & 15;
}
static inline bool facts_flag(const struct facts *f, enum fact at)
{
    return f->words >> at & 1;
}

struct filter {
    uint8_t type, status, health, provider; /* FILTER_ANY */
    int managed;          /* -1 any */
    const char *node_id;  /* NULL any */
    const char *text;     /* lower-case; NULL any */
    const char *service;  /* serviceId; NULL any */
    const json_t *labels; /* array of "key=value", all must be there; NULL any */
    /* filled by filter_prepare */
    struct facts facts;
    uint32_t mask;
    bool confirm;
};
#define FILTER_ALL \
    { .type = FILTER_ANY, .status = FILTER_ANY, .health = FILTER_ANY, .provider = FILTER_ANY, .managed = -1 }

void filter_prepare(struct filter *f);
bool filter_matches(const struct filter *f, const struct facts *facts, const struct row *row);

#endif
