/* The rows of the routes: what is wanted, and the router's last word on it. */
#include "gateway/internal.h"

#include <errno.h>

int route_row_write(struct gateway *g, const struct route *x, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(g->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO gateway_routes (service_id, name, domains, networking, slots, judged, accepted, reason, "
            "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (service_id) DO UPDATE SET "
            "name = excluded.name, domains = excluded.domains, networking = excluded.networking, "
            "slots = excluded.slots, judged = excluded.judged, accepted = excluded.accepted, "
            "reason = excluded.reason, updated_at = excluded.updated_at",
            "ttjjiiiti", x->service_id, x->name, x->domains, x->networking, (int64_t)x->slots, (int64_t)x->judged,
            (int64_t)x->accepted, x->reason, x->updated_ms);
    return r == 0 ? store_commit(c, e) : r;
}

int route_row_remove(struct gateway *g, const char *service_id, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(g->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM gateway_routes WHERE service_id = $1", "t", service_id);
    return r == 0 ? store_commit(c, e) : r;
}

static int remember(struct gateway *g, struct store_rows *rows, struct error *e)
{
    struct route *x = calloc(1, sizeof *x);
    if (!x)
        return error_set(e, ERR_INTERNAL, "No memory.");
    x->service_id = strdup(rows_text(rows, 0));
    x->name = strdup(rows_text(rows, 1));
    x->domains = rows_json(rows, 2);
    x->networking = rows_json(rows, 3);
    x->slots = (unsigned)rows_int(rows, 4);
    x->judged = rows_int(rows, 5) != 0;
    x->accepted = rows_int(rows, 6) != 0;
    str_copy(x->reason, sizeof x->reason, rows_text(rows, 7) ? rows_text(rows, 7) : "");
    x->updated_ms = rows_int(rows, 8);
    bool whole = x->service_id && x->name && json_is_array(x->domains) && json_is_object(x->networking) &&
                 x->slots >= 1 && x->slots <= GATEWAY_SLOTS_MAX;
    if (whole && map_set(g->routes, x->service_id, x) == 0)
        return 0;
    int r = error_set(e, ERR_INTERNAL, "The route of %s cannot be read.", x->service_id ? x->service_id : "a service");
    route_free(x);
    return r;
}

int route_rows_load(struct gateway *g, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(g->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT service_id, name, domains, networking, slots, judged, accepted, reason, updated_at "
                        "FROM gateway_routes ORDER BY service_id",
                        "");
    while (r == 0 && (r = rows_next(rows, e)) == 1)
        r = remember(g, rows, e);
    return r;
}
