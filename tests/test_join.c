/* test_join.c - the handshake, its packets and its cookie, among real endpoints */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/handshake_packets.h"

/* --- the cookie --- */

TEST(requests_from_anywhere_store_nothing) {
    static scene c;
    wisp_total_stats before, after;
    uint64_t seed = 1;
    scene_open(&c);
    scene_pair(&c);
    world_step(&c.t.w);
    before = world_total(c.t.server);
    for (int i = 0; i < 3000; i++) {
        hand h;
        int size;
        hand_begin(&h, WISP__REQUEST, test_random(&seed));
        size = hand_end(&h, 64);
        inject(&c, 2 + i % 500, 0, h.bytes, size);
        if (i % 100 == 99) world_step(&c.t.w);
    }
    world_step(&c.t.w);
    after = world_total(c.t.server);
    CHECK_EQ_INT(c.s.kinds[WISP__CHALLENGE], 3000);
    CHECK_EQ_INT(after.memory, before.memory);
    CHECK_EQ_INT(after.allocations, before.allocations);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(c.t.server->peers.timers.count, 0);
    scene_close(&c);
}

TEST(responses_without_a_good_cookie_store_nothing) {
    static scene c;
    uint64_t seed = 2;
    wisp_total_stats before;
    scene_open(&c);
    scene_pair(&c);
    world_step(&c.t.w);
    before = world_total(c.t.server);
    for (int i = 0; i < 1000; i++) {
        hand h;
        int size;
        hand_begin(&h, WISP__RESPONSE, test_random(&seed));
        wisp__put(&h.to, 0, 8);
        wisp__put(&h.to, test_random(&seed), 64);
        size = hand_end(&h, 64);
        inject(&c, 2 + i % 50, 0, h.bytes, size);
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(world_total(c.t.server).cookies_refused, 1000);
    CHECK_EQ_INT(world_total(c.t.server).memory, before.memory);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(c.s.seen[0], 0);
    scene_close(&c);
}

TEST(a_cookie_is_good_at_its_address_for_its_time) {
    static const double waits[] = { 0, 14.8, 29.8, 45, 3840, 3855 };
    for (int i = 0; i < 6; i++) {
        static scene c;
        catch_response(&c);
        c.t.w.step = 0.1;
        if (waits[i] > 100) c.t.w.step = 2;
        world_run(&c.t.w, waits[i]);
        inject(&c, 7, 0, c.s.kept[WISP__RESPONSE], c.s.kept_size[WISP__RESPONSE]);
        world_step(&c.t.w);
        CHECK_EQ_INT(slots(c.t.server), 0);             /* from another address: never */
        inject(&c, 1, 0, c.s.kept[WISP__RESPONSE], c.s.kept_size[WISP__RESPONSE]);
        world_step(&c.t.w);
        CHECK_EQ_INT(slots(c.t.server), i < 2);
        CHECK_EQ_INT(world_total(c.t.server).cookies_refused, i < 2 ? 1 : 2);
        scene_close(&c);
    }
}

TEST(a_cookie_is_good_for_its_nonce_alone) {
    static scene c;
    uint8_t *bytes = c.s.kept[WISP__RESPONSE];
    catch_response(&c);
    for (int i = 6; i < 14; i++) {
        bytes[i] ^= 1;
        hand_recheck(bytes, c.s.kept_size[WISP__RESPONSE] - 4);
        inject(&c, 1, 0, bytes, c.s.kept_size[WISP__RESPONSE]);
        bytes[i] ^= 1;
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(world_total(c.t.server).cookies_refused, 8);
    CHECK_EQ_INT(slots(c.t.server), 0);
    scene_close(&c);
}

/* --- lost and doubled packets --- */

static void join_with_losses(int side, int from, int count) {
    static scene c;
    scene_open(&c);
    c.s.lose_side = side;
    c.s.lose_from = from;
    c.s.lose_count = count;
    scene_pair(&c);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 15.0);
    CHECK(c.s.seen[0] > from && c.s.seen[1] > from);
    check_one_session(&c);
    scene_close(&c);
}

TEST(a_join_survives_the_loss_of_any_packet) {
    for (int side = ALL; side < 2; side++)
        for (int from = 0; from < 8; from++) join_with_losses(side, from, 1);
}

TEST(a_join_survives_the_loss_of_several_packets) {
    for (int side = ALL; side < 2; side++)
        for (int from = 0; from < 6; from++)
            for (int count = 2; count <= 4; count++) join_with_losses(side, from, count);
}

TEST(a_join_survives_doubled_packets) {
    for (int copies = 2; copies <= 5; copies++) {
        static scene c;
        scene_open(&c);
        c.s.copies = copies;
        scene_pair(&c);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 6.0);
        check_one_session(&c);
        scene_close(&c);
    }
}

