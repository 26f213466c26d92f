/* wisp_connect_match: handlers of all names that a pattern is found in. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

#include <stdlib.h>

static wisp_connection match(world_two *t, const char *pattern) {
    return wisp_connect_match(t->server, pattern, world_on, &t->w);
}

static void fire_names(world_two *t, const char *const *names, int count) {
    for (int i = 0; i < count; i++) world_fire(t->client, names[i], t->to_server, i);
    world_run(&t->w, 0.2);
}

/* --- which names --- */

TEST(names_registered_before_and_after_are_connected) {
    static const char *const names[] = {
        "PlayerHPChanged", "PlayerMaxHPChanged", "PlayerMPChanged"
    };
    world_two t;
    world_two_open(&t);
    wisp_remote_named(t.server, names[0]);
    wisp_remote_named(t.server, names[2]);
    CHECK(match(&t, "Player(HP|MaxHP)Changed").id != 0);
    wisp_remote_named(t.server, names[1]);
    fire_names(&t, names, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, names[0]), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, names[1])->number, 1);
    world_close(&t.w);
}

TEST(names_that_only_a_peer_announces_are_connected) {
    static const char *const names[] = { "stat/a", "stat/b", "other" };
    world_two t;
    world_two_open(&t);
    match(&t, "^stat/");
    fire_names(&t, names, 3);
    fire_names(&t, names, 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "stat/a"), 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "stat/b"), 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 4);
    CHECK_EQ_INT(world_total(t.server).names_unknown, 1);
    world_close(&t.w);
}

TEST(reserved_names_are_in_no_pattern) {
    world_two t;
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    match(&t, "");
    CHECK_EQ_INT(t.server->events.pool.live, 1);
    world_join(&t.w, t.client, t.server);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 0);
    world_close(&t.w);
}

/* --- what strangers announce --- */

TEST(peers_can_have_so_many_names_registered_and_no_more) {
    enum { LIMIT = 5, TRIES = 200 };
    char names[TRIES][16];
    world_two t;
    int64_t before;
    world_open(&t.w);
    t.w.desc.limits.matched_names = LIMIT;
    world_two_join(&t);
    match(&t, "^x");
    for (int i = 0; i < TRIES; i++) {
        snprintf(names[i], sizeof names[i], "x%d", i);
        world_fire(t.client, names[i], t.to_server, i);
        if (i == LIMIT) world_run(&t.w, 0.3);
    }
    before = world_total(t.server).remotes;
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_total(t.server).remotes, before);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), LIMIT);
    CHECK_EQ_INT(t.server->events.pool.live, LIMIT + 1);
    wisp_remote_named(t.server, "x_own");                     /* our own are not counted */
    wisp_remote_named(t.server, "x199");
    CHECK_EQ_INT(t.server->events.pool.live, LIMIT + 3);
    world_close(&t.w);
}

/* A server that takes all names, 5 of each peer, and two clients. */
typedef struct lenders {
    world     w;
    wisp     *server, *clients[2];
    wisp_peer to_server[2];
} lenders;

static void lenders_open(lenders *l) {
    world_open(&l->w);
    l->w.desc.limits.matched_names = 5;
    l->w.desc.limits.remotes = 20;
    l->server = world_add(&l->w);
    l->w.desc.limits.remotes = 0;
    for (int i = 0; i < 2; i++) {
        l->clients[i] = world_add(&l->w);
        l->to_server[i] = world_join(&l->w, l->clients[i], l->server);
    }
    CHECK(wisp_connect_match(l->server, "^x", world_on, &l->w).id != 0);
}

/* Fires `count` names of a round at the server; how many of them its handler has got. */
static int lend(lenders *l, int client, int round, int count) {
    char name[16];
    int got = 0;
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "x%d_%d_%d", client, round, i);
        world_fire(l->clients[client], name, l->to_server[client], i);
    }
    world_run(&l->w, 0.3);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "x%d_%d_%d", client, round, i);
        got += world_count(&l->w, l->server, name);
    }
    return got;
}

/* Another peer in the place of one, which has left: it knows no names yet. */
static void rejoin(lenders *l, int client) {
    wisp_leave(l->clients[client], l->to_server[client], "");
    world_run(&l->w, 2);
    l->clients[client] = world_add(&l->w);
    l->to_server[client] = world_join(&l->w, l->clients[client], l->server);
}

