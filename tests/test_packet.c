/* Packet numbers, acks, round trip times and loss. The figures that are checked are worked out by
   hand from RFC 9002, section by section. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

#include <math.h>
#include "support/values_and_memory.h"
#include "support/simulated_endpoints.h"
#include "support/packet_party.h"
#include "support/bottleneck.h"

/* Where counters of 16, 31, 32 bits and of the window turn over. */
static const uint64_t edges[] = {
    1, 63, 64, 0x3ff, 0x400, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000u, 0xffffffffu,
    UINT64_C(0x100000000), UINT64_C(0x7fffffffff)
};
enum { EDGES = (int)(sizeof edges / sizeof *edges) };

/* A number a little before an edge, but a real one. */
static uint64_t edge_before(int i, uint64_t by) { return edges[i] > by ? edges[i] - by : 1; }

/* --- numbers --- */

TEST(a_number_travels_in_its_low_bits_over_every_wrap) {
    for (int e = 0; e < EDGES; e++) {
        packet_party p;
        uint64_t first = edge_before(e, 5);
        party_start(&p, 1);
        p.flow.top = first;
        for (uint64_t n = first + 1; n < first + 12; n++) {
            CHECK_EQ_INT(wisp__flow_number(&p.flow, n & 0xffff), n);
            CHECK_EQ_INT(wisp__flow_number(&p.flow, (n + 0x7ff0) & 0xffff), n + 0x7ff0);
            party_take(&p, n, 0);
        }
        party_end(&p);
    }
}

TEST(a_leap_of_8192_numbers_is_taken_and_one_more_is_not) {
    for (int e = 0; e < EDGES; e++) {
        packet_party p;
        uint64_t top = edge_before(e, 5);
        party_start(&p, 1);
        CHECK(!wisp__flow_leaps(&p.flow, WISP_FIRST_NUMBER - 1 + 8192));
        CHECK(wisp__flow_leaps(&p.flow, WISP_FIRST_NUMBER + 8192));
        wisp__flow_note(&p.flow, top, 0);
        CHECK(!wisp__flow_leaps(&p.flow, top + 1) && !wisp__flow_leaps(&p.flow, top + 8192));
        CHECK(wisp__flow_leaps(&p.flow, top + 8193) && wisp__flow_leaps(&p.flow, top + 0x7fff));
        wisp__flow_note(&p.flow, top + 8192, 0);
        CHECK(!wisp__flow_leaps(&p.flow, top + 2 * 8192));
        party_end(&p);
    }
}

/* Nothing is sent that the other end would take for a leap, but for probes. */
TEST(numbers_end_where_a_leap_begins) {
    packet_party p;
    party_start(&p, 1);
    party_send(&p, 0);
    acks_one(&p, 1, 1, 0.1);
    p.flow.pace_tokens = 1e6;
    p.flow.next = 1 + 8192 - 64;
    CHECK(wisp__flow_may_number(&p.flow) && wisp__flow_may_send(&p.base, &p.flow));
    p.flow.next++;
    CHECK(!wisp__flow_may_number(&p.flow) && !wisp__flow_may_send(&p.base, &p.flow));
    p.flow.free_packets = 1;
    CHECK(wisp__flow_may_send(&p.base, &p.flow));
    p.flow.largest_acked = 2;
    CHECK(wisp__flow_may_number(&p.flow));
    party_end(&p);
}

/* --- numbers that are left out --- */

/* Sends until a number is left out; returns it. */
static uint64_t party_skip(packet_party *p, wisp__secret *secret) {
    unsigned before = p->flow.skip_count;
    for (int i = 0; i < 600 && p->flow.skip_count == before; i++) {
        uint64_t number = party_send_bytes(p, 0, 10);
        wisp__flow_skip(&p->flow, secret);
        if (p->flow.skip_count == before) CHECK_EQ_INT(p->flow.next, number + 1);
        if (i % 200 == 199) acks_one(p, number, 200, 0.1);
    }
    CHECK_EQ_INT(p->flow.skip_count, before + 1);
    return p->flow.next - 1;
}

TEST(a_number_is_left_out_every_128_to_383_packets) {
    wisp__secret secret = { { 5, 6 }, 0 };
    uint64_t last = 0, distances[30];
    int equal = 0;
    packet_party p;
    party_start(&p, 1);
    for (int i = 0; i < 30; i++) {
        uint64_t number = party_skip(&p, &secret);
        distances[i] = number - last;
        CHECK(distances[i] > 128 && distances[i] <= 128 + 256 + 1);
        CHECK(wisp__flow_find(&p.flow, number) == NULL);
        acks_one(&p, number - 1, 3, 0.1);
        if (i) equal += distances[i] == distances[i - 1];
        last = number;
    }
    CHECK(equal < 4);
    party_end(&p);
}

TEST(an_ack_of_a_number_that_was_left_out_is_bad) {
    for (int way = 0; way < 4; way++) {
        wisp__secret secret = { { 7, 8 }, 0 };
        uint64_t number;
        wisp__ack_news news;
        packet_party p;
        party_start(&p, 1);
        number = party_skip(&p, &secret);
        if (way == 3) number = party_skip(&p, &secret);
        party_send_many(&p, 0, 5);
        if (way == 0) news = acks_one(&p, number, 1, 0.1);
        else if (way == 1) news = acks_one(&p, number + 2, 3, 0.1);
        else news = acks_one(&p, number + 5, (int)number, 0.1);
        CHECK(news.bad);
        party_end(&p);
    }
}

/* All before the gap has been acked, so that nothing of it is in flight; a range covers it. */
TEST(an_ack_of_a_number_left_out_long_ago_is_bad_too) {
    wisp__secret secret = { { 9, 10 }, 0 };
    uint64_t number;
    packet_party p;
    party_start(&p, 1);
    number = party_skip(&p, &secret);
    CHECK(!acks_one(&p, number - 1, (int)number - 1, 0.1).bad);
    party_send_many(&p, 0, 5);
    CHECK(p.flow.oldest > number);
    CHECK(!acks_one(&p, number + 3, 3, 0.1).bad);
    CHECK(acks_one(&p, number + 4, 5, 0.1).bad);
    party_end(&p);
}

/* Who receives such numbers acks around the gap, and what is behind it is not lost for it. */
TEST(a_number_left_out_is_no_loss) {
    wisp__secret secret = { { 11, 12 }, 0 };
    uint64_t number;
    packet_party a, b;
    acks between;
    party_start(&a, 1);
    party_start(&b, 1);
    number = party_skip(&a, &secret);
    party_send_many(&a, 0, 3);
    for (uint64_t n = 1; n < number + 3; n++)
        if (n != number && n != number - 1) party_take(&b, n, 0.05);
    between = acks_of(&b, 0.05);
    CHECK(!acks_give(&a, &between, 0.1).bad);
    CHECK_EQ_INT(a.flow.largest_acked, number + 2);
    CHECK_EQ_INT(party_fate(&a, number - 1), UNKNOWN);   /* three numbers behind, two packets */
    party_take(&b, number + 3, 0.05);
    between = acks_of(&b, 0.05);
    CHECK(!acks_give(&a, &between, 0.1).bad);
    CHECK_EQ_INT(party_fate(&a, number - 1), LOST);
    CHECK_EQ_INT(a.lost, 1);
    party_end(&a);
    party_end(&b);
}

