#include "runtime/internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

/* What serves no port and has no check of its own is well when it has run for this long. */
#define RUNS_MS 3000

void probe_of(const json_t *d, struct probe *ret)
{
    *ret = (struct probe){ .kind = PROBE_NONE };
    char url[300] = "http://";
    const char *path = json_str(d, "networking.healthCheck.path");
    bool reached = runtime_instance_address(d, url + strlen(url), sizeof url - strlen(url));
    ret->timeout_ms = (long)(json_num(d, "networking.healthCheck.timeout", 5) * 1000);
    if (path && reached) {
        ret->kind = PROBE_HTTP;
        (void)snprintf(ret->url, sizeof ret->url, "%s%s", url, path);
    } else if (!path && json_is_array(json_at(d, "networking.healthCheck.command"))) {
        ret->kind = PROBE_ENGINE;
    } else if (reached && json_flag(d, "managed", false)) {
        ret->kind = PROBE_TCP;
        str_copy(ret->url, sizeof ret->url, url);
    }
}

static size_t swallow(char *bytes UNUSED, size_t size, size_t n, void *ctx UNUSED)
{
    return size * n;
}

void probe_prepare(void *handle, const struct probe *p)
{
    CURL *h = handle;
    (void)curl_easy_setopt(h, CURLOPT_URL, p->url);
    (void)curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, p->timeout_ms);
    (void)curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, p->timeout_ms);
    (void)curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, 1L);
    (void)curl_easy_setopt(h, CURLOPT_USERAGENT, "hbcloud-health");
    (void)curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, swallow);
    (void)curl_easy_setopt(h, CURLOPT_MAXFILESIZE, 1L << 20);
    /* The socket of a bare connection is looked at afterwards, so curl must not close it first. */
    (void)curl_easy_setopt(h, p->kind == PROBE_TCP ? CURLOPT_CONNECT_ONLY : CURLOPT_FORBID_REUSE, 1L);
}

/* A publishing proxy takes every connection and closes it at once when nobody listens behind it. */
static bool stays_open(CURL *h, int wait_ms)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    char byte;
    if (curl_easy_getinfo(h, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return false;
    struct pollfd waiting = { .fd = fd, .events = POLLIN };
    if (poll(&waiting, 1, wait_ms) <= 0)
        return true;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

int probe_verdict(const struct probe *p, void *handle, int result, int wait_ms, char *ret_reason, size_t size)
{
    long status = 0;
    if (result != CURLE_OK) {
        (void)snprintf(ret_reason, size, "%s: %s", p->url, curl_easy_strerror((CURLcode)result));
        return 0;
    }
    if (p->kind == PROBE_TCP && !stays_open(handle, wait_ms)) {
        (void)snprintf(ret_reason, size, "nobody listens behind %s", p->url);
        return 0;
    }
    if (p->kind == PROBE_TCP)
        return 1;
    (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 400)
        return 1;
    (void)snprintf(ret_reason, size, "%s answered %ld", p->url, status);
    return 0;
}

static int engine_verdict(const struct engine_container *c, char *ret_reason, size_t size)
{
    if (c->health == HEALTH_HEALTHY)
        return 1;
    if (c->health == HEALTH_STARTING)
        return -1;
    (void)snprintf(ret_reason, size, "its health check failed%s%.200s",
                   c->health_output && c->health_output[0] ? ": " : "", c->health_output ? c->health_output : "");
    return 0;
}

static int stop_asked(void *stop, curl_off_t a UNUSED, curl_off_t b UNUSED, curl_off_t c UNUSED, curl_off_t d UNUSED)
{
    return *(const _Atomic bool *)stop;
}

int runtime_check_health(const json_t *d, const struct engine_container *c, const _Atomic bool *stop, char *ret_reason,
                         size_t size)
{
    struct probe p;
    probe_of(d, &p);
    bool has_path = json_str(d, "networking.healthCheck.path") != NULL;
    if (p.kind == PROBE_ENGINE || (c->health != HEALTH_NONE && !has_path))
        return engine_verdict(c, ret_reason, size);
    if (p.kind == PROBE_NONE && json_int(d, "networking.internalPort", 0) == 0)
        return clock_now_ms() - c->started_ms >= RUNS_MS ? 1 : -1;
    if (p.kind == PROBE_NONE) {
        str_copy(ret_reason, size, "its port is not published, so it cannot be checked");
        return 0;
    }
    CURL *h = curl_easy_init();
    if (!h)
        return -1;
    probe_prepare(h, &p);
    (void)curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, stop_asked);
    (void)curl_easy_setopt(h, CURLOPT_XFERINFODATA, (void *)(uintptr_t)stop);
    int verdict = probe_verdict(&p, h, (int)curl_easy_perform(h), PROBE_SETTLE_MS, ret_reason, size);
    curl_easy_cleanup(h);
    return verdict;
}
