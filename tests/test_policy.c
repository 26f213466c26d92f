/* The rate limit of one peer and one remote, on every path that a message can take; and budgets, of
   a peer and of all. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <math.h>
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

static void strict(wisp *w, double seconds, const char *remote) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.rate_limit = seconds;
    config.rate_burst = 1;
    CHECK_EQ_INT(wisp_use_config(w, &config, remote), WISP_OK);
}

/* A server that listens to "r" and to errors, and a client; both know the name. */
static void open_listening(world_two *t) {
    world_two_open(t);
    world_watch(&t->w, t->server, "r");
    world_watch(&t->w, t->server, WISP_ERROR);
    wisp_remote_named(t->client, "r");
    world_run(&t->w, 0.5);
    world_forget(&t->w);
}

/* `fired` messages came at once where `burst` may: the rest is dropped, counted, reported. */
static void check_limited(world_two *t, int fired, int burst) {
    CHECK_EQ_INT(world_count(&t->w, t->server, "r"), burst);
    CHECK(world_counts_up(&t->w, t->server, "r", 0));
    CHECK_EQ_INT(world_results(&t->w, t->server, WISP_ERROR, WISP_E_RATE),
                 wisp__min_int(fired - burst, WISP__THROTTLE_BURST));
    CHECK_EQ_INT(world_total(t->server).errors, fired - burst);
    CHECK_EQ_INT(world_last(&t->w, t->server, WISP_ERROR)->peer.id, t->to_client.id);
    CHECK_EQ_INT(world_last(&t->w, t->server, WISP_ERROR)->remote.id,
                 wisp_remote_named(t->server, "r").id);
    CHECK_EQ_INT(world_remote_stats(t->server, "r").rate_limited, fired - burst);
    CHECK_EQ_INT(world_peer_stats(t->server, t->to_client).rate_limited, fired - burst);
    CHECK_EQ_INT(wisp_peers(t->server, NULL, 0), 1);
}

static void fire_many(world_two *t, int count) {
    for (int i = 0; i < count; i++)
        CHECK_EQ_INT(world_fire(t->client, "r", t->to_server, i), WISP_OK);
    world_run(&t->w, 0.2);
}

/* Fires at once, ten times a second, for so many seconds. */
static void over_and_over(world_two *t, double seconds) {
    for (double end = t->w.now + seconds; t->w.now < end;) {
        for (int i = 0; i < 50; i++) world_fire(t->client, "r", t->to_server, i);
        world_run(&t->w, 0.1);
    }
}

/* Messages that the sender was told of. */
static int told_of(const world_two *t) {
    int sum = 0, some;
    const world_note *note;
    for (int i = 0; i < world_count(&t->w, t->client, WISP_ERROR); i++) {
        note = world_nth(&t->w, t->client, WISP_ERROR, i);
        CHECK_EQ_INT(note->result, WISP_E_RATE);
        CHECK_EQ_INT(note->remote.id, wisp_remote_named(t->client, "r").id);
        CHECK_EQ_INT(note->peer.id, t->to_server.id);
        some = sscanf(note->text, "r: the other end has dropped %d", &some) == 1 ? some : -1000;
        CHECK(strstr(note->text, some == 1 ? "1 message over" : " messages over its rate") != NULL);
        sum += some;
    }
    return sum;
}

TEST(the_sender_is_told_once_a_second_how_many_were_lost) {
    for (int reliable = 0; reliable < 3; reliable++) {
        world_two t;
        int lost;
        world_open(&t.w);
        t.w.pipe.reliable = reliable == 2;
        world_two_join(&t);
        world_watch(&t.w, t.server, "r");
        world_watch(&t.w, t.client, WISP_ERROR);
        strict(t.server, 0.2, "r");
        if (!reliable) wisp_set_unreliable(t.client, "r", true);
        over_and_over(&t, 2.95);
        CHECK(world_count(&t.w, t.client, WISP_ERROR) >= 3);
        CHECK(world_count(&t.w, t.client, WISP_ERROR) <= 4);
        world_run(&t.w, 1.2);                            /* the rest is told, and nothing twice */
        lost = (int)world_remote_stats(t.server, "r").rate_limited;
        CHECK(lost > 1000);
        CHECK_EQ_INT(told_of(&t), lost);
        CHECK(world_count(&t.w, t.client, WISP_ERROR) <= 5);
        world_run(&t.w, 3);
        CHECK_EQ_INT(told_of(&t), lost);
        world_close(&t.w);
    }
}

/* Packets get lost both ways: nothing is told twice, and what is told late is told. */
TEST(the_sender_is_told_though_packets_are_lost) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.03;
    t.w.net.loss = 0.2;
    world_two_join(&t);
    world_watch(&t.w, t.server, "r");
    world_watch(&t.w, t.client, WISP_ERROR);
    strict(t.server, 0.5, "r");
    over_and_over(&t, 4);
    world_run(&t.w, 6);
    CHECK(world_remote_stats(t.server, "r").rate_limited > 1000);
    CHECK(told_of(&t) >= (int)world_remote_stats(t.server, "r").rate_limited);
    CHECK(world_count(&t.w, t.client, WISP_ERROR) <= 10);
    world_close(&t.w);
}

/* Of many names over their limits at most 8 are told in a second. */
TEST(many_names_over_their_limits_cost_little) {
    world_two t;
    char name[16];
    world_two_open(&t);
    strict(t.server, 100, NULL);
    world_watch(&t.w, t.client, WISP_ERROR);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "name%d", i);
        world_watch(&t.w, t.server, name);
        wisp_remote_named(t.client, name);
    }
    for (int step = 0; step < 20; step++) {
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "name%d", i);
            world_fire(t.client, name, t.to_server, i);
        }
        world_run(&t.w, 0.1);
    }
    CHECK(world_count(&t.w, t.client, WISP_ERROR) >= 16);
    CHECK(world_count(&t.w, t.client, WISP_ERROR) <= 24);
    world_close(&t.w);
}

TEST(off_by_default) {
    world_two t;
    open_listening(&t);
    fire_many(&t, 1000);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1000);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 0);
    world_close(&t.w);
}

TEST(holds_for_batched_messages) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_identical_messages_which_are_counted) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    for (int i = 0; i < 100; i++) world_fire(t.client, "r", t.to_server, 0);
    world_run(&t.w, 0.2);
    check_limited(&t, 100, 1);
    world_close(&t.w);
}

TEST(holds_for_immediate_messages) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_set_batch_mode(t.client, "r", WISP_BATCH_NEVER);
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_when_batching_is_off) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_use_batching(t.client, false);
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_unreliable_messages) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_set_unreliable(t.client, "r", true);
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_sequenced_messages) {
    world_two t;
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = WISP_SEQUENCED;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_use_config(t.client, &config, "r");
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_messages_in_fragments) {
    world_two t;
    wisp_value values[2];
    char *large = (char *)calloc(1, 20000);
    open_listening(&t);
    strict(t.server, 10, "r");
    for (int i = 0; i < 5; i++) {
        values[0] = wisp_int(i);
        values[1] = wisp_bytes(large, 20000);
        CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), values, 2),
                     WISP_OK);
    }
    world_run(&t.w, 2);
    check_limited(&t, 5, 1);
    free(large);
    world_close(&t.w);
}

TEST(holds_for_what_came_out_of_order) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.02;
    t.w.net.jitter = 0.05;
    t.w.net.loss = 0.2;
    t.w.net.seed = 3;
    world_two_join(&t);
    world_watch(&t.w, t.server, "r");
    strict(t.server, 100, "r");
    wisp_set_batch_mode(t.client, "r", WISP_BATCH_NEVER);
    for (int i = 0; i < 40; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 39);
    world_close(&t.w);
}

TEST(holds_in_both_directions) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.client, "r");
    strict(t.client, 1, "r");
    for (int i = 0; i < 5; i++) world_fire(t.server, "r", t.to_client, i);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).rate_limited, 4);
    world_close(&t.w);
}

TEST(does_not_hold_back_the_sender_itself) {
    world_two t;
    open_listening(&t);
    strict(t.client, 10, "r");
    fire_many(&t, 10);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 10);
    world_close(&t.w);
}

/* --- invokes --- */

static int answered;

static void on_call(wisp_event *event) {
    wisp_value value = wisp_int(++answered);
    wisp_reply_values(event, &value, 1);
}

static void on_policy_reply(wisp_event *event) { world_on(event); }

static wisp_call invoke(world_two *t, int tries) {
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_policy_reply;
    desc.user = &t->w;
    desc.timeout = 5;
    desc.tries = tries;
    return wisp_invoke_values(t->client, "r", wisp_to_peer(t->to_server), &desc, NULL, 0);
}

TEST(an_invoke_over_the_limit_is_answered_with_its_code) {
    world_two t;
    world_two_open(&t);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    strict(t.server, 1, "r");
    for (int i = 0; i < 4; i++) invoke(&t, 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(answered, 1);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 1);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_RATE), 3);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, wisp_result_text(WISP_E_RATE));
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 3);
    CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).rate_limited, 3);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(a_repeated_invoke_takes_no_second_token) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    world_two_join(&t);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    strict(t.server, 100, "r");
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_unreliable(t.server, "r", true);
    world_run(&t.w, 0.5);
    t.w.sims[0].loss = 1;              /* the first answers are lost */
    invoke(&t, 10);
    world_run(&t.w, 1.2);
    t.w.sims[0].loss = 0;
    world_run(&t.w, 5);
    CHECK(world_remote_stats(t.server, "r").invokes_repeated > 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 0);
    CHECK_EQ_INT(answered, 1);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 1);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

TEST(events_and_invokes_of_one_name_share_its_limit) {
    world_two t;
    open_listening(&t);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    strict(t.server, 10, "r");
    world_fire(t.client, "r", t.to_server, 0);
    world_run(&t.w, 0.2);
    invoke(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(answered, 0);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_RATE), 1);
    world_close(&t.w);
}

/* --- how much, and for whom --- */

TEST(the_default_burst_is_a_quarter_of_a_second) {
    world_two t;
    open_listening(&t);
    wisp_set_rate_limit(t.server, 0.05, "r");
    fire_many(&t, 20);
    check_limited(&t, 20, 5);
    world_close(&t.w);
}

TEST(a_limit_above_a_quarter_of_a_second_bursts_one) {
    world_two t;
    open_listening(&t);
    wisp_set_rate_limit(t.server, 0.6, "r");
    fire_many(&t, 5);
    check_limited(&t, 5, 1);
    world_close(&t.w);
}

TEST(a_burst_of_ones_own_wins) {
    world_two t;
    wisp_config config;
    open_listening(&t);
    memset(&config, 0, sizeof config);
    config.rate_limit = 5;
    config.rate_burst = 7;
    wisp_use_config(t.server, &config, "r");
    fire_many(&t, 20);
    check_limited(&t, 20, 7);
    world_close(&t.w);
}

