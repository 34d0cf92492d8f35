#include "monitoring/metric_head.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define FUTURE_MS 60000 /* a latest value from later than this came of a wrong clock: newer ones replace it */

struct group *group_new(uint64_t id, const char *name, int64_t interval_ms)
{
    struct group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->id = id;
    g->interval_ms = interval_ms;
    g->name = strdup(name);
    if (!g->name) {
        free(g);
        return NULL;
    }
    return g;
}

static void unlink_member(struct member *m)
{
    if (!m->series)
        return;
    struct member **link = &m->series->members;
    while (*link != m)
        link = &(*link)->next_of_series;
    *link = m->next_of_series;
    m->series = NULL;
}

void member_forget(struct member *m)
{
    unlink_member(m);
}

static void member_free(struct member *m)
{
    if (!m)
        return;
    unlink_member(m);
    free(m->presence);
    free(m->raw);
    free(m->packed);
    free(m);
}

void head_reset(struct group *g)
{
    for (size_t i = 0; i < g->slot_room; i++) {
        member_free(g->slots[i]);
        g->slots[i] = NULL;
    }
    g->slot_count = g->sender_count = 0;
    g->ticks = 0;
    g->log_first = g->log_last = 0;
}

void group_free(struct group *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->slot_room; i++)
        member_free(g->slots[i]);
    free(g->slots);
    free(g->last);
    free(g->sender);
    free(g->sender_series);
    free(g->sender_slots);
    free(g->name);
    free(g);
}

/* ---- a body ---- */

void body_done(struct body *b)
{
    free(b->present);
    free(b->values);
    free(b->ids);
    free(b->added);
    *b = (struct body){ 0 };
}

int body_begin(struct body *b, const struct group *g, size_t new_slots)
{
    size_t room = g->slot_count + new_slots + 1;
    *b = (struct body){ .slots = g->slot_count, .old_slots = g->slot_count, .room = room };
    b->present = calloc(room, sizeof *b->present);
    b->values = calloc(room, sizeof *b->values);
    b->ids = calloc(new_slots + 1, sizeof *b->ids);
    b->added = calloc(new_slots + 1, sizeof *b->added);
    if (b->present && b->values && b->ids && b->added)
        return 0;
    body_done(b);
    return -ENOMEM;
}

/* ---- a member's values ---- */

static bool pack(struct member *m, struct metric_codec *c, const double *values, size_t n)
{
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    unsigned coding;
    if (metric_encode(c, values, n, &coding, &out) < 0)
        return false;
    size_t need = m->packed_len + out.len + 12;
    if (need > m->packed_room) {
        size_t room = need + (m->raw ? 64 : 0);
        uint8_t *more = realloc(m->packed, room);
        if (!more)
            return false;
        m->packed = more;
        m->packed_room = (uint32_t)room;
    }
    uint8_t *at = m->packed + m->packed_len;
    at += varint_put(at, n);
    *at++ = (uint8_t)coding;
    at += varint_put(at, out.len);
    memcpy(at, out.data, out.len);
    m->packed_len = (uint32_t)(at + out.len - m->packed);
    return true;
}

/* The values so far, all the same, become one packed run; from now on there is a raw buffer. */
static bool begin_raw(struct member *m, struct metric_codec *c, double same)
{
    double *raw = malloc(HEAD_RAW * sizeof *raw);
    if (!raw)
        return false;
    double run[METRIC_CHUNK_TICKS];
    for (unsigned i = 0; i < m->count; i++)
        run[i] = same;
    if (m->count && !pack(m, c, run, m->count)) {
        free(raw);
        return false;
    }
    m->raw = raw;
    m->raw_count = 0;
    return true;
}

static bool begin_presence(struct member *m)
{
    uint64_t *map = calloc(PRESENCE_WORDS, sizeof *map);
    if (!map)
        return false;
    for (unsigned tick = m->first_tick; tick < m->first_tick + m->count; tick++)
        map[tick / 64] |= (uint64_t)1 << (tick % 64);
    m->presence = map;
    return true;
}

static bool member_prepare(struct member *m, struct metric_codec *c, double last, double value, unsigned tick)
{
    if (m->count && !m->presence && tick != m->first_tick + m->count && !begin_presence(m))
        return false;
    if (!m->raw && m->count && double_bits(last) != double_bits(value) && !begin_raw(m, c, last))
        return false;
    if (m->raw && m->raw_count == HEAD_RAW) {
        if (!pack(m, c, m->raw, HEAD_RAW))
            return false;
        m->raw_count = 0;
    }
    return true;
}

static void member_add(struct member *m, double value, unsigned tick)
{
    if (m->count == 0)
        m->first_tick = (uint16_t)tick;
    if (m->presence)
        m->presence[tick / 64] |= (uint64_t)1 << (tick % 64);
    if (m->raw)
        m->raw[m->raw_count++] = value;
    m->count++;
}

bool member_has_tick(const struct member *m, unsigned tick)
{
    if (m->presence)
        return m->presence[tick / 64] >> (tick % 64) & 1;
    return m->count && tick >= m->first_tick && tick < (unsigned)m->first_tick + m->count;
}

