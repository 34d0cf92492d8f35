#include "monitoring/host_metrics.h"

#include "base/str.h"
#include "monitoring/mounts.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

#define FILE_LIMIT (1024 * 1024)
#define STATVFS_MS 1500 /* a round must end within 2 s */
#define SENSORS_MAX 64
#define CHIPS_MAX 32
#define SECTOR_BYTES 512 /* diskstats counts in these, whatever the device's own size */
#define DEVICES_MAX 256
#define INTERFACES_MAX 256

enum { CPU_USER, CPU_NICE, CPU_SYSTEM, CPU_IDLE, CPU_IOWAIT, CPU_IRQ, CPU_SOFTIRQ, CPU_STEAL, CPU_STATES };
static const char *const CPU_NAME[CPU_STATES] = {
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"
};

struct host_metrics {
    char root[256];
    char source[64], node_id[METRIC_TEXT_MAX + 1];
    struct metric_entity who;
    struct mounts_probe *probe;
    bool has_cpu;
    double cpu[CPU_STATES];
};

struct host_metrics *host_metrics_new(const struct host_metrics_options *o)
{
    struct host_metrics *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->probe = mounts_probe_new(o->statvfs, o->statvfs_ms ? o->statvfs_ms : STATVFS_MS);
    if (!h->probe) {
        free(h);
        return NULL;
    }
    str_copy(h->root, sizeof h->root, o->root ? o->root : "");
    str_copy(h->source, sizeof h->source, o->source);
    str_copy(h->node_id, sizeof h->node_id, o->node_id);
    h->who = (struct metric_entity){ h->source, h->node_id, "node" };
    return h;
}

void host_metrics_free(struct host_metrics *h)
{
    if (!h)
        return;
    mounts_probe_free(h->probe);
    free(h);
}

/* ---- reading ---- */

static char *read_below(const struct host_metrics *h, const char *path)
{
    char full[512];
    char *text = NULL;
    if ((size_t)snprintf(full, sizeof full, "%s%s", h->root, path) >= sizeof full)
        return NULL;
    return file_read(full, FILE_LIMIT, &text, NULL) < 0 ? NULL : text;
}

static void add(const struct host_metrics *h, struct metric_batch *b, enum metric_kind kind, double value)
{
    batch_add(b, &h->who, kind, value, NULL, 0);
}

static void add_tagged(const struct host_metrics *h, struct metric_batch *b, enum metric_kind kind, double value,
                       const char *key, const char *tag)
{
    struct metric_pair pair = { key, tag };
    batch_add(b, &h->who, kind, value, &pair, 1);
}

/* Two decimals are what a percentage is worth, and what stores well. */
static double percent(double part, double whole)
{
    double p = part * 100 / whole;
    p = p < 0 ? 0 : p > 100 ? 100 : p;
    return (double)(int64_t)(p * 100 + 0.5) / 100;
}

/* ---- CPU, load, memory ---- */

/* Time in guests is part of user and nice already. */
static bool read_cpu(const struct host_metrics *h, double ret[CPU_STATES])
{
    _cleanup_free_ char *text = read_below(h, "/proc/stat");
    double v[CPU_STATES] = { 0 };
    if (!text ||
        sscanf(text, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) < 4)
        return false;
    memcpy(ret, v, sizeof v);
    return true;
}

/* Differences of each state; false when the counters began anew. iowait alone may fall a little. */
static bool cpu_differences(const double now[CPU_STATES], const double before[CPU_STATES], double ret[CPU_STATES],
                            double *ret_total)
{
    *ret_total = 0;
    for (unsigned i = 0; i < CPU_STATES; i++) {
        ret[i] = now[i] - before[i];
        if (ret[i] < 0 && i != CPU_IOWAIT && i != CPU_IDLE)
            return false;
        ret[i] = ret[i] < 0 ? 0 : ret[i];
        *ret_total += ret[i];
    }
    return *ret_total > 0;
}

static void sample_cpu(struct host_metrics *h, struct metric_batch *b)
{
    double now[CPU_STATES], part[CPU_STATES], total;
    if (!read_cpu(h, now)) {
        h->has_cpu = false;
        return;
    }
    if (h->has_cpu && cpu_differences(now, h->cpu, part, &total)) {
        add(h, b, KIND_CPU_USAGE, percent(total - part[CPU_IDLE] - part[CPU_IOWAIT], total));
        for (unsigned i = 0; i < CPU_STATES; i++)
            add_tagged(h, b, KIND_CPU_STATE, percent(part[i], total), "state", CPU_NAME[i]);
    }
    memcpy(h->cpu, now, sizeof now);
    h->has_cpu = true;
}

