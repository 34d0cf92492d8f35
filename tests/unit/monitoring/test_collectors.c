/* The host's and the containers' collectors on recorded files and a made-up engine. */
#include "metrics_fixture.h"

#include "base/clock.h"
#include "monitoring/container_metrics.h"
#include "monitoring/host_metrics.h"
#include "monitoring/mounts.h"

#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- a recorded machine ---- */

static char root[64];

static int make_root(void **state UNUSED)
{
    strcpy(root, "/tmp/hb-host-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int flag UNUSED, struct FTW *ftw UNUSED)
{
    return remove(path);
}

static int remove_root(void **state UNUSED)
{
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void record(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *out = fopen(full, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static struct host_metrics *new_host(int (*fn)(const char *, struct statvfs *, bool *), unsigned ms)
{
    struct host_metrics *h = host_metrics_new(&(struct host_metrics_options){
        .root = root, .source = "host", .node_id = "n1", .statvfs = fn, .statvfs_ms = ms });
    assert_non_null(h);
    return h;
}

/* The value of a sample by name and tags; NaN: absent. */
static double value_of(const struct metric_batch *b, const char *name, const char *tags)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->samples[i].def.name, name) == 0 && strcmp(b->samples[i].def.tags, tags) == 0)
            return b->samples[i].value;
    return NAN;
}

static unsigned count_of(const struct metric_batch *b, const char *prefix)
{
    unsigned n = 0;
    for (size_t i = 0; i < b->count; i++)
        n += strncmp(b->samples[i].def.name, prefix, strlen(prefix)) == 0;
    return n;
}

#define assert_value(b, name, tags, want)                                           \
    do {                                                                            \
        double got_ = value_of(b, name, tags);                                      \
        if (!(fabs(got_ - (want)) < 1e-9))                                          \
            fail_msg("%s%s is %.12g, not %.12g", name, tags, got_, (double)(want)); \
    } while (0)
#define assert_absent(b, name, tags) assert_true(isnan(value_of(b, name, tags)))

static void cpu_is_shared_out_over_its_states(void **state)
{
    struct host_metrics *h = new_host(NULL, 0);
    _cleanup_batch_ struct metric_batch first = { 0 }, second = { 0 }, third = { 0 }, fourth = { 0 };
    record("/proc/stat", "cpu  1000 0 500 8000 300 0 10 5 0 0\ncpu0 1000 0 500 8000 300 0 10 5 0 0\nbtime 1\n");
    host_metrics_sample(h, &first);
    assert_int_equal(count_of(&first, "cpu."), 0); /* nothing to compare with yet */
    /* iowait falls by one, as kernels let it; 100 more in all others together. */
    record("/proc/stat", "cpu  1030 0 510 8055 299 0 10 10 0 0\n");
    host_metrics_sample(h, &second);
    assert_value(&second, "cpu.usage.percent", "{}", 45);
    assert_value(&second, "cpu.state.percent", "{\"state\":\"user\"}", 30);
    assert_value(&second, "cpu.state.percent", "{\"state\":\"idle\"}", 55);
    assert_value(&second, "cpu.state.percent", "{\"state\":\"iowait\"}", 0);
    assert_value(&second, "cpu.state.percent", "{\"state\":\"steal\"}", 5);
    record("/proc/stat", "cpu  30 0 10 55 2 0 0 0 0 0\n"); /* began anew: a gap, no spike */
    host_metrics_sample(h, &third);
    assert_int_equal(count_of(&third, "cpu."), 0);
    record("/proc/stat", "cpu  80 0 10 105 2 0 0 0 0 0\n");
    host_metrics_sample(h, &fourth);
    assert_value(&fourth, "cpu.usage.percent", "{}", 50);
    host_metrics_free(h);
}

static void memory_load_and_uptime_are_read(void **state)
{
    struct host_metrics *h = new_host(NULL, 0);
    _cleanup_batch_ struct metric_batch b = { 0 }, old = { 0 };
    record("/proc/meminfo",
           "MemTotal:       8000 kB\nMemFree:         500 kB\nMemAvailable:   2000 kB\nBuffers: 100 kB\n"
           "Cached:         1000 kB\nSwapTotal:      4000 kB\nSwapFree:       3000 kB\nSReclaimable: 50 kB\n");
    record("/proc/loadavg", "0.52 1.10 2.25 3/1024 4711\n");
    record("/proc/uptime", "350735.47 234388.90\n");
    record("/proc/sys/fs/file-nr", "2112\t12\t9223372\n");
    host_metrics_sample(h, &b);
    assert_value(&b, "memory.total.bytes", "{}", 8192000);
    assert_value(&b, "memory.used.bytes", "{}", 6144000);
    assert_value(&b, "memory.available.bytes", "{}", 2048000);
    assert_value(&b, "memory.used.percent", "{}", 75);
    assert_value(&b, "swap.total.bytes", "{}", 4096000);
    assert_value(&b, "swap.used.bytes", "{}", 1024000);
    assert_value(&b, "load.1", "{}", 0.52);
    assert_value(&b, "load.15", "{}", 2.25);
    assert_value(&b, "uptime.seconds", "{}", 350735.47);
    assert_value(&b, "descriptors.used", "{}", 2100);
    assert_value(&b, "descriptors.limit", "{}", 9223372);
    record("/proc/meminfo",
           "MemTotal: 8000 kB\nMemFree: 500 kB\nBuffers: 100 kB\nCached: 1000 kB\nSReclaimable: 50 kB\n");
    host_metrics_sample(h, &old);
    assert_value(&old, "memory.available.bytes", "{}", 1650 * 1024);
    assert_absent(&old, "swap.used.bytes", "{}");
    host_metrics_free(h);
}

static void what_the_host_lacks_is_left_out(void **state)
{
    struct host_metrics *h = new_host(NULL, 0);
    _cleanup_batch_ struct metric_batch none = { 0 }, some = { 0 };
    host_metrics_sample(h, &none);
    assert_int_equal(none.count, 0);
    assert_false(none.failed);
    record("/proc/pressure/cpu",
           "some avg10=1.53 avg60=0.87 avg300=0.20 total=1165\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    host_metrics_sample(h, &some);
    assert_value(&some, "pressure.cpu.some.percent", "{}", 1.53);
    assert_int_equal(some.count, 1);
    host_metrics_free(h);
}

static void whole_disks_and_own_interfaces_are_counted(void **state)
{
    struct host_metrics *h = new_host(NULL, 0);
    _cleanup_batch_ struct metric_batch b = { 0 };
    record("/proc/diskstats", "   7       0 loop0 100 0 200 0 0 0 0 0 0 0 0\n"
                              " 259       0 nvme0n1 1000 5 20000 40 300 6 4000 70 0 80 90 1 2 3 4 5 6\n"
                              " 259       1 nvme0n1p1 900 5 19000 40 300 6 4000 70 0 80 90\n"
                              "   8       0 sda 0 0 0 0 0 0 0 0 0 0 0\n");
    record("/sys/block/nvme0n1/size", "1");
    record("/sys/block/sda/size", "1");
    record("/sys/block/loop0/size", "1");
    record(
        "/proc/net/dev",
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
        "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
        "  eth0:9007199254740993 10 2 3 0 0 0 0 2000 20 4 5 0 0 0 0\n"
        "  ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n"
        "veth12@if: 5 5 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n");
    host_metrics_sample(h, &b);
    assert_int_equal(count_of(&b, "disk."), 4);
    assert_value(&b, "disk.read.bytes", "{\"device\":\"nvme0n1\"}", 20000 * 512);
    assert_value(&b, "disk.write.bytes", "{\"device\":\"nvme0n1\"}", 4000 * 512);
    assert_value(&b, "disk.read.operations", "{\"device\":\"nvme0n1\"}", 1000);
    assert_value(&b, "disk.write.operations", "{\"device\":\"nvme0n1\"}", 300);
    assert_int_equal(count_of(&b, "network."), 8);
    assert_value(&b, "network.receive.errors", "{\"interface\":\"eth0\"}", 2);
    assert_value(&b, "network.transmit.bytes", "{\"interface\":\"eth0\"}", 2000);
    assert_value(&b, "network.transmit.dropped", "{\"interface\":\"eth0\"}", 5);
    host_metrics_free(h);
}

static void sensors_have_names_of_their_own(void **state)
{
    struct host_metrics *h = new_host(NULL, 0);
    _cleanup_batch_ struct metric_batch zones = { 0 }, chips = { 0 };
    record("/sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
    record("/sys/class/thermal/thermal_zone0/temp", "47500\n");
    host_metrics_sample(h, &zones);
    assert_value(&zones, "temperature.celsius", "{\"sensor\":\"x86_pkg_temp\"}", 47.5);
    static const char *const DISKS[] = { "/sys/class/hwmon/hwmon0", "/sys/class/hwmon/hwmon3" };
    for (unsigned i = 0; i < 2; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/name", DISKS[i]);
        record(path, "nvme\n");
        snprintf(path, sizeof path, "%s/temp1_label", DISKS[i]);
        record(path, "Composite\n");
        snprintf(path, sizeof path, "%s/temp1_input", DISKS[i]);
        record(path, i ? "41850\n" : "38850\n");
    }
    record("/sys/class/hwmon/hwmon3/temp2_input", "-273150\n"); /* nothing is connected */
    host_metrics_sample(h, &chips);
    assert_value(&chips, "temperature.celsius", "{\"sensor\":\"nvme/Composite\"}", 38.85);
    assert_value(&chips, "temperature.celsius", "{\"sensor\":\"nvme#2/Composite\"}", 41.85);
    assert_int_equal(count_of(&chips, "temperature."), 2);
    host_metrics_free(h);
}

/* ---- mounts ---- */

/* A containerised hub on a ZFS host: overlay root, single files bound into it, technical and real filesystems,
 * both versions of cgroups, a share, other containers' layers. */
static const char MOUNTINFO[] = "1 0 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u\n"
                                "2 1 0:51 / /proc rw - proc proc rw\n"
                                "3 1 0:52 / /dev rw - tmpfs tmpfs rw,size=65536k\n"
                                "4 1 0:53 / /sys ro - sysfs sysfs ro\n"
                                "5 4 0:54 / /sys/fs/cgroup ro - tmpfs cgroup rw\n"
                                "6 5 0:55 / /sys/fs/cgroup/memory ro - cgroup memory rw,memory\n"
                                "7 4 0:56 / /sys/fs/cgroup/unified ro - cgroup2 cgroup rw\n"
                                "8 1 0:26 /containers/ab/hostname /etc/hostname rw - zfs rpool/ROOT rw\n"
                                "9 1 0:26 /containers/ab/hosts /etc/hosts rw - zfs rpool/ROOT rw\n"
                                "17 1 0:26 /etc/app.yaml /app/config.yaml rw - zfs rpool/ROOT rw\n"
                                "10 1 0:27 / /srv/data rw shared:1 master:2 - zfs tank/data rw,xattr\n"
                                "11 1 0:27 /photos /home/me/my\\040photos rw - zfs tank/data rw\n"
                                "12 1 0:60 / /tmp rw - tmpfs tmpfs rw\n"
                                "13 1 0:61 / /mnt/nas rw - nfs4 nas:/export rw\n"
                                "14 1 0:62 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n"
                                "15 1 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro\n"
                                "16 1 8:17 /@ / rw - btrfs /dev/sdb1 rw\n"
                                "not a line\n";

static void O41_only_real_filesystems_are_looked_at(void **state)
{
    static struct mount list[MOUNTS_MAX];
    char text[sizeof MOUNTINFO];
    memcpy(text, MOUNTINFO, sizeof text);
    size_t n = mounts_parse(text, list);
    static const char *const WANT[] = { "/", "/app/config.yaml", "/srv/data", "/tmp", "/mnt/nas" };
    assert_int_equal(n, ARRAY_LEN(WANT));
    for (size_t i = 0; i < n; i++)
        assert_string_equal(list[i].path, WANT[i]); /* local first, the share last */
    assert_string_equal(list[0].fstype, "btrfs");   /* what was mounted over the overlay */
    assert_true(list[4].remote);
    mounts_done(list, n);
}

/* A share that hangs until it is let go. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool hanging;
    _Atomic unsigned asked;
} share = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

static int scripted_statvfs(const char *path, struct statvfs *ret, bool *ret_directory)
{
    *ret = (struct statvfs){
        .f_frsize = 4096, .f_blocks = 1000, .f_bfree = 500, .f_bavail = 300, .f_files = 100, .f_ffree = 25
    };
    *ret_directory = strcmp(path, "/app/config.yaml") != 0; /* a file bound into the container */
    if (strcmp(path, "/tmp") == 0)
        ret->f_bfree = ret->f_bavail = 0;
    if (strcmp(path, "/mnt/nas") != 0)
        return 0;
    pthread_mutex_lock(&share.lock);
    share.asked++;
    while (share.hanging)
        pthread_cond_wait(&share.moved, &share.lock);
    pthread_mutex_unlock(&share.lock);
    return 0;
}

static void let_hang(bool hanging)
{
    pthread_mutex_lock(&share.lock);
    share.hanging = hanging;
    pthread_cond_broadcast(&share.moved);
    pthread_mutex_unlock(&share.lock);
}

#define DATA "{\"device\":\"tank/data\",\"fstype\":\"zfs\",\"mount\":\"/srv/data\"}"
#define FULL "{\"device\":\"tmpfs\",\"fstype\":\"tmpfs\",\"mount\":\"/tmp\"}"
#define NAS "{\"device\":\"nas:/export\",\"fstype\":\"nfs4\",\"mount\":\"/mnt/nas\"}"

static void O41_a_hanging_share_costs_nobody_else_and_comes_back(void **state)
{
    struct host_metrics *h = new_host(scripted_statvfs, 1000);
    record("/proc/self/mountinfo", MOUNTINFO);
    let_hang(true);
    for (unsigned round = 0; round < 3; round++) {
        _cleanup_batch_ struct metric_batch b = { 0 };
        int64_t began = clock_mono_ms();
        host_metrics_sample(h, &b);
        assert_true(clock_mono_ms() - began < 2000);
        assert_value(&b, "filesystem.size.bytes", DATA, 1000 * 4096);
        assert_value(&b, "filesystem.used.bytes", DATA, 500 * 4096);
        assert_value(&b, "filesystem.used.percent", DATA, 62.5); /* as df: 500 of the 800 one can have */
        assert_value(&b, "filesystem.inodes.used.percent", DATA, 75);
        assert_value(&b, "filesystem.used.percent", FULL, 100);
        assert_absent(&b, "filesystem.size.bytes", NAS);
        assert_int_equal(count_of(&b, "filesystem.size.bytes"), 3);
        assert_int_equal(share.asked, 1); /* it is left alone while it hangs */
    }
    let_hang(false);
    bool back = false;
    for (int64_t until = clock_mono_ms() + 10000; !back && clock_mono_ms() < until;) {
        _cleanup_batch_ struct metric_batch b = { 0 };
        host_metrics_sample(h, &b);
        back = value_of(&b, "filesystem.size.bytes", NAS) == 1000 * 4096;
    }
    assert_true(back);
    host_metrics_free(h);
}

static void this_machine_can_be_measured(void **state)
{
    struct host_metrics *h = host_metrics_new(&(struct host_metrics_options){ .source = "host", .node_id = "n1" });
    _cleanup_batch_ struct metric_batch b = { 0 };
    host_metrics_sample(h, &b);
    assert_true(value_of(&b, "memory.total.bytes", "{}") > 1e6);
    assert_true(value_of(&b, "uptime.seconds", "{}") > 0);
    for (size_t i = 0; i < b.count; i++) {
        struct error e = ERROR_INIT;
        if (metric_def_check(&b.samples[i].def, &e) < 0)
            fail_msg("%s: %s", b.samples[i].def.name, e.message);
    }
    host_metrics_free(h);
}

/* ---- containers ---- */

struct made_engine {
    struct container_engine base;
    pthread_mutex_t lock;
    unsigned running, most, calls;
    double cpu_seconds;
    int64_t read_ms;
    const char *dead; /* a container that does not answer, and how */
    enum error_code dead_code;
};

static int made_stats(struct container_engine *g, const char *id, struct engine_stats *ret, struct error *e)
{
    struct made_engine *m = (struct made_engine *)g;
    pthread_mutex_lock(&m->lock);
    m->calls++;
    m->most = ++m->running > m->most ? m->running : m->most;
    pthread_mutex_unlock(&m->lock);
    nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL); /* as an engine takes its time: lets calls overlap */
    pthread_mutex_lock(&m->lock);
    m->running--;
    pthread_mutex_unlock(&m->lock);
    if (m->dead && strcmp(id, m->dead) == 0)
        return error_set(e, m->dead_code, "no answer");
    *ret = (struct engine_stats){ .read_ms = m->read_ms,
                                  .cpu_seconds = m->cpu_seconds,
                                  .cpu_limit_cores = 4,
                                  .memory_used = 1 << 20,
                                  .memory_limit = 2 << 20,
                                  .network_receive = 7,
                                  .io_write = 9,
                                  .pids = 3 };
    return 0;
}

static const struct engine_ops MADE_OPS = { .stats = made_stats };

static void fill_list(struct sampled_container *list, size_t n, struct made_engine *engine)
{
    for (size_t i = 0; i < n; i++) {
        list[i] = (struct sampled_container){ .engine = &engine->base, .restart_count = i ? (int)i : -1 };
        snprintf(list[i].service_id, sizeof list[i].service_id, "service-%zu", i);
        snprintf(list[i].container_id, sizeof list[i].container_id, "container-%zu", i);
    }
}

static double of_service(const struct metric_batch *b, const char *service, const char *name)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->samples[i].def.entity_id, service) == 0 && strcmp(b->samples[i].def.name, name) == 0)
            return b->samples[i].value;
    return NAN;
}

