/* test_hold.c - what middleware holds: its release, its limits, its end, and calls that are held */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/probe_middleware.h"
#include "support/server_and_three_clients.h"

#include <time.h>

/* --- held and released --- */

TEST(what_is_held_waits_for_its_release_and_keeps_its_order) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        use(at, "hold", "^r$", way, &p);
        for (int i = 0; i < 10; i++) fire(&t, i % 2 ? "r" : "s", i / 2);
        world_run(&t.w, 1);
        CHECK_EQ_INT(heard(&t, "s"), 5);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        CHECK_EQ_INT(p.runs, 5);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 5);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 0);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 5);
        CHECK(world_counts_up(&t.w, t.server, "r", 0));
        CHECK_EQ_INT(p.runs, 5);
        CHECK_EQ_INT(world_remote_stats(at, "r").filtered, 0);
        world_close(&t.w);
    }
}

TEST(what_is_released_with_a_drop_or_a_code_is_gone_and_counted) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        use(at, "hold", "^r$", way, &p);
        fire(&t, "r", 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(release(at, "hold", WISP_DROP), 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        fire(&t, "r", 2);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(release(at, "hold", REFUSED), 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        CHECK_EQ_INT(world_results(&t.w, at, WISP_ERROR, REFUSED), 1);
        CHECK_EQ_INT(world_remote_stats(at, "r").filtered, 2);
        CHECK_EQ_INT(world_peer_stats(at, way == IN ? t.to_client : t.to_server).filtered, 2);
        world_close(&t.w);
    }
}

TEST(a_release_that_makes_no_sense_releases_nothing) {
    world_two t;
    probe p = probe_of(WISP_HOLD);
    wisp_peer all = { 0 }, stale = { 0x12345678 };
    two_open(&t);
    use(t.client, "hold", "^r$", OUT, &p);
    fire(&t, "r", 1);
    CHECK_EQ_INT(wisp_release(NULL, "hold", all, WISP_PASS), 0);
    CHECK_EQ_INT(wisp_release(t.client, NULL, all, WISP_PASS), 0);
    CHECK_EQ_INT(wisp_release(t.client, "other", all, WISP_PASS), 0);
    CHECK_EQ_INT(wisp_release(t.client, "hold", stale, WISP_PASS), 0);
    CHECK_EQ_INT(wisp_release(t.client, "hold", all, WISP_HOLD), 0);
    CHECK_EQ_INT(wisp_release(t.client, "hold", all, 1), 0);
    CHECK_EQ_INT(wisp_release(t.client, "hold", all, -65536), 0);
    CHECK_EQ_INT(wisp_release(t.client, "hold", WISP_SERVER, WISP_PASS), 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "r"), 1);
    world_close(&t.w);
}

TEST(each_peer_is_released_for_itself) {
    world w;
    wisp *server, *clients[2];
    wisp_peer to[2];
    probe p = probe_of(WISP_HOLD);
    world_open(&w);
    server = world_add(&w);
    for (int i = 0; i < 2; i++) {
        clients[i] = world_add(&w);
        to[i] = world_join(&w, clients[i], server);
    }
    world_watch(&w, server, "r");
    world_run(&w, 0.3);
    use(server, "hold", NULL, IN, &p);
    for (int i = 0; i < 6; i++) world_fire(clients[i % 2], "r", to[i % 2], i);
    world_run(&w, 0.2);
    CHECK_EQ_INT(wisp_release(server, "hold", world_peer(server, 1), WISP_PASS), 3);
    world_run(&w, 0.1);
    CHECK_EQ_INT(world_count(&w, server, "r"), 3);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(world_nth(&w, server, "r", i)->number, 2 * i + 1);
    CHECK_EQ_INT(release(server, "hold", WISP_PASS), 3);
    world_run(&w, 0.1);
    for (int i = 3; i < 6; i++) CHECK_EQ_INT(world_nth(&w, server, "r", i)->number, 2 * (i - 3));
    world_close(&w);
}

TEST(what_is_released_goes_on_behind_its_hook_and_may_be_held_again) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p[3];
        wisp *at;
        const char *first = way == IN ? "c" : "a", *second = way == IN ? "a" : "c";
        two_open(&t);
        at = way == IN ? t.server : t.client;
        for (int i = 0; i < 3; i++) {
            char name[2] = { (char)('a' + i), 0 };
            p[i] = probe_of(i == 1 ? WISP_PASS : WISP_HOLD);
            p[i].letter = name[0];
            use(at, name, "^r$", way, &p[i]);
        }
        for (int i = 0; i < 3; i++) fire(&t, "r", i);
        world_run(&t.w, 0.1);
        CHECK_EQ_STR(trail, way == IN ? "ccc" : "aaa");
        CHECK_EQ_INT(release(at, second, WISP_PASS), 0);
        CHECK_EQ_INT(release(at, first, WISP_PASS), 3);
        world_run(&t.w, 0.1);
        CHECK_EQ_STR(trail, way == IN ? "cccbababa" : "aaabcbcbc");
        CHECK_EQ_INT(heard(&t, "r"), 0);
        fire(&t, "s", 1);
        CHECK_EQ_INT(release(at, first, WISP_PASS), 0);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        CHECK_EQ_INT(release(at, second, WISP_PASS), 3);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 3);
        CHECK(world_counts_up(&t.w, t.server, "r", 0));
        world_close(&t.w);
    }
}

