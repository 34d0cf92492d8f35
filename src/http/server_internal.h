/* What the listener's modules share: the server object. Private to src/http. */
#ifndef HB_HTTP_SERVER_INTERNAL_H
#define HB_HTTP_SERVER_INTERNAL_H

#include "http/admission.h"
#include "http/server.h"
#include "http/tls.h"
#include "http/workers.h"

#include <pthread.h>
#include <stdatomic.h>

struct loop;

#define SERVER_MAGIC 0x53525652u

struct http_server {
    uint32_t magic;
    struct http_server_options options; /* texts in it are not kept */
    struct http_limits limits;          /* defaults filled in */
    int listener;
    unsigned port;
    struct tls_context *tls;
    struct admission *admission;
    struct workers *workers;
    struct loop **loops;
    unsigned loop_count;
    _Atomic size_t bodies; /* bytes of request bodies in memory */
    _Atomic bool stopping; /* no new connections or requests */
    pthread_mutex_t drain_lock;
    pthread_cond_t drained; /* a connection closed while stopping */
    _Atomic uint64_t accepted, refused, requests, bad_requests, timeouts, bytes_in, bytes_out;
    _Atomic unsigned streams;
};

static inline void count(_Atomic uint64_t *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
