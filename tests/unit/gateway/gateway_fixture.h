/* What the tests of a gateway with a database share: its folder, store, events and router; the gateway is opened by each.
 * A fixture embeds it as `base`, first. Ownership: base_open to base_close; the gateway is closed before. */
#ifndef HB_GATEWAY_FIXTURE_H
#define HB_GATEWAY_FIXTURE_H

#include "fake_router.h"
#include "gateway/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct base {
    char dir[64], slots[96];
    struct store *store;
    struct events *events;
    struct fake_router router;
    struct gateway *gateway;
    struct error e;
};

#define OK(expression)                                       \
    do {                                                     \
        if ((expression) < 0)                                \
            fail_msg(#expression ": %s", f->base.e.message); \
    } while (0)

static inline void base_open(struct base *b, events_listener listener, void *ctx)
{
    char path[96];
    str_copy(b->dir, sizeof b->dir, "/tmp/hb-gateway-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(path, sizeof path, "%s/hub.db", b->dir);
    (void)snprintf(b->slots, sizeof b->slots, "%s/upstreams", b->dir);
    fake_router_init(&b->router);
    b->events = events_new();
    (void)events_listen(b->events, listener, ctx);
    if (store_open(&(struct store_options){ .path = path }, &b->store, &b->e) < 0)
        fail_msg("%s", b->e.message);
}

static inline void base_gateway(struct base *b, struct runtime *runtime)
{
    struct gateway_options o = { .store = b->store,
                                 .events = b->events,
                                 .runtime = runtime,
                                 .router = &b->router.router,
                                 .slot_directory = b->slots };
    if (gateway_open(&o, &b->gateway, &b->e) < 0)
        fail_msg("%s", b->e.message);
}

static inline void base_empty(const char *path)
{
    char inner[512];
    DIR *d = opendir(path);
    for (struct dirent *x; d && (x = readdir(d));) {
        (void)snprintf(inner, sizeof inner, "%s/%s", path, x->d_name);
        if (!str_eq(x->d_name, ".") && !str_eq(x->d_name, ".."))
            (void)unlink(inner);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(path);
}

static inline void base_close(struct base *b)
{
    store_close(b->store);
    events_free(b->events);
    json_decref(b->router.hosts);
    base_empty(b->slots);
    base_empty(b->dir);
    error_done(&b->e);
}

#endif
