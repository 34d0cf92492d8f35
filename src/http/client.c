#define LOG_ROOM "http"
#include "http/client.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define BODY_LIMIT ((size_t)4 << 20)
#define HEADER_LIMIT 65536
#define CONNECT_MS 5000
#define TOTAL_MS 30000
#define ATTEMPTS 3
#define BACKOFF_MS 250         /* doubled each time, then a random part of it */
#define BACKOFF_MAX_MS 5000
#define RETRY_AFTER_MAX_S 30   /* an upstream that says more gets its answer passed on at once */
#define CIRCUITS 64
#define CIRCUIT_FAILURES 5     /* in a row, before the circuit opens */
#define CIRCUIT_OPEN_MS 30000
#define IDLE_HANDLES 8

/* ---- circuits: a host that keeps failing is left alone for a while, then tried by one call */

struct circuit {
    char host[256];
    unsigned failures;
    int64_t open_until_ms, used_ms;
    bool trying;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static struct circuit circuits[CIRCUITS];
static CURL *idle[IDLE_HANDLES]; /* each keeps its connections */
static unsigned idle_count;
static bool started;

static struct circuit *circuit_of(const char *host)
{
    struct circuit *oldest = &circuits[0];
    for (unsigned i = 0; i < CIRCUITS; i++) {
        if (str_eq(circuits[i].host, host))
            return &circuits[i];
        if (circuits[i].used_ms < oldest->used_ms)
            oldest = &circuits[i];
    }
    *oldest = (struct circuit){ 0 };
    str_copy(oldest->host, sizeof oldest->host, host);
    return oldest;
}

static int circuit_enter(const char *host, struct error *e)
{
    int64_t now = clock_mono_ms(), wait = 0;
    (void)pthread_mutex_lock(&lock);
    struct circuit *c = circuit_of(host);
    c->used_ms = now;
    if (c->failures >= CIRCUIT_FAILURES) {
        if (c->open_until_ms > now)
            wait = c->open_until_ms - now;
        else if (c->trying)
            wait = 1000;
        else
            c->trying = true;
    }
    (void)pthread_mutex_unlock(&lock);
    if (!wait)
        return 0;
    int r = error_set(e, ERR_UNAVAILABLE, "%s has failed %d times in a row; it is left alone for a while.", host,
                      CIRCUIT_FAILURES);
    if (e)
        e->retry_after_s = (int)((wait + 999) / 1000);
    return r;
}

static void circuit_leave(const char *host, bool good)
{
    (void)pthread_mutex_lock(&lock);
    struct circuit *c = circuit_of(host);
    c->trying = false;
    c->failures = good ? 0 : c->failures + 1;
    if (c->failures >= CIRCUIT_FAILURES)
        c->open_until_ms = clock_mono_ms() + CIRCUIT_OPEN_MS;
    (void)pthread_mutex_unlock(&lock);
}

/* ---- handles */

static CURL *handle_take(void)
{
    CURL *h = NULL;
    (void)pthread_mutex_lock(&lock);
    if (!started)
        started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (idle_count)
        h = idle[--idle_count];
    (void)pthread_mutex_unlock(&lock);
    return h ? h : curl_easy_init();
}

static void handle_give(CURL *h)
{
    curl_easy_reset(h);
    (void)pthread_mutex_lock(&lock);
    bool kept = idle_count < IDLE_HANDLES;
    if (kept)
        idle[idle_count++] = h;
    (void)pthread_mutex_unlock(&lock);
    if (!kept)
        curl_easy_cleanup(h);
}

void http_client_cleanup(void)
{
    (void)pthread_mutex_lock(&lock);
    while (idle_count)
        curl_easy_cleanup(idle[--idle_count]);
    memset(circuits, 0, sizeof circuits);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- one attempt */

struct attempt {
    const struct http_client_request *rq;
    struct http_client_response *response;
    CURL *handle;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    int stopped;    /* what on_bytes returned */
    bool delivered; /* bytes went to on_bytes: no second attempt */
};

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct attempt *a = user;
    size_t len = size * n;
    /* A status line begins a new answer: after a redirect, or a 100. */
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
        buf_clear(&a->response->headers);
    else if (len > 2)
        (void)buf_printf(&a->response->headers, "%.*s\n", (int)strcspn(line, "\r\n"), line);
    return buf_ok(&a->response->headers) ? len : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    struct attempt *a = user;
    size_t len = size * n;
    long status = 0;
    (void)curl_easy_getinfo(a->handle, CURLINFO_RESPONSE_CODE, &status);
    if (!a->rq->on_bytes || status / 100 != 2)
        return buf_append(&a->response->body, bytes, len) == 0 ? len : 0;
    a->delivered = true;
    a->stopped = a->rq->on_bytes(a->rq->ctx, bytes, len);
    return a->stopped < 0 ? 0 : len;
}

static bool add_header(struct attempt *a, const char *name, const char *prefix, const char *value)
{
    if (strpbrk(name, "\r\n") || strpbrk(value, "\r\n"))
        return false;
    char *line = str_printf("%s: %s%s", name, prefix, value);
    struct curl_slist *longer = line ? curl_slist_append(a->headers, line) : NULL;
    if (longer)
        a->headers = longer;
    if (line)
        secret_wipe(line, strlen(line));
    free(line);
    return longer != NULL;
}

static bool set_headers(struct attempt *a)
{
    const struct http_client_request *rq = a->rq;
    bool ok = true;
    for (size_t i = 0; ok && i < rq->header_count; i++)
        ok = add_header(a, rq->headers[i].name, "", rq->headers[i].value);
    if (ok && rq->bearer)
        ok = add_header(a, "Authorization", "Bearer ", secret_reveal(rq->bearer, NULL));
    if (ok && rq->secret && rq->secret_header)
        ok = add_header(a, rq->secret_header, "", secret_reveal(rq->secret, NULL));
    /* A server that never says 100 would cost a second. */
    ok = ok && add_header(a, "Expect", "", "");
    return ok && curl_easy_setopt(a->handle, CURLOPT_HTTPHEADER, a->headers) == CURLE_OK;
}

static const char *method_of(const struct http_client_request *rq)
{
    return rq->method ? rq->method : "GET";
}

static void set_limits(struct attempt *a)
{
    const struct http_client_request *rq = a->rq;
    long total = rq->total_ms ? (long)rq->total_ms : TOTAL_MS;
    CURL *h = a->handle;
    (void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, rq->connect_ms ? (long)rq->connect_ms : (long)CONNECT_MS);
    if (rq->on_bytes) { /* a stream may last; silence may not */
        (void)curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (total + 999) / 1000);
    } else {
        (void)curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, total);
    }
    (void)curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, rq->redirects ? 1L : 0L);
    (void)curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)rq->redirects);
    (void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
}

