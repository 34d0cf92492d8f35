#include "monitoring/metric_frame.h"

#include <errno.h>
#include <string.h>

/* Layout: flags, slots, old slots, then (zstd when shorter: its plain length first)
 * new ids as differences, presence bits unless all, changed bits of the present ones, a class in two bits for
 * each changed one, the differences as varints, the raw values. */
enum { FRAME_ZSTD = 1, FRAME_ALL = 2, FRAME_KNOWN = 3 };
enum class { CLASS_INTEGER = 0, CLASS_MILLI = 1, CLASS_RAW = 2 };
static const unsigned CLASS_SCALE[] = { 0, 3 };

static size_t bitmap_bytes(size_t bits)
{
    return (bits + 7) / 8;
}

static bool bit_get(const uint8_t *map, size_t i)
{
    return map[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *map, size_t i)
{
    map[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* The integer that differences of a class count from: 0 when the value before has none. */
static int64_t base_of(double before, unsigned scale)
{
    int64_t k;
    return double_to_scaled(before, scale, &k) ? k : 0;
}

static enum class classify(double v, double before, int64_t *ret_difference) {
    for (unsigned class = CLASS_INTEGER; class < CLASS_RAW;
         class ++){ int64_t k; if (!double_to_scaled(v, CLASS_SCALE[class], &k)) continue;
                    *ret_difference = k - base_of(before, CLASS_SCALE[class]); return class; }
return CLASS_RAW;
}

static void put_raw(uint8_t *dst, double v)
{
    uint64_t bits = double_bits(v);
    for (unsigned i = 0; i < 8; i++)
        dst[i] = (uint8_t)(bits >> (8 * i));
}

static double get_raw(const uint8_t *src)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++)
        bits |= (uint64_t)src[i] << (8 * i);
    return bits_double(bits);
}

struct changes {
    size_t present, changed;
    uint8_t *changed_bits, *classes, *varints, *raws;
    size_t varints_len, raws_len;
};

/* Worst case of everything behind the header. */
static size_t body_room(const struct frame *f)
{
    return (f->slots - f->old_slots) * 10 + bitmap_bytes(f->slots) * 4 + f->slots * 10 + 64;
}

static void collect(const struct frame *f, struct changes *ch)
{
    for (size_t i = 0; i < f->slots; i++) {
        if (!f->present[i])
            continue;
        size_t at = ch->present++;
        double before = i < f->old_slots ? f->before[i] : 0;
        if (double_bits(f->values[i]) == double_bits(before))
            continue;
        bit_set(ch->changed_bits, at);
        int64_t difference = 0;
        enum class class = classify(f->values[i], before, &difference);
        ch->classes[ch->changed / 4] |= (uint8_t)(class << (ch->changed % 4 * 2));
        ch->changed++;
        if (class == CLASS_RAW) {
            put_raw(ch->raws + ch->raws_len, f->values[i]);
            ch->raws_len += 8;
        } else {
            ch->varints_len += varint_put(ch->varints + ch->varints_len, zigzag(difference));
        }
    }
}

static uint8_t *copy(uint8_t *dst, const void *src, size_t n)
{
    memcpy(dst, src, n);
    return dst + n;
}

static size_t put_body(const struct frame *f, const struct changes *ch, bool all, uint8_t *body)
{
    uint8_t *at = body;
    uint64_t before = 0;
    for (size_t i = 0; i < f->slots - f->old_slots; i++) {
        at += varint_put(at, zigzag((int64_t)(f->ids[i] - before)));
        before = f->ids[i];
    }
    if (!all) {
        memset(at, 0, bitmap_bytes(f->slots));
        for (size_t i = 0; i < f->slots; i++)
            if (f->present[i])
                bit_set(at, i);
        at += bitmap_bytes(f->slots);
    }
    at = copy(at, ch->changed_bits, bitmap_bytes(ch->present));
    at = copy(at, ch->classes, bitmap_bytes(ch->changed * 2));
    at = copy(at, ch->varints, ch->varints_len);
    at = copy(at, ch->raws, ch->raws_len);
    return (size_t)(at - body);
}

static int put_frame(const uint8_t *body, size_t plain, const uint8_t *packed, size_t packed_len, const struct frame *f,
                     bool all, struct buf *out)
{
    uint8_t head[32];
    size_t n = 0;
    head[n++] = (uint8_t)((packed_len ? FRAME_ZSTD : 0) | (all ? FRAME_ALL : 0));
    n += varint_put(head + n, f->slots);
    n += varint_put(head + n, f->old_slots);
    if (packed_len)
        n += varint_put(head + n, plain);
    int r = buf_append(out, head, n);
    return r < 0 ? r : buf_append(out, packed_len ? packed : body, packed_len ? packed_len : plain);
}

int frame_encode(struct metric_codec *c, const struct frame *f, struct buf *out)
{
    size_t room = body_room(f), bits = bitmap_bytes(f->slots);
    _cleanup_free_ uint8_t *scratch = calloc(1, bits * 3 + f->slots * 18 + room * 2 + 64);
    if (!scratch)
        return -ENOMEM;
    struct changes ch = { .changed_bits = scratch, .classes = scratch + bits };
    ch.varints = ch.classes + bits * 2;
    ch.raws = ch.varints + f->slots * 10;
    uint8_t *body = ch.raws + f->slots * 8, *packed = body + room;
    collect(f, &ch);
    bool all = ch.present == f->slots;
    size_t plain = put_body(f, &ch, all, body);
    size_t packed_len = metric_squeeze(c, body, plain, packed, room);
    return put_frame(body, plain, packed, packed_len, f, all, out);
}

static int read_head(struct reader *r, unsigned *ret_flags, size_t *ret_slots, size_t *ret_old)
{
    const uint8_t *flags = reader_bytes(r, 1);
    uint64_t slots = flags ? reader_varint(r) : 0, old = reader_varint(r);
    if (!flags || r->failed || (*flags & ~FRAME_KNOWN) || slots > FRAME_SLOTS_MAX || old > slots)
        return -EBADMSG;
    *ret_flags = *flags;
    *ret_slots = slots;
    *ret_old = old;
    return 0;
}

int frame_slots(const void *bytes, size_t len, size_t *ret_slots)
{
    struct reader r = { bytes, bytes ? (const uint8_t *)bytes + len : NULL, false };
    unsigned flags;
    size_t old;
    return read_head(&r, &flags, ret_slots, &old);
}

struct sections {
    const uint8_t *presence, *changed_bits, *classes;
    size_t present, changed;
    struct reader rest;   /* varints, then raws */
    const uint8_t *raws;
};

static size_t count_bits(const uint8_t *map, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += bit_get(map, i);
    return count;
}

static int read_sections(struct reader *r, const struct frame *f, bool all, struct sections *s)
{
    s->present = f->slots;
    if (!all) {
        s->presence = reader_bytes(r, bitmap_bytes(f->slots));
        if (!s->presence)
            return -EBADMSG;
        s->present = count_bits(s->presence, f->slots);
    }
    s->changed_bits = reader_bytes(r, bitmap_bytes(s->present));
    if (!s->changed_bits)
        return -EBADMSG;
    s->changed = count_bits(s->changed_bits, s->present);
    s->classes = reader_bytes(r, bitmap_bytes(s->changed * 2));
    if (!s->classes)
        return -EBADMSG;
    size_t raws = 0;
    for (size_t i = 0; i < s->changed; i++)
        raws += (s->classes[i / 4] >> (i % 4 * 2) & 3) >= CLASS_RAW;
    if ((size_t)(r->end - r->at) < raws * 8)
        return -EBADMSG;
    s->raws = r->end - raws * 8;
    s->rest = (struct reader){ r->at, s->raws, false };
    return 0;
}

static int read_values(const struct frame *f, struct sections *s)
{
    size_t at = 0, changed = 0;
    for (size_t i = 0; i < f->slots; i++) {
        double before = i < f->old_slots ? f->before[i] : 0;
        f->present[i] = !s->presence || bit_get(s->presence, i);
        f->values[i] = before;
        if (!f->present[i] || !bit_get(s->changed_bits, at++))
            continue;
        unsigned class = s->classes[changed / 4] >> (changed % 4 * 2) & 3;
        changed++;
        if (class == CLASS_RAW) {
            f->values[i] = get_raw(s->raws);
            s->raws += 8;
        } else if (class < CLASS_RAW) {
            uint64_t base = (uint64_t)base_of(before, CLASS_SCALE[class]);
            int64_t k = (int64_t)(base + (uint64_t)unzigzag(reader_varint(&s->rest)));
            f->values[i] = scaled_to_double(k, CLASS_SCALE[class]);
        } else {
            return -EBADMSG;
        }
    }
    return s->rest.failed || s->rest.at != s->rest.end ? -EBADMSG : 0;
}

int frame_decode(struct metric_codec *c, const void *bytes, size_t len, struct frame *f)
{
    struct reader r = { bytes, bytes ? (const uint8_t *)bytes + len : NULL, false };
    unsigned flags;
    size_t slots, old;
    int bad = read_head(&r, &flags, &slots, &old);
    if (bad < 0 || slots != f->slots || old != f->old_slots)
        return -EBADMSG;
    _cleanup_free_ uint8_t *plain = NULL;
    if (flags & FRAME_ZSTD) {
        uint64_t n = reader_varint(&r);
        if (r.failed || n > body_room(f))
            return -EBADMSG;
        plain = malloc(n + 1);
        if (!plain)
            return -ENOMEM;
        bad = metric_unsqueeze(c, r.at, (size_t)(r.end - r.at), plain, n);
        if (bad < 0)
            return bad;
        r = (struct reader){ plain, plain + n, false };
    }
    uint64_t id = 0;
    for (size_t i = 0; i < slots - old; i++)
        f->ids[i] = id += (uint64_t)unzigzag(reader_varint(&r));
    if (r.failed)
        return -EBADMSG;
    struct sections s = { 0 };
    bad = read_sections(&r, f, flags & FRAME_ALL, &s);
    return bad < 0 ? bad : read_values(f, &s);
}
