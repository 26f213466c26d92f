/* test_interest.c - which peers see which objects */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"
#include <math.h>

/* --- objects with a place, and a number that tells when they were edited last --- */

typedef struct buoy { wisp_vec3 at; int32_t number; } buoy;

static const wisp_field buoy_fields[] = {
    WISP_FIELD(buoy, at, WISP_T_VEC3_CLAMPED(-1000, 1000, 0.01)),
    WISP_FIELD(buoy, number, WISP_T_INT32)
};
static const wisp_schema buoy_schema = WISP_SCHEMA(buoy, 1, buoy_fields);

enum { BUOYS = 40, BUOY_ENDS = 3, BUOY_TICKS = 700, BUOY_EVENTS = 4000 };

/* What one end was told. */
typedef struct buoy_log {
    int spawned, changed, despawned;
    int32_t order[BUOY_EVENTS];            /* numbers of those that were spawned */
    int32_t number;                        /* of the last one */
    void (*check)(struct buoy_log *log, const wisp_event *event);
    void *user;
} buoy_log;

static void buoy_told(buoy_log *log, wisp_event *event) {
    log->number = ((const buoy *)event->state)->number;
    if (log->check) log->check(log, event);
}

static wisp_result buoy_spawned(wisp_event *event) {
    buoy_log *log = (buoy_log *)event->user;
    buoy_told(log, event);
    if (log->spawned < BUOY_EVENTS) log->order[log->spawned] = log->number;
    log->spawned++;
    return WISP_OK;
}

static void buoy_changed(wisp_event *event) {
    ((buoy_log *)event->user)->changed++;
    buoy_told((buoy_log *)event->user, event);
}

static void buoy_despawned(wisp_event *event) { ((buoy_log *)event->user)->despawned++; }

typedef struct buoys {
    world       w;
    wisp       *server, *ends[BUOY_ENDS];
    wisp_peer   peers[BUOY_ENDS];          /* as the server knows them */
    wisp_class  of_server, of[BUOY_ENDS];
    buoy_log    logs[BUOY_ENDS];
    wisp_class_desc desc;                  /* of the class on the server */
    int         count;
} buoys;

static void buoys_open(buoys *t) {
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->w.desc.tick_rate = 50;
    t->desc.schema = &buoy_schema;
    t->desc.position = WISP_POSITION(buoy, at);
}

static void buoys_server(buoys *t) {
    t->server = world_add(&t->w);
    t->of_server = wisp_define(t->server, "buoy", &t->desc);
    CHECK(t->of_server.id != 0);
    t->w.desc.tick_rate = 0;
}

static int buoys_join(buoys *t) {
    int i = t->count++;
    wisp_class_desc desc = t->desc;
    wisp_addr addr = wisp_loopback_addr(0);
    t->ends[i] = world_add(&t->w);
    desc.spawned = buoy_spawned;
    desc.changed = buoy_changed;
    desc.despawned = buoy_despawned;
    desc.user = &t->logs[i];
    t->of[i] = wisp_define(t->ends[i], "buoy", &desc);
    CHECK(wisp_join(t->ends[i], &addr, NULL, 0).id != 0);
    for (int n = 0; n < 300 && wisp_peers(t->server, NULL, 0) <= i; n++) world_step(&t->w);
    for (int n = 0; n <= i; n++) {
        wisp_peer peer = world_peer(t->server, n);
        bool known = false;
        for (int k = 0; k < i; k++) known |= t->peers[k].id == peer.id;
        if (!known) t->peers[i] = peer;
    }
    return i;
}

static wisp_vec3 buoy_at(double x, double y) {
    wisp_vec3 at = { (float)x, (float)y, 0 };
    return at;
}

static wisp_object buoys_spawn(buoys *t, double x, int32_t number) {
    wisp_player nobody = { 0 };
    buoy made;
    made.at = buoy_at(x, 0);
    made.number = number;
    return wisp_spawn(t->server, t->of_server, nobody, &made);
}

static void buoys_move(buoys *t, wisp_object o, double x) {
    buoy *edit = (buoy *)wisp_object_edit(t->server, o);
    if (CHECK(edit != NULL)) edit->at.x = (float)x;
}

static bool buoys_see(buoys *t, int end, wisp_object o) {
    buoy copy;
    return wisp_view(t->ends[end], o, WISP_CONFIRMED, &copy);
}

/* Runs until nothing is under way. */
static void buoys_rest(buoys *t) { world_run(&t->w, 0.5); }

/* --- what is seen --- */

/* Seen from within `enter` until beyond `leave`, on all three axes, also where nothing moves but
   the focus. */
