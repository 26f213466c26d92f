/* test_predict.c - ticks that run ahead of the server, and again where they erred */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <math.h>
#include "support/test_runner.h"
#include "support/watched_memory_and_link.h"
#include "support/bottleneck.h"

/* What moves in each tick, by the same handler on both ends, and turns at walls. */
typedef struct cart {
    float   x, v;
    int32_t steps;
    uint8_t kind;
    uint16_t loads[2];
    int     local;                     /* no field */
} cart;

static const wisp_type cart_load = WISP_T_UINT;

static const wisp_field cart_fields[] = {
    WISP_FIELD(cart, x, WISP_T_QUANTIZED(-200, 200, 0.01)), WISP_FIELD(cart, v, WISP_T_FLOAT),
    WISP_FIELD(cart, steps, WISP_T_RANGE(0, 1 << 20)), WISP_FIELD(cart, kind, WISP_T_RANGE(0, 9)),
    WISP_FIELD(cart, loads, WISP_T_ARRAY(&cart_load, 2))
};
static const wisp_schema cart_schema = WISP_SCHEMA(cart, 1, cart_fields);

enum { CART_TICKS = 4096, CARTS = 80 };

typedef struct carts carts;

/* One end: the server is the first. */
typedef struct cart_end {
    carts     *t;
    wisp      *w;
    wisp_class of;
    int        at, ran, again, updates, most_again, run_again;
    int64_t    last_update;
    bool       mute;                   /* its handler does nothing */
} cart_end;

struct carts {
    bn_net      net;
    cart_end    ends[4];
    int         count, objects;
    wisp_object things[CARTS];
    wisp_class_desc desc;
    wisp_desc   end;
    double      wall;                  /* of the server alone; 0: none */
    void      (*act)(carts *t, wisp_event *event, wisp_object o, cart *it);    /* in addition */
    void      (*push)(carts *t, int64_t tick);         /* on the server, before a tick */
    int         tick_rate, hz;
    cart        truth[CART_TICKS];     /* the first thing at the end of each tick */
    int64_t     first;
};

static void cart_tick(wisp_event *event) {
    cart_end *end = (cart_end *)event->user;
    carts *t = end->t;
    end->ran += !event->replay;
    end->again += event->replay;
    if (event->replay && end->last_update == end->w->objects.updates) end->run_again++;
    else if (event->replay) end->run_again = 1;
    if (event->replay) end->last_update = end->w->objects.updates;
    if (end->run_again > end->most_again) end->most_again = end->run_again;
    CHECK_EQ_INT(event->tick, wisp_tick(event->w));
    if (end->at == 0 && t->push) t->push(t, event->tick);
    if (end->mute) return;
    for (wisp_object o = wisp_first(event->w, end->of); o.id; o = wisp_next(event->w, o)) {
        cart *it = (cart *)wisp_object_edit(event->w, o);
        if (!it || it->kind == 9) continue;
        it->x += it->v * (float)event->step;
        if (it->x > 100 || it->x < -100) it->v = -it->v;
        if (end->at == 0 && t->wall > 0 && (double)it->x > t->wall) it->x = (float)t->wall;
        it->steps++;
        if (t->act) t->act(t, event, o, it);
    }
}

static void carts_open(carts *t, uint64_t seed) {
    memset(t, 0, sizeof *t);
    bn_open(&t->net, seed);
    t->net.user = t;
    t->desc.schema = &cart_schema;
    t->desc.predict = WISP_PREDICT_OWNED;
    t->tick_rate = t->hz = 60;
}

static cart_end *carts_end(carts *t, double one_way, double jitter, double loss) {
    cart_end *end = &t->ends[t->count];
    bn_way *way = bn_way_add(&t->net);
    wisp_desc desc = t->end;
    way->delay = one_way;
    way->jitter = jitter;
    way->loss = loss;
    desc.tick_rate = t->count ? 0 : t->tick_rate;
    end->at = t->count++;
    end->t = t;
    CHECK_EQ_INT(bn_add(&t->net, &desc, t->hz, way, NULL), end->at);
    end->w = bn_wisp(&t->net, end->at);
    end->of = wisp_define(end->w, "cart", &t->desc);
    CHECK(end->of.id && wisp_on_tick(end->w, cart_tick, end).id != 0);
    if (end->at) {
        wisp_addr addr = bn_addr(&t->net, 0);
        CHECK(wisp_join(end->w, &addr, NULL, 0).id != 0);
    }
    return end;
}

static wisp_object carts_spawn(carts *t, int owner, float x, float v) {
    wisp_player player = { 0 };
    cart it;
    memset(&it, 0, sizeof it);
    it.x = x;
    it.v = v;
    if (owner) player = wisp_me(t->ends[owner].w);
    CHECK(!owner || player.id != 0);
    t->things[t->objects] = wisp_spawn(t->ends[0].w, t->ends[0].of, player, &it);
    CHECK(t->things[t->objects].id != 0);
    return t->things[t->objects++];
}

static bool cart_equal(const cart *a, const cart *b) {
    return memcmp(&a->x, &b->x, sizeof a->x) == 0 && memcmp(&a->v, &b->v, sizeof a->v) == 0 &&
           a->steps == b->steps && a->kind == b->kind;
}

/* Are the rows that an end has been told, and its predictions for the same ticks, the server's? */
static int carts_wrong(carts *t, int end) {
    wisp *w = t->ends[end].w;
    int wrong = 0;
    for (int i = 0; i < t->objects; i++) {
        cart here, there;
        if (!wisp_view(t->ends[0].w, t->things[i], WISP_NOW, &there)) continue;
        wrong += !wisp_view(w, t->things[i], WISP_NOW, &here) || !cart_equal(&here, &there);
    }
    return wrong;
}

