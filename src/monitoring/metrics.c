#define LOG_ROOM "monitoring"
#include "monitoring/metrics_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>

#define DEFAULT_MAX_SERIES 100000
#define DEFAULT_HEAD_BYTES ((size_t)256 << 20)
#define DEFAULT_LATEST_MS 60000
#define DEFAULT_RETENTION_MS ((int64_t)90 * 24 * 3600 * 1000)
#define SIZE_EVERY 64 /* commits between looks at the head's size */

/* ---- open, close ---- */

static void metrics_free(struct metrics *m)
{
    for (size_t i = 0; i < m->group_count; i++)
        group_free(m->groups[i]);
    free(m->groups);
    registry_done(&m->registry);
    metric_codec_free(m->write_codec);
    metric_codec_free(m->head_codec);
    pthread_mutex_destroy(&m->writer);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* What could be read of a damaged chunk becomes blocks, so that new frames do not build on what is missing. */
static int seal_damaged(struct metrics *m, struct error *e)
{
    int r = 0;
    for (size_t i = 0; i < m->group_count && r == 0; i++) {
        struct group *g = m->groups[i];
        if (!g->damaged)
            continue;
        log_warn("the log of metric group %s is damaged: kept are %u times of its open chunk", g->name, g->ticks);
        r = metric_seal_group(m, g, e);
        if (r == 0 && g->log_last)
            r = metric_drop_frames(m, g, e);
    }
    return r;
}

int metrics_open(const struct metrics_options *o, struct metrics **ret, struct error *e)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(e, ERR_INTERNAL, "No memory for the metric engine.");
    m->magic = METRICS_MAGIC;
    m->o = *o;
    m->o.max_series = o->max_series ? o->max_series : DEFAULT_MAX_SERIES;
    m->o.head_bytes = o->head_bytes ? o->head_bytes : DEFAULT_HEAD_BYTES;
    m->o.latest_every_ms = o->latest_every_ms ? o->latest_every_ms : DEFAULT_LATEST_MS;
    m->o.retention_ms = o->retention_ms ? o->retention_ms : DEFAULT_RETENTION_MS;
    m->next_series = m->next_group = m->next_log = m->next_times = 1;
    m->commits_to_size = SIZE_EVERY;
    m->latest_due_mono = clock_mono_ms() + m->o.latest_every_ms;
    pthread_mutex_init(&m->writer, NULL);
    pthread_mutex_init(&m->lock, NULL);
    m->write_codec = metric_codec_new();
    m->head_codec = metric_codec_new();
    int r =
        m->write_codec && m->head_codec ? metric_load(m, e) : error_set(e, ERR_INTERNAL, "No memory for the codec.");
    if (r == 0)
        r = seal_damaged(m, e);
    if (r < 0) {
        metrics_free(m);
        return r;
    }
    *ret = m;
    return 0;
}

static int write_latest(struct metrics *m, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_WRITE, &c, e);
    if (r == 0)
        r = metric_store_latest(m, c, e);
    if (r == 0)
        r = store_commit(c, e);
    if (r == 0)
        metric_latest_written(m);
    return r;
}

void metrics_close(struct metrics *m)
{
    if (!m)
        return;
    MAGIC_CHECK(m, METRICS_MAGIC);
    _cleanup_error_ struct error e = ERROR_INIT;
    pthread_mutex_lock(&m->writer);
    if (write_latest(m, &e) < 0) /* the samples are in the log; only the table lags */
        log_debug("latest values were not written: %s", e.message);
    pthread_mutex_unlock(&m->writer);
    m->magic = 0;
    metrics_free(m);
}

/* ---- groups and series ---- */

struct group *metric_group_by_id(struct metrics *m, uint64_t id)
{
    for (size_t i = 0; i < m->group_count; i++)
        if (m->groups[i]->id == id)
            return m->groups[i];
    return NULL;
}

