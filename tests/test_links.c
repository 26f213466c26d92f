/* test_links.c - the pipe and the simulator, packet by packet, and some sessions over them */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/watched_memory_and_link.h"
#include "support/simulated_endpoints.h"

/* A pipe with a simulator in front of side 0, and what has come out at side 1; `inward`: the other
   way round. */
enum { RANGE_MOST = 20000 };
typedef struct range {
    wisp_pipe pipe;
    wisp_simulator sim;
    wisp_link from, to;
    ledger memory;
    int came[RANGE_MOST];        /* the number in each packet, in order of arrival */
    double when[RANGE_MOST];
    int count, sent;
    int damaged;                 /* packets that came and differ from what was sent */
    bool inward;
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
    for (int i = 0; i < 3; i++) memcpy(bytes + i * (int)sizeof r->sent, &r->sent, sizeof r->sent);
    r->sent++;
    packet.addr = wisp_loopback_addr(!r->inward);
    packet.data = bytes;
    packet.size = size;
    packet.status = 1;
    if (r->inward) CHECK_EQ_INT(r->to.send(r->to.user, &packet, 1), 1);
    else CHECK_EQ_INT(r->from.send(r->from.user, &packet, 1), 1);
    CHECK_EQ_INT(packet.status, 0);
}

/* Whether a packet was changed, and not in more than one byte; mends its number then, which it has
   three times. */
static int range_damage(uint8_t *bytes, int size) {
    int wrong = 0;
    if (size < 12) return 0;
    for (int i = 12; i < size; i++) wrong += bytes[i] != 0;
    for (int i = 0; i < 4; i++) {
        bool same = bytes[i + 4] == bytes[i + 8];
        wrong += !same || bytes[i] != bytes[i + 4];
        if (same) bytes[i] = bytes[i + 4];
    }
    CHECK(wrong <= 1);
    return wrong;
}