static void sample_load(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/loadavg");
    double one, five, fifteen;
    if (!text || sscanf(text, "%lf %lf %lf", &one, &five, &fifteen) != 3)
        return;
    add(h, b, KIND_LOAD_1, one);
    add(h, b, KIND_LOAD_5, five);
    add(h, b, KIND_LOAD_15, fifteen);
}

/* "MemTotal:       16384 kB" to bytes; negative when absent. */
static double meminfo(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = text; at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        if (strncmp(at, key, len) == 0 && at[len] == ':')
            return strtod(at + len + 1, NULL) * 1024;
    return -1;
}

static double available_memory(const char *text)
{
    double available = meminfo(text, "MemAvailable");
    if (available >= 0)
        return available;
    static const char *const PARTS[] = { "MemFree", "Buffers", "Cached", "SReclaimable" };
    available = 0;
    for (unsigned i = 0; i < ARRAY_LEN(PARTS); i++) {
        double part = meminfo(text, PARTS[i]);
        available += part > 0 ? part : 0;
    }
    return available;
}

static void sample_memory(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/meminfo");
    double total = text ? meminfo(text, "MemTotal") : -1;
    if (total <= 0)
        return;
    double available = available_memory(text);
    double used = available < total ? total - available : 0;
    add(h, b, KIND_MEMORY_TOTAL, total);
    add(h, b, KIND_MEMORY_USED, used);
    add(h, b, KIND_MEMORY_AVAILABLE, available);
    add(h, b, KIND_MEMORY_PERCENT, percent(used, total));
    double swap = meminfo(text, "SwapTotal"), swap_free = meminfo(text, "SwapFree");
    if (swap < 0 || swap_free < 0)
        return;
    add(h, b, KIND_SWAP_TOTAL, swap);
    add(h, b, KIND_SWAP_USED, swap_free < swap ? swap - swap_free : 0);
}

static void sample_pressure(struct host_metrics *h, struct metric_batch *b)
{
    static const struct {
        const char *path;
        enum metric_kind kind;
    } FILES[] = { { "/proc/pressure/cpu", KIND_PRESSURE_CPU },
                  { "/proc/pressure/memory", KIND_PRESSURE_MEMORY },
                  { "/proc/pressure/io", KIND_PRESSURE_IO } };
    for (unsigned i = 0; i < ARRAY_LEN(FILES); i++) {
        _cleanup_free_ char *text = read_below(h, FILES[i].path);
        double average;
        if (text && sscanf(text, "some avg10=%lf", &average) == 1)
            add(h, b, FILES[i].kind, average);
    }
}

/* ---- filesystems ---- */

static void add_filesystem(struct host_metrics *h, struct metric_batch *b, const struct mount *m)
{
    const struct statvfs *s = &m->size;
    double unit = (double)(s->f_frsize ? s->f_frsize : s->f_bsize);
    double used = s->f_bfree < s->f_blocks ? (double)(s->f_blocks - s->f_bfree) : 0;
    double reach = used + (double)s->f_bavail; /* without what is kept for root, as df says it */
    struct metric_pair tags[] = { { "mount", m->path }, { "device", m->device }, { "fstype", m->fstype } };
    size_t n = ARRAY_LEN(tags);
    batch_add(b, &h->who, KIND_FILESYSTEM_SIZE, (double)s->f_blocks * unit, tags, n);
    batch_add(b, &h->who, KIND_FILESYSTEM_USED, used * unit, tags, n);
    if (reach > 0)
        batch_add(b, &h->who, KIND_FILESYSTEM_PERCENT, percent(used, reach), tags, n);
    if (s->f_files > 0 && s->f_ffree <= s->f_files)
        batch_add(b, &h->who, KIND_FILESYSTEM_INODES, percent((double)(s->f_files - s->f_ffree), (double)s->f_files),
                  tags, n);
}

static void sample_filesystems(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/self/mountinfo");
    _cleanup_free_ struct mount *list = text ? calloc(MOUNTS_MAX, sizeof *list) : NULL;
    if (!list)
        return;
    size_t n = mounts_parse(text, list);
    mounts_measure(h->probe, list, n);
    for (size_t i = 0; i < n; i++)
        if (list[i].measured)
            add_filesystem(h, b, &list[i]);
    mounts_done(list, n);
}

