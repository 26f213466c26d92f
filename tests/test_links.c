/* test_links.c - the pipe and the simulator, packet by packet, without endpoints */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/watched_memory_and_link.h"

/* A pipe with a simulator in front of side 0, and what has come out at side 1. */
enum { RANGE_MOST = 20000 };
typedef struct range {
    wisp_pipe pipe;
    wisp_simulator sim;
    wisp_link from, to;
    ledger memory;
    int came[RANGE_MOST];        /* the number in each packet, in order of arrival */
    double when[RANGE_MOST];
    int count, sent;
} range;

static range *range_new(void) {
    range *r = (range *)calloc(1, sizeof *r);
    r->pipe.capacity = 64 << 20;
    r->pipe.memory = r->sim.memory = ledger_memory(&r->memory);
    r->sim.seed = 7;
    return r;
}

static void range_begin(range *r) {
    r->to = wisp_loopback(&r->pipe, 1);
    r->from = wisp_simulate(&r->sim, wisp_loopback(&r->pipe, 0));
}

static void range_free(range *r) {
    wisp_simulator_free(&r->sim);
    wisp_pipe_free(&r->pipe);
    CHECK_EQ_INT(r->memory.out, 0);
    free(r);
}

static void range_send(range *r, int size) {
    uint8_t bytes[1200];
    wisp_packet packet;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &r->sent, sizeof r->sent);
    r->sent++;
    packet.addr = wisp_loopback_addr(1);
    packet.data = bytes;
    packet.size = size;
    packet.status = 1;
    CHECK_EQ_INT(r->from.send(r->from.user, &packet, 1), 1);
    CHECK_EQ_INT(packet.status, 0);
}

/* Lets time pass to `now` and takes what has arrived. */
static void range_until(range *r, double now) {
    uint8_t bytes[1200];
    wisp_packet packet;
    r->sim.now = now;
    CHECK_EQ_INT(r->from.recv(r->from.user, &packet, 0), 0);
    for (;;) {
        packet.data = bytes;
        packet.size = (int)sizeof bytes;
        if (r->to.recv(r->to.user, &packet, 1) != 1 || r->count == RANGE_MOST) return;
        memcpy(&r->came[r->count], bytes, sizeof(int));
        r->when[r->count++] = now;
    }
}

/* `count` packets, one per millisecond, then long enough for all to arrive. */
static void range_stream(range *r, int count, int size) {
    for (int i = 0; i < count; i++) {
        range_until(r, i * 0.001);
        range_send(r, size);
    }
    for (int i = 0; i < 2000; i++) range_until(r, count * 0.001 + i * 0.001);
}

/* --- the pipe --- */

static int put(wisp_link *link, int side, const void *data, int size) {
    wisp_packet packet;
    packet.addr = wisp_loopback_addr(side);
    packet.data = (void *)(uintptr_t)data;
    packet.size = size;
    packet.status = 1;
    CHECK_EQ_INT(link->send(link->user, &packet, 1), 1);
    return packet.status;
}

/* The size of the packet taken, -1: none. */
static int links_take(wisp_link *link, void *data, int room, wisp_addr *from) {
    wisp_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.data = data;
    packet.size = room;
    if (link->recv(link->user, &packet, 1) != 1) return -1;
    if (from) *from = packet.addr;
    return packet.size;
}

TEST(pipe_keeps_order_and_tells_who_sent) {
    wisp_pipe pipe;
    wisp_link links[3];
    wisp_addr from, zero = wisp_loopback_addr(0), two = wisp_loopback_addr(2);
    char text[16];
    memset(&pipe, 0, sizeof pipe);
    for (int i = 0; i < 3; i++) links[i] = wisp_loopback(&pipe, i);
    CHECK_EQ_INT(links_take(&links[1], text, 16, NULL), -1);
    CHECK_EQ_INT(put(&links[0], 1, "one", 4), 0);
    CHECK_EQ_INT(put(&links[2], 1, "three", 6), 0);
    CHECK_EQ_INT(put(&links[0], 1, "five", 5), 0);
    CHECK_EQ_INT(links_take(&links[1], text, 16, &from), 4);
    CHECK_EQ_MEM(&from, &zero, sizeof from);
    CHECK_EQ_STR(text, "one");
    CHECK_EQ_INT(links_take(&links[1], text, 16, &from), 6);
    CHECK_EQ_MEM(&from, &two, sizeof from);
    CHECK_EQ_STR(text, "three");
    CHECK_EQ_INT(links_take(&links[1], text, 16, NULL), 5);
    CHECK_EQ_INT(links_take(&links[1], text, 16, NULL), -1);
    CHECK_EQ_INT(links_take(&links[0], text, 16, NULL), -1);
    wisp_pipe_free(&pipe);
}

