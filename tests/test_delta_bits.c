/* test_delta_bits.c - deltas of tables in bits

   Memory has exactly the size that is asked for, so that the address sanitizer sees every step too
   far. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/random_tables.h"

/* Writes the delta into memory of just its size; *bits is its length. */
static uint8_t *delta_bits_written(const tables *t, int64_t *bits) {
    int64_t most = wisp__delta_bits_count(&t->table);
    int capacity = (int)((most + 7) / 8);
    uint8_t *bytes = (uint8_t *)exact((size_t)capacity + WISP__SLACK), *kept;
    wisp__writer to = wisp__writer_on(bytes, capacity);
    wisp__delta_bits_write(&to, &t->table, t->base, t->now);
    CHECK(!to.full && to.at <= most);
    *bits = to.at;
    kept = (uint8_t *)exact((size_t)((to.at + 7) / 8));
    memcpy(kept, bytes, (size_t)((to.at + 7) / 8));
    free(bytes);
    return kept;
}

static void check_plain(const tables *t) {
    size_t size = (size_t)t->table.rows * (size_t)t->table.column_count * 4;
    uint32_t *out = (uint32_t *)exact(size);
    int64_t bits = 0;
    uint8_t *bytes = delta_bits_written(t, &bits);
    wisp__reader from = wisp__reader_on(bytes, (int)((bits + 7) / 8));
    CHECK(wisp__delta_bits_read(&from, &t->table, t->base, out));
    CHECK_EQ_MEM(out, t->now, size);
    CHECK_EQ_INT(from.at, bits);
    from = wisp__reader_on(bytes, (int)((bits + 7) / 8));
    if (!t->table.older) {
        CHECK(wisp__delta_bits_read(&from, &t->table, NULL, NULL));
        CHECK_EQ_INT(from.at, bits);
    }
    memcpy(out, t->base, size);
    from = wisp__reader_on(bytes, (int)((bits + 7) / 8));
    CHECK(wisp__delta_bits_read(&from, &t->table, out, out));
    CHECK_EQ_MEM(out, t->now, size);
    free(bytes);
    free(out);
}

/* --- written and read --- */

TEST(every_width_and_kind_with_every_delta_near_and_far) {
    static tables t;
    uint64_t seed = 1;
    memset(&t, 0, sizeof t);
    t.table = table_of(t.columns, 1, 1);
    for (int bits = 1; bits <= 32; bits++)
        for (int kind = 0; kind < 2; kind++)
            for (int i = 0; i < 300; i++) {
                uint32_t mask = (uint32_t)wisp__low_bits(UINT64_MAX, bits);
                uint32_t step = i < 64 ? (uint32_t)i : (uint32_t)1 << (i % 32);
                t.columns[0].bits = (uint8_t)bits;
                t.columns[0].kind = (uint8_t)kind;
                t.base[0] = (uint32_t)test_random(&seed) & mask;
                if (i % 3 == 0) t.base[0] = i % 2 ? mask : 0;
                t.now[0] = (i & 1 ? t.base[0] + step : t.base[0] - step) & mask;
                check_plain(&t);
            }
}

TEST(small_widths_go_from_every_symbol_to_every_symbol) {
    static tables t;
    memset(&t, 0, sizeof t);
    t.table = table_of(t.columns, 1, 2);
    for (int bits = 1; bits <= 6; bits++)
        for (int i = 0; i < 2 << (2 * bits); i++) {
            t.columns[0].bits = (uint8_t)bits;
            t.columns[0].kind = (uint8_t)(i & 1);
            t.base[0] = t.now[1] = (uint32_t)i >> 1 & ((1u << bits) - 1);
            t.now[0] = t.base[1] = (uint32_t)i >> (bits + 1);
            check_plain(&t);
        }
}

