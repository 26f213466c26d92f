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

/* --- the model: draft-ietf-ccwg-bbr --- */

/* So many packets in flight at a rate, each acked a round trip later, for some slots. */
static void model_run(packet_party *p, double *now, double rate, double rtt, double seconds) {
    double end = *now + seconds, debt = 0;
    uint64_t first = p->flow.next;
    double sent[4096];
    p->base.step = 0.005;
    for (; *now < end; *now += 0.005) {
        while (first < p->flow.next && sent[first & 4095] + rtt <= *now) {
            acks_one(p, first, 1, *now);
            first++;
        }
        p->flow.held = false;
        wisp__congestion_pace(&p->base, &p->flow, *now);
        for (debt += rate * 0.005; debt > PACKET && wisp__flow_may_send(&p->base, &p->flow);
             debt -= PACKET) {
            sent[p->flow.next & 4095] = *now;
            party_send(p, *now);
        }
        p->flow.held = true;
        wisp__congestion_flushed(&p->flow);
    }
}

TEST(the_model_learns_the_rate_and_the_window_of_a_path) {
    packet_party p;
    double now = 0;
    party_start(&p, 1);
    model_run(&p, &now, 500e3, 0.1, 4);
    CHECK(p.flow.delivery_rate > 400e3 && p.flow.delivery_rate < 600e3);
    CHECK(wisp__model_bandwidth(&p.flow) > 450e3 && wisp__model_bandwidth(&p.flow) < 600e3);
    CHECK(p.flow.control.model.phase != WISP__START);
    CHECK(p.flow.window > 55e3 && p.flow.window < 150e3);
    CHECK_NEAR(p.flow.rtt_min, 0.1, 0.006);
    wisp__flow_free(&p.base, &p.flow);
}

TEST(slots_that_the_application_limits_only_raise_the_estimate) {
    packet_party p;
    int before;
    party_start(&p, 1);
    wisp__model_adopt(&p.flow, 300000);
    wisp__model_enter(&p.flow, WISP__CRUISE);
    before = p.flow.control.model.phase;
    for (int i = 0; i < 20; i++) {
        p.flow.slot.app = true;
        p.flow.delivery_rate = 1000;
        wisp__model_slot(&p.flow);
    }
    CHECK_EQ_INT(wisp__model_bandwidth(&p.flow), 300000);
    CHECK_EQ_INT(p.flow.control.model.phase, before);
    p.flow.delivery_rate = 400000;
    wisp__model_slot(&p.flow);
    CHECK_EQ_INT(wisp__model_bandwidth(&p.flow), 400000);
    party_end(&p);
}

TEST(losses_slow_the_model_only_with_a_queue_or_when_they_are_most) {
    for (int way = 0; way < 3; way++) {
        packet_party p;
        party_start(&p, 1);
        p.flow.rtt_min = 0.1;
        p.flow.has_rtt = true;
        wisp__model_adopt(&p.flow, 300000);
        wisp__model_enter(&p.flow, WISP__CRUISE);
        p.flow.slot.rtt = way == 1 ? 0.14 : 0.105;
        p.flow.delivery_rate = 100000;
        p.flow.control.model.acked = 50;
        p.flow.control.model.lost = way == 2 ? 60 : 20;
        wisp__model_slot(&p.flow);
        CHECK_EQ_INT(wisp__model_bandwidth(&p.flow), way ? 100000 : 300000);
        party_end(&p);
    }
}

/* Losses with a queue end the start; then they turn out to be late. */
TEST(losses_that_were_none_begin_the_start_again) {
    packet_party p;
    wisp__model *m;
    party_start(&p, 1);
    m = &p.flow.control.model;
    p.flow.rtt_min = 0.1;
    p.flow.has_rtt = true;
    p.flow.ack_time = 1;
    p.flow.slot.rtt = 0.14;
    p.flow.delivery_rate = 100000;
    m->acked = 50;
    m->lost = 10;
    wisp__model_slot(&p.flow);
    CHECK_EQ_INT(m->phase, WISP__DRAIN);
    for (int i = 0; i < 7; i++) {
        CHECK_EQ_INT(m->phase, WISP__DRAIN);
        wisp__congestion_lost(&p.base, &p.flow, 1.1, -1, 0.9, false);
    }
    CHECK_EQ_INT(m->phase, WISP__START);
    wisp__model_adopt(&p.flow, 100000);
    wisp__congestion_lost(&p.base, &p.flow, 1.1, -1, 0.9, false);
    CHECK_EQ_INT(m->phase, WISP__DRAIN);
    party_end(&p);
}

