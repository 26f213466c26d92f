/* test_queue.c - what waits for each peer: order, priorities, full queues */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/listening_pair.h"

#include <time.h>

/* --- the heap of names --- */

/* The remote that a plain search over all queues finds; -1: none. */
static int queue_searched(const wisp *w, const wisp__session *s, uint32_t blocked) {
    int best = -1;
    for (int i = 0; i < s->peer_remote_room; i++) {
        const wisp__peer_remote *p = &s->peer_remotes[i];
        if (!p->queue || blocked >> wisp__line_of(wisp__queue_head(p)) & 1) continue;
        if (best < 0 || wisp__goes_before(w, wisp__queue_head(p),
                                          wisp__queue_head(&s->peer_remotes[best])))
            best = i;
    }
    return best;
}

/* Fires, takes from both ends, blocks lines and changes priorities at random. */
TEST(the_heap_finds_what_a_search_finds) {
    enum { NAMES = 40, STEPS = 4000 };
    world_two t;
    wisp__session *s;
    uint64_t random = 11;
    char name[8];
    world_two_open(&t);
    world_run(&t.w, 0.2);
    s = wisp__session_of(t.client, t.to_server);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        wisp_set_unreliable(t.client, name, i % 3 == 0);
        wisp_set_batch_priority(t.client, name, test_random_below(&random, 30));
    }
    for (int step = 0; step < STEPS && CHECK(s != NULL); step++) {
        int what = test_random_below(&random, 12), picked;
        uint32_t blocked = what % 4 ? 0 : (uint32_t)test_random_below(&random, 1 << 17);
        snprintf(name, sizeof name, "n%d", test_random_below(&random, NAMES));
        if (what < 5) world_fire(t.client, name, t.to_server, step);
        if (what == 5) wisp_set_batch_priority(t.client, name, test_random_below(&random, 999));
        if (what == 6) t.client->base.time += 0.003;
        picked = wisp__queue_pick(t.client, s, -1, blocked);
        if (!CHECK_EQ_INT(picked, queue_searched(t.client, s, blocked))) break;
        if (what < 7 || picked < 0) continue;
        wisp__message_release(&t.client->chunks, wisp__unqueue(t.client, s, picked, what == 7));
        wisp__session_check(t.client, s);
    }
    world_close(&t.w);
}

/* A name whose priority changes while messages wait goes by the new one. */
TEST(a_changed_priority_counts_for_what_waits) {
    world_two t;
    abc_open(&t);
    abc_fire(&t, "a", 0);
    abc_fire(&t, "b", 0);
    wisp_set_batch_priority(t.client, "b", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(abc_heard(&t), "ba");
    world_close(&t.w);
}

/* 65,536 messages of 32 bytes take at most 5 MB from the allocator, and queue_bytes counts them. */
TEST(small_messages_alike_that_wait_take_48_bytes_each) {
    enum { COUNT = 65536 };
    world_two t;
    unsigned char bytes[32] = { 1 };
    wisp_value value = wisp_bytes(bytes, 32);
    const wisp__session *s;
    uint64_t before;
    double taken;
    world_two_open(&t);
    world_run(&t.w, 0.2);
    wisp_set_max_batch_size(t.client, COUNT + 1);
    s = wisp__session_of(t.client, t.to_server);
    wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), &value, 1);
    before = world_total(t.client).memory;
    for (int i = 1; i < COUNT; i++) {
        memcpy(bytes, &i, sizeof i);
        wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), &value, 1);
    }
    taken = (double)(world_total(t.client).memory - before);
    CHECK_EQ_INT(s->queued, COUNT);
    CHECK(taken < 3.0 * 1024 * 1024);
    CHECK(taken < 1.1 * s->queued_bytes && taken > 0.9 * s->queued_bytes);
    world_close(&t.w);
}

/* --- order --- */

TEST(lower_priorities_go_first) {
    world_two t;
    abc_open(&t);
    wisp_set_batch_priority(t.client, "a", 999);
    wisp_set_batch_priority(t.client, "c", 0);
    for (int i = 0; i < 3; i++) {
        abc_fire(&t, "a", i);
        abc_fire(&t, "b", i);
        abc_fire(&t, "c", i);
    }
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(abc_heard(&t), "cccbbbaaa");
    world_close(&t.w);
}

TEST(neighbouring_priorities_are_told_apart) {
    world_two t;
    abc_open(&t);
    wisp_set_batch_priority(t.client, "a", 12);
    wisp_set_batch_priority(t.client, "b", 11);
    wisp_set_batch_priority(t.client, "c", 10);
    abc_fire(&t, "a", 0);
    abc_fire(&t, "b", 0);
    abc_fire(&t, "c", 0);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(abc_heard(&t), "cba");
    world_close(&t.w);
}

