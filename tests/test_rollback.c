/* test_rollback.c - games between peers: all run the same inputs, whatever the network does

   The test of many seeds plays ROLLBACK_SEEDS of them (environment; 24): `make rollback`. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <stdlib.h>
#include "support/test_runner.h"
#include "support/bottleneck.h"
#include "support/watched_memory_and_link.h"
#include "support/rollback_band.h"

/* --- all go on alike --- */

TEST(two_play_the_same_game) {
    static band t;
    band_open(&t, 2, 1);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 5);
    band_same(&t);
    for (int i = 0; i < 2; i++) {
        wisp_rollback_stats s = band_stats(&t, i);
        CHECK(s.confirmed > 285 && s.tick - s.confirmed < 8);
        CHECK(s.hashed > 50 && s.rollbacks > 10 && s.ran_again > s.rollbacks);
        CHECK(s.stalls == 1);                         /* until the other has begun */
        CHECK_EQ_INT(s.changed, 0);
        CHECK_EQ_INT(s.present, 3);
        CHECK_EQ_INT(t.ends[i].stalled, 1);
        CHECK_EQ_INT(t.ends[i].resumed, 1);
    }
    band_close(&t);
}

/* A random network and game. */
static void rollback_seed(uint64_t seed) {
    static band t;
    static const int sizes[] = { 2, 2, 3, 8 };
    int players = sizes[seed % 4], watchers = seed % 3 == 0;
    double long_enough = players == 8 ? 2.5 : 4;
    bool good;
    band_open_with(&t, players, players + watchers, seed, NULL);
    for (int i = 0; i < t.count; i++) {
        uint64_t r = band_mix(seed * 16 + (uint64_t)i + 7);
        bn_way *way = t.net.ways[i];
        way->delay = 0.005 + 0.001 * (double)(r % 80);
        way->jitter = 0.001 * (double)(r >> 8 & 31);
        way->loss = r >> 16 & 3 ? 0.1 * (double)(r >> 20 & 255) / 255 : 0;
        way->burst = r >> 28 & 1 ? 3 : 0;
        way->reorder = r >> 29 & 1 ? 0.1 : 0;
        way->late = 0.05;
        way->duplicate = r >> 30 & 1 ? 0.05 : 0;
        t.ends[i].desc.delay = (int)(r >> 32) & 7;
        t.ends[i].desc.window = (r >> 36 & 7) == 0 ? -1 : 1 + (int)(r >> 40 & 15);
        t.ends[i].desc.save_every = 1 + (int)(seed >> 3) % 3;
        t.ends[i].every = 1 + (int)(r >> 48 & 15);
        if (r >> 52 & 1) t.net.ends[t.at[i]]->period *= 1 + 0.02 * (double)(r >> 53 & 7);
    }
    band_join(&t);
    band_begin(&t);
    band_run(&t, long_enough);
    if (players > 2 && seed % 5 == 0) {
        t.ends[1].gone = true;
        if (seed % 2) bn_destroy(&t.net, t.at[1]);
        else wisp_rollback_end(t.ends[1].w);
        t.ends[1].playing = false;
    }
    band_run(&t, 1);
    good = band_same(&t);
    good = CHECK(band_confirmed(&t) > 20) && good;
    if (!good) printf("  seed %d, %d players\n", (int)seed, players);
    band_close(&t);
}

TEST(any_network_leaves_all_with_the_same_inputs) {
    const char *given = getenv("ROLLBACK_SEEDS");
    int seeds = given ? atoi(given) : 24;
    for (int seed = 1; seed <= seeds; seed++) rollback_seed((uint64_t)seed);
}

TEST(every_window_and_delay_plays) {
    static band t;
    for (int window = -1; window <= 16; window++) {
        for (int delay = 0; delay <= 8; delay += 2) {
            band_open(&t, 2, (uint64_t)(window * 16 + delay + 17));
            for (int i = 0; i < 2; i++) {
                t.ends[i].desc.window = window;
                t.ends[i].desc.delay = delay;
                t.net.ways[i]->loss = 0.05;
            }
            band_join(&t);
            band_begin(&t);
            band_run(&t, 3);
            band_same(&t);
            for (int i = 0; i < 2; i++) {
                int most = window < 0 ? 0 : window ? window : 8;
                CHECK(t.ends[i].most_again <= most);
                if (window < 0) CHECK_EQ_INT(t.ends[i].loads, 0);
                if (!CHECK(band_stats(&t, i).confirmed > (delay + most >= 4 ? 100 : 25)))
                    printf("  window %d delay %d: tick %d\n", window, delay,
                           (int)band_stats(&t, i).confirmed);
            }
            band_close(&t);
        }
    }
}

TEST(ticks_wrap_on_the_wire) {
    static const int64_t firsts[] = { 65536 - 60, ((int64_t)1 << 32) - 60, (int64_t)1 << 40 };
    static band t;
    for (int k = 0; k < 3; k++) {
        band_open_with(&t, 2, 3, 5, NULL);
        for (int i = 0; i < 3; i++) t.ends[i].desc.first_tick = firsts[k];
        band_join(&t);
        band_begin(&t);
        band_run(&t, 3);
        band_same(&t);
        CHECK(band_confirmed(&t) > firsts[k] + 100);
        band_close(&t);
    }
}

