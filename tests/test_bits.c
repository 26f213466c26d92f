/* test_bits.c - bits written and read, against one bit at a time

   Buffers have exactly the size that the room asks for, so that the address sanitizer sees every
   byte too far. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

/* --- the reference: one bit at a time --- */

static bool bit_at(const uint8_t *bytes, int64_t at) { return bytes[at >> 3] >> (at & 7) & 1; }

static uint64_t bits_at(const uint8_t *bytes, int64_t at, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)bit_at(bytes, at + i) << i;
    return value;
}

static void set_bits(uint8_t *bytes, int64_t at, uint64_t value, int count) {
    for (int i = 0; i < count; i++, at++) {
        uint8_t mask = (uint8_t)(1 << (at & 7));
        if (value >> i & 1) bytes[at >> 3] |= mask;
        else bytes[at >> 3] &= (uint8_t)~mask;
    }
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (bit_at(a, i) != bit_at(b, i)) return false;
    return true;
}

/* Memory of exactly this size, full of garbage. */
static uint8_t *bits_exact(int size) {
    uint8_t *bytes = (uint8_t *)malloc(size > 0 ? (size_t)size : 1);
    if (bytes) memset(bytes, 0xa5, size > 0 ? (size_t)size : 1);
    return bytes;
}

static uint8_t *exact_copy(const uint8_t *from, int size) {
    uint8_t *bytes = bits_exact(size);
    if (bytes && size) memcpy(bytes, from, (size_t)size);
    return bytes;
}

/* --- put and get --- */

TEST(every_width_at_every_shift) {
    uint64_t seed = 1;
    for (int shift = 0; shift < 8; shift++)
        for (int count = 0; count <= 64; count++) {
            uint64_t value = wisp__low_bits(test_random(&seed), count);
            uint64_t before = wisp__low_bits(test_random(&seed), shift);
            int size = (shift + count + 7) / 8;
            uint8_t *to = bits_exact(size + WISP__SLACK), *read;
            wisp__writer w = wisp__writer_on(to, size);
            wisp__reader r;
            wisp__put(&w, before, shift);
            wisp__put(&w, value, count);
            CHECK(!w.full);
            CHECK_EQ_INT(w.at, shift + count);
            CHECK(bits_at(to, 0, shift) == before);
            CHECK(bits_at(to, shift, count) == value);
            read = exact_copy(to, size);
            r = wisp__reader_on(read, size);
            CHECK(wisp__get(&r, shift) == before);
            CHECK(wisp__get(&r, count) == value);
            CHECK(!r.failed);
            free(read);
            free(to);
        }
}

TEST(bits_stand_least_significant_first) {
    static const uint8_t bytes[] = { 0xb5, 0xcd, 0xab, 0x01, 0xff, 0x23, 0x01 };
    uint8_t to[7 + WISP__SLACK];
    wisp__writer w = wisp__writer_on(to, 7);
    wisp__put(&w, 1, 1);
    wisp__put(&w, 2, 2);
    wisp__put(&w, 0x16, 5);
    wisp__put(&w, 0xabcd, 16);
    wisp__put(&w, 1, 1);
    wisp__put_align(&w);
    wisp__put_length(&w, 0x23 << 7 | 0x7f);
    wisp__put_small(&w, 1);
    wisp__put_align(&w);
    CHECK_EQ_INT(w.at, 56);
    CHECK_EQ_MEM(to, bytes, 7);
}

enum { RUN_BYTES = 1500 };

/* Writes random widths to the brim; what was written goes to the reference too. */
static int run_write(wisp__writer *w, uint8_t *reference, uint8_t *widths, uint64_t *seed) {
    int count = 0;
    for (;;) {
        int width = test_random_below(seed, 65);
        uint64_t value = wisp__low_bits(test_random(seed), width);
        if (width > w->end - w->at) width = (int)(w->end - w->at);
        value = wisp__low_bits(value, width);
        set_bits(reference, w->at, value, width);
        wisp__put(w, value, width);
        widths[count++] = (uint8_t)width;
        if (w->at == w->end) return count;
    }
}

