/* A new name needs a certificate before anybody can ask for it by TLS; the router gets it after it took the route. */
#include "gateway/internal.h"

#include <curl/curl.h>
#include <stdio.h>
#include <time.h>

#define AWAIT_MS 20000
#define PAUSE_MS 100

/* One handshake with the name; whose certificate it is does not matter here. `ret_words` says why not. */
static bool shakes_hands(const struct gateway_target *t, char ret_words[CURL_ERROR_SIZE])
{
    CURL *h = curl_easy_init();
    struct curl_slist *to = h ? curl_slist_append(NULL, t->connect_to) : NULL;
    ret_words[0] = '\0';
    bool good = to && curl_easy_setopt(h, CURLOPT_URL, t->url) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_CONNECT_TO, to) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_PROXY, "") == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_ERRORBUFFER, ret_words) == CURLE_OK &&
                curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, 5000L) == CURLE_OK;
    CURLcode code = good ? curl_easy_perform(h) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK && !ret_words[0])
        str_copy(ret_words, CURL_ERROR_SIZE, curl_easy_strerror(code));
    curl_easy_cleanup(h);
    curl_slist_free_all(to);
    return code == CURLE_OK;
}

static bool had(const struct route *before, const char *domain)
{
    size_t i;
    json_t *d;
    json_array_foreach (before ? before->domains : NULL, i, d)
        if (str_eq(json_string_value(d), domain))
            return true;
    return false;
}

static bool stopping(struct gateway *g)
{
    (void)pthread_mutex_lock(&g->lock);
    bool stop = g->stop;
    (void)pthread_mutex_unlock(&g->lock);
    return stop;
}

int gateway_await_certificates(struct gateway *g, const struct route *x, const struct route *before, struct error *e)
{
    size_t i;
    json_t *d;
    int64_t until = clock_mono_ms() + AWAIT_MS;
    (void)pthread_mutex_lock(&g->lock);
    struct router_info info = g->info;
    (void)pthread_mutex_unlock(&g->lock);
    if (!info.tls || !info.port)
        return 0;
    json_array_foreach (x->domains, i, d) {
        struct gateway_target target;
        char words[CURL_ERROR_SIZE];
        if (had(before, json_string_value(d)) || target_for(&info, json_string_value(d), &target, NULL) < 0)
            continue;
        while (!shakes_hands(&target, words)) {
            struct timespec t = { 0, PAUSE_MS * 1000000L };
            if (stopping(g))
                return error_set(e, ERR_UNAVAILABLE, "The hub is stopping.");
            if (clock_mono_ms() > until)
                return error_set(
                    e, ERR_UPSTREAM,
                    "The router has no certificate for %s after %d s (%.150s). Does the name lead to the router, and does the "
                    "issuer reach it?",
                    json_string_value(d), AWAIT_MS / 1000, words);
            (void)nanosleep(&t, NULL);
        }
    }
    return 0;
}
