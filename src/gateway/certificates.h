/* The certificates that the routes' domains show, read by TLS handshakes with the router; kept as rows, one a renewal.
 * One thread looks at all every 6 h and after a change of the routes, and sooner at those that are not well.
 * Ownership: one a gateway. Thread-safe. Internal to the room. */
#ifndef HB_GATEWAY_CERTIFICATES_H
#define HB_GATEWAY_CERTIFICATES_H

#include "gateway/gateway.h"

#define CERTIFICATE_NAMES_MAX 100
#define CERTIFICATE_EXPIRING_MS (14LL * 24 * 3600 * 1000) /* or the last quarter of a life, when that is shorter */

struct certificate { /* as a handshake shows it; times are wall ms */
    char issuer[513], subject[513], serial[65]; /* serial: hexadecimal */
    json_t *names;                              /* array of texts; owned */
    int64_t not_before_ms, not_after_ms;
    bool named;                                 /* the names cover the one that was asked */
    long distrust;                              /* 0: the chain is trusted here; else OpenSSL's X509_V_ERR_* */
};
/* Connects to address:port, asks as `name`. ERR_UNAVAILABLE: no connection; ERR_UPSTREAM: no handshake, in words. */
int certificate_read(const char *address, uint16_t port, const char *name, struct certificate *ret, struct error *e);
void certificate_done(struct certificate *c);
/* "ok", "expiring", "expired" or "untrusted", and why it is not ok. */
const char *certificate_status(const struct certificate *c, const char *name, int64_t now_ms, char *ret_why,
                               size_t size);

struct certificates;
int certificates_open(struct gateway *g, struct certificates **ret, struct error *e);
int certificates_start(struct certificates *c, struct error *e);
void certificates_stop(struct certificates *c);
void certificates_free(struct certificates *c);
/* One turn, at all or at those that are not well; the thread's, and tests'. Negative: the router takes no connections. */
int certificates_look(struct certificates *c, bool all);

int gateway_list_certificates(void *room, struct request *rq, struct reply *rp, struct error *e);
int gateway_get_certificate(void *room, struct request *rq, struct reply *rp, struct error *e);

#endif
