#include "fake_caddy.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX (8 << 20)

/* ---- the configuration */

static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_t *d = json_loads(copy, 0, NULL);
    free(copy);
    return d;
}

/* The place of an @id, as a path; false: nowhere. */
static bool find_id(const json_t *at, const char *id, char *path, size_t size)
{
    const char *key;
    json_t *value;
    size_t i, len = strlen(path);
    if (str_eq(json_string_value(json_object_get(at, "@id")), id))
        return true;
    json_object_foreach ((json_t *)(uintptr_t)at, key, value) {
        (void)snprintf(path + len, size - len, "/%s", key);
        if (find_id(value, id, path, size))
            return true;
    }
    json_array_foreach (at, i, value) {
        (void)snprintf(path + len, size - len, "/%zu", i);
        if (find_id(value, id, path, size))
            return true;
    }
    path[len] = '\0';
    return false;
}

static json_t *step(json_t *at, const char *part)
{
    return json_is_array(at) ? json_array_get(at, (size_t)atoi(part)) : json_object_get(at, part);
}

/* Goes to the last part but one; PUT makes what is missing on the way. */
static json_t *walk(json_t *at, char *path, bool make, char **ret_last)
{
    char *rest = NULL, *part = strtok_r(path, "/", &rest), *next;
    for (; part && (next = strtok_r(NULL, "/", &rest)); part = next) {
        if (make && !step(at, part) && json_is_object(at))
            (void)json_object_set_new(at, part, json_object());
        at = step(at, part);
    }
    *ret_last = part;
    return at;
}

static int change(json_t *config, const char *method, const char *path, json_t *body)
{
    char copy[1024], *last = NULL;
    str_copy(copy, sizeof copy, path);
    json_t *at = walk(config, copy, str_eq(method, "PUT"), &last);
    if (!last)
        return 400;
    if (str_eq(method, "DELETE"))
        return json_is_array(at) ? json_array_remove(at, (size_t)atoi(last)) : json_object_del(at, last);
    if (json_is_array(at))
        return str_eq(method, "PUT") ? json_array_insert(at, (size_t)atoi(last), body)
                                     : json_array_set(at, (size_t)atoi(last), body);
    if (str_eq(method, "POST") && json_is_array(json_object_get(at, last)))
        return json_array_append(json_object_get(at, last), body);
    return json_object_set(at, last, body);
}

/* ---- answers */

