#include "cli/compose/compose_model.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "cli/compose/compose_form.h"
#include "cli/compose/compose_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEPTH_MAX 16
#define FILES_MAX 512 /* read, again and again counted: files that include each other would be without end */

extern char **environ;

struct loading {
    const struct compose_options *options;
    json_t *variables; /* the project's: the caller's environment over its files of variables */
    json_t *unset;
    unsigned depth; /* of files within files, and of what extends what */
    unsigned files;
    struct error *e;
};

static int no_memory(struct error *e)
{
    return error_set(e, ERR_INTERNAL, "out of memory");
}

static char *directory_of(const char *path)
{
    char cwd[4096];
    const char *slash = strrchr(path, '/');
    if (!getcwd(cwd, sizeof cwd))
        return NULL;
    _cleanup_free_ char *own = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    return own ? compose_path(cwd, own) : NULL;
}

/* "-" is standard input. */
static int read_stream(char **ret, size_t *ret_len)
{
    struct buf b;
    char chunk[8192];
    size_t n;
    int r = 0;
    buf_init(&b, COMPOSE_TEXT_MAX);
    while (r == 0 && (n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        r = buf_append(&b, chunk, n);
    if (r == 0)
        r = ferror(stdin) ? -EIO : buf_puts(&b, "");
    *ret_len = b.len;
    *ret = r < 0 ? NULL : b.data ? buf_steal(&b) : strdup("");
    buf_done(&b);
    return r;
}

static int read_text(const char *path, char **ret, struct error *e)
{
    size_t len = 0;
    int r = str_eq(path, "-") ? read_stream(ret, &len) : file_read(path, COMPOSE_TEXT_MAX, ret, &len);
    if (r < 0)
        return error_set(e, ERR_NOT_FOUND, "%s cannot be read: %s", path,
                         r == -EMSGSIZE ? "it is over 1 MiB" : strerror(-r));
    if (strlen(*ret) == len)
        return 0;
    free(*ret);
    *ret = NULL;
    return error_set(e, ERR_MALFORMED, "%s: there is a zero byte in it", path);
}

/* ---- variables ---- */

static json_t *own_environment(void)
{
    json_t *map = json_object();
    for (char **one = environ; one && *one; one++) {
        const char *equals = strchr(*one, '=');
        _cleanup_free_ char *name = equals ? strndup(*one, (size_t)(equals - *one)) : NULL;
        if (name && *name)
            (void)json_object_set_new(map, name, json_string(equals + 1));
    }
    return map;
}

static int read_variable_file(const char *path, const json_t *variables, bool raw, json_t *out, struct error *e)
{
    _cleanup_free_ char *text = NULL;
    struct error inner = ERROR_INIT;
    int r = read_text(path, &text, e);
    if (r < 0)
        return r;
    r = compose_read_variables(text, variables, raw, out, &inner);
    if (r < 0)
        r = error_set(e, ERR_VALIDATION, "%s: %s", path, inner.message);
    error_done(&inner);
    return r;
}

/* The caller's own environment wins over the files. */
static int project_variables(const struct compose_options *o, const char *directory, json_t **ret, struct error *e)
{
    _cleanup_json_ json_t *own = own_environment(), *all = json_object();
    _cleanup_free_ char *usual = str_printf("%s/.env", directory);
    int r = own && all && usual ? 0 : no_memory(e);
    for (size_t i = 0; r == 0 && i < o->n_env_files; i++)
        r = read_variable_file(o->env_files[i], own, false, all, e);
    if (r == 0 && o->n_env_files == 0 && access(usual, F_OK) == 0)
        r = read_variable_file(usual, own, false, all, e);
    if (r == 0 && json_object_update(all, own) < 0)
        r = no_memory(e);
    if (r == 0)
        *ret = TAKE(all);
    return r;
}

static int interpolate(struct loading *l, json_t *value, const char *path);

static int interpolate_text(struct loading *l, json_t *value, const char *path, json_t **ret)
{
    _cleanup_free_ char *text = NULL;
    struct error inner = ERROR_INIT;
    int r = 0;
    *ret = NULL;
    if (!strchr(json_string_value(value), '$'))
        return 0;
    r = compose_interpolate(json_string_value(value), l->variables, l->unset, &text, &inner);
    if (r < 0)
        r = error_set(l->e, ERR_VALIDATION, "%s: %s", path, inner.message);
    else if (!(*ret = json_string(text)))
        r = error_set(l->e, ERR_VALIDATION, "%s: the value is not UTF-8", path);
    error_done(&inner);
    return r;
}

/* Every text but keys, in place. */
static int interpolate(struct loading *l, json_t *value, const char *path)
{
    const char *key;
    json_t *item, *made = NULL;
    void *next;
    size_t i;
    int r = 0;
    json_object_foreach_safe (value, next, key, item) {
        _cleanup_free_ char *at = str_printf("%s%s%s", path, *path ? "." : "", key);
        r = !at                    ? no_memory(l->e)
            : json_is_string(item) ? interpolate_text(l, item, at, &made)
                                   : interpolate(l, item, at);
        if (r < 0)
            return r;
        if (json_is_string(item) && made)
            (void)json_object_set_new(value, key, made);
    }
    json_array_foreach (json_is_array(value) ? value : NULL, i, item) {
        _cleanup_free_ char *at = str_printf("%s[%zu]", path, i);
        r = !at                    ? no_memory(l->e)
            : json_is_string(item) ? interpolate_text(l, item, at, &made)
                                   : interpolate(l, item, at);
        if (r < 0)
            return r;
        if (json_is_string(item) && made)
            (void)json_array_set_new(value, i, made);
    }
    return 0;
}

/* ---- one file ---- */

static int load_file(struct loading *l, const char *path, const char *directory, json_t **ret);

static const char *const top_keys[] = { "name",    "services", "networks", "volumes", "secrets",
                                        "configs", "include",  "version",  "models" };

static int check_top(struct loading *l, json_t *model, const char *path)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe (model, next, key, value) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(top_keys); i++)
            known = known || str_eq(top_keys[i], key);
        if (str_starts(key, "x-") || str_eq(key, "version"))
            (void)json_object_del(model, key);
        else if (!known)
            return error_set(l->e, ERR_VALIDATION, "%s: Compose knows no %s at the top", path, key);
    }
    return 0;
}

