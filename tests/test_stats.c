/* test_stats.c - the counters: what two ends count must agree */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/simulated_endpoints.h"

static double loss_of(uint64_t lost, uint64_t acked) {
    wisp_peer_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.packets_lost = lost;
    stats.packets_acked = acked;
    return wisp__stats_loss(&stats);
}

TEST(loss_is_the_share_of_packets_whose_fate_is_known) {
    CHECK_NEAR(loss_of(0, 0), 0, 0);
    CHECK_NEAR(loss_of(0, 10), 0, 0);
    CHECK_NEAR(loss_of(10, 0), 1, 0);
    CHECK_NEAR(loss_of(1, 3), 0.25, 1e-15);
    CHECK_NEAR(loss_of(UINT64_C(1) << 62, UINT64_C(1) << 62), 0.5, 1e-15);
    CHECK_NEAR(loss_of(1, UINT64_C(999999999999)), 1e-12, 1e-24);
}

/* --- two ends --- */

TEST(what_one_end_sends_the_other_receives) {
    world_two t;
    wisp_peer_stats here, there;
    wisp_total_stats a, b;
    world_two_open(&t);
    world_watch(&t.w, t.server, "hp");
    for (int i = 0; i < 100; i++) {
        CHECK_EQ_INT(world_fire(t.client, "hp", t.to_server, i), WISP_OK);
        world_step(&t.w);
    }
    world_run(&t.w, 1);
    here = world_peer_stats(t.client, t.to_server);
    there = world_peer_stats(t.server, t.to_client);
    CHECK_EQ_INT(here.messages_sent, 100);
    CHECK_EQ_INT(there.messages_received, 100);
    CHECK_EQ_INT(here.packets_sent, there.packets_received);
    CHECK_EQ_INT(here.bytes_sent, there.bytes_received);
    CHECK_EQ_INT(there.packets_sent, here.packets_received);
    CHECK_EQ_INT(there.bytes_sent, here.bytes_received);
    CHECK_EQ_INT(here.packets_lost + here.messages_resent + there.packets_duplicate, 0);
    CHECK_NEAR(here.loss, 0, 0);
    CHECK(here.rtt > 0 && here.rtt_min > 0 && here.rtt < 1);
    a = world_total(t.client);
    b = world_total(t.server);
    CHECK_EQ_INT(a.packets_sent, b.packets_received);
    CHECK_EQ_INT(a.bytes_sent, b.bytes_received);
    CHECK_EQ_INT(b.packets_sent, a.packets_received);
    CHECK_EQ_INT(a.messages_sent, 100);
    CHECK_EQ_INT(b.messages_received, 100);
    CHECK(a.peers == 1 && b.peers == 1);
    CHECK(a.joins == 1 && b.joins == 1);
    world_close(&t.w);
}

TEST(each_remote_counts_for_itself) {
    world_two t;
    wisp_remote_stats one, two, never;
    world_two_open(&t);
    world_watch(&t.w, t.server, "one");
    wisp_remote_named(t.server, "two");
    for (int i = 0; i < 7; i++) world_fire(t.client, "one", t.to_server, i);
    for (int i = 0; i < 3; i++) world_fire(t.client, "two", t.to_server, i);
    world_run(&t.w, 1);
    one = world_remote_stats(t.client, "one");
    two = world_remote_stats(t.server, "two");
    never = world_remote_stats(t.client, "never");
    CHECK_EQ_INT(one.messages_sent, 7);
    CHECK_EQ_INT(one.messages_received, 0);
    CHECK(one.bits_sent > 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "one").bits_received, one.bits_sent);
    CHECK_EQ_INT(world_remote_stats(t.server, "one").messages_received, 7);
    CHECK_EQ_INT(world_remote_stats(t.server, "one").unhandled, 0);
    CHECK_EQ_INT(two.messages_received, 3);
    CHECK_EQ_INT(two.unhandled, 3);
    CHECK_EQ_INT(never.messages_sent + never.messages_received, 0);
    world_close(&t.w);
}