TEST(who_is_ahead_waits_a_call_now_and_then) {
    static band t;
    wisp_rollback_stats a, b;
    band_open(&t, 2, 3);
    t.ends[0].desc.window = t.ends[1].desc.window = 16;
    t.net.ends[t.at[1]]->period = 1 / 57.0;             /* a slow host */
    band_join(&t);
    band_begin(&t);
    band_run(&t, 20);
    band_same(&t);
    a = band_stats(&t, 0);
    b = band_stats(&t, 1);
    CHECK(a.waits > 40 && a.waits < 75);                /* 3 a second */
    CHECK(b.waits <= 2);
    CHECK(a.stalls <= 1 && b.stalls <= 1);
    CHECK(a.tick - b.tick <= 3 && b.tick - a.tick <= 3);
    band_close(&t);
}

TEST(a_host_that_freezes_for_two_seconds_goes_on) {
    static band t;
    int64_t before;
    band_open(&t, 3, 4);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 2);
    before = band_stats(&t, 0).tick;
    band_freeze(&t, 2, true);
    band_run(&t, 2);
    CHECK(band_stats(&t, 0).tick < before + 16);
    CHECK_EQ_INT(t.ends[0].result, 0);
    CHECK_EQ_INT(t.ends[0].stalled - t.ends[0].resumed, 1);
    band_freeze(&t, 2, false);
    band_run(&t, 2);
    CHECK(band_stats(&t, 0).tick > before + 100);
    CHECK_EQ_INT(t.ends[0].stalled, t.ends[0].resumed);
    CHECK_EQ_INT(band_stats(&t, 0).present, 7);
    band_same(&t);
    band_close(&t);
}

/* --- saving, guessing, comparing --- */

TEST(sparse_saving_saves_less_and_goes_back_further) {
    static band t;
    int saves[2];
    for (int sparse = 0; sparse < 2; sparse++) {
        band_open(&t, 2, 9);
        for (int i = 0; i < 2; i++) t.ends[i].desc.save_every = sparse ? 4 : 0;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 4);
        band_same(&t);
        CHECK(band_stats(&t, 0).hashed > (sparse ? 15 : 20));
        saves[sparse] = t.ends[0].saves;
        band_close(&t);
    }
    CHECK(saves[1] * 3 < saves[0]);
}

static void rollback_predict(void *user, int player, int64_t tick, const void *last, void *out) {
    band_end *e = (band_end *)user;
    band_input *in = (band_input *)out;
    CHECK(memcmp(last, out, sizeof *in) == 0);
    CHECK(player == 1 - e->index);
    in->buttons = (uint16_t)(tick * 7 + player);
    in->x = in->y = 0;
}

/* The inputs follow from the tick, so that who knows how guesses all right: nothing runs again. Of
   a guess that is wrong for ticks that divide by 16, those alone run again. */
static void rollback_predicted_tick(bn_net *net, int end) {
    band_end *e = &((band *)net->user)->ends[end];
    int64_t tick = e->w->rollback ? e->w->rollback->tick : 0;
    memset(&e->input, 0, sizeof e->input);
    rollback_predict(e, 1 - end, tick + e->desc.delay, &e->input, &e->input);
    e->input.buttons = (uint16_t)(e->input.buttons - (1 - end) + end);
    if (tick % 16 == 0 && e->unsaved) e->input.x = 1;
    e->every = 1 << 30;
    band_tick(net, end);
}

TEST(a_game_may_guess_better) {
    static band t;
    uint64_t again[3];
    for (int how = 0; how < 3; how++) {
        band_open(&t, 2, 10);
        for (int i = 0; i < 2; i++) {
            if (how) t.ends[i].desc.predict = rollback_predict;
            t.ends[i].unsaved = how == 2;
        }
        t.net.tick = rollback_predicted_tick;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 2);
        band_same(&t);
        CHECK(band_confirmed(&t) > 100);
        again[how] = band_stats(&t, 0).rollbacks;
        band_close(&t);
    }
    CHECK(again[0] > 100);
    CHECK_EQ_INT(again[1], 0);
    CHECK(again[2] >= 6 && again[2] <= 8);
}

TEST(a_state_that_differs_is_told_with_its_tick) {
    static band t;
    band_open(&t, 2, 11);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 2);
    CHECK_EQ_INT(t.ends[0].desyncs + t.ends[1].desyncs, 0);
    t.ends[0].unsteady = true;
    t.ends[0].unsaved = 1000;
    band_run(&t, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(t.ends[i].desyncs, 1);
        CHECK_EQ_INT(t.ends[i].desync_tick, t.ends[0].desync_tick);
        CHECK_EQ_INT(t.ends[i].dumps, 1);
        CHECK(t.ends[i].hashes[0] == t.ends[!i].hashes[1] && t.ends[i].hashes[0]);
        CHECK(t.ends[i].hashes[0] != t.ends[i].hashes[1]);
    }
    CHECK(t.ends[0].desync_tick > 100 && t.ends[0].desync_tick < 140);
    band_close(&t);
}

