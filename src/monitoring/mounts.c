#include "monitoring/mounts.h"

#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define STUCK_MAX 8 /* hanging helper threads; then no more of that class are asked */

enum class { LOCAL, REMOTE_CLASS, CLASS_COUNT };

/* ---- which mounts ---- */

/* Nothing of the host's storage is in these; images are always full and read-only. */
static const char *const PSEUDO[] = {
    "autofs",   "binfmt_misc", "bpf",        "cgroup",          "cgroup2",     "configfs",      "debugfs",  "devpts",
    "devtmpfs", "efivarfs",    "erofs",      "fusectl",         "hugetlbfs",   "iso9660",       "mqueue",   "nsfs",
    "proc",     "pstore",      "ramfs",      "rpc_pipefs",      "securityfs",  "selinuxfs",     "squashfs", "sysfs",
    "tracefs",  "udf",         "fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal", "fuse.snapfuse", "nfsd",
};
static const char *const REMOTE[] = { "nfs",  "nfs4", "cifs",      "smb3",   "9p",
                                      "ceph", "afs",  "glusterfs", "lustre", "virtiofs" };
/* Mounts of other programs' containers, and small technical tmpfs. */
static const char *const HIDDEN_BELOW[] = { "/proc/",
                                            "/sys/",
                                            "/run/user/",
                                            "/run/credentials/",
                                            "/run/netns/",
                                            "/var/lib/docker/",
                                            "/var/lib/containers/",
                                            "/var/lib/containerd/",
                                            "/run/containerd/",
                                            "/run/docker/",
                                            "/run/containers/",
                                            "/var/lib/kubelet/",
                                            "/var/lib/lxc/",
                                            "/snap/" };

/* Single files that container engines bind into each container, from a filesystem that is not the container's. */
static const char *const BOUND_FILES[] = { "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv" };

static bool in_list(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, list[i]) == 0)
            return true;
    return false;
}

static bool is_remote(const char *fstype)
{
    return str_starts(fstype, "fuse.") || in_list(fstype, REMOTE, ARRAY_LEN(REMOTE));
}

static bool is_interesting(const char *path, const char *fstype)
{
    if (in_list(fstype, PSEUDO, ARRAY_LEN(PSEUDO)))
        return false;
    if (in_list(path, BOUND_FILES, ARRAY_LEN(BOUND_FILES)))
        return false;
    if (strcmp(fstype, "overlay") == 0 && strcmp(path, "/") != 0)
        return false;
    if (strcmp(fstype, "tmpfs") == 0 && (strcmp(path, "/dev") == 0 || strcmp(path, "/run/lock") == 0))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(HIDDEN_BELOW); i++)
        if (str_starts(path, HIDDEN_BELOW[i]))
            return false;
    return true;
}

/* mountinfo writes blank, tab, newline and backslash as \ and three octal digits. */
static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

struct line {
    char *identity, *root, *path, *fstype, *device;
};

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool parse_line(char *text, struct line *ret)
{
    char *save = NULL, *field[5];
    for (unsigned i = 0; i < 5; i++)
        if (!(field[i] = strtok_r(i ? NULL : text, " ", &save)))
            return false;
    char *word;
    do
        word = strtok_r(NULL, " ", &save);
    while (word && strcmp(word, "-") != 0);
    char *fstype = strtok_r(NULL, " ", &save), *device = strtok_r(NULL, " ", &save);
    if (!fstype || !device)
        return false;
    unescape(field[4]);
    unescape(device);
    *ret = (struct line){ field[2], field[3], field[4], fstype, device };
    return true;
}

/* A btrfs subvolume is mounted with its own root and still stands for the whole filesystem. */
static bool is_whole(const struct line *l)
{
    return strcmp(l->root, "/") == 0 || strcmp(l->fstype, "btrfs") == 0;
}

static bool better(const struct line *l, const struct mount *than)
{
    bool whole = is_whole(l);
    if (whole != than->whole)
        return whole;
    return strlen(l->path) < strlen(than->path);
}

