/* Asks a registry whether it takes a login: the Distribution API's /v2/, and where that names a token service, that
 * service (https://distribution.github.io/distribution/spec/auth/token/). */
#include "configuration/internal.h"

#include "http/client.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define CHECK_MS 10000

/* "Basic …" of the login. */
static struct secret *basic_of(const struct registry_login *l)
{
    size_t password_len = 0, name_len = strlen(l->username);
    const char *password = secret_reveal(l->password, &password_len);
    size_t n = name_len + 1 + password_len, size = 6 + 4 * ((n + 2) / 3) + 1;
    char *pair = malloc(n + 1), *text = malloc(size);
    struct secret *ret = NULL;
    if (pair && text) {
        memcpy(pair, l->username, name_len);
        pair[name_len] = ':';
        memcpy(pair + name_len + 1, password, password_len);
        memcpy(text, "Basic ", 6);
        int len = EVP_EncodeBlock((unsigned char *)text + 6, (const unsigned char *)pair, (int)n);
        ret = secret_new(text, 6 + (size_t)len);
    }
    if (pair)
        secret_wipe(pair, n);
    if (text)
        secret_wipe(text, size);
    free(pair);
    free(text);
    return ret;
}

/* Engines speak plain HTTP to a registry on their own machine, and to no other unless told so. */
static bool on_this_machine(const char *host)
{
    return str_starts(host, "127.") || str_eq(host, "localhost") || str_starts(host, "localhost:") ||
           str_starts(host, "[::1]");
}

static int refused(const struct registry_login *l, struct error *e)
{
    (void)error_set(e, ERR_VALIDATION, "The registry %s does not take this user name and password.", l->host);
    error_detail(e, "/password", "is refused by the registry");
    return -ERR_VALIDATION;
}

/* The value of `name="…"` in a WWW-Authenticate header; "" when there is none. */
static void challenge_part(const char *header, const char *name, char *ret, size_t size)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s=\"", name);
    const char *at = strstr(header, key), *from = at ? at + strlen(key) : "";
    size_t n = strcspn(from, "\"");
    (void)snprintf(ret, size, "%.*s", (int)(n < size ? n : size - 1), from);
}

static int ask(const char *url, const struct secret *basic, struct http_client_response *ret, struct error *e)
{
    struct http_client_request rq = { .url = url,
                                      .secret_header = basic ? "Authorization" : NULL,
                                      .secret = basic,
                                      .total_ms = CHECK_MS,
                                      .body_limit = 1 << 20,
                                      .attempts = 2 };
    return http_client_send(&rq, ret, e);
}

/* The token service's own address may hold only what an URL may, so a hostile header cannot add anything to the call. */
static int ask_token_service(const struct registry_login *l, const char *header, const struct secret *basic,
                             struct error *e)
{
    char realm[1024], service[256], url[1400];
    _cleanup_response_ struct http_client_response reply = { 0 };
    challenge_part(header, "realm", realm, sizeof realm);
    challenge_part(header, "service", service, sizeof service);
    bool secure = str_starts(realm, "https://") || on_this_machine(l->host);
    if (!secure || strpbrk(realm, " \t\r\n") || strpbrk(service, " \t\r\n&#"))
        return error_set(e, ERR_UPSTREAM, "The registry %s names a token service that cannot be used.", l->host);
    (void)snprintf(url, sizeof url, "%s%cservice=%s", realm, strchr(realm, '?') ? '&' : '?', service);
    int r = ask(url, basic, &reply, e);
    if (r < 0)
        return r;
    if (reply.status == 401 || reply.status == 403)
        return refused(l, e);
    if (reply.status < 200 || reply.status > 299)
        return error_set(e, ERR_UPSTREAM, "The token service of %s answers %d.", l->host, reply.status);
    return 0;
}

int registry_check(const struct registry_login *login, struct error *e)
{
    char url[320], header[2048];
    bool hub = str_eq(login->host, "docker.io");
    _cleanup_secret_ struct secret *basic = basic_of(login);
    _cleanup_response_ struct http_client_response reply = { 0 };
    if (!basic)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)snprintf(url, sizeof url, "%s://%s/v2/", on_this_machine(login->host) ? "http" : "https",
                   hub ? "registry-1.docker.io" : login->host);
    /* First without the password: a registry with a token service needs it there alone. */
    int r = ask(url, NULL, &reply, e);
    if (r < 0)
        return r;
    const char *challenge = http_client_header(&reply, "WWW-Authenticate", header, sizeof header);
    if (reply.status == 401 && challenge && strncasecmp(challenge, "Bearer ", 7) == 0)
        return ask_token_service(login, challenge, basic, e);
    if (reply.status >= 200 && reply.status < 300)
        return 0; /* it asks nobody for a login */
    if (reply.status != 401)
        return error_set(e, ERR_UPSTREAM, "%s answers %d to /v2/, as no registry does.", login->host, reply.status);
    http_client_response_done(&reply);
    reply = (struct http_client_response){ 0 };
    r = ask(url, basic, &reply, e);
    if (r < 0)
        return r;
    if (reply.status == 401 || reply.status == 403)
        return refused(login, e);
    return reply.status >= 200 && reply.status < 300
               ? 0
               : error_set(e, ERR_UPSTREAM, "%s answers %d to the login.", login->host, reply.status);
}
