/* test_journal.c - what was changed in a scope is put back in reverse, or holds */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"

/* A server with orbs and two properties, and one end that sees them. */
static void journal_open(orbs *t, int objects) {
    wisp_property_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.initial = wisp_int(1);
    orbs_server(t);
    orbs_join(t);
    CHECK_EQ_INT(wisp_property(t->server, "score", &desc), WISP_OK);
    desc.authority = WISP_AUTHORITY_ANYONE;
    CHECK_EQ_INT(wisp_property(t->server, "door", &desc), WISP_OK);
    CHECK_EQ_INT(wisp_property(t->ends[0], "door", &desc), WISP_OK);
    for (int i = 0; i < objects; i++) orbs_spawn(t, (float)(i % 50), "orb");
    world_run(&t->w, 0.4);
}

static orb *journal_edit(orbs *t, wisp_object o) { return (orb *)wisp_object_edit(t->server, o); }

static float journal_x(orbs *t, wisp_object o) {
    orb seen;
    memset(&seen, 0, sizeof seen);
    return wisp_view(t->server, o, WISP_NOW, &seen) ? seen.x : -1;
}

static int64_t journal_score(orbs *t, const char *name) {
    const wisp_value *value = wisp_get(t->server, name);
    return value ? wisp_int_of(value) : -1;
}

static void journal_set(orbs *t, const char *name, int64_t number) {
    wisp_value value = wisp_int(number);
    CHECK_EQ_INT(wisp_set_value(t->server, name, &value), WISP_OK);
}

/* Counts the functions that are run, and notes in which order. */
typedef struct journal_calls { int count, order[4]; } journal_calls;
typedef struct journal_call { journal_calls *of; int number; } journal_call;

static void journal_called(void *user) {
    const journal_call *call = (const journal_call *)user;
    call->of->order[call->of->count++ & 3] = call->number;
}

static void journal_nothing(void *user) { (void)user; }

TEST(scopes_are_put_back_from_the_newest_on) {
    static orbs t;
    wisp__scope *first, *second, *third;
    wisp_object o, other;
    orbs_open(&t);
    journal_open(&t, 2);
    o = wisp_first(t.server, t.of_server);
    other = wisp_next(t.server, o);
    journal_edit(&t, o)->x = 10;                       /* before all scopes, and not yet a row */
    first = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
    journal_edit(&t, o)->x = 11;
    journal_edit(&t, o)->x = 12;                       /* is noted once */
    wisp__scope_close(t.server, first);
    journal_edit(&t, other)->x = 20;                   /* in no scope */
    second = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
    journal_edit(&t, o)->x = 13;
    third = wisp__scope_open(t.server, WISP__SCOPE_CALL, 0);     /* within the second */
    journal_edit(&t, o)->x = 14;
    wisp__scope_close(t.server, third);
    journal_edit(&t, other)->x = 21;
    wisp__scope_close(t.server, second);
    CHECK(!t.server->journal.open);
    CHECK_EQ_INT(t.server->journal.count, 3);
    wisp__journal_check(t.server);
    wisp__scope_undo(t.server, third);
    CHECK(journal_x(&t, o) == 13 && journal_x(&t, other) == 21);
    wisp__scope_undo(t.server, second);
    CHECK(journal_x(&t, o) == 12 && journal_x(&t, other) == 20);
    wisp__scope_undo(t.server, first);
    CHECK(journal_x(&t, o) == 10 && journal_x(&t, other) == 20);
    CHECK_EQ_INT(t.server->journal.bytes, 0);
    CHECK_EQ_INT(t.server->journal.count, 0);
    world_run(&t.w, 0.2);
    CHECK(journal_x(&t, o) == 10 && orbs_agree(&t, 0));
    world_close(&t.w);
}