TEST(a_sender_that_keeps_to_the_limit_loses_nothing_to_jitter) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.03;
    t.w.net.jitter = 0.1;
    t.w.net.seed = 5;
    world_two_join(&t);
    world_watch(&t.w, t.server, "r");
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_rate_limit(t.server, 0.05, "r");
    for (int i = 0; i < 200; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_run(&t.w, 0.05);
    }
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 200);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 0);
    world_close(&t.w);
}

TEST(tokens_come_back_with_time_and_no_faster) {
    world_two t;
    open_listening(&t);
    strict(t.server, 0.1, "r");
    for (int i = 0; i < 500; i++) {            /* one each 0.01 s for five seconds */
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 0.1);
    CHECK_NEAR(world_count(&t.w, t.server, "r"), 50, 2);
    world_close(&t.w);
}

TEST(long_silence_saves_up_no_more_than_the_burst) {
    world_two t;
    open_listening(&t);
    wisp_set_rate_limit(t.server, 0.1, "r");
    world_fire(t.client, "r", t.to_server, 0);
    world_run(&t.w, 60);
    world_forget(&t.w);
    fire_many(&t, 50);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 3);
    world_close(&t.w);
}

TEST(each_peer_has_its_own) {
    world w;
    wisp *server, *greedy, *modest;
    wisp_peer from_greedy, from_modest;
    world_open(&w);
    server = world_add(&w);
    greedy = world_add(&w);
    modest = world_add(&w);
    from_greedy = world_join(&w, greedy, server);
    from_modest = world_join(&w, modest, server);
    world_watch(&w, server, "r");
    strict(server, 1, "r");
    for (int i = 0; i < 50; i++) world_fire(greedy, "r", from_greedy, 1);
    world_fire(modest, "r", from_modest, 2);
    world_run(&w, 0.3);
    CHECK_EQ_INT(world_count(&w, server, "r"), 2);
    CHECK_EQ_INT(world_peer_stats(server, world_peer(server, 0)).rate_limited, 49);
    CHECK_EQ_INT(world_peer_stats(server, world_peer(server, 1)).rate_limited, 0);
    world_close(&w);
}

TEST(each_remote_has_its_own_even_of_the_common_limit) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, "a");
    world_watch(&t.w, t.server, "b");
    strict(t.server, 1, NULL);
    world_watch(&t.w, t.server, "registered later");
    for (int i = 0; i < 5; i++) {
        world_fire(t.client, "a", t.to_server, i);
        world_fire(t.client, "b", t.to_server, i);
        world_fire(t.client, "registered later", t.to_server, i);
    }
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "a"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "b"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "registered later"), 1);
    world_close(&t.w);
}

TEST(one_remote_is_exempt_from_the_common_limit_by_its_own) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, NULL);
    CHECK_EQ_INT(wisp_set_rate_limit(t.server, 0, "r"), WISP_OK);
    fire_many(&t, 20);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 20);
    world_close(&t.w);
}

TEST(a_limit_can_be_set_and_lifted_at_any_time) {
    world_two t;
    open_listening(&t);
    fire_many(&t, 5);
    strict(t.server, 1, "r");
    fire_many(&t, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 6);
    wisp_set_rate_limit(t.server, -3, "r");
    fire_many(&t, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 11);
    world_close(&t.w);
}

TEST(a_new_session_begins_with_a_full_burst) {
    world_two t;
    open_listening(&t);
    strict(t.server, 100, "r");
    fire_many(&t, 3);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 0.5);
    t.to_server = world_join(&t.w, t.client, t.server);
    fire_many(&t, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 2);
    world_close(&t.w);
}

TEST(what_is_dropped_does_not_disturb_the_order_behind_it) {
    world_two t;
    open_listening(&t);
    world_watch(&t.w, t.server, "free");
    strict(t.server, 100, "r");
    for (int i = 0; i < 100; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_fire(t.client, "free", t.to_server, i);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "free"), 100);
    CHECK(world_counts_up(&t.w, t.server, "free", 0));
    world_close(&t.w);
}

/* --- the bucket by itself --- */

TEST(the_bucket_takes_one_token_each_and_fills_to_its_burst) {
    wisp_config config;
    wisp__bucket bucket;
    memset(&config, 0, sizeof config);
    memset(&bucket, 0, sizeof bucket);
    config.rate_limit = 0.5;
    config.rate_burst = 2;
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 0));
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 0));
    CHECK(!wisp__policy_admit(&config, &bucket, NULL, 0));
    CHECK(!wisp__policy_admit(&config, &bucket, NULL, 0.4));
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 0.5));
    CHECK(!wisp__policy_admit(&config, &bucket, NULL, 0.9));
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 1.0));
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 1000));
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 1000));
    CHECK(!wisp__policy_admit(&config, &bucket, NULL, 1000));
}

TEST(a_refusal_costs_no_token) {
    wisp_config config;
    wisp__bucket bucket;
    int admitted = 0;
    memset(&config, 0, sizeof config);
    memset(&bucket, 0, sizeof bucket);
    config.rate_limit = 1;
    config.rate_burst = 1;
    for (int i = 0; i <= 10000; i++)
        admitted += wisp__policy_admit(&config, &bucket, NULL, i * 0.001);
    CHECK_EQ_INT(admitted, 11);
}

TEST(a_burst_that_shrinks_is_in_force_at_once) {
    wisp_config config;
    wisp__bucket bucket;
    memset(&config, 0, sizeof config);
    memset(&bucket, 0, sizeof bucket);
    config.rate_limit = 1;
    config.rate_burst = 100;
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 1));
    config.rate_burst = 1;
    CHECK(wisp__policy_admit(&config, &bucket, NULL, 1));
    CHECK(!wisp__policy_admit(&config, &bucket, NULL, 1));
}

/* --- budgets: what is fired, and what is measured --- */

enum { PLAIN, LOSSY, RELIABLE, LINKS };

enum { POLICY_PACKET = 1200,
       ACKS = 100 };     /* bytes: a packet, and acks that no budget holds back */

/* A server that listens to "r", to errors and to budgets, and a client, over a kind of link. */
static void open_over(world_two *t, int link) {
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->w.pipe.reliable = link == RELIABLE;
    t->w.bad = link == LOSSY;
    t->w.net.latency = 0.02;
    t->w.net.jitter = 0.02;
    t->w.net.loss = 0.1;
    t->w.net.duplicate = 0.05;
    t->w.net.seed = 7;
    world_two_join(t);
    world_watch(&t->w, t->server, "r");
    world_watch(&t->w, t->server, WISP_ERROR);
    world_watch(&t->w, t->server, WISP_BUDGET);
    world_watch(&t->w, t->client, WISP_BUDGET);
    world_watch(&t->w, t->server, WISP_LEFT);
    world_watch(&t->w, t->client, WISP_LEFT);
    wisp_remote_named(t->client, "r");
    world_run(&t->w, 0.5);
    world_forget(&t->w);
}

/* Nothing is limited, not even errors. */
static wisp_budget no_budget(void) {
    wisp_budget budget;
    memset(&budget, 0, sizeof budget);
    budget.errors = budget.joins = -1;
    return budget;
}

static void use_out(wisp *w, double bytes) {
    wisp_budget budget = no_budget();
    budget.out = bytes;
    CHECK_EQ_INT(wisp_use_budget(w, &budget), WISP_OK);
}

/* An error or two end the session: what is over these bytes is none. */
static void use_in(wisp *w, double bytes) {
    wisp_budget budget = no_budget();
    budget.in = bytes;
    budget.errors = 0.001;
    budget.error_burst = 1;
    CHECK_EQ_INT(wisp_use_budget(w, &budget), WISP_OK);
}

static void use_messages(wisp *w, double messages, double errors, int error_burst) {
    wisp_budget budget = no_budget();
    budget.messages = messages;
    budget.errors = errors;
    budget.error_burst = error_burst;
    CHECK_EQ_INT(wisp_use_budget(w, &budget), WISP_OK);
}

/* A number, and bytes that no two messages share. */
static wisp_result fire_bytes(wisp *from, const char *name, wisp_to to, int number, int size) {
    static uint64_t seed = 1;
    char bytes[POLICY_PACKET];
    wisp_value values[2];
    for (int i = 0; i < size; i++) bytes[i] = (char)test_random(&seed);
    values[0] = wisp_int(number);
    values[1] = wisp_bytes(bytes, size);
    return wisp_fire_values(from, name, to, values, 2);
}

/* Bytes against a bucket of the test's own: how far it is overdrawn at the worst. */
typedef struct meter { double rate, burst, level, lowest; uint64_t bytes; } meter;

static meter meter_of(double rate, double burst, uint64_t bytes) {
    meter m;
    m.rate = rate;
    m.burst = m.level = rate * burst;
    m.lowest = 0;
    m.bytes = bytes;
    return m;
}

static void meter_read(meter *m, uint64_t bytes, double seconds) {
    m->level += m->rate * seconds;
    if (m->level > m->burst) m->level = m->burst;
    m->level -= (double)(bytes - m->bytes);
    m->bytes = bytes;
    if (m->level < m->lowest) m->lowest = m->level;
}

static uint64_t client_sent(const world_two *t) {
    return world_peer_stats(t->client, t->to_server).bytes_sent;
}

/* --- bytes out --- */

TEST(what_leaves_for_a_peer_keeps_to_its_budget_and_what_is_reliable_arrives_in_order) {
    for (int link = PLAIN; link < LINKS; link++) {
        world_two t;
        meter m;
        double began, done = 0;
        open_over(&t, link);
        use_out(t.client, 20000);
        m = meter_of(20000, 0.5, client_sent(&t));
        began = t.w.now;
        for (int i = 0; i < 3000; i++) {
            if (i < 500)
                CHECK_EQ_INT(fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 600), WISP_OK);
            world_step(&t.w);
            meter_read(&m, client_sent(&t), t.w.step);
            if (!(done > 0) && world_count(&t.w, t.server, "r") == 500) done = t.w.now - began;
        }
        CHECK(m.lowest > -POLICY_PACKET - ACKS);
        CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 500);
        CHECK(world_counts_up(&t.w, t.server, "r", 0));
        CHECK(done > 500 * 600 / 20000.0 - 0.6);
        CHECK(done < (link == LOSSY ? 1.4 : 1.1) * 500 * 600 / 20000.0);
        CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).over_budget, 0);
        CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

/* Fires `each` of 100 bytes in each step; returns how many were refused. */
static int fire_unreliable(world_two *t, const char *name, int each, int number) {
    int refused = 0;
    for (int i = 0; i < each; i++) {
        wisp_result result = fire_bytes(t->client, name, wisp_to_peer(t->to_server),
                                        number * each + i, 100);
        CHECK(result == WISP_OK || result == WISP_E_BUDGET);
        refused += result == WISP_E_BUDGET;
    }
    return refused;
}

/* Unreliable, and every message waits for the budget, however old it grows. */
static void wait_for_ever(wisp *w, const char *remote) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = WISP_UNRELIABLE;
    config.max_age = -1;
    config.replace = WISP_OFF;
    CHECK_EQ_INT(wisp_use_config(w, &config, remote), WISP_OK);
}

