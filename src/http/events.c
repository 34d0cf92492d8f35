#define LOG_ROOM "http"
#include "http/events.h"

#include "http/events_internal.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "http/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define EVENTS_MAGIC 0x45564E54u
#define HISTORY_FRAMES 4096u
#define HISTORY_BYTES ((size_t)1 << 20)
#define RESUME_BYTES ((size_t)192 << 10) /* more would fill a stream's own buffer: then `reset` */
#define SUBSCRIBERS 12000u
#define LISTENERS 16
#define FILTERS 32
#define TYPE_SIZE 64
#define BEAT_S 15
#define RETRY_MS 3000

/* The ring's slot of event n is n modulo its size; `first` is the oldest that is still there. */
struct frame {
    struct blob *blob;
    char type[TYPE_SIZE];
    bool admin_only;
};

struct subscriber {
    struct subscriber *next;
    struct http_stream *stream;
    atomic_uint refs;  /* the bus's list, the stream's callback */
    atomic_bool closed; /* by on_close, which takes no lock: loop threads never wait for a fan-out */
    struct events *bus;
    int64_t expires_ms;
    char actor_id[64];
    bool is_admin;
    unsigned filter_count;
    char (*filters)[TYPE_SIZE]; /* "deployment.*" or a type; none: all */
};

struct events {
    uint32_t magic;
    pthread_mutex_t lock;
    pthread_cond_t stop_cond;
    pthread_t beat_thread;
    bool stopping;
    char boot[17];
    uint64_t last, first; /* sequence numbers: newest, oldest kept; last < first when there are none */
    struct frame ring[HISTORY_FRAMES];
    size_t ring_bytes;
    struct subscriber *subscribers;
    unsigned listed; /* in the list, with those closed since the last sweep */
    struct blob *beat;
    atomic_uint count;
    struct {
        events_listener fn;
        void *ctx;
    } listeners[LISTENERS];
    atomic_uint listener_count;
};

static void subscriber_unref(struct subscriber *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    free(s->filters);
    free(s);
}

/* Loop thread. */
static void on_close(void *user)
{
    struct subscriber *s = user;
    atomic_fetch_sub(&s->bus->count, 1);
    atomic_store(&s->closed, true);
    subscriber_unref(s);
}