TEST(what_came_before_is_a_duplicate) {
    for (int e = 0; e < EDGES; e++) {
        packet_party p;
        uint64_t first = edge_before(e, 7);
        party_start(&p, 1);
        for (uint64_t n = first; n < first + 20; n += 2) CHECK(party_take(&p, n, 0));
        for (uint64_t n = first; n < first + 20; n++)
            CHECK_EQ_INT(wisp__flow_is_duplicate(&p.flow, n), (n - first) % 2 == 0);
        for (uint64_t n = first + 1; n < first + 20; n += 2) CHECK(party_take(&p, n, 0));
        for (uint64_t n = first; n < first + 20; n++) CHECK(!party_take(&p, n, 0));
        party_end(&p);
    }
}

TEST(what_is_too_old_to_tell_counts_as_a_duplicate) {
    for (int e = 3; e < EDGES; e++) {
        packet_party p;
        party_start(&p, 1);
        party_take(&p, edges[e], 0);
        party_take(&p, edges[e] + 2000, 0);
        CHECK(wisp__flow_is_duplicate(&p.flow, edges[e]));
        CHECK(wisp__flow_is_duplicate(&p.flow, edges[e] + 2000 - 960));
        for (uint64_t n = edges[e] + 2000 - 959; n < edges[e] + 2000; n++)
            CHECK(!wisp__flow_is_duplicate(&p.flow, n));
        party_end(&p);
    }
}

TEST(a_leap_of_numbers_costs_no_more_than_one_turn_of_the_ring) {
    packet_party p;
    party_start(&p, 1);
    for (uint64_t n = 1; n < UINT64_C(1) << 60; n *= 2) {
        CHECK(party_take(&p, n, 0));
        CHECK(!party_take(&p, n, 0));
    }
    for (int i = 2; i < 900; i++) CHECK(!wisp__flow_seen(&p.flow, p.flow.top - (uint64_t)i));
    party_end(&p);
}

/* --- acks: what was seen is what ends --- */

/* Packets from `first` on, of which the receiver gets those whose bit is set in the pattern. */
static void check_pattern(uint64_t first, unsigned pattern, int bits) {
    packet_party a, b;
    uint64_t top = 0;
    party_start(&a, first);
    party_start(&b, 1);
    b.flow.top = 0;
    party_send_many(&a, 0, bits);
    for (int i = 0; i < bits; i++)
        if (pattern >> i & 1) {
            top = first + (uint64_t)i;
            CHECK(party_take(&b, top, 0.05));
        }
    if (pattern) {
        acks acked = acks_of(&b, 0.05);
        wisp__ack_news news = acks_give(&a, &acked, 0.1);
        CHECK(acked.written && !news.bad);
        CHECK_EQ_INT(news.acked, a.arrived);
        CHECK_EQ_INT(news.lost, a.lost);
    }
    for (int i = 0; i < bits; i++) {
        uint64_t n = first + (uint64_t)i;
        int expect = pattern >> i & 1 ? ARRIVED : n + 3 <= top ? LOST : UNKNOWN;
        CHECK_EQ_INT(party_fate(&a, n), expect);
    }
    party_end(&a);
    party_end(&b);
}

TEST(every_pattern_of_numbers_ends_what_was_seen_and_nothing_else) {
    for (unsigned pattern = 0; pattern < 1u << 11; pattern++) check_pattern(1, pattern, 11);
    for (int e = 1; e < EDGES; e++)
        for (unsigned pattern = 1; pattern < 1u << 9; pattern++)
            check_pattern(edge_before(e, 4), pattern, 9);
}

/* A full window of which a share is lost at random: the acks of it fit one packet, whole. */
TEST(a_full_window_with_random_holes_fits_one_packet) {
    uint64_t seed = 11;
    for (int round = 0; round < 40; round++) {
        packet_party a, b;
        uint64_t first = edge_before(round % EDGES, 500);
        acks acked;
        party_start(&a, first);
        party_start(&b, 1);
        party_send_many(&a, 0, 960);
        for (uint64_t n = first; n < first + 960; n++)
            if (n == first + 959 || test_random_below(&seed, 40) >= round) party_take(&b, n, 0);
        acked = acks_of(&b, 0);
        CHECK(acked.written);
        acks_give(&a, &acked, 0.1);
        for (uint64_t n = first; n < first + 957; n++)
            CHECK_EQ_INT(party_fate(&a, n), wisp__flow_seen(&b.flow, n) ? ARRIVED : LOST);
        party_end(&a);
        party_end(&b);
    }
}

TEST(the_worst_pattern_of_a_full_window_fits_one_packet) {
    packet_party a, b;
    acks acked;
    party_start(&a, 1);
    party_start(&b, 1);
    party_send_many(&a, 0, 960);
    for (uint64_t n = 2; n <= 960; n += 2) party_take(&b, n, 0);
    acked = acks_of(&b, 0);
    CHECK(acked.written);
    if (acked.written) acks_give(&a, &acked, 0.1);
    CHECK_EQ_INT(a.arrived, 480);
    party_end(&a);
    party_end(&b);
}

/* On a link with small packets the newest ranges go, rather than none for ever. */
TEST(acks_that_do_not_all_fit_tell_the_newest) {
    packet_party a, b;
    acks acked;
    party_start(&a, 1);
    party_start(&b, 1);
    b.base.mtu = 256;
    party_send_many(&a, 0, 960);
    for (uint64_t n = 2; n <= 960; n += 2) party_take(&b, n, 0);
    acked = acks_of(&b, 0);
    CHECK(acked.written);
    if (acked.written) acks_give(&a, &acked, 0.1);
    CHECK_EQ_INT(party_fate(&a, 960), ARRIVED);
    CHECK(a.arrived >= 100);
    party_end(&a);
    party_end(&b);
}

/* One of the acks of a long run of packets is lost: whichever it is, nothing is given up. */
TEST(a_lost_ack_loses_nothing_wherever_it_is) {
    for (int drop = 0; drop < 66; drop++) {
        packet_party a, b;
        uint64_t first = edge_before(drop % EDGES, 60);
        int sent_acks = 0;
        party_start(&a, first);
        party_start(&b, 1);
        for (uint64_t n = first; n < first + 132; n++) {
            double now = (double)(n - first) * 0.001;
            party_send(&a, now);
            party_take(&b, n, now);
            if (!wisp__flow_must_ack(&b.flow, now)) continue;
            acks acked = acks_of(&b, now);
            if (sent_acks++ != drop) acks_give(&a, &acked, now);
        }
        CHECK_EQ_INT(sent_acks, 66);
        if (drop == 65) CHECK_EQ_INT(a.arrived, 130);
        else CHECK_EQ_INT(a.arrived, 132);
        CHECK_EQ_INT(a.lost, 0);
        party_end(&a);
        party_end(&b);
    }
}

TEST(seven_lost_acks_in_a_row_lose_nothing) {
    packet_party a, b;
    acks acked;
    party_start(&a, 0xfff8);
    party_start(&b, 1);
    for (uint64_t n = 0xfff8; n < 0xfff8 + 16; n++) {
        party_send(&a, 0);
        party_take(&b, n, 0);
        if (n & 1) acked = acks_of(&b, 0);
    }
    acks_give(&a, &acked, 0.1);
    CHECK_EQ_INT(a.arrived, 16);
    party_end(&a);
    party_end(&b);
}

