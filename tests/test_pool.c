/* test_pool.c - handles with generations, timers, chunks, the arena */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

enum { ALIGNED = 8 };   /* for the strictest type that is kept in memory: double, uint64_t */

typedef struct pool_item {
    wisp__slot slot;
    int        mark;
    double     more[2];
} pool_item;

/* --- handles --- */

typedef struct pool_test {
    wisp__base  base;
    low_memory  memory;
    wisp__pool  pool;
    wisp_result why;
} pool_test;

static void pool_start(pool_test *t, int limit, int block_items) {
    low_start(&t->base, &t->memory);
    wisp__pool_init(&t->pool, limit, sizeof(pool_item), block_items);
    t->why = WISP_OK;
}

static pool_item *pool_add(pool_test *t) {
    return (pool_item *)wisp__pool_add(&t->base, &t->pool, &t->why);
}

static void pool_end(pool_test *t) {
    wisp__pool_free(&t->base, &t->pool);
    CHECK(low_is_empty(&t->base, &t->memory));
}

TEST(a_handle_finds_its_item_and_nothing_else) {
    pool_test t;
    pool_item *a, *b;
    pool_start(&t, 10, 4);
    CHECK(wisp__pool_get(&t.pool, 0) == NULL);
    CHECK(wisp__pool_get(&t.pool, 1) == NULL);
    a = pool_add(&t);
    b = pool_add(&t);
    if (!CHECK(a && b && a != b)) return;
    CHECK(a->slot.id != b->slot.id);
    CHECK(wisp__pool_get(&t.pool, a->slot.id) == a);
    CHECK(wisp__pool_get(&t.pool, b->slot.id) == b);
    CHECK_EQ_INT(t.pool.live, 2);
    CHECK(wisp__pool_get(&t.pool, 0) == NULL);
    CHECK(wisp__pool_get(&t.pool, UINT32_MAX) == NULL);
    pool_end(&t);
}

TEST(an_item_is_zeroed_each_time_it_is_given) {
    pool_test t;
    pool_start(&t, 1, 1);
    for (int i = 0; i < 5; i++) {
        pool_item *it = pool_add(&t);
        if (!CHECK(it != NULL)) return;
        CHECK_EQ_INT(it->mark, 0);
        CHECK_NEAR(it->more[1], 0, 0);
        it->mark = 7;
        it->more[1] = 1;
        wisp__pool_remove(&t.pool, it);
    }
    pool_end(&t);
}

TEST(a_stale_handle_never_finds_the_successor) {
    pool_test t;
    uint32_t old[200];
    pool_start(&t, 1, 1);
    for (int i = 0; i < 200; i++) {
        pool_item *it = pool_add(&t);
        if (!CHECK(it != NULL)) return;
        old[i] = it->slot.id;
        for (int k = 0; k < i; k++) CHECK(wisp__pool_get(&t.pool, old[k]) == NULL);
        CHECK(wisp__pool_get(&t.pool, old[i]) == it);
        wisp__pool_remove(&t.pool, it);
        CHECK(wisp__pool_get(&t.pool, old[i]) == NULL);
    }
    pool_end(&t);
}

TEST(a_full_pool_says_so_and_goes_on) {
    static const int limits[] = { 1, 2, 3, 4, 5, 31, 32, 33 };
    for (int k = 0; k < 8; k++) {
        pool_test t;
        pool_item *last = NULL;
        pool_start(&t, limits[k], 4);
        for (int i = 0; i < limits[k]; i++) CHECK((last = pool_add(&t)) != NULL);
        CHECK(pool_add(&t) == NULL);
        CHECK_EQ_INT(t.why, WISP_E_LIMIT);
        CHECK_EQ_INT(t.pool.live, limits[k]);
        wisp__pool_remove(&t.pool, last);
        CHECK(pool_add(&t) == last);
        CHECK(pool_add(&t) == NULL);
        pool_end(&t);
    }
}

