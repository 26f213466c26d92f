/* test_gauntlet.c - the goals of support/gauntlet.h hold on bad networks, for every seed */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/gauntlet_wisp.h"

/* Bulk takes long to simulate; `make gauntlet` takes more seeds, and shows how flows share. */
enum { GAUNTLET_SEEDS = 3, GAUNTLET_SESSIONS = 40 };

static bool gauntlet_meets(const gauntlet_goal *g, double value) {
    if (!(g->must > 0)) return true;
    return gauntlet_figures[g->f].more_is_better ? value >= g->must : value <= g->must;
}

static void gauntlet_check_row(const gauntlet_row *r, uint64_t seed, double *in_order) {
    wisp_desc desc;
    gauntlet_outcome out;
    memset(&desc, 0, sizeof desc);
    wisp_trial(&r->t, &desc, seed, &out);
    if (r == gauntlet_rows) *in_order = out.seconds;
    out.ratio = out.seconds / *in_order;
    CHECK(out.done);
    for (const gauntlet_goal *g = r->goals; gauntlet_more(r, g); g++) {
        double value = gauntlet_figure_of(&out, g->f);
        if (CHECK(gauntlet_meets(g, value))) continue;
        printf("  %s, seed %d: %s is %g %s, not %g\n", r->t.name, (int)seed,
               gauntlet_figures[g->f].name, value, gauntlet_figures[g->f].unit, g->must);
    }
}

/* All rows with a kind of load. */
static void gauntlet_check_load(gauntlet_load kind) {
    bool once = kind == LOAD_BULK || kind == LOAD_LIVE || kind == LOAD_ECHO;
    for (uint64_t seed = 1; seed <= (once ? 1 : GAUNTLET_SEEDS); seed++) {
        double in_order = 1;
        for (const gauntlet_row *r = gauntlet_rows; r < gauntlet_rows + GAUNTLET_ROWS; r++)
            if (r->t.kind == kind) gauntlet_check_row(r, seed, &in_order);
    }
}

TEST(a_megabyte_comes_as_fast_out_of_order_and_through_holes) { gauntlet_check_load(LOAD_BLOB); }
TEST(bulk_fills_links_that_lose_packets) { gauntlet_check_load(LOAD_BULK); }
TEST(state_beside_bulk_is_fresh_again_after_a_link_narrowed) { gauntlet_check_load(LOAD_LIVE); }
TEST(thin_flows_are_never_held_back) { gauntlet_check_load(LOAD_THIN); }
TEST(small_messages_stay_young_when_acks_are_lost_or_ports_move) {
    gauntlet_check_load(LOAD_STREAM);
}
TEST(echoes_come_back_soon) { gauntlet_check_load(LOAD_ECHO); }

TEST(sessions_begin_and_last_on_networks_that_lose_packets) {
    for (int i = 0; i < GAUNTLET_CROWDS; i++) {
        gauntlet_crowd c = gauntlet_crowds[i];
        gauntlet_crowd_outcome out;
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        if (c.count > GAUNTLET_SESSIONS) c.count = GAUNTLET_SESSIONS;
        wisp_crowd(&c, &desc, &out);
        if (!CHECK(out.joined == c.count && out.ended == 0))
            printf("  %s: %d joined, %d ended\n", c.name, out.joined, out.ended);
    }
}

static const test_case tests[] = {
    CASE(a_megabyte_comes_as_fast_out_of_order_and_through_holes),
    CASE(bulk_fills_links_that_lose_packets),
    CASE(state_beside_bulk_is_fresh_again_after_a_link_narrowed),
    CASE(thin_flows_are_never_held_back),
    CASE(small_messages_stay_young_when_acks_are_lost_or_ports_move),
    CASE(echoes_come_back_soon),
    CASE(sessions_begin_and_last_on_networks_that_lose_packets),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
