#include "integrations/docker/docker_http.h"

#include "base/secret.h"
#include "base/str.h"
#include "integrations/docker/docker.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>

#define HTTP_MAGIC 0x64687470u
#define POOL_IDLE 8
#define CONNECT_MS 5000
#define FAILURE_BODY_MAX ((size_t)64 << 10)

struct handle {
    CURL *easy;
    CURLM *multi; /* owns the connection, so a pooled handle keeps it open */
    char words[CURL_ERROR_SIZE];
};

struct docker_http {
    uint32_t magic;
    struct docker_target target;
    pthread_mutex_t lock;
    struct handle *idle[POOL_IDLE];
    size_t idle_count;
    unsigned in_use;
};

struct transfer {
    const struct docker_call *call;
    struct docker_reply *reply;
    int stopped_by; /* negative result of a callback */
    bool too_large, header_late, heard;
    struct docker_ssh *ssh;  /* NULL: libcurl connects */
    struct error dial_error; /* of the connection by SSH; code 0: none */
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void handle_free(struct handle *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->easy);
    curl_multi_cleanup(h->multi);
    free(h);
}

static struct handle *handle_new(void)
{
    struct handle *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->easy = curl_easy_init();
    h->multi = curl_multi_init();
    if (!h->easy || !h->multi) {
        handle_free(h);
        return NULL;
    }
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 1L);
    return h;
}

static int handle_take(struct docker_http *h, struct handle **ret, struct error *e)
{
    struct handle *taken = NULL;
    pthread_mutex_lock(&h->lock);
    bool full = h->in_use >= DOCKER_CALLS_MAX;
    if (!full) {
        h->in_use++;
        if (h->idle_count)
            taken = h->idle[--h->idle_count];
    }
    pthread_mutex_unlock(&h->lock);
    if (full)
        return error_set(e, ERR_UNAVAILABLE, "Too many calls to the container engine are running already (%d).",
                         DOCKER_CALLS_MAX);
    if (!taken && !(taken = handle_new())) {
        pthread_mutex_lock(&h->lock);
        h->in_use--;
        pthread_mutex_unlock(&h->lock);
        return error_errno(e, -ENOMEM, "Calling the container engine");
    }
    *ret = taken;
    return 0;
}

static void handle_give(struct docker_http *h, struct handle *used)
{
    curl_easy_reset(used->easy);
    pthread_mutex_lock(&h->lock);
    h->in_use--;
    if (h->idle_count < POOL_IDLE)
        h->idle[h->idle_count++] = TAKE(used);
    pthread_mutex_unlock(&h->lock);
    handle_free(used);
}