int metric_group_add(struct metrics *m, uint64_t id, const char *name, int64_t interval_ms, struct group **ret,
                     struct error *e)
{
    if (m->group_count == m->group_room) {
        size_t room = m->group_room ? m->group_room * 2 : 8;
        struct group **more = realloc(m->groups, room * sizeof *more);
        if (!more)
            return error_set(e, ERR_INTERNAL, "No memory for another group.");
        m->groups = more;
        m->group_room = room;
    }
    struct group *g = group_new(id, name, interval_ms);
    if (!g)
        return error_set(e, ERR_INTERNAL, "No memory for another group.");
    *ret = m->groups[m->group_count++] = g;
    return 0;
}

static struct group *group_by_name(struct metrics *m, const char *name)
{
    for (size_t i = 0; i < m->group_count; i++)
        if (strcmp(m->groups[i]->name, name) == 0)
            return m->groups[i];
    return NULL;
}

int metrics_group(struct metrics *m, const char *name, int64_t interval_ms, uint64_t *ret_group, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    if (!name[0] || strlen(name) > METRIC_TEXT_MAX || interval_ms <= 0)
        return error_set(e, ERR_VALIDATION, "A group needs a name and an interval.");
    int r = 0;
    pthread_mutex_lock(&m->writer); /* chunks and interval change only with it */
    pthread_mutex_lock(&m->lock);
    struct group *g = group_by_name(m, name);
    if (!g)
        r = metric_group_add(m, m->next_group++, name, interval_ms, &g, e);
    if (r == 0 && g->interval_ms != interval_ms) {
        g->interval_ms = interval_ms;
        g->stored = false;
    }
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_unlock(&m->writer);
    if (r == 0)
        *ret_group = g->id;
    return r;
}

/* With the lock held. */
static int refuse_series(struct metrics *m, struct error *e)
{
    m->stats.refused_series++;
    if (!m->warned_full)
        log_warn("the limit of %zu series is reached: new series are refused", m->o.max_series);
    m->warned_full = true;
    return error_set(e, ERR_UNAVAILABLE, "The limit of %zu series is reached.", m->o.max_series);
}

int metrics_series(struct metrics *m, const struct metric_def *def, uint64_t *ret_id, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    uint64_t hash = metric_def_hash(def);
    int r = 0;
    pthread_mutex_lock(&m->lock);
    struct series *s = registry_find(&m->registry, def, hash);
    if (!s && (r = metric_def_check(def, e)) == 0) {
        if (m->registry.count >= m->o.max_series)
            r = refuse_series(m, e);
        else if (!(s = registry_add(&m->registry, m->next_series, def, hash)))
            r = error_set(e, ERR_INTERNAL, "No memory for another series.");
        else
            m->next_series++;
    }
    if (s)
        *ret_id = s->id;
    pthread_mutex_unlock(&m->lock);
    return r;
}

/* ---- a commit ---- */

static int remember_sender(struct group *g, const uint64_t *ids, size_t n)
{
    if (n > g->sender_room) {
        uint64_t *more = realloc(g->sender, n * sizeof *more);
        if (more)
            g->sender = more;
        struct series **series = realloc(g->sender_series, n * sizeof *series);
        if (series)
            g->sender_series = series;
        uint32_t *slots = realloc(g->sender_slots, n * sizeof *slots);
        if (slots)
            g->sender_slots = slots;
        if (!more || !series || !slots)
            return -ENOMEM;
        g->sender_room = n;
    }
    memcpy(g->sender, ids, n * sizeof *ids);
    return 0;
}

/* The sender's order is as last time: slots are known. */
static bool fill_as_before(struct group *g, struct body *b, const uint64_t *ids, const double *values, size_t n)
{
    if (n != g->sender_count || memcmp(ids, g->sender, n * sizeof *ids) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        b->present[g->sender_slots[i]] = true;
        b->values[g->sender_slots[i]] = values[i];
    }
    b->fresh = n;
    return true;
}

