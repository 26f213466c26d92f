/* test_audience.c - objects: what each peer is sent */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"

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

/* A peer sees how it goes on before the server knows that the peer has it, and evenly. */
TEST(what_is_new_does_not_stand_still_for_a_round_trip) {
    static orbs t;
    double came = 0, first = -1, last = -1;
    int changed = 0;
    wisp_object o;
    orbs_open(&t);
    t.w.bad = true;
    t.w.net.latency = 0.1;
    orbs_server(&t);
    orbs_join(&t);
    world_run(&t.w, 2);
    o = orbs_spawn(&t, 0, "new");
    for (int i = 1; i < 60; i++) {
        orb drawn;
        ((orb *)wisp_object_edit(t.server, o))->y = (float)i;
        world_step(&t.w);
        if (t.logs[0].spawned && came <= 0) came = t.ends[0]->base.time;
        if (came <= 0 || t.ends[0]->base.time > came + 0.19) continue;
        if (!wisp_view(t.ends[0], wisp_first(t.ends[0], t.of[0]), WISP_SMOOTH, &drawn)) continue;
        if (first >= 0 && last > first) CHECK((double)drawn.y - last < 2.5);
        last = (double)drawn.y;
        if (first < 0) first = last;
        changed = t.logs[0].changed;
    }
    CHECK(changed >= 4 && last > first + 8);
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
        o->kept.floor = (uint32_t)o->tick + 1;
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        ((orb *)wisp_object_edit(t.server, o))->y = 7;
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK(t.logs[0].state.y > 6.9f);
    world_close(&t.w);
}

/* Deltas say how an object moves by a row shortly before their base, which the peer has too,
   whatever the network does to their order. */
TEST(deltas_know_a_row_shortly_before_their_base) {
    static orbs t;
    int lacked = 0, near_by = 0;
    orbs_open(&t);
    t.w.bad = true;
    t.w.net.latency = 0.05;
    t.w.net.reorder = 0.2;
    t.w.net.reorder_delay = 0.025;
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "late");
    world_run(&t.w, 0.5);
    t.ends[0]->objects.classes[0]->past = WISP__PAST_OFF;
    for (int step = 0; step < 200; step++) {
        for (wisp__object *o = t.server->objects.classes[0]->first; o; o = o->next) {
            orb *it = (orb *)wisp_object_edit(t.server, wisp__object_handle(o));
            wisp__bases bases;
            it->y = (float)((step * 7) % 150) / 2;
            wisp__note_bases(t.server, o->notes, &bases);
            near_by += step > 50 && bases.behind && bases.behind <= 4 && bases.ahead >= 4;
            lacked += o->notes->lacked;
        }
        world_step(&t.w);
    }
    CHECK(near_by > 1500);
    CHECK_EQ_INT(lacked, 0);
    world_run(&t.w, 1);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

/* Objects of an adaptive class that move alike. Returns the bytes that the server sends. */
static uint64_t adaptive_run(orbs *t, bool adaptive, int object_bytes) {
    uint64_t before;
    orbs_open(t);
    orbs_desc.adaptive = adaptive;
    t->w.desc.limits.object_bytes = object_bytes;
    t->w.bad = true;
    t->w.net.latency = 0.05;
    t->w.net.loss = 0.05;
    orbs_server(t);
    orbs_join(t);
    for (int i = 0; i < 40; i++) orbs_spawn(t, (float)i, "moves");
    world_run(&t->w, 1);
    before = world_total(t->server).bytes_sent;
    for (int step = 0; step < 400; step++) {
        wisp_object o = wisp_first(t->server, t->of_server);
        for (; o.id; o = wisp_next(t->server, o)) {
            orb *it = (orb *)wisp_object_edit(t->server, o);
            it->y += 0.07f + 0.01f * (float)(orbs_next(t) % 3);
            if (it->y > 90) it->y = -90;
        }
        world_step(&t->w);
    }
    before = world_total(t->server).bytes_sent - before;
    world_run(&t->w, 1);
    CHECK(orbs_agree(t, 0));
    return before;
}

