#include "fake_router.h"

#include "base/str.h"

#include <stdlib.h>

static int gone(const struct fake_router *f, struct error *e)
{
    return f->away ? error_set(e, ERR_UNAVAILABLE, "It is away.") : 0;
}

static int info(struct router *r, struct router_info *ret, struct error *e)
{
    *ret = (struct router_info){ .host = "127.0.0.1", .port = 8080 };
    return gone((struct fake_router *)r, e);
}

static int check(struct router *r, const json_t *domains UNUSED, struct error *e)
{
    return gone((struct fake_router *)r, e);
}

static int apply(struct router *r, const struct router_route *routes, size_t n, struct router_verdict *ret_verdicts,
                 unsigned *ret_reloads, struct error *e)
{
    struct fake_router *f = (struct fake_router *)r;
    *ret_reloads = 0;
    f->applied++;
    if (f->away)
        return gone(f, e);
    for (size_t i = 0; i < n; i++) {
        ret_verdicts[i] = (struct router_verdict){ .accepted = !str_eq(routes[i].name, f->refuses) };
        str_copy(ret_verdicts[i].reason, sizeof ret_verdicts[i].reason, ret_verdicts[i].accepted ? "" : "no taste");
    }
    *ret_reloads = f->lost || f->routes != n;
    f->routes = n;
    f->lost = false;
    return 0;
}

static int intact(struct router *r, char *ret_why, size_t size, struct error *e)
{
    struct fake_router *f = (struct fake_router *)r;
    str_copy(ret_why, size, f->lost ? "It forgot." : "");
    return f->away ? gone(f, e) : !f->lost;
}

static char *render(struct router *r UNUSED, const struct router_route *route)
{
    return str_printf("%s at %s", route->name, route->slots[0]);
}

static int in_flight(struct router *r, const char *address UNUSED, int64_t *ret, struct error *e)
{
    *ret = ((struct fake_router *)r)->in_flight;
    return gone((struct fake_router *)r, e);
}

static int figures(struct router *r, json_t **ret, struct error *e)
{
    struct fake_router *f = (struct fake_router *)r;
    if (f->away)
        return gone(f, e);
    *ret = json_pack("{s:o, s:{}}", "hosts", f->hosts ? json_deep_copy(f->hosts) : json_null(), "inFlight");
    return 0;
}

static void nothing(struct router *r UNUSED) {}

void fake_router_init(struct fake_router *f)
{
    static const struct router_ops ops = { info, check, apply, intact, render, in_flight, figures, nothing };
    *f = (struct fake_router){ .router.ops = &ops };
}
