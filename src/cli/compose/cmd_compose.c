/* hbcloud compose config | import: a Docker Compose project, read as Compose reads it, as services of hbcloud. */
#include "cli/compose/compose_request.h"
#include "cli/deploy.h"
#include "cli/follow.h"
#include "cli/list.h"
#include "cli/secret_body.h"

#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>

#define SECRET_MAX ((size_t)65536)

static bool take_option(struct cli *c, const char *option, const char **ret, size_t *ret_n)
{
    size_t cursor = 0;
    for (const char *one; (one = args_each(&c->args, option, &cursor));) {
        if (*ret_n == COMPOSE_FILES_MAX)
            return false;
        ret[(*ret_n)++] = one;
    }
    return true;
}

static int load(struct cli *c, struct compose *ret)
{
    struct compose_options o = { .project = args_get(&c->args, "project") };
    _cleanup_error_ struct error e = ERROR_INIT;
    const char *key;
    json_t *value;
    while (o.n_files < COMPOSE_FILES_MAX && args_word(&c->args, o.n_files)) {
        o.files[o.n_files] = args_word(&c->args, o.n_files);
        o.n_files++;
    }
    if (args_word(&c->args, o.n_files) || !take_option(c, "profile", o.profiles, &o.n_profiles) ||
        !take_option(c, "env-file", o.env_files, &o.n_env_files))
        return cli_fail(c, CLI_USAGE, "at most %d files, files of variables and profiles are read", COMPOSE_FILES_MAX);
    if (compose_load(&o, ret, &e) < 0)
        return cli_fail(c, CLI_FAILED, "%s", e.message);
    json_object_foreach (ret->unset, key, value)
        (void)fprintf(c->err, "The variable %s has no value; it is empty.\n", key);
    return CLI_OK;
}

int cli_compose_config(struct cli *c)
{
    struct compose project = { 0 };
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    int r = load(c, &project);
    if (r != CLI_OK)
        return r;
    char *text = json_dumps(project.model, JSON_INDENT(2) | JSON_SORT_KEYS);
    r = text && buf_printf(&out, "%s\n", text) == 0 ? cli_put(c, &out) : cli_fail(c, CLI_FAILED, "out of memory");
    free(text);
    compose_done(&project);
    return r;
}

/* ---- import ---- */

/* --domain SERVICE=DOMAIN: Compose has no word for it. */
static int put_domains(struct cli *c, struct compose_import *import, const char *prefix)
{
    size_t cursor = 0, i;
    json_t *one;
    for (const char *word; (word = args_each(&c->args, "domain", &cursor));) {
        _cleanup_free_ char *name = NULL;
        const char *domain;
        bool found = false;
        if (split_pair(word, &name, &domain) < 0)
            return cli_fail(c, CLI_USAGE, "--domain must be SERVICE=DOMAIN, not '%s'", word);
        _cleanup_free_ char *own = compose_service_name(prefix, name);
        json_array_foreach (import->services, i, one) {
            if (!str_eq(json_str(one, "name"), own))
                continue;
            if (!json_at(one, "networking.domains"))
                (void)json_put(one, "networking.domains", json_array());
            (void)json_array_append_new(json_at(one, "networking.domains"), json_string(domain));
            found = true;
            break;
        }
        if (!found)
            return cli_fail(c, CLI_USAGE, "--domain %s: the project has no service %s", word, name);
    }
    return CLI_OK;
}

static void put_common(struct cli *c, struct compose_import *import)
{
    static const struct {
        const char *option, *to;
    } common[] = { { "node", "nodeId" }, { "environment", "environment" } };
    size_t i;
    json_t *one;
    json_array_foreach (import->services, i, one)
        for (size_t k = 0; k < ARRAY_LEN(common); k++)
            if (args_get(&c->args, common[k].option))
                (void)json_put(one, common[k].to, json_string(args_get(&c->args, common[k].option)));
}

static void say_remarks(struct cli *c, const struct compose_import *import)
{
    size_t i;
    json_t *one;
    _cleanup_buf_ struct buf line;
    buf_init(&line, 0);
    if (json_array_size(import->remarks))
        (void)fprintf(c->err, "What is different here, or has no meaning:\n");
    json_array_foreach (import->remarks, i, one) {
        buf_clear(&line);
        text_clean(&line, json_str(one, "text"), false);
        (void)fprintf(c->err, "  %s: %s: %s\n", json_str(one, "service"), json_str(one, "field"), buf_str(&line));
    }
}

static int print_plan(struct cli *c, const struct compose_import *import)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    json_t *all = json_pack("{s:O, s:O}", "services", import->services, "remarks", import->remarks);
    char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    int r = text && buf_printf(&out, "%s\n", text) == 0 ? cli_put(c, &out) : cli_fail(c, CLI_FAILED, "out of memory");
    free(text);
    json_decref(all);
    return r;
}

/* ---- secrets ---- */

