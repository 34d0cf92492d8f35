/* Blocks and frames give back what was put in, bit for bit, in few bytes; broken ones are refused. */
#include "metrics_fixture.h"

#include "monitoring/metric_block.h"
#include "monitoring/metric_frame.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define SEED 0x9e3779b97f4a7c15ull

static struct metric_codec *codec;

static int make_codec(void **state UNUSED)
{
    codec = metric_codec_new();
    return codec ? 0 : -1;
}

static int free_codec(void **state UNUSED)
{
    metric_codec_free(codec);
    return 0;
}

/* Packs, unpacks, compares bits; returns the packed size. */
static size_t round_trip(const double *values, size_t n, unsigned *ret_coding)
{
    struct buf out;
    unsigned coding = 99;
    buf_init(&out, 0);
    assert_int_equal(metric_encode(codec, values, n, &coding, &out), 0);
    double *back = calloc(n, sizeof *back);
    assert_non_null(back);
    assert_int_equal(metric_decode(codec, coding, out.data, out.len, back, n), 0);
    for (size_t i = 0; i < n; i++)
        if (double_bits(values[i]) != double_bits(back[i]))
            fail_msg("value %zu of %zu: %a came back as %a (coding %u)", i, n, values[i], back[i], coding);
    size_t len = out.len;
    free(back);
    buf_done(&out);
    if (ret_coding)
        *ret_coding = coding;
    return len;
}

typedef double (*shape)(size_t i, uint64_t *random);

static double constant(size_t i, uint64_t *random)
{
    return 42.5;
}
static double zero(size_t i, uint64_t *random)
{
    return 0;
}
static double minus_zero(size_t i, uint64_t *random)
{
    return i % 7 ? 0.0 : -0.0;
}
static double counter(size_t i, uint64_t *random)
{
    return (double)(1000000 + i * 37 + fixture_random(random) % 20);
}
static double steady_counter(size_t i, uint64_t *random)
{
    return (double)i * 4096;
}
static double pages(size_t i, uint64_t *random)
{
    return (double)(800000 + fixture_random(random) % 500) * 4096;
}
static double hundredths(size_t i, uint64_t *random)
{
    return (double)(fixture_random(random) % 10000) / 100;
}
static double thousandths_of_thousandths(size_t i, uint64_t *random)
{
    return (double)(fixture_random(random) % 100000) / 1000 / 1000;
}
static double multiplied(size_t i, uint64_t *random)
{
    return (double)(fixture_random(random) % 100000) * 1e-6;
}
static double wave(size_t i, uint64_t *random)
{
    return sin((double)i / 20) * 100;
}
static double any_bits(size_t i, uint64_t *random)
{
    return bits_double(fixture_random(random));
}
static double special(size_t i, uint64_t *random)
{
    static const double VALUES[] = { NAN, INFINITY, -INFINITY, DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 0.0, -0.0, 1 };
    return VALUES[fixture_random(random) % ARRAY_LEN(VALUES)];
}
static double huge_integers(size_t i, uint64_t *random)
{
    return (double)(int64_t)(fixture_random(random) >> 11) * (i % 2 ? -1 : 1);
}
static double falls(size_t i, uint64_t *random)
{
    return (double)(i % 50 * 1000 + fixture_random(random) % 3);
}
static double rarely_moves(size_t i, uint64_t *random)
{
    return (double)(7 + i / 200);
}

static const shape SHAPES[] = { constant,       zero,  minus_zero,  counter,
                                steady_counter, pages, hundredths,  thousandths_of_thousandths,
                                multiplied,     wave,  any_bits,    special,
                                huge_integers,  falls, rarely_moves };

static void every_shape_and_length_comes_back_bit_for_bit(void **state)
{
    static const size_t LENGTHS[] = { 1, 2, 3, 7, 8, 9, 59, 60, 61, 479, 480, 1000, 1001, 5760 };
    uint64_t random = SEED;
    double *values = calloc(5760, sizeof *values);
    for (size_t s = 0; s < ARRAY_LEN(SHAPES); s++)
        for (size_t l = 0; l < ARRAY_LEN(LENGTHS); l++) {
            for (size_t i = 0; i < LENGTHS[l]; i++)
                values[i] = SHAPES[s](i, &random);
            round_trip(values, LENGTHS[l], NULL);
        }
    free(values);
}

