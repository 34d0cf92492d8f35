#include "integrations/docker/docker_target.h"

#include "base/str.h"

#include <curl/curl.h>
#include <errno.h>

#define ADDRESS_MAX 255

static bool address_valid(const char *address, const char *more)
{
    if (!*address || strlen(address) > ADDRESS_MAX)
        return false;
    for (const char *c = address; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]", *c) && !strchr(more, *c))
            return false;
    return true;
}

/* An HTTP server's own address may hold a path, where it stands behind another. */
static bool base_valid(const char *host)
{
    const char *rest = str_starts(host, "https://") ? host + 8 : str_starts(host, "http://") ? host + 7 : "";
    return address_valid(rest, "/_~") && *rest != '/' && !strstr(rest, "..");
}

static int address_split(struct docker_target *t, const struct docker_target_options *o, struct error *e)
{
    const char *host = o->host;
    if (o->prefix && base_valid(host)) {
        size_t n = strlen(host);
        while (host[n - 1] == '/')
            n--;
        t->base = str_printf("%.*s%s", (int)n, host, o->prefix);
        t->tls = str_starts(host, "https://");
    } else if (!o->prefix && str_starts(host, "unix:///") && strlen(host) < 7 + 108) { /* sun_path */
        t->socket_path = strdup(host + 7);
        t->base = strdup("http://engine");
    } else if (!o->prefix && str_starts(host, "tcp://") && address_valid(host + 6, "")) {
        t->base = str_printf("%s://%s", o->tls ? "https" : "http", host + 6);
        t->tls = o->tls;
    } else if (!o->prefix && str_starts(host, "ssh://")) {
        const struct docker_ssh_options ssh = {
            .url = host, .key = o->key, .fingerprint = o->fingerprint, .known_hosts = o->known_hosts
        };
        int r = docker_ssh_new(&ssh, &t->ssh, e);
        if (r < 0)
            return r;
        t->base = strdup("http://127.0.0.1"); /* a number, so that nothing is looked up */
    } else {
        return error_set(e, ERR_VALIDATION,
                         o->prefix
                             ? "The address must be http://… or https://…, not \"%.80s\"."
                             : "The engine's address must be unix:///path (shorter than 108 bytes), tcp://address:port "
                               "or ssh://user@host, not \"%.80s\".",
                         host);
    }
    t->shown = strdup(host);
    return t->base && t->shown ? 0 : error_errno(e, -ENOMEM, "Preparing the container engine");
}

static bool keep(struct secret **ret, const struct secret *given)
{
    size_t len;
    if (!given)
        return true;
    const char *bytes = secret_reveal(given, &len);
    return (*ret = secret_new(bytes, len)) != NULL;
}

/* A value goes into a header line as it is. */
static bool header_valid(const struct secret *value)
{
    size_t len;
    const char *bytes = value ? secret_reveal(value, &len) : "";
    if (!*bytes)
        return false;
    for (; *bytes; bytes++)
        if ((unsigned char)*bytes <= 0x20 || (unsigned char)*bytes >= 0x7F)
            return false;
    return true;
}

int docker_target_init(struct docker_target *t, const struct docker_target_options *o, struct error *e)
{
    *t = (struct docker_target){ .hurry = o->hurry ? o->hurry : 1 };
    if (o->header && !header_valid(o->header_value))
        return error_set(e, ERR_VALIDATION, "The access token is empty or holds what no token can hold.");
    int r = address_split(t, o, e);
    if (r < 0)
        return r;
    if (t->tls && !o->certificate != !o->key)
        return error_set(e, ERR_VALIDATION, "A certificate and its key belong together: one of them is missing.");
    bool kept = keep(&t->header_value, o->header_value) && (!o->header || (t->header = strdup(o->header)));
    if (t->tls)
        kept =
            kept && keep(&t->authority, o->authority) && keep(&t->certificate, o->certificate) && keep(&t->key, o->key);
    return kept ? 0 : error_errno(e, -ENOMEM, "Preparing the container engine");
}

void docker_target_done(struct docker_target *t)
{
    docker_ssh_free(t->ssh);
    secret_free(t->authority);
    secret_free(t->certificate);
    secret_free(t->key);
    secret_free(t->header_value);
    free(t->header);
    free(t->socket_path);
    free(t->base);
    free(t->shown);
    *t = (struct docker_target){ 0 };
}

/* The bytes stay ours: libcurl reads them at each handshake. */
static void apply_pem(CURL *easy, CURLoption option, const struct secret *pem)
{
    size_t len;
    if (!pem)
        return;
    const char *bytes = secret_reveal(pem, &len);
    struct curl_blob blob = { .data = (void *)bytes, .len = len, .flags = CURL_BLOB_NOCOPY };
    curl_easy_setopt(easy, option, &blob);
}

void docker_target_apply(const struct docker_target *t, void *curl)
{
    CURL *easy = curl;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, t->tls ? "https" : "http");
    if (t->socket_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, t->socket_path);
    else if (!t->ssh)
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!t->tls)
        return;
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2); /* at least */
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    apply_pem(easy, CURLOPT_CAINFO_BLOB, t->authority);
    apply_pem(easy, CURLOPT_SSLCERT_BLOB, t->certificate);
    apply_pem(easy, CURLOPT_SSLKEY_BLOB, t->key);
}
