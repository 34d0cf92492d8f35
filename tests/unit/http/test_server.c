/* The listener on real sockets: requests, bodies, pipelining, streams, stopping, TLS. */
#include "server_fixture.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void start(void)
{
    struct http_server_options o = fixture_options();
    fixture_start(&o);
}

static void expect_reply(struct client *c, int status, const char *body)
{
    assert_true(client_hear(c, false));
    assert_int_equal(c->status, status);
    assert_string_equal(buf_str(&c->body), body);
}

static void one_connection_serves_many_requests(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    for (int i = 0; i < 200; i++) {
        client_say(&c, i % 2 ? GET("/hello") : GET("/inline?x=1"));
        expect_reply(&c, 200, i % 2 ? "hello" : "inline");
        assert_null(strstr(c.head.data, "Connection:"));
        assert_non_null(strstr(c.head.data, "\r\nDate: "));
    }
    client_say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect_reply(&c, 200, "hello");
    assert_non_null(strstr(c.head.data, "Connection: close\r\n"));
    assert_true(client_ended(&c, 5000));
    client_close(&c);
}

static void http_1_0_gets_one_reply(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect_reply(&c, 200, "hello");
    assert_true(client_ended(&c, 5000));
    client_close(&c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    _cleanup_buf_ struct buf all;
    buf_init(&all, 0);
    for (int i = 0; i < 300; i++) {
        char body[16];
        int n = snprintf(body, sizeof body, "%d", i);
        if (i % 3 == 0)
            (void)buf_printf(&all, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, body);
        else if (i % 3 == 1)
            (void)buf_printf(
                &all, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n,
                body);
        else
            (void)buf_puts(&all, GET("/inline"));
    }
    client_say(&c, all.data);
    for (int i = 0; i < 300; i++) {
        char body[16];
        (void)snprintf(body, sizeof body, "%d", i);
        expect_reply(&c, 200, i % 3 == 2 ? "inline" : body);
    }
    client_close(&c);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    const char *text =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/hello");
    for (const char *at = text; *at; at++) {
        assert_true(client_say_n(&c, at, 1));
        if (at[0] == '\n')
            fixture_pause();
    }
    expect_reply(&c, 200, "abc");
    expect_reply(&c, 200, "hello");
    client_close(&c);
}

static void expect_continue_is_answered_before_the_body(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    expect_reply(&c, 100, "");
    client_say(&c, "abc");
    expect_reply(&c, 200, "abc");
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n");
    expect_reply(&c, 413, "{\"code\":\"PAYLOAD_TOO_LARGE\"}");
    assert_true(client_ended(&c, 5000));
    client_close(&c);
    client_open(&c, NULL);
    client_say(&c, "POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    expect_reply(&c, 401, "{\"code\":\"UNAUTHENTICATED\"}");
    assert_non_null(strstr(c.head.data, "Content-Type: application/json\r\n"));
    assert_true(client_ended(&c, 5000));
    client_close(&c);
    assert_int_equal(fixture_handled(), 1);
}

static void a_refusal_without_body_keeps_the_connection(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, GET("/deny") GET("/hello"));
    expect_reply(&c, 401, "{\"code\":\"UNAUTHENTICATED\"}");
    expect_reply(&c, 200, "hello");
    client_close(&c);
}

/* The client still sends when it is refused: it must see the reply, not a reset. */
static void a_refused_upload_sees_its_reply(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n");
    char some[30000] = { 0 };
    assert_true(client_say_n(&c, some, sizeof some));
    expect_reply(&c, 413, "{\"code\":\"PAYLOAD_TOO_LARGE\"}");
    assert_true(client_say_n(&c, some, 1000));
    (void)shutdown(c.fd, SHUT_WR);
    assert_true(client_ended(&c, 5000));
    assert_false(c.reset);
    client_close(&c);
}

static void a_chunked_body_over_its_limit_is_refused(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    char chunk[65536 + 16];
    int n = snprintf(chunk, 16, "10000\r\n");
    memset(chunk + n, 'x', 65536);
    memcpy(chunk + n + 65536, "\r\n", 2);
    for (int i = 0; i < 17; i++)
        if (!client_say_n(&c, chunk, (size_t)n + 65538))
            break;
    expect_reply(&c, 413, "{\"code\":\"PAYLOAD_TOO_LARGE\"}");
    client_close(&c);
    assert_int_equal(fixture_handled(), 0);
}

static void head_204_and_304_carry_no_body(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_hear(&c, true));
    assert_non_null(strstr(c.head.data, "Content-Length: 8388608\r\n"));
    client_say(&c, GET("/empty"));
    expect_reply(&c, 204, "");
    assert_null(strstr(c.head.data, "Content-Length"));
    client_say(&c, GET("/same"));
    expect_reply(&c, 304, "");
    assert_null(strstr(c.head.data, "Content-Length"));
    client_say(&c, GET("/hello"));
    expect_reply(&c, 200, "hello");
    client_close(&c);
}

