#include "cli/client.h"

#include "cli/discover.h"

#include <curl/curl.h>
#include <string.h>

#define CONNECT_MS 5000
#define CALL_MS 60000
#define REPLY_LIMIT ((size_t)64 << 20)
#define MAGIC 0xc11e7701u

struct client {
    uint32_t magic;
    struct discovered where;
    size_t key; /* of where.keys, the one in use */
    CURL *curl;
};

int client_new(struct cli *c, struct client **ret)
{
    _cleanup_error_ struct error e = ERROR_INIT;
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return cli_fail(c, CLI_FAILED, "out of memory");
    client->magic = MAGIC;
    int r = discover(&c->args, &client->where, &e);
    if (r < 0) {
        free(client);
        return cli_fail(c, r == -ERR_MALFORMED ? CLI_USAGE : CLI_FAILED, "%s", e.message);
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    client->curl = curl_easy_init();
    if (!client->curl) {
        client_free(client);
        return cli_fail(c, CLI_FAILED, "out of memory");
    }
    *ret = client;
    return CLI_OK;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    discovered_done(&client->where);
    free(client);
}

const char *client_url(const struct client *client)
{
    return client->where.url;
}

/* ---- one exchange */

struct sink {
    struct buf *body;
    bool (*on_bytes)(void *ctx, const char *bytes, size_t len); /* of a stream; NULL: collect */
    void *ctx;
    CURL *curl;
    bool stopped;
};

static bool status_is_good(CURL *curl)
{
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t on_body(char *bytes, size_t one, size_t len, void *ctx)
{
    struct sink *s = ctx;
    size_t n = one * len;
    if (s->on_bytes && status_is_good(s->curl)) {
        s->stopped = !s->on_bytes(s->ctx, bytes, n);
        return s->stopped ? 0 : n;
    }
    return buf_append(s->body, bytes, n) < 0 ? 0 : n;
}

static int on_progress(void *ctx UNUSED, curl_off_t a UNUSED, curl_off_t b UNUSED, curl_off_t d UNUSED,
                       curl_off_t e UNUSED)
{
    return cli_interrupted();
}

/* A token of three parts goes as a bearer, a key by its own header. */
static struct curl_slist *add_credentials(struct curl_slist *headers, const struct client *client)
{
    if (client->key >= client->where.n_keys)
        return headers;
    size_t len;
    const char *key = secret_reveal(client->where.keys[client->key], &len);
    const char *first = strchr(key, '.'), *last = strrchr(key, '.');
    bool token = str_starts(key, "ey") && first && last > first;
    size_t size = len + 32;
    char *line = malloc(size);
    if (!line)
        return headers;
    (void)snprintf(line, size, token ? "Authorization: Bearer %s" : "X-API-Key: %s", key);
    struct curl_slist *longer = curl_slist_append(headers, line);
    secret_wipe(line, size);
    free(line);
    return longer ? longer : headers;
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *name, const char *value)
{
    _cleanup_free_ char *line = value ? str_printf("%s: %s", name, value) : NULL;
    struct curl_slist *longer = line ? curl_slist_append(headers, line) : NULL;
    return longer ? longer : headers;
}

/* curl's own copies of the lines hold the key too. */
static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *h = headers; h; h = h->next)
        secret_wipe(h->data, strlen(h->data));
    curl_slist_free_all(headers);
}

static void set_common(struct client *client, const char *url, struct curl_slist *headers, struct sink *sink,
                       char *failure)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, CLI_NAME "/" HB_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, failure);
    if (client->where.loopback)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    const char *authorities = getenv("SSL_CERT_FILE");
    if (authorities && *authorities)
        curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
}

static bool timed_out(CURL *curl, CURLcode code)
{
    double connected = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME, &connected);
    return code == CURLE_OPERATION_TIMEDOUT && connected > 0;
}

static int status_of_reply(int status)
{
    if (status >= 200 && status < 300)
        return CLI_OK;
    if (status == 401 || status == 403)
        return CLI_NOT_ALLOWED;
    return status == 408 || status == 504 ? CLI_TIMED_OUT : CLI_FAILED;
}