TEST(a_pool_without_memory_says_so_and_goes_on) {
    for (int fail = 0; fail < 2; fail++) {
        pool_test t;
        pool_item *first;
        pool_start(&t, 100, 2);
        t.memory.fail_after = fail;
        CHECK(pool_add(&t) == NULL);
        CHECK_EQ_INT(t.why, WISP_E_MEMORY);
        CHECK_EQ_INT(t.pool.live, 0);
        t.memory.fail_after = LOW_NONE;
        first = pool_add(&t);
        CHECK(first && pool_add(&t));
        t.memory.fail_after = 0;
        CHECK(pool_add(&t) == NULL);
        CHECK_EQ_INT(t.why, WISP_E_MEMORY);
        CHECK(wisp__pool_get(&t.pool, first->slot.id) == first);
        t.memory.fail_after = LOW_NONE;
        CHECK(pool_add(&t) != NULL);
        CHECK_EQ_INT(t.pool.live, 3);
        pool_end(&t);
    }
}

TEST(items_never_move) {
    pool_test t;
    pool_item *items[300];
    pool_start(&t, 300, 7);
    for (int i = 0; i < 300; i++) {
        items[i] = pool_add(&t);
        if (!CHECK(items[i] != NULL)) return;
        items[i]->mark = i;
        items[i]->more[0] = items[i]->more[1] = i;
    }
    for (int i = 0; i < 300; i++) {
        CHECK(wisp__pool_get(&t.pool, items[i]->slot.id) == items[i]);
        CHECK_EQ_INT(items[i]->mark, i);
        CHECK_NEAR(items[i]->more[1], i, 0);
    }
    pool_end(&t);
}

TEST(free_slots_are_taken_oldest_first) {
    pool_test t;
    pool_item *items[8];
    static const int order[8] = { 3, 1, 7, 0, 2, 6, 5, 4 };
    pool_start(&t, 8, 8);
    for (int i = 0; i < 8; i++) items[i] = pool_add(&t);
    for (int i = 0; i < 8; i++) wisp__pool_remove(&t.pool, items[order[i]]);
    for (int i = 0; i < 8; i++) CHECK(pool_add(&t) == items[order[i]]);
    pool_end(&t);
}

TEST(walking_sees_the_live_ones) {
    pool_test t;
    pool_item *items[20];
    int seen = 0;
    pool_start(&t, 20, 6);
    for (int i = 0; i < 20; i++) items[i] = pool_add(&t);
    for (int i = 0; i < 20; i += 3) wisp__pool_remove(&t.pool, items[i]);
    for (int i = 0; i < t.pool.made; i++) {
        pool_item *it = (pool_item *)wisp__pool_live(&t.pool, i);
        CHECK((it != NULL) == (i % 3 != 0));
        if (it) CHECK(it == items[i]);
        seen += it != NULL;
    }
    CHECK_EQ_INT(seen, t.pool.live);
    pool_end(&t);
}

/* Sets the generation of a free slot: so near the end that a test can go past it. */
static void pool_age(pool_test *t, int index, uint32_t left) {
    wisp__slot *slot = wisp__pool_at(&t->pool, index);
    uint32_t generations = UINT32_MAX >> t->pool.index_bits;
    slot->id = (generations - left) << t->pool.index_bits | (uint32_t)index;
}

TEST(generations_wrap_without_id_none_and_id_server) {
    static const int limits[] = { 1, 2, 4, 5, 64, 1024 };
    for (int k = 0; k < 6; k++) {
        pool_test t;
        uint32_t before = 0;
        int last = limits[k] - 1;
        pool_start(&t, limits[k], 64);
        for (int i = 0; i < limits[k]; i++) CHECK(pool_add(&t) != NULL);
        wisp__pool_remove(&t.pool, wisp__pool_at(&t.pool, last));
        pool_age(&t, last, 3);
        for (int i = 0; i < 8; i++) {
            pool_item *it = pool_add(&t);
            if (!CHECK(it != NULL)) return;
            CHECK(it->slot.id != 0 && it->slot.id != UINT32_MAX && it->slot.id != before);
            CHECK_EQ_INT(it->slot.id & ((1u << t.pool.index_bits) - 1), last);
            CHECK(wisp__pool_get(&t.pool, it->slot.id) == it);
            CHECK(wisp__pool_get(&t.pool, before) == NULL);
            CHECK(wisp__pool_get(&t.pool, UINT32_MAX) == NULL);
            before = it->slot.id;
            wisp__pool_remove(&t.pool, it);
        }
        CHECK(before >> t.pool.index_bits < 8);
        pool_end(&t);
    }
}

