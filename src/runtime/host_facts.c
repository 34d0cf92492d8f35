#include "runtime/host_facts.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

static double gigabytes(double bytes)
{
    return (double)(int64_t)(bytes / 1e7 + 0.5) / 100;
}

/* ---- system ---- */

static void unquote(const char *from, size_t len, char *ret, size_t size)
{
    char quote = len >= 2 && (from[0] == '"' || from[0] == '\'') && from[len - 1] == from[0] ? from[0] : 0;
    size_t n = 0;
    for (size_t i = quote ? 1 : 0; i < len - (quote ? 1 : 0) && n + 1 < size; i++) {
        if (quote == '"' && from[i] == '\\' && i + 1 < len - 1)
            i++;
        ret[n++] = from[i];
    }
    ret[n] = '\0';
}

void host_facts_os_name(const char *os_release, char *ret, size_t size)
{
    static const char KEY[] = "PRETTY_NAME=";
    ret[0] = '\0';
    for (const char *line = os_release; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (!str_starts(line, KEY))
            continue;
        const char *from = line + sizeof KEY - 1;
        size_t len = strcspn(from, "\r\n");
        unquote(from, len, ret, size);
        return;
    }
}

static void read_os_name(struct host_facts *f)
{
    static const char *const PATHS[] = { "/etc/os-release", "/usr/lib/os-release" };
    for (size_t i = 0; i < ARRAY_LEN(PATHS) && !f->os_name[0]; i++) {
        _cleanup_free_ char *text = NULL;
        if (file_read(PATHS[i], 65536, &text, NULL) == 0)
            host_facts_os_name(text, f->os_name, sizeof f->os_name);
    }
}

static void read_boot(struct host_facts *f)
{
    _cleanup_free_ char *text = NULL;
    if (file_read("/proc/stat", 1 << 20, &text, NULL) < 0)
        return;
    const char *at = strstr(text, "\nbtime ");
    if (at)
        f->boot_ms = strtoll(at + 7, NULL, 10) * 1000;
}

static void read_sizes(struct host_facts *f)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    f->cpu_count = cpus > 0 ? (int)cpus : 0;
    if (pages > 0 && page > 0)
        f->memory_gb = gigabytes((double)pages * (double)page);
    struct statvfs s;
    if (statvfs("/", &s) == 0)
        f->storage_gb = gigabytes((double)s.f_blocks * (double)(s.f_frsize ? s.f_frsize : s.f_bsize));
}

/* ---- addresses ---- */

enum reach { REACH_GLOBAL, REACH_PRIVATE, REACH_NONE };

static enum reach reach_of_v4(struct in_addr address)
{
    uint32_t a = ntohl(address.s_addr);
    if (a >> 24 == 127 || a >> 16 == 0xa9fe || a == 0)
        return REACH_NONE;
    bool private = a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || (a >> 22) == (0x64400000u >> 22);
    return private ? REACH_PRIVATE : REACH_GLOBAL;
}

static enum reach reach_of_v6(const struct in6_addr *a)
{
    if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_MULTICAST(a))
        return REACH_NONE;
    return (a->s6_addr[0] & 0xfe) == 0xfc ? REACH_PRIVATE : REACH_GLOBAL;
}

/* The address as text when it is of that reach and family. */
static bool describe(const struct ifaddrs *i, enum reach reach, int family, char ret[46])
{
    if (!i->ifa_addr || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP))
        return false;
    const void *bytes;
    enum reach is;
    if (family == AF_INET) {
        const struct sockaddr_in *a = (const void *)i->ifa_addr;
        bytes = &a->sin_addr;
        is = reach_of_v4(a->sin_addr);
    } else {
        const struct sockaddr_in6 *a = (const void *)i->ifa_addr;
        bytes = &a->sin6_addr;
        is = reach_of_v6(&a->sin6_addr);
    }
    return is == reach && inet_ntop(family, bytes, ret, 46);
}

static bool known(const struct host_facts *f, const char *address)
{
    for (size_t i = 0; i < f->address_count; i++)
        if (strcmp(f->addresses[i], address) == 0)
            return true;
    return false;
}

static void read_addresses(struct host_facts *f)
{
    static const struct {
        enum reach reach;
        int family;
    } ORDER[] = {
        { REACH_GLOBAL, AF_INET }, { REACH_GLOBAL, AF_INET6 }, { REACH_PRIVATE, AF_INET }, { REACH_PRIVATE, AF_INET6 }
    };
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0)
        return;
    for (size_t k = 0; k < ARRAY_LEN(ORDER); k++)
        for (struct ifaddrs *i = list; i && f->address_count < HOST_ADDRESSES_MAX; i = i->ifa_next) {
            char text[46];
            if (describe(i, ORDER[k].reach, ORDER[k].family, text) && !known(f, text))
                str_copy(f->addresses[f->address_count++], sizeof f->addresses[0], text);
        }
    freeifaddrs(list);
}

int host_facts_read(struct host_facts *ret, struct error *e)
{
    struct utsname u;
    if (uname(&u) < 0)
        return error_errno(e, -errno, "Asking the kernel for its name");
    struct host_facts *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(e, ERR_INTERNAL, "No memory.");
    str_copy(f->hostname, sizeof f->hostname, u.nodename);
    str_copy(f->kernel, sizeof f->kernel, u.release);
    str_copy(f->architecture, sizeof f->architecture, u.machine);
    read_os_name(f);
    read_sizes(f);
    read_boot(f);
    read_addresses(f);
    *ret = *f;
    free(f);
    return 0;
}
