/* What the files of runtime share. Internal to the room. */
#ifndef HB_RUNTIME_INTERNAL_H
#define HB_RUNTIME_INTERNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/table.h"

struct uptime { /* of one service, from our own observations */
    int64_t observed_ms, answered_ms, at_ms;
};

struct node_engine; /* node_engine.h */
struct steward; /* steward.c: nodes that are lost, and what lived there */
struct checker; /* checker.c: health checks of running services */
struct volumes; /* volumes.h */

struct runtime {
    struct store *store;
    struct events *events;
    struct container_engine *engine;
    char *version, *data_directory;
    int64_t reconcile_ms, lost_after_ms, pulse_ms;
    runtime_connect_fn connect;
    void *connect_ctx;
    struct table *nodes, *services;
    struct list_cache *node_lists, *service_lists;
    char hub_id[ID_LEN + 1];
    pthread_mutex_t write_lock; /* one change of entities at a time: read, change, store, publish */
    int64_t hub_written_ms;     /* the hub's heartbeat goes to the database at most once a minute */
    struct map *uptime;         /* service id -> struct uptime, owned; under write_lock */
    runtime_busy_fn busy;
    void *busy_ctx;
    struct runtime_hooks hooks;
    runtime_relocate_fn relocate;
    void *relocate_ctx;
    struct volumes *volumes; /* NULL: a service's volumes are removed without a snapshot */

    pthread_mutex_t engine_lock;   /* of the list; an engine stays until the close, also when its node is gone */
    struct node_engine **engines;
    size_t engine_count;
    bool started;
    struct steward *steward;
    struct checker *checker;
};

/* nodes.c */
json_t *node_document_new(const char *name, const char *type, const char *provider);
json_t *node_stored_document(struct runtime *r, const char *id, int64_t *ret_version);
int nodes_load(struct runtime *r, struct error *e);
int nodes_ensure_hub(struct runtime *r, struct error *e);
int node_save(struct runtime *r, json_t *document, int64_t version, bool to_store, const char *event,
              struct entity **ret, struct error *e);
void node_mark_seen(json_t *document, int64_t now);
void node_put_time(json_t *document, const char *path, int64_t ms);
/* What the hub keeps beside the contract's fields, to reckon uptime: never shown. */
#define NODE_OBSERVED "monitoring._observedMs"
#define NODE_ANSWERED "monitoring._answeredMs"
#define NODE_BOOT "metadata._bootMs"
/* node_state.c: what an engine's answers say of its node; NULL: it does not answer */
int node_set_engine(struct runtime *r, const char *node_id, const struct engine_info *info, struct error *e);
int node_set_lost(struct runtime *r, const char *node_id, int64_t silent_ms, struct error *e);
/* A node was (not) seen for so long; `write`: into the database, too. */
int node_beat(struct runtime *r, const char *node_id, int64_t observed_ms, int64_t answered_ms, bool write,
              struct error *e);
/* steward.c */
int steward_start(struct runtime *r, struct steward **ret, struct error *e);
void steward_stop(struct steward *s);
/* address.c: where the hub reaches what a node publishes; false: the node has no such address */
bool node_address(const json_t *node, char *ret, size_t size);
/* services.c; callers hold write_lock where the name ends in _locked */
int services_load(struct runtime *r, struct error *e);
int service_remember_locked(struct runtime *r, const json_t *document, int64_t version, struct error *e);
int service_save_locked(struct runtime *r, json_t *document, int64_t version, bool created, struct entity **ret,
                        struct error *e);
/* Memory alone, no event: for figures that move all the time. */
int service_touch_locked(struct runtime *r, json_t *document, int64_t version, struct error *e);
int service_forget_locked(struct runtime *r, const char *id, struct error *e);
void services_observe(struct runtime *r);
/* service_doc.c */
json_t *service_document_new(const char *node_id, const char *service_id, const struct engine_container *c);
/* instances.c */
/* Puts `ordinal` and `instances` into a document about to be written; whether there are others. */
bool instance_put_tally(struct runtime *r, json_t *document);
/* Instances that were given up while their node was lost; 1: this one was. */
int instance_abandon(struct runtime *r, const char *id, const char *node_id, struct error *e);
int instance_is_abandoned(struct runtime *r, const char *id, const char *node_id);
int instance_abandoned_gone(struct runtime *r, const char *id, struct error *e);
bool service_is_busy(struct runtime *r, const struct entity *instance, char *ret_reason, size_t size);
void instances_refresh_locked(struct runtime *r, const char *name, const char *service_id, const char *but_id);
/* probe.c: what a document's health check is, as one request */
enum probe_kind { PROBE_NONE, PROBE_HTTP, PROBE_TCP, PROBE_ENGINE };
struct probe {
    enum probe_kind kind;
    char url[2300];
    long timeout_ms;
};
void probe_of(const json_t *document, struct probe *ret);
/* Sets up a new or reset CURL *. A check never keeps its connection: one that is held open would look like a request to
 * whoever waits for the last one to end. */
void probe_prepare(void *handle, const struct probe *p);
/* 1 healthy, 0 not with the reason. `result` is the CURLcode. A connection shows only after PROBE_SETTLE_MS
 * whether somebody is behind it: the rest of that time is `wait_ms`. */
#define PROBE_SETTLE_MS 200
int probe_verdict(const struct probe *p, void *handle, int result, int wait_ms, char *ret_reason, size_t size);
/* checker.c */
int checker_start(struct runtime *r, struct checker **ret, struct error *e);
void checker_stop(struct checker *c);
/* handlers */
/* One version before and one after (either may be NULL) into the audit. */
void audit_change(struct request *rq, const char *kind, const struct entity *before, const struct entity *after);
void service_answer(struct reply *rp, int status, const struct entity *x);
int node_list(void *room, struct request *rq, struct reply *rp, struct error *e);
int node_create(void *room, struct request *rq, struct reply *rp, struct error *e);
int node_get(void *room, struct request *rq, struct reply *rp, struct error *e);
int node_update(void *room, struct request *rq, struct reply *rp, struct error *e);
int node_delete(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_list(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_get(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_remove(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_start(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_stop(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_restart(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_adopt(void *room, struct request *rq, struct reply *rp, struct error *e);
int service_logs(void *room, struct request *rq, struct reply *rp, struct error *e);

/* Index of `word` in a NULL-terminated list of the contract's words; 255: not among them. */
uint8_t word_index(const char *const *words, const char *word);
extern const char *const node_types[], *const node_statuses[], *const providers[];
extern const char *const service_types[], *const service_statuses[], *const healths[];

#endif