TEST(a_message_that_is_held_again_takes_no_second_place) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        two_holding(&t, 1, 0);
        at = way == IN ? t.server : t.client;
        use(at, "a", NULL, way, &p);
        use(at, "b", NULL, way, &p);
        fire(&t, "r", 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(release(at, way == IN ? "b" : "a", WISP_PASS), 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(release(at, way == IN ? "a" : "b", WISP_PASS), 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 1);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

TEST(what_is_changed_and_then_held_stays_changed) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_that(act_add_ten, NULL);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        p.verdict = WISP_HOLD;
        use(at, "hold", NULL, way, &p);
        fire(&t, "r", 5);
        world_run(&t.w, 0.1);
        release(at, "hold", WISP_PASS);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 15);
        world_close(&t.w);
    }
}

TEST(what_an_unused_middleware_holds_goes_on) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD), q = probe_of(WISP_PASS);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        if (way == IN) use(at, "next", NULL, way, &q);
        use(at, "hold", NULL, way, &p);
        if (way == OUT) use(at, "next", NULL, way, &q);
        fire(&t, "r", 5);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(wisp_unuse(at, "hold"), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 1);
        CHECK_EQ_INT(q.runs, 1);
        world_close(&t.w);
    }
}

static void act_unuse_hold(wisp_event *event, probe *p) {
    p->acted++;
    CHECK_EQ_INT(wisp_unuse(event->w, "hold"), WISP_OK);
}

TEST(what_a_hook_holds_that_has_removed_itself_goes_on) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_that(act_unuse_hold, NULL);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        p.verdict = WISP_HOLD;
        use(at, "hold", NULL, way, &p);
        fire(&t, "r", 5);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(p.acted, 1);
        CHECK_EQ_INT(heard(&t, "r"), 1);
        world_close(&t.w);
    }
}

static void act_release_hold(wisp_event *event, probe *p) {
    p->acted += release(event->w, "hold", WISP_PASS);
}

TEST(a_hook_and_a_handler_release_what_comes_before_the_next_message) {
    world_two t;
    probe hold = probe_of(WISP_HOLD), open = probe_that(act_release_hold, NULL);
    two_open(&t);
    use(t.server, "hold", "^r$", IN, &hold);
    use(t.server, "open", "^s$", IN, &open);
    fire(&t, "r", 1);
    fire(&t, "s", 2);
    fire(&t, "s", 3);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(open.acted, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, NULL), 3);
    CHECK_EQ_INT(world_nth(&t.w, t.server, NULL, 0)->number, 2);
    CHECK_EQ_INT(world_nth(&t.w, t.server, NULL, 1)->number, 1);
    CHECK_EQ_INT(world_nth(&t.w, t.server, NULL, 2)->number, 3);
    world_close(&t.w);
}

TEST(what_is_released_on_its_way_out_goes_before_what_is_fired_next) {
    world_two t;
    probe hold = probe_of(WISP_HOLD);
    two_open(&t);
    use(t.client, "hold", "^r$", OUT, &hold);
    fire(&t, "r", 0);
    fire(&t, "r", 1);
    CHECK_EQ_INT(release(t.client, "hold", WISP_PASS), 2);
    hold.verdict = WISP_PASS;
    fire(&t, "r", 2);
    CHECK_EQ_INT(release(t.client, "hold", WISP_PASS), 0);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "r"), 3);
    CHECK(world_counts_up(&t.w, t.server, "r", 0));
    world_close(&t.w);
}

/* The values stay what they were, whatever happened to the fired ones. */
TEST(held_values_are_a_copy) {
    world_two t;
    probe hold = probe_of(WISP_HOLD);
    char text[8] = "before";
    wisp_value value = wisp_string(text);
    two_open(&t);
    use(t.client, "hold", NULL, OUT, &hold);
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), &value, 1), WISP_OK);
    memset(text, 'x', 6);
    release(t.client, "hold", WISP_PASS);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(world_last(&t.w, t.server, "r")->text, "before");
    world_close(&t.w);
}

/* --- to several --- */

