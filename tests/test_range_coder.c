/* test_range_coder.c - deltas of tables through the adaptive range coder

   Memory has exactly the size that is asked for, so that the address sanitizer sees every step too
   far. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/random_tables.h"

static wisp__models *models_for(const tables *t) {
    wisp__models *models = (wisp__models *)exact(wisp__models_size(t->table.column_count));
    wisp__models_init(models, t->columns, t->table.column_count);
    return models;
}

/* `known`: how many of the baselines before the baseline are held. */
static wisp__adaptive adaptive_of(const tables *t, wisp__models *models, int known) {
    wisp__adaptive a;
    memset(&a, 0, sizeof a);
    a.table = t->table;
    a.models = models;
    a.held[0] = t->base;
    if (known > 0) a.held[1] = t->old;
    if (known > 1) a.held[2] = t->oldest;
    return a;
}

static void check_adaptive(const tables *t, wisp__models *ours, wisp__models *theirs, int known) {
    size_t symbols = (size_t)t->table.rows * (size_t)t->table.column_count;
    int capacity = (int)symbols * 8 + 64, size;
    uint8_t *bytes = (uint8_t *)exact((size_t)capacity), *kept;
    uint32_t *out = (uint32_t *)exact(symbols * 4);
    wisp__adaptive sender = adaptive_of(t, ours, known), receiver = adaptive_of(t, theirs, known);
    size = wisp__range_coder_encode(&sender, t->now, bytes, capacity);
    CHECK(size >= 0 && (size == 0) == (memcmp(t->base, t->now, symbols * 4) == 0));
    kept = (uint8_t *)exact((size_t)size);
    if (size) memcpy(kept, bytes, (size_t)size);
    CHECK(wisp__range_coder_decode(&receiver, out, kept, size));
    CHECK_EQ_MEM(out, t->now, symbols * 4);
    CHECK_EQ_MEM(ours, theirs, wisp__models_size(t->table.column_count));
    free(out);
    free(kept);
    free(bytes);
}

TEST(random_tables_are_decoded_as_encoded_and_models_stay_equal) {
    static tables t;
    uint64_t seed = 10;
    for (int round = 0; round < 300; round++) {
        int columns = 1 + test_random_below(&seed, round % 10 == 0 ? 150 : 12);
        wisp__models *ours, *theirs;
        make(&t, &seed, columns, 1 + test_random_below(&seed, 30));
        ours = models_for(&t);
        theirs = models_for(&t);
        for (int step = 0; step < 6; step++) {
            check_adaptive(&t, ours, theirs, (round + step) % 3);
            memcpy(t.oldest, t.old, sizeof t.old);
            memcpy(t.old, t.base, sizeof t.base);
            memcpy(t.base, t.now, sizeof t.now);
            change(&t, &seed, 60, t.base, t.now);
        }
        free(ours);
        free(theirs);
    }
}

TEST(every_width_is_decoded_at_its_edges) {
    static tables t;
    static const uint32_t edges[] = { 0, 1, 0x7fffffffu, 0x80000000u, 0xffffffffu, 0xfffffffeu };
    memset(&t, 0, sizeof t);
    t.table = table_of(t.columns, 2, 4);
    for (int bits = 1; bits <= 32; bits++) {
        wisp__models *ours, *theirs;
        t.columns[0].bits = t.columns[1].bits = (uint8_t)bits;
        t.columns[1].kind = 1;
        ours = models_for(&t);
        theirs = models_for(&t);
        for (int i = 0; i < 400; i++) {
            for (int k = 0, j = i; k < 8; k++, j = j / 6 + j % 5 * 7) {
                t.base[k] = edges[j % 6] & wisp__symbol_mask(t.columns[0].bits);
                t.now[k] = edges[(j / 6 + k) % 6] & wisp__symbol_mask(t.columns[0].bits);
                t.old[k] = edges[(i + k) % 6] & wisp__symbol_mask(t.columns[0].bits);
            }
            check_adaptive(&t, ours, theirs, i % 3);
        }
        free(ours);
        free(theirs);
    }
}

TEST(equal_tables_take_no_bytes_and_teach_nothing) {
    static tables t;
    uint64_t seed = 11;
    wisp__models *ours, *untouched;
    wisp__adaptive a;
    uint8_t bytes[1];
    make(&t, &seed, 5, 9);
    ours = models_for(&t);
    untouched = models_for(&t);
    a = adaptive_of(&t, ours, 0);
    CHECK_EQ_INT(wisp__range_coder_encode(&a, t.base, bytes, 0), 0);
    CHECK_EQ_MEM(ours, untouched, wisp__models_size(5));
    CHECK(wisp__range_coder_decode(&a, t.now, bytes, 0));
    CHECK_EQ_MEM(t.now, t.base, 5 * 9 * 4);
    free(ours);
    free(untouched);
}