TEST(a_scope_that_is_kept_holds) {
    static orbs t;
    wisp__scope *s;
    wisp_object o, gone, made;
    orbs_open(&t);
    journal_open(&t, 3);
    o = wisp_first(t.server, t.of_server);
    gone = wisp_next(t.server, o);
    s = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
    journal_edit(&t, o)->x = 11;
    made = orbs_spawn(&t, 33, "made");
    CHECK_EQ_INT(wisp_despawn(t.server, gone), WISP_OK);
    CHECK_EQ_INT(wisp_despawn(t.server, gone), WISP_E_STALE);
    journal_set(&t, "score", 5);
    wisp__scope_close(t.server, s);
    wisp__scope_keep(t.server, s);
    CHECK_EQ_INT(t.server->journal.bytes, 0);
    world_run(&t.w, 0.3);
    CHECK(journal_x(&t, o) == 11 && journal_x(&t, made) == 33 && journal_x(&t, gone) == -1);
    CHECK_EQ_INT(journal_score(&t, "score"), 5);
    CHECK_EQ_INT(t.logs[0].despawned, 1);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

/* What was spawned goes, what was despawned or given away comes back, and others see none of it,
   even if packets go out meanwhile. */
TEST(objects_come_back_and_go) {
    for (int flush = 0; flush < 2; flush++) {
        static orbs t;
        wisp__scope *s;
        wisp_object o, gone, made;
        wisp_player me;
        orb_log before;
        orbs_open(&t);
        journal_open(&t, 3);
        before = t.logs[0];
        me = wisp_me(t.ends[0]);
        o = wisp_first(t.server, t.of_server);
        gone = wisp_next(t.server, o);
        s = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
        made = orbs_spawn(&t, 33, "made");
        journal_edit(&t, made)->x = 34;
        journal_edit(&t, gone)->x = 35;
        CHECK_EQ_INT(wisp_despawn(t.server, gone), WISP_OK);
        CHECK_EQ_INT(wisp_despawn(t.server, made), WISP_OK);
        if (!flush) CHECK_EQ_INT(wisp_give(t.server, o, me), WISP_OK);
        CHECK(!journal_edit(&t, gone) && wisp_next(t.server, o).id != 0);
        wisp__scope_close(t.server, s);
        if (flush) wisp_flush_batches(t.server);
        wisp__scope_undo(t.server, s);
        CHECK(journal_x(&t, gone) == 1 && journal_x(&t, made) == -1);
        CHECK_EQ_INT(wisp_owner_of(t.server, o).id, 0);
        CHECK_EQ_INT(t.server->journal.bytes, 0);
        world_run(&t.w, 0.3);
        CHECK(orbs_agree(&t, 0));
        CHECK_EQ_INT(t.logs[0].spawned, before.spawned);
        CHECK_EQ_INT(t.logs[0].despawned, 0);
        CHECK_EQ_INT(t.logs[0].changed, before.changed);
        CHECK_EQ_INT(wisp_despawn(t.server, gone), WISP_OK);
        world_run(&t.w, 0.3);
        CHECK(orbs_agree(&t, 0));
        world_close(&t.w);
    }
}

TEST(properties_are_put_back) {
    static orbs t;
    wisp__scope *first, *second;
    wisp_value value = wisp_int(7);
    uint16_t owner;
    orbs_open(&t);
    journal_open(&t, 0);
    CHECK_EQ_INT(wisp_set_value(t.ends[0], "door", &value), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(journal_score(&t, "door"), 7);
    owner = wisp_owner_of(t.server, wisp_property_object(t.server, "door")).id;
    CHECK_EQ_INT(owner, wisp_me(t.ends[0]).id);
    first = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
    journal_set(&t, "score", 2);
    journal_set(&t, "door", 8);
    wisp__scope_close(t.server, first);
    second = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
    journal_set(&t, "score", 3);
    journal_set(&t, "score", 4);
    wisp__scope_close(t.server, second);
    wisp__scope_undo(t.server, second);
    CHECK_EQ_INT(journal_score(&t, "score"), 2);
    wisp__scope_undo(t.server, first);
    CHECK_EQ_INT(journal_score(&t, "score"), 1);
    CHECK_EQ_INT(journal_score(&t, "door"), 7);
    CHECK_EQ_INT(wisp_owner_of(t.server, wisp_property_object(t.server, "door")).id, owner);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(journal_score(&t, "score"), 1);
    CHECK_EQ_INT(wisp_int_of(wisp_get(t.ends[0], "door")), 7);
    world_close(&t.w);
}

TEST(functions_are_run_in_reverse) {
    static orbs t;
    journal_calls calls;
    journal_call one = { &calls, 1 }, two = { &calls, 2 };
    wisp__scope *s;
    memset(&calls, 0, sizeof calls);
    orbs_open(&t);
    journal_open(&t, 0);
    CHECK(!wisp__journal_note_undo(t.server, journal_called, &one));       /* in no scope */
    for (int keep = 0; keep < 2; keep++) {
        s = wisp__scope_open(t.server, WISP__SCOPE_CALL, 0);
        CHECK(wisp__journal_note_undo(t.server, journal_called, &one));
        CHECK(wisp__journal_note_undo(t.server, journal_called, &two));
        wisp__scope_close(t.server, s);
        if (keep) wisp__scope_keep(t.server, s);
        else wisp__scope_undo(t.server, s);
    }
    CHECK_EQ_INT(calls.count, 2);
    CHECK(calls.order[0] == 2 && calls.order[1] == 1);
    world_close(&t.w);
}

/* A scope can be put back and run again, any number of times, without an allocation. */
TEST(to_put_back_allocates_nothing_in_the_long_run) {
    static orbs t;
    wisp__scope *s[8];
    uint64_t allocations = 0;
    wisp_object o;
    orbs_open(&t);
    journal_open(&t, 20);
    for (int round = 0; round < 30; round++) {
        if (round == 4) allocations = t.server->base.stats.allocations;
        for (int i = 0; i < 8; i++) {
            s[i] = wisp__scope_open(t.server, WISP__SCOPE_TICK, i);
            for (o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
                journal_edit(&t, o)->y = (float)(i + 1);
            wisp__scope_close(t.server, s[i]);
        }
        for (int i = 8; i-- > 3;) wisp__scope_rewind(t.server, s[i]);
        o = wisp_first(t.server, t.of_server);
        t.server->journal.open = s[3];
        journal_edit(&t, o)->y = 50;
        t.server->journal.open = NULL;
        wisp__journal_check(t.server);
        for (int i = 8; i-- > 0;) wisp__scope_undo(t.server, s[i]);
        CHECK_EQ_INT(t.server->journal.bytes, 0);
        CHECK_EQ_INT(t.server->journal.count, 0);
        world_step(&t.w);
    }
    CHECK_EQ_INT(t.server->base.stats.allocations, allocations);
    for (o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o)) {
        orb seen;
        CHECK(wisp_view(t.server, o, WISP_NOW, &seen) && seen.y == 0);
    }
    world_close(&t.w);
}

/* What does not fit is refused with a code, and what was noted is put back. */
TEST(the_journal_is_bounded) {
    static orbs t;
    wisp__scope *s;
    wisp_object o;
    wisp_value value = wisp_int(9);
    int edits = 0, refused = 0;
    orbs_open(&t);
    t.w.desc.limits.journal_bytes = 1500;
    journal_open(&t, 40);
    s = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
    for (o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o)) {
        orb *it = journal_edit(&t, o);
        if (it) it->y = 3;
        if (it) edits++;
        else refused += wisp_why(t.server) == WISP_E_MEMORY;
    }
    CHECK(edits > 3 && refused > 3 && edits + refused == 40);
    CHECK(strstr(wisp_why_text(t.server), "journal_bytes") != NULL);
    while (wisp__journal_note_undo(t.server, journal_nothing, NULL)) edits++;
    CHECK_EQ_INT(orbs_spawn(&t, 1, "more").id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_MEMORY);
    CHECK_EQ_INT(wisp_despawn(t.server, wisp_first(t.server, t.of_server)), WISP_E_MEMORY);
    CHECK_EQ_INT(wisp_set_value(t.server, "score", &value), WISP_E_MEMORY);
    CHECK(t.server->journal.bytes <= 1500);
    wisp__scope_close(t.server, s);
    wisp__scope_undo(t.server, s);
    CHECK_EQ_INT(journal_score(&t, "score"), 1);
    world_run(&t.w, 0.2);
    CHECK(orbs_agree(&t, 0));
    for (o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o)) {
        orb seen;
        CHECK(wisp_view(t.server, o, WISP_NOW, &seen) && seen.y == 0);
    }
    world_close(&t.w);
}

