/* test_view.c - objects as they are, were, and are drawn */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <math.h>
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/bottleneck.h"

/* What moves in most tests: in each tick by 1. */
typedef struct view_thing {
    float x, turn;
    int   hp;
    bool  lit;
} view_thing;

static const wisp_field view_fields[] = {
    WISP_FIELD(view_thing, x, WISP_T_FLOAT),
    WISP_FLAG_FIELD(view_thing, turn, WISP_T_FLOAT, WISP_FLAG_ANGLE),
    WISP_FLAG_FIELD(view_thing, hp, WISP_T_RANGE(0, 1 << 20), WISP_FLAG_STEPPED),
    WISP_FIELD(view_thing, lit, WISP_T_BOOL)
};
static const wisp_schema view_schema = WISP_SCHEMA(view_thing, 1, view_fields);

enum { VIEW_THINGS = 12 };

/* A server with things, and a client that draws the first of them in each of its frames. */
typedef struct view_net {
    bn_net      net;
    int         server_at, client_at;
    wisp       *server, *client;
    wisp_class  of_server, of_client;
    wisp_object things[VIEW_THINGS];
    int         count, moved;          /* moved: the number of the one that moves */
    uint64_t    random;
    int64_t     first, start;          /* the server's ticks at first, and when drawing begins */
    void      (*move)(struct view_net *t, view_thing *it, int64_t tick);   /* NULL: x is the tick */
    void      (*draw)(struct view_net *t, double at, const view_thing *it);
    double      from;                  /* frames before this time are not counted */
    int         frames, starved, back, gone, wrong, checks;
    double      last, behind;          /* the x that was drawn; sum of ticks behind the server */
    int64_t     confirmed;
} view_net;

static uint64_t view_next(view_net *t) {
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    return t->random ^= t->random << 17;
}

static void view_on_tick(wisp_event *event) {
    view_net *t = (view_net *)event->user;
    for (int i = 0; i < t->count; i++) {
        view_thing *it = (view_thing *)wisp_object_edit(event->w, t->things[i]);
        if (!it) continue;
        t->moved = i;
        if (t->move) t->move(t, it, event->tick);
        else it->x = (float)(event->tick - t->first);
    }
}

/* The tick that a client draws of its class. */
static double view_at(const view_net *t) {
    return t->client->clock.smooth - t->client->objects.classes[0]->behind;
}

static void view_ticked(bn_net *net, int end) {
    view_net *t = (view_net *)net->user;
    const wisp__object *o;
    view_thing seen, again;
    if (end != t->client_at || net->now < t->from) return;
    o = wisp__object_get(t->client, t->things[0]);
    if (!o || !wisp_view(t->client, t->things[0], WISP_SMOOTH, &seen)) {
        t->gone++;
        return;
    }
    t->frames++;
    t->starved += view_at(t) >= (double)o->tick;
    t->back += (double)seen.x < t->last;
    t->last = (double)seen.x;
    t->behind += t->server->clock.at + t->server->clock.rate * (net->now - t->server->now) -
                 view_at(t);
    for (int i = 0; i < 3; i++) {              /* to look at it moves nothing */
        CHECK(wisp_view(t->client, t->things[0], WISP_SMOOTH, &again));
        CHECK(memcmp(&again, &seen, sizeof seen) == 0);
    }
    if (t->draw) t->draw(t, view_at(t), &seen);
}

typedef struct view_setup {
    double   tick_rate, class_rate, extrapolate;
    double   one_way, jitter, loss;
    int      server_hz, client_hz, things;
    int64_t  first;                    /* tick of the server */
} view_setup;