static bool fill(struct mount *m, const struct line *l)
{
    struct mount made = { .path = strdup(l->path),
                          .device = strdup(l->device),
                          .fstype = strdup(l->fstype),
                          .whole = is_whole(l),
                          .remote = is_remote(l->fstype) };
    str_copy(made.identity, sizeof made.identity, l->identity);
    if (!made.path || !made.device || !made.fstype) {
        mounts_done(&made, 1);
        return false;
    }
    mounts_done(m, 1);
    *m = made;
    return true;
}

/* Mounted over a path measured before: only the upper one can be seen there. */
static struct mount *same_place(struct mount *list, size_t n, const struct line *l)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].path, l->path) == 0)
            return &list[i];
    return NULL;
}

static struct mount *same_filesystem(struct mount *list, size_t n, const struct line *l)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].identity, l->identity) == 0)
            return &list[i];
    return NULL;
}

static int local_first(const void *a, const void *b)
{
    const struct mount *x = a, *y = b;
    return x->remote != y->remote ? (int)x->remote - (int)y->remote : strcmp(x->path, y->path);
}

size_t mounts_parse(char *mountinfo, struct mount *ret)
{
    size_t n = 0;
    char *save = NULL;
    for (char *text = strtok_r(mountinfo, "\n", &save); text; text = strtok_r(NULL, "\n", &save)) {
        struct line l;
        if (!parse_line(text, &l) || !is_interesting(l.path, l.fstype))
            continue;
        struct mount *known = same_place(ret, n, &l);
        if (!known) {
            known = same_filesystem(ret, n, &l);
            if (known && !better(&l, known))
                continue;
        }
        if (!known) {
            if (n == MOUNTS_MAX)
                break;
            ret[n] = (struct mount){ 0 };
            known = &ret[n];
        }
        if (fill(known, &l) && known == &ret[n])
            n++;
    }
    if (n)
        qsort(ret, n, sizeof *ret, local_first);
    return n;
}

void mounts_done(struct mount *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].path);
        free(list[i].device);
        free(list[i].fstype);
        list[i] = (struct mount){ 0 };
    }
}

/* ---- measuring without waiting ---- */

/* What one helper thread works through; it outlives the round, and the probe, when a mount hangs. */
struct round {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned refs;
    mounts_statvfs statvfs;
    size_t count, done; /* `done` is the index being measured */
    size_t hung;        /* where it was abandoned */
    bool abandoned;
    struct {
        char *path;
        bool measured;
        struct statvfs size;
    } items[];
};

struct mounts_probe {
    mounts_statvfs statvfs;
    unsigned budget_ms;
    struct round *stuck[CLASS_COUNT][STUCK_MAX]; /* so that hanging shares never keep local disks unmeasured */
};

static int system_statvfs(const char *path, struct statvfs *ret, bool *ret_directory)
{
    struct stat st;
    if (stat(path, &st) < 0 || statvfs(path, ret) < 0)
        return -errno;
    *ret_directory = S_ISDIR(st.st_mode);
    return 0;
}

static void round_unref(struct round *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned left = --r->refs;
    pthread_mutex_unlock(&r->lock);
    if (left)
        return;
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i].path);
    pthread_cond_destroy(&r->moved);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *round_run(void *arg)
{
    struct round *r = arg;
    pthread_mutex_lock(&r->lock);
    while (r->done < r->count && !r->abandoned) {
        size_t i = r->done;
        pthread_mutex_unlock(&r->lock);
        struct statvfs size;
        bool directory = false;
        int bad = r->statvfs(r->items[i].path, &size, &directory);
        pthread_mutex_lock(&r->lock);
        if (bad == 0 && directory && size.f_blocks > 0) {
            r->items[i].measured = true;
            r->items[i].size = size;
        }
        r->done++;
    }
    pthread_cond_signal(&r->moved);
    pthread_mutex_unlock(&r->lock);
    round_unref(r);
    return NULL;
}

