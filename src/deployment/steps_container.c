#include "deployment/plan.h"
#include "deployment/spec.h"
#include "deployment/steps.h"

#include <stdio.h>

#define AWAIT_OWN_MS 15000

/* ---- create ---- */

int find_own(struct run *r, const json_t *x, char ret_id[65], struct error *e)
{
    struct engine_container *list = NULL;
    struct container_engine *g = NULL;
    size_t n = 0;
    const char *name = json_str(x, "name"), *row = json_str(x, "id");
    ret_id[0] = '\0';
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res == 0)
        res = g->ops->list(g, &list, &n, e);
    for (size_t i = 0; res == 0 && i < n; i++) {
        const char *deployment = json_string_value(json_object_get(list[i].labels, LABEL_DEPLOYMENT));
        const char *instance = json_string_value(json_object_get(list[i].labels, LABEL_INSTANCE));
        if (str_eq(deployment, r->id) && str_eq(instance, row))
            str_copy(ret_id, 65, list[i].id);
        else if (str_eq(list[i].name, name))
            res = error_set(e, ERR_CONFLICT, "There is a container %s that is not this deployment's.", name);
    }
    engine_containers_free(list, n);
    return res;
}

static int create_new(struct run *r, const json_t *x, char ret_id[65], struct error *e)
{
    struct container_engine *g = NULL;
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res < 0)
        return res;
    struct container_spec *spec = container_spec_new(r, x, e);
    if (!spec)
        return e->code ? -(int)e->code : -ERR_INTERNAL;
    res = g->ops->create(g, container_spec_view(spec), ret_id, e);
    container_spec_free(spec);
    return res;
}

/* The name is taken and yet no container has it: the engine still makes the one that a killed hub asked for. */
static int await_own(struct run *r, const json_t *x, char ret_id[65], struct error *taken, struct error *e)
{
    int res = 0;
    int64_t until = clock_mono_ms() + AWAIT_OWN_MS;
    ret_id[0] = '\0';
    while (res == 0 && !ret_id[0] && clock_mono_ms() < until && !run_interrupted(r)) {
        step_pause_ms(CHECK_PAUSE_MS);
        res = find_own(r, x, ret_id, e);
    }
    if (res == 0 && run_interrupted(r))
        return RUN_INTERRUPTED;
    return res < 0 || ret_id[0] ? res : error_set(e, taken->code, "%s", taken->message);
}

static int create_one(struct run *r, json_t *x, struct error *e)
{
    char id[65];
    struct error failure = ERROR_INIT;
    int res = find_own(r, x, id, e);
    if (res == 0 && !id[0]) {
        res = create_new(r, x, id, &failure);
        if (res == -ERR_CONFLICT)
            res = await_own(r, x, id, &failure, e);
        else if (res < 0)
            (void)error_set(e, failure.code, "%s", failure.message);
        error_done(&failure);
    }
    if (res == 0)
        res = run_put_secret_files(r, json_str(x, "node"), id, e);
    if (res < 0)
        return res;
    (void)json_put(x, "container", json_string(id));
    record_log(&r->record, "container %.12s created", id);
    return 0;
}

int step_create(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = run_secrets(r, e);
    while (res == 0 && (x = instance_next_new(r, &i))) {
        res = run_ensure_networks(r, json_str(x, "node"), e);
        if (res == 0)
            res = run_ensure_volumes(r, json_str(x, "node"), e);
        if (res == 0)
            res = create_one(r, x, e);
    }
    return res;
}

/* ---- start ---- */

/* The name is the owner's wish; the old container that has it keeps its own under another until it goes. */
static int take_fixed_name(struct run *r, const json_t *x, struct container_engine *g, struct error *e)
{
    const char *wanted = json_str(r->release.specification, "container.name");
    char aside[300];
    if (!wanted || !g->ops->rename)
        return 0;
    if (json_str(x, "old.container")) {
        (void)snprintf(aside, sizeof aside, "%s-before-%s", wanted, r->id + ID_LEN - 8);
        int res = g->ops->rename(g, json_str(x, "old.container"), aside, e);
        if (res < 0 && res != -ERR_NOT_FOUND && res != -ERR_CONFLICT)
            return res;
    }
    return g->ops->rename(g, json_str(x, "container"), wanted, e);
}

#define CHOSEN_PORT_TRIES 5

/* A host port that the engine chose may be another program's by then: with each try it chooses the next. */
static int start_with_ports(struct run *r, struct container_engine *g, const char *container, struct error *e)
{
    bool fixed = strategy_fixed_port(r->release.specification) != NULL;
    int res = g->ops->start(g, container, e);
    for (int i = 1; res == -ERR_CONFLICT && !fixed && i < CHOSEN_PORT_TRIES && !run_interrupted(r); i++) {
        record_log(&r->record, "started again: %s", e->message);
        error_done(e);
        *e = ERROR_INIT;
        res = g->ops->start(g, container, e);
    }
    return res;
}

static int start_one(struct run *r, const json_t *x, struct error *e)
{
    struct container_engine *g = NULL;
    int res = instance_engine(r, json_str(x, "node"), &g, e);
    if (res == 0)
        res = take_fixed_name(r, x, g, e);
    if (res == 0)
        res = start_with_ports(r, g, json_str(x, "container"), e);
    if (res == 0)
        record_log(&r->record, "%s started", json_str(x, "name"));
    return res;
}

int step_start(struct run *r, struct error *e)
{
    size_t i = 0;
    json_t *x;
    int res = run_strategy(r) == STRATEGY_RECREATE ? stop_old_first(r, e) : 0;
    while (res == 0 && (x = instance_next_new(r, &i)))
        res = start_one(r, x, e);
    return res;
}
