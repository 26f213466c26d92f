/* test_base.c - result texts, memory, log, words, hash, wrapping numbers, limits */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

#include <limits.h>

/* --- result texts --- */

TEST(every_code_has_a_text_of_its_own) {
    for (int a = WISP_OK; a >= WISP_E_SEALED; a--) {
        CHECK(wisp_result_text(a)[0] != 0);
        CHECK(strcmp(wisp_result_text(a), "unknown code") != 0);
        for (int b = WISP_OK; b > a; b--)
            CHECK(strcmp(wisp_result_text(a), wisp_result_text(b)) != 0);
    }
    CHECK_EQ_STR(wisp_result_text(WISP_PENDING), "pending");
}

TEST(texts_stand_at_their_codes) {
    CHECK_EQ_STR(wisp_result_text(WISP_OK), "ok");
    CHECK_EQ_STR(wisp_result_text(WISP_E_MEMORY), "out of memory");
    CHECK_EQ_STR(wisp_result_text(WISP_E_SERVER_FULL), "server is full");
    CHECK_EQ_STR(wisp_result_text(WISP_E_TIMEOUT), "timeout");
    CHECK_EQ_STR(wisp_result_text(WISP_E_RATE), "over the rate limit");
    CHECK_EQ_STR(wisp_result_text(WISP_E_PROTOCOL), "peer broke the protocol");
    CHECK_EQ_STR(wisp_result_text(WISP_E_SCHEMA),
                 "schema is invalid, or not that of the other end");
    CHECK_EQ_STR(wisp_result_text(WISP_E_INVALID), "value is outside its schema");
    CHECK_EQ_STR(wisp_result_text(WISP_E_PATTERN), "pattern makes no sense");
}

TEST(foreign_codes_have_a_text_too) {
    volatile int lowest = INT_MIN;
    static const int foreign[] = { 2, 3, 1000, INT_MAX, -99, -500, -999 };
    for (int i = 0; i < (int)(sizeof foreign / sizeof *foreign); i++)
        CHECK_EQ_STR(wisp_result_text(foreign[i]), "unknown code");
    CHECK_EQ_STR(wisp_result_text(WISP_E_USER), "application error");
    CHECK_EQ_STR(wisp_result_text(WISP_E_USER - 1), "application error");
    CHECK_EQ_STR(wisp_result_text(INT_MIN + 1), "application error");
    CHECK_EQ_STR(wisp_result_text(lowest), "application error");
}

/* --- memory --- */

TEST(an_allocator_is_whole_or_the_librarys) {
    wisp_allocator none = { NULL, NULL, NULL }, own = { low_alloc, low_free, NULL };
    wisp_allocator half = { low_alloc, NULL, NULL }, other = { NULL, low_free, NULL };
    void *pointer;
    CHECK(wisp__allocator_defaults(&none));
    if (!CHECK(none.alloc && none.free)) return;
    pointer = none.alloc(none.user, 100);
    CHECK(pointer != NULL);
    none.free(none.user, pointer, 100);
    CHECK(wisp__allocator_defaults(&own));
    CHECK(own.alloc == low_alloc && own.free == low_free);
    CHECK(!wisp__allocator_defaults(&half));
    CHECK(!wisp__allocator_defaults(&other));
}

TEST(memory_is_zeroed_and_counted) {
    wisp__base base;
    low_memory memory;
    unsigned char zeros[1000] = { 0 };
    void *a, *b;
    low_start(&base, &memory);
    a = wisp__alloc(&base, 1000);
    b = wisp__alloc(&base, 24);
    CHECK_EQ_MEM(a, zeros, 1000);
    CHECK_EQ_MEM(b, zeros, 24);
    CHECK_EQ_INT(base.stats.memory, 1024);
    CHECK_EQ_INT(base.stats.allocations, 2);
    wisp__free(&base, a, 1000);
    CHECK_EQ_INT(base.stats.memory, 24);
    CHECK_EQ_INT(base.stats.memory_peak, 1024);
    a = wisp__alloc(&base, 500);
    CHECK_EQ_INT(base.stats.memory_peak, 1024);
    wisp__free(&base, a, 500);
    wisp__free(&base, b, 24);
    wisp__free(&base, NULL, 24);
    CHECK_EQ_INT(base.stats.memory_peak, 1024);
    CHECK(low_is_empty(&base, &memory));
}

TEST(a_failed_allocation_counts_as_nothing) {
    wisp__base base;
    low_memory memory;
    low_start(&base, &memory);
    memory.fail_after = 0;
    CHECK(wisp__alloc(&base, 64) == NULL);
    CHECK_EQ_INT(base.stats.memory, 0);
    CHECK_EQ_INT(base.stats.memory_peak, 0);
    CHECK_EQ_INT(base.stats.allocations, 0);
}

/* --- sizes --- */

/* Products that a size_t of 32 bits, or an int, would wrap around are refused on every machine. */
TEST(sizes_that_are_too_large_are_refused_before_they_wrap) {
    static const int64_t counts[] = { INT64_C(1) << 31, 65535, 61357, 536870913, 1, INT64_MAX,
                                      INT64_C(1) << 32, 53687092, -1, -1 };
    static const size_t eaches[] = { 1, 65537, 70000, 8, 0x80000000u, SIZE_MAX, 1, 40, 1, 0 };
    size_t bytes = 7;
    for (int i = 0; i < (int)(sizeof counts / sizeof *counts); i++) {
        CHECK(!wisp__size_of(counts[i], eaches[i], &bytes));
        CHECK_EQ_INT(bytes, 7);
    }
    CHECK(wisp__size_of(0, 0, &bytes) && bytes == 0);
    CHECK(wisp__size_of(INT64_MAX, 0, &bytes) && bytes == 0);
    CHECK(wisp__size_of(0, SIZE_MAX, &bytes) && bytes == 0);
    CHECK(wisp__size_of(INT32_MAX, 1, &bytes) && bytes == INT32_MAX);
    CHECK(wisp__size_of(1, INT32_MAX, &bytes) && bytes == INT32_MAX);
    CHECK(wisp__size_of(53687091, 40, &bytes) && bytes == 2147483640u);
}