TEST(random_tables_are_read_as_written) {
    static tables t;
    uint64_t seed = 2;
    for (int round = 0; round < 800; round++) {
        int columns = 1 + test_random_below(&seed, round % 10 == 0 ? COLUMNS_MAX : 12);
        int most = SYMBOLS_MAX / columns, rows = test_random_below(&seed, most < 60 ? most : 60);
        make(&t, &seed, columns, rows);
        check_table(&t.table, t.now);
        check_plain(&t);
        t.table.older = t.old;
        check_plain(&t);
    }
}

/* Rows of which each moves by as much as it did before: x by anything, y by much, z hardly. */
TEST(what_moves_on_as_before_is_cheap_when_the_base_of_the_base_is_known) {
    static tables t;
    uint64_t seed = 8;
    int64_t alone = 0, moving = 0;
    t.table = table_of(t.columns, 3, 200);
    for (int i = 0; i < 3; i++) t.columns[i].bits = 20;
    for (int i = 0; i < 600; i++) {
        uint32_t step = (uint32_t)(test_random_below(&seed, 2000) + (i % 3 == 1 ? 50000 : -1000));
        uint32_t mask = wisp__symbol_mask(20);
        if (i % 3 == 2) step = 1;
        t.old[i] = symbol_below(&seed, &t.columns[0]);
        t.base[i] = (t.old[i] + step) & mask;
        t.now[i] = (t.base[i] + step + (uint32_t)test_random_below(&seed, 5) - 2) & mask;
    }
    free(delta_bits_written(&t, &alone));
    t.table.older = t.old;
    free(delta_bits_written(&t, &moving));
    CHECK(moving < alone * 2 / 3);
    check_plain(&t);
}

TEST(the_bound_holds_for_noise) {
    static tables t;
    uint64_t seed = 3;
    for (int round = 0; round < 200; round++) {
        make(&t, &seed, 1 + test_random_below(&seed, 20), 1 + test_random_below(&seed, 50));
        for (int i = 0; i < t.table.rows * t.table.column_count; i++) {
            const wisp__column *column = &t.columns[i % t.table.column_count];
            bool small = test_random_below(&seed, 2) == 0;      /* by turns is worst */
            t.now[i] = small ? (t.base[i] + 1) & wisp__symbol_mask(column->bits)
                             : symbol_below(&seed, column);
        }
        check_plain(&t);
    }
}

TEST(tables_follow_each_other_in_one_writer) {
    static tables t[3];
    static uint8_t bytes[3 * SYMBOLS_MAX * 4 + 64];
    static uint32_t out[SYMBOLS_MAX];
    uint64_t seed = 4;
    for (int round = 0; round < 100; round++) {
        wisp__writer to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
        wisp__reader from;
        for (int i = 0; i < 3; i++) {
            make(&t[i], &seed, 1 + test_random_below(&seed, 12), test_random_below(&seed, 9));
            wisp__delta_bits_write(&to, &t[i].table, t[i].base,
                                   t[i].now);
        }
        from = wisp__reader_on(bytes, (int)((to.at + 7) / 8));
        for (int i = 0; i < 3; i++) {
            const uint32_t *base = i == 1 ? NULL : t[i].base;
            CHECK(wisp__delta_bits_read(&from, &t[i].table, base,
                                        out));
            if (base) CHECK_EQ_MEM(out, t[i].now, t[i].table.rows * t[i].table.column_count * 4);
        }
        CHECK_EQ_INT(from.at, to.at);
    }
}

TEST(a_writer_that_is_too_small_is_full) {
    static tables t;
    uint64_t seed = 5;
    for (int round = 0; round < 200; round++) {
        int64_t bits = 0;
        int size;
        uint8_t *bytes;
        wisp__writer to;
        make(&t, &seed, 1 + test_random_below(&seed, 12), 1 + test_random_below(&seed, 12));
        free(delta_bits_written(&t, &bits));
        size = test_random_below(&seed, (int)((bits + 7) / 8));
        bytes = (uint8_t *)exact((size_t)size + WISP__SLACK);
        to = wisp__writer_on(bytes, size);
        wisp__delta_bits_write(&to, &t.table, t.base, t.now);
        CHECK(to.full);
        free(bytes);
    }
}