TEST(what_does_not_fit_is_not_encoded) {
    static tables t;
    uint64_t seed = 12;
    for (int round = 0; round < 100; round++) {
        wisp__models *models;
        wisp__adaptive a;
        uint8_t *bytes = (uint8_t *)exact(SYMBOLS_MAX);
        int size;
        make(&t, &seed, 6, 20);
        t.now[0] = t.base[0] ^ 1;
        models = models_for(&t);
        a = adaptive_of(&t, models, 0);
        size = wisp__range_coder_encode(&a, t.now, bytes, SYMBOLS_MAX);
        free(bytes);
        for (int less = 0; less < 5 && less <= size; less++) {
            int capacity = size - less, got;
            bytes = (uint8_t *)exact((size_t)capacity);
            wisp__models_init(models, t.columns, 6);
            got = wisp__range_coder_encode(&a, t.now, bytes, capacity);
            CHECK(got == -1 || (got == size && less == 0));
            free(bytes);
        }
        free(models);
    }
}

TEST(any_bytes_are_decoded_within_the_bits) {
    static tables t;
    uint64_t seed = 13;
    for (int round = 0; round < 800; round++) {
        int size = test_random_below(&seed, 60), style = test_random_below(&seed, 3);
        uint8_t *bytes = (uint8_t *)exact((size_t)size);
        wisp__models *models;
        make(&t, &seed, 1 + test_random_below(&seed, 80), 1 + test_random_below(&seed, 20));
        models = models_for(&t);
        for (int i = 0; i < size; i++) bytes[i] = style ? (uint8_t)test_random(&seed) : 0xff;
        for (int i = 0; i < 3; i++) {
            wisp__adaptive a = adaptive_of(&t, models, style > 1 ? 2 : 0);
            wisp__range_coder_decode(&a, t.now, bytes, size);
            check_table(&t.table, t.now);
        }
        free(models);
        free(bytes);
    }
}

TEST(the_adaptive_form_stands_as_drawn) {
    static const wisp__column columns[4] = { { 12, 0 }, { 8, 0 }, { 2, 1 }, { 32, 1 } };
    static const uint32_t base[8] = { 100, 200, 3, 0x42c80000u, 7, 8, 1, 10 };
    static const uint32_t now[8] = { 103, 200, 2, 0x42c83333u, 7, 9, 1, 10 };
    static const uint8_t bytes[] = { 0x92, 0x66, 0x53, 0x32, 0x6e, 0xbe };
    static tables t;
    uint8_t to[64];
    wisp__models *models;
    wisp__adaptive a;
    memcpy(t.columns, columns, sizeof columns);
    t.table = table_of(t.columns, 4, 2);
    models = models_for(&t);
    a = adaptive_of(&t, models, 0);
    a.held[0] = base;
    CHECK_EQ_INT(wisp__range_coder_encode(&a, now, to, 64), sizeof bytes);
    CHECK_EQ_MEM(to, bytes, sizeof bytes);
    free(models);
}

/* Balls that fly and bounce; every sixth rests. */
static void fly(uint32_t *rows, int count, int tick) {
    for (int i = 0; i < count; i++) {
        int time = i % 6 ? tick : 0, phase = (time * (7 + i % 5) + i * 31) % 200;
        int height = phase * (200 - phase) / 4;
        rows[3 * i] = (uint32_t)(50000 + time * (i % 11 - 5) * 3);
        rows[3 * i + 1] = (uint32_t)(60000 + time * (i % 7 - 3) * 4);
        rows[3 * i + 2] = (uint32_t)height;
    }
}

TEST(what_was_learned_makes_motion_shorter) {
    static tables t;
    static const wisp__column columns[3] = { { 18, 0 }, { 18, 0 }, { 14, 0 } };
    int sizes[3] = { 0, 0, 0 };
    memcpy(t.columns, columns, sizeof columns);
    t.table = table_of(t.columns, 3, 200);
    for (int known = 0; known < 3; known++) {
        wisp__models *models = models_for(&t);
        for (int tick = 6; tick < 60; tick += 2) {
            static uint8_t bytes[4096];
            wisp__adaptive a = adaptive_of(&t, models, known);
            fly(t.now, 200, tick);
            fly(t.base, 200, tick - 2);
            fly(t.old, 200, tick - 4);
            fly(t.oldest, 200, tick - 6);
            sizes[known] = wisp__range_coder_encode(&a, t.now, bytes, 4096);
            CHECK(sizes[known] > 0);
        }
        free(models);
    }
    CHECK(sizes[0] < (int)bits_of(t.columns, 3, 200, t.base, t.now) / 8);
    CHECK(sizes[1] < sizes[0] * 3 / 4);
    CHECK(sizes[2] < sizes[1]);
}

static const test_case tests[] = {
    CASE(random_tables_are_decoded_as_encoded_and_models_stay_equal),
    CASE(every_width_is_decoded_at_its_edges),
    CASE(equal_tables_take_no_bytes_and_teach_nothing),
    CASE(what_does_not_fit_is_not_encoded),
    CASE(any_bytes_are_decoded_within_the_bits),
    CASE(the_adaptive_form_stands_as_drawn),
    CASE(what_was_learned_makes_motion_shorter),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
