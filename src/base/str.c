#include "base/str.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_ieq(const char *a, const char *b)
{
    return a && b && strcasecmp(a, b) == 0;
}

char *str_printf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct buf b;
    buf_init(&b, 0);
    (void)buf_vprintf(&b, fmt, args);
    va_end(args);
    char *text = buf_steal(&b);
    buf_done(&b);
    return text;
}

void str_copy(char *dst, size_t size, const char *src)
{
    if (!size)
        return;
    size_t n = strnlen(src, size - 1);
    memcpy(dst, src, n);
    dst[n] = '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char *str_trim(char *s)
{
    while (is_blank(*s))
        s++;
    size_t n = strlen(s);
    while (n && is_blank(s[n - 1]))
        s[--n] = '\0';
    return s;
}

int str_to_int64(const char *s, int64_t *ret)
{
    char *end = NULL;
    if (!s || !*s || is_blank(*s))
        return -EINVAL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno == ERANGE)
        return -ERANGE;
    if (*end)
        return -EINVAL;
    *ret = v;
    return 0;
}

int str_to_double(const char *s, double *ret)
{
    char *end = NULL;
    if (!s || !*s || is_blank(*s))
        return -EINVAL;
    double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return -EINVAL;
    *ret = v;
    return 0;
}

int str_to_duration_ms(const char *s, int64_t *ret)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = { { "ms", 1 },
                  { "", 1000 },
                  { "s", 1000 },
                  { "m", 60 * 1000 },
                  { "h", 3600 * 1000 },
                  { "d", 86400 * (int64_t)1000 },
                  { "w", 7 * 86400 * (int64_t)1000 } };
    char *end = NULL;
    if (!s || *s < '0' || *s > '9')
        return -EINVAL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno == ERANGE)
        return -ERANGE;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!str_eq(end, units[i].suffix))
            continue;
        if (v > INT64_MAX / units[i].ms)
            return -ERANGE;
        *ret = v * units[i].ms;
        return 0;
    }
    return -EINVAL;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t str_utf8_step(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

bool str_is_utf8(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    while (len) {
        size_t n = str_utf8_step(p, len);
        if (!n)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

void hex_encode(const uint8_t *bytes, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * n] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(const char *hex, uint8_t *ret, size_t n)
{
    if (strlen(hex) != 2 * n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64url_encode(const uint8_t *bytes, size_t n, char *ret, size_t size)
{
    size_t out = 0;
    if ((n * 4 + 2) / 3 + 1 > size)
        return 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v =
            (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
        ret[out++] = base64url[v >> 18];
        ret[out++] = base64url[v >> 12 & 63];
        if (left > 1)
            ret[out++] = base64url[v >> 6 & 63];
        if (left > 2)
            ret[out++] = base64url[v & 63];
    }
    ret[out] = '\0';
    return out;
}

int base64url_decode(const char *text, size_t len, uint8_t *ret, size_t size, size_t *ret_len)
{
    uint32_t v = 0;
    unsigned bits = 0;
    size_t out = 0;
    if (len % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        const char *at = text[i] ? strchr(base64url, text[i]) : NULL;
        if (!at)
            return -EINVAL;
        v = v << 6 | (uint32_t)(at - base64url);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (out == size)
            return -EMSGSIZE;
        ret[out++] = (uint8_t)(v >> bits);
    }
    /* Left-over bits must be zero, or two texts would mean the same bytes. */
    if (v & ((1u << bits) - 1))
        return -EINVAL;
    *ret_len = out;
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

int file_read(const char *path, size_t limit, char **ret, size_t *ret_len)
{
    _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    _cleanup_buf_ struct buf b;
    buf_init(&b, limit);
    for (;;) {
        char chunk[8192];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        int r = buf_append(&b, chunk, (size_t)n);
        if (r < 0)
            return r;
    }
    size_t len = b.len;
    char *text = buf_steal(&b);
    if (!text)
        return -ENOMEM;
    if (ret_len)
        *ret_len = len;
    *ret = text;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

void file_sync_directory_of(const char *path)
{
    _cleanup_free_ char *dir = strdup(path);
    char *slash = dir ? strrchr(dir, '/') : NULL;
    if (slash)
        *slash = '\0';
    _cleanup_(close_fd) int fd = open(slash ? (*dir ? dir : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)fsync(fd);
}

int file_write_atomic(const char *path, const void *bytes, size_t len, unsigned mode)
{
    _cleanup_free_ char *temporary = str_printf("%s.tmp-%d", path, (int)getpid());
    if (!temporary)
        return -ENOMEM;
    _cleanup_(close_fd) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    int r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, bytes, len);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(temporary);
    else
        file_sync_directory_of(path);
    return r;
}
