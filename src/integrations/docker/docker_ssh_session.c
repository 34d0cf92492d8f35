#include "integrations/docker/docker_ssh_session.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SSH_PORT 22
#define STEP_S 10L /* of the handshake and the login */
#define PART_MAX 255

/* ---- the address ---- */

void docker_ssh_address_done(struct docker_ssh_address *a)
{
    free(a->user);
    free(a->host);
    free(a->socket);
    *a = (struct docker_ssh_address){ 0 };
}

static bool part_valid(const char *text, const char *others)
{
    if (!*text || strlen(text) > PART_MAX || *text == '-')
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c >= 0x80 || (!isalnum(*c) && !strchr(others, *c)))
            return false;
    return true;
}

/* "host", "host:22", "[::1]:22": takes port and brackets off; false for what is none. */
static bool port_take(char *host, uint16_t *ret)
{
    char *end = *host == '[' ? strchr(host, ']') : NULL;
    char *colon = strchr(end ? end : host, ':');
    int64_t n = SSH_PORT;
    if ((*host == '[' && !end) || (end && end[1] && colon != end + 1))
        return false;
    if (colon && (str_to_int64(colon + 1, &n) < 0 || n < 1 || n > 65535))
        return false;
    *ret = (uint16_t)n;
    if (colon)
        *colon = '\0';
    if (end) {
        *end = '\0';
        memmove(host, host + 1, strlen(host + 1) + 1);
    }
    return true;
}

static bool address_read(const char *url, struct docker_ssh_address *a)
{
    const char *rest = url + strlen("ssh://"), *path = strchr(rest, '/');
    size_t n = path ? (size_t)(path - rest) : strlen(rest);
    _cleanup_free_ char *host = strndup(rest, n);
    char *at = host ? strrchr(host, '@') : NULL;
    if (!host)
        return false;
    if (at) {
        *at = '\0';
        a->user = strdup(host);
        memmove(host, at + 1, strlen(at + 1) + 1);
    }
    if (!port_take(host, &a->port))
        return false;
    a->host = strdup(host);
    a->socket = strdup(path && path[1] ? path : DOCKER_SSH_SOCKET_DEFAULT);
    return a->host && a->socket && (!at || (a->user && part_valid(a->user, "._-"))) && part_valid(a->host, ".-:_%") &&
           strlen(a->socket) < 108 && part_valid(a->socket + 1, "._-/+@:") && !strstr(a->socket, "..");
}

int docker_ssh_address_parse(const char *url, struct docker_ssh_address *ret, struct error *e)
{
    struct docker_ssh_address a = { 0 };
    if (!str_starts(url, "ssh://") || strlen(url) > 1024 || !address_read(url, &a)) {
        docker_ssh_address_done(&a);
        return error_set(e, ERR_VALIDATION,
                         "\"%.80s\" is no address by SSH; write ssh://user@host[:port][/path/of/the/socket].", url);
    }
    *ret = a;
    return 0;
}

/* ---- the connection ---- */

/* Waits for a connection that was begun; 0 or a negative errno. */
static int connected(int fd, int64_t ms)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int reason = 0;
    socklen_t len = sizeof(reason);
    int n = poll(&p, 1, (int)ms);
    if (n == 0)
        return -ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &len) < 0)
        return -errno;
    return -reason;
}

static int reach_one(const struct addrinfo *to, int64_t ms)
{
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol), on = 1;
    if (fd < 0)
        return -errno;
    int r = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : -errno;
    if (r == -EINPROGRESS)
        r = connected(fd, ms);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* libssh may have closed it, and its number be another connection's by now. */
static bool wire_is_ours(const struct docker_ssh_wire *w)
{
    struct stat now;
    return w->fd >= 0 && fstat(w->fd, &now) == 0 && now.st_ino == w->inode;
}