static void a_reply_cannot_be_split(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, GET("/split"));
    expect_reply(&c, 500, "{\"code\":\"INTERNAL_ERROR\"}");
    assert_null(strstr(c.head.data, "Set-Cookie"));
    client_say(&c, GET("/mute"));
    expect_reply(&c, 500, "{\"code\":\"INTERNAL_ERROR\"}");
    client_close(&c);
}

/* Short writes and short reads: 1 MiB up and 8 MiB down through small socket buffers. */
static void large_bodies_pass_small_buffers(void **state)
{
    (void)state;
    start();
    struct client c;
    assert_true(client_try(&c, NULL, 2048));
    enum { N = 1 << 20 };
    char *body = malloc(N);
    for (size_t i = 0; i < N; i++)
        body[i] = (char)('A' + i % 31);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n");
    assert_true(client_say_n(&c, body, N));
    assert_true(client_hear(&c, false));
    assert_int_equal(c.body.len, N);
    assert_memory_equal(c.body.data, body, N);
    free(body);
    static const char *const big[] = { GET("/big"), GET("/filed") GET("/hello") };
    for (size_t path = 0; path < 2; path++) {
        client_say(&c, big[path]);
        assert_true(client_hear(&c, false));
        assert_int_equal(c.body.len, FIXTURE_BIG);
        for (size_t i = 0; i < FIXTURE_BIG; i++)
            if (c.body.data[i] != (char)('a' + i % 23))
                fail_msg("byte %zu differs", i);
    }
    assert_true(client_hear(&c, false));
    assert_memory_equal(c.body.data, "hello", 5);
    client_close(&c);
}

static void a_half_closed_client_gets_its_reply(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, GET("/gate"));
    (void)shutdown(c.fd, SHUT_WR);
    WAIT_FOR(fixture_waiting() == 1);
    fixture_open_gate();
    expect_reply(&c, 200, "through");
    assert_true(client_ended(&c, 5000));
    client_close(&c);
}

/* The worker finds its exchange whole although the client left. */
static void a_client_may_leave_while_its_request_is_handled(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, GET("/gate"));
    WAIT_FOR(fixture_waiting() == 1);
    (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    client_close(&c);
    fixture_open_gate();
    struct http_stats stats;
    WAIT_FOR((http_server_stats(fixture_server, &stats), stats.open == 0));
}

/* ---- smuggling ---- */

static const char *const smuggled[] = {
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "tRaNsFeR-eNcOdInG: cHuNkEd\r\ncOnTeNt-LeNgTh: 5\r\n\r\n0\r\n\r\n",
    "Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "Content-Length : 0\r\n\r\n",
    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding:\x0b"
    "chunked\r\n\r\n0\r\n\r\n",
    "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc\r\n",
    "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nabc\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n",
};

static void expect_one_refusal(const char *request_line, const char *rest)
{
    struct client c;
    client_open(&c, NULL);
    _cleanup_buf_ struct buf text;
    buf_init(&text, 0);
    (void)buf_printf(&text, "%s\r\nHost: a\r\n%s" GET("/hello") GET("/hello"), request_line, rest);
    client_say(&c, text.data);
    assert_true(client_hear(&c, false));
    assert_true(c.status == 400 || c.status == 413);
    assert_non_null(strstr(c.head.data, "Connection: close\r\n"));
    if (!client_ended(&c, 5000))
        fail_msg("more than one reply to: %s", text.data);
    client_close(&c);
}

