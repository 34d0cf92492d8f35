#include "cli/compose/compose_form.h"

#include "base/json.h"
#include "base/str.h"
#include "cli/compose/compose_forms.h"
#include "cli/compose/compose_text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int form_wrong(const struct place *p, const char *fmt, ...)
{
    char why[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return error_set(p->e, ERR_VALIDATION, "services.%s%s%s: %s", p->service, *p->field ? "." : "", p->field, why);
}

/* ---- scalars ---- */

int compose_duration_ms(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ns", 1e-6 }, { "us", 1e-3 }, { "µs", 1e-3 }, { "ms", 1 },
                  { "s", 1e3 },   { "m", 6e4 },   { "h", 36e5 },  { "d", 864e5 } };
    double sum = 0;
    if (!*text)
        return -EINVAL;
    while (*text) {
        char *end;
        double n = strtod(text, &end);
        size_t i = 0;
        if (end == text || n < 0)
            return -EINVAL;
        /* "ms" before "m": the longer unit that fits. */
        while (i < ARRAY_LEN(units) &&
               !(str_starts(end, units[i].unit) && !isalpha((unsigned char)end[strlen(units[i].unit)])))
            i++;
        if (i == ARRAY_LEN(units))
            return -EINVAL;
        sum += n * units[i].ms;
        text = end + strlen(units[i].unit);
    }
    if (!(sum < 1e15))
        return -EINVAL;
    *ret = (int64_t)llround(sum);
    return 0;
}

void compose_duration_text(int64_t ms, char *ret, size_t size)
{
    int64_t h = ms / 3600000, m = ms / 60000 % 60;
    double s = (double)(ms % 60000) / 1000;
    if (ms < 1000)
        (void)snprintf(ret, size, ms ? "%lldms" : "0s", (long long)ms);
    else if (h)
        (void)snprintf(ret, size, "%lldh%lldm%gs", (long long)h, (long long)m, s);
    else if (m)
        (void)snprintf(ret, size, "%lldm%gs", (long long)m, s);
    else
        (void)snprintf(ret, size, "%gs", s);
}

int compose_bytes(const char *text, int64_t *ret)
{
    static const char units[] = "bkmgt";
    char *end;
    double n = strtod(text, &end);
    if (end == text || !(n >= 0))
        return -EINVAL;
    while (*end == ' ')
        end++;
    int power = 0;
    if (*end) {
        const char *unit = strchr(units, tolower((unsigned char)*end));
        if (!unit || !*unit)
            return -EINVAL;
        power = (int)(unit - units);
        end++;
        if (power && tolower((unsigned char)*end) == 'i')
            end++;
        if (power && tolower((unsigned char)*end) == 'b')
            end++;
        if (*end)
            return -EINVAL;
    }
    n *= pow(1024, power);
    if (!(n < 9e15))
        return -EINVAL;
    *ret = (int64_t)n;
    return 0;
}

char *compose_path(const char *directory, const char *path)
{
    const char *home = getenv("HOME");
    if (*path == '/')
        return strdup(path);
    if (*path == '~' && (!path[1] || path[1] == '/') && home)
        return str_printf("%s%s", home, path + 1);
    char *joined = str_printf("%s/%s", directory, path), *to = joined;
    /* "." and ".." are taken out by their text, as Compose does. */
    for (char *from = joined; from && *from;) {
        size_t n = strcspn(from + 1, "/") + 1;
        if (n == 1 || (n == 2 && from[1] == '.')) {
            ;
        } else if (n == 3 && from[1] == '.' && from[2] == '.') {
            while (to > joined && *--to != '/')
                ;
        } else {
            memmove(to, from, n);
            to += n;
        }
        from += n;
    }
    if (to == joined && joined)
        *to++ = '/';
    if (joined)
        *to = '\0';
    return joined;
}

/* Any scalar as text; NULL: a list, a map or null. */
char *form_text(const json_t *v)
{
    if (json_is_string(v))
        return strdup(json_string_value(v));
    if (json_is_boolean(v))
        return strdup(json_is_true(v) ? "true" : "false");
    if (json_is_integer(v))
        return str_printf("%lld", (long long)json_integer_value(v));
    if (json_is_real(v)) {
        char *s = str_printf("%.12g", json_real_value(v));
        return s;
    }
    return NULL;
}

typedef int (*form_fn)(const struct place *p, json_t *value, json_t **ret);