TEST(generations_wrap_by_wear) {
    pool_test t;
    int zero = 0, server = 0, wrapped = 0;
    uint32_t before = 0;
    pool_start(&t, 1 << 20, 1);
    for (int i = 0; i < 3 * 4096; i++) {
        pool_item *it = pool_add(&t);
        if (!CHECK(it != NULL)) return;
        zero += it->slot.id == 0;
        server += it->slot.id == UINT32_MAX;
        wrapped += it->slot.id < before;
        before = it->slot.id;
        wisp__pool_remove(&t.pool, it);
    }
    CHECK_EQ_INT(zero, 0);
    CHECK_EQ_INT(server, 0);
    CHECK_EQ_INT(wrapped, 3);
    CHECK_EQ_INT(t.pool.made, 1);
    pool_end(&t);
}

TEST(random_use_agrees_with_a_list) {
    static pool_item *live[64];
    static uint32_t ids[64], gone[4096];
    int count = 0, gone_count = 0;
    uint64_t seed = 2024;
    pool_test t;
    pool_start(&t, 64, 5);
    for (int step = 0; step < 6000; step++) {
        bool add = test_random_below(&seed, 64) >= count;
        if (add && count < 64) {
            live[count] = pool_add(&t);
            if (!CHECK(live[count] != NULL)) return;
            ids[count] = live[count]->slot.id;
            count++;
        } else if (count > 0) {
            int i = test_random_below(&seed, count);
            wisp__pool_remove(&t.pool, live[i]);
            if (gone_count < 4096) gone[gone_count++] = ids[i];
            live[i] = live[--count];
            ids[i] = ids[count];
        }
        CHECK_EQ_INT(t.pool.live, count);
        for (int i = 0; i < count; i++) CHECK(wisp__pool_get(&t.pool, ids[i]) == live[i]);
        if (gone_count)
            CHECK(!wisp__pool_get(&t.pool, gone[test_random_below(&seed, gone_count)]));
    }
    for (int i = 0; i < gone_count; i++) CHECK(!wisp__pool_get(&t.pool, gone[i]));
    pool_end(&t);
}

TEST(made_up_handles_find_nothing_dead) {
    uint64_t seed = 3;
    pool_test t;
    pool_start(&t, 100, 10);
    for (int i = 0; i < 37; i++) CHECK(pool_add(&t) != NULL);
    for (int i = 0; i < 20000; i++) {
        uint32_t id = (uint32_t)(test_random(&seed) >> test_random_below(&seed, 64));
        pool_item *it = (pool_item *)wisp__pool_get(&t.pool, id);
        if (it) CHECK(it->slot.live && it->slot.id == id);
    }
    pool_end(&t);
}

TEST(steady_use_allocates_nothing) {
    pool_test t;
    long long calls;
    pool_start(&t, 1000, 8);
    for (int i = 0; i < 8; i++) CHECK(pool_add(&t) != NULL);
    calls = t.memory.calls;
    for (int i = 0; i < 1000; i++) {
        wisp__pool_remove(&t.pool, wisp__pool_at(&t.pool, i % 8));
        CHECK(pool_add(&t) != NULL);
    }
    CHECK_EQ_INT(t.memory.calls, calls);
    pool_end(&t);
}

/* --- timers --- */

enum { TIMERS = 200 };

typedef struct timers_test {
    wisp__base   base;
    low_memory   memory;
    wisp__timers timers;
    wisp__timer  timer[TIMERS];
} timers_test;

static bool timers_start(timers_test *t) {
    memset(t, 0, sizeof *t);
    low_start(&t->base, &t->memory);
    for (int i = 0; i < TIMERS; i++) {
        if (!CHECK_EQ_INT(wisp__timers_reserve(&t->base, &t->timers), WISP_OK)) return false;
        t->timers.owners++;
    }
    return true;
}

static void timers_end(timers_test *t) {
    wisp__free(&t->base, t->timers.heap, (size_t)t->timers.room * sizeof *t->timers.heap);
    CHECK(low_is_empty(&t->base, &t->memory));
}

/* Each knows its place, and none is due before the one it hangs from. */
static void timers_check(const wisp__timers *timers) {
    for (int place = 1; place <= timers->count; place++) {
        const wisp__timer *timer = timers->heap[place - 1];
        CHECK_EQ_INT(timer->place, place);
        if (place > 1) CHECK(timers->heap[place / 2 - 1]->at <= timer->at);
    }
}