/* Which clients have heard `number` last: a bit each. */
static int party_last_at(const party *p, int64_t number) {
    int bits = 0;
    for (int i = 0; i < 3; i++)
        bits |= (world_last(&p->w, p->clients[i], "r")->number == number) << i;
    return bits;
}

/* All, the last two, and all but the first. */
static wisp_result party_fire(party *p, int form, int64_t number) {
    wisp_value value = wisp_int(number);
    wisp_peer list[2];
    wisp_to to = form == 0 ? wisp_to_all() : form == 1 ? wisp_to_list(list, 2)
                                                        : wisp_to_except(list, 1);
    wisp_result result;
    list[0] = p->to_client[form == 1 ? 1 : 0];
    list[1] = p->to_client[2];
    result = wisp_fire_values(p->server, "r", to, &value, 1);
    memset(list, 0, sizeof list);
    return result;
}

static const int party_bits[3] = { 7, 6, 6 };

TEST(what_goes_to_several_passes_once_with_no_peer) {
    for (int form = 0; form < 3; form++) {
        party p;
        probe ten = probe_that(act_add_ten, NULL);
        party_open(&p);
        ten.peer.id = 99;
        use(p.server, "ten", NULL, OUT, &ten);
        CHECK_EQ_INT(party_fire(&p, form, 5), WISP_OK);
        world_run(&p.w, 0.1);
        CHECK_EQ_INT(party_last_at(&p, 15), party_bits[form]);
        CHECK_EQ_INT(ten.runs, 1);
        CHECK_EQ_INT(ten.peer.id, 0);
        ten.act = NULL;
        ten.verdict = WISP_DROP;
        CHECK_EQ_INT(party_fire(&p, form, 6), WISP_OK);
        ten.verdict = REFUSED;
        CHECK_EQ_INT(party_fire(&p, form, 6), REFUSED);
        world_run(&p.w, 0.1);
        CHECK_EQ_INT(party_last_at(&p, 6), 0);
        CHECK_EQ_INT(world_remote_stats(p.server, "r").filtered, 2);
        world_close(&p.w);
    }
}

TEST(what_is_held_for_several_goes_to_them_when_all_is_released) {
    for (int form = 0; form < 3; form++) {
        party p;
        probe hold = probe_of(WISP_HOLD);
        wisp_peer all = { 0 };
        party_open(&p);
        use(p.server, "hold", NULL, OUT, &hold);
        CHECK_EQ_INT(party_fire(&p, form, 5), WISP_OK);
        CHECK_EQ_INT(wisp_release(p.server, "hold", p.to_client[2], WISP_PASS), 0);
        world_run(&p.w, 0.1);
        CHECK_EQ_INT(party_last_at(&p, 5), 0);
        CHECK_EQ_INT(wisp_release(p.server, "hold", all, WISP_PASS), 1);
        world_run(&p.w, 0.1);
        CHECK_EQ_INT(party_last_at(&p, 5), party_bits[form]);
        CHECK_EQ_INT(hold.runs, 1);
        world_close(&p.w);
    }
}

TEST(of_those_that_something_is_held_for_who_has_left_is_left_out) {
    for (int form = 0; form < 3; form++) {
        party p;
        probe hold = probe_of(WISP_HOLD);
        wisp_peer all = { 0 };
        party_open(&p);
        world_watch(&p.w, p.server, WISP_ERROR);
        use(p.server, "hold", NULL, OUT, &hold);
        party_fire(&p, form, 5);
        wisp_leave(p.server, p.to_client[2], "");
        world_run(&p.w, 3);
        CHECK_EQ_INT(wisp_release(p.server, "hold", all, WISP_PASS), 1);
        world_run(&p.w, 0.1);
        CHECK_EQ_INT(party_last_at(&p, 5), party_bits[form] & 3);
        CHECK_EQ_INT(world_results(&p.w, p.server, WISP_ERROR, WISP_E_STALE), form == 1);
        world_close(&p.w);
    }
}

TEST(an_empty_list_can_be_held) {
    world_two t;
    probe hold = probe_of(WISP_HOLD);
    wisp_peer all = { 0 };
    wisp_value value = wisp_int(5);
    two_open(&t);
    use(t.server, "hold", NULL, OUT, &hold);
    CHECK_EQ_INT(wisp_fire_values(t.server, "r", wisp_to_list(&all, 0), &value, 1), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(t.server, "r", wisp_to_except(&all, 0), &value, 1), WISP_OK);
    CHECK_EQ_INT(wisp_release(t.server, "hold", all, WISP_PASS), 2);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

/* --- the limits of what is held --- */

TEST(more_than_may_be_held_is_told_and_makes_room_again) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        two_holding(&t, 3, 0);
        at = way == IN ? t.server : t.client;
        use(at, "hold", NULL, way, &p);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 5; i++)
                CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 3 * round + i),
                             way == OUT && i >= 3 ? WISP_E_LIMIT : WISP_OK);
            world_run(&t.w, 0.1);
            CHECK_EQ_INT(world_results(&t.w, at, WISP_ERROR, WISP_E_LIMIT),
                         way == IN ? 2 * round + 2 : 0);
            CHECK_EQ_INT(release(at, "hold", WISP_PASS), 3);
            world_run(&t.w, 0.1);
            CHECK_EQ_INT(heard(&t, "r"), 3 * round + 3);
        }
        CHECK(world_counts_up(&t.w, t.server, "r", 0));
        CHECK_EQ_INT(world_remote_stats(at, "r").filtered, 4);
        world_close(&t.w);
    }
}

