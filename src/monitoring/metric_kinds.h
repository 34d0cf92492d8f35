/* The metrics that hbcloud's own collectors write: one row says name, unit, category and whether it counts up.
 * A batch gathers one round's samples of one entity kind after another.
 * Ownership: a batch owns the texts of its samples until `batch_done`. Not thread-safe. */
#ifndef HB_METRIC_KINDS_H
#define HB_METRIC_KINDS_H

#include "monitoring/metrics.h"

/* X(enumerator, name, unit, category, counter) */
#define METRIC_KINDS(X)                                                                          \
    X(KIND_CPU_USAGE, "cpu.usage.percent", "percent", "cpu", false)                              \
    X(KIND_CPU_STATE, "cpu.state.percent", "percent", "cpu", false)                              \
    X(KIND_LOAD_1, "load.1", "processes", "load", false)                                         \
    X(KIND_LOAD_5, "load.5", "processes", "load", false)                                         \
    X(KIND_LOAD_15, "load.15", "processes", "load", false)                                       \
    X(KIND_MEMORY_TOTAL, "memory.total.bytes", "bytes", "memory", false)                         \
    X(KIND_MEMORY_USED, "memory.used.bytes", "bytes", "memory", false)                           \
    X(KIND_MEMORY_AVAILABLE, "memory.available.bytes", "bytes", "memory", false)                 \
    X(KIND_MEMORY_PERCENT, "memory.used.percent", "percent", "memory", false)                    \
    X(KIND_SWAP_TOTAL, "swap.total.bytes", "bytes", "swap", false)                               \
    X(KIND_SWAP_USED, "swap.used.bytes", "bytes", "swap", false)                                 \
    X(KIND_PRESSURE_CPU, "pressure.cpu.some.percent", "percent", "pressure", false)              \
    X(KIND_PRESSURE_MEMORY, "pressure.memory.some.percent", "percent", "pressure", false)        \
    X(KIND_PRESSURE_IO, "pressure.io.some.percent", "percent", "pressure", false)                \
    X(KIND_FILESYSTEM_SIZE, "filesystem.size.bytes", "bytes", "filesystem", false)               \
    X(KIND_FILESYSTEM_USED, "filesystem.used.bytes", "bytes", "filesystem", false)               \
    X(KIND_FILESYSTEM_PERCENT, "filesystem.used.percent", "percent", "filesystem", false)        \
    X(KIND_FILESYSTEM_INODES, "filesystem.inodes.used.percent", "percent", "filesystem", false)  \
    X(KIND_DISK_READ_BYTES, "disk.read.bytes", "bytes", "disk", true)                            \
    X(KIND_DISK_WRITE_BYTES, "disk.write.bytes", "bytes", "disk", true)                          \
    X(KIND_DISK_READS, "disk.read.operations", "operations", "disk", true)                       \
    X(KIND_DISK_WRITES, "disk.write.operations", "operations", "disk", true)                     \
    X(KIND_NET_RECEIVE_BYTES, "network.receive.bytes", "bytes", "network", true)                 \
    X(KIND_NET_TRANSMIT_BYTES, "network.transmit.bytes", "bytes", "network", true)               \
    X(KIND_NET_RECEIVE_PACKETS, "network.receive.packets", "packets", "network", true)           \
    X(KIND_NET_TRANSMIT_PACKETS, "network.transmit.packets", "packets", "network", true)         \
    X(KIND_NET_RECEIVE_ERRORS, "network.receive.errors", "errors", "network", true)              \
    X(KIND_NET_TRANSMIT_ERRORS, "network.transmit.errors", "errors", "network", true)            \
    X(KIND_NET_RECEIVE_DROPPED, "network.receive.dropped", "packets", "network", true)           \
    X(KIND_NET_TRANSMIT_DROPPED, "network.transmit.dropped", "packets", "network", true)         \
    X(KIND_DESCRIPTORS_USED, "descriptors.used", "descriptors", "descriptors", false)            \
    X(KIND_DESCRIPTORS_LIMIT, "descriptors.limit", "descriptors", "descriptors", false)          \
    X(KIND_TEMPERATURE, "temperature.celsius", "celsius", "temperature", false)                  \
    X(KIND_UPTIME, "uptime.seconds", "seconds", "uptime", false)                                 \
    X(KIND_CONTAINER_CPU_PERCENT, "container.cpu.percent", "percent", "cpu", false)              \
    X(KIND_CONTAINER_CPU_SECONDS, "container.cpu.seconds", "seconds", "cpu", true)               \
    X(KIND_CONTAINER_MEMORY_USED, "container.memory.used.bytes", "bytes", "memory", false)       \
    X(KIND_CONTAINER_MEMORY_LIMIT, "container.memory.limit.bytes", "bytes", "memory", false)     \
    X(KIND_CONTAINER_NET_RECEIVE, "container.network.receive.bytes", "bytes", "network", true)   \
    X(KIND_CONTAINER_NET_TRANSMIT, "container.network.transmit.bytes", "bytes", "network", true) \
    X(KIND_CONTAINER_IO_READ, "container.io.read.bytes", "bytes", "io", true)                    \
    X(KIND_CONTAINER_IO_WRITE, "container.io.write.bytes", "bytes", "io", true)                  \
    X(KIND_CONTAINER_RESTARTS, "container.restarts", "restarts", "restarts", true)               \
    X(KIND_CONTAINER_PIDS, "container.pids", "processes", "other", false)

enum metric_kind {
#define X(kind, name, unit, category, counter) kind,
    METRIC_KINDS(X)
#undef X
        KIND_COUNT
};
const char *metric_kind_name(enum metric_kind kind);
bool metric_name_counts(const char *name); /* a counter of the table above */

#define BATCH_SAMPLES_MAX 20000
struct metric_batch {
    struct metric_sample *samples;
    size_t count, room;
    void *texts; /* chunks of copied texts */
    bool failed; /* no memory or over the limit: some samples are missing */
};
void batch_done(struct metric_batch *b);
#define _cleanup_batch_ _cleanup_(batch_done)

/* Who is measured, and by whom. Texts are borrowed until the batch is done. */
struct metric_entity {
    const char *source, *id, *type; /* type: "node" "service" … */
};
/* Adds a sample; `pairs` (the tags, sorted in place) are copied. Not finite values are left out. */
void batch_add(struct metric_batch *b, const struct metric_entity *who, enum metric_kind kind, double value,
               struct metric_pair *pairs, size_t n_pairs);
/* The first sample of a kind without tags; false when there is none. */
bool batch_find(const struct metric_batch *b, enum metric_kind kind, double *ret);

#endif
