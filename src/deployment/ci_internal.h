/* What the files of the CI part share. Internal to the room.
 * Flow: ci_deliveries.c takes and keeps; ci_track.c moves runs, jobs and checks; ci_rules.c finds what is to be deployed;
 * ci_wanted.c waits for people and gates (ci_gates.c), then asks deployment; ci_keeper.c back-fills and tells. */
#ifndef HB_CI_INTERNAL_H
#define HB_CI_INTERNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "base/str.h"
#include "deployment/ci.h"
#include "deployment/internal.h"

#define CI_MAGIC 0x43495f31u

struct ci {
    uint32_t magic;
    struct store *store;
    struct vault *vault;
    struct events *events;
    struct jobs *jobs;
    struct runtime *runtime;
    struct deployments *deployments;
    struct ci_source *sources[CI_SOURCES_MAX];
    pthread_mutex_t show_lock; /* one shows a run at a time: what is newest is written last */
    struct ci_teller *teller;  /* NULL: nothing is told */
};
struct ci_source *ci_source_named(struct ci *c, const char *name); /* NULL: none */

/* ci.c: a page of a list that is ordered by time, source and id, the newest first. A query for it takes the rows with
 * (time, source, id) < (before_ms, before_source, before_id), at most `limit` + 1. */
struct ci_page {
    char storage[256], next[512]; /* next: the cursor; "" at the end */
    const char *before_source, *before_id;
    int64_t before_ms, limit, n, last_ms;
    char last_source[21], last_id[65];
};
int ci_page_begin(const struct request *rq, struct ci_page *ret, struct error *e); /* ERR_VALIDATION at /cursor */
/* False: the page is full, and this row is the next one's. */
bool ci_page_take(struct ci_page *p, int64_t at_ms, const char *source, const char *id);
void ci_page_end(const struct ci_page *p, struct jw *w); /* "next" */

/* ci_deliveries.c */
int ci_deliveries_open(struct ci *c, struct error *e); /* its job kind */
int ci_receive(void *room, struct request *rq, struct reply *rp, struct error *e);
int ci_list_deliveries(void *room, struct request *rq, struct reply *rp, struct error *e);

#define CI_RULES_MAX 200
/* What one transaction of tracking leaves to be done after its commit. */
struct ci_batch {
    struct store_conn *conn;
    char run[24]; /* to be shown; "" none */
    struct {
        char id[ID_LEN + 1];  /* what a rule wants, to be told of */
        char job[ID_LEN + 1]; /* to be woken; "" none */
    } wanted[CI_RULES_MAX];   /* one delivery tells of one run or image, and a rule wants that once */
    size_t n;
};
void ci_batch_committed(struct ci *c, const struct ci_batch *b); /* wakes and tells; a run is shown by the caller */
/* ci_track.c: within the batch's write transaction; repeating it changes nothing. */
int ci_track(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_fact *fact, struct error *e);
/* At most `size` - 1 bytes, whole characters; NULL stays NULL. */
const char *ci_cut(const char *text, char *ret, size_t size);
#define CI_PIPELINE_SIZE 256
/* "build #12" of a run; `name` may be NULL. */
void ci_pipeline(const char *name, int64_t number, char ret[CI_PIPELINE_SIZE]);
/* ci_runs.c */
int ci_list_runs(void *room, struct request *rq, struct reply *rp, struct error *e);
/* ci_show.c: a run that is mapped to a service, as a deployment event. */
int ci_show(struct ci *c, const char *source, const char *run_id, struct error *e);

/* ci_rules.c */
#define CI_GATE_TIME_S 1800
struct ci_rule {
    char id[ID_LEN + 1];
    json_t *document; /* as CiRule's own part: match, service, environment, image, approval, gates, gateTimeout */
    int64_t created_ms;
};
struct ci_rules {
    struct ci_rule list[CI_RULES_MAX];
    size_t n;
};
void ci_rules_done(struct ci_rules **r);
#define _cleanup_rules_ _cleanup_(ci_rules_done)
int ci_rules_load(struct store_conn *conn, struct ci_rules **ret, struct error *e);
/* A run is mapped to its service; what is to be deployed is written down. Within the batch's transaction. */
int ci_rules_apply(struct ci *c, struct ci_batch *b, const struct ci_source *s, const struct ci_fact *f,
                   struct error *e);
int ci_list_rules(void *room, struct request *rq, struct reply *rp, struct error *e);
int ci_create_rule(void *room, struct request *rq, struct reply *rp, struct error *e);
int ci_delete_rule(void *room, struct request *rq, struct reply *rp, struct error *e);

/* ci_gates.c: `ret` is an array of {gate, held, found}; `ret_held`: all of them hold. */
int ci_gates_look(struct store_conn *conn, const char *repository, const char *commit, const json_t *gates,
                  json_t **ret, bool *ret_held, struct error *e);
/* "check build is unknown; figure coverage is 71, wanted at least 80" of those that do not hold. */
void ci_gates_words(const json_t *looked, char *ret, size_t size);
/* ERR_CONFLICT when a gate of the service's rules does not hold for a deployment that CI itself asks for. */
int ci_gate_request(void *ctx, const char *service, const char *environment, const struct deployment_origin *o,
                    struct error *e);
int ci_set_figure(void *room, struct request *rq, struct reply *rp, struct error *e);

/* ci_wanted.c: what rules want deployed. */
struct ci_want {
    const char *rule_id, *cause, *service, *environment, *image, *source, *pipeline;
    bool approval;
    const json_t *gates, *git; /* git may be NULL */
    int64_t gate_ms, order_key;
};
int ci_want(struct ci *c, struct ci_batch *b, const struct ci_want *w, struct error *e);
void ci_wanted_tell(struct ci *c, const char *id, const char *type); /* an event, such as approval.updated */
int ci_wanted_open(struct ci *c, struct error *e); /* its job kind */
int ci_wanted_tidy(struct ci *c, struct error *e); /* what waited for a person too long */
int ci_list_approvals(void *room, struct request *rq, struct reply *rp, struct error *e);
int ci_approve(void *room, struct request *rq, struct reply *rp, struct error *e);
int ci_reject(void *room, struct request *rq, struct reply *rp, struct error *e);

/* ci_keeper.c: back-filling and tidying, by schedule. */
int ci_keeper_open(struct ci *c, struct error *e);
int ci_keeper_start(struct ci *c, struct error *e);
/* ci_tell.c */
int ci_tell_open(struct ci *c, struct error *e);
int ci_tell_start(struct ci *c, struct error *e);
void ci_tell_close(struct ci *c); /* after ci_stop */

#endif