TEST(pipe_takes_any_side_up_to_65535) {
    wisp_pipe pipe;
    wisp_link low, high;
    wisp_addr from, expected = wisp_loopback_addr(65535);
    char text[8];
    memset(&pipe, 0, sizeof pipe);
    low = wisp_loopback(&pipe, 0);
    high = wisp_loopback(&pipe, 65535);
    CHECK(low.send && high.send);
    CHECK(!wisp_loopback(&pipe, 65536).send);
    CHECK(!wisp_loopback(&pipe, -1).send);
    CHECK(!wisp_loopback(NULL, 0).send);
    CHECK_EQ_INT(put(&high, 0, "x", 2), 0);
    CHECK_EQ_INT(links_take(&low, text, 8, &from), 2);
    CHECK_EQ_MEM(&from, &expected, sizeof from);
    CHECK_EQ_INT(put(&low, 65535, "y", 2), 0);
    CHECK_EQ_INT(links_take(&high, text, 8, NULL), 2);
    CHECK_EQ_INT(put(&low, 4711, "nobody there", 13), 0);
    wisp_pipe_free(&pipe);
}

TEST(pipe_carries_empty_packets_and_drops_oversized_ones) {
    wisp_pipe pipe;
    wisp_link a, b;
    uint8_t bytes[1300];
    memset(&pipe, 0, sizeof pipe);
    memset(bytes, 5, sizeof bytes);
    a = wisp_loopback(&pipe, 0);
    b = wisp_loopback(&pipe, 1);
    CHECK_EQ_INT(a.mtu, 1200);
    CHECK_EQ_INT(put(&a, 1, bytes, 0), 0);
    CHECK_EQ_INT(put(&a, 1, bytes, 1201), 0);
    CHECK_EQ_INT(put(&a, 1, bytes, 1200), 0);
    CHECK_EQ_INT(links_take(&b, bytes, 1300, NULL), 0);
    CHECK_EQ_INT(links_take(&b, bytes, 1300, NULL), 1200);
    CHECK_EQ_INT(links_take(&b, bytes, 1300, NULL), -1);
    wisp_pipe_free(&pipe);
}

TEST(pipe_cuts_a_packet_to_the_room_there_is) {
    wisp_pipe pipe;
    wisp_link a, b;
    char text[8] = "-------";
    memset(&pipe, 0, sizeof pipe);
    a = wisp_loopback(&pipe, 0);
    b = wisp_loopback(&pipe, 1);
    put(&a, 1, "abcdef", 6);
    CHECK_EQ_INT(links_take(&b, text, 3, NULL), 3);
    CHECK_EQ_STR(text, "abc----");
    wisp_pipe_free(&pipe);
}

TEST(full_reliable_pipe_says_again_and_a_lossy_one_drops) {
    for (int reliable = 0; reliable < 2; reliable++) {
        wisp_pipe pipe;
        wisp_link a, b;
        uint8_t bytes[100];
        memset(&pipe, 0, sizeof pipe);
        memset(bytes, 1, sizeof bytes);
        pipe.reliable = reliable != 0;
        pipe.capacity = 250;
        a = wisp_loopback(&pipe, 0);
        b = wisp_loopback(&pipe, 1);
        CHECK_EQ_INT(a.reliable, reliable);
        CHECK_EQ_INT(put(&a, 1, bytes, 100), 0);
        CHECK_EQ_INT(put(&a, 1, bytes, 100), 0);
        CHECK_EQ_INT(put(&a, 1, bytes, 100), reliable ? WISP_E_AGAIN : 0);
        CHECK_EQ_INT(put(&a, 1, bytes, 50), 0);
        CHECK_EQ_INT(links_take(&b, bytes, 100, NULL), 100);
        CHECK_EQ_INT(put(&a, 1, bytes, 100), 0);
        CHECK_EQ_INT(links_take(&b, bytes, 100, NULL), 100);
        CHECK_EQ_INT(links_take(&b, bytes, 100, NULL), 50);
        CHECK_EQ_INT(links_take(&b, bytes, 100, NULL), 100);
        CHECK_EQ_INT(links_take(&b, bytes, 100, NULL), -1);
        wisp_pipe_free(&pipe);
    }
}