/* A slot whose packets were all late has a long round trip, but there is no queue. */
TEST(lateness_is_no_queue) {
    packet_party p;
    party_start(&p, 1);
    p.flow.rtt_min = 0.06;
    p.flow.slot.rtt = 0.09;
    CHECK(wisp__model_queued(&p.flow, 0.25));
    p.flow.late = 0.03;
    CHECK(!wisp__model_queued(&p.flow, 0.25));
    party_end(&p);
}

/* Acks that claim as much as they can: what follows is finite and within its bounds. */
TEST(no_acks_make_rates_infinite) {
    packet_party p;
    party_start(&p, 1);
    for (int i = 0; i < 2000; i++) {
        double now = i * 1e-9;
        wisp__congestion_pace(&p.base, &p.flow, now);
        if (!wisp__flow_may_send(&p.base, &p.flow)) p.flow.pace_tokens = 1e6;
        party_send(&p, now);
        acks_one(&p, p.flow.next - 1, 1, now);
        CHECK(p.flow.pace_rate >= 0 && p.flow.pace_rate <= 1e9 && p.flow.delivery_rate <= 1e9);
        CHECK(p.flow.window >= 4 * PACKET && p.flow.window <= 1024 * PACKET);
    }
    party_end(&p);
}

/* A peer that acks whatever was sent, before it can have come: a number that was left out ends it
   within 383 packets (RFC 9000 21.4), whichever controller believed it. */
TEST(acks_of_what_cannot_have_come_yet_buy_few_packets) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        wisp__secret secret = { { seed, 6 }, 0 };
        packet_party p;
        bool bad = false;
        int sent = 0;
        party_start(&p, 1);
        p.base.congestion = seed & 1 ? WISP_CONGESTION_MODEL : WISP_CONGESTION_RFC9002;
        p.base.step = 0.001;
        wisp__flow_skip(&p.flow, &secret);
        for (double now = 0; !bad && now < 20; now += 0.001) {
            uint64_t first = p.flow.next;
            wisp__congestion_pace(&p.base, &p.flow, now);
            while (wisp__flow_may_send(&p.base, &p.flow)) {
                wisp__flow_skip(&p.flow, &secret);
                party_send(&p, now);
                sent++;
            }
            if (p.flow.next > first)
                bad = acks_one(&p, p.flow.next - 1, (int)(p.flow.next - first), now).bad;
        }
        CHECK(bad && sent >= 100);
        CHECK(sent <= WISP__SKIP_LEAST + WISP__SKIP_SPREAD + p.flow.window / PACKET);
        wisp__flow_free(&p.base, &p.flow);
    }
}

/* Packets leave a path of 500 kB/s; the peer is honest for two seconds. Then it keeps its acks and
   gives them in bursts (lie 1: and says that each has waited for 127 ms; lie 2: and gives one of
   some forty late). Returns the greatest delivery rate from then on. */
static double lied_to(double burst, int lie, double *delivered) {
    packet_party p;
    static double comes[65536];
    double now = 0, free_at = 0, next = 0, most = 0;
    uint64_t acked = 1, kept = 0;
    party_start(&p, 1);
    p.base.step = 0.005;
    for (; now < 8; now += 0.005) {
        if (now >= next) {
            next += now < 2 ? 0.01 : burst;
            for (; acked < p.flow.next && comes[acked & 65535] <= now; acked++) {
                int range[1][2] = { { 0, 1 } };
                if (lie == 2 && now > 2 && !kept) {
                    kept = acked;
                    continue;
                }
                acks_claim(&p, acked, lie ? 254 : 0, (const int (*)[2])range, 1, now);
                if (lie == 2 && kept && kept + 40 < acked) {
                    acks_one(&p, kept, 1, now);
                    kept = 0;
                }
            }
        }
        p.flow.held = false;
        wisp__flow_detect_loss(&p.base, &p.flow, now, party_told, &p);
        wisp__congestion_pace(&p.base, &p.flow, now);
        while (wisp__flow_may_send(&p.base, &p.flow)) {
            free_at = (free_at > now ? free_at : now) + PACKET / 500e3;
            comes[p.flow.next & 65535] = free_at + 0.05;
            party_send(&p, now);
        }
        p.flow.held = true;
        wisp__congestion_flushed(&p.flow);
        if (now > 2 && p.flow.delivery_rate > most) most = p.flow.delivery_rate;
    }
    *delivered = (double)acked * PACKET / 8;
    CHECK(free_at - now < 3);
    CHECK(p.flow.window <= 1024 * PACKET && p.flow.sent_room <= 2048);
    wisp__flow_free(&p.base, &p.flow);
    return most;
}