TEST(a_sync_test_finds_state_that_is_not_saved) {
    static band t;
    for (int bad = 0; bad < 2; bad++) {
        band_open(&t, 2, 12);
        for (int i = 0; i < 2; i++) t.ends[i].desc.sync_test = true;
        t.ends[1].unsteady = bad;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 1);
        CHECK_EQ_INT(t.ends[1].desyncs > 0, bad);
        if (!bad) band_same(&t);
        CHECK_EQ_INT(t.ends[1].dumps >= 2, bad);
        band_close(&t);
    }
}

/* All players here: no peer is needed. */
TEST(a_game_on_one_machine_takes_all_inputs_at_once) {
    static band t;
    band_input inputs[4];
    wisp_peer players[4];
    band_open(&t, 4, 13);
    memset(players, 0, sizeof players);
    t.ends[0].desc.sync_test = true;
    t.ends[0].desc.delay = 2;
    CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, &t.ends[0].desc, players, NULL, 0), WISP_OK);
    for (int i = 0; i < 100; i++) {
        for (int p = 0; p < 4; p++) inputs[p].x = (int8_t)(p + 1), inputs[p].buttons = 0;
        for (int p = 0; p < 4; p++) inputs[p].y = (int8_t)i;
        CHECK_EQ_INT(wisp_rollback_step(t.ends[0].w, inputs), 2);
        band_run(&t, 0.02);
    }
    for (int p = 0; p < 4; p++) CHECK_EQ_INT(t.ends[0].state.x[p], 98 * (p + 1));
    CHECK_EQ_INT(t.ends[0].desyncs, 0);
    CHECK_EQ_INT(band_stats(&t, 0).confirmed, 99);
    band_close(&t);
}

/* --- who leaves --- */

/* One of three leaves, at any moment of the window; its last inputs have come to some and not to
   others. */
TEST(a_leave_at_any_tick_ends_with_the_same_inputs) {
    static band t;
    for (int who = 0; who < 3; who++) {
        for (int at = 0; at < 10; at++) {
            int others[2] = { who == 0, who == 2 ? 1 : 2 };
            band_open(&t, 3, (uint64_t)(who * 10 + at + 1));
            for (int i = 0; i < 3; i++) t.ends[i].every = 1;
            for (int i = 0; i < 3; i++) t.net.ways[i]->jitter = 0.04;
            t.net.ways[who]->loss = 0.3;
            band_join(&t);
            band_begin(&t);
            band_run(&t, 1 + at / 60.0);
            t.ends[who].gone = true;
            if (at % 3 == 0) bn_destroy(&t.net, t.at[who]);
            else if (at % 3 == 1) wisp_rollback_end(t.ends[who].w);
            else for (int k = 0; k < 2; k++)
                wisp_leave(t.ends[who].w, t.peers[who][others[k]], NULL);
            t.ends[who].playing = false;
            band_run(&t, 3);
            if (!band_same(&t)) printf("  player %d at %d\n", who, at);
            for (int k = 0; k < 2; k++) {
                const band_end *e = &t.ends[others[k]];
                wisp_rollback_stats s = band_stats(&t, others[k]);
                if (!CHECK(s.confirmed > 180))
                    printf("  player %d at %d: end %d is at %d\n", who, at, others[k],
                           (int)s.confirmed);
                CHECK_EQ_INT(s.present, 7 & ~(1 << who));
                CHECK_EQ_INT(e->holes[170], 1 << who);
                CHECK_EQ_INT(e->holes[40], 0);
            }
            band_close(&t);
        }
    }
}

/* The decider and another one leave in the same moment, each by word or without one. */
TEST(two_that_leave_at_once_are_missed_alike) {
    static band t;
    for (int at = 0; at < 8; at++) {
        band_open(&t, 4, (uint64_t)at + 71);
        for (int i = 0; i < 4; i++) t.net.ways[i]->jitter = 0.04;
        for (int i = 0; i < 4; i++) t.ends[i].every = 1;
        t.net.ways[0]->loss = t.net.ways[2]->loss = 0.3;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 1 + at / 60.0);
        for (int i = 0; i < 3; i += 2) {
            t.ends[i].gone = true;
            t.ends[i].playing = false;
            if (at >> (i / 2) & 1) bn_destroy(&t.net, t.at[i]);
            else wisp_rollback_end(t.ends[i].w);
        }
        band_run(&t, 2);
        if (!band_same(&t)) printf("  at %d\n", at);
        for (int i = 1; i < 4; i += 2) {
            CHECK_EQ_INT(band_stats(&t, i).present, 2 | 8);
            CHECK(band_stats(&t, i).confirmed > 130);
            CHECK_EQ_INT(t.ends[i].holes[120], 1 | 4);
        }
        band_close(&t);
    }
}

/* The decider, and two more, at once and without a word. */
TEST(three_of_eight_that_vanish_are_missed_by_nobody) {
    static const int who[3] = { 0, 1, 5 };
    static band t;
    wisp_desc desc;
    for (int seed = 1; seed <= 2; seed++) {
        memset(&desc, 0, sizeof desc);
        desc.timeout = 2;
        band_open_with(&t, 8, 8, (uint64_t)seed, &desc);
        for (int i = 0; i < 8; i++) t.net.ways[i]->loss = 0.1;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 1);
        for (int k = 0; k < 3; k++) {
            band_freeze(&t, who[k], true);
            t.ends[who[k]].gone = true;
            band_run(&t, 0.03 * (seed - 1));
        }
        band_run(&t, 6);
        band_same(&t);
        for (int i = 2; i < 8; i++) {
            if (i == 5) continue;
            CHECK_EQ_INT(band_stats(&t, i).present, 0xff & ~0x23);
            CHECK(band_stats(&t, i).confirmed > 150);
        }
        band_close(&t);
    }
}