/* Else a smaller packet behind a refused one would slip through, out of order. */
TEST(reliable_pipe_refuses_all_that_follow_a_refused_packet_to_that_side) {
    wisp_pipe pipe;
    wisp_link a;
    wisp_packet packets[4];
    uint8_t bytes[100];
    static const int sizes[4] = { 80, 90, 10, 10 }, sides[4] = { 1, 1, 1, 2 };
    static const int expected[4] = { 0, WISP_E_AGAIN, WISP_E_AGAIN, 0 };
    memset(&pipe, 0, sizeof pipe);
    memset(bytes, 0, sizeof bytes);
    pipe.reliable = true;
    pipe.capacity = 100;
    a = wisp_loopback(&pipe, 0);
    wisp_loopback(&pipe, 1);
    wisp_loopback(&pipe, 2);
    for (int i = 0; i < 4; i++) {
        packets[i].addr = wisp_loopback_addr(sides[i]);
        packets[i].data = bytes;
        packets[i].size = sizes[i];
        packets[i].status = 1;
    }
    CHECK_EQ_INT(a.send(a.user, packets, 4), 4);
    for (int i = 0; i < 4; i++) CHECK_EQ_INT(packets[i].status, expected[i]);
    wisp_pipe_free(&pipe);
}

TEST(pipe_gives_all_memory_back_and_can_be_used_anew) {
    wisp_pipe pipe;
    ledger memory;
    char text[8];
    memset(&pipe, 0, sizeof pipe);
    memory = ledger_none();
    pipe.memory = ledger_memory(&memory);
    for (int round = 0; round < 2; round++) {
        wisp_link a = wisp_loopback(&pipe, 0), b = wisp_loopback(&pipe, 5);
        for (int i = 0; i < 10; i++) put(&a, 5, "waiting", 8);
        for (int i = 0; i < 5; i++) CHECK_EQ_INT(links_take(&b, text, 8, NULL), 8);
        CHECK(memory.out > 0);
        wisp_pipe_free(&pipe);
        CHECK_EQ_INT(memory.out, 0);
    }
    wisp_pipe_free(NULL);
}

TEST(pipe_allocates_nothing_once_it_has_carried_as_much) {
    wisp_pipe pipe;
    ledger memory;
    wisp_link a, b;
    char text[8];
    int taken = 0;
    memset(&pipe, 0, sizeof pipe);
    memory = ledger_none();
    pipe.memory = ledger_memory(&memory);
    a = wisp_loopback(&pipe, 0);
    b = wisp_loopback(&pipe, 1);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 8; i++) put(&a, 1, "again", 6);
        while (links_take(&b, text, 8, NULL) >= 0) {
        }
        if (round == 0) taken = memory.taken;
    }
    CHECK_EQ_INT(memory.taken, taken);
    wisp_pipe_free(&pipe);
}

TEST(pipe_without_memory_gives_a_link_that_create_refuses) {
    for (int fail = 1; fail <= 2; fail++) {
        wisp_pipe pipe;
        ledger memory;
        wisp_desc desc;
        wisp_result why = WISP_OK;
        memset(&pipe, 0, sizeof pipe);
        memory = ledger_none();
        memset(&desc, 0, sizeof desc);
        memory.fail_at = fail;
        memory.fail_on = true;
        pipe.memory = ledger_memory(&memory);
        desc.link = wisp_loopback(&pipe, 0);
        CHECK(!desc.link.send && !desc.link.recv);
        CHECK(!wisp_create(&desc, &why));
        CHECK_EQ_INT(why, WISP_E_ARGUMENT);
        wisp_pipe_free(&pipe);
        CHECK_EQ_INT(memory.out, 0);
    }
}

/* --- the simulator --- */

TEST(simulator_that_is_told_nothing_changes_nothing) {
    range *r = range_new();
    range_begin(r);
    CHECK_EQ_INT(r->from.mtu, 1200);
    CHECK(!r->from.reliable);
    range_stream(r, 1000, 100);
    CHECK_EQ_INT(r->count, 1000);
    for (int i = 0; i < r->count; i++) CHECK_EQ_INT(r->came[i], i);
    CHECK_EQ_INT(r->sim.sent, 1000);
    CHECK_EQ_INT(r->sim.lost + r->sim.duplicated + r->sim.reordered, 0);
    range_free(r);
}

