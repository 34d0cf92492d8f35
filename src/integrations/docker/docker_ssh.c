#include "integrations/docker/docker_ssh.h"

#include "base/str.h"
#include "integrations/docker/docker_ssh_channel.h"
#include "integrations/docker/docker_ssh_session.h"

#include <errno.h>
#include <libssh/server.h> /* ssh_send_keepalive */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SSH_MAGIC 0x64737368u
#define REACH_MS 8000
#define QUIET_MS 15000 /* without a byte from the host: ask whether it is there */
#define DEAD_MS 45000  /* without one: it is not */
#define TURN_MS 5000

enum dial_state { DIAL_WAITING, DIAL_DONE, DIAL_FAILED };

/* A dial's request: on the heap until both sides let go of it. */
struct dial {
    struct dial *next;
    enum dial_state state;
    bool abandoned;   /* its caller went away: whoever ends it frees it */
    int fd;           /* where the local end waits; -1: handed on */
    struct error e;
};

struct docker_ssh {
    uint32_t magic;
    struct docker_ssh_address address;
    struct docker_ssh_identity identity;
    int wake; /* an eventfd */

    pthread_mutex_t lock; /* of what follows, up to the thread's own */
    pthread_cond_t changed;
    struct dial *dials;
    bool running, stop;
    struct docker_ssh_wire wire;
    char words[DOCKER_SSH_WORDS];

    pthread_t thread; /* and what only it touches */
    ssh_session session;
    ssh_event event;
    struct ssh_counter_struct traffic;
    uint64_t heard_bytes;
    int64_t heard_ms, asked_ms;
    bool use_program; /* the host does not pass sockets on, its docker program does */
    struct docker_ssh_channel *channels;
};

int64_t docker_mono_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static char *copy_text(const char *text)
{
    return text && *text ? strdup(text) : NULL;
}

/* ---- the callers' side ---- */

static int fill(struct docker_ssh *s, const struct docker_ssh_options *o, struct error *e)
{
    size_t len;
    int r = docker_ssh_address_parse(o->url, &s->address, e);
    if (r < 0)
        return r;
    const char *key = o->key ? secret_reveal(o->key, &len) : NULL;
    s->identity.key = key ? secret_new(key, len) : NULL;
    s->identity.fingerprint = copy_text(o->fingerprint);
    s->identity.known_hosts = copy_text(o->known_hosts);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool whole = (!key || s->identity.key) && (!o->fingerprint || !*o->fingerprint || s->identity.fingerprint) &&
                 (!o->known_hosts || !*o->known_hosts || s->identity.known_hosts) && s->wake >= 0;
    return whole ? 0 : error_errno(e, -ENOMEM, "Preparing SSH");
}