TEST(equal_priorities_keep_the_order_of_fire) {
    world_two t;
    uint64_t random = 4;
    char expected[301];
    abc_open(&t);
    for (int i = 0; i < 300; i++) {
        int which = test_random_below(&random, 3);
        expected[i] = abc[which][0];
        abc_fire(&t, abc[which], i);
    }
    expected[300] = 0;
    world_run(&t.w, 0.2);
    CHECK_EQ_STR(abc_heard(&t), expected);
    CHECK_EQ_INT(t.w.note_count, 300);
    for (int i = 0; i < t.w.note_count; i++) CHECK_EQ_INT(t.w.notes[i].number, i);
    world_close(&t.w);
}

/* Messages fired one after another wait in one place as long as only their data differs and nothing
   of the name or the time changes between them. Nobody can tell. */
TEST(messages_alike_wait_in_one_place_and_are_told_apart) {
    for (int pass = 0; pass < 4; pass++) {
        world_two t;
        const wisp__peer_remote *p;
        bool equal = pass & 1;
        int at;
        abc_open(&t);
        if (pass & 2) wisp_set_unreliable(t.client, "a", true);
        world_run(&t.w, 0.2);
        at = wisp__registry_find(&t.client->registry, "a", 1)->index;
        for (int i = 0; i < 120; i++) abc_fire(&t, i % 40 == 39 ? "b" : "a", equal ? i / 2 : i);
        p = &wisp__session_of(t.client, t.to_server)->peer_remotes[at];
        CHECK_EQ_INT(wisp__queue_length(p), 117);
        CHECK(equal || p->queue->next - p->queue->first < 15);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(t.w.note_count, 120);
        for (int i = 0; i < t.w.note_count; i++)
            CHECK_EQ_INT(t.w.notes[i].number, equal ? i / 2 : i);
        world_close(&t.w);
    }
}

TEST(a_run_ends_with_the_settings_and_the_time) {
    world_two t;
    const wisp__peer_remote *p;
    int at;
    abc_open(&t);
    world_run(&t.w, 0.2);
    at = wisp__registry_find(&t.client->registry, "a", 1)->index;
    for (int i = 0; i < 10; i++) abc_fire(&t, "a", i);
    p = &wisp__session_of(t.client, t.to_server)->peer_remotes[at];
    CHECK_EQ_INT(p->queue->next - p->queue->first, 2);      /* the first alone, and a run */
    wisp_set_max_batch_size(t.client, 200);
    abc_fire(&t, "a", 10);
    CHECK_EQ_INT(p->queue->next - p->queue->first, 3);
    wisp_set_channel(t.client, "a", 3);
    abc_fire(&t, "a", 11);
    CHECK_EQ_INT(p->queue->next - p->queue->first, 4);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.w.note_count, 12);
    world_close(&t.w);
}

TEST(the_delivery_does_not_matter_for_the_order) {
    world_two t;
    abc_open(&t);
    set_delivery(t.client, "a", WISP_UNRELIABLE, 0);
    set_delivery(t.client, "b", WISP_RELIABLE, 5);
    set_delivery(t.client, "c", WISP_SEQUENCED, 0);
    wisp_set_batch_priority(t.client, "b", 3);
    for (int i = 0; i < 3; i++) {
        abc_fire(&t, "a", i);
        abc_fire(&t, "c", i);
        abc_fire(&t, "b", i);
    }
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(abc_heard(&t), "bbbacacac");
    world_close(&t.w);
}

TEST(one_remote_keeps_its_order_when_its_priority_changes) {
    world_two t;
    abc_open(&t);
    for (int i = 0; i < 5; i++) abc_fire(&t, "a", i);
    abc_fire(&t, "b", 0);
    wisp_set_batch_priority(t.client, "a", 0);
    for (int i = 5; i < 10; i++) abc_fire(&t, "a", i);
    wisp_set_batch_priority(t.client, "a", 999);
    for (int i = 10; i < 15; i++) abc_fire(&t, "a", i);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "a"), 15);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    CHECK_EQ_INT(abc_heard(&t)[0], 'b');
    world_close(&t.w);
}

TEST(one_remote_keeps_its_order_when_its_mode_changes) {
    static const wisp_batch_mode modes[] = { WISP_BATCH_RELIABLE, WISP_BATCH_NEVER,
                                             WISP_BATCH_UNRELIABLE, WISP_BATCH_NEVER };
    world_two t;
    abc_open(&t);
    for (int i = 0; i < 40; i++) {
        wisp_set_batch_mode(t.client, "a", modes[i / 3 % 4]);
        abc_fire(&t, "a", i);
    }
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "a"), 40);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