TEST(joins_survive_a_bad_network) {
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static scene c;
        scene_open(&c);
        c.t.w.bad = true;
        c.t.w.net.seed = seed * 100;
        c.t.w.net.latency = 0.03;
        c.t.w.net.jitter = 0.1;
        c.t.w.net.loss = 0.2;
        c.t.w.net.duplicate = 0.3;
        c.t.w.net.reorder = 0.2;
        scene_pair(&c);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 9.0);
        c.t.w.sims[0].loss = c.t.w.sims[1].loss = 0;
        world_run(&c.t.w, 3.0);
        check_one_session(&c);
        scene_close(&c);
    }
}

/* --- answers are never larger than what they answer --- */

TEST(no_answer_is_larger_than_what_it_answers) {
    static const wisp_result verdicts[] = { WISP_OK, WISP_E_DENIED, WISP_E_USER - 7 };
    for (int i = 0; i < 3; i++) {
        for (int bare = 0; bare < 2; bare++) {
            static scene c;
            judge j = { WISP_OK, 0, "", 0 };
            scene_open(&c);
            if (bare) c.t.w.desc.app = NULL;
            j.verdict = verdicts[i];
            c.t.server = scene_add_judge(&c, &j);
            c.t.client = scene_add(&c);
            scene_ask(&c, c.t.client, c.t.server);
            world_run(&c.t.w, 1.0);
            CHECK_EQ_INT(j.asked, 1);
            CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), i == 0);
            CHECK(c.s.kinds[WISP__CHALLENGE] >= 1);
            CHECK_EQ_INT(c.s.larger, 0);
            scene_close(&c);
        }
    }
}

TEST(a_request_smaller_than_the_rule_gets_no_answer) {
    static scene c;
    scene_open(&c);
    scene_pair(&c);
    for (int type = WISP__REQUEST; type <= WISP__RESPONSE; type += 2)
        for (int least = 18; least < 64; least++)
            for (int version = 0; version < 2; version++) {
                hand h;
                int size;
                hand_begin(&h, type, 77);
                h.bytes[5] = (uint8_t)(h.bytes[5] + version);
                size = hand_end(&h, least);
                inject(&c, 1, 0, h.bytes, size);
            }
    world_step(&c.t.w);
    CHECK_EQ_INT(c.s.seen[0], 0);
    CHECK_EQ_INT(slots(c.t.server), 0);
    scene_close(&c);
}

/* --- damaged packets --- */

TEST(a_damaged_request_gets_no_challenge) {
    static scene c;
    hand h;
    int size;
    scene_open(&c);
    scene_pair(&c);
    hand_begin(&h, WISP__REQUEST, 12345);
    size = hand_end(&h, 64);
    for (int at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            h.bytes[at] = (uint8_t)(h.bytes[at] ^ 1 << bit);
            inject(&c, 1, 0, h.bytes, size);
            h.bytes[at] = (uint8_t)(h.bytes[at] ^ 1 << bit);
        }
    world_step(&c.t.w);
    CHECK_EQ_INT(c.s.kinds[WISP__CHALLENGE], 0);
    CHECK_EQ_INT(c.s.kinds[WISP__DENY], 8);             /* those of another wire version */
    CHECK_EQ_INT(world_total(c.t.server).handshakes_received, 64 * 8 - 1);
    scene_close(&c);
}