/* Drops closed and expired subscribers; the lock is held. */
static void sweep(struct events *ev)
{
    int64_t now = clock_now_ms();
    for (struct subscriber **at = &ev->subscribers; *at;) {
        struct subscriber *s = *at;
        bool expired = s->expires_ms && s->expires_ms <= now;
        if (!expired && !atomic_load(&s->closed)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        ev->listed--;
        if (expired)
            http_stream_close(s->stream);
        http_stream_unref(s->stream);
        subscriber_unref(s);
    }
}

void events_end(struct events *ev, const char *actor_id)
{
    MAGIC_CHECK(ev, EVENTS_MAGIC);
    (void)pthread_mutex_lock(&ev->lock);
    for (struct subscriber *s = ev->subscribers; s; s = s->next)
        if (*s->actor_id && str_eq(s->actor_id, actor_id))
            http_stream_close(s->stream);
    (void)pthread_mutex_unlock(&ev->lock);
}

void events_beat(struct events *ev)
{
    MAGIC_CHECK(ev, EVENTS_MAGIC);
    (void)pthread_mutex_lock(&ev->lock);
    sweep(ev);
    for (struct subscriber *s = ev->subscribers; s; s = s->next)
        (void)http_stream_send(s->stream, ev->beat);
    (void)pthread_mutex_unlock(&ev->lock);
}

static void *beat_loop(void *arg)
{
    struct events *ev = arg;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    (void)pthread_mutex_lock(&ev->lock);
    while (!ev->stopping) {
        until.tv_sec += BEAT_S;
        int r = 0;
        while (!ev->stopping && r != ETIMEDOUT)
            r = pthread_cond_timedwait(&ev->stop_cond, &ev->lock, &until);
        if (ev->stopping)
            break;
        (void)pthread_mutex_unlock(&ev->lock);
        events_beat(ev);
        (void)pthread_mutex_lock(&ev->lock);
    }
    (void)pthread_mutex_unlock(&ev->lock);
    return NULL;
}

struct events *events_new(void)
{
    static const char beat[] = ": still here\n\n";
    struct events *ev = calloc(1, sizeof *ev);
    if (!ev)
        return NULL;
    uint8_t boot[8];
    random_bytes(boot, sizeof boot);
    hex_encode(boot, sizeof boot, ev->boot);
    ev->magic = EVENTS_MAGIC;
    ev->first = 1;
    ev->beat = blob_new(beat, sizeof beat - 1);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&ev->lock, NULL);
    (void)pthread_cond_init(&ev->stop_cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (ev->beat && pthread_create(&ev->beat_thread, NULL, beat_loop, ev) == 0)
        return ev;
    blob_unref(ev->beat);
    free(ev);
    return NULL;
}

void events_free(struct events *ev)
{
    if (!ev)
        return;
    MAGIC_CHECK(ev, EVENTS_MAGIC);
    (void)pthread_mutex_lock(&ev->lock);
    ev->stopping = true;
    (void)pthread_cond_signal(&ev->stop_cond);
    (void)pthread_mutex_unlock(&ev->lock);
    (void)pthread_join(ev->beat_thread, NULL);
    while (ev->subscribers) {
        struct subscriber *s = ev->subscribers;
        ev->subscribers = s->next;
        http_stream_close(s->stream);
        http_stream_unref(s->stream);
        subscriber_unref(s);
    }
    for (unsigned i = 0; i < HISTORY_FRAMES; i++)
        blob_unref(ev->ring[i].blob);
    blob_unref(ev->beat);
    (void)pthread_cond_destroy(&ev->stop_cond);
    (void)pthread_mutex_destroy(&ev->lock);
    ev->magic = 0;
    free(ev);
}

/* ---- frames */

/* A frame is lines, so a line end in the data (between tokens, as texts escape theirs) becomes a space. */
static void put_data(struct buf *b, const char *data, size_t len)
{
    size_t from = b->len;
    if (buf_append(b, data, len) < 0)
        return;
    for (size_t i = from; i < b->len; i++)
        if (b->data[i] == '\n' || b->data[i] == '\r')
            b->data[i] = ' ';
}

static struct blob *make_frame(const char *id, const char *prefix, const char *type, const char *entity_type,
                               const char *entity_id, const char *data, size_t len)
{
    struct buf b, json;
    struct jw w;
    buf_init(&b, 0);
    buf_init(&json, 0);
    jw_init(&w, &json);
    jw_object(&w);
    jw_key(&w, "id");
    jw_string(&w, id);
    jw_key(&w, "type");
    jw_string(&w, type);
    jw_key(&w, "at");
    jw_time(&w, clock_now_ms());
    jw_key(&w, "entityType");
    jw_string(&w, entity_type);
    jw_key(&w, "entityId");
    jw_string(&w, entity_id);
    jw_key(&w, "data");
    jw_raw(&w, len ? data : "null", len ? len : 4);
    jw_end(&w);
    (void)buf_printf(&b, "%sid: %s\nevent: %s\ndata: ", prefix, id, type);
    put_data(&b, buf_str(&json), json.len);
    (void)buf_puts(&b, "\n\n");
    struct blob *frame = buf_ok(&json) ? blob_from_buf(&b) : NULL;
    buf_done(&json);
    buf_done(&b);
    return frame;
}

static struct frame *slot(struct events *ev, uint64_t seq)
{
    return &ev->ring[seq % HISTORY_FRAMES];
}

static void forget_oldest(struct events *ev)
{
    struct frame *f = slot(ev, ev->first++);
    ev->ring_bytes -= f->blob->len;
    blob_unref(TAKE(f->blob));
}

/* Keeps a frame for those who resume; takes over the reference. */
static void remember(struct events *ev, struct blob *frame, const char *type, bool admin_only)
{
    while (ev->first <= ev->last &&
           (ev->last - ev->first + 1 >= HISTORY_FRAMES || ev->ring_bytes + frame->len > HISTORY_BYTES))
        forget_oldest(ev);
    struct frame *f = slot(ev, ++ev->last);
    f->blob = frame;
    f->admin_only = admin_only;
    str_copy(f->type, sizeof f->type, type);
    ev->ring_bytes += frame->len;
    if (ev->ring_bytes > HISTORY_BYTES) /* one frame bigger than the whole history */
        forget_oldest(ev);
}

static bool wants(const struct subscriber *s, const char *type, bool admin_only)
{
    if (admin_only && !s->is_admin)
        return false;
    for (unsigned i = 0; i < s->filter_count; i++) {
        size_t n = strlen(s->filters[i]);
        if (s->filters[i][n - 1] == '*' ? strncmp(type, s->filters[i], n - 1) == 0 : str_eq(type, s->filters[i]))
            return true;
    }
    return s->filter_count == 0;
}

static bool is_admin_only(const char *entity_type)
{
    return str_eq(entity_type, "key") || str_eq(entity_type, "audit");
}

static void id_text(const struct events *ev, uint64_t seq, char ret[TYPE_SIZE])
{
    (void)snprintf(ret, TYPE_SIZE, "%s-%llu", ev->boot, (unsigned long long)seq);
}

void events_publish(struct events *ev, const char *type, const char *entity_type, const char *entity_id,
                    const char *data, size_t len)
{
    MAGIC_CHECK(ev, EVENTS_MAGIC);
    char id[TYPE_SIZE];
    bool admin_only = is_admin_only(entity_type);
    (void)pthread_mutex_lock(&ev->lock);
    id_text(ev, ev->last + 1, id);
    struct blob *frame = make_frame(id, "", type, entity_type, entity_id, data, len);
    if (frame) {
        for (struct subscriber *s = ev->subscribers; s; s = s->next)
            if (wants(s, type, admin_only))
                (void)http_stream_send(s->stream, frame);
        remember(ev, frame, type, admin_only);
    }
    (void)pthread_mutex_unlock(&ev->lock);
    if (!frame)
        log_error("memory is short: an event %s of %s is lost", type, entity_id ? entity_id : "the hub");
    unsigned n = atomic_load(&ev->listener_count);
    for (unsigned i = 0; i < n; i++)
        ev->listeners[i].fn(ev->listeners[i].ctx, type, entity_id, data, len);
}

int events_listen(struct events *ev, events_listener fn, void *ctx)
{
    MAGIC_CHECK(ev, EVENTS_MAGIC);
    (void)pthread_mutex_lock(&ev->lock);
    unsigned n = atomic_load(&ev->listener_count);
    if (n < LISTENERS) {
        ev->listeners[n].fn = fn;
        ev->listeners[n].ctx = ctx;
        atomic_store(&ev->listener_count, n + 1);
    }
    (void)pthread_mutex_unlock(&ev->lock);
    return n < LISTENERS ? 0 : -ENOSPC;
}

unsigned events_subscribers(const struct events *ev)
{
    return atomic_load(&ev->count);
}

/* ---- subscribing */

static struct subscriber *subscriber_new(struct events *ev, const struct request *rq)
{
    struct subscriber *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    const json_t *types = request_param(rq, "types");
    size_t n = json_array_size(types);
    s->filters = n ? calloc(n, sizeof *s->filters) : NULL;
    if (n && !s->filters) {
        free(s);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type && *type)
            str_copy(s->filters[s->filter_count++], TYPE_SIZE, type);
    }
    atomic_init(&s->refs, 2);
    s->bus = ev;
    s->is_admin = request_actor(rq)->role == ROLE_ADMIN;
    s->expires_ms = request_actor(rq)->expires_ms;
    str_copy(s->actor_id, sizeof s->actor_id, request_actor(rq)->id);
    return s;
}