TEST(a_focus_sees_what_is_near) {
    static buoys t;
    wisp_object o, lamp;
    wisp_vec3 at;
    buoys_open(&t);
    buoys_server(&t);
    buoys_join(&t);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], buoy_at(0, 0), 10, 0), WISP_OK);
    o = buoys_spawn(&t, 10.9, 1);
    lamp = buoys_spawn(&t, 0, 2);
    buoys_rest(&t);
    CHECK(!buoys_see(&t, 0, o) && buoys_see(&t, 0, lamp));         /* beyond enter */
    buoys_move(&t, o, 9.99);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o));
    buoys_move(&t, o, 10.99);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o));                                    /* within leave */
    buoys_move(&t, o, 11.01);
    buoys_rest(&t);
    CHECK(!buoys_see(&t, 0, o));
    CHECK_EQ_INT(t.logs[0].despawned, 1);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], buoy_at(1.2, 0), 10, 30), WISP_OK);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o));                                    /* the focus has moved */
    at = buoy_at(11.01, 29);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], at, 10, 30), WISP_OK);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o));
    at.z = 20;
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], at, 10, 30), WISP_OK);
    buoys_rest(&t);
    CHECK(!buoys_see(&t, 0, o) && !buoys_see(&t, 0, lamp));
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], at, 0, 0), WISP_OK);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o) && buoys_see(&t, 0, lamp));          /* no focus: all */
    CHECK(t.server->objects.zones.count == 0);
    world_close(&t.w);
}

static double buoy_answer = 1;

static double buoy_interest(wisp *w, wisp_peer peer, wisp_object o, void *user) {
    (void)w, (void)peer, (void)o, (void)user;
    return buoy_answer;
}

/* Two classes, one with places and a callback, and a peer that sees three objects. */
typedef struct buoy_scene {
    buoys       t;
    wisp_object near, far, bare;
    wisp_group  group, other;
} buoy_scene;

static void buoy_scene_open(buoy_scene *q) {
    wisp_class_desc plain;
    wisp_class rocks;
    wisp_player nobody = { 0 };
    buoy rock;
    buoys_open(&q->t);
    q->t.desc.interest = buoy_interest;
    buoy_answer = 1;
    buoys_server(&q->t);
    plain = q->t.desc;
    plain.position = 0;
    plain.interest = NULL;
    rocks = wisp_define(q->t.server, "rock", &plain);
    buoys_join(&q->t);
    CHECK(wisp_define(q->t.ends[0], "rock", &plain).id != 0);
    q->group = wisp_group_named(q->t.server, "red");
    q->other = wisp_group_named(q->t.server, "blue");
    q->near = buoys_spawn(&q->t, 1, 1);
    q->far = buoys_spawn(&q->t, 500, 2);
    memset(&rock, 0, sizeof rock);
    q->bare = wisp_spawn(q->t.server, rocks, nobody, &rock);
}

/* Which are seen after a while: 1 near, 2 far, 4 bare. */
static int scene_seen(buoy_scene *q) {
    buoys_rest(&q->t);
    return buoys_see(&q->t, 0, q->near) + 2 * buoys_see(&q->t, 0, q->far) +
           4 * buoys_see(&q->t, 0, q->bare);
}

/* hide > show > callback > focus > all */
TEST(the_first_rule_that_says_something_holds) {
    static buoy_scene q;
    wisp_to one;
    buoy_scene_open(&q);
    one = wisp_to_peer(q.t.peers[0]);
    CHECK_EQ_INT(scene_seen(&q), 7);                               /* all */
    CHECK_EQ_INT(wisp_focus(q.t.server, q.t.peers[0], buoy_at(0, 0), 10, 0), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 5);
    buoy_answer = 0;                                               /* the callback hides */
    CHECK_EQ_INT(scene_seen(&q), 4);
    CHECK_EQ_INT(wisp_show(q.t.server, q.far, one), WISP_OK);
    CHECK_EQ_INT(wisp_show(q.t.server, q.near, one), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 7);                               /* shown all the same */
    CHECK_EQ_INT(wisp_hide(q.t.server, q.far, wisp_to_all()), WISP_OK);
    CHECK_EQ_INT(wisp_hide(q.t.server, q.bare, one), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 1);
    CHECK_EQ_INT(wisp_unset(q.t.server, q.far, wisp_to_all()), WISP_OK);
    CHECK_EQ_INT(wisp_show(q.t.server, q.bare, one), WISP_OK);     /* instead of hide */
    CHECK_EQ_INT(wisp_unset(q.t.server, q.near, one), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 4);
    CHECK_EQ_INT(wisp_hide(q.t.server, q.bare, wisp_to_group(q.group)), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 4);
    CHECK_EQ_INT(wisp_group_add(q.t.server, q.group, q.t.peers[0]), WISP_OK);  /* comes later */
    CHECK_EQ_INT(scene_seen(&q), 0);
    world_close(&q.t.w);
}