typedef struct rollback_cut { int from, to; bool on; } rollback_cut;

/* Loses what goes between two ends. */
static bool rollback_drop(bn_net *net, void *user, int from, const void *data, int size) {
    (void)net, (void)user, (void)from, (void)data, (void)size;
    return false;
}

/* Ends the session of two ends, as if their path had broken. */
static void rollback_part(band *t, int a, int b) {
    wisp_leave(t->ends[a].w, t->peers[a][b], "no path");
    t->net.ways[0]->drop = rollback_drop;
}

TEST(inputs_go_round_a_path_that_is_broken) {
    static band t;
    band_open(&t, 3, 21);
    for (int i = 0; i < 3; i++) t.ends[i].every = 2;
    band_join(&t);
    band_begin(&t);
    band_run(&t, 1);
    rollback_part(&t, 1, 2);                  /* player 0 still reaches both */
    band_run(&t, 3);
    band_same(&t);
    for (int i = 0; i < 3; i++) {
        CHECK(band_stats(&t, i).confirmed > 200);
        CHECK_EQ_INT(t.ends[i].holes[150], 0);
    }
    band_close(&t);
}

TEST(who_does_not_reach_the_decider_is_out) {
    static band t;
    band_open(&t, 3, 22);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 1);
    rollback_part(&t, 0, 2);                  /* player 1 still reaches both */
    t.ends[2].gone = true;
    band_run(&t, 3);
    band_same(&t);
    CHECK_EQ_INT(t.ends[2].result, WISP_E_CLOSED);
    CHECK(strstr(wisp_why_text(t.ends[2].w), "left behind") != NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(band_stats(&t, i).confirmed > 200);
        CHECK_EQ_INT(t.ends[i].holes[150], 4);
    }
    band_close(&t);
}

/* A player whose session lives but who plays no more. */
TEST(who_stops_playing_is_waited_for_until_the_timeout) {
    static band t;
    band_open(&t, 3, 23);
    for (int i = 0; i < 3; i++) t.ends[i].desc.timeout = 1.5;
    band_join(&t);
    band_begin(&t);
    band_run(&t, 1);
    t.ends[1].playing = false;
    t.ends[1].gone = true;
    band_run(&t, 1);
    CHECK_EQ_INT(t.ends[0].result, 0);
    band_run(&t, 2);
    band_same(&t);
    CHECK(band_stats(&t, 0).confirmed > 90);
    CHECK_EQ_INT(band_stats(&t, 0).present, 5);
    t.ends[1].playing = true;
    band_run(&t, 0.5);
    CHECK_EQ_INT(t.ends[1].result, WISP_E_CLOSED);
    band_close(&t);
}

TEST(another_game_follows_on_the_same_sessions) {
    static band t;
    band_open(&t, 2, 24);
    t.net.ways[0]->jitter = t.net.ways[1]->jitter = 0.05;
    band_join(&t);
    for (int game = 0; game < 20; game++) {
        for (int i = 0; i < 2; i++) {
            t.ends[i].input.buttons = (uint16_t)game;
            memset(t.ends[i].ran, 0, sizeof t.ends[i].ran);
            band_begin_one(&t, i);
            band_run(&t, 0.02 * (game % 4));
        }
        band_run(&t, 1);
        band_same(&t);
        CHECK(band_stats(&t, 0).confirmed > 30);
        for (int i = 0; i < 2; i++) {
            wisp_rollback_end(t.ends[i].w);
            t.ends[i].playing = false;
            CHECK_EQ_INT(band_stats(&t, i).tick, 0);
            CHECK_EQ_INT(wisp_rollback_step(t.ends[i].w, &t.ends[i].input), WISP_E_ARGUMENT);
        }
    }
    band_close(&t);
}

/* --- spectators --- */

TEST(a_spectator_sees_the_same_and_catches_up) {
    static band t;
    wisp_rollback_stats s;
    band_open_with(&t, 2, 4, 31, NULL);
    for (int i = 0; i < 4; i++) t.net.ways[i]->loss = 0.05;
    band_join(&t);
    band_begin(&t);
    band_run(&t, 2);
    band_same(&t);
    band_freeze(&t, 2, true);                /* one is away for five seconds, the other is slow */
    t.net.ends[t.at[3]]->period = 1 / 20.0;
    band_run(&t, 5);
    CHECK(band_stats(&t, 0).confirmed > 390);        /* nobody waits for it */
    band_freeze(&t, 2, false);
    band_run(&t, 5);
    band_same(&t);
    for (int i = 2; i < 4; i++) {
        s = band_stats(&t, i);
        if (!CHECK(s.tick > band_stats(&t, 0).confirmed - 60))
            printf("  end %d is at %d\n", i, (int)s.tick);
        CHECK(s.rollbacks == 0 && s.hashed > 20);
    }
    bn_destroy(&t.net, t.at[0]);              /* its source leaves: it takes the other one */
    t.ends[0].playing = false;
    band_run(&t, 2);
    band_same(&t);
    CHECK(band_stats(&t, 2).tick > 700);
    CHECK_EQ_INT(t.ends[2].holes[700 % PARTY_TICKS], 0);
    bn_destroy(&t.net, t.at[1]);
    t.ends[1].playing = false;
    band_run(&t, 1);
    CHECK_EQ_INT(t.ends[2].result, WISP_E_CLOSED);
    band_close(&t);
}