TEST(the_allocator_is_never_asked_for_what_is_too_large) {
    wisp__base base;
    low_memory memory;
    void *items = NULL;
    int room = 0;
    low_start(&base, &memory);
    CHECK(wisp__alloc(&base, (size_t)INT32_MAX + 1) == NULL);
    CHECK(wisp__alloc(&base, SIZE_MAX) == NULL);
    CHECK(wisp__alloc_items(&base, 536870913, 8) == NULL);
    CHECK_EQ_INT(wisp__grow(&base, wisp__array_of(&items, &room, 64), 1 << 26, 1 << 26),
                 WISP_E_MEMORY);
    CHECK(items == NULL && room == 0);
    CHECK_EQ_INT(memory.calls, 0);
    CHECK_EQ_INT(base.stats.allocations, 0);
}

/* Whatever a caller sets: two of them have a sum. */
TEST(limits_are_far_from_where_numbers_wrap) {
    wisp_limits limits;
    memset(&limits, 0x7f, sizeof limits);
    wisp__limits_defaults(&limits, 64);
    for (size_t i = 0; i < sizeof limits / sizeof(int); i++) {
        int limit;
        memcpy(&limit, (const uint8_t *)&limits + i * sizeof(int), sizeof limit);
        CHECK(limit > 0 && limit <= 1 << 30);
    }
    CHECK(limits.notices <= 1 << 24 && limits.schema_bytes <= 1 << 28);
    CHECK((int64_t)(limits.message_bytes + 256) * 8 <= INT32_MAX);
}

/* --- growing arrays --- */

#define ARRAY(each) wisp__array_of(&items, &room, each)

TEST(arrays_double_and_keep_what_they_hold) {
    wisp__base base;
    low_memory memory;
    void *items = NULL;
    int room = 0, rooms[] = { 4, 8, 16, 32, 64 };
    low_start(&base, &memory);
    for (int need = 1; need <= 64; need++) {
        int before = room;
        CHECK_EQ_INT(wisp__grow(&base, ARRAY(sizeof(int)), need, 1000), WISP_OK);
        if (!items) return;
        for (int i = before; i < room; i++) CHECK_EQ_INT(((int *)items)[i], 0);
        ((int *)items)[need - 1] = need;
        for (int i = 0; i < need; i++) CHECK_EQ_INT(((int *)items)[i], i + 1);
        CHECK(room == rooms[0] || room == rooms[1] || room == rooms[2] || room == rooms[3] ||
              room == rooms[4]);
    }
    CHECK_EQ_INT(room, 64);
    CHECK_EQ_INT(memory.calls, 5);
    CHECK_EQ_INT(base.stats.memory, 64 * (int)sizeof(int));
    wisp__free(&base, items, (size_t)room * sizeof(int));
    CHECK(low_is_empty(&base, &memory));
}

TEST(arrays_grow_to_their_limit_and_no_further) {
    static const int limits[] = { 1, 2, 3, 4, 5, 7, 8, 9, 100 };
    for (int k = 0; k < (int)(sizeof limits / sizeof *limits); k++) {
        wisp__base base;
        low_memory memory;
        void *items = NULL, *before;
        int room = 0;
        low_start(&base, &memory);
        CHECK_EQ_INT(wisp__grow(&base, ARRAY(8), 0, limits[k]), WISP_OK);
        CHECK(items == NULL && room == 0);
        CHECK_EQ_INT(wisp__grow(&base, ARRAY(8), limits[k] + 1, limits[k]), WISP_E_LIMIT);
        CHECK(items == NULL && room == 0);
        for (int need = 1; need <= limits[k]; need++)
            CHECK_EQ_INT(wisp__grow(&base, ARRAY(8), need, limits[k]), WISP_OK);
        CHECK_EQ_INT(room, limits[k]);
        before = items;
        CHECK_EQ_INT(wisp__grow(&base, ARRAY(8), limits[k] + 1, limits[k]), WISP_E_LIMIT);
        CHECK(items == before && room == limits[k]);
        wisp__free(&base, items, (size_t)room * 8);
        CHECK(low_is_empty(&base, &memory));
    }
}

TEST(a_leap_in_need_is_met_at_once) {
    wisp__base base;
    low_memory memory;
    void *items = NULL;
    int room = 0;
    low_start(&base, &memory);
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(1), 501, 1 << 20), WISP_OK);
    CHECK_EQ_INT(room, 504);                /* a new array has little to spare */
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(1), 5000, 1 << 20), WISP_OK);
    CHECK_EQ_INT(room, 5000);
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(1), 5000, 1 << 20), WISP_OK);
    CHECK_EQ_INT(memory.calls, 2);
    wisp__free(&base, items, (size_t)room);
}

