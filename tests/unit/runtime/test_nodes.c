/* Nodes with engines that a test makes answer or fall silent: placement, loss, moving, fencing, and engines that go away
 * while someone holds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/node_engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOST_AFTER_MS 600
#define MACHINES 3
#define CONTAINERS 8

/* ---- machines: what an engine is when it is not one ---- */

struct machine {
    pthread_mutex_t lock;
    bool dead, connects;
    struct fake_container {
        bool there, running;
        char id[65], name[64], instance[40];
        int64_t created_ms;
    } containers[CONTAINERS];
    _Atomic unsigned removed, opened, freed, followed;
    void (*listed)(struct machine *m); /* called once, when a list was read; under the lock */
    _Atomic bool hold; /* who connects waits */
};
static struct machine machines[MACHINES];

struct fake_engine {
    struct container_engine base;
    struct machine *machine;
};

static struct machine *alive(struct container_engine *g, struct error *e)
{
    struct machine *m = ((struct fake_engine *)g)->machine;
    (void)pthread_mutex_lock(&m->lock);
    bool dead = m->dead;
    (void)pthread_mutex_unlock(&m->lock);
    if (dead)
        (void)error_set(e, ERR_UNAVAILABLE, "no route to host");
    return dead ? NULL : m;
}

static int f_info(struct container_engine *g, struct engine_info *ret, struct error *e)
{
    if (!alive(g, e))
        return -ERR_UNAVAILABLE;
    *ret = (struct engine_info){ .kind = "docker", .version = "1", .cpus = 4, .memory_total = (int64_t)8 << 30 };
    return 0;
}

static void show(const struct fake_container *c, struct engine_container *ret)
{
    *ret = (struct engine_container){ .created_ms = c->created_ms, .restart_count = 0 };
    str_copy(ret->id, sizeof ret->id, c->id);
    ret->name = strdup(c->name);
    ret->image = strdup("demo:1");
    ret->state = strdup(c->running ? "running" : "exited");
    ret->labels = json_pack("{s:s}", LABEL_INSTANCE, c->instance);
}

static int f_list(struct container_engine *g, struct engine_container **ret, size_t *ret_n, struct error *e)
{
    struct machine *m = alive(g, e);
    struct engine_container *list = calloc(CONTAINERS, sizeof *list);
    size_t n = 0;
    if (m) {
        (void)pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < CONTAINERS; i++)
            if (m->containers[i].there)
                show(&m->containers[i], &list[n++]);
        void (*listed)(struct machine *) = TAKE(m->listed);
        if (listed)
            listed(m);
        (void)pthread_mutex_unlock(&m->lock);
    }
    *ret = list;
    *ret_n = n;
    if (!m)
        free(list);
    return m ? 0 : -ERR_UNAVAILABLE;
}

static int with_container(struct container_engine *g, const char *id, struct engine_container *ret, bool stop,
                          bool drop, struct error *e)
{
    struct machine *m = alive(g, e);
    int res = m ? error_set(e, ERR_NOT_FOUND, "no such container") : -ERR_UNAVAILABLE;
    for (size_t i = 0; m && i < CONTAINERS; i++) {
        struct fake_container *c = &m->containers[i];
        (void)pthread_mutex_lock(&m->lock);
        if (c->there && str_eq(c->id, id)) {
            res = 0;
            if (ret)
                show(c, ret);
            c->running = c->running && !stop;
            c->there = !drop;
            m->removed += drop;
        }
        (void)pthread_mutex_unlock(&m->lock);
    }
    return res;
}

static int f_inspect(struct container_engine *g, const char *id, struct engine_container *ret, struct error *e)
{
    return with_container(g, id, ret, false, false, e);
}

static int f_stop(struct container_engine *g, const char *id, int grace_s UNUSED, struct error *e)
{
    return with_container(g, id, NULL, true, false, e);
}

static int f_remove(struct container_engine *g, const char *id, bool force UNUSED, struct error *e)
{
    return with_container(g, id, NULL, true, true, e);
}