TEST(acks_may_come_twice_and_in_any_order) {
    packet_party a, b;
    acks kept[20];
    uint64_t seed = 5;
    party_start(&a, 0xffffffe0u);
    party_start(&b, 1);
    for (int i = 0; i < 40; i++) {
        party_send(&a, 0);
        party_take(&b, 0xffffffe0u + (uint64_t)i, 0);
        if (i & 1) kept[i / 2] = acks_of(&b, 0);
    }
    a.flow.rtt = a.flow.rtt_latest = 100;                /* no loss by time */
    acks_give(&a, &kept[19], 0.1);
    for (int i = 0; i < 60; i++) {
        const acks *again = &kept[test_random_below(&seed, 20)];
        CHECK(!acks_give(&a, again, 0.1).bad);
    }
    for (int i = 0; i < 40; i++) CHECK(party_fate(&a, 0xffffffe0u + (uint64_t)i) != TWICE);
    CHECK_EQ_INT(a.arrived + a.lost + (int)(a.flow.in_flight / PACKET), 40);
    party_end(&a);
    party_end(&b);
}

TEST(acks_are_counted_without_end) {
    packet_party a, b;
    party_start(&a, 1);
    party_start(&b, 1);
    b.flow.reported_at = INT32_MAX;
    party_send_many(&a, 0, 6);
    for (uint64_t n = 1; n <= 6; n++) {
        acks acked;
        party_take(&b, n, 0);
        acked = acks_of(&b, 0);
        CHECK(!acks_give(&a, &acked, 0.1).bad);
    }
    CHECK_EQ_INT(a.arrived, 6);
    party_end(&a);
    party_end(&b);
}

/* --- when acks are sent --- */

TEST(every_second_packet_is_acked_at_once_and_a_single_one_soon) {
    packet_party p;
    party_start(&p, 1);
    CHECK(!wisp__flow_must_ack(&p.flow, 100));
    party_take(&p, 1, 1.0);
    CHECK(!wisp__flow_must_ack(&p.flow, 1.024));
    CHECK_NEAR(wisp__flow_deadline(&p.flow), 1.025, 1e-9);
    CHECK(wisp__flow_must_ack(&p.flow, 1.025));
    party_take(&p, 2, 1.01);
    CHECK(wisp__flow_must_ack(&p.flow, 1.01));
    acks_of(&p, 1.01);
    CHECK(!wisp__flow_must_ack(&p.flow, 100));
    party_end(&p);
}

TEST(a_gap_and_what_fills_it_are_acked_at_once) {
    packet_party p;
    party_start(&p, 1);
    party_take(&p, 1, 0);
    party_take(&p, 2, 0);
    acks_of(&p, 0);
    party_take(&p, 4, 0);
    CHECK(wisp__flow_must_ack(&p.flow, 0));
    acks_of(&p, 0);
    party_take(&p, 3, 0);
    CHECK(wisp__flow_must_ack(&p.flow, 0));
    party_end(&p);
}

TEST(acks_tell_how_long_the_largest_has_waited) {
    static const double waits[] = { 0, 0.0101, 0.1273, 0.2, 60 };
    static const int told[] = { 0, 20, 254, 255, 255 };
    for (int i = 0; i < 5; i++) {
        packet_party p;
        acks a;
        wisp__reader from;
        party_start(&p, 1);
        party_take(&p, 9, 1);
        a = acks_of(&p, 1 + waits[i]);
        from = wisp__reader_on(a.bytes, 8);
        CHECK_EQ_INT(wisp__get(&from, 16), 9);
        CHECK_EQ_INT(wisp__get(&from, 8), told[i]);
        party_end(&p);
    }
}

/* --- hostile acks --- */

TEST(acks_of_numbers_never_sent_are_bad_and_end_nothing) {
    for (int e = 0; e < EDGES; e++) {
        packet_party p;
        uint64_t first = edge_before(e, 2);
        party_start(&p, first);
        party_send_many(&p, 0, 5);
        CHECK(acks_one(&p, first + 5, 1, 0.1).bad);
        CHECK(acks_one(&p, first + 5, 6, 0.1).bad);
        CHECK(acks_one(&p, first + 1000, 1, 0.1).bad);
        CHECK(acks_one(&p, first + 0x7000, 1, 0.1).bad);
        CHECK_EQ_INT(p.arrived + p.lost, 0);
        CHECK_EQ_INT(p.flow.largest_acked, 0);
        CHECK(!acks_one(&p, first + 4, 5, 0.1).bad);
        CHECK_EQ_INT(p.arrived, 5);
        party_end(&p);
    }
}

/* A session that has sent nothing but acks tracks no packet at all. */
TEST(acks_before_anything_was_tracked_end_nothing) {
    packet_party p;
    party_start(&p, 1);
    p.flow.next = 6;
    CHECK(!acks_one(&p, 5, 5, 0.1).bad);
    CHECK_EQ_INT(p.arrived + p.lost, 0);
    CHECK_EQ_INT(p.flow.oldest, 6);
    party_end(&p);
}

TEST(ranges_below_the_first_number_are_bad) {
    static const int most = (1 << 28) - 1;
    int ranges[2][2];
    packet_party p;
    party_start(&p, 1);
    party_send_many(&p, 0, 5);
    CHECK(acks_one(&p, 5, 6, 0.1).bad);
    CHECK(acks_one(&p, 5, most, 0.1).bad);
    CHECK_EQ_INT(p.arrived, 0);
    ranges[0][0] = 0;
    ranges[0][1] = 2;
    ranges[1][0] = 3;
    ranges[1][1] = 1;
    CHECK(acks_claim(&p, 5, 0, (const int (*)[2])ranges, 2, 0.1).bad);
    ranges[1][0] = most;
    CHECK(acks_claim(&p, 5, 0, (const int (*)[2])ranges, 2, 0.1).bad);
    party_end(&p);
}

/* Counts of a quarter of a billion, over and over: this test would not end if each were a loop. */
TEST(huge_counts_take_bounded_work) {
    static const int most = (1 << 28) - 1;
    int ranges[150][2];
    packet_party p;
    party_start(&p, UINT64_C(1) << 40);
    for (int i = 0; i < 150; i++) ranges[i][0] = ranges[i][1] = most;
    for (int round = 0; round < 200; round++) {
        party_send_many(&p, 0, 2);
        CHECK(!acks_claim(&p, p.flow.next - 1, 0, (const int (*)[2])ranges, 150, 0.1).bad);
        CHECK_EQ_INT(p.flow.in_flight, 0);
    }
    CHECK_EQ_INT(p.arrived, 400);
    party_end(&p);
}

TEST(more_ranges_than_a_window_can_have_are_bad) {
    static int ranges[WISP__MOST_RANGES + 1][2];
    packet_party p;
    for (int i = 0; i <= WISP__MOST_RANGES; i++) ranges[i][0] = ranges[i][1] = 1;
    party_start(&p, 5000);
    party_send_many(&p, 0, 3);
    CHECK(!acks_claim(&p, 5002, 0, (const int (*)[2])ranges, WISP__MOST_RANGES, 0.1).bad);
    CHECK(acks_claim(&p, 5002, 0, (const int (*)[2])ranges, WISP__MOST_RANGES + 1, 0.1).bad);
    party_end(&p);
}

TEST(acks_cut_short_anywhere_are_bad_and_tell_nothing_twice) {
    packet_party b;
    acks whole;
    party_start(&b, 1);
    for (uint64_t n = 0x10000; n < 0x10000 + 600; n += 3) party_take(&b, n, 0);
    whole = acks_of(&b, 0);
    for (int64_t bits = 0; bits < whole.bits; bits += 5) {
        packet_party a;
        wisp__reader from = wisp__reader_on(whole.bytes, (int)((whole.bits + 7) / 8));
        party_start(&a, 0x10000);
        party_send_many(&a, 0, 600);
        from.end = bits;
        CHECK(wisp__flow_get_acks(&a.base, &a.flow, &from, 0.1, party_told, &a).bad);
        for (int i = 0; i < FATES; i++) CHECK(a.fate[i] != TWICE);
        party_end(&a);
    }
    party_end(&b);
}