TEST(a_ring_doubles_and_keeps_each_item_at_its_index) {
    wisp__base base;
    low_memory memory;
    uint32_t *ring = NULL, first = UINT32_MAX - 5, next = first;
    int room = 0;
    low_start(&base, &memory);
    for (int i = 0; i < 64; i++, next++) {
        if (next - first == (uint32_t)room)
            CHECK_EQ_INT(wisp__grow_ring(&base, WISP__ARRAY(ring, room), first, next, 64), WISP_OK);
        if (!ring) return;
        ring[next & (uint32_t)(room - 1)] = next;
        if (i == 3) first += 2;
    }
    CHECK_EQ_INT(room, 64);
    for (uint32_t i = first; i != next; i++) CHECK_EQ_INT(ring[i & 63], i);
    CHECK_EQ_INT(wisp__grow_ring(&base, WISP__ARRAY(ring, room), first, next, 64), WISP_E_LIMIT);
    memory.fail_after = 0;
    CHECK_EQ_INT(wisp__grow_ring(&base, WISP__ARRAY(ring, room), first, next, 128),
                 WISP_E_MEMORY);
    for (uint32_t i = first; i != next; i++) CHECK_EQ_INT(ring[i & 63], i);
    wisp__free(&base, ring, (size_t)room * sizeof *ring);
    CHECK_EQ_INT(base.stats.memory, 0);
}

TEST(a_need_beyond_all_bounds_is_refused) {
    wisp__base base;
    low_memory memory;
    volatile int huge = INT_MAX;
    void *items = NULL;
    int room = 0;
    low_start(&base, &memory);
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(1), huge, 1 << 20), WISP_E_LIMIT);
    CHECK(items == NULL && room == 0);
    room = 1 << 30;             /* as if it were so large */
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(1), 1, 1 << 30), WISP_OK);
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(1), huge, 1 << 30), WISP_E_LIMIT);
    CHECK_EQ_INT(memory.calls, 0);
}

TEST(an_array_that_cannot_grow_is_as_it_was) {
    wisp__base base;
    low_memory memory;
    void *items = NULL, *before;
    int room = 0;
    low_start(&base, &memory);
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(4), 4, 100), WISP_OK);
    memcpy(items, "abcdefghijklmnop", 16);
    before = items;
    memory.fail_after = 0;
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(4), 5, 100), WISP_E_MEMORY);
    CHECK(items == before && room == 4);
    CHECK_EQ_MEM(items, "abcdefghijklmnop", 16);
    memory.fail_after = LOW_NONE;
    CHECK_EQ_INT(wisp__grow(&base, ARRAY(4), 5, 100), WISP_OK);
    CHECK_EQ_MEM(items, "abcdefghijklmnop", 16);
    wisp__free(&base, items, (size_t)room * 4);
    CHECK(low_is_empty(&base, &memory));
}

/* --- log --- */

typedef struct log_line { int lines, level, code; char text[300]; } log_line;

static void on_log(void *user, int level, wisp_result code, const char *text) {
    log_line *line = (log_line *)user;
    line->lines++;
    line->level = level;
    line->code = code;
    snprintf(line->text, sizeof line->text, "%s", text);
}

TEST(the_log_gets_level_code_and_text) {
    wisp__base base;
    low_memory memory;
    log_line line;
    memset(&line, 0, sizeof line);
    low_start(&base, &memory);
    wisp__log(&base, WISP_LOG_ERROR, WISP_E_LINK, "nobody listens to %s", "this");
    base.log = on_log;
    base.user = &line;
    wisp__log(&base, WISP_LOG_WARNING, WISP_E_RATE, "%d of %s", 7, "nine");
    CHECK_EQ_INT(line.lines, 1);
    CHECK_EQ_INT(line.level, WISP_LOG_WARNING);
    CHECK_EQ_INT(line.code, WISP_E_RATE);
    CHECK_EQ_STR(line.text, "7 of nine");
}

/* A log, and a base that writes to it. */
static void log_open(wisp__base *base, low_memory *memory, log_line *line) {
    memset(line, 0, sizeof *line);
    low_start(base, memory);
    base->log = on_log;
    base->user = line;
}

TEST(equal_lines_are_told_eight_at_once_and_one_a_second_with_their_number) {
    static const char format[] = "line %d";     /* equal lines have one format, at one address */
    wisp__base base;
    low_memory memory;
    log_line line;
    log_open(&base, &memory, &line);
    for (int i = 0; i < 100; i++) wisp__log(&base, WISP_LOG_WARNING, WISP_E_RATE, format, i);
    CHECK_EQ_INT(line.lines, 8);
    CHECK_EQ_STR(line.text, "line 7");
    wisp__log(&base, WISP_LOG_ERROR, WISP_E_LINK, "another line");
    CHECK_EQ_INT(line.lines, 9);
    base.time += 1;
    wisp__log(&base, WISP_LOG_WARNING, WISP_E_RATE, format, 100);
    CHECK_EQ_STR(line.text, "line 100 (and 92 like it)");
    wisp__log(&base, WISP_LOG_WARNING, WISP_E_RATE, format, 101);
    CHECK_EQ_INT(line.lines, 10);
    for (int i = 0; i < 10 * 100; i++) {
        base.time += 0.01;
        wisp__log(&base, WISP_LOG_WARNING, WISP_E_RATE, format, 102);
    }
    CHECK(line.lines >= 19 && line.lines <= 20);
    base.time += 8;
    for (int i = 0; i < 100; i++) wisp__log(&base, WISP_LOG_WARNING, WISP_E_RATE, format, i);
    CHECK(line.lines >= 27 && line.lines <= 28);
}

TEST(lines_that_were_left_out_are_told_when_no_other_follows) {
    wisp__base base;
    low_memory memory;
    log_line line;
    log_open(&base, &memory, &line);
    for (int i = 0; i < 11; i++) wisp__log(&base, WISP_LOG_ERROR, WISP_E_RATE, "line %d", i);
    CHECK(base.left_out);
    base.left_out = false;
    wisp__log_left_out(&base);
    CHECK_EQ_INT(line.lines, 8);
    CHECK(base.left_out);
    base.time += 1;
    base.left_out = false;
    wisp__log_left_out(&base);
    CHECK_EQ_INT(line.lines, 9);
    CHECK_EQ_INT(line.level, WISP_LOG_ERROR);
    CHECK_EQ_INT(line.code, WISP_E_RATE);
    CHECK_EQ_STR(line.text, "3 lines were left out: line ...");
    CHECK(!base.left_out);
}

