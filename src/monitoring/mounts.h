/* The filesystems worth measuring, and their sizes, without ever waiting long for one that hangs.
 * Ownership: opaque; results are borrowed until the next round. One thread at a time. */
#ifndef HB_MOUNTS_H
#define HB_MOUNTS_H

#include "base/base.h"

#include <sys/statvfs.h>

#define MOUNTS_MAX 256

struct mount {
    char *path, *device, *fstype; /* owned */
    char identity[24];            /* major:minor */
    bool whole;                   /* not a bind mount of a part */
    bool remote;                  /* network or FUSE: measured last */
    bool measured;
    struct statvfs size;
};
/* Parses mountinfo (proc_pid_mountinfo(5)): pseudo filesystems, images and container layers are left out, and
 * of several mounts of one filesystem the whole, then the shortest, path stays. Local ones come first.
 * Returns how many; at most MOUNTS_MAX. */
size_t mounts_parse(char *mountinfo, struct mount *ret);
void mounts_done(struct mount *list, size_t n);

typedef int (*mounts_statvfs)(const char *path, struct statvfs *ret, bool *ret_directory);
struct mounts_probe;
struct mounts_probe *mounts_probe_new(mounts_statvfs fn, unsigned budget_ms); /* NULL: no memory */
void mounts_probe_free(struct mounts_probe *p);
/* Measures the list within the budget; mounts that did not answer, are no directories or have no size stay
 * `measured` = false. */
void mounts_measure(struct mounts_probe *p, struct mount *list, size_t n);

#endif