/* Set at any time: whatever they are, packets arrive or are lost, and all memory comes back. */
TEST(numbers_that_make_no_sense_do_no_harm) {
    static const uint64_t odd[] = {
        UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8000000000000), UINT64_C(0x7ff0000000000000),
        UINT64_C(0xfff0000000000000), UINT64_C(0x7fefffffffffffff), UINT64_C(0xffefffffffffffff),
    };
    for (int field = 0; field < 7; field++)
        for (int i = 0; i < TEST_COUNT(odd); i++) {
            range *r = range_new();
            double *fields[7];
            fields[0] = &r->sim.latency;
            fields[1] = &r->sim.jitter;
            fields[2] = &r->sim.loss;
            fields[3] = &r->sim.burst;
            fields[4] = &r->sim.duplicate;
            fields[5] = &r->sim.reorder;
            fields[6] = &r->sim.rate;
            r->sim.loss = field == 3 ? 0.5 : 0;
            memcpy(fields[field], &odd[i], 8);
            range_begin(r);
            range_stream(r, 100, 100);
            if (i < 2 && field != 3) CHECK_EQ_INT(r->count, 100);      /* as if it was not set */
            CHECK(r->count <= 200);
            if (field == 2 && i == 2) CHECK_EQ_INT(r->count, 0);
            memset(fields[field], 0, 8);
            r->sim.loss = 0;
            range_until(r, 2e16);                         /* later than every delay */
            CHECK_EQ_INT(r->sim.transit_count, 0);
            range_free(r);
        }
}

TEST(a_time_that_is_none_holds_packets_back) {
    static const uint64_t nan = UINT64_C(0x7ff8000000000000);
    range *r = range_new();
    double none;
    memcpy(&none, &nan, 8);
    r->sim.latency = 0.5;
    range_begin(r);
    range_until(r, 1);
    range_send(r, 100);
    range_until(r, none);
    CHECK_EQ_INT(r->count, 0);
    range_until(r, 2);
    CHECK_EQ_INT(r->count, 1);
    range_free(r);
}

TEST(latency_is_kept_to_the_update) {
    range *r = range_new();
    r->sim.latency = 0.05;
    range_begin(r);
    range_until(r, 1.0);
    range_send(r, 100);
    range_until(r, 1.0499);
    CHECK_EQ_INT(r->count, 0);
    range_until(r, 1.0501);
    CHECK_EQ_INT(r->count, 1);
    range_free(r);
}

TEST(jitter_spreads_evenly_between_none_and_all_of_it) {
    range *r = range_new();
    double least = 1, most = 0, sum = 0;
    r->sim.latency = 0.05;
    r->sim.jitter = 0.1;
    range_begin(r);
    range_stream(r, 5000, 100);
    CHECK_EQ_INT(r->count, 5000);
    for (int i = 0; i < r->count; i++) {
        double delay = r->when[i] - r->came[i] * 0.001;
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
        sum += delay;
    }
    CHECK(least >= 0.0499 && least < 0.053);
    CHECK(most <= 0.1511 && most > 0.147);
    CHECK_NEAR(sum / 5000, 0.1005, 0.003);
    range_free(r);
}

static void check_loss(double loss, double burst) {
    range *r = range_new();
    int lost = 0, bursts = 0, expected = 0;
    r->sim.loss = loss;
    r->sim.burst = burst;
    range_begin(r);
    range_stream(r, 20000, 20);
    for (int i = 0; i < r->count; i++) {
        bursts += r->came[i] != expected;
        expected = r->came[i] + 1;
    }
    lost = 20000 - r->count;
    CHECK_EQ_INT(r->sim.lost, lost);
    CHECK_NEAR(lost / 20000.0, loss, (burst > 4 ? 0.25 : 0.1) * loss);
    CHECK_NEAR((double)lost / bursts, burst > 1 ? burst : 1 / (1 - loss),
               0.1 * (burst > 1 ? burst : 1));
    range_free(r);
}

TEST(loss_has_its_mean_without_bursts) {
    check_loss(0.05, 0);
    check_loss(0.2, 0);
    check_loss(0.2, 1);
}

TEST(loss_in_bursts_has_its_mean_and_the_bursts_theirs) {
    check_loss(0.2, 3);
    check_loss(0.1, 8);
}

