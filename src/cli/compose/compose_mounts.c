#include "base/json.h"
#include "base/str.h"
#include "cli/compose/compose_form.h"
#include "cli/compose/compose_forms.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- ports ---- */

#define PORTS_MAX 1024 /* each is held against the others */

static int range_of(const struct place *p, const char *text, int64_t *ret_first, int64_t *ret_last)
{
    char copy[32];
    str_copy(copy, sizeof copy, text);
    char *dash = strchr(copy, '-');
    if (dash)
        *dash++ = '\0';
    if (str_to_int64(copy, ret_first) < 0 || (dash && str_to_int64(dash, ret_last) < 0))
        return form_wrong(p, "\"%s\" is no port", text);
    if (!dash)
        *ret_last = *ret_first;
    if (*ret_first < 0 || *ret_last > 65535 || *ret_first > *ret_last)
        return form_wrong(p, "\"%s\" is no range of ports", text);
    return 0;
}

static void add_port(json_t *list, const char *ip, const char *published, int64_t target, const char *protocol,
                     const char *mode)
{
    json_t *port = json_pack("{s:s, s:I, s:s}", "mode", mode, "target", (json_int_t)target, "protocol", protocol);
    if (published)
        (void)json_object_set_new(port, "published", json_string(published));
    if (ip && *ip)
        (void)json_object_set_new(port, "host_ip", json_string(ip));
    size_t i;
    json_t *old;
    json_array_foreach (list, i, old)
        if (json_equal(old, port)) {
            json_decref(port);
            return;
        }
    (void)json_array_append_new(list, port);
}

static bool is_address(const char *ip)
{
    struct in6_addr any;
    return inet_pton(AF_INET, ip, &any) == 1 || inet_pton(AF_INET6, ip, &any) == 1;
}

/* [[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]; both may be ranges. */
static int short_port(const struct place *p, const char *word, json_t *list)
{
    char text[256], protocol[16] = "tcp";
    str_copy(text, sizeof text, word);
    char *slash = strchr(text, '/');
    if (slash) {
        *slash = '\0';
        str_copy(protocol, sizeof protocol, slash + 1);
    }
    char *target = strrchr(text, ':'), *published = NULL, *ip = NULL;
    if (target) {
        *target++ = '\0';
        published = strrchr(text, ':');
        if (published) {
            *published++ = '\0';
            ip = text;
        } else {
            published = text;
        }
    } else {
        target = text;
    }
    if (ip && *ip == '[') {
        ip++;
        ip[strcspn(ip, "]")] = '\0';
    }
    if (ip && *ip && !is_address(ip))
        return form_wrong(p, "\"%s\" has no IP address in front", word);
    if (!str_eq(protocol, "tcp") && !str_eq(protocol, "udp") && !str_eq(protocol, "sctp"))
        return form_wrong(p, "\"%s\" is of no protocol: tcp, udp, sctp", word);
    int64_t from, to, host_from = 0, host_to = 0;
    int r = range_of(p, target, &from, &to);
    if (r == 0 && published && *published)
        r = range_of(p, published, &host_from, &host_to);
    if (r < 0)
        return r;
    if (from == 0)
        return form_wrong(p, "\"%s\" names no port of the container", word);
    if (to - from >= PORTS_MAX)
        return form_wrong(p, "\"%s\" are more than %d ports", word, PORTS_MAX);
    if (!published || !*published) {
        for (int64_t i = from; i <= to; i++)
            add_port(list, ip, NULL, i, protocol, "ingress");
        return 0;
    }
    if (from == to && host_from != host_to) { /* any of a range */
        add_port(list, ip, published, from, protocol, "ingress");
        return 0;
    }
    if (host_to - host_from != to - from)
        return form_wrong(p, "\"%s\" has two ranges that differ in length", word);
    for (int64_t i = 0; i <= to - from; i++) {
        char number[32];
        int64_t host = host_from + i;
        (void)snprintf(number, sizeof number, "%lld", (long long)host);
        add_port(list, ip, number, from + i, protocol, "ingress");
    }
    return 0;
}

int form_ports(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        return form_wrong(p, "must be a list");
    json_array_foreach (v, i, item) {
        if (json_array_size(list) > PORTS_MAX)
            return form_wrong(p, "more than %d ports", PORTS_MAX);
        if (!json_is_object(item)) {
            _cleanup_free_ char *word = form_text(item);
            int r = word ? short_port(p, word, list) : form_wrong(p, "its item %zu is no port", i);
            if (r < 0)
                return r;
            continue;
        }
        _cleanup_free_ char *target = form_text(json_object_get(item, "target"));
        _cleanup_free_ char *published = form_text(json_object_get(item, "published"));
        int64_t port;
        if (!target || str_to_int64(target, &port) < 0 || port < 1 || port > 65535)
            return form_wrong(p, "its item %zu needs a target port", i);
        const char *protocol = json_str(item, "protocol"), *mode = json_str(item, "mode");
        add_port(list, json_str(item, "host_ip"), published && *published ? published : NULL, port,
                 protocol ? protocol : "tcp", mode ? mode : "ingress");
    }
    *ret = TAKE(list);
    return 0;
}

