/* What this machine is: CPUs, memory, root disk, system, kernel, addresses, boot time.
 * Ownership: a plain value, nothing to free. Thread-safe: no state.
 * Facts that cannot be found out are 0 or "". */
#ifndef HB_HOST_FACTS_H
#define HB_HOST_FACTS_H

#include "base/error.h"

#define HOST_ADDRESSES_MAX 64

struct host_facts {
    int cpu_count;          /* CPUs of the machine that are online, not this process' share */
    double memory_gb;       /* 10^9 bytes, two decimals, as the contract says it */
    double storage_gb;      /* of the root filesystem, 10^9 bytes, two decimals */
    char hostname[256];
    char os_name[128];      /* os-release's PRETTY_NAME */
    char kernel[128];       /* release */
    char architecture[32];  /* "x86_64" "aarch64" */
    int64_t boot_ms;        /* ms since 1970, whole seconds */
    char addresses[HOST_ADDRESSES_MAX][46]; /* global ones first, then private; IPv4 before IPv6 */
    size_t address_count;
};
/* Fails only when the kernel does not even say its name (ERR_INTERNAL). */
int host_facts_read(struct host_facts *ret, struct error *e);
/* PRETTY_NAME out of the text of os-release(5), unquoted; "" when absent. For tests, too. */
void host_facts_os_name(const char *os_release, char *ret, size_t size);

#endif
