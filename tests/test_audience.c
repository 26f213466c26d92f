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
        o->kept.floor = (uint16_t)(o->sequence + 1);
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        ((orb *)wisp_object_edit(t.server, o))->y = 7;
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK(t.logs[0].state.y > 6.9f);
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
        o->kept.floor = (uint16_t)(o->sequence + 1);
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        if (n++ % 2) ((orb *)wisp_object_edit(t.server, o))->y = 7;
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(world_total(t.ends[0]).errors, 0);
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

static const test_case tests[] = {
    CASE(nothing_is_sent_of_what_stays),
    CASE(a_peer_that_lacks_a_row_gets_a_whole_one),
    CASE(more_rows_are_lacked_than_can_be_asked_for),
    CASE(rows_that_are_kept_take_no_more_than_their_limit),
    CASE(an_end_without_the_class_is_sent_nothing),
    CASE(any_one_allocation_of_objects_may_fail),
    CASE(objects_over_a_reliable_link),
    CASE(settings_of_all_remotes_are_not_those_of_classes)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
