#include "fake_exchange.h"

#include "base/json.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define HEADERS 32

struct http_exchange {
    char line[4096], header_text[4096], name[16];
    char *path, *query, *names[HEADERS], *values[HEADERS];
    size_t header_count;
    const char *body;
    struct sockaddr_in peer;
    void *user;
    void (*free_user)(void *);
    struct fake_reply *reply;
};

struct http_stream {
    unsigned refs;
    bool closed, gone;
    struct buf text;
    void (*on_close)(void *user);
    void *user;
};

size_t fake_stream_room = (size_t)256 << 10;

static void parse_line(struct http_exchange *x, const char *line)
{
    str_copy(x->line, sizeof x->line, line);
    char *space = strchr(x->line, ' ');
    *space = '\0';
    str_copy(x->name, sizeof x->name, x->line);
    x->path = space + 1;
    x->query = strchr(x->path, '?');
    if (x->query)
        *x->query++ = '\0';
}

static void add_header(struct http_exchange *x, char *name, char *value)
{
    x->names[x->header_count] = name;
    x->values[x->header_count++] = value;
}

static void parse_headers(struct http_exchange *x, const char *headers, const char *body)
{
    char *save = NULL;
    int used = snprintf(x->header_text, sizeof x->header_text, "%s", headers ? headers : "");
    if (body && used >= 0)
        (void)snprintf(x->header_text + used, sizeof x->header_text - (size_t)used, "Content-Length: %zu\n",
                       strlen(body));
    for (char *line = strtok_r(x->header_text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strstr(line, ": ");
        *colon = '\0';
        add_header(x, line, colon + 2);
    }
}

void fake_send(struct api *a, const char *line, const char *headers, const char *body, struct fake_reply *ret)
{
    struct http_server_options o = { 0 };
    struct http_exchange *x = calloc(1, sizeof *x);
    struct error e = ERROR_INIT;
    memset(ret, 0, sizeof *ret);
    api_bind(a, &o);
    x->reply = ret;
    x->body = body;
    x->peer.sin_family = AF_INET;
    x->peer.sin_addr.s_addr = htonl(0x0a000001);
    parse_line(x, line);
    parse_headers(x, headers, body);
    ret->refused = o.on_head(o.ctx, x, &ret->body_limit, &e);
    if (ret->refused == 0 && (!body || strlen(body) <= ret->body_limit)) {
        o.handle(o.ctx, x);
    } else {
        if (ret->refused == 0)
            (void)error_set(&e, ERR_TOO_LARGE, "The body is over the limit.");
        _cleanup_blob_ struct blob *plain = o.fail(o.ctx, x, &e);
        assert(!plain && ret->status);
    }
    http_set_user(x, NULL, NULL);
    error_done(&e);
    free(x);
}

void fake_reply_done(struct fake_reply *r)
{
    blob_unref(r->body);
    r->body = NULL;
    if (!r->stream)
        return;
    fake_stream_hang_up(r->stream);
    http_stream_unref(r->stream);
    r->stream = NULL;
}

const char *fake_header(const struct fake_reply *r, const char *name)
{
    static char value[2048];
    size_t n = strlen(name);
    for (const char *line = r->headers; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        size_t len = strcspn(line + n + 2, "\n");
        memcpy(value, line + n + 2, len);
        value[len] = '\0';
        return value;
    }
    return NULL;
}

json_t *fake_json(const struct fake_reply *r)
{
    json_t *value = NULL;
    if (r->body)
        (void)json_parse(r->body->data, r->body->len, &value, NULL);
    return value;
}

/* ---- http/server.h */

enum http_method http_method(const struct http_exchange *x)
{
    static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(x->name, names[i]))
            return (enum http_method)i;
    return HTTP_OTHER;
}

const char *http_method_name(const struct http_exchange *x)
{
    return x->name;
}

const char *http_path(const struct http_exchange *x)
{
    return x->path;
}

const char *http_query(const struct http_exchange *x)
{
    return x->query ? x->query : "";
}

bool http_header_next(const struct http_exchange *x, size_t *cursor, const char **name, const char **value)
{
    if (*cursor >= x->header_count)
        return false;
    *name = x->names[*cursor];
    *value = x->values[(*cursor)++];
    return true;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    for (size_t i = 0; i < x->header_count; i++)
        if (str_ieq(x->names[i], name))
            return x->values[i];
    return NULL;
}

const char *http_body(const struct http_exchange *x, size_t *ret_len)
{
    *ret_len = x->body ? strlen(x->body) : 0;
    return x->body ? x->body : "";
}

const struct sockaddr *http_peer(const struct http_exchange *x)
{
    return (const struct sockaddr *)(const void *)&x->peer;
}

bool http_is_tls(const struct http_exchange *x)
{
    return x == NULL;
}

void http_server_know_address(struct http_server *s, const struct http_exchange *x)
{
    assert(s && x);
}

void http_set_user(struct http_exchange *x, void *user, void (*free_user)(void *))
{
    if (x->free_user)
        x->free_user(x->user);
    x->user = user;
    x->free_user = free_user;
}

void *http_user(const struct http_exchange *x)
{
    return x->user;
}

static void keep_headers(struct fake_reply *r, const struct http_field *fields, size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used +=
            (size_t)snprintf(r->headers + used, sizeof r->headers - used, "%s: %s\n", fields[i].name, fields[i].value);
}

void http_reply(struct http_exchange *x, int status, const struct http_field *fields, size_t n, struct blob *body)
{
    x->reply->status = status;
    keep_headers(x->reply, fields, n);
    bool bare = http_method(x) == HTTP_HEAD || status == 204 || status == 304;
    x->reply->body = body && !bare ? blob_ref(body) : NULL;
}

struct http_stream *http_stream_begin(struct http_exchange *x, int status, const struct http_field *fields, size_t n,
                                      void (*on_close)(void *user), void *user)
{
    struct http_stream *s = calloc(1, sizeof *s);
    s->refs = 2; /* the caller's and the test's */
    s->on_close = on_close;
    s->user = user;
    buf_init(&s->text, 0);
    x->reply->status = status;
    x->reply->stream = s;
    keep_headers(x->reply, fields, n);
    return s;
}

int http_stream_send(struct http_stream *s, struct blob *frame)
{
    if (s->closed || s->gone)
        return -EPIPE;
    if (s->text.len + frame->len > fake_stream_room) {
        http_stream_close(s);
        return -ENOBUFS;
    }
    return buf_append(&s->text, frame->data, frame->len);
}

void http_stream_close(struct http_stream *s)
{
    s->closed = true;
}

void http_stream_unref(struct http_stream *s)
{
    if (--s->refs)
        return;
    buf_done(&s->text);
    free(s);
}

const char *fake_stream_text(struct http_stream *s)
{
    return buf_str(&s->text);
}

void fake_stream_clear(struct http_stream *s)
{
    buf_clear(&s->text);
}

void fake_stream_hang_up(struct http_stream *s)
{
    if (s->gone)
        return;
    s->gone = true;
    s->on_close(s->user);
}

bool fake_stream_closed(const struct http_stream *s)
{
    return s->closed;
}