TEST(acks_of_random_bytes_keep_the_books) {
    uint64_t seed = 3;
    for (int round = 0; round < 3000; round++) {
        packet_party p;
        uint8_t bytes[64];
        wisp__reader from = wisp__reader_on(bytes, 64);
        uint64_t top;
        party_start(&p, edges[round % EDGES]);
        party_send_many(&p, 0, 40);
        low_random_bytes(&seed, bytes, 64);
        top = p.flow.next - 1 - (uint64_t)test_random_below(&seed, 20);
        bytes[0] = (uint8_t)top;
        bytes[1] = (uint8_t)(top >> 8);
        wisp__flow_get_acks(&p.base, &p.flow, &from, 0.1, party_told, &p);
        CHECK_EQ_INT(p.arrived + p.lost + p.flow.in_flight / PACKET, 40);
        party_end(&p);
    }
}

/* --- round trip: RFC 9002, 5 --- */

TEST(before_any_sample_the_round_trip_is_a_third_of_a_second) {
    packet_party p;
    party_start(&p, 1);
    p.flow.top = 1;
    CHECK_NEAR(p.flow.rtt, 0.333, 1e-12);
    CHECK_NEAR(p.flow.variation, 0.1665, 1e-12);
    CHECK_NEAR(wisp__flow_pto(&p.flow), 0.333 + 4 * 0.1665 + 0.025, 1e-9);
    party_end(&p);
}

TEST(the_first_sample_replaces_the_guess_whatever_its_delay) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 20);
    CHECK_NEAR(p.flow.rtt, 0.1, 1e-9);
    CHECK_NEAR(p.flow.variation, 0.05, 1e-9);
    CHECK_NEAR(p.flow.rtt_min, 0.1, 1e-9);
    party_end(&p);
}

TEST(later_samples_are_smoothed_less_their_delay) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    rtt_sample(&p, 1, 0.2, 20);     /* 10 ms of delay: 0.19 */
    CHECK_NEAR(p.flow.variation, 0.75 * 0.05 + 0.25 * 0.09, 1e-9);
    CHECK_NEAR(p.flow.rtt, 0.875 * 0.1 + 0.125 * 0.19, 1e-9);
    CHECK_NEAR(p.flow.rtt_min, 0.1, 1e-9);
    party_end(&p);
}

TEST(a_delay_is_not_taken_off_below_the_least_round_trip) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    rtt_sample(&p, 1, 0.109, 20);   /* less 10 ms would be 0.099 */
    CHECK_NEAR(p.flow.rtt, 0.875 * 0.1 + 0.125 * 0.109, 1e-9);
    rtt_sample(&p, 2, 0.04, 20);    /* a new least; it counts as it is */
    CHECK_NEAR(p.flow.rtt_min, 0.04, 1e-9);
    CHECK_NEAR(p.flow.rtt, 0.875 * 0.101125 + 0.125 * 0.04, 1e-9);
    party_end(&p);
}

/* 5.3: an endpoint MUST use the lesser of the delay and max_ack_delay, here 25 ms. */
TEST(a_delay_counts_as_at_most_what_acks_may_be_delayed) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    rtt_sample(&p, 1, 0.2, 200);    /* it says 100 ms */
    CHECK_NEAR(p.flow.rtt, 0.875 * 0.1 + 0.125 * 0.175, 1e-9);
    CHECK_NEAR(p.flow.variation, 0.75 * 0.05 + 0.25 * 0.075, 1e-9);
    party_end(&p);
}

TEST(only_a_largest_that_is_newly_acked_is_a_sample) {
    packet_party p;
    party_start(&p, 1);
    party_send_many(&p, 0, 3);
    acks_one(&p, 3, 1, 0.1);
    CHECK_NEAR(p.flow.rtt, 0.1, 1e-9);
    acks_one(&p, 3, 3, 5.0);        /* 1 and 2 are new, 3 is not */
    CHECK_NEAR(p.flow.rtt, 0.1, 1e-9);
    CHECK_NEAR(p.flow.rtt_min, 0.1, 1e-9);
    party_end(&p);
}

TEST(only_the_largest_of_several_ranges_is_a_sample) {
    static const int ranges[2][2] = { { 0, 1 }, { 1, 1 } };
    packet_party p;
    party_start(&p, 1);
    party_send(&p, 0);
    party_send(&p, 1.0);
    party_send(&p, 1.0);
    acks_claim(&p, 3, 0, ranges, 2, 1.1);
    CHECK_EQ_INT(p.arrived, 2);
    CHECK_NEAR(p.flow.rtt, 0.1, 1e-9);
    party_send_many(&p, 2.0, 3);                    /* 4 5 6 */
    acks_one(&p, 6, 1, 2.1);
    acks_claim(&p, 6, 0, ranges, 2, 2.15);          /* 4 is new, the largest is not */
    CHECK_EQ_INT(p.arrived, 4);
    CHECK_NEAR(p.flow.rtt_latest, 0.1, 1e-9);
    party_end(&p);
}

TEST(a_packet_of_acks_alone_is_no_sample) {
    packet_party p;
    party_start(&p, 1);
    party_send(&p, 0);
    p.flow.next++;                  /* a packet that nobody need ack */
    acks_one(&p, 2, 1, 0.1);
    CHECK(!p.flow.has_rtt);
    CHECK_EQ_INT(p.flow.largest_acked, 2);
    party_end(&p);
}

/* --- loss: RFC 9002, 6.1 --- */

TEST(three_numbers_behind_is_lost) {
    for (int e = 0; e < EDGES; e++) {
        packet_party p;
        uint64_t first = edge_before(e, 3);
        wisp__ack_news news;
        party_start(&p, first);
        party_send_many(&p, 0, 6);
        news = acks_one(&p, first + 4, 1, 0.1);
        CHECK_EQ_INT(news.acked, 1);
        CHECK_EQ_INT(news.lost, 2);
        for (uint64_t n = first; n < first + 6; n++)
            CHECK_EQ_INT(party_fate(&p, n), n < first + 2 ? LOST : n == first + 4 ? ARRIVED : 0);
        CHECK_EQ_INT(p.flow.in_flight, 3 * PACKET);
        party_end(&p);
    }
}

TEST(nine_eighths_of_a_round_trip_behind_is_lost) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.08, 0);                     /* 9/8 of it: 0.09 */
    party_send(&p, 1.0);                            /* 2 */
    party_send(&p, 1.005);                          /* 3 */
    CHECK_EQ_INT(acks_one(&p, 3, 1, 1.085).lost, 0);
    CHECK_NEAR(p.flow.loss_time, 1.09, 1e-9);
    CHECK_NEAR(wisp__flow_deadline(&p.flow), 1.09, 1e-9);
    CHECK_EQ_INT(wisp__flow_detect_loss(&p.base, &p.flow, 1.0899, party_told, &p), 0);
    CHECK_EQ_INT(wisp__flow_detect_loss(&p.base, &p.flow, 1.0901, party_told, &p), 1);
    CHECK_EQ_INT(party_fate(&p, 2), LOST);
    CHECK(p.flow.loss_time >= WISP__NEVER);
    party_end(&p);
}