/* The smallest messages there are, as many as fit: the bound is one of memory. */
TEST(what_is_held_takes_no_more_memory_than_the_limit) {
    for (int way = IN; way <= OUT; way++) {
        enum { BYTES = 1 << 18 };
        world_two t;
        probe p = probe_of(WISP_HOLD);
        uint64_t before;
        int held = 0;
        wisp *at;
        two_holding(&t, 1 << 20, BYTES);
        at = way == IN ? t.server : t.client;
        use(at, "hold", NULL, way, &p);
        before = world_total(at).memory;
        for (int i = 0; i < 3000; i++) {
            wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), NULL, 0);
            if (i % 100 == 0) world_step(&t.w);
        }
        world_run(&t.w, 0.2);
        CHECK(world_total(at).memory < before + BYTES + 131072);
        held = release(at, "hold", WISP_DROP);
        CHECK(held > 500 && held < 3000);
        world_close(&t.w);
    }
}

/* What one peer has held takes no place of another, and comes back when it leaves. */
TEST(each_peer_has_its_own_places) {
    party p;
    probe hold = probe_of(WISP_HOLD);
    wisp_value value = wisp_int(1);
    world_open(&p.w);
    p.w.desc.limits.held_messages = 3;
    p.server = world_add(&p.w);
    for (int i = 0; i < 3; i++) {
        p.clients[i] = world_add(&p.w);
        p.to_server[i] = world_join(&p.w, p.clients[i], p.server);
        p.to_client[i] = world_peer(p.server, i);
    }
    use(p.server, "hold", NULL, OUT, &hold);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 5; k++)
            CHECK_EQ_INT(world_fire(p.server, "r", p.to_client[i], k),
                         k < 3 ? WISP_OK : WISP_E_LIMIT);
    for (int k = 0; k < 5; k++)
        CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_all(), &value, 1),
                     k < 3 ? WISP_OK : WISP_E_LIMIT);
    wisp_leave(p.server, p.to_client[1], "");
    CHECK_EQ_INT(p.server->hooks.held.count, 9);
    CHECK_EQ_INT(wisp_release(p.server, "hold", p.to_client[2], WISP_DROP), 3);
    CHECK_EQ_INT(release(p.server, "hold", WISP_DROP), 6);
    world_run(&p.w, 0.1);
    CHECK_EQ_INT(p.server->hooks.several.count + p.server->hooks.several.bytes, 0);
    CHECK_EQ_INT(p.server->hooks.held.count + p.server->hooks.held.bytes, 0);
    world_close(&p.w);
}

/* Each round releases, sends on and holds again what one of many peers has held. */
TEST(a_release_costs_no_more_beside_what_others_hold) {
    enum { PEERS = 30, EACH = 1024 };
    world w;
    wisp *server;
    wisp_peer to[PEERS];
    probe hold = probe_of(WISP_HOLD);
    double seconds[2];
    world_open(&w);
    server = world_add(&w);
    for (int i = 0; i < PEERS; i++) {
        wisp *client = world_add(&w);
        world_join(&w, client, server);
        to[i] = world_peer(server, i);
    }
    use(server, "hold", NULL, OUT, &hold);
    for (int crowd = 0; crowd < 2; crowd++) {
        clock_t began;
        for (int i = crowd ? 0 : PEERS - 1; i < PEERS; i++)
            for (int k = 0; k < EACH; k++) world_fire(server, "r", to[i], k);
        CHECK_EQ_INT(server->hooks.held.count, crowd ? PEERS * EACH : EACH);
        began = clock();
        for (int round = 0; round < 3; round++) {
            CHECK_EQ_INT(wisp_release(server, "hold", to[PEERS - 1], WISP_DROP), EACH);
            wisp__resume_held(server, true);
            for (int k = 0; k < EACH; k++) world_fire(server, "r", to[PEERS - 1], k);
        }
        seconds[crowd] = (double)(clock() - began) / CLOCKS_PER_SEC;
    }
    CHECK(seconds[1] < 4 * seconds[0] + 0.1);
    world_close(&w);
}