/* Lets time pass to `now` and takes what has arrived. */
static void range_until(range *r, double now) {
    uint8_t bytes[1200];
    wisp_link *end = r->inward ? &r->from : &r->to;
    wisp_packet packet;
    r->sim.now = now;
    CHECK_EQ_INT(r->from.recv(r->from.user, &packet, 0), 0);
    for (;;) {
        packet.data = bytes;
        packet.size = (int)sizeof bytes;
        if (end->recv(end->user, &packet, 1) != 1 || r->count == RANGE_MOST) return;
        r->damaged += range_damage(bytes, packet.size);
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
            CHECK_EQ_INT(r->sim.out_way.count, 0);
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

/* --- both ways, and settings as text --- */

/* The private copy of settings relies on it. */
TEST(the_simulator_repeats_the_members_of_a_network) {
    size_t at = offsetof(wisp_simulator, latency);
#define LINKS_SAME(m) CHECK_EQ_INT(offsetof(wisp_simulator, m) - at, offsetof(wisp_network, m))
    LINKS_SAME(latency);
    LINKS_SAME(jitter);
    LINKS_SAME(loss);
    LINKS_SAME(burst);
    LINKS_SAME(duplicate);
    LINKS_SAME(reorder);
    LINKS_SAME(rate);
    LINKS_SAME(queue_bytes);
    LINKS_SAME(capacity);
    LINKS_SAME(reorder_delay);
    LINKS_SAME(corrupt);
    LINKS_SAME(mtu);
    LINKS_SAME(keep_order);
#undef LINKS_SAME
}

typedef struct links_figures {
    double lost, least, mean, most;      /* share of the packets; delays in milliseconds */
    double late, twice, damaged;         /* shares: overtaken, duplicates, changed */
} links_figures;

static wisp_network_way *links_way(range *r) {
    return r->inward ? &r->sim.in_way : &r->sim.out_way;
}

/* Every packet that entered, or was made, has left, is lost, or is still there. */
static void links_check_counters(const wisp_network_way *way) {
    CHECK_EQ_INT(way->lost,
                 way->lost_chance + way->lost_mtu + way->lost_queue + way->lost_capacity);
    CHECK_EQ_INT(way->sent + way->duplicated, way->arrived + way->lost + (uint64_t)way->count);
}

/* 4,000 packets, one per millisecond, through settings, in one direction. */
static links_figures links_measure(const char *text, int size, bool inward) {
    enum { COUNT = 4000 };
    range *r = range_new();
    wisp_network_way *way = links_way(r);
    links_figures f = { 0, 1e9, 0, 0, 0, 0, 0 };
    int newest = -1;
    r->inward = inward;
    way = links_way(r);
    range_begin(r);
    CHECK_EQ_INT(wisp_simulator_set(&r->sim, text), WISP_OK);
    range_stream(r, COUNT, size);
    for (int i = 0; i < r->count; i++) {
        double delay = r->when[i] * 1000 - r->came[i];
        f.least = delay < f.least ? delay : f.least;
        f.most = delay > f.most ? delay : f.most;
        f.mean += delay / r->count;
        f.late += (r->came[i] < newest) / (double)r->count;
        newest = r->came[i] > newest ? r->came[i] : newest;
    }
    f.lost = (double)way->lost / COUNT;
    f.twice = (double)way->duplicated / COUNT;
    f.damaged = (double)r->damaged / COUNT;
    links_check_counters(way);
    CHECK_EQ_INT(way->sent, COUNT);
    CHECK_EQ_INT(way->arrived, r->count);
    CHECK_EQ_INT(way->count, 0);
    CHECK_EQ_INT(way->corrupted, r->damaged);
    CHECK_NEAR(way->delay * 1000, f.mean * r->count, 1.001 * r->count);
    way = inward ? &r->sim.out_way : &r->sim.in_way;
    CHECK_EQ_INT(way->sent + way->lost + way->duplicated, 0);
    range_free(r);
    return f;
}

/* What a setting does, in either direction; delays are two steps of the clock longer at most. */
TEST(each_setting_has_its_effect_either_way) {
    static const struct { const char *text; int size; links_figures low, high; } rows[] = {
        { "none", 500, { 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0 } },
        { "lat=50", 500, { 0, 50, 50, 50, 0, 0, 0 }, { 0, 50, 50, 50, 0, 0, 0 } },
        { "lat=50 jit=100", 500, { 0, 50, 97, 148, .5, 0, 0 }, { 0, 52, 104, 151, 1, 0, 0 } },
        { "lat=50 jit=100 order=1", 500, { 0, 50, 130, 148, 0, 0, 0 },
          { 0, 120, 150, 151, 0, 0, 0 } },
        { "loss=20", 500, { .18, 0, 0, 0, 0, 0, 0 }, { .22, 0, 0, 0, 0, 0, 0 } },
        { "loss=20 burst=3", 500, { .17, 0, 0, 0, 0, 0, 0 }, { .23, 0, 0, 0, 0, 0, 0 } },
        { "dup=10", 500, { 0, 0, 0, 0, 0, .085, 0 }, { 0, 0, 0, 0, 0, .115, 0 } },
        { "lat=20 reorder=10 late=30", 500, { 0, 20, 22, 50, .08, 0, 0 },
          { 0, 21, 25, 51, .12, 0, 0 } },
        { "lat=20 reorder=10 late=30 order=1", 500, { 0, 20, 22, 50, .08, 0, 0 },
          { 0, 21, 25, 51, .12, 0, 0 } },
        { "corrupt=10", 500, { 0, 0, 0, 0, 0, 0, .085 }, { 0, 0, 0, 0, 0, 0, .115 } },
        { "mtu=500", 500, { 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0 } },
        { "mtu=499", 500, { 1, 1e9, 0, 0, 0, 0, 0 }, { 1, 1e9, 0, 0, 0, 0, 0 } },
        { "rate=1M lat=10", 500, { 0, 10, 10, 10, 0, 0, 0 }, { 0, 11, 12, 12, 0, 0, 0 } },
        /* twice what the link carries: half is lost, and the queue stands */
        { "rate=250k queue=50k", 500, { .46, 1, 180, 199, 0, 0, 0 }, { .5, 3, 201, 205, 0, 0, 0 } },
        { "rate=250k mtu=400", 500, { 1, 1e9, 0, 0, 0, 0, 0 }, { 1, 1e9, 0, 0, 0, 0, 0 } },
        { "lat=100 cap=50", 500, { .48, 100, 100, 100, 0, 0, 0 }, { .52, 101, 101, 101, 0, 0, 0 } },
    };
    for (int row = 0; row < TEST_COUNT(rows); row++)
        for (int inward = 0; inward < 2; inward++) {
            links_figures f = links_measure(rows[row].text, rows[row].size, inward != 0);
            double figures[7], low[7], high[7];
            memcpy(figures, &f, sizeof f);
            memcpy(low, &rows[row].low, sizeof low);
            memcpy(high, &rows[row].high, sizeof high);
            for (int i = 0; i < 7; i++)
                if (!CHECK(figures[i] >= low[i] - 0.01 &&
                           figures[i] <= high[i] + (i >= 1 && i <= 3 ? 2.01 : 0.01)))
                    printf("    \"%s\", figure %d: %f\n", rows[row].text, i, figures[i]);
        }
}

TEST(a_prefix_sets_one_way_and_leaves_the_other) {
    static const char *const texts[2] = { "up:lat=50 up:loss=20 up:rate=300k up:mtu=600",
                                          "down:lat=50 down:loss=20 down:rate=300k down:mtu=600" };
    for (int which = 0; which < 2; which++) {
        links_figures set = links_measure(texts[which], 100, which != 0);
        links_figures other = links_measure(texts[which], 1000, which == 0);
        CHECK_NEAR(set.lost, 0.2, 0.03);
        CHECK_NEAR(set.mean, 51, 1.5);
        CHECK_NEAR(other.lost + other.late, 0, 0);
        CHECK(other.most < 1.01);
    }
}

TEST(old_members_are_those_of_the_way_out) {
    wisp_simulator sim;
    memset(&sim, 0, sizeof sim);
    CHECK_EQ_INT(wisp_simulator_set(&sim, "lat=80 jit=20 loss=3 rate=250k queue=1.5k cap=9"),
                 WISP_OK);
    CHECK(sim.error == NULL);
    CHECK_NEAR(sim.latency, 0.08, 1e-15);
    CHECK_NEAR(sim.jitter, 0.02, 1e-15);
    CHECK_NEAR(sim.loss, 0.03, 1e-15);
    CHECK_NEAR(sim.rate, 250000, 1e-9);
    CHECK_EQ_INT(sim.queue_bytes, 1500);
    CHECK_EQ_INT(sim.capacity, 9);
    CHECK_EQ_MEM(&sim.in.latency, &sim.latency, 9 * sizeof(double) + 2 * sizeof(int));
    sim.latency = 0.5;
    CHECK_EQ_INT(wisp_simulator_set(&sim, "burst=4 dup=12.5 reorder=1 late=7 corrupt=100 mtu=900 "
                                          "order=1"), WISP_OK);
    CHECK_NEAR(sim.latency, 0.5, 0);                 /* a setting that is not named stays */
    CHECK_NEAR(sim.in.latency, 0.08, 1e-15);
    CHECK_NEAR(sim.burst, 4, 0);
    CHECK_NEAR(sim.duplicate, 0.125, 0);
    CHECK_NEAR(sim.reorder, 0.01, 1e-15);
    CHECK_NEAR(sim.reorder_delay, 0.007, 1e-15);
    CHECK_NEAR(sim.corrupt, 1, 0);
    CHECK_EQ_INT(sim.mtu, 900);
    CHECK_EQ_INT(sim.keep_order, 1);
    CHECK_EQ_INT(wisp_simulator_set(&sim, "  \t"), WISP_OK);
    CHECK_NEAR(sim.latency, 0.5, 0);
    CHECK_EQ_INT(wisp_simulator_set(&sim, "down:none\n"), WISP_OK);
    CHECK_NEAR(sim.latency, 0.5, 0);
    CHECK_NEAR(sim.in.latency + sim.in.burst + sim.in.corrupt, 0, 0);
    CHECK_EQ_INT(sim.in.mtu + sim.in.keep_order, 0);
}

TEST(a_network_sets_all_and_words_after_it_some) {
    static const char *const names[] = { "wifi", "mobile", "satellite", "awful" };
    double before = 0;
    for (int i = 0; i < TEST_COUNT(names); i++) {
        wisp_simulator sim;
        links_figures up = links_measure(names[i], 50, false);
        links_figures down = links_measure(names[i], 50, true);
        memset(&sim, 0, sizeof sim);
        sim.mtu = 700;
        CHECK_EQ_INT(wisp_simulator_set(&sim, names[i]), WISP_OK);
        CHECK(sim.latency > 0 && sim.loss > 0 && sim.rate > 0 && sim.mtu == 0);
        CHECK(sim.in.latency > 0 && sim.in.loss > 0 && sim.in.rate >= sim.rate);
        CHECK(up.mean >= sim.latency * 1000 && up.lost > 0 && up.lost < 0.2);
        CHECK(down.mean >= sim.in.latency * 1000 && down.lost > 0 && down.lost < 0.2);
        CHECK(strcmp(names[i], "awful") ? up.late <= 0 : up.late > 0.1);
        before = sim.in.rate;
        CHECK_EQ_INT(wisp_simulator_set(&sim, "loss=5 up:rate=1k"), WISP_OK);
        CHECK_NEAR(sim.loss + sim.in.loss, 0.1, 1e-9);
        CHECK_NEAR(sim.rate, 1000, 0);
        CHECK_NEAR(sim.in.rate, before, 0);
    }
}

TEST(a_text_that_cannot_be_read_changes_nothing_and_says_where) {
    static const struct { const char *text; int at; } wrong[] = {
        { "lat", 0 }, { "lat=", 4 }, { "lat=x", 4 }, { "lat=-5", 4 }, { "lat= 5", 4 },
        { "lat=5x", 5 }, { "lat=5.5.5", 7 }, { "lat=.", 4 }, { "lat=1e3", 5 }, { "lat=5,", 5 },
        { "lat=0x10", 5 }, { "lat=inf", 4 }, { "lat=nan", 4 }, { "lat=5kk", 6 }, { "lat=5K", 5 },
        { "loss=101", 8 }, { "loss=3%", 6 }, { "corrupt=1k", 10 }, { "rate=2000M", 10 },
        { "mtu=1.5", 7 }, { "mtu=3M lat=2 mtu=9999999999", 27 }, { "order=0.5", 9 },
        { "speed=5", 0 }, { "=5", 0 }, { "=", 0 }, { "LAT=5", 0 }, { "latt=5", 0 }, { "la=5", 0 },
        { "wifi2", 0 }, { "wif", 0 }, { "wifi=3", 0 }, { "up:", 3 }, { "up:wifi down:nothing", 13 },
        { "up:down:lat=3", 3 }, { "lat=5 jit=6 loss=seven", 17 }, { "up :lat=5", 0 },
        { "mobile lat=10 x", 14 }, { "down:lat=5 up:lat=", 18 }, { "lat=\xc3\xbc", 4 },
        { "lat=99999999999999999999999999999999999999999999999999", 54 },
    };
    for (int i = 0; i < TEST_COUNT(wrong); i++) {
        wisp_simulator sim, before;
        memset(&sim, 0, sizeof sim);
        CHECK_EQ_INT(wisp_simulator_set(&sim, "awful up:mtu=777"), WISP_OK);
        before = sim;
        CHECK_EQ_INT(wisp_simulator_set(&sim, wrong[i].text), WISP_E_SYNTAX);
        CHECK(sim.error && *sim.error);
        if (!CHECK_EQ_INT(sim.error_at, wrong[i].at)) printf("    \"%s\"\n", wrong[i].text);
        sim.error = before.error;
        sim.error_at = before.error_at;
        CHECK_EQ_MEM(&sim, &before, sizeof sim);
        CHECK_EQ_INT(wisp_simulator_set(&sim, "lat=1"), WISP_OK);
        CHECK(!sim.error && !sim.error_at);
    }
    CHECK_EQ_INT(wisp_simulator_set(NULL, "lat=1"), WISP_E_ARGUMENT);
    {
        wisp_simulator sim;
        memset(&sim, 0, sizeof sim);
        CHECK_EQ_INT(wisp_simulator_set(&sim, NULL), WISP_E_ARGUMENT);
    }
}

static void links_check_sane(const wisp_network *net) {
    CHECK(net->latency >= 0 && net->latency <= 1e6 && net->jitter >= 0 && net->jitter <= 1e6);
    CHECK(net->loss >= 0 && net->loss <= 1 && net->duplicate >= 0 && net->duplicate <= 1);
    CHECK(net->reorder >= 0 && net->reorder <= 1 && net->corrupt >= 0 && net->corrupt <= 1);
    CHECK(net->burst >= 0 && net->burst <= 1e9 && net->rate >= 0 && net->rate <= 1e9);
    CHECK(net->reorder_delay >= 0 && net->reorder_delay <= 1e6);
    CHECK(net->queue_bytes >= 0 && net->capacity >= 0 && net->mtu >= 0 && net->keep_order >= 0);
}

/* Pieces of good texts in any order, with other bytes among them. */
TEST(random_texts_are_read_or_refused) {
    static const char *const pieces[] = {
        "lat", "jit", "late", "loss", "dup", "reorder", "corrupt", "burst", "rate", "queue", "mtu",
        "cap", "order", "=", "=", "=", "=5", "=0.25", " ", " ", " ", "\t", "\n", "up:", "down:",
        "none", "wifi", "mobile", "satellite", "awful", "1", "9", "00", ".", "k", "M", "-", "e",
        "\xff", "99999999999999999999"
    };
    uint64_t state = 11;
    int good = 0;
    for (int round = 0; round < 20000; round++) {
        char text[512] = "";
        wisp_simulator sim, before;
        wisp_result result;
        size_t length = 0;
        memset(&sim, 0, sizeof sim);
        wisp_simulator_set(&sim, "awful");
        before = sim;
        for (int left = (int)(test_random(&state) % 12); left > 0; left--) {
            const char *piece = pieces[test_random(&state) % (uint64_t)TEST_COUNT(pieces)];
            memcpy(text + length, piece, strlen(piece) + 1);
            length += strlen(piece);
        }
        if (length && round % 7 == 0)
            text[test_random(&state) % length] = (char)test_random(&state);
        result = wisp_simulator_set(&sim, text);
        good += result == WISP_OK;
        CHECK(result == WISP_OK || result == WISP_E_SYNTAX);
        CHECK(sim.error_at >= 0 && sim.error_at <= (int)strlen(text));
        CHECK((sim.error != NULL) == (result != WISP_OK));
        links_check_sane(&sim.in);
        CHECK(sim.latency >= 0 && sim.latency <= 1e6 && sim.loss >= 0 && sim.loss <= 1);
        if (result == WISP_OK) continue;
        CHECK_EQ_MEM(&sim.latency, &before.latency, sizeof sim.latency);
        CHECK_EQ_MEM(&sim.in, &before.in, sizeof sim.in);
    }
    CHECK(good > 500 && good < 10000);
}

/* Settings that change while packets are in transfer concern those that enter from then on. */
TEST(a_delay_that_changes_concerns_later_packets) {
    for (int inward = 0; inward < 2; inward++) {
        range *r = range_new();
        r->inward = inward != 0;
        range_begin(r);
        wisp_simulator_set(&r->sim, "lat=100");
        range_send(r, 100);
        range_until(r, 0);
        range_until(r, 0.01);
        wisp_simulator_set(&r->sim, "lat=20");
        range_send(r, 100);
        for (int i = 10; i < 200; i++) range_until(r, i * 0.001);
        CHECK_EQ_INT(r->count, 2);
        CHECK_EQ_INT(r->came[0], 1);
        CHECK_NEAR(r->when[0], 0.03, 0.0011);
        CHECK_NEAR(r->when[1], 0.1, 0.0011);
        range_free(r);
    }
}

/* 100 kB wait for a link of 100 kB/s; after half a second it gets ten times faster, or slower. */
TEST(a_queue_goes_on_at_a_new_rate_and_keeps_its_order) {
    static const struct { const char *text; double end; } rows[] = {
        { "rate=1M", 0.55 }, { "rate=10k", 5.6 }, { "rate=0", 0.5 }, { "rate=100k", 1.0 },
        { "rate=1M queue=1", 0.55 }, { "mobile rate=1M", 0.55 },
    };
    for (int row = 0; row < TEST_COUNT(rows); row++)
        for (int inward = 0; inward < 2; inward++) {
            range *r = range_new();
            r->inward = inward != 0;
            range_begin(r);
            wisp_simulator_set(&r->sim, "rate=100k queue=200k jit=40 order=1");
            for (int i = 0; i < 100; i++) range_send(r, 1000);
            for (int i = 0; i <= 500; i++) range_until(r, i * 0.001);
            CHECK(r->count > 42 && r->count <= 50);
            CHECK_EQ_INT(wisp_simulator_set(&r->sim, rows[row].text), WISP_OK);
            for (int i = 501; i <= 6000; i++) range_until(r, i * 0.001);
            CHECK_EQ_INT(r->count, 100);
            for (int i = 0; i < r->count; i++) CHECK_EQ_INT(r->came[i], i);
            CHECK_NEAR(r->when[99], rows[row].end + 0.02, 0.025);
            CHECK_EQ_INT(links_way(r)->lost, 0);
            links_check_counters(links_way(r));
            range_free(r);
        }
}

/* A link that stood nearly still does not make up for it. */
TEST(a_faster_rate_is_not_paid_for_the_past) {
    range *r = range_new();
    range_begin(r);
    wisp_simulator_set(&r->sim, "rate=1 queue=1M");
    for (int i = 0; i < 100; i++) range_send(r, 1000);
    range_until(r, 100);
    CHECK_EQ_INT(r->count, 0);
    wisp_simulator_set(&r->sim, "rate=100k");
    range_until(r, 100.0005);
    CHECK_EQ_INT(r->count, 0);
    range_until(r, 100.5005);
    CHECK(r->count >= 49 && r->count <= 50);
    range_free(r);
}

/* Fates are drawn when a packet enters: however seldom the link is used meanwhile, they stay. */
TEST(fates_do_not_depend_on_how_often_the_link_is_used) {
    range *often = range_new(), *seldom = range_new();
    for (int k = 0; k < 2; k++) {
        range *r = k ? seldom : often;
        range_begin(r);
        wisp_simulator_set(&r->sim, "awful rate=40k");
        for (int i = 0; i < 2000; i++) {
            if (k == 0) range_until(r, i * 0.01);
            else if (i % 20 == 0) range_until(r, i * 0.01);
            r->sim.now = i * 0.01;
            range_send(r, 300);
        }
        for (int i = 0; i < 3000; i++) range_until(r, 20 + i * 0.001);
    }
    CHECK_EQ_INT(often->sim.lost, seldom->sim.lost);
    CHECK_EQ_INT(often->sim.duplicated, seldom->sim.duplicated);
    CHECK_EQ_INT(often->count, seldom->count);
    CHECK_EQ_MEM(often->came, seldom->came, sizeof(int) * (size_t)often->count);
    range_free(often);
    range_free(seldom);
}

TEST(the_way_in_is_bounded_and_gives_its_memory_back) {
    range *r = range_new();
    int64_t most;
    r->inward = true;
    range_begin(r);
    CHECK_EQ_INT(wisp_simulator_set(&r->sim, "lat=1000 cap=100"), WISP_OK);
    for (int i = 0; i < 5000; i++) range_send(r, 1000);
    most = r->memory.out;                                  /* what waits in the pipe */
    range_until(r, 0.1);
    CHECK_EQ_INT(r->sim.in_way.lost_capacity, 4096 - 100);   /* so many are taken in by one call */
    range_until(r, 0.2);
    CHECK_EQ_INT(r->sim.in_way.lost_capacity, 5000 - 100);
    CHECK(r->memory.out < most + 100 * 1300);
    range_until(r, 1.15);
    CHECK_EQ_INT(r->count, 100);
    range_free(r);                                         /* checks that nothing is out */
}

/* So what waits, waits where it would without the simulator. */
TEST(a_perfect_way_in_takes_no_more_than_it_is_asked_for) {
    range *r = range_new();
    uint8_t bytes[3][100];
    wisp_packet packets[3];
    r->inward = true;
    range_begin(r);
    for (int i = 0; i < 10; i++) range_send(r, 100);
    for (int i = 0; i < 3; i++) {
        packets[i].data = bytes[i];
        packets[i].size = 100;
    }
    CHECK_EQ_INT(r->from.recv(r->from.user, packets, 3), 3);
    CHECK_EQ_INT(r->sim.in_way.sent, 3);
    CHECK_EQ_INT(r->sim.in_way.count, 0);
    range_until(r, 0);
    CHECK_EQ_INT(r->count, 7);
    range_free(r);
}

TEST(what_is_freed_on_its_way_did_not_arrive) {
    range *r = range_new();
    range_begin(r);
    wisp_simulator_set(&r->sim, "lat=100 rate=1k queue=1M");
    for (int i = 0; i < 10; i++) range_send(r, 100);
    range_until(r, 0.35);
    wisp_simulator_free(&r->sim);
    CHECK_EQ_INT(r->sim.out_way.arrived, 2);
    CHECK_EQ_INT(r->sim.out_way.count, 0);
    range_send(r, 100);                                    /* and it can be used on */
    range_free(r);
}

static int links_endless(void *user, wisp_packet *packets, int count) {
    (void)user;
    for (int i = 0; i < count; i++) packets[i].size = 10;
    return count;
}

static int links_broken(void *user, wisp_packet *packets, int count) {
    (void)user;
    (void)packets;
    (void)count;
    return WISP_E_LINK;
}

TEST(an_endless_flood_and_a_broken_link_are_told_apart) {
    wisp_simulator sim;
    wisp_link inner, link;
    uint8_t bytes[2][100];
    wisp_packet packets[2];
    memset(&sim, 0, sizeof sim);
    memset(&inner, 0, sizeof inner);
    inner.send = links_endless;
    inner.recv = links_endless;
    link = wisp_simulate(&sim, inner);
    for (int i = 0; i < 2; i++) {
        packets[i].data = bytes[i];
        packets[i].size = 100;
    }
    sim.in.loss = 1;
    CHECK_EQ_INT(link.recv(link.user, packets, 2), 0);
    CHECK(sim.in_way.sent > 100 && sim.in_way.sent < 10000);
    sim.in.loss = 0;
    CHECK_EQ_INT(link.recv(link.user, packets, 2), 2);
    CHECK_EQ_INT(packets[0].size, 10);
    wisp_simulator_free(&sim);
    memset(&sim, 0, sizeof sim);
    inner.recv = links_broken;
    link = wisp_simulate(&sim, inner);
    CHECK_EQ_INT(link.recv(link.user, packets, 2), WISP_E_LINK);
    CHECK_EQ_INT(link.recv(link.user, packets, 0), 0);
    wisp_simulator_free(&sim);
}

/* --- sessions --- */

static int links_count_named(const world *w, const char *name, int64_t *sum) {
    int count = 0;
    for (int i = 0; i < w->note_count; i++) {
        if (strcmp(w->notes[i].name, name)) continue;
        count++;
        if (sum) *sum += w->notes[i].number;
    }
    return count;
}

/* Flipped bits are caught by the tag; the packets count as lost and are sent again. */
TEST(a_session_survives_corruption) {
    for (int seed = 0; seed < 5; seed++) {
        world w;
        wisp *server, *client;
        wisp_peer peer;
        wisp_total_stats stats[2];
        int64_t sum = 0;
        world_open(&w);
        w.bad = true;
        w.net.seed = (uint64_t)seed;
        wisp_simulator_set(&w.net, "lat=20");
        server = world_add(&w);
        client = world_add(&w);
        peer = world_join(&w, client, server);
        wisp_simulator_set(&w.sims[1], "corrupt=10");
        world_watch(&w, server, "hp");
        for (int i = 0; i < 300; i++) {
            CHECK_EQ_INT(wisp_fire(client, "hp", peer, wisp_int(i)), WISP_OK);
            world_step(&w);
        }
        world_run(&w, 5);
        CHECK_EQ_INT(links_count_named(&w, "hp", &sum), 300);
        CHECK_EQ_INT(sum, 300 * 299 / 2);
        wisp_stats_total(server, &stats[0]);
        wisp_stats_total(client, &stats[1]);
        CHECK(stats[0].packets_bad_tag + stats[0].packets_foreign > 0);
        CHECK(w.sims[1].in_way.corrupted > 0 && w.sims[1].out_way.corrupted > 0);
        CHECK_EQ_INT(stats[0].packets_malformed + stats[1].packets_malformed, 0);
        CHECK_EQ_INT(wisp_peers(server, NULL, 0), 1);
        world_close(&w);
    }
}

/* The link answers AGAIN for three seconds while messages go on, then takes all at once. */
typedef struct links_gate { wisp_link inner; bool shut; int refused; } links_gate;

static int links_gate_send(void *user, wisp_packet *packets, int count) {
    links_gate *gate = (links_gate *)user;
    if (!gate->shut) return gate->inner.send(gate->inner.user, packets, count);
    for (int i = 0; i < count; i++) packets[i].status = WISP_E_AGAIN;
    gate->refused += count;
    return count;
}

static int links_gate_recv(void *user, wisp_packet *packets, int count) {
    links_gate *gate = (links_gate *)user;
    return gate->inner.recv(gate->inner.user, packets, count);
}

TEST(a_link_that_is_shut_for_seconds_then_takes_a_flood) {
    for (int simulated = 0; simulated < 2; simulated++)
        for (int seed = 0; seed < 3; seed++) {
            world w;
            links_gate gate;
            wisp *server, *client;
            wisp_peer peer;
            wisp_simulator sim;
            wisp_peer_stats stats;
            int fired = 0, most = 0;
            world_open(&w);
            w.desc.seed = (uint64_t)seed * 10 + 1;
            memset(&gate, 0, sizeof gate);
            memset(&sim, 0, sizeof sim);
            server = world_add(&w);
            w.desc.seed++;
            client = world_add(&w);
            gate.inner = client->peers.post.link;
            client->peers.post.link.send = links_gate_send;
            client->peers.post.link.recv = links_gate_recv;
            client->peers.post.link.user = &gate;
            if (simulated) client->peers.post.link = wisp_simulate(&sim, client->peers.post.link);
            peer = world_join(&w, client, server);
            wisp_simulator_set(&sim, "lat=30 jit=10");
            world_watch(&w, server, "hp");
            for (int i = 0; i < 800; i++) {
                gate.shut = i >= 200 && i < 500;
                if (wisp_fire(client, "hp", peer, wisp_int(i)) == WISP_OK) fired++;
                sim.now = w.now;
                world_step(&w);
                wisp_stats_peer(client, peer, &stats);
                if (stats.memory > most) most = stats.memory;
            }
            for (int i = 0; i < 500; i++) {
                sim.now = w.now;
                world_step(&w);
            }
            CHECK(gate.refused > 0);
            CHECK_EQ_INT(fired, 800);
            CHECK_EQ_INT(links_count_named(&w, "hp", NULL), 800);
            CHECK_EQ_INT(wisp_peers(client, NULL, 0), 1);
            CHECK(most < 1 << 20);
            world_close(&w);
            wisp_simulator_free(&sim);
        }
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
    CASE(the_simulator_repeats_the_members_of_a_network),
    CASE(each_setting_has_its_effect_either_way),
    CASE(a_prefix_sets_one_way_and_leaves_the_other),
    CASE(old_members_are_those_of_the_way_out),
    CASE(a_network_sets_all_and_words_after_it_some),
    CASE(a_text_that_cannot_be_read_changes_nothing_and_says_where),
    CASE(random_texts_are_read_or_refused),
    CASE(a_delay_that_changes_concerns_later_packets),
    CASE(a_queue_goes_on_at_a_new_rate_and_keeps_its_order),
    CASE(a_faster_rate_is_not_paid_for_the_past),
    CASE(fates_do_not_depend_on_how_often_the_link_is_used),
    CASE(the_way_in_is_bounded_and_gives_its_memory_back),
    CASE(a_perfect_way_in_takes_no_more_than_it_is_asked_for),
    CASE(what_is_freed_on_its_way_did_not_arrive),
    CASE(an_endless_flood_and_a_broken_link_are_told_apart),
    CASE(a_session_survives_corruption),
    CASE(a_link_that_is_shut_for_seconds_then_takes_a_flood),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