/* Whatever is logged, the table is as large as ever, and what finds no place in it is counted. */
TEST(lines_of_many_kinds_share_the_last_place) {
    wisp__base base;
    low_memory memory;
    log_line line;
    int told = 0;
    log_open(&base, &memory, &line);
    for (int round = 0; round < 50; round++)
        for (int code = -1; code >= -40; code--)
            wisp__log(&base, WISP_LOG_WARNING, code, "%d", code);
    CHECK_EQ_INT(line.lines, WISP__THROTTLE_KINDS * WISP__THROTTLE_BURST);
    for (int i = 0; i < WISP__THROTTLE_KINDS; i++) told += (int)base.throttle.kinds[i].left_out;
    CHECK_EQ_INT(told + line.lines, 50 * 40);
    base.time += 1;
    wisp__log_left_out(&base);
    CHECK_EQ_INT(line.lines, WISP__THROTTLE_KINDS * (WISP__THROTTLE_BURST + 1));
    CHECK(strstr(line.text, " lines were left out: of many kinds") != NULL);
    CHECK_EQ_INT(line.code, WISP_E_FLOOD);
    base.time += WISP__THROTTLE_BURST;
    wisp__log(&base, WISP_LOG_WARNING, WISP_E_LINK, "a new kind finds a place");
    CHECK_EQ_STR(line.text, "a new kind finds a place");
    CHECK_EQ_INT(base.throttle.kinds[0].code, WISP_E_LINK);
}

TEST(the_number_left_out_stands_at_the_end_of_a_line_that_is_cut) {
    char text[32] = "0123456789012345678901234567890", whole[32] = "short";
    wisp__throttle_note(text, sizeof text, 5);
    CHECK_EQ_STR(text, "012345678901234 (and 5 like it)");
    wisp__throttle_note(whole, sizeof whole, 12);
    CHECK_EQ_STR(whole, "short (and 12 like it)");
    wisp__throttle_note(whole, sizeof whole, 0);
    CHECK_EQ_STR(whole, "short (and 12 like it)");
}

/* --- codes of the other end --- */

TEST(codes_of_the_other_end_are_its_own_or_of_a_short_list) {
    int replies = 0, goodbyes = 0;
    for (int code = INT16_MIN; code <= INT16_MAX; code++) {
        int reply = wisp__code_received(code, false), goodbye = wisp__code_received(code, true);
        bool own = code <= WISP_E_USER;
        CHECK(reply == code || (!own && reply == WISP_E_HANDLER));
        CHECK(goodbye == code || (!own && goodbye == WISP_E_CLOSED));
        CHECK(reply <= 0 && goodbye <= 0);
        replies += !own && reply == code;
        goodbyes += !own && goodbye == code;
    }
    CHECK_EQ_INT(replies, 17);
    CHECK_EQ_INT(goodbyes, 6);
    CHECK_EQ_INT(wisp__code_received(WISP_E_TIMEOUT, false), WISP_E_HANDLER);
    CHECK_EQ_INT(wisp__code_received(WISP_E_CLOSED, false), WISP_E_HANDLER);
    CHECK_EQ_INT(wisp__code_received(WISP_E_STALE, false), WISP_E_HANDLER);
    CHECK_EQ_INT(wisp__code_received(WISP_E_USER + 1, false), WISP_E_HANDLER);
    CHECK_EQ_INT(wisp__code_received(WISP_E_NO_REMOTE, true), WISP_E_CLOSED);
    CHECK_EQ_INT(wisp__code_received(WISP_E_TIMEOUT, true), WISP_E_TIMEOUT);
    CHECK_EQ_INT(wisp__code_received(WISP_E_MEMORY, true), WISP_E_CLOSED);
    CHECK_EQ_INT(wisp__code_received(WISP_E_FLOOD, true), WISP_E_FLOOD);
}

TEST(a_long_log_line_is_cut) {
    wisp__base base;
    low_memory memory;
    log_line line;
    char text[1000];
    memset(text, 'x', sizeof text);
    text[999] = 0;
    low_start(&base, &memory);
    base.log = on_log;
    base.user = &line;
    memset(&line, 0, sizeof line);
    wisp__log(&base, WISP_LOG_INFO, WISP_OK, "%s", text);
    CHECK_EQ_INT(strlen(line.text), 255);
    CHECK_EQ_MEM(line.text, text, 255);
}

/* --- words --- */

TEST(words_are_little_endian_at_any_address) {
    for (int offset = 0; offset < 16; offset++) {
        uint8_t bytes[32] = { 0 };
        static const uint8_t order[8] = { 8, 7, 6, 5, 4, 3, 2, 1 };
        wisp__store64(bytes + offset, UINT64_C(0x0102030405060708));
        CHECK_EQ_MEM(bytes + offset, order, 8);
        CHECK(wisp__load64(bytes + offset) == UINT64_C(0x0102030405060708));
        for (int i = 0; i < 32; i++) CHECK((bytes[i] != 0) == (i >= offset && i < offset + 8));
    }
}

TEST(part_of_a_word_reads_only_that_part) {
    for (int count = 0; count < 8; count++) {
        uint8_t *exact = (uint8_t *)malloc((size_t)count + 1) + 1;
        uint64_t expected = 0;
        for (int i = 0; i < count; i++) {
            exact[i] = (uint8_t)(0xf1 + i);
            expected |= (uint64_t)exact[i] << (8 * i);
        }
        CHECK(wisp__load_part(exact, count) == expected);
        free(exact - 1);
    }
}

