/* test_send.c - messages are made and given to peers, values sent as deltas, calls repeated */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/calls_of_r.h"
#include "support/server_and_three_clients.h"

/* --- messages are made and given to peers --- */

/* What is refused leaves no message, and no place in a queue. */
TEST(a_message_that_is_refused_leaves_nothing_behind) {
    party p;
    static const char bytes[70000] = { 0 };
    wisp_value large = wisp_bytes(bytes, 70000);
    wisp_peer stale = { 0x12345678 };
    uint64_t memory = 0;
    party_open(&p);
    wisp_set_unreliable(p.server, "u", true);
    for (int i = 0; i < 1000; i++) {
        if (i == 1) memory = world_total(p.server).memory;
        CHECK_EQ_INT(wisp_fire_values(p.server, "u", wisp_to_all(), &large, 1), WISP_E_TOO_BIG);
        CHECK_EQ_INT(wisp_fire(p.server, "u", stale, wisp_int(1)), WISP_E_STALE);
        CHECK_EQ_INT(wisp_fire_list(p.server, "u", &stale, 1, wisp_int(1)), WISP_E_STALE);
    }
    CHECK_EQ_INT(world_total(p.server).memory, memory);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(world_peer_stats(p.server, p.to_client[i]).queued_messages, 0);
    world_close(&p.w);
}

/* One encoding, however many get it: the messages in the queues are one. */
TEST(what_goes_to_many_is_encoded_once) {
    party p;
    static const char bytes[900] = { 1 };
    wisp_value value = wisp_bytes(bytes, 900);
    uint64_t memory;
    party_open(&p);
    wisp_fire_values(p.server, "r", wisp_to_all(), &value, 1);
    world_run(&p.w, 0.3);
    memory = world_total(p.server).memory;
    for (int i = 0; i < 100; i++) wisp_fire_values(p.server, "r", wisp_to_all(), &value, 1);
    CHECK(world_total(p.server).memory - memory < 2 * 100 * 900);
    world_run(&p.w, 1);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(party_heard(&p, i), 101);
    world_close(&p.w);
}

TEST(never_is_sent_at_once_and_a_full_batch_too) {
    world_two t;
    world_two_watched(&t, "r");
    wisp_set_max_batch_size(t.client, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, i);
        world_fire(t.client, "r", t.to_server, i);
    }
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    wisp_set_max_batch_size(t.client, 100);
    world_fire(t.client, "s", t.to_server, 0);
    wisp_set_batch_mode(t.client, "r", WISP_BATCH_NEVER);
    world_fire(t.client, "r", t.to_server, 3);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 4);
    CHECK(world_counts_up(&t.w, t.server, "r", 0));
    world_close(&t.w);
}

/* --- values sent as deltas --- */

/* Peers that joined at different times are told from different bases, each right. */
TEST(a_value_told_to_all_is_right_for_who_came_late) {
    party p;
    wisp_peer first;
    party_open(&p);
    CHECK_EQ_INT(wisp_use_delta(p.server, NULL, "r"), WISP_OK);
    first = p.to_client[0];
    for (int i = 0; i < 30; i++) {
        wisp_pair pairs[2];
        wisp_value map;
        pairs[0].key = "hp";
        pairs[0].value = wisp_int(i);
        pairs[1].key = "name";
        pairs[1].value = wisp_string("Ada");
        map = wisp_map(pairs, 2);
        if (i < 10) CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_peer(first), &map, 1), 0);
        else if (i < 20) CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_except(&first, 1),
                                                       &map, 1), 0);
        else CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_all(), &map, 1), 0);
        world_run(&p.w, 0.05);
    }
    CHECK_EQ_INT(party_heard(&p, 0), 20);
    CHECK_EQ_INT(party_heard(&p, 1), 20);
    CHECK_EQ_INT(party_heard(&p, 2), 20);
    world_close(&p.w);
}

