#include "http/api.h"

#include "base/str.h"

#include <sodium.h>

/* Layout before base64url: version, count, then each field as two length bytes and its text, then the sum.
 * The sum finds cut and made-up cursors; it is no secret, as a cursor gives no more than the list itself does. */
#define CURSOR_VERSION 1
#define CURSOR_SUM 8
#define CURSOR_BYTES 1024
#define CURSOR_FIELDS 8

static void sum_of(const uint8_t *bytes, size_t len, uint8_t ret[CURSOR_SUM])
{
    static const char context[] = "hbcloud list cursor";
    uint8_t full[crypto_generichash_BYTES];
    (void)crypto_generichash(full, sizeof full, bytes, len, (const unsigned char *)context, sizeof context - 1);
    memcpy(ret, full, CURSOR_SUM);
}

int cursor_encode(const char *fields[], size_t n, char *ret, size_t size)
{
    uint8_t raw[CURSOR_BYTES];
    size_t used = 0;
    if (n > CURSOR_FIELDS)
        return -1;
    raw[used++] = CURSOR_VERSION;
    raw[used++] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(fields[i]);
        if (used + 2 + len + CURSOR_SUM > sizeof raw)
            return -1;
        raw[used++] = (uint8_t)(len >> 8);
        raw[used++] = (uint8_t)len;
        memcpy(raw + used, fields[i], len);
        used += len;
    }
    sum_of(raw, used, raw + used);
    return base64url_encode(raw, used + CURSOR_SUM, ret, size) ? 0 : -1;
}

static int refuse(struct error *e)
{
    (void)error_set(e, ERR_VALIDATION, "The cursor is not one that this list gave out.");
    error_detail(e, "/cursor", "is not a cursor of this list");
    return -(int)ERR_VALIDATION;
}

/* The fields of checked bytes, copied into storage as NUL-terminated texts. */
static bool split(const uint8_t *raw, size_t len, char *storage, size_t size, const char *fields[], size_t n)
{
    size_t at = 2, used = 0;
    if (len < 2 || raw[0] != CURSOR_VERSION || raw[1] != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (len - at < 2)
            return false;
        size_t field = (size_t)raw[at] << 8 | raw[at + 1];
        at += 2;
        if (len - at < field || size - used <= field || memchr(raw + at, 0, field))
            return false;
        memcpy(storage + used, raw + at, field);
        storage[used + field] = '\0';
        fields[i] = storage + used;
        used += field + 1;
        at += field;
    }
    return at == len;
}

int cursor_decode(const char *cursor, char *storage, size_t size, const char *fields[], size_t n, struct error *e)
{
    uint8_t raw[CURSOR_BYTES], sum[CURSOR_SUM];
    const char *found[CURSOR_FIELDS];
    size_t len = 0;
    if (n > CURSOR_FIELDS || base64url_decode(cursor, strlen(cursor), raw, sizeof raw, &len) < 0 ||
        len < CURSOR_SUM + 2)
        return refuse(e);
    len -= CURSOR_SUM;
    sum_of(raw, len, sum);
    if (memcmp(sum, raw + len, CURSOR_SUM) != 0 || !split(raw, len, storage, size, found, n))
        return refuse(e);
    memcpy(fields, found, n * sizeof *fields);
    return 0;
}