void docker_ssh_wire_close(struct docker_ssh_wire *w)
{
    if (wire_is_ours(w))
        (void)close(w->fd);
    *w = DOCKER_SSH_WIRE_NONE;
}

void docker_ssh_wire_break(const struct docker_ssh_wire *w)
{
    if (wire_is_ours(w))
        (void)shutdown(w->fd, SHUT_RDWR);
}

int docker_ssh_reach(const struct docker_ssh_address *a, int64_t ms, struct docker_ssh_wire *ret, struct error *e)
{
    struct stat made;
    const struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *all = NULL;
    char port[8], words[96];
    (void)snprintf(port, sizeof(port), "%u", a->port);
    int r = getaddrinfo(a->host, port, &want, &all);
    if (r != 0)
        return error_set(e, ERR_UNAVAILABLE, "The host %.100s is not known: %s.", a->host, gai_strerror(r));
    r = -EHOSTUNREACH;
    size_t tries = 0;
    for (const struct addrinfo *to = all; to && r < 0 && tries < 2; to = to->ai_next, tries++)
        r = reach_one(to, ms / 2);
    freeaddrinfo(all);
    if (r < 0)
        return error_set(e, ERR_UNAVAILABLE, "The host %.100s cannot be reached by SSH on port %u: %s.", a->host,
                         a->port, strerror_r(-r, words, sizeof(words)));
    *ret = (struct docker_ssh_wire){ .fd = r, .inode = fstat(r, &made) == 0 ? made.st_ino : 0 };
    return 0;
}

/* ---- who it is ---- */

struct shown_key {
    char print[64]; /* "SHA256:…" */
    char type[32];
};

static bool key_read(ssh_session session, struct shown_key *ret)
{
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    char *print = NULL;
    if (ssh_get_server_publickey(session, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) == SSH_OK)
        print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
    str_copy(ret->print, sizeof(ret->print), print ? print : "");
    str_copy(ret->type, sizeof(ret->type), key ? ssh_key_type_to_char(ssh_key_type(key)) : "");
    bool read = print != NULL;
    ssh_string_free_char(print);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return read;
}

/* Base64 with or without its padding. */
static bool same_print(const char *a, const char *b)
{
    size_t n = strcspn(a, "="), m = strcspn(b, "=");
    return n == m && strncmp(a, b, n) == 0;
}

static int unknown_host(const struct docker_ssh_address *a, const struct docker_ssh_identity *id,
                        const struct shown_key *k, struct error *e)
{
    return error_set(
        e, ERR_UPSTREAM,
        "The SSH host key of %.80s is not known yet: %s %s. Compare it with `ssh-keygen -lf` on that host; "
        "then accept it as the node's fingerprint, or by `ssh-keyscan -p %u %.80s >> %.80s`.",
        a->host, k->type, k->print, a->port, a->host, id->known_hosts ? id->known_hosts : "~/.ssh/known_hosts");
}

static int check_known(ssh_session session, const struct docker_ssh_address *a, const struct docker_ssh_identity *id,
                       const struct shown_key *k, struct error *e)
{
    switch (ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK: return 0;
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
        return error_set(
            e, ERR_UPSTREAM,
            "The SSH host key of %.80s is another one (%s %s) than the one in known_hosts: someone may stand "
            "between, or the host was set up anew. Nothing was sent to it.",
            a->host, k->type, k->print);
    case SSH_KNOWN_HOSTS_NOT_FOUND:
    case SSH_KNOWN_HOSTS_UNKNOWN: return unknown_host(a, id, k, e);
    default: return error_set(e, ERR_UPSTREAM, "The known hosts cannot be read: %.200s.", ssh_get_error(session));
    }
}