TEST(loss_of_all_loses_all) {
    for (int burst = 0; burst < 6; burst += 5) {
        range *r = range_new();
        r->sim.loss = 1;
        r->sim.burst = burst;
        range_begin(r);
        range_stream(r, 500, 20);
        CHECK_EQ_INT(r->count, 0);
        CHECK_EQ_INT(r->sim.lost, 500);
        range_free(r);
    }
}

TEST(duplicates_come_twice_and_no_more) {
    range *r = range_new();
    int seen[5000], twice = 0;
    memset(seen, 0, sizeof seen);
    r->sim.duplicate = 0.3;
    r->sim.jitter = 0.01;
    range_begin(r);
    range_stream(r, 5000, 20);
    for (int i = 0; i < r->count; i++) seen[r->came[i]]++;
    for (int i = 0; i < 5000; i++) {
        CHECK(seen[i] == 1 || seen[i] == 2);
        twice += seen[i] == 2;
    }
    CHECK_EQ_INT(r->sim.duplicated, twice);
    CHECK_NEAR(twice / 5000.0, 0.3, 0.03);
    range_free(r);
}

TEST(reordered_packets_are_late_by_one_more_latency) {
    range *r = range_new();
    int late = 0;
    r->sim.latency = 0.02;
    r->sim.reorder = 0.2;
    range_begin(r);
    range_stream(r, 5000, 20);
    CHECK_EQ_INT(r->count, 5000);
    for (int i = 0; i < r->count; i++) {
        double delay = r->when[i] - r->came[i] * 0.001;
        late += delay > 0.03;
        CHECK_NEAR(delay, delay > 0.03 ? 0.04 : 0.02, 0.0011);
    }
    CHECK_EQ_INT(r->sim.reordered, late);
    CHECK_NEAR(late / 5000.0, 0.2, 0.02);
    range_free(r);
}

TEST(rate_cap_spaces_packets_and_its_queue_is_bounded) {
    range *r = range_new();
    r->sim.rate = 100000;              /* 1000 bytes take 10 ms */
    r->sim.queue_bytes = 20000;
    range_begin(r);
    for (int i = 0; i < 100; i++) range_send(r, 1000);
    CHECK(r->sim.lost >= 78 && r->sim.lost <= 80);
    for (int i = 0; i < 400; i++) range_until(r, i * 0.001);
    CHECK_EQ_INT(r->count, 100 - (int)r->sim.lost);
    for (int i = 0; i < r->count; i++) {
        CHECK_EQ_INT(r->came[i], i);
        CHECK_NEAR(r->when[i], 0.01 * (i + 1), 0.0011);
    }
    range_free(r);
}

TEST(rate_cap_lets_the_queue_drain_and_idle_time_is_not_saved_up) {
    range *r = range_new();
    r->sim.rate = 100000;
    range_begin(r);
    range_until(r, 100);
    range_send(r, 1000);
    range_send(r, 1000);
    range_until(r, 100.015);
    CHECK_EQ_INT(r->count, 1);
    range_until(r, 100.0201);
    CHECK_EQ_INT(r->count, 2);
    CHECK_EQ_INT(r->sim.lost, 0);
    range_free(r);
}

TEST(packets_on_their_way_are_bounded_by_capacity) {
    range *r = range_new();
    r->sim.latency = 1;
    r->sim.capacity = 10;
    range_begin(r);
    for (int i = 0; i < 15; i++) range_send(r, 10);
    range_until(r, 1.01);
    CHECK_EQ_INT(r->count, 10);
    CHECK_EQ_INT(r->sim.lost, 5);
    range_free(r);
}

static void make_weather(range *r, uint64_t seed) {
    r->sim.latency = 0.03;
    r->sim.jitter = 0.02;
    r->sim.loss = 0.2;
    r->sim.burst = 3;
    r->sim.duplicate = 0.1;
    r->sim.reorder = 0.1;
    r->sim.seed = seed;
    range_begin(r);
    range_stream(r, 2000, 50);
}

TEST(same_seed_has_the_same_fate_and_another_another) {
    range *a = range_new(), *b = range_new(), *c = range_new();
    make_weather(a, 42);
    make_weather(b, 42);
    make_weather(c, 43);
    CHECK_EQ_INT(a->count, b->count);
    CHECK_EQ_MEM(a->came, b->came, sizeof(int) * (size_t)a->count);
    CHECK_EQ_MEM(a->when, b->when, sizeof(double) * (size_t)a->count);
    CHECK(a->count != c->count || memcmp(a->came, c->came, sizeof(int) * (size_t)a->count) != 0);
    range_free(a);
    range_free(b);
    range_free(c);
}

