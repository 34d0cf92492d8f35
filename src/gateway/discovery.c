/* Service discovery as deployments and the API see it; the work is the registrar's. */
#include "gateway/internal.h"
#include "gateway/registrar.h"

#include "base/id.h"

bool gateway_discovers(struct gateway *g)
{
    return g && g->registrar;
}

int gateway_register(struct gateway *g, const struct discovery_instance *x, struct error *e)
{
    return gateway_discovers(g) ? registrar_add(g->registrar, x, e) : 0;
}

int gateway_deregister(struct gateway *g, const char *id, struct error *e)
{
    return gateway_discovers(g) ? registrar_remove(g->registrar, id, e) : 0;
}

bool gateway_registered(struct gateway *g, const char *id)
{
    return gateway_discovers(g) && id && registrar_has(g->registrar, id);
}

bool gateway_registry_answers(struct gateway *g)
{
    return gateway_discovers(g) && registrar_reached(g->registrar);
}

static int read_identity(struct store *store, char ret[ID_LEN + 1], struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT id FROM gateway_identity", "");
    if (r == 0 && (r = rows_next(rows, e)) == 1)
        str_copy(ret, ID_LEN + 1, rows_text(rows, 0));
    return r;
}

/* Another hub on this database may have made it first. */
static int make_identity(struct store *store, struct error *e)
{
    char id[ID_LEN + 1];
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "INSERT INTO gateway_identity (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", "t",
                       id_new(id));
    return r == 0 ? store_commit(c, e) : r;
}

int gateway_identity(struct store *store, char ret[GATEWAY_IDENTITY_LEN + 1], struct error *e)
{
    int r = read_identity(store, ret, e);
    if (r == 0 && (r = make_identity(store, e)) == 0)
        r = read_identity(store, ret, e);
    return r < 0 ? r : r == 1 ? 0 : error_set(e, ERR_INTERNAL, "The hub's identity was not kept.");
}

int gateway_list_registrations(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    struct gateway *g = room;
    _cleanup_json_ json_t *d = registrar_document(g->registrar);
    if (!d)
        return error_set(e, ERR_INTERNAL, "No memory.");
    jw_json(reply_json(rp, 200), d);
    return 0;
}
