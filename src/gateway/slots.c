/* Slots: small files that each name one address. The router reads them at each request, so a switch is a rename. */
#include "gateway/internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDRESS_MAX 300
/* Evenly divided among 1, 2, 3, 4, 6 and 12 instances; one file that the router reads at a request, whatever the number. */
#define SLOTS_USUAL 12
/* No address, so that a router answers at once. More than one port cannot be dialled; an empty file would be tried again
 * and again for as long as a request may be held. */
#define SLOT_NOBODY "nobody:1-2"

unsigned slots_for(unsigned instances)
{
    return instances <= SLOTS_USUAL ? SLOTS_USUAL : GATEWAY_SLOTS_MAX;
}

bool slot_name_good(const char *service_id)
{
    size_t n = service_id ? strlen(service_id) : 0;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)service_id[i]) && service_id[i] != '-' && service_id[i] != '_')
            return false;
    return n > 0 && n <= 200;
}

char *slot_path(const struct gateway *g, const char *service_id, unsigned n)
{
    return str_printf("%s/%s.%u", g->slot_directory, service_id, n);
}

/* ---- addresses ---- */

static bool host_good(const char *host, size_t n)
{
    bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';
    const char *allowed =
        bracketed ? "0123456789abcdefABCDEF:." : "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-";
    if (bracketed)
        host++, n -= 2;
    return n > 0 && n <= 253 && strspn(host, allowed) >= n;
}

bool address_good(const char *address)
{
    const char *colon = address ? strrchr(address, ':') : NULL;
    size_t digits = colon ? strlen(colon + 1) : 0;
    if (!colon || digits < 1 || digits > 5 || strspn(colon + 1, "0123456789") != digits)
        return false;
    long port = strtol(colon + 1, NULL, 10);
    return port >= 1 && port <= 65535 && host_good(address, (size_t)(colon - address));
}

static int check_addresses(const char *const *addresses, size_t n, struct error *e)
{
    for (size_t i = 0; i < n; i++)
        if (!address_good(addresses[i]))
            return error_set(e, ERR_VALIDATION, "\"%s\" is no address of one host and one port.",
                             addresses[i] ? addresses[i] : "");
    return n <= GATEWAY_SLOTS_MAX
               ? 0
               : error_set(e, ERR_VALIDATION, "A service has at most %d instances.", GATEWAY_SLOTS_MAX);
}

/* ---- files ---- */

