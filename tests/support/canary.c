#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "canary.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FORM_MAX 1024

static bool has(const void *bytes, size_t len, const char *form, size_t n)
{
    return n >= 8 && memmem(bytes, len, form, n) != NULL;
}

static bool as_hex(const struct canary *c, const void *bytes, size_t len, const char *digits)
{
    char form[FORM_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->len && n + 2 < sizeof form; i++) {
        unsigned char b = ((const unsigned char *)c->secret)[i];
        form[n++] = digits[b >> 4];
        form[n++] = digits[b & 15];
    }
    return has(bytes, len, form, n);
}

/* The letters that depend on the secret alone when `skip` bytes of it fall to the group before. */
static bool as_base64(const struct canary *c, size_t skip, const void *bytes, size_t len, const char *alphabet)
{
    char form[FORM_MAX];
    size_t n = 0;
    const unsigned char *s = c->secret;
    for (size_t i = skip; i + 3 <= c->len && n + 4 < sizeof form; i += 3) {
        uint32_t v = (uint32_t)s[i] << 16 | (uint32_t)s[i + 1] << 8 | s[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            form[n++] = alphabet[v >> shift & 63];
    }
    return has(bytes, len, form, n);
}

static bool percent_encoded(const struct canary *c, const void *bytes, size_t len)
{
    char form[FORM_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->len && n + 4 < sizeof form; i++) {
        unsigned char b = ((const unsigned char *)c->secret)[i];
        if (isalnum(b) || strchr("-._~", b))
            form[n++] = (char)b;
        else
            n += (size_t)snprintf(form + n, sizeof form - n, "%%%02X", b);
    }
    return has(bytes, len, form, n);
}

static bool found(const struct canary *c, const void *bytes, size_t len)
{
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    if (has(bytes, len, c->secret, c->len) || percent_encoded(c, bytes, len))
        return true;
    if (as_hex(c, bytes, len, "0123456789abcdef") || as_hex(c, bytes, len, "0123456789ABCDEF"))
        return true;
    for (size_t skip = 0; skip < 3; skip++)
        if (as_base64(c, skip, bytes, len, LETTERS "+/") || as_base64(c, skip, bytes, len, LETTERS "-_"))
            return true;
    return false;
}

const char *canary_found(const struct canary *list, size_t n, const void *bytes, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (found(&list[i], bytes, len))
            return list[i].name;
    return NULL;
}

void canary_expect_none(const struct canary *list, size_t n, const char *where, const void *bytes, size_t len)
{
    const char *name = canary_found(list, n, bytes, len);
    if (name)
        fail_msg("%s is in clear in %s", name, where);
}

static bool excepted(const char *name, const char *const *except)
{
    for (; except && *except; except++)
        if (strcmp(*except, name) == 0)
            return true;
    return false;
}

static char *read_whole(const char *path, size_t *ret_len)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    char *text = malloc((size_t)st.st_size + 1);
    assert_non_null(text);
    *ret_len = fread(text, 1, (size_t)st.st_size, file);
    (void)fclose(file);
    return text;
}

size_t canary_expect_none_in_files(const struct canary *list, size_t n, const char *directory,
                                   const char *const *except)
{
    size_t files = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d));) {
        char path[512];
        size_t len = 0;
        if (x->d_name[0] == '.' || excepted(x->d_name, except))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", directory, x->d_name);
        char *text = read_whole(path, &len);
        canary_expect_none(list, n, path, text, len);
        free(text);
        files++;
    }
    (void)closedir(d);
    return files;
}
