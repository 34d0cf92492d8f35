#define LOG_ROOM "monitoring"
#include "monitoring/sampler.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SAMPLER_MAGIC 0x73616d70u
#define DEFAULT_INTERVAL 10000
#define HOUSEKEEP_MS 600000
#define ON_TIME_PERCENT 10 /* of the interval: a round that begins so late still counts as on time */

/* Host and containers have a thread each, so that an engine that hangs costs the host's samples nothing. */
struct beat {
    struct sampler *sampler;
    void (*round)(struct sampler *s, int64_t at_ms);
    pthread_t thread;
    bool started;
};

struct sampler {
    uint32_t magic;
    struct sampler_options o;
    struct host_metrics *host;
    struct container_metrics *containers;
    char host_group[METRIC_TEXT_MAX + 1], container_group[METRIC_TEXT_MAX + 1];
    struct beat host_beat, container_beat;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic bool stop, told_failure;
    int64_t housekeep_mono;
    struct sampler_stats stats; /* with `lock` */
};

int64_t sampler_next(int64_t now_ms, int64_t last_ms, int64_t interval_ms)
{
    int64_t next = (now_ms / interval_ms + 1) * interval_ms;
    return next == last_ms ? next + interval_ms : next; /* woken a little early, it would be the same again */
}

/* Samples taken about when they were due get the due time, which stores in a bit; others their own. */
static int64_t time_of_round(int64_t due_ms, int64_t interval_ms)
{
    int64_t now = clock_now_ms(), late = now - due_ms, slack = interval_ms * ON_TIME_PERCENT / 100;
    return late >= -slack && late <= slack ? due_ms : now;
}

/* ---- telling ---- */

static size_t same_entity(const struct metric_batch *b, size_t from)
{
    size_t to = from + 1;
    while (to < b->count && strcmp(b->samples[to].def.entity_id, b->samples[from].def.entity_id) == 0)
        to++;
    return to;
}

/* What a card or a live chart shows: figures of the whole entity. Counters mean nothing on their own. */
static bool worth_telling(const struct metric_sample *s)
{
    return strcmp(s->def.tags, "{}") == 0 && !metric_name_counts(s->def.name);
}

static void tell_entity(struct sampler *s, const struct metric_batch *b, size_t from, size_t to, int64_t at_ms)
{
    _cleanup_buf_ struct buf out;
    struct jw w;
    buf_init(&out, 0);
    jw_init(&w, &out);
    jw_object(&w);
    jw_key(&w, "entityId");
    jw_string(&w, b->samples[from].def.entity_id);
    jw_key(&w, "at");
    jw_time(&w, at_ms);
    jw_key(&w, "values");
    jw_object(&w);
    for (size_t i = from; i < to; i++) {
        if (!worth_telling(&b->samples[i]))
            continue;
        jw_key(&w, b->samples[i].def.name);
        jw_number(&w, b->samples[i].value);
    }
    jw_end(&w);
    jw_end(&w);
    if (buf_ok(&out))
        events_publish(s->o.events, "metric.sampled", b->samples[from].def.entity_type, b->samples[from].def.entity_id,
                       out.data, out.len);
}

static void tell(struct sampler *s, const struct metric_batch *b, int64_t at_ms)
{
    for (size_t from = 0, to; s->o.events && from < b->count; from = to) {
        to = same_entity(b, from);
        tell_entity(s, b, from, to, at_ms);
    }
}

/* ---- a round ---- */

/* Once in the log until it works again, not each ten seconds. */
static void note_failure(struct sampler *s, const struct error *e)
{
    pthread_mutex_lock(&s->lock);
    s->stats.failed++;
    pthread_mutex_unlock(&s->lock);
    if (!atomic_exchange(&s->told_failure, true))
        log_error("metrics were not kept: %s", e->message);
}

static bool keep(struct sampler *s, const char *group, const struct metric_batch *b, int64_t at_ms)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    if (b->failed) {
        error_set(&e, ERR_INTERNAL, "No memory for all samples of a round.");
        note_failure(s, &e);
    }
    if (metrics_append(s->o.metrics, group, s->o.interval_ms, at_ms, b->samples, b->count, &e) < 0) {
        note_failure(s, &e);
        return false;
    }
    if (!b->failed)
        atomic_store(&s->told_failure, false);
    return true;
}

static void sample_host(struct sampler *s, int64_t at_ms)
{
    _cleanup_batch_ struct metric_batch b = { 0 };
    host_metrics_sample(s->host, &b);
    if (!keep(s, s->host_group, &b, at_ms))
        return;
    tell(s, &b, at_ms);
    if (s->o.sampled)
        s->o.sampled(s->o.ctx, at_ms);
}