static int parse_file(struct loading *l, const char *path, json_t **ret)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *model = NULL;
    struct error inner = ERROR_INIT;
    if (l->files++ >= FILES_MAX)
        return error_set(l->e, ERR_TOO_LARGE, "%s: more than %d files would be read", path, FILES_MAX);
    int r = read_text(path, &text, l->e);
    if (r < 0)
        return r;
    r = yaml_load_lines(text, strlen(text), (struct yaml_options){ .octal_zero = true }, &model, NULL, &inner);
    if (r < 0)
        r = error_set(l->e, ERR_MALFORMED, "%s: %s", path, inner.message);
    else if (!json_is_object(model))
        r = error_set(l->e, ERR_MALFORMED, "%s is no Compose file: it begins with 'services:'", path);
    error_done(&inner);
    if (r == 0)
        r = check_top(l, model, path);
    if (r == 0)
        r = interpolate(l, model, "");
    if (r == 0)
        *ret = TAKE(model);
    return r;
}

/* ---- extends ---- */

static int resolve_service(struct loading *l, json_t *services, const char *name, const char *directory,
                           json_t *under_way);

/* The service that another one extends, whole and in canonical form; a copy. */
static int extended(struct loading *l, json_t *services, const char *name, const json_t *extends, const char *directory,
                    json_t *under_way, json_t **ret)
{
    const char *file = json_str(extends, "file");
    const char *base = json_is_string(extends) ? json_string_value(extends) : json_str(extends, "service");
    if (!base)
        return error_set(l->e, ERR_VALIDATION, "services.%s.extends: must name a service", name);
    if (l->depth >= DEPTH_MAX)
        return error_set(l->e, ERR_VALIDATION, "services.%s.extends: more than %d services extend each other", name,
                         DEPTH_MAX);
    if (!file) {
        if (!json_object_get(services, base))
            return error_set(l->e, ERR_VALIDATION, "services.%s.extends: there is no service %s", name, base);
        l->depth++;
        int r = resolve_service(l, services, base, directory, under_way);
        l->depth--;
        if (r == 0)
            *ret = json_deep_copy(json_object_get(services, base));
        return r;
    }
    _cleanup_free_ char *path = compose_path(directory, file), *other = path ? directory_of(path) : NULL;
    _cleanup_json_ json_t *model = NULL;
    if (!other)
        return no_memory(l->e);
    l->depth++;
    int r = load_file(l, path, other, &model);
    l->depth--;
    if (r < 0)
        return r;
    json_t *found = json_object_get(json_object_get(model, "services"), base);
    if (!found)
        return error_set(l->e, ERR_VALIDATION, "services.%s.extends: %s has no service %s", name, file, base);
    *ret = json_deep_copy(found);
    return 0;
}

