/* test_baseline.c - sent and received baselines: the room by itself */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

typedef struct desk {
    wisp         w;
    low_memory   memory;
    wisp__baselines baselines;
} desk;

static void desk_open(desk *d) {
    memset(d, 0, sizeof *d);
    low_start(&d->w.base, &d->memory);
    d->w.chunks.base = &d->w.base;
}

static void desk_close(desk *d) {
    wisp__baselines_check(&d->w, &d->baselines);
    wisp__baselines_free(&d->w, &d->baselines);
    wisp__chunks_free(&d->w.chunks);
    CHECK(low_is_empty(&d->w.base, &d->memory));
}

static wisp__baseline *desk_baseline(desk *d, uint64_t key, bool in_order) {
    wisp__baseline *t = wisp__baseline_open(&d->w, &d->baselines, 5, key, in_order);
    CHECK(t != NULL);
    return t;
}

/* Stores a text of a length as the next value. */
static void desk_store(desk *d, wisp__baseline *t, char letter, int length) {
    char text[600];
    wisp__stored next;
    memset(text, letter, sizeof text);
    memset(&next, 0, sizeof next);
    next.value = wisp__encoded_make(&d->w, text, (int64_t)length * 8);
    next.sequence = t->sequence;
    if (!CHECK(next.value != NULL)) return;
    wisp__baseline_store(&d->w, &d->baselines, t, &next);
    t->sequence++;
    t->begun = true;
    wisp__encoded_release(&d->w, next.value);
    wisp__baselines_check(&d->w, &d->baselines);
}

static bool desk_settled(desk *d, wisp__baseline *t, char letter, int length, bool in_order) {
    char text[600];
    wisp__encoded *kept;
    bool settled;
    memset(text, letter, sizeof text);
    kept = wisp__encoded_make(&d->w, text, (int64_t)length * 8);
    settled = wisp__baseline_settled(t, kept, in_order);
    wisp__encoded_release(&d->w, kept);
    return settled;
}

TEST(a_ring_holds_the_last_values_and_no_more) {
    desk d;
    wisp__baseline *t;
    desk_open(&d);
    t = desk_baseline(&d, 1, false);
    for (int i = 0; i < 40; i++) desk_store(&d, t, (char)('a' + i % 26), 20 + i);
    CHECK_EQ_INT(t->room, d.w.base.limits.baselines);
    for (uint32_t i = 0; i < 40; i++) CHECK_EQ_INT(wisp__baseline_find(t, i) != NULL, i >= 24);
    CHECK(wisp__baseline_newest(t) == wisp__baseline_find(t, 39));
    desk_close(&d);
}

/* The bound is one of memory, also for small values and for baselines without any. */
TEST(values_take_no_more_memory_than_their_limit) {
    enum { BYTES = 1 << 20 };
    desk d;
    uint64_t before;
    desk_open(&d);
    d.w.base.limits.baseline_bytes = BYTES;
    before = d.w.base.stats.memory;
    for (int k = 0; k < 1200; k++) desk_baseline(&d, (uint64_t)k + 1, false);
    CHECK_EQ_INT(d.baselines.count, wisp__baselines_most(&d.w.base.limits));
    CHECK((double)(d.w.base.stats.memory - before) <= 0.55 * BYTES);
    for (int k = 0; k < 1200; k++) {
        wisp__baseline *b = wisp__baseline_get(&d.baselines, 5, (uint64_t)k + 1);
        for (int i = 0; b && i < 12; i++) desk_store(&d, b, 'a', 1);
    }
    CHECK((double)(d.w.base.stats.memory - before) > 0.9 * BYTES);
    CHECK((double)(d.w.base.stats.memory - before) <= 1.1 * BYTES);
    desk_close(&d);
}