TEST(what_is_released_goes_on_in_the_order_of_release) {
    party p;
    probe hold = probe_of(WISP_HOLD);
    party_open(&p);
    world_watch(&p.w, p.server, "r");
    world_run(&p.w, 0.5);
    use(p.server, "hold", NULL, IN, &hold);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 3; i++) {
            world_fire(p.clients[i], "r", p.to_server[i], 10 * i + k);
            world_run(&p.w, 0.1);
        }
    CHECK_EQ_INT(wisp_release(p.server, "hold", p.to_client[2], WISP_PASS), 2);
    CHECK_EQ_INT(wisp_release(p.server, "hold", p.to_client[0], WISP_PASS), 2);
    CHECK_EQ_INT(release(p.server, "hold", WISP_PASS), 2);
    hold.verdict = WISP_PASS;
    world_run(&p.w, 0.1);
    for (int i = 0; i < 6 && CHECK_EQ_INT(world_count(&p.w, p.server, "r"), 6); i++) {
        static const int order[] = { 20, 21, 0, 1, 10, 11 };
        CHECK_EQ_INT(world_nth(&p.w, p.server, "r", i)->number, order[i]);
    }
    world_close(&p.w);
}

TEST(the_bytes_of_what_is_held_are_bounded) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        static const char bytes[600] = { 0 };
        wisp_value value = wisp_bytes(bytes, 600);
        int refused = 0;
        wisp *at;
        two_holding(&t, 0, 3 * (680 + 680 / 12 + wisp__chunk_memory(sizeof(wisp__held))) + 500);
        at = way == IN ? t.server : t.client;
        use(at, "hold", NULL, way, &p);
        for (int i = 0; i < 5; i++)
            refused += wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), &value, 1) ==
                       WISP_E_LIMIT;
        world_run(&t.w, 0.2);
        refused += world_results(&t.w, at, WISP_ERROR, WISP_E_LIMIT);
        CHECK_EQ_INT(refused, 2);
        CHECK_EQ_INT(release(at, "hold", WISP_DROP), 3);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), &value, 1), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 1);
        world_close(&t.w);
    }
}

/* One peer that is held to its limit takes nothing from another. */
TEST(the_limit_of_what_comes_in_is_each_peers_own) {
    party p;
    probe hold = probe_of(WISP_HOLD);
    world_open(&p.w);
    p.w.desc.limits.held_messages = 2;
    p.server = world_add(&p.w);
    for (int i = 0; i < 2; i++) {
        p.clients[i] = world_add(&p.w);
        p.to_client[i] = world_join(&p.w, p.clients[i], p.server);
    }
    world_watch(&p.w, p.server, "r");
    use(p.server, "hold", NULL, IN, &hold);
    for (int i = 0; i < 5; i++) world_fire(p.clients[0], "r", p.to_client[0], i);
    world_run(&p.w, 0.1);
    world_fire(p.clients[1], "r", p.to_client[1], 9);
    world_run(&p.w, 0.1);
    CHECK_EQ_INT(release(p.server, "hold", WISP_PASS), 3);
    world_run(&p.w, 0.1);
    CHECK_EQ_INT(world_last(&p.w, p.server, "r")->number, 9);
    world_close(&p.w);
}

/* --- held, and then the peer or the endpoint is gone --- */

TEST(what_is_held_for_a_peer_that_leaves_is_counted_as_abandoned) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        uint64_t before;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        use(at, "hold", NULL, way, &p);
        for (int i = 0; i < 3; i++) fire(&t, "r", i);
        world_run(&t.w, 0.1);
        before = world_total(at).messages_abandoned;
        wisp_leave(t.client, t.to_server, "bye");
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(world_total(at).messages_abandoned - before, 3);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 0);
        world_run(&t.w, 3);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        world_close(&t.w);
    }
}

TEST(what_is_released_and_then_loses_its_peer_is_gone) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        use(at, "hold", NULL, way, &p);
        fire(&t, "r", 1);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 1);
        wisp_leave(at, way == IN ? t.to_client : t.to_server, "");
        world_run(&t.w, 1);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        world_close(&t.w);
    }
}

TEST(destroy_frees_what_is_held_and_ends_held_calls) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        ledger memory = ledger_none();
        probe p = probe_of(WISP_HOLD);
        wisp_value value = wisp_int(1);
        world_open(&t.w);
        t.w.desc.memory = ledger_memory(&memory);
        world_two_join(&t);
        two_begin(&t);
        use(way == IN ? t.server : t.client, "hold", NULL, way, &p);
        fire(&t, "r", 1);
        CHECK(ask(&t, 1).id != 0);
        wisp_fire_values(t.client, "r", wisp_to_all(), &value, 1);
        wisp_fire_values(t.client, "r", wisp_to_list(&t.to_server, 1), &value, 1);
        world_run(&t.w, 0.1);
        if (way == OUT) world_destroy(&t.w, t.client);
        else world_destroy(&t.w, t.server);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(world_results(&t.w, NULL, "ask", WISP_E_CLOSED), 1);
        CHECK_EQ_INT(world_count(&t.w, NULL, "ask"), 1);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
}

