/* Groups of peers: who is in them, what is fired at them, and calls to several. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

enum { CROWD = 4 };

/* What a client does when it is asked. */
enum { ANSWERS, FAILS, DEFERS, IS_SILENT };
enum { NOT_NOW = WISP_E_USER - 3 };

typedef struct role {
    int       way, number;
    int       times;
    wisp_call held;
} role;

/* A server and its clients, who all know "r" and answer "ask" with ten times their number. */
typedef struct crowd {
    world      w;
    wisp      *server, *clients[CROWD];
    wisp_peer  to_server[CROWD], to_client[CROWD];
    role       asked[CROWD];
    wisp_group group;
} crowd;

static void on_ask(wisp_event *event) {
    role *a = (role *)event->user;
    wisp_value answer = wisp_int(10 * a->number);
    a->times++;
    switch (a->way) {
    case ANSWERS: wisp_reply_values(event, &answer, 1); break;
    case FAILS: wisp_fail(event, NOT_NOW, "number %d does not", a->number); break;
    case DEFERS: a->held = wisp_defer(event); break;
    default: break;
    }
}

static void crowd_meet(crowd *c) {
    c->server = world_add(&c->w);
    for (int i = 0; i < CROWD; i++) {
        c->clients[i] = world_add(&c->w);
        c->to_server[i] = world_join(&c->w, c->clients[i], c->server);
        c->to_client[i] = world_peer(c->server, i);
        c->asked[i].number = i;
        world_watch(&c->w, c->clients[i], "r");
        wisp_on_invoke_target(c->clients[i], wisp_by_name("ask"), on_ask, &c->asked[i]);
    }
    c->group = wisp_group_named(c->server, "red");
    world_run(&c->w, 0.1);
}

static void crowd_open(crowd *c) {
    memset(c, 0, sizeof *c);
    world_open(&c->w);
    crowd_meet(c);
}

/* All of them are in the group. */
static void crowd_grouped(crowd *c) {
    crowd_open(c);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ_INT(wisp_group_add(c->server, c->group, c->to_client[i]), WISP_OK);
}

static int crowd_heard(const crowd *c, int i) { return world_count(&c->w, c->clients[i], "r"); }

static wisp_result crowd_fire(crowd *c) {
    wisp_value value = wisp_int(7);
    return wisp_fire_values(c->server, "r", wisp_to_group(c->group), &value, 1);
}

static int members(const crowd *c) { return wisp_group_peers(c->server, c->group, NULL, 0); }

static bool is_member(const crowd *c, int i) {
    return wisp_group_has(c->server, c->group, c->to_client[i]);
}

/* --- names and handles --- */

TEST(a_group_is_found_by_its_name) {
    crowd c;
    crowd_open(&c);
    CHECK(c.group.id != 0);
    CHECK_EQ_INT(wisp_group_named(c.server, "red").id, c.group.id);
    CHECK(wisp_group_named(c.server, "blue").id != c.group.id);
    CHECK(wisp_group_named(c.server, "Red").id != c.group.id);
    world_close(&c.w);
}