static int as_text(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_free_ char *text = form_text(v);
    if (!text)
        return form_wrong(p, "must be a text");
    *ret = json_string(text);
    return 0;
}

int form_flag(const struct place *p, json_t *v, json_t **ret)
{
    const char *s = json_string_value(v);
    bool yes = s && (str_ieq(s, "true") || str_ieq(s, "yes") || str_ieq(s, "on") || str_ieq(s, "y"));
    bool no = s && (str_ieq(s, "false") || str_ieq(s, "no") || str_ieq(s, "off") || str_ieq(s, "n"));
    if (!json_is_boolean(v) && !yes && !no)
        return form_wrong(p, "must be true or false");
    *ret = json_boolean(json_is_true(v) || yes);
    return 0;
}

static int as_number(const struct place *p, json_t *v, json_t **ret)
{
    double n;
    int64_t whole;
    if (json_is_number(v)) {
        *ret = json_incref(v);
        return 0;
    }
    const char *s = json_string_value(v);
    if (s && str_to_int64(s, &whole) == 0)
        *ret = json_integer(whole);
    else if (s && str_to_double(s, &n) == 0)
        *ret = json_real(n);
    else
        return form_wrong(p, "must be a number");
    return 0;
}

static int as_duration(const struct place *p, json_t *v, json_t **ret)
{
    int64_t ms;
    char text[64];
    _cleanup_free_ char *s = form_text(v);
    if (!s || compose_duration_ms(s, &ms) < 0)
        return form_wrong(p, "must be a duration such as 1m30s");
    compose_duration_text(ms, text, sizeof text);
    *ret = json_string(text);
    return 0;
}

static int as_bytes(const struct place *p, json_t *v, json_t **ret)
{
    int64_t n;
    char text[32];
    _cleanup_free_ char *s = form_text(v);
    if (!s || compose_bytes(s, &n) < 0)
        return form_wrong(p, "must be a size such as 512m");
    (void)snprintf(text, sizeof text, "%lld", (long long)n);
    *ret = json_string(text);
    return 0;
}

/* -1 is swap without a limit. */
static int as_swap(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_free_ char *s = form_text(v);
    return str_eq(s, "-1") ? as_text(p, v, ret) : as_bytes(p, v, ret);
}

/* ---- lists and maps ---- */

static int as_texts(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    size_t i;
    json_t *item;
    if (!json_is_array(v)) {
        _cleanup_free_ char *one = form_text(v);
        if (!one)
            return form_wrong(p, "must be a text or a list of texts");
        (void)json_array_append_new(list, json_string(one));
    }
    json_array_foreach (json_is_array(v) ? v : NULL, i, item) {
        _cleanup_free_ char *text = form_text(item);
        if (!text)
            return form_wrong(p, "its item %zu must be a text", i);
        (void)json_array_append_new(list, json_string(text));
    }
    *ret = TAKE(list);
    return 0;
}

static int as_words(const struct place *p, json_t *v, json_t **ret)
{
    struct error e = ERROR_INIT;
    if (json_is_array(v))
        return as_texts(p, v, ret);
    _cleanup_free_ char *text = form_text(v);
    if (!text)
        return form_wrong(p, "must be a text or a list of texts");
    int r = compose_split_words(text, ret, &e);
    if (r < 0)
        r = form_wrong(p, "%s", e.message);
    error_done(&e);
    return r;
}

/* "K=V" in a list, or a map; a key without value is null. */
static int as_environment(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *map = json_object();
    size_t i;
    json_t *item;
    const char *key;
    if (!json_is_array(v) && !json_is_object(v))
        return form_wrong(p, "must be a map, or a list of KEY=VALUE");
    json_array_foreach (json_is_array(v) ? v : NULL, i, item) {
        _cleanup_free_ char *text = form_text(item);
        if (!text)
            return form_wrong(p, "its item %zu must be KEY=VALUE", i);
        char *end = strchr(text, '=');
        if (end)
            *end++ = '\0';
        (void)json_object_set_new(map, text, end ? json_string(end) : json_null());
    }
    json_object_foreach (json_is_object(v) ? v : NULL, key, item) {
        _cleanup_free_ char *text = form_text(item);
        if (!text && !json_is_null(item))
            return form_wrong(p, "%s must be a text, a number, true, false or null", key);
        (void)json_object_set_new(map, key, text ? json_string(text) : json_null());
    }
    *ret = TAKE(map);
    return 0;
}