static void journal_change_much(orbs *t) {
    int there = 0;
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id && there < 100;
         o = wisp_next(t->server, o)) {
        orb *it = journal_edit(t, o);
        wisp_value value = wisp_int(there++);
        if (it) it->y = 3;
        if (there % 9 == 0) wisp_despawn(t->server, o);
        if (there % 8 == 0) orbs_spawn(t, 40, "more");
        if (there % 5 == 0) wisp_set_value(t->server, "score", &value);
    }
}

/* Any one allocation fails: a change is refused, and all that were made are put back. */
TEST(any_one_allocation_of_a_scope_may_fail) {
    bool done = false;
    for (int fail = 1; fail < 60 && !done; fail++) {
        static orbs t;
        ledger memory = ledger_none();
        wisp__scope *s;
        int there;
        orbs_open(&t);
        t.w.unchecked = true;
        t.w.desc.memory = ledger_memory(&memory);
        journal_open(&t, 100);
        memory.fail_at = memory.asked + fail;
        for (int i = 0; i < 12; i++) {
            s = wisp__scope_open(t.server, WISP__SCOPE_TRANSACTION, 0);
            if (s) journal_change_much(&t);
            if (s) wisp__scope_close(t.server, s);
        }
        done = memory.asked < memory.fail_at;
        memory.fail_at = 0;
        while (t.server->journal.newest) wisp__scope_undo(t.server, t.server->journal.newest);
        CHECK_EQ_INT(t.server->journal.bytes, 0);
        there = 0;
        for (wisp_object o = wisp_first(t.server, t.of_server); o.id;
             o = wisp_next(t.server, o)) {
            orb seen;
            CHECK(wisp_view(t.server, o, WISP_NOW, &seen) && seen.y == 0);
            there++;
        }
        if (!CHECK_EQ_INT(there, 100)) printf("  allocation %d\n", fail);
        CHECK_EQ_INT(journal_score(&t, "score"), 1);
        world_run(&t.w, 0.3);
        CHECK(orbs_agree(&t, 0));
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
    CHECK(done);
}

static const test_case tests[] = {
    CASE(scopes_are_put_back_from_the_newest_on),
    CASE(a_scope_that_is_kept_holds),
    CASE(objects_come_back_and_go),
    CASE(properties_are_put_back),
    CASE(functions_are_run_in_reverse),
    CASE(to_put_back_allocates_nothing_in_the_long_run),
    CASE(the_journal_is_bounded),
    CASE(any_one_allocation_of_a_scope_may_fail)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
