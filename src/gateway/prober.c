/* Probes of a switch: requests at a steady rate through the route as clients take it, every second one on a new
 * connection, the others on connections that are kept: a switch breaks either kind in its own way. One thread a probe.
 * Failed is what a client would call so: no connection, a cut answer, none in time, or a status of 500 or more (the
 * router answers 503 where nothing serves). Whose certificate it is does not matter here; certificates are judged by
 * themselves. */
#define LOG_ROOM "gateway"
#include "gateway/internal.h"

#include "base/log.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_FLIGHT_MAX 512     /* more than that waiting: the next ones fail unsent */
#define SAMPLES_MAX 60000     /* a phase: exact up to ten minutes at 100 a second, then every second one, and so on */
#define POINTS_MAX 600
#define POINTS_KEPT 1200
#define BODY_LIMIT (1 << 20)  /* an answer that is longer has proven itself */
#define LATE_MS 1000          /* behind by more, the rate goes on from now, without a burst */

struct point {
    int64_t at_ms;
    float latency_ms;
    unsigned char phase;
    bool failed;
};

struct flight { /* one request's handle, used again and again */
    struct gateway_probe *probe;
    CURL *handle;
    enum probe_phase phase;
    int64_t sent_ms; /* monotonic; 0: free */
    size_t got;
    char words[CURL_ERROR_SIZE];
    struct flight *next; /* of the free ones */
};

struct samples {
    float *list;
    size_t n, room;
    int64_t seen, stride;
};

struct gateway_probe {
    char url[2400], timeout_words[64];
    struct curl_slist *connect_to;
    double interval_ms;
    int64_t timeout_ms, began_ms;
    CURLM *multi;
    struct flight *all[IN_FLIGHT_MAX], *idle;
    size_t handles;
    uint64_t sent;
    pthread_t thread;
    bool running;
    _Atomic bool stop;

    pthread_mutex_t lock; /* all below, and `sent_ms` and `phase` of the flights */
    enum probe_phase phase;
    struct gateway_figures figures[PROBE_PHASES];
    struct samples samples[PROBE_PHASES];
    struct point points[POINTS_KEPT];
    size_t point_count;
    int64_t points_seen, points_stride;
};

/* ---- what was measured; under the lock ---- */

static void note_sample(struct samples *s, float ms)
{
    if (s->seen++ % s->stride)
        return;
    if (s->n == SAMPLES_MAX) {
        for (size_t i = 0; i < s->n / 2; i++)
            s->list[i] = s->list[2 * i];
        s->n /= 2;
        s->stride *= 2;
    }
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 2 : 256;
        float *more = realloc(s->list, room * sizeof *more);
        if (!more)
            return; /* one sample fewer of many */
        s->list = more;
        s->room = room;
    }
    s->list[s->n++] = ms;
}

/* Of two neighbours one stays, a failed one before another. */
static size_t halve(struct point *points, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i += 2)
        points[kept++] = i + 1 < n && points[i + 1].failed ? points[i + 1] : points[i];
    return kept;
}

static void note_point(struct gateway_probe *p, struct point x)
{
    if (p->points_seen++ % p->points_stride && !x.failed)
        return;
    if (p->point_count == POINTS_KEPT) {
        p->point_count = halve(p->points, p->point_count);
        p->points_stride *= 2;
    }
    p->points[p->point_count++] = x;
}

static void note(struct gateway_probe *p, enum probe_phase phase, int64_t sent_ms, double latency_ms,
                 const char *failure)
{
    struct gateway_figures *f = &p->figures[phase];
    f->sent++;
    if (failure && f->failed++ == 0)
        str_copy(f->first_failure, sizeof f->first_failure, failure);
    if (!failure)
        note_sample(&p->samples[phase], (float)latency_ms);
    note_point(p, (struct point){ sent_ms - p->began_ms, (float)latency_ms, (unsigned char)phase, failure != NULL });
}

/* ---- one request ---- */

static size_t swallow(char *bytes UNUSED, size_t size, size_t n, void *ctx)
{
    struct flight *x = ctx;
    x->got += size * n;
    return x->got > BODY_LIMIT ? CURL_WRITEFUNC_ERROR : size * n;
}

static struct flight *flight_new(struct gateway_probe *p)
{
    struct flight *x = calloc(1, sizeof *x);
    CURL *h = x ? curl_easy_init() : NULL;
    if (!h) {
        free(x);
        return NULL;
    }
    x->probe = p;
    x->handle = h;
    bool ok = curl_easy_setopt(h, CURLOPT_URL, p->url) == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_PRIVATE, x) == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_CONNECT_TO, p->connect_to) == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_USERAGENT, "hbcloud-probe") == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_PROXY, "") == CURLE_OK; /* the environment's proxy is not on the way */
    (void)curl_easy_setopt(h, CURLOPT_ERRORBUFFER, x->words);
    (void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)p->timeout_ms);
    (void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    (void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, swallow);
    (void)curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    if (ok)
        return x;
    curl_easy_cleanup(h);
    free(x);
    return NULL;
}