TEST(random_runs_are_read_as_written) {
    static uint8_t reference[RUN_BYTES], widths[RUN_BYTES * 8];
    uint64_t seed = 42;
    for (int round = 0; round < 60; round++) {
        int size = 1 + test_random_below(&seed, RUN_BYTES - 1), count;
        uint8_t *to = bits_exact(size + WISP__SLACK), *read;
        wisp__writer w = wisp__writer_on(to, size);
        wisp__reader r;
        int64_t at = 0;
        count = run_write(&w, reference, widths, &seed);
        CHECK(!w.full);
        CHECK_EQ_MEM(to, reference, size);
        read = exact_copy(to, size);
        r = wisp__reader_on(read, size);
        for (int i = 0; i < count; i++) {
            CHECK(wisp__get(&r, widths[i]) == bits_at(reference, at, widths[i]));
            at += widths[i];
            CHECK_EQ_INT(r.at, at);
        }
        CHECK(!r.failed);
        wisp__bits_check(&r);
        CHECK(wisp__get(&r, 1) == 0 && r.failed);
        free(read);
        free(to);
    }
}

TEST(a_writer_at_the_brim_takes_no_more) {
    for (int size = 0; size < 20; size++)
        for (int over = 1; over <= 64; over++) {
            uint8_t *to = bits_exact(size + WISP__SLACK);
            wisp__writer w = wisp__writer_on(to, size);
            for (int i = 0; i < size; i++) wisp__put(&w, (uint64_t)i, 8);
            CHECK(!w.full);
            wisp__put(&w, 0, over);
            CHECK(w.full);
            CHECK_EQ_INT(w.at, size * 8);
            for (int i = 0; i < size; i++) CHECK_EQ_INT(to[i], i);
            free(to);
        }
}

TEST(a_full_writer_stays_full_and_writes_no_more) {
    uint8_t *to = bits_exact(8 + WISP__SLACK), source[16] = { 255, 255, 255 };
    wisp__writer w = wisp__writer_on(to, 8);
    wisp__put(&w, 0x1234, 16);
    wisp__put(&w, 0, 64);
    CHECK(w.full);
    wisp__put(&w, 1, 1);
    wisp__put_align(&w);
    wisp__put_bytes(&w, source, 1);
    wisp__put_bits(&w, source, 3);
    wisp__put_length(&w, 5);
    wisp__put_small(&w, 5);
    CHECK(w.full);
    CHECK_EQ_INT(w.at, 16);
    CHECK(bits_at(to, 0, 16) == 0x1234);
    free(to);
}

TEST(a_reader_at_its_end_fails_for_good) {
    for (int size = 0; size < 12; size++)
        for (int left = 0; left < 64 && left <= size * 8; left++) {
            uint8_t *from = bits_exact(size), to[32];
            wisp__reader r = wisp__reader_on(from, size);
            memset(to, 0x77, sizeof to);
            wisp__skip(&r, size * 8 - left);
            CHECK(!r.failed);
            CHECK(wisp__get(&r, left + 1) == 0);
            CHECK(r.failed);
            CHECK(wisp__get(&r, 1) == 0);
            CHECK(wisp__get(&r, 0) == 0);
            wisp__get_bits(&r, to, 1);
            CHECK_EQ_INT(to[0], 0x77);
            CHECK_EQ_INT(wisp__get_length(&r), 0);
            CHECK_EQ_INT(wisp__get_small(&r), 0);
            CHECK(r.failed);
            CHECK_EQ_INT(r.at, size * 8 - left);
            wisp__bits_check(&r);
            free(from);
        }
}

