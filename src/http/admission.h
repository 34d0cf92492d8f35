/* Who may connect: a total, a cap for each address, and slots kept for loopback and for addresses that
 * lately authenticated, so that a flood of strangers cannot lock the owner out.
 * An address is an IPv4 address or an IPv6 /64. Thread-safe. */
#ifndef HB_HTTP_ADMISSION_H
#define HB_HTTP_ADMISSION_H

#include "base/base.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define ADMISSION_KNOWN_MAX 1024 /* addresses remembered; the longest-known gives way */
#define ADMISSION_KNOWN_MS 600000

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
struct admission_limits {
    unsigned connections, per_address, reserved;
    bool loopback_plain; /* loopback is treated as any other */
};
enum admission_verdict { ADMISSION_IN, ADMISSION_FULL, ADMISSION_ADDRESS };

struct admission;
struct admission *admission_new(const struct admission_limits *limits); /* NULL: no memory */
void admission_free(struct admission *a);
/* ADMISSION_IN must be paired with admission_leave. `uncapped`: no cap per address. */
enum admission_verdict admission_enter(struct admission *a, const union address *who, bool uncapped, int64_t now);
void admission_leave(struct admission *a, const union address *who);
void admission_know(struct admission *a, const union address *who, int64_t now);
bool admission_privileged(struct admission *a, const union address *who, int64_t now);
unsigned admission_open(const struct admission *a);

#endif