static int as_labels(const struct place *p, json_t *v, json_t **ret)
{
    const char *key;
    json_t *value;
    void *next;
    int r = as_environment(p, v, ret);
    if (r == 0)
        json_object_foreach_safe (*ret, next, key, value)
            if (json_is_null(value))
                (void)json_object_set_new(*ret, key, json_string(""));
    return r;
}

static int add_host(const struct place *p, const char *host, const char *address, json_t *list)
{
    size_t n = address ? strlen(address) : 0;
    if (!n)
        return form_wrong(p, "%s has no address", host);
    bool bracketed = n > 1 && address[0] == '[' && address[n - 1] == ']';
    _cleanup_free_ char *text =
        str_printf("%s=%.*s", host, (int)(bracketed ? n - 2 : n), bracketed ? address + 1 : address);
    return json_array_append_new(list, json_string(text)) < 0 ? form_wrong(p, "%s is no host", host) : 0;
}

/* A host may have several addresses: said several times, or in a list. */
static int as_hosts(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    const char *key;
    json_t *item, *one;
    size_t i;
    int r = 0;
    if (!json_is_array(v) && !json_is_object(v))
        return form_wrong(p, "must be a map, or a list of HOST=ADDRESS");
    json_array_foreach (json_is_array(v) ? v : NULL, i, item) {
        _cleanup_free_ char *text = form_text(item);
        char *address = text ? strpbrk(text, "=:") : NULL;
        if (address)
            *address++ = '\0';
        if (!text || (r = add_host(p, text, address, list)) < 0)
            return text ? r : form_wrong(p, "its item %zu must be HOST=ADDRESS", i);
    }
    json_object_foreach (json_is_object(v) ? v : NULL, key, item) {
        if (!json_is_array(item))
            r = add_host(p, key, json_string_value(item), list);
        json_array_foreach (item, i, one)
            if (r == 0)
                r = add_host(p, key, json_string_value(one), list);
        if (r < 0)
            return r;
    }
    *ret = TAKE(list);
    return 0;
}

static int as_depends(const struct place *p, json_t *v, json_t **ret)
{
    static const char *const conditions[] = { "service_started", "service_healthy", "service_completed_successfully" };
    _cleanup_json_ json_t *map = json_object();
    size_t i;
    json_t *item;
    const char *key;
    json_array_foreach (json_is_array(v) ? v : NULL, i, item) {
        if (!json_is_string(item))
            return form_wrong(p, "its item %zu must be a service's name", i);
        (void)json_object_set_new(map, json_string_value(item),
                                  json_pack("{s:s, s:b}", "condition", conditions[0], "required", 1));
    }
    json_object_foreach (json_is_object(v) ? v : NULL, key, item) {
        const char *condition = json_str(item, "condition");
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(conditions); k++)
            known = known || str_eq(condition, conditions[k]);
        if (condition && !known)
            return form_wrong(p,
                              "%s has the condition \"%s\", which is none of service_started, service_healthy, "
                              "service_completed_successfully",
                              key, condition);
        json_t *one = json_pack("{s:s, s:b}", "condition", condition ? condition : conditions[0], "required",
                                json_flag(item, "required", true));
        if (json_flag(item, "restart", false))
            (void)json_object_set_new(one, "restart", json_true());
        (void)json_object_set_new(map, key, one);
    }
    if (!json_is_array(v) && !json_is_object(v))
        return form_wrong(p, "must be a list of services, or a map with conditions");
    *ret = TAKE(map);
    return 0;
}

static int as_networks(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *map = json_object();
    size_t i;
    json_t *item;
    const char *key;
    if (!json_is_array(v) && !json_is_object(v))
        return form_wrong(p, "must be a list or a map of networks");
    json_array_foreach (json_is_array(v) ? v : NULL, i, item)
        if (json_is_string(item))
            (void)json_object_set_new(map, json_string_value(item), json_null());
        else
            return form_wrong(p, "its item %zu must be a network's name", i);
    json_object_foreach (json_is_object(v) ? v : NULL, key, item)
        (void)json_object_set(map, key, item);
    *ret = TAKE(map);
    return 0;
}

