/* hbcloud audit …, keys …, token. */
#include "base/clock.h"
#include "cli/list.h"

#include <string.h>

/* ---- audit */

static const struct table_column audit_columns[] = {
    { .title = "SEQ", .priority = 3, .right = true },
    { .title = "WHEN", .priority = 8 },
    { .title = "WHO", .priority = 7, .min = 8 },
    { .title = "OPERATION", .priority = 9 },
    { .title = "OUTCOME", .priority = 6 },
    { .title = "ENTITY", .priority = 4, .min = 10 },
    { .title = "FROM", .priority = 2, .min = 9 },
};

static void audit_row(struct table *t, const json_t *entry, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX];
    const char *name = json_str(entry, "actor.name"), *kind = json_str(entry, "entityType"),
               *id = json_str(entry, "entityId");
    table_cellf(t, STYLE_DIM, "%lld", (long long)json_int(entry, "seq", 0));
    table_cell(t, STYLE_NONE, format_ago(json_str(entry, "at"), ago));
    table_cell(t, STYLE_NONE, name ? name : json_str(entry, "actor.kind"));
    table_cell(t, STYLE_NONE, json_str(entry, "operation"));
    table_cell(t, style_of(json_str(entry, "outcome")), json_str(entry, "outcome"));
    table_cellf(t, STYLE_NONE, "%s %s", kind ? kind : "", id ? id : "-");
    table_cell(t, STYLE_NONE, json_str(entry, "address"));
}

int cli_audit_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "entries",
        .columns = audit_columns,
        .n_columns = ARRAY_LEN(audit_columns),
        .row = audit_row,
        .empty = "No entry matches.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, "/v1/audit");
    path_query_option(&path, &c->args, "actor", "actor");
    path_query_option(&path, &c->args, "operation", "operation");
    path_query_option(&path, &c->args, "entity", "entity");
    int r = path_query_time(c, &path, "from", "from");
    if (r == CLI_OK)
        r = path_query_time(c, &path, "to", "to");
    return r == CLI_OK ? list_show(c, &path, &view) : r;
}

int cli_audit_verify(struct cli *c)
{
    struct api_request rq = { .path = "/v1/audit/verify" };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK)
        return r;
    bool good = json_flag(reply.json, "ok", false);
    if (c->json) {
        r = reply_print(c, &reply);
        return r == CLI_OK && !good ? CLI_FAILED : r;
    }
    const char *reason = json_str(reply.json, "reason");
    if (!good)
        return cli_fail(c, CLI_FAILED, "the audit is broken at entry %lld: %s",
                        (long long)json_int(reply.json, "firstBad", 0),
                        reason ? reason : "its hash does not follow from the one before");
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_printf(&out, "The audit is whole: %lld entries, head %.16s\n",
                     (long long)json_int(reply.json, "checked", 0), json_str(reply.json, "head"));
    return cli_put(c, &out);
}

/* ---- keys */

#define KEYS "/v1/keys"

static const struct table_column key_columns[] = {
    { .title = "NAME", .priority = 9, .min = 10 },
    { .title = "ROLE", .priority = 8 },
    { .title = "STATE", .priority = 7 },
    { .title = "PREFIX", .priority = 4 },
    { .title = "USED", .priority = 6 },
    { .title = "EXPIRES", .priority = 5 },
    { .title = "CREATED", .priority = 3 },
    { .title = "ID", .priority = 8 },
};

static const char *key_state(const json_t *key)
{
    int64_t end;
    const char *expires = json_str(key, "expiresAt");
    if (json_str(key, "revokedAt"))
        return "revoked";
    return expires && time_parse(expires, &end) == 0 && end <= clock_now_ms() ? "expired" : "good";
}

static void key_row(struct table *t, const json_t *key, const void *ctx UNUSED)
{
    char text[FORMAT_MAX];
    const char *state = key_state(key), *expires = json_str(key, "expiresAt");
    table_cell(t, STYLE_NONE, json_str(key, "name"));
    table_cell(t, STYLE_NONE, json_str(key, "role"));
    table_cell(t, str_eq(state, "good") ? STYLE_GOOD : STYLE_DIM, state);
    table_cell(t, STYLE_DIM, json_str(key, "prefix"));
    table_cell(t, STYLE_NONE, json_str(key, "lastUsedAt") ? format_ago(json_str(key, "lastUsedAt"), text) : "never");
    table_cell(t, STYLE_NONE, expires ? format_ago(expires, text) : "never");
    table_cell(t, STYLE_NONE, format_ago(json_str(key, "createdAt"), text));
    table_cell(t, STYLE_DIM, json_str(key, "id"));
}