/* --- held calls --- */

/* A pair whose client (OUT) or server (IN) holds the calls of "ask". */
static wisp *calls_held(world_two *t, int way, probe *p) {
    wisp *at;
    two_open(t);
    at = way == IN ? t->server : t->client;
    *p = probe_of(WISP_HOLD);
    use(at, "hold", "^ask$", way, p);
    return at;
}

TEST(a_held_call_is_answered_when_it_is_released) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p;
        wisp *at = calls_held(&t, way, &p);
        CHECK(ask(&t, 5).id != 0);
        CHECK_EQ_INT(world_total(t.client).calls_pending, 1);
        world_run(&t.w, 0.5);
        CHECK_EQ_INT(answers, 0);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 1);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(answers, 1);
        check_answer(&t, WISP_OK, 6);
        world_close(&t.w);
    }
}

TEST(a_held_call_ends_with_the_verdict_of_its_release) {
    static const wisp_result verdicts[] = { WISP_DROP, REFUSED };
    for (int i = 0; i < 4; i++) {
        world_two t;
        probe p;
        int way = i & 1 ? IN : OUT;
        wisp_result verdict = verdicts[i / 2];
        wisp *at = calls_held(&t, way, &p);
        CHECK(ask(&t, 5).id != 0);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(release(at, "hold", verdict), 1);
        world_run(&t.w, 2);
        if (verdict == REFUSED) check_answer(&t, REFUSED, 0);
        else check_answer(&t, way == OUT ? WISP_E_DROPPED : WISP_E_TIMEOUT, 0);
        CHECK_EQ_INT(answers, 0);
        CHECK_EQ_INT(world_remote_stats(at, "ask").filtered, 1);
        world_close(&t.w);
    }
}

TEST(a_held_call_times_out_and_its_release_does_nothing) {
    for (int tries = 1; tries <= 5; tries += 4) {
        world_two t;
        probe p;
        calls_held(&t, OUT, &p);
        wisp_set_unreliable(t.client, "ask", true);
        CHECK(ask_tries(&t, 5, 1, tries).id != 0);
        world_run(&t.w, 0.9);
        CHECK_EQ_INT(world_count(&t.w, t.client, "ask"), 0);
        world_run(&t.w, 0.2);
        check_answer(&t, WISP_E_TIMEOUT, 0);
        release(t.client, "hold", WISP_PASS);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(answers, 0);
        check_answer(&t, WISP_E_TIMEOUT, 0);
        world_close(&t.w);
    }
}

TEST(a_call_released_late_has_what_is_left_of_its_time) {
    world_two t;
    probe p;
    calls_held(&t, OUT, &p);
    wisp_on_invoke(t.server, "ask", on_later, NULL);
    ask(&t, 5);
    world_run(&t.w, 0.7);
    release(t.client, "hold", WISP_PASS);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(answers, 1);
    CHECK_EQ_INT(world_count(&t.w, t.client, "ask"), 0);
    world_run(&t.w, 0.2);
    check_answer(&t, WISP_E_TIMEOUT, 0);
    world_close(&t.w);
}

TEST(a_held_call_is_cancelled) {
    world_two t;
    probe p;
    calls_held(&t, OUT, &p);
    wisp_cancel(t.client, ask(&t, 5));
    world_run(&t.w, 0.1);
    check_answer(&t, WISP_E_CANCELLED, 0);
    release(t.client, "hold", WISP_PASS);
    world_run(&t.w, 0.2);
    check_answer(&t, WISP_E_CANCELLED, 0);
    CHECK_EQ_INT(answers, 0);
    world_close(&t.w);
}

TEST(a_held_call_that_is_over_takes_no_place) {
    world_two t;
    probe p = probe_of(WISP_HOLD);
    wisp_call call;
    two_holding(&t, 2, 0);
    use(t.client, "hold", NULL, OUT, &p);
    fire(&t, "r", 1);
    wisp_cancel(t.client, ask(&t, 1));
    call = ask_tries(&t, 2, 0.1, 1);
    CHECK(call.id != 0);
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 2), WISP_E_LIMIT);
    world_run(&t.w, 0.3);
    fire(&t, "r", 2);
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 3), WISP_E_LIMIT);
    CHECK_EQ_INT(release(t.client, "hold", WISP_PASS), 2);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(heard(&t, "r"), 2);
    world_close(&t.w);
}