static int as_ulimits(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *map = json_object();
    const char *key;
    json_t *item;
    if (!json_is_object(v))
        return form_wrong(p, "must be a map");
    json_object_foreach (v, key, item) {
        json_t *soft = json_object_get(item, "soft"), *hard = json_object_get(item, "hard"), *a = NULL, *b = NULL;
        if (as_number(p, json_is_object(item) ? soft : item, &a) < 0)
            return -ERR_VALIDATION;
        if (!json_is_object(item)) {
            (void)json_object_set_new(map, key, a);
            continue;
        }
        if (as_number(p, hard, &b) < 0) {
            json_decref(a);
            return -ERR_VALIDATION;
        }
        (void)json_object_set_new(map, key, json_pack("{s:o, s:o}", "soft", a, "hard", b));
    }
    *ret = TAKE(map);
    return 0;
}

/* ---- nested ---- */

struct form {
    const char *key;
    form_fn fn; /* NULL: as it is */
};

static int apply_forms(const struct place *p, json_t *object, const struct form *forms, size_t n, bool strict);

static int as_health(const struct place *p, json_t *v, json_t **ret)
{
    static const struct form forms[] = { { "test", NULL },           { "interval", as_duration },
                                         { "timeout", as_duration }, { "start_period", as_duration },
                                         { "retries", as_number },   { "start_interval", as_duration },
                                         { "disable", form_flag } };
    if (!json_is_object(v))
        return form_wrong(p, "must be a map");
    _cleanup_json_ json_t *check = json_deep_copy(v);
    int r = apply_forms(p, check, forms, ARRAY_LEN(forms), true);
    json_t *test = json_object_get(check, "test");
    if (r == 0 && test && !json_is_array(test)) {
        _cleanup_free_ char *text = form_text(test);
        if (!text)
            return form_wrong(p, "the test must be a text or a list");
        (void)json_object_set_new(check, "test", json_pack("[s, s]", "CMD-SHELL", text));
    }
    if (r == 0)
        *ret = TAKE(check);
    return r;
}

static int as_limits(const struct place *p, json_t *v, json_t **ret)
{
    static const struct form forms[] = { { "cpus", as_number },
                                         { "memory", as_bytes },
                                         { "pids", as_number },
                                         { "devices", NULL },
                                         { "generic_resources", NULL } };
    if (!json_is_object(v))
        return form_wrong(p, "its resources must be maps");
    *ret = json_deep_copy(v);
    int r = apply_forms(p, *ret, forms, ARRAY_LEN(forms), true);
    if (r < 0) {
        json_decref(*ret);
        *ret = NULL;
    }
    return r;
}

static int as_deploy(const struct place *p, json_t *v, json_t **ret)
{
    static const struct form resources[] = { { "limits", as_limits }, { "reservations", as_limits } };
    static const struct form forms[] = { { "replicas", as_number }, { "labels", as_labels },
                                         { "mode", as_text },       { "endpoint_mode", as_text },
                                         { "resources", NULL },     { "restart_policy", NULL },
                                         { "update_config", NULL }, { "rollback_config", NULL },
                                         { "placement", NULL } };
    if (!json_is_object(v))
        return form_wrong(p, "must be a map");
    _cleanup_json_ json_t *deploy = json_deep_copy(v);
    int r = apply_forms(p, deploy, forms, ARRAY_LEN(forms), true);
    json_t *own = json_object_get(deploy, "resources");
    if (r == 0 && json_is_object(own))
        r = apply_forms(p, own, resources, ARRAY_LEN(resources), true);
    if (r == 0)
        *ret = TAKE(deploy);
    return r;
}

static int as_gpus(const struct place *p, json_t *v, json_t **ret)
{
    if (json_is_array(v)) {
        *ret = json_incref(v);
        return 0;
    }
    if (!str_eq(json_string_value(v), "all"))
        return form_wrong(p, "must be all, or a list of devices");
    *ret = json_pack("[{s:i}]", "count", -1);
    return 0;
}

/* Files of variables: [{path, required, format}]. */
static int as_env_files(const struct place *p, json_t *v, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array(), *single = json_pack("[O]", v);
    json_t *all = json_is_array(v) ? v : single, *item;
    size_t i;
    json_array_foreach (all, i, item) {
        const char *path = json_is_string(item) ? json_string_value(item) : json_str(item, "path");
        if (!path)
            return form_wrong(p, "its item %zu needs a path", i);
        _cleanup_free_ char *absolute = compose_path(p->directory, path);
        json_t *one = json_is_object(item) ? json_deep_copy(item) : json_object();
        (void)json_object_set_new(one, "path", json_string(absolute));
        (void)json_array_append_new(list, one);
    }
    *ret = TAKE(list);
    return 0;
}

/* ---- a service ---- */

