#include "security/internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* Addresses are compared as 16 bytes; IPv4 is ::ffff:a.b.c.d. */
struct network {
    uint8_t address[16];
    unsigned bits;
};

#define NETWORKS_MAX 64
struct proxies {
    struct network networks[NETWORKS_MAX];
    size_t count;
};

static bool parse_address(const char *text, uint8_t ret[16])
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        memset(ret, 0, 10);
        memset(ret + 10, 0xff, 2);
        memcpy(ret + 12, &v4, 4);
        return true;
    }
    return inet_pton(AF_INET6, text, ret) == 1;
}

static bool is_v4(const uint8_t a[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(a, mapped, 12) == 0;
}

static bool parse_network(char *text, struct network *ret)
{
    char *slash = strchr(text, '/');
    int64_t bits = -1;
    if (slash)
        *slash = '\0';
    if (!parse_address(text, ret->address))
        return false;
    unsigned width = is_v4(ret->address) ? 32 : 128;
    if (!slash)
        bits = width;
    else if (str_to_int64(slash + 1, &bits) < 0 || bits < 0 || bits > width)
        return false;
    ret->bits = (unsigned)bits + (128 - width);
    return true;
}

int proxies_parse(const char *list, struct proxies **ret, struct error *e)
{
    struct proxies *p = calloc(1, sizeof *p);
    _cleanup_free_ char *copy = strdup(list ? list : "");
    char *rest = copy, *item;
    if (!p || !copy) {
        free(p);
        return error_set(e, ERR_INTERNAL, "No memory.");
    }
    while ((item = strsep(&rest, ","))) {
        item = str_trim(item);
        if (!*item)
            continue;
        if (p->count == NETWORKS_MAX || !parse_network(item, &p->networks[p->count])) {
            free(p);
            return error_set(e, ERR_VALIDATION,
                             "trusted_proxies: \"%.60s\" is not an address or network (or there are over %d).", item,
                             NETWORKS_MAX);
        }
        p->count++;
    }
    *ret = p;
    return 0;
}

void proxies_free(struct proxies *p)
{
    free(p);
}

static bool within(const struct network *n, const uint8_t a[16])
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->address, a, whole) != 0)
        return false;
    return !rest || (n->address[whole] ^ a[whole]) >> (8 - rest) == 0;
}

static bool trusted(const struct proxies *p, const char *text)
{
    uint8_t a[16];
    if (!parse_address(text, a))
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (within(&p->networks[i], a))
            return true;
    return false;
}

/* Right to left: each entry was written by the one to its right, so it counts only while that one is trusted.
 * The first one that is not a proxy of ours is the client (O43). */
void proxies_client(const struct proxies *p, const char *peer, const char *forwarded_for, char ret[64])
{
    str_copy(ret, 64, peer);
    _cleanup_free_ char *list = forwarded_for && *forwarded_for ? strdup(forwarded_for) : NULL;
    while (list && trusted(p, ret)) {
        char *comma = strrchr(list, ',');
        char *item = str_trim(comma ? comma + 1 : list);
        uint8_t a[16];
        if (!parse_address(item, a))
            return;
        str_copy(ret, 64, item);
        if (!comma)
            return;
        *comma = '\0';
    }
}

void address_bucket(const char *address, char ret[64])
{
    uint8_t a[16];
    if (!parse_address(address, a)) {
        str_copy(ret, 64, address);
        return;
    }
    if (is_v4(a)) {
        (void)inet_ntop(AF_INET, a + 12, ret, 64);
        return;
    }
    memset(a + 8, 0, 8);
    (void)inet_ntop(AF_INET6, a, ret, 60);
    strcat(ret, "/64");
}
