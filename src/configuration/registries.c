#include "configuration/internal.h"

#include <stdio.h>
#include <string.h>

/* The hub of images answers to several names; engines and image names call it by the first. */
#define IMAGE_HUB "docker.io"
static const char *const hub_names[] = { "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com",
                                         "hub.docker.com", "www.docker.io" };

void registry_login_done(struct registry_login *l)
{
    secret_free(l->password);
    l->password = NULL;
}

static void context_of(const char *host, const char *username, char *ret, size_t size)
{
    (void)snprintf(ret, size, "registry:%s:%s", host, username);
}

static int bad_host(const char *given, struct error *e)
{
    (void)error_set(e, ERR_VALIDATION,
                    "\"%.200s\" is no registry's host, such as ghcr.io or registry.example.org:5000.", given);
    error_detail(e, "/host", "is no host with an optional port");
    return -ERR_VALIDATION;
}

static bool host_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._:[]", c) != NULL;
}

int registry_host(const char *given, char ret[256], struct error *e)
{
    char host[256];
    const char *from = str_starts(given, "https://") ? given + 8 : str_starts(given, "http://") ? given + 7 : given;
    size_t n = strcspn(from, "/");
    if (n == 0 || n >= sizeof host)
        return bad_host(given, e);
    for (size_t i = 0; i < n; i++) {
        host[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
        if (!host_letter(host[i]))
            return bad_host(given, e);
    }
    host[n] = '\0';
    if (str_ends(host, ":443"))
        host[n - 4] = '\0';
    if (!host[0] || host[0] == ':' || host[0] == '.' || host[0] == '-')
        return bad_host(given, e);
    for (size_t i = 0; i < ARRAY_LEN(hub_names); i++)
        if (str_eq(host, hub_names[i]))
            str_copy(host, sizeof host, IMAGE_HUB);
    str_copy(ret, 256, host);
    return 0;
}

static int count(struct store_conn *c, const char *host, int64_t *ret, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(c, e, &rows, "SELECT COUNT(*) FROM registry_logins WHERE host <> $1", "t", host);
    if (r == 0 && (r = rows_next(rows, e)) == 1) {
        *ret = rows_int(rows, 0);
        r = 0;
    }
    return r;
}

int registry_set(struct secrets *s, const char *host, const char *username, const struct secret *password,
                 const char *by, struct error *e)
{
    char context[600];
    int64_t now = clock_now_ms(), others = 0;
    size_t len = 0, sealed_len = 0;
    _cleanup_free_ uint8_t *sealed = NULL;
    const char *bytes = secret_reveal(password, &len);
    context_of(host, username, context, sizeof context);
    int r = vault_seal(s->vault, context, bytes, len, &sealed, &sealed_len, e);
    if (r < 0)
        return r;
    _cleanup_conn_ struct store_conn *c = NULL;
    r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = count(c, host, &others, e);
    if (r == 0 && others >= REGISTRIES_MAX)
        r = error_set(e, ERR_CONFLICT, "There are %d registries already.", REGISTRIES_MAX);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO registry_logins (host, username, password_sealed, updated_by, created_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host) DO UPDATE SET username = excluded.username, "
            "password_sealed = excluded.password_sealed, updated_by = excluded.updated_by, "
            "updated_at = excluded.updated_at",
            "ttbtii", host, username, (const void *)sealed, sealed_len, by, now, now);
    return r == 0 ? store_commit(c, e) : r;
}

static int not_there(const char *host, struct error *e)
{
    return error_set(e, ERR_NOT_FOUND, "No login is kept for the registry %.255s.", host);
}

int registry_forget(struct secrets *s, const char *host, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = store_exec(c, e, "DELETE FROM registry_logins WHERE host = $1", "t", host);
    if (r == 0 && store_changed(c) == 0)
        r = not_there(host, e);
    return r == 0 ? store_commit(c, e) : r;
}

int secrets_registry(struct secrets *s, const char *host, struct registry_login *ret, struct error *e)
{
    struct registry_login l = { .password = NULL };
    char context[600];
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = registry_host(host, l.host, e);
    if (r == 0)
        r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT username, password_sealed FROM registry_logins WHERE host = $1", "t",
                        l.host);
    if (r == 0)
        r = rows_next(rows, e);
    if (r != 1)
        return r;
    size_t len = 0;
    str_copy(l.username, sizeof l.username, rows_text(rows, 0));
    const void *sealed = rows_blob(rows, 1, &len);
    context_of(l.host, l.username, context, sizeof context);
    r = vault_unseal(s->vault, context, sealed, len, &l.password, e);
    if (r < 0)
        return r;
    *ret = l;
    return 1;
}

/* ---- documents ---- */

#define LOGIN_COLUMNS "host, username, created_at, updated_at, updated_by"

static void write_row(struct jw *w, struct store_rows *rows)
{
    jw_object(w);
    jw_key(w, "host"), jw_string(w, rows_text(rows, 0));
    jw_key(w, "username"), jw_string(w, rows_text(rows, 1));
    jw_key(w, "createdAt"), jw_time(w, rows_int(rows, 2));
    jw_key(w, "updatedAt"), jw_time(w, rows_int(rows, 3));
    jw_key(w, "updatedBy"), jw_string(w, rows_text(rows, 4));
    jw_end(w);
}

int registry_write(struct secrets *s, const char *host, struct jw *w, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " LOGIN_COLUMNS " FROM registry_logins WHERE host = $1", "t", host);
    if (r == 0)
        r = rows_next(rows, e);
    if (r <= 0)
        return r < 0 ? r : not_there(host, e);
    write_row(w, rows);
    return 0;
}

int registries_write(struct secrets *s, struct jw *w, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " LOGIN_COLUMNS " FROM registry_logins ORDER BY host", "");
    if (r < 0)
        return r;
    jw_array(w);
    while ((r = rows_next(rows, e)) == 1)
        write_row(w, rows);
    jw_end(w);
    return r;
}