TEST(acks_in_bursts_and_lies_about_delay_show_no_rate_that_was_not_there) {
    static const double bursts[] = { 0.01, 0.1, 0.25, 0.5 };
    for (int i = 0; i < 4; i++)
        for (int lie = 0; lie < 3; lie++) {
            double delivered, most = lied_to(bursts[i], lie, &delivered);
            if (!CHECK(most <= 1.5 * 500e3) || !CHECK(delivered <= 1.05 * 500e3))
                printf("    bursts of %g s, lie %d: %.0f, %.0f\n", bursts[i], lie, most, delivered);
        }
}

/* The same acks over and over: nothing is counted twice, and no rate grows. */
TEST(a_flood_of_acks_changes_nothing) {
    packet_party p;
    int rate, window;
    double now = 0;
    party_start(&p, 1);
    model_run(&p, &now, 300e3, 0.1, 2);
    acks_one(&p, p.flow.next - 1, 60, now);
    wisp__congestion_pace(&p.base, &p.flow, now);
    rate = wisp__model_bandwidth(&p.flow);
    window = p.flow.window;
    for (int i = 0; i < 20000; i++) {
        wisp__ack_news news = acks_one(&p, p.flow.next - 1 - (uint64_t)(i % 60), 60, now);
        CHECK(news.acked == 0 && news.bytes == 0 && news.lost == 0);
        if (i % 100) continue;
        wisp__congestion_pace(&p.base, &p.flow, now += 0.0001);
        CHECK(wisp__model_bandwidth(&p.flow) <= rate && p.flow.window <= window);
    }
    wisp__flow_free(&p.base, &p.flow);
}

/* --- sessions on shared links --- */

enum { ROW_BULK = 16384, ROW_FLOWS = 4 };

typedef struct link_row {
    bn_net   net;
    bn_way  *up, *down[ROW_FLOWS];
    int      flows;                  /* servers are 0.., their clients follow */
    double   bulk[ROW_FLOWS];        /* bytes that came */
    bool     fills, state;           /* the servers keep a queue; fire 20 kB/s of state */
    double   next_state, worst_age, age_from;
    int      ages, late_ages;
} link_row;

static void row_on_bulk(wisp_event *event) {
    link_row *r = (link_row *)event->user;
    for (int i = 0; i < r->flows; i++)
        if (bn_wisp(&r->net, r->flows + i) == event->w) r->bulk[i] += ROW_BULK;
}

static void row_on_state(wisp_event *event) {
    link_row *r = (link_row *)event->user;
    double age = r->net.now - wisp_arg_number(event, 0);
    if (r->net.now < r->age_from) return;
    r->ages++;
    r->late_ages += age >= 0.3;
    if (age > r->worst_age) r->worst_age = age;
}

static void row_tick(bn_net *net, int end) {
    static uint8_t bytes[ROW_BULK];
    link_row *r = (link_row *)net->user;
    wisp_peer_stats stats;
    wisp_peer peer;
    if (end >= r->flows) return;
    peer = bn_peer(net, end, 0);
    for (; r->state && net->now >= r->next_state; r->next_state += 0.05) {
        wisp_value values[2];
        values[0] = wisp_number(net->now);
        values[1] = wisp_bytes(bytes, 1000);
        wisp_fire_values(bn_wisp(net, end), "state", wisp_to_peer(peer), values, 2);
    }
    for (int i = 0; r->fills && i < 100; i++) {
        wisp_value value = wisp_bytes(bytes, ROW_BULK);
        wisp_stats_peer(bn_wisp(net, end), peer, &stats);
        if (stats.queued_bytes > 300000) break;
        bytes[i]++;
        wisp_fire_values(bn_wisp(net, end), "bulk", wisp_to_peer(peer), &value, 1);
    }
}