TEST(what_is_unreliable_and_over_the_budget_is_refused_and_counted) {
    for (int link = PLAIN; link < LINKS; link++) {
        world_two t;
        meter m;
        int refused = 0;
        wisp_peer_stats stats;
        open_over(&t, link);
        wait_for_ever(t.client, "r");
        use_out(t.client, 20000);
        m = meter_of(20000, 0.5, client_sent(&t));
        for (int i = 0; i < 500; i++) {
            refused += fire_unreliable(&t, "r", 10, i);
            world_step(&t.w);
            meter_read(&m, client_sent(&t), t.w.step);
        }
        for (int i = 0; i < 200; i++) {
            world_step(&t.w);
            meter_read(&m, client_sent(&t), t.w.step);
        }
        stats = world_peer_stats(t.client, t.to_server);
        CHECK(m.lowest > -POLICY_PACKET - ACKS);
        CHECK(refused > 0);
        CHECK_EQ_INT(stats.over_budget, refused);
        CHECK_EQ_INT(world_remote_stats(t.client, "r").over_budget, refused);
        CHECK_EQ_INT(stats.queued_messages, 0);
        if (link != LOSSY) CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 5000 - refused);
        CHECK(world_count(&t.w, t.server, "r") > (link == LOSSY ? 0.7 : 0.85) * 6 * 20000 / 107);
        world_close(&t.w);
    }
}

TEST(the_least_urgent_goes_and_what_has_waited_gains) {
    static const char *const names[] = { "high", "middle", "low" };
    world_two t;
    int64_t over[3], came[3];
    open_over(&t, PLAIN);
    for (int i = 0; i < 3; i++) {
        world_watch(&t.w, t.server, names[i]);
        wait_for_ever(t.client, names[i]);
        wisp_set_batch_priority(t.client, names[i], 100 + 10 * i);
    }
    use_out(t.client, 20000);
    for (int i = 0; i < 1000; i++) {
        for (int k = 2; k >= 0; k--) fire_unreliable(&t, names[k], 1, i);
        world_step(&t.w);
    }
    world_run(&t.w, 2);
    for (int i = 0; i < 3; i++) {
        over[i] = (int64_t)world_remote_stats(t.client, names[i]).over_budget;
        came[i] = world_count(&t.w, t.server, names[i]);
        CHECK_EQ_INT(over[i] + came[i], 1000);
    }
    CHECK(over[0] < over[1] && over[1] < over[2]);
    CHECK(came[2] > 10);                        /* even the least urgent does not starve */
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).over_budget, over[0] + over[1] + over[2]);
    world_close(&t.w);
}

TEST(what_is_urgent_takes_the_place_of_what_waits_and_is_not) {
    world_two t;
    int refused = 0;
    open_over(&t, PLAIN);
    world_watch(&t.w, t.server, "urgent");
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_unreliable(t.client, "urgent", true);
    wisp_set_batch_priority(t.client, "urgent", 0);
    use_out(t.client, 20000);
    for (int i = 0; i < 20; i++) {
        refused += fire_unreliable(&t, "r", 20, i);
        world_step(&t.w);
    }
    refused += fire_unreliable(&t, "r", 20, 20);
    CHECK(refused > 0);
    for (int i = 0; i < 50; i++)
        CHECK_EQ_INT(fire_bytes(t.client, "urgent", wisp_to_peer(t.to_server), i, 100), WISP_OK);
    CHECK(world_remote_stats(t.client, "r").over_budget >= (uint64_t)refused + 49);
    CHECK_EQ_INT(world_remote_stats(t.client, "urgent").over_budget, 0);
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "urgent"), 50);
    world_close(&t.w);
}

TEST(what_is_reliable_is_never_dropped_for_what_is_not) {
    world_two t;
    open_over(&t, PLAIN);
    world_watch(&t.w, t.server, "loose");
    wisp_set_unreliable(t.client, "loose", true);
    wisp_set_batch_priority(t.client, "loose", 0);
    wisp_set_batch_priority(t.client, "r", 999);
    use_out(t.client, 20000);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ_INT(fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 100), WISP_OK);
        fire_unreliable(&t, "loose", 4, i);
        world_step(&t.w);
    }
    world_run(&t.w, 10);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 300);
    CHECK(world_counts_up(&t.w, t.server, "r", 0));
    CHECK_EQ_INT(world_remote_stats(t.client, "r").over_budget, 0);
    CHECK(world_remote_stats(t.client, "loose").over_budget > 0);
    world_close(&t.w);
}

/* The burst goes at once, as much again waits; what else is fired at once comes too late anyway. */
TEST(of_a_flood_in_one_moment_no_more_waits_than_a_burst) {
    world_two t;
    int refused;
    open_over(&t, PLAIN);
    wisp_set_unreliable(t.client, "r", true);
    use_out(t.client, 20000);
    refused = fire_unreliable(&t, "r", 2000, 0);
    CHECK_NEAR(2000 - refused, 20000 / 103, 20);
    world_run(&t.w, 0.8);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 2000 - refused);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    world_close(&t.w);
}

TEST(an_invoke_that_is_over_the_budget_is_not_begun) {
    world_two t;
    wisp_call call;
    int begun = 0, refused;
    open_over(&t, PLAIN);
    wait_for_ever(t.client, "r");
    use_out(t.client, 2000);
    refused = fire_unreliable(&t, "r", 100, 0);
    do {
        call = invoke(&t, 1);
        begun += call.id != 0;
    } while (call.id && begun < 100);
    CHECK(refused > 0 && begun < 100);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_BUDGET);
    CHECK_EQ_INT(world_total(t.client).calls_pending, begun);
    CHECK_EQ_INT(world_remote_stats(t.client, "r").over_budget, refused + 1);
    world_run(&t.w, 10);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_NO_HANDLER), begun);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(a_budget_that_is_lifted_refuses_nothing_more) {
    world_two t;
    open_over(&t, PLAIN);
    wisp_set_unreliable(t.client, "r", true);
    use_out(t.client, 2000);
    for (int i = 0; i < 20; i++) {
        fire_unreliable(&t, "r", 20, i);
        world_step(&t.w);
    }
    CHECK_EQ_INT(fire_unreliable(&t, "r", 1, 0), 1);
    CHECK_EQ_INT(wisp_use_budget(t.client, NULL), WISP_OK);
    CHECK_EQ_INT(fire_unreliable(&t, "r", 100, 0), 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    world_close(&t.w);
}

TEST(a_budget_that_changes_while_messages_flow_holds_from_then_on) {
    static const double rates[] = { 50000, 5000, 100000, 10000 };
    world_two t;
    int fired = 0;
    open_over(&t, PLAIN);
    for (int i = 0; i < 4; i++) {
        uint64_t before = client_sent(&t);
        meter m = meter_of(rates[i], 0.5, before);
        use_out(t.client, rates[i]);
        for (int step = 0; step < 200; step++) {
            fire_bytes(t.client, "r", wisp_to_peer(t.to_server), fired++, 1000);
            world_step(&t.w);
            meter_read(&m, client_sent(&t), t.w.step);
        }
        CHECK(m.lowest > -POLICY_PACKET - ACKS);
        CHECK((double)(client_sent(&t) - before) > 0.8 * 2 * rates[i] - POLICY_PACKET);
    }
    CHECK_EQ_INT(wisp_use_budget(t.client, NULL), WISP_OK);
    world_run(&t.w, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), fired);
    CHECK(world_counts_up(&t.w, t.server, "r", 0));
    world_close(&t.w);
}

/* A program may set its budget in each of its frames. */
TEST(a_budget_set_again_and_again_is_no_fresh_one) {
    world_two t;
    wisp_budget budget = no_budget();
    uint64_t before;
    open_over(&t, PLAIN);
    budget.total_out = 10000;
    before = client_sent(&t);
    for (int i = 0; i < 400; i++) {
        CHECK_EQ_INT(wisp_use_budget(t.client, &budget), WISP_OK);
        fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 600);
        world_step(&t.w);
    }
    CHECK((double)(client_sent(&t) - before) < 10000 * (4 + 2 * 0.5) + POLICY_PACKET);
    CHECK_EQ_INT(world_count(&t.w, t.client, WISP_BUDGET), 2);
    world_close(&t.w);
}

TEST(the_smaller_of_a_peers_budget_and_the_total_holds) {
    for (int own = 0; own < 2; own++) {
        world_two t;
        wisp_budget budget = no_budget();
        meter m;
        open_over(&t, PLAIN);
        budget.out = own ? 10000 : 40000;
        budget.total_out = own ? 40000 : 10000;
        CHECK_EQ_INT(wisp_use_budget(t.client, &budget), WISP_OK);
        m = meter_of(10000, 0.5, client_sent(&t));
        for (int i = 0; i < 300; i++) {
            fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 600);
            world_step(&t.w);
            meter_read(&m, client_sent(&t), t.w.step);
        }
        CHECK(m.lowest > -POLICY_PACKET - ACKS);
        CHECK(m.lowest <= 0);
        world_close(&t.w);
    }
}

/* What waits for a budget goes when there is some again, not when the next ack comes. */
TEST(a_long_way_slows_no_budget_down) {
    world_two t;
    wisp_budget budget = no_budget();
    uint64_t before;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.2;
    world_two_join(&t);
    world_watch(&t.w, t.server, "r");
    budget.out = 20000;
    budget.burst = 0.02;
    CHECK_EQ_INT(wisp_use_budget(t.client, &budget), WISP_OK);
    before = client_sent(&t);
    for (int i = 0; i < 200; i++) fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 600);
    world_run(&t.w, 5);
    CHECK((double)(client_sent(&t) - before) > 0.9 * 5 * 20000);
    world_close(&t.w);
}

TEST(a_debt_of_a_higher_rate_is_a_burst_of_the_lower_one_at_most) {
    static wisp__policy policy;
    wisp_budget budget = no_budget();
    budget.total_out = budget.total_in = 1000;
    policy.out.level = policy.in.level = -500000;       /* of a rate of a million */
    wisp__policy_set(&policy, &budget);
    CHECK_NEAR(policy.out.level, -500, 1e-6);
    CHECK_NEAR(policy.in.level, -500, 1e-6);
}

TEST(a_leap_of_the_clock_is_worth_no_more_than_the_burst) {
    static const double leaps[] = { 1000, -1000, 1e6, -3 };
    world_two t;
    open_over(&t, PLAIN);
    use_out(t.client, 10000);
    t.w.desc.timeout = 10;
    for (int i = 0; i < 4000; i++) fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 500);
    for (int i = 0; i < 4; i++) {
        uint64_t before;
        world_run(&t.w, 2);
        before = client_sent(&t);
        t.w.now += leaps[i];
        world_run(&t.w, 1);
        CHECK((double)(client_sent(&t) - before) < 10000 * 1.5 + 2 * POLICY_PACKET);
        CHECK((double)(client_sent(&t) - before) > 10000 * 0.9 - POLICY_PACKET);
    }
    world_close(&t.w);
}