/* A tag that is shown to a group: its members see the objects, beside those of their focus. */
TEST(members_of_a_group_see_the_objects_of_its_tags) {
    static buoy_scene q;
    buoy_scene_open(&q);
    CHECK_EQ_INT(wisp_focus(q.t.server, q.t.peers[0], buoy_at(0, 0), 10, 0), WISP_OK);
    CHECK_EQ_INT(wisp_tag(q.t.server, q.far, "secret"), WISP_OK);
    CHECK_EQ_INT(wisp_tag(q.t.server, q.bare, "secret"), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 5);                               /* no rule about it yet */
    CHECK_EQ_INT(wisp_show_tag(q.t.server, "secret", wisp_to_group(q.group)), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 1);
    CHECK_EQ_INT(wisp_group_add(q.t.server, q.group, q.t.peers[0]), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 7);
    CHECK(wisp_has_tag(q.t.ends[0], q.far, "secret"));
    CHECK(!wisp_has_tag(q.t.ends[0], q.near, "secret"));
    CHECK_EQ_INT(wisp_focus(q.t.server, q.t.peers[0], buoy_at(0, 0), 0, 0), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 6);                               /* a group, and no focus */
    CHECK_EQ_INT(wisp_unshow_tag(q.t.server, "secret", wisp_to_group(q.group)), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 4);
    CHECK_EQ_INT(wisp_show_tag(q.t.server, "secret", wisp_to_group(q.group)), WISP_OK);
    CHECK_EQ_INT(wisp_group_add(q.t.server, q.other, q.t.peers[0]), WISP_OK);
    CHECK_EQ_INT(wisp_group_remove(q.t.server, q.group, q.t.peers[0]), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 0);
    CHECK_EQ_INT(wisp_untag(q.t.server, q.bare, "secret"), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 4);
    CHECK(!wisp_has_tag(q.t.ends[0], q.bare, "secret"));
    CHECK_EQ_INT(wisp_group_end(q.t.server, q.other), WISP_OK);
    CHECK_EQ_INT(scene_seen(&q), 7);                               /* no group, no focus: all */
    world_close(&q.t.w);
}

/* --- nothing hidden is sent --- */

typedef struct buoy_truth {
    buoys      *t;
    wisp_object all[BUOYS];
    wisp_group  group;
    uint64_t    random;
    wisp_vec3   foci[BUOY_ENDS];
    double      enter[BUOY_ENDS], leave[BUOY_ENDS];        /* 0: no focus */
    bool        grouped[BUOY_ENDS], shown[BUOY_ENDS][BUOYS], hidden[BUOY_ENDS][BUOYS];
    bool        tagged[BUOYS];
    bool        sees[BUOY_TICKS + 1][BUOY_ENDS][BUOYS];
    int64_t     first;                                     /* tick of sees[0] */
    int         quiet, ghosts;
} buoy_truth;

static buoy_truth truth;

static uint64_t truth_next(buoy_truth *q, int below) {
    q->random ^= q->random << 13;
    q->random ^= q->random >> 7;
    q->random ^= q->random << 17;
    return q->random % (uint64_t)below;
}

/* One of the things that change interest. */
static void truth_change(buoy_truth *q) {
    buoys *t = q->t;
    int end = (int)truth_next(q, t->count), i = (int)truth_next(q, BUOYS);
    wisp_to to = wisp_to_peer(t->peers[end]);
    switch (truth_next(q, 8)) {
    case 0: q->shown[end][i] = true; q->hidden[end][i] = false;
            CHECK_EQ_INT(wisp_show(t->server, q->all[i], to), WISP_OK); break;
    case 1: q->shown[end][i] = false; q->hidden[end][i] = true;
            CHECK_EQ_INT(wisp_hide(t->server, q->all[i], to), WISP_OK); break;
    case 2: case 3: q->shown[end][i] = q->hidden[end][i] = false;
            CHECK_EQ_INT(wisp_unset(t->server, q->all[i], to), WISP_OK); break;
    case 4: q->grouped[end] = !q->grouped[end];
            if (q->grouped[end]) wisp_group_add(t->server, q->group, t->peers[end]);
            else wisp_group_remove(t->server, q->group, t->peers[end]);
            break;
    case 5: q->tagged[i] = !q->tagged[i];
            if (q->tagged[i]) CHECK_EQ_INT(wisp_tag(t->server, q->all[i], "team"), WISP_OK);
            else CHECK_EQ_INT(wisp_untag(t->server, q->all[i], "team"), WISP_OK);
            break;
    case 6: q->enter[end] = 5 + (double)truth_next(q, 60); q->leave[end] = q->enter[end] * 1.2;
            break;
    default: q->foci[end] = buoy_at((double)truth_next(q, 200) - 100, 0); break;
    }
}

static void truth_tick(wisp_event *event) {
    buoy_truth *q = (buoy_truth *)event->user;
    buoys *t = q->t;
    for (int i = 0; i < BUOYS; i++) {
        buoy *edit = (buoy *)wisp_object_edit(t->server, q->all[i]);
        edit->number = (int32_t)event->tick;
        if (!q->quiet) edit->at.x += (float)truth_next(q, 200) * 0.02f - 2;
        if (!q->quiet && truth_next(q, 300) == 0) edit->at.x = (float)truth_next(q, 200) - 100;
    }
    if (q->quiet) return;
    if (truth_next(q, 4) == 0) truth_change(q);
    for (int end = 0; end < t->count; end++) {
        q->foci[end].x += (float)truth_next(q, 100) * 0.02f - 1;
        if (q->enter[end] > 0)
            CHECK_EQ_INT(wisp_focus(t->server, t->peers[end], q->foci[end], q->enter[end],
                                    q->leave[end]), WISP_OK);
    }
}

