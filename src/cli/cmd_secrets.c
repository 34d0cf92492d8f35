/* hbcloud secrets …: a value comes from a file, standard input or a hidden prompt, never from the command line. */
#include "cli/list.h"
#include "cli/secret_body.h"

#include <errno.h>
#include <string.h>

#define SECRETS "/v1/secrets"
#define VALUE_MAX 65536

static const struct table_column secret_columns[] = {
    { .title = "NAME", .priority = 9, .min = 12 },
    { .title = "VERSION", .priority = 8, .right = true },
    { .title = "SET", .priority = 7 },
    { .title = "BY", .priority = 5, .min = 6 },
    { .title = "VERSIONS", .priority = 3, .right = true },
    { .title = "IN USE", .priority = 6, .right = true },
};

static long long releases_of(const json_t *secret)
{
    size_t i;
    long long n = 0;
    json_t *version;
    json_array_foreach (json_object_get(secret, "versions"), i, version)
        n += (long long)json_int(version, "releases", 0);
    return n;
}

static void secret_row(struct table *t, const json_t *secret, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX];
    table_cell(t, STYLE_NONE, json_str(secret, "name"));
    table_cellf(t, STYLE_NONE, "%lld", (long long)json_int(secret, "version", 0));
    table_cell(t, STYLE_NONE, format_ago(json_str(secret, "updatedAt"), ago));
    table_cell(t, STYLE_NONE, json_str(secret, "updatedBy"));
    table_cellf(t, STYLE_DIM, "%zu", json_array_size(json_object_get(secret, "versions")));
    table_cellf(t, STYLE_NONE, "%lld", releases_of(secret));
}

int cli_secrets_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "secrets",
        .columns = secret_columns,
        .n_columns = ARRAY_LEN(secret_columns),
        .row = secret_row,
        .empty = "There is no secret.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, SECRETS);
    return list_show(c, &path, &view);
}

/* ---- set */

/* All that a stream has; the caller wipes it. */
static int read_stream(struct cli *c, FILE *f, const char *what, struct buf *out)
{
    char piece[4096];
    size_t n;
    int r = CLI_OK;
    while (r == CLI_OK && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        if (out->len + n > VALUE_MAX)
            r = cli_fail(c, CLI_FAILED, "%s has more than %d bytes, a secret's limit", what, VALUE_MAX);
        else if (buf_append(out, piece, n) < 0)
            r = cli_fail(c, CLI_FAILED, "out of memory");
    }
    if (r == CLI_OK && ferror(f))
        r = cli_fail(c, CLI_FAILED, "cannot read %s: %s", what, strerror(errno));
    secret_wipe(piece, sizeof piece);
    return r;
}

static int read_prompt(struct cli *c, struct buf *out)
{
    char *line = cli_read_line(c, "Value (not shown): ", true);
    if (!line)
        return cli_fail(c, CLI_FAILED, "no value was given");
    int r = buf_append(out, line, strlen(line)) < 0 ? cli_fail(c, CLI_FAILED, "out of memory") : CLI_OK;
    secret_wipe(line, strlen(line));
    free(line);
    return r;
}

static int read_value(struct cli *c, struct buf *out)
{
    const char *path = args_get(&c->args, "from-file");
    if (!path && c->asks)
        return read_prompt(c, out);
    if (!path || str_eq(path, "-"))
        return read_stream(c, c->in, "standard input", out);
    FILE *f = fopen(path, "re");
    if (!f)
        return cli_fail(c, CLI_FAILED, "cannot read %s: %s", path, strerror(errno));
    int r = read_stream(c, f, path, out);
    (void)fclose(f);
    return r;
}

