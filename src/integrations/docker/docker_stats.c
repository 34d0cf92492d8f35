#include "integrations/docker/docker_stats.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

static int64_t counter(const json_t *object, const char *path)
{
    double v = json_num(object, path, 0);
    if (!(v > 0))
        return 0;
    return v < 9.2e18 ? (int64_t)v : INT64_MAX;
}

static void add(int64_t *sum, int64_t more)
{
    if (__builtin_add_overflow(*sum, more, sum))
        *sum = INT64_MAX;
}

/* The kernel counts pages that it can drop at once as used. v1 names them total_inactive_file (the plain name is the
 * group without its children), v2 inactive_file; v2 has no total_ names, so that one decides. */
static int64_t memory_used(const json_t *memory)
{
    const json_t *details = json_at(memory, "stats");
    bool v1 = json_is_number(json_at(details, "total_inactive_file"));
    int64_t inactive = counter(details, v1 ? "total_inactive_file" : "inactive_file");
    int64_t usage = counter(memory, "usage");
    return inactive < usage ? usage - inactive : 0;
}

static void network_read(const json_t *networks, struct engine_stats *s)
{
    const char *name;
    json_t *one;
    json_object_foreach ((json_t *)networks, name, one) {
        add(&s->network_receive, counter(one, "rx_bytes"));
        add(&s->network_transmit, counter(one, "tx_bytes"));
    }
}

static void io_read(const json_t *operations, struct engine_stats *s)
{
    size_t i;
    json_t *one;
    json_array_foreach (operations, i, one) {
        const char *op = json_str(one, "op"); /* "Read" with cgroup v1, "read" with v2 */
        if (op && str_ieq(op, "read"))
            add(&s->io_read, counter(one, "value"));
        else if (op && str_ieq(op, "write"))
            add(&s->io_write, counter(one, "value"));
    }
}

int docker_stats_parse(const char *text, size_t len, struct engine_stats *ret, struct error *e)
{
    struct engine_stats s = { 0 };
    /* "No limit" is 2^64-1 here, which jansson refuses as an integer; 53 bits are enough for every counter. */
    _cleanup_json_ json_t *all = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, NULL);
    const char *read = json_str(all, "read");
    if (!json_is_object(all) || !read || time_parse(read, &s.read_ms) < 0)
        return error_set(e, ERR_UPSTREAM, "The container engine's statistics cannot be read.");
    if (s.read_ms <= 0)
        return error_set(e, ERR_CONFLICT, "The container is not running, so it has no statistics.");
    s.cpu_seconds = json_num(all, "cpu_stats.cpu_usage.total_usage", 0) / 1e9;
    s.cpu_limit_cores = json_num(all, "cpu_stats.online_cpus", 0);
    if (s.cpu_limit_cores <= 0)
        s.cpu_limit_cores = (double)json_array_size(json_at(all, "cpu_stats.cpu_usage.percpu_usage"));
    s.memory_used = memory_used(json_at(all, "memory_stats"));
    s.memory_limit = counter(all, "memory_stats.limit");
    network_read(json_at(all, "networks"), &s);
    io_read(json_at(all, "blkio_stats.io_service_bytes_recursive"), &s);
    s.pids = counter(all, "pids_stats.current");
    *ret = s;
    return 0;
}