static void containers_are_asked_a_few_at_a_time(void **state)
{
    struct made_engine engine = { .base.ops = &MADE_OPS,
                                  .lock = PTHREAD_MUTEX_INITIALIZER,
                                  .cpu_seconds = 10,
                                  .read_ms = T0,
                                  .dead = "container-5",
                                  .dead_code = ERR_NOT_FOUND };
    struct sampled_container list[40];
    _cleanup_batch_ struct metric_batch b = { 0 };
    size_t failed = 0;
    fill_list(list, 40, &engine);
    struct container_metrics *c = container_metrics_new("docker");
    container_metrics_sample(c, list, 40, NULL, &b, &failed);
    assert_int_equal(engine.calls, 40);
    assert_in_range(engine.most, 1, CONTAINER_THREADS);
    assert_int_equal(failed, 1);
    assert_true(isnan(of_service(&b, "service-5", "container.pids")));
    assert_true(of_service(&b, "service-39", "container.memory.used.bytes") == 1 << 20);
    assert_true(of_service(&b, "service-39", "container.restarts") == 39);
    assert_true(isnan(of_service(&b, "service-0", "container.restarts"))); /* not known */
    assert_true(isnan(of_service(&b, "service-0", "container.cpu.percent")));
    container_metrics_free(c);
}