TEST(a_name_of_a_group_has_1_to_128_bytes) {
    crowd c;
    char name[130];
    memset(name, 'n', sizeof name);
    crowd_open(&c);
    name[129] = 0;
    CHECK_EQ_INT(wisp_group_named(c.server, name).id, 0);
    CHECK_EQ_INT(wisp_why(c.server), WISP_E_NAME);
    CHECK_EQ_INT(wisp_group_named(c.server, "").id, 0);
    CHECK_EQ_INT(wisp_why(c.server), WISP_E_NAME);
    CHECK_EQ_INT(wisp_group_named(c.server, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(c.server), WISP_E_ARGUMENT);
    name[128] = 0;
    CHECK(wisp_group_named(c.server, name).id != 0);
    CHECK_EQ_INT(wisp_group_named(NULL, "red").id, 0);
    world_close(&c.w);
}

TEST(an_ended_group_leaves_a_stale_handle_and_an_empty_name) {
    crowd c;
    wisp_group anew;
    crowd_grouped(&c);
    CHECK_EQ_INT(wisp_group_end(c.server, c.group), WISP_OK);
    CHECK_EQ_INT(wisp_group_end(c.server, c.group), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_add(c.server, c.group, c.to_client[0]), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_remove(c.server, c.group, c.to_client[0]), WISP_E_STALE);
    CHECK_EQ_INT(crowd_fire(&c), WISP_E_STALE);
    CHECK_EQ_INT(members(&c), 0);
    CHECK(!is_member(&c, 0));
    anew = wisp_group_named(c.server, "red");
    CHECK(anew.id != c.group.id);
    CHECK_EQ_INT(wisp_group_peers(c.server, anew, NULL, 0), 0);
    CHECK_EQ_INT(wisp_group_add(c.server, anew, c.to_client[0]), WISP_OK);
    CHECK(!is_member(&c, 0));
    CHECK_EQ_INT(wisp_group_end(c.server, c.group), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_peers(c.server, anew, NULL, 0), 1);
    world_close(&c.w);
}

TEST(what_is_no_group_or_no_peer_is_stale) {
    crowd c;
    wisp_group none = { 0 }, wild = { 0x7fff1234 };
    wisp_peer nobody = { 0 };
    crowd_open(&c);
    CHECK_EQ_INT(wisp_group_add(c.server, none, c.to_client[0]), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_add(c.server, wild, c.to_client[0]), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_add(c.server, c.group, nobody), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_remove(c.server, c.group, nobody), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_end(c.server, none), WISP_E_STALE);
    CHECK(!wisp_group_has(c.server, c.group, nobody));
    CHECK_EQ_INT(members(&c), 0);
    CHECK_EQ_INT(wisp_group_add(NULL, c.group, c.to_client[0]), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_group_remove(NULL, c.group, c.to_client[0]), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_group_end(NULL, c.group), WISP_E_ARGUMENT);
    CHECK(!wisp_group_has(NULL, c.group, c.to_client[0]));
    CHECK_EQ_INT(wisp_group_peers(NULL, c.group, NULL, 0), 0);
    world_close(&c.w);
}

TEST(the_limit_of_groups_is_a_code_and_an_ended_one_makes_room) {
    crowd c;
    wisp_group blue;
    memset(&c, 0, sizeof c);
    world_open(&c.w);
    c.w.desc.limits.groups = 2;
    crowd_meet(&c);
    blue = wisp_group_named(c.server, "blue");
    CHECK(blue.id != 0);
    for (int round = 0; round < 1000; round++) {
        CHECK_EQ_INT(wisp_group_named(c.server, "green").id, 0);
        CHECK_EQ_INT(wisp_why(c.server), WISP_E_LIMIT);
        CHECK_EQ_INT(wisp_group_named(c.server, "red").id, c.group.id);
        CHECK_EQ_INT(wisp_group_end(c.server, blue), WISP_OK);
        blue = wisp_group_named(c.server, "blue");
        CHECK(blue.id != 0);
    }
    world_close(&c.w);
}

/* --- who is in it --- */

TEST(who_is_added_or_removed_twice_is_in_or_out_once) {
    crowd c;
    wisp_peer one[1];
    crowd_open(&c);
    for (int i = 0; i < 2; i++) CHECK_EQ_INT(wisp_group_add(c.server, c.group, c.to_client[1]), 0);
    CHECK_EQ_INT(wisp_group_peers(c.server, c.group, one, 1), 1);
    CHECK(wisp_peer_equal(one[0], c.to_client[1]));
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(crowd_heard(&c, 1), 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(wisp_group_remove(c.server, c.group, c.to_client[1]), WISP_OK);
    CHECK_EQ_INT(members(&c), 0);
    world_close(&c.w);
}

TEST(members_are_filled_in_up_to_the_capacity) {
    crowd c;
    wisp_peer some[CROWD];
    memset(some, 0, sizeof some);
    crowd_grouped(&c);
    CHECK_EQ_INT(wisp_group_peers(c.server, c.group, some, 2), CROWD);
    CHECK(some[0].id != 0 && some[1].id != 0 && some[0].id != some[1].id);
    CHECK_EQ_INT(some[2].id, 0);
    CHECK_EQ_INT(wisp_group_peers(c.server, c.group, some, 0), CROWD);
    CHECK_EQ_INT(wisp_group_peers(c.server, c.group, NULL, 9), CROWD);
    world_close(&c.w);
}

TEST(a_peer_is_in_many_groups_and_leaves_each_by_itself) {
    crowd c;
    wisp_group groups[20];
    char name[8];
    crowd_open(&c);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "g%d", i);
        groups[i] = wisp_group_named(c.server, name);
        CHECK_EQ_INT(wisp_group_add(c.server, groups[i], c.to_client[0]), WISP_OK);
    }
    wisp_group_remove(c.server, groups[7], c.to_client[0]);
    wisp_group_end(c.server, groups[3]);
    for (int i = 0; i < 20; i++)
        CHECK_EQ_INT(wisp_group_has(c.server, groups[i], c.to_client[0]), i != 7 && i != 3);
    wisp_leave(c.server, c.to_client[0], "go");
    for (int i = 0; i < 20; i++) CHECK_EQ_INT(wisp_group_peers(c.server, groups[i], NULL, 0), 0);
    world_close(&c.w);
}

static void on_left_looks(wisp_event *event) {
    crowd *c = (crowd *)event->user;
    for (int i = 0; i < CROWD; i++)
        if (wisp_peer_equal(event->peer, c->to_client[i])) CHECK(!is_member(c, i));
    CHECK_EQ_INT(wisp_group_add(event->w, c->group, event->peer), WISP_E_STALE);
    c->asked[0].times++;
}

TEST(a_membership_ends_with_the_session_however_it_ends) {
    crowd c;
    crowd_grouped(&c);
    wisp_connect_target(c.server, wisp_by_name(WISP_LEFT), on_left_looks, &c, false);
    wisp_leave(c.server, c.to_client[0], "kicked");
    CHECK_EQ_INT(members(&c), CROWD - 1);
    wisp_leave(c.clients[1], c.to_server[1], "by itself");
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(members(&c), CROWD - 2);
    world_destroy(&c.w, c.clients[2]);
    c.w.ends[4] = NULL;                               /* the last one is not heard any more */
    world_run(&c.w, 15);
    CHECK_EQ_INT(members(&c), 0);
    CHECK_EQ_INT(c.asked[0].times, CROWD);
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    c.w.ends[4] = c.clients[3];
    world_close(&c.w);
}

TEST(a_peer_that_comes_back_is_in_no_group) {
    crowd c;
    crowd_grouped(&c);
    wisp_leave(c.server, c.to_client[0], "go");
    world_run(&c.w, 3);
    c.to_server[0] = world_join(&c.w, c.clients[0], c.server);
    CHECK_EQ_INT(wisp_peers(c.server, NULL, 0), CROWD);
    CHECK_EQ_INT(members(&c), CROWD - 1);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ_INT(wisp_group_has(c.server, c.group, world_peer(c.server, i)),
                     i < CROWD - 1);
    world_close(&c.w);
}

/* --- fire --- */

TEST(a_fire_reaches_the_members_and_nobody_else) {
    crowd c;
    crowd_grouped(&c);
    wisp_group_remove(c.server, c.group, c.to_client[2]);
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    world_run(&c.w, 0.1);
    for (int i = 0; i < CROWD; i++) CHECK_EQ_INT(crowd_heard(&c, i), i != 2);
    CHECK_EQ_INT(world_last(&c.w, c.clients[0], "r")->number, 7);
    world_close(&c.w);
}