/* ---- volumes, secrets, devices ---- */

static bool is_path(const char *s)
{
    return *s == '/' || *s == '~' || *s == '.';
}

static json_t *short_volume(const struct place *p, const char *word)
{
    _cleanup_free_ char *text = strdup(word);
    char *target = text ? strchr(text, ':') : NULL, *mode = NULL;
    if (!target)
        return text ? json_pack("{s:s, s:s}", "type", "volume", "target", text) : NULL;
    *target++ = '\0';
    if ((mode = strchr(target, ':')))
        *mode++ = '\0';
    bool bind = is_path(text);
    _cleanup_free_ char *source = bind ? compose_path(p->directory, text) : strdup(text);
    json_t *volume = json_pack("{s:s, s:s, s:s}", "type", bind ? "bind" : "volume", "source", source, "target", target);
    for (char *save = NULL, *one = mode ? strtok_r(mode, ",", &save) : NULL; one; one = strtok_r(NULL, ",", &save))
        if (str_eq(one, "ro"))
            (void)json_object_set_new(volume, "read_only", json_true());
    return volume;
}

int form_volumes(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        return form_wrong(p, "must be a list");
    json_array_foreach (v, i, item) {
        if (json_is_string(item)) {
            if (json_array_append_new(list, short_volume(p, json_string_value(item))) < 0)
                return form_wrong(p, "its item %zu is no mount", i);
            continue;
        }
        const char *type = json_str(item, "type"), *source = json_str(item, "source");
        if (!json_is_object(item) || !json_str(item, "target"))
            return form_wrong(p, "its item %zu needs a target", i);
        json_t *volume = json_deep_copy(item);
        (void)json_array_append_new(list, volume);
        if (!type)
            (void)json_object_set_new(volume, "type", json_string(source && is_path(source) ? "bind" : "volume"));
        if (source && str_eq(json_str(volume, "type"), "bind")) {
            _cleanup_free_ char *path = compose_path(p->directory, source);
            (void)json_object_set_new(volume, "source", json_string(path));
        }
        json_t *readonly = json_object_get(volume, "read_only"), *flag = NULL;
        if (readonly && form_flag(p, readonly, &flag) < 0)
            return -ERR_VALIDATION;
        if (flag)
            (void)json_object_set_new(volume, "read_only", flag);
    }
    *ret = TAKE(list);
    return 0;
}

/* A number is the mode itself (the file's 0400 was octal), a text is octal. */
static int octal_mode(const struct place *p, json_t *v, json_t **ret)
{
    char *end = NULL, octal[32];
    const char *text = json_string_value(v);
    long long mode = json_is_integer(v) ? json_integer_value(v) : text ? strtoll(text, &end, 8) : -1;
    if (mode < 0 || mode > 07777 || (text && (end == text || *end)))
        return form_wrong(p, "a mode is octal, such as 0400");
    (void)snprintf(octal, sizeof octal, "%04llo", (unsigned long long)mode);
    *ret = json_string(octal);
    return 0;
}

int form_files(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    bool secret = str_eq(p->field, "secrets");
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        return form_wrong(p, "must be a list");
    json_array_foreach (v, i, item) {
        const char *source = json_is_string(item) ? json_string_value(item) : json_str(item, "source");
        const char *target = json_str(item, "target");
        if (!source)
            return form_wrong(p, "its item %zu needs a source", i);
        _cleanup_free_ char *path = target ? strdup(target) : str_printf("%s/%s", secret ? "/run/secrets" : "", source);
        json_t *one = json_is_object(item) ? json_deep_copy(item) : json_object(), *mode = NULL;
        (void)json_object_set_new(one, "source", json_string(source));
        (void)json_object_set_new(one, "target", json_string(path));
        (void)json_array_append_new(list, one);
        if (json_object_get(one, "mode") && octal_mode(p, json_object_get(one, "mode"), &mode) < 0)
            return -ERR_VALIDATION;
        if (mode)
            (void)json_object_set_new(one, "mode", mode);
    }
    *ret = TAKE(list);
    return 0;
}

int form_devices(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        return form_wrong(p, "must be a list");
    json_array_foreach (v, i, item) {
        if (json_is_object(item)) {
            (void)json_array_append(list, item);
            continue;
        }
        _cleanup_free_ char *text = form_text(item);
        char *target = text ? strchr(text, ':') : NULL, *mode = NULL;
        if (!text)
            return form_wrong(p, "its item %zu is no device", i);
        if (target)
            *target++ = '\0';
        if (target && (mode = strchr(target, ':')))
            *mode++ = '\0';
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:s}", "source", text, "target",
                                              target && *target ? target : text, "permissions", mode ? mode : "rwm"));
    }
    *ret = TAKE(list);
    return 0;
}