int cli_keys_list(struct cli *c)
{
    static const struct list_view view = {
        .key = "keys",
        .columns = key_columns,
        .n_columns = ARRAY_LEN(key_columns),
        .row = key_row,
        .empty = "There is no key.",
    };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, KEYS);
    return list_show(c, &path, &view);
}

static void show_key(struct cli *c, struct buf *out, const json_t *reply)
{
    const struct term *t = &c->term;
    const json_t *key = json_object_get(reply, "key");
    fact_styled(t, out, "Name", STYLE_BOLD, json_str(key, "name"));
    fact(t, out, "Role", json_str(key, "role"));
    fact(t, out, "State", key_state(key));
    fact(t, out, "Prefix", json_str(key, "prefix"));
    fact_time(t, out, "Created", json_str(key, "createdAt"));
    fact(t, out, "By", json_str(key, "createdBy"));
    fact_time(t, out, "Used", json_str(key, "lastUsedAt"));
    fact_time(t, out, "Expires", json_str(key, "expiresAt"));
    fact_time(t, out, "Revoked", json_str(key, "revokedAt"));
    fact(t, out, "Id", json_str(key, "id"));
}

int cli_keys_show(struct cli *c)
{
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, KEYS "/", args_word(&c->args, 0), "");
    return entity_show(c, buf_str(&path), show_key);
}

static int key_body(struct cli *c, json_t **ret)
{
    const char *role = args_get(&c->args, "role"), *expires = args_get(&c->args, "expires");
    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:s}", "name", args_word(&c->args, 0), "role", role ? role : "viewer");
    int64_t ms;
    char text[TIME_TEXT_LEN + 1];
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    if (expires && parse_instant(expires, 1, &ms) < 0)
        return cli_fail(c, CLI_USAGE,
                        "--expires must be a time such as 2027-01-01T00:00:00Z, or a duration such as 90d; not '%s'",
                        expires);
    if (expires)
        (void)json_object_set_new(body, "expiresAt", json_string(time_format(ms, text)));
    *ret = TAKE(body);
    return CLI_OK;
}

int cli_keys_create(struct cli *c)
{
    _cleanup_json_ json_t *body = NULL;
    int r = key_body(c, &body);
    if (r != CLI_OK)
        return r;
    struct api_request rq = { .method = "POST", .path = KEYS, .body = body };
    _cleanup_reply_ struct api_reply reply;
    r = api_call(c, &rq, &reply);
    if (r != CLI_OK || c->json)
        return r == CLI_OK ? reply_print(c, &reply) : r;
    const char *secret = json_str(reply.json, "secret");
    if (!secret)
        return cli_fail(c, CLI_FAILED, "the hub made a key and did not say its secret");
    (void)fprintf(c->err, "The key's secret follows. Keep it now: it cannot be shown again.\n");
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_printf(&out, "%s\n", secret);
    r = cli_put(c, &out);
    secret_wipe(out.data, out.len);
    return r;
}

int cli_keys_revoke(struct cli *c)
{
    const char *id = args_word(&c->args, 0);
    char question[400];
    (void)snprintf(question, sizeof question, "Revoke the key %.200s, with its sessions and tokens?", id);
    int r = cli_confirm(c, question);
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, KEYS "/", id, "");
    struct api_request rq = { .method = "DELETE", .path = buf_str(&path) };
    return entity_write(c, &rq, "is revoked.", id);
}

/* ---- token */

int cli_token(struct cli *c)
{
    const char *expires = args_get(&c->args, "expires");
    int64_t ms;
    _cleanup_json_ json_t *body = json_object();
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    put_text_option(c, body, "role", "role");
    if (expires && str_to_duration_ms(expires, &ms) == 0)
        (void)json_put(body, "expiresIn", json_integer(ms / 1000));
    struct api_request rq = { .method = "POST", .path = "/v1/tokens", .body = body };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK || c->json)
        return r == CLI_OK ? reply_print(c, &reply) : r;
    const char *token = json_str(reply.json, "token");
    if (!token)
        return cli_fail(c, CLI_FAILED, "the hub did not say the token");
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    (void)buf_printf(&out, "%s\n", token);
    return cli_put(c, &out);
}
