#include "configuration/registry.h"

#include "base/json.h"
#include "base/str.h"
#include "http/client.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ASK_MS 10000

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

/* The value of `name="…"` in a WWW-Authenticate header; "" when there is none. */
static void challenge_part(const char *header, const char *name, char *ret, size_t size)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s=\"", name);
    const char *at = strstr(header, key), *from = at ? at + strlen(key) : "";
    size_t n = strcspn(from, "\"");
    (void)snprintf(ret, size, "%.*s", (int)(n < size ? n : size - 1), from);
}

static int ask(const struct registry_call *c, const char *method, const char *url, const struct secret *basic,
               const struct secret *bearer, struct http_client_response *ret, struct error *e)
{
    const struct http_client_header accept = { "Accept", c->accept };
    struct http_client_request rq = { .method = method,
                                      .url = url,
                                      .headers = c->accept ? &accept : NULL,
                                      .header_count = c->accept ? 1 : 0,
                                      .bearer = bearer,
                                      .secret_header = basic ? "Authorization" : NULL,
                                      .secret = basic,
                                      .total_ms = ASK_MS,
                                      .body_limit = 1 << 20,
                                      .attempts = 2 };
    return http_client_send(&rq, ret, e);
}

static int parse_token(const struct http_client_response *reply, struct secret **ret, struct error *e)
{
    _cleanup_json_ json_t *document = NULL;
    int r = json_parse(reply->body.data, reply->body.len, &document, e);
    const char *token = json_str(document, "token") ? json_str(document, "token") : json_str(document, "access_token");
    if (r == 0 && token)
        *ret = secret_new(token, strlen(token));
    return r < 0 ? r : *ret ? 0 : error_set(e, ERR_UPSTREAM, "The registry's token service gives no token.");
}

/* 0 with a token, or with none and the status that refused it. The token service's own address may hold only what an
 * URL may, so a hostile header cannot add anything to the call. */
static int token_of(const struct registry_call *c, const char *challenge, const struct secret *basic,
                    struct secret **ret, int *ret_status, struct error *e)
{
    char realm[1024], service[256], url[2400], scope[700] = "";
    _cleanup_response_ struct http_client_response reply = { 0 };
    challenge_part(challenge, "realm", realm, sizeof realm);
    challenge_part(challenge, "service", service, sizeof service);
    bool secure = str_starts(realm, "https://") || on_this_machine(c->host);
    if (!secure || strpbrk(realm, " \t\r\n") || strpbrk(service, " \t\r\n&#"))
        return error_set(e, ERR_UPSTREAM, "The registry %s names a token service that cannot be used.", c->host);
    if (c->repository)
        (void)snprintf(scope, sizeof scope, "&scope=repository:%s:pull", c->repository);
    (void)snprintf(url, sizeof url, "%s%cservice=%s%s", realm, strchr(realm, '?') ? '&' : '?', service, scope);
    int r = ask(c, "GET", url, basic, NULL, &reply, e);
    *ret_status = reply.status;
    if (r < 0 || reply.status == 401 || reply.status == 403)
        return r;
    if (reply.status != 200)
        return error_set(e, ERR_UPSTREAM, "The token service of %s answers %d.", c->host, reply.status);
    return parse_token(&reply, ret, e);
}

/* The same question again, with what the registry wants. */
static int ask_again(const struct registry_call *c, const char *url, const char *challenge, const struct secret *basic,
                     int *ret_status, struct error *e)
{
    _cleanup_secret_ struct secret *token = NULL;
    _cleanup_response_ struct http_client_response reply = { 0 };
    bool bearer = challenge && strncasecmp(challenge, "Bearer ", 7) == 0;
    int r = bearer ? token_of(c, challenge, basic, &token, ret_status, e) : 0;
    if (r < 0 || (bearer ? !token || !c->repository : !basic))
        return r;
    r = ask(c, c->method, url, bearer ? NULL : basic, token, &reply, e);
    *ret_status = reply.status;
    return r;
}

int registry_ask(const struct registry_call *c, int *ret_status, struct error *e)
{
    char url[1100], header[2048];
    _cleanup_secret_ struct secret *basic = c->login ? basic_of(c->login) : NULL;
    _cleanup_response_ struct http_client_response reply = { 0 };
    if (c->login && !basic)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)snprintf(url, sizeof url, "%s://%s%s", on_this_machine(c->host) ? "http" : "https",
                   str_eq(c->host, "docker.io") ? "registry-1.docker.io" : c->host, c->path);
    int r = ask(c, c->method, url, NULL, NULL, &reply, e);
    if (r < 0)
        return r;
    int status = reply.status;
    if (status == 401)
        r = ask_again(c, url, http_client_header(&reply, "WWW-Authenticate", header, sizeof header), basic, &status, e);
    if (r == 0)
        *ret_status = status;
    return r;
}