/* --- hash: values from an independent computation --- */

TEST(the_mix_is_stable) {
    CHECK(wisp__mix(0) == 0);
    CHECK(wisp__mix(1) == UINT64_C(0x4179b061e0c0e0d0));
    CHECK(wisp__mix(UINT64_C(0x123456789abcdef0)) == UINT64_C(0x47761187079081a9));
    CHECK(wisp__mix(UINT64_MAX) == UINT64_C(0x448e29ced4103459));
}

TEST(the_hash_of_bytes_is_stable) {
    CHECK(wisp__hash_bytes("", 0) == 0);
    CHECK(wisp__hash_bytes("a", 1) == UINT64_C(0x1d083e1e900a1252));
    CHECK(wisp__hash_bytes("hp", 2) == UINT64_C(0xa1730e1c270a3d1f));
    CHECK(wisp__hash_bytes("12345678", 8) == UINT64_C(0x08f93f2b90e50e31));
    CHECK(wisp__hash_bytes("player_action_of_the_second_kind", 32) == UINT64_C(0x23508dd83cdf453d));
    CHECK(wisp__hash_bytes("a name that is no multiple of eight", 35) ==
          UINT64_C(0x858ed2509b9d35a8));
}

TEST(the_hash_sees_every_bit_and_the_length) {
    uint8_t bytes[40];
    uint64_t seed = 5, seen[41 + 40 * 8];
    int count = 0;
    low_random_bytes(&seed, bytes, 40);
    for (int bit = 0; bit < 40 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        seen[count++] = wisp__hash_bytes(bytes, 40);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int size = 0; size <= 40; size++) seen[count++] = wisp__hash_bytes(bytes, size);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++) CHECK(seen[i] != seen[k]);
}

TEST(zeros_of_different_length_hash_differently) {
    static const uint8_t zeros[100] = { 0 };
    for (int a = 0; a <= 100; a++)
        for (int b = 0; b < a; b++)
            CHECK(wisp__hash_bytes(zeros, a) != wisp__hash_bytes(zeros, b));
}

TEST(the_hash_does_not_depend_on_the_address) {
    uint64_t seed = 11;
    for (int size = 0; size < 30; size++) {
        uint8_t bytes[40], moved[40];
        low_random_bytes(&seed, bytes, size);
        for (int offset = 0; offset < 8; offset++) {
            memset(moved, 0xee, sizeof moved);
            memcpy(moved + offset, bytes, (size_t)size);
            CHECK(wisp__hash_bytes(moved + offset, size) == wisp__hash_bytes(bytes, size));
        }
    }
}

/* --- wrapping numbers --- */

TEST(distance_is_signed_across_the_wrap) {
    static const uint32_t places[] = { 0, 1, 100, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe,
                                       0xffffffff };
    for (int i = 0; i < 8; i++) {
        CHECK_EQ_INT(wisp__distance(places[i], places[i]), 0);
        for (int step = 1; step < 1000; step += 37) {
            CHECK_EQ_INT(wisp__distance(places[i] + (uint32_t)step, places[i]), step);
            CHECK_EQ_INT(wisp__distance(places[i] - (uint32_t)step, places[i]), -step);
        }
        CHECK_EQ_INT(wisp__distance(places[i] + 0x7fffffff, places[i]), INT32_MAX);
    }
}

static uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/* By trial: of all numbers that end in `low`, the nearest; the larger when two are as near. */
static uint64_t nearest(uint64_t expected, uint64_t low, int bits) {
    uint64_t window = UINT64_C(1) << bits, best = low, base = expected / window * window;
    bool found = false;
    for (int k = -1; k <= 1; k++) {
        uint64_t number = base + (uint64_t)k * window + low;
        if (k < 0 && base == 0) continue;
        if (!found || apart(number, expected) <= apart(best, expected)) best = number;
        found = true;
    }
    return best;
}

TEST(widening_finds_the_nearest_near_every_wrap) {
    static const int all_bits[] = { 1, 2, 4, 8 };
    static const int wraps[] = { 0, 4, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 61, 62 };
    for (int b = 0; b < 4; b++) {
        int bits = all_bits[b];
        for (int k = 0; k < 14; k++) {
            uint64_t wrap = wraps[k] ? UINT64_C(1) << wraps[k] : 0;
            for (int step = -40; step <= 40; step++) {
                uint64_t expected = wrap + (uint64_t)(int64_t)step;
                if (step < 0 && wrap < 40) continue;
                for (uint64_t low = 0; low < UINT64_C(1) << bits; low++)
                    CHECK(wisp__widen(expected, low, bits) == nearest(expected, low, bits));
            }
        }
    }
}

TEST(widening_16_and_32_bits_gives_back_what_was_cut) {
    static const uint64_t places[] = {
        1, 0x7fff, 0x8000, 0xffff, 0x10000, 0x17fff, 0x18000, 0x7fffffff, 0x80000000, 0xffffffff,
        UINT64_C(0x100000000), UINT64_C(0x17fffffff), UINT64_C(0x180000000),
        UINT64_C(0xffffffffffff), UINT64_C(0x3fffffffffffffff)
    };
    uint64_t seed = 77;
    for (int bits = 16; bits <= 32; bits += 16) {
        uint64_t half = UINT64_C(1) << (bits - 1), mask = half * 2 - 1;
        for (int i = 0; i < 15; i++) {
            for (int trial = 0; trial < 300; trial++) {
                uint64_t off = trial == 0 ? half - 1 : trial == 1 ? 0 : test_random(&seed) % half;
                uint64_t ahead = places[i] + off, behind = places[i] - off;
                CHECK(wisp__widen(places[i], ahead & mask, bits) == ahead);
                if (off <= places[i])
                    CHECK(wisp__widen(places[i], behind & mask, bits) == behind);
            }
            CHECK(wisp__widen(places[i], (places[i] + half) & mask, bits) == places[i] + half);
        }
    }
}

