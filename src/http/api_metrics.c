#include "http/api_internal.h"

#include <time.h>

static const struct {
    unsigned us;
    const char *text; /* in seconds, as Prometheus wants it */
} bounds[LATENCY_BUCKETS] = { { 500, "0.0005" },  { 1000, "0.001" }, { 2500, "0.0025" }, { 5000, "0.005" },
                              { 10000, "0.01" },  { 50000, "0.05" }, { 100000, "0.1" },  { 500000, "0.5" },
                              { 2500000, "2.5" }, { 0, "+Inf" } };

int64_t api_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void api_count(const struct request *rq, const struct reply *rp)
{
    if (!rq->op)
        return;
    struct operation_counts *c = rq->op->counts;
    if (rp->streams) { /* it has only begun: how long it lasts is no latency */
        atomic_fetch_add_explicit(&c->by_class[0], 1, memory_order_relaxed);
        return;
    }
    int64_t us = api_now_us() - rq->began_us;
    unsigned class = rp->status >= 200 && rp->status < 600 ? (unsigned)rp->status / 100 : 5, bucket = 0;
    while (bucket < LATENCY_BUCKETS - 1 && us > (int64_t)bounds[bucket].us)
        bucket++;
    atomic_fetch_add_explicit(&c->by_class[class], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->by_latency[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->total_us, (unsigned long long)us, memory_order_relaxed);
}

static void put_requests(const struct operation *op, struct buf *out)
{
    static const char *const classes[] = { "stream", NULL, "2xx", "3xx", "4xx", "5xx" };
    for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
        unsigned long long n = atomic_load_explicit(&op->counts->by_class[i], memory_order_relaxed);
        if (n)
            (void)buf_printf(out, "hbcloud_api_requests_total{operation=\"%s\",status=\"%s\"} %llu\n", op->id,
                             classes[i], n);
    }
}

static void put_latency(const struct operation *op, struct buf *out)
{
    unsigned long long sum = 0, total = atomic_load_explicit(&op->counts->total_us, memory_order_relaxed);
    unsigned long long n[LATENCY_BUCKETS];
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        sum += n[i] = atomic_load_explicit(&op->counts->by_latency[i], memory_order_relaxed);
    if (!sum)
        return;
    sum = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        (void)buf_printf(out, "hbcloud_api_request_duration_seconds_bucket{operation=\"%s\",le=\"%s\"} %llu\n", op->id,
                         bounds[i].text, sum += n[i]);
    (void)buf_printf(out, "hbcloud_api_request_duration_seconds_sum{operation=\"%s\"} %llu.%06llu\n", op->id,
                     total / 1000000, total % 1000000);
    (void)buf_printf(out, "hbcloud_api_request_duration_seconds_count{operation=\"%s\"} %llu\n", op->id, sum);
}

void api_metrics(struct api *a, struct buf *out)
{
    size_t n = 0;
    MAGIC_CHECK(a, API_MAGIC);
    const struct operation *ops = contract_operations(a->contract, &n);
    (void)buf_puts(out, "# HELP hbcloud_api_requests_total Requests by operation and class of status.\n"
                        "# TYPE hbcloud_api_requests_total counter\n");
    for (size_t i = 0; i < n; i++)
        put_requests(&ops[i], out);
    (void)buf_puts(out, "# HELP hbcloud_api_request_duration_seconds From the header block to the reply.\n"
                        "# TYPE hbcloud_api_request_duration_seconds histogram\n");
    for (size_t i = 0; i < n; i++)
        put_latency(&ops[i], out);
}