/* A dead host says nothing: the stream stays open. */
static int f_follow(struct container_engine *g, int64_t since_ms UNUSED, engine_event_fn fn UNUSED, void *ctx UNUSED,
                    const _Atomic bool *stop, struct error *e UNUSED)
{
    struct machine *m = ((struct fake_engine *)g)->machine;
    m->followed++;
    while (!*stop)
        (void)usleep(5000);
    m->followed--;
    return 0;
}

static void f_free(struct container_engine *g)
{
    struct machine *m = ((struct fake_engine *)g)->machine;
    (void)pthread_mutex_lock(&m->lock);
    m->freed++;
    (void)pthread_mutex_unlock(&m->lock);
    free(g);
}

static const struct engine_ops fake_ops = { .info = f_info,
                                            .list = f_list,
                                            .inspect = f_inspect,
                                            .stop = f_stop,
                                            .remove = f_remove,
                                            .follow = f_follow,
                                            .free = f_free };

static int connect_machine(void *ctx UNUSED, const json_t *node, struct container_engine **ret, struct error *e UNUSED)
{
    struct machine *m = &machines[atoi(strrchr(json_str(node, "engine.url"), '.') + 1)];
    struct fake_engine *f = calloc(1, sizeof *f);
    f->base.ops = &fake_ops;
    f->machine = m;
    (void)pthread_mutex_lock(&m->lock);
    m->opened++;
    (void)pthread_mutex_unlock(&m->lock);
    while (m->hold)
        (void)usleep(1000);
    *ret = &f->base;
    return 0;
}

/* ---- a hub with such nodes ---- */

static char dir[64], path[96];
static struct store *store;
static struct events *bus;
static struct runtime *runtime;
static char nodes[MACHINES + 1][ID_LEN + 1]; /* the last one is another way to machine 0 */
static _Atomic unsigned asked;
static char asked_for[ID_LEN + 1];

static int on_relocate(void *ctx UNUSED, const char *service_id, const char *reason, struct error *e UNUSED)
{
    assert_non_null(strstr(reason, "does not answer"));
    str_copy(asked_for, sizeof asked_for, service_id);
    asked++;
    return 0;
}

static _Atomic bool is_busy;

static bool busy(void *ctx UNUSED, const char *service_id UNUSED, char *ret_reason, size_t size)
{
    str_copy(ret_reason, size, "A deployment is under way.");
    return is_busy;
}

static void add_node(size_t i)
{
    struct error e = ERROR_INIT;
    char name[16], url[32];
    _cleanup_entity_ struct entity *x = NULL;
    (void)snprintf(name, sizeof name, "node-%zu", i);
    (void)snprintf(url, sizeof url, "tcp://10.1.2.%zu", i % MACHINES);
    _cleanup_json_ json_t *d = node_document_new(name, "spoke", "other");
    (void)json_put(d, "engine", json_pack("{s:s, s:s}", "kind", "local", "url", url));
    (void)json_put(d, "labels", json_pack("{s:s, s:s}", "rack", i < 2 ? "a" : "b", "all", "yes"));
    if (node_save(runtime, d, 1, true, "node.created", &x, &e) < 0 || node_engine_configure(runtime, d, &e) < 0)
        fail_msg("%s", e.message);
    str_copy(nodes[i], sizeof nodes[i], x->id);
}