TEST(the_base_is_the_newest_acked_value_on_lossy_ways_and_the_last_in_order) {
    desk d;
    wisp__baseline *t, *o;
    desk_open(&d);
    t = desk_baseline(&d, 1, false);
    o = desk_baseline(&d, 2, true);
    CHECK(!wisp__baseline_pick(t, false) && !wisp__baseline_pick(o, true));
    for (int i = 0; i < 6; i++) {
        desk_store(&d, t, 'a', 10 + i);
        desk_store(&d, o, 'a', 10 + i);
    }
    CHECK(!wisp__baseline_pick(t, false));
    CHECK(wisp__baseline_pick(o, true) == wisp__baseline_find(o, 5));
    wisp__baseline_outcome(&d.baselines, t->place, 3, true);
    wisp__baseline_outcome(&d.baselines, t->place, 1, true);          /* an older one acked later */
    CHECK(wisp__baseline_pick(t, false) == wisp__baseline_find(t, 3));
    for (int i = 0; i < 70; i++) desk_store(&d, t, 'b', 10);
    CHECK(!wisp__baseline_pick(t, false));
    wisp__baseline_outcome(&d.baselines, t->place, 3, true);          /* long gone: means nothing */
    wisp__baseline_outcome(&d.baselines, 77, 3, true);                /* nobody's */
    CHECK(!wisp__baseline_pick(t, false));
    desk_close(&d);
}

TEST(nothing_is_sent_only_if_all_that_may_arrive_is_the_same) {
    desk d;
    wisp__baseline *t;
    desk_open(&d);
    t = desk_baseline(&d, 1, false);
    CHECK(!desk_settled(&d, t, 'a', 10, false));
    desk_store(&d, t, 'a', 10);
    CHECK(desk_settled(&d, t, 'a', 10, false));
    CHECK(!desk_settled(&d, t, 'a', 11, false));
    desk_store(&d, t, 'b', 10);
    desk_store(&d, t, 'a', 10);
    CHECK(!desk_settled(&d, t, 'a', 10, false));             /* 'b' may come last */
    CHECK(desk_settled(&d, t, 'a', 10, true));
    wisp__baseline_outcome(&d.baselines, t->place, 2, true);
    CHECK(desk_settled(&d, t, 'a', 10, false));
    desk_close(&d);
}

TEST(a_lost_newest_value_goes_again_and_others_do_not) {
    desk d;
    wisp__baseline *t;
    desk_open(&d);
    t = desk_baseline(&d, 1, false);
    for (int i = 0; i < 3; i++) desk_store(&d, t, 'a', 10 + i);
    wisp__baseline_outcome(&d.baselines, t->place, 1, false);
    CHECK_EQ_INT(d.baselines.again, 0);
    wisp__baseline_outcome(&d.baselines, t->place, 2, false);
    wisp__baseline_outcome(&d.baselines, t->place, 2, false);
    CHECK(t->again && d.baselines.again == 1);
    desk_close(&d);
}

TEST(values_stay_within_their_bytes_and_the_acked_one_stays_longest) {
    desk d;
    wisp__baseline *t;
    desk_open(&d);
    d.w.base.limits.baseline_bytes = 2000;
    t = desk_baseline(&d, 1, false);
    desk_store(&d, t, 'a', 100);
    wisp__baseline_outcome(&d.baselines, t->place, 0, true);
    for (int i = 0; i < 10; i++) {
        desk_store(&d, t, 'b', 300 + i);
        CHECK(d.baselines.bytes <= 2000);
        CHECK(wisp__baseline_find(t, 0) != NULL);
    }
    CHECK(wisp__baseline_newest(t) != NULL);
    d.baselines.most = 100;                                     /* not even one */
    desk_store(&d, t, 'c', 500);
    CHECK(!wisp__baseline_newest(t));
    desk_close(&d);
}