TEST(a_timer_is_due_at_its_time_and_once) {
    timers_test t;
    if (!timers_start(&t)) return;
    CHECK(wisp__timers_due(&t.timers, 1e9) == NULL);
    wisp__timers_set(&t.timers, &t.timer[0], 5.0);
    CHECK(wisp__timers_due(&t.timers, 4.999) == NULL);
    CHECK(wisp__timers_due(&t.timers, 5.0) == &t.timer[0]);
    CHECK_EQ_INT(t.timer[0].place, 0);
    CHECK(wisp__timers_due(&t.timers, 1e9) == NULL);
    timers_end(&t);
}

TEST(a_timer_can_be_moved_and_stopped) {
    timers_test t;
    if (!timers_start(&t)) return;
    wisp__timers_set(&t.timers, &t.timer[0], 5.0);
    wisp__timers_set(&t.timers, &t.timer[1], 6.0);
    wisp__timers_set(&t.timers, &t.timer[2], 7.0);
    wisp__timers_set(&t.timers, &t.timer[0], 8.0);
    wisp__timers_set(&t.timers, &t.timer[2], 1.0);
    wisp__timers_set(&t.timers, &t.timer[1], 6.0);
    wisp__timers_stop(&t.timers, &t.timer[1]);
    wisp__timers_stop(&t.timers, &t.timer[1]);
    wisp__timers_stop(&t.timers, &t.timer[3]);
    CHECK(wisp__timers_due(&t.timers, 10) == &t.timer[2]);
    CHECK(wisp__timers_due(&t.timers, 10) == &t.timer[0]);
    CHECK(wisp__timers_due(&t.timers, 10) == NULL);
    timers_end(&t);
}

TEST(room_for_a_timer_is_reserved_or_refused) {
    wisp__base base;
    low_memory memory;
    wisp__timers timers;
    wisp__timer timer;
    low_start(&base, &memory);
    memset(&timers, 0, sizeof timers);
    memset(&timer, 0, sizeof timer);
    memory.fail_after = 0;
    CHECK_EQ_INT(wisp__timers_reserve(&base, &timers), WISP_E_MEMORY);
    CHECK(timers.heap == NULL && timers.room == 0);
    memory.fail_after = LOW_NONE;
    CHECK_EQ_INT(wisp__timers_reserve(&base, &timers), WISP_OK);
    timers.owners++;
    wisp__timers_set(&timers, &timer, WISP__NEVER);
    CHECK(wisp__timers_due(&timers, 1e18) == NULL);
    wisp__free(&base, timers.heap, (size_t)timers.room * sizeof *timers.heap);
}

/* The reference: look at all. -1: none is due. */
static int earliest(const bool *set, const double *at, double now) {
    int found = -1;
    for (int i = 0; i < TIMERS; i++)
        if (set[i] && at[i] <= now && (found < 0 || at[i] < at[found])) found = i;
    return found;
}

TEST(random_timers_come_in_the_order_of_a_list) {
    static timers_test t;
    static bool set[TIMERS];
    static double at[TIMERS];
    uint64_t seed = 99;
    double now = 0;
    int fired = 0;
    if (!timers_start(&t)) return;
    for (int step = 0; step < 20000; step++) {
        int i = test_random_below(&seed, TIMERS), what = test_random_below(&seed, 10);
        if (what < 6) {         /* few different times, so that many are equal */
            at[i] = now + test_random_below(&seed, 50) * 0.25;
            set[i] = true;
            wisp__timers_set(&t.timers, &t.timer[i], at[i]);
        } else if (what < 8) {
            set[i] = false;
            wisp__timers_stop(&t.timers, &t.timer[i]);
        } else {
            int least, count = 0;
            wisp__timer *due;
            now += test_random_below(&seed, 4) * 0.25;
            while ((due = wisp__timers_due(&t.timers, now)) != NULL && count++ < TIMERS) {
                int which = (int)(due - t.timer);
                least = earliest(set, at, now);
                if (!CHECK(least >= 0 && set[which])) return;
                CHECK_NEAR(at[which], at[least], 0);
                set[which] = false;
                fired++;
            }
            CHECK_EQ_INT(earliest(set, at, now), -1);
        }
        if (step % 16 == 0) timers_check(&t.timers);
    }
    CHECK(fired > 1000);
    timers_end(&t);
}