TEST(widening_agrees_with_the_example_of_rfc_9000) {
    CHECK(wisp__widen(UINT64_C(0xa82f30eb), 0x9b32, 16) == UINT64_C(0xa82f9b32));
}

TEST(steps_of_24_bits_are_signed_across_every_wrap) {
    static const uint32_t places[] = { 0, 1, 0x7fffff, 0x800000, 0xffffff, 0x1000000, 0x7fffffff,
                                       0x80000000, 0xff7fffff, 0xff800000, 0xffffffff };
    static const int steps[] = { 0, 1, -1, 1000, -1000, 0x7ffffe, 0x7fffff, -0x7fffff, -0x800000 };
    for (int i = 0; i < (int)(sizeof places / sizeof *places); i++)
        for (int k = 0; k < (int)(sizeof steps / sizeof *steps); k++) {
            uint32_t to = places[i] + (uint32_t)steps[k];
            CHECK_EQ_INT(wisp__ahead_24(to & WISP__LOW_24, places[i]), steps[k]);
        }
}

/* --- small helpers --- */

TEST(least_and_greatest) {
    CHECK_EQ_INT(wisp__min_int(-3, 2), -3);
    CHECK_EQ_INT(wisp__min_int(2, -3), -3);
    CHECK_EQ_INT(wisp__max_int(INT_MIN, INT_MAX), INT_MAX);
    CHECK_EQ_INT(wisp__max_int(5, 5), 5);
    CHECK_NEAR(wisp__min(1.5, -1.5), -1.5, 0);
    CHECK_NEAR(wisp__max(1.5, -1.5), 1.5, 0);
    CHECK(wisp__min(WISP__NEVER, 1e18) < WISP__NEVER);
}

TEST(powers_of_two) {
    static const int wanted[][2] = { { -5, 1 }, { 0, 1 }, { 1, 1 }, { 2, 2 }, { 3, 4 }, { 4, 4 },
                                     { 5, 8 }, { 1023, 1024 }, { 1025, 2048 }, { 16384, 16384 } };
    for (int i = 0; i < (int)(sizeof wanted / sizeof *wanted); i++)
        CHECK_EQ_INT(wisp__power_of_two(wanted[i][0]), wanted[i][1]);
    CHECK_EQ_INT(wisp__default_int(0, 9), 9);
    CHECK_EQ_INT(wisp__default_int(-1, 9), 9);
    CHECK_EQ_INT(wisp__default_int(1, 9), 1);
}

/* --- limits --- */

TEST(limits_have_the_documented_defaults) {
    wisp_limits l;
    memset(&l, 0, sizeof l);
    wisp__limits_defaults(&l, 64);
    CHECK_EQ_INT(l.remotes, 1024);
    CHECK_EQ_INT(l.connections, 4096);
    CHECK_EQ_INT(l.message_bytes, 1 << 20);
    CHECK_EQ_INT(l.message_values, 65536);
    CHECK_EQ_INT(l.map_pairs, 4096);
    CHECK_EQ_INT(l.nesting, 16);
    CHECK_EQ_INT(l.queue_messages, 65536);
    CHECK_EQ_INT(l.queue_bytes, 8 << 20);
    CHECK_EQ_INT(l.window_items, 8192);
    CHECK_EQ_INT(l.window_bytes, 4 << 20);
    CHECK_EQ_INT(l.window_packets, 1024);
    CHECK_EQ_INT(l.calls, 4096);
    CHECK_EQ_INT(l.calls_remembered, 4096);
    CHECK_EQ_INT(l.packet_messages, 4096);
    CHECK_EQ_INT(l.update_packets, 65536);
    CHECK_EQ_INT(l.notices, 1024);
}

static void limits_fill(wisp_limits *l, int value) {
    l->remotes = l->connections = l->message_bytes = l->message_values = l->map_pairs = value;
    l->nesting = l->queue_messages = l->queue_bytes = l->window_items = l->window_bytes = value;
    l->window_packets = l->calls = l->calls_remembered = l->packet_messages = value;
    l->update_packets = l->notices = value;
}

TEST(limits_of_the_user_are_kept) {
    wisp_limits l;
    limits_fill(&l, 16);
    wisp__limits_defaults(&l, 8);
    CHECK_EQ_INT(l.remotes, 16);
    CHECK_EQ_INT(l.connections, 16);
    CHECK_EQ_INT(l.message_bytes, 16);
    CHECK_EQ_INT(l.message_values, 16);
    CHECK_EQ_INT(l.map_pairs, 16);
    CHECK_EQ_INT(l.nesting, 16);
    CHECK_EQ_INT(l.queue_messages, 16);
    CHECK_EQ_INT(l.queue_bytes, 32);         /* never less than two messages */
    CHECK_EQ_INT(l.window_items, 16);
    CHECK_EQ_INT(l.window_packets, 16);
    CHECK_EQ_INT(l.calls, 16);
    CHECK_EQ_INT(l.calls_remembered, 16);
    CHECK_EQ_INT(l.packet_messages, 2048);   /* a sender may put in as many */
    CHECK_EQ_INT(l.update_packets, 16);
    CHECK_EQ_INT(l.notices, 16);
    limits_fill(&l, 17);
    wisp__limits_defaults(&l, 500);
    CHECK_EQ_INT(l.window_items, 32);
    CHECK_EQ_INT(l.window_packets, 32);
    CHECK_EQ_INT(l.calls_remembered, 32);
    CHECK_EQ_INT(l.notices, 500);            /* a goodbye for every peer */
}