static struct member *member_in(const struct series *s, const struct group *g)
{
    struct member *at = s->members;
    while (at && at->group != g)
        at = at->next_of_series;
    return at;
}

/* The slot of a series in the body; a new one when it has none yet. */
static size_t slot_for(const struct group *g, struct body *b, struct series *s)
{
    struct member *member = member_in(s, g);
    if (member)
        return member->slot;
    if (!s->body_slot) {
        b->ids[b->slots - b->old_slots] = s->id;
        b->added[b->slots - b->old_slots] = s;
        s->body_slot = (uint32_t)++b->slots;
    }
    return s->body_slot - 1;
}

/* With the lock held. Counts what is left out. */
static void fill_by_id(struct metrics *m, struct group *g, struct body *b, bool same_tick, const uint64_t *ids,
                       const double *values, size_t n)
{
    bool plain = remember_sender(g, ids, n) == 0 && !same_tick;
    g->sender_count = 0;
    for (size_t i = 0; i < n; i++) {
        struct series *s = registry_by_id(&m->registry, ids[i]);
        if (!s) {
            m->stats.unknown_ids++;
            plain = false;
            continue;
        }
        size_t slot = slot_for(g, b, s);
        bool taken = slot < b->old_slots && same_tick && member_has_tick(g->slots[slot], g->ticks - 1);
        if (b->present[slot] || taken) {
            m->stats.duplicates++;
            plain = false;
            continue;
        }
        b->present[slot] = true;
        b->values[slot] = values[i];
        b->fresh++;
        if (!plain)
            continue;
        g->sender_series[i] = s;
        g->sender_slots[i] = (uint32_t)slot;
    }
    for (size_t i = 0; i < b->slots - b->old_slots; i++)
        b->added[i]->body_slot = 0;
    if (plain)
        g->sender_count = n; /* its slots are right once this body is applied; a failed commit clears it */
}

static int write_body(struct metrics *m, struct group *g, const struct body *b, int64_t at_ms, const struct buf *frame,
                      bool *ret_latest, struct error *e)
{
    bool latest = clock_mono_ms() >= m->latest_due_mono;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_WRITE, &c, e);
    if (r == 0 && m->log_uncertain)
        r = metric_store_forget_frames_from(c, m->next_log, e);
    if (r == 0 && !g->stored)
        r = metric_store_group(c, g, e);
    for (size_t i = 0; r == 0 && i < b->slots - b->old_slots; i++)
        if (!b->added[i]->stored)
            r = metric_store_series(c, b->added[i], at_ms, e);
    if (r == 0)
        r = metric_store_frame(c, m->next_log, g->id, at_ms, frame, e);
    if (r == 0 && latest)
        r = metric_store_latest(m, c, e);
    if (r == 0) {
        r = store_commit(c, e);
        m->log_uncertain = r < 0;
    }
    if (r == 0)
        *ret_latest = latest;
    return r;
}

static void take_in(struct metrics *m, struct group *g, const struct body *b, int64_t at_ms, bool same_tick)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < b->slots - b->old_slots; i++)
        b->added[i]->stored = true;
    g->stored = true;
    head_apply(g, b, at_ms, same_tick);
    g->log_first = g->log_first ? g->log_first : m->next_log;
    g->log_last = m->next_log++;
    m->stats.samples += b->fresh;
    m->stats.commits++;
    pthread_mutex_unlock(&m->lock);
}

static int encode_body(struct metrics *m, struct group *g, struct body *b, struct buf *frame, bool same_tick,
                       struct error *e)
{
    struct frame f = { b->old_slots, b->slots, g->last, b->values, b->present, b->ids };
    int r = frame_encode(m->write_codec, &f, frame);
    if (r == 0) {
        pthread_mutex_lock(&m->lock);
        r = head_prepare(g, m->write_codec, b, same_tick);
        pthread_mutex_unlock(&m->lock);
    }
    return r < 0 ? error_errno(e, r, "Taking in metrics") : 0;
}

