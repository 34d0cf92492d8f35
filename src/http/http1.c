#include "http/http1.h"

#include <string.h>
#include <strings.h>

#define METHOD_MAX 32
#define EXTENSION_MAX 256  /* a chunk */
#define EXTENSIONS_MAX 4096 /* a body: else a byte of body could cost its sender nothing and us 256 */
#define TRAILER_BYTES_MAX 4096
#define CHUNK_DIGITS_MAX 16
#define LENGTH_DIGITS_MAX 18

enum { TOKEN = 1, VALUE = 2, TARGET = 4, HOST = 8 };

/* Which bytes may stand in a token, a field value, a request target, a host. */
static const uint8_t classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE | TARGET | HOST,
    ['"'] = VALUE | TARGET,
    ['#'] = TOKEN | VALUE,
    ['$' ... '\''] = TOKEN | VALUE | TARGET | HOST,
    ['(' ... ')'] = VALUE | TARGET | HOST,
    ['*' ... '+'] = TOKEN | VALUE | TARGET | HOST,
    [','] = VALUE | TARGET | HOST,
    ['-' ... '.'] = TOKEN | VALUE | TARGET | HOST,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TOKEN | VALUE | TARGET | HOST,
    [':'] = VALUE | TARGET,
    [';'] = VALUE | TARGET | HOST,
    ['<'] = VALUE | TARGET,
    ['='] = VALUE | TARGET | HOST,
    ['>' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = TOKEN | VALUE | TARGET | HOST,
    ['[' ... ']'] = VALUE | TARGET,
    ['^'] = TOKEN | VALUE | TARGET,
    ['_'] = TOKEN | VALUE | TARGET | HOST,
    ['`'] = TOKEN | VALUE | TARGET,
    ['a' ... 'z'] = TOKEN | VALUE | TARGET | HOST,
    ['{'] = VALUE | TARGET,
    ['|'] = TOKEN | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = TOKEN | VALUE | TARGET | HOST,
    [0x80 ... 0xff] = VALUE, /* obs-text: UTF-8 in practice */
};

static size_t span(const char *s, size_t n, unsigned class)
{
    size_t i = 0;
    while (i < n && classes[(unsigned char)s[i]] & class)
        i++;
    return i;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool equals(const char *s, size_t n, const char *text)
{
    return n == strlen(text) && strncasecmp(s, text, n) == 0;
}

bool http1_field_ok(const char *name, const char *value)
{
    const char *n = name;
    while (classes[(unsigned char)*n] & TOKEN)
        n++;
    while (classes[(unsigned char)*value] & VALUE)
        value++;
    return n > name && !*n && !*value; /* NUL is of no class */
}

/* ---- request line ---- */

static const char *const methods[] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
};

static enum http_method method_of(const char *s, size_t n)
{
    for (unsigned m = 0; m < ARRAY_LEN(methods); m++)
        if (strlen(methods[m]) == n && memcmp(methods[m], s, n) == 0)
            return (enum http_method)m;
    return HTTP_OTHER;
}

/* host [ ":" port ], host an IPv6 literal in brackets or a name. */
static bool host_ok(const char *s, size_t n)
{
    size_t i = 0;
    if (n && s[0] == '[') {
        for (i = 1; i < n && s[i] != ']'; i++)
            if (!strchr("0123456789abcdefABCDEF:.", s[i]) || !s[i])
                return false;
        if (i < 3 || i++ >= n)
            return false;
    } else {
        i = span(s, n, HOST);
        if (i == 0)
            return false;
    }
    if (i == n)
        return true;
    if (s[i++] != ':' || n - i > 5)
        return false;
    while (i < n && is_digit(s[i]))
        i++;
    return i == n;
}

/* Cuts scheme and authority off an absolute-form target; false: not one we take. */
static bool strip_authority(const char **s, size_t *n)
{
    size_t skip = 0;
    if (*n > 7 && strncasecmp(*s, "http://", 7) == 0)
        skip = 7;
    else if (*n > 8 && strncasecmp(*s, "https://", 8) == 0)
        skip = 8;
    else
        return false;
    size_t end = skip;
    while (end < *n && (*s)[end] != '/' && (*s)[end] != '?')
        end++;
    if (!host_ok(*s + skip, end - skip))
        return false;
    *s += end;
    *n -= end;
    return true;
}

