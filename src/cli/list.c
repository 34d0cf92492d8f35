#include "cli/list.h"

#include "base/clock.h"

#include <string.h>

#define PAGE 1000

static long long wanted_rows(const struct cli *c)
{
    const char *limit = args_get(&c->args, "limit");
    int64_t n = 0;
    if (!limit)
        return LIST_ALL_MAX;
    return str_to_int64(limit, &n) == 0 ? (long long)n : 0;
}

static int list_json(struct cli *c, struct buf *path)
{
    const char *limit = args_get(&c->args, "limit");
    path_query(path, "limit", limit ? limit : "1000");
    struct api_request rq = { .path = buf_str(path) };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    return r == CLI_OK ? reply_print(c, &reply) : r;
}

/* One page into the table. `ret_next`: the cursor to go on with, NULL at the end; caller frees. */
static int read_page(struct cli *c, const struct buf *base, const char *cursor, long long rows,
                     const struct list_view *view, struct table *t, struct buf *footer, char **ret_next)
{
    char limit[24];
    (void)snprintf(limit, sizeof limit, "%lld", rows < PAGE ? rows : (long long)PAGE);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_append(&path, base->data, base->len);
    path_query(&path, "limit", limit);
    if (cursor)
        path_query(&path, "cursor", cursor);
    struct api_request rq = { .path = buf_str(&path) };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK)
        return r;
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get(reply.json, view->key), i, item)
        view->row(t, item, view->ctx);
    const char *next = json_str(reply.json, "next");
    *ret_next = next ? strdup(next) : NULL;
    if (view->footer && footer->len == 0)
        view->footer(c, footer, reply.json, table_rows(t));
    return CLI_OK;
}

static int print_list(struct cli *c, const struct list_view *view, const struct table *t, struct buf *footer, bool more)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    if (table_rows(t) == 0)
        (void)buf_printf(&out, "%s\n", view->empty);
    else if (table_print(t, &c->term, &out) < 0)
        return cli_fail(c, CLI_FAILED, "out of memory");
    if (footer->len)
        (void)buf_printf(&out, "\n%s", buf_str(footer));
    if (more)
        (void)buf_printf(&out, "%sThere is more: see --limit and the filters of --help.\n", footer->len ? "" : "\n");
    return cli_put(c, &out);
}

int list_show(struct cli *c, struct buf *path, const struct list_view *view)
{
    const char *given = args_get(&c->args, "cursor");
    if (given && c->json)
        path_query(path, "cursor", given);
    if (c->json)
        return list_json(c, path);
    long long left = wanted_rows(c);
    if (left < 1)
        return cli_fail(c, CLI_USAGE, "--limit must be a whole number of at least 1");
    _cleanup_table_ struct table *t = text_table_new(view->columns, view->n_columns);
    _cleanup_free_ char *cursor = given ? strdup(given) : NULL;
    _cleanup_buf_ struct buf footer;
    buf_init(&footer, 0);
    if (!t)
        return cli_fail(c, CLI_FAILED, "out of memory");
    do {
        char *next = NULL;
        size_t before = table_rows(t);
        int r = read_page(c, path, cursor, left, view, t, &footer, &next);
        if (r != CLI_OK)
            return r;
        free(cursor);
        cursor = next;
        left -= (long long)(table_rows(t) - before);
        if (table_rows(t) == before)
            break;
    } while (cursor && left > 0);
    return print_list(c, view, t, &footer, cursor != NULL);
}

int list_show_all(struct cli *c, const char *path, const struct list_view *view)
{
    struct api_request rq = { .path = path };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK || c->json)
        return r == CLI_OK ? reply_print(c, &reply) : r;
    size_t i;
    json_t *item;
    _cleanup_table_ struct table *t = text_table_new(view->columns, view->n_columns);
    _cleanup_buf_ struct buf footer;
    buf_init(&footer, 0);
    if (!t)
        return cli_fail(c, CLI_FAILED, "out of memory");
    json_array_foreach (json_object_get(reply.json, view->key), i, item)
        view->row(t, item, view->ctx);
    if (view->footer)
        view->footer(c, &footer, reply.json, table_rows(t));
    return print_list(c, view, t, &footer, false);
}

int entity_show(struct cli *c, const char *path, void (*show)(struct cli *c, struct buf *out, const json_t *reply))
{
    struct api_request rq = { .path = path };
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, &rq, &reply);
    if (r != CLI_OK)
        return r;
    if (c->json)
        return reply_print(c, &reply);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    show(c, &out, reply.json);
    return cli_put(c, &out);
}

int entity_write(struct cli *c, const struct api_request *rq, const char *done, const char *name)
{
    _cleanup_reply_ struct api_reply reply;
    int r = api_call(c, rq, &reply);
    if (r != CLI_OK)
        return r;
    if (c->json)
        return reply_print(c, &reply);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    text_clean(&out, name, false);
    (void)buf_printf(&out, " %s\n", done);
    return cli_put(c, &out);
}

const char *node_name_of(struct cli *c, const char *id, char *ret, size_t size)
{
    str_copy(ret, size, id ? id : "");
    if (!id)
        return ret;
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, "/v1/infrastructure/nodes/", id, "");
    struct api_request rq = { .path = buf_str(&path), .quiet = true };
    _cleanup_reply_ struct api_reply reply;
    if (api_call(c, &rq, &reply) == CLI_OK && json_str(reply.json, "node.name"))
        str_copy(ret, size, json_str(reply.json, "node.name"));
    return ret;
}

void entity_path(struct buf *out, const char *collection, const char *reference, const char *after)
{
    (void)buf_puts(out, collection);
    path_segment(out, reference);
    (void)buf_puts(out, after);
}

void put_text_option(struct cli *c, json_t *body, const char *option, const char *to)
{
    const char *value = args_get(&c->args, option);
    if (value)
        (void)json_put(body, to, json_string(value));
}

void put_number_option(struct cli *c, json_t *body, const char *option, const char *to)
{
    const char *value = args_get(&c->args, option);
    int64_t whole;
    double number;
    if (value && str_to_int64(value, &whole) == 0)
        (void)json_put(body, to, json_integer(whole));
    else if (value && str_to_double(value, &number) == 0)
        (void)json_put(body, to, json_real(number));
}

int put_pairs_option(struct cli *c, json_t *body, const char *option, const char *to)
{
    size_t cursor = 0;
    for (const char *pair; (pair = args_each(&c->args, option, &cursor));) {
        _cleanup_free_ char *key = NULL;
        const char *value;
        if (split_pair(pair, &key, &value) < 0)
            return cli_fail(c, CLI_USAGE, "--%s must be KEY=VALUE, not '%s'", option, pair);
        json_t *object = json_at(body, to);
        if (!object && json_put(body, to, object = json_object()) < 0)
            return cli_fail(c, CLI_FAILED, "out of memory");
        (void)json_object_set_new(json_at(body, to), key, json_string(value));
    }
    return CLI_OK;
}

int path_query_time(struct cli *c, struct buf *path, const char *option, const char *name)
{
    const char *value = args_get(&c->args, option);
    int64_t ms;
    char text[TIME_TEXT_LEN + 1];
    if (!value)
        return CLI_OK;
    if (parse_instant(value, -1, &ms) < 0)
        return cli_fail(c, CLI_USAGE,
                        "--%s must be a time such as 2026-11-25T12:00:00Z, or a duration such as 2h; not '%s'", option,
                        value);
    path_query(path, name, time_format(ms, text));
    return CLI_OK;
}