static int commit_body(struct metrics *m, struct group *g, int64_t at_ms, const uint64_t *ids, const double *values,
                       size_t n, struct error *e)
{
    _cleanup_(body_done) struct body b = { 0 };
    _cleanup_buf_ struct buf frame;
    buf_init(&frame, 0);
    bool same_tick = g->ticks && g->times[g->ticks - 1] == at_ms, latest = false;
    if (body_begin(&b, g, n) < 0)
        return error_set(e, ERR_INTERNAL, "No memory for a body of metrics.");
    if (same_tick || !fill_as_before(g, &b, ids, values, n)) {
        pthread_mutex_lock(&m->lock);
        fill_by_id(m, g, &b, same_tick, ids, values, n);
        pthread_mutex_unlock(&m->lock);
    }
    if (b.fresh == 0)
        return 0;
    int r = encode_body(m, g, &b, &frame, same_tick, e);
    if (r == 0)
        r = write_body(m, g, &b, at_ms, &frame, &latest, e);
    if (r < 0) {
        g->sender_count = 0;
        return r;
    }
    if (latest) /* what was written is without this body */
        metric_latest_written(m);
    take_in(m, g, &b, at_ms, same_tick);
    return 0;
}

/* ---- sealing ---- */

int metric_seal_group(struct metrics *m, struct group *g, struct error *e)
{
    if (!g->ticks)
        return 0;
    uint64_t blocks = 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(m->o.store, STORE_WRITE, &c, e);
    if (r == 0)
        r = metric_store_chunk(m, c, g, m->next_times, &blocks, e);
    if (r == 0)
        r = metric_store_latest(m, c, e); /* after a restart these are all that is known of the last values */
    if (r == 0) {
        r = store_commit(c, e);
        m->next_times++; /* also after a failure: its rows may be there all the same */
    }
    if (r < 0)
        return r;
    metric_latest_written(m);
    pthread_mutex_lock(&m->lock);
    head_reset(g);
    m->stats.sealed_blocks += blocks;
    pthread_mutex_unlock(&m->lock);
    return 0;
}

int metrics_seal(struct metrics *m, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    int r = 0;
    pthread_mutex_lock(&m->writer);
    for (size_t i = 0; i < m->group_count && r == 0; i++)
        r = metric_seal_group(m, m->groups[i], e);
    pthread_mutex_unlock(&m->writer);
    return r;
}

static size_t head_size(const struct metrics *m, struct group **ret_largest)
{
    size_t sum = 0, most = 0;
    *ret_largest = NULL;
    for (size_t i = 0; i < m->group_count; i++) {
        size_t bytes = head_bytes(m->groups[i]);
        sum += bytes;
        if (bytes > most && m->groups[i]->ticks) {
            most = bytes;
            *ret_largest = m->groups[i];
        }
    }
    return sum;
}

static int bound_head(struct metrics *m, struct error *e)
{
    if (--m->commits_to_size)
        return 0;
    m->commits_to_size = SIZE_EVERY;
    struct group *largest;
    size_t bytes = head_size(m, &largest);
    if (bytes <= m->o.head_bytes || !largest)
        return 0;
    m->commits_to_size = 1;
    m->stats.early_seals++;
    return metric_seal_group(m, largest, e);
}

/* Makes the group ready for a tick at at_ms. 1: the body is too late to keep. */
static int make_room(struct metrics *m, struct group *g, int64_t at_ms, struct error *e)
{
    if (!g->ticks || at_ms == g->times[g->ticks - 1])
        return 0;
    if (at_ms > g->times[g->ticks - 1])
        return g->ticks < METRIC_CHUNK_TICKS ? 0 : metric_seal_group(m, g, e);
    /* A single straggler is dropped; a sender whose clock went back is followed. */
    if (g->ticks < METRIC_LATE_TICKS && ++g->late_run < METRIC_LATE_TICKS)
        return 1;
    return metric_seal_group(m, g, e);
}

