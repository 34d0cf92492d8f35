/* Asks a registry whether it has a manifest: the Distribution API, with a token where it wants one
 * (https://distribution.github.io/distribution/spec/auth/token/). */
#include "deployment/plan.h"

#include "http/client.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

#define ASK_MS 10000
#define MANIFESTS                                                                           \
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " \
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

/* Engines speak plain HTTP to a registry on their own machine, and to no other unless told so. */
static bool on_this_machine(const char *host)
{
    return str_starts(host, "127.") || str_eq(host, "localhost") || str_starts(host, "localhost:") ||
           str_starts(host, "[::1]");
}

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

/* The value of `name="…"` in a WWW-Authenticate header; "" when there is none. */
static void challenge_part(const char *header, const char *name, char *ret, size_t size)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s=\"", name);
    const char *at = strstr(header, key), *from = at ? at + strlen(key) : "";
    size_t n = strcspn(from, "\"");
    (void)snprintf(ret, size, "%.*s", (int)(n < size ? n : size - 1), from);
}

static int ask(const char *method, const char *url, const struct secret *basic, const struct secret *bearer,
               struct http_client_response *ret, struct error *e)
{
    const struct http_client_header accept = { "Accept", MANIFESTS };
    struct http_client_request rq = { .method = method,
                                      .url = url,
                                      .headers = &accept,
                                      .header_count = 1,
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

/* The token service's own address may hold only what an URL may, so a hostile header cannot add anything to the call. */
static int token_of(const char *host, const char *path, const char *header, const struct secret *basic,
                    struct secret **ret, struct error *e)
{
    char realm[1024], service[256], url[2400];
    _cleanup_response_ struct http_client_response reply = { 0 };
    challenge_part(header, "realm", realm, sizeof realm);
    challenge_part(header, "service", service, sizeof service);
    bool secure = str_starts(realm, "https://") || on_this_machine(host);
    if (!secure || strpbrk(realm, " \t\r\n") || strpbrk(service, " \t\r\n&#"))
        return error_set(e, ERR_UPSTREAM, "The registry %s names a token service that cannot be used.", host);
    (void)snprintf(url, sizeof url, "%s%cservice=%s&scope=repository:%s:pull", realm, strchr(realm, '?') ? '&' : '?',
                   service, path);
    int r = ask("GET", url, basic, NULL, &reply, e);
    if (r < 0)
        return r;
    if (reply.status != 200)
        return error_set(e, ERR_UPSTREAM, "The token service of %s answers %d.", host, reply.status);
    return parse_token(&reply, ret, e);
}

static int verdict(const char *host, int status, struct error *e)
{
    if (status == 200)
        return 1;
    if (status == 404)
        return 0;
    return error_set(e, ERR_UPSTREAM, "The registry %s answers %d when asked for the image.", host, status);
}

/* "registry/team/app" without the registry, and with "library/" where the hub of images wants it. */
static void repository_of(const struct image_name *image, const char *host, char *ret, size_t size)
{
    size_t n = strlen(host);
    bool named = strncmp(image->name, host, n) == 0 && image->name[n] == '/';
    const char *path = named ? image->name + n + 1 : image->name;
    bool official = str_eq(host, "docker.io") && !strchr(path, '/');
    (void)snprintf(ret, size, "%s%s", official ? "library/" : "", path);
}

int registry_has(struct deployments *d, const struct image_name *image, struct error *e)
{
    char host[256], path[600], url[1100], header[2048];
    struct registry_login login = { 0 };
    _cleanup_secret_ struct secret *basic = NULL, *token = NULL;
    _cleanup_response_ struct http_client_response reply = { 0 }, second = { 0 };
    image_name_registry(image, host, sizeof host);
    repository_of(image, host, path, sizeof path);
    int known = d->secrets ? secrets_registry(d->secrets, host, &login, e) : 0;
    if (known == 1)
        basic = basic_of(&login);
    registry_login_done(&login);
    (void)snprintf(url, sizeof url, "%s://%s/v2/%s/manifests/%s", on_this_machine(host) ? "http" : "https",
                   str_eq(host, "docker.io") ? "registry-1.docker.io" : host, path, image->digest);
    int r = known < 0 ? known : ask("HEAD", url, NULL, NULL, &reply, e);
    if (r < 0 || reply.status != 401)
        return r < 0 ? r : verdict(host, reply.status, e);
    const char *challenge = http_client_header(&reply, "WWW-Authenticate", header, sizeof header);
    bool bearer = challenge && strncasecmp(challenge, "Bearer ", 7) == 0;
    if (bearer)
        r = token_of(host, path, challenge, basic, &token, e);
    if (r == 0)
        r = ask("HEAD", url, bearer ? NULL : basic, token, &second, e);
    return r < 0 ? r : verdict(host, second.status, e);
}
