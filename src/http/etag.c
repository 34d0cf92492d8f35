#include "http/etag.h"

#include "base/str.h"

#include <stdio.h>

/* Two multiply-and-fold lanes over 16 bytes a step. Tags need spread, not secrecy, and lists are hashed at each GET:
 * this is several times faster than a cryptographic hash. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t p = (__uint128_t)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t load(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

void etag_of(const void *bytes, size_t len, char ret[ETAG_SIZE])
{
    static const uint64_t k[4] = { 0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u, 0x8cb92ba72f3d8dd7u, 0xaef17502108ef2d9u };
    const unsigned char *p = bytes;
    uint64_t a = k[0] ^ len, b = k[1] + len;
    size_t left = len;
    for (; left >= 16; left -= 16, p += 16) {
        uint64_t x = load(p), y = load(p + 8);
        a = fold(x ^ a ^ k[2], y ^ k[3]) + b;
        b = fold(y ^ b ^ k[0], x ^ k[1]) ^ a;
    }
    unsigned char tail[16] = { 0 };
    if (left)
        memcpy(tail, p, left);
    a = fold(load(tail) ^ a, k[2] ^ load(tail + 8));
    b = fold(load(tail + 8) ^ b ^ k[3], a ^ k[0]);
    (void)snprintf(ret, ETAG_SIZE, "\"%016llx%016llx\"", (unsigned long long)fold(a, k[1] ^ b),
                   (unsigned long long)fold(b ^ k[2], a));
}

void etag_add_suffix(char tag[ETAG_SIZE], const char *suffix)
{
    char longer[ETAG_SIZE];
    size_t n = strlen(tag);
    if (n < 2 || tag[n - 1] != '"')
        return;
    int len = snprintf(longer, sizeof longer, "%.*s-%s\"", (int)n - 1, tag, suffix);
    if (len > 0 && (size_t)len < sizeof longer)
        memcpy(tag, longer, (size_t)len + 1);
}

struct tag {
    const char *text; /* inside the quotes */
    size_t len;
    bool weak;
};

static void drop_suffix(struct tag *t)
{
    if (t->len > 5 && (memcmp(t->text + t->len - 5, "-gzip", 5) == 0 || memcmp(t->text + t->len - 5, "-zstd", 5) == 0))
        t->len -= 5;
}

/* Reads one tag and moves `*at` behind it; commas inside the quotes belong to the tag. */
static bool next_tag(const char **at, struct tag *ret)
{
    const char *p = *at;
    ret->weak = p[0] == 'W' && p[1] == '/';
    if (ret->weak)
        p += 2;
    if (*p != '"')
        return false;
    ret->text = ++p;
    while (*p && *p != '"')
        p++;
    if (*p != '"')
        return false;
    ret->len = (size_t)(p - ret->text);
    drop_suffix(ret);
    *at = p + 1;
    return true;
}

static const char *skip(const char *p, const char *set)
{
    return p + strspn(p, set);
}

static bool matches(const char *list, const char *tag, bool strong)
{
    struct tag want, have;
    const char *at = skip(list, " \t,");
    if (at[0] == '*' && !*skip(at + 1, " \t"))
        return true;
    if (!tag || !next_tag(&tag, &want) || (strong && want.weak))
        return false;
    while (*at) {
        if (!next_tag(&at, &have))
            return false;
        at = skip(at, " \t");
        if (*at && *at != ',')
            return false;
        if (!(strong && have.weak) && have.len == want.len && memcmp(have.text, want.text, want.len) == 0)
            return true;
        at = skip(at, " \t,");
    }
    return false;
}

bool etag_matches_weak(const char *list, const char *tag)
{
    return matches(list, tag, false);
}

bool etag_matches_strong(const char *list, const char *tag)
{
    return matches(list, tag, true);
}