/* In canonical form, with what it extends under it; in place. */
static int resolve_service(struct loading *l, json_t *services, const char *name, const char *directory,
                           json_t *under_way)
{
    json_t *state = json_object_get(under_way, name);
    if (json_is_true(state))
        return 0;
    if (state)
        return error_set(l->e, ERR_VALIDATION, "services.%s.extends: services extend each other in a circle", name);
    (void)json_object_set_new(under_way, name, json_false());
    json_t *service = json_object_get(services, name);
    if (json_is_null(service) && json_object_set_new(services, name, json_object()) == 0)
        service = json_object_get(services, name);
    _cleanup_json_ json_t *extends = json_incref(json_object_get(service, "extends"));
    _cleanup_json_ json_t *base = NULL;
    int r = compose_form_service(service, name, directory, l->e);
    if (r == 0 && extends && !json_is_null(extends)) {
        (void)json_object_del(service, "extends");
        r = extended(l, services, name, extends, directory, under_way, &base);
    }
    if (r == 0 && base) {
        r = compose_merge(base, service, "");
        if (r == 0)
            r = json_object_set(services, name, base);
        if (r < 0)
            return no_memory(l->e);
    }
    (void)json_object_set_new(under_way, name, json_true());
    return r;
}

static int resolve_services(struct loading *l, json_t *model, const char *directory, const char *path)
{
    json_t *services = json_object_get(model, "services"), *value;
    _cleanup_json_ json_t *under_way = json_object();
    const char *key;
    void *next;
    if (!services || json_is_null(services))
        return json_object_set_new(model, "services", json_object());
    if (!json_is_object(services))
        return error_set(l->e, ERR_VALIDATION, "%s: services must be a map", path);
    json_object_foreach_safe (services, next, key, value) {
        int r = resolve_service(l, services, key, directory, under_way);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- secrets and configs ---- */

static void absolute_files(json_t *model, const char *section, const char *directory)
{
    const char *key;
    json_t *one;
    json_object_foreach (json_object_get(model, section), key, one) {
        const char *file = json_str(one, "file");
        _cleanup_free_ char *path = file ? compose_path(directory, file) : NULL;
        if (path)
            (void)json_object_set_new(one, "file", json_string(path));
    }
}

/* ---- include ---- */

/* A text, or a list of them, as a list; a new reference. */
static json_t *as_list(json_t *value)
{
    return json_is_string(value) ? json_pack("[O]", value) : json_incref(value);
}

/* Where what is included stands: what it says itself, else the directory of its first file. */
static char *include_directory(const json_t *entry, const json_t *paths, const char *directory)
{
    const char *own = json_str(entry, "project_directory"), *first = json_string_value(json_array_get(paths, 0));
    if (own)
        return compose_path(directory, own);
    _cleanup_free_ char *file = first ? compose_path(directory, first) : NULL;
    return file ? directory_of(file) : NULL;
}

/* The including project's variables stand over those of the included one's files. */
static int include_variables(struct loading *l, const json_t *entry, const char *directory, const char *own,
                             json_t **ret)
{
    _cleanup_json_ json_t *files = as_list(json_object_get(entry, "env_file")), *all = json_object();
    _cleanup_free_ char *usual = str_printf("%s/.env", own);
    json_t *file;
    size_t i;
    int r = all && usual ? 0 : no_memory(l->e);
    json_array_foreach (files, i, file) {
        _cleanup_free_ char *path = json_is_string(file) ? compose_path(directory, json_string_value(file)) : NULL;
        if (r == 0)
            r = path ? read_variable_file(path, l->variables, false, all, l->e)
                     : error_set(l->e, ERR_VALIDATION, "include: its env_file must name files");
    }
    if (r == 0 && !files && access(usual, F_OK) == 0)
        r = read_variable_file(usual, l->variables, false, all, l->e);
    if (r == 0 && json_object_update(all, l->variables) < 0)
        r = no_memory(l->e);
    if (r == 0)
        *ret = TAKE(all);
    return r;
}

/* Its files, laid over each other. */
static int include_files(struct loading *l, const json_t *paths, const char *directory, const char *own, json_t **ret)
{
    _cleanup_json_ json_t *all = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        _cleanup_free_ char *file = path ? compose_path(directory, path) : NULL;
        _cleanup_json_ json_t *part = NULL;
        r = file ? load_file(l, file, own, &part) : error_set(l->e, ERR_VALIDATION, "include: must name files");
        if (r == 0 && all)
            r = compose_merge(all, part, "") < 0 ? no_memory(l->e) : 0;
        else if (r == 0)
            all = TAKE(part);
    }
    if (r == 0)
        *ret = TAKE(all);
    return r;
}

static int include_one(struct loading *l, json_t *model, json_t *entry, const char *directory)
{
    _cleanup_json_ json_t *paths = as_list(json_is_object(entry) ? json_object_get(entry, "path") : entry);
    _cleanup_json_ json_t *own_variables = NULL, *all = NULL;
    _cleanup_free_ char *own = include_directory(entry, paths, directory);
    json_t *variables = l->variables;
    if (!own)
        return error_set(l->e, ERR_VALIDATION, "include: must name files");
    if (l->depth >= DEPTH_MAX)
        return error_set(l->e, ERR_VALIDATION, "include: files include each other in a circle");
    int r = include_variables(l, entry, directory, own, &own_variables);
    if (r < 0)
        return r;
    l->depth++;
    l->variables = own_variables;
    r = include_files(l, paths, directory, own, &all);
    l->variables = variables;
    l->depth--;
    if (r < 0)
        return r;
    if (!all)
        return error_set(l->e, ERR_VALIDATION, "include: must name files");
    /* What the including file says itself stands over what it includes. */
    (void)json_object_del(all, "name");
    if (compose_merge(all, model, "") < 0 || json_object_update(model, all) < 0)
        return no_memory(l->e);
    return 0;
}

static int include_all(struct loading *l, json_t *model, const char *directory)
{
    _cleanup_json_ json_t *include = json_incref(json_object_get(model, "include"));
    size_t i;
    json_t *entry;
    (void)json_object_del(model, "include");
    json_array_foreach (include, i, entry) {
        int r = include_one(l, model, entry, directory);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_file(struct loading *l, const char *path, const char *directory, json_t **ret)
{
    _cleanup_json_ json_t *model = NULL;
    int r = parse_file(l, path, &model);
    if (r == 0)
        r = resolve_services(l, model, directory, path);
    if (r < 0)
        return r;
    absolute_files(model, "secrets", directory);
    absolute_files(model, "configs", directory);
    r = include_all(l, model, directory);
    if (r == 0)
        *ret = TAKE(model);
    return r;
}

/* ---- the whole ---- */

static bool asked_for(const struct compose_options *o, const json_t *variables, const char *profile)
{
    for (size_t i = 0; i < o->n_profiles; i++)
        if (str_eq(o->profiles[i], profile) || str_eq(o->profiles[i], "*"))
            return true;
    const char *more = json_string_value(json_object_get(variables, "COMPOSE_PROFILES"));
    _cleanup_free_ char *copy = o->n_profiles == 0 && more ? strdup(more) : NULL;
    for (char *save = NULL, *one = copy ? strtok_r(copy, ",", &save) : NULL; one; one = strtok_r(NULL, ",", &save))
        if (str_eq(one, profile) || str_eq(one, "*"))
            return true;
    return false;
}

static bool is_active(const struct compose_options *o, const json_t *variables, const json_t *service)
{
    json_t *profiles = json_object_get(service, "profiles"), *one;
    size_t i;
    if (json_array_size(profiles) == 0)
        return true;
    json_array_foreach (profiles, i, one)
        if (asked_for(o, variables, json_string_value(one)))
            return true;
    return false;
}

static int drop_inactive(struct loading *l, struct compose *c)
{
    json_t *services = json_object_get(c->model, "services"), *service, *d;
    const char *name, *on;
    void *next;
    json_object_foreach_safe (services, next, name, service)
        if (!is_active(l->options, l->variables, service)) {
            (void)json_array_append_new(c->inactive, json_string(name));
            (void)json_object_del(services, name);
        }
    json_object_foreach (services, name, service) {
        json_t *depends = json_object_get(service, "depends_on");
        json_object_foreach_safe (depends, next, on, d) {
            if (json_object_get(services, on))
                continue;
            if (json_flag(d, "required", true))
                return error_set(l->e, ERR_VALIDATION, "services.%s.depends_on: there is no service %s%s", name, on,
                                 json_array_size(c->inactive) ? " (is its profile asked for?)" : "");
            (void)json_object_del(depends, on);
        }
    }
    return 0;
}

/* The files of variables under the service's own; a name without a value takes the project's. */
static int settle_environment(struct loading *l, const char *name, json_t *service)
{
    json_t *files = json_object_get(service, "env_file"), *own = json_object_get(service, "environment"), *one;
    _cleanup_json_ json_t *all = json_object();
    size_t i;
    const char *key;
    json_t *value;
    json_array_foreach (files, i, one) {
        const char *path = json_str(one, "path");
        if (access(path, F_OK) < 0 && !json_flag(one, "required", true))
            continue;
        int r = read_variable_file(path, l->variables, str_eq(json_str(one, "format"), "raw"), all, l->e);
        if (r < 0)
            return error_set(l->e, l->e->code, "services.%s.env_file: %s", name, strdupa(l->e->message));
    }
    json_object_foreach (own, key, value) {
        json_t *outer = json_is_null(value) ? json_object_get(l->variables, key) : NULL;
        (void)json_object_set(all, key, outer ? outer : value);
    }
    (void)json_object_del(service, "env_file");
    if (json_object_size(all))
        (void)json_object_set(service, "environment", all);
    return 0;
}

static void default_network(json_t *service, bool *ret_used)
{
    if (json_object_get(service, "network_mode") || json_object_get(service, "networks"))
        return;
    (void)json_object_set_new(service, "networks", json_pack("{s:n}", "default"));
    *ret_used = true;
}

/* What a service names is defined. */
static int check_references(struct loading *l, json_t *model, const char *name, json_t *service)
{
    const char *network;
    json_t *value;
    json_object_foreach (json_object_get(service, "networks"), network, value)
        if (!str_eq(network, "default") && !json_object_get(json_object_get(model, "networks"), network))
            return error_set(l->e, ERR_VALIDATION, "services.%s.networks: the network %s is not defined", name,
                             network);
    size_t i;
    json_array_foreach (json_object_get(service, "volumes"), i, value) {
        const char *source = json_str(value, "source");
        if (source && str_eq(json_str(value, "type"), "volume") &&
            !json_object_get(json_object_get(model, "volumes"), source))
            return error_set(l->e, ERR_VALIDATION, "services.%s.volumes: the volume %s is not defined", name, source);
    }
    static const char *const sections[] = { "secrets", "configs" };
    for (size_t k = 0; k < ARRAY_LEN(sections); k++)
        json_array_foreach (json_object_get(service, sections[k]), i, value)
            if (!json_object_get(json_object_get(model, sections[k]), json_str(value, "source")))
                return error_set(l->e, ERR_VALIDATION, "services.%s.%s: %s is not defined", name, sections[k],
                                 json_str(value, "source"));
    return 0;
}

static int settle_services(struct loading *l, struct compose *c)
{
    json_t *services = json_object_get(c->model, "services"), *service;
    const char *name;
    bool used = false;
    if (json_object_size(services) == 0 && json_array_size(c->inactive) == 0)
        return error_set(l->e, ERR_VALIDATION, "no service is defined");
    json_object_foreach (services, name, service) {
        int r = settle_environment(l, name, service);
        if (r == 0)
            r = check_references(l, c->model, name, service);
        if (r < 0)
            return r;
        if (!json_object_get(service, "image") && !json_object_get(service, "build"))
            return error_set(l->e, ERR_VALIDATION, "services.%s: has neither an image nor a build", name);
        if (str_eq(json_str(service, "platform"), ""))
            (void)json_object_del(service, "platform");
        default_network(service, &used);
    }
    if (used && !json_at(c->model, "networks.default"))
        (void)json_put(c->model, "networks.default", json_object());
    return 0;
}

/* "my_App.2" is my_app2: what Compose makes of a directory's name. */
static char *project_name(const struct compose_options *o, const struct compose *c, const json_t *variables)
{
    const char *set = json_string_value(json_object_get(variables, "COMPOSE_PROJECT_NAME"));
    const char *own = json_str(c->model, "name");
    const char *slash = strrchr(c->directory, '/');
    const char *from = o->project ? o->project : set && *set ? set : own && *own ? own : slash ? slash + 1 : "project";
    char *name = strdup(from), *to = name;
    for (const char *p = from; name && *p; p++) {
        char ch = (char)tolower((unsigned char)*p);
        if (isalnum((unsigned char)ch) || (to > name && (ch == '-' || ch == '_')))
            *to++ = ch;
    }
    if (name)
        *to = '\0';
    return name;
}

static void note_used(json_t *used, const char *section, const char *name)
{
    _cleanup_free_ char *key = name ? str_printf("%s/%s", section, name) : NULL;
    if (key)
        (void)json_object_set_new(used, key, json_true());
}

/* What no active service uses is not of the project. */
static void drop_unused(json_t *model)
{
    static const char *const sections[] = { "volumes", "secrets", "configs", "networks" };
    _cleanup_json_ json_t *used = json_object();
    const char *name, *key;
    json_t *service, *one;
    void *next;
    size_t i;
    json_object_foreach (json_object_get(model, "services"), name, service) {
        for (size_t k = 0; k < 3; k++)
            json_array_foreach (json_object_get(service, sections[k]), i, one)
                note_used(used, sections[k], json_str(one, "source"));
        json_object_foreach (json_object_get(service, "networks"), key, one)
            note_used(used, "networks", key);
    }
    for (size_t k = 0; k < ARRAY_LEN(sections); k++) {
        json_object_foreach_safe (json_object_get(model, sections[k]), next, key, one) {
            _cleanup_free_ char *at = str_printf("%s/%s", sections[k], key);
            if (at && !json_object_get(used, at))
                (void)json_object_del(json_object_get(model, sections[k]), key);
        }
        if (json_object_size(json_object_get(model, sections[k])) == 0)
            (void)json_object_del(model, sections[k]);
    }
}

/* Networks and volumes are named for the project, unless they are named or another's. */
static void name_section(json_t *model, const char *section, const char *project)
{
    json_t *all = json_object_get(model, section), *one;
    const char *key;
    void *next;
    json_object_foreach_safe (all, next, key, one) {
        if (!json_is_object(one) && json_object_set_new(all, key, json_object()) == 0)
            one = json_object_get(all, key);
        json_t *external = json_object_get(one, "external");
        bool foreign =
            json_is_true(external) || json_is_object(external) || str_eq(json_string_value(external), "true");
        const char *older = json_str(external, "name");
        if (json_str(one, "name"))
            ;
        else if (foreign)
            (void)json_object_set_new(one, "name", json_string(older ? older : key));
        else
            (void)json_object_set_new(one, "name", json_sprintf("%s_%s", project, key));
        if (external)
            (void)json_object_set_new(one, "external", json_boolean(foreign));
    }
}

static int settle(struct loading *l, struct compose *c)
{
    _cleanup_free_ char *project = project_name(l->options, c, l->variables);
    static const char *const sections[] = { "networks", "volumes", "secrets", "configs" };
    if (!project)
        return no_memory(l->e);
    if (!*project)
        return error_set(l->e, ERR_VALIDATION, "the project has no name: say --project NAME");
    (void)json_object_set_new(c->model, "name", json_string(project));
    int r = drop_inactive(l, c);
    if (r == 0)
        r = settle_services(l, c);
    if (r == 0)
        drop_unused(c->model);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++)
        name_section(c->model, sections[i], project);
    return r;
}

int compose_load(const struct compose_options *o, struct compose *ret, struct error *e)
{
    struct compose c = { .unset = json_object(), .inactive = json_array() };
    struct loading l = { .options = o, .unset = c.unset, .e = e };
    int r = o->n_files == 0 ? error_set(e, ERR_VALIDATION, "say which file") : 0;
    if (r == 0 && !(c.directory = directory_of(o->files[0])))
        r = no_memory(e);
    if (r == 0)
        r = project_variables(o, c.directory, &l.variables, e);
    for (size_t i = 0; r == 0 && i < o->n_files; i++) {
        _cleanup_json_ json_t *model = NULL;
        r = load_file(&l, o->files[i], c.directory, &model);
        if (r == 0 && !c.model)
            c.model = TAKE(model);
        else if (r == 0 && compose_merge(c.model, model, "") < 0)
            r = no_memory(e);
    }
    if (r == 0)
        r = settle(&l, &c);
    json_decref(l.variables);
    if (r < 0)
        compose_done(&c);
    else
        *ret = c;
    return r;
}

void compose_done(struct compose *c)
{
    free(c->directory);
    json_decref(c->model);
    json_decref(c->unset);
    json_decref(c->inactive);
    *c = (struct compose){ 0 };
}