TEST(a_peer_that_leaves_ends_the_calls_that_are_held_for_it) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p;
        calls_held(&t, way, &p);
        ask(&t, 5);
        world_run(&t.w, 0.2);
        wisp_leave(t.server, t.to_client, "");
        world_run(&t.w, 0.3);
        check_answer(&t, WISP_E_CLOSED, 0);
        CHECK_EQ_INT(answers, 0);
        world_close(&t.w);
    }
}

static void act_no_handler(wisp_event *event, probe *p) {
    p->acted++;
    CHECK_EQ_INT(wisp_on_invoke(event->w, "ask", NULL, NULL), WISP_OK);
}

TEST(a_call_whose_handler_goes_while_it_is_in_the_chain_is_told_so) {
    for (int held = 0; held < 2; held++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        two_open(&t);
        if (!held) p = probe_that(act_no_handler, &t);
        use(t.server, "hold", "^ask$", IN, &p);
        ask(&t, 5);
        world_run(&t.w, 0.1);
        if (held) wisp_on_invoke(t.server, "ask", NULL, NULL);
        CHECK_EQ_INT(release(t.server, "hold", WISP_PASS), held);
        world_run(&t.w, 0.1);
        check_answer(&t, WISP_E_NO_HANDLER, 0);
        world_close(&t.w);
    }
}

/* --- calls over unreliable delivery --- */

/* Every packet from the server is lost, so the client repeats its call. */
static void two_deaf(world_two *t, probe *p) {
    world_open(&t->w);
    t->w.bad = true;
    world_two_join(t);
    two_begin(t);
    wisp_set_unreliable(t->client, "ask", true);
    wisp_set_unreliable(t->server, "ask", true);
    use(t->server, "hook", "^ask$", IN, p);
    t->w.sims[0].loss = 1;
}

TEST(repeats_of_a_held_call_run_its_handler_once) {
    world_two t;
    probe p = probe_of(WISP_HOLD);
    two_deaf(&t, &p);
    ask_tries(&t, 5, 3, 5);
    world_run(&t.w, 0.7);
    CHECK(world_remote_stats(t.server, "ask").invokes_repeated >= 2);
    CHECK_EQ_INT(p.runs, 1);
    CHECK_EQ_INT(release(t.server, "hook", WISP_PASS), 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(answers, 1);
    t.w.sims[0].loss = 0;
    world_run(&t.w, 2);
    CHECK_EQ_INT(answers, 1);
    CHECK_EQ_INT(p.runs, 1);
    check_answer(&t, WISP_OK, 6);
    world_close(&t.w);
}

TEST(repeats_of_a_rejected_call_are_answered_from_memory) {
    world_two t;
    probe p = probe_of(REFUSED);
    two_deaf(&t, &p);
    ask_tries(&t, 5, 3, 5);
    world_run(&t.w, 0.7);
    p.verdict = WISP_PASS;
    t.w.sims[0].loss = 0;
    world_run(&t.w, 2);
    CHECK_EQ_INT(p.runs, 1);
    CHECK_EQ_INT(answers, 0);
    check_answer(&t, REFUSED, 0);
    world_close(&t.w);
}

TEST(a_repeat_of_a_dropped_call_is_a_new_chance_and_runs_its_handler_once) {
    world_two t;
    probe p = probe_of(WISP_DROP);
    two_deaf(&t, &p);
    t.w.sims[1].duplicate = 1;
    ask_tries(&t, 5, 3, 5);
    world_run(&t.w, 0.7);
    CHECK(p.runs >= 3);
    p.verdict = WISP_PASS;
    t.w.sims[0].loss = 0;
    world_run(&t.w, 2);
    CHECK_EQ_INT(answers, 1);
    check_answer(&t, WISP_OK, 6);
    world_close(&t.w);
}

TEST(a_call_that_is_released_after_its_caller_gave_up_runs_once) {
    world_two t;
    probe p = probe_of(WISP_HOLD);
    two_deaf(&t, &p);
    t.w.sims[0].loss = 0;
    ask_tries(&t, 5, 0.5, 3);
    world_run(&t.w, 1);
    check_answer(&t, WISP_E_TIMEOUT, 0);
    p.verdict = WISP_PASS;
    ask_tries(&t, 7, 1, 3);
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_last(&t.w, t.client, "ask")->number, 8);
    CHECK_EQ_INT(release(t.server, "hook", WISP_PASS), 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(answers, 2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "ask"), 2);
    world_close(&t.w);
}

static int hold_seen[400];

static void on_seen(wisp_event *event) {
    int64_t i = wisp_arg_int(event, 0);
    if (i >= 0 && i < 400) hold_seen[i]++;
}