static int commit_locked(struct metrics *m, uint64_t group, int64_t at_ms, const uint64_t *ids, const double *values,
                         size_t n, struct error *e)
{
    pthread_mutex_lock(&m->lock);
    struct group *g = metric_group_by_id(m, group);
    pthread_mutex_unlock(&m->lock);
    if (!g)
        return error_set(e, ERR_NOT_FOUND, "There is no metric group %llu.", (unsigned long long)group);
    if (at_ms <= 0 || at_ms > METRIC_TIME_MAX || n > FRAME_SLOTS_MAX / 2)
        return error_set(e, ERR_VALIDATION, "A body of metrics needs a time and at most %d samples.",
                         FRAME_SLOTS_MAX / 2);
    int r = bound_head(m, e);
    if (r == 0)
        r = make_room(m, g, at_ms, e);
    if (r == 0 && g->slot_count + n > FRAME_SLOTS_MAX)
        r = metric_seal_group(m, g, e);
    if (r == 1) {
        pthread_mutex_lock(&m->lock);
        m->stats.late += n;
        pthread_mutex_unlock(&m->lock);
        return 0;
    }
    return r < 0 ? r : commit_body(m, g, at_ms, ids, values, n, e);
}

int metrics_commit(struct metrics *m, uint64_t group, int64_t at_ms, const uint64_t *ids, const double *values,
                   size_t n, struct error *e)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    if (n == 0)
        return 0;
    pthread_mutex_lock(&m->writer);
    int r = commit_locked(m, group, at_ms, ids, values, n, e);
    if (r < 0) {
        pthread_mutex_lock(&m->lock);
        m->stats.failed_commits++;
        pthread_mutex_unlock(&m->lock);
    }
    pthread_mutex_unlock(&m->writer);
    return r;
}

/* A sender repeats itself: compared with its last body's series in order, labels need no hash. */
static bool resolve_as_before(struct metrics *m, uint64_t group, const struct metric_sample *samples, size_t n,
                              uint64_t *ids)
{
    pthread_mutex_lock(&m->lock);
    const struct group *g = metric_group_by_id(m, group);
    size_t i = 0;
    if (g && g->sender_count == n)
        while (i < n && metric_def_equal(&g->sender_series[i]->labels->def, &samples[i].def))
            i++;
    bool same = i == n && n > 0;
    if (same)
        memcpy(ids, g->sender, n * sizeof *ids);
    pthread_mutex_unlock(&m->lock);
    return same;
}

int metrics_append(struct metrics *m, const char *group, int64_t interval_ms, int64_t at_ms,
                   const struct metric_sample *samples, size_t n, struct error *e)
{
    uint64_t group_id;
    int r = metrics_group(m, group, interval_ms, &group_id, e);
    if (r < 0)
        return r;
    _cleanup_free_ uint64_t *ids = calloc(n + 1, sizeof *ids);
    _cleanup_free_ double *values = calloc(n + 1, sizeof *values);
    if (!ids || !values)
        return error_set(e, ERR_INTERNAL, "No memory for a body of metrics.");
    bool known = resolve_as_before(m, group_id, samples, n, ids);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        r = known ? 0 : metrics_series(m, &samples[i].def, &ids[kept], e);
        if (r < 0 && r != -ERR_UNAVAILABLE) /* the limit leaves a sample out, a malformed one refuses the body */
            return r;
        if (r == 0)
            values[kept++] = samples[i].value;
    }
    return metrics_commit(m, group_id, at_ms, ids, values, kept, e);
}

void metrics_get_stats(struct metrics *m, struct metrics_stats *ret)
{
    MAGIC_CHECK(m, METRICS_MAGIC);
    pthread_mutex_lock(&m->lock);
    struct group *largest;
    *ret = m->stats;
    ret->series = m->registry.count;
    ret->groups = m->group_count;
    ret->head_bytes = head_size(m, &largest);
    pthread_mutex_unlock(&m->lock);
}
