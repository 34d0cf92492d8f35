#include "runtime/page.h"

static bool take(const struct row *row, void *ctx)
{
    struct page *p = ctx;
    if (p->n == p->limit) {
        p->more = true;
        return false;
    }
    (void)entity_ref(row->entity);
    p->found[p->n++] = row->entity;
    return true;
}

int page_read(struct page *p, struct table *t, struct request *rq, struct error *e)
{
    char storage[512];
    const char *fields[2] = { NULL, NULL };
    if (request_str(rq, "cursor")) {
        int r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, fields, 2, e);
        if (r < 0)
            return r;
    }
    p->limit = (size_t)request_int(rq, "limit", 100);
    if (p->limit > PAGE_MAX)
        p->limit = PAGE_MAX;
    filter_prepare(&p->filter);
    table_scan(t, &(struct table_scan){ .filter = &p->filter,
                                        .count = p->count,
                                        .counts = p->counts,
                                        .take = take,
                                        .ctx = p,
                                        .name = fields[0],
                                        .id = fields[1] });
    if (p->more && p->n) {
        const char *last[] = { p->found[p->n - 1]->name, p->found[p->n - 1]->id };
        if (cursor_encode(last, 2, p->next, sizeof p->next) < 0)
            return error_set(e, ERR_INTERNAL, "The cursor does not fit.");
    }
    return 0;
}

void page_done(struct page *p)
{
    for (size_t i = 0; i < p->n; i++)
        entity_unref(p->found[i]);
    p->n = 0;
}

void page_write(const struct page *p, struct jw *w, const char *plural)
{
    jw_key(w, plural), jw_array(w);
    for (size_t i = 0; i < p->n; i++)
        jw_raw(w, p->found[i]->json->data, p->found[i]->json->len);
    jw_end(w);
    if (p->next[0])
        jw_key(w, "next"), jw_string(w, p->next);
}