static size_t read_packed(const struct member *m, struct metric_codec *c, double *ret)
{
    struct reader r = { m->packed, m->packed ? m->packed + m->packed_len : NULL, false };
    size_t n = 0;
    while (r.at < r.end) {
        size_t count = reader_varint(&r);
        unsigned coding = *reader_bytes(&r, 1);
        size_t len = reader_varint(&r);
        if (n + count > METRIC_CHUNK_TICKS || metric_decode(c, coding, reader_bytes(&r, len), len, ret + n, count) < 0)
            return n;
        n += count;
    }
    return n;
}

size_t member_read(const struct member *m, struct metric_codec *c, uint16_t *ret_ticks, double *ret_values)
{
    size_t n = 0;
    if (m->presence) {
        for (unsigned tick = 0; tick < METRIC_CHUNK_TICKS; tick++)
            if (member_has_tick(m, tick))
                ret_ticks[n++] = (uint16_t)tick;
    } else {
        for (; n < m->count; n++)
            ret_ticks[n] = (uint16_t)(m->first_tick + n);
    }
    if (!m->raw) { /* has not changed yet */
        for (size_t i = 0; i < n; i++)
            ret_values[i] = m->group->last[m->slot];
        return n;
    }
    size_t have = read_packed(m, c, ret_values);
    for (size_t i = 0; i < m->raw_count && have < METRIC_CHUNK_TICKS; i++)
        ret_values[have++] = m->raw[i];
    return have < n ? have : n;
}

/* ---- a group's chunk ---- */

static int slots_reserve(struct group *g, size_t slots)
{
    if (slots <= g->slot_room)
        return 0;
    size_t room = slots + slots / 4 + 8;
    struct member **all = realloc(g->slots, room * sizeof *all);
    if (all)
        g->slots = all;
    double *last = realloc(g->last, room * sizeof *last);
    if (last)
        g->last = last;
    if (!all || !last)
        return -ENOMEM;
    memset(g->slots + g->slot_room, 0, (room - g->slot_room) * sizeof *g->slots);
    g->slot_room = room;
    return 0;
}

int head_prepare(struct group *g, struct metric_codec *c, const struct body *b, bool same_tick)
{
    unsigned tick = same_tick ? g->ticks - 1 : g->ticks;
    int r = slots_reserve(g, b->slots);
    if (r < 0)
        return r;
    for (size_t i = b->old_slots; i < b->slots; i++) {
        if (!g->slots[i] && !(g->slots[i] = calloc(1, sizeof *g->slots[i])))
            return -ENOMEM; /* those made before stay for the next body */
        g->slots[i]->group = g;
        g->slots[i]->slot = (uint32_t)i;
    }
    for (size_t i = 0; i < b->old_slots; i++)
        if (b->present[i] && !member_prepare(g->slots[i], c, g->last[i], b->values[i], tick))
            return -ENOMEM;
    return 0;
}

static void link_member(struct member *m, struct series *s)
{
    m->series = s;
    if (!s)
        return;
    m->next_of_series = s->members;
    s->members = m;
}

static void note_latest(struct series *s, const struct group *g, double value, int64_t at_ms)
{
    if (!s)
        return;
    if (!s->first_ms || at_ms < s->first_ms)
        s->first_ms = at_ms;
    if (at_ms < s->last_ms && s->last_ms <= clock_now_ms() + FUTURE_MS)
        return;
    s->dirty = true;
    s->last = value;
    s->last_ms = at_ms;
    s->interval_ms = g->interval_ms;
}

void head_apply(struct group *g, const struct body *b, int64_t at_ms, bool same_tick)
{
    assert(same_tick ? g->ticks > 0 : g->ticks < METRIC_CHUNK_TICKS);
    unsigned tick = same_tick ? g->ticks - 1 : g->ticks;
    for (size_t i = b->old_slots; i < b->slots; i++)
        link_member(g->slots[i], b->added[i - b->old_slots]);
    for (size_t i = 0; i < b->slots; i++) {
        if (!b->present[i])
            continue;
        g->last[i] = b->values[i];
        member_add(g->slots[i], b->values[i], tick);
        note_latest(g->slots[i]->series, g, b->values[i], at_ms);
    }
    for (size_t i = b->old_slots; i < b->slots; i++)
        if (!b->present[i])
            g->last[i] = 0;
    g->slot_count = b->slots;
    g->last_ms = at_ms;
    g->late_run = 0;
    if (!same_tick)
        g->times[g->ticks++] = at_ms;
}

size_t head_bytes(const struct group *g)
{
    size_t n = sizeof *g + g->slot_room * (sizeof *g->slots + sizeof *g->last) +
               g->sender_room * (sizeof *g->sender + sizeof *g->sender_series + sizeof *g->sender_slots);
    for (size_t i = 0; i < g->slot_count; i++) {
        const struct member *m = g->slots[i];
        n += sizeof *m + m->packed_room + (m->raw ? HEAD_RAW * sizeof *m->raw : 0) +
             (m->presence ? PRESENCE_WORDS * sizeof *m->presence : 0);
    }
    return n;
}
