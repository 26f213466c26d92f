/* test_object.c - classes and objects: of a server, and as its peers see them */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

typedef struct orb {
    float    x, y, z;
    uint16_t health;
    char     name[12];
    int      local;                    /* no field: stays here */
} orb;

static const wisp_field orb_fields[] = {
    WISP_FIELD(orb, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(orb, y, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(orb, z, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(orb, health, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(orb, name, WISP_T_STRING(11))
};
static const wisp_schema orb_schema = WISP_SCHEMA(orb, 1, orb_fields);

enum { THING_ENDS = 4, THING_MOST = 600 };

/* What the handlers of one end were told. */
typedef struct orb_log {
    int spawned, changed, despawned;
    int wrong;                         /* what should not be */
    wisp_result refuse;                /* of `spawned` */
    wisp_object last;
    orb state, before;
} orb_log;

static wisp_result orb_spawned(wisp_event *event) {
    orb_log *log = (orb_log *)event->user;
    log->spawned++;
    log->last = event->object;
    log->state = *(const orb *)event->state;
    log->wrong += event->before != NULL;
    return log->refuse;
}

static void orb_changed(wisp_event *event) {
    orb_log *log = (orb_log *)event->user;
    log->changed++;
    log->last = event->object;
    log->before = *(const orb *)event->before;
    log->state = *(const orb *)event->state;
}

static void orb_despawned(wisp_event *event) {
    orb_log *log = (orb_log *)event->user;
    log->despawned++;
    log->last = event->object;
}

typedef struct orbs {
    world      w;
    wisp      *server, *ends[THING_ENDS];
    wisp_class of_server, of[THING_ENDS];
    orb_log  logs[THING_ENDS];
    int        count;
    uint64_t   random;
} orbs;

static wisp_class orbs_define(wisp *w, orb_log *log) {
    wisp_class_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.schema = &orb_schema;
    desc.spawned = orb_spawned;
    desc.changed = orb_changed;
    desc.despawned = orb_despawned;
    desc.user = log;
    return wisp_define(w, "orb", &desc);
}

static void orbs_open(orbs *t) {
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->w.desc.tick_rate = 50;
    t->random = 7;
}

static void orbs_server(orbs *t) {
    t->server = world_add(&t->w);
    t->of_server = orbs_define(t->server, NULL);
    CHECK(t->of_server.id != 0);
    t->w.desc.tick_rate = 0;
}

static int orbs_join(orbs *t) {
    wisp_addr addr = wisp_loopback_addr(0);
    int i = t->count++;
    t->ends[i] = world_add(&t->w);
    t->of[i] = orbs_define(t->ends[i], &t->logs[i]);
    CHECK(wisp_join(t->ends[i], &addr, NULL, 0).id != 0);
    return i;
}

static wisp_object orbs_spawn(orbs *t, float x, const char *name) {
    wisp_player nobody = { 0 };
    orb made;
    memset(&made, 0, sizeof made);
    made.x = x;
    made.health = 100;
    strcpy(made.name, name);
    return wisp_spawn(t->server, t->of_server, nobody, &made);
}

static bool orb_equal(const orb *a, const orb *b) {
    return memcmp(&a->x, &b->x, 3 * sizeof a->x) == 0 && a->health == b->health &&
           strcmp(a->name, b->name) == 0;
}

/* Does an end see just the objects of the server, as they are there? */
static bool orbs_agree(orbs *t, int end) {
    int here = 0, there = 0;
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o)) {
        orb a, b;
        there++;
        if (!wisp_view(t->server, o, WISP_NOW, &a) ||
            !wisp_view(t->ends[end], o, WISP_CONFIRMED, &b) || !orb_equal(&a, &b))
            return false;
        if (wisp_owner_of(t->server, o).id != wisp_owner_of(t->ends[end], o).id) return false;
    }
    for (wisp_object o = wisp_first(t->ends[end], t->of[end]); o.id; o = wisp_next(t->ends[end], o))
        here++;
    return here == there;
}

TEST(a_peer_sees_what_a_server_spawns_edits_and_despawns) {
    static orbs t;
    wisp_object a, b;
    orb *edit, seen;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    world_run(&t.w, 0.5);
    a = orbs_spawn(&t, 1.23456f, "first");
    b = orbs_spawn(&t, 2, "second");
    CHECK(a.id && b.id && a.id != b.id);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].spawned, 2);
    CHECK_EQ_INT(t.logs[0].changed, 0);
    CHECK(orbs_agree(&t, 0));
    CHECK(wisp_view(t.ends[0], a, WISP_CONFIRMED, &seen));
    CHECK(seen.x > 1.2299f && seen.x < 1.2301f);              /* steps of 0.01, on both ends */
    CHECK(wisp_view(t.server, a, WISP_NOW, &seen) && seen.x > 1.2299f && seen.x < 1.2301f);
    edit = (orb *)wisp_object_edit(t.server, a);
    edit->health = 7;
    edit->local = 99;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].changed, 1);
    CHECK_EQ_INT(t.logs[0].before.health, 100);
    CHECK_EQ_INT(t.logs[0].state.health, 7);
    CHECK_EQ_INT(t.logs[0].state.local, 0);
    CHECK_EQ_INT(edit->local, 99);
    CHECK_EQ_INT(wisp_despawn(t.server, a), WISP_OK);
    CHECK_EQ_INT(wisp_despawn(t.server, a), WISP_E_STALE);
    CHECK(wisp_object_edit(t.server, a) == NULL);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].despawned, 1);
    CHECK(t.logs[0].last.id == a.id);
    CHECK(orbs_agree(&t, 0));
    CHECK(!wisp_view(t.ends[0], a, WISP_NOW, &seen));
    CHECK_EQ_INT(t.server->objects.classes[0]->count, 1);
    CHECK(t.server->objects.classes[0]->first == t.server->objects.classes[0]->last);
    world_close(&t.w);
}