static void view_open(view_net *t, const view_setup *s, uint64_t seed) {
    wisp_desc desc;
    wisp_class_desc of;
    wisp_player nobody = { 0 };
    view_thing first;
    memset(t, 0, sizeof *t);
    memset(&of, 0, sizeof of);
    memset(&first, 0, sizeof first);
    bn_open(&t->net, seed);
    t->random = seed * 77 + 1;
    t->net.ticked = view_ticked;
    t->net.user = t;
    t->from = 1e9;
    for (int i = 0; i < 2; i++) {
        bn_way *way = bn_way_add(&t->net);
        memset(&desc, 0, sizeof desc);
        way->delay = s->one_way;
        way->jitter = s->jitter;
        way->loss = s->loss;
        desc.tick_rate = i ? 0 : s->tick_rate;
        *(i ? &t->client_at : &t->server_at) =
            bn_add(&t->net, &desc, i ? s->client_hz : s->server_hz, way, NULL);
    }
    t->server = bn_wisp(&t->net, t->server_at);
    t->client = bn_wisp(&t->net, t->client_at);
    of.schema = &view_schema;
    of.rate = s->class_rate;
    of.extrapolate = s->extrapolate;
    t->of_server = wisp_define(t->server, "thing", &of);
    t->of_client = wisp_define(t->client, "thing", &of);
    CHECK(wisp_on_tick(t->server, view_on_tick, t).id != 0);
    t->start = INT64_MAX / 2;
    t->server->clock.tick = t->first = s->first;
    t->server->clock.at = (double)s->first;
    for (t->count = 0; t->count < wisp__max_int(s->things, 1); t->count++)
        t->things[t->count] = wisp_spawn(t->server, t->of_server, nobody, &first);
}

static void view_join(view_net *t) {
    wisp_addr addr = bn_addr(&t->net, t->server_at);
    CHECK(wisp_join(t->client, &addr, NULL, 0).id != 0);
}

/* Draws for some seconds, after 2 s in which it gets used to the network. */
static void view_draw(view_net *t, double seconds) {
    view_thing seen;
    view_join(t);
    for (int i = 0; i < 400 && !wisp_view(t->client, t->things[0], WISP_NOW, &seen); i++)
        bn_run(&t->net, 0.05);
    bn_run(&t->net, 2);
    t->from = t->net.now;
    t->start = wisp_tick(t->server);
    bn_run(&t->net, seconds);
    CHECK_EQ_INT(t->back, 0);
    CHECK_EQ_INT(t->gone, 0);
}

/* At 80 +- 20 ms and 5% loss less than 0.5% of the frames have no next row, and what is drawn is at
   most 2.5 intervals and the jitter behind what comes, with the half frames of both ends. */
TEST(a_next_row_is_mostly_there) {
    static const view_setup setups[] = {
        { 20, 0, 0, 0.06, 0.04, 0.05, 60, 60, 1, 0 },
        { 60, 20, 0, 0.06, 0.04, 0.05, 60, 60, 1, 0 },      /* the class is slower than the ticks */
        { 60, 0, 0, 0.06, 0.04, 0.05, 20, 60, 1, 0 },       /* three ticks in an update */
        { 60, 0, 0, 0.02, 0.03, 0.02, 60, 144, 1, 0 }
    };
    for (int i = 0; i < TEST_COUNT(setups); i++) {
        const view_setup *s = &setups[i];
        double interval = i == 3 ? 1.0 / 60 : 0.05, most_behind = 0, most_starved = 0;
        double latency = s->one_way + s->jitter / 2 + 0.5 / s->server_hz + 0.5 / s->client_hz;
        for (uint64_t seed = 1; seed <= 6; seed++) {
            view_net t;
            view_open(&t, s, seed);
            view_draw(&t, 20);
            most_starved = wisp__max(most_starved, (double)t.starved / t.frames);
            most_behind = wisp__max(most_behind, t.behind / t.frames / s->tick_rate);
            bn_close(&t.net);
        }
        if (!CHECK(most_starved < 0.005) ||
            !CHECK(most_behind < latency + 2.5 * interval + s->jitter / 2))
            printf("  %d: %.2f%% without a next row, %.1f ms behind, %.1f may be\n", i,
                   100 * most_starved, 1000 * most_behind,
                   1000 * (latency + 2.5 * interval + s->jitter / 2));
    }
}