TEST(equal_tables_take_one_bit) {
    static tables t;
    uint64_t seed = 6;
    make(&t, &seed, 7, 100);
    CHECK_EQ_INT(bits_of(t.columns, 7, 100, t.base, t.base), 1);
    CHECK_EQ_INT(bits_of(t.columns, 7, 1, t.base, t.base), 1);
    CHECK_EQ_INT(bits_of(t.columns, 7, 0, t.base, t.now), 1);
}

TEST(a_small_change_of_one_of_three_columns_takes_fourteen_bits) {
    for (int bits = 8; bits <= 32; bits++) {
        wisp__column columns[3];
        for (int i = 0; i < 3; i++) columns[i].bits = (uint8_t)bits, columns[i].kind = 0;
        for (int step = -8; step <= 8; step++) {
            uint32_t base[3] = { 100, 50, 7 }, now[3] = { 100, 50, 7 };
            now[0] = (uint32_t)(100 + step);
            CHECK(bits_of(columns, 3, 1, base, now) <= (bits <= 20 ? 12 : 14));
        }
    }
}

TEST(a_float_that_moved_a_little_takes_fewer_bits_than_it_has) {
    static const wisp__column columns[3] = { { 32, 1 }, { 32, 1 }, { 32, 1 } };
    float before = 100.0f, after = 100.1f, half = 101.5f;
    uint32_t base[3] = { 0, 0, 0 }, now[3] = { 0, 0, 0 };
    memcpy(&base[0], &before, 4);
    memcpy(&now[0], &after, 4);
    CHECK(bits_of(columns, 3, 1, base, now) <= 28);
    memcpy(&now[0], &half, 4);                      /* few bits of it are set */
    CHECK(bits_of(columns, 3, 1, base, now) <= 18);
    now[0] = base[0] ^ 0x89abcdefu;
    CHECK_EQ_INT(bits_of(columns, 3, 1, base, now), 1 + 3 + 1 + 32);
}

TEST(one_row_of_many_takes_no_more_than_its_place_and_change) {
    static const wisp__column columns[4] = { { 16, 0 }, { 16, 0 }, { 8, 1 }, { 1, 1 } };
    static uint32_t base[4000], now[4000];
    memset(base, 0, sizeof base);
    for (int i = 0; i < 4000; i++) base[i] = i % 4 < 2 ? 500 + (uint32_t)i : 0;
    memcpy(now, base, sizeof now);
    now[4 * 700] += 5;
    CHECK(bits_of(columns, 4, 1000, base, now) <= 45);
}

TEST(new_rows_like_the_ones_above_are_cheap) {
    static const wisp__column columns[4] = { { 16, 0 }, { 16, 0 }, { 8, 1 }, { 1, 1 } };
    static uint32_t base[400], now[400];
    memset(base, 0, sizeof base);
    for (int i = 0; i < 100; i++) {
        now[4 * i] = 30000 + 40 * (uint32_t)i;
        now[4 * i + 1] = 20000;
        now[4 * i + 2] = 200;
        now[4 * i + 3] = 1;
    }
    CHECK(bits_of(columns, 4, 100, base, now) <= 100 * 7);
}

TEST(the_plain_form_stands_as_drawn) {
    static const wisp__column columns[5] = { { 12, 0 }, { 8, 0 }, { 5, 1 }, { 32, 1 }, { 1, 0 } };
    static const uint32_t base[10] = { 100, 200, 3, 0x42c80000u, 0, 7, 8, 9, 10, 1 };
    static const uint32_t one[5] = { 103, 200, 17, 0x42c83333u, 1 };
    static const uint32_t two[10] = { 100, 200, 3, 0x42c80000u, 0, 7, 9, 9, 10, 0 };
    /* 1, mask; 3: folded 6 less 1, order 3: 0 101; 17; 1, zeros below 0, width 14 less 1, within */
    static const uint8_t first[] = { 0xbb, 0xc6, 0xa0, 0x65, 0x26 };
    /* 10; 1 equal, order 1: 0 1; 1 differs, order 0: 0; mask; 1: folded 2 less 1, order 3: 0 100 */
    static const uint8_t second[] = { 0x49, 0x0a };
    wisp__table single = table_of(columns, 5, 1), pair = table_of(columns, 5, 2);
    uint8_t bytes[64] = { 0 };
    wisp__writer to = wisp__writer_on(bytes, 40);
    wisp__delta_bits_write(&to, &single, base, one);
    wisp__put_align(&to);
    CHECK_EQ_INT(to.at / 8, sizeof first);
    CHECK_EQ_MEM(bytes, first, sizeof first);
    to = wisp__writer_on(bytes, 40);
    wisp__delta_bits_write(&to, &pair, base, two);
    wisp__put_align(&to);
    CHECK_EQ_INT(to.at / 8, sizeof second);
    CHECK_EQ_MEM(bytes, second, sizeof second);
}

