#include "runtime/page.h"

#include "http/server.h"

#include <ctype.h>
#include <stdio.h>

/* ---- list ---- */

struct service_counts {
    int64_t by_health[3]; /* as `healths` */
};

static void count_service(const struct facts *facts, void *counts)
{
    struct service_counts *c = counts;
    unsigned health = facts_index(facts, FACT_HEALTH);
    c->by_health[health < 3 ? health : 2]++;
}

/* Texts that a filter points to. */
struct asked {
    char node_id[37], text[201], service[256];
};

static void read_filter(struct runtime *r, const struct request *rq, struct filter *f, struct asked *texts)
{
    const char *node = request_str(rq, "nodeId"), *q = request_str(rq, "q");
    *f = (struct filter)FILTER_ALL;
    f->type = word_index(service_types, request_str(rq, "type"));
    f->status = word_index(service_statuses, request_str(rq, "status"));
    f->health = word_index(healths, request_str(rq, "health"));
    f->managed = request_param(rq, "managed") ? request_flag(rq, "managed", false) : -1;
    if (node) {
        _cleanup_entity_ struct entity *x = table_get(r->nodes, node);
        str_copy(texts->node_id, sizeof texts->node_id, x ? x->id : "no such node");
        f->node_id = texts->node_id;
    }
    if (request_str(rq, "service")) {
        str_copy(texts->service, sizeof texts->service, request_str(rq, "service"));
        f->service = texts->service;
    }
    if (q) {
        str_copy(texts->text, sizeof texts->text, q);
        for (char *p = texts->text; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        f->text = texts->text;
    }
}

static int read_services(struct runtime *r, struct request *rq, struct buf *out, struct error *e)
{
    struct asked texts;
    struct service_counts counts = { { 0 } };
    struct jw w;
    struct page *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(e, ERR_INTERNAL, "No memory.");
    read_filter(r, rq, &p->filter, &texts);
    p->count = count_service;
    p->counts = &counts;
    int res = page_read(p, r->services, rq, e);
    if (res == 0) {
        jw_init(&w, out);
        jw_object(&w);
        page_write(p, &w, "services");
        jw_key(&w, "aggregated_health"), jw_object(&w);
        for (size_t i = 0; i < 3; i++)
            jw_key(&w, healths[i]), jw_int(&w, counts.by_health[i]);
        jw_end(&w);
        jw_end(&w);
    }
    page_done(p);
    free(p);
    return res;
}

/* A filter by a node's name depends on the nodes, too; the query is not decoded here. */
static uint64_t list_generation(struct runtime *r, const char *query)
{
    bool nodes = strstr(query, "nodeId") || strchr(query, '%');
    return table_generation(r->services) * 1000003 + (nodes ? table_generation(r->nodes) : 0);
}

bool service_list_at_once(void *room, const char *query, struct reply *rp)
{
    struct runtime *r = room;
    char etag[64];
    _cleanup_blob_ struct blob *body = list_cache_get(r->service_lists, query, list_generation(r, query), etag);
    if (body)
        reply_blob(rp, 200, "application/json", body, etag);
    return body != NULL;
}

int service_list(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct runtime *r = room;
    char etag[64];
    const char *query = http_query(request_exchange(rq));
    uint64_t generation = list_generation(r, query);
    _cleanup_blob_ struct blob *body = list_cache_get(r->service_lists, query, generation, etag);
    if (!body) {
        _cleanup_buf_ struct buf out;
        buf_init(&out, 64 << 20);
        int res = read_services(r, rq, &out, e);
        if (res < 0)
            return res;
        body = blob_from_buf(&out);
        if (!body)
            return error_set(e, ERR_INTERNAL, "No memory.");
        list_cache_put(r->service_lists, query, generation, body, etag);
    }
    reply_blob(rp, 200, "application/json", body, etag);
    return 0;
}

int service_get(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    _cleanup_entity_ struct entity *x = NULL;
    int res = runtime_service(room, request_str(rq, "serviceId"), &x, e);
    if (res == 0)
        service_answer(rp, 200, x);
    return res;
}

void service_answer(struct reply *rp, int status, const struct entity *x)
{
    struct jw *w = reply_json(rp, status);
    jw_object(w);
    jw_key(w, "service"), jw_raw(w, x->json->data, x->json->len);
    jw_end(w);
    reply_etag(rp, x->etag);
}

/* ---- logs ---- */

#define LOGS_LIMIT (4 << 20)

/* Keeps the newest LOGS_LIMIT bytes: whole frames go from the front when there are more. */
struct log_frame {
    enum engine_stream stream;
    size_t len;
};

struct logs {
    struct buf bytes;
    struct log_frame *frames;
    size_t first, count, cap;
    bool truncated, failed;
};

static void drop_oldest(struct logs *l, size_t need)
{
    size_t gone = 0;
    while (l->first < l->count && l->bytes.len - gone + need > LOGS_LIMIT)
        gone += l->frames[l->first++].len;
    buf_consume(&l->bytes, gone);
    l->truncated = l->truncated || gone > 0;
}

static int add_frame(void *ctx, enum engine_stream stream, const char *bytes, size_t len)
{
    struct logs *l = ctx;
    if (len > LOGS_LIMIT) {
        bytes += len - LOGS_LIMIT;
        len = LOGS_LIMIT;
        l->truncated = true;
    }
    if (l->bytes.len + len > LOGS_LIMIT)
        drop_oldest(l, len);
    bool joins = l->count > l->first && l->frames[l->count - 1].stream == stream && l->frames[l->count - 1].len < 65536;
    if (!joins && l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct log_frame *frames = realloc(l->frames, cap * sizeof *frames);
        if (!frames) {
            l->failed = true;
            return -1;
        }
        l->frames = frames;
        l->cap = cap;
    }
    if (!joins)
        l->frames[l->count++] = (struct log_frame){ stream, 0 };
    l->frames[l->count - 1].len += len;
    return buf_append(&l->bytes, bytes, len);
}

static void write_base64(struct jw *w, const char *bytes, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes;
    _cleanup_buf_ struct buf b;
    buf_init(&b, 2 * LOGS_LIMIT);
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        (void)buf_putc(&b, letters[v >> 18]);
        (void)buf_putc(&b, letters[v >> 12 & 63]);
        (void)buf_putc(&b, left > 1 ? letters[v >> 6 & 63] : '=');
        (void)buf_putc(&b, left > 2 ? letters[v & 63] : '=');
    }
    jw_string(w, buf_str(&b));
}