TEST(an_empty_group_is_no_error) {
    crowd c;
    crowd_open(&c);
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    world_close(&c.w);
}

TEST(the_first_error_is_returned_and_the_other_members_are_served) {
    crowd c;
    crowd_grouped(&c);
    for (int i = 1; i < CROWD; i++) world_watch(&c.w, c.clients[i], "few");
    wisp_fire_values(c.server, "few", wisp_to_group(c.group), NULL, 0);
    world_run(&c.w, 0.2);
    CHECK_EQ_INT(wisp_fire_values(c.server, "few", wisp_to_group(c.group), NULL, 0),
                 WISP_E_NO_REMOTE);
    world_run(&c.w, 0.2);
    for (int i = 1; i < CROWD; i++) CHECK_EQ_INT(world_count(&c.w, c.clients[i], "few"), 2);
    world_close(&c.w);
}

TEST(a_member_that_is_still_being_joined_gets_it_when_it_is) {
    world_two t;
    wisp_addr addr;
    wisp_peer peer;
    wisp_group group;
    wisp_value value = wisp_int(5);
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    world_watch(&t.w, t.server, "r");
    addr = world_addr(&t.w, t.server);
    peer = wisp_join(t.client, &addr, NULL, 0);
    group = wisp_group_named(t.client, "servers");
    CHECK_EQ_INT(wisp_group_add(t.client, group, peer), WISP_OK);
    CHECK(wisp_group_has(t.client, group, WISP_SERVER));
    CHECK_EQ_INT(wisp_group_add(t.client, group, WISP_SERVER), WISP_OK);
    CHECK_EQ_INT(wisp_group_peers(t.client, group, NULL, 0), 1);
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_group(group), &value, 1), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    world_close(&t.w);
}

/* --- the group changes meanwhile --- */

static wisp_result hook_removes(wisp_event *event) {
    crowd *c = (crowd *)event->user;
    CHECK_EQ_INT(event->peer.id, 0);
    wisp_group_remove(event->w, c->group, c->to_client[1]);
    wisp_leave(event->w, c->to_client[2], "out");
    return WISP_PASS;
}

static wisp_result hook_ends(wisp_event *event) {
    wisp_group_end(event->w, ((crowd *)event->user)->group);
    return WISP_PASS;
}

static void crowd_use(crowd *c, wisp_hook outbound) {
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = "hook";
    m.outbound = outbound;
    m.user = c;
    CHECK_EQ_INT(wisp_use(c->server, &m), WISP_OK);
}

TEST(who_a_hook_takes_out_gets_nothing) {
    crowd c;
    crowd_grouped(&c);
    crowd_use(&c, hook_removes);
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    world_run(&c.w, 0.1);
    for (int i = 0; i < CROWD; i++) CHECK_EQ_INT(crowd_heard(&c, i), i == 0 || i == 3);
    world_close(&c.w);
}

TEST(a_hook_that_ends_the_group_makes_its_fire_stale) {
    crowd c;
    crowd_grouped(&c);
    crowd_use(&c, hook_ends);
    CHECK_EQ_INT(crowd_fire(&c), WISP_E_STALE);
    world_run(&c.w, 0.1);
    for (int i = 0; i < CROWD; i++) CHECK_EQ_INT(crowd_heard(&c, i), 0);
    world_close(&c.w);
}

static wisp_result hook_holds(wisp_event *event) {
    (void)event;
    return WISP_HOLD;
}

TEST(what_was_held_goes_to_those_who_are_in_the_group_when_it_goes_on) {
    crowd c;
    wisp_peer all = { 0 };
    crowd_grouped(&c);
    crowd_use(&c, hook_holds);
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    wisp_group_remove(c.server, c.group, c.to_client[0]);
    wisp_leave(c.server, c.to_client[1], "out");
    CHECK_EQ_INT(wisp_release(c.server, "hook", all, WISP_PASS), 1);
    world_run(&c.w, 0.1);
    for (int i = 0; i < CROWD; i++) CHECK_EQ_INT(crowd_heard(&c, i), i >= 2);
    CHECK_EQ_INT(crowd_fire(&c), WISP_OK);
    wisp_group_end(c.server, c.group);
    world_watch(&c.w, c.server, WISP_ERROR);
    wisp_release(c.server, "hook", all, WISP_PASS);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(world_results(&c.w, c.server, WISP_ERROR, WISP_E_STALE), 1);
    world_close(&c.w);
}

static void on_group_echo(wisp_event *event) {
    crowd *c = (crowd *)event->user;
    wisp_group_remove(event->w, c->group, event->peer);
    CHECK_EQ_INT(wisp_fire_values(event->w, "r", wisp_to_group(c->group), NULL, 0), WISP_OK);
    if (members(c) == 1) wisp_group_end(event->w, c->group);
}

TEST(handlers_change_the_group_and_fire_at_it) {
    crowd c;
    crowd_grouped(&c);
    wisp_connect_target(c.server, wisp_by_name("echo"), on_group_echo, &c, false);
    for (int i = 0; i < CROWD - 1; i++) world_fire(c.clients[i], "echo", c.to_server[i], i);
    world_run(&c.w, 0.2);
    for (int i = 0; i < CROWD; i++) CHECK_EQ_INT(crowd_heard(&c, i), i);
    CHECK_EQ_INT(members(&c), 0);
    CHECK_EQ_INT(wisp_group_end(c.server, c.group), WISP_E_STALE);
    world_close(&c.w);
}

/* --- memory --- */

