#include "cli/service_file.h"

#include "base/secret.h"
#include "base/yaml.h"
#include "cli/list.h"

#include <errno.h>
#include <string.h>

#define FILE_LIMIT ((size_t)1 << 20) /* as the operation's limit of a body */

static int read_stream(FILE *in, struct buf *b)
{
    char chunk[8192];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0) {
        int r = buf_append(b, chunk, n);
        if (r < 0)
            return r;
    }
    return ferror(in) ? -EIO : 0;
}

static int read_text(struct cli *c, const char *path, char **ret, size_t *ret_len)
{
    if (!str_eq(path, "-"))
        return file_read(path, FILE_LIMIT, ret, ret_len);
    struct buf b;
    buf_init(&b, FILE_LIMIT);
    int r = read_stream(c->in, &b);
    *ret_len = b.len;
    *ret = r < 0 ? NULL : buf_steal(&b);
    buf_done(&b);
    return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

int service_file_read(struct cli *c, const char *path, json_t **ret)
{
    char *text = NULL;
    size_t len = 0;
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_json_ json_t *document = NULL;
    int r = read_text(c, path, &text, &len);
    if (r < 0)
        return cli_fail(c, CLI_FAILED, "%s cannot be read: %s", path,
                        r == -EMSGSIZE ? "it is over 1 MiB" : strerror(-r));
    r = yaml_load(text, len, &document, &e);
    secret_wipe(text, len);
    free(text);
    if (r < 0)
        return cli_fail(c, CLI_FAILED, "%s: %s", path, e.message);
    if (!json_is_object(document) || !json_is_string(json_object_get(document, "name")))
        return cli_fail(c, CLI_FAILED, "%s: a service begins with 'name:', and has 'container:' and 'networking:'",
                        path);
    *ret = TAKE(document);
    return CLI_OK;
}

/* ---- from options */

/* "KEY=VALUE" sets; "KEY" takes the value of the caller's own environment; "KEY-" removes it in a change. */
static int put_variable(struct cli *c, json_t *environment, const char *word)
{
    _cleanup_free_ char *key = NULL;
    const char *value;
    size_t len = strlen(word);
    if (split_pair(word, &key, &value) == 0)
        return json_object_set_new(environment, key, json_string(value)) == 0 ? CLI_OK : CLI_FAILED;
    if (len > 1 && word[len - 1] == '-') {
        _cleanup_free_ char *removed = strndup(word, len - 1);
        return removed && json_object_set_new(environment, removed, json_null()) == 0 ? CLI_OK : CLI_FAILED;
    }
    value = getenv(word);
    if (!value)
        return cli_fail(c, CLI_USAGE, "--env %s: there is no such variable here; say KEY=VALUE", word);
    return json_object_set_new(environment, word, json_string(value)) == 0 ? CLI_OK : CLI_FAILED;
}

static int put_environment(struct cli *c, json_t *document)
{
    size_t cursor = 0;
    for (const char *word; (word = args_each(&c->args, "env", &cursor));) {
        if (!json_at(document, "container.environment"))
            (void)json_put(document, "container.environment", json_object());
        int r = put_variable(c, json_at(document, "container.environment"), word);
        if (r != CLI_OK)
            return r;
    }
    return CLI_OK;
}

/* "data:/var/lib/x", "/srv/x:/x:ro" */
static int put_volume(struct cli *c, json_t *volumes, const char *word)
{
    _cleanup_free_ char *text = strdup(word);
    char *target = text ? strchr(text, ':') : NULL;
    if (!target || target == text || target[1] != '/')
        return cli_fail(c, CLI_USAGE, "--volume must be SOURCE:/TARGET or SOURCE:/TARGET:ro, not '%s'", word);
    *target++ = '\0';
    char *mode = strrchr(target, ':');
    bool readonly = mode && str_eq(mode, ":ro");
    if (mode && (readonly || str_eq(mode, ":rw")))
        *mode = '\0';
    json_t *volume = json_pack("{s:s, s:s, s:b}", "source", text, "target", target, "readonly", readonly);
    return json_array_append_new(volumes, volume) == 0 ? CLI_OK : CLI_FAILED;
}

static int put_lists(struct cli *c, json_t *document)
{
    size_t cursor = 0;
    if (args_has(&c->args, "volume"))
        (void)json_put(document, "container.volumes", json_array());
    for (const char *word; (word = args_each(&c->args, "volume", &cursor));) {
        int r = put_volume(c, json_at(document, "container.volumes"), word);
        if (r != CLI_OK)
            return r;
    }
    if (args_has(&c->args, "domain"))
        (void)json_put(document, "networking.domains", json_array());
    cursor = 0;
    for (const char *word; (word = args_each(&c->args, "domain", &cursor));)
        (void)json_array_append_new(json_at(document, "networking.domains"), json_string(word));
    return CLI_OK;
}

int service_from_options(struct cli *c, json_t **ret)
{
    _cleanup_json_ json_t *document = json_object();
    if (!document || json_object_set_new(document, "name", json_string(args_word(&c->args, 0))) < 0)
        return cli_fail(c, CLI_FAILED, "out of memory");
    put_text_option(c, document, "type", "type");
    put_text_option(c, document, "node", "nodeId");
    put_text_option(c, document, "environment", "environment");
    put_text_option(c, document, "image", "container.image");
    put_number_option(c, document, "cpu", "container.resources.cpu");
    put_number_option(c, document, "memory", "container.resources.memory");
    put_number_option(c, document, "port", "networking.internalPort");
    put_text_option(c, document, "health-path", "networking.healthCheck.path");
    put_text_option(c, document, "version", "metadata.version");
    put_number_option(c, document, "instances", "instances");
    put_text_option(c, document, "strategy", "strategy.type");
    int r = put_environment(c, document);
    if (r == CLI_OK)
        r = put_lists(c, document);
    if (r == CLI_OK)
        r = put_pairs_option(c, document, "label", "labels");
    if (r == CLI_OK)
        *ret = TAKE(document);
    return r;
}

/* ---- the patch */

/* An earlier tag must not stand against the new image's: the patch always says the tag it means. */
static void say_tag(json_t *patch)
{
    const char *image = json_str(patch, "container.image");
    if (!image || json_str(patch, "container.tag"))
        return;
    size_t len = strcspn(image, "@");
    const char *tag = NULL;
    for (size_t i = 0; i < len; i++)
        tag = image[i] == '/' ? NULL : image[i] == ':' ? image + i : tag; /* a registry's port comes before a slash */
    if (tag && (size_t)(tag - image) + 1 < len)
        (void)json_put(patch, "container.tag", json_stringn(tag + 1, len - (size_t)(tag - image) - 1));
    else if (!image[len])
        (void)json_put(patch, "container.tag", json_string("latest"));
}

json_t *service_patch(const json_t *document)
{
    json_t *patch = json_deep_copy(document);
    if (!patch)
        return NULL;
    (void)json_object_del(patch, "name");
    say_tag(patch);
    return patch;
}