TEST(lost_packets_are_counted_as_a_share) {
    world_two t;
    wisp_peer_stats stats;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.seed = 5;
    t.w.net.loss = 0.2;
    t.w.net.latency = 0.02;
    world_two_join(&t);
    world_watch(&t.w, t.server, "n");
    for (int i = 0; i < 500; i++) {
        world_fire(t.client, "n", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 5);
    stats = world_peer_stats(t.client, t.to_server);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 500);
    CHECK(stats.packets_lost > 20);
    CHECK(stats.messages_resent > 10);
    CHECK_NEAR(stats.loss, 0.2, 0.1);
    CHECK(stats.packets_acked + stats.packets_lost <= stats.packets_sent);
    CHECK(world_peer_stats(t.server, t.to_client).packets_received < stats.packets_sent);
    world_close(&t.w);
}

TEST(counters_of_nothing_are_zero) {
    world_two t;
    wisp_peer stale = { 12345 };
    wisp_peer_stats none, stats;
    wisp_remote_stats no_remote, remote;
    wisp_total_stats no_total, total;
    memset(&none, 0, sizeof none);
    memset(&no_remote, 0, sizeof no_remote);
    memset(&no_total, 0, sizeof no_total);
    world_two_open(&t);
    memset(&stats, 0xff, sizeof stats);
    wisp_stats_peer(t.client, stale, &stats);
    CHECK_EQ_MEM(&stats, &none, sizeof stats);
    memset(&remote, 0xff, sizeof remote);
    wisp_stats_remote(t.client, "nobody knows", &remote);
    CHECK_EQ_MEM(&remote, &no_remote, sizeof remote);
    memset(&stats, 0xff, sizeof stats);
    memset(&remote, 0xff, sizeof remote);
    memset(&total, 0xff, sizeof total);
    wisp_stats_peer(NULL, t.to_server, &stats);
    wisp_stats_remote(NULL, "hp", &remote);
    wisp_stats_total(NULL, &total);
    CHECK_EQ_MEM(&stats, &none, sizeof stats);
    CHECK_EQ_MEM(&remote, &no_remote, sizeof remote);
    CHECK_EQ_MEM(&total, &no_total, sizeof total);
    memset(&remote, 0xff, sizeof remote);
    wisp_stats_remote(t.client, NULL, &remote);
    CHECK_EQ_MEM(&remote, &no_remote, sizeof remote);
    wisp_stats_peer(t.client, t.to_server, NULL);
    wisp_stats_remote(t.client, "hp", NULL);
    wisp_stats_total(t.client, NULL);
    world_close(&t.w);
}

TEST(counters_begin_anew_with_a_session) {
    world_two t;
    wisp_peer again;
    world_two_open(&t);
    world_fire(t.client, "hp", t.to_server, 1);
    world_run(&t.w, 0.5);
    wisp_leave(t.client, t.to_server, "bye");
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).messages_sent, 0);
    again = world_join(&t.w, t.client, t.server);
    CHECK_EQ_INT(world_peer_stats(t.client, again).messages_sent, 0);
    CHECK_EQ_INT(world_total(t.client).messages_sent, 1);
    CHECK_EQ_INT(world_total(t.client).joins, 2);
    CHECK_EQ_INT(world_total(t.client).leaves, 1);
    world_close(&t.w);
}

TEST(memory_is_what_the_allocator_gave) {
    world w;
    low_memory memory;
    wisp_total_stats stats;
    memset(&memory, 0, sizeof memory);
    memory.fail_after = LOW_NONE;
    world_open(&w);
    w.desc.memory.alloc = low_alloc;
    w.desc.memory.free = low_free;
    w.desc.memory.user = &memory;
    stats = world_total(world_add(&w));
    CHECK_EQ_INT(stats.memory, memory.held);
    CHECK_EQ_INT(stats.memory_peak, memory.largest);
    CHECK_EQ_INT(stats.allocations, memory.calls);
    world_run(&w, 0.1);
    world_close(&w);
    CHECK_EQ_INT(memory.held, 0);
    CHECK_EQ_INT(memory.blocks, 0);
    CHECK_EQ_INT(memory.wrong_sizes, 0);
}

static const test_case tests[] = {
    CASE(loss_is_the_share_of_packets_whose_fate_is_known),
    CASE(what_one_end_sends_the_other_receives),
    CASE(each_remote_counts_for_itself),
    CASE(lost_packets_are_counted_as_a_share),
    CASE(counters_of_nothing_are_zero),
    CASE(counters_begin_anew_with_a_session),
    CASE(memory_is_what_the_allocator_gave),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