/* Where a client with this Last-Event-ID goes on: the first event it has not seen; 0: it has missed some that are gone. */
static uint64_t resume_at(const struct events *ev, const char *last_id)
{
    size_t boot = strlen(ev->boot);
    int64_t seq = 0;
    if (strncmp(last_id, ev->boot, boot) != 0 || last_id[boot] != '-' || str_to_int64(last_id + boot + 1, &seq) < 0 ||
        seq < 0)
        return 0;
    uint64_t next = (uint64_t)seq + 1;
    return next >= ev->first && next <= ev->last + 1 ? next : 0;
}

static size_t replay_bytes(struct events *ev, const struct subscriber *s, uint64_t from)
{
    size_t bytes = 0;
    for (uint64_t seq = from; seq <= ev->last; seq++) {
        const struct frame *f = slot(ev, seq);
        if (wants(s, f->type, f->admin_only))
            bytes += f->blob->len;
    }
    return bytes;
}

static void send_own(struct subscriber *s, const char *prefix, const char *id, const char *type)
{
    struct blob *frame = make_frame(id, prefix, type, "stream", NULL, NULL, 0);
    if (frame)
        (void)http_stream_send(s->stream, frame);
    blob_unref(frame);
}

/* `hello` comes at once (a proxy that holds back small replies passes it on); its id lets a stream that broke before
 * its first event resume as well. */
