#include "monitoring/container_metrics.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"

#include <pthread.h>
#include <stdatomic.h>

struct counter {
    double cpu_seconds;
    int64_t at_ms;
};

struct container_metrics {
    char source[64];
    struct map *before; /* container id -> struct counter */
};

struct container_metrics *container_metrics_new(const char *source)
{
    struct container_metrics *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    str_copy(c->source, sizeof c->source, source);
    c->before = map_new(free);
    if (c->before)
        return c;
    free(c);
    return NULL;
}

void container_metrics_free(struct container_metrics *c)
{
    if (!c)
        return;
    map_free(c->before);
    free(c);
}

/* ---- asking, a few at a time ---- */

struct answer {
    bool ok;
    int64_t at_ms;
    struct engine_stats stats;
};

struct round {
    const struct sampled_container *list;
    size_t count;
    const _Atomic bool *stop;
    _Atomic size_t next;
    _Atomic(struct container_engine *) silent; /* did not answer in time: not asked again in this round */
    struct answer *answers;
};

static void ask_one(struct round *r, const struct sampled_container *container, struct answer *ret)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    struct container_engine *g = container->engine;
    if (atomic_load(&r->silent) == g)
        return;
    if (g->ops->stats(g, container->container_id, &ret->stats, &e) < 0) {
        if (e.code == ERR_UPSTREAM_TIMEOUT || e.code == ERR_UNAVAILABLE)
            atomic_store(&r->silent, g);
        return;
    }
    ret->at_ms = ret->stats.read_ms ? ret->stats.read_ms : clock_now_ms();
    ret->ok = true;
}

static void *ask(void *arg)
{
    struct round *r = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&r->next, 1);
        if (i >= r->count || (r->stop && atomic_load(r->stop)))
            return NULL;
        ask_one(r, &r->list[i], &r->answers[i]);
    }
}

/* The caller's thread is one of them; a thread that cannot be made only makes it slower. */
static void ask_all(struct round *r)
{
    pthread_t threads[CONTAINER_THREADS - 1];
    unsigned started = 0;
    while (started < ARRAY_LEN(threads) && started + 1 < r->count &&
           pthread_create(&threads[started], NULL, ask, r) == 0)
        started++;
    ask(r);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

/* ---- samples ---- */

/* Of one core, two decimals; false at the first look and after a restart, when the counter fell. */
static bool cpu_percent(const struct container_metrics *c, const char *id, const struct answer *a, double *ret)
{
    const struct counter *before = map_get(c->before, id);
    if (!before || a->at_ms <= before->at_ms || a->stats.cpu_seconds < before->cpu_seconds)
        return false;
    double percent = (a->stats.cpu_seconds - before->cpu_seconds) * 100000 / (double)(a->at_ms - before->at_ms);
    double most = a->stats.cpu_limit_cores > 0 ? a->stats.cpu_limit_cores * 100 : percent;
    percent = percent > most ? most : percent; /* the engine's clock is coarser than the counter */
    *ret = (double)(int64_t)(percent * 100 + 0.5) / 100;
    return true;
}

static void add_container(const struct container_metrics *c, const struct sampled_container *container,
                          const struct answer *a, struct metric_batch *b)
{
    const struct metric_entity who = { c->source, container->service_id, "service" };
    const struct engine_stats *s = &a->stats;
    double percent;
    if (cpu_percent(c, container->container_id, a, &percent))
        batch_add(b, &who, KIND_CONTAINER_CPU_PERCENT, percent, NULL, 0);
    batch_add(b, &who, KIND_CONTAINER_CPU_SECONDS, s->cpu_seconds, NULL, 0);
    batch_add(b, &who, KIND_CONTAINER_MEMORY_USED, (double)s->memory_used, NULL, 0);
    if (s->memory_limit > 0)
        batch_add(b, &who, KIND_CONTAINER_MEMORY_LIMIT, (double)s->memory_limit, NULL, 0);
    batch_add(b, &who, KIND_CONTAINER_NET_RECEIVE, (double)s->network_receive, NULL, 0);
    batch_add(b, &who, KIND_CONTAINER_NET_TRANSMIT, (double)s->network_transmit, NULL, 0);
    batch_add(b, &who, KIND_CONTAINER_IO_READ, (double)s->io_read, NULL, 0);
    batch_add(b, &who, KIND_CONTAINER_IO_WRITE, (double)s->io_write, NULL, 0);
    if (s->pids > 0)
        batch_add(b, &who, KIND_CONTAINER_PIDS, (double)s->pids, NULL, 0);
    if (container->restart_count >= 0)
        batch_add(b, &who, KIND_CONTAINER_RESTARTS, container->restart_count, NULL, 0);
}

/* Only containers of this round are remembered: the map cannot grow with those that went. */
static void remember(struct container_metrics *c, const struct round *r)
{
    struct map *now = map_new(free);
    for (size_t i = 0; now && i < r->count; i++) {
        struct counter *counter = r->answers[i].ok ? malloc(sizeof *counter) : NULL;
        if (!counter)
            continue;
        *counter = (struct counter){ r->answers[i].stats.cpu_seconds, r->answers[i].at_ms };
        if (map_set(now, r->list[i].container_id, counter) < 0)
            free(counter);
    }
    if (!now)
        return;
    map_free(c->before);
    c->before = now;
}

void container_metrics_sample(struct container_metrics *c, const struct sampled_container *list, size_t n,
                              const _Atomic bool *stop, struct metric_batch *b, size_t *ret_failed)
{
    struct round r = { .list = list, .count = n, .stop = stop, .answers = calloc(n + 1, sizeof *r.answers) };
    size_t failed = 0;
    if (!r.answers) {
        b->failed = true;
        return;
    }
    ask_all(&r);
    for (size_t i = 0; i < n; i++) {
        failed += !r.answers[i].ok;
        if (r.answers[i].ok)
            add_container(c, &list[i], &r.answers[i], b);
    }
    remember(c, &r);
    free(r.answers);
    if (ret_failed)
        *ret_failed = failed;
}