TEST(a_spectator_that_is_too_late_is_let_go) {
    static band t;
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.timeout = 60;
    band_open_with(&t, 2, 3, 32, &desc);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 1);
    band_freeze(&t, 2, true);
    band_run(&t, 20);
    band_freeze(&t, 2, false);
    band_run(&t, 2);
    CHECK_EQ_INT(t.ends[2].result, WISP_E_CLOSED);
    CHECK(band_stats(&t, 0).confirmed > 1300);
    t.ends[2].gone = true;
    band_same(&t);
    band_close(&t);
}

/* --- errors --- */

TEST(a_desc_that_makes_no_sense_is_refused) {
    static band t;
    wisp_rollback_desc d;
    wisp_peer two[2], none[2], stale[2];
    band_open(&t, 2, 41);
    band_join(&t);
    two[0].id = none[0].id = none[1].id = 0;
    two[1] = t.peers[0][1];
    stale[0].id = 0;
    stale[1].id = two[1].id + (1u << 20);
    CHECK_EQ_INT(wisp_rollback_begin(NULL, &t.ends[0].desc, two, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, NULL, two, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, &t.ends[0].desc, NULL, NULL, 0),
                 WISP_E_ARGUMENT);
    for (int k = 0; k < 12; k++) {
        d = t.ends[0].desc;
        if (k == 0) d.players = 0;
        if (k == 1) d.players = 9;
        if (k == 2) d.delay = 31;
        if (k == 3) d.window = 31;
        if (k == 4) d.input = NULL;
        if (k == 5) d.step = NULL;
        if (k == 6) d.state_bytes = 0;
        if (k == 7) d.first_tick = -1;
        if (k == 11) d.first_tick = INT64_MAX;
        if (k == 8) d.hash_every = 7, d.save_every = 2;
        if (k == 9) d.timeout = -1;
        if (k == 10) d.load = NULL;
        CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, &d, two, NULL, 0), WISP_E_ARGUMENT);
    }
    CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, &t.ends[0].desc, stale, NULL, 0), WISP_E_STALE);
    CHECK_EQ_INT(wisp_rollback_step(t.ends[0].w, &t.ends[0].input), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, &t.ends[0].desc, two, NULL, 0), WISP_OK);
    CHECK_EQ_INT(wisp_rollback_begin(t.ends[0].w, &t.ends[0].desc, two, NULL, 0), WISP_E_BUSY);
    CHECK_EQ_INT(wisp_rollback_step(t.ends[0].w, NULL), WISP_E_ARGUMENT);
    wisp_rollback_end(t.ends[0].w);
    wisp_rollback_end(NULL);
    band_close(&t);
}

TEST(lockstep_and_spectators_need_not_save) {
    static band t;
    band_open_with(&t, 2, 3, 46, NULL);
    for (int i = 0; i < 3; i++) {
        t.ends[i].desc.window = -1;
        t.ends[i].desc.delay = 4;
        if (i == 0) continue;
        t.ends[i].desc.save = NULL;
        t.ends[i].desc.load = NULL;
        t.ends[i].desc.state_bytes = 0;
    }
    band_join(&t);
    band_begin(&t);
    band_run(&t, 3);
    band_same(&t);
    CHECK(band_confirmed(&t) > 40);
    CHECK_EQ_INT(band_stats(&t, 0).hashed, 0);
    band_close(&t);
}

TEST(ends_that_play_different_games_say_so) {
    static band t;
    band_open(&t, 2, 42);
    t.ends[1].desc.first_tick = 5;
    band_join(&t);
    band_begin(&t);
    band_run(&t, 0.5);
    for (int i = 0; i < 2; i++) CHECK_EQ_INT(t.ends[i].result, WISP_E_SCHEMA);
    band_close(&t);
}

typedef struct rollback_nested { wisp *w; band_end *e; int results[3]; } rollback_nested;

static void rollback_nesting(void *user, const void *const *inputs, int64_t tick) {
    rollback_nested *n = (rollback_nested *)user;
    (void)inputs, (void)tick;
    n->results[0] = wisp_rollback_step(n->w, &n->e->input);
    n->results[1] = wisp_update(n->w, 1e6);
    n->results[2]++;
    if (n->results[2] == 3) wisp_rollback_end(n->w);
}

static void rollback_no_save(void *user, void *out) { (void)user, (void)out; }
static void rollback_no_load(void *user, const void *state) { (void)user, (void)state; }