/* --- bytes that nobody wrote --- */

static void read_any(const tables *t, const uint8_t *bytes, int size) {
    size_t symbols = (size_t)t->table.rows * (size_t)t->table.column_count;
    uint8_t *copy = (uint8_t *)exact((size_t)size);
    uint32_t *out = (uint32_t *)exact(symbols * 4);
    wisp__reader with, without;
    bool good;
    if (size) memcpy(copy, bytes, (size_t)size);
    with = without = wisp__reader_on(copy, size);
    memset(out, 0, symbols * 4);
    good = wisp__delta_bits_read(&with, &t->table, t->base, out);
    check_table(&t->table, out);
    CHECK(good ==
          wisp__delta_bits_read(&without, &t->table, NULL, NULL));
    CHECK(good == !with.failed);
    if (good) CHECK_EQ_INT(with.at, without.at);
    free(copy);
    free(out);
}

TEST(any_bytes_are_read_or_refused_alike_with_and_without_the_base) {
    static tables t;
    uint64_t seed = 7;
    for (int round = 0; round < 2500; round++) {
        uint8_t bytes[200];
        int size = test_random_below(&seed, 200), ones = test_random_below(&seed, 3);
        make(&t, &seed, 1 + test_random_below(&seed, 80), 1 + test_random_below(&seed, 20));
        for (int i = 0; i < size; i++) bytes[i] = (uint8_t)test_random(&seed);
        for (int i = 0; i < size && ones == 0; i++) bytes[i] |= (uint8_t)test_random(&seed);
        read_any(&t, bytes, size);
    }
}

TEST(a_delta_cut_short_is_refused) {
    static tables t;
    uint64_t seed = 8;
    for (int round = 0; round < 100; round++) {
        int64_t bits = 0;
        uint8_t *bytes;
        make(&t, &seed, 1 + test_random_below(&seed, 12), 1 + test_random_below(&seed, 12));
        bytes = delta_bits_written(&t, &bits);
        for (int size = 0; size < (bits + 7) / 8; size++) {
            wisp__reader from = wisp__reader_on(bytes, size);
            CHECK(!wisp__delta_bits_read(&from, &t.table, t.base, t.old));
        }
        free(bytes);
    }
}

TEST(a_delta_with_a_bit_turned_does_no_harm) {
    static tables t;
    uint64_t seed = 9;
    for (int round = 0; round < 60; round++) {
        int64_t bits = 0;
        uint8_t *bytes;
        make(&t, &seed, 1 + test_random_below(&seed, 70), 1 + test_random_below(&seed, 6));
        bytes = delta_bits_written(&t, &bits);
        for (int64_t at = 0; at < bits; at += 1 + test_random_below(&seed, 7)) {
            bytes[at / 8] ^= (uint8_t)(1 << at % 8);
            read_any(&t, bytes, (int)((bits + 7) / 8));
            bytes[at / 8] ^= (uint8_t)(1 << at % 8);
        }
        free(bytes);
    }
}