static struct flight *take_idle(struct gateway_probe *p)
{
    struct flight *x = p->idle;
    if (x) {
        p->idle = x->next;
    } else if (p->handles < IN_FLIGHT_MAX && (x = flight_new(p))) {
        (void)pthread_mutex_lock(&p->lock);
        p->all[p->handles++] = x;
        (void)pthread_mutex_unlock(&p->lock);
    }
    return x;
}

static void give_back(struct gateway_probe *p, struct flight *x)
{
    x->next = p->idle;
    p->idle = x;
}

static void send_one(struct gateway_probe *p)
{
    long fresh = p->sent++ % 2 == 1;
    struct flight *x = take_idle(p);
    bool ok = x != NULL;
    if (x) {
        x->got = 0;
        x->words[0] = '\0';
        (void)curl_easy_setopt(x->handle, CURLOPT_FRESH_CONNECT, fresh);
        (void)curl_easy_setopt(x->handle, CURLOPT_FORBID_REUSE, fresh);
        ok = curl_multi_add_handle(p->multi, x->handle) == CURLM_OK;
    }
    (void)pthread_mutex_lock(&p->lock);
    if (ok) {
        x->phase = p->phase;
        x->sent_ms = clock_mono_ms();
    } else {
        note(p, p->phase, clock_mono_ms(), 0,
             x ? "it could not be sent" : "too many earlier ones still wait for their answers");
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (x && !ok)
        give_back(p, x);
}

/* Why the request failed, or NULL. */
static const char *failure_of(const struct flight *x, CURLcode code, char *ret, size_t size)
{
    long status = 0;
    (void)curl_easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 500) {
        (void)snprintf(ret, size, "it answered %ld", status);
        return ret;
    }
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && x->got > BODY_LIMIT))
        return NULL;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return x->probe->timeout_words;
    str_copy(ret, size, x->words[0] ? x->words : curl_easy_strerror(code));
    return ret;
}

static void finish_one(struct gateway_probe *p, const CURLMsg *m)
{
    struct flight *x = NULL;
    char words[200];
    curl_off_t micros = 0;
    (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
    (void)curl_easy_getinfo(m->easy_handle, CURLINFO_TOTAL_TIME_T, &micros);
    const char *failure = failure_of(x, m->data.result, words, sizeof words);
    (void)curl_multi_remove_handle(p->multi, x->handle);
    (void)pthread_mutex_lock(&p->lock);
    note(p, x->phase, x->sent_ms, (double)micros / 1000, failure);
    x->sent_ms = 0;
    (void)pthread_mutex_unlock(&p->lock);
    give_back(p, x);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    struct gateway_probe *p = arg;
    double due = (double)clock_mono_ms();
    while (!p->stop) {
        int left = 0;
        double now = (double)clock_mono_ms();
        if (now - due > LATE_MS)
            due = now;
        for (; due <= now; due += p->interval_ms)
            send_one(p);
        CURLMcode code = curl_multi_perform(p->multi, &left);
        for (CURLMsg *m; (m = curl_multi_info_read(p->multi, &left));)
            finish_one(p, m);
        double wait = due - (double)clock_mono_ms();
        if (code == CURLM_OK)
            code = curl_multi_poll(p->multi, NULL, 0, wait < 1 ? 1 : (int)wait, NULL);
        if (code != CURLM_OK) {
            log_warn("Probes of a switch end: %s.", curl_multi_strerror(code));
            break;
        }
    }
    return NULL;
}

static void probe_free(struct gateway_probe *p)
{
    for (size_t i = 0; i < p->handles; i++) {
        (void)curl_multi_remove_handle(p->multi, p->all[i]->handle);
        curl_easy_cleanup(p->all[i]->handle);
        free(p->all[i]);
    }
    if (p->multi)
        (void)curl_multi_cleanup(p->multi);
    curl_slist_free_all(p->connect_to);
    for (int i = 0; i < PROBE_PHASES; i++)
        free(p->samples[i].list);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

static int prepare(struct gateway_probe *p, const struct gateway_target *t, const struct gateway_probe_options *o,
                   struct error *e)
{
    const char *path = o->path && o->path[0] == '/' ? o->path : "/";
    if ((size_t)snprintf(p->url, sizeof p->url, "%s%s", t->url, path) >= sizeof p->url)
        return error_set(e, ERR_VALIDATION, "The path of the probes is too long.");
    p->interval_ms = 1000 / (o->per_second < 0.1 ? 0.1 : o->per_second > 100 ? 100 : o->per_second);
    p->timeout_ms = o->timeout_ms < 1 ? 5000 : o->timeout_ms > 60000 ? 60000 : o->timeout_ms;
    (void)snprintf(p->timeout_words, sizeof p->timeout_words, "no answer within %lld ms", (long long)p->timeout_ms);
    p->connect_to = curl_slist_append(NULL, t->connect_to);
    p->multi = curl_multi_init();
    p->began_ms = clock_mono_ms();
    p->points_stride = 1;
    for (int i = 0; i < PROBE_PHASES; i++)
        p->samples[i].stride = 1;
    if (p->multi) /* the kept connections: those in flight, and no hoard */
        (void)curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)IN_FLIGHT_MAX);
    return p->connect_to && p->multi ? 0 : error_set(e, ERR_INTERNAL, "No memory.");
}