static void sample_containers(struct sampler *s, int64_t at_ms)
{
    struct sampled_container *list = NULL;
    size_t n = 0, failed = 0;
    if (s->o.containers(s->o.ctx, &list, &n) < 0)
        return;
    _cleanup_batch_ struct metric_batch b = { 0 };
    if (n)
        container_metrics_sample(s->containers, list, n, &s->stop, &b, &failed);
    if (!atomic_load(&s->stop) && b.count && keep(s, s->container_group, &b, at_ms))
        tell(s, &b, at_ms);
    free(list);
    pthread_mutex_lock(&s->lock);
    s->stats.unanswered += failed;
    pthread_mutex_unlock(&s->lock);
}

static void housekeep(struct sampler *s)
{
    if (clock_mono_ms() < s->housekeep_mono || atomic_load(&s->stop))
        return;
    _cleanup_error_ struct error e = ERROR_INIT;
    s->housekeep_mono = clock_mono_ms() + HOUSEKEEP_MS;
    if (metrics_housekeep(s->o.metrics, clock_now_ms(), &e) < 0)
        log_warn("metrics were not tidied: %s", e.message);
}

static bool really_wait(struct sampler *s, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->stop) && pthread_cond_timedwait(&s->wake, &s->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&s->lock);
    return !atomic_load(&s->stop);
}

static bool wait_for(struct sampler *s, int64_t ms)
{
    return s->o.wait ? s->o.wait(s->o.ctx, ms) && !atomic_load(&s->stop) : really_wait(s, ms);
}

static void note_round(struct sampler *s, int64_t due, int64_t last, int64_t took_ms)
{
    int64_t missed = last ? (due - last) / s->o.interval_ms - 1 : 0;
    pthread_mutex_lock(&s->lock);
    s->stats.rounds++;
    s->stats.skipped += missed > 0 ? (uint64_t)missed : 0;
    s->stats.last_round_ms = took_ms;
    pthread_mutex_unlock(&s->lock);
}

static void *run(void *arg)
{
    struct beat *b = arg;
    struct sampler *s = b->sampler;
    MAGIC_CHECK(s, SAMPLER_MAGIC);
    for (int64_t last = 0, due;; last = due) {
        due = sampler_next(clock_now_ms(), last, s->o.interval_ms);
        int64_t ahead = due - clock_now_ms();
        if (!wait_for(s, ahead > 0 ? ahead : 0))
            return NULL;
        int64_t started = clock_mono_ms();
        b->round(s, time_of_round(due, s->o.interval_ms));
        if (b != &s->host_beat)
            continue;
        note_round(s, due, last, clock_mono_ms() - started);
        housekeep(s);
    }
}

/* ---- start, stop ---- */

static void sampler_free(struct sampler *s)
{
    host_metrics_free(s->host);
    container_metrics_free(s->containers);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    s->magic = 0;
    free(s);
}

static struct sampler *sampler_new(const struct sampler_options *o)
{
    struct sampler *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->magic = SAMPLER_MAGIC;
    s->o = *o;
    s->o.interval_ms = o->interval_ms ? o->interval_ms : DEFAULT_INTERVAL;
    s->housekeep_mono = clock_mono_ms() + HOUSEKEEP_MS / 10;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&s->lock, NULL);
    snprintf(s->host_group, sizeof s->host_group, "host:%.200s", o->host.node_id);
    snprintf(s->container_group, sizeof s->container_group, "containers:%.200s", o->host.node_id);
    s->host = host_metrics_new(&o->host);
    bool wanted = o->container_source && o->containers;
    s->containers = wanted ? container_metrics_new(o->container_source) : NULL;
    if (s->host && (s->containers || !wanted))
        return s;
    sampler_free(s);
    return NULL;
}

static int beat_start(struct beat *b, struct sampler *s, void (*round)(struct sampler *, int64_t), struct error *e)
{
    b->sampler = s;
    b->round = round;
    int r = pthread_create(&b->thread, NULL, run, b);
    b->started = r == 0;
    return r == 0 ? 0 : error_errno(e, -r, "Starting the sampler");
}

int sampler_start(const struct sampler_options *o, struct sampler **ret, struct error *e)
{
    struct sampler *s = sampler_new(o);
    if (!s)
        return error_set(e, ERR_INTERNAL, "No memory for the sampler.");
    _cleanup_batch_ struct metric_batch first = { 0 };
    host_metrics_sample(s->host, &first); /* percentages of CPU need a look before */
    int r = beat_start(&s->host_beat, s, sample_host, e);
    if (r == 0 && s->containers)
        r = beat_start(&s->container_beat, s, sample_containers, e);
    if (r < 0)
        sampler_stop(s);
    else
        *ret = s;
    return r;
}

void sampler_stop(struct sampler *s)
{
    if (!s)
        return;
    MAGIC_CHECK(s, SAMPLER_MAGIC);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->stop, true);
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->host_beat.started)
        pthread_join(s->host_beat.thread, NULL);
    if (s->container_beat.started)
        pthread_join(s->container_beat.thread, NULL);
    sampler_free(s);
}

void sampler_get_stats(struct sampler *s, struct sampler_stats *ret)
{
    MAGIC_CHECK(s, SAMPLER_MAGIC);
    pthread_mutex_lock(&s->lock);
    *ret = s->stats;
    pthread_mutex_unlock(&s->lock);
}