static void answer(int fd, int status, const char *etag, const char *body)
{
    char *text = str_printf("HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s%s%sConnection: close\r\n\r\n%s", status,
                            strlen(body), etag ? "Etag: " : "", etag ? etag : "", etag ? "\r\n" : "", body);
    if (text && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        (void)fprintf(stderr, "fake caddy: an answer was not taken\n");
    free(text);
}

static void tag_of(const char *path, const json_t *value, char ret[300])
{
    unsigned long hash = 5381;
    char *text = value ? json_dumps(value, JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    for (const char *p = text; p && *p; p++)
        hash = hash * 33 + (unsigned char)*p;
    free(text);
    (void)snprintf(ret, 300, "\"/config%s %lx\"", path, hash);
}

static json_t *at_path(json_t *config, const char *path)
{
    char copy[1024], *last = NULL;
    str_copy(copy, sizeof copy, path);
    json_t *at = walk(config, copy, false, &last);
    return last ? step(at, last) : at;
}

static void get(struct fake_caddy *f, int fd, const char *path)
{
    char tag[300];
    const json_t *value = at_path(f->config, path);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    tag_of(path, value, tag);
    answer(fd, 200, tag, text ? text : "null");
    free(text);
}

static bool header(const char *request, const char *name, char *ret, size_t size)
{
    const char *at = strcasestr(request, name);
    if (!at)
        return false;
    at += strlen(name);
    (void)snprintf(ret, size, "%.*s", (int)strcspn(at, "\r"), at);
    return true;
}

static void write_config(struct fake_caddy *f, int fd, const char *method, const char *path, const char *request,
                         const char *body)
{
    char wanted[300] = "", tag[300];
    tag_of(path, at_path(f->config, path), tag);
    if (f->stale > 0 || (header(request, "\r\nIf-Match: ", wanted, sizeof wanted) && !str_eq(wanted, tag))) {
        f->stale -= f->stale > 0;
        answer(fd, 412, NULL, "{\"error\":\"If-Match header did not match current config hash\"}");
        return;
    }
    json_t *copy = json_deep_copy(f->config), *value = body[0] ? json_loads(body, JSON_DECODE_ANY, NULL) : NULL;
    int r = change(copy, method, path, value);
    char *text = json_dumps(copy, 0);
    json_decref(value);
    if (r != 0 || (f->refuses && strstr(text, f->refuses))) {
        json_decref(copy);
        answer(fd, 500, NULL, "{\"error\":\"loading new config: it is refused\"}");
    } else {
        json_decref(f->config);
        f->config = copy;
        f->changes++;
        if (f->lost_answers > 0)
            f->lost_answers--;
        else
            answer(fd, 200, NULL, "");
    }
    free(text);
}

static bool origin_good(const struct fake_caddy *f, const char *request)
{
    char origin[200] = "";
    (void)header(request, "\r\nOrigin: ", origin, sizeof origin);
    return f->wants_origin ? str_eq(origin, f->wants_origin) : !origin[0];
}

static void respond(struct fake_caddy *f, int fd, const char *request, const char *body)
{
    char method[16] = "", target[1024] = "", path[1024] = "";
    (void)sscanf(request, "%15s %1023s", method, target);
    f->calls++;
    if (!origin_good(f, request))
        answer(fd, 403, NULL, "{\"error\":\"client is not allowed to access from origin ''\"}");
    else if (str_eq(target, "/adapt"))
        answer(fd, f->knows_rates ? 200 : 400, NULL,
               f->knows_rates ? "{\"result\":{\"handler\":\"rate_limit\"}}"
                              : "{\"error\":\"unrecognized directive: rate_limit\"}");
    else if (str_eq(target, "/reverse_proxy/upstreams"))
        answer(fd, 200, NULL, f->upstreams ? f->upstreams : "[]");
    else if (str_eq(target, "/metrics"))
        answer(fd, f->metrics ? 200 : 500, NULL, f->metrics ? f->metrics : "");
    else if (str_starts(target, "/id/") && !find_id(f->config, target + 4, path, sizeof path))
        answer(fd, 404, NULL, "{\"error\":\"unknown object ID\"}");
    else {
        if (str_starts(target, "/config"))
            str_copy(path, sizeof path, target + 7);
        if (str_eq(method, "GET"))
            get(f, fd, path);
        else
            write_config(f, fd, method, path, request, body);
    }
}

static void serve(struct fake_caddy *f, int fd)
{
    char *request = calloc(1, REQUEST_MAX), *end = NULL;
    size_t len = 0;
    while (request && len + 1 < REQUEST_MAX) {
        ssize_t n = recv(fd, request + len, REQUEST_MAX - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        const char *length = strcasestr(request, "\r\nContent-Length: ");
        end = strstr(request, "\r\n\r\n");
        if (end && len >= (size_t)(end + 4 - request) + (length && length < end ? strtoul(length + 18, NULL, 10) : 0))
            break;
    }
    if (end) {
        pthread_mutex_lock(&f->lock);
        respond(f, fd, request, end + 4);
        pthread_mutex_unlock(&f->lock);
    }
    free(request);
}

static void *run(void *arg)
{
    struct fake_caddy *f = arg;
    while (!f->stop) {
        struct pollfd p = { .fd = f->listener, .events = POLLIN };
        if (poll(&p, 1, 20) <= 0)
            continue;
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            continue;
        if (f->broken_calls > 0)
            f->broken_calls--;
        else
            serve(f, fd);
        (void)close(fd);
    }
    return NULL;
}

struct fake_caddy *fake_caddy_new(const char *config)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    struct fake_caddy *f = calloc(1, sizeof *f);
    f->config = parse(config);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&f->lock, NULL);
    if (!f->config || bind(f->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(f->listener, 64) < 0 ||
        getsockname(f->listener, (struct sockaddr *)&a, &size) < 0 || pthread_create(&f->thread, NULL, run, f) != 0)
        abort();
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", ntohs(a.sin_port));
    return f;
}

void fake_caddy_free(struct fake_caddy *f)
{
    f->stop = true;
    pthread_join(f->thread, NULL);
    (void)close(f->listener);
    pthread_mutex_destroy(&f->lock);
    json_decref(f->config);
    free(f);
}

json_t *fake_caddy_at(struct fake_caddy *f, const char *path)
{
    pthread_mutex_lock(&f->lock);
    json_t *copy = json_deep_copy(at_path(f->config, path));
    pthread_mutex_unlock(&f->lock);
    return copy;
}

void fake_caddy_load(struct fake_caddy *f, const char *config)
{
    pthread_mutex_lock(&f->lock);
    json_decref(f->config);
    f->config = parse(config);
    pthread_mutex_unlock(&f->lock);
}
