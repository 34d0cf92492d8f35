#include "integrations/caddy/caddy_internal.h"

#include <stdio.h>
#include <time.h>

#define READ_MS 8000
#define CHANGE_MS 20000 /* it may make keys and certificates before it answers */
#define CONNECT_MS 2000
#define BODY_MAX (64u << 20)
#define READ_TRIES 4
#define READ_PAUSE_MS 60 /* the admin API comes back within tens of milliseconds after a change */

static void words_of(struct http_client_response *rs, char *ret, size_t size)
{
    _cleanup_json_ json_t *d = NULL;
    const char *said = NULL;
    if (json_parse(buf_str(&rs->body), rs->body.len, &d, NULL) == 0)
        said = json_str(d, "error");
    (void)snprintf(ret, size, "%.400s", said ? said : "");
}

static int judge(struct caddy *c, struct http_client_response *rs, struct error *e)
{
    char words[420];
    if (rs->status >= 200 && rs->status < 300)
        return 0;
    words_of(rs, words, sizeof words);
    if (rs->status == 412)
        return CADDY_CHANGED;
    if (rs->status == 404)
        return CADDY_ABSENT;
    if (rs->status == 403) {
        (void)error_set(
            e, ERR_UPSTREAM,
            "Caddy's admin API refuses hbcloud (403: %s). Its `admin.origins` must hold %s, as hbcloud calls it.",
            words[0] ? words : "no reason", c->origin);
        return -ERR_UPSTREAM;
    }
    (void)error_set(e, ERR_UPSTREAM, "%s", words[0] ? words : "Caddy answered without a reason.");
    return (rs->status == 400 || rs->status == 500) && words[0] ? CADDY_REFUSED : -ERR_UPSTREAM;
}

static int send_once(struct caddy *c, const char *method, const char *path, const char *body, const char *type,
                     const char *if_match, struct http_client_response *ret, struct error *e)
{
    struct http_client_header headers[3];
    size_t n = 0;
    _cleanup_free_ char *url = str_printf("%s%s", c->base, path);
    memset(ret, 0, sizeof *ret);
    if (!url)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (c->send_origin)
        headers[n++] = (struct http_client_header){ "Origin", c->origin };
    if (body)
        headers[n++] = (struct http_client_header){ "Content-Type", type };
    if (if_match)
        headers[n++] = (struct http_client_header){ "If-Match", if_match };
    struct http_client_request rq = { .method = method,
                                      .url = url,
                                      .unix_socket = c->socket,
                                      .headers = headers,
                                      .header_count = n,
                                      .body = body,
                                      .body_len = body ? strlen(body) : 0,
                                      .connect_ms = CONNECT_MS,
                                      .total_ms = str_eq(method, "GET") ? READ_MS : CHANGE_MS,
                                      .body_limit = BODY_MAX,
                                      .attempts = 1,
                                      .own_pace = true };
    return http_client_send(&rq, ret, e);
}

/* A Caddy that enforces origins wants one from everybody; another refuses those it does not know. So it is sent where the
 * first call was refused without, and then always. */
static int send_text(struct caddy *c, const char *method, const char *path, const char *body, const char *type,
                     const char *if_match, struct http_client_response *ret, struct error *e)
{
    int r = send_once(c, method, path, body, type, if_match, ret, e);
    if (r == 0 && ret->status == 403) {
        struct http_client_response again;
        c->send_origin = !c->send_origin;
        r = send_once(c, method, path, body, type, if_match, &again, e);
        if (r == 0 && again.status == 403)
            c->send_origin = !c->send_origin;
        http_client_response_done(ret);
        *ret = again;
    }
    return r == 0 ? judge(c, ret, e) : r;
}

int caddy_call(struct caddy *c, const char *method, const char *path, const json_t *body, const char *if_match,
               struct http_client_response *ret, struct error *e)
{
    _cleanup_free_ char *text = body ? json_text(body, NULL) : NULL;
    if (body && !text) {
        memset(ret, 0, sizeof *ret);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    return send_text(c, method, path, text, "application/json", if_match, ret, e);
}

static void pause_ms(long ms)
{
    struct timespec t = { 0, ms * 1000000 };
    (void)nanosleep(&t, NULL);
}

int caddy_read(struct caddy *c, const char *path, json_t **ret, char *ret_tag, size_t size, struct error *e)
{
    for (int i = 0;; i++) {
        char tag[256] = "";
        _cleanup_response_ struct http_client_response rs;
        int r = caddy_call(c, "GET", path, NULL, NULL, &rs, e);
        if ((r == -ERR_UNAVAILABLE || r == -ERR_UPSTREAM_TIMEOUT || (r == -ERR_UPSTREAM && rs.status == 0)) &&
            i + 1 < READ_TRIES) {
            pause_ms(READ_PAUSE_MS << i);
            continue;
        }
        *ret = NULL;
        if (ret_tag)
            str_copy(ret_tag, size, "");
        if (r == CADDY_ABSENT || (r == CADDY_REFUSED && rs.status == 400)) /* a path through what is not there is 400 */
            return 0;
        if (r < 0)
            return caddy_result(r, e);
        r = json_parse(buf_str(&rs.body), rs.body.len, ret, e);
        if (r < 0)
            return error_set(e, ERR_UPSTREAM, "Caddy's admin API answered no JSON to GET %s.", path);
        if (json_is_null(*ret)) {
            json_decref(*ret);
            *ret = NULL;
        }
        if (ret_tag && http_client_header(&rs, "Etag", tag, sizeof tag))
            str_copy(ret_tag, size, tag);
        return 0;
    }
}

int caddy_result(int r, struct error *e)
{
    switch (r) {
    case CADDY_REFUSED: return e ? -(int)e->code : -ERR_UPSTREAM;
    case CADDY_CHANGED:
        return error_set(e, ERR_UPSTREAM, "Caddy's configuration was changed by somebody else at the same time.");
    case CADDY_ABSENT: return error_set(e, ERR_UPSTREAM, "Caddy's configuration lost what was to be changed.");
    default: return r;
    }
}

int caddy_limits_rates(struct caddy *c)
{
    static const char file[] =
        ":80 {\n\trate_limit {\n\t\tzone z {\n\t\t\tkey static\n\t\t\tevents 1\n\t\t\twindow 1m\n\t\t}\n\t}\n}\n";
    static const char ordered[] = "{\n\torder rate_limit first\n}\n";
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_response_ struct http_client_response rs;
    _cleanup_free_ char *text = str_printf("%s%s", ordered, file);
    memset(&rs, 0, sizeof rs);
    int r = text ? send_text(c, "POST", "/adapt", text, "text/caddyfile", NULL, &rs, &e) : -ERR_INTERNAL;
    if (r == CADDY_REFUSED || r == CADDY_ABSENT)
        return 0;
    return r < 0 ? r : strstr(buf_str(&rs.body), "\"rate_limit\"") != NULL;
}