TEST(adaptive_classes_take_fewer_bytes_and_keep_models_within_the_limit) {
    static orbs t;
    uint64_t plain = adaptive_run(&t, false, 0), adaptive;
    CHECK_EQ_INT(t.server->objects.models_bytes, 0);
    CHECK(t.server->objects.coder == NULL && t.ends[0]->objects.coder == NULL);
    world_close(&t.w);
    adaptive = adaptive_run(&t, true, 0);
    CHECK(adaptive < plain * 9 / 10);
    CHECK(t.server->objects.models_bytes > 0 && t.ends[0]->objects.models_bytes > 0);
    world_close(&t.w);
    adaptive_run(&t, true, 9000);                          /* each packet begins from nothing */
    CHECK_EQ_INT(t.server->objects.models_bytes + t.ends[0]->objects.models_bytes, 0);
    world_close(&t.w);
}

/* A peer pays for the look at the models of all classes. */
TEST(models_that_a_peer_says_to_keep_are_paid_for) {
    static orbs t;
    uint8_t bytes[8 + WISP__SLACK] = { 5 };
    wisp__reading r;
    wisp__session *s;
    int64_t before;
    wisp_peer peer;
    adaptive_run(&t, true, 0);
    CHECK_EQ_INT(wisp_peers(t.server, &peer, 1), 1);
    s = wisp__session_of(t.server, peer);
    memset(&r, 0, sizeof r);
    r.w = t.server;
    r.s = s;
    for (int enough = 1; enough >= 0; enough--) {
        int room = wisp__audience_of(t.server, s)->models_room;
        r.from = wisp__reader_on(bytes, 8);
        before = t.server->content.credit.work = enough ? 1000 : 0;
        wisp__on_models(&r);
        CHECK(room > 0 && (r.broken == NULL) == (enough == 1));
        if (enough)
            CHECK_EQ_INT(before - t.server->content.credit.work, room * WISP__PRICE_STEP);
    }
    world_close(&t.w);
}

/* A row that no packet has room for any more goes in the next one, as if it had not been coded. */
TEST(adaptive_rows_fill_several_packets_of_a_tick) {
    static orbs t;
    for (int seed = 1; seed <= 3; seed++) {
        orbs_open(&t);
        orbs_desc.adaptive = true;
        t.random += (uint64_t)seed;
        t.w.bad = true;
        t.w.net.seed = (uint64_t)seed;
        t.w.net.latency = 0.03;
        t.w.net.jitter = t.w.net.reorder = seed > 1 ? 0.01 : 0;
        t.w.net.loss = 0.03;
        orbs_server(&t);
        orbs_join(&t);
        for (int i = 0; i < 300; i++) orbs_spawn(&t, (float)(i % 90), "many");
        for (int step = 0; step < 250; step++) {
            wisp_object o = wisp_first(t.server, t.of_server);
            for (; o.id; o = wisp_next(t.server, o)) {
                orb *it = (orb *)wisp_object_edit(t.server, o);
                it->y += 0.01f * (float)(orbs_next(&t) % 300) - 1.4f;
                if (it->y > 90 || it->y < -90) it->y = 0;
                if (orbs_next(&t) % 50 == 0) it->health = (uint16_t)(orbs_next(&t) % 100);
            }
            if (step % 20 == 9) wisp_despawn(t.server, wisp_first(t.server, t.of_server));
            world_step(&t.w);
        }
        world_run(&t.w, 2);
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
        CHECK(orbs_agree(&t, 0));
        world_close(&t.w);
    }
}

/* A coded row whose base is missing spoils the rest of its packet: all comes whole, and an object
   that was lacked twice is not coded any more. Only they: the others are. */
TEST(a_coded_row_without_its_base_is_asked_for) {
    static orbs t;
    int plain = 0;
    adaptive_run(&t, true, 0);
    for (int round = 0; round < 2; round++) {
        wisp__past_forget(t.ends[0], t.ends[0]->objects.classes[0]->last);
        for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
            ((orb *)wisp_object_edit(t.server, o))->x = (float)round + 7;
        world_run(&t.w, 1);
        CHECK(orbs_agree(&t, 0));
    }
    for (wisp__object *o = t.server->objects.classes[0]->first; o; o = o->next)
        plain += o->notes->plain;
    CHECK_EQ_INT(plain, 1);
    world_close(&t.w);
}