static int put(struct http1_head *h, const char *s, size_t n)
{
    return buf_append(&h->text, s, n) < 0 || buf_putc(&h->text, '\0') < 0 ? -1 : 0;
}

static int take_target(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    bool absolute = strip_authority(&s, &n);
    bool star = n == 1 && s[0] == '*' && h->method == HTTP_OPTIONS && !absolute;
    bool rooted = n && (s[0] == '/' || (absolute && s[0] == '?'));
    if (!star && !rooted && !(absolute && n == 0))
        return error_set(e, ERR_MALFORMED, "The request target is not a path.");
    const char *mark = n ? memchr(s, '?', n) : NULL;
    size_t path = mark ? (size_t)(mark - s) : n;
    h->path = h->text.len;
    if (put(h, path ? s : "/", path ? path : 1) < 0)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    h->query = h->text.len;
    if (put(h, mark ? mark + 1 : "", mark ? n - path - 1 : 0) < 0)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    h->first_field = h->text.len;
    return 0;
}

static int take_version(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    if (n != 8 || memcmp(s, "HTTP/", 5) != 0 || !is_digit(s[5]) || s[6] != '.' || !is_digit(s[7]))
        return error_set(e, ERR_MALFORMED, "The request line does not end with an HTTP version.");
    if (s[5] == '2' && h->method == HTTP_OTHER && strcmp(h->text.data, "PRI") == 0)
        h->preface = true;
    if (s[5] != '1' || (s[7] != '0' && s[7] != '1'))
        return error_set(e, ERR_MALFORMED, "This HTTP version is not spoken here; HTTP/1.1 and HTTP/1.0 are.");
    h->minor = (uint8_t)(s[7] - '0');
    return 0;
}

static int take_request_line(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    size_t method = span(s, n, TOKEN);
    if (method == 0 || method > METHOD_MAX || method == n || s[method] != ' ')
        return error_set(e, ERR_MALFORMED, "The request line does not begin with a method and one space.");
    if (buf_reserve(&h->text, 400) < 0 || put(h, s, method) < 0)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    h->method = method_of(s, method);
    const char *target = s + method + 1;
    size_t len = span(target, n - method - 1, TARGET);
    const char *version = target + len;
    if (len == 0 || version == s + n || *version != ' ')
        return error_set(e, ERR_MALFORMED, "The request target holds a character that must be percent-encoded.");
    version++;
    int r = take_version(h, version, (size_t)(s + n - version), e);
    if (r == 0)
        r = take_target(h, target, len, e);
    h->line_known = r == 0;
    return r;
}

/* ---- fields ---- */

static int take_length(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    if (h->has_length)
        return error_set(e, ERR_MALFORMED, "Content-Length came twice.");
    h->has_length = true;
    for (size_t i = 0; i < n; i++)
        if (!is_digit(s[i]))
            return error_set(e, ERR_MALFORMED, "Content-Length is not a number.");
    if (n == 0)
        return error_set(e, ERR_MALFORMED, "Content-Length is not a number.");
    if (n > LENGTH_DIGITS_MAX)
        return error_set(e, ERR_TOO_LARGE, "The body is over any limit.");
    for (size_t i = 0; i < n; i++)
        h->length = h->length * 10 + (uint64_t)(s[i] - '0');
    return 0;
}

static int take_coding(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    if (h->has_coding || !equals(s, n, "chunked"))
        return error_set(e, ERR_MALFORMED, "Transfer-Encoding may only be chunked, once.");
    if (h->minor == 0)
        return error_set(e, ERR_MALFORMED, "HTTP/1.0 has no Transfer-Encoding.");
    h->has_coding = h->chunked = true;
    return 0;
}