TEST(timers_empty_in_sorted_order) {
    static timers_test t;
    uint64_t seed = 7;
    double last = -1;
    int count = 0;
    wisp__timer *due;
    if (!timers_start(&t)) return;
    for (int i = 0; i < TIMERS; i++)
        wisp__timers_set(&t.timers, &t.timer[i], test_random_unit(&seed));
    timers_check(&t.timers);
    while ((due = wisp__timers_due(&t.timers, 2)) != NULL && count < TIMERS + 1) {
        CHECK(due->at >= last);
        last = due->at;
        count++;
    }
    CHECK_EQ_INT(count, TIMERS);
    timers_end(&t);
}

TEST(stopping_from_any_place_keeps_the_order) {
    static timers_test t;
    if (!timers_start(&t)) return;
    for (int victim = 0; victim < 60; victim++) {
        uint64_t seed = (uint64_t)victim;
        wisp__timer *gone;
        for (int i = 0; i < 60; i++)
            wisp__timers_set(&t.timers, &t.timer[i], test_random_unit(&seed));
        gone = t.timers.heap[victim];
        wisp__timers_stop(&t.timers, gone);
        CHECK_EQ_INT(gone->place, 0);
        CHECK_EQ_INT(t.timers.count, 59);
        timers_check(&t.timers);
    }
    timers_end(&t);
}

/* --- chunks --- */

static const size_t chunk_sizes[] = { 0, 1, 8, 9, 63, 64, 65, 256, 257, 300, 1000, 1300, 2000, 4000,
                                      4096, 8192, 16384, 40000, 65535, 100000, 1 << 20 };
enum { CHUNK_SIZES = (int)(sizeof chunk_sizes / sizeof *chunk_sizes) };

static const size_t chunk_most = WISP__PAGE_ROOM;

TEST(chunk_classes_hold_their_sizes) {
    int last = 0;
    CHECK_EQ_INT(wisp__chunk_class(0), 0);
    CHECK_EQ_INT(wisp__chunk_class(8), 0);
    CHECK_EQ_INT(wisp__chunk_class(9), 1);
    CHECK_EQ_INT(wisp__chunk_class(256), 31);
    CHECK_EQ_INT(wisp__chunk_class(257), 32);
    CHECK_EQ_INT(wisp__chunk_class(chunk_most), WISP__CHUNK_CLASSES - 1);
    CHECK_EQ_INT(wisp__chunk_class(chunk_most + 1), WISP__CHUNK_CLASSES);
    for (size_t size = 1; size <= chunk_most; size++) {
        int kind = wisp__chunk_class(size);
        CHECK((size_t)wisp__chunk_bytes(size) >= size && kind >= last);
        CHECK_EQ_INT(wisp__chunk_bytes(size) % 8, 0);
        CHECK(size > 256 || (size_t)wisp__chunk_bytes(size) - size < 8);
        last = kind;
    }
}

TEST(chunks_do_not_overlap_and_are_aligned) {
    wisp__base base;
    low_memory memory;
    wisp__chunks chunks;
    unsigned char *taken[CHUNK_SIZES * 3];
    int n = 0;
    low_start(&base, &memory);
    memset(&chunks, 0, sizeof chunks);
    chunks.base = &base;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < CHUNK_SIZES; i++, n++) {
            taken[n] = (unsigned char *)wisp__chunk_take(&chunks, chunk_sizes[i]);
            if (!CHECK(taken[n] != NULL)) return;
            CHECK_EQ_INT((uintptr_t)taken[n] % 8, 0);
            memset(taken[n], n + 1, chunk_sizes[i]);
        }
    for (int k = 0; k < n; k++) {
        size_t size = chunk_sizes[k % CHUNK_SIZES];
        int wrong = 0;
        for (size_t i = 0; i < size; i++) wrong += taken[k][i] != k + 1;
        CHECK_EQ_INT(wrong, 0);
        wisp__chunk_give(&chunks, taken[k], size);
    }
    wisp__chunks_free(&chunks);
    CHECK(low_is_empty(&base, &memory));
}

