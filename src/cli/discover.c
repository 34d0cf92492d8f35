#include "cli/discover.h"

#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "cli/client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FILE_LIMIT (64 * 1024)

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

char *login_file(void)
{
    const char *base = env("XDG_CONFIG_HOME"), *home = env("HOME");
    return base   ? str_printf("%s/hbcloud/config.yaml", base)
           : home ? str_printf("%s/.config/hbcloud/config.yaml", home)
                  : NULL;
}

char *normal_url(const char *text)
{
    if (!str_starts(text, "http://") && !str_starts(text, "https://"))
        return NULL;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '?' || *p == '#')
            return NULL;
    char *url = strdup(text);
    if (!url)
        return NULL;
    for (size_t len = strlen(url); len && url[len - 1] == '/';)
        url[--len] = '\0';
    if (str_ends(url, "/v1"))
        url[strlen(url) - 3] = '\0';
    const char *host = strstr(url, "://") + 3;
    if (!*host || *host == '/' || strchr(host, '@')) {
        free(url);
        return NULL;
    }
    return url;
}

bool url_is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return false;
    host += 3;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (len == strlen(names[i]) && strncmp(host, names[i], len) == 0)
            return true;
    return false;
}

/* Takes the key's bytes when they can stand in a header. */
static int add_key(struct discovered *d, const char *text, const char *origin, struct error *e)
{
    size_t len = strcspn(text, "\r\n");
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
            return error_set(e, ERR_MALFORMED, "what %s holds is no API key", origin);
    if (!len || len > 4096)
        return error_set(e, ERR_MALFORMED, "%s holds no API key", origin);
    if (d->n_keys == DISCOVERED_KEYS_MAX)
        return 0;
    d->keys[d->n_keys] = secret_new(text, len);
    d->origins[d->n_keys] = strdup(origin);
    if (!d->keys[d->n_keys] || !d->origins[d->n_keys])
        return error_errno(e, -ENOMEM, "the API key");
    d->n_keys++;
    return 0;
}

static int add_key_file(struct discovered *d, const char *path, struct error *e)
{
    char *text = NULL;
    size_t len = 0;
    int r = file_read(path, FILE_LIMIT, &text, &len);
    if (r < 0)
        return error_errno(e, r, "%s", path);
    r = add_key(d, text, path, e);
    secret_wipe(text, len);
    free(text);
    return r;
}

/* The saved login, or NULL where there is none. */
static int read_login(json_t **ret, char **ret_path, struct error *e)
{
    _cleanup_free_ char *path = login_file();
    char *text = NULL;
    size_t len = 0;
    int r = path ? file_read(path, FILE_LIMIT, &text, &len) : -ENOENT;
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r < 0)
        return error_errno(e, r, "%s", path);
    r = yaml_load(text, len, ret, e);
    secret_wipe(text, len);
    free(text);
    if (r < 0)
        error_prefix(e, "%s", path);
    *ret_path = TAKE(path);
    return r;
}

/* Where hubs of this machine keep the owner's key. Only files that can be read count. */
static int add_owner_keys(struct discovered *d, struct error *e)
{
    const char *data = env("HBCLOUD_DATA"), *base = env("XDG_DATA_HOME"), *home = env("HOME");
    _cleanup_free_ char *named = data ? str_printf("%s/owner.key", data) : NULL;
    _cleanup_free_ char *own = base   ? str_printf("%s/hbcloud/owner.key", base)
                               : home ? str_printf("%s/.local/share/hbcloud/owner.key", home)
                                      : NULL;
    const char *const paths[] = { named, "./.hbcloud/owner.key", own, "/var/lib/hbcloud/owner.key" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        int r = paths[i] && access(paths[i], R_OK) == 0 ? add_key_file(d, paths[i], e) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int choose_url(const struct args *a, const json_t *login, struct discovered *d, struct error *e)
{
    const char *given = args_get(a, "url");
    const char *text = given ? given : env("HBCLOUD_URL") ? env("HBCLOUD_URL") : json_str(login, "url");
    d->url = normal_url(text ? text : CLIENT_DEFAULT_URL);
    if (!d->url)
        return error_set(e, ERR_MALFORMED,
                         "'%.200s' is not an address of a hub, such as https://cloud.example.org or %s", text,
                         CLIENT_DEFAULT_URL);
    d->loopback = url_is_loopback(d->url);
    return 0;
}

static int choose_keys(const struct args *a, const json_t *login, const char *login_path, struct discovered *d,
                       struct error *e)
{
    const char *file = args_get(a, "key-file"), *variable = env("HBCLOUD_API_KEY"), *saved = json_str(login, "key");
    if (file)
        return add_key_file(d, file, e);
    if (variable)
        return add_key(d, variable, "HBCLOUD_API_KEY", e);
    _cleanup_free_ char *saved_for = normal_url(json_str(login, "url") ? json_str(login, "url") : CLIENT_DEFAULT_URL);
    if (saved && str_eq(saved_for, d->url))
        return add_key(d, saved, login_path, e);
    return d->loopback ? add_owner_keys(d, e) : 0;
}

int discover(const struct args *a, struct discovered *ret, struct error *e)
{
    struct discovered d = { 0 };
    _cleanup_json_ json_t *login = NULL;
    _cleanup_free_ char *path = NULL;
    int r = read_login(&login, &path, e);
    if (r == 0)
        r = choose_url(a, login, &d, e);
    if (r == 0)
        r = choose_keys(a, login, path, &d, e);
    if (r < 0)
        discovered_done(&d);
    else
        *ret = d;
    return r;
}

void discovered_done(struct discovered *d)
{
    free(d->url);
    for (size_t i = 0; i < DISCOVERED_KEYS_MAX; i++) {
        secret_free(d->keys[i]);
        free(d->origins[i]);
    }
    *d = (struct discovered){ 0 };
}
