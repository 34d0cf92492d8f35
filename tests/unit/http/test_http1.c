/* The HTTP guard: what it takes, what it refuses, and that the verdict never depends on how input was cut. */
#include "http/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct http1_limits limits = { .line_bytes = 256, .block_bytes = 512, .fields = 8 };

/* Everything that can be told about a parse, as one text. */
static void describe(const struct http1_head *h, int r, size_t used, const struct error *e, char ret[2048])
{
    if (r != HTTP1_DONE) {
        (void)snprintf(ret, 2048, "%s %s", r < 0 ? error_code_name(e->code) : "MORE", e->message);
        return;
    }
    const char *text = h->text.data;
    int n = snprintf(ret, 2048, "%s(%u) %s ? %s HTTP/1.%u length=%llu chunked=%d close=%d expect=%d used=%zu", text,
                     h->method, text + h->path, text + h->query, h->minor, (unsigned long long)h->length, h->chunked,
                     h->close, h->expect_continue, used);
    size_t cursor = 0;
    const char *name, *value;
    while (http1_head_next(h, &cursor, &name, &value))
        n += snprintf(ret + n, 2048 - (size_t)n, " [%s=%s]", name, value);
}

/* Feeds `text` cut before `first` and then in pieces of `step`. */
static void parse_cut(const char *text, size_t len, size_t first, size_t step, char ret[2048])
{
    struct http1_head h;
    http1_head_init(&h);
    _cleanup_error_ struct error e = ERROR_INIT;
    size_t at = 0;
    int r = HTTP1_MORE;
    while (at < len && r == HTTP1_MORE) {
        size_t n = at == 0 && first ? first : step, used = 0;
        if (n > len - at)
            n = len - at;
        r = http1_head_feed(&h, &limits, text + at, n, &used, &e);
        if (r == HTTP1_MORE)
            assert_int_equal(used, n);
        at += used;
    }
    describe(&h, r, at, &e, ret);
    http1_head_done(&h);
}

static void parse(const char *text, size_t len, char ret[2048])
{
    parse_cut(text, len, 0, len, ret);
    char other[2048];
    for (size_t cut = 1; cut < len; cut++) {
        parse_cut(text, len, cut, len, other);
        assert_string_equal(other, ret);
    }
    parse_cut(text, len, 0, 1, other);
    assert_string_equal(other, ret);
}

#define R "GET / HTTP/1.1\r\n"
#define H "Host: a\r\n"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X64 X64 X64 X64

static const struct {
    const char *text, *wanted;
} good[] = {
    { R H "\r\n", "GET(0) / ?  HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=27 [host=a]" },
    { "\r\n" R H "\r\n", "GET(0) / ?  HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=29 [host=a]" },
    { R H "\r\nrest", "GET(0) / ?  HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=27 [host=a]" },
    { "POST /a/b%20c?x=1&y=?z HTTP/1.1\r\n" H "Content-Length: 007\r\n\r\n",
      "POST(2) /a/b%20c ? x=1&y=?z HTTP/1.1 length=7 chunked=0 close=0 expect=0 used=65 [host=a] [content-length=007]" },
    { "PUT / HTTP/1.1\r\n" H "transfer-ENCODING:\tChunked \r\n\r\n",
      "PUT(3) / ?  HTTP/1.1 length=0 chunked=1 close=0 expect=0 used=56 [host=a] [transfer-encoding=Chunked]" },
    { "GET / HTTP/1.0\r\n\r\n", "GET(0) / ?  HTTP/1.0 length=0 chunked=0 close=1 expect=0 used=18" },
    { "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "GET(0) / ?  HTTP/1.0 length=0 chunked=0 close=1 expect=0 used=42 [connection=keep-alive]" },
    { R H "Connection: x, Close\r\n\r\n",
      "GET(0) / ?  HTTP/1.1 length=0 chunked=0 close=1 expect=0 used=49 [host=a] [connection=x, Close]" },
    { R H "Expect: 100-Continue\r\nA:\r\n\r\n",
      "GET(0) / ?  HTTP/1.1 length=0 chunked=0 close=0 expect=1 used=53 [host=a] [expect=100-Continue] [a=]" },
    { "OPTIONS * HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n",
      "OPTIONS(6) * ?  HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=40 [host=[::1]:3000]" },
    { "GET http://b.example:80/p?q HTTP/1.1\r\n" H "\r\n",
      "GET(0) /p ? q HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=49 [host=a]" },
    { "GET HTTPS://b HTTP/1.1\r\n" H "\r\n",
      "GET(0) / ?  HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=35 [host=a]" },
    { "GET http://b?q HTTP/1.1\r\n" H "\r\n",
      "GET(0) / ? q HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=36 [host=a]" },
    { "BREW / HTTP/1.1\r\n" H "X-Note:  gr\xc3\xbc\xc3\x9f  \t\r\n\r\n",
      "BREW(7) / ?  HTTP/1.1 length=0 chunked=0 close=0 expect=0 used=48 [host=a] [x-note=gr\xc3\xbc\xc3\x9f]" },
};

static void well_formed_heads_are_understood(void **state)
{
    (void)state;
    char got[2048];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        parse(good[i].text, strlen(good[i].text), got);
        assert_string_equal(got, good[i].wanted);
    }
}

