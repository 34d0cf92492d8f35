/* Measures the host from /proc, /sys and statvfs: CPU, load, memory, swap, pressure, filesystems, disks,
 * network, descriptors, temperature, uptime. What a host does not have is left out, never zero.
 * Ownership: opaque; keeps the last CPU counters and which mounts hang. One thread at a time.
 * A mount that hangs costs one round at most `statvfs_ms` and is then left out until it answers (O41). */
#ifndef HB_HOST_METRICS_H
#define HB_HOST_METRICS_H

#include "monitoring/metric_kinds.h"

#include <sys/statvfs.h>

struct host_metrics;
struct host_metrics_options {
    const char *root;      /* before /proc and /sys; NULL: "" */
    const char *source, *node_id; /* copied */
    unsigned statvfs_ms;   /* 0: 1500; for all filesystems of a round */
    /* NULL: the system's statvfs and stat. Runs on a helper thread. Fills `ret`, says whether the mount point
     * is a directory; 0 or negative errno. */
    int (*statvfs)(const char *path, struct statvfs *ret, bool *ret_directory);
};
struct host_metrics *host_metrics_new(const struct host_metrics_options *o); /* NULL: no memory */
void host_metrics_free(struct host_metrics *h); /* a hanging helper thread ends by itself later */
/* Adds a round's samples. Percentages of CPU need a round before. */
void host_metrics_sample(struct host_metrics *h, struct metric_batch *b);

#endif
