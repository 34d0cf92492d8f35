#include "metrics_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void fixture_open(struct fixture *f)
{
    struct error e = ERROR_INIT;
    struct store_options o = { .path = f->path };
    if (store_open(&o, &f->store, &e) < 0)
        fail_msg("store: %s", e.message);
    f->options.store = f->store;
    if (metrics_open(&f->options, &f->metrics, &e) < 0)
        fail_msg("metrics: %s", e.message);
}

void fixture_close(struct fixture *f)
{
    metrics_close(TAKE(f->metrics));
    store_close(TAKE(f->store));
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->folder, "/dev/shm/hb-metrics-XXXXXX"); /* thousands of synced commits: in memory where there is one */
    if (!mkdtemp(f->folder)) {
        strcpy(f->folder, "/tmp/hb-metrics-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
    }
    snprintf(f->path, sizeof f->path, "%s/hub.db", f->folder);
    fixture_open(f);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int flag UNUSED, struct FTW *ftw UNUSED)
{
    return remove(path);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

struct metric_def fixture_def(const char *name, const char *entity, const char *tags)
{
    return (struct metric_def){ .source = "host",
                                .type = "infrastructure",
                                .category = "cpu",
                                .entity_id = entity,
                                .entity_type = "node",
                                .name = name,
                                .unit = "percent",
                                .tags = tags };
}

void fixture_put(struct fixture *f, const char *name, int64_t at_ms, double value)
{
    struct error e = ERROR_INIT;
    struct metric_sample s = { fixture_def(name, "node-1", "{}"), value };
    if (metrics_append(f->metrics, "g", 10000, at_ms, &s, 1, &e) < 0)
        fail_msg("append: %s", e.message);
}

struct metric_result fixture_ask(struct fixture *f, const char *name, int64_t from, int64_t to, int64_t step,
                                 enum metric_fn fn)
{
    struct error e = ERROR_INIT;
    struct metric_result result;
    struct metric_query q = { .filter.name = name, .from_ms = from, .to_ms = to, .step_ms = step, .fn = fn };
    if (metrics_query(f->metrics, &q, &result, &e) < 0)
        fail_msg("query: %s", e.message);
    return result;
}

uint64_t fixture_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}