static const struct {
    const char *name, *text;
    size_t len; /* 0: strlen */
    enum error_code wanted;
} bad[] = {
#define BAD(name, text, code) { name, text, sizeof(text) - 1, code }
    BAD("two lengths, same", R H "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", ERR_MALFORMED),
    BAD("two lengths, differing", R H "Content-Length: 3\r\ncontent-length: 4\r\n\r\n", ERR_MALFORMED),
    BAD("length list", R H "Content-Length: 3, 3\r\n\r\n", ERR_MALFORMED),
    BAD("length signed", R H "Content-Length: +3\r\n\r\n", ERR_MALFORMED),
    BAD("length negative", R H "Content-Length: -1\r\n\r\n", ERR_MALFORMED),
    BAD("length hex", R H "Content-Length: 0x3\r\n\r\n", ERR_MALFORMED),
    BAD("length empty", R H "Content-Length:\r\n\r\n", ERR_MALFORMED),
    BAD("length inner space", R H "Content-Length: 1 2\r\n\r\n", ERR_MALFORMED),
    BAD("length beyond 64 bits", R H "Content-Length: 18446744073709551617\r\n\r\n", ERR_TOO_LARGE),
    BAD("O26 length then chunked", R H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_MALFORMED),
    BAD("O26 chunked then length", R H "tRANSFER-eNCODING: CHUNKED\r\nCONTENT-length: 3\r\n\r\n", ERR_MALFORMED),
    BAD("O26 chunked on 1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_MALFORMED),
    BAD("coding list", R H "Transfer-Encoding: gzip, chunked\r\n\r\n", ERR_MALFORMED),
    BAD("coding identity", R H "Transfer-Encoding: identity\r\n\r\n", ERR_MALFORMED),
    BAD("coding twice", R H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_MALFORMED),
    BAD("coding with tab inside", R H "Transfer-Encoding: chun\tked\r\n\r\n", ERR_MALFORMED),
    BAD("coding quoted", R H "Transfer-Encoding: \"chunked\"\r\n\r\n", ERR_MALFORMED),
    BAD("folded", R H "A: b\r\n c\r\n\r\n", ERR_MALFORMED),
    BAD("folded first", R " A: b\r\n" H "\r\n", ERR_MALFORMED),
    BAD("folded by tab", R H "A: b\r\n\tc\r\n\r\n", ERR_MALFORMED),
    BAD("NUL in value", R H "A: b\0c\r\n\r\n", ERR_MALFORMED),
    BAD("NUL in name", R H "A\0: b\r\n\r\n", ERR_MALFORMED),
    BAD("NUL in target", "GET /\0 HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("DEL in value", R H "A: b\177\r\n\r\n", ERR_MALFORMED),
    BAD("bare LF after request line", "GET / HTTP/1.1\n" H "\r\n", ERR_MALFORMED),
    BAD("bare LF after field", R "Host: a\n\r\n", ERR_MALFORMED),
    BAD("bare LF ends the head", R H "\n", ERR_MALFORMED),
    BAD("bare CR in value", R H "A: b\rc\r\n\r\n", ERR_MALFORMED),
    BAD("two CR", R H "A: b\r\r\n\r\n", ERR_MALFORMED),
    BAD("space before colon", R "Host : a\r\n\r\n", ERR_MALFORMED),
    BAD("no colon", R H "Nonsense\r\n\r\n", ERR_MALFORMED),
    BAD("empty name", R H ": b\r\n\r\n", ERR_MALFORMED),
    BAD("name not a token", R H "A(b): c\r\n\r\n", ERR_MALFORMED),
    BAD("name not ASCII", R H "\xc3\xa4: c\r\n\r\n", ERR_MALFORMED),
    BAD("no Host", R "\r\n", ERR_MALFORMED),
    BAD("two Hosts", R H H "\r\n", ERR_MALFORMED),
    BAD("empty Host", R "Host:\r\n\r\n", ERR_MALFORMED),
    BAD("Host with path", R "Host: a/b\r\n\r\n", ERR_MALFORMED),
    BAD("Host with user", R "Host: u@a\r\n\r\n", ERR_MALFORMED),
    BAD("Host with space", R "Host: a b\r\n\r\n", ERR_MALFORMED),
    BAD("Host with bad port", R "Host: a:80x\r\n\r\n", ERR_MALFORMED),
    BAD("Host with open bracket", R "Host: [::1\r\n\r\n", ERR_MALFORMED),
    BAD("bad method", "GE(T / HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("endless method", X64 " / HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("two spaces", "GET  / HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("tab for space", "GET\t/ HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("space in target", "GET /a b HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("not ASCII in target", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("fragment in target", "GET /#a HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("relative target", "GET a HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("star for GET", "GET * HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("CONNECT", "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("other scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("absolute without host", "GET http:///p HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("no version", "GET /\r\n" H "\r\n", ERR_MALFORMED),
    BAD("HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", ERR_MALFORMED),
    BAD("HTTP/1.2", "GET / HTTP/1.2\r\n" H "\r\n", ERR_MALFORMED),
    BAD("HTTP/2.0", "GET / HTTP/2.0\r\n" H "\r\n", ERR_MALFORMED),
    BAD("lower-case version", "GET / http/1.1\r\n" H "\r\n", ERR_MALFORMED),
    BAD("trailing space", "GET / HTTP/1.1 \r\n" H "\r\n", ERR_MALFORMED),
    BAD("long version", "GET / HTTP/1.10\r\n" H "\r\n", ERR_MALFORMED),
    BAD("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ERR_MALFORMED),
    BAD("TLS hello", "\x16\x03\x01\x02\x00\x01", ERR_MALFORMED),
    BAD("two empty lines", "\r\n\r\n" R H "\r\n", ERR_MALFORMED),
    BAD("other expectation", R H "Expect: gold\r\n\r\n", ERR_MALFORMED),
    BAD("long target", "GET /" X256 " HTTP/1.1\r\n" H "\r\n", ERR_URI_TOO_LONG),
    BAD("long target without end", "GET /" X256 X256, ERR_URI_TOO_LONG),
    BAD("long field", R H "A: " X256 X256 "\r\n\r\n", ERR_HEADERS_TOO_LARGE),
    BAD("long block", R H "A: " X256 "\r\nB: " X256 "\r\n\r\n", ERR_HEADERS_TOO_LARGE),
    BAD("many fields", R H "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n\r\n", ERR_HEADERS_TOO_LARGE),
};

static void O26_doubtful_heads_are_refused(void **state)
{
    (void)state;
    char got[2048];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        parse(bad[i].text, bad[i].len, got);
        size_t n = strcspn(got, " ");
        got[n] = '\0';
        if (strcmp(got, error_code_name(bad[i].wanted)) != 0)
            fail_msg("%s: got %s", bad[i].name, got);
    }
}

/* ---- chunked bodies ---- */

static void decode_cut(const char *text, size_t len, size_t first, size_t step, char ret[2048])
{
    struct http1_chunks c;
    http1_chunks_init(&c);
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    size_t at = 0;
    int r = HTTP1_MORE;
    while (at < len && r == HTTP1_MORE) {
        size_t n = at == 0 && first ? first : step, used = 0;
        if (n > len - at)
            n = len - at;
        r = http1_chunks_feed(&c, text + at, n, &used, &out, 64, &e);
        at += used;
    }
    if (r < 0)
        (void)snprintf(ret, 2048, "%s", error_code_name(e.code));
    else
        (void)snprintf(ret, 2048, "%s %zu:%s used=%zu", r == HTTP1_DONE ? "DONE" : "MORE", out.len, buf_str(&out), at);
    http1_chunks_done(&c);
}

static const struct {
    const char *text, *wanted;
} chunked[] = {
    { "0\r\n\r\n", "DONE 0: used=5" },
    { "5\r\nhello\r\n0\r\n\r\nGET", "DONE 5:hello used=15" },
    { "3\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n", "DONE 13:abc0123456789 used=30" },
    { "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", "DONE 3:abc used=25" },
    { "1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "DONE 1:a used=25" },
    { "5\r\nhel", "MORE 3:hel used=6" },
    { "0000000000000001\r\na\r\n0\r\n\r\n", "DONE 1:a used=26" },
    { "00000000000000001\r\na\r\n0\r\n\r\n", "MALFORMED_REQUEST" },
    { "41\r\n", "PAYLOAD_TOO_LARGE" },
    { "ffffffffffffffff\r\n", "PAYLOAD_TOO_LARGE" },
    { "10000000000000000\r\n", "MALFORMED_REQUEST" },
    { "\r\n", "MALFORMED_REQUEST" },
    { "g\r\n", "MALFORMED_REQUEST" },
    { "-1\r\n", "MALFORMED_REQUEST" },
    { "0x1\r\na\r\n", "MALFORMED_REQUEST" },
    { "1 \r\na\r\n", "MALFORMED_REQUEST" },
    { " 1\r\na\r\n", "MALFORMED_REQUEST" },
    { "1\na\r\n", "MALFORMED_REQUEST" },
    { "1\r\na\n", "MALFORMED_REQUEST" },
    { "1\r\nab\r\n", "MALFORMED_REQUEST" },
    { "1;a\x01\r\na\r\n", "MALFORMED_REQUEST" },
    { "1;a\nb\r\na\r\n", "MALFORMED_REQUEST" },
    { "1;x" X256 "\r\na\r\n", "MALFORMED_REQUEST" },
    { "0\r\nContent-Length: 3\r\n\r\n", "MALFORMED_REQUEST" },
    { "0\r\ntransfer-encoding: chunked\r\n\r\n", "MALFORMED_REQUEST" },
    { "0\r\nAuthorization: x\r\n\r\n", "MALFORMED_REQUEST" },
    { "0\r\nA: b\n\r\n", "MALFORMED_REQUEST" },
    { "0\r\nA : b\r\n\r\n", "MALFORMED_REQUEST" },
    { "0\r\n A: b\r\n\r\n", "MALFORMED_REQUEST" },
    { "0\r\n\n", "MALFORMED_REQUEST" },
};

static void O26_chunked_bodies_are_decoded_or_refused(void **state)
{
    (void)state;
    char got[2048], other[2048];
    for (size_t i = 0; i < ARRAY_LEN(chunked); i++) {
        size_t len = strlen(chunked[i].text);
        decode_cut(chunked[i].text, len, 0, len, got);
        assert_string_equal(got, chunked[i].wanted);
        for (size_t cut = 1; cut <= len; cut++) {
            decode_cut(chunked[i].text, len, cut, cut == len ? 1 : len, other);
            assert_string_equal(other, got);
        }
    }
}

/* The overhead a sender may cause with tiny chunks and long extensions is bounded, and so are trailers. */
static void chunk_overhead_is_bounded(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf text;
    buf_init(&text, 0);
    char got[2048];
    for (int i = 0; i < 20; i++)
        (void)buf_printf(&text, "1;%.*s\r\na\r\n", 255, X256);
    decode_cut(text.data, text.len, 0, text.len, got);
    assert_string_equal(got, "MALFORMED_REQUEST");
    buf_clear(&text);
    (void)buf_puts(&text, "0\r\n");
    for (int i = 0; i < 20; i++)
        (void)buf_puts(&text, "A: " X256 "\r\n");
    decode_cut(text.data, text.len, 0, text.len, got);
    assert_string_equal(got, "HEADERS_TOO_LARGE");
}

static void only_harmless_fields_may_be_sent(void **state)
{
    (void)state;
    assert_true(http1_field_ok("X-A", "b c\t\xc3\xa4"));
    assert_true(http1_field_ok("X-A", ""));
    assert_false(http1_field_ok("X-A", "b\r\nSet-Cookie: c"));
    assert_false(http1_field_ok("X-A", "b\nc"));
    assert_false(http1_field_ok("X-A", "b\x7f"));
    assert_false(http1_field_ok("X A", "b"));
    assert_false(http1_field_ok("X-A:", "b"));
    assert_false(http1_field_ok("", "b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_heads_are_understood),          cmocka_unit_test(O26_doubtful_heads_are_refused),
        cmocka_unit_test(O26_chunked_bodies_are_decoded_or_refused), cmocka_unit_test(chunk_overhead_is_bounded),
        cmocka_unit_test(only_harmless_fields_may_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
