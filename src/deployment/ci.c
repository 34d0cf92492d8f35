#include "deployment/ci_internal.h"

static const char *const state_names[] = {
    [CI_QUEUED] = "queued", [CI_WAITING] = "waiting", [CI_RUNNING] = "in_progress", [CI_ENDED] = "completed"
};

const char *ci_state_name(enum ci_state s)
{
    return s < ARRAY_LEN(state_names) ? state_names[s] : "?";
}

struct ci_source *ci_source_named(struct ci *c, const char *name)
{
    for (size_t i = 0; i < CI_SOURCES_MAX && c->sources[i]; i++)
        if (str_eq(c->sources[i]->ops->name, name))
            return c->sources[i];
    return NULL;
}

void ci_batch_committed(struct ci *c, const struct ci_batch *b)
{
    if (*b->job)
        jobs_added(c->jobs, b->job);
    if (*b->wanted)
        ci_wanted_tell(c, b->wanted, "approval.created");
}

int ci_open(const struct ci_options *o, struct ci **ret, struct error *e)
{
    struct ci *c = calloc(1, sizeof *c);
    if (!c) {
        for (size_t i = 0; i < CI_SOURCES_MAX && o->sources[i]; i++)
            o->sources[i]->ops->free(o->sources[i]);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    c->magic = CI_MAGIC;
    c->store = o->store;
    c->vault = o->vault;
    c->events = o->events;
    c->jobs = o->jobs;
    c->runtime = o->runtime;
    c->deployments = o->deployments;
    memcpy(c->sources, o->sources, sizeof c->sources);
    (void)pthread_mutex_init(&c->show_lock, NULL);
    (void)pthread_mutex_init(&c->tell_lock, NULL);
    int (*const parts[])(struct ci *, struct error *) = { ci_deliveries_open, ci_wanted_open, ci_keeper_open,
                                                          ci_tell_open };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
        r = parts[i](c, e);
    if (r < 0) {
        ci_close(c);
        return r;
    }
    deployments_set_gate(c->deployments, ci_gate_request, c);
    *ret = c;
    return 0;
}

int ci_start(struct ci *c, struct error *e)
{
    MAGIC_CHECK(c, CI_MAGIC);
    int r = ci_keeper_start(c, e);
    return r == 0 ? ci_tell_start(c, e) : r;
}

void ci_close(struct ci *c)
{
    if (!c)
        return;
    ci_tell_stop(c);
    free(c->teller);
    (void)pthread_mutex_destroy(&c->show_lock);
    (void)pthread_mutex_destroy(&c->tell_lock);
    for (size_t i = 0; i < CI_SOURCES_MAX && c->sources[i]; i++)
        c->sources[i]->ops->free(c->sources[i]);
    c->magic = 0;
    free(c);
}

const struct api_operation ci_operations[] = {
    { "receiveGithubWebhook", ci_receive },
    { "receiveTravisWebhook", ci_receive },
    { "listCiDeliveries", ci_list_deliveries },
    { "listCiRuns", ci_list_runs },
    { "listCiRules", ci_list_rules },
    { "createCiRule", ci_create_rule },
    { "deleteCiRule", ci_delete_rule },
    { "listCiApprovals", ci_list_approvals },
    { "approveCi", ci_approve },
    { "rejectCi", ci_reject },
    { "setCiFigure", ci_set_figure },
};
const size_t ci_operation_count = ARRAY_LEN(ci_operations);