/* The rules once more, for all pairs. */
static bool truth_of(const buoy_truth *q, int end, int i, bool seen) {
    buoy copy;
    double apart;
    if (q->hidden[end][i] || q->shown[end][i]) return q->shown[end][i];
    if (q->enter[end] <= 0 && !q->grouped[end]) return true;
    if (q->tagged[i] && q->grouped[end]) return true;
    wisp_view(q->t->server, q->all[i], WISP_NOW, &copy);
    apart = (double)copy.at.x - (double)q->foci[end].x;
    apart = apart < 0 ? -apart : apart;
    return q->enter[end] > 0 && apart <= (seen ? q->leave[end] : q->enter[end]);
}

/* What an end is told of a tick was seen in that tick, since every tick edits every object. */
static void truth_check(buoy_log *log, const wisp_event *event) {
    buoy_truth *q = (buoy_truth *)log->user;
    int end = (int)(log - q->t->logs), i = 0;
    int64_t tick = ((const buoy *)event->state)->number - q->first;
    while (i < BUOYS && q->all[i].id != event->object.id) i++;
    if (i == BUOYS || tick < 0) return;                    /* before the first edit */
    q->ghosts += tick >= BUOY_TICKS || !q->sees[tick][end][i];
}

static void truth_step(buoy_truth *q) {
    int64_t before = wisp_tick(q->t->server), now;
    world *w = &q->t->w;
    w->now += w->step;
    world_update(w, 0);
    now = wisp_tick(q->t->server) - q->first;
    for (int end = 0; wisp_tick(q->t->server) != before && end < q->t->count; end++)
        for (int i = 0; i < BUOYS && now < BUOY_TICKS; i++)
            q->sees[now][end][i] = truth_of(q, end, i, now == 0 || q->sees[now - 1][end][i]);
    for (int end = 1; end < w->count; end++) world_update(w, end);
}

/* Loss, late and doubled packets, and all that moves and changes: an end is told of what it sees
   alone, and after a quiet second of all that. */
TEST(nothing_hidden_is_sent) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static buoys t;
        buoy_truth *q = &truth;
        int64_t last;
        buoys_open(&t);
        t.w.bad = true;
        t.w.net.loss = seed == 1 ? 0 : 0.2;
        t.w.net.latency = (double)(seed % 3) * 0.05;
        t.w.net.jitter = 0.02;
        t.w.net.duplicate = t.w.net.reorder = 0.1;
        t.w.net.seed = seed;
        memset(q, 0, sizeof *q);
        q->t = &t;
        q->random = seed * 77;
        q->first = BUOY_TICKS;
        buoys_server(&t);
        q->group = wisp_group_named(t.server, "team");
        CHECK_EQ_INT(wisp_show_tag(t.server, "team", wisp_to_group(q->group)), WISP_OK);
        for (int i = 0; i < BUOYS; i++) q->all[i] = buoys_spawn(&t, (double)(i * 5 - 100), 0);
        for (int end = 0; end < BUOY_ENDS; end++) {
            t.logs[end].check = truth_check;
            t.logs[end].user = q;
            q->enter[end] = end ? 20 * end : 0;
            q->leave[end] = 1.2 * q->enter[end];
            buoys_join(&t);
        }
        for (int end = 0; end < BUOY_ENDS; end++)
            if (end) wisp_focus(t.server, t.peers[end], q->foci[end], q->enter[end], q->leave[end]);
        wisp_on_tick(t.server, truth_tick, q);
        q->first = wisp_tick(t.server) + 1;
        for (int step = 0; step < 1300; step++) {
            q->quiet = step > 800;
            truth_step(q);
        }
        last = wisp_tick(t.server) - q->first;
        if (!CHECK_EQ_INT(q->ghosts, 0)) printf("  seed %d\n", (int)seed);
        for (int end = 0; end < BUOY_ENDS; end++) {
            int count = 0, wrong = 0;
            for (int i = 0; i < BUOYS; i++) {
                count += q->sees[last][end][i];
                wrong += q->sees[last][end][i] != buoys_see(&t, end, q->all[i]);
            }
            if (!CHECK_EQ_INT(wrong, 0)) printf("  seed %d end %d\n", (int)seed, end);
            CHECK_EQ_INT(t.logs[end].spawned - t.logs[end].despawned, count);
            CHECK(t.logs[end].spawned > BUOYS / 2 && t.logs[end].despawned > 3);
        }
        world_close(&t.w);
    }
}

/* --- leaving and coming back --- */

/* It leaves, and is back before its despawn has been acked: the same object, despawned and spawned
   again. One that is back before anything was sent of it stays as it is. */
TEST(an_object_comes_back_while_its_despawn_is_under_way) {
    for (int early = 0; early < 3; early++) {
        static buoys t;
        wisp_object o;
        buoys_open(&t);
        t.w.bad = true;
        t.w.net.latency = 0.1;
        buoys_server(&t);
        o = buoys_spawn(&t, 0, 5);
        buoys_join(&t);
        buoys_rest(&t);
        CHECK_EQ_INT(t.logs[0].spawned, 1);
        CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_all()), WISP_OK);
        if (early == 0) world_run(&t.w, 0.05);             /* it is on its way */
        if (early == 1) world_run(&t.w, 0.15);             /* there, and the ack on its way */
        CHECK_EQ_INT(wisp_show(t.server, o, wisp_to_all()), WISP_OK);
        ((buoy *)wisp_object_edit(t.server, o))->number = 6;
        world_run(&t.w, 0.8);
        CHECK(buoys_see(&t, 0, o) && t.logs[0].number == 6);
        CHECK_EQ_INT(t.logs[0].despawned, early == 2 ? 0 : 1);
        CHECK_EQ_INT(t.logs[0].spawned, early == 2 ? 1 : 2);
        CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_all()), WISP_OK);
        if (early) world_run(&t.w, 0.05);
        CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);  /* it ends while it leaves */
        world_run(&t.w, 0.8);
        CHECK_EQ_INT(t.logs[0].despawned, early == 2 ? 1 : 2);
        CHECK(t.server->objects.classes[0]->first == NULL);
        world_close(&t.w);
    }
}

