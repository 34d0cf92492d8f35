#include "integrations/docker/docker_error.h"

#include "base/json.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>

#define SECRET_MIN 4 /* shorter values ("1", "yes") are no secrets and would mask half the sentence */

char *docker_words(char ret[DOCKER_WORDS_MAX], const char *text, size_t len)
{
    size_t n = len < DOCKER_WORDS_MAX - 1 ? len : DOCKER_WORDS_MAX - 1;
    while (n && n < len && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        ret[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? ' ' : text[i];
    while (n && ret[n - 1] == ' ')
        n--;
    ret[n] = '\0';
    return ret;
}

/* "127.0.0.1:8080" or "[::1]:8080": the first address of the sentence is the host's. */
int docker_taken_port(const char *words)
{
    if (!strstr(words, "address already in use") && !strstr(words, "port is already allocated"))
        return 0;
    for (const char *c = words + 1; *words && *c; c++) {
        if (*c != ':' || !(isdigit((unsigned char)c[-1]) || c[-1] == ']') || !isdigit((unsigned char)c[1]))
            continue;
        long port = strtol(c + 1, NULL, 10);
        return port > 0 && port < 65536 ? (int)port : 0;
    }
    return 0;
}

static void mask(char *text, const char *secret)
{
    size_t n = strlen(secret);
    if (n < SECRET_MIN)
        return;
    for (char *at = text; (at = strstr(at, secret)); at += n)
        memset(at, '*', n);
}

static const char *said_of(const json_t *answer, const char *body)
{
    const char *said = json_str(answer, "message");
    return said ? said : body;
}

int docker_refused(long status, const char *body, size_t len, const char *what, const json_t *secrets, struct error *e)
{
    char words[DOCKER_WORDS_MAX];
    const char *name;
    json_t *value, *answer = NULL;
    (void)json_parse(body, len, &answer, NULL); /* a proxy before the engine may answer with plain text */
    const char *said = said_of(answer, body ? body : "");
    _cleanup_free_ char *copy = strdup(said);
    json_decref(answer);
    if (!copy)
        return error_errno(e, -ENOMEM, "Reading the container engine's refusal");
    json_object_foreach ((json_t *)secrets, name, value)
        mask(copy, json_is_string(value) ? json_string_value(value) : "");
    docker_words(words, copy, strlen(copy));
    int port = docker_taken_port(words);
    if (port)
        return error_set(e, ERR_CONFLICT, "Port %d is taken on this host: %s", port, words);
    enum error_code code = status == 404 ? ERR_NOT_FOUND : status == 409 ? ERR_CONFLICT : ERR_UPSTREAM;
    /* An id is said as people know it, by its first twelve digits. */
    int shown = strlen(what) == 64 && strspn(what, "0123456789abcdef") == 64 ? 12 : 100;
    return error_set(e, code, "The container engine refused (%ld) for %.*s: %s", status, shown, what,
                     *words ? words : "it gave no reason.");
}