/* --- bytes in --- */

TEST(what_comes_from_a_peer_is_looked_at_within_its_budget) {
    for (int link = PLAIN; link <= LOSSY; link++) {
        world_two t;
        double begin;
        open_over(&t, link);
        use_in(t.server, 20000);
        begin = t.w.now;
        for (int i = 0; i < 6000 && world_count(&t.w, t.server, "r") < 400; i++) {
            if (i < 400) fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 600);
            world_step(&t.w);
        }
        CHECK(t.w.now - begin > 400 * 600 / 20000 - 0.5);
        CHECK(t.w.now - begin < 400 * 600 / 20000 * 1.25);
        CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 400);
        CHECK(world_counts_up(&t.w, t.server, "r", 0));
        CHECK(world_peer_stats(t.server, t.to_client).packets_refused > 0);
        CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).flooded, 0);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_LEFT), 0);
        world_close(&t.w);
    }
}

/* A sender that no window holds back. */
static void unhindered(wisp *end, wisp_peer to) {
    wisp__session_of(end, to)->peer.flow.free_packets = 1000;
}

TEST(unreliable_messages_over_the_budget_of_what_comes_are_not_looked_at) {
    world_two t;
    meter m;
    wisp_peer_stats stats;
    open_over(&t, PLAIN);
    wisp_set_unreliable(t.client, "r", true);
    use_in(t.server, 20000);
    m = meter_of(20000, 0.5, 0);
    for (int i = 0; i < 1000; i++) {
        unhindered(t.client, t.to_server);
        fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 1000);
        world_step(&t.w);
        meter_read(&m, 1000u * (uint64_t)world_count(&t.w, t.server, "r"), t.w.step);
    }
    stats = world_peer_stats(t.server, t.to_client);
    CHECK(m.lowest > -POLICY_PACKET);
    CHECK_NEAR(world_count(&t.w, t.server, "r"), 10.5 * 20000 / 1012, 8);
    CHECK(stats.packets_refused + (uint64_t)world_count(&t.w, t.server, "r") >= 999);
    world_close(&t.w);
}

/* Nothing may be dropped there, so each packet that is over is an error. */
TEST(on_a_reliable_link_what_comes_over_the_budget_is_an_error_each) {
    for (int forgiven = 0; forgiven < 2; forgiven++) {
        world_two t;
        wisp_budget budget = no_budget();
        open_over(&t, RELIABLE);
        budget.in = 10000;
        budget.errors = forgiven ? -1 : 1;
        budget.error_burst = 20;
        CHECK_EQ_INT(wisp_use_budget(t.server, &budget), WISP_OK);
        for (int i = 0; i < 200; i++) {
            fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 1000);
            world_step(&t.w);
        }
        world_run(&t.w, 1);
        CHECK(world_counts_up(&t.w, t.server, "r", 0));
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_FLOOD), !forgiven);
        CHECK_EQ_INT(world_results(&t.w, t.client, WISP_LEFT, WISP_E_FLOOD), !forgiven);
        if (forgiven) {
            CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 200);
            CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).packets_refused, 0);
        } else {
            CHECK(world_count(&t.w, t.server, "r") >= 20);
            CHECK(world_count(&t.w, t.server, "r") < 100);
        }
        world_close(&t.w);
    }
}

/* --- warnings --- */

static void check_warning(const world_note *note, wisp_peer peer, wisp_result result,
                          const char *text) {
    if (!CHECK(note != NULL)) return;
    CHECK_EQ_INT(note->result, result);
    CHECK_EQ_INT(note->peer.id, peer.id);
    CHECK_EQ_INT(note->remote.id, 0);
    CHECK_EQ_STR(note->text, text);
}

static const wisp_peer nobody = { 0 };

/* Near, then over, each once however long it lasts; after a rest the same again. */
static void check_warned(world_two *t, wisp *end, wisp_peer peer, const char *way) {
    char near_text[64], over_text[64];
    snprintf(near_text, sizeof near_text, "the bytes %s are near the budget", way);
    snprintf(over_text, sizeof over_text, "the bytes %s are over the budget", way);
    wait_for_ever(t->client, "r");
    for (int round = 0; round < 3; round++) {
        world_forget(&t->w);
        for (int i = 0; i < 300; i++) {
            unhindered(t->client, t->to_server);
            fire_bytes(t->client, "r", wisp_to_peer(t->to_server), i, 300);
            world_step(&t->w);
        }
        CHECK_EQ_INT(world_count(&t->w, NULL, WISP_BUDGET), 2);
        CHECK_EQ_INT(world_count(&t->w, end, WISP_BUDGET), 2);
        check_warning(world_nth(&t->w, end, WISP_BUDGET, 0), peer, WISP_OK, near_text);
        check_warning(world_nth(&t->w, end, WISP_BUDGET, 1), peer, WISP_E_BUDGET, over_text);
        world_run(&t->w, 2);
        CHECK_EQ_INT(world_count(&t->w, NULL, WISP_BUDGET), 2);
    }
    CHECK_EQ_INT(world_total(end).errors, 0);
}

TEST(a_budget_that_is_near_and_over_is_told_once_until_it_has_recovered) {
    for (int kind = 0; kind < 4; kind++) {
        world_two t;
        wisp_budget budget = no_budget();
        open_over(&t, PLAIN);
        if (kind == 0) budget.out = 10000;
        if (kind == 1) budget.total_out = 10000;
        if (kind == 2) budget.in = 10000;
        if (kind == 3) budget.total_in = 10000;
        CHECK_EQ_INT(wisp_use_budget(kind < 2 ? t.client : t.server, &budget), WISP_OK);
        if (kind == 0) check_warned(&t, t.client, t.to_server, "to a peer");
        if (kind == 1) check_warned(&t, t.client, nobody, "to all");
        if (kind == 2) check_warned(&t, t.server, t.to_client, "from a peer");
        if (kind == 3) check_warned(&t, t.server, nobody, "from all");
        world_close(&t.w);
    }
}

TEST(a_budget_smaller_than_two_packets_is_warned_of_again_as_well) {
    world_two t;
    open_over(&t, PLAIN);
    use_out(t.client, 3000);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 2; i++)
            fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 1000);
        world_run(&t.w, 2);
        CHECK_EQ_INT(world_results(&t.w, t.client, WISP_BUDGET, WISP_E_BUDGET), round);
    }
    world_close(&t.w);
}

TEST(a_peer_that_only_listens_is_not_warned_of_what_it_answers) {
    world_two t;
    open_over(&t, PLAIN);
    use_out(t.client, 10000);
    for (int i = 0; i < 3000; i++) {
        world_fire(t.server, "r", t.to_client, i);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_count(&t.w, t.client, WISP_BUDGET), 0);
    world_close(&t.w);
}

TEST(of_a_use_below_the_budget_nothing_is_told) {
    world_two t;
    wisp_budget budget = no_budget();
    open_over(&t, PLAIN);
    budget.out = budget.in = budget.total_out = budget.total_in = 20000;
    CHECK_EQ_INT(wisp_use_budget(t.client, &budget), WISP_OK);
    CHECK_EQ_INT(wisp_use_budget(t.server, &budget), WISP_OK);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ_INT(fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, 150), WISP_OK);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_BUDGET), 0);
    CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).packets_refused, 0);
    world_close(&t.w);
}

TEST(budgets_are_told_between_joined_and_left) {
    for (int round = 0; round < 2; round++) {
        world w;
        wisp *server, *client;
        wisp_peer peer;
        wisp_budget budget = no_budget();
        world_open(&w);
        server = world_add(&w);
        client = world_add(&w);
        world_watch(&w, server, WISP_JOINED);
        world_watch(&w, server, WISP_LEFT);
        world_watch(&w, server, WISP_BUDGET);
        budget.out = budget.in = 30;
        if (round) budget.in = 0, budget.out = 2000;
        CHECK_EQ_INT(wisp_use_budget(server, &budget), WISP_OK);
        peer = world_join(&w, client, server);
        world_run(&w, 0.1);
        CHECK_EQ_STR(w.notes[0].name, WISP_JOINED);
        fire_bytes(server, "r", wisp_to_peer(world_peer(server, 0)), 0, 1000);
        wisp_leave(server, world_peer(server, 0), "");
        world_run(&w, 3);
        CHECK_EQ_STR(w.notes[w.note_count - 1].name, WISP_LEFT);
        CHECK(peer.id != 0);
        world_close(&w);
    }
}

/* --- keeping a session, and differences --- */

TEST(a_session_outlives_a_debt_longer_than_its_timeout) {
    for (int link = PLAIN; link <= RELIABLE; link += RELIABLE) {
        world_two t;
        open_over(&t, link);
        use_out(t.client, 40);
        use_out(t.server, 40);
        fire_bytes(t.client, "r", wisp_to_peer(t.to_server), 0, 1000);
        fire_bytes(t.server, "r", wisp_to_peer(t.to_client), 0, 1000);
        world_run(&t.w, 60);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_LEFT), 0);
        CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
        world_close(&t.w);
    }
}