TEST(without_memory_groups_stay_as_they_are) {
    for (int at = 1; at < 40; at++) {
        crowd c;
        ledger memory = ledger_none();
        wisp_group blue;
        wisp_result added = WISP_OK;
        memset(&c, 0, sizeof c);
        world_open(&c.w);
        c.w.desc.memory = ledger_memory(&memory);
        crowd_meet(&c);
        for (int i = 0; i < 2; i++) wisp_group_add(c.server, c.group, c.to_client[i]);
        memory.fail_at = memory.asked + at;
        blue = wisp_group_named(c.server, "blue");
        if (!blue.id) CHECK_EQ_INT(wisp_why(c.server), WISP_E_MEMORY);
        for (int i = 0; i < CROWD && blue.id && added == WISP_OK; i++) {
            added = wisp_group_add(c.server, blue, c.to_client[i]);
            CHECK_EQ_INT(wisp_group_has(c.server, blue, c.to_client[i]), added == WISP_OK);
            CHECK_EQ_INT(wisp_group_peers(c.server, blue, NULL, 0), i + (added == WISP_OK));
        }
        if (added) CHECK_EQ_INT(added, WISP_E_MEMORY);
        CHECK_EQ_INT(members(&c), 2);
        wisp__host_check(c.server);
        memory.fail_at = 0;
        world_close(&c.w);
        CHECK_EQ_INT(memory.out, 0);
        if (blue.id && added == WISP_OK) return;
    }
    CHECK(false);
}

/* --- churn --- */

enum { CHURN_PEERS = 9, CHURN_GROUPS = 5 };

/* What the groups of a server should be. */
typedef struct churn {
    world      w;
    uint64_t   seed;
    wisp      *server, *clients[CHURN_PEERS];
    wisp_peer  peers[CHURN_PEERS];          /* id 0: not joined */
    int        got[CHURN_PEERS], due[CHURN_PEERS];
    wisp_group groups[CHURN_GROUPS];        /* id 0: not made */
    wisp_group ended;
    wisp_peer  gone;
    bool       in[CHURN_GROUPS][CHURN_PEERS];
} churn;

static void on_churn(wisp_event *event) { ++*(int *)event->user; }

static void churn_check(churn *c) {
    wisp_peer list[CHURN_PEERS + 1];
    for (int g = 0; g < CHURN_GROUPS; g++) {
        int count = wisp_group_peers(c->server, c->groups[g], list, CHURN_PEERS + 1), due = 0;
        for (int p = 0; p < CHURN_PEERS; p++) {
            bool listed = false;
            for (int i = 0; i < count; i++) listed |= wisp_peer_equal(list[i], c->peers[p]);
            due += c->in[g][p];
            CHECK_EQ_INT(wisp_group_has(c->server, c->groups[g], c->peers[p]), c->in[g][p]);
            CHECK_EQ_INT(listed, c->in[g][p]);
        }
        CHECK_EQ_INT(count, due);
    }
    CHECK_EQ_INT(wisp_group_add(c->server, c->ended, c->peers[0]), WISP_E_STALE);
    CHECK_EQ_INT(wisp_group_add(c->server, c->groups[0], c->gone), WISP_E_STALE);
}

/* Who was not there comes, who was there goes, kicked or by itself. */
static void churn_peer(churn *c, int p) {
    if (c->peers[p].id) {
        c->gone = c->peers[p];
        c->peers[p].id = 0;
        for (int g = 0; g < CHURN_GROUPS; g++) c->in[g][p] = false;
        if (test_random_below(&c->seed, 2)) wisp_leave(c->server, c->gone, "out");
        else wisp_leave(c->clients[p], world_peer(c->clients[p], 0), "off");
        world_run(&c->w, 0.05);
    } else {
        world_join(&c->w, c->clients[p], c->server);
        c->peers[p] = world_peer(c->server, wisp_peers(c->server, NULL, 0) - 1);
    }
}

static void churn_group(churn *c, int g) {
    static const char *const names[CHURN_GROUPS] = { "a", "b", "c", "d", "e" };
    if (c->groups[g].id) {
        c->ended = c->groups[g];
        CHECK_EQ_INT(wisp_group_end(c->server, c->ended), WISP_OK);
        c->groups[g].id = 0;
        memset(c->in[g], 0, sizeof c->in[g]);
    } else {
        c->groups[g] = wisp_group_named(c->server, names[g]);
        CHECK(c->groups[g].id != 0);
    }
}

static void churn_member(churn *c, int g, int p) {
    bool add = test_random_below(&c->seed, 3) > 0, there = c->groups[g].id && c->peers[p].id;
    wisp_result result = add ? wisp_group_add(c->server, c->groups[g], c->peers[p])
                             : wisp_group_remove(c->server, c->groups[g], c->peers[p]);
    CHECK_EQ_INT(result, there ? WISP_OK : WISP_E_STALE);
    if (there) c->in[g][p] = add;
}

static void churn_fire(churn *c, int g) {
    wisp_result result = wisp_fire_values(c->server, "r", wisp_to_group(c->groups[g]), NULL, 0);
    CHECK_EQ_INT(result, c->groups[g].id ? WISP_OK : WISP_E_STALE);
    for (int p = 0; p < CHURN_PEERS; p++) c->due[p] += c->in[g][p];
    world_run(&c->w, 0.03);
    for (int p = 0; p < CHURN_PEERS; p++) CHECK_EQ_INT(c->got[p], c->due[p]);
}