/* A client's time that runs 1% fast or slow, and a server that slows down, starve nothing. */
TEST(a_wrong_clock_does_not_starve_the_buffer) {
    static const view_setup s = { 20, 0, 0, 0.04, 0.02, 0, 60, 60, 1, 0 };
    for (int fast = -1; fast <= 1; fast++) {
        view_net t;
        view_open(&t, &s, 5);
        view_join(&t);
        bn_run(&t.net, 3);
        t.from = t.net.now;
        for (int i = 0; i < 600; i++) {
            bn_run(&t.net, 1.0 / 60);
            t.client->base.time += fast * 0.01 / 60;
            if (!fast) t.server->clock.at -= 0.01 / 3;
        }
        CHECK_EQ_INT(t.back + t.gone, 0);
        CHECK(t.frames > 590 && t.starved * 200 < t.frames);
        bn_close(&t.net);
    }
}

/* --- between two rows --- */

typedef struct view_inner { float a; int b; } view_inner;
typedef struct view_all {
    double         real;
    float          fine, steps, angle, wide, list[3], counted[3], stepped;
    int16_t        whole;
    int64_t        large;
    uint8_t        count;
    bool           lit;
    uint8_t        mode;
    char           text[8];
    wisp_vec3      place;
    wisp_quat      turn, exact;
    wisp_transform at;
    wisp_color     tint;
    unsigned char  bytes[4];
    view_inner     inner;
    int            local;              /* no field */
} view_all;