/* A packet that left before the despawn and comes after it is stale. */
static wisp_packet late_packets[8];
static uint8_t late_bytes[8][1500];
static int late_count;
static bool late_keep;

static int late_tap(world *w, int n, wisp_packet *packet) {
    (void)w;
    if (n || !late_keep || late_count == 8) return 1;
    late_packets[late_count] = *packet;
    memcpy(late_bytes[late_count], packet->data, (size_t)packet->size);
    late_packets[late_count].data = late_bytes[late_count];
    late_count++;
    return 0;
}

TEST(a_late_packet_brings_nothing_back) {
    static buoys t;
    wisp_object o;
    buoys_open(&t);
    t.w.tap = late_tap;
    late_keep = false;
    late_count = 0;
    buoys_server(&t);
    o = buoys_spawn(&t, 0, 5);
    buoys_join(&t);
    buoys_rest(&t);
    CHECK_EQ_INT(wisp_give(t.server, o, wisp_player_of(t.server, t.peers[0])), WISP_OK);
    late_keep = true;                                      /* a description, not yet there */
    for (int i = 0; i < 4 && !late_count; i++) world_step(&t.w);
    late_keep = false;
    CHECK(late_count > 0);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_all()), WISP_OK);
    world_run(&t.w, 0.1);
    CHECK(!buoys_see(&t, 0, o));
    for (int i = 0; i < late_count; i++)
        t.w.ways[0].pipe.send(t.w.ways[0].pipe.user, &late_packets[i], 1);
    world_run(&t.w, 0.1);
    CHECK(!buoys_see(&t, 0, o) && t.logs[0].spawned == 1);
    world_close(&t.w);
}

/* FREEZE: hidden, unchanged and gone are three things. */
TEST(a_frozen_copy_stays_until_the_object_is_back_or_gone) {
    static buoys t;
    wisp_object o, other;
    uint64_t before;
    buoy copy;
    buoys_open(&t);
    t.w.bad = true;
    t.w.net.loss = 0.2;
    t.w.net.seed = 3;
    t.desc.on_leave = WISP_FREEZE;
    buoys_server(&t);
    o = buoys_spawn(&t, 0, 5);
    other = buoys_spawn(&t, 1, 6);
    buoys_join(&t);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], buoy_at(0, 0), 10, 0), WISP_OK);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o) && !wisp_is_frozen(t.ends[0], o));
    buoys_move(&t, o, 50);
    buoys_move(&t, other, 50);
    buoys_rest(&t);
    CHECK(wisp_is_frozen(t.ends[0], o) && wisp_view(t.ends[0], o, WISP_CONFIRMED, &copy));
    CHECK(copy.at.x < 1 && t.logs[0].despawned == 0);      /* where it was seen last */
    before = world_remote_stats(t.server, "class buoy").messages_sent;
    for (int i = 0; i < 50; i++) {
        ((buoy *)wisp_object_edit(t.server, o))->number = 100 + i;
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_remote_stats(t.server, "class buoy").messages_sent, before);
    CHECK_EQ_INT(wisp_despawn(t.server, other), WISP_OK);
    buoys_rest(&t);
    CHECK(!buoys_see(&t, 0, other) && t.logs[0].despawned == 1);
    buoys_move(&t, o, 5);
    buoys_rest(&t);
    CHECK(!wisp_is_frozen(t.ends[0], o) && wisp_view(t.ends[0], o, WISP_CONFIRMED, &copy));
    CHECK(copy.number == 149 && copy.at.x > 4 && t.logs[0].spawned == 2);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_all()), WISP_OK);  /* and with the same state */
    buoys_rest(&t);
    CHECK(wisp_is_frozen(t.ends[0], o));
    CHECK_EQ_INT(wisp_unset(t.server, o, wisp_to_all()), WISP_OK);
    buoys_rest(&t);
    CHECK(!wisp_is_frozen(t.ends[0], o) && buoys_see(&t, 0, o));
    world_close(&t.w);
}

/* --- order --- */

static double buoy_weight(wisp *w, wisp_peer peer, wisp_object o, void *user) {
    buoy copy;
    (void)peer, (void)user;
    return wisp_view(w, o, WISP_NOW, &copy) && copy.number == 1 ? 8 : 1;
}

static void buoy_joined(wisp_event *event) {
    CHECK_EQ_INT(wisp_focus(event->w, event->peer, buoy_at(0, 0), 900, 0), WISP_OK);
}

