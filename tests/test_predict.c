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
} cart_shots;
static cart_shots shots;

static void cart_shoot(carts *t, wisp_event *event, wisp_object o, cart *it) {
    bool server = event->w == t->ends[0].w;
    if (it->kind == 1 && it->steps >= 30) {
        CHECK_EQ_INT(wisp_despawn(event->w, o), WISP_OK);
        CHECK_EQ_INT(wisp_despawn(event->w, o), WISP_E_STALE);
        return;
    }
    if (it->kind || event->tick % 20 || it->steps == 0) return;
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
   server does without goes, and its sound is undone. */
TEST(spawns_and_despawns_are_predicted) {
    cart_shots all = { 0, 0, 0, 0, false };
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static carts t;
        int most = 0;
        memset(&shots, 0, sizeof shots);
        shots.false_shots = seed > 4;
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
        memset(&shots, 0, sizeof shots);
        shots.false_shots = seed > 4;
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

static const test_case tests[] = {
    CASE(honest_physics_are_never_seen_to_be_wrong),
    CASE(pushes_are_corrected_over_bad_networks),
    CASE(a_blocked_mover_is_corrected_under_any_budget),
    CASE(spawns_and_despawns_are_predicted)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