TEST(groups_are_what_a_model_says_after_each_of_thousands_of_changes) {
    static churn c;
    memset(&c, 0, sizeof c);
    world_open(&c.w);
    c.seed = 2024;
    c.w.unchecked = true;
    c.server = world_add(&c.w);
    for (int p = 0; p < CHURN_PEERS; p++) {
        c.clients[p] = world_add(&c.w);
        wisp_connect_target(c.clients[p], wisp_by_name("r"), on_churn, &c.got[p], false);
    }
    for (int step = 0; step < 4000; step++) {
        int what = test_random_below(&c.seed, 100);
        int p = test_random_below(&c.seed, CHURN_PEERS);
        int g = test_random_below(&c.seed, CHURN_GROUPS);
        if (what < 8) churn_peer(&c, p);
        else if (what < 13) churn_group(&c, g);
        else if (what < 23) churn_fire(&c, g);
        else churn_member(&c, g, p);
        churn_check(&c);
        wisp__host_check(c.server);
    }
    world_close(&c.w);
}

/* --- calls to several --- */

/* What the caller was told. */
typedef struct gathered {
    crowd      *c;
    int         replies[CROWD];
    wisp_result results[CROWD];
    int64_t     values[CROWD];
    int         told, done;             /* of all, and how often on_done ran */
    int         answered, failed;
    wisp_result result;
    bool        late;                   /* on_reply after on_done */
    wisp_call   call;
    int         cancel_at;              /* on this reply the whole is cancelled */
} gathered;

static void on_each(wisp_event *event) {
    gathered *g = (gathered *)event->user;
    int i = 0;
    while (i < CROWD && !wisp_peer_equal(event->peer, g->c->to_client[i])) i++;
    if (!CHECK(i < CROWD)) return;
    CHECK_EQ_STR(event->name, "ask");
    g->told++;
    g->replies[i]++;
    g->results[i] = event->result;
    if (event->count) g->values[i] = wisp_arg_int(event, 0);
    if (g->done) g->late = true;
    if (g->told == g->cancel_at) wisp_cancel(event->w, g->call);
}

static void on_all(wisp_event *event) {
    gathered *g = (gathered *)event->user;
    CHECK_EQ_INT(event->peer.id, 0);
    CHECK_EQ_INT(event->count, 2);
    CHECK_EQ_STR(event->name, "ask");
    CHECK_EQ_STR(event->text, wisp_result_text(event->result));
    g->done++;
    g->answered = (int)wisp_arg_int(event, 0);
    g->failed = (int)wisp_arg_int(event, 1);
    g->result = event->result;
    wisp_cancel(event->w, g->call);                   /* it is over: nothing happens */
}

static wisp_call_desc gather_desc(gathered *g, crowd *c, double timeout) {
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    memset(g, 0, sizeof *g);
    g->c = c;
    desc.on_reply = on_each;
    desc.on_done = on_all;
    desc.user = g;
    desc.timeout = timeout;
    return desc;
}

static void gather_to(gathered *g, crowd *c, wisp_to to, double timeout) {
    wisp_call_desc desc = gather_desc(g, c, timeout);
    wisp_value value = wisp_int(1);
    g->call = wisp_invoke_values(c->server, "ask", to, &desc, &value, 1);
    CHECK_EQ_INT(g->told + g->done, 0);
}

static void gather(gathered *g, crowd *c, double timeout) {
    gather_to(g, c, wisp_to_group(c->group), timeout);
}

static void check_done(const gathered *g, int answered, int failed, wisp_result result) {
    CHECK_EQ_INT(g->done, 1);
    CHECK(!g->late);
    CHECK_EQ_INT(g->told, answered + failed);
    CHECK_EQ_INT(g->answered, answered);
    CHECK_EQ_INT(g->failed, failed);
    CHECK_EQ_INT(g->result, result);
    for (int i = 0; i < CROWD; i++) CHECK(g->replies[i] <= 1);
    CHECK_EQ_INT(world_total(g->c->server).calls_pending, 0);
}

TEST(each_member_answers_once_and_then_all_have) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    gather(&g, &c, 0);
    CHECK(g.call.id != 0);
    world_run(&c.w, 0.2);
    check_done(&g, CROWD, 0, WISP_OK);
    for (int i = 0; i < CROWD; i++) {
        CHECK_EQ_INT(g.replies[i], 1);
        CHECK_EQ_INT(g.values[i], 10 * i);
        CHECK_EQ_INT(c.asked[i].times, 1);
    }
    world_close(&c.w);
}

TEST(lists_all_and_except_are_called_too) {
    crowd c;
    gathered g;
    wisp_peer list[4];
    crowd_open(&c);
    gather_to(&g, &c, wisp_to_all(), 0);
    world_run(&c.w, 0.2);
    check_done(&g, CROWD, 0, WISP_OK);
    list[0] = list[2] = c.to_client[1];
    list[1] = c.to_client[3];
    list[3].id = 0x7ffe0001;
    gather_to(&g, &c, wisp_to_list(list, 4), 0);      /* one of them twice, one that is not there */
    world_run(&c.w, 0.2);
    check_done(&g, 2, 0, WISP_OK);
    CHECK_EQ_INT(g.replies[1] + g.replies[3], 2);
    CHECK_EQ_INT(world_total(c.server).targets_skipped, 2);
    gather_to(&g, &c, wisp_to_except(list, 2), 0);
    world_run(&c.w, 0.2);
    check_done(&g, 2, 0, WISP_OK);
    CHECK_EQ_INT(g.replies[0] + g.replies[2], 2);
    world_close(&c.w);
}

TEST(a_call_to_nobody_is_done_in_the_next_update) {
    crowd c;
    gathered g;
    crowd_open(&c);
    gather(&g, &c, 0);
    CHECK(g.call.id != 0);
    world_step(&c.w);
    check_done(&g, 0, 0, WISP_OK);
    gather_to(&g, &c, wisp_to_list(NULL, 0), 0);
    world_step(&c.w);
    check_done(&g, 0, 0, WISP_OK);
    wisp_cancel(c.server, g.call);
    world_step(&c.w);
    CHECK_EQ_INT(g.done, 1);
    world_close(&c.w);
}

