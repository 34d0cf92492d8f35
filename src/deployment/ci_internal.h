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
    unsigned magic;
    struct store *store;
    struct vault *vault;
    struct events *events;
    struct jobs *jobs;
    struct runtime *runtime;
    struct deployments *deployments;
    struct ci_source *sources[CI_SOURCES_MAX];
};
struct ci_source *ci_source_named(struct ci *c, const char *name); /* NULL: none */

/* ci_deliveries.c */
int ci_deliveries_open(struct ci *c, struct error *e); /* its job kind */
int ci_deliveries_resume(struct ci *c, struct error *e);
int ci_receive(void *room, struct request *rq, struct reply *rp, struct error *e);
int ci_list_deliveries(void *room, struct request *rq, struct reply *rp, struct error *e);

/* ci_track.c: within the caller's write transaction; repeating it changes nothing. */
int ci_track(struct ci *c, struct store_conn *conn, const struct ci_source *s, const struct ci_fact *fact,
             struct error *e);
/* At most `size` - 1 bytes, whole characters; NULL stays NULL. */
const char *ci_cut(const char *text, char *ret, size_t size);
/* ci_runs.c */
int ci_list_runs(void *room, struct request *rq, struct reply *rp, struct error *e);

#endif
