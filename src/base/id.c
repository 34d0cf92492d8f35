#include "base/id.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
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

char *id_new(char ret[ID_LEN + 1])
{
    uint64_t tick = next_tick();
    uint8_t r[8];
    random_bytes(r, sizeof r);
    uint32_t high = (uint32_t)(tick >> 28);
    (void)snprintf(ret, ID_LEN + 1, "%08x-%04x-7%03x-%02x%02x-%02x%02x%02x%02x%02x%02x", high,
                   (unsigned)(tick >> 12 & 0xffff), (unsigned)(tick & 0xfff), (r[0] & 0x3f) | 0x80,
                   r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
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