static int finish(struct client *client, CURLcode code, const struct sink *sink, const char *failure,
                  struct api_reply *ret)
{
    long status = 0;
    if (code == CURLE_OK || sink->stopped)
        (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    ret->status = (int)status;
    struct curl_header *replayed = NULL;
    ret->replayed = curl_easy_header(client->curl, "Idempotency-Replayed", 0, CURLH_HEADER, -1, &replayed) == CURLHE_OK;
    if (status)
        return status_of_reply(ret->status);
    str_copy(ret->failure, sizeof ret->failure, *failure ? failure : curl_easy_strerror(code));
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return CLI_INTERRUPTED;
    return timed_out(client->curl, code) ? CLI_TIMED_OUT : CLI_UNREACHABLE;
}

static int exchange(struct client *client, const struct api_request *rq, const char *header, struct sink *sink,
                    struct api_reply *ret)
{
    MAGIC_CHECK(client, MAGIC);
    int r = CLI_FAILED;
    char failure[CURL_ERROR_SIZE] = "";
    char *body = rq->body ? json_text(rq->body, NULL) : NULL, *url = str_printf("%s%s", client->where.url, rq->path);
    struct curl_slist *headers = add_header(NULL, "Accept", rq->accept ? rq->accept : "application/json");
    headers = add_credentials(headers, client);
    headers = add_header(headers, "Idempotency-Key", rq->idempotency_key);
    headers = add_header(headers, "Expect", ""); /* no waiting for 100 */
    if (body)
        headers = add_header(headers, "Content-Type", "application/json");
    if (header) {
        struct curl_slist *longer = curl_slist_append(headers, header);
        headers = longer ? longer : headers;
    }
    if (!url || (rq->body && !body)) {
        str_copy(ret->failure, sizeof ret->failure, "out of memory");
        goto out;
    }
    set_common(client, url, headers, sink, failure);
    sink->curl = client->curl;
    if (!sink->on_bytes) {
        curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)(rq->timeout_ms ? rq->timeout_ms : CALL_MS));
        curl_easy_setopt(client->curl, CURLOPT_ACCEPT_ENCODING, "");
    }
    if (rq->method)
        curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, rq->method);
    if (body || str_eq(rq->method, "POST") || str_eq(rq->method, "PATCH"))
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body ? body : "");
    r = finish(client, curl_easy_perform(client->curl), sink, failure, ret);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL);
out:
    free_headers(headers);
    if (body)
        secret_wipe(body, strlen(body));
    free(body);
    free(url);
    return r;
}

static void reply_begin(struct api_reply *ret)
{
    *ret = (struct api_reply){ 0 };
    buf_init(&ret->body, REPLY_LIMIT);
}

/* Another hub's owner.key may lie in the way of the right one. */
static bool next_key(struct client *client, const struct api_reply *reply)
{
    if (reply->status != 401 || client->key + 1 >= client->where.n_keys)
        return false;
    client->key++;
    return true;
}

static int call_with_keys(struct cli *c, const struct api_request *rq, const char *header, struct sink *sink,
                          struct api_reply *ret)
{
    int r;
    reply_begin(ret);
    sink->body = &ret->body;
    while ((r = exchange(c->client, rq, header, sink, ret)) == CLI_NOT_ALLOWED && next_key(c->client, ret)) {
        answer_done(ret);
        reply_begin(ret);
    }
    if (ret->body.len && json_parse(ret->body.data, ret->body.len, &ret->json, NULL) < 0)
        ret->json = NULL;
    return r;
}

int api_call(struct cli *c, const struct api_request *rq, struct api_reply *ret)
{
    struct sink sink = { 0 };
    int r = call_with_keys(c, rq, NULL, &sink, ret);
    if (r != CLI_OK && !rq->quiet)
        api_explain(c, ret, r);
    return r;
}

int api_stream(struct cli *c, const char *path, const char *header,
               bool (*on_bytes)(void *ctx, const char *bytes, size_t len), void *ctx, struct api_reply *ret)
{
    struct sink sink = { .on_bytes = on_bytes, .ctx = ctx };
    struct api_request rq = { .path = path, .accept = "text/event-stream" };
    return call_with_keys(c, &rq, header, &sink, ret);
}

void answer_done(struct api_reply *reply)
{
    json_decref(reply->json);
    buf_done(&reply->body);
    *reply = (struct api_reply){ 0 };
}

bool reply_is_error(const struct api_reply *reply, const char *code)
{
    return reply->json && str_eq(json_str(reply->json, "error.code"), code);
}

int reply_print(struct cli *c, const struct api_reply *reply)
{
    bool newline = reply->body.len && reply->body.data[reply->body.len - 1] == '\n';
    bool written = fwrite(reply->body.data, 1, reply->body.len, c->out) == reply->body.len;
    if (!newline && reply->body.len)
        (void)fputc('\n', c->out);
    return written && fflush(c->out) == 0 ? CLI_OK : cli_write_failed(c);
}

