#include "hub/internal.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_path(const char *path, struct error *e)
{
    _cleanup_free_ char *copy = strdup(path);
    if (!copy)
        return error_set(e, ERR_INTERNAL, "No memory.");
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return error_errno(e, -errno, "Cannot make the folder %s", copy);
        *p = '/';
    }
    if (mkdir(copy, 0700) < 0 && errno != EEXIST)
        return error_errno(e, -errno, "Cannot make the folder %s", copy);
    return 0;
}

static int held_by_other(const char *path, int fd, struct error *e)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    if (n > 0)
        pid[strcspn(pid, "\n")] = '\0';
    return error_set(e, ERR_CONFLICT,
                     "Another hub%s%s uses %s already. Stop it, or give this one its own folder with --data.",
                     *pid ? " with process id " : "", pid, path);
}

int data_directory_open(const char *path, int *ret_lock_fd, struct error *e)
{
    char pid[16];
    int r = make_path(path, e);
    _cleanup_free_ char *lock = r == 0 ? str_printf("%s/hub.lock", path) : NULL;
    if (!lock)
        return r < 0 ? r : error_set(e, ERR_INTERNAL, "No memory.");
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(e, -errno, "Cannot write to %s", lock);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = errno == EWOULDBLOCK ? held_by_other(path, fd, e) : error_errno(e, -errno, "Cannot lock %s", lock);
        (void)close(fd);
        return r;
    }
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        r = error_errno(e, -errno, "Cannot write to %s", lock);
        (void)close(fd);
        return r;
    }
    *ret_lock_fd = fd;
    return 0;
}
