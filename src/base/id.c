#include "base/id.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

void random_bytes(void *ret, size_t n)
{
    uint8_t *p = ret;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

/* 48 bits of milliseconds and 12 bits of counter, kept rising even if the clock steps back. */
static uint64_t next_tick(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last;
    uint64_t now = (uint64_t)clock_now_ms() << 12;
    (void)pthread_mutex_lock(&lock);
    last = now > last ? now : last + 1;
    uint64_t tick = last;
    (void)pthread_mutex_unlock(&lock);
    return tick;
}

/* Every request has an id: one system call serves many of them. */
static void id_random(uint8_t ret[8])
{
    static _Thread_local uint8_t pool[256];
    static _Thread_local size_t left;
    if (left < 8)
        random_bytes(pool, left = sizeof pool);
    left -= 8;
    memcpy(ret, pool + left, 8);
}

char *id_new(char ret[ID_LEN + 1])
{
    uint8_t b[16];
    char hex[33];
    uint64_t tick = next_tick();
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(tick >> (52 - 8 * i));
    b[6] = (uint8_t)(0x70 | (tick >> 8 & 15));
    b[7] = (uint8_t)tick;
    id_random(b + 8);
    b[8] = (b[8] & 0x3f) | 0x80;
    hex_encode(b, sizeof b, hex);
    static const struct {
        uint8_t at, from, n;
    } groups[] = { { 0, 0, 8 }, { 9, 8, 4 }, { 14, 12, 4 }, { 19, 16, 4 }, { 24, 20, 12 } };
    memset(ret, '-', ID_LEN);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        memcpy(ret + groups[i].at, hex + groups[i].from, groups[i].n);
    ret[ID_LEN] = '\0';
    return ret;
}

bool id_valid(const char *text)
{
    if (strlen(text) != ID_LEN)
        return false;
    for (size_t i = 0; i < ID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}