TEST(one_failed_read_spoils_what_would_still_fit) {
    uint8_t *from = bits_exact(4);
    wisp__reader r = wisp__reader_on(from, 4);
    CHECK(wisp__get(&r, 33) == 0);
    CHECK(r.failed);
    CHECK_EQ_INT(r.at, 0);
    CHECK(wisp__get(&r, 8) == 0);
    CHECK_EQ_INT(r.at, 0);
    wisp__skip(&r, 8);
    CHECK_EQ_INT(r.at, 0);
    free(from);
}

TEST(skipping_stays_inside) {
    uint8_t *from = bits_exact(10);
    static const int64_t bad[] = { -1, 81, INT64_MAX, INT64_MIN, 1 << 30 };
    wisp__reader r = wisp__reader_on(from, 10);
    wisp__skip(&r, 0);
    wisp__skip(&r, 13);
    CHECK(wisp__get(&r, 20) == bits_at(from, 13, 20));
    wisp__skip(&r, 47);
    CHECK(!r.failed && r.at == 80);
    for (int i = 0; i < 5; i++) {
        r = wisp__reader_on(from, 10);
        wisp__skip(&r, bad[i]);
        CHECK(r.failed);
        CHECK_EQ_INT(r.at, 0);
    }
    free(from);
}

TEST(a_reader_that_ends_inside_a_byte_ends_there) {
    uint8_t *from = bits_exact(3);
    for (int end = 0; end <= 24; end++) {
        wisp__reader r = wisp__reader_on(from, 3);
        r.end = end;
        for (int i = 0; i < end; i++) CHECK(wisp__get(&r, 1) == bits_at(from, i, 1));
        CHECK(!r.failed);
        wisp__get(&r, 1);
        CHECK(r.failed);
    }
    free(from);
}

/* --- bit strings --- */

TEST(bit_strings_are_put_at_every_shift) {
    uint64_t seed = 8;
    for (int shift = 0; shift < 16; shift++)
        for (int count = 0; count <= 200; count++) {
            int size = (shift + count + 12 + 7) / 8;
            uint8_t *from = bits_exact((count + 7) / 8 + 8), *to = bits_exact(size + WISP__SLACK);
            uint64_t before = wisp__low_bits(test_random(&seed), shift);
            wisp__writer w = wisp__writer_on(to, size);
            low_random_bytes(&seed, from, (count + 7) / 8 + 8);
            wisp__put(&w, before, shift);
            wisp__put_bits(&w, from, count);
            CHECK_EQ_INT(w.at, shift + count);
            wisp__put(&w, 0xa5c, 12);
            CHECK(!w.full);
            CHECK(bits_at(to, 0, shift) == before);
            for (int i = 0; i < count; i++) CHECK(bit_at(to, shift + i) == bit_at(from, i));
            CHECK_EQ_INT(bits_at(to, shift + count, 12), 0xa5c);
            free(to);
            free(from);
        }
}

TEST(bit_strings_are_got_at_every_shift) {
    uint64_t seed = 9;
    for (int shift = 0; shift < 16; shift++)
        for (int count = 0; count <= 200; count++) {
            int size = (shift + count + 7) / 8;
            uint8_t *from = bits_exact(size), *to = bits_exact((count + 7) / 8 + 8);
            wisp__reader r = wisp__reader_on(from, size);
            low_random_bytes(&seed, from, size);
            wisp__skip(&r, shift);
            wisp__get_bits(&r, to, count);
            CHECK(!r.failed);
            CHECK_EQ_INT(r.at, shift + count);
            for (int i = 0; i < count; i++) CHECK(bit_at(to, i) == bit_at(from, shift + i));
            /* What follows in the last byte is zero: no old memory goes on. */
            for (int i = count; i < (count + 7) / 8 * 8; i++) CHECK(!bit_at(to, i));
            free(to);
            free(from);
        }
}