static const struct form service_forms[] = {
    { "annotations", as_labels },
    { "attach", form_flag },
    { "build", NULL },
    { "blkio_config", NULL },
    { "cap_add", as_texts },
    { "cap_drop", as_texts },
    { "cgroup", as_text },
    { "cgroup_parent", as_text },
    { "command", as_words },
    { "configs", form_files },
    { "container_name", as_text },
    { "cpu_count", as_number },
    { "cpu_percent", as_number },
    { "cpu_period", as_text },
    { "cpu_quota", as_text },
    { "cpu_rt_period", as_text },
    { "cpu_rt_runtime", as_text },
    { "cpu_shares", as_number },
    { "cpus", as_number },
    { "cpuset", as_text },
    { "credential_spec", NULL },
    { "depends_on", as_depends },
    { "deploy", as_deploy },
    { "develop", NULL },
    { "device_cgroup_rules", as_texts },
    { "devices", form_devices },
    { "dns", as_texts },
    { "dns_opt", as_texts },
    { "dns_search", as_texts },
    { "domainname", as_text },
    { "entrypoint", as_words },
    { "env_file", as_env_files },
    { "environment", as_environment },
    { "expose", as_texts },
    { "extends", NULL },
    { "external_links", as_texts },
    { "extra_hosts", as_hosts },
    { "gpus", as_gpus },
    { "group_add", as_texts },
    { "healthcheck", as_health },
    { "hostname", as_text },
    { "image", as_text },
    { "init", form_flag },
    { "ipc", as_text },
    { "isolation", as_text },
    { "label_file", as_texts },
    { "labels", as_labels },
    { "links", as_texts },
    { "logging", NULL },
    { "mac_address", as_text },
    { "mem_limit", as_bytes },
    { "mem_reservation", as_bytes },
    { "mem_swappiness", as_text },
    { "memswap_limit", as_swap },
    { "models", NULL },
    { "network_mode", as_text },
    { "networks", as_networks },
    { "oom_kill_disable", form_flag },
    { "oom_score_adj", as_number },
    { "pid", as_text },
    { "pids_limit", as_number },
    { "platform", as_text },
    { "ports", form_ports },
    { "post_start", NULL },
    { "pre_stop", NULL },
    { "privileged", form_flag },
    { "profiles", as_texts },
    { "provider", NULL },
    { "pull_policy", as_text },
    { "read_only", form_flag },
    { "restart", as_text },
    { "runtime", as_text },
    { "scale", as_number },
    { "secrets", form_files },
    { "security_opt", as_texts },
    { "shm_size", as_bytes },
    { "stdin_open", form_flag },
    { "stop_grace_period", as_duration },
    { "stop_signal", as_text },
    { "storage_opt", NULL },
    { "sysctls", as_environment },
    { "tmpfs", as_texts },
    { "tty", form_flag },
    { "ulimits", as_ulimits },
    { "use_api_socket", form_flag },
    { "user", as_text },
    { "userns_mode", as_text },
    { "uts", as_text },
    { "volumes", form_volumes },
    { "volumes_from", as_texts },
    { "working_dir", as_text },
};

static const struct form *form_of(const struct form *forms, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(forms[i].key, key))
            return &forms[i];
    return NULL;
}

static int apply_forms(const struct place *p, json_t *object, const struct form *forms, size_t n, bool strict)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe (object, next, key, value) {
        const struct form *f = form_of(forms, n, key);
        struct place at = { p->service, *p->field ? p->field : key, p->directory, p->e };
        json_t *made = NULL;
        if (str_starts(key, "x-")) {
            (void)json_object_del(object, key);
            continue;
        }
        if (!f && strict)
            return form_wrong(&at, "Compose knows no %s%s%s", *p->field ? p->field : key, *p->field ? "." : "",
                              *p->field ? key : "");
        if (json_is_null(value)) {
            /* Said without a value: as if it were not there. */
            (void)json_object_del(object, key);
            continue;
        }
        int r = f && f->fn ? f->fn(&at, value, &made) : 0;
        if (r < 0)
            return r;
        if (made && json_object_set_new(object, key, made) < 0)
            return error_set(p->e, ERR_INTERNAL, "out of memory");
    }
    return 0;
}

int compose_form_service(json_t *service, const char *name, const char *directory, struct error *e)
{
    struct place p = { name, "", directory, e };
    if (!json_is_object(service))
        return form_wrong(&p, "must be a map");
    return apply_forms(&p, service, service_forms, ARRAY_LEN(service_forms), true);
}