TEST(an_equal_value_is_not_sent_to_who_has_it) {
    party p;
    party_open(&p);
    wisp_use_delta(p.server, NULL, "r");
    CHECK_EQ_INT(wisp_fire(p.server, "r", p.to_client[0], wisp_int(5)), WISP_OK);
    CHECK_EQ_INT(wisp_fire_all(p.server, "r", wisp_int(5)), WISP_OK);
    world_run(&p.w, 0.2);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(party_heard(&p, i), 1);
    CHECK_EQ_INT(world_remote_stats(p.server, "r").unchanged, 1);
    world_close(&p.w);
}

/* --- calls --- */

static int send_runs;                   /* of the handler that answers */

static void on_send_add_one(wisp_event *event) {
    send_runs++;
    wisp_reply(event, wisp_int(wisp_arg_int(event, 0) + 1));
}

static void on_send_defer(wisp_event *event) { wisp_defer(event); }

static unsigned char send_seen[1000];

static void on_send_seen(wisp_event *event) {
    int64_t i = wisp_arg_int(event, 0);
    if (i >= 0 && i < 1000) send_seen[i]++;
    send_runs++;
    wisp_reply(event, wisp_int(i));
}

TEST(tries_over_a_lossy_remote_run_the_handler_at_most_once) {
    world_two t;
    int at_most_once = 0, answered;
    send_runs = 0;
    memset(send_seen, 0, sizeof send_seen);
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.03;
    t.w.net.jitter = 0.1;
    t.w.net.seed = 11;
    world_two_join(&t);
    wisp_on_invoke(t.server, "r", on_send_seen, NULL);
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_unreliable(t.server, "r", true);
    t.w.sims[0].loss = t.w.sims[1].loss = 0.3;
    t.w.sims[0].duplicate = t.w.sims[1].duplicate = 0.2;
    for (int i = 0; i < 1000; i++) {
        CHECK(call_from(&t.w, t.client, t.to_server, i, 5, 10).id != 0);
        world_run(&t.w, 0.05);
    }
    world_run(&t.w, 6);
    for (int i = 0; i < 1000; i++) at_most_once += send_seen[i] <= 1;
    answered = world_results(&t.w, t.client, "r", WISP_OK);
    CHECK_EQ_INT(at_most_once, 1000);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1000);
    CHECK(answered > 980);
    CHECK_EQ_INT(answered + world_results(&t.w, t.client, "r", WISP_E_TIMEOUT), 1000);
    CHECK(world_remote_stats(t.server, "r").invokes_repeated > 100);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(tries_are_counted_and_spread_over_the_timeout) {
    for (int tries = 1; tries <= 7; tries++) {
        world_two t;
        send_runs = 0;
        world_open(&t.w);
        t.w.bad = true;
        world_two_join(&t);
        wisp_set_unreliable(t.client, "r", true);
        wisp_set_unreliable(t.server, "r", true);
        wisp_on_invoke(t.server, "r", on_send_add_one, NULL);
        world_run(&t.w, 0.3);
        t.w.sims[0].loss = 1;                       /* every answer is lost */
        call_from(&t.w, t.client, t.to_server, 1, 3, tries);
        world_run(&t.w, 2.9);
        CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);
        world_run(&t.w, 0.3);
        check_ended(&t, WISP_E_TIMEOUT);
        CHECK_EQ_INT(world_remote_stats(t.server, "r").invokes_received, tries);
        CHECK_EQ_INT(world_remote_stats(t.server, "r").invokes_repeated, tries - 1);
        CHECK_EQ_INT(send_runs, 1);
        world_close(&t.w);
    }
}