TEST(huge_limits_come_down_to_what_can_be_kept) {
    wisp_limits l;
    limits_fill(&l, INT_MAX);
    wisp__limits_defaults(&l, 64);
    CHECK_EQ_INT(l.window_items, 16384);
    CHECK_EQ_INT(l.window_packets, 1024);
    CHECK_EQ_INT(l.calls_remembered, 16384);
    CHECK(l.queue_bytes >= 2 * (int64_t)l.message_bytes);
    /* A length of 28 bits must be able to tell the size of anything in a message. */
    CHECK(wisp__length_bits((uint64_t)l.message_bytes - 1) <= 32);
    /* Nesting is recursion. */
    CHECK(l.nesting <= 1024);
    /* What a message may claim to hold can be asked from an allocator, also of 32 bits. */
    CHECK((uint64_t)l.message_values * sizeof(wisp_value) < SIZE_MAX / 4);
    CHECK((uint64_t)l.map_pairs * sizeof(wisp_pair) < SIZE_MAX / 4);
}

/* --- numbers by their bits --- */

static const uint64_t base_edges[] = {
    0, 1, UINT64_C(0x000fffffffffffff), UINT64_C(0x0010000000000000), UINT64_C(0x3690000000000000),
    UINT64_C(0x3690000000000001), UINT64_C(0x36a0000000000000), UINT64_C(0x36a8000000000000),
    UINT64_C(0x380fffffe0000000), UINT64_C(0x380ffffff0000000), UINT64_C(0x3810000000000000),
    UINT64_C(0x3fe0000000000000), UINT64_C(0x3ff0000000000000), UINT64_C(0x3ff0000010000000),
    UINT64_C(0x3ff0000010000001), UINT64_C(0x3ff0000030000000), UINT64_C(0x47efffffe0000000),
    UINT64_C(0x47efffffefffffff), UINT64_C(0x47effffff0000000), UINT64_C(0x47f0000000000000),
    UINT64_C(0x7fefffffffffffff), UINT64_C(0x7ff0000000000000),
};
enum { BASE_EDGES = (int)(sizeof base_edges / sizeof *base_edges) };

/* As the machine converts them; it may do so in a register of any width. */
TEST(numbers_become_narrow_and_wide_as_the_machine_makes_them) {
    uint64_t seed = 1;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = i < 2 * BASE_EDGES ? base_edges[i / 2] | (uint64_t)(i & 1) << 63
                                      : low_bits_of(low_double(&seed));
        volatile float narrow;
        volatile double wide;
        uint32_t low;
        float copy;
        if (i > 100000) bits = (bits & ~(UINT64_C(0x7ff) << 52)) |
                               (uint64_t)(860 + test_random_below(&seed, 300)) << 52;
#ifdef __FAST_MATH__                                 /* for which subnormal floats are zero */
        if ((wisp__bits_narrow(bits, WISP__FROM_EXACT) & 0x7fffffff) < 0x01000000) continue;
#endif
        narrow = (float)low_double_of(bits);
        copy = narrow;
        memcpy(&low, &copy, 4);
        CHECK_EQ_INT(wisp__bits_narrow(bits, WISP__FROM_EXACT), low);
        wide = (double)narrow;
        CHECK(wisp__bits_widen(low) == low_bits_of(wide));
    }
}

TEST(a_nan_keeps_its_bits_where_there_is_room_for_them) {
    uint64_t seed = 2;
    for (int i = 0; i < 1000; i++) {
        uint32_t low = (uint32_t)test_random(&seed) | 0x7f800000;
        CHECK_EQ_INT(wisp__bits_narrow(wisp__bits_widen(low), WISP__FROM_EXACT), low);
        CHECK(wisp__bits_nan(wisp__bits_widen(low)) == ((low & 0x7fffff) != 0));
    }
    CHECK_EQ_INT(wisp__bits_narrow(UINT64_C(0xfff0000000000001), WISP__FROM_EXACT), 0xffc00000);
}

TEST(integers_become_floats_rounded_once) {
    CHECK_EQ_INT(wisp__float_near(0, 5, WISP__FROM_EXACT), 0);
    CHECK_EQ_INT(wisp__float_near(1, -149, WISP__FROM_EXACT), 1);
    CHECK_EQ_INT(wisp__float_near(1, -150, WISP__FROM_EXACT), 0);
    CHECK_EQ_INT(wisp__float_near(1, -150, WISP__FROM_ABOVE), 1);
    CHECK_EQ_INT(wisp__float_near(3, -150, WISP__FROM_EXACT), 2);
    CHECK_EQ_INT(wisp__float_near(3, -150, WISP__FROM_BELOW), 1);
    CHECK_EQ_INT(wisp__float_near(UINT64_MAX, 0, WISP__FROM_EXACT), 0x5f800000);
    CHECK_EQ_INT(wisp__float_near((UINT64_C(1) << 53) + (1 << 29) + 1, 0, WISP__FROM_EXACT),
                 0x5a000001);
    CHECK_EQ_INT(wisp__float_near(1, 128, WISP__FROM_EXACT), 0x7f800000);
    CHECK_EQ_INT(wisp__float_near(UINT64_MAX, 64, WISP__FROM_EXACT), 0x7f800000);
}