static struct round *round_new(struct mounts_probe *p, size_t room)
{
    struct round *r = calloc(1, sizeof *r + room * sizeof r->items[0]);
    if (!r)
        return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->moved, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
    r->refs = 1;
    r->statvfs = p->statvfs;
    return r;
}

/* Whether the round's thread still sits in the call it was left in. */
static bool still_stuck(struct round *r)
{
    pthread_mutex_lock(&r->lock);
    bool stuck = r->refs > 1;
    pthread_mutex_unlock(&r->lock);
    return stuck;
}

static size_t forget_freed(struct round *stuck[STUCK_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < STUCK_MAX; i++) {
        if (stuck[i] && !still_stuck(stuck[i])) {
            round_unref(stuck[i]);
            stuck[i] = NULL;
        }
        count += stuck[i] != NULL;
    }
    return count;
}

static bool is_stuck(struct round *const stuck[STUCK_MAX], const char *path)
{
    for (size_t i = 0; i < STUCK_MAX; i++)
        if (stuck[i] && strcmp(stuck[i]->items[stuck[i]->hung].path, path) == 0)
            return true;
    return false;
}

struct mounts_probe *mounts_probe_new(mounts_statvfs fn, unsigned budget_ms)
{
    struct mounts_probe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->statvfs = fn ? fn : system_statvfs;
    p->budget_ms = budget_ms;
    return p;
}

void mounts_probe_free(struct mounts_probe *p)
{
    if (!p)
        return;
    for (unsigned class = LOCAL; class < CLASS_COUNT; class ++)
        for (size_t i = 0; i < STUCK_MAX; i++)
            if (p->stuck[class][i])
                round_unref(p->stuck[class][i]);
    free(p);
}

static struct timespec deadline_in(unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool start(struct round *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    r->refs++;
    bool ok = pthread_create(&thread, &attr, round_run, r) == 0;
    if (!ok)
        r->refs--;
    pthread_attr_destroy(&attr);
    return ok;
}

/* Waits for the round; when it hangs, keeps it so that its mount is left alone until it answers. */
static void await(struct round *r, unsigned budget_ms, struct round *stuck[STUCK_MAX])
{
    struct timespec until = deadline_in(budget_ms);
    pthread_mutex_lock(&r->lock);
    while (r->done < r->count && pthread_cond_timedwait(&r->moved, &r->lock, &until) == 0)
        ;
    if (r->done < r->count) {
        r->abandoned = true;
        r->hung = r->done;
        r->refs++;
        size_t i = 0;
        while (stuck[i])
            i++;
        stuck[i] = r;
    }
    pthread_mutex_unlock(&r->lock);
}

static void take_results(struct round *r, struct mount *list, const size_t *index)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->done; i++) {
        list[index[i]].measured = r->items[i].measured;
        list[index[i]].size = r->items[i].size;
    }
    pthread_mutex_unlock(&r->lock);
}

static void measure_class(struct mounts_probe *p, enum class class, struct mount *list, size_t n)
{
    if (forget_freed(p->stuck[class]) == STUCK_MAX)
        return;
    _cleanup_free_ size_t *index = calloc(n + 1, sizeof *index);
    struct round *r = round_new(p, n);
    if (!r)
        return;
    for (size_t i = 0; index && i < n; i++) {
        if (list[i].remote != (class == REMOTE_CLASS) || is_stuck(p->stuck[class], list[i].path))
            continue;
        r->items[r->count].path = strdup(list[i].path);
        if (r->items[r->count].path)
            index[r->count++] = i;
    }
    if (r->count && start(r)) {
        await(r, p->budget_ms, p->stuck[class]);
        take_results(r, list, index);
    }
    round_unref(r);
}

void mounts_measure(struct mounts_probe *p, struct mount *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        list[i].measured = false;
    measure_class(p, LOCAL, list, n);
    measure_class(p, REMOTE_CLASS, list, n);
}
