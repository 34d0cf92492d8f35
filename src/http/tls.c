#include "http/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#define RECORD_BYTES 16384

/* struct tls_context is an SSL_CTX and struct tls_session an SSL under names that keep OpenSSL in this file. */
static SSL_CTX *ctx_of(struct tls_context *c)
{
    return (SSL_CTX *)c;
}

static SSL *ssl_of(struct tls_session *s)
{
    return (SSL *)s;
}

static const unsigned char alpn[] = "\x08http/1.1";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof alpn - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int refuse(struct error *e, const char *what, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return error_set(e, ERR_INTERNAL, "%s %s: %s", what, file, reason ? reason : "not usable");
}

static int load(SSL_CTX *ctx, const char *certificate_file, const char *key_file, struct error *e)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate_file) != 1)
        return refuse(e, "TLS certificate", certificate_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return refuse(e, "TLS key", key_file);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return refuse(e, "TLS key does not belong to the certificate:", key_file);
    return 0;
}

int tls_context_new(const char *certificate_file, const char *key_file, struct tls_context **ret, struct error *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return error_set(e, ERR_INTERNAL, "Out of memory.");
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets carry the state */
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    int r = load(ctx, certificate_file, key_file, e);
    if (r < 0)
        SSL_CTX_free(ctx);
    else
        *ret = (struct tls_context *)ctx;
    return r;
}

void tls_context_free(struct tls_context *c)
{
    SSL_CTX_free(ctx_of(c));
}

struct tls_session *tls_session_new(struct tls_context *c, int fd)
{
    SSL *ssl = SSL_new(ctx_of(c));
    if (ssl && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    return (struct tls_session *)ssl;
}

void tls_session_free(struct tls_session *s)
{
    SSL_free(ssl_of(s));
}

static int failure(SSL *ssl, int r)
{
    int why = SSL_get_error(ssl, r);
    ERR_clear_error(); /* the queue is the thread's: a leftover would be taken for the next session's */
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -EPROTO;
}

int tls_handshake(struct tls_session *s)
{
    int r = SSL_do_handshake(ssl_of(s));
    if (r == 1)
        return 0;
    r = failure(ssl_of(s), r);
    return r == 0 ? -EPROTO : r;
}

ssize_t tls_read(struct tls_session *s, void *to, size_t n)
{
    int r = SSL_read(ssl_of(s), to, n > INT_MAX ? INT_MAX : (int)n);
    return r > 0 ? r : failure(ssl_of(s), r);
}

ssize_t tls_writev(struct tls_session *s, const struct iovec *iov, int n)
{
    static _Thread_local char record[RECORD_BYTES];
    size_t len = 0;
    for (int i = 0; i < n && len < sizeof record; i++) {
        size_t take = iov[i].iov_len < sizeof record - len ? iov[i].iov_len : sizeof record - len;
        memcpy(record + len, iov[i].iov_base, take);
        len += take;
    }
    int r = SSL_write(ssl_of(s), record, (int)len);
    if (r > 0)
        return r;
    r = failure(ssl_of(s), r);
    return r == 0 ? -EPROTO : r;
}

void tls_close_notify(struct tls_session *s)
{
    (void)SSL_shutdown(ssl_of(s));
    ERR_clear_error();
}