TEST(a_step_may_end_the_game_and_not_begin_a_step) {
    static band t;
    rollback_nested n;
    wisp_rollback_desc d;
    wisp_peer here = { 0 };
    band_open(&t, 1, 43);
    memset(&n, 0, sizeof n);
    n.w = t.ends[0].w;
    n.e = &t.ends[0];
    d = t.ends[0].desc;
    d.step = rollback_nesting;
    d.save = rollback_no_save;
    d.load = rollback_no_load;
    d.dump = NULL;
    d.user = &n;
    CHECK_EQ_INT(wisp_rollback_begin(n.w, &d, &here, NULL, 0), WISP_OK);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(wisp_rollback_step(n.w, &n.e->input), 1);
    CHECK_EQ_INT(n.results[0], WISP_E_BUSY);
    CHECK_EQ_INT(n.results[1], WISP_E_BUSY);
    CHECK_EQ_INT(wisp_rollback_step(n.w, &n.e->input), WISP_E_ARGUMENT);
    band_close(&t);
}

/* --- hostile ends --- */

enum { ROLLBACK_OWN, ROLLBACK_OF_US, ROLLBACK_OF_THIRD, ROLLBACK_FUTURE, ROLLBACK_PAST,
       ROLLBACK_FLOOD, ROLLBACK_ACKS, ROLLBACK_GONE, ROLLBACK_DECIDED, ROLLBACK_HASH,
       ROLLBACK_AHEAD, ROLLBACK_LIES };

/* Ten times a second end 2, of three, says something to end 1 that is not so. */
static void rollback_lie(band *t, int lie) {
    uint8_t body[1200];
    wisp__writer to = wisp__writer_on(body, 1000);
    band_head head = band_head_of(t, 2);
    int player = lie == ROLLBACK_OF_US ? 1 : lie == ROLLBACK_OF_THIRD ? 0 : 2;
    int64_t next = t->ends[1].w->rollback->lines[player]->next, tick = next;
    int count = lie == ROLLBACK_FLOOD ? 64 : 4, times = lie == ROLLBACK_FLOOD ? 300 : 1;
    memset(body, 0, sizeof body);
    if (lie == ROLLBACK_OWN) tick = next - 8;
    if (lie == ROLLBACK_FUTURE) tick = next + 20;
    if (lie == ROLLBACK_PAST) tick = next - 400;
    if (lie == ROLLBACK_GONE) head.gone = 1;
    if (lie == ROLLBACK_DECIDED) head.decided = 3, head.ends[0] = head.ends[1] = next - 20;
    if (lie == ROLLBACK_HASH) head.hash = true, head.hash_tick = next + 5000;
    if (lie == ROLLBACK_AHEAD) head.ahead = 127, head.tick += 30000;
    if (lie == ROLLBACK_ACKS) head.acked[0] = head.acked[1] = 1 << 20;
    band_put_head(t, 2, &head, &to);
    if (lie < ROLLBACK_ACKS) band_put_run(t, 2, player, tick, count, head.tick, &to);
    wisp__put(&to, 0, 1);
    while (times-- > 0) band_forge(t, 2, 1, body, (int)((to.at + 7) / 8), 1);
}

TEST(a_player_that_lies_changes_nothing_for_the_others) {
    static band t;
    for (int lie = 0; lie < ROLLBACK_LIES; lie++) {
        band_open(&t, 3, (uint64_t)lie + 61);
        for (int i = 0; i < 3; i++) t.ends[i].desc.timeout = 1;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 1);
        for (int i = 0; i < 10; i++) {
            rollback_lie(&t, lie);
            band_run(&t, 0.1);
            for (int p = 0; p < 3; p++)
                CHECK(t.ends[1].w->rollback->lines[p]->next <= t.ends[1].w->rollback->tick + 64);
        }
        band_run(&t, 3);
        t.ends[2].gone = true;
        /* Inputs that only end 1 has got are a difference, which is told. */
        if (lie == ROLLBACK_FLOOD) CHECK(t.ends[1].desyncs > 0 || band_stats(&t, 1).changed > 0);
        else if (!band_same(&t)) printf("  lie %d\n", lie);
        if (!CHECK(band_stats(&t, 1).tick > 200)) printf("  lie %d\n", lie);
        CHECK((band_stats(&t, 1).present & 3) == 3);
        if (lie <= ROLLBACK_OF_THIRD) CHECK(band_stats(&t, 1).changed >= 10);
        band_close(&t);
    }
}

enum { ROLLBACK_WITHHOLDS, ROLLBACK_DEAF, ROLLBACK_UNDECIDED, ROLLBACK_FAR_END, ROLLBACK_SOURCE,
       ROLLBACK_STALLS };
static int rollback_staller;

static wisp__rollback_link *rollback_link(band *t, int from, int to) {
    wisp *w = t->ends[from].w;
    return wisp__rollback_link_of(w, wisp__session_of(w, t->peers[from][to]));
}

/* An end that plays its part to hold up others: its session lives, and its records are well formed.
   Three players and a spectator. */