/* An end that lacks more rows than it has room to ask for asks for all. */
TEST(more_rows_are_lacked_than_can_be_asked_for) {
    static orbs t;
    int n = 0;
    orbs_open(&t);
    t.w.desc.limits.remotes = 24;
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 300; i++) orbs_spawn(&t, 0, "lost");
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    for (wisp__object *o = t.ends[0]->objects.classes[0]->first; o; o = o->next)
        o->kept.floor = (uint32_t)o->tick + 1;
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        if (n++ % 2) ((orb *)wisp_object_edit(t.server, o))->y = 7;
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(world_total(t.ends[0]).errors, 0);
    world_close(&t.w);
}

/* A peer asks for all objects, and acks nothing: nothing is done for it before a packet can go. */
TEST(to_ask_for_all_objects_often_costs_nothing) {
    static orbs t;
    wisp__session *s;
    wisp__audience *a;
    uint8_t bytes[8 + WISP__SLACK];
    wisp__writer to = wisp__writer_on(bytes, 8);
    wisp__reading r;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 300; i++) orbs_spawn(&t, 0, "asked for");
    world_run(&t.w, 0.5);
    s = wisp__session_of(t.server, world_peer(t.server, 0));
    a = wisp__audience_of(t.server, s);
    CHECK(orbs_agree(&t, 0) && !a->open);
    memset(bytes, 0, sizeof bytes);
    wisp__put_length(&to, WISP__OBJECT_ALL);
    memset(&r, 0, sizeof r);
    r.w = t.server;
    r.s = s;
    for (int i = 0; i < 1000; i++) {
        r.from = wisp__reader_on(bytes, 8);
        wisp__on_lacks(&r);
        CHECK(!r.broken && !a->open && a->all_again);
    }
    s->peer.flow.in_flight += 1 << 20;
    wisp__objects_order(t.server, s);
    CHECK(!a->open && a->ready > 0);
    s->peer.flow.in_flight -= 1 << 20;
    wisp__objects_order(t.server, s);
    CHECK_EQ_INT(a->open, 300);
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0) && !a->open);
    world_close(&t.w);
}

/* Loses what goes to the server, so that it hears of no ack. */
static int audience_tap(world *w, int n, wisp_packet *packet) {
    (void)packet;
    return n == 0 || !*(bool *)w->user;
}

/* Rows that are kept because a delta may need them have a limit of bytes. */
TEST(rows_that_are_kept_take_no_more_than_their_limit) {
    for (int limited = 0; limited < 2; limited++) {
        static orbs t;
        bool lost = false;
        orbs_open(&t);
        t.w.tap = audience_tap;
        t.w.user = &lost;
        orbs_server(&t);
        t.w.desc.limits.object_bytes = limited ? 4000 : 0;
        orbs_join(&t);
        for (int i = 0; i < 20; i++) orbs_spawn(&t, 0, "kept");
        world_run(&t.w, 0.3);
        lost = true;
        for (int step = 0; step < 60; step++) {
            for (wisp_object o = wisp_first(t.server, t.of_server); o.id;
                 o = wisp_next(t.server, o))
                ((orb *)wisp_object_edit(t.server, o))->y += 0.5f;
            world_step(&t.w);
        }
        if (limited) CHECK(t.ends[0]->objects.kept_bytes < 6000);
        else CHECK(t.ends[0]->objects.kept_bytes > 12000);
        lost = false;
        world_run(&t.w, 1);
        CHECK(orbs_agree(&t, 0));
        world_close(&t.w);
    }
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
    world_watch(&t.w, other, WISP_ERROR);
    world_watch(&t.w, t.server, WISP_ERROR);
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
    CHECK(wisp__audience_of(t.server, wisp__session_of(t.server, world_peer(t.server, 1))) == NULL);
    CHECK(t.server->objects.classes[0]->first == t.server->objects.classes[0]->last);
    CHECK(orbs_agree(&t, 0));
    CHECK(other->objects.server == NULL && other->base.stats.errors == 1);
    CHECK_EQ_INT(world_count(&t.w, other, WISP_ERROR), 1);       /* both ends are told */
    CHECK(strstr(world_last(&t.w, other, WISP_ERROR)->text, "class orb: not defined") != NULL);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 1);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "class orb: the other end does not "
                                                               "know this name") != NULL);
    CHECK(orbs_define(other, &t.logs[1]).id != 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(t.logs[1].spawned, 1);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 2);
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
        orbs_desc.adaptive = fail % 2 != 0;
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
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        static orbs t;
        orbs_open(&t);
        orbs_desc.adaptive = adaptive != 0;
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
        CHECK(!adaptive || t.ends[0]->objects.classes[0]->coder->told->made[0]);
        world_close(&t.w);
    }
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

