/* One epoll loop on one thread: its connections, their timers, and a mailbox through which other threads
 * hand it finished exchanges, streams with news and accepted sockets.
 * Loop 0 also accepts. Everything without "any thread" is for the loop's own thread. */
#ifndef HB_HTTP_LOOP_H
#define HB_HTTP_LOOP_H

#include "http/conn.h"
#include "http/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOOP_SCRATCH 65536

TAILQ_HEAD(conn_list, conn);

struct loop {
    struct http_server *server;
    pthread_t thread;
    bool started;
    int epoll, event;
    int64_t now;
    struct wheel wheel;
    struct conn_list conns; /* open ones */
    struct conn_list idle;  /* oldest first */
    struct conn_list again; /* have more to do without waiting */
    unsigned turn;
    struct conn_list dead;  /* freed at the end of the turn */
    struct exchange_list batch; /* for the workers, at the end of the turn */
    bool stopping;              /* this loop has seen it */
    int spare;                  /* descriptor given up to accept and close when there is no other */
    bool accept_paused;
    struct wheel_timer accept_timer;
    char scratch[LOOP_SCRATCH];
    pthread_mutex_t lock; /* the mailbox: what follows */
    struct exchange_list done;
    struct stream_list streams;
    struct conn_list arrived;
    _Atomic bool notified; /* the event descriptor is set */
    _Atomic bool quit;
};

int loop_new(struct http_server *s, struct loop **ret, struct error *e);
int loop_start(struct loop *l, struct error *e);
void loop_join(struct loop *l); /* any thread, after the workers and in order; closes what is open */
void loop_free(struct loop *l);
struct http_server *loop_server(const struct loop *l);

/* Any thread. */
void loop_post_done(struct loop *l, struct http_exchange *x);
void loop_post_stream(struct loop *l, struct http_stream *s);
void loop_wake(struct loop *l);

void loop_accept(struct loop *l);       /* accept.c */
void loop_accept_resume(struct loop *l);
void loop_add(struct loop *l, struct conn *c); /* any loop's thread: hands it over */

int loop_thread_start(pthread_t *ret, void *(*body)(void *), void *arg); /* all signals blocked; negative errno */

#endif