static int setup(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    str_copy(dir, sizeof dir, "/tmp/hbcloud-nodes-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/hub.db", dir);
    memset(machines, 0, sizeof machines);
    for (size_t i = 0; i < MACHINES; i++)
        (void)pthread_mutex_init(&machines[i].lock, NULL);
    asked = 0;
    is_busy = false;
    if (store_open(&(struct store_options){ .path = path }, &store, &e) < 0)
        fail_msg("%s", e.message);
    bus = events_new();
    struct runtime_options o = { .store = store,
                                 .events = bus,
                                 .version = "test",
                                 .data_directory = dir,
                                 .reconcile_ms = 200,
                                 .connect = connect_machine,
                                 .lost_after_ms = LOST_AFTER_MS };
    if (runtime_open(&o, &runtime, &e) < 0 || runtime_start(runtime, &e) < 0)
        fail_msg("%s", e.message);
    runtime_set_relocate(runtime, on_relocate, NULL);
    runtime_set_busy(runtime, busy, NULL);
    for (size_t i = 0; i < MACHINES; i++)
        add_node(i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const ends[] = { "", "-wal", "-shm" };
    runtime_close(runtime);
    events_free(bus);
    store_close(store);
    for (size_t i = 0; i < MACHINES; i++)
        assert_int_equal(machines[i].opened, machines[i].freed);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s%s", path, ends[i]);
        (void)unlink(file);
    }
    return rmdir(dir);
}

static const char *status_of(size_t i)
{
    static char text[32];
    _cleanup_entity_ struct entity *x = NULL;
    assert_int_equal(runtime_node(runtime, nodes[i], &x, NULL), 0);
    _cleanup_json_ json_t *d = entity_document(x);
    str_copy(text, sizeof text, json_str(d, "status"));
    return text;
}