TEST(order_holds_over_loss_and_for_each_channel) {
    world_two t;
    char name[16];
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.02;
    t.w.net.jitter = 0.04;
    t.w.net.loss = 0.2;
    t.w.net.seed = 21;
    world_two_join(&t);
    for (int c = 0; c < 16; c++) {
        snprintf(name, sizeof name, "c%d", c);
        world_watch(&t.w, t.server, name);
        set_delivery(t.client, name, WISP_RELIABLE, c);
        wisp_set_batch_priority(t.client, name, c * 60);
    }
    for (int i = 0; i < 100; i++) {
        for (int c = 0; c < 16; c++) {
            snprintf(name, sizeof name, "c%d", c);
            abc_fire(&t, name, i);
        }
        world_step(&t.w);
    }
    world_run(&t.w, 10);
    for (int c = 0; c < 16; c++) {
        snprintf(name, sizeof name, "c%d", c);
        CHECK_EQ_INT(world_count(&t.w, t.server, name), 100);
        CHECK(world_counts_up(&t.w, t.server, name, 0));
    }
    world_close(&t.w);
}

TEST(sequenced_messages_never_go_back) {
    world_two t;
    int64_t newest = -1;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.jitter = 0.08;
    t.w.net.seed = 2;
    two_listening(&t, abc, 1);
    set_delivery(t.client, "a", WISP_SEQUENCED, 0);
    for (int i = 0; i < 300; i++) {
        abc_fire(&t, "a", i);
        world_step(&t.w);
    }
    world_run(&t.w, 1);
    for (int i = 0; i < t.w.note_count; i++) {
        CHECK(t.w.notes[i].number > newest);
        newest = t.w.notes[i].number;
    }
    CHECK_EQ_INT(newest, 299);
    CHECK(world_remote_stats(t.server, "a").stale > 20);
    CHECK_EQ_INT((int)world_remote_stats(t.server, "a").stale + t.w.note_count, 300);
    world_close(&t.w);
}

/* Keeps `count` messages of "a", 400 bytes each and no two alike, waiting for the server. */
static void flood(world_two *t, int count) {
    static unsigned char bytes[400];
    wisp_value v = wisp_bytes(bytes, (int)sizeof bytes);
    while (world_peer_stats(t->client, t->to_server).queued_messages < count) {
        if (!++bytes[0]) bytes[1]++;
        if (wisp_fire_values(t->client, "a", wisp_to_peer(t->to_server), &v, 1) != WISP_OK) return;
    }
}

/* A capped link, a flood of priority 0 that more than fills it, and one message of priority 999. */
TEST(what_has_waited_gains_so_that_nothing_starves) {
    world_two t;
    int waited = 0;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.01;
    t.w.net.rate = 20000;
    t.w.net.queue_bytes = 4000;
    t.w.step = 0.02;
    two_listening(&t, abc, 2);
    wisp_set_batch_priority(t.client, "a", 0);
    wisp_set_batch_priority(t.client, "b", 999);
    for (int i = 0; i < 100; i++) {
        flood(&t, 50);
        world_step(&t.w);
    }
    abc_fire(&t, "b", 7);
    for (; waited < 2000 && world_count(&t.w, t.server, "b") == 0; waited++) {
        flood(&t, 50);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_count(&t.w, t.server, "b"), 1);
    CHECK(waited * t.w.step > 5);             /* it is of no importance, and waits */
    CHECK(waited * t.w.step < 35);
    world_close(&t.w);
}

/* --- the queue --- */

TEST(a_queue_full_of_messages_is_a_code_and_drops_nothing) {
    world_two t;
    int taken = 0, refused = 0;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.desc.limits.queue_messages = 100;
    two_listening(&t, abc, 3);
    wisp_set_max_batch_size(t.client, 1 << 20);
    for (int i = 0; i < 150; i++) {
        wisp_result result = world_fire(t.client, "a", t.to_server, taken);
        taken += result == WISP_OK;
        refused += result == WISP_E_QUEUE_FULL;
    }
    CHECK_EQ_INT(taken, 100);
    CHECK_EQ_INT(refused, 50);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).messages_refused, 50);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.w.note_count, 100);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    abc_fire(&t, "a", 100);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.w.note_count, 101);
    world_close(&t.w);
}

