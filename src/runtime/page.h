/* One page of a list: rows that match, after a cursor, with a limit. Internal to the room. */
#ifndef HB_RUNTIME_PAGE_H
#define HB_RUNTIME_PAGE_H

#include "runtime/internal.h"

#define PAGE_MAX 1000

struct page {
    struct filter filter;
    void (*count)(const struct facts *facts, void *counts); /* every match, not only this page's */
    void *counts;
    size_t limit;
    struct entity *found[PAGE_MAX];
    size_t n;
    char next[512]; /* cursor, "" at the end */
    bool more;
};
/* Reads limit and cursor of the request and walks the table. */
int page_read(struct page *p, struct table *t, struct request *rq, struct error *e);
void page_done(struct page *p);
void page_write(const struct page *p, struct jw *w, const char *plural); /* "plural":[…] and "next" */

/* The handlers' `at_once`: a list that is still in the cache. */
bool node_list_at_once(void *room, const char *query, struct reply *rp);
bool service_list_at_once(void *room, const char *query, struct reply *rp);

#endif