/* Who joins late gets the nearest first. */
TEST(the_nearest_comes_first) {
    static buoys t;
    int falls = 0;
    buoys_open(&t);
    buoys_server(&t);
    for (int i = 0; i < 400; i++) buoys_spawn(&t, 1 + (double)(i * 7919 % 400), i * 7919 % 400);
    wisp_connect_target(t.server, wisp_by_name(WISP_JOINED), buoy_joined, NULL, false);
    buoys_join(&t);
    world_run(&t.w, 2);
    CHECK_EQ_INT(t.logs[0].spawned, 400);
    for (int i = 1; i < 400; i++) falls += t.logs[0].order[i] < t.logs[0].order[i - 1];
    CHECK_EQ_INT(falls, 0);
    world_close(&t.w);
}

/* Where not all can go, what weighs eight times as much goes more often; the rest still goes. */
static int weight_seen[2];

static void weight_check(buoy_log *log, const wisp_event *event) {
    (void)log;
    weight_seen[((const buoy *)event->state)->number == 1]++;
}

TEST(weight_scales_urgency) {
    static buoys t;
    buoys_open(&t);
    t.w.bad = true;
    t.w.net.rate = 6000;
    t.w.net.latency = 0.03;
    t.w.net.queue_bytes = 2000;
    t.desc.interest = buoy_weight;
    memset(weight_seen, 0, sizeof weight_seen);
    buoys_server(&t);
    t.logs[0].check = weight_check;
    for (int i = 0; i < 500; i++) buoys_spawn(&t, i, i < 50);
    buoys_join(&t);
    for (int step = 0; step < 300; step++) {
        wisp_object o = wisp_first(t.server, t.of_server);
        for (; o.id; o = wisp_next(t.server, o))
            ((buoy *)wisp_object_edit(t.server, o))->at.y += 0.01f;
        world_step(&t.w);
        if (step == 100) memset(weight_seen, 0, sizeof weight_seen);
    }
    CHECK(weight_seen[0] > 100);
    if (!CHECK(weight_seen[1] * 9 > weight_seen[0] * 2))   /* of 50, and of 450 */
        printf("  %d and %d\n", weight_seen[1], weight_seen[0]);
    world_close(&t.w);
}

/* --- the callback --- */

typedef struct buoy_meddler { buoys *t; int asked; wisp_result busy[4]; bool leaves; } buoy_meddler;

static double buoy_meddle(wisp *w, wisp_peer peer, wisp_object o, void *user) {
    buoy_meddler *m = (buoy_meddler *)user;
    m->asked++;
    m->busy[0] = wisp_hide(w, o, wisp_to_all());
    m->busy[1] = wisp_focus(w, peer, buoy_at(0, 0), 5, 0);
    m->busy[2] = wisp_tag(w, o, "tag");
    m->busy[3] = wisp_show_tag(w, "tag", wisp_to_all());
    wisp_flush_batches(w);
    if (m->asked % 50 == 49) wisp_despawn(w, o);
    if (m->leaves) wisp_leave(w, peer, "enough");
    m->leaves = false;
    if (m->asked % 40 == 39) buoys_spawn(m->t, 1, 7);
    return 1;
}

/* It may not change interest; what else it does harms nothing. */
TEST(a_callback_that_meddles) {
    static buoys t;
    buoy_meddler m;
    buoys_open(&t);
    memset(&m, 0, sizeof m);
    m.t = &t;
    t.desc.interest = buoy_meddle;
    t.desc.user = &m;
    buoys_server(&t);
    for (int i = 0; i < 20; i++) buoys_spawn(&t, i, i);
    buoys_join(&t);
    buoys_join(&t);
    world_run(&t.w, 1);
    for (int i = 0; i < 4; i++) CHECK_EQ_INT(m.busy[i], WISP_E_BUSY);
    m.leaves = true;
    world_run(&t.w, 1);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    CHECK(t.server->objects.tag_count == 0);
    world_close(&t.w);
}

/* A class's callback hides at once, and what it hid it is asked of again soon. */
TEST(a_callback_is_asked_each_tick_of_what_is_seen) {
    static buoys t;
    wisp_object o;
    buoys_open(&t);
    t.desc.interest = buoy_interest;
    buoy_answer = 1;
    buoys_server(&t);
    o = buoys_spawn(&t, 1, 1);
    buoys_join(&t);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o));
    buoy_answer = 0;
    world_run(&t.w, 0.06);
    CHECK(!buoys_see(&t, 0, o));
    buoy_answer = 0.5;
    world_run(&t.w, 0.4);
    CHECK(buoys_see(&t, 0, o));
    world_close(&t.w);
}

/* --- messages --- */