TEST(what_must_be_answered_puts_nobody_far_into_debt) {
    world_two t;
    open_over(&t, PLAIN);
    use_out(t.client, 100);
    for (int i = 0; i < 1000; i++) {
        fire_bytes(t.server, "r", wisp_to_peer(t.to_client), i, 1000);
        world_step(&t.w);
    }
    world_run(&t.w, 1);
    world_fire(t.client, "r", t.to_server, 1);
    world_run(&t.w, 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    world_close(&t.w);
}

/* What the server has of each of ten things in the end. */
static int64_t things_heard[10];

static void on_thing(wisp_event *event) {
    const wisp_value *list = &event->args[0];
    if (event->count == 1 && list->kind == WISP_ARRAY && list->count >= 2)
        things_heard[(int)list->as.array[0].as.integer] = list->as.array[1].as.integer;
}

TEST(a_value_that_is_told_and_dropped_comes_again) {
    for (int link = PLAIN; link <= LOSSY; link++) {
        world_two t;
        int64_t accepted[10];
        char name[10][8];
        uint64_t seed = 5;
        uint64_t over = 0;
        open_over(&t, link);
        for (int k = 0; k < 10; k++) {
            snprintf(name[k], sizeof name[k], "v%d", k);
            accepted[k] = things_heard[k] = -1;
            CHECK_EQ_INT(wisp_use_delta(t.server, NULL, name[k]), WISP_OK);
            CHECK_EQ_INT(wisp_use_delta(t.client, NULL, name[k]), WISP_OK);
            wait_for_ever(t.client, name[k]);
            wisp_set_batch_priority(t.client, name[k], 50 * k);
            wisp_connect_target(t.server, wisp_by_name(name[k]), on_thing, NULL, false);
        }
        world_run(&t.w, 0.5);
        use_out(t.client, 8000);
        for (int i = 0; i < 300; i++) {
            for (int k = 9; k >= 0; k--) {
                wisp_value parts[12], list;
                wisp_result result;
                parts[0] = wisp_int(k);
                parts[1] = wisp_int(i);
                for (int j = 2; j < 12; j++) parts[j] = wisp_int((int64_t)test_random(&seed));
                list = wisp_array(parts, 12);
                result = wisp_fire_values(t.client, name[k], wisp_to_peer(t.to_server), &list, 1);
                CHECK(result == WISP_OK || result == WISP_E_BUDGET);
                if (result == WISP_OK) accepted[k] = i;
            }
            world_step(&t.w);
        }
        world_watch(&t.w, t.client, WISP_ERROR);
        world_run(&t.w, 8);
        for (int k = 0; k < 10; k++) {
            CHECK(accepted[k] >= 0);
            CHECK_EQ_INT(things_heard[k], accepted[k]);
            over += world_remote_stats(t.client, name[k]).over_budget;
        }
        CHECK(over > 0);
        CHECK_EQ_INT(world_count(&t.w, t.client, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

/* --- floods and errors --- */

TEST(messages_over_the_rate_are_dropped_counted_and_told) {
    for (int link = PLAIN; link < LINKS; link++) {
        world_two t;
        const world_note *first;
        open_over(&t, link);
        use_messages(t.server, 20, -1, 0);
        for (int i = 0; i < 200; i++) world_fire(t.client, "r", t.to_server, i);
        world_run(&t.w, 0.1);
        if (link == LOSSY) world_run(&t.w, 3);
        CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 200 - (int)world_peer_stats(t.server,
                                                                t.to_client).flooded);
        if (link != LOSSY) CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 10);
        CHECK_EQ_INT(world_total(t.server).errors,
                     world_peer_stats(t.server, t.to_client).flooded);
        first = world_nth(&t.w, t.server, WISP_ERROR, 0);
        if (CHECK(first != NULL)) CHECK_EQ_STR(first->text, "r: too many messages: dropped");
        CHECK_EQ_INT(world_last(&t.w, t.server, WISP_ERROR)->peer.id, t.to_client.id);
        world_forget(&t.w);
        world_run(&t.w, 1);
        for (int i = 0; i < 100; i++) {         /* at the rate nothing is lost */
            world_fire(t.client, "r", t.to_server, i);
            world_run(&t.w, 0.05);
        }
        world_run(&t.w, 1);
        CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 100);
        world_close(&t.w);
    }
}

TEST(messages_that_repeat_each_other_are_counted_each) {
    world_two t;
    open_over(&t, PLAIN);
    use_messages(t.server, 20, -1, 0);
    for (int i = 0; i < 500; i++) world_fire(t.client, "r", t.to_server, 7);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 10);
    CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).flooded, 490);
    world_close(&t.w);
}

TEST(an_invoke_over_the_rate_of_messages_is_not_answered) {
    world_two t;
    open_over(&t, PLAIN);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    use_messages(t.server, 4, -1, 0);
    for (int i = 0; i < 6; i++) invoke(&t, 1);
    world_run(&t.w, 6);
    CHECK_EQ_INT(answered, 2);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 2);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_TIMEOUT), 4);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(packets_over_the_rate_are_refused_and_are_errors) {
    world_two t;
    wisp_budget budget = no_budget();
    wisp_peer_stats stats;
    open_over(&t, PLAIN);
    wisp_set_unreliable(t.client, "r", true);
    budget.packets = 20;
    budget.errors = 0.001;
    budget.error_burst = 1000;
    CHECK_EQ_INT(wisp_use_budget(t.server, &budget), WISP_OK);
    for (int i = 0; i < 500; i++) {
        unhindered(t.client, t.to_server);
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    stats = world_peer_stats(t.server, t.to_client);
    CHECK_NEAR(world_count(&t.w, t.server, "r"), 110, 4);
    CHECK_NEAR(stats.packets_refused, 390, 8);
    CHECK_EQ_INT(stats.flooded, 0);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_LEFT), 0);
    for (int i = 0; i < 2000; i++) {
        if (wisp_peers(t.client, NULL, 0)) unhindered(t.client, t.to_server);
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_FLOOD), 1);
    world_close(&t.w);
}

TEST(a_reliable_link_has_no_rate_of_packets) {
    world_two t;
    wisp_budget budget = no_budget();
    open_over(&t, RELIABLE);
    budget.packets = 5;
    budget.errors = 1;
    budget.error_burst = 10;
    CHECK_EQ_INT(wisp_use_budget(t.server, &budget), WISP_OK);
    for (int i = 0; i < 300; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 300);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_LEFT), 0);
    world_close(&t.w);
}

/* One passes the rate; of the others `forgiven` are errors that may be, and one more ends it. */
static void check_ended_after(world_two *t, int forgiven) {
    for (int i = 0; i < forgiven + 1; i++) world_fire(t->client, "r", t->to_server, i);
    world_step(&t->w);
    world_step(&t->w);
    CHECK_EQ_INT(world_peer_stats(t->server, t->to_client).flooded, forgiven);
    CHECK_EQ_INT(world_count(&t->w, NULL, WISP_LEFT), 0);
    world_fire(t->client, "r", t->to_server, 0);
    world_run(&t->w, 0.5);
    CHECK_EQ_INT(world_count(&t->w, t->server, "r"), 1);
    for (int i = 0; i < 2; i++) {
        wisp *end = i ? t->client : t->server;
        CHECK_EQ_INT(world_count(&t->w, end, WISP_LEFT), 1);
        CHECK_EQ_INT(world_last(&t->w, end, WISP_LEFT)->result, WISP_E_FLOOD);
        CHECK_EQ_STR(world_last(&t->w, end, WISP_LEFT)->text, "too many errors");
        CHECK_EQ_INT(wisp_peers(end, NULL, 0), 0);
    }
}

TEST(one_error_more_than_are_forgiven_ends_the_session_on_both_sides) {
    for (int link = PLAIN; link < LINKS; link++) {
        if (link == LOSSY) continue;
        for (int bursts = 1; bursts <= 50; bursts += 49) {
            world_two t;
            open_over(&t, link);
            use_messages(t.server, 0.01, 0.01, bursts);
            check_ended_after(&t, bursts);
            world_close(&t.w);
        }
    }
}

static const wisp_field pair_fields[] = { WISP_MAP_FIELD("x", WISP_T_UINT32) };
static const wisp_schema pair_schema = WISP_MAP_SCHEMA("pair", 1, pair_fields);

/* What cannot be read is an error with no budget set: 1024 at once, 16 per second. */
TEST(without_a_budget_garbage_is_forgiven_so_far) {
    for (int extra = 0; extra < 2; extra++) {
        world_two t;
        wisp_config config;
        memset(&config, 0, sizeof config);
        config.encode.schema = &pair_schema;
        open_over(&t, PLAIN);
        CHECK_EQ_INT(wisp_use_config(t.server, &config, "r"), WISP_OK);
        for (int i = 0; i < 1024 + extra; i++) world_fire(t.client, "r", t.to_server, i);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_FLOOD), extra);
        CHECK_EQ_INT(world_results(&t.w, t.client, WISP_LEFT, WISP_E_FLOOD), extra);
        for (int i = 0; i < 320 && !extra; i++) {
            world_fire(t.client, "r", t.to_server, i);
            world_run(&t.w, 0.07);
        }
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_FLOOD), extra);
        CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 0);
        world_close(&t.w);
    }
}

TEST(errors_are_forgiven_at_their_rate) {
    for (int faster = 0; faster < 2; faster++) {
        world_two t;
        open_over(&t, PLAIN);
        use_messages(t.server, 0.001, 10, 10);
        for (int i = 0; i < 300; i++) {
            world_fire(t.client, "r", t.to_server, i);
            world_run(&t.w, faster ? 0.08 : 0.1);
        }
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_FLOOD), faster);
        world_close(&t.w);
    }
}

TEST(errors_below_zero_are_forgiven_all) {
    world_two t;
    open_over(&t, PLAIN);
    use_messages(t.server, 1, -1, 1);
    for (int i = 0; i < 5000; i++) world_fire(t.client, "r", t.to_server, i);
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_LEFT), 0);
    CHECK(world_peer_stats(t.server, t.to_client).flooded > 4990);
    world_close(&t.w);
}

static void join_again(world_two *t) {
    world_run(&t->w, 2);
    t->to_server = world_join(&t->w, t->client, t->server);
    t->to_client = world_peer(t->server, 0);
    world_forget(&t->w);
}

/* One message passes the rate, as at first; the next is an error too many. */
TEST(whoever_joins_again_goes_on_with_its_errors) {
    world_two t;
    open_over(&t, PLAIN);
    use_messages(t.server, 0.01, 0.01, 5);
    check_ended_after(&t, 5);
    for (int i = 0; i < 3; i++) {
        join_again(&t);
        check_ended_after(&t, 0);
    }
    world_run(&t.w, 100);                           /* one more is forgiven then */
    join_again(&t);
    check_ended_after(&t, 1);
    world_close(&t.w);
}

static uint64_t host_of_all(void *user, const wisp_addr *from) {
    (void)user;
    (void)from;
    return 7;
}

/* Sessions of one host at once have one budget of errors; with each address a host, one each. */
TEST(sessions_of_one_host_share_its_errors) {
    for (int shared = 0; shared < 2; shared++) {
        world_two t;
        wisp *third;
        wisp_peer to_server;
        wisp_budget budget = no_budget();
        open_over(&t, PLAIN);
        budget.messages = 0.01;
        budget.errors = 0.01;
        budget.error_burst = 5;
        if (shared) budget.host = host_of_all;
        wisp_use_budget(t.server, &budget);
        third = world_add(&t.w);
        to_server = world_join(&t.w, third, t.server);
        for (int i = 0; i < 4; i++) world_fire(t.client, "r", t.to_server, i);     /* 3 errors */
        for (int i = 0; i < 4; i++) world_fire(third, "r", to_server, i);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), shared ? 1 : 2);
        world_fire(t.client, "r", t.to_server, 0);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), shared ? 0 : 2);
        world_close(&t.w);
    }
}

/* --- arguments --- */

