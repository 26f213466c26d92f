/* Congestion: both controllers against the texts that they follow, then sessions on shared links.
   The figures of RFC 9002 are worked out by hand, section by section. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

#include "support/values_and_memory.h"
#include "support/packet_party.h"
#include "support/bottleneck.h"

static void reno_start(packet_party *p, uint64_t first) {
    party_start(p, first);
    p->base.congestion = WISP_CONGESTION_RFC9002;
    wisp__flow_init(&p->base, &p->flow, 0);
    p->flow.next = p->flow.oldest = first;
}

/* --- congestion window: RFC 9002, 7 --- */

/* Sends until the window is full; returns how many went. */
static int fill_window(packet_party *p, double now) {
    int sent = 0;
    p->flow.pace_tokens = 1e9;
    while (sent < 1024 && wisp__flow_may_send(&p->base, &p->flow)) {
        party_send(p, now);
        sent++;
    }
    return sent;
}

TEST(the_initial_window_is_ten_packets_within_the_rfcs_bounds) {
    static const int mtus[] = { 256, 1200, 1472, 1500, 9000, 65000 };
    static const int windows[] = { 2560, 12000, 14720, 14720, 18000, 130000 };
    for (int i = 0; i < 6; i++) {
        packet_party p;
        reno_start(&p, 1);
        p.base.mtu = mtus[i];
        wisp__flow_init(&p.base, &p.flow, 0);
        CHECK_EQ_INT(p.flow.window, windows[i]);
    }
}

TEST(slow_start_doubles_the_window_each_round_trip) {
    packet_party p;
    reno_start(&p, 1);
    for (int packets = 10; packets <= 80; packets *= 2) {
        double now = packets;
        CHECK_EQ_INT(fill_window(&p, now), packets);
        acks_one(&p, p.flow.next - 1, packets, now + 0.1);
    }
    CHECK_EQ_INT(p.flow.window, 160 * PACKET);
    party_end(&p);
}

TEST(congestion_avoidance_adds_one_packet_each_round_trip) {
    packet_party p;
    int window;
    reno_start(&p, 1);
    p.flow.window = p.flow.control.reno.threshold = 20 * PACKET;
    for (int round = 1; round < 6; round++) {
        int sent = fill_window(&p, round);
        window = p.flow.window;
        acks_one(&p, p.flow.next - 1, sent, round + 0.1);
        CHECK(p.flow.window <= window + PACKET);
        CHECK(p.flow.window >= window + PACKET * 9 / 10);
    }
    party_end(&p);
}

/* 7.3.3: at most one maximum datagram size for each congestion window that is acknowledged. */
TEST(small_packets_do_not_grow_the_window_faster) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = p.flow.control.reno.threshold = 100 * PACKET;
    p.flow.limited = true;
    for (int bytes = 0; bytes < 100 * PACKET; bytes += 20)
        wisp__reno_grow(&p.base, &p.flow, 20);
    CHECK(p.flow.window > 100 * PACKET);
    CHECK(p.flow.window <= 101 * PACKET);
    party_end(&p);
}

TEST(a_window_that_is_not_used_does_not_grow) {
    packet_party p;
    reno_start(&p, 1);
    for (int i = 0; i < 100; i++) {
        wisp__congestion_pace(&p.base, &p.flow, i);
        CHECK(wisp__flow_may_send(&p.base, &p.flow));
        rtt_sample(&p, i, 0.1, 0);
    }
    CHECK_EQ_INT(p.flow.window, 10 * PACKET);
    party_end(&p);
}

/* 7.8: who is held back by pacing alone is not short of something to send. */
TEST(a_window_that_pacing_holds_back_grows) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = 100 * PACKET;
    party_send_many(&p, 0, 10);
    CHECK(p.flow.pace_tokens <= 0);
    CHECK(!wisp__flow_may_send(&p.base, &p.flow));
    acks_one(&p, 10, 10, 0.1);
    CHECK_EQ_INT(p.flow.window, 110 * PACKET);
    party_end(&p);
}

TEST(the_window_is_halved_once_per_recovery_period) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = 40 * PACKET;
    party_send_many(&p, 1.0, 30);
    p.flow.limited = true;
    acks_one(&p, 4, 1, 1.1);                        /* 1 is lost */
    CHECK_EQ_INT(p.lost, 1);
    CHECK(p.flow.window <= 20 * PACKET + PACKET && p.flow.window >= 20 * PACKET);
    CHECK_EQ_INT(p.flow.control.reno.threshold, p.flow.window);
    p.flow.window = p.flow.control.reno.threshold = 20 * PACKET;
    acks_one(&p, 12, 1, 1.2);                       /* and more, sent before that */
    acks_one(&p, 30, 1, 1.3);
    CHECK(p.lost > 10);
    CHECK_EQ_INT(p.flow.window, 20 * PACKET);
    acks_one(&p, 30, 3, 1.3);                       /* nothing grows in recovery */
    CHECK_EQ_INT(p.flow.window, 20 * PACKET);
    party_send_many(&p, 2.0, 5);                    /* sent after it began: a new period */
    acks_one(&p, 35, 1, 2.1);
    CHECK_EQ_INT(p.flow.window / PACKET, 10);
    party_end(&p);
}

