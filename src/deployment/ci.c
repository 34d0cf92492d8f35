#include "deployment/ci_internal.h"

#include <stdio.h>

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
    for (size_t i = 0; i < b->n; i++) {
        if (*b->wanted[i].job)
            jobs_added(c->jobs, b->wanted[i].job);
        ci_wanted_tell(c, b->wanted[i].id, "approval.created");
    }
}

int ci_page_begin(const struct request *rq, struct ci_page *ret, struct error *e)
{
    const char *cursor = request_str(rq, "cursor"), *fields[3] = { NULL, "", "" };
    *ret = (struct ci_page){ .before_ms = INT64_MAX, .limit = request_int(rq, "limit", 100) };
    int r = cursor ? cursor_decode(cursor, ret->storage, sizeof ret->storage, fields, ARRAY_LEN(fields), e) : 0;
    if (r == 0 && cursor && str_to_int64(fields[0], &ret->before_ms) < 0) {
        r = error_set(e, ERR_VALIDATION, "The cursor is not one of this list.");
        error_detail(e, "/cursor", "is not one of this list");
    }
    ret->before_source = fields[1];
    ret->before_id = fields[2];
    return r;
}

bool ci_page_take(struct ci_page *p, int64_t at_ms, const char *source, const char *id)
{
    char at[24];
    if (p->n == p->limit) {
        (void)snprintf(at, sizeof at, "%lld", (long long)p->last_ms);
        (void)cursor_encode((const char *[]){ at, p->last_source, p->last_id }, 3, p->next, sizeof p->next);
        return false;
    }
    p->n++;
    p->last_ms = at_ms;
    str_copy(p->last_source, sizeof p->last_source, source);
    str_copy(p->last_id, sizeof p->last_id, id);
    return true;
}

void ci_page_end(const struct ci_page *p, struct jw *w)
{
    if (p->next[0])
        jw_key(w, "next"), jw_string(w, p->next);
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
    ci_stop(c);
    ci_tell_close(c);
    (void)pthread_mutex_destroy(&c->show_lock);
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