TEST(no_peer_takes_the_names_of_another_and_they_come_back_when_it_leaves) {
    lenders l;
    lenders_open(&l);
    CHECK_EQ_INT(lend(&l, 0, 0, 12), 5);
    CHECK_EQ_INT(lend(&l, 1, 0, 3), 3);
    for (int round = 1; round < 12; round++) {
        rejoin(&l, 0);
        CHECK_EQ_INT(lend(&l, 1, 0, 3), 3 * (round + 1));
        CHECK_EQ_INT(lend(&l, 0, 100 + round, 4), 4);
        CHECK(l.server->registry.count <= WISP__RESERVED + 8);
        CHECK_EQ_INT(l.server->registry.lent, 8);
        CHECK_EQ_INT(l.server->events.pool.live, 8 + 1);
    }
    for (int i = 0; i < 10; i++) {                       /* the application has its half */
        char name[16];
        snprintf(name, sizeof name, "own%d", i);
        CHECK(wisp_remote_named(l.server, name).id != 0);
    }
    world_close(&l.w);
}

static void on_lent(wisp_event *event) {
    const world *w = (const world *)event->user;
    wisp_remote named = event->remote;
    CHECK_EQ_STR(wisp_remote_name(event->w, event->remote), event->name);
    if (w->note_count % 50 == 7) named = wisp_remote_named(event->w, event->name);
    CHECK_EQ_INT(named.id, event->remote.id);
    CHECK_EQ_INT((int64_t)wisp_arg_int(event, 0), atoi(event->name + 1));
    world_on(event);
}

/* Peers come, announce names with and without schemas, call them, and go; the name that a handler
   is told is always that of the message. (The world checks all that is counted, each step.) */
TEST(whoever_comes_and_goes_a_message_has_its_own_name) {
    static const wisp_field fields[] = { WISP_MAP_FIELD("n", WISP_T_INT32) };
    static const wisp_schema schema = WISP_LIST_SCHEMA("l", 1, fields);
    lenders l;
    uint64_t seed = 5;
    int sent = 0;
    lenders_open(&l);
    CHECK(wisp_connect_match(l.server, "^z", on_lent, &l.w).id != 0);
    for (int round = 0; round < 36; round++) {
        int client = round % 2;
        wisp *end = l.clients[client];
        if (round > 2) {
            wisp_leave(end, l.to_server[client], "");
            world_run(&l.w, 2);
            end = l.clients[client] = world_add(&l.w);
            l.to_server[client] = world_join(&l.w, end, l.server);
        }
        for (int i = 0; i < 8; i++) {
            int number = (int)(wisp__mix(++seed) % 60);
            wisp_schema_entry entry;
            char name[16];
            snprintf(name, sizeof name, "z%d", number);
            memset(&entry, 0, sizeof entry);
            entry.remote = name;
            entry.schema = &schema;
            if (number % 3 == 0) wisp_use_schemas(end, &entry, 1);
            for (int k = 0; k < 3; k++) world_fire(end, name, l.to_server[client], number);
            sent += 3;
            if (number % 5 == 0) wisp_invoke_target(end, wisp_by_name(name),
                                                    wisp_to_peer(l.to_server[client]), NULL, NULL,
                                                    0);
        }
        world_run(&l.w, 0.3);
    }
    CHECK(l.w.note_count > sent / 3);
    CHECK(l.server->registry.count <= WISP__RESERVED + 20);
    world_close(&l.w);
}

TEST(a_handle_of_a_name_that_gave_its_place_away_is_stale) {
    lenders l;
    wisp_remote before;
    char name[16];
    lenders_open(&l);
    CHECK_EQ_INT(lend(&l, 0, 0, 5), 5);
    before = world_last(&l.w, l.server, "x0_0_2")->remote;
    snprintf(name, sizeof name, "%s", wisp_remote_name(l.server, before));
    CHECK_EQ_STR(name, "x0_0_2");
    rejoin(&l, 0);
    CHECK(wisp_remote_name(l.server, before) != NULL);   /* nobody has taken it yet */
    wisp_leave(l.clients[0], l.to_server[0], "");
    world_run(&l.w, 2);
    CHECK_EQ_INT(lend(&l, 1, 7, 5), 5);
    CHECK(wisp_remote_name(l.server, before) == NULL);
    CHECK_EQ_INT(wisp_send(l.server, before, wisp_to_all(), NULL, 0), WISP_E_STALE);
    world_close(&l.w);
}