TEST(the_time_threshold_takes_the_larger_of_smoothed_and_latest) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.08, 0);
    party_send(&p, 1.0);
    party_send(&p, 1.0);
    acks_one(&p, 3, 1, 1.16);                       /* latest: 0.16 */
    CHECK_EQ_INT(p.lost, 0);
    CHECK_NEAR(p.flow.loss_time, 1.0 + 0.16 * 1.125, 1e-9);
    party_end(&p);
}

TEST(the_time_threshold_is_at_least_a_millisecond) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.0001, 0);
    party_send(&p, 1.0);
    party_send(&p, 1.0);
    acks_one(&p, 3, 1, 1.0002);
    CHECK_NEAR(p.flow.loss_time, 1.001, 1e-9);
    party_end(&p);
}

TEST(nothing_sent_after_the_largest_acked_is_lost) {
    packet_party p;
    party_start(&p, 1);
    party_send_many(&p, 0, 8);
    acks_one(&p, 4, 4, 0.05);
    CHECK_EQ_INT(wisp__flow_detect_loss(&p.base, &p.flow, 1000, party_told, &p), 0);
    CHECK_EQ_INT(p.flow.in_flight, 4 * PACKET);
    party_end(&p);
}

/* --- probe timeout: RFC 9002, 6.2 --- */

TEST(the_probe_timeout_is_made_of_round_trip_variation_and_delay) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    party_send(&p, 2.0);
    party_send(&p, 2.5);
    CHECK_NEAR(wisp__flow_deadline(&p.flow), 2.5 + 0.1 + 4 * 0.05 + 0.025, 1e-9);
    p.flow.variation = 0;                           /* then at least a millisecond */
    CHECK_NEAR(wisp__flow_deadline(&p.flow), 2.5 + 0.1 + 0.001 + 0.025, 1e-9);
    party_end(&p);
}

/* The first packets of a session hold its place at the other end. */
TEST(until_anything_has_come_probes_go_soon) {
    packet_party p;
    party_start(&p, 1);
    party_send(&p, 2.0);
    CHECK_NEAR(wisp__flow_deadline(&p.flow), 2.2, 1e-9);
    for (int i = 0; i < 5; i++) party_probe(&p, 2.2);
    CHECK_NEAR(wisp__flow_pto(&p.flow), 0.2, 1e-9);
    party_end(&p);
}

TEST(without_packets_in_flight_there_is_no_timeout) {
    packet_party p;
    party_start(&p, 1);
    CHECK(wisp__flow_deadline(&p.flow) >= WISP__NEVER);
    rtt_sample(&p, 0, 0.1, 0);
    CHECK(wisp__flow_deadline(&p.flow) >= WISP__NEVER);
    party_end(&p);
}

TEST(each_probe_doubles_the_timeout_and_an_ack_resets_it) {
    packet_party p;
    double period, longest;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    period = wisp__flow_pto(&p.flow);
    longest = p.flow.longest_wait;                  /* several within the timeout of a session */
    CHECK(longest > 3 * period && longest <= p.base.timeout / 4);
    for (int i = 1; i <= 5; i++) {
        party_send_many(&p, i, 3);
        party_probe(&p, i);
        CHECK_NEAR(wisp__flow_pto(&p.flow), wisp__min(period * (1 << i), longest), 1e-9);
    }
    acks_one(&p, p.flow.next - 1, 1, 5.1);
    CHECK_EQ_INT(p.flow.probes, 0);
    party_end(&p);
}

TEST(probes_are_not_held_back_by_window_or_pace) {
    packet_party p;
    party_start(&p, 1);
    party_send_many(&p, 0, 10);
    CHECK(!wisp__flow_may_send(&p.base, &p.flow));
    party_probe(&p, 1);
    p.flow.pace_tokens = -1e6;
    for (int i = 0; i < 2; i++) {
        CHECK(wisp__flow_may_send(&p.base, &p.flow));
        party_send(&p, 1);
    }
    CHECK(!wisp__flow_may_send(&p.base, &p.flow));
    party_end(&p);
}

/* 6.2: a timeout MUST NOT cause prior unacknowledged packets to be marked as lost. What they
   carried goes again, but they stay in flight, and their acks still count. */
TEST(a_probe_does_not_mark_packets_lost) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    party_send_many(&p, 1.0, 2);                    /* 2 and 3 */
    party_probe(&p, 1.4);
    CHECK_EQ_INT(p.lost, 2);                        /* sent anew */
    CHECK_EQ_INT(p.flow.in_flight, 2 * PACKET);
    CHECK_EQ_INT(acks_one(&p, 3, 2, 1.5).acked, 2); /* they were only late */
    CHECK_EQ_INT(p.flow.probes, 0);
    CHECK_EQ_INT(p.flow.in_flight, 0);
    CHECK_NEAR(p.flow.rtt_latest, 0.5, 1e-9);
    party_end(&p);
}

/* What was sent anew is not lost once more when its first packet is given up. */
TEST(a_probed_packet_that_is_lost_is_told_once) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    party_send_many(&p, 1.0, 3);                    /* 2 3 4 */
    party_probe(&p, 1.4);
    party_send_many(&p, 1.4, 4);                    /* 5 6 7 8 */
    CHECK_EQ_INT(acks_one(&p, 8, 1, 1.5).lost, 4);
    for (uint64_t n = 2; n <= 5; n++) CHECK_EQ_INT(party_fate(&p, n), LOST);
    CHECK_EQ_INT(p.lost, 4);
    CHECK_EQ_INT(p.flow.in_flight, 2 * PACKET);
    party_end(&p);
}

TEST(consecutive_probes_send_different_packets_anew) {
    packet_party p;
    party_start(&p, 1);
    party_send_many(&p, 0, 6);
    for (int i = 1; i <= 3; i++) {
        party_probe(&p, i);
        for (uint64_t n = 1; n <= 6; n++)
            CHECK_EQ_INT(party_fate(&p, n), n <= (uint64_t)(2 * i) ? LOST : UNKNOWN);
    }
    party_probe(&p, 9);                             /* nothing is left; a ping will do */
    CHECK_EQ_INT(p.lost, 6);
    CHECK_EQ_INT(p.flow.in_flight, 6 * PACKET);
    party_end(&p);
}

/* Nothing is acked for ever: probes go on, within the packets that can be tracked. */
TEST(probes_go_on_when_no_more_packets_can_be_tracked) {
    for (int packets = 1; packets <= 64; packets *= 2) {
        packet_party p;
        party_start(&p, 0xfffffff0u);
        p.base.limits.window_packets = packets;
        for (int i = 0; i < 200; i++) {
            party_probe(&p, i);
            CHECK(wisp__flow_may_send(&p.base, &p.flow));
            party_send(&p, i);
            wisp__flow_check(&p.flow);
            CHECK(p.flow.next - p.flow.oldest <= (uint64_t)packets);
        }
        for (uint64_t i = 0; i < 190; i++) CHECK(party_fate(&p, 0xfffffff0u + i) != TWICE);
        party_end(&p);
    }
}

/* 6.2.1: the probe timer MUST NOT be set if a timer is set for loss by time. */
TEST(while_loss_by_time_is_awaited_there_is_no_probe_timeout) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.01, 0);
    party_send(&p, 1.0);
    party_send(&p, 1.0);
    acks_one(&p, 3, 1, 3.0);
    p.flow.variation = 0.1;                         /* a latest round trip that stands out */
    CHECK_EQ_INT(p.lost, 0);
    CHECK_NEAR(p.flow.loss_time, 1.0 + 2.0 * 1.125, 1e-9);
    CHECK(1.0 + wisp__flow_pto(&p.flow) < p.flow.loss_time);
    CHECK_NEAR(wisp__flow_deadline(&p.flow), p.flow.loss_time, 1e-9);
    party_end(&p);
}