static int take_host(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    if (h->has_host)
        return error_set(e, ERR_MALFORMED, "Host came twice.");
    h->has_host = true;
    return host_ok(s, n) ? 0 : error_set(e, ERR_MALFORMED, "Host is not a host and port.");
}

static int take_connection(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    while (n) {
        size_t len = span(s, n, TOKEN);
        if (equals(s, len, "close"))
            h->close = true;
        size_t skip = len ? len : 1;
        s += skip;
        n -= skip;
    }
    return 0;
}

static int take_expect(struct http1_head *h, const char *s, size_t n, struct error *e)
{
    if (!equals(s, n, "100-continue"))
        return error_set(e, ERR_MALFORMED, "Expect may only be 100-continue.");
    h->expect_continue = h->minor > 0;
    return 0;
}

static const struct {
    const char *name;
    int (*take)(struct http1_head *h, const char *value, size_t n, struct error *e);
} known_fields[] = {
    { "content-length", take_length },
    { "transfer-encoding", take_coding },
    { "host", take_host },
    { "connection", take_connection },
    { "expect", take_expect },
};

struct field {
    const char *name, *value;
    size_t name_len, value_len;
};

/* Splits and checks one field line, of a head or of trailers. */
static int split_field(const char *s, size_t n, struct field *ret, struct error *e)
{
    if (s[0] == ' ' || s[0] == '\t')
        return error_set(e, ERR_MALFORMED, "A header line is folded.");
    size_t name = span(s, n, TOKEN);
    if (name == 0 || name == n || s[name] != ':')
        return error_set(e, ERR_MALFORMED, "A header name is not a token followed by a colon.");
    const char *value = s + name + 1, *end = s + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t len = (size_t)(end - value);
    if (span(value, len, VALUE) != len)
        return error_set(e, ERR_MALFORMED, "A header value holds a control character.");
    *ret = (struct field){ s, value, name, len };
    return 0;
}

static int store_field(struct http1_head *h, const struct field *f, struct error *e)
{
    if (buf_reserve(&h->text, f->name_len + f->value_len + 2) < 0)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    char *to = h->text.data + h->text.len;
    for (size_t i = 0; i < f->name_len; i++)
        *to++ = lower(f->name[i]);
    *to++ = '\0';
    memcpy(to, f->value, f->value_len);
    to[f->value_len] = '\0';
    h->text.len += f->name_len + f->value_len + 2;
    h->fields++;
    return 0;
}

static int take_field(struct http1_head *h, unsigned max, const char *s, size_t n, struct error *e)
{
    struct field f;
    int r = split_field(s, n, &f, e);
    if (r < 0)
        return r;
    if (h->fields >= max)
        return error_set(e, ERR_HEADERS_TOO_LARGE, "More than %u header fields.", max);
    for (size_t i = 0; i < ARRAY_LEN(known_fields); i++)
        if (equals(f.name, f.name_len, known_fields[i].name)) {
            r = known_fields[i].take(h, f.value, f.value_len, e);
            break;
        }
    return r < 0 ? r : store_field(h, &f, e);
}

static int finish(struct http1_head *h, struct error *e)
{
    if (h->minor >= 1 && !h->has_host)
        return error_set(e, ERR_MALFORMED, "Host is missing.");
    if (h->has_length && h->has_coding)
        return error_set(e, ERR_MALFORMED, "Content-Length and Transfer-Encoding came together.");
    if (h->minor == 0)
        h->close = true;
    return HTTP1_DONE;
}

/* One line with its LF. */
static int take_line(struct http1_head *h, const struct http1_limits *limits, const char *s, size_t n, struct error *e)
{
    if (n < 2 || s[n - 2] != '\r')
        return error_set(e, ERR_MALFORMED, "A line ends without CR.");
    n -= 2;
    if (h->line_known)
        return n ? take_field(h, limits->fields, s, n, e) : finish(h, e);
    if (n)
        return take_request_line(h, s, n, e);
    if (h->blank_seen)
        return error_set(e, ERR_MALFORMED, "Empty lines come before the request.");
    h->blank_seen = true; /* RFC 9112, 2.2: one is forgiven */
    return 0;
}