static bool set_up(struct attempt *a)
{
    const struct http_client_request *rq = a->rq;
    CURL *h = a->handle;
    set_limits(a);
    bool ok = curl_easy_setopt(h, CURLOPT_URL, rq->url) == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_ERRORBUFFER, a->error) == CURLE_OK &&
              curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method_of(rq)) == CURLE_OK && set_headers(a);
    if (rq->unix_socket)
        ok = ok && curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, rq->unix_socket) == CURLE_OK;
    if (str_eq(method_of(rq), "HEAD"))
        (void)curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    if (rq->body) {
        (void)curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
        (void)curl_easy_setopt(h, CURLOPT_POSTFIELDS, rq->body);
    }
    (void)curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(h, CURLOPT_HEADERDATA, a);
    (void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(h, CURLOPT_WRITEDATA, a);
    return ok;
}

static int failed(const struct attempt *a, CURLcode code, const char *host, struct error *e)
{
    const char *why = *a->error ? a->error : curl_easy_strerror(code);
    if (a->stopped < 0)
        return a->stopped;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return error_set(e, ERR_UPSTREAM_TIMEOUT, "%s did not answer in time.", host);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return error_set(e, ERR_UNAVAILABLE, "%s cannot be reached: %.200s.", host, why);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_OUT_OF_MEMORY: return error_set(e, ERR_INTERNAL, "The call to %s cannot be made: %.200s.", host, why);
    default:
        if (!buf_ok(&a->response->body) || !buf_ok(&a->response->headers))
            return error_set(e, ERR_UPSTREAM, "The answer of %s is larger than %zu bytes.", host,
                             a->response->body.limit);
        return error_set(e, ERR_UPSTREAM, "The call to %s failed: %.200s.", host, why);
    }
}

static int attempt_once(struct attempt *a, const char *host, struct error *e)
{
    a->error[0] = '\0';
    a->headers = NULL;
    a->response->status = 0;
    buf_clear(&a->response->body);
    buf_clear(&a->response->headers);
    a->handle = handle_take();
    if (!a->handle)
        return error_errno(e, -ENOMEM, "Calling %s", host);
    int r = 0;
    if (!set_up(a)) {
        r = error_set(e, ERR_INTERNAL, "The call to %s cannot be made: its address or a header is not well-formed.",
                      host);
    } else {
        CURLcode code = curl_easy_perform(a->handle);
        long status = 0;
        (void)curl_easy_getinfo(a->handle, CURLINFO_RESPONSE_CODE, &status);
        a->response->status = (int)status;
        r = code == CURLE_OK ? 0 : failed(a, code, host, e);
    }
    handle_give(a->handle);
    curl_slist_free_all(a->headers);
    return r;
}

