/* Certificates of every kind, shown by a TLS server of the test's own: what a handshake reads, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_router.h"
#include "gateway/certificates.h"
#include "gateway/internal.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define DAY_S 86400L

struct fixture {
    char dir[64];
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    EVP_PKEY *key, *authority_key;
    X509 *authority, *shown; /* shown: NULL hangs up */
    long serial;
    struct store *store;
    struct events *events;
    struct fake_router router;
    struct gateway *gateway;
    _Atomic int expiring, expired, renewed;
};

static void set_name(X509_NAME *n, const char *text)
{
    assert_int_equal(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0), 1);
}

static void extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* `issuer` NULL: signs itself. */
static X509 *make(struct fixture *f, const char *name, const char *names, long from_s, long until_s, X509 *issuer)
{
    X509 *x = X509_new();
    (void)X509_set_version(x, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), ++f->serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    set_name(X509_get_subject_name(x), name);
    (void)X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    (void)X509_set_pubkey(x, names ? f->key : f->authority_key);
    if (names)
        extend(x, NID_subject_alt_name, names);
    else
        extend(x, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(x, issuer || !names ? f->authority_key : f->key, EVP_sha256()) > 0);
    return x;
}

static void show(struct fixture *f, X509 *x)
{
    (void)pthread_mutex_lock(&f->lock);
    X509_free(f->shown);
    f->shown = x;
    (void)pthread_mutex_unlock(&f->lock);
}

static void *serve(void *arg)
{
    struct fixture *f = arg;
    for (int fd; (fd = accept(f->fd, NULL, NULL)) >= 0; (void)close(fd)) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        (void)pthread_mutex_lock(&f->lock);
        bool shows =
            f->shown && SSL_CTX_use_certificate(ctx, f->shown) == 1 && SSL_CTX_use_PrivateKey(ctx, f->key) == 1;
        (void)pthread_mutex_unlock(&f->lock);
        SSL *ssl = SSL_new(ctx);
        if (shows && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1)
            (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
    }
    return NULL;
}

static void on_event(void *ctx, const char *type, const char *id UNUSED, const char *data UNUSED, size_t len UNUSED)
{
    struct fixture *f = ctx;
    f->expiring += str_eq(type, "certificate.expiring");
    f->expired += str_eq(type, "certificate.expired");
    f->renewed += str_eq(type, "certificate.renewed");
}

static void listen_here(struct fixture *f)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    f->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(f->fd, 10), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&at, &len), 0);
    f->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

/* The system's trust is replaced by the test's own authority. */
static void trust(const struct fixture *f)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/authority.pem", f->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, f->authority), 1);
    (void)fclose(file);
    assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
}

static int start(void **state)
{
    char path[96];
    struct error e = ERROR_INIT;
    struct fixture *f = calloc(1, sizeof *f);
    (void)signal(SIGPIPE, SIG_IGN);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-certificates-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)pthread_mutex_init(&f->lock, NULL);
    f->key = EVP_EC_gen("P-256");
    f->authority_key = EVP_EC_gen("P-256");
    f->authority = make(f, "Test authority", NULL, -DAY_S, 1000 * DAY_S, NULL);
    trust(f);
    listen_here(f);
    (void)snprintf(path, sizeof path, "%s/hub.db", f->dir);
    fake_router_init(&f->router);
    f->events = events_new();
    (void)events_listen(f->events, on_event, f);
    assert_int_equal(store_open(&(struct store_options){ .path = path }, &f->store, &e), 0);
    (void)snprintf(path, sizeof path, "%s/upstreams", f->dir);
    assert_int_equal(gateway_open(&(struct gateway_options){ .store = f->store,
                                                             .events = f->events,
                                                             .router = &f->router.router,
                                                             .slot_directory = path },
                                  &f->gateway, &e),
                     0);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    char command[96];
    gateway_close(f->gateway);
    store_close(f->store);
    events_free(f->events);
    (void)shutdown(f->fd, SHUT_RDWR);
    (void)pthread_join(f->thread, NULL);
    (void)close(f->fd);
    X509_free(f->shown);
    X509_free(f->authority);
    EVP_PKEY_free(f->key);
    EVP_PKEY_free(f->authority_key);
    for (const char *const *name = (const char *const[]){ "authority.pem", "hub.db", "hub.db-wal", "hub.db-shm", NULL };
         *name; name++) {
        (void)snprintf(command, sizeof command, "%s/%s", f->dir, *name);
        (void)unlink(command);
    }
    (void)snprintf(command, sizeof command, "%s/upstreams", f->dir);
    (void)rmdir(command);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

/* Reads what the server shows for web.example.org and says what is to be said of it. */
static const char *judged(struct fixture *f, char why[512])
{
    struct certificate x = { 0 };
    struct error e = ERROR_INIT;
    if (certificate_read("127.0.0.1", f->port, "web.example.org", &x, &e) < 0)
        fail_msg("%s", e.message);
    const char *status = certificate_status(&x, "web.example.org", clock_now_ms(), why, 512);
    certificate_done(&x);
    return status;
}