TEST(a_chunk_given_back_is_taken_again) {
    wisp__base base;
    low_memory memory;
    wisp__chunks chunks;
    long long calls;
    low_start(&base, &memory);
    memset(&chunks, 0, sizeof chunks);
    chunks.base = &base;
    for (int i = 0; i < CHUNK_SIZES; i++)
        wisp__chunk_give(&chunks, wisp__chunk_take(&chunks, chunk_sizes[i]),
                         chunk_sizes[i]);
    calls = memory.calls;
    for (int i = 0; i < CHUNK_SIZES && chunk_sizes[i] <= chunk_most; i++) {
        void *a = wisp__chunk_take(&chunks, chunk_sizes[i]);
        wisp__chunk_give(&chunks, a, chunk_sizes[i]);
        if (!CHECK(wisp__chunk_take(&chunks, chunk_sizes[i]) == a)) break;
        wisp__chunk_give(&chunks, a, chunk_sizes[i]);
    }
    CHECK_EQ_INT(memory.calls, calls);
    wisp__chunks_free(&chunks);
    CHECK(low_is_empty(&base, &memory));
}

TEST(large_chunks_go_back_to_the_allocator) {
    wisp__base base;
    low_memory memory;
    wisp__chunks chunks;
    void *large;
    low_start(&base, &memory);
    memset(&chunks, 0, sizeof chunks);
    chunks.base = &base;
    large = wisp__chunk_take(&chunks, 70000);
    CHECK_EQ_INT(memory.held, 70000 + WISP__SLACK);
    wisp__chunk_give(&chunks, large, 70000);
    CHECK_EQ_INT(memory.held, 0);
    wisp__chunk_give(&chunks, NULL, 64);
    wisp__chunk_give(&chunks, NULL, 70000);
    CHECK(low_is_empty(&base, &memory));
}

/* A page serves any size once its chunks are back: memory of one size is not lost to others. */
TEST(pages_of_one_size_serve_another) {
    enum { COUNT = 25000 };
    wisp__base base;
    low_memory memory;
    wisp__chunks chunks;
    static void *taken[COUNT];
    long long held = 0;
    low_start(&base, &memory);
    memset(&chunks, 0, sizeof chunks);
    chunks.base = &base;
    for (size_t size = 16; size <= 256; size += 24) {
        int count = (int)(400000 / size);
        for (int i = 0; i < count; i++) taken[i] = wisp__chunk_take(&chunks, size);
        for (int i = count; i-- > 0;) wisp__chunk_give(&chunks, taken[i], size);
        if (size == 16) held = memory.held;
        else if (!CHECK(memory.held < held + held / 4 && memory.held < 600000)) break;
    }
    wisp__chunks_free(&chunks);
    CHECK(low_is_empty(&base, &memory));
}

TEST(chunks_without_memory_are_refused) {
    wisp__base base;
    low_memory memory;
    wisp__chunks chunks;
    low_start(&base, &memory);
    memset(&chunks, 0, sizeof chunks);
    chunks.base = &base;
    memory.fail_after = 0;
    for (int i = 0; i < CHUNK_SIZES; i++)
        CHECK(wisp__chunk_take(&chunks, chunk_sizes[i]) == NULL);
    memory.fail_after = LOW_NONE;
    CHECK(wisp__chunk_take(&chunks, 100) != NULL);
    wisp__chunks_free(&chunks);
    CHECK(low_is_empty(&base, &memory));
}

TEST(random_chunks_keep_what_is_in_them) {
    enum { HELD = 100 };
    static unsigned char *held[HELD];
    static size_t sizes[HELD];
    wisp__base base;
    low_memory memory;
    wisp__chunks chunks;
    uint64_t seed = 17;
    low_start(&base, &memory);
    memset(&chunks, 0, sizeof chunks);
    chunks.base = &base;
    for (int step = 0; step < 5000; step++) {
        int i = test_random_below(&seed, HELD);
        if (held[i]) {
            CHECK(held[i][0] == i && held[i][sizes[i] - 1] == i);
            wisp__chunk_give(&chunks, held[i], sizes[i]);
            held[i] = NULL;
        } else {
            sizes[i] = 1 + (size_t)(test_random(&seed) >> (48 + test_random_below(&seed, 16)));
            held[i] = (unsigned char *)wisp__chunk_take(&chunks, sizes[i]);
            if (!CHECK(held[i] != NULL)) return;
            memset(held[i], i, sizes[i]);
        }
    }
    for (int i = 0; i < HELD; i++) wisp__chunk_give(&chunks, held[i], sizes[i]);
    wisp__chunks_free(&chunks);
    CHECK(low_is_empty(&base, &memory));
}