TEST(a_queue_full_of_bytes_is_a_code_and_drops_nothing) {
    world_two t;
    char bytes[5000];
    wisp_value v[2];
    int taken = 0;
    memset(&t, 0, sizeof t);
    memset(bytes, 'b', sizeof bytes);
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 10000;
    t.w.desc.limits.queue_bytes = 100000;
    two_listening(&t, abc, 1);
    v[1] = wisp_bytes(bytes, (int)sizeof bytes);
    for (int i = 0; i < 30; i++) {
        wisp_result result;
        v[0] = wisp_int(taken);
        result = wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), v, 2);
        CHECK(result == WISP_OK || result == WISP_E_QUEUE_FULL);
        taken += result == WISP_OK;
    }
    CHECK_EQ_INT(taken, 19);
    CHECK(world_peer_stats(t.client, t.to_server).queued_bytes <= 100000);
    CHECK_EQ_INT(world_fire(t.client, "a", t.to_server, taken), WISP_OK);   /* a small one fits */
    world_run(&t.w, 1);
    CHECK_EQ_INT(t.w.note_count, 20);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

TEST(a_full_queue_under_loss_loses_nothing_it_took) {
    world_two t;
    int taken = 0;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.05;
    t.w.net.loss = 0.2;
    t.w.net.seed = 12;
    t.w.desc.limits.queue_messages = 50;
    two_listening(&t, abc, 1);
    for (int i = 0; i < 3000; i++) {
        taken += world_fire(t.client, "a", t.to_server, taken) == WISP_OK;
        if (i % 80 == 0) world_step(&t.w);
    }
    world_run(&t.w, 20);
    CHECK(taken < 3000);
    CHECK_EQ_INT(t.w.note_count, taken);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

/* 32,768 messages wait for one peer, of one remote or of a thousand. The bound is a hundred times
   what it takes; work that grows with the square would be far beyond it. */
static void check_many_pending(int remotes) {
    world_two t;
    char name[16];
    clock_t begun;
    int bad = 0, received = 0;
    world_open(&t.w);
    t.w.unchecked = true;
    world_two_join(&t);
    wisp_set_max_batch_size(t.client, 1 << 20);
    for (int i = 0; i < remotes; i++) {
        snprintf(name, sizeof name, "r%d", i);
        wisp_remote_named(t.server, name);
        wisp_remote_named(t.client, name);
    }
    world_run(&t.w, 2);
    begun = clock();
    for (int i = 0; i < 32768; i++) {
        snprintf(name, sizeof name, "r%d", i % remotes);
        bad += world_fire(t.client, name, t.to_server, i) != WISP_OK;
    }
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 32768);
    world_run(&t.w, 3);
    CHECK((double)(clock() - begun) / CLOCKS_PER_SEC < 5);
    for (int i = 0; i < remotes; i++) {
        snprintf(name, sizeof name, "r%d", i);
        received += (int)world_remote_stats(t.server, name).messages_received;
    }
    CHECK_EQ_INT(received, 32768);
    CHECK_EQ_INT(bad, 0);
    world_close(&t.w);
}

TEST(a_queue_of_32768_messages_of_one_remote_is_quick) { check_many_pending(1); }
TEST(a_queue_of_32768_messages_of_a_thousand_remotes_is_quick) { check_many_pending(1000); }

TEST(a_link_that_takes_no_more_is_offered_all_again_in_order) {
    world_two t;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.pipe.reliable = true;
    t.w.pipe.capacity = 3000;
    two_listening(&t, abc, 3);
    for (int i = 0; i < 5000; i++) abc_fire(&t, "a", i);
    world_run(&t.w, 2);
    CHECK(world_total(t.client).link_refusals > 0);
    CHECK_EQ_INT(t.w.note_count, 5000);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(the_heap_finds_what_a_search_finds),
    CASE(a_changed_priority_counts_for_what_waits),
    CASE(small_messages_alike_that_wait_take_48_bytes_each),
    CASE(lower_priorities_go_first),
    CASE(neighbouring_priorities_are_told_apart),
    CASE(equal_priorities_keep_the_order_of_fire),
    CASE(messages_alike_wait_in_one_place_and_are_told_apart),
    CASE(a_run_ends_with_the_settings_and_the_time),
    CASE(the_delivery_does_not_matter_for_the_order),
    CASE(one_remote_keeps_its_order_when_its_priority_changes),
    CASE(one_remote_keeps_its_order_when_its_mode_changes),
    CASE(order_holds_over_loss_and_for_each_channel),
    CASE(sequenced_messages_never_go_back),
    CASE(what_has_waited_gains_so_that_nothing_starves),
    CASE(a_queue_full_of_messages_is_a_code_and_drops_nothing),
    CASE(a_queue_full_of_bytes_is_a_code_and_drops_nothing),
    CASE(a_full_queue_under_loss_loses_nothing_it_took),
    CASE(a_queue_of_32768_messages_of_one_remote_is_quick),
    CASE(a_queue_of_32768_messages_of_a_thousand_remotes_is_quick),
    CASE(a_link_that_takes_no_more_is_offered_all_again_in_order),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