#define WAIT_UNTIL(condition)                                  \
    do {                                                       \
        int64_t until = clock_mono_ms() + 15000;               \
        while (!(condition)) {                                 \
            if (clock_mono_ms() > until)                       \
                fail_msg("%s did not come to be", #condition); \
            (void)usleep(5000);                                \
        }                                                      \
    } while (0)

static void await_status(size_t i, const char *status)
{
    WAIT_UNTIL(str_eq(status_of(i), status));
}

static void set_dead(size_t i, bool dead)
{
    (void)pthread_mutex_lock(&machines[i].lock);
    machines[i].dead = dead;
    (void)pthread_mutex_unlock(&machines[i].lock);
}

/* A managed service of one instance with a container on a node. */
static void run_service(const char *name, size_t node, const char *volume, const char *labels, char ret_id[ID_LEN + 1])
{
    struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *x = NULL;
    struct fake_container *c = &machines[node].containers[0];
    struct engine_container shown;
    *c = (struct fake_container){ .there = true, .running = true, .created_ms = clock_now_ms() - 1000 };
    memset(c->id, 'a' + (int)node, 64);
    str_copy(c->name, sizeof c->name, name);
    show(c, &shown);
    _cleanup_json_ json_t *d = service_document_new(nodes[node], name, &shown);
    runtime_instance_fill(runtime, d, &shown);
    engine_container_done(&shown);
    (void)json_put(d, "managed", json_true());
    if (volume)
        (void)json_put(d, "container.volumes", json_pack("[{s:s, s:s}]", "source", volume, "target", "/data"));
    if (labels)
        (void)json_put(d, "placement", json_pack("{s:{s:s}}", "labels", labels, "yes"));
    if (runtime_service_save(runtime, d, -1, &x, &e) < 0)
        fail_msg("%s", e.message);
    str_copy(ret_id, ID_LEN + 1, x->id);
    str_copy(c->instance, sizeof c->instance, x->id);
}

static json_t *service(const char *id)
{
    _cleanup_entity_ struct entity *x = NULL;
    assert_int_equal(runtime_service(runtime, id, &x, NULL), 0);
    return entity_document(x);
}

static void all_active(void)
{
    for (size_t i = 0; i < MACHINES; i++)
        await_status(i, "active");
}

/* ---- the tests ---- */

static void instances_spread_over_the_nodes_that_carry_the_labels(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    char ids[4][37], id[ID_LEN + 1];
    all_active();
    _cleanup_json_ json_t *rack = json_pack("{s:{s:s}}", "labels", "rack", "a");
    assert_int_equal(runtime_place(runtime, rack, 2, ids, &e), 0);
    assert_string_not_equal(ids[0], ids[1]);
    assert_false(str_eq(ids[0], nodes[2]) || str_eq(ids[1], nodes[2]));
    run_service("web", 0, NULL, NULL, id);
    assert_int_equal(runtime_place(runtime, rack, 1, ids, &e), 0);
    assert_string_equal(ids[0], nodes[1]);
    _cleanup_json_ json_t *named = json_pack("{s:[s, s]}", "nodes", "node-2", "node-0");
    assert_int_equal(runtime_place(runtime, named, 4, ids, &e), 0);
    assert_string_equal(ids[0], nodes[2]);
    assert_string_equal(ids[1], nodes[0]);
    assert_int_equal(runtime_place(runtime, NULL, 1, ids, &e), 0);
    assert_string_equal(ids[0], runtime_hub_node(runtime));
}

static void a_placement_that_leaves_no_node_says_why(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    char ids[1][37];
    all_active();
    _cleanup_json_ json_t *none = json_pack("{s:{s:s}}", "labels", "rack", "z");
    assert_int_equal(runtime_place(runtime, none, 1, ids, &e), -ERR_CONFLICT);
    assert_string_equal(e.message, "No node carries the labels rack=z.");
    error_done(&e);
    _cleanup_json_ json_t *typo = json_pack("{s:[s, s]}", "nodes", "node-1", "node-9");
    assert_int_equal(runtime_place(runtime, typo, 1, ids, &e), -ERR_VALIDATION);
    assert_string_equal(json_string_value(json_object_get(e.details, "/placement/nodes/1")), "names no node");
    error_done(&e);
    set_dead(2, true);
    await_status(2, "offline");
    _cleanup_json_ json_t *lost = json_pack("{s:{s:s}}", "labels", "rack", "b");
    assert_int_equal(runtime_place(runtime, lost, 1, ids, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "node-2 offline"));
    error_done(&e);
}

static void ports_are_published_where_the_gateway_reaches_them_and_nobody_else(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    char at[46];
    const char *hub = runtime_hub_node(runtime);
    assert_int_equal(runtime_publish_address(runtime, hub, NULL, at, &e), 0);
    assert_string_equal(at, "127.0.0.1");
    assert_int_equal(runtime_publish_address(runtime, hub, "any", at, &e), 0);
    assert_string_equal(at, "0.0.0.0");
    assert_int_equal(runtime_publish_address(runtime, hub, "mesh", at, &e), -ERR_CONFLICT);
    error_done(&e);
    assert_int_equal(runtime_publish_address(runtime, nodes[1], "loopback", at, &e), 0);
    assert_string_equal(at, "10.1.2.1");
    int64_t version = 0;
    _cleanup_json_ json_t *d = node_stored_document(runtime, nodes[1], &version);
    (void)json_put(d, "engine.url", json_string("tcp://203.0.113.1"));
    assert_int_equal(node_save(runtime, d, version + 1, true, NULL, NULL, &e), 0);
    assert_int_equal(runtime_publish_address(runtime, nodes[1], NULL, at, &e), -ERR_CONFLICT);
    error_done(&e);
    (void)json_put(d, "networking.tailscaleIP", json_string("100.64.0.7"));
    assert_int_equal(node_save(runtime, d, version + 2, true, NULL, NULL, &e), 0);
    assert_int_equal(runtime_publish_address(runtime, nodes[1], NULL, at, &e), 0);
    assert_string_equal(at, "100.64.0.7");
}

static void a_lost_node_s_stateless_services_move_once(void **state)
{
    (void)state;
    char id[ID_LEN + 1];
    all_active();
    run_service("web", 0, NULL, "all", id);
    int64_t began = clock_mono_ms();
    set_dead(0, true);
    WAIT_UNTIL(asked > 0);
    assert_true(clock_mono_ms() - began < LOST_AFTER_MS + 2000);
    assert_string_equal(asked_for, id);
    assert_string_equal(status_of(0), "offline");
    struct error e = ERROR_INIT;
    struct engine_info info;
    struct container_engine *g = NULL;
    assert_int_equal(runtime_engine(runtime, nodes[0], &g, &e), 0);
    assert_int_equal(g->ops->info(g, &info, &e), -ERR_UNAVAILABLE);
    assert_non_null(strstr(e.message, "The node is lost"));
    error_done(&e);
    _cleanup_json_ json_t *d = service(id);
    assert_string_not_equal(json_str(d, "nodeId"), nodes[0]);
    assert_null(json_str(d, "container.id"));
    (void)usleep(1200000); /* longer than two turns of the steward: it must not ask again */
    assert_int_equal(asked, 1);
}

static void what_has_data_or_no_other_place_waits_for_its_node(void **state)
{
    (void)state;
    char data[ID_LEN + 1];
    all_active();
    run_service("db", 1, "db-data", "all", data);
    set_dead(1, true);
    await_status(1, "offline");
    _cleanup_json_ json_t *d = NULL;
    WAIT_UNTIL((json_decref(d), d = service(data)) && str_eq(json_str(d, "container.state"), "unreachable"));
    assert_string_equal(json_str(d, "nodeId"), nodes[1]);
    assert_string_equal(json_str(d, "status.message"), "Its node node-1 does not answer.");
    assert_int_equal(asked, 0);
    set_dead(1, false);
    await_status(1, "active");
    WAIT_UNTIL((json_decref(d), d = service(data)) && str_eq(json_str(d, "container.state"), "running"));
    assert_int_equal(machines[1].removed, 0);
}

/* What lives elsewhere now is gone from the node before the node is active again. */
static void a_node_that_returns_is_fenced_first(void **state)
{
    (void)state;
    char id[ID_LEN + 1];
    all_active();
    run_service("web", 0, NULL, "all", id);
    set_dead(0, true);
    WAIT_UNTIL(asked == 1);
    is_busy = true; /* its deployment elsewhere is under way */
    set_dead(0, false);
    await_status(0, "active");
    assert_int_equal(machines[0].removed, 1);
    assert_false(machines[0].containers[0].there);
    _cleanup_json_ json_t *d = service(id);
    assert_string_not_equal(json_str(d, "nodeId"), nodes[0]);
}

/* Its deployment elsewhere has failed: what the node still has of it is not taken away, but serves on. */
static void what_could_not_move_serves_on_when_its_node_returns(void **state)
{
    (void)state;
    char id[ID_LEN + 1];
    all_active();
    run_service("web", 0, NULL, "all", id);
    set_dead(0, true);
    WAIT_UNTIL(asked == 1);
    set_dead(0, false);
    await_status(0, "active");
    assert_int_equal(machines[0].removed, 0);
    _cleanup_json_ json_t *d = service(id);
    assert_string_equal(json_str(d, "nodeId"), nodes[0]);
    assert_string_equal(json_str(d, "container.id"), machines[0].containers[0].id);
    assert_string_equal(json_str(d, "container.state"), "running");
    assert_string_equal(json_str(d, "status.deployment"), "running");
}

/* An engine that someone holds refuses when its node is gone; it never dangles. */
static void an_engine_that_is_held_outlives_its_node(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    struct container_engine *g = NULL;
    struct engine_info info;
    all_active();
    assert_int_equal(runtime_engine(runtime, nodes[2], &g, &e), 0);
    assert_int_equal(g->ops->info(g, &info, &e), 0);
    assert_int_equal(g->ops->volume_remove(g, "x", &e), -ERR_CONFLICT); /* this engine has no volumes */
    error_done(&e);
    node_engine_remove(runtime, nodes[2]);
    assert_int_equal(g->ops->info(g, &info, &e), -ERR_UNAVAILABLE);
    error_done(&e);
    WAIT_UNTIL(machines[2].opened == machines[2].freed);
    assert_int_equal(runtime_engine(runtime, nodes[2], &g, &e), -ERR_UNAVAILABLE);
    error_done(&e);
}

/* What was given up while its node was lost is no stranger when the node returns: it goes. */
static void what_was_given_up_goes_when_its_node_returns(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    char id[ID_LEN + 1];
    all_active();
    run_service("web", 0, NULL, NULL, id);
    set_dead(0, true);
    await_status(0, "offline");
    assert_int_equal(instance_abandon(runtime, id, nodes[0], &e), 0);
    assert_int_equal(runtime_service_forget(runtime, id, &e), 0);
    set_dead(0, false);
    await_status(0, "active");
    assert_int_equal(machines[0].removed, 1);
    assert_int_equal(runtime_service_count(runtime), 0);
    assert_int_equal(instance_is_abandoned(runtime, id, nodes[0]), 0);
}

/* A hub that starts finds the container that a deployment has made on the node its instance is to live on. */
static void a_hub_that_starts_leaves_a_deployment_its_container(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    char id[ID_LEN + 1];
    struct runtime_engine_state engine = { .asked = false };
    struct fake_container *c = &machines[1].containers[0];
    all_active();
    run_service("web", 0, NULL, NULL, id);
    node_engine_remove(runtime, nodes[1]);
    is_busy = true;
    *c =
        (struct fake_container){ .there = true, .running = true, .created_ms = clock_now_ms() - 1000, .name = "web-2" };
    memset(c->id, 'n', 64);
    str_copy(c->instance, sizeof c->instance, id);
    int64_t version = 0;
    _cleanup_json_ json_t *d = node_stored_document(runtime, nodes[1], &version);
    assert_int_equal(node_engine_configure(runtime, d, &e), 0);
    WAIT_UNTIL(runtime_node_engine_state(runtime, nodes[1], &engine, NULL) == 0 && engine.available);
    assert_int_equal(machines[1].removed, 0);
    is_busy = false;
    WAIT_UNTIL(machines[1].removed == 1);
}

static char replaced_id[ID_LEN + 1];

static int serve_the_new(json_t *d, void *ctx)
{
    return json_put(d, "container.id", json_string(ctx));
}

/* What a deployment does while the node is compared: another container serves, and the old one goes. */
static void replace(struct machine *m)
{
    struct fake_container *c = m->containers;
    c[1] = c[0];
    memset(c[1].id, 'n', 64);
    c[0].there = false;
    if (runtime_service_change(runtime, replaced_id, serve_the_new, c[1].id, NULL, NULL) < 0)
        fail_msg("not replaced");
}

static void what_is_newer_than_the_list_is_not_gone(void **state)
{
    (void)state;
    all_active();
    run_service("web", 0, NULL, NULL, replaced_id);
    (void)pthread_mutex_lock(&machines[0].lock);
    machines[0].listed = replace;
    (void)pthread_mutex_unlock(&machines[0].lock);
    _cleanup_json_ json_t *d = NULL;
    WAIT_UNTIL((json_decref(d), d = service(replaced_id)) && json_str(d, "container.id")[0] == 'n');
    int64_t until = clock_mono_ms() + 600; /* the rest of that comparison, and the next ones */
    while (clock_mono_ms() < until) {
        json_decref(d);
        d = service(replaced_id);
        assert_string_equal(json_str(d, "container.state"), "running");
        (void)usleep(2000);
    }
}

/* Who was connecting with what a node said before does not keep the node on it. */
static void a_change_while_it_connects_counts(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    int64_t version = 0;
    all_active();
    WAIT_UNTIL(machines[0].followed == 1);
    machines[0].hold = true;
    unsigned before = machines[0].opened;
    node_engine_drop(node_engine_of(runtime, nodes[0]));
    WAIT_UNTIL(machines[0].opened > before); /* somebody connects, by the old address */
    _cleanup_json_ json_t *d = node_stored_document(runtime, nodes[0], &version);
    (void)json_put(d, "engine.url", json_string("tcp://10.1.2.1"));
    assert_int_equal(node_save(runtime, d, version + 1, true, NULL, NULL, &e), 0);
    before = machines[1].opened;
    assert_int_equal(node_engine_configure(runtime, d, &e), 0);
    WAIT_UNTIL(machines[0].followed == 0);
    machines[0].hold = false;
    WAIT_UNTIL(machines[1].opened > before);
    WAIT_UNTIL(machines[0].opened == machines[0].freed);
}

/* A second node for the same engine is told so, and does nothing to the containers that it sees twice. */
static void one_engine_is_one_node(void **state)
{
    (void)state;
    char id[ID_LEN + 1];
    struct runtime_engine_state engine = { .asked = false };
    all_active();
    run_service("web", 0, NULL, NULL, id);
    add_node(MACHINES);
    WAIT_UNTIL(runtime_node_engine_state(runtime, nodes[MACHINES], &engine, NULL) == 0 && engine.asked);
    assert_false(engine.available);
    assert_non_null(strstr(engine.reason, "This is the container engine of node node-0"));
    assert_string_equal(status_of(MACHINES), "offline");
    assert_int_equal(machines[0].removed, 0);
}

static void a_container_that_is_renamed_stays_the_service_it_was(void **state)
{
    (void)state;
    struct fake_container *c = &machines[1].containers[0];
    _cleanup_entity_ struct entity *x = NULL, *y = NULL;
    all_active();
    (void)pthread_mutex_lock(&machines[1].lock);
    *c = (struct fake_container){ .there = true, .running = true, .created_ms = 1, .name = "Old_Name" };
    memset(c->id, 'f', 64);
    (void)pthread_mutex_unlock(&machines[1].lock);
    WAIT_UNTIL(runtime_service(runtime, "Old_Name", &x, NULL) == 0);
    (void)pthread_mutex_lock(&machines[1].lock);
    str_copy(c->name, sizeof c->name, "new-name");
    (void)pthread_mutex_unlock(&machines[1].lock);
    WAIT_UNTIL(runtime_service(runtime, "new-name", &y, NULL) == 0);
    assert_string_equal(x->id, y->id);
    assert_int_equal(runtime_service_count(runtime), 1);
}

static void instances_are_counted_on_each_of_them(void **state)
{
    (void)state;
    struct error e = ERROR_INIT;
    char id[ID_LEN + 1];
    struct entity **list = NULL;
    size_t n = 0;
    all_active();
    run_service("web", 0, NULL, NULL, id);
    _cleanup_entity_ struct entity *second = NULL, *again = NULL;
    assert_int_equal(runtime_instance_make(runtime, "web", 2, nodes[1], &second, &e), 0);
    assert_int_equal(runtime_instance_make(runtime, "web", 2, nodes[2], &again, &e), 0);
    assert_string_equal(second->id, again->id);
    assert_int_equal(runtime_service_instances(runtime, second->id, &list, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_string_equal(list[0]->id, id);
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *d = entity_document(list[i]);
        assert_int_equal(json_int(d, "ordinal", 0), i + 1);
        assert_int_equal(json_int(d, "instances.running", -1), 1);
    }
    runtime_instances_free(list, n);
    _cleanup_json_ json_t *first = service("web");
    assert_string_equal(json_str(first, "id"), id);
    assert_int_equal(runtime_service_forget(runtime, second->id, &e), 0);
    assert_int_equal(runtime_service_instances(runtime, "web", &list, &n, &e), 0);
    assert_int_equal(n, 1);
    runtime_instances_free(list, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instances_spread_over_the_nodes_that_carry_the_labels, setup, teardown),
        cmocka_unit_test_setup_teardown(a_placement_that_leaves_no_node_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(ports_are_published_where_the_gateway_reaches_them_and_nobody_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_lost_node_s_stateless_services_move_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_data_or_no_other_place_waits_for_its_node, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_returns_is_fenced_first, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_not_move_serves_on_when_its_node_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(an_engine_that_is_held_outlives_its_node, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_given_up_goes_when_its_node_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hub_that_starts_leaves_a_deployment_its_container, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_newer_than_the_list_is_not_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_while_it_connects_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(one_engine_is_one_node, setup, teardown),
        cmocka_unit_test_setup_teardown(a_container_that_is_renamed_stays_the_service_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(instances_are_counted_on_each_of_them, setup, teardown),
    };
    return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
