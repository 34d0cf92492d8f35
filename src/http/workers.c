#include "http/workers.h"

#include "http/conn.h"
#include "http/loop.h"

#include <pthread.h>
#include <stdatomic.h>

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct exchange_list queue; /* under lock, as the fields below */
    unsigned limit, idle;
    _Atomic unsigned queued;
    bool quit;
    unsigned started;
    pthread_t threads[];
};

static struct http_exchange *pop(struct workers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (!w->quit && STAILQ_EMPTY(&w->queue)) {
        w->idle++;
        (void)pthread_cond_wait(&w->work, &w->lock);
        w->idle--;
    }
    struct http_exchange *x = w->quit ? NULL : STAILQ_FIRST(&w->queue);
    if (x) {
        STAILQ_REMOVE_HEAD(&w->queue, link);
        w->queued--;
    }
    (void)pthread_mutex_unlock(&w->lock);
    return x;
}

static void *work(void *arg)
{
    struct workers *w = arg;
    struct http_exchange *x;
    while ((x = pop(w))) {
        exchange_handle(x);
        loop_post_done(x->conn->loop, x);
    }
    return NULL;
}

int workers_start(unsigned threads, unsigned queue_limit, struct workers **ret, struct error *e)
{
    struct workers *w = calloc(1, sizeof *w + threads * sizeof(pthread_t));
    if (!w)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    w->limit = queue_limit;
    STAILQ_INIT(&w->queue);
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->work, NULL);
    while (w->started < threads) {
        int r = loop_thread_start(&w->threads[w->started], work, w);
        if (r < 0) {
            workers_stop(w);
            workers_free(w);
            return error_errno(e, r, "Worker threads");
        }
        w->started++;
    }
    *ret = w;
    return 0;
}

void workers_push(struct workers *w, struct exchange_list *batch)
{
    unsigned pushed = 0;
    (void)pthread_mutex_lock(&w->lock);
    while (!STAILQ_EMPTY(batch) && w->queued < w->limit && !w->quit) {
        struct http_exchange *x = STAILQ_FIRST(batch);
        STAILQ_REMOVE_HEAD(batch, link);
        STAILQ_INSERT_TAIL(&w->queue, x, link);
        w->queued++;
        pushed++;
    }
    unsigned wake = pushed < w->idle ? pushed : w->idle;
    (void)pthread_mutex_unlock(&w->lock);
    while (wake--)
        (void)pthread_cond_signal(&w->work);
}

unsigned workers_queued(const struct workers *w)
{
    return w->queued;
}

void workers_stop(struct workers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->quit = true;
    (void)pthread_cond_broadcast(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->started; i++)
        (void)pthread_join(w->threads[i], NULL);
    w->started = 0;
    struct http_exchange *x;
    while ((x = STAILQ_FIRST(&w->queue))) {
        STAILQ_REMOVE_HEAD(&w->queue, link);
        _cleanup_error_ struct error e = ERROR_INIT;
        (void)error_set(&e, ERR_UNAVAILABLE, "The hub is stopping.");
        exchange_fail(x, &e, true);
        loop_post_done(x->conn->loop, x);
    }
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->work);
    free(w);
}