static int check_host(ssh_session session, const struct docker_ssh_address *a, const struct docker_ssh_identity *id,
                      struct error *e)
{
    struct shown_key k;
    if (!key_read(session, &k))
        return error_set(e, ERR_UPSTREAM, "The SSH host key of %.80s cannot be read: %.200s.", a->host,
                         ssh_get_error(session));
    if (!id->fingerprint)
        return check_known(session, a, id, &k, e);
    if (same_print(k.print, id->fingerprint))
        return 0;
    return error_set(e, ERR_UPSTREAM,
                     "The SSH host key of %.80s is %s %s, and the node's fingerprint is %.60s: nothing was sent to it.",
                     a->host, k.type, k.print, id->fingerprint);
}

/* ---- who we are ---- */

static int use_key(ssh_session session, const struct secret *pem, int *ret_result, struct error *e)
{
    ssh_key key = NULL;
    size_t len;
    /* An empty passphrase, so that nobody is asked for one on a terminal. */
    if (ssh_pki_import_privkey_base64(secret_reveal(pem, &len), "", NULL, NULL, &key) != SSH_OK)
        return error_set(e, ERR_VALIDATION,
                         "The node's SSH key cannot be read: it must be a private key in PEM or OpenSSH form without a "
                         "passphrase.");
    *ret_result = ssh_userauth_publickey(session, NULL, key);
    ssh_key_free(key);
    return 0;
}

static int authenticate(ssh_session session, const struct docker_ssh_address *a, const struct docker_ssh_identity *id,
                        struct error *e)
{
    int result = SSH_AUTH_ERROR;
    int r = id->key ? use_key(session, id->key, &result, e) : 0;
    if (r < 0)
        return r;
    if (!id->key)
        result = ssh_userauth_publickey_auto(session, NULL, "");
    if (result == SSH_AUTH_SUCCESS)
        return 0;
    if (result == SSH_AUTH_ERROR && !ssh_is_connected(session))
        return error_set(e, ERR_UNAVAILABLE, "The SSH connection to %.80s ended during the login: %.200s.", a->host,
                         ssh_get_error(session));
    return error_set(e, ERR_UPSTREAM, "%.80s refused the SSH login%s%.64s with %s.", a->host, a->user ? " of " : "",
                     a->user ? a->user : "", id->key ? "the node's key" : "every key of the agent and of ~/.ssh");
}

static bool options_set(ssh_session s, int fd, const struct docker_ssh_address *a, const struct docker_ssh_identity *id)
{
    const long seconds = STEP_S;
    const unsigned port = a->port;
    const bool config = false; /* a ProxyCommand there would start a shell */
    bool ok = ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &config) == 0 &&
              ssh_options_set(s, SSH_OPTIONS_HOST, a->host) == 0 && ssh_options_set(s, SSH_OPTIONS_PORT, &port) == 0 &&
              ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &seconds) == 0 && ssh_options_set(s, SSH_OPTIONS_FD, &fd) == 0;
    if (a->user)
        ok = ok && ssh_options_set(s, SSH_OPTIONS_USER, a->user) == 0;
    if (id->known_hosts)
        ok = ok && ssh_options_set(s, SSH_OPTIONS_KNOWNHOSTS, id->known_hosts) == 0 &&
             ssh_options_set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") == 0;
    return ok;
}

int docker_ssh_log_in(int fd, const struct docker_ssh_address *a, const struct docker_ssh_identity *id,
                      ssh_session *ret, struct error *e)
{
    ssh_session s = ssh_new();
    if (!s || !options_set(s, fd, a, id)) {
        ssh_free(s);
        return error_set(e, ERR_INTERNAL, "An SSH session could not be prepared.");
    }
    int r = 0;
    if (ssh_connect(s) != SSH_OK)
        r = error_set(e, ERR_UNAVAILABLE, "%.80s does not speak SSH on port %u: %.200s.", a->host, a->port,
                      ssh_get_error(s));
    if (r == 0)
        r = check_host(s, a, id, e);
    if (r == 0)
        r = authenticate(s, a, id, e);
    if (r < 0) {
        ssh_disconnect(s);
        ssh_free(s);
        return r;
    }
    *ret = s;
    return 0;
}