static double policy_number_of(uint64_t bits) {
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

/* Made of bits: a compiler may take constants that are no numbers for anything. */
TEST(no_number_of_the_caller_is_nan_or_infinite) {
    static const uint64_t odd[] = {
        UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8000000000000), UINT64_C(0x7ff0000000000000),
        UINT64_C(0xfff0000000000000), UINT64_C(0x7ff0000000000001),
    };
    world_two t;
    double now;
    open_over(&t, PLAIN);
    now = wisp_now(t.client);
    for (int i = 0; i < TEST_COUNT(odd); i++) {
        double number = policy_number_of(odd[i]);
        wisp_call_desc call;
        wisp_config config;
        wisp_desc desc;
        wisp_result why = WISP_OK;
        memset(&call, 0, sizeof call);
        memset(&config, 0, sizeof config);
        memset(&desc, 0, sizeof desc);
        CHECK_EQ_INT(wisp_update(t.client, number), WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp_set_rate_limit(t.client, number, "r"), WISP_E_ARGUMENT);
        config.rate_limit = number;
        CHECK_EQ_INT(wisp_use_config(t.client, &config, "r"), WISP_E_ARGUMENT);
        config.rate_limit = 0;
        config.call_timeout = number;
        CHECK_EQ_INT(wisp_use_config(t.client, &config, "r"), WISP_E_ARGUMENT);
        call.timeout = number;
        wisp_invoke_target(t.client, wisp_by_name("r"), wisp_to_peer(t.to_server), &call, NULL, 0);
        CHECK_EQ_INT(wisp_why(t.client), WISP_E_ARGUMENT);
        desc.link = wisp_loopback(&t.w.pipe, 5);
        desc.timeout = number;
        CHECK(wisp_create(&desc, &why) == NULL);
        CHECK_EQ_INT(why, WISP_E_ARGUMENT);
    }
    CHECK_NEAR(wisp_now(t.client), now, 0);
    world_close(&t.w);
}

TEST(a_budget_that_makes_no_sense_leaves_the_one_in_force) {
    world_two t;
    wisp_budget good = no_budget();
    double bad[4];
    bad[0] = -1;
    bad[1] = policy_number_of(UINT64_C(0x7ff0000000000000));
    bad[2] = policy_number_of(UINT64_C(0xfff0000000000000));
    bad[3] = policy_number_of(UINT64_C(0x7ff8000000000000));
    open_over(&t, PLAIN);
    good.out = 5000;
    good.burst = 60;
    CHECK_EQ_INT(wisp_use_budget(t.client, &good), WISP_OK);
    for (int field = 0; field < 11; field++) {
        for (int i = 0; i < 4; i++) {
            wisp_budget b = no_budget();
            double *rates[9];
            rates[0] = &b.out;
            rates[1] = &b.in;
            rates[2] = &b.total_out;
            rates[3] = &b.total_in;
            rates[4] = &b.messages;
            rates[5] = &b.packets;
            rates[6] = &b.burst;
            rates[7] = &b.errors;
            rates[8] = &b.joins;
            if (field < 9) *rates[field] = bad[i];
            if (field == 9) b.error_burst = -1;
            if (field == 10) b.join_burst = -1;
            if ((field == 7 || field == 8) && i == 0) continue;       /* below zero: all */
            CHECK_EQ_INT(wisp_use_budget(t.client, &b), WISP_E_ARGUMENT);
        }
    }
    good.burst = 0.009;
    CHECK_EQ_INT(wisp_use_budget(t.client, &good), WISP_E_ARGUMENT);
    good.burst = 60.1;
    CHECK_EQ_INT(wisp_use_budget(t.client, &good), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_budget(NULL, &good), WISP_E_ARGUMENT);
    CHECK_NEAR(t.client->policy.budget.out, 5000, 0);
    CHECK_NEAR(t.client->policy.budget.burst, 60, 0);
    CHECK(t.client->policy.budget.errors < 0);
    CHECK_EQ_INT(wisp_use_budget(t.client, NULL), WISP_OK);
    CHECK_NEAR(t.client->policy.budget.burst, 0.5, 0);
    CHECK_NEAR(t.client->policy.budget.errors, 16, 0);
    CHECK_EQ_INT(t.client->policy.budget.error_burst, 1024);
    CHECK_NEAR(t.client->policy.budget.joins, 8, 0);
    CHECK_EQ_INT(t.client->policy.budget.join_burst, 64);
    world_close(&t.w);
}

/* --- many peers, more than a world holds --- */

enum { POLICY_CROWD = 50 };

typedef struct member {
    wisp     *end;
    wisp_peer to_server, to_client;
    int       up, down;             /* messages that came: at the server, from it */
    double    up_steps, down_steps; /* on their way, all together */
} member;

typedef struct policy_crowd {
    wisp_pipe pipe;
    wisp     *server;
    member    members[POLICY_CROWD];
    int       count, step;
} policy_crowd;

static void on_up(wisp_event *event) {
    member *m = (member *)wisp_peer_user(event->w, event->peer);
    policy_crowd *c = (policy_crowd *)event->user;
    if (!m) return;
    m->up++;
    m->up_steps += (double)(c->step - event->args[0].as.integer);
}

static void on_down(wisp_event *event) {
    policy_crowd *c = (policy_crowd *)event->user;
    for (int i = 0; i < c->count; i++) {
        if (c->members[i].end != event->w) continue;
        c->members[i].down++;
        c->members[i].down_steps += (double)(c->step - event->args[0].as.integer);
    }
}

static void crowd_step(policy_crowd *c) {
    c->step++;
    wisp_update(c->server, c->step * 0.01);
    for (int i = 0; i < c->count; i++)
        if (c->members[i].end) wisp_update(c->members[i].end, c->step * 0.01);
}

static void crowd_run(policy_crowd *c, double seconds) {
    for (int i = 0; i < (int)(seconds * 100 + 0.5); i++) crowd_step(c);
}

static wisp *crowd_end(policy_crowd *c, int side) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.app = "crowd";
    desc.seed = (uint64_t)side + 1;
    desc.link = wisp_loopback(&c->pipe, side);
    return wisp_create(&desc, NULL);
}

/* The i-th has joined: its server notes which one it is. */
static void policy_crowd_meet(policy_crowd *c, int i) {
    member *m = &c->members[i];
    wisp_addr from = wisp_loopback_addr(i + 1);
    wisp_peer peers[POLICY_CROWD];
    int joined = wisp_peers(c->server, peers, POLICY_CROWD);
    for (int k = 0; k < joined; k++)
        if (memcmp(wisp_peer_addr(c->server, peers[k]), &from, sizeof from) == 0)
            m->to_client = peers[k];
    CHECK(m->to_client.id != 0);
    wisp_set_peer_user(c->server, m->to_client, m);
}

/* They join, all at once. */
static void crowd_join(policy_crowd *c, int first, int end) {
    wisp_addr to = wisp_loopback_addr(0);
    if (end > c->count) c->count = end;
    for (int i = first; i < end; i++) {
        member *m = &c->members[i];
        memset(m, 0, sizeof *m);
        m->end = crowd_end(c, i + 1);
        wisp_connect_target(m->end, wisp_by_name("down"), on_down, c, false);
        m->to_server = wisp_join(m->end, &to, NULL, 0);
    }
    crowd_run(c, 0.1);
    for (int i = first; i < end; i++) policy_crowd_meet(c, i);
}

static void crowd_leave(policy_crowd *c, int i) {
    wisp_destroy(c->members[i].end);
    c->members[i].end = NULL;
    crowd_run(c, 0.1);
}

static policy_crowd *policy_crowd_open(int count) {
    policy_crowd *c = (policy_crowd *)calloc(1, sizeof *c);
    c->server = crowd_end(c, 0);
    wisp_connect_target(c->server, wisp_by_name("up"), on_up, c, false);
    wisp_remote_named(c->server, "down");
    crowd_join(c, 0, count);
    crowd_run(c, 0.3);
    return c;
}

static void crowd_forget(policy_crowd *c) {
    for (int i = 0; i < c->count; i++) {
        member *m = &c->members[i];
        m->up = m->down = 0;
        m->up_steps = m->down_steps = 0;
    }
}

static void crowd_close(policy_crowd *c) {
    for (int i = 0; i < c->count; i++) wisp_destroy(c->members[i].end);
    wisp_destroy(c->server);
    wisp_pipe_free(&c->pipe);
    free(c);
}

TEST(what_leaves_for_all_keeps_to_the_total_in_equal_shares) {
    policy_crowd *c = policy_crowd_open(5);
    wisp_budget budget = no_budget();
    uint64_t before = world_total(c->server).bytes_sent;
    meter m = meter_of(50000, 2 * 0.5, before);
    budget.total_out = 50000;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 5; k++)
            fire_bytes(c->server, "down", wisp_to_peer(c->members[k].to_client), c->step, 400);
        crowd_step(c);
        meter_read(&m, world_total(c->server).bytes_sent, 0.01);
    }
    CHECK(m.lowest > -5 * POLICY_PACKET - ACKS);
    CHECK((double)(m.bytes - before) > 0.95 * 5 * 50000);
    for (int k = 0; k < 5; k++) CHECK(c->members[k].down > 0.85 * 5 * 50000 / 5 / 410);
    crowd_run(c, 20);
    for (int k = 0; k < 5; k++) CHECK_EQ_INT(c->members[k].down, 500);
    crowd_close(c);
}

TEST(whoever_is_sent_too_much_takes_nothing_from_the_others) {
    policy_crowd *c = policy_crowd_open(5);
    wisp_budget budget = no_budget();
    budget.total_out = 50000;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    CHECK_EQ_INT(wisp_set_unreliable(c->server, "down", true), WISP_OK);
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 50; k++)
            fire_bytes(c->server, "down", wisp_to_peer(c->members[0].to_client), c->step, 100);
        for (int k = 1; k < 5; k++)
            CHECK_EQ_INT(fire_bytes(c->server, "down", wisp_to_peer(c->members[k].to_client),
                                    c->step, 60), WISP_OK);
        crowd_step(c);
    }
    crowd_run(c, 0.1);
    for (int k = 1; k < 5; k++) {
        CHECK_EQ_INT(c->members[k].down, 500);
        CHECK(c->members[k].down_steps <= 500);
        CHECK_EQ_INT(world_peer_stats(c->server, c->members[k].to_client).over_budget, 0);
    }
    CHECK(world_peer_stats(c->server, c->members[0].to_client).over_budget > 10000);
    crowd_close(c);
}

/* Acks are sent over the total; who then has much to send gets what others leave all the same. */
TEST(what_must_be_answered_puts_the_total_not_far_into_debt) {
    policy_crowd *c = policy_crowd_open(4);
    wisp_budget budget = no_budget();
    uint64_t before;
    budget.total_out = 1000;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    for (int i = 0; i < 1000; i++) {
        for (int k = 0; k < 4; k++)
            fire_bytes(c->members[k].end, "up", wisp_to_peer(c->members[k].to_server), c->step, 10);
        crowd_step(c);
    }
    crowd_run(c, 1);
    before = world_peer_stats(c->server, c->members[0].to_client).bytes_sent;
    for (int i = 0; i < 500; i++) {
        fire_bytes(c->server, "down", wisp_to_peer(c->members[0].to_client), c->step, 100);
        crowd_step(c);
    }
    before = world_peer_stats(c->server, c->members[0].to_client).bytes_sent - before;
    CHECK(before > 3500);                       /* 70% of five seconds; its share would be 1250 */
    crowd_close(c);
}