TEST(a_damaged_response_opens_nothing) {
    static scene c;
    uint8_t *bytes = c.s.kept[WISP__RESPONSE];
    int size;
    catch_response(&c);
    size = c.s.kept_size[WISP__RESPONSE];
    for (int at = 0; at < size; at++) {
        bytes[at] ^= 0x10;
        inject(&c, 1, 0, bytes, size);
        bytes[at] ^= 0x10;
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(c.s.kinds[WISP__ACCEPT] + c.s.kinds[WISP__DENY], 0);
    inject(&c, 1, 0, bytes, size);
    world_step(&c.t.w);
    CHECK_EQ_INT(slots(c.t.server), 1);
    scene_close(&c);
}

TEST(packets_cut_short_anywhere_do_nothing) {
    static scene c;
    catch_response(&c);
    for (int size = 0; size < c.s.kept_size[WISP__RESPONSE]; size++)
        inject(&c, 1, 0, c.s.kept[WISP__RESPONSE], size);
    for (int size = 0; size < c.s.kept_size[WISP__REQUEST]; size++)
        inject(&c, 1, 0, c.s.kept[WISP__REQUEST], size);
    c.s.seen[0] = 0;
    world_step(&c.t.w);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(c.s.seen[0], 0);
    CHECK_EQ_INT(world_total(c.t.server).packets_empty, 2);
    scene_close(&c);
}

/* Cut, but with a check word that is right for what is left. */
TEST(responses_that_end_early_are_bad) {
    static scene c;
    char ticket[200];
    wisp_addr to = wisp_loopback_addr(0);
    int size;
    scene_open(&c);
    scene_pair(&c);
    memset(ticket, 't', sizeof ticket);
    c.s.lose_kinds = 1u << WISP__RESPONSE;
    wisp_join(c.t.client, &to, ticket, 200);
    world_run(&c.t.w, 0.05);
    scene_crash(&c, c.t.client);
    size = c.s.kept_size[WISP__RESPONSE];
    CHECK_EQ_INT(size, 14 + 1 + 8 + 2 + 1 + 4 + 4 + 1 + 4 + 2 + 200 + 4);
    for (int left = 60; left < size - 4; left++) {
        uint8_t bytes[400];
        memcpy(bytes, c.s.kept[WISP__RESPONSE], (size_t)size);
        inject(&c, 1, 0, bytes, hand_recheck(bytes, left));
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(world_total(c.t.server).handshakes_bad, size - 4 - 60);
    scene_close(&c);
}

TEST(answers_that_are_damaged_or_cut_short_change_nothing) {
    static const int kinds[] = { WISP__CHALLENGE, WISP__ACCEPT };
    for (int k = 0; k < 2; k++) {
        static scene c;
        int kind = kinds[k], size;
        scene_open(&c);
        scene_pair(&c);
        c.s.lose_kinds = 1u << kind;
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.05);
        CHECK(c.s.kinds[kind] >= 1);
        size = c.s.kept_size[kind];
        for (int at = 0; at < size; at++) {
            uint8_t bytes[64];
            memcpy(bytes, c.s.kept[kind], (size_t)size);
            inject(&c, 0, 1, bytes, at);
            bytes[at] ^= 4;
            inject(&c, 0, 1, bytes, size);
        }
        world_step(&c.t.w);
        CHECK_EQ_INT(wisp_peers(c.t.client, NULL, 0), 0);
        CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 0);
        c.s.lose_kinds = 0;
        world_run(&c.t.w, 3.0);
        check_one_session(&c);
        scene_close(&c);
    }
}

TEST(answers_with_another_nonce_or_from_elsewhere_change_nothing) {
    static scene c;
    scene_open(&c);
    scene_pair(&c);
    c.s.lose_kinds = 1u << WISP__CHALLENGE;
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 0.05);
    for (int i = 0; i < 4; i++) {
        uint64_t nonce = wisp__load64(c.s.kept[WISP__REQUEST] + 6);
        hand h;
        int size;
        hand_begin(&h, i & 1 ? WISP__DENY : WISP__ACCEPT, i & 2 ? nonce + 1 : nonce);
        wisp__put(&h.to, (uint16_t)WISP_E_DENIED, 16);
        size = hand_end(&h, 40);
        inject(&c, i & 2 ? 0 : 5, 1, h.bytes, size);
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 0);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_JOINED), 0);
    CHECK_EQ_INT(slots(c.t.client), 1);
    scene_close(&c);
}