int docker_http_new(const struct docker_target_options *to, struct docker_http **ret, struct error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    struct docker_http *h = calloc(1, sizeof(*h));
    if (!h)
        return error_errno(e, -ENOMEM, "Preparing the container engine");
    h->magic = HTTP_MAGIC;
    pthread_mutex_init(&h->lock, NULL);
    int r = docker_target_init(&h->target, to, e);
    if (r < 0) {
        docker_http_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

void docker_http_free(struct docker_http *h)
{
    if (!h)
        return;
    MAGIC_CHECK(h, HTTP_MAGIC);
    for (size_t i = 0; i < h->idle_count; i++)
        handle_free(h->idle[i]);
    pthread_mutex_destroy(&h->lock);
    docker_target_done(&h->target);
    h->magic = 0;
    free(h);
}

void docker_reply_done(struct docker_reply *r)
{
    buf_done(&r->body);
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    static const char name[] = "api-version:";
    struct transfer *t = ctx;
    size_t len = size * n;
    t->heard = true;
    if (len > sizeof(name) && strncasecmp(line, name, sizeof(name) - 1) == 0) {
        char value[sizeof(t->reply->api_version)];
        size_t rest = len - (sizeof(name) - 1);
        size_t copied = rest < sizeof(value) ? rest : sizeof(value) - 1;
        memcpy(value, line + sizeof(name) - 1, copied);
        value[copied] = '\0';
        str_copy(t->reply->api_version, sizeof(t->reply->api_version), str_trim(value));
    }
    return len;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * n;
    bool good = t->reply->status >= 200 && t->reply->status < 300;
    if (good && t->call->on_chunk) {
        t->stopped_by = t->call->on_chunk(t->call->ctx, bytes, len);
        return t->stopped_by < 0 ? 0 : len;
    }
    size_t limit = good ? DOCKER_ANSWER_MAX : FAILURE_BODY_MAX;
    if (t->reply->body.len + len > limit || buf_append(&t->reply->body, bytes, len) < 0) {
        t->too_large = true;
        return 0;
    }
    return len;
}

/* libcurl knows the status only after the whole status line; the first header line is that line. */
static size_t on_header_status(char *line, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * n;
    if (len > 12 && strncmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', len);
        if (space && space + 3 < line + len)
            t->reply->status = (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
    }
    return on_header(line, size, n, ctx);
}

/* Adds "name: value" to the list; false: no memory, and the list is as it was. */
static bool header_add(struct curl_slist **list, const char *name, const char *value)
{
    char *line = str_printf("%s: %s", name, value);
    struct curl_slist *longer = line ? curl_slist_append(*list, line) : NULL;
    if (line)
        secret_wipe(line, strlen(line));
    free(line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* Wiped, since one may be a login. */
static void headers_free(struct curl_slist *list)
{
    for (struct curl_slist *l = list; l; l = l->next)
        secret_wipe(l->data, strlen(l->data));
    curl_slist_free_all(list);
}

static struct curl_slist *headers_of(const struct docker_target *to, const struct docker_call *call)
{
    struct curl_slist *all = curl_slist_append(NULL, "Expect:");
    bool ok = all && header_add(&all, "Content-Type", call->content_type ? call->content_type : "application/json");
    if (ok && call->registry_auth)
        ok = header_add(&all, "X-Registry-Auth", call->registry_auth);
    if (ok && to->header)
        ok = header_add(&all, to->header, secret_reveal(to->header_value, NULL));
    if (ok)
        return all;
    headers_free(all);
    return NULL;
}

/* libcurl is sent to where the connection's local end waits. (It can be told that a socket is connected already, but
 * the version of Debian 12 connects it nevertheless.) */
static curl_socket_t open_by_ssh(void *ctx, curlsocktype purpose UNUSED, struct curl_sockaddr *to)
{
    struct transfer *t = ctx;
    struct sockaddr_un at;
    socklen_t len;
    if (docker_ssh_dial(t->ssh, &at, &len, &t->dial_error) < 0)
        return CURL_SOCKET_BAD;
    /* libcurl's own struct is of the size of any address. */
    to->family = AF_UNIX;
    to->protocol = 0;
    to->addrlen = len;
    memcpy(&to->addr, &at, len);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void prepare_ssh(CURL *easy, struct transfer *t)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_by_ssh);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(DOCKER_SSH_DIAL_MS + CONNECT_MS));
}

static void prepare(struct docker_http *h, struct handle *a, struct transfer *t, const char *url,
                    struct curl_slist *headers)
{
    const struct docker_call *call = t->call;
    a->words[0] = '\0';
    curl_easy_setopt(a->easy, CURLOPT_ERRORBUFFER, a->words);
    curl_easy_setopt(a->easy, CURLOPT_URL, url);
    curl_easy_setopt(a->easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(a->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(a->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(a->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(a->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(a->easy, CURLOPT_TIMEOUT_MS, (long)call->deadline_ms);
    docker_target_apply(&h->target, a->easy);
    if (t->ssh)
        prepare_ssh(a->easy, t);
    if (call->idle_ms) {
        curl_easy_setopt(a->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(a->easy, CURLOPT_LOW_SPEED_TIME, (long)(call->idle_ms / 1000));
    }
    if (call->body || str_eq(call->method, "POST")) {
        curl_easy_setopt(a->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(a->easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
        curl_easy_setopt(a->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->body ? call->body_len : 0));
    }
    if (!str_eq(call->method, "GET") && !str_eq(call->method, "POST"))
        curl_easy_setopt(a->easy, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(a->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(a->easy, CURLOPT_HEADERFUNCTION, on_header_status);
    curl_easy_setopt(a->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(a->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(a->easy, CURLOPT_WRITEDATA, t);
}

/* True when the call has to end before the engine ends it. */
static bool interrupted(struct transfer *t, int64_t started, int64_t *last_tick)
{
    const struct docker_call *call = t->call;
    int64_t now = docker_mono_ms();
    if (call->stop && *call->stop) {
        t->reply->stopped = true;
        return true;
    }
    if (call->header_ms && !t->heard && now - started >= call->header_ms) {
        t->header_late = true;
        return true;
    }
    if (call->on_tick && now - *last_tick >= DOCKER_TICK_MS) {
        *last_tick = now;
        t->stopped_by = call->on_tick(call->ctx);
    }
    return t->stopped_by < 0;
}

/* libcurl's easy interface looks at its callbacks about once a second, too late for `stop`: hence the multi one. */
static CURLcode transfer_run(struct handle *a, struct transfer *t)
{
    int64_t started = docker_mono_ms(), last_tick = started;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int running = 1, left;
    if (curl_multi_add_handle(a->multi, a->easy) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    while (running) {
        if (curl_multi_perform(a->multi, &running) != CURLM_OK)
            break;
        if (running && (interrupted(t, started, &last_tick) ||
                        curl_multi_poll(a->multi, NULL, 0, DOCKER_TICK_MS, NULL) != CURLM_OK))
            break;
    }
    CURLMsg *m = curl_multi_info_read(a->multi, &left);
    if (m && m->msg == CURLMSG_DONE)
        result = m->data.result;
    curl_multi_remove_handle(a->multi, a->easy);
    return result;
}

static int lost(struct docker_http *h, struct handle *a, CURLcode code, struct error *e)
{
    long os = 0;
    curl_easy_getinfo(a->easy, CURLINFO_OS_ERRNO, &os);
    if (code != CURLE_COULDNT_CONNECT || !os)
        return error_set(e, ERR_UNAVAILABLE, "The container engine at %.120s cannot be reached: %.200s.",
                         h->target.shown, a->words[0] ? a->words : curl_easy_strerror(code));
    char reason[96];
    const char *hint = os == ENOENT   ? " (is Docker installed and running?)"
                       : os == EACCES ? " (is hbcloud's user in the group that owns the socket?)"
                                      : "";
    return error_set(e, ERR_UNAVAILABLE, "The container engine at %.120s cannot be reached: %s%s.", h->target.shown,
                     strerror_r((int)os, reason, sizeof(reason)), hint);
}

/* Says which call, without its query. */
static int late(const struct docker_call *call, const char *words, struct error *e)
{
    return error_set(e, ERR_UPSTREAM_TIMEOUT, "The container engine did not answer in time to %s %.*s: %.200s.",
                     call->method, (int)(strcspn(call->path, "?") < 120 ? strcspn(call->path, "?") : 120), call->path,
                     words);
}

/* With what the other side of an SSH connection said, if it said something. */
static int cut_off(struct docker_http *h, const struct transfer *t, struct error *e)
{
    char words[256] = "";
    if (h->target.ssh)
        docker_ssh_words(h->target.ssh, words, sizeof(words));
    else if (h->target.tls && !t->heard) /* its reason may be lost when it closes while we still send */
        str_copy(words, sizeof(words), "it may want a client's certificate, or another one");
    return error_set(e, ERR_UNAVAILABLE,
                     "The container engine at %.120s closed the connection before its answer was complete%s%s.",
                     h->target.shown, *words ? ": " : "", words);
}

/* Libcurl tells these apart by its words only: with TLS 1.3 the engine looks at our certificate after the handshake. */
static bool certificate_refused(const char *words)
{
    return strstr(words, "SSL") && strstr(words, "alert");
}

static int outcome(struct docker_http *h, struct handle *a, const struct transfer *t, CURLcode code, struct error *e)
{
    curl_off_t connected_us = 0;
    if (t->stopped_by < 0)
        return t->stopped_by;
    if (t->reply->stopped || code == CURLE_OK)
        return 0;
    if (t->too_large)
        return error_set(e, ERR_UPSTREAM, "The container engine's answer is larger than %zu MiB.",
                         DOCKER_ANSWER_MAX >> 20);
    if (t->dial_error.code)
        return error_set(e, t->dial_error.code, "%s", t->dial_error.message);
    if (code == CURLE_RECV_ERROR && certificate_refused(a->words))
        return error_set(e, ERR_UPSTREAM, "%.120s refused the certificate that it was shown: %.200s.", h->target.shown,
                         a->words);
    if (t->header_late)
        return error_set(e, ERR_UPSTREAM_TIMEOUT, "The container engine did not answer within %lld s.",
                         (long long)t->call->header_ms / 1000);
    curl_easy_getinfo(a->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    /* libcurl has one code for a reset connection and for a body whose chunks are nonsense. */
    if (code == CURLE_RECV_ERROR && !str_starts(a->words, "Recv failure"))
        code = CURLE_WEIRD_SERVER_REPLY;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        if (!connected_us && !t->heard && !h->target.socket_path)
            return lost(h, a, code, e);
        return late(t->call, a->words, e);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return lost(h, a, code, e);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE: return cut_off(h, t, e);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(e, ERR_UPSTREAM, "The certificate of %.120s is not to be trusted: %.200s.", h->target.shown,
                         a->words);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(e, ERR_VALIDATION, "The certificate or key for %.120s cannot be used: %.200s.",
                         h->target.shown, a->words);
    case CURLE_SSL_CONNECT_ERROR:
        return error_set(e, ERR_UPSTREAM, "%.120s does not speak TLS with us: %.200s.", h->target.shown, a->words);
    case CURLE_OUT_OF_MEMORY: return error_errno(e, -ENOMEM, "Calling the container engine");
    default:
        return error_set(e, ERR_UPSTREAM, "The container engine's answer is no good HTTP: %.200s.",
                         a->words[0] ? a->words : curl_easy_strerror(code));
    }
}

int docker_http_call(struct docker_http *h, const struct docker_call *call, struct docker_reply *ret, struct error *e)
{
    MAGIC_CHECK(h, HTTP_MAGIC);
    struct docker_call hurried = *call;
    hurried.deadline_ms /= h->target.hurry;
    hurried.header_ms /= h->target.hurry;
    call = &hurried;
    struct transfer t = { .call = call, .reply = ret, .ssh = h->target.ssh };
    struct handle *a = NULL;
    char *url = NULL;
    struct curl_slist *headers = NULL;
    memset(ret, 0, sizeof(*ret));
    buf_init(&ret->body, DOCKER_ANSWER_MAX);
    int r = handle_take(h, &a, e);
    if (r < 0)
        return r;
    url = str_printf("%s%s", h->target.base, call->path);
    headers = headers_of(&h->target, call);
    if (!url || !headers) {
        r = error_errno(e, -ENOMEM, "Calling the container engine");
        goto out;
    }
    prepare(h, a, &t, url, headers);
    r = outcome(h, a, &t, transfer_run(a, &t), e);
out:
    handle_give(h, a);
    headers_free(headers);
    free(url);
    error_done(&t.dial_error);
    return r;
}
