/* test_mtu.c - room mtu: the largest datagram that a path carries */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

/* A path that drops what is larger than `hole`, and the rest at random. */
typedef struct mtu_path {
    wisp__mtu mtu;
    int       hole, probes;
    double    loss, now;
    uint64_t  random;
} mtu_path;

static mtu_path mtu_path_of(int link, int hole, double loss, uint64_t seed) {
    mtu_path p;
    memset(&p, 0, sizeof p);
    wisp__mtu_init(&p.mtu, link);
    p.hole = hole;
    p.loss = loss;
    p.random = seed;
    return p;
}

/* Sends a packet and learns at once how it ended. */
static bool mtu_path_send(mtu_path *p, int bytes, bool probe) {
    bool passes = bytes <= p->hole && test_random_unit(&p->random) >= p->loss;
    if (probe) wisp__mtu_probed(&p->mtu, bytes, passes, p->now);
    if (passes) wisp__mtu_acked(&p->mtu, bytes);
    else if (!probe) wisp__mtu_lost(&p->mtu, bytes);
    return passes;
}

/* A full packet and a small one, then a probe that is due. */
static void mtu_path_round(mtu_path *p) {
    int probe;
    p->mtu.wanted = true;
    mtu_path_send(p, p->mtu.size, false);
    mtu_path_send(p, 30, false);
    probe = wisp__mtu_probe(&p->mtu, p->now);
    p->probes += probe > 0;
    if (probe) mtu_path_send(p, probe, true);
    p->now += 0.1;
}

TEST(the_size_of_a_path_without_loss_is_found_from_any_hole) {
    static const int links[] = { 1200, 1400, 9000, 65000 };
    for (int i = 0; i < 4; i++)
        for (int hole = 508; hole <= links[i]; hole += 1 + links[i] / 97) {
            mtu_path p = mtu_path_of(links[i], hole, 0, (uint64_t)hole);
            int rounds = 0;
            while (p.mtu.size > hole && rounds++ < 100) mtu_path_round(&p);
            CHECK(rounds <= 5);
            for (rounds = 0; rounds < 60; rounds++) mtu_path_round(&p);
            CHECK(p.mtu.size <= hole && p.mtu.size > hole - 2 * WISP__MTU_NEAR);
            CHECK(p.probes <= 48);
        }
}

TEST(the_size_rises_again_when_the_path_carries_more) {
    mtu_path p = mtu_path_of(1200, 700, 0, 1);
    for (int i = 0; i < 100; i++) mtu_path_round(&p);
    CHECK(p.mtu.size > 680 && p.mtu.size <= 700);
    p.hole = 1200;
    for (int i = 0; i < 160; i++) mtu_path_round(&p);          /* 16 seconds */
    CHECK_EQ_INT(p.mtu.size, 1200);
    p.hole = 1000;
    for (int i = 0; i < 60; i++) mtu_path_round(&p);
    CHECK(p.mtu.size > 980 && p.mtu.size <= 1000);
}

TEST(loss_at_random_is_not_taken_for_a_small_path) {
    static const double losses[] = { 0.02, 0.05, 0.1, 0.2, 0.3 };
    for (int i = 0; i < 5; i++) {
        int small = 0, rounds = 40000;
        mtu_path p = mtu_path_of(1200, 1200, losses[i], 7 + (uint64_t)i);
        for (int round = 0; round < rounds; round++) {
            mtu_path_round(&p);
            small += p.mtu.size < 1200;
        }
        CHECK(small < rounds / 200);
        if (small >= rounds / 200) printf("  %g lost: %d of %d\n", losses[i], small, rounds);
    }
}

TEST(a_small_path_that_loses_packets_is_found_too) {
    static const double losses[] = { 0.05, 0.2, 0.3 };
    for (int i = 0; i < 3; i++)
        for (uint64_t seed = 1; seed <= 40; seed++) {
            mtu_path p = mtu_path_of(1200, 1000, losses[i], seed);
            int rounds = 0;
            while (p.mtu.size > 1000 && rounds++ < 1000) mtu_path_round(&p);
            CHECK(rounds < 60);
            for (int n = 0; n < 3000; n++) mtu_path_round(&p);
            CHECK(p.mtu.size <= 1000 && p.mtu.size >= 508);
        }
}

/* An outage ends with small packets that arrive after many large ones were lost. */
TEST(an_outage_is_not_taken_for_a_small_path) {
    mtu_path p = mtu_path_of(1200, 1200, 0, 1);
    for (int outage = 0; outage < 10; outage++) {
        mtu_path_round(&p);
        for (int i = 0; i < 40; i++) wisp__mtu_lost(&p.mtu, i % 4 ? 1190 : 30);
        mtu_path_send(&p, 30, false);
        CHECK_EQ_INT(p.mtu.size, 1200);
    }
}

/* Whatever is acked and lost: the size stays between the least and link.mtu. */
TEST(no_order_of_acks_and_losses_leaves_the_bounds) {
    static const int links[] = { 256, 508, 509, 520, 1200, 65000 };
    uint64_t random = 99;
    for (int i = 0; i < 6; i++) {
        mtu_path p = mtu_path_of(links[i], links[i], 0, 1);
        int least = links[i] < 508 ? links[i] : 508;
        for (int n = 0; n < 20000; n++) {
            int bytes = 1 + test_random_below(&random, links[i]);
            int probe = wisp__mtu_probe(&p.mtu, p.now);
            p.now += test_random_unit(&random);
            p.mtu.wanted = true;
            CHECK(probe == 0 || (probe > p.mtu.size && probe <= links[i]));
            if (probe) wisp__mtu_probed(&p.mtu, probe, test_random_below(&random, 3) > 0, p.now);
            if (test_random_below(&random, 2)) wisp__mtu_acked(&p.mtu, bytes);
            else wisp__mtu_lost(&p.mtu, bytes);
            CHECK(p.mtu.size >= least && p.mtu.size <= links[i]);
        }
    }
}

static const test_case tests[] = {
    CASE(the_size_of_a_path_without_loss_is_found_from_any_hole),
    CASE(the_size_rises_again_when_the_path_carries_more),
    CASE(loss_at_random_is_not_taken_for_a_small_path),
    CASE(a_small_path_that_loses_packets_is_found_too),
    CASE(an_outage_is_not_taken_for_a_small_path),
    CASE(no_order_of_acks_and_losses_leaves_the_bounds),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