/* --- what packets carry --- */

TEST(a_run_of_one_kind_is_noted_once) {
    packet_party p;
    wisp__ref ref = { 1, 3, 1, 0xfffffff0u };
    party_start(&p, 1);
    CHECK(wisp__flow_reserve(&p.base, &p.flow));
    for (int i = 0; i < 40; i++, ref.number++) {
        CHECK(wisp__flow_reserve_refs(&p.base, &p.flow, 2));
        wisp__flow_carry(&p.flow, 0, ref);
    }
    CHECK_EQ_INT(p.flow.ref_next, 1);
    CHECK_EQ_INT(p.flow.refs[0].count, 40);
    ref.channel = 4;
    wisp__flow_carry(&p.flow, 0, ref);
    ref.number += 5;
    CHECK(wisp__flow_reserve_refs(&p.base, &p.flow, 2));
    wisp__flow_carry(&p.flow, 0, ref);
    CHECK_EQ_INT(p.flow.ref_next, 3);
    wisp__flow_carry(&p.flow, 3, ref);              /* another packet: nothing is joined to it */
    CHECK_EQ_INT(p.flow.ref_next, 4);
    p.flow.ref_first = p.flow.ref_next;
    party_end(&p);
}

TEST(without_memory_nothing_is_sent_and_nothing_is_lost) {
    packet_party p;
    party_start(&p, 1);
    p.memory.fail_after = 0;
    CHECK(!wisp__flow_may_send(&p.base, &p.flow));
    CHECK(!wisp__flow_reserve_refs(&p.base, &p.flow, 1));
    p.memory.fail_after = LOW_NONE;
    p.flow.window = 100 * PACKET;
    party_send_many(&p, 0, 16);
    p.memory.fail_after = 0;
    CHECK(!wisp__flow_reserve(&p.base, &p.flow));   /* the ring cannot grow */
    p.memory.fail_after = LOW_NONE;
    acks_one(&p, 16, 16, 0.1);
    CHECK_EQ_INT(p.arrived, 16);
    party_end(&p);
}

/* Packets with nothing but acks take numbers and no place: a packet that waits for its ack keeps
   its own, however many of them go meanwhile. */
TEST(numbers_of_packets_that_are_not_kept_cost_no_other_its_place) {
    for (int between = 1; between < 900; between += 31) {
        packet_party p;
        uint64_t first;
        party_start(&p, 1);
        p.flow.window = 100 * PACKET;
        first = party_send(&p, 0);
        for (int i = 0; i < 3; i++) {
            p.flow.next += (uint64_t)between / 3;
            party_send(&p, 0);
        }
        wisp__flow_check(&p.flow);
        if (CHECK(wisp__flow_find(&p.flow, first) != NULL)) acks_one(&p, first, 1, 0.1);
        CHECK_EQ_INT(p.arrived, 1);
        for (uint64_t n = first + 1; n < p.flow.next; n++)
            if (wisp__flow_find(&p.flow, n)) acks_one(&p, n, 1, 0.1);
        CHECK_EQ_INT(p.arrived, 4);
        CHECK_EQ_INT(p.flow.in_flight, 0);
        party_end(&p);
    }
}

/* --- all of it at once --- */

typedef struct storm_packet { uint64_t number; double due; bool flying; } storm_packet;

/* A network that loses, doubles and delays at random; acks are lost as well. */
static void storm(uint64_t seed, uint64_t first) {
    static storm_packet air[512];
    packet_party a, b;
    int taken = 0, sent = 0;
    party_start(&a, first);
    party_start(&b, 1);
    memset(air, 0, sizeof air);
    for (int ms = 0; ms < 4000; ms++) {
        double now = ms * 0.001;
        wisp__congestion_pace(&a.base, &a.flow, now);
        while (sent < 2000 && wisp__flow_may_send(&a.base, &a.flow)) {
            uint64_t n = party_send(&a, now);
            sent++;
            for (int copy = 0; copy < 2; copy++) {
                storm_packet *s = &air[test_random_below(&seed, 512)];
                if (copy ? test_random_below(&seed, 10) : !test_random_below(&seed, 25)) continue;
                s->number = n;
                s->due = now + 0.02 + 0.01 * test_random_unit(&seed);
                s->flying = true;
            }
        }
        for (int i = 0; i < 512; i++) {
            if (!air[i].flying || air[i].due > now) continue;
            air[i].flying = false;
            taken += party_take(&b, air[i].number, now);
        }
        if (wisp__flow_must_ack(&b.flow, now)) {
            acks acked = acks_of(&b, now);
            if (test_random_below(&seed, 5)) CHECK(!acks_give(&a, &acked, now).bad);
        }
        if (now >= a.flow.loss_time)
            wisp__flow_detect_loss(&a.base, &a.flow, now, party_told, &a);
        else if (a.flow.in_flight && now >= wisp__flow_deadline(&a.flow))
            party_probe(&a, now);
        wisp__flow_check(&a.flow);
        CHECK(a.flow.window >= 2 * PACKET);
    }
    CHECK(sent > 200);
    CHECK(a.arrived <= taken);
    for (uint64_t n = first; n < first + (uint64_t)sent; n++)
        if (party_fate(&a, n) == ARRIVED) CHECK(wisp__flow_is_duplicate(&b.flow, n));
    party_end(&a);
    party_end(&b);
}

TEST(a_storm_keeps_the_books_over_every_wrap) {
    for (int e = 0; e < EDGES; e++) storm((uint64_t)e + 1, edge_before(e, 400));
}

/* --- one-way traffic --- */

TEST(one_way_traffic_is_acked_in_both_directions) {
    for (int backwards = 0; backwards < 2; backwards++) {
        static world_two t;
        wisp *from, *to;
        wisp_peer peer;
        wisp_peer_stats stats;
        world_two_open(&t);
        from = backwards ? t.server : t.client;
        to = backwards ? t.client : t.server;
        peer = backwards ? t.to_client : t.to_server;
        world_watch(&t.w, to, "n");
        for (int i = 0; i < 600; i++) {
            for (int k = 0; k < 5; k++) {
                CHECK_EQ_INT(world_fire(from, "n", peer, 5 * i + k), WISP_OK);
            }
            world_step(&t.w);
        }
        world_run(&t.w, 0.5);
        CHECK_EQ_INT(world_count(&t.w, to, "n"), 3000);
        CHECK(world_counts_up(&t.w, to, "n", 0));
        stats = world_peer_stats(from, peer);
        CHECK_EQ_INT(stats.in_flight, 0);
        CHECK_EQ_INT(stats.packets_lost, 0);
        CHECK_EQ_INT(stats.messages_resent, 0);
        world_close(&t.w);
    }
}

/* --- sessions that begin just before a wrap --- */