TEST(a_call_to_a_group_that_is_no_more_is_none) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    wisp_group_end(c.server, c.group);
    gather(&g, &c, 0);
    CHECK_EQ_INT(g.call.id, 0);
    CHECK_EQ_INT(wisp_why(c.server), WISP_E_STALE);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(g.told + g.done, 0);
    world_close(&c.w);
}

TEST(failures_and_timeouts_of_some_are_counted_and_the_first_is_the_result) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    c.asked[1].way = DEFERS;
    c.asked[2].way = FAILS;
    c.asked[3].way = IS_SILENT;
    gather(&g, &c, 0.5);
    world_run(&c.w, 0.3);
    CHECK_EQ_INT(g.told, 3);
    CHECK_EQ_INT(g.done, 0);
    world_run(&c.w, 0.5);
    check_done(&g, 2, 2, NOT_NOW);
    CHECK_EQ_INT(g.results[0], WISP_OK);
    CHECK_EQ_INT(g.results[1], WISP_E_TIMEOUT);
    CHECK_EQ_INT(g.results[2], NOT_NOW);
    CHECK_EQ_INT(g.results[3], WISP_OK);
    wisp_answer(c.clients[1], c.asked[1].held, NULL, 0);        /* too late */
    world_run(&c.w, 0.2);
    check_done(&g, 2, 2, NOT_NOW);
    world_close(&c.w);
}

TEST(members_that_leave_end_their_part) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    for (int i = 0; i < CROWD; i++) c.asked[i].way = DEFERS;
    gather(&g, &c, 5);
    world_run(&c.w, 0.1);
    wisp_leave(c.server, c.to_client[0], "out");
    wisp_leave(c.clients[1], c.to_server[1], "off");
    wisp_group_remove(c.server, c.group, c.to_client[2]);       /* is called all the same */
    wisp_group_end(c.server, c.group);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(g.told, 2);
    CHECK_EQ_INT(g.results[0], WISP_E_CLOSED);
    CHECK_EQ_INT(g.results[1], WISP_E_CLOSED);
    for (int i = 2; i < CROWD; i++) wisp_answer(c.clients[i], c.asked[i].held, NULL, 0);
    world_run(&c.w, 0.1);
    check_done(&g, 2, 2, WISP_E_CLOSED);
    world_close(&c.w);
}

TEST(a_cancelled_whole_ends_what_is_left_of_it) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    c.asked[0].way = c.asked[3].way = DEFERS;
    gather(&g, &c, 5);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(g.told, 2);
    wisp_cancel(c.server, g.call);
    CHECK_EQ_INT(g.told, 2);
    world_step(&c.w);
    check_done(&g, 2, 2, WISP_E_CANCELLED);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(g.done, 1);
    world_close(&c.w);
}

TEST(a_reply_handler_cancels_the_whole) {
    for (int at = 1; at <= CROWD; at++) {
        crowd c;
        gathered g;
        crowd_grouped(&c);
        gather(&g, &c, 5);
        g.cancel_at = at;
        world_run(&c.w, 0.2);
        check_done(&g, at, CROWD - at, at == CROWD ? WISP_OK : WISP_E_CANCELLED);
        world_close(&c.w);
    }
}

TEST(a_name_that_some_do_not_know_fails_for_them) {
    crowd c;
    gathered g;
    wisp_call_desc desc;
    crowd_grouped(&c);
    desc = gather_desc(&g, &c, 0);
    desc.on_reply = NULL;
    wisp_on_invoke_target(c.clients[2], wisp_by_name("ask"), NULL, NULL);
    wisp_invoke_values(c.server, "ask", wisp_to_group(c.group), &desc, NULL, 0);
    world_run(&c.w, 0.2);
    CHECK_EQ_INT(g.done, 1);
    CHECK_EQ_INT(g.answered, CROWD - 1);
    CHECK_EQ_INT(g.failed, 1);
    CHECK_EQ_INT(g.result, WISP_E_NO_HANDLER);
    world_close(&c.w);
}

TEST(a_call_to_several_needs_no_handlers) {
    crowd c;
    crowd_grouped(&c);
    CHECK(wisp_invoke_values(c.server, "ask", wisp_to_group(c.group), NULL, NULL, 0).id != 0);
    world_run(&c.w, 0.2);
    for (int i = 0; i < CROWD; i++) CHECK_EQ_INT(c.asked[i].times, 1);
    CHECK_EQ_INT(world_total(c.server).calls_pending, 0);
    world_close(&c.w);
}

TEST(values_that_cannot_be_sent_fail_every_part) {
    crowd c;
    gathered g;
    wisp_call_desc desc;
    wisp_value wrong = wisp_nil();
    crowd_grouped(&c);
    desc = gather_desc(&g, &c, 0);
    wrong.kind = (wisp_kind)31;
    g.call = wisp_invoke_values(c.server, "ask", wisp_to_group(c.group), &desc, &wrong, 1);
    world_run(&c.w, 0.2);
    if (g.call.id) check_done(&g, 0, CROWD, WISP_E_ARGUMENT);
    else CHECK_EQ_INT(g.done + g.told, 0);
    world_close(&c.w);
}

/* --- ends, limits and memory of calls to several --- */

TEST(destroy_ends_the_parts_and_then_the_whole) {
    crowd c;
    gathered g, empty;
    ledger memory = ledger_none();
    memset(&c, 0, sizeof c);
    world_open(&c.w);
    c.w.desc.memory = ledger_memory(&memory);
    crowd_meet(&c);
    for (int i = 0; i < CROWD; i++) {
        c.asked[i].way = i ? DEFERS : ANSWERS;
        wisp_group_add(c.server, c.group, c.to_client[i]);
    }
    gather(&g, &c, 5);
    world_run(&c.w, 0.1);
    gather_to(&empty, &c, wisp_to_list(NULL, 0), 0);
    world_destroy(&c.w, c.server);
    CHECK_EQ_INT(g.done, 1);
    CHECK_EQ_INT(g.answered, 1);
    CHECK_EQ_INT(g.failed, CROWD - 1);
    CHECK_EQ_INT(g.result, WISP_E_CLOSED);
    CHECK_EQ_INT(empty.done, 1);
    world_close(&c.w);
    CHECK_EQ_INT(memory.out, 0);
}

