#include "integrations/docker/docker_ssh_channel.h"

#include "base/str.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_ssh.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_MAGIC 0x64736368u
#define PIECE ((size_t)32 << 10)
#define ACCEPT_MS 10000
#define PROGRAM "docker system dial-stdio" /* a constant: nothing of ours is put into it */

enum phase { BY_SOCKET, BY_PROGRAM, STARTING, MOVING, ENDED };

struct half {
    char bytes[PIECE];
    size_t at, len;
};

struct docker_ssh_channel {
    uint32_t magic;
    struct docker_ssh_channel *next;
    void *tag;
    ssh_session session;
    ssh_channel channel;
    enum phase phase;
    bool program, far_ended, heard;
    char path[112];
    int fd;         /* listening until this process connected to it */
    bool listening;
    int64_t until;  /* when that has to be, ms of the monotonic clock */
    struct half in, out; /* from the engine, to the engine */
    char words[DOCKER_SSH_WORDS];
};

struct docker_ssh_channel *docker_ssh_channel_new(ssh_session session, const char *path, int fd, bool by_program,
                                                  void *tag)
{
    struct docker_ssh_channel *c = calloc(1, sizeof(*c));
    ssh_channel channel = c ? ssh_channel_new(session) : NULL;
    if (!channel) {
        free(c);
        return NULL;
    }
    c->magic = CHANNEL_MAGIC;
    c->session = session;
    c->channel = channel;
    c->phase = by_program ? BY_PROGRAM : BY_SOCKET;
    c->fd = fd;
    c->listening = true;
    c->tag = tag;
    str_copy(c->path, sizeof(c->path), path);
    return c;
}

void docker_ssh_channel_free(struct docker_ssh_channel *c)
{
    if (!c)
        return;
    MAGIC_CHECK(c, CHANNEL_MAGIC);
    if (c->channel)
        ssh_channel_free(c->channel);
    (void)close(c->fd);
    c->magic = 0;
    free(c);
}

static void end(struct docker_ssh_channel *c)
{
    c->phase = ENDED;
}

/* ---- opening ---- */

static void say(struct docker_ssh_channel *c, const char *why)
{
    char clean[DOCKER_WORDS_MAX];
    size_t have = strlen(c->words);
    docker_words(clean, why, strlen(why));
    str_copy(c->words + have, sizeof(c->words) - have, have ? "; " : "");
    have = strlen(c->words);
    str_copy(c->words + have, sizeof(c->words) - have, clean);
}

static void try_program(struct docker_ssh_channel *c)
{
    say(c, ssh_get_error(c->session));
    ssh_channel_free(c->channel);
    c->channel = ssh_is_connected(c->session) ? ssh_channel_new(c->session) : NULL;
    c->phase = c->channel ? BY_PROGRAM : ENDED;
}

static void open_step(struct docker_ssh_channel *c)
{
    enum phase before = c->phase;
    int r = before == BY_SOCKET    ? ssh_channel_open_forward_unix(c->channel, c->path, "localhost", 0)
            : before == BY_PROGRAM ? ssh_channel_open_session(c->channel)
                                   : ssh_channel_request_exec(c->channel, PROGRAM);
    if (r == SSH_AGAIN)
        return;
    if (r == SSH_OK) {
        c->program = before == STARTING;
        c->phase = before == BY_PROGRAM ? STARTING : MOVING;
    } else if (before == BY_SOCKET) {
        try_program(c);
    } else {
        say(c, ssh_get_error(c->session));
        end(c);
    }
}

/* ---- the local end ---- */