/* What does not change is sent once. */
TEST(nothing_is_sent_of_what_stays) {
    static orbs t;
    uint64_t before;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 100; i++) orbs_spawn(&t, (float)i * 0.5f, "still");
    world_run(&t.w, 1);
    CHECK(orbs_agree(&t, 0));
    before = world_total(t.server).bytes_sent;
    for (int i = 0; i < 100; i++) {
        for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
            CHECK(wisp_object_edit(t.server, o) != NULL);          /* edited, but the same */
        world_step(&t.w);
    }
    CHECK(world_total(t.server).bytes_sent - before < 600);        /* ticks, pings, acks */
    CHECK_EQ_INT(t.logs[0].changed, 0);
    world_close(&t.w);
}

static uint64_t orbs_next(orbs *t) {
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random;
}

/* Moves some objects, and spawns and despawns a few. */
static void orbs_play(orbs *t) {
    int live = 0;
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o)) {
        uint64_t r = orbs_next(t);
        live++;
        if (r % 4 == 0) {
            orb *edit = (orb *)wisp_object_edit(t->server, o);
            edit->x += (float)(int)(r >> 8 & 15) * 0.05f - 0.4f;
            edit->y += (float)(int)(r >> 12 & 15) * 0.05f - 0.4f;
            if (r % 64 == 0) edit->health = (uint16_t)(r >> 20 & 511);
            if (r % 256 == 0) strcpy(edit->name, r >> 30 & 1 ? "renamed" : "");
        }
        if (r >> 40 & 1 && r % 97 == 0) CHECK_EQ_INT(wisp_despawn(t->server, o), WISP_OK);
        if (r % 211 == 0) {
            wisp_player owner = { (uint16_t)(r >> 16 & 7) };
            orb view;
            bool there = wisp_view(t->server, o, WISP_NOW, &view);
            CHECK_EQ_INT(wisp_give(t->server, o, owner), there ? WISP_OK : WISP_E_STALE);
        }
    }
    if (live < 60 && orbs_next(t) % 4 == 0) orbs_spawn(t, 0, "new");
}