static const char *const view_modes[] = { "a", "b", "c", "d", "e" };
static const wisp_field view_inner_fields[] = {
    WISP_FIELD(view_inner, a, WISP_T_FLOAT), WISP_FIELD(view_inner, b, WISP_T_INT32)
};
static const wisp_schema view_inner_schema = WISP_SCHEMA(view_inner, 1, view_inner_fields);
static const wisp_type view_float = WISP_T_FLOAT;
static const wisp_field view_all_fields[] = {
    WISP_FIELD(view_all, real, WISP_T_DOUBLE), WISP_FIELD(view_all, fine, WISP_T_FLOAT),
    WISP_FIELD(view_all, steps, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FLAG_FIELD(view_all, angle, WISP_T_QUANTIZED(-3.5, 3.5, 0.01), WISP_FLAG_ANGLE),
    WISP_FLAG_FIELD(view_all, wide, WISP_T_FLOAT, WISP_FLAG_ANGLE),
    WISP_FIELD(view_all, list, WISP_T_ARRAY(&view_float, 3)),
    WISP_COUNTED_FIELD(view_all, counted, count, WISP_T_ARRAY(&view_float, 3)),
    WISP_FLAG_FIELD(view_all, stepped, WISP_T_FLOAT, WISP_FLAG_STEPPED),
    WISP_FIELD(view_all, whole, WISP_T_RANGE(-100, 100)),
    WISP_FIELD(view_all, large, WISP_T_INT64), WISP_FIELD(view_all, lit, WISP_T_BOOL),
    WISP_FIELD(view_all, mode, WISP_T_ENUM(view_modes, 5)),
    WISP_FIELD(view_all, text, WISP_T_STRING(7)),
    WISP_FIELD(view_all, place, WISP_T_VEC3_QUANTIZED(-100, 100, 0.25)),
    WISP_FIELD(view_all, turn, WISP_T_QUAT(14)), WISP_FIELD(view_all, exact, WISP_T_QUAT(0)),
    WISP_FIELD(view_all, at, WISP_T_TRANSFORM), WISP_FIELD(view_all, tint, WISP_T_COLOR),
    WISP_FIELD(view_all, bytes, WISP_T_COLOR),
    WISP_FIELD(view_all, inner, WISP_T_STRUCT(&view_inner_schema))
};
static const wisp_schema view_all_schema = WISP_SCHEMA(view_all, 1, view_all_fields);

static bool view_near(double a, double b, double off) { return a - b <= off && b - a <= off; }

/* A turn about y. */
static wisp_quat view_about(double radians) {
    wisp_quat q = { 0, (float)sin(radians / 2), 0, (float)cos(radians / 2) };
    return q;
}

static double view_angle_of(wisp_quat q) { return 2 * atan2((double)q.y, (double)q.w); }

/* A server alone: each step is a tick. */
static wisp *view_alone(world *w, const wisp_schema *schema, wisp_class *of) {
    wisp_class_desc desc;
    wisp *server;
    world_open(w);
    w->desc.tick_rate = 50;
    w->step = 0.01;
    server = world_add(w);
    memset(&desc, 0, sizeof desc);
    desc.schema = schema;
    *of = wisp_define(server, "alone", &desc);
    world_step(w);
    world_step(w);
    return server;
}

static void view_change(view_all *b) {
    b->fine = b->steps = b->list[2] = b->counted[1] = b->stepped = 10;
    b->real = 10;
    b->angle = -3.1f;
    b->wide = 6.2f;
    b->whole = -9;
    b->large = INT64_C(1) << 40;
    b->lit = true;
    b->mode = 4;
    strcpy(b->text, "two");
    b->place.y = b->at.position.z = 10;
    b->turn = b->exact = b->at.rotation = view_about(1.8);
    b->exact.y = -b->exact.y;          /* the same rotation, told the other way round */
    b->exact.w = -b->exact.w;
    b->tint.g = 1;
    b->bytes[2] = 200;
    b->inner.a = 10;
    b->inner.b = 40;
}

TEST(each_type_moves_in_its_own_way) {
    world w;
    wisp_class of;
    wisp_player nobody = { 0 };
    wisp *server = view_alone(&w, &view_all_schema, &of);
    view_all a, v;
    wisp_object o;
    double at;
    memset(&a, 0, sizeof a);
    a.turn = a.exact = a.at.rotation = view_about(0.2);
    a.angle = 3.1f;
    a.wide = 0.1f;
    a.count = 2;
    strcpy(a.text, "one");
    a.bytes[2] = 100;
    a.local = 7;
    o = wisp_spawn(server, of, nobody, &a);
    CHECK(o.id != 0);
    world_step(&w);
    view_change((view_all *)wisp_object_edit(server, o));
    w.now += 0.02;
    world_update(&w, 0);
    at = (double)wisp_tick(server);
    CHECK(wisp_past(server, o, at - 0.75, &v));
    CHECK(view_near(v.real, 2.5, 1e-9) && view_near((double)v.fine, 2.5, 1e-6));
    CHECK(view_near((double)v.steps, 2.5, 1e-6) && view_near((double)v.list[2], 2.5, 1e-6));
    CHECK(view_near((double)v.angle, 3.1 + 0.25 * 0.0832, 1e-4));      /* through pi */
    CHECK(view_near((double)v.wide, 0.1 - 0.25 * 0.1832, 1e-4) ||
          view_near((double)v.wide, 6.2832 + 0.1 - 0.25 * 0.1832, 1e-3));
    CHECK_EQ_INT(v.whole, -2);
    CHECK_EQ_INT(v.large, INT64_C(1) << 38);
    CHECK(v.stepped <= 0 && v.counted[1] <= 0 && !v.lit && v.mode == 0 && v.count == 2);
    CHECK(strcmp(v.text, "one") == 0 && v.inner.b == 10);
    CHECK(view_near((double)v.place.y, 2.5, 1e-6) && view_near((double)v.inner.a, 2.5, 1e-6));
    CHECK(view_near((double)v.at.position.z, 2.5, 1e-6));
    CHECK(view_near(view_angle_of(v.turn), 0.6, 1e-3));
    CHECK(view_near(view_angle_of(v.exact), 0.6, 1e-5));
    CHECK(view_near(view_angle_of(v.at.rotation), 0.6, 1e-5));
    CHECK(view_near((double)v.tint.g, 0.25, 2e-3) && v.bytes[2] == 125);
    CHECK(wisp_past(server, o, at, &v));
    CHECK(v.lit && v.mode == 4 && strcmp(v.text, "two") == 0 && v.whole == -9);
    CHECK(v.angle < -3 && v.stepped >= 10 && v.inner.b == 40);
    CHECK(wisp_past(server, o, at - 1, &v));
    CHECK(!v.lit && v.whole == 0 && v.angle > 3 && v.real <= 0);
    CHECK(wisp_view(server, o, WISP_SMOOTH, &v) && v.mode == 4 && v.local == 7);
    world_close(&w);
}

/* --- the past --- */

TEST(the_past_is_there_for_128_ticks) {
    world w;
    wisp_class of;
    wisp_player nobody = { 0 };
    wisp *server = view_alone(&w, &view_schema, &of);
    view_thing first, seen;
    wisp_object moving, resting;
    double born, now;
    memset(&first, 0, sizeof first);
    moving = wisp_spawn(server, of, nobody, &first);
    first.x = 5;
    resting = wisp_spawn(server, of, nobody, &first);
    born = (double)wisp_tick(server);
    for (int i; (i = (int)(wisp_tick(server) + 1 - (int64_t)born)) <= 300;) {
        view_thing *it = (view_thing *)wisp_object_edit(server, moving);
        if (i == 250) CHECK_EQ_INT(wisp_teleport(server, moving), WISP_OK);
        it->x = (float)(i + (i < 250 ? 0 : 1000));
        if (i == 40) {
            CHECK(wisp_past(server, moving, born, &seen) && seen.x <= 0);
            CHECK(wisp_past(server, moving, born + 20.25, &seen));
            CHECK(view_near((double)seen.x, 20.25, 1e-5));
            CHECK(!wisp_past(server, moving, born - 0.5, &seen));
            CHECK(!wisp_past(server, resting, born - 1, &seen));
        }
        if (i == 200) ((view_thing *)wisp_object_edit(server, resting))->x = 6;
        world_step(&w);
    }
    now = (double)wisp_tick(server);
    CHECK(view_near(now, born + 300, 0.1));
    for (int back = 0; back < 128; back++) {
        double is = 300 - back + (300 - back < 250 ? 0 : 1000);
        CHECK(wisp_past(server, moving, now - back, &seen) && view_near((double)seen.x, is, 1e-5));
        CHECK(wisp_past(server, resting, now - back, &seen));
        CHECK(view_near((double)seen.x, back > 100 ? 5 : 6, 1e-6));
    }
    CHECK(wisp_past(server, moving, now - 0.5, &seen) && view_near((double)seen.x, 1299.5, 1e-3));
    CHECK(wisp_past(server, moving, now - 50.5, &seen) && view_near((double)seen.x, 249, 1e-5));
    CHECK(wisp_past(server, resting, now - 101.5, &seen) && view_near((double)seen.x, 5, 1e-5));
    CHECK(wisp_past(server, resting, now - 100.5, &seen) && view_near((double)seen.x, 5.5, 1e-5));
    CHECK(!wisp_past(server, moving, now - 128, &seen));
    CHECK(!wisp_past(server, moving, now + 1, &seen));
    CHECK(!wisp_past(server, moving, (double)NAN, &seen) && !wisp_past(server, moving, now, NULL));
    CHECK(!wisp_past(NULL, moving, now, &seen));
    CHECK_EQ_INT(wisp_despawn(server, moving), WISP_OK);
    CHECK(!wisp_past(server, moving, now, &seen));
    CHECK_EQ_INT(wisp_teleport(server, moving), WISP_E_STALE);
    world_close(&w);
}

/* With too little memory for 128 ticks the oldest go, of all objects in turn; what is left is
   right. A class whose past nobody wants has none. */
TEST(the_past_takes_no_more_than_its_limit) {
    for (int kind = 0; kind < 2; kind++) {
        world w;
        wisp_class of;
        wisp_class_desc desc;
        wisp_player nobody = { 0 };
        wisp_object all[40];
        view_thing first, seen;
        int known = 0, least = 128;
        wisp *server;
        memset(&first, 0, sizeof first);
        memset(&desc, 0, sizeof desc);
        world_open(&w);
        w.desc.tick_rate = 50;
        w.step = 0.02;
        w.desc.limits.object_bytes = kind ? 0 : 100000;
        server = world_add(&w);
        desc.schema = &view_schema;
        of = wisp_define(server, "many", &desc);
        for (int i = 0; i < 40; i++) all[i] = wisp_spawn(server, of, nobody, &first);
        for (int i = 0; i < 150; i++) {
            for (int k = 0; k < 40; k++)
                ((view_thing *)wisp_object_edit(server, all[k]))->x = (float)wisp_tick(server) + 1;
            world_step(&w);
            CHECK(server->objects.kept_bytes <= (kind ? 1 << 20 : 100000));
            if (kind && i == 5) server->objects.classes[0]->past = WISP__PAST_OFF;
        }
        for (int k = 0; k < 40; k++) {
            int there = 0;
            for (int back = 0; back < 128; back++)
                if (wisp_past(server, all[k], (double)(wisp_tick(server) - back), &seen)) {
                    CHECK(view_near((double)seen.x, (double)(wisp_tick(server) - back), 1e-3));
                    there++;
                }
            least = wisp__min_int(least, there);
            known += there;
        }
        if (!kind) CHECK(known > 40 * 10 && known < 40 * 60 && least > 5);
        else CHECK_EQ_INT(known, 40);
        world_close(&w);
    }
}

/* --- what is drawn --- */

/* Stands still for 100 ticks. */
static void view_pause(view_net *t, view_thing *it, int64_t tick) {
    if ((tick -= t->start) < 0) return;
    if (tick < 50) it->x = (float)tick;
    else if (tick >= 150) it->x = (float)(tick + 1000);
}

static void view_draw_pause(view_net *t, double at, const view_thing *it) {
    at -= (double)t->start;
    if (at < 80 || at > 149) return;
    t->checks++;
    t->wrong += !view_near((double)it->x, 49, 1e-6);
}

/* What did not change holds still, and what moves again does not creep there from its old place. */
TEST(a_pause_is_drawn_as_a_pause) {
    static const view_setup s = { 60, 0, 0, 0.03, 0.02, 0.2, 60, 60, 1, 0 };
    for (uint64_t seed = 1; seed <= 12; seed++) {
        view_net t;
        view_open(&t, &s, seed);
        t.move = view_pause;
        t.draw = view_draw_pause;
        view_draw(&t, 5);
        CHECK(t.checks > 60 && t.last > 1200);
        CHECK_EQ_INT(t.wrong, 0);
        bn_close(&t.net);
    }
}

static void view_leap(view_net *t, view_thing *it, int64_t tick) {
    if ((tick -= t->start) < 0) return;
    it->x = (float)tick;
    if (tick >= 50) it->x += 10000;
    if (tick == 50) CHECK_EQ_INT(wisp_teleport(t->server, t->things[0]), WISP_OK);
}

static void view_draw_leap(view_net *t, double at, const view_thing *it) {
    (void)at;
    t->wrong += it->x > 49 && it->x < 10050;
}

/* Nothing is drawn on the way of a teleport, also when its packet is lost. */
TEST(a_teleport_is_not_drawn_as_a_way) {
    static const view_setup s = { 60, 0, 0, 0.03, 0.02, 0.2, 60, 60, 1, 0 };
    for (uint64_t seed = 1; seed <= 12; seed++) {
        view_net t;
        view_open(&t, &s, seed);
        t.move = view_leap;
        t.draw = view_draw_leap;
        view_draw(&t, 4);
        CHECK(t.last > 10100);
        CHECK_EQ_INT(t.wrong, 0);
        CHECK_EQ_INT(wisp_teleport(t.client, t.things[0]), WISP_E_UNSUPPORTED);
        bn_close(&t.net);
    }
}

static void view_stop(view_net *t, view_thing *it, int64_t tick) {
    if ((tick -= t->start) < 0) return;
    if (tick < 90) it->x = (float)tick;
}

/* Without a newer state SMOOTH goes on for class.extrapolate seconds, and when the thing has only
   stopped it is drawn where it has. */
TEST(views_go_on_as_long_as_they_may) {
    static const view_setup s = { 60, 0, 0.1, 0.03, 0.01, 0.1, 60, 60, 1, 0 };
    for (uint64_t seed = 1; seed <= 6; seed++) {
        view_net t;
        view_thing seen, newest;
        view_open(&t, &s, seed);
        t.move = view_stop;
        view_draw(&t, 0.5);
        t.net.ways[0]->loss = 1;                   /* nothing comes any more */
        bn_run(&t.net, 0.6);
        CHECK(wisp_view(t.client, t.things[0], WISP_SMOOTH, &seen));
        CHECK(wisp_view(t.client, t.things[0], WISP_CONFIRMED, &newest));
        CHECK(view_near((double)seen.x, (double)newest.x + 6, 1e-3));
        t.net.ways[0]->loss = 0.1;
        bn_run(&t.net, 3);                         /* it has stopped, and that is told */
        CHECK(wisp_view(t.client, t.things[0], WISP_SMOOTH, &seen));
        CHECK(view_near((double)seen.x, 89, 1e-6));
        bn_close(&t.net);
    }
}

/* --- what is complete --- */

/* Half of the things move, and others after 40 ticks. */
static void view_at_random(view_net *t, view_thing *it, int64_t tick) {
    uint64_t r = view_next(t);
    if ((tick / 40 + t->moved) % 2) return;
    it->x += (float)(r >> 8 & 255) / 16;
    it->hp = (int)(tick & 1023);
    it->lit = (r >> 20 & 1) != 0;
}

/* All things of a tick that is confirmed are as they were at the server in that tick, bit for bit;
   and every row that is kept is the server's of its tick. */
static void view_check_complete(bn_net *net, int end) {
    view_net *t = (view_net *)net->user;
    const wisp__clock *c = &t->client->clock;
    wisp_times_of times;
    view_thing is, was;
    if (end != t->client_at || c->confirmed == t->confirmed || c->confirmed != c->told) return;
    t->confirmed = c->confirmed;
    t->checks++;
    for (int i = 0; i < t->count; i++) {
        const wisp__object *o = wisp__object_get(t->client, t->things[i]);
        CHECK(wisp_view(t->client, t->things[i], WISP_CONFIRMED, &is));
        CHECK(wisp_past(t->server, t->things[i], (double)c->confirmed, &was));
        t->wrong += memcmp(&is, &was, sizeof is) != 0;
        for (int k = wisp__max_int(o ? o->kept.count - 20 : 0, 0); o && k < o->kept.count; k++) {
            double tick = (double)o->tick + wisp__kept_ticks(o, k);
            if (!wisp_past(t->server, t->things[i], tick, &was)) continue;
            CHECK(wisp_past(t->client, t->things[i], tick, &is));
            t->wrong += memcmp(&is, &was, sizeof is) != 0;
        }
    }
    wisp_times(t->client, &times);
    CHECK(times.confirmed <= times.now && times.smooth <= times.confirmed);
    CHECK(times.confirmed >= (double)c->confirmed);
}

TEST(a_complete_tick_is_the_servers) {
    static const view_setup s = { 60, 0, 0, 0.03, 0.03, 0.1, 60, 60, VIEW_THINGS, 0 };
    for (uint64_t seed = 1; seed <= 6; seed++) {
        view_net t;
        view_open(&t, &s, seed);
        t.net.ways[0]->duplicate = t.net.ways[1]->duplicate = 0.1;
        t.move = view_at_random;
        t.net.ticked = view_check_complete;
        view_join(&t);
        bn_run(&t.net, 4);
        CHECK(t.checks > 15);
        CHECK_EQ_INT(t.wrong, 0);
        bn_close(&t.net);
    }
}

/* --- ticks --- */

/* The lower half of a tick wraps: nothing goes back, nothing starves, the past stays. */
TEST(ticks_wrap) {
    for (int kind = 0; kind < 2; kind++) {
        view_setup s = { 60, 0, 0, 0.03, 0.02, 0.05, 60, 60, 1, 0 };
        view_net t;
        view_thing seen;
        s.first = (INT64_C(1) << 32) - (kind ? 20 : 200);      /* before the join, while drawing */
        view_open(&t, &s, 3);
        view_draw(&t, 4);
        CHECK(t.frames > 230 && t.starved < 5);
        CHECK(wisp__object_get(t.client, t.things[0])->tick > INT64_C(1) << 32);
        CHECK(wisp_past(t.server, t.things[0], (double)(wisp_tick(t.server) - 100), &seen));
        bn_close(&t.net);
    }
}

/* A packet that claims a tick far in the future stops nothing. */
TEST(samples_of_the_future_are_not_believed) {
    static const view_setup s = { 20, 0, 0, 0.02, 0.01, 0, 60, 60, 1, 0 };
    view_net t;
    uint8_t bytes[64];
    wisp__writer to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
    wisp__reading r;
    double before;
    view_open(&t, &s, 3);
    view_draw(&t, 1);
    memset(bytes, 0, sizeof bytes);
    wisp__put(&to, (uint32_t)(t.client->clock.told + 100000), 33);
    memset(&r, 0, sizeof r);
    r.w = t.client;
    r.s = wisp__session_of(t.client, wisp_server());
    r.from = wisp__reader_on(bytes, (int)sizeof bytes - WISP__SLACK);
    wisp__on_tick(&r);
    CHECK(r.tick < t.client->clock.told + 30 && !r.complete);
    before = t.last;
    t.frames = t.starved = 0;
    bn_run(&t.net, 2);
    CHECK(t.frames > 110 && t.starved * 50 < t.frames && t.last > before + 35);
    CHECK_EQ_INT(t.back, 0);
    bn_close(&t.net);
}

/* --- memory --- */

TEST(views_allocate_nothing) {
    world w;
    ledger memory = ledger_none();
    wisp_class of, of_client;
    wisp_class_desc desc;
    wisp_player nobody = { 0 };
    wisp *server, *client;
    view_thing first, seen;
    wisp_object o;
    int before = 0;
    memset(&desc, 0, sizeof desc);
    memset(&first, 0, sizeof first);
    world_open(&w);
    w.desc.memory = ledger_memory(&memory);
    w.desc.tick_rate = 50;
    w.step = 0.02;
    server = world_add(&w);
    w.desc.tick_rate = 0;
    client = world_add(&w);
    desc.schema = &view_schema;
    of = wisp_define(server, "thing", &desc);
    of_client = wisp_define(client, "thing", &desc);
    o = wisp_spawn(server, of, nobody, &first);
    world_join(&w, client, server);
    for (int i = 0; i < 800; i++) {
        ((view_thing *)wisp_object_edit(server, o))->x = (float)i;
        world_step(&w);
        wisp_view(client, o, WISP_SMOOTH, &seen);
        wisp_past(server, o, (double)wisp_tick(server) - 10.5, &seen);
        if (i == 500) before = memory.asked;
    }
    CHECK(seen.x > 700 && of_client.id);
    CHECK_EQ_INT(memory.asked, before);
    CHECK(sizeof(void *) < 8 || sizeof(wisp__object) + 48 <= 256);
    world_close(&w);
}

static const test_case tests[] = {
    CASE(a_next_row_is_mostly_there),
    CASE(a_wrong_clock_does_not_starve_the_buffer),
    CASE(each_type_moves_in_its_own_way),
    CASE(the_past_is_there_for_128_ticks),
    CASE(the_past_takes_no_more_than_its_limit),
    CASE(a_pause_is_drawn_as_a_pause),
    CASE(a_teleport_is_not_drawn_as_a_way),
    CASE(views_go_on_as_long_as_they_may),
    CASE(a_complete_tick_is_the_servers),
    CASE(ticks_wrap),
    CASE(samples_of_the_future_are_not_believed),
    CASE(views_allocate_nothing)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
