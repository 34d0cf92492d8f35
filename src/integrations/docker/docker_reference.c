#include "integrations/docker/docker_reference.h"

#include "base/str.h"

#include <ctype.h>

static bool all_of(const char *text, size_t len, const char *others, bool upper)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper && c >= 'A' && c <= 'Z');
        if (!c || (!alphanumeric && !strchr(others, c)))
            return false;
    }
    return true;
}

static bool is_alnum(char c)
{
    return isascii((unsigned char)c) && isalnum((unsigned char)c);
}

bool docker_name_valid(const char *text)
{
    return text && is_alnum(*text) && strlen(text) <= 128 && all_of(text, strlen(text), "_.-", true);
}

static bool is_hex(const char *text, size_t min, size_t max)
{
    size_t n = strlen(text);
    return n >= min && n <= max && strspn(text, "0123456789abcdef") == n;
}

/* Each part between slashes begins and ends with a letter or digit, so no part is "." or "..". */
static bool repository_valid(const char *text)
{
    const char *part = text;
    for (;;) {
        size_t n = strcspn(part, "/");
        bool host = part == text && part[n] == '/'; /* may hold capitals, a port, IPv6 brackets */
        if (!n || !(is_alnum(*part) || (host && *part == '[')) ||
            !(is_alnum(part[n - 1]) || (host && part[n - 1] == ']')) || !all_of(part, n, host ? "._-:[]" : "._-", host))
            return false;
        if (!part[n])
            return true;
        part += n + 1;
    }
}

static bool digest_valid(const char *text)
{
    const char *colon = strchr(text, ':');
    if (!colon)
        return false;
    return str_starts(text, "sha512:") ? is_hex(colon + 1, 128, 128)
                                       : str_starts(text, "sha256:") && is_hex(colon + 1, 64, 64);
}

static bool tag_valid(const char *text)
{
    size_t n = strlen(text);
    return n && n <= 128 && (is_alnum(*text) || *text == '_') && all_of(text, n, "_.-", true);
}

static bool split(const char *text, struct docker_reference *r)
{
    const char *digest = strchr(text, '@');
    size_t n = digest ? (size_t)(digest - text) : strlen(text);
    if (n >= sizeof(r->repository) || (digest && !digest_valid(digest + 1)))
        return false;
    memcpy(r->repository, text, n);
    r->repository[n] = '\0';
    char *slash = strrchr(r->repository, '/');
    char *tag = strchr(slash ? slash : r->repository, ':'); /* one before the last slash is a port */
    if (tag) {
        *tag++ = '\0';
        if (!tag_valid(tag))
            return false;
    }
    str_copy(r->tag, sizeof(r->tag), digest ? digest + 1 : tag ? tag : "latest");
    return repository_valid(r->repository);
}

int docker_reference_parse(const char *text, struct docker_reference *ret, struct error *e)
{
    struct docker_reference r;
    if (!text || !split(text, &r))
        return error_set(e, ERR_VALIDATION,
                         "\"%.200s\" is no image reference; write name, name:tag or name@sha256:digest.",
                         text ? text : "");
    *ret = r;
    return 0;
}

bool docker_image_name_valid(const char *text)
{
    struct docker_reference r;
    return text && (digest_valid(text) || is_hex(text, 12, 64) || split(text, &r));
}
