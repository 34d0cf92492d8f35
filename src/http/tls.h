/* TLS of the listener, on OpenSSL: TLS 1.2 and newer, ALPN http/1.1, non-blocking.
 * Ownership: a session belongs to its connection and does not own the descriptor. A context may be shared
 * by threads; a session not.
 * Calls return bytes, 0 (end, or done), -EAGAIN (wait for any readiness), -EPROTO (broken, close). */
#ifndef HB_HTTP_TLS_H
#define HB_HTTP_TLS_H

#include "base/error.h"

#include <sys/types.h>
#include <sys/uio.h>

struct tls_context;
struct tls_session;
int tls_context_new(const char *certificate_file, const char *key_file, struct tls_context **ret, struct error *e);
void tls_context_free(struct tls_context *c);

struct tls_session *tls_session_new(struct tls_context *c, int fd); /* NULL: no memory */
void tls_session_free(struct tls_session *s);
int tls_handshake(struct tls_session *s);
ssize_t tls_read(struct tls_session *s, void *to, size_t n);
/* Gathers up to 16 KiB and sends it. After -EAGAIN the next call must begin with the same bytes. */
ssize_t tls_writev(struct tls_session *s, const struct iovec *iov, int n);
void tls_close_notify(struct tls_session *s); /* best effort */

#endif