TEST(a_fire_to_all_reaches_those_whose_budget_is_not_used_up) {
    policy_crowd *c = policy_crowd_open(4);
    wisp_budget budget = no_budget();
    int down = 0;
    budget.out = 4000;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    CHECK_EQ_INT(wisp_set_unreliable(c->server, "down", true), WISP_OK);
    for (int i = 0; i < 100; i++)
        fire_bytes(c->server, "down", wisp_to_peer(c->members[2].to_client), c->step, 100);
    crowd_step(c);
    while (fire_bytes(c->server, "down", wisp_to_peer(c->members[2].to_client), c->step, 100) ==
           WISP_OK) {}
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(fire_bytes(c->server, "down", wisp_to_all(), c->step, 100), WISP_E_BUDGET);
    crowd_run(c, 0.1);
    for (int k = 0; k < 4; k++) down += k == 2 ? 0 : c->members[k].down;
    CHECK_EQ_INT(down, 15);
    crowd_close(c);
}

TEST(whoever_sends_too_much_takes_nothing_from_the_others) {
    policy_crowd *c = policy_crowd_open(5);
    wisp_budget budget = no_budget();
    budget.total_in = 50000;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    for (int k = 0; k < 5; k++)
        CHECK_EQ_INT(wisp_set_unreliable(c->members[k].end, "up", true), WISP_OK);
    for (int i = 0; i < 500; i++) {
        unhindered(c->members[0].end, c->members[0].to_server);
        for (int k = 0; k < 50; k++)
            fire_bytes(c->members[0].end, "up", wisp_to_peer(c->members[0].to_server), c->step,
                       100);
        for (int k = 1; k < 5; k++)
            fire_bytes(c->members[k].end, "up", wisp_to_peer(c->members[k].to_server), c->step, 60);
        crowd_step(c);
    }
    crowd_run(c, 0.1);
    for (int k = 1; k < 5; k++) {
        CHECK_EQ_INT(c->members[k].up, 500);
        CHECK_EQ_INT(world_peer_stats(c->server, c->members[k].to_client).packets_refused, 0);
    }
    CHECK(world_peer_stats(c->server, c->members[0].to_client).packets_refused > 1000);
    crowd_close(c);
}

/* What was used while there were few is no debt when there are many. */
TEST(peers_that_come_and_go_change_the_shares_at_once) {
    policy_crowd *c = policy_crowd_open(2);
    wisp_budget budget = no_budget();
    int before;
    budget.total_out = 50000;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    CHECK_EQ_INT(wisp_set_unreliable(c->server, "down", true), WISP_OK);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            for (int k = 0; k < 10; k++)
                fire_bytes(c->server, "down", wisp_to_peer(c->members[0].to_client), c->step, 100);
            crowd_step(c);
        }
        crowd_join(c, 2, 20);
        before = c->members[0].down;
        for (int i = 0; i < 200; i++) {
            fire_bytes(c->server, "down", wisp_to_peer(c->members[0].to_client), c->step, 100);
            for (int k = 1; k < 20; k++)
                for (int n = 0; n < 10; n++)
                    fire_bytes(c->server, "down", wisp_to_peer(c->members[k].to_client), c->step,
                               100);
            crowd_step(c);
        }
        CHECK(c->members[0].down - before > 0.9 * 2 * 50000 / 20 / 112);
        for (int i = 2; i < 20; i++) crowd_leave(c, i);
    }
    before = c->members[0].down;
    for (int i = 0; i < 300; i++) {
        for (int k = 0; k < 10; k++)
            fire_bytes(c->server, "down", wisp_to_peer(c->members[0].to_client), c->step, 100);
        crowd_step(c);
    }
    CHECK(c->members[0].down - before > 0.9 * 3 * 50000 / 105);
    crowd_close(c);
}

/* Each of 49 speaks twenty times a second, and hears the server as often; the 50th floods. */
static policy_crowd *crowd_served(int flood) {
    policy_crowd *c = policy_crowd_open(POLICY_CROWD);
    wisp_budget budget = no_budget();
    budget.total_in = budget.total_out = 150000;
    budget.messages = 200;
    CHECK_EQ_INT(wisp_use_budget(c->server, &budget), WISP_OK);
    CHECK_EQ_INT(wisp_set_unreliable(c->members[POLICY_CROWD - 1].end, "up", true), WISP_OK);
    crowd_forget(c);
    for (int i = 0; i < 250; i++) {
        member *last = &c->members[POLICY_CROWD - 1];
        for (int k = 0; k < POLICY_CROWD - 1; k++)
            if ((i + k) % 5 == 0)
                CHECK_EQ_INT(fire_bytes(c->members[k].end, "up",
                                        wisp_to_peer(c->members[k].to_server), c->step, 60),
                             WISP_OK);
        if (i % 5 == 0)
            CHECK_EQ_INT(fire_bytes(c->server, "down", wisp_to_all(), c->step, 60), WISP_OK);
        unhindered(last->end, last->to_server);
        for (int n = 0; n < flood; n++)
            CHECK_EQ_INT(world_fire(last->end, "up", last->to_server, c->step << 9 | n), WISP_OK);
        crowd_step(c);
    }
    crowd_run(c, 0.5);
    return c;
}

TEST(a_flood_of_100000_from_one_of_50_leaves_the_others_alone) {
    policy_crowd *calm = crowd_served(0), *flooded = crowd_served(400);
    member *last = &flooded->members[POLICY_CROWD - 1];
    wisp_peer_stats stats = world_peer_stats(flooded->server, last->to_client);
    for (int k = 0; k < POLICY_CROWD - 1; k++) {
        member *a = &calm->members[k], *b = &flooded->members[k];
        CHECK_EQ_INT(a->up, 50);
        CHECK_EQ_INT(a->down, 50);
        CHECK(b->up >= 0.9 * a->up && b->down >= 0.9 * a->down);
        CHECK(b->up_steps * a->up <= 1.1 * a->up_steps * b->up);
        CHECK(b->down_steps * a->down <= 1.1 * a->down_steps * b->down);
    }
    CHECK_EQ_INT(world_peer_stats(last->end, last->to_server).messages_sent, 100000);
    CHECK(last->up < 200 * 4);
    CHECK(stats.flooded > 1000 && stats.packets_refused > 50);
    crowd_close(calm);
    crowd_close(flooded);
}

/* --- stalls --- */

enum { LOST_UP, LOST_DOWN, LOST_BOTH, HELD_UP, HELD_BOTH, ASLEEP, STALLS };

enum { STALL_HELD = 4096 };

/* A sender that keeps to the limit, whose way is blocked now and then. */
typedef struct stalls {
    world_two t;
    int       kind, held[2], handled, wrong;
    bool      now;                               /* it is blocked */
    double    rates[2], due[2];
    double    times[2000];                       /* of what was handled */
    uint64_t  seed;
    wisp_packet packets[2][STALL_HELD];
} stalls;

static void on_stalls(wisp_event *event) {
    stalls *s = (stalls *)event->user;
    if (wisp_arg_int(event, 0) != s->handled) s->wrong++;
    s->times[s->handled++ % 2000] = s->t.w.now;
}

static int stall_tap(world *w, int n, wisp_packet *packet) {
    stalls *s = (stalls *)w->user;
    bool up = n == 1;
    if (!s->now || s->kind == ASLEEP || (up ? s->kind == LOST_DOWN : s->kind == LOST_UP ||
                                                                   s->kind == HELD_UP))
        return 1;
    if (s->kind >= HELD_UP && s->held[up] < STALL_HELD) {
        wisp_packet *held = &s->packets[up][s->held[up]++];
        *held = *packet;
        held->data = malloc((size_t)packet->size);
        memcpy(held->data, packet->data, (size_t)packet->size);
    }
    return 0;
}

static void stall_release(stalls *s) {
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < s->held[n]; i++) {
            wisp_packet *held = &s->packets[n][i];
            s->t.w.ways[n].pipe.send(s->t.w.ways[n].pipe.user, held, 1);
            free(held->data);
        }
    s->held[0] = s->held[1] = 0;
}

/* Two milliseconds; each end is updated at its own rate. */
static void stall_step(stalls *s) {
    world *w = &s->t.w;
    w->now += 0.002;
    for (int n = 0; n < 2; n++) {
        w->sims[n].now = w->now;
        if (w->now < s->due[n] || (n == 0 && s->kind == ASLEEP && s->now)) continue;
        s->due[n] = w->now + 1 / s->rates[n];
        world_update(w, n);
    }
}

static stalls *stalls_open(int kind, uint64_t seed) {
    stalls *s = (stalls *)calloc(1, sizeof *s);
    s->kind = kind;
    s->seed = seed;
    world_open(&s->t.w);
    s->t.w.bad = true;
    s->t.w.net.latency = 0.01 + 0.1 * (double)(test_random(&s->seed) % 100) / 100;
    s->t.w.net.seed = seed;
    world_two_join(&s->t);
    s->t.w.unchecked = true;
    s->t.w.user = s;
    s->t.w.tap = stall_tap;
    for (int n = 0; n < 2; n++) {
        s->rates[n] = 10 + (double)(test_random(&s->seed) % 51);
        if (seed % 2) s->t.w.sims[n].jitter = 0.03;
        if (seed % 3 == 1) s->t.w.sims[n].loss = 0.05;
    }
    wisp_set_rate_limit(s->t.server, 1.0 / 20, "r");
    wisp_connect_target(s->t.server, wisp_by_name("r"), on_stalls, s, false);
    world_watch(&s->t.w, s->t.server, WISP_LEFT);
    return s;
}

/* Fires 15 a second for 40 s, with three stalls of so many seconds each. */
static void stalls_run(stalls *s, double stall) {
    double next = s->t.w.now + 1, begin = s->t.w.now;
    int fired = 0;
    for (double passed = 0; passed < 40; passed = s->t.w.now - begin) {
        double phase = (passed - 2) / 9;
        bool now = phase > 0 && phase < 3 && (phase - (int)phase) * 9 < stall;
        if (s->now && !now) stall_release(s);
        s->now = now;
        if (s->t.w.now >= next && passed < 33) {
            next += 1.0 / 15;
            if (world_fire(s->t.client, "r", s->t.to_server, fired) == WISP_OK) fired++;
        }
        stall_step(s);
    }
    CHECK(fired > 450);
    CHECK_EQ_INT(s->handled, fired);
    CHECK_EQ_INT(s->wrong, 0);
    CHECK_EQ_INT(world_remote_stats(s->t.server, "r").rate_limited, 0);
    CHECK_EQ_INT(world_count(&s->t.w, s->t.server, WISP_LEFT), 0);
}

static void stalls_close(stalls *s) {
    stall_release(s);
    world_close(&s->t.w);
    free(s);
}

TEST(a_sender_that_keeps_to_the_limit_loses_nothing_to_stalls) {
    static const double lengths[] = { 0.2, 0.5, 1, 1.5, 2.5, 4 };
    for (uint64_t seed = 1; seed <= 12; seed++)
        for (int kind = 0; kind < STALLS; kind++) {
            stalls *s = stalls_open(kind, seed * 100 + (uint64_t)kind);
            stalls_run(s, lengths[(seed + (uint64_t)kind) % 6]);
            stalls_close(s);
        }
}