static void test_every_kind_is_told(void **state)
{
    struct fixture *f = *state;
    char why[512];
    X509 *a = f->authority;
    show(f, make(f, "web", "DNS:web.example.org", -DAY_S, 89 * DAY_S, a));
    assert_string_equal(judged(f, why), "ok");
    assert_string_equal(why, "");
    show(f, make(f, "web", "DNS:*.example.org", -DAY_S, 89 * DAY_S, a));
    assert_string_equal(judged(f, why), "ok");
    show(f, make(f, "web", "DNS:web.example.org", -80 * DAY_S, 10 * DAY_S, a));
    assert_string_equal(judged(f, why), "expiring");
    show(f, make(f, "web", "DNS:web.example.org", -90 * DAY_S, -DAY_S, a));
    assert_string_equal(judged(f, why), "expired");
    assert_non_null(strstr(why, "It expired on "));
    show(f, make(f, "web", "DNS:web.example.org", DAY_S, 89 * DAY_S, a));
    assert_string_equal(judged(f, why), "untrusted");
    assert_non_null(strstr(why, "valid from"));
    show(f, make(f, "web", "DNS:web.example.org", -DAY_S, 89 * DAY_S, NULL));
    assert_string_equal(judged(f, why), "untrusted");
    assert_non_null(strstr(why, "self-signed"));
    show(f, make(f, "web.example.org", "DNS:other.example.org", -DAY_S, 89 * DAY_S, a));
    assert_string_equal(judged(f, why), "untrusted");
    assert_string_equal(why, "Its names do not cover web.example.org.");
}

/* Twelve hours are no fault where twelve hours are the whole life. */
static void test_a_short_life_is_not_always_expiring(void **state)
{
    struct fixture *f = *state;
    char why[512];
    show(f, make(f, "web", "DNS:web.example.org", -3600, 11 * 3600, f->authority));
    assert_string_equal(judged(f, why), "ok");
    show(f, make(f, "web", "DNS:web.example.org", -10 * 3600, 2 * 3600, f->authority));
    assert_string_equal(judged(f, why), "expiring");
}

static void test_no_handshake_and_no_connection_differ(void **state)
{
    struct fixture *f = *state;
    struct certificate x = { 0 };
    struct error e = ERROR_INIT;
    show(f, NULL);
    assert_int_equal(certificate_read("127.0.0.1", f->port, "web.example.org", &x, &e), -ERR_UPSTREAM);
    assert_int_equal(certificate_read("127.0.0.1", 1, "web.example.org", &x, &e), -ERR_UNAVAILABLE);
    assert_null(x.names);
}

static void add_route(struct fixture *f)
{
    struct route *x = calloc(1, sizeof *x);
    x->service_id = strdup("s1");
    x->name = strdup("web");
    x->domains = json_pack("[s]", "web.example.org");
    x->networking = json_object();
    x->slots = 1;
    (void)pthread_mutex_lock(&f->gateway->lock);
    assert_int_equal(map_set(f->gateway->routes, "s1", x), 0);
    f->gateway->info = (struct router_info){ .host = "127.0.0.1", .port = f->port, .tls = true };
    (void)pthread_mutex_unlock(&f->gateway->lock);
}

static int64_t rows(struct fixture *f)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *r = NULL;
    assert_int_equal(store_acquire(f->store, STORE_READ, &c, NULL), 0);
    assert_int_equal(
        store_query(c, NULL, &r, "SELECT COUNT(*) FROM gateway_certificates WHERE domain = $1", "t", "web.example.org"),
        0);
    assert_int_equal(rows_next(r, NULL), 1);
    return rows_int(r, 0);
}

static void test_a_renewal_is_kept_and_told(void **state)
{
    struct fixture *f = *state;
    add_route(f);
    show(f, make(f, "web", "DNS:web.example.org", -80 * DAY_S, 10 * DAY_S, f->authority));
    certificates_look(f->gateway->certificates, true);
    certificates_look(f->gateway->certificates, true);
    assert_int_equal(f->expiring, 1); /* told once */
    assert_int_equal(rows(f), 1);
    show(f, make(f, "web", "DNS:web.example.org", 0, 90 * DAY_S, f->authority));
    (void)usleep(2000); /* the first look was in an earlier millisecond */
    certificates_look(f->gateway->certificates, true);
    assert_int_equal(f->renewed, 1);
    assert_int_equal(rows(f), 2);
    show(f, make(f, "web", "DNS:web.example.org", -90 * DAY_S, -1, f->authority));
    certificates_look(f->gateway->certificates, true);
    assert_int_equal(f->expired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_kind_is_told, start, end),
        cmocka_unit_test_setup_teardown(test_a_short_life_is_not_always_expiring, start, end),
        cmocka_unit_test_setup_teardown(test_no_handshake_and_no_connection_differ, start, end),
        cmocka_unit_test_setup_teardown(test_a_renewal_is_kept_and_told, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
