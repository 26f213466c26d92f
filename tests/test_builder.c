/* test_builder.c - what codecs share: the room of an encoder, the memory and lists of a builder */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

/* --- the encoder --- */

TEST(an_encoder_says_what_its_caller_gives_wrong) {
    wisp_value value = wisp_nil();
    wisp__encoder e;
    uint8_t out[4];
    CHECK_EQ_INT(wisp__encoder_on(&e, &value, out, 4), WISP_OK);
    CHECK_EQ_INT(wisp__encoder_on(&e, &value, NULL, 0), WISP_OK);
    CHECK_EQ_INT(wisp__encoder_on(&e, &value, NULL, 4), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__encoder_on(&e, &value, out, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__encoder_on(&e, NULL, out, 4), WISP_E_ARGUMENT);
}

TEST(bytes_are_written_up_to_the_capacity_and_no_further) {
    wisp_value value = wisp_nil();
    for (int capacity = 0; capacity < 8; capacity++) {
        uint8_t out[8];
        wisp__encoder e;
        memset(out, '#', sizeof out);
        wisp__encoder_on(&e, &value, out, capacity);
        wisp__emit_byte(&e, 'a');
        wisp__emit_bytes(&e, "bcd", 3);
        wisp__emit_bytes(&e, NULL, 0);
        CHECK_EQ_INT(wisp__emitted(&e), capacity < 4 ? WISP_E_TOO_BIG : 4);
        CHECK(capacity < 4 || memcmp(out, "abcd", 4) == 0);
        for (int i = wisp__max_int(capacity, 0); i < 8; i++) CHECK_EQ_INT(out[i], '#');
    }
}

TEST(the_first_failure_of_an_encoder_stays_and_leaves_no_room) {
    wisp_value value = wisp_nil();
    uint8_t out[8];
    wisp__encoder e;
    wisp__encoder_on(&e, &value, out, 8);
    wisp__emit_byte(&e, 1);
    wisp__emit_refuse(&e, WISP_E_TYPE);
    wisp__emit_refuse(&e, WISP_E_DEPTH);
    CHECK(!wisp__emit_room(&e, 1));
    CHECK_EQ_INT(wisp__emitted(&e), WISP_E_TYPE);
    CHECK(e.begin == e.at && e.end == e.at);
}

/* --- the builder --- */

static uint64_t memory[4096];

static void start(wisp__builder *b, const char *text, int memory_size) {
    CHECK_EQ_INT(wisp__builder_on(b, text, (int)strlen(text), memory, memory_size), WISP_OK);
}

TEST(a_builder_says_what_its_caller_gives_wrong) {
    wisp__builder b;
    CHECK_EQ_INT(wisp__builder_on(&b, NULL, 0, NULL, 0), WISP_OK);
    CHECK_EQ_INT(wisp__builder_on(&b, NULL, 1, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__builder_on(&b, "a", -1, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__builder_on(&b, "a", 1, NULL, 8), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__builder_on(&b, "a", 1, memory, -8), WISP_E_ARGUMENT);
}

TEST(bytes_are_taken_up_to_the_end_and_no_further) {
    wisp__builder b;
    start(&b, "abcd", 64);
    CHECK(memcmp(wisp__build_take(&b, 3), "abc", 3) == 0);
    CHECK(wisp__build_take(&b, 0) == b.at);
    CHECK(!wisp__build_take(&b, 2));
    CHECK_EQ_INT(b.result, WISP_E_SYNTAX);
    CHECK(!wisp__build_take(&b, 1));
    start(&b, "abcd", 64);
    CHECK(!wisp__build_take(&b, UINT64_MAX));
}

TEST(items_are_aligned_and_never_pass_the_memory) {
    for (int size = 0; size < 80; size++)
        for (int shift = 0; shift < 8; shift++) {
            wisp__builder b;
            wisp_value text = wisp_nil();
            void *items;
            CHECK_EQ_INT(wisp__builder_on(&b, "abc", 3, (uint8_t *)memory + shift, size), WISP_OK);
            wisp__build_string(&b, 3, &text);
            items = wisp__build_items(&b, 3, 8);
            if (items) CHECK_EQ_INT((uintptr_t)items & 7, 0);
            CHECK((items != NULL) == (size >= 32 + (-shift & 7)));
            CHECK_EQ_INT(b.result, items ? WISP_OK : WISP_E_MEMORY);
            if (items) CHECK((uint8_t *)items + 24 <= (uint8_t *)memory + shift + size);
            if (text.kind == WISP_STRING) CHECK_EQ_STR(text.as.string, "abc");
        }
}

TEST(sizes_that_wrap_are_refused) {
    wisp__builder b;
    start(&b, "", 64);
    CHECK(!wisp__build_items(&b, INT64_MAX, 16));
    CHECK_EQ_INT(b.result, WISP_E_MEMORY);
    start(&b, "", 64);
    CHECK(!wisp__build_items(&b, -1, 1));
}

TEST(strings_are_utf_8_and_bytes_stay_where_they_are) {
    wisp__builder b;
    wisp_value out = wisp_nil();
    start(&b, "a\xc3\xa4\xff", 64);
    wisp__build_string(&b, 3, &out);
    CHECK_EQ_STR(out.as.string, "a\xc3\xa4");
    wisp__build_bytes(&b, 1, &out);
    CHECK(out.kind == WISP_BYTES && out.as.bytes == b.at - 1);
    start(&b, "a\xc3", 64);
    wisp__build_string(&b, 2, &out);
    CHECK_EQ_INT(b.result, WISP_E_SYNTAX);
    CHECK_EQ_INT(out.kind, WISP_BYTES);
}

TEST(depth_is_bounded_and_the_deepest_is_kept) {
    wisp__builder b;
    start(&b, "", 64);
    CHECK_EQ_INT(b.most, 256);
    CHECK(wisp__build_reach(&b, 256));
    CHECK(wisp__build_reach(&b, 3));
    CHECK_EQ_INT(b.deepest, 256);
    CHECK(!wisp__build_reach(&b, 257));
    CHECK_EQ_INT(b.result, WISP_E_DEPTH);
}

TEST(whole_numbers_are_int_where_they_fit) {
    CHECK(wisp__build_whole(INT64_MAX).kind == WISP_INT);
    CHECK(wisp__build_whole((uint64_t)INT64_MAX + 1).kind == WISP_UINT);
}

/* An array of `count` numbers, in each of which stands a list of as many. */
TEST(open_lists_keep_their_order_inside_of_each_other) {
    for (int count = 0; count < 12; count++) {
        wisp__builder b;
        wisp_value list = wisp_nil();
        uint8_t *outer;
        start(&b, "", (int)sizeof memory);
        outer = b.high;
        for (int i = 0; i < count; i++) {
            wisp_value *item = (wisp_value *)wisp__build_item(&b, sizeof *item);
            uint8_t *inner = b.high;
            for (int k = 0; k < i; k++)
                *(wisp_value *)wisp__build_item(&b, sizeof *item) = wisp_int(k);
            wisp__build_list(&b, inner, false, item);
        }
        wisp__build_list(&b, outer, false, &list);
        CHECK_EQ_INT(b.result, WISP_OK);
        CHECK(b.high == outer);
        CHECK_EQ_INT(list.count, count);
        for (int i = 0; i < count; i++) {
            CHECK_EQ_INT(list.as.array[i].count, i);
            for (int k = 0; k < i; k++) CHECK_EQ_INT(list.as.array[i].as.array[k].as.integer, k);
        }
    }
}

/* Each key once, with its last value, in the place of the last; what was left out is free again. */
TEST(of_equal_keys_of_an_open_map_the_last_pair_remains) {
    enum { PAIRS = 40, KEYS = 10 };
    static char keys[PAIRS][8];
    wisp__builder b;
    wisp_value map = wisp_nil();
    uint8_t *top;
    start(&b, "", (int)sizeof memory);
    top = b.high;
    for (int i = 0; i < PAIRS; i++) {
        wisp_pair *pair = (wisp_pair *)wisp__build_item(&b, sizeof *pair);
        snprintf(keys[i], sizeof keys[i], "%d", i * 3 % KEYS);
        pair->key = keys[i];
        pair->value = wisp_int(i);
    }
    wisp__build_list(&b, top, true, &map);
    CHECK_EQ_INT(map.count, KEYS);
    CHECK(b.low == (const uint8_t *)(map.as.map + KEYS));
    for (int i = 0; i < map.count; i++) {
        CHECK_EQ_INT(map.as.map[i].value.as.integer, PAIRS - KEYS + i);
        CHECK_EQ_INT(atoi(map.as.map[i].key), (PAIRS - KEYS + i) * 3 % KEYS);
    }
}

TEST(a_list_that_does_not_fit_is_refused) {
    for (int values = 0; values < 8; values++) {
        wisp__builder b;
        wisp_value list = wisp_nil();
        uint8_t *top;
        int taken = 0;
        start(&b, "", values * (int)sizeof list);
        top = b.high;
        while (taken < 3 && wisp__build_item(&b, sizeof list)) {
            *(wisp_value *)(void *)b.high = wisp_int(taken);
            taken++;
        }
        wisp__build_list(&b, top, false, &list);
        CHECK_EQ_INT(b.result, values >= 6 ? WISP_OK : WISP_E_MEMORY);
    }
}

static const test_case tests[] = {
    CASE(an_encoder_says_what_its_caller_gives_wrong),
    CASE(bytes_are_written_up_to_the_capacity_and_no_further),
    CASE(the_first_failure_of_an_encoder_stays_and_leaves_no_room),
    CASE(a_builder_says_what_its_caller_gives_wrong),
    CASE(bytes_are_taken_up_to_the_end_and_no_further),
    CASE(items_are_aligned_and_never_pass_the_memory),
    CASE(sizes_that_wrap_are_refused),
    CASE(strings_are_utf_8_and_bytes_stay_where_they_are),
    CASE(depth_is_bounded_and_the_deepest_is_kept),
    CASE(whole_numbers_are_int_where_they_fit),
    CASE(open_lists_keep_their_order_inside_of_each_other),
    CASE(of_equal_keys_of_an_open_map_the_last_pair_remains),
    CASE(a_list_that_does_not_fit_is_refused),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
