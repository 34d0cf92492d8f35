/* Loading: each source in turn over the one before. */
#include "hub/settings.h"

#include "base/nearest.h"
#include "base/str.h"
#include "hub/settings_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE_LIMIT (64 * 1024)

extern char **environ;

/* Variables of ours that are no settings of the hub. */
static const char *const foreign[] = { "HBCLOUD_URL", "HBCLOUD_API_KEY", "HBCLOUD_CONFIG" };

const char *settings_key_at(const void *unused UNUSED, size_t i)
{
    return settings_table[i].key;
}

/* An empty variable counts as not set: that is how container files leave one out. */
static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static int set_default_data(struct settings *s, struct error *e)
{
    const struct setting_row *row = settings_row("data");
    if (geteuid() == 0 && access("/var/lib/hbcloud", W_OK) == 0)
        return settings_put(s, row, "/var/lib/hbcloud", SOURCE_DEFAULT, "data", e);
    const char *base = env("XDG_DATA_HOME"), *home = env("HOME");
    _cleanup_free_ char *path = base   ? str_printf("%s/hbcloud", base)
                                : home ? str_printf("%s/.local/share/hbcloud", home)
                                       : strdup("/var/lib/hbcloud");
    return path ? settings_put(s, row, path, SOURCE_DEFAULT, "data", e) : error_errno(e, -ENOMEM, "settings");
}

static int set_defaults(struct settings *s, struct error *e)
{
    for (size_t i = 0; i < settings_table_len; i++) {
        const struct setting_row *row = &settings_table[i];
        int r = row->fallback ? settings_put(s, row, row->fallback, SOURCE_DEFAULT, row->key, e) : 0;
        if (r < 0)
            return r;
    }
    return set_default_data(s, e);
}

/* ---- the YAML file */