int gateway_probe_start(struct gateway *g, const char *service_id, const struct gateway_probe_options *o,
                        struct gateway_probe **ret, struct error *e)
{
    struct gateway_target target;
    int r = gateway_probe_target(g, service_id, &target, e);
    if (r < 0)
        return r;
    struct gateway_probe *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)pthread_mutex_init(&p->lock, NULL);
    r = prepare(p, &target, o, e);
    if (r == 0 && pthread_create(&p->thread, NULL, run, p) != 0)
        r = error_set(e, ERR_INTERNAL, "Cannot start the thread of the probes.");
    if (r < 0) {
        probe_free(p);
        return r;
    }
    p->running = true;
    *ret = p;
    return 0;
}

void gateway_probe_phase(struct gateway_probe *p, enum probe_phase phase)
{
    (void)pthread_mutex_lock(&p->lock);
    p->phase = phase;
    (void)pthread_mutex_unlock(&p->lock);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* The smallest value that so many of all do not exceed. */
static double percentile(const float *sorted, size_t n, unsigned percent)
{
    return n ? (double)sorted[(n * percent + 99) / 100 - 1] : 0;
}

/* What still waits is no failure yet: how long it does, and in words where nothing else can be told. */
static void name_waiting(const struct gateway_probe *p, struct gateway_figures ret[PROBE_PHASES])
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < p->handles; i++) {
        const struct flight *x = p->all[i];
        struct gateway_figures *f = &ret[x->phase];
        if (!x->sent_ms)
            continue;
        if (now - x->sent_ms > f->waiting_ms)
            f->waiting_ms = now - x->sent_ms;
        if (f->sent == 0)
            (void)snprintf(f->first_failure, sizeof f->first_failure, "no answer yet after %lld ms",
                           (long long)f->waiting_ms);
    }
}

void gateway_probe_read(struct gateway_probe *p, struct gateway_figures ret[PROBE_PHASES])
{
    float *copies[PROBE_PHASES];
    size_t counts[PROBE_PHASES];
    (void)pthread_mutex_lock(&p->lock);
    memcpy(ret, p->figures, sizeof p->figures);
    for (int i = 0; i < PROBE_PHASES; i++) {
        counts[i] = p->samples[i].n;
        copies[i] = malloc((counts[i] + 1) * sizeof **copies);
        if (copies[i] && counts[i])
            memcpy(copies[i], p->samples[i].list, counts[i] * sizeof **copies);
    }
    name_waiting(p, ret);
    (void)pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < PROBE_PHASES; i++) {
        size_t n = copies[i] ? counts[i] : 0;
        if (n)
            qsort(copies[i], n, sizeof **copies, by_value);
        ret[i].p50_ms = percentile(copies[i], n, 50);
        ret[i].p99_ms = percentile(copies[i], n, 99);
        free(copies[i]);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

json_t *gateway_probe_points(struct gateway_probe *p)
{
    json_t *list = json_array();
    struct point *copy = malloc(sizeof p->points);
    if (!copy)
        return list;
    (void)pthread_mutex_lock(&p->lock);
    size_t n = p->point_count;
    memcpy(copy, p->points, n * sizeof *copy);
    (void)pthread_mutex_unlock(&p->lock);
    qsort(copy, n, sizeof *copy, by_time);
    while (n > POINTS_MAX)
        n = halve(copy, n);
    for (size_t i = 0; list && i < n; i++) {
        double ms = (double)(int64_t)((double)copy[i].latency_ms * 1000) / 1000;
        (void)json_array_append_new(
            list, json_pack("[I, f, i, i]", (json_int_t)copy[i].at_ms, ms, copy[i].failed, copy[i].phase));
    }
    free(copy);
    return list;
}

void gateway_probe_stop(struct gateway_probe *p)
{
    if (!p)
        return;
    p->stop = true;
    (void)curl_multi_wakeup(p->multi);
    if (p->running)
        (void)pthread_join(p->thread, NULL);
    probe_free(p);
}
