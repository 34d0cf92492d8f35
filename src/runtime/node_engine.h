/* The engine of a node as the rooms hold it: a container_engine that forwards each call to the connection of the
 * moment, which comes and goes (a lost host, another address, another key). Internal to the room.
 * Ownership: the runtime's, until it closes, also when its node is removed: so a borrowed engine never dangles; calls
 * are then refused. A connection is freed when its last call has ended. Threads: all calls, any thread. */
#ifndef HB_RUNTIME_NODE_ENGINE_H
#define HB_RUNTIME_NODE_ENGINE_H

#include "runtime/internal.h"

#define NODE_ENGINES_MAX 64 /* each has two threads */

struct engine_link { /* one connection */
    unsigned refs;   /* under the node engine's lock */
    bool borrowed;   /* the hub's own engine is its caller's */
    struct container_engine *engine;
};

struct node_engine {
    struct container_engine base; /* first: callers hold this */
    struct runtime *runtime;
    char node_id[ID_LEN + 1];
    bool own_node;                /* the hub's: its engine is given and never dropped */
    pthread_mutex_t connecting;   /* one connects at a time */
    pthread_mutex_t comparing;    /* one reconciles at a time */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;  /* the monotonic clock's */
    struct engine_link *link;     /* NULL: not connected */
    unsigned drops;               /* how often it was dropped */
    struct runtime_engine_state state;
    int64_t answered_ms;          /* monotonic; when it last did, or was first asked */
    int64_t beat_ms, written_ms;  /* monotonic: the reckoning of uptime */
    int64_t fence_before_ms; /* wall clock: a container made before it may be one that lives elsewhere now; 0 none */
    bool lost;
    _Atomic bool gone; /* written under the lock */

    pthread_t follower, pulse;
    bool following, pulsing;
    _Atomic bool stop, cut; /* cut: the stream of events is given up, to begin anew */
};

/* Before the node is saved: ERR_CONFLICT when its engine would be one too many. */
int node_engine_check(struct runtime *r, const json_t *node, struct error *e);
/* Makes the engine of a node and its threads (when the runtime runs), or lets it connect anew after a change of the
 * node's `engine`. With kind `none` it goes. */
int node_engine_configure(struct runtime *r, const json_t *node, struct error *e);
/* Does not wait: the follower's thread drops the connection. */
void node_engine_remove(struct runtime *r, const char *node_id);
int node_engines_start(struct runtime *r, struct error *e);
void node_engines_stop(struct runtime *r); /* joins all threads */
void node_engines_free(struct runtime *r);
struct node_engine *node_engine_of(struct runtime *r, const char *node_id); /* NULL none */
/* All of now, at most `max`. */
size_t node_engines_all(struct runtime *r, struct node_engine **ret, size_t max);
/* The next call connects anew, to the address as it resolves then. */
void node_engine_drop(struct node_engine *n);
/* Said by the follower's thread: its calls go out also when the node is lost. */
void node_engine_follows(const struct node_engine *n);
/* Sleeps until the time, `cut` or `stop`. */
void node_engine_nap(struct node_engine *n, int64_t ms);
void node_engine_wake(struct node_engine *n);
bool node_engine_answers(struct node_engine *n); /* as last seen */
/* Where the engine's last words are noted; NULL info: it does not answer. */
void node_engine_note(struct node_engine *n, const struct engine_info *info, const char *reason);

/* watch.c: the two threads */
void *watch_follow(void *node_engine);
void *watch_pulse(void *node_engine);

#endif