/* ---- disks, network ---- */

static bool is_whole_disk(const struct host_metrics *h, const char *device)
{
    static const char *const NOT_DISKS[] = { "loop", "ram", "zram", "fd", "sr" };
    for (unsigned i = 0; i < ARRAY_LEN(NOT_DISKS); i++)
        if (str_starts(device, NOT_DISKS[i]))
            return false;
    char path[512], name[64];
    str_copy(name, sizeof name, device);
    for (char *slash = name; (slash = strchr(slash, '/'));)
        *slash = '!'; /* as sysfs writes cciss/c0d0 */
    if ((size_t)snprintf(path, sizeof path, "%s/sys/block/%s", h->root, name) >= sizeof path)
        return false;
    DIR *d = opendir(path);
    if (d)
        closedir(d);
    return d != NULL;
}

static void sample_disk_line(struct host_metrics *h, struct metric_batch *b, const char *line)
{
    char device[64];
    uint64_t reads, sectors_read, writes, sectors_written;
    int n = sscanf(line, "%*u %*u %63s %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64, device, &reads,
                   &sectors_read, &writes, &sectors_written);
    if (n != 5 || (reads == 0 && writes == 0) || !is_whole_disk(h, device))
        return;
    add_tagged(h, b, KIND_DISK_READ_BYTES, (double)sectors_read * SECTOR_BYTES, "device", device);
    add_tagged(h, b, KIND_DISK_WRITE_BYTES, (double)sectors_written * SECTOR_BYTES, "device", device);
    add_tagged(h, b, KIND_DISK_READS, (double)reads, "device", device);
    add_tagged(h, b, KIND_DISK_WRITES, (double)writes, "device", device);
}

static void sample_disks(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/diskstats");
    char *save = NULL;
    unsigned n = 0;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && n < DEVICES_MAX;
         line = strtok_r(NULL, "\n", &save), n++)
        sample_disk_line(h, b, line);
}

static bool is_own_interface(const char *name)
{
    return strcmp(name, "lo") != 0 && !str_starts(name, "veth"); /* veth pairs come and go with containers */
}

static void sample_interface(struct host_metrics *h, struct metric_batch *b, char *line)
{
    static const enum metric_kind KIND[] = { KIND_NET_RECEIVE_BYTES,
                                             KIND_NET_RECEIVE_PACKETS,
                                             KIND_NET_RECEIVE_ERRORS,
                                             KIND_NET_RECEIVE_DROPPED,
                                             KIND_COUNT,
                                             KIND_COUNT,
                                             KIND_COUNT,
                                             KIND_COUNT,
                                             KIND_NET_TRANSMIT_BYTES,
                                             KIND_NET_TRANSMIT_PACKETS,
                                             KIND_NET_TRANSMIT_ERRORS,
                                             KIND_NET_TRANSMIT_DROPPED };
    char *colon = strrchr(line, ':');
    if (!colon)
        return;
    *colon = '\0';
    const char *name = str_trim(line);
    if (!is_own_interface(name))
        return;
    double value[ARRAY_LEN(KIND)];
    char *at = colon + 1;
    for (unsigned i = 0; i < ARRAY_LEN(KIND); i++) {
        char *end;
        value[i] = strtod(at, &end);
        if (end == at)
            return;
        at = end;
    }
    if (value[0] == 0 && value[8] == 0) /* never used: nothing to see */
        return;
    for (unsigned i = 0; i < ARRAY_LEN(KIND); i++)
        if (KIND[i] != KIND_COUNT)
            add_tagged(h, b, KIND[i], value[i], "interface", name);
}

static void sample_network(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/net/dev");
    char *save = NULL;
    unsigned n = 0;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && n < INTERFACES_MAX;
         line = strtok_r(NULL, "\n", &save), n++)
        if (strchr(line, ':'))
            sample_interface(h, b, line);
}

/* ---- descriptors, uptime, temperature ---- */

static void sample_descriptors(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/sys/fs/file-nr");
    double allocated, unused, limit;
    if (!text || sscanf(text, "%lf %lf %lf", &allocated, &unused, &limit) != 3)
        return;
    add(h, b, KIND_DESCRIPTORS_USED, allocated - unused);
    add(h, b, KIND_DESCRIPTORS_LIMIT, limit);
}