void http1_head_init(struct http1_head *h)
{
    *h = (struct http1_head){ 0 };
}

void http1_head_done(struct http1_head *h)
{
    buf_done(&h->text);
    buf_done(&h->line);
}

/* `n` bytes of the current line are known. Asked before the line is looked at, so that a cut changes nothing. */
static int check_size(const struct http1_head *h, const struct http1_limits *limits, size_t n, struct error *e)
{
    if (!h->line_known && n > limits->line_bytes)
        return error_set(e, ERR_URI_TOO_LONG, "The request line is over %zu bytes.", limits->line_bytes);
    if (h->bytes + n > limits->block_bytes)
        return error_set(e, ERR_HEADERS_TOO_LARGE, "The header block is over %zu bytes.", limits->block_bytes);
    return 0;
}

/* Refuses a TLS hello or other noise at once instead of waiting for a line that never ends. */
static int check_first(const struct http1_head *h, char c, struct error *e)
{
    if (h->line_known || h->line.len || c == '\r' || classes[(unsigned char)c] & TOKEN)
        return 0;
    return error_set(e, ERR_MALFORMED, "The request line does not begin with a method and one space.");
}

int http1_head_feed(struct http1_head *h, const struct http1_limits *limits, const char *data, size_t len,
                    size_t *ret_used, struct error *e)
{
    size_t at = 0;
    int r = 0;
    while (at < len && r == 0) {
        const char *s = data + at;
        const char *lf = memchr(s, '\n', len - at);
        size_t part = lf ? (size_t)(lf - s) + 1 : len - at;
        size_t n = h->line.len + part;
        if ((r = check_first(h, *s, e)) < 0 || (r = check_size(h, limits, n, e)) < 0)
            return r;
        if (!lf || h->line.len) {
            if (buf_append(&h->line, s, part) < 0)
                return error_set(e, ERR_INTERNAL, "Out of memory.");
            s = h->line.data;
        }
        at += part;
        if (!lf)
            break;
        r = take_line(h, limits, s, n, e);
        h->bytes += n;
        buf_clear(&h->line);
    }
    if (r < 0)
        return r;
    *ret_used = at;
    return r;
}

bool http1_head_next(const struct http1_head *h, size_t *cursor, const char **name, const char **value)
{
    size_t at = *cursor ? *cursor : h->first_field;
    if (at >= h->text.len)
        return false;
    *name = h->text.data + at;
    *value = *name + strlen(*name) + 1;
    *cursor = (size_t)(*value + strlen(*value) + 1 - h->text.data);
    return true;
}

const char *http1_head_field(const struct http1_head *h, const char *name)
{
    size_t cursor = 0;
    const char *n, *v;
    while (http1_head_next(h, &cursor, &n, &v))
        if (strcasecmp(n, name) == 0)
            return v;
    return NULL;
}

/* ---- chunked bodies ---- */

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, END };

void http1_chunks_init(struct http1_chunks *c)
{
    *c = (struct http1_chunks){ .stage = SIZE };
}

void http1_chunks_done(struct http1_chunks *c)
{
    buf_done(&c->line);
}

