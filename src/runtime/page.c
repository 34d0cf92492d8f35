#include "runtime/page.h"

static bool take(const struct row *row, void *ctx)
{
    struct page *p = ctx;
    if (!p->match(row, p->filter))
        return true;
    if (p->count)
        p->count(row, p->counts);
    int after = p->after_name ? strcmp(row->entity->name, p->after_name) : 1;
    if (after < 0 || (after == 0 && strcmp(row->entity->id, p->after_id) <= 0))
        return true;
    if (p->n == p->limit) {
        p->more = true;
        return p->count != NULL;
    }
    (void)__atomic_fetch_add(&row->entity->refs, 1, __ATOMIC_RELAXED);
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
    p->after_name = fields[0];
    p->after_id = fields[1];
    /* With counts every row is looked at; without, the walk begins behind the cursor. */
    table_walk_after(t, p->count ? NULL : fields[0], p->count ? NULL : fields[1], take, p);
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