static void sample_uptime(struct host_metrics *h, struct metric_batch *b)
{
    _cleanup_free_ char *text = read_below(h, "/proc/uptime");
    double seconds;
    if (text && sscanf(text, "%lf", &seconds) == 1)
        add(h, b, KIND_UPTIME, seconds);
}

static bool read_line(const struct host_metrics *h, const char *path, char *ret, size_t size)
{
    _cleanup_free_ char *text = read_below(h, path);
    if (!text)
        return false;
    str_copy(ret, size, str_trim(text));
    return ret[0] != '\0';
}

static void add_temperature(struct host_metrics *h, struct metric_batch *b, const char *path, const char *sensor)
{
    char text[32];
    int64_t milli;
    if (!read_line(h, path, text, sizeof text) || str_to_int64(text, &milli) < 0)
        return;
    if (milli > -100000 && milli < 250000) /* unconnected sensors say absurd things */
        add_tagged(h, b, KIND_TEMPERATURE, (double)milli / 1000, "sensor", sensor);
}

struct chips {
    unsigned count, sensors;
    char names[CHIPS_MAX][64];
};

/* The chip's name, with an ordinal when others had it before: two disks are two sensors. */
static bool name_chip(const struct host_metrics *h, const char *chip_path, struct chips *seen, char *ret, size_t size)
{
    char path[512], chip[64];
    snprintf(path, sizeof path, "%.400s/name", chip_path);
    if (seen->count == CHIPS_MAX || !read_line(h, path, chip, sizeof chip))
        return false;
    unsigned same = 1;
    for (unsigned i = 0; i < seen->count; i++)
        same += strcmp(seen->names[i], chip) == 0;
    str_copy(seen->names[seen->count++], sizeof seen->names[0], chip);
    if (same == 1)
        snprintf(ret, size, "%s", chip);
    else
        snprintf(ret, size, "%s#%u", chip, same);
    return true;
}

/* hwmonN/tempM_input, named "chip/label", or "chip/tempM" where a chip has no labels. */
static void sample_chip(struct host_metrics *h, struct metric_batch *b, const char *chip_path, struct chips *seen)
{
    char chip[80], full[512], path[512], label[64], sensor[160];
    if (!name_chip(h, chip_path, seen, chip, sizeof chip))
        return;
    snprintf(full, sizeof full, "%s%.250s", h->root, chip_path);
    DIR *d = opendir(full);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d)) && seen->sensors < SENSORS_MAX;) {
        unsigned index;
        if (sscanf(entry->d_name, "temp%u_input", &index) != 1 || !str_ends(entry->d_name, "_input"))
            continue;
        snprintf(path, sizeof path, "%.400s/temp%u_label", chip_path, index);
        if (!read_line(h, path, label, sizeof label))
            snprintf(label, sizeof label, "temp%u", index);
        snprintf(sensor, sizeof sensor, "%s/%s", chip, label);
        snprintf(path, sizeof path, "%.400s/temp%u_input", chip_path, index);
        add_temperature(h, b, path, sensor);
        seen->sensors++;
    }
    closedir(d);
}

static void sample_zones(struct host_metrics *h, struct metric_batch *b)
{
    for (unsigned i = 0; i < SENSORS_MAX; i++) {
        char path[96], type[64];
        snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%u/type", i);
        if (!read_line(h, path, type, sizeof type))
            return;
        snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%u/temp", i);
        add_temperature(h, b, path, type);
    }
}

static void sample_temperature(struct host_metrics *h, struct metric_batch *b)
{
    struct chips seen = { 0 };
    for (unsigned i = 0; i < CHIPS_MAX; i++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/class/hwmon/hwmon%u", i);
        sample_chip(h, b, path, &seen);
    }
    if (!seen.sensors) /* thermal zones repeat what the chips say */
        sample_zones(h, b);
}

void host_metrics_sample(struct host_metrics *h, struct metric_batch *b)
{
    sample_cpu(h, b);
    sample_load(h, b);
    sample_memory(h, b);
    sample_pressure(h, b);
    sample_disks(h, b);
    sample_network(h, b);
    sample_descriptors(h, b);
    sample_uptime(h, b);
    sample_temperature(h, b);
    sample_filesystems(h, b); /* last, as it may wait */
}