static void base64(const struct buf *in, char *ret)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = (const unsigned char *)in->data;
    size_t at = 0;
    for (size_t i = 0; i < in->len; i += 3) {
        size_t left = in->len - i;
        unsigned long v = (unsigned long)b[i] << 16 | (left > 1 ? (unsigned long)b[i + 1] << 8 : 0) |
                          (left > 2 ? (unsigned long)b[i + 2] : 0);
        ret[at++] = letters[v >> 18 & 63];
        ret[at++] = letters[v >> 12 & 63];
        ret[at++] = left > 1 ? letters[v >> 6 & 63] : '=';
        ret[at++] = left > 2 ? letters[v & 63] : '=';
    }
    ret[at] = '\0';
}

/* Text goes as it is; what JSON cannot say byte for byte goes as base64. */
static json_t *value_body(const struct buf *value)
{
    const char *bytes = value->data ? value->data : "";
    if (str_is_utf8(bytes, value->len) && !memchr(bytes, '\0', value->len))
        return json_pack("{s:o}", "value", json_stringn(bytes, value->len));
    size_t size = 4 * ((value->len + 2) / 3) + 1;
    char *text = malloc(size);
    if (!text)
        return NULL;
    base64(value, text);
    json_t *body = json_pack("{s:s, s:s}", "value", text, "encoding", "base64");
    secret_wipe(text, size);
    free(text);
    return body;
}

json_t *secret_body(const char *bytes, size_t len)
{
    const struct buf value = { .data = (char *)(uintptr_t)bytes, .len = len };
    return value_body(&value);
}

static int send_value(struct cli *c, const char *name, const struct buf *value)
{
    _cleanup_json_ json_t *body = value_body(value);
    _cleanup_buf_ struct buf path, out;
    buf_init(&path, 0);
    buf_init(&out, 0);
    entity_path(&path, SECRETS "/", name, "");
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    struct api_request rq = { .method = "PUT", .path = buf_str(&path), .body = body };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK || c->json)
        return r == CLI_OK ? reply_print(c, &reply) : r;
    text_clean(&out, name, false);
    (void)buf_printf(&out, " is set, version %lld (%zu bytes). Services get it by a deployment that names it again.\n",
                     (long long)json_int(reply.json, "secret.version", 0), value->len);
    return cli_put(c, &out);
}

int cli_secrets_set(struct cli *c)
{
    _cleanup_buf_ struct buf value;
    buf_init(&value, VALUE_MAX);
    (void)buf_reserve(&value, VALUE_MAX - 1); /* so that no copy is left behind by growing */
    int r = read_value(c, &value);
    if (r == CLI_OK)
        r = send_value(c, args_word(&c->args, 0), &value);
    if (value.data)
        secret_wipe(value.data, value.len);
    return r;
}

/* ---- show, remove */

static void show_secret(struct cli *c, struct buf *out, const json_t *reply)
{
    const json_t *secret = json_object_get(reply, "secret");
    size_t i;
    json_t *version;
    char ago[FORMAT_MAX];
    fact_styled(&c->term, out, "Name", STYLE_BOLD, json_str(secret, "name"));
    json_array_foreach (json_object_get(secret, "versions"), i, version) {
        char title[32], text[400];
        long long releases = (long long)json_int(version, "releases", 0);
        (void)snprintf(title, sizeof title, "Version %lld", (long long)json_int(version, "version", 0));
        (void)snprintf(text, sizeof text, "%s by %.255s%s", format_ago(json_str(version, "createdAt"), ago),
                       json_str(version, "createdBy"), releases ? ", in use by a kept release" : "");
        fact(&c->term, out, title, text);
    }
}

int cli_secrets_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SECRETS "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_secret);
}

int cli_secrets_remove(struct cli *c)
{
    const char *name = args_word(&c->args, 0), *version = args_get(&c->args, "version");
    char question[400];
    (void)snprintf(question, sizeof question, "Delete %s%s of the secret %.200s for good?",
                   version ? "version " : "all versions", version ? version : "", name);
    int r = cli_confirm(c, question);
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, SECRETS "/", name, "");
    path_query(&path, "version", version);
    struct api_request rq = { .method = "DELETE", .path = buf_str(&path) };
    return entity_write(c, &rq, version ? "has lost that version." : "is deleted.", name);
}