static int hex_value(char ch)
{
    if (is_digit(ch))
        return ch - '0';
    ch = lower(ch);
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static int chunk_size(struct http1_chunks *c, char ch, struct error *e)
{
    int digit = hex_value(ch);
    if (digit >= 0) {
        if (++c->digits > CHUNK_DIGITS_MAX)
            return error_set(e, ERR_MALFORMED, "A chunk size has more than %d digits.", CHUNK_DIGITS_MAX);
        c->left = c->left << 4 | (unsigned)digit;
        return 0;
    }
    if (c->digits == 0 || (ch != '\r' && ch != ';'))
        return error_set(e, ERR_MALFORMED, "A chunk size is not a hexadecimal number.");
    c->stage = ch == ';' ? EXTENSION : SIZE_LF;
    return 0;
}

static int chunk_extension(struct http1_chunks *c, char ch, struct error *e)
{
    if (ch == '\r') {
        c->stage = SIZE_LF;
        return 0;
    }
    if (++c->extension > EXTENSION_MAX || ++c->extensions > EXTENSIONS_MAX)
        return error_set(e, ERR_MALFORMED, "A chunk extension is too long.");
    if (!(classes[(unsigned char)ch] & VALUE))
        return error_set(e, ERR_MALFORMED, "A chunk extension holds a control character.");
    return 0;
}

static int chunk_begin(struct http1_chunks *c, char ch, size_t room, struct error *e)
{
    if (ch != '\n')
        return error_set(e, ERR_MALFORMED, "A chunk size does not end with CRLF.");
    if (c->left > room)
        return error_set(e, ERR_TOO_LARGE, "The body is over its limit.");
    c->stage = c->left ? DATA : TRAILER;
    return 0;
}

/* Fields that change framing, routing or identity must not come after the body (RFC 9110, 6.5.1). */
static const char *const forbidden_trailers[] = {
    "transfer-encoding", "content-length",   "host",
    "connection",        "expect",           "te",
    "trailer",           "authorization",    "cookie",
    "upgrade",           "content-encoding", "content-type",
    "content-range",     "forwarded",        "x-forwarded-for",
    "x-csrf-token",
};

static int trailer_line(struct http1_chunks *c, struct error *e)
{
    const char *s = c->line.data;
    size_t n = c->line.len;
    if (n < 2 || s[n - 2] != '\r')
        return error_set(e, ERR_MALFORMED, "A line ends without CR.");
    n -= 2;
    if (n == 0) {
        c->stage = END;
        return 0;
    }
    struct field f = { 0 };
    int r = split_field(s, n, &f, e);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(forbidden_trailers); i++)
        if (equals(f.name, f.name_len, forbidden_trailers[i]))
            r = error_set(e, ERR_MALFORMED, "%s must not be a trailer.", forbidden_trailers[i]);
    buf_clear(&c->line);
    return r;
}

static int chunk_trailer(struct http1_chunks *c, char ch, struct error *e)
{
    if (++c->trailer_bytes > TRAILER_BYTES_MAX)
        return error_set(e, ERR_HEADERS_TOO_LARGE, "The trailers are over %d bytes.", TRAILER_BYTES_MAX);
    if (buf_putc(&c->line, ch) < 0)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    return ch == '\n' ? trailer_line(c, e) : 0;
}

static int chunk_end(struct http1_chunks *c, char ch, struct error *e)
{
    if (ch != (c->stage == DATA_CR ? '\r' : '\n'))
        return error_set(e, ERR_MALFORMED, "A chunk does not end with CRLF.");
    c->stage = c->stage == DATA_CR ? DATA_LF : SIZE;
    c->digits = 0;
    c->extension = 0;
    return 0;
}

static int chunk_byte(struct http1_chunks *c, char ch, size_t room, struct error *e)
{
    switch (c->stage) {
    case SIZE: return chunk_size(c, ch, e);
    case EXTENSION: return chunk_extension(c, ch, e);
    case SIZE_LF: return chunk_begin(c, ch, room, e);
    case DATA_CR:
    case DATA_LF: return chunk_end(c, ch, e);
    default: return chunk_trailer(c, ch, e);
    }
}

int http1_chunks_feed(struct http1_chunks *c, const char *data, size_t len, size_t *ret_used, struct buf *out,
                      size_t limit, struct error *e)
{
    size_t at = 0;
    while (at < len && c->stage != END) {
        if (c->stage != DATA) {
            int r = chunk_byte(c, data[at++], limit - out->len, e);
            if (r < 0)
                return r;
            continue;
        }
        size_t n = len - at < c->left ? len - at : (size_t)c->left;
        if (buf_append(out, data + at, n) < 0)
            return error_set(e, ERR_INTERNAL, "Out of memory.");
        at += n;
        c->left -= n;
        if (c->left == 0)
            c->stage = DATA_CR;
    }
    *ret_used = at;
    return c->stage == END ? HTTP1_DONE : HTTP1_MORE;
}