static void rollback_stall_tick(bn_net *net, int end) {
    band *t = (band *)net->user;
    wisp__rollback *rb = t->ends[0].w->rollback;
    int64_t ever = INT64_MAX / 4;
    if (net->now < 3 || !rb) {
        band_tick(net, end);
        return;
    }
    if (rollback_staller == ROLLBACK_WITHHOLDS) rollback_link(t, 2, 1)->acked[2] = ever;
    else if (rollback_staller == ROLLBACK_DEAF && end == 1) rollback_link(t, 1, 2)->acked[1] = 60;
    else if (rollback_staller == ROLLBACK_SOURCE)
        for (int p = 0; p < 3; p++) rollback_link(t, 0, 3)->acked[p] = ever;
    else if (rollback_staller == ROLLBACK_UNDECIDED || rollback_staller == ROLLBACK_FAR_END) {
        rb->gone |= 2;
        rb->gone_time = (double)ever;
        rollback_link(t, 0, 2)->gone = 0;
        t->ends[0].playing = !rollback_link(t, 0, 2)->lost;
        if (rollback_staller == ROLLBACK_FAR_END) rb->decided |= 2, rb->ends[1] = 1 << 28;
    }
    band_tick(net, end);
}

/* Two at least go on with each other, also where the first player is the one that stalls. */
TEST(an_end_that_stalls_others_is_gone_round) {
    static band t;
    for (int how = 0; how < ROLLBACK_STALLS; how++) {
        int kept = how == ROLLBACK_UNDECIDED || how == ROLLBACK_FAR_END ? 4 : 3;
        band_open_with(&t, 3, 4, (uint64_t)how + 81, NULL);
        for (int i = 0; i < 4; i++) t.ends[i].desc.timeout = 1;
        rollback_staller = how;
        t.net.tick = rollback_stall_tick;
        band_join(&t);
        band_begin(&t);
        band_run(&t, 9);
        for (int i = 0; i < 4; i++) t.ends[i].gone = i < 3 && !(kept >> i & 1);
        if (kept == 4) t.ends[3].gone = true;
        band_same(&t);
        if (!CHECK(band_confirmed(&t) > 250))
            printf("  stall %d: confirmed %d\n", how, (int)band_confirmed(&t));
        for (int i = 0; i < 3; i++)
            if (kept >> i & 1 &&
                !CHECK((band_stats(&t, i).present & (unsigned)kept) == (unsigned)kept))
                printf("  stall %d: end %d has %u\n", how, i, band_stats(&t, i).present);
        band_close(&t);
    }
}

/* Ends 2 and 3 never say that they have missed a leave. */
static void rollback_mute_tick(bn_net *net, int end) {
    band *t = (band *)net->user;
    for (int i = 2; t->ends[0].playing && i < 4; i++) rollback_link(t, 0, i)->gone = 0;
    band_tick(net, end);
}

TEST(who_says_nothing_about_a_leave_is_out_at_once_with_others_that_do_not) {
    static band t;
    band_open(&t, 5, 91);
    for (int i = 0; i < 5; i++) t.ends[i].desc.timeout = 1;
    t.net.tick = rollback_mute_tick;
    band_join(&t);
    band_begin(&t);
    band_run(&t, 1);
    wisp_rollback_end(t.ends[1].w);
    t.ends[1].playing = false;
    band_run(&t, 1.6);
    for (int i = 1; i < 4; i++) t.ends[i].gone = true;
    band_same(&t);
    for (int i = 0; i < 5; i += 4) CHECK_EQ_INT(band_stats(&t, i).present, 1 | 16);
    CHECK(band_confirmed(&t) > 80);
    band_close(&t);
}

/* Whom the first player dismisses is out; what another one says about that counts for nothing. */
TEST(the_first_player_alone_says_who_is_out) {
    static band t;
    band_open(&t, 3, 62);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 1);
    {
        uint8_t body[200];
        wisp__writer to = wisp__writer_on(body, 180);
        band_head head = band_head_of(&t, 2);
        memset(body, 0, sizeof body);
        head.gone = 2;
        band_put_head(&t, 2, &head, &to);
        wisp__put(&to, 0, 1);
        band_forge(&t, 2, 1, body, (int)((to.at + 7) / 8), 1);
    }
    band_run(&t, 2);
    band_same(&t);
    for (int i = 0; i < 3; i++) CHECK(band_stats(&t, i).confirmed > 150);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(band_stats(&t, i).present, 7);
    band_close(&t);
}

TEST(what_makes_no_sense_ends_the_session) {
    static band t;
    for (int what = 0; what < 3; what++) {
        uint8_t body[1000];
        wisp__writer to = wisp__writer_on(body, 900);
        band_head head;
        memset(body, 0xff, sizeof body);
        band_open(&t, 2, 63);
        band_join(&t);
        band_begin(&t);
        band_run(&t, 1);
        head = band_head_of(&t, 1);
        band_put_head(&t, 1, &head, &to);
        if (what == 1) wisp__put(&to, 0, 1);
        if (what == 2) band_put_run(&t, 1, 1, t.ends[0].w->rollback->lines[1]->next,
                                     WISP__INPUT_SENT + 1, head.tick, &to);
        band_forge(&t, 1, 0, body, (int)(to.at + 7) / 8 - (what ? 0 : 3), what == 1 ? 2 : 1);
        band_run(&t, 0.2);
        CHECK_EQ_INT(wisp_peers(t.ends[0].w, NULL, 0), 0);
        if (!CHECK(t.ends[0].w->base.stats.packets_malformed > 0)) printf("  case %d\n", what);
        band_close(&t);
    }
}