/* --- fields that do not go to everybody --- */

typedef struct trooper_gear { int32_t ammo; float aim; } trooper_gear;
typedef struct trooper {
    float        x;
    trooper_gear gear;                 /* ammo: of the owner; aim: of all but the owner */
    char         secret[24];           /* of the owner */
    uint8_t      bag[8];               /* of the owner */
    int          bag_count;
    char         name[12];             /* at the spawn */
    int32_t      badge;                /* at the spawn, of the owner */
} trooper;

static const wisp_field trooper_gear_fields[] = {
    WISP_FLAG_FIELD(trooper_gear, ammo, WISP_T_INT32, WISP_FLAG_OWNER_ONLY),
    WISP_FLAG_FIELD(trooper_gear, aim, WISP_T_FLOAT, WISP_FLAG_SKIP_OWNER | WISP_FLAG_ANGLE)
};
static const wisp_schema trooper_gear_schema = WISP_SCHEMA(trooper_gear, 1, trooper_gear_fields);
static const wisp_type trooper_item = WISP_T_UINT8;
static const wisp_field trooper_fields[] = {
    WISP_FIELD(trooper, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(trooper, gear, WISP_T_STRUCT(&trooper_gear_schema)),
    WISP_FLAG_FIELD(trooper, secret, WISP_T_STRING(23), WISP_FLAG_OWNER_ONLY),
    WISP_COUNTED_FLAG_FIELD(trooper, bag, bag_count, WISP_T_ARRAY(&trooper_item, 8),
                            WISP_FLAG_OWNER_ONLY),
    WISP_FLAG_FIELD(trooper, name, WISP_T_STRING(11), WISP_FLAG_AT_SPAWN),
    WISP_FLAG_FIELD(trooper, badge, WISP_T_INT32, WISP_FLAG_AT_SPAWN | WISP_FLAG_OWNER_ONLY)
};
/* The other version has no flags: it shows whatever comes. */
static const wisp_field trooper_bare_gear_fields[] = {
    WISP_FIELD(trooper_gear, ammo, WISP_T_INT32), WISP_FIELD(trooper_gear, aim, WISP_T_FLOAT)
};
static const wisp_schema trooper_bare_gear_schema =
    WISP_SCHEMA(trooper_gear, 1, trooper_bare_gear_fields);
static const wisp_field trooper_bare_fields[] = {
    WISP_FIELD(trooper, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(trooper, gear, WISP_T_STRUCT(&trooper_bare_gear_schema)),
    WISP_FIELD(trooper, secret, WISP_T_STRING(23)),
    WISP_COUNTED_FIELD(trooper, bag, bag_count, WISP_T_ARRAY(&trooper_item, 8)),
    WISP_FIELD(trooper, name, WISP_T_STRING(11)), WISP_FIELD(trooper, badge, WISP_T_INT32)
};
static const wisp_schema trooper_schemas[] = {
    WISP_SCHEMA(trooper, 1, trooper_fields), WISP_SCHEMA(trooper, 2, trooper_bare_fields)
};

enum { TROOPERS = 6, TROOPER_VALUES = 8192 };

/* Each value of a field is used once; `known`: by bit of a player, who may get it. */
typedef struct troopers {
    orbs        t;
    int         news[THING_ENDS];      /* handlers that have run */
    int         next, turn;
    uint8_t     known[TROOPER_VALUES];
    wisp_object all[TROOPERS];
    uint64_t    hash;                  /* see troopers_tap */
    uint32_t    turns[4][4];
    trooper     lately[TROOPERS][4];   /* of which the newest row may be */
} troopers;

static void troopers_changed(wisp_event *event) { ++*(int *)event->user; }

static wisp_result trooper_step(wisp_edit *data, void *user) {
    return (void)data, (void)user, WISP_OK;
}

static wisp_class troopers_define(wisp *end, int version, int *news) {
    static const wisp_migration steps[] = { { 1, trooper_step, NULL } };
    wisp_class_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.schema = &trooper_schemas[version - 1];
    desc.adaptive = orbs_desc.adaptive;
    desc.migrations = version > 1 ? steps : NULL;
    desc.migration_count = version - 1;
    desc.changed = troopers_changed;
    desc.user = news;
    return wisp_define(end, "soldier", &desc);
}

/* `same`: so many of three ends have the server's version. */
static void troopers_open(troopers *s, int same, int seed) {
    memset(s, 0, sizeof *s);
    orbs_open(&s->t);
    s->t.random = (uint64_t)seed * 77;
    orbs_desc.adaptive = seed % 4 > 1;
    s->t.w.bad = seed > 1;
    s->t.w.net.loss = 0.2;
    s->t.w.net.latency = seed % 3 ? 0 : 0.1;
    s->t.w.net.jitter = 0.03;
    s->t.w.net.duplicate = s->t.w.net.reorder = 0.1;
    s->t.w.net.seed = (uint64_t)seed;
    s->t.server = world_add(&s->t.w);
    s->t.of_server = troopers_define(s->t.server, 1, NULL);
    CHECK(s->t.of_server.id != 0);
    s->t.w.desc.tick_rate = 0;
    for (int i = 0; i < 3; i++) {
        wisp_addr addr = wisp_loopback_addr(0);
        wisp *end = s->t.ends[i] = world_add(&s->t.w);
        s->t.of[i] = troopers_define(end, i < same ? 1 : 2, &s->news[i]);
        CHECK(wisp_join(end, &addr, NULL, 0).id != 0);
    }
    s->t.count = 3;
}

static void troopers_close(troopers *s) { world_close(&s->t.w); }

static wisp_player troopers_player(int id) {
    wisp_player player;
    player.id = (uint16_t)id;
    return player;
}

/* A new value of fields that only the owner gets, or all others. */
static int troopers_value(troopers *s, int owner, bool others) {
    int value = ++s->next;
    s->known[value] = (uint8_t)(others ? ~(1 << owner) : 1 << owner);
    return value;
}

static int trooper_bagged(const trooper *one) {
    int value = 0;
    if (one->bag_count >= 4) memcpy(&value, one->bag, sizeof value);
    return value;
}

static void troopers_fill(troopers *s, trooper *one, int owner) {
    int bagged;
    one->gear.ammo = troopers_value(s, owner, false);
    snprintf(one->secret, sizeof one->secret, "%d", troopers_value(s, owner, false));
    one->badge = troopers_value(s, owner, false);
    one->gear.aim = (float)troopers_value(s, owner, true);
    bagged = troopers_value(s, owner, false);
    memcpy(one->bag, &bagged, sizeof bagged);
    one->bag_count = 4 + bagged % 4;
}

static wisp_object troopers_spawn(troopers *s, int owner) {
    trooper one;
    memset(&one, 0, sizeof one);
    troopers_fill(s, &one, owner);
    strcpy(one.name, "private");
    return wisp_spawn(s->t.server, s->t.of_server, troopers_player(owner), &one);
}

static void troopers_play(troopers *s) {
    for (int i = 0; i < TROOPERS; i++) {
        uint64_t r = orbs_next(&s->t);
        int owner = wisp_owner_of(s->t.server, s->all[i]).id;
        trooper *one = (trooper *)wisp_object_edit(s->t.server, s->all[i]);
        if (!one) {
            s->all[i] = troopers_spawn(s, (int)(r >> 8 & 3));
            for (int k = 0; k < 4; k++)
                wisp_view(s->t.server, s->all[i], WISP_NOW, &s->lately[i][k]);
            continue;
        }
        if (r % 4 == 0) one->x += 0.25f;
        if (r % 8 < 3) troopers_fill(s, one, owner);
        if (r % 64 == 1) strcpy(one->name, "corporal");
        if (r % 32 == 2) {                                  /* what is there is the new owner's */
            wisp_player to = troopers_player((int)(r >> 8 & 3));
            for (int k = 0; k < 4; k++) {
                const trooper *was = &s->lately[i][k];
                s->known[was->gear.ammo] |= (uint8_t)(1 << to.id);
                s->known[atoi(was->secret)] |= (uint8_t)(1 << to.id);
                s->known[trooper_bagged(was)] |= (uint8_t)(1 << to.id);
                s->known[was->badge] |= (uint8_t)(1 << to.id);
                s->known[(int)was->gear.aim] |= (uint8_t)~(1 << to.id);
            }
            CHECK_EQ_INT(wisp_give(s->t.server, s->all[i], to), WISP_OK);
            troopers_fill(s, one, to.id);
        }
        s->lately[i][s->turn % 4] = *one;
        if (r % 256 == 3) CHECK_EQ_INT(wisp_despawn(s->t.server, s->all[i]), WISP_OK);
    }
    s->turn++;
}

/* Has an end got a value that was never for it? */
static bool troopers_leak(const troopers *s, int end) {
    wisp *w = s->t.ends[end];
    int me = 1 << wisp_me(w).id;
    for (wisp_object o = wisp_first(w, s->t.of[end]); o.id; o = wisp_next(w, o)) {
        trooper seen;
        int values[5];
        if (!wisp_view(w, o, WISP_CONFIRMED, &seen)) continue;
        values[0] = seen.gear.ammo;
        values[1] = atoi(seen.secret);
        values[2] = seen.badge;
        values[3] = (int)seen.gear.aim;
        values[4] = trooper_bagged(&seen);
        for (int i = 0; i < 5; i++)
            if (values[i] && !(s->known[values[i]] & me)) return true;
    }
    return false;
}

/* Has an end just what is for it? */
static bool troopers_agree(const troopers *s, int end) {
    wisp *w = s->t.ends[end];
    int here = 0, there = 0;
    for (wisp_object o = wisp_first(w, s->t.of[end]); o.id; o = wisp_next(w, o)) here++;
    for (int i = 0; i < TROOPERS; i++) {
        trooper a, b;
        bool mine = wisp_owner_of(s->t.server, s->all[i]).id == wisp_me(w).id;
        if (!wisp_view(s->t.server, s->all[i], WISP_NOW, &a)) continue;
        there++;
        if (!wisp_view(w, s->all[i], WISP_CONFIRMED, &b) || memcmp(&a.x, &b.x, sizeof a.x) != 0 ||
            (strcmp(b.name, "private") != 0 && strcmp(b.name, "corporal") != 0))
            return false;
        if (mine && (a.gear.ammo != b.gear.ammo || strcmp(a.secret, b.secret) != 0 ||
                     a.bag_count != b.bag_count || memcmp(a.bag, b.bag, (size_t)a.bag_count) != 0))
            return false;
        if (!mine && (int)a.gear.aim != (int)b.gear.aim) return false;
    }
    return here == there;
}

/* A field for the owner, or for all but the owner, reaches nobody else, whatever is lost and
   whoever is given it; all get what is for them, and none of it twice. */
TEST(fields_reach_only_those_they_are_for) {
    for (int seed = 1; seed <= 24; seed++) {
        static troopers s;
        bool all = false;
        troopers_open(&s, seed % 2 ? 3 : 1, seed);
        for (int i = 0; i < 2000 && wisp_peers(s.t.server, NULL, 0) < 3; i++) world_step(&s.t.w);
        s.t.w.unchecked = true;
        for (int step = 0; step < 250; step++) {
            uint64_t r = orbs_next(&s.t);
            if (step < 200 && s.next < TROOPER_VALUES - 100) troopers_play(&s);
            if (step % 50 == 20) {                          /* the rows of one end are lost */
                wisp *end = s.t.ends[r % 3];
                for (wisp__object *o = end->objects.classes[0]->first; o; o = o->next)
                    wisp__past_forget(end, o);
            }
            world_step(&s.t.w);
            for (int i = 0; i < 3; i++)
                if (!CHECK(!troopers_leak(&s, i))) printf("  seed %d end %d\n", seed, i);
        }
        for (int i = 0; i < 400 && !all; i++) {
            world_step(&s.t.w);
            all = troopers_agree(&s, 0) && troopers_agree(&s, 1) && troopers_agree(&s, 2);
        }
        if (!CHECK(all)) printf("  seed %d\n", seed);
        troopers_close(&s);
    }
}

/* Loses a fifth of what goes to each end, and makes a hash of what the server sends to the third.
 */
static int troopers_tap(world *w, int n, wisp_packet *packet) {
    troopers *s = (troopers *)w->user;
    int to = n ? 0 : packet->addr.bytes[1] & 3;
    uint32_t *turn = &s->turns[n][to];
    if (to == 3)
        for (int i = 0; i < packet->size; i++)
            s->hash = (s->hash ^ ((const uint8_t *)packet->data)[i]) * UINT64_C(1099511628211);
    *turn = *turn * 1664525 + 1013904223;
    return *turn >> 16 & 255 ? (*turn >> 24) % 5 > 0 : 2;
}

/* What the third end is sent, while the second owns an object. `what`: of the fields for the owner
   nothing changes, or all, or a field for all but it changes too. */
static uint64_t troopers_datagrams(int what) {
    static troopers s;
    troopers_open(&s, 3, 1);
    s.t.w.tap = troopers_tap;
    s.t.w.user = &s;
    world_run(&s.t.w, 1);
    s.all[0] = troopers_spawn(&s, wisp_me(s.t.ends[1]).id);
    s.all[1] = troopers_spawn(&s, 0);
    for (int step = 0; step < 200; step++) {
        trooper *one = (trooper *)wisp_object_edit(s.t.server, s.all[0]);
        if (step % 4 == 0) one->x += 0.125f;
        if (what == 1 && step % 3 == 0) {
            float aim = one->gear.aim;
            troopers_fill(&s, one, wisp_me(s.t.ends[1]).id);
            one->gear.aim = aim;
        }
        if (what == 2 && step == 100)
            one->gear.aim = (float)troopers_value(&s, wisp_me(s.t.ends[1]).id, true);
        world_step(&s.t.w);
    }
    CHECK(!troopers_leak(&s, 2));
    troopers_close(&s);
    return s.hash;
}

/* Nobody else can tell that a field for the owner has changed, not even by a length or a time. */
TEST(a_change_of_a_field_for_the_owner_shows_in_no_other_datagram) {
    uint64_t none = troopers_datagrams(0);
    CHECK(none == troopers_datagrams(1));
    CHECK(none != troopers_datagrams(2));
}

/* What goes at the spawn does not go when it changes, and goes as it is then to who comes later,
   and to who has lost the object. */
TEST(fields_at_the_spawn_go_with_the_first_row_alone) {
    static troopers s;
    wisp__object *told;
    trooper seen;
    wisp_object o;
    troopers_open(&s, 2, 1);                          /* the third has another version */
    world_run(&s.t.w, 0.3);
    o = troopers_spawn(&s, wisp_me(s.t.ends[1]).id);
    world_run(&s.t.w, 0.3);
    for (int round = 0; round < 4; round++) {
        trooper *one = (trooper *)wisp_object_edit(s.t.server, o);
        strcpy(one->name, "general");
        one->badge = 7;
        if (round % 2) one->x += 1;
        memset(s.news, 0, sizeof s.news);
        world_run(&s.t.w, 0.3);
        for (int i = 0; i < 3; i++) {
            CHECK(wisp_view(s.t.ends[i], o, WISP_CONFIRMED, &seen));
            CHECK_EQ_STR(seen.name, round < 3 ? "private" : i ? "private" : "general");
            CHECK_EQ_INT(s.news[i], round % 2);
            CHECK_EQ_INT(seen.badge == 0, i != 1);
            CHECK(seen.badge != 7);
        }
        told = wisp__object_get(s.t.ends[0], o);         /* its rows are of no use for a delta */
        for (int i = 0; i < told->kept.count && round == 2; i++)
            wisp__kept_at(&told->kept, i)->row->values = 1 + WISP__FORM_OWNER;
    }
    troopers_close(&s);
}

static const test_case tests[] = {
    CASE(to_ask_for_all_objects_often_costs_nothing),
    CASE(nothing_is_sent_of_what_stays),
    CASE(what_is_new_does_not_stand_still_for_a_round_trip),
    CASE(a_peer_that_lacks_a_row_gets_a_whole_one),
    CASE(deltas_know_a_row_shortly_before_their_base),
    CASE(adaptive_classes_take_fewer_bytes_and_keep_models_within_the_limit),
    CASE(adaptive_rows_fill_several_packets_of_a_tick),
    CASE(models_that_a_peer_says_to_keep_are_paid_for),
    CASE(a_coded_row_without_its_base_is_asked_for),
    CASE(more_rows_are_lacked_than_can_be_asked_for),
    CASE(rows_that_are_kept_take_no_more_than_their_limit),
    CASE(an_end_without_the_class_is_sent_nothing),
    CASE(any_one_allocation_of_objects_may_fail),
    CASE(objects_over_a_reliable_link),
    CASE(settings_of_all_remotes_are_not_those_of_classes),
    CASE(fields_reach_only_those_they_are_for),
    CASE(a_change_of_a_field_for_the_owner_shows_in_no_other_datagram),
    CASE(fields_at_the_spawn_go_with_the_first_row_alone)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