/* Lost, late and doubled packets, ends that join late or leave: after a quiet second all agree. */
TEST(all_ends_agree_after_a_quiet_second) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static orbs t;
        orbs_open(&t);
        t.w.bad = true;
        t.w.net.loss = seed == 1 ? 0 : 0.3;
        t.w.net.latency = seed % 3 == 0 ? 0.3 : (double)(seed % 3) * 0.02;
        t.w.net.jitter = 0.03;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.seed = seed;
        t.random = seed;
        orbs_server(&t);
        for (int i = 0; i < 30; i++) orbs_spawn(&t, (float)i, "old");
        orbs_join(&t);
        orbs_join(&t);
        world_watch(&t.w, t.server, WISP_ERROR);
        world_watch(&t.w, t.ends[0], WISP_ERROR);
        for (int step = 0; step < 900; step++) {
            if (step == 300) orbs_join(&t);
            if (step == 500) wisp_leave(t.ends[1], wisp_server(), "enough");
            if (step < 700) orbs_play(&t);
            world_step(&t.w);
        }
        for (int i = 0; i < 600 && !(orbs_agree(&t, 0) && orbs_agree(&t, 2)); i++)
            world_step(&t.w);
        CHECK(orbs_agree(&t, 0));
        CHECK(orbs_agree(&t, 2));
        CHECK(wisp_first(t.ends[1], t.of[1]).id == 0);          /* without a server nothing */
        CHECK_EQ_INT(t.logs[1].spawned, t.logs[1].despawned);
        CHECK(t.logs[0].spawned - t.logs[0].despawned == t.server->objects.count);
        CHECK_EQ_INT(t.logs[0].wrong + t.logs[2].wrong, 0);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

/* What a server tells is for peers that have joined it; who has objects takes none. */
TEST(an_end_sees_the_objects_of_the_first_server_that_it_has) {
    static orbs t;
    wisp_addr addr = wisp_loopback_addr(2);
    wisp_player nobody = { 0 };
    wisp *other;
    orb made;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);                                   /* side 1 */
    t.w.desc.tick_rate = 50;
    other = world_add(&t.w);                           /* side 2 */
    CHECK(orbs_define(other, NULL).id != 0);
    memset(&made, 0, sizeof made);
    made.x = 9;
    orbs_spawn(&t, 1, "one");
    CHECK(wisp_spawn(other, t.of_server, nobody, &made).id != 0);
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK(wisp_join(t.ends[0], &addr, NULL, 0).id != 0);
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));                        /* still those of the first */
    CHECK(wisp_spawn(t.ends[0], t.of[0], nobody, &made).id == 0);
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_UNSUPPORTED);
    CHECK(wisp_object_edit(t.ends[0], wisp_first(t.ends[0], t.of[0])) == NULL);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], wisp_first(t.ends[0], t.of[0])), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_give(t.ends[0], wisp_first(t.ends[0], t.of[0]), nobody),
                 WISP_E_UNSUPPORTED);
    wisp_leave(t.ends[0], wisp_server(), "enough");
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(t.logs[0].despawned, 1);
    ((orb *)wisp_object_edit(other, wisp_first(other, t.of_server)))->x = 10;
    world_run(&t.w, 0.5);
    t.server = other;
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(t.logs[0].spawned, 2);
    world_close(&t.w);
}

static void orbs_left(wisp_event *event) {
    *(wisp_player *)event->user = wisp_player_of(event->w, event->peer);
}

/* An index rests, so that what is on its way of the object before is not of the next one; and an
   end with objects keeps its own ticks. */