static void a_silent_engine_is_left_alone_for_the_round(void **state)
{
    struct made_engine engine = { .base.ops = &MADE_OPS,
                                  .lock = PTHREAD_MUTEX_INITIALIZER,
                                  .dead = "container-0",
                                  .dead_code = ERR_UPSTREAM_TIMEOUT };
    struct sampled_container list[40];
    _cleanup_batch_ struct metric_batch b = { 0 };
    size_t failed = 0;
    fill_list(list, 40, &engine);
    for (size_t i = 0; i < 40; i++)
        strcpy(list[i].container_id, "container-0");
    struct container_metrics *c = container_metrics_new("docker");
    container_metrics_sample(c, list, 40, NULL, &b, &failed);
    assert_in_range(engine.calls, 1, 2 * CONTAINER_THREADS);
    assert_int_equal(failed, 40);
    assert_int_equal(b.count, 0);
    container_metrics_free(c);
}

static void O42_cpu_of_a_restarted_container_is_a_gap(void **state)
{
    struct made_engine engine = {
        .base.ops = &MADE_OPS, .lock = PTHREAD_MUTEX_INITIALIZER, .cpu_seconds = 100, .read_ms = T0
    };
    struct sampled_container list[1];
    static const struct {
        double cpu_seconds, want;
    } ROUNDS[] = { { 100, NAN }, { 105, 50 }, { 0.5, NAN }, { 10.5, 100 }, { 1000, 400 /* four cores at most */ } };
    fill_list(list, 1, &engine);
    struct container_metrics *c = container_metrics_new("docker");
    for (size_t i = 0; i < ARRAY_LEN(ROUNDS); i++) {
        _cleanup_batch_ struct metric_batch b = { 0 };
        engine.cpu_seconds = ROUNDS[i].cpu_seconds;
        engine.read_ms += 10000;
        container_metrics_sample(c, list, 1, NULL, &b, NULL);
        double got = of_service(&b, "service-0", "container.cpu.percent");
        if (isnan(ROUNDS[i].want) ? !isnan(got) : got != ROUNDS[i].want)
            fail_msg("round %zu: %g", i, got);
        assert_true(of_service(&b, "service-0", "container.cpu.seconds") == ROUNDS[i].cpu_seconds);
    }
    container_metrics_free(c);
}

#define HOST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST(cpu_is_shared_out_over_its_states),
        HOST(memory_load_and_uptime_are_read),
        HOST(what_the_host_lacks_is_left_out),
        HOST(whole_disks_and_own_interfaces_are_counted),
        HOST(sensors_have_names_of_their_own),
        cmocka_unit_test(O41_only_real_filesystems_are_looked_at),
        HOST(O41_a_hanging_share_costs_nobody_else_and_comes_back),
        cmocka_unit_test(this_machine_can_be_measured),
        cmocka_unit_test(containers_are_asked_a_few_at_a_time),
        cmocka_unit_test(a_silent_engine_is_left_alone_for_the_round),
        cmocka_unit_test(O42_cpu_of_a_restarted_container_is_a_gap),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
