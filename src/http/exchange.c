#include "http/exchange.h"

#include "base/clock.h"
#include "base/str.h"

#include "http/conn.h"
#include "http/server_internal.h"
#include "http/stream.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct http_exchange *exchange_new(struct conn *c)
{
    struct http_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->magic = EXCHANGE_MAGIC;
    x->server = c->server;
    x->conn = c;
    http1_head_init(&x->head);
    http1_chunks_init(&x->chunks);
    return x;
}

static void free_user(struct http_exchange *x)
{
    if (x->user && x->free_user)
        x->free_user(x->user);
    x->user = NULL;
}

void exchange_free(struct http_exchange *x)
{
    if (!x)
        return;
    free_user(x);
    http1_head_done(&x->head);
    http1_chunks_done(&x->chunks);
    buf_done(&x->body);
    x->server->bodies -= x->accounted;
    blob_unref(x->reply_head);
    blob_unref(x->reply_body);
    if (x->stream)
        stream_detach(x->stream);
    x->magic = 0;
    free(x);
}

bool exchange_account(struct http_exchange *x)
{
    size_t more = x->body.len - x->accounted;
    x->accounted += more;
    return atomic_fetch_add(&x->server->bodies, more) + more <= x->server->limits.bodies_bytes;
}

/* ---- the reply's head ---- */

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 422, "Unprocessable Content" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", made once a second a thread. */
static const char *date_text(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t made;
    time_t now = (time_t)(clock_now_ms() / 1000);
    if (now == made && text[0])
        return text;
    struct tm tm;
    (void)gmtime_r(&now, &tm);
    (void)strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* no locale is ever set */
    made = now;
    return text;
}

/* The server alone decides on framing; a handler's word on it is dropped. */
static bool is_own_field(const char *name)
{
    if (!strchr("ctdCTD", *name)) /* most names end here */
        return false;
    return strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0 ||
           strcasecmp(name, "connection") == 0 || strcasecmp(name, "date") == 0;
}

bool exchange_fields_ok(const struct http_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!http1_field_ok(fields[i].name, fields[i].value))
            return false;
    return true;
}

static char *put(char *at, const char *text)
{
    return stpcpy(at, text);
}

static char *put_field(char *at, const char *name, const char *value)
{
    at = put(at, name);
    *at++ = ':';
    *at++ = ' ';
    at = put(at, value);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

/* This is done for each reply, and printf takes ten times as long. */
static char *put_number(char *at, uint64_t n)
{
    char digits[21], *d = digits + 20;
    *d = '\0';
    do
        *--d = (char)('0' + n % 10);
    while (n /= 10);
    return put(at, d);
}

struct blob *exchange_head(const struct http_exchange *x, int status, const struct http_field *fields, size_t n,
                           int64_t length, bool chunked)
{
    size_t size = 256;
    for (size_t i = 0; i < n; i++)
        size += strlen(fields[i].name) + strlen(fields[i].value) + 4;
    struct blob *b = blob_new(NULL, size);
    if (!b)
        return NULL;
    char *at = put_number(put(b->data, "HTTP/1.1 "), (uint64_t)status);
    at = put(put(put(put(put(at, " "), reason_of(status)), "\r\nDate: "), date_text()), "\r\n");
    if (length >= 0)
        at = put(put_number(put(at, "Content-Length: "), (uint64_t)length), "\r\n");
    if (chunked)
        at = put(at, "Transfer-Encoding: chunked\r\n");
    if (x->close)
        at = put(at, "Connection: close\r\n");
    for (size_t i = 0; i < n; i++)
        if (!is_own_field(fields[i].name))
            at = put_field(at, fields[i].name, fields[i].value);
    at = put(at, "\r\n");
    b->len = (size_t)(at - b->data);
    return b;
}

/* ---- replying ---- */

static void reply_now(struct http_exchange *x, int status, const struct http_field *fields, size_t n, struct blob *body)
{
    bool head = x->head.method == HTTP_HEAD && x->head.line_known;
    bool bodiless = status == 204 || status == 304 || status < 200;
    int64_t length = bodiless || (head && !body) ? -1 : (int64_t)(body ? body->len : 0);
    x->close = x->close || x->head.close || x->server->stopping;
    x->reply_head = exchange_head(x, status, fields, n, length, false);
    if (body && !bodiless && !head)
        x->reply_body = blob_ref(body);
    x->replied = true;
}

void http_reply(struct http_exchange *x, int status, const struct http_field *fields, size_t n, struct blob *body)
{
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    assert(!x->replied);
    if (exchange_fields_ok(fields, n)) {
        reply_now(x, status, fields, n, body);
        return;
    }
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)error_set(&e, ERR_INTERNAL, "The reply had a header that must not be sent.");
    exchange_fail(x, &e, false);
}

static void fail_plainly(struct http_exchange *x, const struct error *e)
{
    static const struct http_field type = { "Content-Type", "text/plain; charset=utf-8" };
    _cleanup_blob_ struct blob *text = blob_new(e->message, strlen(e->message));
    reply_now(x, error_code_status(e->code), &type, 1, text);
}

void exchange_fail(struct http_exchange *x, const struct error *e, bool close)
{
    const struct http_server_options *o = &x->server->options;
    x->close = x->close || close;
    if (!o->fail || x->failing) { /* failing: the error body itself had a bad field */
        fail_plainly(x, e);
        return;
    }
    x->failing = true;
    _cleanup_blob_ struct blob *body = o->fail(o->ctx, x->head.line_known ? x : NULL, e);
    if (x->replied)
        return;
    if (!body) {
        fail_plainly(x, e);
        return;
    }
    char seconds[16];
    (void)snprintf(seconds, sizeof seconds, "%d", e->retry_after_s);
    const struct http_field fields[] = { { "Content-Type", "application/json" }, { "Retry-After", seconds } };
    reply_now(x, error_code_status(e->code), fields, e->retry_after_s > 0 ? 2 : 1, body);
}

void exchange_handle(struct http_exchange *x)
{
    const struct http_server_options *o = &x->server->options;
    o->handle(o->ctx, x);
    if (!x->replied) {
        _cleanup_error_ struct error e = ERROR_INIT;
        (void)error_set(&e, ERR_INTERNAL, "The handler gave no reply.");
        exchange_fail(x, &e, false);
    }
    free_user(x);
}

/* ---- what handlers ask ---- */

enum http_method http_method(const struct http_exchange *x)
{
    return x->head.method;
}

const char *http_method_name(const struct http_exchange *x)
{
    return x->head.text.data;
}

const char *http_path(const struct http_exchange *x)
{
    return x->head.text.data + x->head.path;
}

const char *http_query(const struct http_exchange *x)
{
    return x->head.text.data + x->head.query;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    return http1_head_field(&x->head, name);
}

bool http_header_next(const struct http_exchange *x, size_t *cursor, const char **name, const char **value)
{
    return http1_head_next(&x->head, cursor, name, value);
}

const char *http_body(const struct http_exchange *x, size_t *ret_len)
{
    if (ret_len)
        *ret_len = x->body.len;
    return x->body.data ? x->body.data : "";
}

const struct sockaddr *http_peer(const struct http_exchange *x)
{
    return &x->conn->peer.any;
}

bool http_is_tls(const struct http_exchange *x)
{
    return x->conn->tls != NULL;
}

void http_set_user(struct http_exchange *x, void *user, void (*free_fn)(void *))
{
    free_user(x);
    x->user = user;
    x->free_user = free_fn;
}

void *http_user(const struct http_exchange *x)
{
    return x->user;
}