static void O26_smuggling_gets_one_reply_and_the_end(void **state)
{
    (void)state;
    start();
    for (size_t i = 0; i < ARRAY_LEN(smuggled); i++)
        expect_one_refusal("POST /echo HTTP/1.1", smuggled[i]);
    expect_one_refusal("POST /echo HTTP/1.0", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_one_refusal("POST /echo HTTP/1.0", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_int_equal(fixture_handled(), 0);
}

static void an_http2_client_is_hung_up_on(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_true(client_ended(&c, 5000));
    client_close(&c);
}

/* ---- streams ---- */

static void open_stream(struct client *c)
{
    unsigned before = fixture_streams();
    client_open(c, NULL);
    client_say(c, GET("/stream"));
    assert_true(client_hear(c, true));
    assert_int_equal(c->status, 200);
    assert_non_null(strstr(c->head.data, "Transfer-Encoding: chunked\r\n"));
    WAIT_FOR(fixture_streams() == before + 1);
}

static void publish_numbers(unsigned subscribers, int from, int to)
{
    for (int i = from; i < to; i++) {
        char frame[64];
        (void)snprintf(frame, sizeof frame, "id: %d\n\n", i);
        assert_int_equal(fixture_publish(frame), subscribers);
    }
}

static void expect_numbers(struct client *c, int from, int to)
{
    for (int i = from; i < to; i++) {
        char frame[64], chunk[128];
        int n = snprintf(frame, sizeof frame, "id: %d\n\n", i);
        n = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", n, frame);
        assert_true(client_wait(c, (size_t)n, 5000));
        assert_memory_equal(c->in.data, chunk, (size_t)n);
        buf_consume(&c->in, (size_t)n);
    }
}

static void many_subscribers_with_loops(unsigned loops)
{
    enum { N = 200 };
    struct http_server_options o = fixture_options();
    o.loops = loops;
    fixture_start(&o);
    static struct client c[N];
    for (int i = 0; i < N; i++)
        open_stream(&c[i]);
    publish_numbers(N, 0, 100);
    for (int i = 0; i < N; i++)
        expect_numbers(&c[i], 0, 100);
    struct http_stats stats;
    http_server_stats(fixture_server, &stats);
    assert_int_equal(stats.streams, N);
    for (int i = 0; i < N / 2; i++)
        client_close(&c[i]);
    WAIT_FOR(fixture_closed_streams() == N / 2);
    publish_numbers(N / 2, 100, 200);
    fixture_close_streams();
    for (int i = N / 2; i < N; i++) {
        expect_numbers(&c[i], 100, 200);
        assert_true(client_wait(&c[i], 5, 5000));
        assert_string_equal(c[i].in.data, "0\r\n\r\n");
        buf_clear(&c[i].in);
        assert_true(client_ended(&c[i], 5000));
        client_close(&c[i]);
    }
    WAIT_FOR(fixture_closed_streams() == N);
    assert_int_equal(fixture_publish("late\n\n"), 0);
}

static void a_frame_reaches_every_subscriber_in_order(void **state)
{
    (void)state;
    many_subscribers_with_loops(1);
}

static void a_frame_reaches_every_subscriber_of_several_loops(void **state)
{
    (void)state;
    many_subscribers_with_loops(3);
}

static void a_slow_subscriber_is_closed_and_the_others_go_on(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    o.limits.stream_bytes = 65536;
    fixture_start(&o);
    struct client slow, good;
    assert_true(client_try(&slow, NULL, 2048));
    client_say(&slow, GET("/stream"));
    WAIT_FOR(fixture_streams() == 1);
    open_stream(&good);
    char frame[8192];
    memset(frame, 'x', sizeof frame);
    memcpy(frame + sizeof frame - 3, "\n\n", 3);
    size_t chunk = strlen("1fff\r\n") + strlen(frame) + 2;
    for (int i = 0; i < 1000 && fixture_closed_streams() == 0; i++) {
        assert_true(fixture_publish(frame) >= 1);
        assert_true(client_wait(&good, chunk, 5000)); /* keeps pace, so only the other falls behind */
        buf_consume(&good.in, chunk);
    }
    WAIT_FOR(fixture_closed_streams() == 1);
    assert_int_equal(fixture_publish("on\n\n"), 1);
    assert_true(client_wait(&good, 9, 5000));
    client_close(&slow);
    client_close(&good);
}

static void a_stream_for_http_1_0_has_no_chunks(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "GET /stream HTTP/1.0\r\n\r\n");
    assert_true(client_hear(&c, true));
    assert_null(strstr(c.head.data, "Transfer-Encoding"));
    WAIT_FOR(fixture_streams() == 1);
    assert_int_equal(fixture_publish("a\n\n"), 1);
    fixture_close_streams();
    assert_true(client_wait(&c, 3, 5000));
    assert_string_equal(c.in.data, "a\n\n");
    buf_clear(&c.in);
    assert_true(client_ended(&c, 5000));
    client_close(&c);
}

static void head_of_a_stream_ends_at_once(void **state)
{
    (void)state;
    start();
    struct client c;
    client_open(&c, NULL);
    client_say(&c, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_hear(&c, true));
    assert_true(client_ended(&c, 5000));
    client_close(&c);
    WAIT_FOR(fixture_closed_streams() == 1);
}

/* ---- stopping ---- */

static void *stop_server(void *arg)
{
    http_server_stop(TAKE(fixture_server), *(unsigned *)arg);
    return NULL;
}

static void stopping_lets_running_requests_end(void **state)
{
    (void)state;
    start();
    struct client busy, idle, subscriber;
    client_open(&busy, NULL);
    client_open(&idle, NULL);
    open_stream(&subscriber);
    client_say(&busy, GET("/gate"));
    WAIT_FOR(fixture_waiting() == 1);
    client_say(&idle, GET("/hello"));
    expect_reply(&idle, 200, "hello");
    unsigned drain = 10000;
    pthread_t stopper;
    assert_int_equal(pthread_create(&stopper, NULL, stop_server, &drain), 0);
    assert_true(client_ended(&idle, 5000));
    assert_true(client_wait(&subscriber, 5, 5000));
    assert_string_equal(subscriber.in.data, "0\r\n\r\n");
    fixture_open_gate();
    expect_reply(&busy, 200, "through");
    assert_non_null(strstr(busy.head.data, "Connection: close\r\n"));
    assert_true(client_ended(&busy, 5000));
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(fixture_closed_streams(), 1);
    client_close(&busy);
    client_close(&idle);
    client_close(&subscriber);
}

static void stopping_does_not_wait_longer_than_it_was_told(void **state)
{
    (void)state;
    start();
    struct client half, reader;
    client_open(&half, NULL);
    client_say(&half, "GET / HTTP/1.1\r\nHost:");
    client_open(&reader, NULL);
    client_say(&reader, GET("/big")); /* and never reads */
    WAIT_FOR(fixture_handled() == 1);
    int64_t began = now_ms();
    fixture_stop(200);
    assert_in_range(now_ms() - began, 190, 3000);
    client_close(&half);
    client_close(&reader);
}

/* ---- TLS ---- */

static char tls_dir[] = "/tmp/hbcloud-tls-XXXXXX";
static char certificate[64], key[64];

static void write_pem(const char *path, EVP_PKEY *pkey, X509 *cert)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    if (cert)
        assert_int_equal(PEM_write_X509(f, cert), 1);
    else
        assert_int_equal(PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

static void make_certificate(void)
{
    assert_non_null(mkdtemp(tls_dir));
    (void)snprintf(certificate, sizeof certificate, "%s/cert.pem", tls_dir);
    (void)snprintf(key, sizeof key, "%s/key.pem", tls_dir);
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(pkey && x);
    (void)X509_set_version(x, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    (void)X509_set_pubkey(x, pkey);
    X509_NAME *name = X509_get_subject_name(x);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    (void)X509_set_issuer_name(x, name);
    assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
    write_pem(certificate, NULL, x);
    write_pem(key, pkey, NULL);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static void tls_exchange(SSL *ssl, const char *request, size_t request_len, struct buf *ret)
{
    buf_clear(ret);
    for (size_t at = 0; at < request_len;) {
        int n = SSL_write(ssl, request + at, (int)(request_len - at));
        assert_true(n > 0);
        at += (size_t)n;
    }
    for (;;) {
        assert_int_equal(buf_reserve(ret, 65536), 0);
        int n = SSL_read(ssl, ret->data + ret->len, 65536);
        if (n <= 0)
            break;
        ret->len += (size_t)n;
        ret->data[ret->len] = '\0';
    }
}

static SSL *tls_connect(SSL_CTX *ctx, struct client *c)
{
    client_open(c, NULL);
    SSL *ssl = SSL_new(ctx);
    assert_int_equal(SSL_set_fd(ssl, c->fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    return ssl;
}

static void tls_carries_large_bodies_both_ways(void **state)
{
    (void)state;
    make_certificate();
    struct http_server_options o = fixture_options();
    o.tls_certificate_file = certificate;
    o.tls_key_file = key;
    fixture_start(&o);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_load_verify_locations(ctx, certificate, NULL), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12), 0);
    struct client c;
    SSL *ssl = tls_connect(ctx, &c);
    const unsigned char *chosen;
    unsigned chosen_len;
    SSL_get0_alpn_selected(ssl, &chosen, &chosen_len);
    assert_int_equal(chosen_len, 8);
    assert_true(SSL_version(ssl) >= TLS1_2_VERSION);
    _cleanup_buf_ struct buf text, got;
    buf_init(&text, 0);
    buf_init(&got, 0);
    (void)buf_puts(&text, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        (void)buf_puts(&text, "0123456789");
    (void)buf_puts(&text, "GET /filed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    tls_exchange(ssl, text.data, text.len, &got);
    assert_memory_equal(got.data, "HTTP/1.1 200 OK\r\n", 17);
    const char *echoed = strstr(got.data, "\r\n\r\n");
    assert_non_null(echoed);
    assert_memory_equal(echoed + 4, strstr(text.data, "\r\n\r\n") + 4, 1000000);
    const char *second = strstr(echoed + 1000004, "\r\n\r\n");
    assert_non_null(second);
    assert_int_equal(got.data + got.len - (second + 4), FIXTURE_BIG);
    SSL_free(ssl);
    client_close(&c);
    client_open(&c, NULL);
    client_say(&c, GET("/hello")); /* plain HTTP to the TLS port: an alert at most, and the end */
    assert_false(client_wait(&c, 1024, 5000));
    buf_clear(&c.in);
    assert_true(client_ended(&c, 100));
    client_close(&c);
    SSL_CTX_free(ctx);
    fixture_stop(1000);
    (void)unlink(certificate);
    (void)unlink(key);
    (void)rmdir(tls_dir);
}

static void starting_says_what_is_wrong(void **state)
{
    (void)state;
    struct http_server_options o = fixture_options();
    struct http_server *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    o.listen = "nonsense";
    assert_true(http_server_start(&o, &s, &e) < 0);
    assert_non_null(strstr(e.message, "nonsense"));
    o = fixture_options();
    o.tls_certificate_file = o.tls_key_file = "/nonexistent.pem";
    assert_true(http_server_start(&o, &s, &e) < 0);
    assert_non_null(strstr(e.message, "/nonexistent.pem"));
    start();
    char taken[32];
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", http_server_port(fixture_server));
    o = fixture_options();
    o.listen = taken;
    assert_true(http_server_start(&o, &s, &e) < 0);
    assert_non_null(strstr(e.message, taken));
    assert_null(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_many_requests),
        TEST(http_1_0_gets_one_reply),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(a_request_may_come_byte_by_byte),
        TEST(expect_continue_is_answered_before_the_body),
        TEST(a_refusal_without_body_keeps_the_connection),
        TEST(a_refused_upload_sees_its_reply),
        TEST(a_chunked_body_over_its_limit_is_refused),
        TEST(head_204_and_304_carry_no_body),
        TEST(a_reply_cannot_be_split),
        TEST(large_bodies_pass_small_buffers),
        TEST(a_half_closed_client_gets_its_reply),
        TEST(a_client_may_leave_while_its_request_is_handled),
        TEST(O26_smuggling_gets_one_reply_and_the_end),
        TEST(an_http2_client_is_hung_up_on),
        TEST(a_frame_reaches_every_subscriber_in_order),
        TEST(a_frame_reaches_every_subscriber_of_several_loops),
        TEST(a_slow_subscriber_is_closed_and_the_others_go_on),
        TEST(a_stream_for_http_1_0_has_no_chunks),
        TEST(head_of_a_stream_ends_at_once),
        TEST(stopping_lets_running_requests_end),
        TEST(stopping_does_not_wait_longer_than_it_was_told),
        TEST(tls_carries_large_bodies_both_ways),
        TEST(starting_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