TEST(a_name_that_is_used_here_stays_and_peers_hear_of_it) {
    for (int how = 0; how < 3; how++) {
        lenders l;
        wisp_remote remote;
        uint64_t unknown;
        lenders_open(&l);
        wisp_remote_named(l.clients[1], "x0_0_0");
        CHECK_EQ_INT(lend(&l, 0, 0, 1), 1);
        remote = world_last(&l.w, l.server, "x0_0_0")->remote;
        unknown = world_total(l.clients[0]).names_unknown;
        world_watch(&l.w, l.clients[1], "x0_0_0");
        world_forget(&l.w);
        if (how == 0) CHECK_EQ_INT(wisp_remote_named(l.server, "x0_0_0").id, remote.id);
        if (how == 1)
            CHECK_EQ_INT(wisp_send(l.server, remote, wisp_to_all(), NULL, 0), WISP_OK);
        if (how == 2) world_watch(&l.w, l.server, "x0_0_0");
        CHECK_EQ_INT(l.server->registry.lent, 0);
        world_run(&l.w, 0.3);
        CHECK_EQ_INT(world_count(&l.w, l.clients[1], "x0_0_0"), how == 1);
        CHECK_EQ_INT(world_total(l.clients[0]).names_unknown, unknown);
        rejoin(&l, 0);
        for (int round = 0; round < 5; round++) {
            CHECK_EQ_INT(lend(&l, 0, 10 + round, 5), 5);
            rejoin(&l, 0);
        }
        CHECK_EQ_STR(wisp_remote_name(l.server, remote), "x0_0_0");
        CHECK_EQ_INT(world_fire(l.server, "x0_0_0", world_peer(l.server, 0), 1), WISP_OK);
        world_run(&l.w, 0.3);
        world_close(&l.w);
    }
}

TEST(peers_are_not_told_of_a_name_that_only_another_has_announced) {
    lenders l;
    lenders_open(&l);
    CHECK_EQ_INT(lend(&l, 0, 0, 5), 5);
    world_run(&l.w, 1);
    CHECK_EQ_INT(world_total(l.clients[1]).names_unknown, 0);
    wisp_remote_named(l.server, "x0_0_3");
    world_run(&l.w, 0.5);
    CHECK_EQ_INT(world_total(l.clients[1]).names_unknown, 1);
    world_close(&l.w);
}