/* --- the arena --- */

enum { PIECES = 400 };

/* Takes pieces of random sizes, fills them, and looks at all of them in the end. */
static bool arena_use(wisp__base *base, wisp__arena *arena, uint64_t seed, int largest) {
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    for (int i = 0; i < PIECES; i++) {
        sizes[i] = (size_t)test_random_below(&seed, i % 50 ? 200 : largest);
        pieces[i] = (unsigned char *)wisp__arena_take(base, arena, sizes[i]);
        if (!CHECK(pieces[i] != NULL)) return false;
        if (!CHECK_EQ_INT((uintptr_t)pieces[i] % ALIGNED, 0)) return false;
        memset(pieces[i], i & 255, sizes[i]);
    }
    for (int i = 0; i < PIECES; i++) {
        int wrong = 0;
        for (size_t k = 0; k < sizes[i]; k++) wrong += pieces[i][k] != (i & 255);
        if (!CHECK_EQ_INT(wrong, 0)) return false;
    }
    return true;
}

TEST(pieces_of_the_arena_do_not_overlap) {
    wisp__base base;
    low_memory memory;
    wisp__arena arena = { NULL, NULL, 0 };
    low_start(&base, &memory);
    CHECK(arena_use(&base, &arena, 1, 50000));
    wisp__arena_free(&base, &arena);
    CHECK(arena.first == NULL && arena.current == NULL);
    CHECK(low_is_empty(&base, &memory));
}

TEST(an_arena_used_alike_allocates_only_once) {
    wisp__base base;
    low_memory memory;
    wisp__arena arena = { NULL, NULL, 0 };
    long long calls = 0;
    low_start(&base, &memory);
    for (int round = 0; round < 20; round++) {
        wisp__arena_reset(&arena);
        if (!arena_use(&base, &arena, 5, 30000)) break;
        if (round == 0) calls = memory.calls;
        CHECK_EQ_INT(memory.calls, calls);
    }
    wisp__arena_free(&base, &arena);
    CHECK(low_is_empty(&base, &memory));
}

TEST(an_arena_used_unlike_stays_in_proportion) {
    wisp__base base;
    low_memory memory;
    wisp__arena arena = { NULL, NULL, 0 };
    low_start(&base, &memory);
    for (int round = 0; round < 100; round++) {
        wisp__arena_reset(&arena);
        if (!arena_use(&base, &arena, (uint64_t)round, 40000)) break;
    }
    /* A round takes at most 400 x 200 + 8 x 40000 bytes. */
    CHECK(memory.held < 8 * (400 * 200 + 8 * 40000));
    wisp__arena_free(&base, &arena);
    CHECK(low_is_empty(&base, &memory));
}

TEST(nothing_and_much_can_be_taken_from_the_arena) {
    wisp__base base;
    low_memory memory;
    wisp__arena arena = { NULL, NULL, 0 };
    unsigned char *large;
    low_start(&base, &memory);
    CHECK(wisp__arena_take(&base, &arena, 0) != NULL);
    large = (unsigned char *)wisp__arena_take(&base, &arena, 1000000);
    if (!CHECK(large != NULL)) return;
    memset(large, 1, 1000000);
    CHECK(wisp__arena_take(&base, &arena, 0) != NULL);
    for (size_t size = 4000; size < 4200; size++) {
        large = (unsigned char *)wisp__arena_take(&base, &arena, size);
        if (!CHECK(large != NULL)) return;
        memset(large, 2, size);
    }
    wisp__arena_free(&base, &arena);
    CHECK(low_is_empty(&base, &memory));
}

static size_t pool_asked;

static void *pool_ask(void *user, size_t size) {
    (void)user;
    pool_asked = size;
    return NULL;
}

