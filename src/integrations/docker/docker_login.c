#include "integrations/docker/docker_login.h"

#include "base/jsonw.h"
#include "base/str.h"

#include <errno.h>

#define PART_MAX 4096
#define JSON_ROOM (3 * PART_MAX * 6 + 256) /* every character escaped */

static void write_login(const struct engine_credentials *c, struct buf *out)
{
    struct jw w;
    size_t len;
    const char *password = secret_reveal(c->password, &len);
    jw_init(&w, out);
    jw_object(&w);
    jw_key(&w, "username");
    jw_string(&w, c->username);
    jw_key(&w, "password");
    jw_string_n(&w, password, len);
    jw_key(&w, "serveraddress");
    jw_string(&w, c->registry ? c->registry : "");
    jw_end(&w);
}

static int check(const struct engine_credentials *c, struct error *e)
{
    size_t len = 0;
    if (c->password)
        (void)secret_reveal(c->password, &len);
    if (!c->username || !*c->username || !len)
        return error_set(e, ERR_VALIDATION, "A registry's login needs a user's name and a password.");
    if (strlen(c->username) > PART_MAX || len > PART_MAX || (c->registry && strlen(c->registry) > PART_MAX))
        return error_set(e, ERR_VALIDATION, "A registry's login is longer than %d bytes.", PART_MAX);
    return 0;
}

int docker_login_encode(const struct engine_credentials *c, char **ret, struct error *e)
{
    struct buf json;
    int r = check(c, e);
    if (r < 0)
        return r;
    buf_init(&json, JSON_ROOM);
    if (buf_reserve(&json, JSON_ROOM - 1) == 0) /* at once, so that no copy is left where it grew */
        write_login(c, &json);
    size_t size = json.len * 4 / 3 + 8;
    char *text = json.len && buf_ok(&json) ? malloc(size) : NULL;
    if (text) {
        size_t n = base64url_encode((const uint8_t *)json.data, json.len, text, size);
        for (; n % 4; n++)
            text[n] = '=';
        text[n] = '\0';
    }
    if (json.data)
        secret_wipe(json.data, json.cap);
    buf_done(&json);
    if (!text)
        return error_errno(e, -ENOMEM, "Preparing a registry's login");
    *ret = text;
    return 0;
}

int docker_login_encode_for(void *unused UNUSED, const struct engine_credentials *c, char **ret, struct error *e)
{
    return docker_login_encode(c, ret, e);
}

void docker_login_free(char *text)
{
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
}

static bool about_login(const char *words)
{
    static const char *const signs[] = { "unauthorized",
                                         "no basic auth credentials",
                                         "authentication required",
                                         "401 Unauthorized",
                                         "403 Forbidden",
                                         "denied: denied",
                                         "access to the resource is denied",
                                         "incorrect username or" };
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (strstr(words, signs[i]))
            return true;
    return false;
}

int docker_login_explain(int result, const struct engine_credentials *c, struct error *e)
{
    if (result >= 0 || !e || !about_login(e->message) || e->code == ERR_VALIDATION)
        return result;
    char words[sizeof(e->message)];
    str_copy(words, sizeof(words), e->message);
    if (!c)
        return error_set(e, ERR_UPSTREAM, "The registry wants a login, and none is known for it. %.360s", words);
    return error_set(e, ERR_UPSTREAM, "The registry refused the login of %.60s. %.360s", c->username, words);
}