TEST(messages_go_to_viewers_and_to_those_nearby) {
    static buoys t;
    wisp_value value = wisp_int(1);
    wisp_object o;
    buoys_open(&t);
    buoys_server(&t);
    for (int i = 0; i < 3; i++) {
        buoys_join(&t);
        world_watch(&t.w, t.ends[i], "seen");
        CHECK_EQ_INT(wisp_focus(t.server, t.peers[i], buoy_at(i * 10, 0), 5, 0), WISP_OK);
    }
    o = buoys_spawn(&t, 11, 1);
    buoys_rest(&t);
    CHECK_EQ_INT(wisp_fire_values(t.server, "seen", wisp_to_viewers(o), &value, 1), WISP_OK);
    buoys_rest(&t);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(world_count(&t.w, t.ends[i], "seen"), i == 1);
    CHECK_EQ_INT(wisp_fire_values(t.server, "seen", wisp_to_near(buoy_at(4, 0), 6), &value, 1), 0);
    buoys_rest(&t);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(world_count(&t.w, t.ends[i], "seen"), i == 2 ? 0 : i + 1);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_peer(t.peers[1])), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(t.server, "seen", wisp_to_viewers(o), &value, 1), WISP_OK);
    buoys_rest(&t);
    CHECK_EQ_INT(world_count(&t.w, NULL, "seen"), 3);              /* hidden at once */
    CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(t.server, "seen", wisp_to_viewers(o), &value, 1),
                 WISP_E_STALE);
    CHECK_EQ_INT(wisp_fire_values(t.server, "seen", wisp_to_near(buoy_at(0, 0), -1), &value, 1),
                 WISP_E_ARGUMENT);
    world_close(&t.w);
}

/* --- places of all sizes --- */

/* Radii and places far apart, foci that come and go: the zones agree with the distances. */
TEST(zones_of_all_sizes) {
    static const double sizes[] = { 1e-3, 0.5, 7, 300, 4e5, 1e12 };
    static buoys t;
    static wisp_object all[60];
    wisp_class_desc plain;
    wisp_class rocks;
    wisp_player nobody = { 0 };
    uint64_t r = 9;
    buoys_open(&t);
    buoys_server(&t);
    plain = t.desc;
    plain.position = 0;
    rocks = wisp_define(t.server, "rock", &plain);
    for (int i = 0; i < 60; i++) {
        buoy rock;
        memset(&rock, 0, sizeof rock);
        all[i] = wisp_spawn(t.server, rocks, nobody, &rock);
    }
    for (int i = 0; i < BUOY_ENDS; i++) {
        buoys_join(&t);
        CHECK(wisp_define(t.ends[i], "rock", &plain).id != 0);
    }
    buoys_rest(&t);
    for (int round = 0; round < 150; round++) {
        double size = sizes[round / 25];
        for (int i = 0; i < 60; i++) {
            wisp_vec3 at = { (float)(size * (double)(int)(r >> 8 & 15)), (float)size,
                             (float)(-size * (double)(int)(r >> 12 & 7)) };
            if (i == 59) at.x = 3e38f;
            CHECK_EQ_INT(wisp_place(t.server, all[i], at), WISP_OK);
            r = r * UINT64_C(6364136223846793005) + 1;
        }
        for (int end = 0; end < BUOY_ENDS; end++) {
            wisp_vec3 at = { (float)(size * (double)(int)(r >> 20 & 15)), 0, 0 };
            double enter = end == 2 && round % 5 == 0 ? 0 : size * (end ? 1.5 : 6.25);
            if (enter > 1e12) enter = 1e12;
            CHECK_EQ_INT(wisp_focus(t.server, t.peers[end], at, enter, enter), WISP_OK);
            r = r * UINT64_C(6364136223846793005) + 1;
        }
        for (int64_t tick = wisp_tick(t.server); wisp_tick(t.server) == tick;) world_step(&t.w);
        for (int end = 0; end < BUOY_ENDS; end++)
            for (int i = 0; i < 60; i++) {
                const wisp__session *s = wisp__session_of(t.server, t.peers[end]);
                const wisp__focus *f = wisp__audience_of(t.server, s)->focus;
                const wisp__object *o = wisp__object_get(t.server, all[i]);
                const wisp__note *n = wisp__note_of(t.server, s, (uint16_t)o->id);
                double apart = f ? wisp__apart(f->at, o->presence->at) : 0;
                CHECK((!f || apart <= f->enter) == wisp__note_sees(n));
            }
    }
    world_close(&t.w);
}

/* What is shown again beyond `enter` is not seen until it comes within that, though the scans of a
   focus that moves pass over what they saw before. */
TEST(what_was_hidden_is_seen_again_within_enter) {
    static buoys t;
    wisp_object o;
    buoys_open(&t);
    t.desc.on_leave = WISP_FREEZE;
    buoys_server(&t);
    buoys_join(&t);
    o = buoys_spawn(&t, 0, 1);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], buoy_at(i, 0), 5, 10), WISP_OK);
        buoys_rest(&t);
        CHECK(buoys_see(&t, 0, o) && !wisp_is_frozen(t.ends[0], o));
    }
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_all()), WISP_OK);
    buoys_rest(&t);
    for (int i = 8; i > 2; i--) {
        CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], buoy_at(i, 0), 5, 10), WISP_OK);
        if (i == 8) CHECK_EQ_INT(wisp_unset(t.server, o, wisp_to_all()), WISP_OK);
        buoys_rest(&t);
        CHECK(wisp_is_frozen(t.ends[0], o) == (i > 5));
    }
    world_close(&t.w);
}

/* --- errors, memory --- */