TEST(session_packets_cut_short_or_damaged_are_dropped) {
    static scene c;
    int size;
    scene_open(&c);
    scene_join(&c);
    world_watch(&c.t.w, c.t.server, "n");
    c.s.lose_kinds = 1u << SESSION;
    world_fire(c.t.client, "n", c.t.to_server, 1);
    world_step(&c.t.w);
    size = c.s.kept_size[SESSION];
    CHECK(size > 10);
    for (int at = 0; at < size; at++) {
        uint8_t bytes[1500];
        memcpy(bytes, c.s.kept[SESSION], (size_t)size);
        inject(&c, 1, 0, bytes, at);
        bytes[at] = (uint8_t)(bytes[at] ^ (at ? 0x21 : 0x42));
        inject(&c, 1, 0, bytes, size);
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(told(&c, c.t.server, "n"), 0);
    CHECK_EQ_INT(world_total(c.t.server).packets_malformed, 0);
    CHECK(world_total(c.t.server).packets_bad_tag >= (uint64_t)size);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 2.0);
    CHECK_EQ_INT(told(&c, c.t.server, "n"), 1);
    scene_close(&c);
}

TEST(random_handshake_packets_with_a_right_check_take_no_memory) {
    static scene c;
    uint64_t seed = 8;
    wisp_total_stats before;
    scene_open(&c);
    scene_pair(&c);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    before = world_total(c.t.server);
    for (int i = 0; i < 5000; i++) {
        hand h;
        int size;
        hand_begin(&h, test_random_below(&seed, 8), test_random(&seed));
        for (int k = test_random_below(&seed, 90); k > 0; k--)
            wisp__put(&h.to, test_random(&seed) & 255, 8);
        size = hand_end(&h, 64);
        inject(&c, 1 + (i & 1), 0, h.bytes, size);
        inject(&c, 0, 1, h.bytes, size);
        if (i % 50 == 0) world_step(&c.t.w);
    }
    world_run(&c.t.w, 0.5);
    CHECK_EQ_INT(world_total(c.t.server).memory, before.memory);
    check_one_session(&c);
    scene_close(&c);
}

/* --- long round trips, slow updates, loss --- */

/* One end joins another over a network, each updated at its own rate. Returns the seconds until
   both know; less than 0: they do not agree, or one was told that it left. */
static double join_rated(const double hz[2], double rtt, double loss, double jitter,
                         uint64_t seed) {
    static scene c;
    double next[2] = { 0, 0 }, start, took;
    bool done = false;
    scene_open(&c);
    c.t.w.bad = c.t.w.unchecked = true;
    c.t.w.net.seed = seed * 1000 + 1;
    c.t.w.net.latency = rtt / 2;
    c.t.w.net.jitter = jitter;
    c.t.w.net.loss = loss;
    scene_pair(&c);
    next[1] = (double)(seed % 7) / 7 / hz[1];
    start = (double)(seed % 40) * 0.13;
    while (c.t.w.now < start) c.t.w.now += 0.01;
    for (int i = 0; i < 2; i++) world_update(&c.t.w, i);
    scene_ask(&c, c.t.client, c.t.server);
    start = c.t.w.now;
    while (c.t.w.now < start + 30 && !done) {
        c.t.w.now += 1.0 / 120;
        for (int i = 0; i < 2; i++) {
            if (c.t.w.now < start + next[i]) continue;
            next[i] += 1 / hz[i];
            world_update(&c.t.w, i);
        }
        done = told(&c, c.t.server, WISP_JOINED) && told(&c, c.t.client, WISP_JOINED);
    }
    took = c.t.w.now - start;
    if (!done || told(&c, NULL, WISP_JOINED) != 2 || told(&c, NULL, WISP_LEFT)) took = -1;
    scene_close(&c);
    return took;
}

TEST(joins_work_at_any_round_trip_and_rate) {
    static const double rates[][2] = { { 60, 60 }, { 1, 60 }, { 60, 1 }, { 1, 1 }, { 2, 7 } };
    static const double round_trips[] = { 0, 0.3, 0.8, 2, 3 };
    for (int i = 0; i < TEST_COUNT(rates); i++)
        for (int k = 0; k < TEST_COUNT(round_trips); k++) {
            double rtt = round_trips[k], slow = 1 / rates[i][0] + 1 / rates[i][1];
            double took = join_rated(rates[i], rtt, 0, 0, (uint64_t)k);
            CHECK(took >= 0 && took <= 2.5 * rtt + 6 * slow + 0.1);     /* nothing begins anew */
            for (uint64_t seed = 0; seed < 4; seed++)
                CHECK(join_rated(rates[i], rtt, 0.2, seed & 1 ? 0.2 : 0, seed) >= 0);
        }
}