/* Sizes that would wrap where they are rounded or doubled are refused, and the arena goes on. */
TEST(no_size_wraps_around_in_an_arena) {
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 15, (size_t)INT32_MAX + 1,
                                    (size_t)1 << 31 };
    wisp__base base;
    low_memory memory;
    wisp__arena arena = { NULL, NULL, 0 };
    wisp__arena_block huge;
    low_start(&base, &memory);
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        CHECK(wisp__arena_take(&base, &arena, sizes[i]) == NULL);
        CHECK_EQ_INT(memory.calls, 0);
    }
    CHECK(wisp__arena_take(&base, &arena, 100) != NULL);
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++)
        CHECK(wisp__arena_take(&base, &arena, sizes[i]) == NULL);
    CHECK_EQ_INT(memory.calls, 1);
    CHECK(wisp__arena_take(&base, &arena, 100) != NULL);
    wisp__arena_free(&base, &arena);
    memset(&huge, 0, sizeof huge);
    huge.bytes = huge.used = (size_t)1 << 31;            /* the next would be twice as large */
    arena.first = arena.current = &huge;
    base.memory.alloc = pool_ask;
    CHECK(wisp__arena_take(&base, &arena, 100) == NULL);
    CHECK(pool_asked >= WISP__ARENA_MOST && pool_asked <= INT32_MAX);
}

TEST(no_count_of_items_wraps_around) {
    static uint64_t block[8];
    wisp__bump bump = wisp__bump_on(block, (int)sizeof block);
    wisp__supply supply = wisp__supply_of_bump(&bump);
    CHECK(wisp__supply_items(&supply, 0x20000001, 8) == NULL);
    CHECK(wisp__supply_items(&supply, 61357, 70000) == NULL);
    CHECK(!bump.failed && bump.left == sizeof block);
    CHECK(wisp__supply_items(&supply, 0, 8) == block);
    CHECK(wisp__supply_items(&supply, 2, 8) == block + 1);
    CHECK(wisp__bump_items(&bump, 0x20000001, 8) == NULL);
    CHECK(bump.failed);
}

TEST(an_arena_without_memory_refuses_and_goes_on) {
    wisp__base base;
    low_memory memory;
    wisp__arena arena = { NULL, NULL, 0 };
    char *a, *b;
    low_start(&base, &memory);
    memory.fail_after = 0;
    CHECK(wisp__arena_take(&base, &arena, 10) == NULL);
    memory.fail_after = LOW_NONE;
    a = (char *)wisp__arena_take(&base, &arena, 16);
    if (!CHECK(a != NULL)) return;
    memcpy(a, "abcdefghijklmno", 16);
    memory.fail_after = 0;
    CHECK(wisp__arena_take(&base, &arena, 100000) == NULL);
    b = (char *)wisp__arena_take(&base, &arena, 16);
    CHECK(b != NULL && b != a);
    CHECK_EQ_STR(a, "abcdefghijklmno");
    wisp__arena_free(&base, &arena);
    CHECK(low_is_empty(&base, &memory));
}

static const test_case tests[] = {
    CASE(a_handle_finds_its_item_and_nothing_else),
    CASE(an_item_is_zeroed_each_time_it_is_given),
    CASE(a_stale_handle_never_finds_the_successor),
    CASE(a_full_pool_says_so_and_goes_on),
    CASE(a_pool_without_memory_says_so_and_goes_on),
    CASE(items_never_move),
    CASE(free_slots_are_taken_oldest_first),
    CASE(walking_sees_the_live_ones),
    CASE(generations_wrap_without_id_none_and_id_server),
    CASE(generations_wrap_by_wear),
    CASE(random_use_agrees_with_a_list),
    CASE(made_up_handles_find_nothing_dead),
    CASE(steady_use_allocates_nothing),
    CASE(a_timer_is_due_at_its_time_and_once),
    CASE(a_timer_can_be_moved_and_stopped),
    CASE(room_for_a_timer_is_reserved_or_refused),
    CASE(random_timers_come_in_the_order_of_a_list),
    CASE(timers_empty_in_sorted_order),
    CASE(stopping_from_any_place_keeps_the_order),
    CASE(chunk_classes_hold_their_sizes),
    CASE(chunks_do_not_overlap_and_are_aligned),
    CASE(a_chunk_given_back_is_taken_again),
    CASE(large_chunks_go_back_to_the_allocator),
    CASE(pages_of_one_size_serve_another),
    CASE(chunks_without_memory_are_refused),
    CASE(random_chunks_keep_what_is_in_them),
    CASE(pieces_of_the_arena_do_not_overlap),
    CASE(an_arena_used_alike_allocates_only_once),
    CASE(an_arena_used_unlike_stays_in_proportion),
    CASE(nothing_and_much_can_be_taken_from_the_arena),
    CASE(no_size_wraps_around_in_an_arena),
    CASE(no_count_of_items_wraps_around),
    CASE(an_arena_without_memory_refuses_and_goes_on),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
