/* Whether an address is drained: the router counts nothing in flight to it, and no connection to it is established. */
#include "gateway/internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_LIMIT (64 << 20)
#define STATE_ESTABLISHED 1

/* The peer of a connection as the kernel writes it in /proc/net/tcp: hexadecimal, in the machine's byte order, or "" for
 * an address that is not numeric (of another machine: only the router's count tells). */
struct peer {
    char v4[16], v6[48]; /* "0100007F:1F90" */
};

static void peer_of(const char *address, struct peer *ret)
{
    char host[300];
    struct in_addr v4;
    struct in6_addr v6;
    const char *colon = strrchr(address, ':');
    size_t n = (size_t)(colon - address);
    unsigned port = (unsigned)strtoul(colon + 1, NULL, 10);
    *ret = (struct peer){ "", "" };
    if (n >= sizeof host)
        return;
    bool bracketed = address[0] == '[';
    (void)snprintf(host, sizeof host, "%.*s", (int)(bracketed ? n - 2 : n), address + bracketed);
    if (str_eq(host, "localhost"))
        str_copy(host, sizeof host, "127.0.0.1");
    if (inet_pton(AF_INET, host, &v4) == 1) {
        (void)snprintf(ret->v4, sizeof ret->v4, "%08X:%04X", v4.s_addr, port);
        (void)snprintf(ret->v6, sizeof ret->v6, "0000000000000000%08X%08X:%04X", (unsigned)htonl(0xffff), v4.s_addr,
                       port);
    } else if (inet_pton(AF_INET6, host, &v6) == 1) {
        uint32_t w[4];
        memcpy(w, &v6, sizeof w);
        (void)snprintf(ret->v6, sizeof ret->v6, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3], port);
    }
}

/* The hub's own connections (health checks that keep theirs open) are nobody's traffic. */
static bool is_own_socket(unsigned long inode)
{
    char wanted[48], path[48], target[64];
    bool own = false;
    DIR *d = opendir("/proc/self/fd");
    (void)snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    for (struct dirent *x; d && !own && (x = readdir(d));) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%.20s", x->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        own = str_eq(target, wanted);
    }
    if (d)
        (void)closedir(d);
    return own;
}

/* One line of the table: "sl local remote st tx:rx tr:when retr uid timeout inode …". */
static bool is_connection_to(const char *line, const char *peer)
{
    char remote[64];
    unsigned state = 0;
    unsigned long inode = 0;
    if (sscanf(line, " %*u: %*63s %63s %x %*s %*s %*s %*u %*u %lu", remote, &state, &inode) < 2)
        return false;
    return state == STATE_ESTABLISHED && str_eq(remote, peer) && !is_own_socket(inode);
}

static bool connected_in(const char *table, const char *peer)
{
    _cleanup_free_ char *text = NULL;
    char *rest = NULL;
    bool found = false;
    if (!peer[0] || file_read(table, TABLE_LIMIT, &text, NULL) < 0)
        return false;
    for (char *line = strtok_r(text, "\n", &rest); line && !found; line = strtok_r(NULL, "\n", &rest))
        found = strstr(line, peer) && is_connection_to(line, peer);
    return found;
}

int gateway_quiet(struct gateway *g, const char *address, struct error *e)
{
    int64_t in_flight = 0;
    if (!address_good(address))
        return error_set(e, ERR_VALIDATION, "\"%s\" is no address of one host and one port.", address ? address : "");
    int r = g->router ? g->router->ops->in_flight(g->router, address, &in_flight, e) : 0;
    return r < 0 ? r : in_flight == 0;
}

int gateway_drained(struct gateway *g, const char *address, struct error *e)
{
    struct peer peer;
    int r = gateway_quiet(g, address, e);
    if (r != 1)
        return r;
    peer_of(address, &peer);
    return !connected_in("/proc/net/tcp", peer.v4) && !connected_in("/proc/net/tcp6", peer.v6);
}