TEST(a_bit_goes_with_the_bit_string_after_it) {
    uint64_t seed = 32;
    for (int shift = 0; shift < 8; shift++)
        for (int count = 0; count <= 200; count++) {
            uint8_t from[40], apart[64], at_once[64];
            wisp__writer a = wisp__writer_on(apart, 48), b = wisp__writer_on(at_once, 48);
            uint64_t before = wisp__low_bits(test_random(&seed), shift);
            low_random_bytes(&seed, from, 40);
            wisp__put(&a, before, shift);
            wisp__put(&b, before, shift);
            wisp__put(&a, 1, 1);
            wisp__put_bits(&a, from, count);
            wisp__put_bits_within(&b, 1, 1, from, count);
            CHECK(a.at == b.at && wisp__same_bits(apart, at_once, a.at));
        }
}

TEST(bit_strings_that_do_not_fit_change_nothing) {
    uint8_t *to = bits_exact(10 + WISP__SLACK), source[40] = { 0 }, got[40];
    wisp__writer w = wisp__writer_on(to, 10);
    wisp__reader r;
    wisp__put(&w, 0x1f, 5);
    wisp__put_bits(&w, source, 76);
    CHECK(w.full);
    CHECK_EQ_INT(w.at, 5);
    CHECK_EQ_INT(bits_at(to, 0, 5), 0x1f);
    r = wisp__reader_on(to, 10);
    memset(got, 0x5a, sizeof got);
    wisp__get_bits(&r, got, 81);
    CHECK(r.failed);
    CHECK_EQ_INT(got[0], 0x5a);
    r = wisp__reader_on(to, 10);
    wisp__get_bits(&r, got, -1);
    CHECK(r.failed);
    CHECK_EQ_INT(got[0], 0x5a);
    free(to);
}

TEST(long_bit_strings_fill_to_the_brim) {
    uint64_t seed = 31;
    for (int shift = 0; shift < 8; shift++) {
        enum { LONG = 3000 };
        uint8_t *from = bits_exact(LONG + 8), *to = bits_exact(LONG + WISP__SLACK);
        uint8_t *back = bits_exact(LONG + 8);
        wisp__writer w = wisp__writer_on(to, LONG);
        wisp__reader r;
        low_random_bytes(&seed, from, LONG + 8);
        wisp__put(&w, 0, shift);
        wisp__put_bits(&w, from, LONG * 8 - shift);
        CHECK(!w.full && w.at == w.end);
        r = wisp__reader_on(to, LONG);
        wisp__skip(&r, shift);
        wisp__get_bits(&r, back, LONG * 8 - shift);
        CHECK(!r.failed);
        CHECK(bits_equal(back, from, LONG * 8 - shift));
        free(back);
        free(to);
        free(from);
    }
}

/* --- bytes and alignment --- */

TEST(aligning_adds_zeros_up_to_the_byte) {
    for (int shift = 0; shift <= 8; shift++) {
        uint8_t *to = bits_exact(4 + WISP__SLACK);
        wisp__writer w = wisp__writer_on(to, 4);
        wisp__put(&w, (UINT64_C(1) << shift) - 1, shift);
        wisp__put_align(&w);
        CHECK_EQ_INT(w.at, (shift + 7) / 8 * 8);
        for (int i = shift; i < w.at; i++) CHECK(!bit_at(to, i));
        wisp__put_bytes(&w, "ab", 2);
        CHECK_EQ_MEM(to + (shift + 7) / 8, "ab", 2);
        free(to);
    }
}

TEST(bytes_are_put_to_the_brim_and_no_further) {
    uint8_t *to = bits_exact(6 + WISP__SLACK);
    wisp__writer w = wisp__writer_on(to, 6);
    wisp__put_bytes(&w, NULL, 0);
    wisp__put_bytes(&w, "abcdef", 6);
    CHECK(!w.full);
    CHECK_EQ_MEM(to, "abcdef", 6);
    wisp__put_bytes(&w, NULL, 0);
    CHECK(!w.full);
    wisp__put_bytes(&w, "g", 1);
    CHECK(w.full);
    CHECK_EQ_INT(w.at, 48);
    free(to);
}