TEST(a_link_that_loses_nothing_plays_too) {
    static band t;
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.link.reliable = true;
    band_open_with(&t, 3, 4, 44, &desc);
    band_join(&t);
    band_begin(&t);
    band_run(&t, 2);
    bn_destroy(&t.net, t.at[1]);
    t.ends[1].playing = false;
    band_run(&t, 2);
    band_same(&t);
    CHECK(band_confirmed(&t) > 200);
    band_close(&t);
}

TEST(without_memory_nothing_has_begun_and_a_tick_comes_later) {
    static band t;
    ledger memory = ledger_none();
    wisp_desc desc;
    wisp_result why = WISP_E_MEMORY;
    int64_t before;
    int failed = 0;
    memset(&desc, 0, sizeof desc);
    desc.memory = ledger_memory(&memory);
    band_open_with(&t, 2, 2, 45, &desc);
    band_join(&t);
    for (int n = 1; n < 20 && why; n++) {
        memory.fail_at = memory.asked + n;
        before = (int64_t)t.ends[0].w->base.stats.memory;
        why = wisp_rollback_begin(t.ends[0].w, &t.ends[0].desc, t.peers[0], NULL, 0);
        if (why) CHECK_EQ_INT(why, WISP_E_MEMORY);
        if (why) CHECK(t.ends[0].w->rollback == NULL);
        if (why) CHECK((int64_t)t.ends[0].w->base.stats.memory <= before + 70000);    /* chunks */
        failed += why != WISP_OK;
    }
    CHECK(failed >= 2);
    CHECK_EQ_INT(why, WISP_OK);
    wisp_rollback_end(t.ends[0].w);
    memory.fail_at = 0;
    band_begin(&t);
    for (int i = 0; i < 30; i++) {
        memory.fail_at = memory.asked + 1 + i % 3;
        band_run(&t, 0.1);
    }
    memory.fail_at = 0;
    band_run(&t, 1);
    band_same(&t);
    CHECK(band_confirmed(&t) > 60);
    band_close(&t);
    CHECK_EQ_INT(memory.out, 0);
}

/* --- figures --- */

TEST(a_packet_of_inputs_is_small_and_takes_no_memory) {
    static band t;
    uint64_t allocations, packets, bytes;
    band_open(&t, 2, 51);
    t.net.ways[0]->delay = t.net.ways[1]->delay = 0.05;
    t.ends[0].every = t.ends[1].every = 10;
    band_join(&t);
    band_begin(&t);
    band_run(&t, 3);
    allocations = t.ends[0].w->base.stats.allocations;
    packets = t.net.ends[t.at[0]]->packets_sent;
    bytes = t.net.ends[t.at[0]]->bytes_sent;
    band_run(&t, 20);
    CHECK_EQ_INT(t.ends[0].w->base.stats.allocations, allocations);
    packets = t.net.ends[t.at[0]]->packets_sent - packets;
    bytes = t.net.ends[t.at[0]]->bytes_sent - bytes;
    CHECK(packets >= 1190 && packets <= 1260);
    if (!CHECK(bytes <= 45 * packets))
        printf("  %.1f bytes in a packet\n", (double)bytes / (double)packets);
    band_same(&t);
    band_close(&t);
}

static const test_case tests[] = {
    CASE(two_play_the_same_game),
    CASE(any_network_leaves_all_with_the_same_inputs),
    CASE(every_window_and_delay_plays),
    CASE(ticks_wrap_on_the_wire),
    CASE(who_is_ahead_waits_a_call_now_and_then),
    CASE(a_host_that_freezes_for_two_seconds_goes_on),
    CASE(sparse_saving_saves_less_and_goes_back_further),
    CASE(a_game_may_guess_better),
    CASE(a_state_that_differs_is_told_with_its_tick),
    CASE(a_sync_test_finds_state_that_is_not_saved),
    CASE(a_game_on_one_machine_takes_all_inputs_at_once),
    CASE(a_leave_at_any_tick_ends_with_the_same_inputs),
    CASE(two_that_leave_at_once_are_missed_alike),
    CASE(three_of_eight_that_vanish_are_missed_by_nobody),
    CASE(inputs_go_round_a_path_that_is_broken),
    CASE(who_does_not_reach_the_decider_is_out),
    CASE(who_stops_playing_is_waited_for_until_the_timeout),
    CASE(another_game_follows_on_the_same_sessions),
    CASE(a_spectator_sees_the_same_and_catches_up),
    CASE(a_spectator_that_is_too_late_is_let_go),
    CASE(a_desc_that_makes_no_sense_is_refused),
    CASE(lockstep_and_spectators_need_not_save),
    CASE(ends_that_play_different_games_say_so),
    CASE(a_step_may_end_the_game_and_not_begin_a_step),
    CASE(a_player_that_lies_changes_nothing_for_the_others),
    CASE(an_end_that_stalls_others_is_gone_round),
    CASE(who_says_nothing_about_a_leave_is_out_at_once_with_others_that_do_not),
    CASE(the_first_player_alone_says_who_is_out),
    CASE(what_makes_no_sense_ends_the_session),
    CASE(a_link_that_loses_nothing_plays_too),
    CASE(without_memory_nothing_has_begun_and_a_tick_comes_later),
    CASE(a_packet_of_inputs_is_small_and_takes_no_memory),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