TEST(wrong_calls_change_nothing) {
    static buoys t;
    wisp_vec3 none = { NAN, 0, 0 }, here = { 0, 0, 0 };
    wisp_object o, stale = { 0 };
    wisp_peer nobody = { 0 };
    wisp_group ended;
    char name[3] = "a";
    buoys_open(&t);
    buoys_server(&t);
    o = buoys_spawn(&t, 1, 1);
    buoys_join(&t);
    buoys_rest(&t);
    CHECK_EQ_INT(wisp_place(NULL, o, here), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_place(t.server, stale, here), WISP_E_STALE);
    CHECK_EQ_INT(wisp_place(t.server, o, here), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_place(t.ends[0], o, here), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_focus(NULL, t.peers[0], here, 1, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_focus(t.server, nobody, here, 1, 0), WISP_E_STALE);
    CHECK_EQ_INT(wisp_focus(t.ends[0], wisp_server(), here, 1, 0), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], none, 1, 0), WISP_E_INVALID);
    CHECK_EQ_STR(wisp_why_text(t.server), "(nan, 0, 0) is no position");
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], here, 5, 4), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], here, (double)NAN, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_focus(t.server, t.peers[0], here, -1, 0), WISP_E_ARGUMENT);
    CHECK(wisp_why_text(t.server)[0] != 0);
    ended = wisp_group_named(t.server, "ended");
    CHECK_EQ_INT(wisp_group_end(t.server, ended), WISP_OK);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_group(ended)), WISP_E_STALE);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_list(&nobody, 1)), WISP_E_STALE);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_list(NULL, 1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_viewers(o)), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_hide(t.ends[0], o, wisp_to_all()), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_tag(t.server, o, ""), WISP_E_NAME);
    CHECK_EQ_INT(wisp_tag(t.server, o, NULL), WISP_E_NAME);
    CHECK_EQ_INT(wisp_tag(t.server, o, "12345678901234567890123456789012"), WISP_E_NAME);
    CHECK_EQ_INT(wisp_show_tag(NULL, "a", wisp_to_all()), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_show_tag(t.server, "", wisp_to_all()), WISP_E_NAME);
    for (int i = 0; i < 9; i++, name[0]++)
        CHECK_EQ_INT(wisp_tag(t.server, o, name), i < 8 ? WISP_OK : WISP_E_LIMIT);
    CHECK_EQ_INT(wisp_untag(t.server, o, "z"), WISP_OK);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o) && wisp_has_tag(t.ends[0], o, "h"));
    CHECK(!wisp_has_tag(t.ends[0], o, "i") && !wisp_has_tag(t.ends[0], stale, "a"));
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_except(t.peers, 1)), WISP_OK);
    buoys_rest(&t);
    CHECK(buoys_see(&t, 0, o));
    CHECK_EQ_INT(wisp_hide(t.server, o, wisp_to_except(NULL, 0)), WISP_OK);
    buoys_rest(&t);
    CHECK(!buoys_see(&t, 0, o) && !wisp_is_frozen(t.ends[0], o));
    world_close(&t.w);
}

/* Any one allocation fails: a call says so, or what it was for is done later. */
TEST(any_one_allocation_of_interest_may_fail) {
    int done = 0;
    for (int fail = 1; fail < 400 && !done; fail++) {
        static buoys t;
        static ledger memory;
        wisp_object all[12];
        bool told = false;
        memory = ledger_none();
        buoys_open(&t);
        t.w.unchecked = true;
        t.w.desc.memory = ledger_memory(&memory);
        buoys_server(&t);
        buoys_join(&t);
        world_run(&t.w, 0.3);
        memory.fail_at = memory.asked + fail;
        for (int i = 0; i < 12; i++) all[i] = buoys_spawn(&t, i * 2, i);
        if (wisp_focus(t.server, t.peers[0], buoy_at(0, 0), 11, 0)) told = true;
        if (wisp_hide(t.server, all[2], wisp_to_all())) told = true;
        if (wisp_tag(t.server, all[3], "tag")) told = true;
        world_run(&t.w, 0.2);
        done = memory.asked < memory.fail_at;
        memory.fail_at = 0;
        world_run(&t.w, 0.4);
        for (int i = 0; i < 12; i++) told |= !all[i].id;
        for (int i = 0; i < 12 && !told && wisp_peers(t.server, NULL, 0); i++)
            if (!CHECK(buoys_see(&t, 0, all[i]) == (i < 6 && i != 2)))
                printf("  allocation %d object %d\n", fail, i);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
    CHECK(done);
}

static const test_case tests[] = {
    CASE(a_focus_sees_what_is_near),
    CASE(the_first_rule_that_says_something_holds),
    CASE(members_of_a_group_see_the_objects_of_its_tags),
    CASE(nothing_hidden_is_sent),
    CASE(an_object_comes_back_while_its_despawn_is_under_way),
    CASE(a_late_packet_brings_nothing_back),
    CASE(a_frozen_copy_stays_until_the_object_is_back_or_gone),
    CASE(the_nearest_comes_first),
    CASE(weight_scales_urgency),
    CASE(a_callback_that_meddles),
    CASE(a_callback_is_asked_each_tick_of_what_is_seen),
    CASE(messages_go_to_viewers_and_to_those_nearby),
    CASE(zones_of_all_sizes),
    CASE(what_was_hidden_is_seen_again_within_enter),
    CASE(wrong_calls_change_nothing),
    CASE(any_one_allocation_of_interest_may_fail)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