/* ---- what failed, and what to do */

static void explain_no_reply(struct cli *c, const struct api_reply *reply, int status)
{
    const char *url = client_url(c->client);
    if (status == CLI_INTERRUPTED)
        return;
    if (status == CLI_TIMED_OUT)
        (void)cli_fail(c, status, "the hub at %s did not answer in time", url);
    else
        (void)cli_fail(c, status,
                       "no hub can be reached at %s: %s\nStart one with `" CLI_NAME " serve`, or say where it is: "
                       "--url, HBCLOUD_URL, or `" CLI_NAME " login`.",
                       url, reply->failure);
}

static void explain_credentials(struct cli *c)
{
    const struct client *client = c->client;
    if (client->where.n_keys == 0)
        (void)fprintf(c->err, "No API key was found. Set HBCLOUD_API_KEY, or run `" CLI_NAME " login --url %s`.\n",
                      client->where.url);
    else
        (void)fprintf(c->err,
                      "The key came from %s. Set another in HBCLOUD_API_KEY, or run `" CLI_NAME " login --url %s`.\n",
                      client->where.origins[client->key], client->where.url);
}

static const struct {
    const char *code, *advice;
} advices[] = {
    { "FORBIDDEN", "An admin can make a key of a higher role: `" CLI_NAME " keys create NAME --role ROLE`." },
    { "PRECONDITION_FAILED", "Look at it again, then repeat the change." },
    { "SERVICE_UNAVAILABLE", "`" CLI_NAME " status` tells what the hub misses." },
    { "RATE_LIMITED", "Wait a little, then try again." },
};

static void explain_details(struct cli *c, const json_t *error)
{
    const char *pointer;
    json_t *reason;
    _cleanup_buf_ struct buf text;
    buf_init(&text, 0);
    json_object_foreach (json_object_get(error, "details"), pointer, reason) {
        (void)buf_puts(&text, "  ");
        text_clean(&text, pointer, false);
        (void)buf_puts(&text, ": ");
        text_clean(&text, json_is_string(reason) ? json_string_value(reason) : "is wrong", false);
        (void)buf_putc(&text, '\n');
    }
    (void)fputs(buf_str(&text), c->err);
}

static void explain_error(struct cli *c, const struct api_reply *reply, int status)
{
    const json_t *error = json_object_get(reply->json, "error");
    const char *code = json_str(error, "code"), *message = json_str(error, "message");
    (void)cli_fail(c, status, "%s", message ? message : "the hub refused without saying why");
    explain_details(c, error);
    if (reply->status == 401)
        explain_credentials(c);
    for (size_t i = 0; i < ARRAY_LEN(advices); i++)
        if (str_eq(advices[i].code, code))
            (void)fprintf(c->err, "%s\n", advices[i].advice);
    if (reply->status >= 500 && json_str(error, "requestId"))
        (void)cli_fail(c, status, "the hub's log has more under request id %s", json_str(error, "requestId"));
}

void api_explain(struct cli *c, const struct api_reply *reply, int status)
{
    if (!reply->status) {
        explain_no_reply(c, reply, status);
        return;
    }
    if (c->json)
        (void)reply_print(c, reply);
    if (reply->json && json_is_object(json_object_get(reply->json, "error")))
        explain_error(c, reply, status);
    else
        (void)cli_fail(c, status, "%s answered %d, and not as a hub does; is it one?", client_url(c->client),
                       reply->status);
}

/* ---- paths */

static void put_escaped(struct buf *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            (void)buf_putc(out, *text);
        else
            (void)buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

/* "." and ".." would be taken for path steps: their dots are encoded. */
void path_segment(struct buf *path, const char *text)
{
    if (str_eq(text, ".") || str_eq(text, ".."))
        (void)buf_puts(path, text[1] ? "%2E%2E" : "%2E");
    else
        put_escaped(path, text);
}

void path_query(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    (void)buf_putc(path, memchr(buf_str(path), '?', path->len) ? '&' : '?');
    put_escaped(path, name);
    (void)buf_putc(path, '=');
    put_escaped(path, value);
}

void path_query_option(struct buf *path, const struct args *a, const char *option, const char *name)
{
    size_t cursor = 0;
    for (const char *value; (value = args_each(a, option, &cursor));)
        path_query(path, name, value);
}