/* Both know of the session, or neither does, when the network dies in the middle of the join. */
TEST(a_join_that_is_cut_off_fails_on_both_sides_or_on_none) {
    for (int from = 0; from < 6; from++)
        for (int side = ALL; side < 2; side++) {
            static scene c;
            bool whole;
            scene_open(&c);
            c.s.lose_side = side;
            c.s.lose_from = from;
            c.s.lose_count = 1 << 20;
            c.t.w.desc.join_timeout = 5;
            scene_pair(&c);
            scene_ask(&c, c.t.client, c.t.server);
            world_run(&c.t.w, 40);
            whole = told(&c, c.t.server, WISP_JOINED) > 0;
            CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 0);
            CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), whole);
            CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
            CHECK_EQ_INT(slots(c.t.server) + slots(c.t.client), 0);
            scene_close(&c);
        }
}

/* --- a mesh --- */

enum { MESH = 8 };

static void mesh_run(uint64_t seed, wisp_joins joins, double apart) {
    static scene c;
    uint64_t random = seed;
    double when[MESH];
    scene_open(&c);
    c.t.w.desc.joins = joins;
    c.t.w.bad = true;
    c.t.w.unchecked = seed % 4 != 0;
    c.t.w.net.seed = seed * 77;
    c.t.w.net.latency = 0.05;
    c.t.w.net.jitter = 0.1;
    c.t.w.net.loss = 0.15;
    c.t.w.net.duplicate = 0.1;
    for (int i = 0; i < MESH; i++) {
        c.t.w.desc.seed = test_random(&random);
        scene_add(&c);
        when[i] = apart * test_random_unit(&random);
    }
    for (int step = 0; step < 800; step++) {
        world_step(&c.t.w);
        for (int i = 0; i < MESH; i++) {
            if (c.t.w.now < when[i]) continue;
            when[i] = 1e9;
            for (int k = 0; k < MESH; k++)
                if (k != i) scene_ask(&c, c.t.w.ends[i], c.t.w.ends[k]);
        }
    }
    for (int i = 0; i < MESH; i++) {
        CHECK_EQ_INT(wisp_peers(c.t.w.ends[i], NULL, 0), MESH - 1);
        CHECK_EQ_INT(told(&c, c.t.w.ends[i], WISP_JOINED), MESH - 1);
        CHECK_EQ_INT(told(&c, c.t.w.ends[i], WISP_LEFT), 0);
    }
    scene_close(&c);
}

TEST(all_of_a_mesh_join_all_and_each_pair_has_one_session) {
    for (uint64_t seed = 1; seed <= 8; seed++)
        for (int apart = 0; apart < 3; apart++)
            mesh_run(seed, apart == 1 ? WISP_JOINS_OPEN : WISP_JOINS_AUTO, 0.3 * apart);
}

static const test_case tests[] = {
    CASE(requests_from_anywhere_store_nothing),
    CASE(responses_without_a_good_cookie_store_nothing),
    CASE(a_cookie_is_good_at_its_address_for_its_time),
    CASE(a_cookie_is_good_for_its_nonce_alone),
    CASE(a_join_survives_the_loss_of_any_packet),
    CASE(a_join_survives_the_loss_of_several_packets),
    CASE(a_join_survives_doubled_packets),
    CASE(joins_survive_a_bad_network),
    CASE(no_answer_is_larger_than_what_it_answers),
    CASE(a_request_smaller_than_the_rule_gets_no_answer),
    CASE(a_damaged_request_gets_no_challenge),
    CASE(a_damaged_response_opens_nothing),
    CASE(packets_cut_short_anywhere_do_nothing),
    CASE(responses_that_end_early_are_bad),
    CASE(answers_that_are_damaged_or_cut_short_change_nothing),
    CASE(answers_with_another_nonce_or_from_elsewhere_change_nothing),
    CASE(session_packets_cut_short_or_damaged_are_dropped),
    CASE(random_handshake_packets_with_a_right_check_take_no_memory),
    CASE(joins_work_at_any_round_trip_and_rate),
    CASE(a_join_that_is_cut_off_fails_on_both_sides_or_on_none),
    CASE(all_of_a_mesh_join_all_and_each_pair_has_one_session)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