/* Both ends of a fresh session, as if so many packets had gone before. */
static void start_at(world_two *t, uint64_t number) {
    for (int side = 0; side < 2; side++) {
        wisp *w = side ? t->client : t->server;
        wisp_peer peer = side ? t->to_server : t->to_client;
        wisp__session *s = (wisp__session *)wisp__pool_get(&w->peers.pool, peer.id);
        wisp__flow *flow = &s->peer.flow;
        flow->oldest = flow->next = number;
        flow->largest_acked = number - 1;
        flow->ref_first = flow->ref_next = 0xfffffff0u;
        flow->top = number - 1;
        memset(flow->seen, 0, sizeof flow->seen);
        for (int i = 0; i < 8; i++) flow->reported[i] = (uint32_t)number - 1;
        flow->unacked = 0;
        flow->ack_due = WISP__NEVER;
    }
}

TEST(a_session_outlives_every_wrap_of_its_packet_numbers) {
    for (int e = 4; e < EDGES; e++) {
        static world_two t;
        world_open(&t.w);
        t.w.bad = true;
        t.w.net.latency = 0.01;
        t.w.net.jitter = 0.01;
        t.w.net.duplicate = 0.1;
        world_two_join(&t);
        world_run(&t.w, 1.0);
        CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).in_flight, 0);
        CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).in_flight, 0);
        start_at(&t, edges[e] - 50);
        t.w.sims[0].loss = t.w.sims[1].loss = 0.1;
        world_watch(&t.w, t.server, "n");
        for (int i = 0; i < 300; i++) {
            CHECK_EQ_INT(world_fire(t.client, "n", t.to_server, i), WISP_OK);
            world_step(&t.w);
        }
        world_run(&t.w, 4.0);
        CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 300);
        CHECK(world_counts_up(&t.w, t.server, "n", 0));
        CHECK_EQ_INT(world_total(t.server).packets_malformed, 0);
        CHECK_EQ_INT(world_total(t.server).packets_bad_tag, 0);
        world_close(&t.w);
    }
}

/* --- reordered packets: RFC 8985, 6.2 --- */

TEST(after_a_late_ack_numbers_no_longer_tell_losses) {
    packet_party p;
    wisp__ack_news late;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);                      /* 1 */
    party_send_many(&p, 1.0, 30);                   /* 2..31 */
    CHECK_EQ_INT(acks_one(&p, 6, 1, 1.1).lost, 2);  /* 2 and 3 */
    CHECK_NEAR(p.flow.late, 0, 1e-9);
    late = acks_one(&p, 6, 5, 1.13);                /* they were only 30 ms late: they count */
    CHECK(late.acked == 4 && late.bytes == 4 * PACKET && p.flow.control.model.lost == 0);
    CHECK(p.flow.late > 0.02 && p.flow.late < 0.035);
    CHECK_EQ_INT(acks_one(&p, 12, 1, 1.13).lost, 0);
    CHECK(p.flow.loss_time > 1.125 && p.flow.loss_time < 1.15);
    CHECK_EQ_INT(wisp__flow_detect_loss(&p.base, &p.flow, 1.2, party_told, &p), 5);
    party_end(&p);
}

TEST(while_few_are_in_flight_numbers_tell_losses_even_so) {
    packet_party p;
    party_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    p.flow.late = 0.03;
    party_send_many(&p, 1.0, 8);
    CHECK_EQ_INT(acks_one(&p, 8, 1, 1.1).lost, 4);
    party_end(&p);
}

TEST(losses_for_good_end_the_patience) {
    packet_party p;
    party_start(&p, 1);
    p.flow.late = 0.03;
    wisp__flow_count_gone(&p.flow, 200);
    CHECK(p.flow.late > 0);
    wisp__flow_count_gone(&p.flow, 60);
    CHECK_NEAR(p.flow.late, 0, 1e-12);
    party_end(&p);
}

/* What comes after so many acks that they no longer reach down to it is acked all the same. */
TEST(acks_reach_down_to_a_number_that_comes_late) {
    packet_party a, b;
    acks last;
    party_start(&a, 1);
    party_start(&b, 1);
    a.flow.window = 1000 * PACKET;
    party_send_many(&a, 0, 41);
    for (uint64_t n = 2; n <= 41; n++) {
        party_take(&b, n, 0.1);
        acks_of(&b, 0.1);                           /* lost */
    }
    party_take(&b, 1, 0.13);
    for (int i = 0; i < 7; i++) last = acks_of(&b, 0.13);
    acks_give(&a, &last, 0.13);
    CHECK_EQ_INT(party_fate(&a, 1), ARRIVED);
    party_end(&a);
    party_end(&b);
}

static void late_done(wisp_event *event) { *(double *)event->user = wisp_now(event->w); }

/* A megabyte over 60 ms while a part of the packets comes 30 ms late. */
static double late_megabyte(double share, uint64_t seed, double *lost) {
    static uint8_t bytes[1000000];
    wisp_value value = wisp_bytes(bytes, (int)sizeof bytes);
    wisp_peer_stats stats;
    wisp_desc desc;
    bn_net net;
    bn_way *up;
    double start, time = -1;
    bn_open(&net, seed);
    up = bn_way_add(&net);
    up->delay = 0.03;
    memset(&desc, 0, sizeof desc);
    bn_add(&net, &desc, 60, up, NULL);
    bn_add(&net, &desc, 60, bn_way_add(&net), NULL);
    net.ways[1]->delay = 0.03;
    CHECK(bn_join(&net, 1, 0).id != 0);
    bn_run(&net, 0.5);
    up->reorder = share;
    up->late = 0.03;
    wisp_connect_target(bn_wisp(&net, 1), wisp_by_name("mb"), late_done, &time, false);
    start = net.now;
    wisp_fire_values(bn_wisp(&net, 0), "mb", wisp_to_peer(bn_peer(&net, 0, 0)), &value, 1);
    for (int i = 0; i < 300 && time < 0; i++) bn_run(&net, 0.01);
    wisp_stats_peer(bn_wisp(&net, 0), bn_peer(&net, 0, 0), &stats);
    *lost = stats.loss;
    bn_close(&net);
    return time - start;
}

TEST(late_packets_are_not_called_lost) {
    static const double shares[] = { 0.01, 0.05, 0.25 };
    double lost, in_order = late_megabyte(0, 1, &lost);
    CHECK(in_order > 0.2 && in_order < 1);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        double time = late_megabyte(shares[seed % 3], seed, &lost);
        CHECK(time > 0 && time <= 1.5 * in_order);
        CHECK(lost <= 0.03);
    }
}

/* --- lost acks, bursts of losses --- */

typedef struct lossy {
    bn_net net;
    double next, worst, sum;
    int    count, echoes;
} lossy;

static void lossy_on(wisp_event *event) {
    lossy *l = (lossy *)event->user;
    double age = l->net.now - wisp_arg_number(event, 0);
    l->count++;
    l->sum += age;
    if (age > l->worst) l->worst = age;
}

static void lossy_echo(wisp_event *event) {
    wisp_fire_values(event->w, "back", wisp_to_peer(event->peer), event->args, event->count);
}

static void lossy_tick(bn_net *net, int end) {
    lossy *l = (lossy *)net->user;
    for (; end == 1 && net->now >= l->next; l->next += l->echoes ? 0.02 : 1 / 60.0) {
        wisp_value values[2];
        values[0] = wisp_number(net->now);
        values[1] = wisp_bytes("twenty-four bytes of it", 23);
        wisp_fire_values(bn_wisp(net, 1), l->echoes ? "there" : "m",
                         wisp_to_peer(bn_peer(net, 1, 0)), values, l->echoes ? 1 : 2);
    }
}