/* Servers that send over one link of 1,250 kB/s and 100 ms to a client each. */
static void row_open(link_row *r, uint64_t seed, int flows, double queue, bool last_is_reno) {
    wisp_config state;
    memset(r, 0, sizeof *r);
    memset(&state, 0, sizeof state);
    state.delivery = WISP_SEQUENCED;
    bn_open(&r->net, seed);
    r->net.user = r;
    r->flows = flows;
    r->up = bn_way_add(&r->net);
    r->up->rate = 1250e3;
    r->up->queue = queue;
    r->up->delay = 0.05;
    for (int i = 0; i < 2 * flows; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        if (i >= flows) r->down[i - flows] = bn_way_add(&r->net);
        if (i >= flows) r->down[i - flows]->delay = 0.05;
        if (last_is_reno && i == flows - 1) desc.congestion = WISP_CONGESTION_RFC9002;
        bn_add(&r->net, &desc, 59.5 + bn_chance(&r->net), i < flows ? r->up : r->down[i - flows],
               NULL);
        wisp_use_config(bn_wisp(&r->net, i), &state, "state");
        wisp_connect_target(bn_wisp(&r->net, i), wisp_by_name("bulk"), row_on_bulk, r, false);
        wisp_connect_target(bn_wisp(&r->net, i), wisp_by_name("state"), row_on_state, r, false);
    }
    for (int i = 0; i < flows; i++) CHECK(bn_join(&r->net, flows + i, i).id != 0);
    r->next_state = r->net.now;
    r->net.tick = row_tick;
}

/* Bytes per second of a flow over the next seconds. */
static double row_rate(link_row *r, int flow, double seconds) {
    double before = r->bulk[flow];
    bn_run(&r->net, seconds);
    return (r->bulk[flow] - before) / seconds;
}

TEST(random_losses_hardly_slow_bulk) {
    static const double losses[] = { 0.02, 0.05, 0.1, 0.15 }, least[] = { 1060, 1000, 875, 750 };
    for (uint64_t seed = 1; seed <= 4; seed++) {
        int i = (int)(seed % 4);
        link_row r;
        row_open(&r, seed, 1, 65536, false);
        r.up->loss = r.down[0]->loss = losses[i];
        r.fills = true;
        CHECK(row_rate(&r, 0, 12) >= least[i] * 1e3);
        bn_close(&r.net);
    }
}

TEST(a_deep_queue_stays_short) {
    for (uint64_t seed = 1; seed <= 2; seed++) {
        link_row r;
        row_open(&r, seed, 1, 2.5e6, false);
        r.fills = true;
        bn_run(&r.net, 5);
        CHECK(r.up->queue_peak <= 0.2);
        r.up->queue_sum = 0;
        r.up->packets = 0;
        CHECK(row_rate(&r, 0, 8) >= 1080e3);
        CHECK(r.up->queue_sum / (double)r.up->packets <= 0.03);
        bn_close(&r.net);
    }
}

/* The capacity falls to 100 kB/s and returns. Bulk and state have one urgency here. */
TEST(state_is_fresh_again_soon_after_the_capacity_falls) {
    for (int i = 0; i < 3; i++) {
        link_row r;
        row_open(&r, (uint64_t)i + 3, 1, i & 1 ? 2.5e6 : 65536, false);
        r.fills = r.state = true;
        bn_run(&r.net, 8);
        bn_way_rate(r.up, 100e3);
        r.age_from = r.net.now + (i & 1 ? 7 : 3);
        CHECK(row_rate(&r, 0, 14) > 50e3);
        CHECK(r.ages > 100 && r.late_ages * 20 <= r.ages);
        bn_way_rate(r.up, 1250e3);
        bn_run(&r.net, 4);
        CHECK(row_rate(&r, 0, 1) >= 0.6 * 1250e3);
        bn_close(&r.net);
    }
}

/* Jain's index of fairness. */
static double row_fairness(link_row *r, double seconds) {
    double before[ROW_FLOWS], sum = 0, squares = 0;
    for (int i = 0; i < r->flows; i++) before[i] = r->bulk[i];
    bn_run(&r->net, seconds);
    for (int i = 0; i < r->flows; i++) {
        double rate = r->bulk[i] - before[i];
        sum += rate;
        squares += rate * rate;
    }
    return sum * sum / (r->flows * squares);
}