static void mixed_shapes_come_back_bit_for_bit(void **state)
{
    uint64_t random = SEED;
    double values[480];
    for (unsigned round = 0; round < 400; round++) {
        size_t n = 1 + fixture_random(&random) % 480;
        for (size_t i = 0; i < n; i++)
            values[i] = SHAPES[fixture_random(&random) % ARRAY_LEN(SHAPES)](i, &random);
        round_trip(values, n, NULL);
    }
}

static size_t size_of(shape fn, size_t n, unsigned *ret_coding)
{
    uint64_t random = SEED;
    double *values = calloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = fn(i, &random);
    size_t len = round_trip(values, n, ret_coding);
    free(values);
    return len;
}

static void blocks_are_small(void **state)
{
    unsigned coding;
    assert_in_range(size_of(zero, 480, &coding), 1, 2);
    assert_int_equal(coding, CODING_CONSTANT);
    assert_in_range(size_of(constant, 480, &coding), 1, 4);
    assert_in_range(size_of(steady_counter, 480, &coding), 1, 12);
    assert_int_equal(coding, CODING_DECIMAL);
    assert_in_range(size_of(rarely_moves, 480, NULL), 1, 40);
    assert_in_range(size_of(counter, 480, NULL), 1, 480);
    assert_in_range(size_of(pages, 480, NULL), 1, 480 * 10 / 8 + 60);
    assert_in_range(size_of(hundredths, 480, &coding), 1, 480 * 15 / 8 + 60);
    assert_int_equal(coding, CODING_DECIMAL);
    assert_in_range(size_of(any_bits, 480, &coding), 1, 480 * 8 + 1);
    assert_int_equal(coding, CODING_XOR);
}

static void a_page_sized_figure_costs_no_more_than_its_pages(void **state)
{
    uint64_t random = SEED;
    double bytes[480], numbers[480];
    for (size_t i = 0; i < 480; i++) {
        numbers[i] = (double)(100 + fixture_random(&random) % 1000);
        bytes[i] = numbers[i] * 4096;
    }
    assert_in_range(round_trip(bytes, 480, NULL), 1, round_trip(numbers, 480, NULL) + 4);
}

static void regular_times_cost_a_few_bytes(void **state)
{
    int64_t times[5760], back[5760];
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < 5760; i++)
        times[i] = T0 + (int64_t)i * 15000;
    assert_int_equal(metric_encode_integers(codec, times, 5760, &out), 0);
    assert_in_range(out.len, 1, 16);
    assert_int_equal(metric_decode_integers(codec, out.data, out.len, back, 5760), 0);
    assert_memory_equal(times, back, sizeof times);
    buf_clear(&out);
    uint64_t random = SEED;
    for (size_t i = 0; i < 5760; i++)
        times[i] += (int64_t)(fixture_random(&random) % 40);
    assert_int_equal(metric_encode_integers(codec, times, 5760, &out), 0);
    assert_int_equal(metric_decode_integers(codec, out.data, out.len, back, 5760), 0);
    assert_memory_equal(times, back, sizeof times);
    buf_done(&out);
}

static void a_block_keeps_which_ticks_it_has(void **state)
{
    uint64_t random = SEED;
    for (unsigned round = 0; round < 200; round++) {
        uint16_t ticks[480], back_ticks[480];
        double values[480], back[480];
        size_t n = 0, total = 1 + fixture_random(&random) % 480, every = 1 + fixture_random(&random) % 20;
        for (size_t i = 0; i < total; i++) {
            if (fixture_random(&random) % every)
                continue;
            ticks[n] = (uint16_t)i;
            values[n++] = hundredths(i, &random);
        }
        if (!n)
            continue;
        struct buf out;
        struct block_stats stats;
        unsigned coding;
        buf_init(&out, 0);
        assert_int_equal(block_pack(codec, ticks, values, n, total, &coding, &out, &stats), 0);
        assert_int_equal(stats.count, n);
        assert_int_equal(block_unpack(codec, coding, out.data, out.len, total, n, back_ticks, back), 0);
        assert_memory_equal(ticks, back_ticks, n * sizeof *ticks);
        assert_memory_equal(values, back, n * sizeof *values);
        buf_done(&out);
    }
}

