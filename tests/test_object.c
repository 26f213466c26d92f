/* test_object.c - classes and objects: their numbers, and walks over them */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"

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

/* No number comes again: after its last generation an index is out of use. */
TEST(an_index_ends_with_its_last_generation) {
    static orbs t;
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    o = orbs_spawn(&t, 1, "first");
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
    world_run(&t.w, 0.1);
    t.server->objects.places[o.id & 0xffff].generation = 65534;
    for (int i = 0; i < 400; i++) {
        wisp_object next = orbs_spawn(&t, 1, "next");
        if (next.id >> 16 == 65535) o = next;
        CHECK(next.id >> 16 != 0);
        CHECK_EQ_INT(wisp_despawn(t.server, next), WISP_OK);
        world_step(&t.w);
    }
    world_run(&t.w, 0.2);
    CHECK_EQ_INT((int)(o.id >> 16), 65535);
    CHECK_EQ_INT(t.server->objects.free_count, t.server->objects.made - 1);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

/* Ticks over 2^31 are not negative where the server's clock is not known, and do not go back. */
TEST(high_ticks_of_objects_without_a_clock) {
    static orbs t;
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    t.server->clock.at = 4294967000.0;                     /* 6 seconds before 32 bits are full */
    t.server->clock.tick = 4294967000;
    orbs_join(&t);
    o = orbs_spawn(&t, 1, "old");
    for (int i = 0; i < 1000; i++) {
        orb *edit = (orb *)wisp_object_edit(t.server, o);
        edit->y = (float)(i % 50);
        if (i < 300 || i > 700) t.ends[0]->clock.following = false;
        world_step(&t.w);
    }
    world_run(&t.w, 0.2);
    CHECK(orbs_agree(&t, 0));
    CHECK(wisp__object_get(t.ends[0], o)->tick == wisp__object_get(t.server, o)->tick);
    CHECK(wisp__object_get(t.ends[0], o)->tick > 4294967296);
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

/* Among many objects, the dead are looked for ten times a second, however many despawn. */
TEST(a_despawn_among_many_objects_costs_no_walk_each) {
    static orbs t;
    wisp_object last = { 0 };
    int walks = 0;
    orbs_open(&t);
    orbs_server(&t);
    for (int i = 0; i < 1200; i++) last = orbs_spawn(&t, 0, "many");
    world_run(&t.w, 0.2);
    for (int i = 0; i < 50; i++) {
        double before = t.server->objects.bury_at;
        CHECK_EQ_INT(wisp_despawn(t.server, last), WISP_OK);
        world_step(&t.w);
        walks += t.server->objects.bury_at > before;
        last = orbs_spawn(&t, 0, "one more");
    }
    CHECK(walks >= 4 && walks <= 6);
    world_run(&t.w, 0.3);
    CHECK(!t.server->objects.dead);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_despawn_among_many_objects_costs_no_walk_each),
    CASE(a_peer_sees_what_a_server_spawns_edits_and_despawns),
    CASE(an_index_rests_before_it_is_used_again),
    CASE(an_index_ends_with_its_last_generation),
    CASE(high_ticks_of_objects_without_a_clock),
    CASE(a_walk_over_objects_survives_their_going),
    CASE(a_class_holds_no_values_that_point_elsewhere)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