/* The RFC's pseudocode handles the losses that an ack shows before what it acks. */
TEST(an_ack_that_shows_a_loss_does_not_grow_the_window_first) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = 20 * PACKET;
    p.flow.limited = true;
    party_send_many(&p, 1.0, 20);
    acks_one(&p, 20, 19, 1.1);
    CHECK_EQ_INT(p.lost, 1);
    CHECK_EQ_INT(p.flow.window, 10 * PACKET);
    CHECK_EQ_INT(p.flow.control.reno.threshold, 10 * PACKET);
    party_end(&p);
}

TEST(the_window_never_falls_below_two_packets) {
    packet_party p;
    reno_start(&p, 1);
    for (int i = 0; i < 20; i++) {
        uint64_t first = p.flow.next;
        party_send_many(&p, i + 1, 4);
        acks_one(&p, first + 3, 1, i + 1.05);
        acks_one(&p, first + 3, 3, i + 1.06);
    }
    CHECK_EQ_INT(p.lost, 20);
    CHECK_EQ_INT(p.flow.window, 2 * PACKET);
    party_end(&p);
}

TEST(the_window_never_grows_beyond_the_packets_that_are_tracked) {
    packet_party p;
    reno_start(&p, 1);
    p.base.limits.window_packets = 32;
    for (int i = 0; i < 10; i++) {
        int sent = fill_window(&p, i);
        CHECK(sent <= 32);
        acks_one(&p, p.flow.next - 1, sent, i + 0.1);
    }
    CHECK_EQ_INT(p.flow.window, 32 * PACKET);
    party_end(&p);
}

TEST(a_window_of_few_packets_works) {
    for (int packets = 1; packets <= 8; packets *= 2) {
        packet_party p;
        reno_start(&p, 1);
        p.base.limits.window_packets = packets;
        for (int i = 0; i < 3; i++) {
            int sent = fill_window(&p, i);
            CHECK_EQ_INT(sent, packets);
            if (!sent) break;
            acks_one(&p, p.flow.next - 1, sent, i + 0.1);
        }
        party_end(&p);
    }
}

/* --- persistent congestion: RFC 9002, 7.6 --- */

/* The example of 7.6.3: its PTO is 2 s, so 6 s of loss are persistent; 2 to 8 span 7 s. */
TEST(the_example_of_persistent_congestion_in_the_rfc) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = 100 * PACKET;
    rtt_sample(&p, 0, 0.2, 0);                      /* 1 */
    p.flow.variation = (2.0 - 0.2 - 0.025) / 3;     /* the sample at 12.2 takes a quarter off */
    for (int t = 1; t <= 6; t++) CHECK_EQ_INT(party_send(&p, t), t + 1);
    party_probe(&p, 8);
    CHECK_EQ_INT(party_send(&p, 8), 8);
    party_probe(&p, 12);
    CHECK_EQ_INT(party_send(&p, 12), 9);
    acks_one(&p, 9, 1, 12.2);
    CHECK_NEAR(wisp__flow_pto(&p.flow), 2.0, 1e-9);
    for (uint64_t n = 2; n <= 8; n++) CHECK_EQ_INT(party_fate(&p, n), LOST);
    CHECK_EQ_INT(p.flow.in_flight, 0);
    CHECK_EQ_INT(p.flow.window, 2 * PACKET);
    CHECK(p.flow.control.reno.threshold > p.flow.window);        /* slow start again */
    party_end(&p);
}

/* Losses `apart` seconds, each of them known by the same ack. */
static int window_after_losses(double apart, bool acked_between) {
    packet_party p;
    int window;
    reno_start(&p, 1);
    p.flow.window = 100 * PACKET;
    rtt_sample(&p, 0, 0.1, 0);                      /* three PTOs: 0.975 s */
    party_send(&p, 1.0);                            /* 2 */
    party_send(&p, 1.0 + apart / 2);                /* 3 */
    party_send(&p, 1.0 + apart);                    /* 4 */
    party_send_many(&p, 1.0 + apart, 3);            /* 5 6 7 */
    if (acked_between) {
        static const int ranges[2][2] = { { 0, 1 }, { 3, 1 } };
        acks_claim(&p, 7, 0, ranges, 2, 1.1 + apart);
        CHECK_EQ_INT(party_fate(&p, 3), ARRIVED);
    } else {
        acks_one(&p, 7, 1, 1.1 + apart);
        CHECK_EQ_INT(party_fate(&p, 3), LOST);
    }
    CHECK_EQ_INT(party_fate(&p, 2), LOST);
    CHECK_EQ_INT(party_fate(&p, 4), LOST);
    window = p.flow.window;
    party_end(&p);
    return window;
}

TEST(loss_of_all_for_three_timeouts_is_persistent_congestion) {
    CHECK_EQ_INT(window_after_losses(1.2, false), 2 * PACKET);
    CHECK(window_after_losses(0.5, false) >= 50 * PACKET);
}