static char *found_file(void)
{
    if (access("/etc/hbcloud/config.yaml", R_OK) == 0)
        return strdup("/etc/hbcloud/config.yaml");
    const char *base = env("XDG_CONFIG_HOME"), *home = env("HOME");
    char *path = base   ? str_printf("%s/hbcloud/hub.yaml", base)
                 : home ? str_printf("%s/.config/hbcloud/hub.yaml", home)
                        : NULL;
    if (path && access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static int read_file(struct settings *s, const char *given, struct error *e)
{
    s->file = given ? strdup(given) : found_file();
    return s->file ? settings_read_file(s, s->file, e) : 0;
}

/* ---- secrets by file */

static int put_secret_file(struct settings *s, const struct setting_row *row, const char *path,
                           enum setting_source source, const char *origin, struct error *e)
{
    char *text = NULL;
    size_t len = 0;
    int r = file_read(path, SECRET_FILE_LIMIT, &text, &len);
    if (r < 0)
        return error_set(e, ERR_VALIDATION, "%s: %s cannot be read: %s", origin, path, strerror(-r));
    size_t used = len;
    while (used && (text[used - 1] == '\n' || text[used - 1] == '\r'))
        text[--used] = '\0';
    r = used ? settings_put(s, row, text, source, origin, e)
             : error_set(e, ERR_VALIDATION, "%s: %s is empty", origin, path);
    secret_wipe(text, len);
    free(text);
    return r;
}

/* systemd: LoadCredential=datadog.api_key:/path puts a file of that name below $CREDENTIALS_DIRECTORY. */
static int read_credentials(struct settings *s, struct error *e)
{
    const char *dir = env("CREDENTIALS_DIRECTORY");
    for (size_t i = 0; dir && i < settings_table_len; i++) {
        const struct setting_row *row = &settings_table[i];
        if (row->type != SETTING_SECRET)
            continue;
        _cleanup_free_ char *path = str_printf("%s/%s", dir, row->key);
        if (!path)
            return error_errno(e, -ENOMEM, "settings");
        if (access(path, F_OK) != 0)
            continue;
        int r = put_secret_file(s, row, path, SOURCE_CREDENTIAL, row->key, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the environment */

/* One variable, and for a secret its _FILE. 1: was set. */
static int read_variable(struct settings *s, const struct setting_row *row, const char *name, struct error *e)
{
    char file_name[SETTING_ENV_MAX + 8];
    (void)snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *text = env(name), *path = row->type == SETTING_SECRET ? env(file_name) : NULL;
    if (text && path)
        return error_set(e, ERR_VALIDATION, "%s and %s are both set; one of them is enough", name, file_name);
    int r = text   ? settings_put(s, row, text, SOURCE_ENV, name, e)
            : path ? put_secret_file(s, row, path, SOURCE_ENV, file_name, e)
                   : 0;
    return r < 0 ? r : text || path;
}

/* Our own name wins over the seed's, that over an alias. */
static int read_environment(struct settings *s, struct error *e)
{
    for (size_t i = 0; i < settings_table_len; i++) {
        const struct setting_row *row = &settings_table[i];
        char own[SETTING_ENV_MAX];
        settings_row_own_env(row, own);
        const char *names[] = { own, row->env, row->alias };
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            int r = names[n] ? read_variable(s, row, names[n], e) : 0;
            if (r < 0)
                return r;
            if (r > 0)
                break;
        }
    }
    return 0;
}

static bool is_known_variable(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (str_eq(foreign[i], name))
            return true;
    for (size_t i = 0; i < settings_table_len; i++) {
        char own[SETTING_ENV_MAX], file_name[SETTING_ENV_MAX + 8];
        settings_row_own_env(&settings_table[i], own);
        (void)snprintf(file_name, sizeof file_name, "%s_FILE", own);
        if (str_eq(own, name) || (settings_table[i].type == SETTING_SECRET && str_eq(file_name, name)))
            return true;
    }
    return false;
}

/* A mistyped HBCLOUD_ variable would otherwise be silently without effect. */
static void note_unknown_variables(struct settings *s)
{
    size_t n = 0;
    for (char **p = environ; *p && n < SETTINGS_WARNINGS - 1; p++) {
        const char *equals = strchr(*p, '=');
        char name[SETTING_ENV_MAX];
        if (!str_starts(*p, "HBCLOUD_") || !equals || (size_t)(equals - *p) >= sizeof name)
            continue;
        memcpy(name, *p, (size_t)(equals - *p));
        name[equals - *p] = '\0';
        if (!is_known_variable(name))
            s->warnings[n++] = str_printf("%s is set and is no setting of the hub", name);
    }
}

/* ---- flags */

struct flags {
    int argc;
    char **argv;
    int at;
};

/* The flag's value: after '=', or the next argument. */
static int flag_value(struct flags *f, const char *name, const char *inline_value, const char **ret, struct error *e)
{
    if (inline_value)
        *ret = inline_value;
    else if (f->at + 1 < f->argc)
        *ret = f->argv[++f->at];
    else
        return error_set(e, ERR_MALFORMED, "--%s needs a value", name);
    return 0;
}

static int put_set(struct settings *s, const char *pair, struct error *e)
{
    const char *equals = strchr(pair, '=');
    _cleanup_free_ char *key = equals ? strndup(pair, (size_t)(equals - pair)) : NULL;
    if (!key)
        return error_set(e, ERR_MALFORMED, "--set takes KEY=VALUE");
    const struct setting_row *row = settings_row(key);
    const char *near = row ? NULL : nearest_word(key, settings_key_at, NULL, settings_table_len);
    if (!row)
        return error_set(e, ERR_MALFORMED, "--set: '%.60s' is not a setting%s%s%s", key, near ? "; did you mean '" : "",
                         near ? near : "", near ? "'?" : "");
    if (row->type == SETTING_SECRET) {
        char name[SETTING_ENV_MAX];
        settings_row_env(row, name);
        return error_set(e, ERR_MALFORMED, "%s is a secret, and others can see a command line: use %s or %s_FILE", key,
                         name, name);
    }
    return settings_put(s, row, equals + 1, SOURCE_FLAG, "--set", e);
}

static int put_flag(struct settings *s, struct flags *f, const char *name, const char *value, struct error *e)
{
    char origin[64];
    (void)snprintf(origin, sizeof origin, "--%s", name);
    if (str_eq(name, "set")) {
        int r = flag_value(f, name, value, &value, e);
        return r < 0 ? r : put_set(s, value, e);
    }
    const struct setting_row *row = settings_row_by_flag(name);
    if (!row)
        return error_set(e, ERR_MALFORMED, "serve has no option --%.60s; see hbcloud serve --help", name);
    if (row->type == SETTING_BOOL)
        return settings_put(s, row, value ? value : "true", SOURCE_FLAG, origin, e);
    int r = flag_value(f, name, value, &value, e);
    return r < 0 ? r : settings_put(s, row, value, SOURCE_FLAG, origin, e);
}

/* With `s` NULL only --config is looked for, since the file comes before the other flags. */
static int walk_flags(struct settings *s, int argc, char **argv, const char **ret_config, struct error *e)
{
    struct flags f = { .argc = argc, .argv = argv };
    for (; f.at < argc; f.at++) {
        const char *arg = argv[f.at];
        if (!str_starts(arg, "--") || !arg[2])
            return error_set(e, ERR_MALFORMED, "serve takes options alone, not '%.60s'", arg);
        const char *equals = strchr(arg, '='), *value = equals ? equals + 1 : NULL;
        _cleanup_free_ char *name = equals ? strndup(arg + 2, (size_t)(equals - arg - 2)) : strdup(arg + 2);
        if (!name)
            return error_errno(e, -ENOMEM, "settings");
        const struct setting_row *row = settings_row_by_flag(name);
        int r = 0;
        if (str_eq(name, "config"))
            r = flag_value(&f, name, value, ret_config, e);
        else if (s)
            r = put_flag(s, &f, name, value, e);
        else if (!value && (str_eq(name, "set") || (row && row->type != SETTING_BOOL)))
            f.at++;
        if (r < 0)
            return r;
    }
    return 0;
}

int settings_load(int argc, char **argv, struct settings **ret, struct error *e)
{
    _cleanup_settings_ struct settings *s = calloc(1, sizeof *s);
    if (s)
        s->values = calloc(settings_table_len, sizeof *s->values);
    if (!s || !s->values)
        return error_errno(e, -ENOMEM, "settings");
    const char *config = env("HBCLOUD_CONFIG");
    int r = walk_flags(NULL, argc, argv, &config, e);
    if (r == 0)
        r = set_defaults(s, e);
    if (r == 0)
        r = read_file(s, config, e);
    if (r == 0)
        r = read_credentials(s, e);
    if (r == 0)
        r = read_environment(s, e);
    if (r == 0)
        r = walk_flags(s, argc, argv, &config, e);
    if (r < 0)
        return r;
    note_unknown_variables(s);
    *ret = TAKE(s);
    return 0;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->values && i < settings_table_len; i++) {
        free(s->values[i].text);
        secret_free(s->values[i].secret);
    }
    for (size_t i = 0; i < SETTINGS_WARNINGS; i++)
        free(s->warnings[i]);
    free(s->values);
    free(s->file);
    free(s);
}

/* ---- what holds between settings */

/* Whether the host part of "host:port" is this machine alone. */
static bool is_loopback(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : strlen(listen);
    char host[256];
    if (len >= sizeof host)
        return false;
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    memcpy(host, listen, len);
    host[len] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return str_eq(host, "localhost");
}

int settings_check(const struct settings *s, struct error *e)
{
    bool certificate = settings_has(s, "tls.certificate"), key = settings_has(s, "tls.key");
    const char *listen = settings_str(s, "listen"), *colon = listen ? strrchr(listen, ':') : NULL;
    int64_t port;
    if (certificate != key)
        return error_set(e, ERR_VALIDATION, "%s is set and %s is not: TLS needs both",
                         certificate ? "tls.certificate" : "tls.key", certificate ? "tls.key" : "tls.certificate");
    if (!colon || str_to_int64(colon + 1, &port) < 0 || port < 0 || port > 65535)
        return error_set(e, ERR_VALIDATION,
                         "listen must be ADDRESS:PORT, such as 127.0.0.1:3000 or [::1]:3000, not '%.100s'",
                         listen ? listen : "");
    if (!settings_has(s, "data"))
        return error_set(e, ERR_VALIDATION, "data must name a folder");
    if (is_loopback(listen) || certificate || settings_bool(s, "behind_proxy"))
        return 0;
    return error_set(
        e, ERR_VALIDATION,
        "listen is %.100s, which others can reach, and without TLS they could read keys and sessions: set "
        "tls.certificate and tls.key, or --behind-proxy when a proxy in front ends TLS, or listen on 127.0.0.1",
        listen);
}

/* ---- getters */

static const struct setting_value *value_of(const struct settings *s, const char *key, const struct setting_row **ret)
{
    const struct setting_row *row = settings_row(key);
    assert(row != NULL);
    *ret = row;
    return &s->values[row - settings_table];
}

bool settings_has(const struct settings *s, const char *key)
{
    const struct setting_row *row;
    const struct setting_value *v = value_of(s, key, &row);
    return v->text || v->secret;
}

const char *settings_str(const struct settings *s, const char *key)
{
    const struct setting_row *row;
    const struct setting_value *v = value_of(s, key, &row);
    assert(row->type == SETTING_STRING || row->type == SETTING_URL || row->type == SETTING_LIST);
    return v->text;
}

int64_t settings_int(const struct settings *s, const char *key)
{
    const struct setting_row *row;
    const struct setting_value *v = value_of(s, key, &row);
    assert(row->type == SETTING_INT || row->type == SETTING_BYTES);
    return v->number;
}

int64_t settings_ms(const struct settings *s, const char *key)
{
    const struct setting_row *row;
    const struct setting_value *v = value_of(s, key, &row);
    assert(row->type == SETTING_DURATION);
    return v->number;
}

bool settings_bool(const struct settings *s, const char *key)
{
    const struct setting_row *row;
    const struct setting_value *v = value_of(s, key, &row);
    assert(row->type == SETTING_BOOL);
    return v->number != 0;
}

const struct secret *settings_secret(const struct settings *s, const char *key)
{
    const struct setting_row *row;
    const struct setting_value *v = value_of(s, key, &row);
    assert(row->type == SETTING_SECRET);
    return v->secret;
}

const char *settings_source(const struct settings *s, const char *key)
{
    static const char *const names[] = { "default", "file", "credential", "env", "flag" };
    const struct setting_row *row;
    return names[value_of(s, key, &row)->source];
}

const char *settings_file(const struct settings *s)
{
    return s->file;
}

const char *settings_warning(const struct settings *s, size_t i)
{
    return i < SETTINGS_WARNINGS ? s->warnings[i] : NULL;
}