static void cut_and_changed_blocks_are_refused_or_read_within_bounds(void **state)
{
    uint64_t random = SEED;
    double values[480], back[480];
    uint16_t ticks[480], back_ticks[480];
    for (size_t s = 0; s < ARRAY_LEN(SHAPES); s++) {
        for (size_t i = 0; i < 480; i++) {
            values[i] = SHAPES[s](i, &random);
            ticks[i] = (uint16_t)i;
        }
        struct buf out;
        struct block_stats stats;
        unsigned coding;
        buf_init(&out, 0);
        assert_int_equal(block_pack(codec, ticks, values, 480, 480, &coding, &out, &stats), 0);
        for (size_t len = 0; len < out.len; len += 1 + len / 16)
            assert_int_not_equal(block_unpack(codec, coding, out.data, len, 480, 480, back_ticks, back), 0);
        for (unsigned round = 0; round < 300; round++) {
            char *copy = malloc(out.len);
            memcpy(copy, out.data, out.len);
            copy[fixture_random(&random) % out.len] ^= (char)(1 + fixture_random(&random) % 255);
            (void)block_unpack(codec, coding, copy, out.len, 480, 480, back_ticks, back);
            (void)block_unpack(codec, coding | BLOCK_SPARSE, copy, out.len, 480, 400, back_ticks, back);
            free(copy);
        }
        buf_done(&out);
    }
}

/* ---- frames ---- */

static void frames_carry_a_chunk_from_its_first_on(void **state)
{
    enum { SLOTS = 300 };
    uint64_t random = SEED;
    double before[SLOTS] = { 0 }, seen[SLOTS] = { 0 };
    size_t slots = 0;
    for (unsigned tick = 0; tick < 120; tick++) {
        double values[SLOTS], back[SLOTS];
        bool present[SLOTS] = { 0 }, back_present[SLOTS];
        uint64_t ids[SLOTS], back_ids[SLOTS];
        size_t old = slots;
        slots += tick % 10 == 0 && slots < SLOTS ? 30 : 0;
        for (size_t i = old; i < slots; i++)
            ids[i - old] = 1 + fixture_random(&random) % 1000000;
        for (size_t i = 0; i < slots; i++) {
            present[i] = fixture_random(&random) % 8 != 0 || tick % 2;
            values[i] = fixture_random(&random) % 3 ? before[i] : SHAPES[i % ARRAY_LEN(SHAPES)](tick, &random);
        }
        struct buf out;
        size_t told;
        buf_init(&out, 0);
        struct frame f = { old, slots, before, values, present, ids };
        assert_int_equal(frame_encode(codec, &f, &out), 0);
        assert_int_equal(frame_slots(out.data, out.len, &told), 0);
        assert_int_equal(told, slots);
        struct frame b = { old, slots, seen, back, back_present, back_ids };
        assert_int_equal(frame_decode(codec, out.data, out.len, &b), 0);
        assert_memory_equal(ids, back_ids, (slots - old) * sizeof *ids);
        for (size_t i = 0; i < slots; i++) {
            assert_int_equal(present[i], back_present[i]);
            if (!present[i])
                continue;
            assert_true(double_bits(values[i]) == double_bits(back[i]));
            before[i] = seen[i] = values[i];
        }
        b.old_slots = old + 1; /* a frame does not fit a chunk of another size */
        assert_int_not_equal(frame_decode(codec, out.data, out.len, &b), 0);
        buf_done(&out);
    }
}

static void a_frame_of_an_unchanged_body_is_tiny(void **state)
{
    enum { SLOTS = 665 };
    double values[SLOTS];
    bool present[SLOTS];
    for (size_t i = 0; i < SLOTS; i++) {
        values[i] = (double)i / 100;
        present[i] = true;
    }
    struct buf out;
    buf_init(&out, 0);
    struct frame f = { SLOTS, SLOTS, values, values, present, NULL };
    assert_int_equal(frame_encode(codec, &f, &out), 0);
    assert_in_range(out.len, 1, 30);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_length_comes_back_bit_for_bit),
        cmocka_unit_test(mixed_shapes_come_back_bit_for_bit),
        cmocka_unit_test(blocks_are_small),
        cmocka_unit_test(a_page_sized_figure_costs_no_more_than_its_pages),
        cmocka_unit_test(regular_times_cost_a_few_bytes),
        cmocka_unit_test(a_block_keeps_which_ticks_it_has),
        cmocka_unit_test(cut_and_changed_blocks_are_refused_or_read_within_bounds),
        cmocka_unit_test(frames_carry_a_chunk_from_its_first_on),
        cmocka_unit_test(a_frame_of_an_unchanged_body_is_tiny),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_codec, free_codec);
}