TEST(at_the_limit_of_keys_the_one_that_rested_longest_gives_way) {
    desk d;
    wisp__baseline *t[4], *next;
    desk_open(&d);
    d.w.base.limits.keys = 4;
    for (uint64_t i = 0; i < 4; i++) {
        desk_store(&d, t[i] = desk_baseline(&d, i, false), 'a', 10);
        wisp__baseline_outcome(&d.baselines, t[i]->place, 0, true);
    }
    desk_baseline(&d, 0, false);
    next = desk_baseline(&d, 9, false);
    CHECK(next == t[1]);
    CHECK(next->whole);
    CHECK_EQ_INT(next->sequence, 1);                          /* the numbers of a place go on */
    CHECK(!wisp__baseline_newest(next));
    CHECK(!wisp__baseline_get(&d.baselines, 5, 1) &&
          wisp__baseline_get(&d.baselines, 5, 9) == next);
    CHECK_EQ_INT(d.baselines.count, 4);
    desk_close(&d);
}

/* What may yet have to go again does not give way. */
TEST(a_key_whose_newest_value_may_be_lost_keeps_its_baseline) {
    desk d;
    wisp__baseline *t[4];
    desk_open(&d);
    d.w.base.limits.keys = 4;
    for (uint64_t i = 0; i < 4; i++) desk_store(&d, t[i] = desk_baseline(&d, i, false), 'a', 10);
    CHECK(!wisp__baseline_open(&d.w, &d.baselines, 5, 9, false));
    CHECK_EQ_INT(d.w.no_baseline, WISP_E_LIMIT);
    wisp__baseline_outcome(&d.baselines, t[2]->place, 0, true);
    CHECK(desk_baseline(&d, 9, false) == t[2]);
    wisp__baselines_check(&d.w, &d.baselines);
    desk_close(&d);
}

TEST(at_the_limit_of_keys_a_baseline_of_another_order_gives_way_too) {
    desk d;
    desk_open(&d);
    d.w.base.limits.keys = 4;
    for (uint64_t i = 0; i < 4; i++) desk_store(&d, desk_baseline(&d, i, true), 'a', 10);
    CHECK(wisp__baseline_open(&d.w, &d.baselines, 6, 0, false) != NULL);
    CHECK_EQ_INT(d.w.no_baseline, WISP_OK);
    CHECK(d.baselines.count <= 4);
    desk_close(&d);
}

TEST(a_reset_leaves_only_the_newest_which_goes_whole) {
    desk d;
    wisp__baseline *t;
    desk_open(&d);
    t = desk_baseline(&d, 1, false);
    for (int i = 0; i < 5; i++) desk_store(&d, t, 'a', 10 + i);
    wisp__baseline_outcome(&d.baselines, t->place, 3, true);
    wisp__baselines_reset(&d.w, &d.baselines, 6, true);
    CHECK(!t->again);                                          /* another name */
    wisp__baselines_reset(&d.w, &d.baselines, 5, true);
    CHECK(t->again && t->whole && !wisp__baseline_pick(t, false));
    CHECK(!wisp__baseline_find(t, 3) && wisp__baseline_find(t, 4));
    CHECK(!desk_settled(&d, t, 'a', 14, false));
    desk_close(&d);
}

static const test_case tests[] = {
    CASE(a_ring_holds_the_last_values_and_no_more),
    CASE(values_take_no_more_memory_than_their_limit),
    CASE(the_base_is_the_newest_acked_value_on_lossy_ways_and_the_last_in_order),
    CASE(nothing_is_sent_only_if_all_that_may_arrive_is_the_same),
    CASE(a_lost_newest_value_goes_again_and_others_do_not),
    CASE(values_stay_within_their_bytes_and_the_acked_one_stays_longest),
    CASE(at_the_limit_of_keys_the_one_that_rested_longest_gives_way),
    CASE(a_key_whose_newest_value_may_be_lost_keeps_its_baseline),
    CASE(at_the_limit_of_keys_a_baseline_of_another_order_gives_way_too),
    CASE(a_reset_leaves_only_the_newest_which_goes_whole),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