static void write_frames(struct reply *rp, const struct logs *l)
{
    const char *at = l->bytes.data;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "frames"), jw_array(w);
    for (size_t i = l->first; i < l->count; i++) {
        const struct log_frame *f = &l->frames[i];
        jw_object(w);
        jw_key(w, "stream"), jw_string(w, f->stream == STREAM_STDERR ? "stderr" : "stdout");
        bool text = str_is_utf8(at, f->len);
        jw_key(w, text ? "data" : "base64");
        if (text)
            jw_string_n(w, at, f->len);
        else
            write_base64(w, at, f->len);
        jw_end(w);
        at += f->len;
    }
    jw_end(w);
    jw_key(w, "truncated"), jw_bool(w, l->truncated);
    jw_end(w);
}

static int read_logs(struct runtime *r, const struct request *rq, const json_t *d, struct logs *l, struct error *e)
{
    struct container_engine *engine = NULL;
    const char *stream = request_str(rq, "stream"), *since = request_str(rq, "since");
    struct engine_log_request ask = { .tail = (unsigned)request_int(rq, "tail", 200),
                                      .timestamps = request_flag(rq, "timestamps", false) };
    ask.want_stdout = !str_eq(stream, "stderr");
    ask.want_stderr = !str_eq(stream, "stdout");
    if (since)
        (void)time_parse(since, &ask.since_ms);
    if (!json_str(d, "container.id"))
        return error_set(e, ERR_CONFLICT, "The service has no container yet, so there are no logs.");
    int res = runtime_engine(r, json_str(d, "nodeId"), &engine, e);
    if (res == 0 && request_int(rq, "tail", 200) > 0)
        res = engine->ops->logs(engine, json_str(d, "container.id"), &ask, add_frame, l, e);
    return res;
}

int service_logs(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct logs l = { 0 };
    _cleanup_entity_ struct entity *x = NULL;
    int res = runtime_service(room, request_str(rq, "serviceId"), &x, e);
    if (res < 0)
        return res;
    _cleanup_json_ json_t *d = entity_document(x);
    buf_init(&l.bytes, LOGS_LIMIT + 65536);
    res = read_logs(room, rq, d, &l, e);
    if (res == 0 && (l.failed || !buf_ok(&l.bytes)))
        res = error_set(e, ERR_INTERNAL, "No memory.");
    if (res == 0) {
        reply_header(rp, "X-Log-Truncated", l.truncated ? "true" : "false");
        _cleanup_blob_ struct blob *body = blob_from_buf(&l.bytes);
        if (str_eq(request_accepts(rq), "application/json"))
            write_frames(rp, &l);
        else if (body)
            reply_blob(rp, 200, "text/plain; charset=utf-8", body, NULL);
    }
    buf_done(&l.bytes);
    free(l.frames);
    return res;
}
