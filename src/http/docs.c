#include "http/api_internal.h"

#include "base/str.h"

#include <errno.h>

static void put_escaped(struct buf *b, const char *text)
{
    for (; text && *text; text++) {
        switch (*text) {
        case '<': (void)buf_puts(b, "&lt;"); break;
        case '>': (void)buf_puts(b, "&gt;"); break;
        case '&': (void)buf_puts(b, "&amp;"); break;
        case '"': (void)buf_puts(b, "&quot;"); break;
        default: (void)buf_putc(b, *text);
        }
    }
}

static void put_cell(struct buf *b, const char *text, bool code)
{
    (void)buf_puts(b, code ? "<td><code>" : "<td>");
    put_escaped(b, text);
    (void)buf_puts(b, code ? "</code></td>" : "</td>");
}

static const char *method_text(enum http_method m)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE"
    };
    return m < ARRAY_LEN(names) && names[m] ? names[m] : "";
}

/* A plain list of the operations, for a program built without the dashboard and its renderer. */
static void put_list(struct buf *b, struct contract *c)
{
    size_t n = 0;
    const struct operation *ops = contract_operations(c, &n);
    (void)buf_puts(b, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>hbcloud API</title><style>"
                      "body{font:15px/1.5 system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
                      "td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #8884}"
                      "</style></head><body><h1>hbcloud API</h1><p>Machine-readable: <a href=\"/v1/openapi.json\">"
                      "/v1/openapi.json</a>.</p><table><thead><tr><th>Method</th><th>Path</th><th>What it does</th>"
                      "<th>Role</th><th>Operation</th></tr></thead><tbody>");
    for (size_t i = 0; i < n; i++) {
        (void)buf_puts(b, "<tr>");
        put_cell(b, method_text(ops[i].method), true);
        put_cell(b, ops[i].path, true);
        put_cell(b, ops[i].summary, false);
        put_cell(b, role_name(ops[i].role), false);
        put_cell(b, ops[i].id, true);
        (void)buf_puts(b, "</tr>\n");
    }
    (void)buf_puts(b, "</tbody></table></body></html>\n");
}

static int get_docs(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct api *a = room;
    int r = a->site ? static_reply_file(a->site, "docs/index.html", rq, rp, e) : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    struct buf page;
    buf_init(&page, 0);
    put_list(&page, a->contract);
    r = buf_ok(&page) ? static_reply_page(rp, buf_str(&page), page.len, a->contract_etag, e)
                      : error_errno(e, -ENOMEM, "Listing the operations");
    buf_done(&page);
    return r;
}

static int get_openapi(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct api *a = room;
    reply_blob(rp, 200, "application/json", contract_json(a->contract), a->contract_etag);
    return 0;
}

const struct api_operation api_builtin_operations[API_BUILTIN_COUNT] = {
    { "getOpenapi", get_openapi },
    { "getDocs", get_docs },
};