static wisp_predict_stats carts_stats(const carts *t, int end) {
    wisp_predict_stats stats;
    wisp_stats_predict(t->ends[end].w, &stats);
    return stats;
}

/* All carts stand still, and what is predicted is what is there. */
static void carts_halt(carts *t) {
    for (int i = 0; i < t->objects; i++) {
        cart *it = (cart *)wisp_object_edit(t->ends[0].w, t->things[i]);
        if (it) it->kind = 9;
    }
}

TEST(honest_physics_are_never_seen_to_be_wrong) {
    static const double ways[] = { 0, 0.04, 0.05, 0.3 };
    for (int k = 0; k < TEST_COUNT(ways); k++) {
        static carts t;
        wisp_predict_stats stats;
        carts_open(&t, (uint64_t)k + 1);
        carts_end(&t, ways[k], 0.01, 0.05);
        carts_end(&t, ways[k], 0.01, 0.05);
        bn_run(&t.net, 3);
        for (int i = 0; i < 4; i++) carts_spawn(&t, 1, (float)i, 5);
        bn_run(&t.net, 3);
        stats = carts_stats(&t, 1);
        bn_run(&t.net, k == 1 ? 60 : 10);
        CHECK_EQ_INT(carts_stats(&t, 1).field_count, stats.field_count);
        CHECK_EQ_INT(carts_stats(&t, 1).reconciliations, stats.reconciliations);
        carts_halt(&t);
        bn_run(&t.net, 2);
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
}

/* --- what interferes --- */

static uint64_t cart_random(carts *t) { return bn_random(&t->net); }

/* Now and then a cart gets another speed, by the server alone. */
static void cart_pushes(carts *t, int64_t tick) {
    (void)tick;
    for (int i = 0; i < t->objects; i++) {
        cart *it = cart_random(t) % 40 ? NULL
                                       : (cart *)wisp_object_edit(t->ends[0].w, t->things[i]);
        if (it && it->kind != 9) it->v = (float)(int)(cart_random(t) % 41) - 20;
    }
}

/* What the server has at the end of a tick, and what is told of it later. */
static void cart_keep_truth(carts *t) {
    wisp *w = t->ends[0].w;
    if (t->objects) wisp_view(w, t->things[0], WISP_NOW, &t->truth[wisp_tick(w) % CART_TICKS]);
}

static void cart_compare(bn_net *net, int end) {
    carts *t = (carts *)net->user;
    const wisp__object *o;
    cart told;
    wisp *w = t->ends[end].w;
    if (end == 0) cart_keep_truth(t);
    wisp__objects_check(w);
    o = end && t->objects ? wisp__object_get(w, t->things[0]) : NULL;
    if (!o || !wisp_view(w, t->things[0], WISP_CONFIRMED, &told)) return;
    if (o->tick > t->first && !CHECK(cart_equal(&told, &t->truth[o->tick % CART_TICKS])))
        printf("  tick %d: %g\n", (int)o->tick, (double)told.x);
}

/* Over many seeds of loss, jitter and reorder: what is told is the server's to the bit, ticks run
   again once in an update at most, and after quiet all is equal. */
TEST(pushes_are_corrected_over_bad_networks) {
    for (uint64_t seed = 1; seed <= 24; seed++) {
        static carts t;
        wisp_predict_stats stats;
        double delay = (double)(seed % 6) * 0.04;
        carts_open(&t, seed);
        if (seed % 4 == 3) t.desc.predict = WISP_PREDICT_ALL;
        carts_end(&t, delay, 0.03 * (double)(seed % 3), 0.02 * (double)(seed % 8));
        for (int i = 1; i < 3; i++)
            carts_end(&t, delay, 0.03 * (double)(seed % 3), 0.02 * (double)(seed % 8));
        t.net.ways[1]->reorder = t.net.ways[0]->reorder = 0.1;
        t.net.ways[1]->late = t.net.ways[0]->late = 0.06;
        t.net.ways[0]->duplicate = 0.05;
        bn_run(&t.net, 3);
        t.first = wisp_tick(t.ends[0].w);
        for (int i = 0; i < 6; i++) carts_spawn(&t, 1 + i % 2, (float)(i * 9), (float)i);
        t.push = cart_pushes;
        t.net.ticked = cart_compare;
        bn_run(&t.net, 12);
        stats = carts_stats(&t, 1);
        CHECK(stats.reconciliations > 10 && stats.ticks_again >= stats.reconciliations);
        CHECK(stats.most_again <= 64 && t.ends[1].most_again <= stats.most_again);
        CHECK_EQ_INT(stats.given_up, 0);
        CHECK_EQ_INT(stats.objects, t.desc.predict == WISP_PREDICT_ALL ? 6 : 3);
        CHECK_EQ_INT(t.ends[0].again, 0);
        CHECK_EQ_INT(t.ends[1].again, stats.ticks_again);
        for (int i = 0; i < stats.field_count; i++)
            CHECK(stats.fields[i].count > 0 && stats.fields[i].most < 250);
        t.push = NULL;
        carts_halt(&t);
        bn_run(&t.net, 2);
        if (!CHECK_EQ_INT(carts_wrong(&t, 1) + carts_wrong(&t, 2), 0))
            printf("  seed %d\n", (int)seed);
        bn_close(&t.net);
    }
}

/* --- a wall that the server alone knows --- */

static double cart_seen(const carts *t, int end) {
    cart seen;
    memset(&seen, 0, sizeof seen);
    return wisp_view(t->ends[end].w, t->things[0], WISP_NOW, &seen) ? (double)seen.x : 0;
}

/* Though hundreds of other objects and messages fill what little may be sent, who walks into it is
   back within a round trip, some ticks and what the wall lets pass. */
TEST(a_blocked_mover_is_corrected_under_any_budget) {
    for (int budget = 0; budget < 3; budget++) {
        static carts t;
        double most = 0, over = 0;
        wisp_object mover;
        carts_open(&t, 11);
        carts_end(&t, 0.05, 0.01, 0);
        carts_end(&t, 0.05, 0.01, 0);
        if (budget) t.net.ways[0]->rate = budget == 1 ? 20000 : 60000;
        t.net.ways[0]->queue = 3000;
        bn_run(&t.net, 3);
        for (int i = 0; i < 60 && budget; i++) carts_spawn(&t, 0, (float)i, (float)(i % 7 + 1));
        bn_run(&t.net, 2);
        mover = carts_spawn(&t, 1, 0, 20);
        t.things[t.objects - 1] = t.things[0];
        t.things[0] = mover;
        t.wall = 30;
        bn_run(&t.net, 1);
        for (int i = 0; i < 300; i++) {
            bn_run(&t.net, 1.0 / 60);
            over = cart_seen(&t, 1) - t.wall;
            if (over > most) most = over;
        }
        if (!CHECK(most < 20 * (0.1 + 6.0 / 60))) printf("  budget %d: %g\n", budget, most);
        CHECK(over < 20 * (0.1 + 6.0 / 60));
        bn_close(&t.net);
    }
}

/* --- spawns and despawns --- */

/* Each 20th tick a cart lets another one go, which lives for 30 ticks, on both ends. `false_shots`:
   if it moves to the right, which the server may know better. */
typedef struct cart_shots {
    int undone, first, spawned, shots;
    bool false_shots;
    int life[2], every;                /* ticks: at the server, at its client; between two */
} cart_shots;
static cart_shots shots;

static void cart_shoot(carts *t, wisp_event *event, wisp_object o, cart *it) {
    bool server = event->w == t->ends[0].w;
    if (it->kind == 1 && it->steps >= shots.life[!server]) {
        CHECK_EQ_INT(wisp_despawn(event->w, o), WISP_OK);
        CHECK_EQ_INT(wisp_despawn(event->w, o), WISP_E_STALE);
        return;
    }
    if (it->kind || event->tick % shots.every || it->steps == 0) return;
    if (shots.false_shots && it->v < 0) return;
    {
        cart made;
        wisp_object shot;
        memset(&made, 0, sizeof made);
        made.x = it->x;
        made.v = 30;
        made.kind = 1;
        shot = wisp_spawn(event->w, wisp_class_of(event->w, o), wisp_owner_of(event->w, o), &made);
        CHECK(shot.id != 0);
        if (!server) shots.first += wisp_first_time(event->w, 7);
        shots.shots += server;
    }
}

static void cart_undone(wisp_event *event) {
    shots.undone++;
    CHECK_EQ_INT(wisp_arg_int(event, 0), 7);
    CHECK(strcmp(event->name, WISP_UNDONE) == 0);
}

static wisp_result cart_spawned(wisp_event *event) {
    shots.spawned += event->w == (wisp *)event->user;
    return WISP_OK;
}

static int carts_there(carts *t, int end) {
    int count = 0;
    wisp *w = t->ends[end].w;
    for (wisp_object o = wisp_first(w, t->ends[end].of); o.id; o = wisp_next(w, o)) count++;
    return count;
}

/* What a tick spawns and despawns is there at once, once, and stays the same object; what the
   server does without goes, and its sound is undone. So with what lives for less than a round
   trip, and with what only the client despawns (seeds over 16). */
TEST(spawns_and_despawns_are_predicted) {
    cart_shots all = { 0, 0, 0, 0, false, { 0, 0 }, 0 };
    for (uint64_t seed = 1; seed <= 24; seed++) {
        static carts t;
        cart_shots begin = { 0, 0, 0, 0, (seed - 1) % 8 > 3,
                             { seed > 8 && seed <= 16 ? 4 : 30, seed > 8 ? 4 : 30 }, 20 };
        int most = 0;
        shots = begin;
        carts_open(&t, seed);
        t.desc.spawned = cart_spawned;
        carts_end(&t, 0.06, seed % 2 ? 0.03 : 0, seed % 4 == 3 ? 0.05 : 0);
        carts_end(&t, 0.06, seed % 2 ? 0.03 : 0, seed % 4 == 3 ? 0.05 : 0);
        CHECK(wisp_on(t.ends[1].w, WISP_UNDONE, cart_undone, NULL).id != 0);
        bn_run(&t.net, 3);
        carts_spawn(&t, 1, 0, 3);
        t.act = cart_shoot;
        if (seed % 2 || shots.false_shots) t.push = cart_pushes;
        bn_run(&t.net, 1);
        shots = begin;
        for (int i = 0; i < 400; i++) {
            bn_run(&t.net, 1.0 / 60);
            if (carts_there(&t, 1) > most) most = carts_there(&t, 1);
            wisp__objects_check(t.ends[1].w);
        }
        all.first += shots.first;
        all.shots += shots.shots;
        all.undone += shots.undone;
        CHECK(shots.first >= shots.shots + shots.undone - 2);
        CHECK(shots.first <= shots.shots + shots.undone + 2);
        CHECK(shots.false_shots || !shots.undone);
        if (!CHECK(most <= 4)) printf("  seed %d: %d carts\n", (int)seed, most);
        t.push = NULL;
        t.act = NULL;
        for (wisp_object o = wisp_first(t.ends[0].w, t.ends[0].of); o.id;
             o = wisp_next(t.ends[0].w, o)) {
            cart *it = (cart *)wisp_object_edit(t.ends[0].w, o);
            it->kind = 9;
            t.things[t.objects++] = o;
        }
        bn_run(&t.net, 1.5);
        CHECK_EQ_INT(carts_there(&t, 0), carts_there(&t, 1));
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
    CHECK(all.shots > 80 && all.undone > 0);
}

/* Who spawns something every few ticks, long before the first of it is acked, has its ticks
   confirmed as ever. */
TEST(a_steady_fire_is_confirmed) {
    for (int every = 2; every <= 9; every++) {
        static carts t;
        cart_shots begin = { 0, 0, 0, 0, false, { 30, 30 }, every };
        int64_t most = 0;
        shots = begin;
        carts_open(&t, (uint64_t)every);
        carts_end(&t, 0.1, 0, 0);
        carts_end(&t, 0.1, 0, 0);
        bn_run(&t.net, 3);
        carts_spawn(&t, 1, 0, 3);
        t.act = cart_shoot;
        bn_run(&t.net, 1);
        for (int i = 0; i < 240; i++) {
            const wisp *w = t.ends[1].w;
            bn_run(&t.net, 1.0 / 60);
            if (w->clock.tick - w->clock.settled > most) most = w->clock.tick - w->clock.settled;
        }
        if (!CHECK(most < 30)) printf("  every %d: %d ticks\n", every, (int)most);
        bn_close(&t.net);
    }
}

/* --- with inputs --- */

typedef struct cart_input { int8_t push; uint8_t jump; } cart_input;

static const wisp_field cart_input_fields[] = {
    WISP_FIELD(cart_input, push, WISP_T_RANGE(-1, 1)),
    WISP_FIELD(cart_input, jump, WISP_T_RANGE(0, 9))
};
static const wisp_schema cart_input_schema = WISP_SCHEMA(cart_input, 1, cart_input_fields);

static void cart_sample(wisp *w, void *input, void *user) {
    cart_input *in = (cart_input *)input;
    uint64_t r = wisp__mix((uint64_t)wisp_tick(w) / 9 * 31 + (uint64_t)(uintptr_t)user);
    in->push = (int8_t)((int)(r % 3) - 1);
    in->jump = (uint8_t)(r >> 8 & 7);
}

static void cart_drive(carts *t, wisp_event *event, wisp_object o, cart *it) {
    const cart_input *in = (const cart_input *)wisp_input_for(event->w, o, NULL);
    (void)t;
    if (!in) return;
    it->v += (float)in->push * 0.5f;
    if (it->v > 20) it->v = 20;
    if (it->v < -20) it->v = -20;
    it->x += (float)in->jump * 0.01f;
}

static void carts_inputs(carts *t) {
    for (int i = 0; i < t->count; i++) {
        CHECK_EQ_INT(wisp_use_input(t->ends[i].w, &cart_input_schema), WISP_OK);
        if (i) CHECK(wisp_on_input(t->ends[i].w, cart_sample, (void *)(uintptr_t)i).id != 0);
    }
    t->act = cart_drive;
}

/* 80 ms, 5% loss, a minute: what a player sees of itself is never wrong, as the inputs go so early
   that each comes in time with one of the packets. Where none is lost they go no earlier than half
   a round trip, two ticks and the steps in which packets are read. */
TEST(an_honest_player_sees_no_wrong_move) {
    for (uint64_t seed = 0; seed <= 5; seed++) {
        static carts t;
        double loss = seed ? 0.05 : 0;
        wisp_predict_stats before, after;
        wisp_times_of times;
        carts_open(&t, seed + 1);
        carts_end(&t, 0.04, 0, loss);
        carts_end(&t, 0.04, 0, loss);
        carts_inputs(&t);
        bn_run(&t.net, 6);
        carts_spawn(&t, 1, 0, 0);
        bn_run(&t.net, 6);
        before = carts_stats(&t, 1);
        bn_run(&t.net, seed ? 60 : 10);
        after = carts_stats(&t, 1);
        wisp_times(t.ends[1].w, &times);
        CHECK(after.objects == 1 && t.ends[1].ran > 1000);
        if (!CHECK_EQ_INT(after.reconciliations, before.reconciliations))
            printf("  seed %d\n", (int)seed);
        if (!CHECK(times.lead < (loss > 0 ? 0.17 : 0.04 + 2.5 / 60)))
            printf("  seed %d: %g s\n", (int)seed, times.lead);
        bn_close(&t.net);
    }
}

/* With inputs of all, some of them late: what is told is right, and after quiet all is equal. */
TEST(inputs_of_all_are_predicted) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static carts t;
        double delay = (double)(seed % 3) * 0.05;
        carts_open(&t, seed);
        t.desc.predict = seed % 2 ? WISP_PREDICT_ALL : WISP_PREDICT_OWNED;
        for (int i = 0; i < 3; i++) carts_end(&t, delay, 0.02, 0.03 * (double)(seed % 4));
        carts_inputs(&t);
        bn_run(&t.net, 4);
        t.first = wisp_tick(t.ends[0].w);
        for (int i = 0; i < 4; i++) carts_spawn(&t, 1 + i % 2, (float)i, 1);
        t.net.ticked = cart_compare;
        bn_run(&t.net, 8);
        CHECK(carts_stats(&t, 1).most_again <= 64);
        t.act = NULL;
        carts_halt(&t);
        bn_run(&t.net, 2);
        if (!CHECK_EQ_INT(carts_wrong(&t, 1) + carts_wrong(&t, 2), 0))
            printf("  seed %d\n", (int)seed);
        bn_close(&t.net);
    }
}