TEST(what_is_no_name_is_not_registered_whatever_a_pattern_takes) {
    static const struct { const char *name; int length; } bad[] = {
        { "wisp:new", 8 }, { "a\0b", 3 }, { "\0", 1 }, { "wisp:", 5 }, { "a\nb", 3 },
        { "\x1b[2J", 4 }, { "\xff", 1 }, { "a\xe2\x80\xae", 4 }
    };
    forger *b = forger_open();
    int registered = b->t.server->registry.count;
    CHECK(wisp_connect_match(b->t.server, "", world_on, &b->t.w).id != 0);
    for (int i = 0; i < 8; i++) {
        wisp__writer *to = body(b);
        put_announcement(to, 10 + i, bad[i].name, bad[i].length);
        send_body(b);
    }
    world_update(&b->t.w, 0);                    /* the client would be surprised at the answers */
    CHECK_EQ_INT(b->t.server->registry.count, registered);
    CHECK_EQ_INT(b->t.server->registry.lent, 0);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* All that can be announced, in a few packets, and over and over: memory stands still. */
TEST(hostile_announcements_make_nothing_grow_beyond_the_limit) {
    forger *b = forger_open();
    uint64_t memory = 0;
    char name[16];
    CHECK(wisp_connect_match(b->t.server, "", world_on, &b->t.w).id != 0);
    for (int packet = 0; packet < 60; packet++) {
        wisp__writer *to = body(b);
        for (int i = 0; i < 40; i++) {
            int number = packet * 40 + i + 1;
            snprintf(name, sizeof name, "h%07d", number);
            put_announcement(to, number, name, 8);
        }
        send_body(b);
        world_update(&b->t.w, 0);
        if (packet == 4) memory = world_total(b->t.server).memory;
    }
    CHECK_EQ_INT(b->t.server->registry.lent, 64);
    CHECK_EQ_INT(b->t.server->events.pool.live, 3 + 64 + 2);  /* three of the bench, "hp", itself */
    CHECK(world_total(b->t.server).memory < memory + 65536);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* A form that nobody asked for keeps no place: the next name has it, with a clean record. */
TEST(names_of_refused_forms_keep_no_place) {
    static const wisp_field fields[] = { WISP_MAP_FIELD("n", WISP_T_INT32) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("plan", 1, fields);
    world_two t;
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.schema = &schema;
    world_two_open(&t);
    CHECK(match(&t, "^p").id != 0);
    world_watch(&t.w, t.server, WISP_ERROR);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        CHECK_EQ_INT(wisp_use_config(t.client, &config, name), WISP_OK);
        world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    CHECK(t.server->registry.lent <= 2);
    CHECK(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED) > 0);
    config.encode.schema = NULL;
    config.encode.foreign = WISP_ON;
    CHECK_EQ_INT(wisp_use_config(t.server, &config, NULL), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

/* --- order and ends --- */

static char matched_order[64];
static int  ordered;

static void on_matched_letter(wisp_event *event) {
    if (ordered < 63) matched_order[ordered++] = *(char *)event->user;
    matched_order[ordered] = 0;
}

TEST(handlers_run_in_the_order_of_connection_whether_by_name_or_by_pattern) {
    static char letters[] = "abcdef";
    world_two t;
    ordered = 0;
    world_two_open(&t);
    wisp_connect_match(t.server, "new|old", on_matched_letter, &letters[0]);
    wisp_connect_target(t.server, wisp_by_name("old"), on_matched_letter, &letters[1], false);
    wisp_connect_match(t.server, "old", on_matched_letter, &letters[2]);
    wisp_connect_target(t.server, wisp_by_name("new"), on_matched_letter, &letters[3], false);
    wisp_connect_target(t.server, wisp_by_name("old"), on_matched_letter, &letters[4], true);
    wisp_connect_match(t.server, ".", on_matched_letter, &letters[5]);
    world_fire(t.client, "old", t.to_server, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(matched_order, "abcef");
    ordered = 0;
    world_fire(t.client, "new", t.to_server, 1);
    world_fire(t.client, "old", t.to_server, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(matched_order, "adfabcf");
    world_close(&t.w);
}

TEST(one_disconnect_ends_them_all) {
    static const char *const names[] = { "m1", "m2", "m3" };
    world_two t;
    wisp_connection connection;
    world_two_open(&t);
    connection = match(&t, "^m");
    fire_names(&t, names, 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 2);
    CHECK_EQ_INT(t.server->events.pool.live, 3);
    wisp_disconnect(t.server, connection);
    CHECK_EQ_INT(t.server->events.pool.live, 0);
    CHECK(t.server->events.matches == NULL);
    fire_names(&t, names, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 2);
    wisp_disconnect(t.server, connection);                    /* stale */
    match(&t, "^m");
    CHECK_EQ_INT(t.server->events.pool.live, 3);
    wisp_disconnect(t.server, connection);
    CHECK_EQ_INT(t.server->events.pool.live, 3);
    world_close(&t.w);
}

typedef struct matched_ending { wisp_connection connection, other; int runs; } matched_ending;

static void on_ending(wisp_event *event) {
    matched_ending *e = (matched_ending *)event->user;
    e->runs++;
    wisp_disconnect(event->w, e->connection);
    wisp_disconnect(event->w, e->other);
    wisp_remote_named(event->w, "n_later");                   /* which it no longer takes */
}

TEST(a_handler_ends_its_own_pattern_and_another) {
    static const char *const names[] = { "n1", "n1", "n2" };
    world_two t;
    matched_ending e = { { 0 }, { 0 }, 0 };
    world_two_open(&t);
    e.connection = wisp_connect_match(t.server, "^n", on_ending, &e);
    e.other = match(&t, "^n");
    fire_names(&t, names, 3);
    CHECK_EQ_INT(e.runs, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 0);
    CHECK_EQ_INT(t.server->events.pool.live, 0);
    world_close(&t.w);
}

static void on_matching(wisp_event *event) {
    world_two *t = (world_two *)event->user;
    ordered++;
    CHECK(match(t, "^n").id != 0);
}

TEST(a_pattern_connected_inside_a_handler_waits_for_the_next_event) {
    world_two t;
    world_two_open(&t);
    ordered = 0;
    wisp_connect_target(t.server, wisp_by_name("n"), on_matching, &t, true);
    world_fire(t.client, "n", t.to_server, 1);
    world_fire(t.client, "n", t.to_server, 2);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(ordered, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "n")->number, 2);
    world_close(&t.w);
}

/* --- what is refused --- */

TEST(a_bad_pattern_is_refused_with_its_position) {
    static const struct { const char *pattern; int position; } bad[] = {
        { "Player(HP", 6 }, { "ab)", 2 }, { "*", 0 }, { "a{2}", 1 }, { "abc\\", 3 }
    };
    world_two t;
    char place[32];
    world_two_open(&t);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ_INT(match(&t, bad[i].pattern).id, 0);
        CHECK_EQ_INT(wisp_why(t.server), WISP_E_PATTERN);
        snprintf(place, sizeof place, "byte %d", bad[i].position);
        CHECK(strstr(wisp_why_text(t.server), place) != NULL);
        CHECK(strstr(wisp_why_text(t.server), bad[i].pattern) != NULL);
    }
    CHECK_EQ_INT(t.server->events.pool.live, 0);
    world_close(&t.w);
}

TEST(what_is_missing_or_too_long_is_refused) {
    char longest[WISP_PATTERN_BYTES + 2];
    world_two t;
    memset(longest, 'a', sizeof longest);
    longest[WISP_PATTERN_BYTES + 1] = 0;
    world_two_open(&t);
    CHECK_EQ_INT(match(&t, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_connect_match(t.server, "a", NULL, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_ARGUMENT);
    CHECK_EQ_INT(match(&t, longest).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_TOO_BIG);
    longest[WISP_PATTERN_BYTES] = 0;
    CHECK(match(&t, longest).id != 0);
    CHECK_EQ_INT(wisp_connect_match(NULL, "a", world_on, NULL).id, 0);
    world_close(&t.w);
}

TEST(each_name_counts_as_a_connection_and_too_many_are_refused_as_a_whole) {
    world_two t;
    wisp_connection connection;
    world_open(&t.w);
    t.w.desc.limits.connections = 4;
    world_two_join(&t);
    for (int i = 0; i < 4; i++) {
        char name[3] = { 'n', (char)('0' + i), 0 };
        wisp_remote_named(t.server, name);
    }
    for (int round = 0; round < 3; round++) {
        CHECK_EQ_INT(match(&t, "^n").id, 0);
        CHECK_EQ_INT(wisp_why(t.server), WISP_E_LIMIT);
        CHECK_EQ_INT(t.server->events.pool.live, 0);
        connection = match(&t, "^n[0-2]");
        CHECK(connection.id != 0);
        CHECK_EQ_INT(t.server->events.pool.live, 4);
        CHECK_EQ_INT(wisp_connect_match(t.server, "^n3", world_on, &t.w).id, 0);
        wisp_disconnect(t.server, connection);
    }
    world_close(&t.w);
}

/* A name is registered all the same; the endpoint goes on. */
TEST(a_new_name_for_which_there_is_no_connection_left_is_not_heard) {
    static const char *const names[] = { "n1", "n2", "n3" };
    world_two t;
    world_open(&t.w);
    t.w.desc.limits.connections = 2;
    world_two_join(&t);
    match(&t, "^n");
    fire_names(&t, names, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 1);
    CHECK_EQ_INT(t.server->events.pool.live, 2);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

/* --- memory and time --- */

TEST(memory_comes_back_whichever_allocation_fails) {
    for (int at = 1; at < 60; at++) {
        world_two t;
        ledger memory = ledger_none();
        wisp_connection connection;
        char name[8];
        world_open(&t.w);
        t.w.desc.memory = ledger_memory(&memory);
        world_two_join(&t);
        for (int i = 0; i < 80; i++) {
            snprintf(name, sizeof name, "n%d", i);
            wisp_remote_named(t.server, name);
        }
        memory.fail_at = memory.asked + at;
        connection = match(&t, "^n");
        at = memory.asked < memory.fail_at ? 1000 : at;
        memory.fail_at = 0;
        CHECK_EQ_INT(connection.id != 0, at == 1000);
        CHECK_EQ_INT(t.server->events.pool.live, at == 1000 ? 81 : 0);
        if (at < 1000) CHECK_EQ_INT(wisp_why(t.server), WISP_E_MEMORY);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
        if (at == 1000) return;
    }
    CHECK(false);
}

/* Once a name is connected its messages look at no pattern: with another one in its place the same
   names are heard, and those that are new go by that one. */
TEST(a_message_is_matched_against_no_pattern) {
    static const char *const names[] = { "m1", "o1", "m2", "o2" };
    world_two t;
    wisp_pattern other;
    world_two_open(&t);
    for (int i = 0; i < 2; i++) wisp_remote_named(t.server, names[i]);
    match(&t, "^m");
    CHECK_EQ_INT(wisp_pattern_compile(&other, "^o", NULL), WISP_OK);
    *t.server->events.matches->pattern = other;
    fire_names(&t, names, 4);
    fire_names(&t, names, 4);
    CHECK_EQ_INT(world_count(&t.w, t.server, "m1"), 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "o1"), 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, "m2"), 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, "o2"), 2);
    world_close(&t.w);
}

/* --- what was announced --- */

static const wisp_type matched_number = WISP_T_NUMBER;
static const wisp_field matched_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_RANGE(0, 100)),
    WISP_MAP_FIELD("list", WISP_T_ARRAY(&matched_number, 4)),
};
static const wisp_schema matched_schema = WISP_MAP_SCHEMA("stats", 3, matched_fields);

static const wisp_announced *announced_as(const wisp *w, const wisp_announced *all, int count,
                                          const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(wisp_remote_name(w, all[i].remote), name) == 0) return &all[i];
    return NULL;
}

TEST(what_a_peer_has_announced_can_be_listed_with_its_schemas) {
    wisp_announced all[8];
    const wisp_announced *stats, *plain;
    const wisp_peer nobody = { 0 };
    world_two t;
    world_two_open(&t);
    wisp_use_delta(t.server, &matched_schema, "stats");
    wisp_remote_named(t.server, "plain");
    wisp_remote_named(t.server, "unseen");
    CHECK(wisp_connect_match(t.client, "^(stats|plain)$", world_on, &t.w).id != 0);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_announced_names(t.client, t.to_server, NULL, 0), 2);
    CHECK_EQ_INT(wisp_announced_names(t.client, t.to_server, all, 8), 2);
    stats = announced_as(t.client, all, 2, "stats");
    plain = announced_as(t.client, all, 2, "plain");
    CHECK(stats && plain);
    CHECK(stats->encode.schema && stats->encode.schema->version == 3);
    CHECK_EQ_INT(stats->encode.mode, WISP_ENCODE_DELTA);
    CHECK_EQ_INT(stats->encode.schema->count, 2);
    CHECK_EQ_INT((int)stats->encode.schema->fields[0].type.most, 100);
    CHECK(!plain->encode.schema && plain->encode.mode == WISP_ENCODE_BASIC);
    CHECK_EQ_INT(wisp_announced_names(t.client, nobody, all, 8), 0);
    CHECK_EQ_INT(wisp_announced_names(NULL, t.to_server, all, 8), 0);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(what_a_peer_has_announced_can_be_listed_with_its_schemas),
    CASE(names_registered_before_and_after_are_connected),
    CASE(names_that_only_a_peer_announces_are_connected),
    CASE(reserved_names_are_in_no_pattern),
    CASE(peers_can_have_so_many_names_registered_and_no_more),
    CASE(no_peer_takes_the_names_of_another_and_they_come_back_when_it_leaves),
    CASE(whoever_comes_and_goes_a_message_has_its_own_name),
    CASE(a_handle_of_a_name_that_gave_its_place_away_is_stale),
    CASE(a_name_that_is_used_here_stays_and_peers_hear_of_it),
    CASE(peers_are_not_told_of_a_name_that_only_another_has_announced),
    CASE(what_is_no_name_is_not_registered_whatever_a_pattern_takes),
    CASE(hostile_announcements_make_nothing_grow_beyond_the_limit),
    CASE(names_of_refused_forms_keep_no_place),
    CASE(handlers_run_in_the_order_of_connection_whether_by_name_or_by_pattern),
    CASE(one_disconnect_ends_them_all),
    CASE(a_handler_ends_its_own_pattern_and_another),
    CASE(a_pattern_connected_inside_a_handler_waits_for_the_next_event),
    CASE(a_bad_pattern_is_refused_with_its_position),
    CASE(what_is_missing_or_too_long_is_refused),
    CASE(each_name_counts_as_a_connection_and_too_many_are_refused_as_a_whole),
    CASE(a_new_name_for_which_there_is_no_connection_left_is_not_heard),
    CASE(memory_comes_back_whichever_allocation_fails),
    CASE(a_message_is_matched_against_no_pattern),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