static int open_directory(const struct gateway *g, struct error *e)
{
    int fd = open(g->slot_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : error_errno(e, -errno, "Cannot open %s", g->slot_directory);
}

static int write_whole(int dir, const char *name, const char *text, struct error *e)
{
    (void)unlinkat(dir, name,
                   0); /* never written over: a killed run may have left it as one more name of a live slot */
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(e, -errno, "Cannot make the slot %s", name);
    size_t len = strlen(text);
    int r =
        write(fd, text, len) == (ssize_t)len && fchmod(fd, 0644) == 0 && fsync(fd) == 0 ? 0 : -(errno ? errno : EIO);
    (void)close(fd);
    return r == 0 ? 0 : error_errno(e, r, "Cannot write the slot %s", name);
}

/* A slot's text, without the newline; "" when there is none. */
static void read_slot(int dir, const char *name, char *ret, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    // A few bytes of a regular file, which no switch may change meanwhile.
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
    ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : 0;
    if (fd >= 0)
        (void)close(fd);
    ret[n > 0 ? n : 0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
}

/* One file a distinct address is written and synced; its slots are further names of it. */
static int stage(int dir, const char *service_id, const char *address, size_t k, char ret[256], struct error *e)
{
    (void)snprintf(ret, 256, ".%s.new%zu", service_id, k);
    return write_whole(dir, ret, address, e);
}

static int put_slot(int dir, const char *service_id, unsigned slot, const char *staged, const char *text,
                    struct error *e)
{
    char name[256], fresh[264], now[ADDRESS_MAX];
    (void)snprintf(name, sizeof name, "%s.%u", service_id, slot);
    (void)snprintf(fresh, sizeof fresh, ".%s.link", name);
    read_slot(dir, name, now, sizeof now);
    if (str_eq(now, text) && faccessat(dir, name, F_OK, 0) == 0)
        return 0;
    (void)unlinkat(dir, fresh, 0); /* of a run that was killed here */
    if (linkat(dir, staged, dir, fresh, 0) < 0)
        return error_errno(e, -errno, "Cannot make the slot %s", name);
    return renameat(dir, fresh, dir, name) == 0 ? 0 : error_errno(e, -errno, "Cannot switch the slot %s", name);
}

static int put_all(int dir, const char *service_id, unsigned count, const char *const *texts, size_t n, struct error *e)
{
    char staged[GATEWAY_SLOTS_MAX][256];
    size_t k = 0;
    int r = 0;
    for (; r == 0 && k < n; k++)
        r = stage(dir, service_id, texts[k], k, staged[k], e);
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = put_slot(dir, service_id, i + 1, staged[i % n], texts[i % n], e);
    if (r == 0 && fsync(dir) < 0)
        r = error_errno(e, -errno, "Cannot sync the slots");
    for (size_t i = 0; i < k; i++)
        (void)unlinkat(dir, staged[i], 0);
    return r;
}

/* ---- of a service ---- */

int slots_make(struct gateway *g, const char *service_id, unsigned count, struct error *e)
{
    static const char *const nobody[] = { SLOT_NOBODY };
    char first[ADDRESS_MAX], name[256];
    int dir = open_directory(g, e), r = 0;
    if (dir < 0)
        return dir;
    (void)pthread_mutex_lock(&g->slot_lock);
    bool lacks = false;
    for (unsigned i = 1; i <= count; i++) {
        (void)snprintf(name, sizeof name, "%s.%u", service_id, i);
        lacks |= faccessat(dir, name, F_OK, 0) < 0;
    }
    if (lacks) { /* more slots for a service that serves already: they say what the first says */
        (void)snprintf(name, sizeof name, "%s.1", service_id);
        read_slot(dir, name, first, sizeof first);
        const char *const same[] = { first };
        r = put_all(dir, service_id, count, address_good(first) ? same : nobody, 1, e);
    }
    (void)pthread_mutex_unlock(&g->slot_lock);
    (void)close(dir);
    return r;
}

/* Names that belong to the service: "<id>.<number>", and what a killed run left of them. */
static bool is_slot_of(const char *name, const char *service_id)
{
    const char *at = name[0] == '.' ? name + 1 : name;
    size_t n = strlen(service_id);
    if (strncmp(at, service_id, n) != 0 || at[n] != '.')
        return false;
    return name[0] == '.' || strspn(at + n + 1, "0123456789") == strlen(at + n + 1);
}

int slots_remove(struct gateway *g, const char *service_id, struct error *e)
{
    DIR *d = opendir(g->slot_directory);
    int r = 0;
    if (!d)
        return error_errno(e, -errno, "Cannot open %s", g->slot_directory);
    (void)pthread_mutex_lock(&g->slot_lock);
    for (struct dirent *x; r == 0 && (x = readdir(d));)
        if (is_slot_of(x->d_name, service_id) && unlinkat(dirfd(d), x->d_name, 0) < 0 && errno != ENOENT)
            r = error_errno(e, -errno, "Cannot remove the slot %s", x->d_name);
    (void)pthread_mutex_unlock(&g->slot_lock);
    (void)closedir(d);
    return r;
}

static unsigned slot_count(struct gateway *g, const char *service_id, bool *ret_was_serving)
{
    (void)pthread_mutex_lock(&g->lock);
    const struct route *x = map_get(g->routes, service_id);
    unsigned n = x ? x->slots : 0;
    *ret_was_serving = x && x->serving;
    (void)pthread_mutex_unlock(&g->lock);
    return n;
}

static void note_serving(struct gateway *g, const char *service_id, bool serving)
{
    (void)pthread_mutex_lock(&g->lock);
    struct route *x = map_get(g->routes, service_id);
    if (x && x->serving != serving) {
        x->serving = serving;
        x->updated_ms = clock_now_ms();
        gateway_tell(g, serving ? "route.available" : "route.unavailable", x);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static int switch_to(struct gateway *g, const char *service_id, const char *const *texts, size_t n, bool serving,
                     struct error *e)
{
    bool was = false;
    unsigned count = slot_count(g, service_id, &was);
    if (count == 0)
        return error_set(e, ERR_NOT_FOUND, "%s has no route.", service_id);
    if (n > count)
        return error_set(e, ERR_VALIDATION, "The route of %s has %u slots, not %zu; put the route first.", service_id,
                         count, n);
    int dir = open_directory(g, e);
    if (dir < 0)
        return dir;
    (void)pthread_mutex_lock(&g->slot_lock);
    int r = put_all(dir, service_id, count, texts, n, e);
    (void)pthread_mutex_unlock(&g->slot_lock);
    (void)close(dir);
    if (r == 0)
        note_serving(g, service_id, serving);
    return r;
}

int gateway_upstreams_set(struct gateway *g, const char *service_id, const char *const *addresses, size_t n,
                          struct error *e)
{
    static const char *const nobody[] = { SLOT_NOBODY };
    int r = check_addresses(addresses, n, e);
    if (r < 0)
        return r;
    return n ? switch_to(g, service_id, addresses, n, true, e) : switch_to(g, service_id, nobody, 1, false, e);
}

int gateway_upstreams_hold(struct gateway *g, const char *service_id, struct error *e)
{
    static const char *const empty[] = { "" };
    return switch_to(g, service_id, empty, 1, true, e);
}

static bool has_text(const json_t *array, const char *text)
{
    size_t i;
    json_t *x;
    json_array_foreach (array, i, x)
        if (str_eq(json_string_value(x), text))
            return true;
    return false;
}

int gateway_upstreams_get(struct gateway *g, const char *service_id, json_t **ret, struct error *e)
{
    char name[256], text[ADDRESS_MAX];
    bool was = false;
    unsigned count = slot_count(g, service_id, &was);
    json_t *list = json_array();
    int dir = list ? open_directory(g, e) : error_set(e, ERR_INTERNAL, "No memory.");
    for (unsigned i = 1; dir >= 0 && i <= count; i++) {
        (void)snprintf(name, sizeof name, "%s.%u", service_id, i);
        read_slot(dir, name, text, sizeof text);
        if (address_good(text) && !has_text(list, text))
            (void)json_array_append_new(list, json_string(text));
    }
    if (dir < 0) {
        json_decref(list);
        return dir;
    }
    (void)close(dir);
    *ret = list;
    return 0;
}