TEST(flows_of_the_model_share_a_link) {
    for (int i = 0; i < 6; i++) {
        link_row r;
        row_open(&r, (uint64_t)i + 5, i & 1 ? 4 : 2, i < 2 ? 125e3 : 500e3, false);
        r.fills = true;
        bn_run(&r.net, 8);
        CHECK(row_fairness(&r, 20) >= (i & 1 ? 0.93 : 0.95));
        bn_close(&r.net);
    }
}

/* The part of the weaker of two flows. */
static double row_weaker(link_row *r, double seconds) {
    double a = r->bulk[0], b = r->bulk[1];
    bn_run(&r->net, seconds);
    a = r->bulk[0] - a;
    b = r->bulk[1] - b;
    return (a < b ? a : b) / (a + b);
}

TEST(the_model_leaves_a_flow_of_rfc_9002_its_part) {
    static const double buffers[] = { 0.5, 1, 4 };
    for (int i = 0; i < 3; i++) {
        double weaker;
        link_row r;
        row_open(&r, (uint64_t)i + 1, 2, buffers[i] * 125e3, true);
        r.fills = true;
        bn_run(&r.net, 8);
        weaker = row_weaker(&r, 25);
        if (!CHECK(weaker >= (i ? 0.25 : 0.1)))
            printf("  %.2f at %.1f\n", weaker, buffers[i]);
        bn_close(&r.net);
    }
}

/* Where all tick at one rate, each flow's packets come right behind the same other flow's, and the
   queue overflows for the same one each time. It has its part all the same. */
TEST(flows_that_tick_in_step_share_a_link) {
    for (int i = 0; i < 3; i++) {
        link_row r;
        row_open(&r, i ? 10 : 4, i < 2 ? 4 : 2, i < 2 ? 125e3 : 62.5e3, i == 2);
        for (int end = 0; end < r.net.end_count; end++) r.net.ends[end]->period = 1 / 60.0;
        r.fills = true;
        bn_run(&r.net, 10);
        if (i < 2) CHECK(row_fairness(&r, 20) >= 0.93);
        else CHECK(row_weaker(&r, 20) >= 0.1);
        bn_close(&r.net);
    }
}

static int row_held(const link_row *r, int end) {
    wisp *w = bn_wisp(&r->net, end);
    const wisp__session *s = wisp__session_of(w, bn_peer(&r->net, end, 0));
    return s && s->peer.flow.held;
}

/* 60 packets a second one way, 20 kB/s of state the other way, losses both ways. */
TEST(a_thin_flow_is_never_held_back) {
    static const double losses[] = { 0.05, 0.2, 0.3 };
    for (int i = 0; i < 6; i++) {
        int held = 0;
        link_row r;
        row_open(&r, (uint64_t)i + 1, 1, 65536, false);
        r.up->loss = r.down[0]->loss = losses[i % 3];
        r.state = true;
        for (int tick = 0; tick < 600; tick++) {
            wisp_value value = wisp_int(tick);
            wisp_fire_values(bn_wisp(&r.net, 1), "bulk", wisp_to_peer(bn_peer(&r.net, 1, 0)),
                             &value, 1);
            bn_run(&r.net, 1 / 60.0);
            held += row_held(&r, 0) + row_held(&r, 1);
        }
        CHECK_EQ_INT(held, 0);
        bn_close(&r.net);
    }
}

TEST(a_long_fat_path_is_filled) {
    link_row r;
    row_open(&r, 1, 1, 500e3, false);
    r.up->delay = r.down[0]->delay = 0.3;
    r.fills = true;
    bn_run(&r.net, 10);
    CHECK(row_rate(&r, 0, 10) >= 1000e3);
    bn_close(&r.net);
}