TEST(simulator_frees_what_is_still_on_its_way) {
    range *r = range_new();
    r->sim.latency = 10;
    range_begin(r);
    for (int i = 0; i < 200; i++) range_send(r, 700);
    CHECK(r->memory.out >= 200 * 700);
    range_free(r);                     /* checks that nothing is out */
}

TEST(simulator_without_memory_loses_and_goes_on) {
    range *r = range_new();
    r->sim.latency = 0.01;
    range_begin(r);
    range_send(r, 10);
    r->memory.fail_at = r->memory.asked + 1;
    r->memory.fail_on = true;
    range_send(r, 10);
    range_send(r, 10);
    CHECK_EQ_INT(r->sim.lost, 2);
    r->memory.fail_at = 0;
    range_send(r, 10);
    range_until(r, 1);
    CHECK_EQ_INT(r->count, 2);
    range_free(r);
}

TEST(packet_that_the_inner_link_refuses_is_kept_for_later) {
    wisp_pipe pipe;
    wisp_simulator sim;
    wisp_link a, b;
    char bytes[60];
    memset(&pipe, 0, sizeof pipe);
    memset(&sim, 0, sizeof sim);
    memset(bytes, 1, sizeof bytes);
    pipe.reliable = true;
    pipe.capacity = 100;
    a = wisp_simulate(&sim, wisp_loopback(&pipe, 0));
    b = wisp_loopback(&pipe, 1);
    CHECK(a.reliable);
    for (int i = 0; i < 3; i++) put(&a, 1, bytes, 60);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(links_take(&b, bytes, 60, NULL), 60);
        CHECK_EQ_INT(links_take(&b, bytes, 60, NULL), -1);
        CHECK_EQ_INT(links_take(&a, bytes, 60, NULL), -1);     /* lets the simulator try again */
    }
    CHECK_EQ_INT(links_take(&b, bytes, 60, NULL), -1);
    wisp_simulator_free(&sim);
    wisp_pipe_free(&pipe);
}

TEST(simulator_around_nothing_is_no_link) {
    wisp_simulator sim;
    wisp_link none, made;
    memset(&sim, 0, sizeof sim);
    memset(&none, 0, sizeof none);
    made = wisp_simulate(&sim, none);
    CHECK(!made.send && !made.recv);
    made = wisp_simulate(NULL, none);
    CHECK(!made.send && !made.recv);
    wisp_simulator_free(&sim);
    wisp_simulator_free(NULL);
}

static const test_case tests[] = {
    CASE(pipe_keeps_order_and_tells_who_sent),
    CASE(pipe_takes_any_side_up_to_65535),
    CASE(pipe_carries_empty_packets_and_drops_oversized_ones),
    CASE(pipe_cuts_a_packet_to_the_room_there_is),
    CASE(full_reliable_pipe_says_again_and_a_lossy_one_drops),
    CASE(reliable_pipe_refuses_all_that_follow_a_refused_packet_to_that_side),
    CASE(pipe_gives_all_memory_back_and_can_be_used_anew),
    CASE(pipe_allocates_nothing_once_it_has_carried_as_much),
    CASE(pipe_without_memory_gives_a_link_that_create_refuses),
    CASE(simulator_that_is_told_nothing_changes_nothing),
    CASE(numbers_that_make_no_sense_do_no_harm),
    CASE(a_time_that_is_none_holds_packets_back),
    CASE(latency_is_kept_to_the_update),
    CASE(jitter_spreads_evenly_between_none_and_all_of_it),
    CASE(loss_has_its_mean_without_bursts),
    CASE(loss_in_bursts_has_its_mean_and_the_bursts_theirs),
    CASE(loss_of_all_loses_all),
    CASE(duplicates_come_twice_and_no_more),
    CASE(reordered_packets_are_late_by_one_more_latency),
    CASE(rate_cap_spaces_packets_and_its_queue_is_bounded),
    CASE(rate_cap_lets_the_queue_drain_and_idle_time_is_not_saved_up),
    CASE(packets_on_their_way_are_bounded_by_capacity),
    CASE(same_seed_has_the_same_fate_and_another_another),
    CASE(simulator_frees_what_is_still_on_its_way),
    CASE(simulator_without_memory_loses_and_goes_on),
    CASE(packet_that_the_inner_link_refuses_is_kept_for_later),
    CASE(simulator_around_nothing_is_no_link),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