TEST(an_index_rests_before_it_is_used_again) {
    static orbs t;
    wisp_addr addr = wisp_loopback_addr(2);
    wisp_object before;
    int64_t tick;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    before = orbs_spawn(&t, 1, "one");
    for (int i = 0; i < 1000; i++) {
        wisp_object o;
        CHECK_EQ_INT(wisp_despawn(t.server, before), WISP_OK);
        world_step(&t.w);
        o = orbs_spawn(&t, 1, "next");
        CHECK((o.id & 0xffff) != (before.id & 0xffff));
        before = o;
    }
    CHECK(before.id >> 16 > 1);
    CHECK(t.server->objects.made < 400);
    t.w.desc.tick_rate = 20;
    CHECK(world_add(&t.w) != NULL);
    tick = wisp_tick(t.server);
    CHECK(wisp_join(t.server, &addr, NULL, 0).id != 0);
    world_run(&t.w, 1);
    CHECK(wisp_tick(t.server) - tick >= 49 && wisp_tick(t.server) - tick <= 51);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

TEST(owners_and_players) {
    static orbs t;
    wisp_player owner, left = { 0 };
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    orbs_join(&t);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(wisp_me(t.server).id, 0);
    CHECK(wisp_me(t.ends[0]).id != 0 && wisp_me(t.ends[1]).id != 0);
    CHECK(wisp_me(t.ends[0]).id != wisp_me(t.ends[1]).id);
    owner = wisp_me(t.ends[1]);
    CHECK_EQ_INT(wisp_player_of(t.server, wisp_peer_of(t.server, owner)).id, owner.id);
    CHECK_EQ_INT(wisp_player_of(t.ends[1], wisp_server()).id, 0);
    owner.id = 60000;
    CHECK_EQ_INT(wisp_peer_of(t.server, owner).id, 0);
    o = orbs_spawn(&t, 1, "mine");
    world_run(&t.w, 0.2);
    CHECK(wisp_is_mine(t.server, o) && wisp_decides(t.server, o));
    CHECK(!wisp_is_mine(t.ends[1], o) && !wisp_decides(t.ends[1], o));
    t.ends[1]->clock.following = false;            /* it does not know yet who it is */
    CHECK(!wisp_is_mine(t.ends[1], o));
    t.ends[1]->clock.following = true;
    owner = wisp_me(t.ends[1]);
    CHECK_EQ_INT(wisp_give(t.server, o, owner), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK(wisp_is_mine(t.ends[1], o) && !wisp_is_mine(t.ends[0], o) && !wisp_is_mine(t.server, o));
    CHECK_EQ_INT(t.logs[0].changed, 1);
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(wisp_set_object_user(t.ends[0], o, &t), WISP_OK);
    CHECK(wisp_object_user(t.ends[0], o) == &t && wisp_object_user(t.server, o) == NULL);
    CHECK_EQ_INT(wisp_class_of(t.ends[0], o).id, t.of[0].id);
    CHECK(wisp_on(t.server, WISP_LEFT, orbs_left, &left).id != 0);
    wisp_leave(t.ends[1], wisp_server(), "enough");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(left.id, owner.id);                 /* as long as WISP_LEFT is handled */
    world_close(&t.w);
}

/* A struct outside its schema is told and taken back; a handler that refuses hides. */
TEST(what_is_outside_the_schema_is_taken_back) {
    static orbs t;
    wisp_player nobody = { 0 };
    wisp_object o;
    orb bad, seen;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    world_watch(&t.w, t.server, WISP_ERROR);
    memset(&bad, 0, sizeof bad);
    bad.health = 1001;
    CHECK(wisp_spawn(t.server, t.of_server, nobody, &bad).id == 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_INVALID);
    o = orbs_spawn(&t, 1, "good");
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 1);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "health") != NULL);
    ((orb *)wisp_object_edit(t.server, o))->x = 101;
    ((orb *)wisp_object_edit(t.server, o))->health = 5;
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 2);
    CHECK(wisp_view(t.server, o, WISP_NOW, &seen) && seen.health == 100);
    CHECK_EQ_INT(t.logs[0].changed, 0);
    CHECK(orbs_agree(&t, 0));
    t.logs[0].refuse = WISP_E_USER;
    o = orbs_spawn(&t, 2, "hidden");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].spawned, 2);
    CHECK(!wisp_view(t.ends[0], o, WISP_NOW, &seen));
    ((orb *)wisp_object_edit(t.server, o))->health = 5;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].changed + t.logs[0].despawned, 0);
    world_close(&t.w);
}