static int read_content(struct cli *c, const json_t *secret, char **ret, size_t *ret_len)
{
    const char *name = json_str(secret, "name"), *file = json_str(secret, "file");
    const char *variable = json_str(secret, "environment"), *content = json_str(secret, "content");
    if (file) {
        int r = file_read(file, SECRET_MAX, ret, ret_len);
        return r == 0 ? CLI_OK
                      : cli_fail(c, CLI_FAILED, "%s cannot be read for the secret %s: %s", file, name,
                                 r == -EMSGSIZE ? "it is over 64 KiB" : strerror(-r));
    }
    if (variable && !(content = getenv(variable)))
        return cli_fail(c, CLI_FAILED, "the secret %s comes from the variable %s, which is not set", name, variable);
    if (!content)
        return cli_fail(c, CLI_FAILED, "the secret %s says neither file, environment nor content", name);
    *ret = strdup(content);
    *ret_len = strlen(content);
    return *ret ? CLI_OK : cli_fail(c, CLI_FAILED, "out of memory");
}

static int set_secret(struct cli *c, const json_t *secret)
{
    char *text = NULL;
    size_t len = 0;
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/secrets/", json_str(secret, "name"), "");
    int r = read_content(c, secret, &text, &len);
    if (r != CLI_OK)
        return r;
    _cleanup_json_ json_t *body = secret_body(text, len);
    secret_wipe(text, len);
    free(text);
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    struct api_request rq = { .method = "PUT", .path = buf_str(&path), .body = body };
    _cleanup_reply_ struct api_reply reply;
    r = api_call(c, &rq, &reply);
    if (r == CLI_OK)
        (void)fprintf(c->err, "secret %s is set\n", json_str(secret, "name"));
    return r;
}

static int set_secrets(struct cli *c, const struct compose_import *import)
{
    size_t i;
    json_t *one;
    int r = CLI_OK;
    json_array_foreach (import->secrets, i, one)
        if (r == CLI_OK && !json_flag(one, "external", false))
            r = set_secret(c, one);
    return r;
}

/* ---- deploying ---- */

static int deploy_one(struct cli *c, const json_t *document, int64_t timeout_ms)
{
    _cleanup_reply_ struct api_reply started, last;
    int r = deploy_document(c, document, true, &started);
    const char *id = r == CLI_OK ? json_str(started.json, "deployment_id") : NULL;
    last = (struct api_reply){ 0 };
    buf_init(&last.body, 0);
    if (r != CLI_OK)
        return r;
    if (!id)
        return cli_fail(c, CLI_FAILED, "the hub did not say which deployment it started");
    (void)fprintf(c->err, "%s\n", json_str(document, "name"));
    return follow_deployment(c, id, timeout_ms, &last);
}

static int deploy_all(struct cli *c, const struct compose_import *import, int64_t timeout_ms)
{
    size_t i, n = json_array_size(import->services);
    json_t *one;
    json_array_foreach (import->services, i, one) {
        int r = deploy_one(c, one, timeout_ms);
        if (r == CLI_OK)
            continue;
        if (i + 1 < n)
            (void)fprintf(c->err, "%zu of %zu services were not deployed; the same command goes on.\n", n - i, n);
        return r;
    }
    return CLI_OK;
}

static int print_imported(struct cli *c, const struct compose_import *import)
{
    size_t i;
    json_t *one;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    json_array_foreach (import->services, i, one)
        (void)buf_printf(&out, "%s\n", json_str(one, "name"));
    return cli_put(c, &out);
}

static int confirm(struct cli *c, const struct compose_import *import)
{
    size_t i;
    json_t *one;
    _cleanup_buf_ struct buf question;
    buf_init(&question, 0);
    (void)buf_printf(&question, "Deploy %zu services:", json_array_size(import->services));
    json_array_foreach (import->services, i, one)
        (void)buf_printf(&question, " %s", json_str(one, "name"));
    (void)buf_puts(&question, "?");
    return cli_confirm(c, buf_str(&question));
}

static int import_project(struct cli *c, struct compose_import *import, const char *prefix, int64_t timeout_ms)
{
    int r = put_domains(c, import, prefix);
    if (r != CLI_OK)
        return r;
    put_common(c, import);
    if (args_has(&c->args, "plan"))
        return print_plan(c, import);
    say_remarks(c, import);
    r = confirm(c, import);
    if (r == CLI_OK)
        r = set_secrets(c, import);
    if (r == CLI_OK)
        r = deploy_all(c, import, timeout_ms);
    return r == CLI_OK ? print_imported(c, import) : r;
}

int cli_compose_import(struct cli *c)
{
    struct compose project = { 0 };
    struct compose_import import = { 0 };
    _cleanup_error_ struct error e = ERROR_INIT;
    int64_t timeout_ms;
    int r = follow_timeout(c, &timeout_ms);
    if (r == CLI_OK)
        r = load(c, &project);
    if (r != CLI_OK)
        return r;
    const char *prefix = args_get(&c->args, "prefix");
    if (!prefix)
        prefix = json_str(project.model, "name");
    if (compose_to_requests(&project, prefix, &import, &e) < 0)
        r = cli_fail(c, CLI_FAILED, "%s", e.message);
    else
        r = import_project(c, &import, prefix, timeout_ms);
    compose_import_done(&import);
    compose_done(&project);
    return r;
}