TEST(tries_of_a_reliable_remote_send_one_message) {
    world_two t;
    world_two_open(&t);
    wisp_on_invoke(t.server, "r", on_send_defer, NULL);
    call_from(&t.w, t.client, t.to_server, 1, 2, 10);
    world_run(&t.w, 3);
    check_ended(&t, WISP_E_TIMEOUT);
    CHECK_EQ_INT(world_remote_stats(t.client, "r").messages_sent, 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").invokes_received, 1);
    world_close(&t.w);
}

/* Two calls at once whose answers are all lost: when the server got each try, in seconds since. */
static void tries_at(uint64_t seed, double timeout, double at[2][8]) {
    world_two t;
    int heard[2] = { 0, 0 };
    double begin;
    world_open(&t.w);
    t.w.bad = true;
    t.w.desc.seed = seed;
    world_two_join(&t);
    t.w.step = 0.001;
    for (int i = 0; i < 2; i++) wisp_on_invoke(t.server, i ? "b" : "a", on_send_add_one, NULL);
    wisp_set_unreliable(t.client, NULL, true);
    world_run(&t.w, 0.3);
    t.w.sims[0].loss = 1;
    begin = t.w.now;
    for (int i = 0; i < 2; i++) {
        wisp_call_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.timeout = timeout;
        desc.tries = 8;
        CHECK(wisp_invoke_values(t.client, i ? "b" : "a", wisp_to_peer(t.to_server), &desc, NULL,
                                 0).id != 0);
    }
    while (t.w.now < begin + timeout + 0.1) {
        world_step(&t.w);
        for (int i = 0; i < 2; i++) {
            int now = (int)world_remote_stats(t.server, i ? "b" : "a").invokes_received;
            CHECK(now <= heard[i] + 1 && now <= 8);
            if (now > heard[i]) at[i][heard[i]++] = t.w.now - begin;
        }
    }
    CHECK(heard[0] == 8 && heard[1] == 8);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

/* The n-th pause is 2^n units, of which 255 make up the timeout, times 0.6 to 1. */
TEST(pauses_between_tries_double_and_are_shortened_by_chance) {
    double sum = 0;
    int count = 0, apart = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        double at[2][8];
        memset(at, 0, sizeof at);
        tries_at(seed, 5.1, at);
        for (int i = 0; i < 2; i++)
            for (int n = 0; n < 7; n++) {
                double unit = 5.1 / 255 * (double)(1 << n), pause = at[i][n + 1] - at[i][n];
                CHECK(pause > 0.6 * unit - 0.003 && pause < unit + 0.003);
                if (n > 2) sum += pause / unit;
                count += n > 2;
                if (n > 2 && !i) apart += at[0][n + 1] < at[1][n + 1] - 0.003 ||
                                          at[0][n + 1] > at[1][n + 1] + 0.003;
            }
    }
    CHECK_NEAR(sum / count, 0.8, 0.06);
    CHECK(apart > 14);
}

TEST(the_chance_of_pauses_is_the_seeds) {
    double a[2][8], b[2][8], c[2][8];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    memset(c, 0, sizeof c);
    tries_at(9, 2, a);
    tries_at(9, 2, b);
    tries_at(10, 2, c);
    CHECK(memcmp(a, b, sizeof a) == 0);
    CHECK(memcmp(a, c, sizeof a) != 0);
}

/* The client's only call, as it waits. */
static const wisp__pending *waiting(const world_two *t) {
    return wisp__session_of(t->client, t->to_server)->calls_first;
}

TEST(pauses_double_no_matter_how_many_tries_are_asked_for) {
    world_two t;
    world_two_open(&t);
    wisp_on_invoke(t.server, "r", on_send_defer, NULL);
    wisp_set_unreliable(t.client, "r", true);
    CHECK(call_from(&t.w, t.client, t.to_server, 1, 1, INT32_MAX).id != 0);
    if (CHECK(waiting(&t) != NULL)) CHECK_EQ_INT(waiting(&t)->tries, 29);
    world_run(&t.w, 1.2);
    check_ended(&t, WISP_E_TIMEOUT);
    CHECK(world_remote_stats(t.server, "r").invokes_received <= 31);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_message_that_is_refused_leaves_nothing_behind),
    CASE(what_goes_to_many_is_encoded_once),
    CASE(never_is_sent_at_once_and_a_full_batch_too),
    CASE(a_value_told_to_all_is_right_for_who_came_late),
    CASE(an_equal_value_is_not_sent_to_who_has_it),
    CASE(tries_over_a_lossy_remote_run_the_handler_at_most_once),
    CASE(tries_are_counted_and_spread_over_the_timeout),
    CASE(tries_of_a_reliable_remote_send_one_message),
    CASE(pauses_between_tries_double_and_are_shortened_by_chance),
    CASE(the_chance_of_pauses_is_the_seeds),
    CASE(pauses_double_no_matter_how_many_tries_are_asked_for),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