TEST(wrong_calls_are_told_apart) {
    static orbs t;
    wisp_class_desc desc;
    wisp_player nobody = { 0 };
    wisp_class none = { 0 };
    orb made;
    wisp *w;
    orbs_open(&t);
    t.w.desc.limits.objects = 2;
    orbs_server(&t);
    w = t.server;
    memset(&desc, 0, sizeof desc);
    memset(&made, 0, sizeof made);
    CHECK(wisp_define(w, "other", &desc).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    desc.schema = &orb_schema;
    CHECK(wisp_define(w, "orb", &desc).id == 0 && wisp_why(w) == WISP_E_NAME);
    CHECK(wisp_define(w, NULL, &desc).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(wisp_define(NULL, "x", &desc).id == 0);
    desc.rate = -1;
    CHECK(wisp_define(w, "other", &desc).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(wisp_spawn(w, none, nobody, &made).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(wisp_spawn(w, t.of_server, nobody, NULL).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(orbs_spawn(&t, 0, "a").id != 0);
    CHECK(orbs_spawn(&t, 0, "b").id != 0);
    CHECK(orbs_spawn(&t, 0, "c").id == 0 && wisp_why(w) == WISP_E_LIMIT);
    CHECK_EQ_STR(wisp_why_text(w), "all 2 are in use: raise desc.limits.objects");
    CHECK_EQ_INT(wisp_despawn(w, wisp_first(w, t.of_server)), WISP_OK);
    CHECK(orbs_spawn(&t, 0, "c").id != 0);
    CHECK_EQ_INT(wisp_despawn(NULL, wisp_first(w, t.of_server)), WISP_E_ARGUMENT);
    CHECK(wisp_first(NULL, t.of_server).id == 0 && wisp_first(w, none).id == 0);
    world_close(&t.w);
}

/* Objects may come and go, also in the handlers, while a program walks over them. */
TEST(a_walk_over_objects_survives_their_going) {
    static orbs t;
    int seen = 0;
    orbs_open(&t);
    orbs_server(&t);
    for (int i = 0; i < 10; i++) orbs_spawn(&t, (float)i, "walked");
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o)) {
        CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
        if (seen++ < 10) orbs_spawn(&t, 50, "later");
    }
    CHECK_EQ_INT(seen, 20);
    CHECK_EQ_INT(t.server->objects.count, 0);
    world_run(&t.w, 0.1);
    CHECK(t.server->objects.classes[0]->first == NULL);
    world_close(&t.w);
}

/* A peer that has lost its objects, or the rows of them, asks and gets them again. */
TEST(a_peer_that_lacks_a_row_gets_a_whole_one) {
    static orbs t;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "lost");
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    for (wisp__object *o = t.ends[0]->objects.classes[0]->first; o; o = o->next)
        wisp__kept_forget(t.ends[0], &o->kept, (uint16_t)(o->sequence + 1));
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        ((orb *)wisp_object_edit(t.server, o))->y = 7;
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK(t.logs[0].state.y > 6.9f);
    world_close(&t.w);
}

/* The other end has a newer version of the class: a field more, and a migration for it. */
typedef struct newer_orb { float x, y, z; uint16_t health, armour; char name[12]; } newer_orb;

static const wisp_field newer_fields[] = {
    WISP_FIELD(newer_orb, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(newer_orb, y, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(newer_orb, z, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(newer_orb, health, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(newer_orb, armour, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(newer_orb, name, WISP_T_STRING(11))
};
static const wisp_schema newer_schema = WISP_SCHEMA(newer_orb, 2, newer_fields);

static wisp_result newer_of(wisp_edit *edit, void *user) {
    (void)user;
    return wisp_edit_set(edit, "armour", wisp_int(wisp_int_of(wisp_edit_get(edit, "health")) / 2));
}

TEST(versions_of_a_class_migrate) {
    static orbs t;
    static const wisp_migration steps[] = { { 1, newer_of, NULL } };
    wisp_addr addr = wisp_loopback_addr(0);
    wisp_class_desc desc;
    wisp_class of;
    newer_orb seen;
    wisp *newer;
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    newer = world_add(&t.w);
    memset(&desc, 0, sizeof desc);
    desc.schema = &newer_schema;
    desc.migrations = steps;
    desc.migration_count = 1;
    of = wisp_define(newer, "orb", &desc);
    CHECK(of.id != 0);
    CHECK(wisp_join(newer, &addr, NULL, 0).id != 0);
    o = orbs_spawn(&t, 3, "old one");
    world_run(&t.w, 0.5);
    CHECK(wisp_view(newer, o, WISP_CONFIRMED, &seen));
    CHECK(seen.armour == 50 && seen.health == 100 && strcmp(seen.name, "old one") == 0);
    ((orb *)wisp_object_edit(t.server, o))->health = 30;
    world_run(&t.w, 0.5);
    CHECK(wisp_view(newer, o, WISP_CONFIRMED, &seen) && seen.armour == 15);
    world_close(&t.w);
}

/* An end without the class gets none of its objects, also when it takes all names, and a server
   keeps nothing of those that come and go meanwhile. */
TEST(an_end_without_the_class_is_sent_nothing) {
    static orbs t;
    wisp_addr addr = wisp_loopback_addr(0);
    wisp *other;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    other = world_add(&t.w);
    CHECK(wisp_connect_match(other, ".*", orb_despawned, &t.logs[1]).id != 0);
    CHECK(wisp_join(other, &addr, NULL, 0).id != 0);
    world_run(&t.w, 0.5);
    orbs_spawn(&t, 1, "stays");
    for (int i = 0; i < 100; i++) {
        wisp_object o = orbs_spawn(&t, 2, "goes");
        if (i % 2) world_step(&t.w);
        CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
        if (i % 4 == 0) world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(t.server->objects.free_count, t.server->objects.made - 1);
    CHECK(t.server->objects.classes[0]->first == t.server->objects.classes[0]->last);
    CHECK(orbs_agree(&t, 0));
    CHECK(other->objects.server == NULL && other->base.stats.errors == 0);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 2);
    world_close(&t.w);
}

/* Bits that nobody has written: they end the session, or do nothing; and never more. */
TEST(hostile_objects) {
    static orbs t;
    orbs_open(&t);
    t.w.desc.limits.objects = 100;
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 10; i++) orbs_spawn(&t, (float)i, "real");
    world_run(&t.w, 0.5);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[96 + WISP__SLACK];
        wisp__writer to = wisp__writer_on(bytes, 96);
        wisp__reading r;
        for (int k = 0; k < 96; k += 8) {
            uint64_t random = orbs_next(&t) & (i % 3 ? UINT64_MAX : orbs_next(&t));
            memcpy(bytes + k, &random, 8);
        }
        wisp__put(&to, orbs_next(&t) >> 31, 33);
        if (i % 2) {
            wisp__put(&to, 1, 2);                      /* one more, by its index */
            wisp__put(&to, orbs_next(&t) & 15, 16);
            wisp__put(&to, i % 4 == 1, i % 4 == 1 ? 2 : 1);
            if (i % 4 == 1) wisp__put(&to, orbs_next(&t) & 7, 16);
            if (i % 4 == 1) wisp__put_length(&to, 0);
        }
        memset(&r, 0, sizeof r);
        r.w = t.ends[0];
        r.s = wisp__session_of(t.ends[0], wisp_server());
        r.from = wisp__reader_on(bytes, 96);
        if (!wisp__credit_begin(r.w, r.s, 1200)) {
            world_run(&t.w, 0.2);
            continue;
        }
        t.ends[0]->updating = true;
        wisp__on_tick(&r);
        wisp__on_objects(&r);
        wisp__credit_end(r.w, r.s);
        t.ends[0]->updating = false;
        if (i % 500 == 0) world_step(&t.w);
    }
    CHECK(t.ends[0]->objects.classes[0]->count <= 100);
    world_run(&t.w, 0.5);
    world_close(&t.w);
}

/* Any one allocation fails, on either end: what it was for is done later, or the session ends. */
TEST(any_one_allocation_of_objects_may_fail) {
    int done = 0;
    for (int fail = 1; fail < 400; fail++) {
        static orbs t;
        static ledger memory;
        memory = ledger_none();
        orbs_open(&t);
        t.random = 5;
        t.w.unchecked = true;
        t.w.desc.memory = ledger_memory(&memory);
        orbs_server(&t);
        orbs_join(&t);
        world_run(&t.w, 0.3);
        memory.fail_at = memory.asked + fail;
        for (int i = 0; i < 12; i++) orbs_spawn(&t, (float)i, "poor");
        for (int i = 0; i < 40; i++) {
            orbs_play(&t);
            world_step(&t.w);
        }
        done = memory.asked < memory.fail_at;
        memory.fail_at = 0;
        for (int i = 0; i < 100 && !orbs_agree(&t, 0); i++) world_step(&t.w);
        if (wisp_peers(t.server, NULL, 0) && !CHECK(orbs_agree(&t, 0)))
            printf("  allocation %d\n", fail);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
        if (done) break;
    }
    CHECK(done);
}

/* A link that loses nothing has no acks: each row is the next one's base at once. */
TEST(objects_over_a_reliable_link) {
    static orbs t;
    orbs_open(&t);
    t.w.pipe.reliable = true;
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "sure");
    for (int i = 0; i < 200; i++) {
        orbs_play(&t);
        world_step(&t.w);
    }
    world_run(&t.w, 0.2);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

/* What all remotes are set to is not for classes, whose rows have a form of their own. */
TEST(settings_of_all_remotes_are_not_those_of_classes) {
    for (int kind = 0; kind < 3; kind++) {
        static orbs t;
        wisp_config config;
        wisp_object o;
        orbs_open(&t);
        memset(&config, 0, sizeof config);
        config.encode.mode = kind == 0   ? WISP_ENCODE_DELTA
                             : kind == 1 ? WISP_ENCODE_COMPRESSED : WISP_ENCODE_SAFE;
        t.server = world_add(&t.w);
        CHECK_EQ_INT(wisp_use_config(t.server, &config, NULL), WISP_OK);
        t.of_server = orbs_define(t.server, NULL);
        CHECK(t.of_server.id != 0);
        t.w.desc.tick_rate = 0;
        orbs_join(&t);
        o = orbs_spawn(&t, 1, "same");
        CHECK(o.id != 0);
        world_run(&t.w, 0.5);
        if (!CHECK(orbs_agree(&t, 0))) printf("  kind %d\n", kind);
        CHECK_EQ_INT(wisp_use_config(t.server, &config, "class orb"), WISP_E_NAME);
        world_close(&t.w);
    }
}

typedef struct long_orb { int number; char text[2000]; } long_orb;

static const wisp_field long_fields[] = {
    WISP_FIELD(long_orb, number, WISP_T_INT32),
    WISP_FIELD(long_orb, text, WISP_T_STRING(1999))
};
static const wisp_schema long_schema = WISP_SCHEMA(long_orb, 1, long_fields);

/* A row that no packet holds is refused, and one that none holds yet stands in nobody's way. */
TEST(a_row_fits_a_packet) {
    static orbs t;
    static long_orb big;
    wisp_class_desc desc;
    wisp_class here, there;
    wisp_player nobody = { 0 };
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    memset(&desc, 0, sizeof desc);
    desc.schema = &long_schema;
    desc.priority = WISP_PRIORITY(1);
    here = wisp_define(t.server, "long", &desc);
    there = wisp_define(t.ends[0], "long", &desc);
    CHECK(here.id && there.id);
    world_run(&t.w, 0.1);
    memset(&big, 0, sizeof big);
    memset(big.text, 'a', 1500);
    CHECK_EQ_INT(wisp_spawn(t.server, here, nobody, &big).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_TOO_BIG);
    big.text[900] = 0;
    o = wisp_spawn(t.server, here, nobody, &big);
    CHECK(o.id != 0);
    orbs_spawn(&t, 1, "small");
    world_run(&t.w, 0.2);
    CHECK(orbs_agree(&t, 0));
    world_run(&t.w, 5);
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &big) && strlen(big.text) == 900);
    (void)there;
    world_close(&t.w);
}

typedef struct any_orb { int number; wisp_value any; } any_orb;

static const wisp_type any_type = WISP_T_ANY;
static const wisp_field any_fields[] = {
    WISP_FIELD(any_orb, number, WISP_T_INT32), WISP_FIELD(any_orb, any, WISP_T_ANY)
};
static const wisp_schema any_schema = WISP_SCHEMA(any_orb, 1, any_fields);
typedef struct any_outer { any_orb two[2]; } any_outer;
static const wisp_type any_inner_type = WISP_T_STRUCT(&any_schema);
static const wisp_field any_outer_fields[] = {
    WISP_FIELD(any_outer, two, WISP_T_ARRAY(&any_inner_type, 2))
};
static const wisp_schema any_outer_schema = WISP_SCHEMA(any_outer, 1, any_outer_fields);

/* A struct that points to a value elsewhere cannot be copied. */
TEST(a_class_holds_no_values_that_point_elsewhere) {
    static orbs t;
    wisp_class_desc desc;
    orbs_open(&t);
    orbs_server(&t);
    memset(&desc, 0, sizeof desc);
    desc.schema = &any_schema;
    CHECK_EQ_INT(wisp_define(t.server, "any", &desc).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_SCHEMA);
    desc.schema = &any_outer_schema;
    CHECK_EQ_INT(wisp_define(t.server, "outer", &desc).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_SCHEMA);
    CHECK(strstr(wisp_why_text(t.server), "points to memory") != NULL);
    (void)any_type;
    world_close(&t.w);
}

/* Between the end of a session and the next update its objects are still here: none is put in
   their places. */
TEST(nothing_is_spawned_while_objects_of_a_server_go) {
    static orbs t;
    wisp_player nobody = { 0 };
    orb made;
    memset(&made, 0, sizeof made);
    orbs_open(&t);
    orbs_server(&t);
    t.w.desc.tick_rate = 50;
    orbs_join(&t);
    for (int i = 0; i < 3; i++) orbs_spawn(&t, 1, "going");
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    wisp_leave(t.ends[0], wisp_server(), "enough");
    for (int i = 0; i < 20; i++) {
        if (wisp_spawn(t.ends[0], t.of[0], nobody, &made).id) break;
        CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_UNSUPPORTED);
        world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(t.logs[0].despawned, 3);
    CHECK(wisp_first(t.ends[0], t.of[0]).id != 0);
    world_close(&t.w);
}

/* A number that has been told is not told for another class: handles would lie about the struct. */
TEST(an_object_keeps_its_class) {
    static orbs t;
    wisp_class_desc desc;
    wisp_object o;
    wisp__class *other;
    wisp__reading r;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    memset(&desc, 0, sizeof desc);
    desc.schema = &long_schema;
    CHECK(wisp_define(t.ends[0], "long", &desc).id != 0);
    o = orbs_spawn(&t, 1, "orb");
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    memset(&r, 0, sizeof r);
    r.w = t.ends[0];
    r.s = wisp__session_of(t.ends[0], wisp_server());
    other = t.ends[0]->objects.classes[1];
    CHECK(!wisp__object_told(&r, other, o.id, t.ends[0]->registry.remotes[other->remote]->schema));
    CHECK_EQ_INT(wisp_class_of(t.ends[0], o).id, t.of[0].id);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_peer_sees_what_a_server_spawns_edits_and_despawns),
    CASE(nothing_is_sent_of_what_stays),
    CASE(all_ends_agree_after_a_quiet_second),
    CASE(an_end_sees_the_objects_of_the_first_server_that_it_has),
    CASE(an_index_rests_before_it_is_used_again),
    CASE(owners_and_players),
    CASE(what_is_outside_the_schema_is_taken_back),
    CASE(wrong_calls_are_told_apart),
    CASE(a_walk_over_objects_survives_their_going),
    CASE(a_peer_that_lacks_a_row_gets_a_whole_one),
    CASE(versions_of_a_class_migrate),
    CASE(an_end_without_the_class_is_sent_nothing),
    CASE(hostile_objects),
    CASE(any_one_allocation_of_objects_may_fail),
    CASE(objects_over_a_reliable_link),
    CASE(settings_of_all_remotes_are_not_those_of_classes),
    CASE(a_row_fits_a_packet),
    CASE(a_class_holds_no_values_that_point_elsewhere),
    CASE(nothing_is_spawned_while_objects_of_a_server_go),
    CASE(an_object_keeps_its_class)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
