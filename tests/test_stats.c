/* test_stats.c - the counters: what two ends count must agree */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "test.h"
#include "world.h"

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
