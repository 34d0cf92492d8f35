/* One certificate, as a handshake shows it. Nothing is refused here: also a bad one is to be told. */
#include "gateway/certificates.h"
#include "gateway/internal.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 5 /* of a connection, and of each step of a handshake */

void certificate_done(struct certificate *c)
{
    json_decref(c->names);
    *c = (struct certificate){ 0 };
}

static int connect_to(const char *address, uint16_t port, int *ret, struct error *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
    struct timeval patience = { .tv_sec = PATIENCE_S };
    char service[8];
    int fd = -1, why = 0;
    (void)snprintf(service, sizeof service, "%u", port);
    int r = getaddrinfo(address, service, &hints, &all);
    if (r != 0)
        return error_set(e, ERR_UNAVAILABLE, "The router's address %s is not known: %s.", address, gai_strerror(r));
    for (const struct addrinfo *x = all; x && fd < 0; x = x->ai_next) {
        fd = socket(x->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (fd >= 0 && connect(fd, x->ai_addr, x->ai_addrlen) < 0) {
            why = errno;
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(all);
    if (fd < 0)
        return error_set(e, ERR_UNAVAILABLE, "The router does not take connections at %s:%u: %s.", address, port,
                         strerror(why == EINPROGRESS ? ETIMEDOUT : why));
    *ret = fd;
    return 0;
}

static int64_t time_of(const ASN1_TIME *t)
{
    struct tm tm = { 0 };
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void name_text(X509_NAME *name, char *ret, size_t size)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long n = b && X509_NAME_print_ex(b, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB & ~XN_FLAG_SPC_EQ) >= 0
                 ? BIO_get_mem_data(b, &bytes)
                 : 0;
    (void)snprintf(ret, size, "%.*s", (int)n, bytes ? bytes : "");
    if (!str_is_utf8(ret, strlen(ret)))
        str_copy(ret, size, "(not text)");
    BIO_free(b);
}

static json_t *names_of(X509 *x)
{
    json_t *list = json_array();
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && json_array_size(list) < CERTIFICATE_NAMES_MAX; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type != GEN_DNS)
            continue;
        const char *text = (const char *)ASN1_STRING_get0_data(g->d.dNSName);
        (void)json_array_append_new(
            list, json_stringn(text, (size_t)ASN1_STRING_length(g->d.dNSName))); /* not UTF-8: NULL, left out */
    }
    GENERAL_NAMES_free(names);
    return list;
}

static void serial_text(const X509 *x, char *ret, size_t size)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = n ? BN_bn2hex(n) : NULL;
    str_copy(ret, size, hex ? hex : "");
    OPENSSL_free(hex);
    BN_free(n);
}

static void read_x509(SSL *ssl, X509 *x, const char *name, struct certificate *ret)
{
    *ret = (struct certificate){ .names = names_of(x),
                                 .not_before_ms = time_of(X509_get0_notBefore(x)),
                                 .not_after_ms = time_of(X509_get0_notAfter(x)),
                                 .named = X509_check_host(x, name, 0, 0, NULL) == 1,
                                 .distrust = SSL_get_verify_result(ssl) };
    name_text(X509_get_issuer_name(x), ret->issuer, sizeof ret->issuer);
    name_text(X509_get_subject_name(x), ret->subject, sizeof ret->subject);
    serial_text(x, ret->serial, sizeof ret->serial);
}

static int no_handshake(int result, SSL *ssl, struct error *e)
{
    unsigned long code = ERR_get_error();
    int saved = errno, kind = SSL_get_error(ssl, result);
    const char *words = code ? ERR_reason_error_string(code) : NULL;
    if (!words)
        words =
            kind == SSL_ERROR_WANT_READ || saved == EAGAIN ? "it did not answer in time" : "the connection was closed";
    return error_set(e, ERR_UPSTREAM, "The router shows no certificate for this name: %.200s.", words);
}

static int shake(SSL *ssl, int fd, const char *name, struct certificate *ret, struct error *e)
{
    ERR_clear_error();
    if (SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)
        return error_set(e, ERR_INTERNAL, "No memory.");
    errno = 0;
    int result = SSL_connect(ssl);
    if (result != 1)
        return no_handshake(result, ssl, e);
    X509 *x = SSL_get1_peer_certificate(ssl);
    if (!x)
        return error_set(e, ERR_UPSTREAM, "The router shows no certificate.");
    read_x509(ssl, x, name, ret);
    X509_free(x);
    (void)SSL_shutdown(ssl);
    return ret->names ? 0 : error_set(e, ERR_INTERNAL, "No memory.");
}

int certificate_read(const char *address, uint16_t port, const char *name, struct certificate *ret, struct error *e)
{
    int fd = -1, r = connect_to(address, port, &fd, e);
    if (r < 0)
        return r;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    if (ctx) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* checked, and told, but no reason to hang up */
        (void)SSL_CTX_set_default_verify_paths(ctx);
        ssl = SSL_new(ctx);
    }
    r = ssl ? shake(ssl, fd, name, ret, e) : error_set(e, ERR_INTERNAL, "No memory.");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    (void)close(fd);
    return r;
}

const char *certificate_status(const struct certificate *c, const char *name, int64_t now_ms, char *ret_why,
                               size_t size)
{
    char at[TIME_TEXT_LEN + 1];
    int64_t life = c->not_after_ms - c->not_before_ms,
            soon = life / 4 < CERTIFICATE_EXPIRING_MS ? life / 4 : CERTIFICATE_EXPIRING_MS;
    if (c->not_after_ms <= now_ms) {
        (void)snprintf(ret_why, size, "It expired on %s.", time_format(c->not_after_ms, at));
        return "expired";
    }
    if (c->not_before_ms > now_ms) {
        (void)snprintf(ret_why, size, "It is valid from %s on.", time_format(c->not_before_ms, at));
        return "untrusted";
    }
    if (!c->named) {
        (void)snprintf(ret_why, size, "Its names do not cover %s.", name);
        return "untrusted";
    }
    if (c->distrust != X509_V_OK) {
        (void)snprintf(ret_why, size, "This machine does not trust it: %s.",
                       X509_verify_cert_error_string(c->distrust));
        return "untrusted";
    }
    if (c->not_after_ms - now_ms < soon) {
        (void)snprintf(ret_why, size, "It expires on %s and is not renewed yet.", time_format(c->not_after_ms, at));
        return "expiring";
    }
    ret_why[0] = '\0';
    return "ok";
}