/* The bits from `base` to `now`, read back; `t` may know an older row. */
static int64_t moved_bits(const wisp__table *t, const uint32_t *base, const uint32_t *now) {
    uint8_t bytes[256];
    uint32_t out[WISP__CELL];
    wisp__writer to = wisp__writer_on(bytes, 240);
    wisp__reader from;
    memset(bytes, 0, sizeof bytes);
    wisp__delta_bits_write(&to, t, base, now);
    CHECK(!to.full && to.at <= wisp__delta_bits_count(t));
    from = wisp__reader_on(bytes, 240);
    CHECK(wisp__delta_bits_read(&from, t, base, out));
    CHECK_EQ_INT(from.at, to.at);
    CHECK(memcmp(out, now, (size_t)t->column_count * sizeof *now) == 0);
    from = wisp__reader_on(bytes, 240);
    CHECK(wisp__delta_bits_read(&from, t, NULL, NULL));    /* its length needs no rows */
    CHECK_EQ_INT(from.at, to.at);
    return to.at;
}

/* A row whose base's base is known: what goes on as it came is short, and every row is right. */
TEST(a_row_that_goes_on_moving_is_short) {
    static const wisp__column columns[] = { { 18, 0 }, { 18, 0 }, { 14, 0 }, { 9, 0 }, { 2, 1 },
                                            { 1, 1 }, { 32, 0 }, { 4, 0 } };
    wisp__table plain = { columns, 8, 1, NULL, 0, 0 }, moving = plain;
    uint32_t older[8] = { 1000, 70000, 200, 17, 1, 0, 4000000000u, 3 }, base[8], now[8];
    uint64_t random = 5;
    memcpy(base, older, sizeof base);
    memcpy(now, older, sizeof now);
    moving.older = older;
    moving.behind = 6;
    moving.ahead = 9;
    for (int i = 0; i < 4; i++) base[i] += 12u * (unsigned)(i + 1);
    for (int i = 0; i < 4; i++) now[i] = base[i] + 18u * (unsigned)(i + 1) + (unsigned)(i & 1);
    base[6] += 600;                        /* around the end of 32 bits, and on */
    now[6] = base[6] + 900;
    CHECK(moved_bits(&moving, base, now) + 20 < moved_bits(&plain, base, now));
    for (int k = 0; k < 5000; k++) {
        for (int i = 0; i < 8; i++) {
            uint32_t mask = wisp__symbol_mask(columns[i].bits);
            int wide = (int)(test_random(&random) % 33);
            older[i] = (uint32_t)test_random(&random) & mask;
            base[i] = (older[i] + (uint32_t)(test_random(&random) >> 1 >> (63 - wide))) & mask;
            now[i] = test_random(&random) & 1 ? base[i] : (uint32_t)test_random(&random) & mask;
        }
        moving.behind = 1 + (int)(test_random(&random) % 100);
        moving.ahead = k % 50 ? 1 + (int)(test_random(&random) % 100) : INT32_MAX;
        moved_bits(&moving, base, now);
    }
}

static const test_case tests[] = {
    CASE(a_row_that_goes_on_moving_is_short),
    CASE(every_width_and_kind_with_every_delta_near_and_far),
    CASE(small_widths_go_from_every_symbol_to_every_symbol),
    CASE(random_tables_are_read_as_written),
    CASE(what_moves_on_as_before_is_cheap_when_the_base_of_the_base_is_known),
    CASE(the_bound_holds_for_noise),
    CASE(tables_follow_each_other_in_one_writer),
    CASE(a_writer_that_is_too_small_is_full),
    CASE(equal_tables_take_one_bit),
    CASE(a_small_change_of_one_of_three_columns_takes_fourteen_bits),
    CASE(a_float_that_moved_a_little_takes_fewer_bits_than_it_has),
    CASE(one_row_of_many_takes_no_more_than_its_place_and_change),
    CASE(new_rows_like_the_ones_above_are_cheap),
    CASE(the_plain_form_stands_as_drawn),
    CASE(any_bytes_are_read_or_refused_alike_with_and_without_the_base),
    CASE(a_delta_cut_short_is_refused),
    CASE(a_delta_with_a_bit_turned_does_no_harm),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