/* Holds, drops or passes by chance. */
static wisp_result on_chance(wisp_event *event) {
    static const wisp_result verdicts[] = { WISP_PASS, WISP_HOLD, WISP_DROP, WISP_PASS };
    return verdicts[test_random_below((uint64_t *)event->user, 4)];
}

TEST(whatever_is_lost_held_or_dropped_handlers_run_at_most_once) {
    world_two t;
    uint64_t random = 5;
    wisp_middleware m;
    int more = 0, ran = 0;
    memset(hold_seen, 0, sizeof hold_seen);
    memset(&m, 0, sizeof m);
    m.name = "chance";
    m.inbound = m.outbound = on_chance;
    m.pattern = "^ask$";
    m.user = &random;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.03;
    t.w.net.jitter = 0.1;
    t.w.net.seed = 3;
    world_two_join(&t);
    two_begin(&t);
    wisp_on_invoke(t.server, "ask", on_seen, NULL);
    wisp_set_unreliable(t.client, "ask", true);
    wisp_set_unreliable(t.server, "ask", true);
    wisp_use(t.client, &m);
    wisp_use(t.server, &m);
    t.w.sims[0].loss = t.w.sims[1].loss = 0.2;
    t.w.sims[0].duplicate = t.w.sims[1].duplicate = 0.3;
    for (int i = 0; i < 400; i++) {
        if (!ask_tries(&t, i, 2, 6).id) CHECK_EQ_INT(wisp_why(t.client), WISP_E_DROPPED);
        world_run(&t.w, 0.02);
        if (i % 7 == 0) release(t.client, "chance", WISP_PASS);
        if (i % 5 == 0) release(t.server, "chance", i % 3 ? WISP_PASS : WISP_DROP);
    }
    release(t.server, "chance", WISP_PASS);
    world_run(&t.w, 4);
    for (int i = 0; i < 400; i++) {
        more += hold_seen[i] > 1;
        ran += hold_seen[i];
    }
    CHECK_EQ_INT(more, 0);
    CHECK(ran > 200);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(what_is_held_waits_for_its_release_and_keeps_its_order),
    CASE(what_is_released_with_a_drop_or_a_code_is_gone_and_counted),
    CASE(a_release_that_makes_no_sense_releases_nothing),
    CASE(each_peer_is_released_for_itself),
    CASE(what_is_released_goes_on_behind_its_hook_and_may_be_held_again),
    CASE(a_message_that_is_held_again_takes_no_second_place),
    CASE(what_is_changed_and_then_held_stays_changed),
    CASE(what_an_unused_middleware_holds_goes_on),
    CASE(what_a_hook_holds_that_has_removed_itself_goes_on),
    CASE(a_hook_and_a_handler_release_what_comes_before_the_next_message),
    CASE(what_is_released_on_its_way_out_goes_before_what_is_fired_next),
    CASE(held_values_are_a_copy),
    CASE(what_goes_to_several_passes_once_with_no_peer),
    CASE(what_is_held_for_several_goes_to_them_when_all_is_released),
    CASE(of_those_that_something_is_held_for_who_has_left_is_left_out),
    CASE(an_empty_list_can_be_held),
    CASE(more_than_may_be_held_is_told_and_makes_room_again),
    CASE(the_bytes_of_what_is_held_are_bounded),
    CASE(what_is_held_takes_no_more_memory_than_the_limit),
    CASE(each_peer_has_its_own_places),
    CASE(a_release_costs_no_more_beside_what_others_hold),
    CASE(what_is_released_goes_on_in_the_order_of_release),
    CASE(the_limit_of_what_comes_in_is_each_peers_own),
    CASE(what_is_held_for_a_peer_that_leaves_is_counted_as_abandoned),
    CASE(what_is_released_and_then_loses_its_peer_is_gone),
    CASE(destroy_frees_what_is_held_and_ends_held_calls),
    CASE(a_held_call_is_answered_when_it_is_released),
    CASE(a_held_call_ends_with_the_verdict_of_its_release),
    CASE(a_held_call_times_out_and_its_release_does_nothing),
    CASE(a_call_released_late_has_what_is_left_of_its_time),
    CASE(a_held_call_is_cancelled),
    CASE(a_held_call_that_is_over_takes_no_place),
    CASE(a_peer_that_leaves_ends_the_calls_that_are_held_for_it),
    CASE(a_call_whose_handler_goes_while_it_is_in_the_chain_is_told_so),
    CASE(repeats_of_a_held_call_run_its_handler_once),
    CASE(repeats_of_a_rejected_call_are_answered_from_memory),
    CASE(a_repeat_of_a_dropped_call_is_a_new_chance_and_runs_its_handler_once),
    CASE(a_call_that_is_released_after_its_caller_gave_up_runs_once),
    CASE(whatever_is_lost_held_or_dropped_handlers_run_at_most_once),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