/* ---- retries */

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS" };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(method, methods[i]))
            return true;
    return false;
}

static bool may_pass(int r, int status)
{
    if (r < 0)
        return r == -(int)ERR_UPSTREAM_TIMEOUT || r == -(int)ERR_UNAVAILABLE || r == -(int)ERR_UPSTREAM;
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static int64_t retry_after_s(const struct http_client_response *r)
{
    char text[64];
    int64_t seconds = 0;
    const char *value = http_client_header(r, "Retry-After", text, sizeof text);
    if (!value)
        return 0;
    if (str_to_int64(value, &seconds) == 0)
        return seconds > 0 ? seconds : 0;
    time_t at = curl_getdate(value, NULL);
    int64_t left = at < 0 ? 0 : (int64_t)at - clock_now_ms() / 1000;
    return left > 0 ? left : 0;
}

static unsigned backoff_ms(unsigned attempt)
{
    unsigned most = BACKOFF_MS << attempt, part = 0;
    if (most > BACKOFF_MAX_MS)
        most = BACKOFF_MAX_MS;
    random_bytes(&part, sizeof part);
    return most / 2 + part % (most / 2 + 1);
}

static void pause_for(const struct http_client_request *rq, unsigned ms)
{
    if (rq->wait) {
        rq->wait(rq->ctx, ms);
        return;
    }
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* The URL without user, query and fragment: what may be logged. And its host, for circuits and messages. */
static void redact(const struct http_client_request *rq, char *ret, size_t size, char *ret_host, size_t host_size)
{
    const char *scheme = strstr(rq->url, "://"), *host = scheme ? scheme + 3 : rq->url;
    size_t authority = strcspn(host, "/?#");
    const char *user = memrchr(host, '@', authority);
    if (user) {
        authority -= (size_t)(user + 1 - host);
        host = user + 1;
    }
    (void)snprintf(ret_host, host_size, "%.*s", (int)authority, host);
    (void)snprintf(ret, size, "%s%.*s", ret_host, (int)strcspn(host + authority, "?#"), host + authority);
    if (rq->unix_socket)
        str_copy(ret_host, host_size, rq->unix_socket);
}

int http_client_send(const struct http_client_request *rq, struct http_client_response *ret, struct error *e)
{
    char shown[512], host[256];
    struct attempt a = { .rq = rq, .response = ret };
    unsigned most = rq->attempts ? rq->attempts : is_idempotent(method_of(rq)) ? ATTEMPTS : 1;
    redact(rq, shown, sizeof shown, host, sizeof host);
    memset(ret, 0, sizeof *ret);
    buf_init(&ret->headers, HEADER_LIMIT);
    buf_init(&ret->body, rq->body_limit ? rq->body_limit : BODY_LIMIT);
    for (;;) {
        int r = rq->own_pace ? 0 : circuit_enter(host, e);
        if (r < 0)
            return r;
        int64_t began = clock_mono_ms();
        r = attempt_once(&a, host, e);
        ret->attempts++;
        if (!rq->own_pace)
            circuit_leave(host, a.stopped < 0 || (r == 0 ? ret->status < 500 : r == -(int)ERR_INTERNAL));
        log_debug("call %s %s: %d in %lld ms, attempt %u", method_of(rq), shown, ret->status,
                  (long long)(clock_mono_ms() - began), ret->attempts);
        int64_t asked = r == 0 ? retry_after_s(ret) : 0;
        if (ret->attempts >= most || a.delivered || !may_pass(r, ret->status) || asked > RETRY_AFTER_MAX_S)
            return r;
        if (e)
            error_done(e);
        unsigned ms = backoff_ms(ret->attempts - 1);
        pause_for(rq, asked * 1000 > ms ? (unsigned)asked * 1000 : ms);
    }
}

void http_client_response_done(struct http_client_response *r)
{
    buf_done(&r->headers);
    buf_done(&r->body);
}

const char *http_client_header(const struct http_client_response *r, const char *name, char *ret, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = r->headers.data ? r->headers.data : ""; *line;) {
        size_t len = strcspn(line, "\n");
        if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
            const char *value = line + n + 1 + strspn(line + n + 1, " \t");
            (void)snprintf(ret, size, "%.*s", (int)(len - (size_t)(value - line)), value);
            return ret;
        }
        line += len + (line[len] == '\n');
    }
    return NULL;
}