static void greet(struct events *ev, struct subscriber *s, const char *last_id)
{
    char id[TYPE_SIZE], retry[32];
    uint64_t from = last_id ? resume_at(ev, last_id) : ev->last + 1;
    bool reset = !from || replay_bytes(ev, s, from) > RESUME_BYTES;
    (void)snprintf(retry, sizeof retry, "retry: %d\n", RETRY_MS);
    id_text(ev, reset ? ev->last : from - 1, id);
    send_own(s, retry, id, "hello");
    if (reset)
        send_own(s, "", id, "reset");
    for (uint64_t seq = from; !reset && seq <= ev->last; seq++) {
        const struct frame *f = slot(ev, seq);
        if (wants(s, f->type, f->admin_only))
            (void)http_stream_send(s->stream, f->blob);
    }
}

int events_subscribe(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct events *ev = room;
    MAGIC_CHECK(ev, EVENTS_MAGIC);
    if (atomic_fetch_add(&ev->count, 1) >= SUBSCRIBERS) {
        atomic_fetch_sub(&ev->count, 1);
        int r =
            error_set(e, ERR_UNAVAILABLE, "There are %u event streams already, as many as the hub takes.", SUBSCRIBERS);
        e->retry_after_s = 30;
        return r;
    }
    struct subscriber *s = subscriber_new(ev, rq);
    if (!s) {
        atomic_fetch_sub(&ev->count, 1);
        return error_errno(e, -ENOMEM, "Opening an event stream");
    }
    char last_id[TYPE_SIZE + 1] = "";
    const char *given = request_str(rq, "Last-Event-ID");
    str_copy(last_id, sizeof last_id, given ? given : "");
    reply_header(rp, "Cache-Control", "no-store, no-transform");
    reply_header(rp, "X-Accel-Buffering", "no");
    (void)pthread_mutex_lock(&ev->lock);
    if (ev->listed > 2 * atomic_load(&ev->count) + 64)
        sweep(ev);
    s->stream = reply_stream(rp, rq, "text/event-stream", on_close, s);
    bool begun = s->stream != NULL;
    if (begun) {
        greet(ev, s, *last_id ? last_id : NULL);
        s->next = ev->subscribers;
        ev->subscribers = s;
        ev->listed++;
    }
    (void)pthread_mutex_unlock(&ev->lock);
    if (begun)
        return 0;
    atomic_fetch_sub(&ev->count, 1);
    free(s->filters);
    free(s);
    return error_errno(e, -ENOMEM, "Beginning an event stream");
}