/* Loss, delay or a narrow way in one direction only: that of the data, or that of the acks. */
TEST(one_bad_direction_hardly_slows_bulk) {
    for (int i = 0; i < 6; i++) {
        static const double least[] = { 900e3, 1000e3, 1000e3, 1000e3, 1000e3, 1000e3 };
        double rate;
        link_row r;
        row_open(&r, (uint64_t)i + 1, 1, 65536, false);
        bn_run(&r.net, 1);
        if (i < 2) (i ? r.down[0] : r.up)->loss = 0.15;
        else if (i < 4) (i & 1 ? r.down[0] : r.up)->delay = 0.2;
        else if (i == 4) r.down[0]->rate = 20e3;
        else r.down[0]->reorder = 0.25;
        r.down[0]->late = 0.03;
        r.fills = true;
        bn_run(&r.net, 5);
        rate = row_rate(&r, 0, 8);
        if (!CHECK(rate >= least[i])) printf("  %d: %.0f kB/s\n", i, rate / 1e3);
        bn_close(&r.net);
    }
}

/* Seconds that a megabyte takes at 60 ms if a share of the packets comes 30 ms late. */
static double row_megabyte(uint64_t seed, double share) {
    static uint8_t bytes[1000000];
    wisp_value value = wisp_bytes(bytes, sizeof bytes);
    double began;
    link_row r;
    memset(&r, 0, sizeof r);
    bn_open(&r.net, seed);
    r.flows = 1;
    for (int i = 0; i < 2; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        r.up = bn_way_add(&r.net);
        r.up->delay = r.up->late = 0.03;
        bn_add(&r.net, &desc, 60, r.up, NULL);
        wisp_connect_target(bn_wisp(&r.net, i), wisp_by_name("bulk"), row_on_bulk, &r, false);
    }
    CHECK(bn_join(&r.net, 0, 1).id != 0);
    bn_run(&r.net, 1);
    r.net.ways[0]->reorder = r.net.ways[1]->reorder = share;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)bn_random(&r.net);
    began = r.net.now;
    wisp_fire_values(bn_wisp(&r.net, 0), "bulk", wisp_to_peer(bn_peer(&r.net, 0, 0)), &value, 1);
    while (r.bulk[0] < 1 && r.net.now < began + 20) bn_run(&r.net, 0.01);
    began = r.net.now - began;
    bn_close(&r.net);
    return began;
}

TEST(a_megabyte_out_of_order_takes_little_longer) {
    for (uint64_t seed = 1; seed <= 24; seed++) {
        double in_order = row_megabyte(seed, 0), late = row_megabyte(seed, 0.25);
        if (!CHECK(late <= 1.5 * in_order))
            printf("    %d: %.2f, %.2f\n", (int)seed, in_order, late);
    }
}

TEST(slow_updates_fill_a_link) {
    static const double rates[] = { 10, 20, 30, 240 };
    for (int i = 0; i < 4; i++) {
        link_row r;
        row_open(&r, (uint64_t)i + 1, 1, 250e3, false);
        r.net.ends[0]->period = 1 / rates[i];
        r.net.ends[1]->period = 1 / rates[3 - i];
        r.fills = true;
        bn_run(&r.net, 4);
        CHECK(row_rate(&r, 0, 8) >= 950e3);
        bn_close(&r.net);
    }
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
    CASE(a_clock_that_stands_still_gives_no_pace),
    CASE(the_model_learns_the_rate_and_the_window_of_a_path),
    CASE(slots_that_the_application_limits_only_raise_the_estimate),
    CASE(losses_slow_the_model_only_with_a_queue_or_when_they_are_most),
    CASE(losses_that_were_none_begin_the_start_again),
    CASE(lateness_is_no_queue),
    CASE(no_acks_make_rates_infinite),
    CASE(acks_of_what_cannot_have_come_yet_buy_few_packets),
    CASE(acks_in_bursts_and_lies_about_delay_show_no_rate_that_was_not_there),
    CASE(a_flood_of_acks_changes_nothing),
    CASE(random_losses_hardly_slow_bulk),
    CASE(a_deep_queue_stays_short),
    CASE(state_is_fresh_again_soon_after_the_capacity_falls),
    CASE(flows_of_the_model_share_a_link),
    CASE(the_model_leaves_a_flow_of_rfc_9002_its_part),
    CASE(flows_that_tick_in_step_share_a_link),
    CASE(a_thin_flow_is_never_held_back),
    CASE(a_long_fat_path_is_filled),
    CASE(one_bad_direction_hardly_slows_bulk),
    CASE(a_megabyte_out_of_order_takes_little_longer),
    CASE(slow_updates_fill_a_link)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