typedef struct again { int calls, accepted, done; wisp_result why; } again;

static void on_again(wisp_event *event) {
    again *a = (again *)event->user;
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_done = on_again;
    desc.user = a;
    a->done++;
    if (a->calls++ > 100) return;
    if (wisp_invoke_values(event->w, "ask", wisp_to_all(), &desc, NULL, 0).id) a->accepted++;
    else a->why = wisp_why(event->w);
}

TEST(every_call_that_was_taken_is_done_also_while_its_endpoint_is_destroyed) {
    crowd c;
    again a = { 0, 0, 0, WISP_OK };
    wisp_call_desc desc;
    crowd_open(&c);
    memset(&desc, 0, sizeof desc);
    desc.on_done = on_again;
    desc.user = &a;
    c.asked[0].way = DEFERS;
    CHECK(wisp_invoke_values(c.server, "ask", wisp_to_all(), &desc, NULL, 0).id != 0);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(a.calls, 0);
    world_destroy(&c.w, c.server);
    CHECK_EQ_INT(a.done, a.accepted + 1);
    CHECK_EQ_INT(a.why, WISP_E_CLOSED);
    world_close(&c.w);
}

TEST(the_limit_of_calls_counts_each_part_and_the_whole) {
    for (int limit = 1; limit < CROWD + 3; limit++) {
        crowd c;
        gathered g;
        memset(&c, 0, sizeof c);
        world_open(&c.w);
        c.w.desc.limits.calls = limit;
        crowd_meet(&c);
        for (int i = 0; i < CROWD; i++) wisp_group_add(c.server, c.group, c.to_client[i]);
        for (int round = 0; round < 3; round++) {
            gather(&g, &c, 0);
            CHECK_EQ_INT(g.call.id != 0, limit > CROWD);
            if (!g.call.id) CHECK_EQ_INT(wisp_why(c.server), WISP_E_LIMIT);
            CHECK_EQ_INT(world_total(c.server).calls_pending, g.call.id ? CROWD + 1 : 0);
            world_run(&c.w, 0.1);
            if (g.call.id) check_done(&g, CROWD, 0, WISP_OK);
            else CHECK_EQ_INT(g.told + g.done, 0);
        }
        world_close(&c.w);
    }
}

/* Whatever fails: nobody is called without being told of, and all that was taken comes back. */
TEST(without_memory_a_call_is_refused_or_told_of_part_by_part) {
    int refused = 0, partly = 0;
    for (int at = 1; at < 60; at++) {
        crowd c;
        gathered g;
        ledger memory = ledger_none();
        memset(&c, 0, sizeof c);
        world_open(&c.w);
        c.w.desc.memory = ledger_memory(&memory);
        crowd_meet(&c);
        for (int i = 0; i < CROWD; i++) wisp_group_add(c.server, c.group, c.to_client[i]);
        memory.fail_at = memory.asked + at;
        gather(&g, &c, 0);
        at = memory.asked < memory.fail_at ? 1000 : at;
        memory.fail_at = 0;
        if (!g.call.id) CHECK_EQ_INT(wisp_why(c.server), WISP_E_MEMORY);
        if (!g.call.id) CHECK_EQ_INT(world_total(c.server).calls_pending, 0);
        world_run(&c.w, 0.2);
        if (g.call.id) {
            check_done(&g, CROWD - g.failed, g.failed, g.failed ? WISP_E_MEMORY : WISP_OK);
            partly += g.failed > 0;
        } else {
            CHECK_EQ_INT(g.told + g.done, 0);
            refused++;
        }
        world_close(&c.w);
        CHECK_EQ_INT(memory.out, 0);
    }
    CHECK(refused > 0);
    CHECK(partly > 0);
}

/* --- hooks on the way of a call to several --- */

static wisp_result hook_sorts(wisp_event *event) {
    crowd *c = (crowd *)event->user;
    if (event->message != WISP_MESSAGE_INVOKE) return WISP_PASS;
    if (wisp_peer_equal(event->peer, c->to_client[0])) return WISP_DROP;
    if (wisp_peer_equal(event->peer, c->to_client[1])) return NOT_NOW;
    if (wisp_peer_equal(event->peer, c->to_client[2])) wisp_leave(event->w, event->peer, "out");
    return WISP_PASS;
}

TEST(a_hook_decides_for_each_member) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    crowd_use(&c, hook_sorts);
    gather(&g, &c, 0);
    world_run(&c.w, 0.2);
    check_done(&g, 1, 3, WISP_E_DROPPED);
    CHECK_EQ_INT(g.results[0], WISP_E_DROPPED);
    CHECK_EQ_INT(g.results[1], NOT_NOW);
    CHECK_EQ_INT(g.results[2], WISP_E_CLOSED);
    CHECK_EQ_INT(g.results[3], WISP_OK);
    world_close(&c.w);
}

/* At the first member all others go. */
static wisp_result hook_clears(wisp_event *event) {
    crowd *c = (crowd *)event->user;
    if (!wisp_peer_equal(event->peer, c->to_client[0])) return WISP_PASS;
    for (int i = 1; i < CROWD; i++) wisp_leave(event->w, c->to_client[i], "out");
    wisp_group_end(event->w, c->group);
    return WISP_PASS;
}