/* No more messages are let in within any time than the limit and the longest stall are worth. */
static void check_bounded(const stalls *s, double rate, double burst) {
    double timeout = s->t.server->base.timeout;
    for (int i = 0; i < s->handled; i++)
        for (int k = i; k < s->handled; k++)
            if (!CHECK(k - i <= burst + rate * (s->times[k] - s->times[i] + timeout))) return;
}

/* Loses the first packets after each silence, which so looks like a stall. */
static int pretend_tap(world *w, int n, wisp_packet *packet) {
    stalls *s = (stalls *)w->user;
    (void)packet;
    if (n == 0 || s->held[0] <= 0) return 1;
    s->held[0]--;
    return 0;
}

/* Silent for `silence` seconds, a stall pretended, then a flood of a second; over and over. */
static void pretend(double silence, uint64_t seed) {
    stalls *s = stalls_open(LOST_UP, seed);
    double begin = s->t.w.now;
    int fired = 0;
    s->t.w.tap = pretend_tap;
    s->rates[0] = s->rates[1] = 60;
    while (s->t.w.now < begin + 60) {
        double until = s->t.w.now + silence;
        while (s->t.w.now < until) stall_step(s);
        s->held[0] = 3;
        for (int i = 0; i < 40; i++) {
            world_fire(s->t.client, "r", s->t.to_server, fired++);
            for (int k = 0; k < 12; k++) stall_step(s);
            for (int k = 0; k < 20; k++) world_fire(s->t.client, "r", s->t.to_server, fired++);
        }
        s->held[0] = 0;
    }
    CHECK(s->handled <= 20 * (s->t.w.now - begin) + 5 + 1);
    CHECK(silence > 5 || s->handled > 500);      /* it works, so far */
    check_bounded(s, 20, 5);
    CHECK_EQ_INT(wisp_peers(s->t.server, NULL, 0), 1);
    world_close(&s->t.w);
    free(s);
}

TEST(a_stall_that_is_pretended_is_worth_its_time_and_no_more) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        pretend(0.5, seed);
        pretend(4, seed);
        pretend(30, seed);
    }
}

/* Idleness is no stall: neither in one packet nor in several is the burst exceeded. */
TEST(a_flood_after_idleness_gets_the_burst_alone) {
    for (int size = 1; size < 1000; size += 300) {
        world_two t;
        double begin;
        open_over(&t, PLAIN);
        wisp_set_rate_limit(t.server, 0.05, "r");
        for (int round = 0; round < 3; round++) {
            world_run(&t.w, 4 + 3 * round);
            world_forget(&t.w);
            begin = t.w.now;
            for (int i = 0; i < 60; i++)
                fire_bytes(t.client, "r", wisp_to_peer(t.to_server), i, size);
            world_run(&t.w, 1);
            CHECK(world_count(&t.w, t.server, "r") >= 5);
            CHECK(world_count(&t.w, t.server, "r") <=
                  5 + 20 * (world_last(&t.w, t.server, "r")->time - begin) + 1);
        }
        world_close(&t.w);
    }
}

/* What was held up is no flood. */
TEST(what_comes_at_once_after_a_stall_is_no_flood) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int kind = seed % 2 ? HELD_UP : ASLEEP;
        stalls *s = stalls_open(kind, 6 * seed + 2);
        wisp_budget budget = no_budget();
        budget.messages = 30;
        budget.packets = 100;
        budget.errors = 0.001;
        budget.error_burst = 1;
        CHECK_EQ_INT(wisp_use_budget(s->t.server, &budget), WISP_OK);
        stalls_run(s, 1 + (double)(seed % 4));
        CHECK_EQ_INT(world_peer_stats(s->t.server, s->t.to_client).packets_refused, 0);
        CHECK_EQ_INT(world_total(s->t.server).errors, 0);
        stalls_close(s);
    }
}

/* Calls and messages in fragments as well; what is unreliable keeps to the burst. */
TEST(a_stall_gives_tokens_to_what_is_reliable_alone) {
    for (int loose = 0; loose < 2; loose++) {
        stalls *s = stalls_open(HELD_UP, 2);
        wisp_set_unreliable(s->t.client, "r", loose != 0);
        for (int i = 0; i < 200; i++) stall_step(s);
        s->now = true;
        for (int i = 0; i < 1500; i++) {
            if (i % 33 == 0) world_fire(s->t.client, "r", s->t.to_server, i / 33);
            stall_step(s);
        }
        s->now = false;
        stall_release(s);
        for (int i = 0; i < 1000; i++) stall_step(s);
        if (loose) CHECK(s->handled >= 5 && s->handled <= 8);
        else CHECK_EQ_INT(s->handled, 46);
        stalls_close(s);
    }
}

TEST(a_large_message_that_blocks_its_channel_takes_no_tokens_of_those_behind_it) {
    static char large[150000];
    stalls *s = stalls_open(LOST_UP, 2);
    wisp_value value = wisp_bytes(large, (int)sizeof large);
    s->t.w.sims[1].rate = 60000;
    CHECK_EQ_INT(wisp_fire_values(s->t.client, "large", wisp_to_peer(s->t.to_server), &value, 1),
                 WISP_OK);
    stalls_run(s, 0);
    stalls_close(s);
}

static const test_case tests[] = {
    CASE(off_by_default),
    CASE(the_sender_is_told_once_a_second_how_many_were_lost),
    CASE(the_sender_is_told_though_packets_are_lost),
    CASE(many_names_over_their_limits_cost_little),
    CASE(holds_for_batched_messages),
    CASE(holds_for_identical_messages_which_are_counted),
    CASE(holds_for_immediate_messages),
    CASE(holds_when_batching_is_off),
    CASE(holds_for_unreliable_messages),
    CASE(holds_for_sequenced_messages),
    CASE(holds_for_messages_in_fragments),
    CASE(holds_for_what_came_out_of_order),
    CASE(holds_in_both_directions),
    CASE(does_not_hold_back_the_sender_itself),
    CASE(an_invoke_over_the_limit_is_answered_with_its_code),
    CASE(a_repeated_invoke_takes_no_second_token),
    CASE(events_and_invokes_of_one_name_share_its_limit),
    CASE(the_default_burst_is_a_quarter_of_a_second),
    CASE(a_limit_above_a_quarter_of_a_second_bursts_one),
    CASE(a_burst_of_ones_own_wins),
    CASE(a_sender_that_keeps_to_the_limit_loses_nothing_to_jitter),
    CASE(tokens_come_back_with_time_and_no_faster),
    CASE(long_silence_saves_up_no_more_than_the_burst),
    CASE(each_peer_has_its_own),
    CASE(each_remote_has_its_own_even_of_the_common_limit),
    CASE(one_remote_is_exempt_from_the_common_limit_by_its_own),
    CASE(a_limit_can_be_set_and_lifted_at_any_time),
    CASE(a_new_session_begins_with_a_full_burst),
    CASE(what_is_dropped_does_not_disturb_the_order_behind_it),
    CASE(the_bucket_takes_one_token_each_and_fills_to_its_burst),
    CASE(a_refusal_costs_no_token),
    CASE(a_burst_that_shrinks_is_in_force_at_once),
    CASE(what_leaves_for_a_peer_keeps_to_its_budget_and_what_is_reliable_arrives_in_order),
    CASE(what_is_unreliable_and_over_the_budget_is_refused_and_counted),
    CASE(the_least_urgent_goes_and_what_has_waited_gains),
    CASE(what_is_urgent_takes_the_place_of_what_waits_and_is_not),
    CASE(what_is_reliable_is_never_dropped_for_what_is_not),
    CASE(of_a_flood_in_one_moment_no_more_waits_than_a_burst),
    CASE(an_invoke_that_is_over_the_budget_is_not_begun),
    CASE(a_budget_that_is_lifted_refuses_nothing_more),
    CASE(a_budget_that_changes_while_messages_flow_holds_from_then_on),
    CASE(a_budget_set_again_and_again_is_no_fresh_one),
    CASE(the_smaller_of_a_peers_budget_and_the_total_holds),
    CASE(a_long_way_slows_no_budget_down),
    CASE(a_debt_of_a_higher_rate_is_a_burst_of_the_lower_one_at_most),
    CASE(a_leap_of_the_clock_is_worth_no_more_than_the_burst),
    CASE(what_comes_from_a_peer_is_looked_at_within_its_budget),
    CASE(unreliable_messages_over_the_budget_of_what_comes_are_not_looked_at),
    CASE(on_a_reliable_link_what_comes_over_the_budget_is_an_error_each),
    CASE(a_budget_that_is_near_and_over_is_told_once_until_it_has_recovered),
    CASE(a_budget_smaller_than_two_packets_is_warned_of_again_as_well),
    CASE(a_peer_that_only_listens_is_not_warned_of_what_it_answers),
    CASE(of_a_use_below_the_budget_nothing_is_told),
    CASE(budgets_are_told_between_joined_and_left),
    CASE(a_session_outlives_a_debt_longer_than_its_timeout),
    CASE(what_must_be_answered_puts_nobody_far_into_debt),
    CASE(a_value_that_is_told_and_dropped_comes_again),
    CASE(messages_over_the_rate_are_dropped_counted_and_told),
    CASE(messages_that_repeat_each_other_are_counted_each),
    CASE(an_invoke_over_the_rate_of_messages_is_not_answered),
    CASE(packets_over_the_rate_are_refused_and_are_errors),
    CASE(a_reliable_link_has_no_rate_of_packets),
    CASE(one_error_more_than_are_forgiven_ends_the_session_on_both_sides),
    CASE(without_a_budget_garbage_is_forgiven_so_far),
    CASE(errors_are_forgiven_at_their_rate),
    CASE(errors_below_zero_are_forgiven_all),
    CASE(whoever_joins_again_goes_on_with_its_errors),
    CASE(sessions_of_one_host_share_its_errors),
    CASE(no_number_of_the_caller_is_nan_or_infinite),
    CASE(a_budget_that_makes_no_sense_leaves_the_one_in_force),
    CASE(what_leaves_for_all_keeps_to_the_total_in_equal_shares),
    CASE(whoever_is_sent_too_much_takes_nothing_from_the_others),
    CASE(what_must_be_answered_puts_the_total_not_far_into_debt),
    CASE(a_fire_to_all_reaches_those_whose_budget_is_not_used_up),
    CASE(whoever_sends_too_much_takes_nothing_from_the_others),
    CASE(peers_that_come_and_go_change_the_shares_at_once),
    CASE(a_flood_of_100000_from_one_of_50_leaves_the_others_alone),
    CASE(a_sender_that_keeps_to_the_limit_loses_nothing_to_stalls),
    CASE(a_stall_that_is_pretended_is_worth_its_time_and_no_more),
    CASE(a_flood_after_idleness_gets_the_burst_alone),
    CASE(what_comes_at_once_after_a_stall_is_no_flood),
    CASE(a_stall_gives_tokens_to_what_is_reliable_alone),
    CASE(a_large_message_that_blocks_its_channel_takes_no_tokens_of_those_behind_it),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