static bool is_ours(int fd)
{
    struct ucred who = { 0 };
    socklen_t len = sizeof(who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == getpid();
}

/* Anyone on this machine may knock on the address: others are sent away. */
static void accept_step(struct docker_ssh_channel *c)
{
    int fd;
    if (!c->until)
        c->until = docker_mono_ms() + ACCEPT_MS;
    while ((fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0 && !is_ours(fd))
        (void)close(fd);
    if (fd >= 0) {
        (void)close(c->fd);
        c->fd = fd;
        c->listening = false;
    } else if (docker_mono_ms() > c->until) {
        end(c);
    }
}

/* ---- moving ---- */

/* Passes on to the local socket; false when nobody is there. */
static bool flush_in(struct docker_ssh_channel *c)
{
    while (c->in.at < c->in.len) {
        ssize_t n = send(c->fd, c->in.bytes + c->in.at, c->in.len - c->in.at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->in.at += (size_t)n;
    }
    return true;
}

/* What the program says for people, such as that it is not there. */
static void hear_words(struct docker_ssh_channel *c)
{
    char text[DOCKER_SSH_WORDS];
    int n = ssh_channel_read_nonblocking(c->channel, text, sizeof(text) - 1, 1);
    if (n <= 0 || c->heard)
        return;
    text[n] = '\0';
    say(c, text);
}

static void move_in(struct docker_ssh_channel *c)
{
    while (c->phase == MOVING) {
        if (!flush_in(c)) {
            end(c);
            return;
        }
        if (c->in.at < c->in.len || c->far_ended)
            break;
        int n = ssh_channel_read_nonblocking(c->channel, c->in.bytes, PIECE, 0);
        c->far_ended = n == SSH_EOF || n == SSH_ERROR || (n == 0 && ssh_channel_is_closed(c->channel));
        if (n <= 0)
            break;
        c->heard = true;
        *c->words = '\0'; /* it works: what was said on the way does not matter */
        c->in.at = 0;
        c->in.len = (size_t)n;
    }
    if (c->program)
        hear_words(c);
    if (c->far_ended && c->in.at == c->in.len)
        end(c);
}

static void move_out(struct docker_ssh_channel *c)
{
    while (c->phase == MOVING) {
        if (c->out.at == c->out.len) {
            ssize_t n = ssh_channel_window_size(c->channel) ? recv(c->fd, c->out.bytes, PIECE, MSG_DONTWAIT) : -1;
            if (n == 0 || (n < 0 && ssh_channel_window_size(c->channel) && errno != EAGAIN && errno != EINTR))
                end(c); /* an HTTP client that closes wants nothing more */
            if (n <= 0)
                return;
            c->out.at = 0;
            c->out.len = (size_t)n;
        }
        int n = ssh_channel_write(c->channel, c->out.bytes + c->out.at, (uint32_t)(c->out.len - c->out.at));
        if (n == SSH_ERROR)
            end(c);
        if (n <= 0)
            return;
        c->out.at += (size_t)n;
    }
}

enum docker_ssh_step docker_ssh_channel_step(struct docker_ssh_channel *c)
{
    MAGIC_CHECK(c, CHANNEL_MAGIC);
    for (enum phase before = ENDED; c->phase != before && c->phase < MOVING;) {
        before = c->phase;
        open_step(c);
    }
    if (c->phase == MOVING && c->listening)
        accept_step(c);
    if (!c->listening) {
        move_in(c);
        move_out(c);
    }
    return c->phase == ENDED ? SSH_STEP_ENDED : c->phase == MOVING ? SSH_STEP_OPEN : SSH_STEP_OPENING;
}

struct pollfd docker_ssh_channel_poll(const struct docker_ssh_channel *c)
{
    short events = c->phase == MOVING && c->listening ? POLLIN : 0;
    if (events)
        return (struct pollfd){ .fd = c->fd, .events = events };
    if (c->phase == MOVING && c->in.at < c->in.len)
        events |= POLLOUT;
    if (c->phase == MOVING && c->out.at == c->out.len && ssh_channel_window_size(c->channel))
        events |= POLLIN;
    return (struct pollfd){ .fd = events ? c->fd : -1, .events = events };
}

bool docker_ssh_channel_by_program(const struct docker_ssh_channel *c)
{
    return c->program;
}

const char *docker_ssh_channel_words(const struct docker_ssh_channel *c)
{
    return c->words;
}

void *docker_ssh_channel_tag(const struct docker_ssh_channel *c)
{
    return c->tag;
}

void docker_ssh_channel_untag(struct docker_ssh_channel *c)
{
    c->tag = NULL;
}

struct docker_ssh_channel *docker_ssh_channel_next(const struct docker_ssh_channel *c)
{
    return c->next;
}

void docker_ssh_channel_link(struct docker_ssh_channel *c, struct docker_ssh_channel *next)
{
    c->next = next;
}