TEST(members_that_a_hook_sends_away_before_their_turn_fail) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    crowd_use(&c, hook_clears);
    gather(&g, &c, 0);
    world_run(&c.w, 0.2);
    check_done(&g, 1, CROWD - 1, WISP_E_CLOSED);
    world_close(&c.w);
}

TEST(parts_that_are_held_go_on_time_out_or_end_with_their_peer) {
    crowd c;
    gathered g;
    crowd_grouped(&c);
    crowd_use(&c, hook_holds);
    gather(&g, &c, 0.5);
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(wisp_release(c.server, "hook", c.to_client[0], WISP_PASS), 1);
    CHECK_EQ_INT(wisp_release(c.server, "hook", c.to_client[1], NOT_NOW), 1);
    wisp_leave(c.server, c.to_client[2], "out");
    world_run(&c.w, 0.1);
    CHECK_EQ_INT(g.told, 3);
    world_run(&c.w, 0.5);
    check_done(&g, 1, 3, g.result);
    CHECK_EQ_INT(g.results[1], NOT_NOW);
    CHECK_EQ_INT(g.results[2], WISP_E_CLOSED);
    CHECK_EQ_INT(g.results[3], WISP_E_TIMEOUT);
    world_close(&c.w);
}

/* --- waiting, and what the profiler sees --- */

static double crowd_clock(void *user) {
    crowd *c = (crowd *)user;
    c->w.now += 0.01;
    for (int i = 1; i < c->w.count; i++) world_update(&c->w, i);
    return c->w.now;
}

static void on_awaited(wisp_event *event) {
    int64_t *counts = (int64_t *)event->user;
    counts[0] = wisp_arg_int(event, 0);
    counts[1] = wisp_arg_int(event, 1);
}

TEST(a_call_to_several_can_be_waited_for) {
    crowd c;
    gathered g;
    int64_t counts[2] = { 0, 0 };
    crowd_grouped(&c);
    c.asked[2].way = FAILS;
    gather(&g, &c, 0);
    CHECK_EQ_INT(wisp_await_reply(c.server, g.call, on_awaited, counts, crowd_clock, &c), NOT_NOW);
    CHECK_EQ_INT(counts[0], CROWD - 1);
    CHECK_EQ_INT(counts[1], 1);
    check_done(&g, CROWD - 1, 1, NOT_NOW);
    world_close(&c.w);
}

TEST(a_part_that_never_went_out_has_no_latency) {
    crowd c;
    gathered g;
    wisp_profiler profiler;
    memset(&profiler, 0, sizeof profiler);
    crowd_grouped(&c);
    world_run(&c.w, 2);
    crowd_use(&c, hook_sorts);
    CHECK_EQ_INT(wisp_use_profiler(c.server, &profiler), WISP_OK);
    gather(&g, &c, 0);
    world_run(&c.w, 0.2);
    check_done(&g, 1, 3, WISP_E_DROPPED);
    CHECK(wisp__registry_add(&c.server->registry, "ask", &g.result)->meter->calls.latency.most < 1);
    world_close(&c.w);
}

static const test_case tests[] = {
    CASE(a_group_is_found_by_its_name),
    CASE(a_name_of_a_group_has_1_to_128_bytes),
    CASE(an_ended_group_leaves_a_stale_handle_and_an_empty_name),
    CASE(what_is_no_group_or_no_peer_is_stale),
    CASE(the_limit_of_groups_is_a_code_and_an_ended_one_makes_room),
    CASE(who_is_added_or_removed_twice_is_in_or_out_once),
    CASE(members_are_filled_in_up_to_the_capacity),
    CASE(a_peer_is_in_many_groups_and_leaves_each_by_itself),
    CASE(a_membership_ends_with_the_session_however_it_ends),
    CASE(a_peer_that_comes_back_is_in_no_group),
    CASE(a_fire_reaches_the_members_and_nobody_else),
    CASE(an_empty_group_is_no_error),
    CASE(the_first_error_is_returned_and_the_other_members_are_served),
    CASE(a_member_that_is_still_being_joined_gets_it_when_it_is),
    CASE(who_a_hook_takes_out_gets_nothing),
    CASE(a_hook_that_ends_the_group_makes_its_fire_stale),
    CASE(what_was_held_goes_to_those_who_are_in_the_group_when_it_goes_on),
    CASE(handlers_change_the_group_and_fire_at_it),
    CASE(without_memory_groups_stay_as_they_are),
    CASE(groups_are_what_a_model_says_after_each_of_thousands_of_changes),
    CASE(each_member_answers_once_and_then_all_have),
    CASE(lists_all_and_except_are_called_too),
    CASE(a_call_to_nobody_is_done_in_the_next_update),
    CASE(a_call_to_a_group_that_is_no_more_is_none),
    CASE(failures_and_timeouts_of_some_are_counted_and_the_first_is_the_result),
    CASE(members_that_leave_end_their_part),
    CASE(a_cancelled_whole_ends_what_is_left_of_it),
    CASE(a_reply_handler_cancels_the_whole),
    CASE(a_name_that_some_do_not_know_fails_for_them),
    CASE(a_call_to_several_needs_no_handlers),
    CASE(values_that_cannot_be_sent_fail_every_part),
    CASE(destroy_ends_the_parts_and_then_the_whole),
    CASE(every_call_that_was_taken_is_done_also_while_its_endpoint_is_destroyed),
    CASE(the_limit_of_calls_counts_each_part_and_the_whole),
    CASE(without_memory_a_call_is_refused_or_told_of_part_by_part),
    CASE(a_hook_decides_for_each_member),
    CASE(members_that_a_hook_sends_away_before_their_turn_fail),
    CASE(parts_that_are_held_go_on_time_out_or_end_with_their_peer),
    CASE(a_call_to_several_can_be_waited_for),
    CASE(a_part_that_never_went_out_has_no_latency),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
