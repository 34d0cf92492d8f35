#include "http/static.h"

#include "http/api_internal.h"

#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <strings.h>

#define KEPT_MAX ((size_t)256 << 10) /* bigger files are copied from the binary each time */
#define FOREVER "public, max-age=31536000, immutable"

struct static_site {
    const struct embedded_file *files;
    size_t count;
    pthread_mutex_t lock;
    struct blob **kept; /* two a file: plain, gzip; made when first asked for */
};

struct static_site *static_site_new(const struct embedded_file *files, size_t n)
{
    struct static_site *s = calloc(1, sizeof *s);
    if (!s || !(s->kept = calloc(n * 2 + 1, sizeof(struct blob *)))) {
        free(s);
        return NULL;
    }
    s->files = files;
    s->count = n;
    (void)pthread_mutex_init(&s->lock, NULL);
    return s;
}

void static_site_free(struct static_site *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count * 2; i++)
        blob_unref(s->kept[i]);
    free(s->kept);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static int compare_path(const void *key, const void *element)
{
    return strcmp(key, ((const struct embedded_file *)element)->path);
}

static const struct embedded_file *find(const struct static_site *s, const char *path)
{
    return s->count ? bsearch(path, s->files, s->count, sizeof *s->files, compare_path) : NULL;
}

/* A new reference to the file's bytes; NULL: no memory. */
static struct blob *bytes_of(struct static_site *s, const struct embedded_file *f, bool gzip)
{
    size_t len = gzip ? f->gzip_len : f->len;
    const char *bytes = gzip ? f->gzip : f->bytes;
    if (len > KEPT_MAX)
        return blob_new(bytes, len);
    (void)pthread_mutex_lock(&s->lock);
    struct blob **kept = &s->kept[(size_t)(f - s->files) * 2 + gzip];
    if (!*kept)
        *kept = blob_new(bytes, len);
    struct blob *b = *kept ? blob_ref(*kept) : NULL;
    (void)pthread_mutex_unlock(&s->lock);
    return b;
}

/* Copies a page, giving each script and style element the nonce. */
static void put_page(struct buf *out, const char *html, size_t len, const char *nonce)
{
    const char *end = html + len;
    for (const char *at = html; at < end;) {
        const char *tag = memchr(at, '<', (size_t)(end - at));
        size_t n = !tag                                                             ? 0
                   : (size_t)(end - tag) > 7 && strncasecmp(tag, "<script", 7) == 0 ? 7
                   : (size_t)(end - tag) > 6 && strncasecmp(tag, "<style", 6) == 0  ? 6
                                                                                    : 1;
        if (!tag) {
            (void)buf_append(out, at, (size_t)(end - at));
            return;
        }
        (void)buf_append(out, at, (size_t)(tag - at) + n);
        if (n > 1)
            (void)buf_printf(out, " nonce=\"%s\"", nonce);
        at = tag + n;
    }
}

/* Replies a page with a fresh nonce. The tag is that of the file: a page found unchanged keeps its stored policy. */
int static_reply_page(struct reply *rp, const char *html, size_t len, const char *etag, struct error *e)
{
    struct buf out;
    buf_init(&out, 0);
    char nonce[sizeof rp->nonce];
    str_copy(nonce, sizeof nonce, reply_nonce(rp));
    put_page(&out, html, len, nonce);
    struct blob *page = blob_from_buf(&out);
    buf_done(&out);
    if (!page)
        return error_errno(e, -ENOMEM, "Making a page");
    reply_blob(rp, 200, "text/html; charset=utf-8", page, NULL);
    if (etag)
        reply_etag(rp, etag);
    str_copy(rp->nonce, sizeof rp->nonce, nonce);
    reply_header(rp, "Cache-Control", "no-cache");
    blob_unref(page);
    return 0;
}