/* --- lengths --- */

static const uint64_t lengths[] = { 0, 1, 6, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 512, 4095,
                                    16383, 16384, 2097151, 2097152, (1 << 28) - 1 };
enum { LENGTHS = (int)(sizeof lengths / sizeof *lengths) };

TEST(lengths_come_back_and_cost_what_is_said) {
    for (int shift = 0; shift < 8; shift++)
        for (int i = 0; i < LENGTHS; i++) {
            uint8_t *to = bits_exact(16 + WISP__SLACK);
            wisp__writer w = wisp__writer_on(to, 16);
            wisp__reader r;
            wisp__put(&w, 0, shift);
            wisp__put_length(&w, lengths[i]);
            CHECK_EQ_INT(w.at - shift, wisp__length_bits(lengths[i]));
            wisp__put_small(&w, lengths[i]);
            CHECK_EQ_INT(w.at - shift,
                         wisp__length_bits(lengths[i]) + wisp__small_bits(lengths[i]));
            r = wisp__reader_on(to, 16);
            wisp__skip(&r, shift);
            CHECK_EQ_INT(wisp__get_length(&r), lengths[i]);
            CHECK_EQ_INT(wisp__get_small(&r), lengths[i]);
            CHECK(!r.failed && r.at == w.at);
            free(to);
        }
}

TEST(lengths_cost_a_group_at_a_time) {
    CHECK_EQ_INT(wisp__length_bits(127), 8);
    CHECK_EQ_INT(wisp__length_bits(128), 16);
    CHECK_EQ_INT(wisp__length_bits(16383), 16);
    CHECK_EQ_INT(wisp__length_bits(16384), 24);
    CHECK_EQ_INT(wisp__small_bits(7), 4);
    CHECK_EQ_INT(wisp__small_bits(8), 8);
    CHECK_EQ_INT(wisp__small_bits(63), 8);
    CHECK_EQ_INT(wisp__small_bits(64), 12);
}

TEST(lengths_too_large_are_refused) {
    static const uint64_t large[] = { UINT64_C(1) << 28, UINT64_C(1) << 30, UINT64_C(1) << 31,
                                      UINT64_C(1) << 32, UINT64_MAX };
    for (int i = 0; i < 5; i++) {
        uint8_t *to = bits_exact(32 + WISP__SLACK);
        wisp__writer w = wisp__writer_on(to, 32);
        wisp__reader r = wisp__reader_on(to, 32);
        wisp__put_length(&w, large[i]);
        CHECK_EQ_INT(wisp__get_length(&r), 0);
        CHECK(r.failed);
        w = wisp__writer_on(to, 32);
        r = wisp__reader_on(to, 32);
        wisp__put_small(&w, large[i]);
        wisp__get_small(&r);
        CHECK(r.failed == (large[i] >= UINT64_C(1) << 30));
        free(to);
    }
}

TEST(lengths_without_an_end_are_refused) {
    for (int size = 0; size <= 20; size++) {
        uint8_t *from = bits_exact(size);
        wisp__reader r = wisp__reader_on(from, size);
        if (size) memset(from, 0xff, (size_t)size);
        wisp__get_length(&r);
        CHECK(r.failed);
        r = wisp__reader_on(from, size);
        wisp__get_small(&r);
        CHECK(r.failed);
        free(from);
    }
}

/* --- anything at all --- */

static void random_read(wisp__reader *r, uint64_t *seed, uint8_t *to) {
    int64_t left = r->end - r->at;
    switch (test_random_below(seed, 6)) {
    case 0: wisp__get(r, test_random_below(seed, 65)); break;
    case 1: wisp__skip(r, test_random_below(seed, 40) - 2); break;
    case 2: wisp__get_length(r); break;
    case 3: wisp__get_small(r); break;
    case 4: wisp__get_bits(r, to, test_random_below(seed, 100)); break;
    default:
        if (left >= 0) wisp__get_bits(r, to, test_random_below(seed, (int)left + 2));
        break;
    }
}

