/* test_flush.c - when queued messages are sent */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/listening_pair.h"

TEST(batched_messages_wait_for_the_update) {
    world_two t;
    abc_open(&t);
    abc_fire(&t, "a", 1);
    abc_fire(&t, "b", 2);
    CHECK_EQ_INT(in_pipe(&t), 0);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 2);
    world_update(&t.w, 1);
    CHECK(in_pipe(&t) > 0);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    world_update(&t.w, 0);
    CHECK_EQ_STR(abc_heard(&t), "ab");
    world_close(&t.w);
}

TEST(one_frame_is_one_packet) {
    world_two t;
    uint64_t before;
    abc_open(&t);
    before = sent_packets(&t);
    for (int i = 0; i < 30; i++) abc_fire(&t, abc[i % 3], i);
    world_update(&t.w, 1);
    CHECK_EQ_INT(sent_packets(&t) - before, 1);
    world_close(&t.w);
}

TEST(a_never_batched_message_is_sent_at_once) {
    static const wisp_delivery deliveries[] = { WISP_RELIABLE, WISP_UNRELIABLE, WISP_SEQUENCED };
    for (int i = 0; i < 3; i++) {
        world_two t;
        abc_open(&t);
        wisp_set_batch_mode(t.client, "b", WISP_BATCH_NEVER);
        set_delivery(t.client, "b", deliveries[i], 0);
        abc_fire(&t, "a", 1);
        abc_fire(&t, "b", 2);
        CHECK(in_pipe(&t) > 0);
        world_update(&t.w, 0);
        CHECK_EQ_STR(abc_heard(&t), "b");         /* it overtakes, and takes nothing else along */
        CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_STR(abc_heard(&t), "ba");
        world_close(&t.w);
    }
}

TEST(a_never_batched_message_takes_what_its_remote_has_queued_along) {
    world_two t;
    abc_open(&t);
    abc_fire(&t, "a", 0);
    abc_fire(&t, "b", 0);
    abc_fire(&t, "a", 1);
    wisp_set_batch_mode(t.client, "a", WISP_BATCH_NEVER);
    abc_fire(&t, "a", 2);
    world_update(&t.w, 0);
    CHECK_EQ_STR(abc_heard(&t), "aaa");
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

TEST(a_never_batched_remote_that_is_new_can_be_read) {
    world_two t;
    abc_open(&t);
    world_watch(&t.w, t.server, "new");
    wisp_set_batch_mode(t.client, "new", WISP_BATCH_NEVER);
    abc_fire(&t, "new", 4);
    world_update(&t.w, 0);
    CHECK_EQ_INT(world_last(&t.w, t.server, "new")->number, 4);
    world_close(&t.w);
}

TEST(without_batching_every_message_is_its_own_packet) {
    world_two t;
    uint64_t before;
    abc_open(&t);
    CHECK_EQ_INT(wisp_use_batching(t.client, false), WISP_OK);
    before = sent_packets(&t);
    for (int i = 0; i < 6; i++) {
        abc_fire(&t, abc[i % 3], i);
        CHECK_EQ_INT(sent_packets(&t) - before, (uint64_t)i + 1);
    }
    world_update(&t.w, 0);
    CHECK_EQ_STR(abc_heard(&t), "abcabc");
    CHECK_EQ_INT(wisp_use_batching(t.client, true), WISP_OK);
    before = sent_packets(&t);
    abc_fire(&t, "a", 7);
    CHECK_EQ_INT(sent_packets(&t) - before, 0);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(t.w.note_count, 7);
    world_close(&t.w);
}

TEST(immediate_messages_beyond_the_window_wait_and_keep_their_order) {
    world_two t;
    char bytes[1000];
    wisp_value v[2];
    memset(bytes, 1, sizeof bytes);
    abc_open(&t);
    wisp_set_batch_mode(t.client, "a", WISP_BATCH_NEVER);
    v[1] = wisp_bytes(bytes, (int)sizeof bytes);
    for (int i = 0; i < 300; i++) {
        v[0] = wisp_int(i);
        CHECK_EQ_INT(wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), v, 2), WISP_OK);
    }
    CHECK(world_peer_stats(t.client, t.to_server).queued_messages > 0);
    world_run(&t.w, 1);
    CHECK_EQ_INT(t.w.note_count, 300);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

TEST(a_full_batch_is_sent_without_an_update) {
    world_two t;
    abc_open(&t);
    wisp_set_max_batch_size(t.client, 4);
    for (int i = 0; i < 3; i++) abc_fire(&t, abc[i], i);
    CHECK_EQ_INT(in_pipe(&t), 0);
    abc_fire(&t, "a", 3);
    CHECK(in_pipe(&t) > 0);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    world_update(&t.w, 0);
    CHECK_EQ_STR(abc_heard(&t), "abca");
    abc_fire(&t, "b", 4);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 1);
    world_close(&t.w);
}

TEST(a_batch_size_of_one_sends_each_message) {
    world_two t;
    uint64_t before;
    abc_open(&t);
    wisp_set_max_batch_size(t.client, 1);
    before = sent_packets(&t);
    for (int i = 0; i < 5; i++) abc_fire(&t, "a", i);
    CHECK_EQ_INT(sent_packets(&t) - before, 5);
    world_close(&t.w);
}

TEST(flush_sends_what_waits_and_only_that) {
    world_two t;
    uint64_t before;
    abc_open(&t);
    abc_fire(&t, "a", 1);
    abc_fire(&t, "b", 1);
    CHECK_EQ_INT(wisp_flush_batches(t.client), WISP_OK);
    CHECK(in_pipe(&t) > 0);
    world_update(&t.w, 0);
    CHECK_EQ_STR(abc_heard(&t), "ab");
    before = sent_packets(&t);
    CHECK_EQ_INT(wisp_flush_batches(t.client), WISP_OK);
    CHECK_EQ_INT(sent_packets(&t) - before, 0);
    CHECK_EQ_INT(wisp_flush_batches(NULL), WISP_E_ARGUMENT);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(batched_messages_wait_for_the_update),
    CASE(one_frame_is_one_packet),
    CASE(a_never_batched_message_is_sent_at_once),
    CASE(a_never_batched_message_takes_what_its_remote_has_queued_along),
    CASE(a_never_batched_remote_that_is_new_can_be_read),
    CASE(without_batching_every_message_is_its_own_packet),
    CASE(immediate_messages_beyond_the_window_wait_and_keep_their_order),
    CASE(a_full_batch_is_sent_without_an_update),
    CASE(a_batch_size_of_one_sends_each_message),
    CASE(flush_sends_what_waits_and_only_that),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