TEST(an_ack_between_the_losses_means_no_persistent_congestion) {
    CHECK(window_after_losses(1.2, true) >= 50 * PACKET);
}

TEST(losses_from_before_the_first_sample_are_no_persistent_congestion) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = 100 * PACKET;
    party_send(&p, 0);
    party_send(&p, 2);
    party_send_many(&p, 4, 1);
    party_send_many(&p, 4.05, 4);
    acks_one(&p, 7, 1, 4.1);                        /* the first sample: three PTOs are 0.52 s */
    CHECK_EQ_INT(p.lost, 4);
    CHECK(p.flow.window >= 50 * PACKET);
    party_end(&p);
}

TEST(the_backoff_of_probes_does_not_stretch_persistent_congestion) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.window = 100 * PACKET;
    rtt_sample(&p, 0, 0.1, 0);
    party_send(&p, 1.0);
    party_send(&p, 3.0);
    party_send_many(&p, 3.0, 2);
    p.flow.next++;
    p.flow.next++;
    p.flow.probes = 4;
    acks_one(&p, 7, 1, 3.05);                       /* 7 holds nothing that is acked newly */
    CHECK_EQ_INT(p.lost, 3);
    CHECK_EQ_INT(p.flow.window, 2 * PACKET);
    party_end(&p);
}

/* --- pacing: RFC 9002, 7.7 --- */

TEST(a_burst_is_at_most_the_initial_window) {
    packet_party p;
    int sent = 0;
    reno_start(&p, 1);
    p.flow.window = 200 * PACKET;
    while (sent < 200 && wisp__flow_may_send(&p.base, &p.flow)) {
        party_send(&p, 0);
        sent++;
    }
    CHECK_EQ_INT(sent, 10);
    party_end(&p);
}

TEST(the_pace_is_five_quarters_of_a_window_per_round_trip) {
    packet_party p;
    int sent = 0;
    reno_start(&p, 1);
    rtt_sample(&p, 0, 0.1, 0);
    p.flow.window = 80 * PACKET;
    p.flow.pace_tokens = 0;
    p.flow.pace_time = 1.0;
    for (int ms = 1; ms <= 60; ms++) {
        wisp__congestion_pace(&p.base, &p.flow, 1.0 + ms * 0.001);
        while (wisp__flow_may_send(&p.base, &p.flow)) {
            party_send(&p, 1.0 + ms * 0.001);
            sent++;
        }
    }
    CHECK(sent >= 59 && sent <= 61);                /* 1000 packets per second */
    party_end(&p);
}

TEST(an_idle_second_saves_up_no_more_than_one_burst) {
    packet_party p;
    int sent = 0;
    reno_start(&p, 1);
    rtt_sample(&p, 0, 2.0, 0);                      /* 125 packets per second */
    p.flow.window = 200 * PACKET;
    wisp__congestion_pace(&p.base, &p.flow, 100.0);
    while (sent < 200 && wisp__flow_may_send(&p.base, &p.flow)) {
        party_send(&p, 100.0);
        sent++;
    }
    CHECK_EQ_INT(sent, 10);
    party_end(&p);
}

TEST(a_clock_that_stands_still_gives_no_pace) {
    packet_party p;
    reno_start(&p, 1);
    p.flow.pace_tokens = -5000;
    for (int i = 0; i < 100; i++) wisp__congestion_pace(&p.base, &p.flow, 0);
    CHECK_NEAR(p.flow.pace_tokens, -5000, 1e-9);
    party_end(&p);
}

static const test_case tests[] = {
    CASE(the_initial_window_is_ten_packets_within_the_rfcs_bounds),
    CASE(slow_start_doubles_the_window_each_round_trip),
    CASE(congestion_avoidance_adds_one_packet_each_round_trip),
    CASE(small_packets_do_not_grow_the_window_faster),
    CASE(a_window_that_is_not_used_does_not_grow),
    CASE(a_window_that_pacing_holds_back_grows),
    CASE(the_window_is_halved_once_per_recovery_period),
    CASE(an_ack_that_shows_a_loss_does_not_grow_the_window_first),
    CASE(the_window_never_falls_below_two_packets),
    CASE(the_window_never_grows_beyond_the_packets_that_are_tracked),
    CASE(a_window_of_few_packets_works),
    CASE(the_example_of_persistent_congestion_in_the_rfc),
    CASE(loss_of_all_for_three_timeouts_is_persistent_congestion),
    CASE(an_ack_between_the_losses_means_no_persistent_congestion),
    CASE(losses_from_before_the_first_sample_are_no_persistent_congestion),
    CASE(the_backoff_of_probes_does_not_stretch_persistent_congestion),
    CASE(a_burst_is_at_most_the_initial_window),
    CASE(the_pace_is_five_quarters_of_a_window_per_round_trip),
    CASE(an_idle_second_saves_up_no_more_than_one_burst),
    CASE(a_clock_that_stands_still_gives_no_pace)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