TEST(random_reads_of_random_bytes_stay_inside) {
    uint64_t seed = 123;
    for (int round = 0; round < 3000; round++) {
        int size = test_random_below(&seed, 40);
        uint8_t *from = bits_exact(size), to[64];
        wisp__reader r = wisp__reader_on(from, size);
        low_random_bytes(&seed, from, size);
        if (size) r.end -= test_random_below(&seed, 9);
        for (int step = 0; step < 30 && !r.failed; step++) {
            random_read(&r, &seed, to);
            wisp__bits_check(&r);
            CHECK(r.at >= 0 && r.at <= r.end);
        }
        free(from);
    }
}

static void random_write(wisp__writer *w, uint64_t *seed, const uint8_t *from) {
    int width;
    switch (test_random_below(seed, 6)) {
    case 0:
        width = test_random_below(seed, 65);
        wisp__put(w, wisp__low_bits(test_random(seed), width), width);
        break;
    case 1: wisp__put_bits(w, from, test_random_below(seed, 200)); break;
    case 2:
        wisp__put_align(w);
        if ((w->at & 7) == 0) wisp__put_bytes(w, from, test_random_below(seed, 24));
        break;
    case 3: wisp__put_length(w, test_random(seed) >> test_random_below(seed, 64)); break;
    default: wisp__put_small(w, test_random(seed) >> test_random_below(seed, 64)); break;
    }
}

TEST(random_writes_stay_inside) {
    uint64_t seed = 321;
    uint8_t from[64];
    low_random_bytes(&seed, from, sizeof from);
    for (int round = 0; round < 3000; round++) {
        int size = test_random_below(&seed, 60);
        uint8_t *to = bits_exact(size + WISP__SLACK);
        wisp__writer w = wisp__writer_on(to, size);
        for (int step = 0; step < 40; step++) {
            random_write(&w, &seed, from);
            CHECK(w.at >= 0 && w.at <= w.end);
        }
        free(to);
    }
}

TEST(low_bits_cut) {
    CHECK(wisp__low_bits(UINT64_MAX, 0) == 0);
    CHECK(wisp__low_bits(UINT64_MAX, 1) == 1);
    CHECK(wisp__low_bits(UINT64_MAX, 63) == UINT64_MAX >> 1);
    CHECK(wisp__low_bits(UINT64_MAX, 64) == UINT64_MAX);
}

static const test_case tests[] = {
    CASE(every_width_at_every_shift),
    CASE(bits_stand_least_significant_first),
    CASE(random_runs_are_read_as_written),
    CASE(a_writer_at_the_brim_takes_no_more),
    CASE(a_full_writer_stays_full_and_writes_no_more),
    CASE(a_reader_at_its_end_fails_for_good),
    CASE(one_failed_read_spoils_what_would_still_fit),
    CASE(skipping_stays_inside),
    CASE(a_reader_that_ends_inside_a_byte_ends_there),
    CASE(bit_strings_are_put_at_every_shift),
    CASE(bit_strings_are_got_at_every_shift),
    CASE(a_bit_goes_with_the_bit_string_after_it),
    CASE(bit_strings_that_do_not_fit_change_nothing),
    CASE(long_bit_strings_fill_to_the_brim),
    CASE(aligning_adds_zeros_up_to_the_byte),
    CASE(bytes_are_put_to_the_brim_and_no_further),
    CASE(lengths_come_back_and_cost_what_is_said),
    CASE(lengths_cost_a_group_at_a_time),
    CASE(lengths_too_large_are_refused),
    CASE(lengths_without_an_end_are_refused),
    CASE(random_reads_of_random_bytes_stay_inside),
    CASE(random_writes_stay_inside),
    CASE(low_bits_cut),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