int static_reply_file(struct static_site *s, const char *path, struct request *rq, struct reply *rp, struct error *e)
{
    const struct embedded_file *f = find(s, path);
    if (!f)
        return 0;
    reply_header(rp, "Vary", "Accept-Encoding");
    if (str_ends(f->path, ".html")) {
        int r = static_reply_page(rp, f->bytes, f->len, f->etag, e);
        rp->free_style = str_starts(f->path, "docs/"); /* the contract's renderer makes style elements of its own */
        return r < 0 ? r : 1;
    }
    const char *encodings = http_header(rq->x, "Accept-Encoding");
    bool gzip = f->gzip_len && encodings && negotiate_weight(encodings, "gzip") > 0;
    struct blob *b = bytes_of(s, f, gzip);
    if (!b)
        return error_errno(e, -ENOMEM, "Reading %s", path);
    reply_blob(rp, 200, f->type, b, f->etag);
    rp->encoding = gzip ? "gzip" : NULL;
    rp->final = true;
    reply_header(rp, "Cache-Control", str_starts(f->path, "assets/") ? FOREVER : "no-cache");
    blob_unref(b);
    return 1;
}

static int reply_without_dashboard(struct reply *rp, struct error *e)
{
    static const char page[] =
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>hbcloud</title><style>"
        "body{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;"
        "color:#1c2330;background:#fff}code{background:#eef1f5;padding:.1em .35em;border-radius:4px}"
        "@media(prefers-color-scheme:dark){body{color:#e6e9ef;background:#11151c}code{background:#232a36}a{color:#8ab4ff}}"
        "</style></head><body><h1>The hub runs</h1>"
        "<p>This binary was built without the dashboard, so there is no page to show here. The API and the command line "
        "work as usual.</p><p>To build it with the dashboard, run <code>./dev build</code> in the repository (it brings "
        "the Node.js that the dashboard's build needs), then start <code>build/hbcloud serve</code>.</p>"
        "<p>Meanwhile: <a href=\"/docs\">the API's operations</a>, <a href=\"/v1/openapi.json\">the contract</a>, "
        "<code>hbcloud nodes list</code> in a terminal.</p></body></html>\n";
    int r = static_reply_page(rp, page, sizeof page - 1, NULL, e);
    return r < 0 ? r : 1;
}

/* The path's file name; false: too long, or a segment that hides a slash. */
static bool join_path(const struct path *p, char *ret, size_t size)
{
    size_t used = 0;
    ret[0] = '\0';
    for (unsigned i = 0; i < p->count; i++) {
        size_t n = strlen(p->segment[i]);
        if (used + n + 2 > size || strchr(p->segment[i], '/'))
            return false;
        if (i)
            ret[used++] = '/';
        memcpy(ret + used, p->segment[i], n + 1);
        used += n;
    }
    return true;
}

static bool wants_page(const struct request *rq)
{
    const char *accept = http_header(rq->x, "Accept");
    return rq->path.count == 0 || (accept && strcasestr(accept, "text/html") && negotiate_accepts(accept, "text/html"));
}

static int serve(void *ctx, struct request *rq, struct reply *rp, struct error *e)
{
    struct static_site *s = ctx;
    char path[512];
    if (!join_path(&rq->path, path, sizeof path))
        return 0;
    size_t len = strlen(path);
    if (len && path[len - 1] == '/' && len + sizeof "index.html" <= sizeof path)
        memcpy(path + len, "index.html", sizeof "index.html");
    int r = *path ? static_reply_file(s, path, rq, rp, e) : 0;
    if (r == 0 && str_eq(path, "favicon.ico"))
        r = static_reply_file(s, "favicon.svg", rq, rp, e);
    if (r != 0 || str_starts(path, "assets/") || !wants_page(rq))
        return r;
    r = static_reply_file(s, "index.html", rq, rp, e);
    return r != 0 ? r : reply_without_dashboard(rp, e);
}

void static_site_attach(struct static_site *s, struct api *a)
{
    a->fallback = serve;
    a->fallback_ctx = s;
    a->site = s;
}