static void lossy_open(lossy *l, uint64_t seed, double hz) {
    wisp_desc desc;
    memset(l, 0, sizeof *l);
    memset(&desc, 0, sizeof desc);
    bn_open(&l->net, seed);
    l->net.user = l;
    for (int i = 0; i < 2; i++) {
        bn_way *way = bn_way_add(&l->net);
        way->delay = 0.05;
        bn_add(&l->net, &desc, hz, way, NULL);
    }
    wisp_connect_target(bn_wisp(&l->net, 0), wisp_by_name("m"), lossy_on, l, false);
    wisp_connect_target(bn_wisp(&l->net, 1), wisp_by_name("back"), lossy_on, l, false);
    wisp_connect_target(bn_wisp(&l->net, 0), wisp_by_name("there"), lossy_echo, l, false);
}

static bool lossy_drop(bn_net *net, void *user, int from, const void *data, int size) {
    (void)user;
    (void)from;
    (void)data;
    return size < 34 && bn_chance(net) < 0.6;
}

TEST(when_only_acks_are_lost_messages_are_on_time) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        lossy l;
        lossy_open(&l, seed, 60);
        CHECK(bn_join(&l.net, 1, 0).id != 0);
        bn_run(&l.net, 0.5);
        l.net.ways[0]->drop = lossy_drop;
        l.next = l.net.now;
        l.net.tick = lossy_tick;
        bn_run(&l.net, 20);
        CHECK(l.count > 1150);
        CHECK(l.sum / l.count < 0.09 && l.worst < 0.5);
        bn_close(&l.net);
    }
}

TEST(bursts_of_losses_end_no_session) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        lossy l;
        lossy_open(&l, seed, 20);
        for (int i = 0; i < 2; i++) {
            l.net.ways[i]->loss = 0.2;
            l.net.ways[i]->burst = 3;
        }
        CHECK(bn_join(&l.net, 1, 0).id != 0);
        bn_run(&l.net, 60);
        CHECK(bn_peer(&l.net, 0, 0).id != 0 && bn_peer(&l.net, 1, 0).id != 0);
        bn_close(&l.net);
    }
}

/* KCP's simulator: a round trip of 60 to 125 ms in order, 5% lost each way, an echo each 20 ms. */
TEST(echoes_return_soon_under_loss) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        lossy l;
        lossy_open(&l, seed, 100);
        CHECK(bn_join(&l.net, 1, 0).id != 0);
        bn_run(&l.net, 0.5);
        for (int i = 0; i < 2; i++) {
            l.net.ways[i]->delay = 0.03;
            l.net.ways[i]->jitter = 0.0325;
            l.net.ways[i]->in_order = true;
            l.net.ways[i]->loss = 0.05;
        }
        l.echoes = 1;
        l.next = l.net.now;
        l.net.tick = lossy_tick;
        bn_run(&l.net, 20);
        l.net.tick = NULL;
        bn_run(&l.net, 1);
        CHECK(l.count == 1000 || l.count == 1001);
        CHECK(l.sum / l.count < 0.125);
        if (!CHECK(l.worst < 0.45)) printf("  %.3f\n", l.worst);
        bn_close(&l.net);
    }
}

static const test_case tests[] = {
    CASE(a_number_travels_in_its_low_bits_over_every_wrap),
    CASE(a_leap_of_8192_numbers_is_taken_and_one_more_is_not),
    CASE(numbers_end_where_a_leap_begins),
    CASE(a_number_is_left_out_every_128_to_383_packets),
    CASE(an_ack_of_a_number_that_was_left_out_is_bad),
    CASE(an_ack_of_a_number_left_out_long_ago_is_bad_too),
    CASE(a_number_left_out_is_no_loss),
    CASE(what_came_before_is_a_duplicate),
    CASE(what_is_too_old_to_tell_counts_as_a_duplicate),
    CASE(a_leap_of_numbers_costs_no_more_than_one_turn_of_the_ring),
    CASE(every_pattern_of_numbers_ends_what_was_seen_and_nothing_else),
    CASE(a_full_window_with_random_holes_fits_one_packet),
    CASE(the_worst_pattern_of_a_full_window_fits_one_packet),
    CASE(acks_that_do_not_all_fit_tell_the_newest),
    CASE(a_lost_ack_loses_nothing_wherever_it_is),
    CASE(seven_lost_acks_in_a_row_lose_nothing),
    CASE(acks_may_come_twice_and_in_any_order),
    CASE(acks_are_counted_without_end),
    CASE(every_second_packet_is_acked_at_once_and_a_single_one_soon),
    CASE(a_gap_and_what_fills_it_are_acked_at_once),
    CASE(acks_tell_how_long_the_largest_has_waited),
    CASE(acks_of_numbers_never_sent_are_bad_and_end_nothing),
    CASE(acks_before_anything_was_tracked_end_nothing),
    CASE(ranges_below_the_first_number_are_bad),
    CASE(huge_counts_take_bounded_work),
    CASE(more_ranges_than_a_window_can_have_are_bad),
    CASE(acks_cut_short_anywhere_are_bad_and_tell_nothing_twice),
    CASE(acks_of_random_bytes_keep_the_books),
    CASE(before_any_sample_the_round_trip_is_a_third_of_a_second),
    CASE(the_first_sample_replaces_the_guess_whatever_its_delay),
    CASE(later_samples_are_smoothed_less_their_delay),
    CASE(a_delay_is_not_taken_off_below_the_least_round_trip),
    CASE(a_delay_counts_as_at_most_what_acks_may_be_delayed),
    CASE(only_a_largest_that_is_newly_acked_is_a_sample),
    CASE(only_the_largest_of_several_ranges_is_a_sample),
    CASE(a_packet_of_acks_alone_is_no_sample),
    CASE(three_numbers_behind_is_lost),
    CASE(nine_eighths_of_a_round_trip_behind_is_lost),
    CASE(the_time_threshold_takes_the_larger_of_smoothed_and_latest),
    CASE(the_time_threshold_is_at_least_a_millisecond),
    CASE(nothing_sent_after_the_largest_acked_is_lost),
    CASE(the_probe_timeout_is_made_of_round_trip_variation_and_delay),
    CASE(until_anything_has_come_probes_go_soon),
    CASE(without_packets_in_flight_there_is_no_timeout),
    CASE(each_probe_doubles_the_timeout_and_an_ack_resets_it),
    CASE(probes_are_not_held_back_by_window_or_pace),
    CASE(a_probe_does_not_mark_packets_lost),
    CASE(a_probed_packet_that_is_lost_is_told_once),
    CASE(consecutive_probes_send_different_packets_anew),
    CASE(probes_go_on_when_no_more_packets_can_be_tracked),
    CASE(while_loss_by_time_is_awaited_there_is_no_probe_timeout),
    CASE(a_run_of_one_kind_is_noted_once),
    CASE(without_memory_nothing_is_sent_and_nothing_is_lost),
    CASE(numbers_of_packets_that_are_not_kept_cost_no_other_its_place),
    CASE(a_storm_keeps_the_books_over_every_wrap),
    CASE(one_way_traffic_is_acked_in_both_directions),
    CASE(a_session_outlives_every_wrap_of_its_packet_numbers),
    CASE(after_a_late_ack_numbers_no_longer_tell_losses),
    CASE(while_few_are_in_flight_numbers_tell_losses_even_so),
    CASE(losses_for_good_end_the_patience),
    CASE(acks_reach_down_to_a_number_that_comes_late),
    CASE(late_packets_are_not_called_lost),
    CASE(when_only_acks_are_lost_messages_are_on_time),
    CASE(bursts_of_losses_end_no_session),
    CASE(echoes_return_soon_under_loss)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