/* --- edges --- */

/* Ticks whose low bits wrap, and a first tick that is confirmed at once. */
TEST(ticks_wrap_while_they_run_ahead) {
    static const int64_t firsts[] = { (INT64_C(1) << 32) - 400, (INT64_C(1) << 31) - 400, 1 };
    for (int i = 0; i < TEST_COUNT(firsts); i++) {
        static carts t;
        carts_open(&t, 5);
        carts_end(&t, 0.05, 0.02, 0.03);
        t.ends[0].w->clock.tick = firsts[i];
        t.ends[0].w->clock.at = (double)firsts[i];
        carts_end(&t, 0.05, 0.02, 0.03);
        bn_run(&t.net, 3);
        carts_spawn(&t, 1, 0, 3);
        t.push = cart_pushes;
        t.net.ticked = cart_compare;
        t.first = wisp_tick(t.ends[0].w);
        bn_run(&t.net, 8);
        CHECK(carts_stats(&t, 1).reconciliations > 3);
        CHECK_EQ_INT(carts_stats(&t, 1).given_up, 0);
        t.push = NULL;
        carts_halt(&t);
        bn_run(&t.net, 1);
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
}

/* More ticks than may run again: what is confirmed is there, and it goes on. Below that all run,
   and the line of scopes is no longer than the ticks that are not confirmed. */
TEST(what_is_too_far_back_is_given_up) {
    for (int far = 0; far < 2; far++) {
        static carts t;
        wisp_predict_stats stats;
        carts_open(&t, 3);
        carts_end(&t, far ? 0.6 : 0.45, 0, 0.02);
        carts_end(&t, far ? 0.6 : 0.45, 0, 0.02);
        bn_run(&t.net, 8);
        carts_spawn(&t, 1, 0, 3);
        t.push = cart_pushes;
        bn_run(&t.net, 8);
        stats = carts_stats(&t, 1);
        CHECK(far ? stats.given_up > 3 : stats.given_up == 0 && stats.reconciliations > 5);
        CHECK(far || (stats.most_again > 50 && stats.most_again <= 64));
        CHECK(t.ends[1].w->journal.count < 90);
        t.push = NULL;
        carts_halt(&t);
        bn_run(&t.net, 4);
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
}

/* The server's packets stop, and then tell of several ticks late and at once: a second correction
   within the ticks of the first. */
TEST(corrections_overlap) {
    static carts t;
    carts_open(&t, 12);
    carts_end(&t, 0.15, 0.1, 0.2);
    carts_end(&t, 0.05, 0.05, 0.1);
    bn_run(&t.net, 4);
    for (int i = 0; i < 3; i++) carts_spawn(&t, 1, (float)i, 3);
    t.push = cart_pushes;
    t.first = wisp_tick(t.ends[0].w);
    t.net.ticked = cart_compare;
    for (int i = 0; i < 6; i++) {
        t.net.ways[0]->loss = i % 2 ? 0.2 : 1;
        bn_run(&t.net, 0.4);
    }
    CHECK(carts_stats(&t, 1).reconciliations > 3);
    t.push = NULL;
    carts_halt(&t);
    bn_run(&t.net, 3);
    CHECK_EQ_INT(carts_wrong(&t, 1), 0);
    bn_close(&t.net);
}

/* Predictions of what is given away, hidden or despawned go; those of others never are. */
TEST(predictions_end_with_the_right_to_them) {
    static carts t;
    wisp_player other;
    cart seen;
    carts_open(&t, 4);
    for (int i = 0; i < 3; i++) carts_end(&t, 0.05, 0.01, 0.02);
    bn_run(&t.net, 3);
    for (int i = 0; i < 3; i++) carts_spawn(&t, 1, (float)i, 3);
    bn_run(&t.net, 1);
    CHECK_EQ_INT(carts_stats(&t, 1).objects, 3);
    CHECK_EQ_INT(carts_stats(&t, 2).objects, 0);
    CHECK(wisp_object_edit(t.ends[2].w, t.things[0]) == NULL);
    other = wisp_me(t.ends[2].w);
    CHECK_EQ_INT(wisp_give(t.ends[0].w, t.things[0], other), WISP_OK);
    CHECK_EQ_INT(wisp_hide(t.ends[0].w, t.things[1], wisp_to_all()), WISP_OK);
    CHECK_EQ_INT(wisp_despawn(t.ends[0].w, t.things[2]), WISP_OK);
    bn_run(&t.net, 1);
    CHECK_EQ_INT(carts_stats(&t, 1).objects, 0);
    CHECK_EQ_INT(carts_stats(&t, 2).objects, 1);
    CHECK_EQ_INT(carts_there(&t, 1), 1);
    t.objects = 1;
    carts_halt(&t);
    bn_run(&t.net, 1);
    CHECK_EQ_INT(carts_wrong(&t, 1) + carts_wrong(&t, 2), 0);
    CHECK(wisp_view(t.ends[1].w, t.things[0], WISP_SMOOTH, &seen));
    bn_close(&t.net);
}

/* An end that comes back, also to a server with lower ticks, predicts again. */
TEST(an_end_that_joins_again_predicts_again) {
    static carts t;
    wisp_addr addr;
    carts_open(&t, 14);
    carts_end(&t, 0.05, 0.01, 0);
    carts_end(&t, 0.05, 0.01, 0);
    bn_run(&t.net, 3);
    carts_spawn(&t, 1, 0, 3);
    bn_run(&t.net, 1);
    CHECK_EQ_INT(carts_stats(&t, 1).objects, 1);
    wisp_leave(t.ends[1].w, wisp_server(), "back soon");
    bn_run(&t.net, 1);
    CHECK_EQ_INT(carts_stats(&t, 1).objects, 0);
    t.ends[0].w->clock.tick -= 100;
    t.ends[0].w->clock.at -= 100;
    addr = bn_addr(&t.net, 0);
    CHECK(wisp_join(t.ends[1].w, &addr, NULL, 0).id != 0);
    bn_run(&t.net, 4);
    t.objects = 0;
    carts_spawn(&t, 1, 0, 3);
    t.push = cart_pushes;
    bn_run(&t.net, 4);
    CHECK_EQ_INT(carts_stats(&t, 1).objects, 1);
    CHECK(t.ends[1].w->journal.count < 20 && t.ends[1].again > 3);
    t.push = NULL;
    carts_halt(&t);
    bn_run(&t.net, 1);
    CHECK_EQ_INT(carts_wrong(&t, 1), 0);
    bn_close(&t.net);
}

/* --- what is seen --- */

typedef struct cart_sight { double last, leap, least, most; int frames; } cart_sight;
static cart_sight sight;

static void cart_look(bn_net *net, int end) {
    carts *t = (carts *)net->user;
    cart smooth, now;
    double moved;
    if (end != 1 || !wisp_view(t->ends[1].w, t->things[0], WISP_SMOOTH, &smooth)) return;
    CHECK(wisp_view(t->ends[1].w, t->things[0], WISP_NOW, &now));
    moved = (double)smooth.x - sight.last;
    if (sight.frames++ && fabs(moved) > sight.leap) sight.leap = fabs(moved);
    sight.last = (double)smooth.x;
}

static double cart_shift;

static void cart_shifts(carts *t, int64_t tick) {
    cart *it = cart_shift != 0 ? (cart *)wisp_object_edit(t->ends[0].w, t->things[0]) : NULL;
    (void)tick;
    if (it) it->x += (float)cart_shift;
    cart_shift = 0;
}

/* SMOOTH goes from tick to tick, and an error of 2 is eased: it halves in a tenth of a second. A
   teleport is seen at once. */
TEST(errors_ease_and_teleports_do_not) {
    static carts t;
    static wisp_snapshot insight;
    wisp_profiler profiler = { NULL, NULL, NULL };
    wisp_predict_stats stats;
    carts_open(&t, 6);
    carts_end(&t, 0.05, 0, 0);
    t.hz = 240;
    carts_end(&t, 0.05, 0, 0);
    CHECK_EQ_INT(wisp_use_profiler(t.ends[1].w, &profiler), WISP_OK);
    bn_run(&t.net, 3);
    carts_spawn(&t, 1, 0, 6);
    t.push = cart_shifts;
    bn_run(&t.net, 1);
    memset(&sight, 0, sizeof sight);
    t.net.ticked = cart_look;
    bn_run(&t.net, 1);
    CHECK(sight.frames > 200);
    CHECK(sight.leap < 6.0 / 240 * 2 + 0.02);
    cart_shift = 2;
    bn_run(&t.net, 1);
    CHECK(sight.leap < 6.0 / 240 * 2 + 2 * 0.7 / 24 + 0.02);
    stats = carts_stats(&t, 1);
    CHECK(stats.field_count > 0 && strcmp(stats.fields[0].field, "x") == 0);
    CHECK(strcmp(stats.fields[0].of, "cart") == 0 && fabs(stats.fields[0].most - 2) < 0.02);
    CHECK_EQ_INT(wisp_snapshot_take(t.ends[1].w, NULL, &insight), WISP_OK);
    CHECK(insight.predicted == 1 && insight.reconciliations == stats.reconciliations);
    CHECK(insight.ticks_again == stats.ticks_again);
    CHECK_EQ_INT(insight.missed_count, stats.field_count);
    CHECK(strcmp(insight.missed[0].name, "cart.x") == 0 && insight.missed[0].count > 0);
    CHECK(fabs((double)insight.missed[0].most - 2) < 0.02);
    CHECK_EQ_INT(wisp_snapshot_take(t.ends[1].w, "other", &insight), WISP_OK);
    CHECK_EQ_INT(insight.missed_count, 0);
    sight.leap = 0;
    cart_shift = 5;
    CHECK_EQ_INT(wisp_teleport(t.ends[0].w, t.things[0]), WISP_OK);
    bn_run(&t.net, 1);
    CHECK(sight.leap > 4.8);
    bn_close(&t.net);
}

/* An angle from just below pi to just above -pi is a small error. */
TEST(errors_of_angles_are_the_short_way) {
    static const float around[2] = { 3.1f, -3.1f };
    wisp__op op;
    const uint8_t *a = (const uint8_t *)&around[0], *b = (const uint8_t *)&around[1];
    memset(&op, 0, sizeof op);
    op.code = WISP__OP_NUMBER;
    op.bytes = 4;
    CHECK(fabs(wisp__op_apart(&op, a, b) - 6.2) < 1e-5);
    op.of_field = WISP_FLAG_ANGLE;
    CHECK(fabs(wisp__op_apart(&op, a, b) - 0.0831853) < 1e-5);
}

/* --- the sync test --- */

static int desyncs, uneven;

static void cart_desync(wisp_event *event) {
    desyncs++;
    CHECK(strcmp(wisp_arg_string(event, 1), "cart.x") == 0 && event->tick > 0);
}

/* In each 10th tick x depends on how often a handler has run. */
static void cart_uneven(carts *t, wisp_event *event, wisp_object o, cart *it) {
    (void)t, (void)o;
    uneven += event->replay;
    if (event->tick % 10 == 0 && event->w == t->ends[1].w) it->x += (float)(event->replay ? 3 : 1);
}

/* Each tick that is predicted runs twice; where it comes to another state, this is told once, and
   the first is what is seen. An honest handler is not told of, and nothing of it changes. */
TEST(a_sync_test_runs_each_tick_twice) {
    for (int bad = 0; bad < 2; bad++) {
        static carts t;
        wisp_predict_stats before;
        carts_open(&t, 7);
        carts_end(&t, 0.04, 0, 0);
        t.end.predict_sync_test = true;
        carts_end(&t, 0.04, 0, 0);
        CHECK(wisp_on(t.ends[1].w, WISP_DESYNC, cart_desync, NULL).id != 0);
        bn_run(&t.net, 4);
        carts_spawn(&t, 1, 0, 3);
        bn_run(&t.net, 1);
        desyncs = 0;
        before = carts_stats(&t, 1);
        if (bad) t.act = cart_uneven;
        bn_run(&t.net, 3);
        CHECK(t.ends[1].again > 150);
        CHECK(bad ? desyncs > 10 && desyncs < 20 : desyncs == 0);
        CHECK(bad || carts_stats(&t, 1).ticks_again == before.ticks_again);
        t.act = NULL;
        carts_halt(&t);
        bn_run(&t.net, 1);
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
}

/* --- memory --- */

TEST(steady_prediction_allocates_nothing) {
    static carts t;
    uint64_t allocations[2];
    carts_open(&t, 8);
    carts_end(&t, 0.05, 0.02, 0.03);
    carts_end(&t, 0.05, 0.02, 0.03);
    bn_run(&t.net, 3);
    for (int i = 0; i < 20; i++) carts_spawn(&t, 1, (float)i, 2);
    t.push = cart_pushes;
    bn_run(&t.net, 8);
    for (int i = 0; i < 2; i++) allocations[i] = t.ends[i].w->base.stats.allocations;
    bn_run(&t.net, 6);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(t.ends[i].w->base.stats.allocations, allocations[i]);
    CHECK(carts_stats(&t, 1).reconciliations > 50);
    bn_close(&t.net);
}

/* Any one allocation of the end that predicts fails: later all is right. */
TEST(any_one_allocation_of_predictions_may_fail) {
    bool done = false;
    for (int fail = 1; fail < 60 && !done; fail++) {
        static carts t;
        ledger memory = ledger_none();
        carts_open(&t, 9);
        carts_end(&t, 0.03, 0, 0);
        t.end.memory = ledger_memory(&memory);
        carts_end(&t, 0.03, 0, 0);
        bn_run(&t.net, 2);
        memory.fail_at = memory.asked + fail;
        for (int i = 0; i < 6; i++) carts_spawn(&t, 1, (float)i, 2);
        t.push = cart_pushes;
        bn_run(&t.net, 1.5);
        done = memory.asked < memory.fail_at;
        memory.fail_at = 0;
        t.push = NULL;
        carts_halt(&t);
        bn_run(&t.net, 1.5);
        if (wisp_peers(t.ends[1].w, NULL, 0) && !CHECK_EQ_INT(carts_wrong(&t, 1), 0))
            printf("  allocation %d\n", fail);
        bn_close(&t.net);
        CHECK_EQ_INT(memory.out, 0);
    }
    CHECK(done);
}

/* --- optimistic calls among ticks --- */

/* boost(n): the first cart makes 1,000 steps at once; the server refuses every `cart_refuses`. */
static struct { int made, refused, ran[2], replies, later, failed, back, forward, last; } boosts;
static int cart_refuses;

static void cart_boost(wisp_event *event) {
    carts *t = (carts *)event->user;
    bool server = event->w == t->ends[0].w;
    cart *it = (cart *)wisp_object_edit(event->w, t->things[0]);
    boosts.ran[server] += !event->replay;
    boosts.later += event->replay;
    if (it) it->steps += 1000;
    if (server && cart_refuses && wisp_arg_int(event, 0) % cart_refuses == 0)
        wisp_refuse(event, WISP_E_USER, "no");
}

static void cart_boosted(wisp_event *event) {
    boosts.replies++;
    boosts.refused += event->result != WISP_OK;
}

static wisp_call cart_call(carts *t, double timeout) {
    wisp_value n = wisp_int(boosts.made + 1);
    wisp_call_desc desc = { cart_boosted, t, timeout, 0, NULL, cart_boost };
    wisp_peer server = { 0 };
    wisp_peers(t->ends[1].w, &server, 1);
    return wisp_invoke_values(t->ends[1].w, "boost", wisp_to_peer(server), &desc, &n, 1);
}

/* In a tick's handler: a call now and then, which a replay must not make anew. */
static void cart_calls(carts *t, wisp_event *event, wisp_object o, cart *it) {
    wisp *w = t->ends[1].w;
    wisp_call call;
    (void)it;
    if (event->w != w || o.id != t->things[0].id || event->tick % 50) return;
    call = cart_call(t, 5);
    if (!event->replay) boosts.made++;
    boosts.failed += event->replay ? !call.id && wisp_why(w) != WISP_E_STALE : !call.id;
}

/* What is seen after an update is a tick's steps more, or a boost more or less. */
static void cart_watch(bn_net *net, int end) {
    carts *t = (carts *)net->user;
    cart seen;
    int off;
    if (end != 1 || !t->objects || !wisp_view(t->ends[1].w, t->things[0], WISP_NOW, &seen)) return;
    off = seen.steps - boosts.last;
    boosts.last = seen.steps;
    boosts.back += off < -500;
    boosts.forward += off > 500;
}

static void carts_boost(carts *t, uint64_t seed, double delay, double loss) {
    memset(&boosts, 0, sizeof boosts);
    carts_open(t, seed);
    for (int i = 0; i < 2; i++) {
        carts_end(t, delay, loss > 0 ? 0.02 : 0, loss);
        wisp_on_invoke(t->ends[i].w, "boost", cart_boost, t);
    }
    bn_run(&t->net, 3);
    carts_spawn(t, 1, 0, 3);
    carts_spawn(t, 1, 5, 3);
    t->net.ticked = cart_watch;
    bn_run(&t->net, 2);
}

TEST(a_call_of_a_tick_is_made_once_however_often_the_tick_runs) {
    for (uint64_t seed = 1; seed <= 24; seed++) {
        static carts t;
        double loss = 0.06 * (double)(seed % 3);
        bool pushed = seed % 2 != 0;               /* ticks run again for other reasons */
        cart_refuses = seed % 4 == 3 ? 3 : 0;
        carts_boost(&t, seed, 0.02 * (double)(seed % 5), loss);
        t.act = cart_calls;
        t.push = pushed ? cart_pushes : NULL;
        bn_run(&t.net, 12);
        t.act = NULL;
        t.push = NULL;
        bn_run(&t.net, 1);
        carts_halt(&t);
        bn_run(&t.net, 2);
        CHECK(boosts.made >= 13 && boosts.failed == 0);
        CHECK_EQ_INT(boosts.ran[0], boosts.made);
        CHECK_EQ_INT(boosts.ran[1], boosts.made);
        CHECK_EQ_INT(boosts.replies, boosts.made);
        CHECK_EQ_INT(boosts.refused, cart_refuses ? boosts.made / cart_refuses : 0);
        CHECK_EQ_INT(boosts.forward - boosts.made, boosts.back - boosts.refused);
        CHECK_EQ_INT(boosts.back, boosts.refused);  /* none counts twice, even for one update */
        if (loss <= 0 && !pushed && !cart_refuses) CHECK_EQ_INT(boosts.later, 0);
        CHECK_EQ_INT(t.ends[1].w->calls.attempts, 0);
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
}

/* Nothing comes from the server for half a second, or nothing goes to it: the call stays here until
   its answer comes late, or its time is over. */
TEST(an_answer_that_is_lost_or_late_among_ticks) {
    for (int k = 0; k < 6; k++) {
        static carts t;
        bn_way *way;
        double timeout = k % 3 == 2 ? 0.2 : 5;
        bool yes = k % 3 == 0;
        cart_refuses = k % 3 == 1;
        carts_boost(&t, 3, 0.03, 0);
        way = t.net.ways[k >= 3];
        if (k >= 3) way->loss = 1;
        CHECK(cart_call(&t, timeout).id != 0);
        boosts.made++;
        bn_run(&t.net, 0.02);
        way->loss = 1;
        bn_run(&t.net, 0.15);
        CHECK(boosts.forward == 1 && boosts.back == 0 && boosts.replies == 0);
        bn_run(&t.net, 0.35);
        CHECK_EQ_INT(boosts.replies, timeout < 1);
        CHECK_EQ_INT(boosts.back, timeout < 1);
        way->loss = 0;
        bn_run(&t.net, 2.5);
        CHECK_EQ_INT(boosts.refused, !yes);
        CHECK_EQ_INT(boosts.forward - boosts.back, k % 3 != 1);    /* the server has done it */
        CHECK(boosts.forward <= 2 && t.ends[1].w->calls.attempts == 0);
        CHECK_EQ_INT(t.ends[1].w->journal.bytes > 0, true);
        carts_halt(&t);
        bn_run(&t.net, 1);
        CHECK_EQ_INT(carts_wrong(&t, 1), 0);
        bn_close(&t.net);
    }
}

/* --- effects --- */

static struct { int first, again, undone, odd, few; } effects;

/* Thousands of numbers in a mixed order; where a tick runs again the even ones alone. */
static void cart_effects(carts *t, wisp_event *event, wisp_object o, cart *it) {
    (void)it;
    if (event->w == t->ends[0].w || o.id != t->things[0].id) return;
    for (uint32_t i = 0; i < (effects.few ? 20u : 1500u); i++) {
        uint32_t number = i * 2654435761u;
        if (event->replay && i % 2) continue;
        effects.first += wisp_first_time(event->w, number);
        effects.again += wisp_first_time(event->w, number);
        effects.odd += i % 2 && !event->replay;
    }
}

static void cart_effect_undone(wisp_event *event) {
    effects.undone++;
    CHECK((uint32_t)wisp_arg_uint(event, 0) * 244002641u % 2 == 1);
}

TEST(effects_come_once_however_many_they_are) {
    for (int few = 0; few < 2; few++) {
        static carts t;
        memset(&effects, 0, sizeof effects);
        effects.few = few;
        carts_open(&t, 5);
        for (int i = 0; i < 2; i++) carts_end(&t, few ? 0.05 : 0, 0, 0);
        wisp_on(t.ends[1].w, WISP_UNDONE, cart_effect_undone, NULL);
        bn_run(&t.net, 3);
        carts_spawn(&t, 1, 0, 3);
        bn_run(&t.net, 0.5);
        t.ends[1].again = 0;
        t.act = cart_effects;
        bn_run(&t.net, 1.5);
        CHECK(t.ends[1].again == 0 && effects.undone == 0);
        CHECK(effects.first > (few ? 20 : 1500) * 60);
        CHECK(few ? effects.again == 0 : effects.again < effects.first / 2);
        t.push = cart_pushes;
        bn_run(&t.net, few ? 9 : 0.5);
        t.push = NULL;
        CHECK(!few || (t.ends[1].again > 20 && effects.undone > 20 && effects.again == 0));
        CHECK(effects.undone <= effects.odd);
        CHECK(t.ends[1].w->journal.foresight->effect_room <= WISP__EFFECTS);
        bn_close(&t.net);
    }
}

static const test_case tests[] = {
    CASE(effects_come_once_however_many_they_are),
    CASE(an_answer_that_is_lost_or_late_among_ticks),
    CASE(a_call_of_a_tick_is_made_once_however_often_the_tick_runs),
    CASE(honest_physics_are_never_seen_to_be_wrong),
    CASE(pushes_are_corrected_over_bad_networks),
    CASE(a_blocked_mover_is_corrected_under_any_budget),
    CASE(spawns_and_despawns_are_predicted),
    CASE(a_steady_fire_is_confirmed),
    CASE(an_honest_player_sees_no_wrong_move),
    CASE(inputs_of_all_are_predicted),
    CASE(ticks_wrap_while_they_run_ahead),
    CASE(what_is_too_far_back_is_given_up),
    CASE(corrections_overlap),
    CASE(predictions_end_with_the_right_to_them),
    CASE(an_end_that_joins_again_predicts_again),
    CASE(errors_ease_and_teleports_do_not),
    CASE(errors_of_angles_are_the_short_way),
    CASE(a_sync_test_runs_each_tick_twice),
    CASE(steady_prediction_allocates_nothing),
    CASE(any_one_allocation_of_predictions_may_fail)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