/* Exactly where what it was rounded from would decide between two floats. */
TEST(the_middle_of_two_floats_is_known) {
    for (int i = 0; i < BASE_EDGES; i++) {
        bool below = wisp__bits_narrow(base_edges[i], WISP__FROM_BELOW) !=
                     wisp__bits_narrow(base_edges[i], WISP__FROM_ABOVE);
        CHECK(wisp__bits_between_floats(base_edges[i]) == below);
    }
    CHECK(wisp__bits_between_floats(UINT64_C(0x3ff0000010000000)));
    CHECK(wisp__bits_between_floats(UINT64_C(0x36a8000000000000)));
    CHECK(wisp__bits_between_floats(UINT64_C(0x3690000000000000)));
    CHECK(wisp__bits_between_floats(UINT64_C(0x47effffff0000000)));
    CHECK(!wisp__bits_between_floats(UINT64_C(0x3ff0000020000000)));
    CHECK(!wisp__bits_between_floats(UINT64_C(0x7ff0000010000000)));
}

TEST(the_order_of_bits_is_that_of_numbers) {
    double infinity = low_double_of(WISP__INFINITE_BITS), tiny = low_double_of(1);
    for (int i = 0; i + 1 < BASE_EDGES; i++) {
        CHECK(wisp__bits_order(base_edges[i]) < wisp__bits_order(base_edges[i + 1]));
        CHECK(wisp__bits_order(base_edges[i] | UINT64_C(1) << 63) ==
              -wisp__bits_order(base_edges[i]));
    }
    CHECK(wisp__is_within(1, 1, 1) && !wisp__is_within(1, 1.5, 2) && !wisp__is_within(2.5, 1, 2));
    CHECK(wisp__is_within(-0.0, 0, 1) && wisp__is_within(0, -1, -0.0));
    CHECK(!wisp__is_within(tiny, 0, 0) && !wisp__is_within(0, tiny, 1));
    CHECK(wisp__is_within(infinity, 0, infinity) && !wisp__is_within(infinity, 0, 1e300));
    CHECK(!wisp__is_within(low_nan(), -infinity, infinity));
    CHECK(!wisp__is_within(-low_nan(), -infinity, infinity));
    CHECK(!wisp__is_within(0, low_nan(), 1) && !wisp__is_within(0, -1, low_nan()));
    CHECK(!wisp__is_within(0, -low_nan(), 1) && !wisp__is_within(0, -1, -low_nan()));
    CHECK(wisp__is_finite(-1e308) && !wisp__is_finite(-infinity) && !wisp__is_finite(low_nan()));
}

TEST(what_is_clamped_is_within) {
    double infinity = low_double_of(WISP__INFINITE_BITS);
    CHECK_NEAR(wisp__clamp(0.5, 0, 1), 0.5, 0);
    CHECK_NEAR(wisp__clamp(-3, 0, 1), 0, 0);
    CHECK_NEAR(wisp__clamp(3, 0, 1), 1, 0);
    CHECK_NEAR(wisp__clamp(infinity, 0, 1), 1, 0);
    CHECK_NEAR(wisp__clamp(-infinity, 0, 1), 0, 0);
    CHECK_NEAR(wisp__clamp(low_nan(), 0.25, 1), 0.25, 0);
    CHECK_NEAR(wisp__clamp(-low_nan(), 0.25, 1), 0.25, 0);
}

static const test_case tests[] = {
    CASE(numbers_become_narrow_and_wide_as_the_machine_makes_them),
    CASE(a_nan_keeps_its_bits_where_there_is_room_for_them),
    CASE(integers_become_floats_rounded_once),
    CASE(the_middle_of_two_floats_is_known),
    CASE(the_order_of_bits_is_that_of_numbers),
    CASE(what_is_clamped_is_within),
    CASE(every_code_has_a_text_of_its_own),
    CASE(texts_stand_at_their_codes),
    CASE(an_allocator_is_whole_or_the_librarys),
    CASE(memory_is_zeroed_and_counted),
    CASE(a_failed_allocation_counts_as_nothing),
    CASE(sizes_that_are_too_large_are_refused_before_they_wrap),
    CASE(the_allocator_is_never_asked_for_what_is_too_large),
    CASE(limits_are_far_from_where_numbers_wrap),
    CASE(arrays_double_and_keep_what_they_hold),
    CASE(arrays_grow_to_their_limit_and_no_further),
    CASE(a_leap_in_need_is_met_at_once),
    CASE(an_array_that_cannot_grow_is_as_it_was),
    CASE(the_log_gets_level_code_and_text),
    CASE(a_long_log_line_is_cut),
    CASE(equal_lines_are_told_eight_at_once_and_one_a_second_with_their_number),
    CASE(lines_that_were_left_out_are_told_when_no_other_follows),
    CASE(lines_of_many_kinds_share_the_last_place),
    CASE(the_number_left_out_stands_at_the_end_of_a_line_that_is_cut),
    CASE(codes_of_the_other_end_are_its_own_or_of_a_short_list),
    CASE(words_are_little_endian_at_any_address),
    CASE(part_of_a_word_reads_only_that_part),
    CASE(the_mix_is_stable),
    CASE(the_hash_of_bytes_is_stable),
    CASE(the_hash_sees_every_bit_and_the_length),
    CASE(zeros_of_different_length_hash_differently),
    CASE(the_hash_does_not_depend_on_the_address),
    CASE(distance_is_signed_across_the_wrap),
    CASE(widening_finds_the_nearest_near_every_wrap),
    CASE(widening_16_and_32_bits_gives_back_what_was_cut),
    CASE(widening_agrees_with_the_example_of_rfc_9000),
    CASE(steps_of_24_bits_are_signed_across_every_wrap),
    CASE(least_and_greatest),
    CASE(powers_of_two),
    CASE(limits_have_the_documented_defaults),
    CASE(limits_of_the_user_are_kept),
    CASE(huge_limits_come_down_to_what_can_be_kept),
    CASE(foreign_codes_have_a_text_too),
    CASE(a_ring_doubles_and_keeps_each_item_at_its_index),
    CASE(a_need_beyond_all_bounds_is_refused),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