int docker_ssh_new(const struct docker_ssh_options *o, struct docker_ssh **ret, struct error *e)
{
    pthread_condattr_t monotonic;
    struct docker_ssh *s = calloc(1, sizeof(*s));
    if (!s)
        return error_errno(e, -ENOMEM, "Preparing SSH");
    s->magic = SSH_MAGIC;
    s->wake = -1;
    s->wire = DOCKER_SSH_WIRE_NONE;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int r = fill(s, o, e);
    if (r < 0) {
        docker_ssh_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

static void wake(struct docker_ssh *s)
{
    const uint64_t one = 1;
    (void)!write(s->wake, &one, sizeof(one)); /* full means that it wakes anyway */
}

static void *run(void *ssh);

static int begin(struct docker_ssh *s, struct dial *d, struct error *e)
{
    (void)pthread_mutex_lock(&s->lock);
    if (!s->running)
        s->running = pthread_create(&s->thread, NULL, run, s) == 0;
    bool begun = s->running && !s->stop;
    if (begun) {
        struct dial **last = &s->dials;
        while (*last)
            last = &(*last)->next;
        *last = d;
    }
    (void)pthread_mutex_unlock(&s->lock);
    wake(s);
    return begun ? 0 : error_set(e, ERR_UNAVAILABLE, "SSH to %.80s cannot be started.", s->address.host);
}

/* Waits until the thread has settled it; a caller that waited too long breaks what the thread hangs in. */
static enum dial_state await(struct docker_ssh *s, struct dial *d)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DOCKER_SSH_DIAL_MS / 1000;
    (void)pthread_mutex_lock(&s->lock);
    while (d->state == DIAL_WAITING && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    enum dial_state state = d->state;
    if (state == DIAL_WAITING) {
        d->abandoned = true;
        docker_ssh_wire_break(&s->wire);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return state;
}

/* An address that the kernel chooses, in no folder. */
static int listen_once(struct sockaddr_un *ret_at, socklen_t *ret_len)
{
    const struct sockaddr_un any = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret_len = sizeof(*ret_at);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) == 0 && listen(fd, 4) == 0 &&
        getsockname(fd, (struct sockaddr *)ret_at, ret_len) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

int docker_ssh_dial(struct docker_ssh *s, struct sockaddr_un *ret_at, socklen_t *ret_len, struct error *e)
{
    MAGIC_CHECK(s, SSH_MAGIC);
    struct sockaddr_un at;
    socklen_t len;
    struct dial *d = calloc(1, sizeof(*d));
    int fd = d ? listen_once(&at, &len) : -1;
    if (fd < 0) {
        free(d);
        return error_errno(e, -ENOMEM, "Calling the container engine by SSH");
    }
    d->fd = fd;
    int r = begin(s, d, e);
    if (r < 0) {
        (void)close(fd);
        free(d);
        return r;
    }
    switch (await(s, d)) {
    case DIAL_DONE:
        free(d);
        *ret_at = at;
        *ret_len = len;
        return 0;
    case DIAL_FAILED:
        r = error_set(e, d->e.code, "%s", d->e.message);
        free(d);
        return r;
    default:
        return error_set(e, ERR_UNAVAILABLE, "The host %.80s did not let an SSH connection through within %d s.",
                         s->address.host, DOCKER_SSH_DIAL_MS / 1000);
    }
}

void docker_ssh_words(struct docker_ssh *s, char *ret, size_t size)
{
    MAGIC_CHECK(s, SSH_MAGIC);
    (void)pthread_mutex_lock(&s->lock);
    str_copy(ret, size, s->words);
    (void)pthread_mutex_unlock(&s->lock);
}

void docker_ssh_free(struct docker_ssh *s)
{
    if (!s)
        return;
    MAGIC_CHECK(s, SSH_MAGIC);
    (void)pthread_mutex_lock(&s->lock);
    s->stop = true;
    docker_ssh_wire_break(&s->wire); /* a login in the middle ends */
    bool running = s->running;
    (void)pthread_mutex_unlock(&s->lock);
    if (running) {
        wake(s);
        (void)pthread_join(s->thread, NULL);
    }
    docker_ssh_address_done(&s->address);
    secret_free(s->identity.key);
    free(s->identity.fingerprint);
    free(s->identity.known_hosts);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    if (s->wake >= 0)
        (void)close(s->wake);
    s->magic = 0;
    free(s);
}

/* ---- the thread's side ---- */

/* NULL error: it is connected. */
static void settle(struct docker_ssh *s, struct dial *d, const struct error *failure)
{
    (void)pthread_mutex_lock(&s->lock);
    bool abandoned = d->abandoned;
    d->state = failure ? DIAL_FAILED : DIAL_DONE;
    if (failure)
        (void)error_set(&d->e, failure->code, "%s", failure->message);
    if (d->fd >= 0)
        (void)close(d->fd);
    d->fd = -1;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    if (abandoned)
        free(d);
}

static struct dial *dials_take(struct docker_ssh *s, bool *ret_stop)
{
    (void)pthread_mutex_lock(&s->lock);
    struct dial *all = TAKE(s->dials);
    *ret_stop = s->stop;
    (void)pthread_mutex_unlock(&s->lock);
    return all;
}

static void wire_set(struct docker_ssh *s, struct docker_ssh_wire wire)
{
    (void)pthread_mutex_lock(&s->lock);
    s->wire = wire;
    if (s->stop)
        docker_ssh_wire_break(&wire);
    (void)pthread_mutex_unlock(&s->lock);
}

/* A channel's end settles its dial, when that still waits, and keeps what the other side said. */
static void channel_ended(struct docker_ssh *s, struct docker_ssh_channel *c)
{
    const char *words = docker_ssh_channel_words(c);
    struct dial *d = docker_ssh_channel_tag(c);
    struct error e = ERROR_INIT;
    (void)pthread_mutex_lock(&s->lock);
    str_copy(s->words, sizeof(s->words), words);
    (void)pthread_mutex_unlock(&s->lock);
    if (d) {
        (void)error_set(&e, s->session && ssh_is_connected(s->session) ? ERR_UPSTREAM : ERR_UNAVAILABLE,
                        "%.80s does not pass the engine's socket %.108s on by SSH: %.200s", s->address.host,
                        s->address.socket, *words ? words : "the connection was lost.");
        settle(s, d, &e);
    }
    docker_ssh_channel_free(c);
}

static void session_end(struct docker_ssh *s)
{
    struct docker_ssh_wire wire;
    while (s->channels) {
        struct docker_ssh_channel *c = s->channels;
        s->channels = docker_ssh_channel_next(c);
        channel_ended(s, c);
    }
    if (!s->session)
        return;
    ssh_event_free(s->event); /* takes the session out of it */
    ssh_disconnect(s->session);
    ssh_free(s->session);
    s->session = NULL;
    s->event = NULL;
    (void)pthread_mutex_lock(&s->lock);
    wire = s->wire;
    s->wire = DOCKER_SSH_WIRE_NONE;
    (void)pthread_mutex_unlock(&s->lock);
    docker_ssh_wire_close(&wire);
}

static int session_begin(struct docker_ssh *s, struct error *e)
{
    struct docker_ssh_wire wire = DOCKER_SSH_WIRE_NONE;
    ssh_session session = NULL;
    int r = docker_ssh_reach(&s->address, REACH_MS, &wire, e);
    if (r < 0)
        return r;
    wire_set(s, wire);
    r = docker_ssh_log_in(wire.fd, &s->address, &s->identity, &session, e);
    s->event = r == 0 ? ssh_event_new() : NULL;
    if (r == 0 && (!s->event || ssh_event_add_session(s->event, session) != SSH_OK)) {
        ssh_event_free(s->event);
        s->event = NULL;
        ssh_disconnect(session);
        ssh_free(session);
        r = error_errno(e, -ENOMEM, "Calling the container engine by SSH");
    }
    if (r < 0) {
        wire_set(s, DOCKER_SSH_WIRE_NONE);
        docker_ssh_wire_close(&wire);
        return r;
    }
    s->session = session;
    s->use_program = false;
    s->heard_ms = s->asked_ms = docker_mono_ms();
    s->heard_bytes = 0;
    s->traffic = (struct ssh_counter_struct){ 0 };
    ssh_set_blocking(session, 0);
    ssh_set_counters(session, &s->traffic, NULL);
    return 0;
}

/* Those that came while the host did not answer share its answer. */
static void dials_begin(struct docker_ssh *s, struct dial *all)
{
    struct error e = ERROR_INIT;
    int r = s->session || !all ? 0 : session_begin(s, &e);
    while (all) {
        struct dial *d = all;
        all = d->next;
        d->next = NULL;
        struct docker_ssh_channel *c =
            r < 0 ? NULL : docker_ssh_channel_new(s->session, s->address.socket, d->fd, s->use_program, d);
        if (!c) {
            if (r == 0)
                (void)error_errno(&e, -ENOMEM, "Calling the container engine by SSH");
            settle(s, d, &e);
            continue;
        }
        d->fd = -1; /* the channel's now */
        docker_ssh_channel_link(c, s->channels);
        s->channels = c;
    }
    error_done(&e);
}

static void step_once(struct docker_ssh *s)
{
    struct docker_ssh_channel *kept = NULL, *c, *next;
    for (c = s->channels; c; c = next) {
        next = docker_ssh_channel_next(c);
        enum docker_ssh_step step = docker_ssh_channel_step(c);
        if (step == SSH_STEP_ENDED) {
            channel_ended(s, c);
            continue;
        }
        struct dial *d = docker_ssh_channel_tag(c);
        if (step == SSH_STEP_OPEN && d) {
            s->use_program = docker_ssh_channel_by_program(c);
            docker_ssh_channel_untag(c);
            settle(s, d, NULL);
        }
        docker_ssh_channel_link(c, kept);
        kept = c;
    }
    s->channels = kept;
}

/* Again while packets come in: one that is read for one channel may be another's, which had its turn. */
static void channels_step(struct docker_ssh *s)
{
    uint64_t before;
    do {
        before = s->traffic.in_bytes;
        step_once(s);
    } while (s->session && s->traffic.in_bytes != before);
}

/* False when the host is not there any more. */
static bool session_alive(struct docker_ssh *s)
{
    int64_t now = docker_mono_ms();
    if (s->traffic.in_bytes != s->heard_bytes) {
        s->heard_bytes = s->traffic.in_bytes;
        s->heard_ms = now;
    }
    if (!ssh_is_connected(s->session) || now - s->heard_ms >= DEAD_MS)
        return false;
    if (now - s->heard_ms >= QUIET_MS && now - s->asked_ms >= QUIET_MS) {
        s->asked_ms = now;
        (void)ssh_send_keepalive(s->session);
    }
    return true;
}

/* Sleeps until something can move. */
static void turn(struct docker_ssh *s)
{
    struct pollfd p[2 + DOCKER_SSH_CHANNELS_MAX] = { { .fd = s->wake, .events = POLLIN }, { .fd = -1 } };
    uint64_t unused;
    nfds_t n = 2;
    if (s->session) {
        short more = ssh_get_poll_flags(s->session) & SSH_WRITE_PENDING ? POLLOUT : 0;
        p[1] = (struct pollfd){ .fd = ssh_get_fd(s->session), .events = (short)(POLLIN | more) };
    }
    for (struct docker_ssh_channel *c = s->channels; c && n < ARRAY_LEN(p); c = docker_ssh_channel_next(c))
        p[n++] = docker_ssh_channel_poll(c);
    (void)poll(p, n, s->session ? TURN_MS : -1);
    (void)!read(s->wake, &unused, sizeof(unused));
    if (s->session && p[1].revents)
        (void)ssh_event_dopoll(s->event, 0); /* takes in what came, also when no channel can take it on */
}

static void *run(void *ssh)
{
    struct docker_ssh *s = ssh;
    MAGIC_CHECK(s, SSH_MAGIC);
    bool stop = false;
    struct dial *d;
    for (;;) {
        d = dials_take(s, &stop);
        if (stop)
            break;
        dials_begin(s, d);
        if (s->session && !session_alive(s))
            session_end(s);
        channels_step(s);
        if (s->session && !ssh_is_connected(s->session))
            session_end(s);
        turn(s);
    }
    session_end(s);
    struct error e = ERROR_INIT;
    (void)error_set(&e, ERR_UNAVAILABLE, "The container engine is closed.");
    for (struct dial *next; d; d = next) {
        next = d->next;
        settle(s, d, &e);
    }
    return NULL;
}
